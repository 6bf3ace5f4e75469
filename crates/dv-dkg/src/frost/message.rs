//! What nodes say in a ceremony, as plain values; which bytes they are is known elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use coxswain_dv_crypto::bls::{Commitments, KnowledgeProof, PUBLIC_LEN, SecretKey};

use super::ShareBytes;
use super::error::{Fault, Number};
use super::job::RawDealing;

/// The target of what is said to all.
pub(super) const NO_TARGET: u32 = 0;

/// A share index as messages have it; those of a ceremony fit.
pub(super) fn index_of(index: u64) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What an entry of a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryKey {
    /// The validator's position, from 0.
    pub validator: u32,
    /// Share index of who made it.
    pub source: u32,
    /// Share index of whom it is for; 0 for all.
    pub target: u32,
}

/// First round, to all: commitments to a polynomial and a proof that its secret is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// What it is about.
    pub key: EntryKey,
    /// The proof.
    pub proof: KnowledgeProof,
    /// Compressed points, lowest coefficient first, as many as the threshold.
    pub commitments: Vec<[u8; PUBLIC_LEN]>,
}

/// First round, to one: a value of the polynomial. Wiped when dropped, shown by no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    /// What it is about.
    pub key: EntryKey,
    /// Where the polynomial has the value: the target again.
    pub id: u32,
    /// The value, most significant byte first.
    pub value: ShareBytes,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("key", &self.key).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Second round, to all: what came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round2Cast {
    /// What it is about.
    pub key: EntryKey,
    /// The validator's key, compressed.
    pub verification_key: [u8; PUBLIC_LEN],
    /// The sender's public share, compressed.
    pub public_share: [u8; PUBLIC_LEN],
}

/// What a node sends in the first round.
#[derive(Debug)]
pub struct Round1 {
    /// To all others, by the reliable broadcast.
    pub casts: Vec<Cast>,
    /// By share index, to that node alone, over a connection that nobody else can read.
    pub shares: BTreeMap<u64, Vec<Share>>,
}

impl Cast {
    pub(super) fn new(key: EntryKey, proof: KnowledgeProof, commitments: &Commitments) -> Self {
        let commitments = commitments.points().iter().map(|point| point.to_bytes()).collect();
        Self { key, proof, commitments }
    }

    /// The checks that cost nothing; points are looked at in a job.
    pub(super) fn read(&self, threshold: usize) -> Result<RawDealing, Fault> {
        let found = self.commitments.len();
        if found != threshold {
            return Err(Fault::Commitments { found, threshold });
        }
        let proof = KnowledgeProof::from_bytes(&self.proof.response, &self.proof.challenge)
            .map_err(|why| Fault::Encoding { number: Number::Proof, why })?;
        Ok(RawDealing { proof, commitments: self.commitments.clone() })
    }
}

impl Share {
    pub(super) fn read(&self, own: u32) -> Result<SecretKey, Fault> {
        if self.id != own {
            return Err(Fault::ShareId { found: self.id, expected: own });
        }
        SecretKey::from_bytes(self.value.as_slice())
            .map_err(|why| Fault::Encoding { number: Number::Share, why })
    }
}

/// What all entries have.
pub(super) trait Entry {
    fn key(&self) -> EntryKey;
}

impl Entry for Cast {
    fn key(&self) -> EntryKey {
        self.key
    }
}

impl Entry for Share {
    fn key(&self) -> EntryKey {
        self.key
    }
}

impl Entry for Round2Cast {
    fn key(&self) -> EntryKey {
        self.key
    }
}

/// Whether an entry is from whom and for whom it should be, and about a validator of this ceremony.
pub(super) fn check_key(key: EntryKey, source: u32, target: u32, validators: usize) -> Result<(), Fault> {
    if key.source != source {
        return Err(Fault::Source { found: key.source });
    }
    if key.target != target {
        return Err(Fault::Target { found: key.target, expected: target });
    }
    if usize::try_from(key.validator).unwrap_or(usize::MAX) >= validators {
        return Err(Fault::Validator { validators });
    }
    Ok(())
}

/// The entries by validator: each is from whom and for whom it should be, and there is one for each validator.
/// Sorted in place, so that no copy of a share is left behind.
pub(super) fn in_order<T: Entry>(
    mut entries: Vec<T>,
    source: u64,
    target: u32,
    validators: usize,
) -> Result<Vec<T>, (Option<u32>, Fault)> {
    for entry in &entries {
        let key = entry.key();
        check_key(key, index_of(source), target, validators).map_err(|fault| (Some(key.validator), fault))?;
    }
    entries.sort_unstable_by_key(|entry| entry.key().validator);
    let mut before = None;
    let mut expected = 0;
    for entry in &entries {
        let found = entry.key().validator;
        if before == Some(found) {
            return Err((Some(found), Fault::Twice));
        }
        if found != expected {
            return Err((Some(expected), Fault::Missing));
        }
        (before, expected) = (Some(found), found.saturating_add(1));
    }
    if entries.len() == validators { Ok(entries) } else { Err((Some(expected), Fault::Missing)) }
}
