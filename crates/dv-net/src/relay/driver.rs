//! The task that owns the relay's swarm.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use coxswain_dv_wire::address::{self, PrivateAddresses};
use coxswain_dv_wire::protocol::PEERINFO;
use futures::StreamExt as _;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{ConnectionId, ListenError, NetworkBehaviour, StreamProtocol, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport as _, identify, noise, ping, relay};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::places::Places;
use super::rows::{Row, Seen, cluster_of};
use super::traffic::{Counted, Traffic};
use super::{CIRCUIT_BYTES, CIRCUIT_LASTS, Command, Private, RESERVATION_LASTS, Settings};
use crate::cork::Streams;
use crate::frame;
use crate::goodbye;
use crate::host::{IDENTIFY, MAX_STREAMS, StartError, keypair};
use crate::pending::{Evicted, Handshakes, Spoken};
use crate::streams::{self, Inbound, Open};
use crate::taken::refuse_taken;

/// How often every peer is asked what it is.
const ASK: Duration = Duration::from_secs(10);
/// How long an answer may take, as between nodes.
const ANSWER_LIMIT: Duration = Duration::from_secs(7);
/// Peers that are being asked at one moment.
const MAX_ASKING: usize = 256;
/// How often a peer is pinged.
const PING: Duration = Duration::from_secs(5);
/// Pings that fail one after the other before a connection counts as dead: nothing else would notice.
const MAX_LOST_PINGS: u32 = 4;
/// How long encrypting a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that are being encrypted at one moment, and those that have said nothing yet.
const MAX_HANDSHAKES: usize = 1024;
/// Connections of one peer: duplicates are normal, and more than these are a mistake.
const MAX_PER_PEER: u32 = 32;
/// Streams of one connection that may be negotiated at once.
const MAX_NEGOTIATING: usize = 128;
/// What nobody asks for within an hour is gone.
const IDLE: Duration = Duration::from_secs(3600);

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    relay: relay::Behaviour,
    streams: streams::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// What a peer said of itself.
struct Told {
    peer: PeerId,
    answer: Option<zeroize::Zeroizing<Vec<u8>>>,
}

/// See the module.
pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    private: Private,
    external: Vec<Multiaddr>,
    found: BTreeSet<Multiaddr>,
    rows: BTreeMap<PeerId, Row>,
    refused_connections: u64,
    /// Connections that were refused because others came, before they had shown who they are.
    evicted: Evicted,
    refused_reservations: u64,
    lost_pings: HashMap<ConnectionId, u32>,
    asking: BTreeSet<PeerId>,
    places: Places,
    traffic: Traffic,
    commands: mpsc::Receiver<Command>,
    addresses: watch::Sender<Vec<Multiaddr>>,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    /// Peers open no streams of ours; kept so that the behaviour has somebody to send to.
    inbound: futures::channel::mpsc::UnboundedReceiver<Inbound>,
}

fn transport(
    key: &Keypair,
    traffic: Traffic,
    evicted: &Evicted,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StartError> {
    let all = Spoken::new(MAX_HANDSHAKES, evicted.clone())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key).map_err(StartError::Noise)?)
        .multiplex(Streams::limited(MAX_STREAMS))
        .timeout(HANDSHAKE)
        .map(move |(peer, muxer), _| {
            let counted = Counted { inner: StreamMuxerBox::new(muxer), bytes: traffic.of(peer) };
            (peer, StreamMuxerBox::new(counted))
        })
        .boxed();
    Ok(Handshakes::limited(all, MAX_HANDSHAKES, evicted.clone()))
}

fn relay_server(me: PeerId, settings: &Settings, places: &Places) -> relay::Behaviour {
    let of_address = places.clone();
    let config = relay::Config {
        max_reservations: settings.max_connections as usize,
        // One for each connection; connections of a peer are limited.
        max_reservations_per_peer: MAX_PER_PEER as usize,
        reservation_duration: RESERVATION_LASTS,
        reservation_rate_limiters: vec![Box::new(move |peer: PeerId, address: &Multiaddr, _| {
            of_address.take(peer, address)
        })],
        max_circuits: (settings.max_connections as usize).saturating_mul(settings.max_reservations),
        // The library lets one more through than this says.
        max_circuits_per_peer: settings.max_reservations.saturating_sub(1),
        max_circuit_duration: CIRCUIT_LASTS,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    };
    let mut behaviour = relay::Behaviour::new(me, config);
    behaviour.set_status(Some(relay::Status::Enable));
    behaviour
}

