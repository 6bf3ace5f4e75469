//! `chrony`: where a host has its time from, and whether it has it.
//!
//! In chrony the last occurrence of a setting wins, and Debian's `confdir` stands at the top: a file of our own could
//! not override anything. So settings go to the end of `chrony.conf`, between two marks, and those of others become
//! comments that are easily told from theirs. Sources have a file of their own where chrony reads such files (4.0).

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostics, Object, Schema, Value, json};
use serde_json::{Value as Json, json};

use super::act::{Act, Content};
use super::host_kind::HostKind;
use super::kind::{
    Action, Answers, Change, Discovery, Facts, Gate, GateState, KindError, Observation, PlanCx, Step,
    StepClass, Verb,
};
use super::probe::{Probe, read_program};
use super::program::{Program, program};
use super::reading::{
    Fields, Got, desired, differs, flag, given, listed, not_understood, said, said_fields, said_objects,
    taken_over, verb, whole,
};

mod check;
mod sources;

use sources::{configured, lines};

/// The kind.
pub struct Chrony;

const APPLY: Program = program!("chrony", "configure chrony");
const ONLINE: Program = program!("chrony-online", "chronyc online");
/// What the last step waits for.
const SYNCHRONISED: &str = "the clock is synchronised";

const SOURCE: &[Attr] = &[
    Attr::new("address", AttrType::Str, Class::Owned, "Name or address.").required(),
    Attr::new(
        "iburst",
        AttrType::Bool,
        Class::Owned,
        "Whether it is asked some times quickly at the start; true where nothing is said.",
    ),
    Attr::new("maxsources", AttrType::Num, Class::Owned, "Of a pool: how many of its servers are used."),
    Attr::new("minpoll", AttrType::Num, Class::Owned, "The shortest interval, as a power of two in seconds."),
    Attr::new("maxpoll", AttrType::Num, Class::Owned, "The longest interval, as a power of two in seconds."),
    Attr::new("prefer", AttrType::Bool, Class::Owned, "Whether it is preferred to others."),
    Attr::new("nts", AttrType::Bool, Class::Owned, "Whether it must prove who it is (chrony 4.0 or newer)."),
    Attr::new(
        "options",
        AttrType::List(&AttrType::Str),
        Class::Owned,
        "More words, as chrony.conf(5) has them.",
    ),
];
const SOURCES: AttrType = AttrType::List(&AttrType::Object { fields: SOURCE, scalar: Some("address") });
const MAKESTEP: &[Attr] = &[
    Attr::new("threshold", AttrType::Num, Class::Owned, "Seconds by which the clock must be wrong.")
        .required(),
    Attr::new("limit", AttrType::Num, Class::Owned, "How many updates after the start may step; -1 for all.")
        .required(),
];

