//! Acts on the model, with the same refusals as the scripts of the real world.

use super::model::{HostModel, Node};
use crate::resource::act::{Act, ActDone, Expect, Permissions};
use crate::resource::answer::FileType;
use crate::world::WorldError;
use crate::world::script::acts::title;

/// Why an act was not done.
pub(super) enum Problem {
    /// A precondition does not hold; what is there.
    Stale(String),
    /// What the host says.
    Failed(String),
}

impl Problem {
    /// As the real world says it.
    pub(super) fn into_error(self, endpoint: &str, act: &Act) -> WorldError {
        let endpoint = endpoint.to_owned();
        match self {
            Problem::Stale(found) => {
                WorldError::Stale { endpoint, path: act.path().unwrap_or_default().to_owned(), found }
            }
            Problem::Failed(reason) => WorldError::Failed { endpoint, what: title(act), reason },
        }
    }
}

pub(super) fn failed<T>(reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Failed(reason.into()))
}

impl HostModel {
    /// Does one act. One that is refused takes no time.
    pub(super) fn carry_out(&mut self, act: &Act) -> Result<ActDone, Problem> {
        self.clock += 1;
        let done = self.attempt(act);
        if done.is_err() {
            self.clock -= 1;
        }
        done
    }

    fn attempt(&mut self, act: &Act) -> Result<ActDone, Problem> {
        match act {
            Act::WriteFile { path, content, permissions, expects } => {
                let mut new = Node::default();
                new.set_bytes(content.bytes());
                self.expect(path, expects, Some(&new.digest()))?;
                self.write(path, new, permissions)?;
            }
            Act::MakeDir { path, permissions } => {
                match self.paths.get(path).map(|n| n.file_type) {
                    None => {
                        self.parent(path)?;
                        let node = Node { mtime: self.now(), ..Node::directory() };
                        self.paths.insert(path.clone(), node);
                    }
                    Some(FileType::Directory) => {}
                    Some(FileType::File | FileType::Symlink | FileType::Other) => {
                        return failed("something else than a directory is there");
                    }
                }
                self.permit(path, permissions)?;
            }
            Act::SetPermissions { path, permissions } => self.permit(path, permissions)?,
            Act::RemoveFile { path, expects } => match self.paths.get(path).map(|n| n.file_type) {
                None => {}
                Some(found) => {
                    self.expect(path, expects, None)?;
                    if found == FileType::Directory {
                        return failed("there is a directory");
                    }
                    self.paths.remove(path);
                    self.mark_reload(path);
                }
            },
            Act::RemoveDir { path } => self.remove_dir(path)?,
            Act::Keep { path, digest } => {
                if !self.kept.contains_key(digest) {
                    self.expect(path, &Expect::Digest(digest.clone()), None)?;
                    let text = self.paths.get(path).map(|n| encode(&n.bytes())).unwrap_or_default();
                    self.kept.insert(digest.clone(), text);
                }
            }
            Act::Restore { path, digest, permissions } => {
                let Some(kept) = self.kept.get(digest).cloned() else {
                    return failed("there is no kept content of this digest");
                };
                let mut new = Node { content_base64: Some(kept), ..Node::default() };
                let bytes = new.bytes();
                new.set_bytes(&bytes);
                self.write(path, new, permissions)?;
            }
            Act::Drop { digest } => {
                self.kept.remove(digest);
            }
            // Nothing is ever half kept in the model.
            Act::Sweep { .. } => {}
            Act::Arm { .. } | Act::Hold { .. } | Act::Resume | Act::Disarm { .. } => return self.guard(act),
            Act::Run { argv, .. } => return Ok(self.run(argv)),
        }
        Ok(ActDone::default())
    }

