//! The files of a ceremony: all of them in place, or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coxswain_dv_cluster::keystore;
use coxswain_dv_dkg::ceremony::Outcome;
use coxswain_dv_keystore::Cost;

use super::super::disk::{DiskError, Mode};
use super::super::keystores::{DIRECTORY, side_by_side};
use super::super::staging::{Staging, UNSURE};
use super::super::{LOCK, key};

/// What every file of deposits begins with.
const DEPOSITS: &str = "deposit-data";
/// Bytes that a validator takes on the disk, and those that everything else does: generous.
const PER_VALIDATOR: u64 = 16 << 10;
const BESIDES: u64 = 4 << 20;

/// Why there is no place for the files.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No directory.
    #[error("{} is not there, or no directory", .0.display())]
    Missing(PathBuf),
    /// No key.
    #[error("{} has no key of a node", .0.display())]
    NoKey(PathBuf),
    /// Something of a cluster is in it.
    #[error("{} is there already", .0.display())]
    Taken(PathBuf),
    /// It cannot be looked into.
    #[error("looking into {}", path.display())]
    Look {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written to.
    #[error(transparent)]
    Write(#[from] DiskError),
    /// Not enough room.
    #[error("{} has room for {free} bytes, and the keys need about {needed}", path.display())]
    Full {
        /// Where.
        path: PathBuf,
        /// What is left.
        free: u64,
        /// What is needed.
        needed: u64,
    },
    /// Keys of which nobody knows whether they count.
    #[error("an earlier ceremony was cut off when its keys were prepared: they are in {}", .0.display())]
    Unsure(PathBuf),
    /// An earlier ceremony's files were put in place.
    #[error("an earlier ceremony was cut off when its files were complete: they are in place now: {}", .0.join(", "))]
    Finished(Vec<String>),
}

/// A place for the files, found to be free and writable before anything is made.
pub struct Place {
    staging: Staging,
}

/// Looks at a node's directory before a ceremony.
///
/// # Errors
/// [`PlaceError`]: no ceremony can end there.
pub fn prepare(dir: &Path, validators: usize) -> Result<Place, PlaceError> {
    if !dir.is_dir() {
        return Err(PlaceError::Missing(dir.to_owned()));
    }
    if !dir.join(key::FILE).is_file() {
        return Err(PlaceError::NoKey(dir.to_owned()));
    }
    let look = |source| PlaceError::Look { path: dir.to_owned(), source };
    let (staging, finished) = Staging::begin(dir)?;
    if !finished.is_empty() {
        return Err(PlaceError::Finished(finished));
    }
    for entry in fs::read_dir(dir).map_err(look)? {
        let name = entry.map_err(look)?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(UNSURE) {
            return Err(PlaceError::Unsure(dir.join(&*name)));
        }
        if name == LOCK || name == DIRECTORY || name.starts_with(DEPOSITS) {
            return Err(PlaceError::Taken(dir.join(&*name)));
        }
    }
    let needed = validators as u64 * PER_VALIDATOR + BESIDES;
    let stat = rustix::fs::statvfs(dir).map_err(|e| look(e.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed {
        return Err(PlaceError::Full { path: dir.to_owned(), free, needed });
    }
    // What a ceremony ends with is tried before it begins.
    staging.directory(DIRECTORY)?;
    staging.file(&format!("{DIRECTORY}/.probe"), Mode::OwnerReads, b"probe")?;
    staging.remove(&format!("{DIRECTORY}/.probe"))?;
    Ok(Place { staging })
}

impl Place {
    /// Writes everything beside its place, on the disk.
    ///
    /// # Errors
    /// [`DiskError`]: nothing of it is in place.
    pub fn write(&mut self, outcome: &Outcome) -> Result<(), DiskError> {
        let staging = &self.staging;
        let written = side_by_side(outcome.keys.len(), |at| {
            let files = keystore(at as u64, &outcome.keys[at], Cost::Normal, &mut rand::rng());
            let password = format!("{DIRECTORY}/{}", files.password_name);
            staging.file(&password, Mode::OwnerReads, files.password.as_bytes())?;
            staging.file(&format!("{DIRECTORY}/{}", files.name), Mode::AllRead, files.text.as_bytes())
        });
        written.into_iter().collect::<Result<(), DiskError>>()?;
        for file in &outcome.deposits {
            staging.file(&file.name, Mode::AllRead, file.text.as_bytes())?;
        }
        staging.file(LOCK, Mode::AllRead, outcome.lock_text.as_bytes())?;
        self.staging.prepare()
    }

    /// Puts everything in place.
    ///
    /// # Errors
    /// [`DiskError`], and where everything is that is not in place: it is whole.
    pub fn commit(self) -> Result<(), (DiskError, PathBuf)> {
        let whole = self.staging.whole();
        self.staging.commit().map_err(|error| (error, whole))
    }

    /// Keeps what was written beside its place, under a name that no later run takes for its own.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.staging.keep()
    }
}
