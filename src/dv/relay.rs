//! What a relay says over HTTP: where it is, and how it is.
//!
//! ```text
//! GET /          JSON list of addresses, or null        GET /enr       the same as a node record
//! GET /metrics   on an address of its own
//! ```

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::relay::{PING_BUCKETS, Relay, Row, Seen};
use coxswain_dv_types::enr;
use coxswain_dv_wire::address::Multiaddr;
use tokio::sync::watch;

/// As charon's relays answer, to everything.
const TEXT: &str = "text/plain; charset=utf-8";
/// What prometheus reads.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
/// The port that stands in a record for QUIC, which this relay has not: what charon writes in its place.
const NO_PORT: u16 = 9999;

/// What the answers are made of.
#[derive(Clone)]
pub struct Told {
    /// The relay.
    pub relay: Relay,
    /// Its key: it signs records.
    pub key: Arc<IdentityKey>,
    /// The address that stands in records: the operator's, or that of the operator's name.
    pub external: watch::Receiver<Option<IpAddr>>,
}

/// Why there is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// There is nothing to tell.
    #[error("no address is told to others: give --p2p-external-ip, or --p2p-advertise-private-addresses")]
    Address,
    /// Records of relays have room for IPv4.
    #[error("the address is none of IPv4, and clients look for nothing else in the record of a relay")]
    Version,
}

