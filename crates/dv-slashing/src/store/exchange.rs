//! Histories from other programs, and for them.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::protect::{Signer, Wall};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _};

use super::tables::{self, ATTESTATIONS, BLOCKS, FLOORS, LEDGERS, Ledger, attestation_of};
use super::watermark::Known;
use super::{KeyPair, Store, StoreError};
use crate::interchange::{Entry, Interchange};
use crate::verdict::{CLOCK_TOLERANCE, Floor, SignedAttestation, SignedBlock, merge_roots};

/// How far ahead of the clock a record may be, in epochs. A node whose keys have no history holds back all that is up to the
/// end of the epoch after the one that it starts in, and its export says so from its first moment on; the clock that
/// reads it may be [`CLOCK_TOLERANCE`] behind. A store that is handed over holds back as much.
const AHEAD_EPOCHS: u64 = 1 + CLOCK_TOLERANCE;
/// The same in slots: from the first one of an epoch to the last one of the epoch that far ahead. No chain that is in use
/// has longer epochs than the main one.
const AHEAD_SLOTS: u64 = (AHEAD_EPOCHS + 1) * 32;

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
    /// Keys whose histories were taken, each once, in their order.
    pub taken: Vec<Taken>,
    /// Keys that were left out.
    pub strangers: Vec<Bytes48>,
}

/// What was imported of a key. Where it has no record, its whole past is said to be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The key, as the interchange has it.
    pub key: Bytes48,
    /// The group that it is of.
    pub group: Bytes48,
    /// Whether it is the group's own, or a share's.
    pub signer: Signer,
    /// Records of blocks.
    pub blocks: u64,
    /// Records of attestations.
    pub attestations: u64,
    /// The highest slot of a block: nothing up to it is signed any more.
    pub highest_slot: Option<u64>,
    /// The highest target of an attestation: nothing up to it is signed any more.
    pub highest_target: Option<u64>,
}

