//! `coxswain dv …` as a process, also under the name `charon`: flags as charon has them, layers, files, refusals.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::{Arg, Command as Flags};
use coxswain::cli::dv::{self, forms};
use serde_json::Value as Json;
use support::{Ran, coxswain, is_fast, program, run};

const KEY: &str = "charon-enr-private-key";
/// Where ours differ on purpose: command, flag, why.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    (
        "create cluster",
        "slashing-protection-file",
        "keys that are split have a past, which their shares need",
    ),
    (
        "create cluster",
        "allow-low-threshold",
        "a threshold that two parts of the nodes reach is refused without it",
    ),
    ("create dkg", "allow-low-threshold", "the same"),
    ("dkg", "allow-low-threshold", "the same"),
    ("dkg", "charon-version", "nodes of several versions of charon can be joined"),
    ("dkg", "connect-timeout", "no wait is without an end"),
    ("run", "allow-low-threshold", "a threshold that two parts of the nodes reach is refused without it"),
    (
        "run",
        "slashing-start",
        "keys without a history wait until nothing contradicts what they signed elsewhere",
    ),
    ("run", "take-over-from", "a key that another machine has is taken only by name"),
];
/// Flags that came after a release: release, command, flag.
const LATER: &[(&str, &str, &str)] = &[
    ("v1.10.3", "deposit fetch", "execution-client-rpc-endpoint"),
    ("v1.10.3", "deposit sign", "allow-incomplete-keystores"),
    ("v1.10.3", "deposit sign", "execution-client-rpc-endpoint"),
];
/// Commands that charon does not have.
const OURS: &[&str] = &[
    "api",
    "doctor",
    "inspect",
    "slashing export",
    "slashing import",
    "slashing prune",
    "slashing show",
    "verify",
];
/// Random moments at which a process is killed.
const MOMENTS: u32 = 300;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Fails where the output shows the key, in hex of either case.
#[track_caller]
fn keeps_secret(ran: &Ran, key: &Path) {
    let secret = fs::read_to_string(key).unwrap().trim().to_lowercase();
    assert_eq!(secret.len(), 64);
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.to_lowercase().contains(&secret), "the key is shown");
    }
}

// ------------------------------------------------------------------------------------------------------- flags

fn vectors_folder() -> PathBuf {
    std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from)
}

