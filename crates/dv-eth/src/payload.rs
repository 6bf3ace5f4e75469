//! Payloads of the execution layer, whole and as headers.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::{U2, U16, U32, U8192, U1048576, U1073741824};
use tree_hash_derive::TreeHash;

use crate::bytes::{Bytes, Bytes20, Bytes32, Bytes48, Bytes96};

/// Bytes that every block can add.
pub type ExtraData = VariableList<u8, U32>;
/// Transactions of a block.
pub type Transactions = VariableList<VariableList<u8, U1073741824>, U1048576>;

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct Withdrawal {
    /// Its number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    /// Of which validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// To whom.
    pub address: Bytes20,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: u64,
}

/// A deposit that the execution layer saw.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct DepositRequest {
    /// The validator.
    pub pubkey: Bytes48,
    /// Who can withdraw.
    pub withdrawal_credentials: Bytes32,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: u64,
    /// The validator's.
    pub signature: Bytes96,
    /// Its number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
}

/// A withdrawal that was asked for on the execution layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct WithdrawalRequest {
    /// Who asked.
    pub source_address: Bytes20,
    /// Which validator.
    pub validator_pubkey: Bytes48,
    /// In Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: u64,
}

/// A consolidation that was asked for on the execution layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct ConsolidationRequest {
    /// Who asked.
    pub source_address: Bytes20,
    /// From which validator.
    pub source_pubkey: Bytes48,
    /// To which validator.
    pub target_pubkey: Bytes48,
}

/// What the execution layer asks of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
pub struct ExecutionRequests {
    /// Deposits.
    pub deposits: VariableList<DepositRequest, U8192>,
    /// Withdrawals.
    pub withdrawals: VariableList<WithdrawalRequest, U16>,
    /// Consolidations.
    pub consolidations: VariableList<ConsolidationRequest, U2>,
}

/// A payload or a header of one fork: the fields that all have, then those that the fork adds.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Encode, Decode, TreeHash)]
        pub struct $name {
            /// The block before.
            pub parent_hash: Bytes32,
            /// Who is paid.
            pub fee_recipient: Bytes20,
            /// Of the execution layer.
            pub state_root: Bytes32,
            /// Of the execution layer.
            pub receipts_root: Bytes32,
            /// Of the execution layer.
            pub logs_bloom: Bytes<256>,
            /// Randomness.
            pub prev_randao: Bytes32,
            /// Height.
            #[serde(with = "serde_utils::quoted_u64")]
            pub block_number: u64,
            /// Most gas.
            #[serde(with = "serde_utils::quoted_u64")]
            pub gas_limit: u64,
            /// Gas that was used.
            #[serde(with = "serde_utils::quoted_u64")]
            pub gas_used: u64,
            /// Seconds since 1970.
            #[serde(with = "serde_utils::quoted_u64")]
            pub timestamp: u64,
            /// What its maker says.
            #[serde(with = "crate::hexadecimal::one")]
            pub extra_data: ExtraData,
            /// In Wei.
            #[serde(with = "serde_utils::quoted_u256")]
            pub base_fee_per_gas: U256,
            /// Its hash.
            pub block_hash: Bytes32,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

payload! {
    /// The payload of Bellatrix.
    PayloadBellatrix {
        /// What it does.
        #[serde(with = "crate::hexadecimal::many")]
        transactions: Transactions,
    }
}

payload! {
    /// The payload of Capella.
    PayloadCapella {
        /// What it does.
        #[serde(with = "crate::hexadecimal::many")]
        transactions: Transactions,
        /// What is withdrawn.
        withdrawals: VariableList<Withdrawal, U16>,
    }
}

payload! {
    /// The payload from Deneb on.
    PayloadDeneb {
        /// What it does.
        #[serde(with = "crate::hexadecimal::many")]
        transactions: Transactions,
        /// What is withdrawn.
        withdrawals: VariableList<Withdrawal, U16>,
        /// Gas of blobs.
        #[serde(with = "serde_utils::quoted_u64")]
        blob_gas_used: u64,
        /// Gas of blobs above the target.
        #[serde(with = "serde_utils::quoted_u64")]
        excess_blob_gas: u64,
    }
}

payload! {
    /// The header of a payload of Bellatrix.
    HeaderBellatrix {
        /// Root of the transactions.
        transactions_root: Bytes32,
    }
}

payload! {
    /// The header of a payload of Capella.
    HeaderCapella {
        /// Root of the transactions.
        transactions_root: Bytes32,
        /// Root of the withdrawals.
        withdrawals_root: Bytes32,
    }
}

payload! {
    /// The header of a payload from Deneb on.
    HeaderDeneb {
        /// Root of the transactions.
        transactions_root: Bytes32,
        /// Root of the withdrawals.
        withdrawals_root: Bytes32,
        /// Gas of blobs.
        #[serde(with = "serde_utils::quoted_u64")]
        blob_gas_used: u64,
        /// Gas of blobs above the target.
        #[serde(with = "serde_utils::quoted_u64")]
        excess_blob_gas: u64,
    }
}
