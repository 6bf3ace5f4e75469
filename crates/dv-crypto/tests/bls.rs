//! BLS: what others signed, split and recovered, and batches that hold bad signatures.

#![expect(clippy::disallowed_methods, reason = "a test lists the files of its vectors")]

mod support;

use coxswain_dv_crypto::bls::{
    BlsError, Commitments, KnowledgeProof, Polynomial, PublicKey, SecretKey, Signature, Signed, aggregate,
    find_invalid, recover_public, recover_secret, recover_signature, split, verify, verify_aggregate,
    verify_batch,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::{array, bytes, list, read, vectors};

#[test]
fn sharing_agrees_with_the_vectors() {
    let Some(path) = vectors("charon/derived/tbls.json") else { return };
    for case in list(&read(&path)["vectors"]) {
        let message = bytes(&case["message_hex"]);
        let secret = SecretKey::from_bytes(&array::<32>(&case["secret"])).expect("a key");
        let public = PublicKey::from_bytes(&bytes(&case["public_key"])).expect("a key");
        let signature = Signature::from_bytes(&bytes(&case["signature"])).expect("a signature");
        let others =
            list(&case["coefficients"]).iter().map(|c| SecretKey::from_bytes(&bytes(c)).expect("a key"));
        let all = std::iter::once(secret.clone()).chain(others).collect();
        let polynomial = Polynomial::from_coefficients(all).expect("a polynomial");
        let shares = list(&case["shares"]);
        for (index, share) in (1..).zip(shares) {
            let key = polynomial.share(index).expect("a share");
            assert_eq!(key.to_bytes().to_vec(), bytes(&share["secret"]));
            assert_eq!(key.public().to_bytes().to_vec(), bytes(&share["public_key"]));
            assert_eq!(key.sign(&message).to_bytes().to_vec(), bytes(&share["signature"]));
            assert!(polynomial.commitments().has_share(index, &key));
            assert!(!polynomial.commitments().has_share(index + 1, &key));
        }
        for subset in list(&case["recover_subsets"]) {
            let indices = list(subset).iter().map(|i| i.as_u64().expect("an index"));
            let keys: Vec<_> = indices.map(|i| (i, polynomial.share(i).expect("a share"))).collect();
            let publics: Vec<_> = keys.iter().map(|(i, key)| (*i, key.public())).collect();
            let partials: Vec<_> = keys.iter().map(|(i, key)| (*i, key.sign(&message))).collect();
            assert_eq!(recover_secret(&keys), Ok(secret.clone()));
            assert_eq!(recover_public(&publics), Ok(public));
            assert_eq!(recover_signature(&partials), Ok(signature));
        }
        let few = &case["too_few"];
        let few_partials: Vec<_> = list(&few["indices"])
            .iter()
            .map(|i| i.as_u64().expect("an index"))
            .map(|i| (i, polynomial.share(i).expect("a share").sign(&message)))
            .collect();
        let other = recover_signature(&few_partials).expect("some signature");
        assert_eq!(other.to_bytes().to_vec(), bytes(&few["interpolates_to_other_signature"]));
        assert!(!verify(&public, &message, &other), "too few shares sign for nobody");
        let partials: Vec<_> =
            shares.iter().map(|s| Signature::from_bytes(&bytes(&s["signature"])).expect("one")).collect();
        let sum = aggregate(&partials).expect("a sum");
        assert_eq!(sum.to_bytes().to_vec(), bytes(&case["plain_aggregate_of_all_share_signatures"]));
        let publics: Vec<_> =
            shares.iter().map(|s| PublicKey::from_bytes(&bytes(&s["public_key"])).expect("one")).collect();
        assert!(verify(&public, &message, &signature));
        assert!(verify_aggregate(&publics, &message, &sum));
        assert!(!verify(&public, &message, &sum));
        assert!(!verify_aggregate(&[], &message, &sum));
    }
}

#[test]
fn the_official_cases_agree() {
    let Some(dir) = vectors("bls") else { return };
    let cases = |name: &str| {
        let dir = std::fs::read_dir(dir.join(name)).expect("a folder");
        dir.map(|entry| read(&entry.expect("a file").path())).collect::<Vec<_>>()
    };
    for case in cases("deserialization_G1") {
        // Infinity is a point, and no public key.
        let text = bytes(&case["input"]["pubkey"]);
        let expected = case["output"].as_bool().expect("a verdict") && text[0] != 0xc0;
        assert_eq!(PublicKey::from_bytes(&text).is_ok(), expected, "{case}");
    }
    for case in cases("deserialization_G2") {
        let read = Signature::from_bytes(&bytes(&case["input"]["signature"]));
        assert_eq!(Some(read.is_ok()), case["output"].as_bool(), "{case}");
    }
    for case in cases("verify") {
        let input = &case["input"];
        let parsed = (
            PublicKey::from_bytes(&bytes(&input["pubkey"])),
            Signature::from_bytes(&bytes(&input["signature"])),
        );
        let good = matches!(parsed, (Ok(key), Ok(s)) if verify(&key, &bytes(&input["message"]), &s));
        assert_eq!(Some(good), case["output"].as_bool(), "{case}");
    }
    for case in cases("sign") {
        let key = SecretKey::from_bytes(&bytes(&case["input"]["privkey"]));
        let signed = key.ok().map(|key| key.sign(&bytes(&case["input"]["message"])).to_bytes().to_vec());
        assert_eq!(signed, (!case["output"].is_null()).then(|| bytes(&case["output"])), "{case}");
    }
}

#[test]
fn batches_name_their_bad_signatures() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut items: Vec<Signed> = (0..40u8)
        .map(|i| {
            let key = SecretKey::generate(&mut rng);
            let message = [i % 3; 32];
            (key.public(), message, key.sign(&message))
        })
        .collect();
    assert!(verify_batch(&items, &mut rng));
    assert!(find_invalid(&items, &mut rng).is_empty());
    items.swap(0, 1);
    let other = items[5].2;
    (items[5].2, items[6].2) = (items[6].2, other);
    items[39].1[0] ^= 1;
    assert!(!verify_batch(&items, &mut rng));
    assert_eq!(find_invalid(&items, &mut rng), [5, 6, 39]);
}

