//! The claim to a node's key: the file beside it that says the key is in use, and a lock of the kernel's.
//!
//! ```text
//! take ─kernel's lock on the key→ ─file→ check (dv-types, keylock) ─write→ Held ─refresh every second→ …
//! ```
//!
//! The file is what other programs look at, from this machine or another; two of them that start at the same moment
//! both find it free. The kernel's lock closes that gap between nodes of ours on one machine.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use coxswain_dv_types::keylock::{self, Claim, ClaimError, Refusal};
use jiff::Timestamp;

use super::disk::{self, DiskError, Mode};

/// Why a key was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The key is not there, or no file.
    #[error("{} cannot be opened, and without a key nothing is claimed", path.display())]
    Key {
        /// The key.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A process of this machine holds it.
    #[error("another process on this machine uses {}", path.display())]
    Held {
        /// The key.
        path: PathBuf,
    },
    /// The file beside it cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file beside it says nothing that is understood; a node may run.
    #[error("{} does not say whether the key is in use", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ClaimError,
    },
    /// The file says that the key must not be used yet.
    #[error("the key may not be used yet, by {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// The claim was not written.
    #[error(transparent)]
    Write(#[from] DiskError),
}

impl TakeError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            TakeError::Key { .. } => "check the path of the key; `coxswain dv create enr` makes one",
            TakeError::Held { .. } => "stop the other node first: two nodes with one key must never run",
            TakeError::Read { .. } => "check the file's owner and mode",
            TakeError::Content { .. } => "if no node uses this key anywhere, remove the file",
            TakeError::Refused { source: Refusal::Resting { .. }, .. } => {
                "the time protects from signing for two clusters at once; run the command again after it"
            }
            TakeError::Refused { source: Refusal::Future { .. }, .. } => {
                "set the clocks; if no node uses this key anywhere, remove the file"
            }
            TakeError::Refused { source: Refusal::InUse { .. }, .. } => {
                "stop the other node; one that was just stopped counts for five seconds"
            }
            TakeError::Write(error) => error.next(),
        }
    }
}

/// A key that is claimed by this process. What it wrote stays when it is dropped: the next one waits out its age.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    command: String,
    cluster_lock_hash: String,
    /// Holds the kernel's lock.
    _key: File,
}

/// The file beside a key.
#[must_use]
pub fn path_beside(key: &Path) -> PathBuf {
    let mut path = key.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Claims a key for a command and a cluster (`lock_hash`, empty without one).
///
/// # Errors
/// [`TakeError`]; nothing was written then.
pub fn take(key: &Path, command: &str, cluster_lock_hash: &str, now: Timestamp) -> Result<Held, TakeError> {
    let missing = |source| TakeError::Key { path: key.to_owned(), source };
    let file = File::open(key).map_err(missing)?;
    if !file.metadata().map_err(missing)?.is_file() {
        return Err(missing(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
    }
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(TakeError::Held { path: key.to_owned() }),
        // Where nothing can be locked, the file alone must do, as it does for others.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    let path = path_beside(key);
    if let Some(claim) = read(&path)? {
        claim
            .check(now, cluster_lock_hash)
            .map_err(|source| TakeError::Refused { path: path.clone(), source })?;
    }
    let held = Held {
        path,
        command: command.to_owned(),
        cluster_lock_hash: cluster_lock_hash.to_owned(),
        _key: file,
    };
    held.refresh(now)?;
    Ok(held)
}

fn read(path: &Path) -> Result<Option<Claim>, TakeError> {
    let failed = |source| TakeError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut text = Vec::new();
    file.take(keylock::MAX_TEXT as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    keylock::parse(&text).map(Some).map_err(|source| TakeError::Content { path: path.to_owned(), source })
}

impl Held {
    /// Writes the claim anew; to be called every [`keylock::REFRESH`].
    ///
    /// # Errors
    /// [`DiskError`]: others will take the key for free soon.
    pub fn refresh(&self, now: Timestamp) -> Result<(), DiskError> {
        let claim = Claim {
            command: self.command.clone(),
            timestamp: now,
            cluster_lock_hash: self.cluster_lock_hash.clone(),
        };
        disk::replace(&self.path, Mode::OwnerWritesAllRead, claim.to_text().as_bytes())
    }

    /// Does something, and keeps the claim fresh meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let refreshing = async {
            loop {
                tokio::time::sleep(keylock::REFRESH).await;
                if let Err(error) = self.refresh(Timestamp::now()) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the claim to the key was not renewed");
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = refreshing => unreachable!("it never ends"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without it a claim is five seconds old after five seconds, and another node takes the key.
    #[tokio::test]
    async fn a_claim_stays_fresh_while_work_lasts() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        std::fs::write(&key, "a key").expect("a file");
        let long_ago = at(1_000);
        let held = take(&key, "charon dkg", "", long_ago).expect("it is free");
        let written = |path: &Path| read(path).expect("readable").expect("there").timestamp;
        assert_eq!(written(&path_beside(&key)), long_ago);
        let renewed = async {
            while written(&path_beside(&key)) == long_ago {
                tokio::time::sleep(keylock::REFRESH / 20).await;
            }
        };
        let lasts = tokio::time::timeout(keylock::REFRESH * 30, held.during(renewed));
        lasts.await.expect("it is renewed while the work goes on");
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    #[track_caller]
    fn refused(key: &Path, hash: &str, seconds: i64, expected: &str) {
        let error = take(key, "coxswain dv run", hash, at(seconds)).expect_err(expected);
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {why}").contains(expected), "{error}: {why}");
        assert!(!error.next().is_empty());
    }

    #[test]
    fn a_key_is_claimed_once_and_rests() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        refused(&key, "", 0, "without a key nothing is claimed");
        std::fs::write(&key, "k").expect("written");
        let held = take(&key, "coxswain dv run", "0xa", at(0)).expect("free");
        refused(&key, "0xa", 100, "another process on this machine");
        held.refresh(at(1)).expect("written");
        drop(held);
        refused(&key, "0xa", 6, "`coxswain dv run` uses this key: it said so 5 s ago");
        refused(&key, "0xb", 7, "wait for 762 s");
        refused(&key, "0xa", -9, "is wrong");
        let again = take(&key, "charon dkg", "0xa", at(7)).expect("the same lock, six seconds later");
        let text = std::fs::read_to_string(path_beside(&key)).expect("read");
        assert_eq!(
            text,
            r#"{"command":"charon dkg","timestamp":"2027-01-15T08:00:07Z","cluster_lock_hash":"0xa"}"#
        );
        drop(again);
        take(&key, "charon dkg", "0xb", at(7 + 768)).expect("two epochs later");
    }

    #[test]
    fn what_is_no_claim_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        refused(dir.path(), "", 0, "cannot be opened");
        std::fs::write(&key, "k").expect("written");
        std::fs::write(path_beside(&key), "").expect("written");
        refused(&key, "", 0, "it is empty");
        assert_eq!(std::fs::read(path_beside(&key)).expect("read"), b"");
    }
}
