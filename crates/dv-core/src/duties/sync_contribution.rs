//! Contributions of sync committees.

use std::collections::BTreeMap;

use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::selection;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::Kind;
use crate::fetch::{Awaited, Facts, Fetched, Patience};
use crate::scheduler::{Definition, Scheduler};

pub(crate) struct SyncContribution;

impl Kind for SyncContribution {
    fn duty_type(&self) -> DutyType {
        DutyType::SyncContribution
    }

    /// Members that are selected in a subcommittee contribute what was voted for the head that the group voted for.
    fn fetch(&self, facts: &Facts) -> Fetched {
        let slot = facts.duty.slot;
        let mut set: BTreeMap<Bytes48, Vec<_>> = BTreeMap::new();
        let mut missing: Vec<Call> = Vec::new();
        let mut late = None;
        for (key, definition) in facts.definitions {
            let Definition::Sync(duty) = definition else { continue };
            for subcommittee in selection::subcommittees(&duty.validator_sync_committee_indices) {
                let place = (Duty::new(slot, DutyType::PrepareSyncContribution), *key, subcommittee);
                let Some(SignedData::PrepareSyncContribution(selected)) = facts.aggregated(&place) else {
                    match facts.patience {
                        Patience::All => return Fetched::Wait(Awaited::Aggregated(place)),
                        Patience::WhatIsThere => {
                            late.get_or_insert(place);
                            continue;
                        }
                    }
                };
                if !selection::is_sync_aggregator(&selected.selection_proof) {
                    continue;
                }
                let vote = (Duty::new(slot, DutyType::SyncMessage), *key, 0);
                let Some(SignedData::SyncMessage(vote)) = facts.aggregated(&vote) else {
                    match facts.patience {
                        Patience::All => return Fetched::Wait(Awaited::Aggregated(vote)),
                        Patience::WhatIsThere => {
                            late.get_or_insert(vote);
                            continue;
                        }
                    }
                };
                let call = Call::Contribution { slot, subcommittee, block_root: vote.beacon_block_root };
                match facts.answer(&call) {
                    Some(Answer::Contribution(contribution)) => {
                        set.entry(*key).or_default().push(contribution.clone());
                    }
                    Some(_) => {}
                    None if missing.contains(&call) => {}
                    None => missing.push(call),
                }
            }
        }
        match (missing.is_empty(), set.is_empty()) {
            (false, _) => Fetched::Ask(missing),
            (true, true) => late.map_or(Fetched::Nothing, |place| Fetched::Wait(Awaited::Aggregated(place))),
            (true, false) => Fetched::Ready(
                set.into_iter().map(|(key, all)| (key, Unsigned::SyncContribution(all))).collect(),
            ),
        }
    }

    fn submit(&self, _scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let contributions: Vec<_> = set
            .into_iter()
            .filter_map(|(_, data)| match data {
                SignedData::SyncContribution(contribution) => Some(*contribution),
                _ => None,
            })
            .collect();
        if contributions.is_empty() { Vec::new() } else { vec![Call::SubmitContributions(contributions)] }
    }
}
