//! Two runs of three steps each, and what must be true of a state after they were stopped anywhere.

use std::collections::BTreeMap;

use coxswain_state::*;

use super::*;

/// What the store acknowledged before it stopped.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    pub(crate) serial: u64,
    /// Contents by name; outcomes that were acknowledged.
    pub(crate) done: BTreeMap<String, String>,
    /// Intents that were acknowledged, without an outcome.
    pub(crate) open: Vec<String>,
    /// The outcome that was being written.
    pub(crate) maybe: Option<(String, String)>,
}

/// Two runs of three steps each, until the backend stops.
pub(crate) fn work(on: Box<dyn Backend>, seen: &mut Acknowledged) -> Result<(), Error> {
    let mut store = Store::open(on, &owner(), fresh())?;
    for run in ["one", "two"] {
        store.begin_run(begin(run))?;
        for name in ["a", "b", "c"] {
            let verb = if run == "one" { "create" } else { "update" };
            store.intent(intent(name, verb))?;
            seen.open.push(name.to_owned());
            seen.maybe = Some((name.to_owned(), run.to_owned()));
            store.outcome(outcome(name, verb, vec![put(name, run)]))?;
            seen.open.pop();
            seen.done.insert(name.to_owned(), run.to_owned());
            seen.maybe = None;
        }
        store.end_run(serde_json::json!({}), AT)?;
        seen.serial = store.state().serial;
    }
    Ok(())
}

pub(crate) fn content(record: &Record) -> String {
    record.attributes["content"].as_str().expect("text").to_owned()
}

/// Nothing that was acknowledged is lost.
#[track_caller]
pub(crate) fn check(state: &State, seen: &Acknowledged, what: &str) {
    assert!(state.serial >= seen.serial, "{what}: serial {} after {}", state.serial, seen.serial);
    for (name, run) in &seen.done {
        let record = state.instances.get(&address(&format!("file.{name}")));
        let record = record.unwrap_or_else(|| panic!("{what}: {name} is lost"));
        let maybe = seen.maybe.as_ref().filter(|(of, _)| of == name).map(|(_, run)| run);
        assert!(content(record) == *run || Some(&content(record)) == maybe, "{what}: {name} is {record:?}");
    }
    for name in &seen.open {
        let at = address(&format!("file.{name}"));
        let record = state.instances.get(&at).unwrap_or_else(|| panic!("{what}: intent of {name} is lost"));
        let settled = seen.maybe.as_ref().is_some_and(|(_, run)| content(record) == *run);
        let open = record.status == Status::Indeterminate && state.indeterminate.contains_key(&at);
        assert!(settled || open, "{what}: {name} is {record:?}");
    }
}
