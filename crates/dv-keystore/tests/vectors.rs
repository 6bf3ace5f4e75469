//! The vectors of EIP-2335 (in the EIP, "Test Cases"; CC0), files of others, round trips, and what is refused.

use coxswain_dv_keystore::{Cost, Fresh, Keystore, KeystoreError, Secret, encrypt, parse};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// The secret of both test cases of the EIP.
const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";

fn eip(kdf: Json, checksum: &str, message: &str) -> Json {
    json!({
        "crypto": {
            "kdf": kdf,
            "checksum": { "function": "sha256", "params": {}, "message": checksum },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
                "message": message
            }
        },
        "description": "This is a test keystore",
        "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
        "path": "m/12381/60/3141592653/589793238",
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4
    })
}

const SALT: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";

fn pbkdf2() -> Json {
    let params = json!({ "dklen": 32, "c": 262_144, "prf": "hmac-sha256", "salt": SALT });
    eip(
        json!({ "function": "pbkdf2", "params": params, "message": "" }),
        "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
        "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
    )
}

fn scrypt() -> Json {
    let params = json!({ "dklen": 32, "n": 262_144, "p": 1, "r": 8, "salt": SALT });
    eip(
        json!({ "function": "scrypt", "params": params, "message": "" }),
        "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
        "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
    )
}

fn read(json: &Json) -> Result<Keystore, KeystoreError> {
    parse(json.to_string().as_bytes())
}

fn secret(hex_text: &str) -> Secret {
    let mut secret = Secret::default();
    hex::decode_to_slice(hex_text, secret.as_mut_slice()).expect("hex");
    secret
}

#[test]
fn the_test_cases_of_the_eip() {
    for (name, text) in [("scrypt", scrypt()), ("pbkdf2", pbkdf2())] {
        let keystore = read(&text).expect("is one");
        assert_eq!(keystore.decrypt(PASSWORD).expect("opens"), secret(SECRET), "{name}");
        let newline = format!("{PASSWORD}\n");
        assert_eq!(keystore.decrypt(&newline).expect("opens"), secret(SECRET), "{name}");
        assert_eq!(keystore.decrypt("testpassword🗝"), Err(KeystoreError::WrongPassword), "{name}");
        let again = parse(keystore.to_text().as_bytes()).expect("its own text");
        assert_eq!(again, keystore, "{name}");
    }
}

