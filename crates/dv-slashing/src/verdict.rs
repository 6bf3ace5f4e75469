//! What may be signed after what was signed before (EIP-3076, "Conditions").
//!
//! ```text
//! Floor + the rows that matter + a message + the clock → Verdict
//! ```
//!
//! Above its [`Floor`] a history is whole: each message that was signed is a row, and a new one is compared with all rows
//! that it can contradict. What the floor covers is not known, or was pruned: nothing of it is signed any more, except
//! the very message that a row says was signed.
//!
//! <https://eips.ethereum.org/EIPS/eip-3076>
//!
//! # What must never happen
//!
//! - Two blocks of one slot, two attestations of one target, or two attestations of which one surrounds the other are
//!   both allowed for one key.
//! - A floor gets lower.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::protect::{Refusal, Verdict, Wall};

/// How far the clock of this node may be behind those of the others, in slots and in epochs.
pub const CLOCK_TOLERANCE: u64 = 1;

/// What is out of the question for a key, whatever its rows say. It only ever rises, and covers the source of each row
/// whose target it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Floor {
    /// No block of this slot or before.
    pub blocks_to: Option<u64>,
    /// No attestation whose source is before this epoch.
    pub sources_below: u64,
    /// No attestation whose target is this epoch or before.
    pub targets_to: Option<u64>,
}

/// A block that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedBlock {
    /// Its slot.
    pub slot: u64,
    /// Its signing root; none where an interchange did not say, and then it equals no other.
    pub root: Option<Root>,
}

/// An attestation that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedAttestation {
    /// Epoch of its source.
    pub source: u64,
    /// Epoch of its target.
    pub target: u64,
    /// Its signing root; none where an interchange did not say, and then it equals no other.
    pub root: Option<Root>,
}

impl Floor {
    /// Nothing is out of the question: for keys that never signed anything.
    pub const OPEN: Floor = Floor { blocks_to: None, sources_below: 0, targets_to: None };

    /// For keys that may have signed anything up to a slot and with a target up to an epoch.
    ///
    /// A source is before its target. So what was signed has a source before `epoch`, and a later attestation whose
    /// source is `epoch - 1` at least surrounds none of it.
    #[must_use]
    pub fn at(slot: u64, epoch: u64) -> Floor {
        Floor { blocks_to: Some(slot), sources_below: epoch.saturating_sub(1), targets_to: Some(epoch) }
    }

    /// What covers both.
    #[must_use]
    pub fn join(self, other: Floor) -> Floor {
        Floor {
            blocks_to: self.blocks_to.max(other.blocks_to),
            sources_below: self.sources_below.max(other.sources_below),
            targets_to: self.targets_to.max(other.targets_to),
        }
    }

    /// What covers a block, too.
    #[must_use]
    pub fn with_block(self, block: &SignedBlock) -> Floor {
        self.join(Floor { blocks_to: Some(block.slot), ..Floor::OPEN })
    }

    /// What covers an attestation, too.
    #[must_use]
    pub fn with_attestation(self, attestation: &SignedAttestation) -> Floor {
        let sources_below = attestation.source;
        self.join(Floor { sources_below, targets_to: Some(attestation.target), ..Floor::OPEN })
    }
}

/// Whether a block may be signed; `stored` is what was signed at its slot.
#[must_use]
pub fn block(floor: &Floor, stored: Option<&SignedBlock>, slot: u64, root: &Root, wall: Wall) -> Verdict {
    if let Some(stored) = stored {
        return match stored.root.as_ref() == Some(root) {
            true => Verdict::Again,
            false => Verdict::Refused(Refusal::DoubleBlock { slot }),
        };
    }
    if let Some(lowest) = floor.blocks_to.filter(|lowest| slot <= *lowest) {
        return Verdict::Refused(Refusal::OldBlock { lowest });
    }
    if slot > wall.slot.saturating_add(CLOCK_TOLERANCE) {
        return Verdict::Refused(Refusal::Future { now: wall.slot });
    }
    Verdict::Recorded
}

/// An attestation that is about to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Epoch of its source.
    pub source: u64,
    /// Epoch of its target.
    pub target: u64,
    /// Its signing root.
    pub root: Root,
}

