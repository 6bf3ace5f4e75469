//! The host: a task that owns the swarm, and the handle through which everything else speaks with peers.
//!
//! ```text
//! Network ─Command→ ┌──────── task ────────┐ ─→ streams of peers, one task each ─→ Incoming
//! relays  ─Resolved→│ swarm ⇄ peers::Peers │ ─→ Status (who is connected)
//!                   └──────────────────────┘
//! ```

mod driver;
mod incoming;
mod relays;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use futures::channel::oneshot;
use libp2p::swarm::StreamProtocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

pub(crate) use driver::{IDENTIFY, MAX_STREAMS};
pub(crate) use incoming::{Allowance, Sink};
pub use incoming::{Incoming, Place, Reply};
pub use relays::{MAX_ANSWER_BYTES, RelaySource, Resolve, ResolveError, relay_addresses};
pub(crate) use transport::keypair;

use crate::frame::{self, FrameError};
use crate::names;
use crate::protocol::Protocol;
use crate::report::Report;
use crate::streams::{OpenError, Stream};

/// Commands that wait for the swarm.
const COMMANDS: usize = 1024;
/// Messages of peers that wait to be looked at; streams wait behind them, they are not lost.
const INCOMING: usize = 1024;
/// How often a ceremony pings: go's servers end a stream of pings after 10 s of silence.
const PING: Duration = Duration::from_secs(5);
/// A stream that broke is tried again once, after so long.
pub(crate) const SECOND_TRY: Duration = Duration::from_millis(100);

/// What a host is.
pub struct Settings {
    /// Who this node is.
    pub key: IdentityKey,
    /// How it calls itself.
    pub agent: String,
    /// The peers of the cluster; this node may be among them.
    pub peers: Vec<PeerId>,
    /// The relays.
    pub relays: Vec<RelaySource>,
    /// How URLs of relays are asked.
    pub resolve: Arc<dyn Resolve>,
    /// Where it listens. It speaks QUIC where one of them is of QUIC.
    pub listen: Vec<Multiaddr>,
    /// Where it says it is, besides.
    pub external: Vec<Multiaddr>,
    /// What it answers.
    pub protocols: Vec<Protocol>,
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key is none that the network takes.
    #[error("the node's key cannot be used on the network")]
    Key(#[source] libp2p::identity::DecodingError),
    /// Encryption of connections.
    #[error("setting up the encryption of connections")]
    Noise(#[source] libp2p::noise::Error),
    /// Names of hosts.
    #[error("setting up the resolution of host names")]
    Dns(#[source] std::io::Error),
    /// An address to listen on.
    #[error("listening on {address}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The system's reason.
        source: libp2p::TransportError<std::io::Error>,
    },
    /// QUIC in a build without it.
    #[error("this program speaks no QUIC: it was built without the feature `quic`")]
    NoQuic,
    /// An id that cannot be one of a protocol.
    #[error("{0} is no id of a protocol")]
    Protocol(String),
}

/// Why a message did not reach a peer, or its answer did not come back.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no stream.
    #[error("opening a stream to the peer")]
    Open(#[from] OpenError),
    /// The message or the answer.
    #[error("talking to the peer")]
    Frame(#[from] FrameError),
    /// It took too long.
    #[error("the peer took longer than {} s", .0.as_secs())]
    Slow(Duration),
}

impl SendError {
    /// Whether a stream or connection broke, which says nothing about the peer: trying again may help.
    pub fn is_broken(&self) -> bool {
        match self {
            SendError::Open(OpenError::Lost | OpenError::Broken(_)) => true,
            SendError::Open(_) | SendError::Slow(_) => false,
            SendError::Frame(error) => error.is_broken(),
        }
    }
}

/// Who is connected, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Peers of the cluster with a connection; true where one is direct.
    pub connected: BTreeMap<PeerId, bool>,
    /// Relays that were there at least once: they have told their addresses, or were connected at those that were given.
    pub relays: usize,
    /// Relays that keep a place for this node.
    pub reservations: usize,
    /// What peers say they speak.
    pub protocols: BTreeMap<PeerId, Vec<String>>,
    /// Where this node listens.
    pub listening: Vec<Multiaddr>,
}

enum Command {
    Open { peer: PeerId, protocols: Vec<StreamProtocol>, reply: oneshot::Sender<Result<Stream, OpenError>> },
    Report { reply: oneshot::Sender<Report> },
    Stop { reply: oneshot::Sender<()> },
}

/// What differs between ceremonies and running clusters.
pub(crate) struct Mode {
    /// Where what peers send goes.
    pub(crate) sink: Sink,
    /// What one peer may make this node hold.
    pub(crate) allowance: Allowance,
    /// How often connections are pinged.
    pub(crate) ping: Duration,
}

/// A handle to the host; all its copies speak for the same one.
#[derive(Clone)]
pub struct Network {
    me: PeerId,
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
}

/// Starts a host of a ceremony. Its task ends with [`Network::stop`], or when all handles are gone.
///
/// `most_bytes` is what messages of one peer may have together that are being read, or wait for the reader of the channel
/// to drop their [`Reply`]; what is more waits on its stream.
///
/// # Errors
/// [`StartError`].
pub fn start(
    settings: Settings,
    most_bytes: usize,
) -> Result<(Network, mpsc::Receiver<Incoming>), StartError> {
    let (incoming, for_us) = mpsc::channel(INCOMING);
    let allowance = Allowance::of_ceremony(most_bytes);
    let mode = Mode { sink: Sink::Waits(incoming), allowance, ping: PING };
    Ok((start_as(settings, mode)?, for_us))
}

/// Starts a host that is one of these.
pub(crate) fn start_as(settings: Settings, mode: Mode) -> Result<Network, StartError> {
    let (commands, to_do) = mpsc::channel(COMMANDS);
    let (told, status) = watch::channel(Status::default());
    let driver = driver::Driver::new(settings, mode, to_do, told)?;
    let me = driver.me();
    tokio::spawn(driver.run());
    Ok(Network { me, commands, status })
}

/// The id of a peer with this key.
pub fn peer_id(public: &IdentityPublic) -> PeerId {
    let key = libp2p::identity::secp256k1::PublicKey::try_from_bytes(&public.to_bytes())
        .expect("a key that is one is one for libp2p too");
    libp2p::identity::PublicKey::from(key).to_peer_id()
}

impl Network {
    /// Who this node is.
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// Who is connected; changes are seen on a copy of it.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Opens a stream, waiting for a connection where there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, peer: PeerId, protocols: &[&'static str]) -> Result<Stream, OpenError> {
        let mut status = self.status.clone();
        if status.wait_for(|status| status.connected.contains_key(&peer)).await.is_err() {
            return Err(OpenError::Lost);
        }
        let protocols: Vec<StreamProtocol> = protocols.iter().map(|id| names::inside(id)).collect();
        let (reply, answer) = oneshot::channel();
        let command = Command::Open { peer, protocols, reply };
        self.commands.send(command).await.map_err(|_| OpenError::Lost)?;
        answer.await.map_err(|_| OpenError::Lost)?
    }

    /// Sends a message and waits until the peer has ended the stream, which says that it has read it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, peer: PeerId, protocol: &Protocol, message: &[u8]) -> Result<(), SendError> {
        let sending = async {
            let mut stream = self.open(peer, &[protocol.id]).await?;
            frame::write(&mut stream, message).await?;
            Ok(frame::acknowledged(stream).await?)
        };
        within(protocol, sending).await
    }

