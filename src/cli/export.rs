//! `spiketrain export`: a trained network as a file of another kind, read back and compared.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::ExportArgs;
use super::eval::open;
use super::progress::Voice;
use super::{print, set_threads};
use crate::config::{Config, Device};
use crate::data::{Dataset, Split};
use crate::engine::{Batch, Input, Values};
use crate::error::{Error, Result};
use crate::export::agree::{self, Agreement, Answers, Pair};
use crate::export::inputs::Inputs;
use crate::export::stated::Stated;
use crate::export::{self, Format, Hints, Imported, Integer, Model};
use crate::plural::{grouped, thousands};
use crate::storage::{self, Disk, Published};
use crate::train::feed::{Feed, Labelled};
use crate::trained::Trained;
use crate::values::Normalization;

/// Samples in a golden trace: enough for a check, small enough to send.
const TRACED: usize = 4;

/// A network to be exported, with what it is compared on.
struct Source<'d> {
    net: Trained,
    /// As that of the network, but samples are prepared as the file says.
    exported: Config,
    data: Option<&'d dyn Dataset>,
    samples: usize,
}

/// What the file computes.
enum Back {
    /// As read from it.
    Network(Box<Trained>),
    /// As its C code does, operation by operation.
    Integer(Integer),
}

/// Answers batches.
type Answering<'s> = Box<dyn FnMut(&Batch) -> Result<Answers> + 's>;

/// Exports a checkpoint.
pub fn run(a: &ExportArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (net, path) = open(&a.checkpoint, Some(&Device::Cpu))?;
    let net = a.places.of(net);
    if net.method().ann {
        return Err(Error::usage("this network is still in the ann warm-up: its neurons do not spike")
            .at(path.display())
            .remedy("export a checkpoint of a later epoch"));
    }
    let model = Model::of(&net)?;
    let lossy = a.format == Format::Nir && model.has_relu();
    if lossy && !a.allow_lossy {
        return Err(Error::usage(
            "NIR has no ReLU, and this network was trained with it between norm and neurons: no graph computes the same",
        )
        .at(path.display())
        .remedy("train with --relu off, export with --format safetensors, npz or c, or accept another network with --allow-lossy"));
    }
    let out = a.out.clone().unwrap_or_else(|| path.with_extension(a.format.name()));
    if out.extension().is_none_or(|e| e != a.format.name()) {
        return Err(Error::usage(format!(
            "the name of the file does not end in .{}, by which it is known when it is read",
            a.format.name()
        ))
        .at(out.display()));
    }
    let data = data_set(&net, a.loudness.voice());
    let (config, channels) = (net.config(), net.plan().shape.c);
    let inputs = Inputs::of(config, net.plan(), net.classes());
    let written = export::write(&Disk, &out, &model, &inputs, a.format, a.profile)?;
    let (back, exported) = match a.format {
        // The code has the numbers of `inputs`, and scales by them as we do.
        Format::C => (Back::Integer(Integer::of(&model)?), Stated::of(&inputs.about())?.over(config, channels)),
        _ => {
            let Imported { model, stated, .. } = export::import(&out, &Hints::default())?;
            let exported = stated.over(config, channels);
            (Back::Network(Box::new(model.trained(exported.clone(), net.classes().to_vec())?)), exported)
        }
    };
    let source = Source { net, exported, data: data.as_deref(), samples: a.samples };
    let agreement = source.compare(&back)?;
    finish(a, (&out, &written), &back, &agreement, (&source, &inputs))
}

/// The data set of the run, if it is here and of the network's kind.
fn data_set(net: &Trained, voice: Voice) -> Option<Box<dyn Dataset>> {
    let dataset = net.config().dataset;
    match super::train::load(net.config(), voice) {
        Ok(data) if net.check(&*data).is_ok() => Some(data),
        Ok(_) => {
            voice.say(format!("note: the samples of {dataset} do not fit this network; random inputs take their place"));
            None
        }
        Err(e) => {
            voice.say(format!("note: {e}\n  random inputs take the place of the data set"));
            None
        }
    }
}

