//! `firewall`: whether a host's firewall (ufw) is on, what it does where no rule says anything, and who may have
//! rules in it.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Address, Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::json;

use super::act::Act;
use super::firewall_rules::{GUARD, RESTORE, SAVE, Table, UFW, guard_of};
use super::host_kind::HostKind;
use super::kind::{
    Action, Answers, Change, Discovery, Facts, HostView, KindError, Observation, PlanCx, Step, StepClass,
    Verb,
};
use super::lockout;
use super::program::program;
use super::reading::{
    Fields, desired, differs, flag, given, listed, said_fields, taken_over, text, verb, whole, words,
};
use super::ufw::{Family, Keeps, Lines, Rule};

/// The kind.
pub struct Firewall;

const POLICIES: AttrType = AttrType::OneOf(&["allow", "deny", "reject"]);

static SCHEMA: Schema = Schema {
    kind: "firewall",
    version: 1,
    summary: "A host's firewall (ufw): on or off, and what happens where no rule says anything.",
    doc: "Owns what is given. The rules are those of `firewall_rules`; they are in place before the firewall is \
          switched on. No plan is made that would keep the management connection out, and a change is taken back by \
          the host itself unless a new connection works afterwards. With `exclusive` rules of others are removed, \
          but for those that MicroK8s makes at each start; destroy adds them again. Destroy gives back what was set \
          before, and leaves rules that others have made since.",
    example: r#"firewall "nfs" {
  host     = host.nfs
  incoming = "deny"
}
"#,
    attributes: &[
        Attr::new("enabled", AttrType::Bool, Class::Owned, "Whether it is on, now and at every boot.")
            .default("true")
            .restores()
            .implies(&[
                Implies::WantsNamed(Thing::Package, "ufw"),
                Implies::WantsNamed(Thing::Rules, ""),
                Implies::WantsNamed(Thing::Rules, "sshd"),
            ]),
        Attr::new("incoming", POLICIES, Class::Owned, "What is done with what comes in.")
            .default("\"deny\"")
            .restores(),
        Attr::new("outgoing", POLICIES, Class::Owned, "What is done with what goes out.")
            .default("\"allow\"")
            .restores(),
        Attr::new(
            "routed",
            POLICIES,
            Class::Owned,
            "What is done with what passes through, as the traffic of pods does.",
        )
        .restores(),
        Attr::new("ipv6", AttrType::Bool, Class::Owned, "Whether it has rules for IPv6.").restores(),
        Attr::new(
            "logging",
            AttrType::OneOf(&["off", "low", "medium", "high", "full"]),
            Class::Owned,
            "How much is logged.",
        )
        .restores(),
        Attr::new(
            "exclusive",
            AttrType::Bool,
            Class::Owned,
            "Whether rules that are not in a set of `firewall_rules` are removed.",
        )
        .default("false")
        .asked(),
        Attr::new(
            "tolerate",
            AttrType::List(&AttrType::Str),
            Class::Setting,
            "With `exclusive`: interfaces whose rules stay. MicroK8s adds such rules at each start.",
        )
        .default(r#"["vxlan.calico", "cali+"]"#)
        .asked(),
        Attr::new(
            "guard",
            AttrType::Num,
            Class::Setting,
            "Seconds after which the host takes a change back unless a new connection works, 10 to 600.",
        )
        .default(GUARD),
        Attr::new(
            "i_have_console_access",
            AttrType::Bool,
            Class::Setting,
            "Whether a plan may keep the management connection out.",
        )
        .default("false"),
        Attr::new(
            "foreign",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "Rules that are in no set, as ufw writes them.",
        )
        .restores()
        .volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Service,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: true,
    mutex: Some("ufw"),
    documented: true,
};

/// A policy of ufw's file as people say it.
pub(super) fn policy(word: &str) -> &'static str {
    match word.trim_matches('"') {
        "ACCEPT" => "allow",
        "REJECT" => "reject",
        _ => "deny",
    }
}

fn strict_policy(fields: &Fields<'_>, key: &str) -> Result<Value, String> {
    match fields.must(key)?.trim_matches('"') {
        word @ ("ACCEPT" | "DROP" | "REJECT") => Ok(Value::from(policy(word))),
        other => Err(super::reading::not_understood(&format!("{key}={other}"))),
    }
}

