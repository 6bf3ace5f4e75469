//! Which chain a history is of, and what time it is there.
//!
//! ```text
//! fork version of a lock ─table of networks, or a beacon node→ Chain ─now→ slot and epoch
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_beacon::client::Config;
use coxswain_dv_eth::Root;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::protect::Wall;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_types::network::{ForkVersion, NETWORKS};

/// A chain, as far as histories need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// What an interchange names it by.
    pub genesis_validators_root: Root,
    /// Its clock.
    pub clock: Clock,
}

/// What is not in the table of networks: genesis_validators_root and slots of an epoch, by the genesis fork version. From
/// the configurations of the networks (`eth-clients` and `gnosischain/configs`).
const ROOTS: &[(ForkVersion, &str, u64)] = &[
    ([0, 0, 0, 0], "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95", 32),
    ([0, 0, 0x10, 0x20], "043db0d9a83813551ee2f33450d23797757d430911a9320530ad8a0eabc43efb", 32),
    ([0, 0, 0, 0x64], "f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47", 16),
    ([0, 0, 0, 0x6f], "9d642dac73058fbf39c0ae41ab1e34e4d889043cb199851ded7095bc99eb4c1e", 16),
    ([0x90, 0, 0, 0x69], "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078", 32),
    ([0x10, 0, 0x09, 0x10], "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f", 32),
];

impl Chain {
    /// The chain of everybody's with this genesis fork version. A network of one's own may have the version of another
    /// one, and is not it: see whether the root is the same.
    #[must_use]
    pub fn known(version: &[u8]) -> Option<Chain> {
        let (version, root, slots_per_epoch) = ROOTS.iter().find(|(known, ..)| known == version)?;
        let network = NETWORKS.iter().find(|network| network.genesis_fork_version == *version)?;
        let mut genesis_validators_root = [0; 32];
        hex::decode_to_slice(root, &mut genesis_validators_root).ok()?;
        let clock = Clock {
            genesis: Time::from_secs(network.genesis_time),
            slot: Duration::from_secs(network.slot_seconds),
            slots_per_epoch: *slots_per_epoch,
        };
        Some(Chain { genesis_validators_root, clock })
    }

    /// The chain of a beacon node.
    #[must_use]
    pub fn of(config: &Config) -> Chain {
        Chain { genesis_validators_root: config.chain.genesis_validators_root, clock: config.chain.clock }
    }

    /// The slot and epoch of this machine's clock; the first ones before genesis.
    #[must_use]
    pub fn wall(&self) -> Wall {
        let slot = self.clock.slot_at(now()).unwrap_or_default();
        Wall { slot, epoch: self.clock.epoch_of(slot) }
    }
}

/// The time of this machine.
#[must_use]
pub fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The genesis fork version of a beacon node's chain, by which a lock names its network.
#[must_use]
pub fn genesis_version(config: &Config) -> ForkVersion {
    config.chain.forks.version(Fork::Phase0).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_a_chain() {
        for network in NETWORKS {
            let chain = Chain::known(&network.genesis_fork_version).expect("in the table");
            assert_eq!(chain.clock.genesis, Time::from_secs(network.genesis_time), "{}", network.name);
            // Of eight a day or more, so the units are right.
            assert!(chain.wall().epoch > 10_000, "{}", network.name);
        }
        assert_eq!(Chain::known(&[1, 2, 3, 4]), None);
        assert_eq!(Chain::known(&[]), None);
    }
}
