//! Tests of `snap`.

use super::*;
use crate::resource::answer::{Answer, SaidAnswer};
use crate::resource::kind::StepClass::{Danger, InPlace, Restart};
use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe, refused};

/// The vectors' `snap/snap_02_api.txt`: snapd 2.78 of Ubuntu 24.04.
const NONE: &str = r#"{"type":"error","status-code":404,"status":"Not Found","result":{"message":"snap not installed","kind":"snap-not-found","value":"microk8s"},"maintenance":{"message":"daemon is stopping to wait for socket activation","kind":"daemon-restart"}}"#;
/// Written from the API's description: the vectors hold no installed snap.
const THERE: &str = r#"{"type":"sync","status-code":200,"status":"OK","result":{"name":"helm","version":"3.1","revision":"450","channel":"3/stable","tracking-channel":"3/stable","confinement":"classic","status":"active","hold":"2315-08-30T01:51:48Z"}}"#;

fn look(rest: &str) -> Observation {
    let text = format!("snapd=yes\nnow=2026-11-26T16:00:00Z\nversion=2.78\n{rest}\n");
    let asked = json!({ "name": "helm", "channel": "3/stable" });
    observe(&Snap, asked, vec![(probe("helm"), Answer::Said(SaidAnswer { code: 0, text }))])
}

#[track_caller]
fn there(rest: &str) -> Json {
    let Observation::Present(found) = look(rest) else { panic!("nothing is understood of {rest}") };
    coxswain_model::json::to_json(&Value::object(found))
}

