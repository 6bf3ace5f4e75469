//! Bytes to message and back.
//!
//! A limit is checked before anything is read. What is read must have every message-typed field that is not marked as
//! one that may be absent, also inside lists and maps: nodes of other makers drop messages that lack one.

use prost::Message;

/// A message that goes between nodes.
pub trait WireMessage: Message + Default {
    /// Package and name, like `dkg.dkgpb.v1.MsgSync`.
    const NAME: &'static str;

    /// Finds the first field that must be there and is not.
    ///
    /// # Errors
    /// Where it should be.
    fn present(&self) -> Result<(), Missing>;
}

/// A field that must be there and is not: its path inside the message, like `casts[3].key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// Why bytes are not the message that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It is longer than it may be.
    #[error("{message}: it has {length} bytes, and at most {limit} are read")]
    TooLong {
        /// Package and name.
        message: &'static str,
        /// Bytes that it has.
        length: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// It cannot be read.
    #[error("{message}: the bytes are no message of this type")]
    Protobuf {
        /// Package and name.
        message: &'static str,
        /// Where and why.
        source: prost::DecodeError,
    },
    /// A field must be there and is not.
    #[error("{message}: the field `{field}` is missing")]
    Missing {
        /// Package and name.
        message: &'static str,
        /// Path of the field.
        field: String,
    },
    /// A value is of another type than its place is for.
    #[error("expected a value of the type {expected}, and this one is of the type {found:?}")]
    Type {
        /// Package and name.
        expected: &'static str,
        /// What it says of itself, cut short where it is long.
        found: String,
    },
    /// A field has a value that it cannot have.
    #[error("{message}: {why}")]
    Value {
        /// Package and name.
        message: &'static str,
        /// Which field, and what is wrong with it.
        why: &'static str,
    },
}

/// Reads a message of at most `limit` bytes.
///
/// # Errors
/// [`WireError`]; trying again does not help.
pub fn decode<M: WireMessage>(bytes: &[u8], limit: usize) -> Result<M, WireError> {
    let message = M::NAME;
    if bytes.len() > limit {
        return Err(WireError::TooLong { message, length: bytes.len(), limit });
    }
    let read = M::decode(bytes).map_err(|source| WireError::Protobuf { message, source })?;
    read.present().map_err(|Missing(field)| WireError::Missing { message, field })?;
    Ok(read)
}

/// Writes a message, in one piece of exactly its length: one with secrets is wiped by wrapping it in `Zeroizing`.
#[must_use]
pub fn encode<M: WireMessage>(message: &M) -> Vec<u8> {
    // Others would drop it and say nothing.
    debug_assert_eq!(message.present(), Ok(()), "a {} goes out whole", M::NAME);
    message.encode_to_vec()
}

/// A field that must be there.
pub(crate) fn required<M: WireMessage>(field: &str, value: Option<&M>) -> Result<(), Missing> {
    let value = value.ok_or_else(|| Missing(field.to_owned()))?;
    value.present().map_err(|Missing(inner)| Missing(format!("{field}.{inner}")))
}

/// A field that may be absent.
pub(crate) fn optional<M: WireMessage>(field: &str, value: Option<&M>) -> Result<(), Missing> {
    if value.is_some() { required(field, value) } else { Ok(()) }
}

/// A list of messages.
pub(crate) fn each<M: WireMessage>(field: &str, values: &[M]) -> Result<(), Missing> {
    for (position, value) in values.iter().enumerate() {
        value.present().map_err(|Missing(inner)| Missing(format!("{field}[{position}].{inner}")))?;
    }
    Ok(())
}

/// Longest foreign text in an error.
const SHOWN: usize = 80;

/// A foreign text as an error shows it: cut short.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
