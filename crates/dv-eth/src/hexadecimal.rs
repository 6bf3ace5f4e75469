//! Bytes of any length as JSON has them: hexadecimal digits after `0x`. Blocks have megabytes of them, so they are read
//! where they lie, and many at a time.

use std::fmt;
use std::ops::Deref;

use alloy_primitives::hex;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits after `0x`; none where there is no `0x`, or two.
pub(crate) fn digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").filter(|digits| !digits.starts_with("0x"))
}

/// Reads exactly as many bytes as there is room for.
pub(crate) fn read_exactly(text: &str, into: &mut [u8]) -> Option<()> {
    hex::decode_to_slice(digits(text)?, into).ok()
}

/// `0x` and the digits.
pub(crate) fn write(bytes: &[u8]) -> String {
    hex::encode_prefixed(bytes)
}

/// Bytes that were read.
struct Read(Vec<u8>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Read, D::Error> {
        from.deserialize_str(Digits).map(Read)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hexadecimal digits after `0x`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let bytes = digits(text).and_then(|digits| hex::decode(digits).ok());
        bytes.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("another text"), &self))
    }
}

/// Bytes that are written.
struct Written<'b>(&'b [u8]);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(self.0))
    }
}

/// One text.
pub(crate) mod one {
    use super::*;

    pub(crate) fn serialize<S, T>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        T: Deref<Target = [u8]>,
    {
        Written(bytes).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>, Error: fmt::Debug>,
    {
        let Read(bytes) = Read::deserialize(from)?;
        T::try_from(bytes).map_err(|error| D::Error::custom(format!("{error:?}")))
    }
}

/// A list of texts.
pub(crate) mod many {
    use std::marker::PhantomData;

    use ssz_types::VariableList;
    use ssz_types::typenum::Unsigned;

    use super::*;

    pub(crate) fn serialize<S, T, N>(list: &VariableList<T, N>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        T: Deref<Target = [u8]>,
        N: Unsigned,
    {
        serializer.collect_seq(list.iter().map(|bytes| Written(bytes)))
    }

    pub(crate) fn deserialize<'de, D, T, N>(from: D) -> Result<VariableList<T, N>, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>, Error: fmt::Debug>,
        N: Unsigned,
    {
        from.deserialize_seq(Texts(PhantomData))
    }

    struct Texts<T, N>(PhantomData<(T, N)>);

    impl<'de, T, N> Visitor<'de> for Texts<T, N>
    where
        T: TryFrom<Vec<u8>, Error: fmt::Debug>,
        N: Unsigned,
    {
        type Value = VariableList<T, N>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} texts of hexadecimal digits", N::to_usize())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut list = VariableList::empty();
            while let Some(Read(bytes)) = seq.next_element()? {
                let item = T::try_from(bytes).map_err(|error| A::Error::custom(format!("{error:?}")))?;
                list.push(item).map_err(|error| A::Error::custom(format!("{error:?}")))?;
            }
            Ok(list)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_one_prefix() {
        let read = |text: &str| {
            let json = serde_json::to_string(text).expect("JSON");
            serde_json::from_str::<Read>(&json).ok().map(|read| read.0)
        };
        assert_eq!(read("0x"), Some(vec![]));
        assert_eq!(read("0x00fFAb"), Some(vec![0, 0xff, 0xab]));
        for refused in ["", "00", "0x0", "0x0x00", "0x0g", "0X00", "0x 00", "0x00\u{0}0"] {
            assert_eq!(read(refused), None, "{refused}");
        }
        let mut two = [0; 2];
        assert_eq!(read_exactly("0x0102", &mut two), Some(()));
        assert_eq!(two, [1, 2]);
        for refused in ["0102", "0x01", "0x010203", "0x0x01", "0x0x0102"] {
            assert_eq!(read_exactly(refused, &mut two), None, "{refused}");
        }
        assert_eq!(write(&[0, 0xff]), "0x00ff");
    }
}
