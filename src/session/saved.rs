//! Plan files: the plan with the configuration and the variables it was made from. Nothing sensitive is in one;
//! sensitive variables are given again, and their keyed digests checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use coxswain_lang::eval::{FileAnswer, Need};
use coxswain_model::json;
use sha2::{Digest as _, Sha256};

use super::files::{Files, answer, reason};
use super::{Failure, Options, Registry, Session, Sources, declared, is_configuration, states, variables};
use crate::config;
use crate::graph::{Given, GivenValue, Inputs};
use crate::plan::{Plan, SavedPlan};

/// Most bytes a plan file may have.
const LIMIT: u64 = 512 * 1024 * 1024;

/// Writes the plan file: 0600, temporary name, fsync, rename.
pub(super) fn save(session: &Session, plan: &Plan, path: &Path) -> Result<(), Failure> {
    let digester = states::load(&session.options)?.1;
    let digest = |bytes: &[u8]| digester.digest(bytes);
    let text = |bytes: &Arc<[u8]>| String::from_utf8_lossy(bytes).into_owned();
    let saved = SavedPlan {
        plan: plan.clone(),
        files: session
            .files
            .bytes
            .iter()
            .filter(|(name, _)| is_configuration(name))
            .map(|(name, bytes)| (name.clone(), text(bytes)))
            .collect(),
        reads: session
            .inputs
            .files
            .iter()
            .filter_map(|(need, answer)| Some((name_of(need)?, answer_digest(answer.as_ref().ok()?))))
            .collect(),
        variables: session.variable_values(&digest),
        created: states::now(),
    };
    let bytes =
        saved.to_bytes().map_err(|e| Failure::other("writing the plan", e.to_string(), "report this"))?;
    states::write_file(path, &bytes).map_err(|e| {
        Failure::other(
            format!("writing the plan to {}", path.display()),
            reason(&e),
            "choose another place with --out",
        )
    })
}

/// A read as the plan file names it.
fn name_of(need: &Need) -> Option<String> {
    match need {
        Need::File(path) => Some(format!("file {}", path.display())),
        Need::FileExists(path) => Some(format!("exists {}", path.display())),
        Need::FileSet(dir, pattern) => Some(format!("set {pattern} {}", dir.display())),
        Need::Node(_) | Need::Instance(_) => None,
    }
}

fn need_of(name: &str) -> Option<Need> {
    let (sort, rest) = name.split_once(' ')?;
    match sort {
        "file" => Some(Need::File(rest.into())),
        "exists" => Some(Need::FileExists(rest.into())),
        "set" => rest.split_once(' ').map(|(pattern, dir)| Need::FileSet(dir.into(), pattern.to_owned())),
        _ => None,
    }
}

/// Reads the controller's files again; they must be what the plan saw.
fn reads(saved: &SavedPlan, root: &Path) -> Result<BTreeMap<Need, Result<FileAnswer, String>>, Failure> {
    let mut found = BTreeMap::new();
    for (name, digest) in &saved.reads {
        let Some(need) = need_of(name) else { continue };
        let answer = answer(root, &need);
        let same = answer.as_ref().is_ok_and(|a| answer_digest(a) == *digest);
        if !same {
            let what = format!("reading `{name}`");
            return Err(Failure::other(what, "it is not what it was when the plan was made", "plan again"));
        }
        found.insert(need, answer);
    }
    Ok(found)
}

fn answer_digest(answer: &FileAnswer) -> String {
    let bytes = match answer {
        FileAnswer::Bytes(bytes) => bytes.to_vec(),
        FileAnswer::Exists(b) => b.to_string().into_bytes(),
        FileAnswer::Paths(paths) => paths.join("\n").into_bytes(),
    };
    hex::encode(Sha256::digest(&bytes))
}

/// Reads a plan file and opens the session it was made in.
pub(super) fn load(options: Options, path: &Path) -> (Sources, Result<(Session, Plan), Failure>) {
    match open(options, path) {
        Ok((sources, session, plan)) => (sources, Ok((session, plan))),
        Err((sources, failure)) => (sources, Err(failure)),
    }
}

