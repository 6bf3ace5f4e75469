//! `firewall_rules`: a named set of a host's firewall rules. Any module may add one; each has what it needs.
//!
//! Rules carry the name of their set in their comment, so that the host itself tells whose they are. What is wanted
//! and what is there are compared as the lines ufw would write, and changed by the fewest commands.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Address, Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::act::Act;
use super::kind::{
    Action, Answers, Change, Facts, HostKind, HostView, KindError, Observation, PlanCx, Step, Verb,
};
use super::lockout;
use super::program::{Program, program};
use super::reading::{before, desired, flag, required, said_fields, taken_over, text, verb, whole};
use super::ufw::{self, Family, MARK, Rule};

/// The kind.
pub struct FirewallRules;

/// Runs ufw, whose exit code is not enough.
pub(super) const UFW: Program = program!("ufw", "ufw");
/// Before and after a change of what ufw has written down.
pub(super) const SAVE: Program = program!("ufw-save", "keep the firewall's files");
pub(super) const RESTORE: Program = program!("ufw-restore", "put the firewall's files back");
/// Seconds after which a change that no new connection confirms is taken back.
pub(super) const GUARD: &str = "60";

const RULE: &[Attr] = &[
    Attr::new(
        "action",
        AttrType::OneOf(&["allow", "deny", "reject", "limit"]),
        Class::Owned,
        "What is done; `limit` denies who connects six times in 30 s.",
    )
    .default("\"allow\""),
    Attr::new(
        "direction",
        AttrType::OneOf(&["in", "out", "route"]),
        Class::Owned,
        "Whether it comes in, goes out, or passes through.",
    )
    .default("\"in\""),
    Attr::new("from", AttrType::Str, Class::Owned, "Address or network it comes from, or `any`.")
        .default("\"any\""),
    Attr::new("from_port", AttrType::Str, Class::Owned, "Port it comes from, or `any`.").default("\"any\""),
    Attr::new("to", AttrType::Str, Class::Owned, "Address or network it goes to, or `any`.")
        .default("\"any\""),
    Attr::new(
        "port",
        AttrType::Str,
        Class::Owned,
        "Port it goes to: `22`, `30000:32767`, `80,443` or `any`.",
    )
    .default("\"any\""),
    Attr::new(
        "protocol",
        AttrType::OneOf(&["any", "tcp", "udp", "ah", "esp", "gre", "ipv6", "igmp"]),
        Class::Owned,
        "Its protocol.",
    )
    .default("\"any\""),
    Attr::new(
        "interface",
        AttrType::Str,
        Class::Owned,
        "The interface by which it comes in or goes out; of what is routed, comes in.",
    )
    .default("\"\""),
    Attr::new(
        "out_interface",
        AttrType::Str,
        Class::Owned,
        "Of what is routed: the interface by which it goes out.",
    )
    .default("\"\""),
    Attr::new(
        "family",
        AttrType::OneOf(&["any", "ipv4", "ipv6"]),
        Class::Owned,
        "Of a rule without addresses: for which family it is.",
    )
    .default("\"any\""),
    Attr::new(
        "log",
        AttrType::OneOf(&["", "log", "log-all"]),
        Class::Owned,
        "Whether new connections (`log`) or all packets (`log-all`) are logged.",
    )
    .default("\"\""),
    Attr::new("comment", AttrType::Str, Class::Owned, "A word on why, which `ufw status` shows.")
        .default("\"\""),
];

