//! Carries out one job: asks, signs, submits. What a job has to say afterwards is an [`Outcome`].
//!
//! # What must never happen
//!
//! - A block or an attestation is signed that the guard did not keep.
//! - What a node answered is signed though it is of another slot, or of another validator.

mod attest;
mod propose;
mod sync;

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::beacon::Preparation;
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::{Chain, Signable};
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::registration::{Registration, SignedRegistration};

use super::guard::{Guard, GuardError};
use super::http::HttpError;
use super::keys::Keys;
use super::node::Node;
use super::plan::{Chore, Event, Job};
use super::report::Tally;
use super::sign;

/// Attempts at one request of a duty.
const MAX_ATTEMPTS: u32 = 6;
/// Between two attempts: this part of a slot.
const RETRY_PART: u32 = 16;
/// But not less than this, for the short slots of tests.
const MIN_RETRY: Duration = Duration::from_millis(50);

/// Requests for selections at the same time: each may wait for other nodes, so they must not wait for each other.
const SELECTIONS_AT_ONCE: usize = 64;

/// Whose keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those of validators: directly at a beacon node.
    Whole,
    /// Those of shares: behind a node of a cluster, which makes selections whole.
    Distributed,
}

/// What blocks and registrations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whom blocks pay.
    pub fee_recipient: Bytes20,
    /// The gas limit that is aimed at.
    pub gas_limit: u64,
    /// What blocks say.
    pub graffiti: Bytes32,
    /// `builder_boost_factor`
    pub builder_boost: u64,
}

/// Who carries out jobs; shared by all that are under way.
pub(super) struct Worker {
    pub(super) node: Node,
    pub(super) keys: Keys,
    pub(super) chain: Chain,
    pub(super) mode: Mode,
    pub(super) terms: Terms,
    /// Whether the node says that it is one of a cluster.
    pub(super) is_cluster: bool,
    /// Jobs sign at the same time, and marks must rise one after the other.
    pub(super) guard: Mutex<Guard>,
}

/// What came of a job.
pub(super) struct Outcome {
    /// For the plan.
    pub(super) event: Option<Event>,
    /// For the report.
    pub(super) tally: Tally,
}

/// Why a piece of a duty was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// A request.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// An answer that is not signed.
    #[error("the answer is not signed: {0}")]
    Unfit(String),
    /// The key is not here.
    #[error("there is no key {0}")]
    NoKey(Bytes48),
}

