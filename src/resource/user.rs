//! `user`: an account, without passwords.

use std::sync::Arc;

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Type, Value};

use super::act::Act;
use super::answer::{Answer, UserAnswer};
use super::filesystem::bad_id;
use super::group::{NO_SUCH_ACCOUNT, bad_name, other_number, program};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::reading::{
    accounts, before, desired, differs, flag, given, got, listed, observed, required, taken_over, text,
    whole, words,
};

/// The kind.
pub struct User;

/// What usermod can change, and its options; useradd has the same ones.
const OPTIONS: [(&str, &str); 5] =
    [("group", "-g"), ("groups", "-G"), ("home", "-d"), ("shell", "-s"), ("comment", "-c")];

static SCHEMA: Schema = Schema {
    kind: "user",
    version: 1,
    summary: "A user account.",
    doc: "Owns the attributes that are given. `groups` are all supplementary groups: others are taken away. A new \
          membership does not reach sessions that are open. The number of an account that exists is never changed, \
          and its home is not moved. Destroy removes an account that was not there before and leaves its home and \
          files; one that was there gets its former attributes back. Passwords are not managed.",
    example: r#"user "eth" {
  host        = host.nfs
  name        = "eth"
  uid         = 1001
  group       = "eth"
  shell       = "/usr/sbin/nologin"
  create_home = false
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "The login name.")
            .implies(&[Implies::Provides(Thing::User)]),
        Attr::new(
            "uid",
            AttrType::Num,
            Class::Owned,
            "The user's number; the host's next where none is given.",
        ),
        Attr::new(
            "group",
            AttrType::Str,
            Class::Owned,
            "The primary group by name; a new one of the user's name where none is given.",
        )
        .implies(&[Implies::Wants(Thing::Group)])
        .restores(),
        Attr::new("groups", AttrType::Set(&AttrType::Str), Class::Owned, "All supplementary groups by name.")
            .implies(&[Implies::Wants(Thing::Group)])
            .restores(),
        Attr::new("home", AttrType::Path, Class::Owned, "The home directory's path.").restores(),
        Attr::new("shell", AttrType::Path, Class::Owned, "The login shell.").restores(),
        Attr::new("comment", AttrType::Str, Class::Owned, "The full name or another remark.").restores(),
        Attr::new(
            "system",
            AttrType::Bool,
            Class::Setting,
            "Whether a new account takes its number from the range of system accounts.",
        )
        .default("false"),
        Attr::new(
            "create_home",
            AttrType::Bool,
            Class::Setting,
            "Whether a new account gets a home directory.",
        )
        .default("true"),
        Attr::new("gid", AttrType::Num, Class::Fact, "The number of the primary group."),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: Some("accounts"),
    documented: true,
};

fn object(name: &str, user: &UserAnswer) -> Object {
    let groups = user.groups.iter().map(|g| Value::from(g.as_str())).collect();
    Object::from([
        ("name".into(), Value::from(name)),
        ("uid".into(), Value::from(i64::from(user.uid))),
        ("gid".into(), Value::from(i64::from(user.gid))),
        ("group".into(), Value::from(user.primary_group.as_str())),
        ("groups".into(), Value::set(Type::Str, groups)),
        ("home".into(), Value::from(user.home.as_str())),
        ("shell".into(), Value::from(user.shell.as_str())),
        ("comment".into(), Value::from(user.comment.as_str())),
    ])
}

/// The attribute as an option's argument.
fn argument(object: &Object, name: &str) -> Option<String> {
    if name == "groups" {
        return words(object, name).map(|groups| groups.into_iter().collect::<Vec<_>>().join(","));
    }
    text(object, name).map(str::to_owned)
}

/// Options that set these attributes of `object`.
fn options(object: &Object, takes: impl Fn(&str) -> bool) -> Vec<String> {
    OPTIONS
        .into_iter()
        .filter(|(name, _)| takes(name))
        .filter_map(|(name, option)| Some([option.to_owned(), argument(object, name)?]))
        .flatten()
        .collect()
}

