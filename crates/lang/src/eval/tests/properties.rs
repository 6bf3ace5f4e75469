//! What holds for every expression: no panic, no contradiction once the unknown is known, no mark lost, and a
//! conversion that is done stays as it is.
//!
//! Expressions come from two grammars, one that knows types and one that does not, over the names `x`, whose value
//! the property varies, `y`, which is known, and `v` and `w`, which the innermost `for` binds.

use std::collections::BTreeSet;

use coxswain_model::value::InstanceId;
use coxswain_model::{Diagnostics, FileId, Marks, Node, Type, Value};
use proptest::prelude::*;
use proptest::sample::select;

use super::grammar::{Sort, expression, typed};
use super::{World, constant, object, show};
use crate::ast::Expr;
use crate::convert::convert;
use crate::eval::{Stop, evaluate};
use crate::syntax::parse_expression;

/// Bounded so that each property takes two or three seconds without optimisation.
const CASES: u32 = 300;

/// As many cases as `PROPTEST_CASES` says, for a longer search, and never less than [`CASES`].
fn cases() -> u32 {
    CASES.max(ProptestConfig::default().cases)
}

/// An expression; the type of its `x` and values of that type; whether the grammar knew the types.
type Case = (String, (Type, Vec<Value>), bool);

fn case(without: &'static [&'static str]) -> BoxedStrategy<Case> {
    let sorts = [Sort::Bool, Sort::Num, Sort::Str, Sort::Row, Sort::Table].to_vec();
    let of_a_sort = (sort(), select(sorts))
        .prop_flat_map(|((ty, values), sort)| (typed(sort, ty.clone(), 3), Just((ty, values)), Just(true)));
    prop_oneof![1 => (expression(without), sort(), Just(false)), 3 => of_a_sort].boxed()
}

/// A type with known values of it, the first two different.
fn sort() -> impl Strategy<Value = (Type, Vec<Value>)> {
    let port = || constant("{ a = 1, b = \"x\" }").type_of();
    let sorts: Vec<(Type, &[&str])> = vec![
        (Type::Bool, &["true", "false"]),
        (Type::Num, &["0", "1", "2", "-7", "0.5"]),
        (Type::Str, &["\"a\"", "\"b\"", "\"\"", "\"true\"", "\"1\""]),
        (Type::list(Type::Num), &["[]", "[1]", "[1, 2]", "[0, 0, 3]"]),
        (Type::set(Type::Str), &["[]", "[\"a\"]", "[\"a\", \"b\"]"]),
        (Type::map(Type::Num), &["{}", "{ a = 1 }", "{ a = 0, b = 2 }"]),
        (port(), &["{ a = 1, b = \"x\" }", "{ a = 2, b = \"1\" }"]),
        (Type::Tuple([Type::Num, Type::Str].into()), &["[1, \"a\"]", "[0, \"b\"]"]),
        (Type::Any, &["null", "1", "\"a\"", "true", "[1, \"a\"]", "{ a = 1 }", "[]"]),
    ];
    let values = |(ty, texts): (Type, &[&str])| {
        let all = texts.iter().map(|text| convert(constant(text), &ty).expect("is of the type")).collect();
        (ty, all)
    };
    select(sorts.into_iter().map(values).collect::<Vec<_>>())
}

fn with_x(x: Value) -> World {
    let mut world = super::world();
    world.roots.insert("x", x);
    world.roots.insert("y", constant("{ a = 1, b = [\"a\", \"b\"] }"));
    world.roots.insert("w", Value::from(6));
    world.roots.insert("v", object([("a", Value::from(5))]));
    world
}

fn parsed(text: &str) -> Expr {
    parse_expression(FileId(0), text).unwrap_or_else(|e| panic!("{text}: {e:#?}"))
}

fn value_of(expr: &Expr, x: &Value) -> Result<Value, Stop> {
    evaluate(expr, &with_x(x.clone()))
}

fn fail(reason: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(reason))
}

fn places_lie_inside(text: &str, errors: &Diagnostics) -> bool {
    !errors.is_empty()
        && errors.iter().flat_map(|d| &d.labels).all(|l| {
            l.span.file == FileId(0) && text.get(l.span.start as usize..l.span.end as usize).is_some()
        })
        && errors.iter().all(|d| !d.labels.is_empty())
}

