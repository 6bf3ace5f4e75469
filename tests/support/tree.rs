//! What is in a folder, to be compared: types, modes, owners and contents.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// One entry of a folder.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What it is and its mode, as `stat` has both in one number.
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// A file's bytes, or where a link points to.
    pub(crate) content: Vec<u8>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = String::from_utf8_lossy(&self.content[..self.content.len().min(80)]).into_owned();
        write!(f, "{:o} {:?} {} bytes {shown:?}", self.mode, self.owner, self.content.len())
    }
}

/// A folder's entries by path.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// All below a folder but its directories named `.coxswain`.
#[track_caller]
pub(crate) fn of(root: &Path) -> Tree {
    let mut found = Tree::new();
    gather(root, "", &mut found);
    found
}

fn gather(dir: &Path, below: &str, found: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let entry = entry.expect("a folder can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).expect("nothing else changes the folder");
        if name == ".coxswain" {
            continue;
        }
        let shown = format!("{below}{name}");
        let content = if meta.is_file() {
            fs::read(&path).expect("a file of the test can be read")
        } else if meta.is_symlink() {
            fs::read_link(&path).expect("a link can be read").into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        found.insert(shown.clone(), Entry { mode: meta.mode(), owner: (meta.uid(), meta.gid()), content });
        if meta.is_dir() {
            gather(&path, &format!("{shown}/"), found);
        }
    }
}

/// The names of all files and folders below, those of the state included.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            found.push(entry.path().display().to_string());
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Copies a folder with modes, owners left as those of this process.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in a temporary folder");
    for entry in fs::read_dir(from).expect("the folder is there").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let file_type = entry.file_type().expect("it has a type");
        if file_type.is_dir() {
            copy(&path, &target);
        } else if file_type.is_symlink() {
            symlink(fs::read_link(&path).expect("a link can be read"), &target).expect("a link can be made");
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
    let mode = fs::metadata(from).expect("the folder is there").permissions().mode();
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).expect("the folder is ours");
}
