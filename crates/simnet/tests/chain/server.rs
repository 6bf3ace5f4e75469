//! The Beacon API over real sockets.
//!
//! Slots are an hour long and the chain began one and a half hours ago, so that it is slot 1 throughout.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::{self, Answer, send};
use crate::world::{publics, secret};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{AttestationData, SingleAttestation};
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::domain::{
    ATTESTER, BUILDER, CONTRIBUTION, EXIT, PROPOSER, RANDAO, SELECTION, SYNC_COMMITTEE, SYNC_SELECTION,
    Signable,
};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::sync::{
    ContributionAndProof, SignedContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeMessage,
};
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::registration::Registration;
use coxswain_simnet::chain::{Builder, Kind};
use coxswain_simnet::{Settings, Simnet};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tree_hash::TreeHash as _;

const HOUR: Duration = Duration::from_secs(3600);
/// Validators.
const N: u64 = 16;

struct Net {
    simnet: Simnet,
    node: SocketAddr,
    spec: coxswain_dv_eth::domain::Chain,
}

/// A chain at slot 1 with so many nodes.
async fn start(n_nodes: usize, change: impl FnOnce(&mut Settings)) -> Net {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut settings = Settings::new(Time::from_secs(now - 5400), HOUR, publics(N));
    settings.slots_per_epoch = 2;
    change(&mut settings);
    let mut listeners = Vec::new();
    for _ in 0..n_nodes {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    }
    let simnet = Simnet::start(settings, listeners).expect("a chain");
    let spec = simnet.with(|chain, _| chain.spec().clone());
    Net { node: simnet.addresses()[0], simnet, spec }
}

impl Net {
    async fn get(&self, path: &str) -> Answer {
        send(self.node, &format!("GET {path}"), &[], b"").await
    }

    /// The data of a good answer.
    async fn data(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["data"].clone()
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(self.node, &format!("POST {path}"), headers, body).await
    }

