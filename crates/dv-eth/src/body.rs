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
use crate::payload::{
    ExecutionRequests, HeaderBellatrix, HeaderCapella, HeaderDeneb, PayloadBellatrix, PayloadCapella,
    PayloadDeneb,
};
use crate::sync::SyncAggregate;

/// Commitments of blobs.
pub type Commitments = VariableList<Bytes48, U4096>;

/// A body of one fork: the fields that all have, then those that the fork adds.
macro_rules! body {
    (
        $(#[$doc:meta])*
        $name:ident, $attestation:ty: $attestations:ty, $indexed:ty: $slashings:ty,
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
        pub struct $name {
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

/// Two bodies of one fork: around the payload, and blinded, around its header. Their roots are the same; their JSON
/// names the two differently.
macro_rules! with_payload {
    (
        $(#[$doc:meta])*
        $name:ident: $payload:ty,
        $(#[$blinded_doc:meta])*
        $blinded:ident: $header:ty,
        $attestation:ty: $attestations:ty, $indexed:ty: $slashings:ty,
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        body! {
            $(#[$doc])*
            $name, $attestation: $attestations, $indexed: $slashings, {
                /// Votes of the sync committee.
                sync_aggregate: SyncAggregate,
                /// Of the execution layer.
                execution_payload: $payload,
                $($(#[$field_doc])* $field: $type,)*
            }
        }
        body! {
            $(#[$blinded_doc])*
            $blinded, $attestation: $attestations, $indexed: $slashings, {
                /// Votes of the sync committee.
                sync_aggregate: SyncAggregate,
                /// Of the execution layer: the header.
                #[serde(rename = "execution_payload_header")]
                execution_payload: $header,
                $($(#[$field_doc])* $field: $type,)*
            }
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

with_payload! {
    /// The body of a block of Bellatrix.
    BodyBellatrix: PayloadBellatrix,
    /// The body of a blinded block of Bellatrix.
    BlindedBodyBellatrix: HeaderBellatrix,
    AttestationPhase0: U128, IndexedAttestationPhase0: U2, {}
}

with_payload! {
    /// The body of a block of Capella.
    BodyCapella: PayloadCapella,
    /// The body of a blinded block of Capella.
    BlindedBodyCapella: HeaderCapella,
    AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
    }
}

with_payload! {
    /// The body of a block of Deneb.
    BodyDeneb: PayloadDeneb,
    /// The body of a blinded block of Deneb.
    BlindedBodyDeneb: HeaderDeneb,
    AttestationPhase0: U128, IndexedAttestationPhase0: U2, {
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
        /// Commitments of blobs.
        blob_kzg_commitments: Commitments,
    }
}

with_payload! {
    /// The body of a block from Electra on.
    BodyElectra: PayloadDeneb,
    /// The body of a blinded block from Electra on.
    BlindedBodyElectra: HeaderDeneb,
    AttestationElectra: U8, IndexedAttestationElectra: U1, {
        /// Changes of withdrawal credentials.
        bls_to_execution_changes: Changes,
        /// Commitments of blobs.
        blob_kzg_commitments: Commitments,
        /// What the execution layer asks for.
        execution_requests: ExecutionRequests,
    }
}
