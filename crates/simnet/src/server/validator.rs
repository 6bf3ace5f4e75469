//! `/eth/v?/validator/…` and what is handed in.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::{get, post};
use coxswain_dv_eth::beacon::Preparation;
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::client::Problem;
use coxswain_dv_eth::proposal::{Form, SignedProposal};
use coxswain_dv_eth::signed::{SignedAggregate, SignedRegistration};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Node;
use super::reply::{
    self, Answer, BLINDED, CONSENSUS_VALUE, EXECUTION_VALUE, Parameters, VERSION, data, of_duties, of_fork,
};
use crate::chain::{Job, Produced, ProposalRequest, Submission, Vote};

/// What a builder's block is worth in hundredths of a local one where a client says nothing.
const USUAL_BOOST: u64 = 100;

/// Things of one submission: one of each validator that a chain may have, four subcommittees at most.
const MAX_ITEMS: usize = 4 * crate::chain::MAX_VALIDATORS;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/eth/v1/validator/duties/attester/{epoch}", post(attester_duties))
        .route("/eth/v1/validator/duties/proposer/{epoch}", get(proposer_duties))
        .route("/eth/v2/validator/duties/proposer/{epoch}", get(proposer_duties_v2))
        .route("/eth/v1/validator/duties/sync/{epoch}", post(sync_duties))
        .route("/eth/v1/validator/attestation_data", get(attestation_data))
        .route("/eth/v2/validator/aggregate_attestation", get(aggregate))
        .route("/eth/v1/validator/sync_committee_contribution", get(contribution))
        .route("/eth/v3/validator/blocks/{slot}", get(propose))
        .route("/eth/v1/validator/liveness/{epoch}", post(liveness))
        .route("/eth/v1/validator/prepare_beacon_proposer", post(prepare))
        .route("/eth/v1/validator/register_validator", post(register))
        .route("/eth/v1/validator/beacon_committee_subscriptions", post(subscribe))
        .route("/eth/v1/validator/sync_committee_subscriptions", post(subscribe))
        .route("/eth/v1/validator/beacon_committee_selections", post(selections))
        .route("/eth/v1/validator/sync_committee_selections", post(selections))
        .route("/eth/v2/validator/aggregate_and_proofs", post(aggregates))
        .route("/eth/v1/validator/contribution_and_proofs", post(contributions))
        .route("/eth/v2/beacon/pool/attestations", post(attestations))
        .route("/eth/v1/beacon/pool/sync_committees", post(sync_messages))
        .route("/eth/v1/beacon/pool/voluntary_exits", post(exit))
        .route("/eth/v2/beacon/blocks", post(block))
        .route("/eth/v2/beacon/blinded_blocks", post(blinded_block))
}

// ---------------------------------------------------------------------------------------------------- duties

/// Indices, as numbers or in quotes.
fn indices(body: &[u8]) -> Result<Vec<u64>, Problem> {
    let values: Vec<Value> = reply::read(body)?;
    let index = |value: &Value| match value {
        Value::String(text) => reply::parse("a validator's index", text),
        Value::Number(number) => {
            number.as_u64().ok_or_else(|| Problem::new(400, format!("no index: {number}")))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(Problem::new(400, format!("no validator's index: {value}")))
        }
    };
    values.iter().map(index).collect()
}

async fn attester_duties(State(node): State<Node>, Path(epoch): Path<String>, body: Bytes) -> Answer {
    let (epoch, of) = (reply::parse("the epoch", &epoch)?, indices(&body)?);
    let found = node.with(|chain, asked| chain.attester_duties(asked, epoch, &of))?;
    of_duties(Some(found.dependent_root), &found.duties)
}

async fn proposer_duties(State(node): State<Node>, Path(epoch): Path<String>) -> Answer {
    let epoch = reply::parse("the epoch", &epoch)?;
    let found = node.with(|chain, asked| chain.proposer_duties(asked, epoch))?;
    of_duties(Some(found.dependent_root), &found.duties)
}

