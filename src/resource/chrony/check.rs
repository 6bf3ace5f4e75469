//! Arguments that chronyd would not take, and those that are no good to others or to the clock.

use std::net::IpAddr;

use coxswain_model::{Diagnostic, Diagnostics, Object, Value};

use super::sources::fields;
use crate::resource::reading::{flag, given, text, whole};

/// The shortest interval that public servers put up with, as a power of two in seconds: the rules of pool.ntp.org.
const POLITE: i128 = 4;
/// Servers that spread a leap second over a day, and are a second part off all others then.
const SMEARED: [&str; 4] = ["google.com", "time.android.com", "time.aws.com", "time.facebook.com"];
/// Endings of names that nobody outside has.
const LOCAL: [&str; 5] = [".local", ".lan", ".internal", ".home.arpa", ".localdomain"];

fn is_ours(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => !address.contains('.') || LOCAL.iter().any(|end| address.ends_with(end)),
    }
}

fn is_smeared(address: &str) -> bool {
    SMEARED.iter().any(|s| address == *s || address.strip_suffix(s).is_some_and(|rest| rest.ends_with('.')))
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.starts_with(['#', '!', ';', '%']) && word.chars().all(|c| c.is_ascii_graphic())
}

fn check_source(of: &str, source: &Object) -> Diagnostics {
    let wrong = |why: String| Diagnostic::error("bad-chrony", why);
    let mut problems = Vec::new();
    let address = text(source, "address").unwrap_or("its address");
    let more = given(source, "options").and_then(Value::as_items).unwrap_or_default();
    let words = more.iter().filter_map(Value::as_str).chain(text(source, "address"));
    for word in words.filter(|w| !is_word(w)) {
        problems.push(wrong(format!("`{}` in `{of}` is not one word", word.escape_debug())));
    }
    let number = |name| whole(source, name);
    for (name, from, to) in [("minpoll", -6, 24), ("maxpoll", -6, 24), ("maxsources", 1, 16)] {
        if number(name).is_some_and(|n| !(from..=to).contains(&n)) {
            problems.push(wrong(format!("`{name}` of {address} is not between {from} and {to}")));
        }
    }
    if of == "servers" && number("maxsources").is_some() {
        let problem = wrong(format!("`maxsources` means nothing for the single server {address}"));
        problems.push(problem.detail("It belongs to one of the `pools`."));
    }
    if let (Some(min), Some(max)) = (number("minpoll"), number("maxpoll"))
        && min > max
    {
        problems.push(wrong(format!("`minpoll` of {address} is more than its `maxpoll`")));
    }
    let fast = [number("minpoll"), number("maxpoll")].into_iter().flatten().any(|n| n < POLITE);
    if fast && text(source, "address").is_some_and(|a| !is_ours(a)) {
        let summary = format!("{address} is asked more often than every 16 s");
        let problem = Diagnostic::warning("impolite-polling", summary);
        problems.push(problem.detail(
            "Public servers take this for abuse and answer no more. Leave `minpoll` and `maxpoll` out: chrony asks \
             as often as it needs.",
        ));
    }
    problems
}

/// Checks of the arguments.
pub(super) fn check(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    let sources = |name: &str| given(args, name).and_then(Value::as_items).unwrap_or_default();
    let mut addresses = Vec::new();
    for name in ["pools", "servers"] {
        for source in sources(name).iter().filter_map(fields) {
            problems.extend(check_source(name, source));
            addresses.extend(text(source, "address"));
        }
    }
    let (smeared, plain): (Vec<&str>, Vec<&str>) = addresses.iter().partition(|a| is_smeared(a));
    let with_default = flag(args, "default_sources") != Some(false);
    if let Some(one) = smeared.first()
        && (with_default || !plain.is_empty())
    {
        let other = plain.first().copied().unwrap_or("the distribution's own sources");
        let problem = Diagnostic::warning("mixed-leap-seconds", format!("{one} is mixed with {other}"));
        problems.push(problem.detail(
            "One spreads a leap second over a day and the other does not: for that day they are up to half a second \
             apart. Use one sort, and `default_sources = false` with the first.",
        ));
    }
    let are_known = ["pools", "servers"].iter().all(|n| args.get(*n).is_none_or(Value::is_wholly_known));
    if !with_default && are_known && sources("pools").is_empty() && sources("servers").is_empty() {
        let problem = Diagnostic::error("bad-chrony", "the clock would have no source");
        problems.push(problem.detail("Name `pools` or `servers`, or leave `default_sources` on."));
    }
    for name in ["maxupdateskew", "max_offset"] {
        if given(args, name).and_then(Value::as_num).is_some_and(|n| n.to_f64() <= 0.0) {
            problems.push(Diagnostic::error("bad-chrony", format!("`{name}` is not more than 0")));
        }
    }
    for (name, from, to) in [("synchronise_within", 1, 86_400), ("min_sources", 1, 100)] {
        if whole(args, name).is_some_and(|n| !(from..=to).contains(&n)) {
            problems
                .push(Diagnostic::error("bad-chrony", format!("`{name}` is not between {from} and {to}")));
        }
    }
    if flag(args, "synchronised") == Some(false) {
        let problem = Diagnostic::error("bad-chrony", "nobody wants a clock that is not synchronised");
        problems.push(problem.detail("Write `synchronised = true`, or leave it out."));
    }
    problems
}
