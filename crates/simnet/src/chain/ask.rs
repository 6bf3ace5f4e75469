//! What validator clients and nodes ask: duties, what to sign, aggregates, blocks.

use std::time::Duration;

use coxswain_dv_crypto::bls::{self, Signature};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::api::{AttesterDuty, ProposerDuty, SyncDuty};
use coxswain_dv_eth::attestation::{Attestation, AttestationData, Checkpoint};
use coxswain_dv_eth::beacon::{Duties, Syncing};
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::client::Problem;
use coxswain_dv_eth::domain::{RANDAO, Signable};
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::sync::SyncCommitteeContribution;
use coxswain_dv_eth::time::Time;
use tree_hash::TreeHash as _;

use super::ledger::Duty;
use super::pool::Committee;
use super::produce::Parts;
use super::report::Kind;
use super::settings::Builder;
use super::tree::Entry;
use super::{Asked, Chain};

/// How far clocks of honest nodes are apart (`MAXIMUM_GOSSIP_CLOCK_DISPARITY`).
pub(super) const DISPARITY: Duration = Duration::from_millis(500);
/// Blocks that are made for one slot: nodes of a cluster ask with different graffiti, a fault asks for ever.
const MAX_MADE: usize = 64;
/// What the builder pays and the local block earns, in Wei: the builder's is the better one.
const VALUES: (u64, u64) = (30_000_000_000_000_000, 20_000_000_000_000_000);

/// A block as the Beacon API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// The last one.
    Head,
    /// The first one.
    Genesis,
    /// The last finalized one.
    Finalized,
    /// The last justified one.
    Justified,
    /// The one of a slot.
    Slot(u64),
    /// By its root.
    Root(Root),
}

impl std::str::FromStr for BlockId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<BlockId, Problem> {
        Ok(match text {
            "head" => BlockId::Head,
            "genesis" => BlockId::Genesis,
            "finalized" => BlockId::Finalized,
            "justified" => BlockId::Justified,
            root if root.starts_with("0x") => {
                let root: Bytes32 =
                    root.parse().map_err(|_| Problem::new(400, format!("no block id: {text:?}")))?;
                BlockId::Root(root.0)
            }
            slot => {
                BlockId::Slot(slot.parse().map_err(|_| Problem::new(400, format!("no block id: {text:?}")))?)
            }
        })
    }
}

/// A question for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalRequest {
    /// The slot.
    pub slot: u64,
    /// The proposer's signature over the epoch.
    pub randao: Bytes96,
    /// What the proposer says.
    pub graffiti: Bytes32,
    /// 0 never takes a builder's block.
    pub builder_boost: u64,
}

/// A block to be signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Produced {
    /// It.
    pub proposal: Proposal,
    /// What the execution layer pays, in Wei.
    pub execution_value: u64,
    /// What the chain pays, in Wei.
    pub consensus_value: u64,
}

impl Chain {
    /// The moment by the clock of a node.
    pub(super) fn time(&self, asked: Asked) -> Time {
        let ms = self.faults.skew_ms(asked.node);
        let by = Duration::from_millis(ms.unsigned_abs());
        if ms < 0 { asked.now - by } else { asked.now + by }
    }

    /// The slot by the clock of a node; 0 before genesis.
    pub(super) fn slot_of(&self, asked: Asked) -> u64 {
        self.spec.clock.slot_at(self.time(asked)).unwrap_or(0)
    }

    /// Whether a slot has begun, as far as clocks can tell.
    pub(super) fn has_begun(&self, asked: Asked, slot: u64) -> bool {
        self.time(asked) + DISPARITY >= self.spec.clock.start_of(slot)
    }

    fn synced(&self, asked: Asked) -> Result<(), Problem> {
        if self.faults.is_syncing(asked.node, self.slot_of(asked)) {
            return Err(Problem::new(503, "beacon node is currently syncing and not serving requests"));
        }
        Ok(())
    }

    /// How far a node is.
    #[must_use]
    pub fn syncing(&self, asked: Asked) -> Syncing {
        let (head, now) = (self.tree.head().slot, self.slot_of(asked));
        let is_syncing = self.faults.is_syncing(asked.node, now);
        // Slots without a block are no lag.
        let head_slot = if is_syncing { head.saturating_sub(64) } else { head };
        let sync_distance = if is_syncing { now.saturating_sub(head_slot) } else { 0 };
        Syncing { head_slot, sync_distance, is_syncing }
    }

