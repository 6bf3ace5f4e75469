//! The heavy work of a ceremony, which a driver runs where it holds up nobody.

use coxswain_dv_crypto::bls::{
    Commitments, KnowledgeProof, PUBLIC_LEN, SecretKey, first_bad_share, first_unproved, public_shares,
    sum_by_key,
};
use rand_core::CryptoRng;

use super::CONTEXT;
use super::error::{Fault, FrostError, Kind, Number};
use crate::KeyShare;

/// One validator's cast, its points not looked at.
#[derive(Debug)]
pub(super) struct RawDealing {
    pub(super) proof: KnowledgeProof,
    pub(super) commitments: Vec<[u8; PUBLIC_LEN]>,
}

/// What one node dealt us, by validator.
#[derive(Debug)]
pub(super) struct Dealing {
    pub(super) commitments: Vec<Commitments>,
    pub(super) shares: Vec<SecretKey>,
}

/// Work to do.
#[derive(Debug)]
pub(super) enum Work {
    /// The first round of a peer.
    Check { from: u64, index: u8, casts: Vec<RawDealing>, shares: Vec<SecretKey> },
    /// All first rounds, ours first, into keys.
    Sum { index: u8, nodes: u8, dealings: Vec<Dealing> },
}

/// Work that takes a while: some tenths of a second for a thousand validators.
#[derive(Debug)]
pub struct Job(pub(super) Work);

/// What came of it.
#[derive(Debug)]
pub(super) enum Finding {
    Checked { from: u64, dealing: Dealing },
    Summed(Vec<KeyShare>),
}

/// What a job found, for [`super::Event::Computed`].
#[derive(Debug)]
pub struct Outcome(pub(super) Result<Finding, FrostError>);

impl Job {
    /// Does the work; no network, no other state. The generator must be one that no peer can predict: shares are
    /// checked all at once with its numbers.
    #[must_use]
    pub fn compute(self, rng: &mut impl CryptoRng) -> Outcome {
        Outcome(match self.0 {
            Work::Check { from, index, casts, shares } => check(from, index, casts, shares, rng),
            Work::Sum { index, nodes, dealings } => sum(index, nodes, &dealings, rng),
        })
    }
}

fn validator(place: usize) -> Option<u32> {
    u32::try_from(place).ok()
}

/// Points, proofs, shares, in this order.
fn check(
    from: u64,
    index: u8,
    casts: Vec<RawDealing>,
    shares: Vec<SecretKey>,
    rng: &mut impl CryptoRng,
) -> Result<Finding, FrostError> {
    let fault = |kind, place, fault| FrostError::peer(from, kind, validator(place), fault);
    let mut said = Vec::with_capacity(casts.len());
    for (place, cast) in casts.into_iter().enumerate() {
        let commitments = Commitments::from_bytes(&cast.commitments)
            .map_err(|why| fault(Kind::Casts, place, Fault::Encoding { number: Number::Commitment, why }))?;
        said.push((commitments, cast.proof));
    }
    // Peers are numbered with a byte; another number has no proof.
    let unproved = match u8::try_from(from) {
        Ok(participant) => first_unproved(&said, participant, CONTEXT),
        Err(_) => Some(0),
    };
    if let Some(place) = unproved {
        return Err(fault(Kind::Casts, place, Fault::Proof));
    }
    let items: Vec<_> = said.iter().map(|(commitments, _)| commitments).zip(&shares).collect();
    if let Some(place) = first_bad_share(&items, index.into(), rng) {
        return Err(fault(Kind::Shares, place, Fault::Share));
    }
    let commitments = said.into_iter().map(|(commitments, _)| commitments).collect();
    Ok(Finding::Checked { from, dealing: Dealing { commitments, shares } })
}

fn sum(index: u8, nodes: u8, dealings: &[Dealing], rng: &mut impl CryptoRng) -> Result<Finding, FrostError> {
    let own_fault = |why| FrostError::Own { why };
    let dealers: Vec<&[Commitments]> =
        dealings.iter().map(|dealing| dealing.commitments.as_slice()).collect();
    let keys = sum_by_key(&dealers).map_err(own_fault)?;
    let shares = public_shares(&keys, nodes.into()).map_err(own_fault)?;
    let mut out = Vec::with_capacity(keys.len());
    for ((place, key), public_shares) in keys.iter().enumerate().zip(shares) {
        let parts = dealings.iter().filter_map(|dealing| dealing.shares.get(place));
        let secret = SecretKey::sum(parts).map_err(own_fault)?;
        let public = *key.points().first().ok_or(FrostError::OwnShare { validator: place })?;
        out.push(KeyShare { secret, public, public_shares });
    }
    let items: Vec<_> = keys.iter().zip(out.iter().map(|key| &key.secret)).collect();
    match first_bad_share(&items, index.into(), rng) {
        Some(validator) => Err(FrostError::OwnShare { validator }),
        None => Ok(Finding::Summed(out)),
    }
}
