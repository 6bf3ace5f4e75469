//! An id without a slash at its beginning: nodes of charon up to v1.11.0-rc1 call the priority protocol so, and libp2p
//! refuses such ids wherever it reads or writes one.
//!
//! ```text
//! libp2p  ─ /haron/priority/2.0.0 ─ Muxer ─ charon/priority/2.0.0 ─  peer
//! ```
//!
//! While a stream is negotiated, one letter is changed in each direction: the name inside has as many bytes as the one
//! outside, so lengths stay what they are. Once a protocol is agreed on, bytes go through untouched. Whoever opens a stream
//! writes its message right behind the last id that it offers, before it is answered: the id with the bad name is offered
//! alone or second, so what is written behind another offer is either that id or a message.
//!
//! # What must never happen
//!
//! - A byte of a message is changed: only lines of the negotiation are, and only where they are this id.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use coxswain_dv_wire::protocol::PRIORITY_LEGACY;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::swarm::StreamProtocol;
use zeroize::Zeroizing;

/// The id outside begins with this letter, and its name inside with a slash instead.
const FIRST: u8 = b'c';
/// Its name inside.
const INSIDE: &str = "/haron/priority/2.0.0";
/// The line of a negotiation with which each side begins.
const HEADER: &[u8] = b"/multistream/1.0.0\n";
/// The line that refuses an id.
const REFUSAL: &[u8] = b"na\n";
/// The same with its length.
const REFUSED: &[u8] = b"\x03na\n";
/// Most bytes that are held back until they are flushed: a message of consensus and the lines before it.
const MAX_HELD: usize = 4096;
/// Bits of a length that one byte holds, and most bytes of one: lines are short.
const LENGTH_BITS: u32 = 7;
const MAX_LENGTH_SHIFT: u32 = 14;

/// How libp2p calls a protocol.
pub(crate) fn inside(id: &'static str) -> StreamProtocol {
    StreamProtocol::new(if id == PRIORITY_LEGACY.id { INSIDE } else { id })
}

/// What a protocol of libp2p is outside.
pub(crate) fn outside(protocol: &StreamProtocol) -> &str {
    let name = protocol.as_ref();
    if name == INSIDE { PRIORITY_LEGACY.id } else { name }
}

/// Which line of a negotiation ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Opened the stream: agreed when the other side repeats its id.
    Dialer,
    /// Answers: agreed when it repeats the id.
    Listener,
}

/// Where in the lines of one direction a stream is.
#[derive(Debug, Clone, Copy)]
struct Lines {
    length: usize,
    shift: u32,
    /// Bytes of the line that are through; none as long as its length is read.
    at: Option<usize>,
    is_header: bool,
    is_refusal: bool,
}

impl Lines {
    const START: Lines = Lines { length: 0, shift: 0, at: None, is_header: true, is_refusal: true };

    /// Takes the next byte; says whether it ends a line that names a protocol.
    fn take(&mut self, byte: u8) -> bool {
        let Some(at) = self.at else {
            self.length |= usize::from(byte & 0x7f) << self.shift;
            self.shift = (self.shift + LENGTH_BITS).min(MAX_LENGTH_SHIFT);
            if byte & 0x80 == 0 {
                self.at = Some(0);
                if self.length == 0 {
                    *self = Self::START;
                }
            }
            return false;
        };
        self.is_header &= HEADER.get(at) == Some(&byte);
        self.is_refusal &= REFUSAL.get(at) == Some(&byte);
        if at + 1 < self.length {
            self.at = Some(at + 1);
            return false;
        }
        let names = !self.is_header && !self.is_refusal;
        *self = Self::START;
        names
    }

    /// Whether this is the next byte, and the length of a line that the id may be in.
    fn is_at_length_of_bad(&self, byte: u8) -> bool {
        self.at.is_none() && usize::from(byte) == INSIDE.len() + 1
    }

    /// Whether the next byte is the first of a line as long as the id.
    fn may_begin(&self) -> bool {
        self.at == Some(0) && self.length == INSIDE.len() + 1
    }
}

/// The lines of a stream that is negotiated.
#[derive(Debug, Clone, Copy)]
struct Negotiation {
    side: Side,
    read: Lines,
    written: Lines,
    /// What a dialer has said so far.
    offers: Offers,
}

/// How far a dialer is with what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offers {
    /// It has named no protocol yet.
    None,
    /// It has named one; behind it comes the id with the bad name, or a message.
    First,
    /// It is in the line of the id with the bad name.
    Last,
    /// What it writes now are messages.
    All,
}

impl Negotiation {
    fn new(side: Side) -> Self {
        Self { side, read: Lines::START, written: Lines::START, offers: Offers::None }
    }

