//! What is written here is read by implementations of others: keystores, deposits, registrations and locks.
//!
//! `tests/foreign/install` puts them into a cache; a test that does not find them there says so.

#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coxswain_dv_cluster::{Seal, deal, keystore, seal};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_keystore::Cost;
use coxswain_dv_types::cluster::{
    Creator, Definition, LowThreshold, NewDefinition, Operator, ValidatorAddresses, Version,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::{NETWORKS, Network, Networks};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// The status by which the check says that it has nothing to check with.
const NOT_THERE: i32 = 77;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the others say to the cluster in a directory; none where they are not here. Ends within two minutes.
fn check(dir: &Path) -> Option<Result<String, String>> {
    let program = root().join("tests/foreign/check");
    let output = Command::new(&program).arg(dir).output().expect("a program of the repository");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.code() == Some(NOT_THERE) {
        println!("skipped: checks by others: {said}");
        return None;
    }
    let also = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { Ok(said) } else { Err(format!("{said}{also}")) })
}

/// One shape of a cluster.
struct Shape {
    network: &'static Network,
    nodes: usize,
    validators: usize,
    rewards: Rewards,
    amounts: Vec<u64>,
    cost: Cost,
}

fn definition(shape: &Shape) -> Definition {
    let addresses = ValidatorAddresses {
        fee_recipient: "0x388C818CA8B9251b393131C08a736A67ccB19297".into(),
        withdrawal: "0x000000000000000000000000000000000000dEaD".into(),
    };
    let from = NewDefinition {
        name: "checked by others".into(),
        uuid: "0194FDC2-FA2F-4CC0-81D3-FF12045B73C8".into(),
        timestamp: "2026-11-26T22:18:49Z".into(),
        version: Version::newest(),
        creator: Creator::default(),
        operators: vec![Operator::default(); shape.nodes],
        threshold: None,
        validators: vec![addresses; shape.validators],
        dkg_algorithm: "default".into(),
        deposit_amounts: shape.amounts.clone(),
        consensus_protocol: String::new(),
        target_gas_limit: 60_000_000,
        rewards: shape.rewards,
    };
    Definition::new(from, shape.network, LowThreshold::Refuse).expect("a definition")
}

/// Writes the files of a new cluster.
fn write(shape: &Shape, dir: &Path) {
    let mut rng = StdRng::seed_from_u64(u64::try_from(shape.nodes).expect("few"));
    let definition = definition(shape);
    let nodes: Vec<IdentityKey> = (0..shape.nodes).map(|_| IdentityKey::generate(&mut rng)).collect();
    let secrets: Vec<SecretKey> = (0..shape.validators).map(|_| SecretKey::generate(&mut rng)).collect();
    let count = u64::try_from(shape.nodes).expect("few");
    let shares = deal(&secrets, count, definition.threshold, &mut rng).expect("shares");
    let registered_at = shape.network.genesis_time;
    let parts = Seal {
        definition,
        network: shape.network,
        secrets: &secrets,
        shares: &shares,
        nodes: &nodes,
        registered_at,
    };
    let sealed = seal(parts).expect("a cluster");
    let save = |path: PathBuf, text: &str| fs::write(path, text).expect("a file is written");
    save(dir.join("cluster-lock.json"), &sealed.lock.to_json().expect("a lock"));
    for file in &sealed.deposits {
        save(dir.join(&file.name), &file.text);
    }
    for (node, secrets) in shares.iter().enumerate() {
        let keys = dir.join(format!("node{node}/validator_keys"));
        fs::create_dir_all(&keys).expect("a directory is made");
        for (position, secret) in (0..).zip(secrets) {
            let files = keystore(position, secret, shape.cost, &mut rng);
            save(keys.join(files.name), &files.text);
            save(keys.join(files.password_name), &files.password);
        }
    }
}

fn small() -> Shape {
    Shape {
        network: &NETWORKS[5],
        nodes: 4,
        validators: 2,
        rewards: Rewards::PaidOut,
        amounts: Vec::new(),
        cost: Cost::Insecure,
    }
}

