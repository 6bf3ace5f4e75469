//! `snap`: a snap that is installed, and the channel it follows.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::{Value as Json, json};

use super::act::Act;
use super::host_kind::HostKind;
use super::kind::{
    Action, Answers, Change, Discovery, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb,
};
use super::probe::{Probe, read_program};
use super::program::{Program, program};
use super::reading::{
    Fields, before, desired, differs, flag, given, listed, named, not_understood, required, said_fields,
    said_objects, taken_over, text,
};

/// The kind.
pub struct Snap;

const SNAP: Program = program!("snap", "snap");

static SCHEMA: Schema = Schema {
    kind: "snap",
    version: 1,
    summary: "A snap and the channel it follows.",
    doc: "Installs the snap and keeps it on its channel; what it follows counts, not where the installed revision once \
          came from. A change goes on in snapd when the connection breaks, and one that is under way is waited for. \
          With `hold` snapd does not refresh it by itself (snapd 2.58 or newer; Debian 12 has 2.57). MicroK8s is \
          moved between channels by `microk8s_cluster`, one node after another. Destroy removes a snap that was not \
          there before; snapd keeps a snapshot of its data for 31 days, unless `destroy_data` is true. A snap that \
          was there gets its channel and its hold back. What a newer revision has made of the data stays.",
    example: r#"snap "helm" {
  host    = host.nfs
  name    = "helm"
  channel = "3/stable"
  classic = true
  hold    = true
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "Its name.")
            .implies(&[Implies::WantsNamed(Thing::Package, "snapd")]),
        Attr::new("channel", AttrType::Str, Class::Owned, "The channel it follows, such as `1.32/stable`.")
            .required()
            .asked()
            .restores(),
        Attr::new(
            "classic",
            AttrType::Bool,
            Class::Owned,
            "Whether it is without confinement; many are only to be had so.",
        ),
        Attr::new("hold", AttrType::Bool, Class::Owned, "Whether snapd leaves it at its revision.")
            .restores(),
        Attr::new("revision", AttrType::Str, Class::Owned, "Its revision, where exactly one is wanted.")
            .restores(),
        Attr::new(
            "destroy_data",
            AttrType::Bool,
            Class::Setting,
            "Whether destroy removes its data without a snapshot.",
        )
        .default("false"),
        Attr::new("version", AttrType::Str, Class::Fact, "What its maker calls the installed revision.")
            .volatile(),
        Attr::new("status", AttrType::Str, Class::Fact, "snapd's word, such as `active`.").volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: Some("snap"),
    documented: true,
};

/// `stable` is `latest/stable`: snapd's own words for it.
fn full(channel: &str) -> String {
    let is_risk = |word: &str| ["stable", "candidate", "beta", "edge"].contains(&word);
    match channel.split_once('/') {
        None if is_risk(channel) => format!("latest/{channel}"),
        None => format!("{channel}/stable"),
        Some((risk, branch)) if is_risk(risk) => format!("latest/{risk}/{branch}"),
        Some(_) => channel.to_owned(),
    }
}

/// The fields of a snap, from snapd itself.
fn from_snapd(answer: &str, now: &str) -> Result<Option<Json>, String> {
    let strange = || not_understood(answer);
    let answer: Json = serde_json::from_str(answer).map_err(|_| strange())?;
    let result = &answer["result"];
    if answer["type"] == "error" {
        let kind = result["kind"].as_str().unwrap_or_default();
        let message = result["message"].as_str().unwrap_or_default();
        return if kind == "snap-not-found" { Ok(None) } else { Err(format!("snapd says: {message}")) };
    }
    let word = |name: &str| result[name].as_str().ok_or_else(strange);
    // A snap from a file follows nothing, and has an empty text for it.
    let follows = |name: &str| result[name].as_str().filter(|channel| !channel.is_empty());
    let tracks = follows("tracking-channel").or_else(|| follows("channel"));
    // Times of one form and zone: the later one sorts after.
    let is_held = result["hold"].as_str().is_some_and(|until| until > now);
    Ok(Some(json!({
        "channel": tracks.map(full), "classic": word("confinement")? == "classic", "hold": is_held,
        "revision": word("revision")?, "version": result["version"].as_str(), "status": result["status"].as_str(),
    })))
}

