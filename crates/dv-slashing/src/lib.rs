//! What a validator has signed, and what it may sign.
//!
//! ```text
//! requests ─store→ rows of the key ─verdict→ Recorded | Again | Refused ─one durable transaction→ the answer
//!
//! verdict       the conditions of EIP-3076                                       pure
//! interchange   histories as other programs read and write them (EIP-3076)
//! store         what was signed, in one file
//! lease         one node with a key runs, and no second one
//! machine       which machine this is, and what kind of disk a directory is on
//! ```
//!
//! A history belongs to the key of the group, so it outlives a change of the shares; public keys of shares are only other
//! names of it. A node keeps two ledgers: what its share has signed, and what was put together for the group.
//!
//! # What must never happen
//!
//! - A signature leaves that is not in the file, on the disk.
//! - A message is allowed that contradicts one that was allowed before: not after a crash, not by another process, not
//!   from a copy, not because a row is old.
//! - A history is begun anew because nothing was found.

pub mod interchange;
pub mod lease;
pub mod machine;
pub mod store;
pub mod verdict;

pub use coxswain_dv_eth::protect;
