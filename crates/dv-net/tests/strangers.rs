//! Connections from strangers, while a node of the cluster wants to connect.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::{Network, PeerId, RelaySource, Settings, peer_id, start};
use support::{MOST_BYTES, PlainHttp, free_port, keys, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(30);
/// More than a node has places for connections that are not set up.
const MANY: usize = 80;
/// How libp2p begins, after which a stranger may say nothing.
const BEGINNING: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

/// What a stranger says.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    Beginning,
}

/// A stranger with many connections, each of which is made again whenever the other side ends it. Ended with the value.
struct Stranger {
    _connections: JoinSet<()>,
    /// A place for each connection that was ended.
    ended: Arc<Semaphore>,
}

impl Stranger {
    /// Comes in such numbers that connections are ended: there are no free places left.
    async fn come(from: IpAddr, to: SocketAddr, says: Says) -> Stranger {
        let ended = Arc::new(Semaphore::new(0));
        let mut connections = JoinSet::new();
        for _ in 0..MANY {
            connections.spawn(insist(from, to, says, Arc::clone(&ended)));
        }
        let stranger = Stranger { _connections: connections, ended };
        within(LIMIT, stranger.ended.acquire_many(MANY as u32)).await.unwrap().forget();
        stranger
    }

    /// Fails unless it still comes.
    async fn still_comes(&self) {
        let _ = within(LIMIT, self.ended.acquire_many(MANY as u32)).await.unwrap();
    }
}

async fn insist(from: IpAddr, to: SocketAddr, says: Says, ended: Arc<Semaphore>) {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let Ok(mut stream) = socket.connect(to).await else { continue };
        match says {
            Says::Nothing => {}
            Says::Beginning => drop(stream.write_all(BEGINNING).await),
        }
        // The answer to the beginning, and then the end.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        ended.add_permits(1);
    }
}

/// A host that listens, or one that is told where to find another one: it is called a relay, whose address hosts are given.
enum Role {
    Listens(SocketAddr),
    Dials(PeerId, SocketAddr),
}

fn host(key: &[u8; 32], all: &[[u8; 32]], role: &Role) -> Network {
    let of = |key: &[u8; 32]| IdentityKey::from_bytes(key).unwrap();
    let address = |at: &SocketAddr| format!("/ip4/{}/tcp/{}", at.ip(), at.port()).parse().unwrap();
    let (listen, relays) = match role {
        Role::Listens(at) => (vec![address(at)], Vec::new()),
        Role::Dials(id, at) => (Vec::new(), vec![RelaySource::Address(*id, address(at))]),
    };
    let settings = Settings {
        key: of(key),
        agent: "coxswain/test".into(),
        peers: all.iter().map(|key| peer_id(&of(key).public())).collect(),
        relays,
        resolve: Arc::new(PlainHttp),
        listen,
        external: Vec::new(),
        protocols: Vec::new(),
    };
    start(settings, MOST_BYTES).unwrap().0
}

async fn directly_connected(host: &Network, peer: PeerId) {
    let mut status = host.status();
    let waiting = status.wait_for(|status| status.connected.get(&peer) == Some(&true));
    within(LIMIT, waiting).await.expect("the host lives");
}

/// Peers connect to a node while a stranger connects to it without end.
async fn peers_connect_past_a_stranger(from: [u8; 4], says: Says) {
    let cluster = keys(10);
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let node = host(&cluster[0], &cluster, &Role::Listens(at));
    let stranger = Stranger::come(from.into(), at, says).await;
    let dials = Role::Dials(node.me(), at);
    let peers: Vec<Network> = cluster[1..].iter().map(|key| host(key, &cluster, &dials)).collect();
    for peer in &peers {
        directly_connected(peer, node.me()).await;
    }
    stranger.still_comes().await;
    for host in peers.iter().chain([&node]) {
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_connect_past_a_silent_stranger_at_their_own_address() {
    peers_connect_past_a_stranger([127, 0, 0, 1], Says::Nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_connect_past_a_stranger_who_begins() {
    peers_connect_past_a_stranger([127, 0, 0, 2], Says::Beginning).await;
}
