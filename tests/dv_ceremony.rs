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
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use ceremony::{
    Group, LIMIT, Namespaces, Process, RELAY_IP, Relay, SlowLine, ceremony_args, coxswain, mode_of, names,
    random,
};
use coxswain::dv::keystores;
use coxswain_dv_net::{Protocol, RelaySource, Resolve, ResolveError, Settings};
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_wire::protocol::FROST_SHARES;
use futures::AsyncWriteExt as _;
use rustix::process::Signal;
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

// --------------------------------------------------------------------------------------------------------- bad lines

/// Runs everywhere, where namespaces with netem do not.
#[test]
fn nodes_make_keys_over_slow_lines_that_lose() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let line = SlowLine::to(relay.p2p, 7);
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", line.port, relay.id);
    let outputs = end_all(group.start_all(&address, &[]));
    succeeded(&outputs);
    check_whole(&group, 1);
}

#[test]
fn nodes_make_keys_across_network_namespaces() {
    const HTTP: u16 = 3640;
    let spaces = match Namespaces::new(4) {
        Ok(spaces) => spaces,
        Err(why) => return println!("skipped: {why}"),
    };
    if let Err(why) = spaces.disturb() {
        println!("skipped: delay and loss: {why}");
    }
    let group = Group::new(4, &["--num-validators=1"]);
    let mut relay =
        coxswain(group.path(), &["relay", "--data-dir=relay", "--p2p-advertise-private-addresses"]);
    relay.arg(format!("--http-address={RELAY_IP}:{HTTP}")).arg(format!("--p2p-tcp-address={RELAY_IP}:3610"));
    let out = group.path().join("relay.out");
    let mut relay = Process::start("relay", &mut spaces.inside(0, &relay), &out);
    relay.until("the relay is ready");
    let url = format!("http://{RELAY_IP}:{HTTP}");
    let start = |node: usize| {
        let command = group.command(node, &url, &[]);
        group.spawn(node, &mut spaces.inside(node + 1, &command))
    };
    let outputs = end_all((0..4).map(start).collect());
    succeeded(&outputs);
    check_whole(&group, 1);
}

// ------------------------------------------------------------------------------------------------------------ faults

/// Nobody has anything, nobody has told a secret, and those who are asked name the culprit.
#[track_caller]
fn check_failed(group: &Group, outputs: &[(usize, Ran)], culprit: usize) {
    for (node, ran) in outputs {
        assert_eq!(ran.code, 1, "node {node}\n{}\n{}", ran.stdout, ran.stderr);
        let error = error_of(ran);
        if *node != culprit {
            assert!(error.contains(&group.title(culprit)), "node {node} does not name {culprit}: {error}");
        }
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
    check_nothing(group);
    let outputs: Vec<Ran> = outputs.iter().map(|(_, ran)| ran.clone()).collect();
    group.told_no_secret(&outputs);
}

/// What a command says last.
fn error_of(ran: &Ran) -> &str {
    ran.stderr.rfind("error: ").map_or("", |at| &ran.stderr[at..])
}

/// No node has anything but its key, not even after the next start.
#[track_caller]
fn check_nothing(group: &Group) {
    for node in 0..group.nodes.len() {
        restart_in_vain(group, node);
        assert!(group.has(node).is_empty(), "node {node} has {:?}", group.has(node));
    }
}

/// What was left half written goes before anything else is looked at.
fn restart_in_vain(group: &Group, node: usize) -> Ran {
    run(&mut group.command(node, "http://127.0.0.1:1", &["--connect-timeout=1ms"])).expect(1)
}

fn numbered(outputs: Vec<Ran>) -> Vec<(usize, Ran)> {
    outputs.into_iter().enumerate().collect()
}

#[test]
fn a_node_that_never_comes_is_named() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let nodes = (0..3).map(|node| group.start(node, &relay.url, &["--connect-timeout=4s"])).collect();
    let outputs = numbered(end_all(nodes));
    for (_, ran) in &outputs {
        assert!(error_of(ran).contains("after 4 s these nodes are still not there"), "{}", ran.stderr);
    }
    check_failed(&group, &outputs, 3);
}

