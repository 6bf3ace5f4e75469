//! Foreign bytes: never a panic, and what is read is written and read again. As a plain test each runs for a second, or
//! as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_keystore::{KeystoreName, parse};
use mutate::mutate;

const KEYSTORE: &[u8] = br#"{"crypto": {"checksum": {"function": "sha256", "message":
"d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484", "params": {}},
"cipher": {"function": "aes-128-ctr", "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
"params": {"iv": "264daa3f303d7259501c93d997d84fe6"}},
"kdf": {"function": "scrypt", "message": "", "params": {"dklen": 32, "n": 16, "p": 1, "r": 8, "salt": "0x00ff"}}},
"description": "", "pubkey": "00", "path": "m/12381/3600/0/0/0", "uuid": "x", "version": 4}"#;

const WORDS: &[&str] = &[
    "0",
    "1",
    "-1",
    "4",
    "32",
    "18446744073709551615",
    "1e9",
    "null",
    "[]",
    "{}",
    "\"\"",
    "pbkdf2",
    "scrypt",
    "\"c\": 16",
    "\"prf\": \"hmac-sha256\"",
    "0x",
    "é",
    "\\u0000",
    ",",
    "}",
];

#[test]
fn keystores() {
    assert!(parse(KEYSTORE).is_ok());
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        if let Ok(keystore) = parse(&mutate(KEYSTORE, script, WORDS)) {
            assert_eq!(parse(keystore.to_text().as_bytes()), Ok(keystore));
        }
    });
}

#[test]
fn names() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes =
            mutate(b"keystore-insecure-12.json", script, &["keystore-", "insecure-", "0", "9", ".json"]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some(file) = KeystoreName::of(&text).and_then(KeystoreName::file) {
            assert_eq!(KeystoreName::of(&file), KeystoreName::of(&text));
        }
    });
}
