//! Foreign bytes and numbers: never a panic, and nothing gets in that nobody signed. As a plain test each runs for a
//! second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../../tests/support/mutate.rs"]
mod mutate;

use std::sync::{Mutex, PoisonError};

use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, SignedProposal};
use coxswain_dv_eth::signed::SignedAggregate;
use coxswain_simnet::chain::{BlockId, Fault, Receipt, Submission, Vote};
use mutate::mutate;

use crate::world::{SLOT, World};

/// A chain in its second epoch.
fn world() -> World {
    let mut world = World::with(4, |settings| settings.slots_per_epoch = 2);
    (0..3).for_each(|slot| world.live(slot));
    world.go_into(3, SLOT / 3);
    world
}

/// Pieces of JSON that break things.
const PIECES: &[&str] =
    &["\"0\"", "\"18446744073709551615\"", "\"4\"", "\"3\"", "0x", "null", "[]", "{}", ",", "f"];

/// What can still be read of a good submission is either what it was, or refused; nobody is slashed for it.
#[track_caller]
fn check(good: &[u8], read: impl Fn(&[u8]) -> Option<Submission> + std::panic::RefUnwindSafe, world: World) {
    let original = read(good).expect("a good one is read");
    let world = Mutex::new(world);
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(good, script, PIECES);
        let Some(submission) = read(&bytes) else { return };
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = submission == original;
        let receipt = world.submit(submission);
        assert!(is_same || receipt != Receipt::default(), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(world.chain.report(world.asked(), None, None).n_fatal, 0);
    });
}

#[test]
fn attestations() {
    let world = world();
    let (validator, committee) = world.attesters(3)[0];
    let Vote::Single(vote) = world.vote(validator, committee, 3) else { panic!("of Electra") };
    let good = serde_json::to_vec(&vote).expect("JSON");
    let read = |bytes: &[u8]| {
        let vote = serde_json::from_slice(bytes).ok()?;
        Some(Submission::Attestations(vec![Vote::Single(vote)]))
    };
    check(&good, read, world);
}

#[test]
fn aggregates() {
    let mut world = world();
    world.attest(3);
    let (validator, committee) = world.attesters(3)[0];
    let SignedAggregate::Electra { signed, .. } = world.aggregate(validator, committee, 3) else {
        panic!("of Electra")
    };
    let good = serde_json::to_vec(&signed).expect("JSON");
    let read = |bytes: &[u8]| {
        let signed = serde_json::from_slice(bytes).ok()?;
        Some(Submission::Aggregates(vec![SignedAggregate::Electra { fork: Fork::Fulu, signed }]))
    };
    check(&good, read, world);
}

#[test]
fn sync_messages() {
    let world = world();
    let good = serde_json::to_vec(&world.sync_message(2, 3)).expect("JSON");
    check(&good, |bytes| Some(Submission::SyncMessages(vec![serde_json::from_slice(bytes).ok()?])), world);
}

#[test]
fn blocks() {
    let mut world = world();
    let good = world.signed_block(3).to_ssz();
    let read = |bytes: &[u8]| {
        let block = SignedProposal::from_ssz(Fork::Fulu, Form::Full, bytes).ok()?;
        Some(Submission::Proposal(Box::new(block)))
    };
    check(&good, read, world);
}

#[test]
fn faults() {
    const GOOD: &[u8] = br#"{"kind":"endpoint","node":1,"path":"attestation_data","status":503,"times":2}"#;
    const KINDS: &[&str] = &[
        "reorg",
        "miss",
        "orphan",
        "syncing",
        "wrong_head",
        "skew",
        "exit",
        "clear",
        "\"slot\":9",
        "\"depth\":3",
        "\"ms\":-9223372036854775808",
        "\"slots\":[4]",
        "\"validator\":1",
        "\"epoch\":9",
        "18446744073709551615",
    ];
    let world = Mutex::new(world());
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Ok(fault) = serde_json::from_slice::<Fault>(&mutate(GOOD, script, KINDS)) else { return };
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = world.asked();
        let _ = world.chain.fault(asked, fault);
        let next = world.chain.syncing(asked).head_slot + 1;
        world.chain.hit(1, "/eth/v1/validator/attestation_data");
        if next < 40 {
            world.go(next.max(3));
        }
        let _ = world.chain.fault(asked, Fault::Clear);
    });
}

/// Whatever is asked for has an answer or a reason.
#[test]
fn questions() {
    let world = Mutex::new(world());
    bolero::check!().with_type::<(u64, u64, [u8; 32], u8)>().for_each(|(a, b, root, small)| {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = world.asked();
        let chain = &mut world.chain;
        // Small numbers too: of all there are hardly any is of use.
        for (a, b) in [(*a, *b), (u64::from(*small) % 8, *b % 4)] {
            let _ = chain.attestation_data(asked, a, b);
            let _ = chain.attester_duties(asked, a, &[b]);
            let _ = chain.proposer_duties(asked, a);
            let _ = chain.sync_duties(asked, a, &[b]);
            let _ = chain.aggregate(asked, a, root, b);
            let _ = chain.contribution(asked, a, root, b);
            let _ = chain.committees_document(a);
            let _ = chain.sync_committees_document(a);
            let _ = chain.finality_document(a);
            let _ = chain.validators(a, &[coxswain_dv_eth::client::ValidatorId::Index(b)]);
            let _ = chain.block(BlockId::Slot(a));
            let _ = chain.state(asked, BlockId::Slot(a));
            let report = chain.report(asked, Some(a), Some(b));
            assert!(report.to_slot < 3 && report.n_fatal == 0);
        }
    });
}
