//! The functions, called from expressions: every example of the reference, and what OpenTofu makes of the same
//! expressions.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test reads its vectors, and says when there are none"
)]

use std::path::{Path, PathBuf};

use coxswain_lang::eval::FileAnswer;
use coxswain_lang::functions::{FUNCTIONS, find};
use coxswain_lang::{Need, Reference, Scope, Stop, evaluate, parse_expression};
use coxswain_model::{FileId, Span, Value, json};

/// Expressions that are not ours to answer alike, with the reason.
const DIFFERENT: &[(&str, &str)] = &[];

struct NoNames;

impl Scope for NoNames {
    fn lookup(&self, _: &Reference) -> Result<(Value, usize), Stop> {
        Err(Stop::Error(Vec::new()))
    }
    fn ref_attr(&self, _: &Value, _: &str, _: Span) -> Result<Value, Stop> {
        Err(Stop::Error(Vec::new()))
    }
    fn ref_object(&self, _: &Value, _: Span) -> Result<Value, Stop> {
        Err(Stop::Error(Vec::new()))
    }
    fn file(&self, _: &Need, _: Span) -> Result<FileAnswer, Stop> {
        Err(Stop::Error(Vec::new()))
    }
}

fn result(text: &str) -> Result<Value, String> {
    let expr = parse_expression(FileId(0), text).map_err(|d| format!("{d:?}"))?;
    evaluate(&expr, &NoNames).map_err(|stop| format!("{stop:?}"))
}

/// Whether expressions can be evaluated at all in this tree.
fn has_evaluator() -> bool {
    let there = result("1").is_ok();
    if !there {
        println!("skipped: no evaluator");
    }
    there
}

#[test]
fn examples_hold() {
    if !has_evaluator() {
        return;
    }
    let mut wrong = Vec::new();
    for f in FUNCTIONS {
        let (expression, expected) = f.example;
        let got = result(expression).and_then(|v| json::to_text(&v).map_err(str::to_owned));
        if got.as_deref() != Ok(expected) {
            wrong.push(format!("{expression} is {got:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn vectors() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir =
        std::env::var_os("COXSWAIN_VECTORS").map_or_else(|| root.join("../shared/vectors"), PathBuf::from);
    let file = dir.join("hcl/oracle/expressions.jsonl");
    file.exists().then_some(file)
}

/// Whether the expression calls nothing but functions of the table, at least one, and uses no names.
fn is_ours(expression: &str) -> bool {
    let mut calls = 0;
    for (at, _) in expression.match_indices('(') {
        let before = &expression[..at];
        let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |i| i + 1);
        let name = &before[start..];
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            calls += 1;
            if find(name).is_none() {
                return false;
            }
        }
    }
    calls > 0 && !expression.contains("local.")
}

/// `list( object({ a: string, }), )` and `list(object({a = string}))` as one text.
fn plain_type(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let text = text.replace(",}", "}").replace(",]", "]").replace(",)", ")");
    text.replace('=', ":").replace("dynamic", "any")
}

/// What is wrong with our answer to a line of the oracle, if anything.
fn disagreement(line: &serde_json::Value, expression: &str) -> Option<String> {
    match (line["json"].as_str(), result(expression)) {
        (None, Err(_)) => None,
        (None, Ok(value)) => Some(format!("{expression} is {:?}, not an error", json::to_text(&value))),
        (Some(expected), Err(e)) => Some(format!("{expression} is not {expected}: {e}")),
        (Some(expected), Ok(value)) => {
            let (text, ty) = (json::to_text(&value), value.type_of().to_string());
            if text.as_deref() != Ok(expected) {
                return Some(format!("{expression} is {text:?}, not {expected}"));
            }
            let expected = line["type"].as_str()?;
            let differs = plain_type(expected) != plain_type(&ty);
            differs.then(|| format!("{expression} is of type {ty}, not {expected}"))
        }
    }
}

#[test]
fn the_oracle_agrees() {
    let Some(file) = vectors() else {
        println!("skipped: no vectors");
        return;
    };
    if !has_evaluator() {
        return;
    }
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for line in std::fs::read_to_string(file).expect("the oracle is text").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("the oracle is JSON lines");
        let expression = line["expr"].as_str().expect("an expression");
        if is_ours(expression) && !DIFFERENT.iter().any(|(text, _)| *text == expression) {
            checked += 1;
            wrong.extend(disagreement(&line, expression));
        }
    }
    println!("{checked} expressions checked");
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}
