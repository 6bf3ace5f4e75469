//! What nodes do at a slot, and until when it is worth doing.
//!
//! Numbers and names are those of the wire, of metrics and of logs; they never change. A new type is a row of `ROWS`.

use std::fmt;
use std::time::Duration;

use crate::time::{Clock, Time};

/// The type of a duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum DutyType {
    /// A block.
    Proposer = 1,
    /// An attestation.
    Attester = 2,
    /// A signature of a ceremony.
    Signature = 3,
    /// A voluntary exit.
    Exit = 4,
    /// Retired; messages that name it are understood and lead to nothing.
    BuilderProposer = 5,
    /// A registration with builders.
    BuilderRegistration = 6,
    /// The randomness of a block.
    Randao = 7,
    /// The proof that selects an aggregator of attestations.
    PrepareAggregator = 8,
    /// An aggregate of attestations.
    Aggregator = 9,
    /// A message of a sync committee.
    SyncMessage = 10,
    /// The proof that selects an aggregator of a sync committee.
    PrepareSyncContribution = 11,
    /// A contribution of a sync committee.
    SyncContribution = 12,
    /// What the cluster agrees on about itself.
    InfoSync = 13,
}

/// When, of a slot or of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// This part of a slot.
    SlotPart(u32),
    /// So many epochs.
    Epochs(u32),
    /// For ever.
    Never,
}

/// What is known of a type.
struct Row {
    duty: DutyType,
    name: &'static str,
    /// Thirds of a slot after its start when it begins.
    starts_at_third: u32,
    until: Until,
}

const fn row(duty: DutyType, name: &'static str, starts_at_third: u32, until: Until) -> Row {
    Row { duty, name, starts_at_third, until }
}

/// Every type. Gloas moves the offsets and adds `payload_attestation` (14): these are the places.
const ROWS: [Row; 13] = [
    row(DutyType::Proposer, "proposer", 0, Until::SlotPart(3)),
    row(DutyType::Attester, "attester", 1, Until::Epochs(1)),
    row(DutyType::Signature, "signature", 0, Until::SlotPart(1)),
    row(DutyType::Exit, "exit", 0, Until::Never),
    row(DutyType::BuilderProposer, "builder_proposer", 0, Until::SlotPart(1)),
    row(DutyType::BuilderRegistration, "builder_registration", 0, Until::Never),
    row(DutyType::Randao, "randao", 0, Until::SlotPart(3)),
    row(DutyType::PrepareAggregator, "prepare_aggregator", 0, Until::Epochs(2)),
    row(DutyType::Aggregator, "aggregator", 2, Until::Epochs(1)),
    row(DutyType::SyncMessage, "sync_message", 1, Until::SlotPart(1)),
    row(DutyType::PrepareSyncContribution, "prepare_sync_contribution", 0, Until::Epochs(2)),
    row(DutyType::SyncContribution, "sync_contribution", 2, Until::SlotPart(1)),
    row(DutyType::InfoSync, "info_sync", 0, Until::SlotPart(1)),
];

/// A part of the slot that is given on top, for what is under way.
const MARGIN: u32 = 12;

/// Peers' clocks and schedules may be ahead of ours by no more; without a limit peers fill memory with the future.
const MAX_EPOCHS_AHEAD: u64 = 2;

impl DutyType {
    /// All of them, by number.
    pub fn all() -> impl Iterator<Item = DutyType> {
        ROWS.iter().map(|row| row.duty)
    }

    /// The type of a number of the wire.
    #[must_use]
    pub fn of(number: i32) -> Option<DutyType> {
        ROWS.iter().map(|row| row.duty).find(|duty| *duty as i32 == number)
    }

    /// Its number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize - 1]
    }

    /// Its name in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// How long after the start of its slot it begins.
    #[must_use]
    pub fn offset(self, slot: Duration) -> Duration {
        slot.saturating_mul(self.row().starts_at_third) / 3
    }

    /// Whether several subcommittees of one validator are told apart.
    #[must_use]
    pub fn has_subcommittees(self) -> bool {
        matches!(self, DutyType::PrepareSyncContribution | DutyType::SyncContribution)
    }
}

impl fmt::Display for DutyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One duty of a cluster: all its validators that have it at a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duty {
    /// The slot.
    pub slot: u64,
    /// What.
    pub kind: DutyType,
}

impl Duty {
    /// A duty.
    #[must_use]
    pub fn new(slot: u64, kind: DutyType) -> Duty {
        Duty { slot, kind }
    }

    /// Until when it is worth doing; none for what never ends.
    #[must_use]
    pub fn deadline(&self, clock: &Clock) -> Option<Time> {
        let after = match self.kind.row().until {
            Until::SlotPart(part) => clock.slot / part,
            Until::Epochs(count) => clock.epoch().saturating_mul(count),
            Until::Never => return None,
        };
        Some(clock.start_of(self.slot) + after + clock.slot / MARGIN)
    }

    /// Whether it is no more than two epochs ahead: others are not heard when peers name them. Those of the past end by
    /// their deadlines.
    #[must_use]
    pub fn is_near(&self, clock: &Clock, now: Time) -> bool {
        let current = clock.epoch_of(clock.slot_at(now).unwrap_or(0));
        clock.epoch_of(self.slot) <= current.saturating_add(MAX_EPOCHS_AHEAD)
    }

    /// When it begins.
    #[must_use]
    pub fn start(&self, clock: &Clock) -> Time {
        clock.start_of(self.slot) + self.kind.offset(clock.slot)
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slot, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_numbers() {
        for (position, row) in ROWS.iter().enumerate() {
            assert_eq!(row.duty as usize, position + 1, "{}", row.name);
            assert_eq!(DutyType::of(row.duty.number()), Some(row.duty));
        }
        assert_eq!(DutyType::of(0), None);
        assert_eq!(DutyType::of(14), None);
    }
}
