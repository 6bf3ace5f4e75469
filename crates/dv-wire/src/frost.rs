//! Rounds of FROST: what is broadcast, and the shares that go to one peer each.
//!
//! Every message holds all validators, in any order.

use std::fmt;

use zeroize::Zeroize as _;

use crate::message::{Missing, WireMessage, each, required};

/// Whose value for which validator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct FrostMsgKey {
    /// Which validator, from 0.
    #[prost(uint32, tag = "1")]
    pub val_idx: u32,
    /// The share index of the author, from 1.
    #[prost(uint32, tag = "2")]
    pub source_id: u32,
    /// The share index of the reader; 0 for all.
    #[prost(uint32, tag = "3")]
    pub target_id: u32,
}

impl WireMessage for FrostMsgKey {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostMsgKey";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// What is broadcast in the first round.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FrostRound1Casts {
    /// One of each validator.
    #[prost(message, repeated, tag = "1")]
    pub casts: Vec<FrostRound1Cast>,
}

impl WireMessage for FrostRound1Casts {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound1Casts";
    fn present(&self) -> Result<(), Missing> {
        each("casts", &self.casts)
    }
}

/// Commitments to a polynomial, and a proof that its author knows the secret.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FrostRound1Cast {
    /// Author and validator.
    #[prost(message, optional, tag = "1")]
    pub key: Option<FrostMsgKey>,
    /// The answer of the proof: a scalar, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub wi: Vec<u8>,
    /// The challenge of the proof: a scalar, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub ci: Vec<u8>,
    /// As many points as the threshold, 48 bytes each.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub commitments: Vec<Vec<u8>>,
}

impl WireMessage for FrostRound1Cast {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound1Cast";
    fn present(&self) -> Result<(), Missing> {
        required("key", self.key.as_ref())
    }
}

/// The shares for one peer.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FrostRound1P2P {
    /// One of each validator.
    #[prost(message, repeated, tag = "1")]
    pub shares: Vec<FrostRound1ShamirShare>,
}

impl WireMessage for FrostRound1P2P {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound1P2P";
    fn present(&self) -> Result<(), Missing> {
        each("shares", &self.shares)
    }
}

/// A share of a secret. Wiped when dropped, shown without its value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct FrostRound1ShamirShare {
    /// Author, reader and validator.
    #[prost(message, optional, tag = "1")]
    pub key: Option<FrostMsgKey>,
    /// The share index of the reader.
    #[prost(uint32, tag = "2")]
    pub id: u32,
    /// A scalar, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub value: Vec<u8>,
}

impl WireMessage for FrostRound1ShamirShare {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound1ShamirShare";
    fn present(&self) -> Result<(), Missing> {
        required("key", self.key.as_ref())
    }
}

impl fmt::Debug for FrostRound1ShamirShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrostRound1ShamirShare")
            .field("key", &self.key)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for FrostRound1ShamirShare {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// What is broadcast in the second round.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FrostRound2Casts {
    /// One of each validator.
    #[prost(message, repeated, tag = "1")]
    pub casts: Vec<FrostRound2Cast>,
}

impl WireMessage for FrostRound2Casts {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound2Casts";
    fn present(&self) -> Result<(), Missing> {
        each("casts", &self.casts)
    }
}

/// What an author computed.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FrostRound2Cast {
    /// Author and validator.
    #[prost(message, optional, tag = "1")]
    pub key: Option<FrostMsgKey>,
    /// The validator's public key, 48 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub verification_key: Vec<u8>,
    /// The public key of the author's share, 48 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub vk_share: Vec<u8>,
}

impl WireMessage for FrostRound2Cast {
    const NAME: &'static str = "dkg.dkgpb.v1.FrostRound2Cast";
    fn present(&self) -> Result<(), Missing> {
        required("key", self.key.as_ref())
    }
}
