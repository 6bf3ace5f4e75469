//! The arguments of an instance, and the keys of a repeated block.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_lang::convert::convert;
use coxswain_lang::eval::{FileAnswer, Need, Scope, Stop};
use coxswain_lang::{Attribute, Expr, evaluate};
use coxswain_model::schema::{Attr, AttrType, Class};
use coxswain_model::{Diagnostic, Diagnostics, InstanceId, Key, Marks, Node, Object, Span, Value};

use super::scope::Within;
use super::{Graph, INSTANCE_LIMIT, Shape};
use crate::config::{Name, Repeat};

/// What a block says of one instance, evaluated and converted.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Its arguments by name, of the schema's types; defaults filled in; null is left out.
    pub object: Object,
    /// `host`.
    pub host: Option<Value>,
    /// The instances `restart_on` names.
    pub restart_on: Vec<InstanceId>,
    /// `lifecycle.on_destroy`.
    pub on_destroy: Option<Value>,
    /// `lifecycle.ignore_changes`.
    pub ignore_changes: Vec<Arc<str>>,
    /// The instances `lifecycle.replace_triggered_by` names.
    pub replace_triggered_by: Vec<InstanceId>,
    /// `timeouts`, `retry` and `rollout`: plain numbers by `block.name`.
    pub numbers: BTreeMap<String, u64>,
    /// Every instance a value was made from.
    pub marks: Marks,
}

/// What stands for a sensitive value in an error.
const SENSITIVE: &str = "(sensitive value)";

pub(crate) fn repeat_expr(repeat: &Repeat) -> Option<&Expr> {
    match repeat {
        Repeat::Single => None,
        Repeat::ForEach(e) | Repeat::Count(e) | Repeat::Enabled(e) => Some(e),
    }
}

/// The keys of a repeated block.
pub(crate) enum Keys {
    Single,
    Disabled,
    Unknown(Marks),
    Many(Shape, Vec<(Key, Value)>),
}

