//! Every signature that is handed in is verified: under the right key, domain, fork and chain.

use crate::world::{SLOT, World, publics};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::domain::{
    AGGREGATE_AND_PROOF, ATTESTER, BUILDER, CONTRIBUTION, EXIT, PROPOSER, RANDAO, SELECTION, SYNC_COMMITTEE,
    SYNC_SELECTION,
};
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use coxswain_dv_types::registration::Registration;
use coxswain_simnet::chain::{Kind, ProposalRequest, Severity, Submission, Vote};
use tree_hash::TreeHash as _;

/// How a signature is wrong.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// Another validator's.
    Key,
    /// Made for something else.
    Domain,
    /// Made at an epoch of another fork, or of another chain.
    Fork,
    /// Over something else.
    Message,
    /// The point at infinity.
    Infinity,
    /// No point.
    Garbage,
}

const WRONGS: [Wrong; 6] =
    [Wrong::Key, Wrong::Domain, Wrong::Fork, Wrong::Message, Wrong::Infinity, Wrong::Garbage];

/// A chain whose second epoch is of another fork, at a slot of its second epoch with blocks before.
fn world() -> World {
    use coxswain_simnet::chain::forks;
    let mut world = World::with(4, |settings| {
        settings.forks = forks([0x10, 0, 9, 0x10], 0x10, [0, 0, 0, 0, 0, 0, 1]);
        settings.slots_per_epoch = 2;
        // One under which somebody is selected to aggregate.
        settings.seed = 2;
    });
    (0..3).for_each(|slot| world.live(slot));
    world
}

fn wrong(world: &World, how: Wrong, validator: u64, root: Root, domain: [u8; 4], epoch: u64) -> Bytes96 {
    let other = if domain == ATTESTER { PROPOSER } else { ATTESTER };
    match how {
        Wrong::Key => world.sign((validator + 1) % world.n(), root, domain, epoch),
        Wrong::Domain => world.sign(validator, root, other, epoch),
        // Exits and registrations are of one fork for ever, so theirs are of no fork at all.
        Wrong::Fork if domain == EXIT || domain == BUILDER => world.sign_raw(validator, &root),
        Wrong::Fork => world.sign(validator, root, domain, 0),
        Wrong::Message => world.sign(validator, [1; 32], domain, epoch),
        Wrong::Infinity => {
            let mut bytes = [0; 96];
            bytes[0] = 0xc0;
            bytes.into()
        }
        Wrong::Garbage => [0xff; 96].into(),
    }
}

/// A submission is taken as it is, and refused with each wrong signature; nothing of it counts then, and nobody is
/// slashed.
#[track_caller]
fn check(
    kind: Kind,
    signable: impl Fn(&World) -> (u64, Root, [u8; 4], u64),
    submission: impl Fn(&mut World, Bytes96) -> Submission,
) {
    let mut world = world();
    ready(&mut world);
    let (validator, root, domain, epoch) = signable(&world);
    for how in WRONGS {
        let signature = wrong(&world, how, validator, root, domain, epoch);
        let bad = submission(&mut world, signature);
        let receipt = world.submit(bad);
        let [(0, why)] = &receipt.refused[..] else { panic!("{kind:?} with {how:?} was accepted") };
        let reason = if matches!(how, Wrong::Garbage) { " is none: " } else { " does not verify" };
        assert!(why.contains(reason), "{kind:?} with {how:?}: {why}");
    }
    let signature = world.sign(validator, root, domain, epoch);
    let good = submission(&mut world, signature);
    world.accept(good);
    world.go(4);
    let report = world.chain.report(world.asked(), Some(3), Some(3));
    assert_eq!(report.n_fatal, 0);
    assert_eq!(report.duties[&kind].refused, WRONGS.len() as u64, "{kind:?}");
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Refused));
}

/// Slot 3 with what aggregates and contributions need.
fn ready(world: &mut World) {
    world.go_into(3, SLOT / 3);
    world.attest(3);
    world.vote_for_head(3);
}

