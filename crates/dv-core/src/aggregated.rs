//! Signatures of groups, as they come out of enough shares.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use coxswain_dv_eth::bytes::{Bytes, Bytes48};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::signed::SignedData;

/// Where a signature belongs: the duty, the validator, the subcommittee.
pub(crate) type Place = (Duty, Bytes48, u64);

/// All places of a duty.
pub(crate) fn places_of(duty: Duty) -> RangeInclusive<Place> {
    (duty, Bytes48::default(), 0)..=(duty, Bytes([u8::MAX; 48]), u64::MAX)
}

/// Signatures of groups by place.
#[derive(Debug, Default)]
pub(crate) struct Aggregated {
    places: BTreeMap<Place, SignedData>,
}

/// What became of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new.
    New,
    /// It was there.
    Same,
    /// Another one was there, and stays.
    Other,
}

impl Aggregated {
    pub(crate) fn get(&self, place: &Place) -> Option<&SignedData> {
        self.places.get(place)
    }

    pub(crate) fn keep(&mut self, place: Place, data: SignedData) -> Kept {
        match self.places.get(&place) {
            Some(known) if *known == data => Kept::Same,
            Some(_) => Kept::Other,
            None => {
                self.places.insert(place, data);
                Kept::New
            }
        }
    }

    /// How many there are.
    pub(crate) fn held(&self) -> usize {
        self.places.len()
    }

    /// Forgets a duty.
    pub(crate) fn end(&mut self, duty: Duty) {
        self.places.extract_if(places_of(duty), |_, _| true).for_each(drop);
    }
}
