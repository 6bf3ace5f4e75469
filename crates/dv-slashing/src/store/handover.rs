//! Handing a history over to another directory, for other shares of the same groups.
//!
//! ```text
//! copy under another name ─the old store is closed for ever→ the copy gets its name
//! ```
//!
//! A crash between leaves no two stores that sign: until the old one is closed the new one is not there. The call is
//! repeated then, with the same place.

use std::fs;
use std::path::Path;

use redb::{ReadableTable as _, WriteTransaction};

use super::counter::Counter;
use super::tables::{ATTESTATIONS, BLOCKS, FLOORS, GROUPS, HANDED_OVER_NAME, LEDGERS, Ledger, META, SHARES};
use super::{Settings, Store, StoreError, files, found, register, write};
use crate::verdict::Floor;

impl Store {
    /// Copies the whole history to a new store, with at least this floor for each of its groups, and closes this one for
    /// ever. The settings are the new store's: their groups and shares are added to those it gets.
    ///
    /// # Errors
    /// [`StoreError`]. This store may be closed then; repeat the call with the same place, also after
    /// [`Self::inspect`].
    pub fn hand_over(&self, to: &Path, settings: &Settings, floor: Floor) -> Result<(), StoreError> {
        let doing = "handing over";
        self.counter()?;
        let name = to.display().to_string();
        if self.handed_over_to().is_some_and(|before| before != name) {
            return self.refuse_handed_over();
        }
        if settings.genesis_validators_root != self.chain {
            return Err(StoreError::OtherChain {
                path: self.path.clone(),
                stored: self.chain.into(),
                expected: settings.genesis_validators_root.into(),
            });
        }
        let dir = files::prepare(to, settings.disk)?;
        let _hold = files::hold(to)?;
        // The count of another store would refuse this one, when it is too late.
        if files::exists(to)? || Counter::open(to)?.count() > 0 {
            return Err(StoreError::Exists { path: to.to_owned() });
        }
        // From here on nobody else records in this store.
        let old = write(&self.database).map_err(self.failed(doing))?;
        let (database, part) = files::create_part(to)?;
        found(&database, settings).map_err(self.failed(doing))?;
        let new = write(&database).map_err(self.failed(doing))?;
        copy(&old, &new).map_err(self.failed(doing))?;
        register(&new, &settings.keys).map_err(self.failed(doing))??;
        raise_all(&new, floor).map_err(self.failed(doing))?;
        new.commit().map_err(|error| self.failed(doing)(error.into()))?;
        database.close().map_err(|error| self.failed(doing)(error.into()))?;
        mark(&old, &name).map_err(self.failed(doing))?;
        // Whether or not this gets to the disk: nothing is recorded here from now on.
        let _ = self.handed_over.set(name);
        self.commit(doing, old)?;
        files::reveal(&part, to, &dir)
    }

    /// The size of the file in bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        let found = fs::metadata(&self.path);
        found.map(|found| found.len()).map_err(|source| StoreError::Io {
            doing: "reading the size of",
            path: self.path.clone(),
            source,
        })
    }
}

/// Says where the history goes on.
fn mark(transaction: &WriteTransaction, to: &str) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(HANDED_OVER_NAME, to.as_bytes())?;
    Ok(())
}

/// Copies all rows.
fn copy(old: &WriteTransaction, new: &WriteTransaction) -> Result<(), redb::Error> {
    for definition in [GROUPS, SHARES] {
        let mut table = new.open_table(definition)?;
        for entry in old.open_table(definition)?.iter()? {
            let (key, number) = entry?;
            table.insert(key.value(), number.value())?;
        }
    }
    let mut floors = new.open_table(FLOORS)?;
    for entry in old.open_table(FLOORS)?.iter()? {
        let (key, floor) = entry?;
        floors.insert(key.value(), floor.value())?;
    }
    let mut blocks = new.open_table(BLOCKS)?;
    for entry in old.open_table(BLOCKS)?.iter()? {
        let (key, block) = entry?;
        blocks.insert(key.value(), block.value())?;
    }
    let mut attestations = new.open_table(ATTESTATIONS)?;
    for entry in old.open_table(ATTESTATIONS)?.iter()? {
        let (key, attestation) = entry?;
        attestations.insert(key.value(), attestation.value())?;
    }
    Ok(())
}

/// Raises the floors of all groups.
fn raise_all(transaction: &WriteTransaction, floor: Floor) -> Result<(), redb::Error> {
    let mut numbers = Vec::new();
    for entry in transaction.open_table(GROUPS)?.iter()? {
        numbers.push(entry?.1.value());
    }
    for signer in LEDGERS {
        let mut ledger = Ledger::open(transaction, signer)?;
        for group in &numbers {
            ledger.raise_floor(*group, floor)?;
        }
    }
    Ok(())
}
