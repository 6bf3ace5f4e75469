//! Why a ceremony cannot go on, and whose fault it is. No message holds bytes of a secret.

use std::fmt;

use coxswain_dv_crypto::bls::BlsError;

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// First round, to all.
    Casts,
    /// First round, to one.
    Shares,
    /// Second round, to all.
    Round2,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Casts => "the commitments of round 1",
            Self::Shares => "the shares of round 1",
            Self::Round2 => "the public shares of round 2",
        })
    }
}

/// Which number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Of the proof of knowledge.
    Proof,
    /// A commitment.
    Commitment,
    /// A share.
    Share,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proof => "proof of knowledge",
            Self::Commitment => "commitment",
            Self::Share => "share",
        })
    }
}

/// What is wrong with an entry of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Made by another node than the one that sent it.
    #[error("it says that it is from the node with share index {found}")]
    Source {
        /// Whom it says it is from.
        found: u32,
    },
    /// For another.
    #[error("it is for share index {found}, not for {expected}")]
    Target {
        /// Whom it says it is for.
        found: u32,
        /// Us, or 0 for all.
        expected: u32,
    },
    /// No such validator.
    #[error("there are only {validators} validators, counted from 0")]
    Validator {
        /// How many there are.
        validators: usize,
    },
    /// The validator is not in the message.
    #[error("it is not in the message")]
    Missing,
    /// The validator is in the message more than once.
    #[error("it is in the message twice")]
    Twice,
    /// Another degree.
    #[error("it has {found} commitments, and the threshold is {threshold}")]
    Commitments {
        /// How many there are.
        found: usize,
        /// How many there should be.
        threshold: usize,
    },
    /// A value of the polynomial at another place than ours.
    #[error("the share is that of index {found}, not of {expected}")]
    ShareId {
        /// What it says.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Bytes that are no such number or point.
    #[error("the {number} cannot be read: {why}")]
    Encoding {
        /// Which.
        number: Number,
        /// Why not.
        why: BlsError,
    },
    /// The dealer does not know the secret that it committed to.
    #[error("the proof of knowledge does not verify")]
    Proof,
    /// The share is not the one of the polynomial.
    #[error("the share does not fit the commitments")]
    Share,
    /// Another key than all commitments give.
    #[error("the validator key is not the sum of all commitments")]
    GroupKey,
    /// Another public share than all commitments give.
    #[error("the public share does not fit the sum of all commitments")]
    PublicShare,
}

/// Why a ceremony cannot go on. Fields have share indices, from 1; texts have places, from 0, as all texts about nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrostError {
    /// A peer sent what must not be: it is broken, or lies.
    #[error("node {}: {kind}{}: {fault}", place(*from), of_validator(*validator))]
    Peer {
        /// Its share index.
        from: u64,
        /// In which message.
        kind: Kind,
        /// About which validator, from 0; none where it is about no one.
        validator: Option<u32>,
        /// What is wrong.
        fault: Fault,
    },
    /// The driver brought a message of someone who has no part in this.
    #[error("share index {from} is no other node of this ceremony")]
    Stranger {
        /// Who it was.
        from: u64,
    },
    /// Time is over, and these messages did not come.
    #[error("no longer waiting for {}", list(missing))]
    Late {
        /// Share indices and what is missing; empty where only our own work was.
        missing: Vec<(u64, Kind)>,
    },
    /// Numbers of our own, or the sum of all: by chance, as good as never; by a computer that errs.
    #[error("this node's own numbers: {why}")]
    Own {
        /// What is wrong.
        why: BlsError,
    },
    /// Our share of the sum is not what the public shares say, though each part of it was: a computer that errs.
    #[error("this node's own share of validator {validator} does not fit its public share")]
    OwnShare {
        /// From 0.
        validator: usize,
    },
}

impl FrostError {
    pub(super) fn peer(from: u64, kind: Kind, validator: Option<u32>, fault: Fault) -> Self {
        Self::Peer { from, kind, validator, fault }
    }

    /// The share index of whose fault it is, where one node's alone.
    #[must_use]
    pub fn culprit(&self) -> Option<u64> {
        match self {
            Self::Peer { from, .. } => Some(*from),
            Self::Stranger { .. } | Self::Late { .. } | Self::Own { .. } | Self::OwnShare { .. } => None,
        }
    }
}

/// Nodes are named by their places, which count from 0.
fn place(share_index: u64) -> u64 {
    share_index.saturating_sub(1)
}

fn of_validator(validator: Option<u32>) -> String {
    validator.map(|validator| format!(", validator {validator}")).unwrap_or_default()
}

fn list(missing: &[(u64, Kind)]) -> String {
    if missing.is_empty() {
        return "this node's own work".to_owned();
    }
    let one = |(index, kind): &(u64, Kind)| format!("{kind} of node {}", place(*index));
    missing.iter().map(one).collect::<Vec<_>>().join(", ")
}
