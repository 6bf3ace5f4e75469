//! `mock`: a kind without a world, for tests of the engine.

use async_trait::async_trait;
use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Address, Attr, Class, Diagnostics, Object, Schema, Value, json};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::kind::{
    Action, Answers, Change, Facts, Kind, KindError, Observation, Outcome, PlanCx, Step, StepClass, StepCx,
    Verb,
};
use super::reading::{desired, flag, given, text, whole, words};

/// The kind.
pub struct Mock;

/// Hexadecimal digits of a made-up id.
const ID_DIGITS: usize = 12;
/// Most steps one change can have.
const STEPS_MAX: i128 = 100;

const fn setting(name: &'static str, ty: AttrType, doc: &'static str) -> Attr {
    Attr::new(name, ty, Class::Setting, doc)
}

static SCHEMA: Schema = Schema {
    kind: "mock",
    version: 1,
    summary: "Nothing in the world; for tests.",
    doc: "Has no world behind it: what was applied last is what is. Its settings make it fail, wait and run long.",
    example: r#"mock "a" {
  input = { size = 3 }
}
"#,
    attributes: &[
        Attr::new("input", AttrType::Any, Class::Owned, "Any value.").restores(),
        Attr::new("slot", AttrType::Any, Class::Owned, "Any value; a change replaces the object.").replaces(),
        Attr::new("keys", AttrType::List(&AttrType::Str), Class::Owned, "Each is a claim.").claim("mock_key"),
        Attr::new("secret", AttrType::Str, Class::Owned, "A sensitive value.").sensitive(),
        Attr::new("id", AttrType::Str, Class::Computed, "Made from address and slot when applied."),
        setting("fails", AttrType::Str, "Steps fail with this; `prove` fails only the proof of a claim."),
        setting("waits_for", AttrType::List(&AttrType::Str), "Steps wait for these."),
        setting("runs", AttrType::Bool, "Steps end as running first, and as done when taken up."),
        setting(
            "class",
            AttrType::OneOf(&["in_place", "restart", "reconnect", "reboot", "danger"]),
            "How steps touch the endpoint.",
        )
        .default("\"in_place\""),
        setting("exists", AttrType::Bool, "Was there before it was applied first, with a null `input`."),
        setting("steps", AttrType::Num, "How many steps a change has.").default("1"),
    ],
    placement: Placement::Nowhere,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: true,
    comes_with_others: false,
    one_per_host: false,
    mutex: None,
    documented: false,
};

fn class(args: &Object) -> StepClass {
    match text(args, "class") {
        Some("restart") => StepClass::Restart,
        Some("reconnect") => StepClass::Reconnect,
        Some("reboot") => StepClass::Reboot,
        Some("danger") => StepClass::Danger,
        _ => StepClass::InPlace,
    }
}

/// The id of the object that this instance makes.
fn id(address: &Address, args: &Object) -> String {
    let slot = args.get("slot").map_or_else(|| "null".to_owned(), |v| json::to_json_clear(v).to_string());
    let digest = hex::encode(Sha256::digest(format!("{address}\0{slot}")));
    format!("mock-{}", &digest[..ID_DIGITS])
}

fn apply_steps(cx: &PlanCx<'_>, args: &Object, verb: Verb) -> Vec<Step> {
    let word = match verb {
        Verb::Create => "make",
        _ => "change",
    };
    let count = whole(args, "steps").unwrap_or(1).clamp(1, STEPS_MAX);
    (1..=count)
        .map(|n| {
            let (name, part) = if n == 1 {
                ("apply".to_owned(), String::new())
            } else {
                (format!("apply-{n}"), format!(" ({n} of {count})"))
            };
            Step::new(&name, verb, format!("{word} {}{part}", cx.address)).class(class(args))
        })
        .collect()
}

