//! Two hosts find each other through charon's own relay. Runs where `CHARON_BIN` names a charon binary.

mod support;

use std::time::Duration;

use support::{Host, charon_relay, meet, within};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_meet_through_the_relay_of_charon() {
    tracing_subscriber::fmt().with_env_filter("coxswain_dv_net=debug").init();
    let Some(relay) = charon_relay().await else { return };
    let keys = support::keys(2);
    let hosts: Vec<Host> = keys.iter().map(|key| Host::start(key, &keys, &relay.url)).collect();
    within(Duration::from_secs(20), meet(&hosts[0], &hosts[1])).await;
    for host in &hosts {
        host.network.stop().await;
    }
}
