//! A small service for definitions and locks, as charon and we publish and fetch them: for people who do not want to
//! depend on somebody else's.
//!
//! ```text
//! POST /v1/termsAndConditions   agreed to by who signs it; nothing is kept of it
//! POST /v1/definition           ─check→ ─store→ 201        GET /v1/definition/0x<config hash>
//! POST /lock                    ─check→ ─store→ 201        GET /lock/0x<lock hash>
//! ```
//!
//! What is there is never replaced: 409 is the answer, which clients take for success. Everybody may read, and whoever
//! has signed may write; so the whole store has a limit, and so has the number of writes.
//!
//! # What must never happen
//!
//! - Something is kept whose hashes or signatures are wrong.
//! - What was answered with 201 is gone after a crash.
//! - A client takes memory, time or room without a limit.

mod body;
mod check;
mod pace;
mod store;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use coxswain_dv_types::cluster::ContractQuestion;
use coxswain_dv_types::network::Networks;
use tokio::sync::Semaphore;

use super::contracts::Contracts;
use body::{Bodies, Held};
use pace::Pace;
pub use store::{Kind, Store, StoreError};

/// Largest definition, as charon reads them.
const MAX_DEFINITION_BYTES: usize = 16 << 20;
/// Largest lock: ten thousand validators have some 23 MB.
const MAX_LOCK_BYTES: usize = 64 << 20;
/// Largest agreement to the terms.
const MAX_TERMS_BYTES: usize = 16 << 10;
/// Bodies that are being checked at one moment.
const MAX_CHECKS: usize = 4;
/// Writes that may come at once, and how long one of them takes to be given back.
const BURST: u32 = 60;
const PER_WRITE: Duration = Duration::from_millis(500);

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    /// What is wrong.
    message: String,
    /// What to do about it.
    next: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, message: impl ToString, next: &'static str) -> Refusal {
        Refusal { status, message: message.to_string(), next }
    }

    fn response(&self) -> Response {
        tracing::info!(status = self.status.as_u16(), message = %self.message, "a request was refused");
        let body = serde_json::json!({ "message": self.message, "next": self.next });
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

/// What the service works with.
pub struct Service {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// Which networks there are.
    pub networks: Networks,
    /// Who answers for contracts that sign.
    pub contracts: Contracts,
}

struct Inner {
    service: Service,
    bodies: Bodies,
    checks: Semaphore,
    /// Shared by all requests; held for no longer than a calculation.
    pace: Mutex<Pace>,
}

type Shared = State<Arc<Inner>>;

/// The answers of the service.
pub fn router(service: Service) -> Router {
    let pace = Mutex::new(Pace::new(BURST, PER_WRITE, Instant::now()));
    let inner = Arc::new(Inner { service, bodies: Bodies::new(), checks: Semaphore::new(MAX_CHECKS), pace });
    let mut router = Router::new()
        .route("/v1/termsAndConditions", post(terms))
        .route("/v1/definition", post(definition))
        .route("/v1/definition/{hash}", get(fetch_definition));
    // Clients send locks to the root of the host, and people look for them beside definitions.
    for base in ["", "/v1"] {
        router = router
            .route(&format!("{base}/lock"), post(lock))
            .route(&format!("{base}/lock/{{hash}}"), get(fetch_lock))
            .route(&format!("{base}/lock/{{hash}}/launchpad"), get(fetch_lock));
    }
    router.fallback(unknown).method_not_allowed_fallback(unknown).with_state(inner)
}

async fn unknown() -> Response {
    let next = "definitions are at /v1/definition, locks at /lock; GET adds the hash";
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing of this name here", next).response()
}

async fn terms(State(inner): Shared, request: Request) -> Response {
    answer(async {
        let signature = check::bearer(request.headers())?;
        let body = inner.body(request, MAX_TERMS_BYTES).await?;
        check::terms(&body.bytes, &signature)?;
        Ok(StatusCode::OK.into_response())
    })
    .await
}

async fn definition(State(inner): Shared, request: Request) -> Response {
    answer(async {
        let signature = check::bearer(request.headers())?;
        let body = inner.body(request, MAX_DEFINITION_BYTES).await?;
        let checked =
            inner.check(body, move |body, networks| check::definition(body, &signature, networks)).await?;
        inner.keep(Kind::Definition, checked).await
    })
    .await
}

async fn lock(State(inner): Shared, request: Request) -> Response {
    answer(async {
        let body = inner.body(request, MAX_LOCK_BYTES).await?;
        let checked = inner.check(body, check::lock).await?;
        inner.keep(Kind::Lock, checked).await
    })
    .await
}

async fn fetch_definition(State(inner): Shared, Path(hash): Path<String>) -> Response {
    answer(inner.fetch(Kind::Definition, &hash)).await
}

async fn fetch_lock(State(inner): Shared, Path(hash): Path<String>) -> Response {
    answer(inner.fetch(Kind::Lock, &hash)).await
}

async fn answer(work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    work.await.unwrap_or_else(|refusal| refusal.response())
}

/// Work that takes a processor or waits for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |_| {
        let next = "try again; if it stays, tell who runs this service";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the service failed", next)
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

impl Inner {
    /// The body of a request that may write.
    async fn body(&self, request: Request, max: usize) -> Result<Held, Refusal> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()).map_err(|wait| {
            let message =
                format!("there are too many requests; the next one has room in {} s", wait.as_secs() + 1);
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, message, "try again then")
        })?;
        self.bodies.read(request, max).await
    }

    /// Checks what came, where a processor is free for it.
    async fn check<T: Send + 'static>(
        &self,
        body: Held,
        check: impl FnOnce(&[u8], &Networks) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _place = self.checks.acquire().await.expect("nobody closes the places");
        let networks = self.service.networks.clone();
        blocking(move || check(&body.bytes, &networks)).await
    }

    /// Keeps what was checked, once contracts have confirmed what only they can.
    async fn keep(&self, kind: Kind, checked: check::Checked) -> Result<Response, Refusal> {
        self.settle(&checked.questions).await?;
        let (store, hash, text) = (Arc::clone(&self.service.store), checked.hash, checked.text);
        let kept = blocking(move || store.keep(kind, &hash, text.as_bytes()).map_err(refusal)).await;
        let name = format!("0x{}", hex::encode(hash));
        kept?;
        tracing::info!(kind = kind.name(), hash = %name, "something new is kept");
        let body = serde_json::json!({ kind.hash_name(): name });
        Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body.to_string())
            .into_response())
    }

    async fn settle(&self, questions: &[ContractQuestion]) -> Result<(), Refusal> {
        self.service.contracts.settle(questions).await.map_err(|unsettled| {
            let next =
                "ask who signed it; contracts need an execution client, which who runs this service names";
            Refusal::new(StatusCode::BAD_REQUEST, unsettled, next)
        })
    }

    async fn fetch(&self, kind: Kind, text: &str) -> Result<Response, Refusal> {
        let hash = check::hash(text)?;
        let store = Arc::clone(&self.service.store);
        let (file, length) = blocking(move || store.open(kind, &hash).map_err(refusal)).await?;
        let body = Body::from_stream(store::chunks(file));
        let headers =
            [(header::CONTENT_TYPE, "application/json".into()), (header::CONTENT_LENGTH, length.to_string())];
        Ok((headers, body).into_response())
    }
}

fn refusal(error: StoreError) -> Refusal {
    let (status, next) = match &error {
        StoreError::Exists(_) => (StatusCode::CONFLICT, "it is kept as it is; fetch it to compare"),
        StoreError::Missing(_) => {
            (StatusCode::NOT_FOUND, "check the hash; it may have been published elsewhere")
        }
        StoreError::Full { .. } => (
            StatusCode::INSUFFICIENT_STORAGE,
            "ask who runs this service to make room, or to raise --max-size-mb",
        ),
        StoreError::Disk(..) | StoreError::Read { .. } => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store does not work");
            (StatusCode::INTERNAL_SERVER_ERROR, "tell who runs this service; its log says more")
        }
    };
    Refusal::new(status, error, next)
}
