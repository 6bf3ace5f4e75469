//! The writer: lock, journal, compaction.

use zeroize::Zeroizing;

use crate::backend::{Backend, Guard, Name};
use crate::digest::{Digester, KEY_BYTES, KeyFact};
use crate::entry::{Change, Edit, Entry, Intent, Outcome, RunBegin, RunEnd};
use crate::error::{Error, Owner};
use crate::fold::Fold;
use crate::journal::{self, Tail};
use crate::load::{self, Loaded};
use crate::model::State;
use crate::snapshot::Snapshot;

/// How many earlier snapshots are kept.
pub const KEEP_HISTORY: usize = 50;

/// What is not to be committed to git: the key, the lock, what is temporary or can be had from git itself.
const IGNORE: &[u8] = b"digest.key\nlock\n*.tmp\nhistory/\n";

/// What a new state is made with. The caller brings it, so that tests know it.
pub struct Fresh {
    /// The lineage: a UUID.
    pub lineage: String,
    /// The key of keyed digests.
    pub key: Zeroizing<[u8; KEY_BYTES]>,
}

impl Fresh {
    /// From the system's generator.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> Result<Fresh, Error> {
        use rand::TryRng as _;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let failed = |error: rand::rngs::SysError| Error::Io {
            path: "random bytes".to_owned(),
            op: "read",
            source: std::io::Error::other(error.to_string()),
        };
        rand::rngs::SysRng.try_fill_bytes(key.as_mut_slice()).map_err(failed)?;
        Ok(Fresh { lineage: uuid::Uuid::new_v4().to_string(), key })
    }
}

/// A state that is open for writing. It holds the lock until it is dropped.
pub struct Store {
    backend: Box<dyn Backend>,
    fold: Fold,
    digester: Digester,
    key: KeyFact,
    snapshot_bytes: Vec<u8>,
    /// `None` when a compaction failed half-way: then only opening the state again tells what is there.
    tail: Option<Tail>,
    /// Records that are staged and not yet written.
    staged: Vec<u8>,
    recovered: Option<String>,
    _guard: Guard,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("place", &self.backend.place()).finish_non_exhaustive()
    }
}

impl Store {
    /// Takes the lock, reads what is there, and folds what a run that was cut off has left; where nothing is, makes
    /// an empty state.
    ///
    /// # Errors
    /// [`Error::Busy`] when another holds the lock, [`Error::Corrupt`] when something does not verify; then nothing
    /// was changed.
    pub fn open(backend: Box<dyn Backend>, owner: &Owner, fresh: Fresh) -> Result<Store, Error> {
        let guard = backend.lock(owner)?;
        let loaded = load::load(backend.as_ref())?;
        let fold = match &loaded {
            Some(loaded) => loaded.fold(backend.as_ref())?,
            None => Fold::new(State::new(fresh.lineage)),
        };
        let digester = ensure_key(backend.as_ref(), fresh.key)?;
        let key = load::key_fact(&fold.state, Some(&digester));
        let mut store = Store {
            backend,
            fold,
            digester,
            key,
            snapshot_bytes: Vec::new(),
            tail: None,
            staged: Vec::new(),
            recovered: None,
            _guard: guard,
        };
        match loaded {
            Some(loaded) => store.take_up(loaded)?,
            None => store.begin_empty()?,
        }
        Ok(store)
    }

    fn begin_empty(&mut self) -> Result<(), Error> {
        self.backend.write_atomic(Name::Ignore, IGNORE)?;
        self.fold.state.digest_key = Some(self.digester.fingerprint());
        self.write_snapshot(None)?;
        self.reset_journal()
    }

    fn take_up(&mut self, loaded: Loaded) -> Result<(), Error> {
        self.snapshot_bytes = loaded.snapshot_bytes;
        self.recovered.clone_from(&self.fold.run);
        let base = self.fold.state.serial;
        let is_current = |journal: &journal::Journal| journal.base == base;
        match loaded.journal.filter(is_current) {
            Some(journal) => {
                let pending = !journal.entries.is_empty();
                self.tail = Some(journal.tail);
                let made_with = Some(self.digester.fingerprint());
                if pending || self.fold.state.digest_key != made_with {
                    self.compact(&loaded.journal_bytes)?;
                }
                Ok(())
            }
            None => self.reset_journal(),
        }
    }

