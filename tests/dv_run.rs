//! Nodes of a distributed validator as real processes, on a simulated chain with simulated validator clients: every duty
//! is done, also while a node is down, a node that was killed takes part again, and nothing is signed that should not be.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// Nothing here takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(150);

/// Seconds of a slot: proposers have a third of it, of which a node needs a quarter of a second.
const SLOT: u64 = 4;
/// Slots of an epoch.
const EPOCH: u64 = 4;
/// Validators of the cluster.
const VALIDATORS: usize = 2;

/// Who runs a node: ours, or another program with the same flags.
enum Program {
    Ours,
    Other(PathBuf),
}

/// Killed with the value; what it says goes to a file.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(dir: &Path, name: &str, command: &mut Command) -> Process {
        let file = File::options().create(true).append(true).open(dir.join(format!("{name}.log"))).unwrap();
        let out = file.try_clone().unwrap();
        command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null()).stdout(out).stderr(file);
        Process(command.spawn().unwrap())
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn coxswain(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
    command.args(args);
    command
}

struct Cluster {
    dir: tempfile::TempDir,
    /// The relay, the chain, the validator clients.
    others: Vec<Process>,
    relay: u16,
    chain: u16,
    nodes: Vec<Option<Process>>,
    /// Of the validator API, and of monitoring.
    ports: Vec<(u16, u16)>,
}

fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// Asks until the answer is as it should be.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "after {} s still not: {what}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Cluster {
    /// All nodes are started before genesis: nobody can have signed before, so they sign at once.
    fn start(programs: &[Program]) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let nodes = format!("--nodes={}", programs.len());
        let validators = format!("--num-validators={VALIDATORS}");
        let address = "0x0000000000000000000000000000000000000001";
        let create = [
            "create",
            "cluster",
            "--name=run",
            "--network=hoodi",
            "--insecure-keys",
            "--cluster-dir=.",
            &nodes,
            &validators,
            "--withdrawal-addresses",
            address,
            "--fee-recipient-addresses",
            address,
        ];
        // Another program may not know the newest version of locks: then it makes its own.
        let mut maker = match programs.last() {
            Some(Program::Other(path)) => Command::new(path),
            _ => coxswain(&["dv"]),
        };
        let made = maker.args(create).current_dir(dir.path()).env("HOME", dir.path()).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let [relay, p2p, chain] = [free_port(), free_port(), free_port()];
        let ports = programs.iter().map(|_| (free_port(), free_port())).collect();
        let mut cluster = Cluster { dir, others: Vec::new(), relay, chain, nodes: Vec::new(), ports };
        let mut serves = coxswain(&["dv", "relay", "--data-dir=relay", "--p2p-advertise-private-addresses"]);
        serves
            .arg(format!("--http-address=127.0.0.1:{relay}"))
            .arg(format!("--p2p-tcp-address=127.0.0.1:{p2p}"));
        cluster.start_other("relay", &mut serves);
        let mut simulates =
            coxswain(&["simnet", "chain", "--lock-file=node0/cluster-lock.json", "--genesis-in=4s"]);
        simulates
            .arg(format!("--listen=127.0.0.1:{chain}"))
            .arg(format!("--slot-duration={SLOT}s"))
            .arg(format!("--slots-per-epoch={EPOCH}"));
        cluster.start_other("chain", &mut simulates);
        wait_until("the relay answers", || get(relay, "/").is_ok());
        wait_until("the chain answers", || get(chain, "/eth/v1/beacon/genesis").is_ok());
        if programs.iter().any(|program| matches!(program, Program::Other(_))) {
            // It ends where it is started before genesis.
            wait_until("the chain has begun", || cluster.slot() >= 1);
        }
        for (node, program) in programs.iter().enumerate() {
            let started = cluster.start_node(node, program);
            cluster.nodes.push(Some(started));
            let node_url = format!("--node=http://127.0.0.1:{}", cluster.ports[node].0);
            let keys = format!("--keys-dir=node{node}/validator_keys");
            cluster.start_other(
                &format!("client{node}"),
                &mut coxswain(&["simnet", "validator", &node_url, &keys]),
            );
        }
        cluster
    }

    fn start_other(&mut self, name: &str, command: &mut Command) {
        self.others.push(Process::start(self.dir.path(), name, command));
    }

    fn start_node(&self, node: usize, program: &Program) -> Process {
        let (api, monitoring) = self.ports[node];
        let mut command = match program {
            Program::Ours => coxswain(&["dv", "run", "--slashing-start=now"]),
            Program::Other(path) => {
                let mut command = Command::new(path);
                command.arg("run");
                command
            }
        };
        command
            .arg(format!("--lock-file=node{node}/cluster-lock.json"))
            .arg(format!("--private-key-file=node{node}/charon-enr-private-key"))
            .arg(format!("--beacon-node-endpoints=http://127.0.0.1:{}", self.chain))
            .arg(format!("--p2p-relays=http://127.0.0.1:{}", self.relay))
            .arg(format!("--validator-api-address=127.0.0.1:{api}"))
            .arg(format!("--monitoring-address=127.0.0.1:{monitoring}"))
            .arg("--log-color=disable");
        Process::start(self.dir.path(), &format!("node{node}"), &mut command)
    }

    fn slot(&self) -> u64 {
        let report = get(self.chain, "/simnet/report").map(|(_, body)| body).unwrap_or_default();
        let report: Json = serde_json::from_str(&report).unwrap_or_default();
        report["current_slot"].as_u64().unwrap_or(0)
    }

    fn wait_for_slot(&self, slot: u64) {
        wait_until(&format!("slot {slot}"), || self.slot() >= slot);
    }

    fn report(&self, from: u64, to: u64) -> Json {
        let (_, body) = get(self.chain, &format!("/simnet/report?from={from}&to={to}")).unwrap();
        serde_json::from_str(&body).unwrap()
    }

    /// Every duty of these slots was done in time, and nothing that could be slashed was signed.
    #[track_caller]
    fn check_done(&self, from: u64, to: u64) {
        let report = self.report(from, to);
        for duty in ["proposer", "attester", "aggregator", "sync_message"] {
            let counts = &report["duties"][duty];
            let expected = counts["expected"].as_u64().unwrap();
            assert!(expected > 0, "{duty}: {counts}");
            assert_eq!(
                counts["on_time"].as_u64(),
                Some(expected),
                "{duty} of slots {from} to {to}: {counts}"
            );
        }
        // How many contributions there are hangs on who is selected, which only the keys know.
        let so_far = self.report(EPOCH, to);
        assert!(so_far["duties"]["sync_contribution"]["received"].as_u64() > Some(0), "{so_far}");
        check_clean(&report);
    }

    /// SIGKILL.
    fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
    }

    /// Every duty of two slots is done while nodes are down. With slots as short as these the time of a block is over
    /// before a second round: slots are looked at whose first leader is there.
    #[track_caller]
    fn check_without(&self, down: &[usize]) {
        let leads = |slot: u64| down.contains(&usize::try_from((slot + 2) % 4).unwrap());
        // What was under way when a node went is nobody's fault.
        let from = self.slot() + 2;
        let first = (from..).find(|slot| !leads(*slot) && !leads(slot + 1)).unwrap();
        self.wait_for_slot(first + 4);
        self.check_done(first, first + 1);
    }

    fn wait_until_ready(&self, node: usize) {
        let port = self.ports[node].1;
        let is_ready = || get(port, "/readyz").is_ok_and(|(status, _)| status == 200);
        wait_until(&format!("node {node} is ready"), is_ready);
    }
}

