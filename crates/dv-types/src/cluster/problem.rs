//! What is wrong with a file, and where.

use coxswain_dv_crypto::bls::BlsError;
use coxswain_dv_crypto::k1::{AddressError, K1Error};

use crate::Root;
use crate::enr::EnrError;
use crate::hash::HashError;
use crate::json::Bytes;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {wrong}")]
pub struct Problem {
    /// Where, like `cluster_definition.operators[2].enr_signature`.
    pub path: String,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A hash is not that of the content.
    #[error(
        "it is {stored:?}, and the content has 0x{}: the file was changed or damaged",
        hex::encode(computed)
    )]
    Hash {
        /// As it stands in the file.
        stored: Bytes,
        /// As it should be.
        computed: Root,
    },
    /// The content has no hash.
    #[error("it cannot be computed: {0}")]
    NoHash(HashError),
    /// Something has to be there.
    #[error("it is missing")]
    Missing,
    /// Something has not to be there.
    #[error("files of version {version} have none")]
    Unexpected {
        /// The file's version.
        version: &'static str,
    },
    /// Nobody signed as an operator, and that needs somebody who does.
    #[error("nobody signed it: a file has no creator only where operators have yet to sign")]
    NoCreator,
    /// A signature or key of another length.
    #[error("it has {found} bytes, and should have {expected}")]
    Length {
        /// Bytes.
        found: usize,
        /// How many, in words where there is a choice.
        expected: &'static str,
    },
    /// A number of items that does not fit another one.
    #[error("there are {found}, and should be {expected}, one for each {of}")]
    Count {
        /// How many.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// What they belong to.
        of: &'static str,
    },
    /// Some operators signed, others did not.
    #[error("{unsigned} of {operators} operators did not sign; either all sign or none")]
    PartlySigned {
        /// Who did not.
        unsigned: usize,
        /// All.
        operators: usize,
    },
    /// No shares can be put together so.
    #[error("it is {threshold}, and there are {shares} shares")]
    Threshold {
        /// The threshold.
        threshold: u64,
        /// Shares.
        shares: usize,
    },
    /// No network has this fork version.
    #[error("no network is known with fork version {fork_version:?}; a network of one's own has to be named")]
    Network {
        /// As it stands in the file.
        fork_version: Bytes,
    },
    /// An address that is needed is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A node record that is needed is none.
    #[error(transparent)]
    Enr(#[from] EnrError),
    /// A signature over secp256k1.
    #[error("the signature is not valid: {0}")]
    Identity(#[from] K1Error),
    /// A signature over secp256k1 that somebody else made.
    #[error("the signature is not valid: {signer} made it")]
    OtherSigner {
        /// Whose signature it is.
        signer: coxswain_dv_crypto::k1::Address,
    },
    /// A key or signature of BLS12-381.
    #[error(transparent)]
    Bls(#[from] BlsError),
    /// A signature of BLS12-381.
    #[error("the signature is not valid")]
    Signature,
    /// A key is there twice.
    #[error("it is the same as {other}")]
    Twice {
        /// Where else.
        other: String,
    },
    /// Public shares that are not those of the validator's key.
    #[error("shares 1 to {}, with it, do not give the validator's key", threshold - 1)]
    Share {
        /// How many shares give the key.
        threshold: u64,
    },
}

impl Problem {
    /// At a place.
    pub fn new(path: impl Into<String>, wrong: impl Into<Wrong>) -> Problem {
        Problem { path: path.into(), wrong: wrong.into() }
    }

    /// In something larger.
    pub fn within(self, outer: &str) -> Problem {
        Problem { path: format!("{outer}.{}", self.path), wrong: self.wrong }
    }
}

/// Compares a hash with that of the content.
pub(super) fn check_hash(
    path: &str,
    stored: &Bytes,
    computed: Result<Root, HashError>,
) -> Result<Root, Problem> {
    let computed = computed.map_err(|error| Problem::new(path, Wrong::NoHash(error)))?;
    if **stored != computed {
        return Err(Problem::new(path, Wrong::Hash { stored: stored.clone(), computed }));
    }
    Ok(computed)
}
