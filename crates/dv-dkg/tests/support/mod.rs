//! What tests of ceremonies share: a generator that is known, and hexadecimal text.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// A generator that gives known bytes, and fails the test when they are used up or left.
pub(crate) struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Script {
    pub(crate) fn new(numbers: &[[u8; 32]]) -> Self {
        Self { bytes: numbers.concat(), at: 0 }
    }

    pub(crate) fn assert_used(&self) {
        assert_eq!(self.at, self.bytes.len(), "every number was asked for");
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let end = self.at + out.len();
        out.copy_from_slice(self.bytes.get(self.at..end).expect("the script is long enough"));
        self.at = end;
        Ok(())
    }
}

impl TryCryptoRng for Script {}

#[track_caller]
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hexadecimal text")).expect("hexadecimal digits")
}

#[track_caller]
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("bytes of the length that the vector says")
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
