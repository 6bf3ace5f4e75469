//! JSON as the files of clusters are read: leniently where others are lenient, and never with a panic.
//!
//! A text becomes a tree that keeps members in their order; [`Item`] walks down the tree and knows its path, so that an
//! error says where it is. Keys are compared without letter case, the last of several counts, `null` is as good as
//! nothing, and unknown keys are passed over. Numbers are whole or refused. The tree is also what is written, see
//! [`Members`].

mod bytes;
mod item;

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Number;

pub use bytes::Bytes;
pub use item::{Item, Object};

/// Longest text that is read: four times the largest that is taken from a network.
pub const MAX_TEXT: usize = 64 << 20;
/// Most values in one text. A lock with 65,536 validators of seven operators has 2.5 million.
pub const MAX_VALUES: usize = 4 << 20;

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is longer than any file of a cluster.
    #[error("it has {length} bytes, and at most {MAX_TEXT} are read")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// It is no JSON, nested too deep, or has too many values.
    #[error("it is no JSON that can be read: {0}")]
    Syntax(String),
    /// A value is not what stands there.
    #[error("{path}: {why}")]
    Value {
        /// Where, like `cluster_definition.operators[2].enr`.
        path: String,
        /// What was expected, and what was found.
        why: String,
    },
}

/// A value. Members are in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number. One with a fraction, an exponent or more than 64 bits may have lost some of its digits.
    Number(Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text; its depth is bounded.
    ///
    /// # Errors
    /// [`JsonError::TooLong`], [`JsonError::Syntax`].
    pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
        if text.len() > MAX_TEXT {
            return Err(JsonError::TooLong { length: text.len() });
        }
        let syntax = |error: serde_json::Error| JsonError::Syntax(error.to_string());
        let left = Cell::new(MAX_VALUES);
        let mut reader = serde_json::Deserializer::from_slice(text);
        let json = Tree { left: &left }.deserialize(&mut reader).map_err(syntax)?;
        reader.end().map_err(syntax)?;
        Ok(json)
    }

    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Flag(_) => "true or false",
            Json::Number(number) if number.is_f64() => "a number that is not whole or too large",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Builds the tree, and counts.
