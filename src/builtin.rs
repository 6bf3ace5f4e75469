//! What comes with the program: modules (`source = "builtin:NAME"`) and data (`builtin.ports`). Pure.

use std::sync::LazyLock;

use coxswain_model::{Value, json};

/// How a source names such a module.
pub const PREFIX: &str = "builtin:";

/// A module's files by name.
type Files = &'static [(&'static str, &'static str)];

/// Every module, sorted by name.
pub static MODULES: &[(&str, Files)] = &[
    ("host-baseline", &[("main.hcl", include_str!("../modules/host-baseline/main.hcl"))]),
    ("microk8s-firewall", &[("main.hcl", include_str!("../modules/microk8s-firewall/main.hcl"))]),
    ("nfs-server", &[("main.hcl", include_str!("../modules/nfs-server/main.hcl"))]),
];

/// The files of the module in a directory `builtin:NAME`.
pub fn module(dir: &str) -> Option<Files> {
    let name = dir.strip_prefix(PREFIX)?;
    MODULES.iter().find(|(n, _)| *n == name).map(|(_, files)| *files)
}

/// Names that follow `builtin.`.
pub const NAMES: [&str; 1] = ["ports"];

/// The text of `builtin.ports`, in JSON.
pub const PORTS: &str = include_str!("../modules/ports.json");

/// What a name after `builtin.` stands for.
pub fn value(name: &str) -> Option<Value> {
    static VALUE: LazyLock<Value> = LazyLock::new(|| match serde_json::from_str(PORTS) {
        Ok(ports) => json::from_json(&ports),
        Err(_) => Value::null(),
    });
    (name == "ports").then(|| VALUE.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_sorted_and_have_files() {
        assert!(MODULES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, files) in MODULES {
            assert!(files.iter().all(|(file, _)| file.ends_with(".hcl")), "{name}");
            let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("modules").join(name);
            let listed = std::fs::read_dir(&dir)
                .expect("its directory")
                .filter(|e| e.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|e| e == "hcl")));
            assert_eq!(listed.count(), files.len(), "{name}: every file is embedded");
        }
        assert!(module("builtin:nothing").is_none() && module("./microk8s-firewall").is_none());
    }

    #[test]
    fn ports_are_data() {
        let ports = value("ports").expect("there are ports");
        assert!(ports.as_fields().is_some_and(|f| f.contains_key("microk8s")));
        assert!(value("others").is_none());
    }
}
