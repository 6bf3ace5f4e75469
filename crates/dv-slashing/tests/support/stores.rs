//! What tests of stores are about.

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::protect::{Request, What};
use coxswain_dv_slashing::store::{KeyPair, Settings};

pub(crate) const CHAIN: [u8; 32] = [0x21; 32];

pub(crate) fn group(number: u8) -> Bytes48 {
    Bytes48::from([number; 48])
}

pub(crate) fn share(number: u8) -> Bytes48 {
    Bytes48::from([0x80 | number; 48])
}

/// Settings for groups of these numbers.
pub(crate) fn settings(numbers: impl IntoIterator<Item = u8>) -> Settings {
    let keys = numbers.into_iter().map(|number| KeyPair { group: group(number), share: share(number) });
    Settings { genesis_validators_root: CHAIN, keys: keys.collect(), disk: Disk::Local }
}

pub(crate) fn block(number: u8, slot: u64, root: u8) -> Request {
    Request { key: group(number), what: What::Block { slot, root: [root; 32] } }
}

pub(crate) fn attestation(number: u8, source: u64, target: u64, root: u8) -> Request {
    Request { key: group(number), what: What::Attestation { source, target, root: [root; 32] } }
}
