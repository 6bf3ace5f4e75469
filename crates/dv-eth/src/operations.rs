//! Operations in blocks.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::typenum::{U33, U2048, U131072};
use ssz_types::{FixedVector, VariableList};
use tree_hash_derive::TreeHash;

use crate::attestation::AttestationData;
use crate::block::BlockHeader;
use crate::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};

/// What the chain knows of deposits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct Eth1Data {
    /// Root of the tree of deposits.
    pub deposit_root: Bytes32,
    /// How many.
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_count: u64,
    /// The block.
    pub block_hash: Bytes32,
}

/// A message and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct Signed<M: ssz::Encode + ssz::Decode + tree_hash::TreeHash> {
    /// What was signed.
    pub message: M,
    /// By whom the message says.
    pub signature: Bytes96,
}

/// Two blocks of one proposer at one slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct ProposerSlashing {
    /// One.
    pub signed_header_1: Signed<BlockHeader>,
    /// The other.
    pub signed_header_2: Signed<BlockHeader>,
}

/// An attestation with its attesters' indices, before Electra.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct IndexedAttestationPhase0 {
    /// Who.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub attesting_indices: VariableList<u64, U2048>,
    /// What.
    pub data: AttestationData,
    /// Theirs.
    pub signature: Bytes96,
}

/// An attestation with its attesters' indices, from Electra on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct IndexedAttestationElectra {
    /// Who.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub attesting_indices: VariableList<u64, U131072>,
    /// What.
    pub data: AttestationData,
    /// Theirs.
    pub signature: Bytes96,
}

/// Two attestations that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct AttesterSlashing<I: ssz::Encode + ssz::Decode + tree_hash::TreeHash> {
    /// One.
    pub attestation_1: I,
    /// The other.
    pub attestation_2: I,
}

/// A deposit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct DepositData {
    /// The validator.
    pub pubkey: Bytes48,
    /// Who can withdraw.
    pub withdrawal_credentials: Bytes32,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: u64,
    /// The validator's.
    pub signature: Bytes96,
}

/// A deposit and where it is in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct Deposit {
    /// The way to the root, and the length.
    pub proof: FixedVector<Bytes32, U33>,
    /// What was deposited.
    pub data: DepositData,
}

/// A validator that leaves.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash,
)]
pub struct VoluntaryExit {
    /// Not before this epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: u64,
    /// Which.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
}

/// A change of withdrawal credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct BlsToExecutionChange {
    /// Which validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// The withdrawal key.
    pub from_bls_pubkey: Bytes48,
    /// The new address.
    pub to_execution_address: Bytes20,
}
