//! Whole clusters over bytes: real signatures, several duties at once, a bad network, and nodes that lie.
//!
//! A failure names its seed, and `COXSWAIN_QBFT_SEED` runs that one alone.

#![expect(clippy::disallowed_methods, reason = "a test takes a seed from its environment")]

#[path = "../../../tests/support/mutate.rs"]
mod mutate;
#[path = "support/node.rs"]
mod node;
#[path = "support/sign.rs"]
mod sign;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Time;
use coxswain_dv_qbft::consensus::{Consensus, Effect, Event, offset};
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::message::{Kind, Nodes};
use coxswain_dv_wire::message::decode;
use coxswain_dv_wire::qbft::QbftConsensusMsg;
use coxswain_dv_wire::unsigned::UnsignedDataSet;
use coxswain_dv_wire::well_known::Any;
use mutate::mutate;
use node::{CLOCK, settings};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sign::{plain, signed, whole};

const SLOT: u64 = 1000;
const DUTIES: [Duty; 3] = [
    Duty { slot: SLOT, kind: DutyType::Attester },
    Duty { slot: SLOT, kind: DutyType::Aggregator },
    Duty { slot: SLOT + 1, kind: DutyType::Attester },
];
/// When the network turns good, and when nobody waits any more, in milliseconds after the slot.
const GOOD_FROM: u64 = 9_000;
const GIVE_UP: u64 = 120_000;

enum Todo {
    Step(usize, Event),
    Wake(usize),
    Lie(usize),
}

struct Cluster {
    nodes: Nodes,
    liars: usize,
    rng: StdRng,
    honest: Vec<Consensus>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    todo: Vec<Option<Todo>>,
    heard: Vec<Arc<Vec<u8>>>,
    lost: u32,
    delay: u64,
    decided: BTreeMap<(Duty, usize), Any>,
    refused: usize,
}

fn value(node: usize, duty: Duty) -> Any {
    let entry = (format!("0x{node:02}"), duty.to_string().into_bytes());
    UnsignedDataSet::pack(&BTreeMap::from([entry]))
}

fn time(millis: u64) -> Time {
    CLOCK.start_of(SLOT) + Duration::from_millis(millis)
}

impl Cluster {
    fn new(count: usize, seed: u64) -> Cluster {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = Nodes { count };
        let liars = rng.random_range(0..=nodes.faulty());
        let mut cluster = Cluster {
            nodes,
            liars,
            honest: (0..count - liars).map(|me| Consensus::new(settings(me, count))).collect(),
            queue: BinaryHeap::new(),
            todo: Vec::new(),
            heard: Vec::new(),
            lost: rng.random_range(0..40),
            delay: rng.random_range(2..1_500),
            decided: BTreeMap::new(),
            refused: 0,
            rng,
        };
        for duty in DUTIES {
            let start = u64::try_from(duty.start(&CLOCK).since(time(0)).as_millis()).expect("soon");
            for me in 0..count - liars {
                let begin = start + cluster.rng.random_range(0..200);
                let ready = start + cluster.rng.random_range(0..1_500);
                cluster.at(begin, Todo::Step(me, Event::Participate { duty }));
                cluster.at(ready, Todo::Step(me, Event::Propose { duty, value: value(me, duty) }));
            }
        }
        for liar in count - liars..count {
            cluster.at(3_900, Todo::Lie(liar));
        }
        cluster
    }

    fn at(&mut self, millis: u64, todo: Todo) {
        self.queue.push(Reverse((millis, self.todo.len())));
        self.todo.push(Some(todo));
    }

    fn run(&mut self) {
        while let Some(Reverse((now, at))) = self.queue.pop() {
            if now > GIVE_UP || self.decided.len() == self.honest.len() * DUTIES.len() {
                return;
            }
            match self.todo[at].take().expect("done once") {
                Todo::Step(node, event) => self.step(now, node, event),
                Todo::Wake(node) if self.honest[node].next_wake().is_some_and(|wake| wake <= time(now)) => {
                    self.step(now, node, Event::Wake);
                }
                Todo::Wake(_) => {}
                Todo::Lie(liar) => self.lie(now, liar),
            }
        }
    }

