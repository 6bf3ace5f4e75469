//! Four nodes on a simulated chain, with simulated validator clients: everything is real but the way between nodes.

mod world;

use std::time::Duration;

use world::{Plan, World};

/// Every type of duty of all validators completes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_do_all_duties() {
    let world = World::start(Plan {
        validators: 4,
        slot: Duration::from_secs(3),
        slots_per_epoch: 4,
        ..Plan::default()
    })
    .await;
    let report = world.run_to(12).await;
    world::assert_done(&report);
    world.stop().await;
}
