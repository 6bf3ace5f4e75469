//! The validator client with whole keys, on the simulated chain: the chain verifies what it signs, and counts.
//!
//! Slots are short and the machine may be busy, so counts are of what must be, not of when.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::fork::FAR_FUTURE;
use coxswain_dv_eth::time::Time;
use coxswain_simnet::chain::{Builder, Fault, Kind, all_up_to, forks};
use coxswain_simnet::client::{Builders, Client, Habits, Keys, Mode, Report, Settings as ClientSettings};
use coxswain_simnet::client::{Timeouts, habits};
use coxswain_simnet::{Settings, Simnet};
use tokio::net::TcpListener;

const SLOT: Duration = Duration::from_millis(600);

fn secret(n: u8) -> SecretKey {
    let mut bytes = [1; 32];
    bytes[31] = n;
    SecretKey::from_bytes(&bytes).expect("a scalar")
}

fn key(n: u8) -> Bytes48 {
    secret(n).public().to_bytes().into()
}

/// A chain of so many validators with four slots an epoch, that begins at the next second but one.
fn chain(n_validators: u8) -> Settings {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let keys = (0..n_validators).map(key).collect();
    Settings { slots_per_epoch: 4, ..Settings::new(Time::from_secs(now + 2), SLOT, keys) }
}

async fn serve(settings: Settings) -> Simnet {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Simnet::start(settings, vec![listener]).expect("a chain")
}

fn settings(simnet: &Simnet, keys: impl Iterator<Item = u8>, habits: Habits) -> ClientSettings {
    let url = format!("http://{}", simnet.addresses()[0]).parse().expect("a URL");
    let settings = ClientSettings::new(url, Keys::new(keys.map(secret)), Mode::Whole);
    ClientSettings { habits, ..settings }
}

fn start(simnet: &Simnet, keys: impl Iterator<Item = u8>, habits: Habits) -> Client {
    Client::start(settings(simnet, keys, habits)).expect("it starts")
}

fn plain() -> Habits {
    Habits::of("plain").expect("they are there")
}

/// A busy machine needs longer; one that needs this long has found a defect.
const LIMIT: Duration = Duration::from_secs(60);

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

/// Errors, but for those of a machine that is too busy for short slots.
fn errors(report: &Report) -> Vec<String> {
    const LATE: &[&str] = &["its slot was over", "no selection came", "nothing of the slot", "it is slot"];
    report
        .work
        .iter()
        .flat_map(|(name, row)| row.errors.iter().map(move |error| format!("{name}: {error}")))
        .filter(|error| !LATE.iter().any(|late| error.contains(late)))
        .collect()
}

/// Nothing that somebody is slashed for, no signature that is none.
#[track_caller]
fn check_findings(simnet: &Simnet) {
    let report = simnet.report(None, None);
    let bad = report.findings.iter().filter(|found| !found.what.contains("it is slot")).collect::<Vec<_>>();
    assert!(report.n_fatal == 0 && bad.is_empty(), "{bad:?}");
}

/// Two validators of each client, in all ways in which clients ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_duty_is_done_in_every_way() {
    let n_clients = u8::try_from(habits::ALL.len()).expect("a few");
    let simnet = serve(chain(2 * n_clients)).await;
    let mut clients: Vec<Client> =
        (0..n_clients).map(|n| start(&simnet, 2 * n..2 * n + 2, habits::ALL[usize::from(n)])).collect();
    for (client, habits) in clients.iter_mut().zip(habits::ALL) {
        let rows = [
            ("attester", 3),
            ("prepare_aggregator", 4),
            ("aggregator", 2),
            ("sync_message", 6),
            ("prepare_sync_contribution", 6),
            ("preparations", 2),
            ("subscriptions", 2),
            ("events", 1),
        ];
        let report = until(client, &rows).await;
        assert_eq!(errors(&report), [""; 0], "{}", habits.name);
        assert_eq!(report.validators, 2, "{}", habits.name);
        let votes = report.requests["POST /eth/v1/beacon/pool/sync_committees"];
        assert!(votes.sent >= 3 && votes.failed == 0 && votes.max_ms >= votes.mean_ms, "{votes:?}");
    }
    check_findings(&simnet);
    let report = simnet.report(None, None);
    for kind in [Kind::Proposer, Kind::Randao, Kind::Attester, Kind::SyncMessage, Kind::SyncContribution] {
        let counts = &report.duties[&kind];
        assert!(counts.received > 0, "{kind:?}: {counts:?}");
    }
    assert!(report.duties[&Kind::Attester].included > 0, "{report:?}");
}

