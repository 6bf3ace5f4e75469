//! The validator API over real sockets: requests as validator clients send them, and as they should not.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes as Raw;
use coxswain_dv_beacon::client::Backends;
use coxswain_dv_beacon::server::{self, Node, Server, Settings, StartError, Tls, TlsError};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::attestation::{Attestation, AttestationData};
use coxswain_dv_eth::beacon::{Duties, Validator};
use coxswain_dv_eth::client::{Answer, Problem, Request, ValidatorId};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, SignedProposal};
use coxswain_dv_eth::signed::{SignedAggregate, SignedAttestation};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::{
    Act, Fake, aggregate_and_proof, attestation_data, backends, contribution, contribution_and_proof,
    electra, exit, hex, nobody, phase0, root, signed, single, sync_message,
};
use tls::{CERTIFICATE, KEY, OTHER_KEY};
use tokio::sync::{mpsc, oneshot};

const VERSION: &str = "coxswain/v0.1.0-charon/amd64-linux";

type Rule = Box<dyn Fn(&Request) -> BoxFuture<'static, Result<Answer, Problem>> + Send + Sync>;

/// A node that answers as a test says, and remembers what it was asked.
struct Scripted {
    rule: Rule,
    asked: Mutex<Vec<Request>>,
}

impl Node for Scripted {
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Answer, Problem>> {
        let answer = (self.rule)(&request);
        self.asked.lock().expect("not poisoned").push(request);
        answer
    }
}

/// A server before a scripted node.
struct Api {
    server: Server,
    node: Arc<Scripted>,
    client: reqwest::Client,
}

impl Api {
    async fn start(rule: impl Fn(&Request) -> Result<Answer, Problem> + Send + Sync + 'static) -> Api {
        let rule: Rule = Box::new(move |request| std::future::ready(rule(request)).boxed());
        Api::with(rule, backends(&[&nobody().await], &[]), Duration::from_secs(10)).await
    }

    async fn before(backends: Backends) -> Api {
        let rule: Rule = Box::new(|_| std::future::ready(Ok(Answer::Done)).boxed());
        Api::with(rule, backends, Duration::from_secs(10)).await
    }

    async fn with(rule: Rule, backends: Backends, timeout: Duration) -> Api {
        let node = Arc::new(Scripted { rule, asked: Mutex::default() });
        let settings = Settings { timeout, ..settings() };
        let server = server::start(settings, node.clone(), backends).await.expect("it starts");
        Api {
            server,
            node,
            client: reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client"),
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Raw>) -> Got {
        let url = format!("http://{}{path}", self.server.address());
        let mut request = self.client.request(method.parse().expect("a method"), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Got::read(request.body(body.into()).send().await.expect("an answer")).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send("GET", path, &[], Raw::new()).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Got {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        self.send("POST", path, &headers, body.to_string()).await
    }

    /// What the node was asked since the last time.
    fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.node.asked.lock().expect("not poisoned"))
    }
}

fn settings() -> Settings {
    Settings::new("127.0.0.1:0".parse().expect("an address"), VERSION)
}

/// An answer.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Raw,
}

