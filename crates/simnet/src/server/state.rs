//! `/eth/v?/beacon/…`: blocks, headers, states, validators.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::client::{Problem, ValidatorId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Node;
use super::reply::{self, Answer, Parameters, of_fork, of_state};
use crate::chain::{Asked, BlockId, Chain, Entry};

/// Validators that one request names: as many as a chain may have.
const MAX_IDS: usize = crate::chain::MAX_VALIDATORS;

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/eth/v1/beacon/headers", get(headers))
        .route("/eth/v1/beacon/headers/{block}", get(header))
        .route("/eth/v1/beacon/blocks/{block}/root", get(block_root))
        .route("/eth/v2/beacon/blocks/{block}", get(block))
        .route("/eth/v2/beacon/blocks/{block}/attestations", get(attestations))
        .route("/eth/v1/beacon/blob_sidecars/{block}", get(nothing_of_block))
        .route("/eth/v1/beacon/blobs/{block}", get(nothing_of_block))
        .route("/eth/v1/beacon/states/{state}/root", get(state_root))
        .route("/eth/v1/beacon/states/{state}/fork", get(fork))
        .route("/eth/v1/beacon/states/{state}/finality_checkpoints", get(finality))
        .route("/eth/v1/beacon/states/{state}/committees", get(committees))
        .route("/eth/v1/beacon/states/{state}/sync_committees", get(sync_committees))
        .route("/eth/v1/beacon/states/{state}/validators", get(validators_get).post(validators_post))
        .route("/eth/v1/beacon/states/{state}/validators/{validator}", get(validator))
        .route("/eth/v1/beacon/states/{state}/validator_balances", get(balances))
}

/// The block of an id.
fn found<'c>(chain: &'c Chain, id: &str) -> Result<&'c Entry, Problem> {
    let block = chain.block(id.parse::<BlockId>()?);
    block.ok_or_else(|| Problem::new(404, format!("NOT_FOUND: there is no block {id}")))
}

/// The slot of the state of an id: that of the clock for `head`.
fn slot_of(chain: &Chain, asked: Asked, id: &str) -> Result<u64, Problem> {
    let id_ = id.parse::<BlockId>()?;
    let entry = chain.state(asked, id_);
    let entry = entry.ok_or_else(|| Problem::new(404, format!("NOT_FOUND: there is no state {id}")))?;
    Ok(match id_ {
        BlockId::Slot(slot) => slot,
        BlockId::Head => chain.spec().clock.slot_at(asked.now).unwrap_or(0),
        BlockId::Genesis | BlockId::Finalized | BlockId::Justified | BlockId::Root(_) => entry.slot,
    })
}

async fn headers(State(node): State<Node>, parameters: Parameters) -> Answer {
    let slot: Option<u64> = parameters.one("slot")?;
    let parent: Option<Bytes32> = parameters.one("parent_root")?;
    let rows: Vec<Value> = node.with(|chain, _| {
        let head = chain.block(BlockId::Head).map_or(0, |head| head.slot);
        let slots = match (slot, parent) {
            (Some(slot), _) => slot..=slot,
            // A child is after its parent.
            (None, Some(parent)) => {
                chain.block(BlockId::Root(parent.0)).map_or(1, |entry| entry.slot.saturating_add(1))..=head
            }
            (None, None) => head..=head,
        };
        let entries = slots.flat_map(|slot| chain.blocks_at(slot));
        let is_asked = |entry: &&Entry| parent.is_none_or(|parent| entry.parent == parent.0);
        entries.filter(is_asked).map(|entry| chain.header_document(entry)).collect()
    });
    of_state(&rows)
}

async fn header(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    of_state(&node.with(|chain, _| found(chain, &id).map(|entry| chain.header_document(entry)))?)
}

async fn block_root(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    let root = node.with(|chain, _| found(chain, &id).map(|entry| Bytes32::from(entry.root)))?;
    of_state(&json!({"root": root}))
}

async fn block(State(node): State<Node>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let block = node.with(|chain, _| found(chain, &id).map(|entry| entry.block.clone()))?;
    if reply::prefers_ssz(&headers) {
        return Ok(reply::ssz(block.fork(), block.to_ssz()));
    }
    let json = block.to_json().map_err(|e| Problem::new(500, format!("a block has no JSON: {e}")))?;
    of_fork(block.fork(), &json)
}

async fn attestations(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    let block = node.with(|chain, _| found(chain, &id).map(|entry| entry.block.clone()))?;
    of_fork(block.fork(), &block.attestations())
}

/// Blobs are not kept.
async fn nothing_of_block(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    node.with(|chain, _| found(chain, &id).map(|_| ()))?;
    of_state(&json!([]))
}

