//! Where nodes listen and how they are reached: addresses of libp2p as texts (`/ip4/10.0.0.2/tcp/3610/p2p/16Uiu2HA…`).
//!
//! Only what nodes and relays use is known; an address with something else is refused. Nothing is resolved here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::shown;
use crate::peer::PeerId;

/// Longest text that is read; those of relays have some 150 bytes.
const MAX_TEXT: usize = 1024;
/// Most parts of an address.
const MAX_PARTS: usize = 32;
/// Longest id of a node as text, of any kind of key.
const MAX_ID: usize = 128;
/// Longest name of a host (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// What stands behind the name of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Ip4,
    Ip6,
    Name,
    Port,
    Id,
    Text,
}

/// The parts that are known. <https://github.com/multiformats/multiaddr/blob/master/protocols.csv>
const PARTS: &[(&str, Follows)] = &[
    ("ip4", Follows::Ip4),
    ("ip6", Follows::Ip6),
    ("dns", Follows::Name),
    ("dns4", Follows::Name),
    ("dns6", Follows::Name),
    ("dnsaddr", Follows::Name),
    ("tcp", Follows::Port),
    ("udp", Follows::Port),
    ("quic", Follows::Nothing),
    ("quic-v1", Follows::Nothing),
    ("webtransport", Follows::Nothing),
    ("certhash", Follows::Text),
    ("tls", Follows::Nothing),
    ("sni", Follows::Name),
    ("noise", Follows::Nothing),
    ("ws", Follows::Nothing),
    ("wss", Follows::Nothing),
    ("http", Follows::Nothing),
    ("https", Follows::Nothing),
    ("p2p", Follows::Id),
    ("p2p-circuit", Follows::Nothing),
];

/// Why a text is no address, or one that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MultiaddrError {
    /// The text is none.
    #[error("{text:?} is no address of libp2p: {why}")]
    Text {
        /// What was given, cut short where it is long.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An address of a relay has to say which node the relay is.
    #[error("the address {address} of a relay does not end with /p2p/ and the id of the relay")]
    NoRelay {
        /// The address.
        address: Multiaddr,
    },
    /// An address to listen on is none.
    #[error("{text:?} is no address to listen on: {why}")]
    Listen {
        /// What was given, cut short where it is long.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// How bytes get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// QUIC over UDP.
    Quic,
}

/// One part of an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Part {
    name: &'static str,
    value: Option<String>,
}

/// An address: parts, from the outside to the inside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multiaddr(Vec<Part>);

impl Multiaddr {
    /// Reads an address.
    ///
    /// # Errors
    /// The text is none, or has parts that are not known.
    pub fn parse(text: &str) -> Result<Multiaddr, MultiaddrError> {
        Self::read(text).map_err(|why| MultiaddrError::Text { text: shown(text), why })
    }

    fn read(text: &str) -> Result<Multiaddr, &'static str> {
        let body = text.strip_prefix('/').ok_or("it does not begin with /")?;
        if text.len() > MAX_TEXT {
            return Err("it is too long");
        }
        let mut words = body.trim_end_matches('/').split('/');
        let mut parts = Vec::new();
        while let Some(word) = words.next() {
            // What `p2p` was called before.
            let word = if word == "ipfs" { "p2p" } else { word };
            let known = PARTS.iter().find(|(name, _)| *name == word);
            let (name, follows) = *known.ok_or("it has a part that is not known")?;
            let value = match follows {
                Follows::Nothing => None,
                _ => Some(value(follows, words.next().ok_or("it ends early")?)?),
            };
            if parts.len() == MAX_PARTS {
                return Err("it has too many parts");
            }
            parts.push(Part { name, value });
        }
        Ok(Multiaddr(parts))
    }

    /// Where a node listens for TCP.
    #[must_use]
    pub fn tcp(host: &Host, port: u16) -> Multiaddr {
        let port = Part { name: "tcp", value: Some(port.to_string()) };
        Multiaddr(vec![host.part(), port])
    }

    /// Where a node listens for QUIC.
    #[must_use]
    pub fn quic(host: &Host, port: u16) -> Multiaddr {
        let port = Part { name: "udp", value: Some(port.to_string()) };
        Multiaddr(vec![host.part(), port, Part { name: "quic-v1", value: None }])
    }

    /// The same address, of this node.
    #[must_use]
    pub fn of_peer(mut self, peer: &PeerId) -> Multiaddr {
        self.0.push(Part { name: "p2p", value: Some(peer.to_string()) });
        self
    }

    /// How a node is reached through a relay.
    ///
    /// # Errors
    /// The address of the relay does not say which node the relay is.
    pub fn through(relay: &Multiaddr, peer: &PeerId) -> Result<Multiaddr, MultiaddrError> {
        if relay.peer().is_none() {
            return Err(MultiaddrError::NoRelay { address: relay.clone() });
        }
        let mut parts = relay.0.clone();
        parts.push(Part { name: "p2p-circuit", value: None });
        Ok(Multiaddr(parts).of_peer(peer))
    }

    /// The id of the node at its end; relays may have ids of any kind of key.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.0.last().filter(|part| part.name == "p2p")?.value.as_deref()
    }

    /// Whether the way goes through a relay.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        self.0.iter().any(|part| part.name == "p2p-circuit")
    }

    /// How bytes get there, or to the relay.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.0.iter().rev().find_map(|part| match part.name {
            "tcp" => Some(Transport::Tcp),
            "quic" | "quic-v1" => Some(Transport::Quic),
            _ => None,
        })
    }

    /// The IP address that it begins with.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let Part { name, value } = self.0.first()?;
        let value = value.as_deref()?;
        matches!(*name, "ip4" | "ip6").then(|| value.parse().ok())?
    }

    /// Whether only neighbours can reach it; names of hosts are not.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.ip().is_some_and(|ip| is_private(&ip))
    }
}

