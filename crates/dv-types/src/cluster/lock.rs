//! A cluster lock: a definition and the keys that a ceremony made of it.

use super::definition::list;
use super::problem::check_hash;
use super::roots::lock_root;
use super::{Definition, Deposits, Problem, Version, Wrong};
use crate::Root;
use crate::deposit::DepositData;
use crate::hash::HashError;
use crate::json::{Bytes, Item, Json, JsonError, Members, Object};
use crate::registration::SignedRegistration;
use crate::text;

/// A deposit of a validator. Any of its fields may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deposit {
    /// The validator's key, 48 bytes.
    pub pubkey: Bytes,
    /// Withdrawal credentials, 32 bytes.
    pub withdrawal_credentials: Bytes,
    /// Gwei.
    pub amount: u64,
    /// By the validator's key, 96 bytes.
    pub signature: Bytes,
}

/// A signed registration with builders. Any of its fields may be empty, and then it is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderRegistration {
    /// Who is paid, 20 bytes; what is signed has the definition's address in its place.
    pub fee_recipient: Bytes,
    /// The gas limit that is aimed at.
    pub gas_limit: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The validator's key, 48 bytes.
    pub pubkey: Bytes,
    /// By the validator's key, 96 bytes.
    pub signature: Bytes,
}

impl From<&DepositData> for Deposit {
    fn from(data: &DepositData) -> Deposit {
        Deposit {
            pubkey: data.message.pubkey.into(),
            withdrawal_credentials: data.message.credentials.into(),
            amount: data.message.amount,
            signature: data.signature.into(),
        }
    }
}

impl From<&SignedRegistration> for BuilderRegistration {
    fn from(signed: &SignedRegistration) -> BuilderRegistration {
        BuilderRegistration {
            fee_recipient: signed.message.fee_recipient.0.into(),
            gas_limit: signed.message.gas_limit,
            timestamp: signed.message.timestamp,
            pubkey: signed.message.pubkey.into(),
            signature: signed.signature.into(),
        }
    }
}

/// A validator whose key nobody has whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributedValidator {
    /// Its public key, 48 bytes.
    pub public_key: Bytes,
    /// The public keys of the shares, 48 bytes each, in the order of share indexes.
    pub public_shares: Vec<Bytes>,
    /// Its deposits, the least first; v1.6 and v1.7 keep only the first one, earlier versions none. Not verified.
    pub deposits: Vec<Deposit>,
    /// Its registration with builders (v1.7 and later).
    pub registration: BuilderRegistration,
}

/// A cluster lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// What was agreed on.
    pub definition: Definition,
    /// The validators, in the order of the definition's addresses.
    pub validators: Vec<DistributedValidator>,
    /// The sum of the signatures of all key shares over the lock hash, 96 bytes.
    pub signature_aggregate: Bytes,
    /// As stored; [`Lock::compute_lock_hash`] computes it.
    pub lock_hash: Bytes,
    /// One of each node over the lock hash, 65 bytes, in the order of operators (v1.7 and later).
    pub node_signatures: Vec<Bytes>,
}

// ------------------------------------------------------------------------------------------------------ reading

impl Lock {
    /// Reads a file. Neither hashes nor signatures are checked.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &[u8]) -> Result<Lock, JsonError> {
        let json = Json::parse(text)?;
        let object = Item::whole(&json).object()?;
        let definition = Definition::read(&object.get("cluster_definition").object()?)?;
        let version = definition.version;
        Ok(Lock {
            validators: object
                .get("distributed_validators")
                .each(|item| read_validator(version, &item.object()?))?,
            signature_aggregate: version.read(&object.get("signature_aggregate"))?,
            lock_hash: version.read(&object.get("lock_hash"))?,
            node_signatures: match version.has_registrations {
                false => Vec::new(),
                true => object.get("node_signatures").each(|item| item.hex())?,
            },
            definition,
        })
    }
}

fn read_validator(version: &Version, object: &Object<'_>) -> Result<DistributedValidator, JsonError> {
    if version.deposits == Deposits::None {
        let recipient = object.get("fee_recipient_address");
        if !recipient.text()?.is_empty() {
            return Err(recipient.wrong("it stands in the definition, and is empty here"));
        }
    }
    Ok(DistributedValidator {
        public_key: object.get("distributed_public_key").hex()?,
        public_shares: object.get("public_shares").each(|item| version.read(&item))?,
        deposits: match version.deposits {
            Deposits::None => Vec::new(),
            Deposits::Inlined | Deposits::Single => {
                vec![read_deposit(&object.get("deposit_data").object()?)?]
            }
            Deposits::List => {
                object.get("partial_deposit_data").each(|item| read_deposit(&item.object()?))?
            }
        },
        registration: match version.has_registrations {
            false => BuilderRegistration::default(),
            true => read_registration(&object.get("builder_registration").object()?)?,
        },
    })
}

