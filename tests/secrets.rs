//! A sensitive value is nowhere but where the configuration puts it: in no output of any command, no plan, no state,
//! no journal and no argument of a process.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Ran, TempProject, run, tree};

/// The planted value; nothing else contains it.
const SECRET: &str = "Pl4nted-s3cret-value";

const VARIABLE: &str = "variable \"token\" {\n  type      = string\n  sensitive = true\n}\n";

const EVERYWHERE: &str = r#"
file "content" {
  path    = "content.txt"
  content = "token=${var.token}\nline\n"
}
file "template" {
  path    = "template.txt"
  content = templatefile("t.tmpl", { token = var.token })
  mode    = "0600"
}
file "made" {
  path    = "made.txt"
  content = jsonencode({ inner = [upper(var.token), var.token] })
}
file "was" {
  path    = "was.txt"
  content = var.token
}
module "inner" {
  source = "./inner"
  given  = var.token
}
mock "m" { input = { token = var.token, list = ["a", var.token], plain = 1 } }
mock "n" { input = var.token }
mock "o" { input = mock.n.input }
output "token" {
  value     = { inner = var.token }
  sensitive = true
}
output "plain" { value = nonsensitive(length(var.token)) }
"#;

/// A configuration of `text` with the variable; the tests give the value in several ways.
fn project(text: &str) -> TempProject {
    TempProject::with(&[
        ("main.hcl", &format!("{VARIABLE}{text}")),
        ("t.tmpl", "T ${token}\n"),
        ("was.txt", "first\n"),
        ("inner/main.hcl", "variable \"given\" {}\nmock \"inside\" { input = var.given }\n"),
    ])
}

/// The command with the value in the environment, where a process list does not show it.
fn with_secret(project: &TempProject, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("COXSWAIN_VAR_token", SECRET);
    command
}

#[track_caller]
fn says_nothing(ran: &Ran, context: &str) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!contains(text.as_bytes()), "{context} shows it:\n{text}");
    }
    assert!(!ran.stderr.contains("panicked"), "{context}: {}", ran.stderr);
}

/// Whether the value is in there, as it is or encoded in the usual ways.
fn contains(bytes: &[u8]) -> bool {
    let upper = SECRET.to_uppercase();
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    [SECRET, &upper, &hex]
        .iter()
        .any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

/// No file of the state and no plan holds the value, and nobody else may read the state.
#[track_caller]
fn kept_nowhere(project: &TempProject, context: &str) {
    let state = project.path().join(".coxswain");
    for name in
        tree::names(&state).into_iter().chain([project.path().join("p.coxplan").display().to_string()])
    {
        let path = Path::new(&name);
        let Ok(meta) = fs::metadata(path) else { continue };
        let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(meta.permissions().mode() & 0o7777, wanted, "{context}: {name}");
        if meta.is_file() {
            assert!(!contains(&fs::read(path).unwrap()), "{context}: it is in {name}");
        }
    }
    let mode = fs::metadata(&state).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o700, "{context}");
}

/// Runs to the end and gathers the arguments of every process that is there meanwhile.
fn watched(mut command: Command) -> (i32, BTreeSet<Vec<u8>>) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut seen = BTreeSet::new();
    loop {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            if entry.file_name().as_bytes().iter().all(u8::is_ascii_digit)
                && let Ok(line) = fs::read(entry.path().join("cmdline"))
            {
                seen.insert(line);
            }
        }
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), seen);
        }
    }
}

/// What looks at the world, the state or a plan.
const LOOKS: &[&[&str]] = &[
    &["plan"],
    &["plan", "--json"],
    &["plan", "--out", "p.coxplan"],
    &["validate"],
    &["validate", "--json"],
    &["show"],
    &["show", "--json"],
    &["show", "p.coxplan"],
    &["show", "p.coxplan", "--json"],
    &["show", "p.coxplan", "--markdown"],
    &["graph"],
    &["graph", "p.coxplan"],
    &["graph", "p.coxplan", "--format", "mermaid"],
    &["drift"],
    &["drift", "--json"],
    &["output"],
    &["output", "--json"],
    &["output", "token"],
    &["output", "token", "--json"],
    &["state", "list"],
    &["state", "list", "--json"],
    &["state", "show", "file.content"],
    &["state", "show", "mock.m", "--json"],
    &["state", "history"],
    &["state", "history", "--json"],
];

#[track_caller]
fn look(project: &TempProject, context: &str) {
    for args in LOOKS {
        let context = format!("{context}: {args:?}");
        says_nothing(&run(&mut with_secret(project, args)), &context);
    }
    kept_nowhere(project, context);
}

