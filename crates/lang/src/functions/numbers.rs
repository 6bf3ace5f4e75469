//! Functions on numbers.

use coxswain_model::{Num, Type, Value};

use super::arguments::{MAX_ITEMS, any, argument, list_of_numbers, num, number, nums, param, whole};
use super::{BASE, FnError, FnSpec, Param};

/// Longest text `parseint` reads: more digits than a number keeps.
const MAX_DIGITS: usize = 4096;
/// Largest exponent that `pow` raises an integer to exactly.
const MAX_EXACT_EXPONENT: u32 = 1 << 12;
/// Decimal digits from gwei down to wei.
const GWEI_DIGITS: u32 = 9;
/// Decimal digits from ether down to wei.
const ETHER_DIGITS: u32 = 18;

const NUMBER: Param = param("number", number);

pub(super) static ABS: FnSpec = FnSpec {
    name: "abs",
    params: &[NUMBER],
    result: |_| Type::Num,
    call: |args| {
        let n = num(args, 0)?;
        Ok(if n.is_negative() { n.neg() } else { n.clone() }.into())
    },
    doc: "The number without its sign.",
    example: ("abs(-1.5)", "1.5"),
    ..BASE
};

pub(super) static CEIL: FnSpec = FnSpec {
    name: "ceil",
    params: &[NUMBER],
    result: |_| Type::Num,
    call: |args| Ok(num(args, 0)?.ceil().into()),
    doc: "The nearest whole number that is not smaller.",
    example: ("ceil(1.2)", "2"),
    ..BASE
};

pub(super) static FLOOR: FnSpec = FnSpec {
    name: "floor",
    params: &[NUMBER],
    result: |_| Type::Num,
    call: |args| Ok(num(args, 0)?.floor().into()),
    doc: "The nearest whole number that is not greater.",
    example: ("floor(-1.2)", "-2"),
    ..BASE
};

pub(super) static GWEI: FnSpec = FnSpec {
    name: "gwei",
    params: &[param("gwei", number)],
    result: |_| Type::Num,
    call: |args| wei(args, GWEI_DIGITS),
    doc: "This many gwei in wei.",
    example: ("gwei(32)", "32000000000"),
    ..BASE
};

pub(super) static ETHER: FnSpec = FnSpec {
    name: "ether",
    params: &[param("ether", number)],
    result: |_| Type::Num,
    call: |args| wei(args, ETHER_DIGITS),
    doc: "This many ether in wei.",
    example: ("ether(32)", "32000000000000000000"),
    ..BASE
};

pub(super) static LOG: FnSpec = FnSpec {
    name: "log",
    params: &[NUMBER, param("base", number)],
    result: |_| Type::Num,
    call: log,
    doc: "The logarithm of the number to the base.",
    example: ("log(16, 2)", "4"),
    ..BASE
};

pub(super) static MAX: FnSpec = FnSpec {
    name: "max",
    variadic: Some(param("numbers", number)),
    result: |_| Type::Num,
    call: |args| extreme(args, |all| all.max()),
    doc: "The greatest of the numbers.",
    example: ("max(1, 2.5, -3)", "2.5"),
    ..BASE
};

pub(super) static MIN: FnSpec = FnSpec {
    name: "min",
    variadic: Some(param("numbers", number)),
    result: |_| Type::Num,
    call: |args| extreme(args, |all| all.min()),
    doc: "The smallest of the numbers.",
    example: ("min(1, 2.5, -3)", "-3"),
    ..BASE
};

