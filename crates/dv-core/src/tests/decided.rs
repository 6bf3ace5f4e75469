//! What consensus decided: clashes, and committee 0, which stands for any.

use std::collections::BTreeMap;

use coxswain_dv_eth::api::AttesterDuty;
use coxswain_dv_eth::attestation::{
    Attestation, AttestationData, AttestationElectra, AttestationPhase0, Checkpoint,
};
use coxswain_dv_eth::block::BlockPhase0;
use coxswain_dv_eth::body::BodyPhase0;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::Eth1Data;
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::unsigned::Unsigned;
use ssz_types::{BitList, BitVector, VariableList};

use crate::decided::{Clash, Decided};

const SLOT: u64 = 9;

fn key(number: u8) -> Bytes48 {
    Bytes48::from([number; 48])
}

fn data(head: u8, target: u64) -> AttestationData {
    let checkpoint = |epoch| Checkpoint { epoch, root: Bytes32::from([1; 32]) };
    AttestationData {
        slot: SLOT,
        index: 0,
        beacon_block_root: Bytes32::from([head; 32]),
        source: checkpoint(target - 1),
        target: checkpoint(target),
    }
}

fn attester(number: u8, committee_index: u64, data: AttestationData) -> (Bytes48, Unsigned) {
    let duty = AttesterDuty {
        pubkey: key(number),
        validator_index: u64::from(number),
        committee_index,
        committee_length: 8,
        committees_at_slot: 4,
        validator_committee_index: 0,
        slot: SLOT,
    };
    (key(number), Unsigned::Attester { data, duty })
}

fn keep(
    decided: &mut Decided,
    kind: DutyType,
    set: impl IntoIterator<Item = (Bytes48, Unsigned)>,
) -> Result<(), Clash> {
    decided.keep(Duty::new(SLOT, kind), &set.into_iter().collect::<BTreeMap<_, _>>())
}

#[test]
fn heads_of_committees_may_differ_but_not_votes() {
    let mut decided = Decided::default();
    let set = [attester(1, 3, data(1, 2)), attester(2, 5, data(2, 2))];
    assert_eq!(keep(&mut decided, DutyType::Attester, set), Ok(()));
    assert_eq!(decided.attestation(SLOT, 3), Some(&data(1, 2)));
    assert_eq!(decided.attestation(SLOT, 5), Some(&data(2, 2)));
    assert_eq!(decided.attestation(SLOT, 4), None);
    let same = [attester(1, 3, data(1, 2))];
    assert_eq!(keep(&mut decided, DutyType::Attester, same), Ok(()));
    let other_head = [attester(1, 3, data(9, 2))];
    let clash = Err(Clash::Attestation { slot: SLOT, committee: 3 });
    assert_eq!(keep(&mut decided, DutyType::Attester, other_head), clash);
    let other_target = [attester(4, 6, data(1, 3))];
    let clash = Err(Clash::Attestation { slot: SLOT, committee: 6 });
    assert_eq!(keep(&mut decided, DutyType::Attester, other_target), clash);
    assert_eq!(decided.attestation(SLOT, 3), Some(&data(1, 2)), "the first stays");
}

#[test]
fn committee_0_is_any_committee() {
    let mut decided = Decided::default();
    let set = [attester(1, 3, data(1, 2)), attester(2, 5, data(2, 2))];
    assert_eq!(keep(&mut decided, DutyType::Attester, set), Ok(()));
    assert_eq!(decided.attestation(SLOT, 0), Some(&data(1, 2)), "the first");
    assert_eq!(decided.attester(SLOT, 3, 1), Some(key(1)));
    assert_eq!(decided.attester(SLOT, 0, 2), Some(key(2)));
    assert_eq!(decided.attester(SLOT, 3, 2), None);
    let other_key = [(key(8), attester(1, 3, data(1, 2)).1)];
    let clash = Err(Clash::Attester { slot: SLOT, validator: 1 });
    assert_eq!(keep(&mut decided, DutyType::Attester, other_key), clash);
}

