//! The command line: arguments → configuration → a call into the library. Only `main` prints errors and exits.

mod args;
mod bench;
mod data;
mod doctor;
mod eval;
mod export;
mod help;
mod import;
mod inspect;
mod net;
mod predict;
mod prepare;
mod progress;
mod recipes;
mod rehearse;
mod report;
mod reproduce;
mod simulate;
mod study;
mod train;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, FromArgMatches};
use signal_hook::consts::SIGABRT;

use crate::data::own::WARNING;
use crate::error::{Error, Result};
use args::{Cli, Command};

/// The command with the words of this process.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()))
}

/// Parses `words`, of which the first is the program's name, runs the command, prints what went wrong, and gives the exit code. For a
/// process that does nothing else: it sets handlers of signals and of panics.
pub fn main_with(words: impl IntoIterator<Item = OsString>) -> u8 {
    let _ = abort_for_lack_of_memory();
    let cli = match parse(words) {
        Ok(cli) => cli,
        // Help and version come this way, too. A reader that went away is not an error.
        Err(e) => {
            let _ = e.print();
            return e.exit_code() as u8;
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            say(format!("error: {e}"));
            e.exit_code()
        }
    }
}

/// Where the system refuses memory, Rust's library says so and aborts the process: it shall end with the exit code of such errors. After a
/// panic, which is a defect, an abort stays one.
fn abort_for_lack_of_memory() -> std::io::Result<()> {
    let armed = Arc::new(AtomicBool::new(true));
    let code = Error::memory("").exit_code();
    signal_hook::flag::register_conditional_shutdown(SIGABRT, code.into(), Arc::clone(&armed))?;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        armed.store(false, Ordering::SeqCst);
        report(panic);
    }));
    Ok(())
}

/// Whether these words (without the program's name) are a command line; for the tests of the documentation.
///
/// # Errors
/// Usage: what the user would be told.
pub fn understands(arguments: &[&str]) -> Result<()> {
    let words = std::iter::once("spiketrain").chain(arguments.iter().copied());
    parse(words.map(OsString::from)).map(|_| ()).map_err(Error::usage)
}

/// Every command and option there is; for tests that try them all.
pub fn command() -> clap::Command {
    help::refer_to_train(numbers_are_values(Cli::command()))
}

fn parse(words: impl IntoIterator<Item = OsString>) -> std::result::Result<Cli, clap::Error> {
    let mut command = command();
    let said = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&said).map_err(|e| e.format(&mut command))
}

/// `--lr -1` says a number that is refused by its range, not an option -1: there is none that is called by a number.
fn numbers_are_values(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let takes_values = arg.get_action().takes_values() && arg.get_num_args().is_none_or(|n| n.takes_values());
        if takes_values { arg.allow_negative_numbers(true) } else { arg }
    });
    command.mut_subcommands(numbers_are_values)
}

fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Train(a) => train::run(*a),
        Command::Study(a) => study::run(&a),
        Command::Reproduce(a) => reproduce::run(&a),
        Command::Recipes(a) => recipes::run(&a),
        Command::Eval(a) => eval::run_eval(&a),
        Command::Predict(a) => predict::run(&a),
        Command::Export(a) => export::run(&a),
        Command::Import(a) => import::run(&a),
        Command::Report(a) => report::run(&a),
        Command::Net(a) => net::run(&a),
        Command::Data(a) => data::run(&a),
        Command::Bench(a) => bench::run(&a),
        Command::Doctor(a) => doctor::run(&a),
        Command::Completions { shell } => {
            help::completions(shell);
            Ok(0)
        }
        Command::Man { folder } => help::man(folder.as_deref()).map(|()| 0),
        Command::Watch(a) => watch::run(&a),
    }
}

/// Sets the number of worker threads; 0 or nothing: one per core. Results do not depend on it.
fn set_threads(threads: Option<usize>) -> Result<()> {
    let threads = threads.unwrap_or(0);
    if threads > 1024 {
        return Err(Error::usage(format!("{threads} threads"))
            .option("threads")
            .remedy("choose at most 1024; the number of cores is best"));
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| Error::no_thread(&e))
}

/// Says something on standard error; one that was closed is no reason to stop a run. Names in archives and words in files may hold
/// what a terminal takes for commands: shown, not sent.
fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}", harmless(&text.to_string()));
}

/// Text without control characters but for ends of lines and tabs.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// A note as it is shown: a warning calls itself one.
fn noted(note: &str) -> String {
    if note.starts_with(WARNING) { note.to_string() } else { format!("note: {note}") }
}

/// Prints a note, a warning on standard error.
fn tell(note: &str) {
    if note.starts_with(WARNING) { say(note) } else { print(noted(note)) }
}

/// Prints to standard output; a reader that went away (`| head`) is not an error.
fn print(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", harmless(&text.to_string()));
}
