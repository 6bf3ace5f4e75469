//! A monitor that is told a story, and looked at over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use coxswain_dv_beacon::client::News;
use coxswain_dv_beacon::measure::{CALL_BOUNDS, Histogram, REQUEST_BOUNDS};
use coxswain_dv_core::{Channel, Fate, Payee, Step};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::beacon::{ChainEvent, Syncing, ValidatorFields};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::proposal::Form;
use coxswain_dv_eth::protect::Signer;
use coxswain_dv_net::run::{Peer, Received, Said, Sent, Support};
use coxswain_dv_net::{Connections, RelayConnections, Report};
use coxswain_dv_qbft::consensus::{self, Consensus, Participation};
use coxswain_dv_qbft::machine::{RoundReason, Stall};
use coxswain_dv_qbft::timer::Profile;
use coxswain_dv_wire::message::decode;
use coxswain_dv_wire::protocol::{PARSIGEX, PRIORITY, QBFT};
use coxswain_dv_wire::sniffed::SniffedConsensusInstances;
use coxswain_dv_wire::well_known::Timestamp;
use coxswain_simnet::{Settings as ChainSettings, Simnet};
use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::layer::SubscriberExt as _;

use super::book::short;
use super::registry::Kind;
use super::*;

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
const KEY: Bytes48 = Bytes([0xab; 48]);
const CONSTANT: [&str; 6] =
    ["charon_version", "cluster_hash", "cluster_name", "cluster_network", "cluster_peer", "nickname"];

fn key(node: u8) -> IdentityKey {
    IdentityKey::from_bytes(&[node + 1; 32]).expect("a key")
}

fn nodes() -> Vec<Named> {
    let names = ["calm-ant", "deep-bee", "kind-cat", "wise-dog"];
    let named = |(at, name): (u8, &str)| Named {
        name: name.to_owned(),
        id: coxswain_dv_net::peer_id(&key(at).public()),
    };
    (0..).zip(names).map(named).collect()
}

fn settings(counts: Counts) -> Settings {
    Settings {
        about: About {
            version: "v1.11.0".to_owned(),
            git_hash: "abcdef1".to_owned(),
            cluster_hash: "1234567".to_owned(),
            cluster_name: "a \"cluster\"".to_owned(),
            network: "holesky".to_owned(),
            nickname: "nick".to_owned(),
            features: vec!["linear".to_owned(), "quic".to_owned()],
            started_at: Time::from_secs(1_700_000_000),
        },
        clock: CLOCK,
        timers: TimerFlags::STANDARD,
        nodes: nodes(),
        me: 0,
        threshold: 3,
        validators: vec![KEY],
        beacons: vec!["http://beacon:5052".to_owned()],
        judge_from: 2,
        counts,
        lost_lines: Arc::default(),
    }
}

fn duty(slot: u64, kind: DutyType) -> Duty {
    Duty::new(slot, kind)
}

fn step(duty: Duty, step: Step, share: Option<u32>) -> Note {
    Note::Duty { duty, step, key: Some(KEY), share, error: None }
}

/// What it notes of rounds, heads, fetched blocks and the chain.
fn more() -> Vec<(Time, Note)> {
    let at = Time::from_millis;
    let (done, proposal) = (duty(10, DutyType::Attester), duty(13, DutyType::Proposer));
    let (later, aggregate) = (duty(14, DutyType::Attester), duty(10, DutyType::Aggregator));
    let (split, wanted, found) = (duty(12, DutyType::SyncMessage), Bytes([1; 20]), Bytes([2; 20]));
    vec![
        (at(160_000), Note::Scheduled { duty: done, validators: 2 }),
        (
            at(160_000),
            Note::Stalled { duty: proposal, round: 2, why: Stall::RoundChanges { missing: vec![3] } },
        ),
        (at(160_000), Note::Stalled { duty: done, round: 2, why: Stall::Split }),
        (at(160_000), Note::Round { duty: done, round: 2, why: RoundReason::Timeout }),
        (at(160_100), Note::Undecided { duty: proposal }),
        (at(160_100), Note::Verified { duty: done, took: Duration::from_millis(20) }),
        (at(160_100), Note::Combined { duty: done, took: Duration::from_millis(30) }),
        (at(160_100), Note::Unexpected { duty: done, key: KEY, share: 4 }),
        (at(160_100), Note::Distrusted { from: 2, until: 45 }),
        (at(160_100), Note::Distrusted { from: 3, until: 45 }),
        (at(160_100), Note::TrustedAgain { from: 2 }),
        (at(160_100), Note::Cohorts { duty: split, cohorts: vec![[1, 2, 4].into(), [3].into()] }),
        (
            at(160_100),
            Note::Proposal {
                duty: proposal,
                key: KEY,
                form: Form::Full,
                payee: Payee::Other { wanted, found },
            },
        ),
        (at(220_000), Note::Inclusion { duty: done, key: KEY, fate: Fate::Included { distance: 1 } }),
        (at(230_000), Note::Inclusion { duty: later, key: KEY, fate: Fate::Included { distance: 4 } }),
        (at(230_000), Note::Inclusion { duty: proposal, key: KEY, fate: Fate::Missed }),
        (at(230_000), Note::Inclusion { duty: aggregate, key: KEY, fate: Fate::Unknown }),
    ]
}

/// What the machine notes: an attestation that is done without the last node, one that lacks signatures, and what goes wrong.
fn story() -> Vec<(Time, Note)> {
    let at = Time::from_millis;
    let done = duty(10, DutyType::Attester);
    let mut notes = vec![
        (at(120_000), Note::Slot { slot: 10, skipped: 2 }),
        (at(120_100), Note::Resolved { epoch: 0, active: 1 }),
        (at(124_000), step(done, Step::Fetcher, None)),
        (at(124_100), Note::Decided { duty: done, round: 2, leader: 3, took: Duration::from_millis(100) }),
        (at(124_100), step(done, Step::Consensus, None)),
        (at(124_100), step(done, Step::DutyDb, None)),
        (at(124_200), step(done, Step::ParSigDbLocal, Some(1))),
        (at(124_200), step(done, Step::ParSigEx, None)),
        (at(124_300), step(done, Step::ParSigDbExternal, Some(2))),
        (at(124_400), step(done, Step::ParSigDbExternal, Some(3))),
        (at(124_500), step(done, Step::SigAgg, None)),
        (at(124_500), step(done, Step::AggSigDb, None)),
        (at(124_600), step(done, Step::Bcast, None)),
        (at(124_600), step(done, Step::Bcast, None)),
    ];
    let failed = duty(11, DutyType::SyncMessage);
    notes.extend([
        (at(136_000), step(failed, Step::ParSigDbLocal, Some(1))),
        (at(136_000), step(failed, Step::ParSigEx, None)),
        (at(137_000), step(failed, Step::ParSigDbExternal, Some(2))),
    ]);
    let split = duty(12, DutyType::SyncMessage);
    notes.push((at(148_000), step(split, Step::ParSigDbLocal, Some(1))));
    notes.push((at(148_000), step(split, Step::ParSigEx, None)));
    notes.extend([2, 3].map(|share| (at(149_000), step(split, Step::ParSigDbExternal, Some(share)))));
    let exit = duty(64, DutyType::Exit);
    let error = Some("messages of nodes [0, 1]".to_owned());
    let proposal = duty(13, DutyType::Proposer);
    notes.extend([
        (at(150_000), step(exit, Step::ParSigDbExternal, Some(4))),
        (at(160_000), Note::Duty { duty: proposal, step: Step::Consensus, key: None, share: None, error }),
        (at(160_000), Note::Undecided { duty: proposal }),
        (at(160_000), Note::Refused { from: 3, channel: Channel::Qbft, why: "it is late".to_owned() }),
        (at(160_000), Note::RefusedPreferences { from: 2, why: "the duty is not near".to_owned() }),
        (
            at(160_000),
            Note::Slashable { key: KEY, duty: done, signer: Signer::Share, why: "it is another".to_owned() },
        ),
        (at(160_000), Note::Trouble { what: "preparing proposers: no answer".to_owned() }),
    ]);
    notes.extend(more());
    // All of it is over.
    notes.push((at(12_000_000), Note::Slot { slot: 1000, skipped: 0 }));
    notes
}

