//! What a receiver has to know to feed an exported network and to read its answers: every format carries it, and [`super::stated`] reads it.

use crate::config::Config;
use crate::data::{DatasetName, Preparation, Resize};
use crate::plan::Plan;
use crate::plural::counted;
use crate::shape::Chw;

use super::stated::Cutting;
use super::tensors::About;

/// Inputs and answers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// Of one sample at one step.
    pub shape: Chw,
    /// T: frames of a recording, or how often a picture is presented.
    pub steps: usize,
    /// What its pixels are scaled by, of pictures.
    pub pixels: Option<[Vec<f32>; 2]>,
    /// How recordings become frames, in words.
    pub frames: Option<String>,
    /// The same, for [`super::stated`].
    pub cutting: Option<Cutting>,
    /// The set of the configuration.
    pub dataset: DatasetName,
    /// Names of the classes in the order of the outputs.
    pub classes: Vec<String>,
}

impl Inputs {
    /// Of the network `plan` that was trained as `config` says.
    pub fn of(config: &Config, plan: &Plan, classes: &[String]) -> Inputs {
        let (shape, steps) = (plan.shape, config.time_steps.last());
        let Preparation { mean, std, resize, .. } = config.preparation(shape.c);
        let events = config.dataset.is_events();
        let size = resize.sensor(shape);
        let smaller = match resize {
            Resize::None => String::new(),
            other => format!("; counted on {}x{} pixels, then made half as wide and high ({})", size.width, size.height, other.name()),
        };
        let cut = format!(
            "events{} cut by {} into {}; a frame holds the counts of its slice, channel 0 OFF, 1 ON",
            if config.sort { " in the order of their times" } else { "" },
            config.split_by.name(),
            counted(steps, "slice")
        );
        Inputs {
            shape,
            steps,
            pixels: (!events).then_some([mean, std]),
            frames: events.then(|| cut + &smaller),
            cutting: events.then_some(Cutting { split_by: config.split_by, resize, sort: config.sort }),
            dataset: config.dataset,
            classes: classes.to_vec(),
        }
    }

    /// How a raw sample becomes what the network reads, in a sentence.
    pub fn in_words(&self) -> String {
        match (&self.pixels, &self.frames) {
            (Some([mean, std]), _) => format!(
                "pixels v of 0 to 255 become (v / 255 - mean[c]) / std[c] with mean {mean:?} and std {std:?}; the picture is presented at each of \
                 {}",
                counted(self.steps, "step")
            ),
            (None, frames) => frames.clone().unwrap_or_default(),
        }
    }

    /// As entries of metadata.
    pub fn about(&self) -> About {
        let json =
            |values: &[f32]| serde_json::json!(values.iter().map(|v| v.to_string().parse::<f64>().unwrap_or(0.0)).collect::<Vec<_>>());
        let mut all = vec![
            ("input", self.in_words()),
            ("input_layout", if self.frames.is_some() { "T,C,H,W" } else { "C,H,W" }.to_string() + ", rows from the top"),
            ("classes", serde_json::json!(self.classes).to_string()),
            ("time_steps", self.steps.to_string()),
            ("dataset", self.dataset.to_string()),
        ];
        if let Some(Cutting { split_by, resize, sort }) = self.cutting {
            let sorted = if sort { "yes" } else { "no" };
            all.extend([
                ("events_split_by", split_by.name().to_string()),
                ("events_resize", resize.name().to_string()),
                ("events_sorted", sorted.to_string()),
            ]);
        }
        if let Some([mean, std]) = &self.pixels {
            all.extend([("input_mean", json(mean).to_string()), ("input_std", json(std).to_string())]);
        }
        all.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
    }
}

/// The names of the classes that a file says.
pub fn classes(about: &About) -> Option<Vec<String>> {
    serde_json::from_str(about.get("classes")?).ok()
}
