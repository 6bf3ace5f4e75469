//! What a cluster would rather do: each node sends its preferences, all compute the same result.
//!
//! Topics and priorities are texts, each a [`TextValue`](crate::well_known::TextValue) in an [`Any`].

use coxswain_dv_types::Root;

use crate::message::{Missing, WireMessage, each, encode, required};
use crate::root::bytes_root;
use crate::well_known::Any;

/// What nodes do at a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct Duty {
    /// The slot.
    #[prost(uint64, tag = "1")]
    pub slot: u64,
    /// Which; 3 is a signature of a ceremony, 13 what is sent here.
    #[prost(int32, tag = "2")]
    pub r#type: i32,
}

impl WireMessage for Duty {
    const NAME: &'static str = "core.corepb.v1.Duty";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// One node's preferences.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PriorityMsg {
    /// When they are for.
    #[prost(message, optional, tag = "1")]
    pub duty: Option<Duty>,
    /// On each topic.
    #[prost(message, repeated, tag = "2")]
    pub topics: Vec<PriorityTopicProposal>,
    /// The id of the node, as text.
    #[prost(string, tag = "3")]
    pub peer_id: String,
    /// By the node's key over [`PriorityMsg::signing_root`], 65 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
}

impl WireMessage for PriorityMsg {
    const NAME: &'static str = "core.corepb.v1.PriorityMsg";
    fn present(&self) -> Result<(), Missing> {
        required("duty", self.duty.as_ref())?;
        each("topics", &self.topics)
    }
}

impl PriorityMsg {
    /// What the node signs: the root of the message without its signature.
    #[must_use]
    pub fn signing_root(&self) -> Root {
        bytes_root(&encode(&PriorityMsg { signature: Vec::new(), ..self.clone() }))
    }
}

/// Preferences on one topic.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PriorityTopicProposal {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Any>,
    /// What is preferred most comes first.
    #[prost(message, repeated, tag = "2")]
    pub priorities: Vec<Any>,
}

impl WireMessage for PriorityTopicProposal {
    const NAME: &'static str = "core.corepb.v1.PriorityTopicProposal";
    fn present(&self) -> Result<(), Missing> {
        required("topic", self.topic.as_ref())?;
        each("priorities", &self.priorities)
    }
}

/// What all nodes' preferences come to.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PriorityResult {
    /// What it was computed from.
    #[prost(message, repeated, tag = "1")]
    pub msgs: Vec<PriorityMsg>,
    /// On each topic.
    #[prost(message, repeated, tag = "2")]
    pub topics: Vec<PriorityTopicResult>,
}

impl WireMessage for PriorityResult {
    const NAME: &'static str = "core.corepb.v1.PriorityResult";
    fn present(&self) -> Result<(), Missing> {
        each("msgs", &self.msgs)?;
        each("topics", &self.topics)
    }
}

/// The result on one topic.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PriorityTopicResult {
    /// The topic.
    #[prost(message, optional, tag = "1")]
    pub topic: Option<Any>,
    /// The highest score comes first.
    #[prost(message, repeated, tag = "2")]
    pub priorities: Vec<PriorityScoredResult>,
}

impl WireMessage for PriorityTopicResult {
    const NAME: &'static str = "core.corepb.v1.PriorityTopicResult";
    fn present(&self) -> Result<(), Missing> {
        required("topic", self.topic.as_ref())?;
        each("priorities", &self.priorities)
    }
}

/// How much a cluster wants one thing.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PriorityScoredResult {
    /// What.
    #[prost(message, optional, tag = "1")]
    pub priority: Option<Any>,
    /// How much.
    #[prost(int64, tag = "2")]
    pub score: i64,
}

impl WireMessage for PriorityScoredResult {
    const NAME: &'static str = "core.corepb.v1.PriorityScoredResult";
    fn present(&self) -> Result<(), Missing> {
        required("priority", self.priority.as_ref())
    }
}
