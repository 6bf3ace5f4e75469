//! Checks of single entries, as others make them.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::Fault;
use super::message::{Cast, EntryKey, Share, check_key};
use coxswain_dv_crypto::bls::{KnowledgeProof, SecretKey};

#[test]
fn entries_are_taken_as_others_take_them() {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let root = std::env::var_os("COXSWAIN_VECTORS").map_or_else(here, PathBuf::from);
    let Ok(text) = std::fs::read(root.join("charon/p2p-dkg/frost_message_checks.json")) else {
        println!("skipped: no vectors of message checks");
        return;
    };
    let suite: Value = serde_json::from_slice(&text).expect("JSON");
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap_or_default()).expect("small");
    let size = |value: &Value| usize::try_from(number(value)).expect("small");
    let point = SecretKey::from_bytes(&[1; 32]).expect("a key").public().to_bytes();
    let cases = suite["cases"].as_array().expect("cases");
    for case in cases {
        let key = &case["key"];
        let key = EntryKey {
            validator: number(&key["val_idx"]),
            source: number(&key["source_id"]),
            target: number(&key["target_id"]),
        };
        let target = if case["kind"] == "p2p" { number(&suite["receiver_share_idx"]) } else { 0 };
        let validators = size(&suite["num_validators"]);
        let mut found = check_key(key, number(&suite["sender_share_idx"]), target, validators);
        if case["round"] == 1 && case["kind"] == "cast" {
            let proof = KnowledgeProof { response: [1; 32], challenge: [1; 32] };
            let cast = Cast { key, proof, commitments: vec![point; size(&case["commitments"])] };
            found = found.and_then(|()| cast.read(size(&suite["t"])).map(drop));
        }
        let as_text = match found {
            Ok(()) => "accept",
            Err(Fault::Source { .. }) => "reject: source",
            Err(Fault::Target { .. }) => "reject: target",
            Err(Fault::Validator { .. }) => "reject: validator index",
            Err(Fault::Commitments { .. }) => "reject: commitment count",
            Err(other) => panic!("{other}: {case}"),
        };
        assert_eq!(case["result"].as_str(), Some(as_text), "{case}");
    }
    assert!(cases.iter().any(|case| case["result"] == "accept"), "one is good");
}

#[test]
fn a_share_is_not_shown() {
    let key = EntryKey { validator: 0, source: 1, target: 2 };
    let share = Share { key, id: 2, value: [0xab; 32].into() };
    assert_eq!(
        format!("{share:?}"),
        "Share { key: EntryKey { validator: 0, source: 1, target: 2 }, id: 2, .. }"
    );
}
