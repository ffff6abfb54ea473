//! What a study found: for the terminal, as markdown and CSV, and whole as JSON.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::run::{Finished, read_json, write_json};
use super::{Kind, Row, Stat};
use crate::config::BestOn;
use crate::error::Result;
use crate::storage::{self, Disk};

/// Every figure.
const FINDINGS: &str = "study.json";

/// study.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The question.
    pub kind: Kind,
    /// The answers so far.
    pub rows: Vec<Row>,
}

/// The findings of a study's folder; `None` if there are none yet.
///
/// # Errors
/// Format: the file cannot be understood. Storage: it cannot be read.
pub fn read(folder: &Path) -> Result<Option<Findings>> {
    read_json(&folder.join(FINDINGS))
}

/// Writes study.json, table.md and table.csv.
///
/// # Errors
/// Storage: they cannot be written.
pub fn write(folder: &Path, kind: Kind, rows: &[Row]) -> Result<()> {
    write_json(&folder.join(FINDINGS), &Findings { kind, rows: rows.to_vec() })?;
    let markdown: String = tables(rows).iter().map(|t| format!("{}\n\n{}\n", t.title, t.markdown())).collect();
    storage::write_text(&Disk, &folder.join("table.md"), &markdown)?;
    storage::write_text(&Disk, &folder.join("table.csv"), &csv(rows)).map(|_| ())
}

/// One finished run in a line.
pub fn run_line(f: &Finished) -> String {
    let r = &f.result;
    let best = r.selected_validation_accuracy.map_or(String::new(), |v| {
        format!(", best epoch {} ({:.2} % of the validation split): {:.2} %", r.selected_epoch, 100.0 * v, 100.0 * r.selected_test_accuracy)
    });
    format!(
        "  test {:.2} % after the last epoch{best}; mean rate {:.2} %, {:.0} s",
        100.0 * r.last_test_accuracy,
        100.0 * r.mean_firing_rate,
        r.train_seconds
    )
}

/// Rows and columns of text.
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Of the columns.
    pub head: Vec<String>,
    /// As wide as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// With the columns one above the other, the first to the left and the others to the right.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |i: usize| all().map(|r| r[i].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut out = format!("{}\n", self.title);
        for row in all() {
            for (i, (cell, w)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(w - cell.chars().count());
                let _ = if i == 0 { write!(out, "{cell}{pad}") } else { write!(out, "  {pad}{cell}") };
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }

    /// As GitHub reads it.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_string(); self.head.len()];
        line(&self.head) + &line(&rule) + &self.rows.iter().map(|r| line(r)).collect::<String>()
    }
}

/// Every table of a study's findings.
pub fn tables(rows: &[Row]) -> Vec<Table> {
    [Some(accuracy(rows)), Some(cost(rows)), anytime(rows), exits(rows)].into_iter().flatten().collect()
}

/// Mean ± standard deviation of a number of every run, `-` where it has none.
fn stat(row: &Row, digits: usize, of: impl Fn(&Finished) -> Option<f64>) -> String {
    // What is the same in all runs has no spread to show.
    let shown = |s: Stat| Stat { std: s.std.filter(|std| *std > 0.0), ..s };
    Stat::of(row.runs.iter().filter_map(of)).map_or("-".to_string(), |s| format!("{:.digits$}", shown(s)))
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_string).to_vec()
}

fn accuracy(rows: &[Row]) -> Table {
    let line = |row: &Row| {
        vec![
            row.cell.clone(),
            row.runs.len().to_string(),
            stat(row, 2, |f| Some(100.0 * f.result.last_test_accuracy)),
            stat(row, 2, |f| (f.result.selected_by != BestOn::Last).then_some(100.0 * f.result.selected_test_accuracy)),
            stat(row, 2, |f| f.cost.energy.map(|_| 100.0 * f.result.mean_firing_rate)),
            stat(row, 2, |f| f.cost.energy.map(|_| 100.0 * f.result.weighted_firing_rate)),
            stat(row, 0, |f| Some(f.result.samples_per_s)),
            stat(row, 0, |f| Some(f.result.train_seconds)),
            row.chosen.clone(),
        ]
    };
    let simulated = rows.iter().flat_map(|r| &r.runs).any(|f| f.result.dataset_simulated);
    let on = rows.iter().flat_map(|r| &r.runs).next().map_or(String::new(), |f| format!(" on {}", f.result.dataset));
    Table {
        title: format!(
            "Test accuracy{on}{}, mean ± standard deviation over seeds; best: the epoch with the best validation accuracy",
            if simulated { " (simulated)" } else { "" }
        ),
        head: strings(["", "runs", "last %", "best %", "rate of layers %", "of neurons %", "samples/s", "s", "chosen"]),
        rows: rows.iter().map(line).collect(),
    }
}

