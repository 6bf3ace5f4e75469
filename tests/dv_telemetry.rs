//! What a node and a relay tell to others over the real wire: traces to a collector, and the log to Loki.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

#[path = "support/ports.rs"]
mod ports;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use ports::free_port;
use prost::Message as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

/// Nothing here takes as long, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(120);
/// Where OTLP over gRPC is asked to take spans.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// What must be in no log.
const SECRET: &str = "geheim";

/// Killed with the value; what it says goes to a file.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(dir: &Path, name: &str, args: &[&str]) -> Process {
        let file = File::create(dir.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
        command.args(args).current_dir(dir).env_clear().env("HOME", dir);
        let out = file.try_clone().unwrap();
        Process(command.stdin(Stdio::null()).stdout(out).stderr(file).spawn().unwrap())
    }

    fn end(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

/// A collector: headers and what was sent.
struct Collector(mpsc::UnboundedSender<(Option<String>, ExportTraceServiceRequest)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned);
        let _ = self.0.send((token, request.into_inner()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Loki's push request, as far as it is read here.
#[derive(Clone, PartialEq, prost::Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "2")]
    line: String,
}

async fn pushed(State(lines): State<mpsc::UnboundedSender<(String, String)>>, body: Bytes) -> StatusCode {
    let bytes = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    for stream in Push::decode(&bytes[..]).unwrap().streams {
        for entry in stream.entries {
            let _ = lines.send((stream.labels.clone(), entry.line));
        }
    }
    StatusCode::NO_CONTENT
}

/// A Loki, and what it was told.
struct Loki {
    url: String,
    lines: mpsc::UnboundedReceiver<(String, String)>,
    seen: Vec<(String, String)>,
}

impl Loki {
    async fn start() -> Loki {
        let (tell, lines) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://us:{SECRET}@{}/push", listener.local_addr().unwrap());
        let router = Router::new().route("/push", post(pushed)).with_state(tell);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Loki { url, lines, seen: Vec::new() }
    }

    /// Waits for a line that has this in it; labels and line come back.
    async fn line(&mut self, text: &str) -> (String, String) {
        loop {
            if let Some(found) = self.seen.iter().find(|(_, line)| line.contains(text)) {
                return found.clone();
            }
            let next = tokio::time::timeout(LIMIT, self.lines.recv()).await;
            let Ok(Some(next)) = next else { panic!("no {text:?} in {:#?}", self.seen) };
            self.seen.push(next);
        }
    }
}

/// What the cluster expects the trace of a duty to be called: FNV-1a of the lock's hash and the duty.
fn trace(lock_hash: &[u8], duty: &str) -> [u8; 16] {
    let mut hash = 144_066_263_297_769_815_596_495_629_667_062_367_629_u128;
    for byte in lock_hash.iter().chain(duty.as_bytes()) {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul((1 << 88) + 0x13b);
    }
    hash.to_be_bytes()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn create_cluster(dir: &Path) -> Vec<u8> {
    let address = "0x0000000000000000000000000000000000000001";
    let made = Command::new(env!("CARGO_BIN_EXE_coxswain"))
        .args(["dv", "create", "cluster", "--name=told", "--network=hoodi", "--insecure-keys", "--nodes=4"])
        .args(["--num-validators=1", "--cluster-dir=.", "--withdrawal-addresses", address])
        .args(["--fee-recipient-addresses", address])
        .current_dir(dir)
        .env("HOME", dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let lock = fs::read_to_string(dir.join("node0/cluster-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    hex::decode(lock["lock_hash"].as_str().unwrap().trim_start_matches("0x")).unwrap()
}

/// The others are not there: values are fetched, and nothing is agreed on.
async fn check_spans(
    requests: &mut mpsc::UnboundedReceiver<(Option<String>, ExportTraceServiceRequest)>,
    hash: &[u8],
    start: &str,
) {
    let mut seen = Vec::new();
    'spans: loop {
        let next = tokio::time::timeout(LIMIT, requests.recv()).await;
        let Ok(Some((token, request))) = next else { panic!("no value was fetched: {seen:?}") };
        assert_eq!(token.as_deref(), Some(SECRET));
        for of_node in request.resource_spans {
            let said = of_node.resource.unwrap().attributes;
            assert_eq!(text(&said, "service.name"), Some(format!("{start}/try").as_str()));
            for span in of_node.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let duty = text(&span.attributes, "duty").or(text(&span.attributes, "service.instance.id"));
                assert_eq!(span.trace_id, trace(hash, duty.unwrap()), "{span:?}");
                if span.name == "core/fetcher.Fetch" {
                    break 'spans;
                }
                seen.push(span.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_tells_a_collector_and_loki_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let hash = create_cluster(dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = listener.local_addr().unwrap();
    let (tell, mut requests) = mpsc::unbounded_channel();
    let router = Router::new().route_service(EXPORT, TraceServiceServer::new(Collector(tell)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut loki = Loki::start().await;
    let [chain, api, monitoring] = [free_port(), free_port(), free_port()];
    let _chain = Process::start(
        dir.path(),
        "chain",
        &[
            "simnet",
            "chain",
            "--lock-file=node0/cluster-lock.json",
            "--genesis-in=2s",
            "--slot-duration=2s",
            "--slots-per-epoch=4",
            &format!("--listen=127.0.0.1:{chain}"),
        ],
    );
    let node = Process::start(
        dir.path(),
        "node",
        &[
            "dv",
            "run",
            "--lock-file=node0/cluster-lock.json",
            "--private-key-file=node0/charon-enr-private-key",
            &format!("--beacon-node-endpoints=http://127.0.0.1:{chain}"),
            &format!("--p2p-relays=http://127.0.0.1:{}", free_port()),
            &format!("--validator-api-address=127.0.0.1:{api}"),
            &format!("--monitoring-address=127.0.0.1:{monitoring}"),
            "--nickname=alone",
            &format!("--otlp-address={collector}"),
            &format!("--otlp-headers=authorization={SECRET}"),
            "--otlp-insecure",
            "--otlp-service-name=try",
            &format!("--loki-addresses={}", loki.url),
            "--loki-service=try",
        ],
    );
    let (labels, _) = loki.line("the node runs").await;
    let start: String = hex::encode(&hash).chars().take(7).collect();
    for label in [
        format!("cluster_hash=\"{start}\""),
        "cluster_name=\"told\"".to_owned(),
        "cluster_network=\"hoodi\"".to_owned(),
        "cluster_peer=\"node-0\"".to_owned(),
        "nickname=\"alone\"".to_owned(),
        "service=\"try\"".to_owned(),
    ] {
        assert!(labels.contains(&label), "{label}: {labels}");
    }
    check_spans(&mut requests, &hash, &start).await;
    assert_eq!(node.end(), Some(0));
    loki.line("the node ends").await;
    let log = fs::read_to_string(dir.path().join("node.log")).unwrap();
    assert!(log.contains("the node ends") && !log.contains(SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_tells_loki_what_it_does_also_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut loki = Loki::start().await;
    let nobody = format!("http://us:{SECRET}@127.0.0.1:{}/{SECRET}", free_port());
    let relay = Process::start(
        dir.path(),
        "relay",
        &[
            "dv",
            "relay",
            &format!("--p2p-tcp-address=127.0.0.1:{}", free_port()),
            "--http-address=",
            &format!("--loki-addresses={},{nobody}", loki.url),
        ],
    );
    let (labels, _) = loki.line("a key was made for this relay").await;
    assert!(labels.contains("relay_peer=\"16Uiu2") && labels.contains("service=\"charon\""), "{labels}");
    loki.line("the relay is ready").await;
    let (_, told) = loki.line("Loki does not take the log").await;
    assert!(told.contains("127.0.0.1") && !told.contains(SECRET), "{told}");
    assert_eq!(relay.end(), Some(0));
    loki.line("the relay ends").await;
    let log = fs::read_to_string(dir.path().join("relay.log")).unwrap();
    assert_eq!(log.matches("Loki does not take the log").count(), 1, "{log}");
    assert!(!log.contains(SECRET), "{log}");
}
