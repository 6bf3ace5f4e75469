//! Consensus of a distributed validator: QBFT.
//!
//! ```text
//! message    what nodes say, quorums and leaders      timer      how long rounds last
//! machine    one instance: votes to a decision        gate       which duties are let in
//!
//! value      values and their roots                   seal       signed messages and their bytes
//! consensus  many duties: peers, timers, deadlines    refusal    why a message was refused
//! debugger   what instances saw
//! ```
//!
//! Nothing here knows the time, sends, or waits: events come with their moment, and what is wanted comes back as effects.
//! Messages and rules are those of charon, so that nodes of both make up one cluster.
//!
//! What must never happen is said where it could: [`machine`], [`consensus`].

// Here a number that wraps is a wrong vote. Tests may reckon as they like.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

pub mod consensus;
pub mod debugger;
pub mod gate;
pub mod machine;
pub mod message;
pub mod refusal;
pub mod seal;
pub mod seals;
pub mod timer;
pub mod value;
