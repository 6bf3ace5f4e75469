//! A machine: a node, its validator client, its clock and its disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_core::{Node, Ticket};
use coxswain_dv_eth::client::Request;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::{Clock, Time};

use crate::chain::{EYES_OF_LIARS, View};
use crate::client::{Alarm, Client};
use crate::clock::MachineClock;
use crate::store::{Ledger, Signed};

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) until: Time,
}

/// A machine.
pub(crate) struct Machine {
    /// Which node of the cluster, from 0.
    pub(crate) node: usize,
    /// Which half of a liar it is.
    pub(crate) half: Option<usize>,
    /// None while it is down.
    pub(crate) core: Option<Node>,
    /// How often it was killed: what was meant for an earlier life is lost.
    pub(crate) life: u32,
    /// It is killed in the middle of its next write, if that middle is before this, when it starts again.
    pub(crate) dies_writing: Option<Time>,
    pub(crate) clock: MachineClock,
    /// How often the clock was set: alarms of earlier times do not ring.
    pub(crate) clock_sets: u32,
    /// What begins before this, by its own clock, it only watches.
    pub(crate) observes_until: Time,
    pub(crate) client: Client,
    /// How long after a third of a slot its client does something.
    pub(crate) habit: Duration,
    pub(crate) shares: Ledger,
    pub(crate) groups: Ledger,
    pub(crate) asked: BTreeMap<Ticket, Asked>,
    pub(crate) next_wake: Option<Time>,
    /// What its shares have signed, by validator: over all its lives.
    pub(crate) signed: BTreeMap<usize, Signed>,
    /// Duties for which it said anything in consensus: in which life, and how often its clock had been set.
    pub(crate) spoken: BTreeMap<Duty, (u32, u32)>,
    /// What was looked at last: one message goes to all peers.
    pub(crate) checked: Option<Arc<Vec<u8>>>,
}

impl Machine {
    pub(crate) fn is_honest(&self) -> bool {
        self.half.is_none()
    }

    /// The second half of a liar sees another chain than the first.
    pub(crate) fn view(&self, now: Time) -> View {
        let eye = if self.half == Some(1) { EYES_OF_LIARS + self.node } else { self.node };
        View { eye, now }
    }

    /// What its client does next by its clock, and when.
    pub(crate) fn next_alarm(&self, clock: &Clock, now: Time) -> Option<(Time, Alarm)> {
        let shown = self.clock.shows(now);
        let slot = clock.slot_at(shown).unwrap_or(0);
        let thirds = |slot: u64| {
            let start = clock.start_of(slot) + self.habit;
            [
                (start, Alarm::Start(slot)),
                (start + clock.slot / 3, Alarm::Third(slot)),
                (start + clock.slot * 2 / 3, Alarm::TwoThirds(slot)),
            ]
        };
        [slot, slot + 1].into_iter().flat_map(thirds).find(|(at, _)| *at > shown)
    }
}
