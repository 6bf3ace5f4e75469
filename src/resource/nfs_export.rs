//! `nfs_export`: a directory that a host shares over NFS, and with whom.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Address, Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::{Value as Json, json};

use super::act::{Act, Content, Expect, Permissions};
use super::exports::{self, Client};
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, HostView, KindError, Observation, PlanCx, Step, Verb};
use super::probe::{Probe, read_program};
use super::program::program;
use super::reading::{
    Fields, Got, MANAGED, desired, flag, required, said, said_fields, taken_over, text, verb,
};
use super::ufw;

/// The kind.
pub struct NfsExport;

static SCHEMA: Schema = Schema {
    kind: "nfs_export",
    version: 1,
    summary: "A directory shared over NFS.",
    doc: "Owns one file in `/etc/exports.d` and what is exported of its path; `/etc/exports` is left alone, and a path \
          that another file exports is refused. What is compared is what the server exports now. The client's user \
          numbers are trusted: whoever reaches port 2049 from an address of `clients` reads what those numbers may \
          read, so let the firewall be no wider. Keys do not belong on NFS. Destroy ends the export; it is refused \
          while clients are connected.",
    example: r#"nfs_export "data" {
  host    = host.nfs
  path    = "/srv/data"
  clients = ["172.20.10.11", "172.20.10.12"]
}
"#,
    attributes: &[
        Attr::new("path", AttrType::Path, Class::Identity, "The directory.").implies(&[
            Implies::Wants(Thing::Path),
            Implies::WantsParents,
            Implies::WantsNamed(Thing::Package, "nfs-kernel-server"),
        ]),
        Attr::new(
            "clients",
            AttrType::List(&AttrType::Object { fields: CLIENT, scalar: Some("address") }),
            Class::Owned,
            "Who may mount it, and how.",
        )
        .required()
        .asked(),
        Attr::new(
            "written",
            AttrType::Bool,
            Class::Owned,
            "Whether its file says just this, for the next start of the server.",
        )
        .default("true"),
        Attr::new(
            "allow_world",
            AttrType::Bool,
            Class::Setting,
            "Whether `*`, names with wildcards and public networks may be clients.",
        )
        .default("false"),
        Attr::new(
            "end_in_use",
            AttrType::Bool,
            Class::Setting,
            "Whether it may be ended while clients are connected.",
        )
        .default("false"),
        Attr::new(
            "elsewhere",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "Lines of other files that export the same path.",
        )
        .volatile(),
        Attr::new(
            "in_use_by",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "Clients of this export that are connected (NFS 4).",
        )
        .volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Service,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: false,
    mutex: Some("exports"),
    documented: true,
};

const CLIENT: &[Attr] = &[
    Attr::new("address", AttrType::Str, Class::Owned, "Address, network or name.").required(),
    Attr::new("options", AttrType::List(&AttrType::Str), Class::Owned, "Options of exports(5).")
        .default(r#"["rw", "sync", "no_subtree_check"]"#),
];

/// The file of a path: each its own, so that no other's line is ever touched.
fn file(path: &str) -> String {
    let mut name = String::new();
    for byte in path.trim_start_matches('/').bytes() {
        match byte {
            b'/' => name.push('-'),
            b if b.is_ascii_alphanumeric() || b == b'.' => name.push(char::from(b)),
            b => name.push_str(&format!("_{b:02x}")),
        }
    }
    format!("/etc/exports.d/coxswain-{name}.exports")
}

fn probe() -> Probe {
    Probe::says(read_program!("nfs_export"), <[String; 0]>::default())
}

fn clients(object: &Object) -> Vec<Client> {
    let all =
        object.get("clients").filter(|c| c.is_wholly_known()).map(json::to_json_clear).unwrap_or_default();
    let client = |c: &Json| {
        let options = c["options"]
            .as_array()
            .map_or_else(Vec::new, |o| o.iter().filter_map(Json::as_str).map(str::to_owned).collect());
        Client { address: c["address"].as_str().unwrap_or_default().to_owned(), options }
    };
    all.as_array().map(|all| all.iter().map(client).collect()).unwrap_or_default()
}

fn content(path: &str, clients: &[Client]) -> String {
    let clients: Vec<String> =
        clients.iter().map(|c| format!("{}({})", c.address, c.options.join(","))).collect();
    format!("{MANAGED}{} {}\n", exports::escaped(path), clients.join(" "))
}

/// The lines of all files: file, number, text.
fn lines<'a>(fields: &Fields<'a>) -> Vec<(&'a str, usize, String)> {
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    for (key, value) in &fields.0 {
        match (*key, files.last_mut()) {
            ("file", _) => files.push((value, Vec::new())),
            ("text", Some((_, lines))) => lines.push(value),
            _ => {}
        }
    }
    files
        .into_iter()
        .flat_map(|(file, lines)| exports::joined(&lines).into_iter().map(move |(n, t)| (file, n, t)))
        .collect()
}

