//! The key of a node: a file of 64 hexadecimal digits in the node's directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::k1::{IdentityKey, K1Error};
use zeroize::Zeroizing;

use super::disk::{self, DiskError, Mode};

/// The file in a node's directory.
pub const FILE: &str = "charon-enr-private-key";
/// Longest file that is read: 64 digits, and room for white space.
const MAX_BYTES: usize = 1024;

/// Why a key was not read. No message holds any of the content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is something else in it.
    #[error("{} holds no key of a node", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: K1Error,
    },
}

impl KeyError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            KeyError::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
            KeyError::Content { .. } => false,
        }
    }
}

/// Reads a key; white space around it does not matter.
///
/// # Errors
/// [`KeyError`].
pub fn load(path: &Path) -> Result<IdentityKey, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    // At once in a buffer that is wiped: one that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; MAX_BYTES]);
    let mut file = File::open(path).map_err(failed)?;
    let mut length = 0;
    while length < MAX_BYTES {
        match file.read(&mut bytes[length..]).map_err(failed)? {
            0 => break,
            more => length += more,
        }
    }
    let wrong = |source| KeyError::Content { path: path.to_owned(), source };
    let text = str::from_utf8(&bytes[..length]).map_err(|_| wrong(K1Error::KeyText { length }))?;
    IdentityKey::parse(text).map_err(wrong)
}

/// Makes a key and writes it into a directory, which is made where it is not there. Gives back the file.
///
/// # Errors
/// [`DiskError`], above all that there is a file of this name, whatever is in it.
pub fn create(dir: &Path) -> Result<(PathBuf, IdentityKey), DiskError> {
    let path = dir.join(FILE);
    disk::make_directory(dir)?;
    disk::sweep(dir)?;
    let key = IdentityKey::generate(&mut rand::rng());
    disk::create(&path, Mode::OwnerWrites, key.to_text().as_bytes())?;
    Ok((path, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_is_loaded_and_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let node = dir.path().join("node");
        let (path, key) = create(&node).expect("created");
        assert_eq!(load(&path).expect("loaded"), key);
        assert_eq!(std::fs::read_to_string(&path).expect("read").len(), 64);
        let error = create(&node).expect_err("it is there");
        assert!(matches!(error, DiskError::Exists { .. }), "{error}");
        assert_eq!(load(&path).expect("loaded"), key);
        let (_, other) = create(&dir.path().join("other")).expect("created");
        assert!(key != other);
    }

    #[test]
    fn what_is_no_key_says_why_and_not_what() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let says = |content: &[u8], expected: &str| {
            std::fs::write(&path, content).expect("written");
            let error = load(&path).expect_err(expected);
            let KeyError::Content { source, .. } = &error else { panic!("{error:?}") };
            assert!(source.to_string().contains(expected), "{source}");
        };
        let digits = "ab".repeat(32);
        says(b"", "this text of 0 bytes is not");
        says(&[0xff; 64], "this text of 64 bytes is not");
        says(format!("0x{digits}").as_bytes(), "this text of 66 bytes is not");
        says("0".repeat(64).as_bytes(), "from 1 to the group order");
        says(&[b'a'; 5000], "this text of 1024 bytes is not");
        assert!(!load(&path).expect_err("no key").is_missing());
        assert!(load(&dir.path().join("none")).expect_err("nothing").is_missing());
        std::fs::write(&path, format!(" {}\r\n", digits.to_uppercase())).expect("written");
        load(&path).expect("white space and letter case do not matter");
        assert!(matches!(load(dir.path()), Err(KeyError::Read { .. })));
    }
}
