//! The vocabulary of coxswain: addresses, values, types, schemas, steps and diagnostics.
//!
//! Everything here is data. Nothing reads a clock, the environment, a file or a random number, and nothing
//! here knows where values come from or what becomes of them. All orders are fixed (`BTreeMap`, sorted sets),
//! so that equal values have equal bytes wherever they are written.

pub mod address;
mod decimal;
pub mod diagnostic;
pub mod json;
pub mod number;
pub mod schema;
pub mod span;
pub mod types;
pub mod value;

pub use address::{Address, Key, ModulePath, ModuleStep};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use number::Num;
pub use schema::{Attr, AttrType, Class, Compare, Schema};
pub use span::{FileId, Span};
pub use types::{Field, Type};
pub use value::{InstanceId, Marks, Node, Object, ResourceRef, Value};
