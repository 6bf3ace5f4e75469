//! How a plan is laid out for people: by place, then by address; equal changes on many hosts once.

use std::collections::BTreeMap;

use coxswain_model::schema::Placement;
use coxswain_model::{Address, ModulePath};

use crate::plan::{InstancePlan, Plan, PlannedStep};
use crate::resource::{self, Action};

/// On more hosts than this, equal changes of one resource are shown once.
pub const SPREAD: usize = 3;

/// Where instances live, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The same on several hosts.
    Hosts(Vec<Address>),
    /// On a host.
    Host(Address),
    /// On the machine coxswain runs on.
    ThisMachine,
    /// On none.
    Nowhere,
}

/// A heading with what is below it.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// Where.
    pub place: Place,
    /// What, by address.
    pub entries: Vec<Item<'a>>,
}

/// One instance, or several that change alike.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The address; with `[*]` for the key where it stands for several.
    pub label: String,
    /// The instance, or the first of several.
    pub instance: &'a InstancePlan,
    /// Its steps.
    pub steps: Vec<&'a PlannedStep>,
}

impl Place {
    /// The heading.
    pub fn title(&self) -> String {
        match self {
            Place::Hosts(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                format!("{} hosts: {}", hosts.len(), hosts.join(", "))
            }
            Place::Host(host) => host.to_string(),
            Place::ThisMachine => "this machine".to_owned(),
            Place::Nowhere => "no host".to_owned(),
        }
    }
    /// What a change behind our back is said to have happened on.
    pub fn noun(&self) -> &'static str {
        match self {
            Place::Hosts(_) | Place::Host(_) => "the host",
            Place::ThisMachine => "this machine",
            Place::Nowhere => "its side",
        }
    }
}

/// Where an instance lives: on its host; a host on itself; else where its kind says.
pub fn place(address: &Address, host: Option<&Address>) -> Place {
    if let Some(host) = host {
        return Place::Host(host.clone());
    }
    match resource::find(&address.kind).map(|kind| kind.schema().placement) {
        Some(Placement::IsHost) => Place::Host(address.clone()),
        None if address.kind.as_ref() == "host" => Place::Host(address.clone()),
        Some(Placement::Nowhere) => Place::Nowhere,
        Some(Placement::HostOrController | Placement::Host) | None => Place::ThisMachine,
    }
}

/// What a plan shows, in order.
pub fn sections(plan: &Plan) -> Vec<Section<'_>> {
    let mut steps: Vec<Vec<&PlannedStep>> = vec![Vec::new(); plan.instances.len()];
    for step in &plan.steps {
        if let Some(of) = steps.get_mut(step.instance) {
            of.push(step);
        }
    }
    let shown: Vec<(usize, &InstancePlan)> =
        plan.instances.iter().enumerate().filter(|(i, instance)| is_shown(instance, &steps[*i])).collect();
    let mut places: BTreeMap<Place, Vec<Item<'_>>> = BTreeMap::new();
    for group in groups(&shown) {
        let (at, first) = group[0];
        let (place, label) = if group.len() > SPREAD {
            let mut hosts: Vec<Address> = group.iter().filter_map(|(_, one)| one.host.clone()).collect();
            hosts.sort();
            (Place::Hosts(hosts), spread_label(&first.address))
        } else {
            (place(&first.address, first.host.as_ref()), first.address.to_string())
        };
        places.entry(place).or_default().push(Item { label, instance: first, steps: steps[at].clone() });
    }
    places
        .into_iter()
        .map(|(place, mut entries)| {
            entries.sort_by(|a, b| a.instance.address.cmp(&b.instance.address));
            Section { place, entries }
        })
        .collect()
}

fn is_shown(instance: &InstancePlan, steps: &[&PlannedStep]) -> bool {
    match instance.action {
        Action::NoOp | Action::Read => {
            !steps.is_empty() || instance.moved_from.is_some() || instance.restart || instance.settles
        }
        Action::Create
        | Action::Adopt
        | Action::Update
        | Action::Replace
        | Action::Delete
        | Action::Forget => true,
    }
}

/// Instances that change alike on more than [`SPREAD`] hosts together, every other alone.
fn groups<'a>(shown: &[(usize, &'a InstancePlan)]) -> Vec<Vec<(usize, &'a InstancePlan)>> {
    let mut alike: BTreeMap<String, Vec<(usize, &InstancePlan)>> = BTreeMap::new();
    for (at, instance) in shown {
        let key = match &instance.host {
            Some(_) if instance.moved_from.is_none() => likeness(instance),
            Some(_) | None => format!("{at:010}"),
        };
        alike.entry(key).or_default().push((*at, instance));
    }
    alike
        .into_values()
        .flat_map(|group| {
            let mut hosts: Vec<&Address> = group.iter().filter_map(|(_, i)| i.host.as_ref()).collect();
            hosts.sort();
            hosts.dedup();
            if group.len() > SPREAD && hosts.len() == group.len() {
                vec![group]
            } else {
                group.into_iter().map(|one| vec![one]).collect()
            }
        })
        .collect()
}

/// What two instances have in common when their changes read the same.
fn likeness(instance: &InstancePlan) -> String {
    let parts = (
        spread_label(&instance.address),
        &instance.identity,
        instance.action,
        &instance.reason,
        &instance.changes,
        instance.restart,
    );
    serde_json::to_string(&parts).unwrap_or_default()
}

/// The address with `[*]` for every key.
fn spread_label(address: &Address) -> String {
    let ModulePath(steps) = &address.module;
    let star = |key: bool| if key { "[*]" } else { "" };
    let mut label = String::new();
    for step in steps {
        label += &format!("module.{}{}.", step.name, star(step.key.is_some()));
    }
    label + &format!("{}.{}{}", address.kind, address.name, star(address.key.is_some()))
}
