//! Makes a cluster of keys, and keys of a cluster: what `create cluster` and `combine` do, in memory.
//!
//! ```text
//! secrets ── deal ──→ shares of every node ┐
//! definition, identities of nodes ─────────┴─ seal ──→ lock, deposits
//! secret ── keystore ──→ names and texts of two files
//! lock, keys of nodes ── combine ──→ secrets
//! ```
//!
//! Nothing here reads a file, a clock or random bytes of its own: randomness is an argument.
//!
//! # What must never happen
//!
//! - A secret reaches an error text.
//! - Keys are given out as those of a cluster whose lock says otherwise.

mod combine;
mod keystores;
mod seal;

pub use combine::{CombineError, NodeKeys, combine};
pub use keystores::{KeystoreFiles, keystore};
pub use seal::{DepositFile, Seal, SealError, Sealed, deal, seal, targets};
