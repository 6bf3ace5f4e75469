//! How many peers of one IP address have a place: what the library has no limit for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::core::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Who has a place from where. Shared: the library owns what it asks, and the relay's task says who is gone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    max: usize,
    taken: Arc<Mutex<HashMap<IpAddr, Vec<PeerId>>>>,
}

impl Places {
    pub(super) fn new(max: usize) -> Places {
        Places { max, taken: Arc::default() }
    }

    /// Gives a peer a place, unless others of its address have all of them. Asking again takes no second one.
    pub(super) fn take(&self, peer: PeerId, address: &Multiaddr) -> bool {
        let Some(ip) = ip(address) else { return true };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.entry(ip).or_default();
        if here.contains(&peer) {
            return true;
        }
        let has_room = here.len() < self.max;
        if has_room {
            here.push(peer);
        }
        has_room
    }

    /// A peer is gone, or its reservation ended.
    pub(super) fn leave(&self, peer: PeerId) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, here| {
            here.retain(|one| *one != peer);
            !here.is_empty()
        });
    }
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let places = Places::new(2);
        let [a, b, c] = [PeerId::random(), PeerId::random(), PeerId::random()];
        let here = at("/ip4/10.0.0.1/tcp/1");
        assert!(places.take(a, &here) && places.take(b, &here));
        assert!(places.take(a, &at("/ip4/10.0.0.1/tcp/2")), "a second connection needs no second place");
        assert!(!places.take(c, &here));
        assert!(!places.take(c, &at("/ip6/::ffff:10.0.0.1/tcp/1")), "the same address, written otherwise");
        assert!(places.take(c, &at("/ip4/10.0.0.2/tcp/1")), "another address");
        places.leave(a);
        assert!(places.take(c, &here));
        for peer in [b, c] {
            places.leave(peer);
        }
        assert!(places.taken.lock().expect("unharmed").is_empty());
    }
}
