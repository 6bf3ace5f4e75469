//! Blocks, and what belongs to them.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::typenum::{U4096, U131072, U524288};
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

use crate::Root;
use crate::body::{BodyAltair, BodyBellatrix, BodyCapella, BodyDeneb, BodyElectra, BodyPhase0};
use crate::bytes::{Bytes32, Bytes48};
use crate::operations::Signed;
use crate::payload::{
    HeaderBellatrix, HeaderCapella, HeaderDeneb, PayloadBellatrix, PayloadCapella, PayloadDeneb,
};

/// The header of a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct BlockHeader {
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// Who proposes it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_index: u64,
    /// The block before.
    pub parent_root: Bytes32,
    /// After it.
    pub state_root: Bytes32,
    /// Its body.
    pub body_root: Bytes32,
}

/// A block with a body of some fork.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct Block<B: ssz::Encode + ssz::Decode + tree_hash::TreeHash> {
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// Who proposes it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_index: u64,
    /// The block before.
    pub parent_root: Bytes32,
    /// After it.
    pub state_root: Bytes32,
    /// What is in it.
    pub body: B,
}

impl<B: ssz::Encode + ssz::Decode + tree_hash::TreeHash> Block<B> {
    /// `hash_tree_root`: also that of its header.
    #[must_use]
    pub fn root(&self) -> Root {
        self.tree_hash_root().0
    }
}

/// A block of phase 0.
pub type BlockPhase0 = Block<BodyPhase0>;
/// A block of Altair.
pub type BlockAltair = Block<BodyAltair>;
/// A block of Bellatrix.
pub type BlockBellatrix = Block<BodyBellatrix<PayloadBellatrix>>;
/// A block of Capella.
pub type BlockCapella = Block<BodyCapella<PayloadCapella>>;
/// A block of Deneb.
pub type BlockDeneb = Block<BodyDeneb<PayloadDeneb>>;
/// A block of Electra and Fulu.
pub type BlockElectra = Block<BodyElectra<PayloadDeneb>>;
/// A blinded block of Bellatrix.
pub type BlindedBellatrix = Block<BodyBellatrix<HeaderBellatrix>>;
/// A blinded block of Capella.
pub type BlindedCapella = Block<BodyCapella<HeaderCapella>>;
/// A blinded block of Deneb.
pub type BlindedDeneb = Block<BodyDeneb<HeaderDeneb>>;
/// A blinded block of Electra and Fulu.
pub type BlindedElectra = Block<BodyElectra<HeaderDeneb>>;

/// A blob.
pub type Blob = FixedVector<u8, U131072>;
/// Proofs of blobs, one each.
pub type BlobProofs = VariableList<Bytes48, U4096>;
/// Proofs of cells of blobs: 128 of each blob.
pub type CellProofs = VariableList<Bytes48, U524288>;

/// A block with what its blobs need; `B` is a block or a signed one, `K` the proofs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(bound(deserialize = "B: serde::Deserialize<'de>, K: serde::Deserialize<'de>"))]
pub struct Contents<B: ssz::Encode + ssz::Decode, K: ssz::Encode + ssz::Decode> {
    /// The block.
    #[serde(alias = "signed_block")]
    pub block: B,
    /// Proofs of the blobs.
    pub kzg_proofs: K,
    /// The blobs.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub blobs: VariableList<Blob, U4096>,
}

/// Contents from Deneb to Electra.
pub type ContentsOf<B> = Contents<B, BlobProofs>;
/// Contents from Fulu on.
pub type ContentsFulu<B> = Contents<B, CellProofs>;
/// A signed block.
pub type SignedBlock<B> = Signed<Block<B>>;
