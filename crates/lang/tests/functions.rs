//! The functions, called from expressions: every example of the reference.

use coxswain_lang::eval::FileAnswer;
use coxswain_lang::functions::FUNCTIONS;
use coxswain_lang::{Need, Reference, Scope, Stop, evaluate, parse_expression};
use coxswain_model::{FileId, Span, Value, json};

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

#[test]
fn examples_hold() {
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
