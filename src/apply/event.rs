//! What a run tells while it goes, and at its end.

use std::time::Duration;

use coxswain_model::Address;
use serde::Serialize;

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A round begins.
    Round {
        /// 1-based.
        number: usize,
        /// Steps in it.
        steps: usize,
    },
    /// A step starts.
    Started {
        /// Its id.
        step: String,
        /// Its instance.
        address: Address,
        /// The host, none for this machine.
        host: Option<Address>,
        /// For people.
        title: String,
    },
    /// A step waits for a lock, a limit or a gate, before it starts or while it runs.
    Blocked {
        /// Its id.
        step: String,
        /// "waiting: unattended-upgr (pid 812) holds /var/lib/dpkg/lock-frontend".
        why: String,
    },
    /// A line from the host.
    Progress {
        /// The step's id.
        step: String,
        /// The line.
        line: String,
    },
    /// A step ended.
    Finished {
        /// Its id.
        step: String,
        /// Its instance.
        address: Address,
        /// How.
        result: StepResult,
        /// How long it took.
        #[serde(serialize_with = "millis", rename = "took_ms")]
        took: Duration,
    },
}

fn millis<S: serde::Serializer>(d: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// Done, and the world agrees.
    Done,
    /// It goes on at the host.
    Running,
    /// Others must act first.
    Waiting {
        /// Who.
        on: Vec<String>,
    },
    /// It was tried and failed.
    Failed {
        /// Why.
        error: String,
    },
    /// Its precondition did not hold any more, or its values would have made another plan; nothing was done.
    Refused {
        /// What is different.
        reason: String,
    },
    /// Something before it did not end well, or the run was interrupted.
    NotStarted {
        /// Which.
        because: String,
    },
    /// Something before it runs or waits.
    Held {
        /// Which.
        by: String,
    },
}

/// A run as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Steps done.
    pub done: Vec<String>,
    /// Steps that go on at the host.
    pub running: Vec<String>,
    /// Steps that wait, with the parties.
    pub waiting: Vec<(String, Vec<String>)>,
    /// Steps that failed, with the reason.
    pub failed: Vec<(String, String)>,
    /// Steps that were refused, with what was different.
    pub refused: Vec<(String, String)>,
    /// Steps that did not start, with the reason.
    pub not_started: Vec<(String, String)>,
    /// Steps that did not start because of one that runs or waits, with that one.
    pub held: Vec<(String, String)>,
    /// Whether the run was interrupted by a person.
    pub interrupted: bool,
}