#[test]
fn observed() {
    let expected = json!({
        "name": "helm", "channel": "3/stable", "classic": true, "hold": true, "revision": "450", "version": "3.1",
        "status": "active",
    });
    assert_eq!(there(&format!("json={THERE}")), expected);
    assert_eq!(there("row=helm 3.1 450 3/stable snapcrafters✪ classic,held"), expected);
    assert_eq!(look(&format!("json={NONE}")), Observation::Absent);
    assert_eq!(look("none=yes"), Observation::Absent);
    let over = THERE.replace("2315-08-30", "2026-11-20");
    assert_eq!(there(&format!("json={over}"))["hold"], false);
    let branch = THERE.replace("tracking-channel\":\"3/stable", "tracking-channel\":\"latest/edge");
    assert_eq!(there(&format!("json={branch}"))["channel"], "latest/edge");
    // snapd 2.68 of Debian 13, of a snap from a file.
    let tracks = r#""channel":"3/stable","tracking-channel":"3/stable""#;
    let local = THERE.replace(tracks, r#""channel":"""#);
    assert_eq!(there(&format!("json={local}"))["channel"], Json::Null);
    assert_eq!(there("row=helm 3.1 x1 - - classic,held")["channel"], Json::Null);
    let switched = THERE.replace(tracks, r#""channel":"","tracking-channel":"3/stable""#);
    assert_eq!(there(&format!("json={switched}"))["channel"], "3/stable");
    for strange in [
        "",
        "json=",
        "json={}",
        "json=[]",
        "row=helm 3.1",
        "row=helm 3.1 450 3/sta… a classic",
        "none=yes\nrow=helm 3.1 450 3/stable a classic",
        &format!("json={}", NONE.replace("snap-not-found", "login-required")),
    ] {
        assert!(matches!(look(strange), Observation::Unknown(_)), "{strange:?}");
    }
    let gone = Answer::Said(SaidAnswer { code: 0, text: "snapd=no\n".into() });
    assert_eq!(observe(&Snap, json!({ "name": "helm" }), vec![(probe("helm"), gone)]), Observation::Absent);
}

#[test]
fn channels_have_one_name() {
    for (written, meant) in [
        ("stable", "latest/stable"),
        ("1.32", "1.32/stable"),
        ("edge/fix", "latest/edge/fix"),
        ("1.32/edge", "1.32/edge"),
    ] {
        assert_eq!(full(written), meant);
    }
}

fn wants() -> Json {
    json!({ "name": "helm", "channel": "3", "classic": true, "hold": true })
}

fn id() -> Json {
    json!({ "name": "helm" })
}

#[track_caller]
fn words(acts: &[Act]) -> Vec<String> {
    acts.iter().map(|act| argv(act)[4..].join(" ")).collect()
}

#[test]
fn installed_refreshed_and_held() {
    let made = change(Action::Create, id()).wants(wants());
    let acts = planned(&Snap, &made, &[("install the snap helm from 3", InPlace)]);
    assert_eq!(words(&acts), ["install helm --channel=3/stable --classic", "refresh helm --hold=forever"]);
    let seen = there(&format!("json={THERE}"));
    let moved = json!({ "name": "helm", "channel": "4/stable" });
    let moved = change(Action::Update, id()).wants(moved).sees(seen.clone(), &["channel"]);
    let title = "refresh the snap helm to 4/stable, which restarts its services";
    assert_eq!(words(&planned(&Snap, &moved, &[(title, Restart)])), ["refresh helm --channel=4/stable"]);
    let free = json!({ "name": "helm", "channel": "3", "hold": false });
    let free = change(Action::Update, id()).wants(free).sees(seen.clone(), &["hold"]);
    assert_eq!(
        words(&planned(&Snap, &free, &[("set hold of the snap helm", InPlace)])),
        ["refresh helm --unhold"]
    );
    let confined = change(Action::Adopt, id()).wants(wants()).sees(seen, &["classic"]);
    assert_eq!(refused(&Snap, &confined), "the confinement of helm is another");
}

#[test]
fn removed_or_given_back() {
    let seen = there(&format!("json={THERE}"));
    let gone = |prior: Json| change(Action::Delete, id()).had(prior).sees(seen.clone(), &[]);
    let title = "remove the snap helm; snapd keeps a snapshot of its data for 31 days";
    let acts = planned(&Snap, &gone(wants()).was(Json::Null), &[(title, InPlace)]);
    assert_eq!(words(&acts), ["remove helm"]);
    let with_data = json!({ "name": "helm", "channel": "3", "destroy_data": true });
    let title = "remove the snap helm and all of its data";
    let acts = planned(&Snap, &gone(with_data).was(Json::Null), &[(title, Danger)]);
    assert_eq!(words(&acts), ["remove helm --purge"]);
    let first = json!({ "name": "helm", "channel": "2/stable", "hold": false });
    let title = "give the snap helm its channel and hold back";
    let acts = planned(&Snap, &gone(wants()).was(first), &[(title, InPlace)]);
    assert_eq!(words(&acts), ["refresh helm --channel=2/stable", "refresh helm --unhold"]);
    // The same channel by another name is no reason to restart anything.
    let full = json!({ "name": "helm", "channel": "3/stable", "hold": true });
    let mut same = gone(wants()).was(full);
    same.observed = Some(obj(json!({ "name": "helm", "channel": "3", "hold": true })));
    let acts = planned(&Snap, &same, &[("leave the snap helm as it is", InPlace)]);
    assert_eq!(words(&acts), Vec::<String>::new());
}

#[test]
fn arguments_are_checked() {
    let found = |more: Json| {
        let mut all = json!({ "name": "helm", "channel": "3/stable" });
        all.as_object_mut()
            .into_iter()
            .for_each(|all| all.extend(more.as_object().cloned().unwrap_or_default()));
        Snap.check(&obj(all)).len()
    };
    assert_eq!(found(json!({ "name": "lxd_other", "channel": "5.21/stable/fix-1", "revision": "7" })), 0);
    for bad in [
        json!({ "name": "--purge" }),
        json!({ "name": "a b" }),
        json!({ "channel": "a//b" }),
        json!({ "channel": "-x" }),
        json!({ "revision": "x1" }),
    ] {
        assert_eq!(found(bad.clone()), 1, "{bad}");
    }
}
