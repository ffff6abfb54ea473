//! `spiketrain doctor`: golden vectors and fixtures on every engine.

use std::collections::BTreeMap;

use super::args::DoctorArgs;
use super::print;
use crate::config::{Device, InstructionSet};
use crate::doctor::{self, Check, fixture::Fixture};
use crate::engine::{
    Engine,
    cpu::{Cpu, Isa},
    reference::Reference,
};
use crate::engines::{self, Work};
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
    let cards = engines::cards();
    for (i, card) in cards.iter().enumerate() {
        let (name, isa) = (Device::Gpu(Some(i.to_string())), InstructionSet::default());
        let checks = OnCard {
            total: &mut total,
            title: format!("gpu:{i} ({})", card.split(',').next().unwrap_or_default()),
            fixtures: &fixtures,
            verbose: a.verbose,
        };
        engines::with_engine(&name, isa, checks)??;
    }
    print(format!("\nlargest gradient error: {:.1e} of the tensor's largest entry ({})", total.worst_gradient.0, total.worst_gradient.1));
    print(format!("{} compared, {} out of tolerance", counted(total.compared, "tensor"), total.failed));
    print(machine());
    print(graphics(&cards));
    print(match total.failed {
        0 => "verdict: this machine computes the paper's numbers".to_string(),
        n => format!(
            "verdict: {} wrong on this machine; please report it with all of this output",
            counted_as(n, "tensor is", "tensors are")
        ),
    });
    Ok(u8::from(total.failed > 0))
}

/// Everything on a graphics card.
struct OnCard<'a> {
    total: &'a mut Total,
    title: String,
    fixtures: &'a [Fixture],
    verbose: bool,
}

impl Work for OnCard<'_> {
    type Out = Result<()>;

    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out {
        self.total.engine(&engine, &self.title, self.fixtures, self.verbose)
    }
}

/// Which cards --device gpu finds, or what is missing.
fn graphics(cards: &[String]) -> String {
    match (engines::HAS_GPU, cards) {
        (false, _) => "graphics cards: this spiketrain was built without --device gpu (cargo build --release --features gpu)".to_string(),
        (true, []) => {
            "graphics cards: none found; --device gpu needs the card's Vulkan driver (Debian: mesa-vulkan-drivers and libvulkan1, or \
                       NVIDIA's), Metal or DX12"
                .to_string()
        }
        (true, cards) => {
            let lines: Vec<String> = cards.iter().enumerate().map(|(i, card)| format!("  gpu:{i}  {card}")).collect();
            format!("graphics cards (--device gpu takes the first):\n{}", lines.join("\n"))
        }
    }
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
