//! Plans as text, compared whole. The builders serve the other renderers' tests too.

use coxswain_model::schema::Stage;
use serde_json::{Value as Json, json};

use super::*;
use crate::plan::model::{Cut, FORMAT, OutputChange, Unreadable, Waiting};
use crate::plan::{AttrChange, Cause, Edge, PlannedStep, Why};
use crate::resource::{Step, Verb};

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("a test's address parses")
}

pub(crate) fn empty() -> Plan {
    Plan {
        format: FORMAT,
        version: "0.1.0".into(),
        mode: Mode::Apply,
        lineage: "l".into(),
        serial: 3,
        config_digest: "d".into(),
        instances: Vec::new(),
        steps: Vec::new(),
        edges: Vec::new(),
        deferred: Vec::new(),
        unreadable: Vec::new(),
        outputs: Vec::new(),
        cut: None,
        warnings: Vec::new(),
    }
}

pub(crate) fn instance(at: &str, host: Option<&str>, action: Action) -> InstancePlan {
    InstancePlan {
        address: address(at),
        moved_from: None,
        uid: format!("uid-{at}"),
        host: host.map(address),
        identity: "/etc/motd".into(),
        action,
        reason: String::new(),
        changes: Vec::new(),
        expects: String::new(),
        desired: None,
        restart: false,
        waiting: None,
        max_failures: None,
        settles: false,
    }
}

pub(crate) fn change(name: &str, before: Json, after: Json) -> AttrChange {
    let some = |v: Json| (!v.is_null()).then_some(v);
    AttrChange {
        name: name.into(),
        before: some(before),
        after: some(after),
        cause: Cause::Pending,
        lines: false,
        replaces: false,
    }
}

/// Adds the instance with one step.
pub(crate) fn add(plan: &mut Plan, instance: InstancePlan, class: StepClass) {
    let step = Step::new("apply", Verb::Update, format!("write {}", instance.identity)).class(class);
    plan.steps.push(PlannedStep {
        id: format!("{}#apply", instance.address),
        instance: plan.instances.len(),
        step,
        stage: Stage::Base,
        claims: Vec::new(),
    });
    plan.instances.push(instance);
}

/// A changed file on a host and a new one here, the second after the first.
pub(crate) fn small() -> Plan {
    let mut plan = empty();
    let mut motd = instance("file.motd", Some("host.a"), Action::Update);
    motd.reason = "its mode differs".into();
    motd.changes = vec![change("mode", json!("0600"), json!("0644"))];
    motd.changes[0].cause = Cause::Drifted;
    add(&mut plan, motd, StepClass::InPlace);
    let mut hello = instance("file.hello", None, Action::Create);
    hello.identity = "hello.txt".into();
    hello.changes = vec![change("content", json!(null), json!("hi\nthere\n"))];
    add(&mut plan, hello, StepClass::InPlace);
    plan.instances.push(instance("file.same", Some("host.a"), Action::NoOp));
    plan.edges.push(Edge { from: 0, to: 1, why: Why::Value });
    plan
}

#[track_caller]
fn check(plan: &Plan, expected: &str) {
    assert_eq!(text(plan, Colour::Off), expected);
}

#[test]
fn an_empty_plan_says_so() {
    check(&empty(), "No changes. The world matches the configuration.\n");
}

#[test]
fn instances_are_grouped_by_place() {
    check(
        &small(),
        "Signs: + create, ~ change in place\n\n\
         host.a\n  ~ file.motd  /etc/motd  # its mode differs\n      mode: \"0600\" -> \"0644\"  # changed on the host\n\n\
         this machine\n  + file.hello  hello.txt\n      content:\n        + hi\n        + there\n\n\
         Plan: 1 to create, 1 to change, 0 to replace, 0 to remove, 0 to adopt; 1 unchanged.\n",
    );
}

#[test]
fn equal_changes_on_many_hosts_are_shown_once() {
    let mut plan = empty();
    for host in ["a", "b", "c", "d"] {
        let mut it = instance(
            &format!("module.base[\"{host}\"].file.motd"),
            Some(&format!("host.{host}")),
            Action::Update,
        );
        it.changes = vec![change("mode", json!("0600"), json!("0644"))];
        add(&mut plan, it, StepClass::InPlace);
    }
    let mut odd = instance("module.base[\"e\"].file.motd", Some("host.e"), Action::Update);
    odd.changes = vec![change("mode", json!("0640"), json!("0644"))];
    add(&mut plan, odd, StepClass::InPlace);
    check(
        &plan,
        "Signs: ~ change in place\n\n\
         4 hosts: host.a, host.b, host.c, host.d\n  ~ module.base[*].file.motd  /etc/motd\n      mode: \"0600\" -> \"0644\"\n\n\
         host.e\n  ~ module.base[\"e\"].file.motd  /etc/motd\n      mode: \"0640\" -> \"0644\"\n\n\
         Plan: 0 to create, 5 to change, 0 to replace, 0 to remove, 0 to adopt; 0 unchanged.\n",
    );
}

