//! `spiketrain recipes`: the named sets of defaults, and what they reach.

use super::args::RecipesArgs;
use super::print;
use crate::config::Recipe;
use crate::data::sets::{self, Defaults, MEASURED_ON};
use crate::data::{DatasetName, Preparation};
use crate::error::Result;
use crate::study::table::Table;

/// Prints one line per recipe and data set, or all that a set's recipes say.
pub fn run(a: &RecipesArgs) -> Result<u8> {
    match a.dataset {
        Some(set) => {
            print(options(set).text());
            print(format!("spiketrain train --dataset {set} [--recipe NAME]; any option given beside it wins"));
        }
        None => {
            print(reached().text());
            print("what a recipe consists of: spiketrain recipes DATASET");
        }
    }
    Ok(0)
}

/// The recipes that there are for a set.
fn of(set: DatasetName) -> impl Iterator<Item = (Recipe, Defaults)> {
    Recipe::ALL.into_iter().filter_map(move |recipe| Some((recipe, recipe.defaults(set).ok()?)))
}

fn outcome(d: &Defaults) -> String {
    match d.measured {
        None => "not measured".to_string(),
        Some(m) => format!(
            "{:.2} % in {:.0} min{}",
            m.test,
            m.minutes.ceil(),
            if m.of.is_empty() { String::new() } else { format!(" ({})", m.of) }
        ),
    }
}

fn reached() -> Table {
    let head = ["data set", "recipe", "T", "epochs", "rule", "test accuracy in minutes"].map(str::to_string).to_vec();
    let row = |set: DatasetName, (recipe, d): (Recipe, Defaults)| {
        let [set, recipe] = [set.as_str(), recipe.name()].map(str::to_string);
        vec![set, recipe, d.time_steps.to_string(), d.epochs.to_string(), d.rule.to_string(), outcome(&d)]
    };
    let rows = sets::ALL.into_iter().flat_map(|set| of(set).map(move |found| row(set, found))).collect();
    Table { title: format!("Recipes, measured on {MEASURED_ON}:"), head, rows }
}

fn options(set: DatasetName) -> Table {
    let all: Vec<(Recipe, Defaults)> = of(set).collect();
    let augmentation = Preparation::of(set, 1).augmentation();
    let row = |name: &str, value: &dyn Fn(&Defaults) -> String| {
        std::iter::once(name.to_string()).chain(all.iter().map(|(_, d)| value(d))).collect::<Vec<String>>()
    };
    let rows = vec![
        row("net", &|d| d.net.replace("{n}", "n")),
        row("time-steps", &|d| d.time_steps.to_string()),
        row("epochs", &|d| d.epochs.to_string()),
        row("batch", &|d| d.batch.to_string()),
        row("rule", &|d| d.rule.to_string()),
        row("alpha", &|d| d.alpha.to_string()),
        row("lr (stbp)", &|d| format!("{} ({})", d.lr[0], d.lr[1])),
        row("schedule", &|d| d.schedule.to_string()),
        row("warm-up", &|d| d.warm_up.to_string()),
        row("bn", &|d| d.bn.to_string()),
        row("loss", &|d| d.loss.to_string()),
        row("threshold", &|d| d.threshold.to_string()),
        row("augment", &|d| if d.augment { augmentation.clone() } else { "no".to_string() }),
        row("reaches", &outcome),
    ];
    let head = std::iter::once(String::new()).chain(all.iter().map(|(recipe, _)| recipe.name().to_string())).collect();
    Table { title: format!("Recipes for {set}, measured on {MEASURED_ON}:"), head, rows }
}
