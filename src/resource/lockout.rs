//! Whether what is planned on a host would keep the management connection out. Pure.
//!
//! ```text
//! rules as they are → without what goes, with what comes → default → (client, sshd's ports) let in?
//! ```
//!
//! Judged rule by rule, before anything is done; what happens in the meantime is the guards' business.

use std::net::IpAddr;

use coxswain_model::{Address, Diagnostic, Object, Value};

use super::firewall_rules::{Table, wanted};
use super::kind::{Action, HostInstance, HostView};
use super::probe::{Probe, read_program};
use super::reading::{Fields, Got, flag, said, text};
use super::ufw::{self, Coming, Keeps, Rule};

/// The kinds that can keep the connection out.
const KINDS: [&str; 3] = ["firewall", "firewall_rules", "sshd"];

/// What ufw has written down.
pub(super) fn probe() -> Probe {
    Probe::says(read_program!("ufw"), <[String; 0]>::default())
}

/// The connection we came by: client, server, port.
fn connection(words: &str) -> Option<(IpAddr, IpAddr, u16)> {
    let words: Vec<&str> = words.split(' ').collect();
    let [client, _, server, port] = words[..] else { return None };
    // A link-local address has its interface behind it.
    let address = |text: &str| text.split('%').next().and_then(|a| a.parse::<IpAddr>().ok());
    Some((address(client)?, address(server)?, port.parse().ok()?))
}

/// What would keep us out; said once, whichever of the kinds is asked first.
pub(super) fn judge(host: &HostView<'_>, asked: &str) -> Vec<(Address, Diagnostic)> {
    let acting: Vec<&HostInstance<'_>> =
        host.instances.iter().filter(|i| i.acts && KINDS.contains(&i.kind)).collect();
    let first = KINDS.iter().find(|kind| host.instances.iter().any(|i| i.kind == **kind));
    if acting.is_empty() || first != Some(&asked) || has_console(host) {
        return Vec::new();
    }
    let Some((client, server, port)) = connection(&host.facts.ssh_connection) else { return Vec::new() };
    let Some(planned) = Planned::of(host) else { return Vec::new() };
    if !planned.enabled {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let is_unruled = client.to_canonical().is_ipv6() && !planned.has_ipv6;
    for port in planned.ports(host, port) {
        let coming = Coming { client, server, interface: planned.interface.clone(), port };
        let rule = ufw::decides(&planned.rules, &coming).filter(|_| !is_unruled);
        let lets_in = match rule {
            Some((_, rule)) => matches!(rule.action.as_str(), "allow" | "limit"),
            None => planned.incoming == "allow" && !is_unruled,
        };
        if lets_in {
            continue;
        }
        let by = match rule {
            Some((number, rule)) => format!("rule {number} (`{}`{})", rule.shown(), whose(rule)),
            // Without IPv6, ufw drops all of it, whatever its rules and policies say.
            None if is_unruled => "it takes no rules for IPv6, and drops what comes by it".to_owned(),
            None => format!("no rule, and what comes in is met with `{}`", planned.incoming),
        };
        let summary = format!("the firewall would keep the management connection out: {by}");
        let detail = format!(
            "{client} comes to port {port}/tcp of {server}. Let it in with a rule of `firewall_rules` that stands \
             before, or say `i_have_console_access = true` in `firewall`."
        );
        let at = acting.first().map_or_else(|| host.instances[0].address.clone(), |i| i.address.clone());
        problems.push((at, Diagnostic::error("locked-out", summary).detail(detail)));
    }
    problems
}

fn whose(rule: &Rule) -> String {
    rule.set().map_or_else(|| ", not of a set".to_owned(), |set| format!(" of {set}"))
}

fn has_console(host: &HostView<'_>) -> bool {
    let says = |i: &HostInstance<'_>| {
        let args = i.change.desired.as_ref().unwrap_or(&i.change.prior);
        i.kind == "firewall" && flag(args, "i_have_console_access") == Some(true)
    };
    host.instances.iter().any(says)
}

/// The firewall as it will be.
struct Planned {
    enabled: bool,
    is_on_now: bool,
    incoming: String,
    has_ipv6: bool,
    interface: Option<String>,
    rules: Vec<Rule>,
}

