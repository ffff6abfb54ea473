//! What a trained network shows on its test set: spikes and potentials of a few samples, confusions, filters.

use crate::data::{Dataset, Preparation, Split};
use crate::engine::Layout;
use crate::error::Result;
use crate::loss::predict;
use crate::network::Method;
use crate::shape::Chw;
use crate::study::cost::{Cost, measure};
use crate::tensors::{Place, Which};
use crate::train::Stop;
use crate::train::feed::{Feed, Labelled, preparation};
use crate::trained::Trained;

/// Neurons of a layer whose spikes are drawn.
pub const RASTER_NEURONS: usize = 100;
/// Neurons whose membrane potentials are drawn.
pub const TRACES: usize = 6;
/// Samples that silent and saturated neurons are sought with.
const STATE_SAMPLES: usize = 64;
/// Values of a layer on the host at one time: 64 MB.
const HOST_VALUES: usize = 1 << 24;

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Samples whose spikes are drawn.
    pub samples: usize,
    /// Test samples to classify, evenly spread; `None`: all.
    pub classified: Option<usize>,
    /// Measure what the network costs, on the same samples.
    pub cost: bool,
}

/// A network, and the samples it is looked at with.
struct Looked<'a> {
    net: &'a Trained,
    data: &'a dyn Dataset,
    feed: Feed<'a>,
    method: Method,
}

/// What was seen.
pub struct Look {
    /// The checkpoint it was seen with, in words.
    pub source: String,
    /// Whether no camera saw the data.
    pub simulated: bool,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Weight layers in order.
    pub layers: Vec<Layer>,
    /// T.
    pub steps: usize,
    /// u_th.
    pub threshold: f64,
    /// A few test samples; none in the `ann` warm-up, where nothing spikes.
    pub samples: Vec<Sample>,
    /// Classes and what they were taken for.
    pub confusion: Confusion,
    /// What the network costs and how soon it knows, if that was asked for.
    pub cost: Option<Cost>,
    /// How the first layer's weights are laid out.
    pub layout: Layout,
    /// The first layer's weights.
    pub weights: Vec<f32>,
    /// Test samples that [`Layer::silent`] and [`Layer::saturated`] were counted with.
    pub state_samples: usize,
}

/// A weight layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// As in the notation.
    pub name: String,
    /// LIF neurons.
    pub neurons: usize,
    /// Neurons that fired at no step of any sample.
    pub silent: usize,
    /// Neurons that fired at every step of every sample.
    pub saturated: usize,
}

/// A test sample on its way through the network.
pub struct Sample {
    /// Position in the test set.
    pub index: u32,
    /// Its class.
    pub label: u16,
    /// The class it is taken for.
    pub predicted: usize,
    /// Firing rates of the classes.
    pub rates: Vec<f64>,
    /// Shape of `input` at one step.
    pub shape: Chw,
    /// A picture `[C,H,W]`, 0 to 1, or frames `[T,C,H,W]` as the network reads them.
    pub input: Vec<f32>,
    /// Whether `input` are frames of events.
    pub events: bool,
    /// Per layer.
    pub rasters: Vec<Raster>,
    /// Index of the layer the traces are from.
    pub traced: usize,
    /// Membrane potentials.
    pub traces: Vec<Trace>,
}

/// Spikes of some neurons of a layer.
pub struct Raster {
    /// Positions in the layer, evenly spread.
    pub neurons: Vec<usize>,
    /// Bit t: a spike at step t.
    pub spikes: Vec<u64>,
    /// Spikes of the whole layer / (neurons · T).
    pub rate: f64,
}

/// The potential of a neuron.
pub struct Trace {
    /// Position in the layer.
    pub neuron: usize,
    /// `[T]`, before the reset.
    pub u: Vec<f32>,
    /// Bit t: a spike at step t.
    pub spikes: u64,
}

/// How often each class was taken for which.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// `[class, taken for]`.
    pub counts: Vec<u32>,
    /// Test samples classified.
    pub seen: usize,
    /// Test samples there are.
    pub of: usize,
}

