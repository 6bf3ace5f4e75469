//! What of a live host is worth writing down: its objects as arguments that planning finds nothing to do about. Pure.
//!
//! ```text
//! kind ─discover→ names ─observe→ object ─portray, less defaults→ arguments ─decide→ no difference? → Portrait
//!                                             ↑ an argument that differs goes ─────────┘
//! ```
//!
//! What must never happen: an argument is written that a plan would change; a sensitive value is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_lang::write::write_value;
use coxswain_model::schema::{Attr, AttrType, Class, Compare, Presence};
use coxswain_model::{Address, Diagnostic, FileId, Object, Schema, Span, Value, json};

use super::decide::{self, Situation};
use super::stored;
use crate::resource::answer::{Answer, FileType};
use crate::resource::kind::{Answers, Change, Discovery, Endpoint, Facts, Kind, Observation, PlanCx};
use crate::resource::probe::Probe;

/// What is looked for, and what is known already.
pub struct Request<'a> {
    /// The host.
    pub endpoint: &'a Endpoint,
    /// The kinds whose objects are looked for.
    pub kinds: &'a [&'static dyn Kind],
    /// Files and directories that are wanted: only their names can say so.
    pub paths: &'a [String],
    /// What somebody manages already.
    pub taken: &'a Taken,
    /// What the host answered.
    pub answers: &'a Answers,
    /// Keyed digest.
    pub digest: &'a stored::Digest<'a>,
}

/// The objects of a host that are in the state or the configuration.
#[derive(Debug, Default)]
pub struct Taken {
    /// By kind and name.
    names: BTreeSet<(String, String)>,
    /// Of kinds without names: the elements of their sets, by kind and attribute.
    elements: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Taken {
    /// Notes an object with these attributes.
    pub fn add(
        &mut self,
        schema: &Schema,
        identity: &str,
        attributes: Option<&serde_json::Map<String, serde_json::Value>>,
    ) {
        if schema.is_named() {
            self.names.insert((schema.kind.to_owned(), identity.to_owned()));
            return;
        }
        for (name, value) in attributes.into_iter().flatten() {
            let items = value.as_array().into_iter().flatten().map(ToString::to_string);
            self.elements.entry((schema.kind.to_owned(), name.clone())).or_default().extend(items);
        }
    }

    /// What is left of an object; none where all of it is taken.
    fn rest(&self, schema: &Schema, mut object: Object) -> Option<Object> {
        if schema.is_named() {
            let name = identity(schema, &object);
            return (!self.names.contains(&(schema.kind.to_owned(), name))).then_some(object);
        }
        for attr in schema.of_class(Class::Owned) {
            let AttrType::Set(of) = attr.ty else { continue };
            let taken = self.elements.get(&(schema.kind.to_owned(), attr.name.to_owned()));
            let Some(items) = object.get(attr.name).and_then(Value::as_items) else { continue };
            let is_free =
                |item: &&Value| !taken.is_some_and(|t| t.contains(&json::to_json(item).to_string()));
            let free: Vec<Value> = items.iter().filter(is_free).cloned().collect();
            if free.is_empty() {
                return None;
            }
            object.insert(Arc::from(attr.name), Value::set(of.to_type(), free));
        }
        Some(object)
    }
}

/// An object as a resource would have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    /// Its kind.
    pub schema: &'static Schema,
    /// What names it among its kind; empty where a host has one, or where nothing does.
    pub identity: String,
    /// The arguments, in the order of the schema.
    pub arguments: Vec<(&'static str, Value)>,
}

/// An object, or a part of one, that is not written, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Its kind.
    pub kind: &'static str,
    /// Its name; empty for all of the kind.
    pub identity: String,
    /// Why.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What is worth writing, by kind and name.
    pub portraits: Vec<Portrait>,
    /// What is not written.
    pub left_out: Vec<LeftOut>,
}

/// Looks as far as the answers go.
///
/// # Errors
/// The reads that are lacking.
pub fn find(request: &Request<'_>) -> Result<Found, BTreeSet<Probe>> {
    let Some(Answer::Facts(facts)) = request.answers.get(&Probe::Facts) else {
        return Err(BTreeSet::from([Probe::Facts]));
    };
    let mut search = Search { request, facts, found: Found::default(), lacks: BTreeSet::new() };
    for kind in request.kinds {
        search.kind(*kind);
    }
    for path in request.paths {
        search.path(path);
    }
    if search.lacks.is_empty() { Ok(search.found) } else { Err(search.lacks) }
}

