//! Key generation of FROST as charon does it: all validators of a ceremony at once, two rounds, and no blame round:
//! the first thing that is wrong ends the ceremony for all.
//!
//! ```text
//! new ──→ Round1: casts to all, shares to each          (then, for each peer, in any order)
//! Casts + Shares of a peer ──→ Compute ──→ Computed     its proofs, its shares against its commitments
//! all peers computed ──→ Compute ──→ Computed ──→ BroadcastRound2
//! Round2 of all peers, each compared with what we reckoned ──→ Done
//! ```
//!
//! - Messages may come early; they are kept. Only the first message of a peer and kind counts: any further one is
//!   ignored, equal or not, which is what charon does.
//! - charon takes verification keys and public shares of others as they are. Here both are reckoned from the
//!   commitments, and whoever says anything else is named.
//! - The reliable broadcast below this makes sure that all nodes saw the same casts; without it, a node that is named
//!   for its second round may be one that was lied to in the first.
//!
//! Source: `FROST` key generation (Komlo and Goldberg, figure 1), with charon's hash, context byte and checks.

mod error;
mod job;
mod message;

use std::collections::BTreeMap;
use std::mem;

use coxswain_dv_crypto::bls::{KnowledgeProof, Polynomial, SecretKey, commit_and_prove};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::KeyShare;

pub use crate::parameters::{MAX_VALIDATORS, ParameterError, Parameters};
pub use error::{Fault, FrostError, Kind};
pub use job::{Job, Outcome};
pub use message::{Cast, EntryKey, Round1, Round2Cast, Share};

use job::{Dealing, Work};
use message::{Entry as _, NO_TARGET, in_order, index_of};

/// The proof of knowledge is bound to no ceremony: charon's text of the ceremony is no number to its library, which
/// then takes zero.
const CONTEXT: u8 = 0;

/// What the driver tells. Who sent a message is what the connection says, as a share index from 1.
#[derive(Debug)]
pub enum Event {
    /// First round, what a peer said to all.
    Casts {
        /// Share index of the sender.
        from: u64,
        /// One for each validator, in any order.
        casts: Vec<Cast>,
    },
    /// First round, what a peer sent to us alone.
    Shares {
        /// Share index of the sender.
        from: u64,
        /// One for each validator, in any order.
        shares: Vec<Share>,
    },
    /// Second round, what a peer said to all.
    Round2 {
        /// Share index of the sender.
        from: u64,
        /// One for each validator, in any order.
        casts: Vec<Round2Cast>,
    },
    /// A job was done.
    Computed(Outcome),
    /// The driver waits no longer.
    PhaseOver,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Effect {
    /// Run the job, where it does not hold up others, and bring its outcome back. Jobs may run at the same time.
    Compute(Job),
    /// Say this to all others.
    BroadcastRound2(Vec<Round2Cast>),
    /// The keys, in the order of validators. Nothing comes after it.
    Done(Vec<KeyShare>),
}

/// What came of a peer so far.
#[derive(Debug)]
enum Peer {
    /// Its first round is not all there.
    Open { casts: Option<Vec<job::RawDealing>>, shares: Option<Vec<SecretKey>> },
    /// A job looks at it.
    InCheck,
    /// It is good.
    Good(Dealing),
}

#[derive(Debug)]
enum Stage {
    /// Waiting for the first round of others.
    Round1,
    /// A job adds up.
    Sum,
    /// Waiting for the second round of others.
    Round2(Vec<KeyShare>),
    Done,
    Failed(FrostError),
}

/// One node's part of a ceremony.
#[derive(Debug)]
pub struct Frost {
    parameters: Parameters,
    own: Option<Dealing>,
    peers: BTreeMap<u64, Peer>,
    round2: BTreeMap<u64, Vec<Round2Cast>>,
    stage: Stage,
}

impl Frost {
    /// Deals: the machine, and what to send. Heavy, like a job: about a third of the whole ceremony's work.
    ///
    /// The generator is asked for 32 bytes at a time: for each validator the coefficients, lowest first, then the
    /// nonce of the proof; bytes that are no number from 1 to r − 1 are asked for again.
    ///
    /// # Errors
    /// A share would be zero; a chance of 2⁻²⁴⁰. Dealing again is fine.
    pub fn new(parameters: Parameters, rng: &mut impl CryptoRng) -> Result<(Self, Round1), FrostError> {
        let own_fault = |why| FrostError::Own { why };
        let mut dealt: Vec<(Polynomial, SecretKey)> = Vec::with_capacity(parameters.validators);
        for _ in 0..parameters.validators {
            let secret = SecretKey::generate(rng);
            let polynomial =
                Polynomial::random(&secret, parameters.threshold.into(), rng).map_err(own_fault)?;
            dealt.push((polynomial, SecretKey::generate(rng)));
        }
        let said = commit_and_prove(&dealt, parameters.share_index, CONTEXT);
        let shares_of = |index: u64| -> Result<Vec<SecretKey>, FrostError> {
            dealt.iter().map(|(polynomial, _)| polynomial.share(index).map_err(own_fault)).collect()
        };
        let source = parameters.share_index.into();
        let mut shares = BTreeMap::new();
        for target in parameters.peers() {
            let key = |validator| EntryKey { validator, source, target: index_of(target) };
            let of = |(validator, share): (u32, SecretKey)| Share {
                key: key(validator),
                id: index_of(target),
                value: share.to_bytes(),
            };
            shares.insert(target, (0..).zip(shares_of(target)?).map(of).collect());
        }
        let own_shares = shares_of(parameters.share_index())?;
        let (commitments, proofs): (Vec<_>, Vec<_>) = said.into_iter().unzip();
        let cast = |((validator, proof), commitments): ((u32, KnowledgeProof), &_)| {
            Cast::new(EntryKey { validator, source, target: NO_TARGET }, proof, commitments)
        };
        let casts = (0..).zip(proofs).zip(&commitments).map(cast).collect();
        let peers = parameters.peers().map(|peer| (peer, Peer::Open { casts: None, shares: None })).collect();
        let own = Some(Dealing { commitments, shares: own_shares });
        let machine = Self { parameters, own, peers, round2: BTreeMap::new(), stage: Stage::Round1 };
        Ok((machine, Round1 { casts, shares }))
    }

