//! What notes come to: figures, and what became of duties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coxswain_dv_beacon::client::{Delay, Delays, Event, News};
use coxswain_dv_core::{Channel, Failure, Fate, Note, Payee, Report, Step, Tracker};
use coxswain_dv_eth::beacon::{ChainEvent, Validator};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::proposal::Form;
use coxswain_dv_eth::protect::Signer;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::machine::Stall;
use coxswain_dv_qbft::timer::TimerFlags;
use coxswain_dv_wire::protocol::{PARSIGEX, PRIORITY, QBFT};

use super::catalogue as names;
use super::registry::Registry;

/// Slots of which attestations count for their mean distance: an epoch.
const MEAN_SLOTS: usize = 32;
/// Instances of consensus that are under way and short of nodes: more than there are duties at a time.
const MAX_SHORT: usize = 1024;

/// What figures are made with.
pub(super) struct Book {
    clock: Clock,
    timers: TimerFlags,
    /// Names of nodes, in the order of the lock.
    nodes: Vec<String>,
    pub(super) registry: Registry,
    tracker: Tracker,
    delays: Delays,
    /// Instances of consensus with a round for which too few nodes gave up the one before; until they are over.
    short: BTreeSet<Duty>,
    /// Attestations that the chain has, by slot: how many, and the sum of their distances.
    distances: BTreeMap<u64, (u64, u64)>,
    /// The submission that was counted last: its validators are noted one by one.
    submitted: Option<(Duty, Time)>,
}

/// What became of a duty of all its validators.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    pub(super) duty: Duty,
    /// How many validators had it.
    pub(super) validators: usize,
    /// Those for which it failed.
    pub(super) failed: Vec<Bytes48>,
    /// Of one that failed and came furthest.
    pub(super) failure: Option<Failure>,
    /// Nodes that signed for none of them, from 0.
    pub(super) silent: Vec<usize>,
}

/// A key, short, as logs and dashboards have it.
pub(super) fn short(key: &Bytes48) -> String {
    let text = key.to_string();
    format!("{}_{}", &text[2..5], &text[94..97])
}

impl Book {
    pub(super) fn new(clock: Clock, timers: TimerFlags, nodes: Vec<String>, tracker: Tracker) -> Book {
        let (registry, delays) = (Registry::default(), Delays::default());
        let (short, distances) = (BTreeSet::new(), BTreeMap::new());
        Book { clock, timers, nodes, registry, tracker, delays, short, distances, submitted: None }
    }

    /// Duties of earlier slots are not judged.
    pub(super) fn judge_from(&mut self, slot: u64) {
        self.tracker.judge_from(slot);
    }

