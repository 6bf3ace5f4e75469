//! From the bytes of a peer to a message that an instance takes: every check, in the order that all nodes have.

use std::sync::Arc;

use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::qbft::QbftMsg;

use super::entry::{Due, Entry, Stage};
use super::{
    Consensus, Effect, MAX_HELD_BYTES, MAX_WAITING, MAX_WAITING_DUTIES, VALUE_COST, Work, is_agreed_on,
};
use crate::gate;
use crate::machine;
use crate::message::Kind;
use crate::refusal::Refusal;
use crate::seal::{self, Envelope, Parts, SealedMessage, meant_roots, most_values};
use crate::value::{Value, Values};

/// Messages of one source and duty whose signatures are remembered: as many as an instance keeps.
const MAX_VERIFIED: usize = machine::MAX_BUFFERED;

/// What was refused, and of which duty it was where that is known.
type Refused = (Option<Duty>, Refusal);

impl Consensus {
    /// A message of a peer: refused, given to its instance, or kept until that begins.
    pub(super) fn receive(&mut self, now: Time, from: usize, bytes: &[u8], out: &mut Vec<Effect>) {
        // Peers are those of the cluster; the transport knows no others.
        if from >= self.nodes.count {
            return;
        }
        match self.take_in(now, from, bytes) {
            Ok(Some((duty, envelope))) => self.hand_over(now, duty, (from, envelope), out),
            Ok(None) => {}
            Err((duty, why)) => out.push(Effect::Refused { from, duty, why }),
        }
    }

    fn take_in(
        &mut self,
        now: Time,
        from: usize,
        bytes: &[u8],
    ) -> Result<Option<(Duty, Arc<Envelope>)>, Refused> {
        let limit = self.nodes.count.saturating_mul(2);
        let parts = seal::split(bytes, limit).map_err(|error| (None, error.into()))?;
        let read = |bytes: &[u8]| seal::read(bytes).map_err(|error| (None, error.into()));
        let message = read(&parts.message)?;
        let justification: Vec<_> =
            parts.justification.iter().map(|part| read(part)).collect::<Result<_, _>>()?;
        let (duty, checked) = seal::check(&message, self.nodes.count).map_err(|why| (None, why))?;
        let of_duty = |why: Refusal| (Some(duty), why);
        if self.is_decided(&duty) {
            let asks = checked.kind == Kind::RoundChange && checked.source != self.settings.me;
            // Only the signature: the answer does not depend on what justifies the question.
            let envelope = |message| (duty, Arc::new(Envelope { message, values: Vec::new() }));
            return if asks {
                let message = self.verified(&duty, &parts.message, (&message, checked)).map_err(of_duty)?;
                Ok(Some(envelope(message)))
            } else {
                Ok(None)
            };
        }
        let outer = self.verified(&duty, &parts.message, (&message, checked)).map_err(of_duty)?;
        gate::check(&duty, now, &self.settings.clock).map_err(of_duty)?;
        check_counts(&parts, limit).map_err(of_duty)?;
        let mut whole = SealedMessage::clone(&outer);
        whole.justification =
            self.justification(&duty, &parts.justification, &justification).map_err(of_duty)?;
        let values = self.values(&duty, &parts.values, &whole).map_err(of_duty)?;
        let deadline = self.received_deadline(now, &duty).map_err(of_duty)?;
        self.make_room(duty, from, deadline, &values).map_err(of_duty)?;
        let Some(entry) = self.entries.get_mut(&duty) else { return Ok(None) };
        for part in whole.justification.iter().chain([&outer]) {
            remember(entry, part);
        }
        Ok(Some((duty, Arc::new(Envelope { message: Arc::new(whole), values }))))
    }

    fn is_decided(&self, duty: &Duty) -> bool {
        let stage = self.entries.get(duty).map(|entry| &entry.stage);
        matches!(stage, Some(Stage::Running(running)) if running.instance.is_decided())
    }

    /// The message of these bytes once its signature is checked, which is done once for equal bytes.
    fn verified(
        &self,
        duty: &Duty,
        bytes: &[u8],
        (read, checked): (&QbftMsg, SealedMessage),
    ) -> Result<Arc<SealedMessage>, Refusal> {
        let known = self.entries.get(duty).and_then(|entry| entry.verified.get(checked.source)?.get(bytes));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        seal::verify(bytes, &read.signature, checked.source, &*self.seals)?;
        Ok(Arc::new(SealedMessage { sealed: bytes.into(), ..checked }))
    }

    fn justification(
        &self,
        duty: &Duty,
        parts: &[&[u8]],
        read: &[QbftMsg],
    ) -> Result<Vec<Arc<SealedMessage>>, Refusal> {
        let one = |(bytes, read): (&[u8], &QbftMsg)| {
            let (other, checked) = seal::check(read, self.nodes.count)?;
            let verified = self.verified(&other, bytes, (read, checked))?;
            if other == *duty { Ok(verified) } else { Err(Refusal::OtherDuty { duty: other }) }
        };
        let numbered = parts.iter().copied().zip(read).enumerate();
        numbered
            .map(|(position, part)| {
                one(part).map_err(|source| Refusal::Justification { position, source: Box::new(source) })
            })
            .collect()
    }

