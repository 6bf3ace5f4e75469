//! What a cluster agrees on for one validator, and how it goes over the wire inside values of consensus, between nodes
//! that are wire-compatible with charon.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ssz::Encode as _;
use ssz_derive::{Decode, Encode};

use crate::api::AttesterDuty;
use crate::attestation::{Attestation, AttestationData};
use crate::bytes::Bytes48;
use crate::codec::{self, CodecError};
use crate::duty::DutyType;
use crate::fork::Fork;
use crate::proposal::Proposal;
use crate::sync::{SUBCOMMITTEES, SyncCommitteeContribution};

/// A value that consensus decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsigned {
    /// What is attested, and by whom.
    Attester {
        /// What.
        data: AttestationData,
        /// By whom; the key is the group's.
        duty: AttesterDuty,
    },
    /// A block.
    Proposer(Box<Proposal>),
    /// An aggregate.
    Aggregator {
        /// Its fork.
        fork: Fork,
        /// The aggregate.
        attestation: Box<Attestation>,
    },
    /// Contributions of the subcommittees that selected the validator, ascending; at least one, at most as many as
    /// there are subcommittees.
    SyncContribution(Vec<SyncCommitteeContribution>),
}

/// How contributions are written: the cluster agrees on it, because values are compared as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContributionForm {
    /// The one of the lowest subcommittee, as nodes before v1.11 read it.
    Single,
    /// All of them, in a list.
    List,
}

/// The first version, major and minor, whose nodes read lists of contributions.
const LISTS_SINCE: (u64, u64) = (1, 11);

impl ContributionForm {
    /// The form of a cluster that has agreed on these versions: a list once one of them is at least `v1.11`. Texts that
    /// are no versions count for nothing.
    #[must_use]
    pub fn of_versions<'v>(versions: impl IntoIterator<Item = &'v str>) -> ContributionForm {
        let has_lists = |version: &str| {
            let mut parts = version.strip_prefix('v')?.split(['.', '-', '+']).map(str::parse);
            Some((parts.next()?.ok()?, parts.next()?.ok()?) >= LISTS_SINCE)
        };
        let any = versions.into_iter().any(|version| has_lists(version).unwrap_or(false));
        if any { ContributionForm::List } else { ContributionForm::Single }
    }
}

/// The most contributions of one validator: one for each subcommittee.
const MAX_CONTRIBUTIONS: usize = SUBCOMMITTEES as usize;

/// Errors name values so.
const ATTESTER: &str = "attestation data with its duty";
const AGGREGATE: &str = "aggregate";
const CONTRIBUTION: &str = "sync contribution";

/// Bytes of [`AttestationData`].
const DATA_BYTES: usize = 128;
/// Where the data begins: after two offsets.
const DATA_OFFSET: u32 = 8;
/// Where the duty begins.
const DUTY_OFFSET: u32 = DATA_OFFSET + DATA_BYTES as u32;

/// A duty in the order that the wire has.
#[derive(Serialize, Deserialize, Encode, Decode)]
struct WireDuty {
    pubkey: Bytes48,
    #[serde(with = "serde_utils::quoted_u64")]
    slot: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    validator_index: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    committee_index: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    committee_length: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    committees_at_slot: u64,
    #[serde(with = "serde_utils::quoted_u64")]
    validator_committee_index: u64,
}

impl From<&AttesterDuty> for WireDuty {
    fn from(duty: &AttesterDuty) -> WireDuty {
        WireDuty {
            pubkey: duty.pubkey,
            slot: duty.slot,
            validator_index: duty.validator_index,
            committee_index: duty.committee_index,
            committee_length: duty.committee_length,
            committees_at_slot: duty.committees_at_slot,
            validator_committee_index: duty.validator_committee_index,
        }
    }
}

impl From<WireDuty> for AttesterDuty {
    fn from(duty: WireDuty) -> AttesterDuty {
        AttesterDuty {
            pubkey: duty.pubkey,
            slot: duty.slot,
            validator_index: duty.validator_index,
            committee_index: duty.committee_index,
            committee_length: duty.committee_length,
            committees_at_slot: duty.committees_at_slot,
            validator_committee_index: duty.validator_committee_index,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct AttesterDocument {
    attestation_data: AttestationData,
    attestation_duty: WireDuty,
}

#[derive(Serialize)]
struct AggregateOut<'a> {
    version: u64,
    validator_index: Option<String>,
    attestation: &'a Attestation,
}

#[derive(Deserialize)]
struct AggregateIn<'t> {
    version: u64,
    #[serde(borrow)]
    attestation: &'t RawValue,
}

impl Unsigned {
    /// Of which duties it is.
    #[must_use]
    pub fn kind(&self) -> DutyType {
        match self {
            Unsigned::Attester { .. } => DutyType::Attester,
            Unsigned::Proposer(_) => DutyType::Proposer,
            Unsigned::Aggregator { .. } => DutyType::Aggregator,
            Unsigned::SyncContribution(_) => DutyType::SyncContribution,
        }
    }

    /// What goes over the wire. Only contributions have two forms.
    #[must_use]
    pub fn encode(&self, form: ContributionForm) -> Vec<u8> {
        match self {
            Unsigned::Attester { data, duty } => {
                let mut bytes = Vec::with_capacity(DATA_BYTES * 2);
                bytes.extend_from_slice(&DATA_OFFSET.to_le_bytes());
                bytes.extend_from_slice(&DUTY_OFFSET.to_le_bytes());
                data.ssz_append(&mut bytes);
                WireDuty::from(duty).ssz_append(&mut bytes);
                bytes
            }
            Unsigned::Proposer(proposal) => proposal.encode(),
            Unsigned::Aggregator { fork, attestation } => codec::with_header(*fork, [], &**attestation),
            Unsigned::SyncContribution(all) => match (form, all.first()) {
                (ContributionForm::Single, Some(lowest)) => lowest.as_ssz_bytes(),
                (ContributionForm::List, _) | (ContributionForm::Single, None) => codec::write_json(all),
            },
        }
    }

