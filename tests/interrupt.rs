//! Ctrl-C: the first press finishes what runs and starts no more; the state is consistent, the next apply goes on.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

mod support;

/// More than one run of steps can finish before the signal arrives.
const FILES: usize = 60;

#[test]
fn the_first_press_finishes_running_steps_and_starts_no_more() {
    let project = tempfile::tempdir().unwrap();
    fs::write(
        project.path().join("main.hcl"),
        format!(
            "file \"f\" {{\n  count   = {FILES}\n  path    = \"f${{count.index}}\"\n  content = \"x\"\n}}\n"
        ),
    )
    .unwrap();
    let coxswain = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
        command.current_dir(project.path());
        command
    };
    let mut child = coxswain()
        .args(["apply", "--yes"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("done (") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended before a step was done");
    }
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = format!("{rest}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("Interrupted: "), "{text}");
    let made = fs::read_dir(project.path()).unwrap().flatten();
    let made = made.filter(|e| e.file_name().to_string_lossy().starts_with('f')).count();
    assert!((1..FILES).contains(&made), "{made} files are there");

    let plan = support::run(coxswain().arg("plan")).expect(2);
    assert!(plan.stdout.contains(&format!("{} to create, 0 to change", FILES - made)), "{}", plan.stdout);
    support::run(coxswain().args(["apply", "--yes"])).ok();
    support::run(coxswain().arg("plan")).ok();
}
