//! Whether what was submitted is on the chain: blocks, attestations, aggregates.
//!
//! ```text
//! submitted ─→ sought ─ once a slot ─→ ask: sizes of committees, blocks
//!                ↑                             │ answers
//!  reorganised ──┴─────────────────────────────┴─→ told: included, missed, unknown
//! ```
//!
//! A block is looked at when it is six slots behind the clock, because blocks are rarely given up later, and once for
//! all that is sought in it. An attestation is sought in the blocks after its slot until the chain takes it no more. What
//! beacon nodes do not answer is asked again at later slots, and nobody waits for it: in the end it is unknown.
//!
//! # What must never happen
//!
//! - Something is told to be missed while one of the blocks that may have it was not read.
//! - A beacon node that is behind, or down, is taken for a chain without blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use coxswain_dv_eth::attestation::AttestationData;
use coxswain_dv_eth::beacon::{Call, Failure, SeenBlock};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::Clock;

/// Slots that a block is behind the clock when it is looked at: reorganisations that are deeper are rare.
const LAG: u64 = 6;
/// Slots after its own in which an attestation is sought. Where epochs have 32 slots the chain takes every one that long.
const WINDOW: u64 = 32;
/// Questions of each kind at one slot: a beacon node that was down is not flooded when it comes back.
const QUESTIONS: usize = 4;
/// Whole epochs after its own for which something is kept, found or not.
const KEPT_EPOCHS: u64 = 2;
/// Most things that are kept: four epochs of 16,000 validators. What comes on top is not sought.
const MAX_SOUGHT: usize = 65_536;

/// What became of something that was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A block has it.
    Included {
        /// Slots from its own to that of the block.
        distance: u64,
    },
    /// All blocks were read that could have had it.
    Missed,
    /// Beacon nodes did not tell in time.
    Unknown,
}

/// What is sought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// A block with this root.
    Block(Bytes32),
    /// Votes.
    Votes(Votes),
}

/// Votes of members of a committee.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Votes {
    /// What they say.
    pub(crate) data: AttestationData,
    /// The committee.
    pub(crate) committee: u64,
    /// Members, by their places.
    pub(crate) members: Vec<u64>,
    /// How blocks have them.
    pub(crate) shape: Shape,
}

/// How blocks have votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One committee at a time.
    Alone,
    /// Several committees together. The only one of its slot has this size.
    Joined { only: Option<u64> },
}

/// A question to beacon nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// The block of a slot.
    Block(u64),
    /// Sizes of the committees of a slot.
    Committees(u64),
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something was submitted.
    Submitted { duty: Duty, key: Bytes48, what: What },
    /// It is this slot; once in each.
    Slot(u64),
    /// Blocks after this slot were given up.
    Reorganised { base: u64 },
    /// A slot has this block; or none, as a beacon node says whose head is of a later slot.
    Block { slot: u64, block: Option<SeenBlock> },
    /// The committees of a slot have these sizes.
    Committees { slot: u64, sizes: Vec<u64> },
    /// A question has no answer.
    Failed(Question, Failure),
}

/// What follows.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Ask.
    Ask(Question),
    /// Say what became of something. It may be said again after a reorganisation.
    Tell { duty: Duty, key: Bytes48, fate: Fate },
}

/// Something that was submitted.
#[derive(Debug)]
struct Sought {
    what: What,
    /// Members whose votes no block had yet.
    left: Vec<u64>,
    /// Whether it is still sought.
    is_open: bool,
    /// What was said last.
    told: Option<Fate>,
}

/// What is known of the committees of a slot.
#[derive(Debug)]
enum Committees {
    Asked,
    Known(Vec<u64>),
    /// They will never be known.
    Refused,
}

/// What was submitted, and what was read of the chain.
#[derive(Debug)]
pub(crate) struct Inclusion {
    clock: Clock,
    now: u64,
    sought: BTreeMap<(Duty, Bytes48), Sought>,
    committees: BTreeMap<u64, Committees>,
    /// Slots whose blocks are asked for, and those that were read.
    asked: BTreeSet<u64>,
    read: BTreeSet<u64>,
}

/// Slots whose blocks may have something of a duty.
fn window(duty: Duty, clock: &Clock) -> RangeInclusive<u64> {
    if duty.kind == DutyType::Proposer {
        return duty.slot..=duty.slot;
    }
    // Until the end of the next epoch (EIP-7045); before, for as many slots as an epoch has.
    let after_next = clock.first_of(clock.epoch_of(duty.slot).saturating_add(2));
    let last = duty.slot.saturating_add(WINDOW).min(after_next.saturating_sub(1));
    duty.slot.saturating_add(1)..=last
}

