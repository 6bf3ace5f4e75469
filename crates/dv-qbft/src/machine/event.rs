//! What an instance is made with, what happens to it, and what it wants.

use std::sync::Arc;

use coxswain_dv_types::Root;

use super::{Stall, Unjustified};
use crate::message::{Draft, Message, Nodes};

/// Whether a node takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It votes.
    Active,
    /// It sends nothing, and decides by what others send: after a restart a node does not know what it has said before.
    Observer,
}

/// What an instance is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// All nodes.
    pub nodes: Nodes,
    /// This one, from 0.
    pub me: usize,
    /// Where leaders begin: [`Nodes::leader`].
    pub offset: u64,
    /// Whether it takes part.
    pub mode: Mode,
}

/// What the caller found of a leader's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be prepared.
    Accepted,
    /// It is not what this node sees itself: it is not prepared, and the next leader may come with another one.
    Differs,
    /// It is no value of this duty: it is not prepared.
    Invalid,
}

/// What happens to an instance.
#[derive(Debug, Clone)]
pub enum Event<S> {
    /// It begins. Everything before is ignored.
    Start,
    /// The node has a value; only the first one counts.
    Input(Root),
    /// A message of any node, also of this one.
    Message(Arc<Message<S>>),
    /// The timer with this ticket ran out.
    Timer(u64),
    /// What [`Effect::Compare`] of this round came to.
    Compared {
        /// The round.
        round: u64,
        /// What was found.
        verdict: Verdict,
    },
}

/// What an instance wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<S> {
    /// Sign this, send it to all others, and give it back.
    Broadcast(Draft<S>),
    /// Run a timer in place of the one before.
    SetTimer {
        /// The round it is for.
        round: u64,
        /// Comes back with [`Event::Timer`].
        ticket: u64,
    },
    /// No timer is needed any more.
    StopTimer,
    /// Find out whether this value of the leader may be prepared, and say so with [`Event::Compared`].
    Compare {
        /// The round.
        round: u64,
        /// The root of the value.
        value: Root,
    },
    /// The instance has decided. It goes on to answer nodes that ask.
    Decide {
        /// The root of the value.
        value: Root,
        /// The round.
        round: u64,
        /// Commits of a quorum; what else a DECIDED brought along is among them.
        proof: Vec<Arc<Message<S>>>,
    },
    /// A message was dropped.
    Unjustified {
        /// Whose.
        source: usize,
        /// Why.
        why: Unjustified,
    },
    /// A round ran out.
    Stalled {
        /// Which.
        round: u64,
        /// What it lacked.
        why: Stall,
    },
    /// Another round began.
    Round {
        /// Which.
        round: u64,
        /// Why.
        why: RoundReason,
    },
    /// The instance ended without a decision: the node's own value is empty.
    EmptyInput,
}

/// Why a round began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoundReason {
    /// The timer ran out.
    Timeout,
    /// Its leader proposed.
    PrePrepare,
    /// More nodes than may be faulty are ahead.
    RoundChanges,
    /// It was decided in that round.
    Decided,
}
