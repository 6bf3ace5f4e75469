//! Fuzz targets of the language: lowering and evaluation of damaged texts. As a plain test each runs
//! for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_lang::eval::FileAnswer;
use coxswain_lang::{
    Body, Expr, Need, Reference, Scope, Stop, evaluate, functions_called, parse, parse_expression,
    parse_template, references,
};
use coxswain_model::{Diagnostic, FileId, Span, Type, Value, json};
use mutate::mutate;

const FILE: &str = r#"# A comment.
host "nfs" {
  address = "172.20.10.10" // another
  sudo    = true
}
locals {
  all   = merge({ nfs = host.nfs }, { for k, v in local.hosts : k => v... if v.on && !v.off })
  text  = <<-EOT
    %{ for x in [1, 2.5e3] ~}
    - ${x}${"a\u00e9\n"}
    %{ endfor ~}
  EOT
  deep  = [[{ a = (1 + 2) * -3 % 4 }], x[*].y[0].z.*.w, c ? "p${q}" : null]
}
/* block */ file "motd" "b" { content = templatefile("x", { n = 1 }) }
"#;

const EXPRESSIONS: &[&str] = &[
    "[for i, x in concat([1, 2], y.list) : \"${i}-${upper(x)}\" if x != 2]",
    "{ for k, v in merge({ a = 1 }, y.map) : k => { b = v * 2, c = tostring(v) }... }",
    "y.flag ? try(y.map.zz, y.list[0]) : (1 / 3 == 0.1 ? \"a\" : format(\"%05.2f|%-8s|%x\", 3.5, \"b\", 255))",
    "jsonencode({ a = [null, true, 1e3], b = y.text[*], c = setunion(toset([1]), [2]) })",
    "join(\",\", [for p in setproduct([\"a\", \"b\"], range(3)) : \"${p[0]}${p[1]}\"])",
    "\"%{ if y.flag }${replace(y.text, \"/(l+)o/\", \"$1\")}%{ else }${substr(\"abc\", -1, 1)}%{ endif }\"",
    "yamldecode(\"a:\\n  - {b: 1, c: [x, ~]}\\n\").a[0].c",
    "regexall(\"(?P<n>[a-z])[0-9]*\", \"a1b22\")[*].n",
    "cidrsubnets(\"10.0.0.0/8\", 4, 8)[1] == cidrhost(\"10.16.0.0/16\", 5) || y.unknown > 1",
    "formatdate(\"YYYY-MM-DD'T'hh:mm\", timeadd(\"2018-01-02T23:12:01Z\", \"36h\"))",
    "base64decode(base64encode(csvdecode(\"a,b\\n1,2\\n\")[0].b))",
    "<<EOT\n${y.text}\n%{ for k, v in y.map ~}\n${k}=${v}\n%{ endfor ~}\nEOT\n",
];

const WORDS: &[&str] = &[
    "${",
    "}",
    "%{ if ",
    "%{ for x in ",
    "%{ endif }",
    "%{ endfor }",
    "~}",
    "\"",
    "<<EOT\n",
    "<<-A\n",
    "\nEOT\n",
    "[*]",
    ".*",
    "...",
    "=>",
    "for ",
    " if ",
    " in ",
    "null",
    "1e999",
    "-1",
    "0.1",
    "9223372036854775808",
    "[",
    "]",
    "(",
    ")",
    "{",
    "y.unknown",
    "y.secret",
    "y",
    "y.map",
    "y.list",
    "[0]",
    " ? ",
    " : ",
    "&&",
    "\\u0301",
    "é",
    "\u{feff}",
    "/*",
    "#",
    "\r\n",
    "::",
    "try(",
    "jsonencode(",
    "range(",
    "pow(2, ",
    "strrev(",
    "chunklist(",
    "indent(3, ",
    "==",
];

struct World(Value);

fn nothing(span: Span) -> Stop {
    Stop::Error(vec![Diagnostic::error("unknown-reference", "There is no such thing").at(span, "")])
}

