//! What takes long: checking many signatures, putting shares together. Jobs carry all they need, so that they can run
//! anywhere; [`Job::run`] is pure.

use coxswain_dv_crypto::bls::{self, PublicKey, Signature};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::Bytes96;
use rand_core::CryptoRng;

/// A signature to be checked.
#[derive(Debug, Clone)]
pub struct Check {
    /// Whose it should be.
    pub key: PublicKey,
    /// Over what.
    pub root: Root,
    /// The signature.
    pub signature: Bytes96,
}

/// Shares of one signature.
#[derive(Debug, Clone)]
pub struct Aggregation {
    /// The group.
    pub group: PublicKey,
    /// Over what.
    pub root: Root,
    /// Index, key and signature of each share; as many as are needed.
    pub partials: Vec<(u64, Bytes96)>,
}

/// Something that takes long.
#[derive(Debug, Clone)]
pub enum Job {
    /// Which of these are good.
    Verify(Vec<Check>),
    /// What these come to; none where the group's signature would not verify.
    Aggregate(Vec<Aggregation>),
}

/// What came out.
#[derive(Debug, Clone)]
pub enum Output {
    /// Of [`Job::Verify`], one for each.
    Verified(Vec<bool>),
    /// Of [`Job::Aggregate`], one for each.
    Aggregated(Vec<Option<Bytes96>>),
}

impl Job {
    /// Does it. The generator must be one that peers cannot predict.
    pub fn run(&self, rng: &mut impl CryptoRng) -> Output {
        match self {
            Job::Verify(checks) => Output::Verified(verify(checks, rng)),
            Job::Aggregate(aggregations) => Output::Aggregated(aggregate(aggregations, rng)),
        }
    }

    /// How many signatures it is about.
    pub fn size(&self) -> usize {
        match self {
            Job::Verify(checks) => checks.len(),
            Job::Aggregate(aggregations) => aggregations.len(),
        }
    }
}

/// Signatures that are none at all are bad; the others are checked together, those of one root with one pairing.
fn verify(checks: &[Check], rng: &mut impl CryptoRng) -> Vec<bool> {
    let mut good = vec![false; checks.len()];
    let mut places = Vec::with_capacity(checks.len());
    let mut items = Vec::with_capacity(checks.len());
    for (place, check) in checks.iter().enumerate() {
        if let Ok(signature) = Signature::from_bytes(&check.signature.0) {
            places.push(place);
            items.push((check.key, check.root, signature));
        }
    }
    let bad = bls::find_invalid(&items, rng);
    for (position, place) in places.into_iter().enumerate() {
        if let Some(slot) = good.get_mut(place) {
            *slot = bad.binary_search(&position).is_err();
        }
    }
    good
}

/// Shares were checked when they came; the sum is checked all the same, because it leaves the cluster.
fn aggregate(aggregations: &[Aggregation], rng: &mut impl CryptoRng) -> Vec<Option<Bytes96>> {
    let whole: Vec<Option<Signature>> = aggregations.iter().map(put_together).collect();
    let checks: Vec<Check> = aggregations
        .iter()
        .zip(&whole)
        .filter_map(|(one, signature)| {
            let signature = Bytes96::from(signature.as_ref()?.to_bytes());
            Some(Check { key: one.group, root: one.root, signature })
        })
        .collect();
    let mut good = verify(&checks, rng).into_iter();
    whole
        .into_iter()
        .map(|signature| {
            let signature = signature?;
            good.next().unwrap_or(false).then(|| Bytes96::from(signature.to_bytes()))
        })
        .collect()
}

fn put_together(one: &Aggregation) -> Option<Signature> {
    let mut shares = Vec::with_capacity(one.partials.len());
    for (index, signature) in &one.partials {
        shares.push((*index, Signature::from_bytes(&signature.0).ok()?));
    }
    bls::recover_signature(&shares).ok()
}
