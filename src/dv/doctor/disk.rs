//! Whether a node can write in its directory.
//!
//! Nothing is written: the file that is tried has no name, nothing is put into it, and it is gone with this look.

use std::fs;
use std::io;
use std::path::Path;

use coxswain_dv_slashing::store::FILE;
use coxswain_dv_types::causes::in_full;
use rustix::fs::{Access, Mode, OFlags, access, open, statvfs};
use rustix::io::Errno;

use super::Item;
use crate::dv::disk::DiskError;
use crate::dv::run::DIRECTORY;

const WHAT: &str = "disk";
/// With less a node does not start: its history alone is made of half of it for a thousand validators.
const LEAST: u64 = 1 << 20;
/// With less somebody should know: a log or the next update takes as much, and a node that cannot write does not sign.
const ENOUGH: u64 = 64 << 20;

/// Whether the directory of a node and its history can be written, and whether there is room.
pub(super) fn disk(dir: &Path) -> Item {
    let below = dir.join(DIRECTORY);
    let store = below.join(FILE);
    // What is not there is made by the node.
    let tried = in_directory(dir)
        .and_then(|()| if below.exists() { in_directory(&below) } else { Ok(()) })
        .and_then(|()| if store.exists() { file(&store) } else { Ok(()) });
    match tried {
        Err(error) => Item::problem(WHAT, in_full(&error), error.next()),
        Ok(()) => room(dir),
    }
}

/// Whether files can be made in a directory.
fn in_directory(path: &Path) -> Result<(), DiskError> {
    let unnamed = open(path, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    let made = match unnamed {
        Ok(_) => Ok(()),
        // Of a file system that has no files without a name: whether one may be made is all that can be asked.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            access(path, Access::WRITE_OK | Access::EXEC_OK)
        }
        Err(error) => Err(error),
    };
    made.map_err(|error| refused("making a file in", path, error.into()))
}

/// Whether a file can be written. It is opened as the node does it, and stays as it is.
fn file(path: &Path) -> Result<(), DiskError> {
    let opened = fs::OpenOptions::new().read(true).write(true).open(path);
    opened.map(drop).map_err(|source| refused("opening to write", path, source))
}

fn refused(doing: &'static str, path: &Path, source: io::Error) -> DiskError {
    DiskError::Refused { doing, path: path.to_owned(), source }
}

fn room(dir: &Path) -> Item {
    let found = match statvfs(dir) {
        Ok(found) => found,
        Err(error) => {
            let error = refused("asking for the room of", dir, error.into());
            return Item::warning(WHAT, in_full(&error), error.next());
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    // Some file systems make places for files as they need them, and say that there are none.
    let is_out_of_files = found.f_files > 0 && found.f_favail == 0;
    said(free, is_out_of_files.then_some("and no more files"))
}

/// What there is, in bytes, and what there is not.
fn said(free: u64, lacking: Option<&str>) -> Item {
    let next = "make room there: a node that cannot write what it signs does not sign";
    if let Some(lacking) = lacking {
        return Item::problem(WHAT, format!("there is room for {}, {lacking}", shown(free)), next);
    }
    match free {
        0..LEAST => Item::problem(WHAT, format!("there is room for {} only", shown(free)), next),
        LEAST..ENOUGH => Item::warning(WHAT, format!("there is room for {} only", shown(free)), next),
        ENOUGH.. => Item::ok(WHAT, format!("it can be written, and there is room for {}", shown(free))),
    }
}

/// Bytes for people, rounded down.
fn shown(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        0x4000_0000.. => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn little_room_is_said_and_none_is_a_problem() {
        let check = |free: u64, lacking: Option<&str>, state: State, expected: &str| {
            let item = said(free, lacking);
            assert_eq!((item.state, item.found.as_str()), (state, expected));
        };
        check(5 << 30, None, State::Ok, "it can be written, and there is room for 5 GiB");
        check(64 << 20, None, State::Ok, "it can be written, and there is room for 64 MiB");
        check((64 << 20) - 1, None, State::Warning, "there is room for 63 MiB only");
        check((1 << 20) - 1, None, State::Problem, "there is room for 1023 KiB only");
        check(0, None, State::Problem, "there is room for 0 KiB only");
        check(
            5 << 30,
            Some("and no more files"),
            State::Problem,
            "there is room for 5 GiB, and no more files",
        );
    }

    #[test]
    fn a_look_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let below = dir.path().join(DIRECTORY);
        fs::create_dir(&below).expect("made");
        fs::write(below.join(FILE), "history").expect("written");
        let before = fs::metadata(dir.path()).expect("there").modified().expect("a time");
        assert!(in_directory(dir.path()).is_ok());
        disk(dir.path());
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
        assert_eq!(fs::read_dir(&below).expect("read").count(), 1);
        assert_eq!(fs::read(below.join(FILE)).expect("read"), b"history");
        assert_eq!(fs::metadata(dir.path()).expect("there").modified().expect("a time"), before);
        let gone = disk(&dir.path().join("gone"));
        assert_eq!(gone.state, State::Problem);
        assert!(gone.found.contains("making a file in"), "{}", gone.found);
    }
}