/// The same from a line of `snap list`: Name Version Rev Tracking Publisher Notes.
fn from_row(row: &str) -> Result<Json, String> {
    let [_, version, revision, tracks, _, notes] = row.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(not_understood(row));
    };
    // Where the column is cut, nobody knows how the channel goes on.
    if tracks.ends_with('…') {
        return Err(format!("{}; install curl on the host, which asks snapd itself", not_understood(row)));
    }
    let has = |note: &str| notes.split(',').any(|n| n == note);
    Ok(json!({
        "channel": (tracks != "-").then(|| full(tracks)), "classic": has("classic"), "hold": has("held"), "revision": revision,
        "version": version, "status": if has("disabled") { "installed" } else { "active" },
    }))
}

fn present(name: &str, asked: &Object, fields: &Fields<'_>) -> Result<Option<Object>, String> {
    if !fields.is("snapd")? {
        return Ok(None);
    }
    let found = match (fields.get("json"), fields.get("row"), fields.get("none")) {
        (Some(answer), None, None) => from_snapd(answer, fields.must("now")?)?,
        (None, Some(row), None) => Some(from_row(row)?),
        (None, None, Some("yes")) => None,
        _ => return Err("snapd says nothing of it, or several things".into()),
    };
    let Some(found) = found else { return Ok(None) };
    let mut object = json::from_json(&found).as_fields().cloned().unwrap_or_default();
    object.insert("name".into(), Value::from(name));
    if let Some(wanted) = text(asked, "channel")
        && text(&object, "channel") == Some(full(wanted).as_str())
    {
        object.insert("channel".into(), Value::from(wanted));
    }
    Ok(Some(object))
}

fn probe(name: &str) -> Probe {
    Probe::says(read_program!("snap"), [name])
}

/// The rows of words for snap that make `wanted` of what is there.
fn commands(name: &str, wanted: &Object, change: &Change) -> Vec<Vec<String>> {
    let channel = text(wanted, "channel").map(|c| format!("--channel={}", full(c)));
    let revision = text(wanted, "revision").map(|r| format!("--revision={r}"));
    let classic = (flag(wanted, "classic") == Some(true)).then(|| "--classic".to_owned());
    let row = |verb: &str, options: Vec<Option<String>>| -> Vec<String> {
        [verb.to_owned(), name.to_owned()].into_iter().chain(options.into_iter().flatten()).collect()
    };
    let mut rows = Vec::new();
    let is_new = change.observed.is_none();
    if is_new {
        rows.push(row("install", vec![channel, revision, classic]));
    } else if differs(change, "channel") || differs(change, "revision") {
        rows.push(row("refresh", vec![channel, revision, classic]));
    }
    match flag(wanted, "hold") {
        Some(true) if is_new || differs(change, "hold") => {
            rows.push(row("refresh", vec![Some("--hold=forever".into())]));
        }
        Some(false) if !is_new && differs(change, "hold") => {
            rows.push(row("refresh", vec![Some("--unhold".into())]));
        }
        Some(_) | None => {}
    }
    rows
}

/// What destroy does.
enum Removal {
    /// Nothing is there any more.
    Nothing,
    /// The snap goes.
    Remove,
    /// The attributes from before come back.
    Restore(Vec<Vec<String>>),
}

fn removal(name: &str, change: &Change) -> Removal {
    let Some(now) = &change.observed else { return Removal::Nothing };
    let Some(first) = before(change) else { return Removal::Remove };
    let owned = |attr: &str| given(&change.prior, attr).is_some();
    // A channel has several names.
    let said = |object: &Object, attr: &str| match text(object, attr) {
        Some(channel) if attr == "channel" => Some(Value::from(full(channel))),
        Some(_) | None => given(object, attr).cloned(),
    };
    let differs =
        |attr: &str| owned(attr) && said(first, attr).is_some() && said(first, attr) != said(now, attr);
    let mut rows = Vec::new();
    if differs("channel")
        && let Some(channel) = text(first, "channel")
    {
        rows.push(vec!["refresh".into(), name.into(), format!("--channel={}", full(channel))]);
    }
    if differs("hold") {
        let how = if flag(first, "hold") == Some(true) { "--hold=forever" } else { "--unhold" };
        rows.push(vec!["refresh".into(), name.into(), how.into()]);
    }
    Removal::Restore(rows)
}

