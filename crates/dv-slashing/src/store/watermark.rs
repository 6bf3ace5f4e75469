//! Where histories begin, and what there is of them.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::protect::{Newest, Signer};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _};

use super::tables::{
    self, ATTESTATIONS, BLOCKS, FLOORS, GROUPS, LEDGERS, Ledger, SHARES, attestation_of, number,
};
use super::{Store, StoreError};
use crate::verdict::Floor;

/// What there is of a group, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The group.
    pub group: Bytes48,
    /// Shares that this node has and had of it.
    pub shares: Vec<Bytes48>,
    /// The ledger of the share, then the one of the group.
    pub ledgers: [LedgerSummary; 2],
}

/// What there is of a group in one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerSummary {
    /// Its floor; none where it has not started.
    pub floor: Option<Floor>,
    /// Blocks that are kept.
    pub blocks: u64,
    /// Slot of the last one that is kept.
    pub last_slot: Option<u64>,
    /// Attestations that are kept.
    pub attestations: u64,
    /// The last one that is kept: its source and its target.
    pub last_vote: Option<(u64, u64)>,
}

impl Store {
    /// Groups of the settings that have no history: nothing was imported for them, and no start was set. Until then
    /// nothing is signed for them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn not_started(&self) -> Result<Vec<Bytes48>, StoreError> {
        let mut found = Vec::new();
        for group in self.groups.keys() {
            if self.floor(Signer::Share, group)?.is_none() {
                found.push(*group);
            }
        }
        Ok(found)
    }

    /// Whether no group of the settings has a history.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.not_started()?.len() == self.groups.len())
    }

    /// What is out of the question for a group; none where it has not started or is not known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn floor(&self, signer: Signer, group: &Bytes48) -> Result<Option<Floor>, StoreError> {
        let Some(group) = self.groups.get(group) else { return Ok(None) };
        let read = || tables::floor(&self.database.begin_read()?.open_table(FLOORS)?, number(signer), *group);
        read().map_err(self.failed("reading"))
    }

    /// The newest that is kept of all groups, also of those that the settings do not name. Where a history starts is not in
    /// it: nothing of that need have been signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest(&self, signer: Signer) -> Result<Newest, StoreError> {
        let ledger = number(signer);
        let all = || (ledger, 0, 0)..=(ledger, u64::MAX, u32::MAX);
        let read = || -> Result<Newest, redb::Error> {
            let transaction = self.database.begin_read()?;
            let block = transaction.open_table(BLOCKS)?.range(all())?.next_back().transpose()?;
            let vote = transaction.open_table(ATTESTATIONS)?.range(all())?.next_back().transpose()?;
            Ok(Newest {
                slot: block.map(|(place, _)| place.value().1),
                target: vote.map(|(place, _)| place.value().1),
            })
        };
        read().map_err(self.failed("reading"))
    }

    /// Starts all groups of the settings that have no history, after a slot and an epoch: whatever was signed up to them
    /// is not contradicted. Gives back how many were started.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn start_at(&self, slot: u64, epoch: u64) -> Result<usize, StoreError> {
        let groups = self.not_started()?;
        self.raise(&groups, Floor::at(slot, epoch))?;
        Ok(groups.len())
    }

    /// Starts groups that have no history and never signed anything, as the chain does not have them yet; others are left
    /// as they are. Gives back how many were started.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn start_new(&self, groups: &[Bytes48]) -> Result<usize, StoreError> {
        let mut missing = self.not_started()?;
        missing.retain(|group| groups.contains(group));
        self.raise(&missing, Floor::OPEN)?;
        Ok(missing.len())
    }

    /// Raises the floors of groups; none gets lower.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn raise(&self, groups: &[Bytes48], floor: Floor) -> Result<(), StoreError> {
        let doing = "setting the start of";
        let transaction = self.writing(doing)?;
        let raise_all = || -> Result<(), redb::Error> {
            for signer in LEDGERS {
                let mut ledger = Ledger::open(&transaction, signer)?;
                for group in groups.iter().filter_map(|group| self.groups.get(group)) {
                    ledger.raise_floor(*group, floor)?;
                }
            }
            Ok(())
        };
        raise_all().map_err(self.failed(doing))?;
        self.commit(doing, transaction)
    }

    /// What there is of each group of the settings, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn summary(&self) -> Result<Vec<KeySummary>, StoreError> {
        let read = || -> Result<Vec<KeySummary>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut shares: BTreeMap<u32, Vec<Bytes48>> = BTreeMap::new();
            for entry in transaction.open_table(SHARES)?.iter()? {
                let (share, owner) = entry?;
                shares.entry(owner.value()).or_default().push(Bytes48::from(*share.value()));
            }
            let [mut of_share, mut of_group] = [
                summarise(&transaction, number(Signer::Share))?,
                summarise(&transaction, number(Signer::Group))?,
            ];
            let each = self.groups.iter().map(|(group, id)| KeySummary {
                group: *group,
                shares: shares.remove(id).unwrap_or_default(),
                ledgers: [of_share.remove(id).unwrap_or_default(), of_group.remove(id).unwrap_or_default()],
            });
            Ok(each.collect())
        };
        read().map_err(self.failed("reading"))
    }

    /// The number of a public key: of a group, or of a share that is or was a group's.
    pub(super) fn resolve(
        &self,
        transaction: &redb::WriteTransaction,
        key: &Bytes48,
    ) -> Result<Option<Known>, redb::Error> {
        if let Some(group) = transaction.open_table(GROUPS)?.get(&key.0)? {
            return Ok(Some(Known { number: group.value(), signer: Signer::Group }));
        }
        let shares = transaction.open_table(SHARES)?;
        let found = shares.get(&key.0)?;
        Ok(found.map(|group| Known { number: group.value(), signer: Signer::Share }))
    }
}

/// What there is in a ledger, by the numbers of the groups.
fn summarise(transaction: &ReadTransaction, ledger: u8) -> Result<BTreeMap<u32, LedgerSummary>, redb::Error> {
    let mut found: BTreeMap<u32, LedgerSummary> = BTreeMap::new();
    for entry in transaction.open_table(FLOORS)?.range((ledger, 0)..=(ledger, u32::MAX))? {
        let (place, row) = entry?;
        found.entry(place.value().1).or_default().floor = Some(tables::floor_of(row.value()));
    }
    let all = (ledger, 0, 0)..=(ledger, u64::MAX, u32::MAX);
    for entry in transaction.open_table(BLOCKS)?.range(all.clone())? {
        let (_, slot, group) = entry?.0.value();
        let summary = found.entry(group).or_default();
        (summary.blocks, summary.last_slot) = (summary.blocks + 1, Some(slot));
    }
    for entry in transaction.open_table(ATTESTATIONS)?.range(all)? {
        let (place, row) = entry?;
        let (_, target, group) = place.value();
        let summary = found.entry(group).or_default();
        let vote = attestation_of(target, row.value());
        (summary.attestations, summary.last_vote) = (summary.attestations + 1, Some((vote.source, target)));
    }
    Ok(found)
}

/// A public key that the store knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The number of its group.
    pub(super) number: u32,
    /// Whether it is the group's, or a share's.
    pub(super) signer: Signer,
}
