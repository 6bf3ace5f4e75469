//! The beacon nodes of a node, as one.
//!
//! ```text
//! Call ─request→ Ask ─┬ primary ┐                    ┌ fallback ┐
//!                     ├ primary ┼ first that is good ┤ …        ├ first that is good → answer → Answer
//!                     └ primary ┘ all failed, one ill└ fallback ┘
//! ```
//!
//! Only nodes of one chain are asked, where it is said which those are.
//!
//! Questions are given up at the other nodes once one has answered. What is submitted is not: it reaches every primary,
//! and blocks reach the fallback nodes too.
//!
//! # What must never happen
//!
//! - A password, a header's value or a key in a path is in an error.
//! - An answer takes memory or time without a limit.
//! - A signed block reaches fewer nodes because one of them was quick.

mod address;
mod answer;
mod chosen;
mod config;
mod events;
mod forward;
mod node;
mod race;
mod request;
mod sse;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coxswain_dv_eth::api::ErrorBody;
use coxswain_dv_eth::beacon::{Answer, Call, CallError, Failure, Syncing};
use coxswain_dv_eth::fork::Fork;

pub use self::address::{Address, AddressError};
pub use self::config::{Config, Identity, Waiting};
pub use self::events::{Delay, Delays, Event, Events, News};
pub use self::forward::{Forward, Forwarded};
pub use self::request::Encoding;
pub use self::version::{MINIMUMS, Minimum, Version, check_version};

use self::node::{Node, NodeError};
use self::race::{Keep, Plan};
use self::request::{Aim, Ask, aim};
use crate::measure::{CALL_BOUNDS, Histogram};

/// Calls that take longer are noted.
const SLOW: Duration = Duration::from_secs(1);
/// Questions for many validators may take longer: so much more for each one above the number.
const PER_VALIDATOR: Duration = Duration::from_millis(50);
/// See [`PER_VALIDATOR`].
const VALIDATORS_IN_TIME: usize = 200;

/// Which beacon nodes, and how they are asked.
#[derive(Clone)]
pub struct Settings {
    /// Those that are always asked; at least one.
    pub primaries: Vec<Address>,
    /// Those that are asked while the others are out of order.
    pub fallbacks: Vec<Address>,
    /// Added to every request.
    pub headers: Vec<(String, String)>,
    /// For questions, and for each node that is asked what a validator client asks.
    pub query_timeout: Duration,
    /// For what is submitted, and for each node to which a validator client's is passed on.
    pub submit_timeout: Duration,
    /// How blocks go.
    pub encoding: Encoding,
    /// Where builders' blocks are always preferred and one node has answered with its own: how long the other nodes
    /// are waited for.
    pub builder_patience: Duration,
}

impl Settings {
    /// These nodes, and what charon has for the rest.
    #[must_use]
    pub fn new(primaries: Vec<Address>) -> Settings {
        Settings {
            primaries,
            fallbacks: Vec::new(),
            headers: Vec::new(),
            query_timeout: Duration::from_secs(2),
            submit_timeout: Duration::from_secs(2),
            encoding: Encoding::SszFirst,
            builder_patience: Duration::from_millis(500),
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Without the values of headers, which may be tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Settings")
            .field("primaries", &self.primaries)
            .field("fallbacks", &self.fallbacks)
            .field("headers", &headers)
            .field("query_timeout", &self.query_timeout)
            .field("submit_timeout", &self.submit_timeout)
            .field("encoding", &self.encoding)
            .field("builder_patience", &self.builder_patience)
            .finish()
    }
}

/// Why there are no beacon nodes to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is none.
    #[error("no beacon node is given; name at least one")]
    NoNodes,
    /// A header.
    #[error("the headers for beacon nodes are not usable: {0}")]
    Headers(String),
    /// The system gives no client.
    #[error("{0}")]
    Client(String),
}

/// What was asked so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// By the name of the call.
    pub calls: BTreeMap<&'static str, Calls>,
    /// Whether the latest answer came from a fallback node.
    pub is_using_fallback: bool,
}

/// Calls of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// How many.
    pub requests: u64,
    /// How many came to nothing.
    pub errors: u64,
    /// How long they took.
    pub latency: Histogram,
}

/// The beacon nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backends {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    primaries: Vec<Arc<Node>>,
    fallbacks: Vec<Arc<Node>>,
    query_timeout: Duration,
    submit_timeout: Duration,
    encoding: Encoding,
    builder_patience: Duration,
    metrics: Mutex<Metrics>,
    /// Those that are asked; none: all of them.
    chosen: Mutex<Option<BTreeSet<usize>>>,
    config: Mutex<Option<(Instant, Arc<Config>)>>,
}

