//! `file`: a regular file's content, mode and owner.

use std::sync::Arc;

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Compare, Diagnostic, Diagnostics, Object, Schema, Type, Value};
use sha2::{Digest as _, Sha256};

use super::act::{Act, Content, Expect, Permissions};
use super::answer::{Answer, FileType, StatAnswer};
use super::filesystem as fs;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::reading::{Got, before, desired, differs, given, got, required, taken_over, text, verb};

/// The kind.
pub struct File;

/// Bytes above which a file is never read whole for its digest: nobody keeps such content in a configuration.
const DIGEST_LIMIT: u64 = 1 << 30;

static SCHEMA: Schema = Schema {
    kind: "file",
    version: 1,
    summary: "A regular file: content, mode, owner.",
    doc: "Owns the content and the permissions that are given, and nothing else. A file without `content` and \
          `source` must exist already: only its permissions are managed. Writing goes through a temporary file in \
          the same directory, so that nobody sees half of it. The first content found at the path is kept on the \
          host; destroy gives it back with its mode and owner, and removes a file that was not there before. A \
          directory or a symbolic link at the path is an error, never replaced.",
    example: r#"file "motd" {
  host    = host.nfs
  path    = "/etc/motd"
  content = "Managed by coxswain.\n"
  mode    = "0644"
  owner   = "root"
  group   = "root"
}
"#,
    attributes: &[
        Attr::new(
            "path",
            AttrType::Path,
            Class::Identity,
            "Where the file is; its parent directory must exist or be managed.",
        )
        .implies(&[Implies::Provides(Thing::Path), Implies::WantsParents]),
        Attr::new("content", AttrType::Str, Class::Owned, "The whole content; excludes `source`.")
            .compare(Compare::Lines),
        Attr::new(
            "source",
            AttrType::Str,
            Class::Setting,
            "A file beside the configuration whose content is taken; excludes `content`.",
        )
        .fills("content"),
        fs::MODE,
        fs::OWNER,
        fs::GROUP,
        fs::UID,
        fs::GID,
        Attr::new("content_digest", AttrType::Str, Class::Computed, "SHA-256 of the content in hexadecimal.")
            .restores()
            .derived_from("content"),
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

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Whether the arguments say what is in the file.
fn owns_content(args: &Object) -> bool {
    given(args, "content").is_some() || given(args, "source").is_some()
}

fn present(path: &str, stat: &StatAnswer, content: Value, digest: Value) -> Observation {
    let mut object = fs::stat_object(path, stat);
    object.insert("content".into(), content);
    object.insert("content_digest".into(), digest);
    Observation::Present(object)
}

/// The content is not known, but perhaps its digest.
fn by_digest(path: &str, stat: &StatAnswer, answers: &Answers) -> Observation {
    let content = Value::unknown(Type::Str);
    if stat.size > DIGEST_LIMIT {
        return present(path, stat, content.clone(), content);
    }
    let probe = Probe::Digest(path.to_owned());
    let found = got(answers, &probe, |a| if let Answer::Digest(d) = a { Some(d) } else { None });
    match found {
        Got::NotAsked => Observation::Need(vec![probe]),
        Got::Found(digest) => present(path, stat, content, Value::from(digest.as_str())),
        Got::Absent => gone(path),
        Got::Unknown(reason) => Observation::Unknown(reason),
    }
}

fn gone(path: &str) -> Observation {
    Observation::Unknown(format!("{path} went away while it was read"))
}

impl HostKind for File {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found = fs::check(args);
        let managed = fs::PERMISSIONS.iter().any(|name| given(args, name).is_some());
        if given(args, "content").is_some() && given(args, "source").is_some() {
            found.push(
                Diagnostic::error("file-content", "`content` and `source` are both given")
                    .detail("Give the content itself or the file it is in, not both."),
            );
        } else if !owns_content(args) && !managed {
            found.push(Diagnostic::error("file-content", "nothing of this file is managed").detail(
                "Give `content` or `source` to write it, or `mode` and an owner to manage an existing file's \
                     permissions.",
            ));
        }
        found
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(path) = text(identity, "path") else {
            return Observation::Unknown("its path is not known".into());
        };
        let probes = [Probe::Stat(path.to_owned()), Probe::Content(path.to_owned())];
        let stat = match got(answers, &probes[0], |a| if let Answer::Stat(s) = a { Some(s) } else { None }) {
            Got::NotAsked => return Observation::Need(probes.into()),
            Got::Found(stat) => stat,
            Got::Absent => return Observation::Absent,
            Got::Unknown(reason) => return Observation::Unknown(reason),
        };
        if stat.file_type != FileType::File {
            return present(path, stat, Value::null(), Value::null());
        }
        if answers.get(&probes[1]) == Some(&Answer::TooLong) {
            return by_digest(path, stat, answers);
        }
        match got(answers, &probes[1], |a| if let Answer::Content(c) = a { Some(c) } else { None }) {
            Got::NotAsked => Observation::Need(vec![probes[1].clone()]),
            Got::Found(bytes) => {
                let content =
                    std::str::from_utf8(bytes).map_or_else(|_| Value::unknown(Type::Str), Value::from);
                present(path, stat, content, Value::from(digest(bytes)))
            }
            Got::Absent => gone(path),
            Got::Unknown(reason) => Observation::Unknown(reason),
        }
    }

    fn portray(&self, observed: &Object) -> Object {
        let mut object = fs::portray(observed);
        // What not everybody may read on the host does not belong into a configuration that everybody may read.
        if !fs::is_public(observed) {
            object.remove("content");
        }
        object
    }

    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        let problems: Diagnostics = fs::wrong_type(change, FileType::File)
            .into_iter()
            .chain(fs::relative_path(cx.endpoint, change))
            .chain(unmanageable(path, change))
            .collect();
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            _ if !problems.is_empty() => Err(problems),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => Ok(make_steps(path, change)),
            Action::Delete => Ok(vec![Step::new("remove", Verb::Delete, remove_title(path, change))]),
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        if step.verb == Verb::Delete { remove_acts(change) } else { make_acts(change) }
    }
}