static SCHEMA: Schema = Schema {
    kind: "firewall_rules",
    version: 1,
    summary: "A set of rules of a host's firewall (ufw).",
    doc: "Owns the rules of one set, in their order; rules of others stay. Each rule's comment begins with \
          `coxswain:` and the set's name. A rule that was there before is taken over and given back by destroy. \
          Every change is made so that the host takes it back by itself unless a new connection works afterwards, \
          and no plan is made that would keep the management connection out. Whether the firewall is on is said by \
          `firewall`; rules may be there before.",
    example: r#"firewall_rules "nfs" {
  host = host.nfs
  name = "nfs"
  rules = [
    { from = "172.20.0.0/20", port = 2049, protocol = "tcp", comment = "file system of the nodes" },
  ]
}
"#,
    attributes: &[
        Attr::new("name", AttrType::Str, Class::Identity, "The set's name on its host: small letters, digits, `-` and `_`.")
            .implies(&[Implies::WantsNamed(Thing::Package, "ufw"), Implies::ProvidesPart(Thing::Rules, "")]),
        Attr::new("rules", AttrType::List(&AttrType::Object { fields: RULE, scalar: None }), Class::Owned, "The rules; of those that fit a packet the first counts.")
            .required()
            .asked(),
        Attr::new("place", AttrType::OneOf(&["start", "end"]), Class::Owned, "`start` puts the set before all rules that are not coxswain's; `end` after those that are there.")
            .default("\"end\"")
            .asked(),
        Attr::new("guard", AttrType::Num, Class::Setting, "Seconds after which the host takes a change back unless a new connection works, 10 to 600.")
            .default(GUARD),
        Attr::new("displaced", AttrType::List(&AttrType::Str), Class::Fact, "Rules with the same match that are not in the set, as ufw writes them.")
            .restores(),
        Attr::new("all", AttrType::List(&AttrType::Str), Class::Fact, "All rules of the host, as ufw writes them, those for IPv6 after a `6 `.")
            .volatile(),
        Attr::new("ipv6", AttrType::Bool, Class::Fact, "Whether ufw keeps rules for IPv6.").volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: false,
    mutex: Some("ufw"),
    documented: true,
};

/// What ufw has written down.
pub(super) struct Table {
    pub(super) rules: Vec<Rule>,
    pub(super) ipv6: bool,
}

impl Table {
    pub(super) fn of(fields: &super::reading::Fields<'_>) -> Result<Table, String> {
        let mut rules = Vec::new();
        for (key, family) in [("rule4", Family::V4), ("rule6", Family::V6)] {
            for line in fields.all(key) {
                rules.push(Rule::parse(family, line)?);
            }
        }
        Ok(Table { rules, ipv6: fields.must("IPV6")?.trim_matches('"') == "yes" })
    }

    /// As the attribute `all` has it.
    fn lines(&self) -> Vec<String> {
        let line = |r: &Rule| if r.family == Family::V6 { format!("6 {}", r.line()) } else { r.line() };
        self.rules.iter().map(line).collect()
    }

    fn from_lines(lines: &[&str], ipv6: bool) -> Table {
        let rule = |line: &&str| match line.strip_prefix("6 ") {
            Some(line) => Rule::parse(Family::V6, line).ok(),
            None => Rule::parse(Family::V4, line).ok(),
        };
        Table { rules: lines.iter().filter_map(rule).collect(), ipv6 }
    }
}

/// The lines that the rules of a set are.
pub(super) fn wanted(name: &str, rules: &Value, ipv6: bool) -> Vec<Rule> {
    let rules = json::to_json_clear(rules);
    let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
    rules.iter().flat_map(|rule| lines_of(name, rule, ipv6)).collect()
}

fn field<'a>(rule: &'a Json, name: &str) -> &'a str {
    let otherwise = match name {
        "action" => "allow",
        "direction" => "in",
        "from" | "from_port" | "to" | "port" | "protocol" | "family" => "any",
        _ => "",
    };
    rule.get(name).and_then(Json::as_str).unwrap_or(otherwise)
}