impl Scope for World {
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop> {
        if reference.root.as_ref() == "y" { Ok((self.0.clone(), 0)) } else { Err(nothing(reference.span)) }
    }
    fn ref_attr(&self, _: &Value, _: &str, span: Span) -> Result<Value, Stop> {
        Err(nothing(span))
    }
    fn ref_object(&self, _: &Value, span: Span) -> Result<Value, Stop> {
        Err(nothing(span))
    }
    fn file(&self, need: &Need, _: Span) -> Result<FileAnswer, Stop> {
        match need {
            Need::File(_) => Ok(FileAnswer::Bytes(b"Hello ${n}%{ if n == 1 }!%{ endif }".as_slice().into())),
            Need::FileExists(_) => Ok(FileAnswer::Exists(true)),
            Need::FileSet(..) => Ok(FileAnswer::Paths(vec!["a".into()])),
            Need::Node(_) | Need::Instance(_) => Err(Stop::Need(need.clone())),
        }
    }
}

fn world() -> World {
    let fields = [
        ("flag", Value::from(true)),
        ("list", Value::list(Type::Num, vec![Value::from(3), Value::from(4)])),
        ("map", Value::map(Type::Num, [("k".into(), Value::from(7))].into())),
        ("secret", Value::from(MARKER).sensitive()),
        ("text", Value::from("hello")),
        ("unknown", Value::unknown(Type::Num)),
    ];
    World(Value::object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

/// The sensitive text; too odd to come out of a mutation.
const MARKER: &str = "qzvx-4711-qzvx";

fn all_expressions<'b>(body: &'b Body, out: &mut Vec<&'b Expr>) {
    out.extend(body.attributes.iter().map(|a| &a.expr));
    body.blocks.iter().for_each(|block| all_expressions(&block.body, out));
}

fn check_problems(text: &str, problems: &[Diagnostic]) {
    for d in problems {
        for label in &d.labels {
            let place = text.get(label.span.start as usize..label.span.end as usize);
            assert!(place.is_some(), "{d:?} lies outside of {text:?}");
        }
    }
}

/// Evaluates what can be; errors have a place inside, and hold nothing sensitive.
fn check_value(text: &str, expr: &Expr, world: &World) {
    let _ = (references(expr), functions_called(expr));
    match evaluate(expr, world) {
        Ok(value) => drop(json::to_text(&value)),
        Err(Stop::Need(_)) => {}
        Err(Stop::Error(problems)) => {
            assert!(!problems.is_empty(), "an error without a word: {text:?}");
            check_problems(text, &problems);
            assert!(!format!("{problems:?}").contains(MARKER), "{text:?}: {problems:#?}");
        }
    }
}

#[test]
fn lowering() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(FILE.as_bytes(), script, WORDS);
        let (body, problems) = parse(FileId(0), &bytes);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            assert!(!problems.is_empty(), "bytes that are no text are a problem");
            return;
        };
        check_problems(text, &problems);
        let mut exprs = Vec::new();
        all_expressions(&body, &mut exprs);
        for expr in exprs {
            assert!(text.get(expr.span.start as usize..expr.span.end as usize).is_some(), "{text:?}");
            let _ = (references(expr), functions_called(expr));
        }
        if let Err(problems) = parse_template(FileId(0), text) {
            check_problems(text, &problems);
        }
    });
}

#[test]
fn evaluation() {
    let world = world();
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((first, script)) = script.split_first() else { return };
        let sample = EXPRESSIONS[usize::from(*first) % EXPRESSIONS.len()];
        let bytes = mutate(sample.as_bytes(), script, WORDS);
        let text = String::from_utf8_lossy(&bytes);
        match parse_expression(FileId(0), &text) {
            Ok(expr) => check_value(&text, &expr, &world),
            Err(problems) => check_problems(&text, &problems),
        }
    });
}

#[test]
fn the_samples_are_whole() {
    let (_, problems) = parse(FileId(0), FILE.as_bytes());
    assert!(problems.is_empty(), "{problems:#?}");
    for sample in EXPRESSIONS {
        let expr = parse_expression(FileId(0), sample).unwrap_or_else(|e| panic!("{sample}: {e:#?}"));
        let value = evaluate(&expr, &world());
        assert!(value.is_ok(), "{sample}: {value:?}");
    }
}
