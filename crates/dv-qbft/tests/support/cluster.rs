//! A cluster of bare instances under a clock of its own: delays, losses and duplicates by a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use coxswain_dv_qbft::machine::{Config, Effect, Event, Instance, Mode, RoundReason, Verdict};
use coxswain_dv_qbft::message::{Kind, Message, Nodes};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub(crate) type Root = [u8; 32];

/// A root that is a number.
pub(crate) fn root(number: u8) -> Root {
    let mut root = [0; 32];
    root[31] = number;
    root
}

/// What may happen to messages and nodes. Times are in milliseconds.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) nodes: usize,
    pub(crate) offset: u64,
    pub(crate) seed: u64,
    /// Length of a round.
    pub(crate) timeout: fn(u64) -> u64,
    /// By node: when it starts.
    pub(crate) start: Vec<u64>,
    /// By node: when it has a value, and which.
    pub(crate) input: Vec<Option<(u64, u8)>>,
    /// Chance in a hundred that a message is lost, and that it comes twice.
    pub(crate) lost: u32,
    pub(crate) twice: u32,
    /// Longest delay of a message.
    pub(crate) jitter: u64,
    /// Commits of these rounds are never sent.
    pub(crate) no_commits_to: u64,
    /// This node says something at random every so often.
    pub(crate) babbler: Option<(usize, u64)>,
    /// Nodes compare a leader's value with this one of their own.
    pub(crate) local: Option<Vec<u8>>,
    pub(crate) max_round: u64,
}

impl Scenario {
    pub(crate) fn new(nodes: usize, offset: u64) -> Scenario {
        Scenario {
            nodes,
            offset,
            seed: 1,
            timeout: |_| 1000,
            start: vec![0; nodes],
            input: vec![None; nodes],
            lost: 0,
            twice: 10,
            jitter: 0,
            no_commits_to: 0,
            babbler: None,
            local: None,
            max_round: 50,
        }
    }
}

enum What {
    Step(Event<()>),
    Babble,
}

/// Runs it until all have decided, or one is beyond the last round; value and round by node.
pub(crate) fn run(scenario: &Scenario) -> BTreeMap<usize, (Root, u64)> {
    let mut run = Run::new(scenario);
    while let Some(Reverse((now, key, node))) = run.queue.pop() {
        if run.decided.len() == scenario.nodes {
            break;
        }
        match run.what.remove(&key).expect("what happens") {
            What::Step(event) => run.step(now, node, event),
            What::Babble => run.babble(now, node),
        }
        if run.instances.iter().any(|instance| instance.round() > scenario.max_round) {
            break;
        }
    }
    run.decided
}

struct Run<'a> {
    scenario: &'a Scenario,
    rng: StdRng,
    instances: Vec<Instance<()>>,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    what: BTreeMap<u64, What>,
    next: u64,
    decided: BTreeMap<usize, (Root, u64)>,
}

impl Run<'_> {
    fn new(scenario: &Scenario) -> Run<'_> {
        let instance = |me| {
            let nodes = Nodes { count: scenario.nodes };
            Instance::new(Config { nodes, me, offset: scenario.offset, mode: Mode::Active })
        };
        let mut run = Run {
            scenario,
            rng: StdRng::seed_from_u64(scenario.seed),
            instances: (0..scenario.nodes).map(instance).collect(),
            queue: BinaryHeap::new(),
            what: BTreeMap::new(),
            next: 0,
            decided: BTreeMap::new(),
        };
        for node in 0..scenario.nodes {
            if let Some((at, value)) = scenario.input[node] {
                run.at(at, node, What::Step(Event::Input(root(value))));
            }
            run.at(scenario.start[node], node, What::Step(Event::Start));
        }
        if let Some((node, every)) = scenario.babbler {
            run.at(every, node, What::Babble);
        }
        run
    }

    fn at(&mut self, time: u64, node: usize, what: What) {
        self.queue.push(Reverse((time, self.next, node)));
        self.what.insert(self.next, what);
        self.next += 1;
    }

    fn step(&mut self, now: u64, node: usize, event: Event<()>) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.instances[node].step(event) {
                match effect {
                    Effect::Broadcast(draft) => {
                        if draft.kind == Kind::Commit && draft.round <= self.scenario.no_commits_to {
                            continue;
                        }
                        let message = Arc::new(draft.seal(node, ()));
                        events.push(Event::Message(Arc::clone(&message)));
                        self.send(now, node, &message);
                    }
                    Effect::SetTimer { round, ticket } => {
                        let end = now + (self.scenario.timeout)(round);
                        self.at(end, node, What::Step(Event::Timer(ticket)));
                    }
                    Effect::Compare { round, value } => {
                        let local = self.scenario.local.as_ref().map(|local| root(local[node]));
                        let verdict = match local {
                            Some(local) if local != value => Verdict::Differs,
                            _ => Verdict::Accepted,
                        };
                        events.push(Event::Compared { round, verdict });
                    }
                    Effect::Decide { value, round, proof } => {
                        let nodes = Nodes { count: self.scenario.nodes };
                        assert!(proof.len() >= nodes.quorum());
                        assert_eq!(self.decided.insert(node, (value, round)), None, "decided twice");
                    }
                    Effect::Round { round, why } => {
                        assert!(round > 1 || why == RoundReason::Decided);
                    }
                    Effect::StopTimer | Effect::Unjustified { .. } | Effect::Stalled { .. } => {}
                    Effect::EmptyInput => panic!("an empty input"),
                }
            }
        }
    }

    fn send(&mut self, now: u64, from: usize, message: &Arc<Message<()>>) {
        let delay =
            if self.scenario.jitter == 0 { 0 } else { self.rng.random_range(0..self.scenario.jitter) };
        for to in (0..self.scenario.nodes).filter(|to| *to != from) {
            if self.rng.random_range(0..100) < self.scenario.lost {
                continue;
            }
            let copies = if self.rng.random_range(0..100) < self.scenario.twice { 2 } else { 1 };
            for copy in 0..copies {
                let event = Event::Message(Arc::clone(message));
                self.at(now + 1 + delay + copy * 20, to, What::Step(event));
            }
        }
    }

    fn babble(&mut self, now: u64, node: usize) {
        let kinds = [Kind::PrePrepare, Kind::Prepare, Kind::Commit, Kind::RoundChange, Kind::Decided];
        let mut word = |justification| {
            let value = self.rng.random_range(0..5);
            let prepared = self.rng.random_range(0..5);
            Message {
                kind: kinds[self.rng.random_range(0..5)],
                source: node,
                round: self.rng.random_range(1..10),
                value: (value > 0).then(|| root(value)),
                prepared_round: self.rng.random_range(0..5),
                prepared_value: (prepared > 0).then(|| root(prepared)),
                justification,
                sealed: (),
            }
        };
        let parts = vec![Arc::new(word(Vec::new())), Arc::new(word(Vec::new()))];
        let message = Arc::new(word(parts));
        self.send(now, node, &message);
        let every = self.scenario.babbler.expect("a babbler").1;
        self.at(now + every, node, What::Babble);
    }
}