#[test]
fn another_definition_is_found_out() {
    let group = Group::new(4, &["--num-validators=1"]);
    group.define(coxswain(group.path(), &[]), "other-", &["--num-validators=2"]);
    let relay = Relay::start(group.path());
    let start = |node: usize| {
        let definition = if node == 2 { "other-cluster-definition.json" } else { "cluster-definition.json" };
        let flag = format!("--definition-file={definition}");
        group.start(node, &relay.url, &[&flag, "--timeout=10s", "--connect-timeout=20s"])
    };
    let outputs = numbered(end_all((0..4).map(start).collect()));
    check_failed(&group, &outputs, 2);
}

#[test]
fn another_version_is_found_out() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let start = |node: usize| {
        let version = if node == 1 { "--charon-version=v1.10.0" } else { "--charon-version=v1.11.0" };
        group.start(node, &relay.url, &[version, "--timeout=10s", "--connect-timeout=20s"])
    };
    let outputs = numbered(end_all((0..4).map(start).collect()));
    check_failed(&group, &outputs, 1);
}

#[test]
fn a_node_that_is_stopped_and_started_again_ends_the_ceremony() {
    let group = Group::new(4, &["--num-validators=20"]);
    let relay = Relay::start(group.path());
    let more = ["--timeout=5s", "--connect-timeout=20s"];
    let mut nodes = group.start_all(&relay.url, &more);
    let mut first = nodes.pop().unwrap();
    first.until("making keys");
    first.signal(Signal::INT);
    let first = first.end().expect(1);
    assert!(first.stderr.contains("stopped by the operator"), "{}", first.stderr);
    // On another machine, say, where nobody knows that it has just run here.
    fs::remove_file(group.at(3).join("charon-enr-private-key.lock")).unwrap();
    let again = group.start(3, &relay.url, &["--timeout=5s", "--connect-timeout=6s"]);
    let mut outputs = numbered(end_all(nodes));
    let again = again.end();
    outputs.push((3, first));
    outputs.push((3, again));
    check_failed(&group, &outputs, 3);
}

#[test]
fn without_a_relay_there_is_no_ceremony() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let url = relay.url.clone();
    drop(relay);
    let outputs = numbered(end_all(group.start_all(&url, &["--connect-timeout=2s"])));
    check_failed(&group, &outputs[1..], 0);
    check_failed(&group, &outputs[..1], 1);
}

/// One that is given by its address has nothing to tell before it is connected.
#[test]
fn an_address_where_no_relay_is_is_said_to_be_the_cause() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", relay.p2p, relay.id);
    drop(relay);
    let ran = group.start(0, &address, &["--connect-timeout=2s"]).end();
    for says in ["after 2 s these nodes are still not there", "no relay keeps a place", "that the relay runs"]
    {
        assert!(error_of(&ran).contains(says), "{}", error_of(&ran));
    }
    assert!(!ran.stderr.contains("a relay is found"), "{}", ran.stderr);
    check_failed(&group, &[(0, ran)], 1);
}

/// What stands in the way of a node's files when all others have theirs in place: nobody says that all is well, and no
/// share is lost.
#[test]
fn a_node_that_cannot_put_its_files_in_place_ends_the_goodbye() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let mut nodes = group.start_all(&relay.url, &["--timeout=20s", "--connect-timeout=30s"]);
    let mut victim = nodes.pop().unwrap();
    victim.until("making keys");
    let in_the_way = group.at(3).join("cluster-lock.json");
    fs::write(&in_the_way, "mine").unwrap();
    let victim = victim.end().expect(1);
    for says in ["cluster-lock.json exists already", "all keys of this node are in", "let nobody deposit"] {
        assert!(error_of(&victim).contains(says), "{}", error_of(&victim));
    }
    let outputs = end_all(nodes);
    let (mut in_place, mut unsure) = (0, 0);
    for (node, ran) in outputs.iter().enumerate() {
        assert_eq!(ran.code, 1, "node {node}\n{}", ran.stderr);
        assert!(ran.stderr.contains(&group.title(3)), "node {node} does not name the victim\n{}", ran.stderr);
        assert!(ran.stderr.contains("cluster-lock.json exists already"), "node {node}\n{}", ran.stderr);
        match group.has(node).as_slice() {
            [only] if only.ends_with(".unsure") => unsure += 1,
            _ => {
                in_place += 1;
                let says = "the keys are in place, and saying goodbye failed";
                assert!(ran.stderr.contains(says), "node {node}\n{}", ran.stderr);
                assert!(ran.stdout.contains("Lock hash"), "node {node}\n{}", ran.stdout);
            }
        }
    }
    assert_eq!(in_place + unsure, 3);
    println!("{in_place} nodes have keys in place, {unsure} beside their place");
    assert_eq!(fs::read(&in_the_way).unwrap(), b"mine", "nothing is replaced");
    fs::remove_file(&in_the_way).unwrap();
    // The next start finishes what was begun, and says so.
    let again = restart_in_vain(&group, 3);
    assert!(error_of(&again).contains("they are in place now"), "{}", again.stderr);
    if unsure == 0 {
        check_whole(&group, 1);
    }
    group.told_no_secret(&[outputs, vec![victim, again]].concat());
}