#[test]
fn three_hosts_are_shown_one_by_one() {
    let mut plan = empty();
    for host in ["a", "b", "c"] {
        add(
            &mut plan,
            instance(&format!("file.x[\"{host}\"]"), Some(&format!("host.{host}")), Action::Adopt),
            StepClass::InPlace,
        );
    }
    let text = text(&plan, Colour::Off);
    assert!(text.contains("host.b\n  <+ file.x[\"b\"]"), "{text}");
}

#[test]
fn removals_and_restarts_are_marked() {
    let mut plan = empty();
    let mut gone = instance("file.old", Some("host.a"), Action::Delete);
    gone.changes = vec![change("mode", json!("0600"), json!(null))];
    add(&mut plan, gone, StepClass::Danger);
    let mut unit = instance("systemd_unit.x", Some("host.a"), Action::Replace);
    unit.identity = "x.service".into();
    unit.restart = true;
    unit.moved_from = Some(address("systemd_unit.w"));
    unit.changes = vec![change("name", json!("w"), json!("x"))];
    unit.changes[0].replaces = true;
    add(&mut plan, unit, StepClass::Reboot);
    let mut forgotten = instance("file.z", None, Action::Forget);
    forgotten.identity = String::new();
    plan.instances.push(forgotten);
    check(
        &plan,
        "Signs: -/+ remove and create anew, - remove, x forget and leave in place\n\n\
         host.a\n  - file.old  /etc/motd\n      mode: \"0600\"\n      ! cannot be taken back: write /etc/motd\n\
         \x20 -/+ systemd_unit.x  x.service  # was systemd_unit.w\n      name: \"w\" -> \"x\"  # forces replacement\n\
         \x20     ! reboot: write x.service\n\n\
         this machine\n  x file.z\n\n\
         Plan: 0 to create, 0 to change, 1 to replace, 1 to remove, 0 to adopt, 1 to forget; 0 unchanged.\n",
    );
}

#[test]
fn everything_else_has_its_part() {
    let mut plan = empty();
    let deferred =
        |at: &str, reason: &str, after| Deferred { address: address(at), reason: reason.into(), after };
    plan.deferred = vec![
        deferred("file.many", "for_each is known after mock.a is applied", DeferredAfter::NextRound),
        deferred("dv_node.x", "dv_ceremony.x waits", DeferredAfter::Others),
    ];
    let mut waits = instance("dv_ceremony.x", Some("host.a"), Action::NoOp);
    waits.waiting = Some(Waiting { on: vec!["b".into(), "c".into()], since: Some("2026-11-26".into()) });
    plan.instances.push(waits);
    plan.unreadable = vec![Unreadable {
        endpoint: "host.b".into(),
        reason: "connection refused".into(),
        instances: vec![address("file.b")],
    }];
    plan.outputs =
        vec![OutputChange { name: "enr".into(), before: None, after: Some(json!({"$unknown": true})) }];
    plan.cut =
        Some(Cut { targets: vec![address("file.a")], excludes: vec![], left: vec![address("file.c")] });
    plan.warnings = vec![Diagnostic::warning("old-name", "`ports` is deprecated").detail("Write `rules`.")];
    check(
        &plan,
        "Left to a later round\n  + file.many  # for_each is known after mock.a is applied\n\n\
         Waiting for others\n  dv_ceremony.x  # waits for b, c since 2026-11-26\n  + dv_node.x  # dv_ceremony.x waits\n\n\
         Cannot be read\n  host.b  connection refused  # 1 instance planned as nothing: file.b\n\n\
         Outputs\n  + enr: (known after apply)\n\n\
         Left undone by --target file.a\n  file.c\n\n\
         Warnings\n  warning[old-name]: `ports` is deprecated\n    Write `rules`.\n\n\
         Plan: 0 to create, 0 to change, 0 to replace, 0 to remove, 0 to adopt; 0 unchanged, 1 unknown, 2 deferred.\n",
    );
}

#[test]
fn what_hosts_say_cannot_drive_the_terminal() {
    let mut plan = small();
    plan.instances[0].reason = "\u{1b}]0;x\u{7}".into();
    plan.instances[1].changes[0].after = Some(json!("a\n\u{1b}[2J\n"));
    assert!(!text(&plan, Colour::Off).contains('\u{1b}'));
}