/// Why the wanted file cannot be made of what is there.
fn unmanageable(path: &str, change: &Change) -> Option<Diagnostic> {
    let wanted = change.desired.as_ref()?;
    let Some(found) = &change.observed else {
        return (!owns_content(wanted)).then(|| {
            Diagnostic::error("file-content", format!("{path} is not there, and its content is not given"))
                .detail(
                    "Give `content` or `source`, or let whatever makes the file come first (`depends_on`).",
                )
        });
    };
    if !owns_content(wanted) {
        return None;
    }
    let Some(now) = text(found, "content_digest") else {
        return (text(found, "file_type") == Some("file")).then(|| {
            Diagnostic::error("file-too-long", format!("{path} is too long to be replaced"))
                .detail("Its content could not be kept for destroy. Move the file away first.")
        });
    };
    let first = before(change)?;
    (!owns_content(&change.prior) && text(first, "content_digest") != Some(now)).then(|| {
        Diagnostic::error(
            "file-content",
            format!("{path} has changed since it was taken over without its content"),
        )
        .detail(
            "The content that destroy would give back is gone. Remove the resource from the configuration, \
                 apply, and add it again with its content.",
        )
    })
}

/// Whether the content must be written.
fn writes(change: &Change) -> bool {
    let Some(wanted) = change.desired.as_ref().filter(|d| owns_content(d)) else { return false };
    let now = change.observed.as_ref().and_then(|o| text(o, "content_digest"));
    let new = text(wanted, "content").map(|c| digest(c.as_bytes()));
    let same = now.is_some() && now == new.as_deref();
    let asked = differs(change, "content") || change.observed.is_none() || change.action == Action::Replace;
    asked && !same
}

