//! Consensus as it was seen on one node: what a node gives for debugging.

use crate::message::{Missing, WireMessage, each, optional};
use crate::qbft::QbftConsensusMsg;
use crate::well_known::Timestamp;

/// A message and when it was sent or received.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SniffedConsensusMsg {
    /// When.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    /// The message.
    #[prost(message, optional, tag = "2")]
    pub msg: Option<QbftConsensusMsg>,
}

impl WireMessage for SniffedConsensusMsg {
    const NAME: &'static str = "core.corepb.v1.SniffedConsensusMsg";
    fn present(&self) -> Result<(), Missing> {
        optional("timestamp", self.timestamp.as_ref())?;
        optional("msg", self.msg.as_ref())
    }
}

/// One duty.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SniffedConsensusInstance {
    /// When it began.
    #[prost(message, optional, tag = "1")]
    pub started_at: Option<Timestamp>,
    /// Nodes of the cluster.
    #[prost(int64, tag = "2")]
    pub nodes: i64,
    /// The node that saw it, from 0.
    #[prost(int64, tag = "3")]
    pub peer_idx: i64,
    /// In the order in which they were handled.
    #[prost(message, repeated, tag = "4")]
    pub msgs: Vec<SniffedConsensusMsg>,
    /// The protocol that they came by.
    #[prost(string, tag = "5")]
    pub protocol_id: String,
}

impl WireMessage for SniffedConsensusInstance {
    const NAME: &'static str = "core.corepb.v1.SniffedConsensusInstance";
    fn present(&self) -> Result<(), Missing> {
        optional("started_at", self.started_at.as_ref())?;
        each("msgs", &self.msgs)
    }
}

/// What a node saw.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SniffedConsensusInstances {
    /// Oldest first.
    #[prost(message, repeated, tag = "1")]
    pub instances: Vec<SniffedConsensusInstance>,
    /// The commit of the program.
    #[prost(string, tag = "2")]
    pub git_hash: String,
}

impl WireMessage for SniffedConsensusInstances {
    const NAME: &'static str = "core.corepb.v1.SniffedConsensusInstances";
    fn present(&self) -> Result<(), Missing> {
        each("instances", &self.instances)
    }
}
