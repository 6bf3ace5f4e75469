//! What `file` and `directory` have in common: paths, modes, owners.
//!
//! An owner is a name (`owner`, `group`) or a number (`uid`, `gid`), each with an attribute of its own: a name and
//! a number cannot be compared without asking the host, and so never are.

use coxswain_model::schema::{Implies, Thing};
use coxswain_model::{Attr, AttrType, Class, Diagnostic, Diagnostics, Object, Value};

use super::act::Permissions;
use super::answer::{FileType, StatAnswer};
use super::kind::{Change, Endpoint};
use super::reading::{differs, given, listed, text, whole};

pub(super) const MODE: Attr =
    Attr::new("mode", AttrType::Mode, Class::Owned, "Permission bits in octal, such as `\"0644\"`.")
        .restores();
pub(super) const OWNER: Attr = Attr::new(
    "owner",
    AttrType::Str,
    Class::Owned,
    "The owning user by name; for a number give `uid` instead.",
)
.implies(&[Implies::Wants(Thing::User)])
.restores();
pub(super) const GROUP: Attr = Attr::new(
    "group",
    AttrType::Str,
    Class::Owned,
    "The owning group by name; for a number give `gid` instead.",
)
.implies(&[Implies::Wants(Thing::Group)])
.restores();
pub(super) const UID: Attr =
    Attr::new("uid", AttrType::Num, Class::Owned, "The owning user by number; excludes `owner`.").restores();
pub(super) const GID: Attr =
    Attr::new("gid", AttrType::Num, Class::Owned, "The owning group by number; excludes `group`.").restores();
pub(super) const FILE_TYPE: Attr = Attr::new(
    "file_type",
    AttrType::Str,
    Class::Fact,
    "What the path is now: `file`, `directory`, `symlink` or `other`.",
);

pub(super) const MTIME: Attr =
    Attr::new("mtime", AttrType::Num, Class::Fact, "When it was changed last, in seconds since 1970.")
        .volatile();

/// The attributes that a change of permissions alone can mend.
pub(super) const PERMISSIONS: [&str; 5] = ["mode", "owner", "group", "uid", "gid"];

/// Largest number of a user or group; the one above it means "leave it" to chown(2).
const ID_MAX: i128 = 0xffff_fffe;

/// The word for a type of file.
pub(super) fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::File => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Other => "other",
    }
}

/// The attributes that a stat shows.
pub(super) fn stat_object(path: &str, stat: &StatAnswer) -> Object {
    Object::from([
        ("path".into(), Value::from(path)),
        ("file_type".into(), Value::from(type_name(stat.file_type))),
        ("mode".into(), Value::from(stat.mode.as_str())),
        ("owner".into(), Value::from(stat.owner.as_str())),
        ("group".into(), Value::from(stat.group.as_str())),
        ("uid".into(), Value::from(i64::from(stat.uid))),
        ("gid".into(), Value::from(i64::from(stat.gid))),
        ("mtime".into(), Value::from(stat.mtime)),
    ])
}

/// What a stat shows, with each owner said once: by name, where it has one.
pub(super) fn portray(observed: &Object) -> Object {
    let mut object = observed.clone();
    for (name, number) in [("owner", "uid"), ("group", "gid")] {
        let is_number = |n: &str| n.bytes().all(|b| b.is_ascii_digit());
        let without = if text(observed, name).is_none_or(is_number) { name } else { number };
        object.remove(without);
    }
    object
}

/// Whether everybody may read it.
pub(super) fn is_public(observed: &Object) -> bool {
    text(observed, "mode").and_then(|m| u32::from_str_radix(m, 8).ok()).is_some_and(|mode| mode & 0o004 != 0)
}

/// Mode and owners as the object gives them.
pub(super) fn permissions(object: &Object) -> Permissions {
    let one = |name: &str, number: &str| {
        text(object, name).map(str::to_owned).or_else(|| whole(object, number).map(|n| n.to_string()))
    };
    Permissions {
        mode: text(object, "mode").map(str::to_owned),
        owner: one("owner", "uid"),
        group: one("group", "gid"),
    }
}

/// What was there before of those permissions that `owned` gives, owners as numbers.
pub(super) fn former(before: &Object, owned: &Object) -> Permissions {
    let number = |name: &str, number: &str| {
        let is_owned = given(owned, name).is_some() || given(owned, number).is_some();
        whole(before, number).filter(|_| is_owned).map(|n| n.to_string())
    };
    Permissions {
        mode: text(before, "mode").filter(|_| given(owned, "mode").is_some()).map(str::to_owned),
        owner: number("owner", "uid"),
        group: number("group", "gid"),
    }
}

/// The permissions that differ, as people list them; empty for none.
pub(super) fn differing_permissions(change: &Change) -> String {
    let names: Vec<&str> = PERMISSIONS.into_iter().filter(|name| differs(change, name)).collect();
    listed(&names)
}

