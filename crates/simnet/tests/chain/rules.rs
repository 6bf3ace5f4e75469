//! What has a good signature and is wrong all the same.

use crate::world::{SLOT, World};
use coxswain_dv_eth::attestation::{AttestationData, Checkpoint};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::domain::{EXIT, PROPOSER, SYNC_COMMITTEE};
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::sync::SyncCommitteeMessage;
use coxswain_simnet::chain::{Receipt, Severity, Submission, Vote};
use tree_hash::TreeHash as _;

/// A validator votes for changed data, which is refused. Nobody is slashed.
#[track_caller]
fn check_vote(change: impl FnOnce(&mut AttestationData), why: &str) {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    (0..9).for_each(|slot| world.live(slot));
    world.go_into(9, SLOT / 3);
    let (validator, committee) = world.attesters(9)[0];
    let mut data = world.chain.attestation_data(world.asked(), 9, committee).expect("data");
    assert!(data.source.epoch > 0, "the test is to see a source that is not the first one");
    change(&mut data);
    let vote = world.vote_of(validator, committee, data);
    world.refuse(Submission::Attestations(vec![vote]), why);
    assert_eq!(world.chain.report(world.asked(), None, None).n_fatal, 0);
}

#[test]
fn votes_follow_the_rules() {
    check_vote(|data| data.index = 1, "from Electra on it is 0");
    check_vote(|data| data.source.epoch = 4, "its source is epoch 4");
    check_vote(|data| data.source.root = Bytes32::default(), "its source is epoch");
    check_vote(|data| data.target.epoch = 5, "its target is epoch 5, and its slot is in epoch 4");
    check_vote(|data| data.target.root = Bytes32::from([1; 32]), "its target 0x0101");
    check_vote(|data| data.beacon_block_root = Bytes32::from([1; 32]), "its head 0x0101");
    check_vote(|data| data.slot = 8, "attests at slot 9 in committee 0, not at slot 8");
    check_vote(|data| (data.slot, data.target.epoch) = (10, 5), "it is of the future");
    check_vote(|data| (data.slot, data.target.epoch) = (u64::MAX, u64::MAX), "it is of the future");
}

#[test]
fn votes_are_of_a_committee_and_a_fork() {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    world.go_into(2, SLOT / 3);
    let (validator, committee) = world.attesters(2)[0];
    let Vote::Single(good) = world.vote(validator, committee, 2) else { panic!("of Electra") };
    let mut other = good.clone();
    other.committee_index = 1;
    world.refuse(
        Submission::Attestations(vec![Vote::Single(other)]),
        "in committee 0, not at slot 2 in committee 1",
    );
    let mut nobody = good.clone();
    nobody.attester_index = 99;
    world.refuse(Submission::Attestations(vec![Vote::Single(nobody)]), "there is no validator 99");
    // Too late after the next epoch.
    world.go(6);
    world.refuse(Submission::Attestations(vec![Vote::Single(good)]), "it is too late: it is slot 6");
}

/// Two votes of a validator for one epoch, and one around another: seen even where they are refused anyway.
#[test]
fn slashable_votes_are_fatal() {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    (0..9).for_each(|slot| world.live(slot));
    world.go_into(9, SLOT / 3);
    let (validator, committee) = world.attesters(9)[0];
    let data = world.chain.attestation_data(world.asked(), 9, committee).expect("data");
    world.accept(Submission::Attestations(vec![world.vote_of(validator, committee, data)]));
    let other = AttestationData { beacon_block_root: Bytes32::from([1; 32]), ..data };
    let vote = world.vote_of(validator, committee, other);
    world.refuse(Submission::Attestations(vec![vote]), "signed two attestations of target epoch 4");
    let around = AttestationData {
        slot: 11,
        source: Checkpoint::default(),
        target: Checkpoint { epoch: 5, ..data.target },
        ..data
    };
    let vote = world.vote_of(validator, committee, around);
    world.refuse(Submission::Attestations(vec![vote]), "surrounds another");
    let report = world.chain.report(world.asked(), None, None);
    assert_eq!(report.n_fatal, 2);
    assert!(report.findings[..2].iter().all(|finding| finding.severity == Severity::Fatal));
}

/// A vote in an aggregate is a vote.
#[test]
fn slashable_votes_in_aggregates_are_fatal() {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    world.go_into(3, SLOT / 3);
    let mut other = World::with(4, |settings| settings.slots_per_epoch = 2);
    other.go(3);
    other.propose(3);
    other.go_into(3, SLOT / 3);
    world.attest(3);
    // The same chain, where others saw a block.
    other.attest(3);
    let (validator, committee) = world.attesters(3)[0];
    let aggregate = other.aggregate(validator, committee, 3);
    world.refuse(Submission::Aggregates(vec![aggregate]), "signed two attestations of target epoch 1");
    assert_eq!(world.chain.report(world.asked(), None, None).n_fatal, 2);
}

#[test]
fn slashable_blocks_are_fatal() {
    let mut world = World::new(4);
    world.go(1);
    let block = world.signed_block(1);
    world.accept(Submission::Proposal(Box::new(block)));
    let Proposal::Fulu(mut contents) = world.ask_proposal(1).proposal else { panic!("of Fulu") };
    contents.block.body.graffiti = Bytes32::from([9; 32]);
    let proposal = Proposal::Fulu(contents);
    let signature = world.sign(proposal.proposer_index(), proposal.root(), PROPOSER, 0);
    let second = proposal.signed(signature);
    world.refuse(Submission::Proposal(Box::new(second)), "signed two blocks of slot 1");
    assert_eq!(world.chain.report(world.asked(), None, None).n_fatal, 1);
}

