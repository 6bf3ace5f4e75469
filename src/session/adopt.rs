//! What is on a live host and nobody has written down yet.

use std::collections::BTreeMap;

use coxswain_model::{Address, Diagnostic, Diagnostics};

use super::{Failure, PlanRequest, READ_ROUNDS, Selection, Session, states};
use crate::plan::adopt::{self, Found, Taken};
use crate::plan::{self, Lacks, Mode, Plan, Seen};
use crate::resource::kind::{Answers, Endpoint, Kind};
use crate::resource::{self};

/// What is looked for.
#[derive(Debug, Clone)]
pub struct AdoptRequest {
    /// The host.
    pub host: Address,
    /// The kinds whose objects are looked for; all where there are none.
    pub kinds: Vec<String>,
    /// Files and directories.
    pub paths: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Adoptable {
    /// The objects.
    pub found: Found,
    /// The names of resources that the root module has, by kind.
    pub names: BTreeMap<String, Vec<String>>,
    /// What planning had to say.
    pub warnings: Diagnostics,
}

impl Session {
    /// Looks at a host. Changes nothing, neither there nor in the state.
    ///
    /// # Errors
    /// Problems of the configuration; a host that is not in it or cannot be read.
    pub async fn adopt(&mut self, request: &AdoptRequest) -> Result<Adoptable, Failure> {
        let kinds = kinds(&request.kinds)?;
        let all = PlanRequest { mode: Mode::Apply, selection: Selection::default(), allow_unreachable: true };
        let plan = self.plan(&all).await?;
        let (state, digester) = states::load(&self.options)?;
        let records = plan::Records::new(&self.config, &state);
        let hosts = plan::connections(&self.config, &self.inputs, &state, &records);
        let found =
            hosts.into_iter().find(|(host, _)| host.address == request.host && self.has(&host.address));
        let Some((host, connection)) = found else { return Err(self.no_such_host(&request.host)) };
        let taken = taken(&plan, &state, &request.host, &host.uid);
        let endpoint = Endpoint::Host(host);
        let mut seen = Seen::default();
        let none = Answers::new();
        for _ in 0..READ_ROUNDS {
            if let Some(unreached) = seen.unreadable.get(&endpoint) {
                return Err(Failure::other(
                    format!("reading {}", request.host),
                    unreached.reason.clone(),
                    "mend the way to it; `coxswain plan` says more",
                ));
            }
            let digest = |bytes: &[u8]| digester.digest(bytes);
            let looked = adopt::find(&adopt::Request {
                endpoint: &endpoint,
                kinds: &kinds,
                paths: &request.paths,
                taken: &taken,
                answers: seen.answers.get(&endpoint).unwrap_or(&none),
                digest: &digest,
            });
            match looked {
                Ok(found) => return Ok(Adoptable { found, names: self.names(), warnings: plan.warnings }),
                Err(probes) => {
                    let lacks = Lacks {
                        probes: BTreeMap::from([(endpoint.clone(), probes)]),
                        connections: BTreeMap::from([(endpoint.clone(), connection.clone())]),
                        ..Lacks::default()
                    };
                    crate::observe::observe(&self.world, &lacks, &mut seen, &self.options.notices).await;
                }
            }
        }
        Err(Failure::other("looking", "the reads did not end", "report this: it should not happen"))
    }

    /// Whether the root module has the host: a block in it can name no other.
    fn has(&self, host: &Address) -> bool {
        let root = self.config.modules.first();
        host.module.0.is_empty()
            && root.is_some_and(|m| m.resources.contains_key(&(host.kind.clone(), host.name.clone())))
    }

    fn no_such_host(&self, host: &Address) -> Failure {
        let names = self.names();
        let hosts: Vec<String> =
            names.get("host").into_iter().flatten().map(|n| format!("host.{n}")).collect();
        let why = match hosts.is_empty() {
            true => "the root module has no host".to_owned(),
            false => format!("the root module has no such host; it has {}", hosts.join(", ")),
        };
        let next = "name a host of it, with its key where it has one: host.node[\"a\"]";
        Failure::other(format!("looking for {host}"), why, next)
    }

    fn names(&self) -> BTreeMap<String, Vec<String>> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (kind, name) in self.config.modules.first().into_iter().flat_map(|m| m.resources.keys()) {
            names.entry(kind.to_string()).or_default().push(name.to_string());
        }
        names
    }
}

/// The kinds of these names.
fn kinds(names: &[String]) -> Result<Vec<&'static dyn Kind>, Failure> {
    if names.is_empty() {
        return Ok(resource::KINDS.to_vec());
    }
    let mut problems = Diagnostics::new();
    let mut found = Vec::new();
    let all = || resource::KINDS.iter().map(|k| k.schema()).filter(|s| s.documented).map(|s| s.kind);
    for name in names {
        match resource::find(name) {
            Some(kind) => found.push(kind),
            None => {
                let problem = Diagnostic::error("unknown-kind", format!("there is no kind `{name}`"));
                problems.push(match coxswain_model::diagnostic::suggest(name, all()) {
                    Some(near) => problem.detail(format!("Did you mean `{near}`?")),
                    None => problem.detail(format!("There are: {}.", all().collect::<Vec<_>>().join(", "))),
                });
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Failure::Diagnostics(problems)) }
}

/// What is on the host and in the state, or will be once the configuration is applied.
fn taken(plan: &Plan, state: &coxswain_state::State, host: &Address, uid: &str) -> Taken {
    let mut taken = Taken::default();
    for record in state.instances.values().filter(|r| r.endpoint.as_deref() == Some(uid)) {
        if let Some(kind) = resource::find(&record.kind) {
            taken.add(kind.schema(), &record.identity, Some(&record.attributes));
        }
    }
    for instance in plan.instances.iter().filter(|i| i.host.as_ref() == Some(host)) {
        if let Some(kind) = resource::find(&instance.address.kind) {
            let desired = instance.desired.as_ref().and_then(serde_json::Value::as_object);
            taken.add(kind.schema(), &instance.identity, desired);
        }
    }
    taken
}
