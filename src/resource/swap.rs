//! `swap`: a swap file, in use now and at every boot by a unit of systemd.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::Act;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb};
use super::probe::{Probe, read_program};
use super::program::program;
use super::reading::{
    Fields, MANAGED, before, desired, differs, flag, not_understood, required, said_fields, taken_over, text,
    verb, whole,
};
use super::unit_file::{of_path, write};

/// The kind.
pub struct Swap;

static SCHEMA: Schema = Schema {
    kind: "swap",
    version: 1,
    summary: "A swap file.",
    doc: "Owns the file, its use as swap now, and a `.swap` unit of systemd that uses it at every boot. Files are made \
          on ext4 and xfs only: btrfs, zfs and others want more than a file. Another size makes a new file beside the \
          old one (there must be room for both) and takes the old one out of use, for which what is in it must fit \
          into memory; so must it for destroy. A file that is there already must be a swap file, and `/etc/fstab` \
          must not name it. Destroy removes a file that coxswain made; one that was there before stays, in use if it \
          was in use, with the size and mode it has then.",
    example: r#"swap "main" {
  host = host.nfs
  path = "/swapfile"
  size = 2048
}
"#,
    attributes: &[
        Attr::new("path", AttrType::Path, Class::Identity, "The file; letters, digits and `/._-` only.")
            .implies(&[Implies::WantsParents]),
        Attr::new("size", AttrType::Num, Class::Owned, "Its size in MiB.").required().restores(),
        Attr::new(
            "priority",
            AttrType::Num,
            Class::Owned,
            "From 0 to 32767; what has the highest is used first. Without it the kernel gives one below 0.",
        )
        .asked(),
        Attr::new("private", AttrType::Bool, Class::Owned, "Whether it is root's, with mode 0600.")
            .default("true"),
        Attr::new("active", AttrType::Bool, Class::Owned, "Whether it is in use now.")
            .default("true")
            .restores(),
        Attr::new("at_boot", AttrType::Bool, Class::Owned, "Whether it is in use after every boot.")
            .default("true"),
        Attr::new(
            "written",
            AttrType::Bool,
            Class::Owned,
            "Whether the unit says just this, and systemd has read it.",
        )
        .default("true"),
        Attr::new("formatted", AttrType::Bool, Class::Fact, "Whether the file is a swap file.").volatile(),
        Attr::new("foreign", AttrType::Bool, Class::Fact, "Whether its unit's file is not coxswain's.")
            .volatile(),
        Attr::new("fstab", AttrType::Str, Class::Fact, "The line of `/etc/fstab` for it, if there is one.")
            .volatile(),
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

const MIB: u64 = 1024 * 1024;

fn unit(path: &str) -> String {
    of_path(path, "swap")
}

fn file(path: &str) -> String {
    format!("/etc/systemd/system/{}", unit(path))
}

fn content(path: &str, args: &Object) -> String {
    let priority = whole(args, "priority").map(|n| format!("Priority={n}\n")).unwrap_or_default();
    format!(
        "{MANAGED}[Unit]\nDescription=Swap file {path}\n\n[Swap]\nWhat={path}\n{priority}\n[Install]\n\
         WantedBy=swap.target\n"
    )
}

fn probe(path: &str) -> Probe {
    Probe::says(read_program!("swap"), [path, path, &unit(path), &file(path)])
}

impl HostKind for Swap {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        check(args)
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(path) = text(asked, "path") else {
            return Observation::Unknown("its path is not known".into());
        };
        said_fields(answers, probe(path), |fields| observed(asked, path, fields))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        if let Some(problem) = refused(change, path) {
            return Err(vec![problem]);
        }
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                let title = match becomes(change) {
                    "remove" => format!("take {path} out of use and remove it"),
                    "stop" => format!("take {path} out of use; the file was there before and stays"),
                    _ => format!("leave {path} in use as it was; only its unit goes"),
                };
                let step = Step::new("remove", Verb::Delete, title);
                vec![if becomes(change) == "leave" { step } else { step.class(StepClass::Restart) }]
            }
            _ if change.differing.is_empty() => taken_over(change, path),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let is_used = sees(change, "active");
                let size = change.desired.as_ref().and_then(|d| whole(d, "size"));
                let size = size.map_or_else(|| "a size known later".to_owned(), |n| format!("{n} MiB"));
                let title = match (is_made(change), doing(change)) {
                    (true, _) if is_used => format!("take {path} out of use and make it anew with {size}"),
                    (true, _) => format!("make the swap file {path} with {size}"),
                    (_, "stop") => format!("take {path} out of use"),
                    (_, "start") => format!("use {path} as swap"),
                    (_, "again") => format!("take {path} out of use and use it with another priority"),
                    _ => format!("configure the swap file {path}"),
                };
                let step = Step::new("apply", verb(change), title);
                let is_stopped = is_used && (is_made(change) || doing(change) != "none");
                vec![if is_stopped { step.class(StepClass::Restart) } else { step }]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let path = required(&change.identity, "path")?;
        let (unit, file) = (unit(path), file(path));
        if step.verb == Verb::Delete {
            return Ok(vec![program!("swap-off", "swap off").act([path, &unit, &file, becomes(change)])]);
        }
        let wanted = desired(change)?;
        let size = whole(wanted, "size").ok_or_else(|| KindError::Failed("`size` is not known".into()))?;
        let made = if is_made(change) { "make" } else { "keep" };
        let at_boot = if flag(wanted, "at_boot") == Some(false) { "no" } else { "yes" };
        let set = program!("swap", "swap");
        Ok(vec![
            write(file, content(path, wanted)),
            set.act([path, &size.to_string(), made, &unit, at_boot, doing(change)]),
        ])
    }
}

