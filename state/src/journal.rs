//! The journal: a header line, then one line per entry, each chained to the line before it.
//!
//! ```text
//! {"format":1,"lineage":"…","base":3,"sum":"…"}                    put in place whole, by a rename
//! {"seq":1,"sum":"…","entry":{…}}                                  appended and synced, one after the other
//! {"seq":2,"sum":"…","en                                           torn by a crash: cut
//! ```
//!
//! A record's `sum` is the SHA-256 of the sum before it and of the entry's bytes, so that no record can be changed,
//! left out, doubled or put elsewhere. Records are written in order, a few at a time, and synced before more are
//! written; what a crash leaves of the last write is a beginning of it: whole records that were never told to
//! anybody, and at most one that is torn. So a tail without a line end is cut if it could be such a
//! beginning, is taken if it is the whole record, and everything else that does not verify is damage.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entry::Entry;
use crate::error::ParseError;
use crate::model::FORMAT;
use crate::snapshot::{check_format, corrupt};

/// The largest record: far above any object, far below a machine's memory.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

const SUM_HEX: usize = 64;

/// A journal as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// The state it belongs to.
    pub lineage: String,
    /// The serial of the snapshot it goes on from.
    pub base: u64,
    /// What happened since, in order.
    pub entries: Vec<Entry>,
    /// Where each entry begins, in bytes.
    pub offsets: Vec<usize>,
    /// Where the next record goes.
    pub(crate) tail: Tail,
    /// Bytes after the last whole record: what a crash left of the next one.
    pub torn: usize,
}

/// The end of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) seq: u64,
    pub(crate) sum: String,
    pub(crate) len: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    lineage: String,
    base: u64,
    sum: String,
}

/// The header line, and the end of a journal that has nothing else.
pub(crate) fn header(lineage: &str, base: u64) -> (Vec<u8>, Tail) {
    let lineage = serde_json::Value::from(lineage).to_string();
    let body = format!("{{\"format\":{FORMAT},\"lineage\":{lineage},\"base\":{base},");
    let sum = hex::encode(Sha256::digest(body.as_bytes()));
    let line = format!("{body}\"sum\":\"{sum}\"}}\n").into_bytes();
    let len = line.len() as u64;
    (line, Tail { seq: 0, sum, len })
}

impl Tail {
    /// The line of the next entry, and the end after it.
    ///
    /// # Errors
    /// Where the entry could not be read back: it is too large or nested too deeply.
    pub(crate) fn next(&self, entry: &Entry) -> Result<(Vec<u8>, Tail), String> {
        let text = serde_json::to_string(entry).map_err(|error| error.to_string())?;
        match serde_json::from_str::<Entry>(&text) {
            Ok(back) if back == *entry => {}
            Ok(_) => return Err("it would read back as something else".to_owned()),
            Err(error) => return Err(format!("it could not be read back: {error}")),
        }
        let seq = self.seq + 1;
        let sum = chain(&self.sum, text.as_bytes());
        let line = format!("{{\"seq\":{seq},\"sum\":\"{sum}\",\"entry\":{text}}}\n").into_bytes();
        if line.len() > MAX_RECORD_BYTES {
            return Err(format!("it has {} bytes, and {MAX_RECORD_BYTES} are the most", line.len()));
        }
        let len = self.len + line.len() as u64;
        Ok((line, Tail { seq, sum, len }))
    }
}

fn chain(before: &str, entry: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(entry);
    hex::encode(hash.finalize())
}

/// Reads a journal. Never panics, whatever the bytes.
///
/// # Errors
/// When a later format is named at the beginning, or when anything but a torn tail does not verify.
pub fn parse_journal(bytes: &[u8]) -> Result<Journal, ParseError> {
    let (journal, error) = read_journal(bytes)?;
    match error {
        Some(error) => Err(error),
        None => Ok(journal),
    }
}

/// As [`parse_journal`], with what comes before the damage.
///
/// # Errors
/// When even the header cannot be read.
pub(crate) fn read_journal(bytes: &[u8]) -> Result<(Journal, Option<ParseError>), ParseError> {
    check_format(bytes)?;
    let mut journal = parse_header(bytes)?;
    loop {
        let at = usize::try_from(journal.tail.len).unwrap_or(bytes.len());
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok((journal, None));
        }
        let end = rest.iter().position(|b| *b == b'\n');
        let line = end.map_or(rest, |end| &rest[..end]);
        match (parse_record(line, &journal.tail), end) {
            (Ok((entry, sum)), _) => {
                let seq = journal.tail.seq + 1;
                // The line end of the last record may be missing; nothing is appended before it is folded.
                let len = (at + line.len() + usize::from(end.is_some())) as u64;
                journal.tail = Tail { seq, sum, len };
                journal.entries.push(entry);
                journal.offsets.push(at);
            }
            (Err(_), None) if is_beginning(line, &journal.tail) => {
                journal.torn = line.len();
                return Ok((journal, None));
            }
            (Err(reason), _) => return Ok((journal, Some(corrupt(bytes, at, reason)))),
        }
    }
}

fn parse_header(bytes: &[u8]) -> Result<Journal, ParseError> {
    let bad = |reason: &str| corrupt(bytes, 0, reason);
    let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| bad("the first line has no end"))?;
    let found: Header =
        serde_json::from_slice(&bytes[..end]).map_err(|error| bad(&format!("the first line: {error}")))?;
    let (line, tail) = header(&found.lineage, found.base);
    if line != bytes[..=end] {
        return Err(bad("the checksum of the first line is of other content"));
    }
    let (entries, offsets) = (Vec::new(), Vec::new());
    Ok(Journal { lineage: found.lineage, base: found.base, entries, offsets, tail, torn: 0 })
}

fn parse_record(line: &[u8], tail: &Tail) -> Result<(Entry, String), &'static str> {
    if line.len() > MAX_RECORD_BYTES {
        return Err("the record is too long");
    }
    let start = start_of(tail);
    let rest = line.strip_prefix(start.as_bytes()).ok_or("the record's number is not the next one")?;
    let (sum, rest) = rest.split_at_checked(SUM_HEX).ok_or("the record ends too early")?;
    let entry = rest
        .strip_prefix(b"\",\"entry\":")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .ok_or("the record is not framed as one")?;
    let expected = chain(&tail.sum, entry);
    if sum != expected.as_bytes() {
        return Err("the record's checksum is of other content");
    }
    let entry = serde_json::from_slice(entry).map_err(|_| "the record holds no entry")?;
    Ok((entry, expected))
}

fn start_of(tail: &Tail) -> String {
    format!("{{\"seq\":{},\"sum\":\"", tail.seq + 1)
}

/// Whether the bytes can be what a crash left of the next record: a beginning of one, shorter than the whole.
fn is_beginning(line: &[u8], tail: &Tail) -> bool {
    let start = start_of(tail);
    let start = start.as_bytes();
    let common = start.len().min(line.len());
    if line[..common] != start[..common] {
        return false;
    }
    let rest = &line[common..];
    let sum = &rest[..SUM_HEX.min(rest.len())];
    let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    // A whole record with something after it was never a beginning: its line end was changed.
    let all_but_last = line.split_last().map_or(line, |(_, rest)| rest);
    sum.iter().all(is_hex) && parse_record(all_but_last, tail).is_err()
}
