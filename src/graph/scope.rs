//! What names mean inside one module instance.

use std::sync::Arc;

use coxswain_lang::Reference;
use coxswain_lang::ast::RefStep;
use coxswain_lang::eval::{FileAnswer, Need, Scope, Stop};
use coxswain_model::diagnostic::suggest;
use coxswain_model::{Diagnostic, InstanceId, Key, Marks, Num, Object, ResourceRef, Span, Type, Value};

use super::{Done, Each, Graph, ModId, NodeId, Shape};

/// A module instance, and `each` where the expression stands in a repeated block.
pub(crate) struct Within<'a, 'c> {
    pub(crate) graph: &'a Graph<'c>,
    pub(crate) module: ModId,
    pub(crate) each: Option<&'a Each>,
}

type Found = Result<(Value, usize), Stop>;

fn error(problem: Diagnostic) -> Stop {
    Stop::Error(vec![problem])
}

impl Within<'_, '_> {
    fn value_of(&self, node: NodeId) -> Result<Value, Stop> {
        match &self.graph.memo[node as usize] {
            Some(Done::Value(value)) => Ok(value.clone()),
            Some(_) => Ok(Value::unknown(Type::Any)),
            None => Err(Stop::Need(Need::Node(node))),
        }
    }

    fn reference_to(&self, id: InstanceId) -> Value {
        let address = self.graph.instance(id).address.clone();
        let value = Value::from(coxswain_model::Node::Ref(Arc::new(ResourceRef { address, id })));
        value.marked(&Marks::from_instance(id))
    }

    fn each_value(&self, reference: &Reference) -> Found {
        let name = match reference.steps.first() {
            Some(RefStep::Attr(name)) => name.as_ref(),
            _ => "",
        };
        let value = self.each.and_then(|each| match (reference.root.as_ref(), name, &each.key) {
            ("each", "key", Key::Str(key)) => Some(Value::from(key.as_ref())),
            ("each", "value", _) => Some(each.value.clone()),
            ("count", "index", Key::Int(n)) => Some(Value::from(Num::from(i128::from(*n)))),
            _ => None,
        });
        match value {
            Some(value) => Ok((value, 1)),
            None => Err(error(
                Diagnostic::error(
                    "misplaced-reference",
                    format!("`{}.{name}` means nothing here", reference.root),
                )
                .at(reference.span, "not in this block"),
            )),
        }
    }

    fn module_value(&self, reference: &Reference, name: &str) -> Found {
        let me = &self.graph.modules[self.module as usize];
        let Some(node) = me.calls.get(name).copied() else { return Ok((Value::unknown(Type::Any), 1)) };
        let (shape, found) = match &self.graph.memo[node as usize] {
            None => return Err(Stop::Need(Need::Node(node))),
            Some(Done::Modules(shape, found)) => (*shape, found.clone()),
            Some(Done::Unexpanded(marks)) => {
                return Ok((unexpanded(marks), reference.steps.len()));
            }
            Some(_) => return Ok((Value::unknown(Type::Any), reference.steps.len())),
        };
        match self.pick(reference, shape, &found)? {
            Pick::None => Ok((Value::null(), 1)),
            Pick::One(module, used) => self.one_module(reference, name, *module, used),
            Pick::All => {
                let mut all = Vec::new();
                for (key, module) in found.iter() {
                    all.push((key.clone(), self.outputs_of(*module)?));
                }
                Ok((collect(shape, all, &Type::Any), 1))
            }
        }
    }

    fn one_module(&self, reference: &Reference, name: &str, module: ModId, used: usize) -> Found {
        let outputs = &self.graph.modules[module as usize].outputs;
        let Some(RefStep::Attr(output)) = reference.steps.get(used) else {
            return Ok((self.outputs_of(module)?, used));
        };
        if let Some(node) = outputs.get(output) {
            return Ok((self.value_of(*node)?, used + 1));
        }
        let mut problem =
            Diagnostic::error("unknown-reference", format!("module `{name}` has no output `{output}`"));
        if let Some(near) = suggest(output, outputs.keys().map(AsRef::as_ref)) {
            problem = problem.detail(format!("Did you mean `{near}`?"));
        } else {
            problem = problem.detail("Only outputs of a module can be seen from outside.");
        }
        Err(error(problem.at(reference.span, "leads nowhere")))
    }

    fn outputs_of(&self, module: ModId) -> Result<Value, Stop> {
        let mut fields = Object::new();
        for (name, node) in &self.graph.modules[module as usize].outputs {
            fields.insert(name.clone(), self.value_of(*node)?);
        }
        Ok(Value::object(fields))
    }

