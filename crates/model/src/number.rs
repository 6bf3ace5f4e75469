//! Exact numbers: `i128` where it fits, else a binary float of 512 bits, rounded half to even.
//!
//! 512 bits is the precision HCL implementations use, so results agree digit for digit. 32 ETH in wei is exact.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use dashu_base::{BitTest as _, Sign};
use dashu_float::round::mode::HalfEven;
use dashu_float::{Context, DBig, FBig};
use dashu_int::IBig;

use crate::decimal::Decimal;

/// Significant bits of a number that is not an `i128`.
const PRECISION: usize = 512;
/// Largest decimal exponent a literal may have: keeps hostile input from filling the memory with zeros.
const MAX_EXPONENT: i64 = 4096;

/// Largest binary exponent of a number that is written out in full; arithmetic can go beyond it.
const MAX_SHOWN_BITS: isize = 1 << 16;

/// Binary exponent from which a number grows and shrinks no more: far below where the exponent overflows.
const MAX_EXPONENT_BITS: usize = 1 << 40;

type Big = FBig<HalfEven, 2>;

/// An exact number.
#[derive(Debug, Clone)]
pub struct Num(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Int(i128),
    Big(Box<Big>),
}

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumError {
    /// `x / 0`.
    #[error("division by zero")]
    DivisionByZero,
    /// The text is not a number.
    #[error("not a number")]
    NotANumber,
    /// The exponent or the result is beyond what is kept.
    #[error("the number is too large")]
    TooLarge,
}

impl Num {
    /// Zero.
    pub const ZERO: Num = Num(Repr::Int(0));

    fn big(&self) -> Big {
        match &self.0 {
            Repr::Int(n) => Big::from(IBig::from(*n)).with_precision(PRECISION).value(),
            Repr::Big(b) => (**b).clone(),
        }
    }

    fn from_big(b: Big) -> Num {
        if b.repr().is_int()
            && b.repr().exponent() < 256
            && let Ok(n) = i128::try_from(b.to_int().value())
        {
            return Num(Repr::Int(n));
        }
        Num(Repr::Big(Box::new(b.with_precision(PRECISION).value())))
    }

    /// The one of the two that is out of all bounds: products with it stay so, and cannot overflow the exponent.
    fn out_of_bounds(&self, other: &Num) -> Option<Num> {
        let is_out = |n: &&&Num| match &n.0 {
            Repr::Int(_) => false,
            Repr::Big(b) => b.repr().exponent().unsigned_abs() > MAX_EXPONENT_BITS,
        };
        [self, other].iter().find(is_out).map(|n| (*n).clone())
    }

    fn with_big(&self, other: &Num, op: impl Fn(&Context<HalfEven>, &Big, &Big) -> Big) -> Num {
        Num::from_big(op(&Context::new(PRECISION), &self.big(), &other.big()))
    }