impl Backends {
    /// Nothing is asked yet: a node that is down now may be up later.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: &Settings) -> Result<Backends, SettingsError> {
        crate::install_tls();
        if settings.primaries.is_empty() {
            return Err(SettingsError::NoNodes);
        }
        let headers = node::parse_headers(&settings.headers).map_err(SettingsError::Headers)?;
        let build = |list: &[Address]| {
            let node = |address: &Address| Node::new(address.clone(), &headers, settings.query_timeout);
            let nodes = list.iter().map(|address| node(address).map(Arc::new));
            nodes.collect::<Result<Vec<_>, _>>().map_err(SettingsError::Client)
        };
        let inner = Inner {
            primaries: build(&settings.primaries)?,
            fallbacks: build(&settings.fallbacks)?,
            query_timeout: settings.query_timeout,
            submit_timeout: settings.submit_timeout,
            encoding: settings.encoding,
            builder_patience: settings.builder_patience,
            metrics: Mutex::default(),
            chosen: Mutex::default(),
            config: Mutex::default(),
        };
        Ok(Backends { inner: Arc::new(inner) })
    }

    /// Asks, or submits. It ends within the time of its kind; dropping it gives up a question, but no submission.
    ///
    /// # Errors
    /// No node gave an answer; the kind of failure is that of the node that said most.
    pub async fn call(&self, call: Call) -> Result<Answer, CallError> {
        if let Some(answer) = without_asking(&call) {
            return Ok(answer);
        }
        let endpoint = call.endpoint();
        let before_electra = self.fork_of(&call).unwrap_or(Fork::Deneb);
        let ask = Arc::new(request::ask(&call, self.inner.encoding, before_electra));
        let plan = self.plan(&call);
        let call = Arc::new(call);
        let encoding = self.inner.encoding;
        let run = move |node: Arc<Node>| {
            let (call, ask) = (Arc::clone(&call), Arc::clone(&ask));
            async move { attempt(&node, &call, &ask, encoding).await }
        };
        self.carry_out(endpoint, &plan, run).await
    }

    /// Runs a plan, and keeps the books.
    async fn carry_out<T, F, R>(&self, endpoint: &'static str, plan: &Plan<T>, run: R) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NodeError>> + Send + 'static,
        R: Fn(Arc<Node>) -> F,
    {
        let begun = Instant::now();
        let [primaries, fallbacks] = self.asked();
        let outcome = race::run(&primaries, &fallbacks, plan, run).await;
        let took = begun.elapsed();
        if took > SLOW {
            tracing::info!(endpoint, millis = took.as_millis(), "a call to the beacon nodes was slow");
        }
        let mut metrics = self.metrics_mut();
        let calls = metrics.calls.entry(endpoint).or_insert_with(|| Calls {
            requests: 0,
            errors: 0,
            latency: Histogram::new(CALL_BOUNDS),
        });
        calls.requests += 1;
        calls.latency.observe(took);
        match outcome {
            Ok(won) => {
                metrics.is_using_fallback = won.is_fallback;
                Ok(won.answer)
            }
            Err(error) => {
                calls.errors += 1;
                Err(CallError { endpoint, failure: error.failure, message: error.text })
            }
        }
    }

    fn plan(&self, call: &Call) -> Plan<Answer> {
        let inner = &self.inner;
        let keep: fn(&Answer) -> Keep = match call {
            Call::Syncing => |answer| match answer {
                Answer::Syncing(syncing) if syncing.is_syncing => Keep::UntilAllAnswered,
                _ => Keep::Take,
            },
            // A builder's block is what was asked for, and only some nodes may have a builder.
            Call::Proposal { builder_boost: u64::MAX, .. } => |answer| match answer {
                Answer::Proposal(proposal) if !proposal.is_blinded() => Keep::ForAWhile,
                _ => Keep::Take,
            },
            // Whoever has none may be on another branch, and who does not have a block that others saw may be behind.
            Call::Block { .. } | Call::WholeBlock { .. } => |answer| match answer {
                Answer::Block(None) | Answer::WholeBlock(None) => Keep::UntilAllAnswered,
                _ => Keep::Take,
            },
            _ => |_| Keep::Take,
        };
        let timeout = match call {
            Call::Validators { keys, .. } => {
                let more = u32::try_from(keys.len().saturating_sub(VALIDATORS_IN_TIME)).unwrap_or(u32::MAX);
                inner.query_timeout.saturating_add(PER_VALIDATOR.saturating_mul(more))
            }
            call if aim(call) == Aim::Submission => inner.submit_timeout,
            _ => inner.query_timeout,
        };
        Plan {
            timeout,
            patience: inner.builder_patience,
            keep,
            is_detached: aim(call) == Aim::Submission,
            is_for_all: matches!(call, Call::SubmitProposal(_)),
        }
    }

    /// The fork of attestations that do not say theirs, where the chain is known.
    fn fork_of(&self, call: &Call) -> Option<Fork> {
        let Call::SubmitAttestationsPhase0(list) = call else { return None };
        let config = self.known_config()?;
        list.first().map(|one| config.chain.forks.at(one.data.target.epoch))
    }

    /// What was asked so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics_mut().clone()
    }

    fn metrics_mut(&self) -> MutexGuard<'_, Metrics> {
        self.inner.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All nodes, asked or not: the primaries, then the fallbacks.
    fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.inner.primaries.iter().chain(&self.inner.fallbacks)
    }

    /// Where the nodes are, as it may be shown: the primaries, then the fallbacks.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.nodes().map(|node| node.address.clone()).collect()
    }
}