    fn epoch(&self, epoch: u64) -> Result<&super::EpochDuties, Problem> {
        let known = || {
            let epochs: Vec<u64> = self.duties.keys().copied().collect();
            format!("{:?} to {:?}", epochs.first().unwrap_or(&0), epochs.last().unwrap_or(&0))
        };
        self.duties.get(&epoch).ok_or_else(|| {
            Problem::new(400, format!("duties of epoch {epoch} are not known; those of {} are", known()))
        })
    }

    fn key(&self, validator: u64) -> Bytes48 {
        let index = usize::try_from(validator).unwrap_or(usize::MAX);
        self.settings.validators.get(index).copied().unwrap_or_default()
    }

    /// When validators attest at an epoch. Those that do not are left out.
    ///
    /// # Errors
    /// The epoch is too far away, or the node syncs.
    pub fn attester_duties(
        &self,
        asked: Asked,
        epoch: u64,
        of: &[u64],
    ) -> Result<Duties<AttesterDuty>, Problem> {
        self.synced(asked)?;
        let duties = self.epoch(epoch)?;
        let duty = |validator: &u64| {
            let place = duties.place(*validator)?;
            Some(AttesterDuty {
                pubkey: self.key(*validator),
                validator_index: *validator,
                committee_index: place.committee,
                committee_length: place.committee_length,
                committees_at_slot: self.settings.committees_per_slot,
                validator_committee_index: place.position,
                slot: place.slot,
            })
        };
        let dependent_root = self.root_at(self.attester_decision(epoch)).into();
        Ok(Duties { dependent_root, duties: of.iter().filter_map(duty).collect() })
    }

    /// Who proposes at an epoch. They hang on the last block of the epoch before, as version 1 of the endpoint has it.
    ///
    /// # Errors
    /// The epoch is too far away, or the node syncs.
    pub fn proposer_duties(&self, asked: Asked, epoch: u64) -> Result<Duties<ProposerDuty>, Problem> {
        self.synced(asked)?;
        let duties = self.epoch(epoch)?;
        let first = self.spec.clock.first_of(epoch);
        let duty = |slot: u64| {
            let validator_index = duties.proposer(slot)?;
            Some(ProposerDuty { pubkey: self.key(validator_index), validator_index, slot })
        };
        let dependent_root = self.root_at(first.saturating_sub(1)).into();
        let slots = first..first.saturating_add(self.settings.slots_per_epoch);
        Ok(Duties { dependent_root, duties: slots.filter_map(duty).collect() })
    }

    /// What proposers of an epoch really hang on, as version 2 of the endpoint has it: from Fulu on they are known an epoch
    /// earlier.
    #[must_use]
    pub fn proposer_dependent_root(&self, epoch: u64) -> Bytes32 {
        self.root_at(self.proposer_decision(epoch)).into()
    }

    /// Seats of validators in the sync committee of an epoch. Those without are left out.
    ///
    /// # Errors
    /// The epoch is too far away, or the node syncs.
    pub fn sync_duties(&self, asked: Asked, epoch: u64, of: &[u64]) -> Result<Vec<SyncDuty>, Problem> {
        self.synced(asked)?;
        let committee = self.sync.get(&(epoch / self.settings.sync.period_epochs));
        let committee = committee.ok_or_else(|| {
            Problem::new(400, format!("the sync committee of epoch {epoch} is not known, or not any more"))
        })?;
        let duty = |validator: &u64| {
            let seats = committee.seats_of(*validator);
            (!seats.is_empty()).then(|| SyncDuty {
                pubkey: self.key(*validator),
                validator_index: *validator,
                validator_sync_committee_indices: seats.to_vec(),
            })
        };
        Ok(of.iter().filter_map(duty).collect())
    }

    /// The head as a node sees it at a slot.
    fn head_of(&self, asked: Asked, slot: u64) -> &Entry {
        let head = self.tree.at_or_before(slot);
        if self.faults.has_wrong_head(asked.node, slot) {
            return self.tree.get(&head.parent).unwrap_or(head);
        }
        head
    }

