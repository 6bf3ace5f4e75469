//! What a relay knows of the peers that are connected to it.

use coxswain_dv_wire::message;
use coxswain_dv_wire::peerinfo::PeerInfo;
use libp2p::PeerId;

use crate::latency::Latency;

/// The cluster of a peer that does not say it.
const UNKNOWN: &str = "unknown";
/// Digits of the hash of a lock that stand for a cluster.
const CLUSTER_DIGITS: usize = 7;

/// What a relay has seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Peers that are connected, in the order of their ids.
    pub rows: Vec<Row>,
    /// Connections that were refused since the start, because a limit was reached.
    pub refused_connections: u64,
    /// Reservations that were refused since the start, because a limit was reached.
    pub refused_reservations: u64,
}

/// A peer of the relay.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who.
    pub peer: PeerId,
    /// The first seven digits of its cluster's hash, or `unknown`.
    pub cluster: String,
    /// Its connections now.
    pub connections: u64,
    /// Its connections since it came.
    pub connections_in_all: u64,
    /// Bytes that came from it.
    pub received: u64,
    /// Bytes that went to it.
    pub sent: u64,
    /// Round trips to it.
    pub latency: Latency,
}

impl Row {
    pub(super) fn new(peer: PeerId) -> Row {
        Row {
            peer,
            cluster: UNKNOWN.into(),
            connections: 0,
            connections_in_all: 0,
            received: 0,
            sent: 0,
            latency: Latency::default(),
        }
    }
}

/// The cluster that an answer names.
pub(super) fn cluster_of(answer: &[u8]) -> Option<String> {
    let info: PeerInfo = message::decode(answer, answer.len()).ok()?;
    let digits: String = info.lock_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.get(..CLUSTER_DIGITS).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_seven_digits() {
        let of = |lock_hash: &[u8]| {
            let info = PeerInfo { lock_hash: lock_hash.to_vec(), ..PeerInfo::default() };
            cluster_of(&prost::Message::encode_to_vec(&info))
        };
        assert_eq!(of(&[0xab, 0xcd, 0xef, 0x12, 0x34]).as_deref(), Some("abcdef1"));
        assert_eq!(of(&[0xab, 0xcd, 0xef]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(cluster_of(&[0xff; 9]), None);
    }
}
