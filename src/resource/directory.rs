//! `directory`: one directory's existence, mode and owner; never what is in it.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Attr, Class, Diagnostics, Object, Schema};

use super::act::{Act, Permissions};
use super::answer::{Answer, FileType};
use super::filesystem as fs;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, Verb};
use super::probe::Probe;
use super::reading::{
    before, desired, differs, flag, given, got, observed, required, taken_over, text, verb,
};

mod tree;

/// The kind.
pub struct Directory;

static SCHEMA: Schema = Schema {
    kind: "directory",
    version: 1,
    summary: "A directory: existence, mode, owner.",
    doc: "Owns the directory itself and the permissions that are given, not what is in it, unless `tree` is true. Destroy removes a \
          directory that was not there before, and only if it is empty; one that was there gets its former mode and \
          owner back. Nothing is ever removed recursively, and owners below are not given back. A file or a symbolic link at the path is an error.",
    example: r#"directory "data" {
  host = host.nfs
  path = "/srv/data"
  mode = "0750"
  uid  = 1001
  gid  = 2000
}
"#,
    attributes: &[
        Attr::new(
            "path",
            AttrType::Path,
            Class::Identity,
            "Where the directory is; its parent must exist or be managed.",
        )
        .implies(&[Implies::Provides(Thing::Path), Implies::WantsParents]),
        fs::MODE,
        fs::OWNER.asked(),
        fs::GROUP.asked(),
        fs::UID.asked(),
        fs::GID.asked(),
        tree::TREE,
        tree::FILE_MODE,
        tree::DIRECTORY_MODE,
        tree::OTHERWISE,
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

impl HostKind for Directory {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        fs::check(args).into_iter().chain(tree::check(args)).collect()
    }

    fn observe(&self, identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(path) = text(identity, "path") else {
            return Observation::Unknown("its path is not known".into());
        };
        let probe = Probe::Stat(path.to_owned());
        let found = got(answers, &probe, |a| if let Answer::Stat(s) = a { Some(s) } else { None });
        let below = match tree::seen(identity, answers) {
            Ok(Some(below)) => below,
            Ok(None) => {
                return Observation::Need(std::iter::once(probe).chain(tree::probe(identity)).collect());
            }
            Err(reason) => return Observation::Unknown(reason),
        };
        observed(found, probe, |stat| {
            let mut object = fs::stat_object(path, stat);
            if given(identity, "tree").is_some() {
                object.insert("tree".into(), below.0);
                object.insert("otherwise".into(), below.1);
            }
            Observation::Present(object)
        })
    }

    fn portray(&self, observed: &Object) -> Object {
        fs::portray(observed)
    }

    fn plan(&self, cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let path = text(&change.identity, "path").unwrap_or_default();
        let problems: Diagnostics = fs::wrong_type(change, FileType::Directory)
            .into_iter()
            .chain(fs::relative_path(cx.endpoint, change))
            .collect();
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => Ok(Vec::new()),
            _ if !problems.is_empty() => Err(problems),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => Ok(make_steps(path, change)),
            Action::Delete => {
                let title = match former(change) {
                    None => format!("remove {path} if it is empty"),
                    Some(p) if p == Permissions::default() => format!("leave {path} as it is"),
                    Some(_) => format!("restore the permissions of {path}"),
                };
                Ok(vec![Step::new("remove", Verb::Delete, title)])
            }
        }
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let path = required(&change.identity, "path")?.to_owned();
        if step.verb == Verb::Delete {
            return Ok(match former(change) {
                None => vec![Act::RemoveDir { path }],
                Some(p) if p == Permissions::default() => Vec::new(),
                Some(permissions) => vec![Act::SetPermissions { path, permissions }],
            });
        }
        let wanted = desired(change)?;
        let permissions = fs::permissions(wanted);
        let mut acts = Vec::new();
        if change.observed.is_none() {
            acts.push(Act::MakeDir { path, permissions });
        } else if !fs::differing_permissions(change).is_empty() {
            acts.push(Act::SetPermissions { path, permissions });
        }
        if change.observed.is_some() && is_tree_due(change) {
            acts.extend(tree::act(wanted));
        }
        Ok(acts)
    }
}