    /// Counts a note; says what became of duties that are over.
    pub(super) fn note(&mut self, now: Time, note: &Note) -> Vec<Outcome> {
        self.tracker.note(note);
        match note {
            Note::Duty { duty, step, key, share, error } => match error {
                None => self.step(now, *duty, *step, (*key, *share)),
                Some(_) if *step == Step::Consensus => {
                    self.registry.add(&names::CONSENSUS_ERRORS, &[QBFT.id], 1.0);
                }
                Some(_) => {}
            },
            Note::Slot { slot, skipped } => {
                self.registry.set(&names::SLOT, &[], as_number(*slot));
                self.registry.set(&names::EPOCH, &[], as_number(self.clock.epoch_of(*slot)));
                self.registry.add(&names::SKIPPED, &[], as_number(*skipped));
                return self.due(now);
            }
            Note::Resolved { active, .. } => {
                self.registry.set(&names::ACTIVE, &[], as_number(*active as u64))
            }
            Note::Decided { duty, round, leader, took } => self.decided(*duty, (*round, *leader), *took),
            Note::Undecided { duty } => {
                let labels = [QBFT.id, duty.kind.name(), self.timers.kind(duty.kind).name()];
                self.registry.add(&names::CONSENSUS_TIMEOUTS, &labels, 1.0);
                self.consensus_over(*duty, "timeout");
            }
            Note::Stalled { duty, why: Stall::RoundChanges { .. }, .. } => {
                if self.short.len() < MAX_SHORT {
                    self.short.insert(*duty);
                }
            }
            Note::Scheduled { duty, validators } => {
                self.registry.add(&names::SCHEDULED, &[duty.kind.name()], as_number(*validators as u64));
            }
            Note::Proposal { form, payee, .. } => self.proposal(*form, *payee),
            Note::Verified { duty, took } => {
                self.registry.observe(&names::VERIFICATION, &[duty.kind.name()], took.as_secs_f64());
            }
            Note::Combined { duty, took } => {
                self.registry.observe(&names::AGGREGATION, &[duty.kind.name()], took.as_secs_f64());
            }
            Note::Unexpected { share, .. } => {
                let peer = self.node((*share as usize).saturating_sub(1));
                self.registry.add(&names::UNEXPECTED, &[&peer], 1.0);
            }
            Note::Cohorts { duty, cohorts } => self.cohorts(*duty, cohorts),
            Note::Inclusion { duty, fate, .. } => self.inclusion(*duty, *fate),
            Note::Refused { from, channel, .. } => {
                let (peer, protocol) = (self.node(*from), protocol(*channel));
                self.registry.add(&names::REFUSED, &[&peer, protocol], 1.0);
            }
            Note::RefusedPreferences { from, .. } => {
                self.registry.add(&names::REFUSED, &[&self.node(*from), PRIORITY.id], 1.0);
            }
            Note::Slashable { duty, signer, .. } => self.slashable(*duty, *signer),
            Note::Distrusted { from, .. } => self.trust(*from, 1.0),
            Note::TrustedAgain { from } => self.trust(*from, 0.0),
            Note::Stalled { .. }
            | Note::Withdrawn { .. }
            | Note::Round { .. }
            | Note::TooEarly { .. }
            | Note::Agreed { .. }
            | Note::ClockSet { .. }
            | Note::SignedAhead { .. }
            | Note::Trouble { .. } => {}
        }
        Vec::new()
    }

    fn node(&self, place: usize) -> String {
        self.nodes.get(place).cloned().unwrap_or_else(|| place.to_string())
    }

    fn slashable(&mut self, duty: Duty, signer: Signer) {
        let signer = match signer {
            Signer::Share => "share",
            Signer::Group => "group",
        };
        self.registry.add(&names::SLASHABLE, &[duty.kind.name(), signer], 1.0);
    }

    fn trust(&mut self, peer: usize, is_distrusted: f64) {
        let peer = self.node(peer);
        self.registry.set(&names::DISTRUSTED, &[&peer], is_distrusted);
    }

    /// A step that was taken.
    fn step(&mut self, now: Time, duty: Duty, step: Step, (key, share): (Option<Bytes48>, Option<u32>)) {
        let kind = duty.kind.name();
        match (step, share) {
            (Step::ParSigDbLocal | Step::ParSigDbExternal, Some(share)) => {
                let late = signed(now, self.clock.start_of(duty.slot)) - expected_after(duty.kind);
                let place = share.saturating_sub(1).to_string();
                self.registry.observe(&names::PARSIG_STORE, &[kind, &place], late);
                if let (DutyType::Exit, Some(key)) = (duty.kind, key) {
                    self.registry.add(&names::PARSIG_EXITS, &[&short(&key)], 1.0);
                }
            }
            (Step::Bcast, _) if self.submitted != Some((duty, now)) => {
                self.submitted = Some((duty, now));
                self.registry.add(&names::BROADCASTS, &[kind], 1.0);
                let late = signed(now, duty.start(&self.clock));
                self.registry.observe(&names::BROADCAST_DELAY, &[kind], late);
            }
            _ => {}
        }
    }

    fn decided(&mut self, duty: Duty, (round, leader): (u64, usize), took: Duration) {
        let (kind, timer) = (duty.kind.name(), self.timers.kind(duty.kind).name());
        self.registry.set(&names::DECIDED_LEADER, &[QBFT.id, kind], as_number(leader as u64));
        let labels = [QBFT.id, kind, timer];
        self.registry.set(&names::DECIDED_ROUNDS, &labels, as_number(round));
        self.registry.observe(&names::CONSENSUS_DURATION, &labels, took.as_secs_f64());
        self.consensus_over(duty, "decided");
    }

