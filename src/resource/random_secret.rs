//! `random_secret`: a secret that is made on the host and never leaves it.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Expect, Permissions};
use super::answer::{Answer, FileType};
use super::filesystem as fs;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb};
use super::probe::Probe;
use super::program::program;
use super::reading::{
    before, desired, differs, flag, got, observed, required, taken_over, text, verb, whole,
};

/// The kind.
pub struct RandomSecret;

static SCHEMA: Schema = Schema {
    kind: "random_secret",
    version: 1,
    summary: "A random secret in a file, made on the host.",
    doc: "Makes a file of random text from the host's `/dev/urandom` where there is none. The secret never leaves the \
          host: it is not read, not in the state and not in a plan, and no digest of it is either, because a digest \
          of a short secret can be guessed. A file that is there is taken over if it has the wanted length; another \
          one is an error, never overwritten. Later a file of another length is drift, and the repair is a new \
          secret; another content of the same length cannot be seen. For a new secret use `apply --replace`, or \
          `replace_triggered_by` in `lifecycle`: the old one is lost. Destroy leaves the file, because what it \
          opens may still be needed, and gives mode and owner back to one that was there before; with \
          `keep = false` it removes a file that coxswain made.",
    example: r#"random_secret "jwt" {
  host     = host.nfs
  path     = "/srv/jwt.hex"
  encoding = "hex"
  length   = 64
  mode     = "0640"
  group    = "adm"
}
"#,
    attributes: &[
        Attr::new("path", AttrType::Path, Class::Identity, "Where the file is; its directory must exist or be managed.")
            .implies(&[Implies::Provides(Thing::Path), Implies::WantsParents]),
        Attr::new(
            "length",
            AttrType::Num,
            Class::Owned,
            "Characters in the file, or bytes of a `raw` one; there is no newline at the end. 64 of `hex` are 256 bits.",
        )
        .default("64"),
        Attr::new(
            "encoding",
            AttrType::OneOf(&["hex", "base64", "alphanumeric", "raw"]),
            Class::Setting,
            "How the random bytes are written when the secret is made; a later change waits for the next secret.",
        )
        .default("\"hex\""),
        Attr::new(
            "keep",
            AttrType::Bool,
            Class::Setting,
            "Whether destroy leaves a file that coxswain made.",
        )
        .default("true"),
        fs::MODE.default("\"0600\""),
        fs::OWNER,
        fs::GROUP,
        fs::UID,
        fs::GID,
        fs::FILE_TYPE,
        fs::MTIME,
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: None,
    documented: true,
};

/// The longest secret.
const LENGTH_MAX: i128 = 65_536;

/// The shortest that has 128 bits.
fn shortest(encoding: &str) -> i128 {
    match encoding {
        "raw" => 16,
        "alphanumeric" => 22,
        "base64" => 24,
        _ => 32,
    }
}

fn bad(summary: String, detail: impl Into<String>) -> Diagnostic {
    Diagnostic::error("bad-secret", summary).detail(detail)
}

fn bad_length(args: &Object) -> Option<Diagnostic> {
    let encoding = text(args, "encoding").unwrap_or("hex");
    let given = args.get("length").and_then(Value::as_num)?;
    let least = shortest(encoding);
    let Some(length) = given.to_i128().filter(|n| (least..=LENGTH_MAX).contains(n)) else {
        return Some(bad(
            format!("`length` of a secret in {encoding} cannot be {given}"),
            format!("It is a whole number from {least}, which is 128 bits, to {LENGTH_MAX}."),
        ));
    };
    (encoding == "base64" && length % 4 != 0).then(|| {
        bad(
            format!("`length` of a secret in base64 cannot be {length}"),
            "Base64 has four characters for three bytes: give a multiple of 4.",
        )
    })
}

/// Why the mode opens the secret to everybody.
fn bad_mode(args: &Object) -> Option<Diagnostic> {
    let mode = text(args, "mode")?;
    let bits = u32::from_str_radix(mode, 8).ok()?;
    (bits & 0o007 != 0).then(|| {
        bad(
            format!("mode {mode} opens the secret to everybody"),
            "Give it to a group instead: `\"0640\"` and `group`.",
        )
    })
}

