//! What the preferences of all nodes come to, and what a running cluster does with it.
//!
//! ```text
//! Preferences ─topics─→ PriorityMsg of each node ─result_of─→ PriorityResult ─consensus─→ Agreed
//! ```
//!
//! In the last slot of each epoch every node tells the others which versions, protocols and kinds of proposals it works
//! with. Each computes a result of the messages that it has and proposes it; the decided one counts, also for a node that
//! has computed another.
//!
//! # What must never happen
//!
//! - The result depends on the order in which messages came: they are taken in the order of the ids of their nodes.
//! - A node speaks for another one: [`check`] ties a message to who sent it and to the key in the id.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use coxswain_dv_crypto::k1::{IdentityKey, K1Error, verify65};
use coxswain_dv_types::Root;

use crate::message::{encode, shown};
use crate::peer::PeerId;
use crate::priority::{
    Duty, PriorityMsg, PriorityResult, PriorityScoredResult, PriorityTopicProposal, PriorityTopicResult,
};
use crate::protocol::{PARSIGEX, PEERINFO, PRIORITY, PRIORITY_LEGACY, QBFT};
use crate::root::bytes_root;
use crate::version::{Minor, SUPPORTED, Version};
use crate::well_known::{Any, TextValue};

/// The type of the duty under which preferences are told and decided.
pub const DUTY_INFO_SYNC: i32 = 13;
/// What the first priority of a topic counts; each further one counts one less. So many priorities are too many.
const FULL_SCORE: usize = 1000;
/// Longest text of a topic or a priority that is read, with its tags: ids and versions have some 30 bytes.
const MAX_TEXT: usize = 1024;

const VERSION: &str = "version";
const PROTOCOL: &str = "protocol";
const PROPOSAL: &str = "proposal";
/// From this version on, nodes read several sync contributions of one validator in one message.
const LISTS_FROM: Minor = Minor { major: 1, minor: 11 };

/// A way to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProposalType {
    /// Of a builder.
    Builder,
    /// Made up, for tests of load.
    Synthetic,
    /// Of the node's own beacon node.
    Full,
}

impl ProposalType {
    /// As it goes over the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ProposalType::Builder => "builder",
            ProposalType::Synthetic => "synthetic",
            ProposalType::Full => "full",
        }
    }
}

/// What a node works with, what it likes best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Minor versions of charon.
    pub versions: Vec<Minor>,
    /// Ids of protocols.
    pub protocols: Vec<String>,
    /// Ways to a block; the last one is always [`ProposalType::Full`].
    pub proposals: Vec<ProposalType>,
}

impl Preferences {
    /// What this node works with, of versions up to the one that it reports: a cluster must not agree on one that an
    /// operator holds back. Before [`ProposalType::Full`], these ways to a block, in their order.
    #[must_use]
    pub fn of_node(reported: Minor, before_full: &[ProposalType]) -> Preferences {
        let mut proposals: Vec<ProposalType> =
            before_full.iter().copied().filter(|proposal| *proposal != ProposalType::Full).collect();
        proposals.sort_unstable();
        proposals.dedup();
        proposals.push(ProposalType::Full);
        let spoken = [&QBFT, &PARSIGEX, &PEERINFO, &PRIORITY, &PRIORITY_LEGACY];
        Preferences {
            versions: SUPPORTED.into_iter().filter(|minor| *minor <= reported).collect(),
            protocols: spoken.into_iter().map(|protocol| protocol.id.to_owned()).collect(),
            proposals,
        }
    }

    /// As topics of a message.
    #[must_use]
    pub fn topics(&self) -> Vec<PriorityTopicProposal> {
        fn topic<T: AsRef<str>>(name: &str, texts: impl Iterator<Item = T>) -> PriorityTopicProposal {
            PriorityTopicProposal {
                topic: Some(TextValue::pack(name)),
                priorities: texts.map(|text| TextValue::pack(text.as_ref())).collect(),
            }
        }
        vec![
            topic(VERSION, self.versions.iter().map(ToString::to_string)),
            topic(PROTOCOL, self.protocols.iter()),
            topic(PROPOSAL, self.proposals.iter().map(|proposal| proposal.name())),
        ]
    }

