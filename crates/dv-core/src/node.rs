//! The node: one machine of all parts.

mod agreeing;
mod early;
mod fetching;
mod halting;
mod including;
mod paying;
mod peers;
mod preferring;
mod serving;
mod signing;
mod slots;
mod synthetic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::beacon::{Call, ChainEvent};
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::protect::Newest;
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::time::Time;
use coxswain_dv_qbft::consensus::Consensus;
use coxswain_dv_qbft::seals::{Identities, Seals};
use coxswain_dv_wire::priority_result::Preferences;

use crate::aggregated::Aggregated;
use crate::calls::{Calls, Outcome, Purpose, Until};
use crate::cluster::Cluster;
use crate::decided::Decided;
use crate::event::{Effect, Event, Note, Step, Ticket};
use crate::features::Features;
use crate::fetch::{Awaited, Choice};
use crate::inclusion::{self, Inclusion};
use crate::partials::Partials;
use crate::priority::{Agreements, Priority};
use crate::scheduler::Scheduler;
use crate::timers::Timers;
use crate::trust::Trust;

/// What a node is told when it starts.
pub struct Settings {
    /// Whose keys.
    pub cluster: Cluster,
    /// Which chain.
    pub chain: Chain,
    /// Keys of the nodes, in the order of the lock.
    pub peers: Vec<IdentityPublic>,
    /// This node's key.
    pub key: IdentityKey,
    /// When it starts: duties that began before are only watched.
    pub boot: Time,
    /// Whether blocks of builders are taken.
    pub builder: Builder,
    /// What proposers say, by validator.
    pub graffiti: BTreeMap<Bytes48, Bytes32>,
    /// Whom blocks pay, by validator.
    pub fee_recipients: BTreeMap<Bytes48, Bytes20>,
    /// Registrations with builders, signed by groups.
    pub registrations: Vec<SignedRegistration>,
    /// What this node would have the cluster do.
    pub preferences: Preferences,
    /// What operators turned on and off.
    pub features: Features,
}

/// Whether blocks of builders are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// Never.
    Off,
    /// Always, where there is one.
    On,
}

/// What is due at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// The chain has not begun, and its first epoch can be known.
    Ahead,
    /// A slot begins.
    Slot,
    /// A slot is half over: the chain is looked at.
    Look,
    /// A duty begins.
    Begin(Duty),
    /// A duty does not wait for all validators any more.
    Impatient(Duty),
    /// Preferences were waited for.
    Exchanged(Duty),
    /// A duty is not worth anything any more.
    End(Duty),
}

/// Who waits for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waiter {
    /// The value of a duty.
    Fetch(Duty),
    /// A validator client.
    Client(Ticket),
}

/// A node.
pub struct Node {
    cluster: Cluster,
    chain: Chain,
    choice: Choice,
    features: Features,
    registrations: Vec<SignedRegistration>,
    builder: Builder,
    now: Time,
    next_ticket: u64,
    calls: Calls,
    timers: Timers<Timer>,
    scheduler: Scheduler,
    fetches: BTreeMap<Duty, fetching::Fetch>,
    consensus: Consensus,
    priority: Priority,
    agreed: Agreements,
    decided: Decided,
    partials: Partials,
    aggregated: Aggregated,
    inclusion: Inclusion,
    /// Attestation data of the head of this slot.
    ahead: Option<early::Ahead>,
    compared: BTreeMap<Duty, halting::Compared>,
    batches: BTreeMap<Ticket, signing::Batch>,
    groups: BTreeMap<Ticket, signing::Groups>,
    /// Shares that did not come to the group's signature, while each is checked.
    suspects: BTreeMap<Ticket, Vec<signing::Suspect>>,
    /// Peers that sent a bad signature: what they send is checked first.
    trust: Trust,
    requests: BTreeMap<Ticket, serving::Pending>,
    waiters: BTreeMap<Awaited, BTreeSet<Waiter>>,
    woken: BTreeSet<Waiter>,
    live: BTreeSet<Duty>,
    slot: Option<u64>,
    /// The last change of branch that was told: the new head's slot, and how many slots were given up.
    reorganised: Option<(u64, u64)>,
    effects: Vec<Effect>,
}

impl Node {
    /// A node that has done nothing yet. Its first step may be at any time.
    pub fn new(settings: Settings) -> Node {
        let seals = Identities { key: settings.key.clone(), peers: settings.peers.clone() };
        Node::sealed_by(settings, Arc::new(seals))
    }

