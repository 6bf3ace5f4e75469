//! Bad input of every sort: a clear error (what was tried, on which object, why, what next), the documented exit code,
//! never a panic, an end within bounds, and nothing lost.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it was skipped, and fails where something is not as it made it"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Ran, TempProject, run, tree};

/// No command takes more of the processor, whatever it is given.
const CPU_LIMIT_S: u32 = 20;
/// What an error may say at most: it is for a person.
const ERROR_BYTES: usize = 16 * 1024;
/// Depth of the nesting bombs.
const DEEP: usize = 100_000;

/// Runs with a limit on processor time, so that it says the same on a busy machine; a run that waits for ever is
/// ended by the limit that all runs have.
#[track_caller]
fn within_bounds(command: &mut Command) -> Ran {
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", &format!("ulimit -t {CPU_LIMIT_S}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    let ran = run(&mut limited);
    assert!(!ran.stderr.contains("panicked") && ran.code >= 0, "{command:?}: {}\n{}", ran.code, ran.stderr);
    ran
}

/// The command fails with this code and says all of this.
#[track_caller]
fn fails(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.len() < ERROR_BYTES, "{} bytes of error", ran.stderr.len());
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}` is not in: {}", ran.stderr);
    }
}

/// `plan` and `apply` of a configuration fail and say all of this.
#[track_caller]
fn check(text: impl AsRef<[u8]>, parts: &[&str]) {
    let project = TempProject::new();
    project.write("main.hcl", text);
    for args in [&["plan"][..], &["validate"], &["apply", "--yes"]] {
        fails(&within_bounds(&mut project.command(args)), 1, parts);
    }
}

/// As [`check`], of `plan` alone: for configurations that take their time.
#[track_caller]
fn check_plan(text: impl AsRef<[u8]>, parts: &[&str]) {
    let project = TempProject::new();
    project.write("main.hcl", text);
    fails(&within_bounds(&mut project.command(&["plan"])), 1, parts);
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The files of the state, but for what only says who holds the lock.
fn state_of(project: &TempProject) -> BTreeMap<String, Vec<u8>> {
    let names = tree::names(&project.path().join(".coxswain")).into_iter();
    names
        .filter(|name| !name.ends_with("/lock"))
        .map(|name| (name.clone(), fs::read(&name).unwrap_or_default()))
        .collect()
}

fn applied() -> TempProject {
    let project = TempProject::with(&[(
        "main.hcl",
        "mock \"m\" { input = 1 }\nfile \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n}\noutput \"o\" { value = mock.m.id }\n",
    )]);
    project.run(&["apply", "--yes"]).ok();
    project.write("f.txt", "y");
    project.run(&["apply", "--yes"]).ok();
    project
}

#[test]
fn directories_that_are_none() {
    let project = TempProject::with(&[("file.txt", "x"), ("empty/note.txt", "x")]);
    for (dir, parts) in [
        ("nowhere", &["opening nowhere", "no such file or directory", "--chdir"][..]),
        ("file.txt", &["opening file.txt", "not a directory", "--chdir"]),
        ("empty", &["empty holds no *.hcl file", "--chdir"]),
    ] {
        for command in ["plan", "validate"] {
            fails(&within_bounds(&mut project.command(&[command, "--chdir", dir])), 1, parts);
        }
        fails(&within_bounds(&mut project.command(&["apply", "--yes", "--chdir", dir])), 1, parts);
    }
}

#[test]
fn bytes_that_are_no_text() {
    check(
        b"mock \"m\" { input = \"\xff\xfe\" }\n",
        &["main.hcl:1:21", "not UTF-8", "Save the file as UTF-8"],
    );
    check(b"\xef\xbb\xbf\0\0\0", &["main.hcl:1"]);
    check((0..=255).collect::<Vec<u8>>(), &["main.hcl", "not UTF-8"]);
    let project = TempProject::with(&[("main.hcl", "mock \"m\" {}\n")]);
    let odd: PathBuf = project.path().join(std::ffi::OsStr::new("odd")).with_extension("hcl");
    fs::write(&odd, "").unwrap();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd\xff.hcl");
    fs::rename(&odd, project.path().join(name)).unwrap();
    fails(&within_bounds(&mut project.command(&["plan"])), 1, &["its name is not UTF-8"]);
}

#[test]
fn ten_megabytes() {
    let project = TempProject::new();
    let ten = 10 * 1024 * 1024;
    project.write("main.hcl", format!("mock \"m\" {{ input = \"{}\" }}\n", "x".repeat(ten)));
    within_bounds(&mut project.command(&["validate"])).ok();
    project.write("main.hcl", "# a line of comment\n".repeat(ten / 20));
    within_bounds(&mut project.command(&["plan"])).ok();
    check_plan(format!("mock \"m\" {{ input = \"{}\" \"{{ }}\n", "x".repeat(ten)), &["main.hcl:1:"]);
    check_plan("x".repeat(ten), &["main.hcl:1:"]);
    check_plan("\"".repeat(ten), &["main.hcl:1:"]);
}

#[test]
fn nesting_bombs() {
    let around =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(DEEP), close.repeat(DEEP));
    let expressions = [
        around("[", "", "]"),
        around("[", "", ""),
        around("(", "1", ")"),
        around("{ a = ", "1", " }"),
        around("upper(", "1", ")"),
        around("\"${", "1", "}\""),
        around("\"%{ if true }", "", "%{ endif }\""),
        around("-", "1", ""),
        around("!", "true", ""),
        around("1 + ", "1", ""),
        around("true ? 1 : ", "1", ""),
        around("[for x in ", "[]", " : x]"),
        around("jsondecode(\"", "1", "\")"),
        format!("jsondecode(\"{}\")", around("[", "", "]")),
        format!("yamldecode(\"{}\")", around("[", "", "]")),
        format!("a{}", ".b".repeat(DEEP)),
        format!("a{}", "[0]".repeat(DEEP)),
        format!("a{}", "[*]".repeat(DEEP)),
    ];
    for expression in &expressions {
        check_plan(format!("mock \"m\" {{ input = {expression} }}\n"), &["main.hcl:1:"]);
    }
    check_plan(around("a {\n", "", "}\n"), &["main.hcl:"]);
    check_plan(format!("variable \"v\" {{ type = {} }}\n", around("list(", "string", ")")), &["main.hcl:1:"]);
}

#[test]
fn a_million_keys() {
    check_plan(
        "mock \"m\" {\n  for_each = toset([for n in range(1000000) : tostring(n)])\n}\n",
        &["main.hcl:2:", "1000000 instances", "At most"],
    );
    check_plan("mock \"m\" { input = range(1000000000) }\n", &["main.hcl:1:", "range"]);
}

#[test]
fn names_that_are_none() {
    let project = TempProject::with(&[
        ("main.hcl", "variable \"v\" { default = 1 }\n"),
        ("dir/x", ""),
        ("bad.hclvars", "v = = 1\n"),
    ]);
    project.write("binary.hclvars", [0xff, 0xfe, 0, 1]);
    for (args, parts) in [
        (
            &["plan", "--var-file", "missing.hclvars"][..],
            &["missing.hclvars cannot be read", "no such file"][..],
        ),
        (&["plan", "--var-file", "dir"], &["dir cannot be read", "is a directory"]),
        (&["plan", "--var-file", "bad.hclvars"], &["bad.hclvars:1:"]),
        (&["plan", "--var-file", "binary.hclvars"], &["binary.hclvars:1:", "not UTF-8"]),
        (&["plan", "--var", "v"], &["KEY=VALUE"]),
        (&["plan", "--var", "other=1"], &["--var gives `other`", "variable \"other\" {}"]),
        (&["plan", "--env", "nowhere"], &["env/nowhere.hclvars cannot be read"]),
        (&["plan", "--env", "../up"], &["invalid value '../up'", "letters, digits"]),
        (&["show", "--env", "/etc"], &["invalid value '/etc'"]),
        (&["plan", "--target", "nope"], &["nope"]),
        (&["state", "show", "mock.nope"], &["mock.nope"]),
        (&["state", "mv", "mock.nope", "mock.other"], &["mock.nope", "not in the state"]),
        (&["state", "rm", "mock.nope"], &["mock.nope", "not in the state"]),
        (&["output", "nope"], &["reading the output `nope`"]),
    ] {
        fails(&within_bounds(&mut project.command(args)), 1, parts);
    }
}

#[test]
fn modules_that_cannot_be_read() {
    for (root, inner, parts) in [
        ("./nowhere", "", &["main.hcl:1:", "nowhere", "no such file or directory"][..]),
        ("./inner/main.hcl", "", &["main.hcl:1:", "not a directory"]),
        ("https://example.invalid/x", "", &["main.hcl:1:", "not a module source"]),
        ("./inner", "module \"b\" { source = \"../\" }\n", &["inner/main.hcl:1:", "in a circle"]),
        ("./inner", "module \"b\" { source = \"./\" }\n", &["inner/main.hcl:1:", "in a circle"]),
        (
            "./inner",
            "module \"b\" { source = \"../inner/../inner\" }\n",
            &["inner/main.hcl:1:", "in a circle"],
        ),
    ] {
        let project = TempProject::with(&[
            ("main.hcl", &format!("module \"a\" {{ source = \"{root}\" }}\n")),
            ("inner/main.hcl", inner),
        ]);
        for args in [&["plan"][..], &["validate"], &["apply", "--yes"]] {
            fails(&within_bounds(&mut project.command(args)), 1, parts);
        }
    }
}

/// Every command that reads the state fails, says where the damage is and what helps, and changes nothing.
#[track_caller]
fn refuses_the_state(project: &TempProject, name: &str, parts: &[&str]) {
    let before = state_of(project);
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["destroy", "--yes"],
        &["drift"],
        &["show"],
        &["output"],
        &["state", "list"],
        &["state", "rm", "mock.m"],
        &["plan", "--out", "p.coxplan"],
    ] {
        let ran = within_bounds(&mut project.command(args));
        assert_eq!(ran.code, 1, "{name}: {args:?}\n{}{}", ran.stdout, ran.stderr);
        fails(&ran, 1, parts);
        assert_eq!(state_of(project), before, "{name}: {args:?} changes nothing");
    }
    assert_eq!(project.read("f.txt"), "x");
    within_bounds(&mut project.command(&["state", "history"])).ok();
}

/// What it is, the file, its bytes if it is still there, and what the error says.
type Damage<'a> = (&'a str, &'a str, Option<Vec<u8>>, &'a [&'a str]);

#[test]
fn a_damaged_state() {
    let whole = applied();
    let state = whole.read(".coxswain/state.json");
    let journal = whole.read(".coxswain/journal.jsonl");
    let damaged: Vec<Damage<'_>> = vec![
        (
            "a newer version",
            "state.json",
            Some(state.replacen("\"format\":1", "\"format\":7", 1).into()),
            &["state.json", "format 7", "version of coxswain"],
        ),
        ("empty", "state.json", Some(Vec::new()), &["state.json", "damaged at line 1", "state history"]),
        (
            "cut",
            "state.json",
            Some(state.as_bytes()[..state.len() / 2].into()),
            &["state.json", "damaged", "state history"],
        ),
        (
            "cut by a byte",
            "state.json",
            Some(state.as_bytes()[..state.len() - 2].into()),
            &["state.json", "damaged"],
        ),
        (
            "another value",
            "state.json",
            Some(state.replace("f.txt", "g.txt").into()),
            &["state.json", "checksum", "state history"],
        ),
        ("binary", "state.json", Some(vec![0, 0xff, 0]), &["state.json", "damaged at line 1"]),
        ("missing", "state.json", None, &["state.json", "missing", "state history"]),
        (
            "a newer journal",
            "journal.jsonl",
            Some(journal.replacen("\"format\":1", "\"format\":7", 1).into()),
            &["journal.jsonl", "format 7"],
        ),
        ("an empty journal", "journal.jsonl", Some(Vec::new()), &["journal.jsonl", "damaged"]),
        (
            "a journal of another base",
            "journal.jsonl",
            Some(journal.replacen("\"base\":", "\"base\":9", 1).into()),
            &["journal.jsonl", "damaged"],
        ),
        (
            "a journal with junk",
            "journal.jsonl",
            Some(format!("{journal}junk\n").into()),
            &["journal.jsonl", "damaged at line 2", "state history"],
        ),
        ("a binary journal", "journal.jsonl", Some(vec![0xff; 100]), &["journal.jsonl", "damaged at line 1"]),
    ];
    for (name, file, bytes, parts) in damaged {
        let project = TempProject::new();
        tree::copy(&whole.path(), &project.path());
        match bytes {
            Some(bytes) => project.write(&format!(".coxswain/{file}"), bytes),
            None => project.remove(&format!(".coxswain/{file}")),
        }
        refuses_the_state(&project, name, parts);
    }
}

#[test]
fn a_state_that_is_no_file() {
    for name in ["state.json", "journal.jsonl"] {
        let project = applied();
        project.remove(&format!(".coxswain/{name}"));
        fs::create_dir(project.path().join(".coxswain").join(name)).unwrap();
        for args in [&["plan"][..], &["apply", "--yes"], &["state", "list"]] {
            fails(&within_bounds(&mut project.command(args)), 1, &[name, "read"]);
        }
    }
    let project = TempProject::with(&[("main.hcl", "mock \"m\" {}\n"), (".coxswain", "a file")]);
    fails(&within_bounds(&mut project.command(&["apply", "--yes"])), 1, &[".coxswain"]);
    assert_eq!(project.read(".coxswain"), "a file");
}

#[test]
fn what_a_crash_leaves_is_mended_and_a_lost_key_is_survived() {
    let project = applied();
    // A torn record, as a crash in the middle of a write leaves it.
    let journal = project.read(".coxswain/journal.jsonl");
    project.write(".coxswain/journal.jsonl", format!("{journal}{{\"seq\":1,\"su"));
    within_bounds(&mut project.command(&["plan"])).ok();
    within_bounds(&mut project.command(&["apply", "--yes"])).ok();

    project.remove(".coxswain/digest.key");
    let ran = within_bounds(&mut project.command(&["plan"]));
    assert!(matches!(ran.code, 0 | 2), "{}{}", ran.stdout, ran.stderr);
    within_bounds(&mut project.command(&["apply", "--yes"])).ok();
    within_bounds(&mut project.command(&["plan"])).ok();

    project.write(".coxswain/digest.key", "short");
    let ran = within_bounds(&mut project.command(&["plan"]));
    assert!(matches!(ran.code, 0..=2), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(project.read("f.txt"), "x");
}

/// Runs a shell script as root of a mount namespace of its own; `None` where that is not possible here.
fn in_own_mounts(project: &TempProject, script: &str) -> Option<Ran> {
    let possible = is_root()
        && Command::new("unshare")
            .args(["-m", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !possible {
        println!("skipped: no mount namespace can be made here");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-euc", script])
        .current_dir(project.path())
        .env("COXSWAIN", env!("CARGO_BIN_EXE_coxswain"));
    Some(within_bounds(&mut command))
}

#[test]
fn a_full_disk_for_what_is_written() {
    let project = TempProject::with(&[(
        "main.hcl",
        "file \"a\" {\n  path = \"t/a.txt\"\n  content = \"small\\n\"\n}\nfile \"b\" {\n  path = \"t/b.txt\"\n  content = join(\"\", [for n in range(20000) : \"0123456789\"])\n}\n",
    )]);
    let Some(ran) = in_own_mounts(
        &project,
        "mkdir -p t; mount -t tmpfs -o size=100k tmpfs t; printf old >t/b.txt
         \"$COXSWAIN\" apply --yes && exit 9 || code=$?
         cat t/b.txt; ls -A t; mount -o remount,size=1m t; \"$COXSWAIN\" apply --yes; \"$COXSWAIN\" plan
         \"$COXSWAIN\" destroy --yes; cat t/b.txt; ls -A t; exit $code",
    ) else {
        return;
    };
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("No space left on device") && ran.stdout.contains("t/b.txt"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("1 step done, 1 failed"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("olda.txt\nb.txt\n"),
        "the old content is whole, nothing else is left: {}",
        ran.stdout
    );
    assert!(ran.stdout.contains("No changes."), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("oldb.txt\n"), "given back: {}", ran.stdout);
}

#[test]
fn a_full_disk_for_the_state() {
    let project = TempProject::with(&[(
        "main.hcl",
        "mock \"m\" {\n  for_each = toset([for n in range(200) : tostring(n)])\n  input = join(\"\", [for n in range(100) : \"0123456789\"])\n}\n",
    )]);
    let Some(ran) = in_own_mounts(
        &project,
        "mkdir -m 700 .coxswain; mount -t tmpfs -o size=100k,mode=700 tmpfs .coxswain
         \"$COXSWAIN\" apply --yes >out 2>err && exit 9 || code=$?
         cat err
         \"$COXSWAIN\" state list >before && echo readable
         \"$COXSWAIN\" plan >out 2>err || echo plan $?; cat err
         mount -o remount,size=10m .coxswain
         \"$COXSWAIN\" state list >after; cmp before after && echo same
         \"$COXSWAIN\" apply --yes >out; \"$COXSWAIN\" plan >out; grep 'No changes' out; \"$COXSWAIN\" state list | wc -l; 
         [ -z \"$(find .coxswain -name '*.tmp')\" ] && echo clean; exit $code",
    ) else {
        return;
    };
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    for part in ["journal", "disk is full", "readable", "same", "No changes", "200\n", "clean"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in: {}{}", ran.stdout, ran.stderr);
    }
}

/// The binary where anybody may run it, and a command that runs it as nobody; `None` where that is not possible.
fn as_nobody(project: &TempProject, args: &[&str]) -> Option<Command> {
    let probe =
        Command::new("setpriv").args(["--reuid=65534", "--regid=65534", "--clear-groups", "true"]).status();
    if !is_root() || !probe.is_ok_and(|status| status.success()) {
        println!("skipped: no other user can be used here");
        return None;
    }
    let root = project.path().parent().unwrap().to_owned();
    let binary = root.join("coxswain");
    if !binary.exists() {
        fs::copy(env!("CARGO_BIN_EXE_coxswain"), &binary).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary).args(args);
    command.current_dir(project.path()).env("HOME", "/nonexistent").env("USER", "nobody");
    Some(command)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read() {
    let project = TempProject::with(&[
        ("main.hcl", "mock \"m\" {}\n"),
        ("closed/main.hcl", "mock \"m\" {}\n"),
        ("inside/main.hcl", "mock \"m\" {}\n"),
    ]);
    let path = project.path();
    chmod(&path.join("closed"), 0o700);
    chmod(&path.join("inside/main.hcl"), 0o600);
    for (dir, parts) in [
        ("closed", &["closed", "permission denied"][..]),
        ("inside", &["inside/main.hcl", "permission denied"]),
    ] {
        let Some(mut command) = as_nobody(&project, &["plan", "--chdir", dir]) else { return };
        fails(&within_bounds(&mut command), 1, parts);
    }
    // Where a state cannot be made, a plan still shows what would be done; an apply says why not.
    let Some(mut command) = as_nobody(&project, &["plan"]) else { return };
    within_bounds(&mut command).expect(2);
    let Some(mut command) = as_nobody(&project, &["apply", "--yes"]) else { return };
    fails(&within_bounds(&mut command), 1, &[".coxswain", "permission denied"]);
    assert!(!project.has(".coxswain"));
    // Somebody else's state.
    project.run(&["apply", "--yes"]).ok();
    let before = state_of(&project);
    for args in [&["plan"][..], &["apply", "--yes"], &["state", "list"], &["drift"]] {
        let Some(mut command) = as_nobody(&project, args) else { return };
        fails(&within_bounds(&mut command), 1, &[".coxswain", "permission denied"]);
    }
    assert_eq!(state_of(&project), before);
}

#[test]
fn what_may_not_be_written() {
    let project = TempProject::with(&[
        ("main.hcl", "file \"f\" {\n  path = \"closed/f.txt\"\n  content = \"x\"\n}\nmock \"m\" {}\n"),
        ("closed/f.txt", "theirs"),
    ]);
    chmod(&project.path(), 0o777);
    chmod(&project.path().join("closed"), 0o555);
    let Some(mut command) = as_nobody(&project, &["apply", "--yes"]) else { return };
    let ran = within_bounds(&mut command).expect(4);
    assert!(
        ran.stdout.contains("closed/f.txt") && ran.stdout.contains("Permission denied"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("1 step done, 1 failed"), "{}", ran.stdout);
    assert_eq!(project.read("closed/f.txt"), "theirs");
    let Some(mut command) = as_nobody(&project, &["plan", "--out", "closed/p.coxplan"]) else { return };
    fails(
        &within_bounds(&mut command),
        1,
        &["writing the plan to closed/p.coxplan", "permission denied", "--out"],
    );
}

#[test]
fn a_read_only_file_system() {
    let project =
        TempProject::with(&[("main.hcl", "file \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n}\n")]);
    let Some(ran) = in_own_mounts(
        &project,
        "mkdir m; mount -t tmpfs tmpfs m; cp main.hcl m; cd m; mount -o remount,ro .
         \"$COXSWAIN\" plan >/dev/null || echo plan $?; \"$COXSWAIN\" apply --yes",
    ) else {
        return;
    };
    assert!(ran.stdout.contains("plan 2"), "{}{}", ran.stdout, ran.stderr);
    fails(&ran, 1, &[".coxswain", "read-only"]);
}

#[test]
fn two_runs_at_once() {
    let project = TempProject::with(&[(
        "main.hcl",
        "mock \"m\" {\n  for_each = toset([for n in range(500) : tostring(n)])\n}\n",
    )]);
    let mut first = project.command(&["apply", "--yes", "--var-file", "/dev/null"]);
    let mut first = first.env("USER", "ann").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("done (") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the run has steps");
    }
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &first.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    signal("-STOP");
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let owner = format!("ann@{}, process {}, `coxswain apply`, since 2", hostname.trim(), first.id());
    for args in [&["apply", "--yes"][..], &["destroy", "--yes"], &["state", "rm", "mock.m[\"1\"]"]] {
        fails(&within_bounds(&mut project.command(args)), 5, &["is locked by", &owner]);
    }
    let ran = within_bounds(&mut project.command(&["apply", "--yes", "--json"])).expect(5);
    assert!(ran.stdout.contains("lock-busy") && ran.stdout.contains("ann@"), "{}", ran.stdout);
    // Looking is allowed meanwhile.
    within_bounds(&mut project.command(&["plan"])).expect(2);
    within_bounds(&mut project.command(&["state", "list"])).ok();
    signal("-CONT");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(first.wait().unwrap().success(), "{rest}");
    within_bounds(&mut project.command(&["plan"])).ok();
}

#[test]
fn a_reader_that_goes_away() {
    let many = "mock \"m\" {\n  for_each = toset([for n in range(2000) : tostring(n)])\n  input = \"some text\"\n}\n";
    let project = TempProject::with(&[("main.hcl", many)]);
    for args in [
        &["plan"][..],
        &["plan", "--json"],
        &["apply", "--yes"],
        &["state", "list"],
        &["show"],
        &["drift", "--json"],
        &["graph"],
    ] {
        let mut command = project.command(args);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let _ = child.stdout.take().unwrap().read(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !errors.contains("panicked") && matches!(output.status.code(), Some(0 | 2)),
            "{args:?}: {:?} {errors}",
            output.status
        );
    }
    // What ran went on to its end.
    let ran = within_bounds(&mut project.command(&["state", "list"])).ok();
    assert_eq!(ran.stdout.lines().count(), 2000);
}

#[test]
fn no_home_and_no_environment() {
    let project = TempProject::with(&[
        ("main.hcl", "file \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n}\n"),
        ("f.txt", "old"),
    ]);
    for args in
        [&["plan", "--out", "p.coxplan"][..], &["apply", "p.coxplan"], &["drift"], &["destroy", "--yes"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
        let ran = within_bounds(command.args(args).current_dir(project.path()).env_clear());
        assert!(matches!(ran.code, 0 | 2), "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(project.read("f.txt"), "old");
}
