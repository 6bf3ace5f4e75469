//! The task that owns the swarm.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_wire::protocol::PEERINFO;
use futures::StreamExt as _;
use futures::channel::mpsc as unbounded;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    ConnectionId, DialError, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, StreamProtocol,
    SwarmEvent,
};
use libp2p::{Multiaddr, PeerId, Swarm, dcutr, identify, ping};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::incoming::{self, Allowance, Room, Sink};
use super::relays::{self, Resolved};
use super::transport::{Quic, keypair, transport};
use super::{Command, Mode, Settings, StartError, Status};
use crate::circuit::{self, message as relay};
use crate::frame;
use crate::peers::{Effect, Event, Peers, Via};
use crate::protocol::Protocol;
use crate::report::{Connections, Pings, Report};
use crate::streams::{self, Inbound, Open, OpenError};
use crate::taken::refuse_taken;
use crate::{gate, goodbye, names};

/// Streams of one connection. go-libp2p has no limit; more than this many the library cannot hold.
pub(crate) const MAX_STREAMS: usize = 4096;
/// Streams of one connection that may be negotiated at once; more would wait where only 256 have room.
const MAX_NEGOTIATING: usize = 1024;
/// A connection on which nothing happens stays: peers are few, and meant to be there.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
/// What everyone on this network says in identify.
pub(crate) const IDENTIFY: &str = "ipfs/0.1.0";
/// How long asking a relay may take.
const RELAY_LIMIT: Duration = Duration::from_secs(60);
/// How long a connection may take until both sides have shown who they are.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(15);
/// Connections from anybody that have said nothing yet, and those that have not come so far: more than all peers of a cluster
/// open at once, and few beside the files that a process may have open.
pub(super) const MAX_PENDING: usize = 64;
/// Connections of one peer.
const MAX_OF_A_PEER: u32 = 8;
/// How long a ping may take, and how many in a row may be lost before a connection counts as dead.
const PING_LIMIT: Duration = Duration::from_secs(10);
const MAX_LOST: u32 = 3;
/// Resolved relays that wait for the swarm.
const RESOLVED: usize = 16;
/// The longest sleep without anything due.
const LONG: Duration = Duration::from_secs(3600);

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    gate: gate::Behaviour,
    streams: streams::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    dcutr: dcutr::Behaviour,
}

/// What a request to a relay came to.
struct Asked {
    relay: PeerId,
    result: Result<Duration, relay::CircuitError>,
}

/// What a peer has done.
#[derive(Default)]
struct Seen {
    connections: u64,
    /// Direct ones that both sides dialled at once.
    punched: u64,
    pings: Pings,
}

/// See the module.
pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    peers: Peers,
    started: Instant,
    protocols: BTreeMap<&'static str, Protocol>,
    /// Dials of ours, and to whom: a dial that fails does not say whom it was for.
    dials: HashMap<ConnectionId, PeerId>,
    /// Pings in a row that a connection has lost.
    lost: HashMap<ConnectionId, u32>,
    /// Everyone whose connections are brought by relays.
    members: Arc<BTreeSet<PeerId>>,
    allowance: Allowance,
    rooms: HashMap<PeerId, Arc<Room>>,
    /// Relays that were there at least once.
    answered: BTreeSet<PeerId>,
    /// What is told of peers: connections since the start, and pings.
    seen: BTreeMap<PeerId, Seen>,
    commands: mpsc::Receiver<Command>,
    sink: Sink,
    status: watch::Sender<Status>,
    streams: unbounded::UnboundedReceiver<Inbound>,
    circuits: circuit::Ends,
    asked: mpsc::Receiver<Asked>,
    to_ask: mpsc::Sender<Asked>,
    resolved: mpsc::Receiver<Resolved>,
}

fn behaviour(
    key: &Keypair,
    settings: &Settings,
    ping: Duration,
) -> (Behaviour, unbounded::UnboundedReceiver<Inbound>) {
    let mut ids = vec![StreamProtocol::new(relay::STOP)];
    ids.extend(settings.protocols.iter().map(|protocol| names::inside(protocol.id)));
    let (streams, inbound) = streams::Behaviour::new(ids);
    let identify =
        identify::Config::new(IDENTIFY.into(), key.public()).with_agent_version(settings.agent.clone());
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default().with_max_established_per_peer(Some(MAX_OF_A_PEER)),
        ),
        gate: gate::Behaviour::new(),
        streams,
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(ping).with_timeout(PING_LIMIT)),
        dcutr: dcutr::Behaviour::new(key.public().to_peer_id()),
    };
    (behaviour, inbound)
}