/// What the server exports of a path.
fn exported(fields: &Fields<'_>, path: &str) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for text in fields.all("etab") {
        if let Some(line) = exports::line(text)?.filter(|line| line.path == path) {
            clients.extend(line.clients);
        }
    }
    Ok(clients)
}

/// Who of the clients is connected.
fn connected(fields: &Fields<'_>, clients: &[Client]) -> Vec<String> {
    let host =
        |text: &str| text.rsplit_once(':').map_or(text, |(host, _)| host).trim_matches(['[', ']']).to_owned();
    let mut found: Vec<String> = fields.all("client").map(host).collect();
    found.retain(|address| {
        let address = address.parse().ok();
        let fits = |c: &Client| match (ufw::network(&c.address), address) {
            (Some(_), Some(address)) => ufw::covers(&c.address, address),
            // A name: it cannot be said.
            _ => true,
        };
        clients.iter().any(fits)
    });
    found.sort();
    found.dedup();
    found
}

impl HostKind for NfsExport {
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
        said_fields(answers, probe(), |fields| {
            if !fields.is("nfs")? {
                return Ok(None);
            }
            let ours = file(path);
            let mut elsewhere = Vec::new();
            let mut text = None;
            for (file, number, line) in lines(fields) {
                if file == ours {
                    text = Some(format!("{}{line}\n", text.unwrap_or_default()));
                } else if exports::line(&line).ok().flatten().is_some_and(|l| l.path == path) {
                    elsewhere.push(format!("{file}:{number}: {line}"));
                }
            }
            let now = exported(fields, path)?;
            if text.is_none() && (now.is_empty() || !elsewhere.is_empty()) && elsewhere.is_empty() {
                return Ok(None);
            }
            let wanted = clients(asked);
            let shown = match exports::same(&now, &wanted) {
                true => asked.get("clients").cloned().unwrap_or_else(Value::null),
                false => {
                    let one =
                        |c: &Client| json!({ "address": c.address, "options": exports::written(&c.options) });
                    json::from_json(&Json::Array(now.iter().map(one).collect()))
                }
            };
            Ok(Some(Object::from([
                ("path".into(), Value::from(path)),
                ("clients".into(), shown),
                ("written".into(), Value::from(text.as_deref() == Some(&content(path, &wanted)))),
                ("elsewhere".into(), json::from_json(&json!(elsewhere))),
                ("in_use_by".into(), json::from_json(&json!(connected(fields, &now)))),
            ])))
        })
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        let none = Object::new();
        let seen = change.observed.as_ref().unwrap_or(&none);
        let listed = |name: &str| -> Vec<&str> {
            let items = seen.get(name).and_then(Value::as_items).unwrap_or_default();
            items.iter().filter_map(Value::as_str).collect()
        };
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            Action::Delete => {
                let users = listed("in_use_by");
                if !users.is_empty() && flag(&change.prior, "end_in_use") != Some(true) {
                    let problem = Diagnostic::error(
                        "nfs-export-in-use",
                        format!("{path} is in use by {}", users.join(", ")),
                    );
                    return Err(vec![problem.detail(
                        "Unmount it there first, or set `end_in_use = true` and apply before it is removed.",
                    )]);
                }
                Ok(vec![Step::new(
                    "remove",
                    Verb::Delete,
                    format!("export {path} no more; the directory stays"),
                )])
            }
            _ if !listed("elsewhere").is_empty() => {
                let problem = Diagnostic::error(
                    "nfs-export-elsewhere",
                    format!("{path} is exported by another file too"),
                );
                Err(vec![problem.detail(format!(
                    "Of two lines one counts, and nobody is told which. Take this one out:\n{}",
                    listed("elsewhere").join("\n")
                ))])
            }
            _ if change.differing.is_empty() => Ok(taken_over(change, &format!("the export of {path}"))),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let known = change.desired.as_ref().map(clients).unwrap_or_default();
                let addresses: Vec<&str> = known.iter().map(|c| c.address.as_str()).collect();
                let to = if addresses.is_empty() {
                    "whom is known later".to_owned()
                } else {
                    addresses.join(", ")
                };
                Ok(vec![Step::new("apply", verb(change), format!("export {path} to {to}"))])
            }
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let path = required(&change.identity, "path")?;
        let ours = file(path);
        let export = |rest: &str| program!("exportfs", "exportfs -ra").act([ours.as_str(), path, rest]);
        if step.verb == Verb::Delete {
            let export = export("gone");
            return Ok(vec![Act::RemoveFile { path: ours, expects: Expect::Anything }, export]);
        }
        let wanted = clients(desired(change)?);
        let export = export("");
        let directory = Act::MakeDir { path: "/etc/exports.d".into(), permissions: Permissions::default() };
        let write = Act::WriteFile {
            path: ours,
            content: Content::new(content(path, &wanted).into_bytes()),
            permissions: Permissions { mode: Some("0644".into()), ..Permissions::default() },
            expects: Expect::Anything,
        };
        Ok(vec![directory, write, export])
    }

    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        opened(host).into_iter().collect()
    }
}

