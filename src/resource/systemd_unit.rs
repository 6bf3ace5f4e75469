//! `systemd_unit`: whether a unit runs and whether it starts at boot. Its file is a `file`.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Type, Value};

use super::act::Act;
use super::answer::{Answer, UnitAnswer};
use super::host_kind::HostKind;
use super::kind::{
    Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb,
};
use super::probe::{Probe, read_program};
use super::reading::{
    before, differs, flag, given, got, listed, named, observed, required, said_objects, taken_over, text,
    verb,
};

/// The kind.
pub struct SystemdUnit;

/// What a unit's name may end in: systemd.unit(5).
const SUFFIXES: [&str; 10] = [
    ".service",
    ".socket",
    ".timer",
    ".target",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".swap",
    ".scope",
];
/// systemctl(1): "unit not loaded".
const NOT_LOADED: i32 = 5;

/// `$1`: what to do; `$2`: the unit. Where it fails, the journal's last lines say why.
const WITH_JOURNAL: &str = r#"systemctl "$1" -- "$2" && exit 0
code=$?
systemctl --no-pager --full --lines=20 status -- "$2" >&2
exit "$code"
"#;
/// `$1`: the unit.
const RELOAD_IF_NEEDED: &str = r#"case $(systemctl show --value -p NeedDaemonReload -- "$1") in
yes) exec systemctl daemon-reload ;;
esac
"#;

const fn fact(name: &'static str, ty: AttrType, doc: &'static str) -> Attr {
    Attr::new(name, ty, Class::Fact, doc).volatile()
}

static SCHEMA: Schema = Schema {
    kind: "systemd_unit",
    version: 1,
    summary: "A systemd unit: running, enabled, masked.",
    doc: "Owns what is given of `state`, `enabled` and `masked`; the unit's file comes from a package or a `file`, which \
          is put in place first. systemd reads changed files again before the unit is started. With `restart_on` the \
          unit restarts when one of these resources changes. A unit that starts and ends by itself (a oneshot without \
          RemainAfterExit) is never `running`; leave `state` out. Destroy gives back what was there; a unit that did \
          not exist before is stopped and disabled.",
    example: r#"file "exporter" {
  host    = host.nfs
  path    = "/etc/systemd/system/exporter.service"
  content = "[Service]\nExecStart=/usr/bin/exporter\n[Install]\nWantedBy=multi-user.target\n"
}

systemd_unit "exporter" {
  host       = host.nfs
  name       = "exporter.service"
  state      = "running"
  enabled    = true
  restart_on = [file.exporter]
}
"#,
    attributes: &[
        Attr::new(
            "name",
            AttrType::Str,
            Class::Identity,
            "The unit's full name with its suffix, such as `chrony.service`.",
        )
        .implies(&[Implies::Provides(Thing::Unit), Implies::WantsFileIn("/etc/systemd/system")]),
        Attr::new("state", AttrType::OneOf(&["running", "stopped"]), Class::Owned, "Whether it runs.")
            .restores(),
        Attr::new("enabled", AttrType::Bool, Class::Owned, "Whether it starts at boot.").restores(),
        Attr::new("masked", AttrType::Bool, Class::Owned, "Whether nothing can start it.").restores(),
        fact("active", AttrType::Str, "systemd's `ActiveState` and `SubState`, such as `active/running`."),
        fact("fragment", AttrType::Str, "Where the unit's file is."),
        fact("needs_reload", AttrType::Bool, "Whether its file changed since systemd read it."),
        fact(
            "started",
            AttrType::Num,
            "When its main process started, in seconds since 1970; 0 for not running.",
        ),
        fact("read_at", AttrType::Num, "The host's time when this was read, in seconds since 1970."),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Service,
    existing: Existing::Adopt,
    restarts: true,
    comes_with_others: true,
    one_per_host: false,
    mutex: None,
    documented: true,
};

/// One thing that systemctl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Unmask,
    Enable,
    Disable,
    Start,
    Restart,
    Stop,
    Mask,
}

impl Doing {
    fn word(self) -> &'static str {
        match self {
            Doing::Unmask => "unmask",
            Doing::Enable => "enable",
            Doing::Disable => "disable",
            Doing::Start => "start",
            Doing::Restart => "restart",
            Doing::Stop => "stop",
            Doing::Mask => "mask",
        }
    }
}

