//! Tests of `chrony`.

use super::*;
use crate::resource::answer::{Answer, SaidAnswer};
use crate::resource::kind::StepClass::{Danger, InPlace, Restart};
use crate::resource::reading::fixture::{argv, change, check as planned, obj, observe};

/// As chrony 4.3 on Debian 12 says it, with a source of ours. `tracking` and `source` are of the vectors'
/// `time/chrony_22_csv.txt`.
const SAID: &str = "chrony=yes\nversion=4.3\nvalid=yes\nset=maxupdateskew 100.0\nset=makestep 1 3\nsourcedir=yes\n\
    default=pool 2.debian.pool.ntp.org iburst\nours=pool pool.ntp.org iburst maxsources 3\nloaded=yes\n\
    tracking=AC140A0A,172.20.10.10,9,1795221689.943282399,0.000049560,-0.000019976,0.000139499,4.022,-0.038,44.724,0.001551477,0.000279408,2.0,Normal\n\
    source=^,*,172.20.10.10,8,1,377,1,-0.000061834,-0.000081810,0.000872927\n";
/// `time/chrony_01_tracking.txt`.
const UNSYNCHRONISED: &str = "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised";

fn look(asked: Json, text: &str) -> Observation {
    let answer = Answer::Said(SaidAnswer { code: 0, text: text.into() });
    observe(&Chrony, asked, vec![(probe(), answer)])
}

#[track_caller]
fn there(asked: Json, text: &str) -> Json {
    let Observation::Present(found) = look(asked, text) else { panic!("nothing is understood of {text}") };
    coxswain_model::json::to_json(&Value::object(found))
}

#[test]
fn observed() {
    let expected = json!({
        "pools": [{ "address": "pool.ntp.org", "maxsources": 3 }], "servers": [], "default_sources": true,
        "maxupdateskew": 100, "makestep": { "threshold": 1, "limit": 3 }, "loaded": true, "synchronised": true,
        "offset": 0.00004956, "reachable": 1, "problem": null, "reloads": true,
    });
    assert_eq!(there(json!({}), SAID), expected);
    assert_eq!(look(json!({}), "chrony=no\n"), Observation::Absent);
    for strange in [
        SAID.replace(",Normal", ""),
        SAID.replace(",377,", ",389,"),
        SAID.replace("loaded=yes", "loaded=perhaps"),
        SAID.replace("version=4.3\n", ""),
        "/etc/chrony/chrony.conf cannot be read\n".into(),
    ] {
        assert!(matches!(look(json!({}), &strange), Observation::Unknown(_)), "{strange}");
    }
}

#[test]
fn what_is_written_otherwise_and_means_the_same_is_no_difference() {
    let pools = json!([{ "address": "pool.ntp.org", "iburst": true, "maxsources": 3, "minpoll": null }]);
    assert_eq!(there(json!({ "pools": pools }), SAID)["pools"], pools);
    let other = json!([{ "address": "pool.ntp.org" }]);
    assert_eq!(there(json!({ "pools": other }), SAID)["pools"][0]["maxsources"], 3);
}

#[test]
fn the_last_setting_counts_and_one_that_is_not_valid_is_none() {
    let twice = SAID.replace("set=makestep 1 3\n", "set=makestep 1 3\nset=makestep 0.1 -1\n");
    assert_eq!(there(json!({}), &twice)["makestep"], json!({ "threshold": 0.1, "limit": -1 }));
    let reason = "Too many arguments for maxupdateskew directive at line 1 in file a.conf";
    let bad = SAID
        .replace("valid=yes", &format!("valid=no\nerror={reason}"))
        .replace("skew 100.0", "skew 5.0 # The threshold");
    let found = there(json!({}), &bad);
    assert_eq!(
        (&found["maxupdateskew"], &found["loaded"], &found["problem"]),
        (&Json::Null, &json!(false), &json!(reason))
    );
}

