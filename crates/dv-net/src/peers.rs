//! Whom to dial when, and where to hold reservations: decided here, done by [`crate::host`].
//!
//! ```text
//! what happened, and when ─step→ dials, requests for reservations      due(): when to come back with Tick
//! ```
//!
//! Of two peers the one with the smaller id dials through relays, the other waits with its reservations up
//! (charon from v1.11 on; before, both dialled). A dial that comes before the reservation is refused, so it is tried
//! again soon: nothing else in a ceremony takes as long. Beside a relayed connection, direct addresses of the peer are
//! dialled as well: at once by the smaller id, and after a while by the larger one, for peers of which only the other can
//! be reached. Where neither can, both dial at once (DCUtR), which is the library's work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::core::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::circuit::address_through;
use crate::report::RelayConnections;

/// First pause before a dial is tried again, and the longest.
const DIAL: Pauses = Pauses { first: Duration::from_millis(250), longest: Duration::from_secs(5) };
/// The same for connections to relays and reservations: a relay serves many.
const RELAY: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// The same for direct connections beside relayed ones.
const UPGRADE: Pauses = Pauses { first: Duration::from_secs(10), longest: Duration::from_secs(600) };
/// A reservation is renewed so long before its end.
const RENEW_BEFORE: Duration = Duration::from_secs(120);
/// Direct addresses that are kept of a peer: it says them itself.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Pauses {
    first: Duration,
    longest: Duration,
}

/// When something is tried again.
#[derive(Debug, Clone, Copy)]
struct Again {
    pauses: Pauses,
    pause: Duration,
    /// From when on it may be tried.
    at: Duration,
    is_running: bool,
}

impl Again {
    fn new(pauses: Pauses) -> Self {
        Self { pauses, pause: pauses.first, at: Duration::ZERO, is_running: false }
    }
    fn failed(&mut self, now: Duration) {
        self.is_running = false;
        self.at = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(self.pauses.longest);
    }
    fn done(&mut self) {
        *self = Self::new(self.pauses);
    }
    fn is_due(&self, now: Duration) -> bool {
        !self.is_running && self.at <= now
    }
}

/// How a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// From one to the other.
    Direct,
    /// Through a relay.
    Relay,
}

