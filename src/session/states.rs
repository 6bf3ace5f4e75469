//! The state as the session uses it: read without the lock, written under it; and the commands on it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use coxswain_model::{Address, Diagnostic};
use coxswain_state::{
    Backend, Change, Digester, Entry, Error, Fresh, LocalBackend, Owner, Record, RemoteBackend, RunBegin,
    State, Store, View,
};

use super::files::Files;
use super::{Failure, KnownPlace, Options, Registry};
use crate::apply::Journal;
use crate::config::{self, Config, StatePlace};
use crate::plan::Plan;
use crate::world::World;
use crate::world::real::{Mode, Options as WorldOptions, RealWorld};

/// The directory of the state, below the root directory.
const DIRECTORY: &str = ".coxswain";

/// An earlier state.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// Its serial.
    pub serial: u64,
    /// When it was replaced.
    pub at: String,
    /// How many instances it has.
    pub instances: usize,
}

/// The time, to the second, as everything we write has it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

fn directory(options: &Options) -> PathBuf {
    let base = options.root.join(DIRECTORY);
    match &options.env {
        Some(env) => base.join("env").join(env),
        None => base,
    }
}

/// Where the state is kept, with the line to it.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(PathBuf),
    Remote(RemoteBackend),
}

impl Place {
    fn of(place: &StatePlace, options: &Options) -> Place {
        match place {
            StatePlace::Local => Place::Local(directory(options)),
            StatePlace::Ssh(place) => Place::Remote(super::remote::backend(place, options.env.as_deref())),
        }
    }

    fn backend(&self) -> Box<dyn Backend> {
        match self {
            Place::Local(dir) => Box::new(LocalBackend::new(dir)),
            Place::Remote(backend) => Box::new(backend.clone()),
        }
    }
}

/// Where the configuration says that its state is.
pub(super) fn place(options: &Options, config: &Config) -> KnownPlace {
    let at = config.modules.first().map(|root| &root.state).unwrap_or(&StatePlace::Local);
    KnownPlace(Some(Place::of(at, options)))
}

/// Where the state is. A configuration that does not say it clearly must not be taken for one of the usual place: the
/// commands on the state would work on another state than meant.
fn backend(options: &Options) -> Result<Box<dyn Backend>, Failure> {
    if let Some(place) = &options.place.0 {
        return Ok(place.backend());
    }
    let mut files = Files::default();
    // A state may be looked at where its configuration is not.
    let Ok(root) = files.module(&options.root, "") else {
        return Ok(Place::of(&StatePlace::Local, options).backend());
    };
    let (place, problems) = config::state_place(&root, &Registry);
    match problems.into_iter().find(Diagnostic::is_error) {
        None => Ok(Place::of(&place, options).backend()),
        Some(problem) => {
            let at = problem.labels.first().and_then(|label| files.shown(label.span)).unwrap_or_default();
            Err(Failure::other(
                "finding the state",
                format!("{at}{}", problem.summary),
                "`coxswain validate` shows what is wrong with the configuration",
            ))
        }
    }
}

/// The world of a run.
pub(super) fn world(options: &Options) -> Result<Arc<dyn World>, Failure> {
    if let Some(world) = &options.world.0 {
        return Ok(Arc::clone(world));
    }
    let mode = if options.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
    let root = std::path::absolute(&options.root).map_err(|e| {
        Failure::other("finding the root directory", super::files::reason(&e), "name it with --chdir")
    })?;
    let mut world = WorldOptions::new(mode, root.join(DIRECTORY).join("kept"));
    world.directory = Some(root);
    Ok(Arc::new(RealWorld::new(world)))
}

/// An error with what is behind it.
fn in_full(error: &Error) -> String {
    let mut why = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(deeper) = cause {
        why = format!("{why}: {deeper}");
        cause = deeper.source();
    }
    why
}

fn failure(error: Error) -> Failure {
    let next = match error {
        Error::Busy { .. } => return Failure::Busy(error.to_string()),
        Error::Corrupt { .. } => "`coxswain state history` lists earlier states; nothing was changed",
        _ => "nothing in the state was lost; mend the cause and run the command again",
    };
    Failure::other("using the state", in_full(&error), next)
}

