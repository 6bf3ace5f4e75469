//! The world of a cluster: what happens when.

mod checks;
mod demands;
mod effects;
mod entry;
mod liars;
mod network;
mod plan;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_core::{Channel, Event, Features, Node, Settings, Ticket};
use coxswain_dv_eth::beacon::ChainEvent;
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48};
use coxswain_dv_eth::client::{Answer, Problem, Request};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::protect::{self, Signer, Wall};
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::priority_result::{Agreed, Preferences};
use coxswain_dv_wire::version::SUPPORTED;

use crate::chain::Beacon;
use crate::client::{Alarm, Hands};
use crate::dice::Dice;
use crate::keys::{Keys, Vault};
use crate::machine::{Asked, Machine};
use crate::report::{Broken, Counts};
use crate::setting::{ACT, FIRST_EPOCH, SLOTS_PER_EPOCH, Setting, TROUBLE};
use entry::Entry;

/// How long a validator client waits for an answer, and tries again.
const PATIENCE: Duration = Duration::from_secs(14);
/// Pauses of a validator client between tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether a world tells what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// It does not.
    Off,
    /// A line for each event and note.
    On,
}

/// What a world came to.
#[derive(Debug)]
pub struct Outcome {
    /// What happened, how often.
    pub counts: Counts,
    /// What did not hold; the world ended there.
    pub broken: Option<Broken>,
    /// What happened, in order, where it was asked for.
    pub trace: Vec<String>,
}

/// How a write to the disk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// It fails, and is on the disk all the same.
    FailedAndKept,
    Failed,
}

/// A write to the disk.
#[derive(Debug)]
struct Write {
    ticket: Ticket,
    signer: Signer,
    requests: Vec<protect::Request>,
    wall: Wall,
    fate: Fate,
}

/// What happens to whom.
enum Todo {
    Step {
        machine: usize,
        life: u32,
        event: Event,
    },
    Wake {
        machine: usize,
        life: u32,
        shown: Time,
    },
    Alarm {
        machine: usize,
        clock_sets: u32,
        alarm: Alarm,
    },
    Ask {
        machine: usize,
        request: Request,
        until: Time,
    },
    GiveUp {
        machine: usize,
        ticket: Ticket,
    },
    Answered {
        machine: usize,
        asked: Asked,
        answer: Box<Result<Answer, Problem>>,
    },
    Write {
        machine: usize,
        life: u32,
        write: Write,
    },
    Crash {
        machine: usize,
    },
    /// In the middle of its next write, unless it starts before.
    CrashWriting {
        machine: usize,
        until: Time,
    },
    Start {
        machine: usize,
    },
    SetClock {
        machine: usize,
        ahead_us: i64,
    },
    Branch {
        machine: usize,
        number: usize,
    },
}

/// A time in which nodes of one side do not hear those of the other; sides by bits.
#[derive(Debug, Clone, Copy)]
struct Partition {
    from: Time,
    until: Time,
    side: u64,
}

/// What honest nodes said was decided: what was asked for, and what came.
type Decisions = BTreeMap<(u8, u64, u64, Bytes32), Bytes32>;

/// Partial signatures that liars sent to a machine for a duty, by validator and share: whether any of them was of the duty.
type Came = BTreeMap<(usize, Duty, Bytes48, u32), bool>;

/// A cluster and all that surrounds it.
pub struct World {
    seed: u64,
    setting: Setting,
    keys: Keys,
    beacon: Beacon,
    dice: Dice,
    machines: Vec<Machine>,
    heap: BinaryHeap<Entry>,
    number: u64,
    now: Time,
    end: Time,
    partitions: Vec<Partition>,
    /// Nodes that are away in the quiet and good epochs of each act.
    absent: Vec<BTreeSet<usize>>,
    /// Who asked for preferences.
    exchanges: BTreeMap<Ticket, usize>,
    decided: Decisions,
    agreed: BTreeMap<u64, Agreed>,
    /// Nodes that told the chain, and in which epoch: whom blocks pay, and what builders should know.
    prepared: BTreeSet<(usize, u64)>,
    registered: BTreeSet<(usize, u64)>,
    /// What liars heard, to be said again.
    heard: VecDeque<(Channel, Arc<Vec<u8>>)>,
    came: Came,
    counts: Counts,
    broken: Option<Broken>,
    trace: Option<Vec<String>>,
}

