//! Errors with the values behind them: `var.port is "ssh"`.

use std::fmt::Write as _;

use coxswain_model::value::Object;
use coxswain_model::{Diagnostic, Node, Span, Value};

use super::{Env, Stop};
use crate::ast::{Expr, ExprKind, ForExpr, ObjectKey, Part};

/// Longest rendering of a value in a note, in characters.
const NOTE_WIDTH: usize = 60;
/// References whose values an error shows; more would hide the error.
const MAX_NOTES: usize = 6;

impl Env<'_> {
    /// Stops with one error, and notes on the references in `about`.
    pub(super) fn stop(&self, about: &[&Expr], diagnostic: Diagnostic) -> Stop {
        let mut notes: Vec<(String, String)> = Vec::new();
        for expr in about {
            self.collect_notes(expr, &mut notes);
        }
        let told =
            notes.into_iter().fold(diagnostic, |d, (name, value)| d.note(format!("{name} is {value}")));
        Stop::Error(vec![told])
    }

    fn collect_notes(&self, expr: &Expr, notes: &mut Vec<(String, String)>) {
        if notes.len() >= MAX_NOTES {
            return;
        }
        if let Some(name) = constant_path(expr) {
            if !notes.iter().any(|(known, _)| *known == name)
                && let Ok(value) = self.traversal(expr)
            {
                notes.push((name, render(&value)));
            }
            return;
        }
        for child in children(expr) {
            self.collect_notes(child, notes);
        }
    }
}

/// `a.b["c"][0]` as text, where the expression is a name followed by constant steps.
fn constant_path(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Variable(name) => Some(name.to_string()),
        ExprKind::Attr(base, name) => Some(format!("{}.{name}", constant_path(base)?)),
        ExprKind::Index(base, key) => match &key.kind {
            ExprKind::Str(s) => Some(format!("{}[{}]", constant_path(base)?, quote(s))),
            ExprKind::Num(n) => Some(format!("{}[{n}]", constant_path(base)?)),
            _ => None,
        },
        _ => None,
    }
}

/// The direct parts of an expression that are evaluated in the same place: not the bodies of `for` and splat.
fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Error
        | ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Num(_)
        | ExprKind::Str(_)
        | ExprKind::Variable(_)
        | ExprKind::SplatItem => Vec::new(),
        ExprKind::Template(parts) => part_exprs(parts),
        ExprKind::Tuple(items) => items.iter().collect(),
        ExprKind::Object(items) => items
            .iter()
            .flat_map(|item| match &item.key {
                ObjectKey::Name(..) => vec![&item.value],
                ObjectKey::Expr(key) => vec![key, &item.value],
            })
            .collect(),
        ExprKind::Attr(base, _) | ExprKind::Neg(base) | ExprKind::Not(base) | ExprKind::Paren(base) => {
            vec![base]
        }
        ExprKind::Index(base, key) => vec![base, key],
        ExprKind::Splat { source, .. } => vec![source],
        ExprKind::Call { args, .. } => args.iter().collect(),
        ExprKind::Binary(_, left, right) => vec![left, right],
        ExprKind::Conditional(condition, then, otherwise) => vec![condition, then, otherwise],
        ExprKind::For(each) => {
            let ForExpr { collection, .. } = each.as_ref();
            vec![collection]
        }
    }
}

fn part_exprs(parts: &[Part]) -> Vec<&Expr> {
    parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Interpolation(expr)
            | Part::If { condition: expr, .. }
            | Part::For { collection: expr, .. } => Some(expr),
        })
        .collect()
}

/// A value on one short line for people; never what is sensitive.
pub(super) fn render(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    if out.chars().count() > NOTE_WIDTH {
        out = out.chars().take(NOTE_WIDTH - 1).collect::<String>() + "…";
    }
    out
}

fn write_value(value: &Value, out: &mut String) {
    if value.marks.sensitive {
        out.push_str("(sensitive value)");
        return;
    }
    match &value.node {
        Node::Null(_) => out.push_str("null"),
        Node::Unknown { .. } => out.push_str("known after apply"),
        Node::Bool(b) => {
            let _ = write!(out, "{b}");
        }
        Node::Num(n) => {
            let _ = write!(out, "{n}");
        }
        Node::Str(s) => {
            let short: String = s.chars().take(NOTE_WIDTH).collect();
            out.push_str(&quote(&short));
        }
        Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => write_items(items, out),
        Node::Map(_, fields) | Node::Object(fields) => write_fields(fields, out),
        Node::Ref(r) => {
            let _ = write!(out, "{}", r.address);
        }
    }
}

fn write_items(items: &[Value], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if out.len() > NOTE_WIDTH {
            return;
        }
        out.push_str(if i > 0 { ", " } else { "" });
        write_value(item, out);
    }
    out.push(']');
}

fn write_fields(fields: &Object, out: &mut String) {
    out.push('{');
    for (i, (name, field)) in fields.iter().enumerate() {
        if out.len() > NOTE_WIDTH {
            return;
        }
        let _ = write!(out, "{}{}: ", if i > 0 { ", " } else { "" }, quote(name));
        write_value(field, out);
    }
    out.push('}');
}

/// Text in quotes, as JSON writes it.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The sort of a value in words: "a string", "null".
pub(super) fn a_value(value: &Value) -> String {
    match &value.node {
        Node::Null(_) => "null".into(),
        Node::Ref(r) => format!("a reference to {}", r.address),
        _ => crate::convert::a_type(&value.type_of()),
    }
}

/// The place of the step that `expr` takes after `base`: `.name`, `[key]`.
pub(super) fn step_span(base: Span, whole: Span) -> Span {
    if base.file == whole.file && base.end < whole.end { Span { start: base.end, ..whole } } else { whole }
}
