//! Where a state is kept, in plain operations; the algorithm is in [`crate::Store`], once for all of them.

mod local;
mod names;
mod remote;

use std::any::Any;

use crate::error::{Error, Owner};

pub use local::{Disk, LocalBackend, Locked, RealDisk};
pub use remote::{Dial, KEEPER_COMMAND, Line, RemoteBackend};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The state as of its serial.
    Snapshot,
    /// What happened since.
    Journal,
    /// The key of keyed digests.
    DigestKey,
    /// The list of what is not to be committed to git.
    Ignore,
    /// The snapshot with this serial, when a later one took its place.
    Past(u64),
    /// The journal that went on from the snapshot with this serial.
    PastJournal(u64),
    /// A damaged snapshot that the restored one with this serial replaced.
    DamagedSnapshot(u64),
    /// A damaged journal that was there when the snapshot with this serial was restored.
    DamagedJournal(u64),
}

/// The lock, as long as this is not dropped.
pub struct Guard {
    _held: Box<dyn Any + Send>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    /// A lock that is released when `held` is dropped.
    pub fn new(held: impl Any + Send) -> Guard {
        Guard { _held: Box::new(held) }
    }
}

/// A place for one state.
///
/// Every write is durable when it returns. Writes happen under the lock only; reads also without it.
pub trait Backend: Send + Sync {
    /// The place, for people.
    fn place(&self) -> String;

    /// The name of a file, for people.
    fn show(&self, name: Name) -> String;

    /// The content, `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be told.
    fn read(&self, name: Name) -> Result<Option<Vec<u8>>, Error>;

    /// Puts the content in place of the former one: whole or not at all, also through a crash.
    ///
    /// # Errors
    /// When it may not be durable; the former content or the new one is there.
    fn write_atomic(&self, name: Name, bytes: &[u8]) -> Result<(), Error>;

    /// Cuts the content to its first `at` bytes and appends. A crash leaves these and a beginning of `bytes`.
    ///
    /// # Errors
    /// When it may not be durable. The same call may be tried again.
    fn append_sync(&self, name: Name, at: u64, bytes: &[u8]) -> Result<(), Error>;

    /// What is kept of earlier states, in order.
    ///
    /// # Errors
    /// When it cannot be told.
    fn list_past(&self) -> Result<Vec<Name>, Error>;

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// When it may still be there.
    fn remove(&self, name: Name) -> Result<(), Error>;

    /// Takes the lock, without waiting for it.
    ///
    /// # Errors
    /// [`Error::Busy`] when another holds it.
    fn lock(&self, owner: &Owner) -> Result<Guard, Error>;
}
