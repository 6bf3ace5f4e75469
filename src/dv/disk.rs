//! Writing the files of a node's directory: keys above all.
//!
//! ```text
//! temporary file beside it ─mode→ ─content→ ─sync→ rename that replaces nothing → sync of the directory
//! ```
//!
//! # What must never happen
//!
//! - A file that holds a key is replaced, whatever is in it.
//! - A part of a file is found under its name, after a crash of this program or of the machine.
//! - Content is in a file before its mode is.
//!
//! A temporary file is locked while it is written. One that can be locked by another was left by a crash, and [`sweep`]
//! removes it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The end of a temporary file's name.
const TEMPORARY: &str = ".coxswain-part";
/// Directories, less the umask.
const DIRECTORY_MODE: u32 = 0o755;
/// Temporary files are opened with it; their own mode is set before anything is in them.
const OPEN_MODE: u32 = 0o600;
/// How often a temporary file is made anew when a sweep took it between its making and its lock.
const ATTEMPTS: usize = 8;

/// Who may do what with a file, whatever the umask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0600: the key of a node, and what it has signed.
    OwnerWrites,
    /// 0400: passwords of keystores, and the lock of a cluster that was made in one place.
    OwnerReads,
    /// 0444: keystores, deposits, definitions, and the lock that a ceremony leaves.
    AllRead,
}

impl Mode {
    /// The bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Mode::OwnerWrites => 0o600,
            Mode::OwnerReads => 0o400,
            Mode::AllRead => 0o444,
        }
    }
}

/// Why a file was not written. The file is then not there, or as it was before, unless [`DiskError::Unsure`].
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// There is something of this name; it was not touched.
    #[error("{} exists already", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The system refused a step.
    #[error("{doing} {}", path.display())]
    Refused {
        /// What was tried, as in `writing`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is written and in its place, but the system did not confirm that this outlives a loss of power.
    #[error("{} is written, but may be gone after a loss of power", path.display())]
    Unsure {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl DiskError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            DiskError::Exists { .. } => {
                "nothing was changed; choose another directory, or move what is there away yourself"
            }
            DiskError::Unsure { .. } => "check the disk before you rely on the file",
            DiskError::Refused { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room there and run the command again; no part of the file was left"
                }
                io::ErrorKind::PermissionDenied => "check who owns the directory and its mode",
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file system is mounted read-only: choose another one"
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "a part of the path is a file: choose another path"
                }
                io::ErrorKind::NotFound => "the directory is gone, or was never there: make it first",
                _ => "check the disk and the directory, then run the command again",
            },
        }
    }
}

fn refused<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> DiskError + 'p {
    move |source| DiskError::Refused { doing, path: path.to_owned(), source }
}

/// Writes a file that is not there yet. It replaces nothing, not even what comes to be there meanwhile.
///
/// # Errors
/// [`DiskError`]; no temporary file is left.
pub fn create(path: &Path, mode: Mode, content: &[u8]) -> Result<(), DiskError> {
    create_with(path, mode, |file| file.write_all(content))
}

/// As [`create`], for content that is written piece by piece.
///
/// # Errors
/// [`DiskError`]; no temporary file is left.
pub fn create_with(
    path: &Path,
    mode: Mode,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), DiskError> {
    let exists = || DiskError::Exists { path: path.to_owned() };
    // The rename would say it too; this says it before anything is written. A link that leads nowhere counts.
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let part = Part::written_with(path, mode, write)?;
    match place(&part.path, path) {
        Ok(()) => sync_placed(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(source) => Err(refused("putting in place", path)(source)),
    }
}

/// Writes a file anew: the former content or the new one is found, never a part. Not for keys.
///
/// # Errors
/// [`DiskError`]; no temporary file is left.
pub fn replace(path: &Path, mode: Mode, content: &[u8]) -> Result<(), DiskError> {
    let part = Part::written(path, mode, content)?;
    std::fs::rename(&part.path, path).map_err(refused("replacing", path))?;
    sync_placed(path)
}

/// Makes a directory and those above it, with mode 0755 less the umask. One that is there stays as it is.
///
/// # Errors
/// [`DiskError`].
pub fn make_directory(path: &Path) -> Result<(), DiskError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        let made = DirBuilder::new().mode(DIRECTORY_MODE).create(dir);
        if let Err(error) = made
            && !(error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir())
        {
            return Err(refused("making the directory", dir)(error));
        }
        sync_directory(directory_of(dir)).map_err(refused("making durable", dir))?;
    }
    Ok(())
}

/// Removes what crashes left of [`create`] and [`replace`] in a directory, and counts it. What another process is
/// writing at the moment stays, and so does what cannot be removed.
///
/// # Errors
/// The directory cannot be read.
pub fn sweep(dir: &Path) -> Result<usize, DiskError> {
    let mut removed = 0;
    for entry in std::fs::read_dir(dir).map_err(refused("reading the directory", dir))? {
        let path = entry.map_err(refused("reading the directory", dir))?.path();
        if is_part(&path) && is_abandoned(&path) && std::fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

/// Whether it is a file that nobody writes.
fn is_abandoned(path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    is_file && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// A temporary file, gone when dropped unless it was renamed.
struct Part {
    path: PathBuf,
    /// Open as long as the lock is needed.
    _locked: File,
}

impl Part {
    /// A temporary file beside `target` with all of the content, on the disk.
    fn written(target: &Path, mode: Mode, content: &[u8]) -> Result<Part, DiskError> {
        Part::written_with(target, mode, |file| file.write_all(content))
    }

    fn written_with(
        target: &Path,
        mode: Mode,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Part, DiskError> {
        let (part, mut file) = Part::open(target).map_err(refused("making a file beside", target))?;
        file.set_permissions(Permissions::from_mode(mode.bits()))
            .map_err(refused("setting the mode of", target))?;
        write(&mut file).and_then(|()| file.sync_all()).map_err(refused("writing", target))?;
        Ok(part)
    }

    fn open(target: &Path) -> io::Result<(Part, File)> {
        let name = target.file_name().ok_or(io::Error::from(io::ErrorKind::InvalidFilename))?;
        for _ in 0..ATTEMPTS {
            let random: u64 = rand::rng().random();
            let path =
                directory_of(target).join(format!(".{}.{random:016x}{TEMPORARY}", name.to_string_lossy()));
            let file = OpenOptions::new().write(true).create_new(true).mode(OPEN_MODE).open(&path)?;
            let part = Part { path, _locked: file.try_clone()? };
            // Where files cannot be locked, no sweep can lock this one either, and leaves it alone.
            let _ = file.lock();
            if file.metadata()?.nlink() > 0 {
                return Ok((part, file));
            }
        }
        Err(io::Error::other("another process removes temporary files there as fast as they are made"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already when it was put in place.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Gives a file its name, if nothing has that name.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems that cannot: a link does the same in two steps, and a crash between them leaves a second
        // name of the whole file, which a sweep takes away.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => place_by_link(from, to),
        done => Ok(done?),
    }
}

fn place_by_link(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Makes durable what was made, renamed and removed in a directory.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn sync_placed(path: &Path) -> Result<(), DiskError> {
    sync_directory(directory_of(path)).map_err(|source| DiskError::Unsure { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