impl Source<'_> {
    /// Batches of the test set, evenly spread, or random inputs; the same raw samples for both sides.
    fn batches(&self, size: usize) -> Result<Box<dyn Iterator<Item = Result<Pair>> + '_>> {
        let Some(data) = self.data else {
            let starts = (0..self.samples).step_by(size);
            return Ok(Box::new(starts.map(move |at| Ok(self.random(size.min(self.samples - at), at as u64)))));
        };
        let (feed, theirs) = (Feed::new(self.net.config(), data)?, Feed::new(&self.exported, data)?);
        let all = data.labels(Split::Test).len();
        let n = self.samples.min(all);
        let chosen: Vec<u32> = (0..n).map(|i| (i * all / n) as u32).collect();
        let chunks: Vec<Vec<u32>> = chosen.chunks(size).map(<[u32]>::to_vec).collect();
        Ok(Box::new(chunks.into_iter().map(move |c| {
            Ok(Pair { original: feed.plain(Split::Test, &c, false)?, exported: theirs.plain(Split::Test, &c, false)?.batch })
        })))
    }

    /// What stands in for `n` samples of a data set that is not there.
    fn random(&self, n: usize, seed: u64) -> Pair {
        let (shape, config) = (self.net.plan().shape, self.net.config());
        let labels = vec![0; n];
        if config.dataset.is_events() {
            let of = |c: &Config| agree::random_inputs(shape, c.time_steps.last(), n, false, seed);
            return Pair { original: Labelled { batch: of(config), labels }, exported: of(&self.exported) };
        }
        let of = |c: &Config| {
            let prep = c.preparation(shape.c);
            let scaled = Values::Pixels(agree::random_pixels(shape, n, seed), Normalization { mean: prep.mean, std: prep.std }.into());
            Batch::whole(shape, n, c.time_steps.last(), Input::Direct(scaled))
        };
        Pair { original: Labelled { batch: of(config), labels }, exported: of(&self.exported) }
    }

    fn inputs(&self) -> String {
        match self.data {
            Some(data) => format!("test samples of {}{}", data.name(), super::train::simulated(data.simulated())),
            None => "random inputs".to_string(),
        }
    }

    fn names(&self) -> Vec<String> {
        self.net.plan().blocks.iter().map(|b| b.name()).collect()
    }

    /// How what was read back answers.
    fn answers<'s>(&'s self, back: &'s Back) -> Answering<'s> {
        match back {
            Back::Integer(net) => Box::new(|b| Ok(net.run(b))),
            Back::Network(net) => Box::new(|b| agree::answers(net, b)),
        }
    }

    /// The network beside what was read back.
    fn compare(&self, back: &Back) -> Result<Agreement> {
        let size = agree::batch_size(self.net.plan(), self.net.config().time_steps.last());
        agree::compare(
            &self.names(),
            (&mut |b| agree::answers(&self.net, b), &mut *self.answers(back)),
            self.batches(size)?,
            self.data.is_some(),
            &self.inputs(),
        )
    }
}

/// What the receiver gets beside the file: `<file>.agreement.json`, `<file>.trace.npz`; and what the user sees.
fn finish(
    a: &ExportArgs,
    (out, written): (&Path, &Published),
    back: &Back,
    agreement: &Agreement,
    (source, inputs): (&Source, &Inputs),
) -> Result<u8> {
    let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", out.display()));
    let Some(first) = source.batches(TRACED.min(source.samples))?.next() else { return Err(Error::bug("no samples")) };
    let batch = first?.exported;
    let said = source.answers(back)(&batch)?;
    let plan = match back {
        Back::Network(net) => net.plan(),
        Back::Integer(net) => &net.plan,
    };
    let (relu, network) = (plan.blocks.iter().any(|b| b.relu), source.net.plan().notation.to_string());
    agree::trace(plan, &batch, &said)?.publish(&Disk, &beside("trace.npz"))?;
    let report = json!({
        "file": out.display().to_string(), "format": a.format.name(), "bytes": written.bytes, "sha256": crate::data::hex(&written.sha256),
        "network": network, "step": source.net.step(), "relu": relu, "exact": agreement.exact(), "agreement": agreement,
        "inputs": inputs.about(),
    });
    let text = serde_json::to_string_pretty(&report).map_err(|e| Error::bug(format!("agreement: {e}")))?;
    storage::write_text(&Disk, &beside("agreement.json"), &format!("{text}\n"))?;
    if a.json {
        print(report);
        return Ok(0);
    }
    print(format!("{}: {} of {}, {}", out.display(), grouped(written.bytes as usize, "byte"), a.format.name(), network));
    print(table(agreement));
    print(format!("input: {}", inputs.in_words()));
    print(format!("beside it: {} and {}", beside("agreement.json").display(), beside("trace.npz").display()));
    Ok(0)
}

/// The agreement in words.
fn table(a: &Agreement) -> String {
    let raw = "each prepares the raw samples in its own way";
    let mut out = format!("read back and run on {} {}, T {}; {raw}:\n", a.samples, a.inputs, a.steps);
    for l in &a.layers {
        let share = 100.0 * l.different as f64 / l.compared.max(1) as f64;
        out += &format!(
            "  {:<10} spikes that differ {:>9} of {:>13} ({share:.4} %), firing rate {:.2} % and {:.2} %\n",
            l.layer,
            thousands(l.different as usize),
            thousands(l.compared as usize),
            100.0 * l.rate,
            100.0 * l.rate_exported
        );
    }
    out += &format!("  same class {} of {}, largest difference of a rate {:.4}", a.same_class, a.samples, a.largest_rate_difference);
    if let (Some(x), Some(y)) = (a.accuracy, a.accuracy_exported) {
        out += &format!("\n  accuracy {:.2} % and {:.2} %", 100.0 * x, 100.0 * y);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::plan::Plan;

    /// Weights that are right are not enough: whoever feeds the file as it says must get the network's answers.
    #[test]
    fn a_file_that_says_another_scaling_of_pixels_does_not_agree() {
        let config = Options { time_steps: Some(3.into()), ..Options::default() }.complete().unwrap();
        let plan = Plan::new("2C3-MP2-10Voting".parse().unwrap(), "1x12x12".parse().unwrap()).unwrap();
        let fresh = || Trained::fresh(config.clone(), &plan).unwrap();
        let agreement = |stated: Stated| {
            let source = Source { net: fresh(), exported: stated.over(&config, 1), data: None, samples: 4 };
            source.compare(&Back::Network(Box::new(fresh()))).unwrap()
        };
        let right = Stated::of(&Inputs::of(&config, &plan, fresh().classes()).about()).unwrap();
        assert!(agreement(right.clone()).exact());
        let wrong = Stated { pixels: Some([vec![0.5], vec![0.1]]), ..right };
        assert!(!agreement(wrong).exact());
    }
}
