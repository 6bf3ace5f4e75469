//! A tracer that is told a story, and collectors that listen, are slow, or are not there.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use coxswain_dv_core::Step;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::protect::Signer;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as Received, Status as ReceivedStatus};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::net::TcpListener;
use tonic::{Request, Response};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::spans::{MAX_OPEN, Status, Value};
use super::*;

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
const ATTESTER: Duty = Duty { slot: 10, kind: DutyType::Attester };
const ONE: Bytes48 = Bytes([1; 48]);
const TWO: Bytes48 = Bytes([2; 48]);
/// Where OTLP over gRPC is asked to take spans.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// No test takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(60);

fn spans() -> Spans {
    Spans::new(CLOCK, 3, Ids::new(vec![7; 32], SmallRng::seed_from_u64(1)))
}

fn millis(at: u64) -> Time {
    Time(Duration::from_millis(at))
}

fn step(step: Step, key: Bytes48) -> Note {
    Note::Duty { duty: ATTESTER, step, key: Some(key), share: None, error: None }
}

fn partial(step: Step, key: Bytes48, share: u32) -> Note {
    Note::Duty { duty: ATTESTER, step, key: Some(key), share: Some(share), error: None }
}

/// An attestation of two validators: it begins at 124 s.
fn story() -> Vec<(Time, Note)> {
    let both = |at: u64, what: Step| [ONE, TWO].map(|key| (millis(at), step(what, key)));
    let shares =
        |at: u64, what: Step, share: u32| [ONE, TWO].map(|key| (millis(at), partial(what, key, share)));
    let decided = Note::Decided { duty: ATTESTER, round: 1, leader: 2, took: Duration::from_millis(60) };
    [
        both(124_050, Step::Fetcher).to_vec(),
        vec![(millis(124_120), decided)],
        both(124_120, Step::Consensus).to_vec(),
        both(124_120, Step::DutyDb).to_vec(),
        shares(124_200, Step::ParSigDbLocal, 1).to_vec(),
        both(124_200, Step::ParSigEx).to_vec(),
        shares(124_210, Step::ParSigDbExternal, 2).to_vec(),
        shares(124_220, Step::ParSigDbExternal, 3).to_vec(),
        shares(124_225, Step::ParSigDbExternal, 4).to_vec(),
        both(124_230, Step::SigAgg).to_vec(),
        both(124_240, Step::AggSigDb).to_vec(),
        both(124_300, Step::Bcast).to_vec(),
    ]
    .concat()
}

/// Name, and milliseconds from and to.
fn times(spans: &[Span]) -> Vec<(&str, u128, u128)> {
    spans.iter().map(|span| (span.name.as_str(), span.from.0.as_millis(), span.to.0.as_millis())).collect()
}

fn tell(spans: &mut Spans, notes: &[(Time, Note)]) -> Vec<Span> {
    notes.iter().flat_map(|(at, note)| spans.note(*at, note)).collect()
}

#[test]
fn a_duty_is_a_trace_and_its_steps_are_spans_of_it() {
    let mut spans = spans();
    let mut all = tell(&mut spans, &story());
    all.extend(spans.end());
    assert_eq!(
        times(&all),
        [
            ("core/fetcher.Fetch", 124_000, 124_050),
            ("core/qbft.runInstance", 124_060, 124_120),
            ("core/dutydb.Store", 124_120, 124_120),
            ("core/parsigdb.StoreInternal", 124_200, 124_200),
            ("core/parsigex.Broadcast", 124_200, 124_200),
            ("core/parsigdb.StoreExternal", 124_210, 124_210),
            ("core/parsigdb.StoreExternal", 124_220, 124_220),
            ("core/parsigdb.StoreExternal", 124_225, 124_225),
            ("core/sigagg.Aggregate", 124_220, 124_230),
            ("core/aggsigdb.Store", 124_240, 124_240),
            ("core/broadcaster.Broadcast", 124_240, 124_300),
            ("core/duty.attester", 124_000, 124_300),
        ]
    );
    let root = all.last().expect("a span");
    assert_eq!((root.parent, &root.status), (None, &Status::Done));
    assert_eq!(root.attributes[0], ("service.instance.id", Value::Text("10/attester".into())));
    for span in &all[..all.len() - 1] {
        assert_eq!((span.parent, span.trace), (Some(root.id), root.trace), "{}", span.name);
        assert_eq!(span.status, Status::Done, "{}", span.name);
        assert_eq!(span.attributes[0], ("duty", Value::Text("10/attester".into())));
    }
    assert_eq!(all[0].attributes[1], ("validators", Value::Number(2)));
    assert_eq!(all[1].attributes[1..], [("round", Value::Number(1)), ("leader", Value::Number(2))]);
    assert_eq!(all[6].attributes[2], ("share", Value::Number(3)));
    let mut ids: Vec<_> = all.iter().map(|span| span.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "every span has an id of its own");
}

