//! What was there before the first apply is there again after the resource is gone: content, mode and owner. What is
//! to be left is left, and nothing is ever followed or replaced by something of another type.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use support::tree::{self, Tree};
use support::{Ran, TempProject};

/// Longer than what a plan reads or a state keeps in clear.
const BIG_BYTES: usize = 5 * 1024 * 1024;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

fn tree_of(project: &TempProject) -> Tree {
    let mut found = tree::of(&project.path());
    found.retain(|name, _| !name.ends_with(".hcl"));
    found
}

/// Applies a configuration, looks, removes it again in every way, and compares with before.
#[track_caller]
fn check(prepare: impl Fn(&Path), text: &str) {
    for way in ["destroy", "resource removed", "removed with destroy"] {
        let project = TempProject::with(&[("main.hcl", text)]);
        prepare(&project.path());
        let before = tree_of(&project);
        project.run(&["apply", "--yes"]).ok();
        assert_ne!(tree_of(&project), before, "{text}: the apply changes something");
        project.run(&["plan"]).ok();
        project.run(&["drift"]).ok();
        match way {
            "destroy" => {
                project.run(&["destroy", "--yes"]).ok();
            }
            "resource removed" => {
                project.write("main.hcl", "");
                project.run(&["apply", "--yes"]).ok();
            }
            _ => {
                project.write("main.hcl", removed_blocks(text));
                project.run(&["apply", "--yes"]).ok();
            }
        }
        assert_eq!(tree_of(&project), before, "{way}: {text}");
        assert_eq!(project.run(&["state", "list"]).ok().stdout, "", "{way}: {text}");
    }
}

/// A `removed` block for each resource.
fn removed_blocks(text: &str) -> String {
    let resources = text.lines().filter_map(|line| {
        let mut words = line.split('"');
        let kind = words.next()?.trim();
        let is_resource = matches!(kind, "file" | "directory") && line.ends_with('{');
        is_resource.then(|| {
            format!(
                "removed {{\n  from       = {kind}.{}\n  on_destroy = \"destroy\"\n}}\n",
                words.next().unwrap_or("")
            )
        })
    });
    resources.collect()
}

fn file(content: &[u8], mode: u32) -> impl Fn(&Path) {
    let content = content.to_vec();
    move |root: &Path| {
        fs::write(root.join("f"), &content).unwrap();
        chmod(&root.join("f"), mode);
    }
}

const CONTENT: &str = "file \"f\" {\n  path = \"f\"\n  content = \"new\\n\"\n}\n";
const CONTENT_AND_MODE: &str = "file \"f\" {\n  path = \"f\"\n  content = \"new\\n\"\n  mode = \"0640\"\n}\n";
const MODE: &str = "file \"f\" {\n  path = \"f\"\n  mode = \"0640\"\n}\n";

#[test]
fn contents_of_every_sort() {
    let long_line = vec![b'x'; 100_000];
    let every_byte: Vec<u8> = (0..=255).collect();
    let contents: [&[u8]; 9] = [
        b"",
        b"\n",
        b"no line end",
        b"a\r\nb\r\n",
        b"\0\0",
        &every_byte,
        &long_line,
        b"'\"$`\\ %s\n",
        "ü\u{2028}\n".as_bytes(),
    ];
    for content in contents {
        check(file(content, 0o644), CONTENT);
    }
}

#[test]
fn a_big_file() {
    let big: Vec<u8> = (0..BIG_BYTES).map(|n| (n % 251) as u8).collect();
    check(file(&big, 0o600), CONTENT);
    check(file(&big, 0o600), MODE);
}

#[test]
fn modes_of_every_sort() {
    for mode in [0o400, 0o000, 0o755, 0o4755, 0o2644, 0o666] {
        check(file(b"old", mode), CONTENT_AND_MODE);
        check(file(b"old", mode), MODE);
        check(file(b"old", mode), CONTENT);
    }
}

