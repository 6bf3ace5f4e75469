//! Documents of the Beacon API that are not containers: duties, selections, events, errors.

use serde::{Deserialize, Serialize};

use crate::beacon::ChainEvent;
use crate::bytes::{Bytes32, Bytes48};
use crate::client::Problem;

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

/// The event `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeadEvent {
    /// Its slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// Its root.
    pub block: Bytes32,
    /// The state after it.
    pub state: Bytes32,
    /// Whether it is the first of its epoch.
    pub epoch_transition: bool,
    /// What attester duties of this epoch hang on.
    #[serde(default)]
    pub previous_duty_dependent_root: Bytes32,
    /// What attester duties of the next epoch hang on.
    #[serde(default)]
    pub current_duty_dependent_root: Bytes32,
    /// Whether the execution layer has not checked it yet.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// The event `chain_reorg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReorgEvent {
    /// The slot of the new head.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: u64,
    /// Slots that were given up.
    #[serde(with = "serde_utils::quoted_u64")]
    pub depth: u64,
    /// The old head.
    pub old_head_block: Bytes32,
    /// The new head.
    pub new_head_block: Bytes32,
    /// The state after the old head.
    pub old_head_state: Bytes32,
    /// The state after the new head.
    pub new_head_state: Bytes32,
    /// The epoch of the new head.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: u64,
    /// Whether the execution layer has not checked it yet.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// The fields of both events that are looked at; not every node has all the others.
#[derive(Deserialize)]
struct EventFields {
    #[serde(with = "serde_utils::quoted_u64")]
    slot: u64,
    block: Option<Bytes32>,
    depth: Option<String>,
}

impl ChainEvent {
    /// Reads an event of the topics `head` and `chain_reorg`; none where it is another, or is not understood.
    #[must_use]
    pub fn read(topic: &str, data: &[u8]) -> Option<ChainEvent> {
        let fields: EventFields = serde_json::from_slice(data).ok()?;
        let slot = fields.slot;
        match topic {
            "head" => Some(ChainEvent::Head { slot, block: fields.block? }),
            "chain_reorg" => Some(ChainEvent::Reorg { slot, depth: fields.depth?.parse().ok()? }),
            _ => None,
        }
    }
}

/// What beacon nodes answer instead of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The HTTP status.
    pub code: u16,
    /// What is wrong.
    pub message: String,
    /// Of submissions with several items: which ones were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<IndexedFailure>,
}

/// Why one of several items was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFailure {
    /// Its place, from 0. Nodes write it with and without quotes.
    #[serde(deserialize_with = "serde_utils::quoted_u64::deserialize")]
    pub index: u64,
    /// What is wrong with it.
    pub message: String,
}

impl From<Problem> for ErrorBody {
    fn from(problem: Problem) -> ErrorBody {
        let failure = |(index, message)| IndexedFailure { index: index as u64, message };
        let failures = problem.failures.into_iter().map(failure).collect();
        ErrorBody { code: problem.status, message: problem.message, failures }
    }
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