/// Whether `now`, which is about to be overwritten, is what destroy gives back: nobody has overwritten it yet.
fn keeps(change: &Change, now: &str) -> bool {
    match &change.before {
        None => true,
        Some(first) => first.as_ref().and_then(|b| text(b, "content_digest")) == Some(now),
    }
}

/// What a replacement has given back at the same path a moment ago, and what now gives way again.
fn given_back(change: &Change) -> Option<&str> {
    let is_same = text(&change.prior, "path") == text(&change.identity, "path");
    before(change).filter(|_| change.observed.is_none() && is_same).and_then(|b| text(b, "content_digest"))
}

fn make_steps(path: &str, change: &Change) -> Vec<Step> {
    let permissions = fs::differing_permissions(change);
    let what = if writes(change) {
        format!("write {path}")
    } else if !permissions.is_empty() {
        format!("set {permissions} of {path}")
    } else {
        return taken_over(change, path);
    };
    vec![Step::new("apply", verb(change), what)]
}

fn make_acts(change: &Change) -> Result<Vec<Act>, KindError> {
    let path = required(&change.identity, "path")?.to_owned();
    let wanted = desired(change)?;
    let permissions = fs::permissions(wanted);
    let mut acts = Vec::new();
    if writes(change) {
        let expects = match &change.observed {
            None => Expect::Absent,
            Some(found) => Expect::Digest(required(found, "content_digest")?.to_owned()),
        };
        if let Expect::Digest(digest) = &expects
            && keeps(change, digest)
        {
            acts.push(Act::Keep { path: path.clone(), digest: digest.clone() });
        }
        if let Some(digest) = given_back(change) {
            acts.push(Act::RemoveFile { path: path.clone(), expects: Expect::Digest(digest.to_owned()) });
        }
        let content = Content::new(required(wanted, "content")?.as_bytes().to_vec());
        acts.push(Act::WriteFile { path, content, permissions, expects });
    } else if !fs::differing_permissions(change).is_empty() {
        acts.push(Act::SetPermissions { path, permissions });
    }
    Ok(acts)
}

/// What destroy does with the file.
enum Removal {
    /// Its first content comes back.
    Restore { digest: Arc<str>, permissions: Permissions },
    /// Its first permissions come back.
    Permissions(Permissions),
    /// It goes.
    Remove,
    /// It stays as it is.
    Leave,
}

fn removal(change: &Change) -> Removal {
    let first = before(change);
    let permissions = first.map_or_else(Permissions::default, |b| fs::former(b, &change.prior));
    let now = change.observed.as_ref().and_then(|o| text(o, "content_digest"));
    let kept = first.and_then(|b| text(b, "content_digest"));
    match (owns_content(&change.prior), first, kept) {
        (true, None, _) => Removal::Remove,
        (true, Some(first), Some(digest)) if now != Some(digest) => {
            let permissions = if change.observed.is_some() { permissions } else { fs::former(first, first) };
            Removal::Restore { digest: digest.into(), permissions }
        }
        _ if change.observed.is_none() || permissions == Permissions::default() => Removal::Leave,
        _ => Removal::Permissions(permissions),
    }
}

fn remove_title(path: &str, change: &Change) -> String {
    match removal(change) {
        Removal::Restore { .. } => format!("restore {path}"),
        Removal::Permissions(_) => format!("restore the permissions of {path}"),
        Removal::Remove => format!("remove {path}"),
        Removal::Leave => format!("leave {path} as it is"),
    }
}

fn remove_acts(change: &Change) -> Result<Vec<Act>, KindError> {
    let path = required(&change.identity, "path")?.to_owned();
    let mut acts = Vec::new();
    if let Some(digest) = never_overwritten(change) {
        acts.push(Act::Sweep { path: path.clone(), digest: digest.to_owned() });
    }
    acts.extend(match removal(change) {
        Removal::Restore { digest, permissions } => {
            vec![Act::Restore { path, digest: digest.to_string(), permissions }]
        }
        Removal::Permissions(permissions) => vec![Act::SetPermissions { path, permissions }],
        Removal::Remove => {
            let expects = match &change.observed {
                Some(found) => Expect::Digest(required(found, "content_digest")?.to_owned()),
                None => Expect::Absent,
            };
            vec![Act::RemoveFile { path, expects }]
        }
        Removal::Leave => Vec::new(),
    });
    Ok(acts)
}

