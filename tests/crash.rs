//! SIGKILL at every change of a file that a run makes, and at random moments. Whatever a killed run leaves: the lock
//! is free at once, the next plan works, the next run converges, no temporary file stays, no step is done twice,
//! and what was there before comes back.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use support::tree::{self, Tree};
use support::{Ran, TempProject, is_fast, run};

/// The first configuration: something new, something that was there, something inside something new.
const FIRST: &str = r#"
mock "m" { input = { version = 1 } }
directory "d" { path = "d" }
file "new" {
  path    = "${directory.d.path}/new.txt"
  content = "new ${mock.m.input.version}\n"
}
file "old" {
  path    = "old.txt"
  content = "first\n"
  mode    = "0640"
}
file "mode" {
  path = "mode.sh"
  mode = "0600"
}
output "id" { value = mock.m.id }
"#;
/// The next: changed in place, renamed (a replacement), gone, added.
const SECOND: &str = r#"
mock "m" { input = { version = 2 } }
directory "d" {
  path = "d"
  mode = "0750"
}
file "new" {
  path    = "${directory.d.path}/other.txt"
  content = "new ${mock.m.input.version}\n"
}
file "old" {
  path    = "old.txt"
  content = "second\n"
  mode    = "0600"
}
file "more" {
  path    = "more.txt"
  content = "more\n"
}
output "id" { value = mock.m.id }
"#;
/// Bytes of the file the processes of a run count in: two numbers, and one byte for each change.
const COUNTER_BYTES: u64 = 8 + 4096;
/// Where the bytes for changes start.
const COUNTER_HEAD: usize = 8;
/// Every how many of the boundaries are tried by `tests/run --fast`.
const FAST_STRIDE: usize = 7;
/// Random moments, in each of two tests.
const MOMENTS: u32 = 100;

/// Who is killed at a boundary.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    /// The binary, the process that makes the change and all between.
    All,
    /// The binary alone: its shell goes on to the end of its script.
    Main,
    /// The process that makes the change: the binary, or `mv` in the middle of writing a file.
    Itself,
}

/// Who makes a change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Binary,
    /// Its shell, or what that started.
    Program,
}

/// What is done to the project that a killed run has left.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// The same command again.
    Again,
    /// Everything is destroyed, without finishing first.
    Destroy,
}

/// The library that counts and kills; `None` where there is no C compiler.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("crash.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/crash.c");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&path).arg(source).arg("-ldl").stdin(Stdio::null());
        match cc.status() {
            Ok(status) => assert!(status.success(), "the library compiles"),
            Err(_) => return None,
        }
        Some((dir, path))
    });
    if made.is_none() {
        println!("skipped: no C compiler, so that no run can be stopped at a boundary");
    }
    made.as_ref().map(|(_, path)| path.as_path())
}

/// A configuration and the files that were there before it.
fn project(text: &str) -> TempProject {
    let project =
        TempProject::with(&[("main.hcl", text), ("old.txt", "was there"), ("mode.sh", "#!/bin/sh\n")]);
    for (name, mode) in [("old.txt", 0o604), ("mode.sh", 0o755)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(project.path().join(name), mode).expect("the file is ours");
    }
    project
}

/// What is there without the configuration, which a test changes.
fn tree_of(project: &TempProject) -> Tree {
    let mut found = tree::of(&project.path());
    found.remove("main.hcl");
    found
}

/// Runs with the library, to a boundary or with 0 to the end, and says who made each change. Returns when every
/// process of the run is gone.
fn run_until(project: &TempProject, args: &[&str], at: u32, who: Who) -> (Ran, Vec<By>) {
    let counter = project.home().join("counter");
    let file = File::create(&counter).expect("a file in a temporary folder");
    file.set_len(COUNTER_BYTES).expect("and its length");
    let mut command = project.command(args);
    command.env("LD_PRELOAD", library().expect("the test asked for it")).env("CX_CRASH_FILE", &counter);
    command.env("CX_CRASH_AT", at.to_string());
    command.env(
        "CX_CRASH_WHO",
        match who {
            Who::All => "all",
            Who::Main => "main",
            Who::Itself => "self",
        },
    );
    let ran = run(&mut command);
    file.lock().expect("those that hold it end by themselves");
    let bytes = fs::read(&counter).expect("the counter is there");
    let counted = u32::from_ne_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    fs::remove_file(&counter).expect("the counter is there");
    let by_main = &bytes[COUNTER_HEAD..];
    assert!(counted + 1 < by_main.len(), "the run has no end");
    let by = |byte: &u8| if *byte == 1 { By::Binary } else { By::Program };
    (ran, by_main[1..=counted].iter().map(by).collect())
}

