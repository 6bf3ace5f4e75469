//! Clusters with liars on a bad network: honest nodes never decide two values, and once the network is good they decide.
//!
//! A liar signs what it likes, and shows as justification whatever anybody has signed; it cannot sign for others. A
//! failure names its seed, and `COXSWAIN_QBFT_SEED` runs that one alone.

#![expect(clippy::disallowed_methods, reason = "a test takes a seed from its environment")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use coxswain_dv_qbft::machine::{Config, Effect, Event, Instance, Mode, Verdict};
use coxswain_dv_qbft::message::{Kind, Message, Nodes};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

type Root = [u8; 32];
type Said = Arc<Message<()>>;

/// Milliseconds.
const GOOD_FROM: u64 = 3_000;
const GIVE_UP: u64 = 3_000_000;
/// Messages of others that liars remember.
const MOST_HEARD: usize = 400;

fn root(number: u8) -> Root {
    [number; 32]
}

/// A time, what is done then, and where: the order of the list of things to do.
type When = Reverse<(u64, usize)>;

enum Todo {
    Step(usize, Event<()>),
    Lie(usize),
}

struct Network {
    nodes: Nodes,
    offset: u64,
    liars: usize,
    rng: StdRng,
    queue: BinaryHeap<When>,
    todo: Vec<Option<Todo>>,
    /// What has been signed by anybody.
    heard: Vec<Said>,
    honest: Vec<Instance<()>>,
    /// Chance in a hundred that a message is lost while the network is bad.
    lost: u32,
    /// Longest delay while the network is bad.
    delay: u64,
    /// Chance in a hundred that a value differs from a node's own.
    differs: u32,
    decided: BTreeMap<usize, (Root, u64)>,
    /// What each honest node voted for: kind and round.
    votes: BTreeMap<(usize, Kind, u64), BTreeSet<Root>>,
}

impl Network {
    fn new(count: usize, seed: u64) -> Network {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = Nodes { count };
        let liars = rng.random_range(0..=nodes.faulty());
        let offset = rng.random_range(0..100);
        let instance = |me| Instance::new(Config { nodes, me, offset, mode: Mode::Active });
        let mut network = Network {
            nodes,
            offset,
            liars,
            lost: rng.random_range(0..60),
            delay: rng.random_range(2..2_000),
            differs: 0,
            rng,
            queue: BinaryHeap::new(),
            todo: Vec::new(),
            heard: Vec::new(),
            // The last nodes are the liars; theirs never start.
            honest: (0..count).map(instance).collect(),
            decided: BTreeMap::new(),
            votes: BTreeMap::new(),
        };
        for node in network.honest_nodes() {
            let (start, value) = (network.rng.random_range(0..1500), network.rng.random_range(0..3000));
            network.at(start, Todo::Step(node, Event::Start));
            network.at(value, Todo::Step(node, Event::Input(root(u8::try_from(node + 1).expect("few")))));
        }
        for liar in count - liars..count {
            network.at(10, Todo::Lie(liar));
        }
        network
    }

    fn honest_nodes(&self) -> std::ops::Range<usize> {
        0..self.nodes.count - self.liars
    }

    fn at(&mut self, time: u64, todo: Todo) {
        self.queue.push(Reverse((time, self.todo.len())));
        self.todo.push(Some(todo));
    }

    /// Until all honest nodes have decided.
    fn run(&mut self) {
        while let Some(Reverse((now, at))) = self.queue.pop() {
            if self.decided.len() == self.honest_nodes().len() || now > GIVE_UP {
                return;
            }
            match self.todo[at].take().expect("done once") {
                Todo::Step(node, event) => self.step(now, node, event),
                Todo::Lie(liar) => self.lie(now, liar),
            }
        }
    }

