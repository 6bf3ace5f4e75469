//! What a chain is, as beacon nodes say it: `/eth/v1/beacon/genesis`, `/eth/v1/config/spec` and
//! `/eth/v1/config/fork_schedule`.
//!
//! # What must never happen
//!
//! - Something is signed for a chain whose containers or committees are not those of this crate.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::bytes::{Bytes4, Bytes32};
use crate::domain::Chain;
use crate::fork::{FAR_FUTURE, Fork, Forks};
use crate::selection::{TARGET_AGGREGATORS, TARGET_SYNC_AGGREGATORS};
use crate::sync::{COMMITTEE_SIZE, SUBCOMMITTEES};
use crate::time::{Clock, Time};

/// `/eth/v1/beacon/genesis`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// Seconds since 1970.
    #[serde(with = "serde_utils::quoted_u64")]
    pub genesis_time: u64,
    /// The root of the first validators.
    pub genesis_validators_root: Bytes32,
    /// The version of the first fork: clusters name their network by it.
    pub genesis_fork_version: Bytes4,
}

/// A row of `/eth/v1/config/fork_schedule`, and `/eth/v1/beacon/states/{state}/fork`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForkRow {
    /// The version before.
    pub previous_version: Bytes4,
    /// The version.
    pub current_version: Bytes4,
    /// Its first epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: u64,
}

/// `/eth/v1/config/spec`: what it has as text, by name. Lists and objects are left out; numbers without quotes are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Spec {
    values: BTreeMap<String, String>,
}

/// Why a chain is not what can be worked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A value is not there.
    #[error("the beacon node's configuration has no {name}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A value is of no use.
    #[error("the beacon node's configuration has {name} = `{value}`, which is no {expected}")]
    Value {
        /// Its name.
        name: String,
        /// What it says.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Containers or committees have other sizes.
    #[error("the chain has {name} = {found}; chains with {expected} only are served")]
    Preset {
        /// Its name.
        name: &'static str,
        /// What it says.
        found: u64,
        /// What it must be.
        expected: u64,
    },
    /// Two answers of one beacon node do not fit.
    #[error("the genesis has fork version {genesis}, the configuration of the same beacon node {spec}")]
    Genesis {
        /// Of the genesis.
        genesis: Bytes4,
        /// Of the configuration.
        spec: Bytes4,
    },
}

/// Sizes that this crate has: a chain that says another one is of another preset, like `minimal`.
const PRESET: [(&str, u64); 4] = [
    ("SYNC_COMMITTEE_SIZE", COMMITTEE_SIZE),
    ("SYNC_COMMITTEE_SUBNET_COUNT", SUBCOMMITTEES),
    ("TARGET_AGGREGATORS_PER_COMMITTEE", TARGET_AGGREGATORS),
    ("TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE", TARGET_SYNC_AGGREGATORS),
];

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Spec, D::Error> {
        let all = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
        let text = |(name, value): (String, serde_json::Value)| match value {
            serde_json::Value::String(text) => Some((name, text)),
            serde_json::Value::Number(number) => Some((name, number.to_string())),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        };
        Ok(Spec { values: all.into_iter().filter_map(text).collect() })
    }
}

impl Spec {
    /// A value as it is written.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A number; none where it is not there.
    ///
    /// # Errors
    /// It is no number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, SpecError> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, text, "whole number"));
        self.text(name).map(read).transpose()
    }

    fn size(&self, name: &str) -> Result<u64, SpecError> {
        let found = self.number(name)?.ok_or_else(|| SpecError::Missing { name: name.to_owned() })?;
        if found == 0 { Err(wrong(name, "0", "length")) } else { Ok(found) }
    }

    fn version(&self, name: &str) -> Result<Option<Bytes4>, SpecError> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, text, "version of a fork"));
        self.text(name).map(read).transpose()
    }

    /// How long a slot is. `SLOT_DURATION_MS` is exact, `SECONDS_PER_SLOT` the older name in whole seconds.
    fn slot(&self) -> Result<Duration, SpecError> {
        if self.text("SLOT_DURATION_MS").is_some() {
            return self.size("SLOT_DURATION_MS").map(Duration::from_millis);
        }
        self.size("SECONDS_PER_SLOT").map(Duration::from_secs)
    }

    /// Clock, forks and first validators. A fork that has no epoch never comes.
    ///
    /// # Errors
    /// A value is missing or wrong, or the chain is of another preset.
    pub fn chain(&self, genesis: &Genesis) -> Result<Chain, SpecError> {
        for (name, expected) in PRESET {
            match self.number(name)? {
                Some(found) if found != expected => return Err(SpecError::Preset { name, found, expected }),
                Some(_) | None => {}
            }
        }
        let first = genesis.genesis_fork_version;
        match self.version("GENESIS_FORK_VERSION")? {
            Some(spec) if spec != first => return Err(SpecError::Genesis { genesis: first, spec }),
            Some(_) | None => {}
        }
        let mut rows = [(FAR_FUTURE, Bytes4::default()); 7];
        rows[Fork::Phase0 as usize] = (0, first);
        for fork in Fork::all().skip(1) {
            let [epoch, version] = ["EPOCH", "VERSION"].map(|what| field(fork.name(), what));
            let first_epoch = self.number(&epoch)?.unwrap_or(FAR_FUTURE);
            let version = match self.version(&version)? {
                Some(version) => version,
                None if first_epoch == FAR_FUTURE => Bytes4::default(),
                None => return Err(SpecError::Missing { name: version }),
            };
            rows[fork as usize] = (first_epoch, version);
        }
        let genesis_time = Time::from_secs(genesis.genesis_time);
        let clock = Clock {
            genesis: genesis_time,
            slot: self.slot()?,
            slots_per_epoch: self.size("SLOTS_PER_EPOCH")?,
        };
        let genesis_validators_root = genesis.genesis_validators_root.0;
        Ok(Chain { clock, forks: Forks::new(rows), genesis_validators_root })
    }

    /// Forks that are planned and not known here, by their epoch: until then a newer version is needed.
    #[must_use]
    pub fn unknown_forks(&self) -> BTreeMap<u64, &str> {
        let mut unknown = BTreeMap::new();
        for (name, value) in &self.values {
            let Some(fork) = name.strip_suffix("_FORK_EPOCH") else { continue };
            let epoch = value.parse().unwrap_or(FAR_FUTURE);
            if epoch != FAR_FUTURE && Fork::named(&fork.to_ascii_lowercase()).is_none() {
                unknown.insert(epoch, fork);
            }
        }
        unknown
    }
}

fn field(fork: &str, what: &str) -> String {
    format!("{}_FORK_{what}", fork.to_ascii_uppercase())
}

fn wrong(name: &str, value: &str, expected: &'static str) -> SpecError {
    SpecError::Value { name: name.to_owned(), value: value.to_owned(), expected }
}

/// Rows of a schedule that a chain's forks have, as far as they are planned.
#[must_use]
pub fn schedule(forks: &Forks) -> Vec<ForkRow> {
    let planned = Fork::all().filter(|fork| forks.first_epoch(*fork) != FAR_FUTURE);
    let mut previous_version = forks.version(Fork::Phase0);
    let row = |fork| {
        let current_version = forks.version(fork);
        let row = ForkRow { previous_version, current_version, epoch: forks.first_epoch(fork) };
        previous_version = current_version;
        row
    };
    planned.map(row).collect()
}
