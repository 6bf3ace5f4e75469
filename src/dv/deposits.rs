//! Deposits that the nodes of a cluster sign one by one, through an API that keeps their parts.
//!
//! ```text
//! lock, key, keystores ─load→ Signer ─sign (dv-cluster)→ partial deposits ─send→ API
//! API ─fetch→ partial signatures ─verified, put together (dv-cluster)→ deposits ─write→ files
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_cluster::{
    DepositFile, FetchedDeposits, Missing, OwnShares, ShareError, Whole, WholeError, own_shares, submission,
    whole_deposits,
};
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::deposit::DepositData;
use coxswain_dv_types::json::JsonError;
use coxswain_dv_types::network::Network;

use super::disk::{self, DiskError, Mode};
use super::http::{Client, HttpError, Request, Sent};
use super::key::{self, KeyError};
use super::keystores::{self, KeystoresError};
use super::obol_api::ObolApi;

/// Largest answer about one validator: 256 amounts with the signatures of 256 nodes have 20 MB, and nobody has those.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// Why a node cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is of another cluster.
    #[error("{} is the key of no node of the lock", path.display())]
    NoNode {
        /// The key.
        path: PathBuf,
    },
    /// Its keystores.
    #[error(transparent)]
    Keystores(#[from] KeystoresError),
    /// Its keystores are not those of the lock.
    #[error("{}", path.display())]
    Shares {
        /// Their directory.
        path: PathBuf,
        /// What is wrong.
        source: ShareError,
    },
}

/// A node that signs for validators.
#[derive(Debug)]
pub struct Signer {
    /// Which of the cluster it is.
    pub share_index: u64,
    /// Its keys.
    pub shares: OwnShares,
}

impl Signer {
    /// Reads the keys of a node of this cluster.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn load(lock: &Lock, key: &Path, keystores: &Path, missing: Missing) -> Result<Signer, SignerError> {
        let identity = key::load(key)?;
        let share_index = lock.definition.share_index(&identity.public());
        let share_index = share_index.ok_or_else(|| SignerError::NoNode { path: key.to_owned() })?;
        let secrets = match missing {
            Missing::Refuse => keystores::load_sequence(keystores)?,
            Missing::Allow => keystores::load_any(keystores)?,
        };
        let shares = own_shares(lock, share_index, &secrets, missing)
            .map_err(|source| SignerError::Shares { path: keystores.to_owned(), source })?;
        Ok(Signer { share_index, shares })
    }
}

/// An API, and how long one request to it may take.
#[derive(Debug)]
pub struct Api {
    /// Where it is.
    pub at: ObolApi,
    /// For one request.
    pub timeout: Duration,
}

/// Sends a node's partial deposits, all of them in one message.
///
/// # Errors
/// [`HttpError`]; whether the API has them is then not known, and they may be sent again.
pub async fn send(
    client: &Client,
    api: &Api,
    lock_hash: &[u8],
    share_index: u64,
    partials: &[DepositData],
) -> Result<Sent, HttpError> {
    let path = format!("/deposit_data/partial_deposits/0x{}/{share_index}", hex::encode(lock_hash));
    let url = api.at.at_root(&path);
    let request = Request { timeout: api.timeout, ..Request::post(&url, submission(partials)) };
    client.publish(&request).await
}

/// Why deposits were not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The API has nothing.
    #[error("the API has no partial deposit of the validator {key}")]
    Nothing {
        /// Its public key, `0x` and hex.
        key: String,
    },
    /// The answer is none.
    #[error("the API's answer about the validator {key}")]
    Answer {
        /// Its public key, `0x` and hex.
        key: String,
        /// What is wrong with it.
        source: JsonError,
    },
    /// No deposit comes of the answer.
    #[error("the deposit of the validator {key}")]
    Whole {
        /// Its public key, `0x` and hex.
        key: String,
        /// Why not.
        source: WholeError,
    },
}

/// Fetches what nodes have signed for one validator, and puts it together. Nothing of the answer is believed that is not
/// verified with the lock.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    client: &Client,
    api: &Api,
    (lock, network): (&Lock, &Network),
    position: usize,
) -> Result<Whole, FetchError> {
    let validator = &lock.validators[position];
    let key = format!("0x{}", hex::encode(&*validator.public_key));
    let url = api.at.at_root(&format!("/deposit_data/0x{}/{key}", hex::encode(&*lock.lock_hash)));
    let request = Request { timeout: api.timeout, max_answer_bytes: MAX_ANSWER_BYTES, ..Request::get(&url) };
    let Some(body) = client.find(&request).await? else { return Err(FetchError::Nothing { key }) };
    let fetched = match FetchedDeposits::parse(&body) {
        Ok(fetched) => fetched,
        Err(source) => return Err(FetchError::Answer { key, source }),
    };
    whole_deposits(validator, lock.definition.threshold, network, &fetched)
        .map_err(|source| FetchError::Whole { key, source })
}

/// Writes deposit files into a directory, which is made where it is not there. Nothing is replaced.
///
/// # Errors
/// [`DiskError`]; before anything is written, where a file of one of the names is there.
pub fn write(dir: &Path, files: &[DepositFile]) -> Result<(), DiskError> {
    for file in files {
        let path = dir.join(&file.name);
        if path.symlink_metadata().is_ok() {
            return Err(DiskError::Exists { path });
        }
    }
    disk::make_directory(dir)?;
    disk::sweep(dir)?;
    files.iter().try_for_each(|file| disk::create(&dir.join(&file.name), Mode::AllRead, file.text.as_bytes()))
}