fn heard() -> Vec<client::Event> {
    let root = Bytes32::default();
    let at = |millis, news| client::Event { node: 0, at: Time::from_millis(millis), news };
    vec![
        at(120_700, News::Gossip { slot: 10, block: root }),
        at(120_800, News::Imported { slot: 10, block: root }),
        at(125_000, News::Chain(ChainEvent::Head { slot: 10, block: root })),
        at(126_000, News::Chain(ChainEvent::Reorg { slot: 10, depth: 2 })),
    ]
}

fn validator() -> Validator {
    let fields = ValidatorFields {
        pubkey: KEY,
        withdrawal_credentials: Bytes32::default(),
        effective_balance: 32_000_000_000,
        slashed: false,
        activation_eligibility_epoch: 0,
        activation_epoch: 10,
        exit_epoch: u64::MAX,
        withdrawable_epoch: u64::MAX,
    };
    Validator { index: 7, balance: 32_000_000_001, status: "pending_queued".to_owned(), validator: fields }
}

fn overview() -> Overview {
    let mut connections = Connections { direct: 1, relayed: 0, in_all: 3, ..Connections::default() };
    connections.pings.is_answered = Some(true);
    connections.pings.failed = 2;
    connections.pings.latency.classes = [0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2];
    connections.pings.latency.count = 2;
    connections.pings.latency.sum = 0.4;
    let mut peer = Peer::default();
    let mut sent = Sent { sent: 1, bytes: 100, ..Sent::default() };
    sent.took.classes[17] = 1;
    sent.took.count = 1;
    peer.sends.kinds.insert((QBFT.id, "qbft"), sent.clone());
    peer.sends.kinds.insert((PARSIGEX.id, "attester"), sent.clone());
    peer.sends.kinds.insert((PARSIGEX.id, "proposer"), sent);
    peer.received.insert(QBFT.id, Received { messages: 1, bytes: 50, twice: 0, displaced: 0 });
    peer.said = Some(Said {
        version: "v1.10.3".to_owned(),
        support: Support::Unsupported,
        git_hash: "1111111".to_owned(),
        started_at: Timestamp::from_unix_nanos(5_000_000_000).expect("in range"),
        clock_offset_nanos: -300_000_000,
        builder_api_enabled: true,
        nickname: "their \\ nick".to_owned(),
        dv_client: "charon".to_owned(),
        is_same_lock: true,
    });
    let other = nodes()[1].id;
    let relays = vec![RelayConnections { id: None, connections: 1, is_reserved: true }];
    let network = Report { peers: BTreeMap::from([(other, connections)]), relays };
    Overview { network, peers: BTreeMap::from([(other, peer)]) }
}

fn beacon_metrics() -> client::Metrics {
    let mut latency = Histogram::new(CALL_BOUNDS);
    latency.observe(Duration::from_millis(1500));
    let calls = client::Calls { requests: 3, errors: 1, latency };
    let endpoints = ["attestation_data", "submit_validator_registrations"];
    client::Metrics {
        calls: endpoints.into_iter().map(|endpoint| (endpoint, calls.clone())).collect(),
        is_using_fallback: true,
    }
}

/// More paths than one validator may have series.
fn api_metrics() -> server::Metrics {
    let mut latency = Histogram::new(REQUEST_BOUNDS);
    latency.observe(Duration::from_millis(3));
    server::Metrics {
        requests: BTreeMap::from([(("submit_attestations", "json"), 5)]),
        errors: BTreeMap::from([(("proxy", 404), 1)]),
        latency: BTreeMap::from([("submit_attestations", latency.clone())]),
        proxy_latency: (0..101).map(|at| (format!("/eth/{at}"), latency.clone())).collect(),
        user_agent: Some("vc/1".to_owned()),
    }
}

fn facts() -> Facts {
    let syncing = Ok(Syncing { head_slot: 10, sync_distance: 0, is_syncing: false });
    Facts {
        syncing,
        beacon_peers: Some(70),
        peers: 3,
        epoch: 0,
        requests: 5,
        is_clock_new: false,
        has_begun: true,
    }
}

/// A monitor that was told all of it.
async fn fed() -> Monitor {
    let counts = Counts::default();
    let mut monitor = Monitor::new(settings(counts.clone()));
    monitor.connect(Sources {
        network: Box::new(|| async { overview() }.boxed()),
        beacon: Box::new(beacon_metrics),
        api: Box::new(api_metrics),
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(counts), || {
        for (now, note) in story() {
            monitor.note(now, &note);
        }
    });
    for event in heard() {
        monitor.heard(&event);
    }
    monitor.validators(&[validator()]);
    monitor.beacon_nodes(&[client::Identity {
        peer_id: Some("16Uiu2HAm".to_owned()),
        version: "Lighthouse/v8.0.0".to_owned(),
        execution_client: Some("Geth/v1.17.0/abcdef01".to_owned()),
    }]);
    monitor.takes_builders(Builder::On);
    monitor.look(&facts());
    monitor.check().await;
    monitor
}

/// An answer over a real socket: status, head, body.
async fn get(address: SocketAddr, path: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it answers");
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(answer[..end].to_vec()).expect("text").to_lowercase();
    let status = head[9..12].parse().expect("a status");
    (status, head, answer[end + 4..].to_vec())
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// One series: its labels, and its value.
type Series = (BTreeMap<String, String>, f64);

/// Reads figures back: the kind of each name, and its series.
#[derive(Debug, Default)]
struct Seen {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<String, Vec<Series>>,
}

impl Seen {
    fn read(text: &str) -> Seen {
        let mut seen = Seen::default();
        let mut last = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a help");
                assert!(*name > *last, "{name} comes after {last}");
                assert!(!words.is_empty() && !words.contains("  "), "{line}");
                last = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert_eq!(name, last);
                seen.kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                let (name, series) = read_series(line);
                assert!(name.starts_with(&last), "{line} is of {last}");
                seen.series.entry(name).or_default().push(series);
            }
        }
        seen
    }

    /// The value of the only series with these labels among others.
    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.series.get(name).unwrap_or_else(|| panic!("{name} is not there"));
        let has = |series: &&Series| {
            labels.iter().all(|(label, value)| series.0.get(*label).is_some_and(|at| at == value))
        };
        let found: Vec<&Series> = all.iter().filter(has).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {all:?}");
        found[0].1
    }
}

