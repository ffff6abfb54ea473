//! A network on the host: what every format is written from, and what every file becomes when it is read.

use crate::engine::{BN_EPS, Engine, Layout, Running};
use crate::error::Result;
use crate::network::{Network, Tensors, tensor_names};
use crate::neuron::Lif;
use crate::plan::{Block, Plan};

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
    pub fn of<E: Engine>(engine: &E, net: &Network<E>, lif: Lif) -> Result<Model> {
        let layer = |(p, running): (&Tensors<E::Param>, &Option<Running<E::Param>>)| {
            let norm = p.norm.as_ref().zip(running.as_ref());
            let norm = norm.map(|((gamma, beta), r)| {
                let running = Running { mean: engine.host(&r.mean)?, var: engine.host(&r.var)? };
                Ok(Norm { gamma: engine.host(gamma)?, beta: engine.host(beta)?, running })
            });
            Ok(Layer { weight: engine.host(&p.weight)?, bias: engine.host(&p.bias)?, norm: norm.transpose()? })
        };
        let layers = net.params.iter().zip(&net.running).map(layer).collect::<Result<_>>()?;
        Ok(Model { plan: net.plan.clone(), lif, layers })
    }

    /// The network on a device. A norm that was folded becomes one that changes nothing.
    pub fn network<E: Engine>(&self, engine: &E) -> Network<E> {
        let pairs = || self.plan.blocks.iter().zip(&self.layers);
        let params = pairs().map(|(block, layer)| {
            let norm = layer.norm.clone().unwrap_or_else(|| Norm::identity(block));
            let host = [&layer.weight, &layer.bias, &norm.gamma, &norm.beta];
            let mut all = tensor_names(block).into_iter().zip(host).map(|((_, layout), values)| engine.param(layout, values));
            let mut next = || all.next();
            // A block has a weight and a bias, and γ and β where it has a norm.
            Some(Tensors { weight: next()?, bias: next()?, norm: next().zip(next()) })
        });
        let params = params.map(|t| t.expect("two or four tensors")).collect();
        let running = |(block, layer): (&Block, &Layer)| {
            let host = layer.norm.as_ref().map_or_else(|| Norm::identity(block).running, |n| n.running.clone());
            let device = |values: &[f32]| engine.param(Layout::PerChannel(block.output.c), values);
            block.has_norm().then(|| Running { mean: device(&host.mean), var: device(&host.var) })
        };
        Network { plan: self.plan.clone(), params, running: pairs().map(running).collect(), recompute: vec![false; self.layers.len()] }
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

impl Norm {
    /// Scale 1, shift 0: 1 - eps is the variance whose root, with eps, is 1 in f32.
    fn identity(block: &Block) -> Norm {
        let all = |v: f32| vec![v; block.output.c];
        Norm { gamma: all(1.0), beta: all(0.0), running: Running { mean: all(0.0), var: all((1.0 - BN_EPS) as f32) } }
    }
}
