//! Consensus, as it goes over the wire.

use coxswain_dv_types::Root;

use crate::message::{Missing, WireMessage, each, encode, required};
use crate::priority::Duty;
use crate::root::bytes_root;
use crate::well_known::Any;

/// One node's message, or a part of a justification.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QbftMsg {
    /// Which of the messages of QBFT.
    #[prost(int64, tag = "1")]
    pub r#type: i64,
    /// What is decided.
    #[prost(message, optional, tag = "2")]
    pub duty: Option<Duty>,
    /// The node, from 0.
    #[prost(int64, tag = "3")]
    pub peer_idx: i64,
    /// The round.
    #[prost(int64, tag = "4")]
    pub round: i64,
    /// The round that the node has prepared; 0 for none.
    #[prost(int64, tag = "6")]
    pub prepared_round: i64,
    /// By the node's key over [`QbftMsg::signing_root`], 65 bytes.
    #[prost(bytes = "vec", tag = "8")]
    pub signature: Vec<u8>,
    /// The root of the bytes of the value; zeros for none.
    #[prost(bytes = "vec", tag = "11")]
    pub value_hash: Vec<u8>,
    /// The root of the bytes of the prepared value; zeros for none.
    #[prost(bytes = "vec", tag = "12")]
    pub prepared_value_hash: Vec<u8>,
}

impl WireMessage for QbftMsg {
    const NAME: &'static str = "core.corepb.v1.QBFTMsg";
    fn present(&self) -> Result<(), Missing> {
        required("duty", self.duty.as_ref())
    }
}

impl QbftMsg {
    /// What the node signs: the root of the message without its signature, written in the order of fields. Others write
    /// it anew to check it, whatever order it came in, and so do we.
    #[must_use]
    pub fn signing_root(&self) -> Root {
        bytes_root(&encode(&QbftMsg { signature: Vec::new(), ..self.clone() }))
    }
}

/// A message, what justifies it, and the values that they mean.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QbftConsensusMsg {
    /// The message.
    #[prost(message, optional, tag = "1")]
    pub msg: Option<QbftMsg>,
    /// Other nodes' messages.
    #[prost(message, repeated, tag = "2")]
    pub justification: Vec<QbftMsg>,
    /// The values that hashes stand for: each by [`bytes_root`] of the bytes inside.
    #[prost(message, repeated, tag = "3")]
    pub values: Vec<Any>,
}

impl WireMessage for QbftConsensusMsg {
    const NAME: &'static str = "core.corepb.v1.QBFTConsensusMsg";
    fn present(&self) -> Result<(), Missing> {
        required("msg", self.msg.as_ref())?;
        each("justification", &self.justification)?;
        each("values", &self.values)
    }
}
