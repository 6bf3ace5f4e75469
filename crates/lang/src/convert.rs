//! Conversion of values to types, and unification of types.
//!
//! The rules are those HCL users know: numbers and bools become text and back where the text is one, lists, sets
//! and tuples become each other, so do maps and objects. An `Any` inside a type takes the one type that all values
//! in that place convert to. References convert to references only. No message holds the text of a value, because
//! a value inside a sensitive one has no mark of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_model::value::Object;
use coxswain_model::{Field, Node, Num, Type, Value};

/// Why a value cannot become a type: the way to the place (`[0].port`) and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// The way from the value to the place, as it would be written.
    pub path: String,
    /// What is wrong: "a number is required, not bool".
    pub reason: String,
}

type Fields = BTreeMap<Arc<str>, Field>;

/// Converts `value` to `ty`; marks are kept, unknown values become unknown values of the type.
///
/// # Errors
/// When the value is of another shape.
pub fn convert(value: Value, ty: &Type) -> Result<Value, ConvertError> {
    if fits(&value.node, ty) {
        return Ok(value);
    }
    let is_open_set = value.is_open_set();
    let Value { node, marks } = value;
    let converted = match (node, ty) {
        (Node::Null(_), ty) => Node::Null(plain(ty)).into(),
        (Node::Unknown { ty: from, not_null }, ty) => match converted(&from, ty) {
            Some(ty) => Node::Unknown { ty, not_null }.into(),
            None => return Err(mismatch(ty, &from)),
        },
        (node, Type::Any) => node.into(),
        (node, Type::Bool) => to_bool(&node)?.into(),
        (node, Type::Num) => to_num(&node)?.into(),
        (node, Type::Str) => Node::Str(to_text(&node)?).into(),
        // No element says what they would be, and the collection does.
        (Node::List(have, items) | Node::Set(have, items), Type::List(elem)) if items.is_empty() => {
            Value::list(element(&have, elem), Vec::new())
        }
        (Node::List(have, items) | Node::Set(have, items), Type::Set(elem)) if items.is_empty() => {
            Value::set(element(&have, elem), Vec::new())
        }
        (Node::Map(have, entries), Type::Map(elem)) if entries.is_empty() => {
            Value::map(element(&have, elem), Object::new())
        }
        (Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items), Type::List(elem)) => {
            match convert_items(items, elem)? {
                (Some(elem), items) if is_open_set => undecided(Type::list(elem), items.into_iter()),
                (Some(elem), items) => Value::list(elem, items),
                (None, items) => undecided(Type::list(Type::Any), items.into_iter()),
            }
        }
        (Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items), Type::Set(elem)) => {
            match convert_items(items, elem)? {
                (Some(elem), items) => Value::set(elem, items),
                (None, items) => undecided(Type::set(Type::Any), items.into_iter()),
            }
        }
        (Node::Map(_, entries) | Node::Object(entries), Type::Map(elem)) => {
            match convert_entries(entries, elem)? {
                (Some(elem), entries) => Value::map(elem, entries),
                (None, entries) => undecided(Type::map(Type::Any), entries.into_values()),
            }
        }
        (Node::List(_, items) | Node::Tuple(items), Type::Tuple(types)) => to_tuple(items, types)?,
        (Node::Map(_, entries) | Node::Object(entries), Type::Object(fields)) => to_object(entries, fields)?,
        (node, ty) => return Err(mismatch(ty, &Value::from(node).type_of())),
    };
    Ok(converted.marked(&marks))
}

/// Whether the type of the value may still become another: something in it is unknown in its type too.
pub fn is_open(value: &Value) -> bool {
    match &value.node {
        Node::Unknown { ty, .. } => !ty.is_concrete(),
        _ => value.children().into_iter().any(is_open),
    }
}

/// A collection whose elements have no common type yet, because one of them may be of any type, or no order yet.
fn undecided(ty: Type, items: impl Iterator<Item = Value>) -> Value {
    let node = Node::Unknown { ty, not_null: true };
    items.fold(node.into(), |all: Value, item| all.marked(&item.deep_marks()))
}