impl World {
    /// A world that has not begun.
    #[must_use]
    pub fn new(seed: u64, setting: Setting, vault: &mut Vault, tracing: Tracing) -> World {
        let keys = vault.keys(setting.nodes, setting.signatures);
        let end = FIRST_EPOCH + setting.acts * ACT;
        let groups = keys.validators().iter().map(|one| one.key).collect();
        let beacon = Beacon::new(groups, seed, &setting);
        let clock = beacon.clock();
        let mut world = World {
            seed,
            now: clock.start_of(clock.first_of(FIRST_EPOCH) - 2),
            // Selections are kept for two epochs; then one ends in the middle of an epoch.
            end: clock.start_of(clock.first_of(end + 2) + 3),
            setting,
            keys,
            beacon,
            dice: Dice::of(seed, 4),
            machines: Vec::new(),
            heap: BinaryHeap::new(),
            number: 0,
            partitions: Vec::new(),
            absent: Vec::new(),
            exchanges: BTreeMap::new(),
            decided: BTreeMap::new(),
            agreed: BTreeMap::new(),
            prepared: BTreeSet::new(),
            registered: BTreeSet::new(),
            heard: VecDeque::new(),
            came: BTreeMap::new(),
            counts: Counts::default(),
            broken: None,
            trace: (tracing == Tracing::On).then(Vec::new),
        };
        world.people();
        world.plan();
        world
    }

