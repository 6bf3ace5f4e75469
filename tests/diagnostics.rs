//! Every diagnostic that a configuration alone can earn, from its smallest example in `tests/diagnostics.txt`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use coxswain::cli::terminal::Terminal;
use coxswain::session::GivenWorld;
use coxswain::world::fake::FakeWorld;

/// The codes that planning this configuration reports.
fn codes(text: &[u8]) -> Vec<String> {
    let project = tempfile::tempdir().unwrap();
    fs::write(project.path().join("main.hcl"), text).unwrap();
    codes_in(project.path())
}

fn codes_in(project: &Path) -> Vec<String> {
    let terminal = Arc::new(Terminal::kept(&[]));
    let args = ["coxswain", "plan", "--json", "--chdir"].map(Into::into);
    let args = args.into_iter().chain([project.as_os_str().to_owned()]);
    let world = FakeWorld::from_json("{}").unwrap();
    coxswain::cli::run_in(args, Arc::clone(&terminal), GivenWorld(Some(Arc::new(world))));
    let lines = terminal.text();
    let lines = lines.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    lines.filter_map(|l| Some(l.get("code")?.as_str()?.to_owned())).collect()
}

#[test]
fn each_example_earns_its_diagnostic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for section in text.split("\n-- ").skip(1) {
        let (code, config) = section.split_once(" --\n").expect("a section begins with its code");
        let found = codes(format!("{config}\n").as_bytes());
        seen += 1;
        if !found.iter().any(|c| c == code) {
            wrong.push(format!("{code}: {found:?}"));
        }
    }
    assert!(seen > 60, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_text_is_said_to_be_none() {
    assert_eq!(codes(b"locals { a = \"\xff\" }\n"), ["invalid-utf8"]);
}

#[test]
fn bombs_are_refused() {
    let deep = format!("locals {{ a = {}1{} }}\n", "[".repeat(2000), "]".repeat(2000));
    assert_eq!(codes(deep.as_bytes()), ["nesting-too-deep"]);
    let bad: String = (0..2000).map(|n| format!("locals {{ a{n} = }}\n")).collect();
    assert!(codes(bad.as_bytes()).contains(&"too-many-errors".to_owned()));
}

#[test]
fn modules_are_not_nested_without_end() {
    let project = tempfile::tempdir().unwrap();
    for n in 0..40 {
        let dir = if n == 0 { project.path().to_owned() } else { project.path().join(format!("m{n}")) };
        fs::create_dir_all(&dir).unwrap();
        let source = if n == 0 { format!("./m{}", n + 1) } else { format!("./../m{}", n + 1) };
        fs::write(dir.join("main.hcl"), format!("module \"m\" {{\n  source = \"{source}\"\n}}\n")).unwrap();
    }
    assert!(codes_in(project.path()).contains(&"module-depth".to_owned()));
}

#[test]
fn a_binary_source_is_no_text() {
    let project = tempfile::tempdir().unwrap();
    fs::write(project.path().join("blob"), b"\xff\x00").unwrap();
    fs::write(project.path().join("main.hcl"), "file \"f\" {\n  path   = \"f\"\n  source = \"blob\"\n}\n")
        .unwrap();
    assert_eq!(codes_in(project.path()), ["not-text"]);
}

#[test]
fn an_object_has_a_limited_number_of_items() {
    let items: String = (0..200_000).map(|n| format!("k{n}=1\n")).collect();
    assert!(
        codes(format!("locals {{\n a = {{\n{items}}}\n}}\n").as_bytes())
            .contains(&"too-many-items".to_owned())
    );
}
