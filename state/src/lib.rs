//! What coxswain knows it has done: snapshot, journal, lock.
//!
//! ```text
//!              Backend (plain operations: read, write_atomic, append_sync, lock …)
//!                 ▲
//! View::load ─────┤  no lock, never writes: plan, drift
//! Store::open ────┘  lock ─ verify ─ fold what a cut-off run has left
//!    begin_run ─ intent ─ (the step) ─ outcome ─ … ─ end_run
//!                  │ durable before     │ durable         │ earlier snapshot → history
//!                  ▼ it returns         ▼                 ▼ snapshot serial + 1, new journal
//!               journal.jsonl ────────────── fold ──────→ state.json
//! ```
//!
//! # Guarantees
//!
//! - When [`Store::intent`] or [`Store::outcome`] has returned, what it recorded survives `kill -9` and loss of
//!   power at any instant.
//! - A step that began and has no outcome is in the state of the next reader: its instance is
//!   [`Status::Indeterminate`], and [`State::indeterminate`] says which step it was. A creation under way is not
//!   forgotten, because its intent carries the record.
//! - Reading gives the state before a change or after it. A torn end of the journal is cut; it can only be a record
//!   that was never acknowledged.
//! - One writer at a time. The lock of a process that died is free at once.
//! - The same state has the same bytes.
//!
//! # What must never happen
//!
//! - A damaged file is taken for a good one, or repaired by guessing: [`Error::Corrupt`] says where, and
//!   [`restore`] is a person's decision.
//! - A claim disappears, or changes its holder before the former one is proved gone: no [`Change`] removes one, and
//!   [`Claim::may_become`] is asked before anything is written.
//! - A secret is written in clear: the caller puts [`Digester`]'s digests in the place of sensitive leaves. The key
//!   is durable before the first digest is.
//! - A reader writes.
//!
//! # What is assumed
//!
//! A rename within a directory is atomic, `fsync` makes durable, and an append that a crash interrupts leaves a
//! beginning of it. No clock is read; times are the caller's texts.

mod backend;
mod digest;
mod entry;
mod error;
mod fold;
mod history;
mod journal;
mod load;
mod model;
mod snapshot;
mod store;

pub use backend::{
    Backend, Dial, Disk, Guard, KEEPER_COMMAND, Line, LocalBackend, Locked, Name, RealDisk, RemoteBackend,
};
pub use digest::{Digester, KEY_BYTES, KeyFact, PREFIX as DIGEST_PREFIX};
pub use entry::{Change, Edit, Entry, Intent, Outcome, RunBegin, RunEnd, StepEnd};
pub use error::{Error, Owner, ParseError, Position};
pub use fold::{FoldError, fold};
pub use history::{Restored, history, read_history, read_history_journal, restore};
pub use journal::{Journal, MAX_RECORD_BYTES, parse_journal};
pub use load::View;
pub use model::{
    Before, Claim, ClaimKey, ClaimKeyError, FORMAT, OnDestroy, OpenIntent, OutputRecord, Phase, Record,
    State, Status,
};
pub use snapshot::{MAX_FILE_BYTES, Snapshot, parse_snapshot};
pub use store::{Fresh, KEEP_HISTORY, Store};
