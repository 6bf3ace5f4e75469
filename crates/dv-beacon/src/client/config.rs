//! What a chain is: genesis and configuration, as the beacon nodes have it; and waiting until it is there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::beacon::{Answer, Call, CallError, Syncing};
use coxswain_dv_eth::bytes::{Bytes4, Bytes32};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::{FAR_FUTURE, Fork, Forks};
use coxswain_dv_eth::time::{Clock, Time};
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
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Clock, forks and first validators.
    pub chain: Chain,
    /// The version at genesis: what a cluster's lock names the network by.
    pub genesis_fork_version: Bytes4,
    /// All that `/eth/v1/config/spec` has as text.
    pub spec: BTreeMap<String, String>,
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

#[derive(Deserialize)]
struct Genesis {
    #[serde(with = "quoted")]
    genesis_time: u64,
    genesis_validators_root: Bytes32,
    genesis_fork_version: Bytes4,
}

/// A number in quotes.
mod quoted {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Config {
    /// Reads it from the answers of `/eth/v1/beacon/genesis` and `/eth/v1/config/spec`.
    fn read(genesis: &Genesis, spec: BTreeMap<String, String>) -> Result<Config, String> {
        let number = |name: &str| -> Result<Option<u64>, String> {
            let parse = |text: &String| text.parse().map_err(|_| format!("{name} is no number"));
            spec.get(name).map(parse).transpose()
        };
        let slot = match number("SLOT_DURATION_MS")? {
            Some(millis) => Duration::from_millis(millis),
            None => Duration::from_secs(number("SECONDS_PER_SLOT")?.ok_or("it has no duration of slots")?),
        };
        let slots_per_epoch = number("SLOTS_PER_EPOCH")?.ok_or("it has no SLOTS_PER_EPOCH")?;
        if slot.is_zero() || slots_per_epoch == 0 {
            return Err("slots or epochs have no length".to_owned());
        }
        let mut rows = [(FAR_FUTURE, Bytes4::default()); 7];
        rows[0] = (0, genesis.genesis_fork_version);
        for fork in Fork::all().skip(1) {
            let name = fork.name().to_uppercase();
            let epoch = number(&format!("{name}_FORK_EPOCH"))?;
            let version = spec.get(&format!("{name}_FORK_VERSION"));
            if let (Some(epoch), Some(version)) = (epoch, version) {
                let version = version.parse().map_err(|error| format!("{name}_FORK_VERSION: {error}"))?;
                rows[fork as usize] = (epoch, version);
            }
        }
        let clock = Clock { genesis: Time::from_secs(genesis.genesis_time), slot, slots_per_epoch };
        let genesis_validators_root = genesis.genesis_validators_root.0;
        let chain = Chain { clock, forks: Forks::new(rows), genesis_validators_root };
        Ok(Config { chain, genesis_fork_version: genesis.genesis_fork_version, spec })
    }
}

impl Backends {
    /// The chain, from one node whole; what was read in the last five minutes is taken from memory.
    ///
    /// # Errors
    /// No node gave it. Before genesis is known a node answers 404, which is [`Failure::NotYet`].
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

    /// Waits until a beacon node has read the chain, however long that is.
    pub async fn wait_until_synced(&self, mut tell: impl FnMut(Waiting)) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.call(Call::Syncing).await {
                Ok(Answer::Syncing(syncing)) if syncing.is_syncing => tell(Waiting::Synced(syncing)),
                Ok(_) => return,
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

    /// How many peers each node has (`/eth/v1/node/peer_count`), in the order of [`Backends::addresses`].
    pub async fn peer_counts(&self) -> Vec<Result<u64, CallError>> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(with = "quoted")]
            connected: u64,
        }
        let read = |node: Arc<Node>| async move {
            let document: Document = self.read_from(&node, "/eth/v1/node/peer_count").await?;
            Ok(document.connected)
        };
        self.each("node_peer_count", read).await
    }

    async fn each<T, F>(
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

    async fn read_from<T: for<'de> Deserialize<'de>>(&self, node: &Node, path: &str) -> Result<T, NodeError> {
        let limit = self.inner.query_timeout;
        let read = tokio::time::timeout(limit, get(node, path)).await;
        read.unwrap_or_else(|_| Err(node.too_slow(limit)))
    }
}

async fn fetch(node: &Node) -> Result<Config, NodeError> {
    let genesis: Genesis = get(node, "/eth/v1/beacon/genesis").await?;
    let spec: BTreeMap<String, serde_json::Value> = get(node, "/eth/v1/config/spec").await?;
    let texts = spec.into_iter().filter_map(|(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        // Schedules are lists; nothing here asks for them.
        _ => None,
    });
    Config::read(&genesis, texts.collect()).map_err(|why| node.malformed(&why))
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
