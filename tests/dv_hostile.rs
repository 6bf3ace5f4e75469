//! What strangers, a peer and clients may send to a running node, all of it at once and far too much: it is refused and
//! counted, takes no more than its share of memory and of the log, and every duty is done afterwards.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test tells what it measured, and fails where something is not as it made it"
)]

#[path = "support/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Cluster, Plan, get, wait_until};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::{Network, PeerId, Protocol, RelaySource, Resolve, ResolveError, Settings, peer_id};
use coxswain_dv_wire::message::encode;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData, ParSignedDataSet, ParSignedDataSetEntry};
use coxswain_dv_wire::priority::{Duty, PriorityMsg};
use coxswain_dv_wire::protocol::{PARSIGEX, PEERINFO, PRIORITY, PRIORITY_LEGACY, PROTOCOLS, QBFT};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::well_known::Any;
use futures::AsyncWriteExt as _;

/// The node that all of it goes to, and the one whose key does it.
const VICTIM: usize = 0;
const LIAR: usize = 3;
/// How long an answer may take, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
/// Streams with half a message, of each protocol, and what is written to each.
const HALVES: usize = 300;
const HALF_BYTES: usize = 60_000;
/// Whole messages without sense, of each protocol; and those that make sense and are of no use.
const JUNK: usize = 400;
const LIES: u64 = 200;
/// Streams that are dropped as soon as they are open.
const RESETS: usize = 1_000;
/// Messages that are on their way at a time.
const AT_ONCE: usize = 50;
/// Connections that say nothing, at each port.
const SILENT: usize = 40;
/// Paths that nobody knows.
const PATHS: usize = 400;
/// How far the memory of the node may grow meanwhile, in KiB: bodies of 16 MiB and what is kept of half messages are most
/// of it.
const MAX_GROWTH: u64 = 300 << 10;
/// What the log may grow by, in bytes.
const MAX_LOG: u64 = 256 << 10;

/// Bytes without sense, the same in each run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(next).collect()
}

// ------------------------------------------------------------------------------------------------- strangers and a peer

struct NoUrls;

#[async_trait::async_trait]
impl Resolve for NoUrls {
    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError> {
        Err(ResolveError::Request { url: url.to_owned(), why: "nothing is asked here".to_owned() })
    }
}

/// Who attacks, and whom.
struct Attack {
    key: IdentityKey,
    peers: Vec<PeerId>,
    /// Of the group of the first validator.
    validator: String,
    port: u16,
    slot: u64,
}

impl Attack {
    fn of(cluster: &Cluster) -> Attack {
        let at = |node: usize| cluster.dir.path().join(format!("node{node}"));
        let key = |node: usize| coxswain::dv::key::load(&at(node).join("charon-enr-private-key")).unwrap();
        let lock = std::fs::read(at(VICTIM).join("cluster-lock.json")).unwrap();
        let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
        Attack {
            key: key(LIAR),
            peers: (0..4).map(|node| peer_id(&key(node).public())).collect(),
            validator: lock["distributed_validators"][0]["distributed_public_key"]
                .as_str()
                .unwrap()
                .to_owned(),
            port: cluster.more_ports[VICTIM].0,
            slot: cluster.slot(),
        }
    }

    /// A host with a key that dials the victim at once: it takes it for a relay.
    fn host(&self, key: IdentityKey) -> Network {
        let address = format!("/ip4/127.0.0.1/tcp/{}", self.port).parse().unwrap();
        let settings = Settings {
            key,
            agent: "flood".into(),
            peers: self.peers.clone(),
            relays: vec![RelaySource::Address(self.peers[VICTIM], address)],
            resolve: Arc::new(NoUrls),
            listen: Vec::new(),
            external: Vec::new(),
            protocols: Vec::new(),
        };
        coxswain_dv_net::start(settings, 1 << 20).unwrap().0
    }

