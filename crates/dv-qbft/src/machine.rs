//! One instance of QBFT: from a node's value and the messages of all to a decision.
//!
//! ```text
//!           ┌───────────────── round r ─────────────────┐
//! Input ──→ │ PRE-PREPARE → Compare → PREPARE → COMMIT  │ ──→ Decide
//!           └──────── Timer, or F+1 ROUND-CHANGE ───────┘ ──→ round r + 1, ROUND-CHANGE
//! ```
//!
//! Moniz, *The Istanbul BFT Consensus Algorithm* (2020), with the rules that charon adds: decisions travel (DECIDED), a
//! node joins rounds that others are ahead in, and the leader's value may be compared with the node's own before it is
//! prepared.
//!
//! The caller signs drafts, gives every own message back as an event, runs the timer and answers comparisons. It checks
//! signatures before messages get here. Nothing waits: a comparison without an answer only costs the vote.
//!
//! # What must never happen
//!
//! - Two honest nodes decide different values while at most F nodes lie.
//! - A node prepares two values in one round, or prepares one that its caller refused.
//! - An observer sends.
//! - A node fills what is kept of another node's messages.

mod event;
mod justify;
mod search;
mod stall;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use coxswain_dv_types::Root;

use crate::message::{Draft, Kind, Message};
pub use event::{Config, Effect, Event, Mode, RoundReason, Verdict};
pub use justify::Unjustified;
pub use stall::Stall;

/// Messages kept of one source, newest first to stay. An honest node sends at most four a round.
pub const MAX_BUFFERED: usize = 100;
/// Answers to one source that asks after the decision: rounds grow, and each costs a message to all.
pub const MAX_RESENDS: u32 = 16;
/// Where every instance begins.
const FIRST_ROUND: u64 = 1;

/// A rule that a message makes fire, at most once for each round of such messages until the round changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Decided,
    PrePrepare,
    Prepares,
    Commits,
    RoundChanges,
}

#[derive(Debug, Clone)]
struct Prepared<S> {
    round: u64,
    value: Root,
    justification: Vec<Arc<Message<S>>>,
}

/// Answers that one source got after the decision.
#[derive(Debug, Clone, Copy, Default)]
struct Resent {
    round: u64,
    count: u32,
}

#[derive(Debug, Clone)]
struct Decision<S> {
    value: Root,
    proof: Vec<Arc<Message<S>>>,
    resent: Vec<Resent>,
}

#[derive(Debug, Clone)]
enum Stage<S> {
    New,
    Running,
    Decided(Decision<S>),
    Failed,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance<S> {
    config: Config,
    stage: Stage<S>,
    round: u64,
    input: Option<Root>,
    /// What justifies the proposal that waits for the input.
    proposal: Option<Vec<Arc<Message<S>>>>,
    prepared: Option<Prepared<S>>,
    /// The last round whose value differed from ours; 0 for none.
    differed: u64,
    /// The value of this round's leader, while it is compared.
    comparing: Option<Root>,
    buffers: Vec<VecDeque<Arc<Message<S>>>>,
    fired: BTreeSet<(Rule, u64)>,
    ticket: u64,
}

impl<S> Instance<S> {
    /// An instance that has not begun.
    #[must_use]
    pub fn new(config: Config) -> Instance<S> {
        Instance {
            stage: Stage::New,
            round: FIRST_ROUND,
            input: None,
            proposal: None,
            prepared: None,
            differed: 0,
            comparing: None,
            buffers: (0..config.nodes.count).map(|_| VecDeque::new()).collect(),
            fired: BTreeSet::new(),
            ticket: 0,
            config,
        }
    }

    /// The round that it is in.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Whether it has decided.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        matches!(self.stage, Stage::Decided(_))
    }

    /// Nodes of whom there was a justified message, until the decision.
    pub fn heard(&self) -> impl Iterator<Item = usize> {
        self.buffers.iter().enumerate().filter(|(_, kept)| !kept.is_empty()).map(|(source, _)| source)
    }

    /// From now on it sends nothing.
    pub fn observe(&mut self) {
        self.config.mode = Mode::Observer;
    }

