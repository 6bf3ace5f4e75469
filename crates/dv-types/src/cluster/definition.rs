//! A cluster definition: what it has, its JSON and its hashes.

use std::iter;

use super::problem::check_hash;
use super::roots::{Part, definition_root};
use super::{Addresses, Problem, Version};
use crate::Root;
use crate::deposit::{Rewards, check_amounts};
use crate::hash::HashError;
use crate::json::{Bytes, Item, Json, JsonError, Members, Object};
use crate::text;

/// Most operators (`operators` of the hash tree).
pub const MAX_OPERATORS: usize = 256;
/// Most validators (`validators` of the hash tree). Versions with one pair of addresses name a number only, which must
/// not decide by itself how much memory is taken.
pub const MAX_VALIDATORS: usize = 65_536;
/// Longest address that is repeated for every validator, for the same reason; a real one has 42 bytes.
const MAX_PAIR_ADDRESS: usize = 128;
/// Bytes of a fork version.
const FORK_VERSION_BYTES: usize = 4;

/// Who made a definition, and the signature of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Creator {
    /// Address as written; empty for nobody.
    pub address: String,
    /// Over the config hash; empty for none.
    pub config_signature: Bytes,
}

/// Somebody who runs a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// Address as written; empty if the operator does not sign.
    pub address: String,
    /// Node record as written; not parsed.
    pub enr: String,
    /// Over the config hash; empty for none.
    pub config_signature: Bytes,
    /// Over the node record; empty for none.
    pub enr_signature: Bytes,
}

/// Where a validator's income goes; both as written, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidatorAddresses {
    /// Fees and payments of builders.
    pub fee_recipient: String,
    /// Withdrawals.
    pub withdrawal: String,
}

/// A cluster definition. Texts and hashes are as they were read; what a version does not have is empty.
///
/// The position of an operator, from 0, is the index of its peer; its share index is one more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What people call the cluster.
    pub name: String,
    /// Who made it (v1.4 and later).
    pub creator: Creator,
    /// Who runs nodes, in the order of share indexes.
    pub operators: Vec<Operator>,
    /// Distinguishes it from others.
    pub uuid: String,
    /// Version of this file.
    pub version: &'static Version,
    /// When it was made, RFC 3339.
    pub timestamp: String,
    /// How many operators sign together.
    pub threshold: u64,
    /// One for each validator; all alike in versions with one pair.
    pub validators: Vec<ValidatorAddresses>,
    /// How keys are generated: `default`, `frost`, `pedersen`.
    pub dkg_algorithm: String,
    /// Genesis fork version of the network; four bytes where it is valid.
    pub fork_version: Bytes,
    /// Gwei, as they were asked for; nothing and an empty list are both "the usual ones" (v1.8 and later).
    pub deposit_amounts: Option<Vec<u64>>,
    /// Which protocol nodes agree with, as typed; empty for the usual one (v1.9 and later).
    pub consensus_protocol: String,
    /// The gas limit of blocks that is aimed at (v1.10 and later, 0 before).
    pub target_gas_limit: u64,
    /// Whether rewards stay with the validator, EIP-7251 (v1.10 and later).
    pub compounding: bool,
    /// As stored; [`Definition::compute_config_hash`] computes it.
    pub config_hash: Bytes,
    /// As stored; [`Definition::compute_definition_hash`] computes it.
    pub definition_hash: Bytes,
}

// ------------------------------------------------------------------------------------------------------ reading

impl Definition {
    /// Reads a file. Neither hashes nor signatures are checked.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &[u8]) -> Result<Definition, JsonError> {
        let json = Json::parse(text)?;
        Definition::read(&Item::whole(&json).object()?)
    }

    /// Reads a definition that is part of a text.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn read(object: &Object<'_>) -> Result<Definition, JsonError> {
        let version = read_version(&object.get("version"))?;
        let text = |key: &str| object.get(key).text().map(str::to_owned);
        let fork_version = object.get("fork_version");
        let definition = Definition {
            name: text("name")?,
            creator: match version.creator_type {
                None => Creator::default(),
                Some(_) => read_creator(&object.get("creator").object()?)?,
            },
            operators: object.get("operators").each(|item| read_operator(version, &item.object()?))?,
            uuid: text("uuid")?,
            version,
            timestamp: text("timestamp")?,
            threshold: object.get("threshold").number()?,
            validators: read_validators(version, object)?,
            dkg_algorithm: text("dkg_algorithm")?,
            fork_version: fork_version.hex()?,
            deposit_amounts: match version.has_deposit_amounts {
                false => None,
                true => read_amounts(&object.get("deposit_amounts"))?,
            },
            consensus_protocol: match version.has_consensus_protocol {
                false => String::new(),
                true => text("consensus_protocol")?,
            },
            target_gas_limit: match version.has_gas_limit {
                false => 0,
                true => object.get("target_gas_limit").number()?,
            },
            compounding: version.has_gas_limit && object.get("compounding").flag()?,
            config_hash: version.read(&object.get("config_hash"))?,
            definition_hash: version.read(&object.get("definition_hash"))?,
        };
        if version.checks_fork_version && !matches!(definition.fork_version.len(), 0 | FORK_VERSION_BYTES) {
            let found = definition.fork_version.len();
            return Err(fork_version.wrong(format!("it has {found} bytes, and should have four")));
        }
        check_amounts(definition.deposit_amounts.as_deref().unwrap_or_default(), definition.rewards())
            .map_err(|error| object.get("deposit_amounts").wrong(error.to_string()))?;
        Ok(definition)
    }

    /// What becomes of rewards, and so how large a deposit may be.
    pub fn rewards(&self) -> Rewards {
        if self.compounding { Rewards::Compounding } else { Rewards::PaidOut }
    }
}

