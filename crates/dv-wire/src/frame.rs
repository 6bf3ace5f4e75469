//! A message on a stream: its length, then its bytes.
//!
//! ```text
//! all protocols   length as an unsigned varint, at most 9 bytes and as short as can be ‖ message
//! sync stream     length as 8 bytes, little end first, signed and above 0              ‖ message
//! ```
//!
//! [`FrameReader`] takes bytes as they come, in pieces of any size. A length above the limit is refused before memory is
//! taken, and memory is taken only for what arrives. What is written is one piece: Go nodes read the body of a sync frame
//! with a single call, so a frame that was split over two writes is lost there.

use zeroize::Zeroizing;

use crate::message::WireMessage;

/// Most bytes of a length that is a varint.
const VARINT_BYTES: u32 = 9;
/// Bytes of a length in a sync frame.
const SYNC_BYTES: u32 = 8;
/// Memory that is taken before anything of a body is there.
const FIRST_BYTES: usize = 64 * 1024;

/// Why bytes on a stream are no frame. The stream is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The message is longer than it may be.
    #[error("the message has {length} bytes, and at most {limit} are read")]
    TooLong {
        /// Bytes that it has.
        length: u64,
        /// Bytes that it may have.
        limit: usize,
    },
    /// A varint goes on after its ninth byte.
    #[error("the length of the message has more than {VARINT_BYTES} bytes")]
    LengthTooLong,
    /// A varint could be shorter.
    #[error("the length of the message is not written as short as it can be")]
    NotMinimal,
    /// A sync frame has no message.
    #[error("a sync frame has at least one byte, and this one says {length}")]
    Empty {
        /// What it says.
        length: i64,
    },
    /// The stream ended before the frame did.
    #[error("the stream ended inside a message, after {got} bytes of it")]
    Short {
        /// Bytes of length and message that came.
        got: usize,
    },
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Varint,
    Sync,
}

/// What a reader has after some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// All bytes were taken, and the frame is not whole yet.
    More,
    /// The frame is whole.
    Whole {
        /// The message; it may hold secrets.
        message: Zeroizing<Vec<u8>>,
        /// How many of the bytes belong to it; the others begin the next frame.
        used: usize,
    },
}

/// Reads frames from bytes as they come.
#[derive(Debug)]
pub struct FrameReader {
    framing: Framing,
    limit: usize,
    /// Of the length that is being read: its bytes so far, and what they make.
    count: u32,
    value: u64,
    /// The length, once it is read.
    length: Option<usize>,
    body: Zeroizing<Vec<u8>>,
    failed: Option<FrameError>,
}

impl FrameReader {
    /// For every protocol but sync, with messages of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> FrameReader {
        Self::with(Framing::Varint, limit)
    }

    /// For the sync stream, with messages of at most `limit` bytes.
    #[must_use]
    pub fn sync(limit: usize) -> FrameReader {
        Self::with(Framing::Sync, limit)
    }

    fn with(framing: Framing, limit: usize) -> FrameReader {
        let body = Zeroizing::default();
        FrameReader { framing, limit, count: 0, value: 0, length: None, body, failed: None }
    }

    /// Takes bytes; after a whole frame the reader is ready for the next one.
    ///
    /// # Errors
    /// [`FrameError`]; every later call gives the same.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Read, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut used = 0;
        let length = loop {
            if let Some(length) = self.length {
                break length;
            }
            let Some(byte) = bytes.get(used) else { return Ok(Read::More) };
            used += 1;
            self.length = self.length_byte(*byte).inspect_err(|error| self.failed = Some(*error))?;
        };
        let rest = bytes.get(used..).unwrap_or_default();
        let part = rest.get(..length - self.body.len()).unwrap_or(rest);
        self.keep(part, length);
        used += part.len();
        if self.body.len() < length {
            return Ok(Read::More);
        }
        (self.count, self.value, self.length) = (0, 0, None);
        Ok(Read::Whole { message: std::mem::take(&mut self.body), used })
    }

    /// To be called when the stream has ended.
    ///
    /// # Errors
    /// It ended inside a frame.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.failed {
            Some(failed) => Err(failed),
            None if self.count > 0 => Err(FrameError::Short { got: self.count as usize + self.body.len() }),
            None => Ok(()),
        }
    }

    /// One byte of the length; gives the length after its last one.
    fn length_byte(&mut self, byte: u8) -> Result<Option<usize>, FrameError> {
        let before = self.count;
        self.count += 1;
        let length = match self.framing {
            Framing::Varint => {
                self.value |= u64::from(byte & 0x7f) << (7 * before);
                match byte {
                    0x80.. if self.count == VARINT_BYTES => return Err(FrameError::LengthTooLong),
                    0x80.. => return Ok(None),
                    0 if before > 0 => return Err(FrameError::NotMinimal),
                    _ => self.value,
                }
            }
            Framing::Sync => {
                self.value |= u64::from(byte) << (8 * before);
                if self.count < SYNC_BYTES {
                    return Ok(None);
                }
                let signed = self.value.cast_signed();
                if signed <= 0 {
                    return Err(FrameError::Empty { length: signed });
                }
                self.value
            }
        };
        let too_long = FrameError::TooLong { length, limit: self.limit };
        usize::try_from(length).ok().filter(|length| *length <= self.limit).map(Some).ok_or(too_long)
    }

    /// Keeps a part of the body. Where it has to move, the old place is wiped.
    fn keep(&mut self, part: &[u8], length: usize) {
        let needed = self.body.len() + part.len();
        if needed > self.body.capacity() {
            let room = needed.max(self.body.capacity() * 2).max(FIRST_BYTES).min(length);
            let mut moved = Zeroizing::new(Vec::with_capacity(room));
            moved.extend_from_slice(&self.body);
            self.body = moved;
        }
        self.body.extend_from_slice(part);
    }
}

/// A message in a frame, in one piece; one with secrets is wiped by wrapping it in `Zeroizing`.
#[must_use]
pub fn frame<M: WireMessage>(message: &M) -> Vec<u8> {
    let mut length = [0; 10];
    let length = varint(message.encoded_len() as u64, &mut length);
    assemble(length, message)
}

/// Bytes of a message in a frame: an empty slice for an answer that says nothing.
#[must_use]
pub fn frame_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut length = [0; 10];
    [varint(bytes.len() as u64, &mut length), bytes].concat()
}

/// A message in a frame of the sync stream, in one piece. It is to go out with one write.
///
/// # Errors
/// The message is empty, which this frame cannot hold.
pub fn sync_frame<M: WireMessage>(message: &M) -> Result<Vec<u8>, FrameError> {
    match message.encoded_len() {
        0 => Err(FrameError::Empty { length: 0 }),
        length => Ok(assemble(&(length as u64).to_le_bytes(), message)),
    }
}

/// Length and message, without a copy of the message.
fn assemble<M: WireMessage>(length: &[u8], message: &M) -> Vec<u8> {
    debug_assert_eq!(message.present(), Ok(()), "a {} goes out whole", M::NAME);
    let mut out = Vec::with_capacity(length.len() + message.encoded_len());
    out.extend_from_slice(length);
    message.encode(&mut out).expect("a vector has room");
    out
}

fn varint(mut value: u64, room: &mut [u8; 10]) -> &[u8] {
    let mut count = 0;
    for place in room.iter_mut() {
        count += 1;
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        *place = if value == 0 { low } else { low | 0x80 };
        if value == 0 {
            break;
        }
    }
    &room[..count]
}
