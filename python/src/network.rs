//! The class `Network`: a trained network of the library, and what was said of it.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use spiketrain::config::{Config, Options};
use spiketrain::curriculum::TimeSteps;
use spiketrain::data::{Dataset, Split};
use spiketrain::engine::{Batch, DropMask, Engine};
use spiketrain::error::{Error, Result};
use spiketrain::loss::Loss;
use spiketrain::network::{self, Checks, LESS, Method, Output};
use spiketrain::notation::Notation;
use spiketrain::plan::{Block, Front, FrontStep};
use spiketrain::schedule::WarmUp;
use spiketrain::shape::Chw;
use spiketrain::storage::Disk;
use spiketrain::tensors;
use spiketrain::train::budget::within;
use spiketrain::train::{Observer, Stop, open};
use spiketrain::trained::{Trained, Use};

use crate::arrays::{self, Arrays, Labelled, Samples, array, labels};
use crate::errors::{check_process, exception};
use crate::learn::{Learning, check_statistics};
use crate::options::{check_in_memory, of_network, options};
use crate::state;
use crate::waiting::{Done, python, wait};

/// A spiking network with its weights.
///
/// Network("16C3-MP2-128FC-10Voting", (C, H, W), T=4, rule="bpsa+bpta", seed=1) has fresh weights. The notation may be a preset ("small"),
/// then for `classes` classes. Options are those of `spiketrain train`, with _ for -, and so are their defaults: those of dataset="glyphs"
/// unless another set is named. They hold for everything that is done with the network.
#[pyclass(module = "spiketrain")]
pub struct Network {
    net: Trained,
    /// What was said of it, and holds when it is trained.
    options: Options,
}

