//! Keystores in directories: reading them, and making many.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coxswain_dv_crypto::bls::{BlsError, SecretKey};
use coxswain_dv_keystore::{self as keystores, KeystoreError, KeystoreName, MAX_BYTES, SequenceError};
use zeroize::Zeroizing;

/// The directory of keystores in a node's directory.
pub const DIRECTORY: &str = "validator_keys";

/// Why keys cannot be read. No message holds anything of a key or a password.
#[derive(Debug, thiserror::Error)]
pub enum KeystoresError {
    /// A file or directory.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There are none.
    #[error("there is no keystore in {}", path.display())]
    None {
        /// Where.
        path: PathBuf,
    },
    /// Their names.
    #[error("{}", path.display())]
    Names {
        /// Where.
        path: PathBuf,
        /// What is wrong with them.
        source: SequenceError,
    },
    /// A keystore.
    #[error("{}", path.display())]
    Keystore {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: KeystoreError,
    },
    /// What is in a keystore is no key.
    #[error("{}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: BlsError,
    },
    /// No password file opens it.
    #[error("no password file below the directory opens {}", path.display())]
    NoPassword {
        /// Which.
        path: PathBuf,
    },
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoresError> {
    let failed = |source| KeystoresError::Read { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_BYTES as u64 {
        return Err(failed(io::Error::other(format!("it has {length} bytes; {MAX_BYTES} are read at most"))));
    }
    fs::read(path).map(Zeroizing::new).map_err(failed)
}

fn password(path: &Path) -> Result<Zeroizing<String>, KeystoresError> {
    let bytes = read(path)?;
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => {
            let source = io::Error::new(io::ErrorKind::InvalidData, "a password is UTF-8");
            Err(KeystoresError::Read { path: path.to_owned(), source })
        }
    }
}

fn opened(path: &Path, keystore: &keystores::Keystore, password: &str) -> Result<SecretKey, KeystoresError> {
    let secret = keystore
        .decrypt(password)
        .map_err(|source| KeystoresError::Keystore { path: path.to_owned(), source })?;
    SecretKey::from_bytes(&*secret).map_err(|source| KeystoresError::Key { path: path.to_owned(), source })
}

fn parsed(path: &Path) -> Result<keystores::Keystore, KeystoresError> {
    keystores::parse(&read(path)?)
        .map_err(|source| KeystoresError::Keystore { path: path.to_owned(), source })
}

fn names_in(dir: &Path) -> Result<Vec<String>, KeystoresError> {
    let failed = |source| KeystoresError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The keys in a directory whose keystores are numbered 0, 1, 2 …, in this order. All processors decrypt.
///
/// # Errors
/// [`KeystoresError`], the first in the order of the files.
pub fn load_sequence(dir: &Path) -> Result<Vec<SecretKey>, KeystoresError> {
    let names = names_in(dir)?;
    let wanted = names.iter().map(String::as_str).filter(|name| KeystoreName::of(name).is_some());
    let ordered = keystores::sequence(wanted)
        .map_err(|source| KeystoresError::Names { path: dir.to_owned(), source })?;
    load_named(dir, &ordered)
}

/// A keystore that was not opened.
#[derive(Debug)]
pub struct Closed {
    /// The name of its file.
    pub name: String,
    /// Its public key as it says itself.
    pub public_key: String,
    /// Whether there is a password beside it.
    pub has_password: bool,
}

/// The keystores in a directory whose names are numbered 0, 1, 2 …, in this order. None is opened.
///
/// # Errors
/// [`KeystoresError`], the first in the order of the files.
pub fn list_sequence(dir: &Path) -> Result<Vec<Closed>, KeystoresError> {
    let names = names_in(dir)?;
    let wanted = names.iter().map(String::as_str).filter(|name| KeystoreName::of(name).is_some());
    let ordered = keystores::sequence(wanted)
        .map_err(|source| KeystoresError::Names { path: dir.to_owned(), source })?;
    let closed = |name: &&str| {
        let has_password = dir.join(keystores::password_name(name)).is_file();
        let public_key = parsed(&dir.join(name))?.pubkey;
        Ok(Closed { name: (*name).to_owned(), public_key, has_password })
    };
    ordered.iter().map(closed).collect()
}

/// The keys of the keystores in a directory, whatever their numbers are, in the order of their names.
///
/// # Errors
/// [`KeystoresError`], the first in the order of the files.
pub fn load_any(dir: &Path) -> Result<Vec<SecretKey>, KeystoresError> {
    let names = names_in(dir)?;
    let wanted: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| KeystoreName::of(name).is_some()).collect();
    load_named(dir, &wanted)
}

fn load_named(dir: &Path, names: &[&str]) -> Result<Vec<SecretKey>, KeystoresError> {
    if names.is_empty() {
        return Err(KeystoresError::None { path: dir.to_owned() });
    }
    side_by_side(names.len(), |at| {
        let path = dir.join(names[at]);
        let keystore = parsed(&path)?;
        let password = password(&dir.join(keystores::password_name(names[at])))?;
        opened(&path, &keystore, &password)
    })
    .into_iter()
    .collect()
}

/// The keys of all keystores below a directory, whatever their names are, in the order of their paths. The password file
/// of the same name is tried first, then all others. JSON that is no keystore is passed over.
///
/// # Errors
/// [`KeystoresError`], the first in the order of the files.
pub fn load_below(dir: &Path) -> Result<Vec<SecretKey>, KeystoresError> {
    let (mut found, mut passwords) = (Vec::new(), BTreeMap::new());
    walk(dir, &mut found, &mut passwords)?;
    if found.is_empty() {
        return Err(KeystoresError::None { path: dir.to_owned() });
    }
    side_by_side(found.len(), |at| {
        let (path, keystore) = &found[at];
        let own = path.with_extension("txt");
        let first = passwords.get_key_value(&own);
        let others = passwords.iter().filter(|(path, _)| **path != own);
        for (_, password) in first.into_iter().chain(others) {
            match opened(path, keystore, password) {
                Err(KeystoresError::Keystore { source: KeystoreError::WrongPassword, .. }) => {}
                other => return other,
            }
        }
        Err(KeystoresError::NoPassword { path: path.clone() })
    })
    .into_iter()
    .collect()
}

fn walk(
    dir: &Path,
    found: &mut Vec<(PathBuf, keystores::Keystore)>,
    passwords: &mut BTreeMap<PathBuf, Zeroizing<String>>,
) -> Result<(), KeystoresError> {
    for name in names_in(dir)? {
        let path = dir.join(&name);
        let kind = path.symlink_metadata();
        if kind.is_ok_and(|kind| kind.is_dir()) {
            walk(&path, found, passwords)?;
        } else if name.ends_with(".txt") {
            passwords.insert(path.clone(), password(&path)?);
        } else if name.ends_with(".json") {
            match parsed(&path) {
                Ok(keystore) => found.push((path, keystore)),
                // Whoever named it a keystore is told.
                Err(error) if KeystoreName::of(&name).is_some() => return Err(error),
                Err(KeystoresError::Keystore { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Does something for 0, 1, 2 … on all processors; the results are in order.
pub fn side_by_side<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let result = work(at);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        assert_eq!(side_by_side(1000, |at| at * 2), (0..1000).map(|at| at * 2).collect::<Vec<_>>());
        assert_eq!(side_by_side(0, |at| at), Vec::<usize>::new());
    }
}