/// Files written by others, with their passwords and secrets.
#[test]
fn files_of_others() {
    let vectors = std::env::var_os("COXSWAIN_VECTORS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        std::path::PathBuf::from,
    );
    let folder = vectors.join("charon/derived/keystores");
    let Ok(list) = std::fs::read(folder.join("secrets.json")) else {
        println!("skipped: {} is not here", folder.display());
        return;
    };
    let list: Json = serde_json::from_slice(&list).expect("JSON");
    for entry in list["keystores"].as_array().expect("a list") {
        let file = entry["file"].as_str().expect("a name");
        let text = std::fs::read(folder.join(file)).expect("is there");
        let keystore = parse(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let password = entry["password"].as_str().expect("a password");
        let opened = keystore.decrypt(password).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(opened, secret(entry["secret"].as_str().expect("hex")), "{file}");
        if file.starts_with("keystore-") {
            assert_eq!(keystore.to_text().as_bytes(), text, "{file}: the same bytes");
        }
    }
}

#[test]
fn what_is_written_is_always_the_same() {
    let fresh = Fresh { salt: [1; 32], iv: [2; 16], uuid: [0xab; 16] };
    let keystore = encrypt(&secret(SECRET), &[0xcd; 48], "x", Cost::Insecure, &fresh);
    let text = keystore.to_text();
    let begin = "{\n \"crypto\": {\n  \"checksum\": {\n   \"function\": \"sha256\",\n   \"message\": \"";
    assert!(text.starts_with(begin), "{text}");
    let end = format!(
        " \"description\": \"\",\n \"pubkey\": \"{}\",\n \"path\": \"m/12381/3600/0/0/0\",\n \"uuid\": \
         \"ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB\",\n \"version\": 4\n}}",
        "cd".repeat(48)
    );
    assert!(text.ends_with(&end), "{text}");
    assert!(text.contains("   \"params\": {}\n"), "{text}");
    assert_eq!(keystore.decrypt("x").expect("opens"), secret(SECRET));
}

#[test]
fn what_is_refused_says_where() {
    let says = |path: &str, value: Json, expected: &str| {
        let base = if path.contains("params/n") || path.contains("params/r") { scrypt() } else { pbkdf2() };
        let mut json = base;
        *json.pointer_mut(path).expect("is there") = value;
        let error = read(&json).expect_err(path).to_string();
        assert!(error.contains(expected), "{path}: {error}");
    };
    says("/version", json!(3), "version: it is 3, and 4 is known");
    says(
        "/crypto/cipher/function",
        json!("aes-256-ctr"),
        "crypto.cipher.function: only aes-128-ctr is known",
    );
    says("/crypto/checksum/function", json!("sha1"), "crypto.checksum.function: only sha256 is known");
    says("/crypto/kdf/function", json!("argon2"), "crypto.kdf.function: pbkdf2 and scrypt are known");
    says("/crypto/kdf/params/prf", json!("hmac-sha1"), "crypto.kdf.params.prf: only hmac-sha256 is known");
    says("/crypto/kdf/params/dklen", json!(31), "crypto.kdf.params.dklen: it is not 32 to 256");
    says("/crypto/kdf/params/c", json!(0), "crypto.kdf.params.c: it is not 1 to");
    says("/crypto/kdf/params/c", json!(1_u64 << 40), "crypto.kdf.params.c: it is not 1 to");
    says("/crypto/kdf/params/c", json!("16"), "crypto.kdf.params.c: it is no whole number");
    says("/crypto/kdf/params/salt", json!("xy"), "crypto.kdf.params.salt: Invalid character");
    says("/crypto/kdf/params/n", json!(3), "crypto.kdf.params.n: it is no power of two above 1");
    says("/crypto/kdf/params/n", json!(1_u64 << 60), "more memory or time than any keystore needs");
    says("/crypto/kdf/params/r", json!(1_u64 << 40), "more memory or time than any keystore needs");
    says("/crypto/kdf/params/r", json!(0), "more memory or time than any keystore needs, or for none");
    says("/crypto/cipher/params/iv", json!("00"), "crypto.cipher.params.iv: it has 1 bytes, not 16");
    says("/crypto/cipher/message", json!("00".repeat(31)), "crypto.cipher.message: it has 31 bytes, not 32");
    says("/crypto/checksum", json!(null), "it is no keystore of EIP-2335");
    let long = vec![b' '; coxswain_dv_keystore::MAX_BYTES + 1];
    assert!(matches!(parse(&long), Err(KeystoreError::TooLong { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_secret_comes_back(bytes: [u8; 32], salt: [u8; 32], iv: [u8; 16], password in "\\PC{0,20}") {
        let fresh = Fresh { salt, iv, uuid: [0; 16] };
        let keystore = encrypt(&Secret::new(bytes), &[0; 48], &password, Cost::Insecure, &fresh);
        let read = parse(keystore.to_text().as_bytes()).expect("its own text");
        prop_assert_eq!(read.decrypt(&password).expect("opens"), Secret::new(bytes));
        prop_assert_eq!(read.decrypt(&format!("{password}x")), Err(KeystoreError::WrongPassword));
    }

    #[test]
    fn one_changed_byte_opens_nothing(at in 0_usize..64, flip in 1_u8..) {
        let fresh = Fresh { salt: [3; 32], iv: [4; 16], uuid: [0; 16] };
        let text = encrypt(&Secret::new([7; 32]), &[0; 48], "x", Cost::Insecure, &fresh).to_text();
        let mut json: Json = serde_json::from_str(&text).expect("JSON");
        let path = if at < 32 { "/crypto/cipher/message" } else { "/crypto/checksum/message" };
        let field = json.pointer_mut(path).expect("is there");
        let mut bytes = hex::decode(field.as_str().expect("text")).expect("hex");
        bytes[at % 32] ^= flip;
        *field = json!(hex::encode(bytes));
        let read = read(&json).expect("still a keystore");
        prop_assert_eq!(read.decrypt("x"), Err(KeystoreError::WrongPassword));
    }
}