    fn step(&mut self, now: u64, node: usize, event: Event<()>) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.honest[node].step(event) {
                match effect {
                    Effect::Broadcast(draft) => {
                        let message = Arc::new(draft.seal(node, ()));
                        self.check_vote(&message);
                        events.push(Event::Message(Arc::clone(&message)));
                        self.say(now, &message, |_| true);
                    }
                    Effect::SetTimer { round, ticket } => {
                        let lasts = 100 << round.min(8);
                        self.at(now + lasts, Todo::Step(node, Event::Timer(ticket)));
                    }
                    Effect::Compare { round, .. } => {
                        let verdict = if self.rng.random_range(0..100) < self.differs {
                            Verdict::Invalid
                        } else {
                            Verdict::Accepted
                        };
                        let event = Event::Compared { round, verdict };
                        // The answer comes at once, or while other messages come.
                        if self.rng.random_range(0..2) == 0 {
                            events.push(event);
                        } else {
                            let later = now + self.rng.random_range(0..30);
                            self.at(later, Todo::Step(node, event));
                        }
                    }
                    Effect::Decide { value, round, .. } => {
                        assert_eq!(self.decided.insert(node, (value, round)), None, "decided twice");
                    }
                    Effect::StopTimer
                    | Effect::Unjustified { .. }
                    | Effect::Round { .. }
                    | Effect::Stalled { .. } => {}
                    Effect::EmptyInput => panic!("an empty input"),
                }
            }
        }
    }

    /// An honest node votes once a round.
    fn check_vote(&mut self, message: &Message<()>) {
        if let (Kind::Prepare | Kind::Commit, Some(value)) = (message.kind, message.value) {
            let votes = self.votes.entry((message.source, message.kind, message.round)).or_default();
            votes.insert(value);
            assert_eq!(votes.len(), 1, "two values: {message:?}");
        }
    }

    fn say(&mut self, now: u64, message: &Said, to: impl Fn(usize) -> bool) {
        if self.heard.len() < MOST_HEARD {
            self.heard.push(Arc::clone(message));
        } else {
            let at = self.rng.random_range(0..MOST_HEARD);
            self.heard[at] = Arc::clone(message);
        }
        let is_bad = now < GOOD_FROM;
        for node in self.honest_nodes().filter(|node| *node != message.source && to(*node)) {
            if is_bad && self.rng.random_range(0..100) < self.lost {
                continue;
            }
            let copies = if self.rng.random_range(0..10) == 0 { 2 } else { 1 };
            for _ in 0..copies {
                let delay = self.rng.random_range(1..if is_bad { self.delay } else { 20 });
                self.at(now + delay, Todo::Step(node, Event::Message(Arc::clone(message))));
            }
        }
    }

    // ----------------------------------------------------------------------------------------------------- liars

    fn lie(&mut self, now: u64, liar: usize) {
        let pause = self.rng.random_range(10..200);
        self.at(now + pause, Todo::Lie(liar));
        let round = self.some_round();
        match self.rng.random_range(0..7) {
            0 | 1 => self.propose_two(now, liar, round),
            2 => self.vote_for_all(now, liar, round),
            3 => self.claim(now, liar, round),
            4 => self.repeat(now),
            5 => self.forget(now, liar, round),
            _ => self.babble(now, liar, round),
        }
    }

    /// A round that honest nodes are in, or are soon.
    fn some_round(&mut self) -> u64 {
        let node = self.rng.random_range(self.honest_nodes());
        self.honest[node].round() + self.rng.random_range(0..3)
    }

    fn some_value(&mut self) -> Root {
        root(self.rng.random_range(1..=u8::try_from(self.nodes.count + 2).expect("few")))
    }

    fn message(kind: Kind, source: usize, round: u64, value: Option<Root>) -> Message<()> {
        Message {
            kind,
            source,
            round,
            value,
            prepared_round: 0,
            prepared_value: None,
            justification: Vec::new(),
            sealed: (),
        }
    }

    /// What was heard of one kind and round, each node once; the own ones of liars are made up.
    fn gather(&self, (kind, round, value): (Kind, u64, Option<Root>), only: fn(&Said) -> bool) -> Vec<Said> {
        let mut found: BTreeMap<usize, Said> = BTreeMap::new();
        for liar in self.nodes.count - self.liars..self.nodes.count {
            found.insert(liar, Arc::new(Self::message(kind, liar, round, value)));
        }
        let fits = |one: &&Said| (one.kind, one.round, one.value) == (kind, round, value) && only(one);
        for one in self.heard.iter().filter(fits) {
            // What justifies another has no justification itself.
            let bare = Message { justification: Vec::new(), ..Message::clone(one) };
            found.entry(one.source).or_insert_with(|| Arc::new(bare));
        }
        found.into_values().collect()
    }

    /// As a leader: different values for different nodes, with the best justification there is.
    fn propose_two(&mut self, now: u64, liar: usize, round: u64) {
        let Some(round) = (round..round + 30).find(|round| self.nodes.leader(self.offset, *round) == liar)
        else {
            return;
        };
        let half = self.rng.random_range(0..2);
        for side in 0..2 {
            let value = self.some_value();
            let only: fn(&Said) -> bool =
                if self.rng.random_range(0..2) == 0 { |one| one.is_null() } else { |_| true };
            let mut justification = self.gather((Kind::RoundChange, round, None), only);
            // With the prepares of a value that nodes prepared, perhaps not the last one.
            let claims: Vec<_> =
                justification.iter().chain(&self.heard).filter(|one| !one.is_null()).collect();
            let prepared = (!claims.is_empty()).then(|| self.rng.random_range(0..claims.len()));
            let prepared = prepared.map(|at| (claims[at].prepared_round, claims[at].prepared_value));
            let value = prepared.and_then(|(_, value)| value).filter(|_| half == 1).unwrap_or(value);
            if let Some((round, value)) = prepared {
                justification.extend(self.gather((Kind::Prepare, round, value), |_| true));
            }
            let proposal =
                Message { justification, ..Self::message(Kind::PrePrepare, liar, round, Some(value)) };
            self.say(now, &Arc::new(proposal), |node| node % 2 == side);
        }
    }

    fn vote_for_all(&mut self, now: u64, liar: usize, round: u64) {
        let proposed: BTreeSet<Root> =
            self.heard.iter().filter(|one| one.round == round).filter_map(|one| one.value).collect();
        for value in proposed {
            for kind in [Kind::Prepare, Kind::Commit] {
                let side = self.rng.random_range(0..3);
                let vote = Arc::new(Self::message(kind, liar, round, Some(value)));
                self.say(now, &vote, |node| side == 2 || node % 2 == side);
            }
        }
    }

    /// A round change that says something is prepared, perhaps with prepares for it.
    fn claim(&mut self, now: u64, liar: usize, round: u64) {
        let prepared_round = self.rng.random_range(0..=round);
        let value = self.some_value();
        let change = Message {
            prepared_round,
            prepared_value: Some(value),
            justification: self.gather((Kind::Prepare, prepared_round, Some(value)), |_| true),
            ..Self::message(Kind::RoundChange, liar, round, None)
        };
        self.say(now, &Arc::new(change), |_| true);
    }

    /// A round change that says nothing is prepared.
    fn forget(&mut self, now: u64, liar: usize, round: u64) {
        self.say(now, &Arc::new(Self::message(Kind::RoundChange, liar, round, None)), |_| true);
    }

    /// What others said, with another justification.
    fn repeat(&mut self, now: u64) {
        if self.heard.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.heard.len());
        let mut message = Message::clone(&self.heard[at]);
        let others = [self.rng.random_range(0..self.heard.len()), self.rng.random_range(0..self.heard.len())];
        let bare =
            |at: usize| Arc::new(Message { justification: Vec::new(), ..Message::clone(&self.heard[at]) });
        match self.rng.random_range(0..3) {
            0 => message.justification.clear(),
            1 => message.justification.extend(others.map(bare)),
            _ => {}
        }
        self.say(now, &Arc::new(message), |_| true);
    }

    fn babble(&mut self, now: u64, liar: usize, round: u64) {
        let kinds = [Kind::PrePrepare, Kind::Prepare, Kind::Commit, Kind::RoundChange, Kind::Decided];
        let kind = kinds[self.rng.random_range(0..5)];
        let value = self.some_value();
        let justification = self.gather((Kind::Commit, round, Some(value)), |_| true);
        let message = Message { justification, ..Self::message(kind, liar, round, Some(value)) };
        self.say(now, &Arc::new(message), |_| true);
    }
}