#[test]
fn indices_and_thresholds_are_checked() {
    let mut rng = StdRng::seed_from_u64(7);
    let key = SecretKey::generate(&mut rng);
    for (shares, threshold) in [(4, 1), (4, 0), (3, 4), (256, 3)] {
        let error = BlsError::Threshold { shares, threshold };
        let found = split(&key, shares, threshold, &mut rng);
        assert!(found == Err(error) || threshold < 2 && found.is_err());
    }
    let shares = split(&key, 4, 3, &mut rng).expect("shares");
    assert_ne!(recover_secret(&shares[..2]), Ok(key.clone()));
    assert_eq!(recover_secret(&shares[1..]), Ok(key.clone()));
    assert_eq!(recover_secret(&shares[..1]), Ok(shares[0].1.clone()));
    assert!(recover_secret(&[]).is_err());
    assert_eq!(recover_secret(&[(0, key.clone())]), Err(BlsError::IndexZero));
    assert_eq!(recover_secret(&[(2, key.clone()), (2, key)]), Err(BlsError::IndexTwice { index: 2 }));
}

#[test]
fn ceremonies_of_the_transcript_agree() {
    let Some(path) = vectors("charon/p2p-dkg/frost_transcript_n4_t3_v2.json") else { return };
    for participant in list(&read(&path)["participants"]) {
        let id = u8::try_from(participant["id"].as_u64().expect("an id")).expect("a byte");
        for run in list(&participant["validators"]) {
            let all =
                list(&run["coefficients"]).iter().map(|c| SecretKey::from_bytes(&bytes(c)).expect("one"));
            let all: Vec<_> = all.collect();
            let points =
                list(&run["commitments"]).iter().map(|c| PublicKey::from_bytes(&bytes(c)).expect("one"));
            let commitments = Commitments::new(points.collect()).expect("commitments");
            let nonce = SecretKey::from_bytes(&bytes(&run["nonce_k"])).expect("a nonce");
            let proof = KnowledgeProof::new(&all[0], &nonce, id, 0);
            assert_eq!(
                (proof.response.to_vec(), proof.challenge.to_vec()),
                (bytes(&run["wi"]), bytes(&run["ci"]))
            );
            assert!(proof.verify(&commitments.points()[0], id, 0));
            assert!(!proof.verify(&commitments.points()[0], id + 1, 0));
            assert_eq!(Polynomial::from_coefficients(all).expect("one").commitments(), commitments);
        }
    }
}

