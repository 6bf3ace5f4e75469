//! Tuples, objects and `for`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_model::value::Object;
use coxswain_model::{Diagnostic, Marks, Node, Num, Span, Type, Value};

use super::explain::{a_value, quote, render};
use super::operator::sentence;
use super::{Env, Problems, Stop};
use crate::ast::{Expr, ForExpr, ObjectItem, ObjectKey};
use crate::convert::convert;

/// A key of an object under construction.
enum Key {
    Known(Arc<str>, Marks),
    Unknown(Marks),
}

/// The elements that a `for` walks over.
pub(super) enum Elements {
    /// Key and value, each with the marks of the collection.
    Known(Vec<(Value, Value)>),
    /// Not known how many there are.
    Unknown,
}

impl Env<'_> {
    pub(super) fn tuple(&self, items: &[Expr]) -> Result<Value, Stop> {
        let mut problems = Problems::default();
        let values: Vec<Value> = items.iter().filter_map(|item| problems.take(self.eval(item))).collect();
        problems.finish()?;
        Ok(Value::tuple(values))
    }

    /// A later item with the same key wins, as HCL users know it.
    pub(super) fn object(&self, items: &[ObjectItem]) -> Result<Value, Stop> {
        let mut problems = Problems::default();
        let (mut fields, mut marks, mut is_open) = (Object::new(), Marks::NONE, false);
        for item in items {
            let key = match &item.key {
                ObjectKey::Name(name, _) => Some(Key::Known(name.clone(), Marks::NONE)),
                ObjectKey::Expr(expr) => problems.take(self.key(expr)),
            };
            let value = problems.take(self.eval(&item.value));
            match (key, value) {
                (Some(Key::Known(name, more)), Some(value)) => {
                    marks.add(&more);
                    fields.insert(name, value);
                }
                (Some(Key::Unknown(more)), Some(value)) => {
                    marks.add(&more);
                    marks.add(&value.deep_marks());
                    is_open = true;
                }
                (None, _) | (_, None) => {}
            }
        }
        problems.finish()?;
        let object = Value::object(fields);
        if is_open {
            return Ok(Value::unknown(Type::Any).marked(&marks).marked(&object.deep_marks()));
        }
        Ok(object.marked(&marks))
    }

    fn key(&self, expr: &Expr) -> Result<Key, Stop> {
        let value = self.eval(expr)?;
        let marks = value.marks.clone();
        if value.is_null() {
            let d = Diagnostic::error("invalid-key", "A key of an object is null")
                .detail("Give a text, or leave the item out with `if` in a `for`.")
                .at(expr.span, "this is null");
            return Err(self.stop(&[expr], d));
        }
        let text = convert(value, &Type::Str).map_err(|e| {
            let d = Diagnostic::error("invalid-key", "A key of an object must be a string")
                .detail(format!("{}.", sentence(&e.to_string())))
                .at(expr.span, "");
            self.stop(&[expr], d)
        })?;
        Ok(match text.node {
            Node::Str(s) => Key::Known(s, marks),
            _ => Key::Unknown(marks),
        })
    }

    /// What `for … in value` walks over.
    pub(super) fn elements(&self, value: &Value, expr: &Expr) -> Result<Elements, Stop> {
        let with = |v: &Value| v.clone().marked(&value.marks);
        let named = |name: &Arc<str>| Value::from(Node::Str(name.clone())).marked(&value.marks);
        Ok(match &value.node {
            Node::Unknown { ty: Type::Bool | Type::Num | Type::Str, .. }
            | Node::Bool(_)
            | Node::Num(_)
            | Node::Str(_) => {
                return Err(self.not_iterable(value, expr));
            }
            Node::Null(_) => {
                let d = Diagnostic::error("null-value", "A `for` cannot walk over null")
                    .detail("Give an empty collection instead, for example with `coalesce(x, [])`.")
                    .at(expr.span, "this is null");
                return Err(self.stop(&[expr], d));
            }
            Node::Unknown { .. } => Elements::Unknown,
            Node::Set(_, items) if !items.iter().all(Value::is_wholly_known) => Elements::Unknown,
            Node::Set(_, items) => Elements::Known(items.iter().map(|v| (with(v), with(v))).collect()),
            Node::List(_, items) | Node::Tuple(items) => {
                let index = |i: usize| Value::from(Num::from(i)).marked(&value.marks);
                Elements::Known(items.iter().enumerate().map(|(i, v)| (index(i), with(v))).collect())
            }
            Node::Map(_, fields) | Node::Object(fields) => {
                Elements::Known(fields.iter().map(|(k, v)| (named(k), with(v))).collect())
            }
            Node::Ref(_) => {
                let object = self.resolved(value.clone(), expr.span)?;
                match object.node {
                    Node::Ref(_) => return Err(self.not_iterable(&object, expr)),
                    _ => self.elements(&object, expr)?,
                }
            }
        })
    }

    fn not_iterable(&self, value: &Value, expr: &Expr) -> Stop {
        let d = Diagnostic::error("invalid-for", format!("A `for` cannot walk over {}", a_value(value)))
            .detail("Give a list, set, tuple, map or object; `[x]` makes a tuple of one value.")
            .at(expr.span, "");
        self.stop(&[expr], d)
    }

    pub(super) fn for_expr(&self, each: &ForExpr, span: Span) -> Result<Value, Stop> {
        let collection = self.eval(&each.collection)?;
        let marks = collection.marks.clone();
        let elements = match self.elements(&collection, &each.collection)? {
            Elements::Known(elements) => elements,
            Elements::Unknown => return Ok(Value::unknown(Type::Any).marked(&collection.deep_marks())),
        };
        let mut result = Building { marks, ..Building::default() };
        for (key, value) in elements {
            let value_frame = self.frame(&each.value_var, value);
            let inner = self.with(&value_frame);
            match &each.key_var {
                Some(name) => {
                    let key_frame = inner.frame(name, key);
                    inner.with(&key_frame).element(each, span, &mut result)?;
                }
                None => inner.element(each, span, &mut result)?,
            }
        }
        Ok(result.finish(each))
    }

    /// Adds the result for one element. The first element that fails speaks for all.
    fn element(&self, each: &ForExpr, span: Span, result: &mut Building) -> Result<(), Stop> {
        if let Some(condition) = &each.condition {
            let holds = self.condition(condition).map_err(|stop| self.in_element(each, stop))?;
            result.marks.add(&holds.marks);
            match holds.as_bool() {
                Some(true) => {}
                Some(false) => return Ok(()),
                None => result.is_open = true,
            }
        }
        let mut problems = Problems::default();
        let key = each.key.as_ref().map(|key| problems.take(self.key(key)));
        let value = problems.take(self.eval(&each.value));
        if result.is_open && !problems.errors.is_empty() {
            // The condition that is not known yet may leave out the element that fails.
            problems.errors.clear();
        }
        problems.finish().map_err(|stop| self.in_element(each, stop))?;
        match (key, value) {
            (None, Some(value)) => result.items.push(value),
            (Some(Some(Key::Known(name, marks))), Some(value)) => {
                result.marks.add(&marks);
                let row = result.groups.entry(name.clone()).or_default();
                if !each.group && !row.is_empty() && !result.is_open {
                    let shown = if marks.sensitive { "(sensitive value)".to_owned() } else { quote(&name) };
                    return Err(self.in_element(each, duplicate(each, span, &shown)));
                }
                row.push(value);
            }
            (Some(Some(Key::Unknown(marks))), Some(value)) => {
                result.marks.add(&marks.with(&value.deep_marks()));
                result.is_open = true;
            }
            (Some(None), _) | (_, None) => {}
        }
        Ok(())
    }

    /// Names the element in which an error arose, unless the error tells already.
    fn in_element(&self, each: &ForExpr, stop: Stop) -> Stop {
        let Stop::Error(mut errors) = stop else { return stop };
        for name in each.key_var.iter().chain([&each.value_var]) {
            let Some(value) = self.local(name) else { continue };
            let note = format!("{name} is {}", render(value));
            for d in &mut errors {
                if !d.notes.contains(&note) {
                    d.notes.push(note.clone());
                }
            }
        }
        Stop::Error(errors)
    }
}

