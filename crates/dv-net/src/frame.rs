//! Messages on a stream: a length as unsigned LEB128, then as many bytes.

use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::upgrade::NegotiationError;
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

/// Bytes that a length may have, as go's reader has it.
const MAX_LENGTH_BYTES: usize = 9;
/// Bytes that are given room for before any has come: a peer's word alone costs no memory.
const FIRST_ROOM: usize = 64 << 10;
/// How long the other side may take to end a stream on which all is said.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why a message was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended before the message did.
    #[error("the peer ended the stream before its message was whole")]
    Ended,
    /// The length is not one.
    #[error("the length of the message is not written as it should be")]
    Length,
    /// It is longer than it may be.
    #[error("the message has {length} bytes, more than the {max} it may have")]
    TooLong {
        /// What the peer says.
        length: u64,
        /// The limit.
        max: usize,
    },
    /// The stream broke.
    #[error("the stream broke")]
    Broken(#[source] io::Error),
    /// The other side does not speak the protocol: a message is written before that is known.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// It took too long.
    #[error("the peer was silent for {} s", .0.as_secs())]
    Slow(Duration),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> FrameError {
        let is_refusal = error.get_ref().is_some_and(|inner| inner.is::<NegotiationError>());
        if is_refusal { FrameError::Unsupported } else { FrameError::Broken(error) }
    }
}

impl FrameError {
    /// Whether the stream or its connection broke, which says nothing about the peer: trying again may help.
    pub fn is_broken(&self) -> bool {
        matches!(self, FrameError::Broken(_))
    }
}

/// Reads one message of at most `max` bytes, and not a byte behind it.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let length = read_length(stream, max).await?;
    read_body(stream, length).await
}

/// Reads one message like [`read`], and takes room for it from what the peer has as bytes come. The room is given back with
/// the second value.
pub(crate) async fn read_within<'a>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
    room: &'a Semaphore,
) -> Result<(Zeroizing<Vec<u8>>, Option<SemaphorePermit<'a>>), FrameError> {
    let length = read_length(stream, max).await?;
    let mut body = Zeroizing::new(Vec::new());
    let mut taken: Option<SemaphorePermit<'a>> = None;
    while body.len() < length {
        let to = next_size(body.len(), length);
        let more = u32::try_from(to - body.len()).unwrap_or(u32::MAX);
        let permit = room.acquire_many(more).await.map_err(|_| FrameError::Ended)?;
        match &mut taken {
            Some(taken) => taken.merge(permit),
            None => taken = Some(permit),
        }
        grow(stream, &mut body, to).await?;
    }
    Ok((body, taken))
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<usize, FrameError> {
    let mut length = 0u64;
    for position in 0..=MAX_LENGTH_BYTES {
        if position == MAX_LENGTH_BYTES {
            return Err(FrameError::Length);
        }
        let mut byte = [0];
        read_exact(stream, &mut byte).await?;
        length |= u64::from(byte[0] & 0x7f) << (7 * position);
        if byte[0] & 0x80 == 0 {
            if position > 0 && byte[0] == 0 {
                return Err(FrameError::Length);
            }
            break;
        }
    }
    if length > max as u64 {
        return Err(FrameError::TooLong { length, max });
    }
    Ok(length as usize)
}

/// How much room there is next: it grows with what comes.
fn next_size(from: usize, length: usize) -> usize {
    length.min(from + FIRST_ROOM.max(from))
}

async fn grow(
    stream: &mut (impl AsyncRead + Unpin),
    body: &mut Zeroizing<Vec<u8>>,
    to: usize,
) -> Result<(), FrameError> {
    let from = body.len();
    let mut larger = Zeroizing::new(vec![0; to]);
    larger[..from].copy_from_slice(body);
    read_exact(stream, &mut larger[from..]).await?;
    *body = larger;
    Ok(())
}

/// Reads so many bytes. Room grows with what comes, and what is left behind is wiped: it may be secret.
pub(crate) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut body = Zeroizing::new(Vec::new());
    while body.len() < length {
        let to = next_size(body.len(), length);
        grow(stream, &mut body, to).await?;
    }
    Ok(body)
}

async fn read_exact(stream: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<(), FrameError> {
    stream.read_exact(bytes).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Ended,
        _ => FrameError::from(error),
    })
}

/// Writes one message.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), FrameError> {
    let framed = Zeroizing::new(coxswain_dv_wire::frame::frame_bytes(message));
    stream.write_all(&framed).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one message of a stream of reports: its length in 8 bytes, the least one first.
///
/// # Errors
/// [`FrameError`].
pub async fn read_report(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut length = [0; 8];
    read_exact(stream, &mut length).await?;
    let length = u64::from_le_bytes(length);
    if length == 0 || length > i64::MAX as u64 {
        return Err(FrameError::Length);
    }
    if length > max as u64 {
        return Err(FrameError::TooLong { length, max });
    }
    read_body(stream, length as usize).await
}

