//! What tests of a node make up of a chain.

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::beacon::{self, ValidatorFields};
use coxswain_dv_eth::block::Block;
use coxswain_dv_eth::body::BodyPhase0;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::operations::{Eth1Data, Signed};
use coxswain_dv_eth::proposal::SignedProposal;
use ssz_types::VariableList;

/// A validator that has its duties.
pub(crate) fn active(index: u64, pubkey: Bytes48) -> beacon::Validator {
    beacon::Validator {
        index,
        balance: 0,
        status: "active_ongoing".into(),
        validator: ValidatorFields {
            pubkey,
            withdrawal_credentials: Bytes([0; 32]),
            effective_balance: 0,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: u64::MAX,
            withdrawable_epoch: u64::MAX,
        },
    }
}

/// A block with nothing in it; `state` tells two of a slot apart.
pub(crate) fn block(slot: u64, proposer_index: u64, state: u8) -> SignedProposal {
    let body = BodyPhase0 {
        randao_reveal: Bytes([0; 96]),
        eth1_data: Eth1Data::default(),
        graffiti: Bytes([0; 32]),
        proposer_slashings: VariableList::empty(),
        attester_slashings: VariableList::empty(),
        attestations: VariableList::empty(),
        deposits: VariableList::empty(),
        voluntary_exits: VariableList::empty(),
    };
    let (parent_root, state_root) = (Bytes([0; 32]), Bytes([state; 32]));
    let message = Block { slot, proposer_index, parent_root, state_root, body };
    SignedProposal::Phase0(Signed { message, signature: Bytes([0; 96]) })
}
