//! What a round lacked that ran out: the first question of whoever looks for the fault.

use super::Instance;
use crate::message::Kind;

/// What a round lacked. Nodes count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stall {
    /// Too few nodes gave the round before up, as far as this node heard.
    #[error("too few round changes came: none of nodes {missing:?}")]
    RoundChanges {
        /// Of whom there was none.
        missing: Vec<usize>,
    },
    /// Its leader proposed nothing.
    #[error("node {leader}, which leads it, proposed nothing")]
    NoProposal {
        /// The leader.
        leader: usize,
    },
    /// Too few nodes voted for the value.
    #[error("too few prepares came: none of nodes {missing:?}")]
    Prepares {
        /// Of whom there was none.
        missing: Vec<usize>,
    },
    /// Too few nodes saw a quorum of votes.
    #[error("too few commits came: none of nodes {missing:?}")]
    Commits {
        /// Of whom there was none.
        missing: Vec<usize>,
    },
    /// Enough came of everything, for different values or after the round.
    #[error("enough of everything came, but not for one value, or too late")]
    Split,
}

impl<S> Instance<S> {
    /// What the current round lacks.
    #[must_use]
    pub fn stall(&self) -> Stall {
        let leader = self.config.nodes.leader(self.config.offset, self.round);
        let has_proposal = !self.missing(Kind::PrePrepare).contains(&leader);
        let lacks = |kind| Some(self.missing(kind)).filter(|missing| self.is_short(missing));
        if let (false, true, Some(missing)) = (has_proposal, self.round > 1, lacks(Kind::RoundChange)) {
            Stall::RoundChanges { missing }
        } else if !has_proposal {
            Stall::NoProposal { leader }
        } else if let Some(missing) = lacks(Kind::Prepare) {
            Stall::Prepares { missing }
        } else if let Some(missing) = lacks(Kind::Commit) {
            Stall::Commits { missing }
        } else {
            Stall::Split
        }
    }

    /// Nodes of whom there is no message of a kind in this round.
    fn missing(&self, kind: Kind) -> Vec<usize> {
        let has = |node: &usize| {
            let kept = self.buffers.get(*node).into_iter().flatten();
            kept.into_iter().any(|message| message.kind == kind && message.round == self.round)
        };
        (0..self.config.nodes.count).filter(|node| !has(node)).collect()
    }

    fn is_short(&self, missing: &[usize]) -> bool {
        self.config.nodes.count.saturating_sub(missing.len()) < self.config.nodes.quorum()
    }
}
