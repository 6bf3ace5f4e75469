//! `sshd`: where and how a host lets people log in. The way by which coxswain itself comes: every change is
//! guarded, and a change of the port has two phases.
//!
//! ```text
//! old ports ─open→ old and new, confirmed by a connection through a new one ─close→ new alone, confirmed again
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use coxswain_model::schema::{AttrType, Compare, Existing, Implies, Placement, Stage, Thing};
use coxswain_model::{Address, Attr, Class, Diagnostic, Diagnostics, Num, Object, Schema, Value};

use super::act::{Act, Content};
use super::firewall_rules::{GUARD, guard_of};
use super::host_kind::HostKind;
use super::kind::{
    Action, Answers, Change, Discovery, Facts, HostView, KindError, Observation, PlanCx, Step, Verb,
};
use super::lockout;
use super::probe::{Probe, read_program};
use super::program::{Program, program};
use super::reading::{
    Fields, MANAGED, before, desired, differs, given, listed, not_understood, said_fields, taken_over, verb,
    whole,
};

/// The kind.
pub struct Sshd;

const APPLY: Program = program!("sshd-apply", "configure sshd");
const RESTORE: Program = program!("sshd-restore", "put sshd's files back");

/// How a keyword's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `yes` or `no`.
    Switch,
    /// A number.
    Number,
    /// As it is.
    Word,
    /// One line for each.
    Words,
}

/// Attribute, keyword of `sshd_config(5)`, form.
const KEYWORDS: [(&str, &str, Form); 12] = [
    ("password_authentication", "PasswordAuthentication", Form::Switch),
    ("kbd_interactive_authentication", "KbdInteractiveAuthentication", Form::Switch),
    ("permit_root_login", "PermitRootLogin", Form::Word),
    ("x11_forwarding", "X11Forwarding", Form::Switch),
    ("allow_tcp_forwarding", "AllowTcpForwarding", Form::Word),
    ("max_sessions", "MaxSessions", Form::Number),
    ("max_auth_tries", "MaxAuthTries", Form::Number),
    ("max_startups", "MaxStartups", Form::Word),
    ("login_grace_time", "LoginGraceTime", Form::Number),
    ("client_alive_interval", "ClientAliveInterval", Form::Number),
    ("client_alive_count_max", "ClientAliveCountMax", Form::Number),
    ("allow_users", "AllowUsers", Form::Words),
];
/// Debian 11 and Ubuntu 20.04 know it by this name: `sshd_config(5)` of OpenSSH 8.6.
const OLD_KBD: &str = "challengeresponseauthentication";

const fn owned(name: &'static str, ty: AttrType, doc: &'static str) -> Attr {
    Attr::new(name, ty, Class::Owned, doc).restores()
}

