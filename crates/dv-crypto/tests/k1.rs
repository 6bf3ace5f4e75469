//! Identities: what others signed, what must be refused, and what holds for any key and digest.

mod support;

use coxswain_dv_crypto::k1::{
    Address, AddressError, IdentityKey, IdentityPublic, K1Error, SIGNATURE_LEN, keccak256, recover,
    verify_der, verify64, verify65,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::{array, bytes, list, read, vectors};

/// The order of the group.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// The private key 1, whose public key is the generator (SEC 2, section 2.4.1).
fn one() -> IdentityKey {
    let mut bytes = [0; 32];
    bytes[31] = 1;
    IdentityKey::from_bytes(&bytes).expect("1 is in range")
}

fn order() -> [u8; 32] {
    hex::decode(ORDER).expect("digits").try_into().expect("32 bytes")
}

/// a − b, where a ≥ b.
fn minus(a: &[u8; 32], b: &[u8]) -> [u8; 32] {
    let (mut out, mut borrow) = ([0; 32], false);
    for at in (0..32).rev() {
        let (once, under) = a[at].overflowing_sub(b[at]);
        let (twice, under_again) = once.overflowing_sub(u8::from(borrow));
        (out[at], borrow) = (twice, under || under_again);
    }
    out
}

/// The same signature with the other S and v.
fn flipped(signature: &[u8; SIGNATURE_LEN]) -> [u8; SIGNATURE_LEN] {
    let mut out = *signature;
    out[32..64].copy_from_slice(&minus(&order(), &signature[32..64]));
    out[64] ^= 1;
    out
}

#[test]
fn a_known_key_signs_the_known_bytes() {
    let Some(path) = vectors("charon/app/k1util.json") else { return };
    let case = read(&path);
    let text = case["private_key"].as_str().expect("text");
    let key = IdentityKey::parse(text).expect("a key");
    let digest = array(&case["digest"]);
    assert_eq!(key.public().to_bytes(), array(&case["public_key_compressed"]));
    assert_eq!(key.sign(&digest), array(&case["signature_65"]));
    for form in list(&case["key_file_texts_ok"]) {
        let form = form.as_str().expect("text").replace("<hex>", text);
        assert_eq!(IdentityKey::parse(&form).as_ref(), Ok(&key), "{form:?}");
    }
    for form in list(&case["key_file_texts_bad"]) {
        let form = form.as_str().expect("text");
        assert_eq!(IdentityKey::parse(form), Err(K1Error::KeyText { length: form.len() }));
    }
}

#[test]
fn signatures_of_the_specifications_are_reproduced() {
    let Some(path) = vectors("dv-specs/secp256k1_signatures.json") else { return };
    let suite = read(&path);
    let key = IdentityKey::from_bytes(&array(&suite["secret_hex"])).expect("a key");
    assert_eq!(key.public().to_bytes(), array(&suite["pubkey_hex"]));
    for case in list(&suite["cases"]) {
        let (digest, signature) = (array(&case["input"]["hash_hex"]), array(&case["signature_hex"]));
        assert_eq!(key.sign(&digest), signature, "{}", case["name"]);
        let public = recover(&digest, &signature).expect("a key");
        assert_eq!(public.to_bytes(), array(&case["recovered_pubkey_hex"]), "{}", case["name"]);
    }
}

#[test]
fn recovery_accepts_and_refuses_as_others_do() {
    let Some(path) = vectors("charon/derived/k1_recover.json") else { return };
    let suite = read(&path);
    let digest = array(&suite["digest"]);
    let public = IdentityPublic::from_bytes(&bytes(&suite["public_key_compressed"])).expect("a key");
    assert_eq!(Some(public.address().to_string().as_str()), suite["address"].as_str());
    for case in list(&suite["vectors"]) {
        let signature = bytes(&case["signature"]);
        let recovers = case["recovers"].as_bool().expect("a verdict");
        assert_eq!(recover(&digest, &signature).ok(), recovers.then_some(public), "{case}");
        assert_eq!(verify65(&public, &digest, &signature).is_ok(), recovers, "{case}");
        if recovers {
            assert_eq!(verify64(&public, &digest, &signature[..64]), Ok(()), "{case}");
        }
    }
}

#[test]
fn addresses_have_the_known_checksums() {
    let Some(path) = vectors("charon/eth2util/addresses.json") else { return };
    let suite = read(&path);
    for text in list(&suite["eip55"]) {
        let text = text.as_str().expect("text");
        let lower = text.to_lowercase();
        let upper = format!("0x{}", text[2..].to_uppercase());
        for form in [text, &lower, &upper] {
            assert_eq!(Address::parse(form).expect("an address").to_string(), text);
            assert_eq!(Address::parse_strict(form).is_ok(), form == text, "{form}");
        }
    }
    for text in list(&suite["invalid"]) {
        let text = text.as_str().expect("text");
        assert_eq!(Address::parse(text), Err(AddressError::Text { text: text.into() }));
    }
    for case in list(&suite["pubkey_to_address"]) {
        let key = IdentityKey::parse(case["private_key"].as_str().expect("text")).expect("a key");
        assert_eq!(Some(key.public().address().to_string().as_str()), case["address"].as_str());
    }
}

#[test]
fn an_address_is_the_end_of_the_hash_of_the_point() {
    // Well known as the address of the private key 1.
    assert_eq!(one().public().address().to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    assert_eq!(hex::encode(keccak256(b"")), empty, "Keccak, not SHA3");
}

#[test]
fn a_wrong_letter_case_names_the_right_one() {
    let text = "0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf";
    let error = Address::parse_strict(text).expect_err("the case is wrong").to_string();
    assert!(error.ends_with("or it is 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"), "{error}");
}

#[test]
fn keys_out_of_range_are_refused() {
    for bytes in [[0; 32], order(), [0xff; 32]] {
        assert_eq!(IdentityKey::from_bytes(&bytes), Err(K1Error::KeyRange));
        assert_eq!(IdentityKey::parse(&hex::encode(bytes)), Err(K1Error::KeyRange));
    }
    let last = minus(&order(), &one().to_bytes()[..]);
    assert_eq!(*IdentityKey::from_bytes(&last).expect("the last key").to_bytes(), last);
}

#[test]
fn text_of_another_form_is_no_key() {
    let text = one().to_text();
    for wrong in
        ["", "  \n", &text[1..], &format!("0x{}", *text), &format!("{}00", *text), &text.replace('0', "g")]
    {
        assert_eq!(
            IdentityKey::parse(wrong),
            Err(K1Error::KeyText { length: wrong.trim().len() }),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_secret_does_not_show() {
    let key = IdentityKey::parse(&"a7".repeat(32)).expect("a key");
    assert!(!format!("{key:?}").contains("a7a7a7"));
    let text = format!("{}zz", "a7".repeat(31));
    let error = IdentityKey::parse(&text).expect_err("no digits");
    assert!(!format!("{error} {error:?}").contains("a7"), "{error:?}");
}

#[test]
fn public_keys_are_read_in_every_form() {
    let public = one().public();
    let whole = public.to_uncompressed();
    let with_tag = |tag: u8| [&[tag], &whole[1..]].concat();
    // The y of the generator is even.
    for bytes in [public.to_bytes().to_vec(), with_tag(4), with_tag(6)] {
        assert_eq!(IdentityPublic::from_bytes(&bytes), Ok(public));
    }
    for tag in [0, 1, 2, 3, 5, 7, 8] {
        assert_eq!(IdentityPublic::from_bytes(&with_tag(tag)), Err(K1Error::Public { length: 65 }), "{tag}");
    }
    for tag in [0, 1, 4, 5, 6, 7] {
        let compressed = [&[tag], &whole[1..33]].concat();
        assert_eq!(IdentityPublic::from_bytes(&compressed), Err(K1Error::Public { length: 33 }), "{tag}");
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    // x = 5 has no y on this curve.
    let mut none = [0; 33];
    (none[0], none[32]) = (2, 5);
    let mut beside = one().public().to_uncompressed();
    beside[64] ^= 2;
    let mut above = [0xff; 33];
    above[0] = 2;
    for bytes in [&none[..], &beside, &above, &[0], &[], &none[..32]] {
        assert_eq!(IdentityPublic::from_bytes(bytes), Err(K1Error::Public { length: bytes.len() }));
    }
}

#[test]
fn parts_out_of_range_are_refused() {
    let (key, digest) = (one(), [7; 32]);
    let good = key.sign(&digest);
    for part in [0..32, 32..64] {
        for wrong in [[0; 32], order(), [0xff; 32]] {
            let mut bad = good;
            bad[part.clone()].copy_from_slice(&wrong);
            assert_eq!(recover(&digest, &bad), Err(K1Error::Range));
            assert_eq!(verify64(&key.public(), &digest, &bad[..64]), Err(K1Error::Range));
        }
    }
}

#[test]
fn lengths_and_recovery_bytes_are_exact() {
    let (key, digest) = (one(), [7; 32]);
    let good = key.sign(&digest);
    for length in [0, 1, 63, 64] {
        assert_eq!(recover(&digest, &good[..length]), Err(K1Error::Length { expected: 65, length }));
    }
    assert_eq!(
        verify64(&key.public(), &digest, &good),
        Err(K1Error::Length { expected: 64, length: SIGNATURE_LEN })
    );
    for v in 0..=u8::MAX {
        let mut signature = good;
        signature[64] = v;
        let found = recover(&digest, &signature);
        if matches!(v, 0 | 1 | 27 | 28) {
            // The other y gives another key.
            assert_eq!(found == Ok(key.public()), (v % 27) == good[64], "{v}");
        } else {
            assert_eq!(found, Err(K1Error::RecoveryByte { v }));
        }
    }
}

#[test]
fn an_r_without_a_point_recovers_nothing() {
    let mut signature = [0; SIGNATURE_LEN];
    (signature[31], signature[63]) = (5, 1);
    assert_eq!(recover(&[7; 32], &signature), Err(K1Error::Unrecoverable));
}

#[test]
fn generated_keys_differ_and_depend_on_the_generator_alone() {
    let mut rng = StdRng::seed_from_u64(1);
    let (first, second) = (IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
    assert_ne!(first, second);
    assert_eq!(first, IdentityKey::generate(&mut StdRng::seed_from_u64(1)));
}

fn key() -> impl Strategy<Value = IdentityKey> {
    any::<u64>().prop_map(|seed| IdentityKey::generate(&mut StdRng::seed_from_u64(seed)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_verifies(key in key(), digest: [u8; 32]) {
        let signature = key.sign(&digest);
        let half = minus(&order(), &signature[32..64]);
        prop_assert!(signature[32..64] <= half[..], "S is low");
        for signature in [signature, flipped(&signature)] {
            prop_assert_eq!(recover(&digest, &signature), Ok(key.public()));
            prop_assert_eq!(verify65(&key.public(), &digest, &signature), Ok(()));
            prop_assert_eq!(verify64(&key.public(), &digest, &signature[..64]), Ok(()));
        }
    }

    #[test]
    fn another_key_digest_or_signature_does_not(key in key(), digest: [u8; 32], bit in 0..(32 + 64) * 8usize) {
        let (public, signature) = (key.public(), key.sign(&digest));
        let mut all = [&digest[..], &signature].concat();
        all[bit / 8] ^= 1 << (bit % 8);
        let (digest, signature) = all.split_at(32);
        let digest = digest.try_into().expect("32 bytes");
        prop_assert!(verify65(&public, digest, signature).is_err());
        prop_assert!(verify64(&public, digest, &signature[..64]).is_err());
    }

    #[test]
    fn keys_read_back_as_they_were_written(key in key()) {
        let text = key.to_text();
        for form in [text.to_string(), format!("\n {}\t", text.to_uppercase())] {
            let read = IdentityKey::parse(&form);
            prop_assert_eq!(read.as_ref(), Ok(&key));
        }
        prop_assert_eq!(IdentityPublic::from_bytes(&key.public().to_bytes()), Ok(key.public()));
        prop_assert_eq!(IdentityPublic::from_bytes(&key.public().to_uncompressed()), Ok(key.public()));
    }
}

// ---------------------------------------------------------------------------------------------------- in DER

/// DER of R and S (X.690, section 8): written by hand, so that it is not the code under test that says what it is.
fn der(rs: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        let mut digits = bytes[start..].to_vec();
        if digits[0] & 0x80 != 0 {
            digits.insert(0, 0);
        }
        [vec![2, u8::try_from(digits.len()).expect("short")], digits].concat()
    };
    let body = [integer(&rs[..32]), integer(&rs[32..64])].concat();
    [vec![0x30, u8::try_from(body.len()).expect("short")], body].concat()
}

#[test]
fn signatures_in_der_of_other_shape_are_refused() {
    let (key, digest) = (one(), [3; 32]);
    let good = key.sign_der(&digest);
    assert_eq!(verify_der(&key.public(), &digest, &good), Ok(()));
    let raw = key.sign(&digest);
    let mut wrong = vec![Vec::new(), raw.to_vec(), good[1..].to_vec(), good[..good.len() - 1].to_vec()];
    wrong.push([good.clone(), vec![0]].concat());
    // Zero, the order of the group, a negative number, a length in two bytes.
    wrong.push(der(&[[0; 32].as_slice(), &raw[32..64]].concat()));
    wrong.push(der(&[order().as_slice(), &raw[32..64]].concat()));
    wrong.push(der(&[&raw[..32], order().as_slice()].concat()));
    wrong.push([&[0x30, 0x06, 0x02, 0x01, 0x81], &[0x02, 0x01, 0x01][..]].concat());
    wrong.push([&[0x30, 0x81], &good[1..]].concat());
    for signature in wrong {
        let refused = verify_der(&key.public(), &digest, &signature);
        assert_eq!(refused, Err(K1Error::Der { length: signature.len() }), "{}", hex::encode(signature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn signatures_in_der_are_those_of_the_other_form(secret in any::<[u8; 32]>(), digest in any::<[u8; 32]>()) {
        let Ok(key) = IdentityKey::from_bytes(&secret) else { return Ok(()) };
        let raw = key.sign(&digest);
        let signature = key.sign_der(&digest);
        prop_assert_eq!(&signature, &der(&raw));
        prop_assert!(signature.len() <= 72);
        prop_assert_eq!(verify_der(&key.public(), &digest, &signature), Ok(()));
        prop_assert_eq!(verify_der(&key.public(), &digest, &der(&flipped(&raw))), Ok(()), "a high S");
        let other = IdentityKey::from_bytes(&[7; 32]).expect("a key").public();
        if other != key.public() {
            let mismatch = K1Error::Mismatch { public: Box::new(other) };
            prop_assert_eq!(verify_der(&other, &digest, &signature), Err(mismatch));
        }
    }
}