    /// Reads what came over the wire for duties of a type.
    ///
    /// # Errors
    /// It is no data of this type, or nothing is agreed on for such duties in this form.
    pub fn decode(kind: DutyType, bytes: &[u8]) -> Result<Unsigned, CodecError> {
        match kind {
            DutyType::Proposer => Ok(Unsigned::Proposer(Box::new(Proposal::decode(bytes)?))),
            DutyType::Attester => codec::ssz_or_json(bytes, attester_from_ssz, attester_from_json),
            DutyType::Aggregator => codec::ssz_or_json(bytes, aggregate_from_ssz, aggregate_from_json),
            DutyType::SyncContribution => contributions(bytes).map(Unsigned::SyncContribution),
            DutyType::Signature
            | DutyType::Exit
            | DutyType::BuilderProposer
            | DutyType::BuilderRegistration
            | DutyType::Randao
            | DutyType::PrepareAggregator
            | DutyType::SyncMessage
            | DutyType::PrepareSyncContribution
            | DutyType::InfoSync => Err(CodecError::Kind(kind)),
        }
    }

    /// The JSON between nodes, without white space: equal where the value is.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Unsigned::Attester { data, duty } => codec::write_json(&AttesterDocument {
                attestation_data: *data,
                attestation_duty: duty.into(),
            }),
            Unsigned::Proposer(proposal) => proposal.versioned_json(),
            Unsigned::Aggregator { fork, attestation } => codec::write_json(&AggregateOut {
                version: fork.number(),
                validator_index: None,
                attestation,
            }),
            Unsigned::SyncContribution(all) => codec::write_json(all),
        }
    }
}

fn attester_from_ssz(bytes: &[u8]) -> Result<Unsigned, CodecError> {
    let wrong = || CodecError::Ssz {
        what: ATTESTER,
        why: format!("two offsets, {DATA_OFFSET} and {DUTY_OFFSET}, are expected"),
    };
    let (offsets, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
    let expected = u64::from(DUTY_OFFSET) << 32 | u64::from(DATA_OFFSET);
    if u64::from_le_bytes(*offsets) != expected {
        return Err(wrong());
    }
    let (data, duty) = rest.split_at_checked(DATA_BYTES).ok_or_else(wrong)?;
    let duty: WireDuty = codec::read_ssz(ATTESTER, duty)?;
    Ok(Unsigned::Attester { data: codec::read_ssz(ATTESTER, data)?, duty: duty.into() })
}

fn attester_from_json(text: &[u8]) -> Result<Unsigned, CodecError> {
    let read: AttesterDocument = codec::read_json(ATTESTER, text)?;
    // Peers refuse it too: what one node reads, all must read, or they do not agree.
    if read.attestation_duty.committee_length == 0 {
        return Err(CodecError::Value { what: ATTESTER, why: "its committee has no members" });
    }
    Ok(Unsigned::Attester { data: read.attestation_data, duty: read.attestation_duty.into() })
}

fn aggregate_from_ssz(bytes: &[u8]) -> Result<Unsigned, CodecError> {
    let headed = codec::read_header::<0>(AGGREGATE, bytes)
        .and_then(|headed| Ok((headed.fork, Attestation::from_ssz(headed.fork, headed.rest)?)));
    // As it was when there was only phase 0; the length of its fixed part, 228, is the number of no fork.
    let (fork, attestation) = headed.or_else(|error| {
        let bare = Attestation::from_ssz(Fork::Phase0, bytes);
        bare.map(|bare| (Fork::Phase0, bare)).map_err(|_| error)
    })?;
    Ok(Unsigned::Aggregator { fork, attestation: Box::new(attestation) })
}

fn aggregate_from_json(text: &[u8]) -> Result<Unsigned, CodecError> {
    if let Ok(bare) = codec::read_json(AGGREGATE, text) {
        return Ok(Unsigned::Aggregator {
            fork: Fork::Phase0,
            attestation: Box::new(Attestation::Phase0(bare)),
        });
    }
    let read: AggregateIn = codec::borrow_json(AGGREGATE, text)?;
    let fork = codec::read_fork(AGGREGATE, read.version)?;
    let attestation = Attestation::deserialize(fork, read.attestation)
        .map_err(|source| CodecError::Json { what: AGGREGATE, source })?;
    Ok(Unsigned::Aggregator { fork, attestation: Box::new(attestation) })
}

/// A list, or a single one; the list first, because SSZ of a single one can begin like a list, but is none.
fn contributions(bytes: &[u8]) -> Result<Vec<SyncCommitteeContribution>, CodecError> {
    if let Ok(list) = codec::read_json::<Vec<SyncCommitteeContribution>>(CONTRIBUTION, bytes) {
        return match list.len() {
            1..=MAX_CONTRIBUTIONS => Ok(list),
            0 => Err(CodecError::Value { what: CONTRIBUTION, why: "the list is empty" }),
            _ => Err(CodecError::Value { what: CONTRIBUTION, why: "there are fewer subcommittees" }),
        };
    }
    let single = codec::ssz_or_json(
        bytes,
        |bytes| codec::read_ssz(CONTRIBUTION, bytes),
        |text| codec::read_json(CONTRIBUTION, text),
    );
    single.map(|single| vec![single])
}
