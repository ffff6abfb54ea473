//! NIR graphs in memory, and how a network becomes one.
//!
//! NIR (neuroir.org) describes networks as nodes of continuous time. Its LIF is τ dv/dt = v_leak - v + r·i, which all readers step by
//! Euler: v ← v + dt/τ·(r·i - v). With τ = dt/(1-λ) and r = 1 that is our λ·v + (1-λ)·i, so weights and bias of the layer before it
//! are multiplied by τ/dt = 1/(1-λ).

use super::Profile;
use super::model::Model;
use crate::engine::VOTERS;
use crate::error::{Error, Result};
use crate::plan::{Block, BlockKind, Front};
use crate::shape::Chw;

/// Seconds of a time step: what SpikingJelly and snnTorch assume, and what Norse has to be told.
pub const DT: f64 = 1e-4;

/// Numbers with their shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// As many values as the sides say.
    pub values: Vec<f32>,
}

/// A node, in NIR's words. Pairs are height, width.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Where samples come in.
    Input(Vec<usize>),
    /// Where decisions go out.
    Output(Vec<usize>),
    /// A convolution.
    Conv2d {
        /// Height and width of the input; readers infer it where it is absent.
        input: Option<[usize; 2]>,
        /// `[out, in, K, K]`
        weight: Tensor,
        /// Of the window.
        stride: [usize; 2],
        /// Zeros around the input.
        padding: [usize; 2],
        /// Gaps in the window.
        dilation: [usize; 2],
        /// Groups of channels.
        groups: usize,
        /// `[out]`
        bias: Vec<f32>,
    },
    /// Sums or averages of windows.
    Pool {
        /// AvgPool2d instead of SumPool2d.
        average: bool,
        /// The window.
        kernel: [usize; 2],
        /// Its steps.
        stride: [usize; 2],
        /// Zeros around the input.
        padding: [usize; 2],
    },
    /// C,H,W in one row.
    Flatten(Vec<usize>),
    /// `y = W x + b`; NIR's Linear has no bias.
    Affine {
        /// `[out, in]`
        weight: Tensor,
        /// `[out]`; `None` for Linear.
        bias: Option<Vec<f32>>,
    },
    /// Leaky integrate-and-fire, the same numbers for all neurons; v_leak = v_reset = 0.
    Lif {
        /// One neuron each.
        shape: Vec<usize>,
        /// Seconds.
        tau: f64,
        /// Resistance.
        r: f64,
        /// v_threshold.
        threshold: f64,
    },
    /// Integrate-and-fire without a leak; the same numbers for all neurons, v_reset = 0.
    If {
        /// One neuron each.
        shape: Vec<usize>,
        /// Resistance: v ← v + dt·r·i.
        r: f64,
        /// v_threshold.
        threshold: f64,
    },
}

impl Node {
    /// NIR's name of the kind of node.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Input(_) => "Input",
            Node::Output(_) => "Output",
            Node::Conv2d { .. } => "Conv2d",
            Node::Pool { average: false, .. } => "SumPool2d",
            Node::Pool { average: true, .. } => "AvgPool2d",
            Node::Flatten(_) => "Flatten",
            Node::Affine { bias: Some(_), .. } => "Affine",
            Node::Affine { bias: None, .. } => "Linear",
            Node::Lif { .. } => "LIF",
            Node::If { .. } => "IF",
        }
    }
}

/// A graph that is a chain: every node feeds the one after it. The first is the input, the last the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain(pub Vec<(String, Node)>);

/// What is built on the way through the blocks.
struct Builder<'m> {
    model: &'m Model,
    profile: Profile,
    nodes: Vec<(String, Node)>,
    /// Shape of what flows.
    at: Chw,
    /// What sums still have to be multiplied by to be averages.
    scale: f64,
    /// Whether what flows is a row of numbers (`spec` after its Flatten).
    flat: bool,
}

/// The network as a graph. BatchNorm is folded and ReLU left out; the caller asks [`Model::has_relu`].
///
/// # Errors
/// Usage: λ = 1, which no time constant gives; max pooling of values that are not spikes.
pub fn of(model: &Model, profile: Profile) -> Result<Chain> {
    let lif = model.lif;
    if lif.decay >= 1.0 {
        return Err(Error::usage("a decay of 1 has no time constant: NIR's LIF leaks")
            .option_as("decay", "1")
            .remedy("train with a decay below 1, or export with --format safetensors, npz or c"));
    }
    let model = &model.folded();
    let shape = model.plan.shape;
    let mut b = Builder { model, profile, nodes: Vec::new(), at: shape, scale: 1.0, flat: false };
    b.push("input", Node::Input(sides(shape)));
    for (i, block) in model.plan.blocks.iter().enumerate() {
        b.fronts(block, i == 0)?;
        b.weights(i, block);
        b.lif(&format!("{}_lif", block.index), model.lif.threshold);
    }
    b.vote();
    let shape = b.shape();
    b.push("output", Node::Output(shape));
    Ok(Chain(b.nodes))
}

