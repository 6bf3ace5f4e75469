//! `systemd_timer`: a command that systemd runs at fixed times, as a timer and its service.

use std::fmt::Write as _;

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Expect};
use super::answer::{Answer, UnitAnswer};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::program::program;
use super::reading::{
    Got, MANAGED, desired, differs, flag, given, got, listed, required, taken_over, text, verb, whole,
};
use super::unit_file::{holds, is_name, plain, quoted, word, write};

/// The kind.
pub struct SystemdTimer;

static SCHEMA: Schema = Schema {
    kind: "systemd_timer",
    version: 1,
    summary: "A command that systemd runs at fixed times.",
    doc: "Owns `NAME.service` and `NAME.timer` in `/etc/systemd/system`. What the command prints is in the journal \
          (`journalctl -u NAME`); an exit code other than 0 makes the service fail, which `systemctl --failed` and \
          monitors of units show. A run that takes longer than the interval is not started twice. No shell reads the \
          command: for pipes and variables run a script. Everybody on the host can read command and environment: \
          secrets belong in a file of their own. Units of the same name that are not coxswain's are refused. Destroy \
          stops the timer and removes both files; a run that goes on then is not stopped.",
    example: r#"systemd_timer "backup" {
  host     = host.nfs
  name     = "backup"
  command  = ["/usr/local/bin/backup", "--to", "/srv/backup"]
  calendar = "*-*-* 03:00:00"
}
"#,
    attributes: &[
        Attr::new(
            "name",
            AttrType::Str,
            Class::Identity,
            "The name of both units, without an ending: small letters, digits and `-`.",
        )
        .implies(&[Implies::WantsNamed(Thing::Path, "/etc/systemd/system")]),
        Attr::new(
            "command",
            AttrType::List(&AttrType::Str),
            Class::Setting,
            "The program, by its absolute path, and its arguments.",
        )
        .required()
        .asked()
        .implies(&[Implies::Wants(Thing::Path)]),
        Attr::new("user", AttrType::Str, Class::Setting, "Who runs it.")
            .default("\"root\"")
            .asked()
            .implies(&[Implies::Wants(Thing::User)]),
        Attr::new(
            "calendar",
            AttrType::Str,
            Class::Setting,
            "When, as systemd.time(7) writes it, in the host's time zone; excludes `every`.",
        )
        .asked(),
        Attr::new(
            "every",
            AttrType::Num,
            Class::Setting,
            "Seconds from one start to the next, the first after as many; excludes `calendar`.",
        )
        .asked(),
        Attr::new(
            "randomized_delay",
            AttrType::Num,
            Class::Setting,
            "Seconds within which it starts after its time, so that many hosts do not start at once.",
        )
        .default("0")
        .asked(),
        Attr::new(
            "persistent",
            AttrType::Bool,
            Class::Setting,
            "Whether a time that passed while the host was off is made up for; `every` has no such times.",
        )
        .default("true")
        .asked(),
        Attr::new(
            "environment",
            AttrType::Map(&AttrType::Str),
            Class::Setting,
            "Variables for the command; nothing secret.",
        )
        .default("{}")
        .asked(),
        Attr::new(
            "written",
            AttrType::Bool,
            Class::Owned,
            "Whether both files say just this, and systemd has read them.",
        )
        .default("true"),
        Attr::new("active", AttrType::Bool, Class::Owned, "Whether the timer runs, now and after a boot.")
            .default("true"),
        Attr::new("failed", AttrType::Bool, Class::Fact, "Whether the last run failed.").volatile(),
        Attr::new(
            "foreign",
            AttrType::Str,
            Class::Fact,
            "The file of a unit of this name that is not coxswain's, if there is one.",
        )
        .volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Service,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: None,
    documented: true,
};

const SUFFIXES: [&str; 2] = ["service", "timer"];

fn unit(name: &str, suffix: &str) -> String {
    format!("{name}.{suffix}")
}

