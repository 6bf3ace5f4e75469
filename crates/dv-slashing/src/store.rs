//! What was signed, in one file.
//!
//! ```text
//! slashing.redb          groups, shares, floors, blocks, attestations
//! slashing.redb.holder   who has it open
//! slashing.redb.commits  how many commits it had
//! ```
//!
//! Each call is one transaction that is on the disk, or did not happen, before an answer leaves. Commits are in two
//! phases: were the newest state of the file damaged, the database would say so, and never go back to the state before
//! it, where what was signed last is not known.
//!
//! Calls block for a write to the disk; from asynchronous code they belong on a thread that may wait. Calls that write
//! wait for each other.
//!
//! # What must never happen
//!
//! - An answer leaves before what it allows is on the disk.
//! - A file that is damaged, empty, older than it was, of another chain or handed over is used.

mod check;
mod counter;
mod error;
mod exchange;
mod files;
mod handover;
mod prune;
mod tables;
mod watermark;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_types::cluster::Lock;
use redb::{Database, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, WriteTransaction};

pub use check::MAX_REQUESTS;
pub use error::{Damage, StoreError};
pub use exchange::{ImportError, Imported, Strangers, Taken};
pub use files::Holder;
pub use prune::{KEEP_EPOCHS, Pruned};
pub use watermark::{KeySummary, LedgerSummary};

use crate::machine::Disk;
use counter::Counter;
use tables::{
    ATTESTATIONS, BLOCKS, CHAIN_NAME, COMMITS_NAME, FLOORS, FORMAT, FORMAT_NAME, GROUPS, HANDED_OVER_NAME,
    META, SHARES,
};

/// The usual name of the file.
pub const FILE: &str = "slashing.redb";

/// A validator of the cluster as its lock has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPair {
    /// The public key of the group, which the chain knows.
    pub group: Bytes48,
    /// The public key of this node's share.
    pub share: Bytes48,
}

impl KeyPair {
    /// The validators of a lock, with the shares of the node at this position (0 is the first); none where the lock has
    /// no such node, or something else where keys should be.
    #[must_use]
    pub fn of_node(lock: &Lock, node: usize) -> Option<Vec<KeyPair>> {
        let key = |bytes: &[u8]| <[u8; 48]>::try_from(bytes).ok().map(Bytes48::from);
        let each = lock.validators.iter().map(|validator| {
            let share = validator.public_shares.get(node)?;
            Some(KeyPair { group: key(&validator.public_key)?, share: key(share)? })
        });
        each.collect()
    }
}

/// What a store is opened for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The chain.
    pub genesis_validators_root: Root,
    /// The validators that sign here.
    pub keys: Vec<KeyPair>,
    /// Who vouches for the disk.
    pub disk: Disk,
}

/// What was signed. One process has it open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Database,
    chain: Root,
    /// Numbers of the groups of the settings.
    groups: BTreeMap<Bytes48, u32>,
    /// Where the history goes on, once it was handed over.
    handed_over: OnceLock<String>,
    /// None where the store is only looked at: without it nothing is written.
    counter: Option<Counter>,
    /// After the database: it is closed first.
    _hold: files::Hold,
}

impl Store {
    /// Opens a store, or makes it. Groups and shares that it does not know are added; a group is found again whatever
    /// its shares are.
    ///
    /// # Errors
    /// [`StoreError`]; also for a store that was handed over, see [`Self::inspect`].
    pub fn open(path: &Path, settings: &Settings) -> Result<Store, StoreError> {
        let dir = files::prepare(path, settings.disk)?;
        let hold = files::hold(path)?;
        let counter = Counter::open(path)?;
        if !files::exists(path)? {
            // One that is gone is not begun anew.
            if counter.count() > 0 {
                return Err(StoreError::Gone { path: path.to_owned() });
            }
            let (database, part) = files::create_part(path)?;
            found(&database, settings).map_err(failed("making", path))?;
            database.close().map_err(|error| failed("making", path)(error.into()))?;
            files::reveal(&part, path, &dir)?;
        }
        let mut store = Store::enter(path, Some(settings.genesis_validators_root), hold, Some(counter))?;
        store.groups = store.register(&settings.keys)?;
        store.refuse_handed_over()?;
        Ok(store)
    }

