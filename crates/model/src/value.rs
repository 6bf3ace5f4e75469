//! Values: what expressions evaluate to and what attributes hold.
//!
//! Every node carries marks: whether it is sensitive, and which instances it was made from. Marks of a
//! collection are its own; elements keep theirs. [`Value::deep_marks`] unites them where a whole is used.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::Address;
use crate::number::Num;
use crate::types::{Field, Type};

/// The attributes of an object, by name.
pub type Object = BTreeMap<Arc<str>, Value>;

/// A resource instance of one run, by its position in the engine's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u32);

/// What follows a value through every operator and function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Never to be printed, stored or logged in clear.
    pub sensitive: bool,
    /// The instances the value was made from; `None` for none.
    pub from: Option<Arc<BTreeSet<InstanceId>>>,
    /// It hangs on instances whose keys are not known yet: nothing done in this round makes it known.
    pub later: bool,
}

/// A reference to a resource instance, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceRef {
    /// The instance. Equality of references is equality of instances.
    pub address: Address,
    /// The same, as the engine counts it.
    pub id: InstanceId,
}

/// A value with its marks.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The value itself.
    pub node: Node,
    /// Its marks.
    pub marks: Marks,
}

/// A value without its marks.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// The absence of a value of this type (`Any` for a bare `null`).
    Null(Type),
    /// A value that is not known yet.
    Unknown {
        /// What is known of its type.
        ty: Type,
        /// Whether it is known not to be null.
        not_null: bool,
    },
    /// A truth value.
    Bool(bool),
    /// A number.
    Num(Num),
    /// Text, in NFC where it came from a configuration.
    Str(Arc<str>),
    /// Values of one type in order.
    List(Type, Arc<Vec<Value>>),
    /// Different values of one type, sorted by [`Value::order`].
    Set(Type, Arc<Vec<Value>>),
    /// Values of one type by key.
    Map(Type, Arc<Object>),
    /// A row of values of any types.
    Tuple(Arc<Vec<Value>>),
    /// Fields of any types.
    Object(Arc<Object>),
    /// A reference to a resource instance.
    Ref(Arc<ResourceRef>),
}

impl Marks {
    /// No marks.
    pub const NONE: Marks = Marks { sensitive: false, from: None, later: false };

    /// The mark of a value read from `id`.
    pub fn from_instance(id: InstanceId) -> Marks {
        Marks { from: Some(Arc::new(BTreeSet::from([id]))), ..Marks::NONE }
    }

    /// Whether there is no mark.
    pub fn is_empty(&self) -> bool {
        !self.sensitive && self.from.is_none() && !self.later
    }

    /// Adds the marks of `other`.
    pub fn add(&mut self, other: &Marks) {
        self.sensitive |= other.sensitive;
        self.later |= other.later;
        let Some(more) = &other.from else { return };
        match &mut self.from {
            None => self.from = Some(more.clone()),
            Some(have) if Arc::ptr_eq(have, more) || more.is_subset(have) => {}
            Some(have) => Arc::make_mut(have).extend(more.iter().copied()),
        }
    }

    /// The union.
    #[must_use]
    pub fn with(mut self, other: &Marks) -> Marks {
        self.add(other);
        self
    }
}

impl From<Node> for Value {
    fn from(node: Node) -> Value {
        Value { node, marks: Marks::NONE }
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Node::Bool(b).into()
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Node::Str(s.into()).into()
    }
}
impl From<String> for Value {
    fn from(s: String) -> Value {
        Node::Str(s.into()).into()
    }
}
impl From<Num> for Value {
    fn from(n: Num) -> Value {
        Node::Num(n).into()
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Node::Num(Num::from(n)).into()
    }
}

