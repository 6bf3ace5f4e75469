//! One writer at a time, among threads and processes.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use coxswain_state::*;
use support::*;

const CHILD: &str = "COXSWAIN_STATE_TEST_DIR";

/// Not a test of its own: what the child processes below run. Says `held` or `busy`, and ends with its input.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&dir));
    match &store {
        Ok(_) => eprintln!("held"),
        Err(Error::Busy { .. }) => eprintln!("busy"),
        Err(error) => eprintln!("{error}"),
    }
    let _ = std::io::stdin().read(&mut [0]);
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs")
}

fn said(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().expect("piped")).read_line(&mut line).expect("says something");
    line.trim().to_owned()
}

#[test]
fn one_of_many_threads_gets_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let barrier = std::sync::Barrier::new(8);
    let stores: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    open(dir.path())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(stores.iter().filter(|store| store.is_ok()).count(), 1);
    assert!(stores.iter().all(|store| matches!(store, Ok(_) | Err(Error::Busy { .. }))));
}

#[test]
fn one_of_many_processes_gets_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut children: Vec<Child> = (0..4).map(|_| spawn(dir.path())).collect();
    let mut words: Vec<String> = children.iter_mut().map(said).collect();
    for mut child in children {
        drop(child.stdin.take());
        child.wait().expect("ends");
    }
    words.sort();
    assert_eq!(words, ["busy", "busy", "busy", "held"]);
    open(dir.path()).expect("is free again");
}

#[test]
fn the_lock_of_a_killed_process_is_free_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = spawn(dir.path());
    assert_eq!(said(&mut child), "held");
    let pid = child.id();
    match open(dir.path()) {
        Err(Error::Busy { owner: Some(owner), .. }) => assert_eq!(owner.pid, pid),
        other => panic!("{other:?}"),
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    open(dir.path()).expect("is free");
}

#[test]
fn busy_says_all_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let _held = open(dir.path()).expect("opens");
    let text = open(dir.path()).expect_err("is held").to_string();
    let pid = format!("process {}", std::process::id());
    for part in ["ann@desk", &pid, "`coxswain apply`", AT] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn readers_need_no_lock_and_write_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    store.begin_run(begin("r")).expect("begins");
    store.intent(intent("a", "create")).expect("intent");
    let list = || {
        let mut all: Vec<_> = std::fs::read_dir(dir.path())
            .expect("lists")
            .map(|e| e.expect("entry"))
            .map(|e| (e.file_name(), e.metadata().expect("is there").modified().expect("a time")))
            .collect();
        all.sort();
        all
    };
    let before = list();
    let view = View::load(&LocalBackend::new(dir.path())).expect("reads");
    assert_eq!(view.unfinished.as_deref(), Some("r"));
    assert_eq!(view.state.serial, 0, "a plan made while a run goes on must not fit afterwards");
    assert_eq!(view.state.instances[&address("file.a")].status, Status::Indeterminate);
    assert_eq!(list(), before);
    let nothing = dir.path().join("nothing");
    assert!(!View::load(&LocalBackend::new(&nothing)).expect("reads").exists);
    assert!(!nothing.exists());
}
