//! `packages`: Debian packages that must be installed.
//!
//! A contribution: several instances may name one package. What this instance installed itself is remembered in
//! `added`, and only that is ever removed.

use std::collections::BTreeSet;

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Type, Value};

use super::act::Act;
use super::answer::Answer;
use super::apt::script;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::reading::{Got, before, given, got, listed, said_objects, taken_over, verb, whole, words};

/// The kind.
pub struct Packages;

/// Seconds that package lists stay good where no age is given; as in the schema.
const CACHE_AGE_S: i128 = 3600;

/// The packages. `MINUTES` is how long lists stay good. A name without candidate is never left to apt, which
/// would take it for a pattern.
const INSTALL: &str = r#"minutes=MINUTES
stamp=/var/lib/apt/periodic/update-success-stamp
missing() {
  for name do
    apt-cache policy -q -- "$name" 2>/dev/null | grep -q '^  Candidate: [^(]' || echo "$name"
  done
}
refresh() {
  for pause in 5 15 30 0; do
    if apt_get update; then
      mkdir -p "${stamp%/*}" && touch "$stamp"
      return
    fi
    sleep "$pause"
  done
}
recent=$(find "$stamp" /var/lib/apt/lists -maxdepth 0 -mmin "-$minutes" 2>/dev/null)
if [ -z "$recent" ] || [ -n "$(missing "$@")" ]; then refresh; fi
unknown=$(missing "$@")
if [ -n "$unknown" ]; then
  echo "the package lists hold no" $unknown >&2
  exit 100
fi
apt_get install -- "$@"
"#;

/// The packages. Refuses when apt would remove others with them.
const REMOVE: &str = r#"plan=$(apt_get -s remove -- "$@") || exit
also=$(echo "$plan" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | while read -r name; do
  case " $* " in *" ${name%%:*} "*) ;; *) echo "$name" ;; esac
done)
if [ -n "$also" ]; then
  echo "not removed, because these would go with it:" $also >&2
  exit 100
fi
apt_get remove -- "$@"
"#;

static SCHEMA: Schema = Schema {
    kind: "packages",
    version: 1,
    summary: "Debian packages that are installed.",
    doc: "Installs what is missing with apt-get, without recommended packages, and keeps configuration files that were \
          changed. Several instances may name the same package. Package lists are refreshed when they are old or know \
          no such package. Destroy, and taking a name off the list, removes only packages that this instance has \
          installed, never their configuration, and never anything that depends on them. Half-installed packages stop \
          the plan: somebody must run `dpkg --configure -a`. Services are not restarted by needrestart.",
    example: r#"packages "base" {
  host  = host.nfs
  names = ["chrony", "jq"]
}
"#,
    attributes: &[
        Attr::new("names", AttrType::Set(&AttrType::Str), Class::Owned, "The packages' names.")
            .required()
            .implies(&[Implies::Provides(Thing::Package)])
            .restores(),
        Attr::new(
            "update_cache_max_age",
            AttrType::Num,
            Class::Setting,
            "Seconds after which package lists are refreshed before something is installed.",
        )
        .default("3600"),
        Attr::new(
            "added",
            AttrType::Set(&AttrType::Str),
            Class::Computed,
            "The packages that were not there before this instance installed them.",
        ),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: Some("apt"),
    documented: true,
};

/// What a change does.
#[derive(Debug, Default, PartialEq)]
struct Work {
    install: BTreeSet<String>,
    remove: BTreeSet<String>,
}

fn names(object: Option<&Object>) -> BTreeSet<String> {
    object.and_then(|o| words(o, "names")).unwrap_or_default()
}

/// The packages that this instance has installed; nothing else is ever removed.
fn added(change: &Change) -> BTreeSet<String> {
    words(&change.prior, "added").unwrap_or_default()
}

/// The packages that are this instance's after a change. Where nothing was seen although something had been there
/// before, it may be that only nobody looked (a replacement): then nothing new is claimed.
fn added_after(change: &Change) -> BTreeSet<String> {
    let is_certain =
        change.observed.is_some() || (before(change).is_none() && !change.prior.contains_key("added"));
    let added = added(change);
    if is_certain { &added | &work(change).install } else { added }
}

fn work(change: &Change) -> Work {
    let (wanted, there) = (names(change.desired.as_ref()), names(change.observed.as_ref()));
    let ours = &added(change) & &there;
    Work { install: &wanted - &there, remove: &ours - &wanted }
}

