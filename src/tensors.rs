//! The tensors of a network: name, shape and place of each, for everything that stores, loads or lists them.
//!
//! Names are `{i}.weight`, `{i}.bias`, and where a norm follows `{i}.bn.weight`, `.bn.bias`, `.bn.running_mean`, `.bn.running_var`; i is
//! the layer's position in the notation, from 0. Checkpoints spell them as [`Tensor::in_checkpoint`] says.

use sha2::{Digest, Sha256};

use crate::data::hex;
use crate::engine::Running;
use crate::error::Result;
use crate::plan::{Block, Plan};
use crate::shape::Layout;

/// Which tensor of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// W
    Weight,
    /// b
    Bias,
    /// γ
    Gamma,
    /// β
    Beta,
    /// Running mean.
    Mean,
    /// Running variance.
    Var,
}

impl Which {
    /// In the order of a block; γ and what follows only where the block has a norm.
    const ALL: [Which; 6] = [Which::Weight, Which::Bias, Which::Gamma, Which::Beta, Which::Mean, Which::Var];

    /// The name behind the layer's position.
    fn name(self) -> &'static str {
        ["weight", "bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"][self as usize]
    }

    /// Whether no gradient moves it.
    pub fn is_statistic(self) -> bool {
        matches!(self, Which::Mean | Which::Var)
    }
}

/// Where a tensor lies in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of its block among the blocks.
    pub block: usize,
    /// Which of the block's tensors.
    pub which: Which,
}

/// What a tensor stands for: of a parameter AdamW's two moments are stored under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The tensor itself.
    Value,
    /// First moment.
    FirstMoment,
    /// Second moment.
    SecondMoment,
}

/// A tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// As in the table above.
    pub name: String,
    /// How its values are laid out.
    pub layout: Layout,
    /// Where it lies.
    pub place: Place,
}

impl Tensor {
    fn new(position: usize, block: &Block, which: Which) -> Tensor {
        let layout = if which == Which::Weight { block.weight() } else { Layout::PerChannel(block.output.c) };
        Tensor { name: format!("{}.{}", block.index, which.name()), layout, place: Place { block: position, which } }
    }

    /// Sides on the host, outermost first.
    pub fn shape(&self) -> Vec<usize> {
        match self.layout {
            Layout::Conv { out, inp, k } => vec![out, inp, k, k],
            Layout::Linear { out, inp } => vec![out, inp.len()],
            Layout::PerChannel(n) => vec![n],
        }
    }

    /// The name in a checkpoint: parameters and moments behind what they are (`param.0.weight`, `adamw.m.0.weight`, `adamw.v.0.bn.bias`),
    /// statistics with their layer's position in another place (`bn.0.running_mean`).
    pub fn in_checkpoint(&self, role: Role) -> String {
        if self.place.which.is_statistic() {
            let (index, name) = self.name.split_once(".bn.").unwrap_or_default();
            return format!("bn.{index}.{name}");
        }
        let prefix = match role {
            Role::Value => "param",
            Role::FirstMoment => "adamw.m",
            Role::SecondMoment => "adamw.v",
        };
        format!("{prefix}.{}", self.name)
    }
}

/// The tensors of the block at `position`: weight, bias, γ, β, running mean, running variance.
pub fn of_block(position: usize, block: &Block) -> Vec<Tensor> {
    let count = if block.has_norm() { 6 } else { 2 };
    Which::ALL[..count].iter().map(|&which| Tensor::new(position, block, which)).collect()
}

/// The tensors of a network, block by block.
pub fn of(plan: &Plan) -> Vec<Tensor> {
    plan.blocks.iter().enumerate().flat_map(|(i, block)| of_block(i, block)).collect()
}

/// The parameters of one block, their gradients, or one of AdamW's moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors<P> {
    /// W
    pub weight: P,
    /// b
    pub bias: P,
    /// γ and β, where the block has a norm.
    pub norm: Option<(P, P)>,
}

impl<P> Tensors<P> {
    /// In the fixed order weight, bias, γ, β.
    pub fn each(&self) -> impl Iterator<Item = &P> {
        [&self.weight, &self.bias].into_iter().chain(self.norm.iter().flat_map(|(g, b)| [g, b]))
    }