fn vectors(file: &str) -> Option<Json> {
    let path = vectors_folder().join(file);
    let Ok(text) = fs::read(&path) else {
        println!("skipped: {} is not here", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// Form, shorthand and default of a flag; a default that means nothing is empty.
type Shape = (String, Option<char>, String);

fn default_shown(text: &str) -> String {
    let bare = text.trim_matches('"');
    if ["", "0", "false", "[]"].contains(&bare) { String::new() } else { bare.to_owned() }
}

fn ours(arg: &Arg) -> (String, Shape) {
    let list = if forms::is_list(arg) { "s" } else { "" };
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let joined = defaults.join(",");
    let default = if list.is_empty() { joined } else { format!("[{joined}]") };
    let form = format!("{}{list}", forms::Form::of(arg).name());
    (arg.get_long().unwrap_or_default().to_owned(), (form, arg.get_short(), default_shown(&default)))
}

fn theirs(flag: &Json) -> (String, Shape) {
    let text = |name: &str| flag[name].as_str().unwrap_or_default().to_owned();
    let short = text("short").trim_start_matches('-').chars().next();
    (text("flag"), (text("type"), short, default_shown(&text("default"))))
}

fn own_flags(command: &Flags) -> BTreeMap<String, Shape> {
    command.get_arguments().filter(|arg| arg.get_long().is_some()).map(ours).collect()
}

#[test]
fn flags_are_those_of_charon() {
    for release in ["v1.11-dev", "v1.10.3"] {
        let Some(all) = vectors(&format!("charon/runs/cli/flags-{release}.json")) else { return };
        for (path, command) in dv::flags().into_iter().filter(|(path, _)| !OURS.contains(&path.as_str())) {
            let Some(expected) = all.get(&path).and_then(Json::as_array) else {
                panic!("charon {release} has no command `{path}`");
            };
            let is_compared = |name: &String| {
                !DEVIATIONS.iter().any(|(p, f, _)| *p == path && f == name)
                    && !LATER.iter().any(|(r, p, f)| *r == release && *p == path && f == name)
            };
            let mut expected: BTreeMap<String, Shape> = expected.iter().map(theirs).collect();
            let mut found = own_flags(&command);
            expected.retain(|name, _| is_compared(name));
            found.retain(|name, _| is_compared(name));
            assert_eq!(found, expected, "{path}, {release}");
        }
    }
}

/// Ours that stand everywhere must never take a name from charon.
#[test]
fn flags_of_every_command_collide_with_none() {
    let Some(all) = vectors("charon/runs/cli/flags-v1.11-dev.json") else { return };
    let root = coxswain::cli::dv::charon();
    for name in root.get_arguments().filter_map(Arg::get_long) {
        for (path, flags) in all.as_object().unwrap() {
            assert!(flags.as_array().unwrap().iter().all(|f| f["flag"] != name), "--{name} of {path}");
        }
    }
}

#[test]
fn wrong_flags_are_explained_and_end_with_one() {
    let dir = directory();
    for (args, expected) in [
        (&["dv"][..], "Usage: coxswain dv"),
        (&["dv", "create"], "Usage: coxswain dv create"),
        (&["dv", "enr", "--data-dri", "x"], "--data-dir"),
        (&["dv", "enr", "--verbose=maybe"], "write true or false"),
        (&["dv", "enr", "--verbose", "false"], "unexpected argument 'false'"),
        (&["dv", "enr", "--data-dir"], "a value is required"),
        (&["dv", "creat"], "create"),
    ] {
        let ran = run(&mut coxswain(dir.path(), args)).expect(1);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
    assert!(names(dir.path()).is_empty());
}

// ---------------------------------------------------------------------------------------------------- commands

#[test]
fn a_key_is_made_once_with_its_modes() {
    let dir = directory();
    let ran = run(&mut coxswain(dir.path(), &["dv", "create", "enr"])).ok();
    let key = dir.path().join(".charon").join(KEY);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].ends_with(&format!(".charon/{KEY}")), "{}", ran.stdout);
    assert!(lines[1].starts_with("enr:-HW4Q"), "{}", ran.stdout);
    keeps_secret(&ran, &key);
    assert_eq!((mode_of(&key), mode_of(key.parent().unwrap())), (0o600, 0o755));
    assert_eq!(names(key.parent().unwrap()), [KEY]);
    let before = fs::read(&key).unwrap();
    let again = run(&mut coxswain(dir.path(), &["dv", "create", "enr"])).expect(1);
    assert!(again.stderr.contains("there is something of this name already"), "{}", again.stderr);
    assert_eq!((again.stdout.as_str(), fs::read(&key).unwrap()), ("", before));
    let shown = run(&mut coxswain(dir.path(), &["dv", "enr"])).ok();
    assert_eq!(shown.stdout.trim_end(), lines[1]);
    let verbose = run(&mut coxswain(dir.path(), &["dv", "enr", "--verbose"])).ok();
    assert!(verbose.stdout.contains("public key  0x0") && verbose.stdout.contains("signature   0x"));
    keeps_secret(&verbose, &key);
    let json = run(&mut coxswain(dir.path(), &["dv", "enr", "--json"])).ok();
    let json: Json = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["enr"], lines[1]);
}

#[test]
fn what_is_in_the_way_stays() {
    let dir = directory();
    let node = dir.path().join("node");
    fs::create_dir(&node).unwrap();
    let key = node.join(KEY);
    let create = || run(&mut coxswain(dir.path(), &["dv", "create", "enr", "--data-dir=node"])).expect(1);
    for content in ["", "no key", "00"] {
        fs::write(&key, content).unwrap();
        assert!(create().stderr.contains("already"));
        assert_eq!(fs::read_to_string(&key).unwrap(), content);
    }
    fs::remove_file(&key).unwrap();
    symlink("elsewhere", &key).unwrap();
    create();
    assert!(!node.join("elsewhere").exists());
    let file = run(&mut coxswain(
        dir.path(),
        &["dv", "create", "enr", "--data-dir", "node/charon-enr-private-key/x"],
    ));
    assert_eq!(file.code, 1);
}

/// Keys of nodes and their records in the lock, as charon made them.
#[test]
fn records_are_those_of_charon() {
    let mut seen = 0;
    for cluster in ["create-v1.11-n4", "create-v1.11-n7-compounding"] {
        let Some(lock) = vectors(&format!("charon/runs/{cluster}/node0/cluster-lock.json")) else { return };
        let operators = lock["cluster_definition"]["operators"].as_array().unwrap();
        for (n, operator) in operators.iter().enumerate() {
            let node = vectors_folder().join(format!("charon/runs/{cluster}/node{n}"));
            let ran = run(&mut coxswain(&node, &["dv", "enr", "--data-dir=."])).ok();
            assert_eq!(Some(ran.stdout.trim_end()), operator["enr"].as_str());
            keeps_secret(&ran, &node.join(KEY));
            seen += 1;
        }
    }
    assert_eq!(seen, 11);
}

/// Of a key that is not there: each command names flags of its own, and where there is a lock no new key does.
fn relay_and_run_say_what_fits(dir: &Path) {
    let stderr = |args: &[&str]| run(&mut coxswain(dir, &[&["dv"], args].concat())).expect(1).stderr;
    let relay = stderr(&["relay", "--auto-p2pkey=false", "--p2p-tcp-address=127.0.0.1:0"]);
    assert!(relay.contains("leave --auto-p2pkey=false away") && !relay.contains("create enr"), "{relay}");
    let address = "0x0000000000000000000000000000000000000001";
    let sizes = [
        "create",
        "cluster",
        "--name=x",
        "--insecure-keys",
        "--network=hoodi",
        "--nodes=4",
        "--num-validators=1",
    ];
    let places = ["--cluster-dir=c", "--withdrawal-addresses", address, "--fee-recipient-addresses", address];
    run(&mut coxswain(dir, &[&["dv"], &sizes[..], &places].concat())).ok();
    let lock = "--lock-file=c/node0/cluster-lock.json";
    for command in [&["run", "--beacon-node-endpoints=http://127.0.0.1:1"][..], &["slashing", "show"]] {
        let said = stderr(&[command, &[lock]].concat());
        let expected = "reading the node's key ./.charon/charon-enr-private-key: it is not there\n  name the file with \
                        --private-key-file, or bring it back from your backup: a new key is in no lock\n";
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("--data-dir") && !said.contains("create enr"), "{said}");
    }
}

