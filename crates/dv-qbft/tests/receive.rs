//! Messages of peers: what is refused and why, what waits, and what a peer can make a node hold.

#[path = "support/node.rs"]
mod node;
#[path = "support/outbox.rs"]
mod outbox;
#[path = "support/sign.rs"]
mod sign;

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Time;
use coxswain_dv_qbft::consensus::{
    Consensus, Effect, Event, MAX_HELD_BYTES, MAX_WAITING, MAX_WAITING_DUTIES, Participation, Settings,
    StartError,
};
use coxswain_dv_qbft::machine::{RoundReason, Unjustified, Verdict};
use coxswain_dv_qbft::message::Kind;
use coxswain_dv_qbft::refusal::Refusal;
use coxswain_dv_wire::message::{WireError, WireMessage as _, decode, encode};
use coxswain_dv_wire::priority;
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::UnsignedDataSet;
use coxswain_dv_wire::well_known::Any;
use node::{CLOCK, settings};
use outbox::sent;
use sign::{plain, signed, whole};

const NODES: usize = 4;
/// Its leaders are 3, 0, 1, 2 and so on.
const DUTY: Duty = Duty { slot: 100, kind: DutyType::Attester };

fn node(me: usize) -> Consensus {
    Consensus::new(settings(me, NODES))
}

fn value(bytes: &[u8]) -> Any {
    UnsignedDataSet::pack(&BTreeMap::from([("0x00".to_owned(), bytes.to_vec())]))
}

fn now() -> Time {
    DUTY.start(&CLOCK)
}

fn vote(kind: Kind, source: usize, round: i64, value: &Any) -> Vec<u8> {
    whole(signed(plain(kind, DUTY, source, round, Some(value))), Vec::new(), vec![value.clone()])
}

fn refusals(effects: &[Effect]) -> Vec<Refusal> {
    let why = |effect: &Effect| match effect {
        Effect::Refused { why, .. } => Some(why.clone()),
        _ => None,
    };
    effects.iter().filter_map(why).collect()
}

fn decided(effects: &[Effect]) -> Vec<Any> {
    let value = |effect: &Effect| match effect {
        Effect::Decided(decision) => Some(decision.value.any().clone()),
        _ => None,
    };
    effects.iter().filter_map(value).collect()
}

/// Feeds a message to a new node, and gives back the only reason that it was refused for.
fn refused(bytes: Vec<u8>) -> Refusal {
    let effects = node(0).step(now(), Event::Received { from: 1, bytes });
    match refusals(&effects).as_slice() {
        [why] => why.clone(),
        other => panic!("{other:?} of {effects:?}"),
    }
}

// -------------------------------------------------------------------------------------------------- one message

#[test]
fn messages_that_cannot_be_read_are_refused() {
    let one = value(b"1");
    let prepare = || signed(plain(Kind::Prepare, DUTY, 1, 1, Some(&one)));
    assert!(matches!(refused(vec![0; 33 << 20]), Refusal::Wire(WireError::TooLong { .. })));
    assert!(matches!(refused(vec![0xff]), Refusal::Wire(WireError::Value { .. })));
    assert!(matches!(refused(Vec::new()), Refusal::Wire(WireError::Missing { .. })));
    let no_duty = QbftMsg { duty: None, ..prepare() };
    let bytes = QbftConsensusMsg { msg: Some(no_duty.clone()), ..QbftConsensusMsg::default() };
    assert!(matches!(refused(prost_bytes(&bytes)), Refusal::Wire(WireError::Missing { .. })));
    let part = QbftConsensusMsg { msg: Some(prepare()), justification: vec![no_duty], values: vec![one] };
    assert!(matches!(refused(prost_bytes(&part)), Refusal::Wire(WireError::Missing { .. })));
}

