//! A run that others made, from inside: what a node of it says and ends with, byte for byte.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::bls::{PublicKey, SecretKey, Signature, recover_secret};
use serde_json::Value;

use super::bundle::{Bundle as _, Deals, Responses, Signed, Verdict};
use super::run::{Run, RunEffect, RunParameters};
use super::{Node, ecies, nonce};

fn suite(name: &str) -> Option<Value> {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let root = std::env::var_os("COXSWAIN_VECTORS").map_or_else(here, PathBuf::from);
    let Ok(text) = std::fs::read(root.join("charon/p2p-dkg").join(name)) else {
        println!("skipped: no vectors {name}");
        return None;
    };
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hexadecimal digits")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("the right length")
}

fn small(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a number")).expect("small")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn signature(value: &Value) -> Signature {
    Signature::from_bytes(&bytes(value)).expect("a signature")
}

fn deals(value: &Value) -> Signed<Deals> {
    let deal = |deal: &Value| (small(&deal["share_index"]), bytes(&deal["encrypted_share"]));
    let bundle = Deals {
        dealer: small(&value["dealer_index"]),
        commitments: list(&value["public"]).iter().map(array).collect(),
        deals: list(&value["deals"]).iter().map(deal).collect(),
        session: array(&value["session_id"]),
    };
    assert_eq!(bundle.hash().to_vec(), bytes(&value["hash"]));
    Signed { bundle, signature: signature(&value["signature"]) }
}

fn responses(value: &Value) -> Signed<Responses> {
    let response = |response: &Value| {
        let is_good = response["status"].as_bool().expect("a flag");
        (small(&response["dealer_index"]), if is_good { Verdict::Good } else { Verdict::Complaint })
    };
    let bundle = Responses {
        holder: small(&value["share_index"]),
        responses: list(&value["responses"]).iter().map(response).collect(),
        session: array(&value["session_id"]),
    };
    assert_eq!(bundle.hash().to_vec(), bytes(&value["hash"]));
    Signed { bundle, signature: signature(&value["signature"]) }
}

/// The shares of the first node's polynomial: those that it sent, and its own from the others.
fn shares_of_first(sent: &Deals, keys: &[SecretKey]) -> BTreeMap<u32, SecretKey> {
    let mut shares = BTreeMap::new();
    for (holder, sealed) in &sent.deals {
        let key = &keys[usize::try_from(*holder).expect("small")];
        shares.insert(*holder, ecies::open(key, sealed).expect("a share"));
    }
    // It is evaluated at 1, the others at their places and 1: seen from there they lie at their places.
    let points: Vec<(u64, SecretKey)> =
        shares.iter().map(|(holder, share)| (u64::from(*holder), share.clone())).collect();
    shares.insert(0, recover_secret(&points).expect("enough points"));
    shares
}

#[test]
fn a_run_of_others_ends_as_theirs() {
    let Some(suite) = suite("pedersen_fresh_dkg.json") else { return };
    let of_node =
        |name: &str| list(&suite["nodes"]).iter().map(|node| bytes(&node[name])).collect::<Vec<_>>();
    let keys: Vec<SecretKey> =
        of_node("longterm_private").iter().map(|key| SecretKey::from_bytes(key).expect("a key")).collect();
    let nodes: Vec<Node> = (0..)
        .zip(of_node("longterm_public"))
        .map(|(index, key)| Node { index, key: PublicKey::from_bytes(&key).expect("a key") })
        .collect();
    for run in list(&suite["runs"]) {
        let session = nonce(small(&run["iteration"]), &nodes);
        assert_eq!(session.to_vec(), bytes(&run["nonce"]));
        let all_deals: Vec<Signed<Deals>> = list(&run["deal_bundles"]).iter().map(deals).collect();
        let all_responses: Vec<Signed<Responses>> =
            list(&run["response_bundles"]).iter().map(responses).collect();
        for (node, (deals, responses)) in nodes.iter().zip(all_deals.iter().zip(&all_responses)) {
            assert!(deals.is_by(&node.key) && responses.is_by(&node.key), "{}", node.index);
        }
        let own = all_deals[0].clone();
        assert_eq!(Signed::new(own.bundle.clone(), &keys[0]), own, "the same signature is made again");
        let threshold = usize::try_from(small(&suite["threshold"])).expect("small");
        let parameters = RunParameters { nodes: nodes.clone(), own: 0, threshold, session };
        let shares = shares_of_first(&own.bundle, &keys);
        let mut machine = Run::with(parameters, keys[0].clone(), shares, own.bundle);
        let mut effects = Vec::new();
        for deals in &all_deals[1..] {
            effects.append(&mut machine.take_deals(deals.clone()).expect("fine"));
        }
        let [RunEffect::SendResponses(said)] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(said, &all_responses[0]);
        let mut effects = Vec::new();
        for responses in &all_responses[1..] {
            effects.append(&mut machine.take_responses(responses.clone()).expect("fine"));
        }
        let [RunEffect::Done(dealt)] = effects.as_slice() else { panic!("{effects:?}") };
        let end = &list(&run["final"])[0];
        assert_eq!(dealt.secret.to_bytes().to_vec(), bytes(&end["secret_share"]));
        assert_eq!(dealt.secret.public().to_bytes().to_vec(), bytes(&end["public_share"]));
        let commitments: Vec<Vec<u8>> =
            dealt.commitments.points().iter().map(|point| point.to_bytes().to_vec()).collect();
        assert_eq!(commitments, list(&end["commits"]).iter().map(bytes).collect::<Vec<_>>());
        assert_eq!(dealt.dealers, [0, 1, 2, 3]);
    }
}
