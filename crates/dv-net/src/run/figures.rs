//! What is counted of messages, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;

use super::inbox::{Put, Source};
use super::outbox::Flown;

/// Upper ends of the classes of durations of sending in seconds, doubled from 0.1 ms, as charon has them; the last class is
/// open.
pub const SEND_BUCKETS: [f64; 18] = {
    let mut all = [0.0001; 18];
    let mut at = 1;
    while at < all.len() {
        all[at] = all[at - 1] * 2.0;
        at += 1;
    }
    all
};
/// Successes in a row after which a peer counts as well again, as charon has it.
const WELL_AFTER: u32 = 3;

/// How long sending takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// How many were no longer than each of [`SEND_BUCKETS`].
    pub classes: [u64; SEND_BUCKETS.len()],
    /// All of them.
    pub count: u64,
    /// Together, in seconds.
    pub sum: f64,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (class, end) in self.classes.iter_mut().zip(SEND_BUCKETS) {
            *class += u64::from(seconds <= end);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// What was sent of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sent {
    /// Letters that the peer has.
    pub sent: u64,
    /// Letters that were tried and given up.
    pub failed: u64,
    /// Tries whose stream broke and that were followed by another one.
    pub again: u64,
    /// Bytes of letters that the peer has.
    pub bytes: u64,
    /// How long tries took, from the opening of a stream to its end.
    pub took: Durations,
}

/// What is sent to a peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sends {
    /// By protocol and topic of the letter.
    pub kinds: BTreeMap<(&'static str, &'static str), Sent>,
    /// Letters that wait, now.
    pub waiting: usize,
    /// Letters in flight, now.
    pub flying: usize,
    /// Letters that were posted while the same waited.
    pub twice: u64,
    /// Letters that were let go of because the box was full.
    pub displaced: u64,
    /// Letters that were let go of because nobody needs them any more.
    pub expired: u64,
    /// Whether the peer takes letters; what was last known of it.
    pub is_failing: bool,
    successes: u32,
}

/// Whether a peer has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Same,
    Failing,
    Well,
}

impl Sends {
    /// Counts a try that was the last one of its letter.
    pub(super) fn over(&mut self, how: Flown) -> Turn {
        if how != Flown::Sent {
            self.successes = 0;
            return if std::mem::replace(&mut self.is_failing, true) { Turn::Same } else { Turn::Failing };
        }
        if !self.is_failing {
            return Turn::Same;
        }
        self.successes += 1;
        if self.successes < WELL_AFTER {
            return Turn::Same;
        }
        self.is_failing = false;
        self.successes = 0;
        Turn::Well
    }
}

impl Sent {
    pub(super) fn tried(&mut self, took: Duration) {
        self.took.add(took);
    }
}

/// What has come from a peer in one protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Messages that were whole.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of which the same waited already.
    pub twice: u64,
    /// Those that were let go of because too many waited.
    pub displaced: u64,
}

/// What has come from all peers.
#[derive(Debug, Default)]
pub(super) struct Arrivals(BTreeMap<Source, Received>);

impl Arrivals {
    pub(super) fn count(&mut self, source: Source, length: usize, put: Put) {
        let received = self.0.entry(source).or_default();
        received.messages += 1;
        received.bytes += length as u64;
        match put {
            Put::Waits => {}
            Put::Twice => received.twice += 1,
            Put::Displaced(count) => received.displaced += count as u64,
        }
    }

    pub(super) fn of(&self, peer: &PeerId) -> BTreeMap<&'static str, Received> {
        self.0
            .iter()
            .filter(|((id, _), _)| id == peer)
            .map(|((_, protocol), row)| (*protocol, *row))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_fails_at_once_and_is_well_after_three() {
        let mut sends = Sends::default();
        let script = [
            (Flown::Sent, Turn::Same),
            (Flown::Lost, Turn::Failing),
            (Flown::Broken, Turn::Same),
            (Flown::Sent, Turn::Same),
            (Flown::Sent, Turn::Same),
            (Flown::Lost, Turn::Same),
            (Flown::Sent, Turn::Same),
            (Flown::Sent, Turn::Same),
            (Flown::Sent, Turn::Well),
            (Flown::Sent, Turn::Same),
            (Flown::Lost, Turn::Failing),
        ];
        for (step, (how, turn)) in script.into_iter().enumerate() {
            assert_eq!(sends.over(how), turn, "step {step}");
        }
    }

    #[test]
    fn durations_are_in_every_class_above_them() {
        let mut durations = Durations::default();
        durations.add(Duration::from_micros(150));
        durations.add(Duration::from_secs(60));
        assert_eq!((durations.classes[0], durations.classes[1], durations.classes[17]), (0, 1, 1));
        assert!((SEND_BUCKETS[17] - 13.1072).abs() < 1e-9);
        assert_eq!(durations.count, 2);
    }
}