    /// The position of the highest bit; `None` for zero.
    fn magnitude(&self) -> Option<isize> {
        let big = self.big();
        let bits = big.repr().significand().bit_len();
        let bits = isize::try_from(bits).unwrap_or(isize::MAX);
        (bits > 0).then(|| big.repr().exponent().saturating_add(bits))
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Num) -> Num {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(n) = a.checked_add(*b)
        {
            return Num(Repr::Int(n));
        }
        // Where one is too small to count, the library fails to see it.
        let (a, b) = (self.magnitude(), other.magnitude());
        match (a, b) {
            (None, _) => other.clone(),
            (_, None) => self.clone(),
            (Some(a), Some(b)) if a.abs_diff(b) > PRECISION + 2 => if a > b { self } else { other }.clone(),
            (Some(_), Some(_)) => self.with_big(other, |_, a, b| a + b),
        }
    }
    /// The difference.
    #[must_use]
    pub fn sub(&self, other: &Num) -> Num {
        self.add(&other.neg())
    }
    /// The product.
    #[must_use]
    pub fn mul(&self, other: &Num) -> Num {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(n) = a.checked_mul(*b)
        {
            return Num(Repr::Int(n));
        }
        self.out_of_bounds(other).unwrap_or_else(|| self.with_big(other, |_, a, b| a * b))
    }
    /// The quotient.
    ///
    /// # Errors
    /// When `other` is zero.
    pub fn div(&self, other: &Num) -> Result<Num, NumError> {
        match (&self.0, &other.0) {
            (_, Repr::Int(0)) => Err(NumError::DivisionByZero),
            (Repr::Int(a), Repr::Int(b)) if a.checked_rem(*b) == Some(0) => Ok(Num(Repr::Int(a / b))),
            _ => Ok(self.out_of_bounds(other).unwrap_or_else(|| self.with_big(other, |_, a, b| a / b))),
        }
    }
    /// The remainder with the sign of `self`; HCL gives `self` back for `x % 0`.
    #[must_use]
    pub fn rem(&self, other: &Num) -> Num {
        match (&self.0, &other.0) {
            (_, Repr::Int(0)) => self.clone(),
            (Repr::Int(a), Repr::Int(b)) if a.checked_rem(*b).is_some() => Num(Repr::Int(a % b)),
            _ => match self.div(other) {
                Ok(q) => self.sub(&q.trunc().mul(other)),
                Err(_) => self.clone(),
            },
        }
    }
    /// The negation.
    #[must_use]
    pub fn neg(&self) -> Num {
        match &self.0 {
            Repr::Int(n) if *n != i128::MIN => Num(Repr::Int(-n)),
            _ => Num::from_big(-self.big()),
        }
    }
    /// Rounds towards zero.
    #[must_use]
    pub fn trunc(&self) -> Num {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(b) => Num::from_big(b.trunc()),
        }
    }
    /// Rounds towards minus infinity.
    #[must_use]
    pub fn floor(&self) -> Num {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(b) => Num::from_big(b.floor()),
        }
    }
    /// Rounds towards plus infinity.
    #[must_use]
    pub fn ceil(&self) -> Num {
        self.neg().floor().neg()
    }
    /// The number without its sign.
    #[must_use]
    pub fn abs(&self) -> Num {
        if self.is_negative() { self.neg() } else { self.clone() }
    }
    /// Whether the number is small and coarse enough to be written out; what is not can only have come from
    /// arithmetic, and whoever offers arithmetic refuses it.
    pub fn is_in_range(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(b) => {
                b.repr().is_finite() && b.repr().exponent().unsigned_abs() <= MAX_SHOWN_BITS.unsigned_abs()
            }
        }
    }
    /// The number itself, where it [is in range](Num::is_in_range): what arithmetic ends with.
    ///
    /// # Errors
    /// [`NumError::TooLarge`] where it is not.
    pub fn in_range(self) -> Result<Num, NumError> {
        if self.is_in_range() { Ok(self) } else { Err(NumError::TooLarge) }
    }
    /// Parses what conversion of text to a number takes: a literal, also with a leading `+`, or with nothing
    /// before or behind the point.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_text(text: &str) -> Result<Num, NumError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_at(unsigned.find(['e', 'E']).unwrap_or(unsigned.len()));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            || whole.len() + fraction.len() == 0
        {
            return Err(NumError::NotANumber);
        }
        let or_zero = |digits: &str| if digits.is_empty() { "0".to_owned() } else { digits.to_owned() };
        let sign = if text.starts_with('-') { "-" } else { "" };
        match mantissa.contains('.') {
            true => format!("{sign}{}.{}{exponent}", or_zero(whole), or_zero(fraction)).parse(),
            false => format!("{sign}{unsigned}").parse(),
        }
    }
    /// All digits of the number, exactly.
    fn digits(&self) -> Option<Decimal> {
        let b = match &self.0 {
            Repr::Int(n) => return Some(Decimal::of(&n.to_string())),
            Repr::Big(b) => b,
        };
        if !self.is_in_range() {
            return None;
        }
        let exponent = b.repr().exponent();
        let (places, significand) = (usize::try_from(-exponent).unwrap_or(0), b.repr().significand().clone());
        let scaled = match exponent >= 0 {
            true => significand << exponent.unsigned_abs(),
            false => significand * IBig::from(5).pow(places),
        };
        let text = scaled.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
        let padded = format!("{}{digits}", "0".repeat((places + 1).saturating_sub(digits.len())));
        let (whole, fraction) = padded.split_at(padded.len() - places);
        Some(Decimal::of(&format!("{sign}{whole}.{fraction}")))
    }
    /// With this many digits behind the point, rounded half to even; `None` beyond what is written out.
    pub fn fixed(&self, places: usize) -> Option<String> {
        self.digits().map(|d| d.fixed(places))
    }
    /// With one digit before the point, this many behind it, and an exponent: `1.25e+01`.
    pub fn scientific(&self, places: usize) -> Option<String> {
        self.digits().map(|d| d.scientific(places))
    }
    /// With at most this many digits, or as few as tell the number apart; with an exponent where that is usual.
    pub fn general(&self, digits: Option<usize>) -> Option<String> {
        match digits {
            None if self.is_in_range() => Some(Decimal::of(&self.to_string()).general(None)),
            None => None,
            Some(_) => self.digits().map(|d| d.general(digits)),
        }
    }
    /// The digits of a whole number in a base from 2 to 36; `None` for fractions and beyond what is written out.
    pub fn in_radix(&self, radix: u32) -> Option<String> {
        if !self.is_int() || !self.is_in_range() || !(2..=36).contains(&radix) {
            return None;
        }
        let whole = match &self.0 {
            Repr::Int(n) => IBig::from(*n),
            Repr::Big(b) => b.to_int().value(),
        };
        Some(whole.in_radix(radix).to_string())
    }
    /// Whether the number has no fraction.
    pub fn is_int(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(b) => b.repr().is_int(),
        }
    }
    /// The number as an integer, where it is one that fits.
    pub fn to_i128(&self) -> Option<i128> {
        match &self.0 {
            Repr::Int(n) => Some(*n),
            Repr::Big(_) => None,
        }
    }
    /// The number as an index or a length, where it is one.
    pub fn to_usize(&self) -> Option<usize> {
        self.to_i128().and_then(|n| usize::try_from(n).ok())
    }
    /// The nearest `f64`.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "nearest is what is asked for")]
            Repr::Int(n) => *n as f64,
            Repr::Big(b) => b.to_f64().value(),
        }
    }
    /// The exact value of a finite `f64`.
    pub fn from_f64(x: f64) -> Option<Num> {
        Big::try_from(x)
            .ok()
            .filter(|b| b.repr().is_finite())
            .map(|b| Num::from_big(b.with_precision(PRECISION).value()))
    }
    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Int(n) => *n < 0,
            Repr::Big(b) => b.sign() == Sign::Negative,
        }
    }
}

