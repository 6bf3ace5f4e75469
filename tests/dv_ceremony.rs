//! Key ceremonies of real processes: through our relay, over slow and broken lines, beside charon, and with every fault
//! that operators meet. What must hold: all nodes end with the same lock, or a node that fails says who is to blame and
//! has no key.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

#[path = "support/ceremony.rs"]
mod ceremony;
mod support;

use std::fs;
use std::path::Path;

use ceremony::{Group, Process, Relay, coxswain, mode_of};
use coxswain::dv::keystores;
use coxswain_dv_types::cluster::Lock;
use support::{Ran, run};

fn lock_of(node: &Path) -> Lock {
    Lock::parse(&fs::read(node.join("cluster-lock.json")).unwrap()).unwrap()
}

/// Public keys of the keys in a directory.
fn publics(dir: &Path) -> Vec<Vec<u8>> {
    let keys = keystores::load_sequence(dir).unwrap_or_else(|e| panic!("{e:?}"));
    keys.iter().map(|key| key.public().to_bytes().to_vec()).collect()
}

fn end_all(nodes: Vec<Process>) -> Vec<Ran> {
    nodes.into_iter().map(Process::end).collect()
}

#[track_caller]
fn succeeded(outputs: &[Ran]) {
    for (node, ran) in outputs.iter().enumerate() {
        assert_eq!(ran.code, 0, "node {node}\n{}\n{}", ran.stdout, ran.stderr);
    }
}

/// All nodes have everything, and it fits together.
#[track_caller]
fn check_whole(group: &Group, validators: usize) -> Lock {
    let first = fs::read(group.at(0).join("cluster-lock.json")).unwrap();
    for node in 0..group.nodes.len() {
        let at = group.at(node);
        assert_eq!(fs::read(at.join("cluster-lock.json")).unwrap(), first, "the same bytes in every node");
        assert_eq!(publics(&at.join("validator_keys")).len(), validators);
        run(&mut coxswain(group.path(), &["verify", &group.nodes[node]])).ok();
    }
    let lock = lock_of(&group.at(0));
    run(&mut coxswain(group.path(), &["combine", "--cluster-dir=.", "--output-dir=whole"])).ok();
    let keys: Vec<Vec<u8>> = lock.validators.iter().map(|validator| validator.public_key.to_vec()).collect();
    assert_eq!(keys.len(), validators);
    assert_eq!(publics(&group.path().join("whole")), keys, "the shares are those of the lock's keys");
    lock
}

fn check_modes(node: &Path) {
    for (name, mode) in [
        ("charon-enr-private-key", 0o600),
        ("cluster-lock.json", 0o444),
        ("deposit-data.json", 0o444),
        ("deposit-data-1eth.json", 0o444),
        ("validator_keys/keystore-0.json", 0o444),
        ("validator_keys/keystore-0.txt", 0o400),
    ] {
        assert_eq!(mode_of(&node.join(name)), mode, "{name}");
    }
    assert_eq!(mode_of(&node.join("validator_keys")) & 0o022, 0, "only the owner puts keys there");
}

// -------------------------------------------------------------------------------------------------- through our relay

#[track_caller]
fn check_ceremony(count: usize, validators: usize, more: &[&str]) {
    let number = format!("--num-validators={validators}");
    let group = Group::new(count, &[&[number.as_str()], more].concat());
    let relay = Relay::start(group.path());
    let outputs = end_all(group.start_all(&relay.url, &[]));
    succeeded(&outputs);
    let lock = check_whole(&group, validators);
    let hash = format!("0x{}", hex::encode(&*lock.lock_hash));
    for (node, ran) in outputs.iter().enumerate() {
        assert!(ran.stdout.contains(&hash), "{}", ran.stdout);
        check_modes(&group.at(node));
        let has = ["cluster-lock.json", "deposit-data-1eth.json", "deposit-data.json", "validator_keys"];
        assert_eq!(group.has(node), has, "and nothing else");
    }
    group.told_no_secret(&outputs);
}

#[test]
fn three_nodes_make_keys() {
    check_ceremony(3, 3, &[]);
}

#[test]
fn four_nodes_make_keys() {
    check_ceremony(4, 2, &[]);
}

#[test]
fn four_nodes_make_keys_by_pedersen() {
    check_ceremony(4, 2, &["--dkg-algorithm=pedersen"]);
}

#[test]
fn seven_nodes_make_keys() {
    check_ceremony(7, 1, &[]);
}

#[test]
fn ten_nodes_make_keys() {
    check_ceremony(10, 1, &[]);
}
