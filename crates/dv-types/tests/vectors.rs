//! What other programs computed and wrote.

#[path = "support/vectors.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::bls::{self, PublicKey, SecretKey, Signature};
use coxswain_dv_crypto::k1::{Address, IdentityKey};
use coxswain_dv_types::hash::{HashError, Hasher};
use coxswain_dv_types::network::{NETWORKS, Networks, fork_data_root};
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use coxswain_dv_types::{Root, deposit, enr};
use serde_json::Value as Json;
use support::vectors;

fn json(path: &Path) -> Json {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a text")
}

fn bytes(json: &Json) -> Vec<u8> {
    let text = text(json);
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).expect("hex")
}

fn size(json: &Json) -> usize {
    usize::try_from(json.as_u64().expect("a number")).expect("small")
}

/// One vector of the helpers: a value, alone or behind another.
fn helper(vector: &Json) -> Result<Root, HashError> {
    Hasher::root(|hasher| {
        if let Some(before) = vector.get("before") {
            match (before.get("put_bytes"), before.get("put_uint64")) {
                (Some(first), _) => hasher.put(&bytes(first)),
                (None, Some(first)) => hasher.put_number(first.as_u64().expect("a number")),
                (None, None) => panic!("{before}"),
            }
        }
        match text(&vector["op"]) {
            "byte_list" => hasher.put_list(&bytes(&vector["value"]), size(&vector["limit"])),
            "bytes_n" => hasher.put_left(&bytes(&vector["value"]), size(&vector["n"])),
            "hex_bytes20" => hasher.put_address(text(&vector["value"])),
            other => panic!("{other}"),
        }
    })
}

#[test]
fn helpers_of_hashing() {
    let Some(folder) = vectors("charon/cluster") else { return };
    let file = json(&folder.join("ssz_helpers.json"));
    let all = file["vectors"].as_array().expect("a list");
    assert!(all.len() > 10);
    for vector in all {
        assert_eq!(helper(vector).expect("fits").to_vec(), bytes(&vector["expected"]), "{vector}");
    }
}

#[test]
fn networks_and_their_domains() {
    let Some(folder) = vectors("charon/eth2util") else { return };
    let file = json(&folder.join("networks.json"));
    let all = file["networks"].as_array().expect("a list");
    assert_eq!(all.len(), NETWORKS.len());
    for expected in all {
        let name = text(&expected["name"]);
        let network = Networks::default().named(name).cloned().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(Some(network.chain_id), expected["chain_id"].as_u64(), "{name}");
        assert_eq!(Some(network.genesis_time), expected["genesis_time"].as_u64(), "{name}");
        assert_eq!(Some(network.slot_seconds), expected["slot_seconds"].as_u64(), "{name}");
        assert_eq!(network.genesis_fork_version.to_vec(), bytes(&expected["genesis_fork_version"]), "{name}");
        let capella = network.capella_fork_version.map(Vec::from);
        assert_eq!(capella, Some(bytes(&expected["capella_fork_version"])), "{name}");
        assert_eq!(network.deposit_domain().to_vec(), bytes(&expected["domain_deposit"]), "{name}");
        assert_eq!(
            network.builder_domain().to_vec(),
            bytes(&expected["domain_application_builder"]),
            "{name}"
        );
    }
    let roots = json(&folder.join("ssz_roots.json"));
    for vector in roots["fork_data_root"].as_array().expect("a list") {
        let version = bytes(&vector["current_version"]).try_into().expect("four bytes");
        let validators = bytes(&vector["genesis_validators_root"]).try_into().expect("32 bytes");
        assert_eq!(fork_data_root(version, &validators).to_vec(), bytes(&vector["root"]));
    }
}

/// Every deposit file below a folder.
fn deposit_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            deposit_files(&path, found);
        } else if name.starts_with("deposit-data") && name.ends_with(".json") {
            found.push(path);
        }
    }
}

