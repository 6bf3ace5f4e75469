//! What may be signed, as data: a [`Request`] each, answered by a [`Verdict`].
//!
//! <https://eips.ethereum.org/EIPS/eip-3076>. Who asks keeps nothing; who keeps it signs nothing.

use crate::Root;
use crate::bytes::Bytes48;

/// What a validator is about to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    /// The key whose history counts: the group's.
    pub key: Bytes48,
    /// What.
    pub what: What,
}

/// A message that a validator can be slashed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A block.
    Block {
        /// Its slot.
        slot: u64,
        /// Its signing root.
        root: Root,
    },
    /// An attestation.
    Attestation {
        /// Epoch of the source.
        source: u64,
        /// Epoch of the target.
        target: u64,
        /// Its signing root.
        root: Root,
    },
}

/// The newest of what was signed, of all validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Newest {
    /// The slot of a block.
    pub slot: Option<u64>,
    /// The target of an attestation.
    pub target: Option<u64>,
}

/// What the chain's clock says when something is about to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wall {
    /// The current slot.
    pub slot: u64,
    /// Its epoch.
    pub epoch: u64,
}

/// Whose signature it will be. The two are kept apart: a share signs before the group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signer {
    /// This node's share of the key.
    Share,
    /// The group, put together of enough shares.
    Group,
}

/// Whether it may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and it is kept that it was.
    Recorded,
    /// Yes: the very same was signed before.
    Again,
    /// No.
    Refused(Refusal),
}

/// Why it must not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another block was signed at the slot.
    #[error("another block of slot {slot} is signed already")]
    DoubleBlock {
        /// The slot.
        slot: u64,
    },
    /// Blocks up to a slot are out of the question.
    #[error("blocks up to slot {lowest} are not signed any more")]
    OldBlock {
        /// The last slot that is out of the question.
        lowest: u64,
    },
    /// Another attestation was signed for the target.
    #[error("another attestation with the target epoch {target} is signed already")]
    DoubleVote {
        /// The target.
        target: u64,
    },
    /// It would surround one that was signed.
    #[error("it surrounds the signed attestation {source_epoch} to {target}")]
    Surrounds {
        /// Source of the signed one.
        source_epoch: u64,
        /// Target of the signed one.
        target: u64,
    },
    /// One that was signed surrounds it.
    #[error("the signed attestation {source_epoch} to {target} surrounds it")]
    Surrounded {
        /// Source of the signed one.
        source_epoch: u64,
        /// Target of the signed one.
        target: u64,
    },
    /// Attestations with a source before an epoch are out of the question.
    #[error("attestations with a source before epoch {lowest} are not signed any more")]
    OldSource {
        /// The first source that may be.
        lowest: u64,
    },
    /// Attestations up to a target are out of the question.
    #[error("attestations with a target up to epoch {lowest} are not signed any more")]
    OldTarget {
        /// The last target that is out of the question.
        lowest: u64,
    },
    /// The source is not before the target, and they are not both the genesis epoch.
    #[error("its source is not before its target")]
    Backwards,
    /// It is further in the future than a clock is wrong.
    #[error("it is of the future: the clock says {now}")]
    Future {
        /// The slot or epoch of the clock.
        now: u64,
    },
    /// The key is not known to this store.
    #[error("the key has no history here")]
    UnknownKey,
    /// The store knows the key and not what it signed before: nothing was imported, and nobody said where to start.
    #[error("what the key signed before is not known, and no start was set")]
    NotStarted,
}