    /// What is attested at a slot.
    ///
    /// # Errors
    /// The slot has not begun or is long over, there is no such committee, or the node syncs.
    pub fn attestation_data(
        &self,
        asked: Asked,
        slot: u64,
        committee: u64,
    ) -> Result<AttestationData, Problem> {
        self.synced(asked)?;
        if !self.has_begun(asked, slot) || asked.now < self.settings.genesis {
            let now = self.slot_of(asked);
            return Err(Problem::new(400, format!("slot {slot} is in the future: it is slot {now}")));
        }
        if committee >= self.settings.committees_per_slot {
            return Err(Problem::new(400, format!("there is no committee {committee} at slot {slot}")));
        }
        let epoch = self.spec.clock.epoch_of(slot);
        if !self.finality.contains_key(&epoch) && epoch < self.spec.clock.epoch_of(self.slot_of(asked)) {
            return Err(Problem::new(400, format!("slot {slot} is too long ago to attest to")));
        }
        let head = self.head_of(asked, slot);
        let first = self.spec.clock.first_of(epoch);
        let target = self.tree.branch(&head.root).find(|entry| entry.slot <= first).unwrap_or(head);
        let is_electra = self.spec.forks.at(epoch).has_electra_attestations();
        Ok(AttestationData {
            slot,
            index: if is_electra { 0 } else { committee },
            beacon_block_root: head.root.into(),
            source: self.finality_at(epoch).justified,
            target: Checkpoint { epoch, root: target.root.into() },
        })
    }

    /// A block to be signed, and what it is worth. The randomness is verified.
    ///
    /// # Errors
    /// The slot is not now or the next one, has no proposer or is to be missed, the randomness is not the proposer's,
    /// or the node syncs.
    pub fn propose(&mut self, asked: Asked, request: &ProposalRequest) -> Result<Produced, Problem> {
        self.synced(asked)?;
        let slot = request.slot;
        let now = self.slot_of(asked);
        if asked.now < self.settings.genesis || slot == 0 || slot < now || slot > now.saturating_add(1) {
            return Err(Problem::new(400, format!("no block of slot {slot} can be made: it is slot {now}")));
        }
        if self.faults.is_missed(slot) {
            return Err(Problem::new(500, format!("no block of slot {slot} is made: it is to be missed")));
        }
        let proposer = self.duties_at(slot).and_then(|duties| duties.proposer(slot));
        let proposer =
            proposer.ok_or_else(|| Problem::new(400, format!("nobody proposes at slot {slot}")))?;
        let on = self.head_of(asked, slot.saturating_sub(1)).clone();
        let form = Form::from(request.builder_boost > 0 && self.is_built_for(proposer));
        // Nodes of a cluster ask for the same: they get the same.
        let key = (slot, on.root, request.randao, request.graffiti, form == Form::Blinded);
        let root = match self.made_for.get(&key) {
            Some(root) => *root,
            None => {
                self.check_randao(asked, slot, proposer, &request.randao)?;
                let root = self.make(request, proposer, &on, form)?;
                self.made_for.insert(key, root);
                root
            }
        };
        self.receive(asked, Duty::new(slot, Kind::Randao, proposer));
        let made = self.made.get(&(slot, root)).expect("what was asked for is kept as long as who asked");
        let blinded = made.blinded.as_ref().filter(|_| form == Form::Blinded);
        let execution_value = if blinded.is_some() { VALUES.0 } else { VALUES.1 };
        let proposal = blinded.unwrap_or(&made.whole).clone();
        Ok(Produced { proposal, execution_value, consensus_value: VALUES.1 })
    }

    /// Makes a block, and keeps it; its root.
    fn make(
        &mut self,
        request: &ProposalRequest,
        proposer: u64,
        on: &Entry,
        form: Form,
    ) -> Result<Root, Problem> {
        let slot = request.slot;
        if self.made.range((slot, [0; 32])..=(slot, [0xff; 32])).count() >= MAX_MADE {
            return Err(Problem::new(503, format!("{MAX_MADE} blocks of slot {slot} were made already")));
        }
        let parts = self.parts(slot, proposer, on, request.randao);
        let fee_recipient = match form {
            Form::Blinded => self.builder_pays(proposer, parts.fee_recipient),
            Form::Full => parts.fee_recipient,
        };
        let made = Parts { graffiti: request.graffiti, fee_recipient, ..parts }.make();
        let root = made.root();
        self.made.insert((slot, root), made);
        Ok(root)
    }

    fn is_built_for(&self, proposer: u64) -> bool {
        match self.settings.builder {
            Builder::Off => false,
            Builder::Registered => self.registrations.contains_key(&proposer),
            Builder::Everybody => true,
        }
    }

    fn builder_pays(&self, proposer: u64, otherwise: Bytes20) -> Bytes20 {
        let registered = self.registrations.get(&proposer);
        registered.map_or(otherwise, |registration| registration.message.fee_recipient.0.into())
    }

