//! `group`: a group of users; who is in it is the users' business.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::Act;
use super::answer::Answer;
use super::filesystem::bad_id;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::reading::{
    accounts, before, desired, differs, flag, got, observed, required, taken_over, text, whole,
};

/// The kind.
pub struct Group;

/// groupdel(8): "specified group doesn't exist".
pub(super) const NO_SUCH_ACCOUNT: i32 = 6;
/// Longest name that Debian's tools take: useradd(8), "CAVEATS".
const NAME_MAX: usize = 32;

static SCHEMA: Schema = Schema {
    kind: "group",
    version: 1,
    summary: "A group of users.",
    doc: "Owns the group's existence; members are given by each `user`'s `groups`. The number of a group that exists \
          is never changed: files would keep the old one. Destroy removes the group only if it was not there before.",
    example: r#"group "eth" {
  host = host.nfs
  name = "eth"
  gid  = 2000
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "The group's name.")
            .implies(&[Implies::Provides(Thing::Group)]),
        Attr::new(
            "gid",
            AttrType::Num,
            Class::Owned,
            "The group's number; the host's next where none is given.",
        ),
        Attr::new(
            "system",
            AttrType::Bool,
            Class::Setting,
            "Whether a new group takes its number from the range of system groups.",
        )
        .default("false"),
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

/// Why the text is no name of a user or group: useradd(8) takes no other names either.
pub(super) fn bad_name(args: &Object) -> Option<Diagnostic> {
    let name = text(args, "name")?;
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let fits = name.starts_with(first)
        && name.len() <= NAME_MAX
        && name.chars().all(|c| first(c) || c.is_ascii_digit() || c == '-' || c == '.');
    (!fits).then(|| {
        Diagnostic::error("bad-account-name", format!("`{}` is not an account's name", name.escape_debug()))
            .detail(
                "It begins with a small letter or `_`, goes on with small letters, digits, `_`, `-` and `.`, and \
                 has at most 32 of them.",
            )
    })
}

/// Why the account cannot have the wanted number: it has another.
pub(super) fn other_number(change: &Change, attribute: &str) -> Option<Diagnostic> {
    let wanted = change.desired.as_ref().and_then(|d| whole(d, attribute))?;
    let now = change.observed.as_ref().and_then(|o| whole(o, attribute))?;
    let name = text(&change.identity, "name").unwrap_or_default();
    (differs(change, attribute) && wanted != now).then(|| {
        Diagnostic::error("account-number", format!("`{name}` has {attribute} {now}, not {wanted}")).detail(
            "The number of an existing account is never changed: its files would keep the old one. Give the number \
             it has, or choose another name.",
        )
    })
}

/// A program that must succeed.
pub(super) fn program(argv: Vec<String>, ok: &[i32]) -> Act {
    Act::Run { argv, env: Vec::new(), input: None, ok: ok.to_vec() }
}

impl HostKind for Group {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        bad_name(args).into_iter().chain(bad_id(args, "gid")).collect()
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(identity, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        let probe = Probe::Group(name.to_owned());
        let found = got(answers, &probe, |a| if let Answer::Group(g) = a { Some(g) } else { None });
        observed(found, probe, |group| {
            Observation::Present(Object::from([
                ("name".into(), Value::from(name)),
                ("gid".into(), Value::from(i64::from(group.gid))),
            ]))
        })
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        accounts(answers, "group")
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let step = |name, verb, title| Ok(vec![Step::new(name, verb, title)]);
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            Action::Delete if before(change).is_some() || change.observed.is_none() => {
                step("remove", Verb::Delete, format!("leave the group {name} as it is"))
            }
            Action::Delete => step("remove", Verb::Delete, format!("remove the group {name}")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                if let Some(problem) = other_number(change, "gid") {
                    return Err(vec![problem]);
                }
                if change.observed.is_none() {
                    return step("apply", Verb::Create, format!("make the group {name}"));
                }
                Ok(taken_over(change, &format!("the group {name}")))
            }
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        if step.verb == Verb::Delete {
            let is_ours = before(change).is_none() && change.observed.is_some();
            let argv = vec!["groupdel".into(), "--".into(), name.into()];
            return Ok(if is_ours { vec![program(argv, &[0, NO_SUCH_ACCOUNT])] } else { Vec::new() });
        }
        if change.observed.is_some() {
            return Ok(Vec::new());
        }
        let wanted = desired(change)?;
        let mut argv = vec!["groupadd".to_owned()];
        if flag(wanted, "system") == Some(true) {
            argv.push("--system".into());
        }
        if let Some(gid) = whole(wanted, "gid") {
            argv.extend(["--gid".into(), gid.to_string()]);
        }
        argv.extend(["--".into(), name.into()]);
        Ok(vec![program(argv, &[0])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::GroupAnswer;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe, refused};
    use serde_json::json;

    fn at(action: Action) -> Change {
        change(action, json!({ "name": "eth" }))
    }

    #[test]
    fn observed() {
        let seen =
            |answer| observe(&Group, json!({ "name": "eth" }), vec![(Probe::Group("eth".into()), answer)]);
        let group = Answer::Group(GroupAnswer { gid: 2000, members: vec![] });
        assert_eq!(seen(group), Observation::Present(obj(json!({ "name": "eth", "gid": 2000 }))));
        assert_eq!(seen(Answer::Absent), Observation::Absent);
        assert_eq!(seen(Answer::Unknown("denied".into())), Observation::Unknown("denied".into()));
    }

    #[test]
    fn made_adopted_removed() {
        let made = at(Action::Create).wants(json!({ "gid": 2000, "system": true }));
        let acts = check(&Group, &made, &[("make the group eth", InPlace)]);
        assert_eq!(argv(&acts[0]), ["groupadd", "--system", "--gid", "2000", "--", "eth"]);

        let seen = || json!({ "gid": 2000 });
        let adopted = at(Action::Adopt).wants(json!({ "gid": 2000 })).sees(seen(), &[]);
        assert_eq!(check(&Group, &adopted, &[("take over the group eth", InPlace)]), []);

        let ours = at(Action::Delete).was(json!(null)).sees(seen(), &[]);
        let acts = check(&Group, &ours, &[("remove the group eth", InPlace)]);
        assert_eq!(acts, [program(vec!["groupdel".into(), "--".into(), "eth".into()], &[0, 6])]);

        let theirs = at(Action::Delete).was(seen()).sees(seen(), &[]);
        assert_eq!(check(&Group, &theirs, &[("leave the group eth as it is", InPlace)]), []);
    }

    #[test]
    fn numbers_never_change() {
        let other = at(Action::Update).wants(json!({ "gid": 2001 })).sees(json!({ "gid": 2000 }), &["gid"]);
        assert_eq!(refused(&Group, &other), "`eth` has gid 2000, not 2001");
    }

    #[test]
    fn names_are_checked() {
        let found = |name: &str| Group.check(&obj(json!({ "name": name }))).len();
        for good in ["eth", "_apt", "systemd-network", "a.b", "g1"] {
            assert_eq!(found(good), 0, "{good}");
        }
        for bad in ["", "-x", "1a", "Eth", "a:b", "a b", &"a".repeat(33)] {
            assert_eq!(found(bad), 1, "{bad}");
        }
    }
}
