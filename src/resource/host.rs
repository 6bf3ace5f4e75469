//! `host`: a machine that coxswain reaches over SSH. It owns nothing on it.

use async_trait::async_trait;
use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value};

use super::answer::{Answer, FactsAnswer};
use super::connection::CONNECT_TIMEOUT_MAX_S;
use super::kind::{
    Action, Answers, Change, Facts, Kind, KindError, Observation, Outcome, PlanCx, Step, StepCx, Verb,
};
use super::probe::Probe;
use super::reading::{given, got, observed, text};

/// The kind.
pub struct Host;

const fn setting(name: &'static str, ty: AttrType, doc: &'static str) -> Attr {
    Attr::new(name, ty, Class::Setting, doc)
}

const fn fact(name: &'static str, doc: &'static str) -> Attr {
    Attr::new(name, AttrType::Str, Class::Fact, doc)
}

static SCHEMA: Schema = Schema {
    kind: "host",
    version: 1,
    summary: "A machine reached over SSH.",
    doc: "Says how a machine is reached; other resources name it in `host`. It owns nothing on the machine: removing \
          it removes nothing there. User, port, keys and jump hosts come from the user's ssh configuration where they \
          are not given. The machine id is pinned at the first contact: another machine at the same address is an \
          error. Its facts can be used in expressions while planning.",
    example: r#"host "nfs" {
  address = "192.0.2.10"
  user    = "admin"
  sudo    = true
}
"#,
    attributes: &[
        setting("address", AttrType::Str, "Name or IP address.").required(),
        setting("port", AttrType::Num, "TCP port of sshd."),
        setting("user", AttrType::Str, "Login name."),
        setting("sudo", AttrType::Bool, "Whether to become root with sudo after logging in.")
            .default("false"),
        setting("sudo_password", AttrType::Str, "The password that sudo asks for; implies `sudo`.")
            .sensitive(),
        setting("jump", AttrType::Str, "`[user@]host[:port]` to go through."),
        setting("host_key", AttrType::Str, "The public key line the host must show, instead of known_hosts."),
        setting("identity_file", AttrType::Str, "Private key file on this machine."),
        setting("group", AttrType::Str, "A label that groups hosts in plans."),
        setting("connect_timeout", AttrType::Num, "Seconds to wait for a connection.").default("10"),
        fact("machine_id", "The contents of /etc/machine-id."),
        fact("boot_id", "Changes with every boot.").volatile(),
        fact("os", "`ID` of os-release, such as `ubuntu`."),
        fact("os_version", "`VERSION_ID` of os-release, such as `24.04`."),
        fact("arch", "As Debian names it: `amd64`, `arm64`."),
        fact("hostname", "The machine's own name."),
        fact("kernel", "The running kernel's release."),
    ],
    placement: Placement::IsHost,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: false,
    one_per_host: false,
    mutex: None,
    documented: true,
};

/// The facts as attributes.
pub fn facts_object(facts: &FactsAnswer) -> Object {
    let FactsAnswer {
        machine_id,
        boot_id,
        os,
        os_version,
        arch,
        hostname,
        kernel,
        user: _,
        ssh_connection: _,
        guard: _,
    } = facts;
    [
        ("machine_id", machine_id),
        ("boot_id", boot_id),
        ("os", os),
        ("os_version", os_version),
        ("arch", arch),
        ("hostname", hostname),
        ("kernel", kernel),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), Value::from(value.as_str())))
    .collect()
}

fn check_numbers(args: &Object) -> Diagnostics {
    [("port", 65535), ("connect_timeout", CONNECT_TIMEOUT_MAX_S)]
        .into_iter()
        .filter_map(|(name, max)| {
            let number = given(args, name)?.as_num()?;
            let fits = number.to_i128().is_some_and(|n| (1..=max).contains(&n));
            (!fits).then(|| {
                Diagnostic::error("bad-host", format!("`{name}` cannot be {number}"))
                    .detail(format!("It is a whole number from 1 to {max}."))
            })
        })
        .collect()
}

