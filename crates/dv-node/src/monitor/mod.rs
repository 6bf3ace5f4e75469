//! Who watches a node: figures, readiness, health, the log, and what consensus has seen.
//!
//! ```text
//! driver ─notes, records→ Monitor ─→ log
//! beacon nodes ─events──→    │    ←─ asked when somebody looks: network, beacon nodes, validator API
//! keep(), by the clock ──→   └→ /metrics /readyz /debug/consensus
//! ```
//!
//! # What must never happen
//!
//! - Whoever looks holds up the node: what is behind the lock is copied, and written out elsewhere.
//! - What peers, clients or beacon nodes say fills memory or the log.

pub mod catalogue;
pub mod health;
pub mod ready;
pub mod registry;
pub mod routes;

mod book;
mod lines;
mod process;
mod pulled;
mod reasons;
mod rounds;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use coxswain_dv_beacon::{client, server};
use coxswain_dv_core::{Builder, Note, Tracker};
use coxswain_dv_eth::beacon::Validator;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_net::PeerId;
use coxswain_dv_net::run::Overview;
use coxswain_dv_qbft::debugger::{Debugger, Record};
use coxswain_dv_qbft::timer::TimerFlags;
use coxswain_dv_wire::peerinfo::DV_CLIENT;
use futures::future::BoxFuture;
use tracing::Level;

pub use lines::Counts;
pub use rounds::keep;

use crate::driver::Watch;
use book::{Book, as_number};
use catalogue as names;
use health::{CHECKS, Known, Sample, Window};
use lines::Lines;
use ready::{Facts, Readiness, State};
use registry::Registry;

/// A node of the cluster, or a beacon node, as figures and logs call it.
#[derive(Debug, Clone)]
pub struct Named {
    /// What it is called.
    pub name: String,
    /// Who it is.
    pub id: PeerId,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// The version that is reported to peers.
    pub version: String,
    /// The sources it is made of: seven hexadecimal digits.
    pub git_hash: String,
    /// The first seven hexadecimal digits of the hash of the cluster's lock.
    pub cluster_hash: String,
    /// What its operators call the cluster.
    pub cluster_name: String,
    /// Like `mainnet`.
    pub network: String,
    /// What its operator calls the node.
    pub nickname: String,
    /// Features that operators turned on by name.
    pub features: Vec<String>,
    /// When it was started.
    pub started_at: Time,
}

/// What a monitor is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the node says of itself.
    pub about: About,
    /// The clock of the chain.
    pub clock: Clock,
    /// Timers of consensus.
    pub timers: TimerFlags,
    /// Nodes of the cluster in the order of the lock, this one among them.
    pub nodes: Vec<Named>,
    /// Which of them this is, from 0.
    pub me: usize,
    /// Shares that make a signature of the group.
    pub threshold: usize,
    /// Keys of the groups.
    pub validators: Vec<Bytes48>,
    /// Where beacon nodes are, in the order of [`client::Backends::addresses`], as it may be shown.
    pub beacons: Vec<String>,
    /// The first slot whose duties are judged: this node may have seen only a part of earlier ones.
    pub judge_from: u64,
    /// What counts the lines of the log.
    pub counts: Counts,
    /// Lines of the log that servers of Loki did not get.
    pub lost_lines: Arc<AtomicU64>,
}

/// What is asked when somebody looks.
pub struct Sources {
    /// Of the network.
    pub network: Box<dyn Fn() -> BoxFuture<'static, Overview> + Send + Sync>,
    /// Of the beacon nodes.
    pub beacon: Box<dyn Fn() -> client::Metrics + Send + Sync>,
    /// Of the validator API.
    pub api: Box<dyn Fn() -> server::Metrics + Send + Sync>,
}

/// Watches a node. All copies are the same one.
#[derive(Clone)]
pub struct Monitor {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    sources: OnceLock<Sources>,
    /// Behind a lock: the driver writes, and those who look read. Both hold it for as long as it takes to copy or to count.
    state: Mutex<Watched>,
}

struct Watched {
    book: Book,
    lines: Lines,
    debugger: Debugger,
    readiness: Readiness,
    /// Until when the clock counts as set.
    clock_new_until: Option<Time>,
    /// Whether the machine has begun.
    has_begun: bool,
    window: Window,
    builder: Builder,
}