/// The moment by this machine's clock.
pub(super) fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl Worker {
    /// Carries out a job. It ends in bounded time, since every request does.
    pub(super) async fn carry_out(&self, job: Job) -> Outcome {
        match job {
            Job::Validators => {
                let keys = self.keys.publics();
                ask("validators", Chore::Validators, self.node.validators(&keys), Event::Validators).await
            }
            Job::Attesters { epoch, validators } => {
                let call = self.node.attesters(epoch, &validators);
                ask("duties", Chore::Attesters(epoch), call, |duties| Event::Attesters { epoch, duties })
                    .await
            }
            Job::Proposers { epoch } => {
                let call = self.node.proposers(epoch);
                ask("duties", Chore::Proposers(epoch), call, |duties| Event::Proposers { epoch, duties })
                    .await
            }
            Job::Members { epoch, validators } => {
                let call = self.node.members(epoch, &validators);
                ask("duties", Chore::Members(epoch), call, |duties| Event::Members { epoch, duties }).await
            }
            Job::Select { chore, duties } => self.select(chore, &duties).await,
            Job::SelectMembers { slot, duties } => self.select_members(slot, &duties).await,
            Job::Subscribe { duties } => tell("subscriptions", self.node.subscribe(&duties)).await,
            Job::SubscribeMembers { epoch, duties } => {
                tell("subscriptions", self.node.subscribe_members(&duties, epoch + 1)).await
            }
            Job::Prepare { validators } => {
                let fee_recipient = self.terms.fee_recipient;
                let row = |validator_index| Preparation { validator_index, fee_recipient };
                let rows: Vec<Preparation> = validators.into_iter().map(row).collect();
                tell("preparations", self.node.prepare(&rows)).await
            }
            Job::Register { keys } => self.register(&keys).await,
            Job::Propose(duty) => self.propose(&duty).await,
            Job::Attest { slot, duties } => self.attest(slot, &duties).await,
            Job::Vote { slot, duties } => self.vote(slot, &duties).await,
            Job::Aggregate { slot, by } => self.aggregate(slot, &by).await,
            Job::Contribute { slot, head, by } => self.contribute(slot, &head, &by).await,
            Job::Exit { key, validator, epoch } => self.exit(&key, validator, epoch).await,
        }
    }

    /// The end of a slot, after which its duties are not begun again.
    fn end_of(&self, slot: u64) -> Time {
        self.chain.clock.start_of(slot.saturating_add(1))
    }

    /// Repeats a request until it is answered, refused for good, or too late.
    async fn persist<T, F>(
        &self,
        until: Time,
        again: fn(&HttpError) -> bool,
        mut request: impl FnMut() -> F,
    ) -> Result<T, HttpError>
    where
        F: Future<Output = Result<T, HttpError>>,
    {
        let pause = (self.chain.clock.slot / RETRY_PART).max(MIN_RETRY);
        let mut attempt = 1;
        loop {
            match request().await {
                Err(error) if again(&error) && attempt < MAX_ATTEMPTS && now() + pause < until => {
                    attempt += 1;
                    tokio::time::sleep(pause * attempt).await;
                }
                result => return result,
            }
        }
    }

    fn sign(&self, key: &Bytes48, what: &Signable) -> Result<Bytes96, WorkError> {
        self.keys.sign(key, &self.chain.signing_root(what)).ok_or(WorkError::NoKey(*key))
    }

    /// Signs what a validator could be slashed for, each by its key, once the guard has kept it.
    fn sign_guarded(&self, all: &[(Bytes48, What)]) -> Vec<Result<Bytes96, WorkError>> {
        let kept = self.guard.lock().unwrap_or_else(PoisonError::into_inner).record(all);
        let signed = |((key, what), kept): (&(Bytes48, What), Result<(), GuardError>)| {
            kept?;
            let (What::Block { root, .. } | What::Attestation { root, .. }) = what;
            self.keys.sign(key, root).ok_or(WorkError::NoKey(*key))
        };
        all.iter().zip(kept).map(signed).collect()
    }

    async fn register(&self, keys: &[Bytes48]) -> Outcome {
        let mut tally = Tally::of("builder_registration");
        let mut signed = Vec::new();
        for key in keys {
            let message = Registration {
                fee_recipient: coxswain_dv_crypto::k1::Address(self.terms.fee_recipient.0),
                gas_limit: self.terms.gas_limit,
                timestamp: self.chain.clock.genesis.0.as_secs(),
                pubkey: key.0,
            };
            let unsigned = SignedRegistration { message, signature: [0; 96] };
            let signature = self.sign(key, &sign::registration(&unsigned));
            if let Some(signature) = tally.only_failure(signature) {
                signed.push(SignedRegistration { signature: signature.0, ..unsigned });
            }
        }
        if !signed.is_empty() {
            tally.count(signed.len(), self.node.submit_registrations(&signed).await);
        }
        Outcome { event: None, tally }
    }

    async fn exit(&self, key: &Bytes48, validator: u64, epoch: u64) -> Outcome {
        let mut tally = Tally::of("exit");
        let message = VoluntaryExit { epoch, validator_index: validator };
        if let Some(signature) = tally.only_failure(self.sign(key, &sign::exit(&message))) {
            let exit = Signed { message, signature };
            let until = now() + self.chain.clock.epoch();
            let sent = self.persist(until, HttpError::is_passing, || self.node.submit_exit(&exit)).await;
            tally.count(1, sent);
        }
        Outcome { event: None, tally }
    }
}

/// Asks what is asked again by the plan where it comes to nothing.
async fn ask<T>(
    name: &'static str,
    chore: Chore,
    call: impl Future<Output = Result<T, HttpError>>,
    event: impl FnOnce(T) -> Event,
) -> Outcome {
    let mut tally = Tally::of(name);
    let event = tally.count(1, call.await).map_or(Event::Failed(chore), event);
    Outcome { event: Some(event), tally }
}

async fn tell(name: &'static str, call: impl Future<Output = Result<(), HttpError>>) -> Outcome {
    let mut tally = Tally::of(name);
    tally.count(1, call.await);
    Outcome { event: None, tally }
}
