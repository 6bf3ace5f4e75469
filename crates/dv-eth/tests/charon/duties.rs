//! Duties: who aggregates, until when, which ones are heard of peers.

use std::time::Duration;

use super::table;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::selection::{is_aggregator, is_sync_aggregator};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_eth::unsigned::ContributionForm;

const SLOT: Duration = Duration::from_secs(12);

fn clock(slots_per_epoch: u64) -> Clock {
    Clock { genesis: Time::from_secs(1_606_824_023), slot: SLOT, slots_per_epoch }
}

#[test]
fn rows_of_aggregators() {
    for row in table("aggregator_selection") {
        let proof = row["selection_proof"].as_str().expect("a text").parse().expect("a proof");
        let found = match row["kind"].as_str().expect("a text") {
            "attestation" => is_aggregator(row["committee_length"].as_u64().expect("a number"), &proof),
            "sync_committee" => is_sync_aggregator(&proof),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(row["is_aggregator"], found, "{proof}");
    }
}

#[test]
fn rows_of_deadlines() {
    for row in table("deadlines") {
        let name = row["duty"].as_str().expect("a text");
        let kind = DutyType::all().find(|kind| kind.name() == name).expect(name);
        let after = match row["deadline"].as_str() {
            Some("S/3 + S/12") => Some(SLOT / 3),
            Some("S + S/12") => Some(SLOT),
            Some("E + S/12") => Some(SLOT * 32),
            Some("2E + S/12") => Some(SLOT * 64),
            None => None,
            Some(other) => panic!("unknown deadline {other}"),
        };
        let clock = clock(32);
        let expected = after.map(|after| clock.start_of(77) + after + SLOT / 12);
        assert_eq!(Duty::new(77, kind).deadline(&clock), expected, "{name}");
    }
}

#[test]
fn rows_of_types() {
    for row in table("duty_types") {
        let number = row["value"].as_i64().and_then(|n| i32::try_from(n).ok()).expect("a number");
        let kind = DutyType::of(number);
        assert_eq!(row["valid"], kind.is_some());
        if let Some(kind) = kind {
            assert_eq!(row["name"], kind.name());
            assert_eq!(kind.number(), number);
        }
    }
}

#[test]
fn rows_of_the_gate() {
    for row in table("gater") {
        let number = |name: &str| row[name].as_u64().expect("a number");
        let clock = clock(number("slots_per_epoch"));
        let now = clock.start_of(number("current_slot"));
        let kind = row["type"].as_i64().and_then(|n| i32::try_from(n).ok()).expect("a number");
        let heard =
            DutyType::of(kind).is_some_and(|kind| Duty::new(number("slot"), kind).is_near(&clock, now));
        assert_eq!(row["allow"], heard, "{row}");
    }
}

#[test]
fn before_genesis_the_first_epochs_are_near() {
    let clock = clock(32);
    let before = clock.genesis - Duration::from_secs(3600);
    let is_near = |slot| Duty::new(slot, DutyType::Attester).is_near(&clock, before);
    assert!(is_near(0) && is_near(95));
    assert!(!is_near(96) && !is_near(u64::MAX));
}

#[test]
fn rows_of_contribution_forms() {
    for row in table("sync_contribution_v2_gate") {
        let versions = row["versions"].as_array().expect("a list");
        let form = ContributionForm::of_versions(versions.iter().map(|text| text.as_str().expect("a text")));
        assert_eq!(row["allowed"], form == ContributionForm::List, "{row}");
    }
    for text in ["", "v", "v1", "1.11", "v1.", "v1.x", "v1.-1", "version 2"] {
        assert_eq!(ContributionForm::of_versions([text]), ContributionForm::Single, "{text}");
    }
}