static SCHEMA: Schema = Schema {
    kind: "sshd",
    version: 1,
    summary: "A host's SSH server: ports and who may log in how.",
    doc: "Owns what is given, in `/etc/ssh/sshd_config.d/10-coxswain.conf`; the first file that says something \
          counts, so a file that sorts before it wins. Where `ports` is given, `Port` lines elsewhere are commented \
          out. Every change is checked with `sshd -t`, and taken back by the host unless a new connection works; \
          another port is opened first, confirmed, and only then the old one is closed. After that set `port` in the \
          host's block; until then the state knows where sshd listens. Destroy takes our part away and the `Port` \
          lines back in.",
    example: r#"sshd "nfs" {
  host                    = host.nfs
  ports                   = [22]
  password_authentication = false
  permit_root_login       = "prohibit-password"
}
"#,
    attributes: &[
        owned("ports", AttrType::List(&AttrType::Num), "The TCP ports it listens on.")
            .compare(Compare::Unordered)
            .implies(&[
                Implies::WantsNamed(Thing::Package, "openssh-server"),
                Implies::WantsNamed(Thing::Rules, ""),
                Implies::ProvidesPart(Thing::Rules, "sshd"),
            ]),
        owned("password_authentication", AttrType::Bool, "Whether people may log in with a password."),
        owned(
            "kbd_interactive_authentication",
            AttrType::Bool,
            "Whether they may answer questions, which is how PAM asks for a password too.",
        ),
        owned(
            "permit_root_login",
            AttrType::OneOf(&["yes", "no", "prohibit-password", "forced-commands-only"]),
            "How root may log in.",
        ),
        owned("x11_forwarding", AttrType::Bool, "Whether windows may be forwarded."),
        owned(
            "allow_tcp_forwarding",
            AttrType::OneOf(&["yes", "no", "local", "remote"]),
            "Whether TCP connections may be forwarded. coxswain forwards some.",
        ),
        owned("max_sessions", AttrType::Num, "Sessions in one connection; coxswain needs 2."),
        owned("max_auth_tries", AttrType::Num, "Attempts to log in per connection."),
        owned("max_startups", AttrType::Str, "Connections that have not logged in yet: `10:30:100`."),
        owned("login_grace_time", AttrType::Num, "Seconds to log in."),
        owned(
            "client_alive_interval",
            AttrType::Num,
            "Seconds of silence after which the client is asked whether it is there; 0 for never.",
        ),
        owned(
            "client_alive_count_max",
            AttrType::Num,
            "Unanswered questions after which the connection ends.",
        ),
        owned("allow_users", AttrType::List(&AttrType::Str), "The only users who may log in.")
            .compare(Compare::Unordered),
        Attr::new("loaded", AttrType::Bool, Class::Owned, "Whether it runs with this configuration.")
            .default("true"),
        Attr::new(
            "guard",
            AttrType::Num,
            Class::Setting,
            "Seconds after which the host takes a change back unless a new connection works, 10 to 600.",
        )
        .default(GUARD),
        Attr::new("socket", AttrType::Bool, Class::Fact, "Whether systemd listens in its place."),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: true,
    mutex: Some("sshd"),
    documented: true,
};

fn probe() -> Probe {
    Probe::says(read_program!("sshd"), <[String; 0]>::default())
}

fn number(text: &str) -> Result<Value, String> {
    text.parse::<i64>().map(Value::from).map_err(|_| not_understood(text))
}

fn ports_value(ports: &BTreeSet<u16>) -> Value {
    Value::list(coxswain_model::Type::Num, ports.iter().map(|p| Value::from(i64::from(*p))).collect())
}

/// What sshd says of a keyword.
fn keyword(fields: &Fields<'_>, word: &str, form: Form) -> Result<Value, String> {
    let key = word.to_ascii_lowercase();
    let found =
        fields.get(&key).or_else(|| fields.get(OLD_KBD).filter(|_| key == "kbdinteractiveauthentication"));
    match form {
        Form::Words => {
            let words = fields.all(&key).map(Value::from).collect();
            Ok(Value::list(coxswain_model::Type::Str, words))
        }
        Form::Switch => match found {
            Some("yes") => Ok(Value::from(true)),
            Some("no") => Ok(Value::from(false)),
            other => Err(not_understood(&format!("{key}={}", other.unwrap_or_default()))),
        },
        Form::Number => number(found.ok_or_else(|| format!("sshd says nothing of {word}"))?),
        Form::Word => {
            let word = found.ok_or_else(|| format!("sshd says nothing of {word}"))?;
            // An older name of the same.
            Ok(Value::from(if word == "without-password" { "prohibit-password" } else { word }))
        }
    }
}

