//! The Beacon API in front of a chain: one or more nodes, each with an address of its own, that share it.
//!
//! ```text
//! reply     answers and errors            state       blocks, headers, states
//! node      node, config, genesis, events validator   duties, data, submissions
//! control   /simnet/…: report and faults
//! ```
//!
//! The chain is held for as long as one question takes; signatures are verified on other threads, without it.

mod control;
mod node;
mod reply;
mod state;
mod validator;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use coxswain_dv_eth::client::Problem;
use coxswain_dv_eth::time::Time;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::chain::{Asked, Chain, Event, Report, Settings, SettingsError};
use reply::Refused;

/// The largest request: a signed block with as many blobs as settings allow, as JSON, is below it.
const MAX_BODY: usize = 32 << 20;
/// Events that a slow listener may be behind; then it loses some.
const EVENTS_BEHIND: usize = 1024;
/// The longest that the ticker sleeps, so that a clock that is set is soon followed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Why a chain is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no chain.
    #[error("the settings make no chain")]
    Settings(#[from] SettingsError),
    /// A socket failed.
    #[error("a node of the chain stopped serving")]
    Socket(#[from] std::io::Error),
}

/// What nodes of a chain share.
struct Shared {
    chain: Mutex<Chain>,
    events: broadcast::Sender<Event>,
}

/// One node.
#[derive(Clone)]
struct Node {
    shared: Arc<Shared>,
    /// Its number.
    number: usize,
}

/// A chain that is served. Dropping it stops everything.
pub struct Simnet {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: JoinSet<std::io::Result<()>>,
}

/// The moment by the clock of this machine.
fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl Shared {
    /// The chain. A thread that panicked while it held it leaves it as it was between two steps.
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the chain as of now, and tells what came of it.
    fn with<T>(&self, then: impl FnOnce(&mut Chain) -> T) -> T {
        let mut chain = self.chain();
        chain.tick(now());
        let answer = then(&mut chain);
        for event in chain.take_events() {
            // Nobody listens: that is no failure.
            let _ = self.events.send(event);
        }
        answer
    }
}

impl Node {
    fn asked(&self) -> Asked {
        Asked { node: self.number, now: now() }
    }

    fn with<T>(&self, then: impl FnOnce(&mut Chain, Asked) -> T) -> T {
        let asked = self.asked();
        self.shared.with(|chain| then(chain, asked))
    }
}

/// Serves a chain, a node at each listener, until a socket fails.
///
/// # Errors
/// Settings that make no chain, or a socket that fails.
pub async fn serve(settings: Settings, listeners: Vec<TcpListener>) -> Result<(), ServeError> {
    let mut simnet = Simnet::start(settings, listeners)?;
    while let Some(ended) = simnet.tasks.join_next().await {
        // A task that panicked is a defect, and is told as what it is by the runtime.
        if let Ok(outcome) = ended {
            outcome?;
        }
    }
    Ok(())
}

impl Simnet {
    /// Serves a chain in the background, a node at each listener.
    ///
    /// # Errors
    /// Settings that make no chain, or a listener without an address.
    pub fn start(settings: Settings, listeners: Vec<TcpListener>) -> Result<Simnet, ServeError> {
        let chain = Mutex::new(Chain::new(settings)?);
        let (events, _) = broadcast::channel(EVENTS_BEHIND);
        let shared = Arc::new(Shared { chain, events });
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            addresses.push(listener.local_addr()?);
            let router = router(Node { shared: Arc::clone(&shared), number });
            tasks.spawn(async move { axum::serve(listener, router).await });
        }
        tasks.spawn(ticker(Arc::clone(&shared)));
        Ok(Simnet { shared, addresses, tasks })
    }

    /// Addresses of the nodes, in the order of their listeners.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What happened in slots that are over.
    #[must_use]
    pub fn report(&self, from: Option<u64>, to: Option<u64>) -> Report {
        self.shared.with(|chain| chain.report(Asked { node: 0, now: now() }, from, to))
    }

    /// Does something with the chain as of now.
    pub fn with<T>(&self, then: impl FnOnce(&mut Chain, Asked) -> T) -> T {
        self.shared.with(|chain| then(chain, Asked { node: 0, now: now() }))
    }
}

/// Begins slots when they begin, asked or not.
async fn ticker(shared: Arc<Shared>) -> std::io::Result<()> {
    loop {
        let wait = shared.with(|chain| {
            let clock = chain.spec().clock;
            let now = now();
            let next =
                clock.slot_at(now).map_or(clock.genesis, |slot| clock.start_of(slot.saturating_add(1)));
            next.since(now)
        });
        tokio::time::sleep(wait.clamp(Duration::from_millis(1), LONGEST_SLEEP)).await;
    }
}

fn router(node: Node) -> Router {
    Router::new()
        .merge(node::routes())
        .merge(state::routes())
        .merge(validator::routes())
        .layer(axum::middleware::from_fn_with_state(node.clone(), faults))
        .merge(control::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(node)
}

async fn unknown(request: Request) -> Response {
    let what = format!("{} {} is no endpoint of this node", request.method(), request.uri().path());
    Refused(Problem::new(404, what)).into_response()
}

async fn not_so(request: Request) -> Response {
    let what = format!("{} is no method of {}", request.method(), request.uri().path());
    Refused(Problem::new(405, what)).into_response()
}

/// Lets requests meet faults.
async fn faults(State(node): State<Node>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let hit = node.shared.with(|chain| chain.hit(node.number, &path));
    if !hit.latency.is_zero() {
        tokio::time::sleep(hit.latency).await;
    }
    match hit.status {
        Some(status) => {
            Refused(Problem::new(status, format!("a fault of this node hit {path}"))).into_response()
        }
        None => next.run(request).await,
    }
}