impl Monitor {
    /// A monitor that nothing was told yet.
    #[must_use]
    pub fn new(settings: Settings) -> Monitor {
        let share = u32::try_from(settings.me).unwrap_or(u32::MAX).saturating_add(1);
        let tracker = Tracker::new(settings.clock, share, settings.threshold, settings.judge_from);
        let nodes = settings.nodes.iter().map(|node| node.name.clone()).collect();
        let mut book = Book::new(settings.clock, settings.timers, nodes, tracker);
        settings.write(&mut book.registry);
        let state = Mutex::new(Watched {
            book,
            lines: Lines::default(),
            debugger: Debugger::default(),
            readiness: Readiness::new(settings.nodes.len()),
            clock_new_until: None,
            has_begun: false,
            window: Window::default(),
            builder: Builder::Off,
        });
        Monitor { inner: Arc::new(Inner { settings, sources: OnceLock::new(), state }) }
    }

    /// Says whom to ask when somebody looks. The first time counts.
    pub fn connect(&self, sources: Sources) {
        let _ = self.inner.sources.set(sources);
    }

    fn state(&self) -> MutexGuard<'_, Watched> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this node takes blocks from builders, as it tells its peers.
    pub fn takes_builders(&self, builder: Builder) {
        let Settings { nodes, me, .. } = &self.inner.settings;
        let takes = f64::from(u8::from(builder == Builder::On));
        let mut state = self.state();
        state.builder = builder;
        state.book.registry.set(&names::PEER_BUILDER, &[&lines::name(nodes, *me)], takes);
    }

    /// A beacon node told something.
    pub fn heard(&self, event: &client::Event) {
        if let Some(address) = self.inner.settings.beacons.get(event.node) {
            self.state().book.heard(address, event);
        }
    }

    /// Validators of the cluster as the chain has them; once an epoch, because the log says it where none is active.
    pub fn validators(&self, validators: &[Validator]) {
        let mut state = self.state();
        state.book.validators(validators);
        state.lines.validators(&self.inner.settings.validators, validators);
    }

    /// What the beacon nodes that answer say of themselves. One that does not tell its id has no row: by its address, two
    /// nodes of a cluster with the same name for theirs would look as if they shared one.
    pub fn beacon_nodes(&self, identities: &[client::Identity]) {
        let registry = &mut self.state().book.registry;
        registry.clear(&names::BEACON_VERSION);
        registry.clear(&names::EXECUTION_VERSION);
        for client::Identity { peer_id, version, execution_client } in identities {
            if let Some(id) = peer_id {
                registry.set(&names::BEACON_VERSION, &[version, id], 1.0);
            }
            if let Some(version) = execution_client {
                registry.set(&names::EXECUTION_VERSION, &[version], 1.0);
            }
        }
    }

    /// Looks whether the node is ready; once a slot.
    pub fn look(&self, facts: &Facts) -> State {
        let mut state = self.state();
        let before = state.readiness.state();
        let now = state.readiness.look(facts);
        state.book.registry.set(&names::READYZ, &[], f64::from(now.number()));
        if let Some(peers) = facts.beacon_peers {
            state.book.registry.set(&names::BEACON_PEERS, &[], as_number(peers));
        }
        drop(state);
        if before != now {
            lines::readiness((before, now), facts, &self.inner.settings.beacons);
        }
        now
    }

    /// The machine begins: from now on the node may be ready, and duties are judged from a slot on.
    pub fn begins(&self, judge_from: u64) {
        let mut state = self.state();
        state.has_begun = true;
        state.book.judge_from(judge_from);
    }

    fn has_begun(&self) -> bool {
        self.state().has_begun
    }

    /// Whether the clock was set less than an epoch ago.
    fn is_clock_new(&self, now: Time) -> bool {
        self.state().clock_new_until.is_some_and(|until| now < until)
    }

    /// How the node was at the last look, or has become since.
    #[must_use]
    pub fn readiness(&self) -> State {
        self.state().readiness.state()
    }

    /// Takes a sample and checks the health of the node; every 30 s.
    pub async fn check(&self) {
        let settings = &self.inner.settings;
        let (nodes, validators) = (settings.nodes.len(), settings.validators.len());
        let known = Known { nodes, validators, builder: self.state().builder };
        let sample = Sample::of(&self.registry().await, known);
        let mut state = self.state();
        let Watched { book, window, .. } = &mut *state;
        let too_many = sample.too_many.clone();
        window.add(sample);
        book.registry.clear(&names::HIGH_CARDINALITY);
        for (name, count) in too_many {
            book.registry.set(&names::HIGH_CARDINALITY, &[name], as_number(count as u64));
        }
        for check in CHECKS {
            let labels = [check.severity.name(), check.name, check.description];
            let fails = check.fails(window, known);
            let failed =
                book.registry.numbers(&names::HEALTH).any(|(at, failed)| at == labels && failed > 0.0);
            book.registry.set(&names::HEALTH, &labels, f64::from(u8::from(fails)));
            book.registry.add(&names::HEALTH_FAILED, &labels, f64::from(u8::from(fails)));
            match (failed, fails) {
                (false, true) => {
                    tracing::warn!(check = check.name, what = check.description, "a health check fails")
                }
                (true, false) => tracing::info!(check = check.name, "a health check does not fail any more"),
                _ => {}
            }
        }
    }

