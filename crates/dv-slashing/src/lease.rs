//! One node with a key runs, and no second one.
//!
//! ```text
//! take ─disk→ local ─kernel's lock on the key→ ─<key>.lock→ nobody was there lately ─<key>.lease→ this machine, or freed
//!      ─write both→ Lease ─renew every second→ … ─free→ the next machine may have it
//! ```
//!
//! Three things are looked at, and each sees what the others do not. The kernel's lock: other processes of this machine,
//! for certain. `<key>.lock`: other programs of distributed validators, which write it every second and know nothing else
//! ([keylock](coxswain_dv_types::keylock)). `<key>.lease`: another machine that had this directory, and that this is a copy
//! of the directory, whose first one may be in use.
//!
//! A lease of another machine or directory does not end by itself, whatever the clocks say: who runs there may be suspended,
//! or have another time. Somebody who knows that it does not run names the machine, and it is taken over.
//!
//! # What must never happen
//!
//! - Two processes hold a key.
//! - A key is taken from another machine, or from another directory, because time has passed.

mod claim;
mod error;
mod files;

use std::path::{Path, PathBuf};

use coxswain_dv_types::keylock::Claim;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::claim::{Claimed, Locked, Lockless, claim_path};
pub use self::error::LeaseError;

use self::files::{Durability, beside, read_limited, write};
use crate::machine::{Directory, Disk, Machine, check_disk};

/// Longest lease that is read; ours have less than 500 bytes.
const MAX_TEXT: u64 = 64 << 10;

/// Who asks for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Its command, as in `coxswain dv run`.
    pub command: String,
    /// `lock_hash` of the cluster lock; empty without one.
    pub cluster_lock_hash: String,
    /// Where it runs.
    pub machine: Machine,
    /// Who vouches for the disk.
    pub disk: Disk,
    /// The host of which the operator says that nothing runs there any more.
    pub takes_over_from: Option<String>,
}

/// The file `<key>.lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    command: String,
    pid: u32,
    #[serde(flatten)]
    machine: Machine,
    /// Where it was taken; none in what was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<Directory>,
    since: String,
    /// It was given back.
    is_free: bool,
}

/// A key that is this process's. What it wrote stays when it is dropped, as after a crash; see [`Lease::free`].
#[derive(Debug)]
pub struct Lease {
    claimed: Claimed,
    record_path: PathBuf,
    record: Record,
}

/// `<key>.lease`.
#[must_use]
pub fn record_path(key: &Path) -> PathBuf {
    beside(key, ".lease")
}

impl Lease {
    /// Takes a key.
    ///
    /// # Errors
    /// [`LeaseError`]; [`LeaseError::wait`] says whether it is worth another try.
    pub fn take(key: &Path, applicant: Applicant, now: Timestamp) -> Result<Lease, LeaseError> {
        let locked = look(key, &applicant, now)?;
        let record_path = record_path(key);
        let record = Record {
            command: applicant.command.clone(),
            pid: std::process::id(),
            machine: applicant.machine,
            directory: Some(directory_of(key)?),
            since: now.to_string(),
            is_free: false,
        };
        write(&record_path, &coxswain_dv_types::text::compact(&record), Durability::Disk)?;
        let claimed = locked.claim(Claim {
            command: applicant.command,
            timestamp: now,
            cluster_lock_hash: applicant.cluster_lock_hash,
        })?;
        Ok(Lease { claimed, record_path, record })
    }

    /// Says that the key is still in use; to be called every [`REFRESH`](coxswain_dv_types::keylock::REFRESH).
    ///
    /// # Errors
    /// [`LeaseError`]: others will take the key for free soon, or have it: nothing may be signed any more.
    pub fn renew(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        self.claimed.renew(now)
    }

    /// Gives the key back: any machine may have it. `<key>.lock` stays, and its age is waited for. What somebody else has
    /// written meanwhile stays: a key that is theirs is not ours to give.
    ///
    /// # Errors
    /// [`LeaseError`]: only this machine may have it again, or somebody else has it.
    pub fn free(mut self) -> Result<(), LeaseError> {
        self.claimed.check()?;
        if let Some(found) = read_record(&self.record_path)?.filter(|found| *found != self.record) {
            return Err(LeaseError::Lost { path: self.record_path, command: found.command });
        }
        self.record.is_free = true;
        write(&self.record_path, &coxswain_dv_types::text::compact(&self.record), Durability::Disk)
    }
}

/// Whether a key could be taken now. Nothing is written, and as long as the answer is kept no other process of this
/// machine takes it.
///
/// # Errors
/// As [`Lease::take`].
pub fn look(key: &Path, applicant: &Applicant, now: Timestamp) -> Result<Locked, LeaseError> {
    check_disk(home_of(key), applicant.disk)
        .map_err(|source| LeaseError::Disk { key: key.to_owned(), source })?;
    let locked = Locked::take(key, Lockless::Refuse)?;
    locked.check(&applicant.cluster_lock_hash, now)?;
    let path = record_path(key);
    if let Some(record) = read_record(&path)? {
        refuse_foreign(&path, &record, applicant)?;
        refuse_copied(&path, &record, (applicant, &directory_of(key)?))?;
    }
    Ok(locked)
}

