//! What commands share that serve until they are told to stop.

use std::net::SocketAddr;

use axum::Router;
use rustix::process::{Resource, getrlimit, setrlimit};
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

/// Files and connections that this process has open beside those that it is asked for.
const OTHERS: u64 = 64;

/// Raises the limit of open files as far as this user may, and says where that is too low for so many connections.
pub(super) fn raise_open_files(connections: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, the old one holds, and is compared.
    let _ = setrlimit(Resource::Nofile, limit);
    let needed = connections.saturating_add(OTHERS);
    if let Some(current) = getrlimit(Resource::Nofile).current.filter(|current| *current < needed) {
        tracing::warn!(
            limit = current,
            needed,
            "fewer files may be open than there may be connections: raise the limit (LimitNOFILE of systemd)"
        );
    }
}
