//! Why a message of a peer was refused.

use coxswain_dv_crypto::k1::K1Error;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_wire::message::WireError;

use crate::machine::Unjustified;

/// Why a message was refused: the first of the reasons, in the order in which messages are checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It cannot be read, or lacks something.
    #[error("it cannot be read")]
    Wire(#[from] WireError),
    /// There is no such message.
    #[error("there is no message of type {number}")]
    Kind {
        /// What it says.
        number: i64,
    },
    /// There is no such duty.
    #[error("there is no duty of type {number}")]
    DutyType {
        /// What it says.
        number: i32,
    },
    /// A round is below 1, or a prepared round below 0.
    #[error("{number} is no round")]
    Round {
        /// What it says.
        number: i64,
    },
    /// The cluster has no such node.
    #[error("the cluster has no node {number}")]
    Source {
        /// What it says, from 0.
        number: i64,
    },
    /// It is not signed by its node.
    #[error("it is not signed by the node that it names")]
    Signature {
        /// Why.
        source: K1Error,
    },
    /// Its duty is too far ahead: messages would wait for it for long.
    #[error("the duty is of epoch {epoch}, more than two after {current}; check the clocks of both nodes")]
    Future {
        /// Of the duty.
        epoch: u64,
        /// Now.
        current: u64,
    },
    /// More justifications than may be.
    #[error("{count} messages justify it, and {limit} are allowed")]
    Justifications {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// More values than may be.
    #[error("{count} values come along, and {limit} are allowed")]
    Values {
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// One of its justifications is refused.
    #[error("its justification {position} is refused")]
    Justification {
        /// Which, from 0.
        position: usize,
        /// Why.
        source: Box<Refusal>,
    },
    /// A justification is of another duty.
    #[error("it is of the duty {duty}")]
    OtherDuty {
        /// Which.
        duty: Duty,
    },
    /// A value cannot be read.
    #[error("value {position} that comes along cannot be read")]
    Value {
        /// Which, from 0.
        position: usize,
        /// Why.
        source: WireError,
    },
    /// A value that it means does not come along.
    #[error("the value {root} does not come along")]
    MissingValue {
        /// The root of the value.
        root: String,
    },
    /// Nodes agree on nothing for such duties.
    #[error("nodes agree on nothing for {duty_type} duties")]
    NotAgreedOn {
        /// Which.
        duty_type: DutyType,
    },
    /// The time of the duty is over.
    #[error("the deadline of the duty is over")]
    Expired,
    /// The peer brought too many duties that this node knows nothing of.
    #[error("{limit} duties wait already that this peer was the first to name")]
    TooManyDuties {
        /// How many may be.
        limit: usize,
    },
    /// The peer brought too many bytes of values.
    #[error("values of this peer take {held} bytes already, and {limit} are allowed")]
    TooManyBytes {
        /// What is held.
        held: usize,
        /// What may be.
        limit: usize,
    },
    /// It is not justified.
    #[error("it is not justified")]
    Unjustified(#[from] Unjustified),
}