impl Via {
    pub(crate) fn of(endpoint: &ConnectedPoint) -> Via {
        if endpoint.is_relayed() { Via::Relay } else { Via::Direct }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The addresses of a relay are known, or others than before.
    Resolved {
        /// Which of the relays.
        relay: usize,
        /// Who it is now.
        id: PeerId,
        /// Where it is.
        addresses: Vec<Multiaddr>,
    },
    /// A connection is up.
    Connected {
        /// To whom.
        peer: PeerId,
        /// How.
        via: Via,
    },
    /// A connection has ended.
    Closed {
        /// To whom.
        peer: PeerId,
        /// How.
        via: Via,
    },
    /// A dial came to nothing.
    DialFailed(PeerId),
    /// A relay keeps a place for us, for so long.
    Reserved(PeerId, Duration),
    /// A relay does not.
    ReserveFailed(PeerId),
    /// A peer said where it listens.
    Identified(PeerId, Vec<Multiaddr>),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Dial a peer or a relay at all these addresses.
    Dial(PeerId, Vec<Multiaddr>),
    /// Ask a relay for a reservation.
    Reserve(PeerId),
    /// Close all connections to what is no relay of this node any more.
    Leave(PeerId),
}

#[derive(Debug)]
struct Peer {
    direct: usize,
    relayed: usize,
    /// Where it listens, as far as it is known.
    addresses: Vec<Multiaddr>,
    dial: Again,
    upgrade: Again,
}

#[derive(Debug)]
struct Relay {
    /// Once it is resolved.
    known: Option<(PeerId, Vec<Multiaddr>)>,
    connections: usize,
    dial: Again,
    reservation: Again,
    /// How long the reservation lasts.
    reserved_until: Option<Duration>,
}

/// Of two peers, the one with the smaller id dials.
fn dials_through_relays(me: &PeerId, peer: &PeerId) -> bool {
    me.to_bytes() < peer.to_bytes()
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Peers {
    me: PeerId,
    peers: BTreeMap<PeerId, Peer>,
    relays: Vec<Relay>,
    /// When everything that is due was looked at last: what was due then and could not be done waits for an event.
    looked: Duration,
}

impl Peers {
    /// A node among its peers, with so many relays that are not resolved yet.
    pub(crate) fn new(me: PeerId, peers: &[PeerId], relays: usize) -> Self {
        let peer = || Peer {
            direct: 0,
            relayed: 0,
            addresses: Vec::new(),
            dial: Again::new(DIAL),
            upgrade: Again::new(UPGRADE),
        };
        let relay = || Relay {
            known: None,
            connections: 0,
            dial: Again::new(RELAY),
            reservation: Again::new(RELAY),
            reserved_until: None,
        };
        Self {
            me,
            looked: Duration::ZERO,
            peers: peers.iter().filter(|id| **id != me).map(|id| (*id, peer())).collect(),
            relays: std::iter::repeat_with(relay).take(relays).collect(),
        }
    }

    /// With whom a connection is wanted: peers of the cluster, and relays as they are now.
    pub(crate) fn welcome(&self) -> BTreeSet<PeerId> {
        let relays = self.relays.iter().filter_map(|relay| relay.known.as_ref().map(|(id, _)| *id));
        self.peers.keys().copied().chain(relays).collect()
    }

    /// Whether there is a connection to a peer, and then whether it is direct.
    pub(crate) fn connection(&self, id: &PeerId) -> Option<bool> {
        let peer = self.peers.get(id)?;
        (peer.direct + peer.relayed > 0).then_some(peer.direct > 0)
    }

    /// Whether this is a peer of the cluster.
    pub(crate) fn is_peer(&self, id: &PeerId) -> bool {
        self.peers.contains_key(id)
    }

    /// Whether this is a relay, as they are now.
    pub(crate) fn is_relay(&self, id: &PeerId) -> bool {
        self.relay(id).is_some()
    }

    /// Connections to a peer: direct ones, and those through relays.
    pub(crate) fn counts(&self, id: &PeerId) -> (usize, usize) {
        self.peers.get(id).map_or((0, 0), |peer| (peer.direct, peer.relayed))
    }

    /// Peers of the cluster but this node.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.peers.keys()
    }

    /// The relays, as they are now.
    pub(crate) fn relays(&self, now: Duration) -> Vec<RelayConnections> {
        let row = |relay: &Relay| RelayConnections {
            id: relay.known.as_ref().map(|(id, _)| *id),
            connections: relay.connections,
            is_reserved: relay.reserved_until.is_some_and(|until| until > now),
        };
        self.relays.iter().map(row).collect()
    }

    fn relay(&self, id: &PeerId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.known.as_ref().is_some_and(|(known, _)| known == id))
    }

