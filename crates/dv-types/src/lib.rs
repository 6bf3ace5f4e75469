//! What a distributed validator cluster is made of.
//!
//! ```text
//! hash      SSZ roots: consensus messages, cluster definitions and locks
//! network   names, fork versions, genesis times, domains
//! cluster   definitions and locks: reading, writing, hashes, verification
//! eip712    what operators sign
//! deposit   messages, roots, amounts, the launchpad's files
//! registration  with builders
//! enr       node records
//! json      reading the files of clusters, leniently
//! keylock   whether a node's key may be used
//! text      JSON byte for byte as others write it
//! causes    errors as one line of text
//! ```
//!
//! Nothing here reads a clock, a file or random bytes, and only records of nodes are signed: else roots go
//! out and signatures come in.

pub mod causes;
pub mod cluster;
pub mod deposit;
pub mod eip712;
pub mod enr;
pub mod hash;
pub mod json;
pub mod keylock;
pub mod network;
pub mod registration;
pub mod text;

/// A root: 32 bytes.
pub type Root = [u8; 32];