impl Got {
    async fn read(response: reqwest::Response) -> Got {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Got { status, headers, body: response.bytes().await.expect("a body") }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    #[track_caller]
    fn is_empty_success(&self) {
        assert_eq!((self.status, self.body.as_ref()), (200, b"".as_slice()));
        assert_eq!(self.header("content-type"), None);
    }

    #[track_caller]
    fn is_problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{:?}", self.body);
        let body = self.json();
        assert_eq!(body["code"], json!(status));
        body["message"].as_str().expect("a message").to_owned()
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("a sample")
}

fn key(byte: u8) -> String {
    format!("0x{}", hex(byte, 48))
}

fn signature(byte: u8) -> String {
    format!("0x{}", hex(byte, 96))
}

fn attester_duty() -> Value {
    json!({
        "pubkey": key(1), "validator_index": "9", "committee_index": "3", "committee_length": "4",
        "committees_at_slot": "5", "validator_committee_index": "2", "slot": "65",
    })
}

fn validator(index: u64) -> Value {
    let far = u64::MAX.to_string();
    json!({
        "index": index.to_string(), "balance": "32000000000", "status": "active_ongoing", "validator": {
            "pubkey": key(1), "withdrawal_credentials": root(1), "effective_balance": "32000000000",
            "slashed": false, "activation_eligibility_epoch": "0", "activation_epoch": "0", "exit_epoch": far,
            "withdrawable_epoch": far,
        },
    })
}

// ------------------------------------------------------------------------------------------- requests of real clients

#[tokio::test]
async fn duties() {
    let api = Api::start(|request| {
        let dependent_root = Bytes([1; 32]);
        Ok(match request {
            Request::AttesterDuties { .. } => {
                let duties = vec![read::<AttesterDuty>(&attester_duty())];
                Answer::AttesterDuties(Duties { dependent_root, duties })
            }
            Request::ProposerDuties { .. } => {
                let duties = vec![ProposerDuty { pubkey: Bytes([1; 48]), validator_index: 9, slot: 65 }];
                Answer::ProposerDuties(Duties { dependent_root, duties })
            }
            _ => Answer::SyncDuties(vec![SyncDuty {
                pubkey: Bytes([1; 48]),
                validator_index: 9,
                validator_sync_committee_indices: vec![1, 300],
            }]),
        })
    })
    .await;
    // Texts, as the Beacon API has them, and numbers, as some clients do.
    for body in [json!(["9", "10"]), json!([9, 10])] {
        let got = api.post("/eth/v1/validator/duties/attester/2", &[], &body).await;
        let expected =
            json!({"dependent_root": root(1), "data": [attester_duty()], "execution_optimistic": false});
        assert_eq!((got.status, got.json()), (200, expected));
        assert_eq!(api.asked(), [Request::AttesterDuties { epoch: 2, validators: vec![9, 10] }]);
        let got = api.post("/eth/v1/validator/duties/sync/2", &[], &body).await;
        let duty = json!({
            "pubkey": key(1), "validator_index": "9", "validator_sync_committee_indices": ["1", "300"],
        });
        assert_eq!(got.json(), json!({"execution_optimistic": false, "data": [duty]}));
        assert_eq!(api.asked(), [Request::SyncDuties { epoch: 2, validators: vec![9, 10] }]);
    }
    for version in ["v1", "v2"] {
        let got = api.get(&format!("/eth/{version}/validator/duties/proposer/2")).await;
        let duty = json!({"pubkey": key(1), "validator_index": "9", "slot": "65"});
        assert_eq!(
            got.json(),
            json!({"dependent_root": root(1), "data": [duty], "execution_optimistic": false})
        );
        assert_eq!(api.asked(), [Request::ProposerDuties { epoch: 2 }]);
    }
}

#[tokio::test]
async fn validators() {
    let api = Api::start(|_| Ok(Answer::Validators(vec![read::<Validator>(&validator(9))]))).await;
    let share = ValidatorId::Key(Bytes([1; 48]));
    let path = "/eth/v1/beacon/states/head/validators";
    let all = |ids: Vec<ValidatorId>| [Request::Validators { state: "head".into(), ids }];
    let list = json!({"data": [validator(9)], "execution_optimistic": false, "finalized": false});

    // Teku and Vouch ask with lists, Nimbus and Lodestar with one `id` each.
    for (query, ids) in [
        (format!("?id={},9", key(1)), vec![share, ValidatorId::Index(9)]),
        (format!("?id={}&id=9&status=active", key(1)), vec![share, ValidatorId::Index(9)]),
        (
            format!("?id={}%2C9", key(1).to_uppercase().replace("0X", "0x")),
            vec![share, ValidatorId::Index(9)],
        ),
        (String::new(), Vec::new()),
    ] {
        let got = api.get(&format!("{path}{query}")).await;
        assert_eq!((got.status, got.json()), (200, list.clone()), "{query}");
        assert_eq!(api.asked(), all(ids), "{query}");
    }
    // Lighthouse, Prysm and later ones post.
    for (body, ids) in [
        (json!({"ids": [key(1), "9"]}), vec![share, ValidatorId::Index(9)]),
        (json!({"ids": [key(1)], "statuses": null}), vec![share]),
        (json!({"ids": null}), Vec::new()),
        (json!({}), Vec::new()),
    ] {
        let got = api.post(path, &[], &body).await;
        assert_eq!((got.status, got.json()), (200, list.clone()), "{body}");
        assert_eq!(api.asked(), all(ids), "{body}");
    }
    let got = api.get(&format!("/eth/v1/beacon/states/{}/validators/{}", root(2), key(1))).await;
    let one = json!({"data": validator(9), "execution_optimistic": false, "finalized": false});
    assert_eq!((got.status, got.json()), (200, one));
    assert_eq!(api.asked(), [Request::Validators { state: root(2), ids: vec![share] }]);
}

#[tokio::test]
async fn what_was_agreed_on() {
    let api = Api::start(|request| {
        Ok(match request {
            Request::AttestationData { .. } => Answer::AttestationData(read(&attestation_data(65))),
            Request::Aggregate { slot: 65, .. } => Answer::Aggregate {
                fork: Fork::Electra,
                attestation: Box::new(Attestation::Electra(read(&electra(65)))),
            },
            Request::Aggregate { .. } => Answer::Aggregate {
                fork: Fork::Deneb,
                attestation: Box::new(Attestation::Phase0(read(&phase0(64)))),
            },
            _ => Answer::Contribution(read(&contribution(65))),
        })
    })
    .await;
    let got = api.get("/eth/v1/validator/attestation_data?slot=65&committee_index=3").await;
    assert_eq!((got.status, got.json()), (200, json!({"data": attestation_data(65)})));
    assert_eq!(api.asked(), [Request::AttestationData { slot: 65, committee: 3 }]);

    let data_root = Bytes(read::<AttestationData>(&attestation_data(65)).root());
    for (slot, fork, attestation) in [(65, "electra", electra(65)), (64, "deneb", phase0(64))] {
        let query = format!("attestation_data_root={data_root}&slot={slot}&committee_index=3");
        let got = api.get(&format!("/eth/v2/validator/aggregate_attestation?{query}")).await;
        assert_eq!((got.status, got.json()), (200, json!({"version": fork, "data": attestation})));
        assert_eq!(got.header("eth-consensus-version"), Some(fork));
        assert_eq!(api.asked(), [Request::Aggregate { slot, data_root, committee: 3 }]);
    }

    let query = format!("slot=65&subcommittee_index=1&beacon_block_root={}", root(2));
    let got = api.get(&format!("/eth/v1/validator/sync_committee_contribution?{query}")).await;
    assert_eq!((got.status, got.json()), (200, json!({"data": contribution(65)})));
    let block_root = Bytes([2; 32]);
    assert_eq!(api.asked(), [Request::Contribution { slot: 65, subcommittee: 1, block_root }]);
}

/// What each client says that it accepts, and what it gets.
#[tokio::test]
async fn blocks_to_sign() {
    let api = Api::start(|request| {
        let Request::Proposal { slot, .. } = request else { panic!("{request:?}") };
        Ok(Answer::Proposal(Box::new(match slot {
            65 => support::proposal(65),
            _ => support::blinded_proposal(66),
        })))
    })
    .await;
    let query = format!("randao_reveal={}&graffiti={}&builder_boost_factor=100", signature(4), root(8));
    for (client, accept, is_ssz) in [
        ("lighthouse", "application/octet-stream;q=1.0,application/json;q=0.9", true),
        ("teku", "application/octet-stream;q=0.9, application/json;q=0.4", true),
        ("nimbus", "application/octet-stream,application/json;q=0.9", true),
        ("lodestar", "application/octet-stream;q=1,application/json;q=0.9", true),
        ("prysm", "application/octet-stream;q=0.95,application/json;q=0.9", true),
        ("vouch", "application/json", false),
        ("curl", "*/*", false),
    ] {
        for (slot, is_blinded) in [(65, false), (66, true)] {
            let path = format!("/eth/v3/validator/blocks/{slot}?{query}");
            let got = api.send("GET", &path, &[("accept", accept), ("user-agent", client)], Raw::new()).await;
            assert_eq!(got.status, 200, "{client}");
            assert_eq!(got.header("eth-consensus-version"), Some("electra"));
            assert_eq!(got.header("eth-execution-payload-blinded"), Some(is_blinded.to_string().as_str()));
            assert_eq!(got.header("eth-execution-payload-value"), Some("1"));
            assert_eq!(got.header("eth-consensus-block-value"), Some("1"));
            if is_ssz {
                assert_eq!(got.header("content-type"), Some("application/octet-stream"), "{client}");
                let expected = if is_blinded { support::blinded_proposal(66) } else { support::proposal(65) };
                assert_eq!(got.body, expected.to_ssz());
            } else {
                let data = if is_blinded { support::blinded_block(66) } else { support::contents(65) };
                let expected = json!({
                    "version": "electra", "execution_payload_blinded": is_blinded,
                    "execution_payload_value": "1", "consensus_block_value": "1", "data": data,
                });
                assert_eq!(got.json(), expected);
            }
            assert_eq!(api.asked(), [Request::Proposal { slot, randao: Bytes([4; 96]) }]);
            assert_eq!(api.server.metrics().user_agent.as_deref(), Some(client));
        }
    }
}

#[tokio::test]
async fn signed_blocks() {
    let api = Api::start(|_| Ok(Answer::Done)).await;
    let (whole, blinded) = (support::signed_proposal(65), support::signed_blinded_proposal(65));
    let whole_json = support::signed_contents(65).to_string();
    let blinded_json = signed(&support::blinded_block(65)).to_string();
    for version in ["v1", "v2"] {
        for (path, kind, body, expected) in [
            ("blocks", "application/octet-stream", whole.to_ssz(), &whole),
            (
                "blocks?broadcast_validation=gossip",
                "application/json",
                whole_json.clone().into_bytes(),
                &whole,
            ),
            ("blinded_blocks", "application/octet-stream", blinded.to_ssz(), &blinded),
            ("blinded_blocks", "application/json", blinded_json.clone().into_bytes(), &blinded),
        ] {
            let headers = [("content-type", kind), ("Eth-Consensus-Version", "electra")];
            let got = api.send("POST", &format!("/eth/{version}/beacon/{path}"), &headers, body).await;
            got.is_empty_success();
            assert_eq!(api.asked(), [Request::SubmitProposal(Box::new(expected.clone()))]);
        }
    }
    // Prysm names the fork as the chain does; its blocks are those of Electra, with other proofs.
    let fulu = SignedProposal::from_json(Fork::Fulu, Form::Full, whole_json.as_bytes()).expect("a block");
    let headers = [("content-type", "application/octet-stream"), ("Eth-Consensus-Version", "fulu")];
    api.send("POST", "/eth/v2/beacon/blocks", &headers, fulu.to_ssz()).await.is_empty_success();
    assert_eq!(api.asked(), [Request::SubmitProposal(Box::new(fulu))]);
}

#[tokio::test]
async fn attestations_and_aggregates() {
    let api = Api::start(|_| Ok(Answer::Done)).await;
    let path = "/eth/v2/beacon/pool/attestations";
    api.post(path, &[("Eth-Consensus-Version", "fulu")], &json!([single(65), single(66)]))
        .await
        .is_empty_success();
    let from = |slot| SignedAttestation::from_single(Fork::Fulu, &read(&single(slot))).expect("a committee");
    assert_eq!(api.asked(), [Request::SubmitAttestations(vec![from(65), from(66)])]);
    api.post(path, &[("Eth-Consensus-Version", "deneb")], &json!([phase0(65)])).await.is_empty_success();
    let expected = SignedAttestation {
        fork: Fork::Deneb,
        validator_index: None,
        attestation: Attestation::Phase0(read(&phase0(65))),
    };
    assert_eq!(api.asked(), [Request::SubmitAttestations(vec![expected])]);

    for (fork, aggregate) in [(Fork::Electra, electra(65)), (Fork::Deneb, phase0(65))] {
        let sample = aggregate_and_proof(&aggregate);
        let headers = [("Eth-Consensus-Version", fork.name())];
        let got = api.post("/eth/v2/validator/aggregate_and_proofs", &headers, &json!([sample])).await;
        got.is_empty_success();
        let expected = SignedAggregate::deserialize(fork, &sample).expect("a sample");
        assert_eq!(api.asked(), [Request::SubmitAggregates(vec![expected])]);
    }
}

#[tokio::test]
async fn sync_committees_selections_and_exits() {
    let api = Api::start(|request| {
        Ok(match request {
            Request::Selections(list) => Answer::Selections(list.clone()),
            Request::SyncSelections(list) => Answer::SyncSelections(list.clone()),
            _ => Answer::Done,
        })
    })
    .await;
    let none: [(&str, &str); 0] = [];
    let message = sync_message(65);
    api.post("/eth/v1/beacon/pool/sync_committees", &none, &json!([message])).await.is_empty_success();
    assert_eq!(api.asked(), [Request::SubmitSyncMessages(vec![read(&message)])]);
    let proof = contribution_and_proof(65);
    api.post("/eth/v1/validator/contribution_and_proofs", &none, &json!([proof])).await.is_empty_success();
    assert_eq!(api.asked(), [Request::SubmitContributions(vec![read(&proof)])]);
    api.post("/eth/v1/beacon/pool/voluntary_exits", &none, &exit()).await.is_empty_success();
    assert_eq!(api.asked(), [Request::SubmitExit(read(&exit()))]);

    let selection = json!({"validator_index": "9", "slot": "65", "selection_proof": signature(1)});
    let list = json!([selection]);
    let got = api.post("/eth/v1/validator/beacon_committee_selections", &none, &list).await;
    assert_eq!((got.status, got.json()), (200, json!({"data": list})));
    assert_eq!(api.asked(), [Request::Selections(vec![read::<BeaconCommitteeSelection>(&selection)])]);
    let selection = json!({
        "validator_index": "9", "slot": "65", "subcommittee_index": "1", "selection_proof": signature(1),
    });
    let list = json!([selection]);
    let got = api.post("/eth/v1/validator/sync_committee_selections", &none, &list).await;
    assert_eq!((got.status, got.json()), (200, json!({"data": list})));
    assert_eq!(api.asked(), [Request::SyncSelections(vec![read::<SyncCommitteeSelection>(&selection)])]);
}

// --------------------------------------------------------------------------------------------- what should not be sent

/// `[]` needs no node; and what no node has to look at is dropped.
#[tokio::test]
async fn nothing_is_asked_for_nothing() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    let electra = [("Eth-Consensus-Version", "electra")];
    for path in [
        "/eth/v2/beacon/pool/attestations",
        "/eth/v2/validator/aggregate_and_proofs",
        "/eth/v1/beacon/pool/sync_committees",
        "/eth/v1/validator/contribution_and_proofs",
        "/eth/v1/validator/register_validator",
        "/eth/v1/validator/prepare_beacon_proposer",
    ] {
        api.post(path, &electra, &json!([])).await.is_empty_success();
    }
    for path in
        ["/eth/v1/validator/beacon_committee_selections", "/eth/v1/validator/sync_committee_selections"]
    {
        assert_eq!(api.post(path, &[], &json!([])).await.json(), json!({"data": []}));
    }
    let got = api.get("/eth/v1/node/version").await;
    assert_eq!((got.status, got.json()), (200, json!({"data": {"version": VERSION}})));
    let got = api.get("/eth/v2/node/version").await;
    let (name, version) = VERSION.split_once('/').expect("a name and more");
    let node = json!({"code": "CW", "name": name, "version": version, "commit": "0x00000000"});
    assert_eq!((got.status, got.json()), (200, json!({"data": {"beacon_node": node}})));
    assert!(version.contains("charon"), "clients know a distributed validator by it");
}

