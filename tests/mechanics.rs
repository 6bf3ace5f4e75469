//! What the engine does around a step: gates, guards, exclusive names, reboots. With a kind of this test's own, in
//! a fake world and against a real `sshd`.

use std::sync::Arc;

use coxswain::apply::Event;
use coxswain::resource::act::{Act, Content, Expect, Permissions};
use coxswain::resource::answer::{Answer, FileType};
use coxswain::resource::host_kind::HostKind;
use coxswain::resource::kind::{
    Action, Answers, Change, Facts, Gate, GateState, Kind, KindError, Observation, PlanCx, Step, StepClass,
    Verb,
};
use coxswain::resource::probe::Probe;
use coxswain::world::fake::FakeWorld;
use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostics, Object, Schema, Value};

mod support;

use support::engine::{Applied, Engine};
use support::loopback::{Server, server};

/// Writes a file and then runs a program that may cut the way to the host.
struct Way;

static SCHEMA: Schema = Schema {
    kind: "way",
    version: 1,
    summary: "Changes the way to its host.",
    doc: "For this test.",
    example: "",
    attributes: &[
        Attr::new("path", AttrType::Str, Class::Identity, "A file.").required(),
        Attr::new(
            "program",
            AttrType::List(&AttrType::Str),
            Class::Setting,
            "What is run after it is written.",
        ),
        Attr::new("back", AttrType::List(&AttrType::Str), Class::Setting, "What takes it back."),
        Attr::new("class", AttrType::Str, Class::Setting, "reconnect, reboot or in_place."),
        Attr::new("guard", AttrType::Num, Class::Setting, "Seconds."),
        Attr::new("gate", AttrType::Str, Class::Setting, "A path that must be there first."),
        Attr::new("holds", AttrType::Str, Class::Setting, "A name."),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: None,
    documented: false,
};

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn words(object: &Object, name: &str) -> Vec<String> {
    let list = object.get(name).map(coxswain_model::json::to_json_clear).unwrap_or_default();
    list.as_array().into_iter().flatten().filter_map(|w| w.as_str().map(str::to_owned)).collect()
}

fn run(argv: Vec<String>) -> Option<Act> {
    (!argv.is_empty()).then(|| Act::Run { argv, env: Vec::new(), input: None, ok: vec![0] })
}

impl HostKind for Way {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }
    fn observe(&self, identity: &Object, _facts: &Facts, got: &Answers) -> Observation {
        let probe = Probe::Stat(text(identity, "path").expect("identity").to_owned());
        match got.get(&probe) {
            None => Observation::Need(vec![probe]),
            Some(Answer::Absent) => Observation::Absent,
            Some(Answer::Stat(_)) => Observation::Present(identity.clone()),
            Some(other) => Observation::Unknown(format!("{other:?}")),
        }
    }
    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let args = change.desired.clone().unwrap_or_default();
        assert!(change.action == Action::Create, "these tests only create");
        let mut step = Step::new("apply", Verb::Create, "change the way");
        step.class = match text(&args, "class") {
            Some("reconnect") => StepClass::Reconnect,
            Some("reboot") => StepClass::Reboot,
            _ => StepClass::InPlace,
        };
        step.guard_s = args
            .get("guard")
            .and_then(Value::as_num)
            .and_then(coxswain_model::Num::to_i128)
            .and_then(|n| u64::try_from(n).ok());
        step.gates
            .extend(text(&args, "gate").map(|path| Gate::Condition { name: path.to_owned(), limit_s: 1 }));
        step.holds.extend(text(&args, "holds").map(str::to_owned));
        Ok(vec![step])
    }
    fn acts(&self, change: &Change, _step: &Step) -> Result<Vec<Act>, KindError> {
        let args = change.desired.clone().unwrap_or_default();
        let write = Act::WriteFile {
            path: text(&args, "path").expect("identity").to_owned(),
            content: Content::new(b"new\n".to_vec()),
            permissions: Permissions::default(),
            expects: Expect::Absent,
        };
        Ok(std::iter::once(write).chain(run(words(&args, "program"))).collect())
    }
    fn gate(&self, name: &str, _identity: &Object, got: &Answers) -> GateState {
        let probe = Probe::Stat(name.to_owned());
        match got.get(&probe) {
            None => GateState::Need(vec![probe]),
            Some(Answer::Stat(stat)) if stat.file_type == FileType::File => GateState::Open,
            Some(_) => GateState::Closed("there is no such file".into()),
        }
    }
    fn revert(&self, change: &Change, _step: &Step) -> Vec<Act> {
        let args = change.desired.clone().unwrap_or_default();
        let path = text(&args, "path").expect("identity").to_owned();
        std::iter::once(Act::RemoveFile { path, expects: Expect::Anything })
            .chain(run(words(&args, "back")))
            .collect()
    }
}

