//! The store of what was signed, as a node opens it.

use std::path::Path;

use coxswain_dv_beacon::client::Config;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::store::{KeyPair, Settings, Store, StoreError};

use super::{Start, now};

/// Opens the store. Keys without a history start where nothing that was signed elsewhere is contradicted: by the clock, or by
/// the chain (its head) where that is ahead of it.
pub(super) fn open_store(
    path: &Path,
    config: &Config,
    pairs: Vec<KeyPair>,
    (start, head): (Start, u64),
) -> Result<Store, StoreError> {
    let store = Store::open(
        path,
        &Settings {
            genesis_validators_root: config.chain.genesis_validators_root,
            keys: pairs,
            disk: Disk::Local,
        },
    )?;
    let new = store.not_started()?;
    if new.is_empty() {
        return Ok(store);
    }
    let clock = config.chain.clock;
    match (clock.slot_at(now()), start) {
        // Nobody can have signed before the chain began.
        (None, _) | (_, Start::Now) => {
            store.start_new(&new)?;
        }
        (Some(slot), Start::AfterAnEpoch) => {
            let silent = clock.epoch_of(slot.max(head)).saturating_add(1);
            let last = clock.first_of(silent.saturating_add(1)).saturating_sub(1);
            store.start_at(last, silent)?;
            tracing::warn!(
                keys = new.len(),
                until_epoch = silent,
                "these keys have no history here: nothing is signed with them before the epoch after this one is over, \
                 so that nothing contradicts what another program signed; `coxswain dv slashing import` takes up its history, and \
                 --slashing-start=now is for keys that signed nothing"
            );
        }
    }
    Ok(store)
}
