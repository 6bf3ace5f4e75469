//! The whole keys of a cluster's validators, from the directories of its nodes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coxswain_dv_cluster::{CombineError, NodeKeys, keystore};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_keystore::{Cost, KeystoreName};
use coxswain_dv_types::cluster::{ContractQuestion, Lock, Problem};
use coxswain_dv_types::json::JsonError;
use coxswain_dv_types::network::Networks;

use super::LOCK;
use super::contracts::{Contracts, Unsettled};
use super::disk::{self, DiskError, Mode};
use super::keystores::{self, DIRECTORY, KeystoresError, side_by_side};

/// Largest lock that is read: 65 536 validators of 10 nodes have less.
const MAX_LOCK_BYTES: u64 = 512 << 20;

/// Why no keys were combined.
#[derive(Debug, thiserror::Error)]
pub enum CombineFailure {
    /// There is no node.
    #[error("no directory below {} has a {DIRECTORY} directory", path.display())]
    NoNode {
        /// Where.
        path: PathBuf,
    },
    /// A file or directory.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A lock that cannot be read.
    #[error("{}", path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: JsonError,
    },
    /// A lock that does not verify.
    #[error("{}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Problem,
    },
    /// A signature of a lock that no contract confirms.
    #[error("{}", path.display())]
    Unsettled {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: Box<Unsettled>,
    },
    /// Locks of two clusters.
    #[error("{} and {} are of different clusters", first.display(), second.display())]
    Different {
        /// A lock.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// Keystores of a node.
    #[error(transparent)]
    Keystores(#[from] KeystoresError),
    /// The keys do not fit.
    #[error(transparent)]
    Combine(#[from] CombineError),
    /// There are keystores where they would be written.
    #[error("{} has keystores already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The keys would be written among the shares they were made of.
    #[error("{} has the shares of a node", path.display())]
    Shares {
        /// Where.
        path: PathBuf,
    },
    /// Writing.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What is done about locks that do not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// They are refused.
    Refuse,
    /// They are used, and what is wrong is told.
    Warn,
}

/// What was combined.
#[derive(Debug)]
pub struct Combined {
    /// The cluster.
    pub lock: Lock,
    /// The nodes whose keys were used.
    pub nodes: Vec<PathBuf>,
    /// What is wrong with locks that were used nevertheless.
    pub warnings: Vec<String>,
    /// The whole keys, in the order of the lock.
    pub secrets: Vec<SecretKey>,
}

/// Reads a lock, and checks it as far as that can be done without asking contracts.
///
/// # Errors
/// [`CombineFailure::Read`], [`CombineFailure::Lock`].
pub fn read_lock(
    path: &Path,
    networks: &Networks,
) -> Result<(Lock, Result<Vec<ContractQuestion>, Problem>), CombineFailure> {
    let failed = |source| CombineFailure::Read { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_LOCK_BYTES {
        return Err(failed(io::Error::other(format!(
            "it has {length} bytes; {MAX_LOCK_BYTES} are read at most"
        ))));
    }
    let text = fs::read(path).map_err(failed)?;
    let lock = Lock::parse(&text).map_err(|source| CombineFailure::Lock { path: path.to_owned(), source })?;
    let checked = lock.verify_on(networks, &|count, work| drop(side_by_side(count, work)));
    Ok((lock, checked))
}

/// Directories with keystores below a directory, in the order of their names.
fn nodes_below(dir: &Path) -> Result<Vec<PathBuf>, CombineFailure> {
    let failed = |source| CombineFailure::Read { path: dir.to_owned(), source };
    let mut nodes = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join(DIRECTORY).is_dir() {
            nodes.push(path);
        }
    }
    nodes.sort();
    match nodes.is_empty() {
        true => Err(CombineFailure::NoNode { path: dir.to_owned() }),
        false => Ok(nodes),
    }
}

/// The nodes below a directory, and the lock they have.
#[derive(Debug)]
pub struct Nodes {
    lock: Lock,
    dirs: Vec<PathBuf>,
    warnings: Vec<String>,
}

/// Finds the nodes below a directory and checks their locks. No keystore is opened.
///
/// # Errors
/// [`CombineFailure`].
pub async fn find(
    cluster_dir: &Path,
    networks: &Networks,
    unverified: Unverified,
    contracts: &Contracts,
) -> Result<Nodes, CombineFailure> {
    let dirs = nodes_below(cluster_dir)?;
    let mut warnings = Vec::new();
    let mut warn = |failure: CombineFailure| {
        let source = std::error::Error::source(&failure).map(|why| format!(": {why}"));
        match unverified {
            Unverified::Refuse => Err(failure),
            Unverified::Warn => {
                warnings.push(format!("{failure}{}", source.unwrap_or_default()));
                Ok(())
            }
        }
    };
    let mut lock: Option<Lock> = None;
    for node in &dirs {
        let path = node.join(LOCK);
        let (found, checked) = read_lock(&path, networks)?;
        let checked = match checked {
            Ok(questions) => contracts
                .settle(&questions)
                .await
                .map_err(|source| CombineFailure::Unsettled { path: path.clone(), source: Box::new(source) }),
            Err(source) => Err(CombineFailure::Wrong { path: path.clone(), source }),
        };
        if let Err(failure) = checked {
            warn(failure)?;
        }
        match &lock {
            Some(first) if first.lock_hash != found.lock_hash => {
                warn(CombineFailure::Different { first: dirs[0].join(LOCK), second: path })?;
            }
            Some(_) => {}
            None => lock = Some(found),
        }
    }
    Ok(Nodes { lock: lock.expect("there is a node"), dirs, warnings })
}

/// Opens the keystores of the nodes and combines their keys. Nothing is written.
///
/// # Errors
/// [`CombineFailure::Keystores`], [`CombineFailure::Combine`].
pub fn combine(nodes: Nodes) -> Result<Combined, CombineFailure> {
    let Nodes { lock, dirs, warnings } = nodes;
    let keys = dirs.iter().map(|node| {
        let secrets = keystores::load_sequence(&node.join(DIRECTORY))?;
        Ok(NodeKeys { from: node.display().to_string(), secrets })
    });
    let keys: Vec<NodeKeys> = keys.collect::<Result<_, KeystoresError>>()?;
    let secrets = coxswain_dv_cluster::combine(&lock, &keys)?;
    Ok(Combined { lock, nodes: dirs, warnings, secrets })
}

/// What is done with keystores that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTheWay {
    /// Nothing is written.
    Refuse,
    /// They are removed, with their passwords.
    Remove,
}

/// Writes the keys as keystores 0, 1, 2 … Shares of the nodes they were made of are never in the way.
///
/// # Errors
/// [`CombineFailure::Exists`], [`CombineFailure::Shares`] and [`CombineFailure::Disk`].
pub fn write(dir: &Path, combined: &Combined, in_the_way: InTheWay) -> Result<(), CombineFailure> {
    let secrets = &combined.secrets;
    let is_here = |node: &PathBuf| {
        let shares = fs::canonicalize(node.join(DIRECTORY));
        shares.is_ok_and(|shares| fs::canonicalize(dir).is_ok_and(|dir| dir == shares))
    };
    if combined.nodes.iter().any(is_here) {
        return Err(CombineFailure::Shares { path: dir.to_owned() });
    }
    disk::make_directory(dir)?;
    disk::sweep(dir)?;
    let failed = |source| CombineFailure::Read { path: dir.to_owned(), source };
    let mut there = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_password =
            name.strip_suffix(".txt").is_some_and(|stem| KeystoreName::of(&format!("{stem}.json")).is_some());
        if is_password || KeystoreName::of(&name).is_some() {
            there.push(path);
        }
    }
    match in_the_way {
        InTheWay::Refuse if !there.is_empty() => return Err(CombineFailure::Exists { path: dir.to_owned() }),
        InTheWay::Refuse => {}
        InTheWay::Remove => {
            for path in &there {
                fs::remove_file(path).map_err(|source| DiskError::Refused {
                    doing: "removing",
                    path: path.clone(),
                    source,
                })?;
            }
        }
    }
    let written = side_by_side(secrets.len(), |at| {
        let files = keystore(at as u64, &secrets[at], Cost::Normal, &mut rand::rng());
        // A keystore without its password is of no use: the password comes first.
        disk::create(&dir.join(files.password_name), Mode::OwnerReads, files.password.as_bytes())?;
        disk::create(&dir.join(files.name), Mode::AllRead, files.text.as_bytes())
    });
    Ok(written.into_iter().collect::<Result<(), DiskError>>()?)
}