/// Shares are put together from when there are enough good ones: one that turned out bad is none of them, whether the others
/// were enough already or not.
#[test]
fn bad_shares_are_none_of_those_that_are_enough() {
    let began = |bad: u32| {
        let mut spans = spans();
        let share = |at: u64, share: u32| (millis(at), partial(Step::ParSigDbExternal, ONE, share));
        let withdrawn = Note::Withdrawn { duty: ATTESTER, key: ONE, share: bad };
        let notes = [
            share(124_200, 1),
            share(124_210, 2),
            share(124_220, 3),
            share(124_240, 4),
            (millis(124_250), withdrawn),
            (millis(124_260), step(Step::SigAgg, ONE)),
        ];
        let mut all = tell(&mut spans, &notes);
        all.extend(spans.end());
        let found = times(&all).into_iter().find(|span| span.0 == "core/sigagg.Aggregate");
        let (_, from, _) = found.expect("it is put together");
        from
    };
    assert_eq!(began(2), 124_240, "the fourth was needed");
    assert_eq!(began(4), 124_220, "three were enough before");
    assert_eq!(began(9), 124_220, "it is none of them");
}

#[test]
fn a_step_of_one_validator_names_it_and_a_failure_says_why() {
    let mut spans = spans();
    let failed = Note::Duty {
        duty: ATTESTER,
        step: Step::Bcast,
        key: Some(ONE),
        share: None,
        error: Some("ä".repeat(600)),
    };
    let why = Status::Failed("ä".repeat(512));
    let mut all =
        tell(&mut spans, &[(millis(124_000), failed), (millis(124_001), step(Step::AggSigDb, TWO))]);
    all.extend(spans.end());
    assert_eq!(all[0].attributes[1], ("pubkey", Value::Text(ONE.to_string())));
    assert_eq!((&all[0].status, &all[1].status, &all[2].status), (&why, &Status::Done, &why));
}

#[test]
fn what_could_be_slashed_is_a_failure_of_its_duty() {
    let mut spans = spans();
    let why = "another block of this slot".to_owned();
    let note = Note::Slashable { key: ONE, duty: ATTESTER, signer: Signer::Share, why: why.clone() };
    let mut all = spans.note(millis(124_000), &note);
    all.extend(spans.end());
    assert_eq!((all[0].name.as_str(), &all[0].status), ("core/slashing.Judge", &Status::Failed(why.clone())));
    assert_eq!((all[1].name.as_str(), &all[1].status), ("core/duty.attester", &Status::Failed(why)));
}

#[test]
fn a_duty_ends_after_a_slot_of_silence_and_what_comes_later_is_another_span_of_its_trace() {
    let mut spans = spans();
    let first = tell(&mut spans, &story());
    let slot = |slot: u64| (CLOCK.start_of(slot), Note::Slot { slot, skipped: 0 });
    // What is pending ends with the moment, the duty not yet: its last step was 7.7 s ago.
    let soon = tell(&mut spans, &[slot(11)]);
    assert_eq!(times(&soon).iter().map(|span| span.0).collect::<Vec<_>>(), ["core/broadcaster.Broadcast"]);
    let quiet = tell(&mut spans, &[slot(12)]);
    assert_eq!(times(&quiet), [("core/duty.attester", 124_000, 124_300)]);
    let mut late = tell(&mut spans, &[(millis(150_000), partial(Step::ParSigDbExternal, ONE, 4))]);
    late.extend(spans.end());
    assert_eq!(late.len(), 2);
    assert_eq!((late[1].trace, late[1].parent), (first[0].trace, None));
    assert_ne!(late[1].id, quiet[0].id);
}

