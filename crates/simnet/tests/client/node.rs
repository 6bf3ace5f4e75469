//! The validator client with keys of shares, behind a pretended node of a cluster: what it sends, in which form, and what
//! it makes of answers that are none.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coxswain_simnet::client::{Client, Habits, Keys, Mode, Report, Settings, Timeouts, habits};
use serde_json::Value;

use crate::cluster::{Node, Trick, secret};

const N_VALIDATORS: u8 = 3;
const SLOT: Duration = Duration::from_millis(400);
/// A busy machine needs longer; one that needs this long has found a defect.
const LIMIT: Duration = Duration::from_secs(60);

fn habits_of(name: &str) -> Habits {
    Habits::of(name).expect("they are there")
}

async fn settings(node: &Arc<Node>, habits: Habits) -> Settings {
    let keys = Keys::new((0..N_VALIDATORS).map(secret));
    let timeouts = Timeouts { quick: Duration::from_secs(2), waiting: Duration::from_secs(4) };
    Settings { habits, timeouts, ..Settings::new(node.serve().await, keys, Mode::Distributed) }
}

async fn start(node: &Arc<Node>, habits: Habits) -> Client {
    Client::start(settings(node, habits).await).expect("it starts")
}

/// Waits until so much of each kind of work is done.
#[track_caller]
fn until(client: &mut Client, rows: &[(&'static str, u64)]) -> impl Future<Output = Report> {
    let place = std::panic::Location::caller();
    async move {
        let all = |report: &Report| rows.iter().all(|(name, least)| report.row(name).done >= *least);
        let Ok(report) = tokio::time::timeout(LIMIT, client.reported(all)).await else {
            panic!("{place}: {rows:?} are not all done: {}", client.report().to_json())
        };
        report
    }
}

const ALL_DUTIES: &[(&str, u64)] = &[
    ("attester", 2),
    ("prepare_aggregator", 3),
    ("aggregator", 2),
    ("sync_message", 6),
    ("prepare_sync_contribution", 12),
    ("sync_contribution", 1),
    ("preparations", 1),
];

/// Shares sign what is theirs, and put the group's proofs into what they aggregate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_sign_and_groups_select_in_every_way() {
    // All of them share the processors, so their slots are longer than those of others.
    let slot = Duration::from_secs(1);
    let nodes: Vec<Arc<Node>> = habits::ALL.iter().map(|_| Node::new(N_VALIDATORS, slot)).collect();
    let mut clients = Vec::new();
    for (node, habits) in nodes.iter().zip(habits::ALL) {
        clients.push(start(node, *habits).await);
    }
    for ((client, node), habits) in clients.iter_mut().zip(&nodes).zip(habits::ALL) {
        until(client, ALL_DUTIES).await;
        assert_eq!(*node.refused.lock().expect("whole"), [""; 0], "{}", habits.name);
        for kind in ["selection", "sync_selection", "attestation", "aggregate", "vote", "contribution"] {
            assert!(node.accepted(kind) > 0, "{}: {kind}", habits.name);
        }
    }
}

fn items(body: &[u8]) -> Vec<Value> {
    serde_json::from_slice(body).expect("a list")
}

/// The habits show in what is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn habits_show_in_requests() {
    for (name, duties, lookup, proposers, items_of_vote, agent) in [
        ("plain", Value::from(0), "GET /eth/v1/beacon/states/head/validators", "v1", 3, "coxswain-simnet"),
        ("prysm", Value::from("0"), "POST /eth/v1/beacon/states/head/validators", "v2", 1, "Prysm"),
        (
            "lighthouse",
            Value::from("0"),
            "GET /eth/v1/beacon/states/head/validators/0x",
            "v1",
            3,
            "Lighthouse",
        ),
    ] {
        let node = Node::new(N_VALIDATORS, SLOT);
        let mut client = start(&node, habits_of(name)).await;
        until(&mut client, &[("sync_message", 3), ("attester", 1)]).await;
        let asked = &node.requests("duties/attester")[0];
        assert_eq!(items(&asked.body)[0], duties, "{name}");
        assert_eq!(asked.headers["user-agent"], agent);
        let found = &node.requests("states/head/validators")[0];
        assert!(format!("{} {}", found.method, found.path).starts_with(lookup), "{name}: {found:?}");
        assert!(
            node.requests("duties/proposer")[0].path.starts_with(&format!("/eth/{proposers}/")),
            "{name}"
        );
        assert_eq!(items(&node.requests("pool/sync_committees")[0].body).len(), items_of_vote, "{name}");
        let sent = &node.requests("pool/attestations")[0];
        assert_eq!(sent.headers["eth-consensus-version"], "fulu", "{name}");
        assert_eq!(sent.headers["content-type"], "application/json", "{name}");
    }
}

