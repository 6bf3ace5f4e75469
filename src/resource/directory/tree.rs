//! What is below a directory: one owner, one group, one mode for files and one for directories.

use coxswain_model::schema::AttrType;
use coxswain_model::{Attr, Class, Diagnostic, Object, Value, json};
use serde_json::json;

use crate::resource::act::Act;
use crate::resource::filesystem as fs;
use crate::resource::kind::Answers;
use crate::resource::probe::{Probe, read_program};
use crate::resource::program::program;
use crate::resource::reading::{Fields, Got, flag, given, said, text};

pub(super) const TREE: Attr = Attr::new(
    "tree",
    AttrType::Bool,
    Class::Owned,
    "With true, everything below has the owner, the group and the modes that are given; links are not followed and \
     other file systems not entered.",
)
.asked();
pub(super) const FILE_MODE: Attr = Attr::new(
    "file_mode",
    AttrType::Mode,
    Class::Setting,
    "With `tree`: permission bits of every file below.",
)
.asked();
pub(super) const DIRECTORY_MODE: Attr = Attr::new(
    "directory_mode",
    AttrType::Mode,
    Class::Setting,
    "With `tree`: permission bits of every directory below.",
)
.asked();
pub(super) const OTHERWISE: Attr = Attr::new(
    "otherwise",
    AttrType::List(&AttrType::Str),
    Class::Fact,
    "With `tree`: the first twenty below that are otherwise, with numbers, mode and path.",
)
.volatile();

/// Directories that belong to the system: one step would break the host.
const SYSTEM: [&str; 18] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
];

/// The path and what is wanted below it.
fn words(args: &Object) -> Option<[String; 5]> {
    let of = fs::permissions(args);
    let word = |name: &str| text(args, name).unwrap_or_default().to_owned();
    let path = text(args, "path")?.to_owned();
    let owners = (of.owner.unwrap_or_default(), of.group.unwrap_or_default());
    Some([path, owners.0, owners.1, word("file_mode"), word("directory_mode")])
}

/// The read, where somebody wants it.
pub(super) fn probe(asked: &Object) -> Option<Probe> {
    (flag(asked, "tree") == Some(true))
        .then(|| Some(Probe::says(read_program!("directory_tree"), words(asked)?)))?
}

/// Whether everything below is as it is wanted, and what is not.
///
/// # Errors
/// Why it cannot be told; `Ok(None)`: nobody asked yet.
pub(super) fn seen(asked: &Object, answers: &Answers) -> Result<Option<(Value, Value)>, String> {
    let none = || json::from_json(&json!([]));
    let Some(probe) = probe(asked) else { return Ok(Some((Value::from(false), none()))) };
    match said(answers, &probe) {
        Got::NotAsked => Ok(None),
        Got::Found(said) => {
            let fields = Fields::of(said)?;
            let bad: Vec<&str> = fields.all("bad").collect();
            Ok(Some((Value::from(fields.is("tree")?), json::from_json(&json!(bad)))))
        }
        Got::Absent => Err("no answer came".into()),
        Got::Unknown(reason) => Err(reason),
    }
}

/// What makes it so.
pub(super) fn act(wanted: &Object) -> Option<Act> {
    Some(program!("directory-tree", "chown and chmod below").act(words(wanted)?))
}

pub(super) fn check(args: &Object) -> Option<Diagnostic> {
    let modes = given(args, "file_mode").is_some() || given(args, "directory_mode").is_some();
    if flag(args, "tree") != Some(true) {
        let problem = Diagnostic::error("bad-tree", "`file_mode` and `directory_mode` are for `tree = true`");
        return modes.then_some(problem);
    }
    let path = text(args, "path")?;
    if SYSTEM.contains(&path.trim_end_matches('/')) || path == "/" {
        let problem = Diagnostic::error("bad-tree", format!("everything below {path} belongs to the system"));
        return Some(problem.detail("A host does not survive it. Name a directory of your own below it."));
    }
    let owners = ["owner", "group", "uid", "gid"].into_iter().any(|name| given(args, name).is_some());
    (!owners && !modes)
        .then(|| Diagnostic::error("bad-tree", "`tree` says nothing without an owner, a group or a mode"))
}
