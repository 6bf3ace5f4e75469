//! Validators that the chain plays itself, so that it goes on whatever those do that are tried on it: they propose at
//! the start of a slot, and vote at its end. Their keys come from the seed, and what they sign is signed.

use coxswain_dv_crypto::bls::{SecretKey, Signature};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::domain::{ATTESTER, PROPOSER, RANDAO, SYNC_COMMITTEE, Signable};
use coxswain_dv_eth::time::Time;
use tree_hash::TreeHash as _;

use super::block::ChainBlock;
use super::pool::NewVote;
use super::produce::Parts;
use super::seed::Seed;
use super::settings::Settings;
use super::{Asked, Chain};

/// Those validators. Their indices come after those of the settings.
pub(super) struct Others {
    /// Their first index: so many validators are tried.
    pub(super) first: u64,
    secrets: Vec<SecretKey>,
}

impl Others {
    /// As many as the settings say, and their public keys.
    pub(super) fn new(settings: &Settings) -> (Others, Vec<Bytes48>) {
        let key = |number: u64| SecretKey::generate(&mut Seed(settings.seed).stream("others", &[number]));
        let secrets: Vec<SecretKey> = (0..settings.others as u64).map(key).collect();
        let publics = secrets.iter().map(|secret| secret.public().to_bytes().into()).collect();
        (Others { first: settings.validators.len() as u64, secrets }, publics)
    }

    fn secret(&self, validator: u64) -> Option<&SecretKey> {
        self.secrets.get(usize::try_from(validator.checked_sub(self.first)?).ok()?)
    }

    /// Whether the chain plays a validator.
    pub(super) fn has(&self, validator: u64) -> bool {
        self.secret(validator).is_some()
    }
}

impl Chain {
    fn sign(&self, validator: u64, signable: &Signable) -> Option<Signature> {
        let secret = self.others.secret(validator)?;
        Some(secret.sign(&self.spec.signing_root(signable)))
    }

    /// Proposes at the start of a slot, where it is their turn.
    pub(super) fn others_propose(&mut self, slot: u64, now: Time) {
        if self.faults.is_missed(slot) {
            return;
        }
        let proposer = self.duties_at(slot).and_then(|duties| duties.proposer(slot));
        let block = proposer.and_then(|proposer| self.block_of_other(slot, proposer));
        if let Some((block, root)) = block {
            let entry = self.entry(block, root, now);
            self.import(entry);
        }
    }

    fn block_of_other(&self, slot: u64, proposer: u64) -> Option<(ChainBlock, [u8; 32])> {
        let epoch = self.spec.clock.epoch_of(slot);
        let randao = Signable { root: epoch.tree_hash_root().0, domain: RANDAO, epoch };
        let randao = self.sign(proposer, &randao)?.to_bytes().into();
        let on = self.tree.at_or_before(slot.saturating_sub(1));
        let mut graffiti = [0; 32];
        graffiti[..6].copy_from_slice(b"simnet");
        let parts = Parts { graffiti: Bytes32::from(graffiti), ..self.parts(slot, proposer, on, randao) };
        let made = parts.make();
        let root = made.root();
        let signature = self.sign(proposer, &Signable { root, domain: PROPOSER, epoch })?;
        let block = ChainBlock::of(made.whole.signed(signature.to_bytes().into()))?;
        Some((block, root))
    }

    /// Votes for what is the head at the end of a slot.
    pub(super) fn others_vote(&mut self, slot: u64) {
        let epoch = self.spec.clock.epoch_of(slot);
        // They see no faults of nodes.
        let asked = Asked { node: usize::MAX, now: self.spec.clock.start_of(slot.saturating_add(1)) };
        let committees =
            self.duties_at(slot).map(|duties| duties.committees(slot).to_vec()).unwrap_or_default();
        for (committee, members) in (0..).zip(committees) {
            let Ok(data) = self.attestation_data(asked, slot, committee) else { continue };
            let signable = Signable { root: data.root(), domain: ATTESTER, epoch };
            for (position, validator) in (0..).zip(members) {
                if let Some(signature) = self.sign(validator, &signable) {
                    self.pool.add_vote(NewVote { data, committee, position, validator, signature });
                }
            }
        }
        let head = self.tree.at_or_before(slot).root;
        let signable = Signable { root: head, domain: SYNC_COMMITTEE, epoch };
        let members: Vec<u64> =
            self.sync_committee_at(slot).map(|committee| committee.members().collect()).unwrap_or_default();
        for validator in members {
            if let Some(signature) = self.sign(validator, &signable) {
                self.pool.add_sync(slot, head, validator, signature);
            }
        }
    }
}