    /// What follows from an event, in this order.
    pub fn step(&mut self, event: Event<S>) -> Vec<Effect<S>> {
        let mut effects = Vec::new();
        let out = &mut effects;
        match (&self.stage, event) {
            (Stage::New, Event::Start) => self.start(out),
            (Stage::New, Event::Input(value)) | (Stage::Running, Event::Input(value)) => {
                self.take_input(value, out);
            }
            (Stage::Running, Event::Message(message)) => self.take_message(&message, out),
            (Stage::Running, Event::Timer(ticket)) if ticket == self.ticket => self.time_out(out),
            (Stage::Running, Event::Compared { round, verdict }) => self.take_verdict(round, verdict, out),
            (Stage::Decided(_), Event::Message(message)) => self.answer(&message, out),
            _ => {}
        }
        effects
    }

    // ------------------------------------------------------------------------------------------------- events

    fn start(&mut self, out: &mut Vec<Effect<S>>) {
        self.stage = Stage::Running;
        if self.leads(self.round) {
            self.propose_input(Vec::new(), out);
        }
        self.set_timer(out);
    }

    fn take_input(&mut self, value: Root, out: &mut Vec<Effect<S>>) {
        if self.input.is_some() {
            return;
        }
        if value == Root::default() {
            self.stage = Stage::Failed;
            out.extend([Effect::StopTimer, Effect::EmptyInput]);
            return;
        }
        self.input = Some(value);
        if let Some(justification) = self.proposal.take() {
            self.broadcast(Kind::PrePrepare, Some(value), justification, out);
        }
    }

    fn time_out(&mut self, out: &mut Vec<Effect<S>>) {
        out.push(Effect::Stalled { round: self.round, why: self.stall() });
        self.move_to(self.round.saturating_add(1), RoundReason::Timeout, out);
        self.set_timer(out);
        self.broadcast_round_change(out);
    }

    fn take_verdict(&mut self, round: u64, verdict: Verdict, out: &mut Vec<Effect<S>>) {
        if round != self.round {
            return;
        }
        let Some(value) = self.comparing.take() else { return };
        match verdict {
            Verdict::Accepted => self.broadcast(Kind::Prepare, Some(value), Vec::new(), out),
            Verdict::Differs => self.differed = round,
            Verdict::Invalid => {}
        }
    }

    /// After the decision: a node that is behind gets the proof.
    fn answer(&mut self, message: &Message<S>, out: &mut Vec<Effect<S>>) {
        let Stage::Decided(decision) = &mut self.stage else { return };
        if message.kind != Kind::RoundChange || message.source == self.config.me {
            return;
        }
        let Some(resent) = decision.resent.get_mut(message.source) else { return };
        if message.round <= resent.round || resent.count >= MAX_RESENDS {
            return;
        }
        *resent = Resent { round: message.round, count: resent.count.saturating_add(1) };
        let (value, proof) = (decision.value, decision.proof.clone());
        self.broadcast(Kind::Decided, Some(value), proof, out);
    }

    fn take_message(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        if let Err(why) = self.justified(message) {
            out.push(Effect::Unjustified { source: message.source, why });
            return;
        }
        self.keep(message);
        match message.kind {
            Kind::Decided => self.on_decided(message, out),
            Kind::PrePrepare => self.on_pre_prepare(message, out),
            Kind::Prepare => self.on_prepare(message, out),
            Kind::Commit => self.on_commit(message, out),
            Kind::RoundChange => self.on_round_change(message, out),
        }
    }

    /// Keeps a message of its source, unless the source has said the same before.
    fn keep(&mut self, message: &Arc<Message<S>>) {
        let Some(kept) = self.buffers.get_mut(message.source) else { return };
        if kept.iter().any(|one| one.says_the_same(message)) {
            return;
        }
        if kept.len() >= MAX_BUFFERED {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(message));
    }

    // -------------------------------------------------------------------------------------------------- rules

    fn on_decided(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        let Some(value) = message.value else { return };
        if self.fires(Rule::Decided, message.round) {
            self.decide((message.round, value), message.justification.clone(), out);
        }
    }

    fn on_pre_prepare(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        let Some(value) = message.value else { return };
        if message.round < self.round || !self.fires(Rule::PrePrepare, message.round) {
            return;
        }
        self.move_to(message.round, RoundReason::PrePrepare, out);
        // Moving forgot it, and a second proposal of this leader must find it.
        self.fired.insert((Rule::PrePrepare, message.round));
        self.set_timer(out);
        self.comparing = Some(value);
        out.push(Effect::Compare { round: self.round, value });
    }

    fn on_prepare(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        let Some(value) = message.value else { return };
        if message.round != self.round {
            return;
        }
        let prepares = self.votes(Kind::Prepare, message.round, value);
        if prepares.len() < self.config.nodes.quorum() || !self.fires(Rule::Prepares, message.round) {
            return;
        }
        self.prepared = Some(Prepared { round: message.round, value, justification: prepares });
        self.broadcast(Kind::Commit, Some(value), Vec::new(), out);
    }

