//! Evaluation of expressions against a scope.
//!
//! ```text
//! Expr ─Env{scope, frames}→ Value            operators, templates, `for`, calls; unknowns and marks pass through
//!            ├→ Stop::Need(what)             the caller fetches it and evaluates again
//!            └→ Stop::Error(all problems)    of every independent part of the expression
//! ```
//!
//! Nothing is an error only because something is unknown: where an unknown could make an error disappear, the
//! result is unknown. What is evaluated does not depend on what was fetched before, so that the same inputs give
//! the same value: both branches of a conditional are evaluated, and a need of either is a need of the whole.

mod call;
mod collection;
mod explain;
mod lazy;
mod operator;
mod template;
#[cfg(test)]
mod tests;
mod traversal;

use std::path::PathBuf;
use std::sync::Arc;

use coxswain_model::{Address, Diagnostics, Node, Span, Type, Value};

use crate::ast::{Expr, ExprKind, Reference};

pub use lazy::{LAZY_FUNCTIONS, LazyFn};

/// What an expression needs before it can be evaluated; the caller gets it and evaluates again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A node of the engine's evaluation (a local, a module output, an instance): the engine's own number.
    Node(u32),
    /// The content of a file of the controller (`file`, `templatefile`, `filebase64`); as written.
    File(PathBuf),
    /// Whether a file of the controller exists (`fileexists`).
    FileExists(PathBuf),
    /// The files below a directory of the controller that match a pattern (`fileset`).
    FileSet(PathBuf, String),
    /// The attributes of a resource instance that only the world knows (facts, computed attributes).
    Instance(Address),
}

/// Why evaluation gave no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// Something must be there first.
    Need(Need),
    /// The expression is wrong.
    Error(Diagnostics),
}

/// What the names in an expression mean, and what functions may ask of the world.
pub trait Scope {
    /// The value of a free name with as many of its constant steps as the scope wants to take: returns the value
    /// and how many steps it consumed; the evaluator applies the rest. `for` variables and the like never get here.
    fn lookup(&self, reference: &Reference) -> Result<(Value, usize), Stop>;

    /// The attribute of a resource reference (`each.value.address`).
    fn ref_attr(&self, target: &Value, name: &str, span: Span) -> Result<Value, Stop>;

    /// The whole object behind a resource reference (for `merge`, `keys`, `for` over it).
    fn ref_object(&self, target: &Value, span: Span) -> Result<Value, Stop>;

    /// The content of a file; `Err(Stop::Need(Need::File))` until the caller has it.
    fn file(&self, need: &Need, span: Span) -> Result<FileAnswer, Stop>;
}

/// The answer to a read of the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAnswer {
    /// The bytes of a file.
    Bytes(Arc<[u8]>),
    /// Whether it exists.
    Exists(bool),
    /// The matching paths, sorted.
    Paths(Vec<String>),
}

/// Evaluates `expr` in `scope`.
///
/// # Errors
/// `Stop::Need` when something must be fetched first, `Stop::Error` with all problems found.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> Result<Value, Stop> {
    Env { scope, frame: None, in_template: false }.eval(expr)
}

/// The name under which the element of the innermost splat is bound; no variable can have it.
const SPLAT_ITEM: &str = "*";

/// What names mean in one place of an expression.
#[derive(Clone, Copy)]
struct Env<'a> {
    scope: &'a dyn Scope,
    frame: Option<&'a Frame<'a>>,
    /// Inside a file read by `templatefile`, which may not read further templates.
    in_template: bool,
}

/// One variable of a `for` or a splat.
struct Frame<'a> {
    name: &'a str,
    value: Value,
    outer: Option<&'a Frame<'a>>,
}

impl<'a> Env<'a> {
    /// The same place with one more variable.
    fn with<'b>(&'b self, frame: &'b Frame<'b>) -> Env<'b> {
        Env { frame: Some(frame), ..*self }
    }

    /// A variable to put into [`Env::with`].
    fn frame<'b>(&'b self, name: &'b str, value: Value) -> Frame<'b> {
        Frame { name, value, outer: self.frame }
    }

    fn local(&self, name: &str) -> Option<&'a Value> {
        let mut at = self.frame;
        while let Some(frame) = at {
            if frame.name == name {
                return Some(&frame.value);
            }
            at = frame.outer;
        }
        None
    }

    fn eval(&self, expr: &Expr) -> Result<Value, Stop> {
        match &expr.kind {
            ExprKind::Error => Ok(Value::unknown(Type::Any)),
            ExprKind::Null => Ok(Value::null()),
            ExprKind::Bool(b) => Ok(Value::from(*b)),
            ExprKind::Num(n) => Ok(Value::from(n.clone())),
            ExprKind::Str(s) => Ok(Node::Str(s.clone()).into()),
            ExprKind::Template(parts) => self.template(parts),
            ExprKind::Tuple(items) => self.tuple(items),
            ExprKind::Object(items) => self.object(items),
            ExprKind::Variable(_) | ExprKind::Attr(..) | ExprKind::Index(..) => self.traversal(expr),
            ExprKind::Splat { source, each, full: _ } => self.splat(source, each),
            ExprKind::SplatItem => {
                Ok(self.local(SPLAT_ITEM).cloned().unwrap_or_else(|| Value::unknown(Type::Any)))
            }
            ExprKind::Call { .. } => self.call(expr),
            ExprKind::Neg(operand) => self.negate(operand),
            ExprKind::Not(operand) => self.not(operand),
            ExprKind::Binary(op, left, right) => self.binary(expr, *op, left, right),
            ExprKind::Conditional(condition, then, otherwise) => {
                self.conditional(expr, condition, [then, otherwise])
            }
            ExprKind::For(each) => self.for_expr(each, expr.span),
            ExprKind::Paren(inner) => self.eval(inner),
        }
    }

    /// The object behind a reference, with the marks of the reference; any other value as it is.
    fn resolved(&self, value: Value, span: Span) -> Result<Value, Stop> {
        match &value.node {
            Node::Ref(_) => Ok(self.scope.ref_object(&value, span)?.marked(&value.marks)),
            _ => Ok(value),
        }
    }
}

/// An unknown value that will not be null: what operators and templates give.
fn unknown_not_null(ty: Type) -> Value {
    Node::Unknown { ty, not_null: true }.into()
}

/// The problems of independent parts of an expression.
#[derive(Default)]
struct Problems {
    errors: Diagnostics,
    need: Option<Need>,
}

impl Problems {
    /// The result, or `None` where there is a problem, which is kept.
    fn take<T>(&mut self, result: Result<T, Stop>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Stop::Error(errors)) => {
                self.errors.extend(errors);
                None
            }
            Err(Stop::Need(need)) => {
                self.need.get_or_insert(need);
                None
            }
        }
    }

    /// Errors come first, because nothing that is fetched mends them; then the first need.
    fn finish(self) -> Result<(), Stop> {
        match self.need {
            _ if !self.errors.is_empty() => Err(Stop::Error(self.errors)),
            Some(need) => Err(Stop::Need(need)),
            None => Ok(()),
        }
    }
}
