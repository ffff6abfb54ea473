//! The network notation of the paper, e.g. `128C3-MP2-128C3-256C3-MP2-4096FC-DP-10Voting`.
//!
//! | token | meaning |
//! |---|---|
//! | `kCn` | convolution, k output channels, n x n (n odd), padding (n-1)/2 → BatchNorm → ReLU → LIF |
//! | `MPn`, `APn` | non-overlapping max or average pooling of side n (floor) |
//! | `kFC` | fully connected, k units → ReLU → LIF |
//! | `DP` | dropout of the neurons before it, p = 0.5, one mask per sample held over all T |
//! | `nVoting` | last layer: n classes with 10 LIF voters each |
//!
//! Every accepted text prints back as itself, so a column is a place in the user's own text.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits;
use crate::named::nearest;
use crate::plural::counted_as;

/// One token of the notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `kCn`
    Conv {
        /// Output channels.
        out: usize,
        /// Kernel side, odd.
        k: usize,
    },
    /// `MPn`
    MaxPool(usize),
    /// `APn`
    AvgPool(usize),
    /// `kFC`
    Full(usize),
    /// `DP`
    Dropout,
    /// `nVoting`
    Voting(usize),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Conv { out, k } => write!(f, "{out}C{k}"),
            Layer::MaxPool(k) => write!(f, "MP{k}"),
            Layer::AvgPool(k) => write!(f, "AP{k}"),
            Layer::Full(n) => write!(f, "{n}FC"),
            Layer::Dropout => write!(f, "DP"),
            Layer::Voting(n) => write!(f, "{n}Voting"),
        }
    }
}

/// A whole network: at least one layer, the last and only the last is `Voting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notation {
    layers: Vec<Layer>,
}

/// A network with a name; `{n}` stands for the number of classes.
pub struct Preset {
    /// As on the command line.
    pub name: &'static str,
    /// The notation with `{n}Voting`.
    pub pattern: &'static str,
    /// Where it comes from and what it was used for.
    pub about: &'static str,
}

/// Table 1 of the paper as printed, and the networks of the released code where they differ.
pub const PRESETS: [Preset; 7] = [
    Preset { name: "small", pattern: "128C3-MP2-128C3-256C3-MP2-4096FC-DP-{n}Voting", about: "Table 1: MNIST, 28x28x1" },
    Preset {
        name: "middle",
        pattern: "128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-512FC-{n}Voting",
        about: "Table 1: CIFAR10 32x32x3, N-MNIST 34x34x2",
    },
    Preset {
        name: "large",
        pattern: "128C3-128C3-AP2-128C3-AP2-256C3-AP2-512C3-AP2-1024C3-AP4-DP-1024FC-{n}Voting",
        about: "Table 1: DVS-Gesture and DVS-CIFAR10, 64x64x2",
    },
    Preset { name: "released-mnist", pattern: "128C3-MP2-128C3-256C3-AP2-4096FC-DP-{n}Voting", about: "released code, MNIST" },
    Preset {
        name: "released-cifar10",
        pattern: "128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-{n}Voting",
        about: "released code, CIFAR10",
    },
    Preset { name: "released-nmnist", pattern: "128C3-MP2-128C3-MP2-256C3-AP2-512C3-AP4-DP-{n}Voting", about: "released code, N-MNIST" },
    Preset {
        name: "released-dvs",
        pattern: "128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP2-1024C3-AP4-DP-{n}Voting",
        about: "released code, DVS sets",
    },
];

impl Notation {
    /// The network called `name` for `classes` classes, if there is such a preset.
    pub fn preset(name: &str, classes: usize) -> Option<Notation> {
        let p = PRESETS.iter().find(|p| p.name == name)?;
        p.pattern.replace("{n}", &classes.to_string()).parse().ok()
    }

    /// A preset's name, taken for `classes` classes, or an explicit notation.
    ///
    /// # Errors
    /// Usage: neither.
    pub fn named(text: &str, classes: usize) -> Result<Notation> {
        let near = |e: Error| match nearest(text, &PRESETS.map(|p| p.name)) {
            Some(name) => Error::usage(format!("'{text}' is neither a preset nor a network notation"))
                .remedy(format!("did you mean '{name}'? Or: {}", e.remedy)),
            None => e,
        };
        Self::preset(text, classes).map_or_else(|| text.parse().map_err(near), Ok)
    }

