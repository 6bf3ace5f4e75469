//! How large messages of a ceremony can be: far less than what others would read.
//!
//! A limit of 128 MiB for a message of some kilobytes is memory that any peer can make a node take. What a message has at
//! most follows from how many nodes and validators there are; it is doubled, and more is added, for what later versions
//! may say besides.

use crate::protocol::{self, Protocol};

/// Bytes of a scalar, a session or a hash.
const SCALAR: usize = 32;
/// Bytes of a public key.
const POINT: usize = 48;
/// Bytes of a signature of a validator or of a bundle, and of a deal.
const SIGNATURE: usize = 96;
/// Bytes of a signature of a node.
const NODE_SIGNATURE: usize = 65;
/// Bytes of a tag and a length or a number.
const FIELD: usize = 1 + 10;
/// Bytes of a name: an id of a broadcast, of a type.
const NAME: usize = 128;
/// Bytes of a validator's key as text, and of a signature as text.
const TEXT: usize = 132;
/// Bytes of a message on the sync stream: a signature and some short texts.
const SYNC: usize = 8 * 1024;
/// What is added.
const SLACK: usize = 64 * 1024;

/// How large a ceremony is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CeremonySize {
    /// Nodes that take part, also those that leave.
    pub nodes: usize,
    /// Validators.
    pub validators: usize,
    /// The larger of the threshold that was and the one that will be.
    pub threshold: usize,
}

const fn field(bytes: usize) -> usize {
    FIELD.saturating_add(bytes)
}

const fn times(count: usize, bytes: usize) -> usize {
    count.saturating_mul(field(bytes))
}

impl CeremonySize {
    /// Most bytes of a message of this protocol in this ceremony: never more than the protocol allows.
    #[must_use]
    pub fn max_bytes(&self, protocol: &Protocol) -> usize {
        let key = field(3 * FIELD);
        let node = field(FIELD);
        let bundle = node + field(SCALAR) + field(SIGNATURE);
        let bytes = match protocol.id {
            id if id == protocol::SYNC.id => SYNC,
            id if id == protocol::FROST_SHARES.id => times(self.validators, key + FIELD + field(SCALAR)),
            id if id == protocol::PEDERSEN_DEALS.id => bundle
                .saturating_add(times(self.nodes, node + field(SIGNATURE)))
                .saturating_add(times(self.threshold, POINT)),
            id if id == protocol::PEDERSEN_RESPONSES.id => {
                bundle.saturating_add(times(self.nodes, node + FIELD))
            }
            id if id == protocol::PEDERSEN_JUSTIFICATIONS.id => {
                bundle.saturating_add(times(self.nodes, node + field(SCALAR)))
            }
            id if id == protocol::PEDERSEN_SHARES.id => field(SCALAR) + field(POINT),
            id if id == protocol::PARSIGEX.id => {
                times(self.validators, field(TEXT) + field(field(TEXT) + field(SIGNATURE) + FIELD))
            }
            id if [&protocol::BROADCAST_1_SIG, &protocol::BROADCAST_2_SIG].iter().any(|p| p.id == id) => {
                self.broadcast()
            }
            id if [&protocol::BROADCAST_1_MSG, &protocol::BROADCAST_2_MSG].iter().any(|p| p.id == id) => {
                self.broadcast().saturating_add(times(self.nodes, NODE_SIGNATURE))
            }
            _ => return protocol.max_bytes,
        };
        bytes.saturating_mul(2).saturating_add(SLACK).min(protocol.max_bytes)
    }

    /// Most bytes of one peer that may wait here until this node gets to them: every message of a ceremony, of the run
    /// that is on and of the next one. No honest peer is farther ahead, since it needs this node's answers; and real
    /// messages have about half of what they may have.
    #[must_use]
    pub fn max_waiting_bytes(&self) -> usize {
        const RUNS: usize = 2;
        let kinds = [
            &protocol::BROADCAST_2_SIG,
            &protocol::BROADCAST_2_MSG,
            &protocol::FROST_SHARES,
            &protocol::PEDERSEN_DEALS,
            &protocol::PEDERSEN_RESPONSES,
            &protocol::PEDERSEN_JUSTIFICATIONS,
            &protocol::PEDERSEN_SHARES,
            &protocol::PARSIGEX,
        ];
        kinds.iter().map(|kind| self.max_bytes(kind)).fold(0, usize::saturating_add).saturating_mul(RUNS)
    }

    /// The largest of what is broadcast, with its type and its id.
    fn broadcast(&self) -> usize {
        let key = field(3 * FIELD);
        let cast = key.saturating_add(2 * field(SCALAR)).saturating_add(times(self.threshold, POINT));
        let keys = field(SCALAR) + field(POINT) + FIELD;
        let largest = times(self.validators, cast)
            .max(times(self.validators, key + 2 * field(POINT)))
            .max(keys.saturating_add(times(self.validators, POINT)))
            .max(field(NODE_SIGNATURE) + FIELD);
        (field(NAME) + field(NAME) + FIELD).saturating_add(field(largest))
    }
}