#[test]
fn a_relay_that_dies_ends_the_ceremony() {
    let group = Group::new(4, &["--num-validators=20"]);
    let relay = Relay::start(group.path());
    let mut nodes = group.start_all(&relay.url, &["--timeout=5s", "--connect-timeout=20s"]);
    // Without this node nobody gets far, and it goes on when there is no relay any more.
    nodes[3].until("making keys");
    nodes[3].signal(Signal::STOP);
    drop(relay);
    nodes[3].signal(Signal::CONT);
    let outputs = numbered(end_all(nodes));
    // Every node has lost all others: whom it names first is chance.
    for (node, ran) in outputs {
        let error = error_of(&ran).to_owned();
        assert!(error.contains("no relay is connected any more"), "node {node}: {error}");
        assert!(error.contains("see that the relay runs"), "node {node}: {error}");
        let named = (0..4).find(|other| *other != node && error.contains(&group.title(*other)));
        check_failed(&group, &[(node, ran)], named.unwrap_or_else(|| panic!("nobody is named: {error}")));
    }
}

/// Where nodes are killed: after a line that says a stage begins, and so many lines later.
const STAGES: [&str; 9] = [
    "a relay is found",
    "making keys",
    "signing deposits",
    "signing registrations",
    "signing the lock",
    "signing as nodes",
    "storing keys",
    "putting keys",
    "saying goodbye",
];

/// What is known of a ceremony in which a node was killed. Whoever got so far that it signed the lock as a node may have
/// let others finish.
#[track_caller]
fn check_killed(stage: &str, group: &Group, victim: &Ran, others: &[(usize, Ran)]) -> usize {
    // What a crash left complete is put in place by the next start, and what was not is removed.
    restart_in_vain(group, 3);
    let (mut locks, mut prepared) = (Vec::new(), Vec::new());
    for node in 0..4 {
        let all = ["cluster-lock.json", "deposit-data-1eth.json", "deposit-data.json", "validator_keys"];
        let has = group.has(node);
        if let [only] = has.as_slice()
            && only.ends_with(".unsure")
        {
            // Everything is there, and whether it counts its operator has to ask.
            assert_eq!(names(&group.at(node).join(only)), all);
            prepared.push(fs::read(group.at(node).join(only).join("cluster-lock.json")).unwrap());
            continue;
        }
        if has.is_empty() {
            continue;
        }
        assert_eq!(has, all);
        locks.push(fs::read(group.at(node).join("cluster-lock.json")).unwrap());
        run(&mut coxswain(group.path(), &["verify", &group.nodes[node]])).ok();
    }
    assert!(locks.iter().all(|lock| *lock == locks[0]), "{stage}: two locks");
    // No share is lost where others have theirs in place.
    assert!(locks.is_empty() || locks.len() + prepared.len() == 4, "{stage}: a share is gone");
    assert!(prepared.iter().all(|lock| *lock == prepared[0]), "{stage}: two locks are prepared");
    let may_be_whole = victim.stderr.contains("signing as nodes");
    assert!(locks.is_empty() || may_be_whole, "{stage}: {} nodes have keys", locks.len());
    for (node, ran) in others {
        let is_whole = group.has(*node).iter().any(|name| name == "cluster-lock.json");
        let names_it = ran.stderr.contains(&group.title(3));
        match ran.code {
            0 => assert!(is_whole, "{stage}: node {node} succeeded without keys"),
            1 => {
                assert!(names_it, "{stage}: node {node} does not name the victim\n{}", ran.stderr);
                let says_so = ran.stderr.contains("the keys are in place, and saying goodbye failed");
                assert_eq!(says_so, is_whole, "{stage}: node {node}\n{}", ran.stderr);
            }
            code => panic!("{stage}: node {node} ended with {code}\n{}", ran.stderr),
        }
    }
    locks.len()
}