/// A validator in committee 0 is no clash with one of another committee that came first.
#[test]
fn a_real_committee_0_has_its_own_data() {
    let mut decided = Decided::default();
    let set = [attester(1, 3, data(1, 2)), attester(2, 0, data(2, 2))];
    assert_eq!(keep(&mut decided, DutyType::Attester, set), Ok(()));
    assert_eq!(decided.attestation(SLOT, 0), Some(&data(2, 2)));
    assert_eq!(decided.attestation(SLOT, 3), Some(&data(1, 2)));
}

/// A vote before Electra, which names its committee in its data, or one since then, which does not.
fn vote(fork: Fork, committee: u64, data: AttestationData) -> Attestation {
    let signature = Bytes96::default();
    if fork < Fork::Electra {
        let (aggregation_bits, data) =
            (BitList::with_capacity(8).expect("small"), AttestationData { index: committee, ..data });
        return Attestation::Phase0(AttestationPhase0 { aggregation_bits, data, signature });
    }
    let mut committee_bits = BitVector::new();
    committee_bits.set(usize::try_from(committee).expect("few"), true).expect("64 bits");
    let aggregation_bits = BitList::with_capacity(8).expect("small");
    Attestation::Electra(AttestationElectra { aggregation_bits, data, signature, committee_bits })
}

/// A vote is for its committee's data, or for those that a client gets for committee 0; in all parts.
#[test]
fn a_vote_that_is_not_the_decided_one_says_in_what() {
    let mut decided = Decided::default();
    let why = |decided: &Decided, fork, committee, data| {
        decided.differs(&vote(fork, committee, data)).map(|difference| difference.to_string())
    };
    for fork in [Fork::Deneb, Fork::Electra] {
        assert_eq!(why(&Decided::default(), fork, 3, data(1, 2)), None, "nothing is decided");
    }
    let set = [attester(1, 3, data(1, 2)), attester(2, 5, data(2, 2))];
    assert_eq!(keep(&mut decided, DutyType::Attester, set), Ok(()));
    for fork in [Fork::Deneb, Fork::Electra] {
        let why = |committee, data| why(&decided, fork, committee, data);
        for (committee, head) in [(3, 1), (5, 2), (5, 1)] {
            assert_eq!(why(committee, data(head, 2)), None, "{fork:?} {committee} {head}");
        }
        for (committee, head, part) in [(3, 2, "head"), (5, 3, "head"), (7, 2, "head")] {
            let said = why(committee, data(head, 2)).expect(part);
            assert!(said.starts_with(&format!("its {part} is 0x")), "{said}");
        }
        let other = Checkpoint { epoch: 2, root: Bytes32::from([9; 32]) };
        let said = why(3, AttestationData { target: other, ..data(1, 2) }).expect("another target");
        let root = |byte: u8| Bytes32::from([byte; 32]);
        let expected =
            format!("its target is epoch 2, {}, and the decided one is epoch 2, {}", root(9), root(1));
        assert_eq!(said, expected);
        let source = Checkpoint { epoch: 0, ..other };
        let said = why(3, AttestationData { source, ..data(1, 2) }).expect("another source");
        assert!(said.starts_with("its source is epoch 0, 0x0909"), "{said}");
        // Before Electra the index is the committee: another one is another vote.
        let said = why(3, AttestationData { index: 4, ..data(1, 2) });
        assert_eq!(said.is_some(), fork == Fork::Electra, "{said:?}");
    }
}

/// Beacon nodes may say a committee in the data from Electra on; clients sign it so, or with 0 as they should.
#[test]
fn from_electra_on_the_index_may_be_what_was_decided() {
    let mut decided = Decided::default();
    let with = |index| AttestationData { index, ..data(1, 2) };
    assert_eq!(keep(&mut decided, DutyType::Attester, [attester(1, 3, with(3))]), Ok(()));
    for (index, is_good) in [(0, true), (3, true), (2, false)] {
        let said = decided.differs(&vote(Fork::Electra, 3, with(index)));
        assert_eq!(said.is_none(), is_good, "{index}: {said:?}");
    }
}

