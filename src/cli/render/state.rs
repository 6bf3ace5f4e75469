//! The state as people see it, and as JSON.
//!
//! [`StateView`] is what the command line needs of a state, whatever the state crate calls it.

use std::collections::BTreeMap;

use coxswain_model::Address;
use coxswain_state::{OutputRecord, State, Status};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::value::inline;
use super::{Colour, Tone, clean, one_line};

/// What is shown of a state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StateView {
    /// Its lineage.
    pub lineage: String,
    /// Its serial.
    pub serial: u64,
    /// The instances, by address.
    pub instances: Vec<InstanceView>,
    /// The root module's outputs; sensitive ones as `{"$sensitive": true}`.
    pub outputs: BTreeMap<String, Json>,
}

/// What is shown of an instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstanceView {
    /// Where it stands in the configuration.
    pub address: Address,
    /// Its uid.
    pub uid: String,
    /// The host it lives on.
    pub host: Option<Address>,
    /// The object's name.
    pub identity: String,
    /// `ok`, `tainted`, `indeterminate`, `running`, `waiting`, `released`.
    pub status: &'static str,
    /// Since when it runs or waits.
    pub since: Option<String>,
    /// The parties it waits for.
    pub waiting_on: Vec<String>,
    /// What was applied last; sensitive values as digests.
    pub attributes: BTreeMap<String, Json>,
    /// What it needs.
    pub dependencies: Vec<Address>,
}