/// Attestations of the first form before Electra, of the second one after it, signatures of each fork in its epochs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_come_while_it_runs() {
    let epochs = [0, 0, 0, 0, 0, 1, 2];
    let simnet = serve(Settings { forks: forks([0, 0, 0, 9], 1, epochs), ..chain(4) }).await;
    let mut plain = start(&simnet, 0..2, plain());
    let mut other = start(&simnet, 2..4, Habits::of("prysm").expect("they are there"));
    for client in [&mut plain, &mut other] {
        let report = until(client, &[("attester", 6), ("aggregator", 5)]).await;
        assert_eq!(errors(&report), [""; 0]);
        assert!(report.slot >= Some(8), "one attestation each in three epochs: {report:?}");
    }
    check_findings(&simnet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_fork_is_served() {
    let epochs = std::array::from_fn(|fork| if fork == 0 { 0 } else { FAR_FUTURE });
    let simnet = serve(Settings { forks: forks([0, 0, 0, 9], 1, epochs), ..chain(2) }).await;
    let mut client = start(&simnet, 0..2, plain());
    until(&mut client, &[("attester", 2), ("proposer", 2), ("aggregator", 1)]).await;
    check_findings(&simnet);
}

/// Blinded blocks as SSZ and as JSON, once the validators have registered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builders_build() {
    let simnet = serve(Settings { builder: Builder::Registered, ..chain(4) }).await;
    // It changes nothing, and is over once its path was asked.
    let seen = Fault::Endpoint {
        node: None,
        path: "beacon/blinded_blocks".to_owned(),
        status: None,
        latency_ms: 1,
        times: Some(1),
    };
    simnet.with(|chain, asked| chain.fault(asked, seen)).expect("it can be");
    let mut clients = Vec::new();
    for (keys, name) in [(0..2, "lighthouse"), (2..4, "vouch")] {
        let mut settings = settings(&simnet, keys, Habits::of(name).expect("they are there"));
        settings.builders = Builders::Registered;
        settings.terms.builder_boost = u64::MAX;
        clients.push(Client::start(settings).expect("it starts"));
    }
    for client in &mut clients {
        let report = until(client, &[("builder_registration", 2), ("proposer", 3)]).await;
        assert_eq!(errors(&report), [""; 0]);
    }
    check_findings(&simnet);
    let left = simnet.with(|chain, _| chain.faults().to_vec());
    assert_eq!(left, [], "blinded blocks were sent");
    assert!(simnet.report(None, None).duties[&Kind::Registration].received >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_leave_when_they_are_told() {
    let simnet = serve(chain(4)).await;
    let mut client = start(&simnet, 0..4, plain());
    client.exit(key(2), 0).await;
    until(&mut client, &[("exit", 1)]).await;
    let status = simnet.with(|chain, _| chain.validators(0, &[])[2].clone());
    assert!(status.validator.exit_epoch != FAR_FUTURE, "{status:?}");
    check_findings(&simnet);
}

/// The chain refuses an exit before its epoch: it goes out when that begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_leave_when_their_epoch_begins() {
    let simnet = serve(chain(4)).await;
    let exits = vec![(key(3), 2), (key(1), 1)];
    let settings = ClientSettings { exits, ..settings(&simnet, 0..4, plain()) };
    let mut client = Client::start(settings).expect("it starts");
    let report = until(&mut client, &[("exit", 2)]).await;
    assert_eq!(errors(&report), [""; 0]);
    let validators = simnet.with(|chain, _| chain.validators(0, &[]));
    let leave: Vec<bool> = validators.iter().map(|one| one.validator.exit_epoch != FAR_FUTURE).collect();
    assert_eq!(leave, [false, true, false, true]);
    check_findings(&simnet);
}

/// Errors, silence, a reorganisation: what can be done is, and nothing that is slashable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_node_is_outlived() {
    let simnet = serve(chain(4)).await;
    let endpoint = |path: &str, status: Option<u16>, latency_ms: u64, times: u64| Fault::Endpoint {
        node: None,
        path: path.to_owned(),
        status,
        latency_ms,
        times: Some(times),
    };
    let faults = [
        endpoint("config/spec", Some(503), 0, 2),
        endpoint("states/head/validators", Some(500), 0, 2),
        endpoint("duties", Some(503), 0, 4),
        endpoint("attestation_data", Some(500), 0, 3),
        endpoint("pool/attestations", Some(504), 0, 1),
        endpoint("head/root", None, 1000, 1),
        endpoint("v3/validator/blocks", Some(503), 0, 2),
        endpoint("events", Some(500), 0, 1),
        Fault::Reorg { slot: 6, depth: 2 },
    ];
    for fault in faults {
        simnet.with(|chain, asked| chain.fault(asked, fault)).expect("it can be");
    }
    let mut settings = settings(&simnet, 0..4, Habits::of("lodestar").expect("they are there"));
    settings.timeouts = Timeouts { quick: Duration::from_millis(500), waiting: Duration::from_millis(900) };
    let mut client = Client::start(settings).expect("it starts");
    let rows = [("connection", 1), ("events", 1), ("attester", 8), ("proposer", 4), ("sync_message", 12)];
    let report = until(&mut client, &rows).await;
    assert_eq!((report.row("connection").failed, report.row("validators").failed), (2, 2), "{report:?}");
    assert!(report.row("duties").failed >= 3, "{report:?}");
    assert_eq!(simnet.report(None, None).n_fatal, 0);
}

