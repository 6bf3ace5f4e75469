//! Address ranges in CIDR notation, of both families.

use std::net::{Ipv4Addr, Ipv6Addr};

use coxswain_model::{Type, Value};

use super::arguments::{list_of_strings, made_texts, number, param, string, text, whole};
use super::{BASE, FnError, FnSpec, Param};

const PREFIX: Param = param("prefix", string);

pub(super) static CIDRCONTAINS: FnSpec = FnSpec {
    name: "cidrcontains",
    params: &[PREFIX, param("address", string)],
    result: |_| Type::Bool,
    call: cidrcontains,
    doc: "Whether an address, or a whole range, lies in the range.",
    example: (r#"cidrcontains("172.20.0.0/20", "172.20.1.1")"#, "true"),
    ..BASE
};

pub(super) static CIDRHOST: FnSpec = FnSpec {
    name: "cidrhost",
    params: &[PREFIX, param("number", number)],
    result: |_| Type::Str,
    call: cidrhost,
    doc: "The address with this number in the range; from the end where negative.",
    example: (r#"cidrhost("172.20.0.0/20", 268)"#, r#""172.20.1.12""#),
    ..BASE
};

pub(super) static CIDRNETMASK: FnSpec = FnSpec {
    name: "cidrnetmask",
    params: &[PREFIX],
    result: |_| Type::Str,
    call: cidrnetmask,
    doc: "The range's length as an IPv4 net mask.",
    example: (r#"cidrnetmask("172.20.0.0/20")"#, r#""255.255.240.0""#),
    ..BASE
};

pub(super) static CIDRSUBNET: FnSpec = FnSpec {
    name: "cidrsubnet",
    params: &[PREFIX, param("new_bits", number), param("number", number)],
    result: |_| Type::Str,
    call: cidrsubnet,
    doc: "The part with this number, of the range cut into parts whose prefix is longer by the new bits.",
    example: (r#"cidrsubnet("172.16.0.0/12", 4, 2)"#, r#""172.18.0.0/16""#),
    ..BASE
};

pub(super) static CIDRSUBNETS: FnSpec = FnSpec {
    name: "cidrsubnets",
    params: &[PREFIX],
    variadic: Some(param("new_bits", number)),
    result: |_| list_of_strings(),
    call: cidrsubnets,
    doc: "Parts of the range one after the other, each with a prefix longer by its new bits.",
    example: (r#"cidrsubnets("10.1.0.0/16", 4, 4)"#, r#"["10.1.0.0/20","10.1.16.0/20"]"#),
    ..BASE
};

/// An address of either family, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ip {
    /// 32 or 128.
    width: u32,
    bits: u128,
}

/// A range: the bits behind the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    base: Ip,
    length: u32,
}

impl Ip {
    fn parse(text: &str) -> Option<Ip> {
        if text.contains(':') {
            return Some(Ip { width: 128, bits: text.parse::<Ipv6Addr>().ok()?.to_bits() });
        }
        // Leading zeros are decimal, as older configurations have them; the standard parser refuses them.
        let octet = |part: &str| {
            let is_octet = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u32>().ok().filter(|n| is_octet && *n < 256)
        };
        let octets = text.split('.').map(octet).collect::<Option<Vec<u32>>>()?;
        let bits = octets.iter().fold(0, |bits, o| bits << 8 | u128::from(*o));
        (octets.len() == 4).then_some(Ip { width: 32, bits })
    }

    fn show(self) -> String {
        match u32::try_from(self.bits) {
            Ok(bits) if self.width == 32 => Ipv4Addr::from_bits(bits).to_string(),
            _ => Ipv6Addr::from_bits(self.bits).to_string(),
        }
    }
}

/// The lowest `n` bits set, for `n` up to 128.
fn low_bits(n: u32) -> u128 {
    1_u128.checked_shl(n).map_or(u128::MAX, |one| one - 1)
}

impl Range {
    fn parse(args: &[Value], i: usize) -> Result<Range, FnError> {
        let text = text(args, i)?;
        Range::read(text)
            .ok_or_else(|| FnError::of(i, "this is not a range in CIDR notation such as 172.20.0.0/20"))
    }

    fn read(text: &str) -> Option<Range> {
        let (address, length) = text.split_once('/')?;
        let base = Ip::parse(address)?;
        let is_number = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length = length.parse::<u32>().ok().filter(|l| is_number && *l <= base.width)?;
        let bits = base.bits & !low_bits(base.width - length);
        Some(Range { base: Ip { bits, ..base }, length })
    }

    fn last(self) -> u128 {
        self.base.bits | low_bits(self.base.width - self.length)
    }

    fn show(self) -> String {
        format!("{}/{}", self.base.show(), self.length)
    }

    /// The prefix length of parts that are longer by the argument at `i`.
    fn longer(self, args: &[Value], i: usize, at_least: i128) -> Result<u32, FnError> {
        let new_bits = whole(args, i)?;
        if new_bits < at_least {
            return Err(FnError::of(i, format!("at least {at_least} new bits are required")));
        }
        let room = self.base.width - self.length;
        u32::try_from(new_bits)
            .ok()
            .filter(|n| *n <= room)
            .map(|n| self.length + n)
            .ok_or_else(|| FnError::of(i, "the range has fewer bits than that behind its prefix"))
    }
}

fn cidrcontains(args: &[Value]) -> Result<Value, FnError> {
    let range = Range::parse(args, 0)?;
    let inner = text(args, 1)?;
    let (first, last) = match (Ip::parse(inner), Range::read(inner)) {
        (Some(ip), _) => (ip, ip.bits),
        (None, Some(inner)) => (inner.base, inner.last()),
        (None, None) => {
            return Err(FnError::of(
                1,
                format!("`{}` is neither an address nor a range", inner.escape_debug()),
            ));
        }
    };
    if first.width != range.base.width {
        return Err(FnError::of(1, "one is IPv4 and the other IPv6"));
    }
    Ok((range.base.bits <= first.bits && last <= range.last()).into())
}

fn cidrhost(args: &[Value]) -> Result<Value, FnError> {
    let (range, number) = (Range::parse(args, 0)?, whole(args, 1)?);
    let most = low_bits(range.base.width - range.length);
    let offset = match u128::try_from(number) {
        Ok(n) => Some(n).filter(|n| *n <= most),
        Err(_) => most.checked_sub(number.unsigned_abs() - 1),
    };
    let offset = offset.ok_or_else(|| FnError::of(1, "the range has no address of this number"))?;
    Ok(Ip { bits: range.base.bits | offset, ..range.base }.show().into())
}

fn cidrnetmask(args: &[Value]) -> Result<Value, FnError> {
    let range = Range::parse(args, 0)?;
    if range.base.width != 32 {
        return Err(FnError::of(0, "IPv6 has no net masks"));
    }
    Ok(Ip { bits: low_bits(32) & !low_bits(32 - range.length), width: 32 }.show().into())
}

fn cidrsubnet(args: &[Value]) -> Result<Value, FnError> {
    let range = Range::parse(args, 0)?;
    let length = range.longer(args, 1, 0)?;
    let number = whole(args, 2)?;
    let most = low_bits(length - range.length);
    let offset = u128::try_from(number)
        .ok()
        .filter(|n| *n <= most)
        .ok_or_else(|| FnError::of(2, "so few new bits make no part of this number"))?;
    let bits = range.base.bits | offset.checked_shl(range.base.width - length).unwrap_or(0);
    Ok(Range { base: Ip { bits, ..range.base }, length }.show().into())
}

fn cidrsubnets(args: &[Value]) -> Result<Value, FnError> {
    let range = Range::parse(args, 0)?;
    // The first address that is free; `None` when the last one is taken.
    let mut free = Some(range.base.bits);
    let mut parts = Vec::new();
    for i in 1..args.len() {
        let length = range.longer(args, i, 1)?;
        let size = low_bits(range.base.width - length);
        let aligned = free.and_then(|free| Some(free.checked_add(size)? & !size));
        let part = aligned
            .filter(|bits| *bits <= range.last())
            .map(|bits| Range { base: Ip { bits, ..range.base }, length });
        let part = part.ok_or_else(|| FnError::of(i, "the range has no room left for this part"))?;
        free = part.last().checked_add(1);
        parts.push(part.show());
    }
    Ok(made_texts(parts.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::super::arguments::call;
    use super::*;

    #[track_caller]
    fn check(spec: &FnSpec, args: &[&str], expected: &str) {
        let args: Vec<Value> = args.iter().map(|a| Value::from(*a)).collect();
        let got = call(spec, &args);
        match &got {
            Ok(v) => assert_eq!(coxswain_model::json::to_text(v).as_deref(), Ok(expected)),
            Err(e) => assert_eq!(expected, "error", "{e:?}"),
        }
    }

    #[test]
    fn the_whole_space_does_not_overflow() {
        check(&CIDRHOST, &["::/0", "-1"], r#""ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff""#);
        check(&CIDRSUBNET, &["::/0", "128", "1"], r#""::1/128""#);
        check(&CIDRSUBNET, &["0.0.0.0/0", "32", "4294967295"], r#""255.255.255.255/32""#);
        check(&CIDRSUBNETS, &["::/0", "1", "1"], r#"["::/1","8000::/1"]"#);
        check(&CIDRSUBNETS, &["::/0", "1", "1", "1"], "error");
        check(&CIDRHOST, &["255.255.255.255/32", "-2"], "error");
        check(&CIDRNETMASK, &["0.0.0.0/0"], r#""0.0.0.0""#);
        check(&CIDRNETMASK, &["10.0.0.0/32"], r#""255.255.255.255""#);
    }

    #[test]
    fn containment() {
        check(&CIDRCONTAINS, &["10.0.0.0/8", "10.1.0.0/16"], "true");
        check(&CIDRCONTAINS, &["10.1.0.0/16", "10.0.0.0/8"], "false");
        check(&CIDRCONTAINS, &["10.0.0.0/8", "x"], "error");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "256.0.0.0/8",
            "::/129",
            "1.2.3.4.5/8",
        ] {
            check(&CIDRHOST, &[text, "0"], "error");
        }
    }
}
