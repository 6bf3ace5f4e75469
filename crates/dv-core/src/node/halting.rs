//! Attestation data of a leader against those that this node sees itself, where operators want that: a cluster whose
//! beacon nodes are on two branches then does not attest, instead of attesting to the leader's branch.

use std::collections::BTreeMap;

use coxswain_dv_eth::attestation::AttestationData;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::unsigned::Unsigned;
use coxswain_dv_qbft::consensus;
use coxswain_dv_qbft::machine::Verdict;

use super::Node;
use crate::features::OnSplit;

/// Values of a duty by validator.
type Set = BTreeMap<Bytes48, Unsigned>;

/// A duty whose values are compared.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What this node sees itself.
    own: Option<Set>,
    /// Values of leaders that wait for it, by round.
    waiting: BTreeMap<u64, Set>,
}

impl Node {
    fn compares(&self, duty: Duty) -> bool {
        self.features.on_split == OnSplit::Halt && duty.kind == DutyType::Attester
    }

    /// What this node would propose itself.
    pub(crate) fn seen(&mut self, duty: Duty, own: &Set) {
        if !self.compares(duty) || !self.live.contains(&duty) {
            return;
        }
        let compared = self.compared.entry(duty).or_default();
        compared.own = Some(own.clone());
        for (round, value) in std::mem::take(&mut compared.waiting) {
            let verdict = verdict(&value, own);
            self.consensus(consensus::Event::Checked { duty, round, verdict });
        }
    }

    /// What to say of a leader's value that is one of this duty; none where it is said later.
    pub(crate) fn compare(&mut self, duty: Duty, round: u64, value: Set) -> Option<Verdict> {
        if !self.compares(duty) || !self.live.contains(&duty) {
            return Some(Verdict::Accepted);
        }
        let compared = self.compared.entry(duty).or_default();
        if let Some(own) = &compared.own {
            return Some(verdict(&value, own));
        }
        compared.waiting.insert(round, value);
        None
    }
}

/// Heads may differ. What only one side has is not compared.
fn verdict(value: &Set, own: &Set) -> Verdict {
    let differs = |(key, theirs): (&Bytes48, &Unsigned)| {
        let (Some(theirs), Some(own)) = (data(theirs), own.get(key).and_then(data)) else { return false };
        theirs.source != own.source || theirs.target != own.target
    };
    if value.iter().any(differs) { Verdict::Differs } else { Verdict::Accepted }
}

fn data(value: &Unsigned) -> Option<&AttestationData> {
    match value {
        Unsigned::Attester { data, .. } => Some(data),
        Unsigned::Proposer(_) | Unsigned::Aggregator { .. } | Unsigned::SyncContribution(_) => None,
    }
}