struct Search<'a> {
    request: &'a Request<'a>,
    facts: &'a Facts,
    found: Found,
    lacks: BTreeSet<Probe>,
}

/// Arguments in the order of the schema, and the names of those that are not among them although they are there.
struct Drawn {
    arguments: Vec<(&'static str, Value)>,
    dropped: Vec<&'static str>,
}

/// Why there is no portrait.
enum Missing {
    /// Reads are lacking.
    Lack(Vec<Probe>),
    /// There is no such object.
    Absent,
    /// It cannot be written down.
    LeftOut(String),
}

impl Search<'_> {
    fn kind(&mut self, kind: &dyn Kind) {
        match kind.discover(self.facts, self.request.answers) {
            Discovery::Need(probes) => self.lacks.extend(probes),
            Discovery::Nothing => {}
            Discovery::Unknown(reason) => self.leave_out(kind, String::new(), reason),
            Discovery::Found(objects) => {
                for object in objects {
                    self.object(kind, object);
                }
            }
        }
    }

    fn path(&mut self, path: &str) {
        let probe = Probe::Stat(path.to_owned());
        let named = |kind: &str| crate::resource::find(kind).expect("files and directories are kinds");
        let object = Object::from([("path".into(), Value::from(path))]);
        let reason = match self.request.answers.get(&probe) {
            None => {
                self.lacks.insert(probe);
                return;
            }
            Some(Answer::Stat(stat)) if stat.file_type == FileType::File => {
                return self.object(named("file"), object);
            }
            Some(Answer::Stat(stat)) if stat.file_type == FileType::Directory => {
                return self.object(named("directory"), object);
            }
            Some(Answer::Stat(_)) => "it is neither a file nor a directory".to_owned(),
            Some(Answer::Absent) => "it is not there".to_owned(),
            Some(Answer::Unknown(reason)) => reason.clone(),
            Some(_) => "the answer is not understood".to_owned(),
        };
        self.leave_out(named("file"), path.to_owned(), reason);
    }

    fn leave_out(&mut self, kind: &dyn Kind, identity: String, reason: String) {
        self.found.left_out.push(LeftOut { kind: kind.schema().kind, identity, reason });
    }

    fn object(&mut self, kind: &dyn Kind, object: Object) {
        let schema = kind.schema();
        let Some(object) = self.request.taken.rest(schema, object) else { return };
        let name = if schema.of_class(Class::Identity).next().is_some() {
            identity(schema, &object)
        } else {
            String::new()
        };
        match self.portrait(kind, &object) {
            Ok(Drawn { arguments, dropped }) => {
                if !dropped.is_empty() {
                    let reason = format!(
                        "{} is not written: it has no text here, or not everybody may read it",
                        dropped.join(", ")
                    );
                    self.leave_out(kind, name.clone(), reason);
                }
                self.found.portraits.push(Portrait { schema, identity: name, arguments });
            }
            Err(Missing::Lack(probes)) => self.lacks.extend(probes),
            Err(Missing::Absent) => {}
            Err(Missing::LeftOut(reason)) => self.leave_out(kind, name, reason),
        }
    }

    fn observe(&self, kind: &dyn Kind, asked: &Object) -> Result<Object, Missing> {
        match kind.observe(&decide::asked_of(kind.schema(), asked), self.facts, self.request.answers) {
            Observation::Need(probes) => {
                let answers = self.request.answers;
                let lacking: Vec<Probe> = probes.into_iter().filter(|p| !answers.contains_key(p)).collect();
                match lacking.is_empty() {
                    true => Err(Missing::LeftOut("the same reads are asked for again".into())),
                    false => Err(Missing::Lack(lacking)),
                }
            }
            Observation::Present(object) => Ok(object),
            Observation::Absent | Observation::Recorded => Err(Missing::Absent),
            Observation::Unknown(reason) => Err(Missing::LeftOut(reason)),
        }
    }

