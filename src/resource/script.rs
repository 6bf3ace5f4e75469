//! `script`: the way out, with a real difference: one script reads, one brings about, one takes away.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::Value as Json;

use super::act::{Act, Content};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::reading::{Got, desired, given, not_understood, required, said, taken_over, text, verb, whole};

/// The kind.
pub struct Script;

static SCHEMA: Schema = Schema {
    kind: "script",
    version: 1,
    summary: "What no kind does: read, apply and destroy by scripts of your own.",
    doc: "`read` prints a JSON object; its fields are compared with `want`, key by key, and where they differ `apply` \
          is run. No output means that there is nothing yet. `read` is run by every plan and by the drift check, so it \
          must change nothing, and it is kept in the state, so it must hold nothing secret; secrets are for \
          `environment`, which `apply` and `destroy` get. Scripts come by standard input, never as arguments. `apply` \
          finds what is wanted in `COXSWAIN_WANT`. Destroy runs `destroy`; without one it leaves everything.",
    example: r#"script "limits" {
  host  = host.nfs
  name  = "nofile"
  read  = "printf '{\"soft\": \"%s\"}' \"$(sed -n 's/^DefaultLimitNOFILE=//p' /etc/systemd/system.conf)\""
  want  = { soft = "65536" }
  apply = "sed -i '/DefaultLimitNOFILE=/d' /etc/systemd/system.conf; echo DefaultLimitNOFILE=65536 >>/etc/systemd/system.conf"
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "Its name on its host."),
        Attr::new("read", AttrType::Str, Class::Setting, "For sh: prints what is there as a JSON object.")
            .required()
            .asked(),
        Attr::new("apply", AttrType::Str, Class::Setting, "Brings about what is wanted.").required(),
        Attr::new("destroy", AttrType::Str, Class::Setting, "Takes it away."),
        Attr::new(
            "want",
            AttrType::Any,
            Class::Owned,
            "What `read` shall print; other fields of it do not count.",
        )
        .required()
        .asked(),
        Attr::new(
            "interpreter",
            AttrType::List(&AttrType::Str),
            Class::Setting,
            "The program that `apply` and `destroy` are given to.",
        )
        .default(r#"["sh"]"#),
        Attr::new(
            "environment",
            AttrType::Map(&AttrType::Str),
            Class::Setting,
            "Variables for `apply` and `destroy`; may be secret.",
        ),
        Attr::new("read_timeout", AttrType::Num, Class::Setting, "Seconds that `read` may take.")
            .default("20")
            .asked(),
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
    let seconds = whole(asked, "read_timeout").unwrap_or(20).to_string();
    Some(Probe::says(read_program!("script"), [text(asked, "read")?.to_owned(), seconds]))
}

