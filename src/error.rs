//! One error type: what went wrong, where, and what to do about it.

use std::fmt;

/// What sort of failure this is; decides the exit code (documented in the README).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A defect of spiketrain itself. Exit code 1.
    Bug,
    /// A wrong option, notation, configuration or a missing data set. Exit code 2.
    Usage,
    /// A file whose content is not what its format says. Exit code 2.
    Format,
    /// Loss, gradient or weight became infinite or NaN. Exit code 3.
    Diverged,
    /// Reading or writing failed (permissions, full disk, lock). Exit code 4.
    Storage,
    /// The plan does not fit into memory. Exit code 5.
    Memory,
}

/// An error with its place and remedy, e.g.
/// `train-images.gz: byte 16: 47,040,000 pixels announced, 1,024 found (cut off? run: spiketrain data check)`.
#[derive(Clone, Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// File, byte offset, notation column, option…; empty when the message says it.
    pub place: String,
    /// What was expected and what was found.
    pub what: String,
    /// What the user can do; empty when nothing helps.
    pub remedy: String,
}

/// Result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Error { kind, place: String::new(), what: readable(what.to_string()), remedy: String::new() }
    }
    /// A defect of our own.
    pub fn bug(what: impl fmt::Display) -> Self {
        Self::new(Kind::Bug, what)
    }
    /// A wrong option, notation, configuration or a missing data set.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, what)
    }
    /// A file that is not what its format says.
    pub fn format(what: impl fmt::Display) -> Self {
        Self::new(Kind::Format, what)
    }
    /// A number that is no longer finite.
    pub fn diverged(what: impl fmt::Display) -> Self {
        Self::new(Kind::Diverged, what)
    }
    /// Reading or writing failed.
    pub fn storage(what: impl fmt::Display) -> Self {
        Self::new(Kind::Storage, what)
    }
    /// The plan does not fit into memory.
    pub fn memory(what: impl fmt::Display) -> Self {
        Self::new(Kind::Memory, what)
    }
    /// The system starts no further thread: there is no memory for its stack, or there are too many.
    pub fn no_thread(e: &dyn fmt::Display) -> Self {
        Self::memory(format!("a thread cannot be started: {e}")).remedy("choose fewer threads (-j), or allow more memory (ulimit -v)")
    }
    /// Says where: a file, `file: byte 40`, `column 7`, `--batch`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        let outer = place.to_string();
        self.place = if self.place.is_empty() { outer } else { format!("{outer}: {}", self.place) };
        self
    }
    /// Says what to do about it.
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }
    /// Wraps an operating system error met at `path`; out of space and permissions get their own remedy.
    pub fn io(path: &std::path::Path, doing: &str, e: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let err = Self::storage(format!("{doing} failed: {e}")).at(path.display());
        match e.kind() {
            K::StorageFull | K::QuotaExceeded => err.remedy("free some space, then run the same command again"),
            K::PermissionDenied | K::ReadOnlyFilesystem => err.remedy("choose a folder you may write to"),
            K::NotFound => err.remedy("check the path"),
            _ => err,
        }
    }
    /// The process exit code (README, "Exit codes").
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Bug => 1,
            Kind::Usage | Kind::Format => 2,
            Kind::Diverged => 3,
            Kind::Storage => 4,
            Kind::Memory => 5,
        }
    }
}

/// A line of an error longer than this is cut: it shows a part of a file, and a line of a file may be as long as the file.
const LONGEST_LINE: usize = 1000;

/// The text with its long lines cut.
fn readable(text: String) -> String {
    if text.lines().all(|line| line.len() <= LONGEST_LINE) {
        return text;
    }
    let cut = |line: &str| match &line[..line.floor_char_boundary(LONGEST_LINE)] {
        all if all.len() == line.len() => line.to_string(),
        start => format!("{}… ({} more bytes)", start.trim_end(), line.len() - start.len()),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "\n  remedy: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        let long = format!("first\nä{}", "ö".repeat(5000));
        let e = Error::format(&long);
        assert!(e.what.starts_with("first\näö") && e.what.len() < 1100 && e.what.ends_with("… (9002 more bytes)"), "{}", e.what);
        assert_eq!(Error::format("short\n lines").what, "short\n lines");
    }
}
