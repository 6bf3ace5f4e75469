//! What the commands of `slashing` share: where the store is, whose it is, and which chain it is of.

use std::path::{Path, PathBuf};
use std::time::Instant;

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_slashing::lease::{LeaseError, Locked, Lockless};
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::store::{FILE, KeyPair, Settings, Store, StoreError};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::Networks;

use super::super::Cx;
use super::super::error::CliError;
use super::beacon::BeaconArgs;
use super::run::LONGEST_WAIT;
use crate::dv::chain::{Chain, genesis_version};
use crate::dv::combine::read_lock;
use crate::dv::key;
use crate::dv::run::DIRECTORY;

/// Where a node's files are, as `run` has them.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StoreArgs {
    /// The lock of the cluster
    #[arg(long, value_name = "FILE", default_value = ".charon/cluster-lock.json")]
    lock_file: PathBuf,
    /// Do not check the hashes and signatures of the lock
    #[arg(long)]
    no_verify: bool,
    /// The key of this node; what was signed is in the directory `coxswain` beside it
    #[arg(long, value_name = "FILE", default_value = ".charon/charon-enr-private-key")]
    private_key_file: PathBuf,
}

/// A node, as far as its history needs it.
pub(super) struct Owner {
    pub(super) lock: Lock,
    /// Its validators, in the order of the lock.
    pub(super) pairs: Vec<KeyPair>,
    /// The store.
    pub(super) store: PathBuf,
    key: PathBuf,
}

/// Where the store of a node is.
pub(super) fn store_beside(key: &Path) -> PathBuf {
    key.parent().unwrap_or(Path::new(".")).join(DIRECTORY).join(FILE)
}

impl StoreArgs {
    pub(super) fn owner(&self, cx: &Cx) -> Result<Owner, CliError> {
        let path = cx.root.join(&self.lock_file);
        let what = || format!("checking the cluster lock {}", path.display());
        let (lock, checked) = read_lock(&path, &Networks::default()).map_err(|error| {
            CliError::other(what(), in_full(&error), "name the lock of the cluster with --lock-file")
        })?;
        match checked {
            // What contracts are asked about is who agreed to the cluster, and not whose a key is.
            Ok(_) => {}
            Err(problem) if self.no_verify => {
                cx.terminal.err(&format!("warning: {}: {problem} (--no-verify)\n", what()));
            }
            Err(problem) => {
                let next = "bring the file back from your backup, or from another operator";
                return Err(CliError::other(what(), problem, next));
            }
        }
        let key = cx.root.join(&self.private_key_file);
        let index = lock.definition.share_index(&key::load(&key)?.public());
        let node = index.and_then(|index| usize::try_from(index).ok()?.checked_sub(1));
        let pairs = node.and_then(|node| KeyPair::of_node(&lock, node)).ok_or_else(|| {
            let why = "it is the key of none of the operators of the cluster lock";
            let next = "name the key of this node with --private-key-file: its record is in the lock";
            CliError::other(format!("reading the node's key {}", key.display()), why, next)
        })?;
        Ok(Owner { lock, pairs, store: store_beside(&key), key })
    }
}

impl Owner {
    /// Makes sure that the node does not run, and does not start as long as the answer is kept. One that was just stopped
    /// is waited for.
    pub(super) fn stopped(&self) -> Result<Locked, CliError> {
        let refused = |error: LeaseError| {
            CliError::other("making sure that the node does not run", in_full(&error), error.next())
        };
        let locked = Locked::take(&self.key, Lockless::Refuse).map_err(refused)?;
        let begun = Instant::now();
        loop {
            let checked = locked.check(&hex::encode(&*self.lock.lock_hash), jiff::Timestamp::now());
            match checked.map_err(|error| (error.wait(), error)) {
                Ok(()) => return Ok(locked),
                Err((Some(wait), _)) if begun.elapsed() + wait <= LONGEST_WAIT => std::thread::sleep(wait),
                Err((_, error)) => return Err(refused(error)),
            }
        }
    }

    /// The store, to write to it; made where it is not there. The node must have [`Self::stopped`].
    pub(super) fn open(&self, what: &str, chain: &Chain) -> Result<Store, CliError> {
        let settings = Settings {
            genesis_validators_root: chain.genesis_validators_root,
            keys: self.pairs.clone(),
            disk: Disk::Local,
        };
        Store::open(&self.store, &settings).map_err(|error| refused(what, &error))
    }

    /// The store as it is, to read.
    pub(super) fn look(&self) -> Result<Store, CliError> {
        Store::look(&self.store, Disk::Local).map_err(|error| match error {
            StoreError::Gone { path } => CliError::other(
                format!("opening what was signed, {}", path.display()),
                "it is not there: this node has signed nothing yet with these keys",
                "name the node's key with --private-key-file; `coxswain dv run` and `dv slashing import` make the file",
            ),
            error => refused("opening what was signed", &error),
        })
    }

    /// The chain of the store, or of the lock where there is no store yet. Its clock is known for the networks of
    /// everybody; for others a beacon node says it.
    pub(super) fn chain(&self, cx: &Cx, beacon: &BeaconArgs) -> Result<Chain, CliError> {
        let stored = match Store::look(&self.store, Disk::Local) {
            Ok(store) => Some(store.chain()),
            Err(StoreError::Gone { .. }) => None,
            Err(error) => return Err(refused("opening what was signed", &error)),
        };
        let what = "finding the chain of the cluster";
        let version = &*self.lock.definition.fork_version;
        let (chain, named) = match beacon.all()? {
            None => {
                let chain = Chain::known(version).ok_or_else(|| {
                    let next = "name a beacon node of the network with --beacon-node-endpoints";
                    let why = format!(
                        "the fork version 0x{} of its lock is of none of the known networks",
                        hex::encode(version)
                    );
                    CliError::other(what, why, next)
                })?;
                (chain, "the known network with the fork version of the cluster lock is")
            }
            Some(backends) => {
                let config = cx.block_on(async {
                    let next = "check the address, and that the beacon node runs";
                    backends.config().await.map_err(|error| CliError::other(what, error, next))
                })?;
                if genesis_version(&config) != version {
                    let why = format!(
                        "the beacon node's network has the fork version 0x{}, and the cluster's 0x{}",
                        hex::encode(genesis_version(&config)),
                        hex::encode(version)
                    );
                    return Err(CliError::other(what, why, "name a beacon node of the cluster's network"));
                }
                (Chain::of(&config), "the beacon node is")
            }
        };
        match stored {
            Some(root) if root != chain.genesis_validators_root => Err(CliError::other(
                what,
                format!(
                    "what was signed is of the chain {}, and {named} of {}",
                    Bytes32::from(root),
                    Bytes32::from(chain.genesis_validators_root)
                ),
                "name a beacon node of the cluster's network with --beacon-node-endpoints",
            )),
            Some(_) | None => Ok(chain),
        }
    }

    /// The position of a validator in the lock.
    pub(super) fn position(&self, group: &Bytes48) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.group == *group)
    }
}

pub(super) fn refused(what: &str, error: &StoreError) -> CliError {
    CliError::other(what, in_full(error), error.next())
}

/// Rows with their columns side by side; the last one is as long as it is.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A key as people tell keys apart.
pub(super) fn short(key: &Bytes48) -> String {
    key.to_string().chars().take(18).collect::<String>() + "…"
}

/// A number that may be missing.
pub(super) fn or_none(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b", "c"], ["1000", "2", "-"], ["1", "…", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a     b  c\n1000  2  -\n1     …\n");
    }
}
