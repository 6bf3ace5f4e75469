//! The signatures of a lock, and whether its shares are those of its keys.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{self, PublicKey, Signature};
use coxswain_dv_crypto::k1::{Address, verify65};

use super::{ContractQuestion, DistributedValidator, Lock, Problem, ValidatorAddresses, Wrong};
use crate::enr;
use crate::network::{Network, Networks};
use crate::registration::Registration;

impl Lock {
    /// Checks hashes and signatures. The signatures of operators and the creator that no key explains come back as
    /// questions; without an execution client to ask, each of them is an error, its [`ContractQuestion::otherwise`].
    ///
    /// Deposits are not checked beyond their hash. A lock of v1.0 or v1.1 without an aggregate signature passes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        self.verify_hashes()?;
        self.verify_signatures(networks)
    }

    /// Checks the signatures, some of which are over the **stored** hashes, which have to be checked as well.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_signatures(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        let in_definition = |problem: Problem| problem.within("cluster_definition");
        let mut questions = self.definition.verify_signatures(networks).map_err(in_definition)?;
        for question in &mut questions {
            question.otherwise = in_definition(question.otherwise.clone());
        }
        let version = self.definition.version;
        if self.signature_aggregate.is_empty() {
            return match version.allows_unsigned_lock {
                true => Ok(questions),
                false => Err(Problem::new("signature_aggregate", Wrong::Missing)),
            };
        }
        let aggregate = Signature::from_bytes(&self.signature_aggregate)
            .map_err(|error| Problem::new("signature_aggregate", error))?;
        let keys = self.check_keys()?;
        let shares: Vec<PublicKey> = keys.iter().flat_map(|keys| keys.shares.iter().copied()).collect();
        let hash =
            self.compute_lock_hash().map_err(|error| Problem::new("lock_hash", Wrong::NoHash(error)))?;
        if !bls::verify_aggregate(&shares, &hash, &aggregate) {
            return Err(Problem::new("signature_aggregate", Wrong::Signature));
        }
        match version.has_registrations {
            true => {
                let network = self.definition.network(networks).map_err(in_definition)?;
                self.check_registrations(network, &keys)?;
                self.check_node_signatures()?;
            }
            false => self.check_nothing_newer()?,
        }
        Ok(questions)
    }

    /// Keys and shares of each validator: they belong together, and none is there twice.
    fn check_keys(&self) -> Result<Vec<Keys>, Problem> {
        let mut seen = BTreeMap::new();
        let mut all = Vec::with_capacity(self.validators.len());
        for (n, validator) in self.validators.iter().enumerate() {
            let path = format!("distributed_validators[{n}]");
            let keys = Keys::of(validator, self.definition.operators.len())
                .and_then(|keys| keys.check_threshold(self.definition.threshold).map(|()| keys))
                .map_err(|problem| problem.within(&path))?;
            if let Some(other) = seen.insert(keys.whole, path.clone()) {
                let path = format!("{path}.distributed_public_key");
                return Err(Problem::new(path, Wrong::Twice { other }));
            }
            all.push(keys);
        }
        Ok(all)
    }

    fn check_registrations(&self, network: &Network, keys: &[Keys]) -> Result<(), Problem> {
        let addresses = &self.definition.validators;
        let (found, expected) = (keys.len(), addresses.len());
        if found != expected {
            let wrong = Wrong::Count { found, expected, of: "validator of the definition" };
            return Err(Problem::new("distributed_validators", wrong));
        }
        for (n, ((validator, keys), addresses)) in self.validators.iter().zip(keys).zip(addresses).enumerate()
        {
            check_registration(network, validator, keys, addresses).map_err(|problem| {
                problem.within(&format!("distributed_validators[{n}].builder_registration"))
            })?;
        }
        Ok(())
    }

    fn check_node_signatures(&self) -> Result<(), Problem> {
        let path = "node_signatures";
        let (found, expected) = (self.node_signatures.len(), self.definition.operators.len());
        if found != expected {
            return Err(Problem::new(path, Wrong::Count { found, expected, of: "operator" }));
        }
        let hash = <[u8; 32]>::try_from(&*self.lock_hash).map_err(|_| {
            Problem::new("lock_hash", Wrong::Length { found: self.lock_hash.len(), expected: "32" })
        })?;
        for (n, (operator, signature)) in
            self.definition.operators.iter().zip(&self.node_signatures).enumerate()
        {
            let record = enr::parse(&operator.enr)
                .map_err(|error| Problem::new(format!("cluster_definition.operators[{n}].enr"), error))?;
            verify65(record.public(), &hash, signature)
                .map_err(|error| Problem::new(format!("{path}[{n}]"), error))?;
        }
        Ok(())
    }

    /// Versions without registrations and signatures of nodes have none.
    fn check_nothing_newer(&self) -> Result<(), Problem> {
        let unexpected = || Wrong::Unexpected { version: self.definition.version.name };
        for (n, validator) in self.validators.iter().enumerate() {
            let registration = &validator.registration;
            let parts = [&registration.signature, &registration.fee_recipient, &registration.pubkey];
            if parts.iter().all(|part| !part.is_empty()) {
                let path = format!("distributed_validators[{n}].builder_registration");
                return Err(Problem::new(path, unexpected()));
            }
        }
        if !self.node_signatures.is_empty() {
            return Err(Problem::new("node_signatures", unexpected()));
        }
        Ok(())
    }
}

