//! The world of a cluster: an event heap, a network, and all that surrounds the nodes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use coxswain_dv_core::{Builder, Channel, Effect, Event, Node, Note, Settings, Ticket};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::beacon::{Call, CallError, Failure};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::client::{Answer, Problem, Request};
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::protect::{self, Signer, Verdict};
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::protocol::PARSIGEX;
use coxswain_dv_wire::version::SUPPORTED;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tree_hash::TreeHash as _;

use super::beacon::{Beacon, EPOCHS, Justified};
use super::client::{Alarm, Client, Hands, Manner};
use super::keys::Keys;
use super::store::{Ledger, Votes, contradiction};

/// How long a validator client waits for an answer, and tries again.
const PATIENCE: Duration = Duration::from_secs(14);
/// The second half of a liar sees the chain like a node of another cluster.
const NODES_OF_OTHERS: usize = 50;
/// Pauses of a validator client between tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What goes wrong, and how much.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Faults {
    pub(crate) nodes: usize,
    /// Nodes that lie, the last ones: each is two nodes with one key.
    pub(crate) liars: usize,
    pub(crate) crashes: usize,
    pub(crate) partitions: usize,
    /// Of a hundred messages.
    pub(crate) lost: u32,
    pub(crate) doubled: u32,
    /// Of a hundred questions to beacon nodes.
    pub(crate) unanswered: u32,
    /// Of a hundred questions to the store.
    pub(crate) unwritten: u32,
    /// Milliseconds that a message may take.
    pub(crate) delay: u64,
    /// The node whose validator client signs anything.
    pub(crate) reckless: Option<(usize, bool)>,
    pub(crate) justified: Justified,
    /// Whether the store of shares allows all, so that only that of groups stands against two votes.
    pub(crate) shares: Shares,
}

/// What the store of shares does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shares {
    Judged,
    Blind,
}

impl Faults {
    /// Nothing goes wrong.
    pub(crate) fn none(nodes: usize) -> Faults {
        Faults {
            nodes,
            liars: 0,
            crashes: 0,
            partitions: 0,
            lost: 0,
            doubled: 0,
            unanswered: 0,
            unwritten: 0,
            delay: 50,
            reckless: None,
            justified: Justified::Agreed,
            shares: Shares::Judged,
        }
    }

    /// What a seed says.
    pub(crate) fn of(seed: u64) -> Faults {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = [4, 4, 4, 3, 7][usize::try_from(seed % 5).expect("small")];
        let reckless = rng.random_bool(0.4).then(|| (0, rng.random_bool(0.5)));
        Faults {
            nodes,
            liars: if rng.random_bool(0.5) { rng.random_range(0..=(nodes - 1) / 3) } else { 0 },
            crashes: rng.random_range(0..4),
            partitions: rng.random_range(0..3),
            lost: rng.random_range(0..30),
            doubled: rng.random_range(0..20),
            unanswered: rng.random_range(0..30),
            unwritten: if rng.random_bool(0.5) { 20 } else { 0 },
            delay: rng.random_range(20..1_500),
            reckless,
            justified: if rng.random_bool(0.25) { Justified::Disputed } else { Justified::Agreed },
            shares: Shares::Judged,
        }
    }
}

enum Todo {
    Step { machine: usize, life: u32, event: Event },
    Wake { machine: usize, life: u32 },
    Alarm { machine: usize, alarm: Alarm },
    Ask { machine: usize, request: Request, until: Time },
    GiveUp { machine: usize, ticket: Ticket },
    Answered { machine: usize, asked: Asked, answer: Box<Result<Answer, Problem>> },
    Crash { machine: usize },
    Start { machine: usize },
}

struct Asked {
    request: Request,
    until: Time,
}

struct Machine {
    node: usize,
    /// Which half of a liar it is.
    half: Option<usize>,
    core: Option<Node>,
    life: u32,
    client: Client,
    shares: Ledger,
    groups: Ledger,
    asked: BTreeMap<Ticket, Asked>,
    next_wake: Option<Time>,
}