/// Every endpoint with bodies that it cannot read. Statuses: of the table in the module.
#[tokio::test]
async fn malformed_bodies() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    let json_only = [
        ("/eth/v1/validator/duties/attester/1", 400, ""),
        ("/eth/v1/validator/duties/sync/1", 400, ""),
        ("/eth/v1/beacon/states/head/validators", 400, ""),
        ("/eth/v2/beacon/pool/attestations", 500, "electra"),
        ("/eth/v2/beacon/pool/attestations", 500, "deneb"),
        ("/eth/v2/validator/aggregate_and_proofs", 400, "electra"),
        ("/eth/v2/validator/aggregate_and_proofs", 400, "deneb"),
        ("/eth/v1/beacon/pool/sync_committees", 400, ""),
        ("/eth/v1/validator/contribution_and_proofs", 400, ""),
        ("/eth/v1/validator/beacon_committee_selections", 400, ""),
        ("/eth/v1/validator/sync_committee_selections", 400, ""),
        ("/eth/v1/beacon/pool/voluntary_exits", 400, ""),
    ];
    let blocks = [
        ("/eth/v1/beacon/blocks", 500, "electra"),
        ("/eth/v2/beacon/blocks", 500, "fulu"),
        ("/eth/v1/beacon/blinded_blocks", 500, "bellatrix"),
        ("/eth/v2/beacon/blinded_blocks", 500, "electra"),
        // There was nothing to blind.
        ("/eth/v2/beacon/blinded_blocks", 500, "altair"),
    ];
    for (path, status, fork) in json_only.into_iter().chain(blocks) {
        for body in ["{", "null", "[null]", "[{}]", "\u{0}", "[\"-1\"]", "[1,\"2\"]", "1e99", "\"\\ud800\""] {
            let headers = [("content-type", "application/json"), ("Eth-Consensus-Version", fork)];
            let got = api.send("POST", path, &headers, body).await;
            assert!(got.is_problem(status).contains("not understood"), "{path} {body} {got:?}");
        }
        let headers = [("Eth-Consensus-Version", fork)];
        let got = api.send("POST", path, &headers, "").await;
        assert!(got.is_problem(400).contains("no body"), "{path}");
        let headers = [("content-type", "text/plain"), ("Eth-Consensus-Version", fork)];
        assert!(api.send("POST", path, &headers, "[]").await.is_problem(415).contains("text/plain"));
        let headers = [("content-type", "application/octet-stream"), ("Eth-Consensus-Version", fork)];
        let expected = if json_only.contains(&(path, status, fork)) { 415 } else { 500 };
        api.send("POST", path, &headers, "ab").await.is_problem(expected);
    }
}

