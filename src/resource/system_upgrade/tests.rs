//! Tests of `system_upgrade`.

use super::*;
use crate::resource::answer::{Answer, SaidAnswer};
use crate::resource::kind::StepClass::{InPlace, Reboot, Restart};
use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, plan, refused};
use serde_json::Value as Json;

/// Lines of apt 2.8 on Ubuntu 24.04, from the vectors' `apt/apt_05_sim_upgrade.txt`.
const JQ: &str = "Inst jq [1.7.1-3build1] (1.7.1-3ubuntu0.24.04.2 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64]) []";
const SAID: &str = "now=1000000\nlists=996400\nline=Inst jq [1.7.1-3build1] (1.7.1-3ubuntu0.24.04.2 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64]) []\n\
    line=Inst linux-image-6.1.0-49-amd64 (6.1.1 Debian:12/stable [amd64])\nline=Remv old [1]\nkept=held\n";
const NONE: &str = "now=1000000\nlists=996400\n";

fn look(asked: Json, text: &str) -> Observation {
    let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
    observe(&SystemUpgrade, asked.clone(), vec![(probe(&obj(asked)), answer)])
}

#[track_caller]
fn there(asked: Json, text: &str) -> Json {
    let Observation::Present(found) = look(asked, text) else { panic!("nothing is understood of {text}") };
    coxswain_model::json::to_json(&Value::object(found))
}

#[test]
fn observed() {
    let expected = json!({
        "up_to_date": false, "rebooted": true, "unneeded": [], "kept_back": ["held"], "lists_date": 996_400,
        "lists_age": 3600, "reboot_because": [],
        "pending": ["Inst jq 1.7.1-3ubuntu0.24.04.2", "Inst linux-image-6.1.0-49-amd64 6.1.1", "Remv old"],
    });
    assert_eq!(there(json!({}), SAID), expected);
    let fixes = there(json!({ "security_only": true }), SAID);
    assert_eq!(fixes["pending"], json!(["Inst jq 1.7.1-3ubuntu0.24.04.2"]));
    assert_eq!(there(json!({}), NONE)["up_to_date"], true);
    assert_eq!(there(json!({ "max_age": 60 }), NONE)["up_to_date"], false);
    let never = there(json!({}), "now=1\nlists=0\n");
    assert_eq!((&never["up_to_date"], &never["lists_age"]), (&json!(false), &Json::Null));
    let unneeded = there(json!({ "autoremove": true }), &format!("{NONE}unneeded=old\n"));
    assert_eq!(unneeded["up_to_date"], false);
    for strange in [
        "",
        "E: Unable to lock\n",
        "now=1\nlists=x\n",
        "now=1\nlists=1\nline=Inst jq\n",
        "now=1\nlists=1\nline=Foo a\n",
    ] {
        assert!(matches!(look(json!({}), strange), Observation::Unknown(_)), "{strange:?}");
    }
    let broken = look(json!({}), &format!("{NONE}broken=jq\n"));
    let reason = "jq is half-installed: run `dpkg --configure -a` on the host";
    assert_eq!(broken, Observation::Unknown(reason.into()));
}

#[test]
fn a_reboot_counts_where_it_is_wanted() {
    let needs = format!("{NONE}needs=linux-image-virtual \n");
    assert_eq!(there(json!({}), &needs)["rebooted"], true);
    let wanted = there(json!({ "reboot": "when_required" }), &needs);
    assert_eq!(
        (&wanted["rebooted"], &wanted["reboot_because"]),
        (&json!(false), &json!(["linux-image-virtual"]))
    );
}

#[test]
fn lines_of_a_simulation() {
    assert_eq!(work(JQ), Ok(("Inst jq 1.7.1-3ubuntu0.24.04.2".into(), Security::Yes)));
    let debian = "Inst base-files [12.4] (12.4+deb12u1 Debian:12.1/stable, Debian-Security:12/stable-security [amd64])";
    assert_eq!(work(debian).map(|(_, fix)| fix), Ok(Security::Yes));
    assert_eq!(work("Purg old [1] [x]"), Ok(("Remv old".into(), Security::No)));
}