impl HostKind for Sshd {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        let wrong = |why: String| Diagnostic::error("bad-sshd", why);
        if whole(args, "guard").is_some_and(|g| !(10..=600).contains(&g)) {
            problems.push(Diagnostic::error("bad-guard", "`guard` is not between 10 and 600 seconds"));
        }
        if let Some(items) = args.get("ports").and_then(Value::as_items) {
            let known = items.iter().filter(|p| p.is_wholly_known()).count();
            if items.is_empty() || (known == items.len() && ports(args, "ports").len() != items.len()) {
                problems.push(wrong("`ports` has at least one port from 1 to 65535, and each once".into()));
            }
        }
        for (name, from, to) in [
            ("max_sessions", 2, 1000),
            ("max_auth_tries", 1, 1000),
            ("login_grace_time", 0, 86_400),
            ("client_alive_interval", 0, 86_400),
            ("client_alive_count_max", 0, 1000),
        ] {
            if whole(args, name).is_some_and(|n| !(from..=to).contains(&n)) {
                problems.push(wrong(format!("`{name}` is not between {from} and {to}")));
            }
        }
        let words = ["max_startups", "allow_users"].into_iter().flat_map(|name| {
            super::reading::words(args, name)
                .into_iter()
                .flatten()
                .chain(super::reading::text(args, name).map(str::to_owned))
        });
        for word in words
            .filter(|w| w.is_empty() || w.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"'))
        {
            problems.push(wrong(format!("`{}` is not one word", word.escape_debug())));
        }
        problems
    }

    fn observe(&self, _asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        // What the firewall lets in decides where sshd may go, whoever made its rules.
        if !answers.contains_key(&lockout::probe()) {
            return Observation::Need(vec![probe(), lockout::probe()]);
        }
        said_fields(answers, probe(), |fields| {
            if !fields.is("sshd")? {
                return Ok(None);
            }
            let port = |text: &str| text.parse::<u16>().map_err(|_| not_understood(text));
            let listens: BTreeSet<u16> = fields.all("listen").map(port).collect::<Result<_, _>>()?;
            let mut object = Object::from([
                ("ports".into(), ports_value(&listens)),
                ("loaded".into(), Value::from(fields.is("loaded")?)),
                ("socket".into(), Value::from(fields.is("socket")?)),
            ]);
            for (name, word, form) in KEYWORDS {
                object.insert(name.into(), keyword(fields, word, form)?);
            }
            Ok(Some(object))
        })
    }

    fn discover(&self, _facts: &Facts, _answers: &Answers) -> Discovery {
        Discovery::Found(vec![Object::new()])
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        Ok(match change.action {
            Action::NoOp | Action::Read | Action::Forget => Vec::new(),
            Action::Delete => given_back(change),
            _ if change.differing.is_empty() => taken_over(change, "sshd's configuration"),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => steps(change),
        })
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        let apply =
            |others: &str, text: String| vec![APPLY.act_with([others], Content::new(text.into_bytes()))];
        if step.verb == Verb::Delete {
            return Ok(apply("none", String::new()));
        }
        let wanted = desired(change)?;
        let mut listen = ports(wanted, "ports");
        if step.name == "open" {
            listen.extend(now(change));
        }
        Ok(apply(if listen.is_empty() { "none" } else { "ports" }, file(wanted, &listen)))
    }

    fn revert(&self, _change: &Change, _step: &Step) -> Vec<Act> {
        vec![RESTORE.act::<&str>([])]
    }

    fn judge(&self, host: &HostView<'_>) -> Vec<(Address, Diagnostic)> {
        lockout::judge(host, "sshd")
    }
}

fn ports(object: &Object, name: &str) -> BTreeSet<u16> {
    let items = object.get(name).and_then(Value::as_items).unwrap_or_default();
    let port = |v: &Value| u16::try_from(v.as_num().and_then(Num::to_i128)?).ok().filter(|p| *p > 0);
    items.iter().filter_map(port).collect()
}

/// Where it listens now.
fn now(change: &Change) -> BTreeSet<u16> {
    change.observed.as_ref().map(|o| ports(o, "ports")).unwrap_or_default()
}