/// How often each step was done, over the whole history; with what was still open at the end.
fn steps_done(project: &TempProject) -> BTreeMap<String, usize> {
    let dir = project.path().join(".coxswain");
    let mut journals: Vec<PathBuf> =
        tree::names(&dir.join("history")).into_iter().map(PathBuf::from).collect();
    journals.push(dir.join("journal.jsonl"));
    journals.retain(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let mut done = BTreeMap::new();
    for path in journals {
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let outcome = &line["entry"]["outcome"];
            if outcome["result"] == "done" {
                let step = outcome["step"].as_str().expect("a step has a name");
                let address = step.split_once('#').map_or(step, |(address, _)| address);
                *done.entry(address.to_owned()).or_default() += 1;
            }
        }
    }
    done
}

#[track_caller]
fn no_temporary_files(project: &TempProject, context: &str) {
    let root = project.path().parent().expect("the project is in a folder").to_owned();
    let left: Vec<String> = tree::names(&root)
        .into_iter()
        .filter(|name| name.ends_with(".tmp") || name.contains(".coxswain-"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "{context}");
}

/// Steps side by side share syncs of the journal as it happens; boundaries can be counted only one by one. The
/// random moments are of runs side by side.
const ONE_BY_ONE_APPLY: &[&str] = &["apply", "--yes", "--parallelism", "1"];
const ONE_BY_ONE_DESTROY: &[&str] = &["destroy", "--yes", "--parallelism", "1"];

/// A situation in which a command is killed.
struct Scene<'a> {
    /// The project before the command.
    base: TempProject,
    command: &'a [&'a str],
    /// The project after the command, when nobody disturbs it.
    end: Tree,
    /// The steps the command takes.
    steps: BTreeMap<String, usize>,
    /// The project before the first command.
    first: Tree,
}

impl<'a> Scene<'a> {
    fn new(base: TempProject, command: &'a [&'a str], first: Tree) -> Scene<'a> {
        let base_steps = steps_done(&base);
        let undisturbed = copy(&base);
        undisturbed.run(command).ok();
        let mut steps = steps_done(&undisturbed);
        for (step, times) in base_steps {
            *steps.entry(step).or_default() -= times;
        }
        steps.retain(|_, times| *times > 0);
        Scene { end: tree_of(&undisturbed), base, command, steps, first }
    }

    /// One boundary.
    fn kill_at(&self, at: u32, who: Who, then: Then) {
        let context = format!("{:?}, boundary {at}, {who:?} killed, then {then:?}", self.command);
        let project = copy(&self.base);
        let before = steps_done(&project);
        let (ran, changes) = run_until(&project, self.command, at, who);
        assert!(changes.len() >= at as usize, "{context}: not reached\n{}{}", ran.stdout, ran.stderr);
        let expected: &[i32] = if who == Who::Itself { &[-1, 0, 1, 4] } else { &[-1] };
        assert!(expected.contains(&ran.code), "{context}: {}\n{}{}", ran.code, ran.stdout, ran.stderr);
        self.goes_on(&project, &before, then, &context);
    }

    #[track_caller]
    fn goes_on(&self, project: &TempProject, before: &BTreeMap<String, usize>, then: Then, context: &str) {
        let shown = |ran: &Ran| format!("{context}\n{}{}", ran.stdout, ran.stderr);
        let plan = project.run(&["plan"]);
        assert!(matches!(plan.code, 0 | 2), "plan: {}", shown(&plan));
        if then == Then::Again {
            let again = project.run(self.command);
            assert_eq!(again.code, 0, "again: {}", shown(&again));
            assert_eq!(tree_of(project), self.end, "{}", shown(&again));
            no_temporary_files(project, context);
            if self.command[0] == "apply" {
                let plan = project.run(&["plan"]);
                assert_eq!(plan.code, 0, "converged: {}", shown(&plan));
            }
            for (step, times) in steps_done(project) {
                let new = times - before.get(&step).copied().unwrap_or_default();
                let wanted = self.steps.get(&step).copied().unwrap_or_default();
                // Of a removal that was done and not recorded, only the next step is recorded.
                assert!(new <= wanted, "{step}: {new} steps instead of {wanted}: {}", shown(&again));
            }
        }
        let destroy = project.run(&["destroy", "--yes"]);
        assert_eq!(destroy.code, 0, "destroy: {}", shown(&destroy));
        assert_eq!(tree_of(project), self.first, "given back: {}", shown(&destroy));
        no_temporary_files(project, context);
        let left = project.run(&["state", "list"]).ok();
        assert_eq!(left.stdout, "", "{context}");
        project.run(&["state", "history"]).ok();
    }

    /// Every boundary; where the binary alone or a program alone is killed, those that programs come to: at the
    /// others it makes no difference.
    fn at_every_boundary(&self, who: Who) {
        let undisturbed = copy(&self.base);
        let (ran, changes) = run_until(&undisturbed, self.command, 0, who);
        ran.ok();
        assert!(changes.len() > 20, "a run changes more files than {}", changes.len());
        let stride = if is_fast() { FAST_STRIDE } else { 1 };
        let wanted = |(_, by): &(u32, By)| who == Who::All || *by == By::Program;
        let wanted = (1..).zip(changes).filter(wanted).step_by(stride);
        let mut tried = 0;
        for (at, _) in wanted {
            self.kill_at(at, who, if tried % 3 == 2 { Then::Destroy } else { Then::Again });
            tried += 1;
        }
        println!("{:?}, {who:?} killed: {tried} boundaries", self.command);
    }
}

