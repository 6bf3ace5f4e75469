//! What a step leaves in the journal and in the records.

use std::collections::BTreeMap;

use coxswain_model::schema::Class;
use coxswain_model::{Object, Schema};
use coxswain_state::{
    Change as Put, Claim, ClaimKey, Edit, Entry, Outcome as Ended, Phase, Record, Status, StepEnd,
};

use super::{Doing, Early};
use crate::apply::core::computed;
use crate::apply::event::StepResult;
use crate::apply::record;
use crate::plan::model::ClaimMove;
use crate::plan::stored;
use crate::resource::kind::Verb;

impl Doing<'_, '_> {
    pub(super) fn done(
        &self,
        made: &Object,
        observed: Option<Object>,
        wanted: Option<Record>,
    ) -> Result<StepResult, String> {
        let changes = self.recorded(made, observed, wanted);
        self.ended(made, changes)
    }

    /// What changes in the state when all steps of the instance are done.
    fn recorded(&self, made: &Object, observed: Option<Object>, wanted: Option<Record>) -> Vec<Put> {
        let address = &self.instance.address;
        let args = self.core.lock().args_of(address);
        let observed = observed.map(|mut observed| {
            args.iter().for_each(|args| stored::mark_derived(self.schema, &args.object, &mut observed));
            observed
        });
        let mut changes = Vec::new();
        match wanted {
            Some(mut record) => {
                record::complete(self.core, self.instance, made, observed.as_ref(), &mut record);
                let mut visible = observed.as_ref().map(|o| computed(self.schema, o)).unwrap_or_default();
                visible.extend(stored::from_stored(self.schema, &record.attributes));
                visible.extend(made.clone());
                self.core.lock().resolved(address, visible);
                changes.extend(self.claims_held(&record));
                changes.push(Put::Put { address: address.clone(), record: Box::new(record) });
            }
            None => {
                changes.extend(self.claims_gone());
                changes.push(Put::Remove { address: address.clone() });
            }
        }
        changes
    }

    /// With the values that are known now there is nothing to do: only the record changes, and no step began.
    pub(super) fn nothing_left(
        &self,
        observed: Option<Object>,
        wanted: Option<Record>,
    ) -> Result<StepResult, String> {
        let changes = self.recorded(&Object::new(), observed, wanted);
        self.apply_to_now(&changes);
        let why = format!("{}: nothing is left to do", self.planned.id);
        self.append(Entry::Edit(Edit { why, changes, at: self.now() }))?;
        Ok(StepResult::Done)
    }

    /// Once the object that is replaced is gone, the record is of the new one: a run that is cut off here must not
    /// look for the old one again, nor take the new one for something that was there before.
    pub(super) fn in_the_making(&self, wanted: Option<Record>) -> Vec<Put> {
        let Some(record) = wanted else { return Vec::new() };
        let mut record = Record { status: Status::Indeterminate, ..record };
        for attr in self.schema.of_class(Class::Computed) {
            record.attributes.remove(attr.name);
        }
        vec![Put::Put { address: self.instance.address.clone(), record: Box::new(record) }]
    }

    /// What the instance is about to hold and nobody does yet.
    ///
    /// # Errors
    /// What the ledger gives to another, and is not on its way here, refuses the step.
    pub(super) fn claims_to_take(&self, wanted: Option<&Record>) -> Result<Vec<Put>, Early> {
        let Some(record) = wanted.filter(|_| self.planned.claims.is_empty()) else { return Ok(Vec::new()) };
        let is_on_its_way =
            |claim: &Claim| claim.evidence.is_some() && claim.to.as_ref() == Some(&record.uid);
        let claims = &self.core.lock().now.claims;
        for key in stored::claims(self.schema, record) {
            match claims.get(&key) {
                Some(held) if held.holder != record.uid && !is_on_its_way(held) => {
                    return Err(Early::Refused(format!("{key} is held by another; plan again")));
                }
                Some(_) | None => {}
            }
        }
        Ok(free(record, self.schema, claims))
    }