#[derive(Clone, Copy)]
struct Tree<'c> {
    left: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        let left = self.left.get().checked_sub(1);
        let left = left.ok_or_else(|| D::Error::custom(format!("it has more than {MAX_VALUES} values")))?;
        self.left.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Flag(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            members.push((key, access.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

/// The members of an object that is written, in their order.
#[derive(Debug, Default)]
pub struct Members(Vec<(String, Json)>);

impl Members {
    /// A member.
    pub fn put(&mut self, key: &str, value: impl Into<Json>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// A member that is left out if it is empty.
    pub fn put_unless_empty(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, text);
        }
    }
}

impl From<Members> for Json {
    fn from(members: Members) -> Json {
        Json::Object(members.0)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number.into())
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Json {
        Json::Flag(flag)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::List(items)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Flag(flag) => serializer.serialize_bool(*flag),
            Json::Number(number) => number.serialize(serializer),
            Json::Text(text) => serializer.serialize_str(text),
            Json::List(items) => serializer.collect_seq(items),
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[track_caller]
    fn check<T: PartialEq + fmt::Debug>(
        value: &str,
        read: impl Fn(&Item<'_>) -> Result<T, JsonError>,
        expected: Result<T, &str>,
    ) {
        let json = tree(&format!("{{\"a\":{{\"b\":[0,{value}]}}}}"));
        let outer = Item::whole(&json).object().expect("an object").get("a").object().expect("an object");
        let item = outer.get("b").list().expect("an array").expect("not null")[1].clone();
        match (read(&item), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{value}"),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), format!("a.b[1]: {expected}")),
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn keys_are_lenient_and_the_last_counts() {
        let json =
            tree(r#"{"Name":"x","NAME":"y","other":{"name":1},"U\u017fer":"s","forK":"k","a":1,"A":null}"#);
        let object = Item::whole(&json).object().expect("an object");
        assert_eq!(object.get("name").text(), Ok("y"));
        assert_eq!(object.get("user").text(), Ok("s"));
        assert_eq!(object.get("fork").text(), Ok("k"));
        assert_eq!(object.get("a").number(), Ok(0));
        assert_eq!(object.get("missing").text(), Ok(""));
        assert!(
            object.get("missing").object().expect("nothing").get("deep").list().expect("nothing").is_none()
        );
        let error =
            object.get("other").object().expect("an object").get("name").text().expect_err("a number");
        assert_eq!(error.to_string(), "other.name: expected a string, found a number");
        let error = Item::whole(&tree("[]")).object().expect_err("an array");
        assert_eq!(error.to_string(), "the file: expected an object, found an array");
    }

    #[test]
    fn numbers_are_whole() {
        let whole = "expected a whole number, found a number that is not whole or too large";
        check("18446744073709551615", |item| item.number(), Ok(u64::MAX));
        check("null", |item| item.number(), Ok(0));
        check("1.0", |item| item.number(), Err(whole));
        check("1e3", |item| item.number(), Err(whole));
        check("18446744073709551616", |item| item.number(), Err(whole));
        check("-1", |item| item.number(), Err("expected a whole number from 0, found -1"));
        check("\"1\"", |item| item.number(), Err("expected a whole number, found a string"));
        check("true", |item| item.flag(), Ok(true));
        check("1", |item| item.flag(), Err("expected true or false, found a number"));
    }

    #[test]
    fn numbers_in_quotes() {
        let other = "expected digits of at most 64 bits in quotes, found another string";
        check("\"18446744073709551615\"", |item| item.gwei(), Ok(u64::MAX));
        check("\"18446744073709551616\"", |item| item.gwei(), Err(other));
        check("\"\"", |item| item.gwei(), Err(other));
        check("\"+1\"", |item| item.gwei(), Err(other));
        check("\"1.0\"", |item| item.gwei(), Err(other));
        check("1", |item| item.gwei(), Err("expected digits in quotes, found a number"));
        check("null", |item| item.gwei(), Err("expected digits in quotes, found null"));
        check("null", |item| item.quoted(), Ok(0));
        check("\"9223372036854775807\"", |item| item.quoted(), Ok(i64::MAX.unsigned_abs()));
        check(
            "\"9223372036854775808\"",
            |item| item.quoted(),
            Err("9223372036854775808 has more than 63 bits"),
        );
        check("9", |item| item.quoted(), Err("expected digits in quotes, found a number"));
    }

    #[test]
    fn bytes_in_hex_and_base64() {
        for text in ["null", "\"\"", "\"0x\""] {
            check(text, |item| item.hex(), Ok(Bytes::default()));
        }
        check("\"0xAb01\"", |item| item.hex(), Ok(Bytes::from([0xab, 1])));
        check("\"aB01\"", |item| item.hex(), Ok(Bytes::from([0xab, 1])));
        check("\"0x0x01\"", |item| item.hex(), Err("it is not hex: Invalid character 'x' at position 1"));
        check("\"0X01\"", |item| item.hex(), Err("it is not hex: Invalid character 'X' at position 1"));
        check("\"012\"", |item| item.hex(), Err("it is not hex: Odd number of digits"));
        check("null", |item| item.base64(), Ok(Bytes::default()));
        check("\"\"", |item| item.base64(), Ok(Bytes::present(Vec::new())));
        check("\"q80=\"", |item| item.base64(), Ok(Bytes::present(vec![0xab, 0xcd])));
        check("\"q80\"", |item| item.base64(), Err("it is not base64: Invalid padding"));
        assert_eq!(Bytes::default().to_base64(), Json::Null);
        assert_eq!(Bytes::present(Vec::new()).to_base64(), "".into());
        assert_eq!(Bytes::present(Vec::new()).to_hex(), "".into());
        assert_eq!(Bytes::from([0xab]).to_hex(), "0xab".into());
    }

    #[test]
    fn what_is_read_is_written_in_its_order() {
        let text = r#"{"b":[1,-2,null,true,"<"],"a":{},"B":[]}"#;
        assert_eq!(crate::text::compact(&tree(text)), text.replace('<', "\\u003c"));
    }

    #[test]
    fn no_text_is_read_without_end() {
        let deep = "[".repeat(100_000);
        let error = Json::parse(deep.as_bytes()).expect_err("too deep").to_string();
        assert!(error.contains("recursion limit"), "{error}");
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        let error = Json::parse(many.as_bytes()).expect_err("too many").to_string();
        assert!(error.contains("more than 4194304 values"), "{error}");
        for text in ["", "{", "[1,]", "{} {}", "\u{feff}{}", "{\"a\":1e999}"] {
            assert!(matches!(Json::parse(text.as_bytes()), Err(JsonError::Syntax(_))), "{text}");
        }
        let long = vec![b' '; MAX_TEXT + 1];
        assert_eq!(Json::parse(&long), Err(JsonError::TooLong { length: MAX_TEXT + 1 }));
    }
}
