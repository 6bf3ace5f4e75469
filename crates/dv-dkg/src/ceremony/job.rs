//! The heavy work of a ceremony: pure, and done where it holds up nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_cluster::{DepositFile, SealError};
use coxswain_dv_crypto::bls::{
    self, BlsError, PUBLIC_LEN, Signature, Signed, find_invalid, recover_signature, verify_batch,
};
use coxswain_dv_types::Root;
use coxswain_dv_types::cluster::{Lock, Problem};
use coxswain_dv_types::hash::HashError;
use coxswain_dv_types::network::Networks;
use rand_core::CryptoRng;

use super::Outcome;
use super::keygen::Stepped;
use crate::exchange::{Kind, Partials};
use crate::frost::{self, Frost, FrostError, Round1};
use crate::pedersen::{self, NodeKey, Pedersen, PedersenError};
use crate::{KeyShare, Parameters};

/// Why work on keys and signatures came to nothing. Places count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// Another set of validators than the one all have made.
    #[error("node {place} signed other validators than the ones this ceremony made, for {kind}")]
    Validators {
        /// Who.
        place: usize,
        /// Of what.
        kind: Kind,
    },
    /// A signature that is none of its share.
    #[error("the signature of node {place} over {kind} of validator {validator} does not verify")]
    Partial {
        /// Whose.
        place: usize,
        /// Of what.
        kind: Kind,
        /// Of which validator, from 0.
        validator: usize,
    },
    /// Numbers that do not come together, though each was checked.
    #[error("putting signatures together: {0}")]
    Bls(#[from] BlsError),
    /// The new lock is wrong, though everything in it was checked.
    #[error("the new lock does not verify: {0}")]
    Lock(Problem),
    /// Something cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Something of the definition.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What is to be combined.
#[derive(Debug)]
pub(super) struct Combine {
    pub(super) kind: Kind,
    pub(super) threshold: usize,
    pub(super) keys: Arc<[KeyShare]>,
    /// What was signed, one for each validator.
    pub(super) roots: Vec<Root>,
    /// By node.
    pub(super) partials: Vec<Partials>,
}

#[derive(Debug)]
pub(super) enum Work {
    Deal(Parameters),
    Frost(Box<frost::Job>),
    /// Begins Pedersen.
    Meet(Parameters, Root),
    Pedersen(Box<Pedersen>, Box<pedersen::Event>),
    Sign {
        kind: Kind,
        keys: Arc<[KeyShare]>,
        roots: Vec<Root>,
    },
    Combine(Combine),
    /// Verifies the lock where networks are given.
    Check {
        lock: Box<Lock>,
        networks: Option<Networks>,
        deposits: Vec<DepositFile>,
        keys: Arc<[KeyShare]>,
    },
}

/// Work to do; [`Job::run`] needs no more than its time.
#[derive(Debug)]
pub struct Job(pub(super) Work);

#[derive(Debug)]
pub(super) enum Finding {
    Dealt(Box<(Frost, Round1)>),
    Frost(Box<frost::Outcome>),
    Met(Box<(Pedersen, NodeKey, pedersen::Effect)>),
    Pedersen(Stepped),
    Signed { kind: Kind, partials: Partials, roots: Vec<Root> },
    Combined { kind: Kind, signatures: Vec<Signature> },
    Checked(Box<Outcome>),
}

#[derive(Debug)]
pub(super) enum Trouble {
    Frost(FrostError),
    Pedersen(PedersenError),
    Work(WorkError),
}

impl From<PedersenError> for Trouble {
    fn from(error: PedersenError) -> Trouble {
        Trouble::Pedersen(error)
    }
}

impl From<FrostError> for Trouble {
    fn from(error: FrostError) -> Trouble {
        Trouble::Frost(error)
    }
}

impl<E: Into<WorkError>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        Trouble::Work(error.into())
    }
}

/// What came of a job.
#[derive(Debug)]
pub struct Output(pub(super) Box<Result<Finding, Trouble>>);

