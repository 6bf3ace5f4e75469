//! Who does what at which slot.
//!
//! Every active validator attests once an epoch. At which slot is drawn: few validators would else attest at the same places of
//! every epoch, where always the same node of a cluster leads. Proposers follow permutations of all validators, so that in each
//! row of as many slots as there are validators everyone proposes once. All depends on the seed, the epoch, and on how often
//! reorganisations have undone what the epoch's duties hang on (its salt).

use std::collections::BTreeMap;

use coxswain_dv_eth::sync::COMMITTEE_SIZE;

use super::seed::Seed;
use super::settings::Settings;

/// The shortest epoch whose slots are mixed. In shorter ones, which tests have, two validators attest at every other slot, so
/// that few slots show whether votes come.
const MIXED_FROM: u64 = 8;

/// Where a validator attests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u64,
    pub(super) committee: u64,
    pub(super) position: u64,
    pub(super) committee_length: u64,
}

/// Duties of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EpochDuties {
    /// By slot of the epoch, then by committee: validators.
    committees: Vec<Vec<Vec<u64>>>,
    /// By slot of the epoch.
    proposers: Vec<Option<u64>>,
    places: BTreeMap<u64, Place>,
}

impl EpochDuties {
    /// Those of an epoch with these active validators, ascending.
    pub(super) fn new(settings: &Settings, epoch: u64, salts: Salts, active: &[u64]) -> EpochDuties {
        let seed = Seed(settings.seed);
        let n_slots = settings.slots_per_epoch;
        let order = seed.shuffled("committees", &[epoch, salts.attester], active.to_vec());
        let parts = parts(seed, n_slots, &[epoch, salts.attester]);
        let mut places = BTreeMap::new();
        let mut committees = Vec::new();
        for (slot, part) in (0..).zip(parts) {
            let of_slot: Vec<Vec<u64>> = (0..settings.committees_per_slot)
                .map(|committee| {
                    let part = part * settings.committees_per_slot + committee;
                    slice(&order, part, n_slots * settings.committees_per_slot).to_vec()
                })
                .collect();
            for (committee, members) in (0..).zip(&of_slot) {
                for (position, validator) in (0..).zip(members) {
                    let slot = epoch.saturating_mul(n_slots).saturating_add(slot);
                    let committee_length = members.len() as u64;
                    places.insert(*validator, Place { slot, committee, position, committee_length });
                }
            }
            committees.push(of_slot);
        }
        let proposers = proposers(settings, epoch, salts.proposer, active);
        EpochDuties { committees, proposers, places }
    }

    /// Committees of a slot, which is one of the epoch.
    pub(super) fn committees(&self, slot: u64) -> &[Vec<u64>] {
        let index = usize::try_from(slot % self.committees.len() as u64).unwrap_or_default();
        self.committees.get(index).map_or(&[], Vec::as_slice)
    }

    /// The proposer of a slot, which is one of the epoch. Slot 0 has none: its block is the genesis.
    pub(super) fn proposer(&self, slot: u64) -> Option<u64> {
        let index = usize::try_from(slot % self.proposers.len() as u64).unwrap_or_default();
        self.proposers.get(index).copied().flatten()
    }

    /// Takes over other duties, except who proposes in the first slots.
    pub(super) fn replace(&mut self, mut new: EpochDuties, n_kept_proposers: usize) {
        for (new, old) in new.proposers.iter_mut().zip(&self.proposers).take(n_kept_proposers) {
            *new = *old;
        }
        *self = new;
    }

    /// Where a validator attests.
    pub(super) fn place(&self, validator: u64) -> Option<Place> {
        self.places.get(&validator).copied()
    }
}

/// How often what duties of an epoch hang on was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Salts {
    pub(super) attester: u64,
    pub(super) proposer: u64,
}

