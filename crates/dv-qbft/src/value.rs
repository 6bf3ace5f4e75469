//! Values that are decided, each with its root, and those that an instance knows.
//!
//! Every message brings all values along that it means, so the same megabyte arrives many times, and from charon with its
//! map in another order each time: values are kept in their canonical form, a root is computed once, and all messages
//! share them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coxswain_dv_types::Root;
use coxswain_dv_wire::message::WireError;
use coxswain_dv_wire::root::bytes_root;
use coxswain_dv_wire::unsigned::canonical_value;
use coxswain_dv_wire::well_known::Any;

/// A value and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    any: Any,
    root: Root,
}

impl Value {
    /// Computes the root, and brings the bytes into their canonical form.
    ///
    /// # Errors
    /// It is of another type than nodes agree on, or its bytes are no message of its type.
    pub fn new(any: Any) -> Result<Value, WireError> {
        let bytes = canonical_value(&any)?;
        Ok(Value::canonical(any, bytes))
    }

    fn canonical(any: Any, bytes: Vec<u8>) -> Value {
        let root = bytes_root(&bytes);
        Value { any: Any { value: bytes, ..any }, root }
    }

    /// The value in its canonical form.
    #[must_use]
    pub fn any(&self) -> &Any {
        &self.any
    }

    /// Its root; of zeros for an empty one, which nobody can propose.
    #[must_use]
    pub fn root(&self) -> Root {
        self.root
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.any.value.len().saturating_add(self.any.type_url.len())
    }
}

/// Found by its bytes.
#[derive(Debug, Clone)]
struct ByBytes(Arc<Value>);

impl Borrow<[u8]> for ByBytes {
    fn borrow(&self) -> &[u8] {
        &self.0.any.value
    }
}

impl PartialEq for ByBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.any.value == other.0.any.value
    }
}

impl Eq for ByBytes {}

impl PartialOrd for ByBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.any.value.cmp(&other.0.any.value)
    }
}

/// The values that one instance knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    by_bytes: BTreeSet<ByBytes>,
    by_root: BTreeMap<Root, Arc<Value>>,
}

impl Values {
    /// The value of these bytes, the known one where there is one.
    pub(crate) fn resolve(&self, any: Any) -> Result<Arc<Value>, WireError> {
        if let Some(known) = self.find(&any, &any.value) {
            return Ok(known);
        }
        let bytes = canonical_value(&any)?;
        Ok(self.find(&any, &bytes).unwrap_or_else(|| Arc::new(Value::canonical(any, bytes))))
    }

    fn find(&self, any: &Any, bytes: &[u8]) -> Option<Arc<Value>> {
        let known = self.by_bytes.get(bytes).filter(|known| known.0.any.type_url == any.type_url);
        known.map(|known| Arc::clone(&known.0))
    }

    /// The value of a root.
    pub(crate) fn get(&self, root: &Root) -> Option<&Arc<Value>> {
        self.by_root.get(root)
    }

    /// Whether nothing would be kept of this value that is not kept already.
    pub(crate) fn knows(&self, value: &Value) -> bool {
        self.by_root.contains_key(&value.root)
    }

    /// Keeps a value.
    pub(crate) fn insert(&mut self, value: &Arc<Value>) {
        if !self.knows(value) {
            self.by_root.insert(value.root, Arc::clone(value));
            self.by_bytes.insert(ByBytes(Arc::clone(value)));
        }
    }

    /// Forgets all but one.
    pub(crate) fn keep_only(&mut self, roots: &BTreeSet<Root>) {
        self.by_root.retain(|root, _| roots.contains(root));
        self.by_bytes.retain(|value| roots.contains(&value.0.root));
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_wire::unsigned::UnsignedDataSet;

    use super::*;

    #[test]
    fn forms_of_one_value_are_one() {
        let set = [("a", 1), ("b", 2)].map(|(key, value)| (key.to_owned(), vec![value]));
        let sorted = UnsignedDataSet::pack(&BTreeMap::from(set));
        let (first, second) = sorted.value.split_at(sorted.value.len() / 2);
        let unsorted = Any { value: [second, first].concat(), ..sorted.clone() };
        assert_ne!(unsorted, sorted);
        let mut values = Values::default();
        let one = values.resolve(unsorted.clone()).expect("a value");
        assert_eq!(one.any(), &sorted);
        values.insert(&one);
        for form in [sorted.clone(), unsorted] {
            assert!(Arc::ptr_eq(&values.resolve(form).expect("a value"), &one));
        }
        assert!(values.resolve(Any { type_url: "other".into(), ..sorted }).is_err());
        values.keep_only(&BTreeSet::new());
        assert!(!values.knows(&one) && values.get(&one.root()).is_none());
    }
}