    /// A preset's name or an explicit notation, for a data set of `classes` classes.
    ///
    /// # Errors
    /// Usage: neither a preset nor a notation; or an explicit notation with another number of classes.
    pub fn resolve(text: &str, classes: usize) -> Result<Notation> {
        let n = Self::named(text, classes)?;
        if n.classes() != classes {
            return Err(Error::usage(format!(
                "the network votes for {}, the data set has {classes}",
                counted_as(n.classes(), "class", "classes")
            ))
            .option_as("net", text)
            .remedy(format!("end the notation with {classes}Voting")));
        }
        Ok(n)
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self.layers.last() {
            Some(Layer::Voting(n)) => *n,
            _ => 0,
        }
    }

    /// Column (from 1) at which layer `index` stands in the text.
    pub fn column(&self, index: usize) -> usize {
        1 + self.layers[..index].iter().map(|l| l.to_string().len() + 1).sum::<usize>()
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, l) in self.layers.iter().enumerate() {
            write!(f, "{}{l}", if i > 0 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Notation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut layers = Vec::new();
        let mut column = 1;
        let mut flat = false;
        for token in text.split('-') {
            let place = || format!("network notation, column {column}");
            if matches!(layers.last(), Some(Layer::Voting(_))) {
                return Err(Error::usage(format!("'{token}' stands after the voting layer"))
                    .at(place())
                    .remedy("nVoting must be the last layer"));
            }
            if layers.len() == limits::MAX_LAYERS {
                return Err(Error::usage(format!("more than {} layers", limits::MAX_LAYERS)).at(place()));
            }
            let layer = parse_token(token).map_err(|e| e.at(place()))?;
            if flat && matches!(layer, Layer::Conv { .. } | Layer::MaxPool(_) | Layer::AvgPool(_)) {
                return Err(Error::usage(format!("{layer} cannot follow a fully connected layer: there are no rows and columns left"))
                    .at(place())
                    .remedy("put convolutions and pooling before the first FC"));
            }
            flat |= matches!(layer, Layer::Full(_));
            layers.push(layer);
            column += token.chars().count() + 1;
        }
        if !matches!(layers.last(), Some(Layer::Voting(_))) {
            return Err(Error::usage("the last layer is not a voting layer")
                .at(format!("network notation, column {}", text.chars().count() + 1))
                .remedy("end the notation with -nVoting, n = number of classes, e.g. -10Voting"));
        }
        Ok(Notation { layers })
    }
}

fn parse_token(token: &str) -> Result<Layer> {
    let digits = token.len() - token.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, rest) = token.split_at(digits);
    let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
    let (kind, size) = rest.split_at(letters);
    match (count.is_empty(), kind, size.is_empty()) {
        (false, "C", false) => {
            let (out, k) = (number(count, limits::MAX_UNITS, "channels")?, number(size, limits::MAX_KERNEL, "kernel side")?);
            if k % 2 == 0 {
                return Err(Error::usage(format!("kernel side {k} is even")).remedy("convolution kernels are odd: 1, 3, 5, …"));
            }
            Ok(Layer::Conv { out, k })
        }
        (true, "MP", false) => Ok(Layer::MaxPool(number(size, limits::MAX_POOL, "pooling window")?)),
        (true, "AP", false) => Ok(Layer::AvgPool(number(size, limits::MAX_POOL, "pooling window")?)),
        (false, "FC", true) => Ok(Layer::Full(number(count, limits::MAX_UNITS, "units")?)),
        (true, "DP", true) => Ok(Layer::Dropout),
        (false, "Voting", true) => Ok(Layer::Voting(number(count, limits::MAX_CLASSES, "classes")?)),
        _ if placeholder(token).is_some() => {
            let letter = &token[..1];
            let like = placeholder(token).map_or(String::new(), |layer| layer.to_string());
            Err(Error::usage(format!("'{token}': {letter} stands for a number")).remedy(format!("write the number, e.g. {like}")))
        }
        _ => {
            let shown: String = token.chars().take(20).collect();
            Err(Error::usage(format!("'{shown}' is not a layer")).remedy(format!(
                "layers are kCn, MPn, APn, kFC, DP, nVoting, joined by '-', e.g. 16C3-MP2-32C3-MP2-256FC-DP-10Voting; or a preset: {}",
                PRESETS.map(|p| p.name).join(", ")
            )))
        }
    }
}