static SCHEMA: Schema = Schema {
    kind: "chrony",
    version: 1,
    summary: "A host's clock: its sources and whether it is synchronised.",
    doc: "Owns the sources given here, in a file of their own that can be read again without a restart (in \
          `chrony.conf` before chrony 4.0), and those settings that are given, at the end of \
          `/etc/chrony/chrony.conf`, where the last one counts. Lines of others that would be in the way become \
          comments. chronyd checks the result before it is put in place; where it does not start with it, all is put \
          back. Sources that the distribution's own configuration names stay in use unless `default_sources` is \
          false. A `makestep` with the limit -1 steps the clock at any time, under a running validator too: 0.1 and 3 \
          are good values. Apply does so too, and the plan says it, where `synchronised` is asked for and the clock of a \
          running chronyd is wrong by more than the threshold. Destroy gives back the configuration from before; the package stays.",
    example: r#"chrony "nfs" {
  host            = host.nfs
  pools           = [{ address = "pool.ntp.org", maxsources = 3 }]
  default_sources = false
  maxupdateskew   = 5
  makestep        = { threshold = 0.1, limit = 3 }
  synchronised    = true
}
"#,
    attributes: &[
        Attr::new("pools", SOURCES, Class::Owned, "Names that stand for several servers each.").default("[]").asked(),
        Attr::new("servers", SOURCES, Class::Owned, "Single servers.").default("[]").asked(),
        Attr::new(
            "default_sources",
            AttrType::Bool,
            Class::Owned,
            "Whether the sources that `chrony.conf` and `conf.d` name are used too; left as it is where not given.",
        )
        .asked(),
        Attr::new(
            "maxupdateskew",
            AttrType::Num,
            Class::Owned,
            "Estimates of the clock's speed that are less certain than this, in parts per million, are not used.",
        ),
        Attr::new(
            "makestep",
            AttrType::Object { fields: MAKESTEP, scalar: None },
            Class::Owned,
            "When the clock is set at once instead of being slowed down or sped up.",
        ),
        Attr::new("loaded", AttrType::Bool, Class::Owned, "Whether it runs with this configuration.")
            .default("true")
            .implies(&[
                Implies::WantsNamed(Thing::Package, "chrony"),
                Implies::ProvidesPart(Thing::Unit, "chrony.service"),
            ]),
        Attr::new(
            "synchronised",
            AttrType::Bool,
            Class::Owned,
            "With true, apply waits until the clock is synchronised, and drift reports where it is not.",
        )
        // It comes and goes between a plan and its step.
        .volatile(),
        Attr::new("synchronise_within", AttrType::Num, Class::Setting, "Seconds that apply waits at most.")
            .default("600"),
        Attr::new(
            "max_offset",
            AttrType::Num,
            Class::Setting,
            "Seconds by which a clock that counts as synchronised may be wrong.",
        )
        .default("0.1")
        .asked(),
        Attr::new(
            "min_sources",
            AttrType::Num,
            Class::Setting,
            "How many sources must answer before the clock counts as synchronised.",
        )
        .default("1")
        .asked(),
        Attr::new("offset", AttrType::Num, Class::Fact, "Seconds by which the clock is behind; null for not known.")
            .volatile(),
        Attr::new("reachable", AttrType::Num, Class::Fact, "How many sources answer.").volatile(),
        Attr::new("problem", AttrType::Str, Class::Fact, "What chronyd has against its configuration; null for nothing.")
            .volatile(),
        Attr::new("reloads", AttrType::Bool, Class::Fact, "Whether new sources need no restart.").volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: true,
    mutex: Some("chrony"),
    documented: true,
};

fn probe() -> Probe {
    Probe::says(read_program!("chrony"), <[String; 0]>::default())
}

/// What chrony thinks of the time.
#[derive(Debug, Default, PartialEq)]
struct Tracking {
    /// How far the clock is behind, where it is compared with anything but itself.
    offset: Option<f64>,
    /// How many sources answer.
    reachable: usize,
}

/// Fields of `chronyc -c tracking` and `sources`: chronyc(1).
const TRACKING_FIELDS: usize = 14;
const SOURCE_FIELDS: usize = 10;
/// The reference that stands for the host's own clock (`local`).
const ITSELF: &str = "7F7F0101";

impl Tracking {
    fn of(fields: &Fields<'_>) -> Result<Tracking, String> {
        let mut found = Tracking::default();
        if let Some(line) = fields.get("tracking") {
            let parts: Vec<&str> = line.split(',').collect();
            if parts.len() != TRACKING_FIELDS {
                return Err(not_understood(line));
            }
            let offset: f64 = parts[4].parse().map_err(|_| not_understood(line))?;
            let is_compared = parts[13] != "Not synchronised" && parts[0] != ITSELF;
            found.offset = Some(offset).filter(|o| is_compared && o.is_finite());
        }
        for line in fields.all("source") {
            let parts: Vec<&str> = line.split(',').collect();
            if parts.len() != SOURCE_FIELDS {
                return Err(not_understood(line));
            }
            // Eight bits for the last eight answers, in octal.
            let reach = u32::from_str_radix(parts[5], 8).map_err(|_| not_understood(line))?;
            found.reachable += usize::from(reach != 0);
        }
        Ok(found)
    }

    /// Why the clock does not count as synchronised.
    fn lacks(&self, asked: &Object) -> Option<String> {
        let max = given(asked, "max_offset").and_then(Value::as_num).map_or(0.1, |n| n.to_f64());
        let min = whole(asked, "min_sources").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        match self.offset {
            None if self.reachable == 0 => Some("no source answers; is UDP port 123 open?".into()),
            None => Some(format!("{} sources answer, none is chosen yet", self.reachable)),
            Some(offset) if offset.abs() > max => {
                Some(format!("it is wrong by {offset:.3} s, more than {max} s"))
            }
            Some(_) if self.reachable < min => {
                Some(format!("{} of at least {min} sources answer", self.reachable))
            }
            Some(_) => None,
        }
    }
}

