//! Signatures of nodes over the new lock.

use crate::message::{Missing, WireMessage};

/// What a node that leaves the cluster sends in place of a signature.
pub const NO_SIGNATURE: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

/// One node's signature.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MsgNodeSig {
    /// Over the lock hash, 65 bytes; or [`NO_SIGNATURE`].
    #[prost(bytes = "vec", tag = "1")]
    pub signature: Vec<u8>,
    /// The node's place among the peers of the ceremony, from 0.
    #[prost(uint32, tag = "2")]
    pub peer_index: u32,
}

impl WireMessage for MsgNodeSig {
    const NAME: &'static str = "dkg.dkgpb.v1.MsgNodeSig";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}