    /// All figures of now.
    pub async fn registry(&self) -> Registry {
        let settings = &self.inner.settings;
        let mut registry = self.state().book.registry.clone();
        for ((level, topic), count) in settings.counts.seen() {
            let metric = if level == Level::ERROR { &names::LOG_ERRORS } else { &names::LOG_WARNINGS };
            registry.set(metric, &[topic], as_number(count));
        }
        registry.set(&names::LOKI_DROPPED, &[], as_number(settings.lost_lines.load(Ordering::Relaxed)));
        process::write(&mut registry);
        if let Some(sources) = self.inner.sources.get() {
            pulled::network(&mut registry, &settings.nodes, &(sources.network)().await);
            pulled::beacon(&mut registry, &(sources.beacon)());
            pulled::api(&mut registry, &(sources.api)());
        }
        registry
    }

    /// All figures of now, as Prometheus reads them.
    pub async fn text(&self) -> String {
        let Settings { about, nodes, me, .. } = &self.inner.settings;
        let constant = [
            ("charon_version", about.version.clone()),
            ("cluster_hash", about.cluster_hash.clone()),
            ("cluster_name", about.cluster_name.clone()),
            ("cluster_network", about.network.clone()),
            ("cluster_peer", lines::name(nodes, *me)),
            ("nickname", about.nickname.clone()),
        ];
        self.registry().await.text(&constant)
    }

    /// What instances of consensus have seen, and the sources of this program.
    fn records(&self) -> (Debugger, String) {
        (self.state().debugger.clone(), self.inner.settings.about.git_hash.clone())
    }
}

impl Watch for Monitor {
    fn note(&mut self, now: Time, note: &Note) {
        let nodes = &self.inner.settings.nodes;
        let mut state = self.state();
        state.lines.note(now, nodes, note);
        let outcomes = state.book.note(now, note);
        if let Note::ClockSet { until, .. } | Note::SignedAhead { until, .. } = note {
            state.clock_new_until = Some(*until);
            state.readiness.clock_set();
            state.book.registry.set(&names::READYZ, &[], f64::from(State::ClockSet.number()));
        }
        for outcome in &outcomes {
            state.lines.outcome(now, nodes, outcome);
        }
    }

    fn record(&mut self, record: Record) {
        self.state().debugger.add(record);
    }
}

impl Settings {
    /// What does not change.
    fn write(&self, registry: &mut Registry) {
        let about = &self.about;
        registry.set(&names::VERSION, &[&about.version], 1.0);
        registry.set(&names::GIT_COMMIT, &[&about.git_hash], 1.0);
        registry.set(&names::START_TIME, &[], as_number(about.started_at.0.as_secs()));
        registry.set(&names::PEER_NAME, &[&lines::name(&self.nodes, self.me)], 1.0);
        for feature in &about.features {
            registry.set(&names::FEATURE_FLAGS, &[feature], 1.0);
        }
        registry.set(&names::NETWORK, &[&about.network], 1.0);
        registry.set(&names::OPERATORS, &[], as_number(self.nodes.len() as u64));
        registry.set(&names::THRESHOLD, &[], as_number(self.threshold as u64));
        registry.set(&names::VALIDATORS, &[], as_number(self.validators.len() as u64));
        registry.set(&names::READYZ, &[], 0.0);
        self.write_peers(registry);
        // A counter that is not there yet does not rise when it comes: alerts would miss the first.
        for counter in [&names::SKIPPED, &names::ATTESTATIONS, &names::ATTESTATIONS_DONE] {
            registry.add(counter, &[], 0.0);
        }
    }
    /// What this node tells its peers of itself, as if it were one of its own; and the place of each, whether it is there
    /// or not: tables of dashboards have a row for each of them.
    fn write_peers(&self, registry: &mut Registry) {
        for (place, node) in self.nodes.iter().enumerate() {
            registry.set(&names::PEER_INDEX, &[&node.name], as_number(place as u64));
        }
        let (about, me) = (&self.about, lines::name(&self.nodes, self.me));
        registry.set(&names::PEER_VERSION, &[&me, &about.version], 1.0);
        registry.set(&names::PEER_COMMIT, &[&me, &about.git_hash], 1.0);
        registry.set(&names::PEER_NICKNAME, &[&me, &about.nickname], 1.0);
        registry.set(&names::PEER_CLIENT, &[&me, DV_CLIENT], 1.0);
        registry.set(&names::PEER_START, &[&me], as_number(about.started_at.0.as_secs()));
    }
}
