//! Blocks that are to be signed. What they contain of the execution layer and of the state is made up from the seed.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{AttestationElectra, AttestationPhase0};
use coxswain_dv_eth::block::{Block, Contents};
use coxswain_dv_eth::body::{
    BlindedBodyBellatrix, BlindedBodyCapella, BlindedBodyDeneb, BlindedBodyElectra, BodyAltair,
    BodyBellatrix, BodyCapella, BodyDeneb, BodyElectra, BodyPhase0,
};
use coxswain_dv_eth::bytes::{Bytes, Bytes20, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Eth1Data, Signed, VoluntaryExit};
use coxswain_dv_eth::payload::{
    ExecutionRequests, HeaderBellatrix, HeaderCapella, HeaderDeneb, PayloadBellatrix, PayloadCapella,
    PayloadDeneb, Transactions,
};
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::sync::SyncAggregate;
use rand_core::Rng as _;
use ssz_types::VariableList;

use super::seed::Seed;

/// Bytes of one made-up transaction at most, like a usual one with call data.
const TRANSACTION_LEN: usize = 512;
/// Gas limit of payloads, that of mainnet.
const GAS_LIMIT: u64 = 45_000_000;
/// Bytes of a blob.
const BLOB_LEN: usize = 131_072;
/// Cells of a blob, each with a proof (`CELLS_PER_EXT_BLOB`).
const CELLS: usize = 128;

/// What a block is made of.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) seed: Seed,
    pub(super) fork: Fork,
    pub(super) slot: u64,
    pub(super) proposer: u64,
    pub(super) parent: Bytes32,
    pub(super) parent_hash: Bytes32,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) randao: Bytes96,
    pub(super) graffiti: Bytes32,
    pub(super) fee_recipient: Bytes20,
    /// Before Electra.
    pub(super) attestations: Vec<AttestationPhase0>,
    /// From Electra on.
    pub(super) attestations_electra: Vec<AttestationElectra>,
    pub(super) exits: Vec<Signed<VoluntaryExit>>,
    pub(super) sync_aggregate: SyncAggregate,
    pub(super) n_blobs: usize,
    pub(super) transaction_bytes: usize,
}

/// A whole block, and the same blinded where its fork has that.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) whole: Proposal,
    pub(super) blinded: Option<Proposal>,
}

impl Made {
    /// The root of both. That of the blinded one takes less time.
    pub(super) fn root(&self) -> Root {
        self.blinded.as_ref().unwrap_or(&self.whole).root()
    }
}

/// The fields that all bodies have, then more.
macro_rules! body {
    ($type:ident, $parts:expr, $attestations:expr, { $($field:ident: $value:expr),* $(,)? }) => {
        $type {
            randao_reveal: $parts.randao,
            eth1_data: Eth1Data::default(),
            graffiti: $parts.graffiti,
            proposer_slashings: VariableList::default(),
            attester_slashings: VariableList::default(),
            attestations: list($attestations),
            deposits: VariableList::default(),
            voluntary_exits: list($parts.exits.clone()),
            $($field: $value),*
        }
    };
}

/// A payload or header of some fork with the fields that all have, then more.
macro_rules! payload {
    ($type:ident, $from:expr, { $($field:ident: $value:expr),* $(,)? }) => {
        $type {
            parent_hash: $from.parent_hash,
            fee_recipient: $from.fee_recipient,
            state_root: $from.state_root,
            receipts_root: $from.receipts_root,
            logs_bloom: $from.logs_bloom,
            prev_randao: $from.prev_randao,
            block_number: $from.block_number,
            gas_limit: $from.gas_limit,
            gas_used: $from.gas_used,
            timestamp: $from.timestamp,
            extra_data: $from.extra_data.clone(),
            base_fee_per_gas: $from.base_fee_per_gas,
            block_hash: $from.block_hash,
            $($field: $value),*
        }
    };
}

