//! Made-up blocks: for tries of what happens rarely, a proposal. Signed by the cluster, and never submitted.
//!
//! A block that is on the chain is taken, with another slot and proposer. No beacon node would take it; a signature of it
//! is that of a proposer all the same, and two of one slot are slashable whatever they are of. So a made-up block goes
//! through everything that a real one does, above all the store of what was signed.

use ssz_types::VariableList;

use crate::block::{
    BlockAltair, BlockBellatrix, BlockCapella, BlockDeneb, BlockElectra, BlockPhase0, Contents,
};
use crate::bytes::{Bytes, Bytes20, Bytes32, Bytes96};
use crate::codec::{self, CodecError};
use crate::fork::Fork;
use crate::operations::Signed;
use crate::payload::Transactions;
use crate::proposal::{Proposal, SignedProposal};

/// What a made-up block says, as charon's do: by it they are told from others.
pub const GRAFFITI: Bytes32 = Bytes(*b"SYNTHETIC BLOCK: DO NOT SUBMIT\0\0");

/// The part of the transactions that stays: blocks are large, and these are for tries.
const TRANSACTIONS: usize = 10;

/// Of whom and when a block is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// At which slot.
    pub slot: u64,
    /// Whose it is.
    pub proposer_index: u64,
    /// Its randomness.
    pub randao: Bytes96,
    /// Whom it pays, where that is known.
    pub fee_recipient: Option<Bytes20>,
}

/// A signed block of the chain, without its signature and blobs.
macro_rules! of_chain {
    ($fork:expr, $read:expr) => {
        match $fork {
            Fork::Phase0 => Proposal::Phase0(message::<BlockPhase0>($read)),
            Fork::Altair => Proposal::Altair(message::<BlockAltair>($read)),
            Fork::Bellatrix => Proposal::Bellatrix(message::<BlockBellatrix>($read)),
            Fork::Capella => Proposal::Capella(message::<BlockCapella>($read)),
            Fork::Deneb => Proposal::Deneb(alone(message::<BlockDeneb>($read))),
            Fork::Electra => Proposal::Electra(alone(message::<BlockElectra>($read))),
            Fork::Fulu => Proposal::Fulu(alone(message::<BlockElectra>($read))),
        }
    };
}

fn message<B: ssz::Encode + ssz::Decode + tree_hash::TreeHash>(signed: Signed<B>) -> B {
    signed.message
}

/// A block without what its blobs would need.
fn alone<B, K>(block: B) -> Contents<B, VariableList<crate::bytes::Bytes48, K>>
where
    B: ssz::Encode + ssz::Decode,
    K: ssz_types::typenum::Unsigned,
{
    Contents { block, kzg_proofs: VariableList::empty(), blobs: VariableList::empty() }
}

/// Reads SSZ of a signed block of the chain. It has no blobs.
///
/// # Errors
/// It is none of this fork.
pub fn block_from_ssz(fork: Fork, bytes: &[u8]) -> Result<Proposal, CodecError> {
    Ok(of_chain!(fork, codec::read_ssz("block", bytes)?))
}

/// Reads the JSON of the Beacon API of a signed block of the chain. It has no blobs.
///
/// # Errors
/// It is none of this fork.
pub fn block_from_json(fork: Fork, text: &[u8]) -> Result<Proposal, CodecError> {
    Ok(of_chain!(fork, codec::read_json("block", text)?))
}

/// What all forks have of a block.
macro_rules! planned {
    ($block:expr, $plan:expr) => {{
        $block.slot = $plan.slot;
        $block.proposer_index = $plan.proposer_index;
        $block.body.randao_reveal = $plan.randao;
        $block.body.graffiti = GRAFFITI;
    }};
}

/// The same, and what those with a payload have.
macro_rules! paying {
    ($block:expr, $plan:expr) => {{
        planned!($block, $plan);
        let payload = &mut $block.body.execution_payload;
        payload.fee_recipient = $plan.fee_recipient.unwrap_or(payload.fee_recipient);
        shorten(&mut payload.transactions);
    }};
}

fn shorten(transactions: &mut Transactions) {
    let kept: Vec<_> = transactions.iter().take(transactions.len() / TRANSACTIONS).cloned().collect();
    *transactions = VariableList::new(kept).unwrap_or_else(|_| VariableList::empty());
}

impl Proposal {
    /// This block as one that is made up; a blinded one stays as it is, but for what is said of whom and when.
    #[must_use]
    pub fn made_up(mut self, plan: &Plan) -> Proposal {
        match &mut self {
            Proposal::Phase0(block) => planned!(block, plan),
            Proposal::Altair(block) => planned!(block, plan),
            Proposal::Bellatrix(block) => paying!(block, plan),
            Proposal::Capella(block) => paying!(block, plan),
            Proposal::Deneb(contents) => paying!(contents.block, plan),
            Proposal::Electra(contents) => paying!(contents.block, plan),
            Proposal::Fulu(contents) => paying!(contents.block, plan),
            Proposal::BlindedBellatrix(block) => planned!(block, plan),
            Proposal::BlindedCapella(block) => planned!(block, plan),
            Proposal::BlindedDeneb(block) => planned!(block, plan),
            Proposal::BlindedElectra(block) | Proposal::BlindedFulu(block) => planned!(block, plan),
        }
        self
    }

    /// Whether it says that it is made up.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.graffiti() == GRAFFITI
    }
}

impl SignedProposal {
    /// Whether it says that it is made up.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.graffiti() == GRAFFITI
    }
}