/// The last value of a setting; null for one that is not there or that chronyd would not take either.
fn setting(fields: &Fields<'_>, word: &str) -> Json {
    let lines = fields.all("set").map(|line| line.split_whitespace().collect::<Vec<_>>());
    let Some(last) = lines.filter(|words| words.first() == Some(&word)).last() else { return Json::Null };
    let number = |text: &str| text.parse::<serde_json::Number>().ok().map(Json::Number);
    match (word, &last[1..]) {
        ("makestep", [threshold, limit]) => match (number(threshold), number(limit)) {
            (Some(threshold), Some(limit)) => json!({ "threshold": threshold, "limit": limit }),
            _ => Json::Null,
        },
        (_, [value]) => number(value).unwrap_or_default(),
        _ => Json::Null,
    }
}

fn present(asked: &Object, fields: &Fields<'_>) -> Result<Option<Object>, String> {
    if !fields.is("chrony")? {
        return Ok(None);
    }
    let is_valid = fields.is("valid")?;
    let tracking = Tracking::of(fields)?;
    let (shown, hidden) = (fields.all("default").count(), fields.all("hidden").count());
    let wanted_default = flag(asked, "default_sources");
    // Where there are none, both are true.
    let default = if shown + hidden == 0 { wanted_default.unwrap_or(true) } else { shown > 0 };
    let is_old = fields.must("version")?.starts_with(['0', '1', '2', '3']);
    let rest = json!({
        "default_sources": default,
        "maxupdateskew": setting(fields, "maxupdateskew"),
        "makestep": setting(fields, "makestep"),
        "loaded": fields.is("loaded")? && is_valid,
        "synchronised": tracking.lacks(asked).is_none(),
        "offset": tracking.offset,
        "reachable": tracking.reachable,
        "problem": if is_valid { None } else { Some(fields.get("error").unwrap_or("its configuration is not valid")) },
        "reloads": fields.is("sourcedir")? && !is_old,
    });
    let mut object = json::from_json(&rest).as_fields().cloned().unwrap_or_default();
    let ours: Vec<&str> = fields.all("ours").collect();
    for (name, word) in [("pools", "pool"), ("servers", "server")] {
        let is_of = |line: &&&str| (line.split_whitespace().next() == Some("pool")) == (word == "pool");
        let found: Vec<&str> = ours.iter().filter(is_of).copied().collect();
        let wanted = asked.get(name).filter(|v| v.is_wholly_known());
        let value = match wanted {
            Some(wanted) if lines(word, wanted) == found => wanted.clone(),
            _ => json::from_json(&Json::Array(found.iter().map(|line| configured(line)).collect())),
        };
        object.insert(name.into(), value);
    }
    Ok(Some(object))
}

impl HostKind for Chrony {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        check::check(args)
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        said_fields(answers, probe(), |fields| present(asked, fields))
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        said_objects(answers, probe(), |fields| {
            if !fields.is("chrony")? {
                return Ok(Vec::new());
            }
            if !(fields.is("loaded")? && fields.is("valid")?) {
                return Err("chronyd does not run with its configuration: restart it first".into());
            }
            Ok(vec![Object::new()])
        })
    }

    fn portray(&self, observed: &Object) -> Object {
        // It comes and goes, and nobody has asked that anything waits for it.
        let mut shown = observed.clone();
        shown.remove("synchronised");
        shown
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete if change.observed.is_none() => {
                vec![Step::new("remove", Verb::Delete, "chrony is gone already")]
            }
            Action::Delete => {
                let title = "take away what coxswain configured of chrony, and restart it";
                vec![Step::new("remove", Verb::Delete, title).class(StepClass::Restart)]
            }
            _ if change.differing.is_empty() => taken_over(change, "chrony's configuration"),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => steps(change),
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        match step.name.as_str() {
            "remove" if change.observed.is_none() => return Ok(Vec::new()),
            "remove" => return Ok(vec![APPLY.act_with(["on", "restart", "drop"], Content::new(Vec::new()))]),
            "wait" => return Ok(Vec::new()),
            "ask" => return Ok(vec![ONLINE.act([threshold(desired(change)?).unwrap_or_default()])]),
            _ => {}
        }
        let wanted = desired(change)?;
        let default = match flag(wanted, "default_sources") {
            Some(true) => "on",
            Some(false) => "off",
            None => "keep",
        };
        let how = if step.class == StepClass::Restart { "restart" } else { "reload" };
        Ok(vec![APPLY.act_with([default, how, "keep"], Content::new(text_of(wanted).into_bytes()))])
    }

    fn gate(&self, _name: &str, asked: &Object, got: &Answers) -> GateState {
        let said = match said(got, &probe()) {
            Got::NotAsked => return GateState::Need(vec![probe()]),
            Got::Found(said) => said,
            Got::Absent => return GateState::Closed("chrony is not there".into()),
            Got::Unknown(reason) => return GateState::Closed(reason),
        };
        match Fields::of(said).and_then(|fields| Tracking::of(&fields)) {
            Ok(tracking) => tracking.lacks(asked).map_or(GateState::Open, GateState::Closed),
            Err(reason) => GateState::Closed(reason),
        }
    }
}

