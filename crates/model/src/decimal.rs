//! The decimal digits of a number, and the layouts that `format` knows: fixed, scientific, general.

/// `0.d1d2d3… × 10^point`; no digits for zero, and no zeros at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) is_negative: bool,
    digits: Vec<u8>,
    point: i64,
}

/// Digits from which a number is written with an exponent where nothing else is asked for.
const GENERAL_DIGITS: i64 = 6;
/// Smallest exponent that general layout writes without one.
const GENERAL_MIN_EXPONENT: i64 = -4;

impl Decimal {
    /// Of a plain decimal text: sign, digits, point.
    pub(crate) fn of(text: &str) -> Decimal {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b.wrapping_sub(b'0')).collect();
        let zeros = all.iter().take_while(|d| **d == 0).count();
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(zeros).unwrap_or(0);
        let mut decimal =
            Decimal { is_negative: text.starts_with('-'), digits: all[zeros..].to_vec(), point };
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    /// Keeps this many digits; half goes to the even neighbour.
    fn round(&mut self, keep: i64) {
        let Ok(keep) = usize::try_from(keep) else {
            self.digits.clear();
            return self.trim();
        };
        let Some(next) = self.digits.get(keep).copied() else { return };
        let is_half = next == 5 && self.digits.len() == keep + 1;
        let is_odd = keep > 0 && self.digits[keep - 1] % 2 == 1;
        let up = if is_half { is_odd } else { next >= 5 };
        self.digits.truncate(keep);
        if up {
            while self.digits.last() == Some(&9) {
                self.digits.pop();
            }
            match self.digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    self.digits.push(1);
                    self.point += 1;
                }
            }
        }
        self.trim();
    }

    fn digit(&self, at: i64) -> char {
        let digit = usize::try_from(at).ok().and_then(|at| self.digits.get(at)).copied().unwrap_or(0);
        char::from(b'0' + digit)
    }

    fn sign(&self) -> &'static str {
        if self.is_negative { "-" } else { "" }
    }

    /// `12.50`.
    pub(crate) fn fixed(mut self, places: usize) -> String {
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        self.round(self.point.saturating_add(places));
        let mut made = String::from(self.sign());
        match self.point > 0 {
            true => made.extend((0..self.point).map(|i| self.digit(i))),
            false => made.push('0'),
        }
        if places > 0 {
            made.push('.');
            made.extend((0..places).map(|i| self.digit(self.point + i)));
        }
        made
    }

    /// `1.25e+01`.
    pub(crate) fn scientific(mut self, places: usize) -> String {
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        self.round(places.saturating_add(1));
        let mut made = String::from(self.sign());
        made.push(self.digit(0));
        if places > 0 {
            made.push('.');
            made.extend((1..=places).map(|i| self.digit(i)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        made + &format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }

    /// The shorter of the two with at most this many digits, or all.
    pub(crate) fn general(mut self, digits: Option<usize>) -> String {
        let wanted = digits.map(|d| i64::try_from(d).unwrap_or(i64::MAX).max(1));
        if let Some(wanted) = wanted {
            self.round(wanted);
        }
        let have = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let limit = match wanted {
            None => GENERAL_DIGITS,
            Some(wanted) if wanted > have && have >= self.point => have,
            Some(wanted) => wanted,
        };
        let exponent = self.point - 1;
        let is_zero = self.digits.is_empty();
        if !is_zero && (exponent < GENERAL_MIN_EXPONENT || exponent >= limit) {
            return self.scientific(usize::try_from(have - 1).unwrap_or(0));
        }
        let places = usize::try_from(have - self.point).unwrap_or(0);
        self.fixed(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let of = Decimal::of;
        assert_eq!(of("2.5").fixed(0), "2");
        assert_eq!(of("3.5").fixed(0), "4");
        assert_eq!(of("0.05").fixed(1), "0.0");
        assert_eq!(of("0.06").fixed(1), "0.1");
        assert_eq!(of("0.0006").fixed(1), "0.0");
        assert_eq!(of("999.96").fixed(1), "1000.0");
        assert_eq!(of("-12.5").fixed(2), "-12.50");
        assert_eq!(of("0").fixed(0), "0");
        assert_eq!(of("12345.678").scientific(6), "1.234568e+04");
        assert_eq!(of("0").scientific(1), "0.0e+00");
        assert_eq!(of("0.00001234").general(None), "1.234e-05");
        assert_eq!(of("100").general(Some(3)), "100");
        assert_eq!(of("100000").general(None), "100000");
        assert_eq!(of("0.5").general(Some(5)), "0.5");
    }
}