fn home_of(key: &Path) -> &Path {
    key.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn directory_of(key: &Path) -> Result<Directory, LeaseError> {
    let home = home_of(key);
    Directory::at(home).map_err(error::io_error("looking at", home))
}

fn read_record(path: &Path) -> Result<Option<Record>, LeaseError> {
    let Some(text) = read_limited(path, MAX_TEXT)? else { return Ok(None) };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| LeaseError::Record { path: path.to_owned(), source })
}

/// Whether the machine of a record may still run. On this one nothing does with this very file: the kernel's lock was free, or
/// the machine was started anew since.
fn refuse_foreign(path: &Path, record: &Record, applicant: &Applicant) -> Result<(), LeaseError> {
    let here = &applicant.machine;
    // Containers have names of their own, so the start of the machine counts first.
    let is_here = record.machine.is_same_boot(here) || record.machine.host == here.host;
    if record.is_free || is_here || record.is_named_by(applicant) {
        return Ok(());
    }
    Err(LeaseError::Foreign {
        path: path.to_owned(),
        command: record.command.clone(),
        host: record.machine.host.clone(),
        since: record.since.clone(),
    })
}

/// Whether a record is of another directory, of which this is a copy: the kernel's lock says nothing of what runs there, and
/// what was signed there since is not known here.
fn refuse_copied(
    path: &Path,
    record: &Record,
    (applicant, here): (&Applicant, &Directory),
) -> Result<(), LeaseError> {
    let may_be = |there: &Directory| there.may_be(here, &record.machine, &applicant.machine);
    if record.is_free || record.directory.as_ref().is_none_or(may_be) || record.is_named_by(applicant) {
        return Ok(());
    }
    Err(LeaseError::Copied {
        path: path.to_owned(),
        command: record.command.clone(),
        host: record.machine.host.clone(),
        since: record.since.clone(),
    })
}

impl Record {
    /// Whether the operator says that nothing runs there any more.
    fn is_named_by(&self, applicant: &Applicant) -> bool {
        applicant.takes_over_from.as_ref() == Some(&self.machine.host)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn applicant(host: &str, boot_id: &str) -> Applicant {
        Applicant {
            command: "coxswain dv run".into(),
            cluster_lock_hash: "0xa".into(),
            machine: Machine { host: host.into(), boot_id: boot_id.into() },
            disk: Disk::Local,
            takes_over_from: None,
        }
    }

    fn key() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        fs::write(&key, "k").expect("written");
        (dir, key)
    }

    #[track_caller]
    fn refused(taken: Result<Lease, LeaseError>, expected: &str) -> LeaseError {
        let error = taken.expect_err(expected);
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {why}").contains(expected), "{error}: {why}");
        assert!(!error.next().is_empty());
        error
    }

    #[test]
    fn a_key_has_one_holder_on_a_machine() {
        let (_dir, key) = key();
        let mut lease = Lease::take(&key, applicant("a", "1"), at(0)).expect("free");
        let here = format!("`coxswain dv run` (process {}) on this machine", std::process::id());
        refused(Lease::take(&key, applicant("b", "2"), at(9)), &here);
        lease.renew(at(1)).expect("renewed");
        let text = fs::read_to_string(claim_path(&key)).expect("read");
        let expected =
            r#"{"command":"coxswain dv run","timestamp":"2027-01-15T08:00:01Z","cluster_lock_hash":"0xa"}"#;
        assert_eq!(text, expected);
        // As after a crash: the same machine takes it again once the file is old enough for everybody.
        drop(lease);
        let error = refused(Lease::take(&key, applicant("a", "1"), at(4)), "it said so 3 s ago");
        assert_eq!(error.wait(), Some(Duration::from_millis(2_001)));
        Lease::take(&key, applicant("a", "1"), at(7)).expect("free");
    }

    #[test]
    fn another_cluster_waits_for_two_epochs() {
        let (_dir, key) = key();
        drop(Lease::take(&key, applicant("a", "1"), at(0)).expect("free"));
        let other = Applicant { cluster_lock_hash: "0xb".into(), ..applicant("a", "1") };
        let error = refused(Lease::take(&key, other.clone(), at(8)), "wait for 760 s");
        assert_eq!(error.wait(), Some(Duration::from_secs(760)));
        Lease::take(&key, other, at(768)).expect("free");
    }

    #[test]
    fn another_machine_is_named_or_has_given_the_key_back() {
        let (_dir, key) = key();
        drop(Lease::take(&key, applicant("a", "1"), at(0)).expect("free"));
        let year = at(365 * 86_400);
        let error =
            refused(Lease::take(&key, applicant("b", "2"), year), "on the host \"a\" has the key since 2027");
        assert_eq!(error.wait(), None);
        let named = |host: &str| Applicant { takes_over_from: Some(host.into()), ..applicant("b", "2") };
        refused(Lease::take(&key, named("b"), year), "on the host \"a\"");
        let lease = Lease::take(&key, named("a"), year).expect("taken over");
        lease.free().expect("given back");
        Lease::take(&key, applicant("c", "3"), year + Duration::from_secs(6)).expect("free");
    }