async fn state_root(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    let root = node.with(|chain, asked| {
        let entry = chain.state(asked, id.parse()?);
        let entry = entry.ok_or_else(|| Problem::new(404, format!("NOT_FOUND: there is no state {id}")))?;
        Ok::<_, Problem>(entry.block.state_root())
    })?;
    of_state(&json!({"root": root}))
}

async fn fork(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    of_state(&node.with(|chain, asked| slot_of(chain, asked, &id).map(|slot| chain.fork_document(slot)))?)
}

async fn finality(State(node): State<Node>, Path(id): Path<String>) -> Answer {
    of_state(&node.with(|chain, asked| slot_of(chain, asked, &id).map(|slot| chain.finality_document(slot)))?)
}

async fn committees(State(node): State<Node>, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let epoch: Option<u64> = parameters.one("epoch")?;
    let (index, slot): (Option<u64>, Option<u64>) = (parameters.one("index")?, parameters.one("slot")?);
    let rows = node.with(|chain, asked| {
        let of_state = slot_of(chain, asked, &id)?;
        chain.committees_document(
            epoch.unwrap_or_else(|| chain.spec().clock.epoch_of(slot.unwrap_or(of_state))),
        )
    })?;
    let is_asked = |row: &&Value| {
        let has = |name: &str, value: Option<u64>| {
            value.is_none_or(|value| row[name].as_str().and_then(|text| text.parse().ok()) == Some(value))
        };
        has("index", index) && has("slot", slot)
    };
    let rows: Vec<&Value> = rows.as_array().into_iter().flatten().filter(is_asked).collect();
    of_state(&rows)
}

async fn sync_committees(State(node): State<Node>, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let epoch: Option<u64> = parameters.one("epoch")?;
    of_state(&node.with(|chain, asked| {
        let slot = slot_of(chain, asked, &id)?;
        chain.sync_committees_document(epoch.unwrap_or_else(|| chain.spec().clock.epoch_of(slot)))
    })?)
}

// ------------------------------------------------------------------------------------------------ validators

/// A body of `POST …/validators`.
#[derive(Deserialize, Default)]
struct Wanted {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    statuses: Option<Vec<String>>,
}

fn read_id(text: &str) -> Result<ValidatorId, Problem> {
    if text.starts_with("0x") {
        return Ok(ValidatorId::Key(reply::parse("a validator's id", text)?));
    }
    Ok(ValidatorId::Index(reply::parse("a validator's id", text)?))
}

async fn validators_get(State(node): State<Node>, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let ids = parameters.all("id").map(str::to_owned).collect();
    let statuses = parameters.all("status").map(str::to_owned).collect();
    validators(&node, &id, Wanted { ids: Some(ids), statuses: Some(statuses) })
}

async fn validators_post(State(node): State<Node>, Path(id): Path<String>, body: Bytes) -> Answer {
    let wanted = if body.is_empty() { Wanted::default() } else { reply::read(&body)? };
    validators(&node, &id, wanted)
}

fn validators(node: &Node, state: &str, wanted: Wanted) -> Answer {
    let ids = wanted.ids.unwrap_or_default();
    let statuses = wanted.statuses.unwrap_or_default();
    if ids.len() > MAX_IDS {
        return Err(Problem::new(400, format!("at most {MAX_IDS} validators at a time")).into());
    }
    let ids = ids.iter().map(|id| read_id(id)).collect::<Result<Vec<_>, _>>()?;
    let mut found =
        node.with(|chain, asked| slot_of(chain, asked, state).map(|slot| chain.validators(slot, &ids)))?;
    // A status is meant as a whole, or by its first word.
    let is_of = |status: &str, wanted: &str| status == wanted || status.split('_').next() == Some(wanted);
    found.retain(|one| statuses.is_empty() || statuses.iter().any(|wanted| is_of(&one.status, wanted)));
    of_state(&found)
}

async fn validator(State(node): State<Node>, Path((state, id)): Path<(String, String)>) -> Answer {
    let wanted = read_id(&id)?;
    let found = node
        .with(|chain, asked| slot_of(chain, asked, &state).map(|slot| chain.validators(slot, &[wanted])))?;
    let one =
        found.first().ok_or_else(|| Problem::new(404, format!("NOT_FOUND: there is no validator {id}")))?;
    of_state(one)
}

async fn balances(State(node): State<Node>, Path(state): Path<String>, parameters: Parameters) -> Answer {
    let ids = parameters.all("id").map(read_id).collect::<Result<Vec<_>, _>>()?;
    let found =
        node.with(|chain, asked| slot_of(chain, asked, &state).map(|slot| chain.validators(slot, &ids)))?;
    let row = |one: &coxswain_dv_eth::beacon::Validator| json!({"index": one.index.to_string(), "balance": one.balance.to_string()});
    of_state(&found.iter().map(row).collect::<Vec<_>>())
}
