//! ufw's rules: the lines its files hold, and what they let through. Pure.
//!
//! ```text
//! [route:]ACTION[_log|_log-all] PROTOCOL DPORT DST SPORT SRC [DAPP SAPP] DIRECTION [comment=HEX]
//! ```
//!
//! There is one file for each family; a rule without addresses has a line in both. What ufw takes for the same rule
//! is everything but action, log and comment: adding it again with another action replaces it where it stands.

use std::fmt::Write as _;
use std::net::IpAddr;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn everything(self) -> &'static str {
        match self {
            Family::V4 => "0.0.0.0/0",
            Family::V6 => "::/0",
        }
    }
}

/// For which families ufw keeps rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    V4,
    Both,
}

/// Whether words are for one line or for it and its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    One,
    Both,
}

impl Lines {
    pub(super) fn of<T>(twin: Option<T>) -> Lines {
        if twin.is_some() { Lines::Both } else { Lines::One }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) family: Family,
    pub(super) route: bool,
    /// `allow`, `deny`, `reject` or `limit`.
    pub(super) action: String,
    /// ``, `log` or `log-all`.
    pub(super) log: String,
    pub(super) protocol: String,
    pub(super) to_port: String,
    pub(super) to: String,
    pub(super) from_port: String,
    pub(super) from: String,
    pub(super) to_app: Option<String>,
    pub(super) from_app: Option<String>,
    /// `in`, `out`, `in_eth0`, `in_eth1!out_eth0`.
    pub(super) direction: String,
    pub(super) comment: Option<String>,
}

/// The comments that mark a rule as ours.
pub(super) const MARK: &str = "coxswain:";

impl Rule {
    /// One line without `### tuple ###`.
    ///
    /// # Errors
    /// The line, where it is not understood.
    pub(super) fn parse(family: Family, line: &str) -> Result<Rule, String> {
        parse(family, line).ok_or_else(|| super::reading::not_understood(line))
    }

    /// What ufw takes for the same rule.
    pub(super) fn same_as(&self, other: &Rule) -> bool {
        let of = |r: &Rule| {
            let apps = (r.to_app.clone(), r.from_app.clone());
            let ports = (r.to_port.clone(), r.from_port.clone());
            let ends = (r.to.clone(), r.from.clone());
            (r.family, r.route, r.protocol.clone(), ports, ends, apps, r.direction.clone())
        };
        of(self) == of(other)
    }

    /// The name of the set it belongs to.
    pub(super) fn set(&self) -> Option<&str> {
        let rest = self.comment.as_deref()?.strip_prefix(MARK)?;
        Some(rest.split(' ').next().unwrap_or(rest))
    }

    /// Whether an address stands for everything.
    fn is_any(&self, address: &str) -> bool {
        address == self.family.everything()
    }

    /// The same line of the other family, where it has one.
    pub(super) fn twin(&self) -> Option<Rule> {
        let family = if self.family == Family::V4 { Family::V6 } else { Family::V4 };
        (self.is_any(&self.to) && self.is_any(&self.from)).then(|| Rule {
            family,
            to: family.everything().into(),
            from: family.everything().into(),
            ..self.clone()
        })
    }

