//! `coxswain dv doctor` as a process: a good directory, and one of each fault.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use support::ports::free_port;
use support::{Ran, coxswain, program, run};

const LOCK: &str = "cluster-lock.json";
const KEY: &str = "charon-enr-private-key";
/// Nothing here takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(120);

fn create(dir: &Path, more: &[&str]) {
    let address = "0x0000000000000000000000000000000000000001";
    let args = [
        "dv",
        "create",
        "cluster",
        "--name=doctor",
        "--insecure-keys",
        "--cluster-dir=.",
        "--num-validators=2",
        "--withdrawal-addresses",
        address,
        "--fee-recipient-addresses",
        address,
    ];
    run(&mut coxswain(dir, &[&args[..], more].concat())).ok();
}

/// Two clusters, made once; directories are copied from them.
static CLUSTERS: LazyLock<[tempfile::TempDir; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), &["--nodes=4", "--network=hoodi"]);
        dir
    })
});

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A node's directory in a directory of its own.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Node {
        let dir = tempfile::tempdir().unwrap();
        copy(&CLUSTERS[0].path().join("node0"), &dir.path().join("node"));
        Node(dir)
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("node").join(name)
    }

    /// Puts a file in the place of another, which may be read-only.
    fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.at(name);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// Puts a file of another node there.
    fn take(&self, cluster: usize, from: &str, name: &str) {
        let from = CLUSTERS[cluster].path().join(from);
        self.put(name, fs::read(&from).unwrap(), fs::metadata(&from).unwrap().permissions().mode() & 0o7777);
    }

    fn doctor(&self, more: &[&str]) -> Ran {
        run(&mut coxswain(self.0.path(), &[&["dv", "doctor", "node"], more].concat()))
    }

    fn items(&self, more: &[&str]) -> (i32, Vec<Json>) {
        let ran = self.doctor(&[&["--json"], more].concat());
        let report: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        assert_eq!(report["ok"], ran.code == 0, "{report}");
        (ran.code, report["items"].as_array().unwrap().clone())
    }

    /// One thing is as described, and nothing else is a problem.
    #[track_caller]
    fn check(&self, more: &[&str], what: &str, state: &str, found: &str) {
        let (code, items) = self.items(more);
        let item = items.iter().find(|item| item["what"] == what).unwrap_or_else(|| panic!("{items:#?}"));
        assert_eq!(item["state"], state, "{item}");
        assert!(item["found"].as_str().unwrap().contains(found), "{found:?} is not in {item}");
        assert_eq!(item["next"] == "", state == "ok", "{item}");
        let problems: Vec<&Json> = items.iter().filter(|item| item["state"] == "problem").collect();
        assert_eq!(problems, if state == "problem" { vec![item] } else { vec![] });
        assert_eq!(code, i32::from(state == "problem"));
    }
}

#[test]
fn a_new_directory_is_well() {
    let node = Node::new();
    let (code, items) = node.items(&["--decrypt"]);
    assert_eq!(code, 0, "{items:#?}");
    let states: Vec<_> =
        items.iter().map(|item| (item["what"].as_str().unwrap(), item["state"].as_str().unwrap())).collect();
    // It has signed nothing yet, which people should know.
    assert_eq!(
        states,
        [
            ("lock", "ok"),
            ("version", "ok"),
            ("network", "ok"),
            ("threshold", "ok"),
            ("key", "ok"),
            ("modes", "ok"),
            ("disk", "ok"),
            ("keystores", "ok"),
            ("in use", "ok"),
            ("history", "warning"),
        ]
    );
    let text = node.doctor(&[]).ok().stdout;
    for part in [
        "ok       lock         \"doctor\": 2 validators, 4 nodes",
        "3 of 4 nodes sign",
        "it is of node-0, one of 4 nodes",
        "→ if another program",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // Nothing was made.
    assert!(!node.at("coxswain").exists() && !node.at(&format!("{KEY}.lock")).exists());
    let ran = run(&mut coxswain(node.0.path(), &["dv", "doctor"])).expect(1);
    assert!(ran.stderr.contains("reading the directory ./.charon"), "{}", ran.stderr);
}

#[test]
fn faults_of_the_lock() {
    let node = Node::new();
    let text = fs::read_to_string(node.at(LOCK)).unwrap();
    node.put(LOCK, text.replace("\"doctor\"", "\"other\""), 0o400);
    node.check(&[], "lock", "problem", "config_hash");
    node.put(LOCK, &text[..text.len() / 2], 0o400);
    let (code, items) = node.items(&[]);
    assert_eq!((code, &items[0]["state"]), (1, &json!("problem")));
    node.put(LOCK, &text, 0o400);
    node.check(&[], "version", "ok", "charon v1.10 does not");

    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), &["--nodes=4", "--threshold=2", "--network=hoodi", "--allow-low-threshold"]);
    let low = Node(tempfile::tempdir().unwrap());
    copy(&dir.path().join("node0"), &low.0.path().join("node"));
    low.check(&[], "threshold", "problem", "with a threshold of 2, two parts of the 4 nodes");
}

