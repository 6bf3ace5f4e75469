//! What is slashable is found, and nothing else.

use coxswain_dv_eth::attestation::Checkpoint;
use coxswain_dv_eth::bytes::Bytes32;

use super::*;

fn data(source: u64, target: u64, head: u8) -> AttestationData {
    AttestationData {
        slot: target.saturating_mul(8),
        index: 0,
        beacon_block_root: Bytes32::from([head; 32]),
        source: Checkpoint { epoch: source, root: Bytes32::default() },
        target: Checkpoint { epoch: target, root: Bytes32::default() },
    }
}

/// After votes, each `(source, target)`, one more is found to be what the text says.
#[track_caller]
fn check(before: &[(u64, u64)], then: (u64, u64, u8), expected: Option<&str>) {
    let mut watch = Watch::default();
    for (source, target) in before {
        assert_eq!(watch.vote(5, &data(*source, *target, 0)), None);
    }
    let found = watch.vote(5, &data(then.0, then.1, then.2)).map(|slashable| slashable.to_string());
    match (&found, expected) {
        (None, None) => {}
        (Some(found), Some(expected)) if found.contains(expected) => {}
        _ => panic!("{found:?} is not {expected:?}"),
    }
    // Others are not concerned.
    assert_eq!(watch.vote(6, &data(then.0, then.1, then.2)), None);
}

#[test]
fn votes_that_contradict_are_found() {
    check(&[], (0, 0, 0), None);
    check(&[(0, 1), (1, 2)], (2, 3, 0), None);
    check(&[(1, 2)], (1, 2, 0), None);
    check(&[(1, 2)], (1, 2, 1), Some("two attestations of target epoch 2"));
    check(&[(1, 2)], (0, 2, 0), Some("two attestations of target epoch 2"));
    check(&[(2, 3)], (1, 4, 0), Some("from epoch 1 to 4 surrounds another from 2 to 3"));
    check(&[(1, 5)], (2, 4, 0), Some("from epoch 1 to 5 surrounds another from 2 to 4"));
    check(&[(0, 1), (2, 3), (3, 4)], (1, 6, 0), Some("surrounds another"));
    check(&[(1, 3)], (1, 4, 0), None);
    check(&[(1, 4)], (1, 3, 0), None);
    check(&[(0, u64::MAX)], (1, 2, 0), Some("surrounds"));
    check(&[(1, 2)], (0, u64::MAX, 0), Some("surrounds"));
}

#[test]
fn two_blocks_of_a_slot_are_found() {
    let mut watch = Watch::default();
    assert_eq!(watch.block(1, 7, [1; 32]), None);
    assert_eq!(watch.block(1, 7, [1; 32]), None);
    assert_eq!(watch.block(1, 8, [2; 32]), None);
    assert_eq!(watch.block(2, 7, [2; 32]), None);
    let found = watch.block(1, 7, [2; 32]);
    assert_eq!(
        found,
        Some(Slashable::DoubleBlock { validator: 1, slot: 7, first: [1; 32], second: [2; 32] })
    );
}

/// What is remembered is bounded, and the latest is.
#[test]
fn the_latest_is_remembered() {
    let mut watch = Watch::default();
    let n = MAX_VOTES as u64;
    for target in 0..n + 10 {
        assert_eq!(watch.vote(1, &data(target, target, 0)), None);
        assert_eq!(watch.block(1, target, [1; 32]), None);
    }
    assert_eq!(watch.votes[&1].len(), MAX_VOTES);
    assert_eq!(watch.blocks[&1].len(), MAX_BLOCKS);
    assert!(watch.vote(1, &data(n + 9, n + 9, 1)).is_some());
    assert!(watch.block(1, n + 9, [2; 32]).is_some());
}
