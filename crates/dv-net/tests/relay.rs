//! Hosts and a relay of ours, in one process.

mod support;

use std::time::Duration;

use coxswain_dv_net::relay::{Relay, Seen};
use support::{CLUSTER, Host, free_port, keys, meet, our_relay, within};

const LIMIT: Duration = Duration::from_secs(30);

/// Waits until the relay has seen this.
async fn until(relay: &Relay, holds: impl Fn(&Seen) -> bool) -> Seen {
    within(LIMIT, async {
        loop {
            let seen = relay.seen().await;
            if holds(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn until_reserved(host: &Host) {
    within(LIMIT, async {
        let mut status = host.network.status();
        status.wait_for(|status| status.reservations == 1).await.expect("the host lives");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_meet_and_are_counted() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 16).await;
    let [a, b] = [0, 1].map(|n| Host::start(&all[n], &all[..2], &relay.address));
    within(LIMIT, meet(&a, &b)).await;
    let seen = until(&relay.relay, |seen| seen.rows.iter().all(|row| row.cluster == CLUSTER)).await;
    assert_eq!((seen.rows.len(), seen.refused_connections, seen.refused_reservations), (2, 0, 0));
    for row in &seen.rows {
        assert!(row.received > 100 && row.sent > 100, "{row:?}");
        assert!(row.connections > 0 && row.connections_in_all >= row.connections, "{row:?}");
    }
    until(&relay.relay, |seen| seen.rows.iter().all(|row| row.latency.count > 0)).await;
    a.network.stop().await;
    let left = until(&relay.relay, |seen| seen.rows.len() == 1).await;
    assert_eq!(left.rows[0].peer, b.network.me());
    b.network.stop().await;
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_comes_back_is_used_again() {
    let (all, port) = (keys(3), free_port());
    let relay = our_relay(&all[2], port, 16, 16).await;
    let [a, b] = [0, 1].map(|n| Host::start(&all[n], &all[..2], &relay.address));
    within(LIMIT, meet(&a, &b)).await;
    relay.relay.stop().await;
    for host in [&a, &b] {
        let mut status = host.network.status();
        within(LIMIT, status.wait_for(|status| status.connected.is_empty())).await.expect("the host lives");
    }
    let relay = our_relay(&all[2], port, 16, 16).await;
    for host in [&a, &b] {
        until_reserved(host).await;
    }
    within(LIMIT, meet(&a, &b)).await;
    for host in [a, b] {
        host.network.stop().await;
    }
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_of_an_address_are_limited() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 16, 1).await;
    let first = Host::start(&all[0], &all[..2], &relay.address);
    until_reserved(&first).await;
    let second = Host::start(&all[1], &all[..2], &relay.address);
    let seen = until(&relay.relay, |seen| seen.refused_reservations > 0).await;
    assert_eq!((seen.rows.len(), second.network.status().borrow().reservations), (2, 0));
    first.network.stop().await;
    until_reserved(&second).await;
    second.network.stop().await;
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited() {
    let all = keys(3);
    let relay = our_relay(&all[2], free_port(), 1, 16).await;
    let first = Host::start(&all[0], &all[..2], &relay.address);
    until_reserved(&first).await;
    let second = Host::start(&all[1], &all[..2], &relay.address);
    let seen = until(&relay.relay, |seen| seen.refused_connections > 0).await;
    assert_eq!((seen.rows.len(), second.network.status().borrow().reservations), (1, 0));
    first.network.stop().await;
    until_reserved(&second).await;
    second.network.stop().await;
    relay.relay.stop().await;
}