/// A layer as help writes it, `nVoting` or `kFC`, with a number in the place of the letter.
fn placeholder(token: &str) -> Option<Layer> {
    let rest = token.strip_prefix(['n', 'k'])?;
    let number = if rest == "Voting" { "10" } else { "64" };
    parse_token(&format!("{number}{rest}").replace("Cn", "C3")).ok()
}

/// A number without sign or leading zeros in 1..=max.
fn number(text: &str, max: usize, what: &str) -> Result<usize> {
    match text.parse::<usize>() {
        Ok(n) if (1..=max).contains(&n) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
        _ => {
            Err(Error::usage(format!("{what}: '{text}' is not a number from 1 to {max}")).remedy(format!("choose {what} from 1 to {max}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_of_the_help_and_slips_in_presets_are_answered() {
        for (text, part) in [
            ("16C3-nVoting", "n stands for a number\n  remedy: write the number, e.g. 10Voting"),
            ("kFC-10Voting", "e.g. 64FC"),
            ("kCn-10Voting", "e.g. 64C3"),
        ] {
            let e = text.parse::<Notation>().unwrap_err().to_string();
            assert!(e.contains(part) && !e.contains("is not a layer"), "{e}");
        }
        for (text, name) in [("smal", "small"), ("Middle", "middle"), ("released-mnits", "released-mnist")] {
            let e = Notation::named(text, 10).unwrap_err().to_string();
            assert!(e.contains(&format!("did you mean '{name}'?")), "{e}");
        }
        assert!(!Notation::named("8C3-9XY-10Voting", 10).unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn presets_are_table_1() {
        let small = Notation::preset("small", 10).unwrap();
        assert_eq!(small.to_string(), "128C3-MP2-128C3-256C3-MP2-4096FC-DP-10Voting");
        assert_eq!(Notation::preset("large", 11).unwrap().classes(), 11);
        for p in &PRESETS {
            assert!(Notation::preset(p.name, 10).is_some(), "{}", p.name);
        }
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column, word) in [
            ("128C3-MP2-128X3-10Voting", 11, "not a layer"),
            ("128C4-10Voting", 1, "even"),
            ("0C3-10Voting", 1, "channels"),
            ("16C3-MP0-10Voting", 6, "pooling"),
            ("16C3-999999999999999999999FC-10Voting", 6, "units"),
            ("16C3-256FC", 11, "last layer"),
            ("16C3-10Voting-DP", 15, "after the voting"),
            ("64FC-16C3-10Voting", 6, "fully connected"),
            ("16C3--10Voting", 6, "not a layer"),
            ("", 1, "not a layer"),
            ("016C3-10Voting", 1, "channels"),
            ("16C3-MP-10Voting", 6, "not a layer"),
            ("16C+3-10Voting", 1, "kernel side"),
            ("16Cé-10Voting", 1, "kernel side"),
        ] {
            let e = text.parse::<Notation>().unwrap_err();
            assert_eq!(e.exit_code(), 2);
            assert!(e.place.contains(&format!("column {column}")), "{text}: {e}");
            assert!(e.what.contains(word), "{text}: {e}");
            assert!(!e.remedy.is_empty(), "{text}");
        }
    }

    #[test]
    fn another_number_of_classes_names_both() {
        let e = Notation::resolve("16C3-10Voting", 11).unwrap_err();
        assert!(e.what.contains("10") && e.what.contains("11"), "{e}");
        assert_eq!(Notation::resolve("middle", 7).unwrap().classes(), 7);
    }

    proptest! {
        #[test]
        fn every_accepted_text_prints_back(text in "([1-9][0-9]{0,3}C[1357]-|MP[1-9]-|AP[1-9]-|DP-){0,8}([1-9][0-9]{0,4}FC-|DP-){0,3}[1-9][0-9]?Voting") {
            let n: Notation = text.parse().unwrap();
            prop_assert_eq!(n.to_string(), text.clone());
            for (i, l) in n.layers().iter().enumerate() {
                prop_assert!(text[n.column(i) - 1..].starts_with(&l.to_string()));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Notation>();
        }

        #[test]
        fn no_near_miss_panics(text in "[0-9CMPAFDVoting+-]{0,40}") {
            if let Ok(n) = text.parse::<Notation>() {
                prop_assert_eq!(n.to_string(), text);
            }
        }
    }
}