/// What needs no node: an empty list asks for nothing, and some nodes take it as a question for everything. Only validators
/// are asked for without naming any, by validator clients that want all.
fn without_asking(call: &Call) -> Option<Answer> {
    match call {
        Call::SyncDuties { validators, .. } if validators.is_empty() => Some(Answer::SyncDuties(Vec::new())),
        Call::SubmitAttestationsPhase0(list) if list.is_empty() => Some(Answer::Done),
        Call::SubmitAttestations { attestations, .. } if attestations.is_empty() => Some(Answer::Done),
        Call::SubmitAggregates(list) if list.is_empty() => Some(Answer::Done),
        Call::SubmitSyncMessages(list) if list.is_empty() => Some(Answer::Done),
        Call::SubmitContributions(list) if list.is_empty() => Some(Answer::Done),
        Call::SubmitRegistrations(list) if list.is_empty() => Some(Answer::Done),
        Call::PrepareProposers(list) if list.is_empty() => Some(Answer::Done),
        _ => None,
    }
}

/// One call to one node. That a slot has no block is believed where the node's head is of a later slot: others may only
/// lack it. What it lacked may have come until it tells its head, so it is asked once more.
async fn attempt(node: &Node, call: &Call, ask: &Ask, encoding: Encoding) -> Result<Answer, NodeError> {
    let answer = attempt_once(node, call, ask, encoding).await?;
    let (Call::Block { slot }, Answer::Block(None)) = (call, &answer) else { return Ok(answer) };
    let syncing = request::ask(&Call::Syncing, encoding, Fork::Deneb);
    let head = exchange(node, &Call::Syncing, &syncing).await.map_err(|refused| refused.error)?;
    match head {
        Answer::Syncing(Syncing { head_slot, .. }) if head_slot <= *slot => {
            Err(node.behind(&format!("it has no block of slot {slot}, and its head is of slot {head_slot}")))
        }
        _ => attempt_once(node, call, ask, encoding).await,
    }
}

/// One question of it, and once more in JSON where the node does not do SSZ.
async fn attempt_once(node: &Node, call: &Call, ask: &Ask, encoding: Encoding) -> Result<Answer, NodeError> {
    let first = exchange(node, call, ask).await;
    let is_ssz = encoding == Encoding::SszFirst
        && matches!(
            call,
            Call::Proposal { .. } | Call::SubmitProposal(_) | Call::Block { .. } | Call::WholeBlock { .. }
        );
    match first {
        Err(Refused { is_of_encoding: true, .. }) if is_ssz => {
            let ask = request::ask(call, Encoding::JsonOnly, Fork::Deneb);
            exchange(node, call, &ask).await.map_err(|refused| refused.error)
        }
        other => other.map_err(|refused| refused.error),
    }
}

struct Refused {
    error: NodeError,
    /// Whether it may be for the encoding.
    is_of_encoding: bool,
}

async fn exchange(node: &Node, call: &Call, ask: &Ask) -> Result<Answer, Refused> {
    let plain = |error| Refused { error, is_of_encoding: false };
    let reply = node.exchange(ask).await.map_err(|error| match (call, error.failure) {
        // Of what is not read yet only its size can be wrong.
        (Call::Validators { keys, .. }, Failure::Malformed) if keys.is_empty() => plain(node.too_many()),
        _ => plain(error),
    })?;
    if reply.is_success() {
        if answer::is_nothing_yet(call, &reply) {
            return Err(plain(node.refusal(&node::Reply { status: 404, ..reply }, Aim::Question)));
        }
        let read = answer::read(call, &reply);
        let answer =
            read.map_err(|why| Refused { error: node.malformed(&why), is_of_encoding: reply.is_ssz() })?;
        node.succeeded();
        if reply.status == 202 && matches!(call, Call::SubmitProposal(_)) {
            let node = node.address.to_string();
            tracing::warn!(node, "a beacon node sent a block on although it does not think it is valid");
        }
        return Ok(answer);
    }
    match call {
        Call::Block { .. } if reply.status == 404 => Ok(Answer::Block(None)),
        Call::WholeBlock { .. } if reply.status == 404 => Ok(Answer::WholeBlock(None)),
        Call::SubmitAttestations { .. } | Call::SubmitAttestationsPhase0(_)
            if is_known_already(&reply.body) =>
        {
            Ok(Answer::Done)
        }
        _ => Err(Refused {
            error: node.refusal(&reply, aim(call)),
            is_of_encoding: matches!(reply.status, 406 | 415),
        }),
    }
}

/// Whether a node has all these attestations already, as Lighthouse says: others of the cluster were quicker.
fn is_known_already(body: &[u8]) -> bool {
    const KNOWN: &str = "PriorAttestationKnown";
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(error) if !error.failures.is_empty() => {
            error.failures.iter().all(|item| item.message.contains(KNOWN))
        }
        _ => String::from_utf8_lossy(body).contains(KNOWN),
    }
}