/// Each question is first answered with what is no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_asked_again() {
    let node = Node::new(N_VALIDATORS, SLOT);
    let deep = "[".repeat(100_000);
    for path in [
        "config/spec",
        "beacon/genesis",
        "node/version",
        "head/validators",
        "duties/attester",
        "duties/proposer",
        "duties/sync",
        "attestation_data",
        "beacon_committee_selections",
        "sync_committee_selections",
        "aggregate_attestation",
        "sync_committee_contribution",
        "head/root",
    ] {
        for body in ["", "null", "{\"data\":", "{\"data\":[{}]}", "<html>", deep.as_str()] {
            // Not all of them where a slot is lost each time.
            let is_of_a_duty =
                !["config", "beacon/genesis", "node", "head/v", "duties", "beacon_c", "sync_committee_s"]
                    .iter()
                    .any(|asked| path.starts_with(asked));
            if !is_of_a_duty || body.is_empty() || body == deep {
                node.trick(path, 1, &Trick::Body(body.to_owned()));
            }
        }
    }
    let mut client = start(&node, habits_of("teku")).await;
    let report = until(&mut client, ALL_DUTIES).await;
    assert_eq!(*node.refused.lock().expect("whole"), [""; 0]);
    for name in ["connection", "validators", "duties", "attester", "prepare_aggregator", "sync_message"] {
        let errors = report.row(name).errors;
        assert!(
            errors.iter().any(|error| error.contains("the answer is not understood")),
            "{name}: {errors:?}"
        );
    }
}

/// Answers of other slots, committees and validators are not signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_answers_are_not_signed() {
    let node = Node::new(N_VALIDATORS, SLOT);
    let root = format!("0x{}", "00".repeat(32));
    let point = |epoch: u64| serde_json::json!({ "epoch": epoch.to_string(), "root": root });
    let data = |slot: u64, index: u64, epoch: u64| {
        serde_json::json!({ "data": { "slot": slot.to_string(), "index": index.to_string(),
            "beacon_block_root": root, "source": point(0), "target": point(epoch) } })
    };
    let far = 1 << 40;
    for wrong in [data(far, 0, far / 4), data(0, 0, 7), data(0, 3, 0)] {
        node.trick("attestation_data", 1, &Trick::Body(wrong.to_string()));
    }
    node.trick("beacon_committee_selections", 1, &Trick::Body("{\"data\":[]}".to_owned()));
    let mut client = start(&node, habits_of("teku")).await;
    let report = client.reported(|report| report.row("attester").failed >= 3).await;
    let errors: Vec<String> = report.row("attester").errors.into();
    assert!(errors.iter().all(|error| error.contains("the answer is not signed")), "{errors:?}");
    let report = until(&mut client, &[("attester", 1), ("aggregator", 1)]).await;
    let errors = report.row("prepare_aggregator").errors;
    assert!(errors.iter().any(|error| error.contains("and 0 of them came back")), "{errors:?}");
    assert_eq!(*node.refused.lock().expect("whole"), [""; 0]);
}

/// A node of a cluster whose peers are late: 408, and silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selections_that_time_out_are_asked_again() {
    let node = Node::new(N_VALIDATORS, SLOT);
    node.trick("beacon_committee_selections", 2, &Trick::Status(408));
    node.trick("beacon_committee_selections", 1, &Trick::Late(Duration::from_millis(700)));
    node.trick("sync_committee_selections", 3, &Trick::Status(408));
    let mut client = start(&node, habits_of("lodestar")).await;
    let report = until(&mut client, &[("aggregator", 2), ("sync_contribution", 1)]).await;
    assert!(report.row("prepare_aggregator").failed >= 2, "{report:?}");
    let errors = report.row("prepare_sync_contribution").errors;
    assert!(errors.iter().any(|error| error.contains("408 pretended")), "{errors:?}");
}

/// A client that is started again with its marks does not vote twice in an epoch, whatever its node says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_stand_above_the_node() {
    let folder = tempfile::tempdir().expect("a folder");
    // An epoch that outlives both clients.
    let node = Node::new(N_VALIDATORS, Duration::from_millis(1200));
    let marks = Some(folder.path().join("marks.json"));
    let first = Settings { marks: marks.clone(), ..settings(&node, habits_of("plain")).await };
    let mut client = Client::start(first).expect("it starts");
    until(&mut client, &[("attester", 1)]).await;
    drop(client);
    // The validator that attested at slot 0 has to at slot 1, on another head.
    *node.shift.lock().expect("whole") = (1, 7);
    let again = Settings { marks, ..settings(&node, habits_of("plain")).await };
    let mut client = Client::start(again).expect("it starts");
    let report = client.reported(|report| report.row("attester").failed >= 1).await;
    let errors = report.row("attester").errors;
    let double = "not signed: another attestation with the target epoch 0 is signed already";
    assert!(errors.iter().all(|error| error.contains(double)), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_are_signed_by_shares() {
    let node = Node::new(N_VALIDATORS, SLOT);
    node.trick("voluntary_exits", 1, &Trick::Status(408));
    let mut client = start(&node, habits_of("nimbus")).await;
    client.exit(secret(1).public().to_bytes().into(), 0).await;
    until(&mut client, &[("exit", 1)]).await;
    assert_eq!((node.accepted("exit"), node.requests("voluntary_exits").len()), (1, 2));
}
