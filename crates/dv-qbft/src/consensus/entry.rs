//! What consensus knows of one duty.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use coxswain_dv_eth::time::Time;

use crate::debugger::Record;
use crate::machine::Instance;
use crate::seal::{Envelope, Sealed, SealedMessage};
use crate::timer::RoundTimer;
use crate::value::Values;

/// What is due: of two at one moment, deadlines first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Deadline,
    Round,
}

/// What is known of one duty.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) is_proposed: bool,
    pub(super) is_participated: bool,
    pub(super) values: Values,
    /// Bytes of values by the peer that brought them.
    pub(super) held: Vec<usize>,
    /// Messages whose signatures were checked, by source.
    pub(super) verified: Vec<BTreeMap<Sealed, Arc<SealedMessage>>>,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Messages wait, oldest first, each with the peer that brought it.
    Waiting {
        messages: VecDeque<(usize, Arc<Envelope>)>,
        first: usize,
    },
    Running(Box<Running>),
}

impl Entry {
    /// An entry that waits; peer `first` was the first to name its duty.
    pub(super) fn new(nodes: usize, first: usize) -> Entry {
        Entry {
            is_proposed: false,
            is_participated: false,
            values: Values::default(),
            held: vec![0; nodes],
            verified: vec![BTreeMap::new(); nodes],
            stage: Stage::Waiting { messages: VecDeque::new(), first },
        }
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) instance: Instance<Sealed>,
    pub(super) timer: RoundTimer,
    /// When the round ends, and the ticket of its timer.
    pub(super) round_end: Option<(Time, u64)>,
    pub(super) started_at: Time,
    pub(super) record: Option<Record>,
}
