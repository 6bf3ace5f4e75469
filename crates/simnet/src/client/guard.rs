//! Protection against slashing, as validator clients have it: the highest marks of each key.
//!
//! It is the minimal form of EIP-3076: nothing is signed at or below a mark, but for the very same again. Where a file
//! is named, marks are on disk before a signature is made.
//!
//! # What must never happen
//!
//! - Something is signed whose mark was not kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::protect::{Refusal, What};
use serde::{Deserialize, Serialize};

/// A signed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    slot: u64,
    root: Bytes32,
}

/// A signed attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Vote {
    source: u64,
    target: u64,
    root: Bytes32,
}

/// The marks of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marks {
    block: Option<Block>,
    vote: Option<Vote>,
}

/// Marks of all keys.
#[derive(Debug, Default)]
pub struct Guard {
    marks: BTreeMap<Bytes48, Marks>,
    file: Option<PathBuf>,
}

/// Why something is not signed.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It would be slashable, or could be.
    #[error("not signed: {0}")]
    Refused(Refusal),
    /// Marks could not be kept, so nothing is signed.
    #[error("the marks of what was signed could not be written to {}", file.display())]
    Unwritten {
        /// Where.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of marks cannot be used.
    #[error("{} is no file of marks of what was signed: {why}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// The file of marks has a key of each validator: far above what one client has.
const MAX_FILE_BYTES: u64 = 64 << 20;

impl Guard {
    /// Marks that are forgotten at the end.
    #[must_use]
    pub fn in_memory() -> Guard {
        Guard::default()
    }

    /// Marks in a file, which need not be there yet.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub fn at(file: &Path) -> Result<Guard, GuardError> {
        let wrong = |why: String| GuardError::Unreadable { file: file.to_owned(), why };
        let marks = match fs::metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(wrong(error.to_string())),
            Ok(found) if found.len() > MAX_FILE_BYTES => return Err(wrong("it is too large".to_owned())),
            Ok(_) => {
                let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
                serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?
            }
        };
        Ok(Guard { marks, file: Some(file.to_owned()) })
    }

    /// Keeps that these are signed; an answer for each, in their order. One that is refused keeps no other back.
    pub fn record(&mut self, requests: &[(Bytes48, What)]) -> Vec<Result<(), GuardError>> {
        let verdicts: Vec<Result<(), Refusal>> =
            requests.iter().map(|(key, what)| self.mark(key, what)).collect();
        let written = if verdicts.iter().any(Result::is_ok) { self.write() } else { Ok(()) };
        verdicts
            .into_iter()
            .map(|verdict| {
                verdict.map_err(GuardError::Refused)?;
                match (&written, &self.file) {
                    (Err(error), Some(file)) => Err(GuardError::Unwritten {
                        file: file.clone(),
                        source: std::io::Error::new(error.kind(), error.to_string()),
                    }),
                    (Ok(()) | Err(_), _) => Ok(()),
                }
            })
            .collect()
    }

    fn mark(&mut self, key: &Bytes48, what: &What) -> Result<(), Refusal> {
        let marks = self.marks.entry(*key).or_default();
        match *what {
            What::Block { slot, root } => {
                let block = Block { slot, root: root.into() };
                match marks.block {
                    Some(last) if last == block => return Ok(()),
                    Some(last) if last.slot == slot => return Err(Refusal::DoubleBlock { slot }),
                    Some(last) if last.slot > slot => return Err(Refusal::OldBlock { lowest: last.slot }),
                    Some(_) | None => {}
                }
                marks.block = Some(block);
            }
            What::Attestation { source, target, root } => {
                // In the first epoch both are genesis.
                if source > target || (source == target && target > 0) {
                    return Err(Refusal::Backwards);
                }
                let vote = Vote { source, target, root: root.into() };
                match marks.vote {
                    Some(last) if last == vote => return Ok(()),
                    Some(last) if last.target == target => return Err(Refusal::DoubleVote { target }),
                    Some(last) if last.source > source => {
                        return Err(Refusal::OldSource { lowest: last.source });
                    }
                    Some(last) if last.target > target => {
                        return Err(Refusal::OldTarget { lowest: last.target });
                    }
                    Some(_) | None => {}
                }
                marks.vote = Some(vote);
            }
        }
        Ok(())
    }

    /// Puts the file in place whole, and makes it last.
    fn write(&self) -> std::io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec(&self.marks)?;
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Bytes48 = coxswain_dv_eth::Bytes([1; 48]);

    fn vote(source: u64, target: u64, root: u8) -> What {
        What::Attestation { source, target, root: [root; 32] }
    }

    fn block(slot: u64, root: u8) -> What {
        What::Block { slot, root: [root; 32] }
    }

    fn refusals(guard: &mut Guard, all: &[What]) -> Vec<String> {
        let requests: Vec<_> = all.iter().map(|what| (KEY, *what)).collect();
        let verdicts = guard.record(&requests);
        verdicts
            .into_iter()
            .map(|one| one.map_or_else(|error| error.to_string(), |()| String::new()))
            .collect()
    }

    #[test]
    fn marks_only_rise() {
        for (second, expected) in [
            (vote(3, 5, 1), ""),
            (vote(4, 6, 2), ""),
            (vote(3, 6, 2), ""),
            (vote(3, 5, 2), "another attestation with the target epoch 5"),
            (vote(2, 6, 2), "attestations with a source before epoch 3"),
            (vote(3, 4, 2), "attestations with a target up to epoch 5"),
            (vote(7, 6, 2), "its source is not before its target"),
            (vote(6, 6, 2), "its source is not before its target"),
        ] {
            let mut guard = Guard::in_memory();
            let answers = refusals(&mut guard, &[vote(3, 5, 1), second]);
            assert_eq!(answers[0], "");
            let is_right =
                if expected.is_empty() { answers[1].is_empty() } else { answers[1].contains(expected) };
            assert!(is_right, "{second:?}: {}", answers[1]);
        }
        let mut guard = Guard::in_memory();
        let blocks = [block(7, 1), block(7, 1), block(7, 2), block(6, 1), block(8, 1)];
        let answers = refusals(&mut guard, &blocks);
        let is_refused: Vec<bool> = answers.iter().map(|text| !text.is_empty()).collect();
        assert_eq!(is_refused, [false, false, true, true, false], "{answers:?}");
    }

    #[test]
    fn marks_outlive_the_client() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("marks.json");
        let mut guard = Guard::at(&path).expect("no file yet");
        assert_eq!(refusals(&mut guard, &[block(7, 1), vote(0, 1, 1)]), ["", ""]);
        drop(guard);
        let mut guard = Guard::at(&path).expect("the file");
        let answers = refusals(&mut guard, &[block(7, 2), vote(0, 1, 2), vote(0, 1, 1)]);
        assert!(!answers[0].is_empty() && !answers[1].is_empty() && answers[2].is_empty(), "{answers:?}");
        fs::write(&path, b"{").expect("written");
        let error = Guard::at(&path).expect_err("garbage").to_string();
        assert!(error.contains("marks.json is no file of marks"), "{error}");
    }

    /// The folder is gone, so the marks cannot be kept.
    #[test]
    fn what_cannot_be_kept_is_not_signed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut guard = Guard::at(&folder.path().join("gone/marks.json")).expect("no file yet");
        let answers = refusals(&mut guard, &[block(7, 1)]);
        assert!(answers[0].contains("could not be written"), "{answers:?}");
    }
}
