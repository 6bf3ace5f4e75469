//! Bytes of a message as all nodes write them before they hash them: known fields ascending, maps in the order of their
//! keys, nothing for what is zero, and then what is not known, as it came.
//!
//! A struct drops fields of later versions, and with them the hash that those versions have. Here they are kept.
//!
//! ```text
//! bytes ─fields→ number, kind, payload ─by shape→ known ones ascending ‖ unknown ones as they came
//! ```

use std::collections::BTreeMap;

use crate::message::WireError;

/// A number of bits of a tag that say what follows.
const KIND_BITS: u32 = 3;
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED_32: u8 = 5;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// A number of 64 bits, signed or not.
    Number,
    /// A signed number of 32 bits.
    Number32,
    /// Bytes or a text.
    Bytes,
    /// A message.
    One(&'static Shape),
    /// A list of messages.
    Many(&'static Shape),
    /// A map from texts to bytes. Entries write key and value also where they are empty.
    Map,
}

/// The fields that are known of a message, by ascending number.
#[derive(Debug)]
pub struct Shape {
    /// Package and name.
    pub name: &'static str,
    /// Number and content.
    pub fields: &'static [(u64, Holds)],
}

/// One field as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// Its kind: 0 a varint, 1 eight bytes, 2 bytes with their length, 5 four bytes.
    pub kind: u8,
    /// A varint; zero for all else.
    pub varint: u64,
    /// What follows the tag, without a length.
    pub payload: &'a [u8],
    /// All of it.
    pub whole: &'a [u8],
}

impl Field<'_> {
    /// Whether it is bytes with their length: bytes, a text, a message.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        self.kind == LENGTH
    }
}

/// Reads fields one after another; ends at the first one that cannot be read.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    is_broken: bool,
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes, is_broken: false }
    }

    /// Whether it ended before the bytes did.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn read(&mut self) -> Option<Field<'a>> {
        let start = self.rest;
        let tag = self.varint()?;
        let kind = (tag & ((1 << KIND_BITS) - 1)) as u8;
        let mut varint = 0;
        let payload = match kind {
            VARINT => {
                let before = self.rest;
                varint = self.varint()?;
                &before[..before.len() - self.rest.len()]
            }
            FIXED_64 => self.take(8)?,
            FIXED_32 => self.take(4)?,
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?
            }
            // Groups: no message here has any.
            _ => return None,
        };
        let whole = &start[..start.len() - self.rest.len()];
        let number = tag >> KIND_BITS;
        (number > 0).then_some(Field { number, kind, varint, payload, whole })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for at in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            // What the tenth byte has beyond 64 bits is lost, as everywhere.
            value |= u64::from(byte & 0x7f).checked_shl(7 * at).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || self.is_broken {
            return None;
        }
        let field = self.read();
        self.is_broken = field.is_none();
        field
    }
}

/// The bytes of a message of this shape as all nodes write them.
///
/// # Errors
/// They are no message of this shape; trying again does not help.
pub fn canonical(bytes: &[u8], shape: &'static Shape) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(bytes.len());
    write(bytes, shape, &mut out)?;
    Ok(out)
}

/// Puts a tag, a length and bytes.
pub fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << KIND_BITS | u64::from(LENGTH));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes that [`put_bytes`] puts for a payload of this length; of field numbers below 16.
#[must_use]
pub fn bytes_len(payload: usize) -> usize {
    let length_bytes = (usize::BITS - payload.leading_zeros()).div_ceil(7).max(1) as usize;
    1 + length_bytes + payload
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    if value != 0 {
        put_varint(out, number << KIND_BITS | u64::from(VARINT));
        put_varint(out, value);
    }
}

const fn kind_of(holds: Holds) -> u8 {
    match holds {
        Holds::Number | Holds::Number32 => VARINT,
        Holds::Bytes | Holds::One(_) | Holds::Many(_) | Holds::Map => LENGTH,
    }
}

/// Recursion is as deep as shapes are: they are constants without a circle.
fn write(bytes: &[u8], shape: &'static Shape, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut unknown = Vec::new();
    let mut known: Vec<Vec<Field<'_>>> = vec![Vec::new(); shape.fields.len()];
    let mut fields = Fields::of(bytes);
    for field in fields.by_ref() {
        let place = shape.fields.binary_search_by_key(&field.number, |(number, _)| *number);
        match place {
            Ok(at) if kind_of(shape.fields[at].1) == field.kind => known[at].push(field),
            // A field of another kind than its number has is unknown to others, too.
            _ => unknown.extend_from_slice(field.whole),
        }
    }
    if fields.is_broken() {
        return Err(broken(shape));
    }
    for ((number, holds), found) in shape.fields.iter().zip(&known) {
        write_field(*number, *holds, found, out)?;
    }
    out.append(&mut unknown);
    Ok(())
}