#[async_trait]
impl Kind for Host {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut found = check_numbers(args);
        for name in ["address", "user", "jump"] {
            // ssh would read a leading dash as an option.
            if let Some(value) = text(args, name)
                && (value.is_empty() || value.starts_with('-') || value.contains(char::is_whitespace))
            {
                found.push(
                    Diagnostic::error("bad-host", format!("`{name}` cannot be `{}`", value.escape_debug()))
                        .detail("It must not be empty, hold blanks or begin with a dash."),
                );
            }
        }
        found
    }

    fn observe(&self, _identity: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        let found = got(answers, &Probe::Facts, |a| if let Answer::Facts(f) = a { Some(f) } else { None });
        observed(found, Probe::Facts, |facts| Observation::Present(facts_object(facts)))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let args = change.desired.as_ref().unwrap_or(&change.prior);
        let address = text(args, "address").unwrap_or("the host");
        Ok(match change.action {
            Action::Create | Action::Adopt | Action::Replace => {
                vec![Step::new("connect", Verb::Connect, format!("connect to {address}"))]
            }
            Action::Delete => vec![Step::new("forget", Verb::Forget, format!("forget {address}"))],
            Action::NoOp | Action::Update | Action::Forget | Action::Read => Vec::new(),
        })
    }

    async fn run(&self, cx: &StepCx<'_>, step: &Step) -> Result<Outcome, KindError> {
        if step.verb != Verb::Connect {
            return Ok(Outcome::Done(Object::new()));
        }
        let answers = cx.world.read(cx.endpoint, &[Probe::Facts]).await?;
        if let [Answer::Facts(facts)] = answers.as_slice() {
            return Ok(Outcome::Done(facts_object(facts)));
        }
        Err(KindError::Failed("the host did not tell its facts".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::Endpoint;
    use crate::resource::reading::fixture::{change, obj};
    use coxswain_model::Address;
    use serde_json::json;

    fn titles(change: &Change) -> Vec<String> {
        let address = Address::root("host", "a");
        let cx = PlanCx { address: &address, endpoint: &Endpoint::Nowhere, facts: None };
        let steps = Host.plan(&cx, change).expect("hosts can always be planned");
        steps.into_iter().map(|s| s.title).collect()
    }

    #[test]
    fn facts_are_the_object() {
        let facts = FactsAnswer { machine_id: "m".into(), arch: "arm64".into(), ..FactsAnswer::default() };
        let seen = |answer| Host.observe(&Object::new(), &Facts::default(), &[(Probe::Facts, answer)].into());
        let Observation::Present(found) = seen(Answer::Facts(facts)) else { panic!("the host answers") };
        assert_eq!(text(&found, "machine_id"), Some("m"));
        assert_eq!(found.len(), SCHEMA.of_class(Class::Fact).count());
        assert_eq!(seen(Answer::Unknown("no".into())), Observation::Unknown("no".into()));
    }

    #[test]
    fn only_the_first_contact_is_a_step() {
        let wanted = |action| change(action, json!({})).wants(json!({ "address": "192.0.2.1" }));
        assert_eq!(titles(&wanted(Action::Create)), ["connect to 192.0.2.1"]);
        assert_eq!(titles(&wanted(Action::Adopt)), ["connect to 192.0.2.1"]);
        assert_eq!(titles(&wanted(Action::Update)), Vec::<String>::new());
        assert_eq!(titles(&wanted(Action::Read)), Vec::<String>::new());
    }

    #[test]
    fn arguments_are_checked() {
        let found = |args| Host.check(&obj(args)).into_iter().map(|d| d.summary).collect::<Vec<_>>();
        assert_eq!(
            found(json!({ "address": "-oProxyCommand=x" })),
            ["`address` cannot be `-oProxyCommand=x`"]
        );
        assert_eq!(found(json!({ "address": "a", "port": 70000 })), ["`port` cannot be 70000"]);
        assert_eq!(found(json!({ "address": "a", "port": 22 })), Vec::<String>::new());
    }
}