/// The interface a rule is for, and nothing else: what MicroK8s adds.
fn tolerated(rule: &Rule, interfaces: &[String]) -> bool {
    let plain = rule.to_port == "any" && rule.action == "allow" && rule.twin().is_some();
    plain
        && rule
            .direction
            .split('!')
            .all(|part| part.split_once('_').is_some_and(|(_, i)| interfaces.iter().any(|t| t == i)))
}

/// Whether a rule is in no set and not one of those that are let be.
pub(super) fn is_foreign(rule: &Rule, asked: &Object) -> bool {
    let tolerate: Vec<String> = words(asked, "tolerate").unwrap_or_default().into_iter().collect();
    rule.set().is_none() && !tolerated(rule, &tolerate)
}

fn foreign(table: &Table, asked: &Object) -> Vec<Rule> {
    table.rules.iter().filter(|r| is_foreign(r, asked)).cloned().collect()
}

fn line(rule: &Rule) -> String {
    if rule.family == Family::V6 { format!("6 {}", rule.line()) } else { rule.line() }
}

impl HostKind for Firewall {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let far = whole(args, "guard").is_some_and(|g| !(10..=600).contains(&g));
        far.then(|| Diagnostic::error("bad-guard", "`guard` is not between 10 and 600 seconds"))
            .into_iter()
            .collect()
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        said_fields(answers, lockout::probe(), |fields| {
            if !fields.is("ufw")? {
                return Ok(None);
            }
            let table = Table::of(fields)?;
            let written = fields.must("ENABLED")? == "yes";
            let has_rules = table
                .rules
                .iter()
                .any(|r| r.family == Family::V4 && !r.route && r.direction.starts_with("in"));
            let is_loaded = fields.is("kernel")? && (!has_rules || fields.is("kernel_rules")?);
            let foreign = foreign(&table, asked);
            let exclusive = flag(asked, "exclusive") == Some(true) && foreign.is_empty();
            let foreign: Vec<String> = foreign.iter().map(line).collect();
            Ok(Some(Object::from([
                ("enabled".into(), Value::from(written && is_loaded)),
                ("incoming".into(), strict_policy(fields, "DEFAULT_INPUT_POLICY")?),
                ("outgoing".into(), strict_policy(fields, "DEFAULT_OUTPUT_POLICY")?),
                ("routed".into(), strict_policy(fields, "DEFAULT_FORWARD_POLICY")?),
                ("ipv6".into(), Value::from(table.keeps == Keeps::Both)),
                ("logging".into(), Value::from(fields.get("LOGLEVEL").unwrap_or("low"))),
                ("exclusive".into(), Value::from(exclusive)),
                ("foreign".into(), json::from_json(&json!(foreign))),
            ])))
        })
    }

    fn discover(&self, _facts: &Facts, _answers: &Answers) -> Discovery {
        Discovery::Found(vec![Object::new()])
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let guard = guard_of(change);
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => {
                let doings = give_back(change);
                vec![step("remove", Verb::Delete, &doings, guard)]
            }
            _ if change.differing.is_empty() => taken_over(change, "the firewall"),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {
                vec![step("apply", verb(change), &make(change), guard)]
            }
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let doings = match step.verb {
            Verb::Delete => give_back(change),
            _ => {
                desired(change)?;
                make(change)
            }
        };
        if doings.is_empty() {
            return Ok(Vec::new());
        }
        // What only opens it has no guard.
        let mut acts: Vec<Act> = step.guard_s.iter().map(|_| SAVE.act::<&str>([])).collect();
        acts.extend(doings.iter().flat_map(Doing::acts));
        Ok(acts)
    }

    fn revert(&self, _change: &Change, _step: &Step) -> Vec<Act> {
        vec![RESTORE.act::<&str>([])]
    }

    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        lockout::judge(host, "firewall")
    }
}

/// One change of the firewall.
enum Doing {
    /// `incoming`, `outgoing` or `routed`, and the policy.
    Default(&'static str, String),
    Ipv6(bool),
    Logging(String),
    /// Rules of others go.
    Alone(Vec<Rule>),
    /// Rules of others come back.
    Back(Vec<Rule>),
    Switch(bool),
}

impl Doing {
    fn title(&self) -> String {
        match self {
            Doing::Default(what, policy) => format!("{policy} what is {what}"),
            Doing::Ipv6(true) => "take rules for IPv6".into(),
            Doing::Ipv6(false) => "take no rules for IPv6".into(),
            Doing::Logging(level) => format!("log `{level}`"),
            Doing::Alone(rules) => format!("remove {} rules of others", rules.len()),
            Doing::Back(rules) => format!("add {} rules of others again", rules.len()),
            Doing::Switch(true) => "switch it on".into(),
            Doing::Switch(false) => "switch it off".into(),
        }
    }

