//! The configuration language: text in, values out.
//!
//! ```text
//! bytes ─syntax→ Body (attributes, blocks, expressions with spans) ─eval(scope)→ Value
//!            └→ Diagnostics of every file at once
//! ```
//!
//! Pure: it reads no file, clock or environment. What an expression needs from outside it asks its [`eval::Scope`]
//! for; the answer may be "not yet" ([`eval::Stop::Need`]), and the caller resumes by evaluating again.

pub mod ast;
pub mod convert;
pub mod eval;
pub mod functions;
pub mod syntax;
pub mod typeexpr;
pub mod write;

pub use ast::{Attribute, Block, Body, Expr, ExprKind, Reference};
pub use eval::{Need, Scope, Stop, evaluate};
pub use syntax::references::{functions_called, is_constant, references};
pub use syntax::{SourceFile, parse, parse_expression, parse_template};
