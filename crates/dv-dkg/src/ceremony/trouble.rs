//! Why a ceremony failed. Places count from 0, in the order of operators.

use std::time::Duration;

use coxswain_dv_wire::message::WireError;

use super::job::WorkError;
use crate::broadcast::BroadcastError;
use crate::exchange::ExchangeError;
use crate::frost::FrostError;
use crate::frost_messages::Length;
use crate::pedersen::PedersenError;
use crate::sync::SyncError;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Barriers.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Broadcasts.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// Keys.
    #[error(transparent)]
    Frost(#[from] FrostError),
    /// Keys by Pedersen.
    #[error(transparent)]
    Pedersen(#[from] PedersenError),
    /// Partial signatures.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// Signatures and the lock.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// A message that is none.
    #[error("node {place} sent something on {protocol} that is no message of it: {source}")]
    Message {
        /// Who.
        place: usize,
        /// Over what.
        protocol: &'static str,
        /// What is wrong with it.
        source: WireError,
    },
    /// A number in a message that is none.
    #[error("node {place} sent numbers of the wrong length: {source}")]
    Length {
        /// Who.
        place: usize,
        /// Which.
        source: Length,
    },
    /// A message of ours did not arrive.
    #[error("node {place} did not take {what}: {why}")]
    NotDelivered {
        /// Who.
        place: usize,
        /// What it was.
        what: String,
        /// Why not.
        why: String,
    },
    /// Nobody waits for ever.
    #[error("{}: after {} s there is still nothing from {}", waiting, limit.as_secs(), places(missing))]
    Late {
        /// What was waited for.
        waiting: &'static str,
        /// Who is missing.
        missing: Vec<usize>,
        /// How long.
        limit: Duration,
    },
    /// A node signature.
    #[error("node {place} sent no signature of its own over the new lock: it made another one, or lies")]
    NodeSignature {
        /// Who.
        place: usize,
    },
    /// Writing beside its place; nobody can have put anything in place then.
    #[error("storing the keys: {0}")]
    Write(String),
    /// It was stopped when its files were in place, or on their way there.
    #[error("this node was stopped before all nodes had said that their keys are in place")]
    Stopped,
    /// Storing.
    #[error("storing the keys: {0}")]
    Store(String),
}

impl Failure {
    /// How little this says about who is to blame: a node that is silent, or that gives up, may have its reasons. 0 is
    /// evidence.
    pub(super) fn doubtful(&self) -> u8 {
        match self {
            Failure::NotDelivered { .. } => 2,
            Failure::Sync(SyncError::Refused { .. }) => 1,
            _ => 0,
        }
    }

    /// The nodes that this is about.
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        match self {
            Failure::Sync(
                SyncError::Version { place, .. }
                | SyncError::Definition { place }
                | SyncError::Step { place, .. }
                | SyncError::Ahead { place, .. }
                | SyncError::Refused { place, .. },
            )
            | Failure::Broadcast(
                BroadcastError::Id { place, .. }
                | BroadcastError::Type { place, .. }
                | BroadcastError::Twofold { place, .. }
                | BroadcastError::Signature { place, .. }
                | BroadcastError::Count { place, .. },
            )
            | Failure::Exchange(
                ExchangeError::Kind { place, .. }
                | ExchangeError::Share { place, .. }
                | ExchangeError::Content { place, .. }
                | ExchangeError::Twofold { place, .. }
                | ExchangeError::TooMany { place, .. },
            )
            | Failure::Work(WorkError::Validators { place, .. } | WorkError::Partial { place, .. })
            | Failure::Message { place, .. }
            | Failure::Length { place, .. }
            | Failure::NotDelivered { place, .. }
            | Failure::NodeSignature { place } => vec![*place],
            Failure::Late { missing, .. } => missing.clone(),
            Failure::Frost(error) => error
                .culprit()
                .and_then(|index| usize::try_from(index).ok()?.checked_sub(1))
                .into_iter()
                .collect(),
            Failure::Pedersen(PedersenError::Late { missing, .. }) => {
                missing.iter().filter_map(|place| usize::try_from(*place).ok()).collect()
            }
            Failure::Pedersen(error) => {
                error.culprit().and_then(|place| usize::try_from(place).ok()).into_iter().collect()
            }
            Failure::Work(_) | Failure::Store(_) | Failure::Write(_) | Failure::Stopped => Vec::new(),
        }
    }
}

fn places(missing: &[usize]) -> String {
    match missing {
        [] => "this node's own work".to_owned(),
        missing => {
            let names: Vec<String> = missing.iter().map(|place| format!("node {place}")).collect();
            names.join(", ")
        }
    }
}
