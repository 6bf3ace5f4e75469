//! What a node agrees to: one scenario for each rule.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::AttesterDuty;
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationPhase0, Checkpoint};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_eth::unsigned::Unsigned;
use coxswain_dv_eth::validity::{Invalid, Standing, check};

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
/// Validator 7, validator 8, a validator without index, and one of others.
const SEVEN: Bytes48 = Bytes([7; 48]);
const EIGHT: Bytes48 = Bytes([8; 48]);
const NEW: Bytes48 = Bytes([9; 48]);
const OTHER: Bytes48 = Bytes([1; 48]);
const SLOT: u64 = 70;

fn standing(key: &Bytes48) -> Standing {
    match *key {
        SEVEN => Standing::Validator(7),
        EIGHT => Standing::Validator(8),
        NEW => Standing::Member,
        _ => Standing::Stranger,
    }
}

fn data() -> AttestationData {
    AttestationData {
        slot: SLOT,
        source: Checkpoint { epoch: 1, root: Bytes([1; 32]) },
        target: Checkpoint { epoch: 2, root: Bytes([2; 32]) },
        ..AttestationData::default()
    }
}

fn duty_of(pubkey: Bytes48, validator_index: u64) -> AttesterDuty {
    AttesterDuty {
        pubkey,
        validator_index,
        committee_index: 1,
        committee_length: 2,
        committees_at_slot: 3,
        validator_committee_index: 0,
        slot: SLOT,
    }
}

fn attester(change: impl FnOnce(&mut AttestationData, &mut AttesterDuty)) -> Unsigned {
    let (mut data, mut duty) = (data(), duty_of(SEVEN, 7));
    change(&mut data, &mut duty);
    Unsigned::Attester { data, duty }
}

/// A block of Altair in which all is zero but its first two fields.
fn proposal(slot: u64, proposer_index: u64) -> Unsigned {
    let mut ssz = vec![0; 84 + 220 + 160];
    ssz[..8].copy_from_slice(&slot.to_le_bytes());
    ssz[8..16].copy_from_slice(&proposer_index.to_le_bytes());
    ssz[80..84].copy_from_slice(&84_u32.to_le_bytes());
    for list in 0..5 {
        ssz[84 + 200 + list * 4..][..4].copy_from_slice(&380_u32.to_le_bytes());
    }
    let block = Proposal::from_ssz(Fork::Altair, Form::Full, &ssz).expect("a block");
    assert_eq!((block.slot(), block.proposer_index()), (slot, proposer_index));
    Unsigned::Proposer(Box::new(block))
}

fn aggregate(fork: Fork, data: AttestationData) -> Unsigned {
    let attestation = Attestation::Phase0(AttestationPhase0 {
        aggregation_bits: ssz_types::BitList::with_capacity(3).expect("few"),
        data,
        signature: Bytes([3; 96]),
    });
    Unsigned::Aggregator { fork, attestation: Box::new(attestation) }
}

fn contributions(slots: &[(u64, u64)]) -> Unsigned {
    let one = |(slot, subcommittee_index): &(u64, u64)| SyncCommitteeContribution {
        slot: *slot,
        beacon_block_root: Bytes([1; 32]),
        subcommittee_index: *subcommittee_index,
        aggregation_bits: ssz_types::BitVector::new(),
        signature: Bytes([2; 96]),
    };
    Unsigned::SyncContribution(slots.iter().map(one).collect())
}

fn verdict(kind: DutyType, value: &[(Bytes48, Unsigned)]) -> Result<(), Invalid> {
    let value: BTreeMap<_, _> = value.iter().cloned().collect();
    check(&Duty::new(SLOT, kind), &value, &CLOCK, standing)
}

#[track_caller]
fn agrees(kind: DutyType, value: &[(Bytes48, Unsigned)]) {
    assert_eq!(verdict(kind, value), Ok(()));
}

#[track_caller]
fn refuses(kind: DutyType, value: &[(Bytes48, Unsigned)], why: &str) {
    let refused = verdict(kind, value).expect_err(why).to_string();
    assert!(refused.contains(why), "{refused}");
}

