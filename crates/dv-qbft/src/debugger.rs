//! What instances saw, for people who look for a fault.

use std::collections::VecDeque;
use std::sync::Arc;

use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::canonical::{bytes_len, put_bytes};
use coxswain_dv_wire::message::encode;
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::sniffed::{SniffedConsensusInstance, SniffedConsensusInstances, SniffedConsensusMsg};
use coxswain_dv_wire::well_known::Timestamp;

use crate::seal::Envelope;

/// Bytes of all records together, as they are given out: as many as charon keeps.
pub const MAX_BYTES: usize = 50 * 1024 * 1024;
/// Messages of one record; an honest cluster sends four a node and round.
const MAX_MESSAGES: usize = 1_000;
/// Numbers of fields.
const INSTANCES: u64 = 1;
const MSGS: u64 = 4;
const PROTOCOL_ID: u64 = 5;
const MSG: u64 = 2;

/// What one instance saw, own messages among it. Values are shared with the messages, so that it costs little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    started_at: Time,
    nodes: usize,
    me: usize,
    messages: Vec<(Time, Arc<Envelope>)>,
    bytes: usize,
}

impl Record {
    pub(crate) fn new(started_at: Time, nodes: usize, me: usize) -> Record {
        Record { started_at, nodes, me, messages: Vec::new(), bytes: 0 }
    }

    /// Adds a message; the first ones are those that explain most, so later ones are left out where there are too many.
    pub(crate) fn push(&mut self, now: Time, envelope: Arc<Envelope>) {
        let bytes = self.bytes.saturating_add(message_len(now, &envelope));
        if self.messages.len() < MAX_MESSAGES && bytes <= MAX_BYTES {
            self.messages.push((now, envelope));
            self.bytes = bytes;
        }
    }

    /// The messages and when they were handled.
    #[must_use]
    pub fn messages(&self) -> &[(Time, Arc<Envelope>)] {
        &self.messages
    }

    /// A `core.corepb.v1.SniffedConsensusInstance`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = encode(&SniffedConsensusInstance {
            started_at: stamp(self.started_at),
            nodes: i64::try_from(self.nodes).unwrap_or(i64::MAX),
            peer_idx: i64::try_from(self.me).unwrap_or(i64::MAX),
            msgs: Vec::new(),
            protocol_id: String::new(),
        });
        for (time, envelope) in &self.messages {
            let mut message = encode(&SniffedConsensusMsg { timestamp: stamp(*time), msg: None });
            put_bytes(&mut message, MSG, &envelope.encode());
            put_bytes(&mut out, MSGS, &message);
        }
        put_bytes(&mut out, PROTOCOL_ID, protocol::QBFT.id.as_bytes());
        out
    }
}

fn stamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_unix_nanos(i128::try_from(time.0.as_nanos()).unwrap_or(i128::MAX))
}

fn message_len(time: Time, envelope: &Envelope) -> usize {
    let stamp = encode(&SniffedConsensusMsg { timestamp: stamp(time), msg: None }).len();
    bytes_len(stamp.saturating_add(bytes_len(envelope.encoded_len())))
}

/// The newest records, of at most [`MAX_BYTES`] together.
#[derive(Debug, Clone, Default)]
pub struct Debugger {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Debugger {
    /// Adds a record; the oldest go where there are too many.
    pub fn add(&mut self, record: Record) {
        self.bytes = self.bytes.saturating_add(record.bytes);
        self.records.push_back(record);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }

    /// A `core.corepb.v1.SniffedConsensusInstances`, oldest first; `git_hash` is the commit of the program.
    #[must_use]
    pub fn encode(&self, git_hash: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        for record in &self.records {
            put_bytes(&mut out, INSTANCES, &record.encode());
        }
        let rest = SniffedConsensusInstances { instances: Vec::new(), git_hash: git_hash.to_owned() };
        out.extend(encode(&rest));
        out
    }
}
