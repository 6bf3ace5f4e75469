//! Bytes as cluster files have them.

use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Json;

/// Standard base64 with padding; bits that mean nothing are passed over, as others do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes of a cluster file. Where there are none, base64 tells `null` from an empty string; hex does not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(Option<Vec<u8>>);

impl Bytes {
    /// Bytes that are there, though there may be none of them.
    pub fn present(bytes: Vec<u8>) -> Bytes {
        Bytes(Some(bytes))
    }

    /// Reads base64 with padding.
    pub(super) fn parse_base64(text: &str) -> Result<Bytes, base64::DecodeError> {
        BASE64.decode(text).map(Bytes::present)
    }

    /// As `0x` and lower digits; an empty string for none.
    pub fn to_hex(&self) -> Json {
        if self.is_empty() { "".into() } else { Json::Text(format!("0x{}", hex::encode(&**self))) }
    }

    /// As base64 with padding; `null` for nothing at all.
    pub fn to_base64(&self) -> Json {
        self.0.as_ref().map_or(Json::Null, |bytes| Json::Text(BASE64.encode(bytes)))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(bytes: [u8; N]) -> Bytes {
        Bytes::from(bytes.to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("null"),
            Some(bytes) => write!(f, "0x{}", hex::encode(bytes)),
        }
    }
}
