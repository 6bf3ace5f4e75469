//! Loss of power, and a full disk, at every operation of the disk.

mod support;

use std::collections::BTreeSet;

use coxswain_state::*;
use support::disk::{Loss, MemoryDisk};
use support::work::{Acknowledged, check, content};
use support::*;

fn on(disk: &MemoryDisk) -> Box<dyn Backend> {
    Box::new(LocalBackend::with_disk("/s", disk.clone()))
}

fn work(disk: &MemoryDisk, seen: &mut Acknowledged) -> Result<(), Error> {
    support::work::work(on(disk), seen)
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let whole = MemoryDisk::new();
    work(&whole, &mut Acknowledged::default()).expect("the disk is good");
    let operations = whole.operations();
    assert!(operations > 60, "{operations}");
    for n in 1..=operations {
        for loss in [Loss::Unsynced, Loss::Nothing, Loss::TornWrite, Loss::Contents] {
            let disk = MemoryDisk::new();
            disk.stop_at(n);
            let mut seen = Acknowledged::default();
            work(&disk, &mut seen).expect_err("it stops");
            let disk = disk.after(loss);
            let what = format!("operation {n}, {loss:?}");
            let view = View::load(on(&disk).as_ref()).unwrap_or_else(|e| panic!("{what}: {e}"));
            if view.exists || !seen.done.is_empty() {
                check(&view.state, &seen, &what);
            }
            let store = Store::open(on(&disk), &owner(), fresh()).unwrap_or_else(|e| panic!("{what}: {e}"));
            check(store.state(), &seen, &what);
            assert!(view.state.instances == store.state().instances, "{what}: a reader saw something else");
            drop(store);
            work(&disk, &mut seen).unwrap_or_else(|e| panic!("{what}: does not go on: {e}"));
        }
    }
}

/// Steps side by side: their intents with one sync, then their outcomes with one sync.
fn work_together(disk: &MemoryDisk, told: &mut Vec<String>) -> Result<(), Error> {
    let mut store = Store::open(on(disk), &owner(), fresh())?;
    store.begin_run(begin("one"))?;
    for name in ["a", "b", "c"] {
        store.stage(&Entry::Intent(Box::new(intent(name, "create"))))?;
    }
    store.sync()?;
    told.extend(["a", "b", "c"].map(|name| format!("intent of {name}")));
    for name in ["a", "b", "c"] {
        store.stage(&Entry::Outcome(outcome(name, "create", vec![put(name, "one")])))?;
    }
    store.sync()?;
    told.extend(["a", "b", "c"].map(|name| format!("outcome of {name}")));
    store.end_run(serde_json::json!({}), AT)
}

#[test]
fn a_crash_leaves_a_beginning_of_what_was_staged_and_all_that_was_synced() {
    let whole = MemoryDisk::new();
    work_together(&whole, &mut Vec::new()).expect("the disk is good");
    let mut parts = BTreeSet::new();
    for n in 1..=whole.operations() {
        for loss in [Loss::Unsynced, Loss::Nothing, Loss::TornWrite, Loss::Contents] {
            let disk = MemoryDisk::new();
            disk.stop_at(n);
            let mut told = Vec::new();
            work_together(&disk, &mut told).expect_err("it stops");
            let disk = disk.after(loss);
            let what = format!("operation {n}, {loss:?}");
            let store = Store::open(on(&disk), &owner(), fresh()).unwrap_or_else(|e| panic!("{what}: {e}"));
            let mut found = Vec::new();
            for kind in ["intent", "outcome"] {
                for name in ["a", "b", "c"] {
                    let record = store.state().instances.get(&address(&format!("file.{name}")));
                    let done = record.is_some_and(|r| content(r) == "one");
                    if record.is_some() && (kind == "intent" || done) {
                        found.push(format!("{kind} of {name}"));
                    }
                }
            }
            assert!(found.starts_with(&told), "{what}: {found:?} after {told:?}");
            let order: Vec<String> = ["intent", "outcome"]
                .iter()
                .flat_map(|kind| ["a", "b", "c"].map(|name| format!("{kind} of {name}")))
                .collect();
            assert!(order.starts_with(&found), "{what}: {found:?} is no beginning");
            parts.insert(found.len());
        }
    }
    assert!(parts.len() > 3, "torn writes leave parts of what was staged: {parts:?}");
}

#[test]
fn a_second_stop_while_recovering_loses_nothing() {
    for first in [20, 27, 35, 43] {
        let disk = MemoryDisk::new();
        disk.stop_at(first);
        let mut seen = Acknowledged::default();
        work(&disk, &mut seen).expect_err("it stops");
        let disk = disk.after(Loss::TornWrite);
        for n in 1..20 {
            let disk = disk.after(Loss::Nothing);
            disk.stop_at(n);
            let _ = Store::open(on(&disk), &owner(), fresh());
            for loss in [Loss::Unsynced, Loss::Nothing, Loss::TornWrite, Loss::Contents] {
                let what = format!("operations {first} and {n}, {loss:?}");
                let disk = disk.after(loss);
                let store =
                    Store::open(on(&disk), &owner(), fresh()).unwrap_or_else(|e| panic!("{what}: {e}"));
                check(store.state(), &seen, &what);
            }
        }
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_the_state_intact() {
    let whole = MemoryDisk::new();
    work(&whole, &mut Acknowledged::default()).expect("the disk is good");
    for n in 1..=whole.operations() {
        let disk = MemoryDisk::new();
        disk.full_at(n);
        let mut seen = Acknowledged::default();
        match work(&disk, &mut seen) {
            Err(error) => assert!(error.to_string().contains("the disk is full"), "{n}: {error}"),
            Ok(()) => continue,
        }
        disk.heal();
        let store = Store::open(on(&disk), &owner(), fresh()).unwrap_or_else(|e| panic!("{n}: {e}"));
        check(store.state(), &seen, &format!("full at {n}"));
    }
}

#[test]
fn after_room_was_made_the_same_run_goes_on() {
    let disk = MemoryDisk::new();
    let mut store = Store::open(on(&disk), &owner(), fresh()).expect("opens");
    store.begin_run(begin("r")).expect("begins");
    store.intent(intent("a", "create")).expect("intent");
    disk.full_at(1);
    store.outcome(outcome("a", "create", vec![put("a", "x")])).expect_err("the disk is full");
    store
        .stage(&Entry::Outcome(outcome("a", "create", vec![put("a", "x")])))
        .expect("nothing is written yet");
    store.sync().expect_err("the disk is still full");
    disk.heal();
    store.sync().expect("is tried again");
    let view = View::load(on(&disk).as_ref()).expect("reads");
    assert_eq!(view.state.instances[&address("file.a")].status, Status::Ok);
    assert_eq!(view.torn, 0);
}

#[test]
fn a_disk_that_may_not_be_written_is_said_and_leaves_the_state_intact() {
    use std::io::ErrorKind as K;
    for (kind, word) in [(K::ReadOnlyFilesystem, "read-only"), (K::PermissionDenied, "permission denied")] {
        let disk = MemoryDisk::new();
        work(&disk, &mut Acknowledged::default()).expect("the disk is good");
        let before = View::load(on(&disk).as_ref()).expect("reads").state;
        let mut store = Store::open(on(&disk), &owner(), fresh()).expect("opens");
        disk.refuse(kind);
        let error = store.begin_run(begin("three")).expect_err("cannot write");
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("journal.jsonl"), "{error}");
        assert_eq!(View::load(on(&disk).as_ref()).expect("reads").state, before);
    }
}