/// Signed messages are kept for as long as their duty, many of a peer: each is small, however it gets large.
#[test]
fn messages_that_are_large_are_refused() {
    let one = value(b"1");
    let long =
        |length| signed(QbftMsg { value_hash: vec![1; length], ..plain(Kind::Prepare, DUTY, 1, 1, None) });
    let padded = |length| {
        let room = length - encode(&long(200)).len() + 200;
        let message = long(room);
        assert_eq!(encode(&message).len(), length);
        message
    };
    let too_long = |length| {
        let message = QbftMsg::NAME;
        Refusal::Wire(WireError::TooLong { message, length, limit: 1024 })
    };
    assert_eq!(refused(whole(padded(1025), Vec::new(), Vec::new())), too_long(1025));
    let fits = whole(padded(1024), Vec::new(), Vec::new());
    assert_eq!(refusals(&node(0).step(now(), Event::Received { from: 1, bytes: fits })), []);
    let justified = plain(Kind::Prepare, DUTY, 1, 1, Some(&one));
    let bytes = whole(signed(justified), vec![padded(1025)], vec![one]);
    assert_eq!(refused(bytes), too_long(1025));
    // One in pieces is as long as all of them.
    let mut pieces = Vec::new();
    for piece in encode(&padded(1025)).chunks(600) {
        coxswain_dv_wire::canonical::put_bytes(&mut pieces, 1, piece);
    }
    assert_eq!(refused(pieces), too_long(1025));
}

/// Bytes of a message that lacks something, which [`encode`] does not write.
fn prost_bytes(message: &QbftConsensusMsg) -> Vec<u8> {
    use coxswain_dv_wire::canonical::put_bytes;
    let bare = |message: &QbftMsg| {
        let whole = encode(&QbftMsg { duty: Some(priority::Duty::default()), ..message.clone() });
        // An empty duty is two bytes, in front of everything but the type.
        let at = whole.windows(2).position(|pair| pair == [0x12, 0]).expect("a duty");
        [&whole[..at], &whole[at + 2..]].concat()
    };
    let write = |message: &QbftMsg| if message.duty.is_some() { encode(message) } else { bare(message) };
    let mut out = Vec::new();
    message.msg.iter().for_each(|message| put_bytes(&mut out, 1, &write(message)));
    message.justification.iter().for_each(|message| put_bytes(&mut out, 2, &write(message)));
    message.values.iter().for_each(|any| put_bytes(&mut out, 3, &encode(any)));
    out
}

