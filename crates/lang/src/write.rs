//! Values as configuration text, in the canonical form.
//!
//! What must never happen: text that is read back as another value. [`write_value`] reads what it wrote and gives
//! nothing where that is not the value.

use std::fmt::Write as _;

use coxswain_model::value::Node;
use coxswain_model::{Diagnostic, FileId, Span, Value};

use crate::convert::convert;
use crate::eval::{FileAnswer, Need, Scope, Stop, evaluate};
use crate::{Reference, parse_expression};

/// Characters of a list or object that stand on one line; what is longer is written over several.
const INLINE_LIMIT: usize = 72;
/// Spaces of one level.
const INDENT: usize = 2;
/// Lines of a text from which on it is a heredoc.
const HEREDOC_LINES: usize = 2;

/// The text of a value that stands at this level of indentation. `None` where no text is read back as it: what is not
/// known, references, and texts in a form the language does not keep (it knows NFC alone).
pub fn write_value(value: &Value, level: usize) -> Option<String> {
    let readable = |text: &String| {
        let expr = parse_expression(FileId(0), text).ok()?;
        let read = evaluate(&expr, &NoNames).ok()?;
        let read = convert(read, &value.type_of()).ok()?;
        read.same(value).then_some(())
    };
    let heredoc = value.as_str().and_then(heredoc).filter(|text| readable(text).is_some());
    let text = match heredoc {
        Some(text) => text,
        None => written(value, level)?,
    };
    readable(&text).map(|()| text)
}

/// A quoted string: no template in it means anything.
pub fn write_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if is_unseen(c) => {
                let code = u32::from(c);
                // Infallible: the target is a string.
                let _ =
                    if code > 0xffff { write!(out, "\\U{code:08x}") } else { write!(out, "\\u{code:04x}") };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Characters that no reader of a configuration sees, or that turn the line around.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text of several whole lines, as they are.
fn heredoc(text: &str) -> Option<String> {
    let is_plain = text.chars().all(|c| c == '\n' || c == '\t' || !is_unseen(c));
    if !is_plain || !text.ends_with('\n') || text.lines().count() < HEREDOC_LINES {
        return None;
    }
    let mut marker = String::from("EOT");
    while text.lines().any(|line| line.trim_start().starts_with(&marker)) {
        marker.push('_');
    }
    let escaped = text.replace("${", "$${").replace("%{", "%%{");
    Some(format!("<<{marker}\n{escaped}{marker}"))
}

fn written(value: &Value, level: usize) -> Option<String> {
    match &value.node {
        Node::Null(_) => Some("null".into()),
        Node::Bool(b) => Some(b.to_string()),
        Node::Num(n) => Some(n.to_string()),
        Node::Str(text) => Some(write_quoted(text)),
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => {
            let items = items.iter().map(|item| written(item, level + 1)).collect::<Option<Vec<_>>>()?;
            Some(in_brackets(("[", "]", ","), &items, level))
        }
        Node::Map(_, fields) | Node::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| Some(format!("{} = {}", key(name), written(field, level + 1)?)));
            let fields = fields.collect::<Option<Vec<_>>>()?;
            Some(in_brackets(("{", "}", ""), &fields, level))
        }
        Node::Unknown { .. } | Node::Ref(_) => None,
    }
}

fn in_brackets(marks: (&str, &str, &str), items: &[String], level: usize) -> String {
    let (open, close, end) = marks;
    let padding = if open == "{" { " " } else { "" };
    let line = items.join(", ");
    if items.is_empty() {
        return format!("{open}{close}");
    }
    if level * INDENT + line.len() <= INLINE_LIMIT && !line.contains('\n') {
        return format!("{open}{padding}{line}{padding}{close}");
    }
    let indent = " ".repeat((level + 1) * INDENT);
    let lines: String = items.iter().map(|item| format!("{indent}{item}{end}\n")).collect();
    format!("{open}\n{lines}{}{close}", " ".repeat(level * INDENT))
}

fn key(name: &str) -> String {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !matches!(name, "true" | "false" | "null" | "for" | "if");
    if is_name { name.to_owned() } else { write_quoted(name) }
}

/// A scope without names: a value that was written has none in it.
struct NoNames;

fn nothing<T>() -> Result<T, Stop> {
    Err(Stop::Error(vec![Diagnostic::error("unknown-reference", "a value has no names in it")]))
}

