//! Cluster files of others, from outside the repository.

mod vectors;

pub(crate) use vectors::vectors;

use std::fs;
use std::path::{Path, PathBuf};

use coxswain_dv_types::network::{NETWORKS, Network, Networks};

/// Every file below a folder whose name is accepted, in order, with its text.
pub(crate) fn files(folder: &Path, is_wanted: impl Fn(&str) -> bool + Copy) -> Vec<(PathBuf, Vec<u8>)> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            found.extend(files(&path, is_wanted));
        } else if is_wanted(&name) {
            let text = fs::read(&path).expect("a file");
            found.push((path, text));
        }
    }
    found
}

/// The networks of the files: those of everybody, and the one that `runs/create-v1.11-n4-testnet` was made for.
pub(crate) fn networks() -> Networks {
    Networks::with(Network {
        name: "coxnet".into(),
        chain_id: 777,
        genesis_fork_version: [0x12, 0x34, 0x56, 0x78],
        capella_fork_version: None,
        genesis_time: 1_700_000_000,
        ..NETWORKS[0].clone()
    })
}
