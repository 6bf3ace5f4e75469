//! Scenarios: a configuration, a recorded world and a script of commands; everything that comes of it is recorded
//! beside it and compared byte for byte.
//!
//! `tests/scenarios/NAME.scenario` holds sections that begin with a line `-- NAME --`: `world.json` (hosts as
//! `world::fake` reads them), `script`, and files of the project. A file whose name begins with `WORD/` is not
//! there at first; the script line `use WORD` puts it in place. Lines before the first section say what is shown.
//! Script lines:
//!
//! ```text
//! $ plan --target file.a      runs `coxswain plan …` and records text and exit code
//! < yes                       the answers to the questions of the next command
//! use WORD                    puts the files of WORD/ in place
//! remove PATH                 removes a file of the project
//! patch HOST JSON             changes a host by hand: objects merge, null removes
//! fail HOST read|before|lost  the next such call fails (`after N` fails after N acts)
//! file PATH                   records a file of the project
//! calls                       records what was asked of the world since the last time
//! world | state | journal     records the world, the state, the journals of all runs, as they are now
//! ```
//!
//! At the end of every script calls, world, journal and state are recorded, and the JSON of the first plan. To
//! record anew: `COXSWAIN_UPDATE=1 cargo test --test scenarios`, then read the difference.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot be run has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;

use coxswain::cli::terminal::Terminal;
use coxswain::session::GivenWorld;
use coxswain::world::WorldError;
use coxswain::world::fake::{FakeWorld, Fault};
use coxswain_state::{Fresh, LocalBackend, Owner, Store};
use libtest_mimic::{Arguments, Failed, Trial};
use regex::Regex;

/// Where scenarios and records are.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn main() {
    let arguments = Arguments::from_args();
    let mut names: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".scenario")?.to_owned()))
        .collect();
    names.sort();
    let trials = names.into_iter().map(|name| Trial::test(name.clone(), move || check(&name))).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn check(name: &str) -> Result<(), Failed> {
    let scenario = fs::read_to_string(directory().join(format!("{name}.scenario"))).unwrap();
    let record = directory().join(format!("{name}.out"));
    let got = Play::new(&scenario).run()?;
    if std::env::var_os("COXSWAIN_UPDATE").is_some() {
        fs::write(&record, got).unwrap();
        return Ok(());
    }
    let wanted = fs::read_to_string(&record).unwrap_or_default();
    if got == wanted {
        return Ok(());
    }
    let difference =
        similar::TextDiff::from_lines(&wanted, &got).unified_diff().context_radius(4).to_string();
    Err(format!("{name} is not as recorded:\n{difference}").into())
}

/// The project and the world of one scenario.
struct Play<'s> {
    sections: Vec<(&'s str, &'s str)>,
    project: tempfile::TempDir,
    world: FakeWorld,
    answers: Vec<String>,
    out: String,
    first_plan: Option<String>,
}

impl<'s> Play<'s> {
    fn new(scenario: &'s str) -> Play<'s> {
        let sections = sections(scenario);
        let world = sections.iter().find(|(name, _)| *name == "world.json").map_or("{}", |(_, text)| text);
        let world = FakeWorld::from_json(world).expect("world.json is a world");
        let project = tempfile::tempdir().unwrap();
        Play { sections, project, world, answers: Vec::new(), out: String::new(), first_plan: None }
    }

    fn run(mut self) -> Result<String, Failed> {
        self.make_state(".coxswain");
        for name in self.sections.iter().filter_map(|(name, _)| name.strip_prefix("env/")) {
            self.make_state(&format!(".coxswain/env/{}", name.trim_end_matches(".hclvars")));
        }
        self.place("");
        let script = self.sections.iter().find(|(name, _)| *name == "script").ok_or("there is no script")?.1;
        for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            writeln!(self.out, "=== {line}").unwrap();
            self.line(line)?;
        }
        for what in ["calls", "world", "journal", "state"] {
            writeln!(self.out, "=== at the end: {what}").unwrap();
            self.line(what)?;
        }
        if let Some(plan) = self.first_plan.take() {
            write!(self.out, "=== the first plan as JSON\n{plan}").unwrap();
        }
        Ok(self.out)
    }

