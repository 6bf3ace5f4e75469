//! What happens, as lines of a log for operators; what peers or a broken beacon node can repeat is not repeated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coxswain_dv_core::{Fate, Note, Payee, Step};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::protocol::PRIORITY;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Named;
use super::book::{Outcome, protocol, short};
use super::reasons;

/// After a line of a subject, how long further ones are only counted.
const PAUSE: Duration = Duration::from_secs(60);
/// Subjects that are remembered; more of them share one.
const MAX_SUBJECTS: usize = 1_024;
/// Topics that are counted, which are names of crates and of their modules.
const MAX_TOPICS: usize = 256;
/// Characters of foreign text in a line.
const MAX_TEXT: usize = 512;

/// What a line is about, where lines may come often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// A peer, and the id of a protocol.
    Refused(usize, &'static str),
    Slashable(Bytes48, Duty),
    Step(Duty, &'static str),
    /// By the first words, without what follows the first colon.
    Trouble(String),
    Others,
}

/// Writes lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// When a subject had its last line, and how many it could have had since.
    said: BTreeMap<Subject, (Time, u64)>,
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
            Some((at, more)) if now.since(*at) < PAUSE => {
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
                if let Some(left_out) = self.turn(now, Subject::Step(duty, Step::ChainInclusion.name())) {
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
                plan(note);
            }
            Note::Decided { .. } | Note::Undecided { .. } | Note::Stalled { .. } | Note::Round { .. } => {
                consensus(nodes, note);
            }
            Note::Proposal { duty, key, payee: Payee::Other { wanted, found }, .. } => {
                let validator = short(key);
                tracing::warn!(
                    %duty, validator, %wanted, %found,
                    "a beacon node made a block that pays somebody else: see its setting of the fee recipient"
                );
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
            | Note::Cohorts { .. } => signatures(nodes, note),
            Note::Inclusion { duty, key, fate } => self.inclusion(now, *duty, key, *fate),
            Note::Duty { duty, step, key, share, error } => {
                let validator = key.as_ref().map(short);
                let Some(error) = error else {
                    let step = step.name();
                    tracing::trace!(%duty, step, validator, share, "a duty took a step");
                    return;
                };
                if let Some(left_out) = self.turn(now, Subject::Step(*duty, step.name())) {
                    let (step, error) = (step.name(), cut(error));
                    tracing::warn!(%duty, step, validator, share, error, left_out, "a step of a duty failed");
                }
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
                if let Some(left_out) = self.turn(now, Subject::Slashable(*key, *duty)) {
                    let (validator, why) = (short(key), cut(why));
                    tracing::info!(validator, %duty, why, left_out, "not signed: the store knows nothing of that time");
                }
            }
            Note::ClockSet { by, until } => clock_set(*by, until.since(now)),
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
}

/// Writes what is to be done, and how.
fn plan(note: &Note) {
    match note {
        Note::Slot { slot, skipped: 0 } => tracing::debug!(slot, "a slot began"),
        Note::Slot { slot, skipped } => {
            tracing::warn!(
                slot,
                skipped,
                "slots were missed: this machine was suspended, overloaded, or its clock moved"
            );
        }
        Note::Resolved { epoch, active } => tracing::info!(epoch, active, "the duties of an epoch are known"),
        Note::Scheduled { duty, validators } => tracing::debug!(%duty, validators, "a duty begins"),
        Note::Agreed { slot, agreed } => {
            let (versions, protocols) = (agreed.versions.join(","), agreed.protocols.join(","));
            let proposals = agreed.proposals.join(",");
            let (versions, protocols, proposals) = (cut(&versions), cut(&protocols), cut(&proposals));
            tracing::info!(slot, versions, protocols, proposals, "the cluster agreed on how it works");
        }
        _ => {}
    }
}

/// Writes how consensus goes.
fn consensus(nodes: &[Named], note: &Note) {
    match note {
        Note::Decided { duty, round, leader, took } => {
            let (leader, millis) = (name(nodes, *leader), took.as_millis());
            if *round > 1 {
                tracing::info!(%duty, round, leader, millis, "the cluster agreed, but not in the first round");
            } else {
                tracing::debug!(%duty, round, leader, millis, "the cluster agreed");
            }
        }
        Note::Undecided { duty } => tracing::warn!(%duty, "the cluster did not agree in time"),
        Note::Stalled { duty, round, why } => {
            tracing::info!(%duty, round, %why, "a round of consensus ran out")
        }
        Note::Round { duty, round, why } => {
            tracing::debug!(%duty, round, ?why, "a round of consensus begins")
        }
        _ => {}
    }
}

/// Writes what becomes of partial signatures.
fn signatures(nodes: &[Named], note: &Note) {
    match note {
        Note::Verified { duty, took } => {
            tracing::trace!(%duty, millis = took.as_millis(), "partial signatures of a peer were checked");
        }
        Note::Combined { duty, took } => {
            tracing::trace!(%duty, millis = took.as_millis(), "partial signatures were put together");
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
            let text = format!("{cohorts:?}");
            tracing::info!(%duty, shares = cut(&text), "nodes voted for different heads");
        }
        _ => {}
    }
}

fn clock_set(by: Duration, watched: Duration) {
    let (millis, seconds) = (by.as_millis(), watched.as_secs());
    tracing::warn!(
        millis,
        seconds,
        "the clock of this machine was set: consensus is only watched for a while"
    );
}

/// Writes what became of a duty.
pub(super) fn outcome(nodes: &[Named], outcome: &Outcome) {
    let Outcome { duty, validators, failed, failure, silent } = outcome;
    let silent: Vec<String> = silent.iter().map(|place| name(nodes, *place)).collect();
    let silent = silent.join(",");
    let Some(failure) = failure else {
        if silent.is_empty() {
            tracing::debug!(%duty, validators, "a duty is done");
        } else {
            tracing::info!(%duty, validators, silent, "a duty is done, without signatures of some peers");
        }
        return;
    };
    let (reason_code, reason) = (failure.reason, reasons::text(failure.reason));
    let (step, error) = (failure.step.name(), failure.error.as_deref().map(cut));
    let (count, first) = (failed.len(), failed.first().map(short));
    // Dashboards of charon's users look for exactly these two words, and show `duty` and `reason`.
    tracing::warn!(
        %duty, validators, failed = count, first, reason, reason_code, step, error, silent, "Duty failed"
    );
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