fn block(graffiti: u8) -> Unsigned {
    let empty = Bytes32::default();
    let body = BodyPhase0 {
        randao_reveal: Bytes96::default(),
        eth1_data: Eth1Data { deposit_root: empty, deposit_count: 0, block_hash: empty },
        graffiti: Bytes32::from([graffiti; 32]),
        proposer_slashings: VariableList::default(),
        attester_slashings: VariableList::default(),
        attestations: VariableList::default(),
        deposits: VariableList::default(),
        voluntary_exits: VariableList::default(),
    };
    let block = BlockPhase0 { slot: SLOT, proposer_index: 1, parent_root: empty, state_root: empty, body };
    Unsigned::Proposer(Box::new(Proposal::Phase0(block)))
}

#[test]
fn one_block_of_one_proposer() {
    let mut decided = Decided::default();
    let two = [(key(1), block(1)), (key(2), block(1))];
    assert_eq!(keep(&mut decided, DutyType::Proposer, two), Err(Clash::Proposers { slot: SLOT }));
    assert!(decided.proposal(SLOT).is_none());
    assert_eq!(keep(&mut decided, DutyType::Proposer, [(key(1), block(1))]), Ok(()));
    assert_eq!(keep(&mut decided, DutyType::Proposer, [(key(1), block(1))]), Ok(()));
    let other = keep(&mut decided, DutyType::Proposer, [(key(1), block(2))]);
    assert_eq!(other, Err(Clash::Proposal { slot: SLOT }));
    let kept = decided.proposal(SLOT).map(|(_, block)| block.graffiti());
    assert_eq!(kept, Some(Bytes32::from([1; 32])), "the first stays");
}

fn contribution(subcommittee_index: u64, bit: usize) -> SyncCommitteeContribution {
    let mut aggregation_bits = BitVector::new();
    aggregation_bits.set(bit, true).expect("128 bits");
    SyncCommitteeContribution {
        slot: SLOT,
        beacon_block_root: Bytes32::from([4; 32]),
        subcommittee_index,
        aggregation_bits,
        signature: Bytes96::default(),
    }
}

#[test]
fn an_end_leaves_nothing_and_takes_nothing_else() {
    let mut decided = Decided::default();
    let bits = BitList::with_capacity(8).expect("small");
    let phase0 =
        AttestationPhase0 { aggregation_bits: bits, data: data(1, 2), signature: Bytes96::default() };
    let attestation = Box::new(Attestation::Phase0(phase0));
    let aggregate = Unsigned::Aggregator { fork: Fork::Deneb, attestation };
    let contributions = Unsigned::SyncContribution(vec![contribution(0, 1), contribution(1, 1)]);
    for (kind, value) in
        [attester(1, 3, data(1, 2)), (key(1), block(1)), (key(1), aggregate), (key(1), contributions)]
            .into_iter()
            .map(|one| (one.1.kind(), one))
    {
        assert_eq!(keep(&mut decided, kind, [value]), Ok(()), "{kind}");
    }
    let clash = Err(Clash::Contribution { slot: SLOT, subcommittee: 1 });
    let other = (key(1), Unsigned::SyncContribution(vec![contribution(1, 2)]));
    assert_eq!(keep(&mut decided, DutyType::SyncContribution, [other]), clash);
    let root = Bytes32::from(data(1, 2).root());
    assert!(decided.aggregate(SLOT, root, 0).is_some());
    assert!(decided.contribution(SLOT, 1, Bytes32::from([4; 32])).is_some());
    let all = decided.held();
    for slot in [SLOT - 1, SLOT + 1] {
        for kind in DutyType::all() {
            decided.end(Duty::new(slot, kind));
        }
    }
    assert_eq!(decided.held(), all, "neighbours");
    for kind in DutyType::all() {
        decided.end(Duty::new(SLOT, kind));
    }
    assert_eq!(decided.held(), 0);
}