    /// Changes bytes that came; says whether a protocol is agreed on.
    fn reads(&mut self, bytes: &mut [u8]) -> bool {
        for byte in bytes {
            if self.read.may_begin() && *byte == FIRST {
                // No other id may begin so; one that does is refused under either name.
                *byte = b'/';
            }
            if self.read.take(*byte) && self.side == Side::Dialer {
                return true;
            }
        }
        false
    }

    /// Changes bytes that go; says whether a protocol is agreed on.
    fn writes(&mut self, bytes: &mut [u8]) -> bool {
        for at in 0..bytes.len() {
            // libp2p writes a line in one piece, so all of it is seen.
            let rest = &bytes[at..];
            let is_bad = self.written.may_begin() && rest.starts_with(INSIDE.as_bytes());
            if self.offers == Offers::First && !is_bad && !self.written.is_at_length_of_bad(rest[0]) {
                self.offers = Offers::All;
            }
            if self.offers == Offers::All {
                return false;
            }
            if is_bad {
                bytes[at] = FIRST;
                self.offers = Offers::Last;
            }
            if self.written.take(bytes[at]) {
                match self.side {
                    Side::Listener => return true,
                    Side::Dialer if self.offers == Offers::None => self.offers = Offers::First,
                    Side::Dialer => self.offers = Offers::All,
                }
            }
        }
        false
    }
}

/// A muxer whose streams go by the names outside.
pub(crate) struct Muxer<M>(pub(crate) M);

