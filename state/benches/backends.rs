//! What a state costs: a directory of this machine beside the same directory kept by a shell at the end of a line.
//!
//! ```sh
//! cargo bench -p coxswain-state --bench backends              # a shell here
//! COXSWAIN_BENCH_SSH="ssh host" cargo bench -p coxswain-state --bench backends
//! ```

#![expect(clippy::print_stdout, reason = "its results are its output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use coxswain_state::*;

const ROUNDS: usize = 15;

/// A shell of this machine, or what the caller says leads to one.
struct Shell(Vec<String>);

impl Dial for Shell {
    fn dial(&self) -> io::Result<Line> {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).arg(KEEPER_COMMAND);
        Line::to(command, Duration::from_secs(20))
    }
}

fn median(mut work: impl FnMut(usize)) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|n| {
            let start = Instant::now();
            work(n);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn main() {
    let words = std::env::var("COXSWAIN_BENCH_SSH").unwrap_or_else(|_| "sh -c".into());
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let places: [(&str, Box<dyn Backend>); 2] = [
        ("local", Box::new(LocalBackend::new(path("local")))),
        ("remote", Box::new(RemoteBackend::new("bench", path("remote"), Shell(words)))),
    ];
    let owner = Owner {
        user: "bench".into(),
        host: "here".into(),
        pid: std::process::id(),
        command: "bench".into(),
        started: "2026-11-26T06:00:00Z".into(),
    };
    println!("ms, medians of {ROUNDS}  append 2 kB  write 200 kB  read 200 kB  lock and unlock");
    let (entry, snapshot) = (vec![b'x'; 2_000], vec![b'y'; 200_000]);
    for (name, backend) in &places {
        let guard = backend.lock(&owner).unwrap();
        backend.write_atomic(Name::Journal, b"").unwrap();
        let append =
            median(|n| backend.append_sync(Name::Journal, (n * entry.len()) as u64, &entry).unwrap());
        let write = median(|_| backend.write_atomic(Name::Snapshot, &snapshot).unwrap());
        let read = median(|_| assert!(backend.read(Name::Snapshot).unwrap().is_some()));
        drop(guard);
        let lock = median(|_| drop(backend.lock(&owner).unwrap()));
        println!("{name:>21}  {append:>11.2}  {write:>12.2}  {read:>11.2}  {lock:>15.2}");
    }
}
