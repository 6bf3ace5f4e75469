//! Waiting for the chain: for a beacon node that tells of it, and for one that has read it.

use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_beacon::client::{Backends, Config, Waiting};
use coxswain_dv_eth::beacon::{Answer, Call};

use super::now;

/// Pause between questions to beacon nodes that do not answer yet.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits for a beacon node that tells of its chain, however long that is.
pub(super) async fn wait_for_config(backends: &Backends) -> Arc<Config> {
    loop {
        match backends.config().await {
            Ok(config) => return config,
            Err(error) => tell(Waiting::Answer(error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits for a beacon node that has read the chain, and gives the slot of its head. A store without a history starts by the
/// clock, which may be wrong after a start of the machine: it must not be behind the chain. Before genesis there is nothing to
/// read, and the beacon node must say that, too.
pub(super) async fn wait_for_chain(backends: &Backends, config: &Config) -> u64 {
    let clock = config.chain.clock;
    loop {
        if clock.slot_at(now()).is_none() {
            match backends.call(Call::Syncing).await {
                Ok(Answer::Syncing(syncing)) if syncing.head_slot == 0 => return 0,
                Ok(_) => tracing::error!(
                    "the clock of this machine is before the genesis of a chain that has blocks; waiting until it is set"
                ),
                Err(error) => tell(Waiting::Answer(error)),
            }
        } else {
            let head = backends.wait_until_synced(tell).await;
            let slot = clock.slot_at(now()).unwrap_or_default();
            if head <= slot.saturating_add(AHEAD) {
                return head;
            }
            tracing::error!(
                head,
                slot,
                "the clock of this machine is behind the chain that the beacon nodes have; waiting until it is set"
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Slots by which a chain may be ahead of the clock: that of a beacon node may be ahead a little.
const AHEAD: u64 = 1;

/// What is waited for, once each time it changes.
fn tell(waiting: Waiting) {
    match waiting {
        Waiting::Answer(error) => tracing::warn!(%error, "no beacon node answers yet; waiting"),
        Waiting::Genesis(left) => tracing::info!(seconds = left.as_secs(), "waiting for genesis"),
        Waiting::Synced(syncing) => {
            tracing::info!(
                distance = syncing.sync_distance,
                "waiting for a beacon node that has read the chain"
            );
        }
    }
}
