//! Damaged locks: never a panic, and never a key that is not the lock's. As a plain test each target runs for a
//! second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

#[path = "support/made.rs"]
mod made;

use coxswain_dv_cluster::{NodeKeys, combine};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_types::cluster::Lock;
use made::{Cluster, NODES, THRESHOLD};
use mutate::mutate;
use proptest::prelude::*;

fn cluster() -> Cluster {
    made::cluster(11, "damaged", 1_742_213_400)
}

/// The keys of the nodes whose bit is set.
fn chosen(shares: &[Vec<SecretKey>], bits: u8) -> Vec<NodeKeys> {
    let nodes = shares.iter().enumerate().filter(|(node, _)| bits & (1 << node) != 0);
    nodes.map(|(node, keys)| NodeKeys { from: format!("node{node}"), secrets: keys.clone() }).collect()
}

/// Combines; whatever keys come of it are those that the lock names.
#[track_caller]
fn check(lock: &Lock, nodes: &[NodeKeys]) -> Option<Vec<SecretKey>> {
    match combine(lock, nodes) {
        Ok(secrets) => {
            assert_eq!(secrets.len(), lock.validators.len());
            for (secret, validator) in secrets.iter().zip(&lock.validators) {
                assert_eq!(secret.public().to_bytes()[..], *validator.public_key);
            }
            Some(secrets)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

const WORDS: &[&str] =
    &["null", "[]", "{}", "\"\"", "\"0x\"", "0", "1", "255", "18446744073709551615", "-1", "0x", ","];

#[test]
fn damaged_texts_of_locks() {
    let Cluster { lock, shares, .. } = cluster();
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
    let node = || 0..NODES as usize;
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
        let Cluster { mut lock, shares, secrets } = cluster();
        for damage in &damages {
            apply(damage, &mut lock);
        }
        let gave = check(&lock, &chosen(&shares, bits));
        if damages.is_empty() {
            prop_assert_eq!(gave.is_some(), u64::from(bits.count_ones()) >= THRESHOLD);
            let publics = |all: &[SecretKey]| all.iter().map(|one| one.public().to_bytes()).collect::<Vec<_>>();
            prop_assert_eq!(publics(&gave.unwrap_or_else(|| secrets.clone())), publics(&secrets));
        }
    }
}
