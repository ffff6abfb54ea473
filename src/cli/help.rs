//! What the program says of its commands beyond the help of each option: where train's options are explained, completions, man pages.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::args::{Cli, RunArgs};
use super::{command, print};
use crate::error::{Error, Result};
use crate::plural::counted;
use crate::storage::{self, Disk};

/// Commands that take train's options, and the few of these that they are about, which their help shows, too.
const TAKE_TRAINS: [(&str, &[&str]); 3] = [
    ("study", &["dataset", "data_dir", "net", "epochs", "seed", "threads"]),
    ("reproduce", &["dataset", "data_dir", "threads"]),
    ("import", &["dataset", "net", "time_steps", "threshold", "decay", "relu"]),
];

/// Where the others are explained.
const ELSEWHERE: &str = "All other options of a training run are taken, too: spiketrain train --help explains them.";

/// Hides the options that train's help explains from that of other commands; they are accepted as before, and completed.
pub fn refer_to_train(command: Command) -> Command {
    let trains = RunArgs::augment_args(Command::new("train"));
    let trains: BTreeSet<&str> = trains.get_arguments().map(|arg| arg.get_id().as_str()).collect();
    TAKE_TRAINS.iter().fold(command, |command, (name, shown)| command.mut_subcommand(name, |c| without(c, &trains, shown)))
}

fn without(command: Command, trains: &BTreeSet<&str>, shown: &[&str]) -> Command {
    let explained = |id: &str| trains.contains(id) && !shown.contains(&id);
    let some = command.get_arguments().any(|arg| explained(arg.get_id().as_str()));
    let command = command.mut_args(|arg| if explained(arg.get_id().as_str()) { arg.hide(true) } else { arg });
    let command = command.mut_subcommands(|c| without(c, trains, shown));
    if some { command.after_help(ELSEWHERE) } else { command }
}

/// Prints the completions of every command and option for a shell.
pub fn completions(shell: clap_complete::Shell) {
    let mut text = Vec::new();
    // Of the commands as they are declared: what is only hidden from help is completed.
    clap_complete::generate(shell, &mut Cli::command(), "spiketrain", &mut text);
    print(String::from_utf8_lossy(&text).trim_end());
}

/// Prints the man page of the program; or writes that of every command into a folder, under the names that man looks for.
///
/// # Errors
/// Storage: they cannot be written.
pub fn man(folder: Option<&Path>) -> Result<()> {
    let mut program = command().disable_help_subcommand(true);
    // Gives commands below others their full names.
    program.build();
    let Some(folder) = folder else {
        print(page(&Man::new(program))?.trim_end());
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "creating the folder", &e))?;
    let mut commands = vec![&program];
    let mut written = 0;
    while let Some(command) = commands.pop() {
        let man = Man::new(command.clone());
        storage::write_text(&Disk, &folder.join(man.get_filename()), &page(&man)?)?;
        written += 1;
        commands.extend(command.get_subcommands());
    }
    print(format!("{} in {}", counted(written, "man page"), folder.display()));
    Ok(())
}

fn page(man: &Man) -> Result<String> {
    let mut text = Vec::new();
    man.render(&mut text).map_err(|e| Error::bug(format!("a man page: {e}")))?;
    String::from_utf8(text).map_err(|e| Error::bug(format!("a man page: {e}")))
}