impl Planned {
    /// The ports that must be let in. sshd moves before the firewall is switched on, and after rules change: the port of
    /// now counts as long as the firewall is on already.
    fn ports(&self, host: &HostView<'_>, now: u16) -> Vec<u16> {
        let sshd = host.instances.iter().find(|i| i.kind == "sshd");
        let planned = sshd.and_then(|i| match i.change.action {
            Action::Delete => i.change.before.as_ref()?.as_ref()?.get("ports"),
            _ => i.change.desired.as_ref()?.get("ports"),
        });
        let planned: Vec<u16> = planned
            .and_then(Value::as_items)
            .into_iter()
            .flatten()
            .filter_map(|p| u16::try_from(p.as_num()?.to_i128()?).ok())
            .collect();
        let mut ports = planned;
        if ports.is_empty() || (self.is_on_now && !ports.contains(&now)) {
            ports.insert(0, now);
        }
        ports
    }

    fn of(host: &HostView<'_>) -> Option<Planned> {
        let probe = probe();
        let now = match said(host.answers, &probe) {
            Got::Found(said) => Fields::of(said).ok()?,
            Got::NotAsked | Got::Absent | Got::Unknown(_) => return None,
        };
        let (table, is_on_now) = if now.is("ufw").ok()? {
            (Table::of(&now).ok()?, now.get("ENABLED") == Some("yes"))
        } else {
            // The package comes in the same run.
            (Table { rules: Vec::new(), keeps: Keeps::Both }, false)
        };
        let switch = host.instances.iter().find(|i| i.kind == "firewall" && i.acts);
        let none = Object::new();
        let set = match switch.map(|i| (i.change.action, i.change)) {
            // What was not there before is switched off.
            Some((Action::Delete, change)) => match &change.before {
                Some(Some(before)) => before.clone(),
                Some(None) => Object::from([("enabled".into(), Value::from(false))]),
                None => none,
            },
            Some((_, change)) => change.desired.clone().unwrap_or_default(),
            None => none,
        };
        let observed = now.get("DEFAULT_INPUT_POLICY").map_or("deny", super::firewall::policy);
        let has_ipv6 = flag(&set, "ipv6").unwrap_or(table.keeps == Keeps::Both);
        let mut rules = planned_rules(host, table);
        if flag(&set, "exclusive") == Some(true) {
            rules.retain(|r| !super::firewall::is_foreign(r, &set));
        }
        Some(Planned {
            enabled: flag(&set, "enabled").unwrap_or(is_on_now),
            is_on_now,
            has_ipv6,
            incoming: text(&set, "incoming").unwrap_or(observed).to_owned(),
            interface: now.get("interface").filter(|i| !i.is_empty()).map(str::to_owned),
            rules,
        })
    }
}

