//! What a host has seen of its peers and relays, as plain data: a metrics layer makes figures of it.

use std::collections::BTreeMap;

use libp2p::PeerId;

use crate::latency::Latency;

/// What a host has seen since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Every peer of the cluster but this node.
    pub peers: BTreeMap<PeerId, Connections>,
    /// Every relay, in the order in which they were given.
    pub relays: Vec<RelayConnections>,
}

/// Connections to a peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Connections {
    /// Direct ones, now.
    pub direct: usize,
    /// Those through relays, now.
    pub relayed: usize,
    /// All since the start.
    pub in_all: u64,
    /// Direct ones since the start that came of a relayed one, when both sides dialled at once.
    pub punched: u64,
    /// Streams of the peer that were ended unread, since it opened too many.
    pub refused_streams: u64,
    /// Pings on all of them.
    pub pings: Pings,
}

/// Pings of a peer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pings {
    /// Whether the last one was answered; none before the first, and none while there is no connection.
    pub is_answered: Option<bool>,
    /// Those that were not.
    pub failed: u64,
    /// Round trips of those that were.
    pub latency: Latency,
}

/// A relay as this node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayConnections {
    /// Who it is, once that is known.
    pub id: Option<PeerId>,
    /// Connections to it, now.
    pub connections: usize,
    /// Whether it keeps a place for this node.
    pub is_reserved: bool,
}
