//! Stores of what was signed, as far as they are on the disk, by the rules of the real one; and what the simulation holds
//! against them, which shares nothing with those rules.

use std::collections::BTreeMap;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::protect::{Newest, Request, Verdict, Wall, What};
use coxswain_dv_slashing::verdict::{self, Floor, SignedAttestation, SignedBlock, Vote};

/// What one signer has signed. It outlives its node.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    blocks: BTreeMap<(Bytes48, u64), SignedBlock>,
    /// By target.
    votes: BTreeMap<(Bytes48, u64), SignedAttestation>,
}

impl Ledger {
    /// Keeps what is allowed, in one transaction.
    pub(crate) fn judge(&mut self, requests: &[Request], wall: Wall) -> Vec<Verdict> {
        requests.iter().map(|request| self.judge_one(request, wall)).collect()
    }

    /// The same of a disk that has lost whatever stands against it.
    pub(crate) fn judge_without_memory(&mut self, requests: &[Request], wall: Wall) -> Vec<Verdict> {
        let said = self.judge(requests, wall);
        if said.iter().all(|verdict| !matches!(verdict, Verdict::Refused(_))) {
            return said;
        }
        *self = Ledger::default();
        self.judge(requests, wall)
    }

    fn judge_one(&mut self, request: &Request, wall: Wall) -> Verdict {
        let key = request.key;
        match request.what {
            What::Block { slot, root } => {
                let said = verdict::block(&Floor::OPEN, self.blocks.get(&(key, slot)), slot, &root, wall);
                if said == Verdict::Recorded {
                    self.blocks.insert((key, slot), SignedBlock { slot, root: Some(root) });
                }
                said
            }
            What::Attestation { source, target, root } => {
                let vote = Vote { source, target, root };
                let said = self.judge_vote(key, &vote, wall);
                if said == Verdict::Recorded {
                    let row = SignedAttestation { source, target, root: Some(root) };
                    self.votes.insert((key, target), row);
                }
                said
            }
        }
    }

    fn judge_vote(&self, key: Bytes48, vote: &Vote, wall: Wall) -> Verdict {
        if let Some(said) = vote.alone(&Floor::OPEN, self.votes.get(&(key, vote.target)), wall) {
            return said;
        }
        let rows = self.votes.range((key, vote.first_target(&Floor::OPEN))..=(key, u64::MAX));
        let refusal = rows.map(|(_, row)| row).find_map(|row| vote.against(row));
        refusal.map_or(Verdict::Recorded, Verdict::Refused)
    }

    /// What a node that starts is told of it.
    pub(crate) fn newest(&self) -> Newest {
        let slot = self.blocks.keys().map(|(_, slot)| *slot).max();
        Newest { slot, target: self.votes.keys().map(|(_, target)| *target).max() }
    }

    /// Whether this very message is kept.
    pub(crate) fn has(&self, key: Bytes48, what: &What) -> bool {
        match what {
            What::Block { slot, root } => {
                self.blocks.get(&(key, *slot)).is_some_and(|row| row.root == Some(*root))
            }
            What::Attestation { source, target, root } => {
                let row = SignedAttestation { source: *source, target: *target, root: Some(*root) };
                self.votes.get(&(key, *target)) == Some(&row)
            }
        }
    }
}

/// Everything that somebody has signed, to be held against what comes.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    blocks: BTreeMap<u64, Root>,
    /// By target: source and root.
    votes: BTreeMap<u64, (u64, Root)>,
}

impl Signed {
    /// Takes what was signed; how it contradicts what was signed before, if it does.
    pub(crate) fn take(&mut self, what: &What) -> Option<String> {
        match *what {
            What::Block { slot, root } => {
                let known = *self.blocks.entry(slot).or_insert(root);
                (known != root).then(|| format!("two blocks of slot {slot}"))
            }
            What::Attestation { source, target, root } => {
                let known = *self.votes.entry(target).or_insert((source, root));
                if known != (source, root) {
                    return Some(format!("two votes with the target {target}"));
                }
                let surrounds = |(other, (from, _)): (&u64, &(u64, Root))| {
                    (source < *from && *other < target) || (*from < source && target < *other)
                };
                let found = self.votes.iter().find(|(other, row)| surrounds((other, row)));
                found.map(|(other, (from, _))| {
                    format!("the votes {from} to {other} and {source} to {target}: one surrounds the other")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(source: u64, target: u64, byte: u8) -> What {
        What::Attestation { source, target, root: [byte; 32] }
    }

    #[test]
    fn contradictions_are_seen() {
        let mut signed = Signed::default();
        for fine in [vote(1, 2, 1), vote(1, 2, 1), vote(2, 5, 1), vote(1, 3, 1)] {
            assert_eq!(signed.take(&fine), None, "{fine:?}");
        }
        assert!(signed.take(&vote(1, 2, 2)).is_some(), "another root");
        assert!(signed.take(&vote(3, 4, 1)).is_some(), "it is surrounded");
        assert!(signed.take(&vote(0, 9, 1)).is_some(), "it surrounds");
        let block = |byte| What::Block { slot: 3, root: [byte; 32] };
        assert_eq!(signed.take(&block(1)), None);
        assert_eq!(signed.take(&block(1)), None);
        assert!(signed.take(&block(2)).is_some());
    }

    #[test]
    fn a_ledger_keeps_what_it_allows() {
        let mut ledger = Ledger::default();
        let (key, wall) = (Bytes48::from([1; 48]), Wall { slot: 100, epoch: 12 });
        let what = vote(10, 11, 1);
        assert!(!ledger.has(key, &what));
        assert_eq!(ledger.judge(&[Request { key, what }], wall), [Verdict::Recorded]);
        assert!(ledger.has(key, &what) && !ledger.has(key, &vote(10, 11, 2)));
        assert_eq!(ledger.judge(&[Request { key, what }], wall), [Verdict::Again]);
        let around = Request { key, what: vote(9, 12, 1) };
        assert!(matches!(ledger.judge(&[around], wall)[..], [Verdict::Refused(_)]));
        assert!(!ledger.has(key, &around.what));
    }
}
