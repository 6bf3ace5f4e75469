//! `coxswain simnet` as processes: what it says, to people and to machines.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use support::{coxswain, run};

/// A public key: that of the secret key 1.
const KEY: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";

/// What a chain says until it is told to end, which it is after its first line: that line, and the rest.
fn chain(dir: &Path, more: &[&str]) -> (String, String) {
    let args =
        ["simnet", "chain", "--key", KEY, "--listen=127.0.0.1:0", "--genesis-in=0s", "--slot-duration=200ms"];
    let mut command = coxswain(dir, &[&args[..], more].concat());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    said.read_line(&mut first).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    (first, rest)
}

#[test]
fn a_chain_speaks_json_to_machines_and_a_line_to_people() {
    let dir = tempfile::tempdir().unwrap();
    let (first, rest) = chain(dir.path(), &["--json"]);
    let ready: Json = serde_json::from_str(&first).unwrap_or_else(|_| panic!("{first}"));
    assert_eq!((ready["event"].as_str(), ready["validators"].as_u64()), (Some("ready"), Some(1)), "{ready}");
    assert!(ready["genesis_time"].is_u64(), "{ready}");
    assert!(ready["beacon_nodes"][0].as_str().unwrap().starts_with("http://127.0.0.1:"), "{ready}");
    assert_eq!(rest.lines().count(), 1, "{rest}");
    let ended: Json = serde_json::from_str(&rest).unwrap_or_else(|_| panic!("{rest}"));
    assert_eq!(ended["event"], "ended");
    assert!(ended["duties"].is_object(), "{ended}");

    let (first, rest) = chain(dir.path(), &[]);
    assert!(first.starts_with("1 validators, genesis at "), "{first}");
    assert!(serde_json::from_str::<Json>(&rest).unwrap().is_object(), "{rest}");
}

#[test]
fn what_makes_no_chain_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&mut coxswain(
        dir.path(),
        &["simnet", "chain", "--key", KEY, "--key", KEY, "--listen=127.0.0.1:0"],
    ));
    assert!(ran.code != 0 && ran.stderr.contains("validators 0 and 1 have the same public key"), "{ran:?}");
    let ran = run(&mut coxswain(dir.path(), &["simnet", "chain", "--key", KEY, "--slot-duration=0s"]));
    assert!(ran.code != 0 && ran.stderr.contains("a slot has from 200ms to 24h"), "{ran:?}");
}

#[test]
fn a_client_without_keys_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&mut coxswain(dir.path(), &["simnet", "validator", "--keys-dir=nope"]));
    assert!(ran.code != 0 && ran.stderr.contains("No such file or directory"), "{ran:?}");
}