#[test]
fn faults_of_the_key() {
    let node = Node::new();
    node.take(1, &format!("node0/{KEY}"), KEY);
    node.check(&[], "key", "problem", "none of the operators");
    node.put(KEY, "no key", 0o600);
    node.check(&[], "key", "problem", "holds no key of a node");
    node.take(0, &format!("node0/{KEY}"), KEY);
    for (mode, state, found) in [
        (0o600, "ok", "only the owner"),
        (0o644, "warning", "may read a secret"),
        (0o660, "problem", "may write"),
    ] {
        fs::set_permissions(node.at(KEY), Permissions::from_mode(mode)).unwrap();
        node.check(&[], "modes", state, found);
    }
}

#[test]
fn faults_of_the_keystores() {
    let node = Node::new();
    let file = |number: u32| format!("validator_keys/keystore-insecure-{number}.json");
    let password = |number: u32| format!("validator_keys/keystore-insecure-{number}.txt");
    // Their order does not matter.
    for (from, to) in [(0, 1), (1, 0)] {
        node.take(0, &format!("node0/{}", file(from)), &file(to));
        node.take(0, &format!("node0/{}", password(from)), &password(to));
    }
    node.check(&[], "keystores", "ok", "2 say that they are of this node's shares");
    node.check(&["--decrypt"], "keystores", "ok", "and open");
    node.take(0, &format!("node1/{}", file(0)), &file(0));
    node.check(&[], "keystores", "problem", "is a share of node-1, and this is node-0");
    node.take(0, &format!("node1/{}", password(0)), &password(0));
    node.check(&["--decrypt"], "keystores", "problem", "keystore 0 is a share of node-1, and this is node-0");
    node.take(0, &format!("node0/{}", password(0)), &password(0));
    node.take(1, &format!("node0/{}", file(0)), &file(0));
    node.check(&[], "keystores", "problem", "which is no share of this cluster");
    node.take(0, &format!("node0/{}", file(0)), &file(0));
    node.check(&[], "keystores", "problem", "are the same share");
    node.take(0, &format!("node0/{}", file(1)), &file(1));
    // Only the password of another one is there.
    node.check(&[], "keystores", "ok", "2 say");
    node.check(&["--decrypt"], "keystores", "problem", "password");
    fs::remove_file(node.at(&password(0))).unwrap();
    node.check(&[], "keystores", "problem", "there is no password beside keystore-insecure-0.json");
    fs::remove_file(node.at(&file(1))).unwrap();
    node.take(0, &format!("node0/{}", password(0)), &password(0));
    node.check(&[], "keystores", "problem", "there are 1 of 2 keystores");
    fs::remove_dir_all(node.at("validator_keys")).unwrap();
    node.check(&[], "keystores", "warning", "there is no");
}

