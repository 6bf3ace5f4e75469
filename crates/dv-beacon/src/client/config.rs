//! What a chain is: genesis and configuration, as the beacon nodes have it; and waiting until it is there.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::beacon::{Answer, Call, CallError, Failure, Syncing};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::spec::{Genesis, Spec};
use coxswain_dv_eth::time::Time;
use serde::Deserialize;

use super::node::{Node, NodeError};
use super::race::{Keep, Plan};
use super::request::{Aim, Ask, SMALL};
use super::{Backends, answer};

/// How long what does not change is taken as it is: a beacon node may be replaced by one of another release, which
/// knows the epoch of one more fork.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// First pause while the nodes are not ready.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: one slot.
const LONGEST_PAUSE: Duration = Duration::from_secs(12);
/// Longest piece of the time before genesis that is slept at once: clocks are set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A chain as its beacon nodes are configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Clock, forks and first validators.
    pub chain: Chain,
    /// `/eth/v1/beacon/genesis`; a cluster's lock names the network by its version.
    pub genesis: Genesis,
    /// `/eth/v1/config/spec`
    pub spec: Spec,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Waiting {
    /// A beacon node that answers, or one that knows its genesis.
    Answer(CallError),
    /// The genesis, which is so far away.
    Genesis(Duration),
    /// A beacon node that has read the chain.
    Synced(Syncing),
}

/// What a beacon node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id among beacon nodes, which no other has; none where it does not tell, as Prysm without discovery.
    pub peer_id: Option<String>,
    /// Its name, a slash, its release and more.
    pub version: String,
    /// The same of its execution client, where it tells.
    pub execution_client: Option<String>,
}

impl Backends {
    /// The chain, from one node whole; what was read in the last five minutes is taken from memory.
    ///
    /// # Errors
    /// No node gave it. Before genesis is known a node answers 404, which passes.
    pub async fn config(&self) -> Result<Arc<Config>, CallError> {
        if let Some((read, config)) = &*self.config_mut()
            && read.elapsed() < LIFE
        {
            return Ok(Arc::clone(config));
        }
        let config =
            self.carry_out("config", &self.plain(), |node| async move { fetch(&node).await }).await?;
        let config = Arc::new(config);
        *self.config_mut() = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }

    /// The chain, where it was read before.
    pub(super) fn known_config(&self) -> Option<Arc<Config>> {
        self.config_mut().as_ref().map(|(_, config)| Arc::clone(config))
    }

