//! What goes over HTTP for each call.

use std::fmt::Write as _;

use bytes::Bytes;
use coxswain_dv_eth::beacon::Call;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use serde::Serialize;

/// JSON.
pub(crate) const JSON: &str = "application/json";
/// SSZ.
pub(crate) const SSZ: &str = "application/octet-stream";
/// SSZ where the node has it.
const SSZ_OR_JSON: &str = "application/octet-stream;q=1,application/json;q=0.9";

/// Answers of a few fields.
pub(crate) const SMALL: usize = 1 << 20;
/// Lists: duties, validators; a validator takes about 600 bytes, so that all of a chain are told up to fifty thousand.
const LIST: usize = 32 << 20;
/// Blocks with what their blobs need: 21 blobs are 6 MB in hexadecimal, blocks of the chain up to 10 MB of payload,
/// and forks to come want more of both.
const BLOCK: usize = 64 << 20;

/// In which form blocks are asked for and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// SSZ where the beacon node can, else JSON.
    #[default]
    SszFirst,
    /// Only JSON.
    JsonOnly,
}

/// A request to a beacon node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    pub(crate) is_post: bool,
    /// From the first slash on, with the query.
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) fork: Option<Fork>,
    /// Its type, and itself.
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) max_bytes: usize,
}

impl Ask {
    /// A question.
    pub(crate) fn get(path: impl Into<String>, max_bytes: usize) -> Ask {
        Ask { is_post: false, path: path.into(), accept: JSON, fork: None, body: None, max_bytes }
    }

    fn post(path: impl Into<String>, json: Vec<u8>) -> Ask {
        let body = Some((JSON, Bytes::from(json)));
        Ask { is_post: true, path: path.into(), accept: JSON, fork: None, body, max_bytes: SMALL }
    }

    fn of(self, fork: Fork) -> Ask {
        Ask { fork: Some(fork), ..self }
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// It asks.
    Question,
    /// It brings something to the chain.
    Submission,
}

/// What a call is for.
pub(crate) fn aim(call: &Call) -> Aim {
    match call {
        Call::SubmitAttestationsPhase0(_)
        | Call::SubmitAttestations { .. }
        | Call::SubmitProposal(_)
        | Call::SubmitAggregates(_)
        | Call::SubmitSyncMessages(_)
        | Call::SubmitContributions(_)
        | Call::SubmitExit(_)
        | Call::SubmitRegistrations(_)
        | Call::PrepareProposers(_) => Aim::Submission,
        Call::AttesterDuties { .. }
        | Call::ProposerDuties { .. }
        | Call::SyncDuties { .. }
        | Call::Validators { .. }
        | Call::AttestationData { .. }
        | Call::Proposal { .. }
        | Call::Aggregate { .. }
        | Call::Contribution { .. }
        | Call::Syncing
        | Call::Block { .. }
        | Call::WholeBlock { .. }
        | Call::Committees { .. } => Aim::Question,
    }
}

/// The request of a call. `before_electra` is the fork of attestations that do not say theirs.
pub(crate) fn ask(call: &Call, encoding: Encoding, before_electra: Fork) -> Ask {
    const ATTESTATIONS: &str = "/eth/v2/beacon/pool/attestations";
    let v1 = |path: String, max_bytes| Ask::get(format!("/eth/v1/{path}"), max_bytes);
    match call {
        Call::AttesterDuties { epoch, validators } => duties("attester", *epoch, validators),
        Call::SyncDuties { epoch, validators } => duties("sync", *epoch, validators),
        Call::ProposerDuties { epoch } => v1(format!("validator/duties/proposer/{epoch}"), LIST),
        Call::Validators { state, keys } => {
            let path = format!("/eth/v1/beacon/states/{}/validators", segment(state));
            if keys.is_empty() {
                // All of them. Nodes differ in what they make of an empty list.
                return Ask::get(path, LIST);
            }
            Ask { max_bytes: LIST, ..Ask::post(path, json(&Ids { ids: keys })) }
        }
        Call::AttestationData { slot, committee } => {
            v1(format!("validator/attestation_data?slot={slot}&committee_index={committee}"), SMALL)
        }
        Call::Proposal { slot, randao, graffiti, builder_boost } => {
            let path = format!(
                "/eth/v3/validator/blocks/{slot}?randao_reveal={randao}&graffiti={graffiti}\
                 &builder_boost_factor={builder_boost}"
            );
            Ask { accept: block_accept(encoding), ..Ask::get(path, BLOCK) }
        }
        Call::Aggregate { slot, data_root, committee } => Ask::get(
            format!(
                "/eth/v2/validator/aggregate_attestation?slot={slot}&attestation_data_root={data_root}\
                 &committee_index={committee}"
            ),
            SMALL,
        ),
        Call::Contribution { slot, subcommittee, block_root } => v1(
            format!(
                "validator/sync_committee_contribution?slot={slot}&subcommittee_index={subcommittee}\
                 &beacon_block_root={block_root}"
            ),
            SMALL,
        ),
        Call::Syncing => v1("node/syncing".to_owned(), SMALL),
        Call::Block { slot } | Call::WholeBlock { slot } => {
            Ask { accept: block_accept(encoding), ..Ask::get(format!("/eth/v2/beacon/blocks/{slot}"), BLOCK) }
        }
        Call::Committees { slot, epoch } => {
            v1(format!("beacon/states/head/committees?epoch={epoch}&slot={slot}"), LIST)
        }
        Call::SubmitProposal(block) => submit_block(block, encoding),
        Call::SubmitAttestationsPhase0(list) => Ask::post(ATTESTATIONS, json(list)).of(before_electra),
        Call::SubmitAttestations { fork, attestations } => {
            Ask::post(ATTESTATIONS, json(attestations)).of(*fork)
        }
        Call::SubmitAggregates(list) => {
            let fork = list.first().map_or(Fork::Electra, SignedAggregate::fork);
            Ask::post("/eth/v2/validator/aggregate_and_proofs", aggregates(list)).of(fork)
        }
        Call::SubmitSyncMessages(list) => Ask::post("/eth/v1/beacon/pool/sync_committees", json(list)),
        Call::SubmitContributions(list) => Ask::post("/eth/v1/validator/contribution_and_proofs", json(list)),
        Call::SubmitExit(exit) => Ask::post("/eth/v1/beacon/pool/voluntary_exits", json(exit)),
        Call::SubmitRegistrations(list) => {
            Ask::post("/eth/v1/validator/register_validator", registrations(list))
        }
        Call::PrepareProposers(list) => Ask::post("/eth/v1/validator/prepare_beacon_proposer", json(list)),
    }
}

fn block_accept(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::SszFirst => SSZ_OR_JSON,
        Encoding::JsonOnly => JSON,
    }
}