impl Vote {
    /// The verdict where it does not depend on attestations with other targets; `stored` is what was signed for this
    /// one's.
    #[must_use]
    pub fn alone(&self, floor: &Floor, stored: Option<&SignedAttestation>, wall: Wall) -> Option<Verdict> {
        if let Some(stored) = stored {
            let is_same = stored.root == Some(self.root) && stored.source == self.source;
            return Some(match is_same {
                true => Verdict::Again,
                false => Verdict::Refused(Refusal::DoubleVote { target: self.target }),
            });
        }
        self.impossible(floor, wall).map(Verdict::Refused)
    }

    fn impossible(&self, floor: &Floor, wall: Wall) -> Option<Refusal> {
        let is_genesis = self.source == 0 && self.target == 0;
        if self.source >= self.target && !is_genesis {
            return Some(Refusal::Backwards);
        }
        if let Some(lowest) = floor.targets_to.filter(|lowest| self.target <= *lowest) {
            return Some(Refusal::OldTarget { lowest });
        }
        if self.source < floor.sources_below {
            return Some(Refusal::OldSource { lowest: floor.sources_below });
        }
        let is_future = self.target > wall.epoch.saturating_add(CLOCK_TOLERANCE);
        is_future.then_some(Refusal::Future { now: wall.epoch })
    }

    /// The first target that [`Self::against`] must see: a row above the floor has its source before its target, so what
    /// is up to this source is neither surrounded nor surrounds.
    #[must_use]
    pub fn first_target(&self, floor: &Floor) -> u64 {
        let above_floor = floor.targets_to.map_or(0, |lowest| lowest.saturating_add(1));
        self.source.max(above_floor)
    }

    /// What a row with another target says against it, after [`Self::alone`] left the verdict open. It is recorded if no
    /// row from [`Self::first_target`] on says anything.
    #[must_use]
    pub fn against(&self, row: &SignedAttestation) -> Option<Refusal> {
        let (source_epoch, target) = (row.source, row.target);
        if target == self.target {
            return Some(Refusal::DoubleVote { target });
        }
        if self.source < source_epoch && target < self.target {
            return Some(Refusal::Surrounds { source_epoch, target });
        }
        if source_epoch < self.source && self.target < target {
            return Some(Refusal::Surrounded { source_epoch, target });
        }
        None
    }
}

