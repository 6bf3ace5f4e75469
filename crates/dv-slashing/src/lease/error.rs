//! Why a key is not this process's.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_types::keylock::{self, ClaimError, Refusal};

use crate::machine::DiskError;

/// Why a key was not taken, or is lost.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The system refused a step.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory is on a disk of other machines too.
    #[error("the key {} does not serve there", key.display())]
    Disk {
        /// The key.
        key: PathBuf,
        /// Why.
        source: DiskError,
    },
    /// A process of this machine holds it.
    #[error("{holder} on this machine uses {}", key.display())]
    Held {
        /// The key.
        key: PathBuf,
        /// What is known of it.
        holder: String,
    },
    /// `<key>.lock` says nothing that is understood; a node may run.
    #[error("{} does not say whether the key is in use", path.display())]
    Claim {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ClaimError,
    },
    /// `<key>.lock` says that the key must not be used yet.
    #[error("the key may not be used yet, by {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// `<key>.lease` says nothing that is understood; a node may run.
    #[error("{} does not say who has the key", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another machine has the key, and did not give it back.
    #[error("`{command}` on the host {host:?} has the key since {since}, by {}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The command.
        command: String,
        /// The host.
        host: String,
        /// Since when.
        since: String,
    },
    /// The key was taken in another directory, and not given back.
    #[error(
        "`{command}` on the host {host:?} has the key since {since}, in another directory: by {}, this directory is a copy", path.display()
    )]
    Copied {
        /// The file.
        path: PathBuf,
        /// The command.
        command: String,
        /// The host.
        host: String,
        /// Since when.
        since: String,
    },
    /// Somebody else wrote `<key>.lock`, so two use the key.
    #[error("{} was written by `{command}`, while this process has the key", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// The other's command.
        command: String,
    },
}

impl LeaseError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            LeaseError::Io { .. } => {
                "check that the key is there, its directory's owner and mode, and the disk"
            }
            LeaseError::Disk { .. } => "put the key on a disk of this machine",
            LeaseError::Held { .. } => "stop the other node first: two nodes with one key must never run",
            LeaseError::Claim { .. } | LeaseError::Record { .. } => {
                "if no node uses this key anywhere, remove the file"
            }
            LeaseError::Refused { source: Refusal::Resting { .. }, .. } => {
                "the time protects from signing for two clusters at once; start again after it"
            }
            LeaseError::Refused { source: Refusal::Future { .. }, .. } => {
                "set the clocks; if no node uses this key anywhere, remove the file"
            }
            LeaseError::Refused { source: Refusal::InUse { .. }, .. } => {
                "stop the other node; one that was just stopped counts for five seconds"
            }
            LeaseError::Foreign { .. } => {
                "make sure that no node runs there with this key, nor will by itself; then `dv run --take-over-from HOST` takes the key over"
            }
            LeaseError::Copied { .. } => {
                "use the first directory; where it is gone for good, make sure that no node runs with it, nor has signed since the copy was made; then `dv run --take-over-from HOST` takes the key over"
            }
            LeaseError::Lost { .. } => {
                "stop one of the two nodes for good; what both have signed may be slashed"
            }
        }
    }

    /// How long to wait until it is worth another try; none where time changes nothing.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            LeaseError::Refused { source: Refusal::InUse { age, .. }, .. } => {
                Some(keylock::FRESH.saturating_sub(*age) + Duration::from_millis(1))
            }
            LeaseError::Refused { source: Refusal::Resting { left, .. }, .. } => Some(*left),
            LeaseError::Refused { source: Refusal::Future { .. }, .. }
            | LeaseError::Io { .. }
            | LeaseError::Disk { .. }
            | LeaseError::Held { .. }
            | LeaseError::Claim { .. }
            | LeaseError::Record { .. }
            | LeaseError::Foreign { .. }
            | LeaseError::Copied { .. }
            | LeaseError::Lost { .. } => None,
        }
    }
}

pub(super) fn io_error<'p>(doing: &'static str, path: &'p Path) -> impl Fn(io::Error) -> LeaseError + 'p {
    move |source| LeaseError::Io { doing, path: path.to_owned(), source }
}