#[test]
fn long_and_sensitive_contents_are_taken_away_again() {
    let long = "file \"f\" {\n  path = \"f\"\n  content = join(\"\", [for n in range(5000) : \"line ${n}\\n\"])\n}\n";
    check(|_| {}, long);
    check(file(b"old", 0o644), long);
    let secret = "file \"f\" {\n  path = \"f\"\n  content = sensitive(\"x\")\n}\n";
    check(|_| {}, secret);
    check(file(b"old", 0o644), secret);
}

#[test]
fn a_change_after_the_first_apply_gives_back_the_first_content() {
    for (first, second) in [
        (CONTENT, CONTENT_AND_MODE),
        (MODE, CONTENT_AND_MODE),
        ("file \"f\" {\n  path = \"f\"\n  content = sensitive(\"x\")\n}\n", CONTENT),
        (CONTENT, "file \"f\" {\n  path = \"f\"\n  content = sensitive(\"y\")\n  mode = \"0600\"\n}\n"),
    ] {
        let project = TempProject::with(&[("main.hcl", first)]);
        file(b"first\0", 0o604)(&project.path());
        let before = tree_of(&project);
        project.run(&["apply", "--yes"]).ok();
        project.write("main.hcl", second);
        project.run(&["apply", "--yes"]).ok();
        project.run(&["plan"]).ok();
        project.run(&["destroy", "--yes"]).ok();
        assert_eq!(tree_of(&project), before, "{first}{second}");
    }
}

#[test]
fn directories_keep_their_bits_and_what_is_in_them() {
    let text = "directory \"d\" {\n  path = \"d\"\n  mode = \"0700\"\n}\nfile \"f\" {\n  path = \"${directory.d.path}/f\"\n  content = \"x\"\n}\n";
    for mode in [0o755, 0o2775, 0o1777, 0o500] {
        check(
            move |root| {
                fs::create_dir(root.join("d")).unwrap();
                fs::write(root.join("d/other"), "other").unwrap();
                chmod(&root.join("d"), mode);
            },
            text,
        );
    }
    check(|_| {}, text);
}

#[test]
fn a_directory_that_is_not_empty_any_more_is_left_and_said() {
    let project = TempProject::with(&[("main.hcl", "directory \"d\" { path = \"d\" }\n")]);
    project.run(&["apply", "--yes"]).ok();
    project.write("d/somebody's", "precious");
    let ran = project.run(&["destroy", "--yes"]).expect(4);
    assert!(ran.stdout.contains("not empty"), "{}", ran.stdout);
    assert_eq!(project.read("d/somebody's"), "precious");
    project.remove("d/somebody's");
    project.run(&["destroy", "--yes"]).ok();
    assert!(!project.has("d"));
}

#[test]
fn owners() {
    if !is_root() {
        println!("skipped: only root may give files away");
        return;
    }
    for text in [
        "file \"f\" {\n  path = \"f\"\n  content = \"x\"\n  uid = 4242\n  gid = 4343\n}\n",
        "file \"f\" {\n  path = \"f\"\n  uid = 4242\n}\n",
        "file \"f\" {\n  path = \"f\"\n  owner = \"daemon\"\n  group = \"daemon\"\n}\n",
        CONTENT,
        CONTENT_AND_MODE,
    ] {
        for mode in [0o644, 0o6755] {
            check(
                move |root| {
                    fs::write(root.join("f"), "old").unwrap();
                    chown(root.join("f"), Some(1234), Some(2345)).unwrap();
                    chmod(&root.join("f"), mode);
                },
                text,
            );
        }
    }
    check(
        |root| {
            fs::create_dir(root.join("d")).unwrap();
            chown(root.join("d"), Some(1234), Some(2345)).unwrap();
            chmod(&root.join("d"), 0o2750);
        },
        "directory \"d\" {\n  path = \"d\"\n  uid = 4242\n  group = \"daemon\"\n}\n",
    );
}

