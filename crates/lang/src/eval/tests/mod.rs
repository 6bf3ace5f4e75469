//! Tests of the evaluator: a small world of names, and results as text.
//!
//! ```text
//! 1  "a"  null  null string          values; a null says its type where it has one
//! [1, "a"]  {a = 1}                  tuple and object
//! list(number)[1]  map(number){a = 1}
//! ?string  ?any/null                 unknown; `/null` where it may be null
//! "a"!  1@3,7                        sensitive; made from the instances 3 and 7
//! ```

mod errors;
mod files;
mod forms;
mod grammar;
mod marks;
mod operators;
mod properties;
mod unknowns;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use coxswain_model::value::{InstanceId, ResourceRef};
use coxswain_model::{Address, Diagnostic, Field, FileId, Marks, Node, Span, Type, Value};

use super::{FileAnswer, Need, Scope, Stop, evaluate};
use crate::ast::Reference;
use crate::convert::convert;
use crate::syntax::parse_expression;

/// The names of the tests.
struct World {
    roots: BTreeMap<&'static str, Value>,
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn constant(text: &str) -> Value {
    let expr = parse_expression(FileId(0), text).expect("a constant parses");
    evaluate(&expr, &World { roots: BTreeMap::new() }).expect("a constant has a value")
}

/// An instance of `host`, as the value of a reference to it.
fn host(name: &str, id: u32) -> Value {
    let target = ResourceRef { address: Address::root("host", name), id: InstanceId(id) };
    Value::from(Node::Ref(Arc::new(target))).marked(&Marks::from_instance(InstanceId(id)))
}

/// `unknown.NAME`: one of each type.
fn unknowns() -> Value {
    let port = Arc::new(BTreeMap::from([("port".into(), Field::required(Type::Num))]));
    let types = [
        ("any", Type::Any),
        ("bool", Type::Bool),
        ("host", Type::reference("host")),
        ("list", Type::list(Type::Num)),
        ("map", Type::map(Type::Num)),
        ("number", Type::Num),
        ("object", Type::Object(port)),
        ("set", Type::set(Type::Str)),
        ("string", Type::Str),
        ("tuple", Type::Tuple(Arc::new([Type::Num, Type::Str]))),
    ];
    let unknown = types.map(|(name, ty)| (name, Value::unknown(ty)));
    object(unknown.into_iter().chain([("sure", super::unknown_not_null(Type::Str))]))
}

fn typed(text: &str, ty: &Type) -> Value {
    convert(constant(text), ty).expect("the constant is of the type")
}

fn world() -> World {
    let secret = Value::from("hunter2").sensitive();
    let var = [
        ("flag", Value::from(true)),
        ("name", Value::from("ssh")),
        ("none", Value::null()),
        ("pin", Value::from(4711).sensitive()),
        ("port", Value::from(22)),
        ("secret", secret.clone()),
        ("user", object([("name", Value::from("ann")), ("password", secret)])),
        ("vault", constant("{ key = \"hunter2\" }").sensitive()),
    ];
    let local = [
        ("list", typed("[1, 2, 3]", &Type::list(Type::Num))),
        ("map", typed("{ a = 1, b = 2 }", &Type::map(Type::Num))),
        ("people", constant("[{ name = \"ann\", age = 31 }, { name = \"bob\", age = 27 }]")),
        ("set", typed("[\"b\", \"a\"]", &Type::set(Type::Str))),
    ];
    let roots = [
        ("host", object([("a", host("a", 1)), ("b", host("b", 2))])),
        ("local", object(local)),
        ("unknown", unknowns()),
        ("var", object(var)),
    ];
    World { roots: roots.into() }
}

fn no_name(name: &str, span: Span) -> Stop {
    let d = Diagnostic::error("unknown-reference", format!("There is no `{name}`"));
    Stop::Error(vec![d.at(span, "")])
}

impl Scope for World {
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop> {
        match reference.root.as_ref() {
            "later" => Err(Stop::Need(Need::Node(7))),
            root => match self.roots.get(root) {
                Some(value) => Ok((value.clone(), 0)),
                None => Err(no_name(root, reference.span)),
            },
        }
    }

    fn ref_attr(&self, target: &Value, name: &str, span: Span) -> Result<Value, Stop> {
        let target = target.as_ref().expect("a reference");
        match name {
            "arch" => Err(Stop::Need(Need::Instance(target.address.clone()))),
            "id" => Ok(Value::unknown(Type::Str).marked(&Marks::from_instance(target.id))),
            "address" => {
                Ok(Value::from(format!("10.0.0.{}", target.id.0)).marked(&Marks::from_instance(target.id)))
            }
            _ => Err(no_name(name, span)),
        }
    }

    fn ref_object(&self, target: &Value, span: Span) -> Result<Value, Stop> {
        Ok(object([("address", self.ref_attr(target, "address", span)?)]))
    }

