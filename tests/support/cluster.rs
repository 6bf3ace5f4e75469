//! Nodes of a distributed validator as real processes: relays, a simulated chain, nodes, and simulated validator clients.
//!
//! A test program says `#[path = "support/cluster.rs"] mod cluster;` and uses its part of it.

#![expect(dead_code, reason = "each test program uses a part of this module")]
#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

#[path = "ports.rs"]
mod ports;

pub(crate) use ports::free_port;

/// Keeps the expectation above true in a program that uses everything.
const NEVER_USED: () = ();

/// Nothing here takes as long, however loaded the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(150);

/// Slots in which somebody is selected to contribute: a member is with a chance of one in eight for each of its subcommittees,
/// so that the two members of three slots may all go without.
const SELECTED_WITHIN: u64 = 12;

/// Seconds of a slot: proposers have a third of it, of which a node needs a quarter of a second. On a machine that does
/// much else, `COXSWAIN_TEST_SLOT` gives them more.
const SLOT: u64 = 4;
/// Slots of an epoch.
pub(crate) const EPOCH: u64 = 4;
/// Duties of which the chain knows how many there are to be.
pub(crate) const COUNTED: [&str; 4] = ["proposer", "attester", "aggregator", "sync_message"];

/// Who runs a node: ours, or another program with the same flags.
pub(crate) enum Program {
    Ours,
    Other(PathBuf),
}

/// Killed with the value; what it says goes to a file.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: File,
}

impl Drop for Process {
    /// In a test that failed, what has ended by itself, which none does, says its last words.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.show_last_words(status);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(dir: &Path, name: &str, command: &mut Command, variables: &[(String, String)]) -> Process {
        let path = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&path).unwrap();
        let out = file.try_clone().unwrap();
        command.current_dir(dir).env_clear().env("HOME", dir).envs(variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(out).stderr(file);
        let log = File::open(path).unwrap();
        Process { child: command.spawn().unwrap(), name: name.to_owned(), log }
    }

    fn show_last_words(&mut self, status: ExitStatus) {
        let (mut said, name) = (Vec::new(), &self.name);
        let _ = self.log.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let last: Vec<&str> = said.lines().rev().take(LAST_WORDS).collect();
        let mut out = std::io::stderr();
        let _ = writeln!(out, "{name} has ended: {status}");
        last.iter().rev().for_each(|line| drop(writeln!(out, "{name}: {line}")));
    }

    /// Processor time that it has used, and its memory.
    pub(crate) fn used(&self) -> (Duration, u64) {
        let read = |name| std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap();
        // Fields 14 and 15 of proc(5), counted behind the name, which may have spaces; in ticks of 1/100 s.
        let (stat, status) = (read("stat"), read("status"));
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = memory.split_whitespace().next().unwrap().parse().unwrap();
        (Duration::from_millis(ticks * 10), kilobytes)
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// A number that a variable gives, or another one.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// What a cluster is made of.
pub(crate) struct Plan {
    /// Who runs each node.
    pub(crate) programs: Vec<Program>,
    /// What is run for the rest, and for nodes of ours.
    pub(crate) binary: PathBuf,
    pub(crate) validators: usize,
    /// Seconds of a slot.
    pub(crate) slot: u64,
    /// Slots of an epoch.
    pub(crate) epoch: u64,
    /// Beacon nodes of the chain.
    pub(crate) beacons: usize,
    pub(crate) relays: usize,
    /// Whether each node has lines of its own to the relays, which can be cut.
    pub(crate) has_lines: bool,
    /// More arguments of the chain.
    pub(crate) chain: Vec<String>,
    /// More arguments of every node. `{beacon0}` stands for the URL of a beacon node, `{line0}` for one at the line to it,
    /// `{p2p}` and `{debug}` for ports of the node.
    pub(crate) node: Vec<String>,
    /// More arguments of every validator client.
    pub(crate) client: Vec<String>,
    /// Variables of a node and its validator client, by node.
    pub(crate) variables: Vec<Vec<(String, String)>>,
}

impl Plan {
    /// Two validators, one beacon node, one relay.
    pub(crate) fn of(programs: Vec<Program>) -> Plan {
        Plan {
            variables: vec![Vec::new(); programs.len()],
            programs,
            binary: PathBuf::from(env!("CARGO_BIN_EXE_coxswain")),
            validators: 2,
            slot: number("COXSWAIN_TEST_SLOT", SLOT),
            epoch: EPOCH,
            beacons: 1,
            relays: 1,
            has_lines: false,
            chain: Vec::new(),
            node: Vec::new(),
            client: Vec::new(),
        }
    }

    /// Four nodes of ours.
    pub(crate) fn ours() -> Plan {
        Plan::of(vec![Program::Ours, Program::Ours, Program::Ours, Program::Ours])
    }
}

/// A relay: where it answers HTTP, and its address with its id.
struct Relay {
    http: u16,
    p2p: u16,
    id: String,
}

pub(crate) struct Cluster {
    pub(crate) dir: tempfile::TempDir,
    plan: Plan,
    /// The relays, the chain, the validator clients.
    others: Vec<Process>,
    relays: Vec<Relay>,
    /// By node, then by relay.
    pub(crate) lines: Vec<Vec<Line>>,
    /// Beacon nodes of the chain.
    pub(crate) chains: Vec<u16>,
    /// Lines to these.
    pub(crate) to_beacons: Vec<Line>,
    pub(crate) nodes: Vec<Option<Process>>,
    /// Of the validator API, and of monitoring.
    pub(crate) ports: Vec<(u16, u16)>,
    /// For peers, and for debugging, where the plan gives them to nodes.
    pub(crate) more_ports: Vec<(u16, u16)>,
}

fn ask(port: u16, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

pub(crate) fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    ask(port, &format!("GET {path}"), "")
}

/// Asks until the answer is as it should be.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(LIMIT, what, is_so);
}

