//! Addresses at which somebody listens already. Listeners of this library share a port with others that do the same, so that
//! connections to a second process at the same port would go to either of them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use libp2p::TransportError;
use libp2p::multiaddr::{Multiaddr, Protocol};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

use crate::host::StartError;

/// Tries to listen there as nobody does who shares, before anything listens here. It is an error where somebody does.
pub(crate) fn refuse_taken(addresses: &[Multiaddr]) -> Result<(), StartError> {
    for address in addresses {
        if let Some(socket) = socket_of(address) {
            try_alone(socket).map_err(|error| StartError::Listen {
                address: address.clone(),
                source: TransportError::Other(error),
            })?;
        }
    }
    Ok(())
}

/// Of TCP; port 0 is any that is free.
fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) if port != 0 => Some((ip, port).into()),
        _ => None,
    }
}

/// As the library does, but for the sharing: connections that have ended do not count, and IPv6 is only that.
fn try_alone(address: SocketAddr) -> io::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(listen(&socket, 1)?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn addresses(port: u16, hosts: &[&str]) -> Vec<Multiaddr> {
        hosts.iter().map(|host| format!("/{host}/tcp/{port}").parse().expect("an address")).collect()
    }

    #[test]
    fn a_port_has_one_listener() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("it listens");
        let port = taken.local_addr().expect("an address").port();
        for host in ["ip4/127.0.0.1", "ip4/0.0.0.0"] {
            let error = refuse_taken(&addresses(port, &[host])).expect_err("somebody listens");
            let StartError::Listen { source: TransportError::Other(why), .. } = error else {
                panic!("{error}")
            };
            assert_eq!(why.kind(), io::ErrorKind::AddrInUse, "{host}");
        }
        // Of the other family it is another port.
        refuse_taken(&addresses(port, &["ip6/::"])).expect("nobody listens");
        drop(taken);
        refuse_taken(&addresses(port, &["ip4/127.0.0.1"])).expect("nobody listens");
    }

    /// One node may listen at addresses that overlap: both families, all and one of them, the same twice.
    #[test]
    fn a_node_is_not_in_its_own_way() {
        let free = TcpListener::bind("127.0.0.1:0").expect("it listens");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let hosts = ["ip4/0.0.0.0", "ip6/::", "ip4/127.0.0.1", "ip4/127.0.0.1"];
        refuse_taken(&addresses(port, &hosts)).expect("nobody else listens");
        refuse_taken(&addresses(0, &["ip4/127.0.0.1"])).expect("any port");
        refuse_taken(&["/p2p-circuit".parse().expect("an address")]).expect("no port");
    }
}