    fn consensus_over(&mut self, duty: Duty, outcome: &str) {
        if self.short.remove(&duty) {
            let (kind, timer) = (duty.kind.name(), self.timers.kind(duty.kind).name());
            let labels = [QBFT.id, kind, timer, outcome];
            self.registry.add(&names::INSUFFICIENT_ROUND_CHANGES, &labels, 1.0);
        }
    }

    fn proposal(&mut self, form: Form, payee: Payee) {
        let form = match form {
            Form::Blinded => 1.0,
            Form::Full => 2.0,
        };
        let payee = match payee {
            Payee::Nobody => 0.0,
            Payee::Wanted => 1.0,
            Payee::Other { .. } => 2.0,
        };
        self.registry.set(&names::PROPOSAL_BLINDED, &[], form);
        self.registry.set(&names::PROPOSAL_FEE_RECIPIENT, &[], payee);
    }

    fn cohorts(&mut self, duty: Duty, cohorts: &[BTreeSet<u32>]) {
        for (rank, shares) in cohorts.iter().enumerate() {
            for share in shares {
                let (place, rank) = (share.saturating_sub(1).to_string(), rank.to_string());
                self.registry.add(&names::COHORT_RANK, &[duty.kind.name(), &place, &rank], 1.0);
            }
        }
    }

    /// What the chain has, and what it has not.
    fn inclusion(&mut self, duty: Duty, fate: Fate) {
        match fate {
            Fate::Included { distance } if duty.kind == DutyType::Attester => {
                let (count, sum) = self.distances.entry(duty.slot).or_default();
                (*count, *sum) = (*count + 1, *sum + distance);
                if self.distances.len() > MEAN_SLOTS {
                    self.distances.pop_first();
                }
                let all = self.distances.values();
                let (count, sum) = all.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
                let mean = as_number(sum) / as_number(count.max(1));
                self.registry.set(&names::INCLUSION_DELAY, &[], mean);
            }
            Fate::Missed => self.registry.add(&names::INCLUSION_MISSED, &[duty.kind.name()], 1.0),
            Fate::Included { .. } | Fate::Unknown => {}
        }
    }

    fn due(&mut self, now: Time) -> Vec<Outcome> {
        let mut by_duty: BTreeMap<Duty, Vec<Report>> = BTreeMap::new();
        for report in self.tracker.due(now) {
            by_duty.entry(report.duty).or_default().push(report);
        }
        by_duty.into_iter().map(|(duty, reports)| self.over(duty, &reports)).collect()
    }

    /// A duty is over. It counts as done if it was done for any of its validators, as charon counts; the log has the rest.
    fn over(&mut self, duty: Duty, reports: &[Report]) -> Outcome {
        let kind = duty.kind.name();
        let failed: Vec<&Report> = reports.iter().filter(|report| report.failure.is_some()).collect();
        let failure =
            failed.iter().filter_map(|report| report.failure.clone()).max_by_key(|failure| failure.step);
        let is_done = failed.len() < reports.len();
        let registry = &mut self.registry;
        registry.add(&names::EXPECTED, &[kind], 1.0);
        match &failure {
            Some(failure) if !is_done => {
                registry.add(&names::FAILED, &[kind], 1.0);
                registry.add(&names::REASONS, &[kind, failure.reason], 1.0);
            }
            _ => registry.add(&names::SUCCEEDED, &[kind], 1.0),
        }
        for report in &failed {
            let reason = report.failure.as_ref().map(|failure| failure.reason);
            if matches!(reason, Some("bug_par_sig_db_inconsistent" | "par_sig_db_inconsistent_sync")) {
                registry.add(&names::INCONSISTENT, &[kind], 1.0);
            }
        }
        if duty.kind == DutyType::Attester {
            registry.add(&names::ATTESTATIONS, &[], as_number(reports.len() as u64));
            registry.add(&names::ATTESTATIONS_DONE, &[], as_number((reports.len() - failed.len()) as u64));
        }
        // What failed before anybody's part was known has no key.
        let is_of_one = |key: &Bytes48| *key != Bytes48::default();
        Outcome {
            duty,
            validators: reports.iter().filter(|report| is_of_one(&report.key)).count(),
            failed: failed.iter().map(|report| report.key).filter(is_of_one).collect(),
            failure,
            silent: self.participation(kind, reports),
        }
    }

