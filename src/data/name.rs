//! Names of data sets, and what to say to a name that is none.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A data set: pictures, or recordings of an event camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Digits drawn by this program: nothing to download.
    Glyphs,
    /// Handwritten digits, 1x28x28 (LeCun, Cortes, Burges).
    Mnist,
    /// Articles of clothing, 1x28x28 (Zalando Research).
    FashionMnist,
    /// Ten kinds of things, 3x32x32 (Krizhevsky).
    Cifar10,
    /// The user's own pictures: a folder per class.
    Images,
    /// Handwritten digits before a moving event camera, 34x34 (Orchard and others).
    #[serde(rename = "nmnist")]
    NMnist,
    /// Eleven gestures before an event camera, 128x128 (Amir and others, IBM).
    DvsGesture,
    /// CIFAR10's pictures moved before an event camera, 128x128 (Li and others).
    #[serde(rename = "dvs-cifar10")]
    DvsCifar10,
    /// Movements drawn by this program that differ in time only: nothing to download.
    Motions,
    /// The user's own recordings: a folder per class.
    Events,
}

impl DatasetName {
    /// Every set, in the order of documentation.
    pub const ALL: [DatasetName; 10] = [
        DatasetName::Glyphs,
        DatasetName::Mnist,
        DatasetName::FashionMnist,
        DatasetName::Cifar10,
        DatasetName::Images,
        DatasetName::NMnist,
        DatasetName::DvsGesture,
        DatasetName::DvsCifar10,
        DatasetName::Motions,
        DatasetName::Events,
    ];

    /// Whether its samples are frames of events.
    pub const fn is_events(self) -> bool {
        use DatasetName::{DvsCifar10, DvsGesture, Events, Motions, NMnist};
        matches!(self, NMnist | DvsGesture | DvsCifar10 | Motions | Events)
    }

    /// Whether it is a published set, the same everywhere; others are drawn by a seed, or are the user's own.
    pub const fn is_published(self) -> bool {
        use DatasetName::{Events, Glyphs, Images, Motions};
        !matches!(self, Glyphs | Motions | Images | Events)
    }

    /// The name as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            DatasetName::Glyphs => "glyphs",
            DatasetName::Mnist => "mnist",
            DatasetName::FashionMnist => "fashion-mnist",
            DatasetName::Cifar10 => "cifar10",
            DatasetName::Images => "images",
            DatasetName::NMnist => "nmnist",
            DatasetName::DvsGesture => "dvs-gesture",
            DatasetName::DvsCifar10 => "dvs-cifar10",
            DatasetName::Motions => "motions",
            DatasetName::Events => "events",
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DatasetName {
    type Err = Error;

    /// Reads a name; an unknown one is answered with the nearest and with the list.
    fn from_str(s: &str) -> Result<Self> {
        if let Some(name) = Self::ALL.into_iter().find(|n| n.as_str() == s) {
            return Ok(name);
        }
        let known = Self::ALL.map(Self::as_str);
        Err(unknown(s, &known))
    }
}

/// The error for a name that is none of `known`.
pub(super) fn unknown(s: &str, known: &[&str]) -> Error {
    let list = format!("data sets: {}", known.join(", "));
    let nearest = known.iter().map(|n| (distance(&s.to_lowercase(), n), n)).min();
    let remedy = match nearest {
        // Half of the name wrong is no slip of the finger any more.
        Some((d, n)) if 2 * d <= n.len() => format!("did you mean '{n}'? ({list})"),
        _ => list,
    };
    Error::usage(format!("unknown data set '{s}'")).remedy(remedy)
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    // Long input is nobody's typing error, and the table is quadratic.
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                d[i][j] = i + j;
                continue;
            }
            let change = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            d[i][j] = change.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d[i][j] = d[i][j].min(d[i - 2][j - 2] + 1);
            }
        }
    }
    d[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in DatasetName::ALL {
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

    #[test]
    fn edit_distance() {
        assert_eq!(distance("mnsit", "mnist"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
