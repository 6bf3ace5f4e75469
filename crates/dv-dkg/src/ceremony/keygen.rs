//! The keys: by FROST, or by Pedersen where the definition says so.
//!
//! FROST takes events where they come in and gives jobs for its heavy work. A step of Pedersen is heavy as a whole, so the
//! machine itself goes into a job with its event and comes back with the effects; what comes meanwhile waits.

use std::collections::VecDeque;
use std::time::Duration;

use coxswain_dv_types::Root;
use coxswain_dv_wire::broadcast::{FROST_ROUND1, FROST_ROUND2, PEDERSEN_KEYS};
use coxswain_dv_wire::message;
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDealBundle, PedersenJustificationBundle, PedersenResponseBundle,
    ValidatorPubKeyShareMessage,
};
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::well_known::Any;

use super::job::Work;
use super::waiting::Source;
use super::{Ceremony, Effect, Failure, Job, Progress, Stage, Tag};
use crate::frost::{self, Frost, Round1};
use crate::frost_messages as messages;
use crate::pedersen::run::Phase;
use crate::pedersen::{self, AnyBundle, NodeKey, Pedersen, Wait};

/// A phase of Pedersen has so much of the limit of a step.
const PHASES: u32 = 6;

/// One node's part of making keys.
#[derive(Debug)]
pub(super) enum Keygen {
    /// Being dealt; what came before is kept.
    Dealing { early: Vec<frost::Event> },
    /// Dealt; the first round waits for the ceremony to begin.
    Frost { machine: Box<Frost>, round1: Option<Round1> },
    /// Of Pedersen.
    Pedersen(Box<PedersenPart>),
    /// The keys are made, or the ceremony is over.
    Over,
}

/// Pedersen, and what it waits for.
#[derive(Debug, Default)]
pub(super) struct PedersenPart {
    /// None while a job has it, and before the ceremony begins.
    machine: Option<Box<Pedersen>>,
    waiting: VecDeque<(Option<Source>, pedersen::Event)>,
    /// When what is over.
    waits: Vec<(Duration, Wait)>,
    /// Numbers of messages.
    sent: u64,
}

impl Keygen {
    pub(super) fn frost() -> Self {
        Keygen::Dealing { early: Vec::new() }
    }

    pub(super) fn pedersen() -> Self {
        Keygen::Pedersen(Box::default())
    }

    /// When a wait ends.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Keygen::Pedersen(part) => part.waits.iter().map(|(at, _)| *at).min(),
            Keygen::Dealing { .. } | Keygen::Frost { .. } | Keygen::Over => None,
        }
    }
}

/// After how many sixths of the limit a phase ends.
fn ends_after(phase: Phase) -> u32 {
    match phase {
        Phase::Deals => 1,
        Phase::Responses => 2,
        Phase::Justifications | Phase::Over => 3,
    }
}

/// A machine that a job brings back.
pub(super) type Stepped = (Box<Pedersen>, Vec<pedersen::Effect>);

impl Ceremony {
    /// The step of the keys begins.
    pub(super) fn deal(&mut self) {
        if let Keygen::Pedersen(_) = &self.keygen {
            let session: Root = self.definition.definition_hash.as_ref().try_into().unwrap_or_default();
            self.effects.push(Effect::Compute(Job(Work::Meet(self.parameters, session))));
            return;
        }
        let Keygen::Frost { round1, .. } = &mut self.keygen else { return };
        let Some(round1) = round1.take() else { return };
        self.broadcast(FROST_ROUND1, Any::pack(&messages::casts(&round1.casts)));
        for (index, shares) in &round1.shares {
            let Some(to) = usize::try_from(*index).ok().and_then(|index| index.checked_sub(1)) else {
                continue;
            };
            let bytes = message::encode(&messages::shares(shares));
            self.send(to, &protocol::FROST_SHARES, bytes, Tag::Shares);
        }
    }

    /// What we dealt for FROST.
    pub(super) fn dealt(&mut self, machine: Box<Frost>, round1: Round1) -> Result<(), Failure> {
        let Keygen::Dealing { early } = &mut self.keygen else { return Ok(()) };
        let early = std::mem::take(early);
        self.waiting.give_all_back();
        self.keygen = Keygen::Frost { machine, round1: Some(round1) };
        for event in early {
            self.frost_event(None, event)?;
        }
        if self.stage == Stage::Keys {
            self.deal();
        }
        Ok(())
    }

    /// Whether there is room for a message that has to wait. Our own work has room.
    fn has_room(&mut self, source: Option<Source>) -> bool {
        let Some(source) = source else { return true };
        let Err(messages) = self.waiting.take(source) else { return true };
        // Said rarely: who floods must not fill the screen as well.
        if messages.is_power_of_two() {
            self.effects.push(Effect::Progress(Progress::Refused { place: source.from, messages }));
        }
        false
    }

