//! Where relays are: given as addresses, or asked of a URL again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coxswain_dv_types::enr;
use libp2p::core::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;

use super::transport::Quic;

/// How often a URL is asked anew.
const AGAIN: Duration = Duration::from_secs(120);
/// First pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
pub const MAX_ANSWER_BYTES: usize = 65_536;

/// A relay as an operator gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelaySource {
    /// A server that says where its relay is.
    Url(String),
    /// The relay itself.
    Address(PeerId, Multiaddr),
}

/// Why a relay is not known.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The URL gave nothing.
    #[error("asking {url}: {why}")]
    Request {
        /// What was asked.
        url: String,
        /// Why it failed.
        why: String,
    },
    /// What it gave is no list of addresses of one relay.
    #[error("{0}")]
    Answer(&'static str),
    /// The text names neither a URL nor an address with an id.
    #[error("`{0}` is no URL, and no address that ends in /p2p/ and the relay's id")]
    Source(String),
}

/// How a URL is asked: the body of its answer, at most [`MAX_ANSWER_BYTES`].
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Asks once.
    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError>;
}

impl RelaySource {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// [`ResolveError::Source`].
    pub fn parse(text: &str) -> Result<Self, ResolveError> {
        if text.starts_with("http") {
            return Ok(RelaySource::Url(text.to_owned()));
        }
        let wrong = || ResolveError::Source(text.to_owned());
        let mut address: Multiaddr = text.parse().map_err(|_| wrong())?;
        match address.pop() {
            Some(Protocol::P2p(id)) if !address.is_empty() => Ok(RelaySource::Address(id, address)),
            _ => Err(wrong()),
        }
    }
}

/// Asks once where a relay is, as far as TCP goes.
///
/// # Errors
/// [`ResolveError`].
pub async fn relay_addresses(
    source: &RelaySource,
    ask: &dyn Resolve,
) -> Result<(PeerId, Vec<Multiaddr>), ResolveError> {
    match source {
        RelaySource::Address(id, address) => Ok((*id, vec![address.clone()])),
        RelaySource::Url(url) => addresses_of(&ask.get(url).await?, Quic::Off),
    }
}

/// A relay that is known now.
pub(super) struct Resolved {
    pub(super) relay: usize,
    pub(super) id: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
    /// Whether it has said so itself; what an operator gave may lead nowhere.
    pub(super) answers: bool,
}

