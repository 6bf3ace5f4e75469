//! How functions read their arguments and make their results.
//!
//! The caller has converted the arguments, so that a wrong type here is a gap in its work: it becomes an error, not
//! a panic. Elements of collections may be null; these readers refuse them and say where.

use std::borrow::Cow;
use std::sync::Arc;

use coxswain_model::value::Object;
use coxswain_model::{Marks, Num, Type, Value};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{FnError, Param};
use crate::convert::{a_type, convert};

/// Longest text one call may make: nested calls that multiply text stop here and not at the end of the memory.
pub(super) const MAX_TEXT_BYTES: usize = 16 << 20;
/// Most elements one call may make out of less.
pub(super) const MAX_ITEMS: usize = 1 << 20;

pub(super) const fn param(name: &'static str, ty: fn() -> Type) -> Param {
    Param { name, ty, nullable: false }
}

pub(super) const fn nullable(name: &'static str, ty: fn() -> Type) -> Param {
    Param { name, ty, nullable: true }
}

pub(super) fn any() -> Type {
    Type::Any
}
pub(super) fn string() -> Type {
    Type::Str
}
pub(super) fn number() -> Type {
    Type::Num
}
pub(super) fn list_of_any() -> Type {
    Type::list(Type::Any)
}
pub(super) fn list_of_strings() -> Type {
    Type::list(Type::Str)
}
pub(super) fn list_of_numbers() -> Type {
    Type::list(Type::Num)
}
pub(super) fn list_of_bools() -> Type {
    Type::list(Type::Bool)
}
pub(super) fn set_of_any() -> Type {
    Type::set(Type::Any)
}
pub(super) fn map_of_lists_of_strings() -> Type {
    Type::map(list_of_strings())
}

/// The argument at `i`.
pub(super) fn argument(args: &[Value], i: usize) -> Result<&Value, FnError> {
    args.get(i).ok_or_else(|| FnError::new(format!("argument {} is missing", i + 1)))
}

fn wrong(args: &[Value], i: usize, wanted: &str) -> FnError {
    match args.get(i) {
        None => FnError::new(format!("argument {} is missing", i + 1)),
        Some(v) if v.is_null() => FnError::of(i, format!("{wanted} is required, not null")),
        Some(v) if !v.is_known() => {
            FnError::of(i, format!("{wanted} is required, and this is not known yet"))
        }
        Some(v) => FnError::of(i, format!("{wanted} is required, not {}", a_type(&v.type_of()))),
    }
}

pub(super) fn text(args: &[Value], i: usize) -> Result<&str, FnError> {
    args.get(i).and_then(Value::as_str).ok_or_else(|| wrong(args, i, "a string"))
}

pub(super) fn num(args: &[Value], i: usize) -> Result<&Num, FnError> {
    args.get(i).and_then(Value::as_num).ok_or_else(|| wrong(args, i, "a number"))
}

/// A whole number, of any size that occurs.
pub(super) fn whole(args: &[Value], i: usize) -> Result<i128, FnError> {
    let n = num(args, i)?;
    match n.to_i128() {
        Some(n) => Ok(n),
        None if n.is_int() => Err(FnError::of(i, "the number is too large")),
        None => Err(FnError::of(i, "a whole number is required, and this one has a fraction")),
    }
}

/// A whole number from zero up.
pub(super) fn count(args: &[Value], i: usize) -> Result<usize, FnError> {
    let n = whole(args, i)?;
    usize::try_from(n).map_err(|_| {
        let reason = if n < 0 { "the number must not be negative" } else { "the number is too large" };
        FnError::of(i, reason)
    })
}

/// The elements of a list, set or tuple.
pub(super) fn items(args: &[Value], i: usize) -> Result<&[Value], FnError> {
    args.get(i).and_then(Value::as_items).ok_or_else(|| wrong(args, i, "a list, set or tuple"))
}

/// The entries of a map or object.
pub(super) fn fields(args: &[Value], i: usize) -> Result<&Object, FnError> {
    args.get(i).and_then(Value::as_fields).ok_or_else(|| wrong(args, i, "a map or object"))
}

/// The type of the elements of a list or set.
pub(super) fn elem_type(value: &Value) -> Type {
    match value.type_of() {
        Type::List(elem) | Type::Set(elem) => elem.as_ref().clone(),
        Type::Any
        | Type::Bool
        | Type::Num
        | Type::Str
        | Type::Map(_)
        | Type::Tuple(_)
        | Type::Object(_)
        | Type::Ref(_) => Type::Any,
    }
}

/// The elements of a list of strings, none of them null.
pub(super) fn texts(args: &[Value], i: usize) -> Result<Vec<&str>, FnError> {
    let of_item = |(at, v): (usize, &'_ Value)| match v.is_null() {
        true => FnError::of(i, format!("element {at} is null")),
        false => FnError::of(i, format!("element {at} is not a string")),
    };
    items(args, i)?.iter().enumerate().map(|(at, v)| v.as_str().ok_or_else(|| of_item((at, v)))).collect()
}

/// The elements as numbers, converted where they are text.
pub(super) fn nums(args: &[Value], i: usize) -> Result<Vec<Num>, FnError> {
    let one = |(at, v): (usize, &Value)| {
        let refuse = |reason: &str| FnError::of(i, format!("element {at}: {reason}"));
        let v = convert(v.clone(), &Type::Num).map_err(|e| refuse(&e.to_string()))?;
        v.as_num().cloned().ok_or_else(|| refuse("a number is required, not null"))
    };
    items(args, i)?.iter().enumerate().map(one).collect()
}

/// The union of the marks of the arguments themselves, without those of their elements.
pub(super) fn marks_of(args: &[Value]) -> Marks {
    args.iter().fold(Marks::NONE, |marks, v| marks.with(&v.marks))
}

/// A string result, in NFC as all strings of the language.
pub(super) fn made_text(text: impl Into<String>) -> Result<Value, FnError> {
    let text = text.into();
    check_size(text.len())?;
    Ok(nfc(&text).as_ref().into())
}

/// The text in NFC.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// A list of strings.
pub(super) fn made_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::list(Type::Str, texts.into_iter().map(Value::from).collect())
}

/// Refuses a text of more than [`MAX_TEXT_BYTES`].
pub(super) fn check_size(bytes: usize) -> Result<(), FnError> {
    match bytes > MAX_TEXT_BYTES {
        true => Err(FnError::new(format!("the result would be longer than {MAX_TEXT_BYTES} bytes"))),
        false => Ok(()),
    }
}

/// A key of a result.
pub(super) fn key(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// Calls a function as the evaluator does, after conversion.
#[cfg(test)]
pub(super) fn call(spec: &super::FnSpec, args: &[Value]) -> Result<Value, FnError> {
    let mut converted = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let param = spec.params.get(i).or(spec.variadic.as_ref());
        let param = param.ok_or_else(|| FnError::of(i, "too many arguments"))?;
        if arg.is_null() && !param.nullable {
            return Err(FnError::of(i, "null"));
        }
        converted.push(convert(arg.clone(), &(param.ty)()).map_err(|e| FnError::of(i, e.to_string()))?);
    }
    if converted.len() < spec.params.len() {
        return Err(FnError::new("too few arguments"));
    }
    if !spec.raw && !converted.iter().all(Value::is_wholly_known) {
        return Ok(Value::unknown((spec.result)(&converted)));
    }
    (spec.call)(&converted)
}
