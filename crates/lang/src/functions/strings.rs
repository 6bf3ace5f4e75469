//! Functions on text. Lengths and positions count grapheme clusters: what a reader takes for one character.

use coxswain_model::{Type, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::arguments::{
    check_size, count, list_of_strings, made_text, made_texts, number, param, string, text, texts, whole,
};
use super::{BASE, FnError, FnSpec, Param};

/// Most spaces `indent` puts before a line.
const MAX_INDENT: usize = 10_000;

const TEXT: Param = param("text", string);

pub(super) static CHOMP: FnSpec = FnSpec {
    name: "chomp",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| made_text(text(args, 0)?.trim_end_matches(['\r', '\n'])),
    doc: "Removes the line breaks at the end.",
    example: (r#"chomp("a\n")"#, r#""a""#),
    ..BASE
};

pub(super) static ENDSWITH: FnSpec = FnSpec {
    name: "endswith",
    params: &[TEXT, param("suffix", string)],
    result: |_| Type::Bool,
    call: |args| Ok(text(args, 0)?.ends_with(text(args, 1)?).into()),
    doc: "Whether the text ends with the suffix.",
    example: (r#"endswith("hello", "lo")"#, "true"),
    ..BASE
};

pub(super) static STARTSWITH: FnSpec = FnSpec {
    name: "startswith",
    params: &[TEXT, param("prefix", string)],
    result: |_| Type::Bool,
    call: |args| Ok(text(args, 0)?.starts_with(text(args, 1)?).into()),
    doc: "Whether the text begins with the prefix.",
    example: (r#"startswith("hello", "he")"#, "true"),
    ..BASE
};

pub(super) static STRCONTAINS: FnSpec = FnSpec {
    name: "strcontains",
    params: &[TEXT, param("part", string)],
    result: |_| Type::Bool,
    call: |args| Ok(text(args, 0)?.contains(text(args, 1)?).into()),
    doc: "Whether the part occurs in the text.",
    example: (r#"strcontains("hello", "ell")"#, "true"),
    ..BASE
};

pub(super) static INDENT: FnSpec = FnSpec {
    name: "indent",
    params: &[param("spaces", number), TEXT],
    result: |_| Type::Str,
    call: indent,
    doc: "Puts spaces before every line but the first.",
    example: (r#"indent(2, "a\nb")"#, r#""a\n  b""#),
    ..BASE
};

pub(super) static JOIN: FnSpec = FnSpec {
    name: "join",
    params: &[param("separator", string)],
    variadic: Some(param("lists", list_of_strings)),
    result: |_| Type::Str,
    call: join,
    doc: "Joins the elements of the lists with the separator between them.",
    example: (r#"join("-", ["a", "b"])"#, r#""a-b""#),
    ..BASE
};

pub(super) static SPLIT: FnSpec = FnSpec {
    name: "split",
    params: &[param("separator", string), TEXT],
    result: |_| list_of_strings(),
    call: split,
    doc: "Cuts the text at every separator.",
    example: (r#"split(",", "a,b")"#, r#"["a","b"]"#),
    ..BASE
};

pub(super) static LOWER: FnSpec = FnSpec {
    name: "lower",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| made_text(text(args, 0)?.chars().map(lower_char).collect::<String>()),
    doc: "The text in lower case.",
    example: (r#"lower("ABC")"#, r#""abc""#),
    ..BASE
};

pub(super) static UPPER: FnSpec = FnSpec {
    name: "upper",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| made_text(text(args, 0)?.chars().map(upper_char).collect::<String>()),
    doc: "The text in upper case.",
    example: (r#"upper("abc")"#, r#""ABC""#),
    ..BASE
};

pub(super) static TITLE: FnSpec = FnSpec {
    name: "title",
    params: &[TEXT],
    result: |_| Type::Str,
    call: title,
    doc: "The text with the first letter of every word in upper case.",
    example: (r#"title("hello world")"#, r#""Hello World""#),
    ..BASE
};

pub(super) static STRREV: FnSpec = FnSpec {
    name: "strrev",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| made_text(text(args, 0)?.graphemes(true).rev().collect::<String>()),
    doc: "The text backwards.",
    example: (r#"strrev("abc")"#, r#""cba""#),
    ..BASE
};

pub(super) static SUBSTR: FnSpec = FnSpec {
    name: "substr",
    params: &[TEXT, param("offset", number), param("length", number)],
    result: |_| Type::Str,
    call: substr,
    doc: "The part of the text from the offset (from the end where negative) on; all the rest where the length is negative.",
    example: (r#"substr("hello", 1, 3)"#, r#""ell""#),
    ..BASE
};

pub(super) static TRIM: FnSpec = FnSpec {
    name: "trim",
    params: &[TEXT, param("characters", string)],
    result: |_| Type::Str,
    call: |args| {
        let cut = text(args, 1)?;
        made_text(text(args, 0)?.trim_matches(|c| cut.contains(c)))
    },
    doc: "Removes these characters from both ends.",
    example: (r#"trim("?!hi!?", "!?")"#, r#""hi""#),
    ..BASE
};

pub(super) static TRIMPREFIX: FnSpec = FnSpec {
    name: "trimprefix",
    params: &[TEXT, param("prefix", string)],
    result: |_| Type::Str,
    call: |args| {
        let whole = text(args, 0)?;
        made_text(whole.strip_prefix(text(args, 1)?).unwrap_or(whole))
    },
    doc: "Removes the prefix, if it is there.",
    example: (r#"trimprefix("helloworld", "hello")"#, r#""world""#),
    ..BASE
};

pub(super) static TRIMSUFFIX: FnSpec = FnSpec {
    name: "trimsuffix",
    params: &[TEXT, param("suffix", string)],
    result: |_| Type::Str,
    call: |args| {
        let whole = text(args, 0)?;
        made_text(whole.strip_suffix(text(args, 1)?).unwrap_or(whole))
    },
    doc: "Removes the suffix, if it is there.",
    example: (r#"trimsuffix("helloworld", "world")"#, r#""hello""#),
    ..BASE
};

pub(super) static TRIMSPACE: FnSpec = FnSpec {
    name: "trimspace",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| made_text(text(args, 0)?.trim()),
    doc: "Removes white space from both ends.",
    example: (r#"trimspace("  a\n")"#, r#""a""#),
    ..BASE
};

fn indent(args: &[Value]) -> Result<Value, FnError> {
    let spaces = count(args, 0)?;
    if spaces > MAX_INDENT {
        return Err(FnError::of(0, format!("more than {MAX_INDENT} spaces")));
    }
    let text = text(args, 1)?;
    check_size(text.len() + spaces * text.matches('\n').count())?;
    made_text(text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

fn join(args: &[Value]) -> Result<Value, FnError> {
    let separator = text(args, 0)?;
    let mut all = Vec::new();
    for i in 1..args.len() {
        all.extend(texts(args, i)?);
    }
    if args.len() < 2 {
        return Err(FnError::new("at least one list is required"));
    }
    check_size(all.iter().map(|t| t.len()).sum::<usize>().saturating_add(separator.len() * all.len()))?;
    made_text(all.join(separator))
}

fn split(args: &[Value]) -> Result<Value, FnError> {
    let (separator, text) = (text(args, 0)?, text(args, 1)?);
    if separator.is_empty() {
        return Ok(made_texts(text.char_indices().map(|(i, c)| &text[i..i + c.len_utf8()])));
    }
    Ok(made_texts(text.split(separator)))
}

/// Upper case where that is one character too: `ß` and ligatures stay as they are.
fn upper_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Lower case as one character; of `İ` the first.
fn lower_char(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn title(args: &[Value]) -> Result<Value, FnError> {
    let mut in_word = false;
    let titled = text(args, 0)?.chars().map(|c| {
        let shown = if in_word { c } else { upper_char(c) };
        in_word = if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { !c.is_whitespace() };
        shown
    });
    made_text(titled.collect::<String>())
}

fn substr(args: &[Value]) -> Result<Value, FnError> {
    let (source, offset, length) = (text(args, 0)?, whole(args, 1)?, whole(args, 2)?);
    let total = source.graphemes(true).count();
    let start = if offset < 0 {
        total.saturating_sub(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX))
    } else {
        usize::try_from(offset).unwrap_or(usize::MAX)
    };
    let length = if length < 0 { usize::MAX } else { usize::try_from(length).unwrap_or(usize::MAX) };
    made_text(source.graphemes(true).skip(start).take(length).collect::<String>())
}

/// The length of a text in grapheme clusters.
pub(super) fn width(text: &str) -> usize {
    text.graphemes(true).count()
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[test]
    fn results_stay_bounded() {
        let long = Value::from("x".repeat(1 << 20));
        let many = Value::list(Type::Str, vec![Value::from("a"); 1 << 10]);
        assert!(call(&JOIN, &[long, many]).is_err());
        assert!(call(&INDENT, &[Value::from(10_001), Value::from("a\nb")]).is_err());
    }

    #[test]
    fn positions_count_graphemes() {
        let family = "👨\u{200d}👩\u{200d}👧x";
        let got = call(&SUBSTR, &[Value::from(family), Value::from(1), Value::from(1)]).expect("substr");
        assert_eq!(got.as_str(), Some("x"));
        assert_eq!(width(family), 2);
    }

    #[test]
    fn joining_null_names_the_element() {
        let list = Value::list(Type::Str, vec![Value::from("a"), Value::null()]);
        let error = call(&JOIN, &[Value::from(","), list]).expect_err("null");
        assert_eq!(error, FnError::of(1, "element 1 is null"));
    }
}
