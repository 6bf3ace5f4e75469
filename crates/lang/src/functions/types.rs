//! Conversions, and the sensitive mark.

use coxswain_model::{Type, Value};

use super::arguments::{any, argument, list_of_any, nullable, set_of_any};
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::{convert, converted};

const VALUE: Param = nullable("value", any);

pub(super) static ISSENSITIVE: FnSpec = FnSpec {
    name: "issensitive",
    params: &[VALUE],
    result: |_| Type::Bool,
    raw: true,
    call: |args| Ok(argument(args, 0)?.marks.sensitive.into()),
    doc: "Whether the value itself is sensitive.",
    example: (r#"issensitive("x")"#, "false"),
    ..BASE
};

pub(super) static NONSENSITIVE: FnSpec = FnSpec {
    name: "nonsensitive",
    params: &[VALUE],
    result: same_type,
    raw: true,
    call: |args| {
        let mut value = argument(args, 0)?.clone();
        value.marks.sensitive = false;
        Ok(value)
    },
    doc: "The value without its sensitive mark; elements keep theirs.",
    example: (r#"nonsensitive(sensitive("x"))"#, r#""x""#),
    ..BASE
};

pub(super) static SENSITIVE: FnSpec = FnSpec {
    name: "sensitive",
    params: &[VALUE],
    result: same_type,
    raw: true,
    call: |args| Ok(argument(args, 0)?.clone().sensitive()),
    doc: "The value, marked so that it is never printed, stored or logged in clear.",
    example: (r#"issensitive(sensitive("x"))"#, "true"),
    ..BASE
};

pub(super) static TOBOOL: FnSpec = FnSpec {
    name: "tobool",
    params: &[VALUE],
    result: |_| Type::Bool,
    raw: true,
    call: |args| to(args, &Type::Bool),
    doc: "The value as a bool.",
    example: (r#"tobool("true")"#, "true"),
    ..BASE
};

pub(super) static TONUMBER: FnSpec = FnSpec {
    name: "tonumber",
    params: &[VALUE],
    result: |_| Type::Num,
    raw: true,
    call: |args| to(args, &Type::Num),
    doc: "The value as a number.",
    example: (r#"tonumber("32")"#, "32"),
    ..BASE
};

pub(super) static TOSTRING: FnSpec = FnSpec {
    name: "tostring",
    params: &[VALUE],
    result: |_| Type::Str,
    raw: true,
    call: |args| to(args, &Type::Str),
    doc: "The value as a string.",
    example: (r"tostring(32)", r#""32""#),
    ..BASE
};

pub(super) static TOLIST: FnSpec = FnSpec {
    name: "tolist",
    params: &[VALUE],
    result: |args| type_as(args, &list_of_any()),
    raw: true,
    call: |args| to(args, &list_of_any()),
    doc: "The value as a list, all elements of the type they have in common.",
    example: (r#"tolist(["a", 1])"#, r#"["a","1"]"#),
    ..BASE
};

pub(super) static TOSET: FnSpec = FnSpec {
    name: "toset",
    params: &[VALUE],
    result: |args| type_as(args, &set_of_any()),
    raw: true,
    call: |args| to(args, &set_of_any()),
    doc: "The value as a set: sorted, and nothing twice.",
    example: (r#"toset(["b", "a", "b"])"#, r#"["a","b"]"#),
    ..BASE
};

pub(super) static TOMAP: FnSpec = FnSpec {
    name: "tomap",
    params: &[VALUE],
    result: |args| type_as(args, &Type::map(Type::Any)),
    raw: true,
    call: |args| to(args, &Type::map(Type::Any)),
    doc: "The value as a map, all elements of the type they have in common.",
    example: (r#"tomap({ a = 1, b = "x" })"#, r#"{"a":"1","b":"x"}"#),
    ..BASE
};

fn same_type(args: &[Value]) -> Type {
    args.first().map_or(Type::Any, Value::type_of)
}

fn type_as(args: &[Value], ty: &Type) -> Type {
    args.first().and_then(|v| converted(&v.type_of(), ty)).unwrap_or_else(|| ty.clone())
}

fn to(args: &[Value], ty: &Type) -> Result<Value, FnError> {
    convert(argument(args, 0)?.clone(), ty).map_err(|e| FnError::of(0, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn elements_keep_their_marks() {
        let list = Value::tuple(vec![Value::from("a").sensitive(), Value::unknown(Type::Str)]);
        let got = call(&TOLIST, &[list]).expect("converts");
        assert!(!got.marks.sensitive);
        assert!(got.as_items().expect("items")[0].marks.sensitive);
        assert!(!got.as_items().expect("items")[1].is_known());
    }

    #[test]
    fn nonsensitive_keeps_what_is_inside() {
        let list = Value::tuple(vec![Value::from("a").sensitive()]).sensitive();
        assert!(call(&NONSENSITIVE, &[list]).expect("value").is_sensitive());
    }
}
