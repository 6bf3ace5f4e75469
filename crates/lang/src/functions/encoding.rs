//! Base 64, URL and JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coxswain_model::{Type, Value, json};

use super::arguments::{any, argument, check_size, made_text, nfc, nullable, param, string, text};
use super::{BASE, FnError, FnSpec, Param};

const TEXT: Param = param("text", string);
const ENCODING: Param = param("encoding", string);

pub(super) static BASE64DECODE: FnSpec = FnSpec {
    name: "base64decode",
    params: &[TEXT],
    result: |_| Type::Str,
    call: base64decode,
    doc: "The text, in UTF-8, that this is the base 64 of.",
    example: (r#"base64decode("aGVsbG8=")"#, r#""hello""#),
    ..BASE
};

pub(super) static BASE64ENCODE: FnSpec = FnSpec {
    name: "base64encode",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(STANDARD.encode(text(args, 0)?).into()),
    doc: "The text in UTF-8, in base 64.",
    example: (r#"base64encode("hello")"#, r#""aGVsbG8=""#),
    ..BASE
};

pub(super) static JSONDECODE: FnSpec = FnSpec {
    name: "jsondecode",
    params: &[TEXT],
    call: |args| json::from_text(&nfc(text(args, 0)?)).map_err(|e| FnError::of(0, e.to_string())),
    doc: "The value of a JSON text; numbers are exact.",
    example: (r#"jsondecode("[1, true]")"#, "[1,true]"),
    ..BASE
};

pub(super) static JSONENCODE: FnSpec = FnSpec {
    name: "jsonencode",
    params: &[nullable("value", any)],
    result: |_| Type::Str,
    call: |args| {
        let text = json::to_text(argument(args, 0)?).map_err(|reason| FnError::of(0, reason))?;
        check_size(text.len())?;
        Ok(text.into())
    },
    doc: "The value as JSON on one line.",
    example: (r#"jsonencode({ b = 1, a = "x" })"#, r#""{\"a\":\"x\",\"b\":1}""#),
    ..BASE
};

pub(super) static TEXTDECODEBASE64: FnSpec = FnSpec {
    name: "textdecodebase64",
    params: &[TEXT, ENCODING],
    result: |_| Type::Str,
    call: textdecodebase64,
    doc: "The text, in this encoding, that this is the base 64 of.",
    example: (r#"textdecodebase64("aAA=", "UTF-16LE")"#, r#""h""#),
    ..BASE
};

pub(super) static TEXTENCODEBASE64: FnSpec = FnSpec {
    name: "textencodebase64",
    params: &[TEXT, ENCODING],
    result: |_| Type::Str,
    call: textencodebase64,
    doc: "The text in this encoding (UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1, US-ASCII), in base 64.",
    example: (r#"textencodebase64("h", "UTF-16LE")"#, r#""aAA=""#),
    ..BASE
};

pub(super) static URLDECODE: FnSpec = FnSpec {
    name: "urldecode",
    params: &[TEXT],
    result: |_| Type::Str,
    call: urldecode,
    doc: "The text whose URL encoding this is.",
    example: (r#"urldecode("a+b%2Fc")"#, r#""a b/c""#),
    ..BASE
};

pub(super) static URLENCODE: FnSpec = FnSpec {
    name: "urlencode",
    params: &[TEXT],
    result: |_| Type::Str,
    call: urlencode,
    doc: "The text as it is written in the query of a URL.",
    example: (r#"urlencode("a b/c")"#, r#""a+b%2Fc""#),
    ..BASE
};

fn bytes_of(args: &[Value]) -> Result<Vec<u8>, FnError> {
    // Line breaks are allowed, as tools that wrap their output leave them.
    let plain: String = text(args, 0)?.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(plain).map_err(|e| FnError::of(0, format!("not base 64: {e}")))
}

fn base64decode(args: &[Value]) -> Result<Value, FnError> {
    let text = String::from_utf8(bytes_of(args)?);
    made_text(text.map_err(|_| FnError::of(0, "the bytes are not text in UTF-8"))?)
}

/// The encodings that occur in configurations.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
    Ascii,
}

impl Encoding {
    fn of(args: &[Value]) -> Result<Encoding, FnError> {
        match text(args, 1)?.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Ok(Encoding::Utf8),
            "UTF-16LE" => Ok(Encoding::Utf16Le),
            "UTF-16BE" | "UTF-16" => Ok(Encoding::Utf16Be),
            "ISO-8859-1" | "LATIN1" => Ok(Encoding::Latin1),
            "US-ASCII" | "ASCII" => Ok(Encoding::Ascii),
            _ => {
                Err(FnError::of(1, "known encodings are UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1 and US-ASCII"))
            }
        }
    }

    /// The first code point beyond a one-byte encoding.
    fn limit(self) -> u32 {
        match self {
            Encoding::Ascii => 0x80,
            Encoding::Utf8 | Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Latin1 => 0x100,
        }
    }
}

fn textencodebase64(args: &[Value]) -> Result<Value, FnError> {
    let (text, encoding) = (text(args, 0)?, Encoding::of(args)?);
    let bytes = match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Encoding::Latin1 | Encoding::Ascii => {
            let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|b| u32::from(*b) < encoding.limit());
            text.chars()
                .map(|c| {
                    byte(c).ok_or_else(|| {
                        FnError::of(0, "a character of the text does not exist in this encoding")
                    })
                })
                .collect::<Result<Vec<u8>, FnError>>()?
        }
    };
    Ok(STANDARD.encode(bytes).into())
}

fn textdecodebase64(args: &[Value]) -> Result<Value, FnError> {
    let (bytes, encoding) = (bytes_of(args)?, Encoding::of(args)?);
    let units = |from: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        let units: Vec<u16> = pairs.clone().map(|p| from([p[0], p[1]])).collect();
        if pairs.remainder().is_empty() { String::from_utf16(&units).ok() } else { None }
    };
    let text = match encoding {
        Encoding::Utf8 => String::from_utf8(bytes).ok(),
        Encoding::Utf16Le => units(u16::from_le_bytes),
        Encoding::Utf16Be => units(u16::from_be_bytes),
        Encoding::Latin1 | Encoding::Ascii => {
            bytes.iter().map(|b| Some(char::from(*b)).filter(|c| u32::from(*c) < encoding.limit())).collect()
        }
    };
    made_text(text.ok_or_else(|| FnError::of(0, "the bytes are not text in this encoding"))?)
}

fn urlencode(args: &[Value]) -> Result<Value, FnError> {
    let mut made = String::new();
    for byte in text(args, 0)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                made.push(char::from(byte))
            }
            b' ' => made.push('+'),
            byte => {
                let _ = write!(made, "%{byte:02X}");
            }
        }
    }
    made_text(made)
}

