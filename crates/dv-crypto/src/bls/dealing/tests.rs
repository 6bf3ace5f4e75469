//! What other implementations hash for a proof of knowledge; the hash has no way out of this crate but a proof.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{PROOF_TAG, PublicKey, challenge};
use crate::ffi::hash_to_scalar;

/// The cases of one file; none, and a line that says so, where there are no vectors.
fn suite(name: &str) -> Option<Value> {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let path = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(here, PathBuf::from)
        .join("charon/p2p-dkg")
        .join(name);
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: no vectors {name}");
        return None;
    };
    Some(serde_json::from_slice(&text).expect("vectors are JSON"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hexadecimal digits")
}

fn cases(suite: &Value) -> &[Value] {
    suite["cases"].as_array().expect("a list")
}

#[test]
fn messages_hash_to_the_known_numbers() {
    let Some(suite) = suite("frost_scalar_hash.json") else { return };
    assert_eq!(suite["dst"].as_str().map(str::as_bytes), Some(PROOF_TAG));
    for case in cases(&suite) {
        let number = hash_to_scalar(&bytes(&case["msg"]), PROOF_TAG);
        assert_eq!(number.to_bytes()[..], bytes(&case["scalar"])[..], "{case}");
    }
}

#[test]
fn challenges_depend_on_the_context() {
    let Some(suite) = suite("frost_context_byte.json") else { return };
    for case in cases(&suite) {
        let byte = |name: &str| u8::try_from(case[name].as_u64().expect("a number")).expect("a byte");
        let public = PublicKey::from_bytes(&bytes(&case["a0_commitment"])).expect("a commitment");
        let nonce = PublicKey::from_bytes(&bytes(&case["R"])).expect("a point").0;
        let found = challenge(&public.0, &nonce, byte("id"), byte("ctx_byte"));
        assert_eq!(found.to_bytes()[..], bytes(&case["ci"])[..], "{case}");
        let other = challenge(&public.0, &nonce, byte("id"), byte("ctx_byte") ^ 1);
        assert_ne!(other.to_bytes()[..], bytes(&case["ci"])[..], "{case}");
    }
}