    fn resource_value(&self, reference: &Reference, name: &str) -> Found {
        let me = &self.graph.modules[self.module as usize];
        let Some(node) = me.resources.get(&(reference.root.clone(), name.into())).copied() else {
            return Ok((Value::unknown(Type::Any), reference.steps.len()));
        };
        let (shape, found) = match &self.graph.memo[node as usize] {
            None => return Err(Stop::Need(Need::Node(node))),
            Some(Done::Instances(shape, found)) => (*shape, found.clone()),
            Some(Done::Unexpanded(marks)) => {
                return Ok((unexpanded(marks), reference.steps.len()));
            }
            Some(_) => return Ok((Value::unknown(Type::Any), reference.steps.len())),
        };
        match self.pick(reference, shape, &found)? {
            Pick::None => Ok((Value::null(), 1)),
            Pick::One(id, used) => Ok((self.reference_to(*id), used)),
            Pick::All => {
                let all = found.iter().map(|(key, id)| (key.clone(), self.reference_to(*id))).collect();
                Ok((collect(shape, all, &Type::reference(&reference.root)), 1))
            }
        }
    }

    /// The one instance that constant steps choose, or all.
    fn pick<'f, T>(
        &self,
        reference: &Reference,
        shape: Shape,
        found: &'f [(Option<Key>, T)],
    ) -> Result<Pick<'f, T>, Stop> {
        let key = match (shape, reference.steps.get(1)) {
            (Shape::Disabled, _) => return Ok(Pick::None),
            (Shape::Single, _) => {
                return Ok(found.first().map_or(Pick::None, |(_, item)| Pick::One(item, 1)));
            }
            (Shape::Each, Some(RefStep::Key(k))) => Key::Str(k.clone()),
            (Shape::Count, Some(RefStep::Index(n))) => Key::Int(*n),
            (
                Shape::Each | Shape::Count,
                None | Some(RefStep::Attr(_) | RefStep::Key(_) | RefStep::Index(_)),
            ) => {
                return Ok(Pick::All);
            }
        };
        // Keys are sorted, and a chain of many instances picks one of many each time.
        if let Ok(at) = found.binary_search_by(|(k, _)| k.as_ref().cmp(&Some(&key))) {
            return Ok(Pick::One(&found[at].1, 2));
        }
        let keys: Vec<String> =
            found.iter().filter_map(|(k, _)| k.as_ref().map(ToString::to_string)).take(10).collect();
        Err(error(
            Diagnostic::error("missing-instance", format!("there is no instance {key}"))
                .detail(if keys.is_empty() {
                    "It has no instances now.".into()
                } else {
                    format!("There are {}.", keys.join(", "))
                })
                .at(reference.span, "this instance"),
        ))
    }
}

enum Pick<'f, T> {
    None,
    One(&'f T, usize),
    All,
}

fn collect(shape: Shape, all: Vec<(Option<Key>, Value)>, elem: &Type) -> Value {
    if shape == Shape::Count {
        let items = all.into_iter().map(|(_, v)| v).collect();
        return match elem {
            Type::Any => Value::tuple(items),
            elem => Value::list(elem.clone(), items),
        };
    }
    let entries: Object = all
        .into_iter()
        .filter_map(|(key, value)| match key {
            Some(Key::Str(key)) => Some((key, value)),
            Some(Key::Int(_)) | None => None,
        })
        .collect();
    match elem {
        Type::Any => Value::object(entries),
        elem => Value::map(elem.clone(), entries),
    }
}

impl Scope for Within<'_, '_> {
    fn lookup(&self, reference: &Reference) -> Found {
        let me = &self.graph.modules[self.module as usize];
        if matches!(reference.root.as_ref(), "each" | "count") {
            return self.each_value(reference);
        }
        let Some(RefStep::Attr(name)) = reference.steps.first() else {
            return Err(error(
                Diagnostic::error(
                    "incomplete-reference",
                    format!("`{}` alone is not a value", reference.root),
                )
                .at(reference.span, "a name is missing"),
            ));
        };
        let named = |map: &std::collections::BTreeMap<Arc<str>, NodeId>| match map.get(name) {
            Some(node) => Ok((self.value_of(*node)?, 1)),
            None => Ok((Value::unknown(Type::Any), reference.steps.len())),
        };
        match reference.root.as_ref() {
            "var" => named(&me.variables),
            "local" => named(&me.locals),
            "module" => self.module_value(reference, name),
            "builtin" => Ok((crate::builtin::value(name).unwrap_or_else(Value::null), 1)),
            "path" => {
                let dir = &self.graph.config.modules[me.module].dir;
                let text = if name.as_ref() == "root" || dir.is_empty() { "." } else { dir };
                Ok((Value::from(text), 1))
            }
            _ => self.resource_value(reference, name),
        }
    }

