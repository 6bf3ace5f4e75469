//! The snapshot: one JSON document, one object per line, closed by a checksum.
//!
//! ```text
//! {"format":1,"lineage":"…","serial":3,"digest_key":"…",
//! "instances":{
//! "file.motd":{"uid":"…", …},
//! …
//! },
//! "claims":{ … },"outputs":{ … },"indeterminate":{ … },      each entry on a line of its own
//! "folded":"…","sum":"sha256:…"}
//! ```
//!
//! `sum` is the SHA-256 of every byte before `"sum"`. `folded` names the last record of the journal that the
//! snapshot took in, so that a journal that is still there afterwards is known to hold nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{ParseError, Position};
use crate::model::{FORMAT, State};

/// The largest snapshot or journal that is read: far above 100,000 instances, far below a machine's memory.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

const SUM: &str = "\"sum\":\"sha256:";
const END: &str = "\"}\n";
const SUM_HEX: usize = 64;

/// A snapshot as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// The checksum of the last journal record it took in; none for a first snapshot.
    pub folded: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    lineage: String,
    serial: u64,
    digest_key: Option<String>,
    instances: BTreeMap<coxswain_model::Address, crate::Record>,
    claims: BTreeMap<crate::ClaimKey, crate::Claim>,
    outputs: BTreeMap<String, crate::OutputRecord>,
    indeterminate: BTreeMap<coxswain_model::Address, crate::OpenIntent>,
    folded: Option<String>,
    #[serde(rename = "sum")]
    _sum: String,
}

impl Snapshot {
    /// The bytes of the snapshot; the same for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let state = &self.state;
        let mut out = format!(
            "{{\"format\":{FORMAT},\"lineage\":{},\"serial\":{},\"digest_key\":{},\n",
            text(&state.lineage),
            state.serial,
            text(&state.digest_key)
        );
        section(&mut out, "instances", &state.instances);
        section(&mut out, "claims", &state.claims);
        section(&mut out, "outputs", &state.outputs);
        section(&mut out, "indeterminate", &state.indeterminate);
        out.push_str(&format!("\"folded\":{},", text(&self.folded)));
        let sum = sum(out.as_bytes());
        out.push_str(SUM);
        out.push_str(&sum);
        out.push_str(END);
        out.into_bytes()
    }
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("state data has text keys and finite numbers")
}

fn section<K: ToString, V: Serialize>(out: &mut String, name: &str, entries: &BTreeMap<K, V>) {
    out.push_str(&format!("\"{name}\":{{"));
    for (i, (key, value)) in entries.iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        out.push_str(&text(&key.to_string()));
        out.push(':');
        out.push_str(&text(value));
    }
    out.push_str(if entries.is_empty() { "},\n" } else { "\n},\n" });
}

fn sum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Reads a snapshot. Never panics, whatever the bytes.
///
/// # Errors
/// When a later format is named at the beginning, or when anything does not verify.
pub fn parse_snapshot(bytes: &[u8]) -> Result<Snapshot, ParseError> {
    check_format(bytes)?;
    let tail = SUM.len() + SUM_HEX + END.len();
    let body_end =
        bytes.len().checked_sub(tail).ok_or_else(|| corrupt(bytes, bytes.len(), "it ends too early"))?;
    let (body, tail) = bytes.split_at(body_end);
    let found = tail
        .strip_prefix(SUM.as_bytes())
        .and_then(|rest| rest.strip_suffix(END.as_bytes()))
        .ok_or_else(|| corrupt(bytes, body_end, "the checksum is missing, so the end of the file is"))?;
    let parsed: Result<Wire, _> = serde_json::from_slice(bytes);
    if found != sum(body).as_bytes() {
        let (position, reason) = match parsed {
            Ok(_) => (position(bytes, body_end), "the checksum is of other content".to_owned()),
            Err(error) => (place_of(bytes, &error), error.to_string()),
        };
        return Err(ParseError::Corrupt { position, reason });
    }
    let wire = parsed.map_err(|error| ParseError::Corrupt {
        position: place_of(bytes, &error),
        reason: error.to_string(),
    })?;
    let Wire {
        format, lineage, serial, digest_key, instances, claims, outputs, indeterminate, folded, ..
    } = wire;
    let state = State { format, lineage, serial, digest_key, instances, claims, outputs, indeterminate };
    Ok(Snapshot { state, folded })
}

/// Both files begin with their format, so that a later one is told apart from a damaged one.
pub(crate) fn check_format(bytes: &[u8]) -> Result<(), ParseError> {
    let digits = bytes.strip_prefix(b"{\"format\":").unwrap_or_default();
    let end = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(0);
    let number = std::str::from_utf8(&digits[..end]).ok().and_then(|text| text.parse::<u32>().ok());
    match number {
        Some(found) if found > FORMAT => Err(ParseError::Newer { found }),
        Some(FORMAT) => Ok(()),
        Some(_) | None => Err(corrupt(bytes, 0, "it does not begin with a known format")),
    }
}

pub(crate) fn corrupt(bytes: &[u8], at: usize, reason: &str) -> ParseError {
    ParseError::Corrupt { position: position(bytes, at), reason: reason.to_owned() }
}

fn position(bytes: &[u8], at: usize) -> Position {
    let line = 1 + bytes.iter().take(at).filter(|b| **b == b'\n').count();
    Position { line, byte: at }
}

fn place_of(bytes: &[u8], error: &serde_json::Error) -> Position {
    let before: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    Position { line: error.line(), byte: (before + error.column().saturating_sub(1)).min(bytes.len()) }
}