/// What is there. A state that was forgotten when the configuration was told another place is no empty state: a plan
/// would take everything for new.
fn view(options: &Options) -> Result<View, Failure> {
    let backend = backend(options)?;
    let view = View::load(backend.as_ref()).map_err(failure)?;
    if !view.exists {
        none_left_behind(options, backend.as_ref())?;
    }
    Ok(view)
}

/// Where there is no state at its place, there must be none at the usual one either.
fn none_left_behind(options: &Options, backend: &dyn Backend) -> Result<(), Failure> {
    let here = directory(options);
    let left = LocalBackend::new(&here);
    if backend.place() == left.place() || !here.join("state.json").exists() {
        return Ok(());
    }
    Err(Failure::other(
        format!("using the state at {}", backend.place()),
        format!("there is none yet, and there is one at {}", left.place()),
        "copy what is there to the new place, with digest.key, and remove it here; or remove it to begin with nothing",
    ))
}

/// The state and the key of its digests; an empty one where there is none yet.
pub(super) fn load(options: &Options) -> Result<(State, Digester), Failure> {
    let view = view(options)?;
    // Without a key nothing was ever digested; any key will do to compare with nothing.
    let digester = view
        .digester
        .unwrap_or_else(|| Digester::new(zeroize::Zeroizing::new([0; coxswain_state::KEY_BYTES])));
    Ok((view.state, digester))
}

/// Makes the state, if there is none, so that a plan knows the lineage and the key it will be carried out with.
///
/// # Errors
/// When it cannot be made.
pub(super) fn ensure(options: &Options) -> Result<(), Failure> {
    let view = view(options)?;
    if view.exists && view.is_settled && view.digester.is_some() {
        return Ok(());
    }
    match store(options) {
        Ok(_) => Ok(()),
        // Whoever holds the lock is making it, or is at work: the plan is of what can be seen.
        Err(Failure::Busy(_)) if view.exists => Ok(()),
        // A directory that cannot be written is no hindrance to a look; carrying the plan out will say so.
        Err(_) if !view.exists => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn store(options: &Options) -> Result<Store, Failure> {
    let fresh = Fresh::random().map_err(failure)?;
    Store::open(backend(options)?, &owner(), fresh).map_err(failure)
}

fn owner() -> Owner {
    let text = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Only the words before the first flag: a --var may hold a secret.
    let words: Vec<String> = std::env::args().skip(1).take_while(|a| !a.starts_with('-')).collect();
    Owner {
        user: text("USER").or_else(|| text("LOGNAME")).unwrap_or_else(|| "unknown".into()),
        host: hostname.trim().to_owned(),
        pid: std::process::id(),
        command: format!("coxswain {}", words.join(" ")).trim().to_owned(),
        started: now(),
    }
}

/// The state, open for one run.
pub(super) struct Writer {
    store: Mutex<Store>,
    state: State,
    digester: Digester,
}

impl Writer {
    /// Takes the lock and checks that the plan's base is still the state.
    pub(super) fn open(options: &Options, plan: &Plan, begin: RunBegin) -> Result<Writer, Failure> {
        let mut store = store(options)?;
        store.check_base(&plan.lineage, plan.serial).map_err(|e| {
            Failure::other("applying the plan", e.to_string(), "plan again, look at it, and apply that")
        })?;
        let state = store.state().clone();
        let digester = store.digester().clone();
        store.begin_run(begin).map_err(failure)?;
        Ok(Writer { store: Mutex::new(store), state, digester })
    }

    /// The state the run starts from.
    pub(super) fn state(&self) -> &State {
        &self.state
    }
    /// Makes keyed digests.
    pub(super) fn digester(&self) -> &Digester {
        &self.digester
    }
    /// Releases the lock.
    pub(super) fn finish(self) -> Result<(), Failure> {
        drop(self.store);
        Ok(())
    }
}

#[async_trait::async_trait]
impl Journal for Writer {
    fn append(&self, entry: Entry) -> Result<(), String> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match entry {
            Entry::RunBegin(begin) => store.begin_run(begin),
            Entry::Intent(_) | Entry::Outcome(_) => store.stage(&entry),
            Entry::Edit(edit) => store.edit(&edit.why, edit.changes, &edit.at),
            Entry::RunEnd(end) => store.end_run(end.summary, &end.at),
        };
        done.map_err(|e| in_full(&e))
    }
    async fn synced(&self) -> Result<(), String> {
        // The other steps of this turn put their entries beside ours; the first to come back syncs them all.
        tokio::task::yield_now().await;
        self.store.lock().unwrap_or_else(PoisonError::into_inner).sync().map_err(|e| in_full(&e))
    }
    fn now(&self) -> String {
        now()
    }
}

/// The state as it is.
///
/// # Errors
/// When it cannot be read or does not verify.
pub fn read_state(options: &Options) -> Result<State, Failure> {
    Ok(load(options)?.0)
}

fn edit(
    options: &Options,
    why: &str,
    change: impl FnOnce(&State) -> Result<Vec<Change>, Failure>,
) -> Result<(), Failure> {
    // Opening a store makes one where none is; that must not hide one that was left behind.
    view(options)?;
    let mut store = store(options)?;
    let changes = change(store.state())?;
    store.edit(why, changes, &now()).map_err(failure)
}

fn recorded<'s>(state: &'s State, address: &Address) -> Result<&'s Record, Failure> {
    state.instances.get(address).ok_or_else(|| {
        let near = coxswain_model::diagnostic::suggest(
            &address.to_string(),
            state.instances.keys().map(ToString::to_string).collect::<Vec<_>>().iter().map(String::as_str),
        )
        .map(ToOwned::to_owned);
        let next = near.map_or_else(
            || "`coxswain state list` shows what there is".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Failure::other(format!("finding `{address}`"), "it is not in the state", next)
    })
}

