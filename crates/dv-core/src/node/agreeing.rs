//! Consensus: what goes in from duties and peers, and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::protect::Newest;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_eth::unsigned::Unsigned;
use coxswain_dv_eth::validity::{self, Standing};
use coxswain_dv_qbft::consensus::{self, Consensus, Decision, Effect, Event};
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::seals::Seals;
use coxswain_dv_qbft::timer::Profile;
use coxswain_dv_qbft::value::Value;
use coxswain_dv_types::causes::in_full;
use coxswain_dv_wire::message;
use coxswain_dv_wire::protocol::QBFT;
use coxswain_dv_wire::unsigned::UnsignedDataSet;
use coxswain_dv_wire::well_known::Any;

use super::Node;
use crate::cluster::Cluster;
use crate::event::{self, Channel, Note, Step};
use crate::features::Features;
use crate::scheduler::Definition;

/// Values of a duty by validator.
type Set = BTreeMap<Bytes48, Unsigned>;

/// Consensus of a node that starts now: what it said before it stopped is not known, so it only watches what has begun.
pub(super) fn begin(
    cluster: &Cluster,
    chain: &Chain,
    (peers, key): (Vec<IdentityPublic>, IdentityKey),
    boot: Time,
    (seals, features): (Arc<dyn Seals>, &Features),
) -> Consensus {
    let settings = consensus::Settings {
        me: cluster.me(),
        peers,
        key,
        clock: chain.clock,
        flags: features.timers,
        profile: Profile::EveryRound,
        participation: features.participation,
        observe_before: boot + chain.clock.slot,
    };
    Consensus::sealed_by(settings, seals)
}

/// Until when duties may be such as an earlier process with this key has spoken for: what it has signed is ahead of the
/// clock, so its clock was. None where nothing is. Of a vote only the epoch is known.
pub(super) fn spoken_until(clock: &Clock, now: Time, newest: &Newest) -> Option<Time> {
    let slot = clock.slot_at(now);
    let epoch = slot.map(|slot| clock.epoch_of(slot));
    let after_block = newest.slot.filter(|one| Some(*one) > slot).map(|one| one.saturating_add(1));
    let after_vote = newest.target.filter(|one| Some(*one) > epoch);
    let after_vote = after_vote.map(|one| clock.first_of(one.saturating_add(1)));
    after_block.max(after_vote).map(|slot| clock.start_of(slot))
}