impl From<i64> for Num {
    fn from(n: i64) -> Num {
        Num(Repr::Int(n.into()))
    }
}
impl From<i128> for Num {
    fn from(n: i128) -> Num {
        Num(Repr::Int(n))
    }
}
impl From<usize> for Num {
    fn from(n: usize) -> Num {
        Num(Repr::Int(n as i128))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Num) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Num {}
impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Num) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Num {
    fn cmp(&self, other: &Num) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            _ => self.big().cmp(&other.big()),
        }
    }
}

impl FromStr for Num {
    type Err = NumError;

    /// Parses a decimal literal: digits, fraction, exponent, sign.
    fn from_str(text: &str) -> Result<Num, NumError> {
        if let Ok(n) = text.parse::<i128>()
            && !text.starts_with('+')
        {
            return Ok(Num(Repr::Int(n)));
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(NumError::NotANumber);
        }
        let exponent: i64 =
            exponent.strip_prefix('+').unwrap_or(exponent).parse().map_err(|_| NumError::NotANumber)?;
        if exponent.abs() > MAX_EXPONENT || text.len() > 4096 {
            return Err(NumError::TooLarge);
        }
        let decimal = DBig::from_str(text).map_err(|_| NumError::NotANumber)?;
        if decimal.repr().significand() == &IBig::ZERO {
            return Ok(Num::ZERO);
        }
        let binary = decimal.with_rounding::<HalfEven>().with_base_and_precision::<2>(PRECISION).value();
        Ok(Num::from_big(binary))
    }
}

/// The shortest decimal text that reads back as the same number at 512 bits, without an exponent. Numbers that are
/// not [`Num::is_in_range`] are shown as a power of two, so that nothing fills the memory.
impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(n) => write!(f, "{n}"),
            Repr::Big(b) if self.is_in_range() => f.write_str(&shortest(b)),
            Repr::Big(b) => write!(f, "about 2^{}", b.repr().exponent()),
        }
    }
}

/// Digits that are always enough to tell apart two numbers of 512 bits: ⌈512·log10(2)⌉ + 2.
const MAX_DIGITS: usize = 157;

fn shortest(big: &Big) -> String {
    let exact = big.clone().with_rounding::<HalfEven>().with_base_and_precision::<10>(MAX_DIGITS + 5).value();
    // Binary search would assume that "reads back" is monotone in the number of digits, which it is.
    let (mut low, mut high) = (1, MAX_DIGITS);
    while low < high {
        let mid = usize::midpoint(low, high);
        if reads_back(&exact, mid, big) { high = mid } else { low = mid + 1 }
    }
    plain(&exact.with_precision(low).value())
}