/// By slot of an epoch: which part of the validators attests. Each half of the epoch keeps its own, so that neither of two
/// validators is far from its turn before.
fn parts(seed: Seed, n_slots: u64, numbers: &[u64]) -> Vec<u64> {
    if n_slots < MIXED_FROM {
        return (0..n_slots).collect();
    }
    let middle = n_slots / 2;
    let mut parts = seed.shuffled("slots of the first half", numbers, (0..middle).collect());
    parts.extend(seed.shuffled("slots of the second half", numbers, (middle..n_slots).collect()));
    parts
}

/// One of so many parts, as even as they can be (`compute_committee` of the consensus specifications).
fn slice(items: &[u64], part: u64, n_parts: u64) -> &[u64] {
    let at = |part: u64| {
        let place = items.len() as u128 * u128::from(part) / u128::from(n_parts.max(1));
        usize::try_from(place).unwrap_or(items.len())
    };
    items.get(at(part)..at(part + 1)).unwrap_or_default()
}

fn proposers(settings: &Settings, epoch: u64, salt: u64, active: &[u64]) -> Vec<Option<u64>> {
    let n = settings.validators.len() as u64;
    let first = epoch.saturating_mul(settings.slots_per_epoch);
    let mut orders = BTreeMap::<u64, Vec<u64>>::new();
    let mut proposer = |slot: u64| {
        // Slot 1 is the first that is proposed.
        let slot = slot.checked_sub(1)?;
        let (round, place) = (slot / n, usize::try_from(slot % n).ok()?);
        let order = orders
            .entry(round)
            .or_insert_with(|| Seed(settings.seed).shuffled("proposers", &[round, salt], (0..n).collect()));
        let from_place = order.iter().cycle().skip(place).take(order.len());
        from_place.copied().find(|validator| active.binary_search(validator).is_ok())
    };
    (first..first.saturating_add(settings.slots_per_epoch)).map(&mut proposer).collect()
}

/// A sync committee: seats and who has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyncCommittee {
    /// By seat: the validator, or nobody.
    seats: Vec<Option<u64>>,
    of: BTreeMap<u64, Vec<u64>>,
}

impl SyncCommittee {
    /// That of a period, out of these active validators.
    pub(super) fn new(settings: &Settings, period: u64, active: &[u64]) -> SyncCommittee {
        let mut members = Seed(settings.seed).shuffled("sync committee", &[period], active.to_vec());
        members.truncate(settings.sync.members);
        let mut of = BTreeMap::<u64, Vec<u64>>::new();
        let seats: Vec<Option<u64>> = (0..COMMITTEE_SIZE)
            .map(|seat| {
                // The given seats are spread over all of them, so that every subcommittee has some.
                let given = settings.sync.seats;
                let number = seat * given / COMMITTEE_SIZE;
                let is_given = (seat + 1) * given / COMMITTEE_SIZE > number;
                let turn = usize::try_from(number).unwrap_or_default() % members.len().max(1);
                let validator = members.get(turn).copied().filter(|_| is_given)?;
                of.entry(validator).or_default().push(seat);
                Some(validator)
            })
            .collect();
        SyncCommittee { seats, of }
    }

    /// The seats of a validator, ascending; none where it is no member.
    pub(super) fn seats_of(&self, validator: u64) -> &[u64] {
        self.of.get(&validator).map_or(&[], Vec::as_slice)
    }

    /// Its members, ascending.
    pub(super) fn members(&self) -> impl Iterator<Item = u64> {
        self.of.keys().copied()
    }

    /// By seat: the validator, or nobody.
    pub(super) fn seats(&self) -> &[Option<u64>] {
        &self.seats
    }

    /// Seats of a subcommittee: those with a validator, by their place in it.
    pub(super) fn subcommittee(&self, index: u64) -> impl Iterator<Item = (usize, u64)> {
        let size = self.seats.len() / 4;
        let start = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(size);
        let part = self.seats.get(start..start.saturating_add(size)).unwrap_or_default();
        part.iter().enumerate().filter_map(|(place, seat)| Some((place, (*seat)?)))
    }
}

#[cfg(test)]
mod tests;
