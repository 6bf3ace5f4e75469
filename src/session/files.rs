//! Reads the configuration's files, and what functions ask of the controller.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use coxswain_lang::SourceFile;
use coxswain_lang::eval::{FileAnswer, Need};
use coxswain_model::FileId;

use crate::config::{EXTENSION, RawFile};

/// Most bytes a file read by a function may have.
const FILE_LIMIT: u64 = 32 * 1024 * 1024;
/// Most entries `fileset` walks over.
const WALK_LIMIT: usize = 100_000;

/// The files of a run, numbered in the order they were read.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By number.
    pub(super) sources: Vec<SourceFile>,
    /// Bytes by name relative to the root directory.
    pub(super) bytes: BTreeMap<String, Arc<[u8]>>,
}

impl Files {
    /// Adds a file under its name.
    pub(super) fn add(&mut self, name: String, bytes: Vec<u8>) -> RawFile {
        let id = FileId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        let source =
            SourceFile { id, name: name.clone(), text: String::from_utf8_lossy(&bytes).into_owned() };
        let bytes: Arc<[u8]> = bytes.into();
        self.sources.push(source.clone());
        self.bytes.insert(name, bytes.clone());
        RawFile { source, bytes }
    }

    /// `FILE:LINE: `, where the file is one of these.
    pub(super) fn shown(&self, span: coxswain_model::Span) -> Option<String> {
        let source = self.sources.iter().find(|source| source.id == span.file)?;
        let before = source.text.as_bytes().get(..span.start as usize)?;
        Some(format!("{}:{}: ", source.name, before.iter().filter(|b| **b == b'\n').count() + 1))
    }

    /// Keeps a file's lines out of errors: of each, what is before the first `=` stays, so that places can be told.
    pub(super) fn hide(&mut self, id: FileId) {
        let Some(source) = self.sources.iter_mut().find(|s| s.id == id) else { return };
        let lines = source.text.split_inclusive('\n').map(|line| {
            let kept = line.find('=').map_or(0, |at| at + 1);
            let (kept, rest) = line.split_at(kept);
            let rest: String = rest.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
            format!("{kept}{rest}")
        });
        source.text = lines.collect();
    }

    /// The files of a module: every `*.hcl` of the directory, by name.
    pub(super) fn module(&mut self, root: &Path, dir: &str) -> Result<Vec<RawFile>, String> {
        if let Some(files) = crate::builtin::module(dir) {
            let named = files.iter().map(|(name, text)| (format!("{dir}/{name}"), text.as_bytes().to_vec()));
            return Ok(named.map(|(name, bytes)| self.add(name, bytes)).collect());
        }
        let path = root.join(dir);
        let listed = std::fs::read_dir(&path).map_err(|e| format!("{}: {}", path.display(), reason(&e)))?;
        let mut names = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|e| format!("{}: {}", path.display(), reason(&e)))?;
            let name = entry.file_name();
            let Some(name) = name.to_str().map(ToOwned::to_owned) else {
                if Path::new(&name).extension().is_some_and(|e| e == EXTENSION) {
                    return Err(format!("{}: its name is not UTF-8", entry.path().display()));
                }
                continue;
            };
            let wanted =
                Path::new(&name).extension().is_some_and(|e| e == EXTENSION) && !name.starts_with('.');
            if wanted && !entry.path().is_dir() {
                names.push(name);
            }
        }
        names.sort();
        if names.is_empty() {
            let shown = if dir.is_empty() { root.display() } else { path.display() };
            return Err(format!("{shown} holds no *.{EXTENSION} file"));
        }
        let mut files = Vec::new();
        for name in names {
            let at = path.join(&name);
            let bytes = std::fs::read(&at).map_err(|e| format!("{}: {}", at.display(), reason(&e)))?;
            files.push(self.add(if dir.is_empty() { name } else { format!("{dir}/{name}") }, bytes));
        }
        Ok(files)
    }
}

/// The reason in an IO error, without the number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Answers what functions ask of the controller, relative to the root directory.
pub(super) fn answer(root: &Path, need: &Need) -> Result<FileAnswer, String> {
    match need {
        Need::File(path) => {
            let at = root.join(path);
            let shown = path.display();
            let meta =
                std::fs::metadata(&at).map_err(|e| format!("`{shown}` cannot be read: {}", reason(&e)))?;
            if !meta.is_file() {
                return Err(format!("`{shown}` is not a file"));
            }
            if meta.len() > FILE_LIMIT {
                return Err(format!("`{shown}` is longer than {FILE_LIMIT} bytes"));
            }
            let bytes =
                std::fs::read(&at).map_err(|e| format!("`{shown}` cannot be read: {}", reason(&e)))?;
            Ok(FileAnswer::Bytes(bytes.into()))
        }
        Need::FileExists(path) => Ok(FileAnswer::Exists(root.join(path).is_file())),
        Need::FileSet(dir, pattern) => matching(&root.join(dir), pattern).map(FileAnswer::Paths),
        Need::Node(_) | Need::Instance(_) => Err("it is not a file".into()),
    }
}

/// Files below `dir` whose path matches a pattern of `*`, `?`, `**` and `{a,b}`.
fn matching(dir: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    let mut seen = 0;
    while let Some(at) = open.pop() {
        let listed = std::fs::read_dir(dir.join(&at))
            .map_err(|e| format!("`{}` cannot be read: {}", dir.join(&at).display(), reason(&e)))?;
        for entry in listed.flatten() {
            seen += 1;
            if seen > WALK_LIMIT {
                return Err(format!("`{}` holds more than {WALK_LIMIT} entries", dir.display()));
            }
            let path = at.join(entry.file_name());
            match entry.file_type() {
                Ok(t) if t.is_dir() => open.push(path),
                Ok(_) => {
                    let text = parts(&path).join("/");
                    if alternatives(pattern).iter().any(|p| glob(p.as_bytes(), text.as_bytes())) {
                        found.push(text);
                    }
                }
                Err(_) => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

fn parts(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect()
}

/// Spells out one level of `{a,b}`.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((head, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let Some((inner, tail)) = rest.split_once('}') else { return vec![pattern.to_owned()] };
    inner.split(',').flat_map(|choice| alternatives(&format!("{head}{choice}{tail}"))).collect()
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            glob(rest, text) || text.iter().enumerate().any(|(i, c)| *c == b'/' && glob(rest, &text[i + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|i| glob(rest, &text[i..])),
        [b'*', rest @ ..] => {
            (0..=text.len()).take_while(|i| *i == 0 || text[i - 1] != b'/').any(|i| glob(rest, &text[i..]))
        }
        [b'?', rest @ ..] => text.first().is_some_and(|c| *c != b'/') && glob(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_a_shell() {
        let matches = |p: &str, t: &str| alternatives(p).iter().any(|p| glob(p.as_bytes(), t.as_bytes()));
        assert!(matches("*.hcl", "main.hcl"));
        assert!(!matches("*.hcl", "a/main.hcl"));
        assert!(matches("**/*.hcl", "a/b/main.hcl"));
        assert!(matches("**/*.hcl", "main.hcl"));
        assert!(matches("{a,b}.txt", "b.txt"));
        assert!(matches("?.txt", "b.txt"));
        assert!(!matches("?.txt", "bb.txt"));
    }
}
