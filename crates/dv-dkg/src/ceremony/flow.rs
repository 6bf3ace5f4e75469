//! What follows from what.

use std::sync::Arc;

use coxswain_dv_cluster::{DepositFile, targets};
use coxswain_dv_crypto::k1::verify65;
use coxswain_dv_types::Root;
use coxswain_dv_types::cluster::{
    BuilderRegistration, Definition, Deposit, Deposits, DistributedValidator, Lock,
};
use coxswain_dv_types::deposit::{self, DepositData, DepositMessage, GWEI};
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use coxswain_dv_wire::broadcast::{
    BCastMessage, BCastSigRequest, BCastSigResponse, FROST_ROUND1, FROST_ROUND2, NODE_SIGNATURE,
};
use coxswain_dv_wire::frost::{FrostRound1Casts, FrostRound1P2P, FrostRound2Casts};
use coxswain_dv_wire::message::{self, WireMessage};
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::parsigex::ParSigExMsg;
use coxswain_dv_wire::protocol::{self, Protocol};
use coxswain_dv_wire::sync::MsgSyncResponse;
use coxswain_dv_wire::well_known::Any;
use zeroize::Zeroizing;

use super::job::{Combine, Finding, Trouble, Work, WorkError};
use super::{Ceremony, Effect, Event, Failure, Job, Output, Progress, Stage, Tag, Token};
use crate::broadcast::Outgoing;
use crate::exchange::Kind;
use crate::frost;
use crate::frost_messages as messages;

/// The barriers after those of the work: files are there, and goodbye.
const STORED: i64 = 7;
const GOODBYE: i64 = 8;

/// The amounts that are deposited.
pub(super) fn amounts(definition: &Definition) -> Vec<u64> {
    let given = definition.deposit_amounts.as_deref().unwrap_or_default();
    if given.is_empty() && definition.version.deposits != Deposits::List {
        return vec![32 * GWEI];
    }
    deposit::signed_amounts(given, definition.rewards())
}

fn share_index(place: usize) -> u64 {
    place as u64 + 1
}

/// What people are told, and what a limit is about.
fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connecting => "waiting for all nodes to connect",
        Stage::Barrier(_) => "waiting for all nodes to finish the step before",
        Stage::Keys => "making keys",
        Stage::Deposits(_) => "signing deposits",
        Stage::Registrations => "signing registrations with builders",
        Stage::Lock => "signing the lock",
        Stage::NodeSignatures => "signing as nodes",
        Stage::Storing => "storing keys and lock",
        Stage::Parting => "saying goodbye",
        Stage::Over => "over",
    }
}