async fn proposer_duties_v2(State(node): State<Node>, Path(epoch): Path<String>) -> Answer {
    let epoch = reply::parse("the epoch", &epoch)?;
    let (root, found) = node.with(|chain, asked| {
        chain.proposer_duties(asked, epoch).map(|found| (chain.proposer_dependent_root(epoch), found))
    })?;
    of_duties(Some(root), &found.duties)
}

async fn sync_duties(State(node): State<Node>, Path(epoch): Path<String>, body: Bytes) -> Answer {
    let (epoch, of) = (reply::parse("the epoch", &epoch)?, indices(&body)?);
    of_duties(None, &node.with(|chain, asked| chain.sync_duties(asked, epoch, &of))?)
}

async fn liveness(State(node): State<Node>, Path(epoch): Path<String>, body: Bytes) -> Answer {
    let (epoch, of) = (reply::parse("the epoch", &epoch)?, indices(&body)?);
    data(&node.with(|chain, _| chain.liveness(epoch, &of)))
}

// ------------------------------------------------------------------------------------------------------ data

async fn attestation_data(State(node): State<Node>, parameters: Parameters) -> Answer {
    let slot = parameters.needed("slot")?;
    let committee = parameters.one("committee_index")?.unwrap_or(0);
    data(&node.with(|chain, asked| chain.attestation_data(asked, slot, committee))?)
}

async fn aggregate(State(node): State<Node>, parameters: Parameters) -> Answer {
    let slot = parameters.needed("slot")?;
    let root: Bytes32 = parameters.needed("attestation_data_root")?;
    let committee = parameters.needed("committee_index")?;
    let (fork, found) = node.with(|chain, asked| {
        let found = chain.aggregate(asked, slot, &root.0, committee)?;
        Ok::<_, Problem>((chain.fork_at(slot), found))
    })?;
    of_fork(fork, &found)
}

async fn contribution(State(node): State<Node>, parameters: Parameters) -> Answer {
    let slot = parameters.needed("slot")?;
    let subcommittee = parameters.needed("subcommittee_index")?;
    let root: Bytes32 = parameters.needed("beacon_block_root")?;
    data(&node.with(|chain, asked| chain.contribution(asked, slot, &root.0, subcommittee))?)
}

async fn propose(
    State(node): State<Node>,
    Path(slot): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Answer {
    let request = ProposalRequest {
        slot: reply::parse("the slot", &slot)?,
        randao: parameters.needed::<Bytes96>("randao_reveal")?,
        graffiti: parameters.one("graffiti")?.unwrap_or_default(),
        builder_boost: parameters.one("builder_boost_factor")?.unwrap_or(USUAL_BOOST),
    };
    let produced = node.with(|chain, asked| chain.propose(asked, &request))?;
    let Produced { proposal, execution_value, consensus_value } = produced;
    let (fork, is_blinded) = (proposal.fork(), proposal.is_blinded());
    let mut response = if reply::prefers_ssz(&headers) {
        reply::ssz(fork, proposal.to_ssz())
    } else {
        // A block with its blobs is large: it goes in as it is written.
        let mut body = format!(
            "{{\"version\":\"{fork}\",\"execution_payload_blinded\":{is_blinded},\
             \"execution_payload_value\":\"{execution_value}\",\"consensus_block_value\":\"{consensus_value}\",\
             \"data\":"
        )
        .into_bytes();
        body.extend(proposal.to_json());
        body.push(b'}');
        reply::raw_json(body)
    };
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from_static(fork.name()));
    headers.insert(BLINDED, HeaderValue::from_static(if is_blinded { "true" } else { "false" }));
    headers.insert(EXECUTION_VALUE, HeaderValue::from(execution_value));
    headers.insert(CONSENSUS_VALUE, HeaderValue::from(consensus_value));
    Ok(response)
}

// ----------------------------------------------------------------------------------------------- submissions