#[test]
fn a_key_that_cannot_be_read_is_explained_and_not_shown() {
    let dir = directory();
    let enr = || run(&mut coxswain(dir.path(), &["dv", "enr"])).expect(1);
    assert!(enr().stderr.contains("make a key: coxswain dv create enr"));
    relay_and_run_say_what_fits(dir.path());
    let key = dir.path().join(".charon").join(KEY);
    fs::create_dir(key.parent().unwrap()).unwrap();
    fs::write(&key, format!("0x{}", "ab".repeat(32))).unwrap();
    let ran = enr();
    assert!(ran.stderr.contains("64 hexadecimal digits") && !ran.stderr.contains("abab"), "{}", ran.stderr);
    let json = run(&mut coxswain(dir.path(), &["dv", "enr", "--json"])).expect(1);
    let line: Json = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((line["event"].as_str(), json.stderr.as_str()), (Some("error"), ""));
}

/// Every key and keystore of a cluster that charon made: the public half is shown, the secrets are not.
#[test]
fn files_of_a_node_are_told_apart() {
    let Some(lock) = vectors("charon/runs/create-v1.11-n4/node0/cluster-lock.json") else { return };
    let node = vectors_folder().join("charon/runs/create-v1.11-n4/node0");
    let inspect = |file: &str| {
        let ran = run(&mut coxswain(&node, &["dv", "inspect", "--json", file])).ok();
        keeps_secret(&ran, &node.join(KEY));
        serde_json::from_str::<Json>(&ran.stdout).unwrap()
    };
    let key = inspect(KEY);
    assert_eq!(key["enr"], lock["cluster_definition"]["operators"][0]["enr"]);
    let record = inspect(key["enr"].as_str().unwrap());
    assert_eq!((record["kind"].as_str(), &record["public_key"]), (Some("node record"), &key["public_key"]));
    for v in 0..2 {
        let keystore = inspect(&format!("validator_keys/keystore-{v}.json"));
        assert_eq!(keystore["public_key"], lock["distributed_validators"][v]["public_shares"][0]);
    }
    let whole = inspect("cluster-lock.json");
    assert_eq!(
        (whole["kind"].as_str(), &whole["lock_hash"]),
        (Some("lock of a cluster"), &lock["lock_hash"])
    );
    assert_eq!((whole["nodes"].as_str(), whole["hashes"].as_str()), (Some("4"), Some("right")));
    let dir = directory();
    let changed = fs::read_to_string(node.join("cluster-lock.json")).unwrap().replacen(
        "\"threshold\": 3",
        "\"threshold\": 2",
        1,
    );
    fs::write(dir.path().join("changed"), changed).unwrap();
    let ran = run(&mut coxswain(dir.path(), &["dv", "inspect", "changed"])).ok();
    assert!(
        ran.stdout.contains("threshold        2\n") && ran.stdout.contains("changed or damaged"),
        "{}",
        ran.stdout
    );
    let unknown = run(&mut coxswain(&node, &["dv", "inspect", "validator_keys/keystore-0.txt"])).expect(1);
    let password = fs::read_to_string(node.join("validator_keys/keystore-0.txt")).unwrap();
    assert!(!unknown.stderr.contains(&password), "{}", unknown.stderr);
    run(&mut coxswain(&node, &["dv", "inspect"])).expect(1);
    run(&mut coxswain(&node, &["dv", "inspect", "missing"])).expect(1);
}

