//! The functions of the language: one table, from which docs, completion and errors come.
//!
//! ```text
//! arguments ─convert to Param::ty, refuse null unless nullable─┬─ raw ────────────────→ call
//!                                                              └─ any unknown? ─yes──→ unknown of result(args)
//!                                                                     no─ strip marks → call → add all marks
//! ```
//!
//! A `raw` function is given unknown and marked arguments (converted all the same), answers as well as it can and
//! keeps the marks of elements with the elements. No function reads a clock, a file or the environment, none
//! panics, and what one may produce is bounded by named constants.

mod arguments;
mod cidr;
mod collections;
mod csv;
mod encoding;
mod format;
mod hash;
mod maps;
mod numbers;
mod paths;
mod regex;
mod sequences;
mod sets;
mod strings;
mod time;
mod types;
mod yaml;

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
    /// What is wrong. Never holds the text of an argument: it may be sensitive, and has no mark here.
    pub reason: String,
}

/// What most functions have in common; entries of the table fill in the rest.
const BASE: FnSpec = FnSpec {
    name: "",
    params: &[],
    variadic: None,
    result: |_| Type::Any,
    call: |_| Err(FnError { argument: None, reason: String::new() }),
    raw: false,
    doc: "",
    example: ("", ""),
};

/// All functions, sorted by name. Adding one is its file's entry and its line here.
pub static FUNCTIONS: &[&FnSpec] = &[
    &numbers::ABS,
    &collections::ALLTRUE,
    &collections::ANYTRUE,
    &encoding::BASE64DECODE,
    &encoding::BASE64ENCODE,
    &hash::BASE64SHA256,
    &hash::BASE64SHA512,
    &paths::BASENAME,
    &numbers::CEIL,
    &strings::CHOMP,
    &sequences::CHUNKLIST,
    &cidr::CIDRCONTAINS,
    &cidr::CIDRHOST,
    &cidr::CIDRNETMASK,
    &cidr::CIDRSUBNET,
    &cidr::CIDRSUBNETS,
    &collections::COALESCE,
    &collections::COALESCELIST,
    &collections::COMPACT,
    &sequences::CONCAT,
    &collections::CONTAINS,
    &csv::CSVDECODE,
    &paths::DIRNAME,
    &collections::DISTINCT,
    &sequences::ELEMENT,
    &strings::ENDSWITH,
    &numbers::ETHER,
    &sequences::FLATTEN,
    &numbers::FLOOR,
    &format::FORMAT,
    &time::FORMATDATE,
    &format::FORMATLIST,
    &numbers::GWEI,
    &strings::INDENT,
    &collections::INDEX,
    &types::ISSENSITIVE,
    &strings::JOIN,
    &encoding::JSONDECODE,
    &encoding::JSONENCODE,
    &maps::KEYS,
    &collections::LENGTH,
    &numbers::LOG,
    &maps::LOOKUP,
    &strings::LOWER,
    &collections::MATCHKEYS,
    &numbers::MAX,
    &hash::MD5,
    &maps::MERGE,
    &numbers::MIN,
    &types::NONSENSITIVE,
    &sequences::ONE,
    &numbers::PARSEINT,
    &numbers::POW,
    &numbers::RANGE,
    &regex::REGEX,
    &regex::REGEXALL,
    &regex::REPLACE,
    &sequences::REVERSE,
    &types::SENSITIVE,
    &sets::SETINTERSECTION,
    &sets::SETPRODUCT,
    &sets::SETSUBTRACT,
    &sets::SETUNION,
    &hash::SHA1,
    &hash::SHA256,
    &hash::SHA512,
    &numbers::SIGNUM,
    &sequences::SLICE,
    &collections::SORT,
    &strings::SPLIT,
    &strings::STARTSWITH,
    &strings::STRCONTAINS,
    &strings::STRREV,
    &strings::SUBSTR,
    &numbers::SUM,
    &encoding::TEXTDECODEBASE64,
    &encoding::TEXTENCODEBASE64,
    &time::TIMEADD,
    &time::TIMECMP,
    &strings::TITLE,
    &types::TOBOOL,
    &types::TOLIST,
    &types::TOMAP,
    &types::TONUMBER,
    &types::TOSET,
    &types::TOSTRING,
    &maps::TRANSPOSE,
    &strings::TRIM,
    &strings::TRIMPREFIX,
    &strings::TRIMSPACE,
    &strings::TRIMSUFFIX,
    &strings::UPPER,
    &encoding::URLDECODE,
    &encoding::URLENCODE,
    &maps::VALUES,
    &yaml::YAMLDECODE,
    &yaml::YAMLENCODE,
    &maps::ZIPMAP,
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static FnSpec> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| FUNCTIONS[i])
}

impl FnError {
    /// The argument at `position` (0-based) is at fault.
    pub fn of(position: usize, reason: impl Into<String>) -> FnError {
        FnError { argument: Some(position), reason: reason.into() }
    }

    /// The call as a whole is at fault.
    pub fn new(reason: impl Into<String>) -> FnError {
        FnError { argument: None, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use coxswain_model::{Node, Num};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for f in FUNCTIONS {
            assert!(!f.doc.is_empty() && f.doc.ends_with('.'), "{}", f.name);
            assert!(f.example.0.contains(f.name) && !f.example.1.is_empty(), "{}", f.name);
            assert!(find(f.name).is_some_and(|found| found.name == f.name));
        }
    }

    fn leaf() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[a-z0-9%/.:\\[(\\]{}\"\n ,é-]{0,12}",
            Just("10.0.0.0/8".to_owned()),
            Just("2018-01-02T23:12:01Z".to_owned()),
            Just("%[1]08.3f%v".to_owned()),
            Just("(a)?b*".to_owned()),
        ];
        let number = prop_oneof![
            any::<i64>().prop_map(Num::from),
            (-9_i64..9).prop_map(Num::from),
            any::<i128>().prop_map(Num::from),
            any::<f64>().prop_filter_map("finite", Num::from_f64),
            Just("1e4000".parse::<Num>().expect("a number")),
        ];
        prop_oneof![
            text.prop_map(Value::from),
            number.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::null()),
            Just(Value::unknown(Type::Any)),
            Just(Value::unknown(Type::list(Type::Str))),
            Just(Value::from(Node::Null(Type::map(Type::Str)))),
            Just(Value::from("s").sensitive()),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::tuple),
                prop::collection::vec(inner.clone(), 0..3).prop_map(|items| Value::set(Type::Any, items)),
                prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|m| Value::object(
                    m.into_iter().map(|(k, v)| (k.as_str().into(), v)).collect()
                )),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever the arguments: an answer or an error, also where the caller did not convert them.
        #[test]
        fn no_function_panics(args in prop::collection::vec(value(), 0..4)) {
            for f in FUNCTIONS {
                let _ = (f.call)(&args);
                let _ = (f.result)(&args);
                let _ = arguments::call(f, &args);
            }
        }

        /// Sensitive arguments do not leak out of functions that take marks themselves.
        #[test]
        fn marks_survive(arg in value(), key in leaf()) {
            for f in FUNCTIONS.iter().filter(|f| f.raw && !matches!(f.name, "nonsensitive" | "issensitive")) {
                let args = [arg.clone().sensitive(), key.clone()];
                let args = &args[..if f.variadic.is_some() { 2 } else { f.params.len().min(2) }];
                if let Ok(result) = arguments::call(f, args) {
                    prop_assert!(result.is_sensitive(), "{}", f.name);
                }
            }
        }
    }
}
