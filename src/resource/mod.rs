//! Resource kinds: one file each, and one line in [`KINDS`].

pub mod act;
pub mod answer;
mod apt;
pub mod connection;
mod exports;
mod filesystem;
pub mod host_kind;
pub mod kind;
mod lockout;
pub mod probe;
pub mod program;
mod reading;
mod ufw;
mod unit_file;

pub mod apt_repository;
pub mod chrony;
pub mod command;
pub mod directory;
pub mod download;
pub mod drift_schedule;
pub mod file;
pub mod firewall;
pub mod firewall_rules;
pub mod group;
pub mod host;
pub mod mock;
pub mod nfs_export;
pub mod nfs_mount;
pub mod packages;
pub mod random_secret;
pub mod script;
pub mod snap;
pub mod sshd;
pub mod swap;
pub mod sysctl;
pub mod system_upgrade;
pub mod systemd_timer;
pub mod systemd_unit;
pub mod timezone;
pub mod user;

pub use act::{Act, ActDone, Content};
pub use answer::Answer;
pub use kind::{
    Action, Change, Endpoint, Facts, Kind, KindError, Observation, Outcome, PlanCx, Step, StepClass, StepCx,
    Verb,
};
pub use probe::Probe;

/// Every kind, sorted by name.
pub static KINDS: &[&dyn Kind] = &[
    &apt_repository::AptRepository,
    &chrony::Chrony,
    &command::Command,
    &directory::Directory,
    &download::Download,
    &drift_schedule::DriftSchedule,
    &file::File,
    &firewall::Firewall,
    &firewall_rules::FirewallRules,
    &group::Group,
    &host::Host,
    &mock::Mock,
    &nfs_export::NfsExport,
    &nfs_mount::NfsMount,
    &packages::Packages,
    &random_secret::RandomSecret,
    &script::Script,
    &snap::Snap,
    &sshd::Sshd,
    &swap::Swap,
    &sysctl::Sysctl,
    &system_upgrade::SystemUpgrade,
    &systemd_timer::SystemdTimer,
    &systemd_unit::SystemdUnit,
    &timezone::Timezone,
    &user::User,
];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|k| k.schema().kind == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coxswain_model::schema::{Class, Presence};

    #[test]
    fn kinds_are_sorted_and_unique() {
        let names: Vec<&str> = KINDS.iter().map(|k| k.schema().kind).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(names.iter().all(|name| find(name).is_some()));
    }

    #[test]
    fn schemas_are_complete() {
        for kind in KINDS {
            let schema = kind.schema();
            assert!(schema.example.contains(&format!("{} \"", schema.kind)), "{}", schema.kind);
            assert!(!schema.summary.is_empty() && !schema.doc.is_empty(), "{}", schema.kind);
            let mut names: Vec<&str> = schema.attributes.iter().map(|a| a.name).collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|a, b| a < b), "{}: {names:?}", schema.kind);
            for attr in schema.attributes {
                let of = format!("{}.{}", schema.kind, attr.name);
                assert!(attr.doc.ends_with('.'), "{of}");
                assert!(attr.class != Class::Identity || attr.presence == Presence::Required, "{of}");
                assert!(
                    !matches!(attr.presence, Presence::Default(_)) || attr.default_value().is_some(),
                    "{of}"
                );
            }
        }
    }
}
