//! A chain as its validators see it: duties, blocks, votes, finality, counts.

use std::collections::BTreeMap;

use crate::world::{SLOT, World, publics, secret};
use coxswain_dv_crypto::bls::{PublicKey, Signature, verify_aggregate};
use coxswain_dv_eth::attestation::Attestation;
use coxswain_dv_eth::client::ValidatorId;
use coxswain_dv_eth::domain::{ATTESTER, SYNC_COMMITTEE, Signable};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal, SignedProposal};
use coxswain_simnet::chain::{BlockId, Builder, Counts, Kind, Report, Submission, all_up_to, forks};
use serde_json::json;

fn report(world: &World) -> Report {
    world.chain.report(world.asked(), None, None)
}

#[track_caller]
fn counts(report: &Report, kind: Kind) -> Counts {
    report.duties.get(&kind).copied().unwrap_or_default()
}

/// Where all do what they should, all is counted, included, and finalized.
#[test]
fn a_chain_lives() {
    let mut world = World::new(6);
    for slot in 0..34 {
        world.live(slot);
    }
    world.go(34);
    let report = report(&world);
    assert_eq!((report.from_slot, report.to_slot, report.current_slot, report.head_slot), (0, 33, 34, 33));
    assert_eq!((report.n_fatal, report.n_refused), (0, 0), "{:?}", report.findings);
    let blocks = counts(&report, Kind::Proposer);
    assert_eq!((blocks.expected, blocks.on_time, blocks.included, blocks.missed), (33, 33, 33, 0));
    let randaos = counts(&report, Kind::Randao);
    assert_eq!((randaos.expected, randaos.on_time), (33, 33));
    // Four epochs of six, and whoever had its turn in the first two slots of the fifth.
    let votes = counts(&report, Kind::Attester);
    assert_eq!((votes.missed, votes.wrong, votes.late), (0, 0, 0));
    assert!((24..=26).contains(&votes.on_time), "{votes:?}");
    assert_eq!(votes.mean_delay_ms, 4000);
    // What was voted for in the last slot is in no block yet.
    assert!(votes.included + 1 >= votes.expected, "{votes:?}");
    assert_eq!(counts(&report, Kind::Aggregator).on_time, votes.on_time);
    let sync = counts(&report, Kind::SyncMessage);
    assert_eq!((sync.expected, sync.on_time, sync.included), (6 * 34, 6 * 34, 6 * 33));
    assert_eq!((report.justified_epoch, report.finalized_epoch), (3, 2));
    assert_eq!(report.validators.len(), 6);
    let sums: u64 = report.validators.iter().map(|one| one.duties[&Kind::Proposer].on_time).sum();
    assert_eq!(sums, 33);
    let part = world.chain.report(world.asked(), Some(10), Some(19));
    assert_eq!(counts(&part, Kind::Proposer).expected, 10);
    assert_eq!(counts(&part, Kind::SyncMessage).included, 60);
}

/// What does not come is missed, late or wrong.
#[test]
fn what_is_not_done_is_counted() {
    let mut world = World::new(4);
    world.go(0);
    world.go(1);
    world.propose(1);
    // Too late for its own slot, in time to be the head.
    world.go(2);
    let late = world.signed_block(2);
    world.go(3);
    world.accept(Submission::Proposal(Box::new(late)));
    // Nobody proposes at slot 3, and one votes at 4 for what is no head then.
    let member = world.proposer(4);
    let message = world.sync_message(member, 3);
    world.go(4);
    world.propose(4);
    world.accept(Submission::SyncMessages(vec![message]));
    let root = world.chain.block(BlockId::Slot(2)).expect("the late block").root;
    let signature = world.sign(member, root, SYNC_COMMITTEE, 0);
    let wrong = coxswain_dv_eth::sync::SyncCommitteeMessage {
        slot: 4,
        beacon_block_root: root.into(),
        validator_index: member,
        signature,
    };
    world.accept(Submission::SyncMessages(vec![wrong]));
    world.go(5);
    let report = report(&world);
    let blocks = counts(&report, Kind::Proposer);
    assert_eq!((blocks.expected, blocks.on_time, blocks.late, blocks.missed), (4, 2, 1, 1));
    let sync = counts(&report, Kind::SyncMessage);
    assert_eq!((sync.expected, sync.received, sync.late, sync.wrong), (20, 2, 1, 1));
    assert_eq!(counts(&report, Kind::Attester).missed, counts(&report, Kind::Attester).expected);
}