fn killed_at(stage: &'static str, lines: u64) -> usize {
    let group = Group::new(4, &["--num-validators=6"]);
    let relay = Relay::start(group.path());
    // Only who is killed before the beginning is waited for so long.
    let connect = if stage == STAGES[0] { "--connect-timeout=5s" } else { "--connect-timeout=60s" };
    let mut nodes = group.start_all(&relay.url, &["--timeout=5s", connect]);
    let mut victim = nodes.pop().unwrap();
    victim.until(stage);
    let deadline = Instant::now() + LIMIT;
    for _ in 0..lines {
        if victim.next_line(deadline).is_none() {
            break;
        }
    }
    victim.signal(Signal::KILL);
    let victim = victim.end();
    let others = numbered(end_all(nodes));
    let whole = check_killed(stage, &group, &victim, &others);
    let outputs: Vec<Ran> = others.into_iter().map(|(_, ran)| ran).chain([victim]).collect();
    group.told_no_secret(&outputs);
    whole
}

#[test]
fn a_node_killed_at_any_moment_leaves_no_half_of_a_cluster() {
    let seed = 20_261_127;
    let mut state = seed;
    // The shortest stage is over two lines later.
    let lines = |stage: &str, drawn: u64| if stage == "putting keys" { 0 } else { drawn % 3 };
    let moments: Vec<(&str, u64)> =
        STAGES.iter().map(|stage| (*stage, lines(stage, random(&mut state)))).collect();
    let results: Vec<usize> = std::thread::scope(|scope| {
        let at = |(stage, lines): &(&'static str, u64)| {
            let (stage, lines) = (*stage, *lines);
            scope.spawn(move || killed_at(stage, lines))
        };
        let (early, late) = moments.split_at(STAGES.len() / 2);
        let mut results = Vec::new();
        for half in [early, late] {
            let running: Vec<_> = half.iter().map(at).collect();
            results.extend(running.into_iter().map(|one| one.join().unwrap()));
        }
        results
    });
    for ((stage, lines), whole) in moments.iter().zip(&results) {
        println!("seed {seed}: killed {lines} lines after {stage:?}: {whole} nodes have the whole");
    }
    assert_eq!(results[0], 0, "nobody has keys of a ceremony that had not begun");
}

/// What a node looks at before it says anything to anybody.
#[test]
fn a_directory_that_cannot_take_the_keys_is_refused_at_once() {
    let group = Group::new(3, &["--num-validators=1"]);
    let relay = "http://127.0.0.1:1";
    for there in ["cluster-lock.json", "validator_keys", "deposit-data-32eth.json"] {
        let path = group.at(0).join(there);
        fs::write(&path, "mine").unwrap();
        let ran = run(&mut group.command(0, relay, &[])).expect(1);
        assert!(ran.stderr.contains(&format!("{there} is there already")), "{}", ran.stderr);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(group.has(0), [there], "nothing was added");
        fs::remove_file(path).unwrap();
    }
    let ran = run(&mut group.command(0, relay, &["--definition-file=none.json"])).expect(1);
    assert!(ran.stderr.contains("none.json"), "{}", ran.stderr);
    fs::rename(group.at(1).join(ceremony::KEY), group.at(1).join("away")).unwrap();
    let ran = run(&mut group.command(1, relay, &[])).expect(1);
    assert!(ran.stderr.contains("n1 has no key of a node"), "{}", ran.stderr);
    for (how, says) in [
        ("mount -t tmpfs -o size=1m,mode=755 none n2", "n2 has room for"),
        ("mount --bind n2 n2 && mount -o remount,bind,ro n2", "n2"),
    ] {
        let Some(mut command) = mounted(&group, 2, how, &group.command(2, relay, &[])) else { return };
        let ran = run(&mut command).expect(1);
        assert!(error_of(&ran).contains(says), "{}", ran.stderr);
        assert!(group.has(2).is_empty());
    }
}

