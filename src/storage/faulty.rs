//! Disks that fail on purpose: at their n-th call, once or from then on; and one that is small.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Disk, Storage, StorageFile};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This one call finds the disk full; a write leaves half of its bytes.
    Once,
    /// This one call meets an input/output error; a write leaves half of its bytes.
    Broken,
    /// A write takes half of its bytes, and says so; any other call is done, but reported as failed.
    Half,
    /// This and all later calls fail, as seen by the disk of a killed process; a write leaves half of its bytes.
    Forever,
    /// As `Forever`, but the file has grown by the whole write, and every second sector of it is empty.
    Torn,
    /// A write reports success but its first byte is flipped.
    Lie,
}

impl Fault {
    /// Those that a disk admits, or that a process does not live to see.
    pub const HONEST: [Fault; 5] = [Fault::Once, Fault::Broken, Fault::Half, Fault::Forever, Fault::Torn];

    fn lasts(self) -> bool {
        matches!(self, Fault::Forever | Fault::Torn)
    }
    fn error(self) -> io::Error {
        if self == Fault::Broken { io::Error::other("input/output error") } else { io::ErrorKind::StorageFull.into() }
    }
}

/// Bytes that a disk writes at once.
const SECTOR: usize = 512;

/// The bytes of a write of which the sectors with even numbers never arrived.
fn torn(bytes: &[u8]) -> Vec<u8> {
    let sector = |(i, s): (usize, &[u8])| if i % 2 == 0 { vec![0; s.len()] } else { s.to_vec() };
    bytes.chunks(SECTOR).enumerate().flat_map(sector).collect()
}

#[derive(Clone)]
struct Countdown {
    fault: Fault,
    fails_at: usize,
    done: Arc<AtomicUsize>,
}

impl Countdown {
    /// Counts one call: `None` if all is well, else whether it is the first that is not.
    fn hit(&self) -> Option<bool> {
        let now = self.done.fetch_add(1, Ordering::SeqCst);
        (now == self.fails_at || (now > self.fails_at && self.fault.lasts())).then_some(now == self.fails_at)
    }
    /// A call that is no write.
    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.hit().is_none() || self.fault == Fault::Lie {
            return work();
        }
        if self.fault == Fault::Half {
            work()?;
        }
        Err(self.fault.error())
    }
}

/// The real disk with a fault at call number `fails_at` (from 0).
#[derive(Clone)]
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
        let Some(first) = self.1.hit() else { return self.0.write(bytes) };
        let half = &bytes[..bytes.len() / 2];
        match self.1.fault {
            Fault::Lie => {
                let mut wrong = bytes.to_vec();
                wrong[0] ^= 1;
                self.0.write_all(&wrong)?;
                return Ok(bytes.len());
            }
            // None at all would mean that there is no room.
            Fault::Half => return self.0.write(&bytes[..bytes.len().div_ceil(2)]),
            Fault::Torn if first => self.0.write_all(&torn(bytes))?,
            _ if first => self.0.write_all(half)?,
            _ => {}
        }
        Err(self.1.fault.error())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StorageFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.1.call(|| self.0.sync())
    }
}

impl Storage for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.0.call(|| Disk.create(path)).map(|file| Box::new(FaultyFile(file, self.0.clone())) as Box<dyn StorageFile>)
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(first) = self.0.hit() else { return Disk.append(path, bytes) };
        match self.0.fault {
            Fault::Lie => return Disk.append(path, bytes),
            Fault::Half => Disk.append(path, bytes)?,
            Fault::Forever if first => Disk.append(path, &bytes[..bytes.len() / 2])?,
            Fault::Torn if first => Disk.append(path, &torn(bytes))?,
            _ => {}
        }
        Err(self.0.fault.error())
    }
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        self.0.call(|| Disk.open(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.call(|| Disk.rename(from, to))
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.call(|| Disk.sync_folder(folder))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.call(|| Disk.remove(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.call(|| Disk.list(folder))
    }
}

/// The real disk with room for so many more bytes; what is removed or replaced makes room.
#[derive(Clone)]
pub struct SmallDisk(Arc<AtomicUsize>);

impl SmallDisk {
    pub fn new(room: usize) -> Self {
        SmallDisk(Arc::new(AtomicUsize::new(room)))
    }
    /// Bytes of free room.
    pub fn room(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
    fn freeing(&self, path: &Path, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let bytes = std::fs::metadata(path).map_or(0, |about| about.len() as usize);
        work()?;
        self.0.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }
}

struct SmallFile(Box<dyn StorageFile>, SmallDisk);

impl Write for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.1.room());
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = self.0.write(&bytes[..n])?;
        self.1.0.fetch_sub(n, Ordering::SeqCst);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StorageFile for SmallFile {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Storage for SmallDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(SmallFile(Disk.create(path)?, self.clone())))
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Disk.append(path, bytes)?;
        self.0.fetch_sub(bytes.len(), Ordering::SeqCst);
        Ok(())
    }
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.freeing(to, || Disk.rename(from, to))
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.freeing(path, || Disk.remove(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        Disk.list(folder)
    }
}
