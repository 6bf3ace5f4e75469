//! Configuration to resource instances, by demand. Pure.
//!
//! ```text
//! node: variable · local · output · module call · resource · arguments of an instance · object of an instance
//!   evaluate ─value→ memo
//!            ─Need(node)→ that node first (a cycle is seen the moment it closes)
//!            ─Need(read)→ parked: the caller answers and starts again
//! ```
//!
//! The walk keeps its own stack, so a chain of a hundred thousand resources needs no deep recursion. Every
//! value read from an instance carries that instance as its provenance: edges between instances are exact.

mod args;
mod cycle;
mod pattern;
mod scope;
mod variables;
mod walk;
mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_lang::eval::{FileAnswer, Need, Stop};
use coxswain_lang::{Expr, Reference};
use coxswain_model::{Address, Diagnostics, InstanceId, Key, Marks, ModulePath, Object, Schema, Span, Value};

pub use args::Args;
pub use pattern::Pattern;

use crate::config::{Config, Name, Resource};

/// What evaluation takes from outside, besides the configuration.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values of the root module's variables.
    pub variables: BTreeMap<Name, Given>,
    /// What was read on the controller so far; an error is its reason.
    pub files: BTreeMap<Need, Result<FileAnswer, String>>,
}

/// A value somebody gave to a variable of the root module.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The value: text as typed, or a value from a file.
    pub value: GivenValue,
    /// Where it came from: `--var`, `env/prod.hclvars`.
    pub origin: String,
}

/// See [`Given`].
#[derive(Debug, Clone, PartialEq)]
pub enum GivenValue {
    /// Text: taken as it is for a string, else read as an expression.
    Text(String),
    /// A value.
    Value(Value),
}

/// The value of an expression in which no name means anything.
///
/// # Errors
/// Every problem in it.
pub fn constant(expr: &Expr) -> Result<Value, Stop> {
    coxswain_lang::evaluate(expr, &scope::Nothing)
}

/// A node, by its position.
pub(crate) type NodeId = u32;
/// A module instance, by its position.
pub(crate) type ModId = u32;

/// Most keys one `for_each` or `count` may have: beyond it, it is a mistake.
pub const INSTANCE_LIMIT: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Variable,
    Local,
    Output,
    Call,
    Resource,
    Args(InstanceId),
    Object(InstanceId),
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) module: ModId,
    /// The name of the variable, local, output or call; of a resource, its name.
    pub(crate) name: Name,
    /// The kind of a resource.
    pub(crate) kind: Option<Name>,
}

/// What came of a node.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    Value(Value),
    Modules(Shape, Arc<Vec<(Option<Key>, ModId)>>),
    Instances(Shape, Arc<Vec<(Option<Key>, InstanceId)>>),
    /// The keys are not known yet; the marks say because of which instances.
    Unexpanded(Marks),
    Args(Arc<Args>),
    Object(Arc<Object>),
    /// It failed; the problem has been reported.
    Poison,
}

/// How a block is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Disabled,
    Each,
    Count,
}

/// `each` or `count` of one instance.
#[derive(Debug, Clone)]
pub(crate) struct Each {
    pub(crate) key: Key,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) struct ModInst {
    pub(crate) module: usize,
    pub(crate) path: ModulePath,
    /// The calling module instance, the call's name and its `each`.
    pub(crate) call: Option<(ModId, Name, Option<Each>)>,
    pub(crate) variables: BTreeMap<Name, NodeId>,
    pub(crate) locals: BTreeMap<Name, NodeId>,
    pub(crate) outputs: BTreeMap<Name, NodeId>,
    pub(crate) calls: BTreeMap<Name, NodeId>,
    pub(crate) resources: BTreeMap<(Name, Name), NodeId>,
}

/// A resource instance.
#[derive(Debug)]
pub struct Instance {
    /// Its number.
    pub id: InstanceId,
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub schema: &'static Schema,
    pub(crate) module: ModId,
    pub(crate) each: Option<Each>,
    pub(crate) args: NodeId,
    pub(crate) object: NodeId,
}