#[test]
fn clusters_are_good_in_the_eyes_of_others() {
    let networks = Networks::default();
    let of = |name: &str| {
        let genesis = networks.named(name).expect("a known network").genesis_fork_version;
        NETWORKS.iter().find(|network| network.genesis_fork_version == genesis).expect("the same")
    };
    let shapes = [
        (small(), "checked: 8 keystores, 4 deposits, 2 registrations, 2 keys, 4 signatures"),
        (
            Shape { network: of("mainnet"), nodes: 3, validators: 1, cost: Cost::Normal, ..small() },
            "checked: 3 keystores, 2 deposits, 1 registrations, 1 keys, 3 signatures",
        ),
        (
            Shape {
                network: of("sepolia"),
                nodes: 7,
                validators: 3,
                rewards: Rewards::Compounding,
                amounts: vec![8_000_000_000, 32_000_000_000, 256_000_000_000],
                ..small()
            },
            "checked: 21 keystores, 9 deposits, 3 registrations, 3 keys, 7 signatures",
        ),
    ];
    for (shape, expected) in shapes {
        let dir = tempfile::tempdir().expect("a directory");
        write(&shape, dir.path());
        let Some(said) = check(dir.path()) else { return };
        assert_eq!(said, Ok(expected.to_owned()));
    }
}

/// Changes one file; the text must be in it.
#[track_caller]
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("a file is written");
}

/// The text after a key of JSON, up to so many characters.
fn value(path: &Path, key: &str, length: usize) -> String {
    let text = fs::read_to_string(path).expect("a file");
    let start = text.find(key).expect("a key") + key.len();
    text[start..start + length].to_owned()
}

/// What others say, and the damage of which they say it.
type Damage = (&'static str, fn(&Path));

/// Else nothing above would be known.
#[test]
fn what_is_damaged_is_bad_in_the_eyes_of_others() {
    let damages: [Damage; 5] = [
        ("wrong: the password of node2/keystore-insecure-1.json", |dir| {
            fs::write(dir.join("node2/validator_keys/keystore-insecure-1.txt"), "another").expect("written");
        }),
        ("wrong: deposit_message_root in deposit-data.json is", |dir| {
            edit(&dir.join("deposit-data.json"), "32000000000", "31000000000");
        }),
        ("wrong: deposit_data_root in deposit-data.json is", |dir| {
            let path = dir.join("deposit-data.json");
            let digits = value(&path, "\"signature\": \"", 96);
            edit(&path, &digits[90..], if digits.ends_with('0') { "000001" } else { "000000" });
        }),
        ("wrong: the signature of a registration", |dir| {
            edit(&dir.join("cluster-lock.json"), "\"gas_limit\": 60000000", "\"gas_limit\": 60000001");
        }),
        ("wrong: the signature of all shares", |dir| {
            let path = dir.join("cluster-lock.json");
            let digits = value(&path, "\"lock_hash\": \"0x", 64);
            let other: String = digits.chars().rev().collect();
            edit(&path, &format!("\"lock_hash\": \"0x{digits}"), &format!("\"lock_hash\": \"0x{other}"));
        }),
    ];
    for (expected, damage) in damages {
        let dir = tempfile::tempdir().expect("a directory");
        write(&small(), dir.path());
        damage(dir.path());
        let Some(said) = check(dir.path()) else { return };
        let said = said.expect_err(expected);
        assert!(said.starts_with(expected), "{said}, not {expected}");
    }
}

/// Files of others are good as well, so that the check asks for no more than others keep to.
#[test]
fn clusters_of_others_are_good_as_well() {
    let vectors =
        std::env::var_os("COXSWAIN_VECTORS").map_or_else(|| root().join("../shared/vectors"), PathBuf::from);
    let run = vectors.join("charon/runs/create-v1.11-n7-compounding");
    if !run.exists() {
        println!("skipped: {} is not here", run.display());
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let copy = |from: PathBuf, to: PathBuf| {
        fs::create_dir_all(&to).expect("a directory is made");
        for entry in fs::read_dir(&from).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        }
    };
    copy(run.join("node0"), dir.path().to_owned());
    for node in 0..7 {
        let keys = format!("node{node}/validator_keys");
        copy(run.join(&keys), dir.path().join(&keys));
    }
    let Some(said) = check(dir.path()) else { return };
    assert_eq!(
        said.as_deref(),
        Ok("checked: 14 keystores, 8 deposits, 2 registrations, 2 keys, 7 signatures")
    );
}
