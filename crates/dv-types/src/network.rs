//! Networks: their names, fork versions and genesis times, and the domains that signatures are bound to.

use std::borrow::Cow;

use crate::Root;
use crate::hash::Hasher;

/// Four bytes that name a fork of a network.
pub type ForkVersion = [u8; 4];
/// Four bytes that name what a signature is for.
pub type DomainType = [u8; 4];

/// `DOMAIN_DEPOSIT` of the consensus specifications.
pub const DOMAIN_DEPOSIT: DomainType = [3, 0, 0, 0];
/// `DOMAIN_VOLUNTARY_EXIT` of the consensus specifications.
pub const DOMAIN_VOLUNTARY_EXIT: DomainType = [4, 0, 0, 0];
/// `DOMAIN_APPLICATION_BUILDER` of the builder specifications.
pub const DOMAIN_APPLICATION_BUILDER: DomainType = [0, 0, 0, 1];

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: Cow<'static, str>,
    /// The number of its execution chain (EIP-155).
    pub chain_id: u64,
    /// Its first fork version.
    pub genesis_fork_version: ForkVersion,
    /// The fork version that exits are signed with (EIP-7044); not of every network of one's own.
    pub capella_fork_version: Option<ForkVersion>,
    /// Seconds since 1970.
    pub genesis_time: u64,
    /// Seconds of a slot.
    pub slot_seconds: u64,
}

const fn known(
    name: &'static str,
    chain_id: u64,
    genesis: [u8; 4],
    genesis_time: u64,
    capella: [u8; 4],
    slot_seconds: u64,
) -> Network {
    Network {
        name: Cow::Borrowed(name),
        chain_id,
        genesis_fork_version: genesis,
        capella_fork_version: Some(capella),
        genesis_time,
        slot_seconds,
    }
}

/// The networks that clusters are known on.
pub const NETWORKS: &[Network] = &[
    known("mainnet", 1, [0, 0, 0, 0], 1_606_824_023, [3, 0, 0, 0], 12),
    known("goerli", 5, [0, 0, 0x10, 0x20], 1_616_508_000, [3, 0, 0x10, 0x20], 12),
    known("gnosis", 100, [0, 0, 0, 0x64], 1_638_993_340, [3, 0, 0, 0x64], 5),
    known("chiado", 10_200, [0, 0, 0, 0x6f], 1_665_396_300, [3, 0, 0, 0x6f], 5),
    known("sepolia", 11_155_111, [0x90, 0, 0, 0x69], 1_655_733_600, [0x90, 0, 0, 0x72], 12),
    known("hoodi", 560_048, [0x10, 0, 0x09, 0x10], 1_742_213_400, [0x40, 0, 0x09, 0x10], 12),
];

/// Networks as a command knows them: those of everybody, and perhaps one of one's own.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    own: Option<Network>,
}

impl Networks {
    /// With a network of one's own; a known one with its fork version stays in front of it.
    pub fn with(own: Network) -> Networks {
        Networks { own: Some(own) }
    }

    fn all(&self) -> impl Iterator<Item = &Network> {
        NETWORKS.iter().chain(&self.own)
    }

    /// The network with this name.
    pub fn named(&self, name: &str) -> Option<&Network> {
        // Clusters on Goerli were made under both of its names.
        let name = if name == "prater" { "goerli" } else { name };
        self.all().find(|network| network.name == name)
    }

    /// The network with this genesis fork version.
    pub fn of(&self, genesis: ForkVersion) -> Option<&Network> {
        self.all().find(|network| network.genesis_fork_version == genesis)
    }
}

/// The root of `ForkData`.
pub fn fork_data_root(version: ForkVersion, genesis_validators_root: &Root) -> Root {
    container(|hasher| {
        hasher.put(&version);
        hasher.put(genesis_validators_root);
    })
}

/// `compute_domain` of the consensus specifications.
pub fn domain(kind: DomainType, version: ForkVersion, genesis_validators_root: &Root) -> Root {
    let mut domain = [0; 32];
    domain[..4].copy_from_slice(&kind);
    domain[4..].copy_from_slice(&fork_data_root(version, genesis_validators_root)[..28]);
    domain
}

/// `compute_signing_root` of the consensus specifications, from the object's root.
pub fn signing_root(object: &Root, domain: &Root) -> Root {
    container(|hasher| {
        hasher.put(object);
        hasher.put(domain);
    })
}

/// A container of fields that always fit.
pub(crate) fn container(write: impl FnOnce(&mut Hasher)) -> Root {
    Hasher::root(|hasher| {
        write(hasher);
        Ok(())
    })
    .expect("fields of fixed length fit")
}

/// Networks on which keys protect something.
const OF_VALUE: &[&str] = &["mainnet", "gnosis"];

impl Network {
    /// Whether keys protect something there.
    pub fn has_value(&self) -> bool {
        OF_VALUE.contains(&&*self.name)
    }

    /// The domain of deposits: of the first fork, for ever, so that a deposit is valid before and after any other.
    pub fn deposit_domain(&self) -> Root {
        domain(DOMAIN_DEPOSIT, self.genesis_fork_version, &[0; 32])
    }

    /// The domain of registrations with builders.
    pub fn builder_domain(&self) -> Root {
        domain(DOMAIN_APPLICATION_BUILDER, self.genesis_fork_version, &[0; 32])
    }

    /// The domain of voluntary exits (EIP-7044), where the Capella fork is known.
    pub fn exit_domain(&self, genesis_validators_root: &Root) -> Option<Root> {
        self.capella_fork_version
            .map(|capella| domain(DOMAIN_VOLUNTARY_EXIT, capella, genesis_validators_root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_found() {
        let own =
            Network { name: "devnet".into(), genesis_fork_version: [1, 2, 3, 4], ..NETWORKS[0].clone() };
        let networks = Networks::with(own);
        assert_eq!(networks.named("hoodi").map(|n| n.chain_id), Some(560_048));
        assert_eq!(networks.named("prater").map(|n| n.name.as_ref()), Some("goerli"));
        assert_eq!(networks.of([1, 2, 3, 4]).map(|n| n.name.as_ref()), Some("devnet"));
        assert_eq!(Networks::default().of([1, 2, 3, 4]), None);
        assert_eq!(networks.named("holesky"), None);
    }

    /// Each network once, by every name it has.
    #[test]
    fn networks_differ() {
        for (n, one) in NETWORKS.iter().enumerate() {
            for other in &NETWORKS[n + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.chain_id, other.chain_id);
                assert_ne!(one.genesis_fork_version, other.genesis_fork_version);
            }
        }
    }
}
