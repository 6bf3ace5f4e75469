//! Flags of the network between nodes.

use std::net::{IpAddr, SocketAddr};

use coxswain_dv_net::{Multiaddr, RelaySource};
use coxswain_dv_wire::address::{self, Host, Listen};

use super::super::error::CliError;

/// Relays of `run`, `relay` and tests of peers, where none are given.
pub const RELAYS: [&str; 3] =
    ["https://0.relay.obol.tech", "https://1.relay.obol.tech", "https://2.relay.obol.dev"];
/// Relays of ceremonies, where none are given.
pub const CEREMONY_RELAYS: [&str; 1] = ["https://4.relay.obol.dev"];

/// The network between nodes. Relays have no default here: a command says
/// `mut_arg("p2p_relays", |arg| arg.default_values(RELAYS))`.
#[derive(Debug, Clone, clap::Args)]
pub struct P2pArgs {
    /// Dial from ports of their own, not from the one that is listened on
    #[arg(long)]
    pub p2p_disable_reuseport: bool,
    /// The name of this host, to be told to others
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    pub p2p_external_hostname: String,
    /// The IP address of this host, to be told to others
    #[arg(long, value_name = "IP", default_value = "", hide_default_value = true)]
    pub p2p_external_ip: String,
    /// Relays, as URLs or as addresses that end in /p2p/ID
    #[arg(long, value_name = "RELAY")]
    pub p2p_relays: Vec<String>,
    /// Where to listen for TCP, as IP:PORT; without it, this node only dials
    #[arg(long, value_name = "IP:PORT")]
    pub p2p_tcp_address: Vec<String>,
    /// Where to listen for QUIC, as IP:PORT: only run does, with --feature-set-enable=quic, where the program was built
    /// with it
    #[arg(long, value_name = "IP:PORT")]
    pub p2p_udp_address: Vec<String>,
}

fn wrong(flag: &str, why: impl std::fmt::Display) -> CliError {
    CliError::other(format!("reading --{flag}"), why, "correct the value or leave the flag away; see --help")
}

impl P2pArgs {
    /// The relays.
    ///
    /// # Errors
    /// One of them is neither a URL nor an address with an id.
    pub fn relays(&self) -> Result<Vec<RelaySource>, CliError> {
        // `--p2p-relays=` says that there are none.
        let given = self.p2p_relays.iter().filter(|text| !text.is_empty());
        let relays = given.map(|text| {
            if text.starts_with("http://") {
                tracing::warn!(relay = %shown(text), "a relay is asked over plain http: anybody on the way can change its answer");
            }
            RelaySource::parse(text).map_err(|error| wrong("p2p-relays", error))
        });
        relays.collect()
    }

    /// Where to listen for TCP. A name is looked up, once.
    ///
    /// # Errors
    /// An address cannot be read, or a name is not known.
    pub async fn tcp(&self) -> Result<Vec<SocketAddr>, CliError> {
        listen("p2p-tcp-address", &self.p2p_tcp_address).await
    }

    /// Where to listen for QUIC. A name is looked up, once.
    ///
    /// # Errors
    /// An address cannot be read, or a name is not known.
    pub async fn udp(&self) -> Result<Vec<SocketAddr>, CliError> {
        listen("p2p-udp-address", &self.p2p_udp_address).await
    }

    /// What others are told beside what this node finds itself: the given name and address with the ports of TCP and QUIC.
    ///
    /// # Errors
    /// A name or an address is none.
    pub fn external(&self, tcp: &[SocketAddr], udp: &[SocketAddr]) -> Result<Vec<Multiaddr>, CliError> {
        let mut hosts = Vec::new();
        if !self.p2p_external_ip.is_empty() {
            let ip: IpAddr = self.p2p_external_ip.parse().map_err(|e| wrong("p2p-external-ip", e))?;
            hosts.push(Host::Ip(ip));
        }
        if !self.p2p_external_hostname.is_empty() {
            let name = Host::parse(&self.p2p_external_hostname).filter(|host| matches!(host, Host::Name(_)));
            hosts.push(name.ok_or_else(|| wrong("p2p-external-hostname", "it is no name of a host"))?);
        }
        let ports = |all: &[SocketAddr]| all.iter().map(SocketAddr::port).collect::<Vec<u16>>();
        Ok(address::external(&hosts, &ports(tcp), &ports(udp)).iter().map(of_wire).collect())
    }
}

/// The address to listen on, for TCP.
#[must_use]
pub fn multiaddr(address: &SocketAddr) -> Multiaddr {
    of_wire(&address::Multiaddr::tcp(&Host::Ip(address.ip()), address.port()))
}

/// The address to listen on, for QUIC.
#[must_use]
pub fn quic_multiaddr(address: &SocketAddr) -> Multiaddr {
    of_wire(&address::Multiaddr::quic(&Host::Ip(address.ip()), address.port()))
}