/// Asks for ever; tells what changed.
pub(super) async fn watch(
    (relay, source): (usize, RelaySource),
    ask: Arc<dyn Resolve>,
    quic: Quic,
    told: mpsc::Sender<Resolved>,
) {
    let url = match source {
        RelaySource::Address(id, address) => {
            drop(told.send(Resolved { relay, id, addresses: vec![address], answers: false }).await);
            return;
        }
        RelaySource::Url(url) => url,
    };
    let mut last: Option<(PeerId, BTreeSet<Multiaddr>)> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let found = match ask.get(&url).await {
            Ok(body) => addresses_of(&body, quic),
            Err(error) => Err(error),
        };
        match found {
            Ok((id, addresses)) => {
                pause = FIRST_PAUSE;
                let now = (id, addresses.iter().cloned().collect());
                if last.as_ref() != Some(&now) {
                    last = Some(now);
                    if told.send(Resolved { relay, id, addresses, answers: true }).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::warn!(%url, %error, "the relay is not known yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 8 / 5).min(LONGEST_PAUSE);
            }
        }
        if told.is_closed() {
            return;
        }
    }
}

/// The one relay that an answer names, and where it is.
///
/// # Errors
/// [`ResolveError::Answer`].
pub(super) fn addresses_of(body: &[u8], quic: Quic) -> Result<(PeerId, Vec<Multiaddr>), ResolveError> {
    let text = str::from_utf8(body).map_err(|_| ResolveError::Answer("the answer is no text"))?;
    let texts = texts_of(text)?;
    let mut id = None;
    let mut addresses = Vec::new();
    for text in texts {
        let Ok(mut address) = text.parse::<Multiaddr>() else {
            tracing::warn!(address = %text, "an address of a relay is passed over: it is none");
            continue;
        };
        let Some(Protocol::P2p(named)) = address.pop() else { continue };
        if id.is_some_and(|id| id != named) {
            return Err(ResolveError::Answer("the answer names several relays"));
        }
        id = Some(named);
        if quic.reaches(&address) {
            addresses.push(address);
        }
    }
    match id {
        Some(id) if !addresses.is_empty() => Ok((id, addresses)),
        Some(_) => Err(ResolveError::Answer("the answer names no address that this node can dial")),
        None => Err(ResolveError::Answer("the answer names no address of a relay")),
    }
}

/// The addresses of an answer: a list in JSON, `null` for none yet, or a node record.
fn texts_of(text: &str) -> Result<Vec<String>, ResolveError> {
    if !text.starts_with("enr:") {
        let list: Option<Vec<String>> = serde_json::from_str(text).map_err(|_| {
            ResolveError::Answer("the answer is neither a list of addresses nor a node record")
        })?;
        return Ok(list.unwrap_or_default());
    }
    let record =
        enr::parse(text.trim()).map_err(|_| ResolveError::Answer("the answer is a damaged node record"))?;
    let ip: [u8; 4] = record
        .value("ip")
        .and_then(|ip| ip.try_into().ok())
        .ok_or(ResolveError::Answer("the node record names no IPv4 address"))?;
    let port = record
        .number("tcp")
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(ResolveError::Answer("the node record names no TCP port"))?;
    let id = super::peer_id(record.public());
    Ok(vec![format!("/ip4/{}/tcp/{port}/p2p/{id}", std::net::Ipv4Addr::from(ip))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw";

    #[test]
    fn answers_of_relays() {
        let one = format!(
            "[\"/ip4/1.2.3.4/tcp/3030/p2p/{ID}\", \"/ip4/1.2.3.4/udp/3030/quic-v1/p2p/{ID}\", \"x\"]"
        );
        let (id, both) = addresses_of(one.as_bytes(), Quic::On).unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(addresses_of(one.as_bytes(), Quic::Off).unwrap().0, id);
        let (_, addresses) = addresses_of(one.as_bytes(), Quic::Off).unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(addresses, ["/ip4/1.2.3.4/tcp/3030".parse::<Multiaddr>().unwrap()]);
        let other = "16Uiu2HAkzdQ5Y9SYT91K1ue5SxXwgmajXntfScGnLYeip5hHyWmT";
        let two = format!("[\"/ip4/1.2.3.4/tcp/1/p2p/{ID}\", \"/ip4/1.2.3.4/tcp/1/p2p/{other}\"]");
        for wrong in ["", "null", "[]", "{}", "[1]", "enr:-x", "not json", &two] {
            assert!(addresses_of(wrong.as_bytes(), Quic::On).is_err(), "{wrong}");
        }
        assert!(addresses_of(&[0xff, 0xfe], Quic::On).is_err());
    }

    #[test]
    fn sources_are_urls_or_addresses_with_an_id() {
        assert_eq!(RelaySource::parse("https://a.b").unwrap(), RelaySource::Url("https://a.b".into()));
        let text = format!("/ip4/1.2.3.4/tcp/1/p2p/{ID}");
        let RelaySource::Address(id, address) = RelaySource::parse(&text).unwrap() else { panic!("{text}") };
        assert_eq!((id.to_string(), address.to_string()), (ID.to_owned(), "/ip4/1.2.3.4/tcp/1".to_owned()));
        for wrong in ["", "ftp://a", "/ip4/1.2.3.4/tcp/1", &format!("/p2p/{ID}")] {
            assert!(RelaySource::parse(wrong).is_err(), "{wrong}");
        }
    }
}
