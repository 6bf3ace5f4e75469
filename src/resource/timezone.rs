//! `timezone`: the zone of a host's clock as people see it.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::Act;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::program::program;
use super::reading::{before, desired, required, said_fields, taken_over, text, verb};

/// The kind.
pub struct Timezone;

static SCHEMA: Schema = Schema {
    kind: "timezone",
    version: 1,
    summary: "The time zone of a host.",
    doc: "Owns the host's time zone, and `/etc/timezone` where that file is there. Another name of the same zone is \
          no difference. Programs that run already keep the zone they started with; containers have their own. \
          Servers are best left on `Etc/UTC`. Destroy gives back the zone that was set before.",
    example: r#"timezone "nfs" {
  host = host.nfs
  name = "Etc/UTC"
}
"#,
    attributes: &[Attr::new("name", AttrType::Str, Class::Owned, "The zone, as tzdata names it.")
        .required()
        .asked()
        .restores()],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: true,
    mutex: None,
    documented: true,
};

fn probe(asked: &Object) -> Probe {
    Probe::says(read_program!("timezone"), text(asked, "name"))
}

impl HostKind for Timezone {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let Some(name) = text(args, "name") else { return Vec::new() };
        let part = |p: &str| {
            !p.is_empty()
                && !p.starts_with('.')
                && p.chars().all(|c| c.is_ascii_alphanumeric() || "_+-.".contains(c))
        };
        if name.split('/').all(part) {
            return Vec::new();
        }
        let problem =
            Diagnostic::error("bad-time-zone", format!("`{}` is not a time zone", name.escape_debug()));
        vec![problem.detail("It is a name of tzdata, such as `Etc/UTC` or `Europe/Berlin`; `timedatectl list-timezones` lists them.")]
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        said_fields(answers, probe(asked), |fields| {
            let zone = fields.only("zone")?;
            Ok(Some(Object::from([("name".into(), Value::from(zone))])))
        })
    }

    fn discover(&self, _facts: &Facts, _answers: &Answers) -> Discovery {
        Discovery::Found(vec![Object::new()])
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let set = |verb, to: &str| vec![Step::new("apply", verb, format!("set the time zone to {to}"))];
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => match old(change) {
                Some(zone) => set(Verb::Delete, zone),
                None => vec![Step::new("apply", Verb::Delete, "leave the time zone as it is")],
            },
            _ if change.differing.is_empty() => taken_over(change, "the time zone"),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let name = change.desired.as_ref().and_then(|d| text(d, "name"));
                set(verb(change), name.unwrap_or("what is known later"))
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let zone = match step.verb {
            Verb::Delete => old(change),
            _ => Some(required(desired(change)?, "name")?),
        };
        Ok(zone
            .map(|zone| program!("timezone", "timedatectl set-timezone").act([zone]))
            .into_iter()
            .collect())
    }
}

/// The zone to give back, if another is set.
fn old(change: &Change) -> Option<&str> {
    let zone = before(change).and_then(|b| text(b, "name"))?;
    let now = change.observed.as_ref().and_then(|o| text(o, "name"));
    (now != Some(zone)).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check, obj, observe};
    use serde_json::json;

    fn look(text: &str) -> Observation {
        let asked = json!({ "name": "Etc/UTC" });
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&Timezone, asked.clone(), vec![(probe(&obj(asked)), answer)])
    }

    #[test]
    fn observed() {
        assert_eq!(
            look("zone=Europe/Berlin\n"),
            Observation::Present(obj(json!({ "name": "Europe/Berlin" })))
        );
        for strange in ["", "zone\n", "zone=a\nzone=b\n", "zone=a\nmore=b\n", "sh: not found\n"] {
            assert!(matches!(look(strange), Observation::Unknown(_)), "{strange:?}");
        }
    }

    #[test]
    fn set_and_given_back() {
        let berlin = json!({ "name": "Europe/Berlin" });
        let utc = json!({ "name": "Etc/UTC" });
        let set = change(Action::Adopt, json!({})).wants(utc.clone()).sees(berlin.clone(), &["name"]);
        let acts = check(&Timezone, &set, &[("set the time zone to Etc/UTC", InPlace)]);
        assert_eq!(argv(&acts[0])[3..], ["timedatectl set-timezone", "Etc/UTC"]);

        let delete = change(Action::Delete, json!({})).had(utc.clone()).sees(utc.clone(), &[]);
        let acts =
            check(&Timezone, &delete.clone().was(berlin), &[("set the time zone to Europe/Berlin", InPlace)]);
        assert_eq!(argv(&acts[0])[4], "Europe/Berlin");
        assert_eq!(check(&Timezone, &delete.was(utc), &[("leave the time zone as it is", InPlace)]), []);
    }

    #[test]
    fn names_are_checked() {
        let found = |name: &str| Timezone.check(&obj(json!({ "name": name }))).len();
        for good in ["UTC", "Etc/GMT+3", "America/Argentina/Buenos_Aires"] {
            assert_eq!(found(good), 0, "{good}");
        }
        for bad in ["", "/etc/passwd", "../UTC", "Europe/", "a b"] {
            assert_eq!(found(bad), 1, "{bad}");
        }
    }
}