    /// A vote for whatever, well signed: duties of every kind, of slots that are long over or far ahead, and rounds that
    /// nobody reaches.
    fn vote(&self, number: u64) -> Vec<u8> {
        let slot = if number.is_multiple_of(2) { self.slot + number } else { u64::MAX - number };
        let value = Any { type_url: "type.googleapis.com/nothing".to_owned(), value: noise(number, 2_000) };
        let mut msg = QbftMsg {
            r#type: (number % 6) as i64,
            duty: Some(Duty { slot, r#type: (number % 17) as i32 }),
            peer_idx: LIAR as i64,
            round: if number.is_multiple_of(3) { 1 } else { i64::MAX - number as i64 },
            prepared_round: 0,
            signature: Vec::new(),
            value_hash: noise(number, 32),
            prepared_value_hash: vec![0; 32],
        };
        msg.signature = self.key.sign(&msg.signing_root()).to_vec();
        encode(&QbftConsensusMsg { justification: vec![msg.clone(); 8], msg: Some(msg), values: vec![value] })
    }

    /// Signatures that are none, under the name of another node's share in every other message.
    fn partial(&self, number: u64) -> Vec<u8> {
        let share_idx = if number.is_multiple_of(2) { LIAR as i32 + 1 } else { 1 };
        let value = ParSignedData { data: noise(number, 500), signature: noise(number, 96), share_idx };
        let entry = ParSignedDataSetEntry { key: Some(self.validator.clone()), value: Some(value) };
        encode(&ParSigExMsg {
            duty: Some(Duty { slot: self.slot + number, r#type: (number % 14) as i32 }),
            data_set: Some(ParSignedDataSet { set: vec![entry] }),
        })
    }

    /// Preferences with a signature that is none.
    fn preferences(&self, number: u64) -> Vec<u8> {
        encode(&PriorityMsg {
            duty: Some(Duty { slot: self.slot + number, r#type: 13 }),
            topics: Vec::new(),
            peer_id: self.peers[LIAR].to_string(),
            signature: noise(number, 65),
        })
    }
}

fn spoken(id: &str) -> Protocol {
    PROTOCOLS.iter().find(|one| one.id == id).and_then(Protocol::of_run).unwrap()
}

/// Length and beginning of a message that never ends.
fn half() -> Vec<u8> {
    let mut half = Vec::new();
    let mut rest = HALF_BYTES + 1;
    while rest > 0 {
        half.push((rest & 0x7f) as u8 | if rest > 0x7f { 0x80 } else { 0 });
        rest >>= 7;
    }
    half.extend(noise(1, HALF_BYTES));
    half
}

/// Sends messages, some at a time. What becomes of each is the victim's matter.
async fn send_all(network: &Network, victim: PeerId, id: &str, messages: Vec<Vec<u8>>) {
    let protocol = spoken(id);
    for some in messages.chunks(AT_ONCE) {
        let sent = some.iter().map(|message| network.send(victim, &protocol, message));
        drop(futures::future::join_all(sent).await);
    }
}

/// Everything that a peer with a key of the cluster can do.
async fn attack_as_peer(attack: &Attack) {
    let network = attack.host(attack.key.clone());
    let victim = attack.peers[VICTIM];
    let ids = [PEERINFO.id, PRIORITY.id, PRIORITY_LEGACY.id, PARSIGEX.id, QBFT.id];
    for _ in 0..RESETS {
        drop(network.open(victim, &[QBFT.id]).await);
    }
    for id in ids {
        let mut open = Vec::with_capacity(HALVES);
        for _ in 0..HALVES {
            if let Ok(mut stream) = network.open(victim, &[id]).await {
                let _ = stream.write_all(&half()).await;
                open.push(stream);
            }
        }
        // Longer than 64 bits can say, longer than may be, and nothing at all.
        for start in [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0]] {
            if let Ok(mut stream) = network.open(victim, &[id]).await {
                let _ = stream.write_all(start).await;
                open.push(stream);
            }
        }
        drop(open);
        let junk = (0..JUNK).map(|number| noise(number as u64, number * 7));
        send_all(&network, victim, id, junk.collect()).await;
    }
    send_all(&network, victim, QBFT.id, (0..LIES).map(|number| attack.vote(number)).collect()).await;
    send_all(&network, victim, PARSIGEX.id, (0..LIES).map(|number| attack.partial(number)).collect()).await;
    let preferences = (0..LIES).map(|number| attack.preferences(number));
    send_all(&network, victim, PRIORITY.id, preferences.collect()).await;
    network.stop().await;
}

/// Connections from nobody: some say nothing, some what makes no sense.
fn attack_as_nobody(port: u16) {
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| connect(port)).collect();
    for number in 0..SILENT {
        let _ = connect(port).write_all(&noise(number as u64, 50_000));
    }
    drop(silent);
}

// ----------------------------------------------------------------------------------------------------------------- HTTP

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads the status of the answer; none where the connection ended without one.
#[track_caller]
fn status(port: u16, bytes: &[u8]) -> Option<u16> {
    let mut stream = connect(port);
    // What is refused may be so before it is read to its end.
    let _ = stream.write_all(bytes);
    let mut head = [0; 12];
    match stream.read_exact(&mut head) {
        Ok(()) => std::str::from_utf8(&head[9..]).ok()?.parse().ok(),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("no answer to {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]))
        }
        Err(_) => None,
    }
}

fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// How often there was which answer; 0 is none.
type Answers = BTreeMap<u16, usize>;

/// What is no HTTP, or more of it than anybody needs.
fn attack_parser(port: u16) -> Answers {
    let mut answers = Answers::new();
    let long = "x".repeat(1 << 20);
    let headers: String = (0..5_000).map(|number| format!("x-{number}: {number}\r\n")).collect();
    let chunked = "POST /eth/v2/beacon/blocks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let odd = [
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n"),
        format!("{chunked}zz\r\nnothing\r\n"),
        format!("{chunked}ffffffffffffffff\r\nnothing\r\n"),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "\r\n".repeat(10) + "?\r\n\r\n",
    ];
    for bytes in odd.iter().map(String::as_bytes) {
        *answers.entry(status(port, bytes).unwrap_or(0)).or_default() += 1;
    }
    for number in 0..20 {
        let mut bytes = noise(number, 20_000);
        // Nobody answers before a line has ended.
        bytes.extend(b"\r\n\r\n");
        *answers.entry(status(port, &bytes).unwrap_or(0)).or_default() += 1;
    }
    answers
}

/// What a validator client may post.
const POSTS: [&str; 14] = [
    "/eth/v1/validator/duties/attester/0",
    "/eth/v1/validator/duties/sync/0",
    "/eth/v1/beacon/states/head/validators",
    "/eth/v2/beacon/pool/attestations",
    "/eth/v1/beacon/blocks",
    "/eth/v2/beacon/blocks",
    "/eth/v2/beacon/blinded_blocks",
    "/eth/v1/beacon/pool/voluntary_exits",
    "/eth/v1/validator/beacon_committee_selections",
    "/eth/v1/validator/sync_committee_selections",
    "/eth/v2/validator/aggregate_and_proofs",
    "/eth/v1/beacon/pool/sync_committees",
    "/eth/v1/validator/contribution_and_proofs",
    "/eth/v1/validator/register_validator",
];
/// What it may get, with parameters that are none. What would wait for a decision is asked and left alone.
const GETS: [&str; 12] = [
    "/eth/v1/validator/duties/proposer/18446744073709551616",
    "/eth/v1/validator/duties/proposer/-1",
    "/eth/v2/validator/duties/proposer/0x",
    "/eth/v3/validator/blocks/0?randao_reveal=0x",
    "/eth/v3/validator/blocks/x?randao_reveal=",
    "/eth/v1/validator/attestation_data?slot=1&committee_index=18446744073709551616",
    "/eth/v1/validator/attestation_data",
    "/eth/v2/validator/aggregate_attestation?slot=&attestation_data_root=",
    "/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index=99&beacon_block_root=0",
    "/eth/v1/beacon/states/head/validators?id=x&id=y&status=z",
    "/eth/v1/beacon/states/nowhere/validators/0x00",
    "/eth/../eth/v1/node/version",
];

/// Messages of honest nodes that may be late: those of one duty.
const MAX_LATE: f64 = 8.0;
/// Bytes of metrics: of paths that are passed on the first 256 are labels, the others are one together.
const MAX_METRICS: usize = 2 << 20;

/// Bodies that no client sends, with the kind of each.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let json = "application/json";
    let many = format!("[{}]", vec!["\"18446744073709551615\""; 50_000].join(","));
    vec![
        (json, noise(7, 50_000)),
        (json, "[".repeat(100_000).into_bytes()),
        (json, "{\"a\":".repeat(50_000).into_bytes()),
        (json, many.into_bytes()),
        (json, b"[{}]".to_vec()),
        (json, b"[null,1e999,-0]".to_vec()),
        (json, b"".to_vec()),
        (json, b"\"\xff\xfe\"".to_vec()),
        ("application/octet-stream", noise(8, 100_000)),
        ("application/octet-stream", vec![0xff; 4_000]),
        ("text/html", b"<p>".to_vec()),
    ]
}

/// Where charon has 500 for what is not understood, and so this node has.
const SAYS_500: [&str; 3] = ["/pool/attestations", "/beacon/bl", "/validators"];

/// Whether an answer says that the node is at fault.
fn blames_node(answer: u16, path: &str) -> bool {
    answer > 500 || (answer == 500 && !SAYS_500.iter().any(|part| path.contains(part)))
}

/// Everything that a client of the validator API can do wrong. No answer may blame the node for it.
fn attack_api(port: u16) -> Answers {
    let mut answers = attack_parser(port);
    for (kind, body) in bodies() {
        for path in POSTS {
            let headers = format!("Content-Type: {kind}\r\nEth-Consensus-Version: fulu\r\n");
            let answer = status(port, &request(&format!("POST {path}"), &headers, &body)).unwrap_or(0);
            assert!(
                !blames_node(answer, path),
                "{answer} to {path} with {kind} {:?}",
                &body[..body.len().min(20)]
            );
            *answers.entry(answer).or_default() += 1;
        }
    }
    for path in GETS {
        let answer = status(port, &request(&format!("GET {path}"), "", b"")).unwrap_or(0);
        assert!(answer >= 400 && !blames_node(answer, path), "{answer} to {path}");
        *answers.entry(answer).or_default() += 1;
    }
    for number in 0..PATHS {
        // None of these is the node's: beacon nodes are asked.
        let line = format!("GET /eth/v1/nothing/part{number}");
        let agent = format!("User-Agent: client-{number}\r\n");
        *answers.entry(status(port, &request(&line, &agent, b"")).unwrap_or(0)).or_default() += 1;
    }
    for number in 0..PATHS {
        // Asked, and gone before there can be an answer.
        let line =
            format!("GET /eth/v1/validator/attestation_data?slot={}&committee_index=0", 1_000 + number);
        let _ = connect(port).write_all(&request(&line, "", b""));
    }
    answers
}

/// Bodies that are larger than may be, at once.
fn attack_room(port: u16) -> Answers {
    let large = Arc::new(request("POST /eth/v2/beacon/pool/attestations", "", &vec![b' '; (16 << 20) + 1]));
    let post = || {
        let large = Arc::clone(&large);
        std::thread::spawn(move || status(port, &large).unwrap_or(0))
    };
    let posts: Vec<_> = (0..4).map(|_| post()).collect();
    let mut answers = Answers::new();
    for post in posts {
        *answers.entry(post.join().unwrap()).or_default() += 1;
    }
    answers
}

/// Those who look at the node.
fn attack_watchers(monitoring: u16, debug: u16) -> Answers {
    let mut answers = Answers::new();
    for (port, path) in [(monitoring, "/metrics"), (debug, "/debug/consensus")] {
        for (answer, count) in attack_parser(port) {
            *answers.entry(answer).or_default() += count;
        }
        for (line, expected) in [
            (format!("POST {path}"), 405),
            (format!("GET {path}/x"), 404),
            (format!("GET {path}?{}", "x".repeat(5_000)), 200),
            ("GET /debug/pprof/heap".to_owned(), 404),
        ] {
            assert_eq!(status(port, &request(&line, "", &noise(3, 10_000))), Some(expected), "{line:.60}");
        }
        // Asked, and never read.
        for _ in 0..SILENT {
            let _ = connect(port).write_all(&request(&format!("GET {path}"), "", b""));
        }
    }
    answers
}

// ------------------------------------------------------------------------------------------------------------- the test

/// The series of a metric, by their labels.
fn series(metrics: &str, name: &str) -> Vec<(String, f64)> {
    let of = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
        Some((labels.to_owned(), value.parse().ok()?))
    };
    metrics.lines().filter_map(of).collect()
}

fn check_counted(cluster: &Cluster) {
    let (_, metrics) = get(cluster.ports[VICTIM].1, "/metrics").unwrap();
    let refused = series(&metrics, "core_refused_messages_total");
    for id in [QBFT.id, PARSIGEX.id] {
        let of_liar = |(labels, _): &&(String, f64)| {
            labels.contains(&format!("peer=\"node-{LIAR}\"")) && labels.contains(id)
        };
        let count = refused.iter().find(of_liar).map_or(0.0, |(_, count)| *count);
        println!("{id}: {count} messages refused");
        // The same again, and what has no room, is not looked at.
        assert!(count > JUNK as f64 / 2.0, "{refused:?}");
    }
    let is_of_another = |(labels, _): &&(String, f64)| !labels.contains(&format!("node-{LIAR}"));
    // What an honest node says of a duty whose deadline is over is refused, too, and a busy machine makes it late.
    let of_others: f64 = refused.iter().filter(is_of_another).map(|(_, count)| *count).sum();
    assert!(of_others <= MAX_LATE, "{refused:?}");
    let errors: f64 = series(&metrics, "core_validatorapi_request_error_total").iter().map(|(_, n)| n).sum();
    assert!(errors > PATHS as f64, "{errors} requests failed");
    let agents = series(&metrics, "core_validatorapi_vc_user_agent");
    assert!(agents.len() <= 1, "{agents:?}");
    assert!(
        metrics.len() < MAX_METRICS,
        "{} bytes of metrics, most of {:?}",
        metrics.len(),
        largest(&metrics)
    );
}

/// The names with the most lines.
fn largest(metrics: &str) -> Vec<(usize, &str)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        *counts.entry(line.split(['{', ' ']).next().unwrap_or_default()).or_default() += 1;
    }
    let mut all: Vec<(usize, &str)> = counts.into_iter().map(|(name, count)| (count, name)).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.truncate(8);
    all
}

