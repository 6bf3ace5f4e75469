//! Names, attributes, indexes and splats.

use std::sync::Arc;

use coxswain_model::diagnostic::suggest;
use coxswain_model::{Diagnostic, Marks, Node, Span, Type, Value};

use super::explain::{a_value, quote, step_span};
use super::{Env, Problems, SPLAT_ITEM, Stop};
use crate::ast::{Expr, ExprKind, RefStep, Reference};
use crate::convert::convert;

/// A step whose key is evaluated.
enum Step<'e> {
    Attr(&'e Arc<str>),
    Index(&'e Expr),
}

/// A chain of steps from its base outwards; each with the expression that ends in it.
struct Chain<'e> {
    base: &'e Expr,
    steps: Vec<(Step<'e>, &'e Expr)>,
}

fn chain(expr: &Expr) -> Chain<'_> {
    let (mut at, mut steps) = (expr, Vec::new());
    loop {
        match &at.kind {
            ExprKind::Attr(base, name) => {
                steps.push((Step::Attr(name), at));
                at = base;
            }
            ExprKind::Index(base, key) => {
                steps.push((Step::Index(key), at));
                at = base;
            }
            _ => break,
        }
    }
    steps.reverse();
    Chain { base: at, steps }
}

/// The root with the constant steps that follow it.
fn reference(root: &Arc<str>, chain: &Chain<'_>) -> Reference {
    let mut reference = Reference { root: root.clone(), steps: Vec::new(), span: chain.base.span };
    for (step, expr) in &chain.steps {
        let constant = match step {
            Step::Attr(name) => RefStep::Attr((*name).clone()),
            Step::Index(key) => match &key.kind {
                ExprKind::Str(s) => RefStep::Key(s.clone()),
                ExprKind::Num(n) => match n.to_i128().and_then(|n| u64::try_from(n).ok()) {
                    Some(n) => RefStep::Index(n),
                    None => break,
                },
                _ => break,
            },
        };
        reference.steps.push(constant);
        reference.span = reference.span.to(expr.span);
    }
    reference
}

