//! A set of directories that appears as a whole, or can be finished after a crash.
//!
//! ```text
//! .coxswain-cluster-X.part/ … files, modes first ─sync→ .coxswain-cluster-X.whole/ ─each entry renamed→ its place
//! ```
//!
//! Thousands of files are on the disk after one sync of their file system, not one for each. What has `.part` was never
//! whole: nobody has seen a key in it, and the next run removes it. What has `.whole` is put in place by the next run.
//!
//! # What must never happen
//!
//! - A key is removed that may have been shown to anybody.
//! - Something that is there is replaced.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;

use super::disk::{self, DiskError, Mode};

const PREFIX: &str = ".coxswain-cluster-";
const PART: &str = ".part";
const WHOLE: &str = ".whole";
/// Of what is kept for people to decide.
pub const UNSURE: &str = ".unsure";

/// Directories that are being made, beside the place where they will be.
pub struct Staging {
    target: PathBuf,
    path: PathBuf,
    /// Locked as long as somebody writes.
    lock: File,
    is_whole: bool,
}

fn refused<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> DiskError + 'p {
    move |source| DiskError::Refused { doing, path: path.to_owned(), source }
}

impl Staging {
    /// Begins in a directory, which is made where it is not there. What an earlier run has left there is finished or
    /// removed before: the names that were put in place come back as well.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn begin(target: &Path) -> Result<(Staging, Vec<String>), DiskError> {
        disk::make_directory(target)?;
        let finished = recover(target)?;
        let random: u64 = rand::rng().random();
        let path = target.join(format!("{PREFIX}{random:016x}{PART}"));
        DirBuilder::new().mode(0o700).create(&path).map_err(refused("making the directory", &path))?;
        let lock = File::open(&path).map_err(refused("opening", &path))?;
        // Where directories cannot be locked, no other run can lock this one either, and leaves it alone.
        let _ = lock.lock();
        Ok((Staging { target: target.to_owned(), path, lock, is_whole: false }, finished))
    }

    /// Makes a directory below it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn directory(&self, name: &str) -> Result<(), DiskError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(refused("making the directory", &path))
    }

    /// Writes a file below it, its mode before its content.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn file(&self, name: &str, mode: Mode, content: &[u8]) -> Result<(), DiskError> {
        let path = self.path.join(name);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.set_permissions(Permissions::from_mode(mode.bits()))?;
            file.write_all(content)
        })();
        written.map_err(refused("writing", &path))
    }

    /// Removes a file below it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn remove(&self, name: &str) -> Result<(), DiskError> {
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(refused("removing", &path))
    }

    /// Everything is on the disk by the end of this.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn sync(&self) -> Result<(), DiskError> {
        syncfs(&self.lock).map_err(|e| refused("writing to the disk", &self.path)(e.into()))
    }

    /// Where everything is once it is whole and not in place yet.
    #[must_use]
    pub fn whole(&self) -> PathBuf {
        self.path.with_extension(&WHOLE[1..])
    }

    /// Everything is on the disk by the end of this, under a name under which no later run finishes or removes it, also
    /// after a crash: whether it counts, people have to find out then.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn prepare(&mut self) -> Result<(), DiskError> {
        self.sync()?;
        let kept = self.path.with_extension(&UNSURE[1..]);
        fs::rename(&self.path, &kept).map_err(refused("renaming", &self.path))?;
        self.path = kept;
        sync(&self.target)
    }

    /// Leaves what was prepared where it is.
    #[must_use]
    pub fn keep(mut self) -> PathBuf {
        self.is_whole = true;
        self.path.clone()
    }

    /// Puts everything in place: what is on the disk by then outlives a crash, and so does the intention.
    ///
    /// # Errors
    /// [`DiskError`]; where something has come to be in one of the places, what is not in place yet stays beside it.
    pub fn commit(mut self) -> Result<(), DiskError> {
        self.sync()?;
        let whole = self.whole();
        fs::rename(&self.path, &whole).map_err(refused("renaming", &self.path))?;
        self.is_whole = true;
        sync(&self.target)?;
        place_all(&whole, &self.target)?;
        Ok(())
    }

    /// Takes entries away from the directory, and removes them with everything in them: all are gone from their places
    /// before any is removed. For what is elsewhere by then.
    ///
    /// # Errors
    /// [`DiskError`]; what is not taken away yet stays.
    pub fn take_away(self, names: &[String]) -> Result<(), DiskError> {
        for name in names {
            let place = self.target.join(name);
            fs::rename(&place, self.path.join(name)).map_err(refused("taking away", &place))?;
        }
        sync(&self.target)?;
        fs::remove_dir_all(&self.path).map_err(refused("removing", &self.path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_whole {
            // Nobody has seen what is in it. What cannot be removed is removed by the next run.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn sync(dir: &Path) -> Result<(), DiskError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(refused("making durable", dir))
}

/// Finishes what was whole, and removes what was not and is written by nobody.
fn recover(target: &Path) -> Result<Vec<String>, DiskError> {
    let mut placed = Vec::new();
    let entries = fs::read_dir(target).map_err(refused("reading the directory", target))?;
    for entry in entries {
        let path = entry.map_err(refused("reading the directory", target))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) || !File::open(&path).is_ok_and(|dir| dir.try_lock().is_ok()) {
            continue;
        }
        if name.ends_with(WHOLE) {
            placed.extend(place_all(&path, target)?);
        } else if name.ends_with(PART) {
            fs::remove_dir_all(&path).map_err(refused("removing what an earlier run has left,", &path))?;
        }
    }
    Ok(placed)
}

/// Gives everything in `from` its place below `to`.
fn place_all(from: &Path, to: &Path) -> Result<Vec<String>, DiskError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from).map_err(refused("reading the directory", from))? {
        let entry = entry.map_err(refused("reading the directory", from))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in &names {
        let (source, place) = (from.join(name), to.join(name));
        let moved = match renameat_with(CWD, &source, CWD, &place, RenameFlags::NOREPLACE) {
            // An empty directory is no loss; one with something in it is not replaced by a rename of a directory.
            Err(Errno::EXIST) if source.is_dir() => fs::rename(&source, &place),
            // File systems that cannot say so: a directory replaces nothing but an empty one.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if source.is_dir() => {
                fs::rename(&source, &place)
            }
            other => other.map_err(Into::into),
        };
        match moved {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(DiskError::Exists { path: place });
            }
            Err(error) => return Err(refused("putting in place", &place)(error)),
        }
    }
    sync(to)?;
    fs::remove_dir(from).map_err(refused("removing", from))?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn staged(target: &Path) -> Staging {
        let (staging, _) = Staging::begin(target).expect("a beginning");
        for node in ["node0", "node1"] {
            staging.directory(&format!("{node}/validator_keys")).expect("a directory");
            staging.file(&format!("{node}/key"), Mode::OwnerReads, b"secret").expect("a file");
        }
        staging
    }

    #[test]
    fn all_of_it_appears() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("a/b");
        staged(&target).commit().expect("in place");
        assert_eq!(names(&target), ["node0", "node1"]);
        let mode = fs::metadata(target.join("node1/key")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o400);
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(staged(dir.path()));
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_crash_before_it_was_whole_is_cleaned_up_and_one_after_it_is_finished() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path();
        let mut cut = staged(target);
        // As after a crash: nobody holds the lock, and nothing was cleaned up.
        cut.is_whole = true;
        drop(cut);
        assert_eq!(names(target).len(), 1);
        let (next, finished) = Staging::begin(target).expect("a beginning");
        assert_eq!(finished, Vec::<String>::new());
        assert_eq!(names(target).len(), 1, "its own");
        drop(next);

        let mut cut = staged(target);
        let whole = cut.path.with_extension("whole");
        fs::rename(&cut.path, &whole).expect("whole");
        fs::rename(whole.join("node0"), target.join("node0")).expect("the first is in place");
        cut.is_whole = true;
        drop(cut);
        let (next, finished) = Staging::begin(target).expect("a beginning");
        drop(next);
        assert_eq!(finished, ["node1"]);
        assert_eq!(names(target), ["node0", "node1"]);
        assert_eq!(fs::read(target.join("node1/key")).expect("a file"), b"secret");
    }

    #[test]
    fn another_run_that_is_at_work_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = staged(dir.path());
        let second = staged(dir.path());
        assert_eq!(names(dir.path()).len(), 2);
        first.commit().expect("in place");
        let error = second.commit().expect_err("refused");
        assert!(matches!(&error, DiskError::Exists { path } if path.ends_with("node0")), "{error:?}");
        assert_eq!(fs::read(dir.path().join("node0/key")).expect("a file"), b"secret");
    }

    #[test]
    fn an_empty_directory_is_taken_and_a_full_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("node0")).expect("a directory");
        fs::create_dir(dir.path().join("node1")).expect("a directory");
        fs::write(dir.path().join("node1/mine"), "x").expect("a file");
        let error = staged(dir.path()).commit().expect_err("refused");
        assert!(matches!(&error, DiskError::Exists { path } if path.ends_with("node1")), "{error:?}");
        assert_eq!(fs::read(dir.path().join("node1/mine")).expect("a file"), b"x");
    }
}
