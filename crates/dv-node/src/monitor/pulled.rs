//! Figures that others keep: they are asked for when somebody looks.

use coxswain_dv_beacon::{client, server};
use coxswain_dv_net::PeerId;
use coxswain_dv_net::run::{Overview, Peer, Said, Support};

use super::Named;
use super::book::as_number;
use super::catalogue as names;
use super::registry::{Metric, Registry};

/// The only way that bytes take.
const TRANSPORT: &str = "tcp";
/// The protocol of ways that no connection takes.
const NONE: &str = "none";
/// The endpoint of registrations with builders.
const REGISTRATIONS: &str = "submit_validator_registrations";

/// What beacon nodes were asked.
pub(super) fn beacon(registry: &mut Registry, metrics: &client::Metrics) {
    for (endpoint, calls) in &metrics.calls {
        registry.set(&names::ETH2_REQUESTS, &[endpoint], as_number(calls.requests));
        registry.set(&names::ETH2_ERRORS, &[endpoint], as_number(calls.errors));
        let latency = &calls.latency;
        registry.set_classes(&names::ETH2_LATENCY, &[endpoint], latency.counts.clone(), latency.sum_secs);
    }
    registry.set(&names::USING_FALLBACK, &[], f64::from(u8::from(metrics.is_using_fallback)));
    let of = |count: fn(&client::Calls) -> u64| metrics.calls.get(REGISTRATIONS).map_or(0, count);
    registry.set(&names::REGISTRATIONS, &[], as_number(of(|calls| calls.requests)));
    registry.set(&names::REGISTRATION_ERRORS, &[], as_number(of(|calls| calls.errors)));
}

/// What validator clients asked.
pub(super) fn api(registry: &mut Registry, metrics: &server::Metrics) {
    for ((endpoint, content_type), count) in &metrics.requests {
        registry.set(&names::API_REQUESTS, &[endpoint, content_type], as_number(*count));
    }
    for ((endpoint, status), count) in &metrics.errors {
        registry.set(&names::API_ERRORS, &[endpoint, &status.to_string()], as_number(*count));
    }
    for (endpoint, latency) in &metrics.latency {
        registry.set_classes(&names::API_LATENCY, &[endpoint], latency.counts.clone(), latency.sum_secs);
    }
    for (path, latency) in &metrics.proxy_latency {
        registry.set_classes(&names::API_PROXY_LATENCY, &[path], latency.counts.clone(), latency.sum_secs);
    }
    if let Some(agent) = &metrics.user_agent {
        registry.set(&names::API_AGENT, &[agent], 1.0);
    }
}

/// What is known of other nodes and of relays.
pub(super) fn network(registry: &mut Registry, nodes: &[Named], overview: &Overview) {
    registry.set(&names::REACHABILITY, &[], 0.0);
    for node in nodes {
        let name = node.name.as_str();
        let connections = overview.network.peers.get(&node.id).cloned().unwrap_or_default();
        let ways = [("direct", connections.direct), ("relay", connections.relayed)];
        for (way, count) in ways {
            ways_of(registry, &names::CONNECTION_TYPES, (name, way), count);
        }
        let Some(peer) = overview.peers.get(&node.id) else { continue };
        registry.set(&names::CONNECTIONS, &[name], as_number(connections.in_all));
        let pings = &connections.pings;
        registry.set(&names::PING_SUCCESS, &[name], f64::from(u8::from(pings.is_answered == Some(true))));
        registry.set(&names::PING_ERRORS, &[name], as_number(pings.failed));
        let classes = classes(&pings.latency.classes, pings.latency.count);
        registry.set_classes(&names::PING_LATENCY, &[name], classes, pings.latency.sum);
        messages(registry, name, peer);
        if let Some(said) = &peer.said {
            told(registry, name, said);
        }
    }
    for (place, relay) in overview.network.relays.iter().enumerate() {
        let name = relay.id.as_ref().map_or_else(|| format!("relay-{place}"), PeerId::to_string);
        registry.set(&names::RELAY_CONNECTIONS, &[&name], as_number(relay.connections as u64));
        ways_of(registry, &names::RELAY_TYPES, (&name, "direct"), relay.connections);
    }
}

fn ways_of(registry: &mut Registry, metric: &Metric, (name, way): (&str, &str), count: usize) {
    let protocol = if count == 0 { NONE } else { TRANSPORT };
    registry.set(metric, &[name, way, protocol], as_number(count as u64));
}

fn messages(registry: &mut Registry, name: &str, peer: &Peer) {
    for (protocol, received) in &peer.received {
        registry.set(&names::RECEIVED_BYTES, &[name, protocol, TRANSPORT], as_number(received.bytes));
    }
    for ((protocol, topic), sent) in &peer.sends.kinds {
        registry.add(&names::SENT_BYTES, &[name, protocol, TRANSPORT], as_number(sent.bytes));
        let classes = classes(&sent.took.classes, sent.took.count);
        registry.set_classes(&names::SEND_DURATION, &[name, protocol, topic], classes, sent.took.sum);
    }
}

fn told(registry: &mut Registry, name: &str, said: &Said) {
    registry.set(&names::PEER_BUILDER, &[name], f64::from(u8::from(said.builder_api_enabled)));
    registry.set(&names::PEER_CLOCK, &[name], said.clock_offset_nanos as f64 / 1e9);
    registry.set(&names::PEER_CLIENT, &[name, &said.dv_client], 1.0);
    registry.set(&names::PEER_COMMIT, &[name, &said.git_hash], 1.0);
    registry.set(&names::PEER_NICKNAME, &[name, &said.nickname], 1.0);
    registry.set(&names::PEER_START, &[name], (said.started_at.unix_nanos() / 1_000_000_000) as f64);
    registry.set(&names::PEER_VERSION, &[name, &said.version], 1.0);
    let is_supported = said.support != Support::Unsupported;
    registry.set(&names::PEER_SUPPORT, &[name], f64::from(u8::from(is_supported)));
}

/// Classes that each hold those below, as classes that do not.
fn classes(cumulated: &[u64], count: u64) -> Vec<u64> {
    let mut below = 0;
    let each = cumulated.iter().chain([&count]).map(|upto| {
        let class = upto.saturating_sub(below);
        below = *upto;
        class
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_do_not_hold_those_below() {
        assert_eq!(classes(&[0, 2, 2, 5], 6), [0, 2, 0, 3, 1]);
        assert_eq!(classes(&[], 0), [0]);
    }
}
