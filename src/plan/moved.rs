//! Where recorded instances stand now: `moved` and `removed` blocks applied to the addresses of the state.

use std::collections::BTreeMap;

use crate::resource::connection::Connection;
use coxswain_model::{Address, Diagnostic, Diagnostics, ModulePath, Span};
use coxswain_state::{Record, State};

use super::imports::Imports;
use crate::config::{Config, Module};
use crate::graph::Pattern;

/// How often one address may be moved in a row.
const MOVES: usize = 16;

/// The records by the addresses they have after all moves.
pub struct Records<'a> {
    /// Record and former address, if it was another.
    pub by_address: BTreeMap<Address, (&'a Record, Option<Address>)>,
    /// The addresses of the hosts among them, by uid.
    pub hosts: BTreeMap<&'a str, Address>,
    /// The ports that recorded objects have sshd listen on, by the host's uid.
    pub ssh_ports: BTreeMap<&'a str, Vec<u16>>,
    /// What `removed` blocks say of an address: whether the object goes too.
    pub removed: BTreeMap<Address, bool>,
    /// What `import` blocks say is there already.
    pub(crate) imports: Imports,
    /// Moves onto an address that is taken.
    pub problems: Diagnostics,
}

/// Where sshd listens, and where it may listen since a step whose end is not known.
fn ssh_ports(record: &Record) -> impl Iterator<Item = u16> {
    let ports = record.attributes.get("ports").and_then(serde_json::Value::as_array);
    let ports = ports.into_iter().flatten().filter_map(|p| p.as_u64().and_then(|p| u16::try_from(p).ok()));
    ports.chain(record.other_ports.iter().copied())
}

impl<'a> Records<'a> {
    /// Adds what the state knows of a host to how it is reached: which machine it is, where its sshd listens.
    pub(crate) fn acquaint(&self, address: &Address, connection: &mut Connection) {
        let Some(record) = self.get(address) else { return };
        connection.machine_id =
            record.attributes.get("machine_id").and_then(|id| id.as_str()).map(Into::into);
        connection.other_ports = self.ssh_ports.get(record.uid.as_str()).cloned().unwrap_or_default();
    }

    /// Applies the blocks of the configuration to the state.
    pub fn new(config: &Config, state: &'a State) -> Records<'a> {
        let mut records = Records {
            by_address: BTreeMap::new(),
            hosts: BTreeMap::new(),
            ssh_ports: BTreeMap::new(),
            removed: BTreeMap::new(),
            imports: Imports::of(config),
            problems: Vec::new(),
        };
        let blocks = Blocks::of(config);
        for (address, record) in &state.instances {
            let (now, by) = blocks.moved(address);
            if let Some(destroy) = blocks.removed(&now) {
                records.removed.insert(now.clone(), destroy);
            }
            let former = (now != *address).then(|| address.clone());
            if let Some((_, other)) = records.by_address.get(&now) {
                let other = other.clone().unwrap_or_else(|| now.clone());
                let problem = Diagnostic::error(
                    "moved-onto-taken",
                    format!("`{address}` and `{other}` would both be `{now}`"),
                )
                .detail("Remove one of the `moved` blocks, or one of the objects first.")
                .of(&now);
                let by = by.or_else(|| blocks.moved(&other).1);
                records.problems.push(by.iter().fold(problem, |p, span| p.at(*span, "this block")));
                continue;
            }
            if let Some(uid) = record.endpoint.as_deref().filter(|_| record.kind == "sshd") {
                records.ssh_ports.entry(uid).or_default().extend(ssh_ports(record));
            }
            if record.kind == "host" {
                records.hosts.insert(&record.uid, now.clone());
            }
            records.by_address.insert(now, (record, former));
        }
        records
    }

    /// The `import` block of an instance that is not in the state; of one that is, the block means nothing any more.
    pub(crate) fn import(&self, address: &Address) -> Option<Span> {
        if self.by_address.contains_key(address) { None } else { self.imports.block_of(address) }
    }

    /// The record of an instance.
    pub fn get(&self, address: &Address) -> Option<&'a Record> {
        self.by_address.get(address).map(|(record, _)| *record)
    }
}

/// Every module as often as it is called, with its path; instances of a call are all alike.
pub(super) fn modules(config: &Config) -> Vec<(&Module, ModulePath)> {
    let (mut found, mut open) = (Vec::new(), vec![(0, ModulePath::ROOT)]);
    while let Some((at, path)) = open.pop() {
        let Some(module) = config.modules.get(at) else { continue };
        open.extend(module.calls.iter().map(|(name, call)| (call.module, path.child(name, None))));
        found.push((module, path));
    }
    found
}

struct Blocks {
    moved: Vec<(Pattern, Pattern, Span)>,
    removed: Vec<(Pattern, bool)>,
}

impl Blocks {
    /// The blocks of every module, seen from the root; instances of module calls are all alike.
    fn of(config: &Config) -> Blocks {
        let mut blocks = Blocks { moved: Vec::new(), removed: Vec::new() };
        for (module, path) in modules(config) {
            for block in &module.moved {
                if let (Some(from), Some(to)) =
                    (Pattern::of(&path, &block.from), Pattern::of(&path, &block.to))
                {
                    blocks.moved.push((from, to, block.span));
                }
            }
            for block in &module.removed {
                if let Some(from) = Pattern::of(&path, &block.from) {
                    blocks.removed.push((from, block.destroy));
                }
            }
        }
        blocks
    }

    /// The address an object has now, and the last block that moved it.
    fn moved(&self, address: &Address) -> (Address, Option<Span>) {
        let (mut now, mut by) = (address.clone(), None);
        for _ in 0..MOVES {
            let next = self.moved.iter().find_map(|(from, to, span)| Some((rename(from, to, &now)?, *span)));
            match next {
                Some((next, span)) if next != now => (now, by) = (next, Some(span)),
                Some(_) | None => break,
            }
        }
        (now, by)
    }

    fn removed(&self, address: &Address) -> Option<bool> {
        self.removed.iter().find(|(pattern, _)| pattern.covers(address)).map(|(_, destroy)| *destroy)
    }
}

/// The address that `from → to` makes of `address`, if it applies.
fn rename(from: &Pattern, to: &Pattern, address: &Address) -> Option<Address> {
    if !from.covers(address) {
        return None;
    }
    let mut steps = to.module.0.clone();
    // Where the block does not name an instance of a call, the address keeps the one it has.
    for (at, step) in steps.iter_mut().enumerate() {
        if step.key.is_none() && from.module.0.get(at).is_some_and(|f| f.key.is_none()) {
            step.key = address.module.0.get(at).and_then(|s| s.key.clone());
        }
    }
    steps.extend(address.module.0.iter().skip(from.module.0.len()).cloned());
    let mut now = Address { module: ModulePath(steps), ..address.clone() };
    if let (Some((_, _, from_key)), Some((kind, name, key))) = (&from.resource, &to.resource) {
        now.kind = kind.clone();
        now.name = name.clone();
        now.key = match (from_key, key) {
            (_, Some(key)) => Some(key.clone()),
            (Some(_), None) => None,
            (None, None) => address.key.clone(),
        };
    }
    Some(now)
}
