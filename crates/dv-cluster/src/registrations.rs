//! Registrations with builders while a node runs: those of the lock, and newer ones that the validators' keys have signed
//! since, of a file or of the API.
//!
//! ```text
//! lock ────────────────────────────→ for each validator
//! file ── parse ── verify (group) ─┐   the newest one ──→ what is submitted
//! API ── parse ── put together ── verify ─┘         └──→ whom blocks pay
//! ```
//!
//! A later time counts more (builder specifications); between a file and the API the file, where the time is the same.
//! What the API has told once counts even where it tells less later: who answers could otherwise choose the time again.
//!
//! # What must never happen
//!
//! - A registration counts that the validator's own key has not signed for this network.
//! - An answer of the API that lacks a registration, or has an older one, takes back a newer one.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::bls::{self, BlsError, PublicKey, Signature};
use coxswain_dv_crypto::k1::Address;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::ForkVersion;
use coxswain_dv_types::registration::{
    Collected, Registration, RegistrationError, SignedRegistration, parse_collected, parse_overrides,
};

/// A validator's key.
type Key = [u8; 48];

/// Registrations that are newer than the lock's or not, by validator: verified, and the newest of its source.
pub type Overrides = BTreeMap<Key, SignedRegistration>;

/// Takes what a source says now beside what it said before: of each validator the newest.
pub fn take_newer(known: &mut Overrides, said: Overrides) {
    for (key, signed) in said {
        let newest = known.get(&key);
        if newest.is_none_or(|newest| newest.message.timestamp < signed.message.timestamp) {
            known.insert(key, signed);
        }
    }
}

/// Something that is not as it should be, and is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Where, from 0: `entry 3`.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

/// What was found in a file, or at the API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// What counts.
    pub overrides: Overrides,
    /// What does not, in the order of the source.
    pub odd: Vec<Oddity>,
    /// Validators with a registration that not enough nodes have signed yet.
    pub incomplete: usize,
}

/// What holds for the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// At most one of each validator, in the order of the lock.
    pub registrations: Vec<SignedRegistration>,
    /// Whom blocks pay, by validator.
    pub fee_recipients: BTreeMap<Key, Address>,
}

/// What a validator's registrations are held against.
#[derive(Debug, Clone)]
struct Known {
    key: Key,
    group: PublicKey,
    shares: Vec<PublicKey>,
    /// The definition's address.
    fee_recipient: Option<Address>,
    /// The lock's registration, where it has one.
    registration: Option<SignedRegistration>,
}

/// A cluster, as far as registrations go.
#[derive(Debug, Clone)]
pub struct Registrar {
    validators: Vec<Known>,
    by_key: BTreeMap<Key, usize>,
    threshold: usize,
    genesis: ForkVersion,
}

impl Registrar {
    /// Of a lock that was verified. A registration of it that lacks something is none.
    ///
    /// # Errors
    /// A key of the lock is none.
    pub fn of(lock: &Lock) -> Result<Registrar, BlsError> {
        let addresses = lock.definition.validators.iter().map(|one| Address::parse(&one.fee_recipient).ok());
        let addresses = addresses.chain(std::iter::repeat(None));
        let mut validators = Vec::with_capacity(lock.validators.len());
        for (validator, fee_recipient) in lock.validators.iter().zip(addresses) {
            let group = PublicKey::from_bytes(&validator.public_key)?;
            let shares = validator.public_shares.iter().map(|share| PublicKey::from_bytes(share));
            let stored = &validator.registration;
            let registration = || {
                let message = Registration {
                    fee_recipient: Address((*stored.fee_recipient).try_into().ok()?),
                    gas_limit: stored.gas_limit,
                    timestamp: stored.timestamp,
                    pubkey: (*stored.pubkey).try_into().ok()?,
                };
                Some(SignedRegistration { message, signature: (*stored.signature).try_into().ok()? })
            };
            validators.push(Known {
                key: group.to_bytes(),
                shares: shares.collect::<Result<_, _>>()?,
                registration: registration(),
                group,
                fee_recipient,
            });
        }
        let by_key = validators.iter().enumerate().map(|(place, one)| (one.key, place)).collect();
        Ok(Registrar {
            validators,
            by_key,
            threshold: usize::try_from(lock.definition.threshold).unwrap_or(usize::MAX),
            genesis: (*lock.definition.fork_version).try_into().unwrap_or_default(),
        })
    }

