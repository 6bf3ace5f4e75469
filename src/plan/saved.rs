//! The bytes of a plan file: one JSON document, closed by the SHA-256 of all before it.
//!
//! The checksum finds damage and edits by hand: what was agreed to is what is carried out. It is no signature.

use sha2::{Digest as _, Sha256};

use super::model::{FORMAT, SavedPlan};

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
        let json: serde_json::Value =
            serde_json::from_slice(&document).map_err(|e| format!("it is no plan ({e})"))?;
        let format = json.pointer("/plan/format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            let has = format.map_or("no format".to_owned(), |n| format!("format {n}"));
            return Err(format!("it has {has}, and this coxswain reads format {FORMAT}"));
        }
        match found {
            None => Err("it has no checksum, so its end is missing".into()),
            Some(found) if found != hex::encode(Sha256::digest(body)).as_bytes() => {
                Err("it was damaged or edited: its checksum is of other content".into())
            }
            Some(_) => serde_json::from_value(json).map_err(|e| format!("it is not whole: {e}")),
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
