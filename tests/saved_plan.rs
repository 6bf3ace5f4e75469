//! A plan that is saved and carried out later: what has changed in between is noticed, and only that is left.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use support::{Ran, TempProject};

/// As many files as the saved plan writes.
const FILES: usize = 20;

const TWENTY: &str = r#"
variable "text" { default = "new" }
file "f" {
  for_each = toset([for n in range(20) : format("%02d", n)])
  path     = "f${each.key}.txt"
  content  = "${var.text} ${each.key}\n"
}
"#;

const SECRET: &str = r#"
variable "token" {
  type      = string
  sensitive = true
}
variable "name" { default = "x" }
file "f" {
  path    = "f.txt"
  content = "${var.name} ${var.token}"
}
"#;

fn twenty() -> TempProject {
    let project = TempProject::with(&[("main.hcl", TWENTY)]);
    for n in 0..FILES {
        project.write(&format!("f{n:02}.txt"), "old\n");
    }
    project
}

fn save(project: &TempProject) {
    project.run(&["plan", "--out", "p.coxplan"]).expect(2);
}

/// The error says what, why and what next, and nothing was done.
#[track_caller]
fn refused(project: &TempProject, ran: Ran, parts: &[&str]) {
    let ran = ran.expect(1);
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}` is not in: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let written = (0..FILES).filter(|n| {
        let name = format!("f{n:02}.txt");
        project.has(&name) && project.read(&name).starts_with("new")
    });
    assert_eq!(written.count(), 0, "nothing is written: {}", ran.stdout);
}

#[test]
fn a_file_edited_by_hand_is_left_alone_and_the_others_are_done() {
    let project = twenty();
    save(&project);
    project.write("f07.txt", "edited by hand\n");
    let ran = project.run(&["apply", "p.coxplan"]).expect(4);
    for n in 0..FILES {
        let wanted = if n == 7 { "edited by hand\n".to_owned() } else { format!("new {n:02}\n") };
        assert_eq!(project.read(&format!("f{n:02}.txt")), wanted);
    }
    assert!(ran.stdout.contains("19 steps done, 1 refused"), "{}", ran.stdout);
    assert!(ran.stdout.contains("f07.txt was changed since the plan was made"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Next: coxswain plan"), "{}", ran.stdout);
    let plan = project.run(&["plan"]).expect(2);
    assert!(
        plan.stdout.contains("edited by hand") && plan.stdout.contains("1 to adopt; 19 unchanged"),
        "{}",
        plan.stdout
    );
    project.run(&["apply", "--yes"]).ok();
    assert_eq!(project.read("f07.txt"), "new 07\n");
    project.run(&["destroy", "--yes"]).ok();
    assert_eq!(project.read("f07.txt"), "edited by hand\n");
    assert_eq!(project.read("f08.txt"), "old\n");
}

#[test]
fn an_object_that_came_or_went_is_refused() {
    let project = twenty();
    project.remove("f03.txt");
    save(&project);
    project.write("f03.txt", "appeared\n");
    project.remove("f04.txt");
    let ran = project.run(&["apply", "p.coxplan"]).expect(4);
    assert!(ran.stdout.contains("f03.txt has appeared since"), "{}", ran.stdout);
    assert!(ran.stdout.contains("f04.txt is gone since"), "{}", ran.stdout);
    assert_eq!(project.read("f03.txt"), "appeared\n");
    assert!(!project.has("f04.txt"));
}

#[test]
fn a_state_that_moved_refuses_the_plan() {
    let project = twenty();
    save(&project);
    project.write("other.hcl", "mock \"m\" {}\n");
    project.run(&["apply", "--yes", "--target", "mock.m"]).ok();
    let ran = project.run(&["apply", "p.coxplan"]);
    refused(&project, ran, &["applying the plan", "serial", "plan again"]);
}

#[test]
fn a_plan_is_applied_once() {
    let project = twenty();
    save(&project);
    project.run(&["apply", "p.coxplan"]).ok();
    let ran = project.run(&["apply", "p.coxplan"]).expect(1);
    assert!(ran.stderr.contains("plan again"), "{}", ran.stderr);
}

#[test]
fn a_changed_configuration_does_not_change_a_saved_plan() {
    let project = twenty();
    save(&project);
    project.write("main.hcl", "file \"f\" {\n  path = \"other.txt\"\n  content = \"other\"\n}\n");
    project.run(&["apply", "p.coxplan"]).ok();
    assert_eq!(project.read("f00.txt"), "new 00\n");
    assert!(!project.has("other.txt"));
    let plan = project.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("1 to create") && plan.stdout.contains("20 to remove"), "{}", plan.stdout);
}

#[test]
fn a_changed_file_that_the_plan_read_is_noticed() {
    let project = TempProject::with(&[
        ("main.hcl", "file \"f\" {\n  path = \"f00.txt\"\n  content = file(\"in.txt\")\n}\n"),
        ("in.txt", "new\n"),
    ]);
    save(&project);
    project.write("in.txt", "new and changed\n");
    let ran = project.run(&["apply", "p.coxplan"]);
    refused(&project, ran, &["in.txt", "not what it was when the plan was made", "plan again"]);
    project.write("in.txt", "new\n");
    project.run(&["apply", "p.coxplan"]).ok();
}

#[test]
fn a_plan_of_another_state_is_refused() {
    let (project, other) = (twenty(), twenty());
    save(&other);
    project.run(&["plan"]).expect(2);
    fs::copy(other.path().join("p.coxplan"), project.path().join("p.coxplan")).unwrap();
    let ran = project.run(&["apply", "p.coxplan"]);
    refused(&project, ran, &["applying the plan", "belongs to the state"]);
}

#[test]
fn a_damaged_plan_is_refused_whatever_the_damage() {
    let project = twenty();
    save(&project);
    let whole = fs::read(project.path().join("p.coxplan")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let damaged: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut at the end", whole[..whole.len() - 1].to_vec()),
        ("text", b"not a plan\n".to_vec()),
        ("another document", b"{\"a\":1}\n".to_vec()),
        ("another version", text.replacen("\"format\":1", "\"format\":2", 1).into_bytes()),
        ("binary", vec![0xff, 0, 1, 2]),
        ("edited content", text.replace("new 07", "bad 07").into_bytes()),
        ("edited configuration", text.replace("f${each.key}", "g${each.key}").into_bytes()),
        ("edited path", text.replace("f07.txt", "g07.txt").into_bytes()),
        ("another fingerprint", text.replacen("\"expects\":\"", "\"expects\":\"x", 1).into_bytes()),
    ];
    for (name, bytes) in damaged {
        assert_ne!(bytes, whole, "{name} changes something");
        project.write("p.coxplan", bytes);
        for command in [&["apply", "p.coxplan"][..], &["show", "p.coxplan"]] {
            let ran = project.run(command);
            assert_eq!(ran.code, 1, "{name}: {command:?}\n{}{}", ran.stdout, ran.stderr);
            refused(&project, ran, &["reading the plan p.coxplan", "coxswain plan --out FILE"]);
        }
        assert!(!project.has("g07.txt"), "{name}");
    }
    project.remove("p.coxplan");
    refused(&project, project.run(&["apply", "p.coxplan"]), &["reading the plan p.coxplan", "no such file"]);
    fs::create_dir(project.path().join("p.coxplan")).unwrap();
    refused(&project, project.run(&["apply", "p.coxplan"]), &["reading the plan p.coxplan", "directory"]);
}

#[test]
fn every_byte_of_a_plan_counts() {
    let project = TempProject::with(&[("main.hcl", "mock \"m\" { input = \"new\" }\n")]);
    save(&project);
    let whole = fs::read(project.path().join("p.coxplan")).unwrap();
    // A digit or letter becomes another, so that the document stays well-formed.
    let places: Vec<usize> = (0..whole.len()).filter(|at| whole[*at].is_ascii_alphanumeric()).collect();
    for at in places.into_iter().step_by(if support::is_fast() { 97 } else { 29 }) {
        let mut bytes = whole.clone();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        project.write("p.coxplan", &bytes);
        let ran = project.run(&["apply", "p.coxplan"]);
        assert_eq!(
            ran.code,
            1,
            "byte {at}: {}\n{}{}",
            String::from_utf8_lossy(&bytes),
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn a_sensitive_variable_is_given_again_and_is_the_same() {
    let project = TempProject::with(&[("main.hcl", SECRET)]);
    let with = |args: &[&str], token: Option<&str>| {
        let mut command = project.command(args);
        if let Some(token) = token {
            command.env("COXSWAIN_VAR_token", token);
        }
        support::run(&mut command)
    };
    with(&["plan", "--out", "p.coxplan"], Some("hunter2-secret")).expect(2);
    let plan = fs::read(project.path().join("p.coxplan")).unwrap();
    assert!(!String::from_utf8_lossy(&plan).contains("hunter2"), "no secret is in the plan");
    let mode = fs::metadata(project.path().join("p.coxplan")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let none = with(&["apply", "p.coxplan"], None).expect(1);
    assert!(none.stderr.contains("`token`") && none.stderr.contains("COXSWAIN_VAR_token"), "{}", none.stderr);
    let other = with(&["apply", "p.coxplan"], Some("another-secret")).expect(1);
    assert!(other.stderr.contains("another than when the plan was made"), "{}", other.stderr);
    assert!(!format!("{}{}", other.stdout, other.stderr).contains("another-secret"));
    assert!(!project.has("f.txt"), "nothing is written");
    with(&["apply", "p.coxplan"], Some("hunter2-secret")).ok();
    assert_eq!(project.read("f.txt"), "x hunter2-secret");
}

#[test]
fn a_plan_that_is_written_over_another_is_whole_and_private() {
    let project = twenty();
    project.write("p.coxplan", "something older");
    fs::set_permissions(project.path().join("p.coxplan"), fs::Permissions::from_mode(0o666)).unwrap();
    save(&project);
    let mode = fs::metadata(project.path().join("p.coxplan")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    project.run(&["apply", "p.coxplan"]).ok();
    let ran = project.run(&["plan", "--out", "missing/p.coxplan"]).expect(1);
    assert!(ran.stderr.contains("writing the plan to missing/p.coxplan"), "{}", ran.stderr);
}