/// What a history says where two of them were put together: what differs equals nothing any more.
#[must_use]
pub fn merge_roots(one: Option<Root>, other: Option<Root>) -> Option<Root> {
    one.filter(|root| Some(*root) == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall = Wall { slot: 1_000, epoch: 100 };

    #[track_caller]
    fn check_block(floor: Option<u64>, stored: Option<Option<u8>>, asked: (u64, u8), expected: &str) {
        let floor = Floor { blocks_to: floor, ..Floor::OPEN };
        let stored = stored.map(|root| SignedBlock { slot: asked.0, root: root.map(|byte| [byte; 32]) });
        assert_eq!(said(block(&floor, stored.as_ref(), asked.0, &[asked.1; 32], WALL)), expected);
    }

    fn said(verdict: Verdict) -> String {
        match verdict {
            Verdict::Recorded => "recorded".to_owned(),
            Verdict::Again => "again".to_owned(),
            Verdict::Refused(why) => why.to_string(),
        }
    }

    #[test]
    fn a_slot_has_one_block() {
        check_block(None, None, (7, 1), "recorded");
        check_block(None, None, (0, 1), "recorded");
        check_block(None, Some(Some(1)), (7, 1), "again");
        check_block(Some(9), Some(Some(1)), (7, 1), "again");
        check_block(None, Some(Some(2)), (7, 1), "another block of slot 7 is signed already");
        check_block(None, Some(None), (7, 1), "another block of slot 7 is signed already");
        check_block(Some(7), None, (7, 1), "blocks up to slot 7 are not signed any more");
        check_block(Some(6), None, (7, 1), "recorded");
        check_block(None, None, (1_001, 1), "recorded");
        check_block(None, None, (1_002, 1), "it is of the future: the clock says 1000");
        let last = format!("blocks up to slot {} are not signed any more", u64::MAX);
        check_block(Some(u64::MAX), None, (u64::MAX, 1), &last);
    }

    fn row(source: u64, target: u64) -> SignedAttestation {
        SignedAttestation { source, target, root: Some([9; 32]) }
    }

    #[track_caller]
    fn check_vote(floor: Floor, rows: &[(u64, u64)], (source, target): (u64, u64), expected: &str) {
        let vote = Vote { source, target, root: [1; 32] };
        let same = rows.iter().find(|row| row.1 == target).map(|(source, target)| row(*source, *target));
        let verdict = vote.alone(&floor, same.as_ref(), WALL).unwrap_or_else(|| {
            let first = vote.first_target(&floor);
            let mut seen =
                rows.iter().filter(|row| row.1 >= first).map(|(source, target)| row(*source, *target));
            seen.find_map(|row| vote.against(&row)).map_or(Verdict::Recorded, Verdict::Refused)
        });
        assert_eq!(said(verdict), expected, "({source}, {target}) after {rows:?}");
    }

    #[test]
    fn a_target_has_one_vote_and_none_surrounds() {
        let check =
            |rows: &[(u64, u64)], asked, expected: &str| check_vote(Floor::OPEN, rows, asked, expected);
        check(&[], (0, 0), "recorded");
        check(&[], (3, 4), "recorded");
        check(&[], (4, 4), "its source is not before its target");
        check(&[], (5, 4), "its source is not before its target");
        check(&[(3, 4)], (3, 4), "another attestation with the target epoch 4 is signed already");
        check(&[(3, 4)], (2, 4), "another attestation with the target epoch 4 is signed already");
        check(&[(3, 4)], (3, 5), "recorded");
        check(&[(3, 4)], (2, 5), "it surrounds the signed attestation 3 to 4");
        check(&[(2, 7)], (3, 6), "the signed attestation 2 to 7 surrounds it");
        check(&[(2, 7)], (2, 6), "recorded");
        check(&[(3, 7)], (2, 6), "recorded");
        check(&[(0, 1), (1, 2), (5, 6)], (2, 4), "recorded");
        check(&[], (100, 101), "recorded");
        check(&[], (101, 102), "it is of the future: the clock says 100");
        check(&[(0, 1)], (0, 0), "recorded");
    }

    #[test]
    fn a_floor_covers_what_is_not_known() {
        let floor = Floor::at(320, 10);
        check_vote(floor, &[], (9, 11), "recorded");
        check_vote(floor, &[], (8, 11), "attestations with a source before epoch 9 are not signed any more");
        check_vote(floor, &[], (9, 10), "attestations with a target up to epoch 10 are not signed any more");
        let lower = Floor::at(32, 1).with_block(&SignedBlock { slot: 400, root: None });
        assert_eq!(floor.join(lower), Floor { blocks_to: Some(400), ..floor });
        assert_eq!(Floor::OPEN.with_attestation(&row(8, 7)).sources_below, 8);
        assert_eq!(Floor::at(0, 0), Floor { blocks_to: Some(0), sources_below: 0, targets_to: Some(0) });
    }

    #[test]
    fn the_same_needs_the_same_source_and_root() {
        let vote = Vote { source: 3, target: 4, root: [9; 32] };
        assert_eq!(vote.alone(&Floor::at(999, 99), Some(&row(3, 4)), WALL), Some(Verdict::Again));
        let double = Some(Verdict::Refused(Refusal::DoubleVote { target: 4 }));
        assert_eq!(vote.alone(&Floor::OPEN, Some(&row(2, 4)), WALL), double);
        assert_eq!(
            vote.alone(&Floor::OPEN, Some(&SignedAttestation { root: None, ..row(3, 4) }), WALL),
            double
        );
        assert_eq!(merge_roots(Some([1; 32]), Some([1; 32])), Some([1; 32]));
        assert_eq!(merge_roots(Some([1; 32]), Some([2; 32])), None);
        assert_eq!(merge_roots(None, Some([2; 32])), None);
        assert_eq!(merge_roots(None, None), None);
    }
}