#[test]
fn nothing_shows_it_in_a_whole_life() {
    let project = project(EVERYWHERE);
    look(&project, "before");
    let (code, lines) = watched(with_secret(&project, &["apply", "--yes"]));
    assert_eq!(code, 0);
    let shown: Vec<_> = lines.iter().filter(|line| contains(line)).collect();
    assert!(shown.is_empty(), "arguments: {shown:?}");
    assert!(lines.iter().any(|line| line.starts_with(b"/bin/sh\0")), "the shell was seen at work");
    assert!(project.read("content.txt").contains(SECRET) && project.read("made.txt").contains(SECRET));
    look(&project, "applied");
    run(&mut with_secret(&project, &["plan"])).ok();
    run(&mut with_secret(&project, &["drift"])).ok();

    // Changed by hand: what is there now may still be the value.
    project.write("content.txt", format!("token={SECRET} and more\n"));
    project.write("made.txt", format!("{SECRET}\n"));
    look(&project, "drifted");
    let ran = run(&mut with_secret(&project, &["apply", "--yes", "--json"])).ok();
    says_nothing(&ran, "apply --json");
    look(&project, "mended");

    // Another value: neither the old nor the new one.
    let mut command = project.command(&["plan"]);
    let ran = run(command.env("COXSWAIN_VAR_token", format!("{SECRET}-2"))).expect(2);
    says_nothing(&ran, "another value");
    let mut command = project.command(&["apply", "--yes"]);
    says_nothing(&run(command.env("COXSWAIN_VAR_token", format!("{SECRET}-2"))).ok(), "another value");
    look(&project, "another value");

    // It is no secret any more: the old value still was.
    project.write(
        "main.hcl",
        format!("{}{EVERYWHERE}", VARIABLE.replace("sensitive = true", "default = \"open\"")),
    );
    for args in LOOKS {
        says_nothing(&project.run(args), &format!("not sensitive any more: {args:?}"));
    }
    project.write("main.hcl", format!("{VARIABLE}{EVERYWHERE}"));

    says_nothing(&run(&mut with_secret(&project, &["destroy", "--yes"])).ok(), "destroy");
    look(&project, "destroyed");
    assert_eq!(project.read("was.txt"), "first\n");
}

#[test]
fn the_state_alone_is_enough_to_keep_it() {
    let project = project(EVERYWHERE);
    run(&mut with_secret(&project, &["apply", "--yes"])).ok();
    // `drift` and `destroy` of what is gone from the configuration need no variable.
    says_nothing(&project.run(&["drift"]).ok(), "drift");
    project.write("content.txt", format!("{SECRET}{SECRET}"));
    says_nothing(&project.run(&["drift"]).expect(3), "drift");
    says_nothing(&project.run(&["drift", "--json"]).expect(3), "drift --json");
    let metrics = project.path().join("metrics.prom");
    says_nothing(
        &project.run(&["drift", "--metrics", metrics.to_str().unwrap()]).expect(3),
        "drift --metrics",
    );
    assert!(!contains(&fs::read(metrics).unwrap()));
}

#[test]
fn every_way_of_giving_it() {
    for way in ["environment", "argument", "file"] {
        let project = project(EVERYWHERE);
        project.write("secret.hclvars", format!("token = \"{SECRET}\"\n"));
        let argument = format!("token={SECRET}");
        let more: &[&str] = match way {
            "argument" => &["--var", &argument],
            "file" => &["--var-file", "secret.hclvars"],
            _ => &[],
        };
        let command = |args: &[&str]| {
            let mut command = project.command(&[args, more].concat());
            if way == "environment" {
                command.env("COXSWAIN_VAR_token", SECRET);
            }
            run(&mut command)
        };
        says_nothing(&command(&["plan", "--out", "p.coxplan"]).expect(2), way);
        says_nothing(&command(&["apply", "p.coxplan"]).ok(), way);
        says_nothing(&command(&["plan"]).ok(), way);
        kept_nowhere(&project, way);
    }
}

/// The run fails, or does not, and does not show the value.
#[track_caller]
fn check_expression(expression: &str) {
    let project = project(&format!("mock \"m\" {{ input = {expression} }}\n"));
    for args in [&["plan"][..], &["plan", "--json"], &["validate"], &["apply", "--yes"], &["show"]] {
        says_nothing(&run(&mut with_secret(&project, args)), &format!("{expression}: {args:?}"));
    }
    kept_nowhere(&project, expression);
}

#[test]
fn a_failing_expression_does_not_show_it() {
    for expression in [
        "tonumber(var.token)",
        "tobool(var.token)",
        "jsondecode(var.token)",
        "yamldecode(\"a: [${var.token}\")",
        "csvdecode(\"a\\n\\\"${var.token}\")",
        "base64decode(\"${var.token}!\")",
        "regex(\"^x$\", var.token)",
        "regex(\"(${var.token}\", \"x\")",
        "parseint(var.token, 10)",
        "format(\"%d\", var.token)",
        "timeadd(var.token, \"1h\")",
        "cidrhost(var.token, 1)",
        "{ a = 1 }[var.token]",
        "[1, 2][var.token]",
        "lookup({}, var.token)",
        "merge(var.token, {})",
        "one([var.token, var.token])",
        "var.token + 1",
        "var.token ? 1 : 2",
        "var.token.inner",
        "[for x in var.token : x]",
        "{ for k in [var.token, var.token] : k => 1 }",
        "{ (var.token) = 1 }",
        "toset([var.token])",
        "file(var.token)",
        "templatefile(var.token, {})",
        "fileset(var.token, \"*\")",
        "fileexists(var.token)",
        "templatefile(\"t.tmpl\", { token = var.token, n = tonumber(var.token) })",
    ] {
        check_expression(expression);
    }
}

