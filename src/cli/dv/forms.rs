//! The forms of values as charon's flags take them: those of Go's `pflag`.
//!
//! ```text
//! structs of flags (clap) ─as_charon→ the same, with these forms
//! ```
//!
//! A command states its flags as plain fields: `bool`, `i64`, `u64`, `String`, `PathBuf`, `Duration` and `Vec`s of them. What
//! sets charon's flags apart from others is added here, for all of them: `--flag=false`, numbers in other bases, lists
//! with commas that may repeat, the last of repeated values, and no flag that is missing before environment and file
//! were asked.

use std::any::TypeId;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};

/// The words for yes and no.
const BOOLS: &[(&str, bool)] = &[
    ("1", true),
    ("t", true),
    ("T", true),
    ("true", true),
    ("TRUE", true),
    ("True", true),
    ("0", false),
    ("f", false),
    ("F", false),
    ("false", false),
    ("FALSE", false),
    ("False", false),
];
/// Units of durations in nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits of a fraction that are read: an hour has 13 digits of nanoseconds.
const MAX_FRACTION: usize = 18;

/// What a flag takes, as charon's help calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// A whole number that is not negative.
    Uint,
    /// A length of time.
    Duration,
    /// A text or path.
    String,
}

impl Form {
    /// Of a flag; anything that is no number, length of time, yes or no is a text.
    #[must_use]
    pub fn of(arg: &Arg) -> Form {
        let is = |id: TypeId| arg.get_value_parser().type_id() == id;
        if is(TypeId::of::<bool>()) {
            Form::Bool
        } else if is(TypeId::of::<i64>()) {
            Form::Int
        } else if is(TypeId::of::<u64>()) {
            Form::Uint
        } else if is(TypeId::of::<Duration>()) {
            Form::Duration
        } else {
            Form::String
        }
    }

    /// The name in charon's help; a list has an `s` behind it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Bool => "bool",
            Form::Int => "int",
            Form::Uint => "uint",
            Form::Duration => "duration",
            Form::String => "string",
        }
    }
}

/// Whether a flag may have several values.
#[must_use]
pub fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// The command with charon's forms.
pub(super) fn as_charon(command: Command) -> Command {
    let names: Vec<clap::Id> = command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some())
        .map(|arg| arg.get_id().clone())
        .collect();
    let command = command.args_override_self(true);
    names.into_iter().fold(command, |command, name| command.mut_arg(name, flag_as_charon))
}

/// The same, with no flag needed: environment and file may have it.
#[must_use]
pub fn relaxed(command: Command) -> Command {
    let needed: Vec<clap::Id> =
        command.get_arguments().filter(|arg| arg.is_required_set()).map(|arg| arg.get_id().clone()).collect();
    needed.into_iter().fold(command, |command, name| {
        command.mut_arg(name, |arg| if arg.get_long().is_some() { arg.required(false) } else { arg })
    })
}

fn flag_as_charon(arg: Arg) -> Arg {
    let form = Form::of(&arg);
    let arg = if is_list(&arg) { arg.value_delimiter(',') } else { arg };
    let is_set = !arg.get_default_values().is_empty();
    match form {
        Form::Bool if is_set => bool_as_charon(arg),
        Form::Bool => bool_as_charon(arg).default_value("false").hide_default_value(true),
        Form::Int => arg.value_parser(ValueParser::new(parse_int)).allow_negative_numbers(true),
        Form::Uint => arg.value_parser(ValueParser::new(parse_uint)),
        Form::Duration | Form::String => arg,
    }
}

/// Yes where nothing is said behind it.
fn bool_as_charon(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .value_parser(ValueParser::new(parse_bool))
        .num_args(0..=1)
        .require_equals(true)
        .value_name("BOOL")
        .default_missing_value("true")
}

fn parse_bool(text: &str) -> Result<bool, String> {
    let found = BOOLS.iter().find(|(word, _)| *word == text);
    found.map(|(_, yes)| *yes).ok_or_else(|| "write true or false".to_owned())
}

/// Digits, after a sign and a base: `0x`, `0o`, `0b`, or `0` alone for octal.
fn digits(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = text.to_ascii_lowercase();
    let (base, digits) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|(prefix, base)| Some((*base, lower.strip_prefix(prefix)?)))
        .or_else(|| Some((8, lower.strip_prefix('0').filter(|rest| !rest.is_empty())?)))
        .unwrap_or((10, &lower));
    // A second sign is no digit.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    i128::from_str_radix(digits, base).ok().map(|number| sign * number)
}

fn parse_int(text: &str) -> Result<i64, String> {
    let number = digits(text).and_then(|number| i64::try_from(number).ok());
    number.ok_or_else(|| "write a whole number".to_owned())
}

fn parse_uint(text: &str) -> Result<u64, String> {
    let is_signed = text.starts_with(['+', '-']);
    let number = digits(text).filter(|_| !is_signed).and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| "write a whole number that is not negative".to_owned())
}

/// A length of time: numbers with units, as in `1m30s`, `1.5h` or `100ms`.
///
/// # Errors
/// What to write instead. A negative one is refused: charon takes it, and no flag has a meaning for it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a length of time such as 500ms, 30s or 1m30s".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0_u128);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = total.checked_add(part(number, *unit).ok_or_else(wrong)?).ok_or_else(wrong)?;
        rest = tail;
    }
    // As long as Go's: 63 bits of nanoseconds.
    let nanoseconds = u64::try_from(total).ok().filter(|n| i64::try_from(*n).is_ok() && !text.is_empty());
    nanoseconds.map(Duration::from_nanos).ok_or_else(wrong)
}

/// A number with a fraction, in nanoseconds of its unit; digits behind the last nanosecond are cut off.
fn part(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 20 || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (scaled, scale) =
        fraction.bytes().take(MAX_FRACTION).fold((0_u128, 1_u128), |(scaled, scale), digit| {
            (scaled * 10 + u128::from(digit - b'0'), scale * 10)
        });
    whole.checked_mul(unit)?.checked_add(unit * scaled / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bases() {
        for (text, number) in [
            ("0", 0),
            ("7", 7),
            ("-7", -7),
            ("+7", 7),
            ("0x1F", 31),
            ("0b101", 5),
            ("0o17", 15),
            ("017", 15),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_int(text), Ok(number), "{text}");
        }
        for text in ["", "-", "x", "1.5", "1e3", "0x", "--1", "0x-1", " 1", "9223372036854775808", "08"] {
            assert!(parse_int(text).is_err(), "{text}");
        }
        assert_eq!(parse_uint("18446744073709551615"), Ok(u64::MAX));
        assert!(parse_uint("-1").is_err() && parse_uint("+1").is_err() && parse_uint("-0").is_err());
    }

    #[test]
    fn durations_have_units() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("0", ms(0)),
            ("5s", ms(5000)),
            ("1m0s", ms(60_000)),
            ("1h2m3.5s", ms(3_723_500)),
            ("100ms", ms(100)),
            (".5s", ms(500)),
            ("1.s", ms(1000)),
            ("1.5µs", Duration::from_nanos(1500)),
            ("0.1234567891s", Duration::from_nanos(123_456_789)),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in
            ["", "5", "s", ".s", "1.2.3s", "-5s", "1 s", "5S", "3000000h", "1d", "99999999999999999999999h"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_for_yes_and_no() {
        for (word, yes) in BOOLS {
            assert_eq!(parse_bool(word), Ok(*yes));
        }
        assert!(parse_bool("yes").is_err() && parse_bool("").is_err());
    }
}
