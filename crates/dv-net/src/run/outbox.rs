//! What waits to be sent to one peer: decided here, sent by [`super::post`].
//!
//! ```text
//! post(letter) ─→ waiting ─next→ in flight ─done(Sent, Lost)→ over
//!                    ↑                └──done(Broken), once──┐
//!                    └────────── after a pause ──────────────┘  done(Grounded): likewise, and it does not count
//! ```
//!
//! A letter flies on a stream of its own, so none waits for another that is slow, except in a lane that says so: charon
//! handles the messages of one stream after the other, but those of several streams at once, so the pieces of one large
//! set would share its five seconds if they came together.
//!
//! # What must never happen
//!
//! - A letter that is posted waits for a peer: posting never blocks, and a full box lets go of its oldest letter.
//! - A peer that reads nothing makes a box grow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Letters that wait. A duty of a cluster of seven has some 60 messages to a peer in a bad case; this is eight duties.
pub const MAX_WAITING: usize = 512;
/// Bytes that wait: two values of the largest size that consensus has. A single letter that is longer still goes.
pub const MAX_WAITING_BYTES: usize = 64 << 20;
/// Streams to one peer that letters are sent on at the same time. Charon has no limit; a peer that answers in 100 ms takes
/// 640 letters a second so.
pub const MAX_FLYING: usize = 64;
/// Signatures that a message with partial signatures should have at most, also where a set is larger: charon verifies them one
/// by one, each for up to 9 ms, within the five seconds that a message has.
pub const MAX_SIGNATURES: usize = 64;
/// Tries of a letter whose stream breaks, and the pause before the second one, as charon has them.
const TRIES: u32 = 2;
const PAUSE: Duration = Duration::from_millis(100);

/// Which letters wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Messages of consensus: each for itself.
    Qbft,
    /// Partial signatures for duties of this type: one after the other.
    Parsigex(i32),
}

impl Lane {
    fn is_serial(self) -> bool {
        match self {
            Lane::Qbft => false,
            Lane::Parsigex(_) => true,
        }
    }
}

/// A message for a peer. It may come to the peer twice: whether it has come is not known where its stream breaks.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Which letters it waits for.
    pub lane: Lane,
    /// What it is, for figures: `qbft_pre_prepare`, `parsigex_attester`.
    pub topic: &'static str,
    /// The message; the same bytes may be for several peers.
    pub bytes: Arc<Vec<u8>>,
    /// How long it is worth sending, from when it is posted; then it is let go of where it still waits.
    pub lasts: Duration,
}

/// What became of a letter that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It waits.
    Waits,
    /// It waits or flies already, and is not taken twice.
    Twice,
    /// It waits, and so many of the oldest do no longer.
    Displaced(usize),
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flown {
    /// The peer has it.
    Sent,
    /// The stream or the connection broke: nobody knows.
    Broken,
    /// There was no connection any more: it was no try.
    Grounded,
    /// The peer does not take it, or not in time.
    Lost,
}

/// Where a letter is after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It is tried again.
    Again,
    /// It was the last try.
    Over,
}

/// A letter in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flight(u64);

#[derive(Debug)]
struct Entry {
    letter: Letter,
    until: Duration,
    not_before: Duration,
    tries: u32,
}

/// See the module. Times are since the start, on a clock that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Entry>,
    bytes: usize,
    flying: BTreeMap<Flight, Entry>,
    flights: u64,
}

impl Outbox {
    /// Takes a letter.
    pub(crate) fn post(&mut self, now: Duration, letter: Letter) -> Posted {
        let is_same = |entry: &Entry| entry.letter.lane == letter.lane && entry.letter.bytes == letter.bytes;
        if self.waiting.iter().chain(self.flying.values()).any(is_same) {
            return Posted::Twice;
        }
        let entry = Entry { until: now + letter.lasts, not_before: Duration::ZERO, tries: 0, letter };
        self.bytes += entry.letter.bytes.len();
        self.waiting.push_back(entry);
        let mut displaced = 0;
        while self.waiting.len() > 1 && (self.waiting.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES) {
            self.remove(0);
            displaced += 1;
        }
        if displaced > 0 { Posted::Displaced(displaced) } else { Posted::Waits }
    }

    fn remove(&mut self, at: usize) -> Option<Entry> {
        let entry = self.waiting.remove(at)?;
        self.bytes -= entry.letter.bytes.len();
        Some(entry)
    }

