//! Fuzz targets of every decoder: random bytes, and valid samples that were damaged. As a plain test each runs for
//! a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says. What a decoder takes must be written as it was read.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_crypto::k1::{Address, IdentityKey, IdentityPublic, recover, verify_der, verify65};
use mutate::mutate;

const KEY_TEXT: &[u8] = b"41d3ff12045b73c870529fe44f70dca2745bafbe1698ffc3c8759eef3cfbaee1";
const ADDRESS: &[u8] = b"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
const WORDS: &[&str] = &["0x", "0X", "\n", " ", "00", "ff", "é", "\u{a0}", "\0"];

#[test]
fn identity_key_texts() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(KEY_TEXT, script, WORDS);
        let Ok(text) = std::str::from_utf8(&bytes) else { return };
        let Ok(key) = IdentityKey::parse(text) else { return };
        assert_eq!(*key.to_text(), text.trim().to_lowercase());
    });
}

#[test]
fn identity_publics() {
    let key = IdentityKey::parse(std::str::from_utf8(KEY_TEXT).expect("text")).expect("a key");
    let (short, long) = (key.public().to_bytes(), key.public().to_uncompressed());
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        for sample in [&short[..], &long] {
            let bytes = mutate(sample, script, &[]);
            let Ok(public) = IdentityPublic::from_bytes(&bytes) else { continue };
            if bytes.len() == short.len() {
                assert_eq!(public.to_bytes(), bytes[..]);
            } else {
                assert_eq!(public.to_uncompressed()[1..], bytes[1..]);
            }
        }
    });
}

#[test]
fn identity_signatures() {
    let key = IdentityKey::parse(std::str::from_utf8(KEY_TEXT).expect("text")).expect("a key");
    let sample = key.sign(&[7; 32]);
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(&sample, script, &[]);
        let Ok(public) = recover(&[7; 32], &bytes) else { return };
        assert_eq!(verify65(&public, &[7; 32], &bytes), Ok(()));
    });
}

#[test]
fn identity_signatures_in_der() {
    let key = IdentityKey::parse(std::str::from_utf8(KEY_TEXT).expect("text")).expect("a key");
    let sample = key.sign_der(&[7; 32]);
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(&sample, script, &[]);
        // There is one way to write a signature, and nobody hits on another one of this key.
        let is_good = verify_der(&key.public(), &[7; 32], &bytes).is_ok();
        assert_eq!(is_good, bytes == sample, "{}", hex::encode(bytes));
    });
}

#[test]
fn addresses() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(ADDRESS, script, WORDS);
        let Ok(text) = std::str::from_utf8(&bytes) else { return };
        let Ok(address) = Address::parse(text) else { return };
        assert!(address.to_string().eq_ignore_ascii_case(text));
        assert_eq!(Address::parse_strict(text).is_ok(), address.to_string() == text);
    });
}

#[test]
fn bls_points() {
    use coxswain_dv_crypto::bls::{PublicKey, SecretKey, Signature};
    let key = SecretKey::from_bytes(&[1; 32]).expect("a key");
    let (public, signature) = (key.public().to_bytes(), key.sign(b"x").to_bytes());
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(&public, script, &[]);
        if let Ok(read) = PublicKey::from_bytes(&bytes) {
            assert_eq!(read.to_bytes()[..], bytes[..]);
        }
        let bytes = mutate(&signature, script, &[]);
        if let Ok(read) = Signature::from_bytes(&bytes) {
            assert_eq!(read.to_bytes()[..], bytes[..]);
        }
    });
}