/// Samples and labels, as a pair.
type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (notation, shape, *, classes=10, **keywords))]
    fn new(notation: &str, shape: (usize, usize, usize), classes: usize, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Network> {
        let mut said = options(keywords)?;
        let make = || {
            let shape: Chw = format!("{}x{}x{}", shape.0, shape.1, shape.2).parse()?;
            let notation = Notation::named(notation, classes)?;
            said.net = Some(notation.to_string());
            if said.init.take().is_some() {
                let e = Error::usage("a network begins with fresh weights").at("init");
                return Err(e.remedy("open a checkpoint with spiketrain.load(path), or set weights with set_state()"));
            }
            // As long as it is not trained it has not been warmed up either.
            let config = Config { warm_up: WarmUp::None, ..open::absolute(said.clone())?.complete()? };
            let plan = config.lay_out(notation, shape)?;
            Ok(Network { net: Trained::fresh(config, &plan)?, options: said })
        };
        make().map_err(exception)
    }

    /// The notation, e.g. "16C3-MP2-128FC-10Voting".
    #[getter]
    fn notation(&self) -> String {
        self.net.plan().notation.to_string()
    }

    /// (C, H, W) of one sample at one step.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let shape = self.net.plan().shape;
        (shape.c, shape.h, shape.w)
    }

    /// Names of the classes; a label is a position among them.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.net.classes().to_vec()
    }

    /// The layers with neurons, in order, as in the notation.
    #[getter]
    fn layers(&self) -> Vec<String> {
        self.net.plan().blocks.iter().map(Block::name).collect()
    }

    /// The whole configuration, as a dictionary.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = serde_json::to_value(Options::from(self.net.config())).map_err(|e| exception(Error::bug(e)))?;
        let named: serde_json::Map<_, _> = value.as_object().into_iter().flatten().map(|(k, v)| (k.replace('-', "_"), v.clone())).collect();
        python(py, &named.into())
    }

    /// SHA-256 (hex) over parameters and running statistics, as result.json has it.
    #[getter]
    fn weights_sha256(&self) -> PyResult<String> {
        self.net.weights_sha256().map_err(exception)
    }

    fn __repr__(&self) -> String {
        let plan = self.net.plan();
        format!("Network(\"{}\", {}: {} parameters, {} engine)", plan.notation, plan.shape, plan.parameters(), self.net.engine())
    }

    /// All parameters and running statistics by name, as copies (float32).
    ///
    /// Names begin with the position in the notation: "0.weight" [out, in, k, k] or, fully connected, [out, in] with inputs in C, H, W
    /// order; "0.bias", "0.bn.weight", "0.bn.bias", "0.bn.running_mean", "0.bn.running_var" [out].
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        state::state(py, &self.net)
    }

    /// Sets the tensors that `values` names, as in state(); the others stay. All of them are set, or, on an error, none.
    ///
    /// Raises UsageError: an unknown name, another shape, or a number that is not finite.
    fn set_state(&mut self, values: &Bound<PyDict>) -> PyResult<()> {
        state::set_state(&mut self.net, values)
    }

    /// What the network says in evaluation mode (running statistics, no dropout): a Forward of rates [B, classes], spikes per layer
    /// [T, B, C, H, W] (bool; none with spikes=False) and firing_rates [layers].
    ///
    /// x: pictures [B, C, H, W], the same at each of the T steps (default: the network's T), or frames of events [T, B, C, H, W].
    /// Raises UsageError: shapes do not fit. DivergedError: a layer's currents are not finite.
    #[allow(non_snake_case)] // T is what the field calls it
    #[pyo3(signature = (x, T=None, *, spikes=true))]
    fn forward<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>, T: Option<usize>, spikes: bool) -> PyResult<Bound<'py, PyAny>> {
        check_process()?;
        if spikes && self.net.method().ann {
            let e = Error::usage("the network was trained in the ann warm-up only: nothing spikes").at("spikes");
            return Err(exception(e.remedy("say spikes=False, or train it past the warm-up")));
        }
        let plan = self.net.plan();
        let samples = Samples::read(x, plan.shape)?;
        let (count, frames) = (samples.count, samples.steps.is_some());
        let (steps, rates, counts, trains) = py
            .detach(|| {
                let steps = samples.time_steps(T, self.net.config().time_steps.last())?;
                // A picture need be seen once by neurons that keep nothing.
                let steps = if self.net.method().ann && !frames { 1 } else { steps };
                let batch = samples.into_batch(plan.shape, steps)?;
                let mut trains: Vec<Vec<bool>> = Vec::new();
                let out = self.net.infer_seen(&batch, &mut |_, seen| {
                    if spikes {
                        trains.push(seen.spikes()?.into_iter().map(|o| o != 0.0).collect());
                    }
                    Ok(())
                })?;
                Ok((steps, out.rates, out.spikes, trains))
            })
            .map_err(exception)?;
        let outputs = || plan.blocks.iter().map(|b| b.output);
        let spikes =
            trains.into_iter().zip(outputs()).map(|(s, o)| array(py, s, &[steps, count, o.c, o.h, o.w])).collect::<PyResult<Vec<_>>>()?;
        let firing_rates: Vec<f64> = counts.iter().zip(outputs()).map(|(&s, o)| s as f64 / (steps * count * o.len()) as f64).collect();
        let firing_rates = array(py, firing_rates, &[counts.len()])?;
        let rates = array(py, rates, &[count, plan.classes()])?;
        py.import("spiketrain.results")?.getattr("Forward")?.call1((rates, spikes, firing_rates))
    }

    /// Loss and its gradients by the learning rule, in training mode: a LossAndGradients of loss, gradients by name, rates [B, classes]
    /// and spike_counts [layers]. The network stays as it is; with update_statistics=True its running statistics move on.
    ///
    /// x, T: as in forward(). labels: [B] whole numbers. step: the training step (from 1) whose dropout masks are used.
    /// Raises UsageError, DivergedError; MemoryPlanError, before any work, if the pass does not fit into memory.
    #[allow(non_snake_case)]
    #[pyo3(signature = (x, labels, T=None, *, step=1, update_statistics=false))]
    fn loss_and_gradients<'py>(
        &mut self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        T: Option<usize>,
        step: u64,
        update_statistics: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        check_process()?;
        let (shape, classes) = (self.net.plan().shape, self.net.plan().classes());
        let samples = Samples::read(x, shape)?;
        let targets = arrays::labels(labels, samples.count, classes)?;
        let count = samples.count;
        let steps = samples.time_steps(T, self.net.config().time_steps.last()).map_err(exception)?;
        self.check_memory(&samples, steps).map_err(exception)?;
        let (method, loss, seed) = (self.net.method(), self.net.config().loss, self.net.config().seed);
        let (value, out, grads) = py
            .detach(|| {
                let batch = samples.into_batch(shape, steps)?;
                self.net.on(Differentiated { batch: &batch, targets: &targets, method, loss, seed, step, update_statistics })
            })
            .map_err(exception)?;
        let gradients = PyDict::new(py);
        for (name, shape, values) in grads {
            gradients.set_item(name, array(py, values, &shape)?)?;
        }
        let rates = array(py, out.rates, &[count, classes])?;
        py.import("spiketrain.results")?.getattr("LossAndGradients")?.call1((value, gradients, rates, out.spikes))
    }

    /// Which neurons stay (True, multiplied by 2) in training step `step` (from 1): per DP an array [B, C, H, W] for B samples.
    #[pyo3(signature = (samples, *, step=1))]
    fn dropout_masks<'py>(&self, py: Python<'py>, samples: usize, step: u64) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let fronts = self.net.plan().blocks.iter().flat_map(|b| &b.fronts).filter(|f| f.front == Front::Dropout);
        let mask = |f: &FrontStep| {
            let drawn = DropMask::Drawn { seed: self.net.config().seed, step, layer: f.index, first_sample: 0 };
            array(py, drawn.keep(samples, f.input.len()), &[samples, f.input.c, f.input.h, f.input.w])
        };
        fronts.map(mask).collect()
    }

    /// Trains on arrays, from the weights as they are, with moments of zero; gives a dictionary per epoch, as metrics.jsonl has it.
    ///
    /// x: [N, C, H, W] or frames [T, N, C, H, W]; values as they are, no augmentation. labels: [N]. test: (x, labels), judged after epochs.
    /// callback: called with a dictionary after every step ("kind": "step") and epoch ("epoch"); what it raises stops the training and is
    /// passed on, as Ctrl-C is. What was learned before stays. Options: epochs, batch, lr, schedule, warm_up and so on.
    /// Raises UsageError, DivergedError, MemoryPlanError.
    #[pyo3(signature = (x, labels, *, test=None, callback=None, **keywords))]
    fn train<'py>(
        &mut self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        test: Option<Pair<'py>>,
        callback: Option<Py<PyAny>>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let said = options(keywords)?;
        check_in_memory(&said).map_err(exception)?;
        let data = self.arrays(x, labels, test.as_ref())?;
        let own = Options { time_steps: data.steps().map(TimeSteps::from).or(self.options.time_steps.clone()), ..self.options.clone() };
        let config = said.or(own).complete().map_err(exception)?;
        let stop = Stop::default();
        let Done { result, raised } = wait(py, &stop, callback.as_ref(), |reports| {
            let learned = self.net.on(Learning { config: &config, data: &data, stop: &stop, reports })?;
            self.net.learned(config, learned.progress);
            Ok(learned.lines)
        })?;
        raised.map_or_else(|| python(py, &json!(result)), Err)
    }

    /// A dictionary of accuracy (0 to 1), loss, firing_rates [layers] and samples on x with labels, as in forward(), in batches.
    #[allow(non_snake_case)]
    #[pyo3(signature = (x, labels, T=None, *, batch=None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        T: Option<usize>,
        batch: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = self.arrays(x, labels, None)?;
        let said = Options { time_steps: T.or(data.steps()).map(TimeSteps::from), batch, ..Options::default() };
        let config = said.or(self.options.clone()).complete().map_err(exception)?;
        let stop = Stop::default();
        let Done { result, raised } = wait(py, &stop, None, |_| self.net.evaluate(&config, &data, Split::Train, &stop))?;
        raised.map_or_else(|| python(py, &json!(result)), Err)
    }

    /// Writes a checkpoint of the weights, whole or not at all, for load(), and for `spiketrain eval` and `predict`.
    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.net.save(&Disk, &path)).map(|_| ()).map_err(exception)
    }
}