fn sides(s: Chw) -> Vec<usize> {
    vec![s.c, s.h, s.w]
}

impl Builder<'_> {
    fn push(&mut self, name: &str, node: Node) {
        self.nodes.push((name.to_string(), node));
    }

    fn shape(&self) -> Vec<usize> {
        if self.flat { vec![self.at.c] } else { sides(self.at) }
    }

    /// Spikes of all neurons behind the last node.
    fn lif(&mut self, name: &str, threshold: f64) {
        let node = Node::Lif { shape: self.shape(), tau: DT / (1.0 - self.model.lif.decay), r: 1.0, threshold };
        self.push(name, node);
    }

    /// Pools; dropout does nothing in a trained network.
    fn fronts(&mut self, block: &Block, first: bool) -> Result<()> {
        for f in &block.fronts {
            let name = |what: &str| format!("{}_{what}", f.index);
            match f.front {
                Front::Dropout => {}
                Front::AvgPool(k) => {
                    let average = self.profile == Profile::Spec;
                    self.pool(&name("pool"), k, average, f.output);
                    self.scale /= if average { 1.0 } else { (k * k) as f64 };
                }
                Front::MaxPool(k) => {
                    if first || block.fronts.iter().any(|g| g.index < f.index && matches!(g.front, Front::AvgPool(_))) {
                        return Err(Error::usage(format!(
                            "max pooling of {} has no form in NIR",
                            if first { "inputs" } else { "averages" }
                        ))
                        .at(format!("layer {} (MP{k})", f.index))
                        .remedy("use average pooling there, or export with --format safetensors, npz or c"));
                    }
                    // Any spike in the window lifts v to (1-λ) or more: it fires and is reset; without a spike v stays 0.
                    self.pool(&name("pool"), k, false, f.output);
                    self.lif(&name("max"), 0.5 * (1.0 - self.model.lif.decay));
                }
            }
        }
        Ok(())
    }

    fn pool(&mut self, name: &str, k: usize, average: bool, output: Chw) {
        self.push(name, Node::Pool { average, kernel: [k, k], stride: [k, k], padding: [0, 0] });
        self.at = output;
    }

    /// Weights and bias of a block, times τ/dt.
    fn weights(&mut self, i: usize, block: &Block) {
        let (layer, gain) = (&self.model.layers[i], 1.0 / (1.0 - self.model.lif.decay));
        let scaled = |values: &[f32], by: f64| values.iter().map(|&v| (f64::from(v) * by) as f32).collect::<Vec<f32>>();
        let (weight, bias) = (scaled(&layer.weight, gain * self.scale), scaled(&layer.bias, gain));
        self.scale = 1.0;
        self.affine(&format!("{}_{}", block.index, if block.has_norm() { "conv" } else { "fc" }), block.kind, block.output, weight, bias);
    }

    fn affine(&mut self, name: &str, kind: BlockKind, output: Chw, weight: Vec<f32>, bias: Vec<f32>) {
        let from = self.at;
        if !matches!(kind, BlockKind::Conv(_)) && self.profile == Profile::Spec {
            if !self.flat {
                self.push(&format!("{name}_flatten"), Node::Flatten(sides(from)));
            }
            self.flat = true;
            self.at = output;
            self.push(name, Node::Affine { weight: Tensor { shape: vec![output.c, from.len()], values: weight }, bias: Some(bias) });
            return;
        }
        // Without Flatten, of which readers disagree whether it sees the batch: a window as large as the map.
        let ([kh, kw], pad) = if let BlockKind::Conv(k) = kind { ([k, k], k / 2) } else { ([from.h, from.w], 0) };
        self.at = output;
        let weight = Tensor { shape: vec![output.c, from.c, kh, kw], values: weight };
        let input = Some([from.h, from.w]);
        self.push(name, Node::Conv2d { input, weight, stride: [1, 1], padding: [pad, pad], dilation: [1, 1], groups: 1, bias });
    }

    /// The mean of each class's voters. No neuron follows, so nothing is multiplied by τ/dt.
    fn vote(&mut self) {
        let (classes, voters) = (self.at.c / VOTERS, self.at.c);
        let weight = (0..classes * voters).map(|i| if i % voters / VOTERS == i / voters { 1.0 / VOTERS as f32 } else { 0.0 }).collect();
        self.affine("vote", BlockKind::Vote, Chw::new(classes, 1, 1), weight, vec![0.0; classes]);
    }
}