/// Why a value is none of a duty.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error(transparent)]
    Wire(#[from] message::WireError),
    #[error("{text:?} is no key of the cluster")]
    Key { text: String },
    #[error("{key}: {why}")]
    Payload { key: Bytes48, why: String },
    #[error(transparent)]
    Invalid(#[from] validity::Invalid),
    #[error("{key}: a made-up block, and its proposal is none that is made up")]
    MadeUp { key: Bytes48 },
    #[error("{key}: an aggregate of committee {found}, and the validator is in committee {expected}")]
    Committee { key: Bytes48, found: u64, expected: u64 },
}

impl Node {
    pub(super) fn wake_consensus(&mut self) {
        if self.consensus.next_wake().is_some_and(|at| at <= self.now) {
            self.consensus(Event::Wake);
        }
    }

    pub(super) fn participate(&mut self, duty: Duty) {
        self.consensus(Event::Participate { duty });
    }

    /// The cluster is to agree on this.
    pub(super) fn propose(&mut self, duty: Duty, set: &Set) {
        let form = self.agreed.contribution_form(duty.slot);
        let values = set.iter().map(|(key, value)| (key.to_string(), value.encode(form))).collect();
        self.propose_value(duty, UnsignedDataSet::pack(&values));
    }

    pub(super) fn propose_value(&mut self, duty: Duty, value: Any) {
        self.consensus(Event::Propose { duty, value });
    }

    pub(super) fn receive_consensus(&mut self, from: usize, bytes: Vec<u8>) {
        self.consensus(Event::Received { from, bytes });
    }

    pub(super) fn consensus(&mut self, event: Event) {
        for effect in self.consensus.step(self.now, event) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, duty, message } => {
                let channel = Channel::Qbft;
                self.effects.push(event::Effect::Send { to, channel, duty, bytes: message });
            }
            Effect::Check { duty, round, leader, value } => {
                let verdict = match self.check_value(duty, &value) {
                    Ok(None) => Some(Verdict::Accepted),
                    Ok(Some(set)) => self.compare(duty, round, set),
                    Err(error) => {
                        let why = format!("{duty}, round {round}: its value: {}", in_full(&error));
                        self.note(Note::Refused { from: leader, channel: Channel::Qbft, why });
                        Some(Verdict::Invalid)
                    }
                };
                if let Some(verdict) = verdict {
                    self.consensus(Event::Checked { duty, round, verdict });
                }
            }
            Effect::Decided(decision) => self.decided(&decision),
            Effect::TimedOut { duty, round, heard, .. } => {
                let error = format!("no decision in time; round {round}, messages of nodes {heard:?}");
                self.note_step(duty, Step::Consensus, None, Some(error));
                self.note(Note::Undecided { duty });
            }
            Effect::Refused { from, why, .. } => {
                self.note(Note::Refused { from, channel: Channel::Qbft, why: in_full(&why) });
            }
            Effect::NotStarted { duty, why } => {
                // A duty is begun early and then proposed: both are told, and one of them may come too late.
                if !matches!(why, consensus::StartError::Twice | consensus::StartError::Expired) {
                    self.note_step(duty, Step::Consensus, None, Some(in_full(&why)));
                }
            }
            Effect::Failed { duty, why } => {
                self.note_step(duty, Step::Consensus, None, Some(why.to_string()));
            }
            Effect::Round { duty, round, why } => self.note(Note::Round { duty, round, why }),
            Effect::Stalled { duty, round, why } => self.note(Note::Stalled { duty, round, why }),
            Effect::Recorded(record) => self.effects.push(event::Effect::Record(record)),
        }
    }

    /// What a value is by validator; none where it is of the cluster.
    fn check_value(&self, duty: Duty, value: &Value) -> Result<Option<Set>, ValueError> {
        if duty.kind == DutyType::InfoSync {
            return Ok(None);
        }
        let set = self.read_value(duty, value.any())?;
        let standing = |key: &Bytes48| match (self.cluster.by_key(key), self.scheduler.validator(key)) {
            (None, _) => Standing::Stranger,
            (Some(_), Some(validator)) => Standing::Validator(validator.index),
            (Some(_), None) => Standing::Member,
        };
        validity::check(&duty, &set, &self.chain.clock, standing)?;
        self.check_committees(duty, &set)?;
        match set.iter().find(|(key, value)| self.replaces_a_block(duty, key, value)) {
            Some((key, _)) => Err(ValueError::MadeUp { key: *key }),
            None => Ok(Some(set)),
        }
    }

    /// An aggregate of another committee than the validator's is of no use to its client, which would go without. A leader
    /// on another branch may see another committee: then another leader's turn comes.
    pub(crate) fn check_committees(&self, duty: Duty, set: &Set) -> Result<(), ValueError> {
        let Some(definitions) = self.scheduler.definitions(duty) else { return Ok(()) };
        for (key, value) in set {
            let Unsigned::Aggregator { attestation, .. } = value else { continue };
            let Some(Definition::Attester(known)) = definitions.get(key) else { continue };
            let (found, expected) = (attestation.committee_index(), known.committee_index);
            if found != expected {
                return Err(ValueError::Committee { key: *key, found, expected });
            }
        }
        Ok(())
    }

    fn read_value(&self, duty: Duty, any: &Any) -> Result<Set, ValueError> {
        let set: UnsignedDataSet = any.unpack(QBFT.max_bytes)?;
        let entries: BTreeMap<String, Vec<u8>> = set.into();
        let mut values = BTreeMap::new();
        for (text, bytes) in entries {
            let key: Bytes48 =
                text.parse().map_err(|_| ValueError::Key { text: text.chars().take(100).collect() })?;
            let value = Unsigned::decode(duty.kind, &bytes)
                .map_err(|error| ValueError::Payload { key, why: error.to_string() })?;
            values.insert(key, value);
        }
        Ok(values)
    }

    fn decided(&mut self, decision: &Decision) {
        let Decision { duty, value, round, leader, started_at, decided_at } = decision;
        let (duty, took) = (*duty, decided_at.since(*started_at));
        if !self.touch(duty) {
            return;
        }
        self.note(Note::Decided { duty, round: *round, leader: *leader, took });
        if duty.kind == DutyType::InfoSync {
            self.note_step(duty, Step::Consensus, None, None);
            self.take_agreement(duty, value.any());
            return;
        }
        match self.read_value(duty, value.any()) {
            Ok(set) => {
                let keys: BTreeSet<Bytes48> = set.keys().copied().collect();
                for key in keys {
                    self.note_step(duty, Step::Consensus, Some(key), None);
                }
                self.decide(duty, &set);
            }
            Err(error) => {
                let error = Some(format!("what was decided cannot be read: {error}"));
                self.note_step(duty, Step::DutyDb, None, error);
            }
        }
    }
}