/// The first content, where it is still there: a run may have been cut off while keeping it.
fn never_overwritten(change: &Change) -> Option<&str> {
    let now = change.observed.as_ref().and_then(|o| text(o, "content_digest"));
    let kept = before(change).and_then(|b| text(b, "content_digest"));
    kept.filter(|_| owns_content(&change.prior) && now == kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{change, check, obj, observe, refused};
    use serde_json::json;

    const PATH: &str = "/etc/motd";

    /// A probe of the path and its answer.
    type Pair = (fn(String) -> Probe, Answer);

    fn stat(file_type: FileType, size: u64) -> Answer {
        Answer::Stat(StatAnswer {
            file_type,
            mode: "0644".into(),
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size,
            mtime: 1,
        })
    }

    fn seen(answers: Vec<Pair>) -> Observation {
        let answers = answers.into_iter().map(|(probe, answer)| (probe(PATH.into()), answer)).collect();
        observe(&File, json!({ "path": PATH }), answers)
    }

    fn at(action: Action) -> Change {
        change(action, json!({ "path": PATH }))
    }

    fn old() -> serde_json::Value {
        json!({ "file_type": "file", "content": "old", "content_digest": digest(b"old"),
                "mode": "0600", "owner": "root", "group": "root", "uid": 0, "gid": 0 })
    }

    fn write(content: &str, mode: Option<&str>, expects: Expect) -> Act {
        Act::WriteFile {
            path: PATH.into(),
            content: Content::new(content.into()),
            permissions: Permissions { mode: mode.map(str::to_owned), ..Permissions::default() },
            expects,
        }
    }

    #[test]
    fn a_small_file_takes_one_round() {
        let need = Observation::Need(vec![Probe::Stat(PATH.into()), Probe::Content(PATH.into())]);
        assert_eq!(seen(vec![]), need);
        let found = seen(vec![
            (Probe::Stat, stat(FileType::File, 3)),
            (Probe::Content, Answer::Content(b"old".into())),
        ]);
        let expected = obj(json!({ "path": PATH, "file_type": "file", "mode": "0644", "owner": "root",
            "group": "root", "uid": 0, "gid": 0, "content": "old", "content_digest": digest(b"old"), "mtime": 1 }));
        assert_eq!(found, Observation::Present(expected));
    }

    #[test]
    fn a_long_file_is_known_by_its_digest() {
        let mut answers: Vec<Pair> =
            vec![(Probe::Stat, stat(FileType::File, 1 << 20)), (Probe::Content, Answer::TooLong)];
        assert_eq!(seen(answers.clone()), Observation::Need(vec![Probe::Digest(PATH.into())]));
        answers.push((Probe::Digest, Answer::Digest("abc".into())));
        let Observation::Present(found) = seen(answers) else { panic!("the file is there") };
        assert!(!found["content"].is_known());
        assert_eq!(text(&found, "content_digest"), Some("abc"));
    }

    #[test]
    fn binary_content_is_unknown_and_has_a_digest() {
        let answers: Vec<Pair> =
            vec![(Probe::Stat, stat(FileType::File, 1)), (Probe::Content, Answer::Content(vec![0xff]))];
        let Observation::Present(found) = seen(answers) else { panic!("the file is there") };
        assert!(!found["content"].is_known());
        assert_eq!(text(&found, "content_digest"), Some(digest(&[0xff]).as_str()));
    }

    #[test]
    fn absent_is_not_unknown() {
        assert_eq!(seen(vec![(Probe::Stat, Answer::Absent)]), Observation::Absent);
        let denied = || Answer::Unknown("permission denied".into());
        let unknown = Observation::Unknown("permission denied".into());
        assert_eq!(seen(vec![(Probe::Stat, denied())]), unknown);
        assert_eq!(seen(vec![(Probe::Stat, stat(FileType::File, 1)), (Probe::Content, denied())]), unknown);
        assert!(matches!(seen(vec![(Probe::Stat, Answer::TooLong)]), Observation::Unknown(_)));
    }

    #[test]
    fn another_type_is_seen_and_refused() {
        let Observation::Present(found) = seen(vec![(Probe::Stat, stat(FileType::Directory, 1))]) else {
            panic!("something is there")
        };
        assert!(found["content"].is_null());
        let mut wanted = at(Action::Adopt).wants(json!({ "content": "new" }));
        wanted.observed = Some(found);
        assert_eq!(refused(&File, &wanted), "/etc/motd is a directory, not a file");
        wanted.action = Action::Delete;
        assert_eq!(refused(&File, &wanted), "/etc/motd is a directory, not a file");
    }

    #[test]
    fn create_writes_once() {
        let wanted = at(Action::Create).wants(json!({ "content": "new", "mode": "0600" }));
        let acts = check(&File, &wanted, &[("write /etc/motd", InPlace)]);
        assert_eq!(acts, [write("new", Some("0600"), Expect::Absent)]);
    }

    #[test]
    fn adopting_keeps_the_first_content() {
        let keep = Act::Keep { path: PATH.into(), digest: digest(b"old") };
        let wanted = at(Action::Adopt).wants(json!({ "content": "new" })).sees(old(), &["content"]);
        let acts = check(&File, &wanted, &[("write /etc/motd", InPlace)]);
        assert_eq!(acts, [keep.clone(), write("new", None, Expect::Digest(digest(b"old")))]);

        let later = at(Action::Update).had(json!({ "content": "old" })).was(old());
        let later = later.wants(json!({ "content": "new" })).sees(old(), &["content"]);
        let acts = check(&File, &later, &[("write /etc/motd", InPlace)]);
        assert_eq!(acts, [keep, write("new", None, Expect::Digest(digest(b"old")))]);

        let equal = at(Action::Adopt).wants(json!({ "content": "old" })).sees(old(), &[]);
        assert_eq!(check(&File, &equal, &[("take over /etc/motd", InPlace)]), []);
    }

    #[test]
    fn a_replacement_takes_away_what_it_gave_back() {
        let anew = at(Action::Create).had(json!({ "path": PATH, "content": "new" })).was(old());
        let acts = check(&File, &anew.wants(json!({ "content": "new" })), &[("write /etc/motd", InPlace)]);
        let remove = Act::RemoveFile { path: PATH.into(), expects: Expect::Digest(digest(b"old")) };
        assert_eq!(acts, [remove, write("new", None, Expect::Absent)]);
    }

    #[test]
    fn update_touches_what_differs() {
        let change = || at(Action::Update).had(json!({ "content": "old" })).was(json!(null));
        let content = change().wants(json!({ "content": "new" })).sees(old(), &["content"]);
        let acts = check(&File, &content, &[("write /etc/motd", InPlace)]);
        assert_eq!(acts, [write("new", None, Expect::Digest(digest(b"old")))]);

        let wanted = json!({ "content": "old", "mode": "0644", "uid": 7 });
        let mode = change().wants(wanted).sees(old(), &["mode", "uid"]);
        let permissions = Permissions { mode: Some("0644".into()), owner: Some("7".into()), group: None };
        let acts = check(&File, &mode, &[("set mode and uid of /etc/motd", InPlace)]);
        assert_eq!(acts, [Act::SetPermissions { path: PATH.into(), permissions }]);
    }

    #[test]
    fn unknown_content_with_the_wanted_digest_is_left_alone() {
        let mut seen = old();
        seen["content"] = json!(null);
        let same = at(Action::Update).wants(json!({ "content": "old" })).sees(seen, &["content"]);
        assert_eq!(check(&File, &same, &[]), []);
    }

    #[test]
    fn permissions_alone_need_a_file() {
        let wanted = at(Action::Create).wants(json!({ "mode": "0600" }));
        assert_eq!(refused(&File, &wanted), "/etc/motd is not there, and its content is not given");
        let mut long = old();
        long["content_digest"] = json!(null);
        let wanted = at(Action::Adopt).wants(json!({ "mode": "0640" })).sees(long, &["mode"]);
        let permissions = Permissions { mode: Some("0640".into()), ..Permissions::default() };
        let acts = check(&File, &wanted, &[("set mode of /etc/motd", InPlace)]);
        assert_eq!(acts, [Act::SetPermissions { path: PATH.into(), permissions }]);
    }

    #[test]
    fn content_that_cannot_be_given_back_is_not_overwritten() {
        let mut first = old();
        first["content_digest"] = json!("other");
        let late = at(Action::Update).had(json!({ "mode": "0600" })).was(first);
        let late = late.wants(json!({ "content": "new" })).sees(old(), &["content"]);
        assert_eq!(
            refused(&File, &late),
            "/etc/motd has changed since it was taken over without its content"
        );
        let mut long = old();
        long["content_digest"] = json!(null);
        let long = at(Action::Adopt).wants(json!({ "content": "new" })).sees(long, &["content"]);
        assert_eq!(refused(&File, &long), "/etc/motd is too long to be replaced");
    }

    #[test]
    fn delete_gives_back_what_was_there() {
        let now = || json!({ "file_type": "file", "content_digest": digest(b"new") });
        let delete = || at(Action::Delete).had(json!({ "content": "new", "mode": "0644" }));
        let made = delete().was(json!(null)).sees(now(), &[]);
        let remove = Act::RemoveFile { path: PATH.into(), expects: Expect::Digest(digest(b"new")) };
        assert_eq!(check(&File, &made, &[("remove /etc/motd", InPlace)]), [remove]);

        let permissions = Permissions { mode: Some("0600".into()), ..Permissions::default() };
        let restore =
            Act::Restore { path: PATH.into(), digest: digest(b"old"), permissions: permissions.clone() };
        let adopted = delete().was(old()).sees(now(), &[]);
        assert_eq!(check(&File, &adopted, &[("restore /etc/motd", InPlace)]), [restore]);

        let equal = delete().was(old()).sees(old(), &[]);
        let acts = check(&File, &equal, &[("restore the permissions of /etc/motd", InPlace)]);
        let sweep = Act::Sweep { path: PATH.into(), digest: digest(b"old") };
        assert_eq!(acts, [sweep, Act::SetPermissions { path: PATH.into(), permissions }]);

        let gone = delete().was(json!(null));
        let remove = Act::RemoveFile { path: PATH.into(), expects: Expect::Absent };
        assert_eq!(check(&File, &gone, &[("remove /etc/motd", InPlace)]), [remove]);
    }

    #[test]
    fn delete_never_removes_a_file_whose_content_was_not_ours() {
        let imported = at(Action::Delete).had(json!({ "mode": "0600" })).sees(old(), &[]);
        assert_eq!(check(&File, &imported, &[("leave /etc/motd as it is", InPlace)]), []);
    }

    #[test]
    fn a_relative_path_is_refused_on_a_host() {
        let wanted = change(Action::Create, json!({ "path": "motd" })).wants(json!({ "content": "" }));
        assert_eq!(refused(&File, &wanted), "`motd` is a relative path");
    }

    #[test]
    fn arguments_are_checked() {
        let codes = |args| File.check(&obj(args)).into_iter().map(|d| d.summary).collect::<Vec<_>>();
        let both = json!({ "path": PATH, "content": "a", "source": "b" });
        assert_eq!(codes(both), ["`content` and `source` are both given"]);
        assert_eq!(codes(json!({ "path": PATH })), ["nothing of this file is managed"]);
        assert_eq!(codes(json!({ "path": PATH, "content": "" })), Vec::<String>::new());
    }
}
