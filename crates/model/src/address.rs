//! Addresses: `host.nfs`, `module.base["a"].file.motd[0]`.
//!
//! An [`Address`] names a resource (`key` is `None`) or one instance of it. The text form is canonical: parsing
//! what is displayed gives the same address.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The instance key of `for_each` (text) or `count` (number).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// From `count`: 0-based.
    Int(u64),
    /// From `for_each`.
    Str(Arc<str>),
}

/// One module call on the way from the root: `module.NAME` or `module.NAME["key"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleStep {
    /// The name of the call.
    pub name: Arc<str>,
    /// The instance of the call; `None` for a call without repetition.
    pub key: Option<Key>,
}

/// The way from the root module to a module instance; empty for the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ModulePath(pub Vec<ModuleStep>);

impl ModulePath {
    /// The root module.
    pub const ROOT: ModulePath = ModulePath(Vec::new());

    /// The module instance `name[key]` below this one.
    #[must_use]
    pub fn child(&self, name: &str, key: Option<Key>) -> ModulePath {
        let mut steps = self.0.clone();
        steps.push(ModuleStep { name: name.into(), key });
        ModulePath(steps)
    }
}

/// A resource, or one instance of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Where the block stands.
    pub module: ModulePath,
    /// The kind: the block's name.
    pub kind: Arc<str>,
    /// The block's label.
    pub name: Arc<str>,
    /// The instance; `None` for a resource without repetition, or for the resource as a whole.
    pub key: Option<Key>,
}

impl Address {
    /// `KIND.NAME` in the root module.
    pub fn root(kind: &str, name: &str) -> Address {
        Address { module: ModulePath::ROOT, kind: kind.into(), name: name.into(), key: None }
    }

    /// The same resource with another key.
    #[must_use]
    pub fn with_key(&self, key: Option<Key>) -> Address {
        Address { key, ..self.clone() }
    }

    /// The resource this is an instance of.
    #[must_use]
    pub fn resource(&self) -> Address {
        self.with_key(None)
    }

    /// Whether `self`, used as a selection (`--target`), takes in `other`: the same instance, or any instance of
    /// the resource when `self` has no key.
    pub fn covers(&self, other: &Address) -> bool {
        self.module == other.module
            && self.kind == other.kind
            && self.name == other.name
            && (self.key.is_none() || self.key == other.key)
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {reason}; write KIND.NAME, KIND.NAME[\"key\"] or module.NAME.KIND.NAME")]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Int(n) => write!(f, "[{n}]"),
            Key::Str(s) => write!(f, "[{}]", quote(s)),
        }
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "module.{}", step.name)?;
            if let Some(key) = &step.key {
                write!(f, "{key}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.0.is_empty() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}.{}", self.kind, self.name)?;
        match &self.key {
            Some(key) => write!(f, "{key}"),
            None => Ok(()),
        }
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Cursor<'_> {
    fn fail(&self, reason: &'static str) -> AddressError {
        AddressError { text: self.text.to_owned(), reason }
    }

    fn name(&mut self) -> Result<Arc<str>, AddressError> {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.fail("a name is missing"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.into())
    }

    fn dot(&mut self) -> Result<(), AddressError> {
        self.rest = self.rest.strip_prefix('.').ok_or_else(|| self.fail("a dot is missing"))?;
        Ok(())
    }

    fn key(&mut self) -> Result<Option<Key>, AddressError> {
        let Some(inner) = self.rest.strip_prefix('[') else { return Ok(None) };
        if inner.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(inner).into_iter::<String>();
            let key =
                stream.next().and_then(Result::ok).ok_or_else(|| self.fail("the key is not a string"))?;
            self.rest = &inner[stream.byte_offset()..];
            self.close(Key::Str(key.into()))
        } else {
            let end = inner.find(']').ok_or_else(|| self.fail("`]` is missing"))?;
            let n =
                inner[..end].parse().map_err(|_| self.fail("the key is neither a number nor a string"))?;
            self.rest = &inner[end..];
            self.close(Key::Int(n))
        }
    }

    fn close(&mut self, key: Key) -> Result<Option<Key>, AddressError> {
        self.rest = self.rest.strip_prefix(']').ok_or_else(|| self.fail("`]` is missing"))?;
        Ok(Some(key))
    }
}

impl std::str::FromStr for ModulePath {
    type Err = AddressError;

    /// Parses `module.a["k"].module.b`.
    fn from_str(text: &str) -> Result<ModulePath, AddressError> {
        let mut at = Cursor { text, rest: text };
        let mut path = Vec::new();
        loop {
            if at.name()?.as_ref() != "module" {
                return Err(at.fail("a module path is a row of module.NAME"));
            }
            at.dot()?;
            path.push(ModuleStep { name: at.name()?, key: at.key()? });
            if at.rest.is_empty() {
                return Ok(ModulePath(path));
            }
            at.dot()?;
        }
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let mut at = Cursor { text, rest: text };
        let mut module = Vec::new();
        loop {
            let first = at.name()?;
            at.dot()?;
            let name = at.name()?;
            let key = at.key()?;
            if first.as_ref() == "module" {
                module.push(ModuleStep { name, key });
                at.dot()?;
            } else if at.rest.is_empty() {
                return Ok(Address { module: ModulePath(module), kind: first, name, key });
            } else {
                return Err(at.fail("something follows the address"));
            }
        }
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trip(text: &str) {
        assert_eq!(text.parse::<Address>().expect("parses").to_string(), text);
    }

    #[test]
    fn addresses_round_trip() {
        round_trip("host.nfs");
        round_trip("file.a[3]");
        round_trip(r#"module.base["x.y"].module.in[0].file.motd["a\"]b"]"#);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "host", "host.", "host.a[", "host.a[x]", "host.a.b", "module.a", "host.a[\"x]"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