/// What destroy gives back to an account that was there before: its former attributes that were ours and differ.
fn former(change: &Change) -> Vec<&'static str> {
    let (Some(first), Some(now)) = (before(change), &change.observed) else { return Vec::new() };
    let changed =
        |name: &str| given(&change.prior, name).is_some() && argument(first, name) != argument(now, name);
    OPTIONS.into_iter().map(|(name, _)| name).filter(|name| changed(name)).collect()
}

fn is_removed(change: &Change) -> bool {
    before(change).is_none() && change.observed.is_some()
}

impl HostKind for User {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found: Diagnostics = bad_name(args).into_iter().chain(bad_id(args, "uid")).collect();
        for (name, _) in OPTIONS {
            if argument(args, name).is_some_and(|v| v.contains([':', '\n', '\0'])) {
                found.push(
                    Diagnostic::error("bad-account", format!("`{name}` holds a colon or a line break"))
                        .detail("They separate the fields and lines of /etc/passwd."),
                );
            }
        }
        found
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(identity, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        let probe = Probe::User(name.to_owned());
        let found = got(answers, &probe, |a| if let Answer::User(u) = a { Some(u) } else { None });
        observed(found, probe, |user| Observation::Present(object(name, user)))
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        accounts(answers, "user")
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let step = |name, verb, title| Ok(vec![Step::new(name, verb, title)]);
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            Action::Delete if is_removed(change) => {
                step("remove", Verb::Delete, format!("remove the user {name}"))
            }
            Action::Delete => {
                let former = former(change);
                let title = if former.is_empty() {
                    format!("leave the user {name} as it is")
                } else {
                    format!("restore {} of the user {name}", listed(&former))
                };
                step("remove", Verb::Delete, title)
            }
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                if let Some(problem) = other_number(change, "uid") {
                    return Err(vec![problem]);
                }
                if change.observed.is_none() {
                    return step("apply", Verb::Create, format!("make the user {name}"));
                }
                let differing: Vec<&str> = change.differing.iter().map(Arc::as_ref).collect();
                if differing.is_empty() {
                    return Ok(taken_over(change, &format!("the user {name}")));
                }
                step("apply", Verb::Update, format!("set {} of the user {name}", listed(&differing)))
            }
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        if step.verb == Verb::Delete {
            if is_removed(change) {
                let argv = vec!["userdel".into(), "--".into(), name.into()];
                return Ok(vec![program(argv, &[0, NO_SUCH_ACCOUNT])]);
            }
            let former = former(change);
            let first = before(change).cloned().unwrap_or_default();
            return Ok(usermod(name, options(&first, |o| former.contains(&o))));
        }
        let wanted = desired(change)?;
        if change.observed.is_some() {
            return Ok(usermod(name, options(wanted, |o| differs(change, o))));
        }
        Ok(vec![useradd(name, wanted)])
    }
}

fn usermod(name: &str, options: Vec<String>) -> Vec<Act> {
    if options.is_empty() {
        return Vec::new();
    }
    let argv = ["usermod".to_owned()].into_iter().chain(options).chain(["--".into(), name.into()]).collect();
    vec![program(argv, &[0])]
}

