//! One error type: what went wrong, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

/// What sort of failure this is; decides the exit code (documented in the README). There may be more in later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// An option that an error is about, by its name and not as one interface writes it: the command shows `--batch 4`, Python `batch=4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedOption {
    /// As in config.toml, e.g. `val-split`; one letter for a short option.
    pub name: String,
    /// Its value, where that says more than the name alone.
    pub value: Option<String>,
}

impl NamedOption {
    /// As a keyword argument of Python.
    fn keyword(&self) -> String {
        format!("{}={}", self.name.replace('-', "_"), self.value.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for NamedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.name.len() == 1 { "-" } else { "--" }, self.name)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, " {value}"))
    }
}

/// An error with its place and remedy, e.g.
/// `train-images.gz: byte 16: 47,040,000 pixels announced, 1,024 found (cut off? run: spiketrain data check)`.
#[derive(Clone, Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// File, byte offset, notation column…; empty when the message or the options say it.
    pub place: String,
    /// The options it is about, if any.
    pub options: Vec<NamedOption>,
    /// What was expected and what was found.
    pub what: String,
    /// What the user can do, with options as the command writes them; empty when nothing helps.
    pub remedy: String,
    /// They are named around the place, not in it.
    options_first: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Error {
            kind,
            place: String::new(),
            options: Vec::new(),
            what: readable(what.to_string()),
            remedy: String::new(),
            options_first: false,
            source: None,
        }
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
    /// Says where: a file, `file: byte 40`, `column 7`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        let outer = place.to_string();
        self.place = if self.place.is_empty() { outer } else { format!("{outer}: {}", self.place) };
        self
    }
    /// Says which option it is about, by its name: `batch`, `val-split`, `T`.
    pub fn option(self, name: impl fmt::Display) -> Self {
        self.about(NamedOption { name: name.to_string(), value: None })
    }
    /// The same, with its value.
    pub fn option_as(self, name: impl fmt::Display, value: impl fmt::Display) -> Self {
        self.about(NamedOption { name: name.to_string(), value: Some(value.to_string()) })
    }
    fn about(mut self, option: NamedOption) -> Self {
        // What was said before is within it: `--net 8C3-XY: column 5`.
        self.options_first |= self.options.is_empty() && !self.place.is_empty();
        self.options.push(option);
        self
    }
    /// Says by which error of another library it was caused ([`std::error::Error::source`]).
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
    /// Says what to do about it.
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }
    /// Wraps an operating system error met at `path`; out of space and permissions get their own remedy, and what is read but not there is
    /// wrong usage.
    pub fn io(path: &std::path::Path, doing: &str, e: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let copy = e.raw_os_error().map_or_else(|| std::io::Error::new(e.kind(), e.to_string()), std::io::Error::from_raw_os_error);
        let err = Self::storage(format!("{doing} failed: {e}")).at(path.display()).caused_by(copy);
        match e.kind() {
            K::StorageFull | K::QuotaExceeded => err.remedy("free some space, then run the same command again"),
            K::PermissionDenied | K::ReadOnlyFilesystem => err.remedy("choose a folder you may write to"),
            // Whoever reads it, a path that leads nowhere was named wrongly: no fault of the disk.
            K::NotFound if matches!(doing, "reading" | "opening" | "listing the folder") => {
                Error { kind: Kind::Usage, ..err }.remedy("check the path")
            }
            K::NotFound => err.remedy("check the path"),
            _ => err,
        }
    }
    /// Where it is, with options as the command writes them: `config.toml: --batch 4`.
    pub fn whole_place(&self) -> String {
        self.place_with(NamedOption::to_string)
    }
    /// The same with options as Python's keyword arguments: `config.toml: batch=4`.
    pub fn place_in_keywords(&self) -> String {
        self.place_with(NamedOption::keyword)
    }
    /// What to do about it, with options as Python's keyword arguments.
    pub fn remedy_in_keywords(&self) -> String {
        as_keywords(&self.remedy)
    }
    fn place_with(&self, show: impl Fn(&NamedOption) -> String) -> String {
        let options = self.options.iter().map(show).collect::<Vec<_>>().join(" ");
        let parts = if self.options_first { [options.as_str(), &self.place] } else { [self.place.as_str(), &options] };
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
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
        let place = self.whole_place();
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "\n  remedy: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A text with the options that it names as Python's keyword arguments: `--val-split 0.1` becomes `val_split=0.1`, `(--net)` becomes `(net=)`.
fn as_keywords(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        let end = after.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(after.len());
        let name = after[..end].trim_end_matches('-');
        let starts_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        out += before;
        rest = &after[name.len()..];
        if name.is_empty() || !starts_word {
            out += "--";
            out += name;
            continue;
        }
        out += &name.replace('-', "_");
        out += "=";
        // A value, where there can be no doubt that it is one.
        if rest.strip_prefix(' ').is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit())) {
            rest = &rest[1..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_shown_as_each_interface_writes_them() {
        let e = Error::usage("too large")
            .option_as("batch", 4)
            .option("T")
            .at("config.toml")
            .remedy("add --val-split 0.1 (--net), or lower -T");
        assert_eq!(e.to_string(), "config.toml: --batch 4 -T: too large\n  remedy: add --val-split 0.1 (--net), or lower -T");
        assert_eq!(e.place_in_keywords(), "config.toml: batch=4 T=");
        assert_eq!(e.remedy_in_keywords(), "add val_split=0.1 (net=), or lower -T");
        assert_eq!(Error::usage("no").at("column 5").option_as("net", "8C3-XY").to_string(), "--net 8C3-XY: column 5: no");
        assert_eq!(as_keywords("a--b -- c--"), "a--b -- c--");
    }

    #[test]
    fn the_cause_of_an_error_can_be_asked_for() {
        use std::error::Error as _;
        let cause = std::io::Error::from_raw_os_error(28);
        let e = Error::io(std::path::Path::new("f"), "writing", &cause);
        assert_eq!(e.source().unwrap().to_string(), cause.to_string());
        assert!(Error::usage("no").source().is_none());
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let long = format!("first\nä{}", "ö".repeat(5000));
        let e = Error::format(&long);
        assert!(e.what.starts_with("first\näö") && e.what.len() < 1100 && e.what.ends_with("… (9002 more bytes)"), "{}", e.what);
        assert_eq!(Error::format("short\n lines").what, "short\n lines");
    }
}
