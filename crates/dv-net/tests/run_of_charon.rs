//! A host of ours as the fourth node of a cluster of charon, through a relay of ours. Runs where `CHARON_BIN` names a charon
//! binary and the vectors are there. `CHARON_CLUSTER` is the cluster (`run-v1.10-n4` for a charon of that version),
//! `CHARON_SECONDS` how long it runs, `CHARON_LOGS` where its logs go. Built with the feature `quic`, there is a second run in
//! which nobody listens for TCP.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a step that fails has failed the test, which says what it saw, or why it was skipped"
)]

#[path = "../../dv-types/tests/support/vectors.rs"]
mod files;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, verify65};
use coxswain_dv_net::run::{self, Lane, Letter, Node, Support};
use coxswain_dv_net::{Incoming, PeerId, Protocol, RelaySource, Settings, finish, peer_id};
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::parsigex::ParSigExMsg;
use coxswain_dv_wire::peerinfo::{DV_CLIENT, PeerInfo};
use coxswain_dv_wire::priority::{Duty, PriorityMsg, PriorityResult};
use coxswain_dv_wire::priority_result::{DUTY_INFO_SYNC, Preferences, check, result_of};
use coxswain_dv_wire::protocol::{PARSIGEX, PEERINFO, PRIORITY, PRIORITY_LEGACY, PROTOCOLS, QBFT};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::version::Minor;
use coxswain_dv_wire::well_known::{Any, Timestamp};
use support::{PlainHttp, free_port, keys, our_relay};

const NODES: usize = 4;
/// The place of our node.
const ME: usize = 3;
/// Votes that make a quorum of four.
const QUORUM: usize = 3;
const PRE_PREPARE: i64 = 1;
const PREPARE: i64 = 2;
const COMMIT: i64 = 3;
const LIMIT: usize = 32 << 20;

/// What nodes listen for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    #[cfg(feature = "quic")]
    Quic,
}

impl Over {
    /// What a node of charon is told.
    fn flags(self) -> Vec<String> {
        let at = format!("127.0.0.1:{}", free_port());
        match self {
            Over::Tcp => vec![format!("--p2p-tcp-address={at}")],
            #[cfg(feature = "quic")]
            Over::Quic => vec!["--feature-set-enable=quic".to_owned(), format!("--p2p-udp-address={at}")],
        }
    }

    /// Where ours listens.
    fn listen(self) -> &'static str {
        match self {
            Over::Tcp => "/ip4/127.0.0.1/tcp/0",
            #[cfg(feature = "quic")]
            Over::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
        }
    }
}

/// A node of charon, ended with the value.
struct Charon(Child);

impl Drop for Charon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn charon(bin: &str, cluster: &Path, node: usize, relay: &str, over: Over) -> Charon {
    let at = cluster.join(format!("node{node}"));
    let logs = std::env::var_os("CHARON_LOGS").map_or_else(std::env::temp_dir, Into::into);
    let log = std::fs::File::create(logs.join(format!("node{node}.log"))).unwrap();
    let child = Command::new(bin)
        .arg("run")
        .args(["--lock-file", cluster.join("node0/cluster-lock.json").to_str().unwrap()])
        .args(["--private-key-file", at.join("charon-enr-private-key").to_str().unwrap()])
        .args(["--simnet-beacon-mock", "--simnet-validator-mock", "--simnet-slot-duration", "1s"])
        .args(["--simnet-validator-keys-dir", at.join("validator_keys").to_str().unwrap()])
        .args(["--monitoring-address", &format!("127.0.0.1:{}", free_port())])
        .args(["--validator-api-address", &format!("127.0.0.1:{}", free_port())])
        .args(over.flags())
        .args(["--p2p-relays", relay, "--log-level", "debug", "--log-color", "disable", "--no-verify"])
        .args(["--nickname", &format!("node{node}")])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Charon(child)
}

/// What our node does in consensus: it votes for what is proposed, without looking at it.
struct Follower {
    key: IdentityKey,
    nodes: Vec<IdentityPublic>,
    ids: Vec<PeerId>,
    votes: BTreeMap<(Duty, i64, Vec<u8>, i64), BTreeSet<i64>>,
    values: BTreeMap<Vec<u8>, Any>,
    seen: BTreeMap<String, usize>,
    done: BTreeSet<(Duty, i64, i64)>,
    decided: BTreeSet<Duty>,
    /// Duties of which our preferences were told, and the requests.
    asked: BTreeSet<Duty>,
    exchanges: tokio::task::JoinSet<()>,
}

