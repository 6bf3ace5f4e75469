//! Between rules as a configuration says them and the lines that ufw writes.

use coxswain_model::{Value, json};
use serde_json::Value as Json;

use crate::resource::reading::Fields;
use crate::resource::ufw::{self, Family, Keeps, Lines, MARK, Rule};

/// What ufw has written down.
#[derive(Clone)]
pub(in crate::resource) struct Table {
    pub(in crate::resource) rules: Vec<Rule>,
    pub(in crate::resource) keeps: Keeps,
}

impl Table {
    pub(in crate::resource) fn of(fields: &Fields<'_>) -> Result<Table, String> {
        let mut rules = Vec::new();
        for (key, family) in [("rule4", Family::V4), ("rule6", Family::V6)] {
            for line in fields.all(key) {
                rules.push(Rule::parse(family, line)?);
            }
        }
        let keeps = match fields.must("IPV6")?.trim_matches('"') {
            "yes" => Keeps::Both,
            _ => Keeps::V4,
        };
        Ok(Table { rules, keeps })
    }

    /// As the attribute `all` has it.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |r: &Rule| if r.family == Family::V6 { format!("6 {}", r.line()) } else { r.line() };
        self.rules.iter().map(line).collect()
    }

    pub(super) fn from_lines(lines: &[&str], keeps: Keeps) -> Table {
        let rule = |line: &&str| match line.strip_prefix("6 ") {
            Some(line) => Rule::parse(Family::V6, line).ok(),
            None => Rule::parse(Family::V4, line).ok(),
        };
        Table { rules: lines.iter().filter_map(rule).collect(), keeps }
    }
}

/// The lines that the rules of a set are.
pub(in crate::resource) fn wanted(name: &str, rules: &Value, keeps: Keeps) -> Vec<Rule> {
    let rules = json::to_json_clear(rules);
    let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
    rules.iter().flat_map(|rule| lines_of(name, rule, keeps)).collect()
}

pub(super) fn field<'a>(rule: &'a Json, name: &str) -> &'a str {
    let otherwise = match name {
        "action" => "allow",
        "direction" => "in",
        "from" | "from_port" | "to" | "port" | "protocol" | "family" => "any",
        _ => "",
    };
    rule.get(name).and_then(Json::as_str).unwrap_or(otherwise)
}

pub(super) fn lines_of(name: &str, rule: &Json, keeps: Keeps) -> Vec<Rule> {
    let named = |part: &str| ufw::network(part).map(|(address, _)| address.is_ipv4());
    let families = match (named(field(rule, "from")).or(named(field(rule, "to"))), field(rule, "family")) {
        (Some(true), _) | (None, "ipv4") => vec![Family::V4],
        (Some(false), _) | (None, "ipv6") => vec![Family::V6],
        (None, _) if keeps == Keeps::Both => vec![Family::V4, Family::V6],
        (None, _) => vec![Family::V4],
    };
    let way = |word: &str, interface: &str| match interface {
        "" => None,
        interface => Some(format!("{word}_{interface}")),
    };
    let direction = match field(rule, "direction") {
        "route" => {
            let ways = [way("in", field(rule, "interface")), way("out", field(rule, "out_interface"))];
            let ways: Vec<String> = ways.into_iter().flatten().collect();
            if ways.is_empty() { "in".to_owned() } else { ways.join("!") }
        }
        word => way(word, field(rule, "interface")).unwrap_or_else(|| word.to_owned()),
    };
    let comment = match field(rule, "comment") {
        "" => format!("{MARK}{name}"),
        text => format!("{MARK}{name} {text}"),
    };
    let everything = |family: Family, text: &str| match (text, family) {
        ("any", Family::V4) => "0.0.0.0/0".to_owned(),
        ("any", Family::V6) => "::/0".to_owned(),
        (text, _) => text.to_owned(),
    };
    let line = |family: Family| Rule {
        family,
        route: field(rule, "direction") == "route",
        action: field(rule, "action").into(),
        log: field(rule, "log").into(),
        protocol: field(rule, "protocol").into(),
        to_port: field(rule, "port").into(),
        to: everything(family, field(rule, "to")),
        from_port: field(rule, "from_port").into(),
        from: everything(family, field(rule, "from")),
        to_app: None,
        from_app: None,
        direction: direction.clone(),
        comment: Some(comment.clone()),
    };
    families.into_iter().map(line).collect()
}