/// The network of a checkpoint: of a file, or of a run folder's best.ckpt or last.ckpt, else of its newest checkpoint.
///
/// Raises FormatError: it is damaged. StorageError: it cannot be read.
#[pyfunction]
pub fn load(py: Python, path: PathBuf) -> PyResult<Network> {
    let stop = Stop::default();
    let Done { result, raised } = wait(py, &stop, None, |reports| {
        let (net, _) = Trained::open(&path, None, &mut |text| Observer::note(reports, text))?;
        Ok(Network { options: of_network(net.config()), net })
    })?;
    raised.map_or(Ok(result), Err)
}

impl Network {
    fn arrays(&self, x: &Bound<PyAny>, targets: &Bound<PyAny>, test: Option<&Pair>) -> PyResult<Arrays> {
        let (shape, classes) = (self.net.plan().shape, self.net.plan().classes());
        let read = |x: &Bound<PyAny>, targets: &Bound<PyAny>| -> PyResult<Labelled> {
            let samples = Samples::read(x, shape)?;
            let labels = labels(targets, samples.count, classes)?;
            Ok(Labelled { samples, labels })
        };
        let train = read(x, targets)?;
        let test = test.map(|(x, targets)| read(x, targets)).transpose()?;
        Arrays::new(shape, self.net.classes().to_vec(), train, test).map_err(exception)
    }

