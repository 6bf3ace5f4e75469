//! Justified and finalized epochs, from the votes that were received.

use coxswain_dv_eth::attestation::Checkpoint;

use super::Chain;

/// What holds in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Finality {
    /// What attestations of the epoch start from.
    pub(super) justified: Checkpoint,
    /// What never changes any more.
    pub(super) finalized: Checkpoint,
}

impl Chain {
    /// At the start of an epoch: what is justified in it.
    ///
    /// An epoch is justified when two thirds of its validators have voted for it by the end of the epoch after it, and
    /// finalized when the next one is justified too. Other ways to finality are left out.
    pub(super) fn justify(&mut self, epoch: u64) {
        let mut now = self.finality_at(epoch);
        for voted in epoch.saturating_sub(2)..epoch {
            let first = self.spec.clock.first_of(voted);
            let next = self.spec.clock.first_of(voted.saturating_add(1));
            let root = self.tree.at_or_before(first).root.into();
            let n_voters = self.pool.voters_for(first..next, &root).len();
            let n_active = self.active_at(voted).len();
            if voted > now.justified.epoch && n_active > 0 && n_voters * 3 >= n_active * 2 {
                if now.justified.epoch.saturating_add(1) == voted {
                    now.finalized = now.justified;
                }
                now.justified = Checkpoint { epoch: voted, root };
            }
        }
        self.finality.insert(epoch, now);
    }

    /// What holds in an epoch; of epochs to come, what holds so far.
    pub(super) fn finality_at(&self, epoch: u64) -> Finality {
        self.finality.range(..=epoch).next_back().map(|(_, known)| *known).unwrap_or_default()
    }
}
