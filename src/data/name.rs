//! Names of data sets, and what to say to a name that is none.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::sets::{ALL, Descriptor};
use crate::error::{Error, Result};
use crate::named::nearest;

/// A data set of this program, by name; what there is to know about it is in its [`Descriptor`], to which this dereferences.
#[derive(Clone, Copy)]
pub struct DatasetName(&'static Descriptor);

impl DatasetName {
    pub(super) const fn new(set: &'static Descriptor) -> Self {
        DatasetName(set)
    }

    /// The name as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }
}

impl Deref for DatasetName {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        self.0
    }
}

impl PartialEq for DatasetName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DatasetName {}

impl Hash for DatasetName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// Names of all sets.
const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = ALL[i].as_str();
        i += 1;
    }
    names
};

fn known(name: &str) -> Option<DatasetName> {
    ALL.into_iter().find(|set| set.name == name)
}

impl FromStr for DatasetName {
    type Err = Error;

    /// Reads a name; an unknown one is answered with the nearest and with the list.
    fn from_str(s: &str) -> Result<Self> {
        known(s).ok_or_else(|| unknown(s, &NAMES))
    }
}

impl Serialize for DatasetName {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for DatasetName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        known(&name).ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}

/// The error for a name that is none of `known`.
pub(super) fn unknown(s: &str, known: &[&str]) -> Error {
    let list = format!("data sets: {}", known.join(", "));
    let remedy = match nearest(s, known) {
        Some(n) => format!("did you mean '{n}'? ({list})"),
        None => list,
    };
    Error::usage(format!("unknown data set '{s}'")).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ALL {
            assert_eq!(name.to_string().parse::<DatasetName>().unwrap(), name);
            // In files as on the command line.
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
    }

    #[test]
    fn unknown_names_get_the_nearest_and_the_list() {
        let e = "mnsit".parse::<DatasetName>().unwrap_err().to_string();
        assert!(e.contains("unknown data set 'mnsit'") && e.contains("did you mean 'mnist'?") && e.contains("cifar10"), "{e}");
        let e = "CIFAR10".parse::<DatasetName>().unwrap_err().to_string();
        assert!(e.contains("did you mean 'cifar10'?"), "{e}");
        let e = "imagenet-21k-full".parse::<DatasetName>().unwrap_err().to_string();
        assert!(!e.contains("did you mean") && e.contains("fashion-mnist"), "{e}");
        assert!("".parse::<DatasetName>().is_err());
        assert!("ü".repeat(10_000).parse::<DatasetName>().is_err());
    }
}
