//! Which rules ufw would not take, or would write in another way.

use coxswain_model::{Diagnostic, Diagnostics, Object, json};
use serde_json::Value as Json;

use super::lines::{field, lines_of};
use crate::resource::reading::{text, whole};
use crate::resource::ufw::{self, Keeps, Rule};

pub(super) fn check(args: &Object) -> Diagnostics {
    let mut problems = Vec::new();
    let name_fits = |n: &str| {
        !n.is_empty()
            && n.len() <= 32
            && n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    };
    if let Some(name) = text(args, "name").filter(|n| !name_fits(n)) {
        problems.push(
            Diagnostic::error("bad-rule-set", format!("`{}` is not a set's name", name.escape_debug()))
                .detail("It has 1 to 32 small letters, digits, `-` and `_`: it stands in the comments of the rules."),
        );
    }
    if whole(args, "guard").is_some_and(|g| !(10..=600).contains(&g)) {
        problems.push(Diagnostic::error("bad-guard", "`guard` is not between 10 and 600 seconds"));
    }
    let Some(rules) = args.get("rules").filter(|r| r.is_wholly_known()) else { return problems };
    let name = text(args, "name").unwrap_or_default();
    let all = json::to_json_clear(rules);
    let mut seen: Vec<(usize, Rule)> = Vec::new();
    for (at, rule) in all.as_array().into_iter().flatten().enumerate() {
        let mut wrong = |why: String| {
            problems
                .push(Diagnostic::error("bad-firewall-rule", format!("rule {} of `{name}`: {why}", at + 1)));
        };
        for why in check_rule(rule) {
            wrong(why);
        }
        for line in lines_of(name, rule, Keeps::Both) {
            match seen.iter().find(|(_, other)| other.same_as(&line)) {
                Some((first, _)) if *first != at => {
                    wrong(format!("it matches what rule {} matches, and would take its place", first + 1));
                    break;
                }
                _ => seen.push((at, line)),
            }
        }
    }
    problems
}

fn check_rule(rule: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    for end in ["from", "to"] {
        let text = field(rule, end);
        match ufw::normal(text) {
            _ if text == "any" => {}
            None => wrong.push(format!("`{end} = \"{text}\"` is neither `any` nor an address or network")),
            Some(normal) if normal != text => {
                wrong.push(format!("`{end} = \"{text}\"` is a network; write `{normal}`"));
            }
            Some(_) if text.ends_with("/0") => {
                wrong.push(format!(
                    "`{end} = \"{text}\"` is everything; write `any`, with `family` for one of both"
                ));
            }
            Some(_) => {}
        }
    }
    let family = |end| ufw::network(field(rule, end)).map(|(a, _)| a.is_ipv4());
    if let (Some(from), Some(to)) = (family("from"), family("to"))
        && from != to
    {
        wrong.push("`from` and `to` are of different families".into());
    }
    if family("from").or(family("to")).is_some() && field(rule, "family") != "any" {
        wrong.push("`family` is said by its addresses".into());
    }
    for port in ["port", "from_port"] {
        wrong.extend(check_port(port, field(rule, port), field(rule, "protocol")));
    }
    let is_route = field(rule, "direction") == "route";
    if !is_route && !field(rule, "out_interface").is_empty() {
        wrong.push("`out_interface` is for what is routed; here it is `interface`".into());
    }
    for name in ["interface", "out_interface"] {
        let text = field(rule, name);
        // linux/if.h: IFNAMSIZ; `+` at the end stands for any ending.
        let fits = text.len() <= 15
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:+@".contains(c))
            && !text.contains('!');
        if !fits {
            wrong.push(format!("`{name} = \"{}\"` is not an interface's name", text.escape_debug()));
        }
    }
    if field(rule, "comment").contains(['\'', '\n', '\0']) {
        wrong.push("its comment has an apostrophe or a line break, which ufw refuses".into());
    }
    wrong
}

fn check_port(name: &str, text: &str, protocol: &str) -> Option<String> {
    if text == "any" {
        return None;
    }
    let number = |t: &str| t.parse::<u16>().ok().filter(|n| *n > 0 && n.to_string() == t);
    let part = |t: &str| match t.split_once(':') {
        Some((from, to)) => matches!((number(from), number(to)), (Some(from), Some(to)) if from < to),
        None => number(t).is_some(),
    };
    if !text.split(',').all(part) {
        return Some(format!(
            "`{name} = \"{}\"` is not `22`, `80,443`, `30000:32767` or `any`",
            text.escape_debug()
        ));
    }
    // ufw(8): "RULE SYNTAX".
    if text.contains([',', ':']) && !matches!(protocol, "tcp" | "udp") {
        return Some(format!("`{name} = \"{text}\"` is several ports: they need `protocol` tcp or udp"));
    }
    if text.split([',', ':']).count() > 15 {
        return Some(format!("`{name}` has more than 15 ports"));
    }
    None
}
