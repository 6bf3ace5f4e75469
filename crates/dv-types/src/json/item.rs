//! Walking down a tree: a value that knows where it stands, and what may stand there.

use super::{Bytes, Json, JsonError};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Item<'j> {
    json: &'j Json,
    path: String,
}

/// An object and where it stands.
#[derive(Debug, Clone)]
pub struct Object<'j> {
    members: &'j [(String, Json)],
    path: String,
}

/// Whether two keys are the same: without letter case, and with the two letters outside ASCII that have one in it as
/// their other case.
fn is_same_key(found: &str, key: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    found.chars().map(fold).eq(key.chars().map(fold))
}

impl<'j> Object<'j> {
    /// The member with this key; `null` if there is none.
    pub fn get(&self, key: &str) -> Item<'j> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let found = self.members.iter().rev().find(|(found, _)| is_same_key(found, key));
        Item { json: found.map_or(&Json::Null, |(_, json)| json), path }
    }
}

impl<'j> Item<'j> {
    /// The whole of a text; its path is empty.
    pub fn whole(json: &'j Json) -> Item<'j> {
        Item { json, path: String::new() }
    }

    /// An error about this value.
    pub fn wrong(&self, why: impl Into<String>) -> JsonError {
        let path = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
        JsonError::Value { path, why: why.into() }
    }

    fn unexpected(&self, expected: &str) -> JsonError {
        self.wrong(format!("expected {expected}, found {}", self.json.kind()))
    }

    /// An object; `null` has no members.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self) -> Result<Object<'j>, JsonError> {
        let members: &[_] = match self.json {
            Json::Null => &[],
            Json::Object(members) => members,
            Json::Flag(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                return Err(self.unexpected("an object"));
            }
        };
        Ok(Object { members, path: self.path.clone() })
    }

    /// The items of an array; none for `null`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self) -> Result<Option<Vec<Item<'j>>>, JsonError> {
        match self.json {
            Json::Null => Ok(None),
            Json::List(items) => {
                let place = |(n, json)| Item { json, path: format!("{}[{n}]", self.path) };
                Ok(Some(items.iter().enumerate().map(place).collect()))
            }
            Json::Flag(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => {
                Err(self.unexpected("an array"))
            }
        }
    }

    /// What `read` makes of each item of an array; nothing for `null`.
    ///
    /// # Errors
    /// When it is something else, and as `read` does.
    pub fn each<T, E: From<JsonError>>(
        &self,
        read: impl FnMut(Item<'j>) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.list()?.unwrap_or_default().into_iter().map(read).collect()
    }

    /// A string as it was written; `null` is empty.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self) -> Result<&'j str, JsonError> {
        match self.json {
            Json::Null => Ok(""),
            Json::Text(text) => Ok(text),
            Json::Flag(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
                Err(self.unexpected("a string"))
            }
        }
    }

    /// `true` or `false`; `null` is `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self) -> Result<bool, JsonError> {
        match self.json {
            Json::Null => Ok(false),
            Json::Flag(flag) => Ok(*flag),
            Json::Number(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                Err(self.unexpected("true or false"))
            }
        }
    }

    /// A whole number from 0; `null` is 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self) -> Result<u64, JsonError> {
        match self.json {
            Json::Null => Ok(0),
            Json::Number(number) => number.as_u64().ok_or_else(|| match number.as_i64() {
                Some(number) => self.wrong(format!("expected a whole number from 0, found {number}")),
                None => self.unexpected("a whole number"),
            }),
            Json::Flag(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                Err(self.unexpected("a whole number"))
            }
        }
    }

    /// An amount of gwei: digits in quotes.
    ///
    /// # Errors
    /// When it is something else, `null` too.
    pub fn gwei(&self) -> Result<u64, JsonError> {
        match self.json {
            Json::Text(text) => self.digits(text),
            Json::Null | Json::Flag(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
                Err(self.unexpected("digits in quotes"))
            }
        }
    }

    /// A number as digits in quotes, of at most 63 bits; `null` is 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn quoted(&self) -> Result<u64, JsonError> {
        if *self.json == Json::Null {
            return Ok(0);
        }
        let number = self.gwei()?;
        i64::try_from(number).map_err(|_| self.wrong(format!("{number} has more than 63 bits")))?;
        Ok(number)
    }

    fn digits(&self, text: &str) -> Result<u64, JsonError> {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let refused = || self.wrong("expected digits of at most 64 bits in quotes, found another string");
        text.parse().ok().filter(|_| is_digits).ok_or_else(refused)
    }

    /// Bytes in hex, with or without `0x`; `null` is empty.
    ///
    /// # Errors
    /// When it is something else.
    pub fn hex(&self) -> Result<Bytes, JsonError> {
        let text = self.text()?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|error| self.wrong(format!("it is not hex: {error}")))?;
        Ok(bytes.into())
    }

    /// Bytes in base64; `null` and an empty string are told apart.
    ///
    /// # Errors
    /// When it is something else.
    pub fn base64(&self) -> Result<Bytes, JsonError> {
        if *self.json == Json::Null {
            return Ok(Bytes::default());
        }
        Bytes::parse_base64(self.text()?).map_err(|error| self.wrong(format!("it is not base64: {error}")))
    }
}
