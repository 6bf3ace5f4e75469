//! A beacon node that does what a test says, over a real socket.

#![expect(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use coxswain_dv_beacon::client::{Address, Backends, Settings};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal, SignedProposal};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// What the node does.
pub(crate) enum Act {
    /// Answers.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Never answers.
    Hang,
    /// Sends zeros without an end.
    Endless,
    /// Sends what comes from the channel, for as long as it is open.
    Stream(mpsc::UnboundedReceiver<Bytes>),
}

impl Act {
    pub(crate) fn json(body: &Value) -> Act {
        Act::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &Value) -> Act {
        Act::Reply(
            status,
            vec![("content-type", "application/json".to_owned())],
            body.to_string().into_bytes(),
        )
    }

    pub(crate) fn error(status: u16, message: &str) -> Act {
        Act::status(status, &json!({"code": status, "message": message}))
    }
}

type Rule = Box<dyn FnMut(&Seen) -> Act + Send>;

/// The node.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: watch::Receiver<Vec<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

struct Inner {
    rule: Mutex<Rule>,
    seen: watch::Sender<Vec<Seen>>,
}

impl Fake {
    pub(crate) async fn start(rule: impl FnMut(&Seen) -> Act + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Fake::on(listener, rule)
    }

    pub(crate) fn on(listener: TcpListener, rule: impl FnMut(&Seen) -> Act + Send + 'static) -> Fake {
        let address = listener.local_addr().expect("bound");
        let (sender, seen) = watch::channel(Vec::new());
        let inner = Arc::new(Inner { rule: Mutex::new(Box::new(rule)), seen: sender });
        let router = Router::new().fallback(answer).with_state(inner);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Fake { address, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, requests: usize) -> Vec<Seen> {
        let mut seen = self.seen.clone();
        seen.wait_for(|seen| seen.len() >= requests).await.expect("it runs").clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let seen = Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: axum::body::to_bytes(body, 256 << 20).await.expect("a body"),
    };
    let act = (inner.rule.lock().expect("not poisoned"))(&seen);
    inner.seen.send_modify(|all| all.push(seen));
    match act {
        Act::Reply(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).expect("a response")
        }
        Act::Hang => std::future::pending().await,
        Act::Endless => {
            let zeros =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 16])));
            Response::new(Body::from_stream(zeros))
        }
        Act::Stream(receiver) => {
            let chunks = futures::stream::unfold(receiver, |mut receiver| async move {
                receiver.recv().await.map(|chunk| (Ok::<_, std::io::Error>(chunk), receiver))
            });
            let body = Body::from_stream(chunks.boxed());
            Response::builder().header("content-type", "text/event-stream").body(body).expect("a response")
        }
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

pub(crate) fn settings(primaries: &[&str], fallbacks: &[&str]) -> Settings {
    let read = |list: &[&str]| Address::parse_all(list.iter().copied()).expect("addresses");
    Settings { fallbacks: read(fallbacks), ..Settings::new(read(primaries)) }
}

pub(crate) fn backends(primaries: &[&str], fallbacks: &[&str]) -> Backends {
    Backends::new(&settings(primaries, fallbacks)).expect("backends")
}

pub(crate) fn root(byte: u8) -> String {
    format!("0x{}", hex(byte, 32))
}

pub(crate) fn hex(byte: u8, times: usize) -> String {
    format!("{byte:02x}").repeat(times)
}

/// `AttestationData` of a slot.
pub(crate) fn attestation_data(slot: u64) -> Value {
    let checkpoint = |epoch: u64| json!({"epoch": epoch.to_string(), "root": root(3)});
    json!({
        "slot": slot.to_string(), "index": "0", "beacon_block_root": root(2),
        "source": checkpoint(slot / 32), "target": checkpoint(slot / 32 + 1),
    })
}

/// A block of Electra, whole.
pub(crate) fn block(slot: u64) -> Value {
    json!({
        "slot": slot.to_string(), "proposer_index": "7", "parent_root": root(1), "state_root": root(2),
        "body": {
            "randao_reveal": format!("0x{}", hex(4, 96)),
            "eth1_data": {"deposit_root": root(5), "deposit_count": "6", "block_hash": root(7)},
            "graffiti": root(8), "proposer_slashings": [], "attester_slashings": [], "attestations": [],
            "deposits": [], "voluntary_exits": [],
            "sync_aggregate": {
                "sync_committee_bits": format!("0x{}", hex(0xff, 64)),
                "sync_committee_signature": format!("0x{}", hex(9, 96)),
            },
            "execution_payload": payload(),
            "bls_to_execution_changes": [], "blob_kzg_commitments": [],
            "execution_requests": {"deposits": [], "withdrawals": [], "consolidations": []},
        },
    })
}