/// The node is not there at first, is there, goes, and comes back at the same address without a memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_and_goes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}").parse().expect("a URL");
    let settings = ClientSettings::new(url, Keys::new((0..2).map(secret)), Mode::Whole);
    let mut client = Client::start(settings).expect("it starts");
    client.reported(|report| report.row("connection").failed > 0).await;
    let genesis = chain(2);
    let start = async || {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        Simnet::start(genesis.clone(), vec![listener]).expect("a chain")
    };
    let simnet = start().await;
    until(&mut client, &[("sync_message", 1)]).await;
    drop(simnet);
    let report = client.reported(|report| report.row("sync_message").failed > 0).await;
    let errors = report.row("sync_message").errors;
    assert!(errors.iter().any(|error| error.contains("the node was not reached")), "{errors:?}");
    let simnet = start().await;
    let attested = report.row("attester").done + 2;
    until(&mut client, &[("sync_message", report.row("sync_message").done + 2), ("attester", attested)])
        .await;
    assert_eq!(simnet.report(None, None).n_fatal, 0);
}

/// Electra alone, to see that what is asked of committees there is asked of the right one; blocks have blobs, as SSZ
/// and as JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_committees_attest_at_a_slot() {
    let forks = forks([0, 0, 0, 9], 1, all_up_to(6));
    let simnet = serve(Settings { forks, committees_per_slot: 2, blobs: 1, ..chain(8) }).await;
    let mut own = start(&simnet, 0..4, plain());
    let mut zero = start(&simnet, 4..8, Habits::usual());
    for client in [&mut own, &mut zero] {
        let report = until(client, &[("attester", 4), ("aggregator", 4), ("proposer", 1)]).await;
        assert_eq!(errors(&report), [""; 0]);
    }
    check_findings(&simnet);
}
