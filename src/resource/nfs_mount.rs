//! `nfs_mount`: a directory of another host, mounted over NFS by a unit of systemd.

use std::collections::BTreeSet;

use coxswain_model::schema::{AttrType, Compare, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Content, Expect, Permissions};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb};
use super::probe::{Probe, read_program};
use super::program::program;
use super::reading::{
    Fields, MANAGED, desired, differs, flag, not_understood, required, said_fields, taken_over, text, verb,
};
use super::unit_file::of_path;

/// The kind.
pub struct NfsMount;

static SCHEMA: Schema = Schema {
    kind: "nfs_mount",
    version: 1,
    summary: "A directory of an NFS server, mounted on a host.",
    doc: "Owns a `.mount` unit of systemd and what is mounted at its place now; the directory is made where it lacks. \
          Pods mount through the kubelet and do not need it. `hard` waits for a server that is away; `soft` loses \
          writes without a word and is warned of. A place that `/etc/fstab` names too is refused. Destroy unmounts \
          it, if nobody is in it, and leaves the empty directory.",
    example: r#"nfs_mount "data" {
  host   = host.nfs
  target = "/mnt/data"
  source = "172.20.10.10:/srv/data"
}
"#,
    attributes: &[
        Attr::new("target", AttrType::Path, Class::Identity, "Where it is mounted.")
            .implies(&[Implies::WantsParents, Implies::WantsNamed(Thing::Package, "nfs-common")]),
        Attr::new("source", AttrType::Str, Class::Owned, "`SERVER:/PATH`.").required().asked(),
        Attr::new(
            "options",
            AttrType::List(&AttrType::Str),
            Class::Owned,
            "Options of nfs(5); what the kernel adds is no difference.",
        )
        .default(r#"["hard", "nosuid", "nodev", "_netdev", "vers=4.2"]"#)
        .compare(Compare::Unordered)
        .asked(),
        Attr::new("mounted", AttrType::Bool, Class::Owned, "Whether it is mounted now.").default("true"),
        Attr::new("at_boot", AttrType::Bool, Class::Owned, "Whether it is mounted at every boot.")
            .default("true"),
        Attr::new("written", AttrType::Bool, Class::Owned, "Whether the unit says just this.")
            .default("true"),
        Attr::new("foreign", AttrType::Bool, Class::Fact, "Whether its unit's file is not coxswain's.")
            .volatile(),
        Attr::new(
            "fstab",
            AttrType::Str,
            Class::Fact,
            "The line of `/etc/fstab` for the same place, if there is one.",
        )
        .volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Service,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: false,
    mutex: None,
    documented: true,
};

/// Options that mount(8) and systemd keep for themselves.
const NOT_THE_KERNELS: [&str; 9] =
    ["_netdev", "nofail", "auto", "noauto", "defaults", "bg", "fg", "user", "nouser"];

/// The unit of a place.
fn unit(target: &str) -> String {
    of_path(target, "mount")
}

fn file(target: &str) -> String {
    format!("/etc/systemd/system/{}", unit(target))
}

/// As `/proc/mounts` writes it: getmntent(3).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('#', "\\043")
}

fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\043", "#").replace("\\134", "\\")
}

