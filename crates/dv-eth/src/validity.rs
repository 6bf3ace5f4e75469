//! Whether a node may agree to a value that a leader proposes: before it prepares it, without asking anyone.
//!
//! A value is refused for what no honest leader says of this duty. It is never refused for what a leader may see
//! differently, above all the head of the chain: then a cluster whose beacon nodes differ would not agree at all.
//!
//! # What must never happen
//!
//! - Data of one slot, or of another validator, is signed as a duty's.

use std::collections::BTreeMap;

use crate::attestation::AttestationData;
use crate::bytes::Bytes48;
use crate::duty::{Duty, DutyType};
use crate::sync::{SUBCOMMITTEES, SyncCommitteeContribution};
use crate::time::Clock;
use crate::unsigned::Unsigned;

/// What a node knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is no group key of the cluster.
    Stranger,
    /// It is one; the chain has not told its validator's index yet.
    Member,
    /// It is one, and this is its validator's index.
    Validator(u64),
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing would be decided.
    #[error("the value is empty")]
    Empty,
    /// Someone else's validator.
    #[error("{key} is no validator of this cluster")]
    Stranger {
        /// The key.
        key: Bytes48,
    },
    /// Data of another type.
    #[error("the value has data of a duty of type {found} for {duty}")]
    Kind {
        /// The duty.
        duty: Duty,
        /// What it has.
        found: DutyType,
    },
    /// Data of another slot.
    #[error("the value has data of slot {found} for {duty}")]
    Slot {
        /// The duty.
        duty: Duty,
        /// What it has.
        found: u64,
    },
    /// A target that the slot cannot have.
    #[error("the attestation of epoch {epoch} has the target epoch {found}")]
    Target {
        /// The epoch of the slot.
        epoch: u64,
        /// What it has.
        found: u64,
    },
    /// A source that the target cannot have.
    #[error("the attestation goes from epoch {found} to epoch {target}, which is not after it")]
    Source {
        /// The target's epoch.
        target: u64,
        /// What it has.
        found: u64,
    },
    /// A cluster proposes one block for a slot.
    #[error("the value has blocks of {count} validators, where one proposes")]
    Proposers {
        /// How many.
        count: usize,
    },
    /// The proposer cannot be checked.
    #[error(
        "the index of the proposer {key} is not known yet; it comes with the next look at the validators"
    )]
    NoIndex {
        /// The key.
        key: Bytes48,
    },
    /// An index that is another validator's.
    #[error("the value has validator {found} for {key}, which is validator {index}")]
    Index {
        /// The key.
        key: Bytes48,
        /// Its index.
        index: u64,
        /// What it has.
        found: u64,
    },
    /// A duty of another key.
    #[error("the value has a duty of {found} for {key}")]
    Key {
        /// The key.
        key: Bytes48,
        /// What it has.
        found: Bytes48,
    },
    /// An aggregate that its fork does not have.
    #[error("the aggregate does not have the shape of its fork")]
    Shape,
    /// No subcommittee, or one twice.
    #[error("the contributions of {key} are of no, unknown or repeated subcommittees")]
    Subcommittees {
        /// The key.
        key: Bytes48,
    },
}

/// Whether a duty's value may be agreed to. `standing` says what is known of a key.
///
/// # Errors
/// The first reason why it may not.
pub fn check(
    duty: &Duty,
    value: &BTreeMap<Bytes48, Unsigned>,
    clock: &Clock,
    standing: impl Fn(&Bytes48) -> Standing,
) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::Empty);
    }
    if duty.kind == DutyType::Proposer && value.len() != 1 {
        return Err(Invalid::Proposers { count: value.len() });
    }
    for (key, data) in value {
        let standing = standing(key);
        if standing == Standing::Stranger {
            return Err(Invalid::Stranger { key: *key });
        }
        if data.kind() != duty.kind {
            return Err(Invalid::Kind { duty: *duty, found: data.kind() });
        }
        let rules = Rules { duty, clock, key, standing };
        rules.check(data)?;
    }
    Ok(())
}

/// What one validator's data is held against.
struct Rules<'r> {
    duty: &'r Duty,
    clock: &'r Clock,
    key: &'r Bytes48,
    standing: Standing,
}

impl Rules<'_> {
    fn check(&self, data: &Unsigned) -> Result<(), Invalid> {
        match data {
            Unsigned::Attester { data, duty } => {
                self.attestation(data)?;
                self.slot(duty.slot)?;
                if duty.pubkey != *self.key {
                    return Err(Invalid::Key { key: *self.key, found: duty.pubkey });
                }
                self.index(duty.validator_index)
            }
            Unsigned::Proposer(proposal) => {
                self.slot(proposal.slot())?;
                if self.standing == Standing::Member {
                    return Err(Invalid::NoIndex { key: *self.key });
                }
                self.index(proposal.proposer_index())
            }
            Unsigned::Aggregator { fork, attestation } => {
                if !attestation.is_of(*fork) {
                    return Err(Invalid::Shape);
                }
                self.attestation(attestation.data())
            }
            Unsigned::SyncContribution(all) => self.contributions(all),
        }
    }

    fn slot(&self, found: u64) -> Result<(), Invalid> {
        if found == self.duty.slot { Ok(()) } else { Err(Invalid::Slot { duty: *self.duty, found }) }
    }

    fn index(&self, found: u64) -> Result<(), Invalid> {
        match self.standing {
            Standing::Validator(index) if index != found => {
                Err(Invalid::Index { key: *self.key, index, found })
            }
            Standing::Validator(_) | Standing::Member | Standing::Stranger => Ok(()),
        }
    }

    fn attestation(&self, data: &AttestationData) -> Result<(), Invalid> {
        self.slot(data.slot)?;
        let (source, target) = (data.source.epoch, data.target.epoch);
        let epoch = self.clock.epoch_of(data.slot);
        if target != epoch {
            return Err(Invalid::Target { epoch, found: target });
        }
        // In the first epoch both are the genesis.
        let is_first = source == 0 && target == 0;
        if source < target || is_first { Ok(()) } else { Err(Invalid::Source { target, found: source }) }
    }

    fn contributions(&self, all: &[SyncCommitteeContribution]) -> Result<(), Invalid> {
        let mut seen = [false; SUBCOMMITTEES as usize];
        for one in all {
            self.slot(one.slot)?;
            let place = usize::try_from(one.subcommittee_index).ok().and_then(|at| seen.get_mut(at));
            match place {
                Some(seen) if !*seen => *seen = true,
                Some(_) | None => return Err(Invalid::Subcommittees { key: *self.key }),
            }
        }
        if all.is_empty() { Err(Invalid::Subcommittees { key: *self.key }) } else { Ok(()) }
    }
}