/// A warning where a blank before a bracket has opened something to the world.
fn opened(host: &HostView<'_>) -> Option<(Address, Diagnostic)> {
    let Got::Found(said) = said(host.answers, &probe()) else { return None };
    let fields = Fields::of(said).ok()?;
    let is_open = |text: &str| exports::line(text).ok().flatten().is_some_and(|l| l.opened);
    let found: Vec<String> = lines(&fields)
        .into_iter()
        .filter(|(_, _, text)| is_open(text))
        .map(|(file, number, text)| format!("{file}:{number}: {text}"))
        .collect();
    let first = host.instances.iter().find(|i| i.kind == SCHEMA.kind)?;
    let problem = Diagnostic::warning("nfs-export-open", "a line of the exports is open to the world")
        .detail(format!(
            "The blank before the bracket makes its options count for everybody who reaches the server:\n{}",
            found.join("\n")
        ));
    (!found.is_empty()).then(|| (first.address.clone(), problem))
}

/// Whether a network is one that is not routed on the Internet: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291.
fn is_private(text: &str) -> bool {
    let nets = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1",
    ];
    let Some((address, length)) = ufw::network(text) else { return true };
    nets.iter().any(|net| ufw::covers(net, address) && ufw::network(net).is_some_and(|(_, l)| l <= length))
}