/// Verifies apart from the chain, then takes in.
async fn submit(node: &Node, submission: Submission) -> Answer {
    if submission.len() > MAX_ITEMS {
        let what = format!("{} things at once; at most {MAX_ITEMS} are taken", submission.len());
        return Err(Problem::new(413, what).into());
    }
    let asked = node.asked();
    let job = node.with(|chain, asked| {
        if chain.syncing(asked).is_syncing {
            return Err(Problem::new(503, "beacon node is currently syncing and not serving requests"));
        }
        Ok(chain.examine(submission))
    })?;
    let verified = tokio::task::spawn_blocking(move || Job::verify(job)).await;
    let verified =
        verified.map_err(|e| Problem::new(500, format!("signatures could not be verified: {e}")))?;
    // It counts as of when it came, not of when its signatures were verified.
    let receipt = node.with(|chain, _| chain.settle(asked, verified));
    let Some((_, first)) = receipt.refused.first() else { return reply::done() };
    let message = format!("{} refused; the first: {first}", receipt.refused.len());
    Err(Problem { status: 400, message, failures: receipt.refused }.into())
}

async fn attestations(State(node): State<Node>, headers: HeaderMap, body: Bytes) -> Answer {
    let votes = if reply::fork_of(&headers)?.has_electra_attestations() {
        reply::read::<Vec<_>>(&body)?.into_iter().map(Vote::Single).collect()
    } else {
        reply::read::<Vec<_>>(&body)?.into_iter().map(Vote::Phase0).collect()
    };
    submit(&node, Submission::Attestations(votes)).await
}

async fn aggregates(State(node): State<Node>, headers: HeaderMap, body: Bytes) -> Answer {
    let fork = reply::fork_of(&headers)?;
    let list = if fork.has_electra_attestations() {
        let list: Vec<_> = reply::read(&body)?;
        list.into_iter().map(|signed| SignedAggregate::Electra { fork, signed }).collect()
    } else {
        let list: Vec<_> = reply::read(&body)?;
        list.into_iter().map(|signed| SignedAggregate::Phase0 { fork, signed }).collect()
    };
    submit(&node, Submission::Aggregates(list)).await
}

async fn sync_messages(State(node): State<Node>, body: Bytes) -> Answer {
    submit(&node, Submission::SyncMessages(reply::read(&body)?)).await
}

async fn contributions(State(node): State<Node>, body: Bytes) -> Answer {
    submit(&node, Submission::Contributions(reply::read(&body)?)).await
}

async fn exit(State(node): State<Node>, body: Bytes) -> Answer {
    submit(&node, Submission::Exit(reply::read(&body)?)).await
}

async fn register(State(node): State<Node>, body: Bytes) -> Answer {
    let texts: Vec<&RawValue> = serde_json::from_slice(&body)
        .map_err(|e| Problem::new(400, format!("the body cannot be read: {e}")))?;
    let read = |text: &&RawValue| {
        SignedRegistration::parse(text.get().as_bytes())
            .map_err(|e| Problem::new(400, format!("the body cannot be read: {e}")))
    };
    let list = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    submit(&node, Submission::Registrations(list)).await
}

async fn block(State(node): State<Node>, headers: HeaderMap, body: Bytes) -> Answer {
    submit_block(&node, &headers, &body, Form::Full).await
}

async fn blinded_block(State(node): State<Node>, headers: HeaderMap, body: Bytes) -> Answer {
    submit_block(&node, &headers, &body, Form::Blinded).await
}

async fn submit_block(node: &Node, headers: &HeaderMap, body: &[u8], form: Form) -> Answer {
    let fork = reply::fork_of(headers)?;
    let read = if reply::is_ssz(headers) { SignedProposal::from_ssz } else { SignedProposal::from_json };
    let block =
        read(fork, form, body).map_err(|e| Problem::new(400, format!("the body cannot be read: {e}")))?;
    submit(node, Submission::Proposal(Box::new(block))).await
}

async fn prepare(State(node): State<Node>, body: Bytes) -> Answer {
    let list: Vec<Preparation> = reply::read(&body)?;
    node.with(|chain, _| chain.prepare(&list));
    reply::done()
}

/// There are no subnets to subscribe to.
async fn subscribe(body: Bytes) -> Answer {
    let _: Vec<Value> = reply::read(&body)?;
    reply::done()
}

/// As beacon nodes do: middleware of distributed validators answers these.
async fn selections() -> Answer {
    Err(Problem::new(501, "this node is no middleware of distributed validators").into())
}
