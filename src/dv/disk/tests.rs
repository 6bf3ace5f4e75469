//! Files that are whole or not there, with their modes, and never instead of another.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_has_its_mode_and_content() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, mode) in
        [("key", Mode::OwnerWrites), ("password", Mode::OwnerReads), ("keystore", Mode::AllRead)]
    {
        let path = dir.path().join(name);
        create(&path, mode, name.as_bytes()).expect("written");
        assert_eq!(mode_of(&path), mode.bits());
        assert_eq!(fs::read(&path).expect("read"), name.as_bytes());
    }
    assert_eq!(names(dir.path()), ["key", "keystore", "password"]);
}

#[test]
fn nothing_is_ever_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let (empty, folder, link) =
        (dir.path().join("empty"), dir.path().join("folder"), dir.path().join("link"));
    fs::write(&empty, "").expect("written");
    fs::create_dir(&folder).expect("made");
    symlink("nowhere", &link).expect("linked");
    for path in [&empty, &folder, &link] {
        let error = create(path, Mode::OwnerWrites, b"key").expect_err("it is there");
        assert!(matches!(error, DiskError::Exists { .. }), "{error}");
    }
    assert_eq!(fs::read(&empty).expect("read"), b"");
    assert_eq!(names(dir.path()), ["empty", "folder", "link"]);
}

/// What the first look cannot see: the other came after it.
#[test]
fn a_name_taken_meanwhile_stays_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("key");
    for place in [place, place_by_link] {
        let part = Part::written(&target, Mode::OwnerWrites, b"mine").expect("written");
        fs::write(&target, "theirs").expect("written");
        let error = place(&part.path, &target).expect_err("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        drop(part);
        assert_eq!(names(dir.path()), ["key"]);
        assert_eq!(fs::read(&target).expect("read"), b"theirs");
        fs::remove_file(&target).expect("removed");
    }
    let part = Part::written(&target, Mode::OwnerWrites, b"mine").expect("written");
    place_by_link(&part.path, &target).expect("nobody has the name");
    assert_eq!(names(dir.path()), ["key"]);
}

#[test]
fn of_many_that_create_one_wins() {
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("key");
    let created: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let target = &target;
                scope.spawn(move || {
                    let content = format!("{n}").repeat(1000);
                    create(target, Mode::OwnerWrites, content.as_bytes()).ok().map(|()| content)
                })
            })
            .collect();
        threads.into_iter().filter_map(|t| t.join().expect("no panic")).collect()
    });
    assert_eq!(created, [fs::read_to_string(&target).expect("read")]);
    assert_eq!(names(dir.path()), ["key"]);
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("claim");
    for content in ["first", "2"] {
        replace(&path, Mode::OwnerWrites, content.as_bytes()).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), content);
    }
    assert_eq!(names(dir.path()), ["claim"]);
}

#[test]
fn directories_are_made_and_left_as_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let deep = dir.path().join("a/b");
    make_directory(&deep).expect("made");
    assert_eq!(mode_of(&deep) & !0o755, 0);
    fs::set_permissions(&deep, Permissions::from_mode(0o700)).expect("ours");
    make_directory(&deep).expect("there");
    assert_eq!(mode_of(&deep), 0o700);
    fs::write(dir.path().join("file"), "").expect("written");
    let error = make_directory(&dir.path().join("file/c")).expect_err("a file is in the way");
    assert!(error.next().contains("a part of the path is a file"), "{error:?}");
}

#[test]
fn what_a_crash_left_is_swept_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let left = dir.path().join(format!(".key.0123456789abcdef{TEMPORARY}"));
    fs::write(&left, "half a k").expect("written");
    fs::write(dir.path().join(".key.swp"), "").expect("written");
    fs::create_dir(dir.path().join(format!(".d{TEMPORARY}"))).expect("made");
    let writing = Part::written(&dir.path().join("key"), Mode::OwnerReads, b"k").expect("written");
    assert_eq!(sweep(dir.path()).expect("swept"), 1);
    assert!(!left.exists() && writing.path.exists());
    drop(writing);
    assert_eq!(names(dir.path()), [&format!(".d{TEMPORARY}"), ".key.swp"]);
}

#[test]
fn refusals_say_what_to_do() {
    for (kind, expected) in [
        (io::ErrorKind::StorageFull, "make room"),
        (io::ErrorKind::PermissionDenied, "who owns"),
        (io::ErrorKind::ReadOnlyFilesystem, "mounted read-only"),
        (io::ErrorKind::NotFound, "the directory is gone"),
        (io::ErrorKind::TimedOut, "check the disk"),
    ] {
        let error = refused("writing", Path::new("key"))(kind.into());
        assert!(error.next().contains(expected), "{error:?}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let error = create(&dir.path().join("no/key"), Mode::OwnerWrites, b"k").expect_err("no directory");
    assert!(error.next().contains("make it first"), "{error:?}");
}

proptest! {
    #[test]
    fn what_is_created_is_read_back(content in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        create(&path, Mode::OwnerReads, &content).expect("written");
        prop_assert_eq!(fs::read(&path).expect("read"), content);
    }
}
