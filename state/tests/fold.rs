//! What entries make of a state.

mod support;

use coxswain_state::*;
use proptest::prelude::*;
use serde_json::json;
use support::*;

fn entries(steps: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    std::iter::once(Entry::RunBegin(begin("r"))).chain(steps).collect()
}

fn meant(name: &str, verb: &str) -> Entry {
    Entry::Intent(Box::new(intent(name, verb)))
}

fn ended(name: &str, verb: &str, result: StepEnd, changes: Vec<Change>) -> Entry {
    Entry::Outcome(Outcome { result, ..outcome(name, verb, changes) })
}

#[track_caller]
fn check(steps: impl IntoIterator<Item = Entry>, expected: &[(&str, Status, bool)]) -> State {
    let mut state = State::new("l");
    state.instances.insert(address("file.old"), record("old", "1"));
    fold(&mut state, &entries(steps)).expect("fits");
    let got: Vec<_> = state
        .instances
        .iter()
        .map(|(at, record)| (at.name.to_string(), record.status, state.indeterminate.contains_key(at)))
        .collect();
    let expected: Vec<_> =
        expected.iter().map(|(n, status, open)| ((*n).to_owned(), *status, *open)).collect();
    assert_eq!(got, expected);
    state
}

const OLD: (&str, Status, bool) = ("old", Status::Ok, false);

#[test]
fn done_puts_what_it_changed() {
    let done = ended("a", "create", StepEnd::Done, vec![put("a", "x")]);
    check([meant("a", "create"), done], &[("a", Status::Ok, false), OLD]);
}

#[test]
fn an_open_creation_is_kept_with_its_record() {
    let state = check([meant("a", "create")], &[("a", Status::Indeterminate, true), OLD]);
    assert_eq!(state.instances[&address("file.a")].identity, "/etc/a");
}

#[test]
fn an_open_update_keeps_what_was_last_applied() {
    let state = check([meant("old", "update")], &[("old", Status::Indeterminate, true)]);
    assert_eq!(state.instances[&address("file.old")].attributes["content"], "1");
}

#[test]
fn an_open_removal_keeps_the_record() {
    check([meant("old", "delete")], &[("old", Status::Indeterminate, true)]);
}

#[test]
fn refused_leaves_no_trace() {
    let refused = ended("a", "create", StepEnd::Refused { message: "m".into() }, vec![]);
    check([meant("a", "create"), refused], &[OLD]);
}

#[test]
fn failed_without_a_word_about_a_new_object_is_indeterminate() {
    let failed = ended("a", "create", StepEnd::Failed { message: "m".into() }, vec![]);
    check([meant("a", "create"), failed], &[("a", Status::Indeterminate, true), OLD]);
}

#[test]
fn failed_and_seen_to_be_absent_leaves_no_trace() {
    let gone = vec![Change::Remove { address: address("file.a") }];
    let failed = ended("a", "create", StepEnd::Failed { message: "m".into() }, gone);
    check([meant("a", "create"), failed], &[OLD]);
}

#[test]
fn running_has_a_handle_even_without_changes() {
    let running = ended("a", "create", StepEnd::Running { handle: json!({"unit": "u"}) }, vec![]);
    let state = check([meant("a", "create"), running], &[("a", Status::Running, false), OLD]);
    assert_eq!(state.instances[&address("file.a")].handle, Some(json!({"unit": "u"})));
}

#[test]
fn a_later_put_settles_what_was_open() {
    let next = Entry::RunBegin(begin("r2"));
    let steps = [
        meant("old", "update"),
        next,
        meant("old", "again"),
        ended("old", "again", StepEnd::Done, vec![put("old", "2")]),
    ];
    check(steps, &[OLD]);
}

#[test]
fn a_move_takes_along_what_is_open() {
    let (from, to) = (address("file.old"), address("file.new"));
    let edit = Edit { why: "moved".into(), changes: vec![Change::Move { from, to }], at: AT.into() };
    check([meant("old", "update"), Entry::Edit(edit)], &[("new", Status::Indeterminate, true)]);
}

#[test]
fn moves_in_a_row_may_swap() {
    let step = |from: &str, to: &str| Change::Move { from: address(from), to: address(to) };
    let changes =
        vec![put("a", "x"), step("file.a", "file.t"), step("file.old", "file.a"), step("file.t", "file.old")];
    let state = check(
        [Entry::Edit(Edit { why: "moved".into(), changes, at: AT.into() })],
        &[("a", Status::Ok, false), ("old", Status::Ok, false)],
    );
    assert_eq!(state.instances[&address("file.a")].uid, "old");
}

#[test]
fn an_entry_that_does_not_fit_is_named_and_what_is_before_it_holds() {
    let mut state = State::new("l");
    let steps = entries([
        meant("a", "create"),
        ended("a", "create", StepEnd::Done, vec![put("a", "x")]),
        ended("a", "create", StepEnd::Done, vec![]),
    ]);
    let error = fold(&mut state, &steps).expect_err("has no intent");
    assert_eq!(error.index, 3);
    assert_eq!((state.lineage.as_str(), state.instances.len()), ("l", 1));
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let at = |name: &str| address(&format!("file.{name}"));
    prop_oneof![
        (name(), "[xyz]").prop_map(|(name, content)| put(name, &content)),
        name().prop_map(move |name| Change::Remove { address: at(name) }),
        (name(), name()).prop_map(move |(from, to)| Change::Move { from: at(from), to: at(to) }),
        (name(), name()).prop_map(|(key, holder)| Change::Claim {
            key: ClaimKey::new("k", key),
            claim: Claim::held(holder)
        }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let verb = || prop::sample::select(vec!["create", "delete"]);
    prop_oneof![
        (name(), verb()).prop_map(|(name, verb)| meant(name, verb)),
        (name(), verb(), prop::collection::vec(change(), 0..3)).prop_map(|(name, verb, changes)| ended(
            name,
            verb,
            StepEnd::Done,
            changes
        )),
        Just(Entry::RunEnd(RunEnd { summary: json!(null), at: AT.into() })),
        Just(Entry::RunBegin(begin("r"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folding_keeps_its_promises(all in prop::collection::vec(entry(), 0..30)) {
        let mut fitting: Vec<Entry> = Vec::new();
        for entry in all {
            fitting.push(entry);
            if fold(&mut State::new("l"), &fitting).is_err() {
                fitting.pop();
            }
        }
        let mut holders = std::collections::BTreeMap::new();
        for n in 0..=fitting.len() {
            let mut state = State::new("l");
            prop_assert!(fold(&mut state, &fitting[..n]).is_ok(), "a prefix of what fits fits");
            for (at, record) in &state.instances {
                let open = state.indeterminate.contains_key(at);
                prop_assert_eq!(open, record.status == Status::Indeterminate);
            }
            prop_assert!(state.indeterminate.keys().all(|at| state.instances.contains_key(at)));
            for (key, holder) in &holders {
                prop_assert_eq!(&state.claims[key].holder, holder, "no claim is lost or taken without proof");
            }
            holders = state.claims.iter().map(|(key, claim)| (key.clone(), claim.holder.clone())).collect();
        }
    }
}
