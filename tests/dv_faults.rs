//! What goes wrong around a cluster of real processes: beacon nodes, branches of the chain, clocks, the network; and what
//! happens seldom: exits, blocks of builders, forks. Duties are done all the same, and nothing is signed that should not be.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

#[path = "support/cluster.rs"]
mod cluster;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::{COUNTED, Cluster, EPOCH, Plan, Program, get, number, wait_until};
use serde_json::{Value as Json, json};

/// Every duty of the next two slots is done in time.
#[track_caller]
fn check_next(cluster: &Cluster) {
    let from = cluster.slot() + 1;
    cluster.wait_for_slot(from + 2);
    cluster.check_in_time(from, from + 1);
}

/// These votes of some slots are there in time, whatever becomes of blocks.
#[track_caller]
fn check_votes(cluster: &Cluster, duties: &[&str], (from, to): (u64, u64)) {
    let report = cluster.report(from, to);
    for duty in duties {
        let counts = &report["duties"][duty];
        let expected = counts["expected"].as_u64().unwrap();
        assert!(expected > 0, "{duty}: {counts}");
        assert_eq!(counts["on_time"].as_u64(), Some(expected), "{duty}: {counts}\n{}", cluster.said());
    }
}

/// Waits until every duty of a slot is done again, then every duty of the next two slots must be.
#[track_caller]
fn check_recovers(cluster: &Cluster) {
    let is_done = || {
        let over = cluster.slot().saturating_sub(1);
        let report = cluster.report(over, over);
        let is_done = |duty: &str| {
            let counts = &report["duties"][duty];
            counts["on_time"] == counts["expected"]
        };
        COUNTED.iter().all(|duty| is_done(duty))
    };
    wait_until("every duty of a slot is done again", is_done);
    check_next(cluster);
}

/// The value of a metric, summed over its series.
fn metric(cluster: &Cluster, node: usize, name: &str) -> f64 {
    series(cluster, node, name, "")
}

