//! What others make of the same text: the values, types and errors that OpenTofu gives expressions, and the
//! results that the HCL specification suite asks for. The data stays outside the repository.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads its vectors, and says when there are none"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coxswain_lang::eval::{FileAnswer, LAZY_FUNCTIONS};
use coxswain_lang::functions::find;
use coxswain_lang::{
    Body, Need, Reference, Scope, Stop, evaluate, functions_called, parse, parse_expression,
};
use coxswain_model::{Diagnostic, FileId, Span, Value, json};

/// Expressions that are not ours to answer alike, with the reason. Exact: what agrees may not stand here.
const DIFFERENT: &[(&str, &str)] = &[(
    "can(1/0)",
    "`1/0` alone is an error in both; `can` must not say otherwise, whatever a constant folds to elsewhere",
)];

/// The same for attributes of the specification suite, as `file: block/label/attribute`.
const SUITE_DIFFERENT: &[(&str, &str)] = &[];

/// Names with their values, and the files of one directory.
#[derive(Default)]
struct Names {
    values: BTreeMap<Arc<str>, Value>,
    files: PathBuf,
}

impl Names {
    /// The attributes of a body, which may use those before them.
    fn define(&mut self, body: &Body) {
        for attribute in &body.attributes {
            let value = evaluate(&attribute.expr, self).expect("the names have values");
            self.values.insert(attribute.name.clone(), value);
        }
    }
}

impl Scope for Names {
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop> {
        self.values.get(&reference.root).map(|v| (v.clone(), 0)).ok_or_else(|| nothing(reference.span))
    }
    fn ref_attr(&self, _: &Value, _: &str, span: Span) -> Result<Value, Stop> {
        Err(nothing(span))
    }
    fn ref_object(&self, _: &Value, span: Span) -> Result<Value, Stop> {
        Err(nothing(span))
    }
    fn file(&self, need: &Need, span: Span) -> Result<FileAnswer, Stop> {
        match need {
            Need::File(path) => {
                let bytes = std::fs::read(self.files.join(path)).map_err(|_| nothing(span))?;
                Ok(FileAnswer::Bytes(bytes.into()))
            }
            Need::FileExists(path) => Ok(FileAnswer::Exists(self.files.join(path).exists())),
            Need::FileSet(directory, pattern) => {
                let suffix = pattern.strip_prefix('*').ok_or_else(|| nothing(span))?;
                let entries = std::fs::read_dir(self.files.join(directory)).map_err(|_| nothing(span))?;
                let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
                Ok(FileAnswer::Paths(names.filter(|name| name.ends_with(suffix)).collect()))
            }
            Need::Node(_) | Need::Instance(_) => Err(nothing(span)),
        }
    }
}

fn nothing(span: Span) -> Stop {
    Stop::Error(vec![Diagnostic::error("unknown-reference", "There is no such thing").at(span, "")])
}

/// The directory of the vectors, if it holds `path`.
fn vectors(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir =
        std::env::var_os("COXSWAIN_VECTORS").map_or_else(|| root.join("../shared/vectors"), PathBuf::from);
    let found = dir.join(path);
    if !found.exists() {
        println!("skipped: no vectors");
    }
    found.exists().then_some(found)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("vectors are text")
}

fn body(path: &Path) -> Body {
    let (body, problems) = parse(FileId(0), read(path).as_bytes());
    assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
    body
}

fn result(text: &str, names: &Names) -> Result<Value, String> {
    let expr = parse_expression(FileId(0), text).map_err(|d| format!("{d:?}"))?;
    evaluate(&expr, names).map_err(|stop| format!("{stop:?}"))
}

/// A function in the expression that coxswain does not have.
fn missing_function(text: &str) -> Option<Arc<str>> {
    let expr = parse_expression(FileId(0), text).ok()?;
    let is_ours = |name: &str| find(name).is_some() || LAZY_FUNCTIONS.iter().any(|f| f.name == name);
    functions_called(&expr).into_iter().map(|(name, _)| name).find(|name| !is_ours(name))
}

/// `list( object({ a: string, }), )` and `list(object({a = string}))` as one text.
fn plain_type(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let text = text.replace(",}", "}").replace(",]", "]").replace(",)", ")");
    text.replace('=', ":").replace("dynamic", "any")
}

/// What is wrong with our answer to a line of the oracle, if anything.
fn disagreement(line: &serde_json::Value, got: Result<Value, String>) -> Option<String> {
    match (line["json"].as_str(), got) {
        (None, Err(_)) => None,
        (None, Ok(value)) => Some(format!("it is {:?}, not an error", json::to_text(&value))),
        (Some(expected), Err(e)) => Some(format!("it is not {expected}: {e}")),
        (Some(expected), Ok(value)) => {
            let (text, ty) = (json::to_text(&value), value.type_of().to_string());
            if text.as_deref() != Ok(expected) {
                return Some(format!("it is {text:?}, not {expected}"));
            }
            let expected = line["type"].as_str().filter(|asked| !asked.is_empty())?;
            let differs = plain_type(expected) != plain_type(&ty);
            differs.then(|| format!("it is of type {ty}, not {expected}"))
        }
    }
}