/// Whether the node is of this type already, as far as that can be told at once.
fn fits(node: &Node, ty: &Type) -> bool {
    match (node, ty) {
        (_, Type::Any)
        | (Node::Bool(_), Type::Bool)
        | (Node::Num(_), Type::Num)
        | (Node::Str(_), Type::Str) => true,
        (Node::List(have, _), Type::List(want))
        | (Node::Set(have, _), Type::Set(want))
        | (Node::Map(have, _), Type::Map(want)) => have == want.as_ref() && is_plain(want),
        (Node::Ref(r), Type::Ref(kinds)) => kinds.is_empty() || kinds.contains(&r.address.kind),
        _ => false,
    }
}

/// Whether values of the type need no further look: nothing undecided and nothing optional in it.
fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Any => false,
        Type::Bool | Type::Num | Type::Str | Type::Ref(_) => true,
        Type::List(t) | Type::Set(t) | Type::Map(t) => is_plain(t),
        Type::Tuple(items) => items.iter().all(is_plain),
        Type::Object(fields) => fields.values().all(|f| f.optional.is_none() && is_plain(&f.ty)),
    }
}

/// The type without what was said about optional fields: the type values have.
fn plain(ty: &Type) -> Type {
    match ty {
        Type::Any | Type::Bool | Type::Num | Type::Str | Type::Ref(_) => ty.clone(),
        Type::List(t) => Type::list(plain(t)),
        Type::Set(t) => Type::set(plain(t)),
        Type::Map(t) => Type::map(plain(t)),
        Type::Tuple(items) => Type::Tuple(items.iter().map(plain).collect()),
        Type::Object(fields) => object_type(fields.iter().map(|(k, f)| (k.clone(), plain(&f.ty)))),
    }
}

fn object_type(fields: impl Iterator<Item = (Arc<str>, Type)>) -> Type {
    Type::Object(Arc::new(fields.map(|(k, ty)| (k, Field::required(ty))).collect()))
}

fn to_bool(node: &Node) -> Result<bool, ConvertError> {
    match node {
        Node::Bool(b) => Ok(*b),
        Node::Str(s) => match s.as_ref() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(fail("a bool is required, and this text is neither \"true\" nor \"false\"")),
        },
        other => Err(mismatch(&Type::Bool, &Value::from(other.clone()).type_of())),
    }
}

fn to_num(node: &Node) -> Result<Num, ConvertError> {
    match node {
        Node::Num(n) => Ok(n.clone()),
        Node::Str(s) => {
            let text = s.strip_prefix('+').filter(|rest| !rest.starts_with('-')).unwrap_or(s);
            text.parse().map_err(|_| fail("a number is required, and this text is not one"))
        }
        other => Err(mismatch(&Type::Num, &Value::from(other.clone()).type_of())),
    }
}

fn to_text(node: &Node) -> Result<Arc<str>, ConvertError> {
    match node {
        Node::Str(s) => Ok(s.clone()),
        Node::Num(n) => Ok(n.to_string().into()),
        Node::Bool(b) => Ok(if *b { "true".into() } else { "false".into() }),
        other => Err(mismatch(&Type::Str, &Value::from(other.clone()).type_of())),
    }
}

fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| shared.as_ref().clone())
}

/// Converts all elements to `elem`; where that leaves something open, to the one type they have in common, which is
/// `None` while it cannot be told.
fn convert_items(items: Arc<Vec<Value>>, elem: &Type) -> Result<(Option<Type>, Vec<Value>), ConvertError> {
    let convert_all = |items: Vec<Value>, ty: &Type| {
        items
            .into_iter()
            .enumerate()
            .map(|(i, item)| convert(item, ty).map_err(|e| e.below(&format!("[{i}]"))))
            .collect::<Result<Vec<Value>, ConvertError>>()
    };
    let items = convert_all(owned(items), elem)?;
    if elem.is_concrete() {
        return Ok((Some(plain(elem)), items));
    }
    let elem = common(items.iter(), "elements")?;
    if items.iter().any(is_open) {
        return Ok((None, items));
    }
    let items = convert_all(items, &elem)?;
    Ok((Some(elem), items))
}