    /// The same, where something else than the keys of the settings signs and checks messages of consensus.
    pub fn sealed_by(settings: Settings, seals: Arc<dyn Seals>) -> Node {
        let Settings { cluster, chain, peers, key, boot, builder, graffiti, features, .. } = settings;
        let builder_boost = match builder {
            Builder::On => u64::MAX,
            Builder::Off => 0,
        };
        let mut timers = Timers::default();
        timers.at(chain.clock.genesis.max(boot), Timer::Slot);
        if boot < chain.clock.genesis {
            // Validator clients ask for all that they need in the first epoch as soon as they are started.
            timers.at(boot, Timer::Ahead);
        }
        Node {
            now: boot,
            priority: Priority::new(
                (cluster.me(), cluster.threshold()),
                key.clone(),
                peers.clone(),
                settings.preferences,
            ),
            agreed: Agreements::default(),
            inclusion: Inclusion::new(chain.clock),
            consensus: agreeing::begin(&cluster, &chain, (peers, key), boot, (seals, &features)),
            scheduler: Scheduler::new(chain.clock, cluster.keys().collect(), features.synthetic),
            partials: Partials::new(cluster.threshold()),
            choice: Choice {
                builder_boost,
                graffiti,
                fee_recipients: settings.fee_recipients,
                committees: features.committees,
            },
            features,
            registrations: settings.registrations,
            builder,
            cluster,
            chain,
            next_ticket: 0,
            calls: Calls::default(),
            timers,
            fetches: BTreeMap::new(),
            decided: Decided::default(),
            aggregated: Aggregated::default(),
            ahead: None,
            compared: BTreeMap::new(),
            batches: BTreeMap::new(),
            groups: BTreeMap::new(),
            suspects: BTreeMap::new(),
            trust: Trust::default(),
            requests: BTreeMap::new(),
            waiters: BTreeMap::new(),
            woken: BTreeSet::new(),
            live: BTreeSet::new(),
            slot: None,
            reorganised: None,
            effects: Vec::new(),
        }
    }

    /// For a node that has just been made: this was signed before with its shares. What is ahead of its clock was signed
    /// under a clock that was ahead: up to there consensus is only watched, as after a clock that was set while it runs.
    pub fn observe_after(&mut self, newest: &Newest) {
        let (boot, clock) = (self.now, self.chain.clock);
        if let Some(ahead) = agreeing::spoken_until(&clock, boot, newest) {
            self.consensus.spoken_before(ahead);
            let until = self.consensus.observe_before(boot + clock.slot);
            self.note(Note::SignedAhead { by: ahead.since(boot), until });
        }
    }