fn find(name: &str) -> Option<&'static dyn Kind> {
    if name == "way" { Some(&Way) } else { coxswain::resource::find(name) }
}

fn fake(world: &str) -> (FakeWorld, Engine) {
    let world = FakeWorld::from_json(world).expect("a world");
    let engine = Engine { find, world: Arc::new(world.clone()), watch: None };
    (world, engine)
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

const HOST: &str = "host \"a\" { address = \"192.0.2.1\" }\n";

#[track_caller]
fn check_failed(applied: &Applied, step: &str, part: &str) {
    let found: Vec<_> = applied.summary.failed.iter().filter(|(id, _)| id == step).collect();
    assert!(matches!(&found[..], [(_, why)] if why.contains(part)), "{:?}", applied.summary);
}

#[test]
fn a_change_that_cuts_the_way_is_taken_back_by_the_host() {
    let (world, engine) = fake(
        r#"{ "host.a": { "on": [ { "argv_prefix": ["cut"], "effects": { "unreachable": "timed out" } } ] } }"#,
    );
    let applied = block(engine.apply(&format!(
        "{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n class = \"reconnect\"\n guard = 60\n program = [\"cut\"]\n}}\n"
    )));
    check_failed(&applied, "way.w#apply", "the host took the change back by itself");
    assert!(!world.to_json().contains("/etc/way"), "{}", world.to_json());
    assert!(
        world.calls().iter().any(|c| c == "host.a act arm the way back, 60 s from now"),
        "{:?}",
        world.calls()
    );
}

#[test]
fn a_change_that_leaves_the_way_is_confirmed_over_a_new_connection() {
    let (world, engine) = fake(r#"{ "host.a": {} }"#);
    let applied = block(engine.apply(&format!(
        "{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n class = \"reconnect\"\n guard = 60\n}}\n"
    )));
    assert_eq!(applied.summary.done, ["host.a#connect", "way.w#apply"]);
    let calls = world.calls();
    let at = |what: &str| {
        calls.iter().position(|c| c.contains(what)).unwrap_or_else(|| panic!("{what}: {calls:?}"))
    };
    assert!(at("arm the way back") < at("act write /etc/way"), "{calls:?}");
    assert!(
        at("act write /etc/way") < at("disconnect") && at("disconnect") < at("disarm the way back"),
        "{calls:?}"
    );
}

#[test]
fn a_guarded_step_that_fails_is_taken_back_at_once() {
    let (world, engine) =
        fake(r#"{ "host.a": { "on": [ { "argv_prefix": ["bad"], "code": 3, "stderr": "no" } ] } }"#);
    let applied = block(engine.apply(&format!(
        "{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n class = \"reconnect\"\n guard = 60\n program = [\"bad\"]\n}}\n"
    )));
    check_failed(&applied, "way.w#apply", "`bad` exited with 3");
    assert!(applied.blocked().iter().any(|w| w == "it failed and was taken back"), "{:?}", applied.blocked());
    assert!(!world.to_json().contains("/etc/way"));
}

#[test]
fn a_gate_that_opens_lets_the_step_start() {
    let (world, mut engine) = fake(r#"{ "host.a": {} }"#);
    let opened = world.clone();
    engine.watch = Some(Box::new(move |event| {
        if matches!(event, Event::Blocked { .. }) {
            let ready = serde_json::json!({ "paths": { "/ready": { "content": "" } } });
            opened.patch("host.a", &ready).expect("a patch");
        }
    }));
    let text = format!("{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n gate = \"/ready\"\n}}\n");
    let applied = block(engine.apply(&text));
    assert_eq!(applied.summary.done, ["host.a#connect", "way.w#apply"]);
    assert_eq!(applied.blocked(), ["waiting until /ready: there is no such file"]);
}

#[test]
fn a_gate_that_stays_closed_fails_the_step_before_its_intent() {
    let (world, engine) = fake(r#"{ "host.a": {} }"#);
    let applied = block(engine.apply(&format!(
        "{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n gate = \"/ready\"\n}}\n"
    )));
    check_failed(&applied, "way.w#apply", "waited 1 s until /ready: there is no such file");
    let intents = applied
        .journal
        .iter()
        .filter(|e| matches!(e, coxswain_state::Entry::Intent(i) if i.step == "way.w#apply"));
    assert_eq!(intents.count(), 0);
    assert!(!world.calls().iter().any(|c| c.contains("write")));
}

#[test]
fn two_steps_that_hold_one_name_exclude_each_other_across_hosts() {
    let (_, engine) = fake(r#"{ "host.a": {}, "host.b": {} }"#);
    let way = |n: &str| {
        format!("way \"{n}\" {{\n host = host.{n}\n path = \"/etc/way\"\n holds = \"the cluster\"\n}}\n")
    };
    let applied = block(engine.apply(&format!(
        "{HOST}host \"b\" {{ address = \"192.0.2.2\" }}\n{}{}",
        way("a"),
        way("b")
    )));
    assert_eq!(applied.summary.done.len(), 4, "{:?}", applied.summary);
    assert_eq!(applied.blocked(), ["waiting for the cluster, held by way.a#apply"]);
}

#[test]
fn a_reboot_ends_when_the_same_machine_has_another_boot_id() {
    let (world, engine) = fake(
        r#"{ "host.a": { "on": [ { "argv_prefix": ["reboot"], "effects": { "facts": { "boot_id": "boot-2" } } } ] } }"#,
    );
    let applied = block(engine.apply(&format!(
        "{HOST}way \"w\" {{\n host = host.a\n path = \"/etc/way\"\n class = \"reboot\"\n program = [\"reboot\"]\n}}\n"
    )));
    assert_eq!(applied.summary.done, ["host.a#connect", "way.w#apply"]);
    let calls = world.calls();
    let run = calls.iter().position(|c| c == "host.a act run reboot").expect("it rebooted");
    assert_eq!(calls[run + 1], "host.a disconnect");
}

/// A server of this machine and an engine that reaches it as `host.a`.
fn real() -> Option<(Server, Engine, String)> {
    let server = server()?;
    let engine = Engine { find, world: Arc::new(server.world()), watch: None };
    let host = format!("host \"a\" {{\n address = \"127.0.0.1\"\n port = {}\n}}\n", server.port);
    Some((server, engine, host))
}

/// A step that makes new connections impossible is the worst there is: nobody can come and mend it.
#[test]
fn a_real_host_that_refuses_new_connections_takes_the_change_back_itself() {
    let Some((server, engine, host)) = real() else { return };
    let (file, pid) = (server.at("way"), server.pid());
    let text = format!(
        "{host}way \"w\" {{\n host = host.a\n path = \"{}\"\n class = \"reconnect\"\n guard = 2\n \
         program = [\"kill\", \"-STOP\", \"{pid}\"]\n back = [\"kill\", \"-CONT\", \"{pid}\"]\n}}\n",
        file.display()
    );
    let applied = block(engine.apply(&text));
    check_failed(&applied, "way.w#apply", "the host took the change back by itself");
    assert!(!file.exists());
    block(engine.world.close());
}

#[test]
fn a_real_host_that_still_takes_connections_keeps_the_change() {
    let Some((server, engine, host)) = real() else { return };
    let file = server.at("way");
    let text = format!(
        "{host}way \"kept\" {{\n host = host.a\n path = \"{}\"\n class = \"reconnect\"\n guard = 30\n}}\n",
        file.display()
    );
    let applied = block(engine.apply(&text));
    assert_eq!(applied.summary.done, ["host.a#connect", "way.kept#apply"], "{:?}", applied.summary);
    assert!(file.exists());
    assert_eq!(
        server.count("Accepted publickey"),
        2,
        "one connection, and one that confirms: {}",
        server.log()
    );
    block(engine.world.close());
}