fn useradd(name: &str, wanted: &Object) -> Act {
    let mut argv = vec!["useradd".to_owned()];
    if flag(wanted, "system") == Some(true) {
        argv.push("--system".into());
    }
    let no_home = flag(wanted, "create_home") == Some(false);
    argv.push(if no_home { "--no-create-home" } else { "--create-home" }.into());
    if let Some(uid) = whole(wanted, "uid") {
        argv.extend(["-u".into(), uid.to_string()]);
    }
    argv.extend(options(wanted, |o| argument(wanted, o).is_some_and(|v| !v.is_empty())));
    argv.extend(["--".into(), name.into()]);
    program(argv, &[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe, refused};
    use serde_json::json;

    fn at(action: Action) -> Change {
        change(action, json!({ "name": "eth" }))
    }

    fn seen() -> serde_json::Value {
        json!({ "name": "eth", "uid": 1001, "gid": 2000, "group": "eth", "groups": ["adm", "docker"],
                "home": "/home/eth", "shell": "/bin/bash", "comment": "" })
    }

    #[test]
    fn observed() {
        let look =
            |answer| observe(&User, json!({ "name": "eth" }), vec![(Probe::User("eth".into()), answer)]);
        let user = UserAnswer {
            uid: 1001,
            gid: 2000,
            primary_group: "eth".into(),
            comment: String::new(),
            home: "/home/eth".into(),
            shell: "/bin/bash".into(),
            groups: vec!["adm".into(), "docker".into()],
        };
        let Observation::Present(found) = look(Answer::User(user)) else { panic!("the user is there") };
        for (name, value) in obj(seen()) {
            assert!(found[&name].same(&value), "{name}");
        }
        assert_eq!(look(Answer::Absent), Observation::Absent);
        assert_eq!(look(Answer::Unknown("denied".into())), Observation::Unknown("denied".into()));
        assert!(matches!(look(Answer::TooLong), Observation::Unknown(_)));
    }

    #[test]
    fn made() {
        let wanted = json!({ "uid": 1001, "group": "eth", "groups": ["b", "a"], "shell": "/usr/sbin/nologin",
            "create_home": false, "system": true });
        let acts = check(&User, &at(Action::Create).wants(wanted), &[("make the user eth", InPlace)]);
        let expected = "useradd --system --no-create-home -u 1001 -g eth -G a,b -s /usr/sbin/nologin -- eth";
        assert_eq!(argv(&acts[0]).join(" "), expected);
        let acts = check(&User, &at(Action::Create).wants(json!({})), &[("make the user eth", InPlace)]);
        assert_eq!(argv(&acts[0]), ["useradd", "--create-home", "--", "eth"]);
    }

    #[test]
    fn changed() {
        let wanted = json!({ "groups": [], "shell": "/bin/sh" });
        let changed = at(Action::Update).wants(wanted).sees(seen(), &["groups", "shell"]);
        let acts = check(&User, &changed, &[("set groups and shell of the user eth", InPlace)]);
        assert_eq!(argv(&acts[0]), ["usermod", "-G", "", "-s", "/bin/sh", "--", "eth"]);

        let adopted = at(Action::Adopt).wants(json!({})).sees(seen(), &[]);
        assert_eq!(check(&User, &adopted, &[("take over the user eth", InPlace)]), []);

        let renumbered = at(Action::Update).wants(json!({ "uid": 5 })).sees(seen(), &["uid"]);
        assert_eq!(refused(&User, &renumbered), "`eth` has uid 1001, not 5");
    }

    #[test]
    fn removed_or_restored() {
        let delete =
            || at(Action::Delete).had(json!({ "shell": "/bin/bash", "groups": ["adm"] })).sees(seen(), &[]);
        let acts = check(&User, &delete().was(json!(null)), &[("remove the user eth", InPlace)]);
        assert_eq!(argv(&acts[0]), ["userdel", "--", "eth"]);

        let mut first = seen();
        first["shell"] = json!("/bin/sh");
        first["comment"] = json!("not ours");
        let acts = check(&User, &delete().was(first), &[("restore shell of the user eth", InPlace)]);
        assert_eq!(argv(&acts[0]), ["usermod", "-s", "/bin/sh", "--", "eth"]);

        assert_eq!(check(&User, &delete().was(seen()), &[("leave the user eth as it is", InPlace)]), []);
    }

    #[test]
    fn fields_hold_no_separators() {
        let found = User.check(&obj(json!({ "name": "eth", "comment": "a:b" })));
        assert_eq!(found[0].summary, "`comment` holds a colon or a line break");
    }
}
