//! Blocks of any fork, whole with what their blobs need, or blinded.

use crate::Root;
use crate::block::{
    BlindedBellatrix, BlindedCapella, BlindedDeneb, BlindedElectra, BlockAltair, BlockBellatrix,
    BlockCapella, BlockDeneb, BlockElectra, BlockPhase0, ContentsFulu, ContentsOf,
};
use crate::bytes::Bytes96;
use crate::fork::Fork;
use crate::operations::Signed;

/// A block to be signed.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Of phase 0.
    Phase0(BlockPhase0),
    /// Of Altair.
    Altair(BlockAltair),
    /// Of Bellatrix.
    Bellatrix(BlockBellatrix),
    /// Of Bellatrix, blinded.
    BlindedBellatrix(BlindedBellatrix),
    /// Of Capella.
    Capella(BlockCapella),
    /// Of Capella, blinded.
    BlindedCapella(BlindedCapella),
    /// Of Deneb.
    Deneb(ContentsOf<BlockDeneb>),
    /// Of Deneb, blinded.
    BlindedDeneb(BlindedDeneb),
    /// Of Electra.
    Electra(ContentsOf<BlockElectra>),
    /// Of Electra, blinded.
    BlindedElectra(BlindedElectra),
    /// Of Fulu.
    Fulu(ContentsFulu<BlockElectra>),
    /// Of Fulu, blinded.
    BlindedFulu(BlindedElectra),
}

/// A signed block.
#[derive(Debug, Clone, PartialEq)]
pub enum SignedProposal {
    /// Of phase 0.
    Phase0(Signed<BlockPhase0>),
    /// Of Altair.
    Altair(Signed<BlockAltair>),
    /// Of Bellatrix.
    Bellatrix(Signed<BlockBellatrix>),
    /// Of Bellatrix, blinded.
    BlindedBellatrix(Signed<BlindedBellatrix>),
    /// Of Capella.
    Capella(Signed<BlockCapella>),
    /// Of Capella, blinded.
    BlindedCapella(Signed<BlindedCapella>),
    /// Of Deneb.
    Deneb(ContentsOf<Signed<BlockDeneb>>),
    /// Of Deneb, blinded.
    BlindedDeneb(Signed<BlindedDeneb>),
    /// Of Electra.
    Electra(ContentsOf<Signed<BlockElectra>>),
    /// Of Electra, blinded.
    BlindedElectra(Signed<BlindedElectra>),
    /// Of Fulu.
    Fulu(ContentsFulu<Signed<BlockElectra>>),
    /// Of Fulu, blinded.
    BlindedFulu(Signed<BlindedElectra>),
}

/// What is said of a block of any fork.
macro_rules! each {
    ($on:expr, $block:ident => $what:expr, $contents:ident => $inner:expr, $type:ident) => {
        match $on {
            $type::Phase0($block) => $what,
            $type::Altair($block) => $what,
            $type::Bellatrix($block) => $what,
            $type::BlindedBellatrix($block) => $what,
            $type::Capella($block) => $what,
            $type::BlindedCapella($block) => $what,
            $type::BlindedDeneb($block) => $what,
            $type::BlindedElectra($block) | $type::BlindedFulu($block) => $what,
            $type::Deneb($contents) => $inner,
            $type::Electra($contents) => $inner,
            $type::Fulu($contents) => $inner,
        }
    };
}

impl Proposal {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u64 {
        each!(self, block => block.slot, contents => contents.block.slot, Proposal)
    }

    /// Who proposes it.
    #[must_use]
    pub fn proposer_index(&self) -> u64 {
        each!(self, block => block.proposer_index, contents => contents.block.proposer_index, Proposal)
    }

    /// `hash_tree_root` of the block; that of a blinded one is the same.
    #[must_use]
    pub fn root(&self) -> Root {
        each!(self, block => block.root(), contents => contents.block.root(), Proposal)
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            Proposal::Phase0(_) => Fork::Phase0,
            Proposal::Altair(_) => Fork::Altair,
            Proposal::Bellatrix(_) | Proposal::BlindedBellatrix(_) => Fork::Bellatrix,
            Proposal::Capella(_) | Proposal::BlindedCapella(_) => Fork::Capella,
            Proposal::Deneb(_) | Proposal::BlindedDeneb(_) => Fork::Deneb,
            Proposal::Electra(_) | Proposal::BlindedElectra(_) => Fork::Electra,
            Proposal::Fulu(_) | Proposal::BlindedFulu(_) => Fork::Fulu,
        }
    }

    /// Whether it has the payload's header only.
    #[must_use]
    pub fn is_blinded(&self) -> bool {
        match self {
            Proposal::BlindedBellatrix(_)
            | Proposal::BlindedCapella(_)
            | Proposal::BlindedDeneb(_)
            | Proposal::BlindedElectra(_)
            | Proposal::BlindedFulu(_) => true,
            Proposal::Phase0(_)
            | Proposal::Altair(_)
            | Proposal::Bellatrix(_)
            | Proposal::Capella(_)
            | Proposal::Deneb(_)
            | Proposal::Electra(_)
            | Proposal::Fulu(_) => false,
        }
    }
}

impl SignedProposal {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u64 {
        each!(self, block => block.message.slot, contents => contents.block.message.slot, SignedProposal)
    }

    /// Who proposes it.
    #[must_use]
    pub fn proposer_index(&self) -> u64 {
        each!(self, block => block.message.proposer_index,
            contents => contents.block.message.proposer_index, SignedProposal)
    }

    /// `hash_tree_root` of the block.
    #[must_use]
    pub fn root(&self) -> Root {
        each!(self, block => block.message.root(), contents => contents.block.message.root(), SignedProposal)
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Bytes96 {
        each!(self, block => &block.signature, contents => &contents.block.signature, SignedProposal)
    }

    /// With another signature.
    pub fn set_signature(&mut self, signature: Bytes96) {
        each!(self, block => block.signature = signature, contents => contents.block.signature = signature,
            SignedProposal);
    }

    /// Its fork.
    #[must_use]
    pub fn fork(&self) -> Fork {
        match self {
            SignedProposal::Phase0(_) => Fork::Phase0,
            SignedProposal::Altair(_) => Fork::Altair,
            SignedProposal::Bellatrix(_) | SignedProposal::BlindedBellatrix(_) => Fork::Bellatrix,
            SignedProposal::Capella(_) | SignedProposal::BlindedCapella(_) => Fork::Capella,
            SignedProposal::Deneb(_) | SignedProposal::BlindedDeneb(_) => Fork::Deneb,
            SignedProposal::Electra(_) | SignedProposal::BlindedElectra(_) => Fork::Electra,
            SignedProposal::Fulu(_) | SignedProposal::BlindedFulu(_) => Fork::Fulu,
        }
    }

    /// Whether it has the payload's header only.
    #[must_use]
    pub fn is_blinded(&self) -> bool {
        match self {
            SignedProposal::BlindedBellatrix(_)
            | SignedProposal::BlindedCapella(_)
            | SignedProposal::BlindedDeneb(_)
            | SignedProposal::BlindedElectra(_)
            | SignedProposal::BlindedFulu(_) => true,
            SignedProposal::Phase0(_)
            | SignedProposal::Altair(_)
            | SignedProposal::Bellatrix(_)
            | SignedProposal::Capella(_)
            | SignedProposal::Deneb(_)
            | SignedProposal::Electra(_)
            | SignedProposal::Fulu(_) => false,
        }
    }
}
