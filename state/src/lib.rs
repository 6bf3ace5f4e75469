//! State.

mod digest;
mod entry;
mod error;
mod fold;
mod model;

pub use digest::{Digester, KEY_BYTES, KeyFact, PREFIX as DIGEST_PREFIX};
pub use entry::{Change, Edit, Entry, Intent, Outcome, RunBegin, RunEnd, StepEnd};
pub use error::{Error, Owner, ParseError, Position};
pub use fold::{FoldError, fold};
pub use model::{
    Before, Claim, ClaimKey, ClaimKeyError, FORMAT, OnDestroy, OpenIntent, OutputRecord, Phase, Record,
    State, Status,
};
