//! A cluster of four nodes with everything around it, and what the nodes cost.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::link;

#[path = "../../tests/support/ports.rs"]
mod ports;

use ports::free_port;

pub(crate) const NODES: usize = 4;
const ADDRESS: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
/// How long programs may take to start.
const START: Duration = Duration::from_secs(120);
/// How often is asked what slot it is: seldom, because asking costs what is measured.
const LOOK: Duration = Duration::from_millis(500);

/// A program, and the words before its own.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) words: &'static [&'static str],
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) validators: usize,
    /// Seconds of a slot.
    pub(crate) slot: u64,
    /// Slots of an epoch.
    pub(crate) epoch: u64,
    /// Epochs that are measured.
    pub(crate) epochs: u64,
    /// Validators in the sync committee.
    pub(crate) sync: usize,
    /// From a node to the relay, one way.
    pub(crate) delay_ms: u64,
}

/// Ended with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process has cost so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    pub(crate) peak_mb: f64,
}

pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    others: Vec<Process>,
    nodes: Vec<Process>,
    chain: u16,
    /// Of the validator API, and of monitoring.
    ports: Vec<(u16, u16)>,
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text.split_once("\r\n\r\n")?.1.to_owned())
}

fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < limit, "after {} s still not: {what}", limit.as_secs());
        std::thread::sleep(LOOK);
    }
}

impl Cluster {
    pub(crate) fn start(ours: &Program, program: &Program, plan: &Plan) -> Cluster {
        let dir = tempfile::tempdir().expect("a temporary folder");
        create(program, dir.path(), plan.validators);
        let ports = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let mut cluster = Cluster { dir, others: Vec::new(), nodes: Vec::new(), chain: free_port(), ports };
        let relay = cluster.start_relay(ours, Duration::from_millis(plan.delay_ms));
        cluster.start_chain(ours, plan);
        wait_until("the relay answers", START, || get(relay, "/").is_some());
        // charon ends where it is started before genesis.
        wait_until("the chain has begun", START, || cluster.slot().is_some_and(|slot| slot >= 1));
        for node in 0..NODES {
            cluster.start_node(program, node, relay);
        }
        for node in 0..NODES {
            let url = format!("http://127.0.0.1:{}", cluster.ports[node].0);
            let keys = format!("node{node}/validator_keys");
            let args = ["simnet", "validator", "--node", &url, "--keys-dir", &keys];
            cluster.start_other(Command::new(&ours.path).args(args), &format!("client{node}"));
        }
        cluster
    }

    fn spawn(&self, command: &mut Command, name: &str) -> Process {
        let log = std::fs::File::create(self.dir.path().join(name)).expect("a log");
        command.current_dir(self.dir.path()).env("HOME", self.dir.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Process(command.spawn().expect("a program that starts"))
    }

    fn start_other(&mut self, command: &mut Command, name: &str) {
        let process = self.spawn(command, name);
        self.others.push(process);
    }

    /// The relay is at another address of this machine than it says, where there is a line between.
    fn start_relay(&mut self, ours: &Program, delay: Duration) -> u16 {
        let (http, tcp) = (free_port(), free_port());
        let mut at: SocketAddr = SocketAddr::from(([127, 0, 0, 1], tcp));
        let mut command = Command::new(&ours.path);
        command.args(ours.words).args(["relay", "--data-dir", "relay"]);
        if delay.is_zero() {
            command.arg("--p2p-advertise-private-addresses");
        } else {
            let listener = TcpListener::bind(at).expect("a port that was free");
            at = SocketAddr::from(([127, 0, 0, 2], tcp));
            link::carry(listener, at, delay);
            command.args(["--p2p-external-ip", "127.0.0.1"]);
        }
        command.args(["--http-address", &format!("127.0.0.1:{http}"), "--p2p-tcp-address", &at.to_string()]);
        self.start_other(&mut command, "relay.log");
        http
    }

    fn start_chain(&mut self, ours: &Program, plan: &Plan) {
        let mut command = Command::new(&ours.path);
        command.args(["simnet", "chain", "--lock-file", "node0/cluster-lock.json", "--genesis-in", "3s"]);
        command.arg(format!("--listen=127.0.0.1:{}", self.chain));
        command.arg(format!("--slot-duration={}s", plan.slot));
        command.arg(format!("--slots-per-epoch={}", plan.epoch));
        command.arg(format!("--sync-members={}", plan.sync.min(plan.validators)));
        self.start_other(&mut command, "chain.log");
    }

    fn start_node(&mut self, program: &Program, node: usize, relay: u16) {
        let (api, monitoring) = self.ports[node];
        let mut command = Command::new(&program.path);
        command.args(program.words).arg("run");
        if program.name == "coxswain" {
            command.arg("--slashing-start=now");
        }
        command
            .arg(format!("--lock-file=node{node}/cluster-lock.json"))
            .arg(format!("--private-key-file=node{node}/charon-enr-private-key"))
            .arg(format!("--beacon-node-endpoints=http://127.0.0.1:{}", self.chain))
            .arg(format!("--p2p-relays=http://127.0.0.1:{relay}"))
            .arg(format!("--validator-api-address=127.0.0.1:{api}"))
            .arg(format!("--monitoring-address=127.0.0.1:{monitoring}"))
            .arg("--log-color=disable");
        let process = self.spawn(&mut command, &format!("node{node}.log"));
        self.nodes.push(process);
    }

    fn slot(&self) -> Option<u64> {
        let report = get(self.chain, "/simnet/report?from=0&to=0")?;
        serde_json::from_str::<serde_json::Value>(&report).ok()?["current_slot"].as_u64()
    }

    pub(crate) fn wait_for_slot(&self, slot: u64) {
        let limit = Duration::from_secs(24 * 3600);
        wait_until("a slot", limit, || self.slot().is_some_and(|now| now >= slot));
    }

    pub(crate) fn report(&self, from: u64, to: u64) -> serde_json::Value {
        let text = get(self.chain, &format!("/simnet/report?from={from}&to={to}")).expect("a report");
        serde_json::from_str(&text).expect("a report")
    }

    pub(crate) fn metrics(&self) -> Vec<String> {
        self.ports.iter().map(|(_, port)| get(*port, "/metrics").unwrap_or_default()).collect()
    }

    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.nodes.iter().map(|node| cost(node.0.id())).collect()
    }
}

fn create(program: &Program, dir: &Path, validators: usize) {
    let mut command = Command::new(&program.path);
    command.args(program.words).args(["create", "cluster", "--name=bench", "--network=hoodi"]);
    command.args(["--insecure-keys", "--cluster-dir=."]).arg(format!("--nodes={NODES}"));
    command.arg(format!("--num-validators={validators}"));
    command.args(["--withdrawal-addresses", ADDRESS, "--fee-recipient-addresses", ADDRESS]);
    let made = command.current_dir(dir).env("HOME", dir).output().expect("a program that starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// User and system time, and the most memory that was resident, as the kernel counts them.
fn cost(pid: u32) -> Cost {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    // After the name in parentheses: the 12th and 13th field are utime and stime, in hundredths of a second.
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let status = read("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|text| text.trim().split(' ').next()?.parse::<f64>().ok());
    Cost { cpu_s: (ticks(11) + ticks(12)) / 100.0, peak_mb: kilobytes.unwrap_or(f64::NAN) / 1024.0 }
}
