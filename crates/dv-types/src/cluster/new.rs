//! New definitions: what is refused before a cluster is made of them.

use coxswain_dv_crypto::k1::{Address, AddressError};

use super::{Creator, Definition, MAX_OPERATORS, MAX_VALIDATORS, Operator, ValidatorAddresses, Version};
use crate::deposit::{AmountError, GWEI, Rewards, check_amounts};
use crate::enr::EnrError;
use crate::hash::HashError;
use crate::json::Bytes;
use crate::network::Network;

/// Fewest nodes: with two, one that fails stops the cluster.
pub const MIN_OPERATORS: usize = 3;
/// Fewest operators that sign together: with one, each has every key.
pub const MIN_THRESHOLD: u64 = 2;
/// How keys may be generated.
pub const DKG_ALGORITHMS: &[&str] = &["default", "frost", "pedersen"];
/// With what nodes may agree, in lower case.
pub const CONSENSUS_PROTOCOLS: &[&str] = &["qbft"];

/// Why no cluster is made of a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Too few or too many nodes.
    #[error("a cluster has from {MIN_OPERATORS} to {MAX_OPERATORS} nodes, not {operators}")]
    Operators {
        /// How many.
        operators: usize,
    },
    /// No or too many validators.
    #[error("a cluster has from 1 to {MAX_VALIDATORS} validators, not {validators}")]
    Validators {
        /// How many.
        validators: usize,
    },
    /// A threshold that no keys can be made for.
    #[error(
        "the threshold is from {MIN_THRESHOLD} to the number of nodes, which is {operators}, and not {threshold}"
    )]
    Threshold {
        /// The threshold.
        threshold: u64,
        /// How many nodes.
        operators: usize,
    },
    /// Two halves of the cluster could sign different things.
    #[error(
        "with a threshold of {threshold}, two parts of the {operators} nodes can sign different blocks, and the \
         validator is slashed; {} is safe", default_threshold(*operators)
    )]
    LowThreshold {
        /// The threshold.
        threshold: u64,
        /// How many nodes.
        operators: usize,
    },
    /// Addresses that cannot be given to validators.
    #[error(
        "there are {found} {what} addresses for {validators} validators: give one for all, or one for each"
    )]
    AddressCount {
        /// Of which kind.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many validators.
        validators: usize,
    },
    /// An address.
    #[error("validator {position}: {what} address: {why}")]
    Address {
        /// From 0.
        position: usize,
        /// Of which kind.
        what: &'static str,
        /// What is wrong with it.
        why: AddressError,
    },
    /// What is withdrawn would be lost.
    #[error("validator {position}: withdrawals on {network} would go to the zero address, and be lost")]
    ZeroWithdrawal {
        /// From 0.
        position: usize,
        /// The network.
        network: String,
    },
    /// The version has no such setting.
    #[error("version {version} has no {setting}")]
    NotInVersion {
        /// The version.
        version: &'static str,
        /// Which setting.
        setting: &'static str,
    },
    /// The version needs one.
    #[error("version {version} needs a target gas limit above 0")]
    NoGasLimit {
        /// The version.
        version: &'static str,
    },
    /// Amounts that do not activate a validator.
    #[error("deposit amounts: {0}")]
    Amounts(#[from] AmountError),
    /// A deposit of so many ETH is more than there is.
    #[error("a deposit of {eth} ETH is more than there is")]
    Eth {
        /// Whole ETH.
        eth: u64,
    },
    /// Nobody knows how to agree so.
    #[error("the consensus protocol `{found}` is not known; these are: {}", CONSENSUS_PROTOCOLS.join(", "))]
    Protocol {
        /// As typed.
        found: String,
    },
    /// Nobody knows how to generate keys so.
    #[error("the algorithm `{found}` for key generation is not known; these are: {}", DKG_ALGORITHMS.join(", "))]
    Algorithm {
        /// As typed.
        found: String,
    },
    /// Keys are not generated for such a definition.
    #[error("keys are not generated for definitions of version {version}; make a new one")]
    TooOld {
        /// The version.
        version: &'static str,
    },
    /// A node record.
    #[error("operator {position}: {why}")]
    Enr {
        /// From 0.
        position: usize,
        /// What is wrong with it.
        why: EnrError,
    },
    /// Two operators have one node.
    #[error("operators {first} and {second} have the same node key")]
    SameNode {
        /// From 0.
        first: usize,
        /// From 0.
        second: usize,
    },
    /// Operators who would sign cannot be replaced by nodes.
    #[error(
        "operator {position} is {address}, and nodes that are made here would take that place: the config hash would be \
         another one. Run the key generation together, or leave operators' addresses empty"
    )]
    OperatorAddress {
        /// From 0.
        position: usize,
        /// As written.
        address: String,
    },
    /// A text is too long, or an operator's or creator's address none.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// What a new definition is made of.
