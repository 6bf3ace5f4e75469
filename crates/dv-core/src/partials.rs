//! Partial signatures, until there are enough of one root.
//!
//! Those of peers are kept unchecked: when there are enough, their sum is checked, which costs as much as one of them. Only
//! where it is wrong each is checked, and what is bad goes ([`Partials::settle`]). A peer can only spoil its own share so.
//!
//! What comes when there were enough already goes into no sum, and is checked only where its sender is distrusted, then or
//! before the duty is over. So those who watch who takes part learn of late shares that they came, not that they are good.
//!
//! One share gives one signature for a place: the same again is nothing new, another one is refused. That is what keeps
//! a node that equivocates from having two groups count its share twice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::Root;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::{ParSigned, SignedData};

use crate::aggregated::{Place, places_of};

/// Duties that never end are kept for so many signatures of one share and validator; then the oldest goes.
const ENDLESS_PER_SHARE: usize = 10;

/// A partial signature and the root of what it is over.
#[derive(Debug, Clone)]
struct Held {
    root: Root,
    partial: ParSigned,
    checked: Checked,
}

/// Whether a partial signature is known to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It does.
    Yes,
    /// Nobody has looked.
    NotYet,
}

/// Partial signatures by place.
#[derive(Debug)]
pub(crate) struct Partials {
    threshold: usize,
    places: BTreeMap<Place, Vec<Held>>,
    /// Places of duties that never end, by share and validator, the oldest first.
    endless: BTreeMap<(DutyType, coxswain_dv_eth::bytes::Bytes48, u32), Vec<Place>>,
}

/// What became of a partial signature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Added {
    /// It is kept; there are not enough of its root, or were before.
    Kept,
    /// It was there.
    Same,
    /// The share has given another one.
    Conflict,
    /// It is kept, and now there are exactly enough of its root.
    Enough(Vec<ParSigned>),
}

impl Partials {
    pub(crate) fn new(threshold: usize) -> Partials {
        Partials { threshold, places: BTreeMap::new(), endless: BTreeMap::new() }
    }

    /// Keeps a partial signature.
    pub(crate) fn add(&mut self, place: Place, partial: ParSigned, checked: Checked) -> Added {
        let held = self.places.entry(place).or_default();
        if let Some(at) = held.iter().position(|held| held.partial.share_index == partial.share_index) {
            let known = &mut held[at];
            if same(&known.partial.data, &partial.data) {
                if checked == Checked::Yes {
                    known.checked = Checked::Yes;
                }
                return Added::Same;
            }
            if known.checked == Checked::Yes || checked == Checked::NotYet {
                return Added::Conflict;
            }
            // What is known to be good goes before what nobody has looked at.
            held.remove(at);
        }
        let root = partial.data.message_root().unwrap_or_default();
        held.push(Held { root, partial, checked });
        let of_root: Vec<&Held> = held.iter().filter(|held| held.root == root).collect();
        let enough = (of_root.len() == self.threshold)
            .then(|| of_root.into_iter().map(|held| held.partial.clone()).collect());
        self.forget_old(place);
        enough.map_or(Added::Kept, Added::Enough)
    }

    /// Whether what a share has given is known to verify; none where it is not there, or not this.
    pub(crate) fn checked(&self, place: &Place, partial: &ParSigned) -> Option<Checked> {
        let held =
            self.places.get(place)?.iter().find(|one| one.partial.share_index == partial.share_index)?;
        same(&held.partial.data, &partial.data).then_some(held.checked)
    }

    /// Whether a share has given anything for a validator's duty.
    pub(crate) fn has(&self, duty: Duty, key: &coxswain_dv_eth::bytes::Bytes48, share: u32) -> bool {
        let mut held = self.places.range((duty, *key, 0)..=(duty, *key, u64::MAX)).flat_map(|(_, held)| held);
        held.any(|held| held.partial.share_index == share)
    }

    /// Takes out all of a share that nobody has looked at.
    pub(crate) fn take_unchecked(&mut self, share: u32) -> Vec<(Place, ParSigned)> {
        let is_of = |one: &mut Held| one.partial.share_index == share && one.checked == Checked::NotYet;
        let mut taken = Vec::new();
        self.places.retain(|place, held| {
            taken.extend(held.extract_if(.., is_of).map(|one| (*place, one.partial)));
            !held.is_empty()
        });
        taken
    }

    /// Takes what a check of signatures over a root has said, by share: bad ones go. Gives those that are enough without
    /// them, the checked ones first.
    pub(crate) fn settle(
        &mut self,
        place: Place,
        root: Root,
        said: &BTreeMap<u32, bool>,
    ) -> Option<Vec<ParSigned>> {
        let held = self.places.get_mut(&place)?;
        let is_bad =
            |one: &Held| one.root == root && said.get(&one.partial.share_index).is_some_and(|good| !good);
        held.retain(|one| one.checked == Checked::Yes || !is_bad(one));
        for one in held.iter_mut().filter(|one| one.root == root) {
            if said.contains_key(&one.partial.share_index) {
                one.checked = Checked::Yes;
            }
        }
        let mut of_root: Vec<&Held> = held.iter().filter(|one| one.root == root).collect();
        of_root.sort_by_key(|one| one.checked == Checked::NotYet);
        let enough: Option<Vec<ParSigned>> = (of_root.len() >= self.threshold)
            .then(|| of_root.iter().take(self.threshold).map(|one| one.partial.clone()).collect());
        if held.is_empty() {
            self.places.remove(&place);
        }
        enough
    }

    fn forget_old(&mut self, place: Place) {
        let (duty, key, _) = place;
        if !matches!(duty.kind, DutyType::Exit | DutyType::BuilderRegistration) {
            return;
        }
        let Some(share) = self.places.get(&place).and_then(|held| held.last()).map(|h| h.partial.share_index)
        else {
            return;
        };
        let places = self.endless.entry((duty.kind, key, share)).or_default();
        // What was replaced, or came again after its check, is not older for that.
        if !places.contains(&place) {
            places.push(place);
        }
        if places.len() > ENDLESS_PER_SHARE {
            let oldest = places.remove(0);
            if let Some(held) = self.places.get_mut(&oldest) {
                held.retain(|held| held.partial.share_index != share);
                if held.is_empty() {
                    self.places.remove(&oldest);
                }
            }
        }
    }

    /// Shares by what they signed for a duty, whichever validators: the largest group first, those as large in the order
    /// of their roots.
    pub(crate) fn cohorts(&self, duty: Duty) -> Vec<BTreeSet<u32>> {
        let mut by_root: BTreeMap<Root, BTreeSet<u32>> = BTreeMap::new();
        for held in self.places.range(places_of(duty)).flat_map(|(_, held)| held) {
            by_root.entry(held.root).or_default().insert(held.partial.share_index);
        }
        let mut cohorts: Vec<BTreeSet<u32>> = by_root.into_values().collect();
        cohorts.sort_by_key(|shares| Reverse(shares.len()));
        cohorts
    }

    /// How many places have one.
    pub(crate) fn held(&self) -> usize {
        self.places.len()
    }

    /// Forgets a duty.
    pub(crate) fn end(&mut self, duty: Duty) {
        self.places.extract_if(places_of(duty), |_, _| true).for_each(drop);
    }
}

/// Whether a share has given the same again: others compare what they write as JSON, so all fields count.
fn same(one: &SignedData, other: &SignedData) -> bool {
    one == other
}