fn options(object: &Object) -> Vec<String> {
    let items = object.get("options").and_then(Value::as_items).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn content(target: &str, args: &Object) -> String {
    let percent = |text: &str| text.replace('%', "%%");
    format!(
        "{MANAGED}[Unit]\nDescription={0}\nWants=network-online.target\nAfter=network-online.target\n\n[Mount]\n\
         What={1}\nWhere={0}\nType=nfs\nOptions={2}\nTimeoutSec=60\n\n[Install]\nWantedBy=remote-fs.target\n",
        percent(target),
        percent(text(args, "source").unwrap_or_default()),
        percent(&options(args).join(",")),
    )
}

fn probe(target: &str) -> Probe {
    Probe::says(read_program!("nfs_mount"), [escaped(target), unit(target), file(target)])
}

/// Whether the kernel has a wanted option: it writes versions with their minor number.
fn has(kernel: &BTreeSet<&str>, option: &str) -> bool {
    if NOT_THE_KERNELS.contains(&option) || option.starts_with("x-") || option.starts_with("retry=") {
        return true;
    }
    let option = option.replacen("nfsvers=", "vers=", 1);
    kernel.contains(option.as_str())
        || (option.starts_with("vers=") && kernel.iter().any(|k| k.starts_with(&format!("{option}."))))
}

/// Options that count although nobody said so, and change what may be done there.
const RESTRICTING: [&str; 6] = ["ro", "soft", "softerr", "nosuid", "nodev", "noexec"];

/// Whether what the kernel has is what is wanted: everything that is wanted, and nothing that restricts it more.
fn is_as_wanted(kernel: &BTreeSet<&str>, wanted: &[String]) -> bool {
    let is_wanted = |option: &str| wanted.iter().any(|w| w == option);
    let says_sec = wanted.iter().any(|w| w.starts_with("sec="));
    wanted.iter().all(|option| has(kernel, option))
        && !RESTRICTING.iter().any(|option| kernel.contains(option) && !is_wanted(option))
        && (says_sec || !kernel.iter().any(|k| k.starts_with("sec=") && *k != "sec=sys"))
}

impl HostKind for NfsMount {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        check(args)
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(target) = text(asked, "target") else {
            return Observation::Unknown("its place is not known".into());
        };
        said_fields(answers, probe(target), |fields| observed(asked, target, fields))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let target = text(&change.identity, "target").unwrap_or_default();
        let fstab = change.observed.as_ref().and_then(|o| text(o, "fstab"));
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                vec![
                    Step::new("remove", Verb::Delete, format!("unmount {target}; the directory stays"))
                        .class(StepClass::Restart),
                ]
            }
            _ if fstab.is_some() => {
                let problem = Diagnostic::error("nfs-mount-fstab", format!("/etc/fstab mounts {target} too"));
                return Err(vec![
                    problem.detail(format!("Take this line out of it:\n{}", fstab.unwrap_or_default())),
                ]);
            }
            _ if change.observed.as_ref().and_then(|o| flag(o, "foreign")) == Some(true) => {
                let problem =
                    Diagnostic::error("nfs-mount-foreign", format!("{} is not coxswain's", file(target)));
                return Err(vec![problem.detail(
                    "It would be overwritten, and could not be given back. Remove it, or let it be.",
                )]);
            }
            _ if change.differing.is_empty() => taken_over(change, &format!("what is mounted at {target}")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let source =
                    change.desired.as_ref().and_then(|d| text(d, "source")).unwrap_or("what is known later");
                match doing(change) {
                    "again" => vec![
                        Step::new(
                            "apply",
                            verb(change),
                            format!("mount {source} at {target} in place of what is there"),
                        )
                        .class(StepClass::Restart),
                    ],
                    "stop" => vec![
                        Step::new("apply", verb(change), format!("unmount {target}"))
                            .class(StepClass::Restart),
                    ],
                    "start" => vec![Step::new("apply", verb(change), format!("mount {source} at {target}"))],
                    _ => vec![Step::new("apply", verb(change), format!("configure the mount at {target}"))],
                }
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let target = required(&change.identity, "target")?;
        let (unit, file) = (unit(target), file(target));
        if step.verb == Verb::Delete {
            return Ok(vec![program!("nfs-umount", "unmount").act([unit, file])]);
        }
        let wanted = desired(change)?;
        let write = Act::WriteFile {
            path: file,
            content: Content::new(content(target, wanted).into_bytes()),
            permissions: Permissions { mode: Some("0644".into()), ..Permissions::default() },
            expects: Expect::Anything,
        };
        let at_boot = if flag(wanted, "at_boot") == Some(false) { "no" } else { "yes" };
        Ok(vec![write, program!("nfs-mount", "mount").act([unit.as_str(), doing(change), at_boot])])
    }
}

/// What is done with what is mounted.
fn doing(change: &Change) -> &'static str {
    let seen = change.observed.as_ref();
    let is_mounted = seen.and_then(|o| flag(o, "mounted")) == Some(true);
    let is_wanted = change.desired.as_ref().and_then(|d| flag(d, "mounted")) != Some(false);
    match (is_mounted, is_wanted) {
        (true, false) => "stop",
        (false, true) => "start",
        (true, true) if differs(change, "source") || differs(change, "options") => "again",
        _ => "none",
    }
}

