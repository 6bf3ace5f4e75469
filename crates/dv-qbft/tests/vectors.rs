//! What others computed and wrote: tables of charon, and signed messages byte for byte.

#![expect(clippy::disallowed_methods, reason = "tests read vectors")]

#[path = "support/node.rs"]
mod node;
#[path = "support/outbox.rs"]
mod outbox;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::consensus::{Consensus, Effect, Event, Settings, offset};
use coxswain_dv_qbft::gate;
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::message::Nodes;
use coxswain_dv_qbft::timer::{Profile, RoundTimer, TimerFlags, TimerKind};
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::{UnsignedDataSet, value_root};
use coxswain_dv_wire::well_known::Any;
use node::{CLOCK, settings};
use outbox::sent;
use serde_json::Value as Json;
use support::vectors;

fn file(name: &str) -> Option<Json> {
    let path = vectors("charon/core")?.join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn rows(name: &str) -> Vec<Json> {
    let Some(mut file) = file(name) else { return Vec::new() };
    match file["rows"].take() {
        Json::Array(rows) if !rows.is_empty() => rows,
        other => panic!("{name} has no rows: {other}"),
    }
}

fn number(json: &Json) -> u64 {
    json.as_u64().unwrap_or_else(|| panic!("a number, not {json}"))
}

fn small(json: &Json) -> usize {
    usize::try_from(number(json)).expect("small")
}

fn bytes(json: &Json) -> Vec<u8> {
    let text = json.as_str().unwrap_or_else(|| panic!("a text, not {json}"));
    hex::decode(text.trim_start_matches("0x")).expect("hex")
}

fn duty_type(name: &Json) -> DutyType {
    let name = name.as_str().expect("a name");
    DutyType::all().find(|duty| duty.name() == name).unwrap_or_else(|| panic!("no duty {name}"))
}

// ------------------------------------------------------------------------------------------------------ formulas

#[test]
fn quorums_and_leaders() {
    for row in rows("tables/qbft_formulas.json") {
        let nodes = Nodes { count: small(&row["nodes"]) };
        assert_eq!((nodes.quorum(), nodes.faulty()), (small(&row["quorum"]), small(&row["faulty"])), "{row}");
    }
    for row in rows("derived/leaders.json") {
        let kind = i32::try_from(number(&row["type"])).ok().and_then(DutyType::of).expect("a type");
        let duty = Duty::new(number(&row["slot"]), kind);
        let leader = Nodes { count: small(&row["nodes"]) }.leader(offset(&duty), number(&row["round"]));
        assert_eq!(leader, small(&row["leader"]), "{row}");
    }
}

#[test]
fn duties_are_let_in() {
    for row in rows("tables/gater.json") {
        let slots_per_epoch = number(&row["slots_per_epoch"]);
        let clock = Clock { slots_per_epoch, ..CLOCK };
        let now = clock.start_of(number(&row["current_slot"]));
        let kind = row["type"].as_i64().and_then(|kind| i32::try_from(kind).ok()).and_then(DutyType::of);
        let is_in =
            kind.is_some_and(|kind| gate::check(&Duty::new(number(&row["slot"]), kind), now, &clock).is_ok());
        assert_eq!(Some(is_in), row["allow"].as_bool(), "{row}");
    }
}

#[test]
fn values_have_their_root() {
    for row in rows("tables/qbft_value_hash.json") {
        let Some(Json::Object(input)) = file(row["input"].as_str().expect("a file")) else { continue };
        let set: BTreeMap<_, _> =
            input.iter().map(|(key, value)| (key.clone(), attester_bytes(value))).collect();
        let root = value_root(&UnsignedDataSet::pack(&set)).expect("a root");
        assert_eq!(root.to_vec(), bytes(&row["hash"]));
    }
}

/// Attester data in SSZ: two offsets, 128 bytes of data and 96 of the duty.
fn attester_bytes(json: &Json) -> Vec<u8> {
    let (data, duty) = (&json["attestation_data"], &json["attestation_duty"]);
    let number = |json: &Json| json.as_str().expect("text").parse::<u64>().expect("a number").to_le_bytes();
    let mut out = [8_u32.to_le_bytes(), 136_u32.to_le_bytes()].concat();
    out.extend([number(&data["slot"]), number(&data["index"])].concat());
    out.extend(bytes(&data["beacon_block_root"]));
    for checkpoint in [&data["source"], &data["target"]] {
        out.extend(number(&checkpoint["epoch"]));
        out.extend(bytes(&checkpoint["root"]));
    }
    out.extend(bytes(&duty["pubkey"]));
    let fields = [
        "slot",
        "validator_index",
        "committee_index",
        "committee_length",
        "committees_at_slot",
        "validator_committee_index",
    ];
    fields.iter().for_each(|field| out.extend(number(&duty[*field])));
    out
}

// -------------------------------------------------------------------------------------------------------- timers

fn timer_kind(name: &Json) -> TimerKind {
    let all = [TimerKind::Increasing, TimerKind::EagerDoubleLinear, TimerKind::Linear];
    all.into_iter().find(|kind| *kind == kind_named(name)).expect("a kind")
}

fn kind_named(name: &Json) -> TimerKind {
    match name.as_str().expect("a name") {
        "inc" => TimerKind::Increasing,
        "eager_dlinear" => TimerKind::EagerDoubleLinear,
        "linear" => TimerKind::Linear,
        other => panic!("no timer {other}"),
    }
}

#[test]
fn rounds_last_as_recorded() {
    for row in rows("tables/round_timers.json") {
        let kind = timer_kind(&row["timer"]);
        assert_eq!(kind.name(), row["timer"]);
        let extra = if row["proposal_timeout"] == true { Duration::from_millis(500) } else { Duration::ZERO };
        let lasts = Duration::from_millis(number(&row["ms"]));
        let request = Time::from_secs(1000);
        let is_eager = row["reference"] == "duty_start";
        let start = is_eager.then(|| Time::from_secs(999));
        let mut timer = RoundTimer::of(kind, extra, Profile::EveryRound, start);
        let end = timer.request(request, number(&row["round"]));
        assert_eq!(end, start.unwrap_or(request) + lasts, "{row}");
        if row.get("second_request_in_same_round").is_some() {
            let second = timer.request(request + Duration::from_millis(1500), number(&row["round"]));
            assert_eq!(second, end + Duration::from_secs(2), "{row}");
        }
    }
}

#[test]
fn timers_are_chosen_as_recorded() {
    for row in rows("tables/timer_selection.json") {
        let flags = TimerFlags {
            eager_double_linear: row["edl"] == true,
            linear: row["linear"] == true,
            proposal_timeout: true,
        };
        assert_eq!(flags.kind(duty_type(&row["duty"])), timer_kind(&row["timer"]), "{row}");
    }
}

#[test]
fn eager_rounds_end_by_the_clock_of_the_chain() {
    for row in rows("derived/eager_timer_instants.json") {
        let kind = i32::try_from(number(&row["type"])).ok().and_then(DutyType::of).expect("a type");
        let duty = Duty::new(500, kind);
        let mut timer = RoundTimer::new(&duty, &CLOCK, &TimerFlags::STANDARD, Profile::EveryRound);
        // However late it is asked for.
        for late in [0, 700, 7000] {
            let now = CLOCK.start_of(500) + Duration::from_millis(late);
            let mut timer = timer.clone();
            let end = timer.request(now, number(&row["round"]));
            let expected = CLOCK.start_of(500) + Duration::from_millis(number(&row["ms_after_slot_start"]));
            assert_eq!(end, expected, "{row}");
        }
        let first = timer.request(CLOCK.start_of(500), number(&row["round"]));
        let second = timer.request(CLOCK.start_of(500), number(&row["round"]));
        assert_eq!(second.since(first), first.since(duty.start(&CLOCK)), "{row}");
        // A later round is asked for the first time again.
        let later = timer.request(CLOCK.start_of(500), number(&row["round"]) + 1);
        assert_eq!(later.since(first), Duration::from_secs(1), "{row}");
    }
}

#[test]
fn before_v1_11_rc2_only_the_first_round_of_a_proposer_is_longer() {
    let mut ends = [Profile::FirstRound, Profile::EveryRound].map(|profile| {
        let duty = Duty::new(0, DutyType::Proposer);
        let mut timer = RoundTimer::new(&duty, &CLOCK, &TimerFlags::STANDARD, profile);
        (1..=4).map(|round| timer.request(Time::default(), round).0.as_millis()).collect::<Vec<_>>()
    });
    assert_eq!(ends[0], [1500, 2000, 3000, 4000]);
    assert_eq!(ends[1], [1500, 2500, 3500, 4500]);
    ends = [Profile::FirstRound, Profile::EveryRound].map(|profile| {
        let mut timer =
            RoundTimer::new(&Duty::new(0, DutyType::Attester), &CLOCK, &TimerFlags::STANDARD, profile);
        (1..=4).map(|round| timer.request(Time::default(), round).0.as_millis()).collect::<Vec<_>>()
    });
    assert_eq!(ends[0], [5000, 6000, 7000, 8000]);
    assert_eq!(ends[0], ends[1]);
}

// --------------------------------------------------------------------------------------------- signed messages

const DUTY: Duty = Duty { slot: 123, kind: DutyType::Attester };

struct Signed {
    settings: Vec<Settings>,
    value: Any,
    rows: Vec<Json>,
}

fn signed() -> Option<Signed> {
    let mut file = file("derived/qbft_messages.json")?;
    let keys: Vec<IdentityKey> = file["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| {
            IdentityKey::from_bytes(&bytes(&node["private_key"]).try_into().expect("32")).expect("a key")
        })
        .collect();
    let value = Any {
        type_url: file["value"]["type_url"].as_str().expect("text").to_owned(),
        value: bytes(&file["value"]["message_bytes"]),
    };
    assert_eq!(value_root(&value).expect("a root").to_vec(), bytes(&file["value"]["value_hash"]));
    let peers: Vec<_> = keys.iter().map(IdentityKey::public).collect();
    let of = |(me, key)| Settings { peers: peers.clone(), key, ..settings(me, peers.len()) };
    let Json::Array(rows) = file["rows"].take() else { panic!("rows") };
    assert!(!rows.is_empty());
    Some(Signed { settings: keys.into_iter().enumerate().map(of).collect(), value, rows })
}

