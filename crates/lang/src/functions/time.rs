//! Functions on RFC 3339 time stamps. There is no clock here: a time comes from the configuration or a read.

use coxswain_model::{Type, Value};
use jiff::civil::DateTime;

use super::arguments::{made_text, param, string, text};
use super::{BASE, FnError, FnSpec, Param};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

const TIME: Param = param("timestamp", string);

pub(super) static FORMATDATE: FnSpec = FnSpec {
    name: "formatdate",
    params: &[param("format", string), TIME],
    result: |_| Type::Str,
    call: formatdate,
    doc: "The time in another format: YYYY YY MMMM MMM MM M DD D EEEE EEE hh h HH H AA aa mm m ss s ZZZZZ ZZZZ ZZZ Z, and text in single quotes.",
    example: (r#"formatdate("DD MMM YYYY", "2018-01-02T23:12:01Z")"#, r#""02 Jan 2018""#),
    ..BASE
};

pub(super) static TIMEADD: FnSpec = FnSpec {
    name: "timeadd",
    params: &[TIME, param("duration", string)],
    result: |_| Type::Str,
    call: timeadd,
    doc: "The time later by a duration such as `1h30m`; units are h, m, s, ms, us, ns.",
    example: (r#"timeadd("2018-01-02T23:12:01Z", "1h")"#, r#""2018-01-03T00:12:01Z""#),
    ..BASE
};

pub(super) static TIMECMP: FnSpec = FnSpec {
    name: "timecmp",
    params: &[param("a", string), param("b", string)],
    result: |_| Type::Num,
    call: |args| {
        let order = Moment::parse(args, 0)?.nanos().cmp(&Moment::parse(args, 1)?.nanos());
        Ok((order as i64).into())
    },
    doc: "-1 where the first time is earlier, 1 where it is later, 0 where they are the same.",
    example: (r#"timecmp("2018-01-01T00:00:00Z", "2018-01-01T01:00:00+01:00")"#, "0"),
    ..BASE
};

/// A local time and how far it is ahead of UTC.
struct Moment {
    local: DateTime,
    offset_minutes: i32,
    /// Written `Z`.
    is_zulu: bool,
}

impl Moment {
    fn parse(args: &[Value], i: usize) -> Result<Moment, FnError> {
        let text = text(args, i)?;
        Moment::read(text).ok_or_else(|| {
            FnError::of(i, "this is not a time stamp in RFC 3339 such as 2018-01-02T23:12:01Z")
        })
    }

    fn read(text: &str) -> Option<Moment> {
        let (date_time, zone) = (text.get(..19)?, text.get(19..)?);
        let b = date_time.as_bytes();
        if b[4] != b'-' || b[7] != b'-' || b[10] != b'T' || b[13] != b':' || b[16] != b':' {
            return None;
        }
        let (nanos, zone) = match zone.strip_prefix('.') {
            None => (0, zone),
            Some(rest) => {
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                let digits: String = rest[..end].chars().chain("000000000".chars()).take(9).collect();
                (if end == 0 { None } else { digits.parse::<i32>().ok() }?, &rest[end..])
            }
        };
        let small = |range| digits(date_time, range).and_then(|n| i8::try_from(n).ok());
        let year = i16::try_from(digits(date_time, 0..4)?).ok()?;
        let local = DateTime::new(
            year,
            small(5..7)?,
            small(8..10)?,
            small(11..13)?,
            small(14..16)?,
            small(17..19)?,
            nanos,
        );
        let offset_minutes = match zone.as_bytes() {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let (hours, minutes) = (digits(zone, 1..3)?, digits(zone, 4..6)?);
                let ahead = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
                if *sign == b'-' { -ahead } else { ahead }
            }
            _ => return None,
        };
        Some(Moment { local: local.ok()?, offset_minutes, is_zulu: zone == "Z" })
    }

    /// Nanoseconds from the first day of the year 0 in UTC.
    fn nanos(&self) -> i128 {
        let days = i128::from(days_before(self.local));
        let seconds = i128::from(self.local.hour()) * 3600
            + i128::from(self.local.minute()) * 60
            + i128::from(self.local.second())
            - i128::from(self.offset_minutes) * 60;
        (days * 86_400 + seconds) * NANOS_PER_SECOND + i128::from(self.local.subsec_nanosecond())
    }

    fn offset(&self, colon: &str) -> String {
        let (sign, ahead) = (if self.offset_minutes < 0 { '-' } else { '+' }, self.offset_minutes.abs());
        format!("{sign}{:02}{colon}{:02}", ahead / 60, ahead % 60)
    }

    fn zone(&self) -> String {
        if self.offset_minutes == 0 { "Z".to_owned() } else { self.offset(":") }
    }

    fn rfc3339(&self) -> String {
        let l = &self.local;
        let zone = if self.is_zulu { "Z".to_owned() } else { self.zone() };
        let date = format!("{:04}-{:02}-{:02}", l.year(), l.month(), l.day());
        format!("{date}T{:02}:{:02}:{:02}{zone}", l.hour(), l.minute(), l.second())
    }
}

fn digits(text: &str, range: std::ops::Range<usize>) -> Option<i32> {
    let part = text.get(range)?;
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
}

/// Days from 0000-01-01 to the date, in the Gregorian calendar.
fn days_before(date: DateTime) -> i64 {
    let years = i64::from(date.year());
    let before = (years - 1).div_euclid(4) - (years - 1).div_euclid(100) + (years - 1).div_euclid(400);
    years * 365 + before + i64::from(date.day_of_year())
}

/// Reads `1h30m`, `-1.5s`: nanoseconds.
fn read_duration(text: &str) -> Option<i128> {
    let (is_negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 20 {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total =
            total.checked_add(whole.checked_mul(unit)?)?.checked_add(fraction.checked_mul(unit)? / scale)?;
        parts += 1;
        rest = after;
    }
    // More than 64 bits of nanoseconds (292 years) is no duration elsewhere either.
    let in_bounds = parts > 0 && total <= i128::from(i64::MAX);
    in_bounds.then_some(if is_negative { -total } else { total })
}

fn timeadd(args: &[Value]) -> Result<Value, FnError> {
    let start = Moment::parse(args, 0)?;
    let duration = text(args, 1)?;
    let nanos = read_duration(duration).and_then(|n| i64::try_from(n).ok()).ok_or_else(|| {
        FnError::of(1, "this is not a duration such as 1h30m; units are h, m, s, ms, us, ns")
    })?;
    let later = start.local.checked_add(jiff::SignedDuration::from_nanos(nanos)).ok();
    let local = later.filter(|l| (0..=9999).contains(&l.year()));
    let local = local.ok_or_else(|| FnError::new("the time would be outside the years 0 to 9999"))?;
    made_text(Moment { local, ..start }.rfc3339())
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn formatdate(args: &[Value]) -> Result<Value, FnError> {
    let layout = text(args, 0)?;
    let at = Moment::parse(args, 1)?;
    let mut made = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = quoted(&rest[1..], &mut made)?;
            continue;
        }
        let end = rest.find(|other| other != c).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if c.is_ascii_alphabetic() {
            made.push_str(&at.part(run).ok_or_else(|| {
                FnError::of(
                    0,
                    "some letters mean nothing here; text that stands for itself goes between single quotes",
                )
            })?);
        } else {
            made.push_str(run);
        }
        rest = after;
    }
    made_text(made)
}

/// Copies text up to the closing quote; two quotes are one. Gives what follows.
fn quoted<'a>(text: &'a str, made: &mut String) -> Result<&'a str, FnError> {
    let mut rest = text;
    loop {
        let end = rest.find('\'').ok_or_else(|| FnError::of(0, "a single quote is not closed"))?;
        made.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                made.push('\'');
                rest = after;
            }
            None => return Ok(rest),
        }
    }
}

