//! Hosts of a running cluster with a relay of ours, in one process.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::run::{self, Inbox, Lane, Letter, MAX_FLYING, MAX_MESSAGES, MAX_WAITING, Node, Support};
use coxswain_dv_net::{
    Incoming, Kind, Network, OpenError, PeerId, Protocol, RelaySource, SendError, Settings, peer_id, start,
};
use coxswain_dv_wire::peerinfo::{DV_CLIENT, PeerInfo};
use coxswain_dv_wire::protocol::{PARSIGEX, PRIORITY, PRIORITY_LEGACY, PROTOCOLS, QBFT};
use coxswain_dv_wire::well_known::Timestamp;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use support::{LOCK_HASH, MOST_BYTES, OurRelay, PlainHttp, free_port, keys, our_relay, within};

const LIMIT: Duration = Duration::from_secs(30);
const LASTS: Duration = Duration::from_secs(30);

/// Whether a host listens, so that others connect to it without the relay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listens {
    Yes,
    No,
}

fn of_run(id: &str) -> Protocol {
    PROTOCOLS.iter().find(|one| one.id == id).and_then(Protocol::of_run).unwrap()
}

fn settings(key: &[u8; 32], all: &[[u8; 32]], relay: &str, listens: Listens) -> Settings {
    let of = |key: &[u8; 32]| IdentityKey::from_bytes(key).unwrap();
    let listen = match listens {
        Listens::Yes => vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        Listens::No => Vec::new(),
    };
    Settings {
        key: of(key),
        agent: "coxswain/test".into(),
        peers: all.iter().map(|key| peer_id(&of(key).public())).collect(),
        relays: vec![RelaySource::parse(relay).unwrap()],
        resolve: Arc::new(PlainHttp),
        listen,
        external: Vec::new(),
        protocols: Vec::new(),
    }
}

fn info(nickname: &str) -> PeerInfo {
    PeerInfo {
        charon_version: "v1.11.0".into(),
        lock_hash: LOCK_HASH.to_vec(),
        git_hash: "abcdef0".into(),
        started_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        nickname: nickname.into(),
        dv_client: DV_CLIENT.into(),
        ..PeerInfo::default()
    }
}

fn node(key: &[u8; 32], all: &[[u8; 32]], relay: &OurRelay, listens: Listens) -> (Node, Inbox) {
    let host = settings(key, all, &relay.address, listens);
    run::start(run::Settings { host, info: info("a node") }).unwrap()
}

/// Two nodes of a cluster with a relay of ours, the smaller id first.
async fn pair(listens: Listens) -> (Vec<[u8; 32]>, OurRelay, (Node, Inbox), (Node, Inbox)) {
    let mut all = keys(3);
    all[..2].sort_by_key(|key| peer_id(&IdentityKey::from_bytes(key).unwrap().public()).to_bytes());
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let [a, b] = [0, 1].map(|at| node(&all[at], &all[..2], &relay, listens));
    (all, relay, a, b)
}

async fn stop(hosts: &[&Network], relay: OurRelay) {
    for host in hosts {
        host.stop().await;
    }
    relay.relay.stop().await;
}

/// A host that does with these protocols whatever the test does.
fn stranger(
    key: &[u8; 32],
    all: &[[u8; 32]],
    relay: &OurRelay,
    ids: &[&str],
) -> (Network, tokio::sync::mpsc::Receiver<Incoming>) {
    let protocols = ids.iter().map(|id| of_run(id)).collect();
    start(Settings { protocols, ..settings(key, all, &relay.address, Listens::Yes) }, MOST_BYTES).unwrap()
}

fn letter(lane: Lane, bytes: &[u8]) -> Letter {
    Letter { lane, topic: "test", bytes: std::sync::Arc::new(bytes.to_vec()), lasts: LASTS }
}

async fn connected(network: &Network, peer: PeerId, listens: Listens) {
    let mut status = network.status();
    let is_direct = listens == Listens::Yes;
    let waiting = status.wait_for(|status| status.connected.get(&peer) == Some(&is_direct));
    within(LIMIT, waiting).await.expect("the host lives");
}

