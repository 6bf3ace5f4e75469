//! `firewall_rules`: a named set of a host's firewall rules. Any module may add one; each has what it needs.
//!
//! Rules carry the name of their set in their comment, so that the host itself tells whose they are. What is wanted
//! and what is there are compared as the lines ufw would write, and changed by the fewest commands.

use coxswain_model::schema::{AttrType, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Address, Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::{Value as Json, json};

use super::act::Act;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, HostView, KindError, Observation, PlanCx, Step, Verb};
use super::lockout;
use super::program::{Program, program};
use super::reading::{before, desired, flag, required, said_fields, taken_over, text, verb, whole};
use super::ufw::{Family, Keeps, Lines, Rule};

mod check;
mod lines;

pub(super) use lines::{Table, wanted};

use check::check;
use lines::{configured, is_at_start, same_lines};

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
        "What is done; `allow` where nothing is said; `limit` denies who connects six times in 30 s.",
    ),
    Attr::new(
        "direction",
        AttrType::OneOf(&["in", "out", "route"]),
        Class::Owned,
        "Whether it comes in, goes out, or passes through; `in` where nothing is said.",
    ),
    Attr::new(
        "from",
        AttrType::Str,
        Class::Owned,
        "Address or network it comes from; any where nothing is said.",
    ),
    Attr::new("from_port", AttrType::Str, Class::Owned, "Port it comes from; any where nothing is said."),
    Attr::new("to", AttrType::Str, Class::Owned, "Address or network it goes to; any where nothing is said."),
    Attr::new(
        "port",
        AttrType::Str,
        Class::Owned,
        "Port it goes to: `22`, `30000:32767` or `80,443`; any where nothing is said.",
    ),
    Attr::new(
        "protocol",
        AttrType::OneOf(&["any", "tcp", "udp", "ah", "esp", "gre", "ipv6", "igmp"]),
        Class::Owned,
        "Its protocol; any where nothing is said.",
    ),
    Attr::new(
        "interface",
        AttrType::Str,
        Class::Owned,
        "The interface by which it comes in or goes out; of what is routed, comes in.",
    ),
    Attr::new(
        "out_interface",
        AttrType::Str,
        Class::Owned,
        "Of what is routed: the interface by which it goes out.",
    ),
    Attr::new(
        "family",
        AttrType::OneOf(&["any", "ipv4", "ipv6"]),
        Class::Owned,
        "Of a rule without addresses: for which family it is; both where nothing is said.",
    ),
    Attr::new(
        "log",
        AttrType::OneOf(&["", "log", "log-all"]),
        Class::Owned,
        "Whether new connections (`log`) or all packets (`log-all`) are logged.",
    ),
    Attr::new("comment", AttrType::Str, Class::Owned, "A word on why, which `ufw status` shows."),
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
        Attr::new("displaced", AttrType::List(&AttrType::Str), Class::Fact, "Rules with the same match that are in no set, as ufw writes them.")
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
            let lines = asked_rules.map(|r| wanted(name, r, table.keeps)).unwrap_or_default();
            let is_displaced = |r: &&Rule| r.set() != Some(name) && lines.iter().any(|l| l.same_as(r));
            let displaced: Vec<&Rule> = table.rules.iter().filter(is_displaced).collect();
            if ours.is_empty() && displaced.is_empty() && !lines.is_empty() {
                return Ok(None);
            }
            let rules = match asked_rules {
                Some(rules) if same_lines(&ours, &lines) => rules.clone(),
                _ => json::from_json(&Json::Array(configured(&ours, table.keeps))),
            };
            let starts = text(asked, "place") != Some("end") && is_at_start(&table, name);
            let shown = |r: &&Rule| if r.family == Family::V6 { format!("6 {}", r.line()) } else { r.line() };
            // What is of another set is that set's to put back.
            let displaced: Vec<String> = displaced.iter().filter(|r| r.set().is_none()).map(shown).collect();
            let mut object = Object::from([
                ("name".into(), Value::from(name)),
                ("place".into(), Value::from(if starts { "start" } else { "end" })),
                ("displaced".into(), json::from_json(&json!(displaced))),
                ("all".into(), json::from_json(&json!(table.lines()))),
                ("ipv6".into(), Value::from(table.keeps == Keeps::Both)),
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
        let table = table(change);
        let edit = match step.verb {
            Verb::Delete => Some(removal(change, &table, name)),
            _ => making(&table, name, desired(change)?),
        };
        let commands = edit.map(|edit| edit.commands()).unwrap_or_default();
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut acts = vec![SAVE.act::<&str>([])];
        acts.extend(commands.into_iter().map(|words| UFW.act(words)));
        Ok(acts)
    }

    fn revert(&self, _change: &Change, _step: &Step) -> Vec<Act> {
        vec![RESTORE.act::<&str>([])]
    }

    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        lockout::judge(host, "firewall_rules")
    }
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
    Table::from_lines(&lines, if flag(seen, "ipv6") == Some(false) { Keeps::V4 } else { Keeps::Both })
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
        commands.push(rule.words(verb, Lines::of(twin)));
    }
    commands
}