#[test]
fn blocks_follow_the_rules() {
    let mut world = World::with(4, |settings| settings.blobs = 1);
    world.go(1);
    let Proposal::Fulu(good) = world.ask_proposal(1).proposal else { panic!("of Fulu") };
    let refuse = |world: &mut World, proposal: Proposal, signer: u64, why: &str| {
        let signature = world.sign(signer, proposal.root(), PROPOSER, world.epoch(proposal.slot()));
        world.refuse(Submission::Proposal(Box::new(proposal.signed(signature))), why);
    };
    let proposer = good.block.proposer_index;
    let other = (proposer + 1) % 4;
    let mut contents = good.clone();
    contents.block.proposer_index = other;
    refuse(&mut world, Proposal::Fulu(contents), other, &format!("validator {proposer} proposes at slot 1"));
    let mut contents = good.clone();
    contents.block.slot = 3;
    refuse(&mut world, Proposal::Fulu(contents), proposer, "it is of the future");
    let mut contents = good.clone();
    contents.blobs[0][5] ^= 1;
    refuse(&mut world, Proposal::Fulu(contents), proposer, "its blobs or their proofs");
    // The block of the last one was signed; what follows is of another slot.
    world.go(2);
    let Proposal::Fulu(mut contents) = world.ask_proposal(2).proposal else { panic!("of Fulu") };
    contents.block.state_root = Bytes32::from([1; 32]);
    let proposer = contents.block.proposer_index;
    refuse(&mut world, Proposal::Fulu(contents), proposer, "was made");
    assert_eq!(world.chain.report(world.asked(), None, None).n_fatal, 0);
    assert_eq!(world.chain.block(coxswain_simnet::chain::BlockId::Head).expect("a head").slot, 0);
}

#[test]
fn sync_messages_follow_the_rules() {
    let mut world = World::with(4, |settings| settings.sync.members = 2);
    world.go(5);
    let all: Vec<u64> = (0..4).collect();
    let duties = world.chain.sync_duties(world.asked(), 0, &all).expect("duties");
    assert_eq!(duties.len(), 2);
    let member = duties[0].validator_index;
    let other =
        all.iter().find(|one| duties.iter().all(|duty| duty.validator_index != **one)).expect("another");
    let root = world.head();
    let message = |world: &World, validator_index: u64, slot: u64| SyncCommitteeMessage {
        slot,
        beacon_block_root: root.into(),
        validator_index,
        signature: world.sign(validator_index, root, SYNC_COMMITTEE, world.epoch(slot)),
    };
    for (validator, slot, why) in [
        (*other, 5, "is not in the sync committee"),
        (member, 6, "it is of the future"),
        (member, 2, "it is too late: it is slot 5"),
    ] {
        let message = message(&world, validator, slot);
        world.refuse(Submission::SyncMessages(vec![message]), why);
    }
    let good = message(&world, member, 5);
    world.accept(Submission::SyncMessages(vec![good]));
}

/// Whoever is not selected by its proof, or is of another subcommittee, does not aggregate.
#[test]
fn contributions_are_of_the_selected() {
    let mut world = World::with(4, |settings| settings.sync.seats = 4);
    world.go(1);
    world.vote_for_head(1);
    let mut n = [0; 3];
    for (validator, index) in (0..4).flat_map(|validator| (0..4).map(move |index| (validator, index))) {
        let (signed, is_selected) = world.contribution(validator, index, 1);
        let receipt = world.submit(Submission::Contributions(vec![signed]));
        match receipt.refused.first() {
            None => {
                assert!(is_selected);
                n[0] += 1;
            }
            Some((_, why)) if why.contains("is not selected") => {
                assert!(!is_selected);
                n[1] += 1;
            }
            Some((_, why)) => {
                assert!(why.contains("is not in subcommittee"), "{why}");
                n[2] += 1;
            }
        }
    }
    // Four seats, one in each subcommittee.
    assert_eq!((n[0] + n[1], n[2]), (4, 12));
}

#[test]
fn aggregates_are_of_members() {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    world.go_into(2, SLOT / 3);
    world.attest(2);
    let inside = world.attesters(2);
    let outside = (0..4).find(|one| inside.iter().all(|(member, _)| member != one)).expect("another");
    let aggregate = world.aggregate(outside, 0, 2);
    world.refuse(Submission::Aggregates(vec![aggregate]), "is not in committee 0");
    let aggregate = world.aggregate(inside[0].0, 0, 2);
    world.accept(Submission::Aggregates(vec![aggregate]));
}

#[test]
fn exits_follow_the_rules() {
    let mut world = World::with(4, |settings| {
        settings.slots_per_epoch = 2;
        settings.epochs_before_exit = 3;
    });
    let exit = |world: &World, epoch: u64, validator_index: u64| {
        let message = VoluntaryExit { epoch, validator_index };
        let signature = world.sign(validator_index % 4, message.tree_hash_root().0, EXIT, epoch);
        Submission::Exit(Signed { message, signature })
    };
    world.go(4);
    let early = exit(&world, 2, 0);
    world.refuse(early.clone(), "may exit after 3 epochs, and this is epoch 2");
    let future = exit(&world, 3, 0);
    world.refuse(future, "it is for epoch 3, and this is epoch 2");
    let nobody = exit(&world, 2, 8);
    world.refuse(nobody, "there is no validator 8");
    world.go(6);
    world.accept(early.clone());
    // The same from another node.
    assert_eq!(world.submit(early), Receipt::default());
}
