//! Shares that did not come to the signature of their group: each is checked, and the bad ones and who sent them go.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::signed::ParSigned;

use super::{Group, Node};
use crate::combine::{Check, Job};
use crate::event::{Channel, Effect, Note, Step, Urgency};
use crate::exchange;

impl Node {
    /// A peer has sent a signature that does not verify.
    pub(super) fn caught(&mut self, from: usize, duty: Duty, key: Bytes48, share: u32) {
        self.distrusted.insert(from);
        let why = format!("{duty}: {key}: share {share} did not sign this");
        self.note(Note::Refused { from, channel: Channel::Parsigex, why });
    }

    /// Shares that did not come to the signatures of their groups: which of them are bad?
    pub(super) fn suspect(&mut self, groups: Vec<Group>) {
        if groups.is_empty() {
            return;
        }
        let check = |group: &Group, partial: &ParSigned| {
            exchange::check(&self.cluster, &self.chain, &group.place.1, partial)
        };
        // A share without a key is none of the cluster, and was not kept.
        let checks: Vec<Check> = groups
            .iter()
            .flat_map(|group| group.partials.iter().filter_map(move |partial| check(group, partial)))
            .collect();
        let ticket = self.ticket();
        self.suspects.insert(ticket, groups);
        let (urgency, job) = (Urgency::Own, Job::Verify(checks));
        self.effects.push(Effect::Compute { ticket, urgency, job });
    }

    pub(super) fn suspects_checked(&mut self, groups: Vec<Group>, good: &[bool]) {
        let mut good = good.iter();
        let mut ready = Vec::new();
        for group in groups {
            let (duty, key, _) = group.place;
            let mut said: BTreeMap<u32, bool> = BTreeMap::new();
            for partial in &group.partials {
                said.insert(partial.share_index, good.next().copied().unwrap_or(false));
            }
            let root = group.data.message_root().unwrap_or_default();
            if said.values().all(|good| *good) {
                let error = Some("good shares do not come to the group's signature".to_owned());
                self.note_step(duty, Step::SigAgg, Some(key), error);
                continue;
            }
            for (share, _) in said.iter().filter(|(_, good)| !**good) {
                if let Some(from) = share.checked_sub(1).and_then(|from| usize::try_from(from).ok()) {
                    self.caught(from, duty, key, *share);
                }
            }
            match self.partials.settle(group.place, root, &said) {
                Some(partials) => ready.push(self.group(group.place, partials)),
                None => {
                    let error = Some("bad shares of peers: there are not enough others yet".to_owned());
                    self.note_step(duty, Step::SigAgg, Some(key), error);
                }
            }
        }
        self.combine(ready);
    }
}
