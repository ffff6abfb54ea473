//! A disk that fails on purpose: at its n-th operation, once or from then on.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Disk, Storage, StorageFile};

/// What happens from the chosen operation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This one operation fails; a write leaves half of its bytes.
    Once,
    /// This and all later operations fail, as seen by the disk of a killed process.
    Forever,
    /// A write reports success but its first byte is flipped.
    Lie,
}

#[derive(Clone)]
struct Countdown {
    fault: Fault,
    fails_at: usize,
    done: Arc<AtomicUsize>,
}

impl Countdown {
    /// Counts one operation; true if it is to go wrong.
    fn hit(&self) -> bool {
        let now = self.done.fetch_add(1, Ordering::SeqCst);
        now == self.fails_at || (now > self.fails_at && self.fault == Fault::Forever)
    }
    fn check(&self) -> io::Result<()> {
        if self.hit() && self.fault != Fault::Lie { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// The real disk with a fault at operation number `fails_at` (from 0).
pub struct FaultyDisk(Countdown);

impl FaultyDisk {
    pub fn new(fault: Fault, fails_at: usize) -> Self {
        FaultyDisk(Countdown { fault, fails_at, done: Arc::default() })
    }
    /// Whether the fault was reached.
    pub fn fired(&self) -> bool {
        self.0.done.load(Ordering::SeqCst) > self.0.fails_at
    }
}

struct FaultyFile(Box<dyn StorageFile>, Countdown);

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.1.hit() {
            return self.0.write(bytes);
        }
        match self.1.fault {
            Fault::Lie => {
                let mut wrong = bytes.to_vec();
                wrong[0] ^= 1;
                self.0.write_all(&wrong)?;
                Ok(bytes.len())
            }
            _ => {
                self.0.write_all(&bytes[..bytes.len() / 2])?;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StorageFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.1.check()?;
        self.0.sync()
    }
}

impl Storage for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.0.check()?;
        Ok(Box::new(FaultyFile(Disk.create(path)?, self.0.clone())))
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.check()?;
        Disk.append(path, bytes)
    }
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        self.0.check()?;
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.check()?;
        Disk.rename(from, to)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.check()?;
        Disk.sync_folder(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.check()?;
        Disk.remove(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.check()?;
        Disk.list(folder)
    }
}