impl HostKind for Script {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let mut wrong = |why: &str| problems.push(Diagnostic::error("bad-script", why));
        for name in ["read", "apply", "destroy"] {
            if text(args, name).is_some_and(|t| t.contains('\0') || t.trim().is_empty()) {
                wrong(&format!("`{name}` is empty or holds a NUL"));
            }
        }
        if args.get("want").is_some_and(|w| w.is_wholly_known() && w.as_fields().is_none()) {
            wrong("`want` is not an object");
        }
        if args.get("interpreter").and_then(Value::as_items).is_some_and(<[Value]>::is_empty) {
            wrong("`interpreter` names no program");
        }
        if whole(args, "read_timeout").is_some_and(|s| !(1..=50).contains(&s)) {
            wrong("`read_timeout` is not between 1 and 50 seconds: a plan waits for it");
        }
        let names = args.get("environment").and_then(Value::as_fields).into_iter().flat_map(|f| f.keys());
        let fits = |n: &str| {
            n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !n.starts_with(|c: char| c.is_ascii_digit())
                && !n.is_empty()
        };
        for name in names.filter(|n| !fits(n)) {
            wrong(&format!("`{}` is not a variable's name", name.escape_debug()));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(probe) = probe(asked) else {
            return Observation::Unknown("how it is read is not known".into());
        };
        let said = match said(answers, &probe) {
            Got::NotAsked => return Observation::Need(vec![probe]),
            Got::Found(said) => said,
            Got::Absent => return Observation::Unknown("no answer came".into()),
            Got::Unknown(reason) => return Observation::Unknown(reason),
        };
        match said.code {
            0 => {}
            124 | 137 => return Observation::Unknown("`read` did not end in its time".into()),
            code => {
                return Observation::Unknown(format!(
                    "`read` exited with {code}: {}",
                    not_understood(&said.text)
                ));
            }
        }
        if said.text.trim().is_empty() {
            return Observation::Absent;
        }
        let Ok(Json::Object(found)) = serde_json::from_str::<Json>(&said.text) else {
            return Observation::Unknown(format!(
                "`read` printed no JSON object; {}",
                not_understood(&said.text)
            ));
        };
        let wanted = asked.get("want").and_then(Value::as_fields);
        // Fields that nobody asked for are somebody else's.
        let fields: Object = found
            .iter()
            .filter(|(key, _)| wanted.is_none_or(|w| w.contains_key(key.as_str())))
            .map(|(key, value)| {
                let seen = json::from_json(value);
                let same =
                    wanted.and_then(|w| w.get(key.as_str())).filter(|w| json::to_json_clear(w) == *value);
                (key.as_str().into(), same.cloned().unwrap_or(seen))
            })
            .collect();
        Observation::Present(Object::from([
            ("name".into(), Value::from(text(asked, "name").unwrap_or_default())),
            ("want".into(), Value::object(fields)),
        ]))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete if text(&change.prior, "destroy").is_none() => {
                vec![Step::new(
                    "remove",
                    Verb::Delete,
                    format!("leave what the script {name} made: it has no `destroy`"),
                )]
            }
            Action::Delete => {
                vec![Step::new("remove", Verb::Delete, format!("run `destroy` of the script {name}"))]
            }
            _ if change.differing.is_empty() => taken_over(change, &format!("what the script {name} reads")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                vec![Step::new("apply", verb(change), format!("run `apply` of the script {name}"))]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let run = |args: &Object, script: &str| {
            let words = args.get("interpreter").and_then(Value::as_items).unwrap_or_default();
            let argv: Vec<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let mut env: Vec<(String, String)> = Vec::new();
            for (name, value) in given(args, "environment").and_then(Value::as_fields).into_iter().flatten() {
                env.extend(value.as_str().map(|v| (name.to_string(), v.to_owned())));
            }
            if let Some(want) = args.get("want") {
                env.push(("COXSWAIN_WANT".into(), json::to_json_clear(want).to_string()));
            }
            let input = Some(Content::new(format!("{script}\n").into_bytes()));
            let argv = if argv.is_empty() { vec!["sh".to_owned()] } else { argv };
            Act::Run { argv, env, input, ok: vec![0] }
        };
        if step.verb == Verb::Delete {
            let script = text(&change.prior, "destroy");
            return Ok(script.map(|script| run(&change.prior, script)).into_iter().collect());
        }
        let wanted = desired(change)?;
        Ok(vec![run(wanted, required(wanted, "apply")?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::json;

    fn args() -> Json {
        json!({ "name": "n", "read": "cat x", "apply": "echo", "want": { "a": 1, "b": ["x"] }, "interpreter": ["bash", "-e"],
                "environment": { "TOKEN": "s3cret" }, "read_timeout": 5 })
    }

    fn look(code: i32, text: &str) -> Observation {
        let answer = Answer::Said(SaidAnswer { code, text: text.into() });
        observe(&Script, args(), vec![(probe(&obj(args())).expect("a probe"), answer)])
    }

    #[test]
    fn observed() {
        let is = |text: &str, want: Json| {
            let Observation::Present(found) = look(0, text) else { panic!("{text}") };
            assert_eq!(json::to_json(&found["want"]), want, "{text}");
        };
        is("{\"a\": 1, \"b\": [\"x\"], \"other\": 2}\n", json!({ "a": 1, "b": ["x"] }));
        is("{\"a\": 2}", json!({ "a": 2 }));
        assert_eq!(look(0, " \n"), Observation::Absent);
        for (code, text) in [(0, "[1]"), (0, "no"), (0, "{\"a\":"), (1, "cat: x: No such file"), (124, "")] {
            assert!(matches!(look(code, text), Observation::Unknown(_)), "{code} {text}");
        }
    }

    #[test]
    fn run_and_taken_away() {
        let id = json!({ "name": "n" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["want".into()];
        let acts = check(&Script, &made, &[("run `apply` of the script n", InPlace)]);
        assert_eq!(argv(&acts[0]), ["bash", "-e"]);
        let Act::Run { env, input, .. } = &acts[0] else { panic!("{acts:?}") };
        assert_eq!(input.as_ref().map(Content::bytes), Some(&b"echo\n"[..]));
        assert!(env.contains(&("COXSWAIN_WANT".into(), "{\"a\":1,\"b\":[\"x\"]}".into())), "{env:?}");
        let gone = change(Action::Delete, id).had(args()).sees(json!({}), &[]);
        let title = "leave what the script n made: it has no `destroy`";
        assert_eq!(check(&Script, &gone, &[(title, InPlace)]), []);
        let mut with = args();
        with["destroy"] = json!("rm x");
        check(&Script, &gone.had(with), &[("run `destroy` of the script n", InPlace)]);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str, value: Json| {
            let mut args = args();
            args[name] = value;
            Script.check(&obj(args)).len()
        };
        assert_eq!(found("name", json!("n")), 0);
        for (name, value) in [
            ("apply", json!(" ")),
            ("interpreter", json!([])),
            ("read_timeout", json!(600)),
            ("environment", json!({ "A;b": "c" })),
        ] {
            assert_eq!(found(name, value.clone()), 1, "{name} {value}");
        }
    }
}