    fn ref_attr(&self, target: &Value, name: &str, span: Span) -> Result<Value, Stop> {
        let Some(found) = target.as_ref() else { return Ok(Value::unknown(Type::Any)) };
        let instance = self.graph.instance(found.id);
        let marks = Marks::from_instance(found.id);
        if name == "host" {
            let args = self.graph.args(found.id).map(Some).or_else(silent)?;
            return Ok(args.and_then(|a| a.host.clone()).unwrap_or_else(Value::null).marked(&marks));
        }
        let Some(attr) = instance.schema.attr(name) else {
            let kind = instance.schema.kind;
            let mut problem =
                Diagnostic::error("unsupported-attribute", format!("`{kind}` has no attribute `{name}`"));
            problem = match suggest(name, instance.schema.attributes.iter().map(|a| a.name)) {
                Some(near) => problem.detail(format!("Did you mean `{near}`?")).fix(span, near),
                None => problem.detail(format!("`{}` is a {kind}.", found.address)),
            };
            return Err(error(problem.at(span, "unknown attribute")));
        };
        let mut value = if attr.is_argument() {
            let args = self.graph.args(found.id).map(Some).or_else(silent)?;
            match args {
                Some(args) => args
                    .object
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| coxswain_model::Node::Null(attr.ty.to_type()).into()),
                None => Value::unknown(attr.ty.to_type()),
            }
        } else {
            match &self.graph.memo[instance.object as usize] {
                Some(Done::Object(object)) => {
                    object.get(name).cloned().unwrap_or_else(|| Value::unknown(attr.ty.to_type()))
                }
                Some(_) => Value::unknown(attr.ty.to_type()),
                None => return Err(Stop::Need(Need::Node(instance.object))),
            }
        };
        if attr.sensitive {
            value = value.sensitive();
        }
        Ok(value.marked(&marks))
    }

    fn ref_object(&self, target: &Value, span: Span) -> Result<Value, Stop> {
        let Some(found) = target.as_ref() else { return Ok(Value::unknown(Type::Any)) };
        let mut fields = Object::new();
        for attr in self.graph.instance(found.id).schema.attributes {
            fields.insert(attr.name.into(), self.ref_attr(target, attr.name, span)?);
        }
        Ok(Value::object(fields).marked(&Marks::from_instance(found.id)))
    }

    fn file(&self, need: &Need, span: Span) -> Result<FileAnswer, Stop> {
        match self.graph.inputs.files.get(need) {
            None => Err(Stop::Need(need.clone())),
            Some(Ok(answer)) => Ok(answer.clone()),
            Some(Err(reason)) => Err(error(
                Diagnostic::error("unreadable-file", reason.clone())
                    .detail("Paths are relative to the root directory of the configuration.")
                    .at(span, "read here"),
            )),
        }
    }
}

/// Arguments that failed have been reported; whoever uses them goes on with unknown values.
fn silent<T>(stop: Stop) -> Result<Option<T>, Stop> {
    match stop {
        Stop::Error(problems) if problems.is_empty() => Ok(None),
        stop => Err(stop),
    }
}

/// The scope of a value given on the command line: there are no names in it.
pub(crate) struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, reference: &Reference) -> Found {
        Err(error(Diagnostic::error("unknown-reference", format!("`{}` means nothing here", reference.root))))
    }
    fn ref_attr(&self, _: &Value, _: &str, _: Span) -> Result<Value, Stop> {
        Ok(Value::unknown(Type::Any))
    }
    fn ref_object(&self, _: &Value, _: Span) -> Result<Value, Stop> {
        Ok(Value::unknown(Type::Any))
    }
    fn file(&self, _: &Need, span: Span) -> Result<FileAnswer, Stop> {
        Err(error(Diagnostic::error("unreadable-file", "files cannot be read here").at(span, "")))
    }
}

/// What stands for instances whose keys are not known yet.
fn unexpanded(marks: &Marks) -> Value {
    Value::unknown(Type::Any).marked(&Marks { later: true, ..marks.clone() })
}
