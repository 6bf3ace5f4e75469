//! Why a state cannot be read or written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The command as typed, without secrets.
    pub command: String,
    /// When it began.
    pub started: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { user, host, pid, command, started } = self;
        write!(f, "{user}@{host}, process {pid}, `{command}`, since {started}")
    }
}

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// 1-based.
    pub line: usize,
    /// Bytes from the beginning.
    pub byte: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)
    }
}

/// Bytes that are no snapshot or no journal; see [`crate::parse_snapshot`] and [`crate::parse_journal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It was written otherwise than it reads.
    #[error("{position}: {reason}")]
    Corrupt {
        /// Where it no longer verifies.
        position: Position,
        /// What does not.
        reason: String,
    },
    /// A later coxswain wrote it.
    #[error("it has format {found}, and this coxswain reads formats up to {}", crate::FORMAT)]
    Newer {
        /// Its format.
        found: u32,
    },
}

/// Why a state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another run holds the lock. Retrying helps when that run has ended.
    #[error("the state in {place} is locked by {}", owner.as_ref().map_or_else(|| "a run that has not said who it is yet".to_owned(), |o| o.to_string()))]
    Busy {
        /// Where.
        place: String,
        /// Who holds it; none in the instant between taking the lock and signing it.
        owner: Option<Box<Owner>>,
    },
    /// A file does not verify. Nothing was changed.
    #[error(
        "{file} is damaged at {position}: {reason}; earlier states are listed by `coxswain state history`, and `coxswain state history --restore SERIAL` puts one back"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// Where it no longer verifies.
        position: Position,
        /// What does not.
        reason: String,
    },
    /// A later coxswain wrote the file. Nothing was changed.
    #[error(
        "{file} has format {found}, and this coxswain reads formats up to {known}; use the version of coxswain that wrote it, or a later one"
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The latest format known.
        known: u32,
    },
    /// The disk, or what stands for it, refused. What was in the state before is still there.
    #[error("cannot {op} {path}{}", hint(source))]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        op: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The journal or the plan belongs to another state.
    #[error("{what} belongs to the state {found}, and this is the state {expected}")]
    LineageMismatch {
        /// What.
        what: String,
        /// The lineage of the state.
        expected: String,
        /// The lineage of the other.
        found: String,
    },
    /// The state is not the one that the journal or the plan was made from.
    #[error("{what} was made from serial {expected} of the state, which is at serial {found} now{hint}")]
    SerialMoved {
        /// What.
        what: String,
        /// The serial it was made from.
        expected: u64,
        /// The serial of the state.
        found: u64,
        /// What to do.
        hint: &'static str,
    },
    /// The entry does not fit the state; it was not written.
    #[error("the journal refuses {what}: {reason}")]
    Misfit {
        /// The entry.
        what: String,
        /// The rule it breaks.
        reason: String,
    },
    /// There is no such earlier state.
    #[error("there is no serial {serial} in the history of {place}")]
    NoSuchSerial {
        /// The serial.
        serial: u64,
        /// Where.
        place: String,
    },
}

impl Error {
    /// Names the file of a parse error.
    pub fn parse(file: impl Into<String>, error: ParseError) -> Error {
        let file = file.into();
        match error {
            ParseError::Corrupt { position, reason } => Error::Corrupt { file, position, reason },
            ParseError::Newer { found } => Error::NewerFormat { file, found, known: crate::FORMAT },
        }
    }
}

/// What a person can do about the cause, which itself is the error's source.
fn hint(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match source.kind() {
        K::StorageFull | K::QuotaExceeded => ": the disk is full; make room and run the command again",
        K::ReadOnlyFilesystem => ": the file system is read-only",
        K::PermissionDenied => {
            ": permission denied; the state belongs to another user, or its directory is read-only"
        }
        _ => "",
    }
}
