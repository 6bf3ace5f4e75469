//! Documents of beacon nodes: what a chain is, events, errors.

use std::time::Duration;

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::{ErrorBody, HeadEvent, IndexedFailure, ReorgEvent};
use coxswain_dv_eth::beacon::ChainEvent;
use coxswain_dv_eth::client::Problem;
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::{FAR_FUTURE, Fork};
use coxswain_dv_eth::spec::{ForkRow, Genesis, Spec, SpecError, schedule};
use coxswain_dv_eth::time::Time;
use serde_json::{Value as Json, json};

#[path = "../../dv-types/tests/support/vectors.rs"]
mod vectors;

fn genesis() -> Genesis {
    Genesis {
        genesis_time: 1_638_993_340,
        genesis_validators_root: Bytes([7; 32]),
        genesis_fork_version: Bytes([0, 0, 0, 0x64]),
    }
}

/// The numbers of Gnosis, as far as they are looked at, with a fork that nobody knows yet.
fn gnosis() -> Json {
    json!({
        "CONFIG_NAME": "gnosis",
        "PRESET_BASE": "gnosis",
        "SECONDS_PER_SLOT": "5",
        "SLOTS_PER_EPOCH": "16",
        "SYNC_COMMITTEE_SIZE": "512",
        "GENESIS_FORK_VERSION": "0x00000064",
        "ALTAIR_FORK_VERSION": "0x01000064",
        "ALTAIR_FORK_EPOCH": "512",
        "BELLATRIX_FORK_VERSION": "0x02000064",
        "BELLATRIX_FORK_EPOCH": "385536",
        "CAPELLA_FORK_VERSION": "0x03000064",
        "CAPELLA_FORK_EPOCH": 648_704,
        "DENEB_FORK_VERSION": "0x04000064",
        "DENEB_FORK_EPOCH": "889856",
        "ELECTRA_FORK_VERSION": "0x05000064",
        "ELECTRA_FORK_EPOCH": "1337856",
        "FULU_FORK_VERSION": "0x06000064",
        "FULU_FORK_EPOCH": "18446744073709551615",
        "GLOAS_FORK_VERSION": "0x07000064",
        "GLOAS_FORK_EPOCH": "2000000",
        "HEZE_FORK_EPOCH": "18446744073709551615",
        "BLOB_SCHEDULE": [{"EPOCH": "1", "MAX_BLOBS_PER_BLOCK": "2"}],
        "SOMETHING": null,
    })
}

fn read(document: &Json) -> Result<Chain, SpecError> {
    let spec: Spec = serde_json::from_value(document.clone()).expect("a configuration");
    spec.chain(&genesis())
}

fn changed(name: &str, value: Option<&str>) -> Json {
    let mut document = gnosis();
    let fields = document.as_object_mut().expect("fields");
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value.into())),
        None => drop(fields.remove(name)),
    }
    document
}

#[test]
fn a_chain_is_read() {
    let chain = read(&gnosis()).expect("a chain");
    assert_eq!(chain.clock.slot, Duration::from_secs(5));
    assert_eq!(chain.clock.slots_per_epoch, 16);
    assert_eq!(chain.clock.genesis, Time::from_secs(1_638_993_340));
    assert_eq!(chain.genesis_validators_root, [7; 32]);
    for (epoch, fork) in [
        (0, Fork::Phase0),
        (511, Fork::Phase0),
        (512, Fork::Altair),
        (648_704, Fork::Capella),
        (1_337_856, Fork::Electra),
        (FAR_FUTURE - 1, Fork::Electra),
    ] {
        assert_eq!(chain.forks.at(epoch), fork, "{epoch}");
    }
    assert_eq!(chain.forks.version(Fork::Deneb), Bytes([4, 0, 0, 0x64]));
    assert_eq!(chain.forks.version_at(600), Bytes([1, 0, 0, 0x64]));
    let spec: Spec = serde_json::from_value(gnosis()).expect("a configuration");
    assert_eq!(spec.unknown_forks().into_iter().collect::<Vec<_>>(), [(2_000_000, "GLOAS")]);
    assert_eq!(spec.text("CONFIG_NAME"), Some("gnosis"));
    assert_eq!(spec.text("BLOB_SCHEDULE"), None);
}

/// The newer name is exact; the older one has whole seconds.
#[test]
fn milliseconds_go_before_seconds() {
    let chain = read(&changed("SLOT_DURATION_MS", Some("1500"))).expect("a chain");
    assert_eq!(chain.clock.slot, Duration::from_millis(1500));
    let mut document = changed("SECONDS_PER_SLOT", None);
    document["SLOT_DURATION_MS"] = "12000".into();
    assert_eq!(read(&document).expect("a chain").clock.slot, Duration::from_secs(12));
}

