//! Requests of validator clients, read as what is asked of the node. Pure: bytes in, a request or a problem out.
//!
//! Statuses of what is wrong are those that charon has: 500 for attestations and blocks whose body or fork is not
//! understood, 400 for the rest.

use std::str::FromStr;

use coxswain_dv_eth::api::{BeaconCommitteeSelection, SyncCommitteeSelection};
use coxswain_dv_eth::attestation::{
    Attestation, AttestationElectra, AttestationPhase0, SignedAggregateAndProof, SingleAttestation,
};
use coxswain_dv_eth::bytes::Bytes;
use coxswain_dv_eth::client::{Problem, Request, ValidatorId};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::{Form, SignedProposal};
use coxswain_dv_eth::signed::{SignedAggregate, SignedAttestation};
use coxswain_dv_eth::sync::{SignedContributionAndProof, SyncCommitteeMessage};
use coxswain_dv_types::causes::in_full;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::accept::Wanted;
use super::render::Reply;
use super::route::Endpoint;

/// Longest excerpt of a client's text in an error.
const MAX_EXCERPT_CHARS: usize = 80;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Incoming<'a> {
    /// The parts of the path that are not fixed.
    pub(crate) parts: Vec<&'a str>,
    /// After the question mark.
    pub(crate) query: &'a str,
    /// `Eth-Consensus-Version`.
    pub(crate) version: Option<&'a str>,
    pub(crate) sent: Wanted,
    pub(crate) body: &'a [u8],
}

/// What is done with it.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// The node is asked.
    Ask(Request),
    /// The answer is known.
    Reply(Reply),
}

/// Reads a request to one of the endpoints that ask the node.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(endpoint: Endpoint, incoming: &Incoming<'_>) -> Result<Parsed, Problem> {
    let ask = match endpoint {
        Endpoint::AttesterDuties => {
            Request::AttesterDuties { epoch: number(incoming, "epoch")?, validators: indices(incoming)? }
        }
        Endpoint::ProposerDuties => Request::ProposerDuties { epoch: number(incoming, "epoch")? },
        Endpoint::SyncDuties => {
            Request::SyncDuties { epoch: number(incoming, "epoch")?, validators: indices(incoming)? }
        }
        Endpoint::Validators => {
            let named = pairs(incoming.query).filter(|(name, _)| name == "id");
            let texts: Vec<_> = named.map(|(_, value)| value).collect();
            validators(incoming, texts.iter().flat_map(|list| list.split(',')))?
        }
        Endpoint::PostValidators => {
            let ids = listed_ids(incoming)?;
            validators(incoming, ids.iter().map(String::as_str))?
        }
        Endpoint::Validator => validators(incoming, incoming.parts.get(1).copied().into_iter())?,
        Endpoint::AttestationData => Request::AttestationData {
            slot: query_number(incoming, "slot")?,
            committee: query_number(incoming, "committee_index")?,
        },
        Endpoint::Proposal => Request::Proposal {
            slot: number(incoming, "slot")?,
            randao: query_hex(incoming, "randao_reveal")?,
        },
        Endpoint::Aggregate => {
            let data_root = query_hex(incoming, "attestation_data_root")?;
            let slot = query_number(incoming, "slot")?;
            Request::Aggregate { slot, data_root, committee: query_number(incoming, "committee_index")? }
        }
        Endpoint::Contribution => {
            let slot = query_number(incoming, "slot")?;
            let subcommittee = query_number(incoming, "subcommittee_index")?;
            Request::Contribution {
                slot,
                subcommittee,
                block_root: query_hex(incoming, "beacon_block_root")?,
            }
        }
        Endpoint::SubmitExit => Request::SubmitExit(json::<Signed<VoluntaryExit>>(incoming, 400)?),
        Endpoint::SubmitProposal => submitted_block(incoming, Form::Full)?,
        Endpoint::SubmitBlindedProposal => submitted_block(incoming, Form::Blinded)?,
        Endpoint::Selections
        | Endpoint::SyncSelections
        | Endpoint::SubmitAttestations
        | Endpoint::SubmitAggregates
        | Endpoint::SubmitSyncMessages
        | Endpoint::SubmitContributions => return submitted_list(endpoint, incoming),
        Endpoint::Swallowed => return Ok(Parsed::Reply(Reply::done())),
        Endpoint::Retired | Endpoint::NodeVersion | Endpoint::NodeVersionV2 | Endpoint::Events => {
            return Err(Problem::new(404, "this endpoint is retired; use its latest version"));
        }
    };
    Ok(Parsed::Ask(ask))
}