impl Driver {
    pub(super) fn new(
        settings: Settings,
        commands: mpsc::Receiver<Command>,
        addresses: watch::Sender<Vec<Multiaddr>>,
    ) -> Result<Self, StartError> {
        let key = keypair(&settings.key)?;
        let me = key.public().to_peer_id();
        let (traffic, places) = (Traffic::default(), Places::new(settings.max_reservations));
        let (streams, inbound) = streams::Behaviour::new(Vec::new());
        let limits = ConnectionLimits::default()
            .with_max_established(Some(settings.max_connections))
            .with_max_established_per_peer(Some(MAX_PER_PEER));
        let identify =
            identify::Config::new(IDENTIFY.into(), key.public()).with_agent_version(settings.agent.clone());
        let behaviour = Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            relay: relay_server(me, &settings, &places),
            streams,
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING)),
        };
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE)
            .with_max_negotiating_inbound_streams(MAX_NEGOTIATING);
        let evicted = Evicted::default();
        let transport = transport(&key, traffic.clone(), &evicted)?;
        let mut swarm = Swarm::new(transport, behaviour, me, config);
        refuse_taken(&settings.listen)?;
        for address in settings.listen {
            swarm.listen_on(address.clone()).map_err(|source| StartError::Listen { address, source })?;
        }
        let (tell, told) = mpsc::channel(MAX_ASKING);
        let mut driver = Self {
            swarm,
            private: settings.private,
            external: settings.external,
            found: BTreeSet::new(),
            rows: BTreeMap::new(),
            refused_connections: 0,
            evicted,
            refused_reservations: 0,
            lost_pings: HashMap::new(),
            asking: BTreeSet::new(),
            places,
            traffic,
            commands,
            addresses,
            told,
            tell,
            inbound,
        };
        driver.readdress();
        Ok(driver)
    }

    pub(super) fn me(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    pub(super) async fn run(mut self) {
        let mut ask = interval(ASK);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.swarm_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Seen(reply)) => drop(reply.send(self.seen())),
                    Some(Command::Stop(reply)) => {
                        self.end().await;
                        let _ = reply.send(());
                        return;
                    }
                    None => return self.end().await,
                },
                Some(Told { peer, answer }) = self.told.recv() => self.answered(peer, answer),
                // None of our protocols is offered, so none comes; one that did would be dropped.
                Some(_) = self.inbound.next() => {}
                _ = ask.tick() => {
                    let peers: Vec<PeerId> = self.rows.keys().copied().collect();
                    peers.into_iter().for_each(|peer| self.ask(peer));
                }
            }
        }
    }

    async fn end(&mut self) {
        goodbye::say(&mut self.swarm).await;
    }

    fn seen(&self) -> Seen {
        let with_traffic = |row: &Row| {
            let (received, sent) = self.traffic.of(row.peer).get();
            Row { received, sent, ..row.clone() }
        };
        Seen {
            rows: self.rows.values().map(with_traffic).collect(),
            refused_connections: self.refused_connections + self.evicted.count(),
            refused_reservations: self.refused_reservations,
        }
    }

    /// Works out anew what others are told of this relay, and what stands in reservations.
    fn readdress(&mut self) {
        let ours = |all: &mut dyn Iterator<Item = &Multiaddr>| -> Vec<address::Multiaddr> {
            all.filter_map(|one| address::Multiaddr::parse(&one.to_string()).ok()).collect()
        };
        let (found, given) = (ours(&mut self.found.iter()), ours(&mut self.external.iter()));
        let theirs = |private| -> Vec<Multiaddr> {
            let told = address::advertised(&found, &given, private);
            told.iter().filter_map(|one| one.to_string().parse().ok()).collect()
        };
        let told = theirs(match self.private {
            Private::Tell => PrivateAddresses::Tell,
            Private::Leave => PrivateAddresses::Leave,
        });
        // Clients of rust-libp2p refuse a reservation without an address.
        let reserved = if told.is_empty() { theirs(PrivateAddresses::Tell) } else { told.clone() };
        let before: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        for gone in before.iter().filter(|one| !reserved.contains(one)) {
            self.swarm.remove_external_address(gone);
        }
        for new in reserved.into_iter().filter(|one| !before.contains(one)) {
            self.swarm.add_external_address(new);
        }
        self.addresses.send_if_modified(|all| std::mem::replace(all, told.clone()) != told);
    }

    fn ask(&mut self, peer: PeerId) {
        if self.asking.len() >= MAX_ASKING || !self.asking.insert(peer) {
            return;
        }
        let (reply, stream) = futures::channel::oneshot::channel();
        let open = Open { protocols: vec![StreamProtocol::new(PEERINFO.id)], reply };
        self.swarm.behaviour_mut().streams.open(peer, open);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let asking = async {
                let mut stream = stream.await.ok()?.ok()?;
                frame::write(&mut stream, &[]).await.ok()?;
                frame::half_close(&mut stream).await.ok()?;
                let answer = frame::read(&mut stream, PEERINFO.max_bytes).await.ok()?;
                frame::finish(stream).await;
                Some(answer)
            };
            let answer = tokio::time::timeout(ANSWER_LIMIT, asking).await.ok().flatten();
            drop(tell.send(Told { peer, answer }).await);
        });
    }

    fn answered(&mut self, peer: PeerId, answer: Option<zeroize::Zeroizing<Vec<u8>>>) {
        self.asking.remove(&peer);
        let cluster = answer.and_then(|answer| cluster_of(&answer));
        // What a peer once said stays: an answer may be lost.
        if let (Some(row), Some(cluster)) = (self.rows.get_mut(&peer), cluster)
            && row.cluster != cluster
        {
            tracing::info!(%peer, %cluster, "a peer says which cluster it is of");
            row.cluster = cluster;
        }
    }

    fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                tracing::debug!(peer = %peer_id, from = %endpoint.get_remote_address(), "connected");
                let row = self.rows.entry(peer_id).or_insert_with(|| Row::new(peer_id));
                row.connections += 1;
                row.connections_in_all += 1;
                self.ask(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.lost_pings.remove(&connection_id);
                self.closed(peer_id, num_established);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                if matches!(error, ListenError::Denied { .. }) {
                    self.refused_connections += 1;
                }
                tracing::debug!(from = %send_back_addr, %error, "a connection did not come about");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.found.insert(address);
                self.readdress();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.found.remove(&address);
                self.readdress();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listening for connections"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "this relay no longer listens on an address");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.pinged(event),
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.relayed(event),
            _ => {}
        }
    }

    fn closed(&mut self, peer: PeerId, left: u32) {
        if left > 0 {
            if let Some(row) = self.rows.get_mut(&peer) {
                row.connections = u64::from(left);
            }
            return;
        }
        self.rows.remove(&peer);
        self.traffic.forget(&peer);
        self.places.leave(peer);
    }

    fn pinged(&mut self, event: ping::Event) {
        match event.result {
            Ok(round_trip) => {
                self.lost_pings.remove(&event.connection);
                if let Some(row) = self.rows.get_mut(&event.peer) {
                    row.latency.add(round_trip);
                }
            }
            // It answers no pings, and that is no fault.
            Err(ping::Failure::Unsupported) => {}
            Err(_) => {
                let lost = self.lost_pings.entry(event.connection).or_default();
                *lost += 1;
                if *lost >= MAX_LOST_PINGS {
                    tracing::debug!(peer = %event.peer, "a connection is dead");
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    fn relayed(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id: peer, renewed } => {
                tracing::debug!(%peer, renewed, "a peer has a reservation");
            }
            relay::Event::ReservationReqDenied { src_peer_id: peer, .. } => {
                self.refused_reservations += 1;
                tracing::warn!(%peer, "a peer gets no reservation: a limit is reached");
            }
            relay::Event::ReservationTimedOut { src_peer_id: peer } => {
                self.places.leave(peer);
                tracing::debug!(%peer, "a reservation ended");
            }
            relay::Event::CircuitReqAccepted { src_peer_id: from, dst_peer_id: to } => {
                tracing::debug!(%from, %to, "two peers are connected");
            }
            relay::Event::CircuitReqDenied { src_peer_id: from, dst_peer_id: to, status } => {
                tracing::debug!(%from, %to, ?status, "two peers are not connected");
            }
            relay::Event::CircuitClosed { src_peer_id: from, dst_peer_id: to, error } => {
                tracing::debug!(%from, %to, ?error, "two peers are connected no longer");
            }
            _ => {}
        }
    }
}
