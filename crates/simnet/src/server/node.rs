//! `/eth/v?/node/…`, `/eth/v1/config/…`, genesis, and the stream of events.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::stream;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::Node;
use super::reply::{Answer, Parameters, data, document};

/// An address of nobody, as nodes show theirs.
const PEER: &str = "16Uiu2HAm7ukVy4XugqVShYbLih4H2jBJjYevevznBZaHsmd1FM96";

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .route("/eth/v1/node/syncing", get(syncing))
        .route("/eth/v1/node/version", get(version))
        .route("/eth/v2/node/version", get(version_v2))
        .route("/eth/v1/node/health", get(health))
        .route("/eth/v1/node/peer_count", get(peer_count))
        .route("/eth/v1/node/peers", get(peers))
        .route("/eth/v1/node/identity", get(identity))
        .route("/eth/v1/config/spec", get(spec))
        .route("/eth/v1/config/fork_schedule", get(fork_schedule))
        .route("/eth/v1/config/deposit_contract", get(deposit_contract))
        .route("/eth/v1/beacon/genesis", get(genesis))
        .route("/eth/v1/events", get(events))
}

async fn syncing(State(node): State<Node>) -> Answer {
    let found = node.with(|chain, asked| chain.syncing(asked));
    data(&json!({
        "head_slot": found.head_slot.to_string(),
        "sync_distance": found.sync_distance.to_string(),
        "is_syncing": found.is_syncing,
        "is_optimistic": false,
        "el_offline": false,
    }))
}

async fn version(State(node): State<Node>) -> Answer {
    let version = node.with(|chain, _| chain.settings().version.clone());
    data(&json!({"version": version}))
}

async fn version_v2(State(node): State<Node>) -> Answer {
    let version = node.with(|chain, _| chain.settings().version.clone());
    let mut parts = version.splitn(3, '/');
    let (name, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    data(&json!({"beacon_node": {"code": "CX", "name": name, "version": number, "commit": "00000000"}}))
}

async fn health(State(node): State<Node>) -> Response {
    let is_syncing = node.with(|chain, asked| chain.syncing(asked).is_syncing);
    if is_syncing { StatusCode::PARTIAL_CONTENT.into_response() } else { StatusCode::OK.into_response() }
}

async fn peer_count() -> Answer {
    data(&json!({"disconnected": "0", "connecting": "0", "connected": "50", "disconnecting": "0"}))
}

async fn peers() -> Answer {
    document(&json!({"data": [], "meta": {"count": 0}}))
}

async fn identity() -> Answer {
    data(&json!({
        "peer_id": PEER,
        "enr": "",
        "p2p_addresses": [],
        "discovery_addresses": [],
        "metadata": {"seq_number": "1", "attnets": "0x0000000000000000", "syncnets": "0x00"},
    }))
}

async fn spec(State(node): State<Node>) -> Answer {
    data(&node.with(|chain, _| chain.spec_document()))
}

async fn fork_schedule(State(node): State<Node>) -> Answer {
    data(&node.with(|chain, _| chain.fork_schedule()))
}

async fn deposit_contract(State(node): State<Node>) -> Answer {
    data(&node.with(|chain, _| chain.deposit_contract()))
}

async fn genesis(State(node): State<Node>) -> Answer {
    data(&node.with(|chain, _| chain.genesis_document()))
}

/// Topics that nothing is told of are no mistake: clients ask for what other forks have.
async fn events(State(node): State<Node>, parameters: Parameters) -> Response {
    let topics: Vec<String> = parameters.all("topics").map(str::to_owned).collect();
    let receiver = node.shared.events.subscribe();
    let told = stream::unfold((receiver, topics), |(mut receiver, topics)| async move {
        loop {
            match receiver.recv().await {
                Ok(event) if topics.iter().any(|topic| topic == event.topic) => {
                    let sse = Event::default().event(event.topic).data(event.data.to_string());
                    return Some((Ok::<Event, Infallible>(sse), (receiver, topics)));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(told).keep_alive(KeepAlive::default()).into_response()
}