impl Value {
    /// A bare `null`.
    pub fn null() -> Value {
        Node::Null(Type::Any).into()
    }
    /// An unknown value of this type.
    pub fn unknown(ty: Type) -> Value {
        Node::Unknown { ty, not_null: false }.into()
    }
    /// A tuple.
    pub fn tuple(items: Vec<Value>) -> Value {
        Node::Tuple(Arc::new(items)).into()
    }
    /// A list; the caller made the elements alike.
    pub fn list(elem: Type, items: Vec<Value>) -> Value {
        Node::List(elem, Arc::new(items)).into()
    }
    /// A set: sorts, and drops what is there twice. Marks of dropped elements are kept by the twin that stays. Where
    /// there are several, the set has the marks of all: each decides how many are left and where the others stand.
    pub fn set(elem: Type, mut items: Vec<Value>) -> Value {
        let mut marks = Marks::NONE;
        if items.len() > 1 {
            items.iter().for_each(|item| marks.add(&item.deep_marks()));
        }
        items.sort_by(Value::order);
        let mut kept: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            match kept.last_mut() {
                Some(last) if Value::order(last, &item) == Ordering::Equal && item.is_wholly_known() => {
                    last.marks.add(&item.marks);
                }
                _ => kept.push(item),
            }
        }
        Value { node: Node::Set(elem, Arc::new(kept)), marks }
    }
    /// A map; the caller made the elements alike.
    pub fn map(elem: Type, entries: Object) -> Value {
        Node::Map(elem, Arc::new(entries)).into()
    }
    /// An object.
    pub fn object(fields: Object) -> Value {
        Node::Object(Arc::new(fields)).into()
    }

    /// The value with more marks.
    #[must_use]
    pub fn marked(mut self, marks: &Marks) -> Value {
        self.marks.add(marks);
        self
    }
    /// The value, marked sensitive.
    #[must_use]
    pub fn sensitive(mut self) -> Value {
        self.marks.sensitive = true;
        self
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.node, Node::Null(_))
    }
    /// Whether the value itself is known; its elements may not be.
    pub fn is_known(&self) -> bool {
        !matches!(self.node, Node::Unknown { .. })
    }
    /// Whether the value and all in it are known.
    pub fn is_wholly_known(&self) -> bool {
        self.is_known() && self.children().iter().all(|v| v.is_wholly_known())
    }
    /// Whether it is a set of which it is not known yet how many elements it has, or in which order: one that is
    /// unknown may turn out to be another one, and stands where its value will put it.
    pub fn is_open_set(&self) -> bool {
        matches!(&self.node, Node::Set(_, items) if items.len() > 1) && !self.is_wholly_known()
    }
    /// Whether the value or anything in it is sensitive.
    pub fn is_sensitive(&self) -> bool {
        self.marks.sensitive || self.children().iter().any(|v| v.is_sensitive())
    }
    /// The marks of the value and of all in it.
    pub fn deep_marks(&self) -> Marks {
        let mut marks = self.marks.clone();
        for child in self.children() {
            marks.add(&child.deep_marks());
        }
        marks
    }
    /// The elements or fields in order; empty for leaves.
    pub fn children(&self) -> Vec<&Value> {
        match &self.node {
            Node::Null(_)
            | Node::Unknown { .. }
            | Node::Bool(_)
            | Node::Num(_)
            | Node::Str(_)
            | Node::Ref(_) => Vec::new(),
            Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => items.iter().collect(),
            Node::Map(_, fields) | Node::Object(fields) => fields.values().collect(),
        }
    }

    /// The text of a known string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.node {
            Node::Str(s) => Some(s),
            _ => None,
        }
    }
    /// The truth of a known bool.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.node {
            Node::Bool(b) => Some(*b),
            _ => None,
        }
    }
    /// The number.
    pub fn as_num(&self) -> Option<&Num> {
        match &self.node {
            Node::Num(n) => Some(n),
            _ => None,
        }
    }
    /// The elements of a list, set or tuple.
    pub fn as_items(&self) -> Option<&[Value]> {
        match &self.node {
            Node::List(_, items) | Node::Set(_, items) | Node::Tuple(items) => Some(items),
            _ => None,
        }
    }
    /// The entries of a map or object.
    pub fn as_fields(&self) -> Option<&Object> {
        match &self.node {
            Node::Map(_, fields) | Node::Object(fields) => Some(fields),
            _ => None,
        }
    }
    /// The reference.
    pub fn as_ref(&self) -> Option<&Arc<ResourceRef>> {
        match &self.node {
            Node::Ref(r) => Some(r),
            _ => None,
        }
    }

    /// The exact type of the value.
    pub fn type_of(&self) -> Type {
        match &self.node {
            Node::Null(ty) | Node::Unknown { ty, .. } => ty.clone(),
            Node::Bool(_) => Type::Bool,
            Node::Num(_) => Type::Num,
            Node::Str(_) => Type::Str,
            Node::List(ty, _) => Type::list(ty.clone()),
            Node::Set(ty, _) => Type::set(ty.clone()),
            Node::Map(ty, _) => Type::map(ty.clone()),
            Node::Tuple(items) => Type::Tuple(items.iter().map(Value::type_of).collect()),
            Node::Object(fields) => Type::Object(Arc::new(
                fields.iter().map(|(k, v)| (k.clone(), Field::required(v.type_of()))).collect(),
            )),
            Node::Ref(r) => Type::Ref(Arc::new([r.address.kind.clone()])),
        }
    }

    /// A total order without regard to marks: by sort of value, then by content. Strings by bytes, numbers by size.
    pub fn order(a: &Value, b: &Value) -> Ordering {
        match (&a.node, &b.node) {
            (Node::Bool(x), Node::Bool(y)) => x.cmp(y),
            (Node::Num(x), Node::Num(y)) => x.cmp(y),
            (Node::Str(x), Node::Str(y)) => x.cmp(y),
            (Node::Ref(x), Node::Ref(y)) => x.address.cmp(&y.address),
            (Node::Null(_), Node::Null(_)) => Ordering::Equal,
            (
                Node::List(_, x) | Node::Set(_, x) | Node::Tuple(x),
                Node::List(_, y) | Node::Set(_, y) | Node::Tuple(y),
            ) => x
                .iter()
                .zip(y.iter())
                .map(|(x, y)| Value::order(x, y))
                .find(|o| o.is_ne())
                .unwrap_or_else(|| x.len().cmp(&y.len())),
            (Node::Map(_, x) | Node::Object(x), Node::Map(_, y) | Node::Object(y)) => x
                .iter()
                .zip(y.iter())
                .map(|((kx, x), (ky, y))| kx.cmp(ky).then_with(|| Value::order(x, y)))
                .find(|o| o.is_ne())
                .unwrap_or_else(|| x.len().cmp(&y.len())),
            _ => rank(&a.node).cmp(&rank(&b.node)),
        }
    }

    /// Equality of content without regard to marks and to list/tuple or map/object differences.
    pub fn same(&self, other: &Value) -> bool {
        match (&self.node, &other.node) {
            (Node::Unknown { .. }, _) | (_, Node::Unknown { .. }) => false,
            _ => {
                Value::order(self, other) == Ordering::Equal
                    && self.is_wholly_known()
                    && other.is_wholly_known()
            }
        }
    }
}

fn rank(node: &Node) -> u8 {
    match node {
        Node::Null(_) => 0,
        Node::Bool(_) => 1,
        Node::Num(_) => 2,
        Node::Str(_) => 3,
        Node::List(..) | Node::Set(..) | Node::Tuple(_) => 4,
        Node::Map(..) | Node::Object(_) => 5,
        Node::Ref(_) => 6,
        Node::Unknown { .. } => 7,
    }
}