/// Settings and sources as chrony reads them.
fn text_of(wanted: &Object) -> String {
    let mut text = Vec::new();
    if let Some(skew) = given(wanted, "maxupdateskew").and_then(Value::as_num) {
        text.push(format!("maxupdateskew {skew}"));
    }
    let part = |name| given(wanted, "makestep").and_then(Value::as_fields)?.get(name)?.as_num();
    if let (Some(threshold), Some(limit)) = (part("threshold"), part("limit")) {
        text.push(format!("makestep {threshold} {limit}"));
    }
    for (name, word) in [("pools", "pool"), ("servers", "server")] {
        text.extend(wanted.get(name).map(|v| lines(word, v)).unwrap_or_default());
    }
    text.iter().map(|line| format!("{line}\n")).collect()
}

/// Seconds by which a clock must be wrong to be set at once; none where nobody allows it.
fn threshold(wanted: &Object) -> Option<String> {
    let seconds = given(wanted, "makestep").and_then(Value::as_fields)?.get("threshold")?.as_num()?;
    Some(seconds.to_string())
}

/// Has the sources asked; and the clock set, which chronyd does by itself with its first answers only.
fn ask(change: &Change) -> Step {
    let Some(threshold) = change.desired.as_ref().and_then(threshold) else {
        return Step::new("ask", Verb::Update, "have chrony ask all of its sources");
    };
    let offset = change.observed.as_ref().and_then(|o| given(o, "offset")).and_then(Value::as_num);
    let title = match offset.map(|offset| offset.to_f64().abs()) {
        Some(offset) => format!("set the clock at once, which is wrong by {offset:.3} s"),
        None => {
            format!("ask all of chrony's sources, and set the clock at once if it is wrong by {threshold} s")
        }
    };
    Step::new("ask", Verb::Update, title).class(StepClass::Danger)
}

fn steps(change: &Change) -> Vec<Step> {
    let of = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|n| differs(change, n)).collect()
    };
    let sources = of(&["pools", "servers"]);
    let settings = of(&["default_sources", "maxupdateskew", "makestep"]);
    let is_loaded = change.observed.as_ref().and_then(|o| flag(o, "loaded")) == Some(true);
    let reloads = change.observed.as_ref().and_then(|o| flag(o, "reloads")) == Some(true);
    let mut steps = Vec::new();
    if !sources.is_empty() && settings.is_empty() && is_loaded && reloads {
        let title = format!("set chrony's {}, without a restart", listed(&sources));
        steps.push(Step::new("apply", verb(change), title));
    } else if !sources.is_empty() || !settings.is_empty() {
        let all: Vec<&str> = sources.into_iter().chain(settings).collect();
        let title = format!("set chrony's {}, and restart it", listed(&all).replace('_', " "));
        steps.push(Step::new("apply", verb(change), title).class(StepClass::Restart));
    } else if differs(change, "loaded") {
        let title = "restart chrony, which does not run with its configuration";
        steps.push(Step::new("apply", Verb::Update, title).class(StepClass::Restart));
    }
    // A chronyd that starts sets the clock by itself.
    if differs(change, "synchronised") && steps.iter().all(|s| s.class != StepClass::Restart) {
        steps.push(ask(change));
    }
    if let Some(wanted) = &change.desired
        && flag(wanted, "synchronised") == Some(true)
    {
        let limit = whole(wanted, "synchronise_within").and_then(|n| u64::try_from(n).ok()).unwrap_or(600);
        let mut wait = Step::new("wait", Verb::Update, format!("wait until {SYNCHRONISED}"));
        wait.gates.push(Gate::Condition { name: SYNCHRONISED.into(), limit_s: limit });
        steps.push(wait);
    }
    steps
}

#[cfg(test)]
mod tests;
