//! How bytes and texts are read: SSZ, JSON, and the small headers that say which fork they are of.
//!
//! Nodes that are wire-compatible with charon put a header in front of SSZ whose shape hangs on the fork: the fork's
//! number in eight bytes, perhaps more, and in the last four of the header its own length, like an offset of SSZ.

use serde::Serialize;
use serde::de::DeserializeOwned;
use ssz::Decode;

use crate::duty::DutyType;
use crate::fork::Fork;

/// Why bytes are not what they should be. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No SSZ of this container.
    #[error("the {what} is not valid SSZ: {why}")]
    Ssz {
        /// What was read.
        what: &'static str,
        /// Which rule is broken.
        why: String,
    },
    /// No JSON of this shape.
    #[error("the {what} is not valid JSON")]
    Json {
        /// What was read.
        what: &'static str,
        /// Where, and what is wrong.
        source: serde_json::Error,
    },
    /// No header.
    #[error("the {what} does not begin with a header of {bytes} bytes that ends with its length")]
    Header {
        /// What was read.
        what: &'static str,
        /// How long the header is.
        bytes: usize,
    },
    /// An unknown fork.
    #[error("the {what} is of fork {number}, which is not known here; a newer version may know it")]
    Fork {
        /// What was read.
        what: &'static str,
        /// The fork's number.
        number: u64,
    },
    /// A flag that is neither.
    #[error("the {what} says {flag} where 0 is a full block and 1 a blinded one")]
    Blinded {
        /// What was read.
        what: &'static str,
        /// What it says.
        flag: u8,
    },
    /// Before payloads there was nothing to blind.
    #[error("the {what} is blinded, but blocks of {fork} have no payload")]
    NothingToBlind {
        /// What was read.
        what: &'static str,
        /// The fork.
        fork: Fork,
    },
    /// A value that this duty cannot have.
    #[error("the {what} is refused: {why}")]
    Value {
        /// What was read.
        what: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Nothing is signed, or nothing is agreed on, for such duties.
    #[error("duties of type {0} have no such data")]
    Kind(DutyType),
}

/// Bytes of the fork's number.
const NUMBER: usize = 8;
/// Bytes of the header's own length.
const LENGTH: usize = 4;

/// Reads SSZ.
pub(crate) fn read_ssz<T: Decode>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    T::from_ssz_bytes(bytes).map_err(|why| CodecError::Ssz { what, why: format!("{why:?}") })
}

/// Reads JSON.
pub(crate) fn read_json<T: DeserializeOwned>(what: &'static str, text: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(text).map_err(|source| CodecError::Json { what, source })
}

/// Reads JSON into what points into it.
pub(crate) fn borrow_json<'t, T: serde::Deserialize<'t>>(
    what: &'static str,
    text: &'t [u8],
) -> Result<T, CodecError> {
    serde_json::from_slice(text).map_err(|source| CodecError::Json { what, source })
}

/// Writes JSON without white space.
pub(crate) fn write_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("containers have no maps and no failing fields")
}

/// Whether bytes that are no SSZ may be JSON.
pub(crate) fn looks_like_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|byte| *byte == b'{')
}

/// SSZ, and where it is none but may be JSON, JSON.
///
/// Never the other way round: SSZ of slot 123 begins with a brace.
pub(crate) fn ssz_or_json<T>(
    bytes: &[u8],
    ssz: impl FnOnce(&[u8]) -> Result<T, CodecError>,
    json: impl FnOnce(&[u8]) -> Result<T, CodecError>,
) -> Result<T, CodecError> {
    match ssz(bytes) {
        Err(_) if looks_like_json(bytes) => json(bytes),
        read => read,
    }
}

/// The bytes of a header between the fork's number and the length, the fork, and what comes after the header.
pub(crate) struct Headed<'b, const EXTRA: usize> {
    pub(crate) fork: Fork,
    pub(crate) extra: [u8; EXTRA],
    pub(crate) rest: &'b [u8],
}

/// Reads a header with `EXTRA` bytes between number and length.
pub(crate) fn read_header<'b, const EXTRA: usize>(
    what: &'static str,
    bytes: &'b [u8],
) -> Result<Headed<'b, EXTRA>, CodecError> {
    let all = NUMBER + EXTRA + LENGTH;
    let no_header = || CodecError::Header { what, bytes: all };
    let (number, after) = bytes.split_first_chunk::<NUMBER>().ok_or_else(no_header)?;
    let (extra, after) = after.split_first_chunk::<EXTRA>().ok_or_else(no_header)?;
    let (length, rest) = after.split_first_chunk::<LENGTH>().ok_or_else(no_header)?;
    if usize::try_from(u32::from_le_bytes(*length)) != Ok(all) {
        return Err(no_header());
    }
    let fork = read_fork(what, u64::from_le_bytes(*number))?;
    Ok(Headed { fork, extra: *extra, rest })
}

/// The fork of a number.
pub(crate) fn read_fork(what: &'static str, number: u64) -> Result<Fork, CodecError> {
    Fork::of(number).ok_or(CodecError::Fork { what, number })
}

/// A header, and behind it what `body` appends.
pub(crate) fn with_header<const EXTRA: usize>(
    fork: Fork,
    extra: [u8; EXTRA],
    body: &impl ssz::Encode,
) -> Vec<u8> {
    let all = NUMBER + EXTRA + LENGTH;
    let length = u32::try_from(all).expect("a header is short");
    let mut bytes = Vec::with_capacity(all + body.ssz_bytes_len());
    bytes.extend_from_slice(&fork.number().to_le_bytes());
    bytes.extend_from_slice(&extra);
    bytes.extend_from_slice(&length.to_le_bytes());
    body.ssz_append(&mut bytes);
    bytes
}
