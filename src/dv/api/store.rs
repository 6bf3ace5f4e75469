//! Definitions and locks in a directory: `definitions/<config hash>.json`, `locks/<lock hash>.json`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures::Stream;
use tokio::io::AsyncReadExt as _;

use super::super::disk::{self, DiskError, Mode};

/// What is sent of a file at a time.
const CHUNK: usize = 64 << 10;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Definitions, by their config hash.
    Definition,
    /// Locks, by their lock hash.
    Lock,
}

impl Kind {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Definition => "definition",
            Kind::Lock => "lock",
        }
    }

    /// What its hash is called.
    pub(super) fn hash_name(self) -> &'static str {
        match self {
            Kind::Definition => "config_hash",
            Kind::Lock => "lock_hash",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Kind::Definition => "definitions",
            Kind::Lock => "locks",
        }
    }
}

/// Why something is not kept, or not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one of this hash.
    #[error("a {} of this hash is there already", .0.name())]
    Exists(Kind),
    /// There is none of this hash.
    #[error("there is no {} of this hash", .0.name())]
    Missing(Kind),
    /// It has all the bytes it may have.
    #[error("this service keeps at most {max} bytes, and has no room for these {length}")]
    Full {
        /// What it may keep.
        max: u64,
        /// What was to be kept.
        length: u64,
    },
    /// It could not be written.
    #[error("the {} could not be kept", .0.name())]
    Disk(Kind, #[source] DiskError),
    /// It could not be read.
    #[error("the {} could not be read", kind.name())]
    Read {
        /// What.
        kind: Kind,
        /// The system's reason.
        source: io::Error,
    },
}

/// See the module. One process has a directory.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    max: u64,
    /// Bytes that are kept, or are being written: what is begun has its room.
    used: Mutex<u64>,
    /// Locked as long as this lives.
    _lock: File,
}

/// The file whose lock says that a process has the directory.
const IN_USE: &str = "in-use";

impl Store {
    /// Opens a directory, which is made where it is not there, and takes away what a crash left half-written.
    ///
    /// # Errors
    /// It cannot be made, read or written, or another process has it.
    pub fn open_at(root: &Path, max: u64) -> Result<Store, DiskError> {
        let refused = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| DiskError::Refused { doing, path, source }
        };
        disk::make_directory(root)?;
        let path = root.join(IN_USE);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(refused("opening", &path))?;
        lock.try_lock().map_err(|error| {
            let source = match error {
                std::fs::TryLockError::WouldBlock => {
                    io::Error::other("another process serves this directory")
                }
                std::fs::TryLockError::Error(error) => error,
            };
            refused("locking", &path)(source)
        })?;
        let mut used = 0;
        for kind in [Kind::Definition, Kind::Lock] {
            let dir = root.join(kind.directory());
            disk::make_directory(&dir)?;
            disk::sweep(&dir)?;
            for entry in std::fs::read_dir(&dir).map_err(refused("reading the directory", &dir))? {
                let length = entry.and_then(|entry| entry.metadata()).map(|found| found.len());
                used += length.map_err(refused("reading the directory", &dir))?;
            }
        }
        Ok(Store { root: root.to_owned(), max, used: Mutex::new(used), _lock: lock })
    }

    fn path(&self, kind: Kind, hash: &[u8; 32]) -> PathBuf {
        self.root.join(kind.directory()).join(format!("{}.json", hex::encode(hash)))
    }

    /// Keeps something new. When this is through, it outlives a crash.
    ///
    /// # Errors
    /// [`StoreError`]; what is there stays as it is.
    pub fn keep(&self, kind: Kind, hash: &[u8; 32], content: &[u8]) -> Result<(), StoreError> {
        let path = self.path(kind, hash);
        // The write would say it too; this says it where there is no room.
        if path.exists() {
            return Err(StoreError::Exists(kind));
        }
        let length = content.len() as u64;
        self.take_room(length)?;
        let written = disk::create(&path, Mode::AllRead, content);
        // A file that may be gone after a loss of power is there now, and takes room.
        if written.is_err() && !path.exists() || matches!(written, Err(DiskError::Exists { .. })) {
            self.give_room(length);
        }
        written.map_err(|error| match error {
            DiskError::Exists { .. } => StoreError::Exists(kind),
            other => StoreError::Disk(kind, other),
        })
    }

    fn take_room(&self, length: u64) -> Result<(), StoreError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.checked_add(length).filter(|sum| *sum <= self.max) {
            Some(sum) => *used = sum,
            None => return Err(StoreError::Full { max: self.max, length }),
        }
        Ok(())
    }

    fn give_room(&self, length: u64) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) -= length;
    }

    /// Opens what is kept, and says how long it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn open(&self, kind: Kind, hash: &[u8; 32]) -> Result<(File, u64), StoreError> {
        let opened = File::open(self.path(kind, hash)).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(kind),
            _ => StoreError::Read { kind, source },
        })
    }
}

/// A file piece by piece: what a slow client has not read yet takes no memory.
pub(super) fn chunks(file: File) -> impl Stream<Item = io::Result<Vec<u8>>> {
    futures::stream::try_unfold(tokio::fs::File::from_std(file), async |mut file| {
        let mut chunk = vec![0; CHUNK];
        let length = file.read(&mut chunk).await?;
        chunk.truncate(length);
        Ok((length > 0).then_some((chunk, file)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn store(dir: &Path, max: u64) -> Store {
        Store::open_at(dir, max).expect("a store")
    }

    #[test]
    fn what_is_kept_is_found_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = store(dir.path(), 100);
        kept.keep(Kind::Lock, &[1; 32], b"first").expect("kept");
        assert!(matches!(kept.keep(Kind::Lock, &[1; 32], b"second"), Err(StoreError::Exists(Kind::Lock))));
        assert!(matches!(kept.open(Kind::Definition, &[1; 32]), Err(StoreError::Missing(Kind::Definition))));
        drop(kept);
        let kept = store(dir.path(), 100);
        let mut text = String::new();
        let (mut file, length) = kept.open(Kind::Lock, &[1; 32]).expect("there");
        io::Read::read_to_string(&mut file, &mut text).expect("read");
        assert_eq!((text.as_str(), length), ("first", 5));
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o444);
    }

    #[test]
    fn the_whole_store_has_a_limit() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = store(dir.path(), 10);
        kept.keep(Kind::Lock, &[1; 32], &[0; 6]).expect("kept");
        assert!(matches!(
            kept.keep(Kind::Lock, &[2; 32], &[0; 5]),
            Err(StoreError::Full { max: 10, length: 5 })
        ));
        assert!(matches!(kept.keep(Kind::Lock, &[1; 32], &[0; 50]), Err(StoreError::Exists(_))));
        kept.keep(Kind::Definition, &[2; 32], &[0; 4]).expect("kept");
        drop(kept);
        let kept = store(dir.path(), 10);
        assert!(matches!(kept.keep(Kind::Lock, &[3; 32], &[0]), Err(StoreError::Full { .. })));
    }

    #[test]
    fn a_directory_has_one_process_and_no_halves() {
        let dir = tempfile::tempdir().expect("a directory");
        let kept = store(dir.path(), 100);
        assert!(matches!(Store::open_at(dir.path(), 100), Err(DiskError::Refused { .. })));
        drop(kept);
        let half = dir.path().join("locks/.aa.json.0011223344556677.coxswain-part");
        std::fs::write(&half, "half").expect("written");
        store(dir.path(), 100);
        assert!(!half.exists());
    }
}
