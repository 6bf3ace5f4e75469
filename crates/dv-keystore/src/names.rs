//! Names of keystore files, and which validator each is of.

use std::collections::BTreeMap;

const PREFIX: &str = "keystore-";
const INSECURE: &str = "keystore-insecure-";
const SUFFIX: &str = ".json";

/// The name of a keystore's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeystoreName {
    /// `keystore-N.json`.
    Normal(u64),
    /// `keystore-insecure-N.json`: a key derivation that a test can wait for.
    Insecure(u64),
    /// Another name of the form `keystore-*.json`: no validator's position is in it.
    Other,
}

impl KeystoreName {
    /// What a file's name says; `None` where it is no keystore's.
    pub fn of(file: &str) -> Option<KeystoreName> {
        let stem = file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let number = |text: &str| {
            let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| is_digits)
        };
        Some(match (stem.strip_prefix("insecure-").and_then(number), number(stem)) {
            (Some(n), _) => KeystoreName::Insecure(n),
            (None, Some(n)) => KeystoreName::Normal(n),
            (None, None) => KeystoreName::Other,
        })
    }

    /// The validator's position.
    pub fn position(self) -> Option<u64> {
        match self {
            KeystoreName::Normal(n) | KeystoreName::Insecure(n) => Some(n),
            KeystoreName::Other => None,
        }
    }

    /// The name; `None` for another's.
    pub fn file(self) -> Option<String> {
        match self {
            KeystoreName::Normal(n) => Some(format!("{PREFIX}{n}{SUFFIX}")),
            KeystoreName::Insecure(n) => Some(format!("{INSECURE}{n}{SUFFIX}")),
            KeystoreName::Other => None,
        }
    }
}

/// The file with the password of a keystore: `.txt` in place of the first `.json`.
pub fn password_name(keystore: &str) -> String {
    keystore.replacen(SUFFIX, ".txt", 1)
}

/// Why files are no sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A name without a position.
    #[error(
        "{file} does not say which validator it is of: it must be named keystore-N.json or keystore-insecure-N.json"
    )]
    NoPosition {
        /// The file.
        file: String,
    },
    /// Two files of one validator.
    #[error("{first} and {second} are both of validator {position}")]
    Twice {
        /// The position.
        position: u64,
        /// The one file.
        first: String,
        /// The other.
        second: String,
    },
    /// A validator without a file.
    #[error(
        "there are {count} keystores, but none of validator {position}: they must be numbered from 0 without a gap"
    )]
    Gap {
        /// The position.
        position: u64,
        /// How many files there are.
        count: usize,
    },
}

/// Puts files in the order of their validators, which must be 0, 1, 2 … without a gap.
///
/// # Errors
/// The first thing that hinders it.
pub fn sequence<'f>(files: impl IntoIterator<Item = &'f str>) -> Result<Vec<&'f str>, SequenceError> {
    let mut by_position: BTreeMap<u64, &str> = BTreeMap::new();
    for file in files {
        let position = KeystoreName::of(file).and_then(KeystoreName::position);
        let position = position.ok_or_else(|| SequenceError::NoPosition { file: file.to_owned() })?;
        if let Some(first) = by_position.insert(position, file) {
            return Err(SequenceError::Twice { position, first: first.to_owned(), second: file.to_owned() });
        }
    }
    match (0..).zip(by_position.keys()).find(|(expected, found)| expected != *found) {
        Some((position, _)) => Err(SequenceError::Gap { position, count: by_position.len() }),
        None => Ok(by_position.into_values().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_positions() {
        for (file, name) in [
            ("keystore-0.json", Some(KeystoreName::Normal(0))),
            ("keystore-12.json", Some(KeystoreName::Normal(12))),
            ("keystore-insecure-3.json", Some(KeystoreName::Insecure(3))),
            ("keystore-foo.json", Some(KeystoreName::Other)),
            ("keystore-bar-1.json", Some(KeystoreName::Other)),
            ("keystore-+1.json", Some(KeystoreName::Other)),
            ("keystore-insecure-.json", Some(KeystoreName::Other)),
            ("keystore-99999999999999999999.json", Some(KeystoreName::Other)),
            ("keystore-0.txt", None),
            ("deposit-data.json", None),
        ] {
            assert_eq!(KeystoreName::of(file), name, "{file}");
            if let Some(back) = name.and_then(KeystoreName::file) {
                assert_eq!(back, file);
            }
        }
        assert_eq!(password_name("keystore-0.json"), "keystore-0.txt");
        assert_eq!(password_name("keystore-a.json.json"), "keystore-a.txt.json");
    }

    #[test]
    fn sequences_are_whole() {
        let files = ["keystore-1.json", "keystore-insecure-0.json", "keystore-2.json"];
        let ordered = ["keystore-insecure-0.json", "keystore-1.json", "keystore-2.json"];
        assert_eq!(sequence(files), Ok(ordered.to_vec()));
        assert_eq!(sequence([]), Ok(Vec::new()));
        let says = |files: &[&str], expected: &str| {
            assert_eq!(sequence(files.iter().copied()).expect_err(expected).to_string(), expected);
        };
        says(
            &["keystore-0.json", "keystore-2.json"],
            "there are 2 keystores, but none of validator 1: they must be numbered from 0 without a gap",
        );
        says(
            &["keystore-0.json", "keystore-insecure-0.json"],
            "keystore-0.json and keystore-insecure-0.json are both of validator 0",
        );
        says(
            &["keystore-x.json"],
            "keystore-x.json does not say which validator it is of: it must be named keystore-N.json or \
             keystore-insecure-N.json",
        );
    }
}
