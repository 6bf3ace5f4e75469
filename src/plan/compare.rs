//! When two values of an attribute mean the same.

use coxswain_lang::convert::convert;
use coxswain_model::Value;
use coxswain_model::schema::{Attr, Compare};

/// Whether `have` (observed or applied) means the same as `want`; both wholly known, else they differ.
pub fn same(attr: &Attr, have: &Value, want: &Value) -> bool {
    let ty = attr.ty.to_type();
    let convert = |v: &Value| convert(v.clone(), &ty).unwrap_or_else(|_| v.clone());
    let (have, want) = (convert(have), convert(want));
    if !have.is_wholly_known() || !want.is_wholly_known() {
        return false;
    }
    match attr.compare {
        Compare::Exact | Compare::Lines => have.same(&want),
        Compare::Mode => match (have.as_str(), want.as_str()) {
            (Some(a), Some(b)) => a.trim_start_matches('0') == b.trim_start_matches('0'),
            _ => have.same(&want),
        },
        Compare::CaseInsensitive => match (have.as_str(), want.as_str()) {
            (Some(a), Some(b)) => a.to_lowercase() == b.to_lowercase(),
            _ => have.same(&want),
        },
        Compare::Unordered => sorted(&have) == sorted(&want),
        Compare::Contains => {
            let have = sorted(&have);
            sorted(&want).iter().all(|w| have.iter().any(|h| h.same(w)))
        }
    }
}

fn sorted(value: &Value) -> Vec<Value> {
    let mut items: Vec<Value> = value.children().into_iter().map(bare).collect();
    items.sort_by(Value::order);
    items.dedup_by(|a, b| a.same(b));
    items
}

fn bare(value: &Value) -> Value {
    Value::from(value.node.clone())
}
