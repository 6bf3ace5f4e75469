//! The engine by size and shape: configurations of `mock` resources through the release binary, each command as a
//! process of its own.
//!
//! ```text
//! cargo bench --bench engine                                  every shape at 1,000 and 10,000, and plans of 100,000
//! cargo bench --bench engine -- --shape chain --size 1000     one shape at one size
//! cargo bench --bench engine -- --runs 5 --limit 3600         medians of five, at most an hour in all
//! OPENTOFU_BIN=/path/to/tofu cargo bench --bench engine       the same shapes at 1,000 side by side
//! ```
//!
//! Prints a line of JSON for each figure as it is measured, and tables at the end. The number of resources in every
//! plan is checked, so that a figure is never that of another piece of work.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

#[path = "../support/measure.rs"]
mod measure;
mod report;
mod shapes;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use measure::{Cost, Measured};
use report::Row;
use shapes::{Dialect, Shape};

/// The sizes every shape is measured at.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Above this size a configuration is planned and no more: the rest says nothing new and takes minutes.
const WHOLE_CYCLE: usize = 10_000;
/// The size at which the peer is measured.
const PEER_SIZE: usize = 1_000;
/// One command.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
/// Runs of a command that takes milliseconds.
const SHORT_RUNS: usize = 20;

const USAGE: &str =
    "usage: cargo bench --bench engine -- [--shape NAME]… [--size N]… [--runs N] [--limit SECONDS] [--full]

  --shape NAME   flat, chain, fan-out, grid, for_each or modules; every one by default
  --size N       a multiple of 50; 1000, 10000 and 100000 by default
  --runs N       runs of each command, of which the median is shown (3; 1 above 10000)
  --limit S      no command starts after so many seconds (1800)
  --full         also applies and destroys above 10000";

struct Options {
    shapes: Vec<Shape>,
    sizes: Vec<usize>,
    runs: usize,
    limit: Duration,
    full: bool,
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
    let mut bench = Bench { begun: Instant::now(), options, rows: Vec::new(), failed: false };
    bench.short();
    for size in bench.options.sizes.clone() {
        for shape in bench.options.shapes.clone() {
            bench.shape(shape, size);
        }
    }
    println!("\n{}", report::tables(&bench.rows));
    if bench.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        shapes: Vec::new(),
        sizes: Vec::new(),
        runs: 3,
        limit: Duration::from_secs(1800),
        full: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|_| format!("`{text}` is no number"));
        match word.as_str() {
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--shape" => {
                let name = value()?;
                options.shapes.push(Shape::parse(&name).ok_or(format!("`{name}` is no shape"))?);
            }
            "--size" => options.sizes.push(number(value()?)?),
            "--runs" => options.runs = number(value()?)?.max(1),
            "--limit" => options.limit = Duration::from_secs(number(value()?)? as u64),
            "--full" => options.full = true,
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    if options.shapes.is_empty() {
        options.shapes = Shape::ALL.to_vec();
    }
    if options.sizes.is_empty() {
        options.sizes = SIZES.to_vec();
    }
    match options.sizes.iter().find(|n| **n == 0 || **n % shapes::PER_MODULE != 0) {
        Some(wrong) => Err(format!("{wrong} is not a multiple of {}", shapes::PER_MODULE)),
        None => Ok(options),
    }
}

/// One program with what it takes to run it.
struct Program {
    name: &'static str,
    path: PathBuf,
    dialect: Dialect,
}

impl Program {
    fn ours() -> Program {
        Program { name: "coxswain", path: env!("CARGO_BIN_EXE_coxswain").into(), dialect: Dialect::Coxswain }
    }
    fn peer() -> Option<Program> {
        let path = std::env::var_os("OPENTOFU_BIN")?;
        Some(Program { name: "OpenTofu", path: path.into(), dialect: Dialect::OpenTofu })
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).current_dir(dir).env("NO_COLOR", "1").env_remove("TF_CLI_CONFIG_FILE");
        command
    }

    /// The commands of one cycle, each with the words its output must have.
    fn cycle(&self, n: usize) -> Vec<(&'static str, Vec<&'static str>, String)> {
        match self.dialect {
            Dialect::Coxswain => vec![
                ("plan", vec!["plan"], format!("Plan: {n} to create")),
                ("apply", vec!["apply", "--yes"], format!("Applied: {n} steps done")),
                ("no-op plan", vec!["plan"], "No changes.".into()),
                ("destroy", vec!["destroy", "--yes"], format!("Applied: {n} steps done")),
            ],
            Dialect::OpenTofu => vec![
                ("plan", vec!["plan", "-no-color", "-input=false"], format!("Plan: {n} to add")),
                ("apply", vec!["apply", "-no-color", "-input=false", "-auto-approve"], format!("{n} added")),
                ("no-op plan", vec!["plan", "-no-color", "-input=false"], "No changes.".into()),
                (
                    "destroy",
                    vec!["destroy", "-no-color", "-input=false", "-auto-approve"],
                    format!("{n} destroyed"),
                ),
            ],
        }
    }
}

