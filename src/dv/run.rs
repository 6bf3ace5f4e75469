//! A node of a distributed validator that runs: its parts are put together, and end together.
//!
//! ```text
//! lock, key ─→ beacon nodes (config) ─prepare→ network, monitor, validator API (passes on)
//!                                 └─ wait: a chain that was read ─start→ store of what was signed, machine ─→ Running
//! ```
//!
//! Before genesis, and while no beacon node answers or has read the chain, it waits: peers and those who look at the node see
//! it meanwhile, and its validator client gets what beacon nodes answer. Nothing is signed before the store is open, and the
//! store is open as long as anything runs that could sign.

mod chains;
mod machine;
mod soon;
mod store;
mod traces;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use coxswain_dv_beacon::client::{Backends, Config, News};
use coxswain_dv_beacon::server;
use coxswain_dv_cluster::Registrar;
use coxswain_dv_core::{Builder, Cluster, ClusterError, Majority, Node, Synthetic};
use coxswain_dv_crypto::bls::BlsError;
use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::protect::Signer;
use coxswain_dv_eth::time::Time;
use coxswain_dv_net::{Multiaddr, PeerId, RelaySource, Resolve, peer_id};
use coxswain_dv_node::monitor::{About, Counts, Monitor, Named, Settings as MonitorSettings, Sources, keep};
use coxswain_dv_node::trace::{self, Exporting};
use coxswain_dv_node::{Handle, Keeper, Parts, Watch, Wires, bring};
use coxswain_dv_slashing::store::{KeyPair, StoreError};
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::ForkVersion;
use coxswain_dv_wire::peerinfo::{DV_CLIENT, PeerInfo};
use coxswain_dv_wire::version::Version;
use coxswain_dv_wire::well_known::Timestamp;

use super::features::FeatureSet;
use super::registrations::{self, Updates};
use chains::{keep_to_chain, wait_for_config};
use soon::Soon;
use store::open_store;
use waiting::{boot_of, wait_for_chain};

pub use traces::Traces;

/// The directory of what this program keeps beside charon's files.
pub const DIRECTORY: &str = "coxswain";

/// From when on keys without a history sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After the next full epoch: what another program signed until now is not contradicted.
    AfterAnEpoch,
    /// At once: the operator says that they have signed nothing.
    Now,
}

/// A node as an operator sets it up. The lock was verified.
pub struct Run {
    /// The cluster.
    pub lock: Lock,
    /// The key of this node.
    pub key: IdentityKey,
    /// Where the store of what was signed is.
    pub store: PathBuf,
    /// From when on keys without a history sign.
    pub start: Start,
    /// Whether a threshold of half of the nodes or less is taken.
    pub majority: Majority,
    /// Beacon nodes.
    pub backends: Backends,
    /// The validator API.
    pub server: server::Settings,
    /// Whether blocks of builders are taken.
    pub builder: Builder,
    /// What operators turned on and off.
    pub features: FeatureSet,
    /// Whether there are proposals that are made up.
    pub synthetic: Synthetic,
    /// Where registrations come from that are newer than the lock's.
    pub newer: registrations::Sources,
    /// The version that exits are bound to, where it is not only the beacon nodes that know it.
    pub capella: Option<ForkVersion>,
    /// What proposers say: one for all, or one for each validator.
    pub graffiti: Vec<Bytes32>,
    /// The version that is reported.
    pub version: Version,
    /// What our operator calls us.
    pub nickname: String,
    /// What the network is called.
    pub network_name: String,
    /// What counts the lines of the log.
    pub counts: Counts,
    /// Lines of the log that servers of Loki did not get.
    pub lost_lines: Arc<AtomicU64>,
    /// Where traces go, where they are wanted.
    pub traces: Option<Traces>,
    /// Where peers are found.
    pub relays: Vec<RelaySource>,
    /// How URLs of relays are asked.
    pub resolve: Arc<dyn Resolve>,
    /// Where we listen.
    pub listen: Vec<Multiaddr>,
    /// Where we say that we are, besides.
    pub external: Vec<Multiaddr>,
}

