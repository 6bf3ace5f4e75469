//! Functions that ask something of a collection or choose from it.

use std::cmp::Ordering;

use coxswain_model::{Marks, Node, Num, Type, Value};

use super::arguments::{
    any, argument, elem_type, items, list_of_any, list_of_bools, list_of_strings, made_texts, marks_of,
    nullable, param, texts,
};
use super::strings::width;
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::{a_type, convert, is_open, unify};

const LIST: Param = param("list", list_of_any);

pub(super) static ALLTRUE: FnSpec = FnSpec {
    name: "alltrue",
    params: &[param("list", list_of_bools)],
    result: |_| Type::Bool,
    call: |args| Ok(items(args, 0)?.iter().all(|v| v.as_bool() == Some(true)).into()),
    doc: "Whether all elements are true; yes where there are none.",
    example: ("alltrue([true, false])", "false"),
    ..BASE
};

pub(super) static ANYTRUE: FnSpec = FnSpec {
    name: "anytrue",
    params: &[param("list", list_of_bools)],
    result: |_| Type::Bool,
    call: |args| Ok(items(args, 0)?.iter().any(|v| v.as_bool() == Some(true)).into()),
    doc: "Whether any element is true; no where there are none.",
    example: ("anytrue([true, false])", "true"),
    ..BASE
};

