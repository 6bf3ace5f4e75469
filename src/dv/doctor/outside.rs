//! Beacon nodes and relays: whether they are there, and of the same chain and time.

use std::time::Duration;

use coxswain_dv_beacon::client::{Address, Backends, Config, MINIMUMS, Version, check_version};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_net::{Multiaddr, RelaySource, Resolve, relay_addresses};
use tokio::net::TcpStream;

use super::{Cluster, Item};
use crate::dv::chain::{Chain, genesis_version, now};

/// How long a relay may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A clock that is further away keeps a node from its duties: consensus begins in the first seconds of a slot.
const FAR_MILLIS: i128 = 2_000;

/// Looks at a beacon node.
pub async fn beacon_node(address: &Address, backends: &Backends, cluster: &Cluster) -> Vec<Item> {
    let what = "beacon node";
    let config = match backends.config().await {
        Ok(config) => config,
        Err(error) => {
            let next = "check the address, and that the beacon node runs";
            return vec![Item::problem(what, error.to_string(), next)];
        }
    };
    let version = backends.versions().await.into_iter().next().and_then(Result::ok).unwrap_or_default();
    vec![
        chain(address, &config, cluster),
        release(address, &version),
        syncing(address, backends).await,
        clock(address, backends, &config).await,
    ]
}

/// Whether it is the cluster's chain, and the one of what was signed. A lock names its chain by the fork version alone.
fn chain(address: &Address, config: &Config, cluster: &Cluster) -> Item {
    let what = "chain";
    let next = "name a beacon node of the cluster's network";
    let version = genesis_version(config);
    let expected = cluster.lock.as_ref().map(|lock| lock.definition.fork_version.to_vec());
    if let Some(expected) = expected.filter(|expected| *expected != version) {
        let found = format!(
            "{address}: its network has the fork version 0x{}, and the cluster's 0x{}",
            hex::encode(version),
            hex::encode(expected)
        );
        return Item::problem(what, found, next);
    }
    let root = config.chain.genesis_validators_root;
    let known = Chain::known(&version).map(|chain| chain.genesis_validators_root);
    let differs = |other: Option<Root>| other.filter(|other| *other != root).map(Bytes32::from);
    let root = Bytes32::from(root);
    match (differs(cluster.stored), differs(known)) {
        (Some(stored), _) => {
            let found = format!("{address}: its chain is {root}, and what was signed is of {stored}");
            Item::problem(what, found, next)
        }
        (None, Some(known)) => Item::warning(
            what,
            format!("{address}: its chain is {root}, and that of the network with this fork version {known}"),
            "that is right only on a network of your own which has the fork version of another",
        ),
        (None, None) => Item::ok(what, format!("{address}: {root}")),
    }
}

fn release(address: &Address, version: &str) -> Item {
    let what = "release";
    match check_version(version, MINIMUMS) {
        Version::Fine => Item::ok(what, format!("{address}: {version}")),
        Version::TooOld(least) => {
            let [major, minor, patch] = least.release;
            let next = format!("update it: at least v{major}.{minor}.{patch} does all forks of this time");
            Item::problem(what, format!("{address}: {version} is too old"), next)
        }
        Version::UnknownClient | Version::NotUnderstood => {
            let next = "nothing is known against it";
            Item::warning(what, format!("{address}: {version:?} is not known here"), next)
        }
    }
}

async fn syncing(address: &Address, backends: &Backends) -> Item {
    let what = "syncing";
    match backends.call(Call::Syncing).await {
        Ok(Answer::Syncing(found)) if found.is_syncing => Item::warning(
            what,
            format!("{address}: it lacks {} slots", found.sync_distance),
            "wait: a node starts when its beacon node has read the chain",
        ),
        Ok(_) => Item::ok(what, format!("{address}: it has read the chain")),
        Err(error) => Item::problem(what, error.to_string(), "check the beacon node"),
    }
}