fn path(name: &str, suffix: &str) -> String {
    format!("/etc/systemd/system/{}", unit(name, suffix))
}

fn command(args: &Object) -> Vec<&str> {
    let items = args.get("command").and_then(Value::as_items).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect()
}

fn environment(args: &Object) -> Vec<(&str, &str)> {
    let fields = args.get("environment").and_then(Value::as_fields);
    fields.into_iter().flatten().filter_map(|(k, v)| Some((k.as_ref(), v.as_str()?))).collect()
}

fn service(name: &str, args: &Object) -> String {
    let mut file = format!("{MANAGED}[Unit]\nDescription={name}\n\n[Service]\nType=oneshot\n");
    let _ = writeln!(file, "User={}", plain(text(args, "user").unwrap_or_default()));
    for (key, value) in environment(args) {
        let _ = writeln!(file, "Environment={}", quoted(&format!("{key}={value}")));
    }
    let words: Vec<String> = command(args).into_iter().map(word).collect();
    let _ = writeln!(file, "ExecStart={}", words.join(" "));
    file
}

fn timer(name: &str, args: &Object) -> String {
    let mut file = format!("{MANAGED}[Unit]\nDescription=Starts {name}\n\n[Timer]\n");
    if let Some(seconds) = whole(args, "every") {
        let _ = writeln!(file, "OnActiveSec={seconds}\nOnUnitActiveSec={seconds}");
    } else {
        let persistent = if flag(args, "persistent") == Some(false) { "no" } else { "yes" };
        let calendar = plain(text(args, "calendar").unwrap_or_default());
        let _ = writeln!(file, "OnCalendar={calendar}\nPersistent={persistent}");
    }
    let delay = whole(args, "randomized_delay").unwrap_or_default();
    // Without this systemd starts it up to a minute late.
    let _ = writeln!(file, "RandomizedDelaySec={delay}\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target");
    file
}