/// The value of a metric, summed over those of its series with a label.
fn series(cluster: &Cluster, node: usize, name: &str, label: &str) -> f64 {
    let (_, text) = get(cluster.ports[node].1, "/metrics").unwrap();
    let is_name = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let of_name = |line: &&str| is_name(line) && line.contains(label);
    let values = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// How many peers a node is connected to, over however many connections.
fn peers(cluster: &Cluster, node: usize) -> usize {
    let (_, text) = get(cluster.ports[node].1, "/metrics").unwrap();
    let of_one = |line: &str| {
        let (labels, count) = line.strip_prefix("p2p_peer_connection_types{")?.rsplit_once("} ")?;
        let peer = labels.split(',').find(|label| label.starts_with("peer="))?.to_owned();
        count.parse::<f64>().is_ok_and(|count| count > 0.0).then_some(peer)
    };
    text.lines().filter_map(of_one).collect::<std::collections::BTreeSet<String>>().len()
}

/// Two beacon nodes and one for when both fail, and a chain of Electra, whose proposers are known one epoch later than those
/// of Fulu: a short branch changes them.
#[test]
fn beacon_nodes_fail_and_the_chain_takes_other_branches() {
    let cluster = Cluster::start(Plan {
        validators: 4,
        beacons: 3,
        chain: vec!["--fork-epochs=fulu=1000000".to_owned()],
        node: vec![
            "--beacon-node-endpoints={line0},{line1}".to_owned(),
            "--fallback-beacon-node-endpoints={beacon2}".to_owned(),
        ],
        ..Plan::ours()
    });
    cluster.wait_for_slot(EPOCH);
    beacon_nodes_fail(&cluster);
    the_chain_takes_other_branches(&cluster);
}

#[track_caller]
fn beacon_nodes_fail(cluster: &Cluster) {
    let all = "/eth/";
    let faults = [
        ("one is slow", vec![json!({"kind": "endpoint", "node": 0, "path": all, "latency_ms": 2000})]),
        ("one is ill", vec![json!({"kind": "endpoint", "node": 1, "path": all, "status": 500})]),
        ("one hangs", vec![json!({"kind": "endpoint", "node": 0, "path": all, "latency_ms": 100_000})]),
        ("one syncs", vec![json!({"kind": "syncing", "node": 1})]),
        ("one has a clock that is behind", vec![json!({"kind": "skew", "node": 0, "ms": -700})]),
        (
            "both are ill",
            vec![
                json!({"kind": "endpoint", "node": 0, "path": all, "status": 503}),
                json!({"kind": "endpoint", "node": 1, "path": all, "status": 503}),
            ],
        ),
    ];
    for (what, faults) in &faults {
        println!("slot {}: {what}", cluster.slot());
        faults.iter().for_each(|fault| cluster.fault(fault));
        check_next(cluster);
        cluster.fault(&json!({"kind": "clear"}));
    }
    println!("slot {}: one is not there, then neither", cluster.slot());
    cluster.to_beacons[0].cut();
    check_next(cluster);
    cluster.to_beacons[1].cut();
    check_next(cluster);
    cluster.to_beacons.iter().for_each(cluster::Line::open);
}

/// A node that is started while its beacon node is away, then while that reads the chain: those who look at it see why it is not
/// ready, peers see it, and its validator client gets what the beacon node answers. Then it takes part.
#[test]
fn a_node_that_waits_for_its_beacon_node_is_seen() {
    let mut cluster = Cluster::start(Plan {
        validators: 1,
        node: vec!["--beacon-node-endpoints={line0}".to_owned()],
        ..Plan::ours()
    });
    cluster.wait_for_slot(2);
    let (node, (api, monitoring)) = (1, cluster.ports[1]);
    cluster.kill(node);
    cluster.to_beacons[0].cut();
    cluster.restart(node);
    let answers = |port, path| get(port, path).is_ok();
    wait_until("the node is looked at without a beacon node", || answers(monitoring, "/livez"));
    let seen = |path| get(monitoring, path).unwrap();
    assert_eq!(seen("/livez"), (200, "ok".to_owned()));
    assert_eq!(seen("/readyz"), (500, "beacon node down".to_owned()));
    assert_eq!(seen("/metrics").0, 503, "there is no clock to count by");
    assert!(!answers(api, "/eth/v1/node/version"), "nothing could be passed on");

    cluster.fault(&json!({"kind": "syncing", "node": 0}));
    cluster.to_beacons[0].open();
    wait_until("the beacon node is known to read the chain", || {
        answers(api, "/eth/v1/node/version") && seen("/readyz") == (500, "beacon node not synced".to_owned())
    });
    assert_eq!(metric(&cluster, node, "app_monitoring_readyz").to_string(), "3");
    wait_until("its peers see it", || peers(&cluster, node) == 3);
    let (status, genesis) = get(api, "/eth/v1/beacon/genesis").unwrap();
    assert!(status == 200 && genesis.contains("genesis_validators_root"), "{status} {genesis}");
    let (status, refused) = get(api, "/eth/v1/validator/attestation_data?slot=1&committee_index=0").unwrap();
    assert!(status == 503 && refused.contains("waits for a beacon node"), "{status} {refused}");

    cluster.fault(&json!({"kind": "clear"}));
    cluster.wait_until_ready(node);
    check_recovers(&cluster);
}

/// How long a beacon node may take where the primaries hang: nothing waits for it more than twice before a duty is over. On a
/// machine that does much else the fallback still answers in it.
const HANG_MS: u64 = 500;

/// Both beacon nodes take what they are asked and do not answer, one more is well. All that a duty needs comes from it, what the
/// node itself asks and what it passes on for validator clients: the head that members of sync committees vote for,
/// subscriptions, the chain's configuration.
#[test]
fn all_primaries_hang_and_the_fallback_is_well() {
    let plan = Plan::ours();
    let cluster = Cluster::start(Plan {
        validators: 4,
        beacons: 3,
        // An aggregate begins at two thirds of a slot, and its value and its way out each wait for those that hang.
        slot: 2 * plan.slot,
        node: vec![
            "--beacon-node-endpoints={beacon0},{beacon1}".to_owned(),
            "--fallback-beacon-node-endpoints={beacon2}".to_owned(),
            format!("--beacon-node-timeout={HANG_MS}ms"),
            format!("--beacon-node-submit-timeout={HANG_MS}ms"),
        ],
        ..plan
    });
    cluster.wait_for_slot(EPOCH);
    // What was passed on, and what no beacon node answered.
    let passed_on = |node: usize| {
        let asked = metric(&cluster, node, "core_validatorapi_proxy_request_latency_seconds_count");
        (asked, series(&cluster, node, "core_validatorapi_request_error_total", "status_code=\"502\""))
    };
    let before: Vec<(f64, f64)> = (0..4).map(passed_on).collect();
    for node in [0, 1] {
        cluster.fault(&json!({"kind": "endpoint", "node": node, "path": "/eth/", "latency_ms": 100_000}));
    }
    // The next epoch is resolved while they hang.
    let from = cluster.slot() + 1;
    let to = from + EPOCH;
    cluster.wait_for_slot(to + 1);
    cluster.check_in_time(from, to);
    for (node, before) in before.into_iter().enumerate() {
        let after = passed_on(node);
        let is_answered = after.0 > before.0 && after.1 <= before.1;
        assert!(is_answered, "node {node} passed on {before:?}, then {after:?}\n{}", cluster.said());
    }
}

#[track_caller]
fn the_chain_takes_other_branches(cluster: &Cluster) {
    // Within an epoch, then across two: who proposes in the second one hangs on what is given up.
    for (depth, place) in [(1, 2), (2, 1)] {
        let slot = (cluster.slot() + 2..).find(|slot| slot % EPOCH == place).unwrap();
        let duties = || {
            let path = format!("/eth/v1/validator/duties/proposer/{}", slot / EPOCH);
            serde_json::from_str::<Json>(&get(cluster.chains[0], &path).unwrap().1).unwrap()
        };
        cluster.fault(&json!({"kind": "reorg", "slot": slot, "depth": depth}));
        cluster.wait_for_slot(slot - 1);
        let before = duties();
        cluster.wait_for_slot(slot);
        let after = duties();
        assert_eq!(before["dependent_root"] != after["dependent_root"], depth == 2, "{before} {after}");
        cluster.wait_for_slot(slot + 3);
        cluster.check_in_time(slot + 1, slot + 2);
    }
    // A block that does not become part of the chain, and one that is never made.
    let orphan = cluster.slot() + 2;
    cluster.fault(&json!({"kind": "orphan", "slots": [orphan]}));
    cluster.fault(&json!({"kind": "miss", "slots": [orphan + 2]}));
    cluster.wait_for_slot(orphan + 5);
    cluster.check_in_time(orphan, orphan + 1);
    check_votes(cluster, &["attester", "sync_message"], (orphan + 2, orphan + 2));
    cluster.check_in_time(orphan + 3, orphan + 4);
    let whole = cluster.report(EPOCH, orphan + 4);
    assert_eq!(whole["n_fatal"].as_u64(), Some(0), "{}", whole["findings"]);
    for node in 0..4 {
        let heard = metric(cluster, node, "app_beacon_node_sse_chain_reorg_depth_count");
        assert!(heard >= 2.0, "node {node} heard of {heard} branches");
    }
}

/// The library that shows a process another time.
fn faketime() -> Option<PathBuf> {
    let of_arch = |entry: std::fs::DirEntry| entry.path().join("faketime/libfaketimeMT.so.1");
    std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(of_arch).find(|path| path.exists())
}

/// What shows a process the time that a file says, like `+0.5`, and lets what goes by without being set be.
fn clock(library: &Path, file: &Path) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [
        ("LD_PRELOAD", text(library)),
        ("FAKETIME_TIMESTAMP_FILE", text(file)),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

#[test]
fn clocks_differ_and_are_set() {
    let Some(library) = faketime() else {
        println!("skipped: faketime is not installed");
        return;
    };
    let clocks = tempfile::tempdir().unwrap();
    let file = |node: usize| clocks.path().join(format!("clock{node}"));
    let set = |node: usize, to: &str| {
        // In one step: a process may read it at any moment.
        let new = clocks.path().join("new");
        std::fs::write(&new, to).unwrap();
        std::fs::rename(new, file(node)).unwrap();
    };
    for (node, by) in ["+0.5", "-0.5", "+0.0", "+0.0"].into_iter().enumerate() {
        set(node, by);
    }
    let variables = (0..4).map(|node| clock(&library, &file(node))).collect();
    let mut cluster = Cluster::start(Plan { variables, validators: 4, ..Plan::ours() });
    cluster.wait_for_slot(EPOCH + 3);
    cluster.check_in_time(EPOCH, EPOCH + 2);
    (0..4).for_each(|node| cluster.wait_until_ready(node));

    // One is set back: what it said under the other time is not known, so it says nothing, and says so.
    set(3, "-2.0");
    wait_until("a node whose clock was set back is not ready", || !cluster.is_ready(3));
    let back = cluster.slot() + 1;
    cluster.wait_for_slot(back + 2);
    // All of the others are needed, and two of them are a second apart, which is as long as a round, and votes of sync
    // committees are for what each sees: only attestations have the time.
    check_votes(&cluster, &["attester"], (back, back + 1));

    // It is set to the right time again. After an epoch it takes part, and then it is needed.
    cluster.wait_until_ready(3);
    set(3, "+0.0");
    wait_until("a node whose clock was set is not ready", || !cluster.is_ready(3));
    let at = cluster.slot();
    cluster.wait_until_ready(3);
    assert!(cluster.slot() >= at + EPOCH - 1, "it watched only up to slot {} from {at} on", cluster.slot());
    cluster.wait_for_slot(cluster.slot() + 2);
    cluster.kill(0);
    cluster.check_without(&[0]);
    let whole = cluster.report(EPOCH, cluster.slot());
    assert_eq!(whole["n_fatal"].as_u64(), Some(0), "{}", whole["findings"]);
}

/// Each node reaches two relays over lines of its own, and peers only over these.
#[test]
fn the_network_breaks_and_heals() {
    let plan = Plan { relays: 2, has_lines: true, validators: 4, ..Plan::ours() };
    let mut cluster = Cluster::start(plan);
    cluster.wait_for_slot(EPOCH + 3);
    cluster.check_in_time(EPOCH, EPOCH + 2);

    // Two and two: neither side is enough. Nobody is told that nothing arrives.
    for (node, lines) in cluster.lines.iter().enumerate() {
        lines[if node < 2 { 1 } else { 0 }].hold();
    }
    let apart = cluster.slot();
    cluster.wait_for_slot(apart + 5);
    cluster.check_silent(apart + 2, apart + 4);
    cluster.lines.iter().flatten().for_each(cluster::Line::open);
    check_recovers(&cluster);
    let whole = cluster.report(EPOCH, cluster.slot());
    assert_eq!(whole["n_fatal"].as_u64(), Some(0), "{}", whole["findings"]);

    // Three and one: the three go on, and the one comes back and is needed.
    cluster.lines[3].iter().for_each(cluster::Line::cut);
    cluster.check_without(&[3]);
    cluster.lines[3].iter().for_each(cluster::Line::open);
    wait_until("the node has all its peers again", || peers(&cluster, 3) == 3);
    cluster.wait_for_slot(cluster.slot() + 2);
    cluster.kill(0);
    cluster.check_without(&[0]);
}

/// A chain that goes from Deneb to Electra and Fulu, with a builder; in the end a validator leaves.
#[test]
fn forks_builders_and_an_exit() {
    let first = EPOCH;
    what_happens_seldom(Plan::ours(), |_| first);
}

/// The same with nodes of charon, which start after genesis. The third share of an exit that a node needs is of the other
/// program: where nodes of both have submitted it, each takes what the other one signed.
#[test]
fn forks_builders_and_an_exit_beside_charon() {
    let Some(path) = std::env::var_os("CHARON_BIN") else {
        println!("skipped: CHARON_BIN names no charon");
        return;
    };
    let charon = || Program::Other(PathBuf::from(&path));
    let plan = Plan::of(vec![Program::Ours, Program::Ours, charon(), charon()]);
    // What begins late has its duties from the second slot on, and needs an epoch until all agree on versions.
    let cluster = what_happens_seldom(plan, |begun| begun + EPOCH + 1);
    for node in 0..4 {
        let submitted = series(&cluster, node, "core_bcast_broadcast_total", "duty=\"exit\"");
        assert!(submitted >= 1.0, "node {node} submitted {submitted} exits\n{}", cluster.said());
    }
}

/// Runs this plan over both forks, with builders, until a validator has left. Every duty counts from the slot on that `counts`
/// makes of the one in which all was started.
#[track_caller]
fn what_happens_seldom(plan: Plan, counts: impl Fn(u64) -> u64) -> Cluster {
    const EXIT: u64 = 4;
    let cluster = Cluster::start(Plan {
        validators: 4,
        chain: vec!["--builder".to_owned(), "--fork-epochs=electra=2,fulu=3".to_owned()],
        node: vec!["--builder-api".to_owned()],
        client: vec!["--builder".to_owned(), format!("--exit={{share}}={EXIT}")],
        ..plan
    });
    let first = counts(cluster.slot());
    // It does nothing; each request that it meets is counted.
    const MANY: u64 = 10_000;
    let blinded = "/eth/v2/beacon/blinded_blocks";
    cluster.fault(&json!({"kind": "endpoint", "path": blinded, "times": MANY}));
    let last = EXIT * EPOCH - 1;
    cluster.wait_for_slot(last + 1);
    cluster.check_in_time(first, last);
    let (_, faults) = get(cluster.chains[0], "/simnet/fault").unwrap();
    let faults: Json = serde_json::from_str(&faults).unwrap();
    let left = faults[0]["times"].as_u64().or_else(|| faults["data"][0]["times"].as_u64()).unwrap();
    assert!(MANY - left > last - first, "{} blinded blocks were sent of {last} slots", MANY - left);
    let so_far = cluster.report(0, last);
    assert!(so_far["duties"]["registration"]["received"].as_u64() >= Some(4), "{so_far}");
    assert_eq!(so_far["duties"]["exit"]["received"].as_u64().unwrap_or(0), 0, "{so_far}");

    // All clients ask for it in the first slot of its epoch. It gets into one block.
    wait_until("the exit is in a block", || exits(&cluster) == [0]);
    let left = cluster.slot();
    check_next(&cluster);
    assert_eq!(exits(&cluster), [0]);
    let whole = cluster.report(first, left);
    assert_eq!(whole["duties"]["exit"]["received"].as_u64(), Some(1), "{whole}");
    assert_eq!(whole["n_fatal"].as_u64(), Some(0), "{}", whole["findings"]);
    let status = whole["validators"][0]["status"].as_str().unwrap();
    assert_ne!(status, "active_ongoing", "{}", whole["validators"][0]);
    cluster
}

/// Who leaves, by the blocks of the chain.
fn exits(cluster: &Cluster) -> Vec<u64> {
    let of_slot = |slot: u64| {
        let (_, body) = get(cluster.chains[0], &format!("/eth/v2/beacon/blocks/{slot}")).unwrap();
        let block: Json = serde_json::from_str(&body).unwrap_or_default();
        let exits =
            block["data"]["message"]["body"]["voluntary_exits"].as_array().cloned().unwrap_or_default();
        exits.into_iter().map(|exit| exit["message"]["validator_index"].as_str().unwrap().parse().unwrap())
    };
    (1..=cluster.slot()).flat_map(of_slot).collect()
}

/// 64 validators for 100 epochs, where `COXSWAIN_LONG_RUN` names a program, one of a release build: then one node goes, then
/// another. It takes as long as it says.
#[test]
fn many_validators_for_a_hundred_epochs() {
    let Some(binary) = std::env::var_os("COXSWAIN_LONG_RUN") else {
        println!("skipped: COXSWAIN_LONG_RUN names no program");
        return;
    };
    let (slot, epochs) = (number("COXSWAIN_LONG_RUN_SLOT", 1), number("COXSWAIN_LONG_RUN_EPOCHS", 100));
    let validators = usize::try_from(number("COXSWAIN_LONG_RUN_VALIDATORS", 64)).unwrap();
    let mut cluster =
        Cluster::start(Plan { binary: PathBuf::from(binary), slot, validators, ..Plan::ours() });
    let begun = Instant::now();
    let last = (epochs + 1) * EPOCH - 1;
    while cluster.slot() <= last {
        std::thread::sleep(Duration::from_secs(slot));
    }
    let took = begun.elapsed().as_secs();
    println!("{validators} validators, {epochs} epochs of {EPOCH} slots of {slot} s, {took} s");
    for (node, process) in cluster.nodes.iter().enumerate() {
        let (time, memory) = process.as_ref().unwrap().used();
        println!("node {node}: {:.1} CPU s, {} MB", time.as_secs_f64(), memory / 1024);
    }
    let report = cluster.report(EPOCH, last);
    tell(&cluster, &report, (EPOCH, last));

    cluster.kill(3);
    let from = cluster.slot() + 2;
    let until = from + 5 * EPOCH;
    cluster.wait_for_slot(until + 2);
    let one_down = cluster.report(from, until);
    println!("one node down:");
    tell(&cluster, &one_down, (from, until));

    cluster.kill(0);
    let from = cluster.slot() + 2;
    cluster.wait_for_slot(from + EPOCH + 1);
    cluster.check_silent(from, from + EPOCH);
    println!("two nodes down: nothing in {} slots", EPOCH + 1);
    for report in [&report, &one_down] {
        assert_eq!(report["findings"].as_array().map(Vec::len), Some(0), "{}", report["findings"]);
    }
    for duty in COUNTED {
        let counts = &report["duties"][duty];
        assert_eq!(counts["on_time"], counts["expected"], "{duty}: {counts}");
        let counts = &one_down["duties"][duty];
        let has_room = slot >= SECOND_ROUND;
        // Aggregates come late then, and blocks not at all.
        let done = if has_room || duty != "aggregator" { "on_time" } else { "received" };
        if has_room || !duty.starts_with("proposer") {
            assert_eq!(counts[done], counts["expected"], "with one node down: {duty}: {counts}");
        }
    }
}

/// Seconds of a slot in which a duty can be done whose first leader is down: the second round begins after one second, and
/// aggregates begin at two thirds of a slot.
const SECOND_ROUND: u64 = 4;

/// Prints counts, and where something is missing.
fn tell(cluster: &Cluster, report: &Json, (from, to): (u64, u64)) {
    for (duty, counts) in report["duties"].as_object().unwrap() {
        println!("{duty}: {counts}");
    }
    for slot in from..=to {
        let of_slot = cluster.report(slot, slot);
        for duty in COUNTED {
            let counts = &of_slot["duties"][duty];
            if counts["on_time"] != counts["expected"] {
                let [on_time, expected, late] = ["on_time", "expected", "late"].map(|name| &counts[name]);
                println!("slot {slot}: {duty}: {on_time} of {expected} on time, {late} late");
            }
        }
    }
}
