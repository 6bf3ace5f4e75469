//! Two grammars of expressions over `x`, `y`, `v` and `w`: one of forms without regard to types, and one that
//! keeps them, so that most of its expressions have a value.

use coxswain_model::Type;
use proptest::prelude::*;
use proptest::sample::select;

use crate::eval::LAZY_FUNCTIONS;
use crate::functions::FUNCTIONS;

fn literal() -> impl Strategy<Value = String> {
    select(vec![
        "null",
        "true",
        "false",
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "1e30",
        "\"\"",
        "\"a\"",
        "\"b\"",
        "\"1\"",
        "\"true\"",
        "[]",
        "{}",
        "[1, 2]",
        "[\"a\", 1]",
        "{ a = 1, b = 2 }",
        "{ a = [1], b = {} }",
        "340282366920938463463374607431768211455",
    ])
    .prop_map(str::to_owned)
}

/// A leaf; `x` comes most often.
fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["x", "x", "x.a", "x[0]", "x[\"b\"]", "y", "y.a", "v", "host.a", "host.a.address"])
            .prop_map(str::to_owned),
        3 => literal(),
    ]
}

/// A call of any function but those that are named.
fn call(inner: BoxedStrategy<String>, without: &'static [&'static str]) -> BoxedStrategy<String> {
    let eager = FUNCTIONS.iter().map(|f| (f.name, f.params.len(), f.variadic.is_some()));
    let lazy = LAZY_FUNCTIONS.iter().map(|f| (f.name, f.params.len(), f.name == "try"));
    let known: Vec<_> = eager.chain(lazy).filter(|(name, ..)| !without.contains(name)).collect();
    (select(known), prop::collection::vec(inner, 4), 0_usize..3)
        .prop_map(|((name, fixed, repeats), args, more)| {
            let count = (fixed + if repeats { more } else { 0 }).min(args.len());
            format!("{name}({})", args[..count].join(", "))
        })
        .boxed()
}

pub(super) fn expression(without: &'static [&'static str]) -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 3, move |inner| {
        let one = inner.clone();
        let two = || (inner.clone(), inner.clone());
        let three = (inner.clone(), inner.clone(), inner.clone());
        let operator = select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||"]);
        prop_oneof![
            3 => (two(), operator).prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            1 => one.clone().prop_map(|a| format!("(!{a})")),
            1 => one.clone().prop_map(|a| format!("(-{a})")),
            2 => three.clone().prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
            1 => two().prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => two().prop_map(|(a, b)| format!("{{ a = {a}, b = {b} }}")),
            1 => two().prop_map(|(a, b)| format!("{{ ({a}) = {b}, b = 1 }}")),
            1 => two().prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => one.clone().prop_map(|a| format!("({a}).a")),
            1 => one.clone().prop_map(|a| format!("({a})[*].a")),
            1 => one.clone().prop_map(|a| format!("({a})[*]")),
            1 => two().prop_map(|(a, b)| format!("\"p${{{a}}}${{{b}}}\"")),
            1 => two().prop_map(|(a, b)| format!("\"%{{ if {a} }}${{{b}}}%{{ endif }}\"")),
            1 => two().prop_map(|(a, b)| format!("\"%{{ for v in {a} }}${{{b}}},%{{ endfor }}\"")),
            2 => two().prop_map(|(a, b)| format!("[for v in {a} : {b}]")),
            1 => three.clone().prop_map(|(a, b, c)| format!("[for k, v in {a} : {b} if {c}]")),
            1 => three.clone().prop_map(|(a, b, c)| format!("{{ for k, v in {a} : {b} => {c} }}")),
            1 => three.prop_map(|(a, b, c)| format!("{{ for v in {a} : {b} => {c}... }}")),
            4 => call(one, without),
        ]
    })
}

/// What a generated expression is of, so that most of them have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Bool,
    Num,
    Str,
    /// Of numbers.
    Row,
    /// Of numbers.
    Table,
}

/// Leaves of the sort; with `x` where its type gives one.
fn typed_leaves(sort: Sort, x: &Type) -> Vec<&'static str> {
    let mut leaves = match sort {
        Sort::Bool => vec!["true", "false"],
        Sort::Num => vec!["0", "1", "2.5", "w", "y.a"],
        Sort::Str => vec!["\"\"", "\"a\"", "\"k0\"", "host.a.address"],
        Sort::Row => vec!["[]", "[1, 2]"],
        Sort::Table => vec!["{}", "{ a = 3 }"],
    };
    let more: &[&'static str] = match (sort, x) {
        (Sort::Bool, Type::Bool) | (Sort::Num, Type::Num) | (Sort::Str, Type::Str | Type::Num) => &["x"],
        (Sort::Row, Type::List(_)) | (Sort::Table, Type::Map(_)) => &["x"],
        (Sort::Num, Type::List(_) | Type::Tuple(_)) => &["x[0]", "length(x)"],
        (Sort::Num, Type::Map(_) | Type::Object(_)) => &["x.a", "x[\"a\"]", "length(x)"],
        (Sort::Num, Type::Set(_)) => &["length(x)"],
        (Sort::Num, Type::Any) => &["length(x)", "length(x[*].a)"],
        (Sort::Str, Type::Object(_)) => &["x.b"],
        (Sort::Str, Type::Tuple(_)) => &["x[1]", "join(\"\", x)"],
        (Sort::Str, Type::Set(_)) => &["join(\"\", x)", "one(x)"],
        (Sort::Bool, _) => &["x == null", "x == x", "can(x.a)"],
        (Sort::Row, Type::Tuple(_)) => &["[for i, q in x : i]", "[for q in x : 1]"],
        // Keys of a map are text.
        (Sort::Row, _) => &["[for i, q in x : length(\"k${i}\")]", "[for q in x : 1]"],
        (Sort::Table, _) => &["{ for q in x : \"${q}\" => 1 }", "{ for k, q in x : k => 2 }"],
        (Sort::Str, _) => &["\"<${x}>\"", "jsonencode(x)"],
        (Sort::Num, _) => &["try(tonumber(x), 7)"],
    };
    for _ in 0..3 {
        leaves.extend(more);
    }
    leaves
}

