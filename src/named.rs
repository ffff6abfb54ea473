//! Closed lists of choices and their names.

/// Gives an enum its names: `ALL`, `name()`, and reading a name, which answers one that is none with the list. What serde reads and
/// writes is to be the same; a test in `config` sees to it.
macro_rules! named {
    ($type:ident, $what:literal: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every one, in the order of documentation.
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];

            /// As it is written on the command line and in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> $crate::error::Result<Self> {
                let found = Self::ALL.into_iter().find(|choice| choice.name() == text);
                found.ok_or_else(|| $crate::error::Error::usage($crate::named::no_such($what, text, &Self::ALL.map(Self::name))))
            }
        }
    };
}

pub(crate) use named;

/// What is said to a name that is none of `known`: the nearest, if it may be a slip of the finger, and all of them.
pub(crate) fn no_such(what: &str, text: &str, known: &[&str]) -> String {
    let nearest = nearest(text, known).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
    let separator = if nearest.is_empty() { ";" } else { "" };
    format!("no such {what}{nearest}{separator} choose {}", known.join(", "))
}

/// `did you mean 'x'? ` for what stands before a colon, if there is such an x among `known`; else nothing.
pub(crate) fn meant(text: &str, known: &[&str]) -> String {
    let head = text.split(':').next().unwrap_or_default();
    let other = nearest(head, known).filter(|name| *name != head);
    other.map_or(String::new(), |name| format!("did you mean '{name}'? "))
}

/// The one of `known` that was meant by `text`, capitals or not, if it is near enough: with half of the name wrong it is no slip of the
/// finger any more.
pub(crate) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let (distance, name) = known.iter().map(|name| (distance(&text, &name.to_lowercase()), *name)).min()?;
    (2 * distance <= name.len()).then_some(name)
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
    fn the_nearest_name_is_offered() {
        assert_eq!(no_such("rule", "spba", &["stbp", "bpsa"]), "no such rule; did you mean 'bpsa'? choose stbp, bpsa");
        assert_eq!(no_such("rule", "hebbian", &["stbp", "bpsa"]), "no such rule; choose stbp, bpsa");
        assert_eq!(nearest("Merged", &["per-step", "merged"]), Some("merged"));
        assert_eq!(nearest("x", &[]), None);
        let known = ["restarts", "cosine"];
        assert_eq!([meant("restart:5", &known), meant("restarts", &known), meant("xyz", &known)], ["did you mean 'restarts'? ", "", ""]);
    }

    #[test]
    fn edit_distance() {
        assert_eq!(distance("mnsit", "mnist"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
