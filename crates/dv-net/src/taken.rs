//! Addresses at which somebody listens already. Listeners of this library share a port with others that do the same, so that
//! connections to a second process at the same port would go to either of them.

use std::io;
use std::net::{IpAddr, TcpListener};

use libp2p::multiaddr::{Multiaddr, Protocol};

/// Tries to listen there as nobody does who shares. It is an error where somebody listens.
pub(crate) fn refuse_taken(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        // Port 0 is any that is free.
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_listener() {
        let free = TcpListener::bind("127.0.0.1:0").expect("it listens");
        let port = free.local_addr().expect("an address").port();
        let address =
            |ip: &str| -> Multiaddr { format!("/ip4/{ip}/tcp/{port}").parse().expect("an address") };
        for ip in ["127.0.0.1", "0.0.0.0"] {
            let error = refuse_taken(&address(ip)).expect_err("somebody listens");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{ip}");
        }
        drop(free);
        refuse_taken(&address("127.0.0.1")).expect("nobody listens");
        refuse_taken(&"/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("any port");
        refuse_taken(&"/p2p-circuit".parse().expect("an address")).expect("no port");
    }
}