impl Confusion {
    /// Share of samples classified rightly.
    pub fn accuracy(&self, classes: usize) -> f64 {
        (0..classes).map(|c| f64::from(self.counts[c * classes + c])).sum::<f64>() / self.seen.max(1) as f64
    }
}

/// Indices into `of` things, `n` of them at most, evenly spread.
fn spread(n: usize, of: usize) -> Vec<u32> {
    let n = n.min(of);
    (0..n).map(|i| (i * of / n) as u32).collect()
}

/// What `net` costs on the test set of `data`, on `classified` samples of it, evenly spread, or all; `None` in the `ann` warm-up.
///
/// # Errors
/// As [`Look::at`].
pub fn cost(net: &Trained, data: &dyn Dataset, classified: Option<usize>) -> Result<Option<Cost>> {
    let all = data.labels(Split::Test).len();
    let indices = spread(classified.unwrap_or(all), all);
    measure(net, &Feed::new(net.config(), data)?, (Split::Test, &indices), &Stop::default())
}

impl Look {
    /// Looks at `net` on the test set of `data`, whose samples it takes ([`Trained::check`]).
    ///
    /// # Errors
    /// Diverged: currents that are not finite. Storage or Format: a sample cannot be read.
    pub fn at(net: &Trained, data: &dyn Dataset, request: &Request) -> Result<Look> {
        let (plan, config) = (net.plan(), net.config());
        let looked = Looked { net, data, feed: Feed::new(config, data)?, method: net.method() };
        let all = data.labels(Split::Test).len();
        let indices = spread(request.classified.unwrap_or(all), all);
        let confusion = looked.confusion(&indices, all)?;
        let cost = match request.cost {
            true => measure(net, &looked.feed, (Split::Test, &indices), &Stop::default())?,
            false => None,
        };
        let layers = |(b, (silent, saturated)): (&crate::plan::Block, (usize, usize))| Layer {
            name: b.name(),
            neurons: b.output.len(),
            silent,
            saturated,
        };
        let (states, samples) = match looked.method.ann {
            true => (vec![(0, 0); plan.blocks.len()], Vec::new()),
            false => (looked.states(&spread(STATE_SAMPLES, all))?, looked.samples(request.samples)?),
        };
        Ok(Look {
            source: String::new(),
            simulated: data.simulated(),
            classes: data.classes().to_vec(),
            layers: plan.blocks.iter().zip(states).map(layers).collect(),
            steps: config.time_steps.last(),
            threshold: looked.method.lif.threshold,
            samples,
            confusion,
            cost,
            layout: plan.blocks[0].weight(),
            weights: net.host(Place { block: 0, which: Which::Weight })?,
            state_samples: STATE_SAMPLES.min(all),
        })
    }
}

