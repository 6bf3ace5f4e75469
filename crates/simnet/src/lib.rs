//! A simulated beacon chain and validator client.

pub mod client;