/// Forms of the sort, two blanks apart: `B`, `N`, `S`, `R` and `T` stand for expressions of the sorts.
fn forms(sort: Sort) -> Vec<&'static str> {
    let text = match sort {
        Sort::Bool => BOOL,
        Sort::Num => NUM,
        Sort::Str => STR,
        Sort::Row => ROW,
        Sort::Table => TABLE,
    };
    text.lines().flat_map(|line| line.trim().split("  ")).filter(|form| !form.is_empty()).collect()
}

const BOOL: &str = r#"
    (N < N)  (N == N)  (S == S)  (R == R)  (T != T)  (!B)  (B && B)  (B || B)  (B ? B : B)  contains(R, N)
    can(N / N)  alltrue([B, B])  ([S, N] == [S, N])  (try(N / N, null) == null)
"#;

const NUM: &str = r#"
    (N + N)  (N * N)  (N - N)  (N % N)  (N / N)  (-N)  (B ? N : N)  length(R)  length(T)  max(N, N)  sum(R)
    (R)[N]  (T).a  (T)[S]  lookup(T, S, N)  try(N / N, N)  try((T).k0, N)  coalesce(null, N)  length(S)
    element(R, N)  min(R...)  index(R, N)  one([N])  (B ? N : null)  tonumber("${N}")  [N, S][0]  floor(N)
"#;

const STR: &str = r#"
    "p${N}${S}"  "%{ if B }${S}%{ else }${N}%{ endif }"  "%{ for w in R }${N},%{ endfor }"  upper(S)
    join(S, [S, S])  join(",", R)  format("%s-%v", S, N)  jsonencode(R)  jsonencode(T)  substr(S, 0, 1)
    (B ? S : S)  (B ? S : "q${N}")  sha256(S)  try(S, S)  coalesce(S, S)  keys(T)[0]  replace(S, S, S)
    split(S, S)[0]  [N, S][1]  trimprefix(S, S)  yamlencode(T)
"#;

const ROW: &str = r#"
    [N, N]  [for w in R : N]  [for w in R : w if B]  [for k, w in T : N if B]  concat(R, R)  (R)[*]
    reverse(R)  tolist(R)  distinct(R)  slice(R, 0, N)  flatten([R, [R]])  values(T)  (B ? R : R)
    (B ? R : [])  coalescelist(R, R)  toset(R)  setunion(R, R)  compact(["1", null])  matchkeys(R, R, R)
    setsubtract(R, R)  sort(R)  [for w in [R, R] : length(w)]  chunklist(R, 2)[0]
    concat([for w in R : N], R...)  [for w in setproduct(R, R) : w[0]]  range(N)
    [{ a = N }, { a = N }][*].a
"#;

const TABLE: &str = r#"
    { a = N, b = N }  { for k, w in T : k => N }  { for w in R : "k${w}" => N... }[S]
    { for w in R : "k${w}" => w }  merge(T, T)  zipmap([S, "b"], [N, N])  { (S) = N, b = N }  (B ? T : T)
    (B ? T : {})  tomap(T)  { for k, w in T : "${k}${S}" => w if B }  merge([T, T]...)
"#;

/// An expression of the sort, over an `x` of the type.
pub(super) fn typed(sort: Sort, x: Type, depth: u32) -> BoxedStrategy<String> {
    let leaf = select(typed_leaves(sort, &x)).prop_map(str::to_owned).boxed();
    if depth == 0 {
        return leaf;
    }
    let inner = move |form: &'static str| {
        let parts: Vec<BoxedStrategy<String>> = form
            .chars()
            .map(|c| match c {
                'B' => typed(Sort::Bool, x.clone(), depth - 1),
                'N' => typed(Sort::Num, x.clone(), depth - 1),
                'S' => typed(Sort::Str, x.clone(), depth - 1),
                'R' => typed(Sort::Row, x.clone(), depth - 1),
                'T' => typed(Sort::Table, x.clone(), depth - 1),
                other => Just(other.to_string()).boxed(),
            })
            .collect();
        parts.prop_map(|parts| parts.concat())
    };
    prop_oneof![1 => leaf, 3 => select(forms(sort)).prop_flat_map(inner)].boxed()
}
