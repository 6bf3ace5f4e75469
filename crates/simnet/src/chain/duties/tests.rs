//! Properties of duties.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::time::Time;
use proptest::prelude::*;

use super::*;

fn settings(seed: u64, n: u64, slots_per_epoch: u64, committees_per_slot: u64) -> Settings {
    // Duties do not look at keys.
    let validators = (0..n).map(|_| Bytes48::default()).collect();
    let settings = Settings::new(Time::from_secs(1), Duration::from_secs(1), validators);
    Settings { seed, slots_per_epoch, committees_per_slot, ..settings }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Every active validator is in one committee of the epoch, and where its place says.
    #[test]
    fn everybody_attests_once_an_epoch(
        seed: u64, n in 1_u64..200, slots in 2_u64..33, committees in 1_u64..5, epoch in 0_u64..1000, left in 0_u64..5,
    ) {
        let settings = settings(seed, n, slots, committees);
        let active: Vec<u64> = (0..n).filter(|validator| validator % 7 >= left.min(6)).collect();
        let duties = EpochDuties::new(&settings, epoch, Salts::default(), &active);
        let mut seen = Vec::new();
        let mut lengths = BTreeSet::new();
        for slot in epoch * slots..(epoch + 1) * slots {
            prop_assert_eq!(duties.committees(slot).len() as u64, committees);
            for (index, members) in (0..).zip(duties.committees(slot)) {
                lengths.insert(members.len());
                for (position, validator) in (0..).zip(members) {
                    let committee_length = members.len() as u64;
                    let place = Place { slot, committee: index, position, committee_length };
                    prop_assert_eq!(duties.place(*validator), Some(place));
                    seen.push(*validator);
                }
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, active);
        // No committee is larger than another by more than one.
        prop_assert!(lengths.last().unwrap_or(&0) - lengths.first().unwrap_or(&0) <= 1);
    }

    /// In as many slots as there are validators everyone proposes once, across epochs.
    #[test]
    fn everybody_proposes_in_turn(seed: u64, n in 1_u64..60, slots in 2_u64..33, round in 0_u64..50) {
        let settings = settings(seed, n, slots, 1);
        let active: Vec<u64> = (0..n).collect();
        let proposer = |slot: u64| {
            EpochDuties::new(&settings, slot / slots, Salts::default(), &active).proposer(slot)
        };
        let first = round * n + 1;
        let mut seen: Vec<u64> = (first..first + n).filter_map(proposer).collect();
        seen.sort_unstable();
        prop_assert_eq!(&seen, &active);
        prop_assert_eq!(proposer(0), None);
    }

    /// The same settings give the same duties; another salt changes only what it is of.
    #[test]
    fn duties_repeat(seed: u64, n in 8_u64..100, epoch in 0_u64..100) {
        let settings = settings(seed, n, 8, 1);
        let active: Vec<u64> = (0..n).collect();
        let duties = |attester, proposer| EpochDuties::new(&settings, epoch, Salts { attester, proposer }, &active);
        prop_assert_eq!(duties(0, 0), duties(0, 0));
        prop_assert_ne!(duties(0, 0).committees, duties(1, 0).committees);
        prop_assert_eq!(duties(0, 0).proposers, duties(1, 0).proposers);
        prop_assert_eq!(duties(0, 0).committees, duties(0, 1).committees);
    }

    /// Seats are as many as are given, shared evenly, and every subcommittee has its part.
    #[test]
    fn seats_are_shared_evenly(seed: u64, n in 1_u64..200, members in 1_usize..64, seats in 4_u64..=512, period: u32) {
        let mut settings = settings(seed, n, 8, 1);
        settings.sync.members = members;
        settings.sync.seats = seats;
        let active: Vec<u64> = (0..n).collect();
        let committee = SyncCommittee::new(&settings, u64::from(period), &active);
        let lengths: Vec<usize> = committee.members().map(|member| committee.seats_of(member).len()).collect();
        prop_assert_eq!(lengths.iter().sum::<usize>() as u64, seats);
        let (least, most) = (lengths.iter().min().copied().unwrap_or(0), lengths.iter().max().copied().unwrap_or(0));
        prop_assert!(most - least <= 1, "{:?}", lengths);
        prop_assert!(lengths.len() <= members);
        let parts: Vec<usize> = (0..4).map(|index| committee.subcommittee(index).count()).collect();
        prop_assert_eq!(parts.iter().sum::<usize>() as u64, seats);
        prop_assert!(parts.iter().all(|part| part.abs_diff(parts[0]) <= 1), "{:?}", parts);
        prop_assert_eq!(committee.subcommittee(4).count(), 0);
        for (place, validator) in committee.subcommittee(2) {
            prop_assert!(committee.seats_of(validator).contains(&(256 + place as u64)));
        }
    }
}

/// Two validators of an epoch of eight slots attest once in each half, and over some epochs at every place of it: no node of a
/// cluster, which leads at every fourth slot, decides over all votes. In short epochs they attest at every other slot.
#[test]
fn few_validators_attest_everywhere() {
    let slots_of = |settings: &Settings, epoch: u64| -> Vec<u64> {
        let duties = EpochDuties::new(settings, epoch, Salts::default(), &[0, 1]);
        let n = settings.slots_per_epoch;
        (0..n).filter(|slot| duties.committees(epoch * n + slot)[0].len() == 1).collect()
    };
    let long = settings(0, 2, 8, 1);
    let mut seen = BTreeSet::new();
    for epoch in 0..40 {
        let slots = slots_of(&long, epoch);
        assert!(matches!(slots[..], [0..4, 4..8]), "{slots:?}");
        seen.extend(slots);
    }
    assert_eq!(seen, (0..8).collect());
    assert_eq!(slots_of(&settings(0, 2, 4, 1), 7), [1, 3]);
}

/// A validator that has left does not propose; its turn goes to the next of the order.
#[test]
fn who_has_left_does_not_propose() {
    let settings = settings(3, 5, 8, 1);
    let without: Vec<u64> = vec![0, 1, 3, 4];
    for epoch in 0..20 {
        let duties = EpochDuties::new(&settings, epoch, Salts::default(), &without);
        let proposers: Vec<Option<u64>> =
            (epoch * 8..epoch * 8 + 8).map(|slot| duties.proposer(slot)).collect();
        assert!(!proposers.contains(&Some(2)), "{proposers:?}");
        assert_eq!(proposers.iter().filter(|one| one.is_none()).count(), usize::from(epoch == 0));
    }
    let nobody = EpochDuties::new(&settings, 1, Salts::default(), &[]);
    assert_eq!(nobody.proposer(8), None);
    assert_eq!(nobody.place(0), None);
}
