//! A server in this process for commands that run as processes of their own: it keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value as Json;
use tokio::net::TcpListener;

/// Largest request that is kept.
const MAX_REQUEST: usize = 16 << 20;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `POST /lock`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// A status and a body.
    Text(u16, String),
    /// 302 or 307 to this place.
    To(u16, String),
    /// Bytes without end.
    Endless,
    /// Nothing, for ever.
    Silence,
    /// The connection is closed without a word.
    Closed,
}

impl Reply {
    pub(crate) fn ok(json: &Json) -> Reply {
        Reply::Text(200, json.to_string())
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// Answers every request with what the function says.
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, MAX_REQUEST).await.expect("a body").to_vec();
                let line = format!("{} {}", parts.method, parts.uri);
                let seen = Seen { line, headers: parts.headers, body };
                kept.lock().expect("a lock").push(seen.clone());
                respond(answer(&seen)).await
            }
        });
        let bound = runtime.block_on(async { TcpListener::bind("127.0.0.1:0").await.expect("a port") });
        let address: SocketAddr = bound.local_addr().expect("an address");
        runtime.spawn(async move { axum::serve(bound, router).await });
        Server { url: format!("http://{address}"), seen, runtime: Some(runtime) }
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }

    /// The lines of it.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn respond(reply: Reply) -> Response {
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match reply {
        Reply::Text(code, body) => (status(code), body).into_response(),
        Reply::To(code, place) => (status(code), [("location", place)]).into_response(),
        Reply::Endless => {
            let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
            Body::from_stream(chunks).into_response()
        }
        Reply::Silence => std::future::pending().await,
        Reply::Closed => {
            let broken = futures::stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("closed")) });
            Body::from_stream(broken).into_response()
        }
    }
}