    /// Runs until all is over, or something does not hold.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        while let Some(Entry { at, todo, .. }) = self.heap.pop() {
            if at > self.end || self.broken.is_some() {
                break;
            }
            self.now = at;
            self.carry_out(todo);
        }
        if self.broken.is_none() {
            self.check_demands();
            self.check_empty();
        }
        self.counts.add("slots", self.setting.acts * ACT * SLOTS_PER_EPOCH);
        self.counts.add("worlds", 1);
        self.counts.add("worlds with liars", u64::from(self.setting.liars > 0));
        self.counts
            .add("worlds with a client that signs anything", u64::from(self.setting.reckless.is_some()));
        let moving = u64::from(self.setting.joins > 0) + u64::from(self.setting.leaves.is_some());
        self.counts.add("validators that join or leave", moving);
        self.counts.add("blocks of builders", self.beacon.submitted.blinded);
        for (kind, ..) in &self.beacon.submitted.done {
            self.counts.add(kind.name(), 1);
        }
        Outcome { counts: self.counts, broken: self.broken, trace: self.trace.unwrap_or_default() }
    }

    // ------------------------------------------------------------------------------------------------- small things

    fn at(&mut self, at: Time, todo: Todo) {
        self.number += 1;
        self.heap.push(Entry { at, number: self.number, todo });
    }

    /// Within so many milliseconds, unless the machine is killed before.
    fn later(&mut self, most: u64, machine: usize, event: Event) {
        let at = self.now + self.dice.millis(most);
        let life = self.machines[machine].life;
        self.at(at, Todo::Step { machine, life, event });
    }

    fn ticket(&mut self) -> Ticket {
        self.number += 1;
        Ticket(self.number)
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.now.since(self.beacon.clock().genesis);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} {}", now.as_secs_f64(), what()));
        }
    }

    fn fail(&mut self, what: String) {
        self.tell(|| format!("BROKEN {what}"));
        if self.broken.is_none() {
            self.broken = Some(Broken { seed: self.seed, at: self.now, what });
        }
    }

    /// Whether nothing goes wrong now.
    fn is_calm(&self) -> bool {
        let clock = self.beacon.clock();
        let epoch = clock.slot_at(self.now).map_or(0, |slot| clock.epoch_of(slot));
        let inside = epoch.checked_sub(FIRST_EPOCH).filter(|_| epoch < self.beacon.end);
        inside.is_none_or(|epoch| epoch % ACT >= TROUBLE)
    }

    fn happens(&mut self, of_hundred: u64) -> bool {
        self.dice.happens(of_hundred) && !self.is_calm()
    }

    // ----------------------------------------------------------------------------------------------- what happens

    fn carry_out(&mut self, todo: Todo) {
        match todo {
            Todo::Step { machine, life, event } => {
                if self.machines[machine].life == life {
                    self.step(machine, event);
                }
            }
            Todo::Wake { machine, life, shown } => {
                let one = &mut self.machines[machine];
                if one.life == life && one.next_wake == Some(shown) {
                    one.next_wake = None;
                    self.step(machine, Event::Wake);
                }
            }
            Todo::Alarm { machine, clock_sets, alarm } => {
                if self.machines[machine].clock_sets == clock_sets {
                    self.ring(machine, alarm);
                    self.set_alarm(machine);
                }
            }
            Todo::Ask { machine, request, until } => self.ask_once(machine, request, until),
            Todo::GiveUp { machine, ticket } => {
                if self.machines[machine].asked.remove(&ticket).is_some() {
                    self.step(machine, Event::GaveUp { ticket });
                }
            }
            Todo::Answered { machine, asked, answer } => self.answered(machine, asked, *answer),
            Todo::Write { machine, life, write } => self.write(machine, life, write),
            Todo::Crash { machine } => self.crash(machine),
            Todo::CrashWriting { machine, until } => self.machines[machine].dies_writing = Some(until),
            Todo::Start { machine } => self.start(machine),
            Todo::SetClock { machine, ahead_us } => self.set_clock(machine, ahead_us),
            Todo::Branch { machine, number } => {
                let reorg = self.beacon.reorgs[number];
                let depth = reorg.slot.saturating_sub(reorg.kept);
                self.counts.add("reorgs seen by nodes", 1);
                self.step(machine, Event::Chain(ChainEvent::Reorg { slot: reorg.slot, depth }));
            }
        }
    }

    fn step(&mut self, machine: usize, event: Event) {
        let shown = self.machines[machine].clock.shows(self.now);
        self.note_came(machine, &event);
        let Some(core) = self.machines[machine].core.as_mut() else { return };
        if let Some(trace) = &mut self.trace {
            let now = self.now.since(self.beacon.chain.clock.genesis).as_secs_f64();
            trace.push(format!("{now:>9.3} {machine} < {}", crate::trace::event(&event)));
        }
        self.counts.add("steps", 1);
        let effects = core.step(shown, event);
        if let Some(wake) = core.next_wake() {
            if wake <= shown {
                return self.fail(format!("machine {machine} is never done at {shown}"));
            }
            if self.machines[machine].next_wake != Some(wake) {
                let one = &mut self.machines[machine];
                one.next_wake = Some(wake);
                let (life, at) = (one.life, one.clock.when(self.now, wake));
                self.at(at, Todo::Wake { machine, life, shown: wake });
            }
        }
        for effect in effects {
            self.effect(machine, effect);
        }
    }

    fn crash(&mut self, machine: usize) {
        self.tell(|| format!("{machine} is killed"));
        let one = &mut self.machines[machine];
        (one.core, one.next_wake, one.checked) = (None, None, None);
        one.life += 1;
        // Clients see that the connection is gone, and try again.
        for (_, asked) in std::mem::take(&mut one.asked) {
            self.ask_again(machine, asked);
        }
    }

    fn start(&mut self, machine: usize) {
        self.machines[machine].dies_writing = None;
        if self.machines[machine].core.is_some() {
            return;
        }
        self.tell(|| format!("{machine} starts"));
        let node = self.machines[machine].node;
        self.counts.add("starts after a crash", u64::from(self.machines[machine].life > 0));
        let boot = self.machines[machine].clock.shows(self.now);
        let is_old = self.setting.old && node == 1;
        let version = if is_old { SUPPORTED[1] } else { SUPPORTED[0] };
        let pays = |validator: &coxswain_dv_core::Validator| (validator.key, Bytes20::from([4; 20]));
        let settings = Settings {
            cluster: self.keys.cluster(node),
            chain: self.beacon.chain.clone(),
            peers: self.keys.peers(),
            key: self.keys.identity(node),
            boot,
            builder: self.setting.builders.of(node),
            graffiti: BTreeMap::new(),
            fee_recipients: self.keys.validators().iter().map(pays).collect(),
            registrations: self.beacon.registrations.clone(),
            preferences: Preferences::of_node(version, &[]),
            features: Features::STANDARD,
        };
        let one = &mut self.machines[machine];
        let (newest, clock) = (one.shares.newest(), self.beacon.chain.clock);
        let mut core = Node::sealed_by(settings, self.keys.seals(node));
        core.observe_after(&newest);
        one.core = Some(core);
        // What is kept of the future was signed under a clock that was ahead.
        let is_ahead = |start: Time| start > boot;
        let vote =
            newest.target.map(|target| clock.start_of(clock.first_of(target))).filter(|at| is_ahead(*at));
        let block = newest.slot.map(|slot| clock.start_of(slot)).filter(|at| is_ahead(*at));
        let spoken = [block.map(|at| at + clock.slot), vote.map(|at| at + clock.epoch())];
        one.observes_until = spoken.into_iter().flatten().fold(boot + clock.slot, Time::max);
        self.step(machine, Event::Wake);
    }

    /// Sets the clock of a machine; the node sees that it was set where that is more than a correction.
    fn set_clock(&mut self, machine: usize, ahead_us: i64) {
        let one = &mut self.machines[machine];
        let before = one.clock.shows(self.now);
        (one.clock.ahead_us, one.clock.since) = (ahead_us, self.now);
        one.clock_sets += 1;
        one.next_wake = None;
        let shown = one.clock.shows(self.now);
        let by = shown.since(before).max(before.since(shown));
        self.tell(|| format!("{machine}: the clock is set by {} ms", by.as_millis()));
        self.counts.add("clocks set", 1);
        if self.machines[machine].core.is_some() {
            self.machines[machine].observes_until = shown + self.beacon.clock().epoch();
            self.step(machine, Event::ClockSet { by });
        }
        self.set_alarm(machine);
    }

    // ------------------------------------------------------------------------------------------- validator clients

    fn set_alarm(&mut self, machine: usize) {
        let one = &self.machines[machine];
        let Some((shown, alarm)) = one.next_alarm(&self.beacon.chain.clock, self.now) else { return };
        let (clock_sets, at) = (one.clock_sets, one.clock.when(self.now, shown));
        self.at(at, Todo::Alarm { machine, clock_sets, alarm });
    }

    fn ring(&mut self, machine: usize, alarm: Alarm) {
        let one = &mut self.machines[machine];
        let (view, shown) = (one.view(self.now), one.clock.shows(self.now));
        let mut hands = Hands { keys: &mut self.keys, beacon: &self.beacon, view, shown };
        let requests = one.client.alarm(&mut hands, alarm);
        self.ask(machine, requests);
    }

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
        let one = &mut self.machines[machine];
        let (view, shown) = (one.view(self.now), one.clock.shows(self.now));
        let mut hands = Hands { keys: &mut self.keys, beacon: &self.beacon, view, shown };
        let more = one.client.answered(&mut hands, &asked.request, answer);
        self.ask(machine, more);
    }
}
