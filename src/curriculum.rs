//! The time steps T of a run: one number, or a curriculum that begins with few. Short spike trains cost less and carry errors over
//! fewer steps; the weights serve longer ones (temporal inheritable training: Deng et al., Temporal Efficient Training, arXiv 2202.11946,
//! section 4.3; mixed time steps: arXiv 2503.17394).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits::{MAX_EPOCHS, MAX_TIME_STEPS};

/// T of every epoch. In files a number, or the text of the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "InFile", into = "InFile")]
pub enum TimeSteps {
    /// The same T in all epochs.
    Same(usize),
    /// Stages, one behind the other; the network's T is that of the last.
    Stages(Vec<Stage>),
}

/// Epochs in a row at one T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// T.
    pub steps: usize,
    /// How many.
    pub epochs: usize,
}

impl TimeSteps {
    /// T of the network that comes of it: what evaluates, predicts and leaves.
    pub fn last(&self) -> usize {
        match self {
            TimeSteps::Same(steps) => *steps,
            TimeSteps::Stages(stages) => stages.last().map_or(1, |stage| stage.steps),
        }
    }

    /// T of `epoch`, from 0.
    pub fn at(&self, epoch: usize) -> usize {
        let TimeSteps::Stages(stages) = self else { return self.last() };
        let mut end = 0;
        let stage = stages.iter().find(|stage| {
            end += stage.epochs;
            epoch < end
        });
        stage.map_or(self.last(), |stage| stage.steps)
    }

    /// Every T that occurs, ascending.
    pub fn all(&self) -> Vec<usize> {
        let mut all = match self {
            TimeSteps::Same(steps) => vec![*steps],
            TimeSteps::Stages(stages) => stages.iter().map(|stage| stage.steps).collect(),
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The largest T, which memory is planned for.
    pub fn most(&self) -> usize {
        self.all().last().copied().unwrap_or(1)
    }

    /// The epochs of all stages together; `None` where T is the same for any number of them.
    pub fn epochs(&self) -> Option<usize> {
        match self {
            TimeSteps::Same(_) => None,
            TimeSteps::Stages(stages) => Some(stages.iter().map(|stage| stage.epochs).sum()),
        }
    }

    /// Σ T over epochs: about what they cost, beside each other.
    pub fn sum(&self, epochs: Range<usize>) -> f64 {
        epochs.map(|epoch| self.at(epoch) as f64).sum()
    }

    /// The same shares of `epochs` in all; the first stages are left out where there are too few for one each.
    pub fn fitted(&self, epochs: usize) -> TimeSteps {
        let TimeSteps::Stages(stages) = self else { return self.clone() };
        let stages = &stages[stages.len().saturating_sub(epochs)..];
        let whole: usize = stages.iter().map(|stage| stage.epochs).sum();
        let (mut fitted, mut done, mut given) = (Vec::with_capacity(stages.len()), 0, 0);
        for (i, stage) in stages.iter().enumerate() {
            done += stage.epochs;
            let behind = stages.len() - 1 - i;
            // Every stage has its share of what was, rounded, and at least one epoch.
            let end = (done * epochs + whole / 2) / whole;
            let end = end.clamp(given + 1, epochs - behind);
            fitted.push(Stage { epochs: end - given, ..*stage });
            given = end;
        }
        TimeSteps::Stages(fitted)
    }

    /// `epochs` in all, the further ones at the last T.
    pub fn lengthened(&self, epochs: usize) -> TimeSteps {
        let mut longer = self.clone();
        let more = self.epochs().map_or(0, |now| epochs.saturating_sub(now));
        if let TimeSteps::Stages(stages) = &mut longer
            && let Some(last) = stages.last_mut()
        {
            last.epochs += more;
        }
        longer
    }

    /// Every T and number of epochs within its range.
    ///
    /// # Errors
    /// Usage: one is not, naming the range.
    pub fn check(&self, option: &str) -> Result<()> {
        let out_of_range = |value: usize, what: &str, most: usize| {
            Err(Error::usage(format!("{value}{what} is out of range")).option(option).remedy(format!("choose 1 to {most}")))
        };
        let steps = |steps: usize| if (1..=MAX_TIME_STEPS).contains(&steps) { Ok(()) } else { out_of_range(steps, "", MAX_TIME_STEPS) };
        let TimeSteps::Stages(stages) = self else { return steps(self.last()) };
        stages.iter().try_for_each(|stage| steps(stage.steps))?;
        if stages.is_empty() || stages.iter().any(|stage| stage.epochs == 0) {
            return out_of_range(0, " epochs", MAX_EPOCHS);
        }
        let all = stages.iter().fold(0, |all: usize, stage| all.saturating_add(stage.epochs));
        if all > MAX_EPOCHS { out_of_range(all, " epochs", MAX_EPOCHS) } else { Ok(()) }
    }
}

impl From<usize> for TimeSteps {
    fn from(steps: usize) -> Self {
        TimeSteps::Same(steps)
    }
}

impl fmt::Display for TimeSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeSteps::Same(steps) => write!(f, "{steps}"),
            TimeSteps::Stages(stages) => {
                let texts: Vec<String> = stages.iter().map(|stage| format!("{}:{}", stage.steps, stage.epochs)).collect();
                write!(f, "{}", texts.join(","))
            }
        }
    }
}

