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
