//! The decisions of a run, and whole runs with an engine that follows a script.

use super::*;
use crate::apply::StepResult;
use crate::cli::render::plan::tests::{add, address, empty, instance, small};
use crate::cli::terminal::Terminal;
use crate::plan::Deferred;
use crate::plan::model::{Unreadable, Waiting};
use crate::session::GivenWorld;
use crate::session::Selection;

fn request() -> PlanRequest {
    PlanRequest { mode: Mode::Apply, selection: Selection::default(), allow_unreachable: false }
}

fn deferred(after: DeferredAfter) -> Deferred {
    Deferred { address: address("file.d"), reason: "r".into(), after }
}

fn done() -> Summary {
    Summary { done: vec!["a#x".into()], ..Summary::default() }
}

#[test]
fn plan_exits_by_precedence() {
    let mut plan = empty();
    assert_eq!(plan_exit(&plan, &request()), Exit::Done);
    plan.deferred.push(deferred(DeferredAfter::NextRound));
    assert_eq!(plan_exit(&plan, &request()), Exit::Pending);
    let mut waiting = instance("file.w", None, Action::NoOp);
    waiting.waiting = Some(Waiting { on: vec!["b".into()], since: None });
    plan.instances.push(waiting);
    assert_eq!(plan_exit(&plan, &request()), Exit::Waiting);
    plan.unreadable.push(Unreadable { endpoint: "host.b".into(), reason: "x".into(), instances: vec![] });
    assert_eq!(plan_exit(&plan, &request()), Exit::Error);
    assert_eq!(plan_exit(&plan, &PlanRequest { allow_unreachable: true, ..request() }), Exit::Waiting);
}

#[test]
fn an_allowed_dead_host_alone_is_nothing_to_do() {
    let mut plan = empty();
    plan.unreadable.push(Unreadable { endpoint: "host.b".into(), reason: "x".into(), instances: vec![] });
    assert_eq!(plan_exit(&plan, &PlanRequest { allow_unreachable: true, ..request() }), Exit::Done);
}

#[test]
fn run_exits_by_precedence() {
    let mut plan = small();
    assert_eq!(run_exit(&plan, &done()), Exit::Done);
    plan.deferred.push(deferred(DeferredAfter::NextRound));
    assert_eq!(run_exit(&plan, &done()), Exit::Pending);
    let waiting = Summary { waiting: vec![("b#x".into(), vec!["c".into()])], ..done() };
    assert_eq!(run_exit(&plan, &waiting), Exit::Waiting);
    let failed = Summary { failed: vec![("c#x".into(), "no".into())], ..waiting };
    assert_eq!(run_exit(&plan, &failed), Exit::Partly);
}

#[test]
fn another_round_needs_hope_and_movement() {
    let mut plan = small();
    assert!(!goes_on(&plan, &done()));
    plan.deferred.push(deferred(DeferredAfter::NextRound));
    assert!(goes_on(&plan, &done()));
    assert!(!goes_on(&plan, &Summary::default()));
    assert!(!goes_on(&plan, &Summary { failed: vec![("c#x".into(), "no".into())], ..done() }));
    assert!(!goes_on(&plan, &Summary { interrupted: true, ..done() }));
    plan.deferred = vec![deferred(DeferredAfter::Others)];
    assert!(!goes_on(&plan, &done()));
}

#[test]
fn destructive_steps_of_later_rounds_ask_again() {
    let harmless = small();
    let mut danger = empty();
    add(&mut danger, instance("file.x", None, Action::Delete), StepClass::InPlace);
    let mut move_key = empty();
    add(&mut move_key, instance("file.x", None, Action::Update), StepClass::Danger);
    assert!(must_ask(&harmless, None, 1));
    assert!(!must_ask(&danger, Some(Yes::Plan), 1));
    assert!(!must_ask(&harmless, Some(Yes::Plan), 2));
    assert!(must_ask(&danger, Some(Yes::Plan), 2));
    assert!(must_ask(&move_key, Some(Yes::Plan), 2));
    assert!(!must_ask(&danger, Some(Yes::All), 2));
}