fn title(work: &Work) -> Option<String> {
    let part = |verb: &str, names: &BTreeSet<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("{verb} {}", listed(&names)))
    };
    let parts: Vec<String> =
        part("install", &work.install).into_iter().chain(part("remove", &work.remove)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn bad_name(name: &str) -> Option<Diagnostic> {
    // Debian Policy 5.6.1; apt would take a trailing `-` for "remove".
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.len() >= 2
        && name.starts_with(plain)
        && !name.ends_with('-')
        && name.chars().all(|c| plain(c) || "+.-".contains(c));
    (!fits).then(|| {
        Diagnostic::error("bad-package-name", format!("`{}` is not a package's name", name.escape_debug()))
            .detail(
                "It has small letters, digits, `+`, `.` and `-`. Versions and architectures are not given.",
            )
    })
}

impl HostKind for Packages {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found: Diagnostics = names(Some(args)).iter().filter_map(|n| bad_name(n)).collect();
        if given(args, "names").and_then(Value::as_items).is_some_and(<[Value]>::is_empty) {
            found.push(Diagnostic::error("bad-package-name", "`names` is empty"));
        }
        if let Some(age) = given(args, "update_cache_max_age").and_then(Value::as_num)
            && (age.is_negative() || !age.is_int())
        {
            let summary = format!("`update_cache_max_age` cannot be {age}");
            found.push(Diagnostic::error("bad-duration", summary).detail("It is a whole number of seconds."));
        }
        found
    }

    fn observe(&self, args: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        if !args.get("names").is_some_and(Value::is_wholly_known) {
            return Observation::Unknown("its packages are not known".into());
        }
        let (mut there, mut need) = (Vec::new(), Vec::new());
        for name in names(Some(args)) {
            let probe = Probe::Package(name.clone());
            match got(answers, &probe, |a| if let Answer::Package(p) = a { Some(p) } else { None }) {
                Got::NotAsked => need.push(probe),
                Got::Absent => {}
                Got::Unknown(reason) => return Observation::Unknown(reason),
                Got::Found(package) if package.broken => {
                    let reason = format!("{name} is half-installed: run `dpkg --configure -a` on the host");
                    return Observation::Unknown(reason);
                }
                Got::Found(package) if package.installed => there.push(Value::from(name)),
                Got::Found(_) => {}
            }
        }
        if !need.is_empty() {
            Observation::Need(need)
        } else if there.is_empty() {
            Observation::Absent
        } else {
            Observation::Present(Object::from([("names".into(), Value::set(Type::Str, there))]))
        }
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        let probe = Probe::says(read_program!("manual_packages"), <[String; 0]>::default());
        said_objects(answers, probe, |fields| {
            let base: BTreeSet<&str> = fields.all("base").collect();
            let names: BTreeSet<&str> = fields.all("manual").filter(|n| !base.contains(n)).collect();
            let names: Vec<Value> = names.into_iter().map(Value::from).collect();
            let all = Object::from([("names".into(), Value::set(Type::Str, names))]);
            Ok(vec![all])
        })
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let known =
            change.desired.as_ref().is_none_or(|d| d.get("names").is_some_and(Value::is_wholly_known));
        let what = if known { title(&work(change)) } else { Some("install packages".into()) };
        let steps = |name, verb, title| Ok(vec![Step::new(name, verb, title)]);
        match (change.action, what) {
            (Action::NoOp | Action::Read | Action::Forget, _) => Ok(Vec::new()),
            (Action::Delete, what) => {
                let title = what.unwrap_or_else(|| "leave the packages as they are".into());
                steps("remove", Verb::Delete, title)
            }
            (Action::Create | Action::Adopt | Action::Update | Action::Replace, Some(title)) => {
                steps("apply", verb(change), title)
            }
            (Action::Update, None) if !change.differing.is_empty() => {
                steps("apply", Verb::Update, "leave packages that were there before".into())
            }
            (Action::Create | Action::Adopt | Action::Update | Action::Replace, None) => {
                Ok(taken_over(change, "the packages that are there"))
            }
        }
    }

    fn acts(&self, change: &Change, _step: &Step) -> Result<Vec<Act>, KindError> {
        let Work { install, remove } = work(change);
        let mut acts = Vec::new();
        if !remove.is_empty() {
            acts.push(script(REMOVE, "apt-get remove", remove));
        }
        if !install.is_empty() {
            let age = change.desired.as_ref().and_then(|d| whole(d, "update_cache_max_age"));
            let minutes = age.unwrap_or(CACHE_AGE_S).max(0) / 60;
            acts.push(script(&INSTALL.replace("MINUTES", &minutes.to_string()), "apt-get install", install));
        }
        Ok(acts)
    }

    fn made(&self, change: &Change, step: &Step) -> Object {
        if step.verb == Verb::Delete {
            return Object::new();
        }
        let ours = &added_after(change) & &names(change.desired.as_ref());
        let ours = ours.into_iter().map(Value::from).collect();
        Object::from([("added".into(), Value::set(Type::Str, ours))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::PackageAnswer;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::json;

    fn at(action: Action) -> Change {
        change(action, json!({}))
    }

    fn installed() -> PackageAnswer {
        PackageAnswer { version: "1".into(), installed: true, held: false, broken: false }
    }

    fn look(answers: &[(&str, Answer)]) -> Observation {
        let answers = answers.iter().map(|(n, a)| (Probe::Package((*n).into()), a.clone())).collect();
        observe(&Packages, json!({ "names": ["jq", "chrony"] }), answers)
    }

    fn added_by(change: &Change) -> Vec<String> {
        let step = Step::new("apply", Verb::Update, "");
        words(&Packages.made(change, &step), "added").into_iter().flatten().collect()
    }

    /// Name and arguments of a script.
    #[track_caller]
    fn script_args(act: &Act) -> Vec<&str> {
        argv(act)[3..].to_vec()
    }

    #[test]
    fn observed() {
        let there = Answer::Package(installed());
        let gone = Answer::Package(PackageAnswer { installed: false, ..installed() });
        let both = vec![Probe::Package("chrony".into()), Probe::Package("jq".into())];
        assert_eq!(look(&[]), Observation::Need(both));
        let Observation::Present(found) = look(&[("jq", there.clone()), ("chrony", gone.clone())]) else {
            panic!("one is installed")
        };
        assert_eq!(names(Some(&found)), BTreeSet::from(["jq".to_owned()]));
        assert_eq!(look(&[("jq", Answer::Absent), ("chrony", gone)]), Observation::Absent);
        let broken = Answer::Package(PackageAnswer { broken: true, ..installed() });
        let reason = "jq is half-installed: run `dpkg --configure -a` on the host";
        assert_eq!(look(&[("jq", broken), ("chrony", there)]), Observation::Unknown(reason.into()));
        let denied = Answer::Unknown("no dpkg".into());
        assert_eq!(look(&[("chrony", denied)]), Observation::Unknown("no dpkg".into()));
    }

    #[test]
    fn what_is_missing_is_installed() {
        let made =
            at(Action::Create).wants(json!({ "names": ["jq", "chrony"], "update_cache_max_age": 600 }));
        let acts = check(&Packages, &made, &[("install chrony and jq", InPlace)]);
        assert_eq!(script_args(&acts[0]), ["apt-get install", "chrony", "jq"]);
        assert!(matches!(&acts[0], Act::Run { argv, .. } if argv[2].contains("\nminutes=10\n")));
        assert_eq!(added_by(&made), ["chrony", "jq"]);

        let there = json!({ "names": ["jq"] });
        let adopted =
            at(Action::Adopt).wants(json!({ "names": ["jq", "chrony"] })).sees(there.clone(), &["names"]);
        let acts = check(&Packages, &adopted, &[("install chrony", InPlace)]);
        assert_eq!(script_args(&acts[0]), ["apt-get install", "chrony"]);
        assert_eq!(added_by(&adopted), ["chrony"]);

        let equal = at(Action::Adopt).wants(json!({ "names": ["jq"] })).sees(there, &[]);
        assert_eq!(check(&Packages, &equal, &[("take over the packages that are there", InPlace)]), []);
        assert!(added_by(&equal).is_empty());
    }

    #[test]
    fn only_what_was_added_is_removed() {
        let prior = || json!({ "names": ["chrony", "jq", "ufw"], "added": ["jq", "ufw"] });
        let there = || json!({ "names": ["chrony", "jq", "ufw"] });
        let fewer =
            at(Action::Update).had(prior()).wants(json!({ "names": ["ufw"] })).sees(there(), &["names"]);
        let acts = check(&Packages, &fewer, &[("remove jq", InPlace)]);
        assert_eq!(script_args(&acts[0]), ["apt-get remove", "jq"]);
        assert_eq!(added_by(&fewer), ["ufw"]);

        let delete = at(Action::Delete).had(prior()).sees(there(), &[]);
        let acts = check(&Packages, &delete, &[("remove jq and ufw", InPlace)]);
        assert_eq!(script_args(&acts[0]), ["apt-get remove", "jq", "ufw"]);

        let gone = at(Action::Create).had(prior()).was(json!({ "names": ["chrony"] })).wants(there());
        check(&Packages, &gone, &[("install chrony, jq and ufw", InPlace)]);
        assert_eq!(added_by(&gone), ["jq", "ufw"]);
        let imported = at(Action::Delete).had(there()).sees(there(), &[]);
        assert_eq!(check(&Packages, &imported, &[("leave the packages as they are", InPlace)]), []);
    }

    #[test]
    fn scripts_are_shell() {
        for text in [INSTALL, REMOVE] {
            let Act::Run { argv, .. } = super::script(text, "x", []) else { panic!("it is a program") };
            let script = &argv[2];
            let checked = std::process::Command::new("sh").args(["-n", "-c", script]).status();
            assert!(checked.is_ok_and(|s| s.success()), "{script}");
        }
    }

    #[test]
    fn names_are_checked() {
        let found = |name: &str| Packages.check(&obj(json!({ "names": [name] }))).len();
        for good in ["jq", "g++", "libc6", "python3.12"] {
            assert_eq!(found(good), 0, "{good}");
        }
        for bad in ["jq-", "-y", "jq=1", "libjq1:amd64", "", "a b"] {
            assert_eq!(found(bad), 1, "{bad}");
        }
        assert_eq!(Packages.check(&obj(json!({ "names": [] })))[0].summary, "`names` is empty");
    }
}
