//! A relay: a host without a gate, through which nodes that cannot reach each other meet.
//!
//! ```text
//! swarm: relay server (libp2p) · identify · ping · limits · streams (asks everyone for peerinfo)
//!   └ one task ─→ Addresses (what it tells others of itself)
//!               └ Seen, when asked (who is there, of which cluster, how much went through)
//! ```
//!
//! Limits are those of charon's relay, with these differences: a circuit carries 64 MiB in both directions together
//! (charon: 32 MiB in each), because the library counts so; circuits are counted for the peer that asks for one more, not
//! for the other one; there is no limit by autonomous system; renewals of reservations count against the limit of all. A
//! connection on which four pings are lost is closed.
//!
//! # What must never happen
//!
//! - One host takes all places: there is a limit for each IP address and each peer.
//! - What passes through is looked at: it is encrypted between the ends, and only counted here.

mod driver;
mod places;
mod rows;
mod traffic;

use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use futures::channel::oneshot;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, watch};

pub use rows::{Row, Seen};

pub use crate::latency::{Latency, PING_BUCKETS};

use crate::host::StartError;

/// Data that a circuit carries, both directions together: charon's 32 MiB for each.
const CIRCUIT_BYTES: u64 = 64 << 20;
/// How long a circuit lasts.
const CIRCUIT_LASTS: Duration = Duration::from_secs(3600);
/// How long a reservation lasts.
const RESERVATION_LASTS: Duration = Duration::from_secs(3600);
/// Commands that wait for the task.
const COMMANDS: usize = 64;

/// What a relay is.
pub struct Settings {
    /// Who it is.
    pub key: IdentityKey,
    /// How it calls itself.
    pub agent: String,
    /// Where it listens.
    pub listen: Vec<Multiaddr>,
    /// Where it says it is, whatever it finds itself.
    pub external: Vec<Multiaddr>,
    /// Whether it tells of addresses that only neighbours can reach.
    pub private: Private,
    /// Connections, and reservations, in all.
    pub max_connections: u32,
    /// Reservations of one IP address, and circuits of one peer.
    pub max_reservations: usize,
}

/// What to do with private addresses that the relay finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Private {
    /// Tell everyone.
    Tell,
    /// Tell nobody, except in reservations where there are no others: some clients need one.
    Leave,
}

/// A running relay.
#[derive(Debug, Clone)]
pub struct Relay {
    me: PeerId,
    addresses: watch::Receiver<Vec<Multiaddr>>,
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Seen(oneshot::Sender<Seen>),
    Stop(oneshot::Sender<()>),
}

/// Starts a relay. Its task ends with [`Relay::stop`], or when all handles are gone.
///
/// # Errors
/// [`StartError`].
pub fn start(settings: Settings) -> Result<Relay, StartError> {
    let (commands, to_do) = mpsc::channel(COMMANDS);
    let (told, addresses) = watch::channel(Vec::new());
    let driver = driver::Driver::new(settings, to_do, told)?;
    let me = driver.me();
    tokio::spawn(driver.run());
    Ok(Relay { me, addresses, commands })
}

impl Relay {
    /// Who it is.
    #[must_use]
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// Where it tells others it is, without its id; empty as long as there is nothing to tell.
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.addresses.borrow().clone()
    }

    /// Who is connected; nobody where the relay has ended.
    pub async fn seen(&self) -> Seen {
        let (reply, answer) = oneshot::channel();
        match self.commands.send(Command::Seen(reply)).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Seen::default(),
        }
    }

    /// Ends all connections and the task.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Stop(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
