//! Recipes: named sets of defaults of training.

use serde::{Deserialize, Serialize};

use crate::data::DatasetName;
use crate::data::sets::{self, Authors, Defaults};
use crate::error::{Error, Result};
use crate::named::named;

/// Whose way of training gives what is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// Ours, chosen by measurement for two cores.
    #[default]
    Standard,
    /// The paper's: Table 1's network, T = 16, α = 0.8, statistics per step, SGDR, TSSL, 300 epochs.
    Paper,
    /// The scripts of the authors' released code.
    Released,
}

named!(Recipe, "recipe": Standard = "standard", Paper = "paper", Released = "released");

impl Recipe {
    /// What training on a set begins with.
    ///
    /// # Errors
    /// Usage: the authors did not train on this set.
    pub fn defaults(self, set: DatasetName) -> Result<Defaults> {
        let of_authors = || {
            set.authors.as_ref().ok_or_else(|| {
                let theirs: Vec<&str> = sets::ALL.iter().filter(|s| s.authors.is_some()).map(|s| s.as_str()).collect();
                Error::usage(format!("the authors did not train on {set}"))
                    .option_as("recipe", self.name())
                    .remedy(format!("leave it out for our own recipe, or choose one of their data sets: {}", theirs.join(", ")))
            })
        };
        match self {
            Recipe::Standard => Ok(set.defaults),
            Recipe::Paper => of_authors().map(Authors::paper),
            Recipe::Released => of_authors().map(Authors::released),
        }
    }
}