#[test]
fn duties_under_way_are_limited_and_the_quietest_gives_way() {
    let mut spans = spans();
    let mut ended = Vec::new();
    let count = MAX_OPEN as u64 + 10;
    for slot in 0..count {
        let duty = Duty::new(slot, DutyType::Randao);
        let note = Note::Duty { duty, step: Step::ParSigEx, key: Some(ONE), share: None, error: None };
        ended.extend(spans.note(millis(1_000 + slot), &note));
    }
    let closed = ended.iter().filter(|span| span.parent.is_none());
    let closed: Vec<String> = closed.map(|span| format!("{:?}", span.attributes[1].1)).collect();
    // The last note is not counted yet.
    assert_eq!(closed, (0..9).map(|slot| format!("Number({slot})")).collect::<Vec<_>>());
    let last = spans.end();
    assert_eq!(last.iter().filter(|span| span.parent.is_none()).count(), MAX_OPEN + 1);
}

/// A collector of the real protocol.
struct Listening {
    /// Headers by name, and what was sent.
    requests: mpsc::UnboundedSender<(Option<String>, ExportTraceServiceRequest)>,
    /// How many requests are refused before one is taken.
    refused: AtomicU64,
}

#[tonic::async_trait]
impl TraceService for Listening {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, tonic::Status> {
        let token = request.metadata().get("x-token").and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned);
        let _ = self.requests.send((token, request.into_inner()));
        let left =
            self.refused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(tonic::Status::unauthenticated("not with `a secret`"));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

type Requests = mpsc::UnboundedReceiver<(Option<String>, ExportTraceServiceRequest)>;

fn listen(listener: TcpListener, refused: u64) -> Requests {
    let (requests, taken) = mpsc::unbounded_channel();
    let service = TraceServiceServer::new(Listening { requests, refused: refused.into() });
    let router = Router::new().route_service(EXPORT, service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    taken
}

async fn bind() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
    (listener.local_addr().expect("an address"), listener)
}

/// Nobody else.
struct Alone;

impl Watch for Alone {
    fn note(&mut self, _: Time, _: &Note) {}
    fn record(&mut self, _: Record) {}
}

fn collector(address: SocketAddr) -> Collector {
    let headers = vec![("x-token".to_owned(), "a secret".to_owned())];
    Collector { address: address.to_string(), tls: Tls::Off, headers }
}

fn about() -> About {
    About {
        lock_hash: vec![0xab; 32],
        service: "charon".to_owned(),
        version: "v1.11.0".to_owned(),
        node: "node-2".to_owned(),
        nickname: "nick".to_owned(),
        threshold: 3,
        clock: CLOCK,
    }
}

/// Until everything is sent: the limit of 2 s is that of a node which ends.
async fn end(tracer: Tracer, exporting: Exporting) {
    drop(tracer);
    tokio::time::timeout(LIMIT, exporting.0).await.expect("in time").expect("no panic");
}

fn attributes(of: &[KeyValue]) -> Vec<(String, String)> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    of.iter().map(|one| (one.key.clone(), text(one))).collect()
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_a_duty() {
    let (address, listener) = bind().await;
    let mut requests = listen(listener, 0);
    let (mut tracer, exporting) = start(&collector(address), &about(), Box::new(Alone)).expect("a tracer");
    for (at, note) in story() {
        tracer.note(at, &note);
    }
    end(tracer, exporting).await;
    let (token, request) = requests.try_recv().expect("what was sent before the end");
    assert_eq!(token.as_deref(), Some("a secret"));
    assert!(requests.try_recv().is_err(), "it is one request");
    let [resource] = &request.resource_spans[..] else { panic!("{request:?}") };
    let said = attributes(&resource.resource.as_ref().expect("a resource").attributes);
    let said = |key: &str| said.iter().find(|(at, _)| at == key).map(|(_, value)| value.as_str());
    assert_eq!(said("service.name"), Some("abababa/charon"));
    assert_eq!(said("cluster_peer"), Some("node-2"));
    let spans: Vec<&Received> = resource.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    assert_eq!(spans.len(), 12);
    let root = spans.iter().find(|span| span.name == "core/duty.attester").expect("the duty");
    assert!(root.parent_span_id.is_empty());
    let trace = Ids::new(vec![0xab; 32], SmallRng::seed_from_u64(0)).trace(ATTESTER);
    let done = ReceivedStatus { code: StatusCode::Ok.into(), message: String::new() };
    for span in &spans {
        assert_eq!(span.trace_id, trace.to_be_bytes(), "{}", span.name);
        assert_eq!(span.status.as_ref(), Some(&done), "{}", span.name);
        assert!(span.name == root.name || span.parent_span_id == root.span_id, "{}", span.name);
    }
    assert_eq!(root.start_time_unix_nano, 124_000_000_000);
    assert_eq!(root.end_time_unix_nano, 124_300_000_000);
}

#[tokio::test]
async fn spans_are_sent_while_the_node_runs() {
    let (address, listener) = bind().await;
    let mut requests = listen(listener, 0);
    let (mut tracer, _exporting) = start(&collector(address), &about(), Box::new(Alone)).expect("a tracer");
    for (at, note) in story() {
        tracer.note(at, &note);
    }
    let request = tokio::time::timeout(LIMIT, requests.recv()).await.expect("in time");
    assert!(request.is_some(), "the tracer is still there");
    drop(tracer);
}

/// Keeps what the log says.
#[derive(Clone, Default)]
struct Said(Arc<std::sync::Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!(" {field}={value:?}");
            }
        }
        if event.metadata().target().starts_with("coxswain") {
            let mut text = Text(event.metadata().level().to_string());
            event.record(&mut text);
            self.0.lock().expect("a lock").push(text.0);
        }
    }
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_once_and_once_when_it_takes_traces_again() {
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(said.clone()));
    let (address, listener) = bind().await;
    let mut requests = listen(listener, 2);
    let (mut tracer, exporting) = start(&collector(address), &about(), Box::new(Alone)).expect("a tracer");
    for at in 0..2_000 {
        tracer.note(millis(124_000 + at), &step(Step::ParSigEx, ONE));
    }
    end(tracer, exporting).await;
    let sizes = std::iter::from_fn(|| requests.try_recv().ok())
        .map(|(_, request)| request.resource_spans[0].scope_spans[0].spans.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [512, 512, 512, 2_001 - 3 * 512]);
    let said = said.0.lock().expect("a lock").clone();
    let [fails, again] = &said[..] else { panic!("{said:#?}") };
    assert!(fails.starts_with("WARN") && fails.contains("takes no traces"), "{fails}");
    assert!(fails.contains("Unauthenticated") && !fails.contains("secret"), "{fails}");
    assert!(again.starts_with("INFO") && again.contains("lost=1024"), "{again}");
}

