//! Resource kinds: one file each, and one line in [`KINDS`].
//!
//! What `coxswain adopt` finds of a kind is said by the kind itself, in [`Kind::discover`]: the names of the objects
//! that an administrator has made (never what the system or a package brought). Most kinds ask one program that only
//! reads, below `read/`, which prints lines `key=value` that `reading::said_objects` takes in. Everything else
//! follows from the schema and from [`Kind::observe`]; a kind whose observation is no valid set of arguments (two
//! attributes that exclude each other) says in [`Kind::portray`] which of it are written. A kind without names that
//! can be found (`file`) leaves the hook alone.

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

    /// The names of the objects that a kind finds where its program says this.
    fn found(kind: &str, program: &str, text: &str) -> Result<Vec<String>, String> {
        let kind = find(kind).expect("a kind");
        let kind::Discovery::Need(probes) = kind.discover(&Facts::default(), &kind::Answers::new()) else {
            panic!("it asks nothing")
        };
        assert!(matches!(&probes[..], [Probe::Says { program: p, .. }] if p.name == program), "{probes:?}");
        let said = answer::SaidAnswer { code: 0, text: text.into() };
        let answers = kind::Answers::from([(probes[0].clone(), Answer::Said(said))]);
        match kind.discover(&Facts::default(), &answers) {
            kind::Discovery::Found(objects) => {
                let values = objects.iter().flat_map(|o| o.values());
                Ok(values.map(|v| coxswain_model::json::to_json(v).to_string()).collect())
            }
            kind::Discovery::Unknown(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_administrator_made_is_found() {
        let check = |kind, program, text, names: &[&str]| {
            assert_eq!(
                found(kind, program, text),
                Ok(names.iter().map(|n| format!("\"{n}\"")).collect()),
                "{kind}"
            );
        };
        let accounts =
            "user=0 root\nuser=999 s\nuser=1000 b\nuser=59999 a\nuser=60000 x\ngroup=1000 g\ngroup=4 adm\n";
        check("user", "accounts", accounts, &["a", "b"]);
        check("group", "accounts", accounts, &["g"]);
        check("user", "accounts", "", &[]);
        check(
            "systemd_unit",
            "own_units",
            "unit=a.service\nunit=b@.service\nunit=b@1.timer\nunit=x.txt\nunit=a b.service\n",
            &["a.service", "b@1.timer"],
        );
        check(
            "sysctl",
            "sysctl_keys",
            "key=a.b\nkey=a/b.c/d\nkey=a.*.b\nkey=a.b\nkey=net.x/y\n",
            &["a.b", "a.b/c.d", "net.x/y"],
        );
        check("snap", "snaps", "snap=helm\nsnap=go\n", &["go", "helm"]);
        check("snap", "snaps", "", &[]);
        let packages = "manual=b\nmanual=a\nmanual=base\nbase=base\nbase=other\n";
        assert_eq!(found("packages", "manual_packages", packages), Ok(vec!["[\"a\",\"b\"]".into()]));
    }

    #[test]
    fn what_is_not_understood_finds_nothing() {
        for (kind, program) in [
            ("chrony", "chrony"),
            ("user", "accounts"),
            ("group", "accounts"),
            ("packages", "manual_packages"),
            ("snap", "snaps"),
            ("sysctl", "sysctl_keys"),
            ("systemd_unit", "own_units"),
        ] {
            assert!(found(kind, program, "sh: no\n").is_err(), "{kind}");
        }
        for strange in ["user=x a\n", "user=1000\n", "user=-1 a\n", "user=99999999999 a\n"] {
            assert!(found("user", "accounts", strange).is_err(), "{strange}");
        }
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