#[test]
fn what_is_no_chain_is_refused() {
    for (name, value, why) in [
        ("SECONDS_PER_SLOT", None, "has no SECONDS_PER_SLOT"),
        ("SECONDS_PER_SLOT", Some("0"), "SECONDS_PER_SLOT = `0`, which is no length"),
        ("SLOT_DURATION_MS", Some("0"), "SLOT_DURATION_MS = `0`, which is no length"),
        ("SLOTS_PER_EPOCH", None, "has no SLOTS_PER_EPOCH"),
        ("SLOTS_PER_EPOCH", Some("many"), "SLOTS_PER_EPOCH = `many`, which is no whole number"),
        ("SLOTS_PER_EPOCH", Some("-1"), "which is no whole number"),
        ("DENEB_FORK_VERSION", None, "has no DENEB_FORK_VERSION"),
        ("DENEB_FORK_VERSION", Some("0x04"), "which is no version of a fork"),
        ("DENEB_FORK_EPOCH", Some("0x04"), "which is no whole number"),
        ("GENESIS_FORK_VERSION", Some("0x00000000"), "the genesis has fork version 0x00000064"),
        ("SYNC_COMMITTEE_SIZE", Some("32"), "SYNC_COMMITTEE_SIZE = 32; chains with 512 only"),
    ] {
        let error = read(&changed(name, value)).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
    // Nobody plans it, so nobody needs its version.
    assert!(read(&changed("FULU_FORK_VERSION", None)).is_ok());
    assert!(read(&changed("FULU_FORK_EPOCH", None)).is_ok());
    assert!(serde_json::from_str::<Spec>("[]").is_err());
}

#[test]
fn answers_of_a_beacon_mock() {
    let Some(folder) = vectors::vectors("charon/core/goldens/beaconmock") else { return };
    let text = std::fs::read(folder.join("static.json")).expect("the file");
    let file: Json = serde_json::from_slice(&text).expect("JSON");
    let data = |path: &str| file[path]["data"].clone();
    let genesis: Genesis = serde_json::from_value(data("/eth/v1/beacon/genesis")).expect("a genesis");
    assert_eq!(serde_json::to_value(genesis).expect("JSON"), data("/eth/v1/beacon/genesis"));
    let spec: Spec = serde_json::from_value(data("/eth/v1/config/spec")).expect("a configuration");
    assert_eq!(serde_json::to_value(&spec).expect("JSON"), data("/eth/v1/config/spec"));
    let chain = spec.chain(&genesis).expect("a chain");
    assert_eq!(chain.clock.slots_per_epoch, 32);
    assert_eq!(chain.forks.first_epoch(Fork::Fulu), 50688);
    let rows: Vec<ForkRow> = serde_json::from_value(data("/eth/v1/config/fork_schedule")).expect("rows");
    assert_eq!(schedule(&chain.forks), rows);
    let error: ErrorBody = serde_json::from_value(file["/eth/v2/beacon/blocks/0"].clone()).expect("an error");
    assert_eq!((error.code, error.message.as_str()), (404, "Not found"));
}

/// Examples of the Beacon API.
#[test]
fn events_are_read() {
    let head = json!({
        "slot": "10",
        "block": "0x9a2fefd2fdb57f74993c7780ea5b9030d2897b615b89f808011ca5aebed54eaf",
        "state": "0x600e852a08c1200654ddf11025f1ceacb3c2e74bdd5c630cde0838b2591b69f9",
        "epoch_transition": false,
        "previous_duty_dependent_root": "0x5e0043f107cb57913498fbf2f99ff55e730bf1e151f02f221e977c91a90a0e91",
        "current_duty_dependent_root": "0x5e0043f107cb57913498fbf2f99ff55e730bf1e151f02f221e977c91a90a0e91",
        "execution_optimistic": false,
    });
    let event: HeadEvent = serde_json::from_value(head.clone()).expect("an event");
    assert_eq!(serde_json::to_value(event).expect("JSON"), head);
    let read = |topic, data: &Json| ChainEvent::read(topic, data.to_string().as_bytes());
    assert_eq!(read("head", &head), Some(ChainEvent::Head { slot: 10, block: event.block }));
    let reorg = json!({
        "slot": "200",
        "depth": "50",
        "old_head_block": "0x9a2fefd2fdb57f74993c7780ea5b9030d2897b615b89f808011ca5aebed54eaf",
        "new_head_block": "0x76262e91970d375a19bfe8a867288d7b9cde43c8635f598d93d39d041706fc76",
        "old_head_state": "0x9a2fefd2fdb57f74993c7780ea5b9030d2897b615b89f808011ca5aebed54eaf",
        "new_head_state": "0x600e852a08c1200654ddf11025f1ceacb3c2e74bdd5c630cde0838b2591b69f9",
        "epoch": "2",
        "execution_optimistic": false,
    });
    let event: ReorgEvent = serde_json::from_value(reorg.clone()).expect("an event");
    assert_eq!(serde_json::to_value(event).expect("JSON"), reorg);
    assert_eq!(read("chain_reorg", &reorg), Some(ChainEvent::Reorg { slot: 200, depth: 50 }));
    assert_eq!(read("block", &head), None);
    assert_eq!(read("chain_reorg", &head), None);
    assert_eq!(read("head", &reorg), None);
    assert_eq!(ChainEvent::read("head", b"{"), None);
}

#[test]
fn errors_name_the_items() {
    let text =
        r#"{"code":400,"message":"some failed","failures":[{"index":3,"message":"unknown validator"}]}"#;
    let body: ErrorBody = serde_json::from_str(text).expect("an error");
    assert_eq!(body.failures, [IndexedFailure { index: 3, message: "unknown validator".to_owned() }]);
    assert_eq!(serde_json::to_string(&body).expect("JSON"), text);
    let quoted: ErrorBody = serde_json::from_str(&text.replace(":3,", ":\"3\",")).expect("an error");
    assert_eq!(quoted, body);
    let problem =
        Problem { failures: vec![(3, "unknown validator".to_owned())], ..Problem::new(400, "some failed") };
    assert_eq!(ErrorBody::from(problem), body);
    let plain = ErrorBody::from(Problem::new(503, "syncing"));
    assert_eq!(serde_json::to_string(&plain).expect("JSON"), r#"{"code":503,"message":"syncing"}"#);
}