impl fmt::Display for Multiaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Part { name, value } in &self.0 {
            write!(f, "/{name}")?;
            if let Some(value) = value {
                write!(f, "/{value}")?;
            }
        }
        Ok(())
    }
}

/// The value of a part, written as all write it.
fn value(follows: Follows, text: &str) -> Result<String, &'static str> {
    let valid = match follows {
        Follows::Nothing => None,
        Follows::Ip4 => text.parse::<Ipv4Addr>().ok().map(|ip| ip.to_string()),
        Follows::Ip6 => text.parse::<Ipv6Addr>().ok().map(|ip| ip.to_string()),
        Follows::Name => is_name(text).then(|| text.to_owned()),
        Follows::Port => port(text).map(|port| port.to_string()),
        Follows::Id => is_id(text).then(|| text.to_owned()),
        Follows::Text => is_plain(text).then(|| text.to_owned()),
    };
    valid.ok_or("the value of a part is wrong")
}

/// A key as it is (multihash 0, at most 42 bytes), or its SHA-256 (multihash 18).
/// <https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md>
fn is_id(text: &str) -> bool {
    let bytes = if text.len() <= MAX_ID { bs58::decode(text).into_vec().ok() } else { None };
    match bytes.as_deref() {
        Some([0, length @ 1..=42, key @ ..]) => key.len() == usize::from(*length),
        Some([0x12, 32, hash @ ..]) => hash.len() == 32,
        _ => false,
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A name that a host can have: labels of letters, digits and hyphens (RFC 1123, section 2.1), and underlines, which
/// names of services have.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_NAME && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

/// Digits alone: `parse` would take a sign.
fn port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Loopback, link-local, private and shared ranges (RFC 1918, 3927, 4193, 4291, 6598).
fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

// --------------------------------------------------------------------------------------------------- listening

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// By its address.
    Ip(IpAddr),
    /// By its name.
    Name(String),
}

impl Host {
    /// Reads an IP address or a name that a host can have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Host> {
        match text.parse() {
            Ok(ip) => Some(Host::Ip(ip)),
            Err(_) => is_name(text).then(|| Host::Name(text.to_owned())),
        }
    }

    fn part(&self) -> Part {
        let (name, value) = match self {
            Host::Ip(IpAddr::V4(ip)) => ("ip4", ip.to_string()),
            Host::Ip(IpAddr::V6(ip)) => ("ip6", ip.to_string()),
            Host::Name(name) => ("dns", name.clone()),
        };
        Part { name, value: Some(value) }
    }
}

/// Where to listen, as an operator says it: `10.0.0.2:3610`, `[::]:3610`, `host:3610`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listen {
    /// The host; a name is to be resolved once.
    pub host: Host,
    /// The port; 0 for any.
    pub port: u16,
}

impl Listen {
    /// Reads what an operator says.
    ///
    /// # Errors
    /// There is no host or no port.
    pub fn parse(text: &str) -> Result<Listen, MultiaddrError> {
        Self::read(text).map_err(|why| MultiaddrError::Listen { text: shown(text), why })
    }

    fn read(text: &str) -> Result<Listen, &'static str> {
        let (host, behind) = text.rsplit_once(':').ok_or("it has no port, like 10.0.0.2:3610")?;
        let port = port(behind).ok_or("its port is no number up to 65535")?;
        if host.is_empty() {
            return Err("it has no IP address, like 10.0.0.2:3610; 0.0.0.0 stands for all");
        }
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse().ok().map(|ip| Host::Ip(IpAddr::V6(ip))),
            // With its colons an address of IPv6 has to be in brackets.
            None => Host::parse(host).filter(|host| !matches!(host, Host::Ip(IpAddr::V6(_)))),
        };
        let host = host.ok_or("its host is neither an IP address nor a name; IPv6 is in brackets")?;
        Ok(Listen { host, port })
    }
}

/// What to do with addresses that only neighbours can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivateAddresses {
    /// Tell them, too.
    Tell,
    /// Tell only those that the operator gave.
    Leave,
}

/// What an operator's external addresses and names give: one address for each of them and each port that is listened on.
#[must_use]
pub fn external(hosts: &[Host], tcp_ports: &[u16], quic_ports: &[u16]) -> Vec<Multiaddr> {
    let of_host = |host| {
        let tcp = tcp_ports.iter().map(move |port| Multiaddr::tcp(host, *port));
        tcp.chain(quic_ports.iter().map(move |port| Multiaddr::quic(host, *port)))
    };
    hosts.iter().flat_map(of_host).collect()
}

/// What a node tells others of where it is: what its operator gave, then what it found itself, nothing twice.
#[must_use]
pub fn advertised(found: &[Multiaddr], given: &[Multiaddr], private: PrivateAddresses) -> Vec<Multiaddr> {
    let told = |address: &&Multiaddr| match private {
        PrivateAddresses::Tell => true,
        PrivateAddresses::Leave => !address.is_private(),
    };
    let mut all: Vec<Multiaddr> = Vec::new();
    for address in given.iter().chain(found.iter().filter(told)) {
        if !all.contains(address) {
            all.push(address.clone());
        }
    }
    all
}
