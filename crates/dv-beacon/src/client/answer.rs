//! What beacon nodes answer, read as what was asked for.

use std::collections::BTreeMap;

use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, AttestationElectra, AttestationPhase0};
use coxswain_dv_eth::beacon::{Answer, Call, Duties, SeenBlock, Syncing, Validator};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::codec::CodecError;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::synthetic;
use coxswain_dv_types::causes::in_full;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::node::Reply;

/// The envelope of the Beacon API.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

/// The envelope of duties.
#[derive(Deserialize)]
struct Dependent<T> {
    dependent_root: Bytes32,
    data: Option<Vec<T>>,
}

/// The envelope of what differs by fork. The header says the same, where it is there.
#[derive(Deserialize)]
struct Versioned<'a> {
    version: Option<String>,
    execution_payload_blinded: Option<bool>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Reads a success.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(call: &Call, reply: &Reply) -> Result<Answer, String> {
    match call {
        Call::AttesterDuties { .. } => duties::<AttesterDuty>(reply).map(Answer::AttesterDuties),
        Call::ProposerDuties { .. } => duties::<ProposerDuty>(reply).map(Answer::ProposerDuties),
        Call::SyncDuties { .. } => list::<SyncDuty>(reply).map(Answer::SyncDuties),
        Call::Validators { .. } => list::<Validator>(reply).map(Answer::Validators),
        Call::AttestationData { slot, .. } => {
            let data = data::<AttestationData>(reply)?;
            of_slot(*slot, data.slot)?;
            Ok(Answer::AttestationData(data))
        }
        Call::Proposal { slot, .. } => {
            let proposal = proposal(reply)?;
            of_slot(*slot, proposal.slot())?;
            Ok(Answer::Proposal(Box::new(proposal)))
        }
        Call::Aggregate { slot, data_root, .. } => {
            let aggregate = aggregate(reply)?;
            of_slot(*slot, aggregate.data().slot)?;
            if aggregate.data().root() != data_root.0 {
                return Err(format!("the aggregate is not of the data whose root is {data_root}"));
            }
            Ok(Answer::Aggregate(Box::new(aggregate)))
        }
        Call::Contribution { slot, block_root, .. } => {
            let contribution = data::<SyncCommitteeContribution>(reply)?;
            of_slot(*slot, contribution.slot)?;
            if contribution.beacon_block_root != *block_root {
                return Err(format!("the contribution is not for block {block_root}"));
            }
            Ok(Answer::Contribution(contribution))
        }
        Call::Syncing => data::<Syncing>(reply).map(Answer::Syncing),
        Call::Block { slot } => seen_block(*slot, reply).map(|block| Answer::Block(Some(block))),
        Call::WholeBlock { slot } => {
            whole_block(*slot, reply).map(|block| Answer::WholeBlock(Some(Box::new(block))))
        }
        Call::Committees { slot, .. } => committees(*slot, reply).map(Answer::Committees),
        Call::SubmitAttestationsPhase0(_)
        | Call::SubmitAttestations { .. }
        | Call::SubmitProposal(_)
        | Call::SubmitAggregates(_)
        | Call::SubmitSyncMessages(_)
        | Call::SubmitContributions(_)
        | Call::SubmitExit(_)
        | Call::SubmitRegistrations(_)
        | Call::PrepareProposers(_) => Ok(Answer::Done),
    }
}

/// Whether there is nothing to aggregate yet: some nodes say so with `null`, others with a status.
pub(crate) fn is_nothing_yet(call: &Call, reply: &Reply) -> bool {
    matches!(call, Call::Aggregate { .. } | Call::Contribution { .. })
        && (reply.status == 204 || matches!(data::<Option<&RawValue>>(reply), Ok(None)))
}

/// Reads an envelope and drops it.
pub(crate) fn data<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, String> {
    json::<Data<T>>(&reply.body).map(|envelope| envelope.data)
}

