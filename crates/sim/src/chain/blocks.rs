//! Blocks that beacon nodes make, and those that builders offer.

use coxswain_dv_eth::block::{BlindedBellatrix, BlindedElectra, BlockBellatrix, BlockElectra, Contents};
use coxswain_dv_eth::body::{BlindedBodyBellatrix, BlindedBodyElectra, BodyBellatrix, BodyElectra};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::operations::Eth1Data;
use coxswain_dv_eth::payload::ExecutionRequests;
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::sync::SyncAggregate;
use ssz_types::{BitVector, VariableList};

use super::{Beacon, Part, View, root};

/// A body with nothing in it but what makes it one node's.
macro_rules! body {
    ($type:ident, $randao:expr, $graffiti:expr, { $($field:ident: $value:expr),* }) => {
        $type {
            randao_reveal: $randao,
            eth1_data: Eth1Data::default(),
            graffiti: $graffiti,
            proposer_slashings: VariableList::default(),
            attester_slashings: VariableList::default(),
            attestations: VariableList::default(),
            deposits: VariableList::default(),
            voluntary_exits: VariableList::default(),
            sync_aggregate: SyncAggregate {
                sync_committee_bits: BitVector::new(),
                sync_committee_signature: Bytes96::default(),
            },
            execution_payload: Default::default(),
            $($field: $value,)*
        }
    };
}

impl Beacon {
    /// A block for a slot as one node makes it; none where no validator of the cluster proposes.
    pub(super) fn proposal(
        &self,
        view: View,
        slot: u64,
        randao: Bytes96,
        builder_boost: u64,
    ) -> Option<Proposal> {
        let validator = self.proposer(view, slot)?;
        let lie = self.lie(view, slot);
        let proposer_index = Beacon::index_of(validator) + u64::from(lie == Some(0));
        let of_slot = slot;
        let slot = of_slot + u64::from(lie == Some(1));
        let graffiti: Bytes32 = root(Part::Node, view.eye as u64, 0);
        let (parent_root, state_root) = (self.block(view, of_slot - 1), root(Part::State, of_slot, 0));
        let is_blinded = builder_boost > 0 && self.chance(16, view.eye, of_slot) < 128;
        Some(match (self.fork_at(of_slot).has_electra_attestations(), is_blinded) {
            (true, false) => {
                let body = body!(BodyElectra, randao, graffiti, {
                    bls_to_execution_changes: VariableList::default(),
                    blob_kzg_commitments: VariableList::default(),
                    execution_requests: ExecutionRequests::default()
                });
                let block = BlockElectra { slot, proposer_index, parent_root, state_root, body };
                let (kzg_proofs, blobs) = (VariableList::default(), VariableList::default());
                Proposal::Fulu(Contents { block, kzg_proofs, blobs })
            }
            (true, true) => {
                let body = body!(BlindedBodyElectra, randao, graffiti, {
                    bls_to_execution_changes: VariableList::default(),
                    blob_kzg_commitments: VariableList::default(),
                    execution_requests: ExecutionRequests::default()
                });
                let block = BlindedElectra { slot, proposer_index, parent_root, state_root, body };
                Proposal::BlindedFulu(block)
            }
            (false, false) => {
                let body = body!(BodyBellatrix, randao, graffiti, {});
                let block = BlockBellatrix { slot, proposer_index, parent_root, state_root, body };
                Proposal::Bellatrix(block)
            }
            (false, true) => {
                let body = body!(BlindedBodyBellatrix, randao, graffiti, {});
                let block = BlindedBellatrix { slot, proposer_index, parent_root, state_root, body };
                Proposal::BlindedBellatrix(block)
            }
        })
    }
}
