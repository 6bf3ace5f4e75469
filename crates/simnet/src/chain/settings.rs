//! What a chain is made of.

use std::time::Duration;

use coxswain_dv_crypto::bls::{BlsError, PublicKey};
use coxswain_dv_eth::bytes::{Bytes4, Bytes48};
use coxswain_dv_eth::fork::{FAR_FUTURE, Forks};
use coxswain_dv_eth::sync::COMMITTEE_SIZE;
use coxswain_dv_eth::time::Time;

/// The shortest slot: three parts of it have to be told apart by processes that share a machine.
pub const SHORTEST_SLOT: Duration = Duration::from_millis(200);
/// The longest slot: a day, so that every moment of a chain is one that clocks have.
pub const LONGEST_SLOT: Duration = Duration::from_secs(86_400);
/// Most validators: their duties are kept for several epochs.
pub const MAX_VALIDATORS: usize = 16_384;
/// Most validators that the chain plays: signing takes half a millisecond each.
pub const MAX_OTHERS: usize = 512;
/// Least slots of an epoch: a block and its votes are of one of them, and what comes of these of the next.
pub const MIN_SLOTS_PER_EPOCH: u64 = 2;
/// Most slots of an epoch, as on any chain there is.
pub const MAX_SLOTS_PER_EPOCH: u64 = 64;
/// Most committees of a slot (`MAX_COMMITTEES_PER_SLOT`).
pub const MAX_COMMITTEES: u64 = 64;
/// Most blobs of a block: a block with them is kept until it is signed.
pub const MAX_BLOBS: usize = 9;
/// Most bytes of transactions of a block, as much as a full block has.
pub const MAX_TRANSACTION_BYTES: usize = 2 << 20;

/// Whether there is a builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Builder {
    /// There is none.
    #[default]
    Off,
    /// It builds for validators that have registered.
    Registered,
    /// It builds for all.
    Everybody,
}

/// Who is in sync committees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncCommittees {
    /// Validators of a committee; another choice in each period.
    pub members: usize,
    /// Seats that they share evenly, of 512. The others are empty.
    pub seats: u64,
    /// How long a committee is in office (`EPOCHS_PER_SYNC_COMMITTEE_PERIOD`).
    pub period_epochs: u64,
}

/// What a chain is made of. Equal settings give equal duties.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where all randomness comes from.
    pub seed: u64,
    /// When slot 0 starts, in whole seconds: clients know no others.
    pub genesis: Time,
    /// How long a slot is; clients that read `SECONDS_PER_SLOT` need whole seconds.
    pub slot: Duration,
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// Versions and epochs of forks.
    pub forks: Forks,
    /// Public keys of the validators, in the order of their indices.
    pub validators: Vec<Bytes48>,
    /// Validators after these that the chain plays itself, so that it goes on whatever those do.
    pub others: usize,
    /// Committees of each slot.
    pub committees_per_slot: u64,
    /// Who is in sync committees.
    pub sync: SyncCommittees,
    /// Whether there is a builder.
    pub builder: Builder,
    /// Blobs of each block.
    pub blobs: usize,
    /// Bytes of transactions of each block.
    pub transaction_bytes: usize,
    /// Epochs that a validator must have been active before it exits (`SHARD_COMMITTEE_PERIOD`).
    pub epochs_before_exit: u64,
    /// The version that nodes of the chain say they have.
    pub version: String,
    /// The number of the execution chain.
    pub chain_id: u64,
}

/// Why settings give no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A value outside its range.
    #[error("{field} is {value}, which is not from {least} to {most}")]
    Range {
        /// Which.
        field: &'static str,
        /// What it is.
        value: u128,
        /// The least that it may be.
        least: u128,
        /// The most that it may be.
        most: u128,
    },
    /// A key is none.
    #[error("validator {index} has no usable public key")]
    Key {
        /// Whose.
        index: usize,
        /// Why.
        source: BlsError,
    },
    /// A key is there twice.
    #[error("validators {first} and {second} have the same public key {key}")]
    Twice {
        /// One.
        first: usize,
        /// The other.
        second: usize,
        /// Theirs.
        key: Bytes48,
    },
}

