//! Hosts that echo, and relays.

#![expect(unreachable_pub, reason = "a test includes it")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::{
    Incoming, Kind, Network, Protocol, RelaySource, Resolve, ResolveError, Settings, peer_id, start,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A protocol whose answer is the message.
pub const ECHO: Protocol = Protocol {
    id: "/coxswain/test/echo/1.0.0",
    kind: Kind::Answered,
    max_bytes: 1 << 20,
    receive: Duration::from_secs(5),
    send: Duration::from_secs(15),
};

/// Fails the test where the work takes longer.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("the work takes too long")
}

/// New keys.
pub fn keys(count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|_| *IdentityKey::generate(&mut rand::rng()).to_bytes()).collect()
}

/// A plain GET, without TLS: enough for a relay on this machine.
pub struct PlainHttp;

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

/// A host that answers [`ECHO`].
pub struct Host {
    pub network: Network,
}

impl Host {
    /// The host of one key among all.
    pub fn start(key: &[u8; 32], all: &[[u8; 32]], relay: &str) -> Host {
        let of = |key: &[u8; 32]| IdentityKey::from_bytes(key).unwrap();
        let settings = Settings {
            key: of(key),
            agent: "coxswain/test".into(),
            peers: all.iter().map(|key| peer_id(&of(key).public())).collect(),
            relays: vec![RelaySource::parse(relay).unwrap()],
            resolve: Arc::new(PlainHttp),
            listen: Vec::new(),
            external: Vec::new(),
            protocols: vec![ECHO],
        };
        let (network, mut incoming) = start(settings).unwrap();
        tokio::spawn(async move {
            while let Some(event) = incoming.recv().await {
                if let Incoming::Message { bytes, reply, .. } = event {
                    reply.send(bytes.to_vec());
                }
            }
        });
        Host { network }
    }
}

/// A relay of charon, ended with the value.
pub struct CharonRelay {
    process: Child,
    pub url: String,
    _dir: tempfile::TempDir,
}

impl Drop for CharonRelay {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts charon's relay, where there is a charon.
pub async fn charon_relay() -> Option<CharonRelay> {
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

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
