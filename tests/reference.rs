//! The reference below `docs/reference` is made from the tables of the program: kinds, functions, commands. The page
//! of diagnostics is written by hand and must name every code there is.
//!
//! `COXSWAIN_UPDATE=1 cargo test --test reference` writes the pages anew.

#![expect(clippy::unwrap_used, reason = "a page that cannot be made has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use coxswain_lang::eval::LAZY_FUNCTIONS;
use coxswain_lang::functions::{FUNCTIONS, Param};
use coxswain_model::schema::{Attr, AttrType, Class, Presence};
use regex::Regex;

const MADE: &str = "<!-- Made by tests/reference.rs from the program's own tables; do not edit. -->\n";

/// Codes that no test shows: no kind refuses or cannot remove anything yet, no state has been written by another
/// version, and the longest file that can be kept is longer than a test should be.
const UNTESTED: &[&str] = &["file-too-long", "not-ours", "not-removable", "unknown-kind"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn check_page(name: &str, text: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("COXSWAIN_UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{} is not what the program says: COXSWAIN_UPDATE=1 writes it anew",
        path.display()
    );
}

fn type_name(ty: &AttrType) -> String {
    match ty {
        AttrType::Any => "any".into(),
        AttrType::Str => "text".into(),
        AttrType::Num => "number".into(),
        AttrType::Bool => "bool".into(),
        AttrType::Mode => "file mode".into(),
        AttrType::Path => "path".into(),
        AttrType::List(of) => format!("list of {}", type_name(of)),
        AttrType::Set(of) => format!("set of {}", type_name(of)),
        AttrType::Map(of) => format!("map of {}", type_name(of)),
        AttrType::Object { fields, .. } => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name, type_name(&f.ty))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        AttrType::Ref([]) => "any resource".into(),
        AttrType::Ref(kinds) => kinds.join(" or "),
        AttrType::OneOf(words) => words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "),
    }
}

fn remarks(attr: &Attr) -> String {
    let mut words = Vec::new();
    match attr.presence {
        Presence::Required => words.push("required".to_owned()),
        Presence::Default(value) => words.push(format!("default `{value}`")),
        Presence::Optional | Presence::ReadOnly => {}
    }
    match attr.class {
        Class::Identity => words.push("names the object".into()),
        Class::Setting => words.push("not compared with the world".into()),
        Class::Fact => words.push("read from the world".into()),
        Class::Computed => words.push("known after apply".into()),
        Class::Owned => {}
    }
    if attr.sensitive {
        words.push("sensitive".into());
    }
    if attr.replaces {
        words.push("a change replaces the object".into());
    }
    words.join(", ")
}

#[test]
fn kinds_are_described() {
    let mut page = format!(
        "{MADE}\n# Resource kinds\n\nEvery kind also takes `for_each`, `count`, `enabled` (unless it has an attribute of that name), `depends_on` and the\nblocks `lifecycle`, `timeouts`, `retry` and `rollout`.\n"
    );
    for schema in coxswain::resource::KINDS.iter().map(|k| k.schema()).filter(|s| s.documented) {
        write!(
            page,
            "\n## `{}`\n\n{} {}\n\n```hcl\n{}```\n",
            schema.kind, schema.summary, schema.doc, schema.example
        )
        .unwrap();
        for (title, is_argument) in [("Arguments", true), ("Attributes beside them", false)] {
            let attrs: Vec<&Attr> =
                schema.attributes.iter().filter(|a| a.is_argument() == is_argument).collect();
            if attrs.is_empty() {
                continue;
            }
            write!(page, "\n| {title} | Type | | |\n|---|---|---|---|\n").unwrap();
            for attr in attrs {
                writeln!(
                    page,
                    "| `{}` | {} | {} | {} |",
                    attr.name,
                    type_name(&attr.ty),
                    remarks(attr),
                    attr.doc
                )
                .unwrap();
            }
        }
    }
    check_page("kinds.md", &page);
}

#[test]
fn functions_are_described() {
    let mut rows: Vec<(String, String, &str)> = Vec::new();
    for f in FUNCTIONS {
        let mut params: Vec<String> = f.params.iter().map(|p: &Param| p.name.to_owned()).collect();
        params.extend(f.variadic.iter().map(|p| format!("{}...", p.name)));
        rows.push((
            format!("{}({})", f.name, params.join(", ")),
            format!("{} = {}", f.example.0, f.example.1),
            f.doc,
        ));
    }
    for f in LAZY_FUNCTIONS {
        rows.push((format!("{}({})", f.name, f.params.join(", ")), f.example.to_owned(), f.doc));
    }
    rows.sort();
    let mut page = format!("{MADE}\n# Functions\n\n| Function | | Example |\n|---|---|---|\n");
    for (call, example, doc) in rows {
        writeln!(page, "| `{call}` | {doc} | `{}` |", example.replace('|', "\\|")).unwrap();
    }
    check_page("functions.md", &page);
}

fn describe(command: &clap::Command, path: &str, page: &mut String) {
    let mut command = command.clone().bin_name(path).term_width(100);
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    let subs: Vec<clap::Command> =
        command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
    for sub in subs {
        describe(&sub, &format!("{path} {}", sub.get_name()), page);
    }
}

#[test]
fn commands_are_described() {
    let mut page = format!("{MADE}\n# Commands\n");
    describe(&coxswain::cli::command(), "coxswain", &mut page);
    check_page("commands.md", &page);
}

fn sources(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "out" || e == "txt") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// The codes on the page: `### code`.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/diagnostics.md")).unwrap();
    let rows = page.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// The code that ships, and the tests.
fn shipped_and_tests() -> (String, String) {
    let (mut code, mut tests) = (Vec::new(), Vec::new());
    for dir in ["src", "crates/lang/src", "crates/model/src"] {
        sources(&root().join(dir), &mut code);
    }
    sources(&root().join("tests"), &mut tests);
    sources(&root().join("crates/lang/tests"), &mut tests);
    let mut shipped = String::new();
    let mut tested: String = tests.into_iter().map(|(_, text)| text).collect();
    for (path, text) in code {
        let is_test = path.components().any(|c| c.as_os_str() == "tests") || path.ends_with("tests.rs");
        let (ships, test) = if is_test {
            ("", text.as_str())
        } else {
            text.split_at(text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len()))
        };
        shipped += ships;
        tested += test;
    }
    (shipped, tested)
}

#[test]
fn every_diagnostic_is_documented_and_tested() {
    let (shipped, tested) = shipped_and_tests();
    let documented = documented();
    let made = Regex::new(r#"(?:Diagnostic::(?:error|warning)\(|self\.wrong\()\s*"([a-z-]+)""#).unwrap();
    let used: BTreeSet<String> = made.captures_iter(&shipped).map(|c| c[1].to_owned()).collect();
    let undocumented: Vec<&String> = used.difference(&documented).collect();
    assert!(undocumented.is_empty(), "docs/diagnostics.md does not name {undocumented:?}");
    let gone: Vec<&String> = documented.iter().filter(|c| !shipped.contains(&format!("\"{c}\""))).collect();
    assert!(gone.is_empty(), "docs/diagnostics.md names what is not there: {gone:?}");
    let is_tested = |code: &&String| {
        tested.contains(&format!("[{code}]"))
            || tested.contains(&format!("-- {code} --"))
            || tested.contains(&format!("\"{code}\""))
    };
    let untested: Vec<&String> =
        documented.iter().filter(|c| !is_tested(c) && !UNTESTED.contains(&c.as_str())).collect();
    assert!(untested.is_empty(), "no test shows {untested:?}");
}