    /// The arguments of an object about which planning finds nothing to do, and what had to go for that.
    fn portrait(&self, kind: &dyn Kind, named: &Object) -> Result<Drawn, Missing> {
        let schema = kind.schema();
        let seen = self.observe(kind, named)?;
        let observed = kind.portray(&seen);
        if observed.is_empty() {
            return Err(Missing::LeftOut("as it is, nothing of it would be managed".into()));
        }
        let mut dropped: Vec<&'static str> = hidden(schema, &seen, &observed).collect();
        let mut arguments = Object::new();
        for attr in schema.attributes.iter().filter(|a| a.is_argument()) {
            let value = match attr.class {
                Class::Identity => named.get(attr.name),
                Class::Owned => observed.get(attr.name).filter(|v| is_worth_writing(attr, v)),
                Class::Setting | Class::Computed | Class::Fact => None,
            };
            match value {
                Some(value) if write_value(value, 1).is_some() => {
                    arguments.insert(Arc::from(attr.name), value.clone());
                }
                Some(_) if attr.presence == Presence::Required => return Err(unwritable(attr)),
                Some(_) => dropped.push(attr.name),
                None if attr.presence == Presence::Required => {
                    return Err(Missing::LeftOut(format!(
                        "it has no `{}`, which a resource must say",
                        attr.name
                    )));
                }
                None => {}
            }
        }
        // Each turn drops an argument, and there are no more than these.
        for _ in 0..=schema.attributes.len() {
            let Some(attr) = self.differing(kind, &arguments)? else { break };
            if attr.presence != Presence::Optional || arguments.remove(attr.name).is_none() {
                return Err(unwritable(attr));
            }
            dropped.push(attr.name);
        }
        let in_order =
            schema.attributes.iter().filter_map(|a| Some((a.name, arguments.get(a.name)?.clone())));
        Ok(Drawn { arguments: in_order.collect(), dropped })
    }

    /// An attribute that a plan of these arguments would change.
    fn differing(&self, kind: &dyn Kind, arguments: &Object) -> Result<Option<&'static Attr>, Missing> {
        let schema = kind.schema();
        let mut desired = arguments.clone();
        for attr in schema.attributes {
            if let Some(default) = attr.default_value().filter(|_| !desired.contains_key(attr.name)) {
                desired.insert(Arc::from(attr.name), default);
            }
        }
        let observed = self.observe(kind, &desired)?;
        let address = Address::root(schema.kind, "adopted");
        let situation = Situation {
            schema,
            address: &address,
            desired: &desired,
            record: None,
            observed: Some(&observed),
            former: None,
            ignore: &[],
            replace: None,
            restart: None,
            // As the block says that is written beside it.
            import: Some(Span::new(FileId(0), 0, 0)),
            digest: self.request.digest,
        };
        let change = situation.decide().map_err(|problem| Missing::LeftOut(problem.summary.clone()))?.change;
        if let Some(name) = change.differing.first() {
            return Ok(schema.attr(name));
        }
        self.check(kind, (&address, &desired), &change).map(|()| None)
    }

    /// Whether the kind itself has nothing against these arguments.
    fn check(&self, kind: &dyn Kind, wanted: (&Address, &Object), change: &Change) -> Result<(), Missing> {
        let (address, desired) = wanted;
        let refused = |problems: &[Diagnostic]| {
            problems.iter().find(|p| p.is_error()).map(|p| Missing::LeftOut(p.summary.clone()))
        };
        let cx = PlanCx { address, endpoint: self.request.endpoint, facts: Some(self.facts) };
        let planned = kind.plan(&cx, change).err().unwrap_or_default();
        refused(&kind.check(desired)).or_else(|| refused(&planned)).map_or(Ok(()), Err)
    }
}

/// Whole texts that are there and are not shown.
fn hidden(schema: &'static Schema, seen: &Object, shown: &Object) -> impl Iterator<Item = &'static str> {
    let is_known =
        |object: &Object, name: &str| object.get(name).is_some_and(|v| v.is_wholly_known() && !v.is_null());
    let texts = schema.of_class(Class::Owned).filter(|a| a.compare == Compare::Lines);
    let hidden: Vec<&'static str> =
        texts.filter(|a| seen.contains_key(a.name) && !is_known(shown, a.name)).map(|a| a.name).collect();
    hidden.into_iter()
}

fn unwritable(attr: &Attr) -> Missing {
    Missing::LeftOut(format!("`{}` cannot be written as it is", attr.name))
}

/// Whether a value says more than its absence does.
fn is_worth_writing(attr: &Attr, value: &Value) -> bool {
    let is_empty = value.as_str().is_some_and(str::is_empty)
        || value.as_items().is_some_and(<[Value]>::is_empty)
        || value.as_fields().is_some_and(Object::is_empty);
    let is_default = attr.default_value().is_some_and(|default| super::compare::same(attr, &default, value));
    let is_sensitive = attr.sensitive || value.deep_marks().sensitive;
    let is_needed = attr.presence == Presence::Required;
    value.is_wholly_known() && !value.is_null() && !is_sensitive && !is_default && (is_needed || !is_empty)
}

/// What names an object of a kind with names.
fn identity(schema: &Schema, object: &Object) -> String {
    decide::identity_text(schema, &Address::root(schema.kind, ""), object).unwrap_or_default()
}
