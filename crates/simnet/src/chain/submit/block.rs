//! Signed blocks, and when they become the head.

use std::collections::BTreeSet;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::Attestation;
use coxswain_dv_eth::domain::{PROPOSER, Signable};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::time::Time;

use super::{Claim, Item};
use crate::chain::block::ChainBlock;
use crate::chain::ledger::Duty;
use crate::chain::produce::Made;
use crate::chain::report::Kind;
use crate::chain::tree::Entry;
use crate::chain::{Asked, Chain};

impl Chain {
    pub(super) fn examine_block(&self, block: &SignedProposal) -> Item<Vec<Claim>> {
        let (slot, proposer, root) = (block.slot(), block.proposer_index(), self.root_of(block));
        let is_known =
            self.tree.get(&root).is_some_and(|known| known.block.signature() == *block.signature());
        let signable = Signable { root, domain: PROPOSER, epoch: self.spec.clock.epoch_of(slot) };
        let outcome = if is_known {
            Ok(Vec::new())
        } else {
            self.claim("the signature", proposer, &signable, block.signature()).map(|claim| vec![claim])
        };
        let validator = self.public_key(proposer).map(|_| proposer);
        Item { kind: Kind::Proposer, slot, validator, outcome }
    }

    pub(super) fn settle_block(&mut self, asked: Asked, block: SignedProposal) -> Result<(), String> {
        let (slot, proposer, root) = (block.slot(), block.proposer_index(), self.root_of(&block));
        if let Some(slashable) = self.watch.block(proposer, slot, root) {
            return Err(self.fatal(asked, &slashable));
        }
        if !self.has_begun(asked, slot) {
            return Err(format!("it is of the future: it is slot {}", self.slot_of(asked)));
        }
        let duty = self.duties_at(slot).and_then(|duties| duties.proposer(slot));
        if duty != Some(proposer) {
            let duty = duty.map_or("nobody".to_owned(), |who| format!("validator {who}"));
            return Err(format!("{duty} proposes at slot {slot}, not validator {proposer}"));
        }
        if self.tree.get(&root).is_some() {
            self.receive(asked, Duty::new(slot, Kind::Proposer, proposer));
            return Ok(());
        }
        // What is not known here has a state that is not the one after it.
        let made = self.made.get(&(slot, root)).cloned();
        let made = made
            .ok_or_else(|| format!("no block of slot {slot} with root 0x{} was made", hex::encode(root)))?;
        let whole = made.whole.signed(*block.signature());
        if !block.is_blinded() && block != whole {
            return Err("its blobs or their proofs are not those it was made with".to_owned());
        }
        let block = ChainBlock::of(whole).ok_or("it cannot be unblinded")?;
        let entry = self.entry(block, root, asked.now);
        self.receive(asked, Duty::new(slot, Kind::Proposer, proposer));
        self.import(entry);
        Ok(())
    }

    /// A block, and which votes it is the first to have.
    pub(crate) fn entry(&self, block: ChainBlock, root: Root, arrived: Time) -> Entry {
        let (slot, proposer, parent) = block.place();
        let from = self.spec.clock.first_of(self.spec.clock.epoch_of(slot).saturating_sub(1));
        let mut known = self.votes_of_branch(&parent, from);
        let mut votes = Vec::new();
        for attestation in block.attestations() {
            let slot = attestation.data().slot;
            for validator in self.attesters(&attestation) {
                if known.insert((validator, slot)) {
                    votes.push((validator, slot));
                }
            }
        }
        let sync_votes = self.sync_voters(&block, slot);
        Entry { block, root, slot, proposer, parent, arrived, votes, sync_votes }
    }

    /// The root of a signed block. Those that were made here are told by their content: hashing takes longer.
    fn root_of(&self, block: &SignedProposal) -> Root {
        let mut of_slot = self.made.range((block.slot(), [0; 32])..=(block.slot(), [0xff; 32]));
        // The root of a blinded one takes no time.
        let is_same =
            |made: &Made| !block.is_blinded() && *block == made.whole.clone().signed(*block.signature());
        of_slot.find(|(_, made)| is_same(made)).map_or_else(|| block.root(), |((_, root), _)| *root)
    }

    /// Members of the sync committee whose votes are in a block of a slot.
    fn sync_voters(&self, block: &ChainBlock, slot: u64) -> Vec<u64> {
        let committee = self.sync_committee_at(slot.saturating_sub(1));
        let (Some(aggregate), Some(committee)) = (block.sync_aggregate(), committee) else {
            return Vec::new();
        };
        let seats = committee.seats().iter().zip(aggregate.sync_committee_bits.iter());
        let voters: BTreeSet<u64> = seats.filter(|(_, bit)| *bit).filter_map(|(seat, _)| *seat).collect();
        voters.into_iter().collect()
    }

    /// Who is in an attestation of a block.
    pub(crate) fn attesters(&self, attestation: &Attestation) -> Vec<u64> {
        let slot = attestation.data().slot;
        let committees = self.duties_at(slot).map(|duties| duties.committees(slot)).unwrap_or_default();
        let (bits, chosen): (Vec<bool>, Vec<usize>) = match attestation {
            Attestation::Phase0(one) => {
                (one.aggregation_bits.iter().collect(), usize::try_from(one.data.index).into_iter().collect())
            }
            Attestation::Electra(one) => {
                let set = one.committee_bits.iter().enumerate().filter(|(_, bit)| *bit);
                (one.aggregation_bits.iter().collect(), set.map(|(index, _)| index).collect())
            }
        };
        let members = chosen.into_iter().filter_map(|index| committees.get(index)).flatten();
        members.zip(bits).filter(|(_, bit)| *bit).map(|(validator, _)| *validator).collect()
    }

    /// Adds a block. It becomes the head where it builds on it, or on its parent while the head came too late for its
    /// own slot, as proposer boost has it.
    pub(crate) fn import(&mut self, entry: Entry) {
        let (root, slot, parent) = (entry.root, entry.slot, entry.parent);
        let exits = self.exits_of(&entry.block);
        self.exits_to_include.retain(|exit| !exits.contains(&exit.message.validator_index));
        let head = self.tree.head();
        let is_head_late = head.arrived >= self.spec.clock.start_of(head.slot.saturating_add(1));
        let replaces_head = is_head_late && parent == head.parent;
        let (old_head, old_parent) = (head.root, head.parent);
        let is_next = slot > head.slot && (parent == head.root || replaces_head);
        self.tree.add(entry);
        self.tell_block(&root);
        if !is_next || self.faults.is_orphaned(slot) {
            return;
        }
        self.tree.set_head(&root);
        if replaces_head {
            let base = self.tree.get(&old_parent).map_or(0, |entry| entry.slot);
            self.tell_reorg(&old_head, base);
        }
        self.tell_head();
    }

    fn exits_of(&self, block: &ChainBlock) -> Vec<u64> {
        block.exits().iter().map(|exit| exit.message.validator_index).collect()
    }

    /// The root of a block of the chain at or before a slot.
    pub(crate) fn root_at(&self, slot: u64) -> Root {
        self.tree.at_or_before(slot).root
    }
}
