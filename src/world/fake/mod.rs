//! A test double of the world: hosts as data.
//!
//! Probes are answered from a model, acts change it, and common programs are understood roughly. Every call is
//! logged in order, without contents. Nothing here touches a machine; no command uses it outside tests.
//!
//! ```json
//! { "host.a": { "machine_id": "a1", "paths": { "/etc/motd": { "type": "file", "content": "hi\n" } },
//!               "on": [ { "argv_prefix": ["apt-get"], "code": 100, "stderr": "no" } ] },
//!   "controller": {} }
//! ```

mod acts;
mod commands;
mod guard;
mod model;
mod said;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::script::acts::title;
use super::{Connection, World, WorldError};
use crate::resource::act::{Act, ActDone};
use crate::resource::answer::Answer;
use crate::resource::kind::{Endpoint, HostId};
use crate::resource::probe::Probe;

pub use model::{HostModel, Node, Package, Rule, Unit, User};

/// A failure that happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next read fails.
    Read(WorldError),
    /// The next row of acts fails before anything is done.
    Before(WorldError),
    /// The next row of acts fails after this many acts were done.
    After(usize, WorldError),
    /// The next row of acts is done, and its outcome is lost.
    Lost(WorldError),
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<String, HostModel>,
    expected: BTreeMap<String, String>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    calls: Vec<String>,
    introduced: BTreeMap<String, (Arc<HostId>, Connection)>,
}

/// Hosts as data. Cheap to clone; clones share the model.
#[derive(Clone, Default)]
pub struct FakeWorld {
    state: Arc<Mutex<State>>,
}

impl FakeWorld {
    /// Takes hosts by the text of their address, and `controller` for this machine.
    ///
    /// # Errors
    /// When the text is not such a model.
    pub fn from_json(text: &str) -> Result<FakeWorld, serde_json::Error> {
        let mut hosts: BTreeMap<String, HostModel> = serde_json::from_str(text)?;
        for host in hosts.values_mut() {
            host.complete();
        }
        Ok(FakeWorld { state: Arc::new(Mutex::new(State { hosts, ..State::default() })) })
    }

    /// The model as it is now: sorted, without what every host has.
    pub fn to_json(&self) -> String {
        let state = self.lock();
        let hosts: BTreeMap<&String, HostModel> =
            state.hosts.iter().map(|(name, host)| (name, host.essential())).collect();
        serde_json::to_string_pretty(&hosts).unwrap_or_default()
    }

    /// All calls so far: `host.a read 3 probes`, `host.a act write /etc/motd`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    /// Changes a host by hand; one that is not there is made. Not logged.
    pub fn edit(&self, host: &str, change: impl FnOnce(&mut HostModel)) {
        let mut state = self.lock();
        let host = state.hosts.entry(host.to_owned()).or_default();
        host.complete();
        change(host);
        host.complete();
    }

    /// Merges JSON into a host's model: objects merge, `null` removes, everything else replaces. Not logged.
    ///
    /// # Errors
    /// When the result is not a host.
    pub fn patch(&self, host: &str, patch: &serde_json::Value) -> Result<(), serde_json::Error> {
        self.lock().hosts.entry(host.to_owned()).or_default().merge(patch)
    }

