//! Before the first report: who is there, and which version all of them speak.
//!
//! A node of charon ends the ceremony for all as soon as another one reports another version. So nodes are asked what
//! they are before anything is reported, over a protocol that charon answers from its start. Nodes of ours adapt to
//! charon's; where there are none of those, the version is that of the settings.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_net::{Incoming, Network, PeerId, Protocol};
use coxswain_dv_wire::broadcast::BroadcastVersion;
use coxswain_dv_wire::message;
use coxswain_dv_wire::peerinfo::{DV_CLIENT, PeerInfo};
use coxswain_dv_wire::protocol::{self as protocols, BROADCAST_1_SIG, BROADCAST_2_SIG};
use coxswain_dv_wire::version::{Minor, Version};
use coxswain_dv_wire::well_known::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{DkgError, TELLING, Told};
use coxswain_dv_dkg::ceremony::Progress;

/// How often a peer is asked that does not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a relay may take to be known.
const RELAY_LIMIT: Duration = Duration::from_secs(60);
/// Messages and streams of one peer that are kept before we know all: those of the first step are a handful.
const MOST_EARLY: usize = 16;

/// What a peer says of itself.
struct Known {
    version: Option<Version>,
    is_ours: bool,
}

/// What all have in common, and what came meanwhile.
pub(super) struct Met {
    pub(super) version: Minor,
    pub(super) broadcast: BroadcastVersion,
    pub(super) early: Vec<Incoming>,
}

/// Where nodes meet.
pub(super) struct Meeting<'a> {
    pub(super) network: &'a Network,
    /// By place; ours among them.
    pub(super) peers: &'a [PeerId],
    pub(super) info: &'a PeerInfo,
    /// The version that we would report, and whether we adapt to others.
    pub(super) version: &'a Version,
    pub(super) adapts: bool,
    pub(super) has_relays: bool,
    pub(super) limit: Duration,
    pub(super) told: &'a (dyn Fn(Told<'_>) + Sync),
}

/// What came before all nodes had said what they are. How many bytes of a peer there are here the network bounds: they
/// count as held until they are dropped.
#[derive(Default)]
struct Early {
    kept: Vec<Incoming>,
    /// By peer, what was not kept.
    refused: BTreeMap<PeerId, u64>,
}

impl Early {
    /// A peer that sends more than [`MOST_EARLY`] before anything has begun has no part in this.
    fn keep(&mut self, next: Incoming) {
        let peer_of = |incoming: &Incoming| match incoming {
            Incoming::Message { peer, .. } | Incoming::Stream { peer, .. } => *peer,
        };
        let peer = peer_of(&next);
        if self.kept.iter().filter(|one| peer_of(one) == peer).count() < MOST_EARLY {
            return self.kept.push(next);
        }
        let refused = self.refused.entry(peer).or_default();
        *refused += 1;
        // Said rarely: who floods must not fill the log as well.
        if refused.is_power_of_two() {
            tracing::warn!(%peer, refused = *refused, "messages of a peer are passed over: it sends too much before the beginning");
        }
    }
}

/// Answers a peer that asks who we are.
pub(super) fn answer(info: &PeerInfo) -> Vec<u8> {
    let sent_at = Timestamp::from_unix_nanos(jiff::Timestamp::now().as_nanosecond());
    message::encode(&PeerInfo { sent_at, ..info.clone() })
}

