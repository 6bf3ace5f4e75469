//! Journal + state = next state. Pure.
//!
//! ```text
//! RunBegin ─ Intent ─ Outcome{changes} ─ Intent ─ ✗ crash        the second intent stays open: its instance is
//!                                                                put in the state as indeterminate
//! ```

use std::collections::BTreeMap;

use coxswain_model::Address;

use crate::entry::{Change, Entry, Intent, Outcome, StepEnd};
use crate::model::{Claim, ClaimKey, OpenIntent, OutputRecord, Record, State, Status};

/// An entry that does not fit what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {reason}")]
pub struct FoldError {
    /// 0-based.
    pub index: usize,
    /// The rule it breaks.
    pub reason: String,
}

/// Folds a whole journal into the state; what is still open at its end becomes indeterminate.
///
/// # Errors
/// When an entry does not fit. The state then holds everything before that entry.
pub fn fold(state: &mut State, entries: &[Entry]) -> Result<(), FoldError> {
    let mut fold = Fold::new(std::mem::replace(state, State::new("")));
    let mut result = Ok(());
    for (index, entry) in entries.iter().enumerate() {
        if let Err(reason) = fold.apply(entry) {
            result = Err(FoldError { index, reason });
            break;
        }
    }
    *state = fold.settle();
    result
}

/// A fold under way: the state, and what is open.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    /// What is known; open intents do not show here until [`Fold::settle`].
    pub(crate) state: State,
    /// The run that has not ended.
    pub(crate) run: Option<String>,
    open: BTreeMap<String, Open>,
}

#[derive(Debug, Clone)]
struct Open {
    address: Address,
    intent: OpenIntent,
    record: Option<Record>,
}

/// What a row of changes would do to addresses and claims, without doing it.
struct Trial<'a> {
    state: &'a State,
    there: BTreeMap<Address, bool>,
    claims: BTreeMap<ClaimKey, Claim>,
}

impl Fold {
    pub(crate) fn new(state: State) -> Fold {
        Fold { state, run: None, open: BTreeMap::new() }
    }

