//! What a client did: counted by kind of work, with the last errors.

use std::collections::{BTreeMap, VecDeque};

use coxswain_dv_eth::time::Time;
use serde::Serialize;

use super::traffic::Endpoint;

/// Errors that are kept of each kind.
const MAX_ERRORS: usize = 8;

/// One kind of work. The unit is a validator's duty; of contributions that of a subcommittee, of what is only asked or
/// told the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Done: the node took it.
    pub done: u64,
    /// Begun, and come to nothing.
    pub failed: u64,
    /// Not begun in time.
    pub skipped: u64,
    /// The last errors and reasons, the oldest first.
    pub errors: VecDeque<String>,
}

/// What happened up to now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The node's name and version, once it is known.
    pub node: Option<String>,
    /// Validators that the chain knows.
    pub validators: u64,
    /// The slot of the chain's clock.
    pub slot: Option<u64>,
    /// By the name of the duty's type; `validators`, `duties`, `preparations`, `subscriptions`, `events` and `connection`
    /// besides.
    pub work: BTreeMap<&'static str, Row>,
    /// Requests, by method and path, whose numbers and keys are `{}`.
    pub requests: BTreeMap<String, Endpoint>,
}

/// What came of one piece of work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// What.
    pub name: &'static str,
    /// How many were done.
    pub done: u64,
    /// How many came to nothing.
    pub failed: u64,
    /// How many were given up before they began.
    pub skipped: u64,
    /// Why; as many as there are different ones.
    pub errors: Vec<String>,
}

impl Tally {
    /// Of nothing yet.
    #[must_use]
    pub fn of(name: &'static str) -> Tally {
        Tally { name, ..Tally::default() }
    }

    /// Counts what was done, or what failed and why.
    pub fn count<T, E: std::fmt::Display>(&mut self, many: usize, result: Result<T, E>) -> Option<T> {
        let many = many as u64;
        match result {
            Ok(value) => {
                self.done += many;
                Some(value)
            }
            Err(error) => {
                self.failed += many;
                self.explain(error.to_string());
                None
            }
        }
    }

    /// Counts a failure of one; what went well is counted when it is submitted.
    pub fn only_failure<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        self.count_failure(1, result)
    }

    /// Counts a failure of so many; what went well is counted later.
    pub fn count_failure<T, E: std::fmt::Display>(&mut self, many: usize, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => self.count(many, Err::<T, E>(error)),
        }
    }

    /// Counts duties that were given up before they began.
    pub fn skip(&mut self, many: u64, why: &str) {
        self.skipped += many;
        self.explain(why.to_owned());
    }

    fn explain(&mut self, why: String) {
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&why) {
            self.errors.push(why);
        }
    }
}

impl Report {
    /// Adds what came of one piece of work.
    pub fn add(&mut self, now: Time, tally: Tally) {
        let row = self.work.entry(tally.name).or_default();
        row.done += tally.done;
        row.failed += tally.failed;
        row.skipped += tally.skipped;
        for error in tally.errors {
            if row.errors.len() == MAX_ERRORS {
                row.errors.pop_front();
            }
            row.errors.push_back(format!("{now}: {error}"));
        }
    }

    /// One kind of work; empty where there was none.
    #[must_use]
    pub fn row(&self, name: &str) -> Row {
        self.work.get(name).cloned().unwrap_or_default()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names and numbers have JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_stay() {
        let mut report = Report::default();
        for n in 0..20 {
            let mut tally = Tally::of("attester");
            tally.count(2, Ok::<_, &str>(()));
            tally.count(1, Err::<(), _>(format!("error {n}")));
            tally.count(1, Err::<(), _>(format!("error {n}")));
            report.add(Time::from_secs(n), tally);
        }
        let row = report.row("attester");
        assert_eq!((row.done, row.failed, row.errors.len()), (40, 40, MAX_ERRORS));
        assert_eq!(row.errors.back().map(String::as_str), Some("19.000 s: error 19"));
        assert_eq!(report.row("proposer"), Row::default());
        assert!(report.to_json().contains("\"done\": 40"));
    }
}
