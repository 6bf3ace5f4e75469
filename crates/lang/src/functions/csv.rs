//! `csvdecode`: RFC 4180 with line feeds or carriage returns and line feeds.

use std::sync::Arc;

use coxswain_model::value::Object;
use coxswain_model::{Field, Type, Value};

use super::arguments::{key, nfc, param, string, text};
use super::{BASE, FnError, FnSpec};

pub(super) static CSVDECODE: FnSpec = FnSpec {
    name: "csvdecode",
    params: &[param("text", string)],
    result: |_| Type::list(Type::Any),
    call: csvdecode,
    doc: "The rows of a CSV text as objects, whose attributes are named in the first row.",
    example: (r#"csvdecode("a,b\n1,2\n")"#, r#"[{"a":"1","b":"2"}]"#),
    ..BASE
};

fn csvdecode(args: &[Value]) -> Result<Value, FnError> {
    let mut rows = read_rows(&nfc(text(args, 0)?))?.into_iter();
    let (_, names) =
        rows.next().ok_or_else(|| FnError::of(0, "the first row, with the names, is missing"))?;
    let ty = names
        .iter()
        .map(|name| (key(name), Field::required(Type::Str)))
        .collect::<std::collections::BTreeMap<_, _>>();
    if ty.len() < names.len() {
        return Err(FnError::of(0, "a name occurs twice in the first row"));
    }
    let names: Vec<Arc<str>> = names.iter().map(|name| key(name)).collect();
    let object = |(line, row): (usize, Vec<String>)| {
        if row.len() != names.len() {
            let reason = format!("line {line} has {} fields, the first row {}", row.len(), names.len());
            return Err(FnError::of(0, reason));
        }
        Ok(Value::object(names.iter().cloned().zip(row.into_iter().map(Value::from)).collect::<Object>()))
    };
    let objects = rows.map(object).collect::<Result<Vec<Value>, FnError>>()?;
    Ok(Value::list(Type::Object(Arc::new(ty)), objects))
}

/// The rows with the lines they begin at; empty lines are no rows.
fn read_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, FnError> {
    let mut rows = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (row, after) = read_row(rest, line)?;
        let consumed = &rest[..rest.len() - after.len()];
        if !consumed.trim_matches(['\r', '\n']).is_empty() {
            rows.push((line, row));
        }
        line += consumed.matches('\n').count();
        rest = after;
    }
    Ok(rows)
}

fn read_row(text: &str, line: usize) -> Result<(Vec<String>, &str), FnError> {
    let mut row = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) =
            if rest.starts_with('"') { read_quoted(rest, line)? } else { read_plain(rest, line)? };
        row.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => {
                let after = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after);
                return Ok((row, after));
            }
        }
    }
}

fn read_plain(text: &str, line: usize) -> Result<(String, &str), FnError> {
    let end = text.find([',', '\n']).unwrap_or(text.len());
    let field = &text[..end];
    if field.contains('"') {
        return Err(FnError::of(0, format!("line {line}: a quote stands inside a field without quotes")));
    }
    let end = if text[end..].starts_with(',') { end } else { end - usize::from(field.ends_with('\r')) };
    Ok((
        text[..end].to_owned(),
        text[end..].strip_prefix('\r').filter(|r| r.is_empty()).unwrap_or(&text[end..]),
    ))
}

fn read_quoted(text: &str, line: usize) -> Result<(String, &str), FnError> {
    let mut field = String::new();
    let mut rest = &text[1..];
    loop {
        let end =
            rest.find('"').ok_or_else(|| FnError::of(0, format!("line {line}: a quote is not closed")))?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None if rest.is_empty() || rest == "\r" => return Ok((field.replace("\r\n", "\n"), "")),
            None if rest.starts_with([',', '\n']) || rest.starts_with("\r\n") => {
                return Ok((field.replace("\r\n", "\n"), rest));
            }
            None => return Err(FnError::of(0, format!("line {line}: something follows the closing quote"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match csvdecode(&[Value::from(text)]) {
            Ok(v) => assert_eq!(coxswain_model::json::to_text(&v).as_deref(), Ok(expected)),
            Err(e) => assert_eq!(e.reason, expected),
        }
    }

    #[test]
    fn fields_and_quotes() {
        check("a,b\r\n1,\"x\"\"y\"\r\n\r\n,2", r#"[{"a":"1","b":"x\"y"},{"a":"","b":"2"}]"#);
        check("a\n\"x\ny\"\n", r#"[{"a":"x\ny"}]"#);
        check("a,b", "[]");
        check("a\r", "[]");
    }

    #[test]
    fn mistakes_name_the_line() {
        check("", "the first row, with the names, is missing");
        check("a,a\n", "a name occurs twice in the first row");
        check("a,b\n\n1\n", "line 3 has 1 fields, the first row 2");
        check("a\n\"x", "line 2: a quote is not closed");
        check("a\nx\"y\n", "line 2: a quote stands inside a field without quotes");
        check("a\n\"x\"y\n", "line 2: something follows the closing quote");
    }
}