    fn config_mut(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<Config>)>> {
        self.inner.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question to the primaries, then to the fallbacks.
    pub(super) fn plain<T>(&self) -> Plan<T> {
        Plan {
            timeout: self.inner.query_timeout,
            patience: Duration::ZERO,
            keep: |_| Keep::Take,
            is_detached: false,
            is_for_all: false,
        }
    }

    /// Waits until a beacon node knows the chain and the chain has begun, however long that is. `tell` hears what is
    /// waited for, before each pause.
    pub async fn wait_for_genesis(&self, mut tell: impl FnMut(Waiting)) -> Arc<Config> {
        let mut pause = FIRST_PAUSE;
        let config = loop {
            match self.config().await {
                Ok(config) => break config,
                Err(error) => tell(Waiting::Answer(error)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        loop {
            let left = config.chain.clock.genesis.since(now());
            if left.is_zero() {
                return config;
            }
            tell(Waiting::Genesis(left));
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        }
    }

    /// Waits until a beacon node has read the chain, however long that is. Gives the slot of its head.
    pub async fn wait_until_synced(&self, mut tell: impl FnMut(Waiting)) -> u64 {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.call(Call::Syncing).await {
                Ok(Answer::Syncing(syncing)) if syncing.is_syncing => tell(Waiting::Synced(syncing)),
                Ok(Answer::Syncing(syncing)) => return syncing.head_slot,
                // There is no other answer to this question.
                Ok(_) => {}
                Err(error) => tell(Waiting::Answer(error)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What each node says of itself (`/eth/v1/node/version`), in the order of [`Backends::addresses`].
    pub async fn versions(&self) -> Vec<Result<String, CallError>> {
        #[derive(Deserialize)]
        struct Document {
            version: String,
        }
        let read = |node: Arc<Node>| async move {
            let document: Document = self.read_from(&node, "/eth/v1/node/version").await?;
            Ok(document.version)
        };
        self.each("node_version", read).await
    }

    /// Who each node is, and of what release, in the order of [`Backends::addresses`]. Many know only the first
    /// `/eth/v?/node/version`, which has nothing of the execution client.
    pub async fn identities(&self) -> Vec<Result<Identity, CallError>> {
        let read = |node: Arc<Node>| async move {
            let (peer_id, releases) = tokio::join!(self.peer_id(&node), self.releases(&node));
            let (version, execution_client) = releases?;
            Ok(Identity { peer_id, version, execution_client })
        };
        self.of_asked("node_version", self.each("node_version", read).await)
    }

    async fn peer_id(&self, node: &Node) -> Option<String> {
        #[derive(Deserialize)]
        struct Document {
            peer_id: String,
        }
        let document: Document = self.read_from(node, "/eth/v1/node/identity").await.ok()?;
        Some(document.peer_id).filter(|id| !id.is_empty())
    }

    /// Of the node and of its execution client.
    async fn releases(&self, node: &Node) -> Result<(String, Option<String>), NodeError> {
        #[derive(Deserialize)]
        struct Old {
            version: String,
        }
        #[derive(Deserialize)]
        struct Document {
            beacon_node: Release,
            execution_client: Option<Release>,
        }
        match self.read_from::<Document>(node, "/eth/v2/node/version").await {
            Ok(told) => Ok((told.beacon_node.text(), told.execution_client.map(|one| one.text()))),
            // It is not there, and would not be the second time.
            Err(error) if error.failure == Failure::Network => Err(error),
            Err(_) => Ok((self.read_from::<Old>(node, "/eth/v1/node/version").await?.version, None)),
        }
    }

    /// How many peers each node has (`/eth/v1/node/peer_count`), in the order of [`Backends::addresses`].
    pub async fn peer_counts(&self) -> Vec<Result<u64, CallError>> {
        #[derive(Deserialize)]
        struct Document {
            connected: String,
        }
        let read = |node: Arc<Node>| async move {
            let document: Document = self.read_from(&node, "/eth/v1/node/peer_count").await?;
            document.connected.parse().map_err(|_| node.malformed("the number of peers is no number"))
        };
        self.of_asked("node_peer_count", self.each("node_peer_count", read).await)
    }

    /// What each node's clock says: the header `Date` of an answer, in whole seconds as RFC 9110 has it; none where a node
    /// sends none. In the order of [`Backends::addresses`].
    pub async fn dates(&self) -> Vec<Result<Option<String>, CallError>> {
        let limit = self.inner.query_timeout;
        let read = |node: Arc<Node>| async move {
            let ask = Ask::get("/eth/v1/node/version", SMALL);
            let reply = tokio::time::timeout(limit, node.exchange(&ask)).await;
            let reply = reply.unwrap_or_else(|_| Err(node.too_slow(limit)))?;
            Ok(reply.header("date").map(ToOwned::to_owned))
        };
        self.each("node_version", read).await
    }

    pub(super) async fn each<T, F>(
        &self,
        endpoint: &'static str,
        read: impl Fn(Arc<Node>) -> F,
    ) -> Vec<Result<T, CallError>>
    where
        F: Future<Output = Result<T, NodeError>>,
    {
        let told = |error: NodeError| CallError { endpoint, failure: error.failure, message: error.text };
        let all = self.nodes().map(|node| read(Arc::clone(node)));
        futures::future::join_all(all).await.into_iter().map(|read| read.map_err(told)).collect()
    }

    pub(super) async fn read_from<T: for<'de> Deserialize<'de>>(
        &self,
        node: &Node,
        path: &str,
    ) -> Result<T, NodeError> {
        let limit = self.inner.query_timeout;
        let read = tokio::time::timeout(limit, get(node, path)).await;
        read.unwrap_or_else(|_| Err(node.too_slow(limit)))
    }
}

/// A program, as `/eth/v2/node/version` has it.
#[derive(Deserialize)]
struct Release {
    name: String,
    version: String,
    commit: String,
}

impl Release {
    /// As `/eth/v1/node/version` would have it, and as charon shows it.
    fn text(&self) -> String {
        let Release { name, version, commit } = self;
        format!("{name}/{version}/{commit}")
    }
}

async fn fetch(node: &Node) -> Result<Config, NodeError> {
    let genesis: Genesis = get(node, "/eth/v1/beacon/genesis").await?;
    let spec: Spec = get(node, "/eth/v1/config/spec").await?;
    let chain = spec.chain(&genesis).map_err(|error| node.malformed(&error.to_string()))?;
    Ok(Config { chain, genesis, spec })
}

async fn get<T: for<'de> Deserialize<'de>>(node: &Node, path: &str) -> Result<T, NodeError> {
    let reply = node.exchange(&Ask::get(path, SMALL)).await?;
    if !reply.is_success() {
        return Err(node.refusal(&reply, Aim::Question));
    }
    let read = answer::data(&reply).map_err(|why| node.malformed(&why))?;
    node.succeeded();
    Ok(read)
}

/// The time of this machine.
pub(super) fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