/// What a change does to the rules there are: some go, then new ones come.
pub(super) struct Edit {
    gone: Vec<Rule>,
    /// In the order in which they are added.
    new: Vec<Rule>,
    at_start: bool,
}

impl Edit {
    fn commands(&self) -> Vec<Vec<String>> {
        let mut all = commands("delete", &self.gone);
        all.extend(commands(if self.at_start { "prepend" } else { "" }, &self.new));
        all
    }

    /// Does to these rules what the commands do to ufw's.
    pub(super) fn apply(&self, rules: &mut Vec<Rule>) {
        rules.retain(|r| !self.gone.iter().any(|gone| gone.same_as(r)));
        for rule in &self.new {
            let at = if self.at_start { 0 } else { rules.len() };
            rules.insert(at, rule.clone());
        }
    }
}

/// What a change does to the rules of this table.
pub(super) fn edit(change: &Change, table: &Table) -> Option<Edit> {
    let name = text(&change.identity, "name")?;
    match (change.action, &change.desired) {
        (Action::NoOp | Action::Read | Action::Forget, _) => None,
        (Action::Delete, _) | (_, None) => Some(removal(change, table, name)),
        (_, Some(desired)) => making(table, name, desired),
    }
}

/// What makes the set as it is wanted: rules that are not wanted, or not in their order, go, and what is then
/// missing follows. What is in its place is not touched.
fn making(table: &Table, name: &str, wanted_is: &Object) -> Option<Edit> {
    let lines = wanted(name, wanted_is.get("rules")?, table.keeps);
    let at_start = text(wanted_is, "place") == Some("start");
    let (mut gone, mut kept_lines) = (Vec::new(), Vec::new());
    for family in [Family::V4, Family::V6] {
        let ours: Vec<&Rule> =
            table.rules.iter().filter(|r| r.family == family && r.set() == Some(name)).collect();
        let lines: Vec<&Rule> = lines.iter().filter(|r| r.family == family).collect();
        let kept = match at_start && !is_at_start(table, name) {
            true => 0,
            false if at_start => {
                ours.iter().rev().zip(lines.iter().rev()).take_while(|(a, b)| a == b).count()
            }
            false => ours.iter().zip(&lines).take_while(|(a, b)| a == b).count(),
        };
        let (ours_left, lines_kept) = match at_start {
            true => (&ours[..ours.len() - kept], &lines[lines.len() - kept..]),
            false => (&ours[kept..], &lines[..kept]),
        };
        gone.extend(ours_left.iter().map(|r| (*r).clone()));
        kept_lines.extend(lines_kept.iter().map(|r| (*r).clone()));
    }
    // In the order of the rules, so that twins stand beside each other and each family keeps its order.
    let mut new: Vec<Rule> = lines.iter().filter(|l| !kept_lines.contains(l)).cloned().collect();
    // Added over another's rule it would stand where that one does.
    let others = table.rules.iter().filter(|r| r.set() != Some(name) && new.iter().any(|l| l.same_as(r)));
    gone.extend(others.cloned());
    if at_start {
        new.reverse();
    }
    Some(Edit { gone, new, at_start })
}