    /// Hands something in that is taken.
    async fn accept(&self, path: &str, headers: &[(&str, &str)], body: &Value) {
        let answer = self.post(path, headers, body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }

    fn sign(&self, validator: u64, root: Root, domain: [u8; 4], epoch: u64) -> Bytes96 {
        let message = self.spec.signing_root(&Signable { root, domain, epoch });
        secret(validator).sign(&message).to_bytes().into()
    }

    async fn proposer(&self) -> u64 {
        let duties = self.data("/eth/v1/validator/duties/proposer/0").await;
        number(&duties[0]["validator_index"])
    }

    async fn proposal_path(&self, boost: &str) -> String {
        let proposer = self.proposer().await;
        let randao = self.sign(proposer, 0_u64.tree_hash_root().0, RANDAO, 0);
        let graffiti = Bytes32::from([0x47; 32]);
        format!(
            "/eth/v3/validator/blocks/1?randao_reveal={randao}&graffiti={graffiti}&builder_boost_factor={boost}"
        )
    }
}

#[track_caller]
fn number(value: &Value) -> u64 {
    let text = value.as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no number in quotes"))
}

/// Every document that clients fetch: what they look at is there.
#[tokio::test(flavor = "multi_thread")]
async fn documents_are_served() {
    let net = start(1, |_| {}).await;
    let genesis = net.data("/eth/v1/beacon/genesis").await;
    assert_eq!(genesis["genesis_fork_version"], "0x10000910");
    assert_eq!(genesis["genesis_validators_root"], json!(Bytes32::from(net.spec.genesis_validators_root)));
    assert!(number(&genesis["genesis_time"]) > 1_700_000_000);
    let spec = net.data("/eth/v1/config/spec").await;
    for (name, value) in [
        ("SECONDS_PER_SLOT", "3600"),
        ("SLOT_DURATION_MS", "3600000"),
        ("SLOTS_PER_EPOCH", "2"),
        ("EPOCHS_PER_SYNC_COMMITTEE_PERIOD", "8"),
        ("SYNC_COMMITTEE_SIZE", "512"),
        ("SYNC_COMMITTEE_SUBNET_COUNT", "4"),
        ("TARGET_AGGREGATORS_PER_COMMITTEE", "16"),
        ("TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE", "16"),
        ("GENESIS_FORK_VERSION", "0x10000910"),
        ("CAPELLA_FORK_VERSION", "0x40000910"),
        ("FULU_FORK_VERSION", "0x70000910"),
        ("FULU_FORK_EPOCH", "0"),
        ("DOMAIN_APPLICATION_BUILDER", "0x00000001"),
        ("DOMAIN_VOLUNTARY_EXIT", "0x04000000"),
    ] {
        assert_eq!(spec[name], value, "{name}");
    }
    let schedule = net.data("/eth/v1/config/fork_schedule").await;
    assert_eq!(schedule.as_array().map(Vec::len), Some(7));
    assert_eq!(
        (&schedule[0]["previous_version"], &schedule[0]["current_version"]),
        (&schedule[0]["current_version"], &"0x10000910".into())
    );
    assert_eq!(net.data("/eth/v1/config/deposit_contract").await["chain_id"], "560048");
    let syncing = net.data("/eth/v1/node/syncing").await;
    assert_eq!((&syncing["is_syncing"], &syncing["head_slot"]), (&false.into(), &"0".into()));
    assert!(
        net.data("/eth/v1/node/version").await["version"]
            .as_str()
            .is_some_and(|v| v.starts_with("coxswain-simnet/v"))
    );
    assert_eq!(net.data("/eth/v2/node/version").await["beacon_node"]["name"], "coxswain-simnet");
    assert_eq!(net.data("/eth/v1/node/peer_count").await["connected"], "50");
    assert_eq!(net.get("/eth/v1/node/health").await.status, 200);
    assert_eq!(net.data("/eth/v1/node/peers").await, json!([]));
    assert_eq!(net.data("/eth/v1/node/identity").await["metadata"]["seq_number"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_states_are_served() {
    let net = start(1, |_| {}).await;
    let root = net.data("/eth/v1/beacon/blocks/head/root").await["root"].clone();
    let root = root.as_str().expect("a root");
    for id in ["genesis", "0", "finalized", "justified", root] {
        assert_eq!(net.data(&format!("/eth/v1/beacon/blocks/{id}/root")).await["root"], root, "{id}");
        let header = net.data(&format!("/eth/v1/beacon/headers/{id}")).await;
        assert_eq!((&header["root"], &header["canonical"]), (&root.into(), &true.into()));
        let block = net.get(&format!("/eth/v2/beacon/blocks/{id}")).await;
        assert_eq!(block.header("eth-consensus-version"), Some("fulu"));
        assert_eq!(block.json()["version"], "fulu");
        assert_eq!(block.json()["data"]["message"]["slot"], "0");
        assert_eq!(net.data(&format!("/eth/v2/beacon/blocks/{id}/attestations")).await, json!([]));
    }
    assert_eq!(net.data("/eth/v1/beacon/headers").await[0]["root"], root);
    assert_eq!(net.data("/eth/v1/beacon/headers?slot=1").await, json!([]));
    assert_eq!(net.data("/eth/v1/beacon/blob_sidecars/head").await, json!([]));
    let state_root = net.data("/eth/v1/beacon/headers/head").await["header"]["message"]["state_root"].clone();
    assert_eq!(net.data("/eth/v1/beacon/states/head/root").await["root"], state_root);
    let by_root = format!("/eth/v1/beacon/states/{}/fork", state_root.as_str().expect("a root"));
    assert_eq!(net.data(&by_root).await["current_version"], "0x70000910");
    assert_eq!(net.data("/eth/v1/beacon/states/head/finality_checkpoints").await["finalized"]["epoch"], "0");
    let committees = net.data("/eth/v1/beacon/states/head/committees?slot=1").await;
    assert_eq!(committees[0]["validators"].as_array().map(Vec::len), Some(8));
    let sync = net.data("/eth/v1/beacon/states/head/sync_committees").await;
    assert_eq!(sync["validators"].as_array().map(Vec::len), Some(512));
    let wrong = net.post("/eth/v1/beacon/genesis", &[], b"").await;
    assert_eq!((wrong.status, wrong.json()["code"].clone()), (405, 405.into()));
    let (v1, v2) = (
        net.get("/eth/v1/validator/duties/proposer/1").await.json(),
        net.get("/eth/v2/validator/duties/proposer/1").await.json(),
    );
    assert_eq!(v1, v2, "there is one block only, on which all hangs");
    for (path, status) in [
        ("/eth/v1/beacon/blocks/5/root", 404),
        ("/eth/v2/beacon/blocks/18446744073709551615", 404),
        ("/eth/v1/beacon/blocks/nothing/root", 400),
        ("/eth/v1/beacon/blocks/0x12/root", 400),
        ("/eth/v1/beacon/states/5/fork", 404),
        ("/eth/v1/no/endpoint", 404),
        ("/eth/v1/validator/attestation_data?committee_index=0", 400),
        ("/eth/v1/validator/attestation_data?slot=x&committee_index=0", 400),
        ("/eth/v1/validator/duties/proposer/999", 400),
        ("/eth/v2/validator/aggregate_attestation?slot=1&committee_index=0", 400),
    ] {
        let answer = net.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let body = answer.json();
        assert_eq!(body["code"], status, "{path}");
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_are_found() {
    let net = start(1, |_| {}).await;
    let keys: Vec<String> = publics(3).iter().map(ToString::to_string).collect();
    let path = "/eth/v1/beacon/states/head/validators";
    let all = net.data(path).await;
    assert_eq!(all.as_array().map(Vec::len), Some(usize::try_from(N).expect("small")));
    let one = net.data(&format!("{path}/{}", keys[2])).await;
    assert_eq!((&one["index"], &one["status"]), (&"2".into(), &"active_ongoing".into()));
    assert_eq!(one, all[2]);
    assert_eq!(net.data(&format!("{path}/2")).await, one);
    let two = net.data(&format!("{path}?id={},{}&id=1", keys[0], keys[2])).await;
    let found: Vec<&Value> = two.as_array().expect("a list").iter().map(|one| &one["index"]).collect();
    assert_eq!(found, ["0", "2", "1"]);
    assert_eq!(net.data(&format!("{path}?status=exited")).await, json!([]));
    assert_eq!(net.data(&format!("{path}?id=1&status=active")).await[0]["index"], "1");
    let body = json!({"ids": [keys[1], "99"], "statuses": null}).to_string();
    let answer = net.post(path, &[("content-type", "application/json")], body.as_bytes()).await;
    assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(net.get(&format!("{path}/77")).await.status, 404);
    assert_eq!(net.get(&format!("{path}/0x12")).await.status, 400);
    let balances = net.data("/eth/v1/beacon/states/head/validator_balances?id=3").await;
    assert_eq!(balances, json!([{"index": "3", "balance": "32000000000"}]));
    let live = net.post("/eth/v1/validator/liveness/0", &[], b"[\"1\"]").await.json();
    assert_eq!(live["data"], json!([{"index": "1", "is_live": false}]));
}

/// A block is asked for and handed in: as JSON and as SSZ, whole and blinded.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_proposed() {
    for (builder, is_ssz) in
        [(Builder::Off, false), (Builder::Off, true), (Builder::Everybody, false), (Builder::Everybody, true)]
    {
        let net = start(1, |settings| {
            settings.builder = builder;
            settings.blobs = 1;
        })
        .await;
        let stream = http::listen(net.node, "head,block,block_gossip,execution_payload_available").await;
        let path = net.proposal_path("18446744073709551615").await;
        let accept =
            if is_ssz { "application/octet-stream;q=1,application/json;q=0.9" } else { "application/json" };
        let answer = send(net.node, &format!("GET {path}"), &[("accept", accept)], b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let is_blinded = builder == Builder::Everybody;
        let flag = if is_blinded { "true" } else { "false" };
        assert_eq!(answer.header("eth-consensus-version"), Some("fulu"));
        assert_eq!(answer.header("eth-execution-payload-blinded"), Some(flag));
        assert!(answer.header("eth-execution-payload-value").is_some());
        assert!(answer.header("eth-consensus-block-value").is_some());
        let form = Form::from(is_blinded);
        let proposal = if is_ssz {
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            Proposal::from_ssz(Fork::Fulu, form, &answer.body).expect("a block")
        } else {
            let body = answer.json();
            assert_eq!(
                (&body["version"], &body["execution_payload_blinded"]),
                (&"fulu".into(), &is_blinded.into())
            );
            Proposal::from_json(Fork::Fulu, form, body["data"].to_string().as_bytes()).expect("a block")
        };
        // The same question has the same answer.
        let again = send(net.node, &format!("GET {path}"), &[("accept", accept)], b"").await;
        assert_eq!(again.body, answer.body);
        let signature = net.sign(proposal.proposer_index(), proposal.root(), PROPOSER, 0);
        let root = Bytes32::from(proposal.root());
        let block = proposal.signed(signature);
        let path = if is_blinded { "/eth/v2/beacon/blinded_blocks" } else { "/eth/v2/beacon/blocks" };
        let (kind, body) = if is_ssz {
            ("application/octet-stream", block.to_ssz())
        } else {
            ("application/json", block.to_json())
        };
        assert_eq!(net.post(path, &[("content-type", kind)], &body).await.status, 400, "no version");
        let headers = [("content-type", kind), ("eth-consensus-version", "fulu")];
        let answer = net.post(path, &headers, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let events = http::events(stream, 3).await;
        let topics: Vec<&str> = events.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(topics, ["block_gossip", "block", "head"]);
        assert!(events.iter().all(|(_, data)| data["block"] == json!(root) && data["slot"] == "1"));
        assert_eq!(net.data("/eth/v1/beacon/blocks/head/root").await["root"], json!(root));
        let ssz = [("accept", "application/octet-stream")];
        let kept = send(net.node, "GET /eth/v2/beacon/blocks/1", &ssz, b"").await;
        assert_eq!(kept.header("content-type"), Some("application/octet-stream"));
        let kept: coxswain_dv_eth::operations::Signed<coxswain_dv_eth::block::BlockElectra> =
            ssz::Decode::from_ssz_bytes(&kept.body).expect("a signed block");
        assert_eq!((kept.message.root(), kept.signature), (root.0, signature));
        let bad = net.post(path, &headers, b"{").await;
        assert_eq!((bad.status, bad.json()["code"].clone()), (400, 400.into()));
    }
}

/// Votes, aggregates, sync committee messages and contributions.
#[tokio::test(flavor = "multi_thread")]
async fn votes_are_handed_in() {
    let net = start(1, |_| {}).await;
    let fulu = [("eth-consensus-version", "fulu"), ("content-type", "application/json")];
    let all: Vec<u64> = (0..N).collect();
    let duties =
        net.post("/eth/v1/validator/duties/attester/0", &[], json!(all).to_string().as_bytes()).await.json();
    assert_eq!(duties["execution_optimistic"], false);
    assert!(duties["dependent_root"].is_string());
    let duties: Vec<Value> = duties["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|duty| duty["slot"] == "1")
        .cloned()
        .collect();
    assert_eq!(duties.len(), 8);
    let data = net.data("/eth/v1/validator/attestation_data?slot=1&committee_index=0").await;
    let data: AttestationData = serde_json::from_value(data).expect("data");
    let single = |duty: &Value| {
        let attester_index = number(&duty["validator_index"]);
        let signature = net.sign(attester_index, data.root(), ATTESTER, 0);
        SingleAttestation { committee_index: 0, attester_index, data, signature }
    };
    let mut votes: Vec<SingleAttestation> = duties.iter().map(single).collect();
    votes[2].signature = votes[1].signature;
    let path = "/eth/v2/beacon/pool/attestations";
    let answer = net.post(path, &fulu, json!(votes).to_string().as_bytes()).await;
    assert_eq!(answer.status, 400);
    let failures = answer.json()["failures"].clone();
    assert_eq!(failures, json!([{"index": 2, "message": "the signature does not verify"}]));
    net.accept(path, &fulu, &json!([single(&duties[2])])).await;
    assert_eq!(net.post(path, &[], json!(votes).to_string().as_bytes()).await.status, 400, "no version");

    let root = Bytes32::from(data.root());
    let path = format!(
        "/eth/v2/validator/aggregate_attestation?slot=1&attestation_data_root={root}&committee_index=0"
    );
    let aggregate = net.get(&path).await;
    assert_eq!(aggregate.header("eth-consensus-version"), Some("fulu"));
    let aggregate = aggregate.json()["data"].clone();
    let aggregator = number(&duties[0]["validator_index"]);
    let proof = net.sign(aggregator, 1_u64.tree_hash_root().0, SELECTION, 0);
    let message =
        coxswain_dv_eth::attestation::AggregateAndProof::<coxswain_dv_eth::attestation::AttestationElectra> {
            aggregator_index: aggregator,
            aggregate: serde_json::from_value(aggregate).expect("an aggregate"),
            selection_proof: proof,
        };
    assert_eq!(message.aggregate.aggregation_bits.num_set_bits(), 8);
    let domain = coxswain_dv_eth::domain::AGGREGATE_AND_PROOF;
    let signature = net.sign(aggregator, message.tree_hash_root().0, domain, 0);
    net.accept(
        "/eth/v2/validator/aggregate_and_proofs",
        &fulu,
        &json!([{"message": message, "signature": signature}]),
    )
    .await;
    assert_eq!(net.get(&path.replace(&root.to_string(), &Bytes32::default().to_string())).await.status, 404);
    let report = net.simnet.with(|chain, asked| {
        let later = coxswain_simnet::chain::Asked { now: asked.now + HOUR, ..asked };
        chain.report(later, Some(1), Some(1))
    });
    assert_eq!((report.duties[&Kind::Attester].received, report.duties[&Kind::Attester].refused), (8, 1));
    assert_eq!(report.duties[&Kind::Aggregator].received, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_committees_work() {
    let net = start(1, |_| {}).await;
    let duties = net.post("/eth/v1/validator/duties/sync/0", &[], b"[\"3\",\"5\"]").await.json();
    let seats = duties["data"][0]["validator_sync_committee_indices"].as_array().expect("a list").len();
    assert_eq!((duties["data"].as_array().map(Vec::len), seats), (Some(2), 32));
    let root: Bytes32 =
        serde_json::from_value(net.data("/eth/v1/beacon/blocks/head/root").await["root"].clone())
            .expect("a root");
    let message = |validator_index: u64| SyncCommitteeMessage {
        slot: 1,
        beacon_block_root: root,
        validator_index,
        signature: net.sign(validator_index, root.0, SYNC_COMMITTEE, 0),
    };
    let all: Vec<SyncCommitteeMessage> = (0..N).map(message).collect();
    net.accept("/eth/v1/beacon/pool/sync_committees", &[], &json!(all)).await;
    let mut n_accepted = 0;
    for subcommittee_index in 0..4 {
        let path = format!(
            "/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index={subcommittee_index}&beacon_block_root={root}"
        );
        let contribution: coxswain_dv_eth::sync::SyncCommitteeContribution =
            serde_json::from_value(net.data(&path).await).expect("a contribution");
        assert_eq!(contribution.aggregation_bits.num_set_bits(), 128);
        for aggregator_index in 0..N {
            let selection = SyncAggregatorSelectionData { slot: 1, subcommittee_index }.root();
            let selection_proof = net.sign(aggregator_index, selection, SYNC_SELECTION, 0);
            if !coxswain_dv_eth::selection::is_sync_aggregator(&selection_proof) {
                continue;
            }
            let contribution = contribution.clone();
            let message = ContributionAndProof { aggregator_index, contribution, selection_proof };
            let signature = net.sign(aggregator_index, message.tree_hash_root().0, CONTRIBUTION, 0);
            let signed = SignedContributionAndProof { message, signature };
            net.accept("/eth/v1/validator/contribution_and_proofs", &[], &json!([signed])).await;
            n_accepted += 1;
        }
    }
    assert!(n_accepted > 0);
}

/// What has no answer, or only a short one.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_taken() {
    let net = start(1, |_| {}).await;
    let message = VoluntaryExit { epoch: 0, validator_index: 2 };
    let signature = net.sign(2, message.tree_hash_root().0, EXIT, 0);
    net.accept("/eth/v1/beacon/pool/voluntary_exits", &[], &json!(Signed { message, signature })).await;
    assert_eq!(net.data("/eth/v1/beacon/states/head/validators/2").await["status"], "active_exiting");
    let message = Registration {
        fee_recipient: coxswain_dv_crypto::k1::Address([3; 20]),
        gas_limit: 60_000_000,
        timestamp: 5,
        pubkey: publics(2)[1].0,
    };
    let signature = net.sign(1, message.root(), BUILDER, 0).0;
    let registration = SignedRegistration { message, signature }.to_json();
    let path = "/eth/v1/validator/register_validator";
    let answer = net.post(path, &[], format!("[{registration}]").as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bad = registration.replace("\"60000000\"", "\"60000001\"");
    assert_eq!(net.post(path, &[], format!("[{bad}]").as_bytes()).await.status, 400);
    let preparation = json!([{"validator_index": "1", "fee_recipient": format!("0x{}", "ab".repeat(20))}]);
    net.accept("/eth/v1/validator/prepare_beacon_proposer", &[], &preparation).await;
    let subscription = json!([{"validator_index": "1", "committee_index": "0", "committees_at_slot": "1", "slot": "1", "is_aggregator": true}]);
    net.accept("/eth/v1/validator/beacon_committee_subscriptions", &[], &subscription).await;
    net.accept("/eth/v1/validator/sync_committee_subscriptions", &[], &json!([])).await;
    for path in ["beacon_committee_selections", "sync_committee_selections"] {
        assert_eq!(net.post(&format!("/eth/v1/validator/{path}"), &[], b"[]").await.status, 501);
    }
    for path in ["/eth/v1/beacon/pool/sync_committees", "/eth/v1/validator/duties/sync/0", path] {
        let answer = net.post(path, &[], b"[{]").await;
        assert_eq!((answer.status, answer.json()["code"].clone()), (400, 400.into()), "{path}");
    }
    assert_eq!(net.post("/eth/v1/validator/duties/attester/0", &[], b"[-1]").await.status, 400);
    assert_eq!(net.post("/eth/v1/validator/duties/attester/0", &[], b"[1,\"2\"]").await.status, 200);
}

/// Nodes of one chain share it, each with faults of its own; control is never hit.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_have_faults() {
    let net = start(2, |_| {}).await;
    let other = net.simnet.addresses()[1];
    let set = |fault: Value| async move {
        let answer = send(other, "POST /simnet/fault", &[], fault.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    set(json!({"kind": "endpoint", "node": 1, "path": "/", "status": 502})).await;
    assert_eq!(send(other, "GET /eth/v1/beacon/genesis", &[], b"").await.status, 502);
    assert_eq!(net.get("/eth/v1/beacon/genesis").await.status, 200);
    let faults = send(other, "GET /simnet/fault", &[], b"").await.json();
    assert_eq!(faults[0]["status"], 502);
    set(json!({"kind": "clear"})).await;
    set(json!({"kind": "syncing", "node": 1})).await;
    assert_eq!(send(other, "GET /eth/v1/node/health", &[], b"").await.status, 206);
    assert_eq!(send(other, "GET /eth/v1/node/syncing", &[], b"").await.json()["data"]["is_syncing"], true);
    let answer = send(other, "POST /eth/v1/beacon/pool/sync_committees", &[], b"[]").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.json()["message"].as_str().is_some_and(|text| text.contains("syncing")));
    assert_eq!(net.post("/eth/v1/beacon/pool/sync_committees", &[], b"[]").await.status, 200);
    let report = net.get("/simnet/report?from=0&to=0").await.json();
    assert_eq!(
        (&report["to_slot"], &report["current_slot"], &report["n_fatal"]),
        (&0.into(), &1.into(), &0.into())
    );
    assert_eq!(send(other, "POST /simnet/fault", &[], b"{\"kind\":\"?\"}").await.status, 400);
}

/// Before genesis clients find what they need to wait.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_serve_before_genesis() {
    let net = start(1, |settings| settings.genesis = settings.genesis + HOUR * 3).await;
    assert_eq!(net.data("/eth/v1/node/syncing").await["is_syncing"], false);
    assert_eq!(net.data("/eth/v1/validator/duties/proposer/0").await.as_array().map(Vec::len), Some(1));
    assert_eq!(net.get("/eth/v1/validator/attestation_data?slot=0&committee_index=0").await.status, 400);
    let path = net.proposal_path("0").await;
    assert_eq!(net.get(&path).await.status, 400);
    assert_eq!(net.get("/simnet/report").await.json()["validators"], json!([]));
    assert_eq!(net.data("/eth/v1/beacon/headers/head").await["header"]["message"]["slot"], "0");
}