    fn parent(&self, path: &str) -> Result<(), Problem> {
        let parent = path.rsplit_once('/').map_or("/", |(p, _)| if p.is_empty() { "/" } else { p });
        match self.paths.get(parent).map(|n| n.file_type) {
            Some(FileType::Directory) => Ok(()),
            Some(FileType::File | FileType::Symlink | FileType::Other) => {
                failed(format!("{parent}: Not a directory"))
            }
            None => failed(format!("{parent}: No such file or directory")),
        }
    }

    fn expect(&self, path: &str, expects: &Expect, new: Option<&str>) -> Result<(), Problem> {
        let there = self.paths.get(path);
        let found = match there.map(|n| (n.file_type, n)) {
            None => "nothing".to_owned(),
            Some((FileType::Directory, _)) => "a directory".to_owned(),
            Some((FileType::Symlink, _)) => "a symbolic link".to_owned(),
            Some((FileType::Other, _)) => "not a regular file".to_owned(),
            Some((FileType::File, node)) => {
                let digest = node.digest();
                let is_wanted = matches!(expects, Expect::Digest(wanted) if *wanted == digest);
                if is_wanted || new == Some(digest.as_str()) {
                    return Ok(());
                }
                format!("a file with SHA-256 {digest}")
            }
        };
        match expects {
            Expect::Anything => Ok(()),
            Expect::Absent if there.is_none() => Ok(()),
            Expect::Absent | Expect::Digest(_) => Err(Problem::Stale(found)),
        }
    }

    fn write(&mut self, path: &str, mut new: Node, permissions: &Permissions) -> Result<(), Problem> {
        self.parent(path)?;
        match self.paths.get(path) {
            Some(old) if old.file_type == FileType::Directory => return failed("there is a directory"),
            Some(old) if old.file_type == FileType::File => {
                new.mode.clone_from(&old.mode);
                new.owner.clone_from(&old.owner);
                new.group.clone_from(&old.group);
            }
            Some(_) | None => "0644".clone_into(&mut new.mode),
        }
        new.mtime = self.now();
        let old = self.paths.insert(path.to_owned(), new);
        let permitted = self.permit(path, permissions);
        if permitted.is_err() {
            match old {
                Some(old) => self.paths.insert(path.to_owned(), old),
                None => self.paths.remove(path),
            };
            return permitted;
        }
        self.mark_reload(path);
        Ok(())
    }

    /// A loaded unit's file changed: systemd has not read it.
    fn mark_reload(&mut self, path: &str) {
        for unit in self.units.values_mut().filter(|u| u.fragment == path) {
            unit.needs_reload = true;
        }
    }

    fn permit(&mut self, path: &str, permissions: &Permissions) -> Result<(), Problem> {
        let owner = permissions.owner.as_deref();
        if let Some(owner) = owner.filter(|owner| self.uid(owner).is_none()) {
            return failed(format!("chown: invalid user: '{owner}'"));
        }
        let group = permissions.group.as_deref();
        if let Some(group) = group.filter(|group| self.gid(group).is_none()) {
            return failed(format!("chown: invalid group: '{group}'"));
        }
        let Some(node) = self.paths.get_mut(path) else { return failed("there is nothing") };
        if node.file_type == FileType::Symlink {
            return failed("there is a symbolic link");
        }
        if let Some(mode) = &permissions.mode {
            node.mode = format!("{:0>4}", mode.trim_start_matches('0'));
        }
        if let Some(owner) = owner {
            owner.clone_into(&mut node.owner);
        }
        if let Some(group) = group {
            group.clone_into(&mut node.group);
        }
        Ok(())
    }

    fn remove_dir(&mut self, path: &str) -> Result<(), Problem> {
        let below = format!("{path}/");
        match self.paths.get(path).map(|n| n.file_type) {
            None => Ok(()),
            Some(FileType::File | FileType::Symlink | FileType::Other) => failed("Not a directory"),
            Some(FileType::Directory) if self.paths.keys().any(|p| p.starts_with(&below)) => {
                failed("Directory not empty")
            }
            Some(FileType::Directory) => {
                self.paths.remove(path);
                Ok(())
            }
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
