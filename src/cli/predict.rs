//! `spiketrain predict`: a trained network on the user's own pictures and recordings.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::args::PredictArgs;
use super::eval::open;
use super::{print, set_threads};
use crate::engine::Input;
use crate::error::{Error, Result};
use crate::trained::Trained;
use crate::trained::sample::{Answer, Decision, Source};

/// Classifies pictures or recordings.
pub fn run(a: &PredictArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (net, _) = open(&a.checkpoint, a.device.as_ref())?;
    if a.stream {
        return stream(&net, a);
    }
    for file in &a.files {
        let sample = net.sample(file, a.sort)?;
        let decision = net.decide(sample.input, sample.steps)?;
        if a.json {
            print(with_decision(facts(file, sample.source), &decision, net.classes()));
            continue;
        }
        let notes: String = sample.notes.iter().map(|n| format!("  ({n})")).collect();
        let said = match decision.answer {
            Ok(Answer { class, confidence }) => format!("{}, confidence {:.0} %", net.classes()[class], 100.0 * confidence),
            Err(none) => none.to_string(),
        };
        print(format!("{}: {said}{notes}", file.display()));
        let rates: Vec<String> = net.classes().iter().zip(&decision.rates).map(|(n, r)| format!("{n} {r:.3}")).collect();
        print(format!("  firing rates: {}", rates.join("  ")));
    }
    Ok(0)
}

/// What the decision is on, for programs.
fn facts(file: &Path, source: Source) -> Value {
    let name = file.display().to_string();
    match source {
        Source::Picture { resized_from } => {
            json!({"image": name, "resized_from": resized_from.map(|(h, w)| json!({"height": h, "width": w}))})
        }
        Source::Recording { events, bad } => json!({"recording": name, "events": events, "bad_events": bad}),
    }
}

/// One JSON object: what the decision is on, and the decision.
fn with_decision(mut facts: Value, d: &Decision, classes: &[String]) -> Value {
    let rates: serde_json::Map<_, _> = classes.iter().cloned().zip(d.rates.iter().map(|&r| json!(r))).collect();
    let answer = d.answer.ok();
    facts["class"] = json!(answer.map(|a| &classes[a.class]));
    facts["index"] = json!(answer.map(|a| a.class));
    facts["confidence"] = json!(answer.map(|a| a.confidence));
    facts["note"] = json!(d.answer.err().map(|none| none.to_string()));
    facts["rates"] = rates.into();
    facts
}

/// Feeds one recording frame by frame.
///
/// The network is causal, so what it says after step t is what it says to the first t frames; its state is not kept between
/// steps but recomputed, so that a step costs as much as all up to it.
fn stream(net: &Trained, a: &PredictArgs) -> Result<u8> {
    let [file] = &a.files[..] else {
        return Err(Error::usage("--stream takes one recording").at("predict").remedy("name one file"));
    };
    let sample = net.sample(file, a.sort)?;
    let Input::Frames(frames) = sample.input else {
        return Err(Error::usage("this network was trained on pictures, which have no time").option("stream").remedy("leave it out"));
    };
    sample.notes.iter().for_each(|n| a.loudness.voice().say(format!("{}: {n}", file.display())));
    let (name, size) = (file.display().to_string(), net.plan().shape.len());
    let mut latencies = Vec::new();
    for t in 1..=sample.steps {
        let started = Instant::now();
        let decision = net.decide(Input::Frames(frames.cut(std::iter::once(0..t * size))), t)?;
        let latency = 1e3 * started.elapsed().as_secs_f64();
        latencies.push(latency);
        if a.json {
            let facts = json!({"recording": name, "step": t, "steps": sample.steps, "latency_ms": latency});
            print(with_decision(facts, &decision, net.classes()));
            continue;
        }
        let said = match decision.answer {
            Ok(Answer { class, confidence }) => format!("{:<16} confidence {:>3.0} %", net.classes()[class], 100.0 * confidence),
            Err(none) => format!("{:<33}", none.to_string()),
        };
        print(format!("step {t:>2}: {said}  {latency:>8.2} ms"));
    }
    latencies.sort_by(f64::total_cmp);
    let (p50, p99) = (percentile(&latencies, 0.50), percentile(&latencies, 0.99));
    if a.json {
        print(json!({"recording": name, "latency_ms_p50": p50, "latency_ms_p99": p99}));
    } else {
        print(format!("latency of a step: p50 {p50:.2} ms, p99 {p99:.2} ms (every step computes all frames up to it)"));
    }
    Ok(0)
}

/// The smallest of the sorted values that at least this share of them does not exceed; 0 of none.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