fn removal_title(name: &str, change: &Change) -> String {
    match removal(name, change) {
        Removal::Nothing => format!("the snap {name} is gone already"),
        Removal::Remove if flag(&change.prior, "destroy_data") == Some(true) => {
            format!("remove the snap {name} and all of its data")
        }
        Removal::Remove => format!("remove the snap {name}; snapd keeps a snapshot of its data for 31 days"),
        Removal::Restore(rows) if rows.is_empty() => format!("leave the snap {name} as it is"),
        Removal::Restore(_) => format!("give the snap {name} its channel and hold back"),
    }
}

impl HostKind for Snap {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let wrong = |why: String| Diagnostic::error("bad-snap", why);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(name) = text(args, "name")
            && (!name.split('_').all(|part| !part.is_empty() && part.chars().all(plain))
                || name.starts_with('-'))
        {
            problems.push(wrong(format!("`{}` is not a snap's name", name.escape_debug())));
        }
        if let Some(channel) = text(args, "channel") {
            let is_word = |w: &str| {
                !w.is_empty()
                    && !w.starts_with('-')
                    && w.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
            };
            let parts: Vec<&str> = channel.split('/').collect();
            if parts.len() > 3 || !parts.iter().all(|p| is_word(p)) {
                let problem = wrong(format!("`{}` is not a channel", channel.escape_debug()));
                problems.push(
                    problem.detail(
                        "It is a track, a risk, or both: `1.32/stable`; `snap info NAME` lists them.",
                    ),
                );
            }
        }
        if text(args, "revision").is_some_and(|r| r.is_empty() || !r.chars().all(|c| c.is_ascii_digit())) {
            problems.push(wrong("`revision` is not the number of a revision".into()));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(asked, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        said_fields(answers, probe(name), |fields| present(name, asked, fields))
    }

    fn discover(&self, _facts: &Facts, answers: &Answers) -> Discovery {
        let probe = Probe::says(read_program!("snaps"), <[String; 0]>::default());
        said_objects(answers, probe, |fields| Ok(named("name", fields.all("snap"))))
    }

    fn portray(&self, observed: &Object) -> Object {
        // Nobody who follows a channel wants to stay at the revision of today.
        let mut shown = observed.clone();
        shown.remove("revision");
        shown
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let channel = change.desired.as_ref().and_then(|d| text(d, "channel")).unwrap_or("its channel");
        if change.observed.is_some() && differs(change, "classic") {
            let problem =
                Diagnostic::error("snap-confinement", format!("the confinement of {name} is another"));
            return Err(vec![problem.detail(
                "snapd does not change it for a snap that is installed. Remove the snap (`snap remove`, which keeps a \
                 snapshot of its data) and apply again.",
            )]);
        }
        let services = |name, verb, title: String| Step::new(name, verb, title).class(StepClass::Restart);
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                let step = Step::new("remove", Verb::Delete, removal_title(name, change));
                let is_data_lost = matches!(removal(name, change), Removal::Remove)
                    && flag(&change.prior, "destroy_data") == Some(true);
                vec![if is_data_lost { step.class(StepClass::Danger) } else { step }]
            }
            _ if change.observed.is_none() => {
                vec![Step::new("apply", Verb::Create, format!("install the snap {name} from {channel}"))]
            }
            _ if change.differing.is_empty() => taken_over(change, &format!("the snap {name}")),
            _ if differs(change, "channel") || differs(change, "revision") => {
                let title = format!("refresh the snap {name} to {channel}, which restarts its services");
                vec![services("apply", Verb::Update, title)]
            }
            _ => {
                let names: Vec<&str> = change.differing.iter().map(AsRef::as_ref).collect();
                vec![Step::new("apply", Verb::Update, format!("set {} of the snap {name}", listed(&names)))]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        let rows = match step.verb {
            Verb::Adopt => Vec::new(),
            Verb::Delete => match removal(name, change) {
                Removal::Nothing => Vec::new(),
                Removal::Remove => {
                    let purge =
                        (flag(&change.prior, "destroy_data") == Some(true)).then(|| "--purge".to_owned());
                    vec![["remove".to_owned(), name.to_owned()].into_iter().chain(purge).collect()]
                }
                Removal::Restore(rows) => rows,
            },
            _ => commands(name, desired(change)?, change),
        };
        Ok(rows.into_iter().map(|words| SNAP.act(words)).collect())
    }
}

#[cfg(test)]
mod tests;