/// Gives the attributes of instances that the configuration does not say: computed ones and facts.
pub trait Objects {
    /// Every attribute of the instance that is known or known to be unknown.
    ///
    /// # Errors
    /// `Stop::Need(Need::Instance)` when reads are lacking; the implementor remembers which.
    fn object(&self, graph: &Graph<'_>, id: InstanceId) -> Result<Object, Stop>;
}

/// The evaluation of one configuration.
pub struct Graph<'c> {
    pub(crate) config: &'c Config,
    pub(crate) inputs: Inputs,
    pub(crate) modules: Vec<ModInst>,
    instances: Vec<Instance>,
    by_address: BTreeMap<Address, InstanceId>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) memo: Vec<Option<Done>>,
    parked: BTreeSet<NodeId>,
    lacks: BTreeSet<Need>,
    /// Everything that is wrong.
    pub problems: Diagnostics,
}

impl<'c> Graph<'c> {
    /// A graph of the root module; nothing is evaluated yet.
    pub fn new(config: &'c Config, inputs: Inputs) -> Graph<'c> {
        let mut graph = Graph {
            config,
            inputs,
            modules: Vec::new(),
            instances: Vec::new(),
            by_address: BTreeMap::new(),
            nodes: Vec::new(),
            memo: Vec::new(),
            parked: BTreeSet::new(),
            lacks: BTreeSet::new(),
            problems: Diagnostics::new(),
        };
        if !config.modules.is_empty() {
            graph.add_module(0, ModulePath::ROOT, None);
        }
        graph
    }

    fn node(&mut self, what: What, module: ModId, name: &Name, kind: Option<&Name>) -> NodeId {
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { what, module, name: name.clone(), kind: kind.cloned() });
        self.memo.push(None);
        id
    }

    pub(crate) fn add_module(
        &mut self,
        module: usize,
        path: ModulePath,
        call: Option<(ModId, Name, Option<Each>)>,
    ) -> ModId {
        let id = u32::try_from(self.modules.len()).unwrap_or(u32::MAX);
        let config = &self.config.modules[module];
        let mut named = |what, names: Vec<&Name>| -> BTreeMap<Name, NodeId> {
            names.into_iter().map(|name| (name.clone(), self.node(what, id, name, None))).collect()
        };
        let variables = named(What::Variable, config.variables.keys().collect());
        let locals = named(What::Local, config.locals.keys().collect());
        let outputs = named(What::Output, config.outputs.keys().collect());
        let calls = named(What::Call, config.calls.keys().collect());
        let resources = config
            .resources
            .keys()
            .map(|(kind, name)| {
                ((kind.clone(), name.clone()), self.node(What::Resource, id, name, Some(kind)))
            })
            .collect();
        self.modules.push(ModInst { module, path, call, variables, locals, outputs, calls, resources });
        id
    }

    pub(crate) fn add_instance(&mut self, node: NodeId, key: Option<Key>, each: Option<Each>) -> InstanceId {
        let Node { module, name, kind, .. } = self.nodes[node as usize].clone();
        let kind = kind.expect("a resource node has a kind");
        let schema = self.config.modules[self.modules[module as usize].module].resources
            [&(kind.clone(), name.clone())]
            .schema;
        let address = Address {
            module: self.modules[module as usize].path.clone(),
            kind: kind.clone(),
            name: name.clone(),
            key,
        };
        let id = InstanceId(u32::try_from(self.instances.len()).unwrap_or(u32::MAX));
        let args = self.node(What::Args(id), module, &name, Some(&kind));
        let object = self.node(What::Object(id), module, &name, Some(&kind));
        self.by_address.insert(address.clone(), id);
        self.instances.push(Instance { id, address, schema, module, each, args, object });
        id
    }

