//! A key ceremony: the machine of dv-dkg, driven over the network.
//!
//! ```text
//!             ┌────────────── one loop ──────────────┐
//! streams ─→  │ Event ─ Ceremony::step ─→ Effects    │ ─→ sends, one task each
//! answers ─→  │                                      │ ─→ jobs, one thread each
//! clock   ─→  │                                      │ ─→ report for the streams of reports
//!             └──────────────────────────────────────┘ ─→ files, all of them or none
//! ```

mod driver;
mod meet;
mod reports;
pub mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_dkg::ceremony::{Failure, Limits, Outcome, Progress};
use coxswain_dv_net::{Multiaddr, RelaySource, Resolve, StartError};
use coxswain_dv_types::cluster::Definition;
use coxswain_dv_types::network::{Network, Networks};
use coxswain_dv_wire::version::{Minor, Version};

pub use driver::run;

/// How long others are told why it failed.
const TELLING: Duration = Duration::from_secs(2);

/// A ceremony as an operator sets it up. The definition was verified.
pub struct Dkg {
    /// What is to be made.
    pub definition: Definition,
    /// Its network.
    pub network: Network,
    /// All networks there are.
    pub networks: Networks,
    /// Who we are.
    pub key: IdentityKey,
    /// The version that we report where nodes of charon do not report another one.
    pub version: Version,
    /// Whether we report theirs then.
    pub adapts: bool,
    /// What our operator calls us.
    pub nickname: String,
    /// How long to wait.
    pub limits: Limits,
    /// How long to serve others after the end.
    pub shutdown_delay: Duration,
    /// Whether the new lock is verified.
    pub verify: bool,
    /// Where peers are found.
    pub relays: Vec<RelaySource>,
    /// How URLs of relays are asked.
    pub resolve: Arc<dyn Resolve>,
    /// Where we listen.
    pub listen: Vec<Multiaddr>,
    /// Where we say that we are, besides.
    pub external: Vec<Multiaddr>,
}

/// Where the outcome goes. Called on threads that may wait.
pub trait Store: Send + Sync {
    /// Writes everything beside its place.
    ///
    /// # Errors
    /// Why not; nothing is in place.
    fn prepare(&self, outcome: &Outcome) -> Result<(), String>;
    /// Puts everything in place.
    ///
    /// # Errors
    /// Why not, and where it is.
    fn commit(&self) -> Result<(), String>;
    /// Keeps what was prepared, for people to decide; where it is then.
    fn keep(&self) -> Option<PathBuf>;
}

/// What people are told meanwhile.
pub enum Told<'a> {
    /// How far it is.
    Progress(&'a Progress),
    /// A relay, or several, are known.
    Relays(usize),
}

/// Why a ceremony came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DkgError {
    /// There can be none with such numbers.
    #[error(transparent)]
    Numbers(#[from] coxswain_dv_dkg::frost::ParameterError),
    /// The key is of no operator.
    #[error("this node's key is of none of the operators of the definition")]
    Stranger,
    /// The definition.
    #[error(transparent)]
    Definition(#[from] coxswain_dv_types::cluster::Refused),
    /// The network.
    #[error(transparent)]
    Network(#[from] StartError),
    /// No relay.
    #[error("no relay answered within {} s", .0.as_secs())]
    NoRelay(Duration),
    /// Nodes that never came.
    #[error("after {} s these nodes are still not there: {}", limit.as_secs(), names(missing))]
    Missing {
        /// How long we waited.
        limit: Duration,
        /// By place.
        missing: Vec<usize>,
    },
    /// Nodes that never came, and no relay that could have brought them.
    #[error(
        "after {} s these nodes are still not there: {}; no relay keeps a place for this node, and it may be that alone",
        limit.as_secs(),
        names(missing)
    )]
    Alone {
        /// How long we waited.
        limit: Duration,
        /// By place.
        missing: Vec<usize>,
    },
    /// Versions that do not go together.
    #[error("nodes of several versions cannot make keys together (this node: {ours}): {}", versions.join(", "))]
    Versions {
        /// Ours.
        ours: Minor,
        /// What every other node is.
        versions: Vec<String>,
    },
    /// The ceremony.
    #[error(transparent)]
    Ceremony(#[from] Failure),
    /// The ceremony, when there is no relay any more.
    #[error("{0}; no relay is connected any more, and it may be that alone")]
    RelayLost(Failure),
    /// Everything was prepared, others may have put theirs in place, and this node does not know.
    #[error("{why}; the keys that this node has prepared are kept in {}", path.display())]
    Unsure {
        /// What went wrong.
        why: Failure,
        /// Where they are.
        path: PathBuf,
    },
    /// It was stopped.
    #[error("stopped by the operator")]
    Stopped,
}

/// How a ceremony ended well.
#[derive(Debug)]
pub struct Finished {
    /// What was stored.
    pub outcome: Outcome,
    /// Somebody did not say goodbye; the files are in place none the less.
    pub parting: Option<Failure>,
}

fn names(places: &[usize]) -> String {
    places.iter().map(|place| format!("node {place}")).collect::<Vec<_>>().join(", ")
}
