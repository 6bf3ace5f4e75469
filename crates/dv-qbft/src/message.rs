//! Messages of QBFT as the algorithm sees them.

use std::fmt;
use std::sync::Arc;

use coxswain_dv_types::Root;

/// What a message says. The numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The leader of a round proposes a value.
    PrePrepare = 1,
    /// A node takes the value of the leader.
    Prepare = 2,
    /// A node saw a quorum of prepares.
    Commit = 3,
    /// A node gave a round up.
    RoundChange = 4,
    /// A node decided, and shows why.
    Decided = 5,
}

impl Kind {
    /// The kind of a number of the wire.
    #[must_use]
    pub fn of(number: i64) -> Option<Kind> {
        const ALL: [Kind; 5] =
            [Kind::PrePrepare, Kind::Prepare, Kind::Commit, Kind::RoundChange, Kind::Decided];
        ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number on the wire.
    #[must_use]
    pub fn number(self) -> i64 {
        self as i64
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::PrePrepare => "pre_prepare",
            Kind::Prepare => "prepare",
            Kind::Commit => "commit",
            Kind::RoundChange => "round_change",
            Kind::Decided => "decided",
        })
    }
}

/// A message of a node whose signature was checked. `S` is its signed form, which goes along when it justifies another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<S> {
    /// What it says.
    pub kind: Kind,
    /// The node, from 0.
    pub source: usize,
    /// The round, from 1.
    pub round: u64,
    /// The root of the value; none where it is zero.
    pub value: Option<Root>,
    /// The round that the node has prepared; 0 for none.
    pub prepared_round: u64,
    /// The root of the value that the node has prepared.
    pub prepared_value: Option<Root>,
    /// Messages of other nodes, which have none themselves.
    pub justification: Vec<Arc<Message<S>>>,
    /// Its signed form.
    pub sealed: S,
}

impl<S> Message<S> {
    /// Whether the node says the same with both. What justifies them is not signed along with them, so anyone who
    /// passes a message on can change it: it must not make another message.
    #[must_use]
    pub fn says_the_same(&self, other: &Message<S>) -> bool {
        let key = |message: &Message<S>| {
            (
                message.kind,
                message.source,
                message.round,
                message.value,
                message.prepared_round,
                message.prepared_value,
            )
        };
        key(self) == key(other)
    }

    /// Whether the node has prepared nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.prepared_round == 0 && self.prepared_value.is_none()
    }
}

/// A message of this node before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft<S> {
    /// What it says.
    pub kind: Kind,
    /// The round.
    pub round: u64,
    /// The root of the value.
    pub value: Option<Root>,
    /// The round that this node has prepared; 0 for none.
    pub prepared_round: u64,
    /// The root of the value that this node has prepared.
    pub prepared_value: Option<Root>,
    /// What justifies it.
    pub justification: Vec<Arc<Message<S>>>,
}

impl<S> Draft<S> {
    /// The message of node `source`, signed.
    #[must_use]
    pub fn seal(self, source: usize, sealed: S) -> Message<S> {
        Message {
            kind: self.kind,
            source,
            round: self.round,
            value: self.value,
            prepared_round: self.prepared_round,
            prepared_value: self.prepared_value,
            justification: self.justification,
            sealed,
        }
    }
}

/// How many nodes there are, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    /// How many; at least one.
    pub count: usize,
}

impl Nodes {
    /// Votes that decide: two thirds, rounded up.
    #[must_use]
    pub fn quorum(self) -> usize {
        self.count.saturating_mul(2).div_ceil(3)
    }

    /// How many may be faulty: less than a third.
    #[must_use]
    pub fn faulty(self) -> usize {
        self.count.saturating_sub(1) / 3
    }

    /// Who leads a round of an instance whose leaders begin at `offset`: for duties, slot and type together.
    #[must_use]
    pub fn leader(self, offset: u64, round: u64) -> usize {
        let count = u128::try_from(self.count.max(1)).unwrap_or(1);
        let sum = u128::from(offset).saturating_add(u128::from(round));
        usize::try_from(sum.checked_rem(count).unwrap_or(0)).unwrap_or(0)
    }
}
