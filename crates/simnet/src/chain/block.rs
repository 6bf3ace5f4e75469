//! Signed blocks of the chain, without what their blobs need.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::Attestation;
use coxswain_dv_eth::block::{
    BlockAltair, BlockBellatrix, BlockCapella, BlockDeneb, BlockElectra, BlockHeader, BlockPhase0,
};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::sync::SyncAggregate;
use ssz::Encode as _;
use tree_hash::TreeHash as _;

/// A signed block of any fork.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainBlock {
    /// Of phase 0.
    Phase0(Box<Signed<BlockPhase0>>),
    /// Of Altair.
    Altair(Box<Signed<BlockAltair>>),
    /// Of Bellatrix.
    Bellatrix(Box<Signed<BlockBellatrix>>),
    /// Of Capella.
    Capella(Box<Signed<BlockCapella>>),
    /// Of Deneb.
    Deneb(Box<Signed<BlockDeneb>>),
    /// Of Electra or a later fork.
    Electra(Fork, Box<Signed<BlockElectra>>),
}

/// What is said of a block of any fork.
macro_rules! each {
    ($on:expr, $signed:ident => $what:expr) => {
        match $on {
            ChainBlock::Phase0($signed) => $what,
            ChainBlock::Altair($signed) => $what,
            ChainBlock::Bellatrix($signed) => $what,
            ChainBlock::Capella($signed) => $what,
            ChainBlock::Deneb($signed) => $what,
            ChainBlock::Electra(_, $signed) => $what,
        }
    };
}

impl ChainBlock {
    /// The block of a whole proposal; none of a blinded one.
    #[must_use]
    pub fn of(proposal: SignedProposal) -> Option<ChainBlock> {
        Some(match proposal {
            SignedProposal::Phase0(block) => ChainBlock::Phase0(Box::new(block)),
            SignedProposal::Altair(block) => ChainBlock::Altair(Box::new(block)),
            SignedProposal::Bellatrix(block) => ChainBlock::Bellatrix(Box::new(block)),
            SignedProposal::Capella(block) => ChainBlock::Capella(Box::new(block)),
            SignedProposal::Deneb(contents) => ChainBlock::Deneb(Box::new(contents.block)),
            SignedProposal::Electra(contents) => ChainBlock::Electra(Fork::Electra, Box::new(contents.block)),
            SignedProposal::Fulu(contents) => ChainBlock::Electra(Fork::Fulu, Box::new(contents.block)),
            SignedProposal::BlindedBellatrix(_)
            | SignedProposal::BlindedCapella(_)
            | SignedProposal::BlindedDeneb(_)
            | SignedProposal::BlindedElectra(_)
            | SignedProposal::BlindedFulu(_) => return None,
        })
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            ChainBlock::Phase0(_) => Fork::Phase0,
            ChainBlock::Altair(_) => Fork::Altair,
            ChainBlock::Bellatrix(_) => Fork::Bellatrix,
            ChainBlock::Capella(_) => Fork::Capella,
            ChainBlock::Deneb(_) => Fork::Deneb,
            ChainBlock::Electra(fork, _) => *fork,
        }
    }

    /// Slot, proposer, and the root of the block before.
    #[must_use]
    pub fn place(&self) -> (u64, u64, Root) {
        each!(self, signed => {
            let block = &signed.message;
            (block.slot, block.proposer_index, block.parent_root.0)
        })
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> BlockHeader {
        each!(self, signed => BlockHeader {
            slot: signed.message.slot,
            proposer_index: signed.message.proposer_index,
            parent_root: signed.message.parent_root,
            state_root: signed.message.state_root,
            body_root: signed.message.body.tree_hash_root().0.into(),
        })
    }

    /// `hash_tree_root` of the block.
    #[must_use]
    pub fn root(&self) -> Root {
        each!(self, signed => signed.message.root())
    }

    /// The proposer's signature.
    #[must_use]
    pub fn signature(&self) -> Bytes96 {
        each!(self, signed => signed.signature)
    }

    /// The root of the state after it.
    #[must_use]
    pub fn state_root(&self) -> Bytes32 {
        each!(self, signed => signed.message.state_root)
    }

    /// SSZ of `SignedBeaconBlock`.
    #[must_use]
    pub fn to_ssz(&self) -> Vec<u8> {
        each!(self, signed => signed.as_ssz_bytes())
    }

    /// `SignedBeaconBlock` as the Beacon API has it.
    ///
    /// # Errors
    /// None that is known: all fields have a form in JSON.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        each!(self, signed => serde_json::to_value(signed))
    }

    /// The attestations in it.
    #[must_use]
    pub fn attestations(&self) -> Vec<Attestation> {
        let phase0 = |one: &_| Attestation::Phase0(Clone::clone(one));
        match self {
            ChainBlock::Phase0(block) => block.message.body.attestations.iter().map(phase0).collect(),
            ChainBlock::Altair(block) => block.message.body.attestations.iter().map(phase0).collect(),
            ChainBlock::Bellatrix(block) => block.message.body.attestations.iter().map(phase0).collect(),
            ChainBlock::Capella(block) => block.message.body.attestations.iter().map(phase0).collect(),
            ChainBlock::Deneb(block) => block.message.body.attestations.iter().map(phase0).collect(),
            ChainBlock::Electra(_, block) => {
                block.message.body.attestations.iter().cloned().map(Attestation::Electra).collect()
            }
        }
    }

    /// The exits in it.
    #[must_use]
    pub fn exits(&self) -> &[Signed<VoluntaryExit>] {
        each!(self, signed => &signed.message.body.voluntary_exits)
    }

    /// The votes of the sync committee in it; none in phase 0.
    #[must_use]
    pub fn sync_aggregate(&self) -> Option<&SyncAggregate> {
        match self {
            ChainBlock::Phase0(_) => None,
            ChainBlock::Altair(block) => Some(&block.message.body.sync_aggregate),
            ChainBlock::Bellatrix(block) => Some(&block.message.body.sync_aggregate),
            ChainBlock::Capella(block) => Some(&block.message.body.sync_aggregate),
            ChainBlock::Deneb(block) => Some(&block.message.body.sync_aggregate),
            ChainBlock::Electra(_, block) => Some(&block.message.body.sync_aggregate),
        }
    }

    /// The hash of its payload; zero before Bellatrix.
    #[must_use]
    pub fn payload_hash(&self) -> Bytes32 {
        match self {
            ChainBlock::Phase0(_) | ChainBlock::Altair(_) => Bytes32::default(),
            ChainBlock::Bellatrix(block) => block.message.body.execution_payload.block_hash,
            ChainBlock::Capella(block) => block.message.body.execution_payload.block_hash,
            ChainBlock::Deneb(block) => block.message.body.execution_payload.block_hash,
            ChainBlock::Electra(_, block) => block.message.body.execution_payload.block_hash,
        }
    }
}
