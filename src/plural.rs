//! Numbers before their nouns: "1 epoch", "2 epochs", "60,000 recordings".

use std::fmt::Display;

/// The word for one where `n` is 1, else the other.
pub(crate) fn either<'a, N: PartialEq + From<u8>>(n: N, one: &'a str, many: &'a str) -> &'a str {
    if n == N::from(1) { one } else { many }
}

/// A number and its noun, whose plural has an s at its end and nothing else.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str) -> String {
    format!("{n} {one}{}", either(n, "", "s"))
}

/// A number and its noun, whose plural is given in full.
pub(crate) fn counted_as<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    format!("{n} {}", either(n, one, many))
}

/// As [`counted`], with a comma between thousands.
pub(crate) fn grouped(n: usize, one: &str) -> String {
    format!("{} {one}{}", thousands(n), either(n, "", "s"))
}

/// 1234567 → 1,234,567
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "epoch")), ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!([1u64, 3].map(|n| counted_as(n, "class", "classes")), ["1 class", "3 classes"]);
        assert_eq!([1, 60_000].map(|n| grouped(n, "file")), ["1 file", "60,000 files"]);
        assert_eq!([1usize, 2].map(|n| either(n, "is", "are")), ["is", "are"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 123, 1_234, 1_234_567].map(thousands), ["0", "123", "1,234", "1,234,567"]);
    }
}