/// A list; what does not fit is left out, and callers give no more than fits.
fn list<T, N: ssz_types::typenum::Unsigned>(mut items: Vec<T>) -> VariableList<T, N> {
    items.truncate(N::to_usize());
    VariableList::new(items).unwrap_or_default()
}

impl Parts {
    fn block<B: ssz::Encode + ssz::Decode + tree_hash::TreeHash>(&self, body: B) -> Block<B> {
        let state = self.seed.root("state", &[self.slot, u64::from_le_bytes(prefix(&self.parent.0))]);
        Block {
            slot: self.slot,
            proposer_index: self.proposer,
            parent_root: self.parent,
            state_root: state.into(),
            body,
        }
    }

    /// The block.
    pub(super) fn make(self) -> Made {
        match self.fork {
            Fork::Phase0 => {
                let body = body!(BodyPhase0, self, self.attestations.clone(), {});
                Made { whole: Proposal::Phase0(self.block(body)), blinded: None }
            }
            Fork::Altair => {
                let sync_aggregate = self.sync_aggregate.clone();
                let body =
                    body!(BodyAltair, self, self.attestations.clone(), { sync_aggregate: sync_aggregate });
                Made { whole: Proposal::Altair(self.block(body)), blinded: None }
            }
            Fork::Bellatrix => self.bellatrix(),
            Fork::Capella => self.capella(),
            Fork::Deneb => self.deneb(),
            Fork::Electra | Fork::Fulu => self.electra(),
        }
    }

