//! The binary as a process: exit codes, pipes that close, disks that are full. No host, no network, no clock.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::coxswain;

/// A saved plan with a changed file on a host and a new one here.
const SAVED: &str = r#"{
  "plan": {
    "format": 1, "version": "0.1.0", "mode": "apply", "lineage": "l", "serial": 1, "config_digest": "d",
    "instances": [
      {"address": "file.motd", "uid": "u1", "host": "host.a", "identity": "/etc/motd", "action": "update",
       "reason": "", "expects": "e",
       "changes": [{"name": "mode", "before": "0600", "after": "0644", "cause": "drifted"}]},
      {"address": "file.hello", "uid": "u2", "identity": "hello.txt", "action": "create", "reason": "", "expects": "e",
       "changes": [{"name": "content", "before": null, "after": "hi\n", "cause": "pending"}]}
    ],
    "steps": [
      {"id": "file.motd#apply", "instance": 0, "name": "apply", "verb": "update", "class": "in_place",
       "title": "write /etc/motd", "stage": "base"}
    ],
    "edges": [], "deferred": [], "unreadable": [], "outputs": []
  },
  "files": {}, "reads": {}, "variables": {}, "created": "2026-11-26T00:00:00Z"
}"#;

#[track_caller]
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = coxswain(dir, args).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let saved: coxswain::plan::SavedPlan = serde_json::from_str(SAVED).expect("it is a plan");
    std::fs::write(dir.path().join("p.coxplan"), saved.to_bytes().expect("of JSON")).expect("and written to");
    dir
}

#[test]
fn a_saved_plan_is_shown_in_every_form() {
    let dir = directory();
    let (code, text, errors) = run(dir.path(), &["show", "p.coxplan"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(
        text,
        "Signs: + create, ~ change in place\n\n\
         host.a\n  ~ file.motd  /etc/motd\n      mode: \"0600\" -> \"0644\"  # changed on the host\n\n\
         this machine\n  + file.hello  hello.txt\n      content: \"hi\\n\"\n\n\
         Plan: 1 to create, 1 to change, 0 to replace, 0 to remove, 0 to adopt; 0 unchanged.\n"
    );
    let (_, json, _) = run(dir.path(), &["show", "p.coxplan", "--json"]);
    assert!(json.starts_with('{') && json.contains("\"document\": \"coxswain.plan\""), "{json}");
    let (_, markdown, _) = run(dir.path(), &["show", "p.coxplan", "--markdown"]);
    assert!(markdown.contains("| `~` | `file.motd` | host.a |"), "{markdown}");
    let (_, dot, _) = run(dir.path(), &["graph", "p.coxplan"]);
    assert!(dot.starts_with("digraph coxswain {\n"), "{dot}");
    let (_, mermaid, _) = run(dir.path(), &["graph", "p.coxplan", "--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
}

#[test]
fn init_starts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text, _) = run(dir.path(), &["init", "--chdir", "new"]);
    assert_eq!((code, text.as_str()), (0, "created main.hcl\ncreated .gitignore\nNext: coxswain plan\n"));
    let (code, text, errors) = run(dir.path(), &["init", "--chdir", "new"]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.contains("nothing is overwritten"), "{errors}");
}

#[test]
fn wrong_arguments_are_an_error_not_pending_changes() {
    let dir = directory();
    let (code, _, errors) = run(dir.path(), &["plan", "--target", "x"]);
    assert_eq!(code, 1);
    assert!(errors.contains("is not an address"), "{errors}");
    assert_eq!(run(dir.path(), &["--help"]).0, 0);
    assert_eq!(run(dir.path(), &["--version"]).1, format!("coxswain {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn apply_without_anybody_to_ask_is_refused_at_once() {
    let dir = directory();
    let (code, text, errors) = run(dir.path(), &["apply"]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.contains("--yes"), "{errors}");
    let (code, text, errors) = run(dir.path(), &["apply", "--json"]);
    assert_eq!((code, errors.as_str()), (1, ""));
    assert!(text.contains("\"event\":\"error\"") && text.lines().count() == 1, "{text}");
}

#[test]
fn a_pipe_that_closes_is_no_panic() {
    let dir = directory();
    for args in [&["man"][..], &["completions", "zsh"], &["show", "p.coxplan"], &["--help"], &["version"]] {
        let mut child = coxswain(dir.path(), args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        println!("skipped: no /dev/full here");
        return;
    };
    let dir = directory();
    let output = coxswain(dir.path(), &["show", "p.coxplan"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("writing the output"));
}

#[test]
fn colours_are_for_those_who_ask() {
    let dir = directory();
    let plain = |command: &mut Command| {
        let output = command.output().unwrap();
        !output.stdout.contains(&0x1b)
    };
    assert!(plain(&mut coxswain(dir.path(), &["show", "p.coxplan"])));
    let forced = || {
        let mut command = coxswain(dir.path(), &["show", "p.coxplan"]);
        command.env("CLICOLOR_FORCE", "1");
        command
    };
    assert!(!plain(&mut forced()));
    assert!(plain(forced().arg("--no-color")));
    assert!(plain(forced().env("NO_COLOR", "1")));
}
