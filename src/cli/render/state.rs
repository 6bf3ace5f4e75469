//! The state as people see it, and as JSON.
//!
//! [`StateView`] is what the command line needs of a state, whatever the state crate calls it.

use std::collections::BTreeMap;

use coxswain_model::Address;
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
    pub status: String,
    /// What was applied last; sensitive values as digests.
    pub attributes: BTreeMap<String, Json>,
    /// What it needs.
    pub dependencies: Vec<Address>,
}

/// The instances, one a line; those that are not well with their status.
pub fn list(instances: &[&InstanceView]) -> String {
    instances
        .iter()
        .map(|i| match i.status.as_str() {
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
    push("status", one_line(&it.status));
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
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => format!("{value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::address;
    use super::*;

    fn view() -> StateView {
        let it = |at: &str, status: &str| InstanceView {
            address: address(at),
            uid: "u1".into(),
            host: Some(address("host.a")),
            identity: "/etc/motd".into(),
            status: status.into(),
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
    fn a_state_as_text() {
        let view = view();
        assert_eq!(list(&view.instances.iter().collect::<Vec<_>>()), "file.a\nfile.b  # tainted\n");
        assert_eq!(
            instance(&view.instances[0], Colour::Off),
            "file.a\n  identity: /etc/motd\n  host: host.a\n  status: ok\n  uid: u1\n  needs: host.a\n\
             \x20 attributes:\n    content: (sensitive value)\n    mode: \"0644\"\n"
        );
        assert!(state(&view, Colour::Off).ends_with("Outputs\n  enr: \"enr:-x\"\n\nSerial 4 of l.\n"));
        assert_eq!(outputs(&view), "enr = \"enr:-x\"\n");
        assert_eq!(raw(&view.outputs["enr"]), "enr:-x\n");
        assert_eq!(raw(&json!([1])), "[1]\n");
    }
}
