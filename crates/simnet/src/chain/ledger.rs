//! What was to be done at each slot, and what came: rows that [reports](super::report) are counted from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::Checkpoint;

use super::pool::NO_SIGNATURE;
use super::report::{Counts, Finding, Kind, Severity};
use super::tree::Tree;

/// Slots whose duties are kept: with 512 members of a sync committee some ten megabytes.
pub(super) const KEPT_SLOTS: u64 = 1024;
/// Findings that are kept of each severity, the first ones: what goes wrong first explains what goes wrong later.
const MAX_FINDINGS: usize = 1000;

/// What somebody voted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Voted {
    pub(super) head: Root,
    /// Of attestations.
    pub(super) target: Option<Checkpoint>,
}

/// A duty: whose, of which slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) slot: u64,
    pub(super) kind: Kind,
    pub(super) validator: u64,
    /// The subcommittee of a contribution: a validator may be in several.
    pub(super) part: u64,
}

impl Duty {
    pub(super) fn new(slot: u64, kind: Kind, validator: u64) -> Duty {
        Duty { slot, kind, validator, part: 0 }
    }
}

/// What became of a duty.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    is_expected: bool,
    is_late: bool,
    /// How long after the start of its slot the first one came, in milliseconds.
    delay_ms: Option<u32>,
    /// Which of the slot's votes it was.
    vote: Option<u32>,
    n_again: u32,
    n_refused: u32,
}

/// Duties of a slot.
#[derive(Debug, Clone, Default)]
struct Slot {
    /// By kind, validator and part.
    rows: BTreeMap<(Kind, u64, u64), Row>,
    /// What was voted for; few things, since all look at one chain.
    votes: Vec<Voted>,
}

/// All duties of the last slots.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    slots: BTreeMap<u64, Slot>,
    fatal: Vec<Finding>,
    refused: Vec<Finding>,
    n_fatal: u64,
    n_refused: u64,
}

impl Ledger {
    pub(super) fn expect(&mut self, duty: Duty) {
        self.row(&duty).is_expected = true;
    }

    /// Something came, so long after the start of its slot, which is so long.
    pub(super) fn received(&mut self, duty: Duty, delay: Duration, slot: Duration) {
        let row = self.row(&duty);
        if row.delay_ms.is_some() {
            row.n_again = row.n_again.saturating_add(1);
            return;
        }
        row.delay_ms = Some(u32::try_from(delay.as_millis()).unwrap_or(u32::MAX));
        row.is_late = delay >= slot;
    }

    /// What was voted for.
    pub(super) fn voted(&mut self, duty: Duty, voted: Voted) {
        let votes = &mut self.slots.entry(duty.slot).or_default().votes;
        let place = votes.iter().position(|known| *known == voted).unwrap_or_else(|| {
            votes.push(voted);
            votes.len() - 1
        });
        self.row(&duty).vote = u32::try_from(place).ok();
    }

    pub(super) fn refused(&mut self, duty: Duty) {
        let row = self.row(&duty);
        row.n_refused = row.n_refused.saturating_add(1);
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

    fn row(&mut self, duty: &Duty) -> &mut Row {
        let slot = self.slots.entry(duty.slot).or_default();
        slot.rows.entry((duty.kind, duty.validator, duty.part)).or_default()
    }

    pub(super) fn forget(&mut self, now: u64) {
        let oldest = now.saturating_sub(KEPT_SLOTS);
        self.slots.retain(|slot, _| *slot >= oldest);
    }

    /// The findings, fatal ones first, and how many there were of each severity.
    pub(super) fn findings(&self) -> (Vec<Finding>, u64, u64) {
        (self.fatal.iter().chain(&self.refused).cloned().collect(), self.n_fatal, self.n_refused)
    }

    /// Counts of a range of slots, by validator and kind.
    pub(super) fn count(
        &self,
        slots: RangeInclusive<u64>,
        tree: &Tree,
        slots_per_epoch: u64,
    ) -> BTreeMap<u64, BTreeMap<Kind, Counts>> {
        let included = Included::new(tree);
        let mut tallies = BTreeMap::<(u64, Kind), Tally>::new();
        for (slot, duties) in self.slots.range(slots) {
            for ((kind, validator, _), row) in &duties.rows {
                let place = row.vote.and_then(|place| usize::try_from(place).ok());
                let vote = place.and_then(|place| duties.votes.get(place));
                let is_wrong = vote.is_some_and(|vote| is_wrong(*slot, vote, tree, slots_per_epoch));
                let is_included = included.has(*slot, *kind, *validator, tree);
                tallies.entry((*validator, *kind)).or_default().add(row, Judged { is_wrong, is_included });
            }
        }
        let mut counts = BTreeMap::<u64, BTreeMap<Kind, Counts>>::new();
        for ((validator, kind), tally) in tallies {
            counts.entry(validator).or_default().insert(kind, tally.counts());
        }
        counts
    }
}

/// Whether a vote was for something that is not the chain's now.
fn is_wrong(slot: u64, vote: &Voted, tree: &Tree, slots_per_epoch: u64) -> bool {
    let target = |target: &Checkpoint| {
        tree.at_or_before(target.epoch.saturating_mul(slots_per_epoch)).root != target.root.0
    };
    tree.at_or_before(slot).root != vote.head || vote.target.as_ref().is_some_and(target)
}

/// What is in blocks of the chain.
struct Included {
    /// Validators and slots of their attestations.
    attestations: BTreeSet<(u64, u64)>,
    /// Members and slots of their votes.
    sync: BTreeSet<(u64, u64)>,
}

impl Included {
    fn new(tree: &Tree) -> Included {
        let (mut attestations, mut sync) = (BTreeSet::new(), BTreeSet::new());
        for entry in tree.branch(&tree.head().root) {
            attestations.extend(entry.votes.iter().copied());
            let voted = entry.slot.saturating_sub(1);
            sync.extend(entry.sync_votes.iter().map(|validator| (*validator, voted)));
        }
        Included { attestations, sync }
    }

    fn has(&self, slot: u64, kind: Kind, validator: u64, tree: &Tree) -> bool {
        match kind {
            Kind::Attester => self.attestations.contains(&(validator, slot)),
            Kind::SyncMessage => self.sync.contains(&(validator, slot)),
            // A block that a reorganisation made up is nobody's.
            Kind::Proposer => tree
                .at(slot)
                .is_some_and(|entry| entry.proposer == validator && entry.block.signature() != NO_SIGNATURE),
            Kind::Randao | Kind::Aggregator | Kind::SyncContribution | Kind::Exit | Kind::Registration => {
                false
            }
        }
    }
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
    delays_ms: u64,
}

impl Tally {
    fn add(&mut self, row: &Row, judged: Judged) {
        let counts = &mut self.counts;
        counts.expected += u64::from(row.is_expected);
        counts.again += u64::from(row.n_again);
        counts.refused += u64::from(row.n_refused);
        let Some(delay_ms) = row.delay_ms.map(u64::from) else {
            counts.missed += u64::from(row.is_expected);
            return;
        };
        counts.received += 1;
        counts.late += u64::from(row.is_late);
        counts.on_time += u64::from(!row.is_late);
        counts.wrong += u64::from(judged.is_wrong);
        counts.included += u64::from(judged.is_included);
        counts.max_delay_ms = counts.max_delay_ms.max(delay_ms);
        self.delays_ms = self.delays_ms.saturating_add(delay_ms);
    }

    fn counts(self) -> Counts {
        Counts { mean_delay_ms: self.delays_ms / self.counts.received.max(1), ..self.counts }
    }
}