/// Nothing wrong, nothing refused, nothing slashable.
#[track_caller]
fn check_clean(report: &Json) {
    for (duty, counts) in report["duties"].as_object().unwrap() {
        assert_eq!(
            (counts["wrong"].as_u64(), counts["refused"].as_u64()),
            (Some(0), Some(0)),
            "{duty}: {counts}"
        );
    }
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0), "{}", report["findings"]);
}

#[test]
fn four_nodes_do_every_duty_and_go_on_without_one() {
    let mut cluster = Cluster::start(&[Program::Ours, Program::Ours, Program::Ours, Program::Ours]);
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
    let back = cluster.start_node(3, &Program::Ours);
    cluster.nodes[3] = Some(back);
    cluster.wait_until_ready(3);
    let ready = cluster.slot();
    cluster.wait_for_slot(ready + 2);
    cluster.kill(0);
    cluster.check_without(&[0]);

    // Two are not.
    cluster.kill(1);
    let alone = cluster.slot();
    cluster.wait_for_slot(alone + 4);
    let report = cluster.report(alone + 2, alone + 3);
    for duty in ["proposer", "attester", "aggregator", "sync_message"] {
        assert_eq!(report["duties"][duty]["received"].as_u64(), Some(0), "{duty}: {report}");
    }
    check_clean(&report);
}

/// Where `variable` names a charon: some nodes are its, some ours, and every duty is done.
fn check_mixed(variable: &str, theirs: usize) {
    let Some(path) = std::env::var_os(variable) else {
        println!("skipped: {variable} names no charon");
        return;
    };
    let program = |node| if node < 4 - theirs { Program::Ours } else { Program::Other(PathBuf::from(&path)) };
    let programs: Vec<Program> = (0..4).map(program).collect();
    let mut cluster = Cluster::start(&programs);
    let begun = cluster.slot();
    cluster.wait_for_slot(begun + 9);
    cluster.check_done(begun + 5, begun + 7);
    // One of either kind goes.
    for node in [0, 3] {
        cluster.kill(node);
        cluster.check_without(&[node]);
        let again = cluster.start_node(node, &programs[node]);
        cluster.nodes[node] = Some(again);
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
