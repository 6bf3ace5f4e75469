//! A directory on this machine: `.coxswain/`.
//!
//! ```text
//! .coxswain/  0700      state.json  journal.jsonl  digest.key  lock  .gitignore      0600
//!             history/  000000000012.json (snapshot)  000000000012.jsonl (what came after it)
//! ```
//!
//! The lock is the kernel's: it ends with the process that holds it, however that ends. The file's content only
//! says who it is; the file itself is never removed, because a lock on a removed file excludes nobody.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::names::{self, HISTORY, LOCK};
use super::{Backend, Guard, Name};
use crate::error::{Error, Owner};
use crate::snapshot::MAX_FILE_BYTES;

const TEMPORARY: &str = "tmp";
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// What came of an attempt to lock.
#[derive(Debug)]
pub enum Locked {
    /// Held as long as the guard lives.
    Held(Guard),
    /// Another holds it; what that one wrote about itself.
    Busy(Vec<u8>),
}

/// The operations of a file system that the backend needs; nothing is durable but by `sync` and `sync_dir`.
pub trait Disk: Send + Sync {
    /// Makes a directory and those above it, for the owner alone; fine where it is there.
    ///
    /// # Errors
    /// As the file system says.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// The content of a file, `None` where there is none.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Makes a file, for the owner alone, with this content.
    ///
    /// # Errors
    /// As the file system says.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to `at` bytes and appends these.
    ///
    /// # Errors
    /// As the file system says; also when the file has fewer bytes.
    fn write_at(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's content durable.
    ///
    /// # Errors
    /// As the file system says.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory's entries durable.
    ///
    /// # Errors
    /// As the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file over another.
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; fine where there is none.
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory; none where there is no directory.
    ///
    /// # Errors
    /// As the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Locks a file, without waiting, and writes `owner` into it.
    ///
    /// # Errors
    /// As the file system says.
    fn lock(&self, path: &Path, owner: &[u8]) -> io::Result<Locked>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// A lock that is held: emptied and released when dropped.
struct HeldFile(File);

impl Drop for HeldFile {
    fn drop(&mut self) {
        // Best effort: the content is only for the message, and the kernel releases the lock in any case.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

impl Disk for RealDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the file is larger than a state can be",
            ));
        }
        Ok(Some(bytes))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
        file.write_all(bytes)
    }

    fn write_at(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let len = file.metadata()?.len();
        if len < at {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
        }
        if len > at {
            file.set_len(at)?;
        }
        file.seek(io::SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn lock(&self, path: &Path, owner: &[u8]) -> io::Result<Locked> {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = Vec::new();
                file.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
                return Ok(Locked::Busy(text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.write_all(owner)?;
        Ok(Locked::Held(Guard::new(HeldFile(file))))
    }
}

/// A state in a directory.
pub struct LocalBackend {
    dir: PathBuf,
    disk: Box<dyn Disk>,
}

impl std::fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalBackend").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl LocalBackend {
    /// In this directory, usually `.coxswain`; it need not be there yet.
    pub fn new(dir: impl Into<PathBuf>) -> LocalBackend {
        LocalBackend::with_disk(dir, RealDisk)
    }

    /// As [`LocalBackend::new`], over another file system: a faulty one in tests.
    pub fn with_disk(dir: impl Into<PathBuf>, disk: impl Disk + 'static) -> LocalBackend {
        LocalBackend { dir: dir.into(), disk: Box::new(disk) }
    }

    fn path(&self, name: Name) -> PathBuf {
        self.dir.join(names::file(name))
    }

    fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        self.disk.make_dir(dir).map_err(io_error("make the directory", dir))?;
        let Some(parent) = dir.parent() else { return Ok(()) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        self.disk.sync_dir(parent).map_err(io_error("sync the directory", parent))
    }
}

fn io_error(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::Io { path, op, source }
}

impl Backend for LocalBackend {
    fn place(&self) -> String {
        self.dir.display().to_string()
    }

    fn show(&self, name: Name) -> String {
        self.path(name).display().to_string()
    }

    fn read(&self, name: Name) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        self.disk.read(&path).map_err(io_error("read", &path))
    }

    fn write_atomic(&self, name: Name, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let dir = path.parent().unwrap_or(&self.dir);
        if dir != self.dir {
            self.make_dir(dir)?;
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push(".");
        temporary.push(TEMPORARY);
        let temporary = PathBuf::from(temporary);
        let written = self
            .disk
            .write(&temporary, bytes)
            .map_err(io_error("write", &temporary))
            .and_then(|()| self.disk.sync(&temporary).map_err(io_error("sync", &temporary)))
            .and_then(|()| self.disk.rename(&temporary, &path).map_err(io_error("put in place", &path)));
        if let Err(error) = written {
            // Best effort: it makes room where the disk is full, and the next write takes the same name anyway.
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        self.disk.sync_dir(dir).map_err(io_error("sync the directory", dir))
    }

    fn append_sync(&self, name: Name, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        self.disk.write_at(&path, at, bytes).map_err(io_error("append to", &path))?;
        self.disk.sync(&path).map_err(io_error("sync", &path))
    }

    fn list_past(&self) -> Result<Vec<Name>, Error> {
        let dir = self.dir.join(HISTORY);
        let files = self.disk.list(&dir).map_err(io_error("list", &dir))?;
        Ok(names::past(files))
    }

    fn remove(&self, name: Name) -> Result<(), Error> {
        let path = self.path(name);
        self.disk.remove(&path).map_err(io_error("remove", &path))
    }

    fn lock(&self, owner: &Owner) -> Result<Guard, Error> {
        self.make_dir(&self.dir)?;
        let path = self.dir.join(LOCK);
        let text = serde_json::to_vec(owner).expect("an owner is plain data");
        match self.disk.lock(&path, &text).map_err(io_error("lock", &path))? {
            Locked::Held(guard) => Ok(guard),
            Locked::Busy(text) => {
                let owner = serde_json::from_slice(&text).ok();
                Err(Error::Busy { place: self.place(), owner })
            }
        }
    }
}
