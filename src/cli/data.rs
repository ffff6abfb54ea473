//! `spiketrain data`: which sets there are, fetching them, and whether they are what was published.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

use super::args::{DataArgs, DataCommand};
use super::progress::Voice;
use super::{print, say};
use crate::data::catalog::{self, Set, SetFile, find};
use crate::data::download::{Patience, download, mirror};
use crate::data::sets::Origin;
use crate::data::verify::{Doing, Observer, Verdict};
use crate::data::{default_data_dir, sets};
use crate::error::{Error, Result};
use crate::plural::{counted, thousands};

/// Runs one of the commands.
pub fn run(a: &DataArgs) -> Result<u8> {
    // One that cannot be found is no matter where none is needed.
    let data_dir = a.data_dir.clone().map_or_else(default_data_dir, Ok);
    match &a.command {
        DataCommand::List => list(&data_dir?, &fetch_command(a)),
        DataCommand::Download { name, mirror, loudness } => run_download(&data_dir?, name, mirror, loudness.voice())?,
        DataCommand::Check { name, loudness } => check(&data_dir?, name.as_deref(), fetch_command(a), loudness.voice())?,
        DataCommand::Inspect(i) => super::inspect::run(i)?,
        DataCommand::Prepare(p) => super::prepare::run(data_dir?, p)?,
        DataCommand::Simulate(s) => super::simulate::run(data_dir?, s)?,
    }
    Ok(0)
}

/// The command that fetches into the same folder, but for the name at its end.
fn fetch_command(a: &DataArgs) -> String {
    match &a.data_dir {
        // The environment will say it again.
        Some(dir) if std::env::var_os("SPIKETRAIN_DATA").as_deref() != Some(dir.as_os_str()) => {
            format!("spiketrain data --data-dir {dir:?} download")
        }
        _ => "spiketrain data download".to_string(),
    }
}

/// The table of all sets; under those that are not whole, how to get them.
fn list(data_dir: &Path, fetch: &str) {
    print(format!("data folder: {}  (choose another with --data-dir or SPIKETRAIN_DATA)\n", data_dir.display()));
    let row = |name: &str, state: &str, title: &str| print(format!("{name:<14} {state:<9} {title}"));
    let below = |text: String| print(format!("{:<24} {text}", ""));
    for set in sets::ALL {
        if let Origin::Drawn(numbers) = set.origin {
            let [train, test] = numbers.map(thousands);
            row(set.name, "built in", &set.title.replace("{n}", &format!("{train} + {test}")));
        }
    }
    for set in catalog::sets() {
        let folder = data_dir.join(set.folder);
        let missing = set.missing_parts(&folder);
        // What cannot be read is no reason to show no list: it is said below.
        let short = set.shortcomings(&folder).unwrap_or_else(|e| vec![e.to_string()]);
        let state = match missing.len() {
            0 if short.is_empty() => "complete",
            0 => "partial",
            n if n == set.parts.len() => "absent",
            _ => "partial",
        };
        row(set.name, state, set.title);
        if state == "complete" {
            continue;
        }
        short.iter().for_each(|what| below(format!("incomplete: {what}")));
        if state == "partial" && !missing.is_empty() {
            below(format!("missing: {}", missing.join(", ")));
        }
        if set.mirrors.is_empty() {
            below(format!("by hand: {}; put into {}", set.steps, folder.display()));
        } else {
            below(format!("get it: {fetch} {}", set.name));
        }
    }
    for set in sets::ALL.iter().filter(|set| set.is_own()) {
        row(set.name, "yours", set.title);
    }
}

fn run_download(data_dir: &Path, name: &str, mirrors: &[String], voice: Voice) -> Result<()> {
    let set = find(name)?;
    let folder = data_dir.join(set.folder);
    let mirrors = mirrors.iter().map(|m| mirror(m)).collect::<Result<Vec<_>>>()?;
    let mut watch = Terminal::new(voice);
    let fetched = download(set, &folder, &mirrors, &Patience::default(), &mut watch);
    watch.clear();
    match fetched?.len() {
        0 => print(format!("{name} is complete already: {}", folder.display())),
        n => print(format!("{name} is complete, {} downloaded: {}", counted(n, "file"), folder.display())),
    }
    Ok(())
}

/// Checks one set, which must be there as a whole, or whatever is there.
fn check(data_dir: &Path, name: Option<&str>, fetch: String, voice: Voice) -> Result<()> {
    let mut wrong = Wrong { fetch, files: 0, of: 0, short: Vec::new(), remedies: BTreeSet::new() };
    if let Some(name) = name {
        let set = find(name)?;
        let folder = data_dir.join(set.folder);
        check_files(set, &folder, &mut wrong, voice)?;
        wrong.report(data_dir)?;
        return if set.missing_parts(&folder).is_empty() { Ok(()) } else { Err(set.missing(&folder)) };
    }
    for set in catalog::sets() {
        check_files(set, &data_dir.join(set.folder), &mut wrong, voice)?;
    }
    if wrong.of == 0 {
        print(format!("no data set in {}; spiketrain data list says how to get one", data_dir.display()));
    }
    wrong.report(data_dir)
}