/// The slot in which it is known at the latest what became of a duty, where beacon nodes answer.
pub(crate) fn told_by(duty: Duty, clock: &Clock) -> u64 {
    window(duty, clock).end().saturating_add(LAG)
}

impl Question {
    /// How it is asked.
    pub(crate) fn call(self, clock: &Clock) -> Call {
        match self {
            Question::Block(slot) => Call::Block { slot },
            Question::Committees(slot) => Call::Committees { slot, epoch: clock.epoch_of(slot) },
        }
    }
}

impl Sought {
    fn new(what: What) -> Sought {
        let mut new = Sought { what, left: Vec::new(), is_open: true, told: None };
        new.reset();
        new
    }

    /// Nothing of it was seen.
    fn reset(&mut self) {
        self.is_open = true;
        self.left = match &self.what {
            What::Block(_) => Vec::new(),
            What::Votes(votes) => votes.members.clone(),
        };
    }

    /// Whether a block has it, or what was left of it; `sizes` are those of the committees of its slot.
    fn is_in(&mut self, block: &SeenBlock, sizes: &[u64]) -> bool {
        match &self.what {
            What::Block(root) => *root == block.root,
            What::Votes(votes) => {
                for one in block.attestations.iter().filter(|one| *one.data() == votes.data) {
                    let members = one.members(votes.committee, sizes);
                    self.left.retain(|place| !members.contains(place));
                }
                self.left.is_empty()
            }
        }
    }
}

impl Inclusion {
    pub(crate) fn new(clock: Clock) -> Inclusion {
        Inclusion {
            clock,
            now: 0,
            sought: BTreeMap::new(),
            committees: BTreeMap::new(),
            asked: BTreeSet::new(),
            read: BTreeSet::new(),
        }
    }