impl Signed {
    fn node(&self, me: usize) -> Consensus {
        Consensus::new(self.settings[me].clone())
    }
    fn row(&self, start: &str) -> (Vec<u8>, QbftConsensusMsg) {
        let row = self.rows.iter().find(|row| row["name"].as_str().expect("a name").starts_with(start));
        let bytes = bytes(&row.unwrap_or_else(|| panic!("a row {start}"))["envelope"]);
        let read = decode(&bytes, bytes.len()).expect("a message");
        (bytes, read)
    }
    /// A message that justifies another, as it was sent itself.
    fn part(&self, part: &QbftMsg, values: &[Any]) -> (usize, Vec<u8>) {
        let none = part.value_hash.iter().all(|byte| *byte == 0);
        let values = if none { Vec::new() } else { values.to_vec() };
        let message = QbftConsensusMsg { msg: Some(part.clone()), justification: Vec::new(), values };
        (usize::try_from(part.peer_idx).expect("small"), encode(&message))
    }
}

/// Every message is taken in, and goes out again as it came.
#[test]
fn signed_messages_are_taken_as_they_are() {
    let Some(signed) = signed() else { return };
    for row in &signed.rows {
        let envelope = bytes(&row["envelope"]);
        let source = small(&row["peer_idx"]);
        let mut node = signed.node((source + 1) % 4);
        let now = DUTY.start(&CLOCK);
        let mut effects = node.step(now, Event::Received { from: source, bytes: envelope.clone() });
        effects.extend(node.step(now, Event::Participate { duty: DUTY }));
        let end = DUTY.deadline(&CLOCK).expect("a deadline");
        effects.extend(node.step(end, Event::Wake));
        let refused = effects.iter().any(|effect| matches!(effect, Effect::Refused { .. }));
        assert!(!refused, "{}: {effects:?}", row["name"]);
        let record = effects.iter().find_map(|effect| match effect {
            Effect::Recorded(record) => Some(record),
            _ => None,
        });
        let seen = record.expect("a record").messages();
        assert!(seen.iter().any(|(_, one)| one.encode() == envelope), "{}", row["name"]);
        let read: QbftConsensusMsg = decode(&envelope, envelope.len()).expect("a message");
        let message = read.msg.expect("a message");
        assert_eq!(message.signing_root().to_vec(), bytes(&row["signing_root"]));
        assert_eq!(
            (read.justification.len(), read.values.len()),
            (small(&row["justifications"]), small(&row["values"]))
        );
    }
}