#[tokio::test]
async fn forks_that_are_missing_or_unknown() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    for path in [
        "/eth/v2/beacon/pool/attestations",
        "/eth/v2/validator/aggregate_and_proofs",
        "/eth/v1/beacon/blocks",
        "/eth/v2/beacon/blocks",
        "/eth/v1/beacon/blinded_blocks",
        "/eth/v2/beacon/blinded_blocks",
    ] {
        for body in ["[]", "{", ""] {
            let kind = ("content-type", "application/json");
            let got = api.send("POST", path, &[kind], body).await;
            assert!(got.is_problem(500).contains("missing"), "{path} {body}");
            let got = api.send("POST", path, &[kind, ("Eth-Consensus-Version", "heze")], body).await;
            assert!(got.is_problem(500).contains("`heze`"), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn parameters_that_are_missing_or_wrong() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    let randao = signature(4);
    for (path, status, word) in [
        ("/eth/v1/validator/duties/proposer/x".to_owned(), 400, "epoch"),
        ("/eth/v1/validator/duties/proposer/+1".to_owned(), 400, ""),
        ("/eth/v1/validator/duties/proposer/18446744073709551616".to_owned(), 400, "epoch"),
        ("/eth/v3/validator/blocks/5".to_owned(), 400, "randao_reveal"),
        (format!("/eth/v3/validator/blocks/-5?randao_reveal={randao}"), 400, "slot"),
        (format!("/eth/v3/validator/blocks/5?randao_reveal={randao}00"), 400, "randao_reveal"),
        ("/eth/v1/validator/attestation_data".to_owned(), 400, "`slot`"),
        ("/eth/v1/validator/attestation_data?slot=1".to_owned(), 400, "committee_index"),
        ("/eth/v1/validator/attestation_data?slot=&committee_index=0".to_owned(), 400, "`slot`"),
        ("/eth/v2/validator/aggregate_attestation?slot=1".to_owned(), 400, "attestation_data_root"),
        (
            format!("/eth/v2/validator/aggregate_attestation?slot=1&attestation_data_root={}", root(1)),
            400,
            "committee_index",
        ),
        ("/eth/v1/validator/sync_committee_contribution?slot=1".to_owned(), 400, "subcommittee_index"),
        (
            "/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index=1".to_owned(),
            400,
            "beacon_block_root",
        ),
        ("/eth/v1/beacon/states/head/validators?id=zz".to_owned(), 500, "`zz`"),
        ("/eth/v1/beacon/states/head/validators/-1".to_owned(), 500, "`-1`"),
        ("/eth/v1/beacon/states/tail/validators".to_owned(), 400, "`tail`"),
        ("/eth/v1/beacon/states/0x12/validators/1".to_owned(), 400, "`0x12`"),
    ] {
        let message = api.get(&path).await.is_problem(status);
        assert!(message.contains(word), "{path}: {message}");
    }
    let got = api.post("/eth/v1/beacon/states/head/validators", &[], &json!({"ids": ["zz"]})).await;
    got.is_problem(500);
}

#[tokio::test]
async fn committees_that_do_not_exist() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    let mut wrong = single(65);
    wrong["committee_index"] = json!("64");
    let headers = [("Eth-Consensus-Version", "electra")];
    let got = api.post("/eth/v2/beacon/pool/attestations", &headers, &json!([single(65), wrong])).await;
    got.is_problem(400);
    assert_eq!(got.json()["failures"][0]["index"], json!(1));
}

#[tokio::test]
async fn problems_of_the_node_are_told() {
    let api = Api::start(|request| match request {
        Request::SubmitSyncMessages(_) => Err(Problem {
            failures: vec![(1, "bad signature".into())],
            ..Problem::new(400, "one of 2 messages is not accepted")
        }),
        Request::AttesterDuties { .. } => Err(Problem::new(200, "no status of a problem")),
        Request::Validators { .. } => Ok(Answer::Validators(Vec::new())),
        // Not what was asked for.
        _ => Ok(Answer::Done),
    })
    .await;
    let got = api
        .post("/eth/v1/beacon/pool/sync_committees", &[], &json!([sync_message(1), sync_message(2)]))
        .await;
    assert_eq!(
        (got.status, got.json()),
        (
            400,
            json!({
                "code": 400, "message": "one of 2 messages is not accepted",
                "failures": [{"index": 1, "message": "bad signature"}],
            })
        )
    );
    api.post("/eth/v1/validator/duties/attester/1", &[], &json!([])).await.is_problem(500);
    api.get("/eth/v1/validator/duties/proposer/1").await.is_problem(500);
    api.get("/eth/v1/beacon/states/head/validators/999999").await.is_problem(404);
}

#[tokio::test]
async fn requests_end_in_time() {
    let rule: Rule = Box::new(|_| std::future::pending().boxed());
    let api = Api::with(rule, backends(&[&nobody().await], &[]), Duration::from_millis(100)).await;
    let got = api.get("/eth/v1/validator/attestation_data?slot=65&committee_index=3").await;
    assert!(got.is_problem(408).contains("0.1 s"), "{got:?}");

    let hanging = Fake::start(|_| Act::Hang).await;
    let rule: Rule = Box::new(|_| std::future::pending().boxed());
    let api = Api::with(rule, backends(&[&hanging.url()], &[]), Duration::from_millis(100)).await;
    let got = api.get("/eth/v1/beacon/genesis").await;
    assert!(matches!(got.status, 408 | 502), "{got:?}");
    let got = api.get("/eth/v1/events?topics=head").await;
    got.is_problem(502);
}

#[tokio::test]
async fn bodies_have_limits() {
    let api = Api::start(|request| panic!("{request:?}")).await;
    let kind = [("content-type", "application/json")];
    for (path, limit) in [
        ("/eth/v1/beacon/pool/voluntary_exits", 64 << 10),
        ("/eth/v1/validator/duties/attester/1", 16 << 20),
        ("/eth/v1/validator/beacon_committee_subscriptions", 16 << 20),
    ] {
        let got = api.send("POST", path, &kind, vec![b' '; limit + 1]).await;
        assert!(got.is_problem(413).contains(&limit.to_string()), "{path}");
    }
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let node = Arc::new(Scripted {
        rule: Box::new(|_| std::future::ready(Ok(Answer::Done)).boxed()),
        asked: Mutex::default(),
    });
    let backends = backends(&[&nobody().await], &[]);
    let length = exit().to_string().len();
    let settings = Settings { max_held_bytes: length, ..settings() };
    let server = server::start(settings, node.clone(), backends).await.expect("it starts");
    let api = Api { server, node, client: reqwest::Client::builder().no_proxy().build().expect("a client") };
    let path = "/eth/v1/beacon/pool/voluntary_exits";
    let kind = [("content-type", "application/json")];
    for _ in 0..3 {
        let got = api.send("POST", path, &kind, format!("{} ", exit())).await;
        got.is_problem(503);
        // A place is given back.
        api.post(path, &[], &exit()).await.is_empty_success();
    }
}

// ----------------------------------------------------------------------------------------------------------- passed on

#[tokio::test]
async fn the_rest_is_passed_on_as_it_is() {
    let node = Fake::start(|seen| match seen.path.as_str() {
        "/eth/v1/node/syncing" => Act::Reply(
            206,
            vec![
                ("content-type", "text/x".into()),
                ("content-encoding", "gzip".into()),
                ("x-node", "yes".into()),
                ("connection", "x-hop".into()),
                ("x-hop", "no".into()),
            ],
            vec![1, 2, 3],
        ),
        _ => Act::Reply(404, Vec::new(), Vec::new()),
    })
    .await;
    let url = node.url().replace("http://", "http://bn:secret@");
    let mut settings = support::settings(&[&url], &[]);
    settings.headers = vec![("x-token".into(), "t0ken".into())];
    let api = Api::before(Backends::new(&settings).expect("backends")).await;

    let headers = [
        ("authorization", "Bearer of-the-client"),
        ("x-token", "of-the-client"),
        ("connection", "x-mine"),
        ("x-mine", "no"),
        ("accept-encoding", "gzip"),
        ("x-other", "yes"),
    ];
    let got = api.send("POST", "/eth/v1/node/syncing?a=1&b=%2F", &headers, "body").await;
    assert_eq!((got.status, got.body.as_ref()), (206, [1, 2, 3].as_slice()));
    assert_eq!(got.header("content-type"), Some("text/x"));
    assert_eq!(got.header("content-encoding"), Some("gzip"));
    assert_eq!((got.header("x-node"), got.header("x-hop")), (Some("yes"), None));
    let seen = &node.seen()[0];
    assert_eq!(
        (seen.method.as_str(), seen.query.as_str(), seen.body.as_ref()),
        ("POST", "a=1&b=%2F", b"body".as_slice())
    );
    assert_eq!(seen.header("authorization"), Some("Basic Ym46c2VjcmV0"));
    assert_eq!((seen.header("x-token"), seen.header("x-other")), (Some("t0ken"), Some("yes")));
    assert_eq!((seen.header("x-mine"), seen.header("accept-encoding")), (None, Some("gzip")));
    assert_eq!(seen.header("host"), Some(node.address.to_string().as_str()));

    // Seen at charon: an unknown path is what the beacon node makes of it.
    let got = api.get("/nope").await;
    assert_eq!((got.status, got.body.len(), got.header("content-type")), (404, 0, None));
    // A method that an endpoint does not have is the beacon node's matter too.
    assert_eq!(api.send("DELETE", "/eth/v1/node/version", &[], "").await.status, 404);
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn the_first_success_is_passed_on() {
    let good = Fake::start(|_| Act::json(&json!({"data": "good"}))).await;
    let bad = Fake::start(|_| Act::error(500, "bad")).await;
    let busy = Fake::start(|_| Act::error(503, "syncing")).await;
    let hanging = Fake::start(|_| Act::Hang).await;
    let got = async |primaries: &[&str], fallbacks: &[&str]| {
        let api = Api::before(backends(primaries, fallbacks)).await;
        let got = api.post("/eth/v1/validator/beacon_committee_subscriptions", &[], &json!([])).await;
        (got.status, got.json())
    };
    let success = (200, json!({"data": "good"}));
    let (good_url, bad_url, busy_url) = (good.url(), bad.url(), busy.url());
    assert_eq!(got(&[&bad_url, &hanging.url(), &good_url], &[]).await, success);
    // What is posted is not given up at the others.
    assert_eq!(hanging.wait_for(1).await[0].method, "POST");
    assert_eq!(got(&[&busy_url], &[&good_url]).await, success);
    assert_eq!(got(&[&nobody().await], &[&good_url]).await, success);
    assert_eq!(got(&[&bad_url], &[&good_url]).await, (500, json!({"code": 500, "message": "bad"})));
    assert_eq!(got(&[&busy_url], &[]).await.0, 503);
    assert_eq!(got(&[&nobody().await], &[]).await.0, 502);
}

/// Of each node, where it hangs; what a request may take altogether is a lot longer.
const PATIENCE: Duration = Duration::from_millis(400);

fn impatient(primaries: &[&str], fallbacks: &[&str]) -> Backends {
    let settings = support::settings(primaries, fallbacks);
    let settings = coxswain_dv_beacon::client::Settings {
        query_timeout: PATIENCE,
        submit_timeout: PATIENCE,
        ..settings
    };
    Backends::new(&settings).expect("backends")
}

/// What a validator client needs for its duties and the node does not answer itself must not hang on one beacon node.
#[tokio::test]
async fn what_is_passed_on_reaches_a_fallback_while_the_primaries_hang() {
    let hanging = Fake::start(|_| Act::Hang).await;
    let good = Fake::start(|_| Act::json(&json!({"data": "good"}))).await;
    let api = Api::before(impatient(&[&hanging.url(), &hanging.url()], &[&good.url()])).await;
    for path in ["beacon/genesis", "node/syncing", "config/spec", "beacon/blocks/head/root"] {
        let got = api.get(&format!("/eth/v1/{path}")).await;
        assert_eq!((got.status, got.json()), (200, json!({"data": "good"})), "{path}");
    }
    let got = api.post("/eth/v1/validator/sync_committee_subscriptions", &[], &json!([])).await;
    assert_eq!(got.status, 200);
    let alone = Api::before(impatient(&[&hanging.url()], &[])).await;
    assert!(alone.get("/eth/v1/beacon/genesis").await.is_problem(502).contains("400 ms"));
}

/// An answer that is no success waits for the other primaries as long as these may take, and no longer.
#[tokio::test]
async fn an_answer_that_is_no_success_does_not_wait_for_ever() {
    let hanging = Fake::start(|_| Act::Hang).await;
    let bad = Fake::start(|_| Act::error(404, "not here")).await;
    let api = Api::before(impatient(&[&hanging.url(), &bad.url()], &[])).await;
    for path in ["/eth/v1/beacon/headers", "/eth/v1/beacon/blocks/head/root"] {
        assert_eq!(api.get(path).await.is_problem(404), "not here");
    }
    api.post("/eth/v1/validator/beacon_committee_subscriptions", &[], &json!([])).await.is_problem(404);
}

/// Only the head of an answer is in the time of a node: a state of the chain is long.
#[tokio::test]
async fn bodies_may_take_longer_than_their_head() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut receiver = Some(receiver);
    let node = Fake::start(move |_| Act::Stream(receiver.take().expect("one request"))).await;
    let api = Api::before(impatient(&[&node.url()], &[])).await;
    let url = format!("http://{}/eth/v2/debug/beacon/states/head", api.server.address());
    let mut response = api.client.get(url).send().await.expect("a head");
    for text in ["a", "b"] {
        tokio::time::sleep(PATIENCE).await;
        sender.send(Raw::from(text)).expect("it is read");
        assert_eq!(response.chunk().await.expect("open"), Some(Raw::from(text)));
    }
}

/// A listener that takes no connection: its queue is full, and the system answers nothing to more.
async fn black_hole() -> (String, Vec<tokio::net::TcpStream>, tokio::net::TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("bound");
    let mut queue = Vec::new();
    while let Ok(taken) = tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await {
        queue.push(taken.expect("connected"));
    }
    (format!("http://{address}"), queue, listener)
}

/// Events too, whose head may take long, but not the connection.
#[tokio::test]
async fn a_node_that_takes_no_connection_costs_no_more_than_one_that_hangs() {
    let (hole, _queue, _listener) = black_hole().await;
    let good = Fake::start(|_| Act::json(&json!({"data": "good"}))).await;
    let api = Api::before(impatient(&[&hole], &[&good.url()])).await;
    assert_eq!(api.get("/eth/v1/beacon/genesis").await.json(), json!({"data": "good"}));
    let alone = impatient(&[&hole], &[]);
    let request = coxswain_dv_beacon::client::Forward {
        method: reqwest::Method::GET,
        path_and_query: "/eth/v1/events?topics=head".to_owned(),
        headers: HeaderMap::new(),
        body: Raw::new(),
    };
    // Longer than it takes to give up a connection, and shorter than that would be by default.
    let error = alone.forward_events(request, Duration::from_secs(4)).await.expect_err("nobody is there");
    assert!(!error.message.contains("4000 ms"), "{error}");
}

/// One request for all; where it comes to nothing all hear it, instead of asking one after another.
#[tokio::test]
async fn members_of_a_sync_committee_do_not_queue_behind_a_node_that_hangs() {
    let path = "/eth/v1/beacon/blocks/head/root";
    let hanging = Fake::start(|_| Act::Hang).await;
    // More than fit into the time of a request one after another.
    let members = 30;
    let all = async |api: &Api| futures::future::join_all((0..members).map(|_| api.get(path))).await;
    let api = Api::before(impatient(&[&hanging.url()], &[])).await;
    for got in all(&api).await {
        got.is_problem(502);
    }
    let good = Fake::start(|_| Act::json(&json!({"data": {"root": root(1)}}))).await;
    let api = Api::before(impatient(&[&hanging.url()], &[&good.url()])).await;
    for got in all(&api).await {
        assert_eq!((got.status, got.json()), (200, json!({"data": {"root": root(1)}})));
    }
}

/// A body that stands still is none: the root comes from another node.
#[tokio::test]
async fn half_an_answer_with_the_root_of_the_head_is_none() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut receiver = Some(receiver);
    sender.send(Raw::from("{\"data\"")).expect("it is read");
    let half = Fake::start(move |_| Act::Stream(receiver.take().expect("one request"))).await;
    let good = Fake::start(|_| Act::json(&json!({"data": {"root": root(1)}}))).await;
    let api = Api::before(impatient(&[&half.url()], &[&good.url()])).await;
    let got = api.get("/eth/v1/beacon/blocks/head/root").await;
    assert_eq!((got.status, got.json()), (200, json!({"data": {"root": root(1)}})));
    drop(sender);
}