/// A command in a namespace where the directory of its node is on another file system, with its key.
fn mounted(group: &Group, node: usize, how: &str, command: &Command) -> Option<Command> {
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root mounts");
        return None;
    }
    let (name, key) = (&group.nodes[node], ceremony::KEY);
    let script = format!(
        "cp -p {name}/{key} key-of-{name} && {how} && ( test -e {name}/{key} || cp -p key-of-{name} {name}/{key} ) && \
         exec \"$@\""
    );
    let mut mounted = Command::new("unshare");
    mounted.args(["-m", "sh", "-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    mounted.current_dir(group.path()).env_clear().env("HOME", group.path());
    mounted.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Some(mounted)
}

#[test]
fn a_disk_that_fills_up_meanwhile_leaves_nobody_with_keys() {
    let group = Group::new(4, &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let more = ["--timeout=10s", "--connect-timeout=30s"];
    let how = "mount -t tmpfs -o size=6m,mode=755 none n3";
    let Some(mut command) = mounted(&group, 3, how, &group.command(3, &relay.url, &more)) else { return };
    let mut victim = group.spawn(3, &mut command);
    victim.until("a relay is found");
    let seen =
        PathBuf::from(format!("/proc/{}/root", victim.id())).join(group.at(3).strip_prefix("/").unwrap());
    fs::write(seen.join("filler"), vec![0; 8 << 20]).unwrap_err();
    let nodes: Vec<Process> = (0..3).map(|node| group.start(node, &relay.url, &more)).collect();
    victim.until("storing keys");
    let victim = victim.end().expect(1);
    assert!(error_of(&victim).contains("storing the keys"), "{}", victim.stderr);
    for says in ["No space left", "nothing was written", "begin again together"] {
        assert!(error_of(&victim).contains(says), "{}", error_of(&victim));
    }
    let outputs = numbered(end_all(nodes));
    for (node, ran) in &outputs {
        assert_eq!(ran.code, 1, "node {node}\n{}", ran.stderr);
        assert!(ran.stderr.contains(&group.title(3)), "node {node} does not name the victim\n{}", ran.stderr);
        // What was prepared may be there, for its operator to ask; nothing is in its place.
        let has = group.has(*node);
        assert!(
            has.iter().all(|name| name.ends_with(".unsure")),
            "node {node} has keys that node 3 has not: {has:?}"
        );
    }
}

// ------------------------------------------------------------------------------------------------------------- floods

/// Streams of a flood that stay open, and what is written to each: all but the end of the longest message.
const FLOOD: usize = 1500;
const FLOOD_BYTES: usize = 65_000;
/// Whole messages that follow: more than a node keeps of a peer before the beginning.
const WHOLE: usize = 40;
/// How far the memory of a node may grow meanwhile; without bounds it would be 100 MiB.
const MAX_GROWTH: u64 = 48 << 20;

struct NoUrls;

#[async_trait::async_trait]
impl Resolve for NoUrls {
    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError> {
        Err(ResolveError::Request { url: url.to_owned(), why: "nothing is asked here".to_owned() })
    }
}

/// What a peer with the key of node 3 does to node 0 at a port.
async fn flood(group: &Group, port: u16) {
    let victim = group.peer(0);
    let settings = Settings {
        key: coxswain::dv::key::load(&group.at(3).join(ceremony::KEY)).unwrap(),
        agent: "flood".into(),
        peers: (0..4).map(|node| group.peer(node)).collect(),
        // A relay is dialled at once.
        relays: vec![RelaySource::Address(victim, format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap())],
        resolve: Arc::new(NoUrls),
        listen: Vec::new(),
        external: Vec::new(),
        protocols: Vec::new(),
    };
    let (network, _incoming) = coxswain_dv_net::start(settings, 1 << 20).unwrap();
    let mut length = Vec::new();
    let mut rest = FLOOD_BYTES + 1;
    while rest > 0 {
        length.push((rest & 0x7f) as u8 | if rest > 0x7f { 0x80 } else { 0 });
        rest >>= 7;
    }
    let beginning = [length, vec![7; FLOOD_BYTES]].concat();
    let mut open = Vec::new();
    for _ in 0..FLOOD {
        // Most are reset, and some of those before they are written to.
        if let Ok(mut stream) = network.open(victim, &[FROST_SHARES.id]).await {
            let _ = stream.write_all(&beginning).await;
            open.push(stream);
        }
    }
    drop(open);
    let protocol = Protocol::of_ceremony(&FROST_SHARES, LIMIT).unwrap();
    let mut taken = 0;
    // Refused as long as the streams before have not all ended there.
    while taken < WHOLE {
        taken += usize::from(network.send(victim, &protocol, &[]).await.is_ok());
    }
    network.stop().await;
}

/// The most memory that a process has had.
fn peak_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// What an operator's node can do to another one before the ceremony begins. Its messages are none of this ceremony, so it
/// goes on as if nothing had been when the flood is over.
#[test]
fn a_flood_takes_no_more_than_its_share_of_memory() {
    let group = Group::new(4, &["--num-validators=1", "--dkg-algorithm=pedersen"]);
    let relay = Relay::start(group.path());
    let port = ceremony::free_port();
    let listen = format!("--p2p-tcp-address=127.0.0.1:{port}");
    let mut victim = group.start(0, &relay.url, &[&listen, "--connect-timeout=120s"]);
    victim.until("a relay is found");
    let before = peak_bytes(victim.id());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, flood(&group, port)).await.unwrap() });
    victim.until("streams of a peer are ended unread");
    victim.until("messages of a peer are passed over");
    let growth = peak_bytes(victim.id()) - before;
    println!("{FLOOD} streams with {FLOOD_BYTES} bytes each: {} KiB more memory", growth >> 10);
    assert!(growth < MAX_GROWTH, "{growth} bytes more");
    let others = (1..4).map(|node| group.start(node, &relay.url, &[]));
    let outputs = end_all(std::iter::once(victim).chain(others).collect());
    succeeded(&outputs);
    check_whole(&group, 1);
}