/// Votes in blocks verify under the keys of those whom the committees name.
#[test]
fn votes_in_blocks_verify() {
    for (n_forks, committees) in [(5, 1), (5, 2), (7, 1), (7, 2)] {
        let mut world = World::with(9, |settings| {
            settings.forks = forks([0x10, 0, 9, 0x10], 0x10, all_up_to(n_forks));
            settings.committees_per_slot = committees;
            settings.slots_per_epoch = 4;
        });
        let mut seen = BTreeMap::<u64, u64>::new();
        for slot in 0..9 {
            world.live(slot);
            let head = world.chain.block(BlockId::Head).expect("a head").block.clone();
            for attestation in head.attestations() {
                let of = attesters(&world, &attestation);
                let data = attestation.data();
                let signable = Signable { root: data.root(), domain: ATTESTER, epoch: data.target.epoch };
                let message = world.chain.spec().signing_root(&signable);
                let keys: Vec<PublicKey> = of.iter().map(|validator| secret(*validator).public()).collect();
                let signature = Signature::from_bytes(&attestation.signature().0).expect("a signature");
                assert!(verify_aggregate(&keys, &message, &signature), "slot {slot}, forks {n_forks}");
                of.iter().for_each(|validator| *seen.entry(*validator).or_default() += 1);
            }
        }
        // Two whole epochs: each once an epoch, and nobody twice for the same.
        assert_eq!(seen.values().sum::<u64>(), 18, "forks {n_forks}, {committees} committees: {seen:?}");
        assert!(seen.values().all(|times| *times == 2), "{seen:?}");
    }
}

/// Validators of an attestation in a block, by the committees that the API shows.
fn attesters(world: &World, attestation: &Attestation) -> Vec<u64> {
    let slot = attestation.data().slot;
    let rows = world.chain.committees_document(world.epoch(slot)).expect("committees");
    let rows = rows.as_array().expect("a list");
    let members = |index: usize| -> Vec<u64> {
        let row = rows
            .iter()
            .find(|row| row["slot"] == json!(slot.to_string()) && row["index"] == json!(index.to_string()));
        let list = row.expect("a committee")["validators"].as_array().expect("a list");
        list.iter().map(|index| index.as_str().expect("text").parse().expect("a number")).collect()
    };
    let (bits, all): (Vec<bool>, Vec<u64>) = match attestation {
        Attestation::Phase0(one) => {
            let index = usize::try_from(one.data.index).expect("small");
            (one.aggregation_bits.iter().collect(), members(index))
        }
        Attestation::Electra(one) => {
            let set = one.committee_bits.iter().enumerate().filter(|(_, bit)| *bit);
            (one.aggregation_bits.iter().collect(), set.flat_map(|(index, _)| members(index)).collect())
        }
    };
    assert_eq!(bits.len(), all.len());
    all.into_iter().zip(bits).filter(|(_, bit)| *bit).map(|(validator, _)| validator).collect()
}

