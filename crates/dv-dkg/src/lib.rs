//! The key ceremony as state machines: events in, effects out.
//!
//! [`frost`] and [`pedersen`] make the keys of validators so that no node ever has one whole. They know no message
//! format, no connection and no time: a driver brings what peers sent, says when a phase is over, and carries out the
//! effects. Random numbers come from a generator that the caller passes in.
//!
//! What must never happen:
//! - a share that was not checked against its dealer's commitments becomes part of a key;
//! - a share goes to anyone but the node that it is for;
//! - a ceremony that failed gives keys, or fails without a name where a name is known.

pub mod frost;
mod keys;

pub use keys::KeyShare;