fn sees(change: &Change, name: &str) -> bool {
    change.observed.as_ref().and_then(|o| flag(o, name)) == Some(true)
}

/// Whether the file is made, anew too.
fn is_made(change: &Change) -> bool {
    differs(change, "size") || !sees(change, "formatted")
}

/// What is done with its use.
fn doing(change: &Change) -> &'static str {
    let is_wanted = change.desired.as_ref().and_then(|d| flag(d, "active")) != Some(false);
    match (sees(change, "active"), is_wanted) {
        (true, false) => "stop",
        (false, true) => "start",
        (true, true) if differs(change, "priority") || is_made(change) => "again",
        _ => "none",
    }
}

/// What becomes of a file that is no longer managed.
fn becomes(change: &Change) -> &'static str {
    match before(change).map(|b| (b.get("size").is_some_and(|s| !s.is_null()), flag(b, "active"))) {
        Some((true, Some(true))) => "leave",
        Some((true, _)) => "stop",
        _ => "remove",
    }
}

fn refused(change: &Change, path: &str) -> Option<Diagnostic> {
    let is_begun = matches!(change.action, Action::Create | Action::Adopt | Action::Replace);
    let seen = change.observed.as_ref()?;
    if !is_begun && change.action != Action::Update {
        return None;
    }
    if let Some(line) = text(seen, "fstab") {
        let problem = Diagnostic::error("swap-fstab", format!("/etc/fstab uses {path} too"));
        return Some(problem.detail(format!("Take this line out of it:\n{line}")));
    }
    if flag(seen, "foreign") == Some(true) {
        let problem = Diagnostic::error("swap-foreign", format!("{} is not coxswain's", file(path)));
        return Some(problem.detail(
            "It would be overwritten, and could not be given back. Remove it, or leave the file to it.",
        ));
    }
    // What coxswain makes is a swap file from the moment it has its name.
    if is_begun && flag(seen, "formatted") == Some(false) && seen.get("size").is_some_and(|s| !s.is_null()) {
        let problem = Diagnostic::error("swap-other-file", format!("{path} is there, and is no swap file"));
        return Some(problem.detail("What is in it would be lost. Remove it, or take another path."));
    }
    None
}

/// Size in MiB, and whether it is root's alone.
fn stat(text: &str) -> Result<(i128, bool), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [sort, size, mode, uid, gid] = parts[..] else { return Err(not_understood(text)) };
    if !sort.starts_with("regular") {
        return Err(format!("it is not a file: {}", sort.escape_debug()));
    }
    let size: u64 = size.parse().map_err(|_| not_understood(text))?;
    Ok((i128::from(size / MIB), mode == "600" && uid == "0" && gid == "0"))
}

/// The priority of `TYPE SIZE PRIORITY`.
fn priority(text: &str) -> Result<i64, String> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["file", _, priority] => priority.parse().map_err(|_| not_understood(text)),
        _ => Err(not_understood(text)),
    }
}

