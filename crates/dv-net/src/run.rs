//! A host of a running cluster.
//!
//! ```text
//! Node::post ─→ outbox of a peer ─→ a stream for each letter ─→ peer
//! peer ─→ streams, each read at once ─→ queues by peer and protocol ─→ Inbox::next
//! every minute: peerinfo ⇄ each peer            every 5 s: ping (the host's)
//! ```
//!
//! Nothing here waits for anybody: a driver posts and goes on, a stream of a peer ends as soon as its message is whole, and
//! what is too much is let go of, the oldest first, and counted.
//!
//! # What must never happen
//!
//! - A peer that does not read holds up another one, or the driver.
//! - A peer that sends without end takes more memory than its limits, or pushes out what others sent.

mod figures;
mod inbox;
mod info;
mod outbox;
mod post;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coxswain_dv_wire::peerinfo::PeerInfo;
use coxswain_dv_wire::protocol::{PRIORITY, PRIORITY_LEGACY, PROTOCOLS};
use libp2p::PeerId;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

pub use figures::{Durations, Received, SEND_BUCKETS, Sends, Sent};
pub use inbox::{MAX_BYTES, MAX_MESSAGES};
pub use info::{Said, Support};
pub use outbox::{Lane, Letter, MAX_FLYING, MAX_SIGNATURES, MAX_WAITING, MAX_WAITING_BYTES};

use crate::frame::FrameError;
use crate::host::{self, Allowance, Incoming, Mode, Network, SendError, Sink, StartError, Status};
use crate::protocol::Protocol;
use crate::report::Report;
use figures::Arrivals;
use inbox::{Message, Put, Queues};

/// How often peers are pinged. Charon does so every second, which costs 0.08 CPU s a minute with three peers; at this rate a
/// connection that is dead is still found within two slots.
const PING: Duration = Duration::from_secs(5);
/// Streams of one peer that are read or wait to be: as many as one peer has of all duties of half a minute.
const MAX_STREAMS: usize = 1024;
/// Bytes of messages of one peer that are not whole yet: two of the largest size.
const MAX_READING: usize = 64 << 20;

/// What a host of a running cluster is.
pub struct Settings {
    /// The host. Its protocols are those of a running cluster, whatever is given here.
    pub host: host::Settings,
    /// What this node says of itself; the time of sending is put in by each answer.
    pub info: PeerInfo,
}

/// What all handles of a host share.
struct Shared {
    network: Network,
    boxes: BTreeMap<PeerId, post::Slot>,
    said: Mutex<BTreeMap<PeerId, Said>>,
    inbox: Arc<Queue>,
}

/// Messages of peers, and who waits for them.
struct Queue {
    queues: Mutex<Queues<Incoming>>,
    arrivals: Mutex<Arrivals>,
    wake: Notify,
}

/// Tasks that end with the last handle.
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A handle to the host; all its copies speak for the same one. The host ends with [`Node::stop`], or with the last handle.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// Where messages of peers come out.
pub struct Inbox {
    queue: Arc<Queue>,
    /// Ends with the host.
    status: watch::Receiver<Status>,
}

/// What a peer looks like to this node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peer {
    /// What is sent to it.
    pub sends: Sends,
    /// What has come from it, by protocol.
    pub received: BTreeMap<&'static str, Received>,
    /// What it says of itself; none before its first answer.
    pub said: Option<Said>,
}

/// What a node has seen since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// Connections, pings, relays.
    pub network: Report,
    /// Every peer of the cluster but this node.
    pub peers: BTreeMap<PeerId, Peer>,
}

/// A lock that only guards data: a panic elsewhere leaves it usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A protocol of [`PROTOCOLS`] that a running cluster speaks.
fn spoken(protocol: &coxswain_dv_wire::protocol::Protocol) -> Protocol {
    let known = PROTOCOLS.iter().find(|one| one.id == protocol.id).and_then(Protocol::of_run);
    known.expect("a running cluster speaks it")
}