// ------------------------------------------------------------------------------------------------------ layers

#[test]
fn the_nearest_layer_names_the_directory() {
    let dir = directory();
    let made = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = coxswain(dir.path(), &[&["dv", "create", "enr"], args].concat());
        run(command.envs(env.iter().copied())).ok();
        let found = names(dir.path()).into_iter().find(|name| name.starts_with("node")).unwrap();
        fs::remove_dir_all(dir.path().join(&found)).unwrap();
        found
    };
    let env = [("CHARON_DATA_DIR", "node-env")];
    assert_eq!(made(&[], &env), "node-env");
    fs::write(dir.path().join("charon.yaml"), "data-dir: node-file\nverbose: true\n").unwrap();
    assert_eq!(made(&[], &[]), "node-file");
    assert_eq!(made(&[], &[("CHARON_DATA_DIR", "")]), "node-file");
    assert_eq!(made(&[], &env), "node-env");
    assert_eq!(made(&["--data-dir", "node-flag"], &env), "node-flag");
    assert_eq!(made(&["--data-dir", "node", "--data-dir=node-last"], &env), "node-last");
}

#[test]
fn a_file_or_variable_that_is_wrong_is_named() {
    let dir = directory();
    let mut wrong = coxswain(dir.path(), &["dv", "version"]);
    let ran = run(wrong.env("CHARON_VERBOSE", "maybe")).expect(1);
    assert!(ran.stderr.contains("reading CHARON_VERBOSE: write true or false"), "{}", ran.stderr);
    let toml = dir.path().join("charon.toml");
    fs::write(&toml, "verbose = true\n").unwrap();
    assert!(run(&mut coxswain(dir.path(), &["dv", "version"])).ok().stdout.contains("hoodi"));
    fs::write(&toml, "verbose = 'hunter2'\n").unwrap();
    let ran = run(&mut coxswain(dir.path(), &["dv", "version"])).expect(1);
    assert!(ran.stderr.contains("charon.toml: write true or false"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    fs::remove_file(&toml).unwrap();
    fs::write(dir.path().join("charon.env"), "").unwrap();
    let ran = run(&mut coxswain(dir.path(), &["dv", "version"])).expect(1);
    assert!(ran.stderr.contains("charon.env: settings in this form are not read"), "{}", ran.stderr);
    // Commands that are not charon's do not look at its file.
    run(&mut coxswain(dir.path(), &["version"])).ok();
}

#[test]
fn under_the_name_charon_the_commands_are_at_the_top() {
    let dir = directory();
    let charon = dir.path().join("charon");
    symlink(env!("CARGO_BIN_EXE_coxswain"), &charon).unwrap();
    let call = |args: &[&str]| run(&mut program(&charon, dir.path(), args));
    call(&["create", "enr", "--data-dir=a"]).ok();
    let enr = call(&["enr", "--data-dir", "a"]).ok();
    assert!(enr.stdout.starts_with("enr:-HW4Q"));
    let chdir = call(&["enr", "--data-dir", ".", "--chdir", "a"]).ok();
    assert_eq!(chdir.stdout, enr.stdout);
    let version = call(&["version"]).ok();
    assert_eq!(version.stdout, format!("coxswain {}\n", env!("CARGO_PKG_VERSION")));
    assert!(call(&["version", "--verbose"]).ok().stdout.contains("hoodi"));
    assert!(call(&["plan"]).expect(1).stderr.contains("Usage: charon"));
    call(&["--help"]).ok();
}

// --------------------------------------------------------------------------------------------- disks and kills

/// Makes a key in `small`, a file system of its own that the script has prepared; `None` where none can be mounted.
fn in_own_file_system(script: &str) -> Option<Ran> {
    let dir = directory();
    fs::create_dir(dir.path().join("small")).unwrap();
    let mut command = program(Path::new("unshare"), dir.path(), &["-rm", "sh", "-c", script]);
    command.arg(env!("CARGO_BIN_EXE_coxswain")).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let ran = run(&mut command);
    if ran.stderr.contains("unshare") || ran.stderr.contains("mount:") {
        println!("skipped: no file system can be mounted here: {}", ran.stderr);
        return None;
    }
    Some(ran)
}

#[test]
fn a_full_disk_leaves_nothing() {
    let script = "mount -t tmpfs -o size=16k,mode=755 none small && \
        head -c 1m /dev/zero > small/filler 2>/dev/null; \
        \"$0\" dv create enr --data-dir small; code=$?; rm small/filler; ls -A small; exit $code";
    let Some(ran) = in_own_file_system(script) else { return };
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("make room there"), "{}", ran.stderr);
}

#[test]
fn a_file_system_that_is_read_only_is_explained() {
    let script = "mount -t tmpfs -o ro none small && \"$0\" dv create enr --data-dir small";
    let Some(ran) = in_own_file_system(script) else { return };
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("mounted read-only"), "{}", ran.stderr);
}