    fn check_randao(
        &mut self,
        asked: Asked,
        slot: u64,
        proposer: u64,
        randao: &Bytes96,
    ) -> Result<(), Problem> {
        let epoch = self.spec.clock.epoch_of(slot);
        let root = epoch.tree_hash_root().0;
        let message = self.spec.signing_root(&Signable { root, domain: RANDAO, epoch });
        let signature = Signature::from_bytes(&randao.0);
        let key = self.public_key(proposer);
        let holds = |signature: &Signature| key.is_some_and(|key| bls::verify(&key, &message, signature));
        if signature.is_ok_and(|signature| holds(&signature)) {
            return Ok(());
        }
        let what = format!("the randao reveal for slot {slot} is no signature of validator {proposer}");
        self.refuse(asked, Some((slot, Kind::Randao, proposer)), what.clone());
        Err(Problem::new(400, what))
    }

    /// The aggregate of a committee's votes that were received.
    ///
    /// # Errors
    /// There are none, or the node syncs.
    pub fn aggregate(
        &self,
        asked: Asked,
        slot: u64,
        root: &Root,
        committee: u64,
    ) -> Result<Attestation, Problem> {
        self.synced(asked)?;
        let none = || {
            let root = hex::encode(root);
            Problem::new(
                404,
                format!("no attestations of slot {slot}, committee {committee}, data 0x{root} are known"),
            )
        };
        let committees = self.duties_at(slot).map(|duties| duties.committees(slot)).unwrap_or_default();
        let index = usize::try_from(committee).unwrap_or(usize::MAX);
        let members = committees.get(index).ok_or_else(none)?;
        let is_electra = self.spec.forks.at(self.spec.clock.epoch_of(slot)).has_electra_attestations();
        self.pool.aggregate(slot, root, &Committee { index: committee, members, is_electra }).ok_or_else(none)
    }

    /// The contribution of a subcommittee's votes that were received.
    ///
    /// # Errors
    /// There are none, or the node syncs.
    pub fn contribution(
        &self,
        asked: Asked,
        slot: u64,
        root: &Root,
        subcommittee: u64,
    ) -> Result<SyncCommitteeContribution, Problem> {
        self.synced(asked)?;
        let committee = self.sync_committee_at(slot);
        committee
            .and_then(|committee| self.pool.contribution(slot, root, subcommittee, committee))
            .ok_or_else(|| {
                let root = hex::encode(root);
                let what =
                    format!("no votes of slot {slot}, subcommittee {subcommittee}, block 0x{root} are known");
                Problem::new(404, what)
            })
    }

    /// A block.
    #[must_use]
    pub fn block(&self, id: BlockId) -> Option<&Entry> {
        let finality = || self.finality_at(u64::MAX);
        match id {
            BlockId::Head => Some(self.tree.head()),
            BlockId::Genesis => Some(self.tree.genesis()),
            BlockId::Finalized => self.of_checkpoint(&finality().finalized),
            BlockId::Justified => self.of_checkpoint(&finality().justified),
            BlockId::Slot(slot) => self.tree.at(slot),
            BlockId::Root(root) => self.tree.get(&root),
        }
    }

    fn of_checkpoint(&self, checkpoint: &Checkpoint) -> Option<&Entry> {
        if checkpoint.epoch == 0 { Some(self.tree.genesis()) } else { self.tree.get(&checkpoint.root.0) }
    }

    /// The block after which a state is: by block, or by the state's own root.
    #[must_use]
    pub fn state(&self, asked: Asked, id: BlockId) -> Option<&Entry> {
        match id {
            BlockId::Slot(slot) if slot <= self.slot_of(asked) => Some(self.tree.at_or_before(slot)),
            BlockId::Root(root) => self.tree.by_state(&root.into()),
            BlockId::Head | BlockId::Genesis | BlockId::Finalized | BlockId::Justified | BlockId::Slot(_) => {
                self.block(id)
            }
        }
    }

    /// Whether a block is part of the chain.
    #[must_use]
    pub fn is_canonical(&self, root: &Root) -> bool {
        self.tree.is_canonical(root)
    }

    /// All blocks of a slot, of the chain or not; those of a parent where it is given.
    #[must_use]
    pub fn blocks_at(&self, slot: u64) -> Vec<&Entry> {
        self.tree.all_at(slot).collect()
    }
}
