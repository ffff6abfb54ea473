//! What the state_dicts of SpikingJelly and snnTorch hold besides weights: numbers of other kinds, and the scalars of their neurons.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};

use super::graph::Tensor;
use crate::error::{Error, Result};
use crate::plural::{counted, either};

/// What the neurons of a state_dict say of themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neurons {
    /// λ, the same in all layers.
    pub decay: Option<f64>,
    /// u_th, the same in all layers.
    pub threshold: Option<f64>,
    /// How they reset is in the file.
    pub reset: bool,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// What the user says of λ and u_th; then layers that differ are no error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// λ
    pub decay: Option<f64>,
    /// u_th
    pub threshold: Option<f64>,
}

/// Numbers of any floating-point kind as f32. Integers only as a single number, of which a neuron may keep some; whole tensors of them are
/// quantised weights, whose scale is elsewhere.
///
/// # Errors
/// Format: another kind.
pub fn reals(name: &str, view: &TensorView) -> Result<Vec<f32>> {
    let bytes = view.data();
    let single = view.shape().iter().product::<usize>() == 1;
    Ok(match view.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::I64 if single => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
        Dtype::I32 if single => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect(),
        Dtype::BOOL | Dtype::U8 if single => bytes.iter().map(|b| f32::from(*b)).collect(),
        other => {
            return Err(Error::format(format!("tensor '{name}' holds {other:?}; F32, F64, F16 and BF16 are read"))
                .remedy("save {k: v.float() for k, v in state_dict.items()}"));
        }
    })
}

/// Takes the scalars of neurons out of a state_dict: `beta`, `threshold`, `reset_mechanism_val` and `graded_spikes_factor` of snnTorch,
/// `w` of SpikingJelly's ParametricLIFNode. What else is left is for the layers.
///
/// # Errors
/// Format: neurons that ours are not (a synaptic current, recurrence, graded spikes), or that differ where `said` does not decide.
pub fn neurons(found: &mut BTreeMap<String, Tensor>, said: Said) -> Result<Neurons> {
    let has_weights: Vec<String> = found.keys().filter_map(|k| k.strip_suffix("weight").map(str::to_string)).collect();
    let mut scalars: BTreeMap<&'static str, Vec<(String, Vec<f32>)>> = BTreeMap::new();
    const NAMES: [&str; 7] = ["beta", "threshold", "reset_mechanism_val", "graded_spikes_factor", "w", "alpha", "V"];
    found.retain(|name, tensor| {
        let last = name.rsplit('.').next().unwrap_or_default();
        let kind = NAMES.into_iter().find(|n| *n == last && !has_weights.iter().any(|m| name.strip_suffix(last) == Some(m)));
        let kind = kind.filter(|_| tensor.shape.len() < 2);
        if let Some(kind) = kind {
            scalars.entry(kind).or_default().push((name.clone(), tensor.values.clone()));
        }
        kind.is_none()
    });
    let refuse = |kind: &str, what: &str| match scalars.get(kind).and_then(|all| all.first()) {
        Some((name, _)) => Err(Error::format(format!("'{name}': {what}")).remedy("train the network with LIF neurons (snnTorch's Leaky)")),
        None => Ok(()),
    };
    refuse("alpha", "neurons with a synaptic current, which those here do not have")?;
    refuse("V", "recurrent neurons; networks here are feed-forward")?;
    let mut out = Neurons::default();
    if let Some((name, v)) = find(&scalars, "graded_spikes_factor", |v| v != 1.0) {
        return Err(Error::format(format!("'{name}' is {v}: spikes here have the size 1"))
            .remedy("multiply the weights behind these neurons by it, and set it to 1"));
    }
    // tau = 1 / sigmoid(w)
    let leak = |w: f32| decimal(1.0 / (1.0 + f64::from(w).exp()));
    let decays: Vec<(String, f64)> = each(&scalars, "beta", shortest).chain(each(&scalars, "w", leak)).collect();
    out.decay = one("decay", &decays, said.decay)?;
    out.threshold = one("threshold", &each(&scalars, "threshold", shortest).collect::<Vec<_>>(), said.threshold)?;
    for (what, value, option) in [("decay", out.decay, said.decay), ("threshold", out.threshold, said.threshold)] {
        match (value, option) {
            (Some(v), None) => out.notes.push(format!("{what} {v}, as the file's neurons have it")),
            (Some(v), Some(o)) if v != o => out.notes.push(format!("{what} {o} as --{what} says; the file's neurons have {v}")),
            _ => {}
        }
    }
    out.reset = scalars.contains_key("reset_mechanism_val");
    if let Some((name, v)) = find(&scalars, "reset_mechanism_val", |v| v != 1.0) {
        let how = if v == 0.0 { "subtract the threshold at a spike" } else { "are not reset at a spike" };
        out.notes.push(format!(
            "'{name}' is {v}: the file's neurons {how}, those here are reset to 0; the network answers otherwise here than there. Train it on \
             with train --init, or train it there with reset_mechanism=\"zero\""
        ));
    }
    let taken: usize = scalars.values().map(Vec::len).sum();
    if taken > 0 {
        out.notes.push(format!(
            "{} of neurons {} no layers: {}",
            counted(taken, "scalar"),
            either(taken, "was read and is", "were read and are"),
            scalars.keys().copied().collect::<Vec<_>>().join(", ")
        ));
    }
    if scalars.contains_key("w") {
        out.notes.push(
            "'w' is of SpikingJelly's ParametricLIFNode; a state_dict does not say whether it multiplies its input by 1/tau too (decay_input, \
             its default): then multiply weights and biases before these neurons by 1 - decay first"
                .to_string(),
        );
    }
    Ok(out)
}

