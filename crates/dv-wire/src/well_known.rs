//! Types that protobuf brings along: any value, time stamps, texts.

use crate::message::{self, Missing, WireError, WireMessage, shown};

/// What stands before the name of a type.
const TYPE_URL_PREFIX: &str = "type.googleapis.com/";
/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// A message of a type that it names itself. Its bytes are kept as they were received: they are what is hashed.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Any {
    /// `type.googleapis.com/`, package and name.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl WireMessage for Any {
    const NAME: &'static str = "google.protobuf.Any";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl Any {
    /// Wraps a message.
    #[must_use]
    pub fn pack<M: WireMessage>(message: &M) -> Any {
        Any { type_url: format!("{TYPE_URL_PREFIX}{}", M::NAME), value: message::encode(message) }
    }

    /// Whether it says that it is of this type.
    #[must_use]
    pub fn is<M: WireMessage>(&self) -> bool {
        self.type_url.strip_prefix(TYPE_URL_PREFIX) == Some(M::NAME)
    }

    /// The message inside, of at most `limit` bytes.
    ///
    /// # Errors
    /// It is of another type, or [`message::decode`] refuses it.
    pub fn unpack<M: WireMessage>(&self, limit: usize) -> Result<M, WireError> {
        if !self.is::<M>() {
            return Err(WireError::Type { expected: M::NAME, found: shown(&self.type_url) });
        }
        message::decode(&self.value, limit)
    }
}

/// A point in time since 1970, as protobuf has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest, 0 to 999,999,999; a received one may be anything.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl WireMessage for Timestamp {
    const NAME: &'static str = "google.protobuf.Timestamp";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl Timestamp {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn unix_nanos(&self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    /// From nanoseconds since 1970; none for a time whose seconds do not fit.
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Option<Timestamp> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
        let nanos = i32::try_from(nanos.rem_euclid(NANOS)).ok()?;
        Some(Timestamp { seconds, nanos })
    }
}

/// A `google.protobuf.Value` that is a text. One that is something else is read as none.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct TextValue {
    /// The text; an empty one is written, none is not.
    #[prost(string, optional, tag = "3")]
    pub text: Option<String>,
}

impl WireMessage for TextValue {
    const NAME: &'static str = "google.protobuf.Value";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

impl TextValue {
    /// Wraps a text.
    #[must_use]
    pub fn pack(text: &str) -> Any {
        Any::pack(&TextValue { text: Some(text.to_owned()) })
    }

    /// The text inside.
    ///
    /// # Errors
    /// It is no text, or longer than `limit` with its tags.
    pub fn unpack(any: &Any, limit: usize) -> Result<String, WireError> {
        let value: TextValue = any.unpack(limit)?;
        value.text.ok_or(WireError::Value { message: Self::NAME, why: "the value is no text" })
    }
}