/// An empty list may be `null`.
fn list<T: DeserializeOwned>(reply: &Reply) -> Result<Vec<T>, String> {
    data::<Option<Vec<T>>>(reply).map(Option::unwrap_or_default)
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn duties<T: DeserializeOwned>(reply: &Reply) -> Result<Duties<T>, String> {
    let Dependent { dependent_root, data } = json(&reply.body)?;
    Ok(Duties { dependent_root, duties: data.unwrap_or_default() })
}

fn of_slot(asked: u64, got: u64) -> Result<(), String> {
    if asked == got { Ok(()) } else { Err(format!("it is of slot {got}, and slot {asked} was asked for")) }
}

fn fork_of(reply: &Reply, in_body: Option<&str>) -> Result<Fork, String> {
    let name =
        in_body.or_else(|| reply.header("eth-consensus-version")).ok_or("it does not name its fork")?;
    Fork::named(&name.to_lowercase())
        .ok_or_else(|| "its fork is not known to this version; a newer one may know it".to_owned())
}

fn proposal(reply: &Reply) -> Result<Proposal, String> {
    let header = reply.header("eth-execution-payload-blinded").map(|text| text.eq_ignore_ascii_case("true"));
    let form = |is_blinded: bool| if is_blinded { Form::Blinded } else { Form::Full };
    if reply.is_ssz() {
        let is_blinded = header.ok_or("it does not say whether it is blinded")?;
        return Proposal::from_ssz(fork_of(reply, None)?, form(is_blinded), &reply.body)
            .map_err(|error| error.to_string());
    }
    let envelope: Versioned<'_> = json(&reply.body)?;
    let is_blinded =
        envelope.execution_payload_blinded.or(header).ok_or("it does not say whether it is blinded")?;
    let fork = fork_of(reply, envelope.version.as_deref())?;
    Proposal::from_json(fork, form(is_blinded), envelope.data.get().as_bytes())
        .map_err(|error| error.to_string())
}

fn aggregate(reply: &Reply) -> Result<Attestation, String> {
    let envelope: Versioned<'_> = json(&reply.body)?;
    let fork = fork_of(reply, envelope.version.as_deref())?;
    let text = envelope.data.get().as_bytes();
    if fork.has_electra_attestations() {
        json::<AttestationElectra>(text).map(Attestation::Electra)
    } else {
        json::<AttestationPhase0>(text).map(Attestation::Phase0)
    }
}

fn seen_block(slot: u64, reply: &Reply) -> Result<SeenBlock, String> {
    let block = block(reply, SeenBlock::from_ssz, SeenBlock::from_json)?;
    of_slot(slot, block.slot)?;
    Ok(block)
}

fn whole_block(slot: u64, reply: &Reply) -> Result<Proposal, String> {
    let block = block(reply, synthetic::block_from_ssz, synthetic::block_from_json)?;
    of_slot(slot, block.slot())?;
    Ok(block)
}

/// How a block of a fork is read.
type ReadBlock<B> = fn(Fork, &[u8]) -> Result<B, CodecError>;

/// A signed block of the chain.
fn block<B>(reply: &Reply, ssz: ReadBlock<B>, from_json: ReadBlock<B>) -> Result<B, String> {
    let block = if reply.is_ssz() {
        ssz(fork_of(reply, None)?, &reply.body)
    } else {
        let envelope: Versioned<'_> = json(&reply.body)?;
        from_json(fork_of(reply, envelope.version.as_deref())?, envelope.data.get().as_bytes())
    };
    block.map_err(|error| in_full(&error))
}

/// A row of `/eth/v1/beacon/states/{state}/committees`.
#[derive(Deserialize)]
struct Committee {
    #[serde(deserialize_with = "number")]
    index: u64,
    #[serde(deserialize_with = "number")]
    slot: u64,
    /// Members, which are counted only.
    validators: Vec<IgnoredAny>,
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Sizes of the committees of a slot, of which there is one for each index. Nodes may tell those of other slots, too.
fn committees(slot: u64, reply: &Reply) -> Result<Vec<u64>, String> {
    let mut sizes = BTreeMap::new();
    for row in list::<Committee>(reply)?.into_iter().filter(|row| row.slot == slot) {
        sizes.insert(row.index, row.validators.len() as u64);
    }
    let count = sizes.len() as u64;
    if count == 0 || !sizes.keys().copied().eq(0..count) {
        return Err(format!("it does not tell each committee of slot {slot}"));
    }
    Ok(sizes.into_values().collect())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