pub(super) static PARSEINT: FnSpec = FnSpec {
    name: "parseint",
    // Numbers are not taken: `parseint(10, 2)` would mean something else than it says.
    params: &[param("text", any), param("base", number)],
    result: |_| Type::Num,
    call: parseint,
    doc: "The whole number that the text is in this base, 2 to 62.",
    example: (r#"parseint("ff", 16)"#, "255"),
    ..BASE
};

pub(super) static POW: FnSpec = FnSpec {
    name: "pow",
    params: &[NUMBER, param("exponent", number)],
    result: |_| Type::Num,
    call: pow,
    doc: "The number raised to the exponent.",
    example: ("pow(2, 10)", "1024"),
    ..BASE
};

pub(super) static RANGE: FnSpec = FnSpec {
    name: "range",
    variadic: Some(param("limits", number)),
    result: |_| list_of_numbers(),
    call: range,
    doc: "The numbers from the start (0) up to, but without, the limit, by steps (1): `range(limit)`, `range(start, limit)`, `range(start, limit, step)`.",
    example: ("range(1, 10, 3)", "[1,4,7]"),
    ..BASE
};

pub(super) static SIGNUM: FnSpec = FnSpec {
    name: "signum",
    params: &[NUMBER],
    result: |_| Type::Num,
    call: |args| Ok(i64::try_from(whole(args, 0)?.signum()).unwrap_or_default().into()),
    doc: "-1, 0 or 1: the sign of a whole number.",
    example: ("signum(-5)", "-1"),
    ..BASE
};

pub(super) static SUM: FnSpec = FnSpec {
    name: "sum",
    params: &[param("numbers", any)],
    result: |_| Type::Num,
    call: sum,
    doc: "The sum of the elements.",
    example: ("sum([1.5, 2.5])", "4"),
    ..BASE
};

fn wei(args: &[Value], digits: u32) -> Result<Value, FnError> {
    let wei = num(args, 0)?.mul(&Num::from(10_i128.pow(digits)));
    // Text such as "0.1" is a binary fraction; what misses a whole number by less than a millionth of a wei is one.
    let near = wei.add(&half()).floor();
    let slip = wei.sub(&near);
    let tolerance = Num::from(1_000_000_i64);
    if slip.mul(&tolerance).trunc() != Num::ZERO {
        return Err(FnError::of(0, "the amount has fractions of a wei"));
    }
    if near.is_negative() {
        return Err(FnError::of(0, "an amount must not be negative"));
    }
    Ok(near.into())
}

fn half() -> Num {
    Num::from(1_i64).div(&Num::from(2_i64)).unwrap_or(Num::ZERO)
}

/// The number that a double reads as when it is printed, so that results look like those of other implementations.
fn from_double(x: f64) -> Result<Value, FnError> {
    if !x.is_finite() {
        return Err(FnError::new("the result is not a finite number"));
    }
    format!("{x}").parse::<Num>().map(Value::from).map_err(|e| FnError::new(e.to_string()))
}

fn log(args: &[Value]) -> Result<Value, FnError> {
    let (n, base) = (num(args, 0)?.to_f64(), num(args, 1)?.to_f64());
    if n <= 0.0 {
        return Err(FnError::of(0, "only numbers above zero have a logarithm"));
    }
    if base <= 0.0 || base == 1.0 {
        return Err(FnError::of(1, "a base is above zero and not one"));
    }
    from_double(n.ln() / base.ln())
}

fn extreme(
    args: &[Value],
    pick: for<'a> fn(std::vec::IntoIter<&'a Num>) -> Option<&'a Num>,
) -> Result<Value, FnError> {
    let all = (0..args.len()).map(|i| num(args, i)).collect::<Result<Vec<_>, _>>()?;
    pick(all.into_iter())
        .map(|n| n.clone().into())
        .ok_or_else(|| FnError::new("at least one number is required"))
}

fn parseint(args: &[Value]) -> Result<Value, FnError> {
    let value = argument(args, 0)?;
    let text = value.as_str().ok_or_else(|| FnError::of(0, "a string is required"))?;
    let base = match whole(args, 1)? {
        base @ 2..=62 => base,
        _ => return Err(FnError::of(1, "a base is between 2 and 62")),
    };
    if text.len() > MAX_DIGITS {
        return Err(FnError::of(0, format!("more than {MAX_DIGITS} digits")));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() {
        return Err(FnError::of(0, "the text has no digits"));
    }
    let mut n = Num::ZERO;
    for c in digits.chars() {
        let digit = digit_value(c, base)
            .ok_or_else(|| FnError::of(0, "not all characters of the text are digits in this base"))?;
        n = n.mul(&Num::from(base)).add(&Num::from(digit));
    }
    Ok(if text.starts_with('-') { n.neg() } else { n }.into())
}

/// Up to base 36 letters of either case count from 10; above, small ones from 10 and capitals from 36.
fn digit_value(c: char, base: i128) -> Option<i128> {
    let code = i128::from(u32::from(c));
    let digit = match c {
        '0'..='9' => code - i128::from(u32::from('0')),
        'a'..='z' => code - i128::from(u32::from('a')) + 10,
        'A'..='Z' if base <= 36 => code - i128::from(u32::from('A')) + 10,
        'A'..='Z' => code - i128::from(u32::from('A')) + 36,
        _ => return None,
    };
    (digit < base).then_some(digit)
}

fn pow(args: &[Value]) -> Result<Value, FnError> {
    let (n, exponent) = (num(args, 0)?, num(args, 1)?);
    if n.is_int()
        && let Some(exponent) = exponent.to_usize().and_then(|e| u32::try_from(e).ok())
        && exponent <= MAX_EXACT_EXPONENT
        && n.to_f64().powi(i32::try_from(exponent).unwrap_or(i32::MAX)).is_finite()
    {
        return Ok(exact_power(n, exponent).into());
    }
    from_double(n.to_f64().powf(exponent.to_f64()))
}

fn exact_power(n: &Num, mut exponent: u32) -> Num {
    let (mut result, mut square) = (Num::from(1_i64), n.clone());
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.mul(&square);
        }
        exponent >>= 1;
        if exponent > 0 {
            square = square.mul(&square);
        }
    }
    result
}

