//! Servers that take lines, refuse them, or say nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use prost::Message as _;
use tokio::net::TcpListener;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::push::{PushRequest, TARGET, pause, text};
use super::*;

/// No test takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// What a server got: who says it, what it is, and what is in it.
type Got = (HeaderMap, PushRequest);

#[derive(Clone)]
struct Answers {
    /// One for each request; then 204.
    statuses: Arc<std::sync::Mutex<Vec<u16>>>,
    got: mpsc::UnboundedSender<Got>,
}

async fn take(State(answers): State<Answers>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let bytes = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
    let push = PushRequest::decode(&bytes[..]).expect("a push request");
    let status = answers.statuses.lock().expect("a lock").pop().unwrap_or(204);
    answers.got.send((headers, push)).expect("somebody who reads");
    StatusCode::from_u16(status).expect("a status")
}

/// A server that gives these answers, the last one first.
async fn serve(statuses: &[u16]) -> (SocketAddr, mpsc::UnboundedReceiver<Got>) {
    let (got, requests) = mpsc::unbounded_channel();
    let answers = Answers { statuses: Arc::new(std::sync::Mutex::new(statuses.to_vec())), got };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().route("/loki/api/v1/push", post(take)).with_state(answers);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, requests)
}

fn start(address: SocketAddr) -> Loki {
    let loki_addresses = vec![format!("http://us:er@{address}/loki/api/v1/push"), String::new()];
    LokiArgs { loki_addresses, loki_service: "charon".to_owned() }.start().expect("a sender")
}

/// Puts every event there.
struct Put(Outbox);

impl<S: Subscriber> Layer<S> for Put {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.put(&Entry::of(event, jiff::Zoned::now()));
    }
}

fn log(loki: &Loki, write: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Put(loki.outbox())), write);
}

async fn next(requests: &mut mpsc::UnboundedReceiver<Got>) -> Got {
    tokio::time::timeout(LIMIT, requests.recv()).await.expect("in time").expect("a server")
}

fn lines(push: &PushRequest) -> Vec<&str> {
    push.streams.iter().flat_map(|stream| &stream.entries).map(|entry| entry.line.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_arrive_with_labels_and_times() {
    let (address, mut requests) = serve(&[]).await;
    let loki = start(address);
    let before = jiff::Timestamp::now().as_second();
    log(&loki, || {
        tracing::info!(slot = 7, "first\nline");
        tracing::debug!(target: TARGET, "second");
    });
    loki.label([("cluster_name", "a \"b\"".to_owned()), ("nickname", String::new())]);
    let (headers, push) = next(&mut requests).await;
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["authorization"], "Basic dXM6ZXI=");
    let [stream] = &push.streams[..] else { panic!("{push:?}") };
    assert_eq!(stream.labels, r#"{cluster_name="a \"b\"",service="charon"}"#);
    let [first, second] = &stream.entries[..] else { panic!("{push:?}") };
    let parts = [
        "ts=",
        " level=info ",
        " msg=\"first line\" topic=tests slot=7 pretty=\"",
        "\\u001b[",
        "\\\"slot\\\":7",
    ];
    for part in parts {
        assert!(first.line.contains(part), "{part:?}: {}", first.line);
    }
    assert!(second.line.contains(" topic=loki "), "as charon's lines about it: {}", second.line);
    assert!(second.line.contains(" level=debug ") && !second.line.contains('\n'), "{}", second.line);
    let at = first.timestamp.expect("a time");
    assert!((before..=before + 60).contains(&at.seconds), "{at:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_sends_what_is_left_even_if_nobody_knows_which_node_it_is() {
    let (address, mut requests) = serve(&[]).await;
    let loki = start(address);
    log(&loki, || tracing::error!("it cannot start"));
    drop(loki);
    let (_, push) = requests.try_recv().expect("what was sent before the end");
    assert_eq!(push.streams[0].labels, r#"{service="charon"}"#);
    assert_eq!(lines(&push).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_line_goes_without_its_pretty_half_and_a_longer_one_not_at_all() {
    let (address, mut requests) = serve(&[]).await;
    let loki = start(address);
    loki.label([]);
    log(&loki, || {
        tracing::info!(what = "x".repeat(3_000), "long");
        tracing::info!(what = "x".repeat(5_000), "too long");
    });
    let dropped = loki.dropped();
    drop(loki);
    let (_, push) = next(&mut requests).await;
    let lines = lines(&push);
    assert_eq!((lines.len(), lines[0].contains("pretty=")), (1, false));
    assert!(lines[0].contains("msg=long"), "{}", lines[0]);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_cannot_take_now_is_sent_again() {
    let (address, mut requests) = serve(&[503]).await;
    let loki = start(address);
    loki.label([]);
    log(&loki, || tracing::info!("again"));
    let (_, first) = next(&mut requests).await;
    log(&loki, || tracing::info!("more"));
    let (_, second) = next(&mut requests).await;
    let (first, second) = (lines(&first), lines(&second));
    assert_eq!((first.len(), second.len()), (1, 2));
    assert_eq!(first[0], second[0]);
    assert_eq!(loki.dropped().load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_is_dropped_and_holds_up_nothing() {
    let (address, mut requests) = serve(&[400]).await;
    let loki = start(address);
    loki.label([]);
    log(&loki, || tracing::info!("too old"));
    let (_, first) = next(&mut requests).await;
    log(&loki, || tracing::info!("new"));
    let (_, second) = next(&mut requests).await;
    assert!(lines(&first)[0].contains("too old") && lines(&second)[0].contains("msg=new"));
    assert_eq!((lines(&second).len(), loki.dropped().load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_fills_no_memory_and_does_not_hold_up_the_end() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let loki = start(silent.local_addr().expect("an address"));
    loki.label([]);
    // 12 MB: 5 MB are in a batch, and 1,000 lines wait.
    log(&loki, || {
        for _ in 0..3_000 {
            tracing::info!(what = "x".repeat(3_900), "much");
        }
    });
    let dropped = loki.dropped().load(Ordering::Relaxed);
    assert!((600..3_000).contains(&dropped), "{dropped}");
    let begun = Instant::now();
    drop(loki);
    assert!(begun.elapsed() < LIMIT, "the end waits 2 s for the last lines");
    drop(silent);
}

#[test]
fn addresses_that_are_none_are_refused_without_their_text() {
    for address in ["ftp://secret", "secret", "http://:secret"] {
        let loki_addresses = vec![address.to_owned()];
        let args = LokiArgs { loki_addresses, loki_service: "charon".to_owned() };
        let error = format!("{:?}", args.start().expect_err("a refusal"));
        assert!(error.contains("--loki-addresses") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn without_addresses_nothing_runs() {
    let args = LokiArgs { loki_addresses: vec![String::new()], loki_service: "charon".to_owned() };
    let loki = args.start().expect("nothing to start");
    assert!(loki.outbox().is_empty() && loki.ended.is_none());
}

#[test]
fn pauses_grow_up_to_two_minutes() {
    let seconds = [1, 2, 3, 11, 12, 1_000].map(|failures| pause(failures).as_secs_f64().round());
    assert_eq!(seconds, [1.0, 2.0, 3.0, 110.0, 120.0, 120.0]);
}

#[test]
fn labels_are_quoted() {
    let labels = Labels::from([("a", "x\\y\n".to_owned()), ("b", String::new())]);
    assert_eq!(text("s\"", labels), r#"{a="x\\y\n",service="s\""}"#);
}
