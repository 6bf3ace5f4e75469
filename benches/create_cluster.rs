//! `create cluster`: many validators of four nodes through the release binary, with keystores that protect and with
//! `--insecure-keys`; charon beside it, in turn, where `CHARON_BIN` names one.
//!
//! ```text
//! cargo bench --bench create_cluster                                        1,000 validators
//! cargo bench --bench create_cluster -- --validators 100 --runs 3           medians of three
//! CHARON_BIN=/path/to/charon cargo bench --bench create_cluster             side by side; some six minutes at 1,000
//! ```
//!
//! Prints a line of JSON for each run, and a table at the end. What a run has made is counted, so that a figure is never
//! that of another piece of work.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

#[path = "support/measure.rs"]
mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use measure::Cost;

/// One command; charon's needs some three minutes on a quiet machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(1200);
/// Directories of the cluster.
const NODES: usize = 4;
const ADDRESS: &str = "0x388C818CA8B9251b393131C08a736A67ccB19297";

const USAGE: &str =
    "usage: cargo bench --bench create_cluster -- [--validators N] [--runs N] [--insecure | --secure]

  --validators N   1000
  --runs N         runs of each, of which the median is shown (1)
  --insecure       with --insecure-keys alone
  --secure         without it alone";

struct Options {
    validators: usize,
    runs: usize,
    kinds: Vec<Keys>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Insecure,
    Secure,
}

impl Keys {
    fn name(self) -> &'static str {
        match self {
            Keys::Insecure => "insecure",
            Keys::Secure => "secure",
        }
    }
}

/// A program, and the words before its own.
struct Program {
    name: &'static str,
    path: PathBuf,
    words: &'static [&'static str],
}

fn main() -> ExitCode {
    if let Some(code) = measure::in_between() {
        return code;
    }
    let options = match options() {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let ours = Program { name: "coxswain", path: env!("CARGO_BIN_EXE_coxswain").into(), words: &["dv"] };
    let charon =
        std::env::var_os("CHARON_BIN").map(|path| Program { name: "charon", path: path.into(), words: &[] });
    if charon.is_none() {
        println!("skipped: CHARON_BIN names no charon to measure beside");
    }
    let mut table = String::from("| keys | program | wall s | CPU s | peak MB |\n|---|---|--:|--:|--:|\n");
    let mut is_whole = true;
    for keys in &options.kinds {
        let mut costs: Vec<(&str, Vec<Cost>)> = Vec::new();
        for _ in 0..options.runs {
            for program in std::iter::once(&ours).chain(&charon) {
                let Some(cost) = run(program, &options, *keys) else {
                    is_whole = false;
                    continue;
                };
                match costs.iter_mut().find(|(name, _)| *name == program.name) {
                    Some((_, all)) => all.push(cost),
                    None => costs.push((program.name, vec![cost])),
                }
            }
        }
        let medians: Vec<(&str, Cost)> =
            costs.iter().map(|(name, all)| (*name, measure::median(all))).collect();
        for (name, cost) in &medians {
            let Cost { wall_s, cpu_s, peak_mb } = cost;
            table += &format!("| {} | {name} | {wall_s:.2} | {cpu_s:.2} | {peak_mb:.0} |\n", keys.name());
        }
        if let [(_, ours), (_, theirs)] = medians.as_slice() {
            let of = |pick: fn(&Cost) -> f64| pick(ours) / pick(theirs);
            let (wall, cpu, peak) = (of(|c| c.wall_s), of(|c| c.cpu_s), of(|c| c.peak_mb));
            table += &format!("| {} | ours / charon | {wall:.2} | {cpu:.2} | {peak:.2} |\n", keys.name());
        }
    }
    println!("\n{} validators of {NODES} nodes\n\n{table}", options.validators);
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let mut options = Options { validators: 1_000, runs: 1, kinds: vec![Keys::Insecure, Keys::Secure] };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or(format!("{word} needs a value"))?;
            text.parse::<usize>().ok().filter(|n| *n > 0).ok_or(format!("`{text}` is no number"))
        };
        match word.as_str() {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--validators" => options.validators = number()?,
            "--runs" => options.runs = number()?,
            "--insecure" => options.kinds = vec![Keys::Insecure],
            "--secure" => options.kinds = vec![Keys::Secure],
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    Ok(options)
}

/// One run; none where it did not make what it should.
fn run(program: &Program, options: &Options, keys: Keys) -> Option<Cost> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(&program.path);
    command.args(program.words).args(["create", "cluster", "--network", "hoodi", "--name", "bench"]);
    command.args(["--cluster-dir", "c", "--nodes", &NODES.to_string()]);
    command.args(["--num-validators", &options.validators.to_string()]);
    command.args(["--fee-recipient-addresses", ADDRESS, "--withdrawal-addresses", ADDRESS]);
    if keys == Keys::Insecure {
        command.arg("--insecure-keys");
    }
    command.current_dir(dir.path()).env("HOME", dir.path());
    let measured = measure::measure(&command, COMMAND_LIMIT);
    let Cost { wall_s, cpu_s, peak_mb } = measured.cost;
    let found = keystores(&dir.path().join("c"));
    println!(
        "{}",
        serde_json::json!({
            "program": program.name, "keys": keys.name(), "validators": options.validators, "keystores": found,
            "wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb,
        })
    );
    if measured.code == Some(0) && found == options.validators * NODES {
        return Some(measured.cost);
    }
    let told = [measured.stdout, measured.stderr].concat();
    eprintln!("{} has not made the cluster: {:?}\n{told}", program.name, measured.code);
    None
}

/// Keystores with a password below a cluster's directory.
fn keystores(cluster: &Path) -> usize {
    let entries = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    (0..NODES)
        .flat_map(|node| entries(cluster.join(format!("node{node}/validator_keys"))))
        .filter(|path| {
            path.extension().is_some_and(|end| end == "json") && path.with_extension("txt").is_file()
        })
        .count()
}