    /// What a file of overrides says.
    ///
    /// # Errors
    /// It is no list.
    pub fn read_file(&self, text: &[u8]) -> Result<Found, RegistrationError> {
        let mut found = Found::default();
        for (place, entry) in parse_overrides(text)?.into_iter().enumerate() {
            let taken =
                entry.map_err(|error| error.to_string()).and_then(|signed| self.take(&mut found, signed));
            if let Err(why) = taken {
                found.odd.push(Oddity { place: format!("entry {place}"), why });
            }
        }
        Ok(found)
    }

    /// What the API says: registrations that enough nodes have signed are put together.
    ///
    /// # Errors
    /// It is no such answer.
    pub fn read_answer(&self, text: &[u8]) -> Result<Found, RegistrationError> {
        let mut found = Found::default();
        for (place, validator) in parse_collected(text)?.into_iter().enumerate() {
            let odd = |why| Oddity { place: format!("validator {place}"), why };
            let collected = match validator {
                Ok(collected) => collected,
                Err(error) => {
                    found.odd.push(odd(error.to_string()));
                    continue;
                }
            };
            found.incomplete += usize::from(collected.iter().any(|one| !one.is_complete));
            for one in collected.into_iter().filter(|one| one.is_complete) {
                let taken = self.put_together(one).and_then(|signed| self.take(&mut found, signed));
                if let Err(why) = taken {
                    found.odd.push(odd(why));
                }
            }
        }
        Ok(found)
    }

    fn known(&self, key: &Key) -> Result<&Known, String> {
        let place = self.by_key.get(key).copied();
        let stranger = || format!("0x{} is no validator of this cluster", hex::encode(key));
        place.and_then(|place| self.validators.get(place)).ok_or_else(stranger)
    }

    /// Takes a registration that its validator has signed, where none that is as new is there.
    fn take(&self, found: &mut Found, signed: SignedRegistration) -> Result<(), String> {
        let known = self.known(&signed.message.pubkey)?;
        if !self.verifies(&known.group, &signed.message, &signed.signature) {
            return Err(format!("0x{}: the validator's key has not signed it", hex::encode(known.key)));
        }
        take_newer(&mut found.overrides, Overrides::from([(known.key, signed)]));
        Ok(())
    }

    fn verifies(&self, key: &PublicKey, message: &Registration, signature: &[u8; 96]) -> bool {
        let root = message.signing_root_at(self.genesis);
        Signature::from_bytes(signature).is_ok_and(|signature| bls::verify(key, &root, &signature))
    }

    /// The whole key's signature. Where the sum is wrong, of those that are good by themselves.
    fn put_together(&self, collected: Collected) -> Result<SignedRegistration, String> {
        let Collected { message, partials, .. } = collected;
        let known = self.known(&message.pubkey)?;
        let key = hex::encode(known.key);
        let share = |index: u64| {
            let place = usize::try_from(index).ok()?.checked_sub(1)?;
            known.shares.get(place)
        };
        let mut seen = BTreeSet::new();
        let mut partials = partials;
        partials.retain(|(index, _)| share(*index).is_some() && seen.insert(*index));
        let sum = |partials: &[(u64, [u8; 96])]| {
            let enough = partials.len() >= self.threshold;
            let whole = enough.then(|| bls::recover_encoded(partials).ok()).flatten()?.to_bytes();
            self.verifies(&known.group, &message, &whole).then_some(whole)
        };
        let signature = sum(&partials).or_else(|| {
            partials.retain(|(index, signature)| {
                share(*index).is_some_and(|share| self.verifies(share, &message, signature))
            });
            sum(&partials)
        });
        let (good, threshold) = (partials.len(), self.threshold);
        let signature = signature.ok_or_else(|| {
            format!("0x{key}: of the {threshold} shares that are needed, {good} have signed it")
        })?;
        Ok(SignedRegistration { message, signature })
    }

    /// What holds, with what a file and the API say. The lock's registration stands where nothing is newer.
    pub fn merge(&self, file: &Overrides, api: &Overrides) -> Registered {
        let mut registered = Registered { registrations: Vec::new(), fee_recipients: BTreeMap::new() };
        for known in &self.validators {
            let mut newest = known.registration.as_ref();
            let mut payee = known.fee_recipient;
            for other in [file.get(&known.key), api.get(&known.key)].into_iter().flatten() {
                if newest.is_none_or(|newest| newest.message.timestamp < other.message.timestamp) {
                    newest = Some(other);
                    payee = Some(other.message.fee_recipient);
                }
            }
            registered.registrations.extend(newest.cloned());
            if let Some(payee) = payee {
                registered.fee_recipients.insert(known.key, payee);
            }
        }
        registered
    }
}