#[track_caller]
fn wait_within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "after {} s still not: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Cluster {
    /// All nodes are started before genesis: nobody can have signed before, so they sign at once.
    pub(crate) fn start(plan: Plan) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        make(&plan, dir.path());
        let [ports, more_ports] =
            [(); 2].map(|()| plan.programs.iter().map(|_| (free_port(), free_port())).collect());
        let chains: Vec<u16> = (0..plan.beacons).map(|_| free_port()).collect();
        let to_beacons = chains.iter().map(|port| Line::to(*port)).collect();
        let (others, relays, lines, nodes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut cluster =
            Cluster { dir, plan, others, relays, lines, chains, to_beacons, nodes, ports, more_ports };
        (0..cluster.plan.relays).for_each(|number| cluster.start_relay(number));
        if cluster.plan.has_lines {
            let to_relays = || cluster.relays.iter().map(|relay| Line::to(relay.p2p)).collect();
            cluster.lines = (0..cluster.ports.len()).map(|_| to_relays()).collect();
        }
        cluster.start_chain();
        if cluster.plan.programs.iter().any(|program| matches!(program, Program::Other(_))) {
            // It ends where it is started before genesis.
            wait_until("the chain has begun", || cluster.slot() >= 1);
        }
        for node in 0..cluster.ports.len() {
            let started = cluster.start_node(node);
            cluster.nodes.push(Some(started));
            cluster.start_client(node);
        }
        cluster
    }

    fn coxswain(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.plan.binary);
        command.args(args);
        command
    }

    fn start_other(&mut self, name: &str, command: &mut Command, variables: &[(String, String)]) {
        self.others.push(Process::start(self.dir.path(), name, command, variables));
    }

    fn start_relay(&mut self, number: usize) {
        let [http, p2p] = [free_port(), free_port()];
        let mut command = self.coxswain(&["dv", "relay", "--p2p-advertise-private-addresses"]);
        command
            .arg(format!("--data-dir=relay{number}"))
            .arg(format!("--http-address=127.0.0.1:{http}"))
            .arg(format!("--p2p-tcp-address=127.0.0.1:{p2p}"));
        self.start_other(&format!("relay{number}"), &mut command, &[]);
        let mut id = String::new();
        wait_until("the relay tells its addresses", || {
            let told = get(http, "/").map(|(_, body)| body).unwrap_or_default();
            let all: Vec<String> = serde_json::from_str(&told).unwrap_or_default();
            id = all
                .first()
                .and_then(|one| one.split_once("/p2p/"))
                .map(|(_, id)| id.to_owned())
                .unwrap_or_default();
            !id.is_empty()
        });
        self.relays.push(Relay { http, p2p, id });
    }

    fn start_chain(&mut self) {
        let mut command = self.coxswain(&["simnet", "chain", "--lock-file=node0/cluster-lock.json"]);
        command
            .args(self.chains.iter().map(|port| format!("--listen=127.0.0.1:{port}")))
            .arg("--genesis-in=4s")
            .arg(format!("--slot-duration={}s", self.plan.slot))
            .arg(format!("--slots-per-epoch={}", self.plan.epoch))
            .args(&self.plan.chain);
        self.start_other("chain", &mut command, &[]);
        let port = self.chains[0];
        wait_until("the chain answers", || get(port, "/eth/v1/beacon/genesis").is_ok());
    }

    fn start_client(&mut self, node: usize) {
        let mut command = self.coxswain(&["simnet", "validator"]);
        command
            .arg(format!("--node=http://127.0.0.1:{}", self.ports[node].0))
            .arg(format!("--keys-dir=node{node}/validator_keys"))
            .args(self.plan.client.iter().map(|arg| self.filled(node, arg)));
        let variables = self.plan.variables[node].clone();
        self.start_other(&format!("client{node}"), &mut command, &variables);
    }

    /// An argument in which `{share}` stands for the node's share of the first validator's key.
    fn filled(&self, node: usize, arg: &str) -> String {
        let lock = std::fs::read(self.dir.path().join("node0/cluster-lock.json")).unwrap();
        let lock: Json = serde_json::from_slice(&lock).unwrap();
        let share = lock["distributed_validators"][0]["public_shares"][node].as_str().unwrap();
        arg.replace("{share}", share)
    }

    pub(crate) fn start_node(&self, node: usize) -> Process {
        let (api, monitoring) = self.ports[node];
        let mut command = match &self.plan.programs[node] {
            Program::Ours => self.coxswain(&["dv", "run", "--slashing-start=now"]),
            Program::Other(path) => {
                let mut command = Command::new(path);
                command.arg("run");
                command
            }
        };
        let by_line =
            |(relay, line): (&Relay, &Line)| format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", line.port, relay.id);
        let relays: Vec<String> = match self.lines.get(node) {
            Some(lines) => self.relays.iter().zip(lines).map(by_line).collect(),
            None => self.relays.iter().map(|relay| format!("http://127.0.0.1:{}", relay.http)).collect(),
        };
        command
            .arg(format!("--lock-file=node{node}/cluster-lock.json"))
            .arg(format!("--private-key-file=node{node}/charon-enr-private-key"))
            .args(relays.iter().map(|relay| format!("--p2p-relays={relay}")))
            .arg(format!("--validator-api-address=127.0.0.1:{api}"))
            .arg(format!("--monitoring-address=127.0.0.1:{monitoring}"))
            .arg("--log-color=disable");
        if !self.plan.node.iter().any(|arg| arg.starts_with("--beacon-node-endpoints")) {
            command.arg(format!("--beacon-node-endpoints=http://127.0.0.1:{}", self.chains[0]));
        }
        command.args(self.plan.node.iter().map(|arg| self.filled_for(node, arg)));
        Process::start(self.dir.path(), &format!("node{node}"), &mut command, &self.plan.variables[node])
    }

    /// An argument of [`Plan::node`] as this node gets it.
    fn filled_for(&self, node: usize, arg: &str) -> String {
        let (p2p, debug) = self.more_ports[node];
        let arg = arg.replace("{p2p}", &p2p.to_string()).replace("{debug}", &debug.to_string());
        let pairs = self.chains.iter().zip(&self.to_beacons).enumerate();
        pairs.fold(arg, |arg, (number, (port, line))| {
            let by_line =
                arg.replace(&format!("{{line{number}}}"), &format!("http://127.0.0.1:{}", line.port));
            by_line.replace(&format!("{{beacon{number}}}"), &format!("http://127.0.0.1:{port}"))
        })
    }

    pub(crate) fn slot(&self) -> u64 {
        let report = get(self.chains[0], "/simnet/report").map(|(_, body)| body).unwrap_or_default();
        let report: Json = serde_json::from_str(&report).unwrap_or_default();
        report["current_slot"].as_u64().unwrap_or(0)
    }

    pub(crate) fn wait_for_slot(&self, slot: u64) {
        let left = Duration::from_secs(slot.saturating_sub(self.slot()) * self.plan.slot);
        wait_within(left + LIMIT, &format!("slot {slot}"), || self.slot() >= slot);
    }

    pub(crate) fn report(&self, from: u64, to: u64) -> Json {
        let (_, body) = get(self.chains[0], &format!("/simnet/report?from={from}&to={to}")).unwrap();
        serde_json::from_str(&body).unwrap()
    }

    /// Something goes wrong from now on, as `/simnet/fault` has it.
    #[track_caller]
    pub(crate) fn fault(&self, fault: &Json) {
        let (status, body) = ask(self.chains[0], "POST /simnet/fault", &fault.to_string()).unwrap();
        assert_eq!(status, 200, "{fault}: {body}");
    }

    /// Every duty of these slots was done in time, with votes for the head, and nothing that could be slashed was signed.
    #[track_caller]
    pub(crate) fn check_done(&self, from: u64, to: u64) {
        self.check_in_time(from, to);
        check_clean(&self.report(from, to));
    }

    /// Every duty of these slots was done in time, and nothing was refused or could be slashed. Votes may be for the block
    /// before, where a block comes later than it is voted.
    #[track_caller]
    pub(crate) fn check_in_time(&self, from: u64, to: u64) {
        let report = self.report(from, to);
        for duty in COUNTED {
            let counts = &report["duties"][duty];
            let expected = counts["expected"].as_u64().unwrap();
            assert!(expected > 0, "{duty}: {counts}");
            assert_eq!(
                counts["on_time"].as_u64(),
                Some(expected),
                "{duty} of slots {from} to {to}: {counts}\n{}",
                self.said()
            );
        }
        // How many contributions there are hangs on who is selected, which only the keys know.
        if to >= self.plan.epoch + SELECTED_WITHIN {
            let so_far = self.report(self.plan.epoch, to);
            assert!(so_far["duties"]["sync_contribution"]["received"].as_u64() > Some(0), "{so_far}");
        }
        assert_eq!(report["n_fatal"].as_u64(), Some(0), "{}", report["findings"]);
        // Findings are told of all slots.
        let is_of_these =
            |finding: &&Json| finding["slot"].as_u64().is_some_and(|slot| (from..=to).contains(&slot));
        let refused: Vec<&Json> = report["findings"].as_array().unwrap().iter().filter(is_of_these).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// Nothing of these slots was signed by the group.
    #[track_caller]
    pub(crate) fn check_silent(&self, from: u64, to: u64) {
        let report = self.report(from, to);
        for duty in COUNTED {
            assert_eq!(report["duties"][duty]["received"].as_u64(), Some(0), "{duty}: {report}");
        }
        check_clean(&report);
    }

    /// The last warnings of every node, for whoever looks why something failed.
    pub(crate) fn said(&self) -> String {
        let mut said = String::new();
        for node in 0..self.ports.len() {
            let log =
                std::fs::read_to_string(self.dir.path().join(format!("node{node}.log"))).unwrap_or_default();
            let warnings: Vec<&str> = log
                .lines()
                .filter(|line| line.contains("WRN") || line.contains("ERR") || line.contains("WARN"))
                .collect();
            let last = warnings.len().saturating_sub(25);
            said += &format!("--- node {node}\n{}\n", warnings[last..].join("\n"));
        }
        said
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
    }

    /// Starts a node that is down.
    pub(crate) fn restart(&mut self, node: usize) {
        let again = self.start_node(node);
        self.nodes[node] = Some(again);
    }

    /// Every duty of two slots is done while nodes are down. With slots as short as these the time of a block is over
    /// before a second round: slots are looked at whose first leader is there.
    #[track_caller]
    pub(crate) fn check_without(&self, down: &[usize]) {
        let leads = |slot: u64| down.contains(&usize::try_from((slot + 2) % 4).unwrap());
        // What was under way when a node went is nobody's fault.
        let from = self.slot() + 2;
        let first = (from..).find(|slot| !leads(*slot) && !leads(slot + 1)).unwrap();
        self.wait_for_slot(first + 4);
        self.check_done(first, first + 1);
    }

    pub(crate) fn is_ready(&self, node: usize) -> bool {
        get(self.ports[node].1, "/readyz").is_ok_and(|(status, _)| status == 200)
    }

    pub(crate) fn wait_until_ready(&self, node: usize) {
        wait_until(&format!("node {node} is ready"), || self.is_ready(node));
    }
}

