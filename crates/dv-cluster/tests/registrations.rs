//! Registrations of a running cluster: the newest that the validator's key has signed counts, whatever else is there.

#[path = "support/made.rs"]
mod made;

use coxswain_dv_cluster::{Found, Overrides, Registrar, take_newer};
use coxswain_dv_crypto::bls::{self, SecretKey};
use coxswain_dv_crypto::k1::Address;
use coxswain_dv_types::network::NETWORKS;
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use made::{ADDRESS, Cluster, NETWORK, cluster};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const LOCK_TIME: u64 = 1_742_213_400;

/// What the API says of how many have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quorum {
    Reached,
    Missing,
}

impl Cluster {
    fn registrar(&self) -> Registrar {
        Registrar::of(&self.lock).expect("a lock")
    }

    fn message(&self, validator: usize, timestamp: u64, payee: u8) -> Registration {
        Registration {
            fee_recipient: Address([payee; 20]),
            gas_limit: 60_000_000,
            timestamp,
            pubkey: self.secrets[validator].public().to_bytes(),
        }
    }

    fn signed(&self, validator: usize, timestamp: u64, payee: u8) -> SignedRegistration {
        let message = self.message(validator, timestamp, payee);
        let signature = self.secrets[validator].sign(&message.signing_root(NETWORK)).to_bytes();
        SignedRegistration { message, signature }
    }

    /// What a file with these says.
    fn file(&self, all: &[SignedRegistration]) -> Found {
        let entries: Vec<String> =
            all.iter().map(|one| format!("{{\"version\":\"v1\",\"v1\":{}}}", one.to_json())).collect();
        self.registrar().read_file(format!("[{}]", entries.join(",")).as_bytes()).expect("a list")
    }

    /// A registration as the API has it, with partial signatures of these nodes, from 1; `odd` has signed something else.
    fn collected(&self, message: &Registration, nodes: &[u64], odd: Option<u64>, quorum: Quorum) -> String {
        let root = message.signing_root(NETWORK);
        let validator = self.secrets.iter().position(|one| one.public().to_bytes() == message.pubkey);
        let partial = |node: &u64| {
            let share = &self.shares[*node as usize - 1][validator.expect("ours")];
            let root = if odd == Some(*node) { [9; 32] } else { root };
            let signature = hex::encode(share.sign(&root).to_bytes());
            format!("{{\"share_index\":{node},\"signature\":\"0x{signature}\"}}")
        };
        let partials: Vec<String> = nodes.iter().map(partial).collect();
        let text = SignedRegistration { message: message.clone(), signature: [0; 96] }.to_json();
        let message = &text["{\"message\":".len()..text.find(",\"signature\"").expect("a signature")];
        format!(
            "{{\"builder_registrations\":[{{\"message\":{message},\"partial_signatures\":[{}],\"quorum\":{}}}]}}",
            partials.join(","),
            quorum == Quorum::Reached
        )
    }

    fn answer(&self, validators: &[String]) -> Found {
        let text = format!("{{\"validators\":[{}]}}", validators.join(","));
        self.registrar().read_answer(text.as_bytes()).expect("an answer")
    }

    /// Times of what holds, and whom blocks pay.
    fn holds(&self, file: &Overrides, api: &Overrides) -> Vec<(u64, String)> {
        let registered = self.registrar().merge(file, api);
        let of = |one: &SignedRegistration| {
            (one.message.timestamp, registered.fee_recipients[&one.message.pubkey].to_string())
        };
        registered.registrations.iter().map(of).collect()
    }
}

fn payee(byte: u8) -> String {
    Address([byte; 20]).to_string()
}

#[test]
fn without_anything_newer_the_lock_counts() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let none = Overrides::new();
    let of_lock = vec![(LOCK_TIME, ADDRESS.to_owned()); 2];
    assert_eq!(cluster.holds(&none, &none), of_lock);
    // As old as the lock's is not newer.
    let same = cluster.file(&[cluster.signed(0, LOCK_TIME, 1), cluster.signed(1, LOCK_TIME - 1, 1)]);
    assert_eq!((same.overrides.len(), same.odd.len()), (2, 0));
    assert_eq!(cluster.holds(&same.overrides, &none), of_lock);
}

#[test]
fn the_newest_counts_wherever_it_is_from() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let none = Overrides::new();
    let file = cluster
        .file(&[
            cluster.signed(1, LOCK_TIME + 5, 1),
            cluster.signed(1, LOCK_TIME + 9, 2),
            cluster.signed(1, LOCK_TIME + 7, 3),
        ])
        .overrides;
    let expected = vec![(LOCK_TIME, ADDRESS.to_owned()), (LOCK_TIME + 9, payee(2))];
    assert_eq!(cluster.holds(&file, &none), expected);
    let api = cluster.answer(&[
        cluster.collected(&cluster.message(0, LOCK_TIME + 1, 4), &[1, 2, 3], None, Quorum::Reached),
        cluster.collected(&cluster.message(1, LOCK_TIME + 9, 5), &[2, 3, 4], None, Quorum::Reached),
    ]);
    assert_eq!((api.overrides.len(), api.incomplete, &api.odd[..]), (2, 0, &[][..]));
    // Of the same time the file's.
    let expected = vec![(LOCK_TIME + 1, payee(4)), (LOCK_TIME + 9, payee(2))];
    assert_eq!(cluster.holds(&file, &api.overrides), expected);
    let expected = vec![(LOCK_TIME + 1, payee(4)), (LOCK_TIME + 9, payee(5))];
    assert_eq!(cluster.holds(&none, &api.overrides), expected);
}

