//! Ceremonies of real processes: a relay, a group of operators with a definition, and their nodes as they run.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use coxswain_dv_types::enr;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) use super::support::ports::free_port;
use super::support::{Ran, run};

/// Nothing here takes as long, however loaded the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(150);
pub(crate) const FEE: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
/// How often a relay is started on other ports, where somebody took its own in the meantime.
const TRIES: usize = 5;
/// The key of a node.
pub(crate) const KEY: &str = "charon-enr-private-key";

/// A process whose lines on stderr are read as they come; killed with the value.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    lines: Receiver<String>,
    seen: String,
    out: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it; what it writes to stdout goes to `out`.
    pub(crate) fn start(name: &str, command: &mut Command, out: &Path) -> Process {
        let file = fs::File::create(out).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                // Whoever reads may have gone.
                let _ = tell.send(line);
            }
        });
        Process { name: name.to_owned(), child, lines, seen: String::new(), out: out.to_owned() }
    }

    /// The next line; none where the process has ended.
    pub(crate) fn next_line(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen += &format!("{line}\n");
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: nothing more within {} s after\n{}", self.name, LIMIT.as_secs(), self.seen)
            }
        }
    }

    /// Waits for a line with this text; false where it ended before.
    pub(crate) fn reaches(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + LIMIT;
        while let Some(line) = self.next_line(deadline) {
            if line.contains(text) {
                return true;
            }
        }
        false
    }

    /// Waits for a line with this text.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        assert!(self.reaches(text), "{}: no {text:?} in\n{}", self.name, self.seen);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        // Not waited for yet, so the number is still its own.
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ran {
        let deadline = Instant::now() + LIMIT;
        while self.next_line(deadline).is_some() {}
        let status = self.child.wait().unwrap();
        let stdout = fs::read_to_string(&self.out).unwrap();
        Ran { code: status.code().unwrap_or(-1), stdout, stderr: std::mem::take(&mut self.seen) }
    }
}

/// A relay of its own for each test.
pub(crate) struct Relay {
    _process: Process,
    pub(crate) url: String,
    pub(crate) p2p: u16,
    /// Its id.
    pub(crate) id: String,
}

impl Relay {
    /// Ours.
    pub(crate) fn start(dir: &Path) -> Relay {
        Relay::of(Path::new(env!("CARGO_BIN_EXE_coxswain")), &["dv"], dir)
    }

    /// That of a program.
    pub(crate) fn of(program: &Path, first: &[&str], dir: &Path) -> Relay {
        for _ in 0..TRIES {
            let [http, p2p, monitoring] = [free_port(), free_port(), free_port()];
            let at = |port: u16| format!("127.0.0.1:{port}");
            let mut command = Command::new(program);
            command
                .args(first)
                .args(["relay", "--data-dir", "relay", "--p2p-advertise-private-addresses"])
                .args(["--http-address", &at(http), "--p2p-tcp-address", &at(p2p)])
                .args(["--monitoring-address", &at(monitoring)])
                .current_dir(dir)
                .env_clear()
                .env("HOME", dir);
            let mut process = Process::start("relay", &mut command, &dir.join("relay.out"));
            if let Some(id) = serves(&mut process, http) {
                return Relay { _process: process, url: format!("http://{}", at(http)), p2p, id };
            }
        }
        panic!("no relay started in {TRIES} attempts");
    }
}

/// The id that a relay tells, once it serves; none where it ended.
fn serves(process: &mut Process, port: u16) -> Option<String> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if process.child.try_wait().unwrap().is_some() {
            return None;
        }
        let told = ask(port).unwrap_or_default();
        if let Some((_, id)) = told.split_once("/p2p/") {
            return Some(id.chars().take_while(char::is_ascii_alphanumeric).collect());
        }
        assert!(Instant::now() < deadline, "the relay does not serve\n{}", process.seen);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The binary, with `dv`.
