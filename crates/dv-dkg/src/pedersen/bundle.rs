//! What nodes say in a run. A bundle is signed by the key of its author, over a hash of its entries in the order of
//! indices.

use std::fmt;

use coxswain_dv_crypto::bls::{PUBLIC_LEN, PublicKey, SECRET_LEN, SecretKey, Signature, verify_basic};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The name of a run.
pub type SessionId = [u8; 32];

/// A signed bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<B> {
    /// What was signed.
    pub bundle: B,
    /// By the key of the author.
    pub signature: Signature,
}

/// What the three kinds have in common.
pub trait Bundle {
    /// The index of the node that made it.
    fn author(&self) -> u32;
    /// The run that it is about.
    fn session(&self) -> &SessionId;
    /// What is signed.
    fn hash(&self) -> [u8; 32];
}

impl<B: Bundle> Signed<B> {
    /// Signs.
    #[must_use]
    pub fn new(bundle: B, key: &SecretKey) -> Self {
        let signature = key.sign_basic(&bundle.hash());
        Self { bundle, signature }
    }

    /// Whether it is signed by this key.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        verify_basic(key, &self.bundle.hash(), &self.signature)
    }
}

/// A dealer's shares for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deals {
    /// Who deals.
    pub dealer: u32,
    /// Commitments to its polynomial, lowest coefficient first, compressed.
    pub commitments: Vec<[u8; PUBLIC_LEN]>,
    /// Who is to read, and what only it can; ascending.
    pub deals: Vec<(u32, Vec<u8>)>,
    /// The run.
    pub session: SessionId,
}

/// What a node says of the shares that it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Who says it.
    pub holder: u32,
    /// Dealers, and what their shares are; ascending.
    pub responses: Vec<(u32, Verdict)>,
    /// The run.
    pub session: SessionId,
}

/// What a share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits the commitments.
    Good,
    /// It is not there, or does not fit.
    Complaint,
}

/// A share that was complained about, in clear. Shown by no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Justification {
    /// Whose share it is.
    pub holder: u32,
    /// The share, most significant byte first.
    pub share: Zeroizing<[u8; SECRET_LEN]>,
}

impl fmt::Debug for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Justification").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// A dealer's answer to complaints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Justifications {
    /// Who dealt.
    pub dealer: u32,
    /// The shares; ascending.
    pub justifications: Vec<Justification>,
    /// The run.
    pub session: SessionId,
}

/// Entries by their index. Equal indices stay as they came; nobody who keeps the rules sends them.
fn sorted<T>(entries: &[T], index: impl Fn(&T) -> u32) -> Vec<&T> {
    let mut entries: Vec<&T> = entries.iter().collect();
    entries.sort_by_key(|entry| index(entry));
    entries
}

impl Bundle for Deals {
    fn author(&self) -> u32 {
        self.dealer
    }

    fn session(&self) -> &SessionId {
        &self.session
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.dealer.to_be_bytes());
        for point in &self.commitments {
            hash.update(point);
        }
        for (holder, sealed) in sorted(&self.deals, |(holder, _)| *holder) {
            hash.update(holder.to_be_bytes());
            hash.update(sealed);
        }
        hash.update(self.session);
        hash.finalize().into()
    }
}

impl Bundle for Responses {
    fn author(&self) -> u32 {
        self.holder
    }

    fn session(&self) -> &SessionId {
        &self.session
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.holder.to_be_bytes());
        for (dealer, verdict) in sorted(&self.responses, |(dealer, _)| *dealer) {
            hash.update(dealer.to_be_bytes());
            hash.update([u8::from(*verdict == Verdict::Good)]);
        }
        hash.update(self.session);
        hash.finalize().into()
    }
}

impl Bundle for Justifications {
    fn author(&self) -> u32 {
        self.dealer
    }

    fn session(&self) -> &SessionId {
        &self.session
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.dealer.to_be_bytes());
        for entry in sorted(&self.justifications, |entry| entry.holder) {
            hash.update(entry.holder.to_be_bytes());
            hash.update(entry.share.as_slice());
        }
        hash.update(self.session);
        hash.finalize().into()
    }
}