    fn acts(&self) -> Vec<Act> {
        match self {
            Doing::Default(what, policy) => vec![UFW.act(["default", policy, what])],
            Doing::Ipv6(on) => {
                vec![program!("ufw-ipv6", "set IPV6 in /etc/default/ufw").act([if *on {
                    "yes"
                } else {
                    "no"
                }])]
            }
            Doing::Logging(level) => vec![UFW.act(["logging", level])],
            Doing::Alone(rules) => rules.iter().map(|r| UFW.act(r.words("delete", Lines::One))).collect(),
            Doing::Back(rules) => rules.iter().map(|r| UFW.act(r.words("", Lines::One))).collect(),
            Doing::Switch(true) => vec![program!("ufw-load", "ufw enable").act::<&str>([])],
            Doing::Switch(false) => vec![UFW.act(["disable"])],
        }
    }
}

fn step(name: &str, verb: Verb, doings: &[Doing], guard: u64) -> Step {
    let titles: Vec<String> = doings.iter().map(Doing::title).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    if doings.is_empty() {
        return Step::new(name, verb, "leave the firewall as it is");
    }
    let step = Step::new(name, verb, format!("firewall: {}", listed(&titles)));
    // What only opens it needs no guard.
    let opens = doings.iter().all(|d| matches!(d, Doing::Switch(false) | Doing::Logging(_)));
    if opens { step.class(StepClass::InPlace) } else { step.guarded(guard) }
}

fn make(change: &Change) -> Vec<Doing> {
    let none = Object::new();
    let wanted = change.desired.as_ref().unwrap_or(&none);
    let mut doings = settings(wanted, |name| differs(change, name));
    if differs(change, "exclusive") && flag(wanted, "exclusive") == Some(true) {
        let rules = foreign_of(change.observed.as_ref());
        doings.extend((!rules.is_empty()).then_some(Doing::Alone(rules)));
    }
    doings.extend(flag(wanted, "enabled").filter(|_| differs(change, "enabled")).map(Doing::Switch));
    doings
}

/// Policies before the switch: it is never on with another policy than the one that was judged.
fn settings(to: &Object, is_due: impl Fn(&str) -> bool) -> Vec<Doing> {
    let mut doings = Vec::new();
    for what in ["incoming", "outgoing", "routed"] {
        let policy = text(to, what).filter(|_| is_due(what));
        doings.extend(policy.map(|policy| Doing::Default(what, policy.to_owned())));
    }
    doings.extend(flag(to, "ipv6").filter(|_| is_due("ipv6")).map(Doing::Ipv6));
    doings.extend(text(to, "logging").filter(|_| is_due("logging")).map(|l| Doing::Logging(l.to_owned())));
    doings
}

fn foreign_of(object: Option<&Object>) -> Vec<Rule> {
    let lines = object.and_then(|o| o.get("foreign")).and_then(Value::as_items).unwrap_or_default();
    let rule = |line: &str| match line.strip_prefix("6 ") {
        Some(line) => Rule::parse(Family::V6, line).ok(),
        None => Rule::parse(Family::V4, line).ok(),
    };
    lines.iter().filter_map(Value::as_str).filter_map(rule).collect()
}

/// What destroy does: what was owned goes back to what it was; a firewall that was not there before is switched off.
fn give_back(change: &Change) -> Vec<Doing> {
    let off = Object::from([("enabled".into(), Value::from(false))]);
    let none = Object::new();
    let now = change.observed.as_ref().unwrap_or(&none);
    let old = match &change.before {
        Some(Some(old)) => old,
        Some(None) => &off,
        None => &none,
    };
    let is_due = |name: &str| given(&change.prior, name).is_some() && old.get(name) != now.get(name);
    let mut doings = Vec::new();
    let switch = flag(old, "enabled").filter(|_| is_due("enabled"));
    // Off first, on last: in between nothing is judged.
    doings.extend(switch.filter(|on| !on).map(Doing::Switch));
    doings.extend(settings(old, is_due));
    if flag(&change.prior, "exclusive") == Some(true) {
        let here = foreign_of(Some(now));
        let gone: Vec<Rule> = foreign_of(Some(old)).into_iter().filter(|r| !here.contains(r)).collect();
        doings.extend((!gone.is_empty()).then_some(Doing::Back(gone)));
    }
    doings.extend(switch.filter(|on| *on).map(Doing::Switch));
    doings
}