    /// Refuses a training pass that does not fit into memory.
    fn check_memory(&self, samples: &Samples, steps: usize) -> Result<()> {
        let config = Config { batch: samples.count, time_steps: steps.into(), credit_every: Some(0), ..self.net.config().clone() };
        let nothing = Labelled { samples: Samples { steps: samples.steps, ..Samples::default() }, labels: Vec::new() };
        within(&config, &Arrays::new(self.net.plan().shape, Vec::new(), nothing, None)?, self.net.plan(), None).map(|_| ())
    }
}

/// Loss and gradients that are asked of a network.
struct Differentiated<'a> {
    batch: &'a Batch,
    targets: &'a [u16],
    method: Method,
    loss: Loss,
    /// Of the dropout masks, as is `step`.
    seed: u64,
    step: u64,
    update_statistics: bool,
}

/// A tensor's name, shape and values.
type Named = (String, Vec<usize>, Vec<f32>);

impl Use for Differentiated<'_> {
    type Out = (f64, Output, Vec<Named>);

    fn on<E: Engine>(self, engine: &E, net: &mut network::Network<E>) -> Result<Self::Out> {
        check_statistics(&net.plan, self.batch.samples)?;
        let masks = net.masks(self.seed, self.step);
        let (out, tape) = net.forward(engine, self.batch, &masks, &self.method)?;
        let (value, d_rates) = self.loss.of_output(&out, self.targets, None);
        if !value.is_finite() {
            return Err(Error::diverged(format!("the loss is {value}")).remedy(LESS));
        }
        let running = net.updated_running(engine, &tape);
        let grads = net.backward(engine, tape, &d_rates, &masks, &self.method)?;
        let mut checks = Checks::new(engine, &net.plan);
        checks.running(&running);
        checks.verdict()?;
        if self.update_statistics {
            net.running = running;
        }
        let named = tensors::of(&net.plan).into_iter().filter_map(|t| Some((grads[t.place.block].get(t.place.which)?, t)));
        let host = named.map(|(g, t)| Ok((t.name.clone(), t.shape(), engine.host(g)?))).collect::<Result<_>>()?;
        Ok((value, out, host))
    }
}
