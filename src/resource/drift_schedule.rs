//! `drift_schedule`: compares the world with the state at fixed times, where people see what comes of it.
//!
//! A service runs `coxswain drift`, a timer starts it. Drift is exit code 3, so that the unit has failed: `systemctl
//! --failed`, the journal and every monitor of units show it without any mail.

use std::fmt::Write as _;

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Expect};
use super::answer::Answer;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::program::program;
use super::reading::{
    Got, MANAGED, desired, differs, flag, got, listed, required, taken_over, text, verb, whole,
};
use super::unit_file::{holds, is_name, plain, word, write};

/// The kind.
pub struct DriftSchedule;

static SCHEMA: Schema = Schema {
    kind: "drift_schedule",
    version: 1,
    summary: "Looks for drift at fixed times.",
    doc: "Owns `coxswain-drift-NAME.service` and `.timer` in `/etc/systemd/system`, usually on the machine that holds \
          the configuration. The service runs `coxswain drift` there from the state alone: it takes no lock, needs no \
          variables and changes nothing. Drift makes the unit fail (exit code 3), as does a host that cannot be read \
          (exit code 1); what differs is in its journal. With `metrics` the node exporter's textfile collector has \
          the figures. Destroy removes both files.",
    example: r#"drift_schedule "hourly" {
  name      = "main"
  directory = "/srv/cluster"
  metrics   = "/var/lib/prometheus/node-exporter/coxswain.prom"
}
"#,
    attributes: &[
        Attr::new(
            "name",
            AttrType::Str,
            Class::Identity,
            "Its name on its host: small letters, digits and `-`.",
        )
        .implies(&[Implies::WantsNamed(Thing::Path, "/etc/systemd/system")]),
        Attr::new(
            "directory",
            AttrType::Str,
            Class::Setting,
            "The root directory of the configuration, as an absolute path.",
        )
        .required()
        .asked(),
        Attr::new("binary", AttrType::Str, Class::Setting, "The program.")
            .default("\"/usr/local/bin/coxswain\"")
            .asked(),
        Attr::new("calendar", AttrType::Str, Class::Setting, "When, as systemd.time(7) writes it.")
            .default("\"hourly\"")
            .asked(),
        Attr::new(
            "randomized_delay",
            AttrType::Num,
            Class::Setting,
            "Seconds within which it starts after that.",
        )
        .default("300")
        .asked(),
        Attr::new(
            "user",
            AttrType::Str,
            Class::Setting,
            "Who runs it: it needs the keys and the ssh configuration of that user.",
        )
        .default("\"root\"")
        .asked(),
        Attr::new(
            "metrics",
            AttrType::Str,
            Class::Setting,
            "The file for the node exporter's textfile collector.",
        )
        .asked(),
        Attr::new(
            "on_failure",
            AttrType::Str,
            Class::Setting,
            "A unit that systemd starts when there is drift.",
        )
        .asked(),
        Attr::new("written", AttrType::Bool, Class::Owned, "Whether both files say just this.")
            .default("true"),
        Attr::new("active", AttrType::Bool, Class::Owned, "Whether the timer runs, now and after a boot.")
            .default("true"),
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

fn unit(name: &str, suffix: &str) -> String {
    format!("coxswain-drift-{name}.{suffix}")
}

fn path(name: &str, suffix: &str) -> String {
    format!("/etc/systemd/system/{}", unit(name, suffix))
}

fn service(args: &Object) -> String {
    let get = |name: &str| text(args, name).unwrap_or_default();
    let mut file = format!("{MANAGED}[Unit]\nDescription=Looks for drift from {}\n", plain(get("directory")));
    file.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    if let Some(unit) = text(args, "on_failure") {
        let _ = writeln!(file, "OnFailure={}", plain(unit));
    }
    let mut line = format!("{} drift --chdir {}", word(get("binary")), word(get("directory")));
    if let Some(metrics) = text(args, "metrics") {
        let _ = write!(line, " --metrics {}", word(metrics));
    }
    let _ = write!(
        file,
        "\n[Service]\nType=oneshot\nUser={}\nExecStart={line}\nTimeoutStartSec=15min\nNice=10\nNoNewPrivileges=yes\n",
        plain(get("user"))
    );
    file
}

fn timer(args: &Object) -> String {
    let delay = whole(args, "randomized_delay").unwrap_or_default();
    let calendar = text(args, "calendar").unwrap_or_default();
    format!(
        "{MANAGED}[Unit]\nDescription=Looks for drift at fixed times\n\n[Timer]\nOnCalendar={}\n\
         RandomizedDelaySec={delay}\nPersistent=yes\n\n[Install]\nWantedBy=timers.target\n",
        plain(calendar)
    )
}

impl HostKind for DriftSchedule {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let wrong = |why: String| Diagnostic::error("bad-schedule", why);
        if let Some(name) = text(args, "name").filter(|n| !is_name(n)) {
            problems.push(wrong(format!(
                "`{}` is not a schedule's name: small letters, digits and `-`",
                name.escape_debug()
            )));
        }
        for name in ["directory", "binary", "metrics"] {
            if let Some(path) = text(args, name).filter(|p| !p.starts_with('/')) {
                problems.push(wrong(format!(
                    "`{name} = \"{}\"` is not an absolute path: systemd starts nowhere",
                    path.escape_debug()
                )));
            }
        }
        for name in ["directory", "binary", "metrics", "calendar", "user", "on_failure"] {
            if text(args, name).is_some_and(|t| t.is_empty() || t.contains(|c: char| c.is_control())) {
                problems.push(wrong(format!("`{name}` is empty or has a line break")));
            }
        }
        if whole(args, "randomized_delay").is_some_and(|n| !(0..=86_400).contains(&n)) {
            problems.push(wrong("`randomized_delay` is not between 0 and 86400 seconds".into()));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(asked, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        let probes = [
            Probe::Content(path(name, "service")),
            Probe::Content(path(name, "timer")),
            Probe::Unit(unit(name, "timer")),
        ];
        let files = [holds(answers, &probes[0], &service(asked)), holds(answers, &probes[1], &timer(asked))];
        let running = got(answers, &probes[2], |a| match a {
            Answer::Unit(unit) => Some(unit.active == "active" && unit.enabled == "enabled"),
            _ => None,
        });
        let is_there = probes[..2].iter().any(|p| answers.get(p).is_some_and(|a| *a != Answer::Absent));
        match (&files[0], &files[1], running) {
            (Got::NotAsked, ..) | (_, Got::NotAsked, _) | (.., Got::NotAsked) => {
                Observation::Need(probes.to_vec())
            }
            (Got::Unknown(why), ..) | (_, Got::Unknown(why), _) => Observation::Unknown(why.clone()),
            (.., Got::Unknown(why)) => Observation::Unknown(why),
            _ if !is_there => Observation::Absent,
            (service, timer, running) => Observation::Present(Object::from([
                ("name".into(), Value::from(name)),
                ("written".into(), Value::from([service, timer].iter().all(|f| **f == Got::Found(true)))),
                ("active".into(), Value::from(running == Got::Found(true))),
            ])),
        }
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                vec![Step::new("remove", Verb::Delete, format!("remove {}", unit(name, "timer")))]
            }
            _ if change.differing.is_empty() => taken_over(change, &unit(name, "timer")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let doings: Vec<&str> =
                    [("written", "write"), ("active", if wants_active(change) { "start" } else { "stop" })]
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
        let on = program!("timer-on", "systemctl enable").act([unit(name, "timer")]);
        let off = program!("timer-off", "systemctl disable").act([unit(name, "timer")]);
        if step.verb == Verb::Delete {
            let gone = |suffix| Act::RemoveFile { path: path(name, suffix), expects: Expect::Anything };
            let forget = program!("daemon-reload", "systemctl daemon-reload").act::<&str>([]);
            return Ok(vec![off, gone("timer"), gone("service"), forget]);
        }
        let wanted = desired(change)?;
        let switch = if wants_active(change) { on } else { off };
        Ok(vec![
            write(path(name, "service"), service(wanted)),
            write(path(name, "timer"), timer(wanted)),
            switch,
        ])
    }
}

fn wants_active(change: &Change) -> bool {
    change.desired.as_ref().and_then(|d| flag(d, "active")) != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::UnitAnswer;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::{Value as Json, json};

    fn args() -> Json {
        json!({ "name": "main", "directory": "/srv/a b", "binary": "/opt/100%/coxswain", "calendar": "hourly",
                "randomized_delay": 60, "user": "ops", "metrics": "/m.prom", "active": true, "written": true })
    }

    fn look(service: Answer, timer: Answer, unit: UnitAnswer) -> Observation {
        let answers = vec![
            (Probe::Content(path("main", "service")), service),
            (Probe::Content(path("main", "timer")), timer),
            (Probe::Unit("coxswain-drift-main.timer".into()), Answer::Unit(unit)),
        ];
        observe(&DriftSchedule, args(), answers)
    }

    #[test]
    fn files() {
        let service = service(&obj(args()));
        assert!(
            service.contains(
                "ExecStart=\"/opt/100%%/coxswain\" drift --chdir \"/srv/a b\" --metrics \"/m.prom\"\n"
            ),
            "{service}"
        );
        assert!(service.contains("User=ops\n") && !service.contains("OnFailure"), "{service}");
        assert!(timer(&obj(args())).contains("OnCalendar=hourly\nRandomizedDelaySec=60\n"));
    }

    #[test]
    fn observed() {
        let text = |t: String| Answer::Content(t.into_bytes());
        let on =
            || UnitAnswer { active: "active".into(), enabled: "enabled".into(), ..UnitAnswer::default() };
        let is = |found, written: bool, active: bool| {
            let expected = json!({ "name": "main", "written": written, "active": active });
            assert_eq!(found, Observation::Present(obj(expected)));
        };
        let (service, timer) = (service(&obj(args())), timer(&obj(args())));
        is(look(text(service.clone()), text(timer.clone()), on()), true, true);
        is(look(text(service.clone()), text(format!("{timer}#")), on()), false, true);
        is(look(text(service.clone()), Answer::Absent, on()), false, true);
        is(look(text(service), text(timer), UnitAnswer { enabled: "disabled".into(), ..on() }), true, false);
        assert_eq!(look(Answer::Absent, Answer::Absent, UnitAnswer::default()), Observation::Absent);
        let no = Answer::Unknown("no permission".into());
        assert_eq!(look(no, Answer::Absent, on()), Observation::Unknown("no permission".into()));
    }

    #[test]
    fn made_and_removed() {
        let id = json!({ "name": "main" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["written".into(), "active".into()];
        let acts = check(&DriftSchedule, &made, &[("write and start coxswain-drift-main.timer", InPlace)]);
        assert_eq!(acts.len(), 3);
        assert_eq!(argv(&acts[2])[3..], ["systemctl enable", "coxswain-drift-main.timer"]);
        let gone = change(Action::Delete, id).had(args()).sees(args(), &[]);
        assert_eq!(check(&DriftSchedule, &gone, &[("remove coxswain-drift-main.timer", InPlace)]).len(), 4);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str, value: Json| {
            let mut args = args();
            args[name] = value;
            DriftSchedule.check(&obj(args)).len()
        };
        assert_eq!(found("name", json!("a-1")), 0);
        for (name, value) in [
            ("name", json!("A b")),
            ("directory", json!("srv")),
            ("calendar", json!("hourly\nUser=x")),
            ("user", json!("")),
            ("randomized_delay", json!(-1)),
        ] {
            assert_eq!(found(name, value.clone()), 1, "{name} {value}");
        }
    }
}