    /// Lets go of what is no longer worth sending; says how many letters that were.
    pub(crate) fn expire(&mut self, now: Duration) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|entry| entry.until > now);
        self.bytes = self.waiting.iter().map(|entry| entry.letter.bytes.len()).sum();
        before - self.waiting.len()
    }

    /// The next letter that may fly, the oldest first.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(Flight, Letter)> {
        if self.flying.len() >= MAX_FLYING {
            return None;
        }
        let at = self
            .waiting
            .iter()
            .position(|entry| entry.not_before <= now && self.is_free(entry.letter.lane))?;
        let mut entry = self.remove(at)?;
        entry.tries += 1;
        let letter = entry.letter.clone();
        self.flights += 1;
        let flight = Flight(self.flights);
        self.flying.insert(flight, entry);
        Some((flight, letter))
    }

    fn is_free(&self, lane: Lane) -> bool {
        !lane.is_serial() || !self.flying.values().any(|entry| entry.letter.lane == lane)
    }

    /// Takes how a try ended.
    pub(crate) fn done(&mut self, now: Duration, flight: Flight, how: Flown) -> After {
        let Some(mut entry) = self.flying.remove(&flight) else { return After::Over };
        let is_over = match how {
            Flown::Sent | Flown::Lost => true,
            Flown::Broken => entry.tries >= TRIES,
            Flown::Grounded => {
                entry.tries -= 1;
                false
            }
        };
        if is_over || entry.until <= now {
            return After::Over;
        }
        entry.not_before = now + PAUSE;
        self.bytes += entry.letter.bytes.len();
        // In front: it is the oldest, and the first to go where there is no room.
        self.waiting.push_front(entry);
        After::Again
    }

    /// When to come back, if nothing happens before: a letter may fly again or is no longer worth it. What could fly at
    /// `now` already and does not waits for an event, not for the clock.
    pub(crate) fn due(&self, now: Duration) -> Option<Duration> {
        let times = self.waiting.iter().flat_map(|entry| [entry.not_before, entry.until]);
        times.filter(|at| *at > now).min()
    }

    /// Letters that wait, and letters in flight.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.waiting.len(), self.flying.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn letter(lane: Lane, bytes: &[u8]) -> Letter {
        Letter { lane, topic: "test", bytes: Arc::new(bytes.to_vec()), lasts: LASTS }
    }

    fn numbered(lane: Lane, number: usize) -> Letter {
        letter(lane, &number.to_le_bytes())
    }

    fn flown(outbox: &mut Outbox, now: Duration) -> Vec<(Flight, Letter)> {
        std::iter::from_fn(|| outbox.next(now)).collect()
    }

    #[test]
    fn consensus_flies_at_once_up_to_a_limit() {
        let mut outbox = Outbox::default();
        for number in 0..MAX_FLYING + 10 {
            assert_eq!(outbox.post(at(0), numbered(Lane::Qbft, number)), Posted::Waits);
        }
        let flights = flown(&mut outbox, at(0));
        assert_eq!((flights.len(), outbox.counts()), (MAX_FLYING, (10, MAX_FLYING)));
        assert_eq!(outbox.done(at(1), flights[5].0, Flown::Sent), After::Over);
        let next = flown(&mut outbox, at(1));
        assert_eq!(next.len(), 1);
        assert_eq!(*next[0].1.bytes, MAX_FLYING.to_le_bytes());
    }

    #[test]
    fn partial_signatures_of_one_type_fly_one_after_the_other() {
        let mut outbox = Outbox::default();
        for number in 0..3 {
            outbox.post(at(0), numbered(Lane::Parsigex(2), number));
            outbox.post(at(0), numbered(Lane::Parsigex(8), number));
        }
        outbox.post(at(0), numbered(Lane::Qbft, 9));
        let flights = flown(&mut outbox, at(0));
        let lanes: Vec<Lane> = flights.iter().map(|(_, letter)| letter.lane).collect();
        assert_eq!(lanes, [Lane::Parsigex(2), Lane::Parsigex(8), Lane::Qbft]);
        outbox.done(at(5), flights[0].0, Flown::Lost);
        let next = flown(&mut outbox, at(5));
        assert_eq!(next.len(), 1);
        assert_eq!((next[0].1.lane, &next[0].1.bytes[..]), (Lane::Parsigex(2), &1usize.to_le_bytes()[..]));
    }

    #[test]
    fn a_broken_stream_is_tried_once_more_and_a_slow_one_is_not() {
        let mut outbox = Outbox::default();
        outbox.post(at(0), letter(Lane::Qbft, b"a"));
        let (first, _) = outbox.next(at(0)).unwrap();
        assert_eq!(outbox.done(at(10), first, Flown::Broken), After::Again);
        assert!(outbox.next(at(50)).is_none());
        assert_eq!(outbox.due(at(50)), Some(at(110)));
        let (second, _) = outbox.next(at(110)).unwrap();
        assert_eq!(outbox.done(at(120), second, Flown::Broken), After::Over);
        assert_eq!((outbox.counts(), outbox.due(at(120))), ((0, 0), None));
        outbox.post(at(0), letter(Lane::Qbft, b"b"));
        let (slow, _) = outbox.next(at(0)).unwrap();
        assert_eq!(outbox.done(at(7000), slow, Flown::Lost), After::Over);
        assert_eq!(outbox.counts(), (0, 0));
        assert_eq!(outbox.done(at(7000), slow, Flown::Broken), After::Over);
    }

    #[test]
    fn a_letter_without_a_connection_has_not_been_tried() {
        let mut outbox = Outbox::default();
        outbox.post(at(0), letter(Lane::Qbft, b"a"));
        for round in 0..10 {
            let (flight, _) = outbox.next(at(round * 1000)).unwrap();
            assert_eq!(outbox.done(at(round * 1000), flight, Flown::Grounded), After::Again);
        }
        let (first, _) = outbox.next(at(20_000)).unwrap();
        assert_eq!(outbox.done(at(20_000), first, Flown::Broken), After::Again);
        let (second, _) = outbox.next(at(21_000)).unwrap();
        assert_eq!(outbox.done(at(60_000), second, Flown::Grounded), After::Over);
    }

    #[test]
    fn the_same_letter_waits_once() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.post(at(0), letter(Lane::Qbft, b"a")), Posted::Waits);
        assert_eq!(outbox.post(at(0), letter(Lane::Qbft, b"a")), Posted::Twice);
        assert_eq!(outbox.post(at(0), letter(Lane::Parsigex(2), b"a")), Posted::Waits);
        let flights = flown(&mut outbox, at(0));
        assert_eq!(outbox.post(at(0), letter(Lane::Qbft, b"a")), Posted::Twice);
        outbox.done(at(1), flights[0].0, Flown::Sent);
        // Once it is through, the same may be said again.
        assert_eq!(outbox.post(at(2), letter(Lane::Qbft, b"a")), Posted::Waits);
    }

    #[test]
    fn a_full_box_lets_go_of_its_oldest() {
        let mut outbox = Outbox::default();
        for number in 0..MAX_WAITING {
            assert_eq!(outbox.post(at(0), numbered(Lane::Qbft, number)), Posted::Waits);
        }
        assert_eq!(outbox.post(at(0), numbered(Lane::Qbft, MAX_WAITING)), Posted::Displaced(1));
        let (_, next) = outbox.next(at(0)).unwrap();
        assert_eq!(*next.bytes, 1usize.to_le_bytes());
        let large = vec![7; MAX_WAITING_BYTES + 1];
        assert_eq!(outbox.post(at(0), letter(Lane::Qbft, &large)), Posted::Displaced(MAX_WAITING - 1));
        assert_eq!(outbox.counts(), (1, 1));
        assert_eq!(outbox.next(at(0)).unwrap().1.bytes.len(), large.len());
    }

    #[test]
    fn what_is_no_longer_worth_it_is_let_go_of() {
        let mut outbox = Outbox::default();
        outbox.post(at(0), Letter { lasts: at(500), ..letter(Lane::Qbft, b"short") });
        outbox.post(at(0), letter(Lane::Qbft, b"long"));
        assert_eq!(outbox.due(at(0)), Some(at(500)));
        assert_eq!(outbox.expire(at(499)), 0);
        assert_eq!(outbox.expire(at(500)), 1);
        assert_eq!(&*outbox.next(at(500)).unwrap().1.bytes, b"long");
        // A letter that broke when its time was over is not tried again.
        outbox.post(at(0), Letter { lasts: at(500), ..letter(Lane::Qbft, b"short") });
        let (flight, _) = outbox.next(at(0)).unwrap();
        assert_eq!(outbox.done(at(500), flight, Flown::Broken), After::Over);
    }

    /// Whatever happens: no lane flies twice that must not, limits hold, and counted bytes are those that wait.
    #[test]
    fn limits_hold_whatever_happens() {
        bolero::check!().with_iterations(500).for_each(|script: &[u8]| {
            let mut outbox = Outbox::default();
            let mut flying: Vec<(Flight, Lane)> = Vec::new();
            for (step, byte) in script.iter().enumerate() {
                let now = at(step as u64 * 10);
                let lane = if byte & 1 == 0 { Lane::Qbft } else { Lane::Parsigex(i32::from(byte >> 6)) };
                match byte & 6 {
                    0 | 2 => drop(outbox.post(now, letter(lane, &[*byte]))),
                    4 => {
                        while let Some((flight, letter)) = outbox.next(now) {
                            let is_taken = flying.iter().any(|(_, lane)| *lane == letter.lane);
                            assert!(letter.lane == Lane::Qbft || !is_taken, "{:?}", letter.lane);
                            flying.push((flight, letter.lane));
                        }
                    }
                    _ if !flying.is_empty() => {
                        let (flight, _) = flying.remove(usize::from(*byte) % flying.len());
                        let how = [Flown::Sent, Flown::Broken, Flown::Lost, Flown::Grounded]
                            [usize::from(byte >> 3) % 4];
                        outbox.done(now, flight, how);
                    }
                    _ => drop(outbox.expire(now)),
                }
                let (waiting, in_flight) = outbox.counts();
                assert!(waiting <= MAX_WAITING + MAX_FLYING && in_flight == flying.len());
                assert_eq!(outbox.bytes, waiting);
            }
        });
    }
}