/// `running`, `stopped`, or `failing` for a unit that systemd starts again and again; `None` for a state that
/// systemd does not have.
fn state(unit: &UnitAnswer) -> Option<&'static str> {
    match (unit.active.as_str(), unit.sub.as_str()) {
        ("activating", "auto-restart" | "auto-restart-queued") => Some("failing"),
        ("active" | "reloading" | "refreshing" | "activating", _) => Some("running"),
        ("inactive" | "failed" | "deactivating" | "maintenance", _) => Some("stopped"),
        _ => None,
    }
}

/// Unknown where it makes no sense to ask: units without an `[Install]` section, and made-up ones.
fn enabled(unit: &UnitAnswer) -> Value {
    match unit.enabled.as_str() {
        "enabled" | "alias" => Value::from(true),
        "disabled" | "masked" | "masked-runtime" | "enabled-runtime" | "linked" | "linked-runtime" => {
            Value::from(false)
        }
        _ => Value::unknown(Type::Bool),
    }
}

fn present(name: &str, unit: &UnitAnswer) -> Observation {
    let Some(state) = state(unit) else {
        return Observation::Unknown(format!("{name} is in a state that is not understood: {}", unit.active));
    };
    match unit.load.as_str() {
        "not-found" if state == "stopped" => return Observation::Absent,
        "loaded" | "masked" | "not-found" => {}
        other => return Observation::Unknown(format!("{name} cannot be loaded: {other}")),
    }
    let masked = unit.load == "masked" || unit.enabled.starts_with("masked");
    let read_at = (unit.asked != 0).then(|| ("read_at".into(), Value::from(unit.asked)));
    let known = [
        ("name".into(), Value::from(name)),
        ("state".into(), Value::from(state)),
        ("enabled".into(), if masked { Value::from(false) } else { enabled(unit) }),
        ("masked".into(), Value::from(masked)),
        ("active".into(), Value::from(format!("{}/{}", unit.active, unit.sub))),
        ("fragment".into(), Value::from(unit.fragment.as_str())),
        ("needs_reload".into(), Value::from(unit.needs_reload)),
        ("started".into(), Value::from(unit.started)),
    ];
    Observation::Present(known.into_iter().chain(read_at).collect())
}

/// What brings the unit from `now` to those attributes of `wanted` that `changes`.
fn doings(wanted: &Object, now: Option<&Object>, changes: impl Fn(&str) -> bool) -> Vec<Doing> {
    let mut found = Vec::new();
    let masked = flag(wanted, "masked").filter(|_| changes("masked"));
    if masked == Some(false) && now.is_some() {
        found.push(Doing::Unmask);
    }
    let can_enable = now.is_none_or(|n| flag(n, "enabled").is_some());
    match flag(wanted, "enabled").filter(|_| changes("enabled") && can_enable) {
        Some(true) => found.push(Doing::Enable),
        Some(false) => found.push(Doing::Disable),
        None => {}
    }
    match text(wanted, "state").filter(|_| changes("state")) {
        // A start would wait behind the restarts that systemd itself does.
        Some("running") if now.and_then(|n| text(n, "state")) == Some("failing") => {
            found.push(Doing::Restart)
        }
        Some("running") => found.push(Doing::Start),
        Some(_) => found.push(Doing::Stop),
        None => {}
    }
    if masked == Some(true) {
        found.push(Doing::Mask);
    }
    found
}

fn make_doings(change: &Change) -> Vec<Doing> {
    let Some(wanted) = &change.desired else { return Vec::new() };
    let now = change.observed.as_ref();
    doings(wanted, now, |name| now.is_none() || differs(change, name))
}

/// What destroy does: what was there comes back; a unit that was not there does not run any more.
fn remove_doings(change: &Change) -> Vec<Doing> {
    let Some(now) = &change.observed else { return Vec::new() };
    if let Some(first) = before(change) {
        let is_ours = |name: &str| given(&change.prior, name).is_some();
        let differs = |name: &str| first.get(name).zip(now.get(name)).is_some_and(|(a, b)| !a.same(b));
        return doings(first, Some(now), |name| is_ours(name) && differs(name));
    }
    let mut found = Vec::new();
    if flag(now, "masked") == Some(true) && flag(&change.prior, "masked") == Some(true) {
        found.push(Doing::Unmask);
    }
    if flag(now, "enabled") == Some(true) {
        found.push(Doing::Disable);
    }
    if text(now, "state") != Some("stopped") {
        found.push(Doing::Stop);
    }
    found
}

/// The restart that `restart_on` or a replacement asks for: of what runs and is not started anew anyway.
fn restarts(change: &Change, doings: &[Doing]) -> bool {
    let asked = change.restart || change.action == Action::Replace;
    let runs = change.observed.as_ref().and_then(|o| text(o, "state")).is_some_and(|s| s != "stopped");
    asked
        && runs
        && !doings.iter().any(|d| matches!(d, Doing::Start | Doing::Restart | Doing::Stop | Doing::Mask))
}

