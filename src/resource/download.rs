//! `download`: a file that a host fetches by itself, known by its digest.

use coxswain_model::schema::{AttrType, Compare, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::act::{Act, Content, Expect, Permissions};
use super::answer::{Answer, FileType};
use super::filesystem as fs;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::program::{Program, program};
use super::reading::{Got, before, desired, differs, got, required, taken_over, text, verb};

/// The kind.
pub struct Download;

const FETCH: Program = program!("download", "download");
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

static SCHEMA: Schema = Schema {
    kind: "download",
    version: 1,
    summary: "A file that a host fetches from an address.",
    doc: "Owns the file's content by its SHA-256, and the permissions that are given. The host fetches it with curl \
          or wget into a temporary file beside the path, which takes its place only with the right digest: what is \
          there is never half of it, and `http` is as safe as `https`. A changed `url` with the same digest fetches \
          nothing. Parents of the path must be there. The content from before is kept on the host; destroy gives it \
          back, and removes a file that was not there.",
    example: r#"download "jwt_tool" {
  host   = host.nfs
  url    = "https://example.org/jwt-tool-1.2"
  path   = "/usr/local/bin/jwt-tool"
  sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  mode   = "0755"
}
"#,
    attributes: &[
        Attr::new("path", AttrType::Path, Class::Identity, "Where the file is.")
            .implies(&[Implies::Provides(Thing::Path), Implies::WantsParents]),
        Attr::new(
            "url",
            AttrType::Str,
            Class::Setting,
            "Its address: `https:`, `http:`, or `file:` on the host.",
        )
        .required(),
        Attr::new("sha256", AttrType::Str, Class::Owned, "The SHA-256 of its content in hexadecimal.")
            .required()
            .compare(Compare::CaseInsensitive)
            .restores(),
        fs::MODE,
        fs::OWNER,
        fs::GROUP,
        fs::UID,
        fs::GID,
        fs::FILE_TYPE,
        fs::MTIME,
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

fn digest_of(object: Option<&Object>) -> Option<&str> {
    object.and_then(|o| text(o, "sha256"))
}

/// Whether it must be fetched.
fn fetches(change: &Change) -> bool {
    differs(change, "sha256") || change.observed.is_none() || change.action == Action::Replace
}

fn bad_url(url: &str) -> Option<Diagnostic> {
    let wrong = |why: &str| Diagnostic::error("bad-download", why.to_owned());
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    if !["https", "http", "file"].contains(&scheme) || rest.is_empty() {
        return Some(wrong("`url` is neither an `https:`, an `http:` nor a `file:` address"));
    }
    if !url.chars().all(|c| c.is_ascii_graphic() && !"\"\\".contains(c)) {
        let problem = wrong("`url` has characters that an address does not have");
        return Some(problem.detail("Blanks, quotes and others are written with `%`, as `%20`."));
    }
    if rest.trim_start_matches('/').split('/').next().is_some_and(|host| host.contains('@')) {
        return Some(
            wrong("`url` has a user in it").detail("What needs a password is not fetched by this kind."),
        );
    }
    None
}

impl HostKind for Download {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = fs::check(args);
        problems.extend(text(args, "url").and_then(bad_url));
        if let Some(digest) = text(args, "sha256")
            && (digest.len() != DIGITS || !digest.chars().all(|c| c.is_ascii_hexdigit()))
        {
            let problem = Diagnostic::error("bad-download", "`sha256` is not a SHA-256 in hexadecimal");
            problems.push(problem.detail(format!("It has {DIGITS} digits; `sha256sum FILE` prints it.")));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(path) = text(asked, "path") else {
            return Observation::Unknown("its path is not known".into());
        };
        let probes = [Probe::Stat(path.to_owned()), Probe::Digest(path.to_owned())];
        let stat = match got(answers, &probes[0], |a| if let Answer::Stat(s) = a { Some(s) } else { None }) {
            Got::NotAsked => return Observation::Need(probes.into()),
            Got::Found(stat) => stat,
            Got::Absent => return Observation::Absent,
            Got::Unknown(reason) => return Observation::Unknown(reason),
        };
        let mut object = fs::stat_object(path, stat);
        if stat.file_type != FileType::File {
            object.insert("sha256".into(), Value::null());
            return Observation::Present(object);
        }
        match got(answers, &probes[1], |a| if let Answer::Digest(d) = a { Some(d) } else { None }) {
            Got::NotAsked => Observation::Need(vec![probes[1].clone()]),
            Got::Found(digest) => {
                object.insert("sha256".into(), Value::from(digest.as_str()));
                Observation::Present(object)
            }
            Got::Absent => Observation::Unknown(format!("{path} went away while it was read")),
            Got::Unknown(reason) => Observation::Unknown(reason),
        }
    }

    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        let problems: Diagnostics = fs::wrong_type(change, FileType::File)
            .into_iter()
            .chain(fs::relative_path(cx.endpoint, change))
            .collect();
        let permissions = fs::differing_permissions(change);
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            _ if !problems.is_empty() => Err(problems),
            Action::Delete => {
                let title = match removal(change) {
                    Removal::Restore(_) => format!("restore {path}"),
                    Removal::Permissions => format!("restore the permissions of {path}"),
                    Removal::Remove => format!("remove {path}"),
                    Removal::Leave => format!("leave {path} as it is"),
                };
                Ok(vec![Step::new("remove", Verb::Delete, title)])
            }
            _ if fetches(change) => Ok(vec![Step::new("apply", verb(change), format!("download {path}"))]),
            _ if !permissions.is_empty() => {
                Ok(vec![Step::new("apply", Verb::Update, format!("set {permissions} of {path}"))])
            }
            _ => Ok(taken_over(change, path)),
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let path = required(&change.identity, "path")?.to_owned();
        if step.verb == Verb::Delete {
            return Ok(removed(change, path));
        }
        if step.verb == Verb::Adopt {
            return Ok(Vec::new());
        }
        let wanted = desired(change)?;
        let permissions = fs::permissions(wanted);
        if !fetches(change) {
            return Ok(vec![Act::SetPermissions { path, permissions }]);
        }
        let mut acts = Vec::new();
        let now = digest_of(change.observed.as_ref());
        // Nobody has overwritten yet what destroy gives back.
        let is_first = change.before.is_none() || digest_of(before(change)) == now;
        if let Some(digest) = now.filter(|_| is_first) {
            acts.push(Act::Keep { path: path.clone(), digest: digest.to_owned() });
        }
        let Permissions { mode, owner, group } = permissions;
        let words = [
            required(wanted, "sha256")?.to_ascii_lowercase(),
            path,
            mode.unwrap_or_default(),
            owner.unwrap_or_default(),
            group.unwrap_or_default(),
            now.unwrap_or("absent").to_owned(),
        ];
        let url = Content::new(format!("{}\n", required(wanted, "url")?).into_bytes());
        acts.push(FETCH.act_with(words, url));
        Ok(acts)
    }
}

/// What destroy does with the file.
#[derive(Debug, PartialEq)]
enum Removal {
    Restore(String),
    Permissions,
    Remove,
    Leave,
}

fn removal(change: &Change) -> Removal {
    let now = digest_of(change.observed.as_ref());
    match before(change) {
        None if change.observed.is_none() => Removal::Leave,
        None => Removal::Remove,
        Some(first) => match digest_of(Some(first)) {
            Some(digest) if now != Some(digest) => Removal::Restore(digest.to_owned()),
            _ if change.observed.is_some() && fs::former(first, &change.prior) != Permissions::default() => {
                Removal::Permissions
            }
            _ => Removal::Leave,
        },
    }
}

fn removed(change: &Change, path: String) -> Vec<Act> {
    let former = before(change).map(|b| fs::former(b, b)).unwrap_or_default();
    match removal(change) {
        Removal::Restore(digest) => {
            // What is kept stays: another file may have had the same content before, here or in another state.
            vec![Act::Restore { path, digest, permissions: former }]
        }
        Removal::Permissions => {
            let permissions = before(change).map(|b| fs::former(b, &change.prior)).unwrap_or_default();
            vec![Act::SetPermissions { path, permissions }]
        }
        Removal::Remove => {
            let now = digest_of(change.observed.as_ref());
            let expects = now.map_or(Expect::Anything, |digest| Expect::Digest(digest.to_owned()));
            vec![Act::RemoveFile { path, expects }]
        }
        Removal::Leave => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::StatAnswer;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, refused};
    use serde_json::{Value as Json, json};

    const OLD: &str = "00";
    const NEW: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn id() -> Json {
        json!({ "path": "/opt/x" })
    }

    fn wants() -> Json {
        json!({ "path": "/opt/x", "url": "https://example.org/x", "sha256": NEW, "mode": "0755" })
    }

    fn seen(digest: &str) -> Json {
        json!({ "path": "/opt/x", "sha256": digest, "mode": "0644", "file_type": "file", "uid": 0, "gid": 0 })
    }

    #[test]
    fn observed() {
        let stat = StatAnswer {
            file_type: FileType::File,
            mode: "0755".into(),
            owner: "root".into(),
            group: "root".into(),
            uid: 0,
            gid: 0,
            size: 4,
            mtime: 0,
        };
        let probes = [Probe::Stat("/opt/x".into()), Probe::Digest("/opt/x".into())];
        assert_eq!(observe(&Download, id(), vec![]), Observation::Need(probes.to_vec()));
        let answers = |a: Answer, b: Answer| vec![(probes[0].clone(), a), (probes[1].clone(), b)];
        let there = observe(&Download, id(), answers(Answer::Stat(stat.clone()), Answer::Digest(NEW.into())));
        let Observation::Present(found) = there else { panic!("it is there") };
        assert_eq!((text(&found, "sha256"), text(&found, "mode")), (Some(NEW), Some("0755")));
        assert_eq!(observe(&Download, id(), answers(Answer::Absent, Answer::Absent)), Observation::Absent);
        let gone = observe(&Download, id(), answers(Answer::Stat(stat), Answer::Absent));
        assert!(matches!(gone, Observation::Unknown(_)), "{gone:?}");
    }

    #[test]
    fn fetched_over_what_the_plan_saw() {
        let made = change(Action::Create, id()).wants(wants());
        let acts = planned(&Download, &made, &[("download /opt/x", InPlace)]);
        assert_eq!(argv(&acts[0])[3..], ["download", NEW, "/opt/x", "0755", "", "", "absent"]);
        assert!(
            matches!(&acts[0], Act::Run { input: Some(url), .. } if url.bytes() == b"https://example.org/x\n")
        );

        let over = change(Action::Adopt, id()).wants(wants()).sees(seen(OLD), &["sha256", "mode"]);
        let acts = planned(&Download, &over, &[("download /opt/x", InPlace)]);
        assert_eq!(acts[0], Act::Keep { path: "/opt/x".into(), digest: OLD.into() });
        assert_eq!(argv(&acts[1])[9], OLD);
        // What destroy gives back is kept once.
        let again = change(Action::Update, id()).wants(wants()).sees(seen("11"), &["sha256"]).was(seen(OLD));
        assert_eq!(planned(&Download, &again, &[("download /opt/x", InPlace)]).len(), 1);

        let mode = change(Action::Update, id()).wants(wants()).sees(seen(NEW), &["mode"]);
        let acts = planned(&Download, &mode, &[("set mode of /opt/x", InPlace)]);
        assert!(matches!(&acts[0], Act::SetPermissions { .. }), "{acts:?}");
        let link = json!({ "path": "/opt/x", "sha256": null, "file_type": "symlink" });
        let link = change(Action::Adopt, id()).wants(wants()).sees(link, &["sha256"]);
        assert_eq!(refused(&Download, &link), "/opt/x is a symbolic link, not a file");
    }

    #[test]
    fn given_back() {
        let gone = || change(Action::Delete, id()).had(wants()).sees(seen(NEW), &[]);
        let acts = planned(&Download, &gone().was(json!(null)), &[("remove /opt/x", InPlace)]);
        let expects = Expect::Digest(NEW.into());
        assert_eq!(acts, [Act::RemoveFile { path: "/opt/x".into(), expects }]);
        let acts = planned(&Download, &gone().was(seen(OLD)), &[("restore /opt/x", InPlace)]);
        assert!(matches!(&acts[0], Act::Restore { digest, .. } if digest == OLD), "{acts:?}");
        planned(&Download, &gone().was(seen(NEW)), &[("restore the permissions of /opt/x", InPlace)]);
        let none = change(Action::Delete, id()).had(wants()).was(json!(null));
        assert_eq!(planned(&Download, &none, &[("leave /opt/x as it is", InPlace)]), []);
    }

    #[test]
    fn arguments_are_checked() {
        let found = |url: &str, digest: &str| {
            let args = json!({ "path": "/opt/x", "url": url, "sha256": digest });
            Download.check(&obj(args)).len()
        };
        for good in ["https://example.org/a%20b?c=d", "http://[::1]:80/x", "file:/srv/x", "file:///srv/x"] {
            assert_eq!(found(good, NEW), 0, "{good}");
        }
        for bad in
            ["", "x", "ftp://a", "https:", "https://a b", "https://a\"b", "https://u:p@a/x", "https://a\n-o"]
        {
            assert_eq!(found(bad, NEW), 1, "{bad}");
        }
        assert_eq!(found("file:/srv/x", "abc"), 1);
    }
}
