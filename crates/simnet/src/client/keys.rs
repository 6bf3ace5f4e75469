//! Secret keys of validators: given, or from a folder of keystores (EIP-2335) as `keystore-N.json` with `keystore-N.txt`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::bls::{BlsError, SecretKey};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_keystore::{KeystoreError, KeystoreName, MAX_BYTES, parse, password_name};
use zeroize::Zeroizing;

/// Keys of one client: more are a mistake.
const MAX_KEYS: usize = 10_000;

/// The keys, by their public ones. It has no `Debug`: there are secrets in it.
pub struct Keys(BTreeMap<Bytes48, SecretKey>);

/// Why keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read", path.display())]
    Unread {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A keystore is none, or does not open.
    #[error("{} is no keystore that opens with the password beside it", path.display())]
    Keystore {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeystoreError,
    },
    /// What is in a keystore is no key.
    #[error("the secret in {} is no key", path.display())]
    Secret {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BlsError,
    },
    /// There are none, or too many.
    #[error("{} has {found} keystores, and from 1 to {MAX_KEYS} are expected", path.display())]
    Count {
        /// The folder.
        path: PathBuf,
        /// How many.
        found: usize,
    },
}

impl Keys {
    /// These keys.
    pub fn new(secrets: impl IntoIterator<Item = SecretKey>) -> Keys {
        Keys(secrets.into_iter().map(|secret| (secret.public().to_bytes().into(), secret)).collect())
    }

    /// The keystores of a folder, opened with the passwords beside them.
    ///
    /// # Errors
    /// The first one that cannot be opened.
    pub fn load(folder: &Path) -> Result<Keys, KeysError> {
        let unread = |source| KeysError::Unread { path: folder.to_owned(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name().to_string_lossy().into_owned();
            if KeystoreName::of(&name).is_some() {
                names.push(name);
            }
        }
        names.sort_unstable();
        if names.is_empty() || names.len() > MAX_KEYS {
            return Err(KeysError::Count { path: folder.to_owned(), found: names.len() });
        }
        let secrets: Result<Vec<SecretKey>, KeysError> =
            names.iter().map(|name| open(folder, name)).collect();
        Ok(Keys::new(secrets?))
    }

    /// The public keys.
    #[must_use]
    pub fn publics(&self) -> Vec<Bytes48> {
        self.0.keys().copied().collect()
    }

    /// The signature of a key; none of a key that is not here.
    #[must_use]
    pub fn sign(&self, key: &Bytes48, root: &Root) -> Option<Bytes96> {
        self.0.get(key).map(|secret| secret.sign(root).to_bytes().into())
    }
}

fn open(folder: &Path, name: &str) -> Result<SecretKey, KeysError> {
    let path = folder.join(name);
    let text = read(&path)?;
    let password = read(&folder.join(password_name(name)))?;
    let password = Zeroizing::new(String::from_utf8_lossy(&password).into_owned());
    let wrong = |source| KeysError::Keystore { path: path.clone(), source };
    let keystore = parse(&text).map_err(wrong)?;
    let secret = keystore.decrypt(password.trim_end_matches(['\r', '\n'])).map_err(wrong)?;
    SecretKey::from_bytes(&*secret).map_err(|source| KeysError::Secret { path: path.clone(), source })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = MAX_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|source| KeysError::Unread { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use coxswain_dv_crypto::bls::{PublicKey, Signature, verify};
    use coxswain_dv_keystore::{Cost, Fresh, encrypt};

    use super::*;

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).expect("a scalar")
    }

    fn store(folder: &Path, position: u8, password: &str) {
        let secret = secret(position + 1);
        let fresh = Fresh { salt: [1; 32], iv: [2; 16], uuid: [3; 16] };
        let public = secret.public().to_bytes();
        let keystore = encrypt(&secret.to_bytes(), &public, "pass", Cost::Insecure, &fresh);
        let name = format!("keystore-insecure-{position}.json");
        std::fs::write(folder.join(&name), keystore.to_text()).expect("written");
        std::fs::write(folder.join(password_name(&name)), password).expect("written");
    }

    #[test]
    fn keystores_sign() {
        let folder = tempfile::tempdir().expect("a folder");
        store(folder.path(), 0, "pass\n");
        store(folder.path(), 1, "pass");
        std::fs::write(folder.path().join("deposit-data.json"), "{}").expect("written");
        let keys = Keys::load(folder.path()).expect("two keystores");
        let publics = keys.publics();
        assert_eq!(publics.len(), 2);
        for public in publics {
            let signature = keys.sign(&public, &[9; 32]).expect("it is here");
            let signature = Signature::from_bytes(&signature.0).expect("a signature");
            assert!(verify(&PublicKey::from_bytes(&public.0).expect("a key"), &[9; 32], &signature));
        }
        assert_eq!(keys.sign(&[0; 48].into(), &[9; 32]), None);
    }

    #[test]
    fn what_does_not_open_says_which() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |what: &str| Keys::load(folder.path()).err().expect(what).to_string();
        assert!(error("empty").ends_with("has 0 keystores, and from 1 to 10000 are expected"));
        store(folder.path(), 0, "other");
        let text = error("password");
        let expected = "keystore-insecure-0.json is no keystore that opens with the password beside it";
        assert!(text.ends_with(expected), "{text}");
        std::fs::remove_file(folder.path().join("keystore-insecure-0.txt")).expect("removed");
        assert!(error("no password").ends_with("keystore-insecure-0.txt cannot be read"));
    }
}