/// What destroy gives back to a directory that was there before; nothing if it is gone.
fn former(change: &Change) -> Option<Permissions> {
    let first = before(change)?;
    Some(match change.observed {
        Some(_) => fs::former(first, &change.prior),
        None => Permissions::default(),
    })
}

fn is_tree_due(change: &Change) -> bool {
    differs(change, "tree") && change.desired.as_ref().and_then(|d| flag(d, "tree")) == Some(true)
}

fn make_steps(path: &str, change: &Change) -> Vec<Step> {
    let mut permissions = fs::differing_permissions(change);
    if change.observed.is_some() && is_tree_due(change) {
        let below = "owner and modes of everything below";
        permissions =
            if permissions.is_empty() { below.into() } else { format!("{permissions}, and {below}") };
    }
    let title = if change.observed.is_none() {
        format!("make the directory {path}")
    } else if !permissions.is_empty() {
        format!("set {permissions} of {path}")
    } else {
        return taken_over(change, path);
    };
    vec![Step::new("apply", verb(change), title)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::StatAnswer;
    use crate::resource::kind::StepClass::InPlace;
    use crate::resource::reading::fixture::{change, check, obj, observe, refused};
    use serde_json::json;

    const PATH: &str = "/srv/data";

    fn at(action: Action) -> Change {
        change(action, json!({ "path": PATH }))
    }

    fn there() -> serde_json::Value {
        json!({ "path": PATH, "file_type": "directory", "mode": "0755", "owner": "root", "group": "root",
                "uid": 0, "gid": 0, "mtime": 1 })
    }

    fn mode(mode: &str) -> Permissions {
        Permissions { mode: Some(mode.into()), ..Permissions::default() }
    }

    #[test]
    fn observed() {
        let seen =
            |answer| observe(&Directory, json!({ "path": PATH }), vec![(Probe::Stat(PATH.into()), answer)]);
        let stat = StatAnswer {
            file_type: FileType::Directory,
            mode: "0755".into(),
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: 4096,
            mtime: 1,
        };
        assert_eq!(seen(Answer::Stat(stat)), Observation::Present(obj(there())));
        assert_eq!(seen(Answer::Absent), Observation::Absent);
        assert_eq!(seen(Answer::Unknown("denied".into())), Observation::Unknown("denied".into()));
        let nothing = observe(&Directory, json!({ "path": PATH }), vec![]);
        assert_eq!(nothing, Observation::Need(vec![Probe::Stat(PATH.into())]));
    }

    #[test]
    fn made_and_changed() {
        let made = at(Action::Create).wants(json!({ "mode": "0750" }));
        let acts = check(&Directory, &made, &[("make the directory /srv/data", InPlace)]);
        assert_eq!(acts, [Act::MakeDir { path: PATH.into(), permissions: mode("0750") }]);

        let changed = at(Action::Update).wants(json!({ "mode": "0750" })).sees(there(), &["mode"]);
        let acts = check(&Directory, &changed, &[("set mode of /srv/data", InPlace)]);
        assert_eq!(acts, [Act::SetPermissions { path: PATH.into(), permissions: mode("0750") }]);

        let adopted = at(Action::Adopt).wants(json!({})).sees(there(), &[]);
        assert_eq!(check(&Directory, &adopted, &[("take over /srv/data", InPlace)]), []);
    }

    #[test]
    fn removed_only_if_ours() {
        let delete = || at(Action::Delete).had(json!({ "mode": "0750" })).sees(there(), &[]);
        let acts =
            check(&Directory, &delete().was(json!(null)), &[("remove /srv/data if it is empty", InPlace)]);
        assert_eq!(acts, [Act::RemoveDir { path: PATH.into() }]);

        let restored = delete().was(json!({ "mode": "0700", "uid": 3 }));
        let acts = check(&Directory, &restored, &[("restore the permissions of /srv/data", InPlace)]);
        assert_eq!(acts, [Act::SetPermissions { path: PATH.into(), permissions: mode("0700") }]);

        let unowned = delete().had(json!({})).was(there());
        assert_eq!(check(&Directory, &unowned, &[("leave /srv/data as it is", InPlace)]), []);
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let mut seen = there();
        seen["file_type"] = json!("symlink");
        let wanted = at(Action::Adopt).wants(json!({})).sees(seen, &[]);
        assert_eq!(refused(&Directory, &wanted), "/srv/data is a symbolic link, not a directory");
    }
}
