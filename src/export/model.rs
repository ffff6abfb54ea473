//! A network on the host: what every format is written from, and what every file becomes when it is read.

use crate::config::Config;
use crate::engine::{BN_EPS, Running};
use crate::error::Result;
use crate::neuron::Lif;
use crate::plan::Plan;
use crate::tensors::{self, Tensor, Tensors, Which};
use crate::trained::Trained;

/// BatchNorm of one block, `[C]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// γ
    pub gamma: Vec<f32>,
    /// β
    pub beta: Vec<f32>,
    /// Running statistics.
    pub running: Running<Vec<f32>>,
}

/// Parameters of one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `[out, in, K, K]`, or `[out, in]` with inputs in C,H,W order.
    pub weight: Vec<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
    /// `None`: no norm, or one that was folded into weight and bias.
    pub norm: Option<Norm>,
}

/// A network with its neuron.
#[derive(Clone, Debug)]
pub struct Model {
    /// The blocks.
    pub plan: Plan,
    /// λ and u_th, the same in all layers.
    pub lif: Lif,
    /// One entry per block.
    pub layers: Vec<Layer>,
}

impl Model {
    /// Brings a network to the host.
    ///
    /// # Errors
    /// Memory: the device has failed.
    pub fn of(net: &Trained) -> Result<Model> {
        Model::from_tensors(net.plan().clone(), net.method().lif, |t| net.host(t.place))
    }

    /// Of the values that `values` gives for each tensor.
    ///
    /// # Errors
    /// Of `values`.
    pub fn from_tensors(plan: Plan, lif: Lif, mut values: impl FnMut(&Tensor) -> Result<Vec<f32>>) -> Result<Model> {
        let (params, running) = (tensors::parameters(&plan, &mut values)?, tensors::statistics(&plan, &mut values)?);
        let layer = |(Tensors { weight, bias, norm }, running): (Tensors<Vec<f32>>, Option<Running<Vec<f32>>>)| {
            let norm = norm.zip(running).map(|((gamma, beta), running)| Norm { gamma, beta, running });
            Layer { weight, bias, norm }
        };
        let layers = params.into_iter().zip(running).map(layer).collect();
        Ok(Model { plan, lif, layers })
    }

    /// The network, to be computed with as `config` says, but with the neuron of the model. A norm that was folded becomes one that changes
    /// nothing.
    ///
    /// # Errors
    /// Usage: this machine does not have the configuration's instruction set.
    pub fn trained(&self, config: Config, classes: Vec<String>) -> Result<Trained> {
        let config = Config { decay: self.lif.decay, threshold: self.lif.threshold, ..config };
        Trained::imported(config, &self.plan, classes, &mut |t| {
            let values = self.layers[t.place.block].get(t.place.which);
            Ok(values.cloned().unwrap_or_else(|| vec![unchanging(t.place.which); t.layout.len()]))
        })
    }

    /// The same function without BatchNorm: W' = kW, b' = k(b - mean) + β, k = γ/sqrt(var + eps). Computed in f64, rounded once.
    pub fn folded(&self) -> Model {
        Model { layers: self.layers.iter().map(Layer::folded).collect(), ..self.clone() }
    }

    /// Whether ReLU stands before any neuron.
    pub fn has_relu(&self) -> bool {
        self.plan.blocks.iter().any(|b| b.relu)
    }
}

impl Layer {
    /// One of the tensors; `None`: the layer has no norm, or it was folded.
    pub fn get(&self, which: Which) -> Option<&Vec<f32>> {
        let norm = self.norm.as_ref();
        match which {
            Which::Weight => Some(&self.weight),
            Which::Bias => Some(&self.bias),
            Which::Gamma => norm.map(|n| &n.gamma),
            Which::Beta => norm.map(|n| &n.beta),
            Which::Mean => norm.map(|n| &n.running.mean),
            Which::Var => norm.map(|n| &n.running.var),
        }
    }

    fn folded(&self) -> Layer {
        let Some(n) = &self.norm else { return self.clone() };
        let k = |c: usize| f64::from(n.gamma[c]) / (f64::from(n.running.var[c]) + BN_EPS).sqrt();
        let fan_in = self.weight.len() / self.bias.len();
        let bias = |(c, &b): (usize, &f32)| (k(c) * (f64::from(b) - f64::from(n.running.mean[c])) + f64::from(n.beta[c])) as f32;
        Layer {
            weight: self.weight.iter().enumerate().map(|(i, &w)| (k(i / fan_in) * f64::from(w)) as f32).collect(),
            bias: self.bias.iter().enumerate().map(bias).collect(),
            norm: None,
        }
    }
}

/// Of a norm that changes nothing: scale 1, shift 0. 1 - eps is the variance whose root, with eps, is 1 in f32.
fn unchanging(which: Which) -> f32 {
    match which {
        Which::Var => (1.0 - BN_EPS) as f32,
        Which::Gamma => 1.0,
        _ => 0.0,
    }
}
