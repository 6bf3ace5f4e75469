//! Processes that end in the middle, disks that are full or cannot be written, and two processes with one store.
//!
//! The tests start this program again, in a role that [`ROLE`] names.

#![expect(
    clippy::print_stdout,
    reason = "a child process reports what it was told; a test that is skipped says so"
)]

#[path = "support/directories.rs"]
mod directories;

#[path = "support/stores.rs"]
mod stores;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use coxswain_dv_slashing::protect::{Request, Signer, Verdict, Wall};
use coxswain_dv_slashing::store::{Store, StoreError};
use libtest_mimic::{Arguments, Failed, Trial};
use stores::{attestation, block, group, settings, share};

/// What a child does.
const ROLE: &str = "COXSWAIN_SLASHING_ROLE";
/// The directory of its store.
const DIRECTORY: &str = "COXSWAIN_SLASHING_DIRECTORY";
const WALL: Wall = Wall { slot: 1 << 40, epoch: 1 << 40 };
/// Requests of one call of a child.
const AT_ONCE: u64 = 8;

fn main() -> ExitCode {
    let directory = std::env::var_os(DIRECTORY).map(PathBuf::from).unwrap_or_default();
    match std::env::var(ROLE).as_deref() {
        Ok("record") => record(&directory),
        Ok("hold") => hold(&directory),
        Ok("fill") => fill(&directory),
        Ok("read-only") => read_only(&directory),
        _ => {
            let trials = vec![
                Trial::test("what_was_reported_outlives_a_kill", kills),
                Trial::test("a_second_process_learns_who_has_the_store", two_processes),
                Trial::test("nothing_is_reported_that_has_no_room", size_limit),
                Trial::test("a_full_disk_loses_nothing", || in_namespace("fill", "512k")),
                Trial::test("a_disk_that_cannot_be_written_is_refused", || in_namespace("read-only", "4m")),
            ];
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

fn open(directory: &Path) -> Store {
    let store = Store::open(&directories::file(directory), &settings([1, 2])).expect("a store");
    store.start_new(&[group(1), group(2)]).expect("started");
    store
}

/// The requests of a call: blocks, attestations, and what contradicts the latter.
fn requests(call: u64) -> Vec<Request> {
    let one = |number: u64| {
        let at = call * AT_ONCE + number + 1;
        match number % 4 {
            0 => block(1, at, 1),
            1 => attestation(1, at - 1, at, 1),
            2 => attestation(2, at - 1, at, 2),
            _ => attestation(2, at - 3, at + 1, 2),
        }
    };
    (0..AT_ONCE).map(one).collect()
}

fn ask(store: &Store, call: u64) -> Result<Vec<Verdict>, StoreError> {
    store.check_and_record(Signer::Share, &requests(call), WALL)
}

fn role(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(ROLE, name).env(DIRECTORY, directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What calls were answered before is allowed again, and nothing else of them.
#[track_caller]
fn check_kept(store: &Store, calls: impl IntoIterator<Item = u64>) {
    let requests: Vec<Request> = calls.into_iter().flat_map(requests).collect();
    let verdicts = store.check_and_record(Signer::Share, &requests, WALL).expect("answers");
    for (number, verdict) in verdicts.iter().enumerate() {
        let is_kept = match number % 4 {
            3 => matches!(verdict, Verdict::Refused(_)),
            _ => *verdict == Verdict::Again,
        };
        assert!(is_kept, "{:?}: {verdict:?}", requests[number]);
    }
}

// --------------------------------------------------------------------------------------------------- the children

/// Records until it is killed, and reports each call once it is answered.
fn record(directory: &Path) -> ExitCode {
    let store = open(directory);
    let mut first = String::new();
    std::io::stdin().read_line(&mut first).expect("the first call");
    let mut out = std::io::stdout().lock();
    for call in first.trim().parse::<u64>().expect("a number").. {
        ask(&store, call).expect("answers");
        if writeln!(out, "{call}").and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Has the store open until its input ends.
fn hold(directory: &Path) -> ExitCode {
    let _store = open(directory);
    println!("open");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("the end");
    ExitCode::SUCCESS
}

/// Records until there is no room, makes room, and looks whether all is there.
fn fill(directory: &Path) -> ExitCode {
    let store = open(directory);
    let mut answered = 0;
    let error = loop {
        match ask(&store, answered) {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
    };
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    println!("{answered}\n{error}: {cause}");
    // Not even what was signed before, as long as the store is open.
    assert!(ask(&store, 0).is_err(), "a store that failed answers");
    drop(store);
    let Some(room) = std::env::var_os("COXSWAIN_SLASHING_ROOM") else { return ExitCode::SUCCESS };
    assert!(Command::new("mount").arg("-o").arg(room).arg(directory).status().expect("mount").success());
    let store = open(directory);
    check_kept(&store, 0..answered);
    ask(&store, answered + 1).expect("room again");
    println!("kept");
    ExitCode::SUCCESS
}

/// Opens a store on a disk that is mounted read-only.
fn read_only(directory: &Path) -> ExitCode {
    ask(&open(directory), 0).expect("recorded");
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(directory).status().expect("mount");
    assert!(remount.success());
    let error = Store::open(&directories::file(directory), &settings([1])).expect_err("read-only");
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert!(error.next().contains("read-only"), "{error:?}");
    println!("kept");
    ExitCode::SUCCESS
}

// ------------------------------------------------------------------------------------------------------ the tests

/// A child that is killed with the value.
struct Recorder {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn recorder(directory: &Path, first: u64) -> Recorder {
    let mut child = role("record", directory).spawn().expect("a child");
    writeln!(child.stdin.take().expect("its input"), "{first}").expect("told");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    Recorder { child, lines }
}

fn kills() -> Result<(), Failed> {
    const ROUNDS: u64 = 25;
    let dir = directories::directory();
    let mut next = 0;
    let mut reported = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut recorder = recorder(dir.path(), next);
        for _ in 0..=round % 7 {
            let line = recorder.lines.next().expect("a report").expect("text");
            next = next.max(line.parse::<u64>().expect("a number") + 1);
            reported.insert(next - 1);
        }
        // A commit takes some ten microseconds here: the kill meets all of its parts.
        for _ in 0..round * 2_000 {
            std::hint::spin_loop();
        }
        recorder.child.kill()?;
        recorder.child.wait()?;
        for line in recorder.lines.by_ref() {
            reported.insert(line.expect("text").parse().expect("a number"));
        }
        let store = open(dir.path());
        check_kept(&store, reported.iter().copied());
        next = reported.last().map_or(0, |last| last + 1);
    }
    assert!(reported.len() as u64 > ROUNDS, "{} calls", reported.len());
    Ok(())
}

fn two_processes() -> Result<(), Failed> {
    let dir = directories::directory();
    let mut child = role("hold", dir.path()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line")?, "open");
    let error = Store::open(&directories::file(dir.path()), &settings([1])).expect_err("held");
    let expected = format!("process {}", child.id());
    drop(child.stdin.take());
    assert!(child.wait()?.success());
    assert!(error.to_string().contains(&expected), "{error}");
    let store = Store::open(&directories::file(dir.path()), &settings([1])).expect("free");
    assert_eq!(store.summary().expect("read")[0].shares, [share(1)]);
    Ok(())
}

/// A child whose files may not grow beyond a size.
fn size_limit() -> Result<(), Failed> {
    let dir = directories::directory();
    let child = role("fill", dir.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f 400; exec "$0""#]).arg(child.get_program());
    shell.env(ROLE, "fill").env(DIRECTORY, dir.path()).stdout(Stdio::piped());
    let output = shell.output()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let answered: u64 = lines.next().expect("a line").parse()?;
    let error = lines.next().expect("a line");
    assert!(error.starts_with("recording in the slashing store"), "{error}");
    let store = open(dir.path());
    assert!(answered > 10, "{answered}");
    check_kept(&store, 0..answered);
    Ok(())
}

/// A child with a small disk of its own, which needs the rights to mount.
fn in_namespace(name: &str, size: &str) -> Result<(), Failed> {
    let dir = directories::directory();
    let script = format!(r#"mount -t tmpfs -o mode=700,size={size} none "$1" || exit 99; exec "$0""#);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]).arg(std::env::current_exe()?).arg(dir.path());
    command.env(ROLE, name).env(DIRECTORY, dir.path()).env("COXSWAIN_SLASHING_ROOM", "remount,size=8m");
    let Ok(output) = command.output() else {
        println!("skipped: there is no unshare");
        return Ok(());
    };
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(99) || errors.contains("unshare failed") {
        println!("skipped: nothing can be mounted here: {errors}");
        return Ok(());
    }
    assert!(output.status.success() && text.ends_with("kept\n"), "{text}{errors}");
    Ok(())
}