    /// Takes one event.
    ///
    /// # Errors
    /// The ceremony cannot go on, for the reason and by whom the error says; every further event gives it again.
    pub fn step(&mut self, event: Event) -> Result<Vec<Effect>, FrostError> {
        match &self.stage {
            Stage::Failed(error) => return Err(error.clone()),
            Stage::Done => return Ok(Vec::new()),
            Stage::Round1 | Stage::Sum | Stage::Round2(_) => {}
        }
        let result = match event {
            Event::Casts { from, casts } => self.take_casts(from, casts),
            Event::Shares { from, shares } => self.take_shares(from, shares),
            Event::Round2 { from, casts } => self.take_round2(from, casts),
            Event::Computed(outcome) => self.take_outcome(outcome),
            Event::PhaseOver => Err(self.missing()),
        };
        if let Err(error) = &result {
            self.stage = Stage::Failed(error.clone());
            // No secret stays behind in a machine that will not use it.
            self.own = None;
            self.peers.clear();
            self.round2.clear();
        }
        result
    }

    fn take_casts(&mut self, from: u64, casts: Vec<Cast>) -> Result<Vec<Effect>, FrostError> {
        let (validators, threshold) = (self.parameters.validators, usize::from(self.parameters.threshold));
        let Peer::Open { casts: place, .. } = self.peer(from)? else { return Ok(Vec::new()) };
        if place.is_some() {
            return Ok(Vec::new());
        }
        let fault = |validator, fault| FrostError::peer(from, Kind::Casts, validator, fault);
        let casts = in_order(casts, from, NO_TARGET, validators).map_err(|(v, f)| fault(v, f))?;
        let read = |cast: Cast| cast.read(threshold).map_err(|why| fault(Some(cast.key().validator), why));
        *place = Some(casts.into_iter().map(read).collect::<Result<_, _>>()?);
        Ok(self.check(from))
    }

    fn take_shares(&mut self, from: u64, shares: Vec<Share>) -> Result<Vec<Effect>, FrostError> {
        let (validators, own) = (self.parameters.validators, self.parameters.share_index.into());
        let Peer::Open { shares: place, .. } = self.peer(from)? else { return Ok(Vec::new()) };
        if place.is_some() {
            return Ok(Vec::new());
        }
        let fault = |validator, fault| FrostError::peer(from, Kind::Shares, validator, fault);
        let shares = in_order(shares, from, own, validators).map_err(|(v, f)| fault(v, f))?;
        let read = |share: &Share| share.read(own).map_err(|why| fault(Some(share.key.validator), why));
        *place = Some(shares.iter().map(read).collect::<Result<_, _>>()?);
        Ok(self.check(from))
    }

    fn take_round2(&mut self, from: u64, casts: Vec<Round2Cast>) -> Result<Vec<Effect>, FrostError> {
        let validators = self.parameters.validators;
        self.peer(from)?;
        if self.round2.contains_key(&from) {
            return Ok(Vec::new());
        }
        let casts = in_order(casts, from, NO_TARGET, validators)
            .map_err(|(validator, fault)| FrostError::peer(from, Kind::Round2, validator, fault))?;
        self.round2.insert(from, casts);
        self.compare(from)?;
        Ok(self.finish())
    }

