//! Consensus as real clusters of charon had it, handled again: every signature, root and leader, and the same votes and
//! decisions.

#![expect(clippy::disallowed_methods, reason = "tests read vectors")]

#[path = "support/node.rs"]
mod node;
#[path = "support/outbox.rs"]
mod outbox;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::consensus::{Consensus, Effect, Event, Settings, offset};
use coxswain_dv_qbft::debugger::Debugger;
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::message::{Kind, Nodes};
use coxswain_dv_types::enr;
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::sniffed::{SniffedConsensusInstance, SniffedConsensusInstances};
use coxswain_dv_wire::unsigned::{UnsignedDataSet, value_root};
use coxswain_dv_wire::well_known::{Any, Timestamp};
use node::settings;
use serde_json::Value as Json;
use support::vectors;

/// The genesis of Hoodi, whose slots are a second long in these runs.
const CLOCK: Clock =
    Clock { genesis: Time::from_secs(1_742_213_400), slot: Duration::from_secs(1), slots_per_epoch: 16 };

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn peers(run: &Path) -> Vec<IdentityPublic> {
    let lock: Json = serde_json::from_str(&text(&run.join("node0/cluster-lock.json"))).expect("JSON");
    let operators = lock["cluster_definition"]["operators"].as_array().expect("operators").iter();
    operators.map(|one| *enr::parse(one["enr"].as_str().expect("text")).expect("a record").public()).collect()
}

fn dump(path: &Path) -> Vec<SniffedConsensusInstance> {
    let packed = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
    let read: SniffedConsensusInstances = decode(&bytes, bytes.len()).expect("a dump");
    read.instances
}

fn time(stamp: Option<Timestamp>) -> Time {
    let nanos = stamp.expect("a time").unix_nanos();
    Time(Duration::from_nanos(u64::try_from(nanos).expect("after 1970")))
}

struct Seen<'a> {
    time: Time,
    message: &'a QbftMsg,
    whole: &'a QbftConsensusMsg,
}

fn seen(instance: &SniffedConsensusInstance) -> Vec<Seen<'_>> {
    let one = |sniffed: &'_ coxswain_dv_wire::sniffed::SniffedConsensusMsg| time(sniffed.timestamp);
    instance
        .msgs
        .iter()
        .map(|sniffed| {
            let whole = sniffed.msg.as_ref().expect("a message");
            Seen { time: one(sniffed), message: whole.msg.as_ref().expect("a message"), whole }
        })
        .collect()
}

