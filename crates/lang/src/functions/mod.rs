//! The functions of the language: one table, from which docs, completion and errors come.

use coxswain_model::{Type, Value};

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name in messages and docs.
    pub name: &'static str,
    /// What is asked of the argument; it is converted to it.
    pub ty: fn() -> Type,
    /// Whether `null` may be given.
    pub nullable: bool,
}

/// A function over evaluated arguments.
pub struct FnSpec {
    /// The name.
    pub name: &'static str,
    /// The fixed parameters.
    pub params: &'static [Param],
    /// The parameter that may repeat at the end.
    pub variadic: Option<Param>,
    /// The type of the result, where any argument is unknown.
    pub result: fn(&[Value]) -> Type,
    /// The body; arguments are converted, known and unmarked unless `raw`.
    pub call: fn(&[Value]) -> Result<Value, FnError>,
    /// Whether the body takes unknown and marked arguments itself.
    pub raw: bool,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// `expression` = result, shown in the reference and tested.
    pub example: (&'static str, &'static str),
}

/// Why a function gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FnError {
    /// The argument at fault, by position, if one is.
    pub argument: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

/// All functions, sorted by name. Adding one is its file's entry and its line here.
pub static FUNCTIONS: &[&FnSpec] = &[];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static FnSpec> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| FUNCTIONS[i])
}
