//! Relays: what operators write, and what the URL of a relay answers.

use std::net::{IpAddr, Ipv4Addr};

use coxswain_dv_types::enr::{self, Enr, EnrError};

use crate::address::{Host, Multiaddr, MultiaddrError};
use crate::message::shown;
use crate::peer::PeerId;

/// Most bytes of an answer.
pub const MAX_ANSWER: usize = 65_536;
/// How an answer begins that is a node record.
const RECORD: &[u8] = b"enr:";

/// A relay, as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RelaySource {
    /// To be asked; taken as it is.
    Url(String),
    /// Nothing needs to be asked.
    Address(Multiaddr),
}

impl RelaySource {
    /// Reads what an operator writes: what begins with `http` is a URL, all else is an address.
    ///
    /// # Errors
    /// The address is none, or does not say which node the relay is.
    pub fn parse(text: &str) -> Result<RelaySource, MultiaddrError> {
        if text.starts_with("http") {
            return Ok(RelaySource::Url(text.to_owned()));
        }
        let address = Multiaddr::parse(text)?;
        if address.peer().is_none() {
            return Err(MultiaddrError::NoRelay { address });
        }
        Ok(RelaySource::Address(address))
    }
}

/// Why an answer is of no use. The relay is to be asked again, later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The relay refuses.
    #[error("the relay answered with status {0}")]
    Status(u16),
    /// There is more than will be read.
    #[error("the relay's answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// It is neither a list nor a record.
    #[error("the relay's answer is neither a list of addresses in JSON nor a node record")]
    Unreadable,
    /// A record is wrong.
    #[error("the relay's node record cannot be used")]
    Record(#[source] EnrError),
    /// A record does not say where the relay is.
    #[error("the relay's node record has no {0}")]
    RecordLacks(&'static str),
    /// It knows of no address yet.
    #[error("the relay has no address to give; it may have private ones alone")]
    Nothing,
    /// An address does not say which node the relay is.
    #[error("the relay's address {0} does not name the relay's node")]
    NoPeer(Multiaddr),
    /// Addresses say different things.
    #[error("the relay's addresses name two nodes: {first} and {second}")]
    Peers {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
}

/// Where a relay is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddresses {
    /// Its id.
    pub peer: String,
    /// Its addresses in the order of the answer, at least one; each ends with its id.
    pub addresses: Vec<Multiaddr>,
    /// Entries of the answer that are no addresses, cut short where they are long: they are worth a warning.
    pub skipped: Vec<String>,
}

/// Reads what a relay answered. Of a body, one byte more than [`MAX_ANSWER`] is enough to be given.
///
/// # Errors
/// It is of no use.
pub fn read_answer(status: u16, body: &[u8]) -> Result<RelayAddresses, RelayError> {
    if !(200..300).contains(&status) {
        return Err(RelayError::Status(status));
    }
    if body.len() > MAX_ANSWER {
        return Err(RelayError::TooLong);
    }
    let (mut addresses, mut skipped) = (Vec::new(), Vec::new());
    if body.starts_with(RECORD) {
        let text = std::str::from_utf8(body).map_err(|_| RelayError::Unreadable)?;
        addresses = record_addresses(&enr::parse(text.trim_end()).map_err(RelayError::Record)?)?;
    } else {
        let entries: Option<Vec<String>> =
            serde_json::from_slice(body).map_err(|_| RelayError::Unreadable)?;
        for entry in entries.unwrap_or_default() {
            match Multiaddr::parse(&entry) {
                Ok(address) => addresses.push(address),
                Err(_) => skipped.push(shown(&entry)),
            }
        }
    }
    let peer = only_peer(&addresses)?;
    Ok(RelayAddresses { peer, addresses, skipped })
}

/// The addresses of a record: QUIC first, then TCP.
///
/// # Errors
/// It has no IP address, or no port.
pub fn record_addresses(record: &Enr) -> Result<Vec<Multiaddr>, RelayError> {
    let ip = record.value("ip").and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let ip = ip.ok_or(RelayError::RecordLacks("IP address"))?;
    let host = Host::Ip(IpAddr::V4(Ipv4Addr::from(ip)));
    let port = |name: &str| record.number(name).and_then(|port| u16::try_from(port).ok());
    let peer = PeerId::of(record.public());
    let quic = port("udp").map(|port| Multiaddr::quic(&host, port).of_peer(&peer));
    let tcp = port("tcp").map(|port| Multiaddr::tcp(&host, port).of_peer(&peer));
    let addresses: Vec<Multiaddr> = [quic, tcp].into_iter().flatten().collect();
    if addresses.is_empty() {
        return Err(RelayError::RecordLacks("port"));
    }
    Ok(addresses)
}

/// The node that all addresses name.
fn only_peer(addresses: &[Multiaddr]) -> Result<String, RelayError> {
    let mut only: Option<&str> = None;
    for address in addresses {
        let peer = address.peer().ok_or_else(|| RelayError::NoPeer(address.clone()))?;
        match only {
            Some(first) if first != peer => {
                return Err(RelayError::Peers { first: first.to_owned(), second: peer.to_owned() });
            }
            _ => only = Some(peer),
        }
    }
    only.map(str::to_owned).ok_or(RelayError::Nothing)
}