    /// As the signed message of a node for the last slot of an epoch.
    #[must_use]
    pub fn message(&self, slot: u64, key: &IdentityKey) -> PriorityMsg {
        let mut message = PriorityMsg {
            duty: Some(Duty { slot, r#type: DUTY_INFO_SYNC }),
            topics: self.topics(),
            peer_id: PeerId::of(&key.public()).to_string(),
            signature: Vec::new(),
        };
        message.signature = key.sign(&message.signing_root()).to_vec();
        message
    }
}

/// Why a node's message is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriorityError {
    /// It names somebody else than who sent it.
    #[error("{sender} sent preferences in the name of {named:?}")]
    Sender {
        /// Who sent it.
        sender: String,
        /// Whom it names, cut short where it is long.
        named: String,
    },
    /// It is not signed by that node.
    #[error("the preferences of {sender} are not signed by its key")]
    Signature {
        /// Who sent it.
        sender: String,
        /// Why not.
        source: K1Error,
    },
    /// No result could be computed with it.
    #[error("the preferences of {sender} contradict themselves")]
    Content {
        /// Who sent it.
        sender: String,
        /// Why not.
        source: ResultError,
    },
}

/// Checks a message that this peer sent or answered. One that would spoil the result of all is dropped as well, which others
/// do not do.
///
/// # Errors
/// [`PriorityError`].
pub fn check(message: &PriorityMsg, sender: &PeerId) -> Result<(), PriorityError> {
    if message.peer_id != sender.to_string() {
        return Err(PriorityError::Sender { sender: sender.to_string(), named: shown(&message.peer_id) });
    }
    verify65(sender.public(), &message.signing_root(), &message.signature)
        .map_err(|source| PriorityError::Signature { sender: sender.to_string(), source })?;
    let alone = result_of(std::slice::from_ref(message), 1);
    alone.map(drop).map_err(|source| PriorityError::Content { sender: sender.to_string(), source })
}

/// Why messages come to no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// There are none.
    #[error("there are no preferences of any node")]
    Nothing,
    /// They are for several duties.
    #[error("preferences of {node:?} are for another duty than those of others")]
    Duty {
        /// The id of the node, cut short where it is long.
        node: String,
    },
    /// A node speaks twice.
    #[error("there are two messages with the preferences of {node:?}")]
    Node {
        /// The id of the node, cut short where it is long.
        node: String,
    },
    /// A node has two opinions on a topic.
    #[error("preferences of {node:?} name a topic twice")]
    Topic {
        /// The id of the node, cut short where it is long.
        node: String,
    },
    /// A node names a priority twice.
    #[error("preferences of {node:?} name a priority twice in one topic")]
    Priority {
        /// The id of the node, cut short where it is long.
        node: String,
    },
    /// A node has too many opinions.
    #[error(
        "preferences of {node:?} name {count} priorities in one topic, and fewer than {FULL_SCORE} are read"
    )]
    TooMany {
        /// The id of the node, cut short where it is long.
        node: String,
        /// How many.
        count: usize,
    },
}

/// A topic while scores are added up.
struct Tally {
    topic: Any,
    /// In the order in which they were first seen.
    priorities: Vec<PriorityScoredResult>,
    places: BTreeMap<Root, usize>,
}

