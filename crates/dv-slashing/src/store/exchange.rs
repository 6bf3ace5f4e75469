//! Histories from other programs, and for them.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::protect::{Signer, Wall};
use redb::{ReadTransaction, ReadableDatabase as _};

use super::tables::{self, ATTESTATIONS, BLOCKS, FLOORS, LEDGERS, Ledger, attestation_of, number};
use super::watermark::Known;
use super::{KeyPair, Store, StoreError};
use crate::interchange::{Entry, Interchange};
use crate::verdict::{CLOCK_TOLERANCE, Floor, SignedAttestation, SignedBlock, merge_roots};

/// What becomes of keys that the store does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing is imported.
    Refuse,
    /// They are left out, and named in what was imported.
    Skip,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Keys whose histories were taken.
    pub keys: usize,
    /// Of those, the ones that had no record: their whole past is said to be empty.
    pub without_records: Vec<Bytes48>,
    /// Keys that were left out.
    pub strangers: Vec<Bytes48>,
    /// Records of blocks.
    pub blocks: u64,
    /// Records of attestations.
    pub attestations: u64,
    /// The highest slot of a block: nothing up to it is signed any more for its key.
    pub highest_slot: Option<u64>,
    /// The highest target of an attestation.
    pub highest_target: Option<u64>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is of another chain.
    #[error(
        "the interchange is of the chain with genesis_validators_root {found}, and the store of {expected}"
    )]
    OtherChain {
        /// The root in the interchange.
        found: Bytes32,
        /// The root of the store.
        expected: Bytes32,
    },
    /// It has keys that the store does not know.
    #[error("the interchange has {} keys that are of no validator of this cluster and of no share of this node, as {first}", .count)]
    Strangers {
        /// How many.
        count: usize,
        /// One of them.
        first: Bytes48,
    },
    /// A record is of the future: nothing would be signed any more until then.
    #[error("the interchange says that {key} has signed {record}, and the clock says {now}")]
    Future {
        /// The key.
        key: Bytes48,
        /// What.
        record: String,
        /// The slot or epoch of the clock.
        now: u64,
    },
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Adds a history: all of it, or nothing. Nothing up to its highest numbers is signed any more for its keys, except
    /// the very messages whose roots it has. Records later than the clock's `wall` are refused, as is what is about to be
    /// signed.
    ///
    /// What a group has signed, its share must not contradict, and the other way round. So floors rise in both ledgers;
    /// rows of a share go to the share's only.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(
        &self,
        history: &Interchange,
        strangers: Strangers,
        wall: Wall,
    ) -> Result<Imported, ImportError> {
        if history.genesis_validators_root != self.chain {
            let found = Bytes32::from(history.genesis_validators_root);
            return Err(ImportError::OtherChain { found, expected: Bytes32::from(self.chain) });
        }
        history.entries.iter().try_for_each(|entry| refuse_future(entry, wall))?;
        let doing = "importing into";
        let transaction = self.writing(doing)?;
        let mut known = Vec::new();
        let mut unknown = BTreeSet::new();
        for entry in &history.entries {
            match self.resolve(&transaction, &entry.key).map_err(self.failed(doing))? {
                Some(found) => known.push((found, entry)),
                None => drop(unknown.insert(entry.key)),
            }
        }
        if let (Strangers::Refuse, Some(first)) = (strangers, unknown.first()) {
            return Err(ImportError::Strangers { count: unknown.len(), first: *first });
        }
        for signer in LEDGERS {
            let mut ledger = Ledger::open(&transaction, signer).map_err(self.failed(doing))?;
            for (found, entry) in &known {
                take(&mut ledger, signer, *found, entry).map_err(self.failed(doing))?;
            }
        }
        self.commit(doing, transaction)?;
        let mut imported = report(known.iter().map(|(_, entry)| *entry));
        imported.strangers = unknown.into_iter().collect();
        Ok(imported)
    }

    /// The histories of groups, each under the name of the pair's share, which may be the group itself. What the node's
    /// share has signed and what was put together for the group are one history there.
    ///
    /// All that the floor covers is in one record, which has no root; records above it are as they were signed. A
    /// program that reads this refuses what this store refuses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export_for(&self, keys: &[KeyPair]) -> Result<Interchange, StoreError> {
        let read = || -> Result<Vec<Entry>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut entries = Vec::new();
            for pair in keys {
                if let Some(group) = self.groups.get(&pair.group) {
                    entries.push(history(&transaction, *group, pair.share)?);
                }
            }
            Ok(entries)
        };
        let entries = read().map_err(self.failed("exporting from"))?;
        Ok(Interchange { genesis_validators_root: self.chain, entries })
    }

    /// The groups of the settings, each as its own share: what [`Self::export_for`] exports under the names of the
    /// groups.
    #[must_use]
    pub fn groups(&self) -> Vec<KeyPair> {
        self.groups.keys().map(|group| KeyPair { group: *group, share: *group }).collect()
    }
}