#[test]
fn moves_and_outputs_are_work() {
    let mut plan = empty();
    assert!(!has_work(&plan));
    let mut moved = instance("file.b", None, Action::NoOp);
    moved.moved_from = Some(address("file.a"));
    plan.instances.push(moved);
    assert!(has_work(&plan));
}
/// Plans and summaries in the order they are asked for.
#[derive(Default)]
struct Script {
    plans: Vec<Plan>,
    summaries: Vec<Summary>,
    warnings: Diagnostics,
    applied: usize,
}

impl Engine for Script {
    fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
    async fn plan(&mut self, _: &PlanRequest) -> Result<Plan, Failure> {
        if self.plans.is_empty() {
            return Err(Failure::Busy("locked by ann".into()));
        }
        Ok(self.plans.remove(0))
    }
    async fn apply(&mut self, plan: &Plan, sink: &Sink<'_>, _: Arc<Interrupt>) -> Result<Summary, Failure> {
        self.applied += 1;
        if let Some(step) = plan.steps.first() {
            sink(Event::Finished {
                step: step.id.clone(),
                address: address("file.motd"),
                result: StepResult::Done,
                took: std::time::Duration::from_millis(1),
            });
        }
        Ok(self.summaries.remove(0))
    }
}

struct Ran {
    exit: Result<Exit, CliError>,
    text: String,
    applied: usize,
}