impl FromStr for TimeSteps {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let stage = |text: &str| {
            let (steps, epochs) = text.split_once(':')?;
            Some(Stage { steps: number(steps)?, epochs: number(epochs)? })
        };
        let found = match number(text) {
            Some(steps) => Some(TimeSteps::Same(steps)),
            None => text.split(',').map(stage).collect::<Option<Vec<_>>>().map(TimeSteps::Stages),
        };
        found.ok_or_else(|| {
            Error::usage(format!("'{text}' is neither a number of time steps nor a curriculum of them"))
                .remedy(format!("write 1 to {MAX_TIME_STEPS}, or T:EPOCHS one behind the other, e.g. 2:8,4:6,16:4"))
        })
    }
}

/// As it stands in files: a number since the first version.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of time steps, or a curriculum such as \"2:8,4:6,16:4\"")]
enum InFile {
    Number(usize),
    Text(String),
}

impl TryFrom<InFile> for TimeSteps {
    type Error = Error;

    fn try_from(in_file: InFile) -> Result<Self> {
        match in_file {
            InFile::Number(steps) => Ok(TimeSteps::Same(steps)),
            InFile::Text(text) => text.parse(),
        }
    }
}

impl From<TimeSteps> for InFile {
    fn from(steps: TimeSteps) -> Self {
        match steps {
            TimeSteps::Same(steps) => InFile::Number(steps),
            stages => InFile::Text(stages.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> TimeSteps {
        text.parse().unwrap()
    }

    #[test]
    fn stages_follow_each_other_and_the_last_stays() {
        let steps = read("2:8,4:6,16:4");
        assert_eq!([0, 7, 8, 13, 14, 17, 99].map(|epoch| steps.at(epoch)), [2, 2, 4, 4, 16, 16, 16]);
        assert_eq!((steps.last(), steps.most(), steps.epochs(), steps.all()), (16, 16, Some(18), vec![2, 4, 16]));
        assert_eq!((read("8:1,4:2").most(), steps.sum(7..9), read("3").sum(2..4)), (8, 6.0, 6.0));
        let same = read("7");
        assert_eq!((same.last(), same.at(5), same.epochs(), same.all()), (7, 7, None, vec![7]));
    }

    #[test]
    fn shares_are_kept_for_any_number_of_epochs() {
        let steps = read("2:8,4:6,16:4");
        assert_eq!(steps.fitted(18), steps);
        assert_eq!(steps.fitted(9).to_string(), "2:4,4:3,16:2");
        assert_eq!(steps.fitted(3).to_string(), "2:1,4:1,16:1");
        assert_eq!(steps.fitted(2).to_string(), "4:1,16:1");
        assert_eq!(steps.fitted(1).to_string(), "16:1");
        assert_eq!(read("5").fitted(3), read("5"));
        for text in ["2:1,4:100", "2:100,4:1,8:1", "1:1,2:2,3:3,4:4,5:5", "9:7"] {
            for epochs in 1..60 {
                let fitted = read(text).fitted(epochs);
                assert_eq!(fitted.epochs(), Some(epochs), "{text} in {epochs}");
                assert_eq!(fitted.last(), read(text).last());
                fitted.check("T").unwrap();
            }
        }
    }

    #[test]
    fn texts_and_files_round_trip() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct File {
            steps: TimeSteps,
        }
        for (text, toml) in [("16", "steps = 16\n"), ("2:8,16:4", "steps = \"2:8,16:4\"\n")] {
            let file = File { steps: read(text) };
            assert_eq!(toml::to_string(&file).unwrap(), toml);
            assert_eq!(toml::from_str::<File>(toml).unwrap(), file);
        }
        let wrong = toml::from_str::<File>("steps = 1.5").unwrap_err().to_string();
        assert!(wrong.contains("curriculum such as"), "{wrong}");
    }

    #[test]
    fn what_is_no_curriculum_is_answered_with_one() {
        for bad in ["", "x", "2:", ":2", "2:3:4", "2,4", "2:3,", "-1", "2:-1", "99999999999999999999"] {
            let e = bad.parse::<TimeSteps>().unwrap_err().to_string();
            assert!(e.contains("2:8,4:6,16:4"), "{bad}: {e}");
        }
        for (bad, says) in
            [("0", "1 to 64"), ("65", "1 to 64"), ("2:3,65:1", "1 to 64"), ("2:0", "0 epochs"), ("2:1000000,4:1000000", "epochs")]
        {
            let e = read(bad).check("time-steps").unwrap_err().to_string();
            assert!(e.contains(says) && e.contains("time-steps"), "{bad}: {e}");
        }
    }
}