/// Members of a sync committee ask all at once.
#[tokio::test]
async fn the_root_of_the_head_is_asked_for_once_in_a_moment() {
    let path = "/eth/v1/beacon/blocks/head/root";
    let mut asked = 0;
    let node = Fake::start(move |_| {
        asked += 1;
        match asked {
            1 => Act::error(404, "no head"),
            at => Act::json(&json!({"data": {"root": root(at)}})),
        }
    })
    .await;
    let start = async |head_life| {
        let node_of_duties =
            Arc::new(Scripted { rule: Box::new(|_| unreachable!()), asked: Mutex::default() });
        let backends = backends(&[&node.url()], &[]);
        let settings = Settings { head_life, ..settings() };
        let server = server::start(settings, node_of_duties.clone(), backends).await.expect("it starts");
        Api {
            server,
            node: node_of_duties,
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
        }
    };
    let api = start(Duration::from_secs(600)).await;
    assert_eq!(api.get(path).await.status, 404);
    let all = futures::future::join_all((0..20).map(|_| api.get(path))).await;
    for got in all {
        assert_eq!(
            (got.status, got.json()),
            (200, json!({"data": {"root": root(2)}})),
            "a failure is not kept"
        );
    }
    assert_eq!(node.seen().len(), 2);
    assert_eq!(api.get(&format!("{path}?x")).await.json(), json!({"data": {"root": root(3)}}));
    let api = start(Duration::ZERO).await;
    for at in [4, 5] {
        assert_eq!(api.get(path).await.json(), json!({"data": {"root": root(at)}}));
    }
}

