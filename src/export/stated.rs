//! What a file says about the inputs and answers of its network: the other way round of [`super::inputs`].
//!
//! An imported network is fed as its file says. What the user says beside it may name the data, but not prepare them otherwise: a
//! contradiction is refused, since either way a network would see what it was not trained on.

use std::str::FromStr;

use super::inputs::classes;
use super::tensors::About;
use crate::config::{Config, Options};
use crate::data::{DatasetName, Preparation, Resize, sets};
use crate::error::{Error, Result};
use crate::frames::SplitBy;

/// How recordings become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// What is cut into equal slices.
    pub split_by: SplitBy,
    /// How frames are made smaller.
    pub resize: Resize,
    /// Whether events are put in the order of their times first.
    pub sort: bool,
}

/// What a file says; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stated {
    /// The data set that the network was trained on, if this version knows it.
    pub dataset: Option<DatasetName>,
    /// T.
    pub steps: Option<usize>,
    /// Mean and standard deviation per channel, of pictures.
    pub pixels: Option<[Vec<f32>; 2]>,
    /// Of events.
    pub cutting: Option<Cutting>,
    /// Names of the classes in the order of the outputs.
    pub classes: Option<Vec<String>>,
}

impl Stated {
    /// Reads it.
    ///
    /// # Errors
    /// Format: an entry is not what it should be.
    pub fn of(about: &About) -> Result<Stated> {
        let numbers = |key: &str| parsed(about, key, "list of numbers", |text| serde_json::from_str::<Vec<f32>>(text).ok());
        let pixels = match (numbers("input_mean")?, numbers("input_std")?) {
            (None, None) => None,
            (Some(mean), Some(std)) if mean.len() == std.len() && std.iter().all(|&s| s > 0.0) => Some([mean, std]),
            _ => return Err(Error::format("input_mean and input_std are not one mean and one std above 0 per channel")),
        };
        let cutting = match named::<SplitBy>(about, "events_split_by")? {
            None => None,
            Some(split_by) => Some(Cutting {
                split_by,
                resize: named(about, "events_resize")?.unwrap_or_default(),
                sort: about.get("events_sorted").is_some_and(|text| text == "yes"),
            }),
        };
        let most = crate::limits::MAX_TIME_STEPS;
        let steps = |text: &str| text.parse().ok().filter(|t| (1..=most).contains(t));
        Ok(Stated {
            dataset: about.get("dataset").and_then(|name| name.parse().ok()),
            steps: parsed(about, "time_steps", &format!("number of 1 to {most}"), steps)?,
            pixels,
            cutting,
            classes: classes(about),
        })
    }

    /// What was said, completed by what the file states about samples of `channels` channels.
    ///
    /// # Errors
    /// Usage: it contradicts the file, or the file is of events and nobody says of which data set.
    pub fn settle(&self, said: Options, channels: usize) -> Result<Options> {
        let set = self.set(&said)?;
        if let (Some(file), Some(steps)) = (self.steps, &said.time_steps)
            && steps.last() != file
        {
            return Err(contradiction(format!("the file says T {file}")).option_as("T", steps));
        }
        let said = self.cut(said)?;
        let normalize = self.normalization(&said, set, channels)?;
        let steps = self.steps.map(Into::into);
        Ok(Options { dataset: set, time_steps: said.time_steps.clone().or(steps), normalize, ..said })
    }

    /// The names of its classes; `said`: by the user.
    ///
    /// # Errors
    /// Usage: other names were said.
    pub fn names(&self, said: Option<&Vec<String>>, classes: usize) -> Result<Option<Vec<String>>> {
        let file = self.classes.clone().filter(|names| names.len() == classes);
        match (said, file) {
            (Some(names), _) if names.len() != classes => {
                Err(Error::usage(format!("{} names for {classes} classes", names.len())).option("classes"))
            }
            (Some(names), Some(file)) if *names != file => {
                Err(contradiction(format!("the file says that the classes are {}", file.join(", "))).option("classes"))
            }
            (Some(names), _) => Ok(Some(names.clone())),
            (None, file) => Ok(file),
        }
    }

