//! The decision about one instance: desired, last applied and observed in, action and changes out.

mod identity;

use std::sync::Arc;

use coxswain_model::schema::{Attr, Class, Compare, Existing, Placement};
use coxswain_model::{Address, Diagnostic, Object, Schema, Span, Value, json};
use coxswain_state::{Before, OnDestroy, Record, Status};
use serde_json::{Value as Json, json};

use super::compare::same;
use super::imports;
use super::model::{AttrChange, Cause};
use super::stored::{self, Digest};
use crate::graph::Args;
use crate::resource::kind::{Action, Change};

pub use identity::{asked, asked_of, identity_of, identity_text, is_elsewhere, on_destroy, renamed};

/// What is known of an instance when it is decided.
pub struct Situation<'a> {
    /// Its kind's tables.
    pub schema: &'static Schema,
    /// Its address.
    pub address: &'a Address,
    /// What is wanted: arguments without null.
    pub desired: &'a Object,
    /// Its record.
    pub record: Option<&'a Record>,
    /// What is there; `None` for absent.
    pub observed: Option<&'a Object>,
    /// Where the record is of another object than the wanted one (another name, another host): what is there of
    /// that one.
    pub former: Option<Option<&'a Object>>,
    /// Attributes that are left alone (`ignore_changes`).
    pub ignore: &'a [Arc<str>],
    /// Whether somebody asked for a replacement (`--replace`, `replace_triggered_by`), and who.
    pub replace: Option<String>,
    /// Whether `restart_on` fires, and why.
    pub restart: Option<String>,
    /// The `import` block that says that the object is there already.
    pub import: Option<Span>,
    /// Keyed digest.
    pub digest: &'a Digest<'a>,
}

/// What is to be done with an instance.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The action.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What changes, for people.
    pub changes: Vec<AttrChange>,
    /// What changes, for the kind.
    pub change: Change,
    /// The removal before it, where the action is a replacement.
    pub removal: Option<Change>,
    /// Fingerprint of what was observed.
    pub expects: String,
    /// Whether something restarts although nothing else changes.
    pub restart: bool,
    /// Whether only an earlier run is taken up: interrupted, running or waiting, and nothing differs.
    pub resumed: bool,
}

impl Decision {
    /// Why the object may not be removed and made anew.
    pub(crate) fn forbidden(&self, address: &Address, args: &Args) -> Option<Diagnostic> {
        let word = match on_destroy(args.on_destroy.as_ref()) {
            OnDestroy::Destroy => return None,
            OnDestroy::Retain => "retain",
            OnDestroy::Forbid => "forbid",
        };
        let summary = format!("`{address}` would be removed and made anew: {}", self.reason);
        let detail =
            format!("Its lifecycle says `on_destroy = \"{word}\"`. Take the change back, or change that.");
        let problem = Diagnostic::error("destroy-forbidden", summary).detail(detail).of(address);
        (self.action == Action::Replace).then_some(problem)
    }

    /// The same, where nothing but a restart was due and there is nothing to restart.
    pub(crate) fn without_restart(mut self) -> Decision {
        if self.action == Action::Update && self.restart && self.change.differing.is_empty() {
            self.action = Action::NoOp;
            self.change.action = Action::NoOp;
            self.reason.clear();
        }
        self.restart &= self.action != Action::NoOp;
        self
    }
}

