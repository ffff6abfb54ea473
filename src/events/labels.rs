//! DVS-Gesture's text files: which gesture was made when, and which recordings are for training.
//!
//! A recording `user01_led.aedat` has a file `user01_led_labels.csv` of lines `class,startTime_usec,endTime_usec`; a sample is the
//! events with start ≤ t < end. `trials_to_train.txt` and `trials_to_test.txt` name a recording per line. (Amir et al., "A low power,
//! fully event-based gesture recognition system", CVPR 2017; the README of the set.)

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::limits;

/// Classes of the set; they are numbered from 1.
pub const CLASSES: u16 = 11;
/// First field of the line of names, which may be missing.
const TITLE: &str = "class";
/// Characters of a line that an error message shows.
const SHOWN: usize = 100;

/// One gesture in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// 1 to 11, as in the file.
    pub class: u16,
    /// First time of it, in µs.
    pub start: u64,
    /// The time behind it, in µs.
    pub end: u64,
}

/// The gestures of a recording.
#[derive(Clone, Debug)]
pub struct Labels {
    /// In file order, which need not be that of time; gaps between them are normal, and a class may occur twice.
    pub labels: Vec<Label>,
    /// What the user should know: wrong order, overlaps.
    pub notes: Vec<String>,
}

/// Reads a labels CSV; `name` only names the place of errors. Line ends may be LF or CRLF, a byte order mark and a missing line of
/// names are no error. Lines in another order than that of time (the set's own user22_led) and gestures that overlap are taken as they
/// are, with a note.
///
/// # Errors
/// Format: no gesture at all, a line that is not three numbers, a class other than 1 to 11, a start that is not before its end.
pub fn parse(bytes: &[u8], name: &str) -> Result<Labels> {
    let mut labels = Vec::new();
    let mut notes = Vec::new();
    for (number, line) in lines(bytes, name)? {
        if labels.len() == limits::MAX_GESTURES {
            let found = format!("expected {} gestures at most, found more", limits::MAX_GESTURES);
            return Err(Error::format(found).at(format!("{name}: line {number}")).remedy("unpack the set again"));
        }
        if labels.is_empty() && line.split(',').next().is_some_and(|f| f.trim().eq_ignore_ascii_case(TITLE)) {
            continue;
        }
        let label = label(line).map_err(|e| e.at(format!("{name}: line {number}")))?;
        if labels.last().is_some_and(|before: &Label| label.start < before.start) {
            notes.push(format!("{name}: line {number}: class {} starts before the line above it; taken as it is", label.class));
        }
        labels.push(label);
    }
    if labels.is_empty() {
        return Err(Error::format("expected lines class,start,end, found none").at(name).remedy("unpack the set again"));
    }
    let mut by_time = labels.clone();
    by_time.sort_by_key(|l| (l.start, l.end));
    for pair in by_time.windows(2).filter(|p| p[1].start < p[0].end) {
        let (a, b) = (pair[0], pair[1]);
        let shared = a.end.min(b.end) - b.start;
        notes.push(format!("{name}: classes {} and {} overlap by {shared} µs from {} on; both are taken", a.class, b.class, b.start));
    }
    Ok(Labels { labels, notes })
}

fn label(line: &str) -> Result<Label> {
    const REMEDY: &str = "write class,start,end: a class of 1 to 11 and times in µs, start before end";
    let mut fields = line.split(',').map(str::trim);
    let (Some(class), Some(start), Some(end), None) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
        return Err(Error::format(format!("expected 3 fields, found {}", line.split(',').count())).remedy(REMEDY));
    };
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| Error::format(format!("expected a whole number, found \"{}\"", shown(text))).remedy(REMEDY))
    };
    let (class, start, end) = (number(class)?, number(start)?, number(end)?);
    if !(1..=u64::from(CLASSES)).contains(&class) {
        return Err(Error::format(format!("expected a class of 1 to {CLASSES}, found {class}")).remedy(REMEDY));
    }
    if start >= end {
        return Err(Error::format(format!("expected a start before the end, found {start} and {end}")).remedy(REMEDY));
    }
    Ok(Label { class: class as u16, start, end })
}

/// Reads a list of recordings (`trials_to_train.txt`), in file order; `name` only names the place of errors.
///
/// # Errors
/// Format: no name at all, a name that leads to another folder, or a name that stands there twice.
pub fn parse_trials(bytes: &[u8], name: &str) -> Result<Vec<String>> {
    let (mut trials, mut seen) = (Vec::<String>::new(), HashSet::new());
    for (number, line) in lines(bytes, name)? {
        let wrong = |what: &str| Error::format(format!("{what}: {}", shown(line))).at(format!("{name}: line {number}"));
        if line.contains(['/', '\\', ':']) || line == "." || line == ".." {
            return Err(wrong("expected the name of a recording, found a path").remedy("name files of the same folder only"));
        }
        if !seen.insert(line) {
            return Err(wrong("this recording stands there twice").remedy("remove one of the lines"));
        }
        trials.push(line.to_string());
    }
    if trials.is_empty() {
        return Err(Error::format("expected names of recordings, found none").at(name).remedy("unpack the set again"));
    }
    Ok(trials)
}

