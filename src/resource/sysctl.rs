//! `sysctl`: one setting of the kernel, now and at every boot.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Content, Expect, Permissions};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::program::program;
use super::reading::{
    MANAGED, before, desired, differs, flag, listed, named, required, said_fields, said_objects, taken_over,
    text, verb,
};

/// The kind.
pub struct Sysctl;

static SCHEMA: Schema = Schema {
    kind: "sysctl",
    version: 1,
    summary: "A setting of the kernel.",
    doc: "Owns one setting, as it is now and, with a file of its own in `/etc/sysctl.d`, at every boot. MicroK8s sets \
          `fs.inotify.*`, `fs.aio-max-nr` and the forwarding settings itself: leave these to it. Destroy removes the \
          file and gives back the value from before.",
    example: r#"sysctl "swappiness" {
  host  = host.nfs
  key   = "vm.swappiness"
  value = "10"
}
"#,
    attributes: &[
        Attr::new(
            "key",
            AttrType::Str,
            Class::Identity,
            "Its name, such as `vm.swappiness`; dots in a part of it, as in the name of an interface, are written `/`.",
        ),
        Attr::new("value", AttrType::Str, Class::Owned, "The value; blanks between its parts are one blank.")
            .required()
            .asked()
            .restores(),
        Attr::new(
            "at_boot",
            AttrType::Bool,
            Class::Owned,
            "Whether the files in `sysctl.d` set the value at every boot.",
        )
        .default("true")
        .restores(),
        Attr::new(
            "set_by",
            AttrType::Path,
            Class::Fact,
            "The file that sets it at boot; null where none does.",
        ),
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

/// Named so that it comes after what distributions bring: the last file counts.
fn file(key: &str) -> String {
    format!("/etc/sysctl.d/90-coxswain-{}.conf", key.replace('/', ":"))
}

/// A key as `key` has it. sysctl.d(5): where the first separator is a slash, slashes stand for dots and dots for slashes.
fn dotted(key: &str) -> String {
    if key.find(['.', '/']).is_none_or(|at| key[at..].starts_with('.')) {
        return key.to_owned();
    }
    key.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

/// One blank between the parts, as people write it.
fn tidy(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn probe(key: &str) -> Probe {
    let parts: Vec<String> = key.split('.').map(|part| part.replace('/', ".")).collect();
    Probe::says(read_program!("sysctl"), [key.to_owned(), format!("/proc/sys/{}", parts.join("/"))])
}

impl HostKind for Sysctl {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let part =
            |p: &str| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
        if let Some(key) = text(args, "key")
            && !(key.split('.').all(part) && key.contains('.') && !key.starts_with(['-', '/']))
        {
            let problem =
                Diagnostic::error("bad-sysctl", format!("`{}` is not a setting's name", key.escape_debug()));
            problems
                .push(problem.detail("It has parts with dots between them, such as `net.ipv4.ip_forward`."));
        }
        if let Some(value) = text(args, "value")
            && (value.contains(['\n', '\0']) || tidy(value) != value)
        {
            let problem =
                Diagnostic::error("bad-sysctl", "the value has blanks that the kernel would not keep");
            problems.push(problem.detail(format!("Write it `{}`.", tidy(value).escape_debug())));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(key) = text(asked, "key") else {
            return Observation::Unknown("its key is not known".into());
        };
        said_fields(answers, probe(key), |fields| {
            let Some(now) = fields.get("now") else { return Ok(None) };
            let now = tidy(now);
            let wanted = text(asked, "value").unwrap_or(&now);
            let at_boot = fields.get("boot").is_some_and(|boot| tidy(boot) == wanted);
            let set_by = fields.get("file").map_or_else(Value::null, Value::from);
            Ok(Some(Object::from([
                ("key".into(), Value::from(key)),
                ("at_boot".into(), Value::from(at_boot)),
                ("set_by".into(), set_by),
                ("value".into(), Value::from(now.as_str())),
            ])))
        })
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        let probe = Probe::says(read_program!("sysctl_keys"), <[String; 0]>::default());
        said_objects(answers, probe, |fields| {
            // Patterns stand for keys that are not named.
            Ok(named("key", fields.all("key").filter(|key| !key.contains('*')).map(dotted)))
        })
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let key = text(&change.identity, "key").unwrap_or_default();
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                let title = match old(change) {
                    Some(value) => format!("remove {} and set {key} to {value} again", file(key)),
                    None => format!("remove {}", file(key)),
                };
                vec![Step::new("apply", Verb::Delete, title)]
            }
            _ if change.differing.is_empty() => taken_over(change, key),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                overridden(change, key)?;
                let value = change.desired.as_ref().and_then(|d| text(d, "value"));
                let value = value.unwrap_or("what is known later");
                let when: Vec<&str> = [("value", "now"), ("at_boot", "at every boot")]
                    .into_iter()
                    .filter(|(name, _)| differs(change, name))
                    .map(|(_, when)| when)
                    .collect();
                vec![Step::new("apply", verb(change), format!("set {key} to {value} {}", listed(&when)))]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let key = required(&change.identity, "key")?;
        let path = file(key);
        let set = |value: &str| program!("sysctl", "sysctl -w").act([key, value]);
        if step.verb == Verb::Delete {
            let remove = Act::RemoveFile { path, expects: Expect::Anything };
            return Ok(std::iter::once(remove).chain(old(change).map(set)).collect());
        }
        let wanted = desired(change)?;
        let value = required(wanted, "value")?;
        let write = match flag(wanted, "at_boot") {
            Some(false) => Act::RemoveFile { path, expects: Expect::Anything },
            Some(true) | None => Act::WriteFile {
                path,
                content: Content::new(format!("{MANAGED}{key} = {value}\n").into_bytes()),
                permissions: Permissions { mode: Some("0644".into()), ..Permissions::default() },
                expects: Expect::Anything,
            },
        };
        Ok(vec![write, set(value)])
    }
}

/// The value to give back, if another is set.
fn old(change: &Change) -> Option<&str> {
    let value = before(change).and_then(|b| text(b, "value"))?;
    let now = change.observed.as_ref().and_then(|o| text(o, "value"));
    (now != Some(value)).then_some(value)
}

/// A file that comes after ours would win at the next boot, whatever ours says; and what others set at boot is not
/// ours to remove.
fn overridden(change: &Change, key: &str) -> Result<(), Diagnostics> {
    let Some(by) = change.observed.as_ref().and_then(|o| text(o, "set_by")) else { return Ok(()) };
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let is_unwanted = change.desired.as_ref().and_then(|d| flag(d, "at_boot")) == Some(false);
    let stands = if is_unwanted { by != file(key) } else { name(by) > name(&file(key)) };
    if !differs(change, "at_boot") || !stands {
        return Ok(());
    }
    let problem = Diagnostic::error("sysctl-overridden", format!("`{by}` sets {key} at boot"));
    let detail = match is_unwanted {
        true => "With `at_boot = false` nothing shall. Take the line out of it.".to_owned(),
        false => {
            format!("It comes after {} and would win. Take the line out of it, or rename it.", file(key))
        }
    };
    Err(vec![problem.detail(detail)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe, refused};
    use serde_json::json;

    const KEY: &str = "net.ipv4.tcp_rmem";

    fn look(text: &str) -> Observation {
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&Sysctl, json!({ "key": KEY, "value": "1 2 3" }), vec![(probe(KEY), answer)])
    }

    fn seen(value: &str, at_boot: serde_json::Value, set_by: serde_json::Value) -> serde_json::Value {
        json!({ "key": KEY, "value": value, "at_boot": at_boot, "set_by": set_by })
    }

    #[test]
    fn observed() {
        let is = |text, value, at_boot: bool, set_by| {
            assert_eq!(
                look(text),
                Observation::Present(obj(seen(value, json!(at_boot), set_by))),
                "{text:?}"
            );
        };
        is(
            "now=1\t2\t3\nboot=1 2  3\nfile=/etc/sysctl.d/a.conf\n",
            "1 2 3",
            true,
            json!("/etc/sysctl.d/a.conf"),
        );
        is("now=1\t2\t3\n", "1 2 3", false, json!(null));
        is("now=4\t5\t6\nboot=4 5 6\nfile=/a\n", "4 5 6", false, json!("/a"));
        assert_eq!(look("boot=1 2 3\nfile=/a\n"), Observation::Absent);
        assert!(matches!(look("cat: /proc: Input/output error\n"), Observation::Unknown(_)));
    }

    #[test]
    fn keys_with_dots_in_a_part() {
        let Probe::Says { words, .. } = probe("net.ipv4.conf.eth0/100.forwarding") else { panic!("says") };
        assert_eq!(words[1], "/proc/sys/net/ipv4/conf/eth0.100/forwarding");
    }

    #[test]
    fn set_and_given_back() {
        let wanted = json!({ "key": KEY, "value": "1 2 3", "at_boot": true });
        let id = json!({ "key": KEY });
        let adopt = change(Action::Adopt, id.clone()).wants(wanted.clone());
        let adopt = adopt.sees(seen("4 5 6", json!(false), json!(null)), &["value", "at_boot"]);
        let title = "set net.ipv4.tcp_rmem to 1 2 3 now and at every boot";
        let acts = check(&Sysctl, &adopt, &[(title, InPlace)]);
        let Act::WriteFile { path, content, .. } = &acts[0] else { panic!("{acts:?}") };
        assert_eq!(path, "/etc/sysctl.d/90-coxswain-net.ipv4.tcp_rmem.conf");
        assert!(content.bytes().ends_with(b"\nnet.ipv4.tcp_rmem = 1 2 3\n"));
        assert_eq!(argv(&acts[1])[3..], ["sysctl -w", KEY, "1 2 3"]);

        let delete =
            change(Action::Delete, id).had(wanted).sees(seen("1 2 3", json!(true), json!(null)), &[]);
        let title = format!("remove {path} and set {KEY} to 4 5 6 again");
        let back = delete.clone().was(seen("4 5 6", json!(false), json!(null)));
        assert_eq!(check(&Sysctl, &back, &[(&title, InPlace)]).len(), 2);
        let same = delete.was(seen("1 2 3", json!(false), json!(null)));
        assert_eq!(check(&Sysctl, &same, &[(&format!("remove {path}"), InPlace)]).len(), 1);
    }

    #[test]
    fn a_later_file_is_named() {
        let wanted = json!({ "key": KEY, "value": "1 2 3", "at_boot": true });
        let by = |file: &str| {
            let seen = seen("1 2 3", json!(false), json!(file));
            change(Action::Update, json!({ "key": KEY })).wants(wanted.clone()).sees(seen, &["at_boot"])
        };
        let later = by("/etc/sysctl.d/99-local.conf");
        assert_eq!(refused(&Sysctl, &later), "`/etc/sysctl.d/99-local.conf` sets net.ipv4.tcp_rmem at boot");
        let title = "set net.ipv4.tcp_rmem to 1 2 3 at every boot";
        check(&Sysctl, &by("/etc/sysctl.d/10-x.conf"), &[(title, InPlace)]);
        let mut unwanted = by("/etc/sysctl.d/10-x.conf");
        unwanted.desired = Some(obj(json!({ "key": KEY, "value": "1 2 3", "at_boot": false })));
        assert_eq!(refused(&Sysctl, &unwanted), "`/etc/sysctl.d/10-x.conf` sets net.ipv4.tcp_rmem at boot");
    }

    #[test]
    fn arguments_are_checked() {
        let found = |key: &str, value: &str| Sysctl.check(&obj(json!({ "key": key, "value": value }))).len();
        assert_eq!(found("vm.swappiness", "10"), 0);
        assert_eq!(found("net.ipv4.conf.eth0/1.forwarding", "1"), 0);
        for (key, value) in
            [("vm", "1"), ("../x.y", "1"), ("-w.x", "1"), ("vm.a b", "1"), ("vm.a", "1  2"), ("vm.a", "1\n")]
        {
            assert_eq!(found(key, value), 1, "{key:?} {value:?}");
        }
    }
}
