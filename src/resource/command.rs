//! `command`: something that is done once, and cannot be taken back.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Type, Value};

use super::act::{Act, Content};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb};
use super::probe::{Probe, read_program};
use super::reading::{desired, differs, given, said_fields, taken_over, text, verb};

/// The kind.
pub struct Command;

static SCHEMA: Schema = Schema {
    kind: "command",
    version: 1,
    summary: "A program that is run once.",
    doc: "Runs `run`, or `script` by sh, where it has not been done: `creates` names a path that is there afterwards, \
          `unless` is a script that succeeds then and must change nothing. With neither it is done once, as the state \
          knows. It is done again when `triggers` change. What it does is not known to coxswain and cannot be taken \
          back: destroy leaves it. Where there is something to read, `script` has a real difference.",
    example: r#"command "genesis" {
  host    = host.nfs
  name    = "fetch the genesis file"
  run     = ["/usr/local/bin/fetch-genesis", "--network", "hoodi"]
  creates = "/srv/data/genesis.ssz"
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "What it does, in a few words."),
        Attr::new(
            "run",
            AttrType::List(&AttrType::Str),
            Class::Setting,
            "Program and arguments; excludes `script`. Arguments can be seen by everybody on the host.",
        ),
        Attr::new("script", AttrType::Str, Class::Setting, "A script for sh; excludes `run`. May be secret."),
        Attr::new(
            "environment",
            AttrType::Map(&AttrType::Str),
            Class::Setting,
            "Variables for it; may be secret.",
        ),
        Attr::new(
            "creates",
            AttrType::Path,
            Class::Setting,
            "A path that is there where it has been done; excludes `unless`.",
        )
        .asked(),
        Attr::new(
            "unless",
            AttrType::Str,
            Class::Setting,
            "A script for sh that succeeds where it has been done; excludes `creates`.",
        )
        .asked(),
        Attr::new(
            "triggers",
            AttrType::Map(&AttrType::Str),
            Class::Owned,
            "It is done again when one of these changes.",
        ),
        Attr::new("done", AttrType::Bool, Class::Owned, "Whether it has been done.").default("true"),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: false,
    mutex: None,
    documented: true,
};

fn probe(asked: &Object) -> Option<Probe> {
    let (creates, unless) = (text(asked, "creates"), text(asked, "unless"));
    let words = [creates.unwrap_or_default().to_owned(), unless.unwrap_or_default().to_owned()];
    (creates.is_some() || unless.is_some()).then(|| Probe::says(read_program!("command"), words))
}

impl HostKind for Command {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let mut wrong = |why: &str| problems.push(Diagnostic::error("bad-command", why));
        if given(args, "run").is_some() == given(args, "script").is_some() {
            wrong("give one of `run` and `script`");
        }
        if given(args, "creates").is_some() && given(args, "unless").is_some() {
            wrong("`creates` and `unless` exclude each other");
        }
        if args.get("run").and_then(Value::as_items).is_some_and(<[Value]>::is_empty) {
            wrong("`run` names no program");
        }
        if text(args, "creates").is_some_and(|p| !p.starts_with('/')) {
            wrong("`creates` is not an absolute path");
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(probe) = probe(asked) else { return Observation::Recorded };
        said_fields(answers, probe, |fields| {
            let is_done = fields.is("done")?;
            Ok(is_done.then(|| {
                Object::from([
                    ("name".into(), Value::from(text(asked, "name").unwrap_or_default())),
                    ("done".into(), Value::from(true)),
                    // The world does not know what it was done with: what was applied last is what is.
                    ("triggers".into(), Value::unknown(Type::map(Type::Str))),
                ])
            }))
        })
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let run = |why: &str| {
            vec![Step::new("apply", verb(change), format!("run \"{name}\"{why}")).class(StepClass::Danger)]
        };
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                vec![Step::new("remove", Verb::Delete, format!("leave what \"{name}\" has done"))]
            }
            Action::Adopt => taken_over(change, &format!("what \"{name}\" has done")),
            _ if change.differing.is_empty() => Vec::new(),
            Action::Create | Action::Update | Action::Replace => {
                run(if change.observed.is_some() && differs(change, "triggers") { " again" } else { "" })
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        if step.verb == Verb::Delete {
            return Ok(Vec::new());
        }
        let wanted = desired(change)?;
        let words = wanted.get("run").and_then(Value::as_items).unwrap_or_default();
        let argv: Vec<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, value) in given(wanted, "environment").and_then(Value::as_fields).into_iter().flatten() {
            env.extend(value.as_str().map(|v| (name.to_string(), v.to_owned())));
        }
        let script = text(wanted, "script").map(|s| Content::new(format!("{s}\n").into_bytes()));
        let argv = if argv.is_empty() { vec!["sh".to_owned()] } else { argv };
        Ok(vec![Act::Run { argv, env, input: script, ok: vec![0] }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::{Danger, InPlace};
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::{Value as Json, json};

    fn args() -> Json {
        json!({ "name": "n", "run": ["make", "it"], "creates": "/made", "triggers": { "v": "1" }, "done": true })
    }

    #[test]
    fn observed() {
        let look = |text: &str| {
            let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
            observe(&Command, args(), vec![(probe(&obj(args())).expect("a probe"), answer)])
        };
        assert!(matches!(look("done=yes\n"), Observation::Present(_)));
        assert_eq!(look("done=no\n"), Observation::Absent);
        assert!(matches!(look("it did not end in 20 s\n"), Observation::Unknown(_)));
        assert_eq!(observe(&Command, json!({ "name": "n" }), Vec::new()), Observation::Recorded);
    }

    #[test]
    fn run_once_and_again() {
        let id = json!({ "name": "n" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["done".into()];
        let acts = check(&Command, &made, &[("run \"n\"", Danger)]);
        assert_eq!(argv(&acts[0]), ["make", "it"]);
        let again =
            change(Action::Update, id.clone()).wants(args()).sees(json!({ "done": true }), &["triggers"]);
        check(&Command, &again, &[("run \"n\" again", Danger)]);
        let there =
            change(Action::Adopt, id.clone()).wants(args()).sees(json!({ "done": true }), &["triggers"]);
        assert_eq!(check(&Command, &there, &[("take over what \"n\" has done", InPlace)]).len(), 1);
        let gone = change(Action::Delete, id).had(args()).sees(json!({}), &[]);
        assert_eq!(check(&Command, &gone, &[("leave what \"n\" has done", InPlace)]), []);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |args: Json| Command.check(&obj(args)).len();
        assert_eq!(found(args()), 0);
        for bad in [
            json!({ "name": "n" }),
            json!({ "name": "n", "run": [] }),
            json!({ "name": "n", "run": ["a"], "script": "b" }),
            json!({ "name": "n", "run": ["a"], "creates": "x" }),
            json!({ "name": "n", "run": ["a"], "creates": "/x", "unless": "true" }),
        ] {
            assert_eq!(found(bad.clone()), 1, "{bad}");
        }
    }
}