/// Files of real runs: their roots are ours, their text is ours byte for byte, and their name is that of the amount.
#[test]
fn deposit_files_of_others_are_written_alike() {
    let mut files = Vec::new();
    for folder in ["charon/runs", "charon/derived/clusters"] {
        let Some(folder) = vectors(folder) else { return };
        deposit_files(&folder, &mut files);
    }
    assert!(files.len() > 20, "{}", files.len());
    for path in files {
        let shown = path.display();
        let text = fs::read(&path).expect("a file");
        let read = deposit::parse(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let first = read.first().unwrap_or_else(|| panic!("{shown}: no deposit"));
        let mut network = Networks::default().of(first.fork_version).cloned().unwrap_or(NETWORKS[0].clone());
        network.genesis_fork_version = first.fork_version;
        network.name = first.network_name.clone().into();
        let deposits: Vec<_> = read.iter().map(|read| read.data.clone()).collect();
        let written =
            deposit::to_text(&deposits, &network).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(written.as_bytes(), text, "{shown}");
        let name = deposit::file_name(first.data.message.amount);
        assert!(path.ends_with(&name), "{shown}: {name}");
    }
}

#[test]
fn the_file_of_a_test_of_charons_is_read() {
    let Some(folder) = vectors("charon/eth2util/deposit") else { return };
    let text = fs::read(folder.join("TestMarshalDepositData.golden")).expect("a file");
    let read = deposit::parse(&text).expect("deposits");
    let deposits: Vec<_> = read.iter().map(|read| read.data.clone()).collect();
    let network = Networks::default().of(read[0].fork_version).expect("a known network").clone();
    assert_eq!(deposit::to_text(&deposits, &network).expect("one amount").as_bytes(), text);
}

#[test]
fn amounts_that_definitions_may_have() {
    use deposit::Rewards;
    let Some(folder) = vectors("charon/cluster") else { return };
    let file = json(&folder.join("deposit_amounts_on_parse.json"));
    for vector in file["vectors"].as_array().expect("a list") {
        let amounts: Vec<u64> = vector["deposit_amounts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|a| text(a).parse().expect("gwei"))
            .collect();
        let rewards = if vector["compounding"] == true { Rewards::Compounding } else { Rewards::PaidOut };
        assert_eq!(deposit::check_amounts(&amounts, rewards).is_ok(), vector["ok"] == true, "{vector}");
    }
}

#[test]
fn node_records() {
    let Some(folder) = vectors("charon/eth2util") else { return };
    let file = json(&folder.join("enr.json"));
    let all = file["vectors"].as_array().expect("a list");
    assert!(all.len() > 3);
    for vector in all {
        let parsed = enr::parse(text(&vector["enr"]));
        assert_eq!(parsed.is_ok(), vector["ok"] == true, "{vector}: {parsed:?}");
        let Ok(record) = parsed else { continue };
        if let Some(key) = vector.get("secp256k1") {
            assert_eq!(record.public().to_bytes().to_vec(), bytes(key), "{vector}");
        }
        for name in ["tcp", "udp"] {
            if let Some(port) = vector.get(name) {
                assert_eq!(record.number(name), port.as_u64(), "{vector}");
            }
        }
        let key = vector.get("private_key").map(|key| IdentityKey::parse(text(key)).expect("a key"));
        if let Some(key) = key.filter(|_| text(&vector["enr"]).starts_with("enr:-HW4Q")) {
            assert_eq!(enr::record(&key).text(), text(&vector["enr"]));
        }
    }
    let Some(folder) = vectors("charon/derived") else { return };
    for vector in json(&folder.join("enr.json"))["vectors"].as_array().expect("a list") {
        let record = enr::parse(text(&vector["enr"])).unwrap_or_else(|error| panic!("{vector}: {error}"));
        let key = IdentityKey::parse(text(&vector["private_key"])).expect("a key");
        assert_eq!(*record.public(), key.public(), "{vector}");
        assert_eq!(record.number("tcp"), vector.get("tcp").and_then(Json::as_u64), "{vector}");
        if vector.get("tcp").is_none() {
            assert_eq!(enr::record(&key).text(), text(&vector["enr"]));
        }
    }
}

/// Root, domain and signature of another program; the signature is the key's own.
#[test]
fn a_registration_is_signed_alike() {
    let Some(folder) = vectors("charon/eth2util") else { return };
    let file = json(&folder.join("registration.json"));
    let message = Registration {
        fee_recipient: Address::parse_strict(text(&file["message"]["fee_recipient"])).expect("an address"),
        gas_limit: text(&file["message"]["gas_limit"]).parse().expect("a number"),
        timestamp: text(&file["message"]["timestamp"]).parse().expect("a number"),
        pubkey: bytes(&file["message"]["pubkey"]).try_into().expect("48 bytes"),
    };
    let networks = Networks::default();
    let network = networks.named(text(&file["network"])).expect("a known network");
    assert_eq!(message.root().to_vec(), bytes(&file["message_root"]));
    assert_eq!(network.builder_domain().to_vec(), bytes(&file["domain"]));
    let root = message.signing_root(network);
    assert_eq!(root.to_vec(), bytes(&file["signing_root"]));
    let key = SecretKey::from_bytes(&bytes(&file["secret_key"])).expect("a key");
    let signature = key.sign(&root).to_bytes();
    assert_eq!(signature.to_vec(), bytes(&file["signature"]));
    let signed = SignedRegistration { message, signature };
    let json: Json = serde_json::from_str(&signed.to_json()).expect("JSON");
    assert_eq!(json["message"], file["message"]);
}

/// The deposits of real ceremonies and of `create cluster` are signed by their keys, over our signing roots.
#[test]
fn deposits_of_others_verify() {
    let Some(folder) = vectors("charon/runs") else { return };
    let mut files = Vec::new();
    deposit_files(&folder, &mut files);
    let mut verified = 0;
    for path in files {
        for read in deposit::parse(&fs::read(&path).expect("a file")).expect("deposits") {
            let networks = Networks::default();
            let mut network = networks.of(read.fork_version).unwrap_or(&NETWORKS[0]).clone();
            network.genesis_fork_version = read.fork_version;
            let message = &read.data.message;
            let key = PublicKey::from_bytes(&message.pubkey).expect("a key");
            let signature = Signature::from_bytes(&read.data.signature).expect("a signature");
            let root = message.signing_root(&network);
            assert!(bls::verify(&key, &root, &signature), "{}", path.display());
            verified += 1;
        }
    }
    assert!(verified > 20, "{verified}");
}