fn of_wire(address: &address::Multiaddr) -> Multiaddr {
    address.to_string().parse().expect("what is an address to us is one to libp2p")
}

/// A URL without what may be secret in it.
fn shown(text: &str) -> String {
    let Ok(url) = url::Url::parse(text) else { return "a URL that cannot be read".into() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

async fn listen(flag: &str, given: &[String]) -> Result<Vec<SocketAddr>, CliError> {
    let mut found = Vec::new();
    for text in given.iter().filter(|text| !text.is_empty()) {
        let Listen { host, port } = Listen::parse(text).map_err(|error| wrong(flag, error))?;
        let address = match host {
            Host::Ip(ip) => SocketAddr::new(ip, port),
            Host::Name(name) => look_up(&name, port).await.map_err(|error| wrong(flag, error))?,
        };
        found.push(address);
    }
    Ok(found)
}

/// Where a server listens: `IP:PORT`, `HOST:PORT`, or `:PORT` for all addresses of IPv4.
pub(super) async fn socket(flag: &str, text: &str) -> Result<SocketAddr, CliError> {
    let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let found = listen(flag, &[text]).await?;
    Ok(found[0])
}

/// The address of a name, of IPv4 before IPv6.
async fn look_up(name: &str, port: u16) -> std::io::Result<SocketAddr> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or_else(|| all.first());
    first.copied().ok_or_else(|| std::io::Error::other(format!("{name} has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(change: impl FnOnce(&mut P2pArgs)) -> P2pArgs {
        let mut args = P2pArgs {
            p2p_disable_reuseport: false,
            p2p_external_hostname: String::new(),
            p2p_external_ip: String::new(),
            p2p_relays: Vec::new(),
            p2p_tcp_address: Vec::new(),
            p2p_udp_address: Vec::new(),
        };
        change(&mut args);
        args
    }

    #[test]
    fn what_others_are_told_has_every_port() {
        let of = |ip: &str, name: &str| {
            let args = args(|args| {
                args.p2p_external_ip = ip.into();
                args.p2p_external_hostname = name.into();
            });
            let tcp =
                ["10.0.0.2:3610".parse().expect("an address"), "[::]:3611".parse().expect("an address")];
            let udp = ["10.0.0.2:3630".parse().expect("an address")];
            let told = args.external(&tcp, &udp).map_err(|error| format!("{error:?}"))?;
            Ok::<_, String>(told.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of("", ""), Ok(vec![]));
        assert_eq!(
            of("1.2.3.4", "relay.example.org").expect("addresses"),
            [
                "/ip4/1.2.3.4/tcp/3610",
                "/ip4/1.2.3.4/tcp/3611",
                "/ip4/1.2.3.4/udp/3630/quic-v1",
                "/dns/relay.example.org/tcp/3610",
                "/dns/relay.example.org/tcp/3611",
                "/dns/relay.example.org/udp/3630/quic-v1"
            ]
        );
        assert!(of("1.2.3", "").expect_err("no address").contains("p2p-external-ip"));
        for name in ["1.2.3.4", "a b", "-x"] {
            assert!(of("", name).expect_err("no name").contains("p2p-external-hostname"), "{name}");
        }
    }

    #[tokio::test]
    async fn addresses_to_listen_on_have_a_host() {
        let of = async |text: &str| args(|args| args.p2p_tcp_address = vec![text.into()]).tcp().await;
        assert_eq!(of("127.0.0.1:3610").await.expect("an address"), ["127.0.0.1:3610".parse().expect("one")]);
        assert_eq!(of("[::1]:1").await.expect("an address"), ["[::1]:1".parse().expect("one")]);
        assert_eq!(of("").await.expect("nothing"), []);
        assert!(of("localhost:7").await.expect("an address")[0].ip().is_loopback());
        for wrong in [":3610", "127.0.0.1", "127.0.0.1:x", "::1:1"] {
            let error = of(wrong).await.expect_err(wrong);
            assert!(format!("{error:?}").contains("p2p-tcp-address"), "{wrong}");
        }
    }

    #[test]
    fn no_relay_is_a_choice() {
        assert_eq!(args(|args| args.p2p_relays = vec![String::new()]).relays().expect("none"), []);
        assert!(args(|args| args.p2p_relays = vec!["/ip4/1.2.3.4/tcp/1".into()]).relays().is_err());
    }

    #[test]
    fn no_secret_of_a_url_is_shown() {
        assert_eq!(shown("http://user:secret@relay.example.org:1/path?key=k"), "http://relay.example.org:1");
        assert_eq!(shown("http://user:secret@relay.example.org/path"), "http://relay.example.org");
    }
}
