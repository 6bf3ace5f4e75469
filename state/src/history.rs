//! Earlier states: listed, read, put back.

use std::collections::BTreeMap;

use crate::backend::{Backend, Name};
use crate::entry::{Change, Entry};
use crate::error::{Error, Owner};
use crate::journal::{self, parse_journal, read_journal};
use crate::model::{Claim, ClaimKey, State};
use crate::snapshot::{Snapshot, parse_snapshot};
use crate::store::snapshot_serial;

/// The serials of the earlier snapshots that are kept, in order.
///
/// # Errors
/// When the history cannot be listed.
pub fn history(backend: &dyn Backend) -> Result<Vec<u64>, Error> {
    Ok(backend.list_past()?.into_iter().filter_map(snapshot_serial).collect())
}

/// An earlier state.
///
/// # Errors
/// When it is not there or does not verify.
pub fn read_history(backend: &dyn Backend, serial: u64) -> Result<State, Error> {
    let name = Name::Past(serial);
    let bytes = backend.read(name)?.ok_or_else(|| Error::NoSuchSerial { serial, place: backend.place() })?;
    let snapshot = parse_snapshot(&bytes).map_err(|error| Error::parse(backend.show(name), error))?;
    Ok(snapshot.state)
}

/// What happened between an earlier state and the one after it; nothing where it is not kept.
///
/// # Errors
/// When it does not verify.
pub fn read_history_journal(backend: &dyn Backend, serial: u64) -> Result<Vec<Entry>, Error> {
    let name = Name::PastJournal(serial);
    let Some(bytes) = backend.read(name)? else { return Ok(Vec::new()) };
    let journal = parse_journal(&bytes).map_err(|error| Error::parse(backend.show(name), error))?;
    Ok(journal.entries)
}

/// What came of putting back an earlier state.
#[derive(Debug)]
pub struct Restored {
    /// The state now.
    pub state: State,
    /// Whether damage may hide a move of a claim. Then a person must make sure who holds what before anything that
    /// signs is started.
    pub claims_uncertain: bool,
}

/// Puts back an earlier state under a new serial; damaged files are set aside, not removed.
///
/// Claims are never put back: of each, the latest record that can be read anywhere is kept.
///
/// # Errors
/// When the lock is held, when there is no such state, or when it cannot be written; then nothing was changed.
pub fn restore(backend: &dyn Backend, owner: &Owner, serial: u64) -> Result<Restored, Error> {
    let _guard = backend.lock(owner)?;
    let mut state = read_history(backend, serial)?;
    let snapshot = backend.read(Name::Snapshot)?;
    let journal = backend.read(Name::Journal)?;
    let mut latest = serial;
    for name in later_than(backend, serial)? {
        latest = latest.max(name.1);
        if let Some(bytes) = backend.read(name.0)? {
            state.claims.extend(claims_of(&bytes).0);
        }
    }
    let mut claims_uncertain = false;
    for bytes in [snapshot.as_deref(), journal.as_deref()] {
        let (claims, whole, seen) = bytes.map_or((BTreeMap::new(), false, 0), claims_of);
        state.claims.extend(claims);
        latest = latest.max(seen);
        claims_uncertain |= !whole;
    }
    state.serial = latest + 1;

    if let Some(bytes) = snapshot {
        backend.write_atomic(Name::DamagedSnapshot(state.serial), &bytes)?;
    }
    if let Some(bytes) = journal {
        backend.write_atomic(Name::DamagedJournal(state.serial), &bytes)?;
    }
    // The journal goes first: without one, either snapshot stands for itself.
    backend.remove(Name::Journal)?;
    let written = Snapshot { state, folded: None };
    backend.write_atomic(Name::Snapshot, &written.to_bytes())?;
    let state = written.state;
    backend.write_atomic(Name::Journal, &journal::header(&state.lineage, state.serial).0)?;
    Ok(Restored { state, claims_uncertain })
}

/// What is kept of later states, with serials; what was damaged before the snapshot that took its place.
fn later_than(backend: &dyn Backend, serial: u64) -> Result<Vec<(Name, u64)>, Error> {
    let mut later: Vec<(u64, u8, Name)> = Vec::new();
    for name in backend.list_past()? {
        match name {
            Name::DamagedSnapshot(at) => later.push((at, 0, name)),
            Name::DamagedJournal(at) => later.push((at, 1, name)),
            Name::Past(at) => later.push((at, 2, name)),
            Name::PastJournal(_) | Name::Snapshot | Name::Journal | Name::DigestKey | Name::Ignore => {}
        }
    }
    later.retain(|(at, ..)| *at > serial);
    later.sort();
    Ok(later.into_iter().map(|(at, _, name)| (name, at)).collect())
}

/// The claims in a snapshot or in a journal as far as it can be read, whether all of it can, and its serial.
fn claims_of(bytes: &[u8]) -> (BTreeMap<ClaimKey, Claim>, bool, u64) {
    if let Ok(snapshot) = parse_snapshot(bytes) {
        return (snapshot.state.claims, true, snapshot.state.serial);
    }
    match read_journal(bytes) {
        Ok((journal, error)) => (claims_in(&journal.entries), error.is_none(), journal.base),
        Err(_) => (BTreeMap::new(), false, 0),
    }
}

fn claims_in(entries: &[Entry]) -> BTreeMap<ClaimKey, Claim> {
    let changes = entries.iter().flat_map(|entry| match entry {
        Entry::Outcome(outcome) => outcome.changes.as_slice(),
        Entry::Edit(edit) => edit.changes.as_slice(),
        Entry::RunBegin(_) | Entry::Intent(_) | Entry::RunEnd(_) => &[],
    });
    let claims = changes.filter_map(|change| match change {
        Change::Claim { key, claim } => Some((key.clone(), claim.clone())),
        Change::Put { .. } | Change::Remove { .. } | Change::Move { .. } | Change::Output { .. } => None,
    });
    claims.collect()
}
