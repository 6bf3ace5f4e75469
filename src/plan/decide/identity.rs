//! Which object an instance means, and whether that is the recorded one.

use std::sync::Arc;

use coxswain_model::schema::{Attr, AttrType, Class, Placement};
use coxswain_model::{Address, Object, Schema, Value, json};
use coxswain_state::{OnDestroy, Record};

use crate::plan::stored::{self, Digest};
use crate::resource::kind::Endpoint;

/// The attribute by which the record is of another object than the wanted one.
pub fn renamed(
    schema: &Schema,
    record: &Record,
    desired: &Object,
    digest: &Digest<'_>,
) -> Option<&'static Attr> {
    let same =
        |a: &&Attr| stored::same_as_stored(a, record.attributes.get(a.name), desired.get(a.name), digest);
    schema.of_class(Class::Identity).find(|a| !same(a))
}

/// Whether the record is of another object than the wanted one, or of one at another place.
pub fn is_elsewhere(
    schema: &Schema,
    record: &Record,
    wanted: (&Object, &Endpoint),
    digest: &Digest<'_>,
) -> bool {
    if matches!(schema.placement, Placement::Nowhere | Placement::IsHost) {
        return renamed(schema, record, wanted.0, digest).is_some() && schema.placement == Placement::Nowhere;
    }
    let place = match wanted.1 {
        Endpoint::Host(host) => Some(host.uid.as_ref()),
        Endpoint::Controller | Endpoint::Nowhere => None,
    };
    record.endpoint.as_deref() != place || renamed(schema, record, wanted.0, digest).is_some()
}

/// The identity attributes of an object; all of it where the kind has no names (contributions).
pub fn identity_of(schema: &Schema, object: &Object) -> Object {
    if schema.is_named() { picked(schema, object, |a| a.class == Class::Identity) } else { object.clone() }
}

/// What a kind is asked about an object with these attributes: its name, and what it cannot be read without.
pub fn asked_of(schema: &Schema, object: &Object) -> Object {
    if schema.is_named() {
        picked(schema, object, |a| a.class == Class::Identity || a.asked)
    } else {
        object.clone()
    }
}

fn picked(schema: &Schema, object: &Object, is_picked: fn(&Attr) -> bool) -> Object {
    let picked = schema.attributes.iter().filter(|a| is_picked(a));
    picked.filter_map(|a| object.get(a.name).map(|v| (Arc::from(a.name), v.clone()))).collect()
}

/// What `lifecycle.on_destroy` means.
pub fn on_destroy(word: Option<&Value>) -> OnDestroy {
    match word.and_then(Value::as_str) {
        Some("retain") => OnDestroy::Retain,
        Some("forbid") => OnDestroy::Forbid,
        Some(_) | None => OnDestroy::Destroy,
    }
}

/// What a kind is asked about: the name; of a contribution everything, with what was applied last, so that what
/// is not wanted any more is seen too.
pub fn asked(schema: &Schema, object: &Object, record: Option<&Record>) -> Object {
    let mut asked = asked_of(schema, object);
    if schema.is_named() {
        return asked;
    }
    let applied = record.map_or_else(Object::new, |r| stored::from_stored(schema, &r.attributes));
    for attr in schema.of_class(Class::Owned) {
        let AttrType::Set(of) = attr.ty else { continue };
        let items = |object: &Object| object.get(attr.name).and_then(Value::as_items).map(<[Value]>::to_vec);
        if let (Some(mut wanted), Some(had)) = (items(&asked), items(&applied)) {
            wanted.extend(had);
            asked.insert(Arc::from(attr.name), Value::set(of.to_type(), wanted));
        }
    }
    asked
}

/// The identity as text, unique with kind and endpoint; `None` while a part is unknown. Contributions are named by
/// their address.
pub fn identity_text(schema: &Schema, address: &Address, object: &Object) -> Option<String> {
    let mut parts = Vec::new();
    for attr in schema.of_class(Class::Identity) {
        let value = object.get(attr.name)?;
        if !value.is_wholly_known() {
            return None;
        }
        parts.push(match value.as_str() {
            Some(text) => text.to_owned(),
            None => json::to_json(value).to_string(),
        });
    }
    Some(match parts.is_empty() {
        true if schema.one_per_host => schema.kind.to_owned(),
        true => address.to_string(),
        false => parts.join(" "),
    })
}