/// What text may turn out to be.
#[derive(Clone, Copy, PartialEq)]
enum Text {
    Stays,
    /// Or a number or bool of this text, which may turn out to be text.
    OrNumber,
}

/// Whether a value of type `found` may turn up where `promised` was promised.
fn keeps_type(promised: &Type, found: &Value, text: Text) -> bool {
    let keeps = |ty: &Type, item: &Value| keeps_type(ty, item, text);
    match promised {
        Type::Any => true,
        _ if found.is_null() => true,
        Type::List(elem) | Type::Set(elem) => {
            found.as_items().is_some_and(|items| items.iter().all(|item| keeps(elem, item)))
        }
        Type::Map(elem) => {
            found.as_fields().is_some_and(|fields| fields.values().all(|item| keeps(elem, item)))
        }
        Type::Tuple(types) => found.as_items().is_some_and(|items| {
            items.len() == types.len() && types.iter().zip(items).all(|(ty, item)| keeps(ty, item))
        }),
        Type::Object(fields) => found.as_fields().is_some_and(|found| {
            found.len() == fields.len()
                && fields.iter().all(|(k, f)| found.get(k).is_some_and(|v| keeps(&f.ty, v)))
        }),
        Type::Bool | Type::Num | Type::Str if text == Text::OrNumber => {
            convert(found.clone(), promised).is_ok()
        }
        Type::Bool | Type::Num | Type::Str | Type::Ref(_) => {
            found.type_of() == *promised || matches!(found.node, Node::Unknown { .. })
        }
    }
}

/// Whether `later` may be what `before` turns out to be.
fn fulfils(before: &Value, later: &Value, text: Text) -> bool {
    let both = |(a, b): (&Value, &Value)| fulfils(a, b, text);
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(both);
    match (&before.node, &later.node) {
        (Node::Unknown { ty, not_null }, _) => keeps_type(ty, later, text) && !(*not_null && later.is_null()),
        (Node::List(_, a) | Node::Tuple(a), Node::List(_, b) | Node::Tuple(b)) => all(a, b),
        // The element that was unknown may be one that is there already.
        (Node::Set(_, a), Node::Set(_, b)) => b.len() <= a.len() && (!before.is_wholly_known() || all(a, b)),
        (Node::Map(_, a) | Node::Object(a), Node::Map(_, b) | Node::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(both)
        }
        (Node::Null(_), Node::Null(_)) => true,
        (Node::Str(_), Node::Bool(_) | Node::Num(_)) | (Node::Bool(_) | Node::Num(_), Node::Str(_))
            if text == Text::OrNumber =>
        {
            let [before, later] =
                [before, later].map(|v| convert(v.clone(), &Type::Str).expect("has a text"));
            before.same(&later)
        }
        _ => before.same(later),
    }
}

/// Whether every place in which the two differ has the mark in one of them. Types are no secret: a branch or an
/// element that is sensitive may decide whether the other ones are numbers or text.
fn differ_under_mark(a: &Value, b: &Value, has: &dyn Fn(&Marks) -> bool) -> bool {
    if has(&a.marks) || has(&b.marks) {
        return true;
    }
    let all = |a: &[Value], b: &[Value]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| differ_under_mark(a, b, has))
    };
    match (&a.node, &b.node) {
        // Elements of a set are ordered by their value: what is marked in it may move.
        (Node::Set(_, x), Node::Set(_, y)) => {
            all(x, y) || x.iter().chain(y.iter()).any(|v| has(&v.deep_marks()))
        }
        (Node::List(_, a) | Node::Tuple(a), Node::List(_, b) | Node::Tuple(b)) => all(a, b),
        (Node::Map(_, a) | Node::Object(a), Node::Map(_, b) | Node::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| differ_under_mark(a, b, has))
        }
        (Node::Null(_), Node::Null(_)) => true,
        (Node::Unknown { .. }, Node::Unknown { .. }) => true,
        _ => {
            // Text of a number, or else the very same.
            if a.node == b.node {
                return true;
            }
            let [a, b] = [a, b].map(|v| convert(v.clone(), &Type::Str).ok().map(|v| v.node));
            a.is_some() && a == b
        }
    }
}