/// The answers about where the relay is.
pub fn addresses(told: Told) -> Router {
    let of_record = told.clone();
    let record = move || async move {
        let addresses: Vec<String> = of_record.relay.addresses().iter().map(ToString::to_string).collect();
        let external = *of_record.external.borrow();
        match record(&of_record.key, &addresses, external) {
            Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
            Err(error) => {
                tracing::warn!(%error, "there is no record of this relay");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    };
    let list = move || async move { ([(header::CONTENT_TYPE, TEXT)], list(&told.relay)).into_response() };
    Router::new().route("/enr", any(record)).fallback(list)
}

/// The answer of `/metrics`.
pub fn metrics(relay: Relay) -> Router {
    let text = move || async move {
        let seen = relay.seen().await;
        ([(header::CONTENT_TYPE, METRICS)], exposition(&relay.me().to_string(), &seen)).into_response()
    };
    Router::new().route("/metrics", get(text)).fallback(missing)
}

async fn missing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Addresses with the id of the relay, as JSON.
fn list(relay: &Relay) -> String {
    let all: Vec<String> =
        relay.addresses().into_iter().map(|address| format!("{address}/p2p/{}", relay.me())).collect();
    if all.is_empty() { "null".into() } else { serde_json::json!(all).to_string() }
}

/// A record with the first public address, else the first.
fn record(key: &IdentityKey, told: &[String], external: Option<IpAddr>) -> Result<String, NoRecord> {
    let parsed = told.iter().filter_map(|text| Multiaddr::parse(text).ok());
    let with_ip: Vec<Multiaddr> = parsed.filter(|address| address.ip().is_some()).collect();
    let first = with_ip.iter().find(|address| !address.is_private()).or_else(|| with_ip.first());
    let (found, port) = match first {
        Some(address) => (address.ip(), port(&address.to_string())),
        // A relay that is told by its name only.
        None => (None, told.iter().find_map(|text| port(text))),
    };
    let ip = external.or(found).ok_or(NoRecord::Address)?;
    let port = port.ok_or(NoRecord::Address)?;
    let ip: Ipv4Addr = match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().ok_or(NoRecord::Version)?,
    };
    Ok(enr::record_at(key, ip, port, NO_PORT).text().to_owned())
}

/// The port of TCP.
fn port(address: &str) -> Option<u16> {
    let (_, behind) = address.split_once("/tcp/")?;
    behind.split('/').next()?.parse().ok()
}

/// Series of one name: their kind, what they are, and the value of each peer.
type Series = (&'static str, &'static str, &'static str, fn(&Row) -> u64);

const SERIES: [Series; 4] = [
    ("relay_p2p_active_connections", "gauge", "Connections now", |row| row.connections),
    ("relay_p2p_connection_total", "counter", "Connections since the peer came", |row| {
        row.connections_in_all
    }),
    ("relay_p2p_network_receive_bytes_total", "counter", "Bytes from the peer", |row| row.received),
    ("relay_p2p_network_sent_bytes_total", "counter", "Bytes to the peer", |row| row.sent),
];
const LATENCY: &str = "relay_p2p_ping_latency";
/// Ours alone.
const REFUSED_CONNECTIONS: &str = "relay_p2p_refused_connections_total";
const REFUSED_RESERVATIONS: &str = "relay_p2p_refused_reservations_total";

/// All series as prometheus reads them; series of peers that are gone are left out.
fn exposition(me: &str, seen: &Seen) -> String {
    let (mut text, rows) = (String::new(), &seen.rows);
    for (name, help, value) in [
        (REFUSED_CONNECTIONS, "Connections refused: a limit is reached", seen.refused_connections),
        (REFUSED_RESERVATIONS, "Reservations refused: a limit is reached", seen.refused_reservations),
    ] {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name}{{relay_peer=\"{me}\"}} {value}"
        );
    }
    for (name, kind, help, value) in SERIES {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for row in rows {
            let _ = writeln!(text, "{name}{{{}}} {}", labels(me, row), value(row));
        }
    }
    let _ = writeln!(text, "# HELP {LATENCY} Round trips of pings in seconds\n# TYPE {LATENCY} histogram");
    for row in rows {
        let (labels, latency) = (labels(me, row), &row.latency);
        for (end, count) in PING_BUCKETS.iter().zip(latency.classes) {
            let _ = writeln!(text, "{LATENCY}_bucket{{{labels},le=\"{end}\"}} {count}");
        }
        let _ = writeln!(text, "{LATENCY}_bucket{{{labels},le=\"+Inf\"}} {}", latency.count);
        let _ = writeln!(text, "{LATENCY}_sum{{{labels}}} {}", latency.sum);
        let _ = writeln!(text, "{LATENCY}_count{{{labels}}} {}", latency.count);
    }
    text
}

/// Ids are base58 and clusters hexadecimal: nothing needs to be escaped.
fn labels(me: &str, row: &Row) -> String {
    format!("peer=\"{}\",peer_cluster=\"{}\",relay_peer=\"{me}\"", row.peer, row.cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> IdentityKey {
        IdentityKey::from_bytes(&[7; 32]).expect("a key")
    }

    #[test]
    fn records_name_the_first_public_address() {
        let of = |told: &[&str], external: Option<&str>| {
            let told: Vec<String> = told.iter().map(|text| (*text).to_owned()).collect();
            let external = external.map(|ip| ip.parse().expect("an address"));
            let record = enr::parse(&record(&key(), &told, external)?).expect("a record");
            let ip = record.value("ip").map(<[u8]>::to_vec);
            Ok((ip.expect("an address"), record.number("tcp"), record.number("udp")))
        };
        let at = |ip: [u8; 4], port| Ok((ip.to_vec(), Some(port), Some(9999)));
        assert_eq!(of(&["/ip4/127.0.0.1/tcp/3610", "/ip4/1.2.3.4/tcp/3611"], None), at([1, 2, 3, 4], 3611));
        assert_eq!(of(&["/ip4/127.0.0.1/tcp/3610"], None), at([127, 0, 0, 1], 3610));
        assert_eq!(of(&["/ip4/127.0.0.1/tcp/3610"], Some("5.6.7.8")), at([5, 6, 7, 8], 3610));
        assert_eq!(of(&["/dns/relay.example.org/tcp/3610"], Some("5.6.7.8")), at([5, 6, 7, 8], 3610));
        assert_eq!(of(&["/dns/relay.example.org/tcp/3610"], None), Err(NoRecord::Address));
        assert_eq!(of(&[], Some("5.6.7.8")), Err(NoRecord::Address));
        assert_eq!(of(&["/ip6/2001:db8::1/tcp/3610"], None), Err(NoRecord::Version));
    }

    #[test]
    fn series_have_the_names_of_charon() {
        let mut row = Row {
            peer: "16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw".parse().expect("an id"),
            cluster: "abcdef1".into(),
            connections: 1,
            connections_in_all: 3,
            received: 10,
            sent: 20,
            latency: coxswain_dv_net::relay::Latency::default(),
        };
        row.latency.classes[10] = 2;
        row.latency.count = 2;
        let seen = Seen { rows: vec![row], refused_connections: 4, refused_reservations: 5 };
        let text = exposition("ME", &seen);
        let labels = "peer=\"16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw\",peer_cluster=\"abcdef1\",relay_peer=\"ME\"";
        for line in [
            "relay_p2p_refused_connections_total{relay_peer=\"ME\"} 4".to_owned(),
            "relay_p2p_refused_reservations_total{relay_peer=\"ME\"} 5".to_owned(),
            format!("relay_p2p_active_connections{{{labels}}} 1"),
            format!("relay_p2p_connection_total{{{labels}}} 3"),
            format!("relay_p2p_network_receive_bytes_total{{{labels}}} 10"),
            format!("relay_p2p_network_sent_bytes_total{{{labels}}} 20"),
            format!("relay_p2p_ping_latency_bucket{{{labels},le=\"0.005\"}} 0"),
            format!("relay_p2p_ping_latency_bucket{{{labels},le=\"10\"}} 2"),
            format!("relay_p2p_ping_latency_bucket{{{labels},le=\"+Inf\"}} 2"),
            format!("relay_p2p_ping_latency_count{{{labels}}} 2"),
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
