//! How connections come about: through relays, over TCP, and over QUIC where a node listens for it.

use coxswain_dv_crypto::k1::IdentityKey;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport as _, dns, noise};

use super::StartError;
use super::driver::{HANDSHAKE, MAX_PENDING, MAX_STREAMS};
use crate::cork::Streams;
use crate::pending::{Evicted, Handshakes, Spoken};
use crate::{circuit, names};

/// A connection to whoever has shown that it is this peer.
type Connection = (PeerId, StreamMuxerBox);

/// Whether a node speaks QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quic {
    On,
    Off,
}

impl Quic {
    /// Who listens for it, speaks it.
    pub(super) fn of(listen: &[Multiaddr]) -> Quic {
        if listen.iter().any(is_quic) { Quic::On } else { Quic::Off }
    }

    /// Whether an address can be dialled.
    pub(super) fn reaches(self, address: &Multiaddr) -> bool {
        let is_tcp = address.iter().any(|part| matches!(part, Protocol::Tcp(_)));
        is_tcp || (self == Quic::On && is_quic(address))
    }
}

fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::QuicV1)
}

pub(crate) fn keypair(key: &IdentityKey) -> Result<Keypair, StartError> {
    let mut bytes = key.to_bytes();
    let secret =
        libp2p::identity::secp256k1::SecretKey::try_from_bytes(&mut *bytes).map_err(StartError::Key)?;
    Ok(libp2p::identity::secp256k1::Keypair::from(secret).into())
}

/// Everything a node speaks, and the ends of its connections through relays.
pub(super) fn transport(key: &Keypair, quic: Quic) -> Result<(Boxed<Connection>, circuit::Ends), StartError> {
    let (through_relays, ends) = circuit::Transport::new();
    let evicted = Evicted::default();
    let mut direct = secured(Spoken::new(MAX_PENDING, evicted.clone()), key)?;
    if quic == Quic::On {
        direct = with_quic(direct, key)?;
    }
    // Names are looked up before it is known which of them an address is for.
    let direct = dns::tokio::Transport::system(direct).map_err(StartError::Dns)?;
    let all = secured(through_relays, key)?.or_transport(direct).map(|either, _| either.into_inner()).boxed();
    Ok((Handshakes::limited(all, MAX_PENDING, evicted), ends))
}

/// Encryption and streams for what is a stream of bytes.
fn secured<T>(transport: T, key: &Keypair) -> Result<Boxed<Connection>, StartError>
where
    T: libp2p::Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    Ok(transport
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key).map_err(StartError::Noise)?)
        .multiplex(Streams::limited(MAX_STREAMS))
        .timeout(HANDSHAKE)
        .map(|(id, muxer), _| (id, StreamMuxerBox::new(names::Muxer(muxer))))
        .boxed())
}

#[cfg(feature = "quic")]
fn with_quic(other: Boxed<Connection>, key: &Keypair) -> Result<Boxed<Connection>, StartError> {
    use libp2p::quic;

    let mut config = quic::Config::new(key);
    config.max_concurrent_stream_limit = u32::try_from(MAX_STREAMS).unwrap_or(u32::MAX);
    config.handshake_timeout = HANDSHAKE;
    let quic = quic::tokio::Transport::new(config)
        .map(|(id, connection), _| (id, StreamMuxerBox::new(names::Muxer(connection))));
    Ok(quic.or_transport(other).map(|either, _| either.into_inner()).boxed())
}

#[cfg(not(feature = "quic"))]
fn with_quic(_: Boxed<Connection>, _: &Keypair) -> Result<Boxed<Connection>, StartError> {
    Err(StartError::NoQuic)
}
