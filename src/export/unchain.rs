//! A NIR graph back into a network: [`super::graph`] the other way round, and what other programs write in the same words.

use super::graph::{Chain, Node, Tensor};
use super::model::{Layer, Model};
use super::nir::{Found, SUPPORTED};
use super::stated::Stated;
use super::time_step::TimeStep;
use super::{Hints, Imported, NETWORK};
use crate::engine::VOTERS;
use crate::error::{Error, Result};
use crate::limits;
use crate::neuron::Lif;
use crate::notation::{self, Notation};
use crate::plan::Plan;
use crate::plural::{counted, counted_as, either};
use crate::shape::Chw;

/// A network read layer by layer.
struct Walk {
    nodes: std::iter::Peekable<std::vec::IntoIter<(String, Node)>>,
    input: Chw,
    at: Chw,
    step: TimeStep,
    tokens: Vec<notation::Layer>,
    layers: Vec<Layer>,
    lif: Option<Lif>,
    /// k² of sums that the next weights take for averages.
    sums: f64,
    /// Whether what flows are the spikes of neurons.
    spikes: bool,
    /// What the user has to know about the network.
    notes: Vec<String>,
}

/// What a NIR file cannot say.
const RESET: &str = "NIR does not say how neurons reset: it is taken that a spike resets the membrane potential to 0. A network whose neurons \
     subtract the threshold instead (the default of snnTorch, Sinabs and Rockpool) answers otherwise here, and only its own framework can show \
     it: compare both on some samples";

/// The network of a graph: [conv or fully connected → LIF or IF], pools between them, voters at the end. It has no BatchNorm and no ReLU.
/// Output neurons that nobody averages count as ten equal voters each. Of the hints the shape, the time step and λ are used.
///
/// # Errors
/// Usage: another shape was said than the file has. Format: naming the node and what is supported.
pub fn model(Found { chain: Chain(nodes), dt, about }: Found, hints: &Hints) -> Result<Imported> {
    let step = TimeStep::of(&nodes, dt, hints)?;
    let mut nodes = nodes.into_iter().peekable();
    let Some((name, Node::Input(shape))) = nodes.next() else { return Err(Error::format("a graph without an input")) };
    let (mut notes, place) = (Vec::new(), format!("node '{name}' (Input)"));
    let input = input(&shape, hints.shape, &mut notes).map_err(|e| e.at(place))?;
    let (tokens, layers) = (Vec::new(), Vec::new());
    let mut walk = Walk { nodes, input, at: input, step, tokens, layers, lif: None, sums: 1.0, spikes: false, notes };
    while let Some((name, node)) = walk.nodes.next() {
        let kind = node.kind();
        if matches!(node, Node::Output(_)) {
            break;
        }
        walk.node(node).map_err(|e| e.at(format!("node '{name}' ({kind})")))?;
    }
    let mut imported = walk.finish()?;
    // What we wrote ourselves resets to 0.
    if !about.contains_key(NETWORK) {
        imported.notes.push(RESET.to_string());
    }
    Ok(Imported { stated: Stated::of(&about)?, ..imported })
}

/// The input as C,H,W. A row of numbers is what `said` makes of it; a first side of 1 before C,H,W is the batch in older files.
fn input(shape: &[usize], said: Option<Chw>, notes: &mut Vec<String>) -> Result<Chw> {
    let found = match *shape {
        [c, h, w] | [1, c, h, w] => Chw::new(c, h, w),
        [c] | [1, c] => Chw::new(c, 1, 1),
        _ => return Err(Error::format(format!("expected an input of C,H,W, found {shape:?}"))),
    };
    match said {
        Some(said) if said == found => Ok(said),
        Some(said) if found.area() == 1 && found.c == said.len() => {
            notes.push(format!(
                "the {} in a row {} taken as {said}: channels outermost, then rows, then columns",
                counted(said.len(), "input"),
                either(said.len(), "is", "are")
            ));
            Ok(said)
        }
        Some(said) => Err(Error::usage(format!("the file has {shape:?}, which are not the {} numbers of {said}", said.len()))
            .option_as("shape", said)
            .remedy("say the shape that the network was trained on, or leave --shape out")),
        None if found.area() == 1 && found.c > limits::MAX_INPUT_CHANNELS => {
            let what = format!("{} inputs in a row, of which the file does not say channels, height and width", found.c);
            Err(Error::format(what).remedy(format!(
                "say --shape CxHxW, three numbers whose product is {}, e.g. {}",
                found.c,
                guess(found.c)
            )))
        }
        None => found.to_string().parse::<Chw>().map_err(|e| Error::format(e.what).remedy(e.remedy)),
    }
}

/// A shape of so many numbers for an example: one or two channels and a square, where that is possible.
fn guess(n: usize) -> Chw {
    let square = |c: usize| (n / c).isqrt();
    match [1, 2, 3].into_iter().find(|&c| c * square(c) * square(c) == n) {
        Some(c) => Chw::new(c, square(c), square(c)),
        None => Chw::new(1, 1, n),
    }
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::format(what).remedy(format!(
        "supported are {SUPPORTED}: convolutions of stride 1 that keep the size, non-overlapping pools, neurons behind every layer"
    ))
}