/// The rest of the official cases: sums, one message under many keys, many messages.
#[test]
fn the_official_cases_of_many_agree() {
    let Some(dir) = vectors("bls") else { return };
    let cases = |name: &str| {
        let dir = std::fs::read_dir(dir.join(name)).expect("a folder");
        let all: Vec<_> = dir.map(|entry| read(&entry.expect("a file").path())).collect();
        assert!(!all.is_empty(), "{name}");
        all
    };
    let signatures = |texts: &serde_json::Value| -> Result<Vec<Signature>, BlsError> {
        list(texts).iter().map(|text| Signature::from_bytes(&bytes(text))).collect()
    };
    let publics = |texts: &serde_json::Value| -> Result<Vec<PublicKey>, BlsError> {
        list(texts).iter().map(|text| PublicKey::from_bytes(&bytes(text))).collect()
    };
    for case in cases("aggregate") {
        let sum = signatures(&case["input"]).and_then(|all| aggregate(&all));
        let expected = (!case["output"].is_null()).then(|| bytes(&case["output"]));
        assert_eq!(sum.ok().map(|sum| sum.to_bytes().to_vec()), expected, "{case}");
    }
    for case in cases("fast_aggregate_verify") {
        let input = &case["input"];
        let parsed = (publics(&input["pubkeys"]), Signature::from_bytes(&bytes(&input["signature"])));
        let good =
            matches!(&parsed, (Ok(keys), Ok(s)) if verify_aggregate(keys, &bytes(&input["message"]), s));
        assert_eq!(Some(good), case["output"].as_bool(), "{case}");
    }
    let mut rng = StdRng::seed_from_u64(3);
    for case in cases("batch_verify") {
        let input = &case["input"];
        let good = match (publics(&input["pubkeys"]), signatures(&input["signatures"])) {
            (Ok(keys), Ok(all)) => {
                let messages = list(&input["messages"]).iter().map(array::<32>);
                let items: Vec<Signed> =
                    keys.into_iter().zip(messages).zip(all).map(|((key, m), s)| (key, m, s)).collect();
                let good = verify_batch(&items, &mut rng);
                assert_eq!(good, find_invalid(&items, &mut rng).is_empty(), "{case}");
                good
            }
            (Err(_), _) | (_, Err(_)) => false,
        };
        assert_eq!(Some(good), case["output"].as_bool(), "{case}");
    }
}

#[test]
fn thresholds_agree_with_the_specification_of_distributed_validators() {
    let Some(path) = vectors("dv-specs/bls_threshold.json") else { return };
    let file = read(&path);
    let message = bytes(&file["message_hex"]);
    let group = PublicKey::from_bytes(&bytes(&file["group_pubkey_hex"])).expect("a key");
    for case in list(&file["keys"]) {
        let key = SecretKey::from_bytes(&bytes(&case["input"]["secret_hex"])).expect("a key");
        assert_eq!(key.public().to_bytes().to_vec(), bytes(&case["pubkey_hex"]), "{case}");
    }
    let mut keys = std::collections::BTreeMap::new();
    for case in list(&file["partials"]) {
        let key = SecretKey::from_bytes(&bytes(&case["input"]["secret_hex"])).expect("a key");
        assert_eq!(key.public().to_bytes().to_vec(), bytes(&case["pubshare_hex"]), "{case}");
        assert_eq!(key.sign(&message).to_bytes().to_vec(), bytes(&case["signature_hex"]), "{case}");
        keys.insert(case["input"]["share_idx"].as_u64().expect("an index"), key);
    }
    let chosen = |case: &serde_json::Value| -> Vec<(u64, SecretKey)> {
        let indices = list(&case["input"]["share_indices"]).iter().map(|i| i.as_u64().expect("an index"));
        indices.map(|i| (i, keys[&i].clone())).collect()
    };
    for case in list(&file["threshold_aggregates"]) {
        let partials: Vec<_> = chosen(case).iter().map(|(i, key)| (*i, key.sign(&message))).collect();
        let whole = recover_signature(&partials).expect("enough");
        assert_eq!(whole.to_bytes().to_vec(), bytes(&case["signature_hex"]), "{case}");
        assert!(verify(&group, &message, &whole), "{case}");
    }
    for case in list(&file["recovery"]) {
        let publics: Vec<_> = chosen(case).iter().map(|(i, key)| (*i, key.public())).collect();
        let whole = recover_public(&publics).expect("enough");
        assert_eq!(whole.to_bytes().to_vec(), bytes(&case["pubkey_hex"]), "{case}");
    }
    for case in list(&file["plain_aggregate"]) {
        let keys: Vec<_> = chosen(case).into_iter().map(|(_, key)| key).collect();
        let all: Vec<_> = keys.iter().map(|key| key.sign(&message)).collect();
        let sum = aggregate(&all).expect("some");
        assert_eq!(sum.to_bytes().to_vec(), bytes(&case["signature_hex"]), "{case}");
        let publics: Vec<_> = keys.iter().map(SecretKey::public).collect();
        assert!(verify_aggregate(&publics, &message, &sum) && !verify(&group, &message, &sum), "{case}");
    }
}

