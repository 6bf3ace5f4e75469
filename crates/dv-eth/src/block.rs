//! Blocks, and what belongs to them.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::typenum::{U4096, U131072, U524288};
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

use crate::Root;
use crate::body::{
    BlindedBodyBellatrix, BlindedBodyCapella, BlindedBodyDeneb, BlindedBodyElectra, BodyAltair,
    BodyBellatrix, BodyCapella, BodyDeneb, BodyElectra, BodyPhase0,
};
use crate::bytes::{Bytes32, Bytes48, Bytes96};
use crate::operations::Signed;

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
pub type BlockBellatrix = Block<BodyBellatrix>;
/// A block of Capella.
pub type BlockCapella = Block<BodyCapella>;
/// A block of Deneb.
pub type BlockDeneb = Block<BodyDeneb>;
/// A block of Electra and Fulu.
pub type BlockElectra = Block<BodyElectra>;
/// A blinded block of Bellatrix.
pub type BlindedBellatrix = Block<BlindedBodyBellatrix>;
/// A blinded block of Capella.
pub type BlindedCapella = Block<BlindedBodyCapella>;
/// A blinded block of Deneb.
pub type BlindedDeneb = Block<BlindedBodyDeneb>;
/// A blinded block of Electra and Fulu.
pub type BlindedElectra = Block<BlindedBodyElectra>;

/// A blob.
pub type Blob = FixedVector<u8, U131072>;
/// Blobs of a block.
pub type Blobs = VariableList<Blob, U4096>;
/// Proofs of blobs, one each.
pub type BlobProofs = VariableList<Bytes48, U4096>;
/// Proofs of cells of blobs: 128 of each blob.
pub type CellProofs = VariableList<Bytes48, U524288>;

/// A block with what its blobs need; `K` are the proofs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(bound(deserialize = "B: serde::Deserialize<'de>, K: serde::Deserialize<'de>"))]
pub struct Contents<B: ssz::Encode + ssz::Decode, K: ssz::Encode + ssz::Decode> {
    /// The block.
    pub block: B,
    /// Proofs of the blobs.
    pub kzg_proofs: K,
    /// The blobs.
    #[serde(with = "crate::hexadecimal::many")]
    pub blobs: Blobs,
}

/// A signed block with what its blobs need; `B` is the block that is signed, `K` are the proofs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(bound(deserialize = "B: serde::Deserialize<'de>, K: serde::Deserialize<'de>"))]
pub struct SignedContents<B: ssz::Encode + ssz::Decode + tree_hash::TreeHash, K: ssz::Encode + ssz::Decode> {
    /// The block.
    #[serde(rename = "signed_block")]
    pub block: Signed<B>,
    /// Proofs of the blobs.
    pub kzg_proofs: K,
    /// The blobs.
    #[serde(with = "crate::hexadecimal::many")]
    pub blobs: Blobs,
}

impl<B, K> Contents<B, K>
where
    B: ssz::Encode + ssz::Decode + tree_hash::TreeHash,
    K: ssz::Encode + ssz::Decode,
{
    /// With a signature of the block.
    #[must_use]
    pub fn signed(self, signature: Bytes96) -> SignedContents<B, K> {
        let block = Signed { message: self.block, signature };
        SignedContents { block, kzg_proofs: self.kzg_proofs, blobs: self.blobs }
    }
}

impl<B, K> SignedContents<B, K>
where
    B: ssz::Encode + ssz::Decode + tree_hash::TreeHash,
    K: ssz::Encode + ssz::Decode,
{
    /// What was signed, and the signature.
    #[must_use]
    pub fn into_parts(self) -> (Contents<B, K>, Bytes96) {
        let Signed { message, signature } = self.block;
        (Contents { block: message, kzg_proofs: self.kzg_proofs, blobs: self.blobs }, signature)
    }
}

/// Contents from Deneb to Electra.
pub type ContentsOf<B> = Contents<B, BlobProofs>;
/// Contents from Fulu on.
pub type ContentsFulu<B> = Contents<B, CellProofs>;
/// Signed contents from Deneb to Electra.
pub type SignedContentsOf<B> = SignedContents<B, BlobProofs>;
/// Signed contents from Fulu on.
pub type SignedContentsFulu<B> = SignedContents<B, CellProofs>;
/// A signed block.
pub type SignedBlock<B> = Signed<Block<B>>;
