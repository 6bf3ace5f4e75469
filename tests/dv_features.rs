//! What operators turn on for nodes that run, with real processes on a simulated chain: newer registrations with builders,
//! proposals that are made up.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

#[path = "support/cluster.rs"]
mod cluster;

use std::path::Path;
use std::process::Command;

use cluster::{Cluster, EPOCH, Plan, get, wait_until};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::Address;
use coxswain_dv_types::network::Networks;
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value as Json;

/// Whole keys of a cluster in a directory.
fn whole_keys(dir: &Path) -> Vec<SecretKey> {
    let combined = Command::new(env!("CARGO_BIN_EXE_coxswain"))
        .args(["dv", "combine", "--cluster-dir=.", "--output-dir=whole"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(combined.status.success(), "{combined:?}");
    let mut keys = Vec::new();
    for place in 0.. {
        let file = |end: &str| std::fs::read_to_string(dir.join(format!("whole/keystore-{place}.{end}")));
        let Ok(text) = file("json") else { break };
        let keystore = coxswain_dv_keystore::parse(text.as_bytes()).unwrap();
        let secret = keystore.decrypt(&file("txt").unwrap()).unwrap();
        keys.push(SecretKey::from_bytes(&secret[..]).unwrap());
    }
    keys
}

/// An entry of a file of newer registrations.
fn entry(key: &SecretKey, payee: Address, timestamp: u64) -> String {
    let message = Registration {
        fee_recipient: payee,
        gas_limit: 60_000_000,
        timestamp,
        pubkey: key.public().to_bytes(),
    };
    let networks = Networks::default();
    let signature = key.sign(&message.signing_root(networks.named("hoodi").unwrap())).to_bytes();
    format!("{{\"version\":\"v1\",\"v1\":{}}}", SignedRegistration { message, signature }.to_json())
}

/// Whom the block of a slot pays; none where there is no block.
fn payee_of(cluster: &Cluster, slot: u64) -> Option<String> {
    let (status, body) = get(cluster.chains[0], &format!("/eth/v2/beacon/blocks/{slot}")).ok()?;
    let block: Json = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
    let payload = &block["data"]["message"]["body"]["execution_payload"];
    payload["fee_recipient"].as_str().map(str::to_lowercase)
}

/// Waits for a block after this slot that pays this one.
fn wait_for_payee(cluster: &Cluster, payee: &str, after: u64) {
    wait_until(&format!("a block after slot {after} pays {payee}"), || {
        (after + 1..=cluster.slot()).any(|slot| payee_of(cluster, slot).as_deref() == Some(payee))
    });
}

#[test]
fn a_newer_registration_changes_whom_blocks_pay() {
    let plan = Plan { node: vec!["--overrides-file=newer.json".to_owned()], ..Plan::ours() };
    let cluster = Cluster::start(plan);
    let of_lock = format!("0x{:040x}", 1);
    wait_for_payee(&cluster, &of_lock, 0);
    let keys = whole_keys(cluster.dir.path());
    assert_eq!(keys.len(), 2);
    let write = |text: &str| {
        std::fs::write(cluster.dir.path().join("newer.tmp"), text).unwrap();
        std::fs::rename(cluster.dir.path().join("newer.tmp"), cluster.dir.path().join("newer.json")).unwrap();
    };
    let newer = Address([0xaa; 20]);
    let entries: Vec<String> = keys.iter().map(|key| entry(key, newer, 2_000_000_000)).collect();
    write(&format!("[{}]", entries.join(",")));
    let payee = format!("0x{}", "aa".repeat(20));
    wait_for_payee(&cluster, &payee, cluster.slot());

    // What its key has not signed does not count, and neither does what is no list.
    let forged = entries[0].replace(&Address([0xaa; 20]).to_string(), &Address([0xbb; 20]).to_string());
    assert_ne!(forged, entries[0]);
    write(&format!("[{forged},{}]", entries[1]));
    wait_for_payee(&cluster, &of_lock, cluster.slot());
    write("[");
    let said = |text: &str| cluster.said().contains(text);
    wait_until("nodes say what is wrong", || said("has not signed it") && said("cannot be read"));
    let slot = cluster.slot();
    cluster.wait_for_slot(slot + 2);
    let report = cluster.report(slot, slot + 1);
    for duty in ["proposer", "attester"] {
        let counts = &report["duties"][duty];
        assert!(counts["expected"].as_u64() > Some(0), "{duty}: {counts}");
        assert_eq!(counts["on_time"], counts["expected"], "{duty}: {counts}\n{}", cluster.said());
    }
    assert_eq!(report["n_fatal"].as_u64(), Some(0), "{}", report["findings"]);
}

#[test]
fn made_up_proposals_are_signed_and_never_submitted() {
    let mut rng = StdRng::seed_from_u64(4);
    let other = |_| format!("--key=0x{}", hex::encode(SecretKey::generate(&mut rng).public().to_bytes()));
    let chain: Vec<String> = (0..6).map(other).collect();
    let node = vec!["--synthetic-block-proposals".to_owned()];
    let cluster = Cluster::start(Plan { chain, node, ..Plan::ours() });
    let broadcast = |node: usize| {
        let Ok((_, metrics)) = get(cluster.ports[node].1, "/metrics") else { return 0.0 };
        let of_blocks = |line: &&str| {
            line.starts_with("core_bcast_broadcast_total{") && line.contains("duty=\"proposer\"")
        };
        let value =
            metrics.lines().find(of_blocks).and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or(0.0)
    };
    let lock = std::fs::read(cluster.dir.path().join("node0/cluster-lock.json")).unwrap();
    let lock: Json = serde_json::from_slice(&lock).unwrap();
    let ours: Vec<&str> = lock["distributed_validators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["distributed_public_key"].as_str().unwrap())
        .collect();
    // Blocks that were to come, and that came in time.
    let blocks = |to: u64| {
        let report = cluster.report(0, to);
        let all = report["validators"].as_array().unwrap().clone();
        let of = |one: &Json, count: &str| one["duties"]["proposer"][count].as_u64().unwrap_or(0);
        let mine = all.iter().filter(|one| ours.contains(&one["pubkey"].as_str().unwrap()));
        mine.fold((0, 0), |(expected, on_time), one| {
            (expected + of(one, "expected"), on_time + of(one, "on_time"))
        })
    };
    wait_until("there was a made-up proposal at every node", || {
        let real = blocks(cluster.slot()).0;
        (0..4).all(|node| broadcast(node) >= real as f64 + 2.0)
    });
    // The real ones are done all the same, and beacon nodes have seen no other.
    let last = cluster.slot().max(2 * EPOCH);
    cluster.wait_for_slot(last + 1);
    let (expected, on_time) = blocks(last);
    assert_eq!(expected, on_time, "{}", cluster.said());
    let report = cluster.report(0, last);
    let bad = (report["n_fatal"].as_u64(), report["n_refused"].as_u64());
    assert_eq!(bad, (Some(0), Some(0)), "{}", report["findings"]);
}