fn range(args: &[Value]) -> Result<Value, FnError> {
    let (start, limit) = match args.len() {
        1 => (Num::ZERO, num(args, 0)?.clone()),
        2 | 3 => (num(args, 0)?.clone(), num(args, 1)?.clone()),
        _ => {
            return Err(FnError::new(
                "one to three numbers are required: limit; start, limit; start, limit, step",
            ));
        }
    };
    let down = limit < start;
    let step = match args.len() {
        3 => num(args, 2)?.clone(),
        _ => Num::from(if down { -1_i64 } else { 1 }),
    };
    if step == Num::ZERO {
        return Err(FnError::of(2, "the step must not be zero"));
    }
    if down != step.is_negative() && start != limit {
        let way = if down {
            "negative, as the limit is below the start"
        } else {
            "above zero, as the limit is above the start"
        };
        return Err(FnError::of(2, format!("the step must be {way}")));
    }
    let mut numbers = Vec::new();
    let mut at = start;
    while if down { at > limit } else { at < limit } {
        if numbers.len() == MAX_ITEMS {
            return Err(FnError::new(format!("more than {MAX_ITEMS} numbers")));
        }
        let next = at.add(&step);
        if next == at {
            return Err(FnError::of(2, "the step is too small for numbers of this size"));
        }
        numbers.push(Value::from(std::mem::replace(&mut at, next)));
    }
    Ok(Value::list(Type::Num, numbers))
}

fn sum(args: &[Value]) -> Result<Value, FnError> {
    let numbers = nums(args, 0)?;
    if numbers.is_empty() {
        return Err(FnError::of(0, "an empty collection has no sum"));
    }
    Ok(numbers.iter().fold(Num::ZERO, |sum, n| sum.add(n)).into())
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[track_caller]
    fn check(spec: &FnSpec, args: &[&str], expected: &str) {
        let args: Vec<Value> = args.iter().map(|a| Value::from(*a)).collect();
        match call(spec, &args) {
            Ok(v) => assert_eq!(coxswain_model::json::to_text(&v).as_deref(), Ok(expected)),
            Err(_) => assert_eq!(expected, "error", "{args:?}"),
        }
    }

    #[test]
    fn amounts_are_exact() {
        check(&ETHER, &["32"], "32000000000000000000");
        check(&ETHER, &["0.1"], "100000000000000000");
        check(&ETHER, &["0.0000000000000000001"], "error");
        check(&GWEI, &["1.5"], "1500000000");
        check(&GWEI, &["-1"], "error");
    }

    #[test]
    fn powers_are_exact_while_they_can_be() {
        check(&POW, &["10", "30"], "1000000000000000000000000000000");
        check(&POW, &["2", "0.5"], "1.4142135623730951");
        check(&POW, &["2", "-1"], "0.5");
        check(&POW, &["10", "1000000"], "error");
        check(&POW, &["0", "-1"], "error");
    }

    #[test]
    fn ranges_are_bounded() {
        check(&RANGE, &["0"], "[]");
        check(&RANGE, &["1048577"], "error");
        check(&RANGE, &["1e100", "1e101", "1e-100"], "error");
        check(&RANGE, &["1", "5", "-1"], "error");
        check(&RANGE, &["5", "1", "-2"], "[5,3]");
    }

    #[test]
    fn digits_of_any_base() {
        check(&PARSEINT, &["zZ", "62"], "2231");
        check(&PARSEINT, &["2", "2"], "error");
        check(&PARSEINT, &["-", "10"], "error");
        check(&PARSEINT, &["é", "10"], "error");
    }
}
