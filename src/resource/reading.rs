//! How kinds read answers and attributes.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use coxswain_model::{Object, Value};

use super::answer::{Answer, SaidAnswer};
use super::kind::{Action, Answers, Change, Discovery, KindError, Observation, Step, Verb};
use super::probe::{Probe, read_program};

/// The first line of files that are ours as a whole.
pub(super) const MANAGED: &str = "# Managed by coxswain; edits are reported as drift\n";

/// One answer as a kind wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Got<T> {
    /// Nobody asked yet.
    NotAsked,
    /// This.
    Found(T),
    /// There is no such thing.
    Absent,
    /// It cannot be said.
    Unknown(String),
}

/// The answer to `probe`, as the variant that `pick` takes; any other variant is not understood.
pub(super) fn got<'a, T>(
    answers: &'a Answers,
    probe: &Probe,
    pick: impl Fn(&'a Answer) -> Option<T>,
) -> Got<T> {
    let Some(answer) = answers.get(probe) else { return Got::NotAsked };
    if let Some(found) = pick(answer) {
        return Got::Found(found);
    }
    if let Answer::Unknown(reason) = answer {
        return Got::Unknown(reason.clone());
    }
    if *answer == Answer::Absent {
        return Got::Absent;
    }
    Got::Unknown(format!("an answer of another sort to {probe:?}"))
}

/// What [`got`] says where the object is exactly one answer.
pub(super) fn observed<T>(got: Got<T>, probe: Probe, present: impl FnOnce(T) -> Observation) -> Observation {
    match got {
        Got::NotAsked => Observation::Need(vec![probe]),
        Got::Found(answer) => present(answer),
        Got::Absent => Observation::Absent,
        Got::Unknown(reason) => Observation::Unknown(reason),
    }
}

/// What a program said.
pub(super) fn said<'a>(answers: &'a Answers, probe: &Probe) -> Got<&'a SaidAnswer> {
    got(answers, probe, |a| if let Answer::Said(said) = a { Some(said) } else { None })
}

