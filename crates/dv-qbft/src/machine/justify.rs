//! What a message must bring along to count.

use std::sync::Arc;

use super::Instance;
use crate::message::{Kind, Message};

/// Why a message does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unjustified {
    /// It proposes, and another node leads the round.
    #[error("a pre_prepare of round {round}, which node {leader} leads")]
    NotLeader {
        /// The round.
        round: u64,
        /// Who leads it.
        leader: usize,
    },
    /// It proposes nothing.
    #[error("a pre_prepare of round {round} without a value")]
    NoValue {
        /// The round.
        round: u64,
    },
    /// It proposes in a later round, and its round changes or their prepares are too few or do not fit.
    #[error("a pre_prepare of round {round} that no quorum of round changes allows")]
    PrePrepare {
        /// The round.
        round: u64,
    },
    /// It says that something is prepared, and its prepares are too few or do not fit.
    #[error("a round_change to {round} whose prepared value no quorum of prepares shows")]
    RoundChange {
        /// The round.
        round: u64,
    },
    /// It says that something is decided, and its commits are too few or do not fit.
    #[error("a decided of round {round} that no quorum of commits shows")]
    Decided {
        /// The round.
        round: u64,
    },
}

/// The first message of each source among these.
pub(super) fn distinct<'a, S: 'a>(
    messages: impl IntoIterator<Item = &'a Arc<Message<S>>>,
) -> Vec<&'a Arc<Message<S>>> {
    let mut found: Vec<&Arc<Message<S>>> = Vec::new();
    for message in messages {
        if !found.iter().any(|one| one.source == message.source) {
            found.push(message);
        }
    }
    found
}

impl<S> Instance<S> {
    /// Whether a message counts.
    pub(super) fn justified(&self, message: &Message<S>) -> Result<(), Unjustified> {
        let round = message.round;
        match message.kind {
            Kind::Prepare | Kind::Commit => Ok(()),
            Kind::RoundChange if self.is_round_change_justified(message) => Ok(()),
            Kind::RoundChange => Err(Unjustified::RoundChange { round }),
            Kind::Decided if self.is_decided_justified(message) => Ok(()),
            Kind::Decided => Err(Unjustified::Decided { round }),
            Kind::PrePrepare => self.pre_prepare_justified(message),
        }
    }

    fn is_round_change_justified(&self, message: &Message<S>) -> bool {
        if message.justification.is_empty() {
            return message.is_null();
        }
        let prepares = &message.justification;
        let fits = |prepare: &Arc<Message<S>>| {
            prepare.kind == Kind::Prepare
                && prepare.round == message.prepared_round
                && prepare.value == message.prepared_value
        };
        message.prepared_value.is_some()
            && prepares.iter().all(fits)
            && distinct(prepares).len() == prepares.len()
            && prepares.len() >= self.config.nodes.quorum()
    }

    fn is_decided_justified(&self, message: &Message<S>) -> bool {
        let commits = message.justification.iter().filter(|commit| {
            commit.kind == Kind::Commit && commit.round == message.round && commit.value == message.value
        });
        message.value.is_some() && distinct(commits).len() >= self.config.nodes.quorum()
    }

    fn pre_prepare_justified(&self, message: &Message<S>) -> Result<(), Unjustified> {
        let round = message.round;
        let leader = self.config.nodes.leader(self.config.offset, round);
        if message.source != leader {
            return Err(Unjustified::NotLeader { round, leader });
        }
        if message.value.is_none() {
            return Err(Unjustified::NoValue { round });
        }
        // With `differed` at 0 this is round 1. A quorum whose prepared value differs from ours gets a new proposal.
        let is_free = round == 1 || round == self.differed.saturating_add(1);
        if is_free || self.is_proposal_allowed(message) {
            Ok(())
        } else {
            Err(Unjustified::PrePrepare { round })
        }
    }

    /// Whether a quorum of round changes lets the leader propose this value: any, where nothing was prepared; else the
    /// one that was prepared last.
    fn is_proposal_allowed(&self, message: &Message<S>) -> bool {
        let quorum = self.config.nodes.quorum();
        let changes = message
            .justification
            .iter()
            .filter(|change| change.kind == Kind::RoundChange && change.round == message.round);
        let changes = distinct(changes);
        if changes.len() < quorum {
            return false;
        }
        if changes.iter().all(|change| change.is_null()) {
            return true;
        }
        let prepares: Vec<_> =
            message.justification.iter().filter(|prepare| prepare.kind == Kind::Prepare).collect();
        let Some(first) = prepares.first() else { return false };
        let (round, value) = (first.round, first.value);
        let is_one_set = prepares.iter().all(|prepare| (prepare.round, prepare.value) == (round, value))
            && distinct(prepares.iter().copied()).len() == prepares.len();
        is_one_set
            && prepares.len() >= quorum
            && changes.iter().all(|change| change.prepared_round <= round)
            && changes.iter().any(|change| (change.prepared_round, change.prepared_value) == (round, value))
            && message.value == value
    }
}
