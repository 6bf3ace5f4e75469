//! Directories of stores, in memory where the machine has such a disk.

use std::path::{Path, PathBuf};

use coxswain_dv_slashing::store::FILE;
use tempfile::TempDir;

/// A directory of one test.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .expect("a directory")
}

/// The store in it.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("slashing").join(FILE)
}
