//! Where connections come from, and whose has to go where there are too many.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::core::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Bits of an IPv6 address that count: what one site is given at most (RFC 6177).
const SITE_BITS: u32 = 48;

/// Who opens connections, as far as it can be told before anybody has shown who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A site: the first 48 bits of an IPv6 address.
    V6(Ipv6Addr),
    /// A peer, by the word of a relay.
    Peer(PeerId),
    /// Nothing is known.
    Unknown,
}

impl Source {
    /// The source at an address.
    #[must_use]
    pub fn of_ip(ip: IpAddr) -> Source {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip),
            IpAddr::V6(ip) => {
                Source::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - SITE_BITS))))
            }
        }
    }

    pub(crate) fn of(address: &Multiaddr) -> Source {
        let found = address.iter().find_map(|part| match part {
            Protocol::Ip4(ip) => Some(Source::of_ip(ip.into())),
            Protocol::Ip6(ip) => Some(Source::of_ip(ip.into())),
            Protocol::P2p(peer) => Some(Source::Peer(peer)),
            _ => None,
        });
        found.unwrap_or(Source::Unknown)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::V4(ip) => ip.fmt(f),
            Source::V6(site) => write!(f, "{site}/{SITE_BITS}"),
            Source::Peer(peer) => peer.fmt(f),
            Source::Unknown => f.write_str("somewhere"),
        }
    }
}

/// Which of these connections, the oldest first, has to go: the oldest of the source that has the most. Where several have as
/// many, the oldest of them all; where there are none, none.
pub fn gives_way<'a>(connections: impl Iterator<Item = &'a Source> + Clone) -> Option<usize> {
    let mut counts: BTreeMap<&Source, usize> = BTreeMap::new();
    for source in connections.clone() {
        *counts.entry(source).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    connections.into_iter().position(|source| counts[source] == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(connections: &[u8], expected: Option<usize>) {
        let sources: Vec<Source> =
            connections.iter().map(|n| Source::V4(Ipv4Addr::new(10, 0, 0, *n))).collect();
        assert_eq!(gives_way(sources.iter()), expected, "{connections:?}");
    }

    #[test]
    fn the_oldest_of_the_source_with_the_most_gives_way() {
        check(&[], None);
        check(&[1], Some(0));
        check(&[1, 2, 2], Some(1));
        check(&[2, 1, 1, 2, 2], Some(0));
        check(&[1, 2, 2, 1], Some(0));
        check(&[1, 2, 3], Some(0));
    }

    #[test]
    fn sources_are_addresses_sites_and_peers() {
        let of = |text: &str| Source::of(&text.parse().expect("an address"));
        assert_eq!(of("/ip4/10.0.0.1/tcp/1"), of("/ip4/10.0.0.1/udp/2/quic-v1"));
        assert_ne!(of("/ip4/10.0.0.1/tcp/1"), of("/ip4/10.0.0.2/tcp/1"));
        assert_eq!(of("/ip6/::ffff:10.0.0.1/tcp/1"), of("/ip4/10.0.0.1/tcp/1"));
        assert_eq!(of("/ip6/2001:db8:1:2::3/tcp/1"), of("/ip6/2001:db8:1:3::4/tcp/1"));
        assert_ne!(of("/ip6/2001:db8:1::3/tcp/1"), of("/ip6/2001:db8:2::3/tcp/1"));
        assert_eq!(of("/ip6/2001:db8:1:2::3/tcp/1").to_string(), "2001:db8:1::/48");
        let peer = PeerId::random();
        assert_eq!(of(&format!("/p2p/{peer}")), Source::Peer(peer));
        assert_eq!(Source::of(&Multiaddr::empty()).to_string(), "somewhere");
    }
}