fn shown(ports: &BTreeSet<u16>) -> String {
    let words: Vec<String> = ports.iter().map(u16::to_string).collect();
    listed(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The steps of a change: a new port is opened and proved before an old one is closed.
fn steps(change: &Change) -> Vec<Step> {
    let none = Object::new();
    let wanted = ports(change.desired.as_ref().unwrap_or(&none), "ports");
    let now = now(change);
    let guard = guard_of(change);
    let through = |mut step: Step, port: Option<&u16>| {
        step.through_port = port.copied();
        step
    };
    let others = change.differing.iter().filter(|d| !matches!(d.as_ref(), "ports" | "loaded")).count();
    if !differs(change, "ports") || wanted.is_empty() {
        let title = if others > 0 { "configure sshd" } else { "have sshd read its configuration" };
        return vec![Step::new("apply", verb(change), title).guarded(guard)];
    }
    let (new, old): (BTreeSet<u16>, BTreeSet<u16>) =
        (wanted.difference(&now).copied().collect(), now.difference(&wanted).copied().collect());
    let mut steps = Vec::new();
    if !new.is_empty() {
        let what = if old.is_empty() { "listen on" } else { "listen on the new port too:" };
        let name = if old.is_empty() { "apply" } else { "open" };
        let step = Step::new(name, verb(change), format!("sshd: {what} {}", shown(&new))).guarded(guard);
        steps.push(through(step, new.first()));
    }
    if !old.is_empty() {
        let step = Step::new("apply", Verb::Update, format!("sshd: listen no more on {}", shown(&old)));
        steps.push(through(step.guarded(guard), wanted.first()));
    }
    steps
}

/// Destroy: our part goes; where it named the ports, those from before are confirmed.
fn given_back(change: &Change) -> Vec<Step> {
    let step = Step::new("remove", Verb::Delete, "take away what coxswain configured of sshd")
        .guarded(guard_of(change));
    let old = before(change).map(|b| ports(b, "ports")).unwrap_or_default();
    let is_owned = given(&change.prior, "ports").is_some();
    let through_port = old.first().copied().filter(|_| is_owned && old != now(change));
    vec![Step { through_port, ..step }]
}

/// Our part of the configuration.
fn file(wanted: &Object, listen: &BTreeSet<u16>) -> String {
    let mut text = MANAGED.to_owned();
    for port in listen {
        let _ = writeln!(text, "Port {port}");
    }
    for (name, word, _) in KEYWORDS {
        let Some(value) = given(wanted, name) else { continue };
        let values: Vec<&Value> =
            value.as_items().map_or_else(|| vec![value], |items| items.iter().collect());
        for value in values {
            let shown = match (value.as_bool(), value.as_str(), value.as_num().and_then(Num::to_i128)) {
                (Some(true), ..) => "yes".to_owned(),
                (Some(false), ..) => "no".to_owned(),
                (_, Some(text), _) => text.to_owned(),
                (_, _, Some(number)) => number.to_string(),
                _ => continue,
            };
            let _ = writeln!(text, "{word} {shown}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::answer::{Answer, SaidAnswer};
    use crate::resource::kind::StepClass::Reconnect;
    use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, plan};
    use serde_json::{Value as Json, json};

    /// As OpenSSH 9.2 says it, shortened.
    const SAID: &str = "sshd=yes\nport=22\nlogingracetime=120\nx11forwarding=yes\nmaxauthtries=6\nmaxsessions=10\n\
                        clientaliveinterval=0\nclientalivecountmax=3\npermitrootlogin=without-password\n\
                        passwordauthentication=yes\nkbdinteractiveauthentication=no\nallowtcpforwarding=yes\n\
                        maxstartups=10:30:100\nsocket=no\nlisten=22\nlisten=22\nloaded=yes\n";

    fn look(text: &str) -> Observation {
        let said = |text: &str| Answer::Said(SaidAnswer { code: 0, text: text.into() });
        observe(&Sshd, json!({}), vec![(probe(), said(text)), (lockout::probe(), said("ufw=no\n"))])
    }

    fn seen(ports: Json) -> Json {
        json!({ "ports": ports, "loaded": true })
    }

    #[test]
    fn observed() {
        let Observation::Present(found) = look(SAID) else { panic!("{:?}", look(SAID)) };
        let expected = json!({
            "ports": [22], "loaded": true, "socket": false, "password_authentication": true,
            "kbd_interactive_authentication": false, "permit_root_login": "prohibit-password", "x11_forwarding": true,
            "allow_tcp_forwarding": "yes", "max_sessions": 10, "max_auth_tries": 6, "max_startups": "10:30:100",
            "login_grace_time": 120, "client_alive_interval": 0, "client_alive_count_max": 3, "allow_users": [],
        });
        assert_eq!(coxswain_model::json::to_json(&Value::object(found)), expected);
        assert_eq!(look("sshd=no\n"), Observation::Absent);
        for strange in [
            SAID.replace("=yes\nkbd", "=maybe\nkbd"),
            SAID.replace("listen=22", "listen=x"),
            SAID.replace("maxsessions=10\n", ""),
            "Missing privilege separation directory: /run/sshd\n".into(),
        ] {
            assert!(matches!(look(&strange), Observation::Unknown(_)), "{strange}");
        }
        let old = SAID.replace("kbdinteractive", "challengeresponse");
        assert!(matches!(look(&old), Observation::Present(_)));
    }

    #[test]
    fn a_new_port_is_proved_before_the_old_one_is_closed() {
        let moved = change(Action::Update, json!({})).wants(json!({ "ports": [2222], "max_sessions": 20 }));
        let moved = moved.sees(seen(json!([22])), &["ports"]);
        let titles = [
            ("sshd: listen on the new port too: 2222", Reconnect),
            ("sshd: listen no more on 22", Reconnect),
        ];
        let acts = planned(&Sshd, &moved, &titles);
        let contents: Vec<String> = acts
            .iter()
            .map(|act| match act {
                Act::Run { input: Some(content), .. } => {
                    String::from_utf8_lossy(content.bytes()).into_owned()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(contents[0], format!("{MANAGED}Port 22\nPort 2222\nMaxSessions 20\n"));
        assert_eq!(contents[1], format!("{MANAGED}Port 2222\nMaxSessions 20\n"));
        let steps = plan(&Sshd, &moved).expect("a plan");
        assert_eq!(steps.iter().map(|s| s.through_port).collect::<Vec<_>>(), [Some(2222), Some(2222)]);
        assert_eq!(Sshd.revert(&moved, &steps[0]), [RESTORE.act::<&str>([])]);
    }

    #[test]
    fn given_back() {
        let gone = change(Action::Delete, json!({})).had(json!({ "ports": [2222] }));
        let gone = gone.sees(seen(json!([2222])), &[]).was(seen(json!([22])));
        let steps = plan(&Sshd, &gone).expect("a plan");
        assert_eq!(steps[0].through_port, Some(22));
        let acts = planned(&Sshd, &gone, &[("take away what coxswain configured of sshd", Reconnect)]);
        assert_eq!(argv(&acts[0])[4], "none");
    }

    #[test]
    fn arguments_are_checked() {
        let found = |args: Json| Sshd.check(&obj(args)).len();
        assert_eq!(
            found(json!({ "ports": [22, 2222], "max_sessions": 20, "allow_users": ["a", "b@10.*"] })),
            0
        );
        for bad in [
            json!({ "ports": [] }),
            json!({ "ports": [0] }),
            json!({ "ports": [22, 22] }),
            json!({ "ports": [70000] }),
            json!({ "max_sessions": 1 }),
            json!({ "max_startups": "1 2" }),
            json!({ "allow_users": ["a\nPermitRootLogin yes"] }),
            json!({ "guard": 1 }),
        ] {
            assert_eq!(found(bad.clone()), 1, "{bad}");
        }
    }
}