#[test]
fn synchronised_is_what_is_asked() {
    let with = |from: &str, to: &str| SAID.replace(from, to);
    let of = |asked: Json, text: &str| there(asked, text)["synchronised"].clone();
    let tracking = SAID.lines().find(|l| l.starts_with("tracking")).expect("there is a line");
    assert_eq!(of(json!({}), &with(tracking, &format!("tracking={UNSYNCHRONISED}"))), false);
    assert_eq!(of(json!({}), &with("AC140A0A", ITSELF)), false);
    assert_eq!(of(json!({}), &with("0.000049560", "-0.2")), false);
    assert_eq!(of(json!({ "max_offset": 0.5 }), &with("0.000049560", "-0.2")), true);
    assert_eq!(of(json!({ "min_sources": 2 }), SAID), false);
    // A daemon that is down says nothing.
    let down =
        SAID.lines().filter(|l| !l.starts_with("tracking") && !l.starts_with("source=")).collect::<Vec<_>>();
    assert_eq!(of(json!({}), &down.join("\n")), false);
    assert_eq!(Chrony.gate(SYNCHRONISED, &obj(json!({})), &Answers::new()), GateState::Need(vec![probe()]));
    let answer = |text: String| Answers::from([(probe(), Answer::Said(SaidAnswer { code: 0, text }))]);
    assert_eq!(Chrony.gate(SYNCHRONISED, &obj(json!({})), &answer(SAID.into())), GateState::Open);
    let wrong = answer(with("0.000049560", "-0.2"));
    let closed = GateState::Closed("it is wrong by -0.200 s, more than 0.1 s".into());
    assert_eq!(Chrony.gate(SYNCHRONISED, &obj(json!({})), &wrong), closed);
}

#[track_caller]
fn given_to(act: &Act) -> String {
    let Act::Run { input: Some(content), .. } = act else { panic!("{act:?} is given nothing") };
    String::from_utf8(content.bytes().to_vec()).expect("it is text")
}

#[test]
fn sources_alone_need_no_restart() {
    let wants = json!({ "pools": [{ "address": "a.b", "minpoll": 6, "options": ["trust"] }],
                        "servers": [{ "address": "172.20.10.1", "iburst": false, "prefer": true }],
                        "makestep": { "threshold": 0.1, "limit": 3 } });
    let seen = |loaded: bool| json!({ "loaded": loaded, "reloads": true });
    let at = |action, loaded, differing: &[&str]| {
        change(action, json!({})).wants(wants.clone()).sees(seen(loaded), differing)
    };
    let reloaded = at(Action::Adopt, true, &["pools", "servers"]);
    let acts = planned(&Chrony, &reloaded, &[("set chrony's pools and servers, without a restart", InPlace)]);
    assert_eq!(argv(&acts[0])[3..], ["configure chrony", "keep", "reload", "keep"]);
    let text = "makestep 0.1 3\npool a.b iburst minpoll 6 trust\nserver 172.20.10.1 prefer\n";
    assert_eq!(given_to(&acts[0]), text);

    let behind = at(Action::Update, false, &["pools", "loaded"]);
    let acts = planned(&Chrony, &behind, &[("set chrony's pools, and restart it", Restart)]);
    assert_eq!(argv(&acts[0])[3..], ["configure chrony", "keep", "restart", "keep"]);
    let dead = at(Action::Update, false, &["loaded"]);
    let title = "restart chrony, which does not run with its configuration";
    assert_eq!(given_to(&planned(&Chrony, &dead, &[(title, Restart)])[0]), text);

    let waits = json!({ "default_sources": false, "synchronised": true, "synchronise_within": 9 });
    let waits = change(Action::Update, json!({})).wants(waits).sees(seen(true), &["default_sources"]);
    let titles = [
        ("set chrony's default sources, and restart it", Restart),
        ("wait until the clock is synchronised", InPlace),
    ];
    assert_eq!(
        argv(&planned(&Chrony, &waits, &titles)[0])[3..],
        ["configure chrony", "off", "restart", "keep"]
    );
    let title = "wait until the clock is synchronised";
    let lost = |offset: Json, wants: &Json| {
        let sees = json!({ "synchronised": false, "loaded": true, "reloads": true, "offset": offset });
        change(Action::Update, json!({})).wants(wants.clone()).sees(sees, &["synchronised"])
    };
    let wants_clock = json!({ "synchronised": true, "makestep": { "threshold": 0.1, "limit": 3 } });
    for (offset, wants, (first, class), argument) in [
        (
            json!(-217_850_112.25),
            &wants_clock,
            ("set the clock at once, which is wrong by 217850112.250 s", Danger),
            "0.1",
        ),
        (
            Json::Null,
            &wants_clock,
            ("ask all of chrony's sources, and set the clock at once if it is wrong by 0.1 s", Danger),
            "0.1",
        ),
        (json!(5.0), &json!({ "synchronised": true }), ("have chrony ask all of its sources", InPlace), ""),
    ] {
        let acts = planned(&Chrony, &lost(offset, wants), &[(first, class), (title, InPlace)]);
        assert_eq!(argv(&acts[0])[3..], ["chronyc online", argument]);
    }

    let gone = change(Action::Delete, json!({})).had(wants.clone()).sees(seen(true), &[]);
    let acts =
        planned(&Chrony, &gone, &[("take away what coxswain configured of chrony, and restart it", Restart)]);
    assert_eq!((given_to(&acts[0]).as_str(), argv(&acts[0])[4]), ("", "on"));
}

