//! The files of a node's directory.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_slashing::lease::{self, Applicant, LeaseError};
use coxswain_dv_slashing::machine::{Disk, Machine};
use coxswain_dv_slashing::store::{FILE, Store, StoreError};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::{Lock, LowThreshold};
use coxswain_dv_types::keylock::Refusal;
use coxswain_dv_types::network::Networks;

use super::disk::disk;
use super::keys::{Keystores, keystores};
use super::{Item, hash_of, name_of};
use crate::dv::chain::Chain;
use crate::dv::combine::read_lock;
use crate::dv::contracts::{Contracts, Unsettled};
use crate::dv::run::DIRECTORY;
use crate::dv::{LOCK, key};

/// What others may not do with a file that decides what a node signs.
const OTHERS_WRITE: u32 = 0o022;
/// What others may not do with a secret.
const OTHERS: u32 = 0o077;
/// The version of locks that charon before v1.11 does not read.
const NEWEST: &str = "v1.11.0";

/// What is known of the cluster afterwards.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Its lock, where it could be read.
    pub lock: Option<Lock>,
    /// The chain of the store, where there is one.
    pub stored: Option<Root>,
}

/// Looks at everything in a node's directory.
pub async fn examine(
    dir: &Path,
    networks: &Networks,
    contracts: &Contracts,
    opened: Keystores,
) -> (Vec<Item>, Cluster) {
    let mut items = Vec::new();
    let (item, lock) = lock(&dir.join(LOCK), networks, contracts).await;
    items.push(item);
    if let Some(lock) = &lock {
        items.extend([version(lock), network(lock, networks), threshold(lock)]);
    }
    let path = dir.join(key::FILE);
    let (item, index) = identity(&path, lock.as_ref());
    items.push(item);
    items.extend([modes(dir, &path), disk(dir)]);
    items.push(keystores(dir, lock.as_ref().zip(index), opened));
    items.push(in_use(&path, lock.as_ref()));
    let (item, stored) = store(&dir.join(DIRECTORY).join(FILE), lock.as_ref());
    items.push(item);
    (items, Cluster { lock, stored })
}

async fn lock(path: &Path, networks: &Networks, contracts: &Contracts) -> (Item, Option<Lock>) {
    let what = "lock";
    let backup = "bring the file back from your backup, or from another operator";
    let (lock, checked) = match read_lock(path, networks) {
        Ok(read) => read,
        Err(error) => return (Item::problem(what, in_full(&error), backup), None),
    };
    let questions = match checked {
        Ok(questions) => questions,
        Err(problem) => return (Item::problem(what, format!("{problem}"), backup), Some(lock)),
    };
    let item = match contracts.settle(&questions).await {
        Ok(()) => {
            let (validators, nodes) = (lock.validators.len(), lock.definition.operators.len());
            let name = &lock.definition.name;
            Item::ok(
                what,
                format!("{name:?}: {validators} validators, {nodes} nodes; hashes and signatures are right"),
            )
        }
        Err(unsettled @ Unsettled::NotAsked(_)) => {
            Item::warning(what, unsettled.to_string(), unsettled.next())
        }
        Err(unsettled) => Item::problem(what, unsettled.to_string(), unsettled.next()),
    };
    (item, Some(lock))
}

/// Which programs read it.
fn version(lock: &Lock) -> Item {
    let version = lock.definition.version.name;
    let who = match version {
        NEWEST => "this program and charon from v1.11 on read it; charon v1.10 does not",
        _ => "this program and charon v1.10 and v1.11 read it",
    };
    Item::ok("version", format!("{version}: {who}"))
}

fn network(lock: &Lock, networks: &Networks) -> Item {
    let what = "network";
    match lock.definition.network(networks) {
        Ok(network) => Item::ok(what, network.name.to_string()),
        Err(problem) => Item::problem(
            what,
            format!("{problem}"),
            "on a network of your own give the four --testnet flags; otherwise update this program",
        ),
    }
}

