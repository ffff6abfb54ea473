//! A picture in words, from its numbers: for those who hear the page.

use super::{Figure, Table, short};
use crate::plural::counted;

/// Lines or rows that are described one by one; more would not be listened to.
const MOST: usize = 6;

/// What the picture shows: each line's or row's range, as far as its numbers are numbers.
pub fn of(f: &Figure) -> String {
    let note = if f.note.is_empty() { String::new() } else { format!("{} ", f.note.trim()) };
    match f.table.rows.len() {
        0 => note.trim_end().to_string(),
        _ => format!("{note}{}", numbers(&f.table)),
    }
}

fn numbers(t: &Table) -> String {
    // Axes of numbers have a line in each column; names of layers or classes have a row of values each.
    let by_column = t.rows.iter().all(|r| r[0].parse::<f64>().is_ok());
    let lines: Vec<(String, Vec<(String, f64)>)> = if by_column {
        let column = |i: usize| t.rows.iter().filter_map(|r| Some((r[0].clone(), r[i].parse().ok()?))).collect();
        (1..t.columns.len()).map(|i| (t.columns[i].clone(), column(i))).collect()
    } else {
        let row = |r: &Vec<String>| t.columns.iter().zip(r).skip(1).filter_map(|(c, v)| Some((c.clone(), v.parse().ok()?))).collect();
        t.rows.iter().map(|r| (r[0].clone(), row(r))).collect()
    };
    let told: Vec<String> = lines.iter().filter_map(|(name, points)| line(name, points, &t.columns[0], by_column)).take(MOST).collect();
    let size = format!("{}, {}", counted(t.rows.len(), "row"), counted(t.columns.len(), "column"));
    match told.is_empty() {
        true => format!("The numbers are in the table below ({size})."),
        false if lines.len() > told.len() => format!("{}. More in the table below ({size}).", told.join("; ")),
        false => format!("{}.", told.join("; ")),
    }
}

/// `test: 12.5 at epoch 1, 97.2 at epoch 8; highest 97.4 at 6`, or for a row its largest value.
fn line(name: &str, points: &[(String, f64)], x: &str, course: bool) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    let high = points.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let low = points.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(match course {
        _ if points.len() == 1 => format!("{name}: {} at {}", short(first.1), first.0),
        true => format!(
            "{name}: from {} at {x} {} to {} at {x} {}, lowest {}, highest {}",
            short(first.1),
            first.0,
            short(last.1),
            last.0,
            short(low.1),
            short(high.1)
        ),
        false => format!("{name}: from {} ({}) to {} ({})", short(low.1), low.0, short(high.1), high.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_their_course_and_maps_by_their_rows() {
        let mut curves = Table::new(["epoch", "test"]);
        curves.rows = vec![vec!["1".into(), "12.5".into()], vec!["2".into(), "97.4".into()], vec!["3".into(), "97.2".into()]];
        assert_eq!(numbers(&curves), "test: from 12.5 at epoch 1 to 97.2 at epoch 3, lowest 12.5, highest 97.4.");
        let mut map = Table::new(["layer", "1", "2"]);
        map.rows = vec![vec!["1 4C3".into(), "0.5".into(), "0.25".into()]];
        assert_eq!(numbers(&map), "1 4C3: from 0.25 (2) to 0.5 (1).");
        let mut words = Table::new(["layer", "neuron"]);
        words.rows = vec![vec!["a".into(), "b".into()]];
        assert_eq!(numbers(&words), "The numbers are in the table below (1 row, 2 columns).");
    }
}