    /// Evaluates everything: all calls, all resources, all arguments and objects, the outputs of the root.
    pub fn evaluate_all(&mut self, objects: &dyn Objects) {
        let (mut module, mut instance, mut round) = (0, 0, 0);
        // Modules and instances appear while walking; the loop ends when a pass finds nothing new.
        while module < self.modules.len() || instance < self.instances.len() {
            while module < self.modules.len() {
                let found = &self.modules[module];
                let nodes: Vec<NodeId> = found
                    .variables
                    .values()
                    .chain(found.locals.values())
                    .chain(found.calls.values())
                    .chain(found.resources.values())
                    .copied()
                    .collect();
                nodes.into_iter().for_each(|node| self.walk(node, objects));
                module += 1;
            }
            while instance < self.instances.len() {
                let object = self.instances[instance].object;
                self.walk(object, objects);
                instance += 1;
            }
            round += 1;
            debug_assert!(round < 1_000_000, "every pass sees a new module or instance");
        }
        for node in self.root_outputs().into_iter().map(|(_, node)| node).collect::<Vec<_>>() {
            self.walk(node, objects);
        }
    }

    /// Evaluates what is needed for one instance's arguments; `None` while something is lacking or wrong.
    pub fn evaluate_args(&mut self, address: &Address, objects: &dyn Objects) -> Option<Arc<Args>> {
        self.forget_parked();
        self.expand_to(address, objects);
        let id = self.find(address)?;
        let node = self.instances[id.0 as usize].args;
        self.walk(node, objects);
        self.args(id).ok()
    }

    /// Expands every module call and every resource of one kind, without evaluating anything else on purpose.
    pub fn expand_kind(&mut self, kind: &str, objects: &dyn Objects) {
        let mut at = 0;
        while at < self.modules.len() {
            let found = &self.modules[at];
            let of_kind =
                found.resources.iter().filter(|((k, _), _)| k.as_ref() == kind).map(|(_, node)| *node);
            let nodes: Vec<NodeId> = found.calls.values().copied().chain(of_kind).collect();
            nodes.into_iter().for_each(|node| self.walk(node, objects));
            at += 1;
        }
    }

    /// Expands the calls and the resource on the way to an instance.
    fn expand_to(&mut self, address: &Address, objects: &dyn Objects) {
        let mut module: ModId = 0;
        for step in &address.module.0 {
            let Some(node) = self.modules[module as usize].calls.get(&step.name).copied() else { return };
            self.walk(node, objects);
            let Some(Done::Modules(_, found)) = &self.memo[node as usize] else { return };
            let Some((_, next)) = found.iter().find(|(key, _)| *key == step.key) else { return };
            module = *next;
        }
        let key = (address.kind.clone(), address.name.clone());
        if let Some(node) = self.modules[module as usize].resources.get(&key).copied() {
            self.walk(node, objects);
        }
    }

    /// The outputs of the root module.
    pub(crate) fn root_outputs(&self) -> Vec<(Name, NodeId)> {
        self.modules
            .first()
            .map_or_else(Vec::new, |m| m.outputs.iter().map(|(n, id)| (n.clone(), *id)).collect())
    }

    /// The values of the root module's outputs, as far as they are there; with whether they are sensitive by their block.
    pub fn outputs(&self) -> Vec<(Name, Value)> {
        let values =
            self.root_outputs().into_iter().filter_map(|(name, node)| match &self.memo[node as usize] {
                Some(Done::Value(value)) => Some((name, value.clone())),
                _ => None,
            });
        values.collect()
    }

    /// Evaluates the root outputs again as far as they can be (at the end of a run).
    pub fn evaluate_outputs(&mut self, objects: &dyn Objects) {
        self.forget_parked();
        for (_, node) in self.root_outputs() {
            self.walk(node, objects);
        }
    }

