//! The directories of all nodes of a cluster, made in one place.
//!
//! ```text
//! secrets, identities ─seal (pure)→ lock, deposits ─verified→ files in a staging directory → all in place at once
//! ```

use std::path::{Path, PathBuf};

use coxswain_dv_cluster::{Seal, SealError, Sealed, deal, keystore, seal_with};
use coxswain_dv_crypto::bls::{BlsError, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_keystore::Cost;
use coxswain_dv_slashing::interchange::Interchange;
use coxswain_dv_slashing::store::KeyPair;
use coxswain_dv_types::cluster::{Definition, Lock, Problem};
use coxswain_dv_types::hash::HashError;
use coxswain_dv_types::network::{Network, Networks};

use super::disk::{DiskError, Mode};
use super::history;
use super::keystores::{DIRECTORY, side_by_side};
use super::staging::Staging;
use super::{LOCK, key};

/// What is made.
pub struct Cluster<'a> {
    /// Settings that were checked; operators without addresses.
    pub definition: Definition,
    /// Its network.
    pub network: &'a Network,
    /// All networks there are.
    pub networks: &'a Networks,
    /// The whole keys, one of each validator.
    pub secrets: &'a [SecretKey],
    /// The time of registrations with builders: seconds since 1970.
    pub registered_at: u64,
    /// Of keystores.
    pub cost: Cost,
    /// What the whole keys have signed, where they are not new.
    pub history: Option<&'a Interchange>,
}

/// What was made.
#[derive(Debug)]
pub struct Created {
    /// The cluster.
    pub lock: Lock,
    /// The directories, in the order of share indexes.
    pub nodes: Vec<PathBuf>,
    /// Names of the deposit files in each of them.
    pub deposits: Vec<String>,
}

impl Created {
    /// The names of the directories.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        (0..self.nodes.len()).map(name_of).collect()
    }
}

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A node is there already.
    #[error("{} is there already", path.display())]
    Exists {
        /// Its directory.
        path: PathBuf,
    },
    /// What an earlier run had begun was put in place.
    #[error("an earlier run was cut off when its cluster was complete: {} put in place now", names.join(", "))]
    Finished {
        /// The directories.
        names: Vec<String>,
    },
    /// Splitting.
    #[error(transparent)]
    Split(#[from] BlsError),
    /// Making.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Encoding.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The lock does not verify: nothing was written.
    #[error("the new lock does not verify: {0}")]
    Wrong(Problem),
    /// Writing.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The directory of a node, from 0.
fn name_of(node: usize) -> String {
    format!("node{node}")
}

/// Refuses where a node of this number would be in the way of what is there.
fn check_free(target: &Path, nodes: usize) -> Result<(), CreateError> {
    for node in 0..nodes {
        let path = target.join(name_of(node));
        let is_free = match std::fs::read_dir(&path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(CreateError::Exists { path });
        }
    }
    Ok(())
}

/// Makes the cluster below a directory. `progress` is told how many keystores of how many are made, from any thread.
///
/// # Errors
/// [`CreateError`]; nothing of the cluster is then found in its place.
pub fn create(
    target: &Path,
    cluster: Cluster<'_>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Created, CreateError> {
    let Cluster { definition, network, networks, secrets, registered_at, cost, history } = cluster;
    let (count, threshold) = (definition.operators.len(), definition.threshold);
    let (staging, finished) = Staging::begin(target)?;
    if !finished.is_empty() {
        return Err(CreateError::Finished { names: finished });
    }
    check_free(target, count)?;
    let mut rng = rand::rng();
    let nodes: Vec<IdentityKey> = (0..count).map(|_| IdentityKey::generate(&mut rng)).collect();
    let shares = deal(secrets, count as u64, threshold, &mut rng)?;
    let parts = Seal { definition, network, secrets, shares: &shares, nodes: &nodes, registered_at };
    let Sealed { lock, deposits } = seal_with(parts, |count, work| side_by_side(count, work))?;
    // Nothing leaves that others would refuse. No contract has to be asked: these operators have signed nothing, and a
    // creator's signature was checked with the definition.
    lock.verify_on(networks, &|count, work| drop(side_by_side(count, work))).map_err(CreateError::Wrong)?;
    let lock_text = lock.to_json()?;
    for (node, identity) in nodes.iter().enumerate() {
        let dir = name_of(node);
        staging.directory(&format!("{dir}/{DIRECTORY}"))?;
        staging.file(&format!("{dir}/{}", key::FILE), Mode::OwnerWrites, identity.to_text().as_bytes())?;
        for file in &deposits {
            staging.file(&format!("{dir}/{}", file.name), Mode::AllRead, file.text.as_bytes())?;
        }
        staging.file(&format!("{dir}/{LOCK}"), Mode::OwnerReads, lock_text.as_bytes())?;
        if let Some(history) = history {
            let pairs = KeyPair::of_node(&lock, node).expect("a lock that was verified has keys");
            let text = history::of_node(history, &pairs).to_text();
            staging.file(&format!("{dir}/{}", history::FILE), Mode::AllRead, text.as_bytes())?;
        }
    }
    let total = count * secrets.len();
    let made = std::sync::atomic::AtomicUsize::new(0);
    let written = side_by_side(total, |at| {
        let (validator, node) = (at / count, at % count);
        let files = keystore(validator as u64, &shares[node][validator], cost, &mut rand::rng());
        let dir = format!("{}/{DIRECTORY}", name_of(node));
        staging.file(
            &format!("{dir}/{}", files.password_name),
            Mode::OwnerReads,
            files.password.as_bytes(),
        )?;
        staging.file(&format!("{dir}/{}", files.name), Mode::AllRead, files.text.as_bytes())?;
        progress(made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, total);
        Ok::<(), DiskError>(())
    });
    written.into_iter().collect::<Result<(), DiskError>>()?;
    staging.commit()?;
    Ok(Created {
        lock,
        nodes: (0..count).map(|node| target.join(name_of(node))).collect(),
        deposits: deposits.into_iter().map(|file| file.name).collect(),
    })
}
