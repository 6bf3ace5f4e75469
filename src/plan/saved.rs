//! The bytes of a plan file: one JSON document, closed by the SHA-256 of all before it.
//!
//! The checksum finds damage and edits by hand: what was agreed to is what is carried out. It is no signature.

use sha2::{Digest as _, Sha256};

use super::document::{self, PlanFileError};
use super::model::SavedPlan;

const SUM: &str = ",\"sum\":\"sha256:";
const END: &str = "\"}\n";
const SUM_HEX: usize = 64;

impl SavedPlan {
    /// The bytes of the file.
    ///
    /// # Errors
    /// When a value has no JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        // The document's own end comes back after the checksum.
        bytes.pop();
        let sum = hex::encode(Sha256::digest(&bytes));
        bytes.extend_from_slice(format!("{SUM}{sum}{END}").as_bytes());
        Ok(bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Why they are no plan of this version.
    pub fn parse(bytes: &[u8]) -> Result<SavedPlan, String> {
        let (body, found) = parts(bytes).unwrap_or((bytes, None));
        let mut document = body.to_vec();
        if found.is_some() {
            document.push(b'}');
        }
        let is_whole = found.is_some_and(|found| found == hex::encode(Sha256::digest(body)).as_bytes());
        match (document::read(&document), found) {
            // What is no plan at all is said to be none, whatever its end looks like.
            (Err(error @ (PlanFileError::NotJson(_) | PlanFileError::Format { .. })), _) => {
                Err(error.to_string())
            }
            (_, None) => Err("it has no checksum, so its end is missing".into()),
            (_, Some(_)) if !is_whole => {
                Err("it was damaged or edited: its checksum is of other content".into())
            }
            (read, Some(_)) => read.map_err(|error| error.to_string()),
        }
    }
}

/// What is before the checksum, and the checksum.
fn parts(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let at = bytes.len().checked_sub(SUM.len() + SUM_HEX + END.len())?;
    let (body, tail) = bytes.split_at(at);
    let sum = tail.strip_prefix(SUM.as_bytes())?.strip_suffix(END.as_bytes())?;
    Some((body, Some(sum)))
}