/// Reads a line by hand, as Prometheus does: name, labels with escapes, value.
fn read_series(line: &str) -> (String, Series) {
    let (name, mut rest) = line.split_once('{').expect("every series has labels");
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"").expect("a label");
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().expect("an end") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().expect("an escape").1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        assert_eq!(labels.insert(label.trim_start_matches(',').to_owned(), value), None, "{line}");
        rest = &after[end + 1..];
    }
    let value = rest.trim_start_matches("} ");
    (name.to_owned(), (labels, value.parse().unwrap_or_else(|_| panic!("a number: {line}"))))
}

#[tokio::test]
async fn every_figure_is_there_with_its_labels() {
    let monitor = fed().await;
    let address = serve(routes::monitoring(Arc::new(monitor.into()))).await;
    let (status, head, body) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let seen = Seen::read(std::str::from_utf8(&body).expect("text"));
    for metric in catalogue::ALL {
        let (kind, series, more) = match metric.kind {
            Kind::Counter => ("counter", metric.name.to_owned(), None),
            Kind::Gauge => ("gauge", metric.name.to_owned(), None),
            Kind::Histogram(_) => ("histogram", format!("{}_bucket", metric.name), Some("le")),
        };
        assert_eq!(seen.kinds.get(metric.name).map(String::as_str), Some(kind), "{}", metric.name);
        let expected: BTreeSet<&str> = metric.labels.iter().copied().chain(CONSTANT).chain(more).collect();
        for (labels, _) in &seen.series[&series] {
            let found: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
            assert_eq!(found, expected, "{}", metric.name);
        }
        assert_eq!(kind == "counter", metric.name.ends_with("_total"), "{}", metric.name);
    }
    let known: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(seen.kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

/// A name, some labels, and the value of the only series that has them.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, f64);

async fn check(rows: &[Row<'_>]) {
    let seen = Seen::read(&fed().await.text().await);
    for (name, labels, expected) in rows {
        let found = seen.value(name, labels);
        assert!((found - expected).abs() < 1e-9, "{name} {labels:?}: {found}, not {expected}");
    }
}

#[tokio::test]
async fn figures_say_what_became_of_duties() {
    let duty = |kind| ("duty", kind);
    check(&[
        ("app_version", vec![("version", "v1.11.0"), ("cluster_name", "a \"cluster\"")], 1.0),
        ("app_peer_name", vec![("peer_name", "calm-ant"), ("cluster_peer", "calm-ant")], 1.0),
        ("app_start_time_secs", vec![], 1_700_000_000.0),
        ("cluster_operators", vec![], 4.0),
        ("core_scheduler_current_slot", vec![], 1000.0),
        ("core_scheduler_current_epoch", vec![], 31.0),
        ("core_scheduler_skipped_slots_total", vec![], 2.0),
        ("core_scheduler_validators_active", vec![], 1.0),
        ("core_scheduler_validator_balance_gwei", vec![("pubkey", "aba_aba")], 32_000_000_001.0),
        ("core_scheduler_validator_status", vec![("status", "pending_queued")], 1.0),
        ("core_scheduler_submit_registration_total", vec![], 3.0),
        ("core_scheduler_submit_registration_errors_total", vec![], 1.0),
        ("core_consensus_decided_rounds", vec![duty("attester"), ("timer", "eager_dlinear")], 2.0),
        ("core_consensus_decided_leader_index", vec![duty("attester"), ("protocol", QBFT.id)], 3.0),
        ("core_consensus_timeout_total", vec![duty("proposer")], 2.0),
        (
            "core_consensus_insufficient_round_changes_total",
            vec![duty("proposer"), ("outcome", "timeout"), ("timer", "eager_dlinear")],
            1.0,
        ),
        ("core_scheduler_duty_total", vec![duty("attester")], 2.0),
        ("core_fetcher_proposal_blinded", vec![], 2.0),
        ("core_fetcher_proposal_local_mismatch_fee_recipient", vec![], 2.0),
        ("core_parsigex_set_verification_seconds_sum", vec![duty("attester")], 0.02),
        ("core_sigagg_slot_aggregation_seconds_sum", vec![duty("attester")], 0.03),
        ("core_tracker_unexpected_events_total", vec![("peer", "wise-dog")], 1.0),
        ("core_tracker_parsig_cohort_rank_total", vec![("peer_idx", "3"), ("rank", "0")], 1.0),
        ("core_tracker_parsig_cohort_rank_total", vec![("peer_idx", "2"), ("rank", "1")], 1.0),
        ("core_tracker_inclusion_delay", vec![], 2.5),
        ("core_tracker_inclusion_missed_total", vec![duty("proposer")], 1.0),
        ("core_consensus_error_total", vec![], 1.0),
        ("core_parsigdb_store_sum", vec![duty("attester"), ("peer_idx", "0")], 0.2),
        ("core_parsigdb_exit_total", vec![("pubkey", "aba_aba")], 1.0),
        // Two validators of one submission are one broadcast.
        ("core_bcast_broadcast_total", vec![duty("attester")], 1.0),
        ("core_bcast_broadcast_delay_seconds_sum", vec![duty("attester")], 0.6),
        ("core_tracker_expect_duties_total", vec![duty("sync_message")], 2.0),
        ("core_tracker_failed_duties_total", vec![duty("sync_message")], 2.0),
        ("core_tracker_success_duties_total", vec![duty("attester")], 1.0),
        ("core_tracker_attestation_expect_total", vec![], 1.0),
        ("core_tracker_attestation_success_total", vec![], 1.0),
        ("core_tracker_failed_duty_reasons_total", vec![("reason", "insufficient_peer_signatures")], 1.0),
        ("core_tracker_failed_duty_reasons_total", vec![("reason", "par_sig_db_inconsistent_sync")], 1.0),
        ("core_tracker_inconsistent_parsigs_total", vec![duty("sync_message")], 1.0),
        ("core_tracker_participation", vec![duty("attester"), ("peer", "wise-dog")], 0.0),
        ("core_tracker_participation", vec![duty("attester"), ("peer", "kind-cat")], 1.0),
        ("core_tracker_participation_missed_total", vec![duty("sync_message"), ("peer", "kind-cat")], 1.0),
        ("core_tracker_participation_success_total", vec![duty("sync_message"), ("peer", "deep-bee")], 2.0),
        ("core_tracker_participation_expected_total", vec![duty("sync_message"), ("peer", "wise-dog")], 2.0),
        ("core_refused_messages_total", vec![("peer", "wise-dog"), ("protocol", QBFT.id)], 1.0),
        ("core_refused_messages_total", vec![("peer", "kind-cat"), ("protocol", PRIORITY.id)], 1.0),
        ("coxswain_peer_distrusted", vec![("peer", "wise-dog")], 1.0),
        ("coxswain_peer_distrusted", vec![("peer", "kind-cat")], 0.0),
        ("core_slashable_requests_total", vec![duty("attester"), ("signer", "share")], 1.0),
    ])
    .await;
}

#[tokio::test]
async fn figures_say_how_others_are() {
    check(&[
        ("app_beacon_node_peers", vec![], 70.0),
        ("app_beacon_node_version", vec![("beacon_id", "16Uiu2HAm"), ("version", "Lighthouse/v8.0.0")], 1.0),
        ("app_execution_layer_version", vec![("version", "Geth/v1.17.0/abcdef01")], 1.0),
        ("app_beacon_node_sse_head_slot", vec![("addr", "http://beacon:5052")], 10.0),
        ("app_beacon_node_sse_head_delay_bucket", vec![("le", "6")], 1.0),
        ("app_beacon_node_sse_block_processing_time_sum", vec![], 4.3),
        ("app_beacon_node_sse_chain_reorg_depth_bucket", vec![("le", "1")], 0.0),
        ("app_eth2_using_fallback", vec![], 1.0),
        ("app_eth2_errors_total", vec![("endpoint", "attestation_data")], 1.0),
        ("app_monitoring_readyz", vec![], 1.0),
        ("app_log_error_total", vec![("topic", "dv_node")], 1.0),
        ("app_peerinfo_clock_offset_seconds", vec![("peer", "deep-bee")], -0.3),
        ("app_peerinfo_index", vec![("peer", "deep-bee")], 1.0),
        ("app_peerinfo_index", vec![("peer", "wise-dog")], 3.0),
        ("app_peerinfo_nickname", vec![("peer_nickname", "their \\ nick")], 1.0),
        ("app_peerinfo_version_support", vec![("peer", "deep-bee")], 0.0),
        ("p2p_ping_success", vec![("peer", "deep-bee")], 1.0),
        ("p2p_ping_latency_secs_bucket", vec![("peer", "deep-bee"), ("le", "0.25")], 2.0),
        (
            "p2p_peer_connection_types",
            vec![("peer", "deep-bee"), ("type", "direct"), ("protocol", "tcp")],
            1.0,
        ),
        (
            "p2p_peer_connection_types",
            vec![("peer", "calm-ant"), ("type", "relay"), ("protocol", "none")],
            0.0,
        ),
        ("p2p_peer_network_sent_bytes_total", vec![("protocol", PARSIGEX.id)], 200.0),
        ("p2p_peer_network_receive_bytes_total", vec![("protocol", QBFT.id)], 50.0),
        ("p2p_send_duration_seconds_count", vec![("topic", "proposer")], 1.0),
        ("core_validatorapi_request_error_total", vec![("endpoint", "proxy"), ("status_code", "404")], 1.0),
        ("app_health_checks", vec![("name", "pending_validators"), ("severity", "info")], 1.0),
        ("app_health_checks", vec![("name", "local_proposal_fee_recipient_mismatch")], 1.0),
        ("app_health_checks", vec![("name", "using_fallback_beacon_nodes")], 1.0),
        ("app_health_checks", vec![("name", "high_peer_clock_offset")], 1.0),
        ("app_health_checks", vec![("name", "beacon_node_syncing"), ("severity", "critical")], 0.0),
        ("app_health_checks_failed_total", vec![("name", "insufficient_connected_peers")], 1.0),
        ("app_health_metrics_high_cardinality", vec![], 101.0),
    ])
    .await;
}

/// Before any peer has said anything.
#[tokio::test]
async fn this_node_is_one_of_the_peers_from_the_start() {
    let monitor = Monitor::new(settings(Counts::default()));
    let seen = Seen::read(&monitor.text().await);
    for (place, peer) in (0u32..).zip(["calm-ant", "deep-bee", "kind-cat", "wise-dog"]) {
        assert_eq!(seen.value("app_peerinfo_index", &[("peer", peer)]), f64::from(place));
    }
    for (name, label, expected) in [
        ("app_peerinfo_version", ("version", "v1.11.0"), 1.0),
        ("app_peerinfo_git_commit", ("git_hash", "abcdef1"), 1.0),
        ("app_peerinfo_nickname", ("peer_nickname", "nick"), 1.0),
        ("app_peerinfo_dv_client", ("dv_client", "coxswain"), 1.0),
        ("app_peerinfo_start_time_secs", ("peer", "calm-ant"), 1_700_000_000.0),
    ] {
        assert_eq!(seen.value(name, &[("peer", "calm-ant"), label]), expected, "{name}");
    }
    // Nobody measures that of oneself.
    for name in ["app_peerinfo_clock_offset_seconds", "app_peerinfo_version_support"] {
        assert!(!seen.series.contains_key(name), "{name}");
    }
    for (builder, expected) in [(Builder::Off, 0.0), (Builder::On, 1.0)] {
        monitor.takes_builders(builder);
        let seen = Seen::read(&monitor.text().await);
        assert_eq!(seen.value("app_peerinfo_builder_api_enabled", &[("peer", "calm-ant")]), expected);
    }
}

/// Sums over a cluster of both kinds of nodes are by bounds; those of figures that `figures_are_those_of_charon` has are there.
#[test]
fn bounds_of_what_beacon_nodes_tell_are_those_of_charon() {
    let block: &[f64] = &[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 10.0, 12.0];
    let processing: &[f64] = &[0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 4.0];
    for (metric, bounds) in [
        (names::HEAD_DELAY, &[2.0, 4.0, 6.0, 8.0, 10.0, 12.0][..]),
        (names::BLOCK, block),
        (names::BLOCK_GOSSIP, block),
        (names::BLOCK_PROCESSING, processing),
        (names::REORG_DEPTH, &[1.0, 2.0, 4.0, 6.0, 8.0, 16.0][..]),
    ] {
        assert_eq!(metric.kind, Kind::Histogram(bounds), "{}", metric.name);
    }
}

/// The names, kinds, labels and buckets that a real node of charon shows.
#[test]
fn figures_are_those_of_charon() {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let vectors = std::env::var_os("COXSWAIN_VECTORS").map_or_else(here, Into::into);
    let Ok(text) = std::fs::read(vectors.join("charon/runs/http/metrics.json")) else {
        println!("skipped: {} is not here", vectors.display());
        return;
    };
    let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let texts = |value: &serde_json::Value| -> Vec<String> {
        let list = value.as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect()
    };
    assert_eq!(texts(&document["common_labels"]), CONSTANT);
    let mut compared = 0;
    for (name, theirs) in document["metrics"].as_object().expect("metrics") {
        let Some(ours) = catalogue::ALL.iter().find(|metric| metric.name == name) else {
            let is_known = catalogue::LEFT_OUT.iter().any(|(left_out, _)| left_out == name);
            assert!(is_known, "{name} is neither there nor left out");
            continue;
        };
        let (kind, bounds) = match ours.kind {
            Kind::Counter => ("counter", Vec::new()),
            Kind::Gauge => ("gauge", Vec::new()),
            Kind::Histogram(bounds) => {
                let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                ("histogram", bounds.collect())
            }
        };
        let mut labels = ours.labels.to_vec();
        labels.sort_unstable();
        assert_eq!(theirs["type"], kind, "{name}");
        assert_eq!(texts(&theirs["labels"]), labels, "{name}");
        assert_eq!(texts(&theirs["buckets"]), bounds, "{name}");
        compared += 1;
    }
    println!("{compared} figures compared");
    assert!(compared > 60, "{compared}");
}

#[test]
fn nothing_is_both_there_and_left_out() {
    let names: Vec<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each is there once");
    for (name, why) in catalogue::LEFT_OUT {
        assert!(!names.contains(name), "{name}: {why}");
    }
}

/// Warnings and errors that a monitor writes of some notes.
fn lines_of(notes: impl IntoIterator<Item = (Time, Note)>) -> Vec<(Level, u64)> {
    let counts = Counts::default();
    let mut monitor = Monitor::new(settings(counts.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(counts.clone()), || {
        notes.into_iter().for_each(|(now, note)| monitor.note(now, &note));
    });
    counts.seen().into_iter().map(|((level, _), count)| (level, count)).collect()
}

#[test]
fn what_is_repeated_does_not_flood_the_log() {
    let refused = |from: usize| Note::Refused { from, channel: Channel::Qbft, why: "it is late".to_owned() };
    let at = |second: u64, note| (Time::from_secs(second), note);
    assert_eq!(lines_of((0..59).map(|second| at(second, refused(1)))), [(Level::WARN, 1)]);
    assert_eq!(lines_of((0..61).map(|second| at(second, refused(1)))), [(Level::WARN, 2)]);
    assert_eq!(lines_of((0..59).map(|second| at(second, refused(second as usize % 3)))), [(Level::WARN, 3)]);
    let trouble =
        |slot: u64| Note::Trouble { what: format!("resolving the duties of epoch {slot}: no answer") };
    assert_eq!(lines_of((0..59).map(|second| at(second, trouble(second)))), [(Level::WARN, 1)]);
    // All validators of a duty that cannot be submitted are one line.
    let failed = |number: u8| Note::Duty {
        duty: duty(10, DutyType::Attester),
        step: Step::Bcast,
        key: Some(Bytes([number; 48])),
        share: None,
        error: Some("no beacon node answers".to_owned()),
    };
    assert_eq!(lines_of((0..100).map(|number| at(125, failed(number)))), [(Level::WARN, 1)]);
    let distrusted =
        (at(125, Note::Distrusted { from: 1, until: 42 }), at(509, Note::TrustedAgain { from: 1 }));
    assert_eq!(lines_of([distrusted.0, distrusted.1]), [(Level::WARN, 1)]);
    let slashable = |slot| Note::Slashable {
        key: KEY,
        duty: duty(slot, DutyType::Attester),
        signer: Signer::Share,
        why: "it is another".to_owned(),
    };
    assert_eq!(lines_of((0..10).map(|slot| at(slot, slashable(slot / 5)))), [(Level::ERROR, 2)]);
}

/// What lines say, field by field.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
            fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
        }
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        fields.0.insert("level".to_owned(), event.metadata().level().to_string());
        self.0.lock().expect("a lock").push(fields.0);
    }
}

/// The lines from info on that come of something that is done with a monitor.
fn told(act: impl FnOnce(&mut Monitor)) -> Vec<BTreeMap<String, String>> {
    let lines = Lines::default();
    let mut monitor = Monitor::new(settings(Counts::default()));
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(subscriber, || act(&mut monitor));
    let mut lines = std::mem::take(&mut *lines.0.lock().expect("a lock"));
    lines.retain(|line| matches!(line["level"].as_str(), "INFO" | "WARN" | "ERROR"));
    lines
}

/// The lines that notes come to.
fn told_of(notes: impl IntoIterator<Item = (Time, Note)>) -> Vec<BTreeMap<String, String>> {
    told(|monitor| notes.into_iter().for_each(|(now, note)| monitor.note(now, &note)))
}

/// These fields of lines; a dash where a line does not have one.
fn fields<const N: usize>(lines: &[BTreeMap<String, String>], names: [&str; N]) -> Vec<[String; N]> {
    let field = |line: &BTreeMap<String, String>, name| line.get(name).cloned().unwrap_or("-".to_owned());
    lines.iter().map(|line| names.map(|name| field(line, name))).collect()
}

/// As dashboards look for them in the log: ``msg=`Duty failed` ``, of which they show `duty` and `reason`.
#[test]
fn duties_that_fail_are_found_in_the_log() {
    let mut failed = told_of(story());
    failed.retain(|line| line["message"] == "Duty failed");
    let told = fields(&failed, ["duty", "reason", "reason_code"]);
    assert_eq!(
        told,
        [
            ["11/sync_message", "too few nodes signed", "insufficient_peer_signatures"],
            [
                "12/sync_message",
                "nodes voted for different heads in the sync committee",
                "par_sig_db_inconsistent_sync"
            ],
            ["13/proposer", "the cluster did not agree", "no_consensus"],
        ]
    );
    // Of the last one nobody's part is known, and nothing is said of it.
    assert_eq!(
        fields(&failed, ["validators", "failed", "silent", "error"]),
        [
            ["1", "1", "kind-cat,wise-dog", "-"],
            ["1", "1", "wise-dog", "-"],
            ["-", "-", "-", "messages of nodes [0, 1]"]
        ]
    );
}

/// Nothing takes an exit back: who reads the log knows of it, and of each validator once.
#[test]
fn a_validator_that_leaves_is_in_the_log() {
    let took = |step, share| Note::Duty {
        duty: Duty::new(12, DutyType::Exit),
        step,
        key: Some(KEY),
        share,
        error: None,
    };
    let notes = [
        took(Step::ParSigDbExternal, Some(2)),
        took(Step::ParSigDbLocal, Some(1)),
        took(Step::ParSigEx, Some(1)),
        took(Step::ParSigDbExternal, Some(3)),
        took(Step::Bcast, None),
        took(Step::Bcast, None),
    ];
    let told = told_of(notes.map(|note| (CLOCK.start_of(12), note)));
    let said = fields(&told, ["message", "share"]);
    assert_eq!(
        said,
        [
            ["the share of a peer has signed that a validator leaves", "2"],
            ["this node's share has signed that a validator leaves", "1"],
            ["enough shares have signed that a validator leaves: it was sent to the beacon nodes", "-"],
        ]
    );
}

/// Four minutes of slots with something in each; at each slot.
fn each_slot(note: impl Fn(u64) -> Vec<Note>) -> Vec<(Time, Note)> {
    (10..30).flat_map(|slot| note(slot).into_iter().map(move |note| (CLOCK.start_of(slot), note))).collect()
}

/// One cause makes notes in each slot, of a duty that is new each time.
#[test]
fn what_each_slot_repeats_has_a_line_a_minute() {
    let attester = |slot| duty(slot, DutyType::Attester);
    let late = |slot| Note::Decided { duty: attester(slot), round: 2, leader: 1, took: Duration::ZERO };
    let stalled = |slot, missing: &[usize]| {
        let why = Stall::RoundChanges { missing: missing.to_vec() };
        Note::Stalled { duty: attester(slot), round: 1, why }
    };
    let failed = |duty, step| {
        let error = Some("there was no value in time".to_owned());
        Note::Duty { duty, step, key: None, share: None, error }
    };
    let early = |slot| Note::TooEarly { key: KEY, duty: attester(slot), why: "it is old".to_owned() };
    let cohorts = |slot| Note::Cohorts { duty: attester(slot), cohorts: vec![[1].into(), [2].into()] };
    let missed = |slot| Note::Inclusion { duty: attester(slot), key: KEY, fate: Fate::Missed };
    for (note, text) in [
        (late(10), "the cluster agreed, but not in the first round"),
        (stalled(10, &[3]), "a round of consensus ran out"),
        (failed(attester(10), Step::Fetcher), "a step of a duty failed"),
        (early(10), "not signed: the store of what was signed does not allow that time"),
        (cohorts(10), "nodes voted for different heads"),
        (missed(10), "the chain does not have what was submitted"),
    ] {
        let again = each_slot(|slot| {
            vec![match &note {
                Note::Decided { .. } => late(slot),
                Note::Stalled { .. } => stalled(slot, &[3]),
                Note::Duty { .. } => failed(attester(slot), Step::Fetcher),
                Note::TooEarly { .. } => early(slot),
                Note::Cohorts { .. } => cohorts(slot),
                _ => missed(slot),
            }]
        });
        let told = fields(&told_of(again), ["message", "left_out"]);
        assert_eq!(told, [[text, "0"], [text, "4"], [text, "4"], [text, "4"]]);
    }
    // Another node that is missing, another type of duty and another step are said at once.
    let peers = each_slot(|slot| vec![stalled(slot, if slot % 2 == 0 { &[3] } else { &[2, 3] })]);
    assert_eq!(told_of(peers.into_iter().take(5)).len(), 2);
    let steps = |slot| {
        let kinds = [DutyType::Attester, DutyType::Proposer].map(|kind| duty(slot, kind));
        kinds
            .into_iter()
            .flat_map(|duty| [Step::Fetcher, Step::Consensus].map(|step| failed(duty, step)))
            .collect()
    };
    assert_eq!(told_of(each_slot(steps).into_iter().take(20)).len(), 4);
    // What is said in the words of its step has no line of its own, nor has what cannot be: duties of nobody.
    let undecided = |slot| vec![Note::Undecided { duty: attester(slot) }];
    assert_eq!(told_of(each_slot(undecided)), []);
    assert_eq!(told_of(each_slot(|_| vec![Note::Resolved { epoch: 0, active: 0 }])), []);
    let resolved = |slot| vec![Note::Resolved { epoch: slot / 32, active: if slot < 12 { 1 } else { 2 } }];
    let told = fields(&told_of(each_slot(resolved).into_iter().take(5)), ["epoch", "active"]);
    assert_eq!(told, [["0", "1"], ["0", "2"]]);
}

#[test]
fn a_node_that_is_down_is_said_once_a_minute_for_each_type_of_duty() {
    // The last node, and from slot 20 on the last but one.
    let signed = |slot, kind| {
        let (duty, other) = (duty(slot, kind), if slot < 20 { 3 } else { 4 });
        let mut notes = vec![step(duty, Step::ParSigDbLocal, Some(1)), step(duty, Step::ParSigEx, None)];
        notes.extend([2, other].map(|share| step(duty, Step::ParSigDbExternal, Some(share))));
        notes.extend([Step::SigAgg, Step::AggSigDb, Step::Bcast].map(|taken| step(duty, taken, None)));
        notes
    };
    let notes = each_slot(|slot| {
        let mut notes = vec![Note::Slot { slot, skipped: 0 }];
        notes.extend(
            [DutyType::Randao, DutyType::SyncMessage].into_iter().flat_map(|kind| signed(slot, kind)),
        );
        notes
    });
    let text = "a duty is done, without signatures of some peers";
    let all = told_of(notes);
    assert!(all.iter().all(|line| line["message"] == text), "{all:?}");
    let of = |kind: &str| {
        let lines: Vec<_> = all.iter().filter(|line| line["duty"].ends_with(kind)).cloned().collect();
        fields(&lines, ["silent", "left_out"])
    };
    for kind in ["/randao", "/sync_message"] {
        let told = of(kind);
        assert_eq!(told[..3], [["wise-dog", "0"], ["wise-dog", "4"], ["kind-cat", "0"]], "{told:?}");
        assert!(told.len() <= 4, "{told:?}");
    }
}

/// Dashboards count the lines by duty and by reason.
#[test]
fn each_duty_that_fails_has_a_line() {
    let late = |slot| (CLOCK.start_of(slot), Note::Slot { slot, skipped: 0 });
    let notes = each_slot(|slot| {
        let (step, error) = (Step::Fetcher, Some("no answer".to_owned()));
        vec![Note::Duty { duty: duty(slot, DutyType::Proposer), step, key: None, share: None, error }]
    });
    let lines = told_of(notes.into_iter().chain([late(40)]));
    let failed: Vec<_> = lines.iter().filter(|line| line["message"] == "Duty failed").collect();
    assert_eq!(failed.len(), 20);
    assert!(failed.iter().all(|line| line["error"] == "no answer"), "{failed:?}");
}

#[test]
fn what_is_wrong_with_beacon_nodes_names_them() {
    let lines = told(|monitor| {
        let error = "node_syncing: http://beacon:5052: no answer within 2 s".to_owned();
        monitor.look(&facts());
        monitor.look(&Facts { syncing: Err(error.clone()), ..facts() });
        monitor.look(&facts());
        monitor.look(&Facts { beacon_peers: Some(0), ..facts() });
        monitor.look(&Facts { epoch: 1, ..facts() });
        monitor.look(&Facts { epoch: 2, ..facts() });
    });
    assert_eq!(
        fields(&lines, ["level", "why", "beacons", "error"]),
        [
            ["INFO", "-", "-", "-"],
            [
                "WARN",
                "beacon node down",
                "http://beacon:5052",
                "node_syncing: http://beacon:5052: no answer within 2 s"
            ],
            ["INFO", "-", "-", "-"],
            ["WARN", "beacon node has zero peers", "http://beacon:5052", "-"],
            ["INFO", "-", "-", "-"],
            ["WARN", "vc not connected", "-", "-"],
        ]
    );
}

/// A clock that was set and one that is behind what was signed are two things, and both are only watched.
#[test]
fn what_was_signed_ahead_of_the_clock_is_not_called_a_clock_that_was_set() {
    let (by, until) = (Duration::from_millis(571_020), Time::from_secs(2000));
    let mut state = State::Ready;
    let lines = told(|monitor| {
        monitor.note(Time::from_secs(1500), &Note::SignedAhead { by, until });
        state = monitor.readiness();
        assert!(monitor.is_clock_new(Time::from_secs(1999)) && !monitor.is_clock_new(until));
        monitor.note(Time::from_secs(1500), &Note::ClockSet { by, until });
    });
    assert_eq!(state, State::ClockSet);
    assert_eq!(
        fields(&lines, ["millis", "ahead_millis", "seconds"]),
        [["-", "571020", "500"], ["571020", "-", "500"]]
    );
    assert!(lines[0]["message"].starts_with("what was signed before is ahead of the clock"), "{lines:?}");
    assert!(lines[1]["message"].starts_with("the clock of this machine was set"), "{lines:?}");
}

#[test]
fn a_cluster_without_active_validators_is_warned_of() {
    let with = |status: &str| Validator { status: status.to_owned(), ..validator() };
    let mut stranger = with("active_ongoing");
    stranger.validator.pubkey = Bytes([1; 48]);
    let lines = told(|monitor| {
        monitor.validators(&[]);
        monitor.validators(&[stranger]);
        monitor.validators(&[with("pending_queued")]);
        monitor.validators(&[with("active_ongoing")]);
        monitor.validators(&[with("active_exiting")]);
        monitor.validators(&[with("exited_unslashed")]);
    });
    let none = "0 of 1 validators are active: this node has no duties";
    assert_eq!(
        fields(&lines, ["level", "message", "statuses", "unknown"]),
        [
            ["WARN", none, "-", "1"],
            ["WARN", none, "-", "1"],
            ["WARN", none, "pending_queued 1", "-"],
            ["INFO", "1 of 1 validators are active", "active_ongoing 1", "-"],
            ["WARN", none, "exited_unslashed 1", "-"],
        ]
    );
}

/// It goes into what checks of health look at, and without builders each block is the beacon node's own.
#[tokio::test]
async fn a_node_without_builders_is_not_asked_for_theirs() {
    for (builder, expected) in [(Builder::Off, 0.0), (Builder::On, 1.0)] {
        let mut monitor = Monitor::new(settings(Counts::default()));
        let (form, payee) = (Form::Full, Payee::Wanted);
        let duty = duty(13, DutyType::Proposer);
        monitor.note(Time::from_secs(160), &Note::Proposal { duty, key: KEY, form, payee });
        monitor.takes_builders(builder);
        monitor.check().await;
        let seen = Seen::read(&monitor.text().await);
        assert_eq!(seen.value("app_health_checks", &[("name", "local_block_proposal")]), expected);
    }
}

#[tokio::test]
async fn probes_follow_the_state() {
    let monitor = Monitor::new(settings(Counts::default()));
    let address = serve(routes::monitoring(Arc::new(monitor.clone().into()))).await;
    let text = |body: Vec<u8>| String::from_utf8(body).expect("text");
    let (status, _, body) = get(address, "/readyz").await;
    assert_eq!((status, text(body).as_str()), (500, "ready check uninitialised"));
    for (facts, expected) in [
        (facts(), (200, "ok")),
        (Facts { syncing: Err("no answer".to_owned()), ..facts() }, (500, "beacon node down")),
        (Facts { beacon_peers: Some(0), ..facts() }, (500, "beacon node has zero peers")),
        (Facts { epoch: 1, ..facts() }, (200, "ok")),
        (Facts { epoch: 2, ..facts() }, (500, "vc not connected")),
    ] {
        monitor.look(&facts);
        let (status, _, body) = get(address, "/readyz").await;
        assert_eq!((status, text(body).as_str()), expected, "{facts:?}");
    }
    // A clock that is set counts at once.
    monitor.look(&Facts { epoch: 2, requests: 6, ..facts() });
    let (by, until) = (Duration::from_secs(2), Time::from_secs(2000));
    monitor.clone().note(Time::from_secs(1500), &Note::ClockSet { by, until });
    let (status, _, body) = get(address, "/readyz").await;
    let expected =
        (500, "clock was set, or what was signed is ahead of it: consensus is only watched for a while");
    assert_eq!((status, text(body).as_str()), expected);
    let (status, _, body) = get(address, "/livez").await;
    assert_eq!((status, text(body).as_str()), (200, "ok"));
    for path in ["/", "/debug/consensus", "/metrics/"] {
        let (status, _, body) = get(address, path).await;
        assert_eq!((status, text(body).as_str()), (404, "404 page not found\n"), "{path}");
    }
}

/// All that is read by the clock, of a chain that runs.
#[tokio::test]
async fn beacon_nodes_are_looked_at_by_the_clock() {
    let secret = SecretKey::from_bytes(&[7; 32]).expect("a key");
    let key = Bytes48::from(secret.public().to_bytes());
    let now = Time(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970"));
    let genesis = Time::from_secs(now.0.as_secs() - 5);
    let mut chain = ChainSettings::new(genesis, Duration::from_secs(1), vec![key]);
    chain.slots_per_epoch = 4;
    let clock = Clock { genesis: chain.genesis, slot: chain.slot, slots_per_epoch: 4 };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let chain = Simnet::start(chain, vec![listener]).expect("a chain");
    let address = format!("http://{}", chain.addresses()[0]);
    let addresses = client::Address::parse_all([address.as_str()]).expect("an address");
    let backends = client::Backends::new(&client::Settings::new(addresses)).expect("beacon nodes");
    let monitor = Monitor::new(Settings {
        validators: vec![key],
        clock,
        beacons: vec![address],
        ..settings(Counts::default())
    });
    let mut round = rounds::Round::default();
    round.look(&monitor, &backends).await;
    assert_eq!(monitor.readiness(), State::Uninitialised, "nothing is signed before the machine has begun");
    monitor.begins(2);
    round.look(&monitor, &backends).await;
    let registry = monitor.registry().await;
    let statuses: Vec<_> = registry.numbers(&names::STATUS).collect();
    assert!(matches!(statuses.as_slice(), [(labels, 1.0)] if labels[1] == short(&key)), "{statuses:?}");
    assert_eq!(monitor.readiness(), State::PeersMissing, "the beacon node is fine, and no peer is there");
    let versions: Vec<_> = registry.numbers(&names::BEACON_VERSION).collect();
    assert!(
        matches!(versions.as_slice(), [(labels, 1.0)] if labels[1].starts_with("16Uiu2")),
        "{versions:?}"
    );
    let peers: Vec<f64> = registry.numbers(&names::BEACON_PEERS).map(|(_, count)| count).collect();
    assert!(matches!(peers.as_slice(), [count] if *count > 0.0), "{peers:?}");
}

/// A beacon node that answers these questions, and no others.
async fn beacon_node(answers: &[(&'static str, u16, &'static str)]) -> String {
    let mut router = Router::new();
    for (path, status, body) in answers.iter().copied() {
        let status = axum::http::StatusCode::from_u16(status).expect("a status");
        let answer = move || async move { (status, [("content-type", "application/json")], body) };
        router = router.route(path, axum::routing::get(answer));
    }
    format!("http://{}", serve(router).await)
}

const IDENTITY: &str = "/eth/v1/node/identity";
const VERSION: &str = "/eth/v1/node/version";
const VERSION_V2: &str = "/eth/v2/node/version";

/// One tells all, one knows only the older question, one tells no id, one gives an empty one, and nobody is at the last address.
#[tokio::test]
async fn beacon_nodes_are_known_by_their_ids() {
    let modern = beacon_node(&[
        (IDENTITY, 200, r#"{"data": {"peer_id": "16Uiu2one", "enr": ""}}"#),
        (VERSION, 500, "{}"),
        (
            VERSION_V2,
            200,
            r#"{"data": {
                "beacon_node": {"code": "LH", "name": "Lighthouse", "version": "v8.1.0", "commit": "0a0b0c0d"},
                "execution_client": {"code": "GE", "name": "Geth", "version": "v1.17.0", "commit": "abcdef01"}
            }}"#,
        ),
    ]);
    let old = beacon_node(&[
        (IDENTITY, 200, r#"{"data": {"peer_id": "16Uiu2two"}}"#),
        (VERSION, 200, r#"{"data": {"version": "teku/v25.1.0/linux"}}"#),
    ]);
    let silent = beacon_node(&[
        (IDENTITY, 500, r#"{"code": 500, "message": "Could not obtain enr: no discovery"}"#),
        (VERSION, 200, r#"{"data": {"version": "Prysm/v7.0.0"}}"#),
        (
            VERSION_V2,
            200,
            r#"{"data": {
                "beacon_node": {"code": "PM", "name": "Prysm", "version": "v7.0.0", "commit": "01020304"},
                "execution_client": {"code": "NM", "name": "Nethermind", "version": "v1.36.0", "commit": "05060708"}
            }}"#,
        ),
    ]);
    let empty = beacon_node(&[
        (IDENTITY, 200, r#"{"data": {"peer_id": ""}}"#),
        (VERSION, 200, r#"{"data": {"version": "x/v1"}}"#),
        (VERSION_V2, 200, r#"{"data": {"beacon_node": {}, "execution_client": null}}"#),
    ]);
    let (modern, old, silent, empty) = futures::join!(modern, old, silent, empty);
    let nobody = {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        format!("http://{}", free.local_addr().expect("an address"))
    };
    let urls = [modern, old, silent, empty, nobody];
    let addresses = client::Address::parse_all(urls.iter().map(String::as_str)).expect("addresses");
    let backends = client::Backends::new(&client::Settings::new(addresses)).expect("beacon nodes");
    let monitor = Monitor::new(Settings { beacons: urls.to_vec(), ..settings(Counts::default()) });
    rounds::Round::default().look(&monitor, &backends).await;
    let registry = monitor.registry().await;
    let rows = |metric| -> Vec<String> {
        registry.numbers(metric).map(|(labels, number)| format!("{} {number}", labels.join(" "))).collect()
    };
    assert_eq!(
        rows(&names::BEACON_VERSION),
        ["Lighthouse/v8.1.0/0a0b0c0d 16Uiu2one 1", "teku/v25.1.0/linux 16Uiu2two 1"]
    );
    assert_eq!(rows(&names::EXECUTION_VERSION), ["Geth/v1.17.0/abcdef01 1", "Nethermind/v1.36.0/05060708 1"]);
    // What is not told any more is not shown any more.
    monitor.beacon_nodes(&[]);
    let registry = monitor.registry().await;
    assert_eq!(registry.numbers(&names::BEACON_VERSION).count(), 0);
    assert_eq!(registry.numbers(&names::EXECUTION_VERSION).count(), 0);
}

/// What an instance has seen that did not decide.
fn record() -> Record {
    let mut consensus = Consensus::new(consensus::Settings {
        me: 0,
        peers: (0..4).map(|node| key(node).public()).collect(),
        key: key(0),
        clock: CLOCK,
        flags: TimerFlags::STANDARD,
        profile: Profile::EveryRound,
        participation: Participation::Early,
        observe_before: Time::default(),
    });
    let mut effects = consensus
        .step(Time::from_secs(124), consensus::Event::Participate { duty: duty(10, DutyType::Attester) });
    while let Some(next) = consensus.next_wake() {
        effects.extend(consensus.step(next, consensus::Event::Wake));
    }
    let record = effects.into_iter().find_map(|effect| match effect {
        consensus::Effect::Recorded(record) => Some(*record),
        _ => None,
    });
    record.expect("an instance that is over is recorded")
}

#[tokio::test]
async fn what_consensus_saw_is_given_out_packed() {
    let mut monitor = Monitor::new(settings(Counts::default()));
    monitor.record(record());
    let address = serve(routes::debugging(Arc::new(monitor.into()))).await;
    let (status, head, body) = get(address, "/debug/consensus").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    let attachment = "content-disposition: attachment; filename=\"consensus_messages.pb.gz\"";
    assert!(head.contains(attachment), "{head}");
    assert!(!head.contains("content-encoding"), "the file is the archive: {head}");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut bytes).expect("gzip");
    let seen: SniffedConsensusInstances = decode(&bytes, bytes.len()).expect("a message");
    assert_eq!(seen.git_hash, "abcdef1");
    assert_eq!(seen.instances.len(), 1);
    assert_eq!((seen.instances[0].nodes, seen.instances[0].protocol_id.as_str()), (4, QBFT.id));
    assert!(!seen.instances[0].msgs.is_empty(), "it changed rounds");
    assert_eq!(get(address, "/metrics").await.0, 404);
}
