//! Blocks of the chain, read as far as nodes look at them.

use super::SeenBlock;
use crate::attestation::Attestation;
use crate::block::{BlockAltair, BlockBellatrix, BlockCapella, BlockDeneb, BlockElectra, BlockPhase0};
use crate::bytes::Bytes32;
use crate::codec::{self, CodecError};
use crate::fork::Fork;
use crate::operations::Signed;

/// What is looked at of a block.
macro_rules! seen {
    ($read:expr, $block:ty, $attestation:path) => {{
        let Signed::<$block> { message: block, .. } = $read;
        SeenBlock {
            slot: block.slot,
            proposer_index: block.proposer_index,
            root: Bytes32::from(block.root()),
            attestations: block.body.attestations.into_iter().map($attestation).collect(),
        }
    }};
}

/// The same of any fork.
macro_rules! of_fork {
    ($fork:expr, $read:expr) => {
        match $fork {
            Fork::Phase0 => seen!($read, BlockPhase0, Attestation::Phase0),
            Fork::Altair => seen!($read, BlockAltair, Attestation::Phase0),
            Fork::Bellatrix => seen!($read, BlockBellatrix, Attestation::Phase0),
            Fork::Capella => seen!($read, BlockCapella, Attestation::Phase0),
            Fork::Deneb => seen!($read, BlockDeneb, Attestation::Phase0),
            Fork::Electra | Fork::Fulu => seen!($read, BlockElectra, Attestation::Electra),
        }
    };
}

impl SeenBlock {
    /// Reads SSZ of a signed block of a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn from_ssz(fork: Fork, bytes: &[u8]) -> Result<SeenBlock, CodecError> {
        Ok(of_fork!(fork, codec::read_ssz("block", bytes)?))
    }

    /// Reads the JSON of the Beacon API, as it is at a fork.
    ///
    /// # Errors
    /// It is none.
    pub fn from_json(fork: Fork, text: &[u8]) -> Result<SeenBlock, CodecError> {
        Ok(of_fork!(fork, codec::read_json("block", text)?))
    }
}
