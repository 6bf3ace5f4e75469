//! The API that validator clients use: what the node answers itself, and the rest of the Beacon API passed on.
//!
//! ```text
//! connection ─listen→ request ─route→ ┬ accept, parse → Node::serve → render ┐
//!                                     ├ version, swallowed, retired ─────────┼→ answer
//!                                     └ forward → beacon nodes ──────────────┘
//! ```
//!
//! # What must never happen
//!
//! - A request takes memory or time without a limit.
//! - A request that the node has to answer reaches a beacon node: its answer would be about the group's key.
//! - Another process than the one that was asked answers as the node: the version always names `charon`, by which some
//!   clients know that blocks have another randomness than theirs.

mod accept;
mod handle;
mod head;
mod listen;
mod parse;
mod render;
mod route;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::{Router, middleware};
use coxswain_dv_eth::client::{Answer, Problem, Request};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::listen::{Tls, TlsError};

use self::head::Head;
use self::listen::Bounded;
use crate::client::Backends;
use crate::measure::{Histogram, REQUEST_BOUNDS};

/// How long answers may take that are on their way when the server stops.
const GOODBYE: Duration = Duration::from_secs(2);
/// Eight blocks of the largest kind; a cluster of a thousand validators needs a tenth of it.
const MAX_HELD_BYTES: usize = 512 << 20;
/// Paths of requests that are passed on, as metrics tell them apart: clients could name any number of them.
const MAX_LABELS: usize = 256;
/// What is kept of the name of a client: as much as charon keeps.
const MAX_AGENT_CHARS: usize = 128;

/// Who answers validator clients.
pub trait Node: Send + Sync + 'static {
    /// Answers one request. It is dropped when the client is gone or its time is over.
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Answer, Problem>>;
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// With TLS, or without.
    pub tls: Option<Tls>,
    /// What `/eth/v1/node/version` says, and `/eth/v2/node/version` in parts: a name, a slash, and more; `charon` is in it.
    pub version: String,
    /// How long a request may take.
    pub timeout: Duration,
    /// For how long the root of the head is taken as it is: members of a sync committee ask for it all at once.
    pub head_life: Duration,
    /// Bytes of bodies of requests that are held at a time; more is refused with 503.
    pub max_held_bytes: usize,
}

impl Settings {
    /// Without TLS, and 10 s for a request, as charon has it. The root of the head is kept for 100 ms: a late vote for
    /// an old head is worse than one more question.
    #[must_use]
    pub fn new(address: SocketAddr, version: impl Into<String>) -> Settings {
        Settings {
            address,
            tls: None,
            version: version.into(),
            timeout: Duration::from_secs(10),
            head_life: Duration::from_millis(100),
            max_held_bytes: MAX_HELD_BYTES,
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The version.
    #[error(
        "the version `{0}` does not have `charon` in it, by which validator clients know a distributed validator"
    )]
    Version(String),
    /// TLS.
    #[error("the validator API cannot use TLS")]
    Tls(#[from] TlsError),
    /// The address.
    #[error("the validator API cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What was answered so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// By endpoint and type of the request's body.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// By endpoint and status; `proxy` is what was passed on.
    pub errors: BTreeMap<(&'static str, u16), u64>,
    /// By endpoint.
    pub latency: BTreeMap<&'static str, Histogram>,
    /// Of what was passed on, by path.
    pub proxy_latency: BTreeMap<String, Histogram>,
    /// The name of the client that asked last.
    pub user_agent: Option<String>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    metrics: Arc<Mutex<Metrics>>,
}

/// What all requests share.
struct Shared {
    node: Arc<dyn Node>,
    backends: Backends,
    version: String,
    timeout: Duration,
    head: Head,
    /// Bytes of bodies that may still be held.
    held: Arc<Semaphore>,
    metrics: Arc<Mutex<Metrics>>,
    stopped: watch::Receiver<bool>,
}

/// Starts a server.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    settings: Settings,
    node: Arc<dyn Node>,
    backends: Backends,
) -> Result<Server, StartError> {
    if !settings.version.to_lowercase().contains("charon") {
        return Err(StartError::Version(settings.version));
    }
    let at = |source| StartError::Listen { address: settings.address, source };
    let listener = TcpListener::bind(settings.address).await.map_err(at)?;
    let address = listener.local_addr().map_err(at)?;
    let bounded = Bounded::new(listener, settings.tls.as_ref())?;
    let (stop, stopped) = watch::channel(false);
    let metrics = Arc::new(Mutex::new(Metrics::default()));
    let shared = Shared {
        node,
        backends,
        version: settings.version,
        timeout: settings.timeout,
        head: Head::new(settings.head_life),
        held: Arc::new(Semaphore::new(settings.max_held_bytes)),
        metrics: Arc::clone(&metrics),
        stopped: stopped.clone(),
    };
    let router = Router::new()
        .fallback(handle::handle)
        .with_state(Arc::new(shared))
        .layer(middleware::from_fn(listen::note_asked));
    let service = router.into_make_service_with_connect_info::<listen::Asked>();
    let serving = axum::serve(bounded, service).with_graceful_shutdown(handle::until_stopped(stopped));
    let task = tokio::spawn(async move {
        // It ends only when it is told to.
        let _ = serving.await;
    });
    Ok(Server { address, stop, task, metrics })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was answered so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        lock(&self.metrics).clone()
    }

    /// What was answered so far, for somebody who asks often and does not have the server.
    pub fn measured(&self) -> impl Fn() -> Metrics + Send + Sync + 'static {
        let metrics = Arc::clone(&self.metrics);
        move || lock(&metrics).clone()
    }

    /// Stops it: streams end, answers that are on their way may still arrive.
    pub async fn stop(self) {
        // Nobody listens any more only if the task has ended.
        let _ = self.stop.send(true);
        let mut task = self.task;
        if timeout(GOODBYE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn lock(metrics: &Mutex<Metrics>) -> MutexGuard<'_, Metrics> {
    metrics.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    fn agent(&mut self, name: &str) {
        let name = name.chars().filter(|c| !c.is_control()).take(MAX_AGENT_CHARS);
        self.user_agent = Some(name.collect());
    }

    fn finished(&mut self, endpoint: &'static str, status: u16, took: Duration) {
        if status >= 400 {
            *self.errors.entry((endpoint, status)).or_default() += 1;
        }
        self.latency.entry(endpoint).or_insert_with(|| Histogram::new(REQUEST_BOUNDS)).observe(took);
    }

    fn passed_on(&mut self, path: &str, status: u16, took: Duration) {
        if status >= 400 {
            *self.errors.entry(("proxy", status)).or_default() += 1;
        }
        let label = route::label(path);
        let is_new = !self.proxy_latency.contains_key(&label);
        let label = if is_new && self.proxy_latency.len() >= MAX_LABELS { "other".to_owned() } else { label };
        self.proxy_latency.entry(label).or_insert_with(|| Histogram::new(REQUEST_BOUNDS)).observe(took);
    }
}