#[test]
fn a_wrong_argument_does_not_show_it() {
    for text in [
        "file \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n  mode = var.token\n}\n",
        "file \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n  owner = \"${var.token}:x\"\n}\n",
        "file \"f\" {\n  path = \"f.txt\"\n  source = var.token\n}\n",
        "file \"f\" {\n  path = \"f.txt\"\n  content = \"x\"\n  uid = var.token\n}\n",
        "locals {\n  v = var.token\n}\nvariable \"w\" {\n  default = 1\n  validation {\n    condition = var.w == local.v\n    error_message = \"not ${local.v}\"\n  }\n}\n",
        "directory \"d\" {\n  path = \"d\"\n  lifecycle {\n    on_destroy = var.token\n  }\n}\n",
    ] {
        let project = project(text);
        for args in [&["plan"][..], &["plan", "--json"], &["apply", "--yes"]] {
            let ran = run(&mut with_secret(&project, args));
            says_nothing(&ran, &format!("{text}: {args:?}"));
        }
    }
}

#[test]
fn keys_and_names_cannot_be_sensitive() {
    for (text, wanted) in [
        ("mock \"m\" { for_each = toset([var.token]) }\n", "cannot be sensitive"),
        ("mock \"m\" { for_each = { (var.token) = 1 } }\n", "cannot be sensitive"),
        ("mock \"m\" { count = length(var.token) }\n", "cannot be sensitive"),
        ("file \"f\" {\n  path = \"${var.token}.txt\"\n  content = \"x\"\n}\n", "`path` cannot be sensitive"),
    ] {
        let project = project(text);
        for args in [&["plan"][..], &["apply", "--yes"]] {
            let ran = run(&mut with_secret(&project, args)).expect(1);
            says_nothing(&ran, text);
            assert!(ran.stderr.contains(wanted), "{text}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_wrong_value_of_the_variable_is_not_shown() {
    let number = "variable \"token\" {\n  type      = number\n  sensitive = true\n}\nmock \"m\" { input = var.token }\n";
    let checked = r#"
variable "token" {
  type      = string
  sensitive = true
  validation {
    condition     = length(var.token) > 100
    error_message = "too short: ${var.token}"
  }
}
mock "m" { input = var.token }
"#;
    for text in [number, checked] {
        let project = TempProject::with(&[("main.hcl", text)]);
        let ran = run(&mut with_secret(&project, &["plan"])).expect(1);
        says_nothing(&ran, text);
        assert!(ran.stderr.contains("var.token"), "{}", ran.stderr);
        let argument = format!("token={SECRET}");
        says_nothing(&project.run(&["plan", "--var", &argument]).expect(1), text);
    }
}

#[test]
fn a_damaged_file_of_variables_is_not_shown() {
    let project = project("mock \"m\" { input = var.token }\n");
    for (name, text) in [
        ("no quotes", format!("token = {SECRET}\n")),
        ("a word without quotes", "token = Pl4nted_s3cret\n".to_owned()),
        ("no end", format!("token = \"{SECRET}\n")),
        ("two", format!("token = \"{SECRET}\" \"{SECRET}\"\n")),
        ("no name", format!("\"{SECRET}\"\n")),
        ("a block", format!("token {{\n  x = \"{SECRET}\"\n}}\n")),
        ("a list", format!("token = [\n  \"{SECRET}\",\n  \"{SECRET}\n]\n")),
        ("a heredoc", format!("token = <<EOT\n{SECRET}\n")),
        ("a call", format!("token = file(\"{SECRET}\")\n")),
        ("a template", format!("token = \"{SECRET} ${{x}}\"\n")),
    ] {
        project.write("v.hclvars", &text);
        for args in [&["plan", "--var-file", "v.hclvars"][..], &["plan", "--json", "--var-file", "v.hclvars"]]
        {
            let ran = project.run(args).expect(1);
            says_nothing(&ran, name);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("Pl4nted"), "{name}: {}", ran.stderr);
            assert!(
                format!("{}{}", ran.stdout, ran.stderr).contains("v.hclvars"),
                "{name}: {}{}",
                ran.stdout,
                ran.stderr
            );
        }
    }
}

#[test]
fn a_sensitive_output_is_a_clear_error() {
    let project = project(EVERYWHERE);
    run(&mut with_secret(&project, &["apply", "--yes"])).ok();
    let ran = project.run(&["output", "token"]).expect(1);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("reading the output `token`") && ran.stderr.contains("sensitive"),
        "{}",
        ran.stderr
    );
    assert_eq!(project.run(&["output", "plain"]).ok().stdout, format!("{}\n", SECRET.len()));
}
