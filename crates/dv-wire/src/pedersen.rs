//! Pedersen ceremonies: keys first, then deals, responses and justifications, then the keys of shares.
//!
//! Indexes are those of nodes, from 0. [`NodePubKeyMessage`] goes by reliable broadcast, all others directly.

use std::fmt;

use zeroize::Zeroize as _;

use crate::message::{Missing, WireMessage, each, optional};

/// The key of a node in this ceremony.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct NodePubKeyMessage {
    /// The ceremony.
    #[prost(bytes = "vec", tag = "1")]
    pub session_id: Vec<u8>,
    /// A point, 48 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
    /// The node's present shares, where keys are reshared. May be absent.
    #[prost(message, optional, tag = "3")]
    pub shares: Option<NodePubKeyShares>,
}

impl WireMessage for NodePubKeyMessage {
    const NAME: &'static str = "dkg.dkgpb.v1.NodePubKeyMessage";
    fn present(&self) -> Result<(), Missing> {
        optional("shares", self.shares.as_ref())
    }
}

/// The public keys of a node's shares.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct NodePubKeyShares {
    /// 48 bytes each, one of each validator in the order of the lock.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub public_key_shares: Vec<Vec<u8>>,
}

impl WireMessage for NodePubKeyShares {
    const NAME: &'static str = "dkg.dkgpb.v1.NodePubKeyShares";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// The public key of a node's new share of one validator.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ValidatorPubKeyShareMessage {
    /// The ceremony.
    #[prost(bytes = "vec", tag = "1")]
    pub session_id: Vec<u8>,
    /// 48 bytes; none of a node that leaves.
    #[prost(bytes = "vec", tag = "2")]
    pub public_key_share: Vec<u8>,
}

impl WireMessage for ValidatorPubKeyShareMessage {
    const NAME: &'static str = "dkg.dkgpb.v1.ValidatorPubKeyShareMessage";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// A dealer's shares for all.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PedersenDealBundle {
    /// Who deals.
    #[prost(uint32, tag = "1")]
    pub dealer_index: u32,
    /// One for each reader.
    #[prost(message, repeated, tag = "2")]
    pub deals: Vec<PedersenDeal>,
    /// Commitments to the polynomial, 48 bytes each.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub public: Vec<Vec<u8>>,
    /// The nonce of the run, 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub session_id: Vec<u8>,
    /// By the dealer's key, 96 bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub signature: Vec<u8>,
}

impl WireMessage for PedersenDealBundle {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenDealBundle";
    fn present(&self) -> Result<(), Missing> {
        each("deals", &self.deals)
    }
}

/// A share for one reader, under its key.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PedersenDeal {
    /// Who reads it.
    #[prost(uint32, tag = "1")]
    pub share_index: u32,
    /// 96 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub encrypted_share: Vec<u8>,
}

impl WireMessage for PedersenDeal {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenDeal";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// What a reader thinks of the deals.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PedersenResponseBundle {
    /// Who answers.
    #[prost(uint32, tag = "1")]
    pub share_index: u32,
    /// One to each dealer.
    #[prost(message, repeated, tag = "2")]
    pub responses: Vec<PedersenResponse>,
    /// The nonce of the run, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub session_id: Vec<u8>,
    /// By the reader's key, 96 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
}

impl WireMessage for PedersenResponseBundle {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenResponseBundle";
    fn present(&self) -> Result<(), Missing> {
        each("responses", &self.responses)
    }
}

/// What a reader thinks of one deal.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PedersenResponse {
    /// Who dealt it.
    #[prost(uint32, tag = "1")]
    pub dealer_index: u32,
    /// Whether it is good.
    #[prost(bool, tag = "2")]
    pub status: bool,
}

impl WireMessage for PedersenResponse {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenResponse";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// What a dealer opens after complaints.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PedersenJustificationBundle {
    /// Who dealt.
    #[prost(uint32, tag = "1")]
    pub dealer_index: u32,
    /// One to each complaint.
    #[prost(message, repeated, tag = "2")]
    pub justifications: Vec<PedersenJustification>,
    /// The nonce of the run, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub session_id: Vec<u8>,
    /// By the dealer's key, 96 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
}

impl WireMessage for PedersenJustificationBundle {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenJustificationBundle";
    fn present(&self) -> Result<(), Missing> {
        each("justifications", &self.justifications)
    }
}

/// A share that was complained about. All nodes see it, and nobody else should: wiped when dropped, shown without it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct PedersenJustification {
    /// Whose share it is.
    #[prost(uint32, tag = "1")]
    pub share_index: u32,
    /// A scalar, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub share: Vec<u8>,
}

impl WireMessage for PedersenJustification {
    const NAME: &'static str = "dkg.dkgpb.v1.PedersenJustification";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl fmt::Debug for PedersenJustification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PedersenJustification")
            .field("share_index", &self.share_index)
            .finish_non_exhaustive()
    }
}

impl Drop for PedersenJustification {
    fn drop(&mut self) {
        self.share.zeroize();
    }
}