/// More than the queue holds, at once.
fn flood(tracer: &mut Tracer) {
    for slot in 0..export::QUEUE as u64 * 2 {
        let duty = Duty::new(slot, DutyType::Randao);
        let note = Note::Duty { duty, step: Step::ParSigEx, key: Some(ONE), share: None, error: None };
        tracer.note(millis(1_000 + slot), &note);
    }
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_nobody_and_fills_nothing() {
    // It takes connections, and says nothing.
    let (address, silent) = bind().await;
    let (mut tracer, exporting) = start(&collector(address), &about(), Box::new(Alone)).expect("a tracer");
    flood(&mut tracer);
    let lost = Arc::clone(&tracer.lost);
    assert!(lost.load(Ordering::Relaxed) >= export::QUEUE as u64, "{lost:?}");
    let begun = std::time::Instant::now();
    drop(tracer);
    exporting.end().await;
    assert!(begun.elapsed() < LIMIT, "the end of a node waits 2 s for the last spans");
    drop(silent);
}

#[tokio::test]
async fn a_collector_that_is_not_there_loses_spans_and_nothing_else() {
    let (address, listener) = bind().await;
    drop(listener);
    let (mut tracer, exporting) = start(&collector(address), &about(), Box::new(Alone)).expect("a tracer");
    flood(&mut tracer);
    drop(tracer);
    exporting.end().await;
}

#[tokio::test]
async fn headers_that_are_none_are_refused_without_their_text() {
    for (name, value) in [("two words", "secret"), ("x-token", "secret\n"), ("x-token-bin", "secret")] {
        let headers = vec![("fine".to_owned(), "fine".to_owned()), (name.to_owned(), value.to_owned())];
        let collector = Collector { address: "127.0.0.1:4317".to_owned(), tls: Tls::Off, headers };
        let error = start(&collector, &about(), Box::new(Alone)).err().expect("a refusal").to_string();
        assert!(error.contains("header 2") && !error.contains("secret"), "{error}");
    }
}
