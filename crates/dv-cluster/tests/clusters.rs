//! Clusters that others made are made again of their keys, byte for byte; clusters of every version are made, verified
//! and taken apart; and what is refused.

#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use coxswain_dv_cluster::{
    CombineError, NodeKeys, Seal, SealError, Sealed, combine, deal, keystore, seal, seal_with,
};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_keystore::{Cost, parse};
use coxswain_dv_types::cluster::{
    Creator, Definition, Each, Lock, LowThreshold, NewDefinition, Operator, VERSIONS, ValidatorAddresses,
    Version,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::{NETWORKS, Network, Networks};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// The network that one of the runs was made for.
fn own_network() -> Network {
    Network {
        name: "coxnet".into(),
        chain_id: 777,
        genesis_fork_version: [0x12, 0x34, 0x56, 0x78],
        capella_fork_version: None,
        genesis_time: 1_700_000_000,
        ..NETWORKS[0].clone()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys in a node's directory, in the order of their positions.
fn keys(dir: &Path, name: &str) -> Vec<SecretKey> {
    (0..)
        .map(|position| dir.join(format!("validator_keys/{name}{position}.json")))
        .take_while(|path| path.exists())
        .map(|path| {
            let keystore = parse(text(&path).as_bytes()).expect("a keystore");
            let secret = keystore.decrypt(&text(&path.with_extension("txt"))).expect("its password");
            SecretKey::from_bytes(&*secret).expect("a key")
        })
        .collect()
}

/// The node directories of a cluster.
fn node_dirs(cluster: &Path) -> Vec<PathBuf> {
    (0..).map(|node| cluster.join(format!("node{node}"))).take_while(|dir| dir.exists()).collect()
}

#[test]
fn clusters_of_others_are_made_again() {
    let Some(runs) = support::vectors("charon/runs") else { return };
    let networks = Networks::with(own_network());
    let folders = [
        ("create-v1.11-n4", "keystore-"),
        ("create-v1.11-n4-split", "keystore-insecure-"),
        ("create-v1.11-n4-testnet", "keystore-insecure-"),
        ("create-v1.11-n7-compounding", "keystore-insecure-"),
        ("create-v1.10-n4", "keystore-"),
        ("create-old-definitions/v1.5", "keystore-"),
        ("create-old-definitions/v1.6", "keystore-"),
        ("create-old-definitions/v1.8", "keystore-"),
    ];
    for (folder, name) in folders {
        let dirs = node_dirs(&runs.join(folder));
        let lock_text = text(&dirs[0].join("cluster-lock.json"));
        let lock = Lock::parse(lock_text.as_bytes()).expect(folder);
        let nodes: Vec<IdentityKey> = dirs
            .iter()
            .map(|dir| IdentityKey::parse(&text(&dir.join("charon-enr-private-key"))).expect(folder))
            .collect();
        let shares: Vec<Vec<SecretKey>> = dirs.iter().map(|dir| keys(dir, name)).collect();
        let found: Vec<NodeKeys> = shares
            .iter()
            .map(|secrets| NodeKeys { from: folder.to_owned(), secrets: secrets.clone() })
            .collect();
        let secrets = combine(&lock, &found[1..]).expect(folder);
        let network =
            networks.of(<[u8; 4]>::try_from(&*lock.definition.fork_version).expect(folder)).expect(folder);
        let registered_at = lock.validators[0].registration.timestamp;
        let definition = lock.definition.clone();
        let made = seal(Seal {
            definition,
            network,
            secrets: &secrets,
            shares: &shares,
            nodes: &nodes,
            registered_at,
        })
        .expect(folder);
        assert_eq!(made.lock.to_json().expect(folder), lock_text, "{folder}: the lock");
        assert!(made.deposits.len() >= 2, "{folder}");
        for file in &made.deposits {
            assert_eq!(file.text, text(&dirs[0].join(&file.name)), "{folder}: {}", file.name);
        }
    }
}

const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const WITHDRAWAL: &str = "0x000000000000000000000000000000000000dEaD";

fn definition(
    version: &'static Version,
    nodes: usize,
    validators: usize,
    threshold: Option<u64>,
) -> Definition {
    let addresses = ValidatorAddresses { fee_recipient: FEE.into(), withdrawal: WITHDRAWAL.into() };
    let from = NewDefinition {
        name: "a <test> & more".into(),
        uuid: "0194FDC2-FA2F-4CC0-81D3-FF12045B73C8".into(),
        timestamp: "2026-11-26T22:18:49Z".into(),
        version,
        creator: Creator::default(),
        operators: vec![Operator::default(); nodes],
        threshold,
        validators: vec![addresses; validators],
        dkg_algorithm: "default".into(),
        deposit_amounts: Vec::new(),
        consensus_protocol: String::new(),
        target_gas_limit: if version.has_gas_limit { 60_000_000 } else { 0 },
        rewards: Rewards::PaidOut,
    };
    Definition::new(from, &NETWORKS[5], LowThreshold::Refuse).expect("a definition")
}

struct Made {
    secrets: Vec<SecretKey>,
    shares: Vec<Vec<SecretKey>>,
    sealed: Sealed,
}

fn made(definition: Definition, rng: &mut StdRng) -> Made {
    let nodes: Vec<IdentityKey> = definition.operators.iter().map(|_| IdentityKey::generate(rng)).collect();
    let secrets: Vec<SecretKey> = definition.validators.iter().map(|_| SecretKey::generate(rng)).collect();
    let count = u64::try_from(nodes.len()).expect("few");
    let shares = deal(&secrets, count, definition.threshold, rng).expect("shares");
    let sealed = seal(Seal {
        definition,
        network: &NETWORKS[5],
        secrets: &secrets,
        shares: &shares,
        nodes: &nodes,
        registered_at: 1_742_213_400,
    })
    .expect("a cluster");
    Made { secrets, shares, sealed }
}

fn found(made: &Made, nodes: impl IntoIterator<Item = usize>) -> Vec<NodeKeys> {
    nodes
        .into_iter()
        .map(|node| NodeKeys { from: format!("node{node}"), secrets: made.shares[node].clone() })
        .collect()
}

fn bytes(secrets: &[SecretKey]) -> Vec<[u8; 32]> {
    secrets.iter().map(|secret| *secret.to_bytes()).collect()
}

#[test]
fn every_version_that_has_validators_of_its_own_verifies() {
    let mut rng = StdRng::seed_from_u64(1);
    for version in VERSIONS {
        let made = made(definition(version, 4, 2, None), &mut rng);
        let text = made.sealed.lock.to_json().expect(version.name);
        let read = Lock::parse(text.as_bytes()).expect(version.name);
        let questions = read.verify(&Networks::default()).expect(version.name);
        assert!(questions.is_empty(), "{}", version.name);
        let names: Vec<&str> = made.sealed.deposits.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["deposit-data-1eth.json", "deposit-data.json"]);
        let secrets = combine(&read, &found(&made, [3, 0, 2])).expect(version.name);
        assert_eq!(bytes(&secrets), bytes(&made.secrets), "{}", version.name);
    }
}

/// Backwards, on threads, some of it, or none: what is left out is done nevertheless.
fn orders() -> [Each<'static>; 4] {
    [
        &|count, work| (0..count).rev().for_each(work),
        &|count, work| {
            std::thread::scope(|scope| (0..count).for_each(|at| drop(scope.spawn(move || work(at)))));
        },
        &|count, work| [count, count / 2, 0].into_iter().for_each(work),
        &|_, _| (),
    ]
}

#[test]
fn a_cluster_is_the_same_whoever_makes_its_parts_in_which_order() {
    let mut rng = StdRng::seed_from_u64(5);
    let (nodes, validators) = (4, 5);
    let made = made(definition(Version::newest(), nodes, validators, None), &mut rng);
    let identities: Vec<IdentityKey> = (0..nodes).map(|_| IdentityKey::generate(&mut rng)).collect();
    let parts = || Seal {
        definition: definition(Version::newest(), nodes, validators, None),
        network: &NETWORKS[5],
        secrets: &made.secrets,
        shares: &made.shares,
        nodes: &identities,
        registered_at: 1_742_213_400,
    };
    let expected = seal(parts()).expect("a cluster");
    let backwards = seal_with(parts(), |count, work| {
        let mut pieces: Vec<_> = (0..count).rev().map(work).collect();
        pieces.reverse();
        pieces
    });
    let backwards = backwards.expect("a cluster");
    assert_eq!((&backwards.lock, &backwards.deposits), (&expected.lock, &expected.deposits));
    let too_few = seal_with(parts(), |_, work| vec![work(0)]).expect_err("one of five");
    assert_eq!(too_few.to_string(), "there are 1 validators, and 5 are needed");

    let networks = Networks::default();
    let check = |lock: &Lock| {
        let verdict = lock.verify(&networks);
        for order in orders() {
            assert_eq!(lock.verify_on(&networks, order), verdict);
        }
        verdict.map_err(|problem| problem.to_string())
    };
    assert_eq!(check(&expected.lock), Ok(Vec::new()));
    let damaged = |damage: &dyn Fn(&mut Lock)| {
        let mut lock = expected.lock.clone();
        damage(&mut lock);
        check(&lock.with_hashes().expect("it has hashes")).expect_err("damaged")
    };
    // Of several things that are wrong the first is named, whatever is seen first.
    let shares = damaged(&|lock| {
        lock.validators[1].public_shares.swap(0, 1);
        lock.validators[3].public_key = Vec::new().into();
    });
    assert!(shares.starts_with("distributed_validators[1].public_shares["), "{shares}");
    let twice = damaged(&|lock| lock.validators[4] = lock.validators[2].clone());
    assert!(twice.starts_with("distributed_validators[4].distributed_public_key: "), "{twice}");
    assert!(twice.contains("distributed_validators[2]"), "{twice}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn enough_nodes_in_any_order_give_the_keys(
        seed in any::<u64>(),
        nodes in 3_usize..9,
        validators in 1_usize..4,
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let made = made(definition(Version::newest(), nodes, validators, None), &mut rng);
        let lock = &made.sealed.lock;
        let threshold = usize::try_from(lock.definition.threshold).expect("few");
        let chosen: Vec<usize> = order.into_iter().filter(|node| *node < nodes).collect();
        for count in threshold..=nodes {
            let secrets = combine(lock, &found(&made, chosen[..count].iter().copied())).expect("enough");
            prop_assert_eq!(bytes(&secrets), bytes(&made.secrets));
        }
        let too_few = combine(lock, &found(&made, chosen[..threshold - 1].iter().copied()));
        prop_assert_eq!(
            too_few.err(),
            Some(CombineError::TooFew { threshold: lock.definition.threshold, found: threshold - 1 })
        );
    }
}

#[test]
fn keys_that_do_not_belong_are_refused() {
    let mut rng = StdRng::seed_from_u64(2);
    let made = made(definition(Version::newest(), 4, 2, None), &mut rng);
    let lock = &made.sealed.lock;
    let error = |nodes: Vec<NodeKeys>| combine(lock, &nodes).map(|_| ()).expect_err("refused").to_string();

    assert_eq!(error(found(&made, [0, 1, 1])), "node1 and node1 have the same share of validator 0");
    let mut nodes = found(&made, [0, 1, 2]);
    nodes[1].secrets.swap(0, 1);
    assert_eq!(error(nodes), "node1: the key of validator 0 is none of its shares in the lock");
    let mut nodes = found(&made, [0, 1, 2]);
    nodes[2].secrets[1] = SecretKey::generate(&mut rng);
    assert_eq!(error(nodes), "node2: the key of validator 1 is none of its shares in the lock");
    let mut nodes = found(&made, [0, 1, 2]);
    nodes[0].secrets.pop();
    assert_eq!(error(nodes), "node0 has 1 keys, and the lock has 2 validators");

    // A lock that lies about its key: nobody gets one that is not the validator's.
    let mut lying = lock.clone();
    lying.validators[1].public_key = lying.validators[0].public_key.clone();
    let Err(CombineError::Another { position: 1, .. }) = combine(&lying, &found(&made, [0, 1, 2])) else {
        panic!("it is refused");
    };
}

#[test]
fn a_cluster_needs_one_of_each() {
    let mut rng = StdRng::seed_from_u64(3);
    let definition = definition(Version::newest(), 4, 2, None);
    let nodes: Vec<IdentityKey> = (0..4).map(|_| IdentityKey::generate(&mut rng)).collect();
    let secrets: Vec<SecretKey> = (0..2).map(|_| SecretKey::generate(&mut rng)).collect();
    let shares = deal(&secrets, 4, 3, &mut rng).expect("shares");
    let error =
        |definition: &Definition, secrets: &[SecretKey], shares: &[Vec<SecretKey>], nodes: &[IdentityKey]| {
            let parts = Seal {
                definition: definition.clone(),
                network: &NETWORKS[5],
                secrets,
                shares,
                nodes,
                registered_at: 0,
            };
            seal(parts).map(|_| ()).expect_err("refused").to_string()
        };
    assert_eq!(error(&definition, &secrets[..1], &shares, &nodes), "there are 1 secrets, and 2 are needed");
    assert_eq!(
        error(&definition, &secrets, &shares[..3], &nodes),
        "there are 3 nodes with shares, and 4 are needed"
    );
    assert_eq!(error(&definition, &secrets, &shares, &nodes[1..]), "there are 3 node keys, and 4 are needed");
    let mut twice = nodes.clone();
    twice[3] = nodes[0].clone();
    assert!(
        error(&definition, &secrets, &shares, &twice).contains("same"),
        "{}",
        error(&definition, &secrets, &shares, &twice)
    );
    let mut nowhere = definition.clone();
    nowhere.validators[1].withdrawal = "0x12".into();
    let said = error(&nowhere, &secrets, &shares, &nodes);
    assert!(said.starts_with("validators[1].withdrawal_address: "), "{said}");
    let mut signed = definition;
    signed.operators[2].address = FEE.into();
    let said = error(&signed, &secrets, &shares, &nodes);
    assert!(said.contains(FEE), "{said}");
}

#[test]
fn keystores_open_with_their_passwords() {
    let mut rng = StdRng::seed_from_u64(4);
    let secret = SecretKey::generate(&mut rng);
    let files = keystore(7, &secret, Cost::Insecure, &mut rng);
    assert_eq!(
        (files.name.as_str(), files.password_name.as_str()),
        ("keystore-insecure-7.json", "keystore-insecure-7.txt")
    );
    let read = parse(files.text.as_bytes()).expect("a keystore");
    assert_eq!(*read.decrypt(&files.password).expect("its password"), *secret.to_bytes());
    let again = keystore(7, &secret, Cost::Insecure, &mut rng);
    assert_ne!(files.password, again.password);
    assert_ne!(files.text, again.text);
    let normal = keystore(0, &secret, Cost::Normal, &mut rng);
    assert_eq!(normal.name, "keystore-0.json");
    assert!(normal.text.contains("\"c\": 262144"));
}

/// Only the error's type is named here: that its texts are read by people is seen above.
#[test]
fn errors_have_no_secrets() {
    let mut rng = StdRng::seed_from_u64(5);
    let secret = SecretKey::generate(&mut rng);
    let node = NodeKeys { from: "node0".into(), secrets: vec![secret.clone()] };
    let made = made(definition(Version::newest(), 4, 1, None), &mut rng);
    let mut nodes = found(&made, [0, 1]);
    nodes.push(node);
    let error = combine(&made.sealed.lock, &nodes).map(|_| ()).expect_err("refused");
    let shown = format!("{error} {error:?}");
    let hex: String = secret.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&hex));
    assert!(matches!(
        SealError::from(coxswain_dv_crypto::bls::BlsError::Threshold { shares: 1, threshold: 2 }),
        SealError::Key(_)
    ));
}
