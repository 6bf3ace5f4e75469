//! `/simnet/report` and `/simnet/fault`. Faults do not reach these.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;

use super::Node;
use super::reply::{self, Answer, Parameters, document};
use crate::chain::Fault;

pub(super) fn routes() -> Router<Node> {
    Router::new().route("/simnet/report", get(report)).route("/simnet/fault", get(faults).post(fault))
}

/// What happened: `?from=` and `?to=` are slots.
async fn report(State(node): State<Node>, parameters: Parameters) -> Answer {
    let (from, to) = (parameters.one("from")?, parameters.one("to")?);
    document(&node.with(|chain, asked| chain.report(asked, from, to)))
}

/// The faults that hold.
async fn faults(State(node): State<Node>) -> Answer {
    document(&node.with(|chain, _| chain.faults().to_vec()))
}

/// One more.
async fn fault(State(node): State<Node>, body: Bytes) -> Answer {
    let fault: Fault = reply::read(&body)?;
    node.with(|chain, asked| chain.fault(asked, fault))?;
    reply::done()
}