fn observed(asked: &Object, path: &str, fields: &Fields<'_>) -> Result<Option<Object>, String> {
    if let Some((key, _)) = fields.0.iter().find(|(key, _)| {
        !["active", "fstab", "file", "signature", "unit", "text", "enabled", "stale"].contains(key)
    }) {
        return Err(not_understood(key));
    }
    let now = fields.get("active").map(priority).transpose()?;
    let (size, is_private) = match fields.get("file") {
        Some("link") => return Err("it is a symbolic link".into()),
        Some(text) => stat(text).map(|(size, is_private)| (Some(size), is_private))?,
        None => (None, false),
    };
    let has_unit = fields.is("unit")?;
    if size.is_none() && !has_unit {
        return Ok(None);
    }
    let lines: Vec<&str> = fields.all("text").collect();
    let of_unit = lines.iter().find_map(|l| l.strip_prefix("Priority=")).and_then(|n| n.parse().ok());
    let is_written =
        has_unit && !fields.is("stale")? && format!("{}\n", lines.join("\n")) == content(path, asked);
    let is_foreign = has_unit && lines.first().map(|l| format!("{l}\n")).as_deref() != Some(MANAGED);
    let number = |n: Option<i64>| n.map_or_else(Value::null, Value::from);
    Ok(Some(Object::from([
        ("path".into(), Value::from(path)),
        ("size".into(), number(size.and_then(|n| i64::try_from(n).ok()))),
        ("priority".into(), number(now.or(of_unit))),
        ("private".into(), Value::from(is_private)),
        ("active".into(), Value::from(now.is_some())),
        ("at_boot".into(), Value::from(fields.is("enabled")?)),
        ("written".into(), Value::from(is_written)),
        ("formatted".into(), Value::from(size.is_some() && fields.is("signature")?)),
        ("foreign".into(), Value::from(is_foreign)),
        ("fstab".into(), fields.all("fstab").next().map_or_else(Value::null, Value::from)),
    ])))
}

