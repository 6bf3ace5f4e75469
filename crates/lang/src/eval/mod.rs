//! Evaluation of expressions against a scope.

use std::path::PathBuf;
use std::sync::Arc;

use coxswain_model::{Address, Diagnostics, Span, Value};

use crate::ast::{Expr, Reference};

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
    let _ = (expr, scope);
    Err(Stop::Error(Vec::new()))
}