impl StateView {
    /// The view of a state.
    pub fn of(state: &State) -> StateView {
        let by_uid: BTreeMap<&str, &Address> =
            state.instances.iter().map(|(address, record)| (record.uid.as_str(), address)).collect();
        let named = |uid: &String| by_uid.get(uid.as_str()).map(|address| (*address).clone());
        let instances = state
            .instances
            .iter()
            .map(|(address, record)| InstanceView {
                address: address.clone(),
                uid: record.uid.clone(),
                host: record.endpoint.as_ref().and_then(named),
                identity: record.identity.clone(),
                status: if state.indeterminate.contains_key(address) {
                    word(Status::Indeterminate)
                } else {
                    word(record.status)
                },
                since: record.since.clone(),
                waiting_on: record.waiting_on.clone(),
                attributes: record.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                dependencies: record.depends_on.iter().filter_map(named).collect(),
            })
            .collect();
        let hide = |output: &OutputRecord| {
            if output.sensitive { json!({ "$sensitive": true }) } else { output.value.clone() }
        };
        StateView {
            lineage: state.lineage.clone(),
            serial: state.serial,
            instances,
            outputs: state.outputs.iter().map(|(name, output)| (name.clone(), hide(output))).collect(),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Tainted => "tainted",
        Status::Indeterminate => "indeterminate",
        Status::Running => "running",
        Status::Waiting => "waiting",
        Status::Released => "released",
    }
}

/// The instances, one a line; those that are not well with their status.
pub fn list(instances: &[&InstanceView]) -> String {
    instances
        .iter()
        .map(|i| match i.status {
            "ok" => format!("{}\n", i.address),
            status => format!("{}  # {}\n", i.address, one_line(status)),
        })
        .collect()
}

/// One instance.
pub fn instance(it: &InstanceView, colour: Colour) -> String {
    let mut out = format!("{}\n", colour.paint(Tone::Strong, &it.address.to_string()));
    let mut push = |name: &str, value: String| {
        if !value.is_empty() {
            out += &format!("  {name}: {value}\n");
        }
    };
    push("identity", one_line(&it.identity));
    push("host", it.host.as_ref().map(ToString::to_string).unwrap_or_default());
    push("status", it.status.to_owned());
    push("since", it.since.as_deref().map(one_line).unwrap_or_default());
    push("waits for", one_line(&it.waiting_on.join(", ")));
    push("uid", one_line(&it.uid));
    let needs: Vec<String> = it.dependencies.iter().map(ToString::to_string).collect();
    push("needs", needs.join(", "));
    if !it.attributes.is_empty() {
        out += "  attributes:\n";
    }
    for (name, value) in &it.attributes {
        out += &format!("    {}: {}\n", clean(name), inline(value));
    }
    out
}

/// The whole state.
pub fn state(view: &StateView, colour: Colour) -> String {
    let mut out: String = view.instances.iter().map(|i| instance(i, colour) + "\n").collect();
    if !view.outputs.is_empty() {
        out += &format!("{}\n", colour.paint(Tone::Strong, "Outputs"));
        for (name, value) in &view.outputs {
            out += &format!("  {}: {}\n", clean(name), inline(value));
        }
        out.push('\n');
    }
    out + &format!("Serial {} of {}.\n", view.serial, one_line(&view.lineage))
}

/// The whole state as one document.
pub fn json(view: &StateView) -> String {
    super::json::pretty(&json!({ "document": "coxswain.state", "format": 1, "state": view }))
}

/// The outputs, `name = value`.
pub fn outputs(view: &StateView) -> String {
    view.outputs.iter().map(|(name, value)| format!("{} = {}\n", clean(name), inline(value))).collect()
}

/// One output for a script: text as it is, anything else as JSON.
pub fn raw(value: &Json) -> String {
    match value {
        Json::String(text) => format!("{text}\n"),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            format!("{value}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use coxswain_state::Record;

    use super::super::plan::tests::address;
    use super::*;

    fn view() -> StateView {
        let it = |at: &str, status: &'static str| InstanceView {
            address: address(at),
            uid: "u1".into(),
            host: Some(address("host.a")),
            identity: "/etc/motd".into(),
            status,
            since: None,
            waiting_on: vec![],
            attributes: BTreeMap::from([
                ("mode".to_owned(), json!("0644")),
                ("content".to_owned(), json!({"$digest": "ab"})),
            ]),
            dependencies: vec![address("host.a")],
        };
        StateView {
            lineage: "l".into(),
            serial: 4,
            instances: vec![it("file.a", "ok"), it("file.b", "tainted")],
            outputs: BTreeMap::from([("enr".to_owned(), json!("enr:-x"))]),
        }
    }

    #[test]
    fn a_view_names_hosts_and_hides_secrets() {
        let mut state = State::new("l");
        state.instances.insert(address("host.a"), Record::new("u1", "host", "192.0.2.1"));
        let mut file = Record::new("u2", "file", "/etc/motd");
        file.endpoint = Some("u1".into());
        file.depends_on = vec!["u1".into(), "gone".into()];
        state.instances.insert(address("file.a"), file);
        state.outputs.insert("o".into(), OutputRecord { value: json!("x"), sensitive: true });
        let view = StateView::of(&state);
        assert_eq!(view.instances[0].host, Some(address("host.a")));
        assert_eq!(view.instances[0].dependencies, vec![address("host.a")]);
        assert_eq!(outputs(&view), "o = (sensitive value)\n");
        assert!(json(&view).contains("\"coxswain.state\""));
    }

    #[test]
    fn a_state_as_text() {
        let view = view();
        assert_eq!(list(&view.instances.iter().collect::<Vec<_>>()), "file.a\nfile.b  # tainted\n");
        assert_eq!(
            instance(&view.instances[0], Colour::Off),
            "file.a\n  identity: /etc/motd\n  host: host.a\n  status: ok\n  uid: u1\n  needs: host.a\n\
             \x20 attributes:\n    content: (kept as a digest)\n    mode: \"0644\"\n"
        );
        assert!(state(&view, Colour::Off).ends_with("Outputs\n  enr: \"enr:-x\"\n\nSerial 4 of l.\n"));
        assert_eq!(outputs(&view), "enr = \"enr:-x\"\n");
        assert_eq!(raw(&view.outputs["enr"]), "enr:-x\n");
        assert_eq!(raw(&json!([1])), "[1]\n");
    }
}
