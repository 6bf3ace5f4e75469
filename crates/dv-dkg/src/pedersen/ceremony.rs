//! All runs of a ceremony, one after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;

use coxswain_dv_crypto::bls::{PUBLIC_LEN, PublicKey, SecretKey, public_shares};
use rand_core::CryptoRng;

use super::bundle::{Bundle as _, Deals, Justifications, Responses, SessionId, Signed};
use super::error::{PedersenError, Wait};
use super::run::{Dealt, Phase, Run, RunEffect, RunError, RunParameters};
use super::{Node, nonce};
use crate::{KeyShare, Parameters};

/// Bundles of one peer that are kept for a run that has not begun: three kinds, of this run and the next.
const MAX_EARLY: usize = 6;
/// Public shares of one peer that are kept: it is at most a run ahead.
const MAX_SHARE_KEYS: usize = 2;

/// The key of a node in this ceremony, to all by the reliable broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeKey {
    /// The ceremony.
    pub session: SessionId,
    /// A compressed point.
    pub key: [u8; PUBLIC_LEN],
}

/// The public share of a node after a run, to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareKey {
    /// The ceremony; which run is not said.
    pub session: SessionId,
    /// A compressed point; none of a node that leaves, which nobody does in a fresh ceremony.
    pub public_share: Option<[u8; PUBLIC_LEN]>,
}

/// A bundle of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyBundle {
    /// In the first phase of a run.
    Deals(Signed<Deals>),
    /// In the second.
    Responses(Signed<Responses>),
    /// In the third.
    Justifications(Signed<Justifications>),
}

impl AnyBundle {
    fn session(&self) -> &SessionId {
        match self {
            Self::Deals(signed) => signed.bundle.session(),
            Self::Responses(signed) => signed.bundle.session(),
            Self::Justifications(signed) => signed.bundle.session(),
        }
    }
}

/// What the driver tells. Who sent a message is what the connection says, as a place from 0.
#[derive(Debug)]
pub enum Event {
    /// By the reliable broadcast.
    NodeKey {
        /// Place of the sender.
        from: u32,
        /// What it said.
        message: NodeKey,
    },
    /// Of a run. Its author is whose key signed it.
    Bundle {
        /// Place of the sender.
        from: u32,
        /// What it said.
        bundle: AnyBundle,
    },
    /// After a run.
    ShareKey {
        /// Place of the sender.
        from: u32,
        /// What it said.
        message: ShareKey,
    },
    /// The time that [`Effect::Wait`] asked for is over.
    PhaseOver(Wait),
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Effect {
    /// Send to each other node.
    SendBundle(AnyBundle),
    /// Send to each other node.
    SendShareKey(ShareKey),
    /// Say when its time is over. Keys and public shares have the time of the ceremony's messages; the three phases of
    /// a run, asked for together, have one, two and three sixths of it from now.
    Wait(Wait),
    /// The keys, in the order of validators. Nothing comes after it.
    Done(Vec<KeyShare>),
}

#[derive(Debug)]
enum Stage {
    NodeKeys(BTreeMap<u32, PublicKey>),
    Run(Box<Run>),
    /// Ours is said; whose we have heard.
    ShareKeys(Box<(Dealt, BTreeSet<u32>)>),
    Done,
    Failed(PedersenError),
}

/// One node's part of a ceremony.
#[derive(Debug)]
pub struct Pedersen {
    parameters: Parameters,
    session: SessionId,
    key: SecretKey,
    nodes: Vec<Node>,
    stage: Stage,
    /// Which validator, from 0.
    run: u32,
    early: BTreeMap<u32, Vec<AnyBundle>>,
    share_keys: BTreeMap<u32, VecDeque<Option<[u8; PUBLIC_LEN]>>>,
    /// The public shares of each peer that were kept, so that one that was sent twice is not taken for that of a later
    /// run. No two runs have the same.
    known_share_keys: BTreeMap<u32, BTreeSet<Option<[u8; PUBLIC_LEN]>>>,
    keys: Vec<KeyShare>,
}

impl Pedersen {
    /// Begins: the machine, the key to say to all others, and what to wait for.
    pub fn new(
        parameters: Parameters,
        session: SessionId,
        rng: &mut impl CryptoRng,
    ) -> (Self, NodeKey, Effect) {
        let key = SecretKey::generate(rng);
        let public = key.public();
        let own = place(&parameters);
        let machine = Self {
            parameters,
            session,
            key,
            nodes: Vec::new(),
            stage: Stage::NodeKeys(BTreeMap::from([(own, public)])),
            run: 0,
            early: BTreeMap::new(),
            share_keys: BTreeMap::new(),
            known_share_keys: BTreeMap::new(),
            keys: Vec::new(),
        };
        (machine, NodeKey { session, key: public.to_bytes() }, Effect::Wait(Wait::NodeKeys))
    }

