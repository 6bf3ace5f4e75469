//! The signatures of a lock, and whether its shares are those of its keys.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use coxswain_dv_crypto::bls::{self, PublicKey, Signature};
use coxswain_dv_crypto::k1::{Address, verify65};

use super::{ContractQuestion, DistributedValidator, Lock, Problem, ValidatorAddresses, Wrong};
use crate::enr;
use crate::network::{Network, Networks};
use crate::registration::Registration;

/// Does something for 0, 1, 2 … below a number, in any order and perhaps on many processors, and ends when all is done.
pub type Each<'e> = &'e dyn Fn(usize, &(dyn Fn(usize) + Sync));

fn one_by_one(count: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).for_each(work);
}

/// What `check` makes of each, or the first that is wrong, whatever order `each` has. What it leaves out is done here.
fn gather<T: Send + Sync>(
    count: usize,
    each: Each<'_>,
    check: impl Fn(usize) -> Result<T, Problem> + Sync,
) -> Result<Vec<T>, Problem> {
    let found: Vec<OnceLock<Result<T, Problem>>> = (0..count).map(|_| OnceLock::new()).collect();
    let is_wrong = AtomicBool::new(false);
    each(count, &|at| {
        if let Some(slot) = found.get(at)
            && !is_wrong.load(Ordering::Relaxed)
        {
            let result = slot.get_or_init(|| check(at));
            is_wrong.fetch_or(result.is_err(), Ordering::Relaxed);
        }
    });
    found.into_iter().enumerate().map(|(at, slot)| slot.into_inner().unwrap_or_else(|| check(at))).collect()
}

impl Lock {
    /// Checks hashes and signatures. The signatures of operators and the creator that no key explains come back as
    /// questions; without an execution client to ask, each of them is an error, its [`ContractQuestion::otherwise`].
    ///
    /// Deposits are not checked beyond their hash. A lock of v1.0 or v1.1 without an aggregate signature passes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        self.verify_on(networks, &one_by_one)
    }

    /// The same, with what has to be done for each validator in the hands of `each`.
    ///
    /// # Errors
    /// As [`Lock::verify`].
    pub fn verify_on(&self, networks: &Networks, each: Each<'_>) -> Result<Vec<ContractQuestion>, Problem> {
        self.verify_hashes()?;
        self.verify_signatures_on(networks, each)
    }

    /// Checks the signatures, some of which are over the **stored** hashes, which have to be checked as well.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_signatures(&self, networks: &Networks) -> Result<Vec<ContractQuestion>, Problem> {
        self.verify_signatures_on(networks, &one_by_one)
    }

    fn verify_signatures_on(
        &self,
        networks: &Networks,
        each: Each<'_>,
    ) -> Result<Vec<ContractQuestion>, Problem> {
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
        let keys = self.check_keys(each)?;
        let shares: Vec<PublicKey> = keys.iter().flat_map(|keys| keys.shares.iter().copied()).collect();
        let hash =
            self.compute_lock_hash().map_err(|error| Problem::new("lock_hash", Wrong::NoHash(error)))?;
        if !bls::verify_aggregate(&shares, &hash, &aggregate) {
            return Err(Problem::new("signature_aggregate", Wrong::Signature));
        }
        match version.has_registrations {
            true => {
                let network = self.definition.network(networks).map_err(in_definition)?;
                self.check_registrations(network, &keys, each)?;
                self.check_node_signatures()?;
            }
            false => self.check_nothing_newer()?,
        }
        Ok(questions)
    }

    /// Keys and shares of each validator: they belong together, and none is there twice.
    fn check_keys(&self, each: Each<'_>) -> Result<Vec<Keys>, Problem> {
        let path = |n: usize| format!("distributed_validators[{n}]");
        let all = gather(self.validators.len(), each, |n| {
            Keys::of(&self.validators[n], self.definition.operators.len())
                .and_then(|keys| keys.check_threshold(self.definition.threshold).map(|()| keys))
                .map_err(|problem| problem.within(&path(n)))
        })?;
        let mut seen = BTreeMap::new();
        for (n, keys) in all.iter().enumerate() {
            if let Some(other) = seen.insert(keys.whole, n) {
                let at = format!("{}.distributed_public_key", path(n));
                return Err(Problem::new(at, Wrong::Twice { other: path(other) }));
            }
        }
        Ok(all)
    }

    fn check_registrations(&self, network: &Network, keys: &[Keys], each: Each<'_>) -> Result<(), Problem> {
        let addresses = &self.definition.validators;
        let (found, expected) = (keys.len(), addresses.len());
        if found != expected {
            let wrong = Wrong::Count { found, expected, of: "validator of the definition" };
            return Err(Problem::new("distributed_validators", wrong));
        }
        let checked = gather(found, each, |n| {
            check_registration(network, &self.validators[n], &keys[n], &addresses[n]).map_err(|problem| {
                problem.within(&format!("distributed_validators[{n}].builder_registration"))
            })
        });
        checked.map(drop)
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