/// A floor never gets lower, so one that is too high by mistake silences a validator for ever.
fn refuse_future(entry: &Entry, wall: Wall) -> Result<(), ImportError> {
    let key = entry.key;
    let last_slot = wall.slot.saturating_add(CLOCK_TOLERANCE);
    if let Some(block) = entry.blocks.iter().find(|block| block.slot > last_slot) {
        let record = format!("a block of slot {}", block.slot);
        return Err(ImportError::Future { key, record, now: wall.slot });
    }
    let last_epoch = wall.epoch.saturating_add(CLOCK_TOLERANCE);
    let is_late = |vote: &&SignedAttestation| vote.source.max(vote.target) > last_epoch;
    if let Some(vote) = entry.attestations.iter().find(is_late) {
        let record = format!("an attestation from epoch {} to {}", vote.source, vote.target);
        return Err(ImportError::Future { key, record, now: wall.epoch });
    }
    Ok(())
}

/// Adds an entry to a ledger.
fn take(ledger: &mut Ledger<'_>, signer: Signer, found: Known, entry: &Entry) -> Result<(), redb::Error> {
    let group = found.number;
    let before = ledger.floor(group)?.unwrap_or(Floor::OPEN);
    let mut floor = before;
    let has_rows = signer == Signer::Share || found.signer == Signer::Group;
    for block in &entry.blocks {
        floor = floor.with_block(block);
        if has_rows {
            ledger.merge_block(group, &before, block)?;
        }
    }
    for attestation in &entry.attestations {
        floor = floor.with_attestation(attestation);
        if has_rows {
            ledger.merge_attestation(group, &before, attestation)?;
        }
    }
    ledger.raise_floor(group, floor)
}

fn report<'e>(entries: impl Iterator<Item = &'e Entry>) -> Imported {
    let mut imported = Imported::default();
    let mut has_records: BTreeMap<Bytes48, bool> = BTreeMap::new();
    for entry in entries {
        *has_records.entry(entry.key).or_default() |=
            !(entry.blocks.is_empty() && entry.attestations.is_empty());
        imported.blocks += entry.blocks.len() as u64;
        imported.attestations += entry.attestations.len() as u64;
        let slots = entry.blocks.iter().map(|block| block.slot);
        imported.highest_slot = imported.highest_slot.max(slots.max());
        let targets = entry.attestations.iter().map(|attestation| attestation.target);
        imported.highest_target = imported.highest_target.max(targets.max());
    }
    imported.keys = has_records.len();
    imported.without_records = has_records.into_iter().filter(|(_, has)| !has).map(|(key, _)| key).collect();
    imported
}

/// The history of a group in both ledgers, under a name.
fn history(transaction: &ReadTransaction, group: u32, name: Bytes48) -> Result<Entry, redb::Error> {
    let floors = transaction.open_table(FLOORS)?;
    let block_table = transaction.open_table(BLOCKS)?;
    let attestation_table = transaction.open_table(ATTESTATIONS)?;
    let mut floor = Floor::OPEN;
    for signer in LEDGERS {
        floor = floor.join(tables::floor(&floors, number(signer), group)?.unwrap_or(Floor::OPEN));
    }
    let mut blocks: BTreeMap<u64, SignedBlock> = BTreeMap::new();
    let mut attestations: BTreeMap<u64, SignedAttestation> = BTreeMap::new();
    for ledger in LEDGERS.map(number) {
        let above = |covered: Option<u64>| {
            let first = covered.map_or(0, |covered| covered.saturating_add(1));
            (ledger, group, first)..=(ledger, group, u64::MAX)
        };
        for entry in block_table.range(above(floor.blocks_to))? {
            let (place, root) = entry?;
            add_block(&mut blocks, SignedBlock { slot: place.value().2, root: root.value().copied() });
        }
        for entry in attestation_table.range(above(floor.targets_to))? {
            let (place, row) = entry?;
            add_attestation(&mut attestations, attestation_of(place.value().2, row.value()));
        }
    }
    let (block, attestation) = covering(&floor);
    Ok(Entry {
        key: name,
        blocks: block.into_iter().chain(blocks.into_values()).collect(),
        attestations: attestation.into_iter().chain(attestations.into_values()).collect(),
    })
}

fn add_block(blocks: &mut BTreeMap<u64, SignedBlock>, block: SignedBlock) {
    let stored = blocks.entry(block.slot).or_insert(block);
    stored.root = merge_roots(stored.root, block.root);
}

fn add_attestation(attestations: &mut BTreeMap<u64, SignedAttestation>, attestation: SignedAttestation) {
    let stored = attestations.entry(attestation.target).or_insert(attestation);
    if *stored != attestation {
        let source = stored.source.max(attestation.source);
        *stored = SignedAttestation { source, root: None, ..attestation };
    }
}

/// Records that cover what a floor covers.
fn covering(floor: &Floor) -> (Option<SignedBlock>, Option<SignedAttestation>) {
    let block = floor.blocks_to.map(|slot| SignedBlock { slot, root: None });
    let source = floor.sources_below;
    // A record whose source is after its target is refused by some programs; a higher target covers more.
    let attestation =
        floor.targets_to.map(|target| SignedAttestation { source, target: target.max(source), root: None });
    (block, attestation)
}
