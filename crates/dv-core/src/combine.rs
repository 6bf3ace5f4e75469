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

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The signature is good.
    Good,
    /// It is not.
    Bad,
    /// The computation broke off: nothing is built on the signature, and nobody is to blame.
    Unknown,
}

impl Finding {
    /// Of several checks of one thing, which is good where all are.
    pub(crate) fn of_all(found: &[Finding]) -> Finding {
        if found.contains(&Finding::Bad) {
            Finding::Bad
        } else if found.contains(&Finding::Unknown) {
            Finding::Unknown
        } else {
            Finding::Good
        }
    }
}

impl From<bool> for Finding {
    fn from(is_good: bool) -> Finding {
        if is_good { Finding::Good } else { Finding::Bad }
    }
}

/// What came out.
#[derive(Debug, Clone)]
pub enum Output {
    /// Of [`Job::Verify`], one for each.
    Verified(Vec<Finding>),
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
fn verify(checks: &[Check], rng: &mut impl CryptoRng) -> Vec<Finding> {
    let mut found = vec![Finding::Bad; checks.len()];
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
        if let Some(slot) = found.get_mut(place) {
            *slot = bad.binary_search(&position).is_err().into();
        }
    }
    found
}

/// Shares may be of anybody: the sum is what has to be right, and is checked before it leaves the cluster.
fn aggregate(aggregations: &[Aggregation], rng: &mut impl CryptoRng) -> Vec<Option<Bytes96>> {
    let whole: Vec<Option<Signature>> = aggregations.iter().map(put_together).collect();
    let (mut places, mut items) = (Vec::new(), Vec::new());
    for (place, (one, signature)) in aggregations.iter().zip(&whole).enumerate() {
        if let Some(signature) = signature {
            places.push(place);
            items.push((one.group, one.root, *signature));
        }
    }
    let bad = bls::find_invalid(&items, rng);
    let mut signatures = vec![None; aggregations.len()];
    for (position, (place, (_, _, signature))) in places.into_iter().zip(&items).enumerate() {
        if let Some(slot) = signatures.get_mut(place).filter(|_| bad.binary_search(&position).is_err()) {
            *slot = Some(Bytes96::from(signature.to_bytes()));
        }
    }
    signatures
}

fn put_together(one: &Aggregation) -> Option<Signature> {
    let shares: Vec<_> = one.partials.iter().map(|(index, signature)| (*index, signature.0)).collect();
    bls::recover_encoded(&shares).ok()
}
