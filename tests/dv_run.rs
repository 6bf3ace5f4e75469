//! Nodes of a distributed validator as real processes, on a simulated chain with simulated validator clients: every duty
//! is done, also while a node is down, a node that was killed takes part again, and nothing is signed that should not be.

#![expect(clippy::print_stdout, reason = "a test says why it was skipped")]

#[path = "support/cluster.rs"]
mod cluster;

use std::path::PathBuf;

use cluster::{Cluster, EPOCH, Plan, Program, get};

#[test]
fn four_nodes_do_every_duty_and_go_on_without_one() {
    let mut cluster = Cluster::start(Plan::ours());
    cluster.wait_for_slot(9);
    cluster.check_done(EPOCH, 6);
    for node in 0..4 {
        cluster.wait_until_ready(node);
        let (_, metrics) = get(cluster.ports[node].1, "/metrics").unwrap();
        assert!(metrics.contains("core_tracker_success_duties_total"), "{metrics}");
    }

    // Three are enough.
    cluster.kill(3);
    cluster.check_without(&[3]);

    // It comes back with what it has signed, and then it is needed: another one goes.
    cluster.restart(3);
    cluster.wait_until_ready(3);
    let ready = cluster.slot();
    cluster.wait_for_slot(ready + 2);
    cluster.kill(0);
    cluster.check_without(&[0]);

    // Two are not.
    cluster.kill(1);
    let alone = cluster.slot();
    cluster.wait_for_slot(alone + 4);
    cluster.check_silent(alone + 2, alone + 3);
}

/// Where `variable` names a charon: some nodes are its, some ours, and every duty is done.
fn check_mixed(variable: &str, theirs: usize) {
    let Some(path) = std::env::var_os(variable) else {
        println!("skipped: {variable} names no charon");
        return;
    };
    let program = |node| if node < 4 - theirs { Program::Ours } else { Program::Other(PathBuf::from(&path)) };
    let programs: Vec<Program> = (0..4).map(program).collect();
    let mut cluster = Cluster::start(Plan::of(programs));
    let begun = cluster.slot();
    cluster.wait_for_slot(begun + 9);
    cluster.check_done(begun + 5, begun + 7);
    // One of either kind goes.
    for node in [0, 3] {
        cluster.kill(node);
        cluster.check_without(&[node]);
        cluster.restart(node);
        cluster.wait_until_ready(node);
        let ready = cluster.slot();
        cluster.wait_for_slot(ready + 2);
    }
}

#[test]
fn two_nodes_of_charon_and_two_of_ours() {
    check_mixed("CHARON_BIN", 2);
}

#[test]
fn an_older_charon_and_three_of_ours() {
    check_mixed("CHARON_V110_BIN", 1);
}
