//! The cryptography of distributed validators.
//!
//! [`k1`] is ECDSA over secp256k1: who a node or an operator is. [`bls`] is BLS12-381 as Ethereum uses it (public
//! keys in G1, signatures in G2), with the threshold half that a distributed validator adds: one secret split into
//! shares, and signatures of shares put together into that of the whole key.
//!
//! Everything is a function of its arguments. Random bytes come from a generator that the caller passes in; nothing
//! reads a clock, a file or the environment, and nothing starts a thread.
//!
//! What must never happen:
//! - a secret leaves its type but by a method that says so, or shows in `Debug`, an error or a comparison's time;
//! - bytes become a key or a signature without a check of encoding, curve and subgroup;
//! - a public key is the point at infinity;
//! - a batch of signatures verifies that holds a bad one, but with a chance of 2⁻⁶⁴.

// Here a number that wraps is a wrong key. Tests may reckon as they like.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

pub mod bls;
mod ffi;
pub mod k1;