fn convert_entries(entries: Arc<Object>, elem: &Type) -> Result<(Option<Type>, Object), ConvertError> {
    let convert_all = |entries: Object, ty: &Type| {
        entries
            .into_iter()
            .map(|(key, v)| match convert(v, ty) {
                Ok(v) => Ok((key, v)),
                Err(e) => Err(e.below(&key_step(&key))),
            })
            .collect::<Result<Object, ConvertError>>()
    };
    let entries = convert_all(owned(entries), elem)?;
    if elem.is_concrete() {
        return Ok((Some(plain(elem)), entries));
    }
    let elem = common(entries.values(), "values")?;
    if entries.values().any(is_open) {
        return Ok((None, entries));
    }
    let entries = convert_all(entries, &elem)?;
    Ok((Some(elem), entries))
}

fn common<'a>(values: impl Iterator<Item = &'a Value>, what: &str) -> Result<Type, ConvertError> {
    let mut types: Vec<Type> = Vec::new();
    for value in values {
        let ty = value.type_of();
        if types.last() != Some(&ty) && !types.contains(&ty) {
            types.push(ty);
        }
    }
    unify(&types).ok_or_else(|| {
        let names: Vec<String> = types.iter().take(3).map(a_type).collect();
        fail(&format!("all {what} must be of one type, and these are {}", names.join(", ")))
    })
}

fn to_tuple(items: Arc<Vec<Value>>, types: &[Type]) -> Result<Value, ConvertError> {
    if items.len() != types.len() {
        return Err(fail(&format!("a tuple of {} is required, not of {}", types.len(), items.len())));
    }
    let items = owned(items).into_iter().zip(types).enumerate();
    items
        .map(|(i, (item, ty))| convert(item, ty).map_err(|e| e.below(&format!("[{i}]"))))
        .collect::<Result<Vec<Value>, ConvertError>>()
        .map(Value::tuple)
}

fn to_object(entries: Arc<Object>, fields: &Fields) -> Result<Value, ConvertError> {
    let mut entries = owned(entries);
    let mut object = Object::new();
    for (name, field) in fields {
        let default = |marks| match field.optional.as_ref().and_then(|o| o.default.as_ref()) {
            Some(default) => default.clone().marked(marks),
            None => Value::from(Node::Null(plain(&field.ty))).marked(marks),
        };
        let value = match entries.remove(name) {
            Some(value) if value.is_null() && field.optional.is_some() => default(&value.marks),
            Some(value) => convert(value, &field.ty).map_err(|e| e.below(&format!(".{name}")))?,
            None if field.optional.is_some() => default(&coxswain_model::Marks::NONE),
            None => return Err(missing_field(name, &entries, fields)),
        };
        object.insert(name.clone(), value);
    }
    Ok(Value::object(object))
}

fn missing_field(name: &str, rest: &Object, fields: &Fields) -> ConvertError {
    let extra = rest.keys().map(AsRef::as_ref).filter(|k| !fields.contains_key(*k));
    match coxswain_model::diagnostic::suggest(name, extra) {
        Some(near) => fail(&format!("attribute `{name}` is required; is `{near}` meant to be it?")),
        None => fail(&format!("attribute `{name}` is required")),
    }
}

fn key_step(key: &str) -> String {
    format!("[{}]", serde_json::Value::from(key))
}

impl ConvertError {
    /// The same error, seen from one step further out.
    fn below(self, step: &str) -> ConvertError {
        ConvertError { path: format!("{step}{}", self.path), reason: self.reason }
    }
}

fn fail(reason: &str) -> ConvertError {
    ConvertError { path: String::new(), reason: reason.to_owned() }
}

fn mismatch(want: &Type, have: &Type) -> ConvertError {
    let have = match have {
        Type::Any => "a value of unknown type".to_owned(),
        have => a_type(have),
    };
    fail(&format!("{} is required, not {have}", a_type(want)))
}

