//! The beacon chain as a validator meets it.
//!
//! ```text
//! time      moments and the chain's clock     duty     what nodes do at a slot, and until when
//! fork      names and versions of forks       domain   what signatures are bound to
//! bytes     bytes of fixed length             api      documents of the Beacon API
//! codec     how bytes and texts are read        spec     a chain as beacon nodes say it
//!
//! attestation  sync  operations  block  body  payload    containers of every fork: SSZ, JSON and roots
//! proposal     blocks of any fork, whole, blinded, signed
//! unsigned     what a cluster agrees on, as it goes over the wire
//! signed       what validators sign, as it goes over the wire
//! selection    who aggregates
//! validity     what nodes may agree to       synthetic    blocks that are made up
//! ```
//!
//! Containers are those of the mainnet preset, from phase 0 to Fulu.
//! <https://github.com/ethereum/consensus-specs>, <https://github.com/ethereum/beacon-APIs>.
//!
//! # What must never happen
//!
//! - Foreign bytes cause a panic, or memory that their length does not justify.
//! - A root of something else than what was received is signed or verified.

pub mod api;
pub mod attestation;
pub mod beacon;
pub mod block;
pub mod body;
pub mod bytes;
pub mod client;
pub mod codec;
pub mod domain;
pub mod duty;
pub mod fork;
mod hexadecimal;
pub mod operations;
pub mod payload;
pub mod proposal;
pub mod protect;
pub mod selection;
pub mod signed;
pub mod spec;
pub mod sync;
pub mod synthetic;
pub mod time;
pub mod unsigned;
pub mod validity;

pub use bytes::Bytes;
pub use coxswain_dv_types::Root;