    /// How many things are kept.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.sought.len() + self.committees.len() + self.asked.len() + self.read.len()
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Submitted { duty, key, what } => self.submitted(duty, key, what),
            Event::Slot(now) => {
                self.now = now;
                self.forget(&mut out);
                self.ask(&mut out);
            }
            Event::Reorganised { base } => self.reorganised(base),
            Event::Block { slot, block } => self.block(slot, block.as_ref(), &mut out),
            Event::Committees { slot, sizes } => self.sizes(slot, sizes),
            Event::Failed(Question::Block(slot), _) => {
                self.asked.remove(&slot);
            }
            Event::Failed(Question::Committees(slot), failure) => self.no_sizes(slot, failure, &mut out),
        }
        out
    }

    fn submitted(&mut self, duty: Duty, key: Bytes48, what: What) {
        if self.sought.len() >= MAX_SOUGHT || self.sought.contains_key(&(duty, key)) {
            return;
        }
        if let What::Votes(Votes { shape: Shape::Joined { only: Some(size) }, .. }) = &what {
            self.committees.insert(duty.slot, Committees::Known(vec![*size]));
        }
        self.sought.insert((duty, key), Sought::new(what));
        // It comes late where some of these were read already.
        self.unread(window(duty, &self.clock));
    }

    fn unread(&mut self, slots: RangeInclusive<u64>) {
        self.read.extract_if(slots, |_| true).for_each(drop);
    }

    /// The last slot that is far enough behind the clock; none on a chain that has just begun.
    fn last_settled(&self) -> Option<u64> {
        self.now.checked_sub(LAG)
    }

    // --------------------------------------------------------------------------------------------- once a slot

    /// What is old is not sought any more.
    fn forget(&mut self, out: &mut Vec<Effect>) {
        let (clock, now) = (self.clock, self.now);
        let end = |slot| {
            let epoch = clock.epoch_of(slot).saturating_add(KEPT_EPOCHS + 1);
            clock.first_of(epoch).saturating_add(LAG)
        };
        for ((duty, key), gone) in self.sought.extract_if(.., |(duty, _), _| end(duty.slot) <= now) {
            if gone.is_open && gone.told.is_none() {
                out.push(Effect::Tell { duty, key, fate: Fate::Unknown });
            }
        }
        let oldest = self.sought.keys().map(|(duty, _)| duty.slot).min().unwrap_or(u64::MAX);
        self.committees.retain(|slot, _| *slot >= oldest);
        self.asked.retain(|slot| *slot >= oldest);
        self.read.retain(|slot| *slot >= oldest);
    }

    fn ask(&mut self, out: &mut Vec<Effect>) {
        let Some(settled) = self.last_settled() else { return };
        let mut committees = BTreeSet::new();
        let mut blocks = BTreeSet::new();
        let mut windows = BTreeSet::new();
        for ((duty, _), sought) in self.sought.iter().filter(|(_, sought)| sought.is_open) {
            if self.sizes_of(*duty, &sought.what).is_some() {
                let slots = window(*duty, &self.clock);
                windows.insert((*slots.start(), *slots.end()));
            } else if !self.committees.contains_key(&duty.slot) {
                committees.insert(duty.slot);
            }
        }
        for (first, last) in windows {
            let slots = first..=last.min(settled);
            blocks.extend(slots.filter(|slot| !self.asked.contains(slot) && !self.read.contains(slot)));
        }
        for slot in committees.into_iter().take(QUESTIONS) {
            self.committees.insert(slot, Committees::Asked);
            out.push(Effect::Ask(Question::Committees(slot)));
        }
        let more = QUESTIONS.saturating_sub(self.asked.len());
        for slot in blocks.into_iter().take(more) {
            self.asked.insert(slot);
            out.push(Effect::Ask(Question::Block(slot)));
        }
    }

    /// Sizes of the committees that something is sought in; none while they have to be known and are not.
    fn sizes_of(&self, duty: Duty, what: &What) -> Option<&[u64]> {
        match what {
            What::Block(_) | What::Votes(Votes { shape: Shape::Alone, .. }) => Some(&[]),
            What::Votes(Votes { shape: Shape::Joined { .. }, .. }) => {
                match self.committees.get(&duty.slot)? {
                    Committees::Known(sizes) => Some(sizes),
                    Committees::Asked | Committees::Refused => None,
                }
            }
        }
    }

    // -------------------------------------------------------------------------------------------------- answers

    fn block(&mut self, slot: u64, block: Option<&SeenBlock>, out: &mut Vec<Effect>) {
        if !self.asked.remove(&slot) {
            return;
        }
        self.read.insert(slot);
        let places: Vec<(Duty, Bytes48)> = self.sought.keys().copied().collect();
        for place in places.into_iter().filter(|(duty, _)| window(*duty, &self.clock).contains(&slot)) {
            let (duty, key) = place;
            let Some(mut sought) = self.sought.remove(&place) else { continue };
            if let (true, Some(sizes)) = (sought.is_open, self.sizes_of(duty, &sought.what)) {
                let fate = if block.is_some_and(|block| sought.is_in(block, sizes)) {
                    Some(Fate::Included { distance: slot.saturating_sub(duty.slot) })
                } else {
                    self.is_all_read(duty).then_some(Fate::Missed)
                };
                if let Some(fate) = fate {
                    sought.is_open = false;
                    if sought.told != Some(fate) {
                        sought.told = Some(fate);
                        out.push(Effect::Tell { duty, key, fate });
                    }
                }
            }
            self.sought.insert(place, sought);
        }
    }

    fn is_all_read(&self, duty: Duty) -> bool {
        window(duty, &self.clock).all(|slot| self.read.contains(&slot))
    }

    fn sizes(&mut self, slot: u64, sizes: Vec<u64>) {
        // Nobody asked, or nobody wants to know any more.
        let Some(Committees::Asked) = self.committees.get(&slot) else { return };
        self.committees.insert(slot, Committees::Known(sizes));
        // Blocks that were read before could not be understood.
        self.unread(window(Duty::new(slot, DutyType::Attester), &self.clock));
    }

    fn no_sizes(&mut self, slot: u64, failure: Failure, out: &mut Vec<Effect>) {
        match failure {
            Failure::Network | Failure::NotYet => {
                self.committees.remove(&slot);
                return;
            }
            Failure::Refused | Failure::Malformed => {}
        }
        self.committees.insert(slot, Committees::Refused);
        for ((duty, key), sought) in self.sought.iter_mut().filter(|((duty, _), _)| duty.slot == slot) {
            let is_joined = matches!(&sought.what, What::Votes(Votes { shape: Shape::Joined { .. }, .. }));
            if is_joined && std::mem::take(&mut sought.is_open) {
                sought.told = Some(Fate::Unknown);
                out.push(Effect::Tell { duty: *duty, key: *key, fate: Fate::Unknown });
            }
        }
    }

    /// What was found in blocks that are no more, or was not, is sought again.
    fn reorganised(&mut self, base: u64) {
        if self.read.range(base.saturating_add(1)..).next().is_none() {
            return;
        }
        for ((duty, _), sought) in &mut self.sought {
            let slots = window(*duty, &self.clock);
            let is_of_base = match sought.told {
                Some(Fate::Included { distance }) => duty.slot.saturating_add(distance) <= base,
                Some(Fate::Unknown) => true,
                Some(Fate::Missed) | None => *slots.end() <= base,
            };
            if !is_of_base {
                sought.reset();
                self.read.extract_if(slots, |_| true).for_each(drop);
            }
        }
    }
}