/// What a program said, as lines `key=value`; anything else is not understood. `present` says what that means:
/// the object, or none.
pub(super) fn said_fields(
    answers: &Answers,
    probe: Probe,
    present: impl FnOnce(&Fields<'_>) -> Result<Option<Object>, String>,
) -> Observation {
    let said = match said(answers, &probe) {
        Got::NotAsked => return Observation::Need(vec![probe]),
        Got::Found(said) => said,
        Got::Absent => return Observation::Unknown("no answer came".into()),
        Got::Unknown(reason) => return Observation::Unknown(reason),
    };
    match Fields::of(said).and_then(|fields| present(&fields)) {
        Ok(Some(object)) => Observation::Present(object),
        Ok(None) => Observation::Absent,
        Err(reason) => Observation::Unknown(reason),
    }
}

/// What a program said of the objects there are, as lines `key=value`.
pub(super) fn said_objects(
    answers: &Answers,
    probe: Probe,
    objects: impl FnOnce(&Fields<'_>) -> Result<Vec<Object>, String>,
) -> Discovery {
    let said = match said(answers, &probe) {
        Got::NotAsked => return Discovery::Need(vec![probe]),
        Got::Found(said) => said,
        Got::Absent => return Discovery::Unknown("no answer came".into()),
        Got::Unknown(reason) => return Discovery::Unknown(reason),
    };
    Fields::of(said).and_then(|fields| objects(&fields)).map_or_else(Discovery::Unknown, Discovery::Found)
}

/// The objects with these names, each once, sorted.
pub(super) fn named<S: Into<String>>(attribute: &str, names: impl IntoIterator<Item = S>) -> Vec<Object> {
    let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
    names.into_iter().map(|name| Object::from([(attribute.into(), Value::from(name))])).collect()
}

/// The accounts or groups of the machine's own files whose numbers are for people: those of the system are its own.
pub(super) fn accounts(answers: &Answers, sort: &str) -> Discovery {
    let probe = Probe::says(read_program!("accounts"), <[String; 0]>::default());
    said_objects(answers, probe, |fields| {
        let mut names = Vec::new();
        for line in fields.all(sort) {
            let (number, name) = line.split_once(' ').ok_or_else(|| not_understood(line))?;
            let number: u32 = number.parse().map_err(|_| not_understood(line))?;
            if PEOPLE.contains(&number) {
                names.push(name);
            }
        }
        Ok(named("name", names))
    })
}

/// Numbers of users and groups that are not the system's (login.defs(5)).
const PEOPLE: RangeInclusive<u32> = 1000..=59_999;

/// Lines `key=value` in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields<'a>(pub(super) Vec<(&'a str, &'a str)>);

/// Characters of output that is not understood which an error shows.
const SAMPLE: usize = 300;

/// Why output means nothing to us: the part that we do not understand.
pub(super) fn not_understood(text: &str) -> String {
    let sample: String = text.trim().chars().take(SAMPLE).collect();
    format!("not understood: `{}`", sample.escape_debug())
}

impl<'a> Fields<'a> {
    /// The lines of an answer; the program must have succeeded.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn of(said: &'a SaidAnswer) -> Result<Fields<'a>, String> {
        if said.code != 0 {
            return Err(format!("exit code {}: {}", said.code, not_understood(&said.text)));
        }
        let pairs = said.text.lines().map(|line| line.split_once('=').ok_or_else(|| not_understood(line)));
        pairs.collect::<Result<_, _>>().map(Fields)
    }
    /// The value of a key that is there at most once.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        let mut all = self.all(key);
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }
    /// The values of a key, in order.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| *k == key).map(|(_, v)| *v)
    }
    /// The value of the only key there may be.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn only(&self, key: &str) -> Result<&'a str, String> {
        match &self.0[..] {
            [(k, value)] if *k == key => Ok(value),
            other => Err(not_understood(&format!("{other:?}"))),
        }
    }
    /// The value of a key that must be there once.
    ///
    /// # Errors
    /// That it is missing, or there twice.
    pub(super) fn must(&self, key: &str) -> Result<&'a str, String> {
        self.get(key).ok_or_else(|| format!("`{key}` is not in what the host said, or is there twice"))
    }
    /// A truth value, `yes` or `no`, that must be there.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn is(&self, key: &str) -> Result<bool, String> {
        match self.must(key)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(not_understood(&format!("{key}={other}"))),
        }
    }
}

/// The attribute, if it is there and not null.
pub(super) fn given<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|v| !v.is_null())
}

/// A known text.
pub(super) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// A known truth value.
pub(super) fn flag(object: &Object, name: &str) -> Option<bool> {
    object.get(name).and_then(Value::as_bool)
}

/// A known whole number.
pub(super) fn whole(object: &Object, name: &str) -> Option<i128> {
    object.get(name).and_then(Value::as_num).and_then(|n| n.to_i128())
}

/// The known texts of a list or set, sorted.
pub(super) fn words(object: &Object, name: &str) -> Option<BTreeSet<String>> {
    let items = object.get(name)?.as_items()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A text that must be there when the step runs.
pub(super) fn required<'a>(object: &'a Object, name: &str) -> Result<&'a str, KindError> {
    text(object, name).ok_or_else(|| KindError::Failed(format!("`{name}` is not known")))
}

/// The wanted object of a step that makes or changes.
pub(super) fn desired(change: &Change) -> Result<&Object, KindError> {
    change.desired.as_ref().ok_or_else(|| KindError::Failed("nothing is wanted of this object".into()))
}

/// Whether the attribute differs from what is wanted.
pub(super) fn differs(change: &Change, name: &str) -> bool {
    change.differing.iter().any(|d| d.as_ref() == name)
}

/// What the object was before it was first touched.
pub(super) fn before(change: &Change) -> Option<&Object> {
    change.before.as_ref().and_then(Option::as_ref)
}

/// What a step that makes or changes does. Taking over is a step of its own kind only where nothing is touched.
pub(super) fn verb(change: &Change) -> Verb {
    if change.observed.is_none() { Verb::Create } else { Verb::Update }
}