/// Why the path cannot be managed as `wanted`: something of another type is there.
pub(super) fn wrong_type(change: &Change, wanted: FileType) -> Option<Diagnostic> {
    let found = change.observed.as_ref().and_then(|o| text(o, "file_type"))?;
    if found == type_name(wanted) {
        return None;
    }
    let path = text(&change.identity, "path").unwrap_or_default();
    let problem = Diagnostic::error(
        "wrong-file-type",
        format!("{path} is {}, not a {}", article(found), type_name(wanted)),
    );
    Some(problem.detail(if found == "symlink" {
        "Links are not followed and never replaced. Manage the path it points to, or remove the link first."
    } else {
        "It is never replaced by something of another type. Move it away first, or choose another path."
    }))
}

fn article(file_type: &str) -> &'static str {
    match file_type {
        "file" => "a file",
        "directory" => "a directory",
        "symlink" => "a symbolic link",
        _ => "a device, socket or pipe",
    }
}

/// Why the path means nothing at the endpoint.
pub(super) fn relative_path(endpoint: &Endpoint, change: &Change) -> Option<Diagnostic> {
    let path = text(&change.identity, "path")?;
    let is_host = matches!(endpoint, Endpoint::Host(_));
    (is_host && !path.starts_with('/')).then(|| {
        Diagnostic::error("relative-path", format!("`{path}` is a relative path"))
            .detail("Paths on a host are absolute: they begin with `/`.")
    })
}

/// Checks of path, mode and owners that need no endpoint.
pub(super) fn check(args: &Object) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Some(path) = text(args, "path") {
        found.extend(bad_path(path));
    }
    for (name, number) in [("owner", "uid"), ("group", "gid")] {
        found.extend(bad_owner(args, name, number));
    }
    found
}

fn bad_path(path: &str) -> Option<Diagnostic> {
    let relative = path.strip_prefix('/').unwrap_or(path);
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    let is_root = path == "/";
    (path.contains('\0') || (!is_root && relative.split('/').any(odd))).then(|| {
        Diagnostic::error("bad-path", format!("`{}` is not a plain path", path.escape_debug()))
            .detail("Write it without `.`, `..`, doubled or trailing slashes: one object has one path.")
    })
}

fn bad_owner(args: &Object, name: &str, number: &str) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Some(owner) = text(args, name)
        && (owner.is_empty() || owner.bytes().all(|b| b.is_ascii_digit()))
    {
        found.push(Diagnostic::error("bad-owner", format!("`{name}` is a name, not `{owner}`")).detail(
            format!("For a number write `{number} = {}`.", if owner.is_empty() { "0" } else { owner }),
        ));
    }
    if given(args, name).is_some() && given(args, number).is_some() {
        found.push(
            Diagnostic::error("bad-owner", format!("`{name}` and `{number}` are both given"))
                .detail("They say the same thing in two ways; keep one."),
        );
    }
    found.extend(bad_id(args, number));
    found
}

/// Why the attribute is no number of a user or group.
pub(super) fn bad_id(args: &Object, name: &str) -> Option<Diagnostic> {
    let value = given(args, name)?.as_num()?;
    let fits = value.to_i128().is_some_and(|n| (0..=ID_MAX).contains(&n));
    (!fits).then(|| {
        Diagnostic::error("bad-id", format!("`{name}` cannot be {value}"))
            .detail(format!("Users and groups have whole numbers from 0 to {ID_MAX}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::reading::fixture::obj;
    use serde_json::json;

    #[track_caller]
    fn checked(args: serde_json::Value, expected: &[&str]) {
        let found: Vec<String> = check(&obj(args)).into_iter().map(|d| d.summary).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn arguments_are_checked() {
        checked(json!({ "path": "/etc/motd", "mode": "0644", "owner": "root" }), &[]);
        checked(json!({ "path": "/" }), &[]);
        checked(json!({ "path": "/etc//motd" }), &["`/etc//motd` is not a plain path"]);
        checked(json!({ "path": "/etc/../motd" }), &["`/etc/../motd` is not a plain path"]);
        checked(json!({ "path": "/etc/" }), &["`/etc/` is not a plain path"]);
        checked(json!({ "owner": "1001" }), &["`owner` is a name, not `1001`"]);
        checked(json!({ "group": "eth", "gid": 2000 }), &["`group` and `gid` are both given"]);
        checked(json!({ "uid": -1 }), &["`uid` cannot be -1"]);
        checked(json!({ "gid": 1.5 }), &["`gid` cannot be 1.5"]);
    }

    #[test]
    fn only_owned_permissions_are_given_back() {
        let before = obj(json!({ "mode": "0600", "uid": 5, "gid": 6, "owner": "a", "group": "b" }));
        let found = former(&before, &obj(json!({ "owner": "root", "mode": null })));
        assert_eq!(found, Permissions { mode: None, owner: Some("5".into()), group: None });
    }
}