    #[test]
    fn a_machine_is_itself_after_a_start_and_by_another_name() {
        let (_dir, key) = key();
        drop(Lease::take(&key, applicant("a", "1"), at(0)).expect("free"));
        drop(Lease::take(&key, applicant("a", "2"), at(10)).expect("the same host, started anew"));
        drop(Lease::take(&key, applicant("container", "2"), at(20)).expect("the same start of the machine"));
        refused(Lease::take(&key, applicant("a", "2x"), at(30)), "on the host \"container\"");
    }

    /// The kernel's lock is on the first directory's file: on this machine both would be free.
    #[test]
    fn a_copy_of_the_directory_is_no_second_one() {
        let (dir, key) = key();
        let copy = tempfile::tempdir().expect("a directory");
        let copied = copy.path().join("key");
        let copy_all = || {
            for file in fs::read_dir(dir.path()).expect("read").map(|file| file.expect("read")) {
                fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
            }
        };
        let mut lease = Lease::take(&key, applicant("a", "1"), at(0)).expect("free");
        copy_all();
        let others = [applicant("a", "1"), applicant("container", "1"), applicant("a", "2")];
        for other in others {
            let error = refused(Lease::take(&copied, other, at(9)), "this directory is a copy");
            assert_eq!(error.wait(), None);
        }
        lease.renew(at(10)).expect("nothing has happened to it");
        let named = Applicant { takes_over_from: Some("a".into()), ..applicant("a", "1") };
        drop(Lease::take(&copied, named, at(20)).expect("taken over"));
        drop(Lease::take(&copied, applicant("a", "1"), at(30)).expect("it is the copy's now"));
        // What was given back is anybody's, wherever it goes.
        lease.free().expect("given back");
        copy_all();
        Lease::take(&copied, applicant("a", "1"), at(40)).expect("free");
    }

    /// Of a version that did not keep it.
    #[test]
    fn a_record_without_a_directory_is_of_any() {
        let (_dir, key) = key();
        drop(Lease::take(&key, applicant("a", "1"), at(0)).expect("free"));
        let text = fs::read_to_string(record_path(&key)).expect("read");
        let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(record.as_object_mut().expect("an object").remove("directory").is_some());
        fs::write(record_path(&key), record.to_string()).expect("written");
        Lease::take(&key, applicant("a", "1"), at(10)).expect("free");
    }

    #[test]
    fn what_others_write_meanwhile_is_seen() {
        let (_dir, key) = key();
        let mut lease = Lease::take(&key, applicant("a", "1"), at(0)).expect("free");
        fs::remove_file(claim_path(&key)).expect("removed");
        lease.renew(at(1)).expect("written again");
        let other =
            Claim { command: "charon run".into(), timestamp: at(2), cluster_lock_hash: String::new() };
        fs::write(claim_path(&key), other.to_text()).expect("written");
        let error = lease.renew(at(2)).expect_err("lost");
        assert!(error.to_string().contains("was written by `charon run`"), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let (dir, key) = key();
        refused(Lease::take(dir.path(), applicant("a", "1"), at(0)), "it is no file");
        refused(Lease::take(&dir.path().join("none"), applicant("a", "1"), at(0)), "opening the key");
        fs::write(record_path(&key), "{").expect("written");
        refused(Lease::take(&key, applicant("a", "1"), at(0)), "does not say who has the key");
        fs::write(claim_path(&key), "").expect("written");
        refused(Lease::take(&key, applicant("a", "1"), at(0)), "does not say whether the key is in use");
        assert_eq!(fs::read(record_path(&key)).expect("read"), b"{");
    }

    #[test]
    fn a_key_that_somebody_else_has_is_not_given_back() {
        let (_dir, key) = key();
        let lease = Lease::take(&key, applicant("a", "1"), at(0)).expect("free");
        let claimed = fs::read_to_string(claim_path(&key)).expect("read");
        let theirs = claimed.replace("coxswain dv run", "charon run");
        fs::write(claim_path(&key), &theirs).expect("written");
        let record = fs::read_to_string(record_path(&key)).expect("read");
        assert!(matches!(lease.free(), Err(LeaseError::Lost { .. })));
        assert_eq!(fs::read_to_string(record_path(&key)).expect("read"), record, "it stays as it is");

        fs::write(claim_path(&key), &claimed).expect("written");
        fs::remove_file(claim_path(&key)).expect("removed");
        let lease = Lease::take(&key, applicant("a", "1"), at(20)).expect("free");
        let record = fs::read_to_string(record_path(&key)).expect("read");
        let theirs = record.replace("coxswain dv run", "another");
        fs::write(record_path(&key), &theirs).expect("written");
        assert!(matches!(lease.free(), Err(LeaseError::Lost { .. })));
        assert_eq!(fs::read_to_string(record_path(&key)).expect("read"), theirs);
    }
}
