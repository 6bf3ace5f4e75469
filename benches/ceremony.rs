//! `dkg`: ceremonies of four nodes on this machine through our own relay, all of them ours; charon's in turn, through the
//! same relay, where `CHARON_BIN` names one.
//!
//! ```text
//! cargo bench --bench ceremony                                          1 and 100 validators
//! cargo bench --bench ceremony -- --validators 1000                     one of 1,000
//! CHARON_BIN=/path/to/charon cargo bench --bench ceremony               side by side
//! ```
//!
//! A node's costs are those of its process; all nodes share the processors. `--shutdown-delay` is a second for everybody.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

#[path = "support/measure.rs"]
mod measure;
#[path = "../tests/support/ports.rs"]
mod ports;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use measure::Cost;
use ports::free_port;

/// One ceremony; charon's of 1,000 validators needs four minutes on a quiet machine.
const LIMIT: Duration = Duration::from_secs(1200);
const RELAY_LIMIT: Duration = Duration::from_secs(30);
const NODES: usize = 4;
const ADDRESS: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";
const USAGE: &str = "usage: cargo bench --bench ceremony -- [--validators N]... [--runs N]";

/// A program, and the words before its own.
struct Program {
    name: &'static str,
    path: PathBuf,
    words: &'static [&'static str],
}

/// A relay, ended with the value.
struct Relay {
    process: Child,
    url: String,
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() -> ExitCode {
    if let Some(code) = measure::in_between() {
        return code;
    }
    let Some((sizes, runs)) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let ours = Program { name: "coxswain", path: env!("CARGO_BIN_EXE_coxswain").into(), words: &["dv"] };
    let charon =
        std::env::var_os("CHARON_BIN").map(|path| Program { name: "charon", path: path.into(), words: &[] });
    if charon.is_none() {
        println!("skipped: CHARON_BIN names no charon to measure beside");
    }
    let mut table = String::from(
        "| validators | program | wall s | CPU s a node | peak MB a node |\n|--:|---|--:|--:|--:|\n",
    );
    let mut is_whole = true;
    for validators in sizes {
        for program in std::iter::once(&ours).chain(&charon) {
            let costs: Vec<Cost> = (0..runs).filter_map(|_| ceremony(&ours, program, validators)).collect();
            if costs.is_empty() {
                is_whole = false;
                continue;
            }
            let Cost { wall_s, cpu_s, peak_mb } = measure::median(&costs);
            table +=
                &format!("| {validators} | {} | {wall_s:.2} | {cpu_s:.2} | {peak_mb:.0} |\n", program.name);
        }
    }
    println!("\n{NODES} nodes\n\n{table}");
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Option<(Vec<usize>, usize)> {
    let (mut sizes, mut runs) = (Vec::new(), 1);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--validators" => sizes.push(words.next()?.parse().ok()?),
            "--runs" => runs = words.next()?.parse().ok().filter(|runs| *runs > 0)?,
            _ => return None,
        }
    }
    if sizes.is_empty() {
        sizes = vec![1, 100];
    }
    Some((sizes, runs))
}

fn relay(ours: &Program, dir: &Path) -> Relay {
    let (http, tcp) = (free_port(), free_port());
    let process = Command::new(&ours.path)
        .args(ours.words)
        .args(["relay", "--data-dir", "relay", "--p2p-advertise-private-addresses"])
        .args(["--http-address", &format!("127.0.0.1:{http}")])
        .args(["--p2p-tcp-address", &format!("127.0.0.1:{tcp}")])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("our own program");
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", http)).is_err() {
        assert!(started.elapsed() < RELAY_LIMIT, "the relay does not answer");
        std::thread::yield_now();
    }
    Relay { process, url: format!("http://127.0.0.1:{http}") }
}

/// One ceremony: the wall time of all, the largest costs of a node. None where it did not end well.
fn ceremony(ours: &Program, program: &Program, validators: usize) -> Option<Cost> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = dir.path();
    let run = |args: &[&str]| {
        let output = Command::new(&ours.path).args(ours.words).args(args).current_dir(at).output();
        output.expect("our own program")
    };
    let mut enrs = Vec::new();
    for node in 0..NODES {
        let made = run(&["create", "enr", "--data-dir", &format!("n{node}")]);
        let text = String::from_utf8_lossy(&made.stdout).into_owned();
        enrs.push(text.lines().find(|line| line.starts_with("enr:")).expect("a record").to_owned());
    }
    let made = run(&[
        "create",
        "dkg",
        "--name",
        "bench",
        "--network",
        "hoodi",
        "--num-validators",
        &validators.to_string(),
        "--fee-recipient-addresses",
        ADDRESS,
        "--withdrawal-addresses",
        ADDRESS,
        "--operator-enrs",
        &enrs.join(","),
        "--output-dir",
        ".",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let relay = relay(ours, at);
    let started = Instant::now();
    let nodes: Vec<_> = std::thread::scope(|scope| {
        let node = |node: usize| {
            let mut command = Command::new(&program.path);
            command.args(program.words).args(["dkg", "--definition-file", "cluster-definition.json"]);
            command.args([
                "--data-dir",
                &format!("n{node}"),
                "--p2p-relays",
                &relay.url,
                "--shutdown-delay",
                "1s",
            ]);
            command.args(["--timeout", "10m"]).current_dir(at).env("HOME", at);
            scope.spawn(move || measure::measure(&command, LIMIT))
        };
        let running: Vec<_> = (0..NODES).map(node).collect();
        running.into_iter().map(|one| one.join().expect("a measurement")).collect()
    });
    let wall_s = started.elapsed().as_secs_f64();
    let largest = |pick: fn(&Cost) -> f64| nodes.iter().map(|node| pick(&node.cost)).fold(0.0, f64::max);
    let cost = Cost { wall_s, cpu_s: largest(|cost| cost.cpu_s), peak_mb: largest(|cost| cost.peak_mb) };
    let locks: Vec<_> =
        (0..NODES).map(|node| std::fs::read(at.join(format!("n{node}/cluster-lock.json"))).ok()).collect();
    let is_whole = locks[0].is_some() && locks.iter().all(|lock| *lock == locks[0]);
    println!(
        "{}",
        serde_json::json!({
            "program": program.name, "validators": validators, "is_whole": is_whole, "wall_s": cost.wall_s,
            "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb,
        })
    );
    if !is_whole {
        for node in &nodes {
            eprintln!("{} {:?}\n{}{}", program.name, node.code, node.stdout, node.stderr);
        }
    }
    is_whole.then_some(cost)
}