impl HostKind for RandomSecret {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found = fs::check(args);
        found.extend(bad_length(args));
        found.extend(bad_mode(args));
        found
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(path) = text(identity, "path") else {
            return Observation::Unknown("its path is not known".into());
        };
        let probe = Probe::Stat(path.to_owned());
        let found = got(answers, &probe, |a| if let Answer::Stat(s) = a { Some(s) } else { None });
        observed(found, probe, |stat| {
            let mut object = fs::stat_object(path, stat);
            let length = i64::try_from(stat.size).unwrap_or(i64::MAX);
            object.insert("length".into(), Value::from(length));
            Observation::Present(object)
        })
    }

    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        let problems: Diagnostics = fs::wrong_type(change, FileType::File)
            .into_iter()
            .chain(fs::relative_path(cx.endpoint, change))
            .chain(foreign(path, change))
            .collect();
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            _ if !problems.is_empty() => Err(problems),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => Ok(make_steps(path, change)),
            Action::Delete => {
                let title = match removal(change) {
                    Removal::Remove => format!("remove the secret {path}"),
                    Removal::Permissions(_) => {
                        format!("leave {path} with its secret, restore its permissions")
                    }
                    Removal::Leave => format!("leave {path} with its secret"),
                };
                Ok(vec![Step::new("remove", Verb::Delete, title)])
            }
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let path = required(&change.identity, "path")?.to_owned();
        if step.verb == Verb::Delete {
            return Ok(match removal(change) {
                Removal::Remove => vec![Act::RemoveFile { path, expects: Expect::Anything }],
                Removal::Permissions(permissions) => vec![Act::SetPermissions { path, permissions }],
                Removal::Leave => Vec::new(),
            });
        }
        let wanted = desired(change)?;
        let permissions = fs::permissions(wanted);
        if is_made(change) {
            return Ok(vec![make(path, wanted, permissions, change)?]);
        }
        Ok(if fs::differing_permissions(change).is_empty() {
            Vec::new()
        } else {
            vec![Act::SetPermissions { path, permissions }]
        })
    }
}

/// Why a file that somebody else made is not taken over.
fn foreign(path: &str, change: &Change) -> Option<Diagnostic> {
    if change.action != Action::Adopt || !differs(change, "length") {
        return None;
    }
    let found = change.observed.as_ref().and_then(|o| whole(o, "length"))?;
    let wanted = change.desired.as_ref().and_then(|d| whole(d, "length"))?;
    let problem = Diagnostic::error("secret-is-there", format!("{path} has {found} bytes, not {wanted}"));
    Some(problem.detail(format!(
        "It was not made by coxswain, and what it holds may be needed: it is not overwritten. If it is the secret, \
         say `length = {found}`; if not, move it away, or choose another path."
    )))
}

/// Whether the step makes a secret.
fn is_made(change: &Change) -> bool {
    change.observed.is_none() || differs(change, "length")
}

fn make(path: String, wanted: &Object, permissions: Permissions, change: &Change) -> Result<Act, KindError> {
    let length =
        whole(wanted, "length").ok_or_else(|| KindError::Failed("`length` is not known".into()))?.to_string();
    // One that we made or took over may be there: it is replaced, or has a length that is not ours.
    let over = change.observed.is_some() || !change.prior.is_empty();
    Ok(program!("random-secret", "make a random secret").act([
        path,
        required(wanted, "encoding")?.to_owned(),
        length,
        permissions.mode.unwrap_or_else(|| "0600".into()),
        permissions.owner.unwrap_or_default(),
        permissions.group.unwrap_or_default(),
        if over { "over" } else { "new" }.to_owned(),
    ]))
}

/// What destroy does with the file.
enum Removal {
    Remove,
    Permissions(Permissions),
    Leave,
}

fn removal(change: &Change) -> Removal {
    match (&change.observed, before(change)) {
        (None, _) => Removal::Leave,
        (Some(_), None) if change.before.is_some() && flag(&change.prior, "keep") == Some(false) => {
            Removal::Remove
        }
        (Some(_), None) => Removal::Leave,
        (Some(_), Some(first)) => match fs::former(first, &change.prior) {
            p if p == Permissions::default() => Removal::Leave,
            p => Removal::Permissions(p),
        },
    }
}