/// Writes what is framed already, in one piece: go's reader takes a report with a single call.
///
/// # Errors
/// [`FrameError`].
pub async fn write_report(stream: &mut (impl AsyncWrite + Unpin), framed: &[u8]) -> Result<(), FrameError> {
    stream.write_all(framed).await?;
    stream.flush().await?;
    Ok(())
}

/// Says that nothing more will be written.
pub(crate) async fn half_close(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), FrameError> {
    Ok(stream.close().await?)
}

/// Waits until the other side has ended a stream, which says that it has read everything, and ends it.
///
/// # Errors
/// As of [`ended`].
pub(crate) async fn acknowledged(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), FrameError> {
    match tokio::time::timeout(GOODBYE, ended(&mut stream)).await {
        Ok(result) => result,
        // A peer that takes its time has what was written.
        Err(_) => Ok(stream.close().await?),
    }
}

/// Waits until the other side has ended a stream, then ends it. The caller has a limit of its own.
///
/// A stream of yamux that was reset reads like one that was ended. So this side stays open until the other one has ended:
/// then only an ended stream takes another write, of no bytes. Peers read one message, and do not wait for its sender's end.
///
/// # Errors
/// The stream was reset, or its connection lost: nobody knows what was read.
pub(crate) async fn ended(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), FrameError> {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    std::future::poll_fn(|cx| match Pin::new(&mut stream).poll_write(cx, &[]) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        // It would wait for room, which only a stream that is not reset does.
        Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;
    // The peer has the message, whatever becomes of the goodbye.
    drop(stream.close().await);
    Ok(())
}

/// Ends a stream without a reset: a peer of charon takes one for a broken relay.
pub async fn finish(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let ending = async {
        stream.close().await?;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, all was said that was to be said.
    drop(tokio::time::timeout(GOODBYE, ending).await);
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    fn read_all(bytes: &[u8], max: usize) -> Result<Zeroizing<Vec<u8>>, FrameError> {
        futures::executor::block_on(read(&mut Cursor::new(bytes.to_vec()), max))
    }

    #[test]
    fn messages_come_back() {
        for length in [0, 1, 127, 128, 300, 70_000, 200_000] {
            let message = vec![7; length];
            let mut bytes = Vec::new();
            futures::executor::block_on(write(&mut bytes, &message)).unwrap();
            assert_eq!(*read_all(&bytes, 200_000).unwrap(), message);
        }
    }

    #[test]
    fn an_empty_message_is_one_byte() {
        let mut bytes = Vec::new();
        futures::executor::block_on(write(&mut bytes, &[])).unwrap();
        assert_eq!(bytes, [0]);
    }

    #[test]
    fn lengths_are_minimal_and_bounded() {
        assert!(matches!(read_all(&[0x80, 0x00], 10), Err(FrameError::Length)));
        assert!(matches!(read_all(&[0xff; 12], 10), Err(FrameError::Length)));
        assert!(matches!(read_all(&[0x0b], 10), Err(FrameError::TooLong { length: 11, max: 10 })));
        assert!(matches!(read_all(&[0x05, 1, 2], 10), Err(FrameError::Ended)));
        assert!(matches!(read_all(&[], 10), Err(FrameError::Ended)));
    }

    /// A peer that promises 100 MiB and sends three bytes is not given 100 MiB.
    #[test]
    fn promises_cost_no_memory() {
        let mut promised = vec![0x80, 0x80, 0x80, 0x32];
        promised.extend_from_slice(&[1, 2, 3]);
        assert!(matches!(read_all(&promised, 128 << 20), Err(FrameError::Ended)));
    }

    /// What is not whole yet takes room; a message that is larger than what is left waits for it.
    #[test]
    fn messages_share_room() {
        let mut bytes = Vec::new();
        futures::executor::block_on(write(&mut bytes, &[7; 100_000])).unwrap();
        let room = Semaphore::new(150_000);
        let (first, taken) =
            futures::executor::block_on(read_within(&mut Cursor::new(bytes.clone()), 1 << 20, &room))
                .unwrap();
        assert_eq!((first.len(), room.available_permits()), (100_000, 50_000));
        let mut second = Cursor::new(bytes.clone());
        let mut waiting = Box::pin(read_within(&mut second, 1 << 20, &room));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        drop(taken);
        let (second, taken) = futures::executor::block_on(waiting).unwrap();
        assert_eq!((second.len(), room.available_permits()), (100_000, 50_000));
        drop(taken);
        // A promise takes room for what has come, and gives it back.
        let broken =
            futures::executor::block_on(read_within(&mut Cursor::new(&bytes[..1000]), 1 << 20, &room));
        assert!(matches!(broken, Err(FrameError::Ended)));
        assert_eq!(room.available_permits(), 150_000);
    }
}
