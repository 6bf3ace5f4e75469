//! Whether what is planned on a host would keep the management connection out. Pure.
//!
//! ```text
//! rules as they are ─each change, in the order of the plan→ rules as they will be → default → (client, ports) let in?
//! ```
//!
//! Judged rule by rule, before anything is done, and after every change: a step that keeps us out fails, whatever the
//! next one would let in. What others do in the meantime is the guards' business.

use std::net::IpAddr;

use coxswain_model::{Address, Diagnostic, Object, Value};

use super::firewall_rules::{Table, edit};
use super::kind::{Action, Change, HostInstance, HostView};
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
    let coming = |port| Coming { client, server, interface: planned.interface.clone(), port };
    // What is so from one change on is said of that one.
    let mut turns = planned.turns.iter().filter(|_| planned.is_on_now);
    let first = turns.find_map(|(address, turn)| Some((address.clone(), turn.keeps_out(&coming(port))?)));
    if let Some((address, by)) = first {
        return vec![(address, problem(&coming(port), &by))];
    }
    let at = acting.iter().map(|i| i.address).min().unwrap_or(host.instances[0].address);
    let kept_out =
        |port| Some((at.clone(), problem(&coming(port), &planned.end().keeps_out(&coming(port))?)));
    planned.ports(host, port).into_iter().filter_map(kept_out).collect()
}

