//! The tables of the database.

use coxswain_dv_eth::Root;
use coxswain_dv_eth::protect::{Signer, Verdict};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::verdict::{Floor, SignedAttestation, SignedBlock, Vote, merge_roots};

/// What the file is; see [`FORMAT_NAME`] and the names after it.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Groups, and their numbers in the other tables.
pub(super) const GROUPS: TableDefinition<'_, &[u8; 48], u32> = TableDefinition::new("groups");
/// Shares that groups have and had, and the numbers of the groups.
pub(super) const SHARES: TableDefinition<'_, &[u8; 48], u32> = TableDefinition::new("shares");
/// Ledger, group → floor. Without one the group has not started.
pub(super) const FLOORS: TableDefinition<'_, (u8, u32), FloorRow> = TableDefinition::new("floors");
/// Ledger, group, slot → signing root.
pub(super) const BLOCKS: TableDefinition<'_, Place, BlockRow> = TableDefinition::new("blocks");
/// Ledger, group, target → source, signing root.
pub(super) const ATTESTATIONS: TableDefinition<'_, Place, AttestationRow> =
    TableDefinition::new("attestations");

pub(super) type FloorRow = (Option<u64>, u64, Option<u64>);
pub(super) type Place = (u8, u32, u64);
pub(super) type BlockRow = Option<&'static [u8; 32]>;
pub(super) type AttestationRow = (u64, Option<&'static [u8; 32]>);

/// In [`META`]: the format.
pub(super) const FORMAT_NAME: &str = "format";
/// In [`META`]: the chain.
pub(super) const CHAIN_NAME: &str = "genesis_validators_root";
/// In [`META`]: where the history goes on, once it was handed over.
pub(super) const HANDED_OVER_NAME: &str = "handed_over_to";
/// In [`META`]: how many commits there were.
pub(super) const COMMITS_NAME: &str = "commits";
/// The format of this version.
pub(super) const FORMAT: &str = "coxswain-slashing/1";

/// Both ledgers.
pub(super) const LEDGERS: [Signer; 2] = [Signer::Share, Signer::Group];

/// The number of a ledger in the file.
pub(super) fn number(signer: Signer) -> u8 {
    match signer {
        Signer::Share => 0,
        Signer::Group => 1,
    }
}

/// The rows of one ledger in a transaction that writes.
pub(super) struct Ledger<'t> {
    pub(super) ledger: u8,
    pub(super) floors: Table<'t, (u8, u32), FloorRow>,
    pub(super) blocks: Table<'t, Place, BlockRow>,
    pub(super) attestations: Table<'t, Place, AttestationRow>,
}

