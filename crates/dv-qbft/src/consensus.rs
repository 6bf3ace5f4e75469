//! Consensus on many duties: instances, their timers and deadlines, and the messages of peers.
//!
//! ```text
//! Propose, Participate ─→ start ─┐                    ┌─→ Send (signed, encoded once)
//! Received ─receive→ wait ───────┼─→ machine ─effects─┼─→ Check, Decided
//! Wake ─timers, deadlines────────┘   └─own messages──┘ └─→ TimedOut, Recorded
//! ```
//!
//! An instance that has decided stays until the deadline of its duty and shows the proof to nodes that are behind.
//!
//! # What must never happen
//!
//! - A message goes out that lacks a value it means: peers drop it.
//! - A duty is begun twice.
//! - A peer makes this node hold more than its share: duties, messages, bytes of values.
//! - One peer's messages push out those of another.

mod entry;
mod event;
mod receive;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_types::Root;
use coxswain_dv_wire::well_known::Any;

use crate::debugger::Record;
use crate::machine::{self, Config, Instance, Mode};
use crate::message::{Draft, Nodes};
use crate::seal::{Envelope, Sealed, SealedMessage, meant_roots, seal};
use crate::seals::{Identities, Seals};
use crate::timer::{Profile, RoundTimer, TimerFlags};
use crate::value::Values;
use entry::{Due, Entry, Running, Stage};
pub use event::{Decision, Effect, Event, FailError, StartError};

/// Messages that wait for one duty, shared out evenly among peers.
pub const MAX_WAITING: usize = 100;
/// Duties that wait and that one peer was the first to name: those of an epoch that are still worth it after a restart,
/// twice over.
pub const MAX_WAITING_DUTIES: usize = 128;
/// Bytes of values that one peer may have made this node hold, over all duties: four messages of the greatest size.
pub const MAX_HELD_BYTES: usize = 128 * 1024 * 1024;
/// What a value counts beside its bytes, so that many small ones do not come free.
const VALUE_COST: usize = 1024;

/// Whether instances begin before their node has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Participation {
    /// Yes: the node votes on the value of others in the first round, however slow its beacon node is.
    Early,
    /// No.
    WithValue,
}

/// What consensus is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node, from 0 in the order of the cluster's lock.
    pub me: usize,
    /// Keys of all nodes in the order of the cluster's lock.
    pub peers: Vec<IdentityPublic>,
    /// The key of this node.
    pub key: IdentityKey,
    /// The clock of the chain.
    pub clock: Clock,
    /// What chooses timers.
    pub flags: TimerFlags,
    /// Where proposers get more time.
    pub profile: Profile,
    /// Whether instances begin early.
    pub participation: Participation,
    /// Duties that start before this are only observed: a node that was started again does not know what it has said.
    pub observe_before: Time,
}

/// What one instance has to go through.
enum Work {
    Event(machine::Event<Sealed>),
    Message(Arc<Envelope>),
}

/// Consensus of a cluster, as one node has it.
#[derive(Debug)]
pub struct Consensus {
    settings: Settings,
    seals: Arc<dyn Seals>,
    nodes: Nodes,
    entries: BTreeMap<Duty, Entry>,
    due: BTreeSet<(Time, Due, Duty)>,
    /// The latest start of a duty for which this node has said anything, in this process or before.
    spoken: Option<Time>,
    /// Bytes of values by the peer that brought them, over all duties.
    held: Vec<usize>,
    /// Duties that wait, by the peer that was the first to name them.
    waiting: Vec<usize>,
}

impl Consensus {
    /// Consensus without any duty.
    #[must_use]
    pub fn new(settings: Settings) -> Consensus {
        let seals = Identities { key: settings.key.clone(), peers: settings.peers.clone() };
        Consensus::sealed_by(settings, Arc::new(seals))
    }

    /// The same, where something else than the keys of the settings signs and checks messages.
    #[must_use]
    pub fn sealed_by(settings: Settings, seals: Arc<dyn Seals>) -> Consensus {
        let count = settings.peers.len();
        let (held, waiting) = (vec![0; count], vec![0; count]);
        let (entries, due) = (BTreeMap::new(), BTreeSet::new());
        Consensus { nodes: Nodes { count }, settings, seals, entries, due, spoken: None, held, waiting }
    }

