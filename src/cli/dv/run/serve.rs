//! The node while it runs: until it is told to end, or the key is lost.

use std::time::{Duration, Instant};

use coxswain_dv_node::monitor::routes;
use coxswain_dv_slashing::lease::{Lease, LeaseError};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::keylock::{FRESH, REFRESH};

use super::super::super::error::CliError;
use super::super::serving::open;
use crate::dv::run::{self, Run, RunError, Running};
use crate::dv::serve::Limits;

/// Where others look at the node.
pub(super) struct Looked {
    pub(super) monitoring: String,
    pub(super) debug: String,
}

/// Those who look at a node: Prometheus, load balancers, people.
const LOOKERS: Limits = Limits { connections: 64, lasts: Duration::from_secs(60) };

pub(super) async fn serve(
    run: Run,
    looked: Looked,
    mut lease: Lease,
    stopped: impl Future<Output = ()>,
) -> Result<(), CliError> {
    tokio::pin!(stopped);
    let starting = run::start(run);
    tokio::pin!(starting);
    // The key is this node's from now on, however long it waits for beacon nodes.
    let mut running = loop {
        tokio::select! {
            running = &mut starting => match running {
                Ok(running) => break running,
                Err(error) => {
                    free(lease);
                    return Err(explained(error));
                }
            },
            () = &mut stopped => {
                free(lease);
                return Ok(());
            }
            () = tokio::time::sleep(REFRESH) => renew(&mut lease)?,
        }
    };
    let ended = attend(&mut running, &looked, &mut lease, stopped).await;
    // Nothing is signed from here on, whoever still asks; only then is the key given back.
    running.stop().await;
    free(lease);
    ended
}

/// Serves those who look at the node and keeps its key, until it is told to end or cannot go on.
async fn attend(
    running: &mut Running,
    looked: &Looked,
    lease: &mut Lease,
    mut stopped: impl Future<Output = ()> + Unpin,
) -> Result<(), CliError> {
    let monitor = running.monitor.clone();
    let monitoring = routes::monitoring(monitor.clone());
    let monitoring = open("monitoring-address", &looked.monitoring, monitoring, LOOKERS).await?;
    let debugging = open("debug-address", &looked.debug, routes::debugging(monitor), LOOKERS).await?;
    tracing::info!(validator_api = %running.server.address(), "the node runs");
    let mut renewed = Instant::now();
    let ended = loop {
        tokio::select! {
            () = &mut stopped => {
                tracing::info!("the node ends: it was told to");
                break Ok(());
            }
            () = running.ended() => {
                let why = "its machine has ended by itself";
                break Err(CliError::other("running the node", why, "start it again, and report this with the log"));
            }
            () = tokio::time::sleep(REFRESH) => match renew(lease) {
                Ok(()) => renewed = Instant::now(),
                // Others take the key for free after a while: whatever the reason is, nothing is signed then.
                Err(error) if error.is_final || renewed.elapsed() >= FRESH => break Err(error.into()),
                Err(_) => {}
            },
        }
    };
    running.handle.stop();
    for server in [monitoring, debugging].into_iter().flatten() {
        server.stop().await;
    }
    ended
}

/// Why a claim was not renewed.
struct NotRenewed {
    error: LeaseError,
    /// Whether somebody else has the key.
    is_final: bool,
}

impl From<NotRenewed> for CliError {
    fn from(not: NotRenewed) -> CliError {
        refused_key(&not.error)
    }
}

fn renew(lease: &mut Lease) -> Result<(), NotRenewed> {
    lease.renew(jiff::Timestamp::now()).map_err(|error| {
        tracing::warn!(error = in_full(&error), "the claim to the key was not renewed");
        let is_final = matches!(error, LeaseError::Lost { .. });
        NotRenewed { error, is_final }
    })
}

fn free(lease: Lease) {
    if let Err(error) = lease.free() {
        tracing::warn!(%error, "the key was not given back");
    }
}

/// How long to wait for a key: commands that look at what was signed have it for a moment.
pub(super) fn wait_of(error: &LeaseError) -> Option<Duration> {
    match error {
        LeaseError::Held { .. } => Some(Duration::from_millis(500)),
        other => other.wait(),
    }
}

pub(super) fn refused_key(error: &LeaseError) -> CliError {
    CliError::other("taking the node's key", in_full(error), error.next())
}

fn explained(error: RunError) -> CliError {
    let next = match &error {
        RunError::Lock { .. } | RunError::Operators(_) | RunError::Key(_) => {
            "bring the lock back from your backup, or from another operator"
        }
        RunError::Stranger => "name the key of this node with --private-key-file: its record is in the lock",
        RunError::Cluster(_) => {
            "a cluster like this is not safe; --allow-low-threshold takes a low threshold as it is, for tests"
        }
        RunError::Chain { .. } => "name beacon nodes of the cluster's network",
        RunError::Store(error) => error.next(),
        RunError::Network(_) => "check --p2p-tcp-address, and whether another program listens there",
        RunError::Server(_) => "check --validator-api-address, and whether another program listens there",
        RunError::Traces(_) => "check --otlp-address and --otlp-headers, or leave --otlp-address away",
        RunError::Thread(_) => "check the limits of this process",
    };
    CliError::other("starting the node", in_full(&error), next)
}
