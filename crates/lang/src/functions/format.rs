//! `format` and `formatlist`.
//!
//! ```text
//! %[2]-08.3f    % [argument] flags width .precision verb
//! ```
//!
//! Verbs: `%v` any value, `%#v` as JSON, `%s` text, `%q` quoted text, `%t` bool, `%d` `%b` `%o` `%x` `%X` whole
//! numbers, `%e` `%f` `%g` numbers (capitals for a capital exponent), `%%` a percent sign. Widths count graphemes.

use coxswain_model::{Num, Type, Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::arguments::{
    MAX_ITEMS, any, check_size, list_of_strings, made_text, nullable, param, string, text,
};
use super::strings::width;
use super::{BASE, FnError, FnSpec, Param};
use crate::convert::convert;

/// Largest width and precision.
const MAX_WIDTH: usize = 10_000;
/// Digits behind the point where none are asked for.
const DEFAULT_PRECISION: usize = 6;

const FORMAT_TEXT: Param = param("format", string);

pub(super) static FORMAT: FnSpec = FnSpec {
    name: "format",
    params: &[FORMAT_TEXT],
    variadic: Some(nullable("values", any)),
    result: |_| Type::Str,
    call: |args| made_text(format(text(args, 0)?, args.get(1..).unwrap_or_default())?),
    doc: "The format with its verbs (`%s`, `%d`, `%05.1f`, `%[2]q` …) replaced by the values.",
    example: (r#"format("%s-%03d", "node", 7)"#, r#""node-007""#),
    ..BASE
};

pub(super) static FORMATLIST: FnSpec = FnSpec {
    name: "formatlist",
    params: &[FORMAT_TEXT],
    variadic: Some(nullable("values", any)),
    result: |_| list_of_strings(),
    call: formatlist,
    doc: "As format(), once for each element of the lists; what is no list takes part every time.",
    example: (r#"formatlist("%s:%d", ["a", "b"], 80)"#, r#"["a:80","b:80"]"#),
    ..BASE
};

/// What stands between `%` and the end of a verb.
#[derive(Debug, Default)]
struct Verb {
    plus: bool,
    minus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
    /// 0-based.
    argument: usize,
    letter: char,
    /// As written, for messages.
    shown: String,
}

fn formatlist(args: &[Value]) -> Result<Value, FnError> {
    let layout = text(args, 0)?;
    let values = args.get(1..).unwrap_or_default();
    let mut length: Option<usize> = None;
    for (i, value) in values.iter().enumerate() {
        let Some(items) = value.as_items() else { continue };
        match length {
            Some(have) if have != items.len() => {
                return Err(FnError::of(
                    i + 1,
                    format!("this list has {} elements, one before it {have}", items.len()),
                ));
            }
            Some(_) => {}
            None => length = Some(items.len()),
        }
    }
    let length = length.unwrap_or(1);
    if length > MAX_ITEMS {
        return Err(FnError::new(format!("more than {MAX_ITEMS} elements")));
    }
    let mut made = Vec::with_capacity(length);
    let mut size = 0_usize;
    for row in 0..length {
        let of_row = |v: &Value| v.as_items().map_or_else(|| v.clone(), |items| items[row].clone());
        let line = made_text(format(layout, &values.iter().map(of_row).collect::<Vec<_>>())?)?;
        size = size.saturating_add(line.as_str().map_or(0, str::len));
        check_size(size)?;
        made.push(line);
    }
    Ok(Value::list(Type::Str, made))
}

fn format(layout: &str, values: &[Value]) -> Result<String, FnError> {
    let mut made = String::new();
    let mut rest = layout;
    let (mut next, mut used) = (0, 0);
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        let (verb, after) = read_verb(&rest[at..], next)?;
        rest = after;
        if verb.letter == '%' {
            made.push('%');
            continue;
        }
        let value = values.get(verb.argument).ok_or_else(|| {
            FnError::of(
                0,
                format!("`{}` wants value {}, and there are {}", verb.shown, verb.argument + 1, values.len()),
            )
        })?;
        next = verb.argument + 1;
        used = used.max(next);
        made.push_str(&verb.show(value)?);
        check_size(made.len())?;
    }
    made.push_str(rest);
    if used < values.len() {
        return Err(FnError::of(
            used + 1,
            format!("there are {} values, and the format uses {used}", values.len()),
        ));
    }
    Ok(made)
}

/// Reads the verb at the start of `text`, which begins with `%`; also gives what follows it.
fn read_verb(text: &str, next: usize) -> Result<(Verb, &str), FnError> {
    let mut verb = Verb { argument: next, ..Verb::default() };
    let mut rest = &text[1..];
    let refuse = |reason: String| FnError::of(0, reason);
    loop {
        let flag = match rest.bytes().next() {
            Some(b'+') => &mut verb.plus,
            Some(b'-') => &mut verb.minus,
            Some(b' ') => &mut verb.space,
            Some(b'0') => &mut verb.zero,
            Some(b'#') => &mut verb.sharp,
            _ => break,
        };
        *flag = true;
        rest = &rest[1..];
    }
    rest = read_index(rest, &mut verb)?;
    if let Some((n, after)) = read_number(rest)? {
        verb.width = n;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (n, after) = read_number(after)?.unwrap_or((0, after));
        verb.precision = Some(n);
        rest = after;
    }
    rest = read_index(rest, &mut verb)?;
    let letter = rest
        .chars()
        .next()
        .ok_or_else(|| refuse("the format ends within a verb; a percent sign is `%%`".into()))?;
    rest = &rest[letter.len_utf8()..];
    verb.letter = letter;
    text[..text.len() - rest.len()].clone_into(&mut verb.shown);
    if !"%vtbdoxXeEfgGsq".contains(letter) {
        return Err(refuse("what follows a `%` is no verb; a percent sign is `%%`".into()));
    }
    Ok((verb, rest))
}

fn read_index<'a>(text: &'a str, verb: &mut Verb) -> Result<&'a str, FnError> {
    let Some(inner) = text.strip_prefix('[') else { return Ok(text) };
    let refuse = || FnError::of(0, "the number of a value is written `[1]`, from 1 up");
    let (n, after) = read_number(inner)?.ok_or_else(refuse)?;
    verb.argument = n.checked_sub(1).ok_or_else(refuse)?;
    after.strip_prefix(']').ok_or_else(refuse)
}

