//! What was to be done, and what was: counts by validator and duty, and findings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coxswain_dv_eth::bytes::Bytes48;
use serde::{Deserialize, Serialize};

use super::tree::{KEPT_SLOTS, Tree};

/// Findings that are kept of each severity, the first ones: what goes wrong first explains what goes wrong later.
const MAX_FINDINGS: usize = 1000;

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

/// One duty of one validator.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    is_expected: bool,
    /// How long after the start of its slot the first one came.
    delay: Option<Duration>,
    is_late: bool,
    /// The head that was voted for, of attestations and sync messages.
    head: Option<[u8; 32]>,
    /// The target that was voted for.
    target: Option<(u64, [u8; 32])>,
    n_again: u64,
    n_refused: u64,
}

/// All duties of the last slots.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    rows: BTreeMap<u64, BTreeMap<(Kind, u64), Row>>,
    fatal: Vec<Finding>,
    refused: Vec<Finding>,
    n_fatal: u64,
    n_refused: u64,
}

/// What came.
pub(super) struct Received {
    pub(super) slot: u64,
    pub(super) kind: Kind,
    pub(super) validator: u64,
    /// After the start of its slot.
    pub(super) delay: Duration,
    pub(super) is_late: bool,
}

impl Ledger {
    pub(super) fn expect(&mut self, slot: u64, kind: Kind, validator: u64) {
        self.row(slot, kind, validator).is_expected = true;
    }

    pub(super) fn received(&mut self, received: &Received) {
        let row = self.row(received.slot, received.kind, received.validator);
        if row.delay.is_some() {
            row.n_again += 1;
            return;
        }
        row.delay = Some(received.delay);
        row.is_late = received.is_late;
    }

    /// What the vote of a validator was for.
    pub(super) fn voted(
        &mut self,
        slot: u64,
        kind: Kind,
        validator: u64,
        head: [u8; 32],
        target: Option<(u64, [u8; 32])>,
    ) {
        let row = self.row(slot, kind, validator);
        row.head = Some(head);
        row.target = target;
    }

    pub(super) fn refused(&mut self, slot: u64, kind: Kind, validator: u64) {
        self.row(slot, kind, validator).n_refused += 1;
    }

    pub(super) fn found(&mut self, finding: Finding) {
        let (list, count) = match finding.severity {
            Severity::Fatal => (&mut self.fatal, &mut self.n_fatal),
            Severity::Refused => (&mut self.refused, &mut self.n_refused),
        };
        *count += 1;
        if list.len() < MAX_FINDINGS {
            list.push(finding);
        }
    }

    fn row(&mut self, slot: u64, kind: Kind, validator: u64) -> &mut Row {
        self.rows.entry(slot).or_default().entry((kind, validator)).or_default()
    }

    pub(super) fn forget(&mut self, now: u64) {
        let oldest = now.saturating_sub(KEPT_SLOTS);
        self.rows.retain(|slot, _| *slot >= oldest);
    }
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

/// What the chain says of a duty that was done.
#[derive(Debug, Clone, Copy)]
struct Judged {
    is_wrong: bool,
    is_included: bool,
}

/// Sums that become counts.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    counts: Counts,
    delays: Duration,
}

impl Tally {
    fn add(&mut self, row: &Row, judged: Judged) {
        let counts = &mut self.counts;
        counts.expected += u64::from(row.is_expected);
        counts.again += row.n_again;
        counts.refused += row.n_refused;
        let Some(delay) = row.delay else {
            counts.missed += u64::from(row.is_expected);
            return;
        };
        counts.received += 1;
        counts.late += u64::from(row.is_late);
        counts.on_time += u64::from(!row.is_late);
        counts.wrong += u64::from(judged.is_wrong);
        counts.included += u64::from(judged.is_included);
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        counts.max_delay_ms = counts.max_delay_ms.max(millis);
        self.delays += delay;
    }

    fn counts(self) -> Counts {
        let mean = self.delays.as_millis() / u128::from(self.counts.received.max(1));
        Counts { mean_delay_ms: u64::try_from(mean).unwrap_or(u64::MAX), ..self.counts }
    }
}

/// What the chain is asked about its votes.
pub(super) struct Inclusion {
    /// Votes in blocks of the chain: validator and slot.
    pub(super) attestations: BTreeSet<(u64, u64)>,
    /// Members whose votes are in the block after a slot: validator and slot of the vote.
    pub(super) sync: BTreeSet<(u64, u64)>,
    /// Slots of a target's first block, for each epoch: what `tree` needs to say what is right.
    pub(super) slots_per_epoch: u64,
}

impl Ledger {
    /// Counts of the slots of a range, by kind and validator.
    pub(super) fn count(
        &self,
        slots: std::ops::RangeInclusive<u64>,
        tree: &Tree,
        inclusion: &Inclusion,
    ) -> BTreeMap<u64, BTreeMap<Kind, Counts>> {
        let mut tallies = BTreeMap::<(u64, Kind), Tally>::new();
        for (slot, rows) in self.rows.range(slots) {
            for ((kind, validator), row) in rows {
                let is_wrong = is_wrong(*slot, row, tree, inclusion.slots_per_epoch);
                let is_included = match kind {
                    Kind::Attester => inclusion.attestations.contains(&(*validator, *slot)),
                    Kind::SyncMessage => inclusion.sync.contains(&(*validator, *slot)),
                    Kind::Proposer => tree.at(*slot).is_some_and(|entry| entry.proposer == *validator),
                    Kind::Randao
                    | Kind::Aggregator
                    | Kind::SyncContribution
                    | Kind::Exit
                    | Kind::Registration => false,
                };
                tallies.entry((*validator, *kind)).or_default().add(row, Judged { is_wrong, is_included });
            }
        }
        let mut counts = BTreeMap::<u64, BTreeMap<Kind, Counts>>::new();
        for ((validator, kind), tally) in tallies {
            counts.entry(validator).or_default().insert(kind, tally.counts());
        }
        counts
    }

    pub(super) fn findings(&self) -> (Vec<Finding>, u64, u64) {
        (self.fatal.iter().chain(&self.refused).cloned().collect(), self.n_fatal, self.n_refused)
    }
}

/// Whether a vote was for something that is not the chain's now.
fn is_wrong(slot: u64, row: &Row, tree: &Tree, slots_per_epoch: u64) -> bool {
    let is_head_wrong = row.head.is_some_and(|head| tree.at_or_before(slot).root != head);
    let is_target_wrong = row
        .target
        .is_some_and(|(epoch, root)| tree.at_or_before(epoch.saturating_mul(slots_per_epoch)).root != root);
    is_head_wrong || is_target_wrong
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