fn problem(coming: &Coming, by: &str) -> Diagnostic {
    let Coming { client, server, port, .. } = coming;
    let detail = format!(
        "{client} comes to port {port}/tcp of {server}. Let it in with a rule of `firewall_rules` that stands \
         before, or say `i_have_console_access = true` in `firewall`."
    );
    let summary = format!("the firewall would keep the management connection out: {by}");
    Diagnostic::error("locked-out", summary).detail(detail)
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

/// The firewall at one time.
#[derive(Clone)]
struct Turn {
    enabled: bool,
    incoming: String,
    table: Table,
}

impl Turn {
    /// What keeps a connection out.
    fn keeps_out(&self, coming: &Coming) -> Option<String> {
        let is_unruled = coming.client.to_canonical().is_ipv6() && self.table.keeps == Keeps::V4;
        match ufw::decides(&self.table.rules, coming).filter(|_| !is_unruled) {
            _ if !self.enabled => None,
            Some((_, rule)) if matches!(rule.action.as_str(), "allow" | "limit") => None,
            Some((number, rule)) => Some(format!("rule {number} (`{}`{})", rule.shown(), whose(rule))),
            // Without IPv6, ufw drops all of it, whatever its rules and policies say.
            None if is_unruled => Some("it takes no rules for IPv6, and drops what comes by it".to_owned()),
            None if self.incoming == "allow" => None,
            None => Some(format!("no rule, and what comes in is met with `{}`", self.incoming)),
        }
    }

    /// After a change of the switch and the policies.
    fn switch(&mut self, change: &Change) {
        let off = Object::from([("enabled".into(), Value::from(false))]);
        let set = match (change.action, &change.before) {
            (Action::Delete, Some(Some(before))) => Some(before),
            // What was not there before is switched off.
            (Action::Delete, Some(None)) => Some(&off),
            (Action::Delete | Action::Forget, _) => None,
            _ => change.desired.as_ref(),
        };
        let Some(set) = set else { return };
        self.enabled = flag(set, "enabled").unwrap_or(self.enabled);
        if let Some(incoming) = text(set, "incoming") {
            incoming.clone_into(&mut self.incoming);
        }
        if let Some(ipv6) = flag(set, "ipv6") {
            self.table.keeps = if ipv6 { Keeps::Both } else { Keeps::V4 };
        }
        if flag(set, "exclusive") == Some(true) {
            self.table.rules.retain(|r| !super::firewall::is_foreign(r, set));
        }
    }
}

/// The firewall as it will be.
struct Planned {
    is_on_now: bool,
    interface: Option<String>,
    now: Turn,
    /// After each change, in the order of the plan.
    turns: Vec<(Address, Turn)>,
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
        let said = match said(host.answers, &probe) {
            Got::Found(said) => Fields::of(said).ok()?,
            Got::NotAsked | Got::Absent | Got::Unknown(_) => return None,
        };
        let (table, is_on_now) = if said.is("ufw").ok()? {
            (Table::of(&said).ok()?, said.get("ENABLED") == Some("yes"))
        } else {
            // The package comes in the same run.
            (Table { rules: Vec::new(), keeps: Keeps::Both }, false)
        };
        let incoming = said.get("DEFAULT_INPUT_POLICY").map_or("deny", super::firewall::policy).to_owned();
        let now = Turn { enabled: is_on_now, incoming, table };
        let mut turn = now.clone();
        let mut turns = Vec::new();
        for instance in host.instances.iter().filter(|i| i.acts) {
            match instance.kind {
                "firewall" => turn.switch(instance.change),
                "firewall_rules" => {
                    if let Some(edit) = edit(instance.change, &turn.table) {
                        edit.apply(&mut turn.table.rules);
                    }
                }
                _ => continue,
            }
            turns.push((instance.address.clone(), turn.clone()));
        }
        let interface = said.get("interface").filter(|i| !i.is_empty()).map(str::to_owned);
        Some(Planned { is_on_now, interface, now, turns })
    }

    /// When all is done.
    fn end(&self) -> &Turn {
        self.turns.last().map_or(&self.now, |(_, turn)| turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, FactsAnswer, SaidAnswer};
    use crate::resource::kind::Answers;
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
        let switch = |before| ("firewall", change(Action::Delete, json!({})).was(before));
        // The switch goes before the rules.
        assert_eq!(said_of(SSH, &[switch(json!(null)), rules()]), Vec::<String>::new());
        assert_eq!(said_of(SSH, &[switch(json!({ "enabled": false })), rules()]), Vec::<String>::new());
        assert_eq!(said_of(SSH, &[rules(), switch(json!(null))]).len(), 1, "in between it keeps us out");
        let on = json!({ "enabled": true, "incoming": "deny" });
        assert_eq!(said_of(SSH, &[switch(on), rules()]).len(), 1);
        let displaced = json!({ "displaced": ["allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"] });
        let (kind, gone) = rules();
        assert_eq!(said_of(SSH, &[(kind, gone.was(displaced))]), Vec::<String>::new(), "a rule comes back");
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
    fn sets_are_judged_in_the_order_of_their_changes() {
        let set = |name: &str, rules: serde_json::Value, place: &str| {
            let wanted = json!({ "name": name, "rules": rules, "place": place });
            ("firewall_rules", change(Action::Create, json!({ "name": name })).wants(wanted))
        };
        let lets_in = || set("m", json!([{ "port": "22", "protocol": "tcp" }]), "end");
        let denies = |place| set("lan", json!([{ "action": "deny", "from": "10.0.0.0/8" }]), place);
        let none = Vec::<String>::new();
        assert_eq!(said_of(BY_HAND, &[lets_in(), denies("end")]), none);
        let old = || ("firewall_rules", change(Action::Delete, json!({ "name": "ssh" })));
        assert_eq!(said_of(SSH, &[lets_in(), old()]), none);
        assert_eq!(said_of(SSH, &[old(), lets_in()]).len(), 1, "in between nothing lets us in");
        assert_eq!(said_of(SSH, &[denies("end"), lets_in(), old()]).len(), 1);
        assert_eq!(said_of(SSH, &[lets_in(), denies("start")]).len(), 1);
    }

    #[test]
    fn rules_that_stay_where_they_are_are_judged_there() {
        let ssh = json!({ "port": "22", "protocol": "tcp" });
        let wanted = |rules| {
            let wanted = json!({ "name": "ssh", "rules": rules, "place": "end" });
            ("firewall_rules", change(Action::Update, json!({ "name": "ssh" })).wants(wanted))
        };
        let deny = format!("{SSH}rule4=deny any any 0.0.0.0/0 any 10.0.0.0/8 in\n");
        let web = json!({ "port": "443", "protocol": "tcp" });
        assert_eq!(said_of(&deny, &[wanted(json!([ssh, web]))]), Vec::<String>::new(), "it stays before");
        assert_eq!(said_of(&deny, &[wanted(json!([web, ssh]))]).len(), 1, "it is added again, behind");
    }

    #[test]
    fn sshd_is_judged_where_it_will_listen() {
        let moved = ("sshd", change(Action::Update, json!({})).wants(json!({ "ports": [2222] })));
        assert_eq!(said_of(SSH, &[moved]).len(), 1, "2222 is shut");
        let back = ("sshd", change(Action::Delete, json!({})).was(json!({ "ports": [2022] })));
        assert_eq!(said_of(SSH, &[back]).len(), 1, "2022 is shut");
    }
}