impl Job {
    /// Does the work. Nobody must be able to predict the generator: shares and nonces come from it.
    #[must_use]
    pub fn run(self, rng: &mut impl CryptoRng) -> Output {
        Output(Box::new(match self.0 {
            Work::Deal(parameters) => Frost::new(parameters, rng)
                .map(|dealt| Finding::Dealt(Box::new(dealt)))
                .map_err(Trouble::from),
            Work::Frost(job) => Ok(Finding::Frost(Box::new(job.compute(rng)))),
            Work::Meet(parameters, session) => {
                Ok(Finding::Met(Box::new(Pedersen::new(parameters, session, rng))))
            }
            Work::Pedersen(mut machine, event) => machine
                .step(*event, rng)
                .map(|effects| Finding::Pedersen((machine, effects)))
                .map_err(Trouble::from),
            Work::Sign { kind, keys, roots } => {
                let partials = sign(&keys, &roots);
                Ok(Finding::Signed { kind, partials, roots })
            }
            Work::Combine(combine) => {
                let kind = combine.kind;
                let signatures = match kind {
                    Kind::Lock => sum(&combine, rng),
                    Kind::Registration | Kind::Deposit(_) => recover(&combine, rng),
                };
                signatures.map(|signatures| Finding::Combined { kind, signatures }).map_err(Trouble::from)
            }
            Work::Check { lock, networks, deposits, keys } => {
                check(*lock, networks.as_ref()).map_err(Trouble::from).map(|(lock, lock_text)| {
                    let keys = keys.iter().map(|key| key.secret.clone()).collect();
                    Finding::Checked(Box::new(Outcome { lock, lock_text, deposits, keys }))
                })
            }
        }))
    }
}

fn sign(keys: &[KeyShare], roots: &[Root]) -> Partials {
    let one = |(key, root): (&KeyShare, &Root)| (key.public.to_bytes(), key.secret.sign(root).to_bytes());
    keys.iter().zip(roots).map(one).collect()
}

/// Every node's signatures in the order of validators, all of them checked.
fn checked(combine: &Combine, rng: &mut impl CryptoRng) -> Result<Vec<Vec<Signature>>, WorkError> {
    let Combine { kind, keys, roots, partials, .. } = combine;
    let kind = *kind;
    let order: BTreeMap<[u8; PUBLIC_LEN], usize> =
        keys.iter().enumerate().map(|(place, key)| (key.public.to_bytes(), place)).collect();
    let mut by_node = Vec::with_capacity(partials.len());
    let mut items: Vec<Signed> = Vec::with_capacity(partials.len() * keys.len());
    for (place, partials) in partials.iter().enumerate() {
        let is_whole = partials.len() == keys.len() && partials.keys().all(|key| order.contains_key(key));
        if !is_whole {
            return Err(WorkError::Validators { place, kind });
        }
        let mut signatures = Vec::with_capacity(keys.len());
        for (validator, (key, root)) in keys.iter().zip(roots).enumerate() {
            let wrong = WorkError::Partial { place, kind, validator };
            let bytes = partials.get(&key.public.to_bytes());
            let signature = bytes.and_then(|bytes| Signature::from_bytes(bytes).ok());
            let (Some(signature), Some(share)) = (signature, key.public_shares.get(place)) else {
                return Err(wrong);
            };
            items.push((*share, *root, signature));
            signatures.push(signature);
        }
        by_node.push(signatures);
    }
    if !verify_batch(&items, rng)
        && let Some(at) = find_invalid(&items, rng).first()
    {
        let (place, validator) = (at / keys.len(), at % keys.len());
        return Err(WorkError::Partial { place, kind, validator });
    }
    Ok(by_node)
}

/// The validators' own signatures.
fn recover(combine: &Combine, rng: &mut impl CryptoRng) -> Result<Vec<Signature>, WorkError> {
    let by_node = checked(combine, rng)?;
    let mut signatures = Vec::with_capacity(combine.keys.len());
    for validator in 0..combine.keys.len() {
        // All are good, so any of them give the same one.
        let partials: Vec<(u64, Signature)> = (1..)
            .zip(&by_node)
            .take(combine.threshold)
            .map(|(index, signatures)| (index, signatures[validator]))
            .collect();
        signatures.push(recover_signature(&partials)?);
    }
    let items: Vec<Signed> = combine
        .keys
        .iter()
        .zip(&combine.roots)
        .zip(&signatures)
        .map(|((key, root), signature)| (key.public, *root, *signature))
        .collect();
    if !verify_batch(&items, rng) {
        let validator = find_invalid(&items, rng).first().copied().unwrap_or_default();
        // Every part was good: then it is the shares that do not belong to the key.
        return Err(WorkError::Partial { place: 0, kind: combine.kind, validator });
    }
    Ok(signatures)
}

/// The sum of all signatures of all nodes.
fn sum(combine: &Combine, rng: &mut impl CryptoRng) -> Result<Vec<Signature>, WorkError> {
    let all: Vec<Signature> = checked(combine, rng)?.into_iter().flatten().collect();
    Ok(vec![bls::aggregate(&all)?])
}

fn check(lock: Lock, networks: Option<&Networks>) -> Result<(Lock, String), WorkError> {
    if let Some(networks) = networks {
        // Questions to contracts were asked of the definition, and its signatures are the same.
        lock.verify(networks).map_err(WorkError::Lock)?;
    }
    let text = lock.to_json()?;
    Ok((lock, text))
}