/// Sync aggregates of blocks verify under the keys of the seats.
#[test]
fn sync_votes_in_blocks_verify() {
    let mut world = World::new(5);
    for slot in 0..3 {
        world.live(slot);
    }
    let head = world.chain.block(BlockId::Slot(2)).expect("a block").clone();
    let aggregate = head.block.sync_aggregate().expect("after Altair");
    assert_eq!(aggregate.sync_committee_bits.num_set_bits(), 512);
    let seats = world.chain.sync_committees_document(0).expect("seats");
    let seats = seats["validators"].as_array().expect("a list");
    let key =
        |seat: &serde_json::Value| secret(seat.as_str().expect("text").parse().expect("a number")).public();
    let keys: Vec<PublicKey> = seats.iter().map(key).collect();
    let signable = Signable { root: head.parent, domain: SYNC_COMMITTEE, epoch: 0 };
    let message = world.chain.spec().signing_root(&signable);
    let signature = Signature::from_bytes(&aggregate.sync_committee_signature.0).expect("a signature");
    assert!(verify_aggregate(&keys, &message, &signature));
}

/// Blocks of every fork, whole and blinded, go through SSZ and JSON and come back signed.
#[test]
fn blocks_of_every_fork_are_proposed() {
    for n_forks in 1..=7 {
        for builder in [Builder::Off, Builder::Everybody] {
            let mut world = World::with(4, |settings| {
                settings.forks = forks([0, 0, 0, 0], 1, all_up_to(n_forks));
                settings.builder = builder;
                settings.blobs = 2;
            });
            world.live(0);
            world.go(1);
            let proposal = world.ask_proposal(1).proposal;
            let fork = Fork::of(n_forks as u64 - 1).expect("a fork");
            let is_blinded = builder == Builder::Everybody && fork >= Fork::Bellatrix;
            assert_eq!((proposal.fork(), proposal.is_blinded()), (fork, is_blinded));
            let form = Form::from(is_blinded);
            assert_eq!(Proposal::from_ssz(fork, form, &proposal.to_ssz()).expect("SSZ"), proposal);
            assert_eq!(Proposal::from_json(fork, form, &proposal.to_json()).expect("JSON"), proposal);
            let block = world.signed_block(1);
            assert_eq!(SignedProposal::from_ssz(fork, form, &block.to_ssz()).expect("SSZ"), block);
            world.accept(Submission::Proposal(Box::new(block.clone())));
            let head = world.chain.block(BlockId::Head).expect("a head");
            assert_eq!((head.root, head.block.root(), head.block.fork()), (block.root(), block.root(), fork));
            assert!(world.chain.is_canonical(&block.root()));
            // The same once more, as from another node of a cluster.
            world.accept(Submission::Proposal(Box::new(block)));
            world.go(2);
            assert_eq!(counts(&report(&world), Kind::Proposer).again, 1);
        }
    }
}

/// Fee recipients are those of preparations; the builder pays whom registrations name.
#[test]
fn blocks_pay_whom_they_should() {
    use coxswain_dv_eth::beacon::Preparation;
    let mut world = World::new(3);
    world.go(1);
    let validator_index = world.proposer(1);
    let fee_recipient = [5; 20].into();
    world.chain.prepare(&[
        Preparation { validator_index, fee_recipient },
        Preparation { validator_index: 99, fee_recipient: [6; 20].into() },
    ]);
    let produced = world.ask_proposal(1);
    assert_eq!(produced.proposal.fee_recipient(), Some(fee_recipient));
    assert!(produced.execution_value > 0 && produced.consensus_value > 0);
}

