//! Files that appear whole or not at all.
//!
//! A file is written under a temporary name in its own folder, synced, read back and compared, renamed over the old
//! one, and the folder is synced. Each stage is a type that consumes the one before, so that leaving one out or
//! swapping two does not compile:
//!
//! ```text
//! Draft --sync--> Synced --verify--> Verified --publish--> Published
//! ```
//!
//! Whatever fails before the rename leaves the old file as it was and no temporary file. A process killed in between
//! leaves its temporary file, which [`is_temporary`] recognises and [`sweep`] removes when the folder is next opened.
//! If only the last step fails (syncing the folder), the new file is in place and whole, and the error says that it may
//! not survive a power cut.
//!
//! All of it goes through the small trait [`Storage`], so that tests can put a failing disk underneath.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Bytes moved at a time when large files are written, read or hashed.
pub const CHUNK: usize = 1 << 20;

/// SHA-256.
pub type Digest256 = [u8; 32];

/// A new file under construction.
pub trait StorageFile: Write + Send {
    /// Returns when the file's bytes have reached the device (fsync).
    fn sync(&mut self) -> io::Result<()>;
}

/// The few things we ask of a file system.
pub trait Storage: Send + Sync {
    /// Creates a file; `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    /// Appends `bytes` and syncs; after an error the file has its old length, if the file system still obeys.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file for reading and says how many bytes it has.
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)>;
    /// Puts `from` in the place of `to`, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Returns when the names in the folder have reached the device.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, sorted (bytes that are not UTF-8 replaced; none of our names has any).
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl StorageFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let before = file.metadata()?.len();
        file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
            // The first error is the one to report, whether or not this works.
            let _ = file.set_len(before);
        })
    }
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        // Asked before: opening a pipe waits for whoever writes into it.
        let about = fs::metadata(path)?;
        if about.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !about.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((Box::new(file), length))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows has no handle to sync a folder by; its renames are journalled.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }
}

/// The bytes of a file, `cap` of them at most; `None` if it is not there. Pipes and devices, which need never end, are not opened.
///
/// # Errors
/// Storage: it cannot be read, or is no file. Format: it is longer.
pub fn read_whole(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(Error::io(path, "reading", &e)),
    };
    if !about.is_file() {
        return Err(Error::storage("reading failed: this is not a file").at(path.display()).remedy("check the path"));
    }
    let mut bytes = Vec::with_capacity(about.len().min(cap) as usize + 1);
    let read = File::open(path).and_then(|file| file.take(cap + 1).read_to_end(&mut bytes));
    read.map_err(|e| Error::io(path, "reading", &e))?;
    if bytes.len() as u64 > cap {
        return Err(Error::format(format!("expected a file of {cap} bytes at most, found a longer one")).at(path.display()));
    }
    Ok(Some(bytes))
}

/// The text of a file, `cap` bytes at most; `None` if it is not there.
///
/// # Errors
/// As [`read_whole`]; Format: it is not UTF-8.
pub fn read_text(path: &Path, cap: u64) -> Result<Option<String>> {
    let Some(bytes) = read_whole(path, cap)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|e| Error::format("not UTF-8").at(format!("{}: byte {}", path.display(), e.utf8_error().valid_up_to())))
}

/// The error for a file that must be there.
pub fn not_there(path: &Path) -> Error {
    Error::io(path, "reading", &ErrorKind::NotFound.into())
}

/// The folder a file lies in; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Name of the file that is locked while a process uses a folder.
pub const LOCK: &str = ".lock";

/// Keeps a folder for this process until the file is dropped; `None` if another process has it. The lock is the operating
/// system's: it ends with the process, however that ends. The file stays, because removing it could take away a lock that another
/// process has just got.
///
/// # Errors
/// Storage: the file cannot be made or locked.
pub fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| Error::io(&path, "opening", &e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(Error::io(&path, "locking", &e)),
    }
}

/// The temporary file on its way to `target`; removed unless it was renamed.
struct Pending<'s> {
    storage: &'s dyn Storage,
    temporary: PathBuf,
    target: PathBuf,
    renamed: bool,
}

impl Pending<'_> {
    fn failed(&self, doing: &str, e: &io::Error) -> Error {
        Error::io(&self.target, doing, e)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // If even this fails, the next opening of the folder sweeps it away.
            let _ = self.storage.remove(&self.temporary);
        }
    }
}

/// A file being written under its temporary name. What is written is hashed on the way.
pub struct Draft<'s> {
    // Before `pending`, so that the file is closed when the temporary name is removed.
    file: BufWriter<Box<dyn StorageFile>>,
    hasher: Sha256,
    length: u64,
    pending: Pending<'s>,
}

/// All bytes are on the device, under the temporary name.
pub struct Synced<'s> {
    bytes: u64,
    sha256: Digest256,
    pending: Pending<'s>,
}

/// The bytes were read back and are the ones that were written.
pub struct Verified<'s>(Synced<'s>);