/// Starts a host of a running cluster.
///
/// # Errors
/// [`StartError`].
pub fn start(settings: Settings) -> Result<(Node, Inbox), StartError> {
    let Settings { mut host, info } = settings;
    host.protocols = PROTOCOLS.iter().filter_map(Protocol::of_run).collect();
    let peers = host.peers.clone();
    let queue = Arc::new(Queue {
        queues: Mutex::new(Queues::new()),
        arrivals: Mutex::new(Arrivals::default()),
        wake: Notify::new(),
    });
    let info = Arc::new(info);
    let sink = {
        let (queue, info) = (Arc::clone(&queue), Arc::clone(&info));
        Sink::Takes(Arc::new(move |incoming| queue.take_in(&info, incoming)))
    };
    let allowance = Allowance { streams: MAX_STREAMS, bytes: MAX_READING };
    let network = host::start_as(host, Mode { sink, allowance, ping: PING })?;
    let others = || peers.iter().copied().filter(|peer| *peer != network.me());
    let shared = Arc::new(Shared {
        network: network.clone(),
        boxes: others().map(|peer| (peer, post::Slot::default())).collect(),
        said: Mutex::new(BTreeMap::new()),
        inbox: Arc::clone(&queue),
    });
    let tasks = others().flat_map(|peer| {
        [
            tokio::spawn(post::run(Arc::clone(&shared), peer)).abort_handle(),
            tokio::spawn(info::ask(Arc::clone(&shared), peer, Arc::clone(&info))).abort_handle(),
        ]
    });
    let tasks = Arc::new(Tasks(tasks.collect()));
    Ok((Node { shared, _tasks: tasks }, Inbox { queue, status: network.status() }))
}

impl Message for Incoming {
    fn bytes(&self) -> &[u8] {
        match self {
            Incoming::Message { bytes, .. } => bytes,
            Incoming::Stream { .. } => &[],
        }
    }

    fn is_droppable_copy(&self) -> bool {
        match self {
            Incoming::Message { protocol, .. } => !is_priority(protocol),
            Incoming::Stream { .. } => false,
        }
    }
}

fn is_priority(protocol: &str) -> bool {
    protocol == PRIORITY.id || protocol == PRIORITY_LEGACY.id
}

impl Queue {
    /// Takes what a peer sent. Who asks what this node is has the answer at once.
    fn take_in(&self, info: &PeerInfo, incoming: Incoming) {
        let Incoming::Message { peer, protocol, bytes, reply } = incoming else { return };
        if protocol == coxswain_dv_wire::protocol::PEERINFO.id {
            return reply.send(info::answer(info));
        }
        let length = bytes.len();
        let source = (peer, protocol);
        let put = lock(&self.queues).put(source, Incoming::Message { peer, protocol, bytes, reply });
        if matches!(put, Put::Displaced(_)) {
            tracing::debug!(%peer, protocol, "messages of a peer are let go of: it sends faster than they are handled");
        }
        lock(&self.arrivals).count(source, length, put);
        self.wake.notify_one();
    }
}

impl Inbox {
    /// The next message of a peer; none once the host has ended. One of [`QBFT`](coxswain_dv_wire::protocol::QBFT),
    /// [`PARSIGEX`](coxswain_dv_wire::protocol::PARSIGEX) or a priority protocol: the last wants an answer within 5 s.
    pub async fn next(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = lock(&self.queue.queues).take() {
                return Some(incoming);
            }
            tokio::select! {
                () = self.queue.wake.notified() => {}
                changed = self.status.changed() => if changed.is_err() {
                    return lock(&self.queue.queues).take();
                },
            }
        }
    }
}

impl Node {
    /// The host: who is connected, and its end.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.shared.network
    }

    /// Puts a letter into the box of a peer. Never waits; what becomes of it is counted in [`Node::overview`]. A letter for
    /// somebody who is no peer goes nowhere.
    pub fn post(&self, peer: PeerId, letter: Letter) {
        if let Some(slot) = self.shared.boxes.get(&peer) {
            slot.post(letter);
        }
    }

    /// Tells a peer this node's preferences and reads its own, by the id that it knows.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn exchange_priorities(
        &self,
        peer: PeerId,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        let protocol = spoken(&PRIORITY);
        let ids = [PRIORITY.id, PRIORITY_LEGACY.id];
        match self.network().request_by(peer, &protocol, &ids, message).await {
            // A stream that was reset reads like one that ended early.
            Err(error) if error.is_broken() || matches!(error, SendError::Frame(FrameError::Ended)) => {
                tokio::time::sleep(host::SECOND_TRY).await;
                self.network().request_by(peer, &protocol, &ids, message).await
            }
            other => other,
        }
    }

    /// What this node has seen.
    pub async fn overview(&self) -> Overview {
        let network = self.network().report().await;
        let shared = &self.shared;
        let peers = shared.boxes.iter().map(|(peer, slot)| {
            let said = lock(&shared.said).get(peer).cloned();
            let received = lock(&shared.inbox.arrivals).of(peer);
            (*peer, Peer { sends: slot.figures(), received, said })
        });
        Overview { network, peers: peers.collect() }
    }

    /// Messages that wait in the inbox.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.shared.inbox.queues).len()
    }

    /// Ends all connections.
    pub async fn stop(&self) {
        self.network().stop().await;
    }
}
