//! Whole clusters in a simulated world: clocks, network, beacon nodes, validator clients and disks, all from one seed.

mod chain;
mod client;
mod clock;
mod dice;
mod keys;
mod machine;
mod report;
mod setting;
mod store;
mod trace;
mod world;

pub use keys::Vault;
pub use report::{Broken, Counts};
pub use setting::{Builders, First, Setting, Shares, Signatures, Trouble};
pub use world::{Outcome, Tracing, World};

/// Runs the world of a seed, for so many acts.
#[must_use]
pub fn run(seed: u64, acts: u64, vault: &mut Vault, tracing: Tracing) -> Outcome {
    World::new(seed, Setting::of(seed, acts), vault, tracing).run()
}
