//! What validators sign, as it goes over the wire between nodes that are wire-compatible with charon.
//!
//! | Data | Form |
//! |---|---|
//! | proposal, attestation, aggregate | a header with the fork, then SSZ |
//! | sync message, contribution | SSZ |
//! | exit, registration, randomness, selections | JSON of the Beacon API |
//! | signature of a ceremony | base64 in JSON |
//!
//! Duplicates of one share are compared, so each value is written in one way only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ssz::Encode as _;

use super::{SignedAggregate, SignedAttestation, SignedData, SignedRegistration};
use crate::attestation::Attestation;
use crate::bytes::Bytes96;
use crate::codec::{self, CodecError};
use crate::duty::DutyType;
use crate::fork::Fork;
use crate::operations::{Signed, VoluntaryExit};
use crate::proposal::SignedProposal;

/// The only version of registrations that builders have (`ValidatorRegistrationV1`).
const REGISTRATION_V1: u64 = 0;

/// Errors about attestations name them so.
const ATTESTATION: &str = "signed attestation";
/// Errors about aggregates name them so.
const AGGREGATE: &str = "signed aggregate";

#[derive(Serialize)]
struct AttestationOut<'a> {
    version: u64,
    validator_index: Option<String>,
    attestation: &'a Attestation,
}

#[derive(Deserialize)]
struct AttestationIn<'t> {
    version: u64,
    validator_index: Option<String>,
    #[serde(borrow)]
    attestation: &'t RawValue,
}

#[derive(Serialize)]
struct AggregateOut<'a> {
    version: u64,
    aggregate_and_proof: &'a SignedAggregate,
}

#[derive(Deserialize)]
struct AggregateIn<'t> {
    version: u64,
    #[serde(borrow)]
    aggregate_and_proof: &'t RawValue,
}

#[derive(Deserialize)]
struct RegistrationIn<'t> {
    version: u64,
    #[serde(borrow)]
    registration: &'t RawValue,
}

impl SignedAttestation {
    /// What goes over the wire: the fork, the validator where it is known, then SSZ.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self.validator_index {
            Some(index) => codec::with_header(self.fork, index.to_le_bytes(), &self.attestation),
            None => codec::with_header(self.fork, [], &self.attestation),
        }
    }

    /// Reads what [`encode`](Self::encode) writes, or the JSON of it.
    ///
    /// # Errors
    /// It is neither.
    pub fn decode(bytes: &[u8]) -> Result<SignedAttestation, CodecError> {
        codec::ssz_or_json(bytes, SignedAttestation::from_headed, |text| {
            let read: AttestationIn = codec::borrow_json(ATTESTATION, text)?;
            let fork = codec::read_fork(ATTESTATION, read.version)?;
            let attestation = Attestation::deserialize(fork, read.attestation)
                .map_err(|source| CodecError::Json { what: ATTESTATION, source })?;
            let index = read.validator_index.map(|text| text.parse());
            let validator_index = index.transpose().map_err(|_| CodecError::Value {
                what: ATTESTATION,
                why: "the validator's index is no number",
            })?;
            Ok(SignedAttestation { fork, validator_index, attestation })
        })
    }

    /// The two headers are told apart by where their length is. A header without validator whose attestation is of
    /// slot 20 looks like one with: its SSZ is then none, because the upper half of the slot stands where the length
    /// of the attestation's fixed part must be.
    fn from_headed(bytes: &[u8]) -> Result<SignedAttestation, CodecError> {
        let with_validator = codec::read_header::<8>(ATTESTATION, bytes).and_then(|headed| {
            let validator_index = Some(u64::from_le_bytes(headed.extra));
            let attestation = Attestation::from_ssz(headed.fork, headed.rest)?;
            Ok(SignedAttestation { fork: headed.fork, validator_index, attestation })
        });
        let Err(first) = with_validator else { return with_validator };
        let Ok(headed) = codec::read_header::<0>(ATTESTATION, bytes) else { return Err(first) };
        let attestation = Attestation::from_ssz(headed.fork, headed.rest)?;
        Ok(SignedAttestation { fork: headed.fork, validator_index: None, attestation })
    }

    fn to_json(&self) -> Vec<u8> {
        codec::write_json(&AttestationOut {
            version: self.fork.number(),
            validator_index: self.validator_index.map(|index| index.to_string()),
            attestation: &self.attestation,
        })
    }
}

impl SignedAggregate {
    /// What goes over the wire: the fork, then SSZ.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::with_header(self.fork(), [], self)
    }

    /// Reads what [`encode`](Self::encode) writes, the JSON of it, or either as it was when there was only phase 0.
    ///
    /// # Errors
    /// It is none of these.
    pub fn decode(bytes: &[u8]) -> Result<SignedAggregate, CodecError> {
        codec::ssz_or_json(
            bytes,
            |bytes| {
                // The length of the fixed part of a bare one, 100, is the number of no fork.
                if let Ok(bare) = SignedAggregate::from_ssz(Fork::Phase0, bytes) {
                    return Ok(bare);
                }
                let headed = codec::read_header::<0>(AGGREGATE, bytes)?;
                SignedAggregate::from_ssz(headed.fork, headed.rest)
            },
            |text| {
                if let Ok(signed) = codec::read_json(AGGREGATE, text) {
                    return Ok(SignedAggregate::Phase0 { fork: Fork::Phase0, signed });
                }
                let read: AggregateIn = codec::borrow_json(AGGREGATE, text)?;
                let fork = codec::read_fork(AGGREGATE, read.version)?;
                SignedAggregate::deserialize(fork, read.aggregate_and_proof)
                    .map_err(|source| CodecError::Json { what: AGGREGATE, source })
            },
        )
    }
}