fn read_deposit(object: &Object<'_>) -> Result<Deposit, JsonError> {
    Ok(Deposit {
        pubkey: object.get("pubkey").hex()?,
        withdrawal_credentials: object.get("withdrawal_credentials").hex()?,
        amount: object.get("amount").quoted()?,
        signature: object.get("signature").hex()?,
    })
}

fn read_registration(object: &Object<'_>) -> Result<BuilderRegistration, JsonError> {
    let message = object.get("message").object()?;
    Ok(BuilderRegistration {
        fee_recipient: message.get("fee_recipient").hex()?,
        gas_limit: message.get("gas_limit").number()?,
        timestamp: message.get("timestamp").number()?,
        pubkey: message.get("pubkey").hex()?,
        signature: object.get("signature").hex()?,
    })
}

// ------------------------------------------------------------------------------------------------------ writing

impl Lock {
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
        let version = self.definition.version;
        let (config_hash, _) =
            self.definition.compute_hashes().map_err(|error| error.within("cluster_definition"))?;
        let lock_hash = lock_root(self, &config_hash)?;
        let mut members = Members::default();
        members.put("cluster_definition", self.definition.to_value()?);
        members
            .put("distributed_validators", list(&self.validators, |validator| validator.to_value(version)));
        members.put("signature_aggregate", version.write(&self.signature_aggregate));
        members.put("lock_hash", version.write(&lock_hash.into()));
        if version.has_registrations {
            let signatures = self.node_signatures.iter().map(Bytes::to_hex);
            members.put("node_signatures", signatures.collect::<Vec<_>>());
        }
        Ok(members.into())
    }
}

impl DistributedValidator {
    fn to_value(&self, version: &Version) -> Json {
        let mut members = Members::default();
        members.put("distributed_public_key", self.public_key.to_hex());
        if !self.public_shares.is_empty() {
            members.put("public_shares", list(&self.public_shares, |share| version.write(share)));
        }
        if matches!(version.deposits, Deposits::Inlined | Deposits::Single) {
            members.put("deposit_data", self.deposits.first().cloned().unwrap_or_default().to_value());
        }
        if version.has_registrations {
            members.put("builder_registration", self.registration.to_value());
        }
        if version.deposits == Deposits::List && !self.deposits.is_empty() {
            members.put("partial_deposit_data", list(&self.deposits, Deposit::to_value));
        }
        members.into()
    }
}

impl Deposit {
    /// Its JSON, in a lock and in messages to the API.
    pub fn to_value(&self) -> Json {
        let mut members = Members::default();
        members.put("pubkey", self.pubkey.to_hex());
        members.put("withdrawal_credentials", self.withdrawal_credentials.to_hex());
        members.put("amount", self.amount.to_string());
        members.put("signature", self.signature.to_hex());
        members.into()
    }
}

impl BuilderRegistration {
    fn to_value(&self) -> Json {
        let mut message = Members::default();
        message.put("fee_recipient", self.fee_recipient.to_hex());
        message.put("gas_limit", self.gas_limit);
        message.put("timestamp", self.timestamp);
        message.put("pubkey", self.pubkey.to_hex());
        let mut members = Members::default();
        members.put("message", message);
        members.put("signature", self.signature.to_hex());
        members.into()
    }
}

// ------------------------------------------------------------------------------------------------------- hashes

impl Lock {
    /// The lock hash of its content and of its **stored** config hash.
    ///
    /// # Errors
    /// When something in it is too long or malformed for its version.
    pub fn compute_lock_hash(&self) -> Result<Root, HashError> {
        lock_root(self, &self.definition.config_hash)
    }

    /// The same with the hashes of its content; signatures over them are to be made anew.
    ///
    /// # Errors
    /// When something in it is too long or malformed for its version.
    pub fn with_hashes(mut self) -> Result<Lock, HashError> {
        self.definition =
            self.definition.with_hashes().map_err(|error| error.within("cluster_definition"))?;
        self.lock_hash = self.compute_lock_hash()?.into();
        Ok(self)
    }

    /// Checks that its hashes are those of its content.
    ///
    /// # Errors
    /// The first that is not.
    pub fn verify_hashes(&self) -> Result<(), Problem> {
        self.definition.verify_hashes().map_err(|problem| problem.within("cluster_definition"))?;
        let (found, expected) = (self.validators.len(), self.definition.validators.len());
        if found != expected {
            let wrong = Wrong::Count { found, expected, of: "validator of the definition" };
            return Err(Problem::new("distributed_validators", wrong));
        }
        check_hash("lock_hash", &self.lock_hash, self.compute_lock_hash())?;
        Ok(())
    }
}