fn title(name: &str, doings: &[Doing]) -> String {
    let words: Vec<&str> = doings.iter().map(|d| d.word()).collect();
    format!("{} {name}", listed(&words))
}

/// The step that does these; whatever stops the unit is felt by others.
fn step(name: &str, verb: Verb, title: String, doings: &[Doing]) -> Step {
    let stops = doings.iter().any(|d| matches!(d, Doing::Stop | Doing::Restart));
    Step::new(name, verb, title).class(if stops { StepClass::Restart } else { StepClass::InPlace })
}

fn make_steps(name: &str, change: &Change) -> Vec<Step> {
    let doings = make_doings(change);
    let mut steps = if doings.is_empty() {
        taken_over(change, name)
    } else {
        vec![step("apply", verb(change), title(name, &doings), &doings)]
    };
    if restarts(change, &doings) {
        steps.push(step("restart", Verb::Restart, format!("restart {name}"), &[Doing::Restart]));
    }
    steps
}

fn run(argv: &[&str], ok: &[i32]) -> Act {
    Act::Run {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        env: Vec::new(),
        input: None,
        ok: ok.to_vec(),
    }
}

fn act(name: &str, doing: Doing) -> Act {
    match doing {
        Doing::Start | Doing::Restart => {
            run(&["sh", "-c", WITH_JOURNAL, "systemctl", doing.word(), name], &[0])
        }
        Doing::Stop => run(&["systemctl", doing.word(), "--", name], &[0, NOT_LOADED]),
        Doing::Unmask | Doing::Enable | Doing::Disable | Doing::Mask => {
            run(&["systemctl", doing.word(), "--", name], &[0])
        }
    }
}

fn reload_if_needed(name: &str) -> Act {
    run(&["sh", "-c", RELOAD_IF_NEEDED, "systemctl daemon-reload for", name], &[0])
}

impl HostKind for SystemdUnit {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found: Diagnostics = text(args, "name").and_then(bad_name).into_iter().collect();
        let is_used = flag(args, "enabled") == Some(true) || text(args, "state") == Some("running");
        if flag(args, "masked") == Some(true) && is_used {
            found.push(
                Diagnostic::error("masked-unit", "a masked unit cannot be started").detail(
                    "Leave out `masked`, or do not ask for `enabled = true` and `state = \"running\"`.",
                ),
            );
        }
        found
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(identity, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        let probe = Probe::Unit(name.to_owned());
        let found = got(answers, &probe, |a| if let Answer::Unit(u) = a { Some(u) } else { None });
        observed(found, probe, |unit| present(name, unit))
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        let probe = Probe::says(read_program!("own_units"), <[String; 0]>::default());
        said_objects(answers, probe, |fields| {
            // A template is no unit, and what has no suffix of a unit is a file that lies there.
            let is_unit = |name: &&str| bad_name(name).is_none() && !name.contains("@.");
            Ok(named("name", fields.all("unit").filter(is_unit)))
        })
    }