    /// The data set, if one is said, or the file's, if it can be found without a folder.
    fn set(&self, said: &Options) -> Result<Option<DatasetName>> {
        let set = said.dataset.or(self.dataset.filter(|set| !set.is_own()));
        let (pictures, events) = (self.pixels.is_some(), self.cutting.is_some());
        match set {
            None if events => Err(Error::usage("the file is of a network for recordings of events, and does not say of which data set")
                .option("dataset")
                .remedy("say --dataset events DIR, a folder of recordings, or the name of a set (spiketrain data list)")),
            Some(set) if (pictures && set.is_events()) || (events && !set.is_events()) => {
                let (reads, holds) = if events { ("frames of events", "pictures") } else { ("pictures", "events") };
                Err(Error::usage(format!("the file says that its network reads {reads}; {set} holds {holds}"))
                    .option_as("dataset", set)
                    .remedy(format!("choose a data set of {} (spiketrain data list)", if events { "events" } else { "pictures" })))
            }
            Some(set) if self.dataset.is_some_and(|file| events && turned(file) != turned(set)) => {
                Err(Error::usage("recordings of one of the two data sets are turned before they are cut, and those of the other are not")
                    .option_as("dataset", set)
                    .remedy(format!("leave it out, or say the set that the file names: {}", self.dataset.map_or("", DatasetName::as_str))))
            }
            set => Ok(set),
        }
    }

    /// How recordings are cut.
    fn cut(&self, said: Options) -> Result<Options> {
        let Some(Cutting { split_by, resize, sort }) = self.cutting else { return Ok(said) };
        if said.split_by.is_some_and(|v| v != split_by) {
            return Err(contradiction(format!("the file says that recordings are cut by {}", split_by.name())).option("split-by"));
        }
        if said.resize.is_some_and(|v| v != resize) {
            return Err(contradiction(format!("the file says '{}'", resize.name())).option("resize"));
        }
        // Order is no matter of the network: what is sorted anyway may be sorted.
        Ok(Options { split_by: Some(split_by), resize: Some(resize), sort: Some(sort || said.sort == Some(true)), ..said })
    }

    /// How pixels are scaled, where the data set does it otherwise.
    fn normalization(&self, said: &Options, set: Option<DatasetName>, channels: usize) -> Result<Option<[Vec<f32>; 2]>> {
        let Some(file) = &self.pixels else { return Ok(said.normalize.clone()) };
        let words = |[mean, std]: &[Vec<f32>; 2]| format!("mean {mean:?} and std {std:?}");
        if file[0].len() != channels {
            return Err(Error::format(format!("scales pixels of {} channels, the network reads {channels}", file[0].len())));
        }
        if said.normalize.as_ref().is_some_and(|said| said != file) {
            return Err(contradiction(format!("the file scales pixels with {}", words(file))).at("normalize"));
        }
        let set = set.unwrap_or(sets::GLYPHS);
        let Preparation { mean, std, .. } = Preparation::of(set, channels);
        let of_set = [mean, std];
        if of_set == *file {
            return Ok(None);
        }
        // Pictures of one's own have no scaling of their own, and those that the network was trained on were scaled so.
        match said.dataset.filter(|set| !set.is_own() && Some(*set) != self.dataset) {
            Some(set) => Err(Error::usage(format!(
                "the file scales pixels with {}, and pictures of {set} are scaled with {}",
                words(file),
                words(&of_set)
            ))
            .option_as("dataset", set)
            .remedy("leave it out, and predict scales pictures as the file says; so it does with a folder of them, --dataset images DIR")),
            None => Ok(Some(file.clone())),
        }
    }

    /// `config`, but with samples prepared as the file says; what it does not say is left out.
    pub fn over(&self, config: &Config, channels: usize) -> Config {
        let Preparation { mean, std, .. } = Preparation::scale_only(channels);
        let cutting = self.cutting.unwrap_or(Cutting { split_by: config.split_by, resize: Resize::None, sort: config.sort });
        Config {
            time_steps: self.steps.map_or(config.time_steps.clone(), Into::into),
            normalize: (!config.dataset.is_events()).then(|| self.pixels.clone().unwrap_or([mean, std])),
            split_by: cutting.split_by,
            resize: cutting.resize,
            sort: cutting.sort,
            ..config.clone()
        }
    }
}

/// What is said to an option that says otherwise than the file.
fn contradiction(what: String) -> Error {
    Error::usage(what).remedy("leave the option out: the file knows")
}

/// Whether events of the set are turned before they are cut.
fn turned(set: DatasetName) -> bool {
    set.recordings().is_some_and(|layout| layout.turned)
}

fn parsed<T>(about: &About, key: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    let read = |text: &String| parse(text).ok_or_else(|| Error::format(format!("{key}: '{text}' is no {what}")));
    about.get(key).map(read).transpose()
}

