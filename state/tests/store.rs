//! What the store does when nothing goes wrong, and what it refuses.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coxswain_state::*;
use serde_json::json;
use support::*;
use zeroize::Zeroizing;

fn run(dir: &Path, name: &str, content: &str) {
    let mut store = open(dir).expect("opens");
    store.begin_run(begin("r")).expect("begins");
    store.intent(intent(name, "create")).expect("intent");
    store.outcome(outcome(name, "create", vec![put(name, content)])).expect("outcome");
    store.end_run(json!({"done": 1}), AT).expect("ends");
}

fn local(dir: &Path) -> LocalBackend {
    LocalBackend::new(dir)
}

fn claim(key: &str, claim: Claim) -> Change {
    Change::Claim { key: key.parse().expect("a key"), claim }
}

#[test]
fn a_run_ends_in_a_snapshot_and_the_earlier_one_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    run(dir.path(), "b", "2");
    let view = View::load(&local(dir.path())).expect("reads");
    assert_eq!((view.state.serial, view.state.instances.len(), view.unfinished), (2, 2, None));
    assert_eq!(history(&local(dir.path())).expect("lists"), [0, 1]);
    assert_eq!(read_history(&local(dir.path()), 1).expect("reads").instances.len(), 1);
    assert_eq!(read_history_journal(&local(dir.path()), 1).expect("reads").len(), 4);
    let missing = read_history(&local(dir.path()), 9).expect_err("is not there");
    assert!(matches!(missing, Error::NoSuchSerial { serial: 9, .. }), "{missing}");
}

#[test]
fn files_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join(".coxswain");
    run(&state, "a", "1");
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("history")), 0o700);
    for file in ["state.json", "journal.jsonl", "digest.key", "lock", ".gitignore"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
}

#[test]
fn only_the_last_snapshots_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    for n in 0..KEEP_HISTORY + 5 {
        store.edit("test", vec![put("a", &n.to_string())], AT).expect("edits");
    }
    let serials = history(&local(dir.path())).expect("lists");
    assert_eq!((serials.len(), serials[0]), (KEEP_HISTORY, 5));
}

#[test]
fn a_run_that_was_cut_off_is_folded_by_the_next_writer() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    store.begin_run(begin("cut")).expect("begins");
    store.intent(intent("a", "create")).expect("intent");
    drop(store);
    let store = open(dir.path()).expect("opens");
    assert_eq!(store.recovered(), Some("cut"));
    assert_eq!(store.state().serial, 1);
    let open = &store.state().indeterminate[&address("file.a")];
    assert_eq!((open.verb.as_str(), open.uid.as_str(), open.run.as_str()), ("create", "a", "cut"));
    drop(store);
    assert_eq!(support::open(dir.path()).expect("opens").recovered(), None);
}

#[test]
fn a_plan_fits_its_own_state_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).expect("opens");
    let lineage = store.state().lineage.clone();
    store.check_base("", 0).expect("made where nothing was");
    store.check_base(&lineage, 0).expect("the same");
    assert!(matches!(store.check_base("other", 0), Err(Error::LineageMismatch { .. })));
    drop(store);
    run(dir.path(), "a", "1");
    let store = open(dir.path()).expect("opens");
    assert!(matches!(store.check_base(&lineage, 0), Err(Error::SerialMoved { expected: 0, found: 1, .. })));
    assert!(matches!(store.check_base("", 0), Err(Error::SerialMoved { .. })));
}

#[test]
fn a_lost_key_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    std::fs::remove_file(dir.path().join("digest.key")).expect("is there");
    assert_eq!(View::load(&local(dir.path())).expect("reads").key, KeyFact::Lost);
    let other = Fresh { key: Zeroizing::new([9; KEY_BYTES]), ..fresh() };
    let store = Store::open(Box::new(local(dir.path())), &owner(), other).expect("opens");
    assert_eq!(store.key(), KeyFact::Lost);
    drop(store);
    assert_eq!(open(dir.path()).expect("opens").key(), KeyFact::Same);
}

#[test]
fn a_claim_moves_only_after_proof() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    let key = "validator_key:0xab";
    let a = Claim::held("a");
    store.edit("t", vec![claim(key, a.clone())], AT).expect("first holder");
    store.edit("t", vec![claim(key, Claim::held("b"))], AT).expect_err("two holders");
    let gone = Claim { phase: Phase::ProvedGone, to: Some("b".into()), ..a };
    store.edit("t", vec![claim(key, gone.clone())], AT).expect_err("no evidence");
    let gone = Claim { evidence: Some(json!("stopped")), ..gone };
    store.edit("t", vec![claim(key, gone)], AT).expect("proved");
    store.edit("t", vec![claim(key, Claim::held("c"))], AT).expect_err("not the next holder");
    store.edit("t", vec![Change::Remove { address: address("file.a") }], AT).expect("removes");
    assert_eq!(store.state().claims.len(), 1);
    store.edit("t", vec![claim(key, Claim::held("b"))], AT).expect("moves");
}