fn cost(rows: &[Row]) -> Table {
    let energy = |of: fn(&super::energy::Energy) -> f64| move |f: &Finished| f.cost.energy.as_ref().map(of).filter(|v| v.is_finite());
    let line = |row: &Row| {
        vec![
            row.cell.clone(),
            stat(row, 2, |f| Some(f.cost.layers.iter().map(|l| l.operations).sum::<f64>() / 1e6)),
            stat(row, 2, |f| Some(f.cost.layers.iter().map(|l| l.macs as f64).sum::<f64>() / 1e6)),
            stat(row, 1, energy(|e| e.paper_gain)),
            stat(row, 1, energy(|e| e.paper_gain_by_neurons)),
            stat(row, 2, energy(|e| e.sober_gain)),
            stat(row, 1, energy(|e| e.spiking_nj / 1e3)),
            stat(row, 1, energy(|e| e.dense_nj / 1e3)),
        ]
    };
    Table {
        title: "Cost of one inference by the best network: counted operations, and energy against the same network without spikes \
                (Eq. 11: INT32 adds against FP32 multiply-adds; sober: FP32 adds, real multiplications where inputs are real)"
            .to_string(),
        head: strings(["", "M operations", "M MAC dense", "Eq. 11 gain", "by neurons", "sober gain", "spiking µJ", "dense µJ"]),
        rows: rows.iter().map(line).collect(),
    }
}

fn anytime(rows: &[Row]) -> Option<Table> {
    let steps = |row: &Row| row.runs.first().map_or(0, |f| f.cost.anytime.len());
    let shown: Vec<&Row> = rows.iter().filter(|r| steps(r) > 1 && r.runs.iter().all(|f| f.cost.energy.is_some())).collect();
    let most = shown.iter().map(|r| steps(r)).max()?;
    let line = |t: usize| {
        let at = |row: &&Row| stat(row, 2, |f| f.cost.anytime.get(t).map(|a| 100.0 * a));
        std::iter::once((t + 1).to_string()).chain(shown.iter().map(at)).collect()
    };
    Some(Table {
        title: "Anytime: test accuracy (%) of one trained network when it is read out after t steps".to_string(),
        head: std::iter::once("t".to_string()).chain(shown.iter().map(|r| r.cell.clone())).collect(),
        rows: (0..most).map(line).collect(),
    })
}

fn exits(rows: &[Row]) -> Option<Table> {
    let shown: Vec<&Row> = rows.iter().filter(|r| r.runs.iter().any(|f| f.cost.steps > 1 && !f.cost.exits.is_empty())).collect();
    let first = shown.first()?.runs.first()?;
    let line = |(i, confidence): (usize, f64)| {
        let at = |row: &&Row| {
            let accuracy = stat(row, 2, |f| f.cost.exits.get(i).map(|e| 100.0 * e.accuracy));
            format!("{accuracy} in {}", stat(row, 2, |f| f.cost.exits.get(i).map(|e| e.mean_steps)))
        };
        std::iter::once(format!("{:.0} %", 100.0 * confidence)).chain(shown.iter().map(at)).collect()
    };
    Some(Table {
        title: "Early exit: test accuracy (%) and mean steps when the winner's share of the votes reaches a confidence".to_string(),
        head: std::iter::once("confidence".to_string()).chain(shown.iter().map(|r| r.cell.clone())).collect(),
        rows: first.cost.exits.iter().map(|e| e.confidence).enumerate().map(line).collect(),
    })
}

/// A line per run.
fn csv(rows: &[Row]) -> String {
    let mut out = String::from(
        "cell,chosen,seed,T,epochs,last_test_accuracy,selected_test_accuracy,selected_epoch,selected_validation_accuracy,mean_firing_rate,\
         weighted_firing_rate,operations,dense_macs,eq11_gain,sober_gain,samples_per_s,train_seconds,simulated,weights_sha256\n",
    );
    for (row, f) in rows.iter().flat_map(|row| row.runs.iter().map(move |f| (row, f))) {
        let (r, e) = (&f.result, f.cost.energy);
        let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        let cells = [
            row.cell.clone(),
            format!("\"{}\"", row.chosen),
            r.seed.to_string(),
            r.time_steps.to_string(),
            r.epochs.to_string(),
            r.last_test_accuracy.to_string(),
            r.selected_test_accuracy.to_string(),
            r.selected_epoch.to_string(),
            number(r.selected_validation_accuracy),
            r.mean_firing_rate.to_string(),
            r.weighted_firing_rate.to_string(),
            f.cost.layers.iter().map(|l| l.operations).sum::<f64>().to_string(),
            f.cost.layers.iter().map(|l| l.macs).sum::<usize>().to_string(),
            number(e.map(|e| e.paper_gain)),
            number(e.map(|e| e.sober_gain)),
            r.samples_per_s.to_string(),
            r.train_seconds.to_string(),
            r.dataset_simulated.to_string(),
            r.weights_sha256.clone(),
        ];
        out += &(cells.join(",") + "\n");
    }
    out
}