#[track_caller]
fn refuses(ran: Ran, wanted: &str) {
    let ran = ran.expect(1);
    assert!(ran.stderr.contains(wanted), "`{wanted}` is not in: {}", ran.stderr);
}

#[test]
fn a_link_is_neither_followed_nor_replaced() {
    for text in [CONTENT, MODE, "directory \"f\" {\n  path = \"f\"\n  mode = \"0700\"\n}\n"] {
        for target in ["target", "missing", "folder", "f"] {
            let project =
                TempProject::with(&[("main.hcl", text), ("target", "theirs"), ("folder/x", "theirs")]);
            symlink(target, project.path().join("f")).unwrap();
            let before = tree_of(&project);
            refuses(project.run(&["plan"]), "is a symbolic link, not a");
            refuses(project.run(&["apply", "--yes"]), "is a symbolic link, not a");
            assert_eq!(tree_of(&project), before, "{text} -> {target}");
        }
    }
}

#[test]
fn something_of_another_type_is_refused() {
    let project = TempProject::with(&[("main.hcl", CONTENT), ("f/x", "theirs")]);
    let before = tree_of(&project);
    refuses(project.run(&["apply", "--yes"]), "f is a directory, not a file");
    assert_eq!(tree_of(&project), before);
    let project = TempProject::with(&[("main.hcl", "directory \"f\" { path = \"f\" }\n"), ("f", "theirs")]);
    refuses(project.run(&["apply", "--yes"]), "f is a file, not a directory");
    assert_eq!(project.read("f"), "theirs");
}

#[test]
fn a_link_that_took_the_place_afterwards_is_left() {
    let project = TempProject::with(&[("main.hcl", CONTENT_AND_MODE), ("target", "theirs"), ("f", "first")]);
    project.run(&["apply", "--yes"]).ok();
    project.remove("f");
    symlink("target", project.path().join("f")).unwrap();
    let before = tree_of(&project);
    refuses(project.run(&["apply", "--yes"]), "is a symbolic link");
    let ran = project.run(&["destroy", "--yes"]);
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(tree_of(&project), before);
    // Between plan and apply.
    project.remove("f");
    project.write("f", "edited");
    project.run(&["plan", "--out", "p.coxplan"]).expect(2);
    project.remove("f");
    symlink("target", project.path().join("f")).unwrap();
    project.run(&["apply", "p.coxplan"]).expect(4);
    project.remove("p.coxplan");
    assert_eq!(tree_of(&project), before);
}

#[test]
fn a_directory_under_a_link_is_written_to_where_it_points() {
    // The link is a part of the path, not the object: as with every program that opens the path.
    let project = TempProject::with(&[
        ("main.hcl", "file \"f\" {\n  path = \"link/f\"\n  content = \"new\"\n}\n"),
        ("real/f", "old"),
    ]);
    symlink("real", project.path().join("link")).unwrap();
    let before = tree_of(&project);
    project.run(&["apply", "--yes"]).ok();
    assert_eq!(project.read("real/f"), "new");
    project.run(&["destroy", "--yes"]).ok();
    assert_eq!(tree_of(&project), before);
}

#[test]
fn an_equal_file_that_was_adopted_stays() {
    let project = TempProject::with(&[("main.hcl", CONTENT), ("f", "new\n")]);
    let before = tree_of(&project);
    let ran = project.run(&["apply", "--yes"]).ok();
    assert!(ran.stdout.contains("1 to adopt"), "{}", ran.stdout);
    project.run(&["destroy", "--yes"]).ok();
    assert_eq!(tree_of(&project), before);
    // And when it was changed in between.
    project.run(&["apply", "--yes"]).ok();
    project.write("main.hcl", CONTENT.replace("new", "newer"));
    project.run(&["apply", "--yes"]).ok();
    project.run(&["destroy", "--yes"]).ok();
    assert_eq!(tree_of(&project), before);
}