fn read_number(text: &str) -> Result<Option<(usize, &str)>, FnError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok(None);
    }
    match text[..end].parse::<usize>() {
        Ok(n) if n <= MAX_WIDTH => Ok(Some((n, &text[end..]))),
        _ => Err(FnError::of(0, format!("numbers in a verb are at most {MAX_WIDTH}"))),
    }
}

impl Verb {
    fn refuse(&self, reason: &str) -> FnError {
        FnError::of(self.argument + 1, format!("for `{}`: {reason}", self.shown))
    }

    fn convert(&self, value: &Value, ty: &Type) -> Result<Value, FnError> {
        if value.is_null() {
            return Err(self.refuse("the value is null"));
        }
        convert(value.clone(), ty).map_err(|e| self.refuse(&e.to_string()))
    }

    fn show(&self, value: &Value) -> Result<String, FnError> {
        match self.letter {
            'v' if self.sharp => self.json(value).map(|text| self.pad(text)),
            'v' => match value.as_str() {
                Some(text) => Ok(self.pad(self.cut(text))),
                None => match value.as_num() {
                    Some(n) => Ok(self.pad_number(self.sign(n), n.abs().to_string())),
                    None => self.json(value).map(|text| self.pad(text)),
                },
            },
            's' => {
                let text = self.convert(value, &Type::Str)?;
                Ok(self.pad(self.cut(text.as_str().unwrap_or_default())))
            }
            'q' => {
                let text = self.convert(value, &Type::Str)?;
                self.json(&Value::from(self.cut(text.as_str().unwrap_or_default())))
                    .map(|text| self.pad(text))
            }
            't' => {
                let truth = self.convert(value, &Type::Bool)?;
                Ok(self.pad(truth.as_bool().unwrap_or_default().to_string()))
            }
            _ => {
                let n = self.convert(value, &Type::Num)?;
                self.show_number(n.as_num().unwrap_or(&Num::ZERO))
            }
        }
    }