type Wrong = (&'static str, String, String);

/// The keys that the value of `for_each`, `count` or `enabled` means.
pub(crate) fn keys(repeat: &Repeat, value: Value) -> Result<Keys, Wrong> {
    if value.is_sensitive() && !matches!(repeat, Repeat::Single) {
        return Err((
            "sensitive-keys",
            "the keys of instances cannot be sensitive".into(),
            "Keys are part of addresses, and addresses are shown everywhere. Use nonsensitive(…) if the keys are no secret.".into(),
        ));
    }
    if !value.is_known() {
        return Ok(Keys::Unknown(value.deep_marks()));
    }
    match repeat {
        Repeat::Single => Ok(Keys::Single),
        Repeat::Enabled(_) => match super::walk::truth(&value) {
            Some(true) => Ok(Keys::Single),
            Some(false) => Ok(Keys::Disabled),
            None => Err((
                "invalid-enabled",
                "`enabled` is true or false".into(),
                format!("This is {}.", value.type_of()),
            )),
        },
        Repeat::Count(_) => count_keys(&value),
        Repeat::ForEach(_) => each_keys(value),
    }
}

fn count_keys(value: &Value) -> Result<Keys, Wrong> {
    let number = convert(value.clone(), &coxswain_model::Type::Num).ok();
    match number.as_ref().and_then(|v| v.as_num()).and_then(coxswain_model::Num::to_usize) {
        Some(n) if n <= INSTANCE_LIMIT => {
            let key = |i: usize| Key::Int(i as u64);
            Ok(Keys::Many(Shape::Count, (0..n).map(|i| (key(i), Value::null())).collect()))
        }
        Some(n) => Err(too_many(n)),
        None => Err((
            "invalid-count",
            "`count` is a whole number, 0 or more".into(),
            format!("This is {}.", short(value)),
        )),
    }
}

fn too_many(n: usize) -> Wrong {
    (
        "too-many-instances",
        format!("{n} instances of one block are too many"),
        format!("At most {INSTANCE_LIMIT} are allowed; this is probably a mistake in the expression."),
    )
}

fn short(value: &Value) -> String {
    let text = coxswain_model::json::to_text(value).unwrap_or_else(|_| value.type_of().to_string());
    if text.chars().count() > 60 { format!("{}…", text.chars().take(59).collect::<String>()) } else { text }
}

fn each_keys(value: Value) -> Result<Keys, Wrong> {
    let shape = "`for_each` is a map, an object or a set of strings";
    match &value.node {
        Node::Map(_, fields) | Node::Object(fields) if fields.len() <= INSTANCE_LIMIT => {
            let marks = &value.marks;
            let entries = fields.iter().map(|(k, v)| (Key::Str(k.clone()), v.clone().marked(marks)));
            Ok(Keys::Many(Shape::Each, entries.collect()))
        }
        Node::Map(_, fields) | Node::Object(fields) => Err(too_many(fields.len())),
        Node::Set(_, items) if items.len() > INSTANCE_LIMIT => Err(too_many(items.len())),
        Node::Set(_, items) => {
            let mut entries = Vec::with_capacity(items.len());
            for item in items.iter() {
                match &item.node {
                    Node::Str(s) => entries.push((Key::Str(s.clone()), item.clone().marked(&value.marks))),
                    Node::Unknown { .. } => return Ok(Keys::Unknown(value.deep_marks())),
                    _ => {
                        return Err((
                            "invalid-for-each",
                            shape.into(),
                            format!("One element is {}.", short(item)),
                        ));
                    }
                }
            }
            Ok(Keys::Many(Shape::Each, entries))
        }
        Node::Ref(found) => Err((
            "invalid-for-each",
            shape.into(),
            format!(
                "`{}` is one instance, not repeated; write {{ {} = {} }}.",
                found.address, found.address.name, found.address
            ),
        )),
        Node::List(..) | Node::Tuple(_) => Err((
            "invalid-for-each",
            shape.into(),
            "This is a list: write toset(…) where its elements are different strings.".into(),
        )),
        _ => Err(("invalid-for-each", shape.into(), format!("This is {}.", short(&value)))),
    }
}

/// Evaluates the arguments of an instance.
pub(crate) fn evaluate_args(graph: &Graph<'_>, id: InstanceId) -> Result<Args, Stop> {
    let instance = graph.instance(id);
    let scope = Within { graph, module: instance.module, each: instance.each.as_ref() };
    let resource = graph.resource(id);
    let mut reader = Reader { scope: &scope, needs: None, problems: Diagnostics::new() };
    let mut args = Args::default();
    for attr in instance.schema.attributes.iter().filter(|a| a.is_argument()) {
        let value = match resource.arguments.get(attr.name) {
            Some(argument) => reader.argument(attr, argument),
            None => attr.default_value().and_then(|v| convert(v, &attr.ty.to_type()).ok()),
        };
        if let Some(value) = value {
            args.object.insert(attr.name.into(), value);
        }
    }
    reader.fill(instance.schema, resource, &mut args.object);
    args.host = resource.host.as_ref().and_then(|e| reader.value(e));
    reader.check_host(&args, resource.host.as_ref());
    args.restart_on =
        resource.restart_on.as_ref().map_or_else(Vec::new, |e| reader.instances(e, "restart_on"));
    let lifecycle = &resource.lifecycle;
    args.on_destroy = lifecycle.on_destroy.as_ref().and_then(|e| reader.value(e));
    reader.check_word(args.on_destroy.as_ref(), lifecycle.on_destroy.as_ref());
    args.ignore_changes = lifecycle.ignore_changes.as_ref().map_or_else(Vec::new, |e| reader.names(e));
    reader.check_ignored(instance.schema, &args.ignore_changes, lifecycle.ignore_changes.as_ref());
    let triggers = &lifecycle.replace_triggered_by;
    args.replace_triggered_by =
        triggers.as_ref().map_or_else(Vec::new, |e| reader.instances(e, "replace_triggered_by"));
    for (block, table) in
        [("timeouts", &resource.timeouts), ("retry", &resource.retry), ("rollout", &resource.rollout)]
    {
        reader.numbers(block, table, &mut args.numbers);
    }
    for value in args.object.values().chain(&args.host) {
        args.marks.add(&value.deep_marks());
    }
    reader.finish(args)
}

struct Reader<'a> {
    scope: &'a Within<'a, 'a>,
    needs: Option<Need>,
    problems: Diagnostics,
}