#[test]
fn fields_are_checked_in_their_order() {
    let one = value(b"1");
    let base = || plain(Kind::Prepare, DUTY, 1, 1, Some(&one));
    let check = |message: QbftMsg, expected: Refusal| {
        assert_eq!(refused(whole(signed(message), Vec::new(), vec![one.clone()])), expected);
    };
    let duty = |slot, kind| Some(priority::Duty { slot, r#type: kind });
    // Each has all the faults of those below it, too.
    let fault =
        QbftMsg { r#type: 6, duty: duty(9_000, 14), round: 0, prepared_round: -1, peer_idx: 4, ..base() };
    check(fault.clone(), Refusal::Kind { number: 6 });
    let fault = QbftMsg { r#type: 2, ..fault };
    check(fault.clone(), Refusal::DutyType { number: 14 });
    let fault = QbftMsg { duty: duty(9_000, 2), ..fault };
    check(fault.clone(), Refusal::Round { number: 0 });
    let fault = QbftMsg { round: 1, ..fault };
    check(fault.clone(), Refusal::Round { number: -1 });
    let fault = QbftMsg { prepared_round: 0, ..fault };
    // A key that the cluster has not signs nothing here.
    let bytes = whole(fault.clone(), Vec::new(), vec![one.clone()]);
    assert_eq!(refused(bytes), Refusal::Source { number: 4 });
    let fault = QbftMsg { peer_idx: 2, signature: signed(base()).signature, ..fault };
    let parts: Vec<_> = (0..9).map(|_| signed(base())).collect();
    let bytes = whole(fault.clone(), parts.clone(), Vec::new());
    assert!(matches!(refused(bytes), Refusal::Signature { .. }));
    let bytes = whole(signed(fault.clone()), parts.clone(), Vec::new());
    assert_eq!(refused(bytes), Refusal::Future { epoch: 281, current: 3 });
    let fault = signed(QbftMsg { duty: duty(1, 7), ..fault });
    let bytes = whole(fault.clone(), parts, Vec::new());
    assert_eq!(refused(bytes), Refusal::Justifications { count: 9, limit: 8 });
    let part = QbftMsg { signature: vec![1; 65], ..base() };
    let bytes = whole(fault.clone(), vec![part.clone()], vec![one.clone(); 5]);
    assert_eq!(refused(bytes), Refusal::Values { count: 5, limit: 4 });
    let junk = Any { type_url: "junk".into(), value: Vec::new() };
    let bytes = whole(fault.clone(), vec![part], vec![junk.clone()]);
    let Refusal::Justification { position: 0, source } = refused(bytes) else { panic!("a justification") };
    assert!(matches!(*source, Refusal::Signature { .. }));
    let bytes = whole(fault.clone(), vec![signed(base())], vec![junk.clone()]);
    let other = Refusal::OtherDuty { duty: DUTY };
    assert_eq!(refused(bytes), Refusal::Justification { position: 0, source: Box::new(other) });
    let bytes = whole(fault.clone(), Vec::new(), vec![junk]);
    assert!(matches!(refused(bytes), Refusal::Value { position: 0, source: WireError::Type { .. } }));
    let bytes = whole(fault.clone(), Vec::new(), vec![value(b"2")]);
    assert!(matches!(refused(bytes), Refusal::MissingValue { .. }));
    let bytes = whole(fault.clone(), Vec::new(), vec![one.clone()]);
    assert_eq!(refused(bytes), Refusal::NotAgreedOn { duty_type: DutyType::Randao });
    let late = signed(QbftMsg { duty: duty(1, 2), ..fault });
    assert_eq!(refused(whole(late, Vec::new(), vec![one.clone()])), Refusal::Expired);
}

#[test]
fn what_is_not_justified_is_refused_when_its_instance_runs() {
    let mut node = node(0);
    node.step(now(), Event::Participate { duty: DUTY });
    let bytes = vote(Kind::PrePrepare, 1, 1, &value(b"1"));
    let effects = node.step(now(), Event::Received { from: 2, bytes });
    let why = Refusal::Unjustified(Unjustified::NotLeader { round: 1, leader: 3 });
    assert_eq!(effects, [Effect::Refused { from: 1, duty: Some(DUTY), why }]);
}

#[test]
fn zeros_and_other_lengths_of_roots_are_none() {
    let mut node = node(0);
    for hash in [Vec::new(), vec![0; 32], vec![1; 31]] {
        let mut message = plain(Kind::RoundChange, DUTY, 1, 2, None);
        (message.value_hash, message.prepared_value_hash) = (hash.clone(), hash);
        let bytes = whole(signed(message), Vec::new(), Vec::new());
        assert_eq!(node.step(now(), Event::Received { from: 1, bytes }), []);
    }
}

// ------------------------------------------------------------------------------------------------------- waiting

#[test]
fn early_messages_wait_and_decide() {
    let one = value(b"1");
    let mut node = node(0);
    for source in 1..4 {
        let bytes = vote(Kind::Commit, source, 1, &one);
        for _ in 0..2 {
            let event = Event::Received { from: source, bytes: bytes.clone() };
            assert_eq!(node.step(now(), event), []);
        }
    }
    let effects = node.step(now(), Event::Participate { duty: DUTY });
    assert_eq!(decided(&effects), std::slice::from_ref(&one));
    // It is over: more votes are nothing, and a proposal of its own neither.
    assert_eq!(node.step(now(), Event::Propose { duty: DUTY, value: one.clone() }), []);
    let bytes = vote(Kind::Prepare, 1, 1, &one);
    assert_eq!(node.step(now(), Event::Received { from: 1, bytes }), []);
    let end = DUTY.deadline(&CLOCK).expect("a deadline");
    assert_eq!(node.next_wake(), Some(end));
    assert_eq!(node.step(end, Event::Wake), []);
    assert_eq!((node.duties(), node.next_wake()), (0, None));
}

#[test]
fn of_a_peer_the_newest_messages_wait_and_of_others_all() {
    let one = value(b"1");
    let mut node = node(0);
    for source in [1, 2] {
        let bytes = vote(Kind::Commit, source, 1, &one);
        node.step(now(), Event::Received { from: source, bytes });
    }
    // Peer 3 sends as much as it can, of itself and of others.
    for round in 2..2 + 2 * i64::try_from(MAX_WAITING).expect("small") {
        let bytes = vote(Kind::Commit, 3, round, &value(b"2"));
        node.step(now(), Event::Received { from: 3, bytes });
    }
    let bytes = vote(Kind::Commit, 3, 1, &one);
    node.step(now(), Event::Received { from: 3, bytes });
    let effects = node.step(now(), Event::Participate { duty: DUTY });
    assert_eq!(decided(&effects), [one]);
    let recorded = effects.iter().find_map(|effect| match effect {
        Effect::Recorded(record) => Some(record.messages().len()),
        _ => None,
    });
    assert_eq!(recorded, Some(2 + MAX_WAITING / NODES));
}

#[test]
fn a_peer_names_no_more_duties_than_its_share() {
    let one = value(b"1");
    let mut node = node(0);
    let send = |node: &mut Consensus, slot, source| {
        let duty = Duty::new(slot, DutyType::Attester);
        let message = signed(plain(Kind::Prepare, duty, source, 1, Some(&one)));
        let bytes = whole(message, Vec::new(), vec![one.clone()]);
        refusals(&node.step(now(), Event::Received { from: source, bytes }))
    };
    let most = u64::try_from(MAX_WAITING_DUTIES).expect("small");
    // Of both types that last an epoch, and of others as they come.
    let slots = DUTY.slot..DUTY.slot + 60;
    let mut named = 0;
    for slot in slots.clone() {
        for kind in [DutyType::Attester, DutyType::Proposer, DutyType::Aggregator] {
            let message = signed(plain(Kind::Prepare, Duty::new(slot, kind), 1, 1, Some(&one)));
            let bytes = whole(message, Vec::new(), vec![one.clone()]);
            let refusals = refusals(&node.step(now(), Event::Received { from: 1, bytes }));
            let is_expired = refusals == [Refusal::Expired];
            named += u64::from(!is_expired);
            match named <= most {
                true => assert!(refusals.is_empty() || is_expired, "{refusals:?}"),
                false => assert_eq!(refusals, [Refusal::TooManyDuties { limit: MAX_WAITING_DUTIES }]),
            }
        }
    }
    assert!(named > most);
    // Another peer still may, and so may this node.
    assert_eq!(send(&mut node, DUTY.slot + 59, 2), []);
    assert_eq!(
        node.step(now(), Event::Participate { duty: Duty::new(DUTY.slot + 60, DutyType::Attester) }),
        []
    );
}

#[test]
fn a_peer_makes_a_node_hold_no_more_than_its_share() {
    let mut node = node(0);
    let size = MAX_HELD_BYTES / 4 - 1_000_000;
    let mut refused = Vec::new();
    for number in 0..5 {
        let big = value(&vec![number; size]);
        let bytes = vote(Kind::Prepare, 1, i64::from(number) + 1, &big);
        // What is known already costs nothing again.
        for _ in 0..if number == 0 { 2 } else { 1 } {
            refused.extend(refusals(&node.step(now(), Event::Received { from: 1, bytes: bytes.clone() })));
        }
    }
    assert!(matches!(refused.as_slice(), [Refusal::TooManyBytes { .. }]), "{refused:?}");
    // The deadline gives all back.
    let end = DUTY.deadline(&CLOCK).expect("a deadline");
    node.step(end, Event::Wake);
    let later = Duty::new(DUTY.slot + 40, DutyType::Attester);
    let big = value(&vec![9; size]);
    let message = signed(plain(Kind::Prepare, later, 1, 1, Some(&big)));
    let bytes = whole(message, Vec::new(), vec![big]);
    assert_eq!(node.step(end, Event::Received { from: 1, bytes }), []);
}

// ------------------------------------------------------------------------------------------------------ starting

#[test]
fn duties_are_begun_once_and_in_time() {
    let mut node = node(0);
    let mut check = |time, event: Event, why: Option<StartError>| {
        let duty = match &event {
            Event::Propose { duty, .. } | Event::Participate { duty } => *duty,
            other => panic!("{other:?}"),
        };
        let effects = node.step(time, event);
        let not_started: Vec<_> =
            effects.into_iter().filter(|effect| matches!(effect, Effect::NotStarted { .. })).collect();
        let expected: Vec<_> = why.map(|why| Effect::NotStarted { duty, why }).into_iter().collect();
        assert_eq!(not_started, expected);
    };
    let propose = |duty, value| Event::Propose { duty, value };
    check(now(), Event::Participate { duty: DUTY }, None);
    check(now(), Event::Participate { duty: DUTY }, Some(StartError::Twice));
    let empty = UnsignedDataSet::pack(&BTreeMap::new());
    check(now(), propose(DUTY, empty), Some(StartError::Empty));
    check(now(), propose(DUTY, value(b"1")), None);
    check(now(), propose(DUTY, value(b"2")), Some(StartError::Twice));
    let end = DUTY.deadline(&CLOCK).expect("a deadline");
    let next = Duty::new(DUTY.slot, DutyType::Proposer);
    check(end, propose(next, value(b"1")), Some(StartError::Expired));
    let exit = Duty::new(DUTY.slot, DutyType::Exit);
    check(now(), propose(exit, value(b"1")), Some(StartError::NotAgreedOn));
    let later = Duty::new(DUTY.slot + 1, DutyType::Attester);
    let junk = Any { type_url: "junk".into(), value: vec![1] };
    let expected = "UnsignedDataSet";
    let effects = node.step(now(), propose(later, junk));
    let [Effect::NotStarted { why: StartError::Value(source), .. }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(source.to_string().contains(expected), "{source}");
}

#[test]
fn some_duties_begin_only_with_a_value() {
    let begun = |participation, kind| {
        let mut node = Consensus::new(Settings { participation, ..settings(0, NODES) });
        node.step(now(), Event::Participate { duty: Duty::new(DUTY.slot, kind) });
        node.duties() > 0
    };
    let kinds = [DutyType::Attester, DutyType::InfoSync, DutyType::Aggregator, DutyType::SyncContribution];
    assert_eq!(kinds.map(|kind| begun(Participation::Early, kind)), [true, true, false, false]);
    assert_eq!(kinds.map(|kind| begun(Participation::WithValue, kind)), [false; 4]);
}

#[test]
fn rounds_end_and_deadlines_come() {
    let mut node = node(0);
    node.step(now(), Event::Participate { duty: DUTY });
    let bytes = vote(Kind::Prepare, 2, 1, &value(b"1"));
    node.step(now(), Event::Received { from: 2, bytes });
    for round in 2..5 {
        let wake = node.next_wake().expect("a timer");
        assert_eq!(wake, now() + Duration::from_secs(round - 1));
        let effects = node.step(wake, Event::Wake);
        assert!(effects.contains(&Effect::Round { duty: DUTY, round, why: RoundReason::Timeout }));
        assert_eq!(sent(&effects).len(), 1);
    }
    let end = DUTY.deadline(&CLOCK).expect("a deadline");
    let effects = node.step(end, Event::Wake);
    let over = effects.iter().find_map(|effect| match effect {
        Effect::TimedOut { duty, round, started_at, heard } => {
            Some((*duty, *round, *started_at, heard.clone()))
        }
        _ => None,
    });
    // A round each second until then, however late the driver comes to it.
    let rounds = end.since(now()).as_secs();
    assert_eq!(over, Some((DUTY, rounds, now(), vec![0, 2])));
    assert!(matches!(effects.last(), Some(Effect::Recorded(_))));
    assert_eq!(node.next_wake(), None);
}

#[test]
fn what_begins_before_is_only_observed() {
    let one = value(b"1");
    let all = |settings: Settings, later: Option<Time>| {
        let mut node = Consensus::new(settings);
        let mut effects = node.step(now(), Event::Propose { duty: DUTY, value: value(b"own") });
        if let Some(time) = later {
            node.observe_before(time);
        }
        let proposal = vote(Kind::PrePrepare, 3, 1, &one);
        effects.extend(node.step(now(), Event::Received { from: 3, bytes: proposal }));
        effects.extend(node.step(now(), Event::Checked { duty: DUTY, round: 1, verdict: Verdict::Accepted }));
        let wake = node.next_wake().expect("a timer");
        effects.extend(node.step(wake, Event::Wake));
        for source in 1..4 {
            let bytes = vote(Kind::Commit, source, 3, &one);
            effects.extend(node.step(wake, Event::Received { from: source, bytes }));
        }
        (sent(&effects).len(), decided(&effects))
    };
    // A vote, and two round changes: round 1 was doubled, and round 2 is over when it begins.
    assert_eq!(all(settings(0, NODES), None), (3, vec![one.clone()]));
    let after = now() + Duration::from_millis(1);
    assert_eq!(all(Settings { observe_before: after, ..settings(0, NODES) }, None), (0, vec![one.clone()]));
    assert_eq!(all(settings(0, NODES), Some(after)), (0, vec![one.clone()]));
    assert_eq!(all(settings(0, NODES), Some(now())), (3, vec![one]));
}

/// A clock that was ahead and is right again leaves a node silent for what it has spoken for, and for no longer.
#[test]
fn a_clock_that_was_ahead_is_forgotten() {
    let hour = Duration::from_secs(3600);
    let mut node = Consensus::new(settings(0, NODES));
    assert_eq!(node.observe_before(now() + hour), now() + hour);
    assert_eq!(node.observe_before(now()), now());
    node.step(now(), Event::Propose { duty: DUTY, value: value(b"own") });
    let proposal = vote(Kind::PrePrepare, 3, 1, &value(b"1"));
    node.step(now(), Event::Received { from: 3, bytes: proposal });
    let spoke = node.step(now(), Event::Checked { duty: DUTY, round: 1, verdict: Verdict::Accepted });
    assert_eq!(sent(&spoke).len(), 1);
    let start = DUTY.start(&settings(0, NODES).clock);
    assert!(start > Time::default() && node.observe_before(Time::default()) > start);
}

// ------------------------------------------------------------------------------------------- later versions' fields

/// A message with a field that is not known here is taken, and goes along with others as it came.
#[test]
fn fields_of_later_versions_survive() {
    let one = value(b"1");
    let later = |kind, source: usize| {
        let message = plain(kind, DUTY, source, 1, Some(&one));
        let mut bytes = encode(&message);
        bytes.extend([0x68, 7]);
        let root = coxswain_dv_wire::unsigned::qbft_signing_root(&bytes).expect("a root");
        let mut out = Vec::new();
        coxswain_dv_wire::canonical::put_bytes(&mut bytes, 8, &node::key(source).sign(&root));
        coxswain_dv_wire::canonical::put_bytes(&mut out, 1, &bytes);
        coxswain_dv_wire::canonical::put_bytes(&mut out, 3, &encode(&one));
        (bytes, out)
    };
    let mut node = node(0);
    node.step(now(), Event::Participate { duty: DUTY });
    let mut parts = Vec::new();
    for source in 1..4 {
        let (part, bytes) = later(Kind::Prepare, source);
        parts.push(part);
        assert_eq!(refusals(&node.step(now(), Event::Received { from: source, bytes })), []);
    }
    let wake = node.next_wake().expect("a timer");
    let effects = node.step(wake, Event::Wake);
    let messages = sent(&effects);
    let [(change, 3)] = messages.as_slice() else { panic!("{effects:?}") };
    for part in &parts {
        assert!(change.windows(part.len()).any(|window| window == part), "it goes along whole");
    }
    // And a peer of the same version takes it.
    let mut other = self::node(1);
    let effects = other.step(wake, Event::Received { from: 0, bytes: change.clone() });
    assert_eq!(refusals(&effects), []);
    let read: QbftConsensusMsg = decode(change, change.len()).expect("a message");
    assert_eq!((read.justification.len(), read.values), (3, vec![one]));
}