/// Counts answers and holds them against the table of differences.
struct Tally {
    different: &'static [(&'static str, &'static str)],
    met: Vec<String>,
    checked: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn new(different: &'static [(&'static str, &'static str)]) -> Tally {
        Tally { different, met: Vec::new(), checked: 0, wrong: Vec::new() }
    }

    fn add(&mut self, case: &str, disagreement: Option<String>) {
        self.checked += 1;
        let is_listed = self.different.iter().any(|(listed, _)| *listed == case);
        match disagreement {
            Some(_) if is_listed => self.met.push(case.to_owned()),
            Some(why) => self.wrong.push(format!("{case}: {why}")),
            None if is_listed => self.wrong.push(format!("{case}: agrees, and is listed as different")),
            None => {}
        }
    }

    #[track_caller]
    fn finish(mut self) {
        for (case, reason) in self.different {
            assert!(!reason.is_empty(), "{case} differs for no reason");
            let is_known = self.met.iter().any(|met| met == case)
                || self.wrong.iter().any(|wrong| wrong.starts_with(case));
            if !is_known {
                self.wrong.push(format!("{case}: listed as different, and not among the vectors"));
            }
        }
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

#[test]
fn the_oracle_agrees() {
    let Some(dir) = vectors("hcl/oracle") else { return };
    let mut locals = Names::default();
    locals.define(&body(&dir.join("context.hcl")).blocks[0].body);
    let values = BTreeMap::from([("local".into(), Value::object(locals.values))]);
    let names = Names { values, files: dir.clone() };
    let (mut tally, mut outside) = (Tally::new(DIFFERENT), BTreeMap::<Arc<str>, usize>::new());
    for line in read(&dir.join("expressions.jsonl")).lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("the oracle is JSON lines");
        let expression = line["expr"].as_str().expect("an expression");
        match missing_function(expression) {
            // Where the function is unknown to both, both must say so.
            Some(name) if line["error"].is_null() => *outside.entry(name).or_default() += 1,
            _ => tally.add(expression, disagreement(&line, result(expression, &names))),
        }
    }
    let agree = tally.checked - tally.met.len() - tally.wrong.len();
    println!(
        "{agree} of {} expressions agree, {} differ on purpose; outside, by function: {outside:?}",
        tally.checked,
        tally.met.len()
    );
    tally.finish();
}

/// Holds the attributes of `got` against the value at the same place of the expected result.
fn compare(got: &Body, expected: &Value, path: &str, names: &Names, tally: &mut Tally) {
    for attribute in &got.attributes {
        let case = format!("{path}{}", attribute.name);
        let ours = evaluate(&attribute.expr, names).map_err(|stop| format!("{stop:?}"));
        let wanted = expected.as_fields().and_then(|fields| fields.get(&attribute.name));
        let wrong = match (ours, wanted) {
            (Ok(ours), Some(wanted)) => {
                let [ours, wanted] = [&ours, wanted].map(json::to_text);
                (ours != wanted).then(|| format!("it is {ours:?}, not {wanted:?}"))
            }
            (Err(e), _) => Some(e),
            (Ok(_), None) => Some("the suite has no result".to_owned()),
        };
        tally.add(&case, wrong);
    }
    for block in &got.blocks {
        let steps: Vec<&str> = [&block.ident]
            .into_iter()
            .chain(block.labels.iter().map(|(l, _)| l))
            .map(AsRef::as_ref)
            .collect();
        let inner = steps.iter().try_fold(expected, |at, step| at.as_fields()?.get(*step));
        let inner = inner.cloned().unwrap_or_else(Value::null);
        compare(&block.body, &inner, &format!("{path}{}/", steps.join("/")), names, tally);
    }
}

#[test]
fn expressions_of_the_specification_suite() {
    let Some(dir) = vectors("hcl/specsuite/tests/expressions") else { return };
    let mut tally = Tally::new(SUITE_DIFFERENT);
    for name in ["heredoc", "operators", "primitive_literals"] {
        let mut names = Names::default();
        for block in body(&dir.join(format!("{name}.hcldec"))).blocks("variables") {
            names.define(&block.body);
        }
        let expected = body(&dir.join(format!("{name}.t")));
        let expected = &expected.attribute("result").expect("a test has a result").expr;
        let expected = evaluate(expected, &Names::default()).expect("the result has a value");
        let got = body(&dir.join(format!("{name}.hcl")));
        compare(&got, &expected, &format!("{name}: "), &names, &mut tally);
    }
    println!("{} attributes checked, {} differ on purpose", tally.checked, tally.met.len());
    tally.finish();
}