fn threshold(lock: &Lock) -> Item {
    let what = "threshold";
    let (threshold, nodes) = (lock.definition.threshold, lock.definition.operators.len());
    match lock.definition.check_threshold(LowThreshold::Refuse) {
        Ok(()) => Item::ok(what, format!("{threshold} of {nodes} nodes sign")),
        Err(refused) => Item::problem(
            what,
            refused.to_string(),
            "a cluster like this is not safe: make a new one. `run` refuses it without --allow-low-threshold",
        ),
    }
}

/// The node's key, and its share index in the lock.
fn identity(path: &Path, lock: Option<&Lock>) -> (Item, Option<u64>) {
    let what = "key";
    let loaded: IdentityKey = match key::load(path) {
        Ok(loaded) => loaded,
        Err(error) => {
            let next = "bring the file back from your backup: without it this node is of no cluster";
            return (Item::problem(what, in_full(&error), next), None);
        }
    };
    let Some(lock) = lock else {
        return (Item::warning(what, "whose it is is not known without the lock", "mend the lock"), None);
    };
    match lock.definition.share_index(&loaded.public()) {
        Some(index) => {
            let nodes = lock.definition.operators.len();
            (Item::ok(what, format!("it is of {}, one of {nodes} nodes", name_of(index))), Some(index))
        }
        None => {
            let next = "put key and lock of one cluster together: this key's record is not in the lock";
            (Item::problem(what, "it is of none of the operators of the lock", next), None)
        }
    }
}

/// Who may read and write what.
fn modes(dir: &Path, key: &Path) -> Item {
    let what = "modes";
    let mode = |path: &Path| fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o7777);
    let shown = |path: &Path| format!("{} has the mode {:o}", path.display(), mode(path));
    let written: Vec<PathBuf> = [dir.to_owned(), key.to_owned(), dir.join(LOCK), dir.join(DIRECTORY)].into();
    if let Some(path) = written.iter().find(|path| mode(path) & OTHERS_WRITE != 0) {
        let found = format!("{}: others than its owner may write there", shown(path));
        return Item::problem(what, found, "take the others' right to write away, as in `chmod go-w`");
    }
    let passwords = super::keys::passwords(dir);
    match passwords.iter().chain([&key.to_owned()]).find(|path| mode(path) & OTHERS != 0) {
        Some(path) => {
            let found = format!("{}: others than its owner may read a secret", shown(path));
            Item::warning(what, found, "take the others' rights away, as in `chmod go=`")
        }
        None => Item::ok(what, "only the owner reads the secrets and writes"),
    }
}

/// Whether another node uses the key.
fn in_use(path: &Path, lock: Option<&Lock>) -> Item {
    let what = "in use";
    let applicant = Applicant {
        command: "coxswain dv doctor".to_owned(),
        cluster_lock_hash: hash_of(lock),
        machine: Machine::this(),
        disk: Disk::Local,
        takes_over_from: None,
    };
    let error = match lease::look(path, &applicant, jiff::Timestamp::now()) {
        Ok(_) => return Item::ok(what, "no node uses the key"),
        Err(error) => error,
    };
    let (found, next) = (in_full(&error), error.next());
    match &error {
        LeaseError::Refused { source: Refusal::InUse { command, .. }, .. } if gave_back(path, command) => {
            let seconds = error.wait().unwrap_or_default().as_secs() + 1;
            Item::ok(
                what,
                format!(
                    "no node uses the key: `{command}` gave it back a moment ago, and the next one has it in {seconds} s"
                ),
            )
        }
        LeaseError::Held { .. } | LeaseError::Refused { source: Refusal::InUse { .. }, .. } => {
            let next = "stop that node before another one starts with this key";
            Item::warning(what, found, next)
        }
        LeaseError::Refused { source: Refusal::Resting { .. }, .. } => Item::warning(what, found, next),
        LeaseError::Foreign { host, .. } | LeaseError::Copied { host, .. } => {
            Item::problem(what, found, next.replace("HOST", host))
        }
        LeaseError::Io { .. }
        | LeaseError::Disk { .. }
        | LeaseError::Claim { .. }
        | LeaseError::Refused { source: Refusal::Future { .. }, .. }
        | LeaseError::Record { .. }
        | LeaseError::Lost { .. } => Item::problem(what, found, next),
    }
}