fn duty(message: &QbftMsg) -> Duty {
    let duty = message.duty.expect("a duty");
    Duty::new(duty.slot, DutyType::of(duty.r#type).expect("a type"))
}

/// The value of the root that a message votes for.
fn value(seen: &Seen<'_>) -> Any {
    let is_meant = |value: &&Any| value_root(value).expect("a root").as_slice() == seen.message.value_hash;
    seen.whole.values.iter().find(is_meant).expect("the value comes along").clone()
}

/// The root and the round that a quorum committed to, `ours` among them: charon ended some records before its own commit
/// was in them.
fn decided(nodes: Nodes, all: &[&QbftMsg], ours: Option<&QbftMsg>) -> Option<(Vec<u8>, i64)> {
    let ours = ours.filter(|ours| !all.contains(ours));
    let all = || all.iter().copied().chain(ours);
    all().find_map(|one| {
        let votes = all().filter(|other| {
            other.r#type == Kind::Commit.number()
                && (other.round, &other.value_hash) == (one.round, &one.value_hash)
        });
        (votes.count() >= nodes.quorum()).then(|| (one.value_hash.clone(), one.round))
    })
}

/// What was counted in the dumps.
#[derive(Debug, Default)]
struct Counts {
    messages: usize,
    own: usize,
    decided: usize,
    /// Ended before a quorum of commits was recorded.
    cut_off: usize,
}

fn replay(keys: (&[IdentityPublic], &IdentityKey), instance: &SniffedConsensusInstance, counts: &mut Counts) {
    let me = usize::try_from(instance.peer_idx).expect("small");
    let nodes = Nodes { count: usize::try_from(instance.nodes).expect("small") };
    let all = seen(instance);
    let Some(first) = all.first() else { return };
    let duty = duty(first.message);
    let mut node = Consensus::new(Settings {
        peers: keys.0.to_vec(),
        key: keys.1.clone(),
        clock: CLOCK,
        ..settings(me, nodes.count)
    });
    let mut effects = Vec::new();
    let step = |node: &mut Consensus, now: Time, event: Event, effects: &mut Vec<Effect>| {
        while node.next_wake().is_some_and(|wake| wake < now) {
            effects.extend(node.step(now, Event::Wake));
        }
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let new = node.step(now, event);
            for effect in &new {
                if let Effect::Check { duty, round, .. } = effect {
                    events.push(Event::Checked { duty: *duty, round: *round, verdict: Verdict::Accepted });
                }
            }
            effects.extend(new);
        }
    };
    let started = time(instance.started_at);
    let needs_value = matches!(duty.kind, DutyType::Aggregator | DutyType::SyncContribution);
    let begin = if needs_value {
        // What this node had itself is not recorded; only its being there matters unless it leads.
        let with_value = all.iter().find(|one| one.message.value_hash.iter().any(|byte| *byte != 0));
        Event::Propose { duty, value: value(with_value.expect("a value")) }
    } else {
        Event::Participate { duty }
    };
    step(&mut node, started, begin, &mut effects);
    for one in &all {
        counts.messages += 1;
        assert_eq!(self::duty(one.message), duty);
        let source = usize::try_from(one.message.peer_idx).expect("small");
        let round = u64::try_from(one.message.round).expect("a round");
        let is_proposal = one.message.r#type == Kind::PrePrepare.number();
        assert!(!is_proposal || source == nodes.leader(offset(&duty), round));
        let event = if source != me {
            Event::Received { from: source, bytes: encode(one.whole) }
        } else if is_proposal && !needs_value {
            Event::Propose { duty, value: value(one) }
        } else {
            continue;
        };
        step(&mut node, one.time, event, &mut effects);
    }
    check_effects((me, nodes, duty), &all, &effects, counts);
}

fn check_effects(
    (me, nodes, duty): (usize, Nodes, Duty),
    all: &[Seen<'_>],
    effects: &[Effect],
    counts: &mut Counts,
) {
    let refused = effects.iter().filter(|effect| matches!(effect, Effect::Refused { .. }));
    assert_eq!(refused.count(), 0, "{duty}: {effects:?}");
    let sent: Vec<QbftMsg> = outbox::sent(effects)
        .iter()
        .map(|(bytes, _)| decode::<QbftConsensusMsg>(bytes, bytes.len()).expect("a message"))
        .filter_map(|message| message.msg)
        .collect();
    for one in all.iter().filter(|one| usize::try_from(one.message.peer_idx) == Ok(me)) {
        counts.own += 1;
        assert!(sent.contains(one.message), "{duty}: charon sent {:?}, and we {sent:?}", one.message);
    }
    let found: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Decided(decision) => {
                Some((decision.value.root().to_vec(), i64::try_from(decision.round).expect("small")))
            }
            _ => None,
        })
        .collect();
    let all: Vec<_> = all.iter().map(|one| one.message).collect();
    let commit = sent.iter().find(|message| message.r#type == Kind::Commit.number());
    let recorded = decided(nodes, &all, None);
    counts.decided += usize::from(recorded.is_some());
    counts.cut_off += usize::from(recorded.is_none());
    let expected: Vec<_> = recorded.or_else(|| decided(nodes, &all, commit)).into_iter().collect();
    assert_eq!(found, expected, "{duty}");
}

#[test]
fn recorded_consensus_comes_to_the_same() {
    let Some(runs) = vectors("charon/runs") else { return };
    for (run, least) in [("run-v1.10-n4", 700), ("run-v1.11-n4-v1", 100), ("run-v1.11-n4-v10", 400)] {
        let mut counts = Counts::default();
        let run = runs.join(run);
        let peers = peers(&run);
        for me in 0..peers.len() {
            let path = run.join(format!("consensus_messages.node{me}.pb.gz"));
            if !path.exists() {
                continue;
            }
            let key = IdentityKey::parse(&text(&run.join(format!("node{me}/charon-enr-private-key"))));
            let key = key.expect("a key");
            assert_eq!(key.public(), peers[me]);
            for instance in dump(&path) {
                replay((&peers, &key), &instance, &mut counts);
            }
        }
        assert!(counts.cut_off < 5, "{counts:?}");
        assert!(counts.messages >= least && counts.own > 0 && counts.decided > 0, "{counts:?}");
        println!("{}: {counts:?}", run.display());
    }
}

/// What the debugger gives can be read by whoever reads charon's.
#[test]
fn records_are_written_as_dumps() {
    let mut node = Consensus::new(settings(0, 1));
    let value = UnsignedDataSet::pack(&BTreeMap::from([("0x00".to_owned(), vec![1])]));
    let duty = Duty::new(7, DutyType::Attester);
    let now = duty.start(&node::CLOCK);
    let mut debugger = Debugger::default();
    let mut effects = node.step(now, Event::Propose { duty, value });
    effects.extend(node.step(now, Event::Checked { duty, round: 1, verdict: Verdict::Accepted }));
    for effect in effects {
        if let Effect::Recorded(record) = effect {
            assert_eq!(record.messages().len(), 3);
            debugger.add(*record);
        }
    }
    let bytes = debugger.encode("abc");
    let read: SniffedConsensusInstances = decode(&bytes, bytes.len()).expect("a dump");
    assert_eq!(read.git_hash, "abc");
    assert_eq!(encode(&read), bytes, "fields are in order");
    let [instance] = read.instances.as_slice() else { panic!("{read:?}") };
    assert_eq!((instance.nodes, instance.peer_idx), (1, 0));
    assert_eq!(time(instance.started_at), now);
    let kinds: Vec<_> = seen(instance).iter().map(|one| one.message.r#type).collect();
    assert_eq!(kinds, [1, 2, 3]);
}
