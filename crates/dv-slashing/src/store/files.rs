//! The store's files: a directory, the database, and the file that says who has it open.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, StorageError};
use serde::{Deserialize, Serialize};

use super::error::{Damage, StoreError};
use crate::machine::{Disk, Machine, check_disk};

/// Only the owner looks into the directory.
const DIRECTORY_MODE: u32 = 0o700;
/// Only the owner reads and writes the files.
const FILE_MODE: u32 = 0o600;
/// What others may not do.
const OTHERS_WRITE: u32 = 0o022;
/// Longest note of a holder that is read; ours have less than 200 bytes.
const MAX_HOLDER: u64 = 4 << 10;
/// Memory for pages of the database. A thousand keys have less than a megabyte of rows that are looked at.
const CACHE_BYTES: usize = 32 << 20;

/// Who has a store open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, as its container numbers it.
    pub pid: u32,
    /// Where it runs.
    #[serde(flatten)]
    pub machine: Machine,
}

/// This process has it open, as long as this lives.
#[derive(Debug)]
pub(super) struct Hold {
    _file: Option<File>,
}

pub(super) fn io_error<'p>(doing: &'static str, path: &'p Path) -> impl Fn(io::Error) -> StoreError + 'p {
    move |source| StoreError::Io { doing, path: path.to_owned(), source }
}

/// `path` with more at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The directory of a store, made where it is not there.
pub(super) fn prepare(path: &Path, disk: Disk) -> Result<PathBuf, StoreError> {
    let dir = directory(path);
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(&dir)
        .map_err(io_error("making the directory", &dir))?;
    check(&dir, disk)?;
    Ok(dir)
}

/// The directory of a store that is there.
pub(super) fn prepared(path: &Path, disk: Disk) -> Result<(), StoreError> {
    check(&directory(path), disk)
}

fn directory(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn check(dir: &Path, disk: Disk) -> Result<(), StoreError> {
    check_disk(dir, disk)?;
    refuse_exposed(dir)
}

fn refuse_exposed(path: &Path) -> Result<(), StoreError> {
    let mode = fs::metadata(path).map_err(io_error("reading the mode of", path))?.permissions().mode();
    match mode & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(StoreError::Exposed { path: path.to_owned(), mode: mode & 0o7777 }),
    }
}

/// A file beside a store, made where it is not there. It belongs to whom the store belongs: what a command of the superuser
/// makes is for the node's user.
pub(super) fn open_beside(store: &Path, path: &Path) -> Result<File, StoreError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    let file = opened.map_err(io_error("opening", path))?;
    let Ok(owner) = fs::metadata(store) else { return Ok(file) };
    let made = file.metadata().map_err(io_error("reading the owner of", path))?;
    if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) && rustix::process::geteuid().is_root() {
        let given = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        given.map_err(io_error("changing the owner of", path))?;
    }
    Ok(file)
}

/// A file beside a store, where it is there.
pub(super) fn find_beside(path: &Path) -> Result<Option<File>, StoreError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => Ok(Some(opened.map_err(io_error("opening", path))?)),
    }
}

/// Takes the store for this process. The database has a lock of its own, which does not tell whose it is.
pub(super) fn hold(path: &Path) -> Result<Hold, StoreError> {
    let beside = beside(path, ".holder");
    let file = open_beside(path, &beside)?;
    hold_with(path, &beside, file)
}

/// The same without making a file: where there is none, only the database's lock keeps others away.
pub(super) fn hold_as_it_is(path: &Path) -> Result<Hold, StoreError> {
    let beside = beside(path, ".holder");
    match find_beside(&beside)? {
        Some(file) => hold_with(path, &beside, file),
        None => Ok(Hold { _file: None }),
    }
}

fn hold_with(path: &Path, beside: &Path, mut file: File) -> Result<Hold, StoreError> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Held { path: path.to_owned(), holder: read_holder(&mut file) });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("locking", beside)(source)),
    }
    let holder = Holder { pid: std::process::id(), machine: Machine::this() };
    let text = coxswain_dv_types::text::compact(&holder);
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(io_error("writing", beside))?;
    Ok(Hold { _file: Some(file) })
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.take(MAX_HOLDER).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The database of a store that is there; every page of it is checked.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    refuse_exposed(path)?;
    let length = fs::metadata(path).map_err(io_error("reading", path))?.len();
    if length == 0 {
        // The database would take it for a new one, and everything that was signed would be forgotten.
        return Err(StoreError::Damaged { path: path.to_owned(), source: Damage::Content("it is empty") });
    }
    let opened = Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path);
    opened.map_err(|error| refused(path, error))
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Held { path: path.to_owned(), holder: None },
        // The database says so of a file that is none.
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            io_error("opening", path)(source)
        }
        other => {
            let source = Damage::Database(Box::new(other.into()));
            StoreError::Damaged { path: path.to_owned(), source }
        }
    }
}

/// A new database under a name that is not the store's yet, so that a crash leaves none that is half made.
pub(super) fn create_part(path: &Path) -> Result<(Database, PathBuf), StoreError> {
    let part = beside(path, ".part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("removing", &part)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part);
    made.map_err(io_error("making", &part))?;
    let database = Builder::new().set_cache_size(CACHE_BYTES).create(&part);
    Ok((database.map_err(|error| refused(&part, error))?, part))
}

/// Gives a new database the store's name; nothing of this name may be there. The caller holds the store.
pub(super) fn reveal(part: &Path, path: &Path, dir: &Path) -> Result<(), StoreError> {
    if exists(path)? {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    fs::rename(part, path).map_err(io_error("naming", path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("writing the directory", dir))
}

/// Whether there is a file.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(io_error("looking for", path))
}