#[test]
fn arguments_are_checked() {
    let found = |args: Json| {
        Chrony.check(&obj(args)).iter().map(|d| format!("{}: {}", d.code, d.summary)).collect::<Vec<_>>()
    };
    let good = json!({ "pools": [{ "address": "pool.ntp.org", "maxsources": 3 }],
                       "servers": [{ "address": "172.20.10.1", "minpoll": 1, "maxpoll": 2 }] });
    assert_eq!(found(good), Vec::<String>::new());
    let google = json!({ "servers": [{ "address": "time1.google.com" }], "default_sources": false });
    assert_eq!(found(google), Vec::<String>::new());
    for (args, problem) in [
        (json!({ "servers": [{ "address": "a b" }] }), "bad-chrony: `a b` in `servers` is not one word"),
        (
            json!({ "pools": [{ "address": "a.b", "options": ["x\ny"] }] }),
            "bad-chrony: `x\\ny` in `pools` is not one word",
        ),
        (
            json!({ "pools": [{ "address": "a.b", "minpoll": 1 }] }),
            "impolite-polling: a.b is asked more often than every 16 s",
        ),
        (
            json!({ "servers": [{ "address": "time.google.com" }] }),
            "mixed-leap-seconds: time.google.com is mixed with the distribution's own sources",
        ),
        (json!({ "default_sources": false }), "bad-chrony: the clock would have no source"),
        (json!({ "maxupdateskew": 0 }), "bad-chrony: `maxupdateskew` is not more than 0"),
        (json!({ "min_sources": 0 }), "bad-chrony: `min_sources` is not between 1 and 100"),
        (json!({ "synchronised": false }), "bad-chrony: nobody wants a clock that is not synchronised"),
    ] {
        assert_eq!(found(args), [problem]);
    }
}

#[test]
fn found_where_it_runs_with_its_configuration() {
    let found = |text: &str| {
        let said = Answer::Said(SaidAnswer { code: 0, text: text.into() });
        HostKind::discover(&Chrony, &Facts::default(), &Answers::from([(probe(), said)]))
    };
    let none = HostKind::discover(&Chrony, &Facts::default(), &Answers::new());
    assert_eq!(none, Discovery::Need(vec![probe()]));
    assert_eq!(found(SAID), Discovery::Found(vec![Object::new()]));
    assert_eq!(found("chrony=no\n"), Discovery::Found(Vec::new()));
    for strange in [
        SAID.replace("loaded=yes", "loaded=no"),
        SAID.replace("valid=yes", "valid=no\nerror=a reason"),
        SAID.replace("valid=yes", "valid=perhaps"),
    ] {
        assert!(matches!(found(&strange), Discovery::Unknown(_)), "{strange}");
    }
}

#[test]
fn nobody_who_adopts_asks_for_a_synchronised_clock() {
    let Observation::Present(seen) = look(json!({}), SAID) else { panic!("nothing is understood") };
    let shown = HostKind::portray(&Chrony, &seen);
    assert!(seen.contains_key("synchronised") && !shown.contains_key("synchronised"), "{shown:?}");
}
