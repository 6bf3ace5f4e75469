//! What happens, as lines of a log for operators; what peers or a broken beacon node can repeat is not repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coxswain_dv_core::{Fate, Note, Payee, Step};
use coxswain_dv_eth::beacon::Validator;
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::protocol::PRIORITY;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Named;
use super::book::{Outcome, protocol, short};
use super::ready::{Facts, State};
use super::reasons;

/// After a line of a subject, how long further ones are only counted.
const PAUSE: Duration = Duration::from_secs(60);
/// Subjects that are remembered; more of them share one.
const MAX_SUBJECTS: usize = 1_024;
/// Topics that are counted, which are names of crates and of their modules.
const MAX_TOPICS: usize = 256;
/// Characters of foreign text in a line.
const MAX_TEXT: usize = 512;

/// What a line is about, where lines may come often. Each slot has duties of its own and a cause lasts for many slots: so
/// most are by the type of duty. Where a line says who is missing, they are part of it: a change is said at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// A peer, and the id of a protocol.
    Refused(usize, &'static str),
    Slashable(Bytes48, Duty),
    TooEarly(DutyType),
    Step(DutyType, &'static str),
    /// Nodes that did not sign.
    Silent(DutyType, Vec<usize>),
    /// What a round lacked, and of whom.
    Stalled(DutyType, String),
    /// Decisions after the first round.
    Late(DutyType),
    /// A validator that leaves, and the step.
    Exit(Bytes48, &'static str),
    Cohorts(DutyType),
    /// The validator of a block that pays somebody else.
    Payee(Bytes48),
    Skipped,
    /// An epoch, and its active validators.
    Resolved(u64, usize),
    /// By the first words, without what follows the first colon.
    Trouble(String),
    Others,
}

/// Writes lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// When a subject had its last line, and how many it could have had since.
    said: BTreeMap<Subject, (Time, u64)>,
    /// What the cluster agreed on last.
    agreed: Option<String>,
    /// Active validators, as the log has them.
    active: Option<usize>,
}

impl Lines {
    /// Whether a subject has a line now, and how many lines were left out before it.
    fn turn(&mut self, now: Time, subject: Subject) -> Option<u64> {
        let subject = if self.said.len() >= MAX_SUBJECTS && !self.said.contains_key(&subject) {
            self.said.retain(|_, (at, _)| now.since(*at) < PAUSE);
            if self.said.len() >= MAX_SUBJECTS { Subject::Others } else { subject }
        } else {
            subject
        };
        match self.said.get_mut(&subject) {
            // After a clock that was set back it is as if nothing had been said.
            Some((at, more)) if now >= *at && now.since(*at) < PAUSE => {
                *more += 1;
                None
            }
            Some((at, more)) => {
                *at = now;
                Some(std::mem::take(more))
            }
            None => {
                self.said.insert(subject, (now, 0));
                Some(0)
            }
        }
    }

    /// Writes what the chain has. Validators of a duty that is missed have one line.
    fn inclusion(&mut self, now: Time, duty: Duty, key: &Bytes48, fate: Fate) {
        let validator = short(key);
        match fate {
            Fate::Included { distance } => {
                tracing::debug!(%duty, validator, distance, "the chain has what was submitted");
            }
            Fate::Unknown => {
                tracing::debug!(%duty, validator, "beacon nodes did not tell what became of it on the chain");
            }
            Fate::Missed => {
                if let Some(left_out) = self.turn(now, Subject::Step(duty.kind, Step::ChainInclusion.name()))
                {
                    tracing::warn!(%duty, validator, left_out, "the chain does not have what was submitted");
                }
            }
        }
    }

    /// Writes that a peer's message of a protocol was refused.
    fn refused(&mut self, now: Time, nodes: &[Named], (from, protocol): (usize, &'static str), why: &str) {
        if let Some(left_out) = self.turn(now, Subject::Refused(from, protocol)) {
            let (peer, why) = (name(nodes, from), cut(why));
            tracing::warn!(peer, protocol, why, left_out, "a message of a peer was refused");
        }
    }

    /// Writes a note.
    pub(super) fn note(&mut self, now: Time, nodes: &[Named], note: &Note) {
        match note {
            Note::Slot { .. } | Note::Resolved { .. } | Note::Scheduled { .. } | Note::Agreed { .. } => {
                self.plan(now, note);
            }
            Note::Decided { .. } | Note::Undecided { .. } | Note::Stalled { .. } | Note::Round { .. } => {
                self.consensus(now, nodes, note);
            }
            Note::Proposal { duty, key, payee: Payee::Other { wanted, found }, .. } => {
                self.payee(now, (*duty, key), (wanted, found));
            }
            Note::Proposal { duty, key, form, .. } => {
                tracing::debug!(%duty, validator = short(key), ?form, "a beacon node made a block");
            }
            Note::Verified { .. }
            | Note::Combined { .. }
            | Note::Unexpected { .. }
            | Note::Withdrawn { .. }
            | Note::Distrusted { .. }
            | Note::TrustedAgain { .. }
            | Note::Cohorts { .. } => self.signatures(now, nodes, note),
            Note::Inclusion { duty, key, fate } => self.inclusion(now, *duty, key, *fate),
            Note::Duty { duty, step, key, share, error } => {
                self.step(now, (*duty, *step), (key.as_ref(), *share), error.as_deref());
            }
            Note::Refused { from, channel, why } => {
                self.refused(now, nodes, (*from, protocol(*channel)), why);
            }
            Note::RefusedPreferences { from, why } => self.refused(now, nodes, (*from, PRIORITY.id), why),
            Note::Slashable { key, duty, signer, why } => {
                if let Some(left_out) = self.turn(now, Subject::Slashable(*key, *duty)) {
                    let (validator, why) = (short(key), cut(why));
                    tracing::error!(validator, %duty, ?signer, why, left_out, "a signature was refused: it could be slashed");
                }
            }
            Note::TooEarly { key, duty, why } => {
                if let Some(left_out) = self.turn(now, Subject::TooEarly(duty.kind)) {
                    let (validator, why) = (short(key), cut(why));
                    tracing::info!(validator, %duty, why, left_out, "not signed: the store of what was signed does not allow that time");
                }
            }
            Note::ClockSet { by, until } => {
                let (millis, seconds) = (millis(*by), until.since(now).as_secs());
                tracing::warn!(
                    millis,
                    seconds,
                    "the clock of this machine was set: consensus is only watched for a while"
                );
            }
            Note::SignedAhead { by, until } => {
                let (ahead_millis, seconds) = (millis(*by), until.since(now).as_secs());
                tracing::warn!(
                    ahead_millis,
                    seconds,
                    "what was signed before is ahead of the clock of this machine: consensus is only watched up to there; \
                     compare the clock with another one"
                );
            }
            Note::Trouble { what } => {
                // Numbers change with each slot; what follows the colon may be anything.
                let head = what.split(':').next().unwrap_or_default();
                let words = head.chars().filter(|char| !char.is_ascii_digit()).take(MAX_TEXT).collect();
                if let Some(left_out) = self.turn(now, Subject::Trouble(words)) {
                    tracing::warn!(what = cut(what), left_out, "something went wrong");
                }
            }
        }
    }

    /// Writes that a duty took a step, or failed to.
    fn step(
        &mut self,
        now: Time,
        (duty, step): (Duty, Step),
        (key, share): (Option<&Bytes48>, Option<u32>),
        error: Option<&str>,
    ) {
        let (validator, name) = (key.map(short), step.name());
        match error {
            None => {
                tracing::trace!(%duty, step = name, validator, share, "a duty took a step");
                if let (DutyType::Exit, Some(key), Some(what)) = (duty.kind, key, of_exit(step))
                    && let Some(left_out) = self.turn(now, Subject::Exit(*key, name))
                {
                    tracing::info!(validator, share, left_out, "{what}");
                }
            }
            Some(error) => {
                if let Some(left_out) = self.turn(now, Subject::Step(duty.kind, name)) {
                    let error = cut(error);
                    tracing::warn!(%duty, step = name, validator, share, error, left_out, "a step of a duty failed");
                }
            }
        }
    }

    /// Writes that a block pays somebody else.
    fn payee(&mut self, now: Time, (duty, key): (Duty, &Bytes48), (wanted, found): (&Bytes20, &Bytes20)) {
        if let Some(left_out) = self.turn(now, Subject::Payee(*key)) {
            let validator = short(key);
            tracing::warn!(
                %duty, validator, %wanted, %found, left_out,
                "a beacon node made a block that pays somebody else: see its setting of the fee recipient"
            );
        }
    }

    /// Writes what is to be done, and how.
    fn plan(&mut self, now: Time, note: &Note) {
        match note {
            Note::Slot { slot, skipped: 0 } => tracing::debug!(slot, "a slot began"),
            Note::Slot { slot, skipped } => {
                if let Some(left_out) = self.turn(now, Subject::Skipped) {
                    tracing::warn!(
                        slot,
                        skipped,
                        left_out,
                        "slots were missed: this machine was suspended, overloaded, or its clock moved"
                    );
                }
            }
            // It is asked in each slot whether that has changed; what it means is said of validators, once an epoch.
            Note::Resolved { epoch, active: 0 } => {
                tracing::debug!(epoch, "no validator is active, and an epoch has no duties");
            }
            Note::Resolved { epoch, active } => {
                if let Some(left_out) = self.turn(now, Subject::Resolved(*epoch, *active)) {
                    tracing::info!(epoch, active, left_out, "the duties of an epoch are known");
                }
            }
            Note::Scheduled { duty, validators } => tracing::debug!(%duty, validators, "a duty begins"),
            Note::Agreed { slot, agreed } => {
                let (versions, protocols) = (agreed.versions.join(","), agreed.protocols.join(","));
                let proposals = agreed.proposals.join(",");
                let (versions, protocols, proposals) = (cut(&versions), cut(&protocols), cut(&proposals));
                // It does once an epoch, and comes to the same.
                let what = format!("{versions} {protocols} {proposals}");
                if self.agreed.as_ref() != Some(&what) {
                    tracing::info!(
                        slot,
                        versions,
                        protocols,
                        proposals,
                        "the cluster agreed on how it works"
                    );
                }
                self.agreed = Some(what);
            }
            _ => {}
        }
    }

    /// Writes how consensus goes.
    fn consensus(&mut self, now: Time, nodes: &[Named], note: &Note) {
        match note {
            Note::Decided { duty, round, leader, took } => {
                let (leader, millis) = (name(nodes, *leader), millis(*took));
                let turn = if *round > 1 { self.turn(now, Subject::Late(duty.kind)) } else { None };
                match turn {
                    Some(left_out) => tracing::info!(
                        %duty, round, leader, millis, left_out,
                        "the cluster agreed, but not in the first round"
                    ),
                    None => tracing::debug!(%duty, round, leader, millis, "the cluster agreed"),
                }
            }
            // The step that failed for it says more.
            Note::Undecided { duty } => tracing::debug!(%duty, "the cluster did not agree in time"),
            Note::Stalled { duty, round, why } => {
                let why = why.to_string();
                match self.turn(now, Subject::Stalled(duty.kind, why.clone())) {
                    Some(left_out) => {
                        tracing::info!(%duty, round, why, left_out, "a round of consensus ran out");
                    }
                    None => tracing::debug!(%duty, round, why, "a round of consensus ran out"),
                }
            }
            Note::Round { duty, round, why } => {
                tracing::debug!(%duty, round, ?why, "a round of consensus begins")
            }
            _ => {}
        }
    }

    /// Writes what becomes of partial signatures.
    fn signatures(&mut self, now: Time, nodes: &[Named], note: &Note) {
        match note {
            Note::Verified { duty, took } => {
                tracing::trace!(%duty, millis = millis(*took), "partial signatures of a peer were checked");
            }
            Note::Combined { duty, took } => {
                tracing::trace!(%duty, millis = millis(*took), "partial signatures were put together");
            }
            Note::Unexpected { duty, key, share } => {
                let (peer, validator) = (name(nodes, (*share as usize).saturating_sub(1)), short(key));
                tracing::debug!(%duty, validator, peer, "a signature of a validator that does not have the duty");
            }
            Note::Withdrawn { duty, key, share } => {
                let (peer, validator) = (name(nodes, (*share as usize).saturating_sub(1)), short(key));
                tracing::debug!(%duty, validator, peer, "a signature of a peer is not good");
            }
            // A peer can have these come once an epoch at most, and ever more seldom.
            Note::Distrusted { from, until } => {
                let peer = name(nodes, *from);
                tracing::warn!(
                    peer,
                    until,
                    "a peer sent a bad signature: until that slot each of its signatures is checked"
                );
            }
            Note::TrustedAgain { from } => {
                tracing::info!(peer = name(nodes, *from), "a peer that sent bad signatures is trusted again");
            }
            Note::Cohorts { duty, cohorts } if cohorts.len() > 1 => {
                if let Some(left_out) = self.turn(now, Subject::Cohorts(duty.kind)) {
                    let text = format!("{cohorts:?}");
                    tracing::info!(%duty, shares = cut(&text), left_out, "nodes voted for different heads");
                }
            }
            _ => {}
        }
    }

    /// Writes what became of a duty. Each that failed has a line: dashboards count them.
    pub(super) fn outcome(&mut self, now: Time, nodes: &[Named], outcome: &Outcome) {
        let Outcome { duty, validators, failed, failure, silent: places } = outcome;
        let silent: Vec<String> = places.iter().map(|place| name(nodes, *place)).collect();
        let silent = (!silent.is_empty()).then(|| silent.join(","));
        if let Some(failure) = failure {
            let (reason_code, reason) = (failure.reason, reasons::text(failure.reason));
            let (step, error) = (failure.step.name(), failure.error.as_deref().map(cut));
            let (count, first) = (known(failed.len()), failed.first().map(short));
            let validators = known(*validators);
            // Dashboards of charon's users look for exactly these two words, and show `duty` and `reason`.
            tracing::warn!(
                %duty, validators, failed = count, first, reason, reason_code, step, error, silent, "Duty failed"
            );
            return;
        }
        let turn = silent.as_ref().and_then(|_| self.turn(now, Subject::Silent(duty.kind, places.clone())));
        match turn {
            Some(left_out) => tracing::info!(
                %duty, validators, silent, left_out,
                "a duty is done, without signatures of some peers"
            ),
            None => tracing::debug!(%duty, validators, silent, "a duty is done"),
        }
    }

    /// Writes how many validators of the cluster are active: each time where none is, as nothing is done then; otherwise
    /// where that has changed.
    pub(super) fn validators(&mut self, ours: &[Bytes48], found: &[Validator]) {
        let ours: BTreeSet<&Bytes48> = ours.iter().collect();
        // A beacon node may tell of others.
        let found = found.iter().filter(|one| ours.contains(&one.validator.pubkey));
        let (mut statuses, mut active): (BTreeMap<&str, usize>, usize) = (BTreeMap::new(), 0);
        for validator in found {
            *statuses.entry(validator.status.as_str()).or_default() += 1;
            active += usize::from(validator.status.starts_with("active"));
        }
        let all = ours.len();
        let unknown = known(all.saturating_sub(statuses.values().sum()));
        let statuses: Vec<String> =
            statuses.into_iter().map(|(status, count)| format!("{status} {count}")).collect();
        let statuses = statuses.join(", ");
        let statuses = (!statuses.is_empty()).then(|| cut(&statuses));
        let before = self.active.replace(active);
        if active == 0 && all > 0 {
            tracing::warn!(statuses, unknown, "0 of {all} validators are active: this node has no duties");
        } else if before != Some(active) {
            tracing::info!(statuses, unknown, "{active} of {all} validators are active");
        }
    }
}

/// Writes that the node has become ready, or is not any more.
pub(super) fn readiness((before, now): (State, State), facts: &Facts, beacons: &[String]) {
    let why = now.text();
    let (beacons, error) = match now {
        State::BeaconDown | State::BeaconSyncing | State::BeaconAlone | State::BeaconBehind => {
            (Some(beacons.join(",")), facts.syncing.as_ref().err().map(|error| cut(error)))
        }
        State::Uninitialised
        | State::Ready
        | State::PeersMissing
        | State::ClientMissing
        | State::ClockSet => (None, None),
    };
    match (before, now) {
        (_, State::Ready) => tracing::info!("this node is ready"),
        // Peers and clients come one after the other.
        (State::Uninitialised, _) => tracing::info!(why, beacons, error, "this node is not ready yet"),
        (_, _) => tracing::warn!(why, beacons, error, "this node is not ready"),
    }
}

/// A count, where it says anything.
fn known(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

/// Whole milliseconds, as a number: some formats write what is larger as text.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a node.
pub(super) fn name(nodes: &[Named], place: usize) -> String {
    nodes.get(place).map_or_else(|| format!("node {place}"), |node| node.name.clone())
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Counts warnings and errors of the log; a layer of `tracing`, and the same again as a handle.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Behind a lock: any thread may write a line.
    topics: Arc<Mutex<BTreeMap<(Level, &'static str), u64>>>,
}

impl Counts {
    /// Warnings and errors by topic.
    pub(super) fn seen(&self) -> BTreeMap<(Level, &'static str), u64> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = (level, topic(event.metadata().target()));
        if topics.len() < MAX_TOPICS || topics.contains_key(&topic) {
            *topics.entry(topic).or_default() += 1;
        }
    }
}

/// The crate, without what all of ours begin with.
fn topic(target: &'static str) -> &'static str {
    let first = target.split("::").next().unwrap_or(target);
    first.strip_prefix("coxswain_").unwrap_or(first)
}

/// What is said of an exit: nothing takes one back.
fn of_exit(step: Step) -> Option<&'static str> {
    match step {
        Step::ParSigDbLocal => Some("this node's share has signed that a validator leaves"),
        Step::ParSigDbExternal => Some("the share of a peer has signed that a validator leaves"),
        Step::Bcast => {
            Some("enough shares have signed that a validator leaves: it was sent to the beacon nodes")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_wire::protocol::QBFT;

    use super::*;

    #[test]
    fn a_subject_has_one_line_a_minute() {
        let mut lines = Lines::default();
        let subject = || Subject::Refused(1, QBFT.id);
        let mut turn = |seconds| lines.turn(Time::from_secs(seconds), subject());
        assert_eq!(turn(0), Some(0));
        assert_eq!([turn(1), turn(30), turn(59)], [None; 3]);
        assert_eq!(turn(60), Some(3), "three were left out");
        assert_eq!(turn(61), None);
        let other = Subject::Refused(1, PRIORITY.id);
        assert_eq!(lines.turn(Time::from_secs(61), other), Some(0));
    }

    #[test]
    fn subjects_are_limited_and_the_rest_shares_one() {
        let mut lines = Lines::default();
        let subject = |at| Subject::Trouble(format!("{at}"));
        for at in 0..MAX_SUBJECTS {
            assert_eq!(lines.turn(Time::from_secs(1), subject(at)), Some(0));
        }
        assert_eq!(lines.turn(Time::from_secs(2), subject(5000)), Some(0));
        assert_eq!(lines.turn(Time::from_secs(2), subject(5001)), None);
        assert_eq!(lines.said.len(), MAX_SUBJECTS + 1);
        // Old ones make room.
        assert_eq!(lines.turn(Time::from_secs(100), subject(6000)), Some(0));
        assert_eq!(lines.said.len(), 1);
    }

    #[test]
    fn topics_are_crates() {
        assert_eq!(topic("coxswain_dv_net::run::post"), "dv_net");
        assert_eq!(topic("coxswain::cli"), "coxswain");
        assert_eq!(topic("hyper::proto"), "hyper");
    }

    #[test]
    fn foreign_text_is_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(600)).chars().count(), MAX_TEXT);
    }
}
