//! The claim to a key: a lock of the kernel's, and the file `<key>.lock`.
//!
//! ```text
//! Locked::take ─kernel's lock→ Locked ─check: nobody was there lately─ claim→ Claimed ─renew every second→ …
//! ```
//!
//! The file is what other programs look at, from this machine or another; two of them that start at the same moment
//! both find it free. The kernel's lock closes that gap between processes of ours on one machine.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_types::keylock::{self, Claim, Refusal};
use jiff::Timestamp;

use super::error::{LeaseError, io_error};
use super::files::{Durability, beside, read_limited, write};
use super::read_record;

/// What becomes of a key on a disk where nothing can be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockless {
    /// It is not used.
    Refuse,
    /// The file alone must do, as it does for other programs.
    Pass,
}

/// A key of which the kernel knows that this process has it, as long as this lives. Nothing is written.
#[derive(Debug)]
pub struct Locked {
    key: PathBuf,
    /// Holds the kernel's lock.
    _file: File,
}

impl Locked {
    /// Takes the kernel's lock on a key.
    ///
    /// # Errors
    /// [`LeaseError`]: above all that another process of this machine has it.
    pub fn take(key: &Path, lockless: Lockless) -> Result<Locked, LeaseError> {
        let opening = io_error("opening the key", key);
        let file = File::open(key).map_err(&opening)?;
        if !file.metadata().map_err(&opening)?.is_file() {
            return Err(opening(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(_)) if lockless == Lockless::Pass => {}
            Err(TryLockError::Error(source)) => return Err(io_error("locking the key", key)(source)),
            Err(TryLockError::WouldBlock) => {
                return Err(LeaseError::Held { key: key.to_owned(), holder: holder(key) });
            }
        }
        Ok(Locked { key: key.to_owned(), _file: file })
    }

    /// Whether `<key>.lock` leaves the key to the cluster of this lock (`lock_hash`, empty without one).
    ///
    /// # Errors
    /// [`LeaseError`]; [`LeaseError::wait`] says whether it is worth another try.
    pub fn check(&self, cluster_lock_hash: &str, now: Timestamp) -> Result<(), LeaseError> {
        let path = claim_path(&self.key);
        let Some(claim) = read_claim(&path)? else { return Ok(()) };
        claim.check(now, cluster_lock_hash).map_err(|refusal| {
            let source = match refusal {
                // Written after this process had looked at the clock, or by a clock that is a little ahead: a node runs.
                Refusal::Future { command, ahead } if ahead <= keylock::FRESH => {
                    Refusal::InUse { command, age: Duration::ZERO }
                }
                other => other,
            };
            LeaseError::Refused { path, source }
        })
    }

    /// Says in `<key>.lock` that the key is in use.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub(super) fn claim(self, claim: Claim) -> Result<Claimed, LeaseError> {
        let path = claim_path(&self.key);
        write(&path, &claim.to_text(), Durability::Process)?;
        Ok(Claimed { path, claim, _locked: self })
    }
}

/// A key that is claimed by this process. What it wrote stays when it is dropped: the next one waits out its age.
#[derive(Debug)]
pub struct Claimed {
    path: PathBuf,
    claim: Claim,
    _locked: Locked,
}

impl Claimed {
    /// Claims a key for a command and a cluster (`lock_hash`, empty without one), without a lease: for what ends by
    /// itself and signs nothing as a validator.
    ///
    /// # Errors
    /// [`LeaseError`]; nothing was written then.
    pub fn take(
        key: &Path,
        command: &str,
        cluster_lock_hash: &str,
        lockless: Lockless,
        now: Timestamp,
    ) -> Result<Claimed, LeaseError> {
        let locked = Locked::take(key, lockless)?;
        locked.check(cluster_lock_hash, now)?;
        locked.claim(Claim {
            command: command.to_owned(),
            timestamp: now,
            cluster_lock_hash: cluster_lock_hash.to_owned(),
        })
    }

    /// Says that the key is still in use; to be called every [`keylock::REFRESH`].
    ///
    /// # Errors
    /// [`LeaseError`]: others will take the key for free soon, or have it.
    pub fn renew(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        self.check()?;
        let claim = Claim { timestamp: now, ..self.claim.clone() };
        write(&self.path, &claim.to_text(), Durability::Process)?;
        self.claim = claim;
        Ok(())
    }