/// The forks of Hoodi, with all of them up to Fulu from the first epoch on.
#[must_use]
pub fn hoodi_forks() -> Forks {
    forks([0x10, 0, 9, 0x10], 0x10, [0; 7])
}

/// The forks of a network whose versions count in their first byte: Hoodi from `0x10000910` in steps of `0x10`, mainnet
/// from `0x00000000` in steps of 1. `epochs` are those from which the forks hold; [`FAR_FUTURE`] for never.
#[must_use]
pub fn forks(genesis: [u8; 4], step: u8, epochs: [u64; 7]) -> Forks {
    let mut first = genesis[0];
    let rows = epochs.map(|epoch| {
        let version = Bytes4::from([first, genesis[1], genesis[2], genesis[3]]);
        first = first.wrapping_add(step);
        (epoch, version)
    });
    Forks::new(rows)
}

/// Epochs of forks with the given number of forks from the first epoch on, and the others never: 6 is Electra, 7 Fulu.
#[must_use]
pub fn all_up_to(n_forks: usize) -> [u64; 7] {
    std::array::from_fn(|index| if index < n_forks { 0 } else { FAR_FUTURE })
}

impl Settings {
    /// A chain with eight slots an epoch, one committee a slot, all validators in the sync committee, no builder, no
    /// blobs, on Hoodi's forks.
    #[must_use]
    pub fn new(genesis: Time, slot: Duration, validators: Vec<Bytes48>) -> Settings {
        Settings {
            seed: 0,
            genesis,
            slot,
            slots_per_epoch: 8,
            forks: hoodi_forks(),
            others: 0,
            committees_per_slot: 1,
            sync: SyncCommittees { members: validators.len(), seats: COMMITTEE_SIZE, period_epochs: 8 },
            validators,
            builder: Builder::Off,
            blobs: 0,
            transaction_bytes: 1024,
            epochs_before_exit: 0,
            version: format!("coxswain-simnet/v{}", env!("CARGO_PKG_VERSION")),
            chain_id: 560_048,
        }
    }

    /// Checks all but the keys.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let slot = self.slot.as_millis();
        // Clients are told whole seconds.
        range(
            "what genesis has beyond whole seconds, in nanoseconds,",
            self.genesis.0.subsec_nanos().into(),
            0,
            0,
        )?;
        range("the slot in milliseconds", slot, SHORTEST_SLOT.as_millis(), LONGEST_SLOT.as_millis())?;
        let (least, most) = (MIN_SLOTS_PER_EPOCH.into(), MAX_SLOTS_PER_EPOCH.into());
        range("the number of slots of an epoch", self.slots_per_epoch.into(), least, most)?;
        range("the number of validators", self.validators.len() as u128, 1, MAX_VALIDATORS as u128)?;
        range("the number of others", self.others as u128, 0, MAX_OTHERS as u128)?;
        let most = MAX_COMMITTEES.into();
        range("the number of committees of a slot", self.committees_per_slot.into(), 1, most)?;
        range("the number of seats", self.sync.seats.into(), 0, COMMITTEE_SIZE.into())?;
        range("the period in epochs", self.sync.period_epochs.into(), 1, u64::MAX.into())?;
        range("the number of blobs", self.blobs as u128, 0, MAX_BLOBS as u128)?;
        let most = MAX_TRANSACTION_BYTES as u128;
        range("bytes of transactions", self.transaction_bytes as u128, 0, most)
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// The first one that is none, or is there twice.
    pub(super) fn keys(&self) -> Result<Vec<PublicKey>, SettingsError> {
        let mut seen = std::collections::BTreeMap::new();
        let mut keys = Vec::with_capacity(self.validators.len());
        for (index, key) in self.validators.iter().enumerate() {
            if let Some(first) = seen.insert(*key, index) {
                return Err(SettingsError::Twice { first, second: index, key: *key });
            }
            let key = PublicKey::from_bytes(&key.0).map_err(|source| SettingsError::Key { index, source })?;
            keys.push(key);
        }
        Ok(keys)
    }
}

fn range(field: &'static str, value: u128, least: u128, most: u128) -> Result<(), SettingsError> {
    if value < least || value > most {
        return Err(SettingsError::Range { field, value, least, most });
    }
    Ok(())
}
