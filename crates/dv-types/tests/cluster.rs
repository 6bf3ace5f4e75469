//! Cluster files of others: read, verified and written again, byte for byte.

mod support;

use std::fs;
use std::path::Path;

use coxswain_dv_crypto::k1::{Address, IdentityKey, recover};
use coxswain_dv_types::cluster::{Creator, Definition, Lock, Operator, ValidatorAddresses, Version, Wrong};
use coxswain_dv_types::eip712::{self, Field, Value, config_digest, enr_digest, terms_digest};
use coxswain_dv_types::json::Bytes;
use coxswain_dv_types::network::Networks;
use coxswain_dv_types::text;
use serde_json::Value as Json;
use support::{files, networks, vectors};

fn json(path: &Path) -> Json {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn word(json: &Json) -> &str {
    json.as_str().expect("a text")
}

fn bytes(json: &Json) -> Vec<u8> {
    let text = word(json);
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).expect("hex")
}

fn is_lock(name: &str) -> bool {
    name.contains("lock") && name.ends_with(".json")
}

fn is_definition(name: &str) -> bool {
    name.contains("definition_v") || name.contains("cluster-definition")
}

/// Reads a file, checks its hashes, writes it.
fn rewrite(path: &Path, text: &[u8]) -> String {
    let shown = path.display();
    let name = path.file_name().expect("a file").to_string_lossy();
    if is_lock(&name) {
        let lock = Lock::parse(text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        lock.verify_hashes().unwrap_or_else(|problem| panic!("{shown}: {problem}"));
        lock.to_json().unwrap_or_else(|error| panic!("{shown}: {error}"))
    } else {
        let definition = Definition::parse(text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        definition.verify_hashes().unwrap_or_else(|problem| panic!("{shown}: {problem}"));
        definition.to_json().unwrap_or_else(|error| panic!("{shown}: {error}"))
    }
}

/// Files as programs wrote them: golden files, files of every version, and those of real clusters.
#[test]
fn what_others_wrote_is_written_alike() {
    for (folder, least) in [("charon/cluster/testdata", 16), ("charon/derived", 52), ("charon/runs", 50)] {
        let Some(folder) = vectors(folder) else { return };
        let files = files(&folder, |name| is_lock(name) || is_definition(name));
        assert!(files.len() >= least, "{}: {}", folder.display(), files.len());
        for (path, text) in files {
            let written = rewrite(&path, &text);
            assert!(written.as_bytes() == text, "{}:\n{written}", path.display());
        }
    }
}

/// Files that people formatted.
#[test]
fn examples_have_the_same_values() {
    let Some(folder) = vectors("charon/cluster/examples") else { return };
    let files = files(&folder, |_| true);
    assert_eq!(files.len(), 8);
    for (path, text) in files {
        let written: Json = serde_json::from_str(&rewrite(&path, &text)).expect("JSON");
        let read: Json = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(written, read, "{}", path.display());
    }
}

/// Everything that is signed in a real file verifies, and no contract has to be asked.
#[test]
fn real_files_verify() {
    let mut locks = 0;
    for folder in ["charon/cluster/examples", "charon/derived/clusters", "charon/runs"] {
        let Some(folder) = vectors(folder) else { return };
        for (path, text) in files(&folder, |name| is_lock(name) || is_definition(name)) {
            let shown = path.display().to_string();
            let questions = if is_lock(&path.file_name().expect("a file").to_string_lossy()) {
                locks += 1;
                Lock::parse(&text).expect("a lock").verify(&networks())
            } else {
                Definition::parse(&text).expect("a definition").verify(&networks())
            };
            let questions = questions.unwrap_or_else(|problem| panic!("{shown}: {problem}"));
            assert_eq!(questions, [], "{shown}");
        }
    }
    assert!(locks > 45, "{locks}");
}

/// A network of one's own has to be named.
#[test]
fn a_lock_of_an_unknown_network_is_refused() {
    let Some(file) = vectors("charon/runs/create-v1.11-n4-testnet/node0/cluster-lock.json") else { return };
    let lock = Lock::parse(&fs::read(file).expect("a file")).expect("a lock");
    let problem = lock.verify(&Networks::default()).expect_err("unknown").to_string();
    let expected = "cluster_definition.fork_version: no network is known with fork version 0x12345678; a network of one's \
                    own has to be named";
    assert_eq!(problem, expected);
}

/// The content was edited after signing.
#[test]
fn edited_contents_are_seen() {
    let Some(file) = vectors("charon/cluster/negative/lock_v1_10_hashes_do_not_match.json") else { return };
    let lock = Lock::parse(&fs::read(file).expect("a file")).expect("a lock");
    let definition = &lock.definition;
    assert_ne!(definition.compute_config_hash().expect("a hash"), *definition.config_hash);
    assert_ne!(definition.compute_definition_hash().expect("a hash"), *definition.definition_hash);
    assert_ne!(lock.compute_lock_hash().expect("a hash"), *lock.lock_hash);
    let problem = lock.verify(&networks()).expect_err("edited");
    assert_eq!(problem.path, "cluster_definition.config_hash");
    assert!(matches!(problem.wrong, Wrong::Hash { .. }), "{problem}");
}

/// One pair of addresses stands for every validator, and one number says how many there are.
#[test]
fn a_short_text_takes_little_memory() {
    let text = |count: u64, address: &str| {
        format!("{{\"version\":\"v1.0.0\",\"num_validators\":{count},\"withdrawal_address\":\"{address}\"}}")
    };
    let says =
        |text: String| Definition::parse(text.as_bytes()).map(|definition| definition.validators.len());
    assert_eq!(says(text(65_536, &"a".repeat(128))), Ok(65_536));
    let error = says(text(65_537, "")).expect_err("too many").to_string();
    assert_eq!(error, "num_validators: it is more than 65536");
    let error = says(text(65_536, &"a".repeat(1 << 20))).expect_err("too long").to_string();
    assert_eq!(error, "withdrawal_address: it has 1048576 bytes, and no address has");
}

/// Bodies of requests to publish, whose white space was not recorded.
#[test]
fn what_is_published_verifies() {
    let Some(file) = vectors("charon/runs/http/obol_api_requests.json") else { return };
    let mut bodies = 0;
    let mut visit = vec![json(&file)];
    while let Some(value) = visit.pop() {
        let text = value.to_string();
        let written = if value.get("cluster_definition").is_some() {
            let lock = Lock::parse(text.as_bytes()).expect("a lock");
            assert_eq!(lock.verify(&networks()), Ok(Vec::new()));
            lock.to_value()
        } else if value.get("dkg_algorithm").is_some() {
            let definition = Definition::parse(text.as_bytes()).expect("a definition");
            // Operators are invited and have not signed yet; the creator has.
            let problem = definition.verify(&networks()).expect_err("not signed").to_string();
            assert_eq!(problem, "operators[0].enr_signature: it is missing");
            let mut invitation = definition.clone();
            invitation.operators.iter_mut().for_each(|operator| operator.address.clear());
            assert_eq!(invitation.verify_signatures(&networks()), Ok(Vec::new()));
            invitation.config_hash = [0; 32].into();
            let questions = invitation.verify_signatures(&networks()).expect("a question");
            assert_eq!(questions[0].otherwise.path, "creator.config_signature");
            definition.to_value()
        } else {
            match value {
                Json::Array(items) => visit.extend(items),
                Json::Object(members) => visit.extend(members.into_iter().map(|(_, value)| value)),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
            continue;
        };
        let written = text::compact(&written.expect("hashes"));
        assert!(!written.contains([' ', '\n']), "{written}");
        assert_eq!(serde_json::from_str::<Json>(&written).expect("JSON"), value);
        bodies += 1;
    }
    assert_eq!(bodies, 2);
}

/// The definition of `definition_hashes.json`, which is no file.
fn from_base(base: &Json, vector: &Json) -> Definition {
    let overrides = &vector["overrides"];
    let text = |key: &str| word(overrides.get(key).unwrap_or(&base[key])).to_owned();
    let hex = |json: &Json| Bytes::from(bytes(json));
    let operator = |json: &Json| Operator {
        address: word(&json["address"]).to_owned(),
        enr: word(&json["enr"]).to_owned(),
        config_signature: hex(&json["config_signature"]),
        enr_signature: hex(&json["enr_signature"]),
    };
    let addresses = |json: &Json| ValidatorAddresses {
        fee_recipient: word(&json["fee_recipient_address"]).to_owned(),
        withdrawal: word(&json["withdrawal_address"]).to_owned(),
    };
    let all = |key: &str| base[key].as_array().expect("a list").iter();
    let amounts = overrides.get("deposit_amounts_gwei").and_then(Json::as_array);
    Definition {
        name: text("name"),
        creator: Creator {
            address: word(&base["creator"]["address"]).to_owned(),
            config_signature: hex(&base["creator"]["config_signature"]),
        },
        operators: all("operators").map(operator).collect(),
        uuid: text("uuid"),
        version: Version::named(word(&vector["version"])).expect("a version"),
        timestamp: text("timestamp"),
        threshold: base["threshold"].as_u64().expect("a number"),
        validators: all("validators").map(addresses).collect(),
        dkg_algorithm: text("dkg_algorithm"),
        fork_version: hex(&base["fork_version"]),
        deposit_amounts: amounts.map(|all| all.iter().map(|a| a.as_u64().expect("gwei")).collect()),
        consensus_protocol: overrides.get("consensus_protocol").map_or("", word).to_owned(),
        target_gas_limit: overrides.get("target_gas_limit").and_then(Json::as_u64).unwrap_or(0),
        compounding: overrides.get("compounding") == Some(&Json::Bool(true)),
        config_hash: hex(&base["config_hash"]),
        definition_hash: hex(&base["definition_hash"]),
    }
}

#[test]
fn hashes_over_versions() {
    let Some(file) = vectors("charon/cluster/definition_hashes.json") else { return };
    let file = json(&file);
    let all = file["vectors"].as_array().expect("a list");
    assert!(all.len() >= 7);
    for vector in all {
        let definition = from_base(&file["base"], vector);
        let root = match word(&vector["kind"]) {
            "config" => definition.compute_config_hash(),
            "definition" => definition.compute_definition_hash(),
            other => panic!("{other}"),
        };
        assert_eq!(root.expect("fits").to_vec(), bytes(&vector["expected"]), "{vector}");
    }
}

#[test]
fn lengths_of_signatures() {
    let Some(file) = vectors("charon/cluster/signature_lengths.json") else { return };
    for vector in json(&file)["vectors"].as_array().expect("a list") {
        let version = Version::named(word(&vector["version"])).expect("a version");
        let length = usize::try_from(vector["length"].as_u64().expect("a number")).expect("small");
        assert_eq!(version.signatures.allows(length), vector["ok"] == true, "{vector}");
    }
}

#[test]
fn amounts_when_a_definition_is_read() {
    let Some(file) = vectors("charon/cluster/deposit_amounts_on_parse.json") else { return };
    for vector in json(&file)["vectors"].as_array().expect("a list") {
        let definition = serde_json::json!({
            "version": vector["version"],
            "num_validators": 1,
            "validators": [{ "fee_recipient_address": "", "withdrawal_address": "" }],
            "operators": [],
            "deposit_amounts": vector["deposit_amounts"],
            "compounding": vector["compounding"],
        });
        let read = Definition::parse(definition.to_string().as_bytes());
        assert_eq!(read.is_ok(), vector["ok"] == true, "{vector}: {read:?}");
    }
}

// ----------------------------------------------------------------------------------------------------- EIP-712

#[test]
fn digests_of_typed_data() {
    let Some(file) = vectors("charon/eth2util/eip712.json") else { return };
    for vector in json(&file)["vectors"].as_array().expect("a list") {
        let fields: Vec<Field<'_>> = vector["fields"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|field| Field { name: word(&field["name"]), value: Value::Text(word(&field["value"])) })
            .collect();
        let chain = vector["domain"]["chainId"].as_u64();
        let digest = eip712::digest(chain, word(&vector["primary_type"]), &fields);
        assert_eq!(digest.to_vec(), bytes(&vector["digest"]), "{vector}");
    }
}

#[test]
fn digests_of_examples() {
    let Some(derived) = vectors("charon/derived/eip712_digests.json") else { return };
    let Some(examples) = vectors("charon/cluster/examples") else { return };
    let derived = json(&derived);
    for (name, expected) in derived["definitions"].as_object().expect("an object") {
        let text = fs::read(examples.join(name)).expect("a file");
        let definition = match is_lock(name) {
            true => Lock::parse(&text).expect("a lock").definition,
            false => Definition::parse(&text).expect("a definition"),
        };
        let chain = definition.network(&networks()).expect("a network").chain_id;
        assert_eq!(Some(chain), expected["chain_id"].as_u64(), "{name}");
        let kinds = [
            ("operator_config_digest", definition.version.operator_type),
            ("creator_config_digest", definition.version.creator_type),
        ];
        for (key, kind) in kinds {
            let digest = kind.map(|kind| config_digest(&kind, chain, &definition.config_hash).to_vec());
            assert_eq!(digest, expected.get(key).map(bytes), "{name}: {key}");
        }
        let records = expected["enr_digests"].as_array().expect("a list");
        for (operator, digest) in definition.operators.iter().zip(records) {
            assert_eq!(enr_digest(chain, &operator.enr).to_vec(), bytes(digest), "{name}");
        }
    }
    let terms = &derived["terms_and_conditions"];
    assert_eq!(terms_digest().to_vec(), bytes(&terms["digest"]));
    let key = IdentityKey::parse(word(&terms["private_key"])).expect("a key");
    assert_eq!(key.sign(&terms_digest()).to_vec(), bytes(&terms["signature"]));
}

/// Signatures of operators and the creator, made by their keys, are those of the file.
#[test]
fn keys_of_operators_sign_alike() {
    let Some(folder) = vectors("charon/derived/clusters/signed-v1.10-sepolia") else { return };
    let secrets = json(&folder.join("secrets.json"));
    let text = fs::read(folder.join("cluster-lock.json")).expect("a file");
    let lock = Lock::parse(&text).expect("a lock");
    let definition = &lock.definition;
    let chain = definition.network(&networks()).expect("a network").chain_id;
    let key = |json: &Json| IdentityKey::parse(word(json)).expect("a key");
    let kind = definition.version.operator_type.expect("operators sign");
    let digest = config_digest(&kind, chain, &definition.config_hash);
    let keys = secrets["operator_private_keys"].as_array().expect("a list");
    assert_eq!(keys.len(), definition.operators.len());
    for (operator, secret) in definition.operators.iter().zip(keys) {
        assert_eq!(*operator.config_signature, key(secret).sign(&digest));
        assert_eq!(*operator.enr_signature, key(secret).sign(&enr_digest(chain, &operator.enr)));
        assert_eq!(Address::parse(&operator.address), Ok(key(secret).public().address()));
    }
    let kind = definition.version.creator_type.expect("the creator signs");
    let digest = config_digest(&kind, chain, &definition.config_hash);
    let creator = key(&secrets["creator_private_key"]);
    assert_eq!(*definition.creator.config_signature, creator.sign(&digest));
    assert_eq!(recover(&digest, &definition.creator.config_signature), Ok(creator.public()));
    let nodes = secrets["node_private_keys"].as_array().expect("a list");
    for (signature, secret) in lock.node_signatures.iter().zip(nodes) {
        let hash = <[u8; 32]>::try_from(&*lock.lock_hash).expect("32 bytes");
        assert_eq!(**signature, key(secret).sign(&hash));
    }
}
