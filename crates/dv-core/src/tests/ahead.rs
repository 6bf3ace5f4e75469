//! A start where something is kept as signed that is ahead of the clock: the one before was ahead.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::protect::Newest;
use coxswain_dv_eth::time::Time;

use super::chain;
use super::serving::Driven;
use crate::event::{Channel, Effect, Event, Note};

/// The slot of the start, which is the first of epoch 2. Attestations are due at slots 10, 14, 18 and so on.
const BOOT: u64 = 8;

/// Until when a node watches because of what was signed, and at which slots up to 19 it says anything of attestations.
fn speaks(newest: &Newest) -> (Option<Time>, Vec<u64>) {
    let mut node = Driven::new(1);
    let ((), told) = node.apart(|node| node.observe_after(newest));
    let until = |effect: &Effect| match effect {
        Effect::Note(Note::SignedAhead { until, .. }) => Some(*until),
        Effect::Note(Note::ClockSet { .. }) => panic!("nobody set the clock"),
        _ => None,
    };
    let watches = told.iter().find_map(until);
    let mut slots = BTreeSet::new();
    while node.now < chain().clock.start_of(20) {
        node.now = node.now + Duration::from_secs(1);
        for effect in node.step(Event::Wake) {
            match effect {
                Effect::Send { channel: Channel::Qbft, duty, .. } if duty.kind == DutyType::Attester => {
                    slots.insert(duty.slot);
                }
                _ => {}
            }
        }
    }
    (watches, slots.into_iter().collect())
}

#[test]
fn what_was_signed_ahead_of_the_clock_is_not_spoken_of_again() {
    let start = |slot| Some(chain().clock.start_of(slot));
    for (slot, target, expected) in [
        (None, None, (None, vec![10, 14, 18])),
        (Some(BOOT), Some(2), (None, vec![10, 14, 18])),
        (Some(3), Some(0), (None, vec![10, 14, 18])),
        // Blocks tell their slots.
        (Some(9), None, (start(10), vec![10, 14, 18])),
        (Some(10), None, (start(11), vec![14, 18])),
        (Some(14), Some(2), (start(15), vec![18])),
        // Votes tell their epochs.
        (Some(9), Some(3), (start(16), vec![18])),
        (Some(16), Some(3), (start(17), vec![18])),
        (None, Some(4), (start(20), vec![])),
        (None, Some(u64::MAX), (start(u64::MAX), vec![])),
    ] {
        assert_eq!(speaks(&Newest { slot, target }), expected, "{slot:?}, {target:?}");
    }
}

/// What an earlier process has said stays said, whatever becomes of the clock of this one.
#[test]
fn a_clock_that_is_set_does_not_end_the_watch() {
    let mut node = Driven::new(1);
    node.apart(|node| node.observe_after(&Newest { slot: None, target: Some(9) }));
    let effects = node.step(Event::ClockSet { by: Duration::from_millis(600) });
    let until = effects.iter().find_map(|effect| match effect {
        Effect::Note(Note::ClockSet { until, .. }) => Some(*until),
        _ => None,
    });
    assert_eq!(until, Some(chain().clock.start_of(40)));
}