impl Drop for Cluster {
    /// Of a test that failed, all that was said is kept where `COXSWAIN_TEST_KEEP` says so.
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("COXSWAIN_TEST_KEEP").is_some() {
            self.dir.disable_cleanup(true);
        }
    }
}

/// Lines of a process that has ended.
const LAST_WORDS: usize = 40;

/// Makes the cluster's keys and its lock.
fn make(plan: &Plan, dir: &Path) {
    let nodes = format!("--nodes={}", plan.programs.len());
    let validators = format!("--num-validators={}", plan.validators);
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
    let mut maker = match plan.programs.last() {
        Some(Program::Other(path)) => Command::new(path),
        _ => {
            let mut ours = Command::new(&plan.binary);
            ours.arg("dv");
            ours
        }
    };
    let made = maker.args(create).current_dir(dir).env("HOME", dir).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Nothing wrong, nothing refused, nothing slashable.
#[track_caller]
pub(crate) fn check_clean(report: &Json) {
    for (duty, counts) in report["duties"].as_object().unwrap() {
        assert_eq!(
            (counts["wrong"].as_u64(), counts["refused"].as_u64()),
            (Some(0), Some(0)),
            "{duty}: {counts}"
        );
    }
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0), "{}", report["findings"]);
}

/// How a line is.
const OPEN: u8 = 0;
/// Nothing comes through, and nobody is told: what was sent arrives once the line is open again.
const HELD: u8 = 1;
/// Connections end, and no new one is made.
const CUT: u8 = 2;
/// How often whoever waits at a line looks how it is.
const LOOK: Duration = Duration::from_millis(20);