    /// Takes one event. The generator is asked when a run begins.
    ///
    /// # Errors
    /// The ceremony cannot go on, for the reason and by whom the error says; every further event gives it again.
    pub fn step(&mut self, event: Event, rng: &mut impl CryptoRng) -> Result<Vec<Effect>, PedersenError> {
        match &self.stage {
            Stage::Failed(error) => return Err(error.clone()),
            Stage::Done => return Ok(Vec::new()),
            Stage::NodeKeys(_) | Stage::Run(_) | Stage::ShareKeys(_) => {}
        }
        let result = match event {
            Event::NodeKey { from, message } => self.take_node_key(from, &message, rng),
            Event::Bundle { from, bundle } => self.take_bundle(from, bundle, rng),
            Event::ShareKey { from, message } => self.take_share_key(from, &message, rng),
            Event::PhaseOver(wait) => self.phase_over(wait, rng),
        };
        if let Err(error) = &result {
            self.stage = Stage::Failed(error.clone());
            // No secret stays behind in a machine that will not use it.
            self.keys.clear();
            self.early.clear();
        }
        result
    }

    fn check_peer(&self, from: u32) -> Result<(), PedersenError> {
        if from < u32::from(self.parameters.nodes) && from != place(&self.parameters) {
            Ok(())
        } else {
            Err(PedersenError::Stranger { from })
        }
    }

    fn peers(&self) -> impl Iterator<Item = u32> + use<> {
        let own = place(&self.parameters);
        (0..u32::from(self.parameters.nodes)).filter(move |index| *index != own)
    }

    // -------------------------------------------------------------------------------------------------------- keys