fn read_version(item: &Item<'_>) -> Result<&'static Version, JsonError> {
    let name = item.text()?;
    let unknown = || item.wrong(format!("`{name}` is no known version; {} are", Version::names()));
    Version::named(name).ok_or_else(unknown)
}

fn read_creator(object: &Object<'_>) -> Result<Creator, JsonError> {
    Ok(Creator {
        address: object.get("address").text()?.to_owned(),
        config_signature: object.get("config_signature").hex()?,
    })
}

fn read_operator(version: &Version, object: &Object<'_>) -> Result<Operator, JsonError> {
    if version.has_nonce {
        let nonce = object.get("nonce");
        if nonce.number()? != 0 {
            return Err(nonce.wrong("it is 0 in every file, and not in this one"));
        }
    }
    Ok(Operator {
        address: object.get("address").text()?.to_owned(),
        enr: object.get("enr").text()?.to_owned(),
        config_signature: version.read(&object.get("config_signature"))?,
        enr_signature: version.read(&object.get("enr_signature"))?,
    })
}

fn read_validators(version: &Version, object: &Object<'_>) -> Result<Vec<ValidatorAddresses>, JsonError> {
    let read = |object: &Object<'_>| {
        Ok(ValidatorAddresses {
            fee_recipient: object.get("fee_recipient_address").text()?.to_owned(),
            withdrawal: object.get("withdrawal_address").text()?.to_owned(),
        })
    };
    let number = object.get("num_validators");
    let count = number.number()?;
    match version.addresses {
        Addresses::OnePair => {
            let count = usize::try_from(count).ok().filter(|count| *count <= MAX_VALIDATORS);
            let count = count.ok_or_else(|| number.wrong(format!("it is more than {MAX_VALIDATORS}")))?;
            let pair: ValidatorAddresses = read(object)?;
            for (key, address) in
                [("fee_recipient_address", &pair.fee_recipient), ("withdrawal_address", &pair.withdrawal)]
            {
                if address.len() > MAX_PAIR_ADDRESS {
                    let found = address.len();
                    return Err(object.get(key).wrong(format!("it has {found} bytes, and no address has")));
                }
            }
            Ok(iter::repeat_n(pair, count).collect())
        }
        Addresses::PerValidator => {
            let item = object.get("validators");
            let validators: Vec<_> = item.each(|item| read(&item.object()?))?;
            if validators.len() as u64 != count {
                let found = validators.len();
                return Err(item.wrong(format!("there are {found}, and num_validators is {count}")));
            }
            Ok(validators)
        }
    }
}

fn read_amounts(item: &Item<'_>) -> Result<Option<Vec<u64>>, JsonError> {
    let items = item.list()?;
    items.map(|items| items.iter().map(Item::gwei).collect()).transpose()
}

// ------------------------------------------------------------------------------------------------------ writing

impl Definition {
    /// The text of its file; its hashes are computed anew.
    ///
    /// # Errors
    /// When something in it cannot be hashed.
    pub fn to_json(&self) -> Result<String, HashError> {
        Ok(text::pretty(&self.to_value()?))
    }

