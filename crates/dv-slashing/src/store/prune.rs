//! Forgetting what is old. Its maxima stay, in the floors.

use coxswain_dv_eth::protect::Wall;

use super::tables::{LEDGERS, Ledger, attestation_of};
use super::{Store, StoreError};
use crate::verdict::SignedBlock;

/// How many epochs of rows are worth keeping: a day. Rows only say more about a refusal, or allow the very same again.
pub const KEEP_EPOCHS: u64 = 256;
/// Groups whose rows are removed in one transaction: signing waits for it.
const GROUPS_AT_ONCE: usize = 64;

/// How many rows were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Of blocks.
    pub blocks: u64,
    /// Of attestations.
    pub attestations: u64,
}

impl Store {
    /// Removes what was signed before a slot, and with a target before an epoch, and raises the floors to what was
    /// removed. In several transactions: after an error a part may be removed, each part with its floor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune(&self, before: Wall) -> Result<Pruned, StoreError> {
        let groups: Vec<u32> = self.groups.values().copied().collect();
        let mut pruned = Pruned::default();
        for groups in groups.chunks(GROUPS_AT_ONCE) {
            let doing = "pruning";
            let transaction = self.writing(doing)?;
            let mut here = Pruned::default();
            for signer in LEDGERS {
                let mut ledger = Ledger::open(&transaction, signer).map_err(self.failed(doing))?;
                for group in groups {
                    prune(&mut ledger, *group, before, &mut here).map_err(self.failed(doing))?;
                }
            }
            match here == Pruned::default() {
                true => transaction.abort().map_err(|error| self.failed(doing)(error.into()))?,
                false => self.commit(doing, transaction)?,
            }
            pruned.blocks += here.blocks;
            pruned.attestations += here.attestations;
        }
        Ok(pruned)
    }
}

fn prune(ledger: &mut Ledger<'_>, group: u32, before: Wall, pruned: &mut Pruned) -> Result<(), redb::Error> {
    // Without a floor there are no rows.
    let Some(floor) = ledger.floor(group)? else { return Ok(()) };
    let mut raised = floor;
    let number = ledger.ledger;
    let range = |end| (number, group, 0)..(number, group, end);
    for entry in ledger.blocks.extract_from_if(range(before.slot), |_, _| true)? {
        raised = raised.with_block(&SignedBlock { slot: entry?.0.value().2, root: None });
        pruned.blocks += 1;
    }
    for entry in ledger.attestations.extract_from_if(range(before.epoch), |_, _| true)? {
        let (place, row) = entry?;
        raised = raised.with_attestation(&attestation_of(place.value().2, row.value()));
        pruned.attestations += 1;
    }
    if raised != floor {
        ledger.raise_floor(group, raised)?;
    }
    Ok(())
}
