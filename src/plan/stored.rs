//! Values as the state and the plan keep them: JSON in which nothing sensitive and nothing long is in clear.

use std::sync::Arc;

use coxswain_lang::convert::convert;
use coxswain_model::schema::{Attr, Class};
use coxswain_model::{Node, Object, Schema, Value, json};
use coxswain_state::{ClaimKey, Record};
use serde_json::{Map, Value as Json, json};

/// Text longer than this is kept as a digest.
const CLEAR_LIMIT: usize = 16 * 1024;

/// Keyed digest of bytes: `hmac-sha256:…`.
pub type Digest<'a> = dyn Fn(&[u8]) -> String + Sync + 'a;

/// A value for the state: sensitive or long leaves become `{"$digest": …}`.
pub fn to_stored(value: &Value, digest: &Digest<'_>) -> Json {
    let long = matches!(&value.node, Node::Str(s) if s.len() > CLEAR_LIMIT);
    if value.marks.sensitive && !value.is_wholly_known() {
        return json!({ "$unknown": true });
    }
    if value.marks.sensitive {
        return json!({ "$digest": digest_of(value, digest) });
    }
    if long {
        return json!({ "$digest": digest_of(value, digest), "$long": true });
    }
    match &value.node {
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => {
            items.iter().map(|v| to_stored(v, digest)).collect()
        }
        Node::Map(_, fields) | Node::Object(fields) => {
            Json::Object(fields.iter().map(|(k, v)| (k.to_string(), to_stored(v, digest))).collect())
        }
        Node::Null(_) | Node::Unknown { .. } | Node::Bool(_) | Node::Num(_) | Node::Str(_) | Node::Ref(_) => {
            json::to_json(value)
        }
    }
}

/// The keyed digest of a value's canonical text.
pub fn digest_of(value: &Value, digest: &Digest<'_>) -> String {
    digest(json::to_json_clear(value).to_string().as_bytes())
}

/// An object for the state, with the attributes the filter takes.
pub fn object_to_stored(
    object: &Object,
    digest: &Digest<'_>,
    take: impl Fn(&str) -> bool,
) -> Map<String, Json> {
    object
        .iter()
        .filter(|(k, v)| take(k) && !v.is_null())
        .map(|(k, v)| (k.to_string(), to_stored(v, digest)))
        .collect()
}

/// Marks what is made from sensitive arguments.
pub fn mark_derived(schema: &Schema, args: &Object, object: &mut Object) {
    for attr in schema.attributes {
        let marks = attr.derived_from.and_then(|source| args.get(source)).map(Value::deep_marks);
        if let (Some(marks), Some(value)) = (marks, object.get_mut(attr.name)) {
            *value = std::mem::replace(value, Value::null()).marked(&marks);
        }
    }
}

/// The claims a record lists.
pub fn claims(schema: &Schema, record: &Record) -> Vec<ClaimKey> {
    let mut keys = Vec::new();
    for attr in schema.attributes {
        let (Some(name), Some(stored)) = (attr.claim, record.attributes.get(attr.name)) else { continue };
        let values = stored.as_array().map_or(std::slice::from_ref(stored), Vec::as_slice);
        let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned);
        keys.extend(values.iter().map(|v| ClaimKey::new(name, &text(v))));
    }
    keys
}

/// Whether a stored leaf is a digest.
pub fn is_digest(stored: &Json) -> bool {
    stored.get("$digest").is_some()
}

/// The stored attributes as values of the schema's types; digests are left out.
pub fn from_stored(schema: &Schema, stored: &Map<String, Json>) -> Object {
    let mut object = Object::new();
    for attr in schema.attributes {
        let Some(json) = stored.get(attr.name) else { continue };
        if holds_digest(json) {
            continue;
        }
        let value = json::from_json(json);
        let value = convert(value.clone(), &attr.ty.to_type()).unwrap_or(value);
        object.insert(Arc::from(attr.name), value);
    }
    object
}

/// As [`from_stored`], for a kind's eyes: of what is kept as a digest it sees that it was given, not what it was.
pub fn prior(schema: &Schema, stored: &Map<String, Json>) -> Object {
    let mut object = from_stored(schema, stored);
    for attr in schema.attributes {
        if stored.get(attr.name).is_some_and(holds_digest) {
            object.insert(Arc::from(attr.name), Value::unknown(attr.ty.to_type()));
        }
    }
    object
}

/// A text for people without the sensitive values of an object that a program or a check may have put in it.
pub fn without_secrets(text: &str, object: &Object) -> String {
    let mut secrets = Vec::new();
    for value in object.values() {
        gather_secrets(value, &mut secrets);
    }
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(sensitive value)"))
}

/// The texts in the sensitive parts of a value.
fn gather_secrets<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    if value.is_sensitive() {
        gather_texts(value, found);
    } else {
        value.children().into_iter().for_each(|child| gather_secrets(child, found));
    }
}

fn gather_texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    found.extend(value.as_str().filter(|text| !text.is_empty()));
    value.children().into_iter().for_each(|child| gather_texts(child, found));
}

/// Whether anything in what is stored is a digest.
pub fn holds_digest(json: &Json) -> bool {
    match json {
        Json::Object(fields) => is_digest(json) || fields.values().any(holds_digest),
        Json::Array(items) => items.iter().any(holds_digest),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Whether anything in it was sensitive; what was only long says so.
pub fn holds_secret(json: &Json) -> bool {
    match json {
        Json::Object(fields) => {
            (is_digest(json) && json.get("$long").is_none()) || fields.values().any(holds_secret)
        }
        Json::Array(items) => items.iter().any(holds_secret),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Whether a value means the same as what is stored.
pub fn same_as_stored(
    attr: &Attr,
    stored: Option<&Json>,
    value: Option<&Value>,
    digest: &Digest<'_>,
) -> bool {
    match (stored, value) {
        (None | Some(Json::Null), None) => true,
        (None, Some(value)) | (Some(Json::Null), Some(value)) => value.is_null(),
        (Some(_), None) => false,
        (Some(stored), Some(value)) if !value.is_wholly_known() => {
            let _ = stored;
            false
        }
        (Some(stored), Some(value)) if is_digest(stored) => {
            stored.get("$digest").and_then(Json::as_str) == Some(digest_of(value, digest).as_str())
        }
        (Some(stored), Some(value)) if holds_digest(stored) => *stored == to_stored(value, digest),
        (Some(stored), Some(value)) => {
            let was = json::from_json(stored);
            let was = convert(was.clone(), &attr.ty.to_type()).unwrap_or(was);
            super::compare::same(attr, &was, value)
        }
    }
}

/// Fingerprint of what was observed: the owned and identity attributes, or that nothing is there.
pub fn fingerprint(schema: &Schema, observed: Option<&Object>, digest: &Digest<'_>) -> String {
    let Some(observed) = observed else { return "absent".to_owned() };
    let owned: Map<String, Json> = schema
        .attributes
        .iter()
        // Of a host, which machine it is.
        .filter(|a| matches!(a.class, Class::Identity | Class::Owned) || a.name == "machine_id")
        .filter(|a| !a.volatile)
        .filter_map(|a| observed.get(a.name).map(|v| (a.name.to_owned(), json::to_json_clear(v))))
        .collect();
    digest(Json::Object(owned).to_string().as_bytes())
}