pub(super) static COALESCE: FnSpec = FnSpec {
    name: "coalesce",
    variadic: Some(nullable("values", any)),
    result: |args| unify(&args.iter().map(Value::type_of).collect::<Vec<_>>()).unwrap_or(Type::Any),
    raw: true,
    call: coalesce,
    doc: "The first value that is neither null nor an empty string.",
    example: (r#"coalesce(null, "", "b")"#, r#""b""#),
    ..BASE
};

pub(super) static COALESCELIST: FnSpec = FnSpec {
    name: "coalescelist",
    variadic: Some(param("lists", any)),
    raw: true,
    call: coalescelist,
    doc: "The first of the lists that is not empty.",
    example: (r#"coalescelist([], ["a"])"#, r#"["a"]"#),
    ..BASE
};

pub(super) static COMPACT: FnSpec = FnSpec {
    name: "compact",
    params: &[param("list", list_of_strings)],
    result: |_| list_of_strings(),
    call: |args| Ok(made_texts(items(args, 0)?.iter().filter_map(Value::as_str).filter(|t| !t.is_empty()))),
    doc: "The list without nulls and empty strings.",
    example: (r#"compact(["a", "", null])"#, r#"["a"]"#),
    ..BASE
};

pub(super) static CONTAINS: FnSpec = FnSpec {
    name: "contains",
    params: &[param("list", any), nullable("value", any)],
    result: |_| Type::Bool,
    raw: true,
    call: contains,
    doc: "Whether a list, set or tuple holds the value.",
    example: (r#"contains(["a", "b"], "b")"#, "true"),
    ..BASE
};

pub(super) static DISTINCT: FnSpec = FnSpec {
    name: "distinct",
    params: &[LIST],
    result: |args| args.first().map_or_else(list_of_any, Value::type_of),
    call: distinct,
    doc: "The list without what was there before.",
    example: (r#"distinct(["b", "a", "b"])"#, r#"["b","a"]"#),
    ..BASE
};

pub(super) static INDEX: FnSpec = FnSpec {
    name: "index",
    params: &[param("list", any), nullable("value", any)],
    result: |_| Type::Num,
    call: index,
    doc: "The position of the value in the list, from 0.",
    example: (r#"index(["a", "b"], "b")"#, "1"),
    ..BASE
};

pub(super) static LENGTH: FnSpec = FnSpec {
    name: "length",
    params: &[param("value", any)],
    result: |_| Type::Num,
    raw: true,
    call: length,
    doc: "The number of elements, or of characters.",
    example: (r#"length(["a", "b"])"#, "2"),
    ..BASE
};

pub(super) static MATCHKEYS: FnSpec = FnSpec {
    name: "matchkeys",
    params: &[param("values", list_of_any), param("keys", list_of_any), param("wanted", list_of_any)],
    result: |args| args.first().map_or_else(list_of_any, Value::type_of),
    call: matchkeys,
    doc: "The values whose key, at the same position in the second list, is in the third.",
    example: (r#"matchkeys(["a", "b"], ["x", "y"], ["y"])"#, r#"["b"]"#),
    ..BASE
};

pub(super) static SORT: FnSpec = FnSpec {
    name: "sort",
    params: &[param("list", list_of_strings)],
    result: |_| list_of_strings(),
    call: |args| {
        let mut sorted = texts(args, 0)?;
        sorted.sort_unstable();
        Ok(made_texts(sorted))
    },
    doc: "The strings, sorted by their bytes.",
    example: (r#"sort(["b", "a"])"#, r#"["a","b"]"#),
    ..BASE
};

fn coalesce(args: &[Value]) -> Result<Value, FnError> {
    let types: Vec<Type> = args.iter().map(Value::type_of).collect();
    let ty = unify(&types).ok_or_else(|| {
        let names: Vec<String> = types.iter().map(a_type).collect();
        FnError::new(format!("all values must be of one type, and these are {}", names.join(", ")))
    })?;
    // What is of unknown type yet may make text of the others; text it leaves as it is.
    let is_open = args.iter().any(is_open);
    let mut marks = Marks::NONE;
    for (i, arg) in args.iter().enumerate() {
        // What was passed over had a say in the result.
        marks.add(&arg.marks);
        if !arg.is_known() || (is_open && !arg.is_null() && arg.as_str().is_none()) {
            let ty = if is_open { Type::Any } else { ty };
            args.iter().for_each(|arg| marks.add(&arg.deep_marks()));
            return Ok(Value::unknown(ty).marked(&marks));
        }
        if !arg.is_null() && arg.as_str() != Some("") {
            let value = convert(arg.clone(), &ty).map_err(|e| FnError::of(i, e.to_string()))?;
            if value.node != arg.node {
                // The types of the others made it so.
                args.iter().for_each(|arg| marks.add(&arg.deep_marks()));
            }
            return Ok(value.marked(&marks));
        }
    }
    Err(FnError::new("all values are null or empty strings"))
}

fn coalescelist(args: &[Value]) -> Result<Value, FnError> {
    let mut marks = Marks::NONE;
    for (i, arg) in args.iter().enumerate() {
        marks.add(&arg.marks);
        if !arg.is_known() {
            return Ok(Value::unknown(Type::Any).marked(&marks));
        }
        let (Node::List(_, items) | Node::Tuple(items)) = &arg.node else {
            return Err(FnError::of(i, format!("a list or tuple is required, not {}", shown_type(arg))));
        };
        if !items.is_empty() {
            return Ok(arg.clone().marked(&marks));
        }
    }
    Err(FnError::new("all lists are empty"))
}

/// The sort of a value for messages; null is named as such.
pub(super) fn shown_type(value: &Value) -> String {
    if value.is_null() { "null".into() } else { a_type(&value.type_of()) }
}

fn contains(args: &[Value]) -> Result<Value, FnError> {
    let wanted = argument(args, 1)?;
    let mut marks = marks_of(args).with(&wanted.deep_marks());
    if let Node::Unknown { ty, .. } = &argument(args, 0)?.node {
        return match ty {
            Type::Any | Type::List(_) | Type::Set(_) | Type::Tuple(_) => {
                Ok(Value::unknown(Type::Bool).marked(&marks))
            }
            Type::Bool | Type::Num | Type::Str | Type::Map(_) | Type::Object(_) | Type::Ref(_) => {
                Err(FnError::of(0, format!("a list, set or tuple is required, not {}", a_type(ty))))
            }
        };
    }
    let mut is_open = false;
    for item in items(args, 0)? {
        marks.add(&item.deep_marks());
        if item.same(wanted) {
            return Ok(Value::from(true).marked(&marks));
        }
        is_open |= !item.is_wholly_known();
    }
    let is_open = is_open || !wanted.is_wholly_known();
    Ok(if is_open { Value::unknown(Type::Bool) } else { Value::from(false) }.marked(&marks))
}

fn distinct(args: &[Value]) -> Result<Value, FnError> {
    let all = items(args, 0)?;
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| Value::order(&all[*a], &all[*b]).then(a.cmp(b)));
    order.dedup_by(|later, first| Value::order(&all[*later], &all[*first]) == Ordering::Equal);
    order.sort_unstable();
    let elem = elem_type(argument(args, 0)?);
    Ok(Value::list(elem, order.into_iter().map(|i| all[i].clone()).collect()))
}

fn index(args: &[Value]) -> Result<Value, FnError> {
    let wanted = argument(args, 1)?;
    if matches!(argument(args, 0)?.node, Node::Set(..)) {
        return Err(FnError::of(0, "the elements of a set have no positions"));
    }
    match items(args, 0)?.iter().position(|v| v.same(wanted)) {
        Some(at) => Ok(Num::from(at).into()),
        None => Err(FnError::of(1, "the list does not hold this value")),
    }
}

fn length(args: &[Value]) -> Result<Value, FnError> {
    let value = argument(args, 0)?;
    let refuse =
        || FnError::of(0, format!("a collection or a string is required, not {}", shown_type(value)));
    let length = match &value.node {
        Node::Str(text) => Some(width(text)),
        // Unknown elements may turn out to be equal.
        Node::Set(..) if value.is_open_set() => None,
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => Some(items.len()),
        Node::Map(_, fields) | Node::Object(fields) => Some(fields.len()),
        Node::Unknown { ty, .. } => match ty {
            Type::Tuple(items) => Some(items.len()),
            Type::Object(fields) => Some(fields.len()),
            Type::Any | Type::Str | Type::List(_) | Type::Set(_) | Type::Map(_) | Type::Ref(_) => None,
            Type::Bool | Type::Num => return Err(refuse()),
        },
        Node::Null(_) | Node::Bool(_) | Node::Num(_) | Node::Ref(_) => return Err(refuse()),
    };
    let length = length.map_or_else(|| Value::unknown(Type::Num), |n| Num::from(n).into());
    Ok(length.marked(&value.marks))
}

fn matchkeys(args: &[Value]) -> Result<Value, FnError> {
    let (values, keys) = (items(args, 0)?, items(args, 1)?);
    if values.len() != keys.len() {
        return Err(FnError::of(1, format!("there are {} values and {} keys", values.len(), keys.len())));
    }
    let elem = |i: usize| argument(args, i).map(elem_type);
    let ty = unify(&[elem(1)?, elem(2)?])
        .ok_or_else(|| FnError::of(2, "the keys and the wanted are of different types"))?;
    let same_type = |i: usize| {
        let list = convert(argument(args, i)?.clone(), &Type::list(ty.clone()));
        list.map_err(|e| FnError::of(i, e.to_string())).map(|v| v.as_items().unwrap_or_default().to_vec())
    };
    let (keys, mut wanted) = (same_type(1)?, same_type(2)?);
    wanted.sort_by(Value::order);
    let is_wanted = |key: &Value| wanted.binary_search_by(|w| Value::order(w, key)).is_ok();
    let matched = values.iter().zip(&keys).filter(|(_, key)| is_wanted(key)).map(|(v, _)| v.clone());
    Ok(Value::list(elem(0)?, matched.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn the_length_is_known_before_the_elements() {
        let tuple = Value::tuple(vec![Value::unknown(Type::Str), Value::from("s").sensitive()]);
        let got = call(&LENGTH, std::slice::from_ref(&tuple)).expect("length");
        assert_eq!(got, Value::from(2));
        assert_eq!(call(&LENGTH, &[Value::unknown(tuple.type_of())]), Ok(Value::from(2)));
        assert!(!call(&LENGTH, &[Value::unknown(list_of_any())]).expect("length").is_known());
        assert!(call(&LENGTH, &[tuple.sensitive()]).expect("length").is_sensitive());
    }

    #[test]
    fn an_unknown_element_leaves_it_open_unless_another_decides() {
        let list = Value::tuple(vec![Value::unknown(Type::Str), Value::from("a")]);
        assert_eq!(call(&CONTAINS, &[list.clone(), Value::from("a")]), Ok(Value::from(true)));
        assert!(!call(&CONTAINS, &[list, Value::from("b")]).expect("open").is_known());
    }

    #[test]
    fn coalesce_stops_at_what_is_not_known() {
        let got =
            call(&COALESCE, &[Value::null(), Value::unknown(Type::Str), Value::from("a")]).expect("open");
        assert_eq!(got, Value::unknown(Type::Str));
        assert!(call(&COALESCE, &[]).is_err());
    }
}