#[test]
fn own_messages_are_signed_and_written_alike() {
    let Some(signed) = signed() else { return };
    let now = DUTY.start(&CLOCK);
    let propose = || Event::Propose { duty: DUTY, value: signed.value.clone() };
    let (pre_prepare, _) = signed.row("pre_prepare round 1");
    let effects = signed.node(2).step(now, propose());
    assert!(sent(&effects).contains(&(pre_prepare.clone(), 3)));

    let mut node = signed.node(0);
    node.step(now, Event::Participate { duty: DUTY });
    let effects = node.step(now, Event::Received { from: 2, bytes: pre_prepare });
    let check = effects.iter().find_map(|effect| match effect {
        Effect::Check { round, leader, value, .. } => Some((*round, *leader, value.any().clone())),
        _ => None,
    });
    assert_eq!(check, Some((1, 2, signed.value.clone())));
    let effects = node.step(now, Event::Checked { duty: DUTY, round: 1, verdict: Verdict::Accepted });
    assert_eq!(sent(&effects), [(signed.row("prepare round 1").0, 3)]);

    let mut node = signed.node(0);
    node.step(now, Event::Participate { duty: DUTY });
    let wake = node.next_wake().expect("a timer");
    assert_eq!(wake, now + Duration::from_secs(1));
    let effects = node.step(wake, Event::Wake);
    assert_eq!(sent(&effects), [(signed.row("round_change round 2, nothing").0, 3)]);
}