/// The same seed gives the same duties and blocks, another one others.
#[test]
fn chains_repeat() {
    let run = |seed: u64| {
        let mut world = World::with(7, |settings| settings.seed = seed);
        (0..12).for_each(|slot| world.live(slot));
        let all: Vec<u64> = (0..7).collect();
        let attesters = world.chain.attester_duties(world.asked(), 1, &all).expect("duties").duties;
        let proposers = world.chain.proposer_duties(world.asked(), 1).expect("duties").duties;
        (attesters, proposers, world.head())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// An exit that a validator asks for ends its duties, and is in a block.
#[test]
fn validators_exit() {
    use coxswain_dv_eth::domain::EXIT;
    use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
    use tree_hash::TreeHash as _;
    let mut world = World::new(4);
    (0..9).for_each(|slot| world.live(slot));
    let message = VoluntaryExit { epoch: 1, validator_index: 2 };
    let signature = world.sign(2, message.tree_hash_root().0, EXIT, 1);
    world.accept(Submission::Exit(Signed { message, signature }));
    let status = |world: &World, slot: u64| {
        let found = world.chain.validators(slot, &[ValidatorId::Key(publics(3)[2])]);
        found[0].status.clone()
    };
    assert_eq!(status(&world, 9), "active_exiting");
    world.live(9);
    let head = world.chain.block(BlockId::Head).expect("a head").block.clone();
    assert_eq!(head.exits().iter().map(|exit| exit.message.validator_index).collect::<Vec<_>>(), [2]);
    world.live(10);
    assert!(world.chain.block(BlockId::Head).expect("a head").block.exits().is_empty());
    // Epoch 1 and five more.
    (11..56).for_each(|slot| world.live(slot));
    assert_eq!(status(&world, 55), "exited_unslashed");
    let all: Vec<u64> = (0..4).collect();
    let duties = world.chain.attester_duties(world.asked(), 6, &all).expect("duties").duties;
    assert_eq!(duties.len(), 3);
    assert!(duties.iter().all(|duty| duty.validator_index != 2));
    world.go_into(57, SLOT / 2);
    assert_eq!(report(&world).n_refused, 0);
}

/// Before genesis duties are known, and nothing is to be signed.
#[test]
fn before_genesis_there_is_nothing_to_sign() {
    let mut world = World::new(3);
    assert_eq!(world.chain.proposer_duties(world.asked(), 0).expect("duties").duties.len(), 7);
    assert_eq!((0..8).map(|slot| world.attesters(slot).len()).sum::<usize>(), 3);
    let refused = world.chain.attestation_data(world.asked(), 0, 0).expect_err("the chain has not begun");
    assert_eq!(refused.status, 400);
    let request = coxswain_simnet::chain::ProposalRequest {
        slot: 1,
        randao: world.randao(1),
        graffiti: Default::default(),
        builder_boost: 0,
    };
    assert_eq!(world.chain.propose(world.asked(), &request).expect_err("nor then").status, 400);
    let syncing = world.chain.syncing(world.asked());
    assert!(!syncing.is_syncing);
    let report = report(&world);
    assert!(report.duties.is_empty() && report.validators.is_empty());
}

/// With validators that the chain plays a chain goes on by itself; only the others are counted.
#[test]
fn a_chain_goes_on_by_itself() {
    let mut world = World::with(2, |settings| {
        settings.others = 10;
        settings.slots_per_epoch = 4;
        settings.sync.members = 12;
        settings.sync.seats = 24;
    });
    let mut n_ours = 0;
    for slot in 0..30 {
        world.go(slot);
        if slot > 0 && world.proposer(slot) < 2 {
            n_ours += 1;
            world.propose(slot);
        }
    }
    // Each of the twelve has proposed twice or three times.
    assert!((4..=6).contains(&n_ours), "{n_ours}");
    let head = world.chain.block(BlockId::Head).expect("a head");
    assert_eq!((head.slot, head.sync_votes.len()), (29, 10));
    assert!(!head.votes.is_empty());
    let report = report(&world);
    assert_eq!((report.n_fatal, report.n_refused, report.validators.len()), (0, 0, 2));
    assert_eq!(report.duties[&Kind::Proposer].expected, n_ours);
    assert_eq!(report.duties[&Kind::Attester].missed, report.duties[&Kind::Attester].expected);
    assert!(report.duties[&Kind::SyncMessage].expected <= 2 * 29);
    // Ten of twelve are more than two thirds.
    assert_eq!((report.justified_epoch, report.finalized_epoch), (6, 5));
}