pub(crate) fn coxswain(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
    command.arg("dv").args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

/// Operators with a key each, and a definition.
pub(crate) struct Group {
    dir: tempfile::TempDir,
    /// In the order of operators.
    pub(crate) nodes: Vec<String>,
    records: Vec<String>,
}

impl Group {
    /// With a definition of ours.
    pub(crate) fn new(count: usize, more: &[&str]) -> Group {
        let group = Group::without_definition(count);
        group.define(coxswain(group.path(), &[]), "", more);
        group
    }

    pub(crate) fn without_definition(count: usize) -> Group {
        let dir = tempfile::Builder::new().prefix("cx").tempdir().unwrap();
        let nodes: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        let make = |node: &String| {
            let made = run(&mut coxswain(dir.path(), &["create", "enr", "--data-dir", node])).ok();
            made.stdout.lines().find(|line| line.starts_with("enr:")).unwrap().to_owned()
        };
        let records = nodes.iter().map(make).collect();
        Group { dir, nodes, records }
    }

    /// Makes `PREFIX`cluster-definition.json with a program.
    pub(crate) fn define(&self, mut program: Command, prefix: &str, more: &[&str]) {
        let made = self.path().join("made");
        program
            .args(["create", "dkg", "--name=ceremony", "--network=hoodi", "--output-dir=made"])
            .args(["--fee-recipient-addresses", FEE, "--withdrawal-addresses", FEE])
            .arg(format!("--operator-enrs={}", self.records.join(",")))
            .args(more);
        run(&mut program).ok();
        let name = "cluster-definition.json";
        fs::rename(made.join(name), self.path().join(format!("{prefix}{name}"))).unwrap();
        fs::remove_dir_all(made).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn at(&self, node: usize) -> PathBuf {
        self.path().join(&self.nodes[node])
    }

    /// Who a node is on the network.
    pub(crate) fn peer(&self, node: usize) -> coxswain_dv_net::PeerId {
        coxswain_dv_net::peer_id(enr::parse(&self.records[node]).unwrap().public())
    }

    /// What errors call a node.
    pub(crate) fn title(&self, node: usize) -> String {
        format!("node {node} ({}…)", &self.peer(node).to_string()[..14])
    }

    /// The ceremony of a node, not started. Later flags win.
    pub(crate) fn command(&self, node: usize, relay: &str, more: &[&str]) -> Command {
        let mut command = coxswain(self.path(), &["dkg", "--data-dir", &self.nodes[node]]);
        ceremony_args(&mut command, relay, more);
        command
    }

    pub(crate) fn start(&self, node: usize, relay: &str, more: &[&str]) -> Process {
        self.spawn(node, &mut self.command(node, relay, more))
    }

    pub(crate) fn spawn(&self, node: usize, command: &mut Command) -> Process {
        let name = &self.nodes[node];
        Process::start(name, command, &self.path().join(format!("{name}.out")))
    }

    /// All of them.
    pub(crate) fn start_all(&self, relay: &str, more: &[&str]) -> Vec<Process> {
        (0..self.nodes.len()).map(|node| self.start(node, relay, more)).collect()
    }

    /// Text that nobody may read anywhere: keys of nodes, passwords of keystores.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        for node in 0..self.nodes.len() {
            secrets.push(fs::read_to_string(self.at(node).join(KEY)).unwrap().trim().to_owned());
            let keys = self.at(node).join("validator_keys");
            for name in names(&keys).iter().filter(|name| name.ends_with(".txt")) {
                secrets.push(fs::read_to_string(keys.join(name)).unwrap().trim().to_owned());
            }
        }
        assert!(secrets.iter().all(|secret| secret.len() >= 32));
        secrets
    }

    #[track_caller]
    pub(crate) fn told_no_secret(&self, outputs: &[Ran]) {
        for secret in self.secrets() {
            for ran in outputs {
                assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret), "a secret was told");
            }
        }
    }

    /// What a node has besides its key, after another start has cleaned up.
    pub(crate) fn has(&self, node: usize) -> Vec<String> {
        let spare = [KEY, "charon-enr-private-key.lock"];
        names(&self.at(node)).into_iter().filter(|name| !spare.contains(&name.as_str())).collect()
    }
}

/// What all nodes of a test are given.
pub(crate) fn ceremony_args(command: &mut Command, relay: &str, more: &[&str]) {
    let has = |flag: &str| more.iter().any(|arg| arg.starts_with(flag));
    command.args(["--p2p-relays", relay]);
    for (flag, value) in [
        ("--log-level", "debug"),
        ("--definition-file", "cluster-definition.json"),
        ("--shutdown-delay", "500ms"),
        ("--timeout", "60s"),
    ] {
        if !has(flag) {
            command.arg(format!("{flag}={value}"));
        }
    }
    command.args(more);
}

/// Sorted; none where the directory is not there.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A line between nodes and a relay that is slow, and loses: what TCP makes of a lost packet is a longer wait.
pub(crate) struct SlowLine {
    pub(crate) port: u16,
}

