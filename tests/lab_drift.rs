//! Every owned attribute of every kind, changed behind coxswain's back on a real machine: found by `drift`, nothing
//! else reported, repaired by `apply`.
//!
//! What is changed, and how, is in `tests/lab/drift/KIND.drift`, or `KIND.WHAT.drift` for more than one: text before the first section is a comment;
//! `-- config --` is the configuration of one resource with the label "x" on `host.nfs`; `-- prepare --` is run on
//! the machine before the first apply; `-- tier full --` says that it needs a kernel of its own; every other section
//! is named after the attributes that its commands change. An attribute without a section fails
//! [`every_owned_attribute_has_its_case`].

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use coxswain::resource::KINDS;
use coxswain_model::Class;
use coxswain_model::schema::Placement;
use libtest_mimic::{Arguments, Failed, Trial};

use support::machines::{Machines, Tier};

/// Attributes that no command can change alone, each with its reason.
const EXEMPT: &[(&str, &str)] = &[
    ("command.done", "a command whose mark is gone is gone as a whole"),
    ("command.triggers", "the world does not know what a command was done with"),
    ("group.gid", "the number of a group that is there is never changed back"),
    ("snap.classic", "snapd does not change the confinement of a snap that is installed"),
    ("user.uid", "the number of a user that is there is never changed back"),
];

/// The cases of one kind.
#[derive(Debug, Default)]
struct Cases {
    config: String,
    prepare: String,
    full: bool,
    /// Attributes, and the commands that change them.
    breaks: Vec<(BTreeSet<String>, String)>,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/drift")
}

fn read(text: &str) -> Cases {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- ").and_then(|l| l.strip_suffix(" --")) {
            sections.push((name.to_owned(), String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    let mut cases = Cases::default();
    for (name, body) in sections {
        match name.as_str() {
            "config" => cases.config = body,
            "prepare" => cases.prepare = body,
            "tier full" => cases.full = true,
            names => {
                let names = names.split('+').map(|n| n.trim().to_owned()).collect();
                cases.breaks.push((names, body));
            }
        }
    }
    cases
}

fn all() -> BTreeMap<String, Cases> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory()).expect("tests/lab/drift") {
        let path = entry.expect("an entry").path();
        let kind = path.file_stem().expect("a name").to_string_lossy().into_owned();
        all.insert(kind, read(&fs::read_to_string(&path).expect("a text")));
    }
    all
}

/// Every owned attribute of a kind that lives on hosts is broken somewhere.
fn every_owned_attribute_has_its_case() -> Result<(), Failed> {
    let all = all();
    let mut lacking = Vec::new();
    for kind in KINDS.iter().map(|k| k.schema()) {
        if matches!(kind.placement, Placement::IsHost | Placement::Nowhere) || !kind.documented {
            continue;
        }
        let cases: Vec<&Cases> =
            all.iter().filter(|(name, _)| kind_of(name) == kind.kind).map(|(_, c)| c).collect();
        for attr in kind.attributes.iter().filter(|a| a.class == Class::Owned) {
            let name = format!("{}.{}", kind.kind, attr.name);
            let is_broken = cases.iter().any(|c| c.breaks.iter().any(|(names, _)| names.contains(attr.name)));
            if !is_broken && !EXEMPT.iter().any(|(exempt, _)| *exempt == name) {
                lacking.push(name);
            }
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(format!("no test changes these behind coxswain's back (tests/lab/drift): {lacking:?}").into())
}

/// The kind in a file's name.
fn kind_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn check(name: &str, cases: &Cases) -> Result<(), Failed> {
    let kind = kind_of(name);
    let tier = if cases.full { Tier::Full } else { Tier::Fast };
    let Some(machines) = Machines::up(tier, &["nfs"]) else { return Ok(()) };
    if !cases.prepare.is_empty() {
        machines.at("nfs", &cases.prepare).ok();
    }
    machines.write(&cases.config);
    machines.apply().ok();
    machines.expect_no_op();
    let mut problems = Vec::new();
    for (names, commands) in &cases.breaks {
        let broken = machines.at("nfs", commands);
        if broken.code != 0 {
            problems.push(format!("{names:?}: the commands failed: {}", broken.stderr));
            continue;
        }
        let expected: Vec<String> = names.iter().map(|name| format!("{kind}.x.{name}")).collect();
        let found = machines.drifted();
        if found != expected {
            problems.push(format!("{names:?}: drift found {found:?}, not {expected:?}"));
        }
        let repaired = machines.apply();
        if repaired.code != 0 {
            problems.push(format!("{names:?}: apply exited with {}: {}", repaired.code, repaired.stdout));
        }
        let plan = machines.run(&["plan"]);
        if plan.code != 0 {
            problems.push(format!("{names:?}: it is not repaired: {}", plan.stdout));
        }
    }
    machines.destroy().ok();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials =
        vec![Trial::test("every_owned_attribute_has_its_case", every_owned_attribute_has_its_case)];
    for (name, cases) in all() {
        trials.push(Trial::test(name.clone(), move || check(&name, &cases)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
