//! `dv run`: four nodes of one program on a simulated chain with simulated validator clients, through our relay; charon's
//! in turn where `CHARON_BIN` names one.
//!
//! ```text
//! cargo bench --bench node                                              1 and 100 validators
//! cargo bench --bench node -- --validators 1000 --slot 12               one size
//! cargo bench --bench node -- --validators 4 --delay 25                 25 ms each way to the relay: 50 ms between nodes
//! CHARON_BIN=/path/to/charon cargo bench --bench node                   side by side
//! ```
//!
//! Duties are counted by the chain, which checks every signature. Costs are those of the node processes from the end of
//! the second epoch on, so that starting is not in them; all processes share the processors.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/histogram.rs"]
mod histogram;
#[path = "support/link.rs"]
mod link;

use std::path::PathBuf;
use std::process::ExitCode;

use cluster::{Cluster, Plan, Program};

const USAGE: &str = "usage: cargo bench --bench node -- [--validators N]... [--slot SECONDS] [--epoch SLOTS] \
    [--epochs N] [--sync N] [--delay MS] [--only NAME]";
/// Duties whose number is known beforehand.
const DUTIES: [&str; 5] = ["proposer", "attester", "aggregator", "sync_message", "sync_contribution"];

/// What one cluster of one program did and cost.
struct Outcome {
    /// Of each of [`DUTIES`]: done in time, expected.
    duties: [(u64, u64); DUTIES.len()],
    /// Of the mean node: processor seconds in the window.
    cpu_s: f64,
    /// Of the largest node.
    peak_mb: f64,
    /// Seconds of the window.
    window_s: f64,
    /// Of attesters' and proposers' consensus, in ms: half were below, 99 of 100 were below.
    consensus: [(f64, f64); 2],
}

fn main() -> ExitCode {
    let Some((sizes, plan, only)) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let ours = Program { name: "coxswain", path: env!("CARGO_BIN_EXE_coxswain").into(), words: &["dv"] };
    let charon = std::env::var_os("CHARON_BIN").map(|path| Program {
        name: "charon",
        path: PathBuf::from(path),
        words: &[],
    });
    if charon.is_none() {
        println!("skipped: CHARON_BIN names no charon to measure beside");
    }
    let mut table = String::from(
        "| validators | program | CPU s / 1,000 duties | CPU s / min | peak MB | done in time | attester p50 / p99 ms | proposer p50 / p99 ms |\n\
         |--:|---|--:|--:|--:|---|--:|--:|\n",
    );
    for validators in sizes {
        let programs = std::iter::once(&ours).chain(&charon);
        for program in programs.filter(|program| only.as_ref().is_none_or(|name| name == program.name)) {
            let outcome = run(&ours, program, &Plan { validators, ..plan });
            println!("{}", outcome.to_json(program.name, validators));
            table += &outcome.row(program.name, validators);
        }
    }
    println!("\n{} nodes, {} s slots, {} slots an epoch\n\n{table}", cluster::NODES, plan.slot, plan.epoch);
    ExitCode::SUCCESS
}

fn options() -> Option<(Vec<usize>, Plan, Option<String>)> {
    let mut plan = Plan { validators: 1, slot: 12, epoch: 8, epochs: 2, sync: 2, delay_ms: 0 };
    let (mut sizes, mut only) = (Vec::new(), None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--validators" => sizes.push(words.next()?.parse().ok()?),
            "--slot" => plan.slot = words.next()?.parse().ok()?,
            "--epoch" => plan.epoch = words.next()?.parse().ok()?,
            "--epochs" => plan.epochs = words.next()?.parse().ok()?,
            "--sync" => plan.sync = words.next()?.parse().ok()?,
            "--delay" => plan.delay_ms = words.next()?.parse().ok()?,
            "--only" => only = Some(words.next()?),
            _ => return None,
        }
    }
    if sizes.is_empty() {
        sizes = vec![1, 100];
    }
    Some((sizes, plan, only))
}

fn run(ours: &Program, program: &Program, plan: &Plan) -> Outcome {
    let cluster = Cluster::start(ours, program, plan);
    // The first epoch is for connecting; the second for what is prepared an epoch ahead.
    let from = 2 * plan.epoch;
    let to = from + plan.epochs * plan.epoch - 1;
    cluster.wait_for_slot(from);
    let before = cluster.costs();
    let metrics_before = cluster.metrics();
    cluster.wait_for_slot(to + 1);
    let after = cluster.costs();
    // What was begun in the last slot may still be done in time.
    cluster.wait_for_slot(to + 3);
    let metrics = cluster.metrics();
    let report = cluster.report(from, to);
    let spent: f64 = after.iter().zip(&before).map(|(after, before)| after.cpu_s - before.cpu_s).sum();
    let consensus = ["attester", "proposer"].map(|duty| {
        let of = |texts: &[String]| histogram::read(texts, "core_consensus_duration_seconds", duty);
        let taken = of(&metrics).since(&of(&metrics_before));
        (taken.quantile(0.5) * 1000.0, taken.quantile(0.99) * 1000.0)
    });
    let duties = DUTIES.map(|duty| {
        let number = |name: &str| report["duties"][duty][name].as_u64().unwrap_or(0);
        (number("on_time"), number("expected").max(number("received")))
    });
    Outcome {
        duties,
        cpu_s: spent / cluster::NODES as f64,
        peak_mb: after.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max),
        window_s: (plan.slot * plan.epoch * plan.epochs) as f64,
        consensus,
    }
}

impl Outcome {
    fn done(&self) -> u64 {
        self.duties.iter().map(|(done, _)| done).sum()
    }

    fn to_json(&self, program: &str, validators: usize) -> String {
        let duties: serde_json::Map<_, _> = DUTIES
            .iter()
            .zip(self.duties)
            .map(|(name, (done, expected))| ((*name).to_owned(), serde_json::json!([done, expected])))
            .collect();
        serde_json::json!({
            "program": program, "validators": validators, "cpu_s": self.cpu_s, "peak_mb": self.peak_mb,
            "window_s": self.window_s, "duties": duties, "attester_ms": self.consensus[0], "proposer_ms": self.consensus[1],
        })
        .to_string()
    }

    fn row(&self, program: &str, validators: usize) -> String {
        let done = DUTIES.iter().zip(self.duties).filter(|(_, (_, expected))| *expected > 0);
        let done: Vec<String> =
            done.map(|(name, (done, expected))| format!("{name} {done}/{expected}")).collect();
        let [attester, proposer] = self.consensus;
        format!(
            "| {validators} | {program} | {:.2} | {:.2} | {:.0} | {} | {:.0} / {:.0} | {:.0} / {:.0} |\n",
            self.cpu_s * 1000.0 / self.done().max(1) as f64,
            self.cpu_s * 60.0 / self.window_s,
            self.peak_mb,
            done.join(", "),
            attester.0,
            attester.1,
            proposer.0,
            proposer.1,
        )
    }
}
