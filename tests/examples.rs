//! The examples are planned and applied: in a recorded world, and where they run anywhere, for real.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coxswain::cli::terminal::Terminal;
use coxswain::session::GivenWorld;
use coxswain::world::World;
use coxswain::world::fake::FakeWorld;

fn copied(example: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                // What an earlier run in the example left is none of ours.
                if entry.file_name() != ".coxswain" {
                    fs::create_dir(&target).unwrap();
                    copy(&entry.path(), &target);
                }
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let project = tempfile::tempdir().unwrap();
    copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(example), project.path());
    project
}

#[track_caller]
fn run(project: &Path, world: Option<&FakeWorld>, words: &[&str], exit: u8) -> String {
    let terminal = Arc::new(Terminal::kept(&[]));
    let args = ["coxswain", "--chdir"].map(Into::into).into_iter().chain([project.as_os_str().to_owned()]);
    let args = args.chain(words.iter().map(Into::into));
    let world = GivenWorld(world.map(|w| Arc::new(w.clone()) as Arc<dyn World>));
    let code = coxswain::cli::run_in(args, Arc::clone(&terminal), world) as u8;
    assert_eq!(code, exit, "{words:?}:\n{}", terminal.text());
    terminal.text()
}

/// It is applied on real machines by `lab_modules.rs`.
#[test]
fn three_hosts_are_valid() {
    let project = copied("three-hosts");
    run(project.path(), None, &["validate"], 0);
}

#[test]
fn local_files_run_here() {
    let project = copied("local-files");
    run(project.path(), None, &["apply", "--yes"], 0);
    run(project.path(), None, &["plan"], 0);
    run(project.path(), None, &["destroy", "--yes"], 0);
}

/// What the long pages show is a configuration, each example by itself.
#[test]
fn what_the_pages_show_is_valid() {
    let mut seen = 0;
    for page in ["README.md", "docs/guide.md", "docs/hosts.md", "docs/reference/kinds.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        for example in text.split("```hcl\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            // An example of a kind names a host that it does not show.
            let is_whole = page != "docs/reference/kinds.md" || !example.contains("host.nfs");
            let host = if is_whole { "" } else { "host \"nfs\" {\n  address = \"192.0.2.1\"\n}\n" };
            let project = tempfile::tempdir().unwrap();
            fs::write(project.path().join("main.hcl"), format!("{host}{example}")).unwrap();
            let text = run_any(project.path(), &["validate"]);
            assert!(text.starts_with("The configuration is valid."), "{page}:\n{example}\n{text}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

fn run_any(project: &Path, words: &[&str]) -> String {
    let terminal = Arc::new(Terminal::kept(&[]));
    let args = ["coxswain", "--chdir"].map(Into::into).into_iter().chain([project.as_os_str().to_owned()]);
    let world = FakeWorld::from_json("{}").unwrap();
    let args = args.chain(words.iter().map(Into::into));
    coxswain::cli::run_in(args, Arc::clone(&terminal), GivenWorld(Some(Arc::new(world))));
    terminal.text()
}