    pub(super) fn frost_event(&mut self, source: Option<Source>, event: frost::Event) -> Result<(), Failure> {
        if matches!(self.keygen, Keygen::Dealing { .. }) && !self.has_room(source) {
            return Ok(());
        }
        let machine = match &mut self.keygen {
            Keygen::Dealing { early } => {
                early.push(event);
                return Ok(());
            }
            Keygen::Frost { machine, .. } => machine,
            // Messages of another way to make keys than the definition's.
            Keygen::Pedersen(_) | Keygen::Over => return Ok(()),
        };
        for effect in machine.step(event)? {
            match effect {
                frost::Effect::Compute(job) => {
                    self.effects.push(Effect::Compute(Job(Work::Frost(Box::new(job)))));
                }
                frost::Effect::BroadcastRound2(casts) => {
                    self.broadcast(FROST_ROUND2, Any::pack(&messages::round2(&casts)));
                }
                frost::Effect::Done(keys) => {
                    self.keys = Some(keys.into());
                    self.keygen = Keygen::Over;
                }
            }
            if matches!(self.keygen, Keygen::Over) {
                break;
            }
        }
        Ok(())
    }

    /// Pedersen has begun.
    pub(super) fn met(&mut self, machine: Box<Pedersen>, key: &NodeKey, first: pedersen::Effect) {
        self.broadcast(PEDERSEN_KEYS, Any::pack(&NodePubKeyMessage::from(key)));
        self.stepped((machine, vec![first]));
    }

    pub(super) fn pedersen_event(&mut self, source: Option<Source>, event: pedersen::Event) {
        if !matches!(self.keygen, Keygen::Pedersen(_)) || !self.has_room(source) {
            return;
        }
        if let Keygen::Pedersen(part) = &mut self.keygen {
            part.waiting.push_back((source, event));
            self.step_pedersen();
        }
    }

    /// The next event, where the machine is here.
    fn step_pedersen(&mut self) {
        let Keygen::Pedersen(part) = &mut self.keygen else { return };
        if part.waiting.is_empty() {
            return;
        }
        if let Some(machine) = part.machine.take()
            && let Some((source, event)) = part.waiting.pop_front()
        {
            source.into_iter().for_each(|source| self.waiting.give_back(source));
            self.effects.push(Effect::Compute(Job(Work::Pedersen(machine, Box::new(event)))));
        }
    }

    /// A step of Pedersen was done.
    pub(super) fn stepped(&mut self, (machine, effects): Stepped) {
        let Keygen::Pedersen(part) = &mut self.keygen else { return };
        part.machine = Some(machine);
        for effect in effects {
            match effect {
                pedersen::Effect::SendBundle(bundle) => self.send_bundle(&bundle),
                pedersen::Effect::SendShareKey(key) => {
                    let bytes = message::encode(&ValidatorPubKeyShareMessage::from(&key));
                    self.send_pedersen(&protocol::PEDERSEN_SHARES, &bytes);
                }
                pedersen::Effect::Wait(wait) => self.wait(wait),
                pedersen::Effect::Done(keys) => {
                    self.keys = Some(keys.into());
                    self.keygen = Keygen::Over;
                    return;
                }
            }
        }
        self.step_pedersen();
    }

    fn wait(&mut self, wait: Wait) {
        let step = self.limits.step;
        let lasts = match wait {
            Wait::NodeKeys | Wait::ShareKeys { .. } => step,
            Wait::Run { phase, .. } => step / PHASES * ends_after(phase),
        };
        let at = self.now.saturating_add(lasts);
        // Every run has the time of a step.
        self.deadline = self.deadline.max(at.saturating_add(step));
        if let Keygen::Pedersen(part) = &mut self.keygen {
            part.waits.push((at, wait));
        }
    }

    /// What was waited for long enough.
    pub(super) fn waits_over(&mut self) {
        let now = self.now;
        let Keygen::Pedersen(part) = &mut self.keygen else { return };
        let over: Vec<Wait> = part.waits.iter().filter(|(at, _)| *at <= now).map(|(_, wait)| *wait).collect();
        part.waits.retain(|(at, _)| *at > now);
        for wait in over {
            self.pedersen_event(None, pedersen::Event::PhaseOver(wait));
        }
    }

    fn send_bundle(&mut self, bundle: &AnyBundle) {
        match bundle {
            AnyBundle::Deals(deals) => {
                self.send_pedersen(
                    &protocol::PEDERSEN_DEALS,
                    &message::encode(&PedersenDealBundle::from(deals)),
                );
            }
            AnyBundle::Responses(responses) => {
                let bytes = message::encode(&PedersenResponseBundle::from(responses));
                self.send_pedersen(&protocol::PEDERSEN_RESPONSES, &bytes);
            }
            AnyBundle::Justifications(justifications) => {
                let bytes = message::encode(&PedersenJustificationBundle::from(justifications));
                self.send_pedersen(&protocol::PEDERSEN_JUSTIFICATIONS, &bytes);
            }
        }
    }

    fn send_pedersen(&mut self, protocol: &'static protocol::Protocol, bytes: &[u8]) {
        let Keygen::Pedersen(part) = &mut self.keygen else { return };
        part.sent += 1;
        let tag = Tag::Pedersen(part.sent);
        let me = self.me;
        for to in (0..self.nodes.len()).filter(|to| *to != me) {
            self.send(to, protocol, bytes.to_vec(), tag);
        }
    }
}