fn lines_of(name: &str, rule: &Json, ipv6: bool) -> Vec<Rule> {
    let named = |part: &str| ufw::network(part).map(|(address, _)| address.is_ipv4());
    let families = match (named(field(rule, "from")).or(named(field(rule, "to"))), field(rule, "family")) {
        (Some(true), _) | (None, "ipv4") => vec![Family::V4],
        (Some(false), _) | (None, "ipv6") => vec![Family::V6],
        (None, _) if ipv6 => vec![Family::V4, Family::V6],
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
fn as_configured(rule: &Rule, both: bool) -> Json {
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
        _ if both || named => "any",
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let comment = rule
        .comment
        .as_deref()
        .and_then(|c| c.strip_prefix(MARK)?.split_once(' '))
        .map_or("", |(_, text)| text);
    json!({
        "action": rule.action, "direction": direction, "from": end(&rule.from), "from_port": rule.from_port,
        "to": end(&rule.to), "port": rule.to_port, "protocol": rule.protocol, "interface": interface,
        "out_interface": out_interface, "family": family, "log": rule.log, "comment": comment,
    })
}

/// What the lines of a set are, as a configuration would say it.
fn configured(lines: &[&Rule], ipv6: bool) -> Vec<Json> {
    let mut rules = Vec::new();
    let mut twins: Vec<&Rule> = lines.iter().copied().filter(|r| r.family == Family::V6).collect();
    for rule in lines.iter().filter(|r| r.family == Family::V4) {
        let twin = rule.twin().and_then(|twin| twins.iter().position(|t| **t == twin));
        if let Some(at) = twin {
            twins.remove(at);
        }
        rules.push(as_configured(rule, twin.is_some() || (!ipv6 && rule.twin().is_some())));
    }
    rules.extend(twins.into_iter().map(|rule| as_configured(rule, false)));
    rules
}

/// Whether two lists have the same lines, each family in its order.
fn same_lines(a: &[&Rule], b: &[Rule]) -> bool {
    [Family::V4, Family::V6].into_iter().all(|family| {
        let of = |r: &&&Rule| r.family == family;
        a.iter().filter(of).copied().eq(b.iter().filter(|r| r.family == family))
    })
}

/// Whether the set stands before all rules that are not coxswain's.
fn is_at_start(table: &Table, name: &str) -> bool {
    [Family::V4, Family::V6].into_iter().all(|family| {
        let of = table.rules.iter().filter(|r| r.family == family);
        !of.skip_while(|r| r.set().is_some()).any(|r| r.set() == Some(name))
    })
}

impl HostKind for FirewallRules {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        check(args)
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let Some(name) = text(asked, "name") else {
            return Observation::Unknown("its name is not known".into());
        };
        said_fields(answers, lockout::probe(), |fields| {
            if !fields.is("ufw")? {
                return Ok(None);
            }
            let table = Table::of(fields)?;
            let ours: Vec<&Rule> = table.rules.iter().filter(|r| r.set() == Some(name)).collect();
            let asked_rules = asked.get("rules").filter(|r| r.is_wholly_known());
            let lines = asked_rules.map(|r| wanted(name, r, table.ipv6)).unwrap_or_default();
            let is_displaced = |r: &&Rule| r.set() != Some(name) && lines.iter().any(|l| l.same_as(r));
            let displaced: Vec<&Rule> = table.rules.iter().filter(is_displaced).collect();
            if ours.is_empty() && displaced.is_empty() && !lines.is_empty() {
                return Ok(None);
            }
            let rules = match asked_rules {
                Some(rules) if same_lines(&ours, &lines) => rules.clone(),
                _ => json::from_json(&Json::Array(configured(&ours, table.ipv6))),
            };
            let starts = text(asked, "place") != Some("end") && is_at_start(&table, name);
            let shown = |r: &&Rule| if r.family == Family::V6 { format!("6 {}", r.line()) } else { r.line() };
            let displaced: Vec<String> = displaced.iter().map(shown).collect();
            let mut object = Object::from([
                ("name".into(), Value::from(name)),
                ("place".into(), Value::from(if starts { "start" } else { "end" })),
                ("displaced".into(), json::from_json(&json!(displaced))),
                ("all".into(), json::from_json(&json!(table.lines()))),
                ("ipv6".into(), Value::from(table.ipv6)),
            ]);
            object.insert("rules".into(), rules);
            Ok(Some(object))
        })
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let name = text(&change.identity, "name").unwrap_or_default();
        let guard = guard_of(change);
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete if change.observed.is_none() => {
                vec![Step::new("remove", Verb::Delete, format!("the firewall has no rules of {name}"))]
            }
            Action::Delete => {
                vec![
                    Step::new("remove", Verb::Delete, format!("remove the firewall's rules of {name}"))
                        .guarded(guard),
                ]
            }
            _ if change.differing.is_empty() => {
                taken_over(change, &format!("the firewall's rules of {name}"))
            }
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                let title = format!("set the firewall's rules of {name}");
                vec![Step::new("apply", verb(change), title).guarded(guard)]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let name = required(&change.identity, "name")?;
        let commands = match step.verb {
            Verb::Delete => removal(change, name),
            _ => edits(change, name, desired(change)?),
        };
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut acts = vec![SAVE.act([token(change)])];
        acts.extend(commands.into_iter().map(|words| UFW.act(words)));
        Ok(acts)
    }

    fn revert(&self, change: &Change, _step: &Step) -> Vec<Act> {
        vec![RESTORE.act([token(change)])]
    }

    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        lockout::judge(host, "firewall_rules")
    }
}