fn check(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    let wrong = |why: String| Diagnostic::error("bad-export", why);
    if let Some(path) = text(args, "path")
        .filter(|p| !p.starts_with('/') || p.contains(['\n', '\0']) || (p.len() > 1 && p.ends_with('/')))
    {
        problems.push(wrong(format!("`{}` is not the absolute path of a directory", path.escape_debug())));
    }
    let all = clients(args);
    let open = flag(args, "allow_world") == Some(true);
    let mut seen: Vec<&str> = Vec::new();
    for client in &all {
        let address = client.address.as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@*?[]".contains(c);
        if address.is_empty() || !address.chars().all(plain) {
            problems.push(wrong(format!("`{}` is not an address, network or name", address.escape_debug())));
            continue;
        }
        if seen.contains(&address) {
            problems.push(wrong(format!("{address} is there twice: one of both would be ignored")));
        }
        seen.push(address);
        if ufw::network(address).is_none() && address.contains('/') && !address.starts_with("gss/") {
            problems.push(wrong(format!("`{address}` is not a network")));
        }
        if !open && (address.contains(['*', '?']) || !is_private(address)) {
            let problem = Diagnostic::error("nfs-export-world", format!("{address} is anybody"));
            problems.push(problem.detail("Whoever reaches the server could mount it as any user. Name the nodes, or say `allow_world = true`."));
        }
        for option in &client.options {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_=:/.@+-".contains(c);
            if option.is_empty() || !option.chars().all(fits) {
                problems.push(wrong(format!("`{}` is not an option of exports(5)", option.escape_debug())));
            }
        }
        if client.options.iter().any(|o| o == "no_root_squash") {
            let problem =
                Diagnostic::warning("nfs-export-root", format!("root of {address} is root in the export"));
            problems
                .push(problem.detail("`no_root_squash` lets that machine read and change everything in it."));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, refused};

    const OURS: &str = "172.20.10.11(rw,sync,no_subtree_check)";
    const ETAB: &str = "etab=/data\t172.20.10.11(rw,sync,wdelay,hide,nocrossmnt,secure,root_squash,no_all_squash,\
                        no_subtree_check,secure_locks,acl,no_pnfs,anonuid=65534,anongid=65534,sec=sys,rw,secure,\
                        root_squash,no_all_squash)\n";

    fn args() -> Json {
        json!({ "path": "/data", "clients": [{ "address": "172.20.10.11", "options": ["rw", "sync", "no_subtree_check"] }] })
    }

    fn look(text: &str) -> Observation {
        let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&NfsExport, args(), vec![(probe(), answer)])
    }

    fn file_text(line: &str) -> String {
        format!("nfs=yes\nfile=/etc/exports.d/coxswain-data.exports\ntext={}text={line}\n", MANAGED)
    }

    #[track_caller]
    fn seen(text: &str) -> Object {
        match look(text) {
            Observation::Present(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn observed() {
        let same = seen(&format!("{}{ETAB}", file_text(&format!("/data {OURS}"))));
        assert_eq!(same.get("clients"), obj(args()).get("clients"));
        assert_eq!(flag(&same, "written"), Some(true));
        let unexported = seen(&file_text(&format!("/data {OURS}")));
        assert_eq!(unexported.get("clients"), Some(&json::from_json(&json!([]))));
        let edited = seen(&format!("{}{ETAB}", file_text(&format!("/data {OURS} 172.20.10.99(rw)"))));
        assert_eq!(flag(&edited, "written"), Some(false));
        assert_eq!(look("nfs=yes\n"), Observation::Absent);
        assert_eq!(look("nfs=no\n"), Observation::Absent);
        assert!(matches!(look("nfs=yes\netab=data a(rw)\n"), Observation::Unknown(_)));
    }

    #[test]
    fn another_line_for_the_path_is_refused() {
        let found = seen(&format!("nfs=yes\nfile=/etc/exports\ntext=# x\ntext=/data {OURS}\n{ETAB}"));
        let mut adopt = change(Action::Adopt, json!({ "path": "/data" })).wants(args());
        adopt.observed = Some(found);
        adopt.differing = vec!["written".into()];
        assert_eq!(refused(&NfsExport, &adopt), "/data is exported by another file too");
    }

    #[test]
    fn made_and_ended() {
        let id = json!({ "path": "/data" });
        let made = change(Action::Create, id.clone()).wants(args());
        let mut made = made;
        made.differing = vec!["clients".into()];
        let acts = planned(&NfsExport, &made, &[("export /data to 172.20.10.11", InPlace)]);
        let Act::WriteFile { content, .. } = &acts[1] else { panic!("{acts:?}") };
        assert_eq!(content.bytes(), format!("{MANAGED}/data {OURS}\n").as_bytes());
        assert_eq!(argv(&acts[2])[3], "exportfs -ra");
        let gone = change(Action::Delete, id).had(args());
        let used = gone.clone().sees(json!({ "in_use_by": ["172.20.10.11"] }), &[]);
        assert_eq!(refused(&NfsExport, &used), "/data is in use by 172.20.10.11");
        let gone = gone.sees(args(), &[]);
        planned(&NfsExport, &gone, &[("export /data no more; the directory stays", InPlace)]);
    }

    #[test]
    fn connected_clients() {
        let said = SaidAnswer {
            code: 0,
            text: "client=172.20.10.11:755\nclient=[fd00::1]:9\nclient=192.0.2.1:1\n".into(),
        };
        let fields = Fields::of(&said).expect("fields");
        let client = |address: &str| Client { address: address.into(), options: Vec::new() };
        assert_eq!(connected(&fields, &[client("172.20.0.0/16")]), ["172.20.10.11"]);
        assert_eq!(connected(&fields, &[client("fd00::/8")]), ["fd00::1"]);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |client: Json| {
            let all = check(&obj(json!({ "path": "/data", "clients": [client] })));
            all.into_iter().map(|d| d.code.to_string()).collect::<Vec<_>>().join(" ")
        };
        let of = |address: &str| json!({ "address": address, "options": ["rw"] });
        for good in ["172.20.10.11", "10.0.0.0/8", "node1.internal", "@nodes", "fd00::/64"] {
            assert_eq!(found(of(good)), "", "{good}");
        }
        for world in ["*", "*.example.org", "203.0.113.0/24", "0.0.0.0/0", "8.8.8.8"] {
            assert_eq!(found(of(world)), "nfs-export-world", "{world}");
        }
        assert_eq!(found(of("10.0.0.0/99")), "bad-export");
        assert_eq!(found(of("a b")), "bad-export");
        assert_eq!(found(json!({ "address": "10.0.0.1", "options": ["rw)evil("] })), "bad-export");
        assert_eq!(found(json!({ "address": "10.0.0.1", "options": ["no_root_squash"] })), "nfs-export-root");
        assert_eq!(file("/srv/a b-c"), "/etc/exports.d/coxswain-srv-a_20b_2dc.exports");
    }
}