    /// Writes claims down after the intent, whose record names their holder, and before the step acts: one that
    /// breaks half way may hold them.
    pub(super) fn take_claims(&self, changes: Vec<Put>) -> Result<(), String> {
        if changes.is_empty() {
            return Ok(());
        }
        self.apply_to_now(&changes);
        let why = format!("{} takes what it will hold", self.planned.id);
        self.append(Entry::Edit(Edit { why, changes, at: self.now() }))
    }

    /// Writes down, before the step acts, by which port the host may have to be reached after it: a run that ends
    /// between the change and its note must not lose the host. The intent of an instance that is not in the state
    /// yet has the port in its record.
    pub(super) fn note_other_port(&self) -> Result<(), String> {
        let address = &self.instance.address;
        let known = self.core.lock().now.instances.get(address).cloned();
        let (Some(port), Some(mut record)) = (self.planned.step.through_port, known) else { return Ok(()) };
        if record.other_ports.contains(&port) {
            return Ok(());
        }
        record.other_ports.push(port);
        let changes = vec![Put::Put { address: address.clone(), record: Box::new(record) }];
        self.apply_to_now(&changes);
        let why = format!("{} may make port {port} the way to its host", self.planned.id);
        self.append(Entry::Edit(Edit { why, changes, at: self.now() }))
    }

    /// Claims the instance holds from now on, where nobody else does.
    fn claims_held(&self, record: &Record) -> Vec<Put> {
        free(record, self.schema, &self.core.lock().now.claims)
    }

    /// Claims of an object that was removed: its removal is the proof.
    fn claims_gone(&self) -> Vec<Put> {
        if self.planned.step.verb != Verb::Delete {
            return Vec::new();
        }
        let uid = &self.instance.uid;
        let held = self
            .core
            .lock()
            .now
            .claims
            .iter()
            .filter(|(_, c)| c.holder == *uid)
            .map(|(k, c)| (k.clone(), c.clone()))
            .collect::<Vec<_>>();
        held.into_iter()
            .map(|(key, old)| {
                let evidence = Some(serde_json::json!({ "removed": self.now() }));
                Put::Claim { key, claim: Claim { phase: Phase::ProvedGone, evidence, ..old } }
            })
            .collect()
    }

    /// The outcome, with the claims a claim step moves.
    pub(super) fn ended(&self, made: &Object, mut changes: Vec<Put>) -> Result<StepResult, String> {
        for moved in &self.planned.claims {
            let Ok(key) = moved.key.parse::<ClaimKey>() else { continue };
            changes.retain(|c| !matches!(c, Put::Claim { key: k, .. } if *k == key));
            let claim = self.moved_claim(moved, &key, made);
            changes.push(Put::Claim { key, claim });
        }
        self.apply_to_now(&changes);
        self.append(Entry::Outcome(Ended {
            step: self.planned.id.clone(),
            result: StepEnd::Done,
            changes,
            at: self.now(),
        }))?;
        Ok(StepResult::Done)
    }

    /// A claim as this step leaves it: the evidence that its holder is gone stays until the next one starts.
    fn moved_claim(&self, moved: &ClaimMove, key: &ClaimKey, made: &Object) -> Claim {
        let was = self.core.lock().now.claims.get(key).cloned();
        let was = was.unwrap_or_else(|| claim(&moved.from, Phase::Held));
        let on_the_way = |phase| Claim { phase, to: Some(moved.to.clone()), ..was.clone() };
        match self.planned.step.verb {
            Verb::ClaimStop => on_the_way(Phase::Stopping),
            Verb::ClaimProve => {
                let mut evidence = stored::object_to_stored(made, self.core.run.digest, |_| true);
                evidence.insert("proved".into(), self.now().into());
                Claim { evidence: Some(evidence.into()), ..on_the_way(Phase::ProvedGone) }
            }
            Verb::ClaimExport => on_the_way(Phase::Exported),
            Verb::ClaimStart => claim(&moved.to, Phase::Held),
            _ => on_the_way(Phase::Importing),
        }
    }

