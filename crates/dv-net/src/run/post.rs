//! The post of one peer: a task that takes letters out of its [`Outbox`] and sends each on a stream of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain_dv_wire::protocol::{PARSIGEX, QBFT};
use libp2p::PeerId;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::figures::{Sends, Turn};
use super::outbox::{After, Flight, Flown, Lane, Letter, MAX_FLYING, Outbox, Posted};
use super::{Shared, lock, spoken};
use crate::host::{Network, SendError};
use crate::protocol::Protocol;
use crate::streams::OpenError;

/// The longest sleep without anything due.
const LONG: Duration = Duration::from_secs(3600);

/// The box of a peer.
pub(super) struct Slot {
    started: Instant,
    outbox: Mutex<Outbox>,
    sends: Mutex<Sends>,
    wake: Notify,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            outbox: Mutex::new(Outbox::default()),
            sends: Mutex::new(Sends::default()),
            wake: Notify::new(),
        }
    }
}

impl Slot {
    pub(super) fn post(&self, letter: Letter) {
        let posted = lock(&self.outbox).post(self.started.elapsed(), letter);
        match posted {
            Posted::Waits => {}
            Posted::Twice => lock(&self.sends).twice += 1,
            Posted::Displaced(count) => lock(&self.sends).displaced += count as u64,
        }
        self.wake.notify_one();
    }

    pub(super) fn figures(&self) -> Sends {
        let (waiting, flying) = lock(&self.outbox).counts();
        let mut sends = lock(&self.sends).clone();
        (sends.waiting, sends.flying) = (waiting, flying);
        sends
    }

    /// Letters that fly now, at most so many, and when to look again.
    fn ready(&self, at_most: usize) -> (Vec<(Flight, Letter)>, Instant) {
        let now = self.started.elapsed();
        let mut outbox = lock(&self.outbox);
        let expired = outbox.expire(now);
        let mut ready = Vec::new();
        while ready.len() < at_most
            && let Some(next) = outbox.next(now)
        {
            ready.push(next);
        }
        let due = outbox.due(now).unwrap_or(now + LONG);
        drop(outbox);
        lock(&self.sends).expired += expired as u64;
        (ready, self.started + due)
    }

    fn landed(&self, peer: PeerId, landed: Landed) {
        let Landed { flight, letter, how, took } = landed;
        let after = lock(&self.outbox).done(self.started.elapsed(), flight, how);
        let mut sends = lock(&self.sends);
        let kind = sends.kinds.entry((protocol_of(letter.lane).id, letter.topic)).or_default();
        kind.tried(took);
        match (after, how) {
            (After::Again, _) => {
                kind.again += 1;
                return;
            }
            (After::Over, Flown::Sent) => {
                kind.sent += 1;
                kind.bytes += letter.bytes.len() as u64;
            }
            (After::Over, _) => kind.failed += 1,
        }
        match sends.over(how) {
            Turn::Same => {}
            Turn::Failing => tracing::warn!(%peer, topic = letter.topic, "a peer does not take messages"),
            Turn::Well => tracing::info!(%peer, "a peer takes messages again"),
        }
    }
}

/// A try that has ended.
struct Landed {
    flight: Flight,
    letter: Letter,
    how: Flown,
    took: Duration,
}

fn protocol_of(lane: Lane) -> Protocol {
    match lane {
        Lane::Qbft => spoken(&QBFT),
        Lane::Parsigex(_) => spoken(&PARSIGEX),
    }
}

async fn fly(network: Network, peer: PeerId, flight: Flight, letter: Letter) -> Landed {
    let began = Instant::now();
    let result = network.deliver(peer, &protocol_of(letter.lane), &letter.bytes).await;
    if let Err(error) = &result {
        tracing::debug!(%peer, topic = letter.topic, %error, source = ?std::error::Error::source(error), "a message was not sent");
    }
    let how = match result {
        Ok(()) => Flown::Sent,
        Err(SendError::Open(OpenError::NotConnected(_))) => Flown::Grounded,
        Err(error) if error.is_broken() => Flown::Broken,
        Err(_) => Flown::Lost,
    };
    Landed { flight, letter, how, took: began.elapsed() }
}

/// Sends what is in the box of a peer, until the host ends.
pub(super) async fn run(shared: Arc<Shared>, peer: PeerId) {
    let Some(slot) = shared.boxes.get(&peer) else { return };
    let mut status = shared.network.status();
    let mut flights = JoinSet::new();
    loop {
        let is_connected = status.borrow_and_update().connected.contains_key(&peer);
        // Without a connection, letters wait for one as long as they are worth it.
        let (ready, due) = slot.ready(if is_connected { MAX_FLYING } else { 0 });
        for (flight, letter) in ready {
            flights.spawn(fly(shared.network.clone(), peer, flight, letter));
        }
        tokio::select! {
            () = slot.wake.notified() => {}
            Some(landed) = flights.join_next() => if let Ok(landed) = landed {
                slot.landed(peer, landed);
            },
            changed = status.changed() => if changed.is_err() {
                return;
            },
            () = sleep_until(due) => {}
        }
    }
}