/// The sort of a type in words: "a number", "an object", "a reference to host".
pub fn a_type(ty: &Type) -> String {
    match ty {
        Type::Any => "any value".into(),
        Type::Bool => "a bool".into(),
        Type::Num => "a number".into(),
        Type::Str => "a string".into(),
        Type::List(_) => "a list".into(),
        Type::Set(_) => "a set".into(),
        Type::Map(_) => "a map".into(),
        Type::Tuple(_) => "a tuple".into(),
        Type::Object(_) => "an object".into(),
        Type::Ref(kinds) if kinds.is_empty() => "a reference to a resource".into(),
        Type::Ref(_) => format!("a reference to {ty}"),
    }
}

/// The type that a value of type `from` has once it is converted to `to`; `None` when none of them converts.
/// Text may still turn out not to be a number.
pub fn converted(from: &Type, to: &Type) -> Option<Type> {
    match (from, to) {
        (from, Type::Any) => Some(from.clone()),
        (Type::Any, to) => Some(plain(to)),
        (Type::Bool | Type::Str, Type::Bool) => Some(Type::Bool),
        (Type::Num | Type::Str, Type::Num) => Some(Type::Num),
        (Type::Bool | Type::Num | Type::Str, Type::Str) => Some(Type::Str),
        (Type::List(f) | Type::Set(f), Type::List(t)) => Some(Type::list(element(f, t))),
        (Type::List(f) | Type::Set(f), Type::Set(t)) => Some(Type::set(element(f, t))),
        (Type::Tuple(items), Type::List(t)) => converted_all(items.iter(), t).map(Type::list),
        (Type::Tuple(items), Type::Set(t)) => converted_all(items.iter(), t).map(Type::set),
        (Type::Map(f), Type::Map(t)) => Some(Type::map(element(f, t))),
        (Type::Object(fields), Type::Map(t)) => {
            converted_all(fields.values().map(|f| &f.ty), t).map(Type::map)
        }
        (Type::List(f), Type::Tuple(to)) => {
            to.iter().map(|t| converted(f, t)).collect::<Option<_>>().map(Type::Tuple)
        }
        (Type::Tuple(from), Type::Tuple(to)) if from.len() == to.len() => {
            from.iter().zip(to.iter()).map(|(f, t)| converted(f, t)).collect::<Option<_>>().map(Type::Tuple)
        }
        (Type::Map(f), Type::Object(to)) => {
            let fields = to.iter().map(|(k, t)| Some((k.clone(), converted(f, &t.ty)?)));
            fields.collect::<Option<Vec<_>>>().map(|fields| object_type(fields.into_iter()))
        }
        (Type::Object(from), Type::Object(to)) => {
            let fields = to.iter().map(|(k, t)| match from.get(k) {
                Some(f) => Some((k.clone(), converted(&f.ty, &t.ty)?)),
                None => t.optional.as_ref().map(|_| (k.clone(), plain(&t.ty))),
            });
            fields.collect::<Option<Vec<_>>>().map(|fields| object_type(fields.into_iter()))
        }
        (Type::Ref(from), Type::Ref(to)) => {
            let overlap = from.is_empty() || to.is_empty() || from.iter().any(|kind| to.contains(kind));
            overlap.then(|| Type::Ref(if to.is_empty() { from.clone() } else { to.clone() }))
        }
        (
            Type::Bool
            | Type::Num
            | Type::Str
            | Type::List(_)
            | Type::Set(_)
            | Type::Map(_)
            | Type::Tuple(_)
            | Type::Object(_)
            | Type::Ref(_),
            _,
        ) => None,
    }
}

/// The type of the elements of a collection: there may be none, or nulls alone, where they would not convert.
fn element(from: &Type, to: &Type) -> Type {
    converted(from, to).unwrap_or_else(|| plain(to))
}

fn converted_all<'a>(from: impl Iterator<Item = &'a Type>, to: &Type) -> Option<Type> {
    let types: Vec<Type> = from.map(|f| converted(f, to)).collect::<Option<_>>()?;
    if to.is_concrete() { Some(plain(to)) } else { unify(&types) }
}