    /// Whether the entry fits. Changes nothing.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::RunBegin(_) => Ok(()),
            Entry::Intent(intent) => self.check_intent(intent),
            Entry::Outcome(outcome) => {
                if !self.open.contains_key(&outcome.step) && !never_began(outcome) {
                    return Err(format!("step {} has no open intent", outcome.step));
                }
                self.check_changes(&outcome.changes)
            }
            Entry::Edit(edit) => self.check_changes(&edit.changes),
            Entry::RunEnd(_) if self.run.is_none() => Err("no run has begun".to_owned()),
            Entry::RunEnd(_) => Ok(()),
        }
    }

    fn check_intent(&self, intent: &Intent) -> Result<(), String> {
        if self.run.is_none() {
            return Err("no run has begun".to_owned());
        }
        if self.open.contains_key(&intent.step) {
            return Err(format!("step {} is open already", intent.step));
        }
        if intent.record.is_none() && !self.state.instances.contains_key(&intent.address) {
            return Err(format!("{} is not in the state, and the intent carries no record", intent.address));
        }
        Ok(())
    }

    fn check_changes(&self, changes: &[Change]) -> Result<(), String> {
        let mut trial = Trial { state: &self.state, there: BTreeMap::new(), claims: BTreeMap::new() };
        changes.iter().try_for_each(|change| trial.check(change))
    }

    /// Applies the entry.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        self.check(entry)?;
        match entry {
            Entry::RunBegin(begin) => {
                self.settle_open();
                self.run = Some(begin.run.clone());
            }
            Entry::Intent(intent) => self.apply_intent(intent),
            Entry::Outcome(outcome) => self.apply_outcome(outcome),
            Entry::Edit(edit) => self.apply_changes(&edit.changes),
            Entry::RunEnd(_) => {
                self.settle_open();
                self.run = None;
            }
        }
        Ok(())
    }

    fn apply_intent(&mut self, intent: &Intent) {
        let known = self.state.instances.get(&intent.address).or(intent.record.as_ref());
        let Some(known) = known else { return };
        let open = OpenIntent {
            run: self.run.clone().unwrap_or_default(),
            step: intent.step.clone(),
            verb: intent.verb.clone(),
            uid: known.uid.clone(),
            identity: known.identity.clone(),
            at: intent.at.clone(),
        };
        let open = Open { address: intent.address.clone(), intent: open, record: intent.record.clone() };
        self.open.insert(intent.step.clone(), open);
    }

    fn apply_outcome(&mut self, outcome: &Outcome) {
        let Some(open) = self.open.remove(&outcome.step) else { return };
        let earlier = self.state.instances.get(&open.address).map(|r| (r.status, r.since.clone()));
        self.apply_changes(&outcome.changes);
        let (status, on, handle) = match &outcome.result {
            StepEnd::Refused { .. } => return,
            StepEnd::Done | StepEnd::Failed { .. } => return self.keep_touched(open, &outcome.changes),
            StepEnd::Running { handle } => (Status::Running, Vec::new(), handle),
            StepEnd::Waiting { on, resume } => (Status::Waiting, on.clone(), resume),
        };
        if let (None, Some(record)) = (self.state.instances.get(&open.address), open.record) {
            self.state.instances.insert(open.address.clone(), record);
        }
        if let Some(record) = self.state.instances.get_mut(&open.address) {
            let since = earlier.filter(|(was, _)| *was == status).and_then(|(_, since)| since);
            record.since = Some(since.unwrap_or_else(|| outcome.at.clone()));
            record.status = status;
            record.waiting_on = on;
            record.handle = Some(handle.clone()).filter(|handle| !handle.is_null());
        }
        self.state.indeterminate.remove(&open.address);
    }

    /// A step that acted on an object the state does not know, and whose outcome says nothing about it: the object
    /// may be there, so it is kept as indeterminate.
    fn keep_touched(&mut self, open: Open, changes: &[Change]) {
        let said = changes.iter().any(|change| match change {
            Change::Put { address, .. } | Change::Remove { address } => *address == open.address,
            Change::Move { from, to } => *from == open.address || *to == open.address,
            Change::Claim { .. } | Change::Output { .. } => false,
        });
        if !said && !self.state.instances.contains_key(&open.address) {
            self.make_indeterminate(open);
        }
    }

    fn apply_changes(&mut self, changes: &[Change]) {
        let state = &mut self.state;
        for change in changes {
            match change {
                Change::Put { address, record } => {
                    state.indeterminate.remove(address);
                    state.instances.insert(address.clone(), (**record).clone());
                }
                Change::Remove { address } => {
                    state.indeterminate.remove(address);
                    state.instances.remove(address);
                }
                Change::Move { from, to } => {
                    rename(&mut state.instances, from, to);
                    rename(&mut state.indeterminate, from, to);
                    for open in self.open.values_mut().filter(|open| open.address == *from) {
                        open.address = to.clone();
                    }
                }
                Change::Claim { key, claim } => {
                    state.claims.insert(key.clone(), claim.clone());
                }
                Change::Output { name, output } => set_output(state, name, output.as_ref()),
            }
        }
    }

    fn settle_open(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            self.make_indeterminate(open);
        }
    }

    fn make_indeterminate(&mut self, open: Open) {
        if let Some(record) = self.state.instances.get_mut(&open.address) {
            record.status = Status::Indeterminate;
        } else if let Some(record) = open.record {
            let record = Record { status: Status::Indeterminate, ..record };
            self.state.instances.insert(open.address.clone(), record);
        }
        self.state.indeterminate.insert(open.address, open.intent);
    }

    /// The state when nothing more comes.
    pub(crate) fn settle(mut self) -> State {
        self.settle_open();
        self.state
    }
}

/// Whether the outcome is of a step that was given up before its intent: nothing was done and nothing changes.
fn never_began(outcome: &Outcome) -> bool {
    let is_given_up = matches!(outcome.result, StepEnd::Refused { .. } | StepEnd::Failed { .. });
    is_given_up && outcome.changes.is_empty()
}

fn rename<T>(map: &mut BTreeMap<Address, T>, from: &Address, to: &Address) {
    if let Some(value) = map.remove(from) {
        map.insert(to.clone(), value);
    }
}

fn set_output(state: &mut State, name: &str, output: Option<&OutputRecord>) {
    match output {
        Some(output) => state.outputs.insert(name.to_owned(), output.clone()),
        None => state.outputs.remove(name),
    };
}

impl Trial<'_> {
    fn has(&self, address: &Address) -> bool {
        self.there.get(address).copied().unwrap_or_else(|| self.state.instances.contains_key(address))
    }

    fn check(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Put { address, .. } => {
                self.there.insert(address.clone(), true);
            }
            Change::Remove { address } => {
                self.there.insert(address.clone(), false);
            }
            Change::Move { from, to } => {
                if !self.has(from) {
                    return Err(format!("{from} is not in the state and cannot move to {to}"));
                }
                if self.has(to) {
                    return Err(format!("{from} cannot move to {to}, which is in the state already"));
                }
                self.there.insert(from.clone(), false);
                self.there.insert(to.clone(), true);
            }
            Change::Claim { key, claim } => {
                if let Some(now) = self.claims.get(key).or_else(|| self.state.claims.get(key)) {
                    now.may_become(claim).map_err(|rule| format!("claim {key}: {rule}"))?;
                }
                self.claims.insert(key.clone(), claim.clone());
            }
            Change::Output { .. } => {}
        }
        Ok(())
    }
}