    /// Takes what happened at `now` (since the start, on a clock that never goes back).
    pub(crate) fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        match event {
            Event::Resolved { relay, id, addresses } => {
                let left = self.resolved(relay, id, addresses);
                let mut effects = self.effects(now);
                effects.extend(left.map(Effect::Leave));
                return effects;
            }
            Event::Connected { peer, via } => self.connected(now, peer, via),
            Event::Closed { peer, via } => self.closed(peer, via),
            Event::DialFailed(id) => self.dial_failed(now, &id),
            Event::Reserved(id, lasts) => {
                if let Some(relay) = self.relay(&id) {
                    let relay = &mut self.relays[relay];
                    relay.reservation.done();
                    relay.reserved_until = Some(now + lasts);
                    relay.reservation.at = now + lasts.saturating_sub(RENEW_BEFORE).max(lasts / 2);
                }
            }
            Event::ReserveFailed(id) => {
                if let Some(relay) = self.relay(&id) {
                    self.relays[relay].reservation.failed(now);
                }
            }
            Event::Identified(id, addresses) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    let is_direct =
                        |address: &Multiaddr| !address.iter().any(|part| part == Protocol::P2pCircuit);
                    peer.addresses = addresses.into_iter().filter(is_direct).take(MAX_ADDRESSES).collect();
                }
            }
            Event::Tick => {}
        }
        self.effects(now)
    }

    /// Says whose connections are of no use any more.
    fn resolved(&mut self, place: usize, id: PeerId, addresses: Vec<Multiaddr>) -> Option<PeerId> {
        let relay = self.relays.get_mut(place)?;
        let old = relay.known.as_ref().map(|(known, _)| *known).filter(|known| *known != id);
        if old.is_some() {
            // Another host took its place: what was agreed with the old one is void.
            relay.connections = 0;
            relay.reserved_until = None;
            relay.reservation.done();
        }
        relay.known = Some((id, addresses));
        relay.dial.done();
        old.filter(|old| !self.is_relay(old) && !self.is_peer(old))
    }

    fn connected(&mut self, now: Duration, id: PeerId, via: Via) {
        let is_ours_to_dial = self.is_ours_to_dial(&id);
        if let Some(relay) = self.relay(&id) {
            let relay = &mut self.relays[relay];
            relay.connections += 1;
            relay.dial.done();
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.dial.done();
            match via {
                Via::Relay => {
                    peer.relayed += 1;
                    // The other side goes first, then both at once; what is left is that only it can be reached.
                    if !is_ours_to_dial && peer.relayed == 1 {
                        peer.upgrade.at = now + UPGRADE.first;
                    }
                }
                Via::Direct => {
                    peer.direct += 1;
                    peer.upgrade.done();
                }
            }
        }
    }

    fn closed(&mut self, id: PeerId, via: Via) {
        if let Some(relay) = self.relay(&id) {
            let relay = &mut self.relays[relay];
            relay.connections = relay.connections.saturating_sub(1);
            if relay.connections == 0 {
                // The relay forgets a reservation with the connection.
                relay.reserved_until = None;
                relay.reservation.done();
            }
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            let count = match via {
                Via::Relay => &mut peer.relayed,
                Via::Direct => &mut peer.direct,
            };
            *count = count.saturating_sub(1);
            if peer.relayed == 0 {
                peer.upgrade.done();
            }
        }
    }

    fn dial_failed(&mut self, now: Duration, id: &PeerId) {
        if let Some(relay) = self.relay(id) {
            self.relays[relay].dial.failed(now);
        }
        if let Some(peer) = self.peers.get_mut(id) {
            let again = if peer.relayed > 0 { &mut peer.upgrade } else { &mut peer.dial };
            again.failed(now);
        }
    }

    fn is_ours_to_dial(&self, peer: &PeerId) -> bool {
        dials_through_relays(&self.me, peer)
    }

    /// Everything that is due.
    fn effects(&mut self, now: Duration) -> Vec<Effect> {
        self.looked = now;
        let mut effects = Vec::new();
        for relay in &mut self.relays {
            let Some((id, addresses)) = &relay.known else { continue };
            if relay.connections == 0 {
                if relay.dial.is_due(now) {
                    relay.dial.is_running = true;
                    effects.push(Effect::Dial(*id, addresses.clone()));
                }
            } else if relay.reservation.is_due(now) {
                relay.reservation.is_running = true;
                effects.push(Effect::Reserve(*id));
            }
        }
        let open: Vec<(PeerId, &Multiaddr)> = self
            .relays
            .iter()
            .filter(|relay| relay.connections > 0)
            .filter_map(|relay| relay.known.as_ref())
            .filter_map(|(id, addresses)| addresses.first().map(|address| (*id, address)))
            .collect();
        let me = self.me;
        for (id, peer) in &mut self.peers {
            let is_ours_to_dial = dials_through_relays(&me, id);
            if peer.direct > 0 {
                continue;
            }
            if peer.relayed > 0 {
                if !peer.addresses.is_empty() && peer.upgrade.is_due(now) {
                    peer.upgrade.is_running = true;
                    effects.push(Effect::Dial(*id, peer.addresses.clone()));
                }
                continue;
            }
            if !peer.dial.is_due(now) {
                continue;
            }
            let mut addresses = peer.addresses.clone();
            if is_ours_to_dial {
                addresses.extend(open.iter().map(|(relay, address)| address_through(address, *relay, *id)));
            }
            if !addresses.is_empty() {
                peer.dial.is_running = true;
                effects.push(Effect::Dial(*id, addresses));
            }
        }
        effects
    }

    /// When to come back with [`Event::Tick`] at the latest, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Duration> {
        let relays = self.relays.iter().flat_map(|relay| [&relay.dial, &relay.reservation]);
        let peers = self.peers.values().flat_map(|peer| [&peer.dial, &peer.upgrade]);
        // What is due already and could not be done waits for an event, not for the clock.
        relays
            .chain(peers)
            .filter(|again| !again.is_running && again.at > self.looked)
            .map(|again| again.at)
            .min()
    }

    /// Relays that keep a place for us.
    pub(crate) fn reservations(&self, now: Duration) -> usize {
        self.relays.iter().filter(|relay| relay.reserved_until.is_some_and(|until| until > now)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Vec<Multiaddr> {
        vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()]
    }

    fn resolved(relay: usize, id: PeerId) -> Event {
        Event::Resolved { relay, id, addresses: address(1) }
    }

    #[test]
    fn a_relay_that_is_somebody_else_now_is_left() {
        let [me, peer, old, new] = std::array::from_fn(|_| PeerId::random());
        let mut peers = Peers::new(me, &[me, peer], 2);
        let at = Duration::from_secs;
        assert_eq!(peers.step(at(0), resolved(0, old)), [Effect::Dial(old, address(1))]);
        peers.step(at(1), Event::Connected { peer: old, via: Via::Direct });
        assert!(peers.is_relay(&old) && !peers.is_relay(&new));
        assert_eq!(peers.step(at(2), resolved(0, old)), []);
        let effects = peers.step(at(3), resolved(0, new));
        assert_eq!(effects, [Effect::Dial(new, address(1)), Effect::Leave(old)]);
        assert!(!peers.is_relay(&old) && peers.is_relay(&new));
        // What closes then is no connection to the new one.
        peers.step(at(4), Event::Connected { peer: new, via: Via::Direct });
        peers.step(at(5), Event::Closed { peer: old, via: Via::Direct });
        assert_eq!(peers.relays(at(5))[0].connections, 1);
    }

    #[test]
    fn a_relayed_connection_is_not_all_there_can_be() {
        let [mut smaller, mut larger, relay] = std::array::from_fn(|_| PeerId::random());
        if larger.to_bytes() < smaller.to_bytes() {
            std::mem::swap(&mut smaller, &mut larger);
        }
        let at = Duration::from_secs;
        for (me, peer, waits) in [(smaller, larger, 0), (larger, smaller, 10)] {
            let mut peers = Peers::new(me, &[me, peer], 1);
            peers.step(at(0), resolved(0, relay));
            peers.step(at(1), Event::Connected { peer: relay, via: Via::Direct });
            peers.step(at(1), Event::Connected { peer, via: Via::Relay });
            assert_eq!(peers.step(at(1), Event::Tick), [], "nobody knows where the peer is");
            let mut dials = peers.step(at(1), Event::Identified(peer, address(7)));
            if waits > 0 {
                assert_eq!(dials, [], "the other side goes first");
                assert_eq!(peers.due(), Some(at(1 + waits)));
                dials = peers.step(at(1 + waits), Event::Tick);
            }
            assert_eq!(dials, [Effect::Dial(peer, address(7))]);
            peers.step(at(20), Event::DialFailed(peer));
            assert_eq!(peers.step(at(29), Event::Tick), []);
            assert_eq!(
                peers.step(at(30), Event::Tick),
                [Effect::Dial(peer, address(7))],
                "and again, seldom"
            );
            peers.step(at(31), Event::Connected { peer, via: Via::Direct });
            assert_eq!(peers.connection(&peer), Some(true));
            assert_eq!(peers.step(at(5000), Event::Tick), [], "it is direct");
        }
    }

    #[test]
    fn a_relay_that_is_still_of_use_is_not_left() {
        let [me, peer, old, new] = std::array::from_fn(|_| PeerId::random());
        let mut peers = Peers::new(me, &[me, peer], 3);
        let at = Duration::from_secs;
        for (relay, id) in [(0, old), (1, old), (2, peer)] {
            peers.step(at(0), resolved(relay, id));
        }
        for relay in [0, 2] {
            let effects = peers.step(at(1), resolved(relay, new));
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Leave(_))), "{effects:?}");
        }
        assert!(peers.step(at(2), resolved(1, new)).contains(&Effect::Leave(old)));
    }
}