async fn next(inbox: &mut Inbox) -> (PeerId, &'static str, Vec<u8>) {
    match within(LIMIT, inbox.next()).await.expect("the host lives") {
        Incoming::Message { peer, protocol, bytes, .. } => (peer, protocol, bytes.to_vec()),
        Incoming::Stream { .. } => panic!("nothing lasts in a running cluster"),
    }
}

/// Waits until what is seen of the node is so.
async fn until(node: &Node, holds: impl Fn(&run::Overview) -> bool) -> run::Overview {
    within(LIMIT, async {
        loop {
            let seen = node.overview().await;
            if holds(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Sends so many numbers, as many at once as the box of a peer holds, and reads them at the other side.
async fn numbers(from: &Node, to: &Node, inbox: &mut Inbox, count: u32) {
    let peer = to.network().me();
    let mut came = 0;
    for first in (0..count).step_by(MAX_WAITING / 2) {
        let round = (MAX_WAITING / 2).min((count - first) as usize);
        for number in first..first + u32::try_from(round).unwrap() {
            let lane = if number % 8 == 0 { Lane::Parsigex((number % 5) as i32) } else { Lane::Qbft };
            from.post(peer, letter(lane, &number.to_le_bytes()));
        }
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < round {
            let (peer, _, bytes) = next(inbox).await;
            assert_eq!(peer, from.network().me());
            seen.insert(u32::from_le_bytes(bytes.try_into().unwrap()));
        }
        came += seen.len();
        assert_eq!(seen.first(), Some(&first));
    }
    assert_eq!(came, count as usize);
}

async fn thousands(listens: Listens, count: u32) {
    let (_, relay, (a, mut at_a), (b, mut at_b)) = pair(listens).await;
    connected(a.network(), b.network().me(), listens).await;
    connected(b.network(), a.network().me(), listens).await;
    let both = async {
        tokio::join!(numbers(&a, &b, &mut at_b, count), numbers(&b, &a, &mut at_a, count));
    };
    within(LIMIT, both).await;
    for (node, other) in [(&a, &b), (&b, &a)] {
        let peer = other.network().me();
        let seen = until(node, |seen| seen.peers[&peer].sends.flying == 0).await;
        let sends = &seen.peers[&peer].sends;
        let kinds: Vec<(u64, u64)> = sends.kinds.values().map(|kind| (kind.sent, kind.failed)).collect();
        assert_eq!(kinds.iter().map(|(sent, failed)| sent + failed).sum::<u64>(), u64::from(count));
        assert_eq!((sends.displaced, sends.expired, sends.waiting), (0, 0, 0), "{sends:?}");
        let received: u64 = seen.peers[&peer].received.values().map(|row| row.messages).sum();
        assert_eq!(received, u64::from(count), "{seen:?}");
        let connections = &seen.network.peers[&peer];
        assert_eq!(connections.direct > 0, listens == Listens::Yes, "{connections:?}");
        assert!(seen.network.relays[0].is_reserved && seen.network.relays[0].connections > 0);
    }
    a.stop().await;
    b.stop().await;
    assert!(within(LIMIT, at_a.next()).await.is_none());
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_both_ways_directly() {
    thousands(Listens::Yes, 3000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_both_ways_through_a_relay() {
    thousands(Listens::No, 2000).await;
}

/// Nobody listens for TCP here, so what is direct is QUIC.
#[cfg(feature = "quic")]
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_both_ways_over_quic() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let start = |key: &[u8; 32]| {
        let mut host = settings(key, &all[..2], &relay.address, Listens::No);
        host.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        run::start(run::Settings { host, info: info("a node") }).unwrap()
    };
    let ((a, mut at_a), (b, mut at_b)) = (start(&all[0]), start(&all[1]));
    connected(a.network(), b.network().me(), Listens::Yes).await;
    connected(b.network(), a.network().me(), Listens::Yes).await;
    let both = async {
        tokio::join!(numbers(&a, &b, &mut at_b, 3000), numbers(&b, &a, &mut at_a, 3000));
    };
    within(LIMIT, both).await;
    for (node, other) in [(&a, &b), (&b, &a)] {
        let found = node.overview().await.network.peers[&other.network().me()].clone();
        assert!(found.direct > 0, "{found:?}");
    }
}

/// Where both can be reached, a relayed connection has a direct one beside it. Where none can, the test above shows that
/// what was tried in vain does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_relayed_connection_becomes_direct() {
    let (_, relay, (smaller, mut at_smaller), (larger, mut at_larger)) = pair(Listens::Yes).await;
    // The larger id proposes it, and the smaller one, which dialled through the relay, dials again.
    let peer = larger.network().me();
    let seen = until(&smaller, |seen| seen.network.peers[&peer].punched > 0).await;
    let found = &seen.network.peers[&peer];
    assert!(found.direct > 0 && found.relayed > 0, "what was there stays: {found:?}");
    connected(larger.network(), smaller.network().me(), Listens::Yes).await;
    let both = async {
        tokio::join!(
            numbers(&smaller, &larger, &mut at_larger, 200),
            numbers(&larger, &smaller, &mut at_smaller, 200)
        )
    };
    within(LIMIT, both).await;
    stop(&[smaller.network(), larger.network()], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_ping_each_other_and_say_what_they_are() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let (a, _at_a) = node(&all[0], &all[..2], &relay, Listens::No);
    let host = settings(&all[1], &all[..2], &relay.address, Listens::No);
    let other = PeerInfo {
        lock_hash: vec![1; 32],
        charon_version: "v0.9.0".into(),
        dv_client: String::new(),
        builder_api_enabled: true,
        ..info("the\nother")
    };
    let (b, _at_b) = run::start(run::Settings { host, info: other }).unwrap();
    let (at_a, at_b) = (a.network().me(), b.network().me());
    let seen = until(&a, |seen| {
        seen.peers[&at_b].said.is_some() && seen.network.peers[&at_b].pings.is_answered == Some(true)
    })
    .await;
    let said = seen.peers[&at_b].said.clone().unwrap();
    assert_eq!((said.nickname.as_str(), said.version.as_str()), ("theother", "v0.9.0"));
    assert_eq!((said.dv_client.as_str(), said.support), ("charon", Support::Unsupported));
    assert_eq!(
        (said.is_same_lock, said.builder_api_enabled, said.git_hash.as_str()),
        (false, true, "abcdef0")
    );
    assert_eq!(said.started_at, Timestamp { seconds: 1, nanos: 0 });
    assert!(said.clock_offset_nanos.abs() < 2_000_000_000, "{said:?}");
    assert!(seen.network.peers[&at_b].pings.latency.count > 0);
    let seen = until(&b, |seen| seen.peers[&at_a].said.is_some()).await;
    assert_eq!(seen.peers[&at_a].said.clone().unwrap().support, Support::Unchecked);
    b.stop().await;
    let seen = until(&a, |seen| seen.network.peers[&at_b].relayed == 0).await;
    assert_eq!(
        (seen.network.peers[&at_b].pings.is_answered, seen.network.peers[&at_b].in_all >= 1),
        (None, true)
    );
    a.stop().await;
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_are_exchanged_by_either_id() {
    let all = keys(4);
    let relay = our_relay(&all[3], free_port(), 16, 16).await;
    let (new, mut at_new) = node(&all[0], &all[..3], &relay, Listens::Yes);
    let (other, mut at_other) = node(&all[1], &all[..3], &relay, Listens::Yes);
    let (old, mut at_old) = stranger(&all[2], &all[..3], &relay, &[PRIORITY_LEGACY.id]);
    for network in [new.network(), other.network()] {
        connected(network, old.me(), Listens::Yes).await;
    }
    tokio::spawn(async move {
        while let Some(Incoming::Message { protocol, bytes, reply, .. }) = at_old.recv().await {
            assert_eq!((protocol, &**bytes), (PRIORITY_LEGACY.id, &b"ours"[..]));
            reply.send(b"of an old node".to_vec());
        }
    });
    tokio::spawn(async move {
        while let Some(Incoming::Message { protocol, reply, .. }) = at_other.next().await {
            assert_eq!(protocol, PRIORITY.id);
            reply.send(b"of a new node".to_vec());
        }
    });
    let answer = within(LIMIT, new.exchange_priorities(old.me(), b"ours")).await.unwrap();
    assert_eq!(*answer, b"of an old node");
    let answer = within(LIMIT, new.exchange_priorities(other.network().me(), b"ours")).await.unwrap();
    assert_eq!(*answer, b"of a new node");
    let legacy = of_run(PRIORITY_LEGACY.id);
    let (asked, told) = tokio::join!(old.request(new.network().me(), &legacy, b"x"), async {
        match at_new.next().await.unwrap() {
            Incoming::Message { protocol, reply, .. } => {
                reply.send(b"to an old node".to_vec());
                protocol
            }
            Incoming::Stream { .. } => panic!("a message"),
        }
    });
    assert_eq!((&**asked.unwrap(), told), (&b"to an old node"[..], PRIORITY_LEGACY.id));
    stop(&[new.network(), other.network(), &old], relay).await;
}

/// One peer takes streams and never ends them; messages for it are let go of, and another peer has all of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stops_reading_holds_up_nobody() {
    let all = keys(4);
    let relay = our_relay(&all[3], free_port(), 16, 16).await;
    let (a, _at_a) = node(&all[0], &all[..3], &relay, Listens::Yes);
    let (b, mut at_b) = node(&all[1], &all[..3], &relay, Listens::Yes);
    // Nobody takes what comes or answers it, so its streams stay open.
    let protocols = [QBFT.id, PARSIGEX.id].map(|id| Protocol { kind: Kind::Answered, ..of_run(id) }).to_vec();
    let host = settings(&all[2], &all[..3], &relay.address, Listens::Yes);
    let (deaf, _kept) = start(Settings { protocols, ..host }, MOST_BYTES).unwrap();
    connected(a.network(), deaf.me(), Listens::Yes).await;
    connected(a.network(), b.network().me(), Listens::Yes).await;
    let mut number = 0u32;
    let stuck = within(LIMIT, async {
        loop {
            for _ in 0..MAX_FLYING {
                number += 1;
                a.post(deaf.me(), letter(Lane::Qbft, &number.to_le_bytes()));
            }
            let seen = a.overview().await;
            let sends = &seen.peers[&deaf.me()].sends;
            if sends.displaced > 100 {
                return seen;
            }
        }
    })
    .await;
    let sends = &stuck.peers[&deaf.me()].sends;
    assert!(sends.waiting <= MAX_WAITING && sends.flying <= MAX_FLYING, "{sends:?}");
    within(Duration::from_secs(10), numbers(&a, &b, &mut at_b, 500)).await;
    stop(&[a.network(), b.network(), &deaf], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_promises_are_read_as_nothing() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let (a, mut at_a) = node(&all[0], &all[..2], &relay, Listens::Yes);
    let (bad, _kept) = stranger(&all[1], &all[..2], &relay, &[]);
    let to = a.network().me();
    connected(&bad, to, Listens::Yes).await;
    let too_long = [&[0xff, 0xff, 0xff, 0x7f][..], &[7; 64]].concat();
    let no_length = vec![0xff; 16];
    let not_minimal = vec![0x80, 0x00];
    let half = [&[100][..], &[1; 50]].concat();
    let mut streams = Vec::new();
    for (count, bytes) in [too_long, no_length, not_minimal, half, Vec::new()].into_iter().enumerate() {
        for id in [QBFT.id, PARSIGEX.id, PRIORITY.id, PRIORITY_LEGACY.id] {
            let mut stream = bad.open(to, &[id]).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            if count % 2 == 0 {
                stream.close().await.unwrap();
                // Every such stream is ended, without an answer and without a reset.
                let mut rest = Vec::new();
                within(LIMIT, stream.read_to_end(&mut rest)).await.unwrap();
                assert_eq!(rest, Vec::<u8>::new());
            }
            streams.push(stream);
        }
    }
    assert_eq!(a.waiting(), 0);
    bad.send(to, &of_run(QBFT.id), b"good").await.unwrap();
    assert_eq!(next(&mut at_a).await, (bad.me(), QBFT.id, b"good".to_vec()));
    assert_eq!(a.waiting(), 0);
    let none =
        bad.request(to, &Protocol { id: "/charon/dkg/sync/1.0.0/", ..of_run(QBFT.id) }, b"hello").await;
    assert!(matches!(none, Err(SendError::Open(OpenError::Unsupported(_)))), "{none:?}");
    stop(&[a.network(), &bad], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_stays_within_its_queue() {
    let all = keys(4);
    let relay = our_relay(&all[3], free_port(), 16, 16).await;
    let (a, mut at_a) = node(&all[0], &all[..3], &relay, Listens::Yes);
    let (loud, _kept) = stranger(&all[1], &all[..3], &relay, &[]);
    let (calm, _kept_too) = stranger(&all[2], &all[..3], &relay, &[]);
    let to = a.network().me();
    connected(&loud, to, Listens::Yes).await;
    connected(&calm, to, Listens::Yes).await;
    calm.send(to, &of_run(QBFT.id), b"calm").await.unwrap();
    let count = MAX_MESSAGES + 200;
    let qbft = of_run(QBFT.id);
    for first in (0..count).step_by(50) {
        let some = (first..count.min(first + 50)).map(|number| {
            let (loud, bytes) = (&loud, number.to_le_bytes());
            async move { loud.send(to, &qbft, &bytes).await.unwrap() }
        });
        within(LIMIT, futures::future::join_all(some)).await;
    }
    loud.send(to, &of_run(PARSIGEX.id), b"partial").await.unwrap();
    assert_eq!(a.waiting(), MAX_MESSAGES + 2);
    let seen = a.overview().await;
    let received = &seen.peers[&loud.me()].received[QBFT.id];
    assert_eq!((received.messages, received.displaced), (count as u64, 200));
    let mut came = Vec::new();
    for _ in 0..3 {
        came.push(next(&mut at_a).await);
    }
    assert!(came.contains(&(calm.me(), QBFT.id, b"calm".to_vec())), "{came:?}");
    assert!(came.contains(&(loud.me(), PARSIGEX.id, b"partial".to_vec())), "{came:?}");
    stop(&[a.network(), &loud, &calm], relay).await;
}

/// A reset looks like an end to whoever reads; a letter whose stream is reset is sent once more, and only once.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_no_acknowledgement() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let (a, _at_a) = node(&all[0], &all[..2], &relay, Listens::Yes);
    let by_hand = Protocol { kind: Kind::Long, ..of_run(QBFT.id) };
    let host = settings(&all[1], &all[..2], &relay.address, Listens::Yes);
    let (b, mut at_b) = start(Settings { protocols: vec![by_hand], ..host }, MOST_BYTES).unwrap();
    connected(a.network(), b.me(), Listens::Yes).await;
    connected(&b, a.network().me(), Listens::Yes).await;
    for resets in [1, 2] {
        a.post(b.me(), letter(Lane::Qbft, &[resets; 9]));
        for turn in 1..=2 {
            let Some(Incoming::Stream { mut stream, .. }) = within(LIMIT, at_b.recv()).await else {
                panic!("a stream")
            };
            let mut bytes = [0; 10];
            within(LIMIT, stream.read_exact(&mut bytes)).await.unwrap();
            assert_eq!((bytes[0], bytes[1]), (9, resets));
            if turn > resets {
                coxswain_dv_net::finish(stream).await;
            } else {
                // Not ended: dropped, which resets it.
                drop(stream);
            }
        }
    }
    let kind = |seen: &run::Overview| seen.peers[&b.me()].sends.kinds.values().next().cloned().unwrap();
    let seen = until(&a, |seen| kind(seen).failed > 0).await;
    let seen = kind(&seen);
    assert_eq!((seen.sent, seen.again, seen.failed), (1, 2, 1), "{seen:?}");
    let (sent, ()) = tokio::join!(a.network().send(b.me(), &by_hand, b"once"), async {
        let Some(Incoming::Stream { mut stream, .. }) = at_b.recv().await else { panic!("a stream") };
        stream.read_exact(&mut [0; 5]).await.unwrap();
    });
    assert!(sent.as_ref().is_err_and(coxswain_dv_net::SendError::is_broken), "{sent:?}");
    stop(&[a.network(), &b], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_for_a_host_that_comes_back() {
    let (all, relay, (a, _at_a), (b, mut at_b)) = pair(Listens::No).await;
    let peer = b.network().me();
    connected(a.network(), peer, Listens::No).await;
    a.post(peer, letter(Lane::Qbft, b"first"));
    assert_eq!(next(&mut at_b).await.2, b"first");
    // Else it may be sent again: whether it has come is known once its stream has ended.
    until(&a, |seen| seen.peers[&peer].sends.flying == 0).await;
    b.stop().await;
    within(LIMIT, a.network().status().wait_for(|status| status.connected.is_empty())).await.unwrap();
    a.post(peer, letter(Lane::Qbft, b"while away"));
    a.post(peer, Letter { lasts: Duration::ZERO, ..letter(Lane::Qbft, b"too late") });
    let (b, mut at_b) = node(&all[1], &all[..2], &relay, Listens::No);
    assert_eq!(next(&mut at_b).await.2, b"while away");
    let seen = a.overview().await;
    assert_eq!(
        (seen.peers[&peer].sends.expired, seen.network.peers[&peer].in_all >= 2),
        (1, true),
        "{seen:?}"
    );
    stop(&[a.network(), b.network()], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_restarts_loses_no_letter() {
    let (all, port) = (keys(3), free_port());
    let relay = our_relay(&all[2], port, 16, 16).await;
    let (a, _at_a) = node(&all[0], &all[..2], &relay, Listens::No);
    let (b, mut at_b) = node(&all[1], &all[..2], &relay, Listens::No);
    let peer = b.network().me();
    connected(a.network(), peer, Listens::No).await;
    connected(b.network(), a.network().me(), Listens::No).await;
    let post = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            a.post(peer, letter(Lane::Qbft, &number.to_le_bytes()));
        }
    };
    post(0..100);
    relay.relay.stop().await;
    post(100..200);
    within(LIMIT, a.network().status().wait_for(|status| status.connected.is_empty())).await.unwrap();
    post(200..300);
    let relay = our_relay(&all[2], port, 16, 16).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 300 {
        seen.insert(u32::from_le_bytes(next(&mut at_b).await.2.try_into().unwrap()));
    }
    stop(&[a.network(), b.network()], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_letters_hold_up_no_small_ones() {
    let (_, relay, (a, _at_a), (b, mut at_b)) = pair(Listens::No).await;
    let peer = b.network().me();
    connected(a.network(), peer, Listens::No).await;
    for number in 0..3 {
        a.post(peer, letter(Lane::Qbft, &vec![number; 3 << 20]));
    }
    a.post(peer, letter(Lane::Qbft, b"small"));
    let mut lengths = Vec::new();
    for _ in 0..4 {
        lengths.push(next(&mut at_b).await.2.len());
    }
    assert_eq!(lengths, [5, 3 << 20, 3 << 20, 3 << 20]);
    stop(&[a.network(), b.network()], relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_ends_with_its_last_handle() {
    let (_, relay, (a, mut at_a), (b, _at_b)) = pair(Listens::No).await;
    connected(b.network(), a.network().me(), Listens::No).await;
    drop(a.clone());
    a.post(b.network().me(), letter(Lane::Qbft, b"a"));
    let mut status = b.network().status();
    drop(a);
    assert!(within(LIMIT, at_a.next()).await.is_none());
    within(LIMIT, status.wait_for(|status| status.connected.is_empty())).await.unwrap();
    b.stop().await;
    relay.relay.stop().await;
}