/// One way takes this long, give or take, and a lost piece is sent again after `LOST`.
const DELAY: Duration = Duration::from_millis(40);
const JITTER_MS: u64 = 20;
const LOST: Duration = Duration::from_millis(200);
const LOSS_PERCENT: u64 = 2;

impl SlowLine {
    /// To a port of this machine. Its threads end with the test program.
    pub(crate) fn to(target: u16, seed: u64) -> SlowLine {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for (number, from) in listener.incoming().map_while(Result::ok).enumerate() {
                let Ok(to) = std::net::TcpStream::connect(("127.0.0.1", target)) else { return };
                let seed = seed + 2 * number as u64;
                carry(from.try_clone().unwrap(), to.try_clone().unwrap(), seed);
                carry(to, from, seed + 1);
            }
        });
        SlowLine { port }
    }
}

fn carry(mut from: std::net::TcpStream, mut to: std::net::TcpStream, mut seed: u64) {
    use std::io::{Read as _, Write as _};
    let (send, receive) = channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let (mut buffer, mut last) = (vec![0; 1400], Instant::now());
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut wait = DELAY + Duration::from_millis(random(&mut seed) % JITTER_MS);
            if random(&mut seed) % 100 < LOSS_PERCENT {
                wait += LOST;
            }
            last = last.max(Instant::now() + wait);
            if send.send((last, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        while let Ok((due, piece)) = receive.recv() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // The other side may have closed it.
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// The next of a sequence (SplitMix64), for tests that print their seed.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Network namespaces of this test, one for the relay and one for each node, on one bridge.
pub(crate) struct Namespaces {
    prefix: String,
    count: usize,
}

/// Where the relay is.
pub(crate) const RELAY_IP: &str = "10.77.0.1";

fn ip(args: &[&str]) -> Ran {
    run(Command::new("ip").args(args))
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for at in 0..=self.count {
            let name = self.name(at);
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}

impl Namespaces {
    /// Says why there are none.
    pub(crate) fn new(count: usize) -> Result<Namespaces, String> {
        if !rustix::process::getuid().is_root() {
            return Err("only root makes network namespaces".to_owned());
        }
        if Command::new("ip").arg("-V").output().is_err() {
            return Err("no ip".to_owned());
        }
        let spaces = Namespaces { prefix: format!("cx{}", std::process::id()), count };
        let relay = spaces.name(0);
        let made = ip(&["netns", "add", &relay]);
        if made.code != 0 {
            return Err(format!("no namespace can be made: {}", made.stderr.trim()));
        }
        for args in [
            "link set lo up",
            "link add bridge type bridge",
            "link set bridge up",
            "addr add 10.77.0.1/24 dev bridge",
        ] {
            spaces.in_space(0, args);
        }
        for node in 1..=count {
            let name = spaces.name(node);
            ip(&["netns", "add", &name]).ok();
            spaces.in_space(0, &format!("link add port{node} type veth peer name eth0 netns {name}"));
            spaces.in_space(0, &format!("link set port{node} master bridge up"));
            spaces.in_space(node, "link set lo up");
            spaces.in_space(node, &format!("addr add 10.77.0.{}/24 dev eth0", node + 1));
            spaces.in_space(node, "link set eth0 up");
        }
        Ok(spaces)
    }

    fn name(&self, at: usize) -> String {
        format!("{}-{at}", self.prefix)
    }

    #[track_caller]
    fn in_space(&self, at: usize, args: &str) {
        let name = self.name(at);
        let args: Vec<&str> = ["-n", &name].into_iter().chain(args.split(' ')).collect();
        ip(&args).ok();
    }

    /// Packets of every node wait and are lost. Says why not.
    pub(crate) fn disturb(&self) -> Result<(), String> {
        for node in 1..=self.count {
            for (space, device) in [(node, "eth0".to_owned()), (0, format!("port{node}"))] {
                let rule = "root netem delay 40ms 10ms loss 2%";
                let args = ["-n", &self.name(space), "qdisc", "add", "dev", &device].map(str::to_owned);
                let mut tc = Command::new("tc");
                tc.args(args).args(rule.split(' '));
                if Command::new("tc").arg("-V").output().is_err() {
                    return Err("no tc".to_owned());
                }
                let done = run(&mut tc);
                if done.code != 0 {
                    return Err(format!("no netem: {}", done.stderr.trim()));
                }
            }
        }
        Ok(())
    }

    /// The same command, in the namespace of the relay (0) or of a node (from 1).
    pub(crate) fn inside(&self, at: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name(at)]).arg(command.get_program()).args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir).env_clear().env("HOME", dir);
        }
        inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        inside
    }
}