fn urldecode(args: &[Value]) -> Result<Value, FnError> {
    let mut bytes = Vec::new();
    let mut rest = text(args, 0)?.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                let code = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                code.ok_or_else(|| FnError::of(0, "two hexadecimal digits must follow every `%`"))?
            }
            byte => byte,
        });
    }
    made_text(String::from_utf8(bytes).map_err(|_| FnError::of(0, "the bytes are not text in UTF-8"))?)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn encodings_round_trip() {
        for encoding in ["UTF-8", "utf-16le", "UTF-16BE", "ISO-8859-1"] {
            let made = call(&TEXTENCODEBASE64, &[Value::from("é"), Value::from(encoding)]).expect(encoding);
            let back = call(&TEXTDECODEBASE64, &[made, Value::from(encoding)]).expect(encoding);
            assert_eq!(back.as_str(), Some("é"));
        }
        assert!(call(&TEXTENCODEBASE64, &[Value::from("é"), Value::from("US-ASCII")]).is_err());
        assert!(call(&TEXTENCODEBASE64, &[Value::from("é"), Value::from("x")]).is_err());
    }

    #[test]
    fn url_round_trips() {
        let made = call(&URLENCODE, &[Value::from("é &=/")]).expect("encodes");
        assert_eq!(made.as_str(), Some("%C3%A9+%26%3D%2F"));
        assert_eq!(call(&URLDECODE, &[made]).expect("decodes").as_str(), Some("é &=/"));
        assert!(call(&URLDECODE, &[Value::from("%4")]).is_err());
        assert!(call(&URLDECODE, &[Value::from("%ff")]).is_err());
    }
}