/// The steps where nothing is to be done: one that takes over, or none.
pub(super) fn taken_over(change: &Change, what: &str) -> Vec<Step> {
    match change.action {
        Action::Adopt => vec![Step::new("adopt", Verb::Adopt, format!("take over {what}"))],
        Action::NoOp
        | Action::Create
        | Action::Update
        | Action::Replace
        | Action::Delete
        | Action::Forget
        | Action::Read => Vec::new(),
    }
}

/// Words as people list them: `mode, owner and group`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod fixture {
    //! What the tests of kinds share.

    use super::*;
    use crate::resource::act::Act;
    use crate::resource::host_kind::HostKind;
    use crate::resource::kind::{Action, Endpoint, Facts, HostId, PlanCx, Step, StepClass};
    use coxswain_model::{Address, Diagnostics};
    use serde_json::Value as Json;
    use std::sync::Arc;

    /// An object from JSON.
    pub(in crate::resource) fn obj(json: Json) -> Object {
        coxswain_model::json::from_json(&json).as_fields().cloned().expect("the test gives an object")
    }

    /// A change of the object that `identity` names.
    pub(in crate::resource) fn change(action: Action, identity: Json) -> Change {
        Change {
            action,
            identity: obj(identity),
            before: None,
            prior: Object::new(),
            observed: None,
            desired: None,
            differing: Vec::new(),
            restart: false,
        }
    }

    impl Change {
        /// What is wanted.
        pub(in crate::resource) fn wants(mut self, json: Json) -> Change {
            self.desired = Some(obj(json));
            self
        }
        /// What is there, and what of it differs.
        pub(in crate::resource) fn sees(mut self, json: Json, differing: &[&str]) -> Change {
            self.observed = Some(obj(json));
            self.differing = differing.iter().map(|d| Arc::from(*d)).collect();
            self
        }
        /// What was applied last.
        pub(in crate::resource) fn had(mut self, json: Json) -> Change {
            self.prior = obj(json);
            self
        }
        /// What was there at first; null for nothing.
        pub(in crate::resource) fn was(mut self, json: Json) -> Change {
            self.before = Some(if json.is_null() { None } else { Some(obj(json)) });
            self
        }
    }

    fn host() -> Endpoint {
        Endpoint::Host(Arc::new(HostId { address: Address::root("host", "h"), uid: "u1".into() }))
    }

    /// The steps of a change on a host.
    pub(in crate::resource) fn plan(kind: &dyn HostKind, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        let (address, endpoint, facts) = (Address::root("kind", "x"), host(), Facts::default());
        kind.plan(&PlanCx { address: &address, endpoint: &endpoint, facts: Some(&facts) }, change)
    }

    /// Checks titles and classes of the steps, and returns the acts of all of them.
    #[track_caller]
    pub(in crate::resource) fn check(
        kind: &dyn HostKind,
        change: &Change,
        titles: &[(&str, StepClass)],
    ) -> Vec<Act> {
        let steps = plan(kind, change).expect("the change can be planned");
        let found: Vec<(&str, StepClass)> = steps.iter().map(|s| (s.title.as_str(), s.class)).collect();
        assert_eq!(found, titles);
        steps.iter().flat_map(|s| kind.acts(change, s).expect("the values are known")).collect()
    }

    /// The summary of the one problem a change has.
    #[track_caller]
    pub(in crate::resource) fn refused(kind: &dyn HostKind, change: &Change) -> String {
        plan(kind, change).expect_err("the change cannot be planned")[0].summary.clone()
    }

    /// What the answers make of an object.
    pub(in crate::resource) fn observe(
        kind: &dyn HostKind,
        identity: Json,
        answers: Vec<(Probe, Answer)>,
    ) -> Observation {
        kind.observe(&obj(identity), &Facts::default(), &answers.into_iter().collect())
    }

    /// The program of an act that runs one.
    #[track_caller]
    pub(in crate::resource) fn argv(act: &Act) -> Vec<&str> {
        let Act::Run { argv, .. } = act else { panic!("{act:?} runs nothing") };
        argv.iter().map(String::as_str).collect()
    }
}