type Opened = Result<(Sources, Session, Plan), (Sources, Failure)>;

fn open(mut options: Options, path: &Path) -> Opened {
    let none = |failure| (Sources::default(), failure);
    let saved = read(path).map_err(none)?;
    let mut files = Files::default();
    let mut fetch = |dir: &str| {
        let inside = |name: &str| name.rsplit_once('/').map_or("", |(d, _)| d) == dir;
        let found: Vec<_> = saved.files.iter().filter(|(name, _)| inside(name)).collect();
        Ok(found.into_iter().map(|(name, text)| files.add(name.clone(), text.clone().into_bytes())).collect())
    };
    let (config, mut problems) = config::load(&mut fetch, &Registry);
    let fresh = variables::given(&options, &config, &mut files, &mut problems);
    let sources = Sources(files.sources.clone());
    if problems.iter().any(coxswain_model::Diagnostic::is_error) {
        return Err((sources, Failure::Diagnostics(problems)));
    }
    options.place = states::place(&options, &config);
    let digester = states::load(&options).map_err(none)?.1;
    let digest = |bytes: &[u8]| digester.digest(bytes);
    let given = merge(&saved, declared(&config, fresh), &digest).map_err(|f| (sources.clone(), f))?;
    let world = states::world(&options).map_err(|f| (sources.clone(), f))?;
    let read = reads(&saved, &options.root).map_err(|f| (sources.clone(), f))?;
    let mut session = Session {
        options,
        config,
        inputs: Inputs { variables: given, files: read },
        files,
        warnings: problems,
        world,
    };
    session.files.bytes.retain(|name, _| saved.files.contains_key(name));
    Ok((sources, session, saved.plan))
}

/// Reads a plan file.
///
/// # Errors
/// When it cannot be read or is no plan of this version.
pub fn read(path: &Path) -> Result<SavedPlan, Failure> {
    let what = format!("reading the plan {}", path.display());
    let fail =
        |why: String| Failure::other(what.clone(), why, "make a new one with: coxswain plan --out FILE");
    let meta = std::fs::metadata(path).map_err(|e| fail(reason(&e)))?;
    if meta.len() > LIMIT {
        return Err(fail(format!("it is longer than {LIMIT} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|e| fail(reason(&e)))?;
    SavedPlan::parse(&bytes).map_err(fail)
}

/// The values of the plan, with the sensitive ones given anew.
fn merge(
    saved: &SavedPlan,
    fresh: BTreeMap<config::Name, Given>,
    digest: &crate::plan::stored::Digest<'_>,
) -> Result<BTreeMap<config::Name, Given>, Failure> {
    let mut all = BTreeMap::new();
    for (name, value) in &saved.variables {
        let key = config::Name::from(name.as_str());
        if let Some(wanted) = value.get("$digest").and_then(serde_json::Value::as_str) {
            let what = format!("reading the sensitive variable `{name}`");
            let next = format!(
                "give it as it was when the plan was made, for example in COXSWAIN_VAR_{name}, or plan again"
            );
            let Some(given) = fresh.get(&key) else {
                return Err(Failure::other(
                    what,
                    "a plan holds no sensitive value, and none was given now",
                    next,
                ));
            };
            let json = match &given.value {
                GivenValue::Text(text) => serde_json::json!({ "$text": text }),
                GivenValue::Value(value) => json::to_json_clear(value),
            };
            if digest(json.to_string().as_bytes()) != wanted {
                return Err(Failure::other(what, "its value is another than when the plan was made", next));
            }
            all.insert(key, given.clone());
            continue;
        }
        let given = match value.get("$text").and_then(serde_json::Value::as_str) {
            Some(text) => GivenValue::Text(text.to_owned()),
            None => GivenValue::Value(json::from_json(value)),
        };
        all.insert(key, Given { value: given, origin: "the plan".into() });
    }
    Ok(all)
}
