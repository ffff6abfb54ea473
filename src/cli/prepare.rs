//! `spiketrain data prepare`: event recordings to frames, and what was found on the way.

use std::path::PathBuf;

use super::args::PrepareArgs;
use super::data::Terminal;
use super::{print, say};
use crate::data::recordings::{Built, EventOptions, Prepared, check_quality, prepare};
use crate::error::Result;
use crate::plural::{counted_as, grouped, thousands};

/// Runs the command.
pub fn run(data_dir: PathBuf, a: &PrepareArgs) -> Result<()> {
    super::set_threads(a.threads)?;
    let options = EventOptions {
        data_dir: Some(data_dir),
        folder: a.dir.clone(),
        size: a.size,
        steps: a.time_steps,
        split_by: a.split_by,
        allow_partial: a.allow_partial,
        strict: a.strict,
        sort: a.sort,
        seed: a.seed,
        cache: a.cache.clone(),
        ..EventOptions::default()
    };
    let mut watch = Terminal::new(a.loudness.voice());
    let prepared = prepare(a.name, &options, true, &mut watch);
    watch.clear();
    let prepared = prepared?;
    report(&prepared);
    let checked = check_quality(a.name, &prepared, &options, &mut ());
    if let (Err(e), false) = (&checked, a.strict) {
        say(format!("warning: training will refuse this set: {}: {}; {}", e.place, e.what, e.remedy));
        return Ok(());
    }
    checked
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / all.max(1) as f64)
}

fn report(p: &Prepared) {
    let (about, q) = (p.cache.about(), p.quality);
    let [train, test] = p.per_class();
    let count = |n: u64| thousands(n as usize);
    let simulated = if about.simulated { ", simulated" } else { "" };
    let choosing = if about.validation > 0 { format!(", {} validation", count(about.validation as u64)) } else { String::new() };
    print(format!(
        "{}{simulated}: {} training{choosing} and {} of {}, {}x{}, T = {} by {}",
        about.set,
        count(train.iter().sum::<usize>() as u64),
        grouped(test.iter().sum(), "test sample"),
        counted_as(about.classes.len(), "class", "classes"),
        about.width,
        about.height,
        about.steps,
        about.split_by.name()
    ));
    let wide = about.classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).max("class".len());
    print(format!("  {:<wide$} {:>7} {:>7}", "class", "train", "test"));
    for (class, (train, test)) in about.classes.iter().zip(train.iter().zip(&test)) {
        print(format!("  {class:<wide$} {:>7} {:>7}", count(*train as u64), count(*test as u64)));
    }
    print(format!("events      {}, {:.1} s of recordings", count(q.events), p.duration as f64 / 1e6));
    let frames = (about.steps * p.cache.entries().len()) as u64;
    print(format!("empty       {} of {} ({})", count(q.empty_frames), grouped(frames as usize, "frame"), percent(q.empty_frames, frames)));
    print(format!(
        "bad events  {}: {} out of range, {} out of order, {} marked invalid by the file",
        count(q.bad()),
        count(q.out_of_range),
        count(q.misplaced),
        count(q.invalid)
    ));
    print(format!("split       sha256 {}", about.split_hash));
    p.notes.iter().for_each(|n| super::tell(n));
    let cache = format!("{}, {:.1} MB", p.cache.path().display(), p.bytes as f64 / 1e6);
    match p.built {
        Some(Built { seconds: s, events }) => print(format!("prepared in {s:.1} s, {:.1} M events/s: {cache}", events as f64 / s / 1e6)),
        None => print(format!("was prepared before, checked, and is good: {cache}")),
    }
}