/// The one type all these types convert to, if there is one. `Any` takes part in nothing: of no types, or of
/// nothing but `Any`, the result is `Any`.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut known: Vec<&Type> = Vec::new();
    for ty in types.iter().filter(|ty| **ty != Type::Any) {
        if !known.contains(&ty) {
            known.push(ty);
        }
    }
    match known.as_slice() {
        [] => return Some(Type::Any),
        [one] => return Some((*one).clone()),
        _ => {}
    }
    let all = |is: fn(&Type) -> bool| known.iter().all(|ty| is(ty));
    if all(|ty| matches!(ty, Type::Bool | Type::Num | Type::Str)) {
        known.contains(&&Type::Str).then_some(Type::Str)
    } else if all(|ty| matches!(ty, Type::Ref(_))) {
        Some(unify_references(&known))
    } else if all(|ty| matches!(ty, Type::Map(_) | Type::Object(_))) {
        unify_fields(&known)
    } else if all(|ty| matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_))) {
        unify_rows(&known)
    } else {
        None
    }
}

fn unify_references(types: &[&Type]) -> Type {
    let mut kinds: Vec<Arc<str>> = Vec::new();
    for ty in types {
        let Type::Ref(more) = ty else { continue };
        if more.is_empty() {
            return Type::Ref(Arc::new([]));
        }
        kinds.extend(more.iter().cloned());
    }
    kinds.sort();
    kinds.dedup();
    Type::Ref(kinds.into())
}

/// Objects with the same names stay objects; others, and maps, become a map.
fn unify_fields(types: &[&Type]) -> Option<Type> {
    let objects: Option<Vec<&Fields>> = types
        .iter()
        .map(|ty| match ty {
            Type::Object(fields) => Some(fields.as_ref()),
            _ => None,
        })
        .collect();
    if let Some(objects) = objects
        && objects.iter().all(|o| o.len() == objects[0].len() && o.keys().eq(objects[0].keys()))
    {
        let fields = objects[0].keys().map(|name| {
            let types: Vec<Type> = objects.iter().filter_map(|o| o.get(name)).map(|f| f.ty.clone()).collect();
            Some((name.clone(), unify(&types)?))
        });
        return fields.collect::<Option<Vec<_>>>().map(|fields| object_type(fields.into_iter()));
    }
    let mut elems = Vec::new();
    for ty in types {
        match ty {
            Type::Map(elem) => elems.push(elem.as_ref().clone()),
            Type::Object(fields) => elems.extend(fields.values().map(|f| f.ty.clone())),
            _ => {}
        }
    }
    unify(&elems).map(Type::map)
}

/// Tuples of one length stay tuples; others become a list, or a set where there is one and no list.
fn unify_rows(types: &[&Type]) -> Option<Type> {
    let tuples: Option<Vec<&[Type]>> = types
        .iter()
        .map(|ty| match ty {
            Type::Tuple(items) => Some(items.as_ref()),
            _ => None,
        })
        .collect();
    if let Some(tuples) = tuples
        && tuples.iter().all(|t| t.len() == tuples[0].len())
    {
        let items = (0..tuples[0].len()).map(|i| {
            let types: Vec<Type> = tuples.iter().map(|t| t[i].clone()).collect();
            unify(&types)
        });
        return items.collect::<Option<_>>().map(Type::Tuple);
    }
    let mut elems = Vec::new();
    for ty in types {
        match ty {
            Type::List(elem) | Type::Set(elem) => elems.push(elem.as_ref().clone()),
            Type::Tuple(items) => elems.extend(items.iter().cloned()),
            _ => {}
        }
    }
    let is_set = types.iter().any(|ty| matches!(ty, Type::Set(_)));
    let is_list = types.iter().any(|ty| matches!(ty, Type::List(_)));
    let wrap = if is_set && !is_list { Type::set } else { Type::list };
    unify(&elems).map(wrap)
}
