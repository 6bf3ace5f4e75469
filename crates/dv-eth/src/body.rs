//! Bodies of blocks of every fork.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::{U1, U2, U8, U16, U128, U4096};
use tree_hash_derive::TreeHash;

use crate::attestation::{AttestationElectra, AttestationPhase0};
use crate::bytes::{Bytes32, Bytes48, Bytes96};
use crate::operations::{
    AttesterSlashing, BlsToExecutionChange, Deposit, Eth1Data, IndexedAttestationElectra,
    IndexedAttestationPhase0, ProposerSlashing, Signed, VoluntaryExit,
};
use crate::payload::ExecutionRequests;
use crate::sync::SyncAggregate;

/// Commitments of blobs.
pub type Commitments = VariableList<Bytes48, U4096>;

/// A body of one fork: the fields that all have, then those that the fork adds.
macro_rules! body {
    (
        $(#[$doc:meta])*
        $name:ident $(<$payload:ident>)?, $attestation:ty: $attestations:ty, $indexed:ty: $slashings:ty,
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
        pub struct $name $(<$payload: ssz::Encode + ssz::Decode + tree_hash::TreeHash>)? {
            /// The proposer's signature over the epoch.
            pub randao_reveal: Bytes96,
            /// What is known of deposits.
            pub eth1_data: Eth1Data,
            /// What the proposer says.
            pub graffiti: Bytes32,
            /// Proposers that signed two blocks.
            pub proposer_slashings: VariableList<ProposerSlashing, U16>,
            /// Attesters that contradicted themselves.
            pub attester_slashings: VariableList<AttesterSlashing<$indexed>, $slashings>,
            /// Attestations.
            pub attestations: VariableList<$attestation, $attestations>,
            /// Deposits.
            pub deposits: VariableList<Deposit, U16>,
            /// Exits.
            pub voluntary_exits: VariableList<Signed<VoluntaryExit>, U16>,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

/// Changes of withdrawal credentials.
type Changes = VariableList<Signed<BlsToExecutionChange>, U16>;

body! {
    /// The body of a block of phase 0.
    BodyPhase0, AttestationPhase0: U128, IndexedAttestationPhase0: U2, {}
}

body! {
    /// The body of a block of Altair.
    BodyAltair, AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Votes of the sync committee.
        sync_aggregate: SyncAggregate,
    }
}

body! {
    /// The body of a block of Bellatrix, around a payload or its header.
    BodyBellatrix<P>, AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Votes of the sync committee.
        sync_aggregate: SyncAggregate,
        /// Of the execution layer.
        #[serde(alias = "execution_payload_header")]
        execution_payload: P,
    }
}

body! {
    /// The body of a block of Capella.
    BodyCapella<P>, AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Votes of the sync committee.
        sync_aggregate: SyncAggregate,
        /// Of the execution layer.
        #[serde(alias = "execution_payload_header")]
        execution_payload: P,
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
    }
}

body! {
    /// The body of a block of Deneb.
    BodyDeneb<P>, AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Votes of the sync committee.
        sync_aggregate: SyncAggregate,
        /// Of the execution layer.
        #[serde(alias = "execution_payload_header")]
        execution_payload: P,
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
        /// Commitments of blobs.
        blob_kzg_commitments: Commitments,
    }
}

body! {
    /// The body of a block from Electra on.
    BodyElectra<P>, AttestationElectra: U8, IndexedAttestationElectra: U1, {
        /// Votes of the sync committee.
        sync_aggregate: SyncAggregate,
        /// Of the execution layer.
        #[serde(alias = "execution_payload_header")]
        execution_payload: P,
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
        /// Commitments of blobs.
        blob_kzg_commitments: Commitments,
        /// What the execution layer asks for.
        execution_requests: ExecutionRequests,
    }
}
