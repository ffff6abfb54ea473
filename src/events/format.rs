//! The formats of event recordings: one table, from which come detection, the files looked for in folders, and what help and errors list.

use super::{Event, Recording, aedat2, aedat3, nmnist, npz};
use crate::error::Result;

/// A format. Each is declared in its own file; to add one, name it in [`FORMATS`].
pub struct Format {
    /// A short name, as `data inspect --json` has it.
    pub name: &'static str,
    /// The name in words.
    pub title: &'static str,
    /// As help and errors list it.
    pub(super) listed: &'static str,
    /// Endings of its files, in lower case.
    pub endings: &'static [&'static str],
    /// What its files begin with; empty: only the ending tells.
    pub(super) magic: &'static [u8],
    /// Decodes into the given memory; the text names the place of errors.
    pub(super) read: fn(&[u8], &str, Vec<Event>) -> Result<Recording>,
}

/// Every format that is read, in the order of documentation.
pub const FORMATS: [&Format; 4] = [&nmnist::FORMAT, &aedat2::FORMAT, &aedat3::FORMAT, &npz::FORMAT];

/// Endings of recordings that are not read: such files are refused, not passed over.
const REFUSED: [&str; 1] = ["aedat4"];

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The format of a file that begins with `bytes`, by its content and, where content cannot tell, by the ending of `name`.
pub(super) fn of(bytes: &[u8], name: &str) -> Option<&'static Format> {
    let by_content = FORMATS.into_iter().find(|f| !f.magic.is_empty() && bytes.starts_with(f.magic));
    by_content.or_else(|| of_ending(name).filter(|f| f.magic.is_empty()))
}

/// The first format whose files have the ending of `name`.
pub(super) fn of_ending(name: &str) -> Option<&'static Format> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    FORMATS.into_iter().find(|f| f.endings.contains(&ending.as_str()))
}

/// Endings of the formats, in the order of documentation.
pub fn endings() -> Vec<&'static str> {
    let mut all: Vec<&str> = Vec::new();
    for &ending in FORMATS.iter().flat_map(|f| f.endings) {
        if !all.contains(&ending) {
            all.push(ending);
        }
    }
    all
}

/// Endings of files that are meant as recordings, whether their format is read or not, sorted.
pub fn recording_endings() -> Vec<&'static str> {
    let mut all = [endings(), REFUSED.to_vec()].concat();
    all.sort_unstable();
    all
}

/// The formats as a list: `a, b` and, after `last`, the last of them.
pub fn listed(last: &str) -> String {
    let [others @ .., final_one] = FORMATS;
    format!("{}{last}{}", others.map(|f| f.listed).join(", "), final_one.listed)
}