type Scalars = BTreeMap<&'static str, Vec<(String, Vec<f32>)>>;

/// The first scalar of a kind that is as asked.
fn find<'s>(all: &'s Scalars, kind: &str, is: impl Fn(f32) -> bool) -> Option<(&'s str, f32)> {
    let values = all.get(kind)?.iter().flat_map(|(name, values)| values.iter().map(move |v| (name.as_str(), *v)));
    values.into_iter().find(|(_, v)| is(*v))
}

/// All numbers of a kind, each with the name of its tensor.
fn each<'s>(all: &'s Scalars, kind: &str, of: impl Fn(f32) -> f64 + 's) -> impl Iterator<Item = (String, f64)> + 's {
    let values = all.get(kind).into_iter().flatten();
    values.flat_map(|(name, values)| values.iter().map(move |v| (name.clone(), *v))).map(move |(name, v)| (name, of(v)))
}

/// The number that all neurons share.
fn one(what: &str, values: &[(String, f64)], said: Option<f64>) -> Result<Option<f64>> {
    let Some((first, value)) = values.first() else { return Ok(None) };
    match values.iter().find(|(_, v)| v != value) {
        None => Ok(Some(*value)),
        Some(_) if said.is_some() => Ok(None),
        Some((name, other)) => {
            Err(Error::format(format!("neurons differ: '{first}' {value}, '{name}' {other}; networks here have one {what}"))
                .remedy(format!("choose one for all with --{what}; the network then answers otherwise until it is trained on")))
        }
    }
}

/// The decimal number that an f32 is the nearest of.
fn shortest(v: f32) -> f64 {
    v.to_string().parse().unwrap_or(f64::from(v))
}

fn decimal(v: f64) -> f64 {
    shortest(v as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(name: &str, values: &[f32]) -> (String, Tensor) {
        (name.to_string(), Tensor { shape: vec![], values: values.to_vec() })
    }

    #[test]
    fn scalars_of_neurons_say_the_decay_and_what_cannot_be_kept() {
        let leaky = |i: usize, beta: f32| [scalar(&format!("{i}.beta"), &[beta]), scalar(&format!("{i}.reset_mechanism_val"), &[0.0])];
        let mut all: BTreeMap<_, _> = leaky(1, 0.8).into_iter().chain(leaky(3, 0.8)).chain([scalar("0.weight", &[1.0])]).collect();
        let n = neurons(&mut all, Said::default()).unwrap();
        assert_eq!((n.decay, n.reset, all.len()), (Some(0.8), true, 1));
        assert!(n.notes.iter().any(|n| n.contains("subtract the threshold")), "{:?}", n.notes);

        let mut differ: BTreeMap<_, _> = leaky(1, 0.8).into_iter().chain(leaky(3, 0.7)).collect();
        assert!(neurons(&mut differ.clone(), Said::default()).unwrap_err().remedy.contains("--decay"));
        assert_eq!(neurons(&mut differ, Said { decay: Some(0.75), threshold: None }).unwrap().decay, None);

        let mut synaptic = BTreeMap::from([scalar("1.alpha", &[0.9])]);
        assert!(neurons(&mut synaptic, Said::default()).unwrap_err().to_string().contains("'1.alpha': neurons with a synaptic current"));
        let mut plif = BTreeMap::from([scalar("1.w", &[0.0])]);
        assert_eq!(neurons(&mut plif, Said::default()).unwrap().decay, Some(0.5));
    }
}