impl Walk {
    fn node(&mut self, node: Node) -> Result<()> {
        match node {
            Node::Conv2d { input, weight, stride, padding, dilation, groups, bias } => {
                let [kh, kw] = [weight.shape[2], weight.shape[3]];
                let whole = [kh, kw] == [self.at.h, self.at.w] && padding == [0, 0];
                // A window as large as the map takes one step only, however long.
                if dilation != [1, 1] || groups != 1 || stride != [1, 1] && !whole {
                    return Err(not_kept(format!("stride {stride:?}, dilation {dilation:?}, groups {groups}")));
                }
                if input.is_some_and(|i| i != [self.at.h, self.at.w]) || weight.shape[1] != self.at.c {
                    return Err(unsupported(format!("weights {:?} on input {input:?}, found {} before it", weight.shape, self.at)));
                }
                let same = kh == kw && kh % 2 == 1 && padding == [kh / 2, kw / 2];
                // A 1x1 window on a 1x1 map is both; it is read as fully connected.
                if same && (self.at.area() > 1 || kh > 1) {
                    return self.layer(notation::Layer::Conv { out: weight.shape[0], k: kh }, weight, bias);
                }
                if whole {
                    return self.full(weight, bias);
                }
                Err(not_kept(format!("a window of {kh}x{kw} with padding {padding:?} on {}", self.at)))
            }
            Node::Affine { weight, bias } => {
                if weight.shape[1] != self.at.len() {
                    let e = unsupported(format!("weights {:?}, found {} before them", weight.shape, self.at));
                    let turned = weight.shape[0] == self.at.len();
                    return Err(if turned {
                        e.remedy("NIR's weights are [out, in]; these look like [in, out]: write them transposed")
                    } else {
                        e
                    });
                }
                let bias = bias.unwrap_or_else(|| vec![0.0; weight.shape[0]]);
                self.full(weight, bias)
            }
            Node::Flatten(shape) => {
                // Sides of 0, or none: the file does not know them.
                let known = !shape.is_empty() && !shape.contains(&0);
                if known && shape.iter().product::<usize>() != self.at.len() {
                    return Err(unsupported(format!("of {shape:?}, found {} before it", self.at)));
                }
                Ok(())
            }
            Node::Pool { average, kernel, stride, padding } => self.pool(average, kernel, stride, padding),
            Node::Lif { .. } | Node::If { .. } => Err(unsupported("neurons that no weights feed")),
            Node::Input(_) | Node::Output(_) => Err(unsupported("an input or output in between")),
        }
    }