/// Submissions of several items. An empty one needs no node.
fn submitted_list(endpoint: Endpoint, incoming: &Incoming<'_>) -> Result<Parsed, Problem> {
    let (ask, is_empty, nothing) = match endpoint {
        Endpoint::Selections => {
            let list = json::<Vec<BeaconCommitteeSelection>>(incoming, 400)?;
            let is_empty = list.is_empty();
            (Request::Selections(list), is_empty, Reply::data(&[(); 0]))
        }
        Endpoint::SyncSelections => {
            let list = json::<Vec<SyncCommitteeSelection>>(incoming, 400)?;
            let is_empty = list.is_empty();
            (Request::SyncSelections(list), is_empty, Reply::data(&[(); 0]))
        }
        Endpoint::SubmitAttestations => {
            let list = attestations(incoming)?;
            let is_empty = list.is_empty();
            (Request::SubmitAttestations(list), is_empty, Reply::done())
        }
        Endpoint::SubmitAggregates => {
            let list = aggregates(incoming)?;
            let is_empty = list.is_empty();
            (Request::SubmitAggregates(list), is_empty, Reply::done())
        }
        Endpoint::SubmitSyncMessages => {
            let list = json::<Vec<SyncCommitteeMessage>>(incoming, 400)?;
            let is_empty = list.is_empty();
            (Request::SubmitSyncMessages(list), is_empty, Reply::done())
        }
        _ => {
            let list = json::<Vec<SignedContributionAndProof>>(incoming, 400)?;
            let is_empty = list.is_empty();
            (Request::SubmitContributions(list), is_empty, Reply::done())
        }
    };
    Ok(if is_empty { Parsed::Reply(nothing) } else { Parsed::Ask(ask) })
}

fn attestations(incoming: &Incoming<'_>) -> Result<Vec<SignedAttestation>, Problem> {
    let fork = fork(incoming)?;
    if fork.has_electra_attestations() {
        let list = json::<Vec<SingleAttestation>>(incoming, 500)?;
        let read = |(at, single): (usize, SingleAttestation)| {
            SignedAttestation::from_single(fork, &single).map_err(|error| Problem {
                failures: vec![(at, error.to_string())],
                ..Problem::new(400, "an attestation has a committee that does not exist")
            })
        };
        return list.into_iter().enumerate().map(read).collect();
    }
    let list = json::<Vec<AttestationPhase0>>(incoming, 500)?;
    let read = |one| SignedAttestation { fork, validator_index: None, attestation: Attestation::Phase0(one) };
    Ok(list.into_iter().map(read).collect())
}

fn aggregates(incoming: &Incoming<'_>) -> Result<Vec<SignedAggregate>, Problem> {
    let fork = fork(incoming)?;
    if fork.has_electra_attestations() {
        let list = json::<Vec<SignedAggregateAndProof<AttestationElectra>>>(incoming, 400)?;
        return Ok(list.into_iter().map(|signed| SignedAggregate::Electra { fork, signed }).collect());
    }
    let list = json::<Vec<SignedAggregateAndProof<AttestationPhase0>>>(incoming, 400)?;
    Ok(list.into_iter().map(|signed| SignedAggregate::Phase0 { fork, signed }).collect())
}

fn submitted_block(incoming: &Incoming<'_>, form: Form) -> Result<Request, Problem> {
    let fork = fork(incoming)?;
    let body = needed(incoming)?;
    let read = match incoming.sent {
        Wanted::Ssz => SignedProposal::from_ssz(fork, form, body),
        Wanted::Json => SignedProposal::from_json(fork, form, body),
    };
    let wrong = |error: &dyn std::error::Error| {
        Problem::new(500, format!("the block is not understood: {}", causes(error)))
    };
    read.map(|block| Request::SubmitProposal(Box::new(block))).map_err(|error| wrong(&error))
}

/// An error and its causes, which may have foreign text in them.
fn causes(error: &dyn std::error::Error) -> String {
    excerpt(&in_full(error), 4 * MAX_EXCERPT_CHARS)
}

fn fork(incoming: &Incoming<'_>) -> Result<Fork, Problem> {
    let name = incoming.version.ok_or_else(|| {
        Problem::new(500, "the header Eth-Consensus-Version, which names the fork, is missing")
    })?;
    Fork::named(&name.to_lowercase()).ok_or_else(|| {
        let name = excerpt(name, MAX_EXCERPT_CHARS);
        Problem::new(500, format!("the header Eth-Consensus-Version names `{name}`, which is no known fork"))
    })
}

