//! Functions on sets.

use coxswain_model::{Type, Value};

use super::arguments::{MAX_ITEMS, any, argument, elem_type, items, param, set_of_any};
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::{a_type, convert, is_open, unify};

const SET: Param = param("set", set_of_any);
const SETS: Param = param("sets", set_of_any);

pub(super) static SETINTERSECTION: FnSpec = FnSpec {
    name: "setintersection",
    params: &[SET],
    variadic: Some(SETS),
    result: set_type,
    call: |args| combine(args, |have, more| have.retain(|v| is_in(more, v))),
    doc: "The elements that are in all of the sets.",
    example: (r#"setintersection(["a", "b"], ["b", "c"])"#, r#"["b"]"#),
    ..BASE
};

pub(super) static SETPRODUCT: FnSpec = FnSpec {
    name: "setproduct",
    variadic: Some(param("sets", any)),
    result: |_| Type::Any,
    call: setproduct,
    doc: "All ways of taking one element from each, as tuples.",
    example: (r#"setproduct(["a"], ["1", "2"])"#, r#"[["a","1"],["a","2"]]"#),
    ..BASE
};

pub(super) static SETSUBTRACT: FnSpec = FnSpec {
    name: "setsubtract",
    params: &[SET, param("without", set_of_any)],
    result: set_type,
    call: |args| combine(args, |have, less| have.retain(|v| !is_in(less, v))),
    doc: "The elements of the first set that are not in the second.",
    example: (r#"setsubtract(["a", "b"], ["b"])"#, r#"["a"]"#),
    ..BASE
};

pub(super) static SETUNION: FnSpec = FnSpec {
    name: "setunion",
    params: &[SET],
    variadic: Some(SETS),
    result: set_type,
    call: |args| combine(args, |have, more| have.extend(more.iter().cloned())),
    doc: "The elements that are in any of the sets.",
    example: (r#"setunion(["a"], ["b", "a"])"#, r#"["a","b"]"#),
    ..BASE
};

/// The type of the result; open while one of the sets is of anything, which has a part in it later.
fn set_type(args: &[Value]) -> Type {
    let elem = if args.iter().any(is_open) { None } else { common_elem(args) };
    Type::set(elem.unwrap_or(Type::Any))
}

fn common_elem(args: &[Value]) -> Option<Type> {
    unify(&args.iter().map(elem_type).collect::<Vec<_>>())
}

/// Whether a sorted row, as sets are, holds the value.
fn is_in(sorted: &[Value], value: &Value) -> bool {
    sorted.binary_search_by(|v| Value::order(v, value)).is_ok()
}

fn combine(args: &[Value], op: fn(&mut Vec<Value>, &[Value])) -> Result<Value, FnError> {
    let elem = common_elem(args).ok_or_else(|| FnError::new("the sets hold elements of different types"))?;
    let mut result: Option<Vec<Value>> = None;
    for (i, arg) in args.iter().enumerate() {
        let set =
            convert(arg.clone(), &Type::set(elem.clone())).map_err(|e| FnError::of(i, e.to_string()))?;
        let more = set.as_items().ok_or_else(|| FnError::of(i, "a set is required"))?;
        match &mut result {
            None => result = Some(more.to_vec()),
            Some(have) => op(have, more),
        }
    }
    Ok(Value::set(elem, result.unwrap_or_default()))
}

fn setproduct(args: &[Value]) -> Result<Value, FnError> {
    if args.len() < 2 {
        return Err(FnError::new("at least two sets or lists are required"));
    }
    let mut elems = Vec::new();
    let mut total: usize = 1;
    let mut is_set = true;
    for i in 0..args.len() {
        total = total.saturating_mul(items(args, i)?.len());
        match argument(args, i)?.type_of() {
            Type::Set(elem) => elems.push(elem.as_ref().clone()),
            Type::List(elem) => {
                is_set = false;
                elems.push(elem.as_ref().clone());
            }
            Type::Tuple(types) => {
                is_set = false;
                let elem = unify(&types).ok_or_else(|| FnError::of(i, "the elements must be of one type"))?;
                elems.push(elem);
            }
            other => {
                return Err(FnError::of(i, format!("a set or list is required, not {}", a_type(&other))));
            }
        }
    }
    if total.saturating_mul(args.len()) > MAX_ITEMS {
        return Err(FnError::new(format!("the product would have more than {MAX_ITEMS} elements")));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (i, elem) in elems.iter().enumerate() {
        let column = convert(argument(args, i)?.clone(), &Type::list(elem.clone()));
        let column = column.map_err(|e| FnError::of(i, e.to_string()))?;
        let column = column.as_items().unwrap_or_default();
        rows = rows
            .into_iter()
            .flat_map(|row| column.iter().map(move |v| [row.as_slice(), std::slice::from_ref(v)].concat()))
            .collect();
    }
    let rows = rows.into_iter().map(Value::tuple).collect();
    let ty = Type::Tuple(elems.into());
    Ok(if is_set { Value::set(ty, rows) } else { Value::list(ty, rows) })
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn products_are_bounded() {
        let many = Value::list(Type::Num, vec![Value::from(1); 2048]);
        assert!(call(&SETPRODUCT, &[many.clone(), many]).is_err());
    }

    #[test]
    fn a_product_with_nothing_is_empty() {
        let some = Value::tuple(vec![Value::from("a")]);
        let got = call(&SETPRODUCT, &[some, Value::tuple(vec![])]).expect("product");
        assert_eq!(got.type_of().to_string(), "list(tuple([string, any]))");
    }
}