    /// When [`Event::Wake`] is wanted next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.due.first().map(|(time, _, _)| *time)
    }

    /// From now on instances begin with this profile.
    pub fn use_profile(&mut self, profile: Profile) {
        self.settings.profile = profile;
    }

    /// Another process of this node has spoken for duties that start before this: they are only observed, whatever becomes of
    /// the clock.
    pub fn spoken_before(&mut self, time: Time) {
        let last = Time(time.0.saturating_sub(Duration::from_nanos(1)));
        self.spoken = self.spoken.max(Some(last));
    }

    /// Duties that start before this are only observed from now on, also those that are under way, and those up to the last
    /// one that this node has spoken for. Tells until when it is so. A clock that was ahead and is right again leaves
    /// nothing behind but that.
    pub fn observe_before(&mut self, time: Time) -> Time {
        let after_the_last =
            self.spoken.map_or(time, |start| Time(start.0.saturating_add(Duration::from_nanos(1))));
        self.settings.observe_before = time.max(after_the_last);
        for duty in self.entries.keys().copied().collect::<Vec<_>>() {
            let mode = self.mode(&duty);
            if let (Mode::Observer, Some(running)) = (mode, self.running(&duty)) {
                running.instance.observe();
            }
        }
        self.settings.observe_before
    }

    /// Duties of which something is known.
    #[must_use]
    pub fn duties(&self) -> usize {
        self.entries.len()
    }

    /// What follows from an event, in this order.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Propose { duty, value } => {
                if let Err(why) = self.propose(now, duty, value, &mut out) {
                    out.push(Effect::NotStarted { duty, why });
                }
            }
            Event::Participate { duty } => {
                if let Err(why) = self.participate(now, duty, &mut out) {
                    out.push(Effect::NotStarted { duty, why });
                }
            }
            Event::Received { from, bytes } => self.receive(now, from, &bytes, &mut out),
            Event::Checked { duty, round, verdict } => {
                self.feed(now, duty, Work::Event(machine::Event::Compared { round, verdict }), &mut out);
            }
            Event::Wake => self.wake(now, &mut out),
        }
        out
    }

    // -------------------------------------------------------------------------------------------------- starting

    fn propose(
        &mut self,
        now: Time,
        duty: Duty,
        value: Any,
        out: &mut Vec<Effect>,
    ) -> Result<(), StartError> {
        let deadline = self.deadline(now, &duty)?;
        if self.entries.get(&duty).is_some_and(|entry| entry.is_proposed) {
            return Err(StartError::Twice);
        }
        let none = Values::default();
        let known = self.entries.get(&duty).map_or(&none, |entry| &entry.values);
        let value = known.resolve(&value.type_url, &value.value).map_err(StartError::Value)?;
        if value.root() == Root::default() {
            return Err(StartError::Empty);
        }
        let input = machine::Event::Input(value.root());
        let entry = self.entry(duty, deadline);
        entry.is_proposed = true;
        // What this node has decided already it does not need to know any more.
        let is_over = matches!(&entry.stage, Stage::Running(running) if running.instance.is_decided());
        if !is_over {
            entry.values.insert(&value);
        }
        self.begin(now, duty, Some(input), out);
        Ok(())
    }

    fn participate(&mut self, now: Time, duty: Duty, out: &mut Vec<Effect>) -> Result<(), StartError> {
        // These begin when the node has what the validator's selection proofs were for.
        let needs_value = matches!(duty.kind, DutyType::Aggregator | DutyType::SyncContribution);
        if needs_value || self.settings.participation == Participation::WithValue {
            return Ok(());
        }
        let deadline = self.deadline(now, &duty)?;
        if self.entries.get(&duty).is_some_and(|entry| entry.is_participated) {
            return Err(StartError::Twice);
        }
        self.entry(duty, deadline).is_participated = true;
        self.begin(now, duty, None, out);
        Ok(())
    }

    fn deadline(&self, now: Time, duty: &Duty) -> Result<Time, StartError> {
        if !is_agreed_on(duty.kind) {
            return Err(StartError::NotAgreedOn);
        }
        let deadline = duty.deadline(&self.settings.clock).ok_or(StartError::NotAgreedOn)?;
        if deadline <= now { Err(StartError::Expired) } else { Ok(deadline) }
    }

    /// What is known of a duty, from now on until its deadline.
    fn entry(&mut self, duty: Duty, deadline: Time) -> &mut Entry {
        let (nodes, me) = (self.nodes.count, self.settings.me);
        self.due.insert((deadline, Due::Deadline, duty));
        self.entries.entry(duty).or_insert_with(|| {
            if let Some(waiting) = self.waiting.get_mut(me) {
                *waiting = waiting.saturating_add(1);
            }
            Entry::new(nodes, me)
        })
    }

    fn mode(&self, duty: &Duty) -> Mode {
        let is_late = duty.start(&self.settings.clock) < self.settings.observe_before;
        if is_late { Mode::Observer } else { Mode::Active }
    }

    /// Starts an instance that does not run, and gives it its input.
    fn begin(&mut self, now: Time, duty: Duty, input: Option<machine::Event<Sealed>>, out: &mut Vec<Effect>) {
        let (nodes, me, mode) = (self.nodes, self.settings.me, self.mode(&duty));
        let settings = &self.settings;
        let Some(entry) = self.entries.get_mut(&duty) else { return };
        let mut work: VecDeque<Work> = input.into_iter().map(Work::Event).collect();
        if let Stage::Waiting { messages, first } = &mut entry.stage {
            if let Some(waiting) = self.waiting.get_mut(*first) {
                *waiting = waiting.saturating_sub(1);
            }
            work.push_back(Work::Event(machine::Event::Start));
            work.extend(messages.drain(..).map(|(_, message)| Work::Message(message)));
            entry.stage = Stage::Running(Box::new(Running {
                instance: Instance::new(Config { nodes, me, offset: offset(&duty), mode }),
                timer: RoundTimer::new(&duty, &settings.clock, &settings.flags, settings.profile),
                round_end: None,
                started_at: now,
                record: Some(Record::new(now, nodes.count, me)),
            }));
        }
        self.run(now, duty, work, out);
    }

    // --------------------------------------------------------------------------------------------------- running

    fn running(&mut self, duty: &Duty) -> Option<&mut Running> {
        match &mut self.entries.get_mut(duty)?.stage {
            Stage::Running(running) => Some(running),
            Stage::Waiting { .. } => None,
        }
    }

    fn feed(&mut self, now: Time, duty: Duty, work: Work, out: &mut Vec<Effect>) {
        self.run(now, duty, VecDeque::from([work]), out);
    }

    /// Gives an instance its work, and the messages that it sends meanwhile.
    fn run(&mut self, now: Time, duty: Duty, mut work: VecDeque<Work>, out: &mut Vec<Effect>) {
        while let Some(next) = work.pop_front() {
            let Some(running) = self.running(&duty) else { return };
            let event = match next {
                Work::Event(event) => event,
                Work::Message(envelope) => {
                    let message = Arc::clone(&envelope.message);
                    if let Some(record) = &mut running.record {
                        record.push(now, envelope);
                    }
                    machine::Event::Message(message)
                }
            };
            for effect in running.instance.step(event) {
                if let Some(own) = self.apply(now, duty, effect, out) {
                    // Own messages before those of others: a leader's first vote is its own.
                    work.push_front(Work::Message(own));
                }
            }
        }
    }

    /// Carries an effect out; gives the own message back that came of it.
    fn apply(
        &mut self,
        now: Time,
        duty: Duty,
        effect: machine::Effect<Sealed>,
        out: &mut Vec<Effect>,
    ) -> Option<Arc<Envelope>> {
        match effect {
            machine::Effect::Broadcast(draft) => return self.send(duty, draft, out),
            machine::Effect::SetTimer { round, ticket } => self.set_timer(now, duty, (round, ticket)),
            machine::Effect::StopTimer => self.stop_timer(duty),
            machine::Effect::Compare { round, value } => {
                let leader = self.nodes.leader(offset(&duty), round);
                match self.entries.get(&duty).and_then(|entry| entry.values.get(&value)) {
                    Some(value) => {
                        out.push(Effect::Check { duty, round, leader, value: Arc::clone(value) });
                    }
                    None => out.push(Effect::Failed { duty, why: FailError::UnknownValue }),
                }
            }
            machine::Effect::Decide { value, round, proof } => {
                self.decide(now, duty, (round, value), &proof, out);
            }
            machine::Effect::Unjustified { source, why } => {
                out.push(Effect::Refused { from: source, duty: Some(duty), why: why.into() });
            }
            machine::Effect::Stalled { round, why } => out.push(Effect::Stalled { duty, round, why }),
            machine::Effect::Round { round, why } => out.push(Effect::Round { duty, round, why }),
            machine::Effect::EmptyInput => out.push(Effect::Failed { duty, why: FailError::EmptyInput }),
        }
        None
    }

    /// Signs a draft and sends it to all others, with every value that it means.
    fn send(&mut self, duty: Duty, draft: Draft<Sealed>, out: &mut Vec<Effect>) -> Option<Arc<Envelope>> {
        let me = self.settings.me;
        let message = Arc::new(seal(draft, duty, me, &*self.seals));
        let known = &self.entries.get(&duty)?.values;
        let roots = meant_roots(&message);
        let values: Option<Vec<_>> = roots.iter().map(|root| known.get(root).cloned()).collect();
        let Some(values) = values else {
            out.push(Effect::Failed { duty, why: FailError::UnknownValue });
            return None;
        };
        let envelope = Arc::new(Envelope { message, values });
        let bytes = Arc::new(envelope.encode());
        self.spoken = self.spoken.max(Some(duty.start(&self.settings.clock)));
        let others = (0..self.nodes.count).filter(|to| *to != me);
        out.extend(others.map(|to| Effect::Send { to, duty, message: Arc::clone(&bytes) }));
        Some(envelope)
    }

    fn set_timer(&mut self, now: Time, duty: Duty, (round, ticket): (u64, u64)) {
        self.stop_timer(duty);
        let Some(running) = self.running(&duty) else { return };
        let end = running.timer.request(now, round);
        running.round_end = Some((end, ticket));
        self.due.insert((end, Due::Round, duty));
    }

    fn stop_timer(&mut self, duty: Duty) {
        let Some(running) = self.running(&duty) else { return };
        if let Some((end, _)) = running.round_end.take() {
            self.due.remove(&(end, Due::Round, duty));
        }
    }

    fn decide(
        &mut self,
        now: Time,
        duty: Duty,
        (round, root): (u64, Root),
        proof: &[Arc<SealedMessage>],
        out: &mut Vec<Effect>,
    ) {
        let leader = self.nodes.leader(offset(&duty), round);
        let Some(entry) = self.entries.get_mut(&duty) else { return };
        let value = entry.values.get(&root).cloned();
        // What the proof means is all that answers need.
        let kept = proof.iter().flat_map(|message| meant_roots(message)).chain([root]).collect();
        entry.values.keep_only(&kept);
        entry.verified.iter_mut().for_each(BTreeMap::clear);
        for (of_peer, all) in entry.held.iter_mut().zip(&mut self.held) {
            *all = all.saturating_sub(std::mem::take(of_peer));
        }
        let Stage::Running(running) = &mut entry.stage else { return };
        let (started_at, record) = (running.started_at, running.record.take());
        match value {
            Some(value) => {
                let decision = Decision { duty, value, round, leader, started_at, decided_at: now };
                out.push(Effect::Decided(decision));
            }
            None => out.push(Effect::Failed { duty, why: FailError::UnknownValue }),
        }
        out.extend(record.map(|record| Effect::Recorded(Box::new(record))));
    }

    // ------------------------------------------------------------------------------------------------------ time

    fn wake(&mut self, now: Time, out: &mut Vec<Effect>) {
        while let Some(&(time, due, duty)) = self.due.first() {
            if time > now {
                return;
            }
            self.due.pop_first();
            match due {
                Due::Deadline => self.end(duty, out),
                Due::Round => {
                    let ticket = self.running(&duty).and_then(|running| running.round_end.take());
                    if let Some((_, ticket)) = ticket {
                        self.feed(now, duty, Work::Event(machine::Event::Timer(ticket)), out);
                    }
                }
            }
        }
    }

    /// The deadline of a duty: all that is known of it is forgotten.
    fn end(&mut self, duty: Duty, out: &mut Vec<Effect>) {
        self.stop_timer(duty);
        let Some(entry) = self.entries.remove(&duty) else { return };
        for (of_peer, all) in entry.held.iter().zip(&mut self.held) {
            *all = all.saturating_sub(*of_peer);
        }
        match entry.stage {
            Stage::Waiting { first, .. } => {
                if let Some(waiting) = self.waiting.get_mut(first) {
                    *waiting = waiting.saturating_sub(1);
                }
            }
            Stage::Running(running) if !running.instance.is_decided() => {
                let (round, started_at) = (running.instance.round(), running.started_at);
                let heard = running.instance.heard().collect();
                out.push(Effect::TimedOut { duty, round, started_at, heard });
                out.extend(running.record.map(|record| Effect::Recorded(Box::new(record))));
            }
            Stage::Running(_) => {}
        }
    }
}

/// Where leaders of a duty begin.
#[must_use]
pub fn offset(duty: &Duty) -> u64 {
    duty.slot.saturating_add(u64::try_from(duty.kind.number()).unwrap_or(0))
}

/// Whether nodes agree on a value for duties of this type.
#[must_use]
pub fn is_agreed_on(duty: DutyType) -> bool {
    match duty {
        DutyType::Proposer
        | DutyType::Attester
        | DutyType::Aggregator
        | DutyType::SyncContribution
        | DutyType::InfoSync => true,
        DutyType::Signature
        | DutyType::Exit
        | DutyType::BuilderProposer
        | DutyType::BuilderRegistration
        | DutyType::Randao
        | DutyType::PrepareAggregator
        | DutyType::SyncMessage
        | DutyType::PrepareSyncContribution => false,
    }
}