/// What these messages come to: priorities that at least `min_required` nodes share, by their scores.
///
/// # Errors
/// [`ResultError`]. Of messages that passed [`check`] it can only be one that is for another duty or comes twice.
pub fn result_of(messages: &[PriorityMsg], min_required: usize) -> Result<PriorityResult, ResultError> {
    let mut ordered: Vec<&PriorityMsg> = messages.iter().collect();
    ordered.sort_by(|a, b| a.peer_id.as_bytes().cmp(b.peer_id.as_bytes()));
    let first = ordered.first().ok_or(ResultError::Nothing)?;
    let node = |message: &PriorityMsg| shown(&message.peer_id);
    if let Some(other) = ordered.iter().find(|message| message.duty != first.duty) {
        return Err(ResultError::Duty { node: node(other) });
    }
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].peer_id == pair[1].peer_id) {
        return Err(ResultError::Node { node: node(pair[0]) });
    }
    let mut tallies: BTreeMap<Root, Tally> = BTreeMap::new();
    for message in ordered {
        let mut seen = Vec::new();
        for proposal in &message.topics {
            let topic = proposal.topic.clone().unwrap_or_default();
            let root = any_root(&topic);
            if seen.contains(&root) {
                return Err(ResultError::Topic { node: node(message) });
            }
            seen.push(root);
            let tally = tallies.entry(root).or_insert(Tally {
                topic,
                priorities: Vec::new(),
                places: BTreeMap::new(),
            });
            tally.add(&proposal.priorities, message)?;
        }
    }
    // More than this many nodes but one could give together.
    let above = min_required.saturating_sub(1).saturating_mul(FULL_SCORE);
    let topics = tallies.into_values().map(|tally| tally.result(above)).collect();
    Ok(PriorityResult { msgs: messages.to_vec(), topics })
}

fn any_root(any: &Any) -> Root {
    bytes_root(&encode(any))
}

impl Tally {
    fn add(&mut self, priorities: &[Any], message: &PriorityMsg) -> Result<(), ResultError> {
        if priorities.len() >= FULL_SCORE {
            return Err(ResultError::TooMany { node: shown(&message.peer_id), count: priorities.len() });
        }
        let mut seen = BTreeMap::new();
        for (position, priority) in priorities.iter().enumerate() {
            let root = any_root(priority);
            if seen.insert(root, ()).is_some() {
                return Err(ResultError::Priority { node: shown(&message.peer_id) });
            }
            let place = match self.places.entry(root) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let scored = PriorityScoredResult { priority: Some(priority.clone()), score: 0 };
                    self.priorities.push(scored);
                    *new.insert(self.priorities.len() - 1)
                }
            };
            // Fewer than a thousand: it fits.
            self.priorities[place].score += i64::try_from(FULL_SCORE - position).unwrap_or_default();
        }
        Ok(())
    }

    fn result(self, above: usize) -> PriorityTopicResult {
        let above = i64::try_from(above).unwrap_or(i64::MAX);
        let mut priorities = self.priorities;
        priorities.retain(|scored| scored.score > above);
        // Stable: of equal ones the first seen stays first.
        priorities.sort_by_key(|scored| std::cmp::Reverse(scored.score));
        PriorityTopicResult { topic: Some(self.topic), priorities }
    }
}

/// What a cluster has agreed on. What is not a text is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Versions; those of others may be unreadable.
    pub versions: Vec<String>,
    /// Ids of protocols, what the cluster likes best first.
    pub protocols: Vec<String>,
    /// Ways to a block.
    pub proposals: Vec<String>,
}

impl Agreed {
    /// Reads a result.
    #[must_use]
    pub fn read(result: &PriorityResult) -> Agreed {
        let of = |name: &str| {
            let topic =
                result.topics.iter().find(|topic| text_of(topic.topic.as_ref()).as_deref() == Some(name));
            let priorities = topic.map(|topic| topic.priorities.as_slice()).unwrap_or_default();
            priorities.iter().filter_map(|scored| text_of(scored.priority.as_ref())).collect()
        };
        Agreed { versions: of(VERSION), protocols: of(PROTOCOL), proposals: of(PROPOSAL) }
    }

    /// Whether all nodes read several sync contributions of one validator in one message: a version from v1.11 on is
    /// agreed, also as a pre-release.
    #[must_use]
    pub fn lists_contributions(&self) -> bool {
        self.is_at_least(LISTS_FROM)
    }

    /// Whether an agreed version is at least this one. Versions that cannot be read do not count.
    #[must_use]
    pub fn is_at_least(&self, minor: Minor) -> bool {
        self.versions
            .iter()
            .filter_map(|text| Version::parse(text).ok())
            .any(|version| version.minor() >= minor)
    }

    /// Whether a way to a block is agreed.
    #[must_use]
    pub fn has_proposal(&self, proposal: ProposalType) -> bool {
        self.proposals.iter().any(|name| name == proposal.name())
    }
}

fn text_of(any: Option<&Any>) -> Option<String> {
    TextValue::unpack(any?, MAX_TEXT).ok()
}
