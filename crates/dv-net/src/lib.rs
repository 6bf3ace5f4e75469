//! The network of a node: peers, relays, streams.