    /// Counts who signed; says who did not. Where nobody did, nobody is to blame.
    fn participation(&mut self, kind: &str, reports: &[Report]) -> Vec<usize> {
        let signed: Vec<&BTreeSet<u32>> =
            reports.iter().map(|report| &report.shares).filter(|shares| !shares.is_empty()).collect();
        let mut silent = Vec::new();
        if signed.is_empty() {
            return silent;
        }
        for (place, peer) in self.nodes.iter().enumerate() {
            let is_of = |shares: &&&BTreeSet<u32>| shares.iter().any(|share| *share as usize == place + 1);
            let (done, expected) = (signed.iter().filter(is_of).count(), signed.len());
            let labels = [kind, peer.as_str()];
            let registry = &mut self.registry;
            registry.set(&names::PARTICIPATION, &labels, f64::from(u8::from(done > 0)));
            for (metric, count) in [
                (&names::PARTICIPATIONS, done),
                (&names::PARTICIPATIONS_DONE, done),
                (&names::PARTICIPATIONS_MISSED, expected - done),
                (&names::PARTICIPATIONS_EXPECTED, expected),
            ] {
                registry.add(metric, &labels, as_number(count as u64));
            }
            if done == 0 {
                silent.push(place);
            }
        }
        silent
    }

    /// Counts what a beacon node told.
    pub(super) fn heard(&mut self, address: &str, event: &Event) {
        let registry = &mut self.registry;
        for delay in self.delays.of(&self.clock, event) {
            let (metric, late) = match delay {
                Delay::Head(late) => (&names::HEAD_DELAY, late),
                Delay::Gossip(late) => (&names::BLOCK_GOSSIP, late),
                Delay::Imported(late) => (&names::BLOCK, late),
                Delay::Processing(late) => (&names::BLOCK_PROCESSING, late),
            };
            registry.observe(metric, &[address], late.as_secs_f64());
        }
        match event.news {
            News::Chain(ChainEvent::Head { slot, .. }) => {
                registry.set(&names::HEAD_SLOT, &[address], as_number(slot));
            }
            News::Chain(ChainEvent::Reorg { depth, .. }) => {
                registry.observe(&names::REORG_DEPTH, &[address], as_number(depth));
            }
            News::Gossip { .. } | News::Imported { .. } | News::Connected | News::Lost(_) => {}
        }
    }

    /// Validators as the chain has them.
    pub(super) fn validators(&mut self, validators: &[Validator]) {
        let registry = &mut self.registry;
        registry.clear(&names::STATUS);
        for validator in validators {
            let key = &validator.validator.pubkey;
            let (full, short) = (key.to_string(), short(key));
            registry.set(&names::BALANCE, &[&full, &short], as_number(validator.balance));
            registry.set(&names::STATUS, &[&full, &short, &validator.status], 1.0);
        }
    }
}

/// The id of a channel's protocol.
pub(super) fn protocol(channel: Channel) -> &'static str {
    match channel {
        Channel::Qbft => QBFT.id,
        Channel::Parsigex => PARSIGEX.id,
    }
}

/// Seconds, also before.
fn signed(now: Time, from: Time) -> f64 {
    now.0.as_secs_f64() - from.0.as_secs_f64()
}

/// Seconds after the start of a slot at which partial signatures are expected; of slots of 12 s, as dashboards have it.
fn expected_after(kind: DutyType) -> f64 {
    match kind {
        DutyType::Attester => 4.0,
        DutyType::Aggregator | DutyType::SyncContribution => 8.0,
        _ => 0.0,
    }
}

/// Exact up to 2^53, which no count of a node reaches.
pub(super) fn as_number(count: u64) -> f64 {
    count as f64
}