fn broken(shape: &Shape) -> WireError {
    WireError::Value { message: shape.name, why: "its bytes end inside a field" }
}

fn write_field(number: u64, holds: Holds, found: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), WireError> {
    let last = found.last();
    match holds {
        Holds::Number => put_number(out, number, last.map_or(0, |field| field.varint)),
        Holds::Number32 => {
            // The lower 32 bits with their sign, in as many bytes as 64 bits take.
            let value = last.map_or(0, |field| field.varint) as u32 as i32;
            put_number(out, number, i64::from(value) as u64);
        }
        Holds::Bytes => {
            let payload = last.map_or(&[][..], |field| field.payload);
            if !payload.is_empty() {
                put_bytes(out, number, payload);
            }
        }
        Holds::One(shape) if !found.is_empty() => {
            // A message in pieces is what its pieces are one after another.
            let payload = found.iter().map(|field| field.payload).collect::<Vec<_>>().concat();
            put_bytes(out, number, &canonical(&payload, shape)?);
        }
        Holds::One(_) => {}
        Holds::Many(shape) => {
            for field in found {
                put_bytes(out, number, &canonical(field.payload, shape)?);
            }
        }
        Holds::Map => {
            let mut entries = BTreeMap::new();
            for field in found {
                let (key, value) = entry(field.payload).ok_or(WireError::Value {
                    message: "an entry of a map",
                    why: "its bytes end inside a field",
                })?;
                entries.insert(key, value);
            }
            for (key, value) in entries {
                put_entry(out, number, key, value);
            }
        }
    }
    Ok(())
}

/// Puts an entry of a map: key and value, also where they are empty.
pub(crate) fn put_entry(out: &mut Vec<u8>, number: u64, key: &[u8], value: &[u8]) {
    let mut entry = Vec::with_capacity(bytes_len(key.len()) + bytes_len(value.len()));
    put_bytes(&mut entry, 1, key);
    put_bytes(&mut entry, 2, value);
    put_bytes(out, number, &entry);
}

/// Key and value of an entry: what is absent is empty, and of two the last one counts.
fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::of(bytes);
    for field in fields.by_ref() {
        match (field.number, field.kind) {
            (1, LENGTH) => key = field.payload,
            (2, LENGTH) => value = field.payload,
            _ => {}
        }
    }
    (!fields.is_broken()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Shape = Shape { name: "Inner", fields: &[(1, Holds::Number), (2, Holds::Number32)] };
    static OUTER: Shape = Shape {
        name: "Outer",
        fields: &[(1, Holds::Map), (2, Holds::One(&INNER)), (3, Holds::Many(&INNER)), (4, Holds::Bytes)],
    };

    #[track_caller]
    fn check(bytes: &str, expected: &str) {
        let bytes = hex::decode(bytes.replace(' ', "")).expect("hex");
        let written = canonical(&bytes, &OUTER).map(hex::encode);
        assert_eq!(written, Ok(expected.replace(' ', "")));
        let again = hex::decode(written.expect("written")).expect("hex");
        assert_eq!(canonical(&again, &OUTER), Ok(again), "what is canonical stays as it is");
    }

    #[test]
    fn fields_are_sorted_and_what_is_not_known_comes_last() {
        check("7a0155 22026162 1a020801 1a00", "1a020801 1a00 22026162 7a0155");
        check("2200 220161 2800", "220161 2800");
    }

    #[test]
    fn maps_are_sorted_and_their_entries_whole() {
        check("0a06 0a0162 120101 0a03 0a0161", "0a05 0a0161 1200 0a06 0a0162 120101");
        check("0a06 0a0161 120101 0a06 0a0161 120102", "0a06 0a0161 120102");
        check("0a06 120101 0a0161", "0a06 0a0161 120101");
    }

    #[test]
    fn messages_in_pieces_are_one() {
        check("1202 0801 1202 1002", "1204 0801 1002");
        check("1202 0801 1202 0800", "1200");
    }

    #[test]
    fn small_numbers_keep_their_sign() {
        check("120b 10 ffffffffffffffffff01", "120b 10 ffffffffffffffffff01");
        check("1206 10 ffffffff0f", "120b 10 ffffffffffffffffff01");
    }

    #[test]
    fn bytes_that_end_early_are_refused() {
        for bytes in
            [&[0x0a, 2, 0][..], &[0x0a], &[0x80], &[0x0a, 1, 0x0a], &[0x0b], &[0x00, 0x00], &[0xff; 11]]
        {
            assert!(canonical(bytes, &OUTER).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn lengths_are_those_that_are_put() {
        for length in [0, 1, 127, 128, 16_383, 16_384] {
            let mut out = Vec::new();
            put_bytes(&mut out, 3, &vec![0; length]);
            assert_eq!(out.len(), bytes_len(length));
        }
    }
}