fn duties(kind: &str, epoch: u64, validators: &[u64]) -> Ask {
    let path = format!("/eth/v1/validator/duties/{kind}/{epoch}");
    Ask { max_bytes: LIST, ..Ask::post(path, indices(validators)) }
}

/// Whole blocks go as SSZ: they are large, and every beacon node reads it. Blinded ones go as JSON, which every node
/// passes on to its builder.
fn submit_block(block: &SignedProposal, encoding: Encoding) -> Ask {
    let path = if block.is_blinded() { "/eth/v2/beacon/blinded_blocks" } else { "/eth/v2/beacon/blocks" };
    let body = if block.is_blinded() || encoding == Encoding::JsonOnly {
        (JSON, Bytes::from(block.to_json()))
    } else {
        (SSZ, Bytes::from(block.to_ssz()))
    };
    Ask { body: Some(body), ..Ask::post(path, Vec::new()) }.of(block.fork())
}

#[derive(Serialize)]
struct Ids<'a, T> {
    ids: &'a [T],
}

fn aggregates(list: &[SignedAggregate]) -> Vec<u8> {
    joined(list.iter().map(|one| match one {
        SignedAggregate::Phase0 { signed, .. } => text(signed),
        SignedAggregate::Electra { signed, .. } => text(signed),
    }))
}

fn registrations(list: &[SignedRegistration]) -> Vec<u8> {
    joined(list.iter().map(SignedRegistration::to_json))
}

/// An array of documents.
fn joined(documents: impl Iterator<Item = String>) -> Vec<u8> {
    let mut array = String::from("[");
    for (at, document) in documents.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(array, "{comma}{document}").expect("memory takes what is written");
    }
    array.push(']');
    array.into_bytes()
}

/// Numbers in quotes.
fn indices(validators: &[u64]) -> Vec<u8> {
    joined(validators.iter().map(|index| format!("\"{index}\"")))
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our documents have only text keys")
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our documents have only text keys")
}

/// A part of a path: whatever would end it is written as its number.
fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("memory takes what is written");
        }
    }
    out
}
