//! A disk that notes what it is asked, and what such a disk may hold after a power cut.
//!
//! What a file got since its last sync may be there, in part or not at all, sector by sector in any order. So may the names that were
//! made, moved or removed in a folder since it was last synced: this is more than most file systems do, and what they are allowed to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use spiketrain::rng::Rng;
use spiketrain::storage::{Disk, Storage, StorageFile};

/// One call, by the file's name.
#[derive(Clone, Debug)]
pub enum Call {
    Create(String),
    Write(String, Vec<u8>),
    Sync(String),
    Rename(String, String),
    SyncFolder,
    Remove(String),
}

/// The real disk, and a note of every call that changes it. Knows one folder.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Call>>>);

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_string()
}

impl Journal {
    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }
    fn note(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

struct Noted(Box<dyn StorageFile>, Journal, String);

impl Write for Noted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1.note(Call::Write(self.2.clone(), bytes[..n].to_vec()));
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StorageFile for Noted {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()?;
        self.1.note(Call::Sync(self.2.clone()));
        Ok(())
    }
}

impl Storage for Journal {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = Disk.create(path)?;
        self.note(Call::Create(name(path)));
        Ok(Box::new(Noted(file, self.clone(), name(path))))
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = !path.exists();
        Disk.append(path, bytes)?;
        if new {
            self.note(Call::Create(name(path)));
        }
        self.note(Call::Write(name(path), bytes.to_vec()));
        self.note(Call::Sync(name(path)));
        Ok(())
    }
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)?;
        self.note(Call::Rename(name(from), name(to)));
        Ok(())
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)?;
        self.note(Call::SyncFolder);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)?;
        self.note(Call::Remove(name(path)));
        Ok(())
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        Disk.list(folder)
    }
}

/// Files by name, as found after a power cut.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Writes an image into a folder.
pub fn lay_out(image: &Image, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    image.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
}

/// A file: what is on the device for certain, and what was written since.
#[derive(Clone, Default)]
struct File {
    certain: Vec<u8>,
    since: Vec<u8>,
}

#[derive(Clone)]
enum Change {
    Add(String, usize),
    Move(String, String, usize),
    Drop(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Change::Add(name, file) => drop(names.insert(name.clone(), *file)),
            Change::Drop(name) => drop(names.remove(name)),
            Change::Move(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}

/// How much of what was not synced a power cut leaves.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    Nothing,
    Everything,
    /// Names without contents.
    Names,
    /// Contents without names.
    Contents,
    /// Any part, by lot.
    Some,
}

/// A device while calls reach it.
#[derive(Default)]
pub struct Device {
    files: Vec<File>,
    /// As the process sees them.
    now: BTreeMap<String, usize>,
    /// On the device for certain.
    certain: BTreeMap<String, usize>,
    since: Vec<Change>,
}

const SECTOR: usize = 512;

impl Device {
    /// Holds the files of an image, all of them for certain.
    pub fn holding(image: &Image) -> Device {
        let mut device = Device::default();
        for (name, bytes) in image {
            device.certain.insert(name.clone(), device.files.len());
            device.files.push(File { certain: bytes.clone(), since: Vec::new() });
        }
        device.now = device.certain.clone();
        device
    }

    pub fn take(&mut self, call: &Call) {
        match call {
            Call::Create(name) => {
                self.files.push(File::default());
                self.change(Change::Add(name.clone(), self.files.len() - 1));
            }
            Call::Write(name, bytes) => self.file(name).since.extend(bytes),
            Call::Sync(name) => {
                let file = self.file(name);
                let since = std::mem::take(&mut file.since);
                file.certain.extend(since);
            }
            Call::Rename(from, to) => self.change(Change::Move(from.clone(), to.clone(), self.now[from])),
            Call::Remove(name) => self.change(Change::Drop(name.clone())),
            Call::SyncFolder => {
                self.certain = self.now.clone();
                self.since.clear();
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.since.push(change);
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.now[name]]
    }

    /// The names that are there for certain.
    pub fn certain(&self) -> impl Iterator<Item = &String> {
        self.certain.keys()
    }

    /// What may be found if the power goes now.
    pub fn image(&self, left: Left, rng: &mut Rng) -> Image {
        let (names_too, contents_too) = match left {
            Left::Nothing => (false, false),
            Left::Everything | Left::Some => (true, true),
            Left::Names => (true, false),
            Left::Contents => (false, true),
        };
        let by_lot = matches!(left, Left::Some);
        let mut names = self.certain.clone();
        // In order, as a journal keeps them, or any of them.
        let (in_order, first) = (rng.below(2) == 0, rng.below(self.since.len() + 1));
        for (i, change) in self.since.iter().enumerate() {
            if names_too && (!by_lot || if in_order { i < first } else { rng.below(2) == 0 }) {
                change.apply(&mut names);
            }
        }
        let mut content = |file: usize| {
            let File { certain, since } = &self.files[file];
            let mut bytes = certain.clone();
            if contents_too {
                bytes.extend(if by_lot { arrived(since, certain.len(), rng) } else { since.clone() });
            }
            bytes
        };
        names.iter().map(|(name, file)| (name.clone(), content(*file))).collect()
    }
}

/// What came of bytes written from position `at` on: the file may have grown by fewer, and sectors of it may be empty.
fn arrived(bytes: &[u8], at: usize, rng: &mut Rng) -> Vec<u8> {
    let mut got = bytes[..if rng.below(2) == 0 { bytes.len() } else { rng.below(bytes.len() + 1) }].to_vec();
    let mut start = 0;
    while start < got.len() {
        let end = got.len().min(start + SECTOR - (at + start) % SECTOR);
        if rng.below(3) == 0 {
            got[start..end].fill(0);
        }
        start = end;
    }
    got
}