    fn pool(&mut self, average: bool, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Result<()> {
        let [k, _] = kernel;
        if kernel != stride || kernel != [k, k] || padding != [0, 0] || k == 0 || k > self.at.h || k > self.at.w {
            return Err(unsupported(format!("windows {kernel:?} with stride {stride:?} and padding {padding:?} on {}", self.at)));
        }
        self.at = Chw::new(self.at.c, self.at.h / k, self.at.w / k);
        if let Some((name, neurons)) = self.nodes.next_if(|(_, n)| is_neurons(n)) {
            let place = format!("neurons '{name}'");
            let Neurons { lif, gain, .. } = Neurons::of(&neurons, &self.step).map_err(|e| e.at(place))?;
            if average || !self.spikes || self.sums != 1.0 || !(0.0..gain).contains(&lif.threshold) {
                return Err(unsupported(
                    "neurons behind a pool are read as max pooling of spikes: sums of spikes, of which one alone fires",
                ));
            }
            self.tokens.push(notation::Layer::MaxPool(k));
            return Ok(());
        }
        self.tokens.push(notation::Layer::AvgPool(k));
        self.sums *= if average { 1.0 } else { (k * k) as f64 };
        Ok(())
    }

    /// Fully connected with neurons behind it, or the mean of voters.
    fn full(&mut self, weight: Tensor, bias: Vec<f32>) -> Result<()> {
        if self.nodes.peek().is_some_and(|(_, n)| is_neurons(n)) {
            return self.layer(notation::Layer::Full(weight.shape[0]), weight, bias);
        }
        let (classes, voters) = (weight.shape[0], self.at.len());
        let mean = |(i, &w): (usize, &f32)| w == if i % voters / VOTERS == i / voters { 1.0 / VOTERS as f32 } else { 0.0 };
        let is_vote = voters == classes * VOTERS && self.sums == 1.0 && bias.iter().all(|b| *b == 0.0);
        if !is_vote || !weight.values.iter().enumerate().all(mean) || !matches!(self.tokens.last(), Some(notation::Layer::Full(_))) {
            return Err(unsupported(format!("weights {:?} without neurons behind them", weight.shape)));
        }
        self.tokens.pop();
        self.tokens.push(notation::Layer::Voting(classes));
        self.at = Chw::new(classes, 1, 1);
        Ok(())
    }

    /// Weights and the neurons behind them.
    fn layer(&mut self, token: notation::Layer, weight: Tensor, bias: Vec<f32>) -> Result<()> {
        let out = weight.shape[0];
        self.at = if let notation::Layer::Conv { .. } = token { Chw::new(out, self.at.h, self.at.w) } else { Chw::new(out, 1, 1) };
        let Some((name, node)) = self.nodes.next_if(|(_, n)| is_neurons(n)) else {
            return Err(unsupported("no neurons behind these weights"));
        };
        let name = format!("neurons '{name}' ({})", node.kind());
        let Neurons { shape, lif, gain } = Neurons::of(&node, &self.step).map_err(|e| e.at(&name))?;
        // One number for all neurons does not say how many they are.
        if !shape.is_empty() && shape.iter().product::<usize>() != self.at.len() || bias.len() != out {
            return Err(unsupported(format!(
                "{} and neurons {shape:?} behind weights that make {}",
                counted_as(bias.len(), "bias", "biases"),
                self.at
            ))
            .at(name));
        }
        if let Some(other) = self.lif.filter(|other| *other != lif) {
            let of = |l: Lif| format!("decay {} and threshold {}", l.decay, l.threshold);
            return Err(unsupported(format!("{} here, {} before; layers of one network have the same", of(lif), of(other))).at(name));
        }
        self.lif = Some(lif);
        let by = |values: Vec<f32>, factor: f64| values.into_iter().map(|v| (f64::from(v) * factor) as f32).collect();
        self.layers.push(Layer { weight: by(weight.values, gain * self.sums), bias: by(bias, gain), norm: None });
        (self.sums, self.spikes) = (1.0, true);
        self.tokens.push(token);
        Ok(())
    }

    fn finish(mut self) -> Result<Imported> {
        // Output neurons without a vote: each becomes ten that do the same, whose mean it is.
        if let (Some(notation::Layer::Full(n)), Some(last)) = (self.tokens.last().copied(), self.layers.last_mut()) {
            let fan_in = last.weight.len() / n;
            last.weight = last.weight.chunks(fan_in).flat_map(|row| row.repeat(VOTERS)).collect();
            last.bias = last.bias.iter().flat_map(|b| [*b; VOTERS]).collect();
            self.tokens.pop();
            self.tokens.push(notation::Layer::Voting(n));
        }
        let (Some(notation::Layer::Voting(_)), Some(lif)) = (self.tokens.last(), self.lif) else {
            return Err(unsupported("the last layer is not fully connected with neurons"));
        };
        let text: Vec<String> = self.tokens.iter().map(|t| t.to_string()).collect();
        let notation: Notation = text.join("-").parse().map_err(|e: Error| Error::format(e.what).remedy(e.remedy))?;
        let plan = Plan::new(notation, self.input).map_err(|e| Error::format(e.what).remedy(e.remedy))?.without_relu();
        let fits =
            plan.blocks.len() == self.layers.len() && plan.blocks.iter().zip(&self.layers).all(|(b, l)| b.weight().len() == l.weight.len());
        if fits {
            self.step.agrees(lif.decay)?;
            self.notes.push(self.step.note(lif.decay));
            Ok(Imported { model: Model { plan, lif, layers: self.layers }, stated: Stated::default(), notes: self.notes })
        } else {
            Err(unsupported(format!("weights that do not fit {}", plan.notation)))
        }
    }
}

/// A layer's neurons in our terms.
struct Neurons {
    /// As the file has it; empty: one number stands for all.
    shape: Vec<usize>,
    lif: Lif,
    /// What currents are multiplied by.
    gain: f64,
}

impl Neurons {
    fn of(node: &Node, step: &TimeStep) -> Result<Neurons> {
        let (shape, decay, gain, threshold) = match node {
            Node::Lif { shape, tau, r, threshold } => (shape, step.decay(*tau)?, step.dt / tau * r, *threshold),
            Node::If { shape, r, threshold } => (shape, 1.0, step.dt * r, *threshold),
            _ => return Err(Error::bug("no neurons")),
        };
        if gain > 0.0 && gain.is_finite() && threshold > 0.0 {
            return Ok(Neurons { shape: shape.clone(), lif: Lif { decay, threshold }, gain });
        }
        Err(unsupported(format!("currents times {gain}, v_threshold {threshold}; both must be above 0")))
    }
}

fn is_neurons(node: &Node) -> bool {
    matches!(node, Node::Lif { .. } | Node::If { .. })
}

/// Of a convolution that changes height and width.
fn not_kept(what: impl std::fmt::Display) -> Error {
    unsupported(format!("{what}: convolutions here have stride 1, one group, an odd square window and as many outputs as inputs")).remedy(format!(
        "train it with padding \"same\" and stride 1, and a SumPool2d or AvgPool2d behind the neurons in place of a stride; supported are {SUPPORTED}"
    ))
}
