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
use super::files::{beside, io_error, open_beside};
use super::tables::{COMMITS_NAME, META};

/// Digits of a count. The length never changes: a write in place needs no room on the disk.
const DIGITS: usize = 20;

/// The file beside a store. It needs no sync: after a loss of power a lower count is there, and the check sees less.
#[derive(Debug)]
pub(super) struct Counter {
    path: PathBuf,
    file: Mutex<(File, u64)>,
}

impl Counter {
    /// Opens the file, or makes it, and reads what it says.
    pub(super) fn open(store: &Path) -> Result<Counter, StoreError> {
        let path = beside(store, ".commits");
        let file = open_beside(store, &path)?;
        let count = read(&path, &file)?;
        Ok(Counter { path, file: Mutex::new((file, count)) })
    }

    /// The count of the file.
    pub(super) fn count(&self) -> u64 {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Writes a count, unless a higher one is there.
    pub(super) fn set(&self, count: u64) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if count > file.1 {
            let written: io::Result<()> = file.0.write_all_at(format!("{count:0DIGITS$}").as_bytes(), 0);
            written.map_err(io_error("writing", &self.path))?;
            file.1 = count;
        }
        Ok(())
    }
}

/// What the file beside a store says, where there is one: nothing is made, and nothing is written.
pub(super) fn known(store: &Path) -> Result<u64, StoreError> {
    let path = beside(store, ".commits");
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        opened => read(&path, &opened.map_err(io_error("opening", &path))?),
    }
}

/// 0 where it says nothing.
fn read(path: &Path, file: &File) -> Result<u64, StoreError> {
    let mut text = Vec::new();
    file.take(DIGITS as u64).read_to_end(&mut text).map_err(io_error("reading", path))?;
    Ok(std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or_default())
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
