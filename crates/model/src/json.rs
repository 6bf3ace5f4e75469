//! Values as JSON, and back.
//!
//! The text is canonical: fields in order, no white space, exact numbers. [`to_json`] goes through
//! `serde_json::Value`, where a number that JSON tools would round is written as a string; schemas turn it back.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::number::Num;
use crate::value::{Node, Object, Value};

/// The JSON text of a wholly known value without references; exact numbers. `Err` is what stands in the way.
pub fn to_text(value: &Value) -> Result<String, &'static str> {
    let mut out = String::new();
    write_text(value, &mut out)?;
    Ok(out)
}

fn write_text(value: &Value, out: &mut String) -> Result<(), &'static str> {
    match &value.node {
        Node::Null(_) => out.push_str("null"),
        Node::Unknown { .. } => return Err("it is not known yet"),
        Node::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Node::Num(n) => {
            let _ = write!(out, "{n}");
        }
        Node::Str(s) => write_string(s, out),
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(item, out)?;
            }
            out.push(']');
        }
        Node::Map(_, fields) | Node::Object(fields) => {
            out.push('{');
            for (i, (name, field)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_text(field, out)?;
            }
            out.push('}');
        }
        Node::Ref(_) => return Err("it is a reference to a resource"),
    }
    Ok(())
}

/// Writes a JSON string; `<`, `>` and `&` are escaped as HCL's jsonencode does.
fn write_string(text: &str, out: &mut String) {
    for c in Json::from(text).to_string().chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
}

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {reason}, at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, from 0.
    pub at: usize,
}

/// Reads a JSON text into tuples and objects; numbers are exact, and of equal names the last one counts.
///
/// # Errors
/// When it is not JSON, or is nested deeper than any document is.
pub fn from_text(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fail("something follows the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn fail(&self, reason: &'static str) -> JsonError {
        JsonError { reason, at: self.at }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.fail("it is nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => {
                for (word, value) in [("null", Value::null()), ("true", true.into()), ("false", false.into())]
                {
                    if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fail("a value is missing"))
            }
            None => Err(self.fail("it ends too early")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut fields = Object::new();
        if self.take(b'}') {
            return Ok(Value::object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fail("a name in double quotes is missing"));
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.fail("a colon is missing"));
            }
            fields.insert(name.into(), self.value(depth + 1)?);
            if self.take(b'}') {
                return Ok(Value::object(fields));
            }
            if !self.take(b',') {
                return Err(self.fail("a comma or `}` is missing"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::tuple(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Value::tuple(items));
            }
            if !self.take(b',') {
                return Err(self.fail("a comma or `]` is missing"));
            }
        }
    }

    /// Leaves the escapes to serde.
    fn string(&mut self) -> Result<String, JsonError> {
        let mut stream = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<String>();
        match stream.next() {
            Some(Ok(text)) => {
                self.at += stream.byte_offset();
                Ok(text)
            }
            Some(Err(_)) | None => Err(self.fail("the string is broken")),
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let number = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let digits = number.strip_prefix('-').unwrap_or(number);
        let leads = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        match number.parse::<Num>() {
            Ok(n) if !leads => {
                self.at += number.len();
                Ok(Value::from(n))
            }
            Ok(_) | Err(_) => Err(self.fail("the number is broken or too large")),
        }
    }
}

/// The value as a JSON document: unknown values are `{"$unknown":true}`, references `{"$ref":"ADDRESS"}`, and
/// sensitive values `{"$sensitive":true}`; nothing sensitive is in the result.
pub fn to_json(value: &Value) -> Json {
    if value.marks.sensitive {
        return serde_json::json!({ "$sensitive": true });
    }
    to_json_shown(value)
}

/// As [`to_json`], with sensitive values in clear. For digests and for what is sent to a host; never for output.
pub fn to_json_clear(value: &Value) -> Json {
    convert(value, to_json_clear)
}

fn to_json_shown(value: &Value) -> Json {
    convert(value, to_json)
}

fn convert(value: &Value, inner: fn(&Value) -> Json) -> Json {
    match &value.node {
        Node::Null(_) => Json::Null,
        Node::Unknown { .. } => serde_json::json!({ "$unknown": true }),
        Node::Bool(b) => Json::from(*b),
        Node::Num(n) => num_to_json(n),
        Node::Str(s) => Json::from(s.as_ref()),
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => items.iter().map(inner).collect(),
        Node::Map(_, fields) | Node::Object(fields) => {
            Json::Object(fields.iter().map(|(k, v)| (k.to_string(), inner(v))).collect())
        }
        Node::Ref(r) => serde_json::json!({ "$ref": r.address.to_string() }),
    }
}

fn num_to_json(n: &Num) -> Json {
    if let Some(small) = n.to_i128().and_then(|i| i64::try_from(i).ok()) {
        return Json::from(small);
    }
    let near = n.to_f64();
    match serde_json::Number::from_f64(near) {
        Some(json) if json.to_string() == n.to_string() => Json::Number(json),
        _ => Json::from(n.to_string()),
    }
}

/// A value of the types that JSON itself has: tuples and objects.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match n.to_string().parse::<Num>() {
            Ok(n) => Value::from(n),
            Err(_) => n.as_f64().and_then(Num::from_f64).map_or_else(Value::null, Value::from),
        },
        Json::String(s) => Value::from(s.as_str()),
        Json::Array(items) => Value::tuple(items.iter().map(from_json).collect()),
        Json::Object(fields) => Value::object(
            fields.iter().map(|(k, v)| (Arc::from(k.as_str()), from_json(v))).collect::<Object>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match from_text(text) {
            Ok(value) => assert_eq!(to_text(&value).as_deref(), Ok(expected)),
            Err(error) => assert_eq!(error.to_string(), expected),
        }
    }

    #[test]
    fn texts_are_read_exactly() {
        check(" {\"b\" : [1, 2.50, null], \"a\":\"\\u00e9<\"} ", "{\"a\":\"é\\u003c\",\"b\":[1,2.5,null]}");
        check("123456789012345678901234567890", "123456789012345678901234567890");
        check("[]", "[]");
        check("{\"a\":1,\"a\":2}", "{\"a\":2}");
    }

    #[test]
    fn mistakes_have_a_place() {
        check("{", "not JSON: a name in double quotes is missing, at byte 1");
        check("[1 2]", "not JSON: a comma or `]` is missing, at byte 3");
        check("01", "not JSON: the number is broken or too large, at byte 0");
        check("tru", "not JSON: a value is missing, at byte 0");
        check("[\"é", "not JSON: the string is broken, at byte 1");
        check("1 2", "not JSON: something follows the value, at byte 2");
        assert!(from_text(&"[".repeat(100_000)).is_err());
    }
}
