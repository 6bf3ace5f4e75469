//! `coxswain dv relay` as a process: what it answers, how nodes meet through it, ours and charon's, and how it ends.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

#[path = "../crates/dv-net/tests/support/mod.rs"]
mod net;
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use coxswain_dv_net::Status;
use coxswain_dv_types::enr;
use net::{CLUSTER, Host, free_port, keys, meet, within};
use rustix::process::{Pid, Signal, kill_process};
use support::run;

const LIMIT: Duration = Duration::from_secs(60);
/// The address that records of these tests name.
const EXTERNAL: &str = "192.0.2.7";

/// A relay that runs in a directory of its own; killed with the value.
struct Relay {
    process: Child,
    http: u16,
    monitoring: u16,
    p2p: u16,
    lines: mpsc::Receiver<String>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
    command.current_dir(dir).env_clear().env("HOME", dir).args(["dv", "relay"]);
    command
}

impl Relay {
    fn start(dir: &Path, more: &[&str]) -> Relay {
        Relay::start_at(dir, [free_port(), free_port(), free_port()], more)
    }

    /// Returns when it says that it is ready.
    fn start_at(dir: &Path, [http, monitoring, p2p]: [u16; 3], more: &[&str]) -> Relay {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut process = program(dir)
            .args(["--http-address", &at(http), "--monitoring-address", &at(monitoring)])
            .args(["--p2p-tcp-address", &at(p2p), "--log-format", "json", "--log-level", "debug"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let relay = Relay { process, http, monitoring, p2p, lines };
        relay.until_logged("the relay is ready");
        relay
    }

    fn until_logged(&self, text: &str) {
        let mut before = String::new();
        loop {
            let line = self.lines.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("no {text:?} in\n{before}"));
            if line.contains(text) {
                return;
            }
            before += &format!("{line}\n");
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

/// Status, content type and body of an answer.
async fn ask(port: u16, method: &str, path: &str) -> (u16, String, String) {
    let request = exchange(port, method, path).await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (status, kind.to_owned(), body.to_owned())
}

async fn exchange(port: u16, method: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(LIMIT, stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

async fn until(host: &Host, holds: impl FnMut(&Status) -> bool) {
    let mut status = host.network.status();
    within(LIMIT, status.wait_for(holds)).await.expect("the host lives");
}

// ------------------------------------------------------------------------------------------------------ answers

const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_says_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &["--p2p-external-ip", EXTERNAL]);
    let (status, kind, body) = ask(relay.http, "GET", "/").await;
    assert_eq!((status, kind.as_str()), (200, TEXT));
    let all: Vec<String> = serde_json::from_str(&body).unwrap();
    let start = format!("/ip4/{EXTERNAL}/tcp/{}/p2p/16Uiu2HA", relay.p2p);
    // The address that it found itself is private, and told to nobody.
    assert!(all.len() == 1 && all[0].starts_with(&start), "{body}");
    let id = all[0].rsplit('/').next().unwrap().to_owned();
    assert_eq!(ask(relay.http, "POST", "/what/ever").await, (200, TEXT.to_owned(), body));
    let (status, kind, record) = ask(relay.http, "GET", "/enr").await;
    assert_eq!((status, kind.as_str()), (200, TEXT));
    let record = enr::parse(&record).unwrap();
    assert_eq!(coxswain_dv_net::peer_id(record.public()).to_string(), id);
    assert_eq!(record.value("ip"), Some([192, 0, 2, 7].as_slice()));
    assert_eq!((record.number("tcp"), record.number("udp")), (Some(u64::from(relay.p2p)), Some(9999)));
    let (status, kind, body) = ask(relay.monitoring, "GET", "/metrics").await;
    assert_eq!(
        (status, kind.as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    assert!(body.contains("# TYPE relay_p2p_active_connections gauge\n"), "{body}");
    let (status, _, body) = ask(relay.monitoring, "GET", "/").await;
    assert_eq!((status, body.as_str()), (404, "404 page not found\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_told_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &[]);
    assert_eq!(ask(relay.http, "GET", "/").await, (200, TEXT.to_owned(), "null".to_owned()));
    let (status, _, body) = ask(relay.http, "GET", "/enr").await;
    assert_eq!((status, body.as_str()), (500, ""));
    drop(relay);
    let relay = Relay::start(dir.path(), &["--p2p-advertise-private-addresses"]);
    let (_, _, body) = ask(relay.http, "GET", "/").await;
    assert!(body.starts_with(&format!("[\"/ip4/127.0.0.1/tcp/{}/p2p/16Uiu2HA", relay.p2p)), "{body}");
    let (_, _, record) = ask(relay.http, "GET", "/enr").await;
    assert_eq!(enr::parse(&record).unwrap().value("ip"), Some([127, 0, 0, 1].as_slice()));
}

#[test]
fn what_a_relay_lacks_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let says = |args: &[&str], expected: &str| {
        let ran = run(program(dir.path()).args(args)).expect(1);
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    };
    let free = format!("127.0.0.1:{}", free_port());
    let listen = ["--p2p-tcp-address", &free, "--http-address", ""];
    says(&["--auto-p2pkey=false"], "name the relay's directory with --data-dir");
    assert!(!dir.path().join(".charon").exists(), "no key is made where none is wanted");
    says(&[], "give --p2p-tcp-address");
    let key = fs::read(dir.path().join(".charon/charon-enr-private-key")).unwrap();
    says(&[&listen[..], &["--p2p-max-connections=0"]].concat(), "p2p-max-connections");
    says(&[&listen[..], &["--p2p-max-reservations=-1"]].concat(), "p2p-max-reservations");
    says(&[&listen[..], &["--loki-addresses=ftp://127.0.0.1:1"]].concat(), "--loki-addresses");
    says(&[&listen[..], &["--log-level=loud"]].concat(), "invalid value");
    says(&[&listen[..], &["--p2p-external-ip=x"]].concat(), "p2p-external-ip");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    says(&["--p2p-tcp-address", &free, "--http-address", &taken], "choose another --http-address");
    assert_eq!(fs::read(dir.path().join(".charon/charon-enr-private-key")).unwrap(), key, "the key stays");
    fs::write(dir.path().join(".charon/charon-enr-private-key"), "damaged").unwrap();
    says(&listen, "bring the file back from your backup");
    assert_eq!(fs::read(dir.path().join(".charon/charon-enr-private-key")).unwrap(), b"damaged");
}

#[test]
fn a_relay_that_is_told_to_stop_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("relay.log");
        let mut relay = Relay::start(dir.path(), &["--log-output-path", "relay.log"]);
        relay.signal(signal);
        assert_eq!(relay.process.wait().unwrap().code(), Some(0), "{signal:?}");
        let log = fs::read_to_string(log).unwrap();
        for expected in ["a key was made for this relay", "the relay is ready", "the relay ends"] {
            assert!(log.contains(expected), "{log}");
        }
    }
}

// -------------------------------------------------------------------------------------------------------- nodes

#[tokio::test(flavor = "multi_thread")]
async fn nodes_meet_and_meet_again_when_the_relay_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let more = ["--p2p-advertise-private-addresses"];
    let mut relay = Relay::start(dir.path(), &more);
    let (all, ports) = (keys(2), [relay.http, relay.monitoring, relay.p2p]);
    let [a, b] = [0, 1].map(|n| Host::start(&all[n], &all, &relay.url()));
    within(LIMIT, meet(&a, &b)).await;
    relay.until_logged(&format!("\"cluster\":\"{CLUSTER}\""));
    relay.until_logged(&format!("\"cluster\":\"{CLUSTER}\""));
    let (_, _, metrics) = ask(relay.monitoring, "GET", "/metrics").await;
    for host in [&a, &b] {
        let series = format!(
            "relay_p2p_active_connections{{peer=\"{}\",peer_cluster=\"{CLUSTER}\",relay_peer=\"",
            host.network.me()
        );
        assert!(metrics.contains(&series), "{metrics}");
    }
    relay.signal(Signal::KILL);
    relay.process.wait().unwrap();
    for host in [&a, &b] {
        until(host, |status| status.connected.is_empty() && status.reservations == 0).await;
    }
    let relay = Relay::start_at(dir.path(), ports, &more);
    for host in [&a, &b] {
        until(host, |status| status.reservations == 1).await;
    }
    within(LIMIT, meet(&a, &b)).await;
    a.network.stop().await;
    b.network.stop().await;
    drop(relay);
}

/// Strangers that say nothing, nonsense, or much of it, on both ports.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_does_not_stop_a_relay() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const STRANGERS: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &["--p2p-advertise-private-addresses"]);
    let mut silent = Vec::new();
    for n in 0..STRANGERS {
        let port = if n % 4 == 0 { relay.http } else { relay.p2p };
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        if n % 2 == 0 {
            silent.push(stream);
            continue;
        }
        let nonsense = vec![u8::try_from(n % 256).unwrap(); 1 << (n % 18)];
        // It may be cut off before all is said, and then answers nothing.
        let _ = stream.write_all(&nonsense).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(LIMIT, stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 1024, "{} bytes", answer.len());
    }
    let all = keys(2);
    let [a, b] = [0, 1].map(|n| Host::start(&all[n], &all, &relay.url()));
    within(LIMIT, meet(&a, &b)).await;
    a.network.stop().await;
    b.network.stop().await;
    drop(silent);
}

// ------------------------------------------------------------------------------------------------------- charon

fn charon() -> Option<PathBuf> {
    let charon = std::env::var_os("CHARON_BIN").map(PathBuf::from);
    if charon.is_none() {
        println!("skipped: CHARON_BIN names no charon");
    }
    charon
}

/// Four nodes of charon make keys together, through our relay alone.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_charon_hold_a_ceremony_through_our_relay() {
    let Some(charon) = charon() else { return };
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(dir.path(), &["--p2p-advertise-private-addresses"]);
    let command = |args: &[&str]| {
        let mut command = Command::new(&charon);
        command.args(args).current_dir(dir.path()).env_clear().env("HOME", dir.path());
        command
    };
    let nodes: Vec<String> = (0..4).map(|n| format!("node{n}")).collect();
    let records: Vec<String> = nodes
        .iter()
        .map(|node| {
            run(&mut command(&["create", "enr", "--data-dir", node])).ok();
            run(&mut command(&["enr", "--data-dir", node])).ok().stdout.trim().to_owned()
        })
        .collect();
    let address = "0x388C818CA8B9251b393131C08a736A67ccB19297";
    let [operators, fees, withdrawals] = [
        ("operator-enrs", records.join(",")),
        ("fee-recipient-addresses", address.into()),
        ("withdrawal-addresses", address.into()),
    ]
    .map(|(flag, value)| format!("--{flag}={value}"));
    let args = ["create", "dkg", "--network=hoodi", "--name=relay", "--output-dir=definition"];
    run(command(&args).args([&operators, &fees, &withdrawals])).ok();
    let children: Vec<(String, Child)> = nodes
        .iter()
        .map(|node| {
            let mut command = command(&["dkg", "--definition-file=definition/cluster-definition.json"]);
            let log = fs::File::create(dir.path().join(format!("{node}.log"))).unwrap();
            command
                .args(["--data-dir", node, "--p2p-relays", &relay.url(), "--shutdown-delay=1s"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log);
            (node.clone(), command.spawn().unwrap())
        })
        .collect();
    let ended = tokio::task::spawn_blocking(move || {
        let wait = |(node, mut child): (String, Child)| (node, child.wait().unwrap().code());
        children.into_iter().map(wait).collect::<Vec<_>>()
    });
    for (node, code) in within(Duration::from_secs(180), ended).await.unwrap() {
        let log = fs::read_to_string(dir.path().join(format!("{node}.log"))).unwrap();
        assert_eq!(code, Some(0), "{node}\n{log}");
    }
    let lock = |node: &str| fs::read(dir.path().join(node).join("cluster-lock.json")).unwrap();
    for node in &nodes[1..] {
        assert_eq!(lock(node), lock(&nodes[0]));
    }
}