impl HostKind for SystemdTimer {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = check_times(args);
        problems.extend(check_command(args));
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(asked, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        let files = SUFFIXES.map(|s| Probe::Content(path(name, s)));
        let units = SUFFIXES.map(|s| Probe::Unit(unit(name, s)));
        if files.iter().chain(&units).any(|p| !answers.contains_key(p)) {
            return Observation::Need(files.into_iter().chain(units).collect());
        }
        let wanted = [service(name, asked), timer(name, asked)];
        let mut is_written = true;
        for (probe, wanted) in files.iter().zip(&wanted) {
            match holds(answers, probe, wanted) {
                Got::Found(holds) => is_written &= holds,
                Got::Unknown(why) => return Observation::Unknown(why),
                Got::NotAsked | Got::Absent => is_written = false,
            }
        }
        let mut found = [UnitAnswer::default(), UnitAnswer::default()];
        for (probe, found) in units.iter().zip(&mut found) {
            match got(answers, probe, |a| if let Answer::Unit(u) = a { Some(u.clone()) } else { None }) {
                Got::Found(unit) => *found = unit,
                Got::Unknown(why) => return Observation::Unknown(why),
                Got::NotAsked | Got::Absent => {}
            }
        }
        let foreign = foreign(name, answers, &files, &found);
        if foreign.is_none() && files.iter().all(|p| answers.get(p) == Some(&Answer::Absent)) {
            return Observation::Absent;
        }
        let [service, timer] = found;
        is_written &= !service.needs_reload && !timer.needs_reload;
        let is_active = timer.active == "active" && timer.enabled == "enabled";
        Observation::Present(Object::from([
            ("name".into(), Value::from(name)),
            ("written".into(), Value::from(is_written)),
            ("active".into(), Value::from(is_active)),
            ("failed".into(), Value::from(service.active == "failed")),
            ("foreign".into(), foreign.map_or_else(Value::null, |f| Value::from(f.as_str()))),
        ]))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let foreign = change.observed.as_ref().and_then(|o| text(o, "foreign"));
        if let (Action::Create | Action::Adopt | Action::Replace, Some(file)) = (change.action, foreign) {
            let problem = Diagnostic::error("systemd-timer-foreign", format!("{file} is not coxswain's"));
            return Err(vec![problem.detail(
                "It would be overwritten or hidden, and could not be given back. Take another name, or remove it.",
            )]);
        }
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                vec![Step::new("remove", Verb::Delete, format!("remove {}", unit(name, "timer")))]
            }
            _ if change.differing.is_empty() => taken_over(change, &unit(name, "timer")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let switch = if wants_active(change) { "start" } else { "stop" };
                let doings: Vec<&str> = [("written", "write"), ("active", switch)]
                    .into_iter()
                    .filter(|(attr, _)| differs(change, attr))
                    .map(|(_, doing)| doing)
                    .collect();
                vec![Step::new("apply", verb(change), format!("{} {}", listed(&doings), unit(name, "timer")))]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        let [service_unit, timer_unit] = SUFFIXES.map(|s| unit(name, s));
        let off = program!("timer-off", "systemctl disable").act([&timer_unit]);
        if step.verb == Verb::Delete {
            let gone = |path| Act::RemoveFile { path, expects: Expect::Anything };
            // When it ran last, which `Persistent=` goes by.
            let stamp = format!("/var/lib/systemd/timers/stamp-{timer_unit}");
            let forget =
                program!("timer-forget", "systemctl daemon-reload").act([&timer_unit, &service_unit]);
            let [service, timer] = SUFFIXES.map(|s| gone(path(name, s)));
            return Ok(vec![off, timer, service, gone(stamp), forget]);
        }
        let wanted = desired(change)?;
        let [service, timer] = [(service(name, wanted), "service"), (timer(name, wanted), "timer")]
            .map(|(c, s)| write(path(name, s), c));
        if !wants_active(change) {
            let reload = program!("daemon-reload", "systemctl daemon-reload").act::<&str>([]);
            return Ok(vec![service, timer, reload, off]);
        }
        let calendar = text(wanted, "calendar").unwrap_or_default();
        let program = command(wanted).first().copied().unwrap_or_default();
        // First what systemd would find only at the first run.
        let check = program!("timer-check", "check").act([program, required(wanted, "user")?, calendar]);
        let on = program!("timer-on", "systemctl enable").act([&timer_unit]);
        Ok(vec![check, service, timer, on])
    }
}

/// The file of a unit that is not ours: in our place, or in another.
fn foreign(name: &str, answers: &Answers, files: &[Probe; 2], units: &[UnitAnswer; 2]) -> Option<String> {
    for (at, suffix) in SUFFIXES.iter().enumerate() {
        let ours = path(name, suffix);
        let is_ours = match answers.get(&files[at]) {
            Some(Answer::Content(bytes)) => bytes.starts_with(MANAGED.as_bytes()),
            Some(Answer::TooLong) => false,
            _ => true,
        };
        if !is_ours {
            return Some(ours);
        }
        let fragment = &units[at].fragment;
        if !fragment.is_empty() && *fragment != ours {
            return Some(fragment.clone());
        }
    }
    None
}

fn wants_active(change: &Change) -> bool {
    change.desired.as_ref().and_then(|d| flag(d, "active")) != Some(false)
}

fn wrong(why: impl Into<String>) -> Diagnostic {
    Diagnostic::error("bad-timer", why.into())
}

fn check_times(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    match (given(args, "calendar"), given(args, "every")) {
        (Some(_), Some(_)) => problems.push(wrong("`calendar` and `every` exclude each other")),
        (None, None) => problems.push(wrong("`calendar` or `every` says when; neither is given")),
        _ => {}
    }
    if whole(args, "every").is_some_and(|n| !(1..=31_536_000).contains(&n)) {
        problems.push(wrong("`every` is not between 1 and 31536000 seconds (a year)"));
    }
    if whole(args, "randomized_delay").is_some_and(|n| !(0..=86_400).contains(&n)) {
        problems.push(wrong("`randomized_delay` is not between 0 and 86400 seconds"));
    }
    for name in ["every", "randomized_delay"] {
        let number = args.get(name).and_then(Value::as_num);
        if number.is_some_and(|n| n.to_i128().is_none()) {
            problems.push(wrong(format!("`{name}` is not a whole number of seconds")));
        }
    }
    problems
}