fn reads_back(exact: &FBig<HalfEven, 10>, digits: usize, big: &Big) -> bool {
    let short = exact.clone().with_precision(digits).value();
    short.with_base_and_precision::<2>(PRECISION).value() == *big
}

fn plain(decimal: &FBig<HalfEven, 10>) -> String {
    let repr = decimal.repr();
    let text = repr.significand().to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let exponent = repr.exponent();
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent.unsigned_abs()));
    }
    let behind = exponent.unsigned_abs();
    let padded = format!("{}{digits}", "0".repeat((behind + 1).saturating_sub(digits.len())));
    let (whole, fraction) = padded.split_at(padded.len() - behind);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn num(text: &str) -> Num {
        text.parse().expect(text)
    }
    #[track_caller]
    fn reads(text: &str, printed: &str) {
        assert_eq!(num(text).to_string(), printed);
    }

    #[test]
    fn literals_are_exact() {
        reads("32000000000000000000", "32000000000000000000");
        reads(
            "123456789012345678901234567890123456789012345678901234567890",
            "123456789012345678901234567890123456789012345678901234567890",
        );
        reads("1.5e-3", "0.0015");
        reads("3.10", "3.1");
        reads("1e3", "1000");
        reads("-0.5", "-0.5");
    }

    #[test]
    fn arithmetic_is_exact_where_it_can_be() {
        assert_eq!(num("0.5").add(&num("0.25")).to_string(), "0.75");
        assert_eq!(num("10").div(&num("4")).expect("divides").to_string(), "2.5");
        assert_eq!(num("-7").rem(&num("3")).to_string(), "-1");
        assert_eq!(num("1").rem(&num("0")).to_string(), "1");
        assert_eq!(num("1").div(&num("0")), Err(NumError::DivisionByZero));
        let large = num("170141183460469231731687303715884105727");
        assert_eq!(large.add(&num("1")).to_string(), "170141183460469231731687303715884105728");
        assert_eq!(num("-2.5").floor().to_string(), "-3");
        assert_eq!(num("-2.5").ceil().to_string(), "-2");
    }

    #[test]
    fn layouts_are_exact() {
        assert_eq!(num("1.005").fixed(2).as_deref(), Some("1.00"));
        assert_eq!(num("0.1").fixed(3).as_deref(), Some("0.100"));
        assert_eq!(num("0.00001234").general(None).as_deref(), Some("1.234e-05"));
        assert_eq!(
            num("-340282366920938463463374607431768211456").in_radix(16).as_deref(),
            Some("-100000000000000000000000000000000")
        );
        assert_eq!(num("1e400").scientific(1).as_deref(), Some("1.0e+400"));
    }

    #[test]
    fn numbers_beyond_all_bounds_stay_small_in_memory() {
        let mut n = num("1e4000");
        for _ in 0..100 {
            n = n.mul(&n);
        }
        assert_eq!(n.clone().in_range(), Err(NumError::TooLarge));
        assert!(n.to_string().len() < 100);
        assert_eq!(n.fixed(2), None);
        assert!(n > num("1"));
        let small = num("1").div(&n).expect("divides");
        for x in [&n, &small] {
            let _ = (x.floor(), x.ceil(), x.trunc(), x.to_f64(), x.to_usize(), x.is_int(), x.neg());
            let _ = (
                x.add(&num("1")),
                num("0.5").sub(x),
                x.rem(&num("7")),
                num("7").rem(x),
                x.cmp(&num("3")),
                x.in_radix(2),
                x.general(None),
            );
        }
    }

    #[test]
    fn text_is_read_more_leniently_than_literals() {
        let from = |text: &str| Num::from_text(text).map(|n| n.to_string());
        assert_eq!(from("+1").as_deref(), Ok("1"));
        assert_eq!(from(".5").as_deref(), Ok("0.5"));
        assert_eq!(from("-1.").as_deref(), Ok("-1"));
        assert_eq!(from("1.5e3").as_deref(), Ok("1500"));
        for text in ["", ".", "+", "+-1", "--1", " 1", "0x10", "e5", ".e5", "1 "] {
            assert!(from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "1.", ".5", "1e", "1e99999999", "0x10", "1_000", "+1", "inf", "NaN"] {
            assert!(text.parse::<Num>().is_err(), "{text}");
        }
    }
}