#[test]
fn what_was_edited_by_hand_is_not_given_back_over() {
    let project = TempProject::with(&[("main.hcl", CONTENT), ("f", "first")]);
    project.run(&["apply", "--yes"]).ok();
    project.run(&["plan"]).ok();
    project.write("f", "edited by hand");
    // Destroy says what it does, and does it: the first content comes back.
    let ran = project.run(&["destroy", "--yes"]).ok();
    assert!(ran.stdout.contains("restore f"), "{}", ran.stdout);
    assert_eq!(project.read("f"), "first");
}

#[test]
fn what_is_gone_is_not_made_again_by_destroy() {
    let project = TempProject::with(&[("main.hcl", CONTENT), ("f", "first")]);
    project.run(&["apply", "--yes"]).ok();
    project.remove("f");
    let ran = project.run(&["destroy", "--yes"]).ok();
    assert!(ran.stdout.contains("it is gone already"), "{}", ran.stdout);
    assert!(!project.has("f"));
    assert_eq!(project.run(&["state", "list"]).ok().stdout, "");
}

#[test]
fn what_is_retained_stays_as_it_is() {
    let retained = CONTENT.replace("}\n", "  lifecycle {\n    on_destroy = \"retain\"\n  }\n}\n");
    for (second, command) in [
        (retained.as_str(), &["destroy", "--yes"][..]),
        ("", &["apply", "--yes"]),
        ("removed {\n  from       = file.f\n  on_destroy = \"retain\"\n}\n", &["apply", "--yes"]),
    ] {
        let project = TempProject::with(&[("main.hcl", &retained), ("f", "first")]);
        project.run(&["apply", "--yes"]).ok();
        let applied = tree_of(&project);
        project.write("main.hcl", second);
        let ran = project.run(command).ok();
        assert!(ran.stdout.contains("forget"), "{}", ran.stdout);
        assert_eq!(tree_of(&project), applied, "{second}");
        assert_eq!(project.run(&["state", "list"]).ok().stdout, "");
    }
}

#[test]
fn removed_blocks_decide_over_the_lifecycle() {
    let project = TempProject::with(&[("main.hcl", CONTENT), ("f", "first")]);
    project.run(&["apply", "--yes"]).ok();
    project.write("main.hcl", "removed {\n  from       = file.f\n  on_destroy = \"retain\"\n}\n");
    project.run(&["apply", "--yes"]).ok();
    assert_eq!(project.read("f"), "new\n");
    assert_eq!(project.run(&["plan"]).ok().stdout.matches("file.f").count(), 0);
}

#[test]
fn what_may_not_be_destroyed_is_not() {
    let forbidden = CONTENT.replace("}\n", "  lifecycle {\n    on_destroy = \"forbid\"\n  }\n}\n");
    let project = TempProject::with(&[("main.hcl", &forbidden), ("f", "first")]);
    project.run(&["apply", "--yes"]).ok();
    refuses(project.run(&["destroy", "--yes"]), "may not be destroyed");
    assert_eq!(project.read("f"), "new\n");
}

#[test]
fn another_path_gives_back_the_old_one_and_keeps_the_new_one() {
    let at = |path: &str| CONTENT.replace("\"f\"\n", &format!("\"{path}\"\n"));
    for there in [false, true] {
        let project = TempProject::with(&[("main.hcl", &at("f")), ("f", "first f")]);
        if there {
            project.write("g", "first g");
        }
        let before = tree_of(&project);
        project.run(&["apply", "--yes"]).ok();
        project.write("main.hcl", at("g"));
        project.run(&["apply", "--yes"]).ok();
        assert_eq!((project.read("f"), project.read("g")), ("first f".to_owned(), "new\n".to_owned()));
        project.run(&["plan"]).ok();
        project.run(&["destroy", "--yes"]).ok();
        assert_eq!(tree_of(&project), before, "there: {there}");
    }
}