#[derive(Debug, Clone)]
pub struct NewDefinition {
    /// What people call the cluster; may be empty.
    pub name: String,
    /// See [`uuid_text`].
    pub uuid: String,
    /// Now, RFC 3339 to the second with the local offset.
    pub timestamp: String,
    /// Version of the file; usually [`Version::newest`].
    pub version: &'static Version,
    /// Who makes it; empty where nobody signs.
    pub creator: Creator,
    /// In the order of share indexes; empty operators where node records are made later.
    pub operators: Vec<Operator>,
    /// How many sign together; [`default_threshold`] if nothing is said.
    pub threshold: Option<u64>,
    /// See [`pair_addresses`].
    pub validators: Vec<ValidatorAddresses>,
    /// `default` for the usual one.
    pub dkg_algorithm: String,
    /// Gwei; none for the usual ones. Order and repetitions stay.
    pub deposit_amounts: Vec<u64>,
    /// Empty for the usual one; letter case stays.
    pub consensus_protocol: String,
    /// Gas; 0 before v1.10.
    pub target_gas_limit: u64,
    /// What becomes of rewards.
    pub rewards: Rewards,
}

/// What is done with a threshold of at most half of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowThreshold {
    /// It is refused.
    Refuse,
    /// Somebody asked for it by name.
    Allow,
}

/// How many of `operators` sign together unless somebody says otherwise: two thirds, rounded up.
pub fn default_threshold(operators: usize) -> u64 {
    (2 * operators as u64).div_ceil(3)
}

