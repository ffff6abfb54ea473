//! `spiketrain doctor`: golden vectors and fixtures on every engine.

use std::collections::BTreeMap;

use super::args::DoctorArgs;
use super::print;
use crate::doctor::{self, Check, fixture::Fixture};
use crate::engine::{
    Engine,
    cpu::{Cpu, Isa},
    reference::Reference,
};
use crate::error::Result;
use crate::plural::{counted, counted_as};
use crate::train::record::available_memory;

/// Runs everything; exit code 1 if any tensor is out of tolerance.
pub fn run(a: &DoctorArgs) -> Result<u8> {
    let mut fixtures = doctor::built_in()?;
    let built_in = fixtures.len();
    if let Some(folder) = &a.fixtures {
        fixtures.extend(doctor::read_folder(folder)?);
    }
    print(format!(
        "{}, {} from --fixtures, {}",
        counted(built_in, "built-in fixture"),
        fixtures.len() - built_in,
        counted(doctor::golden::cases().len(), "golden vector")
    ));
    let mut total = Total::default();
    total.engine(&Reference, "reference (f64)", &fixtures, a.verbose)?;
    for isa in Isa::available() {
        total.engine(&Cpu::with_isa(isa), &format!("cpu ({})", isa.name()), &fixtures, a.verbose)?;
    }
    print(format!("\nlargest gradient error: {:.1e} of the tensor's largest entry ({})", total.worst_gradient.0, total.worst_gradient.1));
    print(format!("{} compared, {} out of tolerance", counted(total.compared, "tensor"), total.failed));
    print(machine());
    print(match total.failed {
        0 => "verdict: this machine computes the paper's numbers".to_string(),
        n => format!(
            "verdict: {} wrong on this machine; please report it with all of this output",
            counted_as(n, "tensor is", "tensors are")
        ),
    });
    Ok(u8::from(total.failed > 0))
}

/// What trains here.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = available_memory().map_or("an unknown amount".to_string(), |room| format!("{:.1} GB", room.bytes as f64 / 1e9));
    let sets: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    format!(
        "machine: {}, {memory} of memory free, instruction sets {} (training takes the widest)",
        counted(cores, "core"),
        sets.join(", ")
    )
}

#[derive(Default)]
struct Total {
    compared: usize,
    failed: usize,
    worst_gradient: (f64, String),
}

const GROUPS: [&str; 9] = ["count", "rates", "loss", "grad", "bn", "eval", "adamw1", "adamw3", "loss_last"];

impl Total {
    fn engine<E: Engine>(&mut self, engine: &E, title: &str, fixtures: &[Fixture], verbose: bool) -> Result<()> {
        print(format!("\n{title}: largest error per kind of tensor (grad: relative to the tensor's largest entry)"));
        print(format!("  {:<26}{}", "", GROUPS.map(|g| format!("{g:>10}")).concat()));
        let golden = doctor::run_golden(engine)?;
        let worst = golden.iter().map(|c| c.error).fold(0.0, f64::max);
        print(format!("  {:<26}{worst:>10.1e}", "golden vectors (e[t])"));
        self.add(title, "golden", &golden, verbose);
        for f in fixtures {
            let checks = doctor::run(engine, f)?;
            let mut by_group: BTreeMap<&str, f64> = BTreeMap::new();
            for c in &checks {
                let e = by_group.entry(c.group()).or_insert(0.0);
                *e = e.max(c.error);
            }
            let columns = GROUPS.map(|g| by_group.get(g).map_or(format!("{:>10}", "-"), |e| format!("{e:>10.1e}")));
            print(format!("  {:<26}{}", f.name, columns.concat()));
            self.add(title, &f.name, &checks, verbose);
        }
        Ok(())
    }

    fn add(&mut self, engine: &str, fixture: &str, checks: &[Check], verbose: bool) {
        for c in checks {
            self.compared += 1;
            if c.group() == "grad" && c.error > self.worst_gradient.0 {
                self.worst_gradient = (c.error, format!("{engine}, {fixture}, {}", c.tensor));
            }
            if !c.passes() {
                self.failed += 1;
            }
            if verbose || !c.passes() {
                let verdict = if c.passes() { "ok" } else { "OUT OF TOLERANCE" };
                print(format!("    {:<28} {:>9.1e}  (bound {:.0e})  {verdict}", c.tensor, c.error, c.bound));
            }
        }
    }
}