// -------------------------------------------------------------------------------------------------- what people read

/// What three operators read: one who calls it charon, one who wants JSON, and one who keeps the lines.
#[test]
fn what_a_ceremony_says() {
    let group = Group::new(3, &["--num-validators=2"]);
    let relay = Relay::start(group.path());
    let more = ["--log-level=error"];
    let link = group.path().join("charon");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_coxswain"), &link).unwrap();
    let mut charon = Command::new(link);
    charon.args(["dkg", "--data-dir=n0"]).current_dir(group.path()).env_clear().env("HOME", group.path());
    ceremony_args(&mut charon, &relay.url, &more);
    let nodes = vec![
        group.spawn(0, &mut charon),
        group.start(1, &relay.url, &[&more[..], &["--json"]].concat()),
        group.start(2, &relay.url, &more),
    ];
    let outputs = end_all(nodes);
    succeeded(&outputs);
    let lock = check_whole(&group, 2);
    let hash = format!("0x{}", hex::encode(&*lock.lock_hash));

    let json: serde_json::Value = serde_json::from_str(&outputs[1].stdout).unwrap();
    assert_eq!(json["document"], "coxswain.dv_dkg");
    assert_eq!((&json["format"], &json["threshold"]), (&1.into(), &2.into()));
    assert_eq!(json["lock_hash"], hash);
    assert_eq!(json["deposit_files"], serde_json::json!(["deposit-data-1eth.json", "deposit-data.json"]));
    let keys: Vec<String> = lock
        .validators
        .iter()
        .map(|validator| format!("0x{}", hex::encode(&*validator.public_key)))
        .collect();
    assert_eq!(json["validators"], serde_json::json!(keys));

    for node in [0, 2] {
        assert_eq!(
            outputs[node].stdout.replace(&hash, "HASH"),
            "This node has its shares of 2 validators. Lock hash  HASH\n\nKeep a copy of the whole directory in a safe place, \
             and never run two nodes with it.\n"
        );
    }
    let titles: Vec<String> = (0..3).map(|node| group.title(node)).collect();
    for ran in &outputs {
        // Who is waited for, and how often that changes, is chance.
        let is_waiting = |line: &&str| {
            line.strip_prefix("waiting for ")
                .is_some_and(|names| names.split(", ").all(|name| titles.iter().any(|title| title == name)))
        };
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| !is_waiting(line)).collect();
        let lines: Vec<&str> = lines.into_iter().filter(|line| *line != "all nodes are connected").collect();
        assert_eq!(
            lines,
            [
                "a relay is found",
                "making keys",
                "signing deposits",
                "signing registrations with builders",
                "signing the lock",
                "signing as nodes",
                "storing keys and lock",
                "putting keys and lock in place",
                "saying goodbye",
            ]
        );
        let all: Vec<&str> = ran.stderr.lines().collect();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "a line twice in a row\n{}", ran.stderr);
    }
}

// ------------------------------------------------------------------------------------------------------------ charon

fn charon(variable: &str) -> Option<PathBuf> {
    let charon = std::env::var_os(variable).map(PathBuf::from);
    if charon.is_none() {
        println!("skipped: {variable} names no charon");
    }
    charon
}

enum Relays {
    Ours,
    Charons,
}

