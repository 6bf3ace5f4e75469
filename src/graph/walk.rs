//! The walk: demand first, with an explicit stack.

use coxswain_lang::ast::RefStep;
use coxswain_lang::eval::{Need, Stop};
use coxswain_lang::references;
use coxswain_lang::{Reference, evaluate};
use coxswain_model::{Diagnostic, InstanceId, Key, Node as Val, Value};

use super::args::{self, Keys};
use super::scope::Within;
use super::{Done, Each, Graph, ModId, NodeId, Objects, Shape, What};
use crate::config::Repeat;

struct Frame {
    node: NodeId,
    /// Entered because a reference stands in the text, not because its value was asked for.
    speculative: bool,
    /// How far the text's references have been pushed: expansions, then arguments and objects.
    pushed: u8,
}

impl Graph<'_> {
    /// Evaluates `root` and all it needs, as far as reads allow.
    pub(crate) fn walk(&mut self, root: NodeId, objects: &dyn Objects) {
        let mut stack = vec![Frame { node: root, speculative: false, pushed: 0 }];
        let mut on_stack = std::collections::HashMap::from([(root, 0)]);
        while let Some(top) = stack.last_mut() {
            let node = top.node;
            if self.is_settled(node) {
                on_stack.remove(&node);
                stack.pop();
                continue;
            }
            if top.pushed < 2 {
                top.pushed += 1;
                for next in self.mentioned(node, top.pushed) {
                    if !self.is_settled(next) && !on_stack.contains_key(&next) {
                        on_stack.insert(next, stack.len());
                        stack.push(Frame { node: next, speculative: true, pushed: 0 });
                    }
                }
                continue;
            }
            match self.evaluate_node(node, objects) {
                Ok(done) => self.memo[node as usize] = Some(done),
                Err(Stop::Error(problems)) => {
                    self.problems.extend(problems);
                    self.memo[node as usize] = Some(Done::Poison);
                }
                Err(Stop::Need(Need::Node(next))) if self.parked.contains(&next) => {
                    self.parked.insert(node);
                }
                Err(Stop::Need(Need::Node(next))) => match on_stack.get(&next).copied() {
                    None => {
                        on_stack.insert(next, stack.len());
                        stack.push(Frame { node: next, speculative: false, pushed: 0 });
                    }
                    Some(start) => self.close_cycle(&mut stack, &mut on_stack, start),
                },
                Err(Stop::Need(need)) => {
                    self.lacks.insert(need);
                    self.parked.insert(node);
                }
            }
        }
    }

    fn is_settled(&self, node: NodeId) -> bool {
        self.memo[node as usize].is_some() || self.parked.contains(&node)
    }

    /// The demand came back to a node on the stack. If a frame of the ring was entered by speculation, it is given
    /// up: its node may not be needed at all. Otherwise the ring is a cycle.
    fn close_cycle(
        &mut self,
        stack: &mut Vec<Frame>,
        on_stack: &mut std::collections::HashMap<NodeId, usize>,
        start: usize,
    ) {
        let speculative = (start + 1..stack.len()).rev().find(|i| stack[*i].speculative);
        let cut = speculative.unwrap_or(start);
        if speculative.is_none() {
            let ring: Vec<NodeId> = stack[start..].iter().map(|f| f.node).collect();
            let problem = self.cycle_problem(&ring);
            self.problems.push(problem);
            for node in ring {
                self.memo[node as usize] = Some(Done::Poison);
            }
        }
        for frame in stack.drain(cut..) {
            on_stack.remove(&frame.node);
        }
    }

    /// The nodes that the text of a node mentions: first what must be expanded, then arguments and objects.
    fn mentioned(&self, node: NodeId, pass: u8) -> Vec<NodeId> {
        let found = &self.nodes[node as usize];
        let mut out = Vec::new();
        if let What::Object(id) = found.what {
            if pass == 1 {
                out.push(self.instance(id).args);
            }
            return out;
        }
        let module = match found.what {
            What::Variable => match &self.modules[found.module as usize].call {
                Some((caller, _, _)) => *caller,
                None => return out,
            },
            _ => found.module,
        };
        for expr in self.expr_of(node) {
            for reference in references(expr) {
                match pass {
                    1 => out.extend(self.first_node(module, &reference)),
                    _ => out.extend(self.deeper_nodes(module, &reference)),
                }
            }
        }
        out
    }

    fn first_node(&self, module: ModId, reference: &Reference) -> Option<NodeId> {
        let Some(RefStep::Attr(name)) = reference.steps.first() else { return None };
        let module = &self.modules[module as usize];
        match reference.root.as_ref() {
            "var" => module.variables.get(name).copied(),
            "local" => module.locals.get(name).copied(),
            "module" => module.calls.get(name).copied(),
            "each" | "count" | "path" => None,
            _ => module.resources.get(&(reference.root.clone(), name.clone())).copied(),
        }
    }

    fn deeper_nodes(&self, module: ModId, reference: &Reference) -> Vec<NodeId> {
        let Some(first) = self.first_node(module, reference) else { return Vec::new() };
        match &self.memo[first as usize] {
            Some(Done::Instances(shape, found)) => {
                let (key, attr) = key_and_attr(*shape, &reference.steps[1..]);
                let Some(attr) = attr else { return Vec::new() };
                let at = if key.is_none() { Ok(0) } else { found.binary_search_by(|(k, _)| k.cmp(&key)) };
                let picked = at.ok().and_then(|at| found.get(at));
                picked.map(|(_, id)| self.node_for_attr(*id, attr)).into_iter().collect()
            }
            Some(Done::Modules(shape, found)) => {
                let (key, attr) = key_and_attr(*shape, &reference.steps[1..]);
                let Some(attr) = attr else { return Vec::new() };
                let picked = found.iter().filter(|(k, _)| key.is_none() || *k == key).take(1);
                picked.filter_map(|(_, m)| self.modules[*m as usize].outputs.get(attr).copied()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The node that holds an attribute of an instance: its arguments where the configuration says it.
    pub(crate) fn node_for_attr(&self, id: InstanceId, attr: &str) -> NodeId {
        let instance = self.instance(id);
        if attr == "host" || instance.schema.attr(attr).is_some_and(|a| a.is_argument()) {
            instance.args
        } else {
            instance.object
        }
    }

    fn evaluate_node(&mut self, node: NodeId, objects: &dyn Objects) -> Result<Done, Stop> {
        let found = self.nodes[node as usize].clone();
        let module = &self.config.modules[self.modules[found.module as usize].module];
        match found.what {
            What::Variable => self.evaluate_variable(node).map(Done::Value),
            What::Local => {
                let scope = Within { graph: self, module: found.module, each: None };
                evaluate(&module.locals[&found.name].expr, &scope).map(Done::Value)
            }
            What::Output => {
                let output = &module.outputs[&found.name];
                let scope = Within { graph: self, module: found.module, each: None };
                let value = evaluate(&output.value, &scope)?;
                Ok(Done::Value(if output.sensitive { value.sensitive() } else { value }))
            }
            What::Call => {
                let call = &module.calls[&found.name];
                let keys = self.keys(found.module, &call.repeat)?;
                let parent = self.modules[found.module as usize].path.clone();
                let (target, name) = (call.module, found.name.clone());
                if target >= self.config.modules.len() {
                    return Ok(Done::Poison);
                }
                self.expanded(keys, |graph, key, each| {
                    let call = Some((found.module, name.clone(), each));
                    graph.add_module(target, parent.child(&name, key), call)
                })
                .map(|(shape, made)| Done::Modules(shape, made.into()))
                .or_else(|marks| Ok(Done::Unexpanded(marks)))
            }
            What::Resource => {
                let kind = found.kind.clone().expect("a resource node has a kind");
                let resource = &module.resources[&(kind, found.name)];
                let keys = self.keys(found.module, &resource.repeat)?;
                self.expanded(keys, |graph, key, each| graph.add_instance(node, key, each))
                    .map(|(shape, made)| Done::Instances(shape, made.into()))
                    .or_else(|marks| Ok(Done::Unexpanded(marks)))
            }
            What::Args(id) => args::evaluate_args(self, id).map(|a| Done::Args(a.into())),
            What::Object(id) => objects.object(self, id).map(|o| Done::Object(o.into())),
        }
    }

    /// Makes an instance of each key.
    fn expanded<T>(
        &mut self,
        keys: Keys,
        mut make: impl FnMut(&mut Self, Option<Key>, Option<Each>) -> T,
    ) -> Result<Expanded<T>, coxswain_model::Marks> {
        match keys {
            Keys::Single => Ok((Shape::Single, vec![(None, make(self, None, None))])),
            Keys::Disabled => Ok((Shape::Disabled, Vec::new())),
            Keys::Unknown(marks) => Err(marks),
            Keys::Many(shape, entries) => {
                let made = entries.into_iter().map(|(key, value)| {
                    let each = Each { key: key.clone(), value };
                    (Some(key.clone()), make(self, Some(key), Some(each)))
                });
                Ok((shape, made.collect()))
            }
        }
    }

    fn keys(&self, module: ModId, repeat: &Repeat) -> Result<Keys, Stop> {
        let scope = Within { graph: self, module, each: None };
        let (expr, value) = match repeat {
            Repeat::Single => return Ok(Keys::Single),
            Repeat::ForEach(e) | Repeat::Count(e) | Repeat::Enabled(e) => (e, evaluate(e, &scope)?),
        };
        args::keys(repeat, value).map_err(|(code, summary, detail)| {
            Stop::Error(vec![Diagnostic::error(code, summary).detail(detail).at(expr.span, "this value")])
        })
    }
}

/// The key and the attribute that follow a resource's name.
fn key_and_attr(shape: Shape, steps: &[RefStep]) -> (Option<Key>, Option<&str>) {
    let (key, rest) = match (shape, steps) {
        (Shape::Each, [RefStep::Key(k), rest @ ..]) => (Some(Key::Str(k.clone())), rest),
        (Shape::Count, [RefStep::Index(n), rest @ ..]) => (Some(Key::Int(*n)), rest),
        (Shape::Single, rest) => (None, rest),
        _ => return (None, None),
    };
    match rest {
        [RefStep::Attr(name), ..] => (key, Some(name)),
        _ => (key, None),
    }
}

/// The value as a plain `true` or `false`.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match &value.node {
        Val::Bool(b) => Some(*b),
        Val::Str(s) if s.as_ref() == "true" => Some(true),
        Val::Str(s) if s.as_ref() == "false" => Some(false),
        _ => None,
    }
}

/// The instances made of keys.
type Expanded<T> = (Shape, Vec<(Option<Key>, T)>);
