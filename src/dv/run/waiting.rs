//! Waiting for the chain: for a beacon node that has read it.

use std::time::{Duration, Instant};

use coxswain_dv_beacon::client::{Backends, Config, Waiting};
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::time::Time;

use super::now;

/// Pause between questions to beacon nodes that do not answer yet.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Waits for a beacon node that has read the chain, and gives the slot of its head. A store without a history starts by the
/// clock, which may be wrong after a start of the machine: it must not be behind the chain. Before genesis there is nothing to
/// read, and the beacon node must say that, too.
pub(super) async fn wait_for_chain(backends: &Backends, config: &Config) -> u64 {
    let clock = config.chain.clock;
    let mut told = Told::default();
    loop {
        if clock.slot_at(now()).is_none() {
            match backends.call(Call::Syncing).await {
                Ok(Answer::Syncing(syncing)) if syncing.head_slot == 0 => return 0,
                Ok(_) if told.is_due("genesis") => tracing::error!(
                    "the clock of this machine is before the genesis of a chain that has blocks; waiting until it is set"
                ),
                Ok(_) => {}
                Err(error) => told.tell(&Waiting::Answer(error)),
            }
        } else {
            let head = backends.wait_until_synced(|waiting| told.tell(&waiting)).await;
            let slot = clock.slot_at(now()).unwrap_or_default();
            if head <= slot.saturating_add(AHEAD) {
                return head;
            }
            if told.is_due("clock") {
                tracing::error!(
                    head,
                    slot,
                    "the clock of this machine is behind the chain that the beacon nodes have; waiting until it is set"
                );
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// By how much the clock may differ from what went by, until it counts as set: as for a machine that runs.
const CLOCK_SET: Duration = Duration::from_millis(500);

/// When a node took its key, by the clock as it is now: as it was then, unless that clock was set since or it is long ago.
pub(super) fn boot_of((boot, passed): (Time, Duration), now: Time, slot: Duration) -> Time {
    let expected = boot + passed;
    let is_set = now.since(expected).max(expected.since(now)) > CLOCK_SET;
    if is_set || passed > slot { now } else { boot }
}

/// Slots by which a chain may be ahead of the clock: that of a beacon node may be ahead a little.
const AHEAD: u64 = 1;
/// How often the same is said again.
const REMINDER: Duration = Duration::from_secs(60);

/// Says what is waited for: once each time it changes, and once a minute.
#[derive(Default)]
pub(super) struct Told(Option<(String, Instant)>);

impl Told {
    /// Whether it is time to say this.
    pub(super) fn is_due(&mut self, what: &str) -> bool {
        let now = Instant::now();
        let is_old = |(said, at): &(String, Instant)| said == what && now.duration_since(*at) < REMINDER;
        if self.0.as_ref().is_some_and(is_old) {
            return false;
        }
        self.0 = Some((what.to_owned(), now));
        true
    }

    pub(super) fn tell(&mut self, waiting: &Waiting) {
        let what = match waiting {
            Waiting::Answer(error) => error.to_string(),
            Waiting::Genesis(_) => "genesis".to_owned(),
            Waiting::Synced(_) => "sync".to_owned(),
        };
        if !self.is_due(&what) {
            return;
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is watched that began after the key was taken, and all that began before is, whatever the clock said then.
    #[test]
    fn a_clock_that_was_set_while_a_node_waited_counts() {
        let (slot, second) = (Duration::from_secs(12), Duration::from_secs(1));
        let boot = Time::from_secs(1000);
        for (passed, now, expected) in [
            (second, 1001, 1000),
            (slot, 1012, 1000),
            (slot + second, 1013, 1013),
            // Set forward, and back.
            (second, 4600, 4600),
            (second, 400, 400),
        ] {
            let found = boot_of((boot, passed), Time::from_secs(now), slot);
            assert_eq!(found, Time::from_secs(expected), "{passed:?}, then it is {now}");
        }
        let nearly = Time(Duration::from_millis(1_001_400));
        assert_eq!(boot_of((boot, second), nearly, slot), boot, "clocks are adjusted");
    }

    #[test]
    fn what_is_waited_for_is_said_once() {
        let mut told = Told::default();
        assert!(told.is_due("one") && !told.is_due("one"));
        assert!(told.is_due("another") && told.is_due("one"), "it changed");
        told.0 =
            told.0.map(|(what, at)| (what, at.checked_sub(REMINDER).expect("the machine runs for longer")));
        assert!(told.is_due("one") && !told.is_due("one"));
    }
}