async fn ask(network: Network, place: usize, peer: PeerId, found: mpsc::Sender<(usize, Known)>) {
    let Some(protocol) = Protocol::of_ceremony(&protocols::PEERINFO, Duration::ZERO) else { return };
    loop {
        let answer = network.request(peer, &protocol, &[]).await.map_err(|error| error.to_string());
        let info = answer.and_then(|bytes| {
            message::decode::<PeerInfo>(&bytes, protocol.max_bytes).map_err(|error| error.to_string())
        });
        match info {
            Ok(info) => {
                let is_ours = info.dv_client == DV_CLIENT;
                let known = Known { version: Version::parse(&info.charon_version).ok(), is_ours };
                drop(found.send((place, known)).await);
                return;
            }
            Err(error) => {
                tracing::debug!(place, %error, "a peer did not say who it is");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Meeting<'_> {
    /// Waits until every peer is there and has said what it is.
    pub(super) async fn meet(
        &self,
        incoming: &mut mpsc::Receiver<Incoming>,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Met, DkgError> {
        let started = Instant::now();
        let (found, mut answers) = mpsc::channel(self.peers.len().max(1));
        let mut asking = tokio::task::JoinSet::new();
        for (place, peer) in self.others() {
            asking.spawn(ask(self.network.clone(), place, peer, found.clone()));
        }
        let mut known: BTreeMap<usize, Known> = BTreeMap::new();
        let mut early = Early::default();
        let mut status = self.network.status();
        let mut waits_for_relay = self.has_relays;
        let mut told = Vec::new();
        loop {
            let missing: Vec<usize> =
                self.others().map(|(place, _)| place).filter(|place| !known.contains_key(place)).collect();
            if missing.is_empty() {
                break;
            }
            if missing != told {
                (self.told)(Told::Progress(&Progress::Connecting(missing.clone())));
                told.clone_from(&missing);
            }
            tokio::select! {
                Some((place, one)) = answers.recv() => drop(known.insert(place, one)),
                Some(event) = incoming.recv() => match event {
                    Incoming::Message { protocol, reply, .. } if protocol == protocols::PEERINFO.id => {
                        reply.send(answer(self.info));
                    }
                    other => early.keep(other),
                },
                changed = status.changed(), if waits_for_relay => {
                    let relays = status.borrow_and_update().relays;
                    if changed.is_ok() && relays > 0 {
                        waits_for_relay = false;
                        (self.told)(Told::Relays(relays));
                    }
                },
                () = sleep_until(started + RELAY_LIMIT), if waits_for_relay => {
                    return Err(DkgError::NoRelay(RELAY_LIMIT));
                }
                () = sleep_until(started + self.limit) => {
                    let is_alone = self.has_relays && status.borrow().reservations == 0;
                    let limit = self.limit;
                    return Err(match is_alone {
                        true => DkgError::Alone { limit, missing },
                        false => DkgError::Missing { limit, missing },
                    });
                }
                () = &mut *stop => return Err(DkgError::Stopped),
            }
        }
        match self.agree(&known) {
            Ok((version, broadcast)) => Ok(Met { version, broadcast, early: early.kept }),
            Err(error) => {
                // Others find the same when they have asked us: without an answer they would wait for us.
                tokio::select! {
                    () = self.answer_for(TELLING, incoming) => Err(error),
                    () = &mut *stop => Err(DkgError::Stopped),
                }
            }
        }
    }

    /// Says who we are, and nothing else.
    async fn answer_for(&self, limit: Duration, incoming: &mut mpsc::Receiver<Incoming>) {
        let end = Instant::now() + limit;
        while let Ok(Some(event)) = timeout_at(end, incoming.recv()).await {
            if let Incoming::Message { protocol, reply, .. } = event
                && protocol == protocols::PEERINFO.id
            {
                reply.send(answer(self.info));
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = (usize, PeerId)> {
        let me = self.network.me();
        self.peers.iter().copied().enumerate().filter(move |(_, peer)| *peer != me)
    }

    fn agree(&self, known: &BTreeMap<usize, Known>) -> Result<(Minor, BroadcastVersion), DkgError> {
        let ours = self.version.minor();
        let theirs = |known: &Known| known.version.as_ref().map(Version::minor);
        let mut minors: Vec<Minor> = known.values().filter(|one| !one.is_ours).filter_map(theirs).collect();
        minors.sort_unstable();
        minors.dedup();
        let version = match minors.as_slice() {
            [] => ours,
            [one] if self.adapts || *one == ours => *one,
            _ => {
                let versions = known.iter().map(|(place, one)| {
                    let name = if one.is_ours { "coxswain" } else { "charon" };
                    let version = one.version.as_ref().map(ToString::to_string).unwrap_or_default();
                    format!("node {place}: {name} {version}")
                });
                return Err(DkgError::Versions { ours, versions: versions.collect() });
            }
        };
        Ok((version, self.broadcast(version, known)))
    }

    /// Release candidates speak the older broadcast under the newer version: what they list decides.
    fn broadcast(&self, version: Minor, known: &BTreeMap<usize, Known>) -> BroadcastVersion {
        let status = self.network.status();
        let status = status.borrow();
        let lists = |id: &str| {
            known.iter().filter(|(_, one)| !one.is_ours).any(|(place, _)| {
                let listed = self.peers.get(*place).and_then(|peer| status.protocols.get(peer));
                listed.is_some_and(|names| names.iter().any(|name| protocols::lists(name, id)))
            })
        };
        match (lists(BROADCAST_1_SIG.id), lists(BROADCAST_2_SIG.id)) {
            (true, false) => BroadcastVersion::Unbound,
            (false, true) => BroadcastVersion::SessionBound,
            _ => BroadcastVersion::of(version),
        }
    }
}