    /// The values that a message means; others that came along are dropped.
    fn values(
        &self,
        duty: &Duty,
        parts: &[&[u8]],
        message: &SealedMessage,
    ) -> Result<Vec<Arc<Value>>, Refusal> {
        let none = Values::default();
        let known = self.entries.get(duty).map_or(&none, |entry| &entry.values);
        let resolve = |(position, bytes): (usize, &&[u8])| {
            let value = seal::any_parts(bytes).and_then(|(type_url, value)| known.resolve(type_url, value));
            value.map_err(|source| Refusal::Value { position, source })
        };
        let came: Vec<Arc<Value>> = parts.iter().enumerate().map(resolve).collect::<Result<_, _>>()?;
        let find = |root| {
            let value = came.iter().find(|value| value.root() == root);
            value.cloned().ok_or_else(|| Refusal::MissingValue { root: hex::encode(root) })
        };
        meant_roots(message).into_iter().map(find).collect()
    }

    fn received_deadline(&self, now: Time, duty: &Duty) -> Result<Time, Refusal> {
        let not_agreed_on = Refusal::NotAgreedOn { duty_type: duty.kind };
        let deadline = duty.deadline(&self.settings.clock).filter(|_| is_agreed_on(duty.kind));
        let deadline = deadline.ok_or(not_agreed_on)?;
        if deadline <= now { Err(Refusal::Expired) } else { Ok(deadline) }
    }

    /// Keeps the values of a message, within what its peer may make this node hold.
    fn make_room(
        &mut self,
        duty: Duty,
        from: usize,
        deadline: Time,
        values: &[Arc<Value>],
    ) -> Result<(), Refusal> {
        let known = self.entries.get(&duty).map(|entry| &entry.values);
        let is_new = |value: &&Arc<Value>| known.is_none_or(|known| !known.knows(value));
        let cost = |value: &Arc<Value>| value.size().saturating_add(VALUE_COST);
        let new = values.iter().filter(is_new).map(cost).fold(0, usize::saturating_add);
        let held = self.held.get(from).copied().unwrap_or(0);
        if held.saturating_add(new) > MAX_HELD_BYTES {
            return Err(Refusal::TooManyBytes { held, limit: MAX_HELD_BYTES });
        }
        if known.is_none() {
            let waiting = self.waiting.get_mut(from).filter(|waiting| **waiting < MAX_WAITING_DUTIES);
            let waiting = waiting.ok_or(Refusal::TooManyDuties { limit: MAX_WAITING_DUTIES })?;
            *waiting = waiting.saturating_add(1);
            self.entries.insert(duty, Entry::new(self.nodes.count, from));
            self.due.insert((deadline, Due::Deadline, duty));
        }
        if let Some(entry) = self.entries.get_mut(&duty) {
            values.iter().for_each(|value| entry.values.insert(value));
            for held in [self.held.get_mut(from), entry.held.get_mut(from)].into_iter().flatten() {
                *held = held.saturating_add(new);
            }
        }
        Ok(())
    }

    /// To the instance where it runs; else the message waits, and of its peer the oldest goes where there are too many.
    fn hand_over(
        &mut self,
        now: Time,
        duty: Duty,
        (from, envelope): (usize, Arc<Envelope>),
        out: &mut Vec<Effect>,
    ) {
        let share = MAX_WAITING.checked_div(self.nodes.count).unwrap_or(0).max(1);
        match self.entries.get_mut(&duty).map(|entry| &mut entry.stage) {
            Some(Stage::Running(_)) => self.feed(now, duty, Work::Message(envelope), out),
            Some(Stage::Waiting { messages, .. }) => {
                let of_peer = || messages.iter().enumerate().filter(|(_, (peer, _))| *peer == from);
                if of_peer().any(|(_, (_, one))| one.message == envelope.message) {
                    return;
                }
                if of_peer().count() >= share
                    && let Some((oldest, _)) = of_peer().next()
                {
                    messages.remove(oldest);
                }
                messages.push_back((from, envelope));
            }
            None => {}
        }
    }
}

fn check_counts(parts: &Parts<'_>, limit: usize) -> Result<(), Refusal> {
    let count = parts.justifications;
    if count > limit {
        return Err(Refusal::Justifications { count, limit });
    }
    let (count, limit) = (parts.values_count, most_values(count));
    if count > limit { Err(Refusal::Values { count, limit }) } else { Ok(()) }
}

/// Remembers that a signature was checked.
fn remember(entry: &mut Entry, message: &Arc<SealedMessage>) {
    let Some(known) = entry.verified.get_mut(message.source) else { return };
    if known.len() < MAX_VERIFIED {
        known.entry(Arc::clone(&message.sealed)).or_insert_with(|| Arc::clone(message));
    }
}
