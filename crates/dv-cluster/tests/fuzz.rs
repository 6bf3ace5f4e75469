//! Damaged locks: never a panic, and never a key that is not the lock's. As a plain test each target runs for a
//! second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_cluster::{NodeKeys, Seal, combine, deal, seal};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_types::cluster::{
    Creator, Definition, Lock, LowThreshold, NewDefinition, Operator, ValidatorAddresses, Version,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::NETWORKS;
use mutate::mutate;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const NODES: usize = 4;
const VALIDATORS: usize = 2;

/// A lock, and the keys of its nodes.
fn cluster() -> (Lock, Vec<Vec<SecretKey>>) {
    let mut rng = StdRng::seed_from_u64(11);
    let address = "0x388C818CA8B9251b393131C08a736A67ccB19297";
    let addresses = ValidatorAddresses { fee_recipient: address.into(), withdrawal: address.into() };
    let from = NewDefinition {
        name: "damaged".into(),
        uuid: "0194FDC2-FA2F-4CC0-81D3-FF12045B73C8".into(),
        timestamp: "2026-11-26T22:18:49Z".into(),
        version: Version::newest(),
        creator: Creator::default(),
        operators: vec![Operator::default(); NODES],
        threshold: None,
        validators: vec![addresses; VALIDATORS],
        dkg_algorithm: "default".into(),
        deposit_amounts: Vec::new(),
        consensus_protocol: String::new(),
        target_gas_limit: 60_000_000,
        rewards: Rewards::PaidOut,
    };
    let network = &NETWORKS[0];
    let definition = Definition::new(from, network, LowThreshold::Refuse).expect("a definition");
    let nodes: Vec<IdentityKey> = (0..NODES).map(|_| IdentityKey::generate(&mut rng)).collect();
    let secrets: Vec<SecretKey> = (0..VALIDATORS).map(|_| SecretKey::generate(&mut rng)).collect();
    let shares = deal(&secrets, 4, definition.threshold, &mut rng).expect("shares");
    let parts = Seal {
        definition,
        network,
        secrets: &secrets,
        shares: &shares,
        nodes: &nodes,
        registered_at: 1_742_213_400,
    };
    (seal(parts).expect("a cluster").lock, shares)
}

/// The keys of the nodes whose bit is set.
fn chosen(shares: &[Vec<SecretKey>], bits: u8) -> Vec<NodeKeys> {
    let nodes = shares.iter().enumerate().filter(|(node, _)| bits & (1 << node) != 0);
    nodes.map(|(node, keys)| NodeKeys { from: format!("node{node}"), secrets: keys.clone() }).collect()
}

/// Combines; whatever keys come of it are those that the lock names.
#[track_caller]
fn check(lock: &Lock, nodes: &[NodeKeys]) -> bool {
    match combine(lock, nodes) {
        Ok(secrets) => {
            assert_eq!(secrets.len(), lock.validators.len());
            for (secret, validator) in secrets.iter().zip(&lock.validators) {
                assert_eq!(secret.public().to_bytes()[..], *validator.public_key);
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

const WORDS: &[&str] =
    &["null", "[]", "{}", "\"\"", "\"0x\"", "0", "1", "255", "18446744073709551615", "-1", "0x", ","];

#[test]
fn damaged_texts_of_locks() {
    let (lock, shares) = cluster();
    let text = lock.to_json().expect("a lock");
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((bits, script)) = script.split_first() else { return };
        let damaged = mutate(text.as_bytes(), script, WORDS);
        if let Ok(read) = Lock::parse(&damaged) {
            check(&read, &chosen(&shares, *bits));
        }
    });
}

/// One thing that may be wrong with a lock that can be read.
#[derive(Clone, Debug)]
enum Damage {
    Threshold(u64),
    NoValidators,
    ValidatorTwice,
    ShareGone(usize),
    ShareTwice(usize, usize),
    SharesSwapped(usize, usize),
    Share(usize, Vec<u8>),
    Key(Vec<u8>),
    KeysSwapped,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 0..100)];
    let node = || 0..NODES;
    prop_oneof![
        prop_oneof![0_u64..8, any::<u64>()].prop_map(Damage::Threshold),
        Just(Damage::NoValidators),
        Just(Damage::ValidatorTwice),
        node().prop_map(Damage::ShareGone),
        (node(), node()).prop_map(|(from, to)| Damage::ShareTwice(from, to)),
        (node(), node()).prop_map(|(one, other)| Damage::SharesSwapped(one, other)),
        (node(), bytes()).prop_map(|(node, bytes)| Damage::Share(node, bytes)),
        bytes().prop_map(Damage::Key),
        Just(Damage::KeysSwapped),
    ]
}

fn apply(damage: &Damage, lock: &mut Lock) {
    let Some(last) = lock.validators.last().cloned() else { return };
    let shares = &mut lock.validators[0].public_shares;
    match damage {
        Damage::Threshold(threshold) => lock.definition.threshold = *threshold,
        Damage::NoValidators => lock.validators.clear(),
        Damage::ValidatorTwice => lock.validators.push(last),
        Damage::ShareGone(node) if *node < shares.len() => drop(shares.remove(*node)),
        Damage::ShareTwice(from, to) if (*from).max(*to) < shares.len() => {
            shares[*to] = shares[*from].clone()
        }
        Damage::SharesSwapped(one, other) if (*one).max(*other) < shares.len() => shares.swap(*one, *other),
        Damage::Share(node, bytes) if *node < shares.len() => shares[*node] = bytes.clone().into(),
        Damage::ShareGone(_) | Damage::ShareTwice(..) | Damage::SharesSwapped(..) | Damage::Share(..) => {}
        Damage::Key(bytes) => lock.validators[0].public_key = bytes.clone().into(),
        Damage::KeysSwapped => lock.validators[0].public_key = last.public_key,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_locks(damages in proptest::collection::vec(damage(), 0..4), bits in 0_u8..16) {
        let (mut lock, shares) = cluster();
        for damage in &damages {
            apply(damage, &mut lock);
        }
        let gave = check(&lock, &chosen(&shares, bits));
        if damages.is_empty() {
            prop_assert_eq!(gave, bits.count_ones() >= 3);
        }
    }
}
