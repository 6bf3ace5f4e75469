//! A simulated cluster: clocks, network, beacon nodes, validator clients and stores, all from one seed.

pub(crate) mod beacon;
pub(crate) mod client;
pub(crate) mod keys;
pub(crate) mod store;
pub(crate) mod world;