fn observed(asked: &Object, target: &str, fields: &Fields<'_>) -> Result<Option<Object>, String> {
    let mounted = match fields.get("mounted") {
        None => None,
        Some(text) => {
            let mut words = text.splitn(3, ' ');
            let all = (words.next(), words.next(), words.next());
            let (Some(source), Some(_), Some(options)) = all else { return Err(not_understood(text)) };
            Some((unescaped(source), options))
        }
    };
    let has_unit = fields.is("unit")?;
    if !has_unit && mounted.is_none() {
        return Ok(None);
    }
    let lines: Vec<&str> = fields.all("text").collect();
    let of_unit = |key: &str| lines.iter().find_map(|l| l.strip_prefix(key)).map(|v| v.replace("%%", "%"));
    let wanted = options(asked);
    let (source, now) = match &mounted {
        Some((source, kernel)) => {
            let kernel: BTreeSet<&str> = kernel.split(',').collect();
            let all = is_as_wanted(&kernel, &wanted);
            (
                Some(source.clone()),
                if all { wanted } else { kernel.iter().map(|o| (*o).to_owned()).collect() },
            )
        }
        // Not mounted: what it would be.
        None => {
            let options = of_unit("Options=").map(|o| o.split(',').map(str::to_owned).collect());
            (of_unit("What="), options.unwrap_or_default())
        }
    };
    let options = now.iter().map(|o| Value::from(o.as_str())).collect();
    let is_written =
        has_unit && !fields.is("stale")? && format!("{}\n", lines.join("\n")) == content(target, asked);
    let is_foreign = has_unit && lines.first().map(|l| format!("{l}\n")).as_deref() != Some(MANAGED);
    Ok(Some(Object::from([
        ("target".into(), Value::from(target)),
        ("source".into(), source.map_or_else(Value::null, |s| Value::from(s.as_str()))),
        ("options".into(), Value::list(coxswain_model::Type::Str, options)),
        ("mounted".into(), Value::from(mounted.is_some())),
        ("at_boot".into(), Value::from(fields.is("enabled")?)),
        ("written".into(), Value::from(is_written)),
        ("foreign".into(), Value::from(is_foreign)),
        ("fstab".into(), fields.all("fstab").next().map_or_else(Value::null, Value::from)),
    ])))
}