/// The keys of a validator.
struct Keys {
    whole: PublicKey,
    /// In the order of share indexes.
    shares: Vec<PublicKey>,
}

impl Keys {
    fn of(validator: &DistributedValidator, operators: usize) -> Result<Keys, Problem> {
        let found = validator.public_shares.len();
        if found != operators {
            let wrong = Wrong::Count { found, expected: operators, of: "operator" };
            return Err(Problem::new("public_shares", wrong));
        }
        let whole = PublicKey::from_bytes(&validator.public_key)
            .map_err(|error| Problem::new("distributed_public_key", error))?;
        let mut seen = BTreeMap::new();
        let mut shares = Vec::with_capacity(found);
        for (n, share) in validator.public_shares.iter().enumerate() {
            let path = format!("public_shares[{n}]");
            let share = PublicKey::from_bytes(share).map_err(|error| Problem::new(path.clone(), error))?;
            if let Some(other) = seen.insert(share, path.clone()) {
                return Err(Problem::new(path, Wrong::Twice { other }));
            }
            shares.push(share);
        }
        Ok(Keys { whole, shares })
    }

    /// The first shares give the key, and each of the others does in the place of the last of them: so all of them lie
    /// on one polynomial.
    fn check_threshold(&self, threshold: u64) -> Result<(), Problem> {
        let shares = self.shares.len();
        let refused = || Problem::new("public_shares", Wrong::Threshold { threshold, shares });
        let count = usize::try_from(threshold).ok().filter(|count| (1..=shares).contains(count));
        let count = count.ok_or_else(refused)?;
        let indexed: Vec<(u64, PublicKey)> = (1..).zip(self.shares.iter().copied()).collect();
        let (first, rest) = indexed.split_at(count - 1);
        for last in rest {
            let set = [first, &[*last]].concat();
            if bls::recover_public(&set).ok() != Some(self.whole) {
                let path = format!("public_shares[{}]", last.0 - 1);
                return Err(Problem::new(path, Wrong::Share { threshold }));
            }
        }
        Ok(())
    }
}

/// The signature of a registration, over the definition's fee recipient: the entry's own names are not compared.
fn check_registration(
    network: &Network,
    validator: &DistributedValidator,
    keys: &Keys,
    addresses: &ValidatorAddresses,
) -> Result<(), Problem> {
    let registration = &validator.registration;
    let parts = [
        ("signature", &registration.signature),
        ("message.fee_recipient", &registration.fee_recipient),
        ("message.pubkey", &registration.pubkey),
    ];
    if let Some((path, _)) = parts.iter().find(|(_, part)| part.is_empty()) {
        return Err(Problem::new(*path, Wrong::Missing));
    }
    let message = Registration {
        fee_recipient: Address::parse(&addresses.fee_recipient)
            .map_err(|error| Problem::new("message.fee_recipient", error))?,
        gas_limit: registration.gas_limit,
        timestamp: registration.timestamp,
        pubkey: keys.whole.to_bytes(),
    };
    let signature =
        Signature::from_bytes(&registration.signature).map_err(|error| Problem::new("signature", error))?;
    if !bls::verify(&keys.whole, &message.signing_root(network), &signature) {
        return Err(Problem::new("signature", Wrong::Signature));
    }
    Ok(())
}
