//! A store of what was signed, in memory, with the conditions of EIP-3076.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::protect::{Refusal, Request, Verdict, What};

/// Votes of one key: source, target, root.
pub(crate) type Votes = BTreeSet<(u64, u64, Root)>;

/// What one signer has signed. It outlives its node.
#[derive(Default)]
pub(crate) struct Ledger {
    blocks: BTreeMap<(Bytes48, u64), Root>,
    votes: BTreeMap<Bytes48, Votes>,
}

impl Ledger {
    /// Keeps what is allowed.
    pub(crate) fn judge(&mut self, requests: &[Request]) -> Vec<Verdict> {
        requests.iter().map(|request| self.judge_one(request)).collect()
    }

    fn judge_one(&mut self, request: &Request) -> Verdict {
        match request.what {
            What::Block { slot, root } => match self.blocks.get(&(request.key, slot)) {
                Some(known) if *known == root => Verdict::Again,
                Some(_) => Verdict::Refused(Refusal::DoubleBlock { slot }),
                None => {
                    self.blocks.insert((request.key, slot), root);
                    Verdict::Recorded
                }
            },
            What::Attestation { source, target, root } => {
                let votes = self.votes.entry(request.key).or_default();
                if votes.contains(&(source, target, root)) {
                    return Verdict::Again;
                }
                if let Some(refusal) = contradiction(votes, (source, target, root)) {
                    return Verdict::Refused(refusal);
                }
                votes.insert((source, target, root));
                Verdict::Recorded
            }
        }
    }
}

/// Why a vote contradicts another one, if it does.
pub(crate) fn contradiction(votes: &Votes, new: (u64, u64, Root)) -> Option<Refusal> {
    let (source, target, _) = new;
    votes.iter().filter(|known| **known != new).find_map(|(known_source, known_target, _)| {
        let (source_epoch, known) = (*known_source, *known_target);
        if known == target {
            Some(Refusal::DoubleVote { target })
        } else if source < source_epoch && known < target {
            Some(Refusal::Surrounds { source_epoch, target: known })
        } else if source_epoch < source && target < known {
            Some(Refusal::Surrounded { source_epoch, target: known })
        } else {
            None
        }
    })
}