/// Without these: they take marks off or look at them.
const UNMARKING: &[&str] = &["nonsensitive", "issensitive"];

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 3000, max_global_rejects: cases().max(1024), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_never_panics_and_errors_have_places((text, (ty, values), _) in case(&[])) {
        let expr = parsed(&text);
        for x in values.into_iter().chain([Value::unknown(ty)]) {
            if let Err(Stop::Error(errors)) = value_of(&expr, &x) {
                prop_assert!(places_lie_inside(&text, &errors), "{text}: {errors:#?}");
            }
        }
    }

    #[test]
    fn what_was_said_of_an_unknown_stays_true((text, (ty, values), is_typed) in case(&[])) {
        // A branch of unknown type has no part in the type of a conditional; so a number may become its text. And
        // `try` takes what has a value while an unknown in it hides an error.
        prop_assume!((is_typed || !text.contains(" ? ")) && !text.contains("try(") && !text.contains("can("));
        let expr = parsed(&text);
        // A branch of unknown type, and one that fails once `x` is known, has no part in the type.
        let said = if text.contains(" ? ") { Text::OrNumber } else { Text::Stays };
        let before = value_of(&expr, &Value::unknown(ty.clone()));
        for x in values {
            let later = value_of(&expr, &x);
            match (&before, &later) {
                (Ok(before), Ok(later)) if fulfils(before, later, said) => {}
                (Ok(_), Err(_)) | (Err(_), Err(_)) => {}
                (Err(Stop::Need(_)), Ok(_)) => {}
                // Branches of different types, of which the one that is not taken fails once `x` is known.
                (Err(Stop::Error(errors)), Ok(_))
                    if said == Text::OrNumber && errors.iter().all(|d| d.code == "inconsistent-types") => {}
                (Ok(before), Ok(later)) => {
                    let told = format!("{text}: x is {}: {} became {}", show(&x), show(before), show(later));
                    return fail(told);
                }
                (Err(Stop::Error(errors)), Ok(later)) => {
                    return fail(format!("{text}: x is {}: {errors:?} became {}", show(&x), show(later)));
                }
            }
        }
    }

    #[test]
    fn what_hangs_on_a_sensitive_value_is_sensitive((text, (_, values), _) in case(UNMARKING)) {
        let expr = parsed(&text);
        let results: Vec<Value> =
            values.into_iter().filter_map(|x| value_of(&expr, &x.sensitive()).ok()).collect();
        for pair in results.windows(2) {
            let is_marked = differ_under_mark(&pair[0], &pair[1], &|marks| marks.sensitive);
            prop_assert!(is_marked, "{text}: {} and {}", show(&pair[0]), show(&pair[1]));
        }
    }

    #[test]
    fn what_hangs_on_an_instance_says_so((text, (_, values), _) in case(&[])) {
        let (expr, id) = (parsed(&text), InstanceId(9));
        let mark = Marks::from_instance(id);
        let comes_from = |marks: &Marks| marks.from.as_ref().is_some_and(|ids: &std::sync::Arc<BTreeSet<InstanceId>>| ids.contains(&id));
        let results: Vec<Value> =
            values.into_iter().filter_map(|x| value_of(&expr, &x.marked(&mark)).ok()).collect();
        for pair in results.windows(2) {
            let is_marked = differ_under_mark(&pair[0], &pair[1], &comes_from);
            prop_assert!(is_marked, "{text}: {} and {}", show(&pair[0]), show(&pair[1]));
        }
    }

    #[test]
    fn converting_again_changes_nothing((text, (given, values), _) in case(&[]), (wanted, _) in sort()) {
        let expr = parsed(&text);
        let known = values.into_iter().map(Value::sensitive);
        let results = known.chain([Value::unknown(given)]).filter_map(|x| value_of(&expr, &x).ok());
        for value in results {
            let Ok(once) = convert(value.clone(), &wanted) else { continue };
            let told = format!("{text}: {} as {wanted} is {}", show(&value), show(&once));
            prop_assert!(!once.is_wholly_known() || keeps_type(&wanted, &once, Text::Stays), "{told}");
            // A conversion to an object leaves out what the type does not name, with its marks.
            let marked = if matches!(wanted, Type::Object(_)) { value.marks.clone() } else { value.deep_marks() };
            prop_assert!(!marked.sensitive || once.deep_marks().sensitive, "{told}");
            let again = convert(once.clone(), &wanted);
            prop_assert!(again.as_ref().is_ok_and(|again| *again == once), "{told}, and then {again:?}");
        }
    }
}
