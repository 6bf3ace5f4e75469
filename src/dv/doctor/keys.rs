//! The keystores of a node's directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coxswain_dv_cluster::{Missing, ShareError, own_shares};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::Lock;

use super::{Item, name_of};
use crate::dv::keystores::{self, Closed, DIRECTORY};

/// Whether keystores are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keystores {
    /// They are taken at their word.
    Closed,
    /// Each is opened with its password, which takes a second or so.
    Opened,
}

const WHAT: &str = "keystores";
const RIGHT_ONES: &str =
    "bring the keystores of this node back from your backup; they were made with the lock";

/// Files with passwords, in the order of their names.
pub(super) fn passwords(dir: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(dir.join(DIRECTORY)).into_iter().flatten();
    let mut found: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    found.sort();
    found
}

/// Whether the keystores are those of the shares of this node.
pub(super) fn keystores(dir: &Path, node: Option<(&Lock, u64)>, opened: Keystores) -> Item {
    let dir = dir.join(DIRECTORY);
    if !dir.exists() {
        let found = format!("there is no {}", dir.display());
        let next = "fine where the validator client has the keys in its own store; otherwise bring them back from your backup";
        return Item::warning(WHAT, found, next);
    }
    let closed = match keystores::list_sequence(&dir) {
        Ok(closed) => closed,
        Err(error) => return Item::problem(WHAT, in_full(&error), RIGHT_ONES),
    };
    if let Some(one) = closed.iter().find(|one| !one.has_password) {
        let found = format!("there is no password beside {}", one.name);
        return Item::problem(
            WHAT,
            found,
            "without it no validator client opens the keystore: bring it back from your backup",
        );
    }
    let Some((lock, index)) = node else {
        return Item::warning(WHAT, "whose they are is not known without key and lock", "mend key and lock");
    };
    let matched = match opened {
        Keystores::Closed => by_their_word(&closed, lock, index),
        Keystores::Opened => match keystores::load_sequence(&dir) {
            Ok(secrets) => {
                own_shares(lock, index, &secrets, Missing::Refuse).map(drop).map_err(|error| said(&error))
            }
            Err(error) => Err(in_full(&error)),
        },
    };
    match (matched, opened) {
        (Err(why), _) => Item::problem(WHAT, why, RIGHT_ONES),
        (Ok(()), Keystores::Closed) => {
            Item::ok(WHAT, format!("{} say that they are of this node's shares", closed.len()))
        }
        (Ok(()), Keystores::Opened) => {
            Item::ok(WHAT, format!("{} are of this node's shares, and open", closed.len()))
        }
    }
}

/// Nodes by the names that the logs have.
fn said(error: &ShareError) -> String {
    match error {
        ShareError::OfAnother { key, found, expected } => {
            format!("keystore {key} is a share of {}, and this is {}", name_of(*found), name_of(*expected))
        }
        other => other.to_string(),
    }
}

/// By the public keys that keystores name themselves. Their order does not matter.
fn by_their_word(closed: &[Closed], lock: &Lock, index: u64) -> Result<(), String> {
    let mut shares: BTreeMap<&[u8], (usize, u64)> = BTreeMap::new();
    for (position, validator) in lock.validators.iter().enumerate() {
        for (share, of) in validator.public_shares.iter().zip(1..) {
            shares.insert(share, (position, of));
        }
    }
    let mut seen: BTreeMap<usize, &str> = BTreeMap::new();
    for one in closed {
        let text = one.public_key.strip_prefix("0x").unwrap_or(&one.public_key);
        let key = hex::decode(text).map_err(|_| format!("{} names no public key", one.name))?;
        let name = &one.name;
        match shares.get(key.as_slice()) {
            None => {
                return Err(format!(
                    "{name} is of the key 0x{}, which is no share of this cluster",
                    hex::encode(key)
                ));
            }
            Some((_, of)) if *of != index => {
                return Err(format!("{name} is a share of {}, and this is {}", name_of(*of), name_of(index)));
            }
            Some((position, _)) => {
                if let Some(first) = seen.insert(*position, name) {
                    return Err(format!("{first} and {name} are the same share"));
                }
            }
        }
    }
    match (0..lock.validators.len()).find(|position| !seen.contains_key(position)) {
        None => Ok(()),
        Some(position) => Err(format!(
            "there are {} of {} keystores: the first that is missing is that of validator {position}",
            seen.len(),
            lock.validators.len()
        )),
    }
}
