//! Connections from anybody, until both sides have shown who they are.
//!
//! ```text
//! listener ─→ Spoken: until the first byte ─→ swarm ─→ Handshakes: until both identities are shown ─→ gate
//! ```
//!
//! Whoever reaches the port can open connections, so places are few and nobody is refused one: where all are taken, the
//! source that has the most of them gives one up, its oldest. A stranger takes places from himself, however often he comes
//! again. A peer behind the same address is through unless as many newer connections come in the time of its handshake as
//! there are places; those that say nothing do not count, because a dialer speaks first.
//!
//! # What must never happen
//!
//! - More connections wait than there are places.
//! - A source gives way to one that has more places.

mod admission;
mod handshakes;
mod silent;
mod source;
mod spoken;

pub use admission::Evicted;
pub(crate) use handshakes::Handshakes;
pub use silent::Silent;
pub use source::{Source, gives_way};
pub(crate) use spoken::Spoken;
