//! JSON as other programs of distributed validators write it, byte for byte: signatures do not cover the text, but people
//! compare files, and tools their digests.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// The text of a file: one space a level, one item a line, no newline at the end.
///
/// # Panics
/// When the value has a map whose keys are no texts.
pub fn pretty(value: &impl Serialize) -> String {
    write(value, Escaping(PrettyFormatter::with_indent(b" ")))
}

/// The text of a message: no white space.
///
/// # Panics
/// When the value has a map whose keys are no texts.
pub fn compact(value: &impl Serialize) -> String {
    write(value, Escaping(CompactFormatter))
}

fn write(value: &impl Serialize, form: impl Formatter) -> String {
    let mut text = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut text, form))
        .expect("plain data is written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Bytes of a known length in hex, with or without `0x`.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
    Some(bytes)
}

/// Besides what JSON asks for, `<`, `>` and `&` and the two line ends of JavaScript are escaped.
struct Escaping<F>(F);

fn escape(c: char) -> Option<&'static str> {
    match c {
        '<' => Some("\\u003c"),
        '>' => Some("\\u003e"),
        '&' => Some("\\u0026"),
        '\u{2028}' => Some("\\u2028"),
        '\u{2029}' => Some("\\u2029"),
        _ => None,
    }
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c, escaped)) = rest.char_indices().find_map(|(at, c)| Some((at, c, escape(c)?))) {
            out.write_all(&rest.as_bytes()[..at])?;
            out.write_all(escaped.as_bytes())?;
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }
    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }
    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn files_and_messages() {
        #[derive(Serialize)]
        struct Sample {
            b: Vec<u8>,
            a: Value,
            none: Option<u8>,
            empty: Vec<u8>,
            object: serde_json::Map<String, Value>,
        }
        let sample = Sample {
            b: vec![1, 2],
            a: json!("x"),
            none: None,
            empty: Vec::new(),
            object: serde_json::Map::new(),
        };
        let expected = "{\n \"b\": [\n  1,\n  2\n ],\n \"a\": \"x\",\n \"none\": null,\n \"empty\": [],\n \"object\": {}\n}";
        assert_eq!(pretty(&sample), expected);
        let expected = "{\"b\":[1,2],\"a\":\"x\",\"none\":null,\"empty\":[],\"object\":{}}";
        assert_eq!(compact(&sample), expected);
    }

    #[test]
    fn texts_are_escaped_and_read_back() {
        let all = "<a>&\u{2028}\u{2029}é🔑\"\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}";
        let expected =
            "\"\\u003ca\\u003e\\u0026\\u2028\\u2029é🔑\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}\"";
        assert_eq!(compact(&all), expected);
        assert_eq!(serde_json::from_str::<String>(&compact(&all)).expect("JSON"), all);
        assert_eq!(compact(&json!({ "<": 1 })), "{\"\\u003c\":1}");
    }
}