#[test]
fn what_does_not_fit_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    store.intent(intent("a", "create")).expect_err("no run");
    store.begin_run(begin("r")).expect("begins");
    store.intent(intent("a", "update")).expect_err("unknown and without a record");
    store.outcome(outcome("a", "create", vec![])).expect_err("no intent");
    let (from, to) = (address("file.x"), address("file.y"));
    store.edit("moved", vec![Change::Move { from, to }], AT).expect_err("nothing to move");
    assert_eq!(
        parse_journal(&std::fs::read(dir.path().join("journal.jsonl")).expect("r")).expect("p").entries.len(),
        1
    );
}

#[test]
fn waiting_keeps_since_when() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    let waiting = |at: &str| Outcome {
        result: StepEnd::Waiting { on: vec!["bob".into()], resume: json!(1) },
        at: at.into(),
        ..outcome("a", "create", vec![])
    };
    store.begin_run(begin("r")).expect("begins");
    for at in ["t1", "t2"] {
        store.intent(intent("a", "create")).expect("intent");
        store.outcome(waiting(at)).expect("outcome");
    }
    let record = &store.state().instances[&address("file.a")];
    assert_eq!((record.status, record.since.as_deref()), (Status::Waiting, Some("t1")));
    assert_eq!((record.waiting_on.as_slice(), &record.handle), (&["bob".to_owned()][..], &Some(json!(1))));
}

#[test]
fn a_damaged_state_is_refused_and_can_be_restored() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    let mut store = open(dir.path()).expect("opens");
    store.edit("t", vec![claim("k:1", Claim::held("a"))], AT).expect("claims");
    drop(store);
    run(dir.path(), "b", "2");
    let path = dir.path().join("state.json");
    let damaged = std::fs::read_to_string(&path).expect("text").replace("/etc/a", "/etc/x");
    std::fs::write(&path, &damaged).expect("writes");
    let text = open(dir.path()).expect_err("is damaged").to_string();
    assert!(text.contains("line") && text.contains("state history"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), damaged, "nothing was changed");

    let restored = restore(&local(dir.path()), &owner(), 1).expect("restores");
    assert!(restored.claims_uncertain);
    assert_eq!((restored.state.instances.len(), restored.state.claims.len()), (1, 1));
    assert!(restored.state.serial > 2);
    assert_eq!(open(dir.path()).expect("opens").state(), &restored.state);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    let old = std::fs::read(dir.path().join("state.json")).expect("reads");
    let mut store = open(dir.path()).expect("opens");
    store.begin_run(begin("r")).expect("begins");
    store.intent(intent("b", "create")).expect("intent");
    let journal = std::fs::read(dir.path().join("journal.jsonl")).expect("reads");
    drop(store);
    run(dir.path(), "c", "1");
    std::fs::write(dir.path().join("journal.jsonl"), &journal).expect("writes");
    assert!(
        matches!(open(dir.path()), Err(Error::SerialMoved { .. })),
        "a journal that was taken in long ago"
    );
    std::fs::write(dir.path().join("state.json"), &old).expect("writes");
    open(dir.path()).expect("its own snapshot");
}

#[test]
fn a_later_format_names_both_versions() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    let path = dir.path().join("state.json");
    let text = std::fs::read_to_string(&path).expect("text").replacen("\"format\":1", "\"format\":7", 1);
    std::fs::write(&path, text).expect("writes");
    let text = open(dir.path()).expect_err("is later").to_string();
    assert!(text.contains("format 7") && text.contains("up to 1"), "{text}");
}

#[test]
fn a_read_only_directory_is_said_and_leaves_the_state_intact() {
    let dir = tempfile::tempdir().expect("a directory");
    run(dir.path(), "a", "1");
    let mut store = open(dir.path()).expect("opens");
    let mode =
        |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).expect("chmod");
    mode(0o500);
    if std::fs::write(dir.path().join("probe"), "").is_ok() {
        println!("skipped: this user writes into read-only directories");
        return mode(0o700);
    }
    let error = store.edit("t", vec![put("b", "2")], AT).expect_err("cannot write");
    mode(0o700);
    assert!(error.to_string().contains("permission denied"), "{error}");
    drop(store);
    assert_eq!(open(dir.path()).expect("opens").state().instances.len(), 2, "the edit was recorded");
}