#[test]
fn attestations() {
    let kind = DutyType::Attester;
    agrees(kind, &[(SEVEN, attester(|_, _| {}))]);
    let eight = Unsigned::Attester { data: data(), duty: duty_of(EIGHT, 8) };
    agrees(kind, &[(SEVEN, attester(|_, _| {})), (EIGHT, eight)]);
    // Heads may differ, and committees have their own data.
    agrees(kind, &[(SEVEN, attester(|data, _| data.beacon_block_root = Bytes([9; 32])))]);
    agrees(kind, &[(SEVEN, attester(|data, _| data.index = 5))]);
    agrees(kind, &[(SEVEN, attester(|data, _| data.source.epoch = 0))]);
    // An index that nobody knows yet is no reason.
    agrees(kind, &[(NEW, attester(|_, duty| (duty.pubkey, duty.validator_index) = (NEW, 999)))]);

    refuses(kind, &[], "the value is empty");
    refuses(kind, &[(OTHER, attester(|_, _| {}))], "no validator of this cluster");
    refuses(kind, &[(SEVEN, attester(|data, _| data.slot = 71))], "slot 71 for 70/attester");
    refuses(kind, &[(SEVEN, attester(|_, duty| duty.slot = 69))], "slot 69 for 70/attester");
    refuses(kind, &[(SEVEN, attester(|data, _| data.target.epoch = 3))], "target epoch 3");
    refuses(kind, &[(SEVEN, attester(|data, _| data.target.epoch = 1))], "target epoch 1");
    refuses(kind, &[(SEVEN, attester(|data, _| data.source.epoch = 2))], "from epoch 2 to epoch 2");
    refuses(kind, &[(SEVEN, attester(|data, _| data.source.epoch = u64::MAX))], "not after it");
    refuses(kind, &[(SEVEN, attester(|_, duty| duty.validator_index = 8))], "which is validator 7");
    refuses(kind, &[(EIGHT, attester(|_, _| {}))], "a duty of 0x0707");
    refuses(kind, &[(SEVEN, proposal(SLOT, 7))], "data of a duty of type proposer for 70/attester");
}

/// In the first epoch source and target are the genesis.
#[test]
fn attestations_of_the_first_epoch() {
    let attested = |source, target, slot| {
        let mut duty = duty_of(SEVEN, 7);
        duty.slot = slot;
        let mut data = data();
        (data.slot, data.source.epoch, data.target.epoch) = (slot, source, target);
        let value = BTreeMap::from([(SEVEN, Unsigned::Attester { data, duty })]);
        check(&Duty::new(slot, DutyType::Attester), &value, &CLOCK, standing)
    };
    assert_eq!(attested(0, 0, 5), Ok(()));
    assert_eq!(attested(0, 1, 32), Ok(()));
    assert_eq!(attested(1, 0, 5), Err(Invalid::Source { target: 0, found: 1 }));
    assert_eq!(attested(1, 1, 32), Err(Invalid::Source { target: 1, found: 1 }));
}

#[test]
fn blocks() {
    let kind = DutyType::Proposer;
    agrees(kind, &[(SEVEN, proposal(SLOT, 7))]);
    refuses(kind, &[], "empty");
    refuses(kind, &[(SEVEN, proposal(SLOT, 7)), (EIGHT, proposal(SLOT, 8))], "blocks of 2 validators");
    refuses(kind, &[(SEVEN, proposal(SLOT, 8))], "validator 8 for 0x0707");
    refuses(kind, &[(SEVEN, proposal(SLOT + 1, 7))], "slot 71");
    refuses(kind, &[(NEW, proposal(SLOT, 9))], "is not known yet");
    refuses(kind, &[(OTHER, proposal(SLOT, 9))], "no validator of this cluster");
}

#[test]
fn aggregates() {
    let kind = DutyType::Aggregator;
    agrees(kind, &[(SEVEN, aggregate(Fork::Deneb, data())), (NEW, aggregate(Fork::Deneb, data()))]);
    refuses(kind, &[(SEVEN, aggregate(Fork::Electra, data()))], "shape");
    refuses(kind, &[(SEVEN, aggregate(Fork::Deneb, AttestationData { slot: 3, ..data() }))], "slot 3");
    let target = Checkpoint { epoch: 4, root: Bytes::default() };
    refuses(kind, &[(SEVEN, aggregate(Fork::Deneb, AttestationData { target, ..data() }))], "target epoch 4");
}

#[test]
fn sync_contributions() {
    let kind = DutyType::SyncContribution;
    agrees(kind, &[(SEVEN, contributions(&[(SLOT, 0), (SLOT, 3)])), (EIGHT, contributions(&[(SLOT, 0)]))]);
    refuses(kind, &[(SEVEN, contributions(&[]))], "of no, unknown or repeated subcommittees");
    refuses(kind, &[(SEVEN, contributions(&[(SLOT, 4)]))], "unknown");
    refuses(kind, &[(SEVEN, contributions(&[(SLOT, u64::MAX)]))], "unknown");
    refuses(kind, &[(SEVEN, contributions(&[(SLOT, 1), (SLOT, 1)]))], "repeated");
    refuses(kind, &[(SEVEN, contributions(&[(SLOT, 1), (SLOT + 1, 2)]))], "slot 71");
}

#[test]
fn nothing_is_agreed_on_for_other_duties() {
    for kind in DutyType::all() {
        let all = [
            attester(|_, _| {}),
            proposal(SLOT, 7),
            aggregate(Fork::Deneb, data()),
            contributions(&[(SLOT, 0)]),
        ];
        for data in all {
            let expected = data.kind() == kind;
            assert_eq!(verdict(kind, &[(SEVEN, data)]).is_ok(), expected, "{kind}");
        }
    }
}