fn duplicate(each: &ForExpr, span: Span, key: &str) -> Stop {
    let at = each.key.as_ref().map_or(span, |key| key.span);
    let d = Diagnostic::error("duplicate-key", format!("Two elements have the key {key}"))
        .detail("Make the keys different, or collect all values of a key with `...` after the value.")
        .at(at, "");
    Stop::Error(vec![d])
}

/// The result of a `for` so far.
#[derive(Default)]
struct Building {
    items: Vec<Value>,
    groups: BTreeMap<Arc<str>, Vec<Value>>,
    marks: Marks,
    /// Something unknown decides which elements there are.
    is_open: bool,
}

impl Building {
    fn finish(self, each: &ForExpr) -> Value {
        let Building { items, groups, mut marks, is_open } = self;
        if is_open {
            for value in items.iter().chain(groups.values().flatten()) {
                marks.add(&value.deep_marks());
            }
            return Value::unknown(Type::Any).marked(&marks);
        }
        let result = match &each.key {
            None => Value::tuple(items),
            Some(_) if each.group => {
                Value::object(groups.into_iter().map(|(key, row)| (key, Value::tuple(row))).collect())
            }
            Some(_) => {
                let last = |(key, mut row): (Arc<str>, Vec<Value>)| row.pop().map(|value| (key, value));
                Value::object(groups.into_iter().filter_map(last).collect())
            }
        };
        result.marked(&marks)
    }
}