    pub(super) fn goes_on(
        &self,
        wanted: Option<Record>,
        on: Vec<String>,
        handle: serde_json::Value,
        status: Status,
    ) -> Result<StepResult, String> {
        let old = self
            .core
            .records
            .get(&self.instance.address)
            .filter(|r| r.status == status)
            .and_then(|r| r.since.clone());
        let changes = wanted.map(|record| {
            let since = old.or_else(|| Some(self.now()));
            let record =
                Record { status, since, waiting_on: on.clone(), handle: Some(handle.clone()), ..record };
            Put::Put { address: self.instance.address.clone(), record: Box::new(record) }
        });
        let changes: Vec<Put> = changes.into_iter().collect();
        let waits = status == Status::Waiting;
        let result = if waits {
            StepEnd::Waiting { on: on.clone(), resume: handle }
        } else {
            StepEnd::Running { handle }
        };
        self.apply_to_now(&changes);
        self.append(Entry::Outcome(Ended {
            step: self.planned.id.clone(),
            result,
            changes,
            at: self.now(),
        }))?;
        Ok(if waits { StepResult::Waiting { on } } else { StepResult::Running })
    }

    /// A step that was tried: whether it left something is for the next plan to see.
    pub(super) fn failed(&self, wanted: Option<Record>, end: StepEnd) -> Result<StepResult, Early> {
        let nothing_done = matches!(end, StepEnd::Refused { .. });
        let known = self.core.lock().now.instances.get(&self.instance.address).cloned();
        let mut changes = Vec::new();
        match (wanted, known) {
            (Some(_), None) if nothing_done => {
                changes.push(Put::Remove { address: self.instance.address.clone() })
            }
            (Some(record), None) => {
                let record = Box::new(Record { status: Status::Indeterminate, ..record });
                changes.push(Put::Put { address: self.instance.address.clone(), record });
            }
            (_, Some(known)) => {
                let status = if nothing_done { known.status } else { Status::Indeterminate };
                let record = Box::new(Record { status, ..known });
                let address = self.instance.address.clone();
                changes.push(Put::Put { address, record });
            }
            (None, None) => {}
        }
        let result = match &end {
            StepEnd::Refused { message } => StepResult::Refused { reason: message.clone() },
            StepEnd::Failed { message } => StepResult::Failed { error: message.clone() },
            StepEnd::Done | StepEnd::Running { .. } | StepEnd::Waiting { .. } => StepResult::Done,
        };
        self.append(Entry::Outcome(Ended {
            step: self.planned.id.clone(),
            result: end,
            changes,
            at: self.now(),
        }))
        .map_err(Early::Fatal)?;
        Ok(result)
    }

    fn apply_to_now(&self, changes: &[Put]) {
        let mut shared = self.core.lock();
        for change in changes {
            match change {
                Put::Put { address, record } => {
                    shared.now.instances.insert(address.clone(), (**record).clone());
                }
                Put::Remove { address } => {
                    shared.now.instances.remove(address);
                }
                Put::Claim { key, claim } => {
                    shared.now.claims.insert(key.clone(), claim.clone());
                }
                Put::Move { .. } | Put::Output { .. } => {}
            }
        }
    }
}

/// Claims that a record lists and nobody holds, given to it.
fn free(record: &Record, schema: &Schema, claims: &BTreeMap<ClaimKey, Claim>) -> Vec<Put> {
    let keys = stored::claims(schema, record).into_iter().filter(|key| !claims.contains_key(key));
    keys.map(|key| Put::Claim { key, claim: claim(&record.uid, Phase::Held) }).collect()
}

fn claim(holder: &str, phase: Phase) -> Claim {
    Claim { holder: holder.to_owned(), phase, to: None, evidence: None, not_before_epoch: None }
}