    fn portray(&self, observed: &Object) -> Object {
        let mut object = observed.clone();
        // What does not run now may be started by a timer or a socket: nobody has asked that it never runs.
        object.retain(|name, value| match name.as_ref() {
            "state" => value.as_str() == Some("running"),
            "masked" => value.as_bool() == Some(true),
            _ => true,
        });
        let is_managed = |name: &&str| object.get(*name).is_some_and(Value::is_wholly_known);
        if !["state", "enabled", "masked"].iter().any(is_managed) {
            object.clear();
        }
        object
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        Ok(match change.action {
            Action::Read | Action::Forget => Vec::new(),
            Action::NoOp | Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                make_steps(name, change)
            }
            Action::Delete => {
                let doings = remove_doings(change);
                let title =
                    if doings.is_empty() { format!("leave {name} as it is") } else { title(name, &doings) };
                vec![step("remove", Verb::Delete, title, &doings)]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        let doings = match step.verb {
            Verb::Delete => remove_doings(change),
            Verb::Restart => vec![Doing::Restart],
            _ => make_doings(change),
        };
        let mut acts = Vec::new();
        if change.observed.is_none() && step.verb != Verb::Delete {
            acts.push(run(&["systemctl", "daemon-reload"], &[0]));
        } else if doings.iter().any(|d| matches!(d, Doing::Enable | Doing::Start | Doing::Restart)) {
            acts.push(reload_if_needed(name));
        }
        acts.extend(doings.into_iter().map(|doing| act(name, doing)));
        Ok(acts)
    }
}

fn bad_name(name: &str) -> Option<Diagnostic> {
    let problem = |detail: &str| {
        let summary = format!("`{}` is not a unit's name", name.escape_debug());
        Some(Diagnostic::error("bad-unit-name", summary).detail(detail))
    };
    let Some(suffix) = SUFFIXES.into_iter().find(|s| name.ends_with(s)) else {
        return problem("Write it with its suffix, such as `chrony.service`.");
    };
    let stem = &name[..name.len() - suffix.len()];
    if stem.ends_with('@') {
        return problem("It is a template; name an instance, such as `getty@tty1.service`.");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if stem.is_empty() || stem.starts_with('-') && stem.len() > 1 || !stem.chars().all(plain) {
        return problem("It has letters, digits and `:-_.\\@`, and does not begin with a dash.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::StepClass::{InPlace, Restart};
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::json;

    const NAME: &str = "chrony.service";

    fn at(action: Action) -> Change {
        change(action, json!({ "name": NAME }))
    }

    fn unit(load: &str, active: &str, sub: &str, enabled: &str) -> Answer {
        Answer::Unit(UnitAnswer {
            load: load.into(),
            active: active.into(),
            sub: sub.into(),
            enabled: enabled.into(),
            ..UnitAnswer::default()
        })
    }

    fn look(answer: Answer) -> Observation {
        observe(&SystemdUnit, json!({ "name": NAME }), vec![(Probe::Unit(NAME.into()), answer)])
    }

    /// State, enablement and mask of an answer.
    #[track_caller]
    fn seen(answer: Answer, expected: (&str, Option<bool>, bool)) {
        let Observation::Present(found) = look(answer) else { panic!("the unit is there") };
        let found = (text(&found, "state"), flag(&found, "enabled"), flag(&found, "masked"));
        assert_eq!(found, (Some(expected.0), expected.1, Some(expected.2)));
    }

    /// The programs of acts, scripts by their names.
    fn programs(acts: &[Act]) -> Vec<String> {
        let shown = |argv: Vec<&str>| if argv[0] == "sh" { argv[3..].join(" ") } else { argv.join(" ") };
        acts.iter().map(|a| shown(argv(a))).collect()
    }

    fn running() -> serde_json::Value {
        json!({ "state": "running", "enabled": true, "masked": false })
    }

    fn stopped() -> serde_json::Value {
        json!({ "state": "stopped", "enabled": false, "masked": false })
    }

    #[test]
    fn observed() {
        seen(unit("loaded", "active", "running", "enabled"), ("running", Some(true), false));
        seen(unit("loaded", "inactive", "dead", "disabled"), ("stopped", Some(false), false));
        seen(unit("loaded", "failed", "failed", "enabled"), ("stopped", Some(true), false));
        seen(unit("loaded", "activating", "auto-restart", "enabled"), ("failing", Some(true), false));
        seen(unit("loaded", "active", "exited", "static"), ("running", None, false));
        seen(unit("masked", "inactive", "dead", "masked"), ("stopped", Some(false), true));
        seen(unit("not-found", "active", "running", ""), ("running", None, false));
        assert_eq!(look(unit("not-found", "inactive", "dead", "")), Observation::Absent);
        assert!(matches!(look(unit("loaded", "sideways", "", "")), Observation::Unknown(_)));
        assert!(matches!(look(unit("bad-setting", "inactive", "dead", "")), Observation::Unknown(_)));
        assert_eq!(look(Answer::Unknown("no bus".into())), Observation::Unknown("no bus".into()));
    }

    #[test]
    fn a_new_unit_is_loaded_first() {
        let made = at(Action::Create).wants(json!({ "state": "running", "enabled": true }));
        let acts = check(&SystemdUnit, &made, &[("enable and start chrony.service", InPlace)]);
        let expected = [
            "systemctl daemon-reload",
            "systemctl enable -- chrony.service",
            "systemctl start chrony.service",
        ];
        assert_eq!(programs(&acts), expected);
    }

    #[test]
    fn changed() {
        let update =
            |wanted, seen, differing: &[&str]| at(Action::Update).wants(wanted).sees(seen, differing);
        let stop = update(json!({ "state": "stopped" }), running(), &["state"]);
        let acts = check(&SystemdUnit, &stop, &[("stop chrony.service", Restart)]);
        assert_eq!(acts, [run(&["systemctl", "stop", "--", NAME], &[0, 5])]);

        let mut masked = stopped();
        masked["masked"] = json!(true);
        let unmask = update(running(), masked, &["state", "enabled", "masked"]);
        let acts = check(&SystemdUnit, &unmask, &[("unmask, enable and start chrony.service", InPlace)]);
        assert_eq!(programs(&acts)[0], "systemctl daemon-reload for chrony.service");
        assert_eq!(programs(&acts)[1], "systemctl unmask -- chrony.service");

        let mask = update(json!({ "masked": true, "state": "stopped" }), running(), &["state", "masked"]);
        check(&SystemdUnit, &mask, &[("stop and mask chrony.service", Restart)]);

        let mut failing = running();
        failing["state"] = json!("failing");
        let mend = update(running(), failing, &["state"]);
        check(&SystemdUnit, &mend, &[("restart chrony.service", Restart)]);
    }

    #[test]
    fn a_unit_without_install_section_is_left_alone() {
        let mut seen = running();
        seen["enabled"] = json!(null);
        let wanted = at(Action::Update).wants(running()).sees(seen, &["enabled"]);
        assert_eq!(check(&SystemdUnit, &wanted, &[]), []);
    }

    #[test]
    fn restarted_once() {
        let restart = |change: Change| Change { restart: true, ..change };
        let same = restart(at(Action::Update).wants(running()).sees(running(), &[]));
        let acts = check(&SystemdUnit, &same, &[("restart chrony.service", Restart)]);
        assert_eq!(programs(&acts)[1], "systemctl restart chrony.service");

        let enable = restart(at(Action::Update).wants(running()).sees(running(), &["enabled"]));
        let titles = [("enable chrony.service", InPlace), ("restart chrony.service", Restart)];
        check(&SystemdUnit, &enable, &titles);

        let start = restart(at(Action::Update).wants(running()).sees(stopped(), &["state"]));
        check(&SystemdUnit, &start, &[("start chrony.service", InPlace)]);

        let off = restart(at(Action::Update).wants(stopped()).sees(stopped(), &[]));
        assert_eq!(check(&SystemdUnit, &off, &[]), []);
    }

    #[test]
    fn adopted() {
        let equal = at(Action::Adopt).wants(running()).sees(running(), &[]);
        assert_eq!(check(&SystemdUnit, &equal, &[("take over chrony.service", InPlace)]), []);
    }

    #[test]
    fn given_back() {
        let delete = |seen| at(Action::Delete).had(running()).sees(seen, &[]);
        let acts = check(
            &SystemdUnit,
            &delete(running()).was(json!(null)),
            &[("disable and stop chrony.service", Restart)],
        );
        assert_eq!(
            programs(&acts),
            ["systemctl disable -- chrony.service", "systemctl stop -- chrony.service"]
        );

        let off = delete(running()).was(stopped());
        check(&SystemdUnit, &off, &[("disable and stop chrony.service", Restart)]);
        let on = delete(stopped()).was(running());
        check(&SystemdUnit, &on, &[("enable and start chrony.service", InPlace)]);
        let same = delete(running()).was(running());
        assert_eq!(check(&SystemdUnit, &same, &[("leave chrony.service as it is", InPlace)]), []);
        let unowned = Change { prior: obj(json!({ "enabled": true })), ..delete(running()).was(stopped()) };
        check(&SystemdUnit, &unowned, &[("disable chrony.service", InPlace)]);
        let gone = at(Action::Delete).had(running()).was(json!(null));
        assert_eq!(check(&SystemdUnit, &gone, &[("leave chrony.service as it is", InPlace)]), []);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str| SystemdUnit.check(&obj(json!({ "name": name, "enabled": true }))).len();
        for good in ["chrony.service", "getty@tty1.service", "-.mount", r"dev-sda\x2d1.swap"] {
            assert_eq!(found(good), 0, "{good}");
        }
        for bad in ["chrony", "getty@.service", ".service", "-x.service", "a/b.service", "a b.service"] {
            assert_eq!(found(bad), 1, "{bad}");
        }
        let masked = SystemdUnit.check(&obj(json!({ "name": NAME, "masked": true, "state": "running" })));
        assert_eq!(masked[0].summary, "a masked unit cannot be started");
    }

    #[test]
    fn scripts_are_shell() {
        for script in [WITH_JOURNAL, RELOAD_IF_NEEDED] {
            let checked = std::process::Command::new("sh").args(["-n", "-c", script]).status();
            assert!(checked.is_ok_and(|s| s.success()), "{script}");
        }
    }
}