/// A UUID (RFC 9562, version 4) of random bytes, in upper case.
pub fn uuid_text(random: [u8; 16]) -> String {
    let mut bytes = random;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode_upper(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Whole ETH as gwei.
///
/// # Errors
/// When it does not fit.
pub fn gwei_of_eth(eth: u64) -> Result<u64, Refused> {
    eth.checked_mul(GWEI).ok_or(Refused::Eth { eth })
}

/// Addresses of `validators` validators, from one for all or one for each.
///
/// # Errors
/// When there is another number of them.
pub fn pair_addresses(
    fee_recipients: &[String],
    withdrawals: &[String],
    validators: usize,
) -> Result<Vec<ValidatorAddresses>, Refused> {
    for (what, found) in [("fee recipient", fee_recipients.len()), ("withdrawal", withdrawals.len())] {
        if found != 1 && found != validators {
            return Err(Refused::AddressCount { what, found, validators });
        }
    }
    if !(1..=MAX_VALIDATORS).contains(&validators) {
        return Err(Refused::Validators { validators });
    }
    let pairs = fee_recipients.iter().cycle().zip(withdrawals.iter().cycle()).take(validators);
    let pair = |(fee, withdrawal): (&String, &String)| ValidatorAddresses {
        fee_recipient: fee.clone(),
        withdrawal: withdrawal.clone(),
    };
    Ok(pairs.map(pair).collect())
}

impl Definition {
    /// A new definition, with its hashes.
    ///
    /// # Errors
    /// What [`Definition::check_settings`] refuses, and settings that the version does not have.
    pub fn new(from: NewDefinition, network: &Network, low: LowThreshold) -> Result<Definition, Refused> {
        let version = from.version;
        let absent = [
            (version.has_deposit_amounts || from.deposit_amounts.len() <= 1, "list of deposit amounts"),
            (version.has_consensus_protocol || from.consensus_protocol.is_empty(), "consensus protocol"),
            (version.has_gas_limit || from.target_gas_limit == 0, "target gas limit"),
            (version.has_gas_limit || from.rewards == Rewards::PaidOut, "compounding"),
        ];
        if let Some((_, setting)) = absent.iter().find(|(is_fine, _)| !is_fine) {
            return Err(Refused::NotInVersion { version: version.name, setting });
        }
        if version.has_gas_limit && from.target_gas_limit == 0 {
            return Err(Refused::NoGasLimit { version: version.name });
        }
        let threshold = from.threshold.unwrap_or_else(|| default_threshold(from.operators.len()));
        check_amounts(&from.deposit_amounts, from.rewards)?;
        let definition = Definition {
            name: from.name,
            creator: from.creator,
            operators: from.operators,
            uuid: from.uuid,
            version,
            timestamp: from.timestamp,
            threshold,
            validators: from.validators,
            dkg_algorithm: from.dkg_algorithm,
            fork_version: network.genesis_fork_version.into(),
            // A single amount is 32 ETH, which versions without amounts mean anyway.
            deposit_amounts: Some(from.deposit_amounts)
                .filter(|amounts| version.has_deposit_amounts && !amounts.is_empty()),
            consensus_protocol: from.consensus_protocol,
            target_gas_limit: from.target_gas_limit,
            compounding: from.rewards == Rewards::Compounding,
            config_hash: Bytes::default(),
            definition_hash: Bytes::default(),
        };
        definition.check_settings(network, low)?;
        Ok(definition.with_hashes()?)
    }

    /// Checks what a cluster cannot be made of, or should not. Others make clusters of some of these.
    ///
    /// # Errors
    /// The first thing that is refused.
    pub fn check_settings(&self, network: &Network, low: LowThreshold) -> Result<(), Refused> {
        let (operators, validators) = (self.operators.len(), self.validators.len());
        if !(MIN_OPERATORS..=MAX_OPERATORS).contains(&operators) {
            return Err(Refused::Operators { operators });
        }
        if !(1..=MAX_VALIDATORS).contains(&validators) {
            return Err(Refused::Validators { validators });
        }
        self.check_threshold(low)?;
        self.check_algorithm()?;
        let protocol = self.consensus_protocol.to_lowercase();
        if !protocol.is_empty() && !CONSENSUS_PROTOCOLS.contains(&protocol.as_str()) {
            return Err(Refused::Protocol { found: self.consensus_protocol.clone() });
        }
        check_amounts(self.deposit_amounts.as_deref().unwrap_or_default(), self.rewards())?;
        self.check_addresses(network)?;
        self.check_nodes()
    }

    /// Checks what key generation cannot begin with, so that it is known before any node waits for another.
    ///
    /// # Errors
    /// The first thing that is refused.
    pub fn check_ceremony(&self, low: LowThreshold) -> Result<(), Refused> {
        if !self.version.is_for_ceremonies {
            return Err(Refused::TooOld { version: self.version.name });
        }
        self.check_threshold(low)?;
        self.check_algorithm()?;
        self.nodes().map(drop)
    }

    fn check_algorithm(&self) -> Result<(), Refused> {
        if DKG_ALGORITHMS.contains(&self.dkg_algorithm.as_str()) {
            return Ok(());
        }
        Err(Refused::Algorithm { found: self.dkg_algorithm.clone() })
    }

    /// Checks that no two parts of the nodes can both sign.
    ///
    /// # Errors
    /// When they can, and nobody allowed it by name; when no keys can be made with the threshold.
    pub fn check_threshold(&self, low: LowThreshold) -> Result<(), Refused> {
        let (threshold, operators) = (self.threshold, self.operators.len());
        if !(MIN_THRESHOLD..=operators as u64).contains(&threshold) {
            return Err(Refused::Threshold { threshold, operators });
        }
        if low == LowThreshold::Refuse && threshold <= operators as u64 / 2 {
            return Err(Refused::LowThreshold { threshold, operators });
        }
        Ok(())
    }

    fn check_addresses(&self, network: &Network) -> Result<(), Refused> {
        for (position, pair) in self.validators.iter().enumerate() {
            let refused = |what| move |why| Refused::Address { position, what, why };
            Address::parse(&pair.fee_recipient).map_err(refused("fee recipient"))?;
            let withdrawal = Address::parse_strict(&pair.withdrawal).map_err(refused("withdrawal"))?;
            if withdrawal == Address::default() && network.has_value() {
                return Err(Refused::ZeroWithdrawal { position, network: network.name.to_string() });
            }
        }
        Ok(())
    }
}