fn payload() -> Value {
    json!({
        "parent_hash": root(1), "fee_recipient": format!("0x{}", hex(2, 20)), "state_root": root(3),
        "receipts_root": root(4), "logs_bloom": format!("0x{}", hex(0, 256)), "prev_randao": root(5),
        "block_number": "1", "gas_limit": "30000000", "gas_used": "21000", "timestamp": "1700000000",
        "extra_data": "0x", "base_fee_per_gas": "7", "block_hash": root(6), "transactions": ["0x0102"],
        "withdrawals": [], "blob_gas_used": "0", "excess_blob_gas": "0",
    })
}

/// The same, blinded.
pub(crate) fn blinded_block(slot: u64) -> Value {
    let mut block = block(slot);
    let body = block["body"].as_object_mut().expect("an object");
    let mut header = body.remove("execution_payload").expect("a payload");
    let fields = header.as_object_mut().expect("an object");
    fields.remove("transactions");
    fields.remove("withdrawals");
    fields.insert("transactions_root".into(), json!(root(10)));
    fields.insert("withdrawals_root".into(), json!(root(11)));
    body.insert("execution_payload_header".into(), header);
    block
}

pub(crate) fn contents(slot: u64) -> Value {
    json!({"block": block(slot), "kzg_proofs": [], "blobs": []})
}

pub(crate) fn signed_contents(slot: u64) -> Value {
    json!({"signed_block": signed(&block(slot)), "kzg_proofs": [], "blobs": []})
}

pub(crate) fn signed(message: &Value) -> Value {
    json!({"message": message, "signature": format!("0x{}", hex(12, 96))})
}

pub(crate) fn proposal(slot: u64) -> Proposal {
    let text = contents(slot).to_string();
    Proposal::from_json(Fork::Electra, Form::Full, text.as_bytes()).expect("a block")
}

pub(crate) fn blinded_proposal(slot: u64) -> Proposal {
    let text = blinded_block(slot).to_string();
    Proposal::from_json(Fork::Electra, Form::Blinded, text.as_bytes()).expect("a block")
}

pub(crate) fn signed_proposal(slot: u64) -> SignedProposal {
    let text = signed_contents(slot).to_string();
    SignedProposal::from_json(Fork::Electra, Form::Full, text.as_bytes()).expect("a block")
}

pub(crate) fn signed_blinded_proposal(slot: u64) -> SignedProposal {
    let text = signed(&blinded_block(slot)).to_string();
    SignedProposal::from_json(Fork::Electra, Form::Blinded, text.as_bytes()).expect("a block")
}

pub(crate) fn single(slot: u64) -> Value {
    json!({
        "committee_index": "3", "attester_index": "9", "data": attestation_data(slot),
        "signature": format!("0x{}", hex(12, 96)),
    })
}

pub(crate) fn phase0(slot: u64) -> Value {
    json!({
        "aggregation_bits": "0x0101", "data": attestation_data(slot), "signature": format!("0x{}", hex(12, 96)),
    })
}

pub(crate) fn electra(slot: u64) -> Value {
    let mut attestation = phase0(slot);
    attestation["committee_bits"] = json!("0x0100000000000000");
    attestation
}

pub(crate) fn contribution(slot: u64) -> Value {
    json!({
        "slot": slot.to_string(), "beacon_block_root": root(2), "subcommittee_index": "1",
        "aggregation_bits": format!("0x{}", hex(1, 16)), "signature": format!("0x{}", hex(12, 96)),
    })
}

pub(crate) fn aggregate_and_proof(aggregate: &Value) -> Value {
    let proof = format!("0x{}", hex(13, 96));
    signed(&json!({"aggregator_index": "9", "aggregate": aggregate, "selection_proof": proof}))
}

pub(crate) fn exit() -> Value {
    signed(&json!({"epoch": "5", "validator_index": "9"}))
}

pub(crate) fn sync_message(slot: u64) -> Value {
    json!({
        "slot": slot.to_string(), "beacon_block_root": root(2), "validator_index": "9",
        "signature": format!("0x{}", hex(12, 96)),
    })
}

pub(crate) fn contribution_and_proof(slot: u64) -> Value {
    let proof = format!("0x{}", hex(13, 96));
    signed(&json!({"aggregator_index": "9", "contribution": contribution(slot), "selection_proof": proof}))
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
/// A file of the recorded facts about charon, or nothing where there are none.
pub(crate) fn vector(path: &str) -> Option<String> {
    let root = std::env::var_os("COXSWAIN_VECTORS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        std::path::PathBuf::from,
    );
    let path = root.join("charon").join(path);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: no {}", path.display());
    }
    text
}
