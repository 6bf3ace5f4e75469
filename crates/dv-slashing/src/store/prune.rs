//! Forgetting what is old. Its maxima stay, in the floors.

use std::collections::BTreeMap;

use coxswain_dv_eth::protect::{Signer, Wall};

use super::tables::{LEDGERS, Ledger, attestation_of};
use super::{Store, StoreError};
use crate::verdict::{Floor, SignedBlock};

/// How many epochs of rows are worth keeping: a day. Rows only say more about a refusal, or allow the very same again.
pub const KEEP_EPOCHS: u64 = 256;
/// Rows of each kind that are removed in one transaction: signing waits for it.
const ROWS_AT_ONCE: usize = 1 << 14;

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
        let mut pruned = Pruned::default();
        for signer in LEDGERS {
            loop {
                let here = self.prune_part(signer, before)?;
                if here == Pruned::default() {
                    break;
                }
                pruned.blocks += here.blocks;
                pruned.attestations += here.attestations;
            }
        }
        Ok(pruned)
    }

    fn prune_part(&self, signer: Signer, before: Wall) -> Result<Pruned, StoreError> {
        let doing = "pruning";
        let transaction = self.writing(doing)?;
        let remove = || prune(&mut Ledger::open(&transaction, signer)?, before);
        let pruned = remove().map_err(self.failed(doing))?;
        match pruned == Pruned::default() {
            true => transaction.abort().map_err(|error| self.failed(doing)(error.into()))?,
            false => self.commit(doing, transaction)?,
        }
        Ok(pruned)
    }
}

fn prune(ledger: &mut Ledger<'_>, before: Wall) -> Result<Pruned, redb::Error> {
    let mut pruned = Pruned::default();
    let mut floors: BTreeMap<u32, Floor> = BTreeMap::new();
    let number = ledger.ledger;
    let range = |end| (number, 0, 0)..(number, end, 0);
    for entry in ledger.blocks.extract_from_if(range(before.slot), |_, _| true)?.take(ROWS_AT_ONCE) {
        let (_, slot, group) = entry?.0.value();
        let floor = floors.entry(group).or_insert(Floor::OPEN);
        *floor = floor.with_block(&SignedBlock { slot, root: None });
        pruned.blocks += 1;
    }
    for entry in ledger.attestations.extract_from_if(range(before.epoch), |_, _| true)?.take(ROWS_AT_ONCE) {
        let (place, row) = entry?;
        let (_, target, group) = place.value();
        let floor = floors.entry(group).or_insert(Floor::OPEN);
        *floor = floor.with_attestation(&attestation_of(target, row.value()));
        pruned.attestations += 1;
    }
    for (group, floor) in floors {
        ledger.raise_floor(group, floor)?;
    }
    Ok(pruned)
}