/// Renames an instance in the state.
///
/// # Errors
/// When it is not there, or the new name is taken.
pub fn state_move(options: &Options, from: &Address, to: &Address) -> Result<(), Failure> {
    edit(options, "state mv", |state| {
        recorded(state, from)?;
        if from.kind != to.kind {
            return Err(Failure::other(
                format!("moving `{from}` to `{to}`"),
                "they are of different kinds",
                "give a new name of the same kind",
            ));
        }
        if state.instances.contains_key(to) {
            return Err(Failure::other(
                format!("moving `{from}` to `{to}`"),
                format!("`{to}` is in the state already"),
                "choose another name",
            ));
        }
        Ok(vec![Change::Move { from: from.clone(), to: to.clone() }])
    })
}

/// Drops an instance from the state; the object stays as it is, and so do its claims.
///
/// # Errors
/// When it is not there, or is a host with objects on it.
pub fn state_remove(options: &Options, address: &Address) -> Result<(), Failure> {
    edit(options, "state rm", |state| {
        let record = recorded(state, address)?;
        let on_it: Vec<String> = state.on_endpoint(&record.uid).map(|(a, _)| a.to_string()).take(5).collect();
        if !on_it.is_empty() {
            return Err(Failure::other(
                format!("dropping `{address}`"),
                format!("{} are on it", on_it.join(", ")),
                "drop these first",
            ));
        }
        Ok(vec![Change::Remove { address: address.clone() }])
    })
}

/// Earlier states, the latest first.
///
/// # Errors
/// When they cannot be read.
pub fn state_history(options: &Options) -> Result<Vec<HistoryEntry>, Failure> {
    let backend = backend(options)?;
    // One that does not verify is why its history is asked for.
    if View::load(backend.as_ref()).is_ok_and(|view| !view.exists) {
        none_left_behind(options, backend.as_ref())?;
    }
    let mut entries = Vec::new();
    for serial in coxswain_state::history(backend.as_ref()).map_err(failure)?.into_iter().rev() {
        let instances =
            coxswain_state::read_history(backend.as_ref(), serial).map_or(0, |s| s.instances.len());
        let journal = coxswain_state::read_history_journal(backend.as_ref(), serial).unwrap_or_default();
        let at = journal.iter().rev().find_map(|entry| match entry {
            Entry::RunEnd(end) => Some(end.at.clone()),
            Entry::Edit(edit) => Some(edit.at.clone()),
            Entry::RunBegin(begin) => Some(begin.at.clone()),
            Entry::Intent(_) | Entry::Outcome(_) => None,
        });
        entries.push(HistoryEntry { serial, at: at.unwrap_or_default(), instances });
    }
    Ok(entries)
}

/// Writes a file whole or not at all: temporary name, 0600, fsync, rename, fsync of the directory.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().ok_or_else(|| std::io::Error::other("it names no file"))?;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = dir.join(format!(".{}.coxswain-{}", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        std::fs::File::open(dir)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