impl Taken {
    fn add(&mut self, entry: &Entry) {
        self.blocks += entry.blocks.len() as u64;
        self.attestations += entry.attestations.len() as u64;
        let slots = entry.blocks.iter().map(|block| block.slot);
        self.highest_slot = self.highest_slot.max(slots.max());
        let targets = entry.attestations.iter().map(|attestation| attestation.target);
        self.highest_target = self.highest_target.max(targets.max());
    }
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
    /// A record is of the future, and more than a node without a history holds back: nothing would be signed any more
    /// until then.
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
    /// the very messages whose roots it has. Records are refused where they are further ahead of the clock's `wall` than
    /// what a node without a history holds back.
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
            take(&mut ledger, signer, &known).map_err(self.failed(doing))?;
        }
        // Before the commit: what is in the file then was imported, whatever fails afterwards.
        let taken = self.report(&known).map_err(self.failed(doing))?;
        self.commit(doing, transaction)?;
        Ok(Imported { taken, strangers: unknown.into_iter().collect() })
    }

    fn report(&self, known: &[(Known, &Entry)]) -> Result<Vec<Taken>, redb::Error> {
        let names: BTreeMap<u32, Bytes48> =
            self.all_groups()?.into_iter().map(|(group, number)| (number, group)).collect();
        let mut taken: BTreeMap<Bytes48, Taken> = BTreeMap::new();
        for (found, entry) in known {
            let one = taken.entry(entry.key).or_insert_with(|| Taken {
                key: entry.key,
                group: names.get(&found.number).copied().unwrap_or(entry.key),
                signer: found.signer,
                blocks: 0,
                attestations: 0,
                highest_slot: None,
                highest_target: None,
            });
            one.add(entry);
        }
        Ok(taken.into_values().collect())
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
            let gathered = gather(&self.database.begin_read()?)?;
            let known = keys.iter().filter_map(|pair| Some((pair.share, self.groups.get(&pair.group)?)));
            Ok(known
                .map(|(name, group)| gathered.get(group).cloned().unwrap_or_default().under(name))
                .collect())
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

/// A floor never gets lower, so one that is too high by mistake silences a validator for ever; here for three epochs.
fn refuse_future(entry: &Entry, wall: Wall) -> Result<(), ImportError> {
    let key = entry.key;
    let last_slot = wall.slot.saturating_add(AHEAD_SLOTS);
    if let Some(block) = entry.blocks.iter().find(|block| block.slot > last_slot) {
        let record = format!("a block of slot {}", block.slot);
        return Err(ImportError::Future { key, record, now: wall.slot });
    }
    let last_epoch = wall.epoch.saturating_add(AHEAD_EPOCHS);
    let is_late = |vote: &&SignedAttestation| vote.source.max(vote.target) > last_epoch;
    if let Some(vote) = entry.attestations.iter().find(is_late) {
        let record = format!("an attestation from epoch {} to {}", vote.source, vote.target);
        return Err(ImportError::Future { key, record, now: wall.epoch });
    }
    Ok(())
}

/// Adds entries to a ledger: first the floors, which look at the rows that were there, then the rows, in their order in
/// the table, which is several times as fast.
fn take(ledger: &mut Ledger<'_>, signer: Signer, entries: &[(Known, &Entry)]) -> Result<(), redb::Error> {
    let mut blocks = Vec::new();
    let mut attestations = Vec::new();
    for (found, entry) in entries {
        let group = found.number;
        let before = ledger.floor(group)?.unwrap_or(Floor::OPEN);
        let floor = entry.blocks.iter().fold(before, |floor, block| floor.with_block(block));
        let floor = entry.attestations.iter().fold(floor, |floor, vote| floor.with_attestation(vote));
        ledger.raise_floor(group, floor)?;
        if signer == Signer::Share || found.signer == Signer::Group {
            blocks.extend(entry.blocks.iter().map(|block| (group, before, block)));
            attestations.extend(entry.attestations.iter().map(|vote| (group, before, vote)));
        }
    }
    // Stable: of two records for one place the first is there first.
    blocks.sort_by_key(|(group, _, block)| (block.slot, *group));
    attestations.sort_by_key(|(group, _, vote)| (vote.target, *group));
    for (group, before, block) in blocks {
        ledger.merge_block(group, &before, block)?;
    }
    for (group, before, attestation) in attestations {
        ledger.merge_attestation(group, &before, attestation)?;
    }
    Ok(())
}

/// The history of a group in both ledgers.
#[derive(Debug, Clone)]
struct Gathered {
    floor: Floor,
    blocks: BTreeMap<u64, SignedBlock>,
    attestations: BTreeMap<u64, SignedAttestation>,
}

impl Default for Gathered {
    fn default() -> Self {
        Gathered { floor: Floor::OPEN, blocks: BTreeMap::new(), attestations: BTreeMap::new() }
    }
}

/// All histories, by the numbers of the groups.
fn gather(transaction: &ReadTransaction) -> Result<BTreeMap<u32, Gathered>, redb::Error> {
    let mut found: BTreeMap<u32, Gathered> = BTreeMap::new();
    for entry in transaction.open_table(FLOORS)?.iter()? {
        let (place, row) = entry?;
        let gathered = found.entry(place.value().1).or_default();
        gathered.floor = gathered.floor.join(tables::floor_of(row.value()));
    }
    for entry in transaction.open_table(BLOCKS)?.iter()? {
        let (place, root) = entry?;
        let (_, slot, group) = place.value();
        found.entry(group).or_default().add_block(SignedBlock { slot, root: root.value().copied() });
    }
    for entry in transaction.open_table(ATTESTATIONS)?.iter()? {
        let (place, row) = entry?;
        let (_, target, group) = place.value();
        found.entry(group).or_default().add_attestation(attestation_of(target, row.value()));
    }
    Ok(found)
}

impl Gathered {
    fn add_block(&mut self, block: SignedBlock) {
        if self.floor.blocks_to >= Some(block.slot) {
            return;
        }
        let stored = self.blocks.entry(block.slot).or_insert(block);
        stored.root = merge_roots(stored.root, block.root);
    }

    fn add_attestation(&mut self, attestation: SignedAttestation) {
        // The floor may be the other ledger's, and not cover the source.
        if self.floor.targets_to >= Some(attestation.target) {
            self.floor = self.floor.with_attestation(&attestation);
            return;
        }
        let stored = self.attestations.entry(attestation.target).or_insert(attestation);
        if *stored != attestation {
            let source = stored.source.max(attestation.source);
            *stored = SignedAttestation { source, root: None, ..attestation };
        }
    }

    /// As others read it. The record that covers what the floor covers is the first one.
    fn under(self, name: Bytes48) -> Entry {
        let block = self.floor.blocks_to.map(|slot| SignedBlock { slot, root: None });
        let source = self.floor.sources_below;
        // A record whose source is after its target is refused by some programs; a higher target covers more.
        let covering = |target: u64| SignedAttestation { source, target: target.max(source), root: None };
        let attestation = self.floor.targets_to.map(covering);
        Entry {
            key: name,
            blocks: block.into_iter().chain(self.blocks.into_values()).collect(),
            attestations: attestation.into_iter().chain(self.attestations.into_values()).collect(),
        }
    }
}