    fn take_outcome(&mut self, outcome: Outcome) -> Result<Vec<Effect>, FrostError> {
        match outcome.0? {
            job::Finding::Checked { from, dealing } => {
                if let Some(peer @ Peer::InCheck) = self.peers.get_mut(&from) {
                    *peer = Peer::Good(dealing);
                }
                Ok(self.sum())
            }
            job::Finding::Summed(keys) => {
                if !matches!(self.stage, Stage::Sum) {
                    return Ok(Vec::new());
                }
                let source = self.parameters.share_index.into();
                let place = usize::from(self.parameters.share_index).saturating_sub(1);
                let cast = |(validator, key): (u32, &KeyShare)| Round2Cast {
                    key: EntryKey { validator, source, target: NO_TARGET },
                    verification_key: key.public.to_bytes(),
                    public_share: key.public_shares[place].to_bytes(),
                };
                let casts = (0..).zip(&keys).map(cast).collect();
                self.stage = Stage::Round2(keys);
                let early: Vec<u64> = self.round2.keys().copied().collect();
                for from in early {
                    self.compare(from)?;
                }
                let mut effects = vec![Effect::BroadcastRound2(casts)];
                effects.append(&mut self.finish());
                Ok(effects)
            }
        }
    }

    fn peer(&mut self, from: u64) -> Result<&mut Peer, FrostError> {
        self.peers.get_mut(&from).ok_or(FrostError::Stranger { from })
    }

    /// A job, when the whole first round of this peer is here.
    fn check(&mut self, from: u64) -> Vec<Effect> {
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        match mem::replace(peer, Peer::InCheck) {
            Peer::Open { casts: Some(casts), shares: Some(shares) } => {
                let index = self.parameters.share_index;
                vec![Effect::Compute(Job(Work::Check { from, index, casts, shares }))]
            }
            other @ (Peer::Open { .. } | Peer::InCheck | Peer::Good(_)) => {
                *peer = other;
                Vec::new()
            }
        }
    }

    /// The last job, when the first rounds of all peers are good.
    fn sum(&mut self) -> Vec<Effect> {
        if !self.peers.values().all(|peer| matches!(peer, Peer::Good(_))) {
            return Vec::new();
        }
        let Some(own) = self.own.take() else { return Vec::new() };
        let mut dealings = vec![own];
        for peer in self.peers.values_mut() {
            if let Peer::Good(dealing) = mem::replace(peer, Peer::InCheck) {
                dealings.push(dealing);
            }
        }
        self.stage = Stage::Sum;
        let (index, nodes) = (self.parameters.share_index, self.parameters.nodes);
        vec![Effect::Compute(Job(Work::Sum { index, nodes, dealings }))]
    }

    /// Compares a second round with what we reckoned, as soon as both are here.
    fn compare(&self, from: u64) -> Result<(), FrostError> {
        let (Stage::Round2(keys), Some(casts)) = (&self.stage, self.round2.get(&from)) else {
            return Ok(());
        };
        let place = usize::try_from(from).unwrap_or(usize::MAX).saturating_sub(1);
        for (cast, key) in casts.iter().zip(keys) {
            let fault = |fault| FrostError::peer(from, Kind::Round2, Some(cast.key.validator), fault);
            if cast.verification_key != key.public.to_bytes() {
                return Err(fault(Fault::GroupKey));
            }
            if key.public_shares.get(place).is_none_or(|share| cast.public_share != share.to_bytes()) {
                return Err(fault(Fault::PublicShare));
            }
        }
        Ok(())
    }

    /// The keys, when all second rounds are here; each was compared.
    fn finish(&mut self) -> Vec<Effect> {
        if self.round2.len() != self.peers.len() {
            return Vec::new();
        }
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Round2(keys) => vec![Effect::Done(keys)],
            other @ (Stage::Round1 | Stage::Sum | Stage::Done | Stage::Failed(_)) => {
                self.stage = other;
                Vec::new()
            }
        }
    }

    /// Who has not sent what.
    fn missing(&self) -> FrostError {
        let mut missing = Vec::new();
        for (index, peer) in &self.peers {
            if let Peer::Open { casts, shares } = peer {
                missing.extend(casts.is_none().then_some((*index, Kind::Casts)));
                missing.extend(shares.is_none().then_some((*index, Kind::Shares)));
            }
            // Who still waits for another's first round cannot have sent its second.
            if matches!(self.stage, Stage::Round2(_)) && !self.round2.contains_key(index) {
                missing.push((*index, Kind::Round2));
            }
        }
        FrostError::Late { missing }
    }
}

/// The secret bytes of a share message.
type ShareBytes = Zeroizing<[u8; 32]>;

#[cfg(test)]
mod tests;