impl Env<'_> {
    /// A name with the attributes and indexes after it, or such steps after any other expression.
    pub(super) fn traversal(&self, expr: &Expr) -> Result<Value, Stop> {
        let chain = chain(expr);
        let mut problems = Problems::default();
        let base = match &chain.base.kind {
            ExprKind::Variable(name) => match self.local(name) {
                Some(value) => Ok((value.clone(), 0)),
                None => self.scope.lookup(&reference(name, &chain)),
            },
            _ => self.eval(chain.base).map(|value| (value, 0)),
        };
        let base = problems.take(base);
        let consumed = base.as_ref().map_or(0, |(_, consumed)| *consumed).min(chain.steps.len());
        let rest = &chain.steps[consumed..];
        let keys: Vec<Option<Value>> = rest
            .iter()
            .map(|(step, _)| match step {
                Step::Attr(_) => None,
                Step::Index(key) => problems.take(self.eval(key)),
            })
            .collect();
        problems.finish()?;
        let Some((mut value, _)) = base else { return Ok(Value::unknown(Type::Any)) };
        for ((step, at), key) in rest.iter().zip(keys) {
            value = match (step, key) {
                (Step::Attr(name), _) => self.attribute(value, name, at)?,
                (Step::Index(_), Some(key)) => self.index(value, &key, at)?,
                (Step::Index(_), None) => Value::unknown(Type::Any),
            };
        }
        Ok(value)
    }

    fn attribute(&self, value: Value, name: &Arc<str>, at: &Expr) -> Result<Value, Stop> {
        let found = match &value.node {
            Node::Object(fields) | Node::Map(_, fields) => fields.get(name).cloned(),
            Node::Ref(_) => Some(self.scope.ref_attr(&value, name, at.span)?),
            Node::Unknown { ty, .. } => match ty {
                Type::Any | Type::Ref(_) => Some(Value::unknown(Type::Any)),
                Type::Map(elem) => Some(Value::unknown(elem.as_ref().clone())),
                Type::Object(fields) => fields.get(name).map(|f| Value::unknown(f.ty.clone())),
                Type::Bool | Type::Num | Type::Str | Type::List(_) | Type::Set(_) | Type::Tuple(_) => None,
            },
            Node::Null(_) => return Err(self.null_step(at, &format!("attribute `{name}`"))),
            Node::Bool(_) | Node::Num(_) | Node::Str(_) | Node::List(..) | Node::Set(..) | Node::Tuple(_) => {
                None
            }
        };
        match found {
            Some(found) => Ok(found.marked(&value.marks)),
            None => Err(self.no_attribute(&value, name, at)),
        }
    }

    fn no_attribute(&self, value: &Value, name: &str, at: &Expr) -> Stop {
        let base = base_of(at);
        let (code, summary) = match &value.node {
            Node::Map(..) => ("missing-key", format!("The map has no key {}", quote(name))),
            _ => ("unsupported-attribute", format!("There is no attribute `{name}` here")),
        };
        let detail = match &value.node {
            Node::Object(_) | Node::Map(..) => known_names(value, name),
            Node::Unknown { ty: Type::Object(fields), .. } => {
                near_names(name, fields.keys().map(AsRef::as_ref).collect())
            }
            Node::List(..) | Node::Tuple(_) | Node::Set(..) => format!(
                "This is {}: take one element (`[0].{name}`) or the attribute of all of them (`[*].{name}`).",
                a_value(value)
            ),
            _ => format!("This is {}, which has no attributes.", a_value(value)),
        };
        let near = match value.as_fields() {
            Some(fields) if !value.marks.sensitive => suggest(name, fields.keys().map(AsRef::as_ref)),
            _ => None,
        };
        let d = Diagnostic::error(code, summary).detail(detail).at(step_span(base.span, at.span), "");
        let end = at.span.end as usize;
        let name_span = Span::new(at.span.file, end.saturating_sub(name.len()), end);
        self.stop(
            &[base],
            match near {
                Some(near) => d.fix(name_span, near),
                None => d,
            },
        )
    }

    fn null_step(&self, at: &Expr, what: &str) -> Stop {
        let base = base_of(at);
        let d = Diagnostic::error("null-value", format!("The value is null, so it has no {what}"))
            .detail("Test it first (`x == null ? … : …`), or give another value with `try(…, default)`.")
            .at(base.span, "this is null");
        self.stop(&[base], d)
    }

    fn index(&self, value: Value, key: &Value, at: &Expr) -> Result<Value, Stop> {
        let marks = value.marks.clone().with(&key.marks);
        if key.is_null() {
            return Err(self.bad_index(at, "An index is null", "Give a number or a text."));
        }
        let found = match &value.node {
            Node::Null(_) => return Err(self.null_step(at, "elements")),
            Node::Unknown { ty, .. } => self.index_unknown(ty, key, at)?,
            Node::List(elem, items) => match self.position(key, items.len(), at)? {
                Some(i) => items[i].clone(),
                None => Value::unknown(elem.clone()),
            },
            Node::Tuple(items) => match self.position(key, items.len(), at)? {
                Some(i) => items[i].clone(),
                None => Value::unknown(Type::Any),
            },
            Node::Map(..) | Node::Object(_) => self.entry(&value, key, at)?,
            Node::Ref(_) => match self.text_key(key, at)? {
                Some(name) => match self.scope.ref_attr(&value, &name, at.span) {
                    // The scope does not know that the name is sensitive, and tells it.
                    Err(Stop::Error(_)) if key.marks.sensitive => {
                        return Err(self.missing_key(key, &name, "", at));
                    }
                    found => found?,
                },
                None => Value::unknown(Type::Any),
            },
            Node::Set(..) => {
                let detail = "Elements of a set have no position: use `one(…)`, `tolist(…)[0]` or a `for`.";
                return Err(self.bad_index(at, "A set cannot be indexed", detail));
            }
            Node::Bool(_) | Node::Num(_) | Node::Str(_) => {
                let detail = format!(
                    "This is {}; only lists, tuples, maps and objects have elements.",
                    a_value(&value)
                );
                return Err(self.bad_index(at, "This value has no elements", &detail));
            }
        };
        Ok(found.marked(&marks))
    }

    fn index_unknown(&self, ty: &Type, key: &Value, at: &Expr) -> Result<Value, Stop> {
        Ok(Value::unknown(match ty {
            Type::Any | Type::Ref(_) => Type::Any,
            Type::List(elem) => {
                self.position(key, usize::MAX, at)?;
                elem.as_ref().clone()
            }
            Type::Map(elem) => {
                self.text_key(key, at)?;
                elem.as_ref().clone()
            }
            Type::Tuple(items) => match self.position(key, items.len(), at)? {
                Some(i) => items[i].clone(),
                None => Type::Any,
            },
            Type::Object(fields) => match self.text_key(key, at)? {
                Some(name) => match fields.get(&name) {
                    Some(field) => field.ty.clone(),
                    None => {
                        let detail = near_names(&name, fields.keys().map(AsRef::as_ref).collect());
                        return Err(self.missing_key(key, &name, &detail, at));
                    }
                },
                None => Type::Any,
            },
            Type::Set(_) | Type::Bool | Type::Num | Type::Str => {
                let summary = format!("{} cannot be indexed", crate::convert::a_type(ty));
                return Err(self.bad_index(
                    at,
                    &summary,
                    "Only lists, tuples, maps and objects have elements.",
                ));
            }
        }))
    }

    /// The key as a position below `len`; `None` when the key is unknown.
    fn position(&self, key: &Value, len: usize, at: &Expr) -> Result<Option<usize>, Stop> {
        let key = convert(key.clone(), &Type::Num)
            .map_err(|e| self.bad_index(at, "An index of a list must be a number", &e.to_string()))?;
        let Some(n) = key.as_num() else { return Ok(None) };
        match n.to_usize() {
            Some(i) if i < len => Ok(Some(i)),
            _ if !n.is_int() || n.is_negative() => {
                let detail = "Positions are whole numbers from 0; `element(list, -1)` counts from the end.";
                Err(self.bad_index(at, "An index must be a whole number from 0", detail))
            }
            _ => {
                let detail = match len {
                    0 => "The list is empty.".to_owned(),
                    len => {
                        format!("It has {len} element{}: 0 to {}.", if len == 1 { "" } else { "s" }, len - 1)
                    }
                };
                Err(self.bad_index(at, "There is no element at this position", &detail))
            }
        }
    }

    /// The key as text; `None` when it is unknown.
    fn text_key(&self, key: &Value, at: &Expr) -> Result<Option<Arc<str>>, Stop> {
        let key = convert(key.clone(), &Type::Str)
            .map_err(|e| self.bad_index(at, "A key must be a string", &e.to_string()))?;
        Ok(match key.node {
            Node::Str(s) => Some(s),
            _ => None,
        })
    }

    fn entry(&self, value: &Value, key: &Value, at: &Expr) -> Result<Value, Stop> {
        let elem = match &value.node {
            Node::Map(elem, _) => elem.clone(),
            _ => Type::Any,
        };
        let Some(name) = self.text_key(key, at)? else { return Ok(Value::unknown(elem)) };
        match value.as_fields().and_then(|fields| fields.get(&name)) {
            Some(found) => Ok(found.clone()),
            None => Err(self.missing_key(key, &name, &known_names(value, &name), at)),
        }
    }

    fn missing_key(&self, key: &Value, name: &str, detail: &str, at: &Expr) -> Stop {
        let (summary, detail) = match key.marks.sensitive {
            true => ("There is no such key".to_owned(), "The key is sensitive and not shown."),
            false => (format!("There is no key {}", quote(name)), detail),
        };
        self.stop_at_step(at, Diagnostic::error("missing-key", summary).detail(detail))
    }

    fn bad_index(&self, at: &Expr, summary: &str, detail: &str) -> Stop {
        self.stop_at_step(at, Diagnostic::error("invalid-index", summary).detail(detail))
    }

    /// Stops at the last step of `at`, with notes on what is before it (never on `at` itself, which fails).
    fn stop_at_step(&self, at: &Expr, d: Diagnostic) -> Stop {
        let base = base_of(at);
        let d = d.at(step_span(base.span, at.span), "");
        match &at.kind {
            ExprKind::Index(_, key) => self.stop(&[base, key], d),
            _ => self.stop(&[base], d),
        }
    }

    /// `source[*].rest`: null is no element, what is no list is one.
    pub(super) fn splat(&self, source: &Expr, each: &Expr) -> Result<Value, Stop> {
        let value = self.eval(source)?;
        let marks = value.marks.clone();
        let spread = match &value.node {
            Node::Null(_) => Value::tuple(Vec::new()),
            Node::Unknown { ty: Type::List(elem) | Type::Set(elem), .. } => self.splat_unknown(elem, each)?,
            Node::Set(elem, _) if value.is_open_set() => {
                self.splat_unknown(elem, each)?.marked(&value.deep_marks())
            }
            Node::Unknown { .. } => Value::unknown(Type::Any),
            Node::Tuple(items) => Value::tuple(self.splat_items(items, &marks, each)?),
            Node::List(elem, items) | Node::Set(elem, items) if items.is_empty() => {
                // Their type is known all the same, and `concat` looks at it.
                match self.splat_item(Value::unknown(elem.clone()), &Marks::NONE, each) {
                    Ok(one) => Value::list(one.type_of(), Vec::new()).marked(&one.marks),
                    Err(_) => Value::list(Type::Any, Vec::new()),
                }
            }
            Node::List(_, items) | Node::Set(_, items) => {
                let items = self.splat_items(items, &marks, each)?;
                match items.iter().map(Value::type_of).reduce(|a, b| if a == b { a } else { Type::Any }) {
                    Some(Type::Any) | None => Value::tuple(items),
                    Some(ty) => Value::list(ty, items),
                }
            }
            Node::Bool(_) | Node::Num(_) | Node::Str(_) | Node::Map(..) | Node::Object(_) | Node::Ref(_) => {
                Value::tuple(vec![self.splat_item(value.clone(), &marks, each)?])
            }
        };
        Ok(spread.marked(&marks))
    }

    /// Of elements of which the type is known, and not how many there are.
    fn splat_unknown(&self, elem: &Type, each: &Expr) -> Result<Value, Stop> {
        match self.splat_item(Value::unknown(elem.clone()), &Marks::NONE, each) {
            Ok(one) => Ok(Value::unknown(Type::list(one.type_of())).marked(&one.marks)),
            // There may be no element that fails.
            Err(Stop::Error(_)) => Ok(Value::unknown(Type::Any)),
            Err(need) => Err(need),
        }
    }

    /// The first element that fails speaks for all.
    fn splat_items(&self, items: &[Value], marks: &Marks, each: &Expr) -> Result<Vec<Value>, Stop> {
        items.iter().map(|item| self.splat_item(item.clone(), marks, each)).collect()
    }

    fn splat_item(&self, item: Value, marks: &Marks, each: &Expr) -> Result<Value, Stop> {
        let frame = self.frame(SPLAT_ITEM, item.marked(marks));
        self.with(&frame).eval(each)
    }
}

fn base_of(at: &Expr) -> &Expr {
    match &at.kind {
        ExprKind::Attr(base, _) | ExprKind::Index(base, _) => base,
        _ => at,
    }
}

/// What there is instead of `name`; nothing of a sensitive value.
fn known_names(value: &Value, name: &str) -> String {
    match value.as_fields() {
        Some(_) if value.marks.sensitive => "The value is sensitive and its keys are not shown.".into(),
        Some(fields) => near_names(name, fields.keys().map(AsRef::as_ref).collect()),
        None => String::new(),
    }
}

fn near_names(name: &str, names: Vec<&str>) -> String {
    const SHOWN: usize = 8;
    if let Some(near) = suggest(name, names.iter().copied()) {
        return format!("Did you mean `{near}`?");
    }
    match names.len() {
        0 => "It is empty.".into(),
        n if n > SHOWN => format!("There are {n}, among them {}.", names[..SHOWN].join(", ")),
        _ => format!("There is {}.", names.join(", ")),
    }
}
