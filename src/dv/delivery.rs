//! Keys of nodes that go from their directories to their keymanagers.
//!
//! ```text
//! node0/validator_keys ─note beside them→ keymanager 0 ─imported→ files removed; all of them: the directory too
//! ```
//!
//! The directories are whole and on the disk before the first key leaves, so that no crash and no refusal loses one. A key
//! is then in its keymanager or in its file; where it may be in both, a note in the directory says so, even after a crash.
//!
//! # What must never happen
//!
//! - A file of a key is removed before its keymanager has said that it has the key.
//! - A key that may be in a keymanager lies there without the note.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coxswain_dv_keystore::{self as keystore, KeystoreName};
use zeroize::Zeroizing;

use super::disk::{self, DiskError, Mode};
use super::history;
use super::http::Client;
use super::keymanager::{Keymanager, Outcome, Parcel};
use super::keystores::DIRECTORY;

/// The note beside keys that may be in a keymanager.
pub const NOTE: &str = "SENT-TO-KEYMANAGER";

/// What became of the keys of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The node's directory.
    pub node: PathBuf,
    /// Its keymanager, as it may be shown.
    pub keymanager: String,
    /// How many keys the keymanager has now.
    pub imported: usize,
    /// Keys it has not: their files, and why.
    pub refused: Vec<(String, String)>,
    /// Keys it may have: their files, and why.
    pub unknown: Vec<(String, String)>,
}

impl Delivered {
    /// Whether the keymanager has every key, and the directory none.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.refused.is_empty() && self.unknown.is_empty()
    }
}

/// A key's files and what is sent of them.
struct Files {
    json: PathBuf,
    password: PathBuf,
    parcel: Parcel,
}

/// Sends the keys of a node to its keymanager, with their history where there is one, and removes the files of those that
/// it has then.
///
/// # Errors
/// [`DiskError`]; before anything is sent, or when a file that is not needed any more cannot be removed.
pub async fn deliver(client: &Client, node: &Path, to: &Keymanager) -> Result<Delivered, DiskError> {
    let dir = node.join(DIRECTORY);
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| DiskError::Refused { doing, path, source }
    };
    let files = read(&dir).map_err(failed("reading the keystores in", &dir))?;
    let history = node.join(history::FILE);
    let history = match fs::read_to_string(&history) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("reading", &history)(error)),
    };
    let keymanager = super::http::shown(&to.address);
    let note = dir.join(NOTE);
    disk::create(&note, Mode::AllRead, note_of(&keymanager).as_bytes())?;
    let (paths, parcels): (Vec<_>, Vec<Parcel>) =
        files.into_iter().map(|files| ((files.json, files.password), files.parcel)).unzip();
    let outcomes = to.import(client, &parcels, history.as_deref()).await;
    let mut delivered =
        Delivered { node: node.to_owned(), keymanager, imported: 0, refused: vec![], unknown: vec![] };
    for ((json, password), outcome) in paths.iter().zip(outcomes) {
        let name = json.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match outcome {
            Outcome::Imported => {
                delivered.imported += 1;
                // A password without its keystore opens nothing.
                for path in [json, password] {
                    fs::remove_file(path).map_err(failed("removing", path))?;
                }
            }
            Outcome::Refused(why) => delivered.refused.push((name, why)),
            Outcome::Unknown(why) => delivered.unknown.push((name, why)),
        }
    }
    // The note is there as long as a loss of power may bring back the file of a key that was imported.
    disk::sync_directory(&dir).map_err(failed("making durable", &dir))?;
    if delivered.unknown.is_empty() {
        fs::remove_file(&note).map_err(failed("removing", &note))?;
    }
    if delivered.is_all() {
        fs::remove_dir(&dir).map_err(failed("removing", &dir))?;
    }
    disk::sync_directory(node).map_err(failed("making durable", node))?;
    Ok(delivered)
}

/// The keys of a directory, in the order of their numbers.
fn read(dir: &Path) -> io::Result<Vec<Files>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let json = entry?.path();
        let name = json.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(known) = KeystoreName::of(&name) else { continue };
        let password = dir.join(keystore::password_name(&name));
        let text = fs::read_to_string(&json)?;
        let wrong = |why: &dyn std::fmt::Display| io::Error::other(format!("{name}: {why}"));
        let mut public_key = [0; 48];
        let keystore = keystore::parse(text.as_bytes()).map_err(|e| wrong(&e))?;
        hex::decode_to_slice(&keystore.pubkey, &mut public_key).map_err(|e| wrong(&e))?;
        let parcel =
            Parcel { public_key, keystore: text, password: Zeroizing::new(fs::read_to_string(&password)?) };
        found.push((known.position(), Files { json, password, parcel }));
    }
    found.sort_by_key(|(position, _)| *position);
    Ok(found.into_iter().map(|(_, files)| files).collect())
}

fn note_of(keymanager: &str) -> String {
    format!(
        "The keys in this directory were sent to the keymanager {keymanager}, and it is not known which of them it has.\n\
         Look at its list of keys (GET /eth/v1/keystores) before you import any of them anywhere: a key that signs in two\n\
         places is slashed. Remove from here what it has, and then this note.\n"
    )
}