impl<'t> Ledger<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, signer: Signer) -> Result<Self, redb::Error> {
        Ok(Ledger {
            ledger: number(signer),
            floors: transaction.open_table(FLOORS)?,
            blocks: transaction.open_table(BLOCKS)?,
            attestations: transaction.open_table(ATTESTATIONS)?,
        })
    }

    pub(super) fn floor(&self, group: u32) -> Result<Option<Floor>, redb::Error> {
        floor(&self.floors, self.ledger, group)
    }

    /// Raises a floor; where there is none, the group starts with this one. A row whose target it covers is covered
    /// wholly then, with its source: the verdict does not look at it any more.
    pub(super) fn raise_floor(&mut self, group: u32, floor: Floor) -> Result<(), redb::Error> {
        let before = self.floor(group)?;
        let mut floor = floor.join(before.unwrap_or(Floor::OPEN));
        let first =
            before.and_then(|before| before.targets_to).map_or(0, |covered| covered.saturating_add(1));
        if let Some(last) = floor.targets_to.filter(|last| first <= *last) {
            for entry in self.attestations.range((self.ledger, group, first)..=(self.ledger, group, last))? {
                let (place, row) = entry?;
                floor = floor.with_attestation(&attestation_of(place.value().2, row.value()));
            }
        }
        let row = (floor.blocks_to, floor.sources_below, floor.targets_to);
        self.floors.insert((self.ledger, group), row)?;
        Ok(())
    }

    pub(super) fn block(&self, group: u32, slot: u64) -> Result<Option<SignedBlock>, redb::Error> {
        let found = self.blocks.get((self.ledger, group, slot))?;
        Ok(found.map(|row| SignedBlock { slot, root: row.value().copied() }))
    }

    pub(super) fn put_block(&mut self, group: u32, block: &SignedBlock) -> Result<(), redb::Error> {
        self.blocks.insert((self.ledger, group, block.slot), block.root.as_ref())?;
        Ok(())
    }

    pub(super) fn attestation(
        &self,
        group: u32,
        target: u64,
    ) -> Result<Option<SignedAttestation>, redb::Error> {
        let found = self.attestations.get((self.ledger, group, target))?;
        Ok(found.map(|row| attestation_of(target, row.value())))
    }

    /// The verdict on an attestation among those with other targets.
    pub(super) fn among(&self, group: u32, vote: &Vote, floor: &Floor) -> Result<Verdict, redb::Error> {
        let range = (self.ledger, group, vote.first_target(floor))..=(self.ledger, group, u64::MAX);
        for entry in self.attestations.range(range)? {
            let (place, row) = entry?;
            if let Some(refusal) = vote.against(&attestation_of(place.value().2, row.value())) {
                return Ok(Verdict::Refused(refusal));
            }
        }
        Ok(Verdict::Recorded)
    }

    pub(super) fn put_attestation(
        &mut self,
        group: u32,
        attestation: &SignedAttestation,
    ) -> Result<(), redb::Error> {
        let row = (attestation.source, attestation.root.as_ref());
        self.attestations.insert((self.ledger, group, attestation.target), row)?;
        Ok(())
    }

    /// Adds a block of another history. The floor must cover it afterwards: it may contradict what is here. One that was
    /// covered `before` has no root: another block of its slot may have been forgotten.
    pub(super) fn merge_block(
        &mut self,
        group: u32,
        before: &Floor,
        block: &SignedBlock,
    ) -> Result<(), redb::Error> {
        let merged = match self.block(group, block.slot)? {
            Some(stored) => SignedBlock { root: merge_roots(stored.root, block.root), ..stored },
            None if before.blocks_to >= Some(block.slot) => SignedBlock { root: None, ..*block },
            None => *block,
        };
        self.put_block(group, &merged)
    }

    /// Adds an attestation of another history, as [`Self::merge_block`] does.
    pub(super) fn merge_attestation(
        &mut self,
        group: u32,
        before: &Floor,
        attestation: &SignedAttestation,
    ) -> Result<(), redb::Error> {
        let merged = match self.attestation(group, attestation.target)? {
            Some(stored) if stored.source == attestation.source => {
                SignedAttestation { root: merge_roots(stored.root, attestation.root), ..stored }
            }
            Some(stored) => {
                let source = stored.source.max(attestation.source);
                SignedAttestation { source, root: None, ..stored }
            }
            None if before.targets_to >= Some(attestation.target) => {
                SignedAttestation { root: None, ..*attestation }
            }
            None => *attestation,
        };
        self.put_attestation(group, &merged)
    }
}

pub(super) fn floor(
    floors: &impl ReadableTable<(u8, u32), FloorRow>,
    ledger: u8,
    group: u32,
) -> Result<Option<Floor>, redb::Error> {
    Ok(floors.get((ledger, group))?.map(|row| {
        let (blocks_to, sources_below, targets_to) = row.value();
        Floor { blocks_to, sources_below, targets_to }
    }))
}

pub(super) fn attestation_of(target: u64, (source, root): (u64, Option<&Root>)) -> SignedAttestation {
    SignedAttestation { source, target, root: root.copied() }
}
