//! A notation on an input shape: the blocks of the network with shapes, parameters and cost.
//!
//! A block is one weight layer with what stands before it: `[pools and dropout]* → conv or linear → norm → ReLU → LIF`.

use crate::error::{Error, Result};
use crate::limits;
use crate::notation::{Layer, Notation};
use crate::shape::{Chw, Layout};

/// Output neurons that vote for one class.
pub const VOTERS: usize = 10;

/// What happens to spikes between two weight layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Max pooling of this side.
    MaxPool(usize),
    /// Average pooling of this side.
    AvgPool(usize),
    /// Dropout, p = 0.5.
    Dropout,
}

/// One pooling or dropout on the way into a block.
#[derive(Clone, Copy, Debug)]
pub struct FrontStep {
    /// Position in the notation, from 0.
    pub index: usize,
    /// What it does.
    pub front: Front,
    /// Shape before.
    pub input: Chw,
    /// Shape after.
    pub output: Chw,
}

/// The weight layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Convolution of this kernel side, with BatchNorm.
    Conv(usize),
    /// Fully connected.
    Full,
    /// The voters.
    Vote,
}

/// One weight layer and what stands before it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Position of the weight layer in the notation, from 0; names its parameters.
    pub index: usize,
    /// Pools and dropout before it, in order.
    pub fronts: Vec<FrontStep>,
    /// Input of the weight layer.
    pub input: Chw,
    /// Its output, one LIF neuron per element.
    pub output: Chw,
    /// Which layer.
    pub kind: BlockKind,
    /// Whether ReLU stands before the neurons: never before the voters.
    pub relu: bool,
}

impl Block {
    /// How the weights are laid out.
    pub fn weight(&self) -> Layout {
        match self.kind {
            BlockKind::Conv(k) => Layout::Conv { out: self.output.c, inp: self.input.c, k },
            BlockKind::Full | BlockKind::Vote => Layout::Linear { out: self.output.c, inp: self.input },
        }
    }
    /// Whether BatchNorm follows.
    pub fn has_norm(&self) -> bool {
        matches!(self.kind, BlockKind::Conv(_))
    }
    /// Inputs of one neuron; weights start uniform in ±1/sqrt of it.
    pub fn fan_in(&self) -> usize {
        match self.kind {
            BlockKind::Conv(k) => self.input.c * k * k,
            BlockKind::Full | BlockKind::Vote => self.input.len(),
        }
    }
    /// Weights that one input reaches (borders counted as if padded with zeros).
    pub fn fan_out(&self) -> usize {
        match self.kind {
            BlockKind::Conv(k) => self.output.c * k * k,
            BlockKind::Full | BlockKind::Vote => self.output.c,
        }
    }
    /// Weights, bias, and γ, β where there is a norm.
    pub fn parameters(&self) -> usize {
        self.weight().len() + self.output.c * if self.has_norm() { 3 } else { 1 }
    }
    /// Multiply-accumulates of one sample at one step, if it were dense (borders counted as if padded with zeros).
    pub fn macs(&self) -> usize {
        self.fan_in() * self.output.len()
    }
    /// As in the notation, e.g. `256C3`.
    pub fn name(&self) -> String {
        match self.kind {
            BlockKind::Conv(k) => Layer::Conv { out: self.output.c, k }.to_string(),
            BlockKind::Full => Layer::Full(self.output.c).to_string(),
            BlockKind::Vote => Layer::Voting(self.output.c / VOTERS).to_string(),
        }
    }
}

/// A network laid out for an input shape.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The text it came from.
    pub notation: Notation,
    /// Input of one sample at one step.
    pub shape: Chw,
    /// The blocks in order; the last one votes.
    pub blocks: Vec<Block>,
}