fn copy(project: &TempProject) -> TempProject {
    let new = TempProject::new();
    tree::copy(&project.path(), &new.path());
    new
}

/// Before the first apply.
fn creating() -> Scene<'static> {
    let base = project(FIRST);
    let first = tree_of(&base);
    Scene::new(base, ONE_BY_ONE_APPLY, first)
}

/// Before an apply of the second configuration.
fn updating() -> Scene<'static> {
    let base = project(FIRST);
    let first = tree_of(&base);
    base.run(&["apply", "--yes"]).ok();
    base.write("main.hcl", SECOND);
    Scene::new(base, ONE_BY_ONE_APPLY, first)
}

/// Before a destroy.
fn destroying() -> Scene<'static> {
    let base = project(FIRST);
    let first = tree_of(&base);
    base.run(&["apply", "--yes"]).ok();
    Scene::new(base, ONE_BY_ONE_DESTROY, first)
}

#[test]
fn a_first_apply_killed_with_its_shell() {
    if library().is_some() {
        creating().at_every_boundary(Who::All);
    }
}
#[test]
fn a_first_apply_killed_alone() {
    if library().is_some() {
        creating().at_every_boundary(Who::Main);
    }
}
#[test]
fn a_first_apply_whose_programs_are_killed() {
    if library().is_some() {
        creating().at_every_boundary(Who::Itself);
    }
}
#[test]
fn an_update_killed_with_its_shell() {
    if library().is_some() {
        updating().at_every_boundary(Who::All);
    }
}
#[test]
fn an_update_killed_alone() {
    if library().is_some() {
        updating().at_every_boundary(Who::Main);
    }
}
#[test]
fn an_update_whose_programs_are_killed() {
    if library().is_some() {
        updating().at_every_boundary(Who::Itself);
    }
}
#[test]
fn a_destroy_killed_with_its_shell() {
    if library().is_some() {
        destroying().at_every_boundary(Who::All);
    }
}
#[test]
fn a_destroy_killed_alone() {
    if library().is_some() {
        destroying().at_every_boundary(Who::Main);
    }
}
#[test]
fn a_destroy_whose_programs_are_killed() {
    if library().is_some() {
        destroying().at_every_boundary(Who::Itself);
    }
}

/// Runs one configuration after the other, each killed at a random moment and finished by the next run; at the end
/// everything is given back.
fn at_random_moments(seed: u64) {
    let project = project(FIRST);
    let first = tree_of(&project);
    let begun = Instant::now();
    project.run(&["apply", "--yes"]).ok();
    let whole = begun.elapsed();
    let mut random = seed;
    let (mut killed, moments) = (0, if is_fast() { MOMENTS / 10 } else { MOMENTS });
    for moment in 0..moments {
        project.write("main.hcl", if moment % 2 == 0 { SECOND } else { FIRST });
        // xorshift64: every seed gives the same moments.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let after = whole.mul_f64((random % 1000) as f64 / 1000.0);
        let mut command = project.command(&["apply", "--yes"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is the subject of the test: nothing waits for it to be long enough.
        std::thread::sleep(after);
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal().is_some());
        let context = format!("seed {seed}, moment {moment}, after {after:?}");
        // The shell of the dead run may be in the middle of its script: what the plan saw may change once.
        let again = project.run(&["apply", "--yes"]);
        if again.code != 0 {
            let refused = again.stdout.contains("refused");
            assert!(matches!(again.code, 2 | 4) && refused, "{context}\n{}{}", again.stdout, again.stderr);
            project.run(&["apply", "--yes"]).ok();
        }
        let plan = project.run(&["plan"]);
        assert_eq!(plan.code, 0, "{context}\n{}{}", plan.stdout, plan.stderr);
        no_temporary_files(&project, &context);
    }
    assert!(killed > moments / 3, "only {killed} of {moments} runs were killed before their end");
    project.run(&["destroy", "--yes"]).ok();
    assert_eq!(tree_of(&project), first);
    no_temporary_files(&project, "at the end");
}

#[test]
fn a_run_killed_at_random_moments() {
    at_random_moments(0x5eed);
}
#[test]
fn a_run_killed_at_other_random_moments() {
    at_random_moments(0xc0ffee);
}