#[test]
fn own_justified_messages_are_written_alike() {
    let Some(signed) = signed() else { return };
    let now = DUTY.start(&CLOCK);
    // The leader of round 2 proposes when the round changes of a quorum are there.
    let (expected, whole) = signed.row("pre_prepare round 2 justified by null");
    let mut node = signed.node(3);
    let mut effects = node.step(now, Event::Propose { duty: DUTY, value: signed.value.clone() });
    for part in &whole.justification {
        let (from, bytes) = signed.part(part, &[]);
        effects.extend(node.step(now, Event::Received { from, bytes }));
    }
    let proposals: Vec<_> = sent(&effects).into_iter().filter(|(bytes, _)| bytes.len() > 1000).collect();
    assert_eq!(proposals.len(), 1, "{effects:?}");
    // Its own round change is in there as well when two others made it join; theirs are as recorded.
    let read: QbftConsensusMsg = decode(&proposals[0].0, expected.len() + 300).expect("a message");
    assert_eq!(read.msg, whole.msg);
    assert_eq!(read.values, whole.values);
    assert!(read.justification.len() >= 3);

    // A node that has decided shows the commits.
    let (expected, whole) = signed.row("decided round 1");
    let mut node = signed.node(3);
    node.step(now, Event::Participate { duty: DUTY });
    for part in &whole.justification {
        let (from, bytes) = signed.part(part, &whole.values);
        effects = node.step(now, Event::Received { from, bytes });
    }
    let decided = effects.iter().find_map(|effect| match effect {
        Effect::Decided(decision) => Some((decision.round, decision.leader, decision.value.any().clone())),
        _ => None,
    });
    assert_eq!(decided, Some((1, 2, signed.value.clone())));
    let asks = signed.row("round_change round 2, nothing").0;
    let effects = node.step(now, Event::Received { from: 0, bytes: asks });
    assert_eq!(sent(&effects), [(expected, 3)]);
}
