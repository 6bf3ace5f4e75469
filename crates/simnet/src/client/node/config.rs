//! What a client reads of a chain's configuration: time and forks.
//!
//! <https://ethereum.github.io/beacon-APIs/#/Config/getSpec>

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::bytes::{Bytes4, Bytes32};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::fork::{FAR_FUTURE, Fork, Forks};
use coxswain_dv_eth::time::{Clock, Time};
use serde::Deserialize;
use serde_json::Value;

/// `/eth/v1/beacon/genesis`
#[derive(Deserialize)]
pub(super) struct Genesis {
    #[serde(with = "serde_utils::quoted_u64")]
    genesis_time: u64,
    genesis_validators_root: Bytes32,
}

/// An item of `/eth/v1/config/fork_schedule`.
#[derive(Deserialize)]
pub(super) struct Scheduled {
    current_version: Bytes4,
    #[serde(with = "serde_utils::quoted_u64")]
    epoch: u64,
}

/// `/eth/v1/config/spec`: most values are texts.
pub(super) type Spec = BTreeMap<String, Value>;

fn text<'s>(spec: &'s Spec, name: &str) -> Option<&'s str> {
    spec.get(name).and_then(Value::as_str)
}

fn number(spec: &Spec, name: &str) -> Option<u64> {
    text(spec, name).and_then(|text| text.parse().ok())
}

/// The chain that a configuration describes. Forks that it does not name never come. Where a node's schedule and
/// configuration differ, the schedule counts: charon's mock of a beacon node has Fulu in the former only.
pub(super) fn chain(genesis: &Genesis, spec: &Spec, schedule: &[Scheduled]) -> Result<Chain, String> {
    let slot = number(spec, "SLOT_DURATION_MS")
        .or_else(|| number(spec, "SECONDS_PER_SLOT").map(|seconds| seconds.saturating_mul(1000)))
        .filter(|millis| *millis > 0)
        .ok_or("SLOT_DURATION_MS or SECONDS_PER_SLOT is missing")?;
    let slots_per_epoch =
        number(spec, "SLOTS_PER_EPOCH").filter(|slots| *slots > 0).ok_or("SLOTS_PER_EPOCH is missing")?;
    let mut rows = [(FAR_FUTURE, Bytes4::default()); 7];
    for fork in Fork::all() {
        let name = fork.name().to_uppercase();
        let (epoch, version) = match fork {
            Fork::Phase0 => (Some(0), "GENESIS_FORK_VERSION".to_owned()),
            Fork::Altair | Fork::Bellatrix | Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu => {
                (number(spec, &format!("{name}_FORK_EPOCH")), format!("{name}_FORK_VERSION"))
            }
        };
        let known: Option<Bytes4> = text(spec, &version).and_then(|text| text.parse().ok());
        let scheduled = schedule.iter().find(|item| Some(item.current_version) == known);
        let epoch = scheduled.map(|item| item.epoch).or(epoch);
        rows[fork as usize] = match (epoch, known) {
            (Some(epoch), Some(known)) => (epoch, known),
            (Some(FAR_FUTURE) | None, _) => (FAR_FUTURE, Bytes4::default()),
            (Some(_), None) => return Err(format!("{version} is missing")),
        };
    }
    Ok(Chain {
        clock: Clock {
            genesis: Time::from_secs(genesis.genesis_time),
            slot: Duration::from_millis(slot),
            slots_per_epoch,
        },
        forks: Forks::new(rows),
        genesis_validators_root: genesis.genesis_validators_root.0,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: Value) -> Result<Chain, String> {
        read_with(spec, json!([]))
    }

    fn read_with(spec: Value, schedule: Value) -> Result<Chain, String> {
        let genesis = json!({
            "genesis_time": "1000",
            "genesis_validators_root": format!("0x{}", "07".repeat(32)),
            "genesis_fork_version": "0x10000910"
        });
        let genesis = serde_json::from_value(genesis).expect("a genesis");
        let schedule: Vec<Scheduled> = serde_json::from_value(schedule).expect("a schedule");
        chain(&genesis, &serde_json::from_value(spec).expect("an object"), &schedule)
    }

    #[test]
    fn time_and_forks_are_read() {
        let chain = read(json!({
            "SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": "32", "GENESIS_FORK_VERSION": "0x10000910",
            "ALTAIR_FORK_VERSION": "0x20000910", "ALTAIR_FORK_EPOCH": "0",
            "ELECTRA_FORK_VERSION": "0x60000910", "ELECTRA_FORK_EPOCH": "2048",
            "FULU_FORK_VERSION": "0x70000910", "FULU_FORK_EPOCH": "18446744073709551615",
            "BLOB_SCHEDULE": [{ "EPOCH": "1" }]
        }))
        .expect("a chain");
        assert_eq!(chain.clock.slot, Duration::from_secs(12));
        assert_eq!(chain.clock.genesis, Time::from_secs(1000));
        assert_eq!(chain.forks.at(2047), Fork::Altair);
        assert_eq!(chain.forks.at(u64::MAX - 1), Fork::Electra);
        assert_eq!(chain.forks.version_at(0).0, [0x20, 0, 0x09, 0x10]);
        assert_eq!(chain.genesis_validators_root, [7; 32]);
    }

    #[test]
    fn the_schedule_stands_above_the_configuration() {
        let spec = json!({
            "SECONDS_PER_SLOT": "1", "SLOTS_PER_EPOCH": "16", "GENESIS_FORK_VERSION": "0x10000910",
            "FULU_FORK_VERSION": "0x70000910", "FULU_FORK_EPOCH": "18446744073709551615"
        });
        let schedule = json!([
            { "previous_version": "0x10000910", "current_version": "0x10000910", "epoch": "0" },
            { "previous_version": "0x60000910", "current_version": "0x70000910", "epoch": "50688" }
        ]);
        let forks = read_with(spec, schedule).expect("a chain").forks;
        assert_eq!((forks.at(50687), forks.at(50688)), (Fork::Phase0, Fork::Fulu));
    }

    #[test]
    fn milliseconds_stand_above_seconds() {
        let chain = read(json!({
            "SLOT_DURATION_MS": "400", "SECONDS_PER_SLOT": "1", "SLOTS_PER_EPOCH": "8",
            "GENESIS_FORK_VERSION": "0x00000000"
        }));
        assert_eq!(chain.expect("a chain").clock.slot, Duration::from_millis(400));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (spec, expected) in [
            (json!({}), "SLOT_DURATION_MS or SECONDS_PER_SLOT is missing"),
            (json!({ "SECONDS_PER_SLOT": "0" }), "SLOT_DURATION_MS or SECONDS_PER_SLOT is missing"),
            (json!({ "SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": "0" }), "SLOTS_PER_EPOCH is missing"),
            (json!({ "SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": 32 }), "SLOTS_PER_EPOCH is missing"),
            (json!({ "SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": "32" }), "GENESIS_FORK_VERSION is missing"),
        ] {
            assert_eq!(read(spec), Err(expected.to_owned()));
        }
    }
}