    fn bellatrix(self) -> Made {
        let (from, header) = self.payload();
        let payload = payload!(PayloadBellatrix, from, { transactions: from.transactions.clone() });
        let header = payload!(HeaderBellatrix, from, { transactions_root: header.transactions_root });
        let body = body!(BodyBellatrix, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: payload,
        });
        let blinded = body!(BlindedBodyBellatrix, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: header,
        });
        Made {
            whole: Proposal::Bellatrix(self.block(body)),
            blinded: Some(Proposal::BlindedBellatrix(self.block(blinded))),
        }
    }

    fn capella(self) -> Made {
        let (from, header) = self.payload();
        let payload = payload!(PayloadCapella, from, {
            transactions: from.transactions.clone(), withdrawals: from.withdrawals.clone(),
        });
        let header = payload!(HeaderCapella, from, {
            transactions_root: header.transactions_root, withdrawals_root: header.withdrawals_root,
        });
        let body = body!(BodyCapella, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: payload,
            bls_to_execution_changes: VariableList::default(),
        });
        let blinded = body!(BlindedBodyCapella, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: header,
            bls_to_execution_changes: VariableList::default(),
        });
        Made {
            whole: Proposal::Capella(self.block(body)),
            blinded: Some(Proposal::BlindedCapella(self.block(blinded))),
        }
    }

    fn deneb(self) -> Made {
        let (payload, header) = self.payload();
        let commitments = list(self.points("commitment", 1));
        let body = body!(BodyDeneb, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: payload,
            bls_to_execution_changes: VariableList::default(), blob_kzg_commitments: commitments.clone(),
        });
        let blinded = body!(BlindedBodyDeneb, self, self.attestations.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: header,
            bls_to_execution_changes: VariableList::default(), blob_kzg_commitments: commitments,
        });
        let whole = Contents {
            block: self.block(body),
            kzg_proofs: list(self.points("proof", 1)),
            blobs: list(self.blobs()),
        };
        Made { whole: Proposal::Deneb(whole), blinded: Some(Proposal::BlindedDeneb(self.block(blinded))) }
    }

    fn electra(self) -> Made {
        let (payload, header) = self.payload();
        let commitments = list(self.points("commitment", 1));
        let body = body!(BodyElectra, self, self.attestations_electra.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: payload,
            bls_to_execution_changes: VariableList::default(), blob_kzg_commitments: commitments.clone(),
            execution_requests: ExecutionRequests::default(),
        });
        let blinded = body!(BlindedBodyElectra, self, self.attestations_electra.clone(), {
            sync_aggregate: self.sync_aggregate.clone(), execution_payload: header,
            bls_to_execution_changes: VariableList::default(), blob_kzg_commitments: commitments,
            execution_requests: ExecutionRequests::default(),
        });
        let (block, blinded) = (self.block(body), self.block(blinded));
        let blobs = list(self.blobs());
        if self.fork == Fork::Electra {
            let kzg_proofs = list(self.points("proof", 1));
            let whole = Proposal::Electra(Contents { block, kzg_proofs, blobs });
            return Made { whole, blinded: Some(Proposal::BlindedElectra(blinded)) };
        }
        let kzg_proofs = list(self.points("proof", CELLS));
        Made {
            whole: Proposal::Fulu(Contents { block, kzg_proofs, blobs }),
            blinded: Some(Proposal::BlindedFulu(blinded)),
        }
    }

    /// The payload and its header as of Deneb; other forks leave fields out.
    fn payload(&self) -> (PayloadDeneb, HeaderDeneb) {
        let made_up = |purpose: &str| Bytes32::from(self.seed.root(purpose, &[self.slot]));
        let mut payload = PayloadDeneb {
            parent_hash: self.parent_hash,
            fee_recipient: self.fee_recipient,
            state_root: made_up("execution state"),
            receipts_root: made_up("receipts"),
            logs_bloom: Bytes::default(),
            prev_randao: made_up("randao mix"),
            block_number: self.slot,
            gas_limit: GAS_LIMIT,
            gas_used: 21_000 * (self.transaction_bytes / TRANSACTION_LEN) as u64,
            timestamp: self.timestamp,
            transactions: self.transactions(),
            base_fee_per_gas: alloy_primitives::U256::from(7),
            ..PayloadDeneb::default()
        };
        // No hash of an execution client's, but like one it differs when anything in the payload does. The header's root
        // is the payload's.
        let header = header(&payload);
        payload.block_hash = root(&header);
        (payload, HeaderDeneb { block_hash: root(&header), ..header })
    }

    fn transactions(&self) -> Transactions {
        let mut stream = self.seed.stream("transactions", &[self.slot]);
        let mut left = self.transaction_bytes;
        let mut transactions = Vec::new();
        while left > 0 {
            let mut bytes = vec![0; left.min(TRANSACTION_LEN)];
            left -= bytes.len();
            stream.fill_bytes(&mut bytes);
            transactions.push(list(bytes));
        }
        list(transactions)
    }

    /// Points of each blob; they stand for no blob.
    fn points(&self, purpose: &str, of_each: usize) -> Vec<Bytes48> {
        let mut stream = self.seed.stream(purpose, &[self.slot]);
        let mut point = || {
            let mut bytes = [0; 48];
            stream.fill_bytes(&mut bytes);
            Bytes48::from(bytes)
        };
        (0..self.n_blobs * of_each).map(|_| point()).collect()
    }

    fn blobs(&self) -> Vec<coxswain_dv_eth::block::Blob> {
        let blob = |number: usize| {
            // A field element's first byte is small; one element is enough to tell blobs apart.
            let mut bytes = vec![0; BLOB_LEN];
            let seed = self.seed.root("blob", &[self.slot, number as u64]);
            bytes[1..32].copy_from_slice(&seed[1..]);
            coxswain_dv_eth::block::Blob::new(bytes).unwrap_or_default()
        };
        (0..self.n_blobs).map(blob).collect()
    }
}

fn header(from: &PayloadDeneb) -> HeaderDeneb {
    payload!(HeaderDeneb, from, {
        transactions_root: root(&from.transactions), withdrawals_root: root(&from.withdrawals),
        blob_gas_used: from.blob_gas_used, excess_blob_gas: from.excess_blob_gas,
    })
}

fn root(what: &impl tree_hash::TreeHash) -> Bytes32 {
    Bytes32::from(what.tree_hash_root().0)
}

fn prefix(root: &[u8; 32]) -> [u8; 8] {
    std::array::from_fn(|index| root[index])
}