#[async_trait]
impl Kind for Mock {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, _args: &Object) -> Diagnostics {
        Diagnostics::new()
    }

    fn observe(&self, args: &Object, _facts: &Facts, _answers: &Answers) -> Observation {
        if flag(args, "exists") == Some(true) && given(args, "id").is_none() {
            return Observation::Present(Object::from([("input".into(), Value::null())]));
        }
        Observation::Recorded
    }

    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let args = change.desired.as_ref().unwrap_or(&change.prior);
        let remove =
            || Step::new("remove", Verb::Delete, format!("remove {}", cx.address)).class(class(args));
        let mut steps = match change.action {
            Action::NoOp | Action::Forget | Action::Read => Vec::new(),
            Action::Create => apply_steps(cx, args, Verb::Create),
            Action::Adopt => apply_steps(cx, args, Verb::Update),
            Action::Update if change.restart && change.differing.is_empty() => Vec::new(),
            Action::Update => apply_steps(cx, args, Verb::Update),
            Action::Replace => {
                let mut steps = vec![remove()];
                steps.extend(apply_steps(cx, args, Verb::Create));
                steps
            }
            Action::Delete => return Ok(vec![remove()]),
        };
        if change.restart {
            let step = Step::new("restart", Verb::Restart, format!("restart {}", cx.address));
            steps.push(step.class(StepClass::Restart));
        }
        Ok(steps)
    }

    async fn run(&self, cx: &StepCx<'_>, step: &Step) -> Result<Outcome, KindError> {
        let args = cx.change.desired.as_ref().unwrap_or(&cx.change.prior);
        let fails = text(args, "fails");
        let failed = || KindError::Failed(fails.unwrap_or_default().to_owned());
        match step.verb {
            Verb::ClaimProve if fails == Some("prove") => return Err(failed()),
            Verb::ClaimStop
            | Verb::ClaimProve
            | Verb::ClaimExport
            | Verb::ClaimImport
            | Verb::ClaimWait
            | Verb::ClaimStart
            | Verb::Forget
            | Verb::Connect => return Ok(Outcome::Done(Object::new())),
            Verb::Create | Verb::Adopt | Verb::Update | Verb::Delete | Verb::Restart | Verb::Custom => {}
        }
        if fails.is_some_and(|f| f != "prove") {
            return Err(failed());
        }
        let waits_for: Vec<String> = words(args, "waits_for").unwrap_or_default().into_iter().collect();
        if !waits_for.is_empty() {
            return Ok(Outcome::Waiting { on: waits_for, resume: json!({ "step": step.name }) });
        }
        if flag(args, "runs") == Some(true) && cx.handle.is_none() {
            return Ok(Outcome::Running(json!({ "step": step.name })));
        }
        if step.verb == Verb::Delete {
            return Ok(Outcome::Done(Object::new()));
        }
        Ok(Outcome::Done(Object::from([("id".into(), Value::from(id(cx.address, desired(cx.change)?)))])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::act::{Act, ActDone};
    use crate::resource::answer::Answer;
    use crate::resource::kind::{Endpoint, HostId};
    use crate::resource::probe::Probe;
    use crate::resource::reading::fixture::{change, obj};
    use crate::world::{Connection, World, WorldError};
    use futures::FutureExt as _;
    use std::sync::Arc;
    use std::time::Duration;

    /// A world that must not be asked.
    struct NoWorld;

    #[async_trait]
    impl World for NoWorld {
        fn introduce(&self, _host: &Arc<HostId>, _connection: Connection) {
            panic!("a mock has no host");
        }
        async fn read(&self, _at: &Endpoint, _probes: &[Probe]) -> Result<Vec<Answer>, WorldError> {
            panic!("a mock reads nothing");
        }
        async fn act(
            &self,
            _at: &Endpoint,
            _acts: &[Act],
            _limit: Duration,
            _progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
        ) -> Result<Vec<ActDone>, WorldError> {
            panic!("a mock does nothing");
        }
        async fn knock(&self, _at: &Endpoint) -> Result<(), WorldError> {
            panic!("a mock is nowhere");
        }
        async fn disconnect(&self, _at: &Endpoint) {}
    }

    fn steps(change: &Change) -> Vec<(String, StepClass)> {
        let address = Address::root("mock", "a");
        let cx = PlanCx { address: &address, endpoint: &Endpoint::Nowhere, facts: None };
        let steps = Mock.plan(&cx, change).expect("mocks can always be planned");
        steps.into_iter().map(|s| (s.title, s.class)).collect()
    }

    fn run(
        args: serde_json::Value,
        verb: Verb,
        handle: Option<&serde_json::Value>,
    ) -> Result<Outcome, String> {
        let address = Address::root("mock", "a");
        let change = change(Action::Create, json!({})).wants(args);
        let cx = StepCx {
            address: &address,
            endpoint: &Endpoint::Nowhere,
            change: &change,
            world: &NoWorld,
            handle,
            timeout: Duration::from_secs(1),
            progress: &|_| {},
        };
        let step = Step::new("apply", verb, "");
        let outcome = Mock.run(&cx, &step).now_or_never().expect("a mock awaits nothing");
        outcome.map_err(|e| e.to_string())
    }

    #[test]
    fn planned() {
        let wants = |action, args| change(action, json!({})).wants(args);
        let create = wants(Action::Create, json!({ "class": "danger", "steps": 2 }));
        let expected =
            [("make mock.a".into(), StepClass::Danger), ("make mock.a (2 of 2)".into(), StepClass::Danger)];
        assert_eq!(steps(&create), expected);
        let replace = wants(Action::Replace, json!({}));
        let expected =
            [("remove mock.a".into(), StepClass::InPlace), ("make mock.a".into(), StepClass::InPlace)];
        assert_eq!(steps(&replace), expected);
        let restart = Change { restart: true, ..wants(Action::Update, json!({})) };
        assert_eq!(steps(&restart), [("restart mock.a".into(), StepClass::Restart)]);
    }

    #[test]
    fn run_as_told() {
        let Ok(Outcome::Done(made)) = run(json!({}), Verb::Create, None) else { panic!("it is made") };
        assert!(text(&made, "id").is_some_and(|id| id.starts_with("mock-") && id.len() == 17));
        assert_eq!(
            run(json!({ "slot": 1 }), Verb::Create, None),
            run(json!({ "slot": 1 }), Verb::Update, None)
        );
        assert_ne!(run(json!({ "slot": 1 }), Verb::Create, None), run(json!({}), Verb::Create, None));

        assert_eq!(run(json!({ "fails": "no" }), Verb::Create, None), Err("no".into()));
        assert_eq!(run(json!({ "fails": "prove" }), Verb::ClaimProve, None), Err("prove".into()));
        assert_eq!(run(json!({ "fails": "no" }), Verb::ClaimStop, None), Ok(Outcome::Done(Object::new())));
        assert!(matches!(
            run(json!({ "waits_for": ["x"] }), Verb::Create, None),
            Ok(Outcome::Waiting { .. })
        ));

        let Ok(Outcome::Running(handle)) = run(json!({ "runs": true }), Verb::Create, None) else {
            panic!("it runs on")
        };
        assert!(matches!(run(json!({ "runs": true }), Verb::Create, Some(&handle)), Ok(Outcome::Done(_))));
    }

    #[test]
    fn observed() {
        let seen = |args| Mock.observe(&obj(args), &Facts::default(), &Answers::new());
        assert_eq!(seen(json!({ "input": 1 })), Observation::Recorded);
        assert_eq!(seen(json!({ "exists": true })), Observation::Present(obj(json!({ "input": null }))));
        assert_eq!(seen(json!({ "exists": true, "id": "mock-1" })), Observation::Recorded);
    }
}
