//! How many commits a store had, also outside of it.
//!
//! A commit is in the file before it is counted here. So a file with fewer is an older one: a copy that was put in its
//! place, or one that is damaged where its database does not see it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{ReadableTable as _, WriteTransaction};

use super::error::StoreError;
use super::files::{beside, find_beside, io_error, open_beside};
use super::tables::{COMMITS_NAME, META};

/// Digits of a count. The length never changes: a write in place needs no room on the disk.
const DIGITS: usize = 20;

/// The file beside a store. It needs no sync: after a loss of power a lower count is there, and the check sees less.
#[derive(Debug)]
pub(super) struct Counter {
    store: PathBuf,
    path: PathBuf,
    /// No file where none was there when the store was looked at: the first commit makes it.
    file: Mutex<(Option<File>, u64)>,
}

impl Counter {
    /// Opens the file, or makes it, and reads what it says; 0 where it says nothing.
    pub(super) fn open(store: &Path) -> Result<Counter, StoreError> {
        let path = beside(store, ".commits");
        let file = open_beside(store, &path)?;
        Counter::read(store, path, Some(file))
    }

    /// The same without making the file.
    pub(super) fn look(store: &Path) -> Result<Counter, StoreError> {
        let path = beside(store, ".commits");
        let file = find_beside(&path)?;
        Counter::read(store, path, file)
    }

    fn read(store: &Path, path: PathBuf, file: Option<File>) -> Result<Counter, StoreError> {
        let mut text = Vec::new();
        if let Some(file) = &file {
            file.take(DIGITS as u64).read_to_end(&mut text).map_err(io_error("reading", &path))?;
        }
        let count = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Counter { store: store.to_owned(), path, file: Mutex::new((file, count)) })
    }

    /// Makes the file where it is not there.
    pub(super) fn make(&self) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.0.is_none() {
            // What is known is written with the next count, which is higher.
            file.0 = Some(open_beside(&self.store, &self.path)?);
        }
        Ok(())
    }

    /// The count of the file.
    pub(super) fn count(&self) -> u64 {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Writes a count, unless a higher one is there; without a file it is only remembered.
    pub(super) fn set(&self, count: u64) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if count <= file.1 {
            return Ok(());
        }
        if let Some(file) = &file.0 {
            let written: io::Result<()> = file.write_all_at(format!("{count:0DIGITS$}").as_bytes(), 0);
            written.map_err(io_error("writing", &self.path))?;
        }
        file.1 = count;
        Ok(())
    }
}

/// Counts a commit that is about to be.
pub(super) fn increase(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let count = meta.get(COMMITS_NAME)?.map_or(0, |stored| number(stored.value())).saturating_add(1);
    meta.insert(COMMITS_NAME, count.to_be_bytes().as_slice())?;
    Ok(count)
}

/// A count as the database has it.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}
