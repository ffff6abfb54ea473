//! A NIR graph back into a network: [`super::graph`] the other way round, and what other programs write in the same words.

use super::graph::{Chain, Node, Tensor};
use super::model::{Layer, Model};
use super::nir::SUPPORTED;
use crate::engine::VOTERS;
use crate::error::{Error, Result};
use crate::neuron::Lif;
use crate::notation::{self, Notation};
use crate::plan::Plan;
use crate::shape::Chw;

/// A network read layer by layer.
struct Walk {
    nodes: std::iter::Peekable<std::vec::IntoIter<(String, Node)>>,
    input: Chw,
    at: Chw,
    tokens: Vec<notation::Layer>,
    layers: Vec<Layer>,
    lif: Option<Lif>,
    /// k² of sums that the next weights take for averages.
    sums: f64,
    /// Whether what flows are the spikes of neurons.
    spikes: bool,
    /// Seconds of a time step.
    dt: f64,
}

/// The network of a graph: [conv or fully connected → LIF], pools between them, voters at the end. It has no BatchNorm and no ReLU.
/// Output neurons that nobody averages count as ten equal voters each. A step takes `dt` seconds; a flat input has the shape `shape`.
///
/// # Errors
/// Format: naming the node and what is supported.
pub fn model(chain: Chain, dt: f64, shape: Option<Chw>) -> Result<Model> {
    let mut nodes = chain.0.into_iter().peekable();
    let Some((name, Node::Input(sides))) = nodes.next() else { return Err(Error::format("a graph without an input")) };
    let input = match (&sides[..], shape) {
        (&[n], Some(shape)) if shape.len() == n => shape,
        (&[c], None) => Chw::new(c, 1, 1),
        (&[c, h, w], None) => Chw::new(c, h, w),
        (&[c, h, w], Some(shape)) if shape == Chw::new(c, h, w) => shape,
        (_, Some(shape)) => return Err(Error::usage(format!("the input of the graph is {sides:?}")).option_as("shape", shape)),
        (_, None) => return Err(Error::format(format!("expected an input of C,H,W, found {sides:?}")).at(name)),
    };
    input.to_string().parse::<Chw>().map_err(|e| Error::format(e.what).at(&name).remedy(e.remedy))?;
    let mut walk = Walk { nodes, input, at: input, tokens: Vec::new(), layers: Vec::new(), lif: None, sums: 1.0, spikes: false, dt };
    while let Some((name, node)) = walk.nodes.next() {
        let kind = node.kind();
        if matches!(node, Node::Output(_)) {
            break;
        }
        walk.node(node).map_err(|e| e.at(format!("node '{name}' ({kind})")))?;
    }
    walk.finish()
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::format(what).remedy(format!(
        "supported are {SUPPORTED}: convolutions of stride 1 that keep the size, non-overlapping pools, LIF behind every layer"
    ))
}

impl Walk {
    fn node(&mut self, node: Node) -> Result<()> {
        match node {
            Node::Conv2d { input, weight, stride, padding, dilation, groups, bias } => {
                if stride != [1, 1] || dilation != [1, 1] || groups != 1 {
                    return Err(unsupported(format!("stride {stride:?}, dilation {dilation:?}, groups {groups}")));
                }
                if input.is_some_and(|i| i != [self.at.h, self.at.w]) || weight.shape[1] != self.at.c {
                    return Err(unsupported(format!("weights {:?} on input {input:?}, found {} before it", weight.shape, self.at)));
                }
                let [kh, kw] = [weight.shape[2], weight.shape[3]];
                let same = kh == kw && kh % 2 == 1 && padding == [kh / 2, kw / 2];
                // A 1x1 window on a 1x1 map is both; it is read as fully connected.
                if same && (self.at.area() > 1 || kh > 1) {
                    return self.layer(notation::Layer::Conv { out: weight.shape[0], k: kh }, weight, bias);
                }
                if [kh, kw] == [self.at.h, self.at.w] && padding == [0, 0] {
                    return self.full(weight, bias);
                }
                Err(unsupported(format!("a window of {kh}x{kw} with padding {padding:?} on {}", self.at)))
            }
            Node::Affine { weight, bias } => {
                if weight.shape[1] != self.at.len() {
                    return Err(unsupported(format!("weights {:?}, found {} before them", weight.shape, self.at)));
                }
                let bias = bias.unwrap_or_else(|| vec![0.0; weight.shape[0]]);
                self.full(weight, bias)
            }
            Node::Flatten(shape) => {
                if shape.iter().product::<usize>() != self.at.len() {
                    return Err(unsupported(format!("of {shape:?}, found {} before it", self.at)));
                }
                Ok(())
            }
            Node::Pool { average, kernel, stride, padding } => self.pool(average, kernel, stride, padding),
            Node::Lif { .. } => Err(unsupported("neurons that no weights feed")),
            Node::Input(_) | Node::Output(_) => Err(unsupported("an input or output in between")),
        }
    }

    fn pool(&mut self, average: bool, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Result<()> {
        let [k, _] = kernel;
        if kernel != stride || kernel != [k, k] || padding != [0, 0] || k == 0 || k > self.at.h || k > self.at.w {
            return Err(unsupported(format!("windows {kernel:?} with stride {stride:?} and padding {padding:?} on {}", self.at)));
        }
        self.at = Chw::new(self.at.c, self.at.h / k, self.at.w / k);
        if let Some((_, Node::Lif { tau, r, threshold, .. })) = self.nodes.next_if(|(_, n)| matches!(n, Node::Lif { .. })) {
            let one = self.dt / tau * r;
            if average || !self.spikes || self.sums != 1.0 || !(0.0..one).contains(&threshold) {
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
        if matches!(self.nodes.peek(), Some((_, Node::Lif { .. }))) {
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
        let Some((name, Node::Lif { shape, tau, r, threshold })) = self.nodes.next() else {
            return Err(unsupported("no neurons behind these weights"));
        };
        if shape.iter().product::<usize>() != self.at.len() || bias.len() != out {
            return Err(unsupported(format!("{} biases and neurons {shape:?} behind weights that make {}", bias.len(), self.at)).at(name));
        }
        let gain = self.dt / tau * r;
        if !(tau >= self.dt && tau.is_finite() && gain > 0.0 && gain.is_finite() && threshold > 0.0) {
            return Err(unsupported(format!(
                "tau {tau}, r {r}, v_threshold {threshold}; tau must be a time step ({} s) or more, the others above 0",
                self.dt
            ))
            .at(name));
        }
        let lif = Lif { decay: decimal(1.0 - self.dt / tau), threshold };
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

    fn finish(mut self) -> Result<Model> {
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
            Ok(Model { plan, lif, layers: self.layers })
        } else {
            Err(unsupported(format!("weights that do not fit {}", plan.notation)))
        }
    }
}

/// The shortest decimal number that f32 cannot tell from `x`: τ in f32 does not give back λ to the last digit.
fn decimal(x: f64) -> f64 {
    let rounded = |digits: i32| (x * 10f64.powi(digits)).round() / 10f64.powi(digits);
    (0..7).map(rounded).find(|r| (r - x).abs() < 3e-8).unwrap_or(x)
}