pub(crate) struct World {
    pub(crate) faults: Faults,
    pub(crate) keys: Keys,
    pub(crate) beacon: Beacon,
    rng: StdRng,
    machines: Vec<Machine>,
    heap: BinaryHeap<Reverse<(Time, usize)>>,
    todo: BTreeMap<usize, Todo>,
    next: usize,
    now: Time,
    /// When all gets good.
    good_from: Time,
    end: Time,
    /// Groups of nodes that do not hear each other, from and until when; by bits.
    partitions: Vec<(Time, Time, u32)>,
    /// Who asked for preferences.
    exchanges: BTreeMap<Ticket, usize>,
    /// What the shares of honest nodes signed: share, validator.
    blocks: BTreeMap<(usize, String, u64), Root>,
    votes: BTreeMap<(usize, String), Votes>,
    /// What honest nodes said was decided.
    decided: BTreeMap<String, Bytes32>,
    pub(crate) counts: Counts,
}

/// What happened, so that tests can tell whether anything did.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) steps: usize,
    pub(crate) decided: usize,
    pub(crate) slashable: usize,
    pub(crate) refused: usize,
    pub(crate) restarts: usize,
    pub(crate) agreed: usize,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> World {
        let keys = Keys::new(faults.nodes, 3);
        let beacon = Beacon::new(&keys, seed, faults.justified);
        let clock = beacon.chain.clock;
        let first = clock.first_of(EPOCHS.start);
        let mut world = World {
            rng: StdRng::seed_from_u64(seed ^ 0x51u64),
            machines: Vec::new(),
            heap: BinaryHeap::new(),
            todo: BTreeMap::new(),
            next: 1,
            now: clock.start_of(first - 2),
            good_from: clock.start_of(clock.first_of(EPOCHS.start + 1)) - clock.slot,
            // Selections are kept for two epochs; then one ends in the middle of an epoch.
            end: clock.start_of(clock.first_of(EPOCHS.end + 2) + 2),
            partitions: Vec::new(),
            exchanges: BTreeMap::new(),
            blocks: BTreeMap::new(),
            votes: BTreeMap::new(),
            decided: BTreeMap::new(),
            counts: Counts::default(),
            faults,
            keys,
            beacon,
        };
        world.people();
        world.plan();
        world
    }

    fn people(&mut self) {
        let (nodes, liars) = (self.faults.nodes, self.faults.liars);
        for node in 0..nodes {
            let halves = if node < nodes - liars { vec![None] } else { vec![Some(0), Some(1)] };
            for half in halves {
                let manner = match (half, self.faults.reckless) {
                    (Some(half), _) => Manner::Reckless { lie_first: half == 1 },
                    (None, Some((reckless, lie_first))) if reckless == node => Manner::Reckless { lie_first },
                    (None, _) => Manner::Careful,
                };
                self.machines.push(Machine {
                    node,
                    half,
                    core: None,
                    life: 0,
                    client: Client::new(node, manner),
                    shares: Ledger::default(),
                    groups: Ledger::default(),
                    asked: BTreeMap::new(),
                    next_wake: None,
                });
            }
        }
    }

    fn plan(&mut self) {
        let clock = self.beacon.chain.clock;
        let slots = clock.first_of(EPOCHS.start)..clock.first_of(EPOCHS.end);
        for machine in 0..self.machines.len() {
            let begin = self.now + self.millis(1_000);
            self.at(begin, Todo::Start { machine });
            for slot in slots.clone() {
                let start = clock.start_of(slot) + self.millis(300);
                self.at(start, Todo::Alarm { machine, alarm: Alarm::Start(slot) });
                self.at(start + clock.slot / 3, Todo::Alarm { machine, alarm: Alarm::Third(slot) });
                self.at(start + clock.slot * 2 / 3, Todo::Alarm { machine, alarm: Alarm::TwoThirds(slot) });
            }
        }
        // Whatever begins in the bad time ends a slot before the good one, which new nodes only watch.
        let begin = clock.start_of(slots.start);
        let bad = u64::try_from(self.good_from.since(begin + clock.slot).as_millis()).expect("slots");
        for _ in 0..self.faults.crashes {
            let machine = self.rng.random_range(0..self.machines.len());
            let (from, until) = (self.rng.random_range(0..bad), self.rng.random_range(0..bad));
            self.at(begin + Duration::from_millis(from.min(until)), Todo::Crash { machine });
            self.at(begin + Duration::from_millis(from.max(until)), Todo::Start { machine });
        }
        for _ in 0..self.faults.partitions {
            let (from, until) = (self.rng.random_range(0..bad), self.rng.random_range(0..bad));
            let [from, until] = [from.min(until), from.max(until)].map(Duration::from_millis);
            let side = self.rng.random_range(0..1 << self.faults.nodes);
            self.partitions.push((begin + from, begin + until, side));
        }
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(1..=most))
    }

    fn at(&mut self, at: Time, todo: Todo) {
        self.heap.push(Reverse((at, self.next)));
        self.todo.insert(self.next, todo);
        self.next += 1;
    }

    fn is_good(&self) -> bool {
        self.now >= self.good_from
    }

    fn happens(&mut self, of_hundred: u32) -> bool {
        let happens = self.rng.random_ratio(of_hundred, 100);
        happens && !self.is_good()
    }

    /// Runs until all is over.
    pub(crate) fn run(&mut self) {
        while let Some(Reverse((now, number))) = self.heap.pop() {
            if now > self.end {
                return;
            }
            self.now = now;
            let todo = self.todo.remove(&number).expect("once");
            self.carry_out(todo);
        }
    }

    fn carry_out(&mut self, todo: Todo) {
        match todo {
            Todo::Step { machine, life, event } => {
                if self.machines[machine].life == life {
                    self.step(machine, event);
                }
            }
            Todo::Wake { machine, life } => {
                let now = self.now;
                let one = &mut self.machines[machine];
                if one.life == life && one.next_wake == Some(now) {
                    one.next_wake = None;
                    self.step(machine, Event::Wake);
                }
            }
            Todo::Alarm { machine, alarm } => {
                let mut hands = Hands { keys: &mut self.keys, beacon: &self.beacon, now: self.now };
                let requests = self.machines[machine].client.alarm(&mut hands, alarm);
                self.ask(machine, requests);
            }
            Todo::Ask { machine, request, until } => self.ask_once(machine, request, until),
            Todo::GiveUp { machine, ticket } => {
                if self.machines[machine].asked.remove(&ticket).is_some() {
                    self.step(machine, Event::GaveUp { ticket });
                }
            }
            Todo::Answered { machine, asked, answer } => self.answered(machine, asked, *answer),
            Todo::Crash { machine } => {
                let one = &mut self.machines[machine];
                (one.core, one.next_wake) = (None, None);
                one.life += 1;
                // Clients see that the connection is gone, and try again.
                for (_, asked) in std::mem::take(&mut one.asked) {
                    self.ask_again(machine, asked);
                }
            }
            Todo::Start { machine } => self.start(machine),
        }
    }

    fn start(&mut self, machine: usize) {
        if self.machines[machine].core.is_some() {
            return;
        }
        let node = self.machines[machine].node;
        self.counts.restarts += usize::from(self.machines[machine].life > 0);
        let settings = Settings {
            cluster: self.keys.cluster(node),
            chain: self.beacon.chain.clone(),
            peers: self.keys.identities.iter().map(|key| key.public()).collect(),
            key: self.keys.identities[node].clone(),
            boot: self.now,
            builder: Builder::Off,
            graffiti: BTreeMap::new(),
            fee_recipients: BTreeMap::new(),
            registrations: Vec::new(),
            preferences: Preferences::of_node(SUPPORTED[0], &[]),
        };
        self.machines[machine].core = Some(Node::new(settings));
        self.step(machine, Event::Wake);
    }

    fn step(&mut self, machine: usize, event: Event) {
        let now = self.now;
        let Some(core) = self.machines[machine].core.as_mut() else { return };
        self.counts.steps += 1;
        let effects = core.step(now, event);
        if let Some(wake) = core.next_wake() {
            assert!(wake > now, "a node that is never done at {now}");
            if self.machines[machine].next_wake != Some(wake) {
                self.machines[machine].next_wake = Some(wake);
                let life = self.machines[machine].life;
                self.at(wake, Todo::Wake { machine, life });
            }
        }
        for effect in effects {
            self.effect(machine, effect);
        }
    }

    fn later(&mut self, most: u64, machine: usize, event: Event) {
        let at = self.now + self.millis(most);
        let life = self.machines[machine].life;
        self.at(at, Todo::Step { machine, life, event });
    }

    fn effect(&mut self, machine: usize, effect: Effect) {
        let (node, half) = (self.machines[machine].node, self.machines[machine].half);
        match effect {
            Effect::Call { ticket, call } => self.call(machine, ticket, &call),
            Effect::Reply { ticket, answer } => {
                let Some(asked) = self.machines[machine].asked.remove(&ticket) else { return };
                if let (Ok(answer), None) = (answer.as_ref(), half) {
                    self.check_decided(&asked.request, answer);
                }
                let at = self.now + Duration::from_millis(3);
                self.at(at, Todo::Answered { machine, asked, answer });
            }
            Effect::Send { to, channel, bytes, .. } => {
                if half.is_none() && channel == Channel::Parsigex && self.faults.shares == Shares::Judged {
                    self.check_partials(node, &bytes);
                }
                self.send(machine, to, channel, &bytes);
            }
            Effect::Request { to, bytes, .. } => {
                for receiver in self.receivers(machine, to) {
                    let ticket = self.ticket();
                    self.exchanges.insert(ticket, machine);
                    let event = Event::Requested { ticket, from: node, bytes: bytes.to_vec() };
                    self.deliver(receiver, event);
                }
            }
            Effect::Respond { ticket, bytes } => {
                let asker = self.exchanges.remove(&ticket).expect("somebody asked, and is answered once");
                if let Some(bytes) = bytes
                    && self.is_connected(node, self.machines[asker].node)
                {
                    self.deliver(asker, Event::Responded { from: node, bytes: bytes.to_vec() });
                }
            }
            Effect::Judge { ticket, signer, requests, .. } => self.judge(machine, ticket, signer, &requests),
            Effect::Compute { ticket, job, .. } => {
                let output = self.keys.run(&job);
                let most = if self.happens(10) { 6_000 } else { 40 };
                self.later(most, machine, Event::Computed { ticket, output });
            }
            Effect::Note(note) => self.note(half, &note),
            Effect::Record(_) => {}
        }
    }

    fn call(&mut self, machine: usize, ticket: Ticket, call: &Call) {
        let (node, half) = (self.machines[machine].node, self.machines[machine].half);
        if self.happens(self.faults.unanswered) {
            let failure = Failure::Network;
            let error = CallError { endpoint: call.endpoint(), failure, message: "down".to_owned() };
            self.later(3_000, machine, Event::Answered { ticket, result: Err(error) });
            return;
        }
        // Halves of a liar see other heads and make other blocks; an aggregate has a bit for each node only.
        let is_bit = matches!(call, Call::Aggregate { .. } | Call::Contribution { .. });
        let seen_by = if half == Some(1) && !is_bit { node + NODES_OF_OTHERS } else { node };
        let result = self.beacon.answer(&mut self.keys, seen_by, self.now, call);
        let most = if self.happens(10) { 4_000 } else { 80 };
        self.later(most, machine, Event::Answered { ticket, result });
    }

    fn judge(&mut self, machine: usize, ticket: Ticket, signer: Signer, requests: &[protect::Request]) {
        let is_liar = self.machines[machine].half.is_some();
        let is_blind = signer == Signer::Share && self.faults.shares == Shares::Blind;
        let verdicts = if is_liar || is_blind {
            Ok(vec![Verdict::Recorded; requests.len()])
        } else if self.happens(self.faults.unwritten) {
            Err("the disk is full".to_owned())
        } else {
            let one = &mut self.machines[machine];
            Ok(match signer {
                Signer::Share => one.shares.judge(requests),
                Signer::Group => one.groups.judge(requests),
            })
        };
        let most = if self.happens(20) { 8_000 } else { 30 };
        self.later(most, machine, Event::Judged { ticket, verdicts });
    }

    fn note(&mut self, half: Option<usize>, note: &Note) {
        if half.is_some() {
            return;
        }
        match note {
            Note::Slashable { .. } => self.counts.slashable += 1,
            Note::Decided { .. } => self.counts.decided += 1,
            Note::Refused { .. } => self.counts.refused += 1,
            Note::Agreed { .. } => self.counts.agreed += 1,
            _ => {}
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next as u64)
    }

    // -------------------------------------------------------------------------------------------------- the network

    fn is_connected(&self, one: usize, other: usize) -> bool {
        let splits = |side: u32| (side >> one) & 1 != (side >> other) & 1;
        !self
            .partitions
            .iter()
            .any(|(from, until, side)| (*from..*until).contains(&self.now) && splits(*side))
    }

    /// Machines that hear what one says to a node: each half of a liar talks to half of the nodes, and now and then to
    /// the others.
    fn receivers(&mut self, from: usize, to: usize) -> Vec<usize> {
        let (node, half) = (self.machines[from].node, self.machines[from].half);
        if !self.is_connected(node, to) {
            return Vec::new();
        }
        if half.is_some_and(|half| to % 2 != half) && self.rng.random_bool(0.7) {
            return Vec::new();
        }
        let all = 0..self.machines.len();
        all.filter(|machine| self.machines[*machine].node == to).collect()
    }

    fn send(&mut self, from: usize, to: usize, channel: Channel, bytes: &[u8]) {
        let (node, half) = (self.machines[from].node, self.machines[from].half);
        for receiver in self.receivers(from, to) {
            if half.is_some() && self.rng.random_bool(0.2) {
                let bytes = self.damage(bytes);
                self.deliver(receiver, Event::Received { from: node, channel, bytes });
            }
            if self.happens(self.faults.doubled) {
                let bytes = bytes.to_vec();
                self.deliver(receiver, Event::Received { from: node, channel, bytes });
            }
            self.deliver(receiver, Event::Received { from: node, channel, bytes: bytes.to_vec() });
        }
    }

    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..self.rng.random_range(1..4) {
            let at = self.rng.random_range(0..bytes.len());
            bytes[at] = self.rng.random();
        }
        if self.rng.random_bool(0.2) {
            bytes.truncate(self.rng.random_range(0..bytes.len()));
        }
        bytes
    }

    fn deliver(&mut self, receiver: usize, event: Event) {
        if self.happens(self.faults.lost) {
            return;
        }
        let most = if self.is_good() { 60 } else { self.faults.delay };
        self.later(most, receiver, event);
    }

    // ------------------------------------------------------------------------------------------- validator clients

    fn ask(&mut self, machine: usize, requests: Vec<Request>) {
        let until = self.now + PATIENCE;
        for request in requests {
            self.ask_once(machine, request, until);
        }
    }

    fn ask_once(&mut self, machine: usize, request: Request, until: Time) {
        let asked = Asked { request: request.clone(), until };
        if self.machines[machine].core.is_none() {
            self.ask_again(machine, asked);
            return;
        }
        let ticket = self.ticket();
        self.machines[machine].asked.insert(ticket, asked);
        self.at(until, Todo::GiveUp { machine, ticket });
        self.step(machine, Event::Asked { ticket, request });
    }

    fn ask_again(&mut self, machine: usize, asked: Asked) {
        let at = self.now + PAUSE;
        let Asked { request, until } = asked;
        if at < until {
            self.at(at, Todo::Ask { machine, request, until });
        }
    }

    fn answered(&mut self, machine: usize, asked: Asked, answer: Result<Answer, Problem>) {
        let Ok(answer) = answer else {
            self.ask_again(machine, asked);
            return;
        };
        let mut hands = Hands { keys: &mut self.keys, beacon: &self.beacon, now: self.now };
        let more = self.machines[machine].client.answered(&mut hands, &asked.request, answer);
        self.ask(machine, more);
    }

    // -------------------------------------------------------------------------------------------- what must hold

    /// Honest nodes say the same of what was decided.
    fn check_decided(&mut self, request: &Request, answer: &Answer) {
        let root: Root = match answer {
            Answer::AttestationData(data) => data.root(),
            Answer::Proposal(block) => block.root(),
            Answer::Aggregate { attestation, .. } => attestation.root(),
            Answer::Contribution(one) => one.tree_hash_root().0,
            _ => return,
        };
        let place = match request {
            // The randomness of each node is its own.
            Request::Proposal { slot, .. } => format!("block of {slot}"),
            other => format!("{other:?}"),
        };
        let known = *self.decided.entry(place.clone()).or_insert(root.into());
        assert_eq!(known, Bytes32::from(root), "two decisions: {place}");
    }

    /// A share of an honest node never signs two blocks of a slot, or votes that contradict each other.
    fn check_partials(&mut self, node: usize, bytes: &[u8]) {
        let message: ParSigExMsg =
            message::decode(bytes, PARSIGEX.max_bytes).expect("nodes write what can be read");
        let kind = DutyType::of(message.duty.unwrap_or_default().r#type).expect("a type");
        let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
        for (key, one) in set {
            assert_eq!(usize::try_from(one.share_idx), Ok(node + 1), "another node's share");
            let data = SignedData::decode(kind, &one.data).expect("nodes write what can be read");
            let Some(root) = data.message_root() else { continue };
            match &data {
                SignedData::Proposer(block) => {
                    let known = *self.blocks.entry((node, key, block.slot())).or_insert(root);
                    assert_eq!(known, root, "share {} signed two blocks", node + 1);
                }
                SignedData::Attester(signed) => {
                    let said = signed.attestation.data();
                    let vote = (said.source.epoch, said.target.epoch, root);
                    let votes = self.votes.entry((node, key)).or_default();
                    assert_eq!(contradiction(votes, vote), None, "share {}", node + 1);
                    votes.insert(vote);
                }
                _ => {}
            }
        }
    }

    /// Slots in which all is well.
    pub(crate) fn good_slots(&self) -> std::ops::Range<u64> {
        let clock = self.beacon.chain.clock;
        let first = clock.slot_at(self.good_from + clock.slot).expect("after genesis");
        first..clock.first_of(EPOCHS.end)
    }

    /// Every duty of good slots came to its end.
    pub(crate) fn check_progress(&self) {
        let done = &self.beacon.submitted.done;
        let honest = self.faults.nodes - self.faults.liars - usize::from(self.faults.reckless.is_some());
        if honest < self.keys.threshold {
            return;
        }
        for slot in self.good_slots() {
            let attesters = self.beacon.attesters_at(slot);
            for (validator, _) in attesters.into_iter().filter(|_| self.faults.justified == Justified::Agreed)
            {
                assert!(done.contains(&(DutyType::Attester, slot, validator, 0)), "{slot}: no attestation");
                assert!(done.contains(&(DutyType::Aggregator, slot, validator, 0)), "{slot}: no aggregate");
            }
            // A leader that lies takes a round of the few seconds that a block has.
            if let Some(validator) = self.beacon.proposer(slot).filter(|_| self.faults.liars == 0) {
                assert!(done.contains(&(DutyType::Proposer, slot, validator, 0)), "{slot}: no block");
            }
            let clock = self.beacon.chain.clock;
            let seen = |node| self.beacon.head(node, slot, clock.start_of(slot) + clock.slot / 3);
            let heads: BTreeSet<Bytes32> = (0..self.faults.nodes).map(seen).collect();
            if let Some((validator, _)) = self.beacon.member(slot).filter(|_| heads.len() == 1) {
                assert!(done.contains(&(DutyType::SyncMessage, slot, validator, 0)), "{slot}: no sync vote");
                // Contributions have a few seconds only, too.
                for subcommittee in self.machines[0].client.contributes(slot) {
                    let one = (DutyType::SyncContribution, slot, validator, subcommittee);
                    assert!(self.faults.liars > 0 || done.contains(&one), "{slot}: no contribution");
                }
            }
        }
    }

    /// Nothing is left of what is over.
    pub(crate) fn check_empty(&self) {
        for machine in &self.machines {
            let core = machine.core.as_ref().expect("all are up at the end");
            assert_eq!(core.held(), 0, "node {} holds something when all is over", machine.node);
        }
    }
}