    /// Every instance found so far, by number.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }
    /// The instance of this number.
    pub fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id.0 as usize]
    }
    /// The instance of this address.
    pub fn find(&self, address: &Address) -> Option<InstanceId> {
        self.by_address.get(address).copied()
    }
    /// The block an instance came from.
    pub fn resource(&self, id: InstanceId) -> &'c Resource {
        let instance = self.instance(id);
        let module = &self.config.modules[self.modules[instance.module as usize].module];
        &module.resources[&(instance.address.kind.clone(), instance.address.name.clone())]
    }
    /// Resources whose keys are not known yet, with the instances that is because of.
    pub fn unexpanded(&self) -> Vec<(Address, Marks)> {
        let mut found = Vec::new();
        for (node, done) in self.nodes.iter().zip(&self.memo) {
            if let (What::Resource | What::Call, Some(Done::Unexpanded(marks))) = (node.what, done) {
                let module = self.modules[node.module as usize].path.clone();
                let kind = node.kind.clone().unwrap_or_else(|| "module".into());
                found.push((Address { module, kind, name: node.name.clone(), key: None }, marks.clone()));
            }
        }
        found
    }
    /// Where the arguments of an instance stand.
    pub fn span(&self, id: InstanceId) -> Span {
        self.resource(id).span
    }
    /// The evaluated arguments.
    ///
    /// # Errors
    /// The need for them, while they are not there; `Error` without problems when they failed.
    pub fn args(&self, id: InstanceId) -> Result<Arc<Args>, Stop> {
        let node = self.instance(id).args;
        match &self.memo[node as usize] {
            Some(Done::Args(args)) => Ok(args.clone()),
            Some(_) => Err(Stop::Error(Diagnostics::new())),
            None => Err(Stop::Need(Need::Node(node))),
        }
    }
    /// The node of an instance's object, for [`Need::Node`].
    pub fn object_node(&self, id: InstanceId) -> u32 {
        self.instance(id).object
    }
    /// Whether a node has been evaluated.
    pub fn is_evaluated(&self, node: u32) -> bool {
        self.memo[node as usize].is_some()
    }
    /// What the controller still has to read for the evaluation to go on.
    pub fn lacks(&self) -> impl Iterator<Item = &Need> {
        self.lacks.iter()
    }
    /// Whether anything waits for reads.
    pub fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }
    fn forget_parked(&mut self) {
        self.parked.clear();
        self.lacks.clear();
    }

    /// All instances a reference stands for (`depends_on`): one, all of a resource, or all inside a module.
    pub fn covered(&self, from: InstanceId, reference: &Reference) -> Vec<InstanceId> {
        self.covered_from(&self.modules[self.instance(from).module as usize].path, reference)
    }

    /// As [`Graph::covered`], seen from a module instance.
    pub fn covered_from(&self, base: &ModulePath, reference: &Reference) -> Vec<InstanceId> {
        let Some(pattern) = Pattern::of(base, reference) else { return Vec::new() };
        pattern.within(&self.by_address).map(|(_, id)| *id).collect()
    }

    /// `depends_on` of the module calls around an instance, with the module instances they stand in.
    pub fn call_dependencies(&self, id: InstanceId) -> Vec<(&ModulePath, &'c [Reference])> {
        let mut found = Vec::new();
        let mut at = self.instance(id).module;
        while let Some((caller, name, _)) = &self.modules[at as usize].call {
            let caller_inst = &self.modules[*caller as usize];
            let call = &self.config.modules[caller_inst.module].calls[name];
            if !call.depends_on.is_empty() {
                found.push((&caller_inst.path, call.depends_on.as_slice()));
            }
            at = *caller;
        }
        found
    }

    pub(crate) fn expr_of(&self, node: NodeId) -> Vec<&'c Expr> {
        let found = &self.nodes[node as usize];
        let module = &self.config.modules[self.modules[found.module as usize].module];
        match found.what {
            What::Variable => variables::expressions(self, node),
            What::Local => vec![&module.locals[&found.name].expr],
            What::Output => vec![&module.outputs[&found.name].value],
            What::Call => args::repeat_expr(&module.calls[&found.name].repeat).into_iter().collect(),
            What::Resource => {
                let kind = found.kind.clone().expect("a resource node has a kind");
                args::repeat_expr(&module.resources[&(kind, found.name.clone())].repeat).into_iter().collect()
            }
            What::Args(id) => {
                let resource = self.resource(id);
                resource
                    .arguments
                    .values()
                    .map(|a| &a.expr)
                    .chain(&resource.host)
                    .chain(&resource.restart_on)
                    .collect()
            }
            What::Object(_) => Vec::new(),
        }
    }
}