    /// The words that make ufw add or delete it.
    pub(super) fn words(&self, verb: &str, lines: Lines) -> Vec<String> {
        let mut words: Vec<&str> = Vec::new();
        if self.route {
            words.push("route");
        }
        words.extend(Some(verb).filter(|v| !v.is_empty()));
        words.push(&self.action);
        for part in self.direction.split('!') {
            match part.split_once('_') {
                Some((way, interface)) => words.extend([way, "on", interface]),
                None if !self.route => words.push(part),
                None => {}
            }
        }
        words.extend(Some(self.log.as_str()).filter(|l| !l.is_empty()));
        if self.protocol != "any" && self.to_app.is_none() && self.from_app.is_none() {
            words.extend(["proto", &self.protocol]);
        }
        let ends = [
            ("from", &self.from, &self.from_port, &self.from_app),
            ("to", &self.to, &self.to_port, &self.to_app),
        ];
        for (word, address, port, app) in ends {
            words.extend([word, if lines == Lines::Both { "any" } else { address.as_str() }]);
            match app {
                Some(app) => words.extend(["app", app.as_str()]),
                None if port != "any" => words.extend(["port", port.as_str()]),
                None => {}
            }
        }
        if let Some(comment) = self.comment.as_deref().filter(|_| verb != "delete") {
            words.extend(["comment", comment]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// As ufw writes it.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        let log = if self.log.is_empty() { String::new() } else { format!("_{}", self.log) };
        let route = if self.route { "route:" } else { "" };
        let _ = write!(line, "{route}{}{log} {} {} {}", self.action, self.protocol, self.to_port, self.to);
        let _ = write!(line, " {} {}", self.from_port, self.from);
        if self.to_app.is_some() || self.from_app.is_some() {
            let app = |a: &Option<String>| a.as_deref().map_or("-".to_owned(), |a| a.replace(' ', "%20"));
            let _ = write!(line, " {} {}", app(&self.to_app), app(&self.from_app));
        }
        let _ = write!(line, " {}", self.direction);
        if let Some(comment) = &self.comment {
            let _ = write!(line, " comment={}", hex::encode(comment));
        }
        line
    }

    /// For people, without the comment.
    pub(super) fn shown(&self) -> String {
        let mut words = self.words("", Lines::of(self.twin()));
        if let Some(at) = words.iter().position(|w| w == "comment") {
            words.truncate(at);
        }
        words.join(" ")
    }
}

fn parse(family: Family, line: &str) -> Option<Rule> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let comment = match words.last()?.strip_prefix("comment=") {
        Some(hex) => {
            words.pop();
            Some(String::from_utf8(hex::decode(hex).ok()?).ok()?)
        }
        None => None,
    };
    let (apps, direction) = match words.len() {
        7 => (None, words[6]),
        9 => (Some((words[6], words[7])), words[8]),
        _ => return None,
    };
    let (route, action) = match words[0].strip_prefix("route:") {
        Some(rest) => (true, rest),
        None => (false, words[0]),
    };
    let (action, log) = action.split_once('_').unwrap_or((action, ""));
    let app = |word: &str| (word != "-").then(|| word.replace("%20", " "));
    let is_direction = direction.split('!').all(|part| {
        matches!(part, "in" | "out")
            || part.strip_prefix("in_").or_else(|| part.strip_prefix("out_")).is_some_and(|i| !i.is_empty())
    });
    let is_known = matches!(action, "allow" | "deny" | "reject" | "limit")
        && matches!(log, "" | "log" | "log-all")
        && is_direction;
    is_known.then(|| Rule {
        family,
        route,
        action: action.into(),
        log: log.into(),
        protocol: words[1].into(),
        to_port: words[2].into(),
        to: words[3].into(),
        from_port: words[4].into(),
        from: words[5].into(),
        to_app: apps.and_then(|(to, _)| app(to)),
        from_app: apps.and_then(|(_, from)| app(from)),
        direction: direction.into(),
        comment,
    })
}

/// A new connection that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coming {
    /// Who.
    pub(super) client: IpAddr,
    /// To which of our addresses.
    pub(super) server: IpAddr,
    /// By which interface; rules that name one and allow do not count where it is not known.
    pub(super) interface: Option<String>,
    /// TCP port.
    pub(super) port: u16,
}

/// The first rule that says something about a connection, and its number among those of its family.
pub(super) fn decides<'a>(rules: &'a [Rule], coming: &Coming) -> Option<(usize, &'a Rule)> {
    let family = if coming.client.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut of_family = rules.iter().filter(|r| r.family == family).enumerate();
    of_family.find(|(_, r)| !r.route && matches(r, coming)).map(|(at, r)| (at + 1, r))
}

fn matches(rule: &Rule, coming: &Coming) -> bool {
    let lets_in = matches!(rule.action.as_str(), "allow" | "limit");
    let by = match (rule.direction.as_str().strip_prefix("in_"), &coming.interface) {
        (None, _) => rule.direction == "in",
        (Some(named), Some(interface)) => match named.strip_suffix('+') {
            Some(prefix) => interface.starts_with(prefix),
            None => named == interface,
        },
        // Not known: only what would keep us out is taken for a match.
        (Some(_), None) => !lets_in,
    };
    // A source port is not ours to choose.
    let from_port = rule.from_port == "any" || !lets_in;
    by && from_port
        && matches!(rule.protocol.as_str(), "any" | "tcp")
        && covers_port(&rule.to_port, coming.port)
        && covers(&rule.from, coming.client)
        && covers(&rule.to, coming.server)
}

fn covers_port(ports: &str, port: u16) -> bool {
    ports == "any"
        || ports.split(',').any(|part| match part.split_once(':') {
            Some((from, to)) => {
                let bounds = (from.parse::<u16>(), to.parse::<u16>());
                matches!(bounds, (Ok(from), Ok(to)) if (from..=to).contains(&port))
            }
            None => part.parse() == Ok(port),
        })
}

/// A network as ufw writes it: an address, or an address and the length of its prefix.
pub(super) fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, length.parse().ok()?),
        None => {
            let address: IpAddr = text.parse().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
        IpAddr::V6(a) => u128::from(a),
    }
}

/// Whether a network holds an address.
pub(super) fn covers(text: &str, address: IpAddr) -> bool {
    let Some((base, length)) = network(text) else { return false };
    let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    base.is_ipv4() == address.is_ipv4() && bits(base) & mask == bits(address) & mask
}