impl Moment {
    fn part(&self, run: &str) -> Option<String> {
        let l = &self.local;
        let month = MONTHS[usize::try_from(l.month() - 1).ok()?];
        let weekday = WEEKDAYS[usize::try_from(l.weekday().to_monday_zero_offset()).ok()?];
        let hour12 = (l.hour() + 11) % 12 + 1;
        Some(match run {
            "YYYY" => format!("{:04}", l.year()),
            "YY" => format!("{:02}", l.year() % 100),
            "MMMM" => month.to_owned(),
            "MMM" => month[..3].to_owned(),
            "MM" => format!("{:02}", l.month()),
            "M" => l.month().to_string(),
            "DD" => format!("{:02}", l.day()),
            "D" => l.day().to_string(),
            "EEEE" => weekday.to_owned(),
            "EEE" => weekday[..3].to_owned(),
            "hh" => format!("{:02}", l.hour()),
            "h" => l.hour().to_string(),
            "HH" => format!("{hour12:02}"),
            "H" => hour12.to_string(),
            "AA" => if l.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            "aa" => if l.hour() < 12 { "am" } else { "pm" }.to_owned(),
            "mm" => format!("{:02}", l.minute()),
            "m" => l.minute().to_string(),
            "ss" => format!("{:02}", l.second()),
            "s" => l.second().to_string(),
            "ZZZZZ" => self.offset(":"),
            "ZZZ" if self.offset_minutes == 0 => "UTC".to_owned(),
            "ZZZZ" | "ZZZ" => self.offset(""),
            "Z" => self.zone(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[track_caller]
    fn check(spec: &FnSpec, a: &str, b: &str, expected: &str) {
        match call(spec, &[Value::from(a), Value::from(b)]) {
            Ok(v) => assert_eq!(v.as_str().map_or_else(|| format!("{:?}", v.node), str::to_owned), expected),
            Err(e) => assert_eq!(expected, "error", "{e:?}"),
        }
    }

    #[test]
    fn adding_durations() {
        check(&TIMEADD, "2018-01-02T23:12:01+02:00", "-1h30m0.5s", "2018-01-02T21:42:00+02:00");
        check(&TIMEADD, "2016-02-28T23:59:59.9Z", "100ms", "2016-02-29T00:00:00Z");
        check(&TIMEADD, "9999-12-31T23:59:59Z", "1s", "error");
        check(&TIMEADD, "2016-02-28T23:59:59Z", "", "error");
        check(&TIMEADD, "2016-02-28T23:59:59Z", "1", "error");
        check(&TIMEADD, "2016-02-28T23:59:59Z", "99999999999h", "error");
    }

    #[test]
    fn times_are_checked() {
        for text in [
            "",
            "2018-02-30T00:00:00Z",
            "2018-01-01T24:00:00Z",
            "2018-01-01 00:00:00Z",
            "2018-01-01T00:00:00",
            "2018-01-01T00:00:00.Z",
            "2018-01-0éT00:00:00Z",
            "2018-01-01T00:00:00+25:00",
        ] {
            check(&TIMEADD, text, "1s", "error");
        }
    }

    #[test]
    fn parts_of_dates() {
        check(
            &FORMATDATE,
            "EEEE EEE HH:mm AA ZZZZZ Z",
            "2018-01-02T00:12:01-05:30",
            "Tuesday Tue 12:12 AM -05:30 -05:30",
        );
        check(&FORMATDATE, "'it''s' YY", "2008-01-02T00:12:01Z", "it's 08");
        check(&FORMATDATE, "'open", "2008-01-02T00:12:01Z", "error");
    }
}