    /// The state as known now. Steps under way do not show in it.
    pub fn state(&self) -> &State {
        &self.fold.state
    }

    /// Makes keyed digests.
    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    /// Whether the digests in the state were made with that key, when the state was opened.
    pub fn key(&self) -> KeyFact {
        self.key
    }

    /// The run that was cut off and whose journal was folded when the state was opened.
    pub fn recovered(&self) -> Option<&str> {
        self.recovered.as_deref()
    }

    /// Checks that the state is still the one a plan was made from. A plan made where no state was (no lineage,
    /// serial 0) fits a state that has not been written to yet.
    ///
    /// # Errors
    /// [`Error::LineageMismatch`] or [`Error::SerialMoved`].
    pub fn check_base(&self, lineage: &str, serial: u64) -> Result<(), Error> {
        let state = &self.fold.state;
        let was_nothing = lineage.is_empty() && serial == 0;
        if !was_nothing && lineage != state.lineage {
            return Err(Error::LineageMismatch {
                what: "the plan".to_owned(),
                expected: state.lineage.clone(),
                found: lineage.to_owned(),
            });
        }
        if serial != state.serial {
            return Err(Error::SerialMoved {
                what: "the plan".to_owned(),
                expected: serial,
                found: state.serial,
                hint: "",
            });
        }
        Ok(())
    }

    /// Records that a run begins.
    ///
    /// # Errors
    /// When it cannot be recorded; nothing must be done then.
    pub fn begin_run(&mut self, begin: RunBegin) -> Result<(), Error> {
        self.append(&Entry::RunBegin(begin))
    }

    /// Records that a step is about to begin; it is durable when this returns.
    ///
    /// # Errors
    /// When it is not; the step must not begin then.
    pub fn intent(&mut self, intent: Intent) -> Result<(), Error> {
        self.append(&Entry::Intent(Box::new(intent)))
    }

    /// Records how a step ended; it is durable when this returns.
    ///
    /// # Errors
    /// When it is not. The same outcome may be tried again; without one the instance becomes indeterminate.
    pub fn outcome(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.append(&Entry::Outcome(outcome))
    }

    /// Changes the state without a step. Outside a run, a new snapshot is written at once.
    ///
    /// # Errors
    /// When it cannot be recorded, or the changes do not fit the state.
    pub fn edit(&mut self, why: &str, changes: Vec<Change>, at: &str) -> Result<(), Error> {
        self.append(&Entry::Edit(Edit { why: why.to_owned(), changes, at: at.to_owned() }))?;
        if self.fold.run.is_none() { self.compact_own() } else { Ok(()) }
    }

    /// Records that the run ended, and writes the next snapshot. Steps without an outcome become indeterminate.
    ///
    /// # Errors
    /// When either cannot be done. Nothing recorded is lost: the next one who opens the state writes the snapshot.
    pub fn end_run(&mut self, summary: serde_json::Value, at: &str) -> Result<(), Error> {
        self.append(&Entry::RunEnd(RunEnd { summary, at: at.to_owned() }))?;
        self.compact_own()
    }

    /// Takes an entry for the next [`Store::sync`]. It shows in the state at once, and is durable only then: the step
    /// of an intent must not begin before, and an outcome must not be told before.
    ///
    /// # Errors
    /// When the entry does not fit; nothing was taken then.
    pub fn stage(&mut self, entry: &Entry) -> Result<(), Error> {
        let (line, next) = self.line(entry)?;
        self.staged.extend(line);
        self.tail = Some(next);
        self.fold.apply(entry).map_err(|reason| Error::Misfit { what: describe(entry), reason })
    }

    /// Makes everything staged durable: one write and one sync. A crash leaves a beginning of it.
    ///
    /// # Errors
    /// When it may not be durable. The call may be tried again.
    pub fn sync(&mut self) -> Result<(), Error> {
        let Some(tail) = self.tail.as_ref().filter(|_| !self.staged.is_empty()) else { return Ok(()) };
        self.backend.append_sync(Name::Journal, tail.len - self.staged.len() as u64, &self.staged)?;
        self.staged.clear();
        Ok(())
    }

    fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        self.sync()?;
        let (line, next) = self.line(entry)?;
        self.backend.append_sync(Name::Journal, next.len - line.len() as u64, &line)?;
        self.tail = Some(next);
        self.fold.apply(entry).map_err(|reason| Error::Misfit { what: describe(entry), reason })
    }

    /// The record of an entry that fits, and the journal's end after it.
    fn line(&self, entry: &Entry) -> Result<(Vec<u8>, Tail), Error> {
        let misfit = |reason| Error::Misfit { what: describe(entry), reason };
        self.fold.check(entry).map_err(misfit)?;
        match &self.tail {
            Some(tail) => tail.next(entry).map_err(misfit),
            None => Err(misfit("a snapshot could not be written before; open the state again".to_owned())),
        }
    }

    fn compact_own(&mut self) -> Result<(), Error> {
        let journal = self.backend.read(Name::Journal)?.unwrap_or_default();
        self.compact(&journal)
    }

    /// The earlier snapshot into the history, the new one in its place, then a new journal. A crash between any
    /// two of these leaves something that is read as before or as after.
    fn compact(&mut self, journal: &[u8]) -> Result<(), Error> {
        let folded = self.tail.take().map(|tail| tail.sum);
        let base = self.fold.state.serial;
        self.backend.write_atomic(Name::Past(base), &self.snapshot_bytes)?;
        self.backend.write_atomic(Name::PastJournal(base), journal)?;
        let settled = std::mem::replace(&mut self.fold, Fold::new(State::new(""))).settle();
        self.fold = Fold::new(settled);
        self.fold.state.serial = base + 1;
        self.fold.state.digest_key = Some(self.digester.fingerprint());
        self.write_snapshot(folded)?;
        self.reset_journal()?;
        // Best effort: an old snapshot too many harms nothing, and the next compaction tries again.
        let _ = prune(self.backend.as_ref());
        Ok(())
    }

    fn write_snapshot(&mut self, folded: Option<String>) -> Result<(), Error> {
        let bytes = Snapshot { state: self.fold.state.clone(), folded }.to_bytes();
        self.backend.write_atomic(Name::Snapshot, &bytes)?;
        self.snapshot_bytes = bytes;
        Ok(())
    }

    fn reset_journal(&mut self) -> Result<(), Error> {
        let (bytes, tail) = journal::header(&self.fold.state.lineage, self.fold.state.serial);
        self.backend.write_atomic(Name::Journal, &bytes)?;
        self.tail = Some(tail);
        Ok(())
    }
}

/// The key must be durable before anything is digested with it.
fn ensure_key(backend: &dyn Backend, key: Zeroizing<[u8; KEY_BYTES]>) -> Result<Digester, Error> {
    if let Some(digester) = load::read_key(backend)? {
        return Ok(digester);
    }
    backend.write_atomic(Name::DigestKey, key.as_slice())?;
    Ok(Digester::new(key))
}

fn prune(backend: &dyn Backend) -> Result<(), Error> {
    let names = backend.list_past()?;
    let snapshots = names.iter().filter_map(|name| snapshot_serial(*name));
    let Some(oldest) = snapshots.rev().nth(KEEP_HISTORY - 1) else { return Ok(()) };
    for name in names {
        let is_old = match name {
            Name::Past(serial) | Name::PastJournal(serial) => serial < oldest,
            Name::DamagedSnapshot(_) | Name::DamagedJournal(_) => false,
            Name::Snapshot | Name::Journal | Name::DigestKey | Name::Ignore => false,
        };
        if is_old {
            backend.remove(name)?;
        }
    }
    Ok(())
}

pub(crate) fn snapshot_serial(name: Name) -> Option<u64> {
    match name {
        Name::Past(serial) => Some(serial),
        Name::PastJournal(_) | Name::DamagedSnapshot(_) | Name::DamagedJournal(_) => None,
        Name::Snapshot | Name::Journal | Name::DigestKey | Name::Ignore => None,
    }
}

fn describe(entry: &Entry) -> String {
    match entry {
        Entry::RunBegin(begin) => format!("the beginning of run {}", begin.run),
        Entry::Intent(intent) => format!("the intent of {}", intent.step),
        Entry::Outcome(outcome) => format!("the outcome of {}", outcome.step),
        Entry::Edit(edit) => format!("the change by {}", edit.why),
        Entry::RunEnd(_) => "the end of the run".to_owned(),
    }
}