impl Situation<'_> {
    /// Last applied attributes of the wanted object.
    fn prior(&self) -> Object {
        let record = self.record.filter(|_| self.former.is_none());
        record.map_or_else(Object::new, |r| stored::prior(self.schema, &r.attributes))
    }

    fn stored(&self, name: &str) -> Option<&Json> {
        self.record.and_then(|r| r.attributes.get(name))
    }

    /// Whether the attribute is compared with the world.
    fn is_owned(&self, attr: &Attr) -> bool {
        attr.class == Class::Owned
            && self.desired.contains_key(attr.name)
            && !self.ignore.iter().any(|n| n.as_ref() == attr.name)
    }

    /// The owned attributes that are not as desired; unknown ones count as changing.
    fn differing(&self, observed: &Object) -> Vec<&'static Attr> {
        let differs = |attr: &&'static Attr| {
            let want = &self.desired[attr.name];
            match observed.get(attr.name) {
                // What cannot be seen is what was applied last.
                Some(have) if !have.is_wholly_known() => {
                    !stored::same_as_stored(attr, self.stored(attr.name), Some(want), self.digest)
                }
                Some(have) if want.is_wholly_known() => !same(attr, have, want),
                Some(_) | None => true,
            }
        };
        self.schema.attributes.iter().filter(|a| self.is_owned(a)).filter(differs).collect()
    }

    fn identity(&self) -> Object {
        identity_of(self.schema, self.desired)
    }

    /// Decides.
    ///
    /// # Errors
    /// When an existing object may not be taken over.
    pub fn decide(&self) -> Result<Decision, Box<Diagnostic>> {
        if let (Some(record), Some(former)) = (self.record, self.former) {
            return self.elsewhere(record, former);
        }
        match (self.record, self.observed) {
            (None, None) => match self.import {
                Some(block) => Err(Box::new(imports::absent(self, block))),
                None => Ok(self.create("it is not there yet")),
            },
            (None, Some(observed)) => self.adopt(observed),
            (Some(record), _) if record.status == Status::Tainted => {
                Ok(self.replace("it was left half made", self.observed))
            }
            (Some(record), None) if record.status == Status::Indeterminate => {
                Ok(self.create("an earlier run was interrupted while making it"))
            }
            (Some(_), None) => Ok(self.create("it is gone")),
            (Some(record), Some(observed)) => Ok(self.existing(record, observed)),
        }
    }

    fn existing(&self, record: &Record, observed: &Object) -> Decision {
        if let Some(why) = &self.replace {
            return self.replace(why, Some(observed));
        }
        let differing = self.differing(observed);
        if let Some(attr) = differing.iter().find(|a| a.replaces && self.desired[a.name].is_wholly_known()) {
            return self.replace(&format!("`{}` cannot be changed in place", attr.name), Some(observed));
        }
        let mut changes = self.changes(&differing, observed);
        changes.extend(self.settled());
        let change = self.change(Action::Update, Some(observed), &differing);
        let interrupted = record.status == Status::Indeterminate;
        if !differing.is_empty() {
            let reason = if interrupted { INTERRUPTED.into() } else { reason_for(&changes) };
            return self.decision(Action::Update, reason, changes, change);
        }
        if let Some(why) = &self.restart {
            return self.decision(Action::Update, why.clone(), changes, change);
        }
        if interrupted || matches!(record.status, Status::Running | Status::Waiting) {
            let reason = if interrupted { INTERRUPTED } else { "it goes on" };
            let mut decision = self.decision(Action::Update, reason.into(), changes, change);
            decision.restart = false;
            decision.resumed = true;
            return decision;
        }
        let change = Change { action: Action::NoOp, ..change };
        self.decision(Action::NoOp, String::new(), changes, change)
    }

    /// The record is of another object: that one goes, unless it is gone, and the wanted one is made or taken over.
    fn elsewhere(&self, record: &Record, former: Option<&Object>) -> Result<Decision, Box<Diagnostic>> {
        let mut decision = match self.observed {
            None => self.create("it is not there yet"),
            Some(observed) => self.adopt(observed)?,
        };
        let named = renamed(self.schema, record, self.desired, self.digest);
        decision.reason = match named {
            Some(attr) => format!("`{}` names the object and changes", attr.name),
            None => "it changes its place".into(),
        };
        if former.is_some() {
            decision.action = Action::Replace;
            decision.removal = Some(removal(self.schema, record, former));
            decision.expects =
                format!("{} {}", stored::fingerprint(self.schema, former, self.digest), decision.expects);
        }
        let is_shown = |attr: &Attr| decision.changes.iter().any(|c| c.name == attr.name);
        if let Some(attr) = named.filter(|attr| !is_shown(attr)) {
            decision.changes.insert(0, self.attr_change(attr, None));
        }
        for change in &mut decision.changes {
            change.replaces = named.is_some_and(|attr| attr.name == change.name);
        }
        Ok(decision)
    }

    /// What only the record changes: settings, and owned attributes that are not given any more.
    fn settled(&self) -> Vec<AttrChange> {
        let mut changes = Vec::new();
        for attr in self.schema.attributes.iter().filter(|a| a.is_argument()) {
            let (stored, wanted) = (self.stored(attr.name), self.desired.get(attr.name));
            match attr.class {
                Class::Setting if !stored::same_as_stored(attr, stored, wanted, self.digest) => {
                    let mut change = self.attr_change(attr, None);
                    change.before = stored.map(|s| self.shown_stored(attr, s));
                    changes.push(change);
                }
                Class::Owned if wanted.is_none() && stored.is_some() => changes.push(AttrChange {
                    name: attr.name.to_owned(),
                    before: stored.map(|s| self.shown_stored(attr, s)),
                    after: None,
                    cause: Cause::Released,
                    lines: false,
                    replaces: false,
                }),
                Class::Owned if self.is_owned(attr) && stored.is_none() && self.is_as_wanted(attr) => {
                    changes.push(AttrChange {
                        name: attr.name.to_owned(),
                        before: None,
                        after: wanted.map(|w| {
                            if self.is_secret(attr, w) {
                                json!({ "$sensitive": true })
                            } else {
                                json::to_json(w)
                            }
                        }),
                        cause: Cause::Taken,
                        lines: false,
                        replaces: false,
                    });
                }
                Class::Setting | Class::Owned | Class::Identity | Class::Computed | Class::Fact => {}
            }
        }
        changes
    }

    fn is_secret(&self, attr: &Attr, value: &Value) -> bool {
        attr.sensitive || value.deep_marks().sensitive
    }

    /// Whether the object has the wanted value already.
    fn is_as_wanted(&self, attr: &Attr) -> bool {
        let want = self.desired.get(attr.name);
        let have = self.observed.and_then(|o| o.get(attr.name));
        matches!((have, want), (Some(have), Some(want)) if have.is_wholly_known() && want.is_wholly_known() && same(attr, have, want))
    }

    fn shown_stored(&self, attr: &Attr, stored: &Json) -> Json {
        if attr.sensitive || stored::is_digest(stored) {
            json!({ "$sensitive": true })
        } else {
            stored.clone()
        }
    }

    fn create(&self, reason: &str) -> Decision {
        let given =
            self.schema.attributes.iter().filter(|a| a.is_argument() && self.desired.contains_key(a.name));
        let given: Vec<&'static Attr> = given.filter(|a| self.is_worth_showing(a)).collect();
        let changes = self.changes(&given, &Object::new());
        let owned: Vec<&'static Attr> = given.into_iter().filter(|a| a.class == Class::Owned).collect();
        let change = self.change(Action::Create, None, &owned);
        self.decision(Action::Create, reason.into(), changes, change)
    }

    /// Settings that have their default say nothing.
    fn is_worth_showing(&self, attr: &Attr) -> bool {
        attr.class != Class::Setting
            || attr.default_value().is_none_or(|d| !same(attr, &d, &self.desired[attr.name]))
    }

    fn adopt(&self, observed: &Object) -> Result<Decision, Box<Diagnostic>> {
        let differing = self.differing(observed);
        let refused = match self.schema.existing {
            _ if self.import.is_some() => None,
            Existing::Adopt => None,
            Existing::AdoptIfEqual if differing.is_empty() => None,
            Existing::AdoptIfEqual => Some("it is there already, and is not as configured"),
            Existing::Refuse => Some("it is there already"),
        };
        if let Some(why) = refused {
            let problem = Diagnostic::error("not-ours", format!("`{}`: {why}", self.address))
                .detail("It is not in this state, so coxswain did not make it. Remove it, configure it as it is, or say with an `import` block that it is to be taken over.")
                .of(self.address);
            return Err(Box::new(problem));
        }
        let changes = self.changes(&differing, observed);
        let change = self.change(Action::Adopt, Some(observed), &differing);
        let reason = match self.schema.placement {
            Placement::IsHost => "first contact",
            Placement::Host | Placement::HostOrController | Placement::Nowhere => "it is there already",
        };
        Ok(self.decision(Action::Adopt, reason.into(), changes, change))
    }

    fn replace(&self, reason: &str, observed: Option<&Object>) -> Decision {
        let none = Object::new();
        let seen = observed.unwrap_or(&none);
        let mut given: Vec<&'static Attr> = self.differing(seen);
        let identity = self.schema.of_class(Class::Identity);
        given.extend(identity.filter(|a| {
            !stored::same_as_stored(a, self.stored(a.name), self.desired.get(a.name), self.digest)
        }));
        let mut changes = self.changes(&given, seen);
        for change in &mut changes {
            change.replaces =
                self.schema.attr(&change.name).is_some_and(|a| a.replaces || a.class == Class::Identity);
        }
        let all: Vec<&'static Attr> =
            self.schema.of_class(Class::Owned).filter(|a| self.is_owned(a)).collect();
        let mut decision =
            self.decision(Action::Replace, reason.into(), changes, self.change(Action::Create, None, &all));
        decision.removal = self.record.map(|r| removal(self.schema, r, observed));
        decision.expects = stored::fingerprint(self.schema, observed, self.digest);
        decision
    }

    fn change(&self, action: Action, observed: Option<&Object>, differing: &[&'static Attr]) -> Change {
        Change {
            action,
            identity: self.identity(),
            before: match self.record.filter(|_| self.former.is_none()) {
                Some(record) => before_of(self.schema, record),
                None => Some(observed.cloned()),
            },
            prior: self.prior(),
            observed: observed.cloned(),
            desired: Some(self.desired.clone()),
            differing: differing.iter().map(|a| Arc::from(a.name)).collect(),
            restart: self.restart.is_some(),
        }
    }

    fn decision(&self, action: Action, reason: String, changes: Vec<AttrChange>, change: Change) -> Decision {
        let expects = stored::fingerprint(self.schema, change.observed.as_ref(), self.digest);
        let restart = self.restart.is_some();
        Decision { action, reason, changes, change, removal: None, expects, restart, resumed: false }
    }

    fn changes(&self, attrs: &[&'static Attr], observed: &Object) -> Vec<AttrChange> {
        attrs.iter().map(|attr| self.attr_change(attr, observed.get(attr.name))).collect()
    }

    /// Whether what was applied last is still there. Of a contribution, what others have beside it does not count.
    fn is_as_applied(&self, attr: &Attr, stored: Option<&Json>, observed: Option<&Value>) -> bool {
        let is_contribution = !self.schema.is_named();
        match (stored, observed.and_then(Value::as_items)) {
            (Some(Json::Array(applied)), Some(there)) if is_contribution => {
                applied.iter().all(|a| there.iter().any(|t| json::to_json(t) == *a))
            }
            _ => stored::same_as_stored(attr, stored, observed, self.digest),
        }
    }

    fn attr_change(&self, attr: &'static Attr, observed: Option<&Value>) -> AttrChange {
        let want = self.desired.get(attr.name);
        let stored = self.stored(attr.name);
        let was_secret = stored.is_some_and(stored::holds_secret);
        let secret = attr.sensitive || was_secret || want.is_some_and(|w| w.deep_marks().sensitive);
        let shown = |value: &Value| if secret { json!({ "$sensitive": true }) } else { json::to_json(value) };
        let before = match observed {
            Some(value) => Some(shown(value)),
            None if attr.class == Class::Identity => {
                stored.filter(|_| !stored::same_as_stored(attr, stored, want, self.digest)).cloned()
            }
            None => None,
        };
        let drifted = stored.is_some()
            && observed.is_some_and(Value::is_wholly_known)
            && self.record.is_some_and(|r| r.status != Status::Indeterminate)
            && self.former.is_none()
            && !self.is_as_applied(attr, stored, observed);
        let pending = !stored::same_as_stored(attr, stored, want, self.digest);
        let cause = match (drifted && attr.class == Class::Owned, pending) {
            (true, true) => Cause::Both,
            (true, false) => Cause::Drifted,
            (false, _) => Cause::Pending,
        };
        AttrChange {
            name: attr.name.to_owned(),
            before,
            after: want
                .map(|v| if v.is_wholly_known() || !secret { shown(v) } else { json!({ "$unknown": true }) }),
            cause,
            lines: attr.compare == Compare::Lines,
            replaces: false,
        }
    }
}

const INTERRUPTED: &str = "an earlier run was interrupted";

fn reason_for(changes: &[AttrChange]) -> String {
    let drifted = changes.iter().filter(|c| matches!(c.cause, Cause::Drifted | Cause::Both)).count();
    match (drifted, changes.len()) {
        (0, _) => String::new(),
        (d, all) if d == all => "it was changed by someone else".into(),
        _ => "it was changed by someone else, and the configuration changed".into(),
    }
}

/// What an object was before it was first touched, as values.
pub fn before_of(schema: &Schema, record: &Record) -> Option<Option<Object>> {
    match &record.before {
        None => None,
        Some(Before::Absent) => Some(None),
        Some(Before::Present(stored)) => {
            let mut object = stored::from_stored(schema, stored);
            // Attributes that only say where a kept content lies are not in every schema's list.
            for (name, value) in stored {
                object.entry(Arc::from(name.as_str())).or_insert_with(|| json::from_json(value));
            }
            Some(Some(object))
        }
    }
}

/// The change that removes a recorded object.
pub fn removal(schema: &Schema, record: &Record, observed: Option<&Object>) -> Change {
    let prior = stored::prior(schema, &record.attributes);
    Change {
        action: Action::Delete,
        identity: identity_of(schema, &prior),
        before: before_of(schema, record),
        prior,
        observed: observed.cloned(),
        desired: None,
        differing: Vec::new(),
        restart: false,
    }
}
