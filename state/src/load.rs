//! Snapshot and journal, read and judged together.

use crate::backend::{Backend, Name};
use crate::digest::{Digester, KeyFact};
use crate::entry::Entry;
use crate::error::{Error, Position};
use crate::fold::Fold;
use crate::journal::{Journal, parse_journal};
use crate::model::State;
use crate::snapshot::{Snapshot, parse_snapshot};

/// How often a reader without the lock looks again when a writer put a new snapshot and journal in place between
/// its two reads. Each time needs another whole run to end in that instant.
const READ_ATTEMPTS: usize = 8;

/// What is there.
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    pub(crate) snapshot_bytes: Vec<u8>,
    pub(crate) journal: Option<Journal>,
    pub(crate) journal_bytes: Vec<u8>,
}

/// Reads both files; `None` where no state is.
pub(crate) fn load(backend: &dyn Backend) -> Result<Option<Loaded>, Error> {
    let mut loaded = load_once(backend)?;
    for _ in 1..READ_ATTEMPTS {
        let ahead = loaded.as_ref().is_some_and(|now| {
            now.journal.as_ref().is_some_and(|journal| journal.base > now.snapshot.state.serial)
        });
        if !ahead {
            break;
        }
        loaded = load_once(backend)?;
    }
    Ok(loaded)
}

fn load_once(backend: &dyn Backend) -> Result<Option<Loaded>, Error> {
    // The snapshot first: a writer replaces it before the journal, so the journal is never older than it looks.
    let snapshot_bytes = backend.read(Name::Snapshot)?;
    let journal_bytes = backend.read(Name::Journal)?;
    let Some(snapshot_bytes) = snapshot_bytes else {
        // The first writer puts the snapshot in place, then the journal; it may have done so between the reads.
        if journal_bytes.is_none() || backend.read(Name::Snapshot)?.is_some() {
            return if journal_bytes.is_none() { Ok(None) } else { load_once(backend) };
        }
        let reason = "it is missing, and its journal is there".to_owned();
        let position = Position { line: 1, byte: 0 };
        return Err(Error::Corrupt { file: backend.show(Name::Snapshot), position, reason });
    };
    let snapshot =
        parse_snapshot(&snapshot_bytes).map_err(|error| Error::parse(backend.show(Name::Snapshot), error))?;
    let journal = match &journal_bytes {
        Some(bytes) => {
            Some(parse_journal(bytes).map_err(|error| Error::parse(backend.show(Name::Journal), error))?)
        }
        None => None,
    };
    Ok(Some(Loaded { snapshot, snapshot_bytes, journal, journal_bytes: journal_bytes.unwrap_or_default() }))
}

impl Loaded {
    /// The entries that the snapshot does not have yet.
    pub(crate) fn pending(&self, backend: &dyn Backend) -> Result<&[Entry], Error> {
        let Some(journal) = &self.journal else { return Ok(&[]) };
        let state = &self.snapshot.state;
        if journal.lineage != state.lineage {
            return Err(Error::LineageMismatch {
                what: backend.show(Name::Journal),
                expected: state.lineage.clone(),
                found: journal.lineage.clone(),
            });
        }
        if journal.base == state.serial {
            return Ok(&journal.entries);
        }
        // A crash came between the new snapshot and the new journal, if the snapshot took in this very journal.
        let taken_in = journal.base + 1 == state.serial
            && self.snapshot.folded.as_deref() == Some(journal.tail.sum.as_str());
        if journal.base < state.serial && (taken_in || journal.entries.is_empty()) {
            return Ok(&[]);
        }
        Err(Error::SerialMoved {
            what: backend.show(Name::Journal),
            expected: journal.base,
            found: state.serial,
            hint: "; one of the two files was replaced by hand: put back the one that belongs to the other",
        })
    }

    /// Folds what is pending; intents stay open.
    pub(crate) fn fold(&self, backend: &dyn Backend) -> Result<Fold, Error> {
        let mut fold = Fold::new(self.snapshot.state.clone());
        for (index, entry) in self.pending(backend)?.iter().enumerate() {
            fold.apply(entry).map_err(|reason| {
                let byte = self.journal.as_ref().and_then(|j| j.offsets.get(index)).copied().unwrap_or(0);
                let position = Position { line: index + 2, byte };
                Error::Corrupt { file: backend.show(Name::Journal), position, reason }
            })?;
        }
        Ok(fold)
    }
}

/// A state as it is read without the lock, by `plan` and `drift`. Nothing is ever written.
#[derive(Debug)]
pub struct View {
    /// The state, with everything the journal holds; what is open in it is indeterminate.
    ///
    /// Its serial is the one the next writer will give it, unless a run is unfinished: then what is seen here is
    /// not what any snapshot will hold, and the serial is the former one, so that a plan of it will be refused.
    pub state: State,
    /// Whether there is a state at all; if not, `state` is empty and has no lineage.
    pub exists: bool,
    /// The run that goes on, or was cut off: its name.
    pub unfinished: Option<String>,
    /// Bytes at the journal's end that a crash left of a record.
    pub torn: usize,
    /// Whether snapshot and journal are as a run leaves them; if not, the next writer finishes what a crash cut off.
    pub is_settled: bool,
    /// Makes keyed digests, if the key is here.
    pub digester: Option<Digester>,
    /// Whether the digests in the state were made with that key.
    pub key: KeyFact,
}

impl View {
    /// Reads what is there.
    ///
    /// # Errors
    /// When it cannot be read or does not verify.
    pub fn load(backend: &dyn Backend) -> Result<View, Error> {
        let digester = read_key(backend)?;
        let Some(loaded) = load(backend)? else {
            let state = State::new("");
            return Ok(View {
                state,
                exists: false,
                unfinished: None,
                torn: 0,
                is_settled: true,
                digester,
                key: KeyFact::Same,
            });
        };
        let fold = loaded.fold(backend)?;
        let changed = !loaded.pending(backend)?.is_empty();
        let unfinished = fold.run.clone();
        let mut state = fold.settle();
        if changed && unfinished.is_none() {
            state.serial += 1;
        }
        let key = key_fact(&state, digester.as_ref());
        let torn = loaded.journal.as_ref().map_or(0, |journal| journal.torn);
        let is_settled = loaded.journal.as_ref().is_some_and(|journal| {
            journal.base == loaded.snapshot.state.serial && journal.entries.is_empty() && journal.torn == 0
        });
        Ok(View { state, exists: true, unfinished, torn, is_settled, digester, key })
    }
}

pub(crate) fn read_key(backend: &dyn Backend) -> Result<Option<Digester>, Error> {
    let bytes = backend.read(Name::DigestKey)?.map(zeroize::Zeroizing::new);
    Ok(bytes.and_then(|bytes| Digester::from_bytes(&bytes)))
}

pub(crate) fn key_fact(state: &State, digester: Option<&Digester>) -> KeyFact {
    match (&state.digest_key, digester) {
        (None, _) => KeyFact::Same,
        (Some(made_with), Some(here)) if *made_with == here.fingerprint() => KeyFact::Same,
        (Some(_), Some(_) | None) => KeyFact::Lost,
    }
}