fn check(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    let wrong = |why: String| Diagnostic::error("bad-mount", why);
    let is_path = |p: &str| {
        p.starts_with('/') && !p.contains(|c: char| c.is_control()) && (p == "/" || !p.ends_with('/'))
    };
    if let Some(target) = text(args, "target").filter(|t| !is_path(t) || *t == "/") {
        problems.push(wrong(format!("`{}` is not a place to mount at", target.escape_debug())));
    }
    if let Some(source) = text(args, "source") {
        // An IPv6 address stands in brackets.
        let split = source.find(":/").map(|at| (&source[..at], &source[at + 1..]));
        let fits = split.is_some_and(|(server, path)| {
            is_path(path)
                && !server.is_empty()
                && !server.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        });
        if !fits {
            problems.push(wrong(format!("`{}` is not `SERVER:/PATH`", source.escape_debug())));
        }
    }
    for option in options(args) {
        if option.is_empty() || option.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
            problems.push(wrong(format!("`{}` is not one option", option.escape_debug())));
        }
        if option == "soft" {
            let problem = Diagnostic::warning("nfs-mount-soft", "`soft` loses writes without a word");
            problems
                .push(problem.detail("Databases are damaged by it. `hard` waits until the server is back."));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::{InPlace, Restart};
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, plan, refused};
    use serde_json::{Value as Json, json};

    /// As Linux 6.8 writes it.
    const MOUNTED: &str = "mounted=172.20.10.10:/data nfs4 rw,nosuid,nodev,relatime,vers=4.2,rsize=262144,wsize=262144,\
                           namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=172.20.10.12,\
                           local_lock=none,addr=172.20.10.10\n";

    fn args() -> Json {
        json!({ "target": "/mnt/t", "source": "172.20.10.10:/data", "mounted": true, "at_boot": true, "written": true,
                "options": ["hard", "nosuid", "nodev", "_netdev", "vers=4.2"] })
    }

    fn look(text: &str) -> Observation {
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&NfsMount, args(), vec![(probe("/mnt/t"), answer)])
    }

    fn unit_text() -> String {
        let text: String = content("/mnt/t", &obj(args())).lines().map(|l| format!("text={l}\n")).collect();
        format!("unit=yes\n{text}enabled=yes\nstale=no\n")
    }

    #[test]
    fn units_are_named_as_systemd_does() {
        for (path, name) in [
            ("/mnt/t-x/y", "mnt-t\\x2dx-y.mount"),
            ("/mnt/.a b", "mnt-.a\\x20b.mount"),
            ("/.a", "\\x2ea.mount"),
            ("/ü", "\\xc3\\xbc.mount"),
        ] {
            assert_eq!(unit(path), name);
        }
    }

    #[test]
    fn observed() {
        let is = |text: &str, expected: &[(&str, Json)]| {
            let mut all = args();
            all["fstab"] = Json::Null;
            all["foreign"] = json!(false);
            for (name, value) in expected {
                all[*name] = value.clone();
            }
            let Observation::Present(found) = look(text) else { panic!("{text}") };
            assert_eq!(coxswain_model::json::to_json(&Value::object(found)), all, "{text}");
        };
        is(&format!("{MOUNTED}{}", unit_text()), &[]);
        is(&unit_text(), &[("mounted", json!(false))]);
        is(
            &format!("{MOUNTED}{}", unit_text().replace("enabled=yes", "enabled=no")),
            &[("at_boot", json!(false))],
        );
        is(
            &format!("{MOUNTED}unit=no\nenabled=no\nstale=no\n"),
            &[("at_boot", json!(false)), ("written", json!(false))],
        );
        is(
            &format!("{}{}", MOUNTED.replace(":/data", ":/other"), unit_text()),
            &[("source", json!("172.20.10.10:/other"))],
        );
        let Observation::Present(soft) = look(&format!("{}{}", MOUNTED.replace("hard", "soft"), unit_text()))
        else {
            panic!("it is there")
        };
        assert!(options(&soft).contains(&"soft".to_owned()));
        let narrowed = look(&format!("{}{}", MOUNTED.replace(" rw,", " ro,"), unit_text()));
        let Observation::Present(narrowed) = narrowed else { panic!("it is there") };
        assert!(
            options(&narrowed).contains(&"ro".to_owned()),
            "what nobody wants and restricts is a difference"
        );
        is(
            &format!("{MOUNTED}{}", unit_text().replace("stale=no", "stale=yes")),
            &[("written", json!(false))],
        );
        assert_eq!(look("unit=no\nenabled=no\nstale=no\n"), Observation::Absent);
        assert!(matches!(look("unit=maybe\nenabled=no\nstale=no\n"), Observation::Unknown(_)));
        assert!(matches!(look("mounted=x\nunit=no\nenabled=no\nstale=no\n"), Observation::Unknown(_)));
    }

    #[test]
    fn mounted_changed_and_unmounted() {
        let id = json!({ "target": "/mnt/t" });
        let mut made = change(Action::Create, id.clone()).wants(args());
        made.differing = vec!["source".into(), "mounted".into()];
        let acts = planned(&NfsMount, &made, &[("mount 172.20.10.10:/data at /mnt/t", InPlace)]);
        assert_eq!(argv(&acts[1])[3..], ["mount", "mnt-t.mount", "start", "yes"]);
        let moved = change(Action::Update, id.clone()).wants(args()).sees(args(), &["source"]);
        let acts = planned(
            &NfsMount,
            &moved,
            &[("mount 172.20.10.10:/data at /mnt/t in place of what is there", Restart)],
        );
        assert_eq!(argv(&acts[1])[5], "again");
        let boot = change(Action::Update, id.clone()).wants(args()).sees(args(), &["at_boot"]);
        planned(&NfsMount, &boot, &[("configure the mount at /mnt/t", InPlace)]);
        let gone = change(Action::Delete, id.clone()).had(args()).sees(args(), &[]);
        planned(&NfsMount, &gone, &[("unmount /mnt/t; the directory stays", Restart)]);
        let twice =
            change(Action::Adopt, id).wants(args()).sees(json!({ "fstab": "a:/b /mnt/t nfs" }), &["written"]);
        assert_eq!(refused(&NfsMount, &twice), "/etc/fstab mounts /mnt/t too");
        let theirs = change(Action::Adopt, json!({ "target": "/mnt/t" })).wants(args());
        let theirs = theirs.sees(json!({ "foreign": true }), &["written"]);
        assert_eq!(refused(&NfsMount, &theirs), "/etc/systemd/system/mnt-t.mount is not coxswain's");
        let codes = plan(&NfsMount, &theirs).expect_err("it is refused");
        assert_eq!(codes[0].code, "nfs-mount-foreign");
    }

    #[test]
    fn arguments_are_checked() {
        let found = |name: &str, value: Json| {
            let mut args = args();
            args[name] = value;
            check(&obj(args)).into_iter().map(|d| d.code.to_string()).collect::<Vec<_>>().join(" ")
        };
        for (name, value) in [
            ("source", json!("[fd00::1]:/data")),
            ("source", json!("nfs.internal:/")),
            ("target", json!("/mnt/a b")),
        ] {
            assert_eq!(found(name, value.clone()), "", "{value}");
        }
        for (name, value) in [
            ("source", json!("nfs")),
            ("source", json!("nfs:data")),
            ("source", json!("a b:/x")),
            ("target", json!("/")),
            ("target", json!("mnt")),
            ("options", json!(["a,b"])),
        ] {
            assert_eq!(found(name, value.clone()), "bad-mount", "{value}");
        }
        assert_eq!(found("options", json!(["soft"])), "nfs-mount-soft");
    }
}
