//! What a world came to.

use std::collections::BTreeMap;
use std::fmt;

use coxswain_dv_eth::time::Time;

/// What must hold and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Of which world.
    pub seed: u64,
    /// When, by the true time of the world.
    pub at: Time,
    /// What.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {}: {}", self.seed, self.at, self.what)
    }
}

impl std::error::Error for Broken {}

/// What happened, so that whoever runs worlds can tell whether anything did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// What is counted, by name.
    pub of: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        *self.of.entry(name).or_default() += count;
    }

    /// How often.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.of.get(name).copied().unwrap_or(0)
    }

    /// Adds those of another world.
    pub fn merge(&mut self, other: &Counts) {
        for (name, count) in &other.of {
            self.add(name, *count);
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.of {
            writeln!(f, "{name:<44} {count:>14}")?;
        }
        Ok(())
    }
}