fn run(mut script: Script, format: Format, yes: Option<Yes>, answers: &[&'static str]) -> Ran {
    let terminal = Arc::new(Terminal::kept(answers));
    let cx = Cx { root: ".".into(), format, terminal: Arc::clone(&terminal), world: GivenWorld::default() };
    let sources = Sources::default();
    let exit =
        cx.block_on(async { Rounds::new(&cx, &sources, YesArgs { yes }).run(&mut script, &request()).await });
    Ran { exit, text: terminal.text(), applied: script.applied }
}

fn with_rest() -> Plan {
    Plan { deferred: vec![deferred(DeferredAfter::NextRound)], ..small() }
}

fn removal() -> Plan {
    let mut plan = empty();
    add(&mut plan, instance("file.x", None, Action::Delete), StepClass::InPlace);
    plan
}

#[test]
fn rounds_go_on_until_nothing_is_left() {
    let script =
        Script { plans: vec![with_rest(), small()], summaries: vec![done(), done()], ..Script::default() };
    let ran = run(script, Format::Text, Some(Yes::Plan), &[]);
    assert_eq!(ran.exit.expect("ends"), Exit::Done);
    assert_eq!(ran.applied, 2);
    assert_eq!(ran.text.matches("Applied: 1 step done.").count(), 2);
    assert!(ran.text.contains("file.motd  done (1 ms)"), "{}", ran.text);
    assert!(!ran.text.contains("Next:"), "{}", ran.text);
}

#[test]
fn a_round_that_moves_nothing_is_the_last() {
    let script =
        Script { plans: vec![with_rest()], summaries: vec![Summary::default()], ..Script::default() };
    let ran = run(script, Format::Text, Some(Yes::Plan), &[]);
    assert_eq!(ran.exit.expect("ends"), Exit::Pending);
    assert!(ran.text.ends_with("Next: coxswain apply\n"), "{}", ran.text);
}

#[test]
fn nothing_is_applied_without_a_yes() {
    for answer in ["", "n", "no way", "yess"] {
        let script = Script { plans: vec![small()], summaries: vec![done()], ..Script::default() };
        let ran = run(script, Format::Text, None, &[answer]);
        assert_eq!(ran.exit.expect("ends"), Exit::Pending);
        assert_eq!(ran.applied, 0);
        assert!(ran.text.contains("Apply 2 steps? [y/N]"), "{}", ran.text);
    }
    let script = Script { plans: vec![small()], summaries: vec![done()], ..Script::default() };
    assert_eq!(run(script, Format::Text, None, &["Y"]).applied, 1);
}

#[test]
fn a_removal_of_a_later_round_needs_more_than_yes() {
    let script = || Script {
        plans: vec![with_rest(), removal()],
        summaries: vec![done(), done()],
        ..Script::default()
    };
    let ran = run(script(), Format::Text, Some(Yes::Plan), &[]);
    assert_eq!((ran.exit.expect("ends"), ran.applied), (Exit::Pending, 1));
    assert!(ran.text.contains("--yes=all"), "{}", ran.text);
    let ran = run(script(), Format::Text, Some(Yes::All), &[]);
    assert_eq!((ran.exit.expect("ends"), ran.applied), (Exit::Done, 2));
    let ran = run(script(), Format::Text, Some(Yes::Plan), &["y"]);
    assert_eq!((ran.exit.expect("ends"), ran.applied), (Exit::Done, 2));
}

#[test]
fn a_failure_ends_the_run_and_says_what_next() {
    let failed = Summary { failed: vec![("a#x".into(), "no".into())], ..done() };
    let script = Script { plans: vec![with_rest()], summaries: vec![failed], ..Script::default() };
    let ran = run(script, Format::Text, Some(Yes::Plan), &[]);
    assert_eq!(ran.exit.expect("ends"), Exit::Partly);
    assert!(ran.text.contains("Next: coxswain plan"), "{}", ran.text);
}

#[test]
fn a_dead_host_stops_the_run_before_it_begins() {
    let mut plan = small();
    plan.unreadable.push(Unreadable { endpoint: "host.b".into(), reason: "x".into(), instances: vec![] });
    let script = Script { plans: vec![plan], ..Script::default() };
    let ran = run(script, Format::Text, Some(Yes::All), &[]);
    assert_eq!(ran.exit.expect_err("stops").exit(), Exit::Error);
    assert_eq!(ran.applied, 0);
}

#[test]
fn a_busy_lock_ends_the_run() {
    let ran = run(Script::default(), Format::Text, Some(Yes::All), &[]);
    assert_eq!(ran.exit.expect_err("stops").exit(), Exit::Busy);
}

#[test]
fn nothing_to_do_asks_nothing() {
    let script = Script { plans: vec![empty()], ..Script::default() };
    let ran = run(script, Format::Text, None, &["y"]);
    assert_eq!(ran.exit.expect("ends"), Exit::Done);
    assert_eq!(ran.text, "No changes. The world matches the configuration.\n");
}

#[test]
fn a_run_for_machines_is_lines_only() {
    let script = Script { plans: vec![small()], summaries: vec![done()], ..Script::default() };
    let ran = run(script, Format::Json, Some(Yes::Plan), &[]);
    let events: Vec<String> = ran
        .text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("json")["event"].to_string())
        .collect();
    assert_eq!(events, ["\"version\"", "\"plan\"", "\"finished\"", "\"summary\"", "\"exit\""]);
}

#[test]
fn endless_rounds_end() {
    let script = Script {
        plans: vec![with_rest(); MAX_ROUNDS + 1],
        summaries: vec![done(); MAX_ROUNDS + 1],
        ..Script::default()
    };
    let ran = run(script, Format::Text, Some(Yes::All), &[]);
    assert_eq!((ran.exit.expect("ends"), ran.applied), (Exit::Pending, MAX_ROUNDS));
}

#[test]
fn a_saved_plan_is_one_round_without_a_question() {
    let mut script = Script { summaries: vec![done()], ..Script::default() };
    let cx = Cx {
        root: ".".into(),
        format: Format::Text,
        terminal: Arc::new(Terminal::kept(&[])),
        world: GivenWorld::default(),
    };
    let sources = Sources::default();
    let plan = with_rest();
    let exit = cx.block_on(async {
        Rounds::new(&cx, &sources, YesArgs::default()).run_saved(&mut script, &plan).await
    });
    assert_eq!((exit.expect("ends"), script.applied), (Exit::Pending, 1));
    assert!(check_can_confirm(&cx, YesArgs::default()).is_err());
    assert!(check_can_confirm(&cx, YesArgs { yes: Some(Yes::Plan) }).is_ok());
}