impl Scope for NoNames {
    fn lookup(&self, _: &Reference) -> Result<(Value, usize), Stop> {
        nothing()
    }
    fn ref_attr(&self, _: &Value, _: &str, _: Span) -> Result<Value, Stop> {
        nothing()
    }
    fn ref_object(&self, _: &Value, _: Span) -> Result<Value, Stop> {
        nothing()
    }
    fn file(&self, _: &Need, _: Span) -> Result<FileAnswer, Stop> {
        nothing()
    }
}

/// A block with aligned arguments. Those whose text has several lines stand apart, as `fmt` has them.
pub fn write_block(head: &str, arguments: &[(String, String)]) -> String {
    let mut out = format!("{head} {{\n");
    let is_long = |text: &str| text.contains('\n');
    for group in arguments.chunk_by(|a, b| !is_long(&a.1) && !is_long(&b.1)) {
        let width = group.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, text) in group {
            // Infallible: the target is a string.
            let _ = writeln!(out, "  {name:width$} = {text}");
        }
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use coxswain_model::{Object, Type};
    use proptest::prelude::*;

    #[track_caller]
    fn check(value: impl Into<Value>, text: &str) {
        assert_eq!(write_value(&value.into(), 1).as_deref(), Some(text));
    }

    #[test]
    fn values_in_the_canonical_form() {
        check(true, "true");
        check(22, "22");
        check("a \"b\" \\ ${c} %{d} $ % é\t", r#""a \"b\" \\ $${c} %%{d} $ % é\t""#);
        check("one\n", "\"one\\n\"");
        check("a\nb\n", "<<EOT\na\nb\nEOT");
        check("  a\n${x}\nEOT\n\n", "<<EOT_\n  a\n$${x}\nEOT\n\nEOT_");
        check("a\nb", "\"a\\nb\"");
        check("a\r\nb\r\n", "\"a\\r\\nb\\r\\n\"");
        check("a\u{202e}b\u{1}", "\"a\\u202eb\\u0001\"");
        check(Value::set(Type::Str, vec!["b".into(), "a".into()]), r#"["a", "b"]"#);
        let fields = Object::from([("a".into(), 1.into()), ("b c".into(), Value::tuple(vec![]))]);
        check(Value::object(fields), r#"{ a = 1, "b c" = [] }"#);
        let long = "x".repeat(40);
        let list = Value::list(Type::Str, vec![long.as_str().into(), long.as_str().into()]);
        check(list, &format!("[\n    \"{long}\",\n    \"{long}\",\n  ]"));
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        // Two characters that the language reads as one.
        for value in [Value::from("e\u{301}"), Value::from("e\u{301}\nx\n"), Value::unknown(Type::Str)] {
            assert_eq!(write_value(&value, 0), None, "{value:?}");
        }
    }

    #[test]
    fn blocks_are_aligned() {
        let argument = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let block = write_block(
            "file \"f\"",
            &[
                argument("path", "1"),
                argument("owner", "2"),
                argument("content", "<<E\nx\nE"),
                argument("m", "3"),
            ],
        );
        assert_eq!(block, "file \"f\" {\n  path  = 1\n  owner = 2\n  content = <<E\nx\nE\n  m = 3\n}\n");
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~é\n\t\"\\\\$%{}~<EOT]{0,40}",
            "([ \t]*(EOT|\\$\\{|%\\{|~|\\}|[a-z\"\\\\ ]{0,5})\n){1,6}",
            any::<String>(),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::tuple),
                prop::collection::btree_map(text(), inner, 0..5).prop_map(|fields| {
                    Value::object(fields.into_iter().map(|(name, field)| (name.into(), field)).collect())
                }),
            ]
        })
    }

    proptest! {
        /// What is ASCII has a text always; everything else has one that is read as it, or none.
        #[test]
        fn a_block_of_any_value_is_read_back(value in value()) {
            let Some(text) = write_value(&value, 1) else {
                let ascii = coxswain_model::json::to_json(&value).to_string().is_ascii();
                prop_assert!(!ascii, "{value:?} has no text");
                return Ok(());
            };
            let arguments = [("first".to_owned(), "1".to_owned()), ("x".to_owned(), text), ("last".to_owned(), "2".to_owned())];
            let file = write_block("kind \"name\"", &arguments);
            let (body, problems) = crate::parse(FileId(0), file.as_bytes());
            prop_assert!(problems.is_empty(), "{problems:?}\n{file}");
            prop_assert_eq!(body.blocks[0].body.attributes.len(), 3);
            let read = evaluate(&body.blocks[0].body.attribute("x").expect("it was written").expr, &NoNames);
            let read = convert(read.expect("a value"), &value.type_of()).expect("the same type");
            prop_assert!(read.same(&value), "{file}");
        }
    }
}