#[test]
fn attestations_are_verified() {
    for n_forks in [5, 7] {
        let mut world = World::with(4, |settings| {
            settings.forks =
                coxswain_simnet::chain::forks([0, 0, 0, 0], 1, coxswain_simnet::chain::all_up_to(n_forks));
            settings.slots_per_epoch = 2;
        });
        world.go_into(3, SLOT / 3);
        let (validator, committee) = world.attesters(3)[0];
        let good = world.vote(validator, committee, 3);
        let data = match &good {
            Vote::Single(one) => one.data,
            Vote::Phase0(one) => one.data,
        };
        for how in [Wrong::Key, Wrong::Domain, Wrong::Message, Wrong::Infinity, Wrong::Garbage] {
            let signature = wrong(&world, how, validator, data.root(), ATTESTER, 1);
            let mut bad = good.clone();
            match &mut bad {
                Vote::Single(one) => one.signature = signature,
                Vote::Phase0(one) => one.signature = signature,
            }
            let why = if matches!(how, Wrong::Garbage) { "is none" } else { "does not verify" };
            world.refuse(Submission::Attestations(vec![bad]), why);
        }
        // What was refused was no vote: the same validator may vote otherwise.
        world.accept(Submission::Attestations(vec![good.clone()]));
        world.accept(Submission::Attestations(vec![good]));
        let report = world.chain.report(world.asked(), None, None);
        assert_eq!((report.n_fatal, report.n_refused), (0, 5));
    }
}

/// In a list, what is good gets in and what is bad is named.
#[test]
fn one_bad_attestation_does_not_spoil_the_others() {
    let mut world = World::with(8, |settings| settings.slots_per_epoch = 2);
    world.go_into(2, SLOT / 3);
    let attesters = world.attesters(2);
    assert_eq!(attesters.len(), 4);
    let mut votes: Vec<Vote> =
        attesters.iter().map(|(who, committee)| world.vote(*who, *committee, 2)).collect();
    for bad in [1, 3] {
        let Vote::Single(one) = &mut votes[bad] else { panic!("of Electra") };
        one.signature = world.sign(one.attester_index, [9; 32], ATTESTER, 1);
    }
    let receipt = world.submit(Submission::Attestations(votes));
    let bad = "the signature does not verify".to_owned();
    assert_eq!(receipt.refused, [(1, bad.clone()), (3, bad)]);
    world.go(3);
    let report = world.chain.report(world.asked(), Some(2), None);
    assert_eq!(report.duties[&Kind::Attester].received, 2);
}

#[test]
fn blocks_are_verified() {
    check(
        Kind::Proposer,
        |world| {
            let mut world_ = world.chain.block(coxswain_simnet::chain::BlockId::Head).expect("a head").slot;
            world_ += 1;
            assert_eq!(world_, 3);
            (world.proposer(3), [0; 32], PROPOSER, 1)
        },
        |world, signature| {
            let proposal = world.ask_proposal(3).proposal;
            // The root is known only now: what was given is over another one, so sign as it was meant.
            let good = world.sign(proposal.proposer_index(), [0; 32], PROPOSER, 1);
            let signature = if signature == good {
                world.sign(proposal.proposer_index(), proposal.root(), PROPOSER, 1)
            } else {
                signature
            };
            Submission::Proposal(Box::new(proposal.signed(signature)))
        },
    );
}

#[test]
fn sync_messages_are_verified() {
    // Of a validator that has not voted yet: another world, where nobody has.
    let mut world = world();
    world.go_into(3, SLOT / 3);
    let good = world.sync_message(1, 3);
    for how in WRONGS {
        let signature = wrong(&world, how, 1, good.beacon_block_root.0, SYNC_COMMITTEE, 1);
        let bad = coxswain_dv_eth::sync::SyncCommitteeMessage { signature, ..good.clone() };
        let why = if matches!(how, Wrong::Garbage) { "is none" } else { "does not verify" };
        world.refuse(Submission::SyncMessages(vec![bad]), why);
    }
    world.accept(Submission::SyncMessages(vec![good.clone(), good.clone()]));
    let other = Bytes32::from([4; 32]);
    let signature = world.sign(1, other.0, SYNC_COMMITTEE, 1);
    let twice = coxswain_dv_eth::sync::SyncCommitteeMessage { beacon_block_root: other, signature, ..good };
    world.refuse(Submission::SyncMessages(vec![twice]), "has voted for another block already");
}