    /// An empty state whose lineage and key are the same every time.
    fn make_state(&self, directory: &str) {
        let fresh = Fresh { lineage: "a-lineage".into(), key: [7; coxswain_state::KEY_BYTES].into() };
        let owner = Owner {
            user: "u".into(),
            host: "h".into(),
            pid: 1,
            command: "test".into(),
            started: "1970-01-01T00:00:00Z".into(),
        };
        let backend = LocalBackend::new(self.path(directory));
        Store::open(Box::new(backend), &owner, fresh).expect("a new state");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// Puts the files of a step in place; those without a step are there from the beginning.
    fn place(&self, step: &str) {
        for (name, text) in &self.sections {
            let file = match (step, name.split_once("/")) {
                (_, _) if matches!(*name, "script" | "world.json") => continue,
                ("", None) => name,
                ("", Some((word, _))) if !word.starts_with("use-") => name,
                (step, Some((word, rest))) if word == format!("use-{step}") => rest,
                _ => continue,
            };
            let path = self.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn line(&mut self, line: &str) -> Result<(), Failed> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "$" => self.command(rest),
            "<" => self.answers.push(rest.to_owned()),
            "use" => {
                let prefix = format!("use-{rest}/");
                if !self.sections.iter().any(|(name, _)| name.starts_with(&prefix)) {
                    return Err(format!("there are no files of {prefix}").into());
                }
                self.place(rest);
            }
            "remove" => fs::remove_file(self.path(rest))?,
            "file" => {
                let text = fs::read_to_string(self.path(rest))?;
                self.out += &self.plain(&text);
            }
            "patch" => {
                let (host, patch) = rest.split_once(' ').ok_or("patch HOST JSON")?;
                self.world.patch(host, &serde_json::from_str(patch)?)?;
            }
            "fail" => self.fail(rest)?,
            "calls" => {
                let calls = self.world.calls();
                self.world.clear_calls();
                calls.iter().for_each(|call| writeln!(self.out, "{call}").unwrap());
            }
            "world" => {
                let world = self.world.to_json();
                writeln!(self.out, "{world}").unwrap();
            }
            "journal" => self.journal()?,
            "state" => {
                let state = fs::read_to_string(self.path(".coxswain/state.json"))?;
                self.out += &self.plain(&state);
            }
            other => return Err(format!("`{other}` is not a word of scripts").into()),
        }
        Ok(())
    }

    fn command(&mut self, line: &str) {
        let words = words(line);
        if self.first_plan.is_none() && matches!(words[0].as_str(), "plan" | "apply" | "destroy") {
            let as_plan = words.iter().filter(|w| !w.starts_with("--yes") && !w.starts_with("--out"));
            let mut as_plan: Vec<String> = as_plan.cloned().collect();
            if as_plan[0] == "destroy" {
                as_plan.push("--destroy".into());
            }
            as_plan[0] = "plan".into();
            as_plan.retain(|w| w != "--markdown");
            as_plan.push("--json".into());
            // In a copy of the world, so that it takes no fault and leaves no call.
            let copy = FakeWorld::from_json(&self.world.to_json()).expect("a world reads what it writes");
            let world = std::mem::replace(&mut self.world, copy);
            self.first_plan = Some(self.coxswain(&as_plan, &[]).0);
            self.world = world;
        }
        let answers = std::mem::take(&mut self.answers);
        let (text, code) = self.coxswain(&words, &answers);
        writeln!(self.out, "{text}--- exit {code}").unwrap();
    }

    fn coxswain(&self, words: &[String], answers: &[String]) -> (String, u8) {
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let terminal = Arc::new(Terminal::kept(&answers));
        let project = self.project.path().as_os_str().to_owned();
        let args = ["coxswain".into(), "--chdir".into(), project];
        let args = args.into_iter().chain(words.iter().map(|word| self.at_home(word).into()));
        let world = GivenWorld(Some(Arc::new(self.world.clone())));
        let exit = coxswain::cli::run_in(args, Arc::clone(&terminal), world);
        (self.plain(&terminal.text()), exit as u8)
    }

    /// `@name` is a file in the project.
    fn at_home(&self, word: &str) -> String {
        match word.strip_prefix('@') {
            Some(name) => self.path(name).to_string_lossy().into_owned(),
            None => word.to_owned(),
        }
    }

    fn fail(&self, rest: &str) -> Result<(), Failed> {
        let words: Vec<&str> = rest.split(' ').collect();
        let broken = WorldError::Broken { endpoint: words[0].to_owned(), reason: "connection reset".into() };
        let fault = match words[1..] {
            ["read"] => Fault::Read(WorldError::Unreachable {
                endpoint: words[0].to_owned(),
                reason: "connection refused".into(),
            }),
            ["before"] => Fault::Before(broken),
            ["after", n] => Fault::After(n.parse()?, broken),
            ["lost"] => Fault::Lost(broken),
            _ => return Err("fail HOST read|before|after N|lost".into()),
        };
        self.world.fail_next(words[0], fault);
        Ok(())
    }

    fn journal(&mut self) -> Result<(), Failed> {
        let backend = LocalBackend::new(self.path(".coxswain"));
        for serial in coxswain_state::history(&backend)? {
            for entry in coxswain_state::read_history_journal(&backend, serial)? {
                let line = self.plain(&serde_json::to_string(&entry)?);
                writeln!(self.out, "{line}").unwrap();
            }
        }
        Ok(())
    }

    /// Text without what is different every time: times, run ids, the place of the project.
    fn plain(&self, text: &str) -> String {
        static TIME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap());
        static UUID: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
        static TOOK: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"("took_ms":)\d+|\(\d+(\.\d+)? m?s\)"#).unwrap());
        // Sums over bytes with times in them.
        static SUM: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"("folded":"|"sum":"sha256:)[0-9a-f]{64}"#).unwrap());
        // When drift was last looked for, as Prometheus has it.
        static SINCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(timestamp_seconds) \d+").unwrap());
        let text = text.replace(&*self.project.path().to_string_lossy(), "<project>");
        let text = TIME.replace_all(&text, "<time>");
        let text = UUID.replace_all(&text, "<uuid>");
        let text = SUM.replace_all(&text, "$1<sum>");
        let text = SINCE.replace_all(&text, "$1 <time>");
        TOOK.replace_all(&text, "$1<took>").into_owned()
    }
}

/// The sections of a scenario.
fn sections(text: &str) -> Vec<(&str, &str)> {
    let heading = |line: &str| -> bool { line.starts_with("-- ") && line.trim_end().ends_with(" --") };
    let mut found = Vec::new();
    let mut at = 0;
    let mut open: Option<(&str, usize)> = None;
    for line in text.split_inclusive('\n') {
        if heading(line) {
            if let Some((name, start)) = open {
                found.push((name, &text[start..at]));
            }
            let name = line.trim_end().trim_start_matches("-- ").trim_end_matches(" --");
            open = Some((name, at + line.len()));
        }
        at += line.len();
    }
    if let Some((name, start)) = open {
        found.push((name, &text[start..]));
    }
    found
}

/// Words between blanks; '…' keeps blanks and double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}