/// Seeds of a test: many, or the one that the environment names.
fn seeds(count: u64) -> Vec<u64> {
    let one = std::env::var("COXSWAIN_QBFT_SEED").ok().and_then(|seed| seed.parse().ok());
    one.map_or_else(|| (0..count).collect(), |seed| vec![seed])
}

fn check(nodes: usize, count: u64) {
    let mut later_rounds = 0;
    for seed in seeds(count) {
        let mut network = Network::new(nodes, seed);
        network.run();
        let decided = &network.decided;
        let values: BTreeSet<_> = decided.values().map(|(value, _)| value).collect();
        assert!(values.len() < 2, "{nodes} nodes, seed {seed}: {decided:?}");
        let honest = network.honest_nodes().len();
        let rounds: Vec<_> = network.honest.iter().map(Instance::round).collect();
        assert_eq!(decided.len(), honest, "{nodes} nodes, seed {seed}, rounds {rounds:?}: {decided:?}");
        later_rounds += usize::from(decided.values().any(|(_, round)| *round > 1));
    }
    assert!(count < 10 || later_rounds > 0, "the network is never bad");
}

#[test]
fn one_to_three_nodes_agree() {
    for nodes in 1..=3 {
        check(nodes, 300);
    }
}

#[test]
fn four_nodes_agree() {
    check(4, 2000);
}

#[test]
fn five_and_six_nodes_agree() {
    check(5, 400);
    check(6, 400);
}

#[test]
fn seven_nodes_agree() {
    check(7, 300);
}

#[test]
fn ten_nodes_agree() {
    check(10, 120);
}

/// Nodes that refuse a value now and then do not let another be decided beside it.
#[test]
fn refusals_do_not_split_a_cluster() {
    for seed in seeds(300) {
        let mut network = Network::new(4, seed);
        network.differs = 30;
        network.run();
        let values: BTreeSet<_> = network.decided.values().map(|(value, _)| value).collect();
        assert!(values.len() < 2, "seed {seed}: {:?}", network.decided);
    }
}
