//! What commands share that serve until they are told to stop.

use std::net::SocketAddr;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use super::super::error::CliError;
use super::p2p;
use crate::dv::serve::{self, Limits, Server};

/// Starts a server where an address is given.
pub(super) async fn open(
    flag: &str,
    address: &str,
    router: Router,
    limits: Limits,
) -> Result<Option<Server>, CliError> {
    if address.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = p2p::socket(flag, address).await?;
    serve::start(address, router, limits).await.map(Some).map_err(|error| {
        CliError::other(
            format!("listening on {address}"),
            error,
            format!("choose another --{flag}, or end what listens there"),
        )
    })
}

/// Waits for SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    let failed = |error| CliError::other("waiting for signals", error, "check the limits of this process");
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