/// A path that a beacon node may read as one that the node must answer itself goes nowhere.
#[tokio::test]
async fn nothing_slips_past_the_table() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = Fake::start(|_| Act::json(&json!({}))).await;
    let api = Api::before(backends(&[&node.url()], &[])).await;
    for path in [
        "//eth/v1/node/version",
        "/eth//v1/node/version",
        "/eth/v1/x/../node/version",
        "/eth/v1/%6eode/version",
        "/eth/v1/x/%2e%2e/node/version",
        "/eth/v1\\node/version",
        "/eth/v1/node/version//",
    ] {
        // A client library would tidy it.
        let mut stream = tokio::net::TcpStream::connect(api.server.address()).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    assert_eq!(api.get("/eth/v1/node/version/").await.json(), json!({"data": {"version": VERSION}}));
    assert!(node.seen().is_empty());
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut receiver = Some(receiver);
    let best = Fake::start(move |seen| match seen.path.as_str() {
        "/eth/v1/events" => Act::Stream(receiver.take().expect("one stream")),
        _ => Act::json(&json!({"data": {}})),
    })
    .await;
    let other = Fake::start(|_| Act::error(500, "bad")).await;
    let api = Api::before(backends(&[&nobody().await, &other.url(), &best.url()], &[])).await;
    // Now one node has a success more than the others.
    assert_eq!(api.get("/eth/v1/beacon/genesis").await.status, 200);

    let url =
        format!("http://{}/eth/v1/events?topics=head,execution_payload_available", api.server.address());
    let mut response = api.client.get(url).send().await.expect("a stream");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    for text in ["event: head\n", "data: {}\n\n"] {
        sender.send(Raw::from(text)).expect("it is read");
        assert_eq!(response.chunk().await.expect("open"), Some(Raw::from(text)));
    }
    assert_eq!(best.seen()[1].query, "topics=head,execution_payload_available");
    // The stream ends when the server stops; it would last for ever.
    api.server.stop().await;
    let end = response.chunk().await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
}