/// The rules in the order they will have.
fn planned_rules(host: &HostView<'_>, table: Table) -> Vec<Rule> {
    let keeps = table.keeps;
    let mut rules = table.rules;
    let changes =
        |i: &&HostInstance<'_>| i.kind == "firewall_rules" && i.acts && i.change.action != Action::Forget;
    for instance in host.instances.iter().filter(changes) {
        let Some(name) = text(&instance.change.identity, "name") else { continue };
        let desired = instance.change.desired.as_ref();
        let lines = desired.and_then(|d| Some(wanted(name, d.get("rules")?, keeps))).unwrap_or_default();
        rules.retain(|r| r.set() != Some(name) && !lines.iter().any(|l| l.same_as(r)));
        if desired.is_some_and(|d| text(d, "place") == Some("start")) {
            rules.splice(0..0, lines);
        } else {
            rules.extend(lines);
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, FactsAnswer, SaidAnswer};
    use crate::resource::kind::{Answers, Change};
    use crate::resource::reading::fixture::change;
    use serde_json::json;

    #[test]
    fn connections() {
        let (client, server, port) = connection("10.0.2.2 42288 10.0.2.15 22").expect("a connection");
        assert_eq!(
            (client.to_string(), server.to_string(), port),
            ("10.0.2.2".into(), "10.0.2.15".into(), 22)
        );
        assert!(connection("fe80::1%eth0 1 fe80::2%eth0 22").is_some());
        for bad in ["", "a b c d", "10.0.2.2 1 10.0.2.15", "10.0.2.2 1 10.0.2.15 99999"] {
            assert_eq!(connection(bad), None, "{bad:?}");
        }
    }

    /// What is said of changes on a host whose firewall is on and has these rules.
    fn said_of(rules: &str, changes: &[(&'static str, Change)]) -> Vec<String> {
        said_to("10.0.2.2 1 10.0.2.15 22", rules, changes)
    }

    /// The same, for who came by this connection.
    fn said_to(connection: &str, rules: &str, changes: &[(&'static str, Change)]) -> Vec<String> {
        let facts = FactsAnswer { ssh_connection: connection.into(), ..FactsAnswer::default() };
        let text =
            format!("ufw=yes\nIPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\nENABLED=yes\ninterface=eth0\n{rules}");
        let answers = Answers::from([(probe(), Answer::Said(SaidAnswer { code: 0, text }))]);
        let addresses: Vec<Address> = changes.iter().map(|(kind, _)| Address::root(kind, "x")).collect();
        let instances = changes.iter().zip(&addresses).map(|((kind, change), address)| HostInstance {
            address,
            kind,
            change,
            acts: true,
        });
        let host = HostView { facts: &facts, answers: &answers, instances: instances.collect() };
        KINDS.iter().flat_map(|kind| judge(&host, kind)).map(|(_, problem)| problem.summary).collect()
    }

    const SSH: &str = "rule4=allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=636f78737761696e3a737368\n";
    const BY_HAND: &str = "rule4=allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n";

    #[test]
    fn what_goes_is_judged_as_what_is_given_back() {
        let rules = || ("firewall_rules", change(Action::Delete, json!({ "name": "ssh" })));
        let alone = said_of(SSH, &[rules()]);
        assert_eq!(alone.len(), 1, "{alone:?}");
        let with_switch = |before| ("firewall", change(Action::Delete, json!({})).was(before));
        assert_eq!(said_of(SSH, &[rules(), with_switch(json!(null))]), Vec::<String>::new());
        assert_eq!(said_of(SSH, &[rules(), with_switch(json!({ "enabled": false }))]), Vec::<String>::new());
        assert_eq!(
            said_of(SSH, &[rules(), with_switch(json!({ "enabled": true, "incoming": "deny" }))]).len(),
            1
        );
        let forgotten = ("firewall_rules", change(Action::Forget, json!({ "name": "ssh" })));
        assert_eq!(said_of(SSH, &[forgotten]), Vec::<String>::new());
    }

    #[test]
    fn rules_that_an_exclusive_firewall_removes_do_not_count() {
        let firewall = |exclusive: bool| {
            let wanted =
                json!({ "enabled": true, "incoming": "deny", "exclusive": exclusive, "tolerate": ["cali+"] });
            ("firewall", change(Action::Update, json!({})).wants(wanted))
        };
        assert_eq!(said_of(BY_HAND, &[firewall(false)]), Vec::<String>::new());
        assert_eq!(said_of(BY_HAND, &[firewall(true)]).len(), 1);
    }

    #[test]
    fn a_firewall_without_ipv6_lets_nobody_in_by_it() {
        let firewall = |ipv6: bool, incoming: &str| {
            let wanted = json!({ "enabled": true, "incoming": incoming, "ipv6": ipv6 });
            ("firewall", change(Action::Update, json!({})).wants(wanted))
        };
        let rules = format!("{SSH}rule6=allow tcp 22 ::/0 any ::/0 in comment=636f78737761696e3a737368\n");
        let by6 = "fd00::2 1 fd00::15 22";
        assert_eq!(said_to(by6, &rules, &[firewall(true, "deny")]), Vec::<String>::new());
        for incoming in ["deny", "allow"] {
            let said = said_to(by6, &rules, &[firewall(false, incoming)]);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("it takes no rules for IPv6"), "{said:?}");
        }
        assert_eq!(said_of(&rules, &[firewall(false, "deny")]), Vec::<String>::new());
        let mapped = "::ffff:10.0.2.2 1 ::ffff:10.0.2.15 22";
        assert_eq!(said_to(mapped, &rules, &[firewall(false, "deny")]), Vec::<String>::new());
    }

    #[test]
    fn sshd_is_judged_where_it_will_listen() {
        let moved = ("sshd", change(Action::Update, json!({})).wants(json!({ "ports": [2222] })));
        assert_eq!(said_of(SSH, &[moved]).len(), 1, "2222 is shut");
        let back = ("sshd", change(Action::Delete, json!({})).was(json!({ "ports": [2022] })));
        assert_eq!(said_of(SSH, &[back]).len(), 1, "2022 is shut");
    }
}