impl Looked<'_> {
    fn confusion(&self, indices: &[u32], of: usize) -> Result<Confusion> {
        let classes = self.net.plan().classes();
        let mut counts = vec![0; classes * classes];
        for chunk in indices.chunks(self.net.config().batch) {
            let Labelled { batch, labels } = self.feed.plain(Split::Test, chunk, self.method.ann)?;
            let out = self.net.infer(&batch)?;
            for (rates, label) in out.rates.chunks(classes).zip(labels) {
                counts[usize::from(label) * classes + predict(rates)] += 1;
            }
        }
        Ok(Confusion { counts, seen: indices.len(), of })
    }

    /// Silent and saturated neurons of each layer.
    fn states(&self, indices: &[u32]) -> Result<Vec<(usize, usize)>> {
        let blocks = &self.net.plan().blocks;
        let largest = blocks.iter().map(|b| b.output.len()).max().unwrap_or(1);
        let at_once = (HOST_VALUES / (largest * self.net.config().time_steps.last())).clamp(1, STATE_SAMPLES);
        let mut ever: Vec<Vec<bool>> = blocks.iter().map(|b| vec![false; b.output.len()]).collect();
        let mut always: Vec<Vec<bool>> = blocks.iter().map(|b| vec![true; b.output.len()]).collect();
        for chunk in indices.chunks(at_once) {
            let Labelled { batch, .. } = self.feed.plain(Split::Test, chunk, false)?;
            self.net.infer_seen(&batch, &mut |i, seen| {
                for neurons in seen.spikes()?.chunks(blocks[i].output.len()) {
                    for (n, o) in neurons.iter().enumerate() {
                        ever[i][n] |= *o > 0.0;
                        always[i][n] &= *o > 0.0;
                    }
                }
                Ok(())
            })?;
        }
        let count = |flags: &[bool], what: bool| flags.iter().filter(|f| **f == what).count();
        Ok(ever.iter().zip(&always).map(|(e, a)| (count(e, false), count(a, true))).collect())
    }

    /// The first test samples of different classes.
    fn samples(&self, n: usize) -> Result<Vec<Sample>> {
        let labels = self.data.labels(Split::Test);
        let mut chosen: Vec<u32> = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            if chosen.len() < n && chosen.iter().all(|&c| labels[c as usize] != *label) {
                chosen.push(i as u32);
            }
        }
        chosen.into_iter().map(|index| self.sample(index)).collect()
    }

    fn sample(&self, index: u32) -> Result<Sample> {
        let (blocks, steps) = (&self.net.plan().blocks, self.net.config().time_steps.last());
        let traced = blocks.len().saturating_sub(2);
        let Labelled { batch, labels } = self.feed.plain(Split::Test, &[index], false)?;
        let (mut rasters, mut traces) = (Vec::new(), Vec::new());
        let out = self.net.infer_seen(&batch, &mut |i, seen| {
            let trains = trains(&seen.spikes()?, steps);
            if i == traced {
                traces = choose_traces(&trains, &seen.potentials(self.method.lif, steps)?, steps);
            }
            rasters.push(raster(&trains, steps));
            Ok(())
        })?;
        let events = self.data.steps().is_some();
        let raw = Preparation::scale_only(self.net.plan().shape.c);
        let prep = if events { preparation(self.net.config(), self.data) } else { raw };
        let shape = self.data.shape(&prep);
        Ok(Sample {
            index,
            label: labels[0],
            predicted: predict(&out.rates),
            rates: out.rates,
            shape,
            input: self.data.assemble(Split::Test, &[index], &prep, None)?.reals(shape),
            events,
            rasters,
            traced,
            traces,
        })
    }
}

/// Spike trains as words, from `[T,neurons]`.
fn trains(acts: &[f32], steps: usize) -> Vec<u64> {
    let neurons = acts.len() / steps;
    let mut words = vec![0u64; neurons];
    for (t, step) in acts.chunks(neurons).enumerate() {
        words.iter_mut().zip(step).for_each(|(w, o)| *w |= u64::from(*o > 0.0) << t);
    }
    words
}

fn raster(trains: &[u64], steps: usize) -> Raster {
    let neurons: Vec<usize> = spread(RASTER_NEURONS, trains.len()).into_iter().map(|i| i as usize).collect();
    let spikes = neurons.iter().map(|&n| trains[n]).collect();
    let all: u64 = trains.iter().map(|w| u64::from(w.count_ones())).sum();
    Raster { neurons, spikes, rate: all as f64 / (trains.len() * steps) as f64 }
}

/// From the busiest neuron down to the least busy that fired, and last the silent one that came closest to the threshold.
fn choose_traces(trains: &[u64], u: &[f32], steps: usize) -> Vec<Trace> {
    let neurons = trains.len();
    let trace = |n: usize| Trace { neuron: n, u: (0..steps).map(|t| u[t * neurons + n]).collect(), spikes: trains[n] };
    let mut fired: Vec<usize> = (0..neurons).filter(|&n| trains[n] != 0).collect();
    fired.sort_by_key(|&n| (std::cmp::Reverse(trains[n].count_ones()), n));
    let peak = |n: &usize| (0..steps).map(|t| u[t * neurons + n]).fold(f32::MIN, f32::max);
    let silent = (0..neurons).filter(|&n| trains[n] == 0).max_by(|a, b| peak(a).total_cmp(&peak(b)));
    let room = TRACES - usize::from(silent.is_some());
    spread(room, fired.len()).into_iter().map(|i| fired[i as usize]).chain(silent).map(trace).collect()
}