fn check_command(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    if let Some(name) = text(args, "name").filter(|n| !is_name(n)) {
        let name = name.escape_debug();
        problems.push(wrong(format!("`{name}` is not a timer's name: small letters, digits and `-`")));
    }
    for name in ["calendar", "user"] {
        if text(args, name).is_some_and(|t| t.trim().is_empty() || t.contains(|c: char| c.is_control())) {
            problems.push(wrong(format!("`{name}` is empty or has a line break")));
        }
    }
    if let Some(items) = args.get("command").and_then(Value::as_items) {
        match items.first().map(Value::as_str) {
            None => problems.push(wrong("`command` is empty")),
            Some(Some(program)) if !program.starts_with('/') || program.contains('$') => {
                let program = program.escape_debug();
                problems.push(wrong(format!("`{program}` is not the absolute path of a program")));
            }
            Some(_) => {}
        }
    }
    if command(args).iter().any(|word| word.contains(|c: char| c.is_control())) {
        problems.push(wrong("`command` has a line break or another control character"));
    }
    for (key, value) in environment(args) {
        let is_key = !key.starts_with(|c: char| c.is_ascii_digit())
            && !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_key {
            problems.push(wrong(format!("`{}` is not the name of a variable", key.escape_debug())));
        }
        if value.contains(|c: char| c.is_control()) {
            problems.push(wrong(format!("the variable `{}` has a line break", key.escape_debug())));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe, plan};
    use serde_json::{Value as Json, json};

    fn args() -> Json {
        json!({ "name": "b", "command": ["/opt/100%/b", "a \"b\" $C \\"], "calendar": "daily", "user": "ops",
                "randomized_delay": 60, "persistent": false, "environment": { "A": "1 $x %" },
                "active": true, "written": true })
    }

    fn look(files: [Answer; 2], units: [UnitAnswer; 2]) -> Observation {
        let [service, timer] = files;
        let [service_unit, timer_unit] = units;
        let answers = vec![
            (Probe::Content(path("b", "service")), service),
            (Probe::Content(path("b", "timer")), timer),
            (Probe::Unit("b.service".into()), Answer::Unit(service_unit)),
            (Probe::Unit("b.timer".into()), Answer::Unit(timer_unit)),
        ];
        observe(&SystemdTimer, args(), answers)
    }

    fn unit_is(active: &str, enabled: &str) -> UnitAnswer {
        UnitAnswer { active: active.into(), enabled: enabled.into(), ..UnitAnswer::default() }
    }

    #[test]
    fn files() {
        let service = service("b", &obj(args()));
        let line = "ExecStart=\"/opt/100%%/b\" \"a \\\"b\\\" $$C \\\\\"\n";
        assert!(service.ends_with(&format!("User=ops\nEnvironment=\"A=1 $x %%\"\n{line}")), "{service}");
        let timer = |args: Json| timer("b", &obj(args));
        assert!(timer(args()).contains("OnCalendar=daily\nPersistent=no\nRandomizedDelaySec=60\n"));
        let every = timer(json!({ "every": 90, "persistent": true }));
        assert!(every.contains("[Timer]\nOnActiveSec=90\nOnUnitActiveSec=90\nRandomizedDelaySec=0\n"));
    }

    #[test]
    fn observed() {
        let text = |t: String| Answer::Content(t.into_bytes());
        let files = || [text(service("b", &obj(args()))), text(timer("b", &obj(args())))];
        let is = |found, expected: &[(&str, Json)]| {
            let mut all =
                json!({ "name": "b", "written": true, "active": true, "failed": false, "foreign": null });
            for (name, value) in expected {
                all[*name] = value.clone();
            }
            assert_eq!(found, Observation::Present(obj(all)));
        };
        let on = || [unit_is("inactive", "static"), unit_is("active", "enabled")];
        is(look(files(), on()), &[]);
        is(
            look(files(), [unit_is("failed", "static"), unit_is("active", "enabled")]),
            &[("failed", json!(true))],
        );
        is(look(files(), [unit_is("", ""), unit_is("active", "disabled")]), &[("active", json!(false))]);
        let [service, timer] = files();
        is(look([service, Answer::Absent], on()), &[("written", json!(false))]);
        let stale = UnitAnswer { needs_reload: true, ..unit_is("active", "enabled") };
        is(look(files(), [unit_is("", ""), stale]), &[("written", json!(false))]);
        let theirs = [text("[Service]\n".into()), timer];
        let is_theirs = [("written", json!(false)), ("foreign", json!("/etc/systemd/system/b.service"))];
        is(look(theirs, on()), &is_theirs);
        let packaged =
            UnitAnswer { fragment: "/usr/lib/systemd/system/b.timer".into(), ..unit_is("active", "enabled") };
        let is_packaged = [("written", json!(false)), ("foreign", json!("/usr/lib/systemd/system/b.timer"))];
        is(look([Answer::Absent, Answer::Absent], [unit_is("", ""), packaged]), &is_packaged);
        let none = || [UnitAnswer::default(), UnitAnswer::default()];
        assert_eq!(look([Answer::Absent, Answer::Absent], none()), Observation::Absent);
        let no = Answer::Unknown("no permission".into());
        assert_eq!(look([no, Answer::Absent], none()), Observation::Unknown("no permission".into()));
    }

    #[test]
    fn made_stopped_refused_and_removed() {
        let id = json!({ "name": "b" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["written".into(), "active".into()];
        let acts = check(&SystemdTimer, &made, &[("write and start b.timer", InPlace)]);
        assert_eq!(argv(&acts[0])[3..], ["check", "/opt/100%/b", "ops", "daily"]);
        assert_eq!(argv(&acts[3])[3..], ["systemctl enable", "b.timer"]);
        let mut off = args();
        off["active"] = json!(false);
        let stopped = change(Action::Update, id.clone()).wants(off).sees(args(), &["active"]);
        let acts = check(&SystemdTimer, &stopped, &[("stop b.timer", InPlace)]);
        assert_eq!(argv(&acts[3])[3..], ["systemctl disable", "b.timer"]);
        let theirs = change(Action::Adopt, id.clone()).wants(args());
        let theirs = theirs.sees(json!({ "foreign": "/etc/x" }), &["written"]);
        let refused = plan(&SystemdTimer, &theirs).expect_err("it is refused");
        assert_eq!(refused[0].code, "systemd-timer-foreign");
        let gone = change(Action::Delete, id).had(args()).sees(args(), &[]);
        let acts = check(&SystemdTimer, &gone, &[("remove b.timer", InPlace)]);
        assert_eq!(argv(&acts[4])[3..], ["systemctl daemon-reload", "b.timer", "b.service"]);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str, value: Json| {
            let mut args = args();
            args[name] = value;
            SystemdTimer.check(&obj(args)).len()
        };
        assert_eq!(found("name", json!("a-1")), 0);
        for (name, value) in [
            ("name", json!("b.timer")),
            ("command", json!([])),
            ("command", json!(["b"])),
            ("command", json!(["/b", "a\nb"])),
            ("calendar", json!("daily\nUser=x")),
            ("calendar", json!(null)),
            ("every", json!(60)),
            ("user", json!("")),
            ("environment", json!({ "A B": "1" })),
            ("environment", json!({ "A": "1\n" })),
            ("randomized_delay", json!(-1)),
            ("randomized_delay", json!(1.5)),
        ] {
            assert_eq!(found(name, value.clone()), 1, "{name} {value}");
        }
    }
}