/// A way to a port, which can be cut.
pub(crate) struct Line {
    pub(crate) port: u16,
    state: Arc<AtomicU8>,
}

impl Line {
    pub(crate) fn to(target: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(AtomicU8::new(OPEN));
        let of_all = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&of_all);
                if state.load(Ordering::SeqCst) == CUT {
                    continue;
                }
                std::thread::spawn(move || carry(near, target, &state));
            }
        });
        Line { port, state }
    }

    pub(crate) fn open(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
    }

    pub(crate) fn hold(&self) {
        self.state.store(HELD, Ordering::SeqCst);
    }

    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
    }
}

/// Carries one connection, both ways.
fn carry(near: TcpStream, target: u16, state: &Arc<AtomicU8>) {
    while state.load(Ordering::SeqCst) == HELD {
        std::thread::sleep(LOOK);
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { return };
    let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let state_too = Arc::clone(state);
    let back = std::thread::spawn(move || carry_one_way(far_too, near_too, &state_too));
    carry_one_way(near, far, state);
    let _ = back.join();
}

fn carry_one_way(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    from.set_read_timeout(Some(LOOK)).unwrap();
    let mut buffer = [0; 16 << 10];
    loop {
        match state.load(Ordering::SeqCst) {
            CUT => break,
            HELD => std::thread::sleep(LOOK),
            _ => match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    // What was read before the line was held is still on its way.
                    while state.load(Ordering::SeqCst) == HELD {
                        std::thread::sleep(LOOK);
                    }
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            },
        }
    }
    // The other direction ends, too.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}
