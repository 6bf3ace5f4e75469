//! The chain as a state machine: [`Chain::tick`] when time passes, questions, and submissions.
//!
//! ```text
//! settings   what a chain is made of              duties    who does what when
//! seed       randomness that repeats              tree      blocks, and which of them are the chain
//! block      signed blocks of any fork            produce   blocks that are to be signed
//! pool       votes, and aggregates of them        finality  justified and finalized epochs
//! ask        what validator clients ask           submit    what they hand in: signatures, then rules
//! watch      what somebody is slashed for         ledger    what was to be done, and what came
//! report     counts of that                       fault     what goes wrong on purpose
//! document   what the Beacon API shows
//! ```
//!
//! Time comes in as an argument. Signatures are verified apart from the chain (see [`submit::Job`]), so that a server
//! can do so without holding it.
//!
//! # What must never happen
//!
//! - Something gets in whose signature was not verified under the right domain.
//! - Two messages that somebody is slashed for go unseen, whether they were accepted or not.

mod ask;
mod block;
mod document;
mod duties;
mod fault;
mod finality;
mod ledger;
mod others;
mod pool;
mod produce;
mod report;
mod seed;
mod settings;
mod submit;
mod tree;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::bls::PublicKey;
use coxswain_dv_eth::Root;
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain;
use coxswain_dv_eth::fork::FAR_FUTURE;
use coxswain_dv_eth::operations::{Signed, VoluntaryExit};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::sync::SyncAggregate;
use coxswain_dv_eth::time::{Clock, Time};
use sha2::{Digest as _, Sha256};
use ssz_types::BitVector;

use duties::{EpochDuties, Salts, SyncCommittee};
use fault::Faults;
use finality::Finality;
use ledger::{Duty, KEPT_SLOTS, Ledger};
use others::Others;
use pool::{NO_SIGNATURE, Pool};
use produce::{Made, Parts};
use seed::Seed;
use tree::Tree;
use watch::Watch;

pub use ask::{BlockId, Produced, ProposalRequest};
pub use block::ChainBlock;
pub use fault::{Fault, Hit, MAX_FAULTS, MAX_LATENCY};
pub use report::{Counts, Finding, Kind, Report, Severity, ValidatorReport};
pub use settings::{
    Builder, LONGEST_SLOT, MAX_BLOBS, MAX_COMMITTEES, MAX_OTHERS, MAX_SLOTS_PER_EPOCH, MAX_TRANSACTION_BYTES,
    MAX_VALIDATORS, MIN_SLOTS_PER_EPOCH, SHORTEST_SLOT, Settings, SettingsError, SyncCommittees, all_up_to,
    forks, hoodi_forks,
};
pub use submit::{Job, Receipt, Submission, Verified, Vote};
pub use tree::Entry;
pub use watch::Slashable;

/// Epochs before the current one whose duties are answered.
const EPOCHS_BACK: u64 = 2;
/// Epochs after the current one whose duties are answered: clients ask for the next one, and we have one more.
const EPOCHS_AHEAD: u64 = 2;
/// Slots that are gone through one by one after the clock has jumped.
const MAX_SLOTS_OF_TICK: u64 = KEPT_SLOTS;

/// Who is asked, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Which of the chain's nodes.
    pub node: usize,
    /// When, without the node's skew.
    pub now: Time,
}

/// Something that nodes tell unasked, as the Beacon API's event stream has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its topic.
    pub topic: &'static str,
    /// What happened.
    pub data: serde_json::Value,
}

/// A chain.
pub struct Chain {
    /// With the others among the validators.
    settings: Settings,
    spec: domain::Chain,
    others: Others,
    keys: Vec<PublicKey>,
    index_of: BTreeMap<Bytes48, u64>,
    duties: BTreeMap<u64, EpochDuties>,
    /// By epoch, where there was a reorganisation.
    salts: BTreeMap<u64, Salts>,
    /// By period.
    sync: BTreeMap<u64, SyncCommittee>,
    /// By validator: when it stops.
    exits: BTreeMap<u64, u64>,
    /// Exits that no block has yet.
    exits_to_include: Vec<Signed<VoluntaryExit>>,
    tree: Tree,
    pool: Pool,
    watch: Watch,
    ledger: Ledger,
    faults: Faults,
    /// By epoch.
    finality: BTreeMap<u64, Finality>,
    /// Blocks that were made and may come back signed, by slot and root.
    made: BTreeMap<(u64, Root), Made>,
    /// The same by what was asked: slot, block before, randomness, graffiti, and whether it is a builder's.
    made_for: BTreeMap<(u64, Root, Bytes96, Bytes32, bool), Root>,
    preparations: BTreeMap<u64, Bytes20>,
    registrations: BTreeMap<u64, SignedRegistration>,
    /// The slot that was begun last.
    slot: Option<u64>,
    events: Vec<Event>,
}