/// Longest record of who has a key that is read; ours have less than 500 bytes.
const MAX_RECORD: u64 = 64 << 10;

/// Whether a command that has claimed the key has given it back since. The claim stays, and has no word for it.
fn gave_back(key: &Path, command: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Record {
        command: String,
        is_free: bool,
    }
    let mut text = Vec::new();
    // What is longer is none of ours; what cannot be read says nothing.
    if let Ok(file) = fs::File::open(lease::record_path(key)) {
        let _ = file.take(MAX_RECORD).read_to_end(&mut text);
    }
    serde_json::from_slice::<Record>(&text).is_ok_and(|record| record.is_free && record.command == command)
}

/// What was signed, and of which chain.
fn store(path: &Path, lock: Option<&Lock>) -> (Item, Option<Root>) {
    let what = "history";
    let store = match Store::look(path, Disk::Local) {
        Ok(store) => store,
        Err(StoreError::Gone { .. }) if !counted(path) => {
            let found = "there is none: this program has signed nothing with these keys";
            let next = "if another program signed with them, `coxswain dv slashing import` takes up its history; without one \
                        `dv run` signs nothing before the epoch after the one it starts in is over";
            return (Item::warning(what, found, next), None);
        }
        Err(error @ StoreError::Held { .. }) => {
            let next = "it is looked at when that process has ended";
            return (Item::warning(what, in_full(&error), next), None);
        }
        Err(error) => return (Item::problem(what, in_full(&error), error.next()), None),
    };
    let chain = store.chain();
    if let Some(to) = store.handed_over_to() {
        let next = "use the directory that has its history now; the old one never signs again";
        return (Item::problem(what, format!("it was handed over to {to}"), next), Some(chain));
    }
    let item = match (lock, store.not_started()) {
        (_, Err(error)) => Item::problem(what, in_full(&error), error.next()),
        (None, Ok(_)) => Item::ok(what, format!("it is of the chain {}", Bytes32::from(chain))),
        (Some(lock), Ok(not_started)) => compared(lock, &store, &not_started),
    };
    (item, Some(chain))
}

/// Whether there were commits: then there was a store.
fn counted(path: &Path) -> bool {
    let mut commits = path.as_os_str().to_owned();
    commits.push(".commits");
    fs::read_to_string(commits).is_ok_and(|text| text.trim().parse::<u64>().is_ok_and(|count| count > 0))
}

fn compared(lock: &Lock, store: &Store, not_started: &[Bytes48]) -> Item {
    let what = "history";
    let (chain, all) = (store.chain(), lock.validators.len());
    let known: Vec<Bytes48> = store.groups().iter().map(|pair| pair.group).collect();
    let has_history = |key: &[u8]| {
        let group = <[u8; 48]>::try_from(key).ok().map(Bytes48::from);
        group.is_some_and(|group| known.contains(&group) && !not_started.contains(&group))
    };
    let with = lock.validators.iter().filter(|validator| has_history(&validator.public_key)).count();
    match Chain::known(&lock.definition.fork_version).filter(|known| known.genesis_validators_root != chain) {
        Some(expected) => Item::warning(
            what,
            format!(
                "it is of the chain {}, and the network's is {}",
                Bytes32::from(chain),
                Bytes32::from(expected.genesis_validators_root)
            ),
            "that is right only on a network of your own which has the fork version of another",
        ),
        None if with == all => Item::ok(what, format!("all {all} validators have one")),
        None => Item::warning(
            what,
            format!("{with} of {all} validators have one"),
            "for the others `dv run` signs nothing before the epoch after the one it starts in is over; \
             `coxswain dv slashing import` takes up what another program has signed",
        ),
    }
}