fn needed<'a>(incoming: &Incoming<'a>) -> Result<&'a [u8], Problem> {
    if incoming.body.is_empty() {
        return Err(Problem::new(400, "the request has no body, and this endpoint needs one"));
    }
    Ok(incoming.body)
}

fn json<T: DeserializeOwned>(incoming: &Incoming<'_>, status: u16) -> Result<T, Problem> {
    let body = needed(incoming)?;
    serde_json::from_slice(body).map_err(|error| {
        let why = excerpt(&error.to_string(), 4 * MAX_EXCERPT_CHARS);
        Problem::new(status, format!("the body is not understood: {why}"))
    })
}

fn excerpt(text: &str, chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars).collect()
}

/// Indices of validators: all of them numbers, or all of them texts.
fn indices(incoming: &Incoming<'_>) -> Result<Vec<u64>, Problem> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Indices {
        Numbers(Vec<u64>),
        Texts(Vec<String>),
    }
    let wrong = || Problem::new(400, "the body is not understood: expected a list of indices of validators");
    // What serde says of untagged lists names our types, and nothing of use.
    match json::<Indices>(incoming, 400).map_err(
        |problem| {
            if incoming.body.is_empty() { problem } else { wrong() }
        },
    )? {
        Indices::Numbers(list) => Ok(list),
        Indices::Texts(list) => list.iter().map(|text| decimal(text).ok_or_else(wrong)).collect(),
    }
}

/// The ids of `{"ids": […]}`; nothing where all validators are asked for.
fn listed_ids(incoming: &Incoming<'_>) -> Result<Vec<String>, Problem> {
    #[derive(Deserialize)]
    struct Ids {
        ids: Option<Vec<String>>,
    }
    let Ids { ids } = json(incoming, 400)?;
    // A list is read as the fields of an object too, and `[null]` must not be a question for all validators.
    if !incoming.body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::new(400, "the body is not understood: expected an object with `ids`"));
    }
    Ok(ids.unwrap_or_default())
}

fn validators<'t>(incoming: &Incoming<'_>, texts: impl Iterator<Item = &'t str>) -> Result<Request, Problem> {
    let state = incoming.parts.first().copied().unwrap_or_default();
    let is_root = Bytes::<32>::from_str(state).is_ok();
    let is_named = matches!(state, "head" | "genesis" | "finalized" | "justified");
    if !is_root && !is_named && decimal(state).is_none() {
        let state = excerpt(state, MAX_EXCERPT_CHARS);
        return Err(Problem::new(400, format!("`{state}` names no state; use `head`, a slot or a root")));
    }
    let read = |text: &str| {
        let id = match Bytes::<48>::from_str(&text.to_lowercase()) {
            Ok(key) => Some(ValidatorId::Key(key)),
            Err(_) => decimal(text).map(ValidatorId::Index),
        };
        id.ok_or_else(|| {
            let text = excerpt(text, 2 * MAX_EXCERPT_CHARS);
            Problem::new(500, format!("`{text}` is neither the index nor the public key of a validator"))
        })
    };
    let ids = texts.filter(|text| !text.is_empty()).map(read).collect::<Result<_, _>>()?;
    Ok(Request::Validators { state: state.to_owned(), ids })
}

/// Digits only: the parser of the standard library takes a sign too.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// The first part of the path that is not fixed.
fn number(incoming: &Incoming<'_>, name: &str) -> Result<u64, Problem> {
    let text = incoming.parts.first().copied().unwrap_or_default();
    decimal(text).ok_or_else(|| {
        let text = excerpt(text, MAX_EXCERPT_CHARS);
        Problem::new(400, format!("the path has `{text}` where the number of the {name} should be"))
    })
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned()
}

fn parameter(incoming: &Incoming<'_>, name: &str) -> Result<String, Problem> {
    let value = pairs(incoming.query).find(|(key, _)| key == name).map(|(_, value)| value);
    value.ok_or_else(|| Problem::new(400, format!("the query parameter `{name}` is missing")))
}

fn query_number(incoming: &Incoming<'_>, name: &str) -> Result<u64, Problem> {
    let text = parameter(incoming, name)?;
    decimal(&text).ok_or_else(|| {
        let text = excerpt(&text, MAX_EXCERPT_CHARS);
        Problem::new(400, format!("the query parameter `{name}` is `{text}`, which is no number"))
    })
}

fn query_hex<const N: usize>(incoming: &Incoming<'_>, name: &str) -> Result<Bytes<N>, Problem> {
    let text = parameter(incoming, name)?;
    text.to_lowercase()
        .parse()
        .map_err(|error| Problem::new(400, format!("the query parameter `{name}` is not usable: {error}")))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