impl Plan {
    /// Lays `notation` out for inputs of `shape`.
    ///
    /// # Errors
    /// Usage, naming the column: pooling leaves nothing, or the network has more than [`limits::MAX_PARAMETERS`].
    pub fn new(notation: Notation, shape: Chw) -> Result<Plan> {
        let (mut at, mut fronts, mut blocks) = (shape, Vec::new(), Vec::new());
        let mut parameters = 0usize;
        for (index, &layer) in notation.layers().iter().enumerate() {
            let place = || format!("network notation, column {}", notation.column(index));
            let input = at;
            let kind = match layer {
                Layer::MaxPool(k) | Layer::AvgPool(k) => {
                    at = Chw::new(input.c, input.h / k, input.w / k);
                    if at.is_empty() {
                        return Err(Error::usage(format!("{layer} of a {input} map leaves nothing"))
                            .at(place())
                            .remedy("use a smaller window, fewer pools, or larger inputs"));
                    }
                    let front = if matches!(layer, Layer::MaxPool(_)) { Front::MaxPool(k) } else { Front::AvgPool(k) };
                    fronts.push(FrontStep { index, front, input, output: at });
                    continue;
                }
                Layer::Dropout => {
                    fronts.push(FrontStep { index, front: Front::Dropout, input, output: at });
                    continue;
                }
                Layer::Conv { out, k } => {
                    at = Chw::new(out, input.h, input.w);
                    BlockKind::Conv(k)
                }
                Layer::Full(n) => {
                    at = Chw::new(n, 1, 1);
                    BlockKind::Full
                }
                Layer::Voting(n) => {
                    at = Chw::new(n * VOTERS, 1, 1);
                    BlockKind::Vote
                }
            };
            let block = Block { index, fronts: std::mem::take(&mut fronts), input, output: at, kind, relu: kind != BlockKind::Vote };
            parameters = block.fan_in().checked_mul(at.c).and_then(|n| parameters.checked_add(n)).unwrap_or(usize::MAX);
            if parameters > limits::MAX_PARAMETERS || at.len() > limits::MAX_PARAMETERS {
                return Err(Error::usage(format!(
                    "with {layer} the network has more than {} parameters or neurons",
                    limits::MAX_PARAMETERS
                ))
                .at(place())
                .remedy("use fewer channels or units, or pool before this layer"));
            }
            blocks.push(block);
        }
        Ok(Plan { notation, shape, blocks })
    }

    /// The same network without ReLU: currents reach the neurons with their sign (`--relu off`).
    pub fn without_relu(mut self) -> Plan {
        self.blocks.iter_mut().for_each(|b| b.relu = false);
        self
    }

    /// The first block whose BatchNorm would see one value per channel in a batch of `samples`: the unbiased variance divides by n - 1.
    pub fn without_variance(&self, samples: usize) -> Option<&Block> {
        self.blocks.iter().find(|b| b.has_norm() && b.output.area() * samples < 2)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.notation.classes()
    }
    /// All parameters.
    pub fn parameters(&self) -> usize {
        self.blocks.iter().map(Block::parameters).sum()
    }
    /// Dense multiply-accumulates of one sample at one step.
    pub fn macs(&self) -> usize {
        self.blocks.iter().map(Block::macs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(net: &str, shape: &str) -> Result<Plan> {
        Plan::new(Notation::named(net, 10)?, shape.parse()?)
    }

    #[test]
    fn table_1_costs_what_the_method_says() {
        let small = plan("small", "1x28x28").unwrap();
        assert_eq!((small.macs() as f64 / 1e6).round(), 139.0);
        assert_eq!(small.blocks[3].input, Chw::new(256, 7, 7));
        assert_eq!((small.parameters() as f64 / 1e6).round(), 52.0);
        assert_eq!((plan("large", "2x64x64").unwrap().macs() as f64 / 1e6).round(), 992.0);
    }

    #[test]
    fn pooling_to_nothing_names_the_column() {
        let e = plan("8C3-MP2-AP7-10Voting", "1x8x8").unwrap_err();
        assert!(e.place.contains("column 9") && e.what.contains("8x4x4"), "{e}");
    }

    #[test]
    fn one_value_has_no_variance() {
        let plan = plan("8C3-MP2-8C3-8C3-10Voting", "1x2x2").unwrap();
        assert_eq!(plan.without_variance(1).map(|b| b.index), Some(2));
        assert!(plan.without_variance(2).is_none());
    }

    #[test]
    fn absurd_networks_are_refused_before_memory_is_taken() {
        let e = plan("1048576FC-1048576FC-10Voting", "1x28x28").unwrap_err();
        assert!(e.what.contains("parameters"), "{e}");
    }
}
