//! What the Beacon API shows of the chain, as JSON.

mod spec;

use std::collections::BTreeMap;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::beacon::{Preparation, Validator, ValidatorFields};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::client::{Problem, ValidatorId};
use coxswain_dv_eth::fork::{FAR_FUTURE, Fork};
use serde_json::{Map, Value, json};

use super::fault::{Fault, Faults};
use super::report::{self, Kind, Report, ValidatorReport};
use super::tree::Entry;
use super::{Asked, Chain, Event};

/// What every validator has, in Gwei.
const BALANCE: u64 = 32_000_000_000;
/// Epochs from exit to withdrawal (`MIN_VALIDATOR_WITHDRAWABILITY_DELAY`).
const WITHDRAWAL_DELAY: u64 = 256;

impl Chain {
    /// `/eth/v1/beacon/genesis`
    #[must_use]
    pub fn genesis_document(&self) -> Value {
        json!({
            "genesis_time": self.settings.genesis.0.as_secs().to_string(),
            "genesis_validators_root": Bytes32::from(self.spec.genesis_validators_root),
            "genesis_fork_version": self.spec.forks.version(Fork::Phase0),
        })
    }

    /// `/eth/v1/config/spec`
    #[must_use]
    pub fn spec_document(&self) -> Value {
        let constants = spec::CONSTANTS.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        let mut document: Map<String, Value> = constants.collect();
        let mut put = |name: &str, value: String| {
            document.insert(name.to_owned(), Value::String(value));
        };
        let slot = self.settings.slot;
        // Clients that know whole seconds only are told no shorter slot than there is.
        put("SECONDS_PER_SLOT", slot.as_millis().div_ceil(1000).to_string());
        put("SLOT_DURATION_MS", slot.as_millis().to_string());
        put("SLOTS_PER_EPOCH", self.settings.slots_per_epoch.to_string());
        put("EPOCHS_PER_SYNC_COMMITTEE_PERIOD", self.settings.sync.period_epochs.to_string());
        put("SHARD_COMMITTEE_PERIOD", self.settings.epochs_before_exit.to_string());
        put("MIN_GENESIS_TIME", self.settings.genesis.0.as_secs().to_string());
        put("CONFIG_NAME", "simnet".to_owned());
        put("DEPOSIT_CHAIN_ID", self.settings.chain_id.to_string());
        put("DEPOSIT_NETWORK_ID", self.settings.chain_id.to_string());
        put("GENESIS_FORK_VERSION", self.spec.forks.version(Fork::Phase0).to_string());
        for fork in Fork::all().skip(1) {
            let name = fork.name().to_uppercase();
            put(&format!("{name}_FORK_VERSION"), self.spec.forks.version(fork).to_string());
            put(&format!("{name}_FORK_EPOCH"), self.spec.forks.first_epoch(fork).to_string());
        }
        document.insert("BLOB_SCHEDULE".to_owned(), json!([]));
        Value::Object(document)
    }

    /// `/eth/v1/config/fork_schedule`: forks that are planned.
    #[must_use]
    pub fn fork_schedule(&self) -> Value {
        let planned: Vec<Fork> =
            Fork::all().filter(|fork| self.spec.forks.first_epoch(*fork) != FAR_FUTURE).collect();
        let before = std::iter::once(None).chain(planned.iter().copied().map(Some));
        let rows =
            planned.iter().zip(before).map(|(fork, before)| self.fork_row(before.unwrap_or(*fork), *fork));
        Value::Array(rows.collect())
    }

    fn fork_row(&self, before: Fork, fork: Fork) -> Value {
        json!({
            "previous_version": self.spec.forks.version(before),
            "current_version": self.spec.forks.version(fork),
            "epoch": self.spec.forks.first_epoch(fork).to_string(),
        })
    }

    /// `/eth/v1/beacon/states/{state}/fork`
    #[must_use]
    pub fn fork_document(&self, slot: u64) -> Value {
        let fork = self.fork_at(slot);
        let before = Fork::all().rfind(|other| *other < fork).unwrap_or(fork);
        self.fork_row(before, fork)
    }

    /// The fork of a slot.
    #[must_use]
    pub fn fork_at(&self, slot: u64) -> Fork {
        self.spec.forks.at(self.spec.clock.epoch_of(slot))
    }

    /// `/eth/v1/config/deposit_contract`
    #[must_use]
    pub fn deposit_contract(&self) -> Value {
        let address = spec::CONSTANTS.iter().find(|(name, _)| *name == "DEPOSIT_CONTRACT_ADDRESS");
        json!({
            "chain_id": self.settings.chain_id.to_string(),
            "address": address.map_or("", |(_, value)| value),
        })
    }

    /// `/eth/v1/beacon/states/{state}/finality_checkpoints`
    #[must_use]
    pub fn finality_document(&self, slot: u64) -> Value {
        let epoch = self.spec.clock.epoch_of(slot);
        let (now, before) = (self.finality_at(epoch), self.finality_at(epoch.saturating_sub(1)));
        json!({
            "previous_justified": before.justified,
            "current_justified": now.justified,
            "finalized": now.finalized,
        })
    }

