//! Proposals that are made up: whose they are, and what they are made of. They are for tries: the cluster goes through all
//! of a proposal, and nothing is submitted.
//!
//! Each validator that does not propose in an epoch gets the slot whose number in it is the validator's index modulo the
//! slots of an epoch, as charon has it. Where several come to one slot they take turns by epochs. A slot at which a
//! validator of the cluster proposes gets none.
//!
//! # What must never happen
//!
//! - A made-up block takes the place of a real one.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::api::ProposerDuty;
use coxswain_dv_eth::beacon::{Answer, Call, Validator};
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::synthetic::Plan;
use coxswain_dv_eth::time::Clock;
use coxswain_dv_eth::unsigned::Unsigned;

use crate::fetch::{Facts, Fetched};

/// How many slots back a block is looked for: two epochs of most chains.
const BACK: u64 = 64;

/// Proposals of an epoch that are made up. `real` are those of the epoch, also of others' validators.
pub(crate) fn duties(
    clock: &Clock,
    epoch: u64,
    active: &[Validator],
    real: &[ProposerDuty],
) -> Vec<ProposerDuty> {
    let proposes: BTreeSet<u64> = real.iter().map(|duty| duty.validator_index).collect();
    let ours: BTreeSet<u64> = active.iter().map(|one| one.index).collect();
    let taken: BTreeSet<u64> =
        real.iter().filter(|duty| ours.contains(&duty.validator_index)).map(|duty| duty.slot).collect();
    let (first, slots) = (clock.first_of(epoch), clock.slots_per_epoch.max(1));
    let mut at: BTreeMap<u64, BTreeMap<u64, Bytes48>> = BTreeMap::new();
    for one in active.iter().filter(|one| !proposes.contains(&one.index)) {
        let slot = first.saturating_add(one.index % slots);
        at.entry(slot).or_default().insert(one.index, one.validator.pubkey);
    }
    let turn = |(slot, all): (u64, BTreeMap<u64, Bytes48>)| {
        let count = all.len() as u64;
        let place = usize::try_from(epoch % count.max(1)).unwrap_or(0);
        let (validator_index, pubkey) = all.into_iter().nth(place)?;
        Some(ProposerDuty { pubkey, validator_index, slot })
    };
    at.into_iter().filter(|(slot, _)| !taken.contains(slot)).filter_map(turn).collect()
}

/// The last block before the slot, as one of this validator.
pub(crate) fn fetch(facts: &Facts, duty: &ProposerDuty, randao: Bytes96) -> Fetched {
    for slot in (duty.slot.saturating_sub(BACK)..duty.slot).rev() {
        let call = Call::WholeBlock { slot };
        match facts.answer(&call) {
            None => return Fetched::Ask(vec![call]),
            Some(Answer::WholeBlock(None)) => {}
            Some(Answer::WholeBlock(Some(block))) => {
                let plan = Plan {
                    slot: duty.slot,
                    proposer_index: duty.validator_index,
                    randao,
                    fee_recipient: facts.choice.fee_recipients.get(&duty.pubkey).copied(),
                };
                let block = Box::new(block.clone().made_up(&plan));
                return Fetched::Ready(BTreeMap::from([(duty.pubkey, Unsigned::Proposer(block))]));
            }
            Some(_) => return Fetched::Nothing,
        }
    }
    Fetched::Nothing
}