/// A ceremony in which the nodes marked `o` are ours and those marked `c` charon's.
#[track_caller]
fn check_mixed(charon: &Path, kinds: &str, relays: &Relays, more: &[&str]) {
    let group = Group::without_definition(kinds.len());
    let hermetic = |args: &[&str]| {
        let mut command = Command::new(charon);
        command.args(args).current_dir(group.path()).env_clear().env("HOME", group.path());
        command
    };
    group.define(hermetic(&[]), "", &[&["--num-validators=2"], more].concat());
    let relay = match relays {
        Relays::Ours => Relay::start(group.path()),
        Relays::Charons => Relay::of(charon, &[], group.path()),
    };
    let begun = Instant::now();
    let start = |(node, kind): (usize, char)| {
        if kind == 'o' {
            return group.start(node, &relay.url, &[]);
        }
        let mut command = hermetic(&["dkg", "--data-dir", &group.nodes[node]]);
        ceremony_args(&mut command, &relay.url, &[]);
        group.spawn(node, &mut command)
    };
    let outputs = end_all(kinds.chars().enumerate().map(start).collect());
    succeeded(&outputs);
    let took = begun.elapsed().as_secs_f32();
    let lock = check_whole(&group, 2);
    println!("{kinds} {more:?}, definition {}: {took:.1} s", lock.definition.version.name);
    let shares = group.path().join("shares");
    fs::create_dir(&shares).unwrap();
    for node in &group.nodes {
        fs::rename(group.path().join(node), shares.join(node)).unwrap();
    }
    run(&mut hermetic(&["combine", "--cluster-dir=shares", "--output-dir=theirs"])).ok();
    let keys = |dir: &str| -> Vec<_> {
        let keys = keystores::load_sequence(&group.path().join(dir)).unwrap();
        keys.iter().map(|key| key.to_bytes().to_vec()).collect()
    };
    assert_eq!(keys("theirs"), keys("whole"), "charon combines to the same keys");
}

/// Nodes of two versions of charon: ours make nothing with them. Those two end as soon as they find each other, and may
/// be gone before they have said which version they are.
#[test]
fn two_versions_of_charon_make_no_keys() {
    let (Some(newer), Some(older)) = (charon("CHARON_BIN"), charon("CHARON_V110_BIN")) else { return };
    let group = Group::without_definition(4);
    let hermetic = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(group.path()).env_clear().env("HOME", group.path());
        command
    };
    group.define(hermetic(&older), "", &["--num-validators=1"]);
    let relay = Relay::start(group.path());
    let ours: Vec<Process> =
        (0..2).map(|node| group.start(node, &relay.url, &["--connect-timeout=15s"])).collect();
    let theirs = |(node, program): (usize, &PathBuf)| {
        let mut command = hermetic(program);
        command.args(["dkg", "--data-dir", &group.nodes[node]]);
        ceremony_args(&mut command, &relay.url, &[]);
        group.spawn(node, &mut command)
    };
    let theirs = [(2, &newer), (3, &older)].map(theirs);
    for (node, ran) in numbered(end_all(ours)) {
        let error = error_of(&ran);
        let is_told = error.contains("nodes of several versions cannot make keys together")
            || error.contains("these nodes are still not there");
        assert!(is_told, "node {node}: {error}");
        let culprit = if error.contains(&group.title(3)) { 3 } else { 2 };
        println!("node {node}: {}", error.lines().next().unwrap_or_default());
        check_failed(&group, &[(node, ran)], culprit);
    }
    drop(theirs);
}

const PEDERSEN: &[&str] = &["--dkg-algorithm=pedersen"];

#[test]
fn ceremonies_beside_charon() {
    let Some(charon) = charon("CHARON_BIN") else { return };
    check_mixed(&charon, "oooc", &Relays::Ours, &[]);
    check_mixed(&charon, "occo", &Relays::Charons, PEDERSEN);
    check_mixed(&charon, "ccoc", &Relays::Charons, &[]);
    check_mixed(&charon, "cooo", &Relays::Ours, PEDERSEN);
}

#[test]
fn ceremonies_beside_the_older_charon() {
    let Some(charon) = charon("CHARON_V110_BIN") else { return };
    check_mixed(&charon, "cooo", &Relays::Charons, &[]);
    check_mixed(&charon, "coco", &Relays::Ours, &[]);
    check_mixed(&charon, "cocc", &Relays::Charons, PEDERSEN);
    check_mixed(&charon, "oooc", &Relays::Ours, PEDERSEN);
}