    fn json(&self, value: &Value) -> Result<String, FnError> {
        json::to_text(value).map_err(|reason| self.refuse(reason))
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(most) => text.graphemes(true).take(most).collect(),
            None => text.to_owned(),
        }
    }

    fn show_number(&self, n: &Num) -> Result<String, FnError> {
        let (sign, n) = (self.sign(n), n.abs());
        let too_large = || self.refuse("the number is too large");
        let radix = match self.letter {
            'b' => 2,
            'd' => 10,
            'o' => 8,
            'x' | 'X' => 16,
            _ => {
                let places = self.precision.unwrap_or(DEFAULT_PRECISION);
                let shown = match self.letter {
                    'f' => n.fixed(places),
                    'g' | 'G' => n.general(self.precision),
                    _ => n.scientific(places),
                };
                let shown = shown.ok_or_else(too_large)?;
                let shown = if self.letter.is_ascii_uppercase() { shown.to_uppercase() } else { shown };
                return Ok(self.pad_number(sign, shown));
            }
        };
        if !n.is_int() {
            return Err(self.refuse("a whole number is required"));
        }
        let mut digits = n.in_radix(radix).ok_or_else(too_large)?;
        if let Some(least) = self.precision {
            digits.insert_str(0, &"0".repeat(least.saturating_sub(digits.len())));
        }
        let prefix = match self.letter {
            'b' if self.sharp => "0b",
            'o' if self.sharp => "0",
            'x' | 'X' if self.sharp => "0x",
            _ => "",
        };
        let shown = if self.letter == 'X' { digits.to_uppercase() } else { digits };
        let prefix = if self.letter == 'X' { prefix.to_uppercase() } else { prefix.to_owned() };
        Ok(self.pad_number(&format!("{sign}{prefix}"), shown))
    }

    fn sign(&self, n: &Num) -> &'static str {
        match (n.is_negative(), self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn pad(&self, text: String) -> String {
        let missing = " ".repeat(self.width.saturating_sub(width(&text)));
        if self.minus { text + &missing } else { missing + &text }
    }

    /// A whole number with a precision has its zeros already.
    fn pad_number(&self, sign: &str, digits: String) -> String {
        let has_zeros = self.precision.is_some() && "bdoxX".contains(self.letter);
        if self.zero && !self.minus && !has_zeros {
            let missing = self.width.saturating_sub(sign.len() + digits.len());
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        self.pad(format!("{sign}{digits}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(layout: &str, values: &[Value], expected: &str) {
        match format(layout, values) {
            Ok(made) => assert_eq!(made, expected),
            Err(e) => assert_eq!(expected, "error", "{e:?}"),
        }
    }

    #[test]
    fn numbers_take_flags() {
        let n = [Value::from(-42)];
        check("%06d", &n, "-00042");
        check("%-6d|", &n, "-42   |");
        check("%+.3d", &[Value::from(7)], "+007");
        check("%#x %[1]X %#[1]o", &[Value::from(255)], "0xff FF 0377");
        check("%E", &[Value::from(12345)], "1.234500E+04");
        check("%g", &[Value::from(1_000_000)], "1e+06");
        check("%.3g", &[Value::from("1234.5")], "1.23e+03");
        check("%g", &[Value::from("0.25")], "0.25");
        check("%f", &[Value::from(0)], "0.000000");
        check("%08.2f", &[Value::from("-3.14159")], "-0003.14");
        check(
            "%x",
            &[Value::from("340282366920938463463374607431768211456")],
            "100000000000000000000000000000000",
        );
    }

    #[test]
    fn values_are_shown() {
        check("%v %v", &[Value::null(), Value::from(true)], "null true");
        check("%q", &[Value::from("a\"b")], r#""a\"b""#);
        check("%5t|%-7v|", &[Value::from(true), Value::from("é")], " true|é      |");
    }

    #[test]
    fn mistakes_are_refused() {
        check("%", &[], "error");
        check("%10001d", &[Value::from(1)], "error");
        check("%[0]d", &[Value::from(1)], "error");
        check("%[2]d", &[Value::from(1)], "error");
        check("%[", &[Value::from(1)], "error");
        check("%.99999999999999999999d", &[Value::from(1)], "error");
        check("%é", &[Value::from(1)], "error");
    }
}