/// What a source says later takes nothing back: neither what it leaves out, nor with something older or as old.
#[test]
fn what_was_said_once_is_not_taken_back() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let none = Overrides::new();
    let mut known = Overrides::new();
    let (of_lock, newer) = ((LOCK_TIME, ADDRESS.to_owned()), (LOCK_TIME + 9, payee(2)));
    for (said, expected) in [
        (vec![(1, LOCK_TIME + 9, 2)], [of_lock.clone(), newer.clone()]),
        (vec![], [of_lock.clone(), newer.clone()]),
        (vec![(1, LOCK_TIME + 8, 3)], [of_lock.clone(), newer.clone()]),
        (vec![(1, LOCK_TIME + 9, 3)], [of_lock, newer.clone()]),
        (vec![(0, LOCK_TIME + 1, 4)], [(LOCK_TIME + 1, payee(4)), newer]),
        (vec![(1, LOCK_TIME + 10, 5)], [(LOCK_TIME + 1, payee(4)), (LOCK_TIME + 10, payee(5))]),
    ] {
        let all: Vec<_> =
            said.iter().map(|(place, time, payee)| cluster.signed(*place, *time, *payee)).collect();
        take_newer(&mut known, cluster.file(&all).overrides);
        assert_eq!(cluster.holds(&none, &known), expected, "{said:?}");
    }
}

#[test]
fn what_the_key_has_not_signed_is_named_and_passed_over() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let mut changed = cluster.signed(0, LOCK_TIME + 1, 1);
    changed.message.fee_recipient = Address([2; 20]);
    let message = cluster.message(0, LOCK_TIME + 2, 1);
    let signature = cluster.secrets[0].sign(&message.signing_root(&NETWORKS[0])).to_bytes();
    let of_other_network = SignedRegistration { message, signature };
    let mut stranger = cluster.signed(0, LOCK_TIME + 3, 1);
    stranger.message.pubkey = SecretKey::generate(&mut StdRng::seed_from_u64(1)).public().to_bytes();
    let found = cluster.file(&[changed, of_other_network, stranger, cluster.signed(1, LOCK_TIME + 4, 7)]);
    let odd: Vec<(&str, bool)> =
        found.odd.iter().map(|odd| (odd.place.as_str(), odd.why.ends_with("has not signed it"))).collect();
    assert_eq!(odd, [("entry 0", true), ("entry 1", true), ("entry 2", false)]);
    assert!(found.odd[2].why.ends_with("is no validator of this cluster"), "{:?}", found.odd[2]);
    assert_eq!(found.overrides.len(), 1);
    let expected = vec![(LOCK_TIME, ADDRESS.to_owned()), (LOCK_TIME + 4, payee(7))];
    assert_eq!(cluster.holds(&found.overrides, &Overrides::new()), expected);
}

#[test]
fn what_the_api_has_too_little_of_does_not_count() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let message = cluster.message(0, LOCK_TIME + 1, 1);
    let check = |nodes: &[u64], odd, quorum, expected: (usize, usize, usize)| {
        let found = cluster.answer(&[cluster.collected(&message, nodes, odd, quorum)]);
        let counts = (found.overrides.len(), found.incomplete, found.odd.len());
        assert_eq!(counts, expected, "{nodes:?}, {odd:?}, {quorum:?}");
        for signed in found.overrides.values() {
            let signature = bls::Signature::from_bytes(&signed.signature).expect("a point");
            let root = message.signing_root(NETWORK);
            assert!(bls::verify(&cluster.secrets[0].public(), &root, &signature));
        }
    };
    check(&[1, 2, 3], None, Quorum::Reached, (1, 0, 0));
    check(&[1, 2, 3, 4], None, Quorum::Reached, (1, 0, 0));
    // One of four is bad, and the other three are enough.
    check(&[1, 2, 3, 4], Some(2), Quorum::Reached, (1, 0, 0));
    check(&[1, 2, 3], Some(2), Quorum::Reached, (0, 0, 1));
    // A share twice is one share.
    check(&[1, 2, 2], None, Quorum::Reached, (0, 0, 1));
    check(&[1, 2], None, Quorum::Reached, (0, 0, 1));
    check(&[1, 2, 3], None, Quorum::Missing, (0, 1, 0));
}

#[test]
fn shares_that_nobody_has_do_not_count() {
    let cluster = cluster(23, "registrations", LOCK_TIME);
    let message = cluster.message(0, LOCK_TIME + 1, 1);
    for index in ["0", "5", "18446744073709551615"] {
        let text = cluster.collected(&message, &[1, 2, 3], None, Quorum::Reached);
        let text = text.replacen("\"share_index\":3", &format!("\"share_index\":{index}"), 1);
        let found = cluster.answer(&[text]);
        assert_eq!((found.overrides.len(), found.odd.len()), (0, 1), "{index}");
    }
}