    /// Lets something go wrong at a host once. Faults of one host happen in the order they were given.
    pub fn fail_next(&self, host: &str, fault: Fault) {
        self.lock().faults.entry(host.to_owned()).or_default().push_back(fault);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an endpoint in the model.
fn name(at: &Endpoint) -> String {
    match at {
        Endpoint::Nowhere => "nowhere".to_owned(),
        Endpoint::Controller => "controller".to_owned(),
        Endpoint::Host(host) => host.address.to_string(),
    }
}

impl State {
    /// The host, if it can be reached and is the one we mean.
    fn reach(&mut self, at: &Endpoint) -> Result<&mut HostModel, WorldError> {
        let (name, endpoint) = (name(at), at.to_string());
        if *at == Endpoint::Nowhere {
            return Err(WorldError::Failed {
                endpoint,
                what: "ask".to_owned(),
                reason: "there is no world behind it".to_owned(),
            });
        }
        let expected = self.expected.get(&name).cloned();
        if *at == Endpoint::Controller && !self.hosts.contains_key(&name) {
            let mut host = HostModel::default();
            host.complete();
            self.hosts.insert(name.clone(), host);
        }
        let Some(host) = self.hosts.get_mut(&name) else {
            return Err(WorldError::Unreachable { endpoint, reason: "no such host".to_owned() });
        };
        if let Some(reason) = host.unreachable.clone() {
            host.look_in_vain();
            return Err(WorldError::Unreachable { endpoint, reason });
        }
        match expected {
            Some(expected) if expected != host.machine_id => {
                Err(WorldError::AnotherMachine { endpoint, found: host.machine_id.clone(), expected })
            }
            Some(_) | None => Ok(host),
        }
    }

    /// The next fault of a kind of call.
    fn take_fault(&mut self, at: &Endpoint, fits: fn(&Fault) -> bool) -> Option<Fault> {
        let faults = self.faults.get_mut(&name(at))?;
        let wanted = faults.iter().position(fits)?;
        faults.remove(wanted)
    }
}

#[async_trait]
impl World for FakeWorld {
    fn introduce(&self, host: &Arc<HostId>, connection: Connection) {
        let name = host.address.to_string();
        let mut state = self.lock();
        state.introduced.insert(name.clone(), (Arc::clone(host), connection.clone()));
        match connection.machine_id {
            Some(id) => state.expected.insert(name, id),
            None => state.expected.remove(&name),
        };
    }

    async fn read(&self, at: &Endpoint, probes: &[Probe]) -> Result<Vec<Answer>, WorldError> {
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.lock();
        let plural = if probes.len() == 1 { "" } else { "s" };
        state.calls.push(format!("{} read {} probe{plural}", name(at), probes.len()));
        if let Some(Fault::Read(error)) = state.take_fault(at, |f| matches!(f, Fault::Read(_))) {
            return Err(error);
        }
        let host = state.reach(at)?;
        Ok(probes.iter().map(|probe| host.answer(&name(at), probe)).collect())
    }

    async fn act(
        &self,
        at: &Endpoint,
        acts: &[Act],
        _limit: Duration,
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<Vec<ActDone>, WorldError> {
        let mut state = self.lock();
        let fault = state.take_fault(at, |f| !matches!(f, Fault::Read(_)));
        if let Some(Fault::Before(error)) = fault {
            state.calls.push(format!("{} fails before acting", name(at)));
            return Err(error);
        }
        state.reach(at)?;
        let mut done = Vec::new();
        for (index, act) in acts.iter().enumerate() {
            if let Some(Fault::After(count, error)) = &fault
                && *count == index
            {
                return Err(error.clone());
            }
            state.calls.push(format!("{} act {}", name(at), title(act)));
            progress(&title(act));
            let host = state.reach(at)?;
            let result = host.carry_out(act).map_err(|problem| problem.into_error(&at.to_string(), act))?;
            let code = result.code;
            done.push(result);
            if let Act::Run { ok, .. } = act
                && !ok.contains(&code)
            {
                break;
            }
        }
        match fault {
            Some(Fault::Lost(error) | Fault::After(_, error)) => Err(error),
            Some(Fault::Read(_) | Fault::Before(_)) | None => Ok(done),
        }
    }

    fn behind(&self, at: &Endpoint) -> Vec<Endpoint> {
        let introduced = &self.lock().introduced;
        let Some((_, way)) = introduced.get(&name(at)) else { return Vec::new() };
        let through = introduced.values().filter(|(_, connection)| connection.leads_through(&way.address));
        through.map(|(host, _)| Endpoint::Host(Arc::clone(host))).collect()
    }

    async fn knock(&self, at: &Endpoint) -> Result<(), WorldError> {
        let mut state = self.lock();
        state.calls.push(format!("{} knock", name(at)));
        state.reach(at).map(|_| ())
    }

    async fn disconnect(&self, at: &Endpoint) {
        self.lock().calls.push(format!("{} disconnect", name(at)));
    }
}

#[cfg(test)]
mod tests;
