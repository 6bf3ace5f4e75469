//! Makes a cluster of keys, and keys of a cluster: what `create cluster`, `combine` and `deposit` do, in memory.
//!
//! ```text
//! secrets ── deal ──→ shares of every node ┐
//! definition, identities of nodes ─────────┴─ seal ──→ lock, deposits
//! secret ── keystore ──→ names and texts of two files
//! lock, keys of nodes ── combine ──→ secrets
//! lock, keys of a node ── deposits ──→ its part of new deposits; parts of enough nodes ──→ deposits
//! lock, newer registrations ── registrations ──→ what is submitted, and whom blocks pay
//! ```
//!
//! Nothing here reads a file, a clock or random bytes of its own: randomness is an argument.
//!
//! # What must never happen
//!
//! - A secret reaches an error text.
//! - Keys are given out as those of a cluster whose lock says otherwise.

mod combine;
mod deposits;
mod keystores;
mod registrations;
mod seal;
mod shares;

pub use combine::{CombineError, NodeKeys, combine};
pub use deposits::{
    FetchedDeposits, MAX_AMOUNTS, NewDeposit, Partial, SignError, Whole, WholeError, deposit_files,
    sign_deposits, submission, whole_deposits,
};
pub use keystores::{KeystoreFiles, keystore};
pub use registrations::{Found, Oddity, Overrides, Registered, Registrar, take_newer};
pub use seal::{DepositFile, Piece, Seal, SealError, Sealed, deal, seal, seal_with, targets};
pub use shares::{Missing, OwnShares, ShareError, own_shares};
