//! The network of a node: peers, relays, streams.
//!
//! ```text
//! host      one task owns the swarm; Network is the handle to it
//!  ├ peers    whom to dial when, where to reserve: pure
//!  ├ circuit  connections through relays
//!  ├ gate     who may be connected
//!  ├ pending  who may try to be
//!  ├ names    an id that libp2p does not like
//!  └ streams  streams of every protocol
//! run     a host of a running cluster: boxes for what goes and comes, peerinfo, figures
//! relay   a host through which others meet
//! frame     messages on a stream
//! ```
//!
//! Speaks with go-libp2p 0.48 as charon uses it. Knows nothing of what messages mean.
//!
//! # What must never happen
//!
//! - A stream of a peer is reset or dropped because this node is busy.
//! - A peer's word alone takes memory, or time without end.
//! - A stranger stays connected.

mod circuit;
mod cork;
mod frame;
mod gate;
mod goodbye;
mod host;
mod latency;
mod names;
mod peers;
mod protocol;
mod report;
mod streams;
mod taken;

pub mod pending;
pub mod relay;
pub mod run;

pub use circuit::message::CircuitError;
pub use frame::{FrameError, finish, read_report, write_report};
pub use host::{
    Incoming, MAX_ANSWER_BYTES, Network, Place, RelaySource, Reply, Resolve, ResolveError, SendError,
    Settings, StartError, Status, peer_id, relay_addresses, start,
};
pub use latency::{Latency, PING_BUCKETS};
pub use libp2p::{Multiaddr, PeerId};
pub use protocol::{Kind, Protocol};
pub use report::{Connections, Pings, RelayConnections, Report};
pub use streams::{OpenError, Stream};
