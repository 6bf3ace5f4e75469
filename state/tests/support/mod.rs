//! What the tests of this crate share: samples, and a disk that stops.

#![expect(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod conformance;
pub(crate) mod disk;
pub(crate) mod work;

use coxswain_model::Address;
use coxswain_state::*;
use serde_json::json;
use zeroize::Zeroizing;

pub(crate) const AT: &str = "2026-11-26T06:00:00Z";

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

pub(crate) fn owner() -> Owner {
    Owner {
        user: "ann".into(),
        host: "desk".into(),
        pid: std::process::id(),
        command: "coxswain apply".into(),
        started: AT.into(),
    }
}

pub(crate) fn fresh() -> Fresh {
    Fresh { lineage: "3b241101-e2bb-4255-8caf-4136c566a962".into(), key: Zeroizing::new([7; KEY_BYTES]) }
}

pub(crate) fn record(uid: &str, content: &str) -> Record {
    let mut record = Record::new(uid, "file", format!("/etc/{uid}"));
    record.attributes.insert("content".into(), json!(content));
    record.attributes.insert("ratio".into(), json!(0.1));
    record
}

pub(crate) fn begin(run: &str) -> RunBegin {
    RunBegin { run: run.into(), command: "coxswain apply".into(), plan: "sha256:00".into(), at: AT.into() }
}

pub(crate) fn intent(name: &str, verb: &str) -> Intent {
    Intent {
        step: format!("file.{name}#{verb}"),
        address: address(&format!("file.{name}")),
        verb: verb.into(),
        expects: vec!["f:1".into()],
        record: (verb == "create").then(|| record(name, "would be")),
        at: AT.into(),
    }
}

pub(crate) fn put(name: &str, content: &str) -> Change {
    Change::Put { address: address(&format!("file.{name}")), record: Box::new(record(name, content)) }
}

pub(crate) fn outcome(name: &str, verb: &str, changes: Vec<Change>) -> Outcome {
    Outcome { step: format!("file.{name}#{verb}"), result: StepEnd::Done, changes, at: AT.into() }
}

/// One of everything.
pub(crate) fn sample() -> State {
    let mut state = State::new("3b241101-e2bb-4255-8caf-4136c566a962");
    state.serial = 3;
    state.digest_key = Some("0011223344556677".into());
    let mut motd = record("u1", "hello\nworld");
    motd.before = Some(Before::Absent);
    motd.endpoint = Some("h1".into());
    state.instances.insert(address("file.motd"), motd);
    let mut keyed = record("u2", "");
    keyed.attributes.insert("secret".into(), json!({"$digest": "hmac-sha256:00"}));
    let mut before = serde_json::Map::new();
    before.insert("content".into(), json!({"$blob": "sha256:00"}));
    keyed.before = Some(Before::Present(before));
    keyed.depends_on = vec!["u1".into()];
    keyed.status = Status::Waiting;
    keyed.since = Some(AT.into());
    keyed.waiting_on = vec!["bob".into()];
    keyed.handle = Some(json!({"n": 1}));
    keyed.on_destroy = OnDestroy::Forbid;
    keyed.other_ports = vec![22, 2222];
    state.instances.insert(address("module.m[\"a.b\"].file.k[0]"), keyed);
    state.claims.insert(ClaimKey::new("validator_key", "0xab"), Claim::held("u1"));
    state
        .outputs
        .insert("ip".into(), OutputRecord { value: json!(["10.0.0.1", 2.5, null]), sensitive: false });
    let open = OpenIntent {
        run: "r1".into(),
        step: "file.motd#update".into(),
        verb: "update".into(),
        uid: "u1".into(),
        identity: "/etc/u1".into(),
        at: AT.into(),
    };
    state.indeterminate.insert(address("file.motd"), open);
    state
}

pub(crate) fn open(dir: &std::path::Path) -> Result<Store, Error> {
    Store::open(Box::new(LocalBackend::new(dir)), &owner(), fresh())
}