fn log_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(format!("node{VICTIM}.log"))).unwrap().len()
}

/// The node is needed: of four one is gone, whose key does it.
#[test]
fn a_node_that_gets_what_it_should_not_goes_on() {
    let node = ["--p2p-tcp-address=127.0.0.1:{p2p}", "--debug-address=127.0.0.1:{debug}"];
    let mut cluster = Cluster::start(Plan { node: node.map(str::to_owned).to_vec(), ..Plan::ours() });
    cluster.kill(LIAR);
    cluster.wait_until_ready(VICTIM);
    let attack = Attack::of(&cluster);
    let (api, monitoring) = cluster.ports[VICTIM];
    let debug = cluster.more_ports[VICTIM].1;
    let (memory, log) = (cluster.nodes[VICTIM].as_ref().unwrap().peak(), log_bytes(cluster.dir.path()));

    let silent: Vec<TcpStream> = [api, monitoring, debug].repeat(SILENT).into_iter().map(connect).collect();
    let clients =
        std::thread::spawn(move || [attack_api(api), attack_room(api), attack_watchers(monitoring, debug)]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // It dials the node as long as the other attack lasts.
        let stranger = attack.host(IdentityKey::generate(&mut rand::rng()));
        attack_as_nobody(attack.port);
        attack_as_peer(&attack).await;
        // It is, until the node knows who it is; it does not stay.
        wait_until("no stranger is connected", || stranger.status().borrow().connected.is_empty());
        stranger.stop().await;
    });
    println!("answers of the API, to large bodies, of the rest: {:?}", clients.join().unwrap());
    drop(silent);

    wait_until("the node answers", || get(monitoring, "/livez").is_ok_and(|(status, _)| status == 200));
    check_counted(&cluster);
    let growth = cluster.nodes[VICTIM].as_ref().unwrap().peak() - memory;
    println!("{growth} KiB more memory than {memory} KiB");
    assert!(growth < MAX_GROWTH, "{growth} KiB more than {memory} KiB");
    let said = log_bytes(cluster.dir.path()) - log;
    assert!(said < MAX_LOG, "{said} bytes of log");
    check_votes(&cluster);
}

/// The next votes are in time, without the node that is gone, and nothing was signed that should not be.
#[track_caller]
fn check_votes(cluster: &Cluster) {
    let from = cluster.slot() + 1;
    cluster.wait_for_slot(from + 2);
    let report = cluster.report(from, from + 1);
    let counts = &report["duties"]["attester"];
    assert!(counts["expected"].as_u64() > Some(0), "{report}");
    assert_eq!(counts["on_time"], counts["expected"], "{counts}\n{}", cluster.said());
    assert_eq!(report["n_fatal"].as_u64(), Some(0), "{}", report["findings"]);
}
