//! The arithmetic of key ceremonies, against transcripts of the libraries that others run: FROST and Pedersen.
//!
//! What is not reckoned here: envelopes, encryption of shares, and signatures of Pedersen's bundles, which have a
//! domain of their own.

mod support;

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{
    BlsError, Commitments, KnowledgeProof, Object, Polynomial, PublicKey, SecretKey, recover_public,
    recover_secret,
};
use serde_json::Value;
use support::{array, bytes, list, read, vectors};

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn byte(value: &Value) -> u8 {
    u8::try_from(number(value)).expect("a byte")
}

fn secret(value: &Value) -> SecretKey {
    SecretKey::from_bytes(&array::<32>(value)).expect("a secret")
}

fn public(value: &Value) -> PublicKey {
    PublicKey::from_bytes(&bytes(value)).expect("a point")
}

fn commitments(values: &Value) -> Commitments {
    Commitments::new(list(values).iter().map(public).collect()).expect("commitments")
}

// ------------------------------------------------------------------------------------------------------- FROST

#[test]
fn whole_ceremonies_are_reckoned_again() {
    for name in ["frost_transcript_n3_t2_v1", "frost_transcript_n4_t3_v2"] {
        let Some(path) = vectors(&format!("charon/p2p-dkg/{name}.json")) else { return };
        let suite = read(&path);
        let participants = list(&suite["participants"]);
        let threshold = usize::try_from(number(&suite["t"])).expect("few");
        for (validator, group_key) in list(&suite["group_public_keys"]).iter().enumerate() {
            let runs: Vec<(u64, &Value)> =
                participants.iter().map(|p| (number(&p["id"]), &p["validators"][validator])).collect();
            let dealt: Vec<(u64, Polynomial)> = runs
                .iter()
                .map(|(id, run)| {
                    let terms = list(&run["coefficients"]).iter().map(secret).collect();
                    (*id, Polynomial::from_coefficients(terms).expect("a polynomial"))
                })
                .collect();
            let all: Vec<Commitments> = dealt.iter().map(|(_, dealer)| dealer.commitments()).collect();
            let sum = Commitments::sum(&all).expect("a sum");
            assert_eq!(sum.share(0), Ok(public(group_key)), "{name}");
            let mut shares = Vec::new();
            for (id, run) in &runs {
                for ((_, dealer), (_, sent)) in dealt.iter().zip(&runs) {
                    if let Some(share) = sent["shares_sent"].get(id.to_string()) {
                        assert_eq!(dealer.share(*id), Ok(secret(&share["value"])), "{name}");
                    }
                }
                let owed: Vec<SecretKey> =
                    dealt.iter().map(|(_, dealer)| dealer.share(*id).expect("a share")).collect();
                let share = SecretKey::sum(&owed).expect("a share");
                assert_eq!(share, secret(&run["sk_share"]), "{name}: participant {id}");
                assert_eq!(sum.share(*id), Ok(public(&run["vk_share"])), "{name}: participant {id}");
                assert!(sum.has_share(*id, &share), "{name}: participant {id}");
                shares.push((*id, share));
            }
            for window in shares.windows(threshold) {
                let whole = recover_secret(window).expect("enough");
                assert_eq!(whole.public(), public(group_key), "{name}");
            }
        }
    }
}

/// Whether a receiver may take these casts and shares: all that a second round checks, but for who sent it.
fn is_accepted(case: &Value) -> bool {
    let (receiver, threshold) =
        (number(&case["receiver_id"]), list(&case["casts"])[0]["commitments"].clone());
    let threshold = list(&threshold).len();
    let mut dealers = BTreeMap::new();
    for cast in list(&case["casts"]) {
        let points: Result<Vec<PublicKey>, BlsError> =
            list(&cast["commitments"]).iter().map(|point| PublicKey::from_bytes(&bytes(point))).collect();
        let proof = KnowledgeProof::from_bytes(&bytes(&cast["wi"]), &bytes(&cast["ci"]));
        let (Ok(points), Ok(proof)) = (points, proof) else { return false };
        // Nobody proves anything to itself.
        if number(&cast["source"]) != receiver && !proof.verify(&points[0], byte(&cast["source"]), 0) {
            return false;
        }
        assert_eq!(points.len(), threshold);
        dealers.insert(number(&cast["source"]), Commitments::new(points).expect("commitments"));
    }
    list(&case["shares"]).iter().all(|share| {
        let (id, value) = (number(&share["id"]), SecretKey::from_bytes(&bytes(&share["value"])));
        let dealer = &dealers[&number(&share["source"])];
        id == receiver && value.is_ok_and(|value| dealer.has_share(id, &value))
    })
}

#[test]
fn a_second_round_is_taken_as_others_take_it() {
    let Some(path) = vectors("charon/p2p-dkg/frost_round2_validation.json") else { return };
    let suite = read(&path);
    for case in list(&suite["cases"]) {
        assert_eq!(is_accepted(case), case["library_result"] == "ok", "{}", case["case"]);
    }
    assert!(list(&suite["cases"]).iter().any(|case| case["library_result"] == "ok"), "one is good");
}

