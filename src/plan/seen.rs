//! What has been observed so far, and what is still lacking.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_lang::eval::Need;

use crate::resource::answer::Answer;
use crate::resource::connection::Connection;
use crate::resource::kind::{Answers, Endpoint, Facts};
use crate::resource::probe::Probe;

/// Answers by endpoint.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What endpoints answered.
    pub answers: BTreeMap<Endpoint, Answers>,
    /// Endpoints that could not be asked.
    pub unreadable: BTreeMap<Endpoint, Unreached>,
}

/// Why an endpoint could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// Why.
    pub reason: String,
    /// Whether planning must stop: another machine, a wrong host key. Silence is not fatal.
    pub fatal: bool,
}

impl Seen {
    /// The facts of an endpoint.
    pub fn facts(&self, at: &Endpoint) -> Option<&Facts> {
        match self.answers.get(at)?.get(&Probe::Facts)? {
            Answer::Facts(facts) => Some(facts),
            _ => None,
        }
    }
}

/// Reads that planning lacks. A connection may hold a password, so there is no `Debug`.
#[derive(Clone, Default)]
pub struct Lacks {
    /// Per endpoint.
    pub probes: BTreeMap<Endpoint, BTreeSet<Probe>>,
    /// How the hosts among them are reached.
    pub connections: BTreeMap<Endpoint, Connection>,
    /// Reads of the controller by functions.
    pub files: BTreeSet<Need>,
}

impl Lacks {
    /// Whether nothing is lacking.
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty() && self.files.is_empty()
    }
}
