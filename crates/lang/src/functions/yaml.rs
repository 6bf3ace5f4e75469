//! YAML, as the YAML 1.1 readers of the tools we write for understand it: `yes` is true, `0x10` is 16.

use std::collections::HashMap;
use std::fmt::Write as _;

use coxswain_model::value::Object;
use coxswain_model::{Node, Num, Type, Value, json};
use granit_parser::{Event, Parser, ScalarStyle};

use super::arguments::{
    MAX_ITEMS, any, argument, check_size, key, made_text, nfc, nullable, param, string, text,
};
use super::{BASE, FnError, FnSpec};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

pub(super) static YAMLDECODE: FnSpec = FnSpec {
    name: "yamldecode",
    params: &[param("text", string)],
    call: yamldecode,
    doc: "The value of a YAML document.",
    example: (r#"yamldecode("a: [1, yes]")"#, r#"{"a":[1,true]}"#),
    ..BASE
};

pub(super) static YAMLENCODE: FnSpec = FnSpec {
    name: "yamlencode",
    params: &[nullable("value", any)],
    result: |_| Type::Str,
    call: |args| {
        let mut made = String::new();
        write_block(argument(args, 0)?, &mut made, 0).map_err(|reason| FnError::of(0, reason))?;
        check_size(made.len())?;
        made_text(made)
    },
    doc: "The value as a YAML document.",
    example: (r#"yamlencode({ a = [1, "x"] })"#, r#""\"a\":\n- 1\n- \"x\"\n""#),
    ..BASE
};

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    /// Values made so far; aliases count for what they stand for.
    total: usize,
}

fn refuse(reason: impl Into<String>) -> FnError {
    FnError::of(0, reason)
}

fn yamldecode(args: &[Value]) -> Result<Value, FnError> {
    let text = nfc(text(args, 0)?);
    let mut reader = Reader { parser: Parser::new_from_str(&text), anchors: HashMap::new(), total: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            Event::StreamEnd => return document.ok_or_else(|| refuse("the text holds no YAML document")),
            Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(..) if document.is_some() => {
                return Err(refuse("the text holds more than one YAML document"));
            }
            Event::DocumentStart(..) => {
                let first = reader.next()?;
                document = Some(reader.value(first, 0)?);
            }
            _ => return Err(refuse("not YAML")),
        }
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, FnError> {
        loop {
            match self.parser.next_event() {
                None => return Err(refuse("the YAML ends too early")),
                Some(Err(e)) => return Err(refuse(format!("not YAML: {e}"))),
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok((event, _))) => return Ok(event),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, FnError> {
        if depth > MAX_DEPTH {
            return Err(refuse(format!("the YAML is nested deeper than {MAX_DEPTH}")));
        }
        self.count(1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|t| (t.core_suffix().map(str::to_owned), t.original()));
                (scalar(&text, style, tag)?, anchor)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| refuse("an alias stands inside what it refers to"))?;
                self.count(size(&value))?;
                return Ok(value);
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event, depth + 1)?),
                    }
                }
                (Value::tuple(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            _ => return Err(refuse("not YAML")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, FnError> {
        let (mut fields, mut merged) = (Object::new(), Object::new());
        loop {
            let name = match self.next()? {
                Event::MappingEnd => break,
                event => {
                    let is_merge =
                        matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
                    if is_merge { None } else { Some(self.value(event, depth + 1)?) }
                }
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            let Some(name) = name else {
                let more = value.as_fields().ok_or_else(|| refuse("`<<` takes a mapping"))?;
                merged.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
                continue;
            };
            let name = crate::convert::convert(name, &Type::Str).ok();
            let name = name
                .as_ref()
                .and_then(Value::as_str)
                .ok_or_else(|| refuse("a key of a mapping is no text"))?;
            if fields.insert(key(name), value).is_some() {
                return Err(refuse("a key occurs twice in one mapping"));
            }
        }
        merged.extend(fields);
        Ok(Value::object(merged))
    }

    fn count(&mut self, more: usize) -> Result<(), FnError> {
        self.total = self.total.saturating_add(more);
        match self.total > MAX_ITEMS {
            true => Err(refuse(format!("the YAML holds more than {MAX_ITEMS} values"))),
            false => Ok(()),
        }
    }
}

fn size(value: &Value) -> usize {
    1 + value.children().into_iter().map(size).sum::<usize>()
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<(Option<String>, String)>) -> Result<Value, FnError> {
    let wrong = |what: &str| refuse(format!("a scalar is not {what}"));
    match tag {
        Some((Some(core), _)) => match core.as_str() {
            "str" => Ok(text.into()),
            "binary" => Ok(text.chars().filter(|c| !c.is_whitespace()).collect::<String>().into()),
            "null" => Ok(Value::null()),
            "bool" => truth(text).map(Value::from).ok_or_else(|| wrong("a bool")),
            "int" | "float" => number(text).map(Value::from).ok_or_else(|| wrong("a number")),
            _ => Ok(text.into()),
        },
        Some((None, tag)) if tag != "!" => Err(refuse("only the tags of the YAML core schema are known")),
        Some((None, _)) => Ok(text.into()),
        None if style != ScalarStyle::Plain => Ok(text.into()),
        None => Ok(match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::null(),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN" | ".NAN" => {
                return Err(wrong("a finite number"));
            }
            text => match (truth(text), number(text)) {
                (Some(truth), _) => truth.into(),
                (None, Some(n)) => n.into(),
                (None, None) => text.into(),
            },
        }),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Num> {
    let (is_negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        let digits = plain.strip_prefix(prefix).filter(|d| !d.is_empty() && !d.starts_with('+'))?;
        i128::from_str_radix(digits, radix).ok().map(Num::from)
    };
    let is_octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit());
    let n = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(|| if is_octal { radix("0", 8) } else { None })
        .or_else(|| Num::from_text(&plain).ok())?;
    Some(if is_negative { n.neg() } else { n })
}

/// Writes a value that begins at the column `indent` of a line, and ends the line.
fn write_block(value: &Value, out: &mut String, indent: usize) -> Result<(), &'static str> {
    let margin = " ".repeat(indent);
    match &value.node {
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                let _ = write!(out, "{}- ", if i > 0 { margin.as_str() } else { "" });
                write_block(item, out, indent + 2)?;
            }
        }
        Node::Map(_, fields) | Node::Object(fields) if !fields.is_empty() => {
            for (i, (name, field)) in fields.iter().enumerate() {
                let _ = write!(out, "{}{}:", if i > 0 { margin.as_str() } else { "" }, quoted(name));
                write_field(field, out, indent)?;
            }
        }
        _ => {
            out.push_str(&write_scalar(value, indent)?);
            out.push('\n');
        }
    }
    Ok(())
}