#[test]
fn what_the_vectors_hold_is_understood() {
    let root = std::env::var("COXSWAIN_VECTORS").unwrap_or_else(|_| "../shared/vectors".into());
    let directory = std::path::Path::new(&root).join("hosts/apt");
    let read = |name: &str| std::fs::read_to_string(directory.join(name));
    let (Ok(said), Ok(expected)) = (read("apt_06_sim_dist.txt"), read("apt_06_sim_dist.expected.json"))
    else {
        println!("skipped: no vectors in {}", directory.display());
        return;
    };
    let expected: Vec<Json> = serde_json::from_str(&expected).expect("the expected parse is JSON");
    let field = |e: &Json, name: &str| e[name].as_str().unwrap_or_default().to_owned();
    let expected: Vec<String> =
        expected.iter().map(|e| format!("Inst {} {}", field(e, "package"), field(e, "candidate"))).collect();
    let found: Vec<String> = said
        .lines()
        .filter(|l| l.starts_with("Inst "))
        .map(|l| work(l).expect("it is understood").0)
        .collect();
    assert_eq!(found, expected);
}

fn wants(more: Json) -> Json {
    let mut all = json!({ "mode": "full", "max_age": 604_800, "reboot": "when_required", "group": "g" });
    all.as_object_mut().into_iter().for_each(|all| all.extend(more.as_object().cloned().unwrap_or_default()));
    all
}

#[test]
fn exactly_what_the_plan_names_is_upgraded() {
    let seen = there(json!({}), SAID);
    let refusing =
        change(Action::Update, json!({})).wants(wants(json!({}))).sees(seen.clone(), &["up_to_date"]);
    assert_eq!(refused(&SystemUpgrade, &refusing), "the upgrade would remove old");
    let allowed = wants(json!({ "allow_removals": true }));
    let allowed = change(Action::Update, json!({})).wants(allowed).sees(seen, &["up_to_date"]);
    let titles = [
        (
            "upgrade jq and linux-image-6.1.0-49-amd64, by package lists of 60 minutes ago; remove old",
            Restart,
        ),
        ("reboot, which linux-image-6.1.0-49-amd64 will need", Reboot),
    ];
    let acts = planned(&SystemUpgrade, &allowed, &titles);
    let words = ["system upgrade", "dist-upgrade", "all", "keep", "removals", "as-planned"];
    assert_eq!(argv(&acts[0])[3..], words);
    let Act::Run { input: Some(seen), .. } = &acts[0] else { panic!("it is told what the plan saw") };
    let expected = "Inst jq 1.7.1-3ubuntu0.24.04.2\nInst linux-image-6.1.0-49-amd64 6.1.1\nRemv old\n";
    assert_eq!(seen.bytes(), expected.as_bytes());
    let steps = plan(&SystemUpgrade, &allowed).expect("it can be planned");
    assert!(steps.iter().all(|s| s.holds == ["upgrade of g"]), "{steps:?}");
}

#[test]
fn old_lists_are_refreshed_first_and_a_needed_reboot_alone_is_one_step() {
    let old = there(json!({}), "now=1000000\nlists=1\n");
    let old = change(Action::Adopt, json!({})).wants(wants(json!({}))).sees(old, &["up_to_date"]);
    let title = "refresh package lists of 11 days ago and upgrade what is pending then";
    let acts = planned(&SystemUpgrade, &old, &[(title, Restart)]);
    assert_eq!(argv(&acts[0])[8], "refresh");

    let asked = json!({ "reboot": "when_required" });
    let seen = there(asked, &format!("{NONE}needs=kernel 6.1.0-49-amd64\n"));
    let due = change(Action::Update, json!({})).wants(wants(json!({}))).sees(seen, &["rebooted"]);
    planned(&SystemUpgrade, &due, &[("reboot, which kernel 6.1.0-49-amd64 needs", Reboot)]);

    let gone = change(Action::Delete, json!({})).had(wants(json!({})));
    let title = "leave the packages as they are: an upgrade cannot be given back";
    assert_eq!(planned(&SystemUpgrade, &gone, &[(title, InPlace)]), []);
}

#[test]
fn arguments_are_checked() {
    let found = |args: Json| SystemUpgrade.check(&obj(args)).len();
    assert_eq!(found(json!({ "mode": "full", "allow_removals": true, "max_age": 0 })), 0);
    for bad in [
        json!({ "max_age": -1 }),
        json!({ "max_age": 0.5 }),
        json!({ "mode": "safe", "allow_removals": true }),
        json!({ "rebooted": false }),
    ] {
        assert_eq!(found(bad.clone()), 1, "{bad}");
    }
}
