//! Messages of the wire to plain values and back.

use coxswain_dv_crypto::bls::{BlsError, KnowledgeProof, Object};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Cast, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare, FrostRound2Cast,
    FrostRound2Casts,
};
use zeroize::Zeroizing;

use super::error::{Fault, FrostError, Kind, Number};
use super::message::{Cast, EntryKey, Round2Cast, Share};
use super::{Event, ShareBytes};

impl From<FrostMsgKey> for EntryKey {
    fn from(key: FrostMsgKey) -> Self {
        Self { validator: key.val_idx, source: key.source_id, target: key.target_id }
    }
}

impl From<EntryKey> for FrostMsgKey {
    fn from(key: EntryKey) -> Self {
        Self { val_idx: key.validator, source_id: key.source, target_id: key.target }
    }
}

/// The key of an entry; one that was decoded has it, and nobody has the share index 0 that stands in its place.
fn key(key: Option<FrostMsgKey>) -> EntryKey {
    key.unwrap_or_default().into()
}

fn exact<const N: usize>(bytes: &[u8], number: Number) -> Result<[u8; N], Fault> {
    let object = match number {
        Number::Proof => Object::Proof,
        Number::Share => Object::SecretKey,
        Number::Commitment | Number::VerificationKey | Number::PublicShare => Object::PublicKey,
    };
    let why = BlsError::Length { object, expected: N, length: bytes.len() };
    bytes.try_into().map_err(|_| Fault::Encoding { number, why })
}

fn read_cast(entry: &FrostRound1Cast) -> Result<Cast, Fault> {
    let (response, challenge) = (exact(&entry.wi, Number::Proof)?, exact(&entry.ci, Number::Proof)?);
    let commitments = entry.commitments.iter().map(|point| exact(point, Number::Commitment));
    Ok(Cast {
        key: key(entry.key),
        proof: KnowledgeProof { response, challenge },
        commitments: commitments.collect::<Result<_, _>>()?,
    })
}

fn read_share(entry: &FrostRound1ShamirShare) -> Result<Share, Fault> {
    let value: ShareBytes = Zeroizing::new(exact(&entry.value, Number::Share)?);
    Ok(Share { key: key(entry.key), id: entry.id, value })
}

fn read_round2(entry: &FrostRound2Cast) -> Result<Round2Cast, Fault> {
    Ok(Round2Cast {
        key: key(entry.key),
        verification_key: exact(&entry.verification_key, Number::VerificationKey)?,
        public_share: exact(&entry.vk_share, Number::PublicShare)?,
    })
}

fn read_all<W, T>(
    (from, kind): (u64, Kind),
    entries: &[W],
    validator: impl Fn(&W) -> Option<FrostMsgKey>,
    read: impl Fn(&W) -> Result<T, Fault>,
) -> Result<Vec<T>, FrostError> {
    let one = |entry: &W| {
        let about = validator(entry).map(|key| key.val_idx);
        read(entry).map_err(|fault| FrostError::peer(from, kind, about, fault))
    };
    entries.iter().map(one).collect()
}

impl Event {
    /// What a peer broadcast in the first round.
    ///
    /// # Errors
    /// A number or point has another length than it must have.
    pub fn casts(from: u64, message: &FrostRound1Casts) -> Result<Self, FrostError> {
        let casts = read_all((from, Kind::Casts), &message.casts, |entry| entry.key, read_cast)?;
        Ok(Self::Casts { from, casts })
    }

    /// What a peer sent to us in the first round.
    ///
    /// # Errors
    /// A share has another length than it must have.
    pub fn shares(from: u64, message: &FrostRound1P2P) -> Result<Self, FrostError> {
        let shares = read_all((from, Kind::Shares), &message.shares, |entry| entry.key, read_share)?;
        Ok(Self::Shares { from, shares })
    }

    /// What a peer broadcast in the second round.
    ///
    /// # Errors
    /// A point has another length than it must have.
    pub fn round2(from: u64, message: &FrostRound2Casts) -> Result<Self, FrostError> {
        let casts = read_all((from, Kind::Round2), &message.casts, |entry| entry.key, read_round2)?;
        Ok(Self::Round2 { from, casts })
    }
}

/// The message of the first round to all.
#[must_use]
pub fn casts_message(casts: &[Cast]) -> FrostRound1Casts {
    let one = |cast: &Cast| FrostRound1Cast {
        key: Some(cast.key.into()),
        wi: cast.proof.response.to_vec(),
        ci: cast.proof.challenge.to_vec(),
        commitments: cast.commitments.iter().map(|point| point.to_vec()).collect(),
    };
    FrostRound1Casts { casts: casts.iter().map(one).collect() }
}

/// The message of the first round to one peer.
#[must_use]
pub fn shares_message(shares: &[Share]) -> FrostRound1P2P {
    let one = |share: &Share| FrostRound1ShamirShare {
        key: Some(share.key.into()),
        id: share.id,
        value: share.value.to_vec(),
    };
    FrostRound1P2P { shares: shares.iter().map(one).collect() }
}

/// The message of the second round to all.
#[must_use]
pub fn round2_message(casts: &[Round2Cast]) -> FrostRound2Casts {
    let one = |cast: &Round2Cast| FrostRound2Cast {
        key: Some(cast.key.into()),
        verification_key: cast.verification_key.to_vec(),
        vk_share: cast.public_share.to_vec(),
    };
    FrostRound2Casts { casts: casts.iter().map(one).collect() }
}
