//! What is looked at by the clock: readiness each slot, health every 30 s, beacon nodes every minute, validators each epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_beacon::client::Backends;
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::time::Time;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Monitor;
use super::ready::Facts;

/// How often samples for checks of health are taken, as charon does.
const HEALTH: Duration = Duration::from_secs(30);
/// How often beacon nodes are asked who they are, and for their peers: one of another release may take the place of one.
const BEACONS: Duration = Duration::from_secs(60);
/// Before genesis there are no slots; this often it is looked then.
const BEFORE_GENESIS: Duration = Duration::from_secs(12);

/// Keeps a monitor up to date; it never ends, and dropping it is its end.
pub async fn keep(monitor: Monitor, backends: Backends) {
    tokio::join!(each_slot(&monitor, &backends), health(&monitor));
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

async fn health(monitor: &Monitor) {
    let mut every = interval(HEALTH);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, when there is nothing to see.
    every.tick().await;
    loop {
        every.tick().await;
        monitor.check().await;
    }
}

async fn each_slot(monitor: &Monitor, backends: &Backends) {
    let clock = monitor.inner.settings.clock;
    let mut round = Round::default();
    loop {
        round.look(monitor, backends).await;
        let next = match clock.slot_at(now()) {
            Some(slot) => clock.start_of(slot.saturating_add(1)),
            None => now() + BEFORE_GENESIS,
        };
        sleep_until(Instant::now() + next.since(now())).await;
    }
}

/// What was looked at before.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// When beacon nodes were asked who they are, and for their peers.
    asked_at: Option<Instant>,
    /// Peers of the beacon node that has most.
    beacon_peers: Option<u64>,
    /// The epoch of which validators were read.
    epoch: Option<u64>,
}

impl Round {
    /// Looks at what is due.
    pub(super) async fn look(&mut self, monitor: &Monitor, backends: &Backends) {
        if self.asked_at.is_none_or(|at| at.elapsed() >= BEACONS) {
            self.asked_at = Some(Instant::now());
            let (counts, identities) = tokio::join!(backends.peer_counts(), backends.identities());
            self.beacon_peers = counts.into_iter().filter_map(Result::ok).max();
            monitor.beacon_nodes(&identities.into_iter().filter_map(Result::ok).collect::<Vec<_>>());
        }
        let clock = monitor.inner.settings.clock;
        let epoch = clock.epoch_of(clock.slot_at(now()).unwrap_or_default());
        monitor.look(&facts(monitor, backends, epoch, self.beacon_peers).await);
        if self.epoch != Some(epoch) && read_validators(monitor, backends).await {
            self.epoch = Some(epoch);
        }
    }
}

async fn facts(monitor: &Monitor, backends: &Backends, epoch: u64, beacon_peers: Option<u64>) -> Facts {
    let syncing = match backends.call(Call::Syncing).await {
        Ok(Answer::Syncing(syncing)) => Ok(syncing),
        Ok(_) => Err("the answer is of another question".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let (peers, requests) = match monitor.inner.sources.get() {
        Some(sources) => {
            let overview = (sources.network)().await;
            let connected = overview.network.peers.values().filter(|peer| peer.direct + peer.relayed > 0);
            (connected.count(), (sources.api)().requests.values().sum())
        }
        None => (0, 0),
    };
    let (is_clock_new, has_begun) = (monitor.is_clock_new(now()), monitor.has_begun());
    Facts { syncing, beacon_peers, peers, epoch, requests, is_clock_new, has_begun }
}

/// Whether the chain told how validators are.
async fn read_validators(monitor: &Monitor, backends: &Backends) -> bool {
    let keys = monitor.inner.settings.validators.clone();
    match backends.call(Call::Validators { state: "head".to_owned(), keys }).await {
        Ok(Answer::Validators(validators)) => {
            monitor.validators(&validators);
            true
        }
        Ok(_) | Err(_) => false,
    }
}