impl Ceremony {
    pub(super) fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Report { from, report, token } => {
                let taken = match &self.failure {
                    Some(failure) => Err(failure.clone()),
                    None => Ok(self.sync.take_report(from, &report)),
                };
                let error = match &taken {
                    Ok(Ok(())) => String::new(),
                    Ok(Err(error)) => error.to_string(),
                    Err(failure) => failure.clone(),
                };
                let answer = MsgSyncResponse { sync_timestamp: report.timestamp, error };
                self.effects.push(Effect::AnswerReport { token, answer });
                Ok(taken.unwrap_or(Ok(()))?)
            }
            _ if self.stage == Stage::Over => Ok(()),
            Event::ReportAnswered { from, leaving, error } => {
                self.sync.take_answer(from, &error)?;
                if leaving {
                    self.sync.knows_we_leave(from);
                }
                Ok(())
            }
            Event::LostReports(to) => {
                self.sync.lost_reports(to);
                Ok(())
            }
            Event::LostPeer(from) => {
                self.sync.lost_peer(from);
                Ok(())
            }
            Event::Message { from, protocol, bytes, token } => {
                self.take_message(from, protocol, &bytes, token)
            }
            Event::Delivered { to, tag, answer } => self.delivered(to, tag, &answer),
            Event::NotDelivered { to, tag, why } => {
                let what = match tag {
                    Tag::Ask(id) | Tag::Tell(id) => format!("the broadcast {id}"),
                    Tag::Shares => "its shares".to_owned(),
                    Tag::Partials(kind) => format!("signatures of {kind}"),
                };
                Err(Failure::NotDelivered { place: to, what, why })
            }
            Event::Computed(output) => self.computed(output),
            Event::Stored(Ok(())) => {
                self.reach(STORED);
                Ok(())
            }
            Event::Stored(Err(why)) => Err(Failure::Store(why)),
            Event::Tick => Ok(()),
        }
    }

    // -------------------------------------------------------------------------------------------- messages

    fn take_message(
        &mut self,
        from: usize,
        protocol: &'static str,
        bytes: &[u8],
        token: Token,
    ) -> Result<(), Failure> {
        let version = self.broadcasts.version();
        if protocol == version.signing().id {
            let request: BCastSigRequest = read(from, version.signing(), bytes)?;
            let answer = self.broadcasts.sign(from, &request)?;
            self.effects.push(Effect::Answer { token, bytes: message::encode(&answer) });
            return Ok(());
        }
        if protocol == version.sending().id {
            let message: BCastMessage = read(from, version.sending(), bytes)?;
            let (id, content) = self.broadcasts.take(from, message)?;
            self.effects.push(Effect::Answer { token, bytes: Vec::new() });
            return self.take_broadcast(from, id, &content);
        }
        if protocol == protocol::FROST_SHARES.id {
            let message: FrostRound1P2P = read(from, &protocol::FROST_SHARES, bytes)?;
            let shares =
                messages::read_shares(&message).map_err(|source| Failure::Length { place: from, source })?;
            return self.frost_event(frost::Event::Shares { from: share_index(from), shares });
        }
        if protocol == protocol::PARSIGEX.id {
            let message: ParSigExMsg = read(from, &protocol::PARSIGEX, bytes)?;
            self.exchange.take(from, message)?;
        }
        Ok(())
    }

    fn take_broadcast(&mut self, from: usize, id: &'static str, content: &Any) -> Result<(), Failure> {
        let length = |source| Failure::Length { place: from, source };
        let index = share_index(from);
        if id == FROST_ROUND1 {
            let message: FrostRound1Casts = unpack(from, id, content)?;
            let casts = messages::read_casts(message).map_err(length)?;
            return self.frost_event(frost::Event::Casts { from: index, casts });
        }
        if id == FROST_ROUND2 {
            let message: FrostRound2Casts = unpack(from, id, content)?;
            let casts = messages::read_round2(&message).map_err(length)?;
            return self.frost_event(frost::Event::Round2 { from: index, casts });
        }
        let message: MsgNodeSig = unpack(from, id, content)?;
        let wrong = Failure::NodeSignature { place: from };
        let signature = message.signature.as_slice().try_into();
        match signature {
            Ok(signature) if message.peer_index as usize == from => {
                self.node_signatures.entry(from).or_insert(signature);
                Ok(())
            }
            _ => Err(wrong),
        }
    }

    fn frost_event(&mut self, event: frost::Event) -> Result<(), Failure> {
        let Some(machine) = &mut self.frost else {
            self.early.push(event);
            return Ok(());
        };
        for effect in machine.step(event)? {
            match effect {
                frost::Effect::Compute(job) => {
                    self.effects.push(Effect::Compute(Job(Work::Frost(Box::new(job)))));
                }
                frost::Effect::BroadcastRound2(casts) => {
                    self.broadcast(FROST_ROUND2, Any::pack(&messages::round2(&casts)));
                }
                frost::Effect::Done(keys) => self.keys = Some(keys.into()),
            }
        }
        Ok(())
    }

    // -------------------------------------------------------------------------------------------- sending

    fn send(&mut self, to: usize, protocol: &'static Protocol, bytes: Vec<u8>, tag: Tag) {
        self.on_the_way.insert((to, tag));
        self.effects.push(Effect::Send { to, protocol, bytes: Zeroizing::new(bytes), tag });
    }

    fn send_out(&mut self, outgoing: Vec<(usize, Outgoing)>, id: &'static str) {
        let version = self.broadcasts.version();
        for (to, outgoing) in outgoing {
            match outgoing {
                Outgoing::Ask(request) => {
                    self.send(to, version.signing(), message::encode(&request), Tag::Ask(id))
                }
                Outgoing::Tell(message) => {
                    self.send(to, version.sending(), message::encode(&message), Tag::Tell(id))
                }
            }
        }
    }

    fn broadcast(&mut self, id: &'static str, content: Any) {
        let outgoing = self.broadcasts.begin(id, content);
        self.send_out(outgoing, id);
    }

    fn delivered(&mut self, to: usize, tag: Tag, answer: &[u8]) -> Result<(), Failure> {
        self.on_the_way.remove(&(to, tag));
        match tag {
            Tag::Ask(id) => {
                let answer: BCastSigResponse = read(to, self.broadcasts.version().signing(), answer)?;
                let outgoing = self.broadcasts.take_signature(to, id, &answer)?;
                self.send_out(outgoing, id);
            }
            Tag::Tell(id) => {
                self.broadcasts.taken(to, id);
            }
            Tag::Shares | Tag::Partials(_) => {}
        }
        Ok(())
    }

    // -------------------------------------------------------------------------------------------- work

    fn computed(&mut self, output: Output) -> Result<(), Failure> {
        match output.0 {
            Err(Trouble::Frost(error)) => Err(error.into()),
            Err(Trouble::Work(error)) => Err(error.into()),
            Ok(Finding::Dealt(dealt)) => {
                let (machine, round1) = *dealt;
                self.frost = Some(machine);
                self.round1 = Some(round1);
                for event in std::mem::take(&mut self.early) {
                    self.frost_event(event)?;
                }
                if self.stage == Stage::Keys {
                    self.deal();
                }
                Ok(())
            }
            Ok(Finding::Frost(outcome)) => self.frost_event(frost::Event::Computed(*outcome)),
            Ok(Finding::Signed { kind, partials, roots }) => {
                self.roots = roots;
                let message = self.exchange.begin(kind, partials);
                let bytes = message::encode(&message);
                let me = self.me;
                for to in (0..self.nodes.len()).filter(|to| *to != me) {
                    self.send(to, &protocol::PARSIGEX, bytes.clone(), Tag::Partials(kind));
                }
                Ok(())
            }
            Ok(Finding::Combined { kind, signatures }) => {
                self.signatures.insert(kind, signatures);
                Ok(())
            }
            Ok(Finding::Checked(outcome)) => {
                self.effects.push(Effect::Store(outcome));
                Ok(())
            }
        }
    }

    /// The first round goes out.
    fn deal(&mut self) {
        let Some(round1) = self.round1.take() else { return };
        self.broadcast(FROST_ROUND1, Any::pack(&messages::casts(&round1.casts)));
        for (index, shares) in &round1.shares {
            let Some(to) = usize::try_from(*index).ok().and_then(|index| index.checked_sub(1)) else {
                continue;
            };
            let bytes = message::encode(&messages::shares(shares));
            self.send(to, &protocol::FROST_SHARES, bytes, Tag::Shares);
        }
    }

    fn sign(&mut self, kind: Kind) -> Result<(), Failure> {
        let Some(keys) = self.keys.clone() else { return Ok(()) };
        let roots = self.signing_roots(kind)?;
        self.effects.push(Effect::Compute(Job(Work::Sign { kind, keys, roots })));
        Ok(())
    }

    fn signing_roots(&self, kind: Kind) -> Result<Vec<Root>, WorkError> {
        match kind {
            Kind::Lock => {
                let hash = self.lock.as_ref().map(|lock| root_of(&lock.lock_hash)).unwrap_or_default();
                Ok(vec![hash; self.definition.validators.len()])
            }
            Kind::Registration => {
                let all = self.registrations()?;
                Ok(all.iter().map(|message| message.signing_root(&self.network)).collect())
            }
            Kind::Deposit(place) => {
                let all = self.deposits(place)?;
                Ok(all.iter().map(|message| message.signing_root(&self.network)).collect())
            }
        }
    }

    fn deposits(&self, place: usize) -> Result<Vec<DepositMessage>, WorkError> {
        let keys = self.keys.iter().flat_map(|keys| keys.iter());
        let one = |(validator, key): (usize, &crate::KeyShare)| {
            let (_, credentials) = targets(&self.definition, validator)?;
            let (pubkey, amount) = (key.public.to_bytes(), self.amounts[place]);
            Ok(DepositMessage { pubkey, credentials: credentials.to_bytes(), amount })
        };
        keys.enumerate().map(one).collect()
    }

    fn registrations(&self) -> Result<Vec<Registration>, WorkError> {
        let keys = self.keys.iter().flat_map(|keys| keys.iter());
        let one = |(validator, key): (usize, &crate::KeyShare)| {
            let (fee_recipient, _) = targets(&self.definition, validator)?;
            let (gas_limit, timestamp) = (self.definition.gas_limit(), self.network.genesis_time);
            Ok(Registration { fee_recipient, gas_limit, timestamp, pubkey: key.public.to_bytes() })
        };
        keys.enumerate().map(one).collect()
    }

    /// Whether the signatures of a kind are there; combines them when they can be.
    fn exchanged(&mut self, kind: Kind) -> bool {
        if self.signatures.contains_key(&kind) {
            return self.on_the_way.is_empty();
        }
        let Some(keys) = self.keys.clone() else { return false };
        if self.exchange.missing(kind).is_empty() {
            let partials = self.exchange.finish(kind);
            let threshold = usize::try_from(self.definition.threshold).unwrap_or(usize::MAX);
            let roots = std::mem::take(&mut self.roots);
            let combine = Combine { kind, threshold, keys, roots, partials };
            self.effects.push(Effect::Compute(Job(Work::Combine(combine))));
        }
        false
    }

    // -------------------------------------------------------------------------------------------- stages

    pub(super) fn proceed(&mut self) -> Result<(), Failure> {
        while self.is_finished()? {
            match self.stage {
                Stage::Connecting => self.reach(1),
                Stage::Barrier(step) => self.enter(step)?,
                Stage::Keys => self.reach(2),
                Stage::Deposits(place) if place + 1 < self.amounts.len() => {
                    self.begin(Stage::Deposits(place + 1));
                    self.sign(Kind::Deposit(place + 1))?;
                }
                Stage::Deposits(_) => self.reach(3),
                Stage::Registrations => self.reach(4),
                Stage::Lock => self.reach(5),
                Stage::NodeSignatures => self.reach(6),
                // Ends with an event.
                Stage::Storing | Stage::Over => break,
                Stage::Parting => {
                    self.stage = Stage::Over;
                    self.effects.push(Effect::Done);
                }
            }
        }
        self.tell();
        if self.stage != Stage::Over && self.now >= self.deadline {
            return Err(self.late());
        }
        Ok(())
    }

    fn is_finished(&mut self) -> Result<bool, Failure> {
        Ok(match self.stage {
            Stage::Connecting => self.sync.not_connected().is_empty(),
            Stage::Barrier(step) => self.sync.has_passed(step)?,
            Stage::Keys => self.keys.is_some() && self.on_the_way.is_empty(),
            Stage::Deposits(place) => self.exchanged(Kind::Deposit(place)),
            Stage::Registrations => self.exchanged(Kind::Registration),
            Stage::Lock => self.exchanged(Kind::Lock),
            Stage::NodeSignatures => {
                self.node_signatures.len() == self.nodes.len() && self.on_the_way.is_empty()
            }
            Stage::Parting => self.sync.not_parted().is_empty(),
            Stage::Storing | Stage::Over => false,
        })
    }

    fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        self.deadline = self.now + self.limits.step;
    }

    /// Our part of a step is done: on to the next barrier.
    fn reach(&mut self, step: i64) {
        self.sync.go_to(step);
        self.effects.push(Effect::Report { step, leaving: false });
        self.begin(Stage::Barrier(step));
    }

    /// All have come to a barrier.
    fn enter(&mut self, step: i64) -> Result<(), Failure> {
        let stage = match step {
            1 => Stage::Keys,
            2 => Stage::Deposits(0),
            3 => Stage::Registrations,
            4 => Stage::Lock,
            5 => Stage::NodeSignatures,
            6 => Stage::Storing,
            STORED => {
                self.reach(GOODBYE);
                return Ok(());
            }
            _ => Stage::Parting,
        };
        self.begin(stage);
        self.effects.push(Effect::Progress(Progress::Step(name(stage))));
        match stage {
            Stage::Keys => self.deal(),
            Stage::Deposits(place) => self.sign(Kind::Deposit(place))?,
            Stage::Registrations => self.sign(Kind::Registration)?,
            Stage::Lock => {
                self.lock = Some(self.unsigned_lock()?);
                self.sign(Kind::Lock)?;
            }
            Stage::NodeSignatures => self.sign_as_node(),
            Stage::Storing => self.store()?,
            Stage::Parting => self.effects.push(Effect::Report { step, leaving: true }),
            Stage::Connecting | Stage::Barrier(_) | Stage::Over => {}
        }
        Ok(())
    }

    fn late(&mut self) -> Failure {
        if self.stage == Stage::Keys
            && let Some(machine) = &mut self.frost
            && let Err(error) = machine.step(frost::Event::PhaseOver)
        {
            return error.into();
        }
        let missing = match self.stage {
            Stage::Connecting => self.sync.not_connected(),
            Stage::Barrier(step) => self.sync.not_at(step),
            Stage::Keys | Stage::Storing | Stage::Over => Vec::new(),
            Stage::Deposits(place) => self.exchange.missing(Kind::Deposit(place)),
            Stage::Registrations => self.exchange.missing(Kind::Registration),
            Stage::Lock => self.exchange.missing(Kind::Lock),
            Stage::NodeSignatures => {
                (0..self.nodes.len()).filter(|place| !self.node_signatures.contains_key(place)).collect()
            }
            Stage::Parting => self.sync.not_parted(),
        };
        let limit = if self.stage == Stage::Connecting { self.limits.connect } else { self.limits.step };
        let on_the_way = self.on_the_way.iter().map(|(to, _)| *to);
        let mut missing: Vec<usize> = missing.into_iter().chain(on_the_way).collect();
        missing.sort_unstable();
        missing.dedup();
        Failure::Late { waiting: name(self.stage), missing, limit }
    }

    /// Tells people whom we wait for, when that changes.
    fn tell(&mut self) {
        let progress = match self.stage {
            Stage::Connecting => Progress::Connecting(self.sync.not_connected()),
            Stage::Barrier(step) => Progress::Waiting(self.sync.not_at(step)),
            _ => return,
        };
        if self.told.as_ref() != Some(&progress) {
            self.told = Some(progress.clone());
            self.effects.push(Effect::Progress(progress));
        }
    }

    // -------------------------------------------------------------------------------------------- the lock

    fn deposit_data(&self, place: usize) -> Result<Vec<DepositData>, WorkError> {
        let signatures = self.signatures.get(&Kind::Deposit(place)).map(Vec::as_slice).unwrap_or_default();
        let data = self.deposits(place)?.into_iter().zip(signatures);
        Ok(data
            .map(|(message, signature)| DepositData { message, signature: signature.to_bytes() })
            .collect())
    }

    fn unsigned_lock(&self) -> Result<Lock, WorkError> {
        let version = self.definition.version;
        let deposits: Vec<Vec<DepositData>> = (0..self.amounts.len())
            .map(|place| self.deposit_data(place))
            .collect::<Result<_, WorkError>>()?;
        let signed = self.signatures.get(&Kind::Registration).map(Vec::as_slice).unwrap_or_default();
        let registrations: Vec<BuilderRegistration> = self
            .registrations()?
            .into_iter()
            .zip(signed)
            .map(|(message, signature)| match version.has_registrations {
                true => BuilderRegistration::from(&SignedRegistration {
                    message,
                    signature: signature.to_bytes(),
                }),
                false => BuilderRegistration::default(),
            })
            .collect();
        let keys = self.keys.clone().unwrap_or_else(|| Arc::from([]));
        let one = |((place, key), registration): ((usize, &crate::KeyShare), BuilderRegistration)| {
            let deposits = deposits.iter().filter_map(|of_amount| of_amount.get(place));
            DistributedValidator {
                public_key: key.public.to_bytes().into(),
                public_shares: key.public_shares.iter().map(|share| share.to_bytes().into()).collect(),
                deposits: deposits.map(Deposit::from).collect(),
                registration,
            }
        };
        let validators = keys.iter().enumerate().zip(registrations).map(one).collect();
        let lock = Lock {
            definition: self.definition.clone(),
            validators,
            signature_aggregate: Default::default(),
            lock_hash: Default::default(),
            node_signatures: Vec::new(),
        };
        Ok(lock.with_hashes()?)
    }

    fn sign_as_node(&mut self) {
        let Some(lock) = &self.lock else { return };
        let signature = self.key.sign(&root_of(&lock.lock_hash));
        self.node_signatures.insert(self.me, signature);
        let peer_index = u32::try_from(self.me).unwrap_or(u32::MAX);
        let message = MsgNodeSig { signature: signature.to_vec(), peer_index };
        self.broadcast(NODE_SIGNATURE, Any::pack(&message));
    }

    fn store(&mut self) -> Result<(), Failure> {
        let Some(mut lock) = self.lock.take() else { return Ok(()) };
        let hash = root_of(&lock.lock_hash);
        for (place, public) in self.nodes.iter().enumerate() {
            let signature = self.node_signatures.get(&place).copied().unwrap_or([0; 65]);
            verify65(public, &hash, &signature).map_err(|_| Failure::NodeSignature { place })?;
        }
        if lock.definition.version.has_registrations {
            lock.node_signatures =
                self.node_signatures.values().map(|signature| (*signature).into()).collect();
        }
        if let Some(aggregate) = self.signatures.get(&Kind::Lock).and_then(|all| all.first()) {
            lock.signature_aggregate = aggregate.to_bytes().into();
        }
        let file = |place: usize| {
            let text = deposit::to_text(&self.deposit_data(place)?, &self.network)
                .map_err(|error| WorkError::Seal(error.into()))?;
            Ok(DepositFile { name: deposit::file_name(self.amounts[place]), text })
        };
        let deposits = (0..self.amounts.len()).map(file).collect::<Result<_, WorkError>>()?;
        let keys = self.keys.take().unwrap_or_else(|| Arc::from([]));
        let networks = self.verify.then(|| self.networks.clone());
        let work = Work::Check { lock: Box::new(lock), networks, deposits, keys };
        self.effects.push(Effect::Compute(Job(work)));
        Ok(())
    }
}

fn root_of(bytes: &[u8]) -> Root {
    bytes.try_into().unwrap_or_default()
}

fn read<M: WireMessage>(from: usize, protocol: &'static Protocol, bytes: &[u8]) -> Result<M, Failure> {
    message::decode(bytes, protocol.max_bytes).map_err(|source| Failure::Message {
        place: from,
        protocol: protocol.id,
        source,
    })
}

fn unpack<M: WireMessage>(from: usize, id: &'static str, content: &Any) -> Result<M, Failure> {
    content.unpack(content.value.len()).map_err(|source| Failure::Message {
        place: from,
        protocol: id,
        source,
    })
}