fn named<T: FromStr<Err = Error>>(about: &About, key: &str) -> Result<Option<T>> {
    about.get(key).map(|text| text.parse().map_err(|e: Error| Error::format(format!("{key}: {}", e.what)))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Inputs;
    use crate::plan::Plan;

    fn config(set: DatasetName, more: Options) -> Config {
        let options = Options { dataset: Some(set), images_dir: Some("d".into()), events_dir: Some("d".into()), ..more };
        options.complete().unwrap()
    }

    /// What the file of a network of `config` says.
    fn stated(config: &Config, shape: &str) -> Stated {
        let plan = Plan::new("2Voting".parse().unwrap(), shape.parse().unwrap()).unwrap();
        Stated::of(&Inputs::of(config, &plan, &["a".into(), "b".into()]).about()).unwrap()
    }

    fn said(set: DatasetName) -> Options {
        Options { dataset: Some(set), images_dir: Some("d".into()), events_dir: Some("d".into()), ..Options::default() }
    }

    #[test]
    fn what_a_file_says_is_what_its_network_was_fed_with() {
        let cifar = config(sets::CIFAR10, Options { time_steps: Some(7.into()), ..Options::default() });
        let file = stated(&cifar, "3x4x4");
        let own = file.settle(said(sets::IMAGES), 3).unwrap().complete().unwrap();
        assert_eq!(own.preparation(3).mean, cifar.preparation(3).mean);
        assert_eq!((own.dataset, own.time_steps.clone()), (sets::IMAGES, 7.into()));
        let alone = file.settle(Options::default(), 3).unwrap();
        assert_eq!((alone.dataset, alone.normalize), (Some(sets::CIFAR10), None), "the set's own scaling");

        let sorted = Options { split_by: Some(SplitBy::Time), resize: Some(Resize::Sum), sort: Some(true), ..Options::default() };
        let gesture = config(sets::DVS_GESTURE, sorted);
        let own = stated(&gesture, "2x4x4").settle(said(sets::EVENTS), 2).unwrap().complete().unwrap();
        assert_eq!((own.split_by, own.resize, own.sort), (SplitBy::Time, Resize::Sum, true));
        assert_eq!(stated(&gesture, "2x4x4").over(&own, 2).split_by, SplitBy::Time);
        // A file that says nothing leaves everything to the user.
        assert_eq!(Stated::default().settle(said(sets::MNIST), 1).unwrap(), said(sets::MNIST));
    }

    #[test]
    fn contradictions_are_refused_with_the_option_and_a_remedy() {
        let scaled = Options { normalize: Some([vec![0.5], vec![0.25]]), time_steps: Some(7.into()), ..Options::default() };
        let file = stated(&config(sets::GLYPHS, scaled), "1x4x4");
        let refused = |file: &Stated, said: Options, channels: usize, words: &[&str]| {
            let e = file.settle(said, channels).unwrap_err();
            assert!(e.exit_code() == 2 && !e.remedy.is_empty() && words.iter().all(|w| e.to_string().contains(w)), "{e}");
        };
        refused(&file, said(sets::MNIST), 1, &["--dataset mnist", "mean [0.5]", "leave it out", "images DIR"]);
        refused(&file, said(sets::MOTIONS), 1, &["reads pictures; motions holds events"]);
        refused(&file, Options { time_steps: Some(8.into()), ..said(sets::GLYPHS) }, 1, &["-T 8", "T 7", "the file knows"]);
        let other = Options { normalize: Some([vec![0.0], vec![1.0]]), ..said(sets::IMAGES) };
        refused(&file, other, 1, &["normalize", "mean [0.5]"]);
        assert_eq!(file.settle(said(sets::GLYPHS), 1).unwrap().normalize, Some([vec![0.5], vec![0.25]]), "its own set");

        let own = stated(&config(sets::EVENTS, Options::default()), "2x4x4");
        refused(&own, Options::default(), 2, &["--dataset", "events DIR"]);
        refused(&own, said(sets::MNIST), 2, &["frames of events; mnist holds pictures"]);
        refused(&own, said(sets::DVS_CIFAR10), 2, &["turned", "events"]);
        refused(&own, Options { split_by: Some(SplitBy::Time), ..said(sets::EVENTS) }, 2, &["--split-by", "by number"]);
        refused(&own, Options { resize: Some(Resize::Sum), ..said(sets::EVENTS) }, 2, &["--resize", "'none'"]);

        let names = |said: &[&str]| own.names(Some(&said.iter().map(|s| s.to_string()).collect()), 2);
        assert!(names(&["a", "b"]).is_ok() && names(&["b", "a"]).unwrap_err().to_string().contains("a, b"));
        assert!(names(&["a"]).unwrap_err().to_string().contains("1 names for 2 classes"));
    }

    #[test]
    fn entries_that_are_not_what_they_should_be_are_named() {
        let wrong = |pairs: &[(&str, &str)], words: &str| {
            let about: About = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let e = Stated::of(&about).unwrap_err();
            assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
        };
        wrong(&[("time_steps", "0")], "time_steps: '0'");
        wrong(&[("input_mean", "[0.5]")], "input_mean and input_std");
        wrong(&[("input_mean", "[0.5]"), ("input_std", "[0.0]")], "above 0");
        wrong(&[("input_mean", "many")], "input_mean: 'many'");
        wrong(&[("events_split_by", "hand")], "events_split_by");
    }
}
