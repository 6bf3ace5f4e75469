//! What [`crate::frost`] says, as messages between nodes, and back.

use coxswain_dv_crypto::bls::{KnowledgeProof, PUBLIC_LEN, SECRET_LEN};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Cast, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare, FrostRound2Cast,
    FrostRound2Casts,
};
use zeroize::Zeroizing;

use crate::frost::{Cast, EntryKey, Round2Cast, Share};

/// What an entry has that is not as long as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("validator {validator}: the {what} has {found} bytes, and should have {expected}")]
pub struct Length {
    /// Which validator, from 0.
    pub validator: u32,
    /// Of what.
    pub what: &'static str,
    /// How many it has.
    pub found: usize,
    /// How many it should have.
    pub expected: usize,
}

fn key_of(key: EntryKey) -> Option<FrostMsgKey> {
    Some(FrostMsgKey { val_idx: key.validator, source_id: key.source, target_id: key.target })
}

fn read_key(key: Option<FrostMsgKey>) -> EntryKey {
    let key = key.unwrap_or_default();
    EntryKey { validator: key.val_idx, source: key.source_id, target: key.target_id }
}

fn sized<const N: usize>(key: EntryKey, what: &'static str, bytes: &[u8]) -> Result<[u8; N], Length> {
    let wrong = Length { validator: key.validator, what, found: bytes.len(), expected: N };
    bytes.try_into().map_err(|_| wrong)
}

pub(crate) fn casts(casts: &[Cast]) -> FrostRound1Casts {
    let one = |cast: &Cast| FrostRound1Cast {
        key: key_of(cast.key),
        wi: cast.proof.response.to_vec(),
        ci: cast.proof.challenge.to_vec(),
        commitments: cast.commitments.iter().map(|point| point.to_vec()).collect(),
    };
    FrostRound1Casts { casts: casts.iter().map(one).collect() }
}

pub(crate) fn read_casts(message: FrostRound1Casts) -> Result<Vec<Cast>, Length> {
    let one = |cast: FrostRound1Cast| {
        let key = read_key(cast.key);
        let response = sized::<SECRET_LEN>(key, "proof's response", &cast.wi)?;
        let challenge = sized::<SECRET_LEN>(key, "proof's challenge", &cast.ci)?;
        let points = cast.commitments.iter().map(|point| sized::<PUBLIC_LEN>(key, "commitment", point));
        let commitments = points.collect::<Result<_, Length>>()?;
        Ok(Cast { key, proof: KnowledgeProof { response, challenge }, commitments })
    };
    message.casts.into_iter().map(one).collect()
}

pub(crate) fn shares(shares: &[Share]) -> FrostRound1P2P {
    let one = |share: &Share| FrostRound1ShamirShare {
        key: key_of(share.key),
        id: share.id,
        value: share.value.to_vec(),
    };
    FrostRound1P2P { shares: shares.iter().map(one).collect() }
}

pub(crate) fn read_shares(message: &FrostRound1P2P) -> Result<Vec<Share>, Length> {
    let one = |share: &FrostRound1ShamirShare| {
        let key = read_key(share.key);
        let value = Zeroizing::new(sized::<SECRET_LEN>(key, "share", &share.value)?);
        Ok(Share { key, id: share.id, value })
    };
    message.shares.iter().map(one).collect()
}

pub(crate) fn round2(casts: &[Round2Cast]) -> FrostRound2Casts {
    let one = |cast: &Round2Cast| FrostRound2Cast {
        key: key_of(cast.key),
        verification_key: cast.verification_key.to_vec(),
        vk_share: cast.public_share.to_vec(),
    };
    FrostRound2Casts { casts: casts.iter().map(one).collect() }
}

pub(crate) fn read_round2(message: &FrostRound2Casts) -> Result<Vec<Round2Cast>, Length> {
    let one = |cast: &FrostRound2Cast| {
        let key = read_key(cast.key);
        let verification_key = sized::<PUBLIC_LEN>(key, "validator key", &cast.verification_key)?;
        let public_share = sized::<PUBLIC_LEN>(key, "public share", &cast.vk_share)?;
        Ok(Round2Cast { key, verification_key, public_share })
    };
    message.casts.iter().map(one).collect()
}
