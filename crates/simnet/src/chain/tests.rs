//! Settings, seeds and what else is inside.

use std::time::Duration;

use coxswain_dv_crypto::bls::SecretKey;

use super::*;

pub(super) fn settings(n: u8) -> Settings {
    let key = |index: u8| {
        let mut secret = [0; 32];
        secret[31] = index + 1;
        Bytes48::from(SecretKey::from_bytes(&secret).expect("a key").public().to_bytes())
    };
    Settings::new(Time::from_secs(100), Duration::from_secs(12), (0..n).map(key).collect())
}

#[track_caller]
fn check(change: impl FnOnce(&mut Settings), expected: &str) {
    let mut settings = settings(3);
    change(&mut settings);
    let Err(error) = Chain::new(settings) else { panic!("settings are accepted: {expected}") };
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn settings_are_checked() {
    check(|s| s.slot = Duration::from_millis(199), "the slot in milliseconds is 199, which is not from 200");
    check(|s| s.genesis = Time::from_millis(1001), "what genesis has beyond whole seconds");
    check(|s| s.others = 513, "the number of others is 513");
    check(|s| s.slots_per_epoch = 1, "slots of an epoch is 1");
    check(|s| s.slots_per_epoch = 65, "slots of an epoch is 65");
    check(|s| s.validators.clear(), "the number of validators is 0");
    check(|s| s.committees_per_slot = 0, "committees of a slot is 0");
    check(|s| s.sync.seats = 513, "the number of seats is 513");
    check(|s| s.sync.period_epochs = 0, "the period in epochs is 0");
    check(|s| s.blobs = 10, "the number of blobs is 10");
    check(|s| s.transaction_bytes = 3 << 20, "bytes of transactions");
    check(|s| s.validators[1] = s.validators[0], "validators 0 and 1 have the same public key 0x");
    check(|s| s.validators[2] = Bytes48::from([0xff; 48]), "validator 2 has no usable public key");
}

/// Chains are told apart by seed and validators, in what is signed too.
#[test]
fn chains_are_told_apart() {
    let root = |settings: Settings| Chain::new(settings).expect("a chain").spec().genesis_validators_root;
    assert_eq!(root(settings(3)), root(settings(3)));
    assert_ne!(root(settings(3)), root(settings(4)));
    assert_ne!(root(settings(3)), root(Settings { seed: 1, ..settings(3) }));
}

/// A clock that jumps, ahead or back, does no harm, and what is kept stays bounded.
#[test]
fn time_may_jump() {
    let mut chain = Chain::new(settings(3)).expect("a chain");
    let at = |slot: u64| Time::from_secs(100 + slot * 12);
    chain.tick(Time::from_secs(0));
    assert_eq!(chain.slot, None);
    chain.tick(at(5_000));
    assert_eq!(chain.slot, Some(5_000));
    chain.tick(at(10));
    assert_eq!(chain.slot, Some(5_000));
    chain.tick(at(1_000_000));
    assert_eq!(chain.slot, Some(1_000_000));
    let epochs: Vec<u64> = chain.duties.keys().copied().collect();
    assert_eq!(epochs, [124_998, 124_999, 125_000, 125_001, 125_002]);
    assert!(chain.sync.len() <= 3, "{:?}", chain.sync.keys());
    assert!(chain.finality.len() <= 3);
}