#[tokio::test]
async fn events_come_from_another_node_when_the_best_is_down() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut receiver = Some(receiver);
    let node = Fake::start(move |_| Act::Stream(receiver.take().expect("one stream"))).await;
    let api = Api::before(backends(&[&nobody().await], &[&node.url()])).await;
    let url = format!("http://{}/eth/v1/events?topics=head", api.server.address());
    let mut response = api.client.get(url).send().await.expect("a stream");
    sender.send(Raw::from("event: head\n\n")).expect("it is read");
    assert_eq!(response.chunk().await.expect("open"), Some(Raw::from("event: head\n\n")));
}

// ------------------------------------------------------------------------------------------------------- the server

#[tokio::test]
async fn answers_that_are_on_their_way_arrive_when_it_stops() {
    let (go, gone) = oneshot::channel::<()>();
    let (begun, begins) = oneshot::channel::<()>();
    let once = Mutex::new(Some((begun, gone)));
    let rule: Rule = Box::new(move |_| {
        let (begun, gone) = once.lock().expect("not poisoned").take().expect("one request");
        async move {
            begun.send(()).expect("the test waits");
            gone.await.expect("the test says when");
            Ok(Answer::AttestationData(read(&attestation_data(65))))
        }
        .boxed()
    });
    let api = Api::with(rule, backends(&[&nobody().await], &[]), Duration::from_secs(10)).await;
    let address = api.server.address();
    let url = format!("http://{address}/eth/v1/validator/attestation_data?slot=65&committee_index=3");
    let asking = tokio::spawn(api.client.get(url).send());
    begins.await.expect("it is asked");
    let (server, ()) = (api.server, go.send(()).expect("it waits"));
    let (got, ()) = tokio::join!(asking, server.stop());
    assert_eq!(got.expect("no panic").expect("an answer").status(), 200);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_server_that_cannot_be_is_refused() {
    let start = async |settings: Settings| {
        let node = Arc::new(Scripted { rule: Box::new(|_| unreachable!()), asked: Mutex::default() });
        server::start(settings, node, backends(&[&nobody().await], &[])).await.expect_err("no server")
    };
    let error = start(Settings { version: "coxswain/v1".into(), ..settings() }).await;
    assert!(matches!(&error, StartError::Version(version) if version == "coxswain/v1"), "{error}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = start(Settings { address, ..settings() }).await;
    assert!(matches!(error, StartError::Listen { .. }) && error.to_string().contains(&address.to_string()));
    for (certificates, key, expected) in [
        ("", KEY, "no certificate in it"),
        (CERTIFICATE, "", "no PEM with a private key"),
        (CERTIFICATE, OTHER_KEY, "do not go together"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", KEY, "no PEM with certificates"),
    ] {
        let tls = Tls { certificates: certificates.into(), key: key.as_bytes().to_vec().into() };
        let error = start(Settings { tls: Some(tls), ..settings() }).await;
        let StartError::Tls(inner) = &error else { panic!("{error}") };
        assert!(inner.to_string().contains(expected), "{inner}");
        assert!(!matches!(inner, TlsError::Pair(_)) || expected.contains("together"));
    }
}

#[tokio::test]
async fn https() {
    let node = Arc::new(Scripted { rule: Box::new(|_| unreachable!()), asked: Mutex::default() });
    let tls = Tls { certificates: CERTIFICATE.into(), key: KEY.as_bytes().to_vec().into() };
    let settings = Settings { tls: Some(tls), ..settings() };
    let server = server::start(settings, node, backends(&[&nobody().await], &[])).await.expect("it starts");
    // A client that greets nobody holds up nobody.
    let silent = tokio::net::TcpStream::connect(server.address()).await.expect("connects");
    let url = format!("https://localhost:{}/eth/v1/node/version", server.address().port());
    let client = |certificate| {
        let certificate = reqwest::Certificate::from_pem(certificate).expect("a certificate");
        reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("a client")
    };
    let got = Got::read(client(CERTIFICATE.as_bytes()).get(&url).send().await.expect("an answer")).await;
    assert_eq!((got.status, got.json()), (200, json!({"data": {"version": VERSION}})));
    let plain = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    assert!(plain.get(url.replace("https", "http")).send().await.is_err(), "no plain text");
    drop(silent);
}

#[tokio::test]
async fn requests_are_counted() {
    let node = Fake::start(|seen| match seen.path.as_str() {
        "/eth/v1/beacon/genesis" => Act::json(&json!({})),
        _ => Act::error(404, "no"),
    })
    .await;
    let api = Api::before(backends(&[&node.url()], &[])).await;
    api.post("/eth/v1/beacon/pool/sync_committees", &[], &json!([sync_message(1)])).await.is_empty_success();
    api.post("/eth/v1/beacon/pool/sync_committees", &[], &json!({})).await.is_problem(400);
    api.get("/eth/v1/beacon/genesis").await;
    api.get("/eth/v1/beacon/blocks/17/root").await;
    let metrics = api.server.metrics();
    let name = "submit_sync_committee_messages";
    assert_eq!(metrics.requests[&(name, "application/json")], 2);
    assert_eq!(metrics.errors.iter().collect::<Vec<_>>(), [(&("proxy", 404), &1), (&(name, 400), &1)]);
    assert_eq!(metrics.latency[name].total(), 2);
    let paths: Vec<_> = metrics.proxy_latency.keys().map(String::as_str).collect();
    assert_eq!(paths, ["eth_v1_beacon_blocks_{n}_root", "eth_v1_beacon_genesis"]);
    let agent = "a".repeat(200);
    api.send("GET", "/eth/v1/node/version", &[("user-agent", agent.as_str())], Raw::new()).await;
    assert_eq!(api.server.metrics().user_agent.as_deref(), Some(&agent[..128]));
    for at in 0..300 {
        api.get(&format!("/made/up/x{at}")).await;
    }
    let metrics = api.server.metrics();
    assert_eq!(metrics.proxy_latency.len(), 257);
    assert_eq!(metrics.proxy_latency["other"].total(), 46);
}

// --------------------------------------------------------------------------------------------- answers seen at charon

/// A row of the recorded answers.
#[derive(serde::Deserialize)]
struct Row {
    method: String,
    path: String,
    headers: std::collections::BTreeMap<String, String>,
    body: Option<String>,
    status: u16,
    content_type: Option<String>,
    answer: String,
}

#[tokio::test]
async fn answers_are_those_of_charon() {
    let Some(text) = support::vector("runs/http/validator_api_answers.json") else { return };
    let rows: Vec<Row> = serde_json::from_str(&text).expect("rows");
    let node = Fake::start(|_| Act::Reply(404, Vec::new(), Vec::new())).await;
    let rule: Rule = Box::new(|request| {
        let answer = match request {
            Request::AttesterDuties { .. } => {
                let duties = Duties { dependent_root: Bytes([0; 32]), duties: Vec::new() };
                Ok(Answer::AttesterDuties(duties))
            }
            Request::SyncDuties { .. } => Ok(Answer::SyncDuties(Vec::new())),
            Request::Validators { ids, .. } if ids == &[ValidatorId::Index(999_999)] => {
                Ok(Answer::Validators(Vec::new()))
            }
            Request::Validators { .. } => Err(Problem::new(500, "unknown key")),
            other => panic!("{other:?}"),
        };
        std::future::ready(answer).boxed()
    });
    let api = Api::with(rule, backends(&[&node.url()], &[]), Duration::from_secs(10)).await;
    assert!(rows.len() >= 80, "{}", rows.len());
    for row in rows {
        let headers: HeaderMap = row
            .headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(name).expect("a name"), HeaderValue::try_from(value).expect("a value"))
            })
            .collect();
        let url = format!("http://{}{}", api.server.address(), row.path);
        let request = api.client.request(row.method.parse().expect("a method"), url).headers(headers);
        let got =
            Got::read(request.body(row.body.clone().unwrap_or_default()).send().await.expect("sent")).await;
        let what = format!("{} {} {:?} {:?}", row.method, row.path, row.headers, row.body);
        assert_eq!(got.status, row.status, "{what}");
        assert_eq!(got.header("content-type"), row.content_type.as_deref(), "{what}");
        if row.path == "/eth/v1/node/version" {
            continue;
        }
        if row.path.ends_with("beacon_committee_selections") && row.body.as_deref() == Some("[]") {
            // charon has `null` here. The Beacon API has a list, and strict clients want one.
            assert_eq!(got.json(), json!({"data": []}));
        } else if got.status == 200 {
            assert_eq!(String::from_utf8_lossy(&got.body), row.answer, "{what}");
        } else if !row.answer.is_empty() {
            assert_eq!(got.json()["code"], json!(row.status), "{what}");
        }
    }
}

#[tokio::test]
async fn paths_of_metrics_are_those_of_charon() {
    #[derive(serde::Deserialize)]
    struct Table {
        rows: Vec<Label>,
    }
    #[derive(serde::Deserialize)]
    struct Label {
        path: String,
        label: String,
    }
    let Some(text) = support::vector("core/tables/proxy_path_label.json") else { return };
    let table: Table = serde_json::from_str(&text).expect("a table");
    let node = Fake::start(|_| Act::json(&json!({}))).await;
    let api = Api::before(backends(&[&node.url()], &[])).await;
    for row in table.rows {
        // One row is a path that the node answers itself; it goes past the table by its method.
        api.send("PUT", &row.path, &[], "").await;
        assert!(api.server.metrics().proxy_latency.contains_key(&row.label), "{}", row.path);
    }
}
