//! What an expression needs from outside: free names, functions. A walker of our own, so that nothing is missed.

use std::sync::Arc;

use coxswain_model::Span;

use crate::ast::{Expr, ExprKind, ObjectKey, Part, RefStep, Reference};

/// Every free name in `expr` with the constant steps after it, in source order; names that a `for` binds are not free.
pub fn references(expr: &Expr) -> Vec<Reference> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.references
}

/// Every function call in `expr` with the place of the name, in source order.
pub fn functions_called(expr: &Expr) -> Vec<(Arc<str>, Span)> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.functions
}

/// Whether `expr` has one value, whatever the scope: no free name, no function, no error.
pub fn is_constant(expr: &Expr) -> bool {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.references.is_empty() && walk.functions.is_empty() && !walk.broken
}

impl Expr {
    /// The expression as a name with constant steps only (`module.x`, `file.a["k"]`), if it is that.
    pub fn as_traversal(&self) -> Option<Reference> {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            at = match &at.kind {
                ExprKind::Variable(root) => {
                    steps.reverse();
                    return Some(Reference { root: root.clone(), steps, span: self.span });
                }
                ExprKind::Attr(source, name) => {
                    steps.push(RefStep::Attr(name.clone()));
                    source
                }
                ExprKind::Index(source, index) => {
                    steps.push(constant_step(index)?);
                    source
                }
                ExprKind::Error
                | ExprKind::Null
                | ExprKind::Bool(_)
                | ExprKind::Num(_)
                | ExprKind::Str(_)
                | ExprKind::Template(_)
                | ExprKind::Tuple(_)
                | ExprKind::Object(_)
                | ExprKind::Splat { .. }
                | ExprKind::SplatItem
                | ExprKind::Call { .. }
                | ExprKind::Neg(_)
                | ExprKind::Not(_)
                | ExprKind::Binary(..)
                | ExprKind::Conditional(..)
                | ExprKind::For(_)
                | ExprKind::Paren(_) => return None,
            };
        }
    }
}

fn constant_step(index: &Expr) -> Option<RefStep> {
    if let ExprKind::Str(key) = &index.kind {
        return Some(RefStep::Key(key.clone()));
    }
    if let ExprKind::Num(number) = &index.kind {
        return number.to_i128().and_then(|n| u64::try_from(n).ok()).map(RefStep::Index);
    }
    None
}

#[derive(Default)]
struct Walk {
    /// Names bound around the place of the walk.
    bound: Vec<Arc<str>>,
    references: Vec<Reference>,
    functions: Vec<(Arc<str>, Span)>,
    broken: bool,
}

impl Walk {
    fn expr(&mut self, expr: &Expr) {
        if let Some(reference) = expr.as_traversal() {
            if !self.bound.contains(&reference.root) {
                self.references.push(reference);
            }
            return;
        }
        match &expr.kind {
            ExprKind::Error => self.broken = true,
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Num(_)
            | ExprKind::Str(_)
            | ExprKind::Variable(_)
            | ExprKind::SplatItem => {}
            ExprKind::Template(parts) => self.parts(parts),
            ExprKind::Tuple(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Object(items) => {
                for item in items {
                    if let ObjectKey::Expr(key) = &item.key {
                        self.expr(key);
                    }
                    self.expr(&item.value);
                }
            }
            ExprKind::Attr(inner, _)
            | ExprKind::Neg(inner)
            | ExprKind::Not(inner)
            | ExprKind::Paren(inner) => {
                self.expr(inner);
            }
            ExprKind::Index(a, b) | ExprKind::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Splat { source, each, .. } => {
                self.expr(source);
                self.expr(each);
            }
            ExprKind::Call { name, name_span, args, .. } => {
                self.functions.push((name.clone(), *name_span));
                args.iter().for_each(|arg| self.expr(arg));
            }
            ExprKind::Conditional(c, a, b) => {
                self.expr(c);
                self.expr(a);
                self.expr(b);
            }
            ExprKind::For(f) => {
                self.expr(&f.collection);
                self.binding(f.key_var.iter().chain([&f.value_var]), |walk| {
                    for inner in f.key.iter().chain([&f.value]).chain(&f.condition) {
                        walk.expr(inner);
                    }
                });
            }
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(_) => {}
                Part::Interpolation(expr) => self.expr(expr),
                Part::If { condition, then, otherwise } => {
                    self.expr(condition);
                    self.parts(then);
                    self.parts(otherwise);
                }
                Part::For { key, value, collection, body } => {
                    self.expr(collection);
                    self.binding(key.iter().chain([value]), |walk| walk.parts(body));
                }
            }
        }
    }

    fn binding<'a>(&mut self, names: impl Iterator<Item = &'a Arc<str>>, inside: impl FnOnce(&mut Walk)) {
        let before = self.bound.len();
        self.bound.extend(names.cloned());
        inside(self);
        self.bound.truncate(before);
    }
}