    /// Opens a store that is there, also one that was handed over: it can be read, and signs nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn inspect(path: &Path, settings: &Settings) -> Result<Store, StoreError> {
        if !files::exists(path)? {
            return Err(StoreError::Gone { path: path.to_owned() });
        }
        files::prepare(path, settings.disk)?;
        let hold = files::hold(path)?;
        let chain = Some(settings.genesis_validators_root);
        let mut store = Store::enter(path, chain, hold, Some(Counter::open(path)?))?;
        store.groups = store.register(&settings.keys)?;
        Ok(store)
    }

    /// Opens a store that is there, of whatever chain and cluster it is, also one that was handed over. Its groups are
    /// all that it has, and none is added. No file is made: who looks may be another user than the node's. Nothing is
    /// written either, whatever is called.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(path: &Path, disk: Disk) -> Result<Store, StoreError> {
        if !files::exists(path)? {
            return Err(StoreError::Gone { path: path.to_owned() });
        }
        files::prepared(path, disk)?;
        let hold = files::hold_as_it_is(path)?;
        let mut store = Store::enter(path, None, hold, None)?;
        store.groups = store.all_groups().map_err(failed("reading", path))?;
        Ok(store)
    }

    /// Opens a file; none of the store's groups are known yet.
    fn enter(
        path: &Path,
        chain: Option<Root>,
        hold: files::Hold,
        counter: Option<Counter>,
    ) -> Result<Store, StoreError> {
        let database = files::open(path)?;
        let handed_over = OnceLock::new();
        let found = recognise(path, &database, chain)?;
        if let Some(to) = found.handed_over {
            let _ = handed_over.set(to);
        }
        let known = counter.as_ref().map_or_else(|| counter::known(path), |counter| Ok(counter.count()))?;
        if found.commits < known {
            return Err(StoreError::Older { path: path.to_owned(), commits: found.commits, known });
        }
        if let Some(counter) = &counter {
            counter.set(found.commits)?;
        }
        Ok(Store {
            path: path.to_owned(),
            database,
            chain: found.chain,
            groups: BTreeMap::new(),
            handed_over,
            counter,
            _hold: hold,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The chain: its genesis_validators_root.
    #[must_use]
    pub fn chain(&self) -> Root {
        self.chain
    }

    /// Where the history goes on, if it was handed over.
    #[must_use]
    pub fn handed_over_to(&self) -> Option<&str> {
        self.handed_over.get().map(String::as_str)
    }

    fn refuse_handed_over(&self) -> Result<(), StoreError> {
        match self.handed_over.get() {
            Some(to) => Err(StoreError::HandedOver { path: self.path.clone(), to: to.clone() }),
            None => Ok(()),
        }
    }

    /// What counts commits; none where the store is only looked at.
    fn counter(&self) -> Result<&Counter, StoreError> {
        self.counter.as_ref().ok_or_else(|| StoreError::LookedAt { path: self.path.clone() })
    }

    /// A transaction that writes; where the history was handed over meanwhile, or is only looked at, none.
    fn writing(&self, doing: &'static str) -> Result<WriteTransaction, StoreError> {
        self.counter()?;
        let transaction = write(&self.database).map_err(failed(doing, &self.path))?;
        self.refuse_handed_over()?;
        Ok(transaction)
    }

    /// Ends a transaction: what it wrote is on the disk then.
    fn commit(&self, doing: &'static str, transaction: WriteTransaction) -> Result<(), StoreError> {
        let counter = self.counter()?;
        let count = counter::increase(&transaction).map_err(self.failed(doing))?;
        transaction.commit().map_err(|error| self.failed(doing)(error.into()))?;
        counter.set(count)
    }

    fn failed(&self, doing: &'static str) -> impl Fn(redb::Error) -> StoreError {
        failed(doing, &self.path)
    }

    /// Numbers of the groups; those that are not known are added.
    fn register(&self, keys: &[KeyPair]) -> Result<BTreeMap<Bytes48, u32>, StoreError> {
        let doing = "adding keys to";
        let transaction = write(&self.database).map_err(self.failed(doing))?;
        let is_changed = register(&transaction, keys).map_err(self.failed(doing))??;
        match is_changed {
            true => self.commit(doing, transaction)?,
            false => transaction.abort().map_err(|error| self.failed(doing)(error.into()))?,
        }
        self.numbers(keys).map_err(self.failed(doing))
    }

    fn all_groups(&self) -> Result<BTreeMap<Bytes48, u32>, redb::Error> {
        let mut numbers = BTreeMap::new();
        for entry in self.database.begin_read()?.open_table(GROUPS)?.iter()? {
            let (name, number) = entry?;
            numbers.insert(Bytes48::from(*name.value()), number.value());
        }
        Ok(numbers)
    }

    fn numbers(&self, keys: &[KeyPair]) -> Result<BTreeMap<Bytes48, u32>, redb::Error> {
        let groups = self.database.begin_read()?.open_table(GROUPS)?;
        let mut numbers = BTreeMap::new();
        for pair in keys {
            if let Some(number) = groups.get(&pair.group.0)? {
                numbers.insert(pair.group, number.value());
            }
        }
        Ok(numbers)
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(redb::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Transaction { doing, path: path.clone(), source: Box::new(source) }
}

/// Begins a transaction that is on the disk when its commit returns. Two phases, see the module.
fn write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(redb::Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Makes the tables of a new store.
fn found(database: &Database, settings: &Settings) -> Result<(), redb::Error> {
    let transaction = write(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(FORMAT_NAME, FORMAT.as_bytes())?;
        meta.insert(CHAIN_NAME, settings.genesis_validators_root.as_slice())?;
        transaction.open_table(GROUPS)?;
        transaction.open_table(SHARES)?;
        transaction.open_table(FLOORS)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(ATTESTATIONS)?;
    }
    Ok(transaction.commit()?)
}

/// What a file says of itself.
struct Recognised {
    chain: Root,
    handed_over: Option<String>,
    commits: u64,
}

/// Checks that the file is a store, and of the chain where one is meant.
fn recognise(path: &Path, database: &Database, expected: Option<Root>) -> Result<Recognised, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    let read = |name: &str| -> Result<Option<Vec<u8>>, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        Ok(meta.get(name)?.map(|value| value.value().to_vec()))
    };
    let database_says = |error| damaged(Damage::Database(Box::new(error)));
    let format =
        read(FORMAT_NAME).map_err(database_says)?.ok_or(damaged(Damage::Content("it has no format")))?;
    if format != FORMAT.as_bytes() {
        let found = String::from_utf8_lossy(&format).into_owned();
        return Err(StoreError::Format { path: path.to_owned(), found, expected: FORMAT });
    }
    let chain = read(CHAIN_NAME).map_err(database_says)?.and_then(|bytes| Root::try_from(bytes).ok());
    let chain = chain.ok_or(damaged(Damage::Content("it has no genesis_validators_root")))?;
    if let Some(expected) = expected.filter(|expected| *expected != chain) {
        return Err(StoreError::OtherChain {
            path: path.to_owned(),
            stored: Bytes32::from(chain),
            expected: Bytes32::from(expected),
        });
    }
    let to = read(HANDED_OVER_NAME).map_err(database_says)?;
    let commits = read(COMMITS_NAME).map_err(database_says)?;
    Ok(Recognised {
        chain,
        handed_over: to.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        commits: commits.map_or(0, |bytes| counter::number(&bytes)),
    })
}

/// Adds groups and shares; whether something was new.
fn register(
    transaction: &WriteTransaction,
    keys: &[KeyPair],
) -> Result<Result<bool, StoreError>, redb::Error> {
    let mut groups = transaction.open_table(GROUPS)?;
    let mut shares = transaction.open_table(SHARES)?;
    let mut is_changed = false;
    for pair in keys {
        let known = groups.get(&pair.group.0)?.map(|number| number.value());
        let number = match known {
            Some(number) => number,
            None => {
                // Groups are never removed, so their count is a number that none has.
                let number = u32::try_from(groups.len()?).unwrap_or(u32::MAX);
                groups.insert(&pair.group.0, number)?;
                is_changed = true;
                number
            }
        };
        let owner = shares.get(&pair.share.0)?.map(|number| number.value());
        match owner {
            Some(owner) if owner == number => {}
            Some(owner) => {
                let stored = Box::new(name_of(&groups, owner)?.unwrap_or_default());
                let (share, asked) = (Box::new(pair.share), Box::new(pair.group));
                return Ok(Err(StoreError::OtherGroup { share, stored, asked }));
            }
            None => {
                shares.insert(&pair.share.0, number)?;
                is_changed = true;
            }
        }
    }
    Ok(Ok(is_changed))
}

/// The group of a number.
fn name_of(
    groups: &impl ReadableTable<&'static [u8; 48], u32>,
    number: u32,
) -> Result<Option<Bytes48>, redb::Error> {
    for entry in groups.iter()? {
        let (name, found) = entry?;
        if found.value() == number {
            return Ok(Some(Bytes48::from(*name.value())));
        }
    }
    Ok(None)
}