    /// Like [`Network::send`], and once more where the stream broke.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_again(
        &self,
        peer: PeerId,
        protocol: &Protocol,
        message: &[u8],
    ) -> Result<(), SendError> {
        match self.send(peer, protocol, message).await {
            Err(error) if error.is_broken() => {
                tokio::time::sleep(SECOND_TRY).await;
                self.send(peer, protocol, message).await
            }
            other => other,
        }
    }

    /// Sends a message and waits until the peer has ended the stream, or as long as the protocol allows: a peer that does
    /// not end it in time counts as slow.
    pub(crate) async fn deliver(
        &self,
        peer: PeerId,
        protocol: &Protocol,
        message: &[u8],
    ) -> Result<(), SendError> {
        let sending = async {
            let mut stream = self.open(peer, &[protocol.id]).await?;
            frame::write(&mut stream, message).await?;
            Ok(frame::ended(stream).await?)
        };
        within(protocol, sending).await
    }

    /// Sends a message and reads the answer.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn request(
        &self,
        peer: PeerId,
        protocol: &Protocol,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        self.request_by(peer, protocol, &[protocol.id], message).await
    }

    /// Like [`Network::request`], by the first of these ids that the peer knows.
    pub(crate) async fn request_by(
        &self,
        peer: PeerId,
        protocol: &Protocol,
        ids: &[&'static str],
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        let asking = async {
            let mut stream = self.open(peer, ids).await?;
            frame::write(&mut stream, message).await?;
            frame::half_close(&mut stream).await?;
            let answer = frame::read(&mut stream, protocol.max_bytes).await?;
            frame::finish(stream).await;
            Ok(answer)
        };
        within(protocol, asking).await
    }

    /// What the host has seen; nothing where it has ended.
    pub async fn report(&self) -> Report {
        let (reply, answer) = oneshot::channel();
        match self.commands.send(Command::Report { reply }).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Report::default(),
        }
    }

    /// Ends all connections and the task.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// What is done on a stream of a protocol, within its time. A refusal of the id comes only when the stream is read; it is told
/// as one that came at once.
async fn within<T>(
    protocol: &Protocol,
    work: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    let limit = protocol.send;
    match tokio::time::timeout(limit, work).await.unwrap_or(Err(SendError::Slow(limit))) {
        Err(SendError::Frame(FrameError::Unsupported)) => {
            Err(SendError::Open(OpenError::Unsupported(protocol.id.into())))
        }
        other => other,
    }
}
