//! The edges: where reads are answered and acts are done.

pub mod fake;
pub mod local;
pub mod real;
pub mod script;
pub mod shell;
pub mod ssh;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::resource::act::{Act, ActDone};
use crate::resource::answer::Answer;
pub use crate::resource::connection::{Connection, Sudo};
use crate::resource::kind::{Endpoint, HostId, Retry};
use crate::resource::probe::Probe;

/// Why the world could not be asked or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// No connection.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Which host.
        endpoint: String,
        /// What ssh said.
        reason: String,
    },
    /// The host showed another key than expected.
    #[error("{endpoint} shows a host key that is not the expected one: {reason}")]
    HostKey {
        /// Which host.
        endpoint: String,
        /// What ssh said.
        reason: String,
    },
    /// Another machine answers at the address.
    #[error("another machine answers at {endpoint}: its machine id is {found}, expected {expected}")]
    AnotherMachine {
        /// Which host.
        endpoint: String,
        /// What answered.
        found: String,
        /// What the state has.
        expected: String,
    },
    /// Root is needed and not to be had.
    #[error("{endpoint}: sudo does not work: {reason}")]
    Sudo {
        /// Which host.
        endpoint: String,
        /// What sudo said.
        reason: String,
    },
    /// The connection broke while something was being done; it may or may not have happened.
    #[error("the connection to {endpoint} broke: {reason}")]
    Broken {
        /// Which host.
        endpoint: String,
        /// What is known.
        reason: String,
    },
    /// No end within the limit.
    #[error("{endpoint} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// Which host.
        endpoint: String,
        /// The limit.
        limit: Duration,
    },
    /// A precondition did not hold at the moment of the change; nothing was changed.
    #[error("{endpoint}: {path} is not what the plan saw ({found})")]
    Stale {
        /// Which host.
        endpoint: String,
        /// Which path.
        path: String,
        /// What is there.
        found: String,
    },
    /// An act failed.
    #[error("{endpoint}: {what}: {reason}")]
    Failed {
        /// Which host.
        endpoint: String,
        /// What was being done: "write /etc/motd".
        what: String,
        /// What the host said.
        reason: String,
    },
    /// The run may only read.
    #[error("{endpoint}: {what} refused: this run may only read")]
    ReadOnly {
        /// Which host.
        endpoint: String,
        /// What was asked for.
        what: String,
    },
}

impl WorldError {
    /// What may be done after it.
    pub fn retry(&self) -> Retry {
        match self {
            WorldError::Unreachable { .. } => Retry::Safe,
            WorldError::Broken { .. } | WorldError::Timeout { .. } | WorldError::Failed { .. } => {
                Retry::AfterObserving
            }
            WorldError::HostKey { .. }
            | WorldError::AnotherMachine { .. }
            | WorldError::Sudo { .. }
            | WorldError::Stale { .. }
            | WorldError::ReadOnly { .. } => Retry::Never,
        }
    }
}

/// The world, or a test's stand-in for it.
#[async_trait]
pub trait World: Send + Sync {
    /// Tells how a host is to be reached, before anything else is asked of it. Telling again replaces.
    fn introduce(&self, host: &Arc<HostId>, connection: Connection);

    /// Answers all probes in one round trip; the answers are in the order of the probes.
    ///
    /// # Errors
    /// When the endpoint cannot be asked at all; a single probe that fails is `Answer::Unknown`.
    async fn read(&self, at: &Endpoint, probes: &[Probe]) -> Result<Vec<Answer>, WorldError>;

    /// Does all acts in order in one round trip and stops at the first that fails. The result has one entry for
    /// each act done; a program with an exit code that is not in its `ok` list is the last entry, not an `Err`.
    ///
    /// # Errors
    /// When an act other than a program fails, a precondition does not hold, or the connection breaks.
    async fn act(
        &self,
        at: &Endpoint,
        acts: &[Act],
        limit: Duration,
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<Vec<ActDone>, WorldError>;

    /// Says that the way to a host leads through this port from now on, and through no other; `None`: as introduced.
    fn reroute(&self, _at: &Endpoint, _port: Option<u16>) {}

    /// The hosts that were reached and whose way leads through this one.
    fn behind(&self, _at: &Endpoint) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Makes a new connection beside the one there is, and lets it go: whether somebody who comes now gets in.
    ///
    /// # Errors
    /// When nobody gets in.
    async fn knock(&self, at: &Endpoint) -> Result<(), WorldError>;

    /// Drops the connection, so that the next call makes a new one.
    async fn disconnect(&self, at: &Endpoint);

    /// Ends all connections.
    async fn close(&self) {}
}
