//! What is said to relays: RESERVE and CONNECT on a hop stream, and the answer on a stop stream.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use prost::Message as _;

use crate::frame::{self, FrameError};
use crate::streams::Stream;

/// Asks a relay for a reservation or a circuit.
pub(crate) const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";
/// A relay brings a circuit.
pub(crate) const STOP: &str = "/libp2p/circuit/relay/0.2.0/stop";
/// Longest message, as go-libp2p has it.
const MAX_BYTES: usize = 4096;
/// Longest reservation that is believed; a relay that says more is asked again before.
const MAX_RESERVATION: Duration = Duration::from_secs(24 * 3600);

/// Why there is no reservation, or no connection through a relay.
#[derive(Debug, thiserror::Error)]
pub enum CircuitError {
    /// The relay said no.
    #[error("the relay refused: {}", status_text(*.0))]
    Refused(i32),
    /// The answer is not one.
    #[error("the relay's answer makes no sense: {0}")]
    Answer(&'static str),
    /// The stream to the relay.
    #[error("talking to the relay")]
    Stream(#[from] FrameError),
    /// There is no stream to the relay.
    #[error("opening a stream to the relay")]
    Open(#[from] crate::streams::OpenError),
    /// The host is gone.
    #[error("the network of this node has ended")]
    Closed,
    /// It is from somebody who is no peer.
    #[error("{0} is no peer of this cluster")]
    Stranger(PeerId),
    /// Nothing came back.
    #[error("the relay did not answer in time")]
    Slow,
}

impl CircuitError {
    /// Whether the peer has no reservation yet; asking again soon makes sense.
    pub fn is_too_early(&self) -> bool {
        matches!(self, CircuitError::Refused(status) if *status == NO_RESERVATION)
    }
}

const OK: i32 = 100;
const DENIED: i32 = 202;
const NO_RESERVATION: i32 = 204;

fn status_text(status: i32) -> String {
    match status {
        200 => "no reservation is given".into(),
        201 => "its limits are reached".into(),
        DENIED => "permission denied".into(),
        203 => "it cannot reach the peer".into(),
        NO_RESERVATION => "the peer has no reservation".into(),
        400 => "it did not understand the message".into(),
        401 => "it did not expect the message".into(),
        other => format!("status {other}"),
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HopMessage {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    peer: Option<Peer>,
    #[prost(message, optional, tag = "3")]
    reservation: Option<Reservation>,
    #[prost(int32, optional, tag = "5")]
    status: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct StopMessage {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    peer: Option<Peer>,
    #[prost(int32, optional, tag = "4")]
    status: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Peer {
    #[prost(bytes = "vec", required, tag = "1")]
    id: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Reservation {
    /// Seconds since 1970.
    #[prost(uint64, required, tag = "1")]
    expire: u64,
}

const HOP_RESERVE: i32 = 0;
const HOP_CONNECT: i32 = 1;
const HOP_STATUS: i32 = 2;
const STOP_CONNECT: i32 = 0;
const STOP_STATUS: i32 = 1;

async fn ask(stream: &mut Stream, message: &HopMessage) -> Result<HopMessage, CircuitError> {
    frame::write(stream, &message.encode_to_vec()).await?;
    let bytes = frame::read(stream, MAX_BYTES).await?;
    let answer =
        HopMessage::decode(bytes.as_slice()).map_err(|_| CircuitError::Answer("it is no hop message"))?;
    if answer.kind != HOP_STATUS {
        return Err(CircuitError::Answer("it is no status"));
    }
    match answer.status {
        Some(OK) => Ok(answer),
        Some(other) => Err(CircuitError::Refused(other)),
        None => Err(CircuitError::Answer("it has no status")),
    }
}

/// Asks for a reservation; says how long it lasts, seen from `now` (seconds since 1970).
pub(crate) async fn reserve(mut stream: Stream, now: u64) -> Result<Duration, CircuitError> {
    let message = HopMessage { kind: HOP_RESERVE, ..HopMessage::default() };
    let answer = ask(&mut stream, &message).await?;
    frame::finish(stream).await;
    let reservation = answer.reservation.ok_or(CircuitError::Answer("it has no reservation"))?;
    match reservation.expire.checked_sub(now) {
        // A clock that goes wrong is no reason to give up what the relay just gave.
        None | Some(0) => Ok(Duration::from_secs(1)),
        Some(seconds) => Ok(Duration::from_secs(seconds).min(MAX_RESERVATION)),
    }
}

/// Asks for a connection to a peer: the stream becomes that connection.
pub(crate) async fn connect(mut stream: Stream, peer: PeerId) -> Result<Stream, CircuitError> {
    let peer = Peer { id: peer.to_bytes() };
    let message = HopMessage { kind: HOP_CONNECT, peer: Some(peer), ..HopMessage::default() };
    match ask(&mut stream, &message).await {
        Ok(_) => Ok(stream),
        Err(error) => {
            frame::finish(stream).await;
            Err(error)
        }
    }
}

/// Takes a connection that a relay brings from one of these: who it is from, and the stream that becomes it. One from a
/// stranger is refused here, before there is a handshake.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    members: &BTreeSet<PeerId>,
) -> Result<(PeerId, S), CircuitError> {
    match read_stop(&mut stream).await {
        Ok(peer) if members.contains(&peer) => {
            let answer = StopMessage { kind: STOP_STATUS, status: Some(OK), ..StopMessage::default() };
            frame::write(&mut stream, &answer.encode_to_vec()).await?;
            Ok((peer, stream))
        }
        Ok(stranger) => {
            let answer = StopMessage { kind: STOP_STATUS, status: Some(DENIED), ..StopMessage::default() };
            frame::write(&mut stream, &answer.encode_to_vec()).await?;
            frame::finish(stream).await;
            Err(CircuitError::Stranger(stranger))
        }
        Err(error) => {
            frame::finish(stream).await;
            Err(error)
        }
    }
}

async fn read_stop(stream: &mut (impl AsyncRead + Unpin)) -> Result<PeerId, CircuitError> {
    let bytes = frame::read(stream, MAX_BYTES).await?;
    let message =
        StopMessage::decode(bytes.as_slice()).map_err(|_| CircuitError::Answer("it is no stop message"))?;
    if message.kind != STOP_CONNECT {
        return Err(CircuitError::Answer("it is no connection"));
    }
    let peer = message.peer.ok_or(CircuitError::Answer("it names no peer"))?;
    PeerId::from_bytes(&peer.id).map_err(|_| CircuitError::Answer("its peer is no peer id"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    /// Gives what the relay says, and keeps what it is told.
    struct Said(Cursor<Vec<u8>>, Vec<u8>);

    impl AsyncRead for Said {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Said {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.1).poll_write(cx, buf)
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn brought(id: Vec<u8>) -> Said {
        let stop = StopMessage { kind: STOP_CONNECT, peer: Some(Peer { id }), status: None };
        Said(Cursor::new(coxswain_dv_wire::frame::frame_bytes(&stop.encode_to_vec()).to_vec()), Vec::new())
    }

    #[tokio::test]
    async fn relays_bring_peers_and_no_strangers() {
        let (peer, stranger) = (PeerId::random(), PeerId::random());
        let members = BTreeSet::from([peer]);
        let (who, stream) = accept(brought(peer.to_bytes()), &members).await.unwrap();
        assert_eq!(who, peer);
        let answer = StopMessage::decode(&stream.1[1..]).unwrap();
        assert_eq!((answer.kind, answer.status), (STOP_STATUS, Some(OK)));
        let mut refused = brought(stranger.to_bytes());
        let error = accept(&mut refused, &members).await.map(|(who, _)| who).unwrap_err();
        assert!(matches!(error, CircuitError::Stranger(who) if who == stranger), "{error}");
        let answer = StopMessage::decode(&refused.1[1..]).unwrap();
        assert_eq!((answer.kind, answer.status), (STOP_STATUS, Some(DENIED)));
    }

    /// Whoever it names has an id that is one.
    #[test]
    fn foreign_bytes_name_peers_or_nothing() {
        bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
            let mut stream = Cursor::new(coxswain_dv_wire::frame::frame_bytes(bytes).to_vec());
            if let Ok(peer) = block_on(read_stop(&mut stream)) {
                assert_eq!(PeerId::from_bytes(&peer.to_bytes()).ok(), Some(peer));
            }
        });
    }
}