impl<M> StreamMuxer for Muxer<M>
where
    M: StreamMuxer + Unpin,
    M::Substream: Unpin,
{
    type Substream = Substream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let stream = ready!(Pin::new(&mut self.0).poll_inbound(cx))?;
        Poll::Ready(Ok(Substream::new(stream, Side::Listener)))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let stream = ready!(Pin::new(&mut self.0).poll_outbound(cx))?;
        Poll::Ready(Ok(Substream::new(stream, Side::Dialer)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// A stream of such a muxer. What is written goes out in one piece when it is flushed: the lines of a negotiation and the
/// message behind them would each be a packet of their own otherwise, sealed twice where a relay is between.
pub(crate) struct Substream<S> {
    stream: S,
    /// Until a protocol is agreed on.
    negotiation: Option<Negotiation>,
    side: Side,
    /// What is written and has not gone out.
    held: Zeroizing<Vec<u8>>,
    /// Whether something was written that somebody waits for: a refusal, or what is behind the negotiation.
    has_spoken: bool,
}

impl<S> Substream<S> {
    fn new(stream: S, side: Side) -> Self {
        let (negotiation, held) = (Some(Negotiation::new(side)), Zeroizing::default());
        Self { stream, negotiation, side, held, has_spoken: false }
    }

    /// Whether nobody waits for what is held as long as there is something to read: whoever opened the stream has written its
    /// message behind its offer, and looks at the answer to that when it looks for the end of the stream.
    fn may_wait(&self) -> bool {
        self.side == Side::Listener && !self.has_spoken
    }
}

impl<S: AsyncWrite + Unpin> Substream<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Bytes that go: changed where they are lines of a negotiation.
    fn say(&mut self, from: usize) {
        match &mut self.negotiation {
            Some(negotiation) => {
                self.has_spoken |= self.held.ends_with(REFUSED);
                if negotiation.writes(self.held.get_mut(from..).unwrap_or_default()) {
                    self.negotiation = None;
                }
            }
            None => self.has_spoken = true,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Substream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) else {
            if this.may_wait() && !this.held.is_empty() {
                // Now the peer may be who waits. What does not go out yet goes when there is room.
                if let Poll::Ready(Err(error)) = this.poll_out(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            return Poll::Pending;
        };
        let read = read?;
        if this.negotiation.as_mut().is_some_and(|lines| lines.reads(&mut buf[..read])) {
            this.negotiation = None;
        }
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Substream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if buf.is_empty() || this.held.len() + buf.len() > MAX_HELD {
            ready!(this.poll_drain(cx))?;
        }
        let is_message = this.negotiation.is_none_or(|lines| lines.offers == Offers::All);
        if buf.is_empty() || (is_message && buf.len() > MAX_HELD) {
            this.has_spoken |= !buf.is_empty();
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        }
        // Room is taken once: what is left behind by growing would not be wiped.
        let (from, taken) = (this.held.len(), buf.len().min(MAX_HELD));
        this.held.reserve_exact(MAX_HELD.saturating_sub(from));
        this.held.extend_from_slice(buf.get(..taken).unwrap_or_default());
        this.say(from);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.may_wait() { Poll::Ready(Ok(())) } else { self.poll_out(cx) }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use futures::executor::block_on;
    use futures::io::Cursor;
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn line(text: &str) -> Vec<u8> {
        let mut line = vec![u8::try_from(text.len() + 1).unwrap()];
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        line
    }

    fn lines(texts: &[&str]) -> Vec<u8> {
        texts.iter().flat_map(|text| line(text)).collect()
    }

    /// What comes out of a stream in pieces of so many bytes.
    fn read(negotiation: &mut Option<Negotiation>, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut stream = Substream { negotiation: *negotiation, ..substream(Cursor::new(bytes.to_vec())) };
        let mut all = Vec::new();
        let mut buf = vec![0; piece];
        loop {
            let count = block_on(stream.read(&mut buf)).unwrap();
            if count == 0 {
                *negotiation = stream.negotiation;
                return all;
            }
            all.extend_from_slice(&buf[..count]);
        }
    }

    fn substream<S>(stream: S) -> Substream<S> {
        Substream::new(stream, Side::Dialer)
    }

    /// What goes, in the pieces that were taken; of each at most so many bytes.
    #[derive(Default)]
    struct Pieces {
        all: Vec<Vec<u8>>,
        most: usize,
        /// Nothing comes, and nobody ends.
        is_silent: bool,
    }

    impl AsyncRead for Pieces {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            if self.is_silent { Poll::Pending } else { Poll::Ready(Ok(0)) }
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let count = buf.len().min(self.most);
            self.all.push(buf[..count].to_vec());
            Poll::Ready(Ok(count))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What goes out, in pieces of so many bytes.
    fn write(negotiation: &mut Option<Negotiation>, bytes: &[u8], piece: usize) -> Vec<u8> {
        let pieces = Pieces { most: piece, ..Pieces::default() };
        let mut stream = Substream { negotiation: *negotiation, ..substream(pieces) };
        block_on(stream.write_all(bytes)).unwrap();
        block_on(stream.close()).unwrap();
        *negotiation = stream.negotiation;
        stream.stream.all.concat()
    }

    #[test]
    fn an_offer_and_its_message_go_out_together() {
        let mut stream = substream(Pieces { most: 1 << 20, ..Pieces::default() });
        let offer = lines(&[HEAD, "/charon/consensus/qbft/2.0.0"]);
        block_on(stream.write_all(&offer)).unwrap();
        block_on(stream.write_all(b"message")).unwrap();
        assert!(stream.stream.all.is_empty());
        block_on(stream.flush()).unwrap();
        assert_eq!(stream.stream.all, [[&offer[..], b"message"].concat()]);
        // What is large goes out as it is.
        let large = vec![7; MAX_HELD + 1];
        block_on(stream.write_all(&large)).unwrap();
        assert_eq!(stream.stream.all.len(), 2);
        assert_eq!(stream.stream.all[1], large);
    }

    #[test]
    fn an_answer_waits_until_there_is_nothing_to_read() {
        let answer = lines(&[HEAD, "/charon/consensus/qbft/2.0.0"]);
        let answered = |is_silent| {
            let pieces = Pieces { most: 1 << 20, is_silent, ..Pieces::default() };
            let mut stream = Substream::new(pieces, Side::Listener);
            block_on(stream.write_all(&answer)).unwrap();
            block_on(stream.flush()).unwrap();
            assert!(stream.stream.all.is_empty());
            stream
        };
        // A message was there, and the stream ends.
        let mut stream = answered(false);
        assert_eq!(block_on(stream.read(&mut [0; 8])).unwrap(), 0);
        assert!(stream.stream.all.is_empty());
        block_on(stream.close()).unwrap();
        assert_eq!(stream.stream.all.concat(), answer);
        // Nothing is there: the peer waits for the answer.
        let mut stream = answered(true);
        let mut buf = [0; 8];
        let mut reading = Box::pin(stream.read(&mut buf));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(reading.as_mut().poll(&mut cx).is_pending());
        drop(reading);
        assert_eq!(stream.stream.all.concat(), answer);
        // A refusal is waited for, whatever there is to read.
        let refusal = lines(&[HEAD, "na"]);
        let mut stream = Substream::new(Pieces { most: 1 << 20, ..Pieces::default() }, Side::Listener);
        block_on(stream.write_all(&refusal)).unwrap();
        block_on(stream.flush()).unwrap();
        assert_eq!(stream.stream.all, [refusal]);
        // What is said behind it goes out when it is flushed.
        let mut stream = answered(true);
        block_on(stream.write_all(b"message")).unwrap();
        block_on(stream.flush()).unwrap();
        assert_eq!(stream.stream.all, [[&answer[..], b"message"].concat()]);
    }

    const OUT: &str = "charon/priority/2.0.0";
    const HEAD: &str = "/multistream/1.0.0";

    #[test]
    fn names_are_as_long_inside_as_outside() {
        assert_eq!(INSIDE.len(), PRIORITY_LEGACY.id.len());
        assert_eq!(INSIDE[1..], PRIORITY_LEGACY.id[1..]);
        assert_eq!(inside(PRIORITY_LEGACY.id).as_ref(), INSIDE);
        assert_eq!(outside(&inside(PRIORITY_LEGACY.id)), PRIORITY_LEGACY.id);
        assert_eq!(outside(&inside("/charon/priority/2.0.0")), "/charon/priority/2.0.0");
        for protocol in &coxswain_dv_wire::protocol::PROTOCOLS {
            assert!(protocol.id.starts_with('/') || protocol.id == OUT, "{}", protocol.id);
        }
    }

    #[test]
    fn a_dialer_offers_both_and_reads_the_one_outside() {
        for piece in [1, 2, 3, 7, 1000] {
            let mut state = Some(Negotiation::new(Side::Dialer));
            let offers = lines(&[HEAD, "/charon/priority/2.0.0"]);
            assert_eq!(write(&mut state, &offers, piece), offers);
            let refused = lines(&[HEAD, "na"]);
            assert_eq!(read(&mut state, &refused, piece), refused);
            assert_eq!(write(&mut state, &line(INSIDE), piece), line(OUT), "{piece}");
            let mut answer = line(OUT);
            answer.extend_from_slice(&line(OUT));
            let mut expected = line(INSIDE);
            // The second is a message of the protocol, whatever it looks like.
            expected.extend_from_slice(&line(OUT));
            assert_eq!(read(&mut state, &answer, piece), expected);
            assert!(state.is_none());
            assert_eq!(write(&mut state, &line(INSIDE), piece), line(INSIDE));
        }
    }

    #[test]
    fn what_a_dialer_writes_behind_its_last_offer_is_a_message() {
        // Both are like lines of the negotiation.
        let message = lines(&[HEAD, "/charon/priority/2.0.0", INSIDE, INSIDE]);
        for piece in [1, 2, 3, 7, 1000] {
            for id in ["/charon/consensus/qbft/2.0.0", "/charon/priority/2.0.0"] {
                let mut state = Some(Negotiation::new(Side::Dialer));
                let all = [lines(&[HEAD, id]), message.clone()].concat();
                assert_eq!(write(&mut state, &all, piece), all, "{id} in pieces of {piece}");
                assert_eq!(read(&mut state, &lines(&[HEAD, id]), piece), lines(&[HEAD, id]));
                assert!(state.is_none());
            }
            for offers in [&[HEAD, INSIDE][..], &[HEAD, "/charon/priority/2.0.0", INSIDE]] {
                let mut state = Some(Negotiation::new(Side::Dialer));
                let all = [lines(offers), message.clone()].concat();
                let mut outside = offers.to_vec();
                *outside.last_mut().unwrap() = OUT;
                let expected = [lines(&outside), message.clone()].concat();
                assert_eq!(write(&mut state, &all, piece), expected, "{offers:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_listener_is_asked_outside_and_answers_outside() {
        for piece in [1, 2, 3, 7, 1000] {
            let mut state = Some(Negotiation::new(Side::Listener));
            let asked = lines(&[HEAD, "/libp2p/autonat/1.0.0", "charon/priority/9.9.9", OUT]);
            let inside = lines(&[HEAD, "/libp2p/autonat/1.0.0", "/haron/priority/9.9.9", INSIDE]);
            assert_eq!(read(&mut state, &asked, piece), inside);
            let answered = write(&mut state, &lines(&[HEAD, "na", "na", INSIDE, INSIDE]), piece);
            assert_eq!(answered, lines(&[HEAD, "na", "na", OUT, INSIDE]));
            assert!(state.is_none());
            assert_eq!(read(&mut state, &line(OUT), piece), line(OUT));
        }
    }

    /// Whatever a peer sends, at most first letters change, and nothing else happens.
    #[test]
    fn foreign_bytes_only_change_their_first_letters() {
        bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
            for side in [Side::Dialer, Side::Listener] {
                let mut state = Some(Negotiation::new(side));
                let came = read(&mut state, bytes, 5);
                assert_eq!(came.len(), bytes.len());
                for (before, after) in bytes.iter().zip(&came) {
                    assert!(before == after || (*before == FIRST && *after == b'/'));
                }
            }
        });
    }
}
