//! What a process and its children cost: wall clock, processor time, peak memory.
//!
//! ```text
//! bench ─spawns→ itself with `--measured FILE -- COMMAND` ─spawns→ COMMAND
//!                         └─ writes wall, getrusage(RUSAGE_CHILDREN) and the exit code into FILE
//! ```
//!
//! The kernel adds up the usage of children per parent; a parent for each command keeps them apart.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// The first argument of the process in between.
const MEASURED: &str = "--measured";
/// How often a command that may run out of its time is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// The cost of one command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall_s: f64,
    /// User and system, of the process and all its children.
    pub(crate) cpu_s: f64,
    /// Of the largest single process.
    pub(crate) peak_mb: f64,
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// What it cost.
    pub(crate) cost: Cost,
    /// Its exit code; none where it was killed, also for lack of time.
    pub(crate) code: Option<i32>,
    /// What it printed on standard output.
    pub(crate) stdout: String,
    /// What it printed on standard error.
    pub(crate) stderr: String,
}

/// To be called first in `main`: does the work of the process in between, if this is one.
pub(crate) fn in_between() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != MEASURED {
        return None;
    }
    let (file, limit) = (args.next()?, args.next()?);
    let limit = Duration::from_secs(limit.to_str()?.parse().ok()?);
    let command: Vec<OsString> = args.collect();
    let begun = Instant::now();
    let mut child = Command::new(command.first()?).args(&command[1..]).spawn().ok()?;
    let code = if limit.is_zero() { child.wait().ok()?.code() } else { wait(&mut child, begun, limit) };
    let wall = begun.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    let text = serde_json::json!({
        "wall_s": wall.as_secs_f64(),
        "cpu_s": seconds(usage.user_time()) + seconds(usage.system_time()),
        "peak_mb": usage.max_rss() as f64 / 1024.0,
        "code": code,
    });
    std::fs::write(file, text.to_string()).ok()?;
    Some(ExitCode::SUCCESS)
}

fn wait(child: &mut std::process::Child, begun: Instant, limit: Duration) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return status.code();
        }
        if begun.elapsed() > limit {
            // It may end by itself in this moment; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs a command to its end and says what it cost. With a limit of zero nothing looks at it while it runs.
pub(crate) fn measure(command: &Command, limit: Duration) -> Measured {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| dir.path().join(name);
    let create = |path: &Path| std::fs::File::create(path).expect("a file in a temporary folder");
    let mut outer = Command::new(std::env::current_exe().expect("this program has a path"));
    outer.arg(MEASURED).arg(at("cost")).arg(limit.as_secs().to_string());
    outer.arg(command.get_program()).args(command.get_args());
    outer.stdin(Stdio::null()).stdout(create(&at("out"))).stderr(create(&at("err")));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    let status = outer.status().expect("this program starts");
    let text =
        |name: &str| String::from_utf8_lossy(&std::fs::read(at(name)).unwrap_or_default()).into_owned();
    let cost: serde_json::Value = serde_json::from_str(&text("cost")).unwrap_or_default();
    let number = |name: &str| cost.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let code = cost.get("code").and_then(serde_json::Value::as_i64).and_then(|c| i32::try_from(c).ok());
    Measured {
        cost: Cost { wall_s: number("wall_s"), cpu_s: number("cpu_s"), peak_mb: number("peak_mb") },
        code: code.filter(|_| status.success()),
        stdout: text("out"),
        stderr: text("err"),
    }
}

/// The medians of several runs, each figure by itself.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    let middle = |pick: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost { wall_s: middle(|c| c.wall_s), cpu_s: middle(|c| c.cpu_s), peak_mb: middle(|c| c.peak_mb) }
}