/// Writes the value of a key whose mapping stands at the column `indent`.
fn write_field(field: &Value, out: &mut String, indent: usize) -> Result<(), &'static str> {
    let is_empty = field.children().is_empty();
    let (before, indent) = match (field.as_items(), field.as_fields()) {
        (Some(_), _) if !is_empty => (format!("\n{}", " ".repeat(indent)), indent),
        (_, Some(_)) if !is_empty => (format!("\n{}", " ".repeat(indent + 2)), indent + 2),
        _ => (" ".to_owned(), indent + 2),
    };
    out.push_str(&before);
    write_block(field, out, indent)
}

fn write_scalar(value: &Value, indent: usize) -> Result<String, &'static str> {
    match value.as_str() {
        Some(text) if text.contains('\n') && is_literal(text) => {
            let (body, chomp) = match text.strip_suffix('\n') {
                None => (text, "|-"),
                Some(body) if body.is_empty() || body.ends_with('\n') => (body, "|+"),
                Some(body) => (body, "|"),
            };
            let margin = " ".repeat(indent.max(2));
            let hint = if text.starts_with([' ', '\n']) { "2" } else { "" };
            let lines =
                body.split('\n').map(|l| if l.is_empty() { String::new() } else { format!("{margin}{l}") });
            Ok(format!("{}{hint}{}\n{}", &chomp[..1], &chomp[1..], lines.collect::<Vec<_>>().join("\n")))
        }
        Some(text) => Ok(quoted(text)),
        None => json::to_text(value),
    }
}

/// Whether a literal block can hold the text: no control characters, and no space where a reader may lose it.
fn is_literal(text: &str) -> bool {
    let loses_space = text.ends_with([' ', '\t']) || text.contains(" \n") || text.contains("\t\n");
    !loses_space && text.chars().all(|c| c == '\n' || c == '\t' || !(c.is_control() || c == '\u{feff}'))
}

/// A double-quoted scalar.
fn quoted(text: &str) -> String {
    let mut made = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => made.push_str("\\\""),
            '\\' => made.push_str("\\\\"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\t' => made.push_str("\\t"),
            '\0' => made.push_str("\\0"),
            '\u{85}' => made.push_str("\\N"),
            '\u{2028}' => made.push_str("\\L"),
            '\u{2029}' => made.push_str("\\P"),
            '\u{feff}' => made.push_str("\\uFEFF"),
            c if c.is_control() => {
                let _ = write!(made, "\\x{:02X}", u32::from(c));
            }
            c => made.push(c),
        }
    }
    made.push('"');
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match yamldecode(&[Value::from(text)]) {
            Ok(v) => assert_eq!(json::to_text(&v).as_deref(), Ok(expected)),
            Err(e) => assert_eq!(expected, "error", "{e:?}"),
        }
    }

    #[test]
    fn scalars_follow_yaml_1_1() {
        check(
            "[1, 0x10, 017, 1.5, 1e3, -3, '1', !!str 2, yes, off, ~, a b]",
            r#"[1,16,15,1.5,1000,-3,"1","2",true,false,null,"a b"]"#,
        );
        check("2018-01-02", r#""2018-01-02""#);
        check("a: !x 1", "error");
        check("[.inf]", "error");
    }

    #[test]
    fn aliases_are_bounded() {
        check(
            "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
            r#"{"a":{"b":1},"c":{"b":1},"d":{"b":1,"e":2}}"#,
        );
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        check(&bomb, "error");
        check("&a [*a]", "error");
        check(&"[".repeat(10_000), "error");
        check("a: 1\na: 2\n", "error");
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["a\nb\n", "a\n\n", "\n", " a\nb", "a \nb", "x", "a\u{7}\n", "\"\\", "a\nb"] {
            for value in [
                Value::from(text),
                Value::tuple(vec![Value::from(text), Value::tuple(vec![Value::from(text)])]),
                Value::object([(key("k"), Value::object([(key(text), Value::from(text))].into()))].into()),
            ] {
                let mut made = String::new();
                write_block(&value, &mut made, 0).expect("writes");
                let back =
                    yamldecode(&[Value::from(made.as_str())]).unwrap_or_else(|e| panic!("{e:?} in {made}"));
                assert!(back.same(&value), "{made:?}");
            }
        }
    }
}
