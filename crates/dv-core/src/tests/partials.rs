//! Partial signatures that are counted.

use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::signed::{ParSigned, SignedData};
use coxswain_dv_eth::sync::SyncCommitteeMessage;

use super::{NODES, THRESHOLD};
use crate::aggregated::Place;
use std::collections::BTreeMap;

use crate::partials::{Added, Checked, Partials};

const KEY: Bytes48 = coxswain_dv_eth::bytes::Bytes([3; 48]);

fn place(slot: u64) -> Place {
    (Duty::new(slot, DutyType::SyncMessage), KEY, 0)
}

fn vote(share_index: u32, head: u8) -> ParSigned {
    let data = SignedData::SyncMessage(SyncCommitteeMessage {
        slot: 1,
        beacon_block_root: Bytes32::from([head; 32]),
        validator_index: 1,
        signature: Bytes96::from([u8::try_from(share_index).expect("few"); 96]),
    });
    ParSigned { data, share_index }
}

fn shares(added: &Added) -> Vec<u32> {
    match added {
        Added::Enough(partials) => partials.iter().map(|one| one.share_index).collect(),
        other => panic!("not enough: {other:?}"),
    }
}

#[test]
fn the_threshold_is_reached_once() {
    let mut partials = Partials::new(THRESHOLD);
    assert_eq!(partials.add(place(1), vote(4, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(2, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(2, 7), Checked::Yes), Added::Same);
    assert_eq!(shares(&partials.add(place(1), vote(1, 7), Checked::Yes)), [4, 2, 1]);
    assert_eq!(partials.add(place(1), vote(3, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(1, 7), Checked::Yes), Added::Same);
}

#[test]
fn a_share_counts_for_one_root() {
    let mut partials = Partials::new(THRESHOLD);
    assert_eq!(partials.add(place(1), vote(1, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(1, 8), Checked::Yes), Added::Conflict);
    assert_eq!(partials.add(place(1), vote(2, 8), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(3, 8), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(1, 8), Checked::Yes), Added::Conflict);
    // Three shares have signed, but not the same; the fourth makes it three of one root.
    assert_eq!(shares(&partials.add(place(1), vote(4, 8), Checked::Yes)), [2, 3, 4]);
}

/// Enough unchecked ones are tried; what the check finds bad goes, and those that came meanwhile or come later take its place.
#[test]
fn bad_ones_give_way() {
    let mut partials = Partials::new(THRESHOLD);
    let root = vote(1, 7).data.message_root().expect("a root");
    assert_eq!(partials.add(place(1), vote(1, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(2, 7), Checked::NotYet), Added::Kept);
    assert_eq!(shares(&partials.add(place(1), vote(3, 7), Checked::NotYet)), [1, 2, 3]);
    let said = BTreeMap::from([(1, true), (2, false), (3, true)]);
    assert_eq!(partials.settle(place(1), root, &said), None, "two are left");
    assert_eq!(shares(&partials.add(place(1), vote(4, 7), Checked::NotYet)), [1, 3, 4]);
    // The share that lied may still say the truth; then there are more than enough, and that is not said again.
    assert_eq!(partials.add(place(1), vote(2, 7), Checked::Yes), Added::Kept);

    let mut partials = Partials::new(THRESHOLD);
    for share in 1..=3 {
        partials.add(place(1), vote(share, 7), Checked::NotYet);
    }
    assert_eq!(partials.add(place(1), vote(4, 7), Checked::NotYet), Added::Kept);
    let settled = partials.settle(place(1), root, &BTreeMap::from([(1, false), (2, true), (3, true)]));
    let left: Vec<u32> = settled.expect("enough").iter().map(|one| one.share_index).collect();
    assert_eq!(left, [2, 3, 4], "the one that came meanwhile is one of them");
    let said = BTreeMap::from([(2, true), (3, true), (4, false)]);
    assert_eq!(partials.settle(place(1), root, &said), None);
    assert_eq!(partials.settle(place(2), root, &said), None, "a duty that is over has none");
}

/// What is known to be good replaces what nobody has looked at, not the other way round.
#[test]
fn checked_ones_go_before_unchecked_ones() {
    let mut partials = Partials::new(THRESHOLD);
    assert_eq!(partials.add(place(1), vote(1, 8), Checked::NotYet), Added::Kept);
    assert_eq!(partials.add(place(1), vote(1, 9), Checked::NotYet), Added::Conflict);
    assert_eq!(partials.add(place(1), vote(1, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), vote(1, 8), Checked::NotYet), Added::Conflict);
    assert_eq!(partials.add(place(1), vote(1, 8), Checked::Yes), Added::Conflict);
    partials.add(place(1), vote(2, 7), Checked::Yes);
    assert_eq!(shares(&partials.add(place(1), vote(3, 7), Checked::Yes)), [1, 2, 3]);
    // A wrong check does not take away what is known to be good.
    let root = vote(1, 7).data.message_root().expect("a root");
    let settled = partials.settle(place(1), root, &BTreeMap::from([(1, false)]));
    assert_eq!(settled.map(|all| all.len()), Some(3));
}

/// Another signature over the same, too: signatures are the same each time.
#[test]
fn other_bytes_of_the_same_root_conflict() {
    let mut partials = Partials::new(THRESHOLD);
    let mut other = vote(1, 7);
    other.data.set_signature(Bytes96::from([99; 96]));
    assert_eq!(partials.add(place(1), vote(1, 7), Checked::Yes), Added::Kept);
    assert_eq!(partials.add(place(1), other, Checked::Yes), Added::Conflict);
}

#[test]
fn places_do_not_mix_and_end_alone() {
    let mut partials = Partials::new(THRESHOLD);
    let subcommittee = (place(1).0, KEY, 1);
    for place in [place(1), place(2), subcommittee] {
        assert_eq!(partials.add(place, vote(1, 7), Checked::Yes), Added::Kept);
        assert_eq!(partials.add(place, vote(2, 7), Checked::Yes), Added::Kept);
    }
    assert_eq!(partials.held(), 3);
    partials.end(place(1).0);
    assert_eq!(partials.held(), 1);
    assert_eq!(partials.add(place(1), vote(3, 7), Checked::Yes), Added::Kept);
    assert_eq!(shares(&partials.add(place(2), vote(3, 7), Checked::Yes)), [1, 2, 3]);
}

/// Exits have no end: each share may have ten of a validator, and its oldest makes room for the next.
#[test]
fn what_never_ends_is_bounded() {
    let mut partials = Partials::new(THRESHOLD);
    let exit = |epoch, share_index| {
        let message = VoluntaryExit { epoch, validator_index: 1 };
        let data = SignedData::Exit(Signed { message, signature: Bytes96::default() });
        ((Duty::new(epoch * 4, DutyType::Exit), KEY, 0), ParSigned { data, share_index })
    };
    for epoch in 0..50 {
        for share in 1..=u32::try_from(NODES).expect("few") {
            let (place, partial) = exit(epoch, share);
            assert_ne!(partials.add(place, partial, Checked::Yes), Added::Conflict);
        }
        assert!(partials.held() <= 10, "{}", partials.held());
    }
    let (place, partial) = exit(49, 1);
    assert_eq!(partials.add(place, partial, Checked::Yes), Added::Same, "the latest is kept");
    let (place, partial) = exit(0, 1);
    assert_eq!(partials.add(place, partial, Checked::Yes), Added::Kept, "the oldest is not");
    // A share that says much pushes out only what it said itself.
    let mut partials = Partials::new(THRESHOLD);
    let (honest, partial) = exit(100, 2);
    partials.add(honest, partial.clone(), Checked::Yes);
    for epoch in 101..150 {
        let (place, partial) = exit(epoch, 1);
        partials.add(place, partial, Checked::Yes);
    }
    assert_eq!(partials.add(honest, partial, Checked::Yes), Added::Same);
}

/// Whichever validators voted: nodes have one head each.
#[test]
fn shares_that_signed_the_same_belong_together() {
    let mut partials = Partials::new(THRESHOLD);
    let other = (Duty::new(1, DutyType::SyncMessage), Bytes48::from([4; 48]), 0);
    for (place, share, head) in
        [(place(1), 1, 8), (place(1), 2, 9), (other, 2, 9), (place(1), 3, 9), (place(2), 4, 8)]
    {
        partials.add(place, vote(share, head), Checked::Yes);
    }
    assert_eq!(partials.cohorts(place(1).0), [[2, 3].into(), [1].into()]);
    assert_eq!(partials.cohorts(place(3).0), []);
}

#[test]
fn what_turned_out_to_be_bad_was_not_there() {
    let mut partials = Partials::new(THRESHOLD);
    for share in 1..=3 {
        partials.add(place(1), vote(share, 7), Checked::NotYet);
    }
    let (duty, key, _) = place(1);
    let is_there = |partials: &Partials| [1, 2, 3].map(|share| partials.has(duty, &key, share));
    assert_eq!(is_there(&partials), [true; 3]);
    let root = vote(1, 7).data.message_root().unwrap_or_default();
    assert_eq!(partials.settle(place(1), root, &[(1, true), (2, false), (3, true)].into()), None);
    assert_eq!(partials.cohorts(duty), [[1, 3].into()]);
    assert_eq!(is_there(&partials), [true, false, true]);
    // For another subcommittee it may be there.
    partials.add((duty, key, 3), vote(2, 7), Checked::NotYet);
    assert_eq!(is_there(&partials), [true; 3]);
}
