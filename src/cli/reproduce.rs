//! `spiketrain reproduce`: the paper's tables and figures.

use std::path::{Path, PathBuf};

use super::args::ReproduceArgs;
use super::study::{options, with_hands};
use super::train::handle_signals;
use super::{print, say, set_threads};
use crate::error::{Error, Result};
use crate::reproduce::paper::EXHIBITS;
use crate::reproduce::{Extent, Fate, Present, departures, exhibit, present, run as run_set, table, verdicts};
use crate::study::table::tables;
use crate::train::open;

/// Runs what the exhibit needs, on the sets that are there, and compares.
pub fn run(a: &ReproduceArgs) -> Result<u8> {
    let Some(name) = &a.what else {
        print("spiketrain reproduce NAME [--budget MINUTES | --full]");
        EXHIBITS.iter().for_each(|e| print(format!("  {:<7} {} ({})", e.name, e.shows, sets(e.sets))));
        return Ok(0);
    };
    let exhibit = exhibit(name)?;
    set_threads(a.run.options.threads)?;
    let (said, voice) = (options(&a.run)?, a.loudness.voice());
    let sets = match said.dataset {
        Some(set) if exhibit.sets.contains(&set) => vec![set],
        Some(set) => return Err(Error::usage(format!("{name} is not about {set}")).option("dataset").remedy(self::sets(exhibit.sets))),
        None => exhibit.sets.to_vec(),
    };
    let folder = a.out.clone().unwrap_or_else(|| PathBuf::from("studies/reproduce"));
    let Present { here: sets, missing } = present(exhibit, &sets, &said, open::there)?;
    missing.iter().for_each(|(set, e)| say(format!("{set} is left out: {e}\n")));
    if sets.is_empty() {
        return Err(Error::usage("none of its data sets is there").at(name).remedy("see above what to download"));
    }
    if sets.len() > 1 && !a.full {
        let each = a.budget / sets.len() as f64;
        voice.say(format!("{:.1} minutes for {}: {each:.1} each", a.budget, self::sets(&sets)));
    }
    let extent = if a.full { Extent::Full } else { Extent::Minutes(a.budget / sets.len() as f64) };
    let departures = departures(&said)?;
    if !departures.is_empty() {
        voice.say(format!("departing from the paper's protocol: {}", departures.join(" ")));
    }
    let stop = handle_signals()?;
    let mut done = 0;
    for &set in &sets {
        match with_hands(a.run.options.memory, voice, &stop, |around| run_set(exhibit, set, &said, extent, a.seeds, &folder, around))? {
            Fate::Done(r) => {
                done += 1;
                print(table(exhibit, &r).text());
                verdicts(&r).iter().for_each(|v| print(format!("- {v}")));
                if !departures.is_empty() {
                    print(format!("- departs from the paper's protocol: {}", departures.join(" ")));
                }
                print("");
                tables(&r.rows).iter().skip(1).for_each(|t| print(t.text()));
            }
            Fate::Missing(set, e) => say(format!("{set} is left out: {e}\n")),
            Fate::Stopped => {
                voice.say(format!("stopped, checkpoint saved; run the same command again to go on in {}", folder.display()));
                return Ok(128 + stop.requested().unwrap_or_default());
            }
        }
    }
    if done == 0 {
        return Err(Error::usage("none of its data sets is there").at(name).remedy("see above what to download"));
    }
    print(format!("curves and pictures: spiketrain report {}", pattern(&folder, name)));
    Ok(0)
}

fn sets(sets: &[crate::data::DatasetName]) -> String {
    sets.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ")
}

fn pattern(folder: &Path, name: &str) -> String {
    format!("{}/{name}-*/study/runs/*", folder.display())
}
