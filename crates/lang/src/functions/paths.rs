//! Paths as text; nothing is looked up.

use coxswain_model::{Type, Value};

use super::arguments::{made_text, param, string, text};
use super::{BASE, FnError, FnSpec};

pub(super) static BASENAME: FnSpec = FnSpec {
    name: "basename",
    params: &[param("path", string)],
    result: |_| Type::Str,
    call: basename,
    doc: "The last part of a path.",
    example: (r#"basename("/etc/chrony.conf")"#, r#""chrony.conf""#),
    ..BASE
};

pub(super) static DIRNAME: FnSpec = FnSpec {
    name: "dirname",
    params: &[param("path", string)],
    result: |_| Type::Str,
    call: dirname,
    doc: "A path without its last part, and without needless dots and slashes.",
    example: (r#"dirname("/etc/chrony.conf")"#, r#""/etc""#),
    ..BASE
};

fn basename(args: &[Value]) -> Result<Value, FnError> {
    let path = text(args, 0)?;
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => made_text("."),
        (false, true) => made_text("/"),
        (false, false) => made_text(trimmed.rsplit('/').next().unwrap_or(trimmed)),
    }
}

fn dirname(args: &[Value]) -> Result<Value, FnError> {
    let path = text(args, 0)?;
    let dir = &path[..path.rfind('/').map_or(0, |i| i + 1)];
    let rooted = dir.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => made_text(format!("/{joined}")),
        (false, true) => made_text("."),
        (false, false) => made_text(joined),
    }
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[track_caller]
    fn check(spec: &FnSpec, path: &str, expected: &str) {
        assert_eq!(call(spec, &[Value::from(path)]).expect("path").as_str(), Some(expected), "{path}");
    }

    #[test]
    fn parts_of_paths() {
        for (path, base, dir) in [
            ("", ".", "."),
            ("/", "/", "/"),
            ("a/", "a", "a"),
            ("a", "a", "."),
            ("/a/b/c.txt", "c.txt", "/a/b"),
            ("a/../b/./c", "c", "b"),
            ("/../a", "a", "/"),
            ("../../a", "a", "../.."),
        ] {
            check(&BASENAME, path, base);
            check(&DIRNAME, path, dir);
        }
    }
}