/// What removes the set and puts back the rules that it had taken the place of.
fn removal(change: &Change, table: &Table, name: &str) -> Edit {
    let gone: Vec<Rule> = table.rules.iter().filter(|r| r.set() == Some(name)).cloned().collect();
    let displaced =
        before(change).and_then(|b| b.get("displaced")).and_then(Value::as_items).unwrap_or_default();
    let displaced: Vec<&str> = displaced.iter().filter_map(Value::as_str).collect();
    Edit { gone, new: Table::from_lines(&displaced, table.keeps).rules, at_start: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::Reconnect;
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe};

    const HEAD: &str = "ufw=yes\nIPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_OUTPUT_POLICY=\"ACCEPT\"\n\
                        DEFAULT_FORWARD_POLICY=\"DROP\"\nENABLED=yes\nLOGLEVEL=low\nkernel=yes\nkernel_rules=yes\n";

    fn look(asked: Json, lines: &[String]) -> Observation {
        let text = format!("{HEAD}{}", lines.iter().map(|l| format!("{l}\n")).collect::<String>());
        let answer = Answer::Said(SaidAnswer { code: 0, text });
        observe(&FirewallRules, asked, vec![(lockout::probe(), answer)])
    }

    fn ssh() -> Json {
        json!([{ "port": "22", "protocol": "tcp" }, { "from": "10.0.0.0/8", "port": "2049", "protocol": "tcp" }])
    }

    /// The lines of a set, as the host says them.
    fn lines(name: &str, rules: &Json) -> Vec<String> {
        let key = |r: &Rule| if r.family == Family::V4 { "rule4" } else { "rule6" };
        let all = wanted(name, &json::from_json(rules), Keeps::Both);
        all.iter().map(|r| format!("{}={}", key(r), r.line())).collect()
    }

    /// What is there, and a change to the wanted rules.
    #[track_caller]
    fn commands_for(there: &[String], wanted_is: &Json, place: &str) -> Vec<String> {
        let asked = json!({ "name": "s", "rules": wanted_is, "place": place });
        let seen = match look(asked.clone(), there) {
            Observation::Present(object) => Some(object),
            Observation::Absent => None,
            other => panic!("{other:?}"),
        };
        let mut change = change(Action::Update, json!({ "name": "s" })).wants(asked);
        change.observed = seen;
        change.differing = vec!["rules".into()];
        let acts = planned(&FirewallRules, &change, &[("set the firewall's rules of s", Reconnect)]);
        acts.iter().map(argv).filter(|a| a[3] == "ufw").map(|a| a[4..].join(" ")).collect()
    }

    #[test]
    fn equal_rules_are_no_difference() {
        let asked = json!({ "name": "s", "rules": ssh(), "place": "end" });
        let Observation::Present(seen) = look(asked.clone(), &lines("s", &ssh())) else {
            panic!("they are there")
        };
        assert_eq!(seen.get("rules"), obj(asked).get("rules"));
    }

    #[test]
    fn sets_are_told_apart() {
        let asked =
            json!({ "name": "other", "rules": [{ "port": "80", "protocol": "tcp" }], "place": "end" });
        assert_eq!(look(asked, &lines("s", &ssh())), Observation::Absent);
        let mut broken = lines("s", &ssh());
        broken.push("rule4=allow sideways".into());
        let asked = json!({ "name": "s", "rules": ssh(), "place": "end" });
        assert!(matches!(look(asked, &broken), Observation::Unknown(_)));
    }

    #[test]
    fn what_is_missing_follows() {
        let all = [
            "allow in proto tcp from any to any port 22 comment coxswain:s",
            "allow in proto tcp from 10.0.0.0/8 to 0.0.0.0/0 port 2049 comment coxswain:s",
        ];
        assert_eq!(commands_for(&[], &ssh(), "end"), all);
        assert_eq!(commands_for(&lines("s", &json!([ssh()[0]])), &ssh(), "end"), all[1..]);
    }

    #[test]
    fn what_is_out_of_order_is_made_anew() {
        let there = lines("s", &json!([ssh()[1], ssh()[0]]));
        let done = commands_for(&there, &ssh(), "end");
        let expected = [
            "delete allow in proto tcp from 10.0.0.0/8 to 0.0.0.0/0 port 2049",
            "delete allow in proto tcp from 0.0.0.0/0 to 0.0.0.0/0 port 22",
            "allow in proto tcp from 0.0.0.0/0 to 0.0.0.0/0 port 22 comment coxswain:s",
            "allow in proto tcp from 10.0.0.0/8 to 0.0.0.0/0 port 2049 comment coxswain:s",
        ];
        assert_eq!(done, expected, "the line for IPv6 is where it should be");
    }

    #[test]
    fn at_the_start_they_are_put_before_each_other() {
        let done = commands_for(&["rule4=deny any any 0.0.0.0/0 any 192.0.2.7 in".into()], &ssh(), "start");
        assert!(done[0].starts_with("prepend allow in proto tcp from 10.0.0.0/8"), "{done:?}");
        assert!(done[1].starts_with("prepend allow in proto tcp from any"), "{done:?}");
    }

    #[test]
    fn a_rule_of_others_with_the_same_match_makes_room_and_comes_back() {
        let there = ["rule4=deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=6d696e65".to_owned()];
        let done = commands_for(&there, &ssh(), "end");
        assert_eq!(done[0], "delete deny in proto tcp from 0.0.0.0/0 to 0.0.0.0/0 port 22");
        assert_eq!(done.len(), 3);
        let asked = json!({ "name": "s", "rules": ssh(), "place": "end" });
        let Observation::Present(before) = look(asked.clone(), &there) else { panic!("something is there") };
        let Observation::Present(now) = look(asked.clone(), &lines("s", &ssh())) else {
            panic!("they are there")
        };
        let mut gone = change(Action::Delete, json!({ "name": "s" })).had(asked);
        gone.before = Some(Some(before));
        gone.observed = Some(now);
        let acts = planned(&FirewallRules, &gone, &[("remove the firewall's rules of s", Reconnect)]);
        let done: Vec<String> =
            acts.iter().map(argv).filter(|a| a[3] == "ufw").map(|a| a[4..].join(" ")).collect();
        assert_eq!(
            done.last().map(String::as_str),
            Some("deny in proto tcp from 0.0.0.0/0 to 0.0.0.0/0 port 22 comment mine")
        );
    }

    #[test]
    fn rules_are_checked() {
        let found = |rule: Json| {
            let args = json!({ "name": "s", "rules": [rule] });
            check(&obj(args)).into_iter().map(|d| d.summary).collect::<Vec<_>>().join("; ")
        };
        for good in [
            json!({ "port": "22", "protocol": "tcp" }),
            json!({ "port": "80,443", "protocol": "tcp" }),
            json!({ "from": "2001:db8::/32" }),
            json!({ "direction": "route", "out_interface": "cali+" }),
            json!({ "port": "9000" }),
        ] {
            assert_eq!(found(good.clone()), "", "{good}");
        }
        for (bad, part) in [
            (json!({ "from": "10.0.0.1/8" }), "write `10.0.0.0/8`"),
            (json!({ "from": "example.org" }), "neither"),
            (json!({ "from": "0.0.0.0/0" }), "write `any`"),
            (json!({ "from": "10.0.0.0/8", "to": "::1" }), "different families"),
            (json!({ "from": "10.0.0.0/8", "family": "ipv4" }), "said by its addresses"),
            (json!({ "port": "70000" }), "is not `22`"),
            (json!({ "port": "80,443" }), "they need `protocol`"),
            (json!({ "port": "9:8", "protocol": "tcp" }), "is not `22`"),
            (json!({ "interface": "eth0;reboot" }), "not an interface"),
            (json!({ "out_interface": "eth0" }), "here it is `interface`"),
            (json!({ "comment": "it's" }), "apostrophe"),
        ] {
            let said = found(bad.clone());
            assert!(said.contains(part), "{bad}: {said}");
        }
        let twice = json!({ "name": "s", "rules": [{ "port": "22" }, { "port": "22", "action": "deny" }] });
        assert!(check(&obj(twice))[0].summary.contains("would take its place"));
    }
}
