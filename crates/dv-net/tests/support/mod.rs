//! Hosts that echo, and relays: ours, and charon's where there is one.

#![expect(
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "each test program uses a part of this module, which says why it skips and fails where a step does"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::relay::{self, Private, Relay};
use coxswain_dv_net::{
    Incoming, Kind, Network, Protocol, RelaySource, Resolve, ResolveError, Settings, peer_id, start,
};
use coxswain_dv_wire::message;
use coxswain_dv_wire::peerinfo::PeerInfo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What one peer may make a host of a ceremony hold.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// Keeps the expectation above true in a program that uses everything.
const NEVER_USED: () = ();

/// A protocol whose answer is the message.
pub(crate) const ECHO: Protocol = Protocol {
    id: "/coxswain/test/echo/1.0.0",
    kind: Kind::Answered,
    max_bytes: 1 << 20,
    receive: Duration::from_secs(5),
    send: Duration::from_secs(15),
};

/// What a relay asks.
pub(crate) const PEERINFO: Protocol = Protocol {
    id: coxswain_dv_wire::protocol::PEERINFO.id,
    kind: Kind::Answered,
    max_bytes: 1 << 20,
    receive: Duration::from_secs(5),
    send: Duration::from_secs(7),
};
/// The hash of the cluster of all hosts here, and what is shown of it.
pub(crate) const LOCK_HASH: [u8; 32] = [0xc5; 32];
pub(crate) const CLUSTER: &str = "c5c5c5c";

/// Fails the test where the work takes longer.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("the work takes too long")
}

/// New keys.
pub(crate) fn keys(count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|_| *IdentityKey::generate(&mut rand::rng()).to_bytes()).collect()
}

/// A plain GET, without TLS: enough for a relay on this machine.
pub(crate) struct PlainHttp;

#[async_trait]
impl Resolve for PlainHttp {
    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError> {
        let failed = |why: &dyn ToString| ResolveError::Request { url: url.to_owned(), why: why.to_string() };
        let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let mut stream = tokio::net::TcpStream::connect(address).await.map_err(|e| failed(&e))?;
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|e| failed(&e))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|e| failed(&e))?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failed(&"no body"))?;
        Ok(body.as_bytes().to_vec())
    }
}

/// A host that answers [`ECHO`] and [`PEERINFO`].
pub(crate) struct Host {
    pub(crate) network: Network,
}

impl Host {
    /// The host of one key among all.
    pub(crate) fn start(key: &[u8; 32], all: &[[u8; 32]], relay: &str) -> Host {
        let of = |key: &[u8; 32]| IdentityKey::from_bytes(key).unwrap();
        let settings = Settings {
            key: of(key),
            agent: "coxswain/test".into(),
            peers: all.iter().map(|key| peer_id(&of(key).public())).collect(),
            relays: vec![RelaySource::parse(relay).unwrap()],
            resolve: Arc::new(PlainHttp),
            listen: Vec::new(),
            external: Vec::new(),
            protocols: vec![ECHO, PEERINFO],
        };
        let (network, mut incoming) = start(settings, MOST_BYTES).unwrap();
        tokio::spawn(async move {
            while let Some(event) = incoming.recv().await {
                if let Incoming::Message { protocol, bytes, reply, .. } = event {
                    let info = PeerInfo { lock_hash: LOCK_HASH.to_vec(), ..PeerInfo::default() };
                    reply.send(if protocol == ECHO.id { bytes.to_vec() } else { message::encode(&info) });
                }
            }
        });
        Host { network }
    }
}

/// Fails unless each of two hosts reaches the other.
pub(crate) async fn meet(a: &Host, b: &Host) {
    for (from, to) in [(a, b), (b, a)] {
        let answer = from.network.request(to.network.me(), &ECHO, b"hello").await.expect("an answer");
        assert_eq!(*answer, b"hello");
    }
}

/// A relay of ours in this process, and the address that nodes are given of it.
pub(crate) struct OurRelay {
    pub(crate) relay: Relay,
    pub(crate) address: String,
}

/// Starts a relay of ours at a port.
pub(crate) async fn our_relay(
    key: &[u8; 32],
    port: u16,
    max_connections: u32,
    max_reservations: usize,
) -> OurRelay {
    let settings = relay::Settings {
        key: IdentityKey::from_bytes(key).unwrap(),
        agent: "coxswain/test".into(),
        listen: vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()],
        external: Vec::new(),
        private: Private::Tell,
        max_connections,
        max_reservations,
    };
    let relay = relay::start(settings).unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", relay.me());
    OurRelay { relay, address }
}

/// A relay of charon, ended with the value.
pub(crate) struct CharonRelay {
    process: Child,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

impl Drop for CharonRelay {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts charon's relay, where there is a charon.
pub(crate) async fn charon_relay() -> Option<CharonRelay> {
    let Some(charon) = std::env::var_os("CHARON_BIN") else {
        println!("skipped: CHARON_BIN names no charon");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let [http, p2p] = [free_port(), free_port()];
    let mut process = Command::new(charon)
        .arg("relay")
        .args(["--data-dir", dir.path().to_str().unwrap()])
        .args(["--http-address", &format!("127.0.0.1:{http}")])
        .args(["--p2p-tcp-address", &format!("127.0.0.1:{p2p}")])
        .args(["--p2p-advertise-private-addresses", "--log-level", "debug"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = BufReader::new(process.stderr.take().unwrap());
    // Read to the end, so that the relay never waits for its reader.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if std::env::var_os("COXSWAIN_TEST_LOG").is_some() {
                println!("relay: {line}");
            }
        }
    });
    let url = format!("http://127.0.0.1:{http}");
    within(Duration::from_secs(20), async {
        while PlainHttp.get(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    Some(CharonRelay { process, url, _dir: dir })
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