    /// Whether nobody else wrote `<key>.lock`.
    pub(super) fn check(&self) -> Result<(), LeaseError> {
        match read_claim(&self.path)? {
            Some(found) if found != self.claim => {
                Err(LeaseError::Lost { path: self.path.clone(), command: found.command })
            }
            // One that was removed is written again: the kernel's lock is held.
            Some(_) | None => Ok(()),
        }
    }
}

/// `<key>.lock`.
#[must_use]
pub fn claim_path(key: &Path) -> PathBuf {
    beside(key, ".lock")
}

/// Who has a key that is locked, as far as the files beside it know. A lease of a command that does not write the claim is
/// one that was left behind.
fn holder(key: &Path) -> String {
    let claim = read_claim(&claim_path(key)).ok().flatten();
    let record = read_record(&super::record_path(key)).ok().flatten();
    let named = claim.zip(record).filter(|(claim, record)| claim.command == record.command);
    named.map_or_else(
        || "another process".to_owned(),
        |(_, record)| format!("`{}` (process {})", record.command, record.pid),
    )
}

fn read_claim(path: &Path) -> Result<Option<Claim>, LeaseError> {
    let Some(text) = read_limited(path, keylock::MAX_TEXT as u64 + 1)? else { return Ok(None) };
    keylock::parse(&text).map(Some).map_err(|source| LeaseError::Claim { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn take(key: &Path, command: &str, hash: &str, seconds: i64) -> Result<Claimed, LeaseError> {
        Claimed::take(key, command, hash, Lockless::Pass, at(seconds))
    }

    #[track_caller]
    fn refused(key: &Path, hash: &str, seconds: i64, expected: &str) {
        let error = take(key, "coxswain dv run", hash, seconds).expect_err(expected);
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {why}").contains(expected), "{error}: {why}");
        assert!(!error.next().is_empty());
    }

    #[test]
    fn a_key_is_claimed_once_and_rests() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        refused(&key, "", 0, "opening the key");
        std::fs::write(&key, "k").expect("written");
        let mut held = take(&key, "coxswain dv run", "0xa", 0).expect("free");
        refused(&key, "0xa", 100, "another process on this machine");
        held.renew(at(1)).expect("written");
        drop(held);
        refused(&key, "0xa", 6, "`coxswain dv run` uses this key: it said so 5 s ago");
        refused(&key, "0xb", 7, "wait for 762 s");
        refused(&key, "0xa", -9, "is wrong");
        // The holder wrote it after this process had looked at the clock.
        refused(&key, "0xa", 0, "`coxswain dv run` uses this key: it said so 0 s ago");
        let again = take(&key, "charon dkg", "0xa", 7).expect("the same lock, six seconds later");
        let text = std::fs::read_to_string(claim_path(&key)).expect("read");
        assert_eq!(
            text,
            r#"{"command":"charon dkg","timestamp":"2027-01-15T08:00:07Z","cluster_lock_hash":"0xa"}"#
        );
        assert!(!super::super::record_path(&key).exists(), "a claim alone is no lease");
        drop(again);
        take(&key, "charon dkg", "0xb", 7 + 768).expect("two epochs later");
    }

    #[test]
    fn what_is_no_claim_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        refused(dir.path(), "", 0, "it is no file");
        std::fs::write(&key, "k").expect("written");
        std::fs::write(claim_path(&key), "").expect("written");
        refused(&key, "", 0, "it is empty");
        assert_eq!(std::fs::read(claim_path(&key)).expect("read"), b"");
    }

    /// Other programs, which may run as somebody else, must be able to read it.
    #[test]
    fn a_claim_is_for_everybody_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        std::fs::write(&key, "k").expect("written");
        let _claimed = take(&key, "charon dkg", "", 0).expect("free");
        let mode = std::fs::metadata(claim_path(&key)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    #[test]
    fn what_is_only_looked_at_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        std::fs::write(&key, "k").expect("written");
        let locked = Locked::take(&key, Lockless::Refuse).expect("free");
        locked.check("0xa", at(0)).expect("nobody was there");
        refused(&key, "", 0, "another process on this machine");
        assert!(!claim_path(&key).exists());
        drop(locked);
        take(&key, "charon dkg", "", 0).expect("free again");
    }
}