#[test]
fn what_is_no_key_and_no_signature_says_why() {
    let key = SecretKey::from_bytes(&[1; 32]).expect("a key");
    let (public, signature) = (key.public().to_bytes(), key.sign(b"x").to_bytes());
    assert!(SecretKey::from_bytes(&[0; 32]).is_err(), "zero");
    assert!(SecretKey::from_bytes(&[0xff; 32]).is_err(), "above the order");
    assert!(SecretKey::from_bytes(&[1; 31]).is_err(), "short");
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert!(PublicKey::from_bytes(&infinity).is_err(), "infinity");
    for at in [0, 1, 20, 47] {
        let mut other = public;
        other[at] ^= 0x01;
        // Another x is no point, or one outside the subgroup; the chance of another key is none.
        assert!(PublicKey::from_bytes(&other).is_err(), "byte {at}");
    }
    let uncompressed = |flags: u8, text: &[u8]| {
        let mut other = text.to_vec();
        other[0] = other[0] & 0x1f | flags;
        other
    };
    assert!(PublicKey::from_bytes(&uncompressed(0, &public)).is_err(), "not compressed");
    assert!(PublicKey::from_bytes(&uncompressed(0xc0, &public)).is_err(), "infinity with an x");
    assert!(Signature::from_bytes(&uncompressed(0, &signature)).is_err(), "not compressed");
    assert!(Signature::from_bytes(&signature[..95]).is_err(), "short");
    assert!(PublicKey::from_bytes(&[&public[..], &[0]].concat()).is_err(), "long");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Any `t` of `n` shares sign for all; fewer sign for nobody.
    #[test]
    fn any_threshold_of_shares_signs(seed: u64, n in 2_u64..9, t in 2_u64..9, rotate in 0_usize..9) {
        let t = t.min(n);
        let mut rng = StdRng::seed_from_u64(seed);
        let key = SecretKey::generate(&mut rng);
        let shares = split(&key, n, t, &mut rng).expect("shares");
        let mut partials: Vec<_> = shares.iter().map(|(i, share)| (*i, share.sign(b"duty"))).collect();
        let count = partials.len();
        partials.rotate_left(rotate % count);
        let t = usize::try_from(t).expect("small");
        proptest::prop_assert_eq!(recover_signature(&partials[..t]), Ok(key.sign(b"duty")));
        proptest::prop_assert_ne!(recover_signature(&partials[..t - 1]), Ok(key.sign(b"duty")));
    }

    /// One changed item of a batch is found, whichever of its parts was changed.
    #[test]
    fn one_bad_item_is_found(seed: u64, count in 2_usize..20, at in 0_usize..20, part in 0..3_u8) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut items: Vec<Signed> = (0..count)
            .map(|i| {
                let key = SecretKey::generate(&mut rng);
                let message = [u8::try_from(i % 4).expect("small"); 32];
                (key.public(), message, key.sign(&message))
            })
            .collect();
        let at = at % count;
        match part {
            0 => items[at].0 = SecretKey::generate(&mut rng).public(),
            1 => items[at].1[31] ^= 0x80,
            _ => items[at].2 = SecretKey::generate(&mut rng).sign(&items[at].1),
        }
        proptest::prop_assert!(!verify_batch(&items, &mut rng));
        proptest::prop_assert_eq!(find_invalid(&items, &mut rng), vec![at]);
    }
}