/// The beginning of a text for an error message.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

/// The lines that are not blank, trimmed, with their numbers from 1.
fn lines<'a>(bytes: &'a [u8], name: &str) -> Result<impl Iterator<Item = (usize, &'a str)>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::format("expected text").at(format!("{name}: byte {}", e.valid_up_to())).remedy("unpack the set again"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, line)| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        parse(text.as_bytes(), "l.csv").unwrap()
    }

    fn error(text: &[u8]) -> String {
        parse(text, "l.csv").unwrap_err().to_string()
    }

    #[test]
    fn line_ends_byte_order_mark_and_names_do_not_matter() {
        let plain = labels("1,10,20\n8,30,40\n8,40,55\n");
        assert_eq!(plain.labels[1], Label { class: 8, start: 30, end: 40 });
        assert!(plain.notes.is_empty(), "gaps and a class that occurs twice are normal: {:?}", plain.notes);
        let title = "class,startTime_usec,endTime_usec";
        for text in [
            format!("{title}\n1,10,20\n8,30,40\n8,40,55"),
            format!("\u{feff}{title}\r\n1,10,20\r\n8,30,40\r\n8,40,55\r\n"),
            "\u{feff}1, 10 ,20\n\n8,30,40\n8,40,55\n\n".into(),
        ] {
            assert_eq!(labels(&text).labels, plain.labels, "{text:?}");
        }
    }

    #[test]
    fn wrong_order_and_overlaps_are_taken_and_said() {
        let l = labels("class,a,b\n2,100,200\n1,10,20\n3,150,160\n");
        assert_eq!(l.labels.iter().map(|l| l.class).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(l.notes.len(), 2, "{:?}", l.notes);
        assert!(l.notes[0].contains("line 3: class 1 starts before"), "{}", l.notes[0]);
        assert!(l.notes[1].contains("classes 2 and 3 overlap by 10 µs from 150"), "{}", l.notes[1]);
    }

    #[test]
    fn every_bad_line_is_named() {
        for (line, part) in [
            ("0,1,2", "class of 1 to 11, found 0"),
            ("12,1,2", "class of 1 to 11, found 12"),
            ("70000,1,2", "found 70000"),
            ("3,5,5", "found 5 and 5"),
            ("3,6,5", "found 6 and 5"),
            ("3,x,5", "found \"x\""),
            ("3,-1,5", "found \"-1\""),
            ("3,1.5,5", "found \"1.5\""),
            ("3,1,99999999999999999999999", "whole number"),
            ("3,1", "3 fields, found 2"),
            ("3,1,2,3", "3 fields, found 4"),
            ("class,a,b", "found \"class\""),
        ] {
            let e = error(format!("class,a,b\r\n1,1,2\r\n{line}\r\n").as_bytes());
            assert!(e.starts_with("l.csv: line 3: ") && e.contains(part) && e.contains("remedy"), "{line}: {e}");
        }
        assert!(error(b"").contains("found none"));
        assert!(error(b"class,a,b\n").contains("found none"));
        assert!(error(b"1,2,\xff").contains("byte 4"));
    }

    #[test]
    fn a_list_of_trials_holds_names_once() {
        let list = |text: &str| parse_trials(text.as_bytes(), "t.txt");
        assert_eq!(list("b.aedat\r\n\r\na.aedat").unwrap(), ["b.aedat", "a.aedat"]);
        for (text, part) in [("", "found none"), ("a\na", "line 2"), ("../a", "path"), ("a\\b", "path"), ("..", "path"), ("C:a", "path")] {
            let e = list(text).unwrap_err().to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn the_real_files() {
        let Some(dir) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(std::path::PathBuf::from) else {
            println!("SKIPPED: SPIKETRAIN_TEST_DATA is not set");
            return;
        };
        let read = |name: &str| std::fs::read(dir.join("dvs-gesture").join(name)).unwrap();
        let l = parse(&read("user01_natural_labels.csv"), "l").unwrap();
        assert_eq!(l.labels.iter().map(|l| l.class).collect::<Vec<_>>(), [1, 2, 3, 5, 4, 6, 7, 8, 8, 9, 10, 11]);
        assert_eq!((l.labels[0].start, l.labels[11].end, l.notes.len()), (53_036_986, 177_991_967, 0));
        let [train, test] = ["trials_to_train.txt", "trials_to_test.txt"].map(|f| parse_trials(&read(f), f).unwrap());
        assert_eq!((train.len(), test.len()), (98, 24));
        assert!(test.iter().all(|t| t.ends_with(".aedat") && !train.contains(t)));
    }
}
