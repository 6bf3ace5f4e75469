//! Peers whose signatures are checked one by one, because one that they sent was bad.
//!
//! ```text
//! trusted ─ a bad signature ─→ distrusted ─ so many epochs without another one ─→ trusted
//! ```
//!
//! A bad signature of a peer that is trusted spoils a sum once, and costs a check of each share in it. What is damaged once,
//! by a bad cable or a restart, is forgotten after an epoch. Who does it again is distrusted for twice as long each time: in
//! the long run a peer spoils, once a day, what is under way at that moment.

use std::collections::BTreeMap;

use coxswain_dv_eth::time::Clock;

/// Epochs without a bad signature until a peer is trusted again, the first time.
const FIRST_EPOCHS: u64 = 1;
/// The same at most, however often it was caught: a little more than a day on the main chain.
const MOST_EPOCHS: u64 = 256;

/// A peer that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caught {
    /// How long it is distrusted after each bad signature.
    epochs: u64,
    /// The slot from which on it is trusted again; none while it is trusted.
    until: Option<u64>,
}

/// Peers that were caught, by their places from 0; not more than there are nodes.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    peers: BTreeMap<usize, Caught>,
}

impl Trust {
    /// Whether what a peer sends is checked first.
    pub(crate) fn is_distrusted(&self, peer: usize) -> bool {
        self.peers.get(&peer).is_some_and(|caught| caught.until.is_some())
    }

    /// A peer has sent a bad signature. Says until which slot it is distrusted, where it was trusted before; where it was
    /// not, its time begins anew.
    pub(crate) fn caught(&mut self, peer: usize, slot: u64, clock: &Clock) -> Option<u64> {
        let caught = self.peers.entry(peer).or_insert(Caught { epochs: 0, until: None });
        let begins = caught.until.is_none();
        if begins {
            caught.epochs = caught.epochs.saturating_mul(2).clamp(FIRST_EPOCHS, MOST_EPOCHS);
        }
        let until = slot.saturating_add(caught.epochs.saturating_mul(clock.slots_per_epoch));
        caught.until = Some(until);
        begins.then_some(until)
    }

    /// A slot begins: those whose time is over are trusted again.
    pub(crate) fn begin_slot(&mut self, slot: u64) -> Vec<usize> {
        let is_over = |caught: &Caught| caught.until.is_some_and(|until| until <= slot);
        let mut over = Vec::new();
        for (peer, caught) in self.peers.iter_mut().filter(|(_, caught)| is_over(caught)) {
            caught.until = None;
            over.push(*peer);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coxswain_dv_eth::time::Time;

    use super::*;

    const CLOCK: Clock =
        Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };

    /// Lets slots begin until a peer is trusted; says which slot that is.
    #[track_caller]
    fn trusted_at(trust: &mut Trust, peer: usize, from: u64) -> u64 {
        let mut slots = from..from + 2 * MOST_EPOCHS * 32;
        let at = slots.find(|slot| trust.begin_slot(*slot).contains(&peer)).expect("it ends");
        assert!(!trust.is_distrusted(peer));
        at
    }

    #[test]
    fn distrust_ends_an_epoch_after_the_last_bad_signature() {
        let mut trust = Trust::default();
        assert!(!trust.is_distrusted(2));
        assert_eq!(trust.caught(2, 100, &CLOCK), Some(132));
        assert!(trust.is_distrusted(2) && !trust.is_distrusted(1));
        assert!(trust.begin_slot(131).is_empty());
        assert_eq!(trust.caught(2, 131, &CLOCK), None, "it goes on");
        assert!(trust.begin_slot(162).is_empty());
        assert!(trust.is_distrusted(2));
        assert_eq!(trust.begin_slot(163), [2]);
        assert!(!trust.is_distrusted(2));
        assert!(trust.begin_slot(164).is_empty(), "said once");
    }

    #[test]
    fn it_grows_with_each_relapse_up_to_a_limit() {
        let mut trust = Trust::default();
        let (mut slot, mut epochs) = (0, Vec::new());
        for _ in 0..10 {
            let begun = slot;
            trust.caught(0, begun, &CLOCK).expect("it begins");
            // Many at once are one relapse.
            assert_eq!(trust.caught(0, begun, &CLOCK), None);
            slot = trusted_at(&mut trust, 0, begun);
            epochs.push((slot - begun) / 32);
        }
        assert_eq!(epochs, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
        assert_eq!(trust.caught(1, slot, &CLOCK), Some(slot + 32), "others begin at the beginning");
    }

    #[test]
    fn no_slot_is_too_large() {
        let mut trust = Trust::default();
        assert_eq!(trust.caught(0, u64::MAX, &CLOCK), Some(u64::MAX));
        assert_eq!(trust.begin_slot(u64::MAX), [0]);
    }
}
