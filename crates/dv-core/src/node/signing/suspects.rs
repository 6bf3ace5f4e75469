//! Shares that did not come to the signature of their group: those that nobody has looked at are checked, and the bad ones
//! go, with everything else unchecked of who sent them. Work for peers all of it: the node's own goes before.

use std::collections::BTreeMap;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::signed::ParSigned;

use super::{Group, Node, Origin};
use crate::combine::{Check, Finding, Job};
use crate::event::{Channel, Effect, Note, Step, Urgency};
use crate::exchange::{self, Item};
use crate::partials::Checked;

/// A group while some of its shares are checked.
#[derive(Debug)]
pub(crate) struct Suspect {
    group: Group,
    /// Whose signatures are checked, in the order of the checks.
    shares: Vec<u32>,
}

impl Node {
    /// A signature that is not known to be good is not kept; gives why. Nobody is distrusted for a check that broke off.
    pub(super) fn not_good(&mut self, origin: Origin, item: &Item, found: Finding) -> String {
        let (duty, key, share) = (item.duty, item.key, item.partial.share_index);
        if let Origin::Peer(from) | Origin::Kept(from) = origin {
            // What it says of others' shares changes nothing of what they have sent.
            if usize::try_from(share) == Ok(from + 1) {
                self.withdraw(duty, key, share);
            }
            if found == Finding::Bad {
                self.caught(from, duty, key, share);
            }
        }
        if found == Finding::Bad {
            return format!("{key}: the signature does not verify under the key of the share");
        }
        let why = format!("{key}: the signature was not checked, because the computation broke off");
        self.note(Note::Trouble { what: format!("checking a signature of share {share} for {duty}: {why}") });
        why
    }

    /// A share is not kept any more. For another subcommittee of the duty it may be, or wait to be kept again.
    fn withdraw(&mut self, duty: Duty, key: Bytes48, share: u32) {
        let is_this =
            |(_, item): &(usize, Item)| (item.duty, item.key, item.partial.share_index) == (duty, key, share);
        let mut taken_out = self.batches.values().filter(|batch| matches!(batch.origin, Origin::Kept(_)));
        if !self.partials.has(duty, &key, share) && !taken_out.any(|batch| batch.items.iter().any(is_this)) {
            self.note(Note::Withdrawn { duty, key, share });
        }
    }

    /// A peer has sent a signature that does not verify.
    pub(super) fn caught(&mut self, from: usize, duty: Duty, key: Bytes48, share: u32) {
        let why = format!("{duty}: {key}: share {share} did not sign this");
        self.note(Note::Refused { from, channel: Channel::Parsigex, why });
        if let Some(until) = self.trust.caught(from, self.current_slot(), &self.chain.clock) {
            self.note(Note::Distrusted { from, until });
            self.check_what_waits(from);
        }
    }

    /// Checks all that a peer has sent for its share and nobody has looked at: each bad one would spoil a sum.
    fn check_what_waits(&mut self, from: usize) {
        let Ok(share) = u32::try_from(from.saturating_add(1)) else { return };
        // A bad one is not withdrawn while another one of the same duty waits: so one of each to a batch.
        let mut by_subcommittee: BTreeMap<u64, Vec<(usize, Item)>> = BTreeMap::new();
        for ((duty, key, subcommittee), partial) in self.partials.take_unchecked(share) {
            let Some(check) = exchange::check(&self.cluster, &self.chain, &key, &partial) else { continue };
            let items = by_subcommittee.entry(subcommittee).or_default();
            items.push((items.len(), Item { duty, key, partial, checks: vec![check] }));
        }
        for items in by_subcommittee.into_values() {
            self.verify(self.batch(Origin::Kept(from), 0, items, Vec::new()));
        }
    }

    /// Shares that did not come to the signatures of their groups: which of them are bad?
    pub(super) fn suspect(&mut self, groups: Vec<Group>) {
        let (mut suspects, mut checks, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let (duty, key, _) = group.place;
            let is_unchecked =
                |one: &&ParSigned| self.partials.checked(&group.place, one) == Some(Checked::NotYet);
            let unchecked: Vec<&ParSigned> = group.partials.iter().filter(is_unchecked).collect();
            let of_each: Vec<Check> = unchecked
                .iter()
                .filter_map(|one| exchange::check(&self.cluster, &self.chain, &key, one))
                .collect();
            if of_each.is_empty() && self.is_whole(&group) {
                let error = Some("good shares do not come to the group's signature".to_owned());
                self.note_step(duty, Step::SigAgg, Some(key), error);
            } else if of_each.is_empty() {
                // What was bad was found meanwhile.
                ready.extend(self.settled(&group, &BTreeMap::new()));
            } else {
                let shares = unchecked.iter().map(|one| one.share_index).collect();
                checks.extend(of_each);
                suspects.push(Suspect { group, shares });
            }
        }
        if !suspects.is_empty() {
            let ticket = self.ticket();
            self.suspects.insert(ticket, suspects);
            let (urgency, job) = (Urgency::Peers, Job::Verify(checks));
            self.effects.push(Effect::Compute { ticket, urgency, job });
        }
        self.combine(ready);
    }

    /// Whether all shares of a group are still there.
    fn is_whole(&self, group: &Group) -> bool {
        group.partials.iter().all(|one| self.partials.checked(&group.place, one).is_some())
    }

    fn settled(&mut self, group: &Group, said: &BTreeMap<u32, bool>) -> Option<Group> {
        let root = group.data.message_root().unwrap_or_default();
        let partials = self.partials.settle(group.place, root, said)?;
        Some(self.group(group.place, partials))
    }

    pub(super) fn suspects_checked(&mut self, suspects: Vec<Suspect>, found: &[Finding]) {
        let mut found = found.iter().copied();
        let (mut ready, mut gone) = (Vec::new(), Vec::new());
        for Suspect { group, shares } in suspects {
            let (duty, key, _) = group.place;
            let mut said = BTreeMap::new();
            for share in shares {
                let found = found.next().unwrap_or(Finding::Unknown);
                said.insert(share, found == Finding::Good);
                if found != Finding::Good {
                    gone.push((share, duty, key, found));
                }
            }
            if said.values().all(|good| *good) && self.is_whole(&group) {
                let error = Some("good shares do not come to the group's signature".to_owned());
                self.note_step(duty, Step::SigAgg, Some(key), error);
                continue;
            }
            match self.settled(&group, &said) {
                Some(group) => ready.push(group),
                None => {
                    let error =
                        Some("bad or unchecked shares of peers: there are not enough others yet".to_owned());
                    self.note_step(duty, Step::SigAgg, Some(key), error);
                }
            }
        }
        for (share, duty, key, found) in gone {
            self.withdraw(duty, key, share);
            let from = share.checked_sub(1).and_then(|from| usize::try_from(from).ok());
            if let (Some(from), Finding::Bad) = (from, found) {
                self.caught(from, duty, key, share);
            }
        }
        self.combine(ready);
    }
}