/// The file stands under its own name, and the name is on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Length of the file.
    pub bytes: u64,
    /// Digest of the whole file.
    pub sha256: Digest256,
}

impl<'s> Draft<'s> {
    /// Opens `.name.tmp-<process>-<n>` beside `target`. Nothing happens to `target` itself.
    pub fn create(storage: &'s dyn Storage, target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::usage("this is not a file name").at(target.display()));
        };
        // Process numbers repeat (in a container they hardly ever differ), so a leftover of another process may hold the first name.
        for n in 0..1000 {
            let temporary = folder_of(target).join(format!(".{}.tmp-{}-{n}", name.to_string_lossy(), std::process::id()));
            match storage.create(&temporary) {
                Ok(file) => {
                    let pending = Pending { storage, temporary, target: target.to_owned(), renamed: false };
                    return Ok(Draft { file: BufWriter::new(file), hasher: Sha256::new(), length: 0, pending });
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(target, "creating a temporary file", &e)),
            }
        }
        Err(Error::storage("1,000 temporary files of this name already exist")
            .at(target.display())
            .remedy(format!("remove .{}.tmp-* from the folder", name.to_string_lossy())))
    }

    /// Writes `bytes`; an error names the target file.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| self.pending.failed("writing", &e))
    }

    /// SHA-256 of everything written up to here.
    pub fn digest_so_far(&self) -> Digest256 {
        self.hasher.clone().finalize().into()
    }

    /// Empties the buffer and waits until the device has the bytes.
    pub fn sync(mut self) -> Result<Synced<'s>> {
        self.file.flush().map_err(|e| self.pending.failed("writing", &e))?;
        self.file.get_mut().sync().map_err(|e| self.pending.failed("syncing", &e))?;
        Ok(Synced { bytes: self.length, sha256: self.hasher.finalize().into(), pending: self.pending })
    }
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.length += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<'s> Synced<'s> {
    /// Reads the file back and compares length and SHA-256. (The system may answer from its memory: this finds a file
    /// system that lost or mixed up bytes, not a platter that will.)
    pub fn verify(self) -> Result<Verified<'s>> {
        let pending = &self.pending;
        let (mut file, _) = pending.storage.open(&pending.temporary).map_err(|e| pending.failed("reading back", &e))?;
        let (mut hasher, mut bytes, mut chunk) = (Sha256::new(), 0u64, vec![0; CHUNK]);
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    hasher.update(&chunk[..n]);
                    bytes += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(pending.failed("reading back", &e)),
            }
        }
        if bytes != self.bytes || self.sha256 != *hasher.finalize() {
            return Err(Error::storage(format!("wrote {} bytes, read back {bytes} that differ", self.bytes))
                .at(pending.target.display())
                .remedy("check the disk; the file that was there before is untouched"));
        }
        Ok(Verified(self))
    }
}

impl Verified<'_> {
    /// Renames the file over the old one and syncs the folder.
    pub fn publish(self) -> Result<Published> {
        let Synced { bytes, sha256, mut pending } = self.0;
        pending.storage.rename(&pending.temporary, &pending.target).map_err(|e| pending.failed("renaming", &e))?;
        pending.renamed = true;
        pending
            .storage
            .sync_folder(folder_of(&pending.target))
            .map_err(|e| pending.failed("syncing the folder (the file is in place, but may not survive a power cut)", &e))?;
        Ok(Published { bytes, sha256 })
    }
}

/// Writes `path` through all stages; `fill` writes the content. An error of `fill` or of any stage leaves what was there.
pub fn write_atomically(storage: &dyn Storage, path: &Path, fill: impl FnOnce(&mut Draft) -> Result<()>) -> Result<Published> {
    let mut draft = Draft::create(storage, path)?;
    fill(&mut draft)?;
    draft.sync()?.verify()?.publish()
}

/// Writes a small text file (config.toml, result.json) whole or not at all.
pub fn write_text(storage: &dyn Storage, path: &Path, text: &str) -> Result<Published> {
    write_atomically(storage, path, |draft| draft.put(text.as_bytes()))
}

/// Whether a name in a folder is that of a temporary file of ours: `.name.tmp-<process>-<n>`.
pub fn is_temporary(name: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let Some((target, tail)) = name.rsplit_once(".tmp-") else { return false };
    target.len() > 1 && target.starts_with('.') && tail.split_once('-').is_some_and(|(process, n)| number(process) && number(n))
}

/// Removes the temporary files that killed processes left in `folder`; says which. Call it only under the folder's lock.
pub fn sweep(storage: &dyn Storage, folder: &Path) -> Result<Vec<String>> {
    let mut names = storage.list(folder).map_err(|e| Error::io(folder, "listing", &e))?;
    names.retain(|name| is_temporary(name));
    for name in &names {
        remove_if_there(storage, &folder.join(name))?;
    }
    Ok(names)
}

/// Removes a file; one that is not there is no error.
pub fn remove_if_there(storage: &dyn Storage, path: &Path) -> Result<()> {
    match storage.remove(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, "removing", &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;