    /// `/eth/v1/beacon/states/{state}/committees`
    ///
    /// # Errors
    /// The epoch is too far away.
    pub fn committees_document(&self, epoch: u64) -> Result<Value, Problem> {
        let duties = self.duties.get(&epoch);
        let duties =
            duties.ok_or_else(|| Problem::new(400, format!("committees of epoch {epoch} are not known")))?;
        let first = self.spec.clock.first_of(epoch);
        let mut rows = Vec::new();
        for slot in first..first.saturating_add(self.settings.slots_per_epoch) {
            for (index, members) in duties.committees(slot).iter().enumerate() {
                let validators: Vec<String> = members.iter().map(ToString::to_string).collect();
                rows.push(
                    json!({"index": index.to_string(), "slot": slot.to_string(), "validators": validators}),
                );
            }
        }
        Ok(Value::Array(rows))
    }

    /// `/eth/v1/beacon/states/{state}/sync_committees`: seats, those of nobody left out.
    ///
    /// # Errors
    /// The epoch is too far away.
    pub fn sync_committees_document(&self, epoch: u64) -> Result<Value, Problem> {
        let committee = self.sync.get(&(epoch / self.settings.sync.period_epochs));
        let committee = committee
            .ok_or_else(|| Problem::new(400, format!("the sync committee of epoch {epoch} is not known")))?;
        let texts = |part: &[Option<u64>]| -> Vec<String> {
            part.iter().flatten().map(ToString::to_string).collect()
        };
        let parts: Vec<Vec<String>> = committee.seats().chunks(128).map(texts).collect();
        Ok(json!({"validators": texts(committee.seats()), "validator_aggregates": parts}))
    }

    /// A validator as the chain has it at a slot.
    fn validator(&self, index: u64, slot: u64) -> Validator {
        let epoch = self.spec.clock.epoch_of(slot);
        let exit_epoch = self.exit_epoch(index);
        let withdrawable_epoch = exit_epoch.saturating_add(WITHDRAWAL_DELAY);
        let status = if exit_epoch == FAR_FUTURE {
            "active_ongoing"
        } else if epoch < exit_epoch {
            "active_exiting"
        } else if epoch < withdrawable_epoch {
            "exited_unslashed"
        } else {
            "withdrawal_possible"
        };
        let mut withdrawal_credentials = [0; 32];
        withdrawal_credentials[0] = 1;
        let pubkey = self.settings.validators.get(usize::try_from(index).unwrap_or(usize::MAX));
        Validator {
            index,
            balance: BALANCE,
            status: status.to_owned(),
            validator: ValidatorFields {
                pubkey: pubkey.copied().unwrap_or_default(),
                withdrawal_credentials: withdrawal_credentials.into(),
                effective_balance: BALANCE,
                slashed: false,
                activation_eligibility_epoch: 0,
                activation_epoch: 0,
                exit_epoch,
                withdrawable_epoch,
            },
        }
    }

    /// `/eth/v1/beacon/states/{state}/validators`: those that are named, or all; those of nobody are left out.
    #[must_use]
    pub fn validators(&self, slot: u64, ids: &[ValidatorId]) -> Vec<Validator> {
        let n = self.settings.validators.len() as u64;
        if ids.is_empty() {
            return (0..n).map(|index| self.validator(index, slot)).collect();
        }
        let index = |id: &ValidatorId| match id {
            ValidatorId::Index(index) => Some(*index).filter(|index| *index < n),
            ValidatorId::Key(key) => self.index_of.get(key).copied(),
        };
        ids.iter().filter_map(index).map(|index| self.validator(index, slot)).collect()
    }

    /// A header, as `/eth/v1/beacon/headers` has it.
    #[must_use]
    pub fn header_document(&self, entry: &Entry) -> Value {
        json!({
            "root": Bytes32::from(entry.root),
            "canonical": self.tree.is_canonical(&entry.root),
            "header": {"message": entry.block.header(), "signature": entry.block.signature()},
        })
    }

    /// Whose blocks pay whom. Validators that do not exist are passed over.
    pub fn prepare(&mut self, preparations: &[Preparation]) {
        let n = self.settings.validators.len() as u64;
        for one in preparations.iter().filter(|one| one.validator_index < n) {
            self.preparations.insert(one.validator_index, one.fee_recipient);
        }
    }

    /// Which validators were seen at an epoch: those that attested (`/eth/v1/validator/liveness/{epoch}`).
    #[must_use]
    pub fn liveness(&self, epoch: u64, of: &[u64]) -> Value {
        let first = self.spec.clock.first_of(epoch);
        let next = self.spec.clock.first_of(epoch.saturating_add(1));
        let seen = self.pool.voters(first..next);
        let row = |index: &u64| json!({"index": index.to_string(), "is_live": seen.contains(index)});
        Value::Array(of.iter().map(row).collect())
    }

    // ------------------------------------------------------------------------------------------------ events