impl Driver {
    pub(super) fn new(
        settings: Settings,
        mode: Mode,
        commands: mpsc::Receiver<Command>,
        status: watch::Sender<Status>,
    ) -> Result<Self, StartError> {
        let key = keypair(&settings.key)?;
        let me = key.public().to_peer_id();
        let quic = Quic::of(&settings.listen);
        let (transport, circuits) = transport(&key, quic)?;
        let (behaviour, inbound) = behaviour(&key, &settings, mode.ping);
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE)
            // A message goes out behind the id of its protocol: waiting for the peer to repeat the id would double the time
            // of each step of consensus on a slow link. Peers of go-libp2p do the same.
            .with_substream_upgrade_protocol_override(Version::V1Lazy)
            .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
        let mut swarm = Swarm::new(transport, behaviour, me, config);
        refuse_taken(&settings.listen)?;
        for address in settings.listen.into_iter().chain([circuit::listen_address()]) {
            swarm.listen_on(address.clone()).map_err(|source| StartError::Listen { address, source })?;
        }
        for address in &settings.external {
            swarm.add_external_address(address.clone());
        }
        let peers = Peers::new(me, &settings.peers, settings.relays.len());
        let (told, resolved) = mpsc::channel(RESOLVED);
        for (index, source) in settings.relays.into_iter().enumerate() {
            let resolve = Arc::clone(&settings.resolve);
            tokio::spawn(relays::watch((index, source), resolve, quic, told.clone()));
        }
        let (to_ask, asked) = mpsc::channel(RESOLVED);
        let mut driver = Self {
            swarm,
            peers,
            started: Instant::now(),
            protocols: settings.protocols.iter().map(|one| (one.id, *one)).collect(),
            dials: HashMap::new(),
            lost: HashMap::new(),
            members: Arc::new(settings.peers.iter().copied().collect()),
            allowance: mode.allowance,
            rooms: HashMap::new(),
            answered: BTreeSet::new(),
            seen: BTreeMap::new(),
            commands,
            sink: mode.sink,
            status,
            streams: inbound,
            circuits,
            asked,
            to_ask,
            resolved,
        };
        driver.welcome();
        for address in &settings.external {
            driver.offer(address);
        }
        Ok(driver)
    }

    pub(super) fn me(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Runs until it is told to stop, or nobody is left who could tell it.
    pub(super) async fn run(mut self) {
        loop {
            let due = self.peers.due().map_or(Instant::now() + LONG, |due| self.started + due);
            tokio::select! {
                event = self.swarm.select_next_some() => self.swarm_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Open { peer, protocols, reply }) => {
                        self.swarm.behaviour_mut().streams.open(peer, Open { protocols, reply });
                    }
                    Some(Command::Report { reply }) => drop(reply.send(self.report())),
                    Some(Command::Stop { reply }) => {
                        self.end().await;
                        let _ = reply.send(());
                        return;
                    }
                    None => return self.end().await,
                },
                Some(inbound) = self.streams.next() => self.inbound(inbound),
                Some(dial) = self.circuits.dials.next() => self.dial_through(dial),
                Some(resolved) = self.resolved.recv() => {
                    let Resolved { relay, id, addresses, answers } = resolved;
                    tracing::debug!(relay = %id, ?addresses, "a relay is known");
                    self.happened(Event::Resolved { relay, id, addresses });
                    self.welcome();
                    if answers {
                        self.relay_answered(id);
                    }
                },
                Some(asked) = self.asked.recv() => self.reserved(asked),
                () = sleep_until(due) => self.happened(Event::Tick),
            }
        }
    }

    async fn end(&mut self) {
        goodbye::say(&mut self.swarm).await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells what happened, and does what comes of it.
    fn happened(&mut self, event: Event) {
        let now = self.now();
        let effects = self.peers.step(now, event);
        for effect in effects {
            match effect {
                Effect::Dial(peer, addresses) => self.dial(peer, addresses),
                Effect::Reserve(relay) => self.reserve(relay),
                Effect::Leave(peer) => {
                    tracing::debug!(%peer, "a relay is none of ours any more");
                    // It may have gone by itself.
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
            }
        }
    }

    /// Lets in whom the peers and relays of now are.
    fn welcome(&mut self) {
        let welcome = self.peers.welcome();
        self.swarm.behaviour_mut().gate.welcome(welcome);
    }

    /// An address at which peers may try to reach this node when both sides of a relayed connection dial at once. What
    /// others see of this node is offered besides.
    fn offer(&mut self, address: &Multiaddr) {
        let event = FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr: address });
        self.swarm.behaviour_mut().dcutr.on_swarm_event(event);
    }

    fn punched(&mut self, dcutr::Event { remote_peer_id: peer, result }: dcutr::Event) {
        match result {
            Ok(_) => {
                tracing::debug!(%peer, "a relayed connection has a direct one beside it");
                if let Some(seen) = self.seen(peer) {
                    seen.punched += 1;
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(%peer, error, "a relayed connection stays relayed");
            }
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let dial = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).build();
        let id = dial.connection_id();
        self.dials.insert(id, peer);
        if let Err(error) = self.swarm.dial(dial) {
            tracing::debug!(%peer, %error, "a dial was not begun");
            self.dials.remove(&id);
            self.happened(Event::DialFailed(peer));
        }
    }

    fn open(
        &mut self,
        peer: PeerId,
        protocol: &'static str,
    ) -> impl Future<Output = Result<streams::Stream, OpenError>> + use<> {
        let (reply, answer) = futures::channel::oneshot::channel();
        let open = Open { protocols: vec![StreamProtocol::new(protocol)], reply };
        self.swarm.behaviour_mut().streams.open(peer, open);
        async move { answer.await.unwrap_or(Err(OpenError::Lost)) }
    }

    fn reserve(&mut self, relay: PeerId) {
        let stream = self.open(relay, relay::HOP);
        let asked = self.to_ask.clone();
        tokio::spawn(async move {
            let asking = async {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                relay::reserve(stream.await?, now).await
            };
            let result =
                tokio::time::timeout(RELAY_LIMIT, asking).await.unwrap_or(Err(relay::CircuitError::Slow));
            drop(asked.send(Asked { relay, result }).await);
        });
    }

    fn reserved(&mut self, Asked { relay, result }: Asked) {
        match result {
            Ok(lasts) => {
                tracing::debug!(%relay, ?lasts, "a place is reserved with a relay");
                self.happened(Event::Reserved(relay, lasts));
                self.reservations();
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%relay, error, "no place is reserved with a relay");
                self.happened(Event::ReserveFailed(relay));
            }
        }
    }

    /// A relay is there: it has told its addresses, or a connection to those that it was given by is up.
    fn relay_answered(&mut self, id: PeerId) {
        if self.peers.is_relay(&id) && self.answered.insert(id) {
            let peers = &self.peers;
            // A relay that is somebody else now counts once.
            self.answered.retain(|id| peers.is_relay(id));
            let count = self.answered.len();
            self.status.send_modify(|status| status.relays = count);
        }
    }

    fn reservations(&mut self) {
        let now = self.now();
        let count = self.peers.reservations(now);
        self.status.send_if_modified(|status| std::mem::replace(&mut status.reservations, count) != count);
    }

    fn dial_through(&mut self, dial: circuit::Dial) {
        let stream = self.open(dial.relay, relay::HOP);
        tokio::spawn(async move {
            let connecting = async { relay::connect(stream.await?, dial.peer).await };
            let result =
                tokio::time::timeout(RELAY_LIMIT, connecting).await.unwrap_or(Err(relay::CircuitError::Slow));
            drop(dial.reply.send(result));
        });
    }

    fn inbound(&mut self, inbound: Inbound) {
        let id = names::outside(&inbound.protocol);
        if id == relay::STOP {
            match self.peers.is_relay(&inbound.peer) {
                true => {
                    let members = Arc::clone(&self.members);
                    tokio::spawn(incoming::circuit(inbound, members, self.circuits.arrivals.clone()))
                }
                // Only relays bring anybody.
                false => tokio::spawn(frame::finish(inbound.stream)),
            };
            return;
        }
        let Some(protocol) = self.protocols.get(id).copied() else { return };
        if !self.peers.is_peer(&inbound.peer) && protocol.id != PEERINFO.id {
            // Relays ask who a node is, and nothing else is theirs to say.
            tokio::spawn(frame::finish(inbound.stream));
            return;
        }
        let room = self.rooms.entry(inbound.peer).or_insert_with(|| Arc::new(Room::new(self.allowance)));
        tokio::spawn(incoming::serve(inbound, protocol, Arc::clone(room), self.sink.clone()));
    }

    /// What is told of a peer of the cluster; relays may come and go, and are not remembered.
    fn seen(&mut self, peer: PeerId) -> Option<&mut Seen> {
        self.peers.is_peer(&peer).then(|| self.seen.entry(peer).or_default())
    }

    fn report(&self) -> Report {
        let row = |id: &PeerId| {
            let (direct, relayed) = self.peers.counts(id);
            let seen = self.seen.get(id);
            let mut pings = seen.map(|seen| seen.pings.clone()).unwrap_or_default();
            if direct + relayed == 0 {
                pings.is_answered = None;
            }
            let in_all = seen.map_or(0, |seen| seen.connections);
            let refused_streams = self.rooms.get(id).map_or(0, |room| room.refused());
            let punched = seen.map_or(0, |seen| seen.punched);
            (*id, Connections { direct, relayed, in_all, punched, refused_streams, pings })
        };
        Report { peers: self.peers.ids().map(row).collect(), relays: self.peers.relays(self.now()) }
    }

    fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.dials.remove(&connection_id);
                tracing::debug!(peer = %peer_id, is_relayed = endpoint.is_relayed(), "connected");
                if let Some(seen) = self.seen(peer_id) {
                    seen.connections += 1;
                }
                self.happened(Event::Connected { peer: peer_id, via: Via::of(&endpoint) });
                self.relay_answered(peer_id);
                self.connections(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, endpoint, cause, connection_id, .. } => {
                self.lost.remove(&connection_id);
                tracing::debug!(peer = %peer_id, is_relayed = endpoint.is_relayed(), ?cause, "disconnected");
                self.happened(Event::Closed { peer: peer_id, via: Via::of(&endpoint) });
                self.connections(peer_id);
                self.reservations();
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let Some(peer) = self.dials.remove(&connection_id) else { return };
                if !matches!(error, DialError::DialPeerConditionFalse(_)) {
                    tracing::debug!(%peer, ?error, "a dial failed");
                }
                self.happened(Event::DialFailed(peer));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.pinged(&event),
            SwarmEvent::Behaviour(BehaviourEvent::Dcutr(event)) => self.punched(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                self.offer(&address);
                self.status.send_modify(|status| status.listening.push(address));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                if self.peers.is_peer(&peer_id) {
                    let names = info.protocols.iter().map(ToString::to_string).collect();
                    self.status.send_modify(|status| drop(status.protocols.insert(peer_id, names)));
                }
                self.happened(Event::Identified(peer_id, info.listen_addrs));
            }
            _ => {}
        }
    }

    fn pinged(&mut self, ping::Event { peer, connection, result }: &ping::Event) {
        let error = match result {
            Ok(round_trip) => {
                self.lost.remove(connection);
                if let Some(Seen { pings, .. }) = self.seen(*peer) {
                    pings.is_answered = Some(true);
                    pings.latency.add(*round_trip);
                }
                return;
            }
            Err(ping::Failure::Unsupported) => return,
            Err(error) => error,
        };
        if let Some(Seen { pings, .. }) = self.seen(*peer) {
            pings.is_answered = Some(false);
            pings.failed += 1;
        }
        let lost = self.lost.entry(*connection).or_default();
        *lost += 1;
        if *lost >= MAX_LOST {
            tracing::debug!(%peer, %error, "a connection is dead");
            self.swarm.close_connection(*connection);
        }
    }

    /// Tells who is connected.
    fn connections(&mut self, peer: PeerId) {
        let how = self.peers.connection(&peer);
        self.status.send_if_modified(|status| match how {
            Some(is_direct) => status.connected.insert(peer, is_direct) != Some(is_direct),
            None => status.connected.remove(&peer).is_some(),
        });
    }
}