struct Bench {
    begun: Instant,
    options: Options,
    rows: Vec<Row>,
    failed: bool,
}

impl Bench {
    /// Commands of a few milliseconds: the start, and `validate`.
    fn short(&mut self) {
        let ours = Program::ours();
        let dir = tempfile::tempdir().expect("a temporary folder");
        self.repeat(&ours, ("start", "--version", 0), SHORT_RUNS, dir.path());
        for shape in self.options.shapes.clone() {
            let dir = project(&ours, shape, PEER_SIZE);
            self.repeat(&ours, (shape.name(), "validate", PEER_SIZE), SHORT_RUNS, dir.path());
        }
    }

    fn repeat(
        &mut self,
        program: &Program,
        what: (&'static str, &'static str, usize),
        runs: usize,
        dir: &Path,
    ) {
        let (shape, word, size) = what;
        let command = program.command(dir, &[word]);
        let costs: Vec<Cost> = (0..runs)
            .map(|_| measure::measure(&command, Duration::ZERO))
            .filter(|m| m.code == Some(0))
            .map(|m| m.cost)
            .collect();
        self.failed |= costs.len() < runs;
        self.add(Row {
            program: program.name,
            shape,
            size,
            command: word,
            runs: costs.len(),
            cost: measure::median(&costs),
        });
    }

    fn shape(&mut self, shape: Shape, size: usize) {
        let mut programs = vec![Program::ours()];
        programs.extend(Program::peer().filter(|_| size == PEER_SIZE));
        let runs = if size > WHOLE_CYCLE { 1 } else { self.options.runs };
        let mut costs: Vec<Vec<Vec<Cost>>> = vec![vec![Vec::new(); 4]; programs.len()];
        for run in 0..runs {
            // The order turns, so that neither always has the warm or the quiet machine.
            for turn in 0..programs.len() {
                let which = (run + turn) % programs.len();
                self.cycle(&programs[which], (shape, size), &mut costs[which]);
            }
        }
        for (program, costs) in programs.iter().zip(costs) {
            for ((command, _, _), costs) in
                program.cycle(size).into_iter().zip(costs).filter(|(_, c)| !c.is_empty())
            {
                let cost = measure::median(&costs);
                self.add(Row {
                    program: program.name,
                    shape: shape.name(),
                    size,
                    command,
                    runs: costs.len(),
                    cost,
                });
            }
        }
    }

    fn cycle(&mut self, program: &Program, what: (Shape, usize), costs: &mut [Vec<Cost>]) {
        let (shape, size) = what;
        let dir = project(program, shape, size);
        if program.dialect == Dialect::OpenTofu {
            measure::measure(&program.command(dir.path(), &["init", "-input=false"]), COMMAND_LIMIT);
        }
        let whole = size <= WHOLE_CYCLE || self.options.full;
        for (at, (name, args, says)) in
            program.cycle(size).into_iter().enumerate().take(if whole { 4 } else { 1 })
        {
            if self.begun.elapsed() > self.options.limit {
                println!("skipped: {} {name} of {size} {}: no time left", program.name, shape.name());
                return;
            }
            let found = measure::measure(&program.command(dir.path(), &args), COMMAND_LIMIT);
            if !is_right(&found, &says) {
                self.failed = true;
                println!("failed: {} {name} of {size} {}: exit {:?}", program.name, shape.name(), found.code);
                eprintln!("{}", found.stderr.chars().take(2000).collect::<String>());
                return;
            }
            costs[at].push(found.cost);
        }
    }

    fn add(&mut self, row: Row) {
        println!("{}", row.json());
        self.rows.push(row);
    }
}

fn is_right(found: &Measured, says: &str) -> bool {
    // 2 says that changes are pending.
    matches!(found.code, Some(0 | 2)) && (found.stdout.contains(says) || found.stderr.contains(says))
}

fn project(program: &Program, shape: Shape, size: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let text = shapes::write(shape, size, program.dialect);
    let file = program.dialect.file();
    std::fs::write(dir.path().join(file), text.root).expect("a file in a temporary folder");
    if let Some(module) = text.module {
        std::fs::create_dir(dir.path().join("part")).expect("a folder in a temporary folder");
        std::fs::write(dir.path().join("part").join(file), module).expect("a file in a temporary folder");
    }
    dir
}