#[test]
fn a_key_that_is_in_use() {
    let node = Node::new();
    let lock = format!("{KEY}.lock");
    let now = jiff::Timestamp::now();
    let claim =
        |time: jiff::Timestamp| json!({ "command": "charon run", "timestamp": time.to_string() }).to_string();
    // Another program, which says every moment that it runs.
    let (path, part, ended) = (node.at(&lock), node.at("part"), AtomicBool::new(false));
    let write = || {
        fs::write(&part, claim(jiff::Timestamp::now())).unwrap();
        fs::rename(&part, &path).unwrap();
    };
    write();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                write();
            }
        });
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            node.check(&[], "in use", "warning", "`charon run` uses this key");
        }));
        ended.store(true, Ordering::Relaxed);
        checked.unwrap();
    });
    // However slow this is: one of an hour ahead is wrong, one of an hour ago does not matter.
    node.put(&lock, claim(now - Duration::from_secs(3600)), 0o644);
    node.check(&[], "in use", "ok", "no node uses the key");
    node.put(&lock, claim(now + Duration::from_secs(3600)), 0o644);
    node.check(&[], "in use", "problem", "its clock or this machine's is wrong");
    node.put(&lock, "", 0o644);
    node.check(&[], "in use", "problem", "it is empty");
    fs::remove_file(node.at(&lock)).unwrap();
    let lease = json!({ "command": "coxswain dv run", "pid": 1, "host": "elsewhere", "boot_id": "x",
        "since": "2026-01-01T00:00:00Z", "is_free": false });
    node.put(&format!("{KEY}.lease"), lease.to_string(), 0o644);
    node.check(&[], "in use", "problem", "on the host \"elsewhere\"");
    let text = node.doctor(&[]).expect(1).stdout;
    assert!(text.contains("then `dv run --take-over-from elsewhere` takes the key over"), "{text}");
    fs::remove_file(node.at(&format!("{KEY}.lease"))).unwrap();
    let held = File::open(node.at(KEY)).unwrap();
    held.lock().unwrap();
    node.check(&[], "in use", "warning", "another process on this machine uses");
    drop(held);
    node.check(&[], "in use", "ok", "no node uses the key");
}

/// `run` writes these two when it ends.
#[test]
fn a_key_that_was_given_back_is_nobodys() {
    let node = Node::new();
    let claim = |command: &str| {
        // A little ahead, which counts as now, so that it is fresh however slow this is.
        let time = (jiff::Timestamp::now() + Duration::from_secs(4)).to_string();
        node.put(
            &format!("{KEY}.lock"),
            json!({ "command": command, "timestamp": time, "cluster_lock_hash": lock_hash(&node) })
                .to_string(),
            0o644,
        );
    };
    let lease = |is_free: bool| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let record = json!({ "command": "coxswain dv run", "pid": 1, "host": host, "boot_id": "x",
            "since": "2026-01-01T00:00:00Z", "is_free": is_free });
        node.put(&format!("{KEY}.lease"), record.to_string(), 0o644);
    };
    lease(true);
    claim("coxswain dv run");
    node.check(&[], "in use", "ok", "no node uses the key: `coxswain dv run` gave it back a moment ago");
    // Another program took it since; then one that was killed.
    claim("charon run");
    node.check(&[], "in use", "warning", "`charon run` uses this key");
    lease(false);
    claim("coxswain dv run");
    node.check(&[], "in use", "warning", "`coxswain dv run` uses this key");
}

fn lock_hash(node: &Node) -> String {
    let lock: Json = serde_json::from_slice(&fs::read(node.at(LOCK)).unwrap()).unwrap();
    lock["lock_hash"].as_str().unwrap().trim_start_matches("0x").to_owned()
}