fn read_registration(text: &[u8]) -> Result<SignedRegistration, CodecError> {
    let what = "registration";
    let read: RegistrationIn = codec::borrow_json(what, text)?;
    if read.version != REGISTRATION_V1 {
        return Err(CodecError::Value { what, why: "its version is not 0, the only one there is" });
    }
    SignedRegistration::parse(read.registration.get().as_bytes()).map_err(|source| CodecError::Json {
        what,
        source: <serde_json::Error as serde::de::Error>::custom(source),
    })
}

fn read_signature(text: &[u8]) -> Result<Bytes96, CodecError> {
    let what = "signature";
    let text: String = codec::read_json(what, text)?;
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(crate::Bytes).ok_or(CodecError::Value { what, why: "it is not 96 bytes in base64" })
}

impl SignedData {
    /// What goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            SignedData::Proposer(signed) => signed.encode(),
            SignedData::Attester(signed) => signed.encode(),
            SignedData::Aggregator(signed) => signed.encode(),
            SignedData::SyncMessage(signed) => signed.as_ssz_bytes(),
            SignedData::SyncContribution(signed) => signed.as_ssz_bytes(),
            SignedData::Signature(_)
            | SignedData::Exit(_)
            | SignedData::BuilderRegistration(_)
            | SignedData::Randao(_)
            | SignedData::PrepareAggregator(_)
            | SignedData::PrepareSyncContribution(_) => self.to_json(),
        }
    }

    /// Reads what came over the wire for duties of a type.
    ///
    /// # Errors
    /// It is no data of this type; of builder proposals and info syncs there is none.
    pub fn decode(kind: DutyType, bytes: &[u8]) -> Result<SignedData, CodecError> {
        Ok(match kind {
            DutyType::Proposer => SignedData::Proposer(Box::new(SignedProposal::decode(bytes)?)),
            DutyType::Attester => SignedData::Attester(Box::new(SignedAttestation::decode(bytes)?)),
            DutyType::Aggregator => SignedData::Aggregator(Box::new(SignedAggregate::decode(bytes)?)),
            DutyType::Signature => SignedData::Signature(read_signature(bytes)?),
            DutyType::Exit => SignedData::Exit(either::<Signed<VoluntaryExit>>("exit", bytes)?),
            DutyType::BuilderRegistration => SignedData::BuilderRegistration(read_registration(bytes)?),
            DutyType::Randao => SignedData::Randao(codec::read_json("randao reveal", bytes)?),
            DutyType::PrepareAggregator => {
                SignedData::PrepareAggregator(codec::read_json("committee selection", bytes)?)
            }
            DutyType::SyncMessage => SignedData::SyncMessage(either("sync message", bytes)?),
            DutyType::PrepareSyncContribution => {
                SignedData::PrepareSyncContribution(codec::read_json("sync committee selection", bytes)?)
            }
            DutyType::SyncContribution => {
                SignedData::SyncContribution(Box::new(either("sync contribution", bytes)?))
            }
            DutyType::BuilderProposer | DutyType::InfoSync => return Err(CodecError::Kind(kind)),
        })
    }

    /// The JSON between nodes, without white space: equal where the data is.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            SignedData::Proposer(signed) => signed.versioned_json(),
            SignedData::Attester(signed) => signed.to_json(),
            SignedData::Signature(signature) => codec::write_json(&BASE64.encode(signature.0)),
            SignedData::Exit(signed) => codec::write_json(signed),
            SignedData::BuilderRegistration(signed) => {
                format!(r#"{{"version":{REGISTRATION_V1},"registration":{}}}"#, signed.to_json()).into_bytes()
            }
            SignedData::Randao(signed) => codec::write_json(signed),
            SignedData::PrepareAggregator(signed) => codec::write_json(signed),
            SignedData::Aggregator(signed) => {
                let version = signed.fork().number();
                codec::write_json(&AggregateOut { version, aggregate_and_proof: signed })
            }
            SignedData::SyncMessage(signed) => codec::write_json(signed),
            SignedData::PrepareSyncContribution(signed) => codec::write_json(signed),
            SignedData::SyncContribution(signed) => codec::write_json(signed),
        }
    }
}

/// SSZ or JSON of one container.
fn either<T>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError>
where
    T: ssz::Decode + serde::de::DeserializeOwned,
{
    codec::ssz_or_json(bytes, |bytes| codec::read_ssz(what, bytes), |text| codec::read_json(what, text))
}