    fn take_node_key(
        &mut self,
        from: u32,
        message: &NodeKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, PedersenError> {
        self.check_peer(from)?;
        let nodes = usize::from(self.parameters.nodes);
        let Stage::NodeKeys(keys) = &mut self.stage else { return Ok(Vec::new()) };
        if message.session != self.session || keys.contains_key(&from) {
            return Ok(Vec::new());
        }
        let key = PublicKey::from_bytes(&message.key).map_err(|why| PedersenError::NodeKey { from, why })?;
        keys.insert(from, key);
        if keys.len() < nodes {
            return Ok(Vec::new());
        }
        self.nodes = mem::take(keys).into_iter().map(|(index, key)| Node { index, key }).collect();
        self.begin(rng)
    }

    // --------------------------------------------------------------------------------------------------------- run

    fn run_error(&self, source: RunError) -> PedersenError {
        PedersenError::Run { run: self.run, source }
    }

    fn begin(&mut self, rng: &mut impl CryptoRng) -> Result<Vec<Effect>, PedersenError> {
        let parameters = RunParameters {
            nodes: self.nodes.clone(),
            own: place(&self.parameters),
            threshold: self.parameters.threshold.into(),
            session: nonce(self.run, &self.nodes),
        };
        let session = parameters.session;
        let (run, deals) = Run::new(parameters, &self.key, rng).map_err(|source| self.run_error(source))?;
        self.stage = Stage::Run(Box::new(run));
        let wait = |phase| Effect::Wait(Wait::Run { run: self.run, phase });
        let mut effects = vec![Effect::SendBundle(AnyBundle::Deals(deals))];
        effects.extend([Phase::Deals, Phase::Responses, Phase::Justifications].map(wait));
        // What came before is of this run; nobody can be further.
        for bundle in mem::take(&mut self.early).into_values().flatten() {
            if *bundle.session() == session && matches!(self.stage, Stage::Run(_)) {
                effects.append(&mut self.feed(bundle, rng)?);
            }
        }
        Ok(effects)
    }

    fn take_bundle(
        &mut self,
        from: u32,
        bundle: AnyBundle,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, PedersenError> {
        self.check_peer(from)?;
        let is_early = match &self.stage {
            Stage::NodeKeys(_) => true,
            Stage::Run(_) if *bundle.session() == nonce(self.run, &self.nodes) => {
                return self.feed(bundle, rng);
            }
            Stage::Run(_) | Stage::ShareKeys(_) => {
                *bundle.session() == nonce(self.run.saturating_add(1), &self.nodes)
            }
            Stage::Done | Stage::Failed(_) => false,
        };
        let kept = self.early.entry(from).or_default();
        if is_early && kept.len() < MAX_EARLY && !kept.contains(&bundle) {
            kept.push(bundle);
        }
        Ok(Vec::new())
    }

    fn feed(&mut self, bundle: AnyBundle, rng: &mut impl CryptoRng) -> Result<Vec<Effect>, PedersenError> {
        let Stage::Run(run) = &mut self.stage else { return Ok(Vec::new()) };
        let result = match bundle {
            AnyBundle::Deals(signed) => run.take_deals(signed),
            AnyBundle::Responses(signed) => run.take_responses(signed),
            AnyBundle::Justifications(signed) => run.take_justifications(signed),
        };
        self.carry_out(result, rng)
    }

    fn carry_out(
        &mut self,
        result: Result<Vec<RunEffect>, RunError>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, PedersenError> {
        let mut effects = Vec::new();
        for effect in result.map_err(|source| self.run_error(source))? {
            match effect {
                RunEffect::SendResponses(signed) => {
                    effects.push(Effect::SendBundle(AnyBundle::Responses(signed)));
                }
                RunEffect::SendJustifications(signed) => {
                    effects.push(Effect::SendBundle(AnyBundle::Justifications(signed)));
                }
                RunEffect::Done(dealt) => {
                    let public_share = Some(dealt.secret.public().to_bytes());
                    effects.push(Effect::SendShareKey(ShareKey { session: self.session, public_share }));
                    effects.push(Effect::Wait(Wait::ShareKeys { run: self.run }));
                    self.stage = Stage::ShareKeys(Box::new((dealt, BTreeSet::new())));
                    effects.append(&mut self.compare(rng)?);
                }
            }
        }
        Ok(effects)
    }

    // -------------------------------------------------------------------------------------------------- share keys

    fn take_share_key(
        &mut self,
        from: u32,
        message: &ShareKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, PedersenError> {
        self.check_peer(from)?;
        let known = self.known_share_keys.entry(from).or_default();
        let kept = self.share_keys.entry(from).or_default();
        // At most one of each run is kept, and at most one run ahead.
        let is_wanted = message.session == self.session && kept.len() < MAX_SHARE_KEYS;
        if !is_wanted || !known.insert(message.public_share) {
            return Ok(Vec::new());
        }
        kept.push_back(message.public_share);
        self.compare(rng)
    }

    /// Compares the public shares that are here with the commitments; when all are, the next run begins.
    fn compare(&mut self, rng: &mut impl CryptoRng) -> Result<Vec<Effect>, PedersenError> {
        let (run, count) = (self.run, u64::from(self.parameters.nodes));
        let peers: Vec<u32> = self.peers().collect();
        let Stage::ShareKeys(stage) = &mut self.stage else { return Ok(Vec::new()) };
        let (dealt, heard) = stage.as_mut();
        let fault = |why| PedersenError::Share { run, why };
        let commitments = std::slice::from_ref(&dealt.commitments);
        let shares = public_shares(commitments, count).map_err(fault)?.pop().unwrap_or_default();
        for from in &peers {
            if heard.contains(from) {
                continue;
            }
            let Some(said) = self.share_keys.get_mut(from).and_then(VecDeque::pop_front) else { continue };
            let expected = usize::try_from(*from).ok().and_then(|from| shares.get(from));
            if said.is_none() || said != expected.map(PublicKey::to_bytes) {
                return Err(PedersenError::ShareKey { from: *from, run });
            }
            heard.insert(*from);
        }
        if heard.len() < peers.len() {
            return Ok(Vec::new());
        }
        let public = dealt.commitments.points()[0];
        self.keys.push(KeyShare { secret: dealt.secret.clone(), public, public_shares: shares });
        if self.keys.len() == self.parameters.validators {
            self.stage = Stage::Done;
            return Ok(vec![Effect::Done(mem::take(&mut self.keys))]);
        }
        self.run = run.saturating_add(1);
        self.begin(rng)
    }

    // --------------------------------------------------------------------------------------------------------- time

    fn phase_over(&mut self, wait: Wait, rng: &mut impl CryptoRng) -> Result<Vec<Effect>, PedersenError> {
        match (&mut self.stage, wait) {
            (Stage::NodeKeys(keys), Wait::NodeKeys) => {
                let keys = mem::take(keys);
                let missing = self.peers().filter(|peer| !keys.contains_key(peer)).collect();
                Err(PedersenError::Late { wait, missing })
            }
            (Stage::Run(run), Wait::Run { run: number, phase }) if number == self.run => {
                let result = run.phase_over(phase);
                self.carry_out(result, rng)
            }
            (Stage::ShareKeys(stage), Wait::ShareKeys { run }) if run == self.run => {
                let heard = mem::take(&mut stage.1);
                let missing = self.peers().filter(|peer| !heard.contains(peer)).collect();
                Err(PedersenError::Late { wait, missing })
            }
            // The time of something that ended before.
            (
                Stage::NodeKeys(_) | Stage::Run(_) | Stage::ShareKeys(_) | Stage::Done | Stage::Failed(_),
                _,
            ) => Ok(Vec::new()),
        }
    }
}

/// Our place, from 0.
fn place(parameters: &Parameters) -> u32 {
    u32::from(parameters.share_index).saturating_sub(1)
}