#[test]
fn a_directory_that_cannot_be_written_is_explained() {
    let dir = directory();
    let node = dir.path().join("node");
    fs::create_dir(&node).unwrap();
    fs::set_permissions(&node, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(node.join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let ran = run(&mut coxswain(dir.path(), &["dv", "create", "enr", "--data-dir=node"])).expect(1);
    assert!(ran.stderr.contains("check who owns the directory"), "{}", ran.stderr);
}

/// A process that makes a key is killed at a random moment of its life, many times in one directory: under the key's
/// name there is nothing or a whole key of mode 0600, and the next run takes away what was left.
#[test]
fn a_killed_process_leaves_no_part_of_a_key() {
    let dir = directory();
    let node = dir.path().join("node");
    let create = || {
        let mut command = coxswain(dir.path(), &["dv", "create", "enr", "--data-dir=node"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let start = Instant::now();
    assert!(create().status().unwrap().success());
    // Twice the life of an unhurried process, so that some are killed late and some not at all.
    let span = u32::try_from(start.elapsed().as_micros().min(100_000)).unwrap() * 2;
    fs::remove_dir_all(&node).unwrap();
    let (mut killed, mut written, mut left) = (0, 0, 0);
    let moments = if is_fast() { MOMENTS / 10 } else { MOMENTS };
    for n in 0..moments {
        let wait = Duration::from_micros(u64::from(n * 7919 % moments * span / moments));
        let mut child = create().spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < wait {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal() == Some(9));
        if !node.exists() {
            continue;
        }
        let key = node.join(KEY);
        left += names(&node).len() - usize::from(key.exists());
        for name in names(&node) {
            assert_eq!(mode_of(&node.join(&name)), 0o600, "{name}");
        }
        if key.exists() {
            assert_eq!(fs::read_to_string(&key).unwrap().len(), 64);
            run(&mut coxswain(dir.path(), &["dv", "enr", "--data-dir=node"])).ok();
            written += 1;
            fs::remove_file(&key).unwrap();
        }
    }
    println!(
        "{moments} runs, {killed} killed, {written} keys whole, {left} temporary files left at some time"
    );
    assert!(killed > moments / 10 && written > moments / 10, "{killed} killed, {written} written");
    assert!(create().status().unwrap().success());
    assert_eq!(names(&node), [KEY]);
}

// ----------------------------------------------------------------------------------------------------- ceremony

/// `--no-verify` says what is wrong with a definition and goes on; nothing is made before there is a place for it.
#[test]
fn a_definition_that_does_not_verify_is_refused_unless_told() {
    let dir = directory();
    let enr = |name: &str| {
        let ran = run(&mut coxswain(dir.path(), &["dv", "create", "enr", "--data-dir", name]));
        ran.stdout.lines().find(|line| line.starts_with("enr:")).unwrap().to_owned()
    };
    let enrs = [enr("n0"), enr("n1"), enr("n2")].join(",");
    let address = "0x388C818CA8B9251b393131C08a736A67ccB19297";
    let args = [
        "dv",
        "create",
        "dkg",
        "--network",
        "hoodi",
        "--num-validators",
        "1",
        "--name",
        "a",
        "--output-dir",
        ".",
    ];
    let more =
        ["--fee-recipient-addresses", address, "--withdrawal-addresses", address, "--operator-enrs", &enrs];
    let made = run(&mut coxswain(dir.path(), &[&args[..], &more[..]].concat()));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let path = dir.path().join("cluster-definition.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"name\": \"a\"", "\"name\": \"b\"");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, text).unwrap();
    let dkg = ["dv", "dkg", "--definition-file", "cluster-definition.json", "--data-dir", "nowhere"];
    let refused = run(&mut coxswain(dir.path(), &dkg));
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("config_hash") && !refused.stderr.contains("nowhere"),
        "{}",
        refused.stderr
    );
    let warned = run(&mut coxswain(dir.path(), &[&dkg[..], &["--no-verify"]].concat()));
    assert_eq!(warned.code, 1);
    assert!(warned.stderr.contains("warning: ") && warned.stderr.contains("nowhere"), "{}", warned.stderr);
}