    /// In the same order, to be changed.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut P> {
        [&mut self.weight, &mut self.bias].into_iter().chain(self.norm.iter_mut().flat_map(|(g, b)| [g, b]))
    }

    /// One of them; `None` for a statistic, and for γ or β where there is no norm.
    pub fn get(&self, which: Which) -> Option<&P> {
        self.each().nth(which as usize)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, which: Which) -> Option<&mut P> {
        self.each_mut().nth(which as usize)
    }
}

/// What `make` gives for each parameter of a network.
///
/// # Errors
/// Of `make`.
pub fn parameters<P, F>(
    plan: &Plan,
    mut make: impl FnMut(&Tensor) -> std::result::Result<P, F>,
) -> std::result::Result<Vec<Tensors<P>>, F> {
    let of = |(i, block): (usize, &Block)| {
        let mut next = |which| make(&Tensor::new(i, block, which));
        let (weight, bias) = (next(Which::Weight)?, next(Which::Bias)?);
        let norm = if block.has_norm() { Some((next(Which::Gamma)?, next(Which::Beta)?)) } else { None };
        Ok(Tensors { weight, bias, norm })
    };
    plan.blocks.iter().enumerate().map(of).collect()
}

/// What `make` gives for each running statistic of a network; `None` where a block has no norm.
///
/// # Errors
/// Of `make`.
pub fn statistics<P, F>(
    plan: &Plan,
    mut make: impl FnMut(&Tensor) -> std::result::Result<P, F>,
) -> std::result::Result<Vec<Option<Running<P>>>, F> {
    let of = |(i, block): (usize, &Block)| {
        let mut next = |which| make(&Tensor::new(i, block, which));
        if block.has_norm() { Ok(Some(Running { mean: next(Which::Mean)?, var: next(Which::Var)? })) } else { Ok(None) }
    };
    plan.blocks.iter().enumerate().map(of).collect()
}

/// SHA-256 (hex) over the values that `values` gives for each tensor of a network, block by block, as f32 little-endian.
///
/// # Errors
/// Of `values`.
pub fn sha256(plan: &Plan, mut values: impl FnMut(&Tensor) -> Result<Vec<f32>>) -> Result<String> {
    let mut hash = Sha256::new();
    for tensor in of(plan) {
        for chunk in values(&tensor)?.chunks(1 << 16) {
            hash.update(chunk.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tensor_has_one_name_and_one_in_checkpoints() {
        let plan = Plan::new("4C3-MP2-10Voting".parse().unwrap(), "2x4x4".parse().unwrap()).unwrap();
        let all: Vec<(String, Vec<usize>, String)> =
            of(&plan).iter().map(|t| (t.name.clone(), t.shape(), t.in_checkpoint(Role::SecondMoment))).collect();
        let want = [
            ("0.weight", &[4, 2, 3, 3][..], "adamw.v.0.weight"),
            ("0.bias", &[4], "adamw.v.0.bias"),
            ("0.bn.weight", &[4], "adamw.v.0.bn.weight"),
            ("0.bn.bias", &[4], "adamw.v.0.bn.bias"),
            ("0.bn.running_mean", &[4], "bn.0.running_mean"),
            ("0.bn.running_var", &[4], "bn.0.running_var"),
            ("2.weight", &[100, 16], "adamw.v.2.weight"),
            ("2.bias", &[100], "adamw.v.2.bias"),
        ];
        assert_eq!(all.len(), want.len());
        for (got, want) in all.iter().zip(want) {
            assert_eq!((&*got.0, &*got.1, &*got.2), want);
        }
    }

    #[test]
    fn a_place_leads_to_the_tensor_made_for_it() {
        let plan = Plan::new("4C3-MP2-10Voting".parse().unwrap(), "2x4x4".parse().unwrap()).unwrap();
        let name = |t: &Tensor| Ok::<_, std::convert::Infallible>(t.name.clone());
        let (Ok(params), Ok(running)) = (parameters(&plan, name), statistics(&plan, name));
        for t in of(&plan) {
            let found = match (t.place.which, &running[t.place.block]) {
                (Which::Mean, Some(r)) => Some(&r.mean),
                (Which::Var, Some(r)) => Some(&r.var),
                (which, _) => params[t.place.block].get(which),
            };
            assert_eq!(found, Some(&t.name));
        }
    }
}
