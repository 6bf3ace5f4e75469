//! Documents of the Beacon API that are not containers: duties, validators.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes48;

/// When a validator attests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttesterDuty {
    /// The validator's key.
    pub pubkey: Bytes48,
    /// Its index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// Its committee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: u64,
    /// How large the committee is.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_length: u64,
    /// How many committees there are at the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committees_at_slot: u64,
    /// Its place in the committee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_committee_index: u64,
    /// When.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
}

/// When a validator proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProposerDuty {
    /// The validator's key.
    pub pubkey: Bytes48,
    /// Its index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// When.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
}

/// A member of the sync committee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncDuty {
    /// The validator's key.
    pub pubkey: Bytes48,
    /// Its index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// Its places in the committee.
    #[serde(with = "quoted_list")]
    pub validator_sync_committee_indices: Vec<u64>,
}

/// The selection of an aggregator of attestations: partial on the way in, whole on the way out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BeaconCommitteeSelection {
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// The validator's, over the slot.
    pub selection_proof: crate::bytes::Bytes96,
}

/// The selection of an aggregator of a sync committee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncCommitteeSelection {
    /// The validator.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: u64,
    /// The slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// The subcommittee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
    /// The validator's, over slot and subcommittee.
    pub selection_proof: crate::bytes::Bytes96,
}

/// Numbers in quotes, in a list.
pub mod quoted_list {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(numbers: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(ToString::to_string))
    }

    /// Reads them.
    ///
    /// # Errors
    /// One is no number in quotes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}
