//! What is said to relays: RESERVE and CONNECT on a hop stream, and the answer on a stop stream.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::swarm::Stream;
use prost::Message as _;

use crate::frame::{self, FrameError};

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
pub(crate) async fn accept(
    mut stream: Stream,
    members: &BTreeSet<PeerId>,
) -> Result<(PeerId, Stream), CircuitError> {
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

async fn read_stop(stream: &mut Stream) -> Result<PeerId, CircuitError> {
    let bytes = frame::read(stream, MAX_BYTES).await?;
    let message =
        StopMessage::decode(bytes.as_slice()).map_err(|_| CircuitError::Answer("it is no stop message"))?;
    if message.kind != STOP_CONNECT {
        return Err(CircuitError::Answer("it is no connection"));
    }
    let peer = message.peer.ok_or(CircuitError::Answer("it names no peer"))?;
    PeerId::from_bytes(&peer.id).map_err(|_| CircuitError::Answer("its peer is no peer id"))
}