fn make_steps(path: &str, change: &Change) -> Vec<Step> {
    let permissions = fs::differing_permissions(change);
    if is_made(change) {
        let step = |title: String| Step::new("apply", verb(change), title);
        return vec![if change.observed.is_some() {
            step(format!("make a new secret in {path}; what is there is lost")).class(StepClass::Danger)
        } else if !change.prior.is_empty() {
            // It is gone, or asked to be made anew: what the former one opens stays closed.
            step(format!("make a new secret in {path} in the place of the former one"))
                .class(StepClass::Danger)
        } else {
            step(format!("make a secret in {path}"))
        }];
    }
    if permissions.is_empty() {
        return taken_over(change, path);
    }
    vec![Step::new("apply", verb(change), format!("set {permissions} of {path}"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::StatAnswer;
    use crate::resource::kind::StepClass::{Danger, InPlace};
    use crate::resource::reading::fixture::{argv, change, check, obj, observe, refused};
    use serde_json::{Value as Json, json};

    const PATH: &str = "/srv/jwt";

    fn at(action: Action) -> Change {
        change(action, json!({ "path": PATH }))
    }

    fn wanted() -> Json {
        json!({ "encoding": "hex", "length": 64, "mode": "0600", "group": "adm", "keep": true })
    }

    fn there(length: u64, mode: &str) -> Json {
        json!({ "file_type": "file", "length": length, "mode": mode, "uid": 0, "gid": 4 })
    }

    #[test]
    fn seen_by_its_size_alone() {
        let probe = || Probe::Stat(PATH.into());
        let look = |answers| observe(&RandomSecret, json!({ "path": PATH }), answers);
        assert_eq!(look(vec![]), Observation::Need(vec![probe()]));
        assert_eq!(look(vec![(probe(), Answer::Absent)]), Observation::Absent);
        assert!(matches!(look(vec![(probe(), Answer::TooLong)]), Observation::Unknown(_)));
        let stat = StatAnswer {
            file_type: FileType::File,
            mode: "0600".into(),
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: 64,
            mtime: 1,
        };
        let Observation::Present(found) = look(vec![(probe(), Answer::Stat(stat))]) else {
            panic!("it is there")
        };
        assert_eq!((whole(&found, "length"), text(&found, "mode")), (Some(64), Some("0600")));
    }

    #[test]
    fn made_once_and_never_over_a_foreign_file() {
        let create = at(Action::Create).wants(wanted());
        let acts = check(&RandomSecret, &create, &[("make a secret in /srv/jwt", InPlace)]);
        assert_eq!(
            argv(&acts[0])[3..],
            ["make a random secret", PATH, "hex", "64", "0600", "", "adm", "new"]
        );

        let short = at(Action::Adopt).wants(wanted()).sees(there(5, "0600"), &["length"]);
        assert_eq!(refused(&RandomSecret, &short), "/srv/jwt has 5 bytes, not 64");
        let equal = at(Action::Adopt).wants(wanted()).sees(there(64, "0600"), &[]);
        assert_eq!(check(&RandomSecret, &equal, &[("take over /srv/jwt", InPlace)]), []);
    }

    #[test]
    fn a_replacement_and_a_repair_are_made_over_what_is_there() {
        let anew = at(Action::Create).had(wanted()).was(json!(null)).wants(wanted());
        let title = "make a new secret in /srv/jwt in the place of the former one";
        let acts = check(&RandomSecret, &anew, &[(title, Danger)]);
        assert_eq!(argv(&acts[0]).last(), Some(&"over"));
        let cut = at(Action::Update).had(wanted()).wants(wanted()).sees(there(0, "0600"), &["length"]);
        let title = "make a new secret in /srv/jwt; what is there is lost";
        let acts = check(&RandomSecret, &cut, &[(title, Danger)]);
        assert_eq!(argv(&acts[0]).last(), Some(&"over"));
    }

    #[test]
    fn a_mode_is_set_without_a_new_secret() {
        let open = at(Action::Update).had(wanted()).wants(wanted()).sees(there(64, "0644"), &["mode"]);
        let acts = check(&RandomSecret, &open, &[("set mode of /srv/jwt", InPlace)]);
        assert!(matches!(&acts[..], [Act::SetPermissions { .. }]), "{acts:?}");
    }

    #[test]
    fn destroy_loses_nothing_unless_told() {
        let delete = || at(Action::Delete).had(wanted()).sees(there(64, "0600"), &[]);
        let left = [("leave /srv/jwt with its secret", InPlace)];
        assert_eq!(check(&RandomSecret, &delete().was(json!(null)), &left), []);
        let mut told = delete().was(json!(null));
        told.prior.insert("keep".into(), Value::from(false));
        let acts = check(&RandomSecret, &told, &[("remove the secret /srv/jwt", InPlace)]);
        assert_eq!(acts, [Act::RemoveFile { path: PATH.into(), expects: Expect::Anything }]);
        // One that was there is never removed.
        told.before = Some(Some(obj(there(64, "0640"))));
        let title = "leave /srv/jwt with its secret, restore its permissions";
        let acts = check(&RandomSecret, &told, &[(title, InPlace)]);
        assert!(matches!(&acts[..], [Act::SetPermissions { .. }]), "{acts:?}");
        // Nor is one of which it is not known whether it was there.
        told.before = None;
        assert_eq!(check(&RandomSecret, &told, &left), []);
    }

    #[test]
    fn arguments_are_checked() {
        let codes =
            |args: Json| RandomSecret.check(&obj(args)).into_iter().map(|d| d.summary).collect::<Vec<_>>();
        for (encoding, length) in [("hex", 32), ("base64", 24), ("alphanumeric", 22), ("raw", 16)] {
            let args = |length: i32| json!({ "path": PATH, "encoding": encoding, "length": length });
            assert_eq!(codes(args(length)), Vec::<String>::new(), "{encoding}");
            assert_eq!(codes(args(length - 1)).len(), 1, "{encoding}");
        }
        let odd = codes(json!({ "encoding": "base64", "length": 45 }));
        assert_eq!(odd, ["`length` of a secret in base64 cannot be 45"]);
        assert_eq!(codes(json!({ "length": 64.5 })).len(), 1);
        assert_eq!(codes(json!({ "length": 65_537 })).len(), 1);
        assert_eq!(codes(json!({ "mode": "0644" })), ["mode 0644 opens the secret to everybody"]);
        assert_eq!(codes(json!({ "mode": "0640" })), Vec::<String>::new());
    }
}