    /// Its JSON, for a file or a message; its hashes are computed anew.
    ///
    /// # Errors
    /// When something in it cannot be hashed.
    pub fn to_value(&self) -> Result<Json, HashError> {
        let (config_hash, definition_hash) = self.compute_hashes()?;
        let version = self.version;
        let mut members = Members::default();
        members.put_unless_empty("name", &self.name);
        if version.creator_type.is_some() {
            members.put("creator", self.creator.to_value());
        }
        members.put("operators", list(&self.operators, |operator| operator.to_value(version)));
        members.put("uuid", self.uuid.as_str());
        members.put("version", version.name);
        members.put_unless_empty("timestamp", &self.timestamp);
        members.put("num_validators", self.validators.len() as u64);
        members.put("threshold", self.threshold);
        match version.addresses {
            Addresses::OnePair => {
                let pair = self.address_pair()?;
                members.put_unless_empty("fee_recipient_address", &pair.fee_recipient);
                members.put_unless_empty("withdrawal_address", &pair.withdrawal);
            }
            Addresses::PerValidator => {
                members.put("validators", list(&self.validators, ValidatorAddresses::to_value));
            }
        }
        members.put("dkg_algorithm", self.dkg_algorithm.as_str());
        members.put("fork_version", self.fork_version.to_hex());
        if version.has_deposit_amounts {
            let texts = |amounts: &Vec<u64>| amounts.iter().map(|gwei| gwei.to_string().into()).collect();
            members.put(
                "deposit_amounts",
                self.deposit_amounts.as_ref().map_or(Json::Null, |a| Json::List(texts(a))),
            );
        }
        if version.has_consensus_protocol {
            members.put("consensus_protocol", self.consensus_protocol.as_str());
        }
        if version.has_gas_limit {
            members.put("target_gas_limit", self.target_gas_limit);
            members.put("compounding", self.compounding);
        }
        members.put("config_hash", version.write(&config_hash.into()));
        members.put("definition_hash", version.write(&definition_hash.into()));
        Ok(members.into())
    }

    /// The one pair of addresses that versions before v1.5 have.
    ///
    /// # Errors
    /// When validators have different ones.
    pub(super) fn address_pair(&self) -> Result<ValidatorAddresses, HashError> {
        if self.validators.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(HashError::Differing.within("validators"));
        }
        Ok(self.validators.first().cloned().unwrap_or_default())
    }
}

impl Creator {
    fn to_value(&self) -> Json {
        let mut members = Members::default();
        members.put("address", self.address.as_str());
        members.put("config_signature", self.config_signature.to_hex());
        members.into()
    }
}

impl Operator {
    fn to_value(&self, version: &Version) -> Json {
        let mut members = Members::default();
        members.put("address", self.address.as_str());
        members.put("enr", self.enr.as_str());
        if version.has_nonce {
            members.put("nonce", 0);
        }
        members.put("config_signature", version.write(&self.config_signature));
        members.put("enr_signature", version.write(&self.enr_signature));
        members.into()
    }
}

impl ValidatorAddresses {
    fn to_value(&self) -> Json {
        let mut members = Members::default();
        members.put("fee_recipient_address", self.fee_recipient.as_str());
        members.put("withdrawal_address", self.withdrawal.as_str());
        members.into()
    }
}

/// An array; `null` for none, as others write it.
pub(super) fn list<T>(items: &[T], write: impl Fn(&T) -> Json) -> Json {
    if items.is_empty() { Json::Null } else { Json::List(items.iter().map(write).collect()) }
}

// ------------------------------------------------------------------------------------------------------- hashes

impl Definition {
    /// The config hash of its content: what operators agree on before they have nodes and have signed.
    ///
    /// # Errors
    /// When something in it is too long or malformed for its version.
    pub fn compute_config_hash(&self) -> Result<Root, HashError> {
        definition_root(self, Part::Config)
    }

    /// The definition hash of its content and of its **stored** config hash.
    ///
    /// # Errors
    /// When something in it is too long or malformed for its version.
    pub fn compute_definition_hash(&self) -> Result<Root, HashError> {
        definition_root(self, Part::Whole(&self.config_hash))
    }

    /// Both hashes of its content, whatever is stored.
    pub(super) fn compute_hashes(&self) -> Result<(Root, Root), HashError> {
        let config = self.compute_config_hash()?;
        Ok((config, definition_root(self, Part::Whole(&config))?))
    }

    /// The same with the hashes of its content.
    ///
    /// # Errors
    /// When something in it is too long or malformed for its version.
    pub fn with_hashes(mut self) -> Result<Definition, HashError> {
        let (config, definition) = self.compute_hashes()?;
        self.config_hash = config.into();
        self.definition_hash = definition.into();
        Ok(self)
    }

    /// Checks that its hashes are those of its content.
    ///
    /// # Errors
    /// The first that is not.
    pub fn verify_hashes(&self) -> Result<(), Problem> {
        check_hash("config_hash", &self.config_hash, self.compute_config_hash())?;
        check_hash("definition_hash", &self.definition_hash, self.compute_definition_hash())?;
        Ok(())
    }
}
