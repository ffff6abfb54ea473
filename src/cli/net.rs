//! `spiketrain net`: what a network is and what it costs.

use super::args::NetArgs;
use super::print;
use crate::engine::cpu::CpuMemory;
use crate::error::{Error, Result};
use crate::limits;
use crate::memory::{self, Load, MemoryPlan};
use crate::notation::Notation;
use crate::plan::{Front, Plan};
// Where the other commands look for it.
pub use crate::report::thousands;

/// Prints the layers of a network.
pub fn run(a: &NetArgs) -> Result<u8> {
    if !(1..=limits::MAX_TIME_STEPS).contains(&a.time_steps) || !(1..=limits::MAX_BATCH).contains(&a.batch) {
        return Err(Error::usage(format!("T = {} and batch {}", a.time_steps, a.batch)).remedy(format!(
            "T: 1 to {}, batch: 1 to {}",
            limits::MAX_TIME_STEPS,
            limits::MAX_BATCH
        )));
    }
    if !(1..=limits::MAX_CLASSES).contains(&a.classes) {
        return Err(Error::usage(format!("{} is out of range", a.classes))
            .option("classes")
            .remedy(format!("choose 1 to {}", limits::MAX_CLASSES)));
    }
    let classes = a.classes;
    let notation = Notation::named(&a.net, classes)?;
    let plan = Plan::new(notation, a.shape)?;
    let plan = if a.relu { plan } else { plan.without_relu() };
    print(table(&plan));
    let load = Load { steps: a.time_steps, batch: a.batch, direct: a.shape.c != 2, everywhere: false };
    let recompute = a.memory.map(|limit| memory::recompute_within(&CpuMemory, &plan, &load, limit)).transpose()?.unwrap_or_default();
    print(memory_lines(("cpu", &CpuMemory), &plan, &load, &recompute));
    Ok(0)
}

/// Layers, shapes, parameters and dense cost per time step.
pub fn table(plan: &Plan) -> String {
    let mut out =
        format!("{}\n\n{:<12} {:<14} {:<14} {:>14} {:>14}\n", plan.notation, "layer", "input", "output", "parameters", "MAC per step");
    for b in &plan.blocks {
        for f in &b.fronts {
            let name = match f.front {
                Front::MaxPool(k) => format!("MP{k}"),
                Front::AvgPool(k) => format!("AP{k}"),
                Front::Dropout => "DP".to_string(),
            };
            out += &format!("{name:<12} {:<14} {:<14}\n", f.input.to_string(), f.output.to_string());
        }
        let (i, o) = (b.input.to_string(), b.output.to_string());
        out += &format!("{:<12} {i:<14} {o:<14} {:>14} {:>14}\n", b.name(), thousands(b.parameters()), thousands(b.macs()));
    }
    out += &format!("{:<12} {:<14} {:<14} {:>14} {:>14}\n", "total", "", "", thousands(plan.parameters()), thousands(plan.macs()));
    if plan.blocks.iter().any(|b| b.relu) { out } else { out + "without ReLU: currents reach the neurons with their sign\n" }
}

/// The memory plan of a training step, in words.
pub fn memory_lines((name, engine): (&str, &dyn MemoryPlan), plan: &Plan, load: &Load, recompute: &[bool]) -> String {
    let m = engine.step(plan, load, recompute);
    let mb = |bytes: usize| format!("{:>8.1} MB", bytes as f64 / 1e6);
    let twice: Vec<String> = plan.blocks.iter().zip(recompute).filter(|(_, r)| **r).map(|(b, _)| b.name()).collect();
    let twice = if twice.is_empty() { String::new() } else { format!("\n  recomputed to save memory: {}", twice.join(", ")) };
    format!(
        "memory of a training step at T = {}, batch {} ({} engine):\n  \
         weights, gradients, AdamW  {}\n  input currents, kept       {}\n  input and spike trains     {}\n  \
         passing from layer to layer{}\n  lists, the program         {}\n  together                   {}{twice}",
        load.steps,
        load.batch,
        name,
        mb(m.optimiser),
        mb(m.currents),
        mb(m.spikes),
        mb(m.passing),
        mb(m.work),
        mb(m.total())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_layer() {
        let plan = Plan::new(Notation::preset("small", 10).unwrap(), "1x28x28".parse().unwrap()).unwrap();
        let text = table(&plan);
        for word in ["128C3", "MP2", "4096FC", "DP", "10Voting", "256x7x7", "51,384,320", "139,"] {
            assert!(text.contains(word), "{word} not in\n{text}");
        }
        assert!(!text.contains("ReLU") && table(&plan.without_relu()).contains("without ReLU"));
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(123), "123");
    }
}