impl Reader<'_> {
    fn finish(self, args: Args) -> Result<Args, Stop> {
        // A need comes first: with the answer the same problems are found again, and perhaps more.
        match (self.needs, self.problems.is_empty()) {
            (Some(need), _) => Err(Stop::Need(need)),
            (None, false) => Err(Stop::Error(self.problems)),
            (None, true) => Ok(args),
        }
    }

    fn value(&mut self, expr: &Expr) -> Option<Value> {
        match evaluate(expr, self.scope) {
            Ok(value) if value.is_null() => None,
            Ok(value) => Some(value),
            Err(Stop::Need(need)) => {
                self.needs.get_or_insert(need);
                None
            }
            Err(Stop::Error(problems)) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    fn wrong(&mut self, code: &'static str, summary: String, span: Span) {
        self.problems.push(Diagnostic::error(code, summary).at(span, "this value"));
    }

    fn argument(&mut self, attr: &Attr, argument: &Attribute) -> Option<Value> {
        let value = self.value(&argument.expr)?;
        let span = argument.expr.span;
        let value = match convert(spread_scalars(value, &attr.ty), &attr.ty.to_type()) {
            Ok(value) => value,
            Err(e) => {
                let place =
                    if e.path.is_empty() { attr.name.to_owned() } else { format!("{}{}", attr.name, e.path) };
                self.problems.push(
                    Diagnostic::error("wrong-type", format!("`{place}`: {}", e.reason))
                        .detail(attr.doc)
                        .at(span, "this value"),
                );
                return None;
            }
        };
        if value.is_null() {
            return None;
        }
        self.check_value(attr, &value, span);
        let value = if attr.ty == AttrType::Mode { pad_mode(value) } else { value };
        Some(if attr.sensitive { value.sensitive() } else { value })
    }

    fn check_value(&mut self, attr: &Attr, value: &Value, span: Span) {
        let is_name = attr.class == Class::Identity || attr.fills.is_some() || attr.claim.is_some();
        if is_name && value.deep_marks().sensitive {
            self.problems.push(
                Diagnostic::error("sensitive-name", format!("`{}` cannot be sensitive", attr.name))
                    .detail("It is a name, and names are shown everywhere. Use nonsensitive(…) if it is no secret.")
                    .at(span, "this value"),
            );
        }
        let shown =
            |text: &str| if value.is_sensitive() { SENSITIVE.to_owned() } else { format!("`{text}`") };
        match (&attr.ty, value.as_str()) {
            (AttrType::OneOf(words), Some(text)) if !words.contains(&text) => {
                let mut problem = Diagnostic::error(
                    "invalid-word",
                    format!("{} is not a value of `{}`", shown(text), attr.name),
                );
                let near = coxswain_model::diagnostic::suggest(text, words.iter().copied());
                problem = match near.filter(|_| !value.is_sensitive()) {
                    Some(near) => problem.detail(format!("Did you mean \"{near}\"?")),
                    None => problem.detail(format!("It is one of {}.", words.join(", "))),
                };
                self.problems.push(problem.at(span, "this word"));
            }
            (AttrType::Mode, Some(text)) if !is_mode(text) => {
                self.problems.push(
                    Diagnostic::error("invalid-mode", format!("{} is not a file mode", shown(text)))
                        .detail("A mode is three or four octal digits in quotes: \"0644\".")
                        .at(span, "this mode"),
                );
            }
            (AttrType::Path, Some(text)) if text.is_empty() || text.contains('\0') => {
                self.wrong("invalid-path", "a path is not empty and holds no NUL".into(), span);
            }
            _ => {}
        }
    }

    /// Attributes that are the content of a file of the controller.
    fn fill(
        &mut self,
        schema: &coxswain_model::Schema,
        resource: &crate::config::Resource,
        object: &mut Object,
    ) {
        for attr in schema.attributes {
            let (Some(target), Some(path)) = (attr.fills, object.get(attr.name).cloned()) else { continue };
            let span = resource.arguments.get(attr.name).map_or(resource.span, |a| a.expr.span);
            // Of a sensitive one it has been said that it cannot be.
            let Some(text) = path.as_str().filter(|_| !path.is_sensitive()) else {
                object.insert(target.into(), Value::unknown(coxswain_model::Type::Str).marked(&path.marks));
                continue;
            };
            match self.scope.file(&Need::File(text.into()), span) {
                Ok(FileAnswer::Bytes(bytes)) => match std::str::from_utf8(&bytes) {
                    Ok(text) => {
                        object.insert(target.into(), Value::from(text).marked(&path.marks));
                    }
                    Err(_) => self.wrong("not-text", format!("`{text}` is not UTF-8 text"), span),
                },
                Ok(FileAnswer::Exists(_) | FileAnswer::Paths(_)) => {}
                Err(Stop::Need(need)) => {
                    self.needs.get_or_insert(need);
                }
                Err(Stop::Error(problems)) => self.problems.extend(problems),
            }
        }
    }

    fn check_host(&mut self, args: &Args, expr: Option<&Expr>) {
        let (Some(host), Some(expr)) = (&args.host, expr) else { return };
        let is_host = match &host.node {
            Node::Ref(found) => found.address.kind.as_ref() == "host",
            Node::Unknown { .. } => true,
            _ => false,
        };
        if !is_host {
            self.problems.push(
                Diagnostic::error("wrong-type", "`host` is a reference to a host")
                    .detail("Write `host = host.NAME`, without quotes.")
                    .at(expr.span, format!("this is {}", host.type_of())),
            );
        }
    }

    /// Only what is compared with the world can be left alone.
    fn check_ignored(&mut self, schema: &coxswain_model::Schema, names: &[Arc<str>], expr: Option<&Expr>) {
        let owned = || schema.of_class(Class::Owned).map(|a| a.name);
        for name in names.iter().filter(|n| !owned().any(|o| o == n.as_ref())) {
            let summary = format!("`ignore_changes` names `{name}`, which `{}` does not own", schema.kind);
            let problem = Diagnostic::error("unknown-attribute", summary);
            let problem = match coxswain_model::diagnostic::suggest(name, owned()) {
                Some(near) => problem.detail(format!("Did you mean \"{near}\"?")),
                None => problem.detail(format!("It owns {}.", owned().collect::<Vec<_>>().join(", "))),
            };
            self.problems.extend(expr.map(|e| problem.at(e.span, "this list")));
        }
    }

    fn check_word(&mut self, value: Option<&Value>, expr: Option<&Expr>) {
        let (Some(value), Some(expr)) = (value, expr) else { return };
        if !matches!(value.as_str(), Some("destroy" | "retain" | "forbid")) && value.is_known() {
            self.wrong(
                "invalid-word",
                "`on_destroy` is \"destroy\", \"retain\" or \"forbid\"".into(),
                expr.span,
            );
        }
    }

    /// The instances in a list of references.
    fn instances(&mut self, expr: &Expr, what: &str) -> Vec<InstanceId> {
        let Some(value) = self.value(expr) else { return Vec::new() };
        let mut found = Vec::new();
        let mut open = vec![&value];
        while let Some(next) = open.pop() {
            match &next.node {
                Node::Ref(r) => found.push(r.id),
                Node::Unknown { .. } | Node::Null(_) => {}
                _ if next.as_items().is_some() || next.as_fields().is_some() => open.extend(next.children()),
                _ => {
                    self.wrong("reference-list", format!("`{what}` is a list of references"), expr.span);
                    return Vec::new();
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn names(&mut self, expr: &Expr) -> Vec<Arc<str>> {
        let Some(value) = self.value(expr) else { return Vec::new() };
        let items = value.as_items().unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(Arc::from).collect()
    }

    fn numbers(&mut self, block: &str, table: &BTreeMap<Name, Expr>, into: &mut BTreeMap<String, u64>) {
        for (name, expr) in table {
            let Some(value) = self.value(expr) else { continue };
            match value.as_num().and_then(coxswain_model::Num::to_usize) {
                Some(n) => {
                    into.insert(format!("{block}.{name}"), n as u64);
                }
                None => self.wrong(
                    "wrong-type",
                    format!("`{block}.{name}` is a whole number, 0 or more"),
                    expr.span,
                ),
            }
        }
    }
}

/// Modes are kept as four digits.
fn pad_mode(value: Value) -> Value {
    match value.as_str() {
        Some(text) if text.len() < 4 => Value::from(format!("{text:0>4}")).marked(&value.marks),
        _ => value,
    }
}

/// Puts a scalar into the one-field object it stands for, at any depth.
fn spread_scalars(value: Value, ty: &AttrType) -> Value {
    let marks = value.marks.clone();
    let all = |items: &[Value], inner: &AttrType| -> Vec<Value> {
        items.iter().map(|v| spread_scalars(v.clone(), inner)).collect()
    };
    match (ty, &value.node) {
        (
            AttrType::List(inner) | AttrType::Set(inner),
            Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items),
        ) if matches!(inner, AttrType::Object { scalar: Some(_), .. }) => {
            Value::tuple(all(items, inner)).marked(&marks)
        }
        (AttrType::Object { scalar: Some(field), .. }, Node::Str(_) | Node::Num(_) | Node::Bool(_)) => {
            Value::object(Object::from([(Arc::from(*field), value)])).marked(&marks)
        }
        _ => value,
    }
}

fn is_mode(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| (b'0'..=b'7').contains(&b))
}
