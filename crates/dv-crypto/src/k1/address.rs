//! Addresses of the execution layer and their checksum in letter case (EIP-55).

use std::fmt;

use super::{IdentityPublic, keccak256};

/// Hexadecimal digits of an address.
const DIGITS: usize = 40;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is something else than `0x` and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits, not {text:?}")]
    Text {
        /// What was given.
        text: String,
    },
    /// The letter case is not that of the checksum.
    #[error("the letter case of {text} is not that of its checksum: a digit is wrong, or it is {expected}")]
    Checksum {
        /// What was given.
        text: String,
        /// The same digits with their checksum.
        expected: Address,
    },
}

/// An address of the execution layer. Shown with its checksum.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The address of a public key: the last 20 bytes of the hash of its x and y.
    #[must_use]
    pub fn of(public: &IdentityPublic) -> Self {
        let [_tag, point @ ..] = public.to_uncompressed();
        let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = keccak256(&point);
        Self(address)
    }

    /// Reads `0x` and 40 hexadecimal digits of any letter case.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut bytes = [0; 20];
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
            .map(|()| Self(bytes))
            .ok_or_else(|| AddressError::Text { text: text.into() })
    }

    /// Reads an address whose letter case is its checksum; all-lower and all-upper forms are refused.
    ///
    /// # Errors
    /// The text is something else, or the checksum is wrong.
    pub fn parse_strict(text: &str) -> Result<Self, AddressError> {
        let address = Self::parse(text)?;
        if address.to_string() == text {
            Ok(address)
        } else {
            Err(AddressError::Checksum { text: text.into(), expected: address })
        }
    }
}

impl fmt::Display for Address {
    /// `0x` and 40 digits; a letter is upper where the hash of the lower text has a digit of 8 or more (EIP-55).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; DIGITS];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        let hash = keccak256(&digits);
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        let mut text = String::with_capacity(DIGITS);
        for (digit, nibble) in digits.iter().zip(nibbles) {
            text.push(char::from(if nibble >= 8 { digit.to_ascii_uppercase() } else { *digit }));
        }
        write!(f, "0x{text}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
