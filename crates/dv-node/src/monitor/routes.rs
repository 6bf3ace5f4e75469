//! What a node answers over HTTP to those who look after it.
//!
//! ```text
//! monitoring address   GET /metrics  /livez  /readyz
//! debug address        GET /debug/consensus
//! ```
//!
//! These are routers; whoever serves them limits connections and their time. They answer before there is a monitor, too, which
//! needs the chain's clock: until then no beacon node has answered.

use std::io::{self, Write as _};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Monitor;
use super::ready::State;

/// What Prometheus reads, as charon names it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
/// The name under which browsers keep it.
const ATTACHMENT: &str = "attachment; filename=\"consensus_messages.pb.gz\"";

/// A monitor that there will be.
pub type Soon = Arc<OnceLock<Monitor>>;

/// The answers of the monitoring address.
pub fn monitoring(monitor: Soon) -> Router {
    let metrics = {
        let monitor = monitor.clone();
        move || async move {
            match monitor.get() {
                Some(monitor) => ([(header::CONTENT_TYPE, METRICS)], monitor.text().await).into_response(),
                None => waiting(),
            }
        }
    };
    let readyz = move || async move {
        let state = monitor.get().map_or(State::BeaconDown, Monitor::readiness);
        let status = if state == State::Ready { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        (status, state.text())
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .fallback(missing)
}

/// The answers of the debug address.
pub fn debugging(monitor: Soon) -> Router {
    let consensus = move || async move {
        match monitor.get() {
            Some(monitor) => consensus(monitor.clone()).await,
            None => waiting(),
        }
    };
    Router::new().route("/debug/consensus", get(consensus)).fallback(missing)
}

fn waiting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "no beacon node tells of its chain yet\n").into_response()
}

async fn missing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

/// What the last instances of consensus have seen. It can be large: not on a thread that others wait for.
async fn consensus(monitor: Monitor) -> Response {
    let (debugger, git_hash) = monitor.records();
    let packed = tokio::task::spawn_blocking(move || pack(&debugger.encode(&git_hash))).await;
    match packed {
        Ok(Ok(bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CONTENT_DISPOSITION, ATTACHMENT),
            ];
            (headers, bytes).into_response()
        }
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()
}