/// What the logs, figures and traces call a node; the first is 0.
#[must_use]
pub fn node_name(place: usize) -> String {
    format!("node-{place}")
}

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The lock.
    #[error("the cluster lock has no usable {what}")]
    Lock {
        /// Which part.
        what: &'static str,
    },
    /// A record of an operator.
    #[error("reading the operators of the cluster lock")]
    Operators(#[source] coxswain_dv_types::cluster::Refused),
    /// A key of the lock.
    #[error("reading a public key of the cluster lock")]
    Key(#[from] BlsError),
    /// The key is of no operator.
    #[error("this node's key is of none of the operators of the cluster lock")]
    Stranger,
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No beacon node is of the cluster's network.
    #[error("the cluster is of the network {expected}, and of the beacon nodes {found}")]
    Network {
        /// The lock's.
        expected: String,
        /// Each with its own.
        found: String,
    },
    /// There are two chains of one network.
    #[error("two beacon nodes have different chains of this network: {one}, and {other}")]
    Chains {
        /// One, and its chain.
        one: String,
        /// Another one.
        other: String,
    },
    /// The store.
    #[error("opening the store of what was signed")]
    Store(#[from] StoreError),
    /// The connections to peers.
    #[error(transparent)]
    Peers(#[from] coxswain_dv_net::StartError),
    /// The validator API.
    #[error(transparent)]
    Server(#[from] server::StartError),
    /// Traces.
    #[error(transparent)]
    Traces(#[from] trace::StartError),
    /// A thread.
    #[error("starting a thread")]
    Thread(#[source] std::io::Error),
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// What runs beside the machine.
struct Around {
    server: server::Server,
    network: coxswain_dv_net::run::Node,
    monitor: Monitor,
    exporting: Option<Exporting>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Around {
    async fn stop(self) {
        self.server.stop().await;
        for task in self.tasks {
            task.abort();
        }
        let last_traces = async {
            if let Some(exporting) = self.exporting {
                exporting.end().await;
            }
        };
        tokio::join!(self.network.stop(), last_traces);
    }
}

/// What a node has while it waits for its chain.
pub struct Prepared {
    run: Run,
    config: Arc<Config>,
    parts: machine::Parts,
    pairs: Vec<KeyPair>,
    updates: Updates,
    peers: Vec<PeerId>,
    me: usize,
    /// When it took the key, or a little later: [`machine::Parts::boot`] by the clock.
    since: Instant,
    inbox: coxswain_dv_net::run::Inbox,
    watch: Box<dyn Watch>,
    soon: Arc<Soon>,
    around: Around,
}

/// What a node has while it runs.
pub struct Running {
    /// The way to the machine.
    pub handle: Handle,
    driver: tokio::task::JoinHandle<()>,
    around: Around,
}

impl Running {
    /// Ends when the machine does, which it does not by itself.
    pub async fn ended(&mut self) {
        // A panic of the machine ends the node, too.
        let _ = (&mut self.driver).await;
    }

    /// Ends everything: the machine and its store first, so that nothing is signed any more.
    pub async fn stop(self) {
        self.handle.stop();
        if !self.driver.is_finished() {
            let _ = self.driver.await;
        }
        self.around.stop().await;
    }
}

/// A node whose cluster, and whose place in it, are as they should be.
pub struct Checked {
    run: Run,
    cluster: Cluster,
    nodes: Vec<IdentityPublic>,
    me: usize,
    pairs: Vec<KeyPair>,
}

/// Looks at the cluster. Nothing is started or written yet.
///
/// # Errors
/// [`RunError`].
pub fn check(run: Run) -> Result<Checked, RunError> {
    let records = run.lock.definition.nodes().map_err(RunError::Operators)?;
    let nodes: Vec<IdentityPublic> = records.iter().map(|record| *record.public()).collect();
    let me = nodes.iter().position(|node| *node == run.key.public()).ok_or(RunError::Stranger)?;
    let validators = machine::validators(&run.lock)?;
    let keys: Vec<Bytes48> = validators.iter().map(|validator| validator.key).collect();
    let threshold = usize::try_from(run.lock.definition.threshold).unwrap_or(usize::MAX);
    let cluster = Cluster::new(nodes.len(), threshold, me, validators, run.majority)?;
    let pairs = keys.iter().filter_map(|key| Some(KeyPair { group: *key, share: cluster.my_share_of(key)? }));
    Ok(Checked { pairs: pairs.collect(), run, cluster, nodes, me })
}

/// Starts all of a node but its machine, once a beacon node tells of its chain.
///
/// # Errors
/// [`RunError`].
pub async fn prepare(checked: Checked) -> Result<Prepared, RunError> {
    let Checked { run, cluster, nodes, me, pairs } = checked;
    let fork_version = (*run.lock.definition.fork_version).try_into().unwrap_or_default();
    let (config, asked) = wait_for_config(&run.backends, Bytes(fork_version)).await?;
    let chain = machine::chain(run.capella, &config.chain);
    let (boot, since) = (now(), Instant::now());
    let updates = updates(&run).await?;
    let peers: Vec<PeerId> = nodes.iter().map(peer_id).collect();
    let monitor = watch(&run, &config, (&peers, me), boot);
    monitor.takes_builders(run.builder);
    let (watch, exporting) = traces::watched(&run, me, config.chain.clock, &monitor)?;
    let (network, inbox) = coxswain_dv_net::run::start(network(&run, &peers))?;
    let soon = Arc::new(Soon::default());
    let server = match server::start(run.server.clone(), soon.clone(), run.backends.clone()).await {
        Ok(server) => server,
        Err(error) => {
            network.stop().await;
            return Err(error.into());
        }
    };
    connect(&monitor, &network, run.backends.clone(), &server);
    let tasks = vec![
        tokio::spawn(keep(monitor.clone(), run.backends.clone())),
        tokio::spawn(keep_to_chain(run.backends.clone(), config.genesis, asked)),
    ];
    let parts = machine::Parts { cluster, chain, peers: nodes, boot };
    let around = Around { server, network, monitor, exporting, tasks };
    Ok(Prepared { run, config, parts, pairs, updates, peers, me, since, inbox, watch, soon, around })
}

impl Prepared {
    /// Who watches it.
    pub fn monitor(&self) -> Monitor {
        self.around.monitor.clone()
    }

    /// Waits until a beacon node has read the chain, however long that is. Gives the slot of its head.
    pub async fn wait(&self) -> u64 {
        wait_for_chain(&self.run.backends, &self.config).await
    }

    /// Starts the machine; `head` is what [`Prepared::wait`] gave.
    ///
    /// # Errors
    /// [`RunError`]; nothing runs any more then.
    pub async fn start(self, head: u64) -> Result<Running, RunError> {
        let Prepared { run, config, parts, pairs, updates, peers, me, since, inbox, watch, soon, mut around } =
            self;
        let (path, of_chain, begin) = (run.store.clone(), config.clone(), (run.start, head));
        // It reads the whole file, which may take a while, and others go on meanwhile.
        let opened = tokio::task::spawn_blocking(move || open_store(&path, &of_chain, pairs, begin)).await;
        // What began before is only watched: another process with this key may have spoken until it was taken.
        let clock = config.chain.clock;
        let boot = boot_of((parts.boot, since.elapsed()), now(), clock.slot);
        let machine = || -> Result<_, RunError> {
            let store = opened.map_err(|error| RunError::Thread(std::io::Error::other(error)))??;
            let newest = store.newest(Signer::Share)?;
            let parts = machine::Parts { boot, ..parts };
            let mut node = Node::new(machine::settings(&run, parts, updates.registered()));
            node.observe_after(&newest);
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            coxswain_dv_node::start(Parts {
                node,
                beacon: Arc::new(run.backends.clone()),
                judge: Box::new(Keeper::new(store)),
                peers: Arc::new(Wires::new(around.network.clone(), peers.clone(), clock)),
                watch,
                threads,
            })
            .map_err(RunError::Thread)
        };
        let (handle, driver) = match machine() {
            Ok(started) => started,
            Err(error) => {
                around.stop().await;
                return Err(error);
            }
        };
        around.tasks.extend([
            tokio::spawn(bring(inbox, peers, handle.clone())),
            tokio::spawn(listen_to_chain(run.backends.clone(), handle.clone(), around.monitor.clone())),
            tokio::spawn(registrations::keep(updates, handle.clone())),
        ]);
        soon.begin(handle.clone());
        around.monitor.begins(clock.slot_at(now()).map_or(0, |slot| slot + UNJUDGED));
        tracing::info!(
            version = %run.version,
            cluster = run.lock.definition.name,
            node = node_name(me),
            validators = run.lock.validators.len(),
            listens = run.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            validator_api = %around.server.address(),
            "the node runs"
        );
        Ok(Running { handle, driver, around })
    }

    /// Ends everything.
    pub async fn stop(self) {
        self.around.stop().await;
    }
}

/// Newer registrations, as they are at the start: signatures are checked, which takes a processor.
async fn updates(run: &Run) -> Result<Updates, RunError> {
    let mut updates = Updates::new(Registrar::of(&run.lock)?, run.newer.clone());
    let read = tokio::task::spawn_blocking(move || {
        updates.look();
        updates
    });
    read.await.map_err(|error| RunError::Thread(std::io::Error::other(error)))
}

/// Who watches the node.
fn watch(run: &Run, config: &Config, (peers, me): (&[PeerId], usize), boot: Time) -> Monitor {
    let clock = config.chain.clock;
    let hash = hex::encode(&*run.lock.lock_hash);
    let named = |(place, id): (usize, &PeerId)| Named { name: node_name(place), id: *id };
    let keys = run.lock.validators.iter();
    Monitor::new(MonitorSettings {
        about: About {
            version: run.version.to_string(),
            git_hash: "unknown".to_owned(),
            cluster_hash: hash.chars().take(7).collect(),
            cluster_name: run.lock.definition.name.clone(),
            network: run.network_name.clone(),
            nickname: run.nickname.clone(),
            features: run.features.named.clone(),
            started_at: boot,
        },
        clock,
        timers: run.features.of_machine(run.synthetic).timers,
        nodes: peers.iter().enumerate().map(named).collect(),
        me,
        threshold: usize::try_from(run.lock.definition.threshold).unwrap_or(usize::MAX),
        validators: keys.filter_map(|one| Some(Bytes((*one.public_key).try_into().ok()?))).collect(),
        beacons: run.backends.addresses().iter().map(ToString::to_string).collect(),
        judge_from: clock.slot_at(boot).map_or(0, |slot| slot + UNJUDGED),
        counts: run.counts.clone(),
        lost_lines: Arc::clone(&run.lost_lines),
    })
}

/// Slots after the start whose duties are not judged: peers are not connected yet.
const UNJUDGED: u64 = 2;

fn connect(
    monitor: &Monitor,
    network: &coxswain_dv_net::run::Node,
    backends: Backends,
    server: &server::Server,
) {
    let (network, metrics) = (network.clone(), server.measured());
    monitor.connect(Sources {
        network: Box::new(move || {
            let network = network.clone();
            Box::pin(async move { network.overview().await })
        }),
        beacon: Box::new(move || backends.metrics()),
        api: Box::new(metrics),
    });
}

fn network(run: &Run, peers: &[PeerId]) -> coxswain_dv_net::run::Settings {
    let host = coxswain_dv_net::Settings {
        key: run.key.clone(),
        agent: format!("coxswain/{}", env!("CARGO_PKG_VERSION")),
        peers: peers.to_vec(),
        relays: run.relays.clone(),
        resolve: Arc::clone(&run.resolve),
        listen: run.listen.clone(),
        external: run.external.clone(),
        protocols: Vec::new(),
    };
    let info = PeerInfo {
        charon_version: run.version.to_string(),
        lock_hash: run.lock.lock_hash.to_vec(),
        git_hash: "unknown".to_owned(),
        started_at: Timestamp::from_unix_nanos(jiff::Timestamp::now().as_nanosecond()),
        builder_api_enabled: run.builder == Builder::On,
        nickname: run.nickname.clone(),
        dv_client: DV_CLIENT.to_owned(),
        ..PeerInfo::default()
    };
    coxswain_dv_net::run::Settings { host, info }
}

/// Brings what beacon nodes tell of their chain to the machine.
async fn listen_to_chain(backends: Backends, handle: Handle, monitor: Monitor) {
    let mut events = backends.events();
    loop {
        let event = events.next().await;
        monitor.heard(&event);
        if let News::Chain(event) = event.news
            && handle.chain(event).await.is_err()
        {
            return;
        }
    }
}
