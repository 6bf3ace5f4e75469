//! The key ceremony as state machines: events in, effects out.
//!
//! ```text
//! ceremony   the whole flow: steps, limits, who is missing
//!  ├ sync       barriers: who is there, how far everybody is
//!  ├ broadcast  nobody is told another message
//!  ├ frost, pedersen   keys of validators, of which no node ever has one whole
//!  └ exchange   partial signatures over what the new keys sign
//! ```
//!
//! They know no connection and no time: a driver brings what peers sent, says what time it is, and carries out the
//! effects. Random numbers come from a generator that the caller passes in.
//!
//! # What must never happen
//!
//! - A share that was not checked against its dealer's commitments becomes part of a key.
//! - A share goes to anyone but the node that it is for.
//! - A ceremony that failed gives keys, or fails without a name where a name is known.

pub mod broadcast;
pub mod ceremony;
pub mod exchange;
pub mod frost;
mod frost_messages;
mod keys;
mod parameters;
pub mod pedersen;
pub mod sync;

pub use keys::KeyShare;
pub use parameters::{MAX_VALIDATORS, ParameterError, Parameters};