#[test]
fn a_share_of_another_is_refused_by_its_number_alone() {
    let Some(path) = vectors("charon/p2p-dkg/frost_round2_validation.json") else { return };
    let suite = read(&path);
    let case = &list(&suite["cases"])[0];
    let receiver = number(&case["receiver_id"]);
    for share in list(&case["shares"]) {
        let casts = list(&case["casts"]);
        let cast = casts.iter().find(|cast| cast["source"] == share["source"]).expect("its dealer");
        let (dealer, value) = (commitments(&cast["commitments"]), secret(&share["value"]));
        for index in 0..=8 {
            assert_eq!(dealer.has_share(index, &value), index == receiver, "{index}");
        }
    }
}

// ---------------------------------------------------------------------------------------------------- Pedersen

/// The commitments of a run's end are those of its dealers put together, and every node's share is of them.
#[track_caller]
fn check_ends(expected: &Commitments, ends: &Value, threshold: usize) {
    let mut shares = Vec::new();
    // A node that leaves ends without a number and without a share.
    for end in list(ends).iter().filter(|end| !end["new_index"].is_null()) {
        // Nodes are numbered from 0, shares from 1.
        let index = number(&end["new_index"]) + 1;
        assert_eq!(&commitments(&end["commits"]), expected, "{}", end["node"]);
        let share = secret(&end["secret_share"]);
        assert_eq!(expected.share(index), Ok(public(&end["public_share"])), "{}", end["node"]);
        assert!(expected.has_share(index, &share), "{}", end["node"]);
        assert!(!expected.has_share(index + 1, &share), "{}", end["node"]);
        shares.push((index, share));
    }
    let whole = recover_secret(&shares[shares.len() - threshold..]).expect("enough");
    assert_eq!(expected.share(0), Ok(whole.public()));
}

#[test]
fn fresh_keys_are_the_sum_of_all_dealers() {
    let Some(path) = vectors("charon/p2p-dkg/pedersen_fresh_dkg.json") else { return };
    for run in list(&read(&path)["runs"]) {
        let dealers: Vec<Commitments> =
            list(&run["deal_bundles"]).iter().map(|deal| commitments(&deal["public"])).collect();
        let sum = Commitments::sum(&dealers).expect("a sum");
        check_ends(&sum, &run["final"], sum.points().len());
    }
}

#[test]
fn nodes_that_change_keep_the_key() {
    let Some(path) = vectors("charon/p2p-dkg/pedersen_reshare.json") else { return };
    let suite = read(&path);
    let (old, key) = (commitments(&suite["old_commits"]), public(&suite["group_public_key"]));
    assert_eq!(old.share(0), Ok(key));
    for old_share in list(&suite["old_shares"]) {
        assert!(old.has_share(number(&old_share["index"]) + 1, &secret(&old_share["secret_share"])));
    }
    for scenario in list(&suite["scenarios"]) {
        let name = &scenario["scenario"];
        let mut dealers: BTreeMap<u64, Commitments> = BTreeMap::new();
        for deal in list(&scenario["deal_bundles"]) {
            dealers.insert(number(&deal["dealer_index"]) + 1, commitments(&deal["public"]));
        }
        // A dealer shares the share that it has, so that nobody can put in another key.
        for (index, dealer) in &dealers {
            assert_eq!(dealer.share(0), old.share(*index), "{name}");
        }
        let old_threshold = usize::try_from(number(&scenario["old_threshold"])).expect("few");
        let new_threshold = usize::try_from(number(&scenario["new_threshold"])).expect("few");
        let at = |place: usize| {
            let terms = dealers.iter().take(old_threshold);
            let terms: Vec<_> = terms.map(|(index, dealer)| (*index, dealer.points()[place])).collect();
            recover_public(&terms).expect("a commitment")
        };
        let new = Commitments::new((0..new_threshold).map(at).collect()).expect("commitments");
        assert_eq!(new.share(0), Ok(key), "{name}");
        check_ends(&new, &scenario["final"], new_threshold);
    }
}

#[test]
fn a_key_comes_back_from_public_shares() {
    let Some(path) = vectors("charon/p2p-dkg/pedersen_restore_share.json") else { return };
    let case = read(&path);
    let key = public(&case["validator_public_key"]);
    let shares: Vec<(u64, PublicKey)> =
        (1..=4).map(|i| (i, public(&case["public_shares"][i.to_string()]))).collect();
    let own = usize::try_from(number(&case["node_index"])).expect("small");
    assert_eq!(secret(&case["secret_share"]).public(), shares[own].1);
    let without = |left_out: &[u64]| -> Result<PublicKey, BlsError> {
        let left: Vec<_> = shares.iter().filter(|(index, _)| !left_out.contains(index)).copied().collect();
        recover_public(&left)
    };
    assert_eq!(without(&[]), Ok(key));
    assert_eq!(without(&[2]), Ok(key));
    assert_ne!(without(&[2, 3]), Ok(key), "fewer than the threshold give another key");
    assert_eq!(without(&[1, 2, 3, 4]), Err(BlsError::Nothing { object: Object::PublicKey }));
}