    fn file(&self, need: &Need, span: Span) -> Result<FileAnswer, Stop> {
        let text = |text: &str| Ok(FileAnswer::Bytes(text.as_bytes().into()));
        match need {
            Need::File(path) => match path.to_str() {
                Some("motd") => text("hello\n"),
                Some("greeting.tmpl") => {
                    text("Hello ${name},\n%{ if age > 30 ~}\nold friend\n%{ endif ~}\nbye\n")
                }
                Some("nested.tmpl") => text("${file(\"motd\")}${templatefile(\"motd\", {})}"),
                Some("broken.tmpl") => text("a\nb ${\n"),
                Some("logo") => Ok(FileAnswer::Bytes([0xff, 0xfe].as_slice().into())),
                Some("later") => Err(Stop::Need(need.clone())),
                _ => Err(no_name("file", span)),
            },
            Need::FileExists(path) => Ok(FileAnswer::Exists(path.to_str() == Some("motd"))),
            Need::FileSet(..) => Ok(FileAnswer::Paths(vec!["b.json".into(), "a.json".into()])),
            Need::Node(_) | Need::Instance(_) => Err(no_name("file", span)),
        }
    }
}

fn result(text: &str) -> Result<Value, Stop> {
    let expr = parse_expression(FileId(0), text).unwrap_or_else(|e| panic!("{text}: {e:#?}"));
    evaluate(&expr, &world())
}

fn show_all(items: &[Value]) -> String {
    items.iter().map(show).collect::<Vec<String>>().join(", ")
}

fn show_fields(value: &Value) -> String {
    let fields = value.as_fields().into_iter().flatten();
    fields.map(|(name, v)| format!("{name} = {}", show(v))).collect::<Vec<String>>().join(", ")
}

/// The value as text, with types where they do not show, and with marks.
fn show(value: &Value) -> String {
    let mut text = match &value.node {
        Node::Null(Type::Any) => "null".to_owned(),
        Node::Null(ty) => format!("null {ty}"),
        Node::Unknown { ty, not_null } => format!("?{ty}{}", if *not_null { "" } else { "/null" }),
        Node::Bool(b) => b.to_string(),
        Node::Num(n) => n.to_string(),
        Node::Str(s) => format!("{s:?}"),
        Node::List(_, items) | Node::Set(_, items) => format!("{}[{}]", value.type_of(), show_all(items)),
        Node::Tuple(items) => format!("[{}]", show_all(items)),
        Node::Map(..) => format!("{}{{{}}}", value.type_of(), show_fields(value)),
        Node::Object(_) => format!("{{{}}}", show_fields(value)),
        Node::Ref(r) => r.address.to_string(),
    };
    text.push_str(if value.marks.sensitive { "!" } else { "" });
    for (i, id) in value.marks.from.iter().flat_map(|ids| ids.iter()).enumerate() {
        let _ = write!(text, "{}{}", if i == 0 { "@" } else { "," }, id.0);
    }
    text
}

/// A diagnostic as text: code and summary, then its places, notes and edits, each on a line.
fn show_diagnostic(text: &str, d: &Diagnostic) -> String {
    let cut = |span: Span| text.get(span.start as usize..span.end as usize).expect("spans lie in the text");
    let mut out = format!("{}: {}\n", d.code, d.summary);
    for line in Some(&d.detail).into_iter().filter(|detail| !detail.is_empty()) {
        let _ = writeln!(out, "  {line}");
    }
    for label in &d.labels {
        let said = if label.text.is_empty() { String::new() } else { format!(" {}", label.text) };
        let _ = writeln!(out, "  at `{}`{said}", cut(label.span));
    }
    for note in &d.notes {
        let _ = writeln!(out, "  note {note}");
    }
    for fix in &d.fixes {
        let _ = writeln!(out, "  write `{}` for `{}`", fix.text, cut(fix.span));
    }
    out
}

fn show_result(text: &str, result: Result<Value, Stop>) -> String {
    match result {
        Ok(value) => show(&value),
        Err(Stop::Need(need)) => format!("needs {need:?}"),
        Err(Stop::Error(all)) => all.iter().map(|d| show_diagnostic(text, d)).collect(),
    }
}

/// The value of the expression, or the whole story of its errors.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(show_result(text, result(text)), expected, "{text}");
}

/// The codes of the errors, each with the text it points at.
#[track_caller]
fn check_codes(text: &str, expected: &[&str]) {
    let Err(Stop::Error(all)) = result(text) else { panic!("{text}: no error: {:?}", result(text)) };
    let found: Vec<String> = all
        .iter()
        .map(|d| {
            let span = d.labels.first().expect("an error has a place").span;
            format!("{} {}", d.code, &text[span.start as usize..span.end as usize])
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}