impl Chain {
    /// A chain before its genesis.
    ///
    /// # Errors
    /// Settings that make no chain.
    pub fn new(mut settings: Settings) -> Result<Chain, SettingsError> {
        settings.check()?;
        let (others, publics) = Others::new(&settings);
        settings.validators.extend(publics);
        let keys = settings.keys()?;
        let index_of = (0..).zip(&settings.validators).map(|(index, key)| (*key, index)).collect();
        let clock = Clock {
            genesis: settings.genesis,
            slot: settings.slot,
            slots_per_epoch: settings.slots_per_epoch,
        };
        let spec = domain::Chain {
            clock,
            forks: settings.forks.clone(),
            genesis_validators_root: validators_root(&settings),
        };
        let mut chain = Chain {
            tree: Tree::new(genesis(&settings)),
            settings,
            spec,
            others,
            keys,
            index_of,
            duties: BTreeMap::new(),
            salts: BTreeMap::new(),
            sync: BTreeMap::new(),
            exits: BTreeMap::new(),
            exits_to_include: Vec::new(),
            pool: Pool::default(),
            watch: Watch::default(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            finality: BTreeMap::from([(0, Finality::default())]),
            made: BTreeMap::new(),
            made_for: BTreeMap::new(),
            preparations: BTreeMap::new(),
            registrations: BTreeMap::new(),
            slot: None,
            events: Vec::new(),
        };
        chain.plan(0);
        Ok(chain)
    }

    /// What it is made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its clock, forks and genesis, with which everything is signed.
    #[must_use]
    pub fn spec(&self) -> &domain::Chain {
        &self.spec
    }

    /// Lets time pass: begins slots. Time that goes back changes nothing.
    pub fn tick(&mut self, now: Time) {
        let Some(slot) = self.spec.clock.slot_at(now) else { return };
        let next = self.slot.map_or(slot, |last| last.saturating_add(1));
        for slot in next.max(slot.saturating_sub(MAX_SLOTS_OF_TICK))..=slot {
            self.begin(slot, now);
        }
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The fault that a request meets, if any; counts it.
    pub fn hit(&mut self, node: usize, path: &str) -> Hit {
        self.faults.hit(node, path)
    }

    fn begin(&mut self, slot: u64, now: Time) {
        if let Some(last) = self.slot {
            self.others_vote(last);
        }
        let clock = self.spec.clock;
        let epoch = clock.epoch_of(slot);
        for depth in self.faults.take_reorgs(slot) {
            self.reorganise(slot, depth, now);
        }
        if self.slot.is_none_or(|last| clock.epoch_of(last) != epoch) {
            self.begin_epoch(epoch, slot);
        }
        self.expect(slot);
        self.slot = Some(slot);
        self.made.retain(|(made, _), _| made.saturating_add(2) >= slot);
        self.made_for.retain(|(made, ..), _| made.saturating_add(2) >= slot);
        self.others_propose(slot, now);
    }

    fn begin_epoch(&mut self, epoch: u64, slot: u64) {
        self.justify(epoch);
        self.plan(epoch);
        let oldest = epoch.saturating_sub(EPOCHS_BACK);
        self.duties.retain(|known, _| *known >= oldest);
        self.salts.retain(|known, _| *known >= oldest);
        self.finality.retain(|known, _| *known >= oldest);
        let period = self.period_of(self.spec.clock.first_of(oldest));
        self.sync.retain(|known, _| *known >= period);
        self.pool.forget(self.spec.clock.first_of(oldest));
        self.tree.forget(slot);
        self.ledger.forget(slot);
    }

    /// Duties of the epochs around one that are not known yet.
    fn plan(&mut self, epoch: u64) {
        let last = epoch.saturating_add(EPOCHS_AHEAD);
        for epoch in epoch.saturating_sub(EPOCHS_BACK)..=last {
            if !self.duties.contains_key(&epoch) {
                let duties = self.duties_of(epoch);
                self.duties.insert(epoch, duties);
            }
            let period = epoch / self.settings.sync.period_epochs;
            if !self.sync.contains_key(&period) {
                let active = self.active_at(period.saturating_mul(self.settings.sync.period_epochs));
                self.sync.insert(period, SyncCommittee::new(&self.settings, period, &active));
            }
        }
    }

    fn duties_of(&self, epoch: u64) -> EpochDuties {
        let salts = self.salts.get(&epoch).copied().unwrap_or_default();
        EpochDuties::new(&self.settings, epoch, salts, &self.active_at(epoch))
    }

    /// Validators with duties at an epoch, ascending.
    fn active_at(&self, epoch: u64) -> Vec<u64> {
        (0..self.settings.validators.len() as u64).filter(|index| epoch < self.exit_epoch(*index)).collect()
    }

    fn exit_epoch(&self, validator: u64) -> u64 {
        self.exits.get(&validator).copied().unwrap_or(FAR_FUTURE)
    }

    /// Lets a validator stop at an epoch, and plans the epochs from then on anew.
    fn exit(&mut self, validator: u64, epoch: u64) {
        self.exits.insert(validator, epoch);
        let current = self.slot.map(|slot| self.spec.clock.epoch_of(slot));
        let changed: Vec<u64> = self.duties.range(epoch..).map(|(known, _)| *known).collect();
        for epoch in changed.into_iter().filter(|epoch| current.is_none_or(|current| *epoch > current)) {
            let duties = self.duties_of(epoch);
            self.duties.insert(epoch, duties);
        }
    }

    fn period_of(&self, slot: u64) -> u64 {
        self.spec.clock.epoch_of(slot) / self.settings.sync.period_epochs
    }

    /// The committee whose votes of a slot count: they go into the next slot's block.
    fn sync_committee_at(&self, slot: u64) -> Option<&SyncCommittee> {
        self.sync.get(&self.period_of(slot.saturating_add(1)))
    }

    fn duties_at(&self, slot: u64) -> Option<&EpochDuties> {
        self.duties.get(&self.spec.clock.epoch_of(slot))
    }

    /// Notes what is to be done at a slot by those that are tried.
    fn expect(&mut self, slot: u64) {
        let Some(duties) = self.duties.get(&self.spec.clock.epoch_of(slot)) else { return };
        let mut expected = Vec::new();
        for committee in duties.committees(slot) {
            for validator in committee {
                expected.push((Kind::Attester, *validator));
                if submit::aggregators_modulo(committee.len() as u64) == 1 {
                    expected.push((Kind::Aggregator, *validator));
                }
            }
        }
        if let Some(proposer) = duties.proposer(slot) {
            expected.extend([(Kind::Proposer, proposer), (Kind::Randao, proposer)]);
        }
        // Between two periods the old members are asked and the new ones count, so only who is both is expected.
        let periods = [self.period_of(slot), self.period_of(slot.saturating_add(1))];
        if let [Some(now), Some(then)] = periods.map(|period| self.sync.get(&period)) {
            let both = now.members().filter(|member| !then.seats_of(*member).is_empty());
            expected.extend(both.map(|member| (Kind::SyncMessage, member)));
        }
        for (kind, validator) in expected.into_iter().filter(|(_, validator)| !self.others.has(*validator)) {
            self.ledger.expect(Duty::new(slot, kind, validator));
        }
    }

    /// Gives up the last blocks for a new one, at the start of a slot.
    fn reorganise(&mut self, slot: u64, depth: u64, now: Time) {
        let base = self.tree.ancestor(usize::try_from(depth).unwrap_or(usize::MAX)).clone();
        let old = self.tree.head().root;
        let new_slot = slot.saturating_sub(1);
        if depth == 0 || base.slot >= new_slot {
            return;
        }
        let Some(proposer) = self.duties_at(new_slot).and_then(|duties| duties.proposer(new_slot)) else {
            return;
        };
        let graffiti = Bytes32::from(self.seed().root("another branch", &[new_slot]));
        let parts = Parts { graffiti, ..self.parts(new_slot, proposer, &base, NO_SIGNATURE) };
        let signed = parts.make().whole.signed(NO_SIGNATURE);
        let Some(block) = ChainBlock::of(signed) else { return };
        let root = block.root();
        let entry = self.entry(block, root, now);
        self.tree.add(entry);
        self.tree.set_head(&root);
        self.salt(slot, base.slot);
        self.tell_block(&root);
        self.tell_reorg(&old, base.slot);
        self.tell_head();
    }

    /// Other duties for what hangs on blocks after a slot, from the slot that begins on.
    fn salt(&mut self, begins: u64, base: u64) {
        let epochs: Vec<u64> =
            self.duties.range(self.spec.clock.epoch_of(begins)..).map(|(e, _)| *e).collect();
        for epoch in epochs {
            let mut salts = self.salts.get(&epoch).copied().unwrap_or_default();
            let is_new = self.spec.clock.first_of(epoch) >= begins;
            if is_new && self.attester_decision(epoch) > base {
                salts.attester += 1;
            }
            if self.proposer_decision(epoch) > base {
                salts.proposer += 1;
            }
            self.salts.insert(epoch, salts);
            let new = self.duties_of(epoch);
            // Committees of an epoch in progress stay: their salt is the same. Who has proposed has.
            if let Some(duties) = self.duties.get_mut(&epoch) {
                let n_begun = begins.saturating_sub(self.spec.clock.first_of(epoch));
                duties.replace(new, usize::try_from(n_begun).unwrap_or(usize::MAX));
            }
        }
    }

    /// The last slot that attesters' duties of an epoch hang on.
    fn attester_decision(&self, epoch: u64) -> u64 {
        self.spec.clock.first_of(epoch.saturating_sub(1)).saturating_sub(1)
    }

    /// The last slot that proposers' duties of an epoch hang on: from Fulu on they are known an epoch before.
    fn proposer_decision(&self, epoch: u64) -> u64 {
        if self.spec.forks.at(epoch) >= coxswain_dv_eth::fork::Fork::Fulu {
            self.attester_decision(epoch)
        } else {
            self.spec.clock.first_of(epoch).saturating_sub(1)
        }
    }

    fn seed(&self) -> Seed {
        Seed(self.settings.seed)
    }

    /// What a block of a slot on another block is made of.
    fn parts(&self, slot: u64, proposer: u64, on: &Entry, randao: Bytes96) -> Parts {
        let fork = self.spec.forks.at(self.spec.clock.epoch_of(slot));
        let from = self.spec.clock.first_of(self.spec.clock.epoch_of(slot).saturating_sub(1));
        let known = self.votes_of_branch(&on.root, from);
        let is_new = |validator: u64, slot: u64| !known.contains(&(validator, slot));
        let committees = |slot: u64| {
            self.duties_at(slot).map(|duties| duties.committees(slot).to_vec()).unwrap_or_default()
        };
        let (mut attestations, mut attestations_electra) = (Vec::new(), Vec::new());
        if fork.has_electra_attestations() {
            attestations_electra = self.pool.for_block_electra(from..slot, committees, is_new);
        } else {
            attestations = self.pool.for_block_phase0(from..slot, committees, is_new);
        }
        let voted = slot.saturating_sub(1);
        let nobody = SyncAggregate {
            sync_committee_bits: BitVector::default(),
            sync_committee_signature: NO_SIGNATURE,
        };
        let sync_aggregate = self
            .sync_committee_at(voted)
            .map_or(nobody, |committee| self.pool.sync_aggregate(voted, &on.root, committee));
        Parts {
            seed: self.seed(),
            fork,
            slot,
            proposer,
            parent: on.root.into(),
            parent_hash: on.block.payload_hash(),
            timestamp: self.spec.clock.start_of(slot).0.as_secs(),
            randao,
            graffiti: Bytes32::default(),
            fee_recipient: self.preparations.get(&proposer).copied().unwrap_or_default(),
            attestations,
            attestations_electra,
            exits: self.exits_to_include.clone(),
            sync_aggregate,
            n_blobs: if fork >= coxswain_dv_eth::fork::Fork::Deneb { self.settings.blobs } else { 0 },
            transaction_bytes: self.settings.transaction_bytes,
        }
    }

    /// Votes in a block and those before it, of slots from one on.
    fn votes_of_branch(&self, root: &Root, from: u64) -> BTreeSet<(u64, u64)> {
        let blocks = self.tree.branch(root).take_while(|entry| entry.slot >= from);
        blocks.flat_map(|entry| entry.votes.iter().copied()).collect()
    }
}

/// The root that stands for the chain in every signature.
fn validators_root(settings: &Settings) -> Root {
    let mut hasher = Sha256::new();
    hasher.update(Seed(settings.seed).root("genesis", &[]));
    for key in &settings.validators {
        hasher.update(key.0);
    }
    hasher.finalize().into()
}

fn genesis(settings: &Settings) -> Entry {
    let parts = Parts {
        seed: Seed(settings.seed),
        fork: settings.forks.at(0),
        slot: 0,
        proposer: 0,
        parent: Bytes32::default(),
        parent_hash: Bytes32::default(),
        timestamp: settings.genesis.0.as_secs(),
        randao: NO_SIGNATURE,
        graffiti: Bytes32::from(validators_root(settings)),
        fee_recipient: Bytes20::default(),
        attestations: Vec::new(),
        attestations_electra: Vec::new(),
        exits: Vec::new(),
        sync_aggregate: SyncAggregate {
            sync_committee_bits: BitVector::default(),
            sync_committee_signature: NO_SIGNATURE,
        },
        n_blobs: 0,
        transaction_bytes: 0,
    };
    let signed = parts.make().whole.signed(NO_SIGNATURE);
    let block = ChainBlock::of(signed).expect("a whole block is no blinded one");
    let root = block.root();
    let (votes, sync_votes) = (Vec::new(), Vec::new());
    Entry { block, root, slot: 0, proposer: 0, parent: [0; 32], arrived: settings.genesis, votes, sync_votes }
}

#[cfg(test)]
mod tests;