/// What doctor says of a node in a file system of its own, which the script makes of the directory `node`; `None` where none
/// can be mounted.
fn on_own_disk(node: &Node, script: &str) -> Option<Vec<Json>> {
    let script = format!("{script} && \"$0\" dv doctor node --json");
    let mut command = program(Path::new("unshare"), node.0.path(), &["-rm", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_coxswain")).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let ran = run(&mut command);
    if ran.stderr.contains("unshare") || ran.stderr.contains("mount:") {
        println!("skipped: no file system can be mounted here: {}", ran.stderr);
        return None;
    }
    let report: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    Some(report["items"].as_array().unwrap().iter().filter(|item| item["what"] == "disk").cloned().collect())
}

#[test]
fn a_disk_that_cannot_be_written_is_a_problem() {
    let node = Node::new();
    let Some(items) = on_own_disk(&node, "mount --bind node node && mount -o remount,bind,ro node") else {
        return;
    };
    assert_eq!(items[0]["state"], "problem", "{items:?}");
    assert!(items[0]["found"].as_str().unwrap().contains("making a file in ./node: Read-only"), "{items:?}");
    assert!(items[0]["next"].as_str().unwrap().contains("mounted read-only"), "{items:?}");

    let full = "mkdir small && mount -t tmpfs -o size=512k,mode=700 none small && cp -r node/. small && mount --move small node";
    let Some(items) = on_own_disk(&node, full) else { return };
    assert_eq!(items[0]["state"], "problem", "{items:?}");
    assert!(items[0]["found"].as_str().unwrap().contains("KiB only"), "{items:?}");
    let little = full.replace("512k", "32m").replace("mkdir small && ", "");
    let Some(items) = on_own_disk(&node, &little) else { return };
    assert_eq!(items[0]["state"], "warning", "{items:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_a_problem() {
    let node = Node::new();
    fs::set_permissions(node.at(""), Permissions::from_mode(0o500)).unwrap();
    if fs::write(node.at("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    node.check(&[], "disk", "problem", "Permission denied");
    fs::set_permissions(node.at(""), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn faults_of_the_history() {
    let node = Node::new();
    node.check(&[], "history", "warning", "there is none");
    let lock: Json = serde_json::from_slice(&fs::read(node.at(LOCK)).unwrap()).unwrap();
    let root = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f";
    let import = |validators: &[usize]| {
        let entry = |at: &usize| {
            let key = &lock["distributed_validators"][at]["distributed_public_key"];
            json!({ "pubkey": key, "signed_blocks": [{ "slot": "7" }], "signed_attestations": [] })
        };
        let data: Vec<Json> = validators.iter().map(entry).collect();
        let metadata = json!({ "interchange_format_version": "5", "genesis_validators_root": root });
        fs::write(node.0.path().join("in.json"), json!({ "metadata": metadata, "data": data }).to_string())
            .unwrap();
        let (lock, key) = (format!("--lock-file=node/{LOCK}"), format!("--private-key-file=node/{KEY}"));
        run(&mut coxswain(node.0.path(), &["dv", "slashing", "import", &lock, &key, "in.json"])).ok();
    };
    import(&[0]);
    node.check(&[], "history", "warning", "1 of 2 validators have one");
    import(&[0, 1]);
    node.check(&[], "history", "ok", "all 2 validators have one");
    let store = "coxswain/slashing.redb";
    let whole = fs::read(node.at(store)).unwrap();
    node.put(store, b"garbage", 0o600);
    node.check(&[], "history", "problem", "is damaged");
    fs::remove_file(node.at(store)).unwrap();
    node.check(&[], "history", "problem", "is not there");
    node.put(store, &whole, 0o600);
    node.check(&[], "history", "ok", "all 2");
    fs::set_permissions(node.at("coxswain"), Permissions::from_mode(0o777)).unwrap();
    let (code, items) = node.items(&[]);
    assert!(
        code == 1 && items.iter().any(|item| item["what"] == "modes" && item["state"] == "problem"),
        "{items:#?}"
    );
}

// ------------------------------------------------------------------------------------------------------- the outside

/// Killed with the value; what it says goes to a file.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, name: &str, port: u16, args: &[&str]) -> Process {
    let file = File::create(dir.join(format!("{name}.log"))).unwrap();
    let mut command = coxswain(dir, args);
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let process = Process(command.spawn().unwrap());
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = || fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
        assert!(Instant::now() < deadline, "{name} does not listen:\n{}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

/// Another name of a beacon node, whose answers are changed on the way. It ends with the test program.
fn changed(port: u16, change: impl Fn(String) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                request.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
            let Ok(mut node) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let _ =
                write!(node, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n");
            let mut answer = String::new();
            let _ = node.read_to_string(&mut answer);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            let date = head.lines().find(|line| line.to_lowercase().starts_with("date:")).unwrap_or("x: y");
            let whole = change(format!("{date}\r\nContent-Type: application/json\r\n\r\n{body}"));
            let length = whole.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{whole}");
        }
    });
    own
}

#[test]
fn beacon_nodes_are_of_the_chain_and_the_time() {
    let node = Node::new();
    let dir = node.0.path();
    let port = free_port();
    let lock = format!("--lock-file=node/{LOCK}");
    let listen = format!("--listen=127.0.0.1:{port}");
    let _chain = start(
        dir,
        "chain",
        port,
        &["simnet", "chain", &lock, "--genesis-in=0s", "--slot-duration=2s", &listen],
    );
    let at = |port: u16| format!("--beacon-node-endpoints=http://127.0.0.1:{port}");
    // A simulated one has the fork version of another.
    node.check(&[&at(port)], "chain", "warning", "and that of the network with this fork version 0x212f13");
    node.check(&[&at(port)], "syncing", "ok", "has read the chain");
    node.check(&[&at(port)], "clock", "ok", "within a second");
    // A simulated one is nobody's that is known.
    node.check(&[&at(port)], "release", "warning", "is not known here");
    node.check(&[&at(free_port())], "beacon node", "problem", "127.0.0.1");

    let behind = changed(port, |text| text.replace("\"is_syncing\":false", "\"is_syncing\":true"));
    node.check(&[&at(behind)], "syncing", "warning", "it lacks");
    let early = changed(port, |text| {
        format!("Date: Fri, 27 Nov 2020 12:00:00 GMT\r\n{}", text.split_once("\r\n").unwrap().1)
    });
    node.check(&[&at(early)], "clock", "problem", "its clock is -");
    let silent = changed(port, |text| text.split_once("\r\n").unwrap().1.to_owned());
    node.check(&[&at(silent)], "clock", "warning", "does not say what time it is");
    let old = changed(port, |text| text.replace("coxswain-simnet/v", "Lighthouse/v"));
    node.check(&[&at(old)], "release", "problem", "is too old");
    let other = changed(port, |text| text.replace("\"0x10000910\"", "\"0x90000069\""));
    node.check(
        &[&at(other)],
        "chain",
        "problem",
        "has the fork version 0x90000069, and the cluster's 0x10000910",
    );

    // What was signed is of another chain than the beacon node.
    let root = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f";
    let metadata = json!({ "interchange_format_version": "5", "genesis_validators_root": root });
    fs::write(dir.join("in.json"), json!({ "metadata": metadata, "data": [] }).to_string()).unwrap();
    let key = format!("--private-key-file=node/{KEY}");
    run(&mut coxswain(dir, &["dv", "slashing", "import", &lock, &key, "in.json"])).ok();
    node.check(&[&at(port)], "chain", "problem", "and what was signed is of 0x212f13");
}

#[test]
fn relays_are_there_or_not() {
    let node = Node::new();
    let dir = node.0.path();
    let [http, p2p] = [free_port(), free_port()];
    let relay = [
        "dv",
        "relay",
        "--data-dir=relay",
        "--p2p-advertise-private-addresses",
        &format!("--http-address=127.0.0.1:{http}"),
        &format!("--p2p-tcp-address=127.0.0.1:{p2p}"),
    ];
    let _relay = start(dir, "relay", http, &relay);
    let at = |port: u16| format!("--p2p-relays=http://127.0.0.1:{port}");
    node.check(&[&at(http)], "relay", "ok", &format!("/ip4/127.0.0.1/tcp/{p2p}"));
    node.check(&[&at(free_port())], "relay", "problem", "http://127.0.0.1");
    let id = "16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw";
    let nobody = format!("--p2p-relays=/ip4/127.0.0.1/tcp/{}/p2p/{id}", free_port());
    node.check(&[&nobody], "relay", "problem", "Connection refused");
    let ran = node.doctor(&["--p2p-relays=nowhere"]).expect(1);
    assert!(ran.stderr.contains("reading --p2p-relays"), "{}", ran.stderr);
}