    pub(super) fn tell_block(&mut self, root: &Root) {
        let Some(entry) = self.tree.get(root) else { return };
        let (slot, block) = (entry.slot.to_string(), Bytes32::from(*root));
        self.events.push(Event { topic: "block_gossip", data: json!({"slot": slot, "block": block}) });
        let data = json!({"slot": slot, "block": block, "execution_optimistic": false});
        self.events.push(Event { topic: "block", data });
    }

    pub(super) fn tell_head(&mut self) {
        let head = self.tree.head();
        let epoch = self.spec.clock.epoch_of(head.slot);
        let decision = |epoch: u64| Bytes32::from(self.root_at(self.attester_decision(epoch)));
        let data = json!({
            "slot": head.slot.to_string(),
            "block": Bytes32::from(head.root),
            "state": head.block.state_root(),
            "epoch_transition": self.spec.clock.first_of(epoch) == head.slot,
            "previous_duty_dependent_root": decision(epoch),
            "current_duty_dependent_root": decision(epoch.saturating_add(1)),
            "execution_optimistic": false,
        });
        self.events.push(Event { topic: "head", data });
    }

    /// The head was given up down to the block of a slot.
    pub(super) fn tell_reorg(&mut self, old: &Root, base: u64) {
        let head = self.tree.head();
        let old_state = self.tree.get(old).map(|entry| entry.block.state_root()).unwrap_or_default();
        let data = json!({
            "slot": head.slot.to_string(),
            "depth": head.slot.saturating_sub(base).to_string(),
            "old_head_block": Bytes32::from(*old),
            "new_head_block": Bytes32::from(head.root),
            "old_head_state": old_state,
            "new_head_state": head.block.state_root(),
            "epoch": self.spec.clock.epoch_of(head.slot).to_string(),
            "execution_optimistic": false,
        });
        self.events.push(Event { topic: "chain_reorg", data });
    }

    // ------------------------------------------------------------------------------------- faults and report

    /// Lets something go wrong.
    ///
    /// # Errors
    /// There are too many faults, or this one can never be.
    pub fn fault(&mut self, asked: Asked, fault: Fault) -> Result<(), Problem> {
        if self.faults.is_full() && fault != Fault::Clear {
            return Err(Problem::new(429, "there are too many faults: send {\"kind\":\"clear\"} first"));
        }
        let now = self.slot_of(asked);
        match &fault {
            Fault::Exit { validator, epoch } => {
                let (validator, epoch) = (*validator, *epoch);
                if self.public_key(validator).is_none() {
                    return Err(Problem::new(400, format!("there is no validator {validator}")));
                }
                if asked.now >= self.settings.genesis && epoch <= self.spec.clock.epoch_of(now) {
                    return Err(Problem::new(400, format!("epoch {epoch} has begun already")));
                }
                self.exit(validator, epoch);
                return Ok(());
            }
            Fault::Reorg { slot, .. } if asked.now >= self.settings.genesis && *slot <= now => {
                return Err(Problem::new(400, format!("slot {slot} has begun already")));
            }
            Fault::Reorg { .. }
            | Fault::Miss { .. }
            | Fault::Orphan { .. }
            | Fault::Endpoint { .. }
            | Fault::Syncing { .. }
            | Fault::WrongHead { .. }
            | Fault::Skew { .. }
            | Fault::Clear => {}
        }
        self.faults.add(fault);
        Ok(())
    }

    /// The faults that hold.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        Faults::list(&self.faults)
    }

    /// What happened in the slots from one to another, as far as they are over.
    #[must_use]
    pub fn report(&self, asked: Asked, from: Option<u64>, to: Option<u64>) -> Report {
        let current = self.spec.clock.slot_at(asked.now);
        // Before the end of slot 0 nothing is over.
        let last = current.and_then(|slot| slot.checked_sub(1));
        let (from_slot, to_slot) = (from.unwrap_or(0), to.unwrap_or(u64::MAX).min(last.unwrap_or(0)));
        let is_empty = last.is_none() || from_slot > to_slot;
        let by_validator = if is_empty {
            BTreeMap::new()
        } else {
            self.ledger.count(from_slot..=to_slot, &self.tree, self.settings.slots_per_epoch)
        };
        let mut duties = BTreeMap::new();
        for kind in Kind::ALL {
            let of_kind = by_validator.values().filter_map(|counts| counts.get(&kind));
            let total = report::sum(of_kind);
            if total != report::Counts::default() {
                duties.insert(kind, total);
            }
        }
        let slot = current.unwrap_or(0);
        let validators = by_validator.into_iter().map(|(index, duties)| {
            let Validator { status, validator, .. } = self.validator(index, slot);
            let pubkey: Bytes48 = validator.pubkey;
            ValidatorReport { index, pubkey, status, duties }
        });
        let finality = self.finality_at(u64::MAX);
        let (findings, n_fatal, n_refused) = self.ledger.findings();
        Report {
            from_slot,
            to_slot,
            current_slot: slot,
            head_slot: self.tree.head().slot,
            finalized_epoch: finality.finalized.epoch,
            justified_epoch: finality.justified.epoch,
            duties,
            validators: validators.collect(),
            n_fatal,
            n_refused,
            findings,
        }
    }
}
