//! What consensus is told, and what it wants.

use std::sync::Arc;

use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::message::WireError;
use coxswain_dv_wire::well_known::Any;

use crate::debugger::Record;
use crate::machine::{RoundReason, Stall, Verdict};
use crate::refusal::Refusal;
use crate::value::Value;

/// What happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// This node has a value for a duty.
    Propose {
        /// The duty.
        duty: Duty,
        /// An `UnsignedDataSet` or a `PriorityResult`.
        value: Any,
    },
    /// A duty begins, and this node has no value yet.
    Participate {
        /// The duty.
        duty: Duty,
    },
    /// A message of a peer.
    Received {
        /// The peer whose connection it came by.
        from: usize,
        /// The message, without its length.
        bytes: Vec<u8>,
    },
    /// What [`Effect::Check`] came to.
    Checked {
        /// The duty.
        duty: Duty,
        /// The round.
        round: u64,
        /// What was found.
        verdict: Verdict,
    },
    /// It is [`next_wake`](super::Consensus::next_wake).
    Wake,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this to a peer; all peers get the same bytes.
    Send {
        /// The peer.
        to: usize,
        /// The duty that it is about.
        duty: Duty,
        /// The message, without its length.
        message: Arc<Vec<u8>>,
    },
    /// Find out whether this node may vote for the value of a leader, and say so with [`Event::Checked`]. Without an
    /// answer it does not vote in this round.
    Check {
        /// The duty.
        duty: Duty,
        /// The round.
        round: u64,
        /// Whose value it is.
        leader: usize,
        /// The value.
        value: Arc<Value>,
    },
    /// The cluster agreed.
    Decided(Decision),
    /// The deadline came first.
    TimedOut {
        /// The duty.
        duty: Duty,
        /// The last round.
        round: u64,
        /// When this node began.
        started_at: Time,
        /// Nodes of whom there was a message.
        heard: Vec<usize>,
    },
    /// A message was refused.
    Refused {
        /// The peer that sent it; where it is not justified, the node that signed it.
        from: usize,
        /// Its duty, where that could be read.
        duty: Option<Duty>,
        /// Why.
        why: Refusal,
    },
    /// A duty was not begun.
    NotStarted {
        /// The duty.
        duty: Duty,
        /// Why.
        why: StartError,
    },
    /// An instance cannot go on as it should.
    Failed {
        /// The duty.
        duty: Duty,
        /// Why.
        why: FailError,
    },
    /// A round ran out.
    Stalled {
        /// The duty.
        duty: Duty,
        /// Which.
        round: u64,
        /// What it lacked.
        why: Stall,
    },
    /// Another round began.
    Round {
        /// The duty.
        duty: Duty,
        /// Which.
        round: u64,
        /// Why.
        why: RoundReason,
    },
    /// An instance is over: what it has seen, for [`Debugger`](crate::debugger::Debugger).
    Recorded(Box<Record>),
}

/// What a cluster agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The duty.
    pub duty: Duty,
    /// The value.
    pub value: Arc<Value>,
    /// The round.
    pub round: u64,
    /// Who led that round.
    pub leader: usize,
    /// When this node began.
    pub started_at: Time,
    /// When it was decided.
    pub decided_at: Time,
}

/// Why a duty was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It was begun in this way before.
    #[error("it was begun before")]
    Twice,
    /// Its time is over.
    #[error("its deadline is over")]
    Expired,
    /// Nodes agree on nothing for such duties.
    #[error("nodes agree on nothing for duties of this type")]
    NotAgreedOn,
    /// The value is empty.
    #[error("its value is empty")]
    Empty,
    /// The value is none that nodes agree on.
    #[error("its value is none that nodes agree on")]
    Value(#[source] WireError),
}

/// Why an instance cannot go on as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailError {
    /// The value of a root is not known, and no message may go out without it.
    #[error("the value of a root is not known")]
    UnknownValue,
    /// This node's own value is empty.
    #[error("the value of this node is empty")]
    EmptyInput,
}
