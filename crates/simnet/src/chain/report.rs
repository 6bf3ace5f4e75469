//! What was to be done, and what was: counts by validator and duty, and findings.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use serde::{Deserialize, Serialize};

/// A kind of duty, as reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A block.
    Proposer,
    /// The randomness with which a block is asked for.
    Randao,
    /// An attestation.
    Attester,
    /// An aggregate. Only validators know whether they are selected, so none is expected of committees that select.
    Aggregator,
    /// A vote of a sync committee.
    SyncMessage,
    /// A contribution; none is expected, since only validators know whether they are selected.
    SyncContribution,
    /// An exit.
    Exit,
    /// A registration with builders.
    Registration,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Proposer,
        Kind::Randao,
        Kind::Attester,
        Kind::Aggregator,
        Kind::SyncMessage,
        Kind::SyncContribution,
        Kind::Exit,
        Kind::Registration,
    ];
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A validator would be slashed.
    Fatal,
    /// Something was refused.
    Refused,
}

/// Something that must not have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The slot of the clock.
    pub slot: u64,
    /// To which node of the chain it was said.
    pub node: usize,
    /// What it was.
    pub what: String,
}

/// Counts of one kind of duty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// How many there were to be.
    pub expected: u64,
    /// How many came, of these and others.
    pub received: u64,
    /// Came before their slot was over.
    pub on_time: u64,
    /// Came after it.
    pub late: u64,
    /// Never came, though they were to be.
    pub missed: u64,
    /// Votes for a head, or of a target, that is not the chain's.
    pub wrong: u64,
    /// Are part of the chain's blocks: attestations, votes of sync committees (as messages), blocks.
    pub included: u64,
    /// Submissions that were refused.
    pub refused: u64,
    /// Submissions that said once more what was known.
    pub again: u64,
    /// From the start of the slot to the first that came, on average.
    pub mean_delay_ms: u64,
    /// The longest such delay.
    pub max_delay_ms: u64,
}

/// Counts of a validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorReport {
    /// Its index.
    pub index: u64,
    /// Its key.
    pub pubkey: Bytes48,
    /// Its status.
    pub status: String,
    /// By kind of duty.
    pub duties: BTreeMap<Kind, Counts>,
}

/// What happened from one slot to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The first slot that is counted.
    pub from_slot: u64,
    /// The last slot that is counted: at most the last one that is over.
    pub to_slot: u64,
    /// The slot of the clock.
    pub current_slot: u64,
    /// The slot of the head.
    pub head_slot: u64,
    /// The finalized epoch.
    pub finalized_epoch: u64,
    /// The justified epoch.
    pub justified_epoch: u64,
    /// Of all validators, by kind of duty.
    pub duties: BTreeMap<Kind, Counts>,
    /// Of each validator.
    pub validators: Vec<ValidatorReport>,
    /// How many pairs of messages somebody would be slashed for.
    pub n_fatal: u64,
    /// How many things were refused.
    pub n_refused: u64,
    /// The findings, the first ones.
    pub findings: Vec<Finding>,
}

/// The sum of counts; means are weighted by how many came.
pub(super) fn sum<'c>(counts: impl Iterator<Item = &'c Counts>) -> Counts {
    let mut total = Counts::default();
    let mut delays: u64 = 0;
    for one in counts {
        total.expected += one.expected;
        total.received += one.received;
        total.on_time += one.on_time;
        total.late += one.late;
        total.missed += one.missed;
        total.wrong += one.wrong;
        total.included += one.included;
        total.refused += one.refused;
        total.again += one.again;
        total.max_delay_ms = total.max_delay_ms.max(one.max_delay_ms);
        delays = delays.saturating_add(one.mean_delay_ms.saturating_mul(one.received));
    }
    total.mean_delay_ms = delays / total.received.max(1);
    total
}