impl Follower {
    fn count(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    fn vote(&mut self, node: &Node, kind: i64, about: &QbftMsg) {
        let duty = about.duty.unwrap();
        if !self.done.insert((duty, about.round, kind)) {
            return;
        }
        let mut msg = QbftMsg {
            r#type: kind,
            peer_idx: ME as i64,
            prepared_round: 0,
            prepared_value_hash: vec![0; 32],
            signature: Vec::new(),
            ..about.clone()
        };
        msg.signature = self.key.sign(&msg.signing_root()).to_vec();
        let values = self.values.get(&about.value_hash).cloned().into_iter().collect();
        let bytes =
            Arc::new(encode(&QbftConsensusMsg { msg: Some(msg.clone()), justification: Vec::new(), values }));
        for peer in self.ids.iter().filter(|id| **id != self.ids[ME]) {
            let topic = if kind == PREPARE { "qbft_prepare" } else { "qbft_commit" };
            let lasts = Duration::from_secs(5);
            node.post(*peer, Letter { lane: Lane::Qbft, topic, bytes: Arc::clone(&bytes), lasts });
        }
        self.tally(node, &msg);
    }

    fn tally(&mut self, node: &Node, msg: &QbftMsg) {
        let duty = msg.duty.unwrap();
        let key = (duty, msg.round, msg.value_hash.clone(), msg.r#type);
        let votes = self.votes.entry(key).or_default();
        votes.insert(msg.peer_idx);
        let is_quorum = votes.len() >= QUORUM;
        match msg.r#type {
            PRE_PREPARE => self.vote(node, PREPARE, msg),
            PREPARE if is_quorum => self.vote(node, COMMIT, msg),
            COMMIT if is_quorum => drop(self.decided.insert(duty)),
            _ => {}
        }
    }

    fn consensus(&mut self, node: &Node, bytes: &[u8]) {
        let message: QbftConsensusMsg = decode(bytes, LIMIT).unwrap();
        let msg = message.msg.unwrap();
        let signer = &self.nodes[usize::try_from(msg.peer_idx).unwrap()];
        verify65(signer, &msg.signing_root(), &msg.signature).unwrap();
        self.count(format!("qbft type {} of node {}", msg.r#type, msg.peer_idx));
        // Maps may be written in any order, so a value is known by the hash that stands beside it, not by its bytes.
        for value in message.values.iter().filter(|value| value.is::<PriorityResult>()) {
            let result: PriorityResult = value.unpack(LIMIT).unwrap();
            assert_eq!(result_of(&result.msgs, QUORUM).unwrap(), result);
            let ours = self.ids[ME].to_string();
            let is_heard = result.msgs.iter().any(|message| message.peer_id == ours);
            self.count(if is_heard { "results with our preferences" } else { "results without ours" });
        }
        if let [value] = message.values.as_slice() {
            self.values.insert(msg.value_hash.clone(), value.clone());
        }
        self.tally(node, &msg);
    }

    fn take(&mut self, node: &Node, incoming: Incoming) {
        let Incoming::Message { peer, protocol, bytes, reply } = incoming else { panic!("a message") };
        if protocol == QBFT.id {
            self.consensus(node, &bytes);
        } else if protocol == PARSIGEX.id {
            let message: ParSigExMsg = decode(&bytes, LIMIT).unwrap();
            self.count(format!("parsigex type {}", message.duty.unwrap().r#type));
        } else {
            assert!(protocol == PRIORITY.id || protocol == PRIORITY_LEGACY.id);
            let message: PriorityMsg = decode(&bytes, LIMIT).unwrap();
            let at = self.ids.iter().position(|id| *id == peer).unwrap();
            check(&message, &coxswain_dv_wire::peer::PeerId::of(&self.nodes[at])).unwrap();
            let duty = message.duty.unwrap();
            assert_eq!(duty.r#type, DUTY_INFO_SYNC);
            self.count(format!("preferences by {protocol}"));
            let ours = Preferences::of_node(Minor { major: 1, minor: 11 }, &[]).message(duty.slot, &self.key);
            let ours = encode(&ours);
            reply.send(ours.clone());
            if self.asked.insert(duty) {
                for at in 0..ME {
                    let (node, id, ours) = (node.clone(), self.ids[at], ours.clone());
                    let sender = coxswain_dv_wire::peer::PeerId::of(&self.nodes[at]);
                    self.exchanges.spawn(async move {
                        let answer = node.exchange_priorities(id, &ours).await.unwrap();
                        let answer: PriorityMsg = decode(&answer, LIMIT).unwrap();
                        check(&answer, &sender).unwrap();
                        assert_eq!(answer.duty, Some(duty));
                    });
                }
            }
        }
    }
}

/// Some 120 streams a second on three connections, which begin at the relay, and the old id of priorities.
async fn ask_again_and_again(node: Node, peers: Vec<PeerId>, until: tokio::time::Instant) -> (usize, usize) {
    let protocol = PROTOCOLS.iter().find(|one| one.id == PEERINFO.id).and_then(Protocol::of_run).unwrap();
    let mut status = node.network().status();
    status.wait_for(|status| status.connected.len() == peers.len()).await.unwrap();
    for peer in &peers {
        finish(node.network().open(*peer, &[PRIORITY_LEGACY.id]).await.unwrap()).await;
    }
    let (mut answered, mut failed) = (0, 0);
    while tokio::time::Instant::now() + Duration::from_secs(8) < until {
        let asked = peers.iter().map(|peer| node.network().request(*peer, &protocol, &[]));
        for answer in futures::future::join_all(asked).await {
            *(if answer.is_ok() { &mut answered } else { &mut failed }) += 1;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    (answered, failed)
}

/// What this process takes now, and at most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")).collect()
}

fn run_settings(follower: &Follower, relay: &str, lock_hash: &[u8], over: Over) -> run::Settings {
    let host = Settings {
        key: follower.key.clone(),
        agent: "coxswain/test".into(),
        peers: follower.ids.clone(),
        relays: vec![RelaySource::parse(relay).unwrap()],
        resolve: Arc::new(PlainHttp),
        listen: vec![over.listen().parse().unwrap()],
        external: Vec::new(),
        protocols: Vec::new(),
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let info = PeerInfo {
        charon_version: "v1.11.0".into(),
        lock_hash: lock_hash.to_vec(),
        git_hash: "unknown".into(),
        started_at: Some(Timestamp { seconds: i64::try_from(seconds).unwrap(), nanos: 0 }),
        nickname: "ours".into(),
        dv_client: DV_CLIENT.into(),
        ..PeerInfo::default()
    };
    run::Settings { host, info }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_charon_takes_votes_of_ours() {
    take_votes(Over::Tcp).await;
}

#[cfg(feature = "quic")]
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_charon_takes_votes_of_ours_over_quic() {
    take_votes(Over::Quic).await;
}

async fn take_votes(over: Over) {
    let Ok(bin) = std::env::var("CHARON_BIN") else {
        println!("skipped: CHARON_BIN names no charon");
        return;
    };
    let folder = std::env::var("CHARON_CLUSTER").unwrap_or_else(|_| "run-v1.11-n4-v1".to_owned());
    let Some(cluster) = files::vectors(&format!("charon/runs/{folder}")) else { return };
    let secrets = (0..NODES).map(|node| {
        let text =
            std::fs::read_to_string(cluster.join(format!("node{node}/charon-enr-private-key"))).unwrap();
        IdentityKey::parse(text.trim()).unwrap()
    });
    let secrets: Vec<IdentityKey> = secrets.collect();
    let nodes: Vec<IdentityPublic> = secrets.iter().map(IdentityKey::public).collect();
    let lock: serde_json::Value =
        serde_json::from_slice(&std::fs::read(cluster.join("node0/cluster-lock.json")).unwrap()).unwrap();
    let text = lock["lock_hash"].as_str().unwrap();
    let lock_hash: Vec<u8> =
        (2..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let mut follower = Follower {
        key: secrets[ME].clone(),
        ids: nodes.iter().map(peer_id).collect(),
        nodes,
        votes: BTreeMap::new(),
        values: BTreeMap::new(),
        seen: BTreeMap::new(),
        done: BTreeSet::new(),
        decided: BTreeSet::new(),
        asked: BTreeSet::new(),
        exchanges: tokio::task::JoinSet::new(),
    };
    let relay = our_relay(&keys(1)[0], free_port(), 64, 64).await;
    let (node, mut inbox) = run::start(run_settings(&follower, &relay.address, &lock_hash, over)).unwrap();
    let charons: Vec<Charon> =
        (0..ME).map(|place| charon(&bin, &cluster, place, &relay.address, over)).collect();
    let seconds = std::env::var("CHARON_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let asking = tokio::spawn(ask_again_and_again(node.clone(), follower.ids[..ME].to_vec(), until));
    while let Ok(Some(incoming)) = tokio::time::timeout_at(until, inbox.next()).await {
        follower.take(&node, incoming);
    }
    let exchanged = follower.exchanges.len();
    while let Some(exchange) = follower.exchanges.join_next().await {
        exchange.unwrap();
    }
    let (answered, failed) = asking.await.unwrap();
    println!("{exchanged} exchanges of preferences, {}", memory());
    println!("answered {answered}, failed {failed}");
    assert!(answered > 1000 && failed == 0);
    let seen = node.overview().await;
    println!("{:#?}\ndecided {}\n{seen:#?}", follower.seen, follower.decided.len());
    for peer in &follower.ids[..ME] {
        let said = seen.peers[peer].said.clone().unwrap();
        assert_eq!(
            (said.support, said.is_same_lock, said.dv_client.as_str()),
            (Support::Supported, true, "charon")
        );
        let found = &seen.network.peers[peer];
        assert_eq!(found.pings.is_answered, Some(true));
        assert!(found.direct > 0, "{found:?}");
    }
    assert!(follower.decided.len() > 3, "{:?}", follower.seen);
    drop(charons);
    node.stop().await;
    relay.relay.stop().await;
}