/// How far the beacon node's clock and this machine's are from each other.
async fn clock(address: &Address, backends: &Backends, config: &Config) -> Item {
    let what = "clock";
    let next = "let both machines take their time from servers of time, as `chrony` does";
    let before = now();
    let answer = backends.dates().await.into_iter().next();
    let after = now();
    // A block of the future says more than any header.
    let slot = config.chain.clock.slot_at(after).unwrap_or_default();
    if let Ok(Answer::Syncing(found)) = backends.call(Call::Syncing).await
        && found.head_slot > slot.saturating_add(1)
    {
        let found =
            format!("{address}: it has a block of slot {}, and here it is slot {slot}", found.head_slot);
        return Item::problem(what, found, next);
    }
    let date = answer.and_then(Result::ok).flatten();
    let date = date.and_then(|text| jiff::fmt::rfc2822::parse(&text).ok());
    let Some(date) = date.map(|date| i128::from(date.timestamp().as_millisecond())) else {
        let next = "compare the clocks yourself: `date` on both machines";
        return Item::warning(what, format!("{address}: it does not say what time it is"), next);
    };
    let millis = |time: coxswain_dv_eth::time::Time| i128::try_from(time.0.as_millis()).unwrap_or(i128::MAX);
    let apart = apart(date, (millis(before), millis(after)));
    let found =
        format!("{address}: its clock is {:+.1} s from this machine's at least", apart as f64 / 1000.0);
    match apart.abs() {
        0 => Item::ok(what, format!("{address}: its clock and this machine's are within a second")),
        FAR_MILLIS.. => Item::problem(what, found, next),
        _ => Item::warning(what, found, next),
    }
}

/// How far two clocks are apart at least, in milliseconds: one showed `date` (a whole second, cut off) at some moment
/// between two of the other. More than nothing where the one is ahead.
fn apart(date: i128, (before, after): (i128, i128)) -> i128 {
    let (least, most) = (date - after, date + 999 - before);
    if least > 0 {
        least
    } else if most < 0 {
        most
    } else {
        0
    }
}

/// Looks at a relay: whether it says where it is, and takes connections there.
pub async fn relay(source: &RelaySource, ask: &dyn Resolve) -> Item {
    let what = "relay";
    let name = match source {
        RelaySource::Url(url) => {
            url::Url::parse(url).map_or_else(|_| "a relay".to_owned(), |url| crate::dv::http::shown(&url))
        }
        RelaySource::Address(id, _) => id.to_string(),
    };
    let (id, addresses) = match relay_addresses(source, ask).await {
        Ok(found) => found,
        Err(error) => {
            let next = "check its address, and that it runs; name another one with --p2p-relays";
            return Item::problem(what, format!("{name}: {error}"), next);
        }
    };
    let mut why = format!("none of its {} addresses is one over TCP", addresses.len());
    for address in addresses.iter().filter_map(|address| Some((address, host_and_port(address)?))) {
        let (shown, (host, port)) = address;
        match tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Item::ok(what, format!("{name}: {id} at {shown}")),
            Ok(Err(error)) => why = format!("{shown}: {error}"),
            Err(_) => why = format!("{shown}: no connection within {} s", CONNECT.as_secs()),
        }
    }
    let next = "check the firewall of this machine and of the relay; name another one with --p2p-relays";
    Item::problem(what, format!("{name}: {why}"), next)
}

/// Where an address over TCP leads.
fn host_and_port(address: &Multiaddr) -> Option<(String, u16)> {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    let (kind, host, over, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = ["ip4", "ip6", "dns", "dns4", "dns6"].contains(&kind) && over == "tcp";
    is_known.then(|| Some((host.to_owned(), port.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_may_be_the_same_are_not_apart() {
        // The date is cut off: it may have been up to 5.999.
        assert_eq!(apart(5_000, (5_990, 6_010)), 0);
        assert_eq!(apart(5_000, (4_990, 5_000)), 0);
        assert_eq!(apart(5_000, (6_000, 6_010)), -1);
        assert_eq!(apart(5_000, (3_000, 3_010)), 1_990);
        assert_eq!(apart(5_000, (9_000, 9_010)), -3_001);
    }

    #[test]
    fn relays_are_reached_over_tcp() {
        let of = |text: &str| host_and_port(&text.parse().expect("an address"));
        assert_eq!(of("/ip4/127.0.0.1/tcp/3610"), Some(("127.0.0.1".to_owned(), 3610)));
        assert_eq!(of("/dns/relay.example.org/tcp/1"), Some(("relay.example.org".to_owned(), 1)));
        assert_eq!(of("/ip6/::1/tcp/2"), Some(("::1".to_owned(), 2)));
        assert_eq!(of("/ip4/127.0.0.1/udp/3610/quic-v1"), None);
    }
}