fn check(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    let wrong = |why: String| Diagnostic::error("bad-swap", why);
    let is_path = |p: &str| {
        p.starts_with('/')
            && p.len() > 1
            && p[1..].split('/').all(|part| !matches!(part, "" | "." | ".."))
            && p.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    if let Some(path) = text(args, "path").filter(|p| !is_path(p)) {
        problems.push(wrong(format!(
            "`{}` is not a path of letters, digits, `/`, `.`, `_` and `-`",
            path.escape_debug()
        )));
    }
    for (name, from, to) in [("size", 1, 1_048_576), ("priority", 0, 32_767)] {
        let number = args.get(name).and_then(Value::as_num);
        if number.is_some_and(|n| n.to_i128().is_none_or(|n| !(from..=to).contains(&n))) {
            problems.push(wrong(format!("`{name}` is not a whole number from {from} to {to}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::{InPlace, Restart};
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, plan};
    use serde_json::{Value as Json, json};

    /// As Linux 6.8 writes 64 MiB.
    const USED: &str = "active=file 65532 -2\nfile=regular file:67108864:600:0:0\nsignature=yes\n";

    fn args() -> Json {
        json!({ "path": "/swapfile", "size": 64, "private": true, "active": true, "at_boot": true, "written": true })
    }

    fn seen() -> Json {
        let mut seen = args();
        seen["formatted"] = json!(true);
        seen
    }

    fn look(text: &str) -> Observation {
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&Swap, args(), vec![(probe("/swapfile"), answer)])
    }

    fn unit_text() -> String {
        let text: String =
            content("/swapfile", &obj(args())).lines().map(|l| format!("text={l}\n")).collect();
        format!("unit=yes\n{text}enabled=yes\nstale=no\n")
    }

    #[test]
    fn observed() {
        let is = |text: &str, expected: &[(&str, Json)]| {
            let mut all = seen();
            for (name, value) in [("priority", json!(-2)), ("foreign", json!(false)), ("fstab", Json::Null)] {
                all[name] = value;
            }
            for (name, value) in expected {
                all[*name] = value.clone();
            }
            assert_eq!(look(text), Observation::Present(obj(all)), "{text}");
        };
        let whole = format!("{USED}{}", unit_text());
        is(&whole, &[]);
        is(
            &whole.replace("active=file 65532 -2\n", ""),
            &[("active", json!(false)), ("priority", Json::Null)],
        );
        is(&whole.replace(":600:", ":644:"), &[("private", json!(false))]);
        is(&whole.replace(":0:0", ":0:1"), &[("private", json!(false))]);
        is(&whole.replace("67108864", "1048577"), &[("size", json!(1))]);
        is(&whole.replace("stale=no", "stale=yes"), &[("written", json!(false))]);
        is(&whole.replace("enabled=yes", "enabled=no"), &[("at_boot", json!(false))]);
        let off = [
            ("at_boot", json!(false)),
            ("written", json!(false)),
            ("fstab", json!("/swapfile none swap sw")),
        ];
        is(&format!("{USED}fstab=/swapfile none swap sw\nunit=no\nenabled=no\nstale=no\n"), &off);
        assert_eq!(look("unit=no\nenabled=no\nstale=no\n"), Observation::Absent);
        for text in [
            whole.replace("active=file 65532", "active=partition 65532"),
            whole.replace("regular file", "directory"),
            whole.replace("signature=yes", "signature=maybe"),
            whole.replace("active=", "other="),
            "file=link\nunit=no\nenabled=no\nstale=no\n".into(),
        ] {
            assert!(matches!(look(&text), Observation::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn made_and_changed() {
        let id = json!({ "path": "/swapfile" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["size".into(), "active".into()];
        let acts = planned(&Swap, &made, &[("make the swap file /swapfile with 64 MiB", InPlace)]);
        assert_eq!(argv(&acts[1])[3..], ["swap", "/swapfile", "64", "make", "swapfile.swap", "yes", "start"]);
        let larger = change(Action::Update, id.clone()).wants(args()).sees(seen(), &["size"]);
        let title = "take /swapfile out of use and make it anew with 64 MiB";
        let acts = planned(&Swap, &larger, &[(title, Restart)]);
        assert_eq!(argv(&acts[1])[6..], ["make", "swapfile.swap", "yes", "again"]);
        let boot = change(Action::Update, id.clone()).wants(args()).sees(seen(), &["at_boot"]);
        let acts = planned(&Swap, &boot, &[("configure the swap file /swapfile", InPlace)]);
        assert_eq!(argv(&acts[1])[6..], ["keep", "swapfile.swap", "yes", "none"]);
        let priority = change(Action::Update, id.clone()).wants(args()).sees(seen(), &["priority"]);
        let title = "take /swapfile out of use and use it with another priority";
        planned(&Swap, &priority, &[(title, Restart)]);
        let mut off = args();
        off["active"] = json!(false);
        let off = change(Action::Update, id).wants(off).sees(seen(), &["active"]);
        planned(&Swap, &off, &[("take /swapfile out of use", Restart)]);
    }

    #[test]
    fn given_back() {
        let gone = || change(Action::Delete, json!({ "path": "/swapfile" })).had(args()).sees(seen(), &[]);
        let is = |change: &Change, title: &str, word: &str| {
            let class = if word == "leave" { InPlace } else { Restart };
            let acts = planned(&Swap, change, &[(title, class)]);
            assert_eq!(argv(&acts[0])[7], word);
        };
        is(&gone().was(Json::Null), "take /swapfile out of use and remove it", "remove");
        is(&gone().was(seen()), "leave /swapfile in use as it was; only its unit goes", "leave");
        let stays = "take /swapfile out of use; the file was there before and stays";
        is(&gone().was(json!({ "size": 64, "active": false })), stays, "stop");
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for (name, value, code) in [
            ("fstab", json!("/swapfile none swap sw"), "swap-fstab"),
            ("foreign", json!(true), "swap-foreign"),
            ("formatted", json!(false), "swap-other-file"),
        ] {
            let mut seen = seen();
            seen[name] = value;
            let change = change(Action::Adopt, json!({ "path": "/swapfile" })).wants(args());
            let refused = plan(&Swap, &change.sees(seen, &["written"])).expect_err("it is refused");
            assert_eq!(refused[0].code, code);
        }
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str, value: Json| {
            let mut args = args();
            args[name] = value;
            check(&obj(args)).len()
        };
        assert_eq!(found("path", json!("/var/swap-1.img")), 0);
        for (name, value) in [
            ("path", json!("swapfile")),
            ("path", json!("/a b")),
            ("path", json!("/a/../b")),
            ("path", json!("/")),
            ("size", json!(0)),
            ("size", json!(1.5)),
            ("priority", json!(-1)),
            ("priority", json!(40_000)),
        ] {
            assert_eq!(found(name, value.clone()), 1, "{name} {value}");
        }
    }
}
