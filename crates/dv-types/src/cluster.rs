//! Cluster files: a definition is what operators agree on, a lock is a definition with the keys that a ceremony made.
//!
//! ```text
//! text ─parse→ Definition, Lock ─verify→ questions to contracts, or the first Problem
//! ```
//!
//! Reading takes what others take: records and addresses may be nonsense as long as nobody uses them, and a file whose
//! hashes are wrong is read, so that an error can say more than that it is damaged. Writing gives the text of the
//! file's own version, byte for byte, and computes its hashes anew.
//!
//! What must never happen:
//! - a lock passes in which a field under one of its hashes or signatures was changed;
//! - a short text, however it is made, costs more memory than a bounded few megabytes.

mod contract;
mod definition;
mod lock;
mod new;
mod nodes;
mod problem;
mod roots;
mod signatures;
mod verify;
mod version;

pub use contract::{Answer, ContractQuestion, call_data, read_answer};
pub use definition::{Creator, Definition, MAX_OPERATORS, MAX_VALIDATORS, Operator, ValidatorAddresses};
pub use lock::{BuilderRegistration, Deposit, DistributedValidator, Lock};
pub use new::{
    CONSENSUS_PROTOCOLS, DKG_ALGORITHMS, LowThreshold, MIN_OPERATORS, MIN_THRESHOLD, NewDefinition, Refused,
    default_threshold, gwei_of_eth, pair_addresses, uuid_text,
};
pub use problem::{Problem, Wrong};
pub use verify::Each;
pub use version::{Addresses, Deposits, Encoding, SignatureShape, Tree, TypedText, VERSIONS, Version};
