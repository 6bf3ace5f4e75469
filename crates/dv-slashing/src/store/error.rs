//! Why the store does not answer.

use std::fmt;
use std::io;
use std::path::PathBuf;

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};

use super::files::Holder;
use crate::machine::DiskError;

/// Why the store is not opened, or does not answer. Nothing may be signed then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused a step.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried, as in `making the directory`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory is on a disk of other machines too.
    #[error("the slashing store does not go there")]
    Disk(#[from] DiskError),
    /// Others may write to it.
    #[error("{} has the mode {mode:o}: others than its owner may write to it", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another process has it open.
    #[error("the slashing store {} is open in {}", path.display(), By(holder.as_ref()))]
    Held {
        /// The store.
        path: PathBuf,
        /// Who has it, where that is known.
        holder: Option<Holder>,
    },
    /// It is of another chain.
    #[error("the slashing store {} is of the chain with genesis_validators_root {stored}, and not {expected}", path.display())]
    OtherChain {
        /// The store.
        path: PathBuf,
        /// The root in the file.
        stored: Bytes32,
        /// The root that was asked for.
        expected: Bytes32,
    },
    /// A later version wrote it.
    #[error("the slashing store {} has the format {found:?}, and only {expected:?} is known", path.display())]
    Format {
        /// The store.
        path: PathBuf,
        /// The format in the file.
        found: String,
        /// The format that is known.
        expected: &'static str,
    },
    /// It is not as it was written.
    #[error("the slashing store {} is damaged", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        source: Damage,
    },
    /// It is not there.
    #[error("the slashing store {} is not there", path.display())]
    Gone {
        /// The store.
        path: PathBuf,
    },
    /// It was put in the place of a later one.
    #[error("the slashing store {} has {commits} commits, and had {known} before", path.display())]
    Older {
        /// The store.
        path: PathBuf,
        /// Commits of the file.
        commits: u64,
        /// Commits that are known.
        known: u64,
    },
    /// A share belongs to another group already.
    #[error(
        "the share {share} is of the group {stored} in the slashing store, and of {asked} in the cluster lock"
    )]
    OtherGroup {
        /// The share.
        share: Box<Bytes48>,
        /// The group in the file.
        stored: Box<Bytes48>,
        /// The group that was asked for.
        asked: Box<Bytes48>,
    },
    /// It was handed over to another directory, and signs nothing any more.
    #[error("the slashing store {} was handed over to {to}", path.display())]
    HandedOver {
        /// The store.
        path: PathBuf,
        /// Where its history goes on.
        to: String,
    },
    /// It was opened by who only looks.
    #[error("the slashing store {} was opened to be looked at, and not to be written", path.display())]
    LookedAt {
        /// The store.
        path: PathBuf,
    },
    /// There is a file of this name.
    #[error("{} exists already", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// There are more requests in one call than any client sends.
    #[error("{requests} requests at once, and at most {most} are taken")]
    TooMany {
        /// How many.
        requests: usize,
        /// How many are taken.
        most: usize,
    },
    /// A transaction failed. What it should have recorded may be in the file or not.
    #[error("{doing} the slashing store {}", path.display())]
    Transaction {
        /// What was tried, as in `recording in`.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// The database's reason.
        source: Box<redb::Error>,
    },
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The database says so.
    #[error(transparent)]
    Database(Box<redb::Error>),
    /// A part that every store has is missing, or is none.
    #[error("{0}")]
    Content(&'static str),
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            StoreError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room there and start again"
                }
                io::ErrorKind::PermissionDenied => "check who owns the directory and its mode",
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file system is mounted read-only: choose another directory"
                }
                _ => "check the disk and the directory, and start again",
            },
            StoreError::Disk(_) => "put the store on a disk of this machine",
            StoreError::Exposed { .. } => "take the others' right to write away, as in `chmod go-w`",
            StoreError::Held { .. } => "stop the other process: a history has one writer",
            StoreError::OtherChain { .. } => "check which network and which directory are meant",
            StoreError::Format { .. } => "use the version that wrote it, or a later one",
            StoreError::Damaged { .. } => {
                "keep the file for the search for the cause; import an interchange into a new store, or start a new one with a watermark"
            }
            StoreError::Gone { .. } => {
                "put the file back; if it is lost, import an interchange into a new store elsewhere, or start a new one with a watermark"
            }
            StoreError::Older { .. } => {
                "put the latest file back; if it is lost, import an interchange into a new store, or start a new one with a watermark"
            }
            StoreError::OtherGroup { .. } => "check that the store and the cluster lock are of one cluster",
            StoreError::HandedOver { .. } => {
                "use the directory that has its history now; the old one never signs again"
            }
            StoreError::LookedAt { .. } => {
                "nothing was changed; this is an error of this program, please report it"
            }
            StoreError::Exists { .. } => "nothing was changed; choose another directory",
            StoreError::TooMany { .. } => "send fewer at once",
            StoreError::Transaction { .. } => "check the disk, and start again: until then nothing is signed",
        }
    }
}

/// A holder in a sentence.
struct By<'h>(Option<&'h Holder>);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => write!(f, "process {} on {}", holder.pid, holder.machine.host),
            None => f.write_str("another process"),
        }
    }
}