    fn on_commit(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        let Some(value) = message.value else { return };
        if message.round != self.round {
            return;
        }
        let commits = self.votes(Kind::Commit, message.round, value);
        if commits.len() >= self.config.nodes.quorum() && self.fires(Rule::Commits, message.round) {
            self.decide((message.round, value), commits, out);
        }
    }

    fn on_round_change(&mut self, message: &Arc<Message<S>>, out: &mut Vec<Effect<S>>) {
        if message.round > self.round {
            let Some(round) = self.round_ahead() else { return };
            self.move_to(round, RoundReason::RoundChanges, out);
            self.set_timer(out);
            self.broadcast_round_change(out);
            return;
        }
        if message.round < self.round || !self.leads(self.round) {
            return;
        }
        let Some(justified) = self.justified_round_changes(self.round) else { return };
        if !self.fires(Rule::RoundChanges, message.round) {
            return;
        }
        match justified.prepared {
            Some((round, value)) if round != self.differed => {
                self.broadcast(Kind::PrePrepare, Some(value), justified.messages, out);
            }
            _ => self.propose_input(justified.messages, out),
        }
    }

    /// Whether this rule is new for this round; it is not after this.
    fn fires(&mut self, rule: Rule, round: u64) -> bool {
        self.fired.insert((rule, round))
    }

    // ------------------------------------------------------------------------------------------------- effects

    fn leads(&self, round: u64) -> bool {
        self.config.nodes.leader(self.config.offset, round) == self.config.me
    }

    fn move_to(&mut self, round: u64, why: RoundReason, out: &mut Vec<Effect<S>>) {
        if round == self.round {
            return;
        }
        self.round = round;
        self.fired.clear();
        self.proposal = None;
        self.comparing = None;
        out.push(Effect::Round { round, why });
    }

    fn set_timer(&mut self, out: &mut Vec<Effect<S>>) {
        self.ticket = self.ticket.wrapping_add(1);
        out.push(Effect::SetTimer { round: self.round, ticket: self.ticket });
    }

    fn decide(&mut self, (round, value): (u64, Root), proof: Vec<Arc<Message<S>>>, out: &mut Vec<Effect<S>>) {
        self.move_to(round, RoundReason::Decided, out);
        self.comparing = None;
        self.prepared = None;
        // Nobody looks for them any more; who was heard stays known.
        for kept in &mut self.buffers {
            kept.truncate(1);
        }
        let resent = vec![Resent::default(); self.config.nodes.count];
        // What a DECIDED brought along besides does not go on: charon up to v1.10 takes the value of the first commit.
        let is_commit =
            |one: &&Arc<Message<S>>| (one.kind, one.round, one.value) == (Kind::Commit, round, Some(value));
        let commits = proof.iter().filter(is_commit).map(Arc::clone).collect();
        self.stage = Stage::Decided(Decision { value, proof: commits, resent });
        out.extend([Effect::StopTimer, Effect::Decide { value, round, proof }]);
    }

    fn propose_input(&mut self, justification: Vec<Arc<Message<S>>>, out: &mut Vec<Effect<S>>) {
        match self.input {
            Some(value) => self.broadcast(Kind::PrePrepare, Some(value), justification, out),
            None => self.proposal = Some(justification),
        }
    }

    fn broadcast_round_change(&self, out: &mut Vec<Effect<S>>) {
        let prepared = self.prepared.as_ref();
        self.send(
            Draft {
                kind: Kind::RoundChange,
                round: self.round,
                value: None,
                prepared_round: prepared.map_or(0, |prepared| prepared.round),
                prepared_value: prepared.map(|prepared| prepared.value),
                justification: prepared.map(|prepared| prepared.justification.clone()).unwrap_or_default(),
            },
            out,
        );
    }

    fn broadcast(
        &self,
        kind: Kind,
        value: Option<Root>,
        justification: Vec<Arc<Message<S>>>,
        out: &mut Vec<Effect<S>>,
    ) {
        let round = self.round;
        self.send(Draft { kind, round, value, prepared_round: 0, prepared_value: None, justification }, out);
    }

    fn send(&self, draft: Draft<S>, out: &mut Vec<Effect<S>>) {
        match self.config.mode {
            Mode::Active => out.push(Effect::Broadcast(draft)),
            Mode::Observer => {}
        }
    }
}