/// The signatures of an aggregate: its aggregator's, the selection proof, and the votes' own.
#[test]
fn aggregates_are_verified() {
    let aggregate = |world: &World| {
        let (validator, committee) = world.attesters(3)[0];
        let SignedAggregate::Electra { signed, .. } = world.aggregate(validator, committee, 3) else {
            panic!("of Electra")
        };
        signed
    };
    let fork = coxswain_dv_eth::fork::Fork::Fulu;
    check(
        Kind::Aggregator,
        |world| {
            let signed = aggregate(world);
            let root = signed.message.tree_hash_root().0;
            (signed.message.aggregator_index, root, AGGREGATE_AND_PROOF, 1)
        },
        |world, signature| {
            let mut signed = aggregate(world);
            signed.signature = signature;
            Submission::Aggregates(vec![SignedAggregate::Electra { fork, signed }])
        },
    );
    // The inner ones; the outer one is right then.
    for which in ["selection", "votes"] {
        check(
            Kind::Aggregator,
            |world| {
                let signed = aggregate(world);
                if which == "selection" {
                    (signed.message.aggregator_index, 3_u64.tree_hash_root().0, SELECTION, 1)
                } else {
                    let attesters = world.attesters(3);
                    assert_eq!(attesters.len(), 2, "so that no one's signature is the aggregate's");
                    (signed.message.aggregator_index, signed.message.aggregate.data.root(), ATTESTER, 1)
                }
            },
            |world, signature| {
                let mut signed = aggregate(world);
                if which == "selection" {
                    signed.message.selection_proof = signature;
                } else if signature
                    != world.sign(
                        signed.message.aggregator_index,
                        signed.message.aggregate.data.root(),
                        ATTESTER,
                        1,
                    )
                {
                    signed.message.aggregate.signature = signature;
                }
                let root = signed.message.tree_hash_root().0;
                signed.signature = world.sign(signed.message.aggregator_index, root, AGGREGATE_AND_PROOF, 1);
                Submission::Aggregates(vec![SignedAggregate::Electra { fork, signed }])
            },
        );
    }
}

/// The signatures of a contribution: its aggregator's, the selection proof, and the votes' own.
#[test]
fn contributions_are_verified() {
    /// A selected one.
    fn contribution(world: &World) -> coxswain_dv_eth::sync::SignedContributionAndProof {
        let all = (0..4).flat_map(|validator| (0..4).map(move |index| (validator, index)));
        let mut found = all.map(|(validator, index)| world.contribution(validator, index, 3));
        found.find(|(_, is_selected)| *is_selected).expect("one of sixteen is selected").0
    }
    for which in ["outer", "selection", "votes"] {
        check(
            Kind::SyncContribution,
            |world| {
                let signed = contribution(world);
                let (slot, subcommittee_index) = (3, signed.message.contribution.subcommittee_index);
                let data = coxswain_dv_eth::sync::SyncAggregatorSelectionData { slot, subcommittee_index };
                let who = signed.message.aggregator_index;
                match which {
                    "outer" => (who, signed.message.tree_hash_root().0, CONTRIBUTION, 1),
                    "selection" => (who, data.root(), SYNC_SELECTION, 1),
                    _ => (who, signed.message.contribution.beacon_block_root.0, SYNC_COMMITTEE, 1),
                }
            },
            |world, signature| {
                let mut signed = contribution(world);
                let who = signed.message.aggregator_index;
                let root = signed.message.contribution.beacon_block_root.0;
                match which {
                    "outer" => signed.signature = signature,
                    "selection" => signed.message.selection_proof = signature,
                    _ if signature == world.sign(who, root, SYNC_COMMITTEE, 1) => {}
                    _ => signed.message.contribution.signature = signature,
                }
                if which != "outer" {
                    signed.signature = world.sign(who, signed.message.tree_hash_root().0, CONTRIBUTION, 1);
                }
                Submission::Contributions(vec![signed])
            },
        );
    }
}

#[test]
fn exits_are_verified() {
    let message = VoluntaryExit { epoch: 1, validator_index: 2 };
    check(
        Kind::Exit,
        |_| (2, message.tree_hash_root().0, EXIT, 1),
        |_, signature| Submission::Exit(Signed { message, signature }),
    );
}

#[test]
fn registrations_are_verified() {
    let message = Registration {
        fee_recipient: coxswain_dv_crypto::k1::Address([3; 20]),
        gas_limit: 60_000_000,
        timestamp: 5,
        pubkey: publics(4)[3].0,
    };
    check(
        Kind::Registration,
        |_| (3, message.root(), BUILDER, 0),
        |_, signature| {
            let signed = SignedRegistration { message: message.clone(), signature: signature.0 };
            Submission::Registrations(vec![signed])
        },
    );
}

#[test]
fn randomness_is_verified() {
    let mut world = world();
    world.go(3);
    let proposer = world.proposer(3);
    let root = 1_u64.tree_hash_root().0;
    for how in WRONGS {
        let randao = wrong(&world, how, proposer, root, RANDAO, 1);
        let request = ProposalRequest { slot: 3, randao, graffiti: Bytes32::default(), builder_boost: 0 };
        let refused = world.chain.propose(world.asked(), &request).expect_err("a wrong reveal");
        assert_eq!(refused.status, 400);
        assert!(refused.message.contains("is no signature of validator"), "{refused}");
    }
    world.propose(3);
    world.go(4);
    let report = world.chain.report(world.asked(), Some(3), None);
    assert_eq!((report.duties[&Kind::Randao].refused, report.duties[&Kind::Randao].on_time), (6, 1));
}
