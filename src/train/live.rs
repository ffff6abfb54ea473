//! live.json: where the session under way is, for those who watch it from another process.
//!
//! A convenience: it is never synced, and a failure to write it is no reason to stop a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::run_folder::LIVE;

/// Between two versions of the file.
const EVERY: Duration = Duration::from_secs(1);

/// What live.json says: the sums of the epoch under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// From 1.
    pub epoch: u64,
    /// Of the whole run.
    pub epochs: u64,
    /// Steps done within the epoch.
    pub step: u64,
    /// Steps per epoch.
    pub steps: u64,
    /// Training speed in this epoch.
    pub samples_per_s: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy, a fraction.
    pub accuracy: f64,
    /// Per LIF layer, on the training batches.
    pub firing_rates: Vec<f64>,
    /// Seconds of the epoch, those of earlier sessions included.
    pub seconds: f64,
    /// When this was written, in seconds since 1970.
    pub unix_time: f64,
}

/// The file of this session; it goes when the session ends.
pub struct LiveFile {
    path: PathBuf,
    /// Beside it, under a name that is swept from the folder should the process be killed.
    draft: PathBuf,
    written: Option<Instant>,
}

impl LiveFile {
    /// For the run in `folder`; removes what a killed session left there.
    pub fn new(folder: &Path) -> Self {
        let draft = folder.join(format!(".{LIVE}.tmp-{}-0", std::process::id()));
        let file = LiveFile { path: folder.join(LIVE), draft, written: None };
        file.remove();
        file
    }

    /// Whether the last version is old enough to be replaced.
    pub fn is_due(&self) -> bool {
        self.written.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Replaces the file by rename, so that a reader sees a whole one.
    pub fn write(&mut self, live: &Live) {
        self.written = Some(Instant::now());
        let Ok(json) = serde_json::to_vec(live) else { return };
        let _ = fs::write(&self.draft, json).and_then(|()| fs::rename(&self.draft, &self.path));
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.draft);
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        Live {
            epoch: 3,
            epochs: 12,
            step: 40,
            steps: 94,
            samples_per_s: 812.0,
            loss: 0.031,
            accuracy: 0.93,
            firing_rates: vec![0.1, 0.2],
            seconds: 12.3,
            unix_time: 1.7e9,
        }
    }

    #[test]
    fn the_file_is_whole_while_a_session_lasts_and_gone_after_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LIVE), "stale").unwrap();
        let mut file = LiveFile::new(folder.path());
        assert!(file.is_due() && !folder.path().join(LIVE).exists());
        file.write(&live());
        assert!(!file.is_due());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [LIVE]);
        assert_eq!(serde_json::from_slice::<Live>(&fs::read(folder.path().join(LIVE)).unwrap()).unwrap(), live());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        LiveFile::new(&folder.path().join("absent")).write(&live());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
