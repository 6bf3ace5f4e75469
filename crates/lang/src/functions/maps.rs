//! Functions on maps and objects. They take unknown values as far as their keys are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_model::value::Object;
use coxswain_model::{Marks, Node, Type, Value};

use super::arguments::{
    any, argument, key, list_of_strings, map_of_lists_of_strings, marks_of, nullable, param, text, texts,
};
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::{a_type, convert};

const MAP: Param = param("map", any);

pub(super) static KEYS: FnSpec = FnSpec {
    name: "keys",
    params: &[MAP],
    result: |_| list_of_strings(),
    raw: true,
    call: keys,
    doc: "The keys, sorted.",
    example: ("keys({ b = 1, a = 2 })", r#"["a","b"]"#),
    ..BASE
};

pub(super) static VALUES: FnSpec = FnSpec {
    name: "values",
    params: &[MAP],
    result: |_| Type::Any,
    raw: true,
    call: values,
    doc: "The values, in the order of their keys.",
    example: ("values({ b = 1, a = 2 })", "[2,1]"),
    ..BASE
};

pub(super) static LOOKUP: FnSpec = FnSpec {
    name: "lookup",
    params: &[MAP, param("key", super::arguments::string)],
    variadic: Some(nullable("default", any)),
    result: |_| Type::Any,
    raw: true,
    call: lookup,
    doc: "The value under the key, or the default if there is none.",
    example: (r#"lookup({ a = "x" }, "b", "d")"#, r#""d""#),
};

pub(super) static MERGE: FnSpec = FnSpec {
    name: "merge",
    variadic: Some(nullable("maps", any)),
    result: |_| Type::Any,
    raw: true,
    call: merge,
    doc: "All entries of the maps and objects; where a key is in several, the last one's.",
    example: ("merge({ a = 1, b = 2 }, { b = 3 })", r#"{"a":1,"b":3}"#),
    ..BASE
};

pub(super) static TRANSPOSE: FnSpec = FnSpec {
    name: "transpose",
    params: &[param("map", map_of_lists_of_strings)],
    result: |_| map_of_lists_of_strings(),
    call: transpose,
    doc: "Makes the elements keys and the keys elements.",
    example: (r#"transpose({ a = ["1", "2"], b = ["2"] })"#, r#"{"1":["a"],"2":["a","b"]}"#),
    ..BASE
};

pub(super) static ZIPMAP: FnSpec = FnSpec {
    name: "zipmap",
    params: &[param("keys", list_of_strings), param("values", any)],
    result: |_| Type::Any,
    raw: true,
    call: zipmap,
    doc: "A map of these keys to these values.",
    example: (r#"zipmap(["a", "b"], [1, 2])"#, r#"{"a":1,"b":2}"#),
    ..BASE
};

/// What is known of a map or object.
enum Entries<'a> {
    /// Its keys are known. The type is `None` for an object.
    Known(std::borrow::Cow<'a, Object>, Option<&'a Type>),
    /// Not even its keys; the type of its values.
    Unknown(Type),
}

fn entries(args: &[Value], i: usize) -> Result<Entries<'_>, FnError> {
    let value = argument(args, i)?;
    let refuse = |ty: &Type| FnError::of(i, format!("a map or an object is required, not {}", a_type(ty)));
    match &value.node {
        Node::Map(ty, fields) => Ok(Entries::Known(std::borrow::Cow::Borrowed(fields), Some(ty))),
        Node::Object(fields) => Ok(Entries::Known(std::borrow::Cow::Borrowed(fields), None)),
        Node::Unknown { ty: Type::Any | Type::Ref(_), .. } => Ok(Entries::Unknown(Type::Any)),
        Node::Unknown { ty: Type::Map(elem), .. } => Ok(Entries::Unknown(elem.as_ref().clone())),
        Node::Unknown { ty: Type::Object(fields), .. } => {
            let unknown = fields.iter().map(|(k, f)| (k.clone(), Value::unknown(f.ty.clone()))).collect();
            Ok(Entries::Known(std::borrow::Cow::Owned(unknown), None))
        }
        Node::Null(_) => Err(FnError::of(i, "a map or an object is required, not null")),
        Node::Unknown { ty, .. } => Err(refuse(ty)),
        Node::Bool(_)
        | Node::Num(_)
        | Node::Str(_)
        | Node::List(..)
        | Node::Set(..)
        | Node::Tuple(_)
        | Node::Ref(_) => Err(refuse(&value.type_of())),
    }
}

fn keys(args: &[Value]) -> Result<Value, FnError> {
    let keys = match entries(args, 0)? {
        Entries::Unknown(_) => Value::unknown(list_of_strings()),
        Entries::Known(fields, ty) => {
            let keys = fields.keys().map(|k| Value::from(Node::Str(k.clone()))).collect();
            if ty.is_some() { Value::list(Type::Str, keys) } else { Value::tuple(keys) }
        }
    };
    Ok(keys.marked(&marks_of(args)))
}

fn values(args: &[Value]) -> Result<Value, FnError> {
    let values = match entries(args, 0)? {
        Entries::Unknown(Type::Any) => Value::unknown(Type::Any),
        Entries::Unknown(elem) => Value::unknown(Type::list(elem)),
        Entries::Known(fields, ty) => {
            let values = fields.values().cloned().collect();
            match ty {
                Some(ty) => Value::list(ty.clone(), values),
                None => Value::tuple(values),
            }
        }
    };
    Ok(values.marked(&marks_of(args)))
}

fn lookup(args: &[Value]) -> Result<Value, FnError> {
    if args.len() > 3 {
        return Err(FnError::new("a map, a key and at most one default are required"));
    }
    let entries = entries(args, 0)?;
    let marks = marks_of(&args[..args.len().min(2)]);
    let wanted = argument(args, 1)?;
    let (fields, ty) = match entries {
        Entries::Unknown(elem) => return Ok(Value::unknown(elem).marked(&marks)),
        Entries::Known(_, ty) if !wanted.is_known() => {
            return Ok(Value::unknown(ty.cloned().unwrap_or(Type::Any)).marked(&marks));
        }
        Entries::Known(fields, ty) => (fields, ty),
    };
    let wanted = text(args, 1)?;
    let found = match (fields.get(wanted), args.get(2), ty) {
        (Some(found), _, _) => found.clone(),
        (None, Some(default), Some(ty)) => {
            convert(default.clone(), ty).map_err(|e| FnError::of(2, format!("the default: {e}")))?
        }
        (None, Some(default), None) => default.clone(),
        // The key is not named: it may be sensitive.
        (None, None, _) => return Err(FnError::of(1, "the map has no such key, and no default is given")),
    };
    Ok(found.marked(&marks))
}

fn merge(args: &[Value]) -> Result<Value, FnError> {
    let mut merged = Object::new();
    let mut types: Vec<Option<Type>> = Vec::new();
    let mut is_unknown = false;
    for (i, arg) in args.iter().enumerate() {
        if arg.is_null() {
            continue;
        }
        match entries(args, i)? {
            Entries::Unknown(elem) => {
                is_unknown = true;
                types.push((elem != Type::Any).then_some(elem));
            }
            Entries::Known(fields, ty) => {
                types.push(ty.cloned());
                merged.extend(fields.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
        }
    }
    let one_type = match types.split_first() {
        Some((Some(first), rest)) if rest.iter().all(|t| t.as_ref() == Some(first)) => Some(first.clone()),
        _ => None,
    };
    let merged = match (is_unknown, one_type) {
        (true, Some(elem)) => Value::unknown(Type::map(elem)),
        (true, None) => Value::unknown(Type::Any),
        (false, Some(elem)) => Value::map(elem, merged),
        (false, None) => Value::object(merged),
    };
    Ok(merged.marked(&marks_of(args)))
}

fn transpose(args: &[Value]) -> Result<Value, FnError> {
    let mut turned: BTreeMap<&str, Vec<&Arc<str>>> = BTreeMap::new();
    for (name, list) in super::arguments::fields(args, 0)? {
        let elements = texts(std::slice::from_ref(list), 0).map_err(|e| {
            FnError::of(0, format!("[{}]: {}", serde_json::Value::from(name.as_ref()), e.reason))
        })?;
        for element in elements {
            turned.entry(element).or_default().push(name);
        }
    }
    let lists = turned.into_iter().map(|(element, names)| {
        (
            key(element),
            Value::list(Type::Str, names.into_iter().map(|n| Value::from(Node::Str(n.clone()))).collect()),
        )
    });
    Ok(Value::map(list_of_strings(), lists.collect()))
}

fn zipmap(args: &[Value]) -> Result<Value, FnError> {
    let (keys, values) = (argument(args, 0)?, argument(args, 1)?);
    let mut marks: Marks = marks_of(args);
    let elem = match values.type_of() {
        Type::List(elem) => Some(elem.as_ref().clone()),
        Type::Tuple(_) | Type::Any => None,
        other => return Err(FnError::of(1, format!("a list or tuple is required, not {}", a_type(&other)))),
    };
    if !keys.is_wholly_known() || !values.is_known() {
        let ty = elem.map_or(Type::Any, Type::map);
        return Ok(Value::unknown(ty).marked(&marks.with(&keys.deep_marks())));
    }
    marks.add(&keys.deep_marks());
    let names = texts(args, 0)?;
    let items = super::arguments::items(args, 1)?;
    if names.len() != items.len() {
        return Err(FnError::new(format!("there are {} keys and {} values", names.len(), items.len())));
    }
    let zipped: Object = names.into_iter().map(key).zip(items.iter().cloned()).collect();
    Ok(match elem {
        Some(elem) => Value::map(elem, zipped),
        None => Value::object(zipped),
    }
    .marked(&marks))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    fn object(entries: &[(&str, Value)]) -> Value {
        Value::object(entries.iter().map(|(k, v)| (key(k), v.clone())).collect())
    }

    #[test]
    fn merging_keeps_keys_of_unknown_values() {
        let got =
            call(&MERGE, &[object(&[("a", Value::unknown(Type::Str))]), object(&[("b", Value::from(1))])]);
        let got = got.expect("merges");
        assert_eq!(got.as_fields().expect("known").len(), 2);
        let got = call(&MERGE, &[got, Value::unknown(Type::Any)]).expect("merges");
        assert!(!got.is_known());
    }

    #[test]
    fn marks_stay_with_the_element() {
        let secret = object(&[("a", Value::from("s").sensitive()), ("b", Value::from("x"))]);
        let got = call(&LOOKUP, &[secret.clone(), Value::from("b")]).expect("there");
        assert!(!got.is_sensitive());
        assert!(call(&LOOKUP, &[secret.clone(), Value::from("a")]).expect("there").is_sensitive());
        assert!(!call(&KEYS, std::slice::from_ref(&secret)).expect("keys").is_sensitive());
        assert!(!call(&VALUES, &[secret]).expect("values").marks.sensitive);
    }

    #[test]
    fn keys_of_an_unknown_object_are_known() {
        let ty = object(&[("a", Value::from(1))]).type_of();
        let got = call(&KEYS, &[Value::unknown(ty)]).expect("keys");
        assert_eq!(got.as_items().expect("known")[0].as_str(), Some("a"));
        assert!(!call(&KEYS, &[Value::unknown(Type::map(Type::Str))]).expect("keys").is_known());
    }
}
