//! Functions that make one sequence of others, or take it apart. Elements keep their marks, and may be unknown.

use coxswain_model::{Marks, Node, Type, Value};

use super::arguments::{
    MAX_ITEMS, any, argument, count, elem_type, items, list_of_any, marks_of, number, param, whole,
};
use super::collections::shown_type;
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::{convert, unify};

const LIST: Param = param("list", any);

pub(super) static CHUNKLIST: FnSpec = FnSpec {
    name: "chunklist",
    params: &[param("list", list_of_any), param("size", number)],
    result: |args| Type::list(args.first().map_or_else(list_of_any, Value::type_of)),
    call: chunklist,
    doc: "Cuts the list into lists of this size; the last may be shorter, and 0 means all in one.",
    example: ("chunklist([1, 2, 3], 2)", "[[1,2],[3]]"),
    ..BASE
};

pub(super) static CONCAT: FnSpec = FnSpec {
    name: "concat",
    variadic: Some(param("lists", any)),
    raw: true,
    call: concat,
    doc: "One list of all elements of the lists.",
    example: (r#"concat(["a"], ["b", 1])"#, r#"["a","b",1]"#),
    ..BASE
};

pub(super) static ELEMENT: FnSpec = FnSpec {
    name: "element",
    params: &[LIST, param("index", number)],
    raw: true,
    call: element,
    doc: "The element at the index, which starts again from the other end where it is beyond one.",
    example: (r#"element(["a", "b"], 3)"#, r#""b""#),
    ..BASE
};

pub(super) static FLATTEN: FnSpec = FnSpec {
    name: "flatten",
    params: &[LIST],
    raw: true,
    call: flatten,
    doc: "Replaces lists in the list by their elements, at any depth.",
    example: ("flatten([[1], [2, [3]]])", "[1,2,3]"),
    ..BASE
};

pub(super) static ONE: FnSpec = FnSpec {
    name: "one",
    params: &[LIST],
    raw: true,
    call: one,
    doc: "The only element, or null where there is none.",
    example: (r#"one(["a"])"#, r#""a""#),
    ..BASE
};

pub(super) static REVERSE: FnSpec = FnSpec {
    name: "reverse",
    params: &[LIST],
    raw: true,
    call: reverse,
    doc: "The elements backwards.",
    example: ("reverse([1, 2])", "[2,1]"),
    ..BASE
};

pub(super) static SLICE: FnSpec = FnSpec {
    name: "slice",
    params: &[LIST, param("start", number), param("end", number)],
    raw: true,
    call: slice,
    doc: "The elements from the start index up to, but without, the end index.",
    example: (r#"slice(["a", "b", "c"], 1, 2)"#, r#"["b"]"#),
    ..BASE
};

/// What is known of a list, set or tuple.
enum Row {
    /// Its elements, each of which may be unknown.
    Known(Vec<Value>, Sort),
    /// Not even how many there are.
    Unknown(Sort),
}

/// What a row is.
#[derive(PartialEq)]
enum Sort {
    Undecided,
    List(Type),
    Set(Type),
    Tuple,
}

fn row(args: &[Value], i: usize) -> Result<Row, FnError> {
    let value = argument(args, i)?;
    let refuse = || FnError::of(i, format!("a list or tuple is required, not {}", shown_type(value)));
    match &value.node {
        Node::List(ty, items) => Ok(Row::Known(items.to_vec(), Sort::List(ty.clone()))),
        Node::Set(ty, _) if value.is_open_set() => Ok(Row::Unknown(Sort::Set(ty.clone()))),
        Node::Set(ty, items) => Ok(Row::Known(items.to_vec(), Sort::Set(ty.clone()))),
        Node::Tuple(items) => Ok(Row::Known(items.to_vec(), Sort::Tuple)),
        Node::Unknown { ty, .. } => match ty {
            Type::Any => Ok(Row::Unknown(Sort::Undecided)),
            Type::List(elem) => Ok(Row::Unknown(Sort::List(elem.as_ref().clone()))),
            Type::Set(elem) => Ok(Row::Unknown(Sort::Set(elem.as_ref().clone()))),
            Type::Tuple(types) => {
                Ok(Row::Known(types.iter().cloned().map(Value::unknown).collect(), Sort::Tuple))
            }
            Type::Bool | Type::Num | Type::Str | Type::Map(_) | Type::Object(_) | Type::Ref(_) => {
                Err(refuse())
            }
        },
        Node::Null(_)
        | Node::Bool(_)
        | Node::Num(_)
        | Node::Str(_)
        | Node::Map(..)
        | Node::Object(_)
        | Node::Ref(_) => Err(refuse()),
    }
}

/// As [`row`], where order matters.
fn ordered_row(args: &[Value], i: usize) -> Result<Row, FnError> {
    match row(args, i)? {
        Row::Known(_, Sort::Set(_)) | Row::Unknown(Sort::Set(_)) => {
            Err(FnError::of(i, "the elements of a set have no positions; make it a list with tolist()"))
        }
        row => Ok(row),
    }
}

impl Sort {
    fn elem(self) -> Type {
        match self {
            Sort::List(ty) | Sort::Set(ty) => ty,
            Sort::Tuple | Sort::Undecided => Type::Any,
        }
    }

    /// A value of this sort; sets become lists.
    fn of(self, items: Vec<Value>) -> Value {
        match self {
            Sort::List(ty) | Sort::Set(ty) => Value::list(ty, items),
            Sort::Tuple | Sort::Undecided => Value::tuple(items),
        }
    }

    fn unknown(self) -> Value {
        Value::unknown(match self {
            Sort::List(ty) | Sort::Set(ty) => Type::list(ty),
            Sort::Tuple | Sort::Undecided => Type::Any,
        })
    }
}

fn chunklist(args: &[Value]) -> Result<Value, FnError> {
    let (list, size) = (argument(args, 0)?, count(args, 1)?);
    let (items, ty) = (items(args, 0)?, list.type_of());
    let elem = elem_type(list);
    let chunks = match size {
        0 => vec![list.clone()],
        size => items.chunks(size).map(|chunk| Value::list(elem.clone(), chunk.to_vec())).collect(),
    };
    Ok(Value::list(ty, chunks))
}

fn concat(args: &[Value]) -> Result<Value, FnError> {
    if args.is_empty() {
        return Err(FnError::new("at least one list is required"));
    }
    let marks = marks_of(args);
    let mut all = Vec::new();
    let mut elems = Vec::new();
    let (mut is_unknown, mut is_list) = (false, true);
    for i in 0..args.len() {
        let sort = match ordered_row(args, i)? {
            Row::Known(items, sort) => {
                all.extend(items);
                sort
            }
            Row::Unknown(sort) => {
                is_unknown = true;
                sort
            }
        };
        is_list &= matches!(sort, Sort::List(_));
        elems.push(sort.elem());
    }
    if all.len() > MAX_ITEMS {
        return Err(FnError::new(format!("the result would have more than {MAX_ITEMS} elements")));
    }
    let elem = if is_list { unify(&elems) } else { None };
    // The other lists give the type too, once it is known what they are of.
    let is_sure = elems.iter().all(Type::is_concrete);
    let result = match (is_unknown, elem) {
        (true, Some(elem)) => Value::unknown(Type::list(if is_sure { elem } else { Type::Any })),
        (true, None) => Value::unknown(Type::Any),
        (false, Some(elem)) => {
            let list = Value::list(Type::Any, all);
            convert(list, &Type::list(elem)).map_err(|e| FnError::new(e.to_string()))?
        }
        (false, None) => Value::tuple(all),
    };
    Ok(result.marked(&marks))
}

fn element(args: &[Value]) -> Result<Value, FnError> {
    let marks = marks_of(args);
    let row = ordered_row(args, 0)?;
    let index = if argument(args, 1)?.is_known() { Some(whole(args, 1)?) } else { None };
    let value = match (row, index) {
        (Row::Known(items, _), Some(_)) if items.is_empty() => {
            return Err(FnError::of(0, "an empty list has no elements"));
        }
        (Row::Known(items, _), Some(index)) => {
            let at = index.rem_euclid(i128::try_from(items.len()).unwrap_or(i128::MAX));
            items.get(usize::try_from(at).unwrap_or_default()).cloned().unwrap_or_else(Value::null)
        }
        (Row::Known(_, sort) | Row::Unknown(sort), _) => Value::unknown(sort.elem()),
    };
    Ok(value.marked(&marks))
}

fn flatten(args: &[Value]) -> Result<Value, FnError> {
    let (mut flat, mut marks) = (Vec::new(), Marks::NONE);
    if let Row::Unknown(_) = row(args, 0)? {
        return Ok(Value::unknown(Type::Any).marked(&marks_of(args)));
    }
    let is_open = flatten_into(argument(args, 0)?, &mut flat, &mut marks)?;
    Ok(if is_open { Value::unknown(Type::Any) } else { Value::tuple(flat) }.marked(&marks))
}

/// Whether something in it may yet turn out to be a list.
fn flatten_into(value: &Value, flat: &mut Vec<Value>, marks: &mut Marks) -> Result<bool, FnError> {
    let row = match value.is_null() {
        true => None,
        false => row(std::slice::from_ref(value), 0).ok(),
    };
    let items = match row {
        Some(Row::Known(items, _)) => items,
        Some(Row::Unknown(_)) => {
            marks.add(&value.marks);
            return Ok(true);
        }
        None if flat.len() == MAX_ITEMS => {
            return Err(FnError::new(format!("the result would have more than {MAX_ITEMS} elements")));
        }
        None => {
            flat.push(value.clone());
            return Ok(false);
        }
    };
    marks.add(&value.marks);
    let mut is_open = false;
    for item in &items {
        is_open |= flatten_into(item, flat, marks)?;
    }
    Ok(is_open)
}

fn one(args: &[Value]) -> Result<Value, FnError> {
    let value = match row(args, 0)? {
        Row::Unknown(sort) => Value::unknown(sort.elem()),
        Row::Known(mut items, sort) => match (items.pop(), items.is_empty()) {
            (None, _) => Node::Null(sort.elem()).into(),
            (Some(only), true) => only,
            (Some(_), false) => {
                return Err(FnError::of(
                    0,
                    format!("at most one element is allowed, and there are {}", items.len() + 1),
                ));
            }
        },
    };
    Ok(value.marked(&marks_of(args)))
}

fn reverse(args: &[Value]) -> Result<Value, FnError> {
    let reversed = match row(args, 0)? {
        Row::Unknown(sort) => sort.unknown(),
        Row::Known(mut items, sort) => {
            items.reverse();
            sort.of(items)
        }
    };
    Ok(reversed.marked(&marks_of(args)))
}

fn slice(args: &[Value]) -> Result<Value, FnError> {
    let marks = marks_of(args);
    let (items, sort) = match ordered_row(args, 0)? {
        Row::Known(items, sort) if argument(args, 1)?.is_known() && argument(args, 2)?.is_known() => {
            (items, sort)
        }
        Row::Known(_, sort) | Row::Unknown(sort) => return Ok(sort.unknown().marked(&marks)),
    };
    let (start, end) = (count(args, 1)?, count(args, 2)?);
    if end > items.len() {
        return Err(FnError::of(2, format!("the list has {} elements, and the end is {end}", items.len())));
    }
    let part = items
        .get(start..end)
        .ok_or_else(|| FnError::of(1, format!("the start, {start}, is behind the end, {end}")))?;
    Ok(sort.of(part.to_vec()).marked(&marks))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn unknown_and_sensitive_elements_stay_what_they_are() {
        let list =
            Value::tuple(vec![Value::unknown(Type::Str), Value::from("s").sensitive(), Value::from("x")]);
        let got = call(&CONCAT, &[list.clone(), list.clone()]).expect("concat");
        assert_eq!(got.as_items().expect("known").len(), 6);
        assert!(!got.marks.sensitive);
        assert!(!call(&ELEMENT, &[list.clone(), Value::from(2)]).expect("x").is_sensitive());
        assert!(call(&ELEMENT, &[list.clone(), Value::from(1)]).expect("s").is_sensitive());
        let got = call(&REVERSE, &[list]).expect("reverse");
        assert_eq!(got.as_items().expect("known")[0].as_str(), Some("x"));
    }

    #[test]
    fn flattening_what_may_be_a_list_is_unknown() {
        assert!(!call(&FLATTEN, &[Value::tuple(vec![Value::unknown(Type::Any)])]).expect("open").is_known());
        assert!(call(&FLATTEN, &[Value::tuple(vec![Value::unknown(Type::Str)])]).expect("known").is_known());
    }

    #[test]
    fn slices_stay_inside() {
        let list = Value::tuple(vec![Value::from(1), Value::from(2)]);
        for (start, end) in [(0, 3), (2, 1), (-1, 1), (3, 3)] {
            assert!(
                call(&SLICE, &[list.clone(), Value::from(start), Value::from(end)]).is_err(),
                "{start} {end}"
            );
        }
    }
}
