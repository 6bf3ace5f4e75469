//! Ten hosts with twenty files each: cold apply, no-op, one change; side by side with pyinfra and ansible-core.
//!
//! ```text
//! cargo bench --bench hosts                      everything; needs root, sshd and network namespaces
//! cargo bench --bench hosts -- --rounds 5        medians of five rounds (3)
//! COXSWAIN_BENCH_PEERS=/path/to/venv cargo bench --bench hosts     a virtual environment that has the peers
//! ```
//!
//! The hosts are sshd processes in network namespaces of this machine, so that everything shares its processors.
//! The peers come from PyPI into a virtual environment in a temporary folder; one that cannot be installed is
//! `skipped`. Ansible is tuned: ten forks, pipelining, connections that persist, no gathering of facts. In every
//! round each program starts from hosts without the files, and the order of the programs turns. After the cold
//! apply and after the change, the trees of all hosts are hashed: they must be those of the other programs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

#[path = "../../../benches/support/measure.rs"]
mod measure;
#[path = "../../support/mod.rs"]
mod support;
mod tools;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use measure::Cost;
use support::sshlab::Lab;
use tools::{Phase, Tool};

/// Hosts.
const HOSTS: usize = 10;
/// Files on each.
const FILES: usize = 20;
/// Where they lie on the hosts.
const DIR: &str = "/srv/bench";
/// One command.
const LIMIT: Duration = Duration::from_secs(180);
/// Most rounds that are worth the wait.
const ROUNDS_MAX: usize = 20;

fn main() -> ExitCode {
    if let Some(code) = measure::in_between() {
        return code;
    }
    let Some(rounds) = rounds() else {
        eprintln!("usage: cargo bench --bench hosts -- [--rounds N]    1 to {ROUNDS_MAX}");
        return ExitCode::from(2);
    };
    let Some(lab) = Lab::start(HOSTS) else { return ExitCode::SUCCESS };
    let work = tempfile::tempdir().expect("a temporary folder");
    let tools = tools::all(&lab, work.path());
    let mut bench = Bench { lab, tools, costs: BTreeMap::new(), trees: BTreeMap::new(), failed: false };
    for round in 0..rounds {
        for turn in 0..bench.tools.len() {
            bench.cycle((round + turn) % bench.tools.len());
        }
    }
    bench.report();
    if bench.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn rounds() -> Option<usize> {
    let mut rounds = 3;
    // `--bench` is what cargo itself adds.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--rounds", Some(n)) => rounds = n.parse().ok().filter(|n| (1..=ROUNDS_MAX).contains(n))?,
            _ => return None,
        }
    }
    Some(rounds)
}

struct Bench {
    lab: Lab,
    tools: Vec<Tool>,
    costs: BTreeMap<(Phase, &'static str), Vec<Cost>>,
    /// What the trees were after a phase, and who was there first.
    trees: BTreeMap<Phase, (String, &'static str)>,
    failed: bool,
}

impl Bench {
    fn cycle(&mut self, which: usize) {
        for host in self.lab.hosts() {
            host.exec(&format!("rm -rf {DIR} && mkdir -p {DIR}")).ok();
        }
        let tool = &self.tools[which];
        tool.forget();
        write_sources(&tool.dir, 0);
        for phase in Phase::ALL {
            if phase == Phase::Change {
                write_sources(&tool.dir, 1);
            }
            let found = measure::measure(&tool.command(phase), LIMIT);
            if found.code != Some(0) {
                println!(
                    "failed: {} {}: exit {:?}\n{}{}",
                    tool.name,
                    phase.name(),
                    found.code,
                    found.stdout,
                    found.stderr
                );
                self.failed = true;
                return;
            }
            let Cost { wall_s, cpu_s, peak_mb } = found.cost;
            let line = serde_json::json!({
                "program": tool.name, "phase": phase.name(), "wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb,
            });
            println!("{line}");
            self.costs.entry((phase, tool.name)).or_default().push(found.cost);
            let tree = tree(&self.lab);
            let (first, whose) = self.trees.entry(phase).or_insert((tree.clone(), tool.name));
            if *first != tree {
                println!(
                    "failed: after {}, the trees of {} are not those of {whose}",
                    phase.name(),
                    tool.name
                );
                self.failed = true;
            }
        }
        // Connections that persist are part of a cycle, not of the next one.
        self.lab.hosts().iter().for_each(support::sshlab::Host::kill_connections);
    }

    fn report(&self) {
        let names: Vec<&'static str> = self.tools.iter().map(|t| t.name).collect();
        let cost = |phase, name| measure::median(self.costs.get(&(phase, name)).map_or(&[], Vec::as_slice));
        println!("\n| {HOSTS} hosts × {FILES} files | program | wall s | CPU s | wall, ours = 1 |");
        println!("|---|---|--:|--:|--:|");
        for phase in Phase::ALL {
            let ours = cost(phase, names[0]);
            for name in &names {
                let it = cost(phase, name);
                let ratio = it.wall_s / ours.wall_s;
                println!("| {} | {name} | {:.2} | {:.2} | {ratio:.1} |", phase.name(), it.wall_s, it.cpu_s);
            }
        }
        let trees = self.trees.values().map(|(tree, _)| &tree[..12]).collect::<Vec<_>>().join(", ");
        println!("\ntrees of all programs {}: {trees}", if self.failed { "NOT alike" } else { "alike" });
    }
}

/// The content of every file; the change is in one line of one file of one host.
fn write_sources(dir: &Path, version: usize) {
    for host in 0..HOSTS {
        let folder = dir.join(format!("files/h{host}"));
        std::fs::create_dir_all(&folder).expect("a folder in a temporary folder");
        for file in 0..FILES {
            let changed = if (host, file) == (3, 7) { version } else { 0 };
            // From a line to a few kilobytes.
            let lines: String = (0..=file * file)
                .map(|n| format!("h{host} f{file:02} line {n} version {changed}\n"))
                .collect();
            std::fs::write(folder.join(format!("f{file:02}")), lines).expect("a file in a temporary folder");
        }
    }
}

/// One digest over names, modes, owners and contents on all hosts.
fn tree(lab: &Lab) -> String {
    use sha2::Digest as _;
    let list = format!("cd {DIR} && find . -type f -printf '%m %U:%G %p\\n' -exec sha256sum {{}} + | sort");
    let all: Vec<String> = lab.hosts().iter().map(|host| host.exec(&list).ok().stdout).collect();
    assert!(all.iter().all(|text| text.lines().count() == 2 * FILES), "a host has not all files: {all:?}");
    hex::encode(sha2::Sha256::digest(all.concat()))
}