    fn step(&mut self, now: u64, node: usize, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.honest[node].step(time(now), event) {
                match effect {
                    Effect::Send { to, message, .. } => {
                        if self.heard.last() != Some(&message) {
                            self.heard.push(Arc::clone(&message));
                        }
                        self.send(now, (node, to), message);
                    }
                    Effect::Check { duty, round, value, .. } => {
                        let text: BTreeMap<_, _> =
                            value.any().unpack::<UnsignedDataSet>(1 << 20).expect("a set").into();
                        let fits = text.values().all(|bytes| *bytes == duty.to_string().into_bytes());
                        let verdict = if fits { Verdict::Accepted } else { Verdict::Invalid };
                        events.push(Event::Checked { duty, round, verdict });
                    }
                    Effect::Decided(decision) => {
                        let value = decision.value.any().clone();
                        let before = self.decided.insert((decision.duty, node), value);
                        assert_eq!(before, None, "decided twice");
                    }
                    Effect::Refused { .. } => self.refused += 1,
                    Effect::TimedOut { .. }
                    | Effect::Round { .. }
                    | Effect::Recorded(_)
                    | Effect::Stalled { .. } => {}
                    Effect::NotStarted { duty, why } => panic!("{duty}: {why}"),
                    Effect::Failed { duty, why } => panic!("{duty}: {why}"),
                }
            }
        }
        if let Some(wake) = self.honest[node].next_wake() {
            let after = u64::try_from(wake.since(time(0)).as_millis()).expect("soon");
            self.at(after.max(now), Todo::Wake(node));
        }
    }

    fn send(&mut self, now: u64, (from, to): (usize, usize), message: Arc<Vec<u8>>) {
        if to >= self.honest.len() {
            return;
        }
        let is_bad = now < GOOD_FROM;
        if is_bad && self.rng.random_range(0..100) < self.lost {
            return;
        }
        for _ in 0..if self.rng.random_range(0..10) == 0 { 2 } else { 1 } {
            let delay = self.rng.random_range(1..if is_bad { self.delay } else { 100 });
            let bytes = message.to_vec();
            self.at(now + delay, Todo::Step(to, Event::Received { from, bytes }));
        }
    }

    fn say(&mut self, now: u64, liar: usize, bytes: Vec<u8>, to: impl Fn(usize) -> bool) {
        let message = Arc::new(bytes);
        for node in (0..self.honest.len()).filter(|node| to(*node)) {
            self.send(now, (liar, node), Arc::clone(&message));
        }
    }

    // ----------------------------------------------------------------------------------------------------- liars

    fn lie(&mut self, now: u64, liar: usize) {
        let pause = self.rng.random_range(50..400);
        self.at(now + pause, Todo::Lie(liar));
        let duty = DUTIES[self.rng.random_range(0..DUTIES.len())];
        match self.rng.random_range(0..5) {
            0 | 1 => self.propose_two(now, liar, duty),
            2 => self.vote_for_all(now, liar),
            3 => self.repeat(now, liar),
            _ => {
                let round = self.rng.random_range(1..12);
                let change = signed(plain(Kind::RoundChange, duty, liar, round, None));
                self.say(now, liar, whole(change, Vec::new(), Vec::new()), |_| true);
            }
        }
    }

    /// Another value for either half, where it leads.
    fn propose_two(&mut self, now: u64, liar: usize, duty: Duty) {
        let leads = |round: &u64| self.nodes.leader(offset(&duty), *round) == liar;
        let Some(round) = (1..20).find(leads) else { return };
        let round = i64::try_from(round).expect("small");
        let changes: Vec<_> = self
            .heard
            .iter()
            .filter_map(|bytes| decode::<QbftConsensusMsg>(bytes, bytes.len()).ok())
            .filter_map(|message| message.msg)
            .filter(|message| {
                let of = message.duty.unwrap_or_default();
                (of.slot, of.r#type) == (duty.slot, duty.kind.number())
                    && (message.r#type, message.round) == (Kind::RoundChange.number(), round)
                    && message.prepared_round == 0
            })
            .chain([signed(plain(Kind::RoundChange, duty, liar, round, None))])
            .collect();
        let changes: BTreeMap<_, _> = changes.into_iter().map(|change| (change.peer_idx, change)).collect();
        for side in 0..2 {
            let value = value(liar + side, duty);
            let proposal = signed(plain(Kind::PrePrepare, duty, liar, round, Some(&value)));
            let bytes = whole(proposal, changes.values().cloned().collect(), vec![value]);
            self.say(now, liar, bytes, |node| node % 2 == side);
        }
    }

    /// Its vote for whatever was proposed last, for some.
    fn vote_for_all(&mut self, now: u64, liar: usize) {
        let read: Vec<QbftConsensusMsg> =
            self.heard.iter().rev().take(20).filter_map(|bytes| decode(bytes, bytes.len()).ok()).collect();
        for message in read {
            let Some(of) = message.msg else { continue };
            let duty = of.duty.unwrap_or_default();
            let (Some(kind), false) = (DutyType::of(duty.r#type), message.values.is_empty()) else {
                continue;
            };
            let side = self.rng.random_range(0..2);
            for vote in [Kind::Prepare, Kind::Commit] {
                let value = &message.values[0];
                let vote = signed(plain(vote, Duty::new(duty.slot, kind), liar, of.round, Some(value)));
                self.say(now, liar, whole(vote, Vec::new(), vec![value.clone()]), |node| node % 2 == side);
            }
        }
    }

    /// What others said, whole or damaged.
    fn repeat(&mut self, now: u64, liar: usize) {
        if self.heard.is_empty() {
            return;
        }
        let message = Arc::clone(&self.heard[self.rng.random_range(0..self.heard.len())]);
        let mut script = [0; 10];
        self.rng.fill(&mut script);
        let bytes =
            if self.rng.random_range(0..2) == 0 { message.to_vec() } else { mutate(&message, &script, &[]) };
        self.say(now, liar, bytes, |_| true);
    }
}

fn check(nodes: usize, count: u64) {
    let one = std::env::var("COXSWAIN_QBFT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = one.map_or_else(|| (0..count).collect(), |seed| vec![seed]);
    for seed in seeds {
        let mut cluster = Cluster::new(nodes, seed);
        cluster.run();
        for duty in DUTIES {
            let of_duty = |(key, value)| -> Option<&Any> {
                let (of, _): &(Duty, usize) = key;
                (*of == duty).then_some(value)
            };
            let decided: Vec<&Any> = cluster.decided.iter().filter_map(of_duty).collect();
            let values: BTreeSet<&[u8]> = decided.iter().map(|any| any.value.as_slice()).collect();
            assert!(values.len() < 2, "{nodes} nodes, seed {seed}, {duty}: {decided:?}");
            assert_eq!(decided.len(), cluster.honest.len(), "{nodes} nodes, seed {seed}, {duty}");
        }
        assert!(
            cluster.liars > 0 || cluster.refused == 0,
            "{nodes} nodes, seed {seed}: honest nodes are refused"
        );
    }
}

#[test]
fn three_nodes_agree() {
    check(3, 6);
}

#[test]
fn four_nodes_agree() {
    check(4, 12);
}

#[test]
fn seven_nodes_agree() {
    check(7, 3);
}

#[test]
fn ten_nodes_agree() {
    check(10, 2);
}