/// Prints a line per file at hand, and what is missing.
fn check_files(set: &Set, folder: &Path, wrong: &mut Wrong, voice: Voice) -> Result<()> {
    let files = set.at_hand(folder);
    if files.is_empty() {
        return Ok(());
    }
    print(format!("{} in {}", set.name, folder.display()));
    let mut watch = Terminal::new(voice);
    for (file, path) in files {
        let verdict = set.verify(file, &path, &mut watch);
        watch.clear();
        let verdict = verdict?;
        print(format!("  {:<42} {verdict}", path.strip_prefix(folder).unwrap_or(&path).display()));
        wrong.count(set, file, &path, folder, &verdict);
    }
    let missing = set.missing_parts(folder);
    if !missing.is_empty() {
        print(format!("  missing: {}", missing.join(", ")));
    }
    // Sizes of files were compared above.
    if !set.recordings.is_empty() {
        let short = set.shortcomings(folder)?;
        short.iter().for_each(|what| print(format!("  incomplete: {what}")));
        wrong.short.extend(short.into_iter().map(|what| format!("{} {what}", set.name)));
    }
    Ok(())
}

/// The files that are not the published ones, and what to do about them.
struct Wrong {
    /// The command that fetches, but for the name.
    fetch: String,
    files: usize,
    of: usize,
    /// Parts with fewer recordings than published, or more.
    short: Vec<String>,
    remedies: BTreeSet<String>,
}

impl Wrong {
    fn count(&mut self, set: &Set, file: &SetFile, path: &Path, folder: &Path, verdict: &Verdict) {
        self.of += 1;
        if !verdict.is_wrong() {
            return;
        }
        self.files += 1;
        self.remedies.insert(if set.mirrors.is_empty() {
            format!("fetch {} again; {}", path.display(), set.steps)
        } else if file.published && path == folder.join(file.paths[0]) && *verdict != Verdict::NotAFile {
            format!("{} {}", self.fetch, set.name)
        } else {
            format!("remove {}, then {} {}", path.display(), self.fetch, set.name)
        });
    }

    fn report(self, data_dir: &Path) -> Result<()> {
        if self.files == 0 && self.short.is_empty() {
            return Ok(());
        }
        if self.files == 0 {
            return Err(Error::format(format!("not as published: {}", self.short.join("; ")))
                .at(data_dir.display())
                .remedy("add what is missing; training takes what is there with --allow-partial"));
        }
        let remedy = self.remedies.into_iter().collect::<Vec<_>>().join("\n          ");
        Err(Error::format(format!("files not as published: {} of {}", self.files, self.of)).at(data_dir.display()).remedy(remedy))
    }
}

/// Between lines about a transfer where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar on standard error where it is a terminal, lines elsewhere.
pub(super) struct Terminal {
    voice: Voice,
    plain: bool,
    /// Of the file last taken up; none in plain mode.
    bar: Option<ProgressBar>,
    /// File and total bytes of a transfer to be told in lines, and when the last one was written.
    transfer: Option<(String, u64, Instant)>,
}

impl Terminal {
    pub(super) fn new(voice: Voice) -> Self {
        Terminal { voice, plain: voice.target().is_hidden(), bar: None, transfer: None }
    }

    /// Takes the bar away, so that lines can be printed.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Terminal {
    fn begin(&mut self, doing: Doing, file: &str, done: u64, total: u64) {
        self.clear();
        if !self.plain {
            let bar = ProgressBar::with_draw_target(Some(total), self.voice.target());
            let doing = doing.name();
            let style = "{prefix} {msg} [{bar:24}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
            let bar = bar.with_style(style).with_prefix(doing).with_message(file.to_string()).with_position(done);
            bar.reset_eta();
            self.bar = Some(bar);
        } else if doing != Doing::Checking && self.voice != Voice::Quiet {
            let from = if done > 0 { format!(", going on after {}", DecimalBytes(done)) } else { String::new() };
            say(format!("{} {file}, {}{from}", doing.name(), DecimalBytes(total)));
            self.transfer = Some((file.to_string(), total, Instant::now()));
        } else {
            self.transfer = None;
        }
    }

    fn advance(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if let Some((file, total, last)) = self.transfer.as_mut().filter(|t| t.2.elapsed() > LINE_EVERY) {
            say(format!("  {file}: {} of {}", DecimalBytes(done), DecimalBytes(*total)));
            *last = Instant::now();
        }
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            _ if !self.voice.says(text) => {}
            Some(bar) => bar.println(super::harmless(text)),
            None => say(text),
        }
    }
}