/// A rule as the configuration would say it, out of its line.
pub(super) fn as_configured(rule: &Rule, lines: Lines) -> Json {
    let (mut interface, mut out_interface) = ("", "");
    for part in rule.direction.split('!') {
        match part.split_once('_') {
            Some(("out", name)) if rule.route => out_interface = name,
            Some((_, name)) => interface = name,
            None => {}
        }
    }
    let direction = match rule.route {
        true => "route",
        false => rule.direction.split('_').next().unwrap_or_default(),
    };
    let named = ufw::network(&rule.from).is_some_and(|(_, l)| l > 0)
        || ufw::network(&rule.to).is_some_and(|(_, l)| l > 0);
    let end = |text: &str| {
        let all = if rule.family == Family::V4 { "0.0.0.0/0" } else { "::/0" };
        if text == all { "any".to_owned() } else { text.to_owned() }
    };
    let family = match rule.family {
        _ if lines == Lines::Both || named => "any",
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let comment = rule
        .comment
        .as_deref()
        .and_then(|c| c.strip_prefix(MARK)?.split_once(' '))
        .map_or("", |(_, text)| text);
    let all = [
        ("action", rule.action.clone()),
        ("direction", direction.to_owned()),
        ("from", end(&rule.from)),
        ("from_port", rule.from_port.clone()),
        ("to", end(&rule.to)),
        ("port", rule.to_port.clone()),
        ("protocol", rule.protocol.clone()),
        ("interface", interface.to_owned()),
        ("out_interface", out_interface.to_owned()),
        ("family", family.to_owned()),
        ("log", rule.log.clone()),
        ("comment", comment.to_owned()),
    ];
    // What nobody needs to say is not said.
    let said = |name: &str, value: String| {
        if field(&Json::Null, name) == value { Json::Null } else { Json::String(value) }
    };
    Json::Object(all.into_iter().map(|(name, value)| (name.to_owned(), said(name, value))).collect())
}

/// What the lines of a set are, as a configuration would say it.
pub(super) fn configured(lines: &[&Rule], keeps: Keeps) -> Vec<Json> {
    let mut rules = Vec::new();
    let mut twins: Vec<&Rule> = lines.iter().copied().filter(|r| r.family == Family::V6).collect();
    for rule in lines.iter().filter(|r| r.family == Family::V4) {
        let twin = rule.twin().and_then(|twin| twins.iter().position(|t| **t == twin));
        if let Some(at) = twin {
            twins.remove(at);
        }
        let alone = rule.twin().filter(|_| keeps == Keeps::V4);
        rules.push(as_configured(rule, Lines::of(twin.map(|_| ()).or(alone.map(|_| ())))));
    }
    rules.extend(twins.into_iter().map(|rule| as_configured(rule, Lines::One)));
    rules
}

/// Whether two lists have the same lines, each family in its order.
pub(super) fn same_lines(a: &[&Rule], b: &[Rule]) -> bool {
    [Family::V4, Family::V6].into_iter().all(|family| {
        let of = |r: &&&Rule| r.family == family;
        a.iter().filter(of).copied().eq(b.iter().filter(|r| r.family == family))
    })
}

/// Whether the set stands before all rules that are not coxswain's.
pub(super) fn is_at_start(table: &Table, name: &str) -> bool {
    [Family::V4, Family::V6].into_iter().all(|family| {
        let of = table.rules.iter().filter(|r| r.family == family);
        !of.skip_while(|r| r.set().is_some()).any(|r| r.set() == Some(name))
    })
}
