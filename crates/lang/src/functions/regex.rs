//! Regular expressions, in the syntax of RE2 as the `regex` crate has it; matching takes linear time.

use coxswain_model::value::Object;
use coxswain_model::{Field, Node, Type, Value};
use regex::{Captures, Regex};

use super::arguments::{MAX_ITEMS, check_size, key, made_text, param, string, text};
use super::{BASE, FnError, FnSpec, Param};

const PATTERN: Param = param("pattern", string);
const TEXT: Param = param("text", string);

pub(super) static REGEX: FnSpec = FnSpec {
    name: "regex",
    params: &[PATTERN, TEXT],
    result: match_type,
    call: regex,
    doc: "The first match: the text, a list of its groups, or an object of its named groups.",
    example: (r#"regex("(?P<a>[0-9]+)-(?P<b>[0-9]+)", "10-20")"#, r#"{"a":"10","b":"20"}"#),
    ..BASE
};

pub(super) static REGEXALL: FnSpec = FnSpec {
    name: "regexall",
    params: &[PATTERN, TEXT],
    result: |args| Type::list(match_type(args)),
    call: regexall,
    doc: "The list of all matches, as regex() gives them.",
    example: (r#"regexall("[a-z]+", "12ab34cd")"#, r#"["ab","cd"]"#),
    ..BASE
};

pub(super) static REPLACE: FnSpec = FnSpec {
    name: "replace",
    params: &[TEXT, param("part", string), param("replacement", string)],
    result: |_| Type::Str,
    call: replace,
    doc: "Replaces every occurrence of the part, which is a regular expression if it stands between slashes; then `$1` and `${name}` mean its groups.",
    example: (r#"replace("a.b.c", ".", "-")"#, r#""a-b-c""#),
    ..BASE
};

fn compile(pattern: &str, argument: usize) -> Result<Regex, FnError> {
    let broken = |e: regex::Error| {
        let reason = e.to_string();
        let last = reason.lines().last().unwrap_or_default().trim();
        FnError::of(argument, format!("not a regular expression: {}", last.trim_start_matches("error: ")))
    };
    let compiled = Regex::new(pattern).map_err(broken)?;
    let named = compiled.capture_names().skip(1).flatten().count();
    if named > 0 && named + 1 < compiled.captures_len() {
        return Err(FnError::of(argument, "either all groups have names or none has"));
    }
    Ok(compiled)
}

fn match_type(args: &[Value]) -> Type {
    match args.first().and_then(Value::as_str).map(|pattern| compile(pattern, 0)) {
        Some(Ok(pattern)) => type_of(&pattern),
        Some(Err(_)) | None => Type::Any,
    }
}

fn type_of(pattern: &Regex) -> Type {
    let names: Vec<&str> = pattern.capture_names().flatten().collect();
    match pattern.captures_len() - 1 {
        0 => Type::Str,
        n if names.is_empty() => Type::Tuple(vec![Type::Str; n].into()),
        _ => Type::Object(std::sync::Arc::new(
            names.into_iter().map(|n| (key(n), Field::required(Type::Str))).collect(),
        )),
    }
}

fn value_of(pattern: &Regex, found: &Captures<'_>) -> Value {
    let group = |m: Option<regex::Match<'_>>| match m {
        Some(m) => Value::from(m.as_str()),
        None => Node::Null(Type::Str).into(),
    };
    let named: Object = pattern.capture_names().flatten().map(|n| (key(n), group(found.name(n)))).collect();
    match found.len() - 1 {
        0 => group(found.get(0)),
        _ if named.is_empty() => Value::tuple(found.iter().skip(1).map(group).collect()),
        _ => Value::object(named),
    }
}

fn regex(args: &[Value]) -> Result<Value, FnError> {
    let pattern = compile(text(args, 0)?, 0)?;
    match pattern.captures(text(args, 1)?) {
        Some(found) => Ok(value_of(&pattern, &found)),
        None => Err(FnError::of(1, "the pattern matches nothing in this text")),
    }
}

fn regexall(args: &[Value]) -> Result<Value, FnError> {
    let pattern = compile(text(args, 0)?, 0)?;
    let mut matches = Vec::new();
    for found in pattern.captures_iter(text(args, 1)?) {
        if matches.len() == MAX_ITEMS {
            return Err(FnError::of(1, format!("the pattern matches more than {MAX_ITEMS} times")));
        }
        matches.push(value_of(&pattern, &found));
    }
    Ok(Value::list(type_of(&pattern), matches))
}

fn replace(args: &[Value]) -> Result<Value, FnError> {
    let (source, part, replacement) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    let Some(pattern) = part.strip_prefix('/').and_then(|p| p.strip_suffix('/')) else {
        let grown = source.matches(part).count().saturating_mul(replacement.len());
        check_size(source.len().saturating_add(grown))?;
        return made_text(source.replace(part, replacement));
    };
    let pattern = Regex::new(pattern)
        .map_err(|_| compile(pattern, 1).err().unwrap_or_else(|| FnError::of(1, "too large")))?;
    let (mut made, mut rest) = (String::new(), 0);
    for found in pattern.captures_iter(source) {
        let Some(all) = found.get(0) else { continue };
        made.push_str(&source[rest..all.start()]);
        found.expand(replacement, &mut made);
        rest = all.end();
        check_size(made.len())?;
    }
    made.push_str(&source[rest..]);
    made_text(made)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn the_type_follows_from_the_pattern() {
        let of = |pattern: &str| {
            call(&REGEX, &[Value::from(pattern), Value::unknown(Type::Str)]).expect("open").type_of()
        };
        assert_eq!(of("a").to_string(), "string");
        assert_eq!(of("(a)(b)").to_string(), "tuple([string, string])");
        assert_eq!(of("(?P<x>a)").to_string(), "object({x = string})");
    }

    #[test]
    fn mistakes_are_explained() {
        let error = call(&REGEX, &[Value::from("("), Value::from("")]).expect_err("broken");
        assert_eq!(error, FnError::of(0, "not a regular expression: unclosed group"));
        assert!(call(&REGEX, &[Value::from("(a)(?P<x>b)"), Value::from("")]).is_err());
        let big = Value::from("a".repeat(1 << 13));
        assert!(call(&REPLACE, &[big.clone(), Value::from(""), big.clone()]).is_err());
        assert!(call(&REPLACE, &[big.clone(), Value::from("//"), big]).is_err());
    }
}
