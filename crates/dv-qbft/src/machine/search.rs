//! What is found among all messages that are kept, and among those that justify them.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_types::Root;

use super::Instance;
use super::justify::distinct;
use crate::message::{Kind, Message};

/// Round changes of a quorum that let a leader propose.
pub(super) struct JustifiedRoundChanges<S> {
    /// The round changes, and the prepares that they mean.
    pub(super) messages: Vec<Arc<Message<S>>>,
    /// What was prepared last; none where nothing was.
    pub(super) prepared: Option<(u64, Root)>,
}

fn owned<S>(messages: &[&Arc<Message<S>>]) -> Vec<Arc<Message<S>>> {
    messages.iter().map(|message| Arc::clone(message)).collect()
}

impl<S> Instance<S> {
    /// Kept messages and what justifies them, which has no justification itself.
    fn all(&self) -> impl Iterator<Item = &Arc<Message<S>>> {
        let kept = self.buffers.iter().flatten();
        kept.flat_map(|message| std::iter::once(message).chain(&message.justification))
    }

    /// Votes of distinct nodes for a value in a round.
    pub(super) fn votes(&self, kind: Kind, round: u64, value: Root) -> Vec<Arc<Message<S>>> {
        let votes = self
            .all()
            .filter(|message| message.kind == kind && message.round == round && message.value == Some(value));
        owned(&distinct(votes))
    }

    /// The smallest of the rounds that nodes are ahead in, where more are than may be faulty: for each node its highest.
    pub(super) fn round_ahead(&self) -> Option<u64> {
        let mut highest: BTreeMap<usize, u64> = BTreeMap::new();
        for message in self.all().filter(|one| one.kind == Kind::RoundChange && one.round > self.round) {
            let round = highest.entry(message.source).or_default();
            *round = message.round.max(*round);
        }
        let is_enough = highest.len() > self.config.nodes.faulty();
        highest.into_values().min().filter(|_| is_enough)
    }

    /// Round changes of a quorum to this round that let its leader propose.
    pub(super) fn justified_round_changes(&self, round: u64) -> Option<JustifiedRoundChanges<S>> {
        let quorum = self.config.nodes.quorum();
        let changes: Vec<_> =
            self.all().filter(|one| one.kind == Kind::RoundChange && one.round == round).collect();
        let null = distinct(changes.iter().copied().filter(|change| change.is_null()));
        if null.len() >= quorum {
            return Some(JustifiedRoundChanges { messages: owned(&null), prepared: None });
        }
        // The last prepared value first: what was prepared before it cannot have been decided.
        for ((prepared, value), prepares) in self.quorums_of_prepares().into_iter().rev() {
            let exact = |change: &&Arc<Message<S>>| {
                change.prepared_round == prepared && change.prepared_value == Some(value)
            };
            let mut fitting: Vec<_> =
                changes.iter().copied().filter(|change| change.prepared_round <= prepared).collect();
            // Of a node with several round changes the one that shows the value counts.
            fitting.sort_by_key(|change| !exact(change));
            let fitting = distinct(fitting);
            if fitting.len() >= quorum && fitting.iter().any(exact) {
                let messages = owned(&fitting).into_iter().chain(owned(&prepares)).collect();
                return Some(JustifiedRoundChanges { messages, prepared: Some((prepared, value)) });
            }
        }
        None
    }

    /// Prepares of distinct nodes that are a quorum, by round and value.
    fn quorums_of_prepares(&self) -> BTreeMap<(u64, Root), Vec<&Arc<Message<S>>>> {
        let mut sets: BTreeMap<(u64, Root), Vec<&Arc<Message<S>>>> = BTreeMap::new();
        for message in self.all().filter(|message| message.kind == Kind::Prepare) {
            let Some(value) = message.value else { continue };
            let set = sets.entry((message.round, value)).or_default();
            if !set.iter().any(|one| one.source == message.source) {
                set.push(message);
            }
        }
        sets.retain(|_, set| set.len() >= self.config.nodes.quorum());
        sets
    }
}