    /// What happens, at some time, and what is to be done. Time goes back only with [`Event::ClockSet`].
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        self.now = match event {
            Event::ClockSet { .. } => now,
            _ => self.now.max(now),
        };
        self.take(event);
        self.run_timers();
        while let Some(waiter) = self.woken.pop_first() {
            match waiter {
                Waiter::Fetch(duty) => self.advance(duty),
                Waiter::Client(request) => self.try_answer(request),
            }
        }
        std::mem::take(&mut self.effects)
    }

    /// When the next step is due, whatever happens.
    pub fn next_wake(&self) -> Option<Time> {
        [self.timers.next(), self.calls.next(), self.consensus.next_wake()].into_iter().flatten().min()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Wake => {}
            Event::Answered { ticket, result } => match self.calls.answered(self.now, ticket, result) {
                Outcome::Answer(asked, answer) => self.take_answer(*asked, *answer),
                Outcome::Failed(asked, error) => self.take_failure(*asked, &error),
                Outcome::Again(Some(duty), error) => self.fetch_delayed(duty, &error),
                Outcome::Again(None, _) | Outcome::Nothing => {}
            },
            Event::Asked { ticket, request } => self.serve(ticket, request),
            Event::GaveUp { ticket } => self.give_up(ticket),
            Event::Received { from, channel, bytes } => self.receive(from, channel, bytes),
            Event::Requested { ticket, from, bytes } => self.requested(ticket, from, &bytes),
            Event::Responded { from, bytes } => self.responded(from, &bytes),
            Event::Judged { ticket, verdicts } => self.judged(ticket, verdicts),
            Event::Computed { ticket, output } => self.computed(ticket, output),
            Event::Registered { fee_recipients, registrations } => {
                self.registered(fee_recipients, registrations);
            }
            Event::ClockSet { by } => self.clock_set(by),
            // Which beacon node it is of is not known here: what it says is tried, and nothing is built on it.
            Event::Chain(ChainEvent::Head { slot, block }) => self.new_head(slot, block),
            Event::Chain(ChainEvent::Reorg { slot, depth }) => {
                let base = slot.saturating_sub(depth);
                self.inclusion(inclusion::Event::Reorganised { base });
                self.scheduler.reorganised(self.chain.clock.epoch_of(base));
                // Each beacon node tells of it. The first answers may be of one that had not followed yet, so duties are
                // asked for once more, but only once: when the next slot begins.
                if self.reorganised.replace((slot, depth)) != Some((slot, depth)) {
                    self.resolve();
                }
            }
        }
    }

    /// What this node said under the other time is not known under the new one: for an epoch it only watches.
    fn clock_set(&mut self, by: Duration) {
        let until = self.consensus.observe_before(self.now + self.chain.clock.epoch());
        self.timers.at(self.now, Timer::Slot);
        self.note(Note::ClockSet { by, until });
    }

    fn run_timers(&mut self) {
        while let Some(timer) = self.timers.due(self.now) {
            match timer {
                Timer::Ahead => self.resolve(),
                Timer::Slot => self.begin_slot(),
                Timer::Look => self.look_at_the_chain(),
                Timer::Begin(duty) => self.begin(duty),
                Timer::Impatient(duty) => self.lose_patience(duty),
                Timer::Exchanged(duty) => self.exchanged(duty),
                Timer::End(duty) => self.end(duty),
            }
        }
        while let Some(asked) = self.calls.due(self.now) {
            let ticket = self.ticket();
            let effect = self.calls.ask_again(ticket, asked);
            self.effects.push(effect);
        }
        self.wake_consensus();
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn ask(&mut self, call: Call, purpose: Purpose, until: Until) {
        let ticket = self.ticket();
        let effect = self.calls.ask(ticket, call, purpose, until);
        self.effects.push(effect);
    }

    fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }

    fn note_step(&mut self, duty: Duty, step: Step, key: Option<Bytes48>, error: Option<String>) {
        self.note(Note::Duty { duty, step, key, share: None, error });
    }

    /// The slot of the clock; 0 before genesis.
    fn current_slot(&self) -> u64 {
        self.chain.clock.slot_at(self.now).unwrap_or(0)
    }

    /// Whether a duty is still worth something; one that is is remembered until it ends.
    fn touch(&mut self, duty: Duty) -> bool {
        let Some(deadline) = duty.deadline(&self.chain.clock) else { return true };
        if deadline <= self.now {
            return false;
        }
        if self.live.insert(duty) {
            self.timers.at(deadline, Timer::End(duty));
        }
        true
    }

    /// Whether a duty is not worth anything any more.
    fn is_over(&self, duty: Duty) -> bool {
        duty.deadline(&self.chain.clock).is_some_and(|deadline| deadline <= self.now)
    }

    /// Something came that others may wait for.
    fn wake(&mut self, awaited: &Awaited) {
        if let Some(waiters) = self.waiters.remove(awaited) {
            self.woken.extend(waiters);
        }
    }

    fn wait(&mut self, awaited: Awaited, waiter: Waiter) {
        self.waiters.entry(awaited).or_default().insert(waiter);
    }

    /// Somebody does not wait any more.
    fn forget_waiter(&mut self, waiter: Waiter) {
        self.waiters.retain(|_, waiters| {
            waiters.remove(&waiter);
            !waiters.is_empty()
        });
    }

    /// Messages of peers and clients that wait for their check.
    #[cfg(test)]
    pub(crate) fn unchecked(&self) -> usize {
        self.batches.len()
    }

    /// What a part of the node has told.
    #[cfg(test)]
    pub(crate) fn told(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// As if the group had signed the randomness of a slot.
    #[cfg(test)]
    pub(crate) fn keep_randao(
        &mut self,
        slot: u64,
        key: Bytes48,
        signature: coxswain_dv_eth::bytes::Bytes96,
    ) {
        let duty = Duty::new(slot, coxswain_dv_eth::duty::DutyType::Randao);
        let epoch = self.chain.clock.epoch_of(slot);
        let randao = coxswain_dv_eth::signed::SignedRandao { epoch, signature };
        let data = coxswain_dv_eth::signed::SignedData::Randao(randao);
        self.aggregated.keep((duty, key, 0), data);
        self.wake(&Awaited::Aggregated((duty, key, 0)));
    }

    /// As if a share had signed: the signature is good, and nobody looks whether there are enough.
    #[cfg(test)]
    pub(crate) fn keep_partial(
        &mut self,
        place: crate::aggregated::Place,
        partial: coxswain_dv_eth::signed::ParSigned,
    ) {
        self.touch(place.0);
        self.partials.add(place, partial, crate::partials::Checked::Yes);
    }

    /// As if all peers had been caught.
    #[cfg(test)]
    pub(crate) fn distrust_all(&mut self) {
        for peer in 0..self.cluster.nodes() {
            self.trust.caught(peer, self.current_slot(), &self.chain.clock);
        }
    }

    /// How many things are held for duties, peers and clients: none once all duties are over and nobody waits. What was
    /// submitted is sought on the chain for some epochs more and does not count.
    pub fn held(&self) -> usize {
        let of_duties = self.fetches.len() + self.live.len() + self.compared.len() + self.consensus.duties();
        let of_peers = self.batches.len() + self.groups.len() + self.suspects.len() + self.priority.held();
        let of_clients = self.requests.len() + self.waiters.len() + self.woken.len();
        of_duties
            + of_peers
            + of_clients
            + self.decided.held()
            + self.partials.held()
            + self.aggregated.held()
    }
}