/// The network as ufw would write it, where that is another way.
pub(super) fn normal(text: &str) -> Option<String> {
    let (address, length) = network(text)?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    let masked = bits(address) & mask;
    let address = match address {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(masked >> 96).ok()?.into()),
        IpAddr::V6(_) => IpAddr::V6(masked.into()),
    };
    Some(if length == whole { address.to_string() } else { format!("{address}/{length}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(line: &str) -> Rule {
        Rule::parse(Family::V4, line).expect("a rule")
    }

    #[test]
    fn lines_are_read_and_written() {
        for line in [
            "allow tcp 2049 0.0.0.0/0 any 172.20.0.0/20 in comment=6e667320736572766572",
            "route:allow any any 10.1.0.0/16 any 0.0.0.0/0 in_eth1!out_eth0",
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in",
            "limit tcp 2222 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow_log tcp 8545 0.0.0.0/0 any 0.0.0.0/0 in",
            "reject tcp 25 0.0.0.0/0 any 0.0.0.0/0 out",
            "allow any any 0.0.0.0/0 any 0.0.0.0/0 out_cali+",
        ] {
            assert_eq!(v4(line).line(), line);
        }
        for bad in [
            "",
            "allow",
            "permit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in",
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 sideways",
            "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=zz",
        ] {
            assert!(Rule::parse(Family::V4, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_for_ufw() {
        let words = |line: &str, verb: &str, lines| v4(line).words(verb, lines).join(" ");
        let nfs = "allow tcp 2049 0.0.0.0/0 any 172.20.0.0/20 in comment=61";
        assert_eq!(
            words(nfs, "", Lines::One),
            "allow in proto tcp from 172.20.0.0/20 to 0.0.0.0/0 port 2049 comment a"
        );
        assert_eq!(
            words(nfs, "delete", Lines::One),
            "delete allow in proto tcp from 172.20.0.0/20 to 0.0.0.0/0 port 2049"
        );
        let any = "limit tcp 2222 0.0.0.0/0 any 0.0.0.0/0 in_eth0";
        assert_eq!(
            words(any, "prepend", Lines::Both),
            "prepend limit in on eth0 proto tcp from any to any port 2222"
        );
        let route = "route:allow any any 10.1.0.0/16 any 0.0.0.0/0 in_eth1!out_eth0";
        assert_eq!(
            words(route, "delete", Lines::One),
            "route delete allow in on eth1 out on eth0 from 0.0.0.0/0 to 10.1.0.0/16"
        );
        let app = "allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in";
        assert_eq!(words(app, "", Lines::Both), "allow in from any to any app OpenSSH");
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let coming = |port| Coming {
            client: "10.0.2.2".parse().expect("an address"),
            server: "10.0.2.15".parse().expect("an address"),
            interface: None,
            port,
        };
        let rules = [
            v4("deny any any 0.0.0.0/0 any 10.0.2.2 in_eth9"),
            v4("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in"),
        ];
        assert_eq!(decides(&rules, &coming(22)), Some((1, &rules[0])));
        let at = |interface: &str| Coming { interface: Some(interface.into()), ..coming(22) };
        assert_eq!(decides(&rules, &at("eth0")), Some((2, &rules[1])));
        assert_eq!(decides(&rules, &at("eth9")), Some((1, &rules[0])));
        assert_eq!(decides(&rules[1..], &coming(23)), None);
        let fits = |line: &str, port| decides(&[v4(line)], &coming(port)).is_some();
        assert!(fits("allow tcp 20:30,80 0.0.0.0/0 any 10.0.0.0/8 in", 22));
        assert!(fits("allow tcp 20:30,80 10.0.2.15 any 10.0.0.0/8 in", 80));
        assert!(!fits("allow udp 22 0.0.0.0/0 any 0.0.0.0/0 in", 22));
        assert!(!fits("allow tcp 22 0.0.0.0/0 any 10.1.0.0/16 in", 22));
        assert!(!fits("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 out", 22));
        assert!(!fits("allow tcp 22 0.0.0.0/0 1234 0.0.0.0/0 in", 22));
        assert!(!fits("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0", 22));
        assert!(!fits("route:deny any any 0.0.0.0/0 any 0.0.0.0/0 in", 22));
    }

    #[test]
    fn networks_are_masked() {
        assert_eq!(normal("172.20.10.1/20").as_deref(), Some("172.20.0.0/20"));
        assert_eq!(normal("203.0.113.7/32").as_deref(), Some("203.0.113.7"));
        assert_eq!(normal("2001:DB8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(normal("0.0.0.0/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!((normal("any"), normal("1.2.3.4/33"), normal("::1/129")), (None, None, None));
    }
}
