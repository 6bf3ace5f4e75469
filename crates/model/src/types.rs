//! Types of the language.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// A type, or a type constraint where it holds `Any` or optional fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Not decided: any value.
    Any,
    /// `true` or `false`.
    Bool,
    /// An exact number.
    Num,
    /// Text.
    Str,
    /// Values of one type, in order.
    List(Arc<Type>),
    /// Different values of one type, in the order of the values.
    Set(Arc<Type>),
    /// Values of one type under text keys.
    Map(Arc<Type>),
    /// A fixed row of values, each of its own type.
    Tuple(Arc<[Type]>),
    /// Named fields, each of its own type.
    Object(Arc<BTreeMap<Arc<str>, Field>>),
    /// A reference to an instance of one of these kinds; empty: of any kind.
    Ref(Arc<[Arc<str>]>),
}

/// A field of an object type.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The field's type.
    pub ty: Type,
    /// Whether a value may lack the field (type constraints only).
    pub optional: Option<Optional>,
}

/// What `optional(type, default)` said.
#[derive(Debug, Clone, PartialEq)]
pub struct Optional {
    /// The value of a field that is absent or null; null where none was given.
    pub default: Option<Value>,
}

impl Field {
    /// A field that must be there.
    pub fn required(ty: Type) -> Field {
        Field { ty, optional: None }
    }
}

impl Type {
    /// A list of `Any`-or-other element type.
    pub fn list(elem: Type) -> Type {
        Type::List(Arc::new(elem))
    }
    /// A set of the element type.
    pub fn set(elem: Type) -> Type {
        Type::Set(Arc::new(elem))
    }
    /// A map to the element type.
    pub fn map(elem: Type) -> Type {
        Type::Map(Arc::new(elem))
    }
    /// A reference to one kind.
    pub fn reference(kind: &str) -> Type {
        Type::Ref(Arc::new([Arc::from(kind)]))
    }
    /// Whether the type holds no `Any`.
    pub fn is_concrete(&self) -> bool {
        match self {
            Type::Any => false,
            Type::Bool | Type::Num | Type::Str | Type::Ref(_) => true,
            Type::List(t) | Type::Set(t) | Type::Map(t) => t.is_concrete(),
            Type::Tuple(items) => items.iter().all(Type::is_concrete),
            Type::Object(fields) => fields.values().all(|f| f.ty.is_concrete()),
        }
    }
}

/// As one writes it in a `type =` argument; an object on one line.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any"),
            Type::Bool => f.write_str("bool"),
            Type::Num => f.write_str("number"),
            Type::Str => f.write_str("string"),
            Type::List(t) => write!(f, "list({t})"),
            Type::Set(t) => write!(f, "set({t})"),
            Type::Map(t) => write!(f, "map({t})"),
            Type::Tuple(items) => {
                f.write_str("tuple([")?;
                for (i, t) in items.iter().enumerate() {
                    write!(f, "{}{t}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("])")
            }
            Type::Object(fields) => {
                f.write_str("object({")?;
                for (i, (name, field)) in fields.iter().enumerate() {
                    let sep = if i > 0 { ", " } else { "" };
                    match &field.optional {
                        Some(_) => write!(f, "{sep}{name} = optional({})", field.ty)?,
                        None => write!(f, "{sep}{name} = {}", field.ty)?,
                    }
                }
                f.write_str("})")
            }
            Type::Ref(kinds) if kinds.is_empty() => f.write_str("resource"),
            Type::Ref(kinds) => f.write_str(&kinds.join(" or ")),
        }
    }
}