/// Names a change by what was there and what is wanted: what another change has kept is not put back for this one.
pub(super) fn token(change: &Change) -> String {
    let shown = |object: Option<&Object>| {
        object.map(|o| o.iter().map(|(k, v)| (k.to_string(), json::to_json(v))).collect::<Vec<_>>())
    };
    let named =
        (shown(Some(&change.identity)), shown(change.observed.as_ref()), shown(change.desired.as_ref()));
    hex::encode(Sha256::digest(json!(named).to_string()))
}

/// Seconds until a change is taken back.
pub(super) fn guard_of(change: &Change) -> u64 {
    let args = change.desired.as_ref().unwrap_or(&change.prior);
    let given = whole(args, "guard").and_then(|n| u64::try_from(n).ok());
    given.unwrap_or_else(|| GUARD.parse().unwrap_or(60))
}

/// The table as it was just now; empty where ufw came after that.
fn table(change: &Change) -> Table {
    let none = Object::new();
    let seen = change.observed.as_ref().unwrap_or(&none);
    let lines = seen.get("all").and_then(Value::as_items).unwrap_or_default();
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    Table::from_lines(&lines, flag(seen, "ipv6") != Some(false))
}

/// What makes ufw add or delete these lines, twins in one.
fn commands(verb: &str, lines: &[Rule]) -> Vec<Vec<String>> {
    let mut left: Vec<&Rule> = lines.iter().collect();
    let mut commands = Vec::new();
    while !left.is_empty() {
        let rule = left.remove(0);
        let twin = rule.twin().and_then(|twin| left.iter().position(|r| **r == twin));
        if let Some(at) = twin {
            left.remove(at);
        }
        commands.push(rule.words(verb, twin.is_some()));
    }
    commands
}

/// What makes the set as it is wanted: rules that are not wanted, or not in their order, go, and what is then
/// missing follows. What is in its place is not touched.
fn edits(change: &Change, name: &str, wanted_is: &Object) -> Vec<Vec<String>> {
    let table = table(change);
    let Some(rules) = wanted_is.get("rules") else { return Vec::new() };
    let lines = wanted(name, rules, table.ipv6);
    let at_start = text(wanted_is, "place") == Some("start");
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for family in [Family::V4, Family::V6] {
        let ours: Vec<&Rule> =
            table.rules.iter().filter(|r| r.family == family && r.set() == Some(name)).collect();
        let lines: Vec<&Rule> = lines.iter().filter(|r| r.family == family).collect();
        let kept = match at_start && !is_at_start(&table, name) {
            true => 0,
            false if at_start => {
                ours.iter().rev().zip(lines.iter().rev()).take_while(|(a, b)| a == b).count()
            }
            false => ours.iter().zip(&lines).take_while(|(a, b)| a == b).count(),
        };
        let (ours_left, lines_left) = match at_start {
            true => (&ours[..ours.len() - kept], &lines[..lines.len() - kept]),
            false => (&ours[kept..], &lines[kept..]),
        };
        gone.extend(ours_left.iter().map(|r| (*r).clone()));
        new.extend(lines_left.iter().map(|r| (*r).clone()));
    }
    // Added over another's rule it would stand where that one does.
    let others = table.rules.iter().filter(|r| r.set() != Some(name) && new.iter().any(|l| l.same_as(r)));
    gone.extend(others.cloned());
    if at_start {
        new.reverse();
    }
    let mut all = commands("delete", &gone);
    all.extend(commands(if at_start { "prepend" } else { "" }, &new));
    all
}

/// What removes the set and puts back the rules that it had taken the place of.
fn removal(change: &Change, name: &str) -> Vec<Vec<String>> {
    let table = table(change);
    let ours: Vec<Rule> = table.rules.iter().filter(|r| r.set() == Some(name)).cloned().collect();
    let displaced =
        before(change).and_then(|b| b.get("displaced")).and_then(Value::as_items).unwrap_or_default();
    let displaced: Vec<&str> = displaced.iter().filter_map(Value::as_str).collect();
    let mut all = commands("delete", &ours);
    all.extend(commands("", &Table::from_lines(&displaced, table.ipv6).rules));
    all
}

fn check(args: &Object) -> Diagnostics {
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
        for line in lines_of(name, rule, true) {
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
