//! References, functions and constancy of expressions.

use coxswain_model::FileId;

use crate::ast::{RefStep, Reference};
use crate::syntax::references::{functions_called, is_constant, references};
use crate::syntax::{parse_expression, parse_template};

fn shown(reference: &Reference) -> String {
    let steps = reference.steps.iter().map(|step| match step {
        RefStep::Attr(name) => format!(".{name}"),
        RefStep::Key(key) => format!("[{key:?}]"),
        RefStep::Index(n) => format!("[{n}]"),
    });
    format!("{}{}", reference.root, steps.collect::<String>())
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let expr = parse_expression(FileId(0), text).expect(text);
    assert_eq!(references(&expr).iter().map(shown).collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn free_names_come_with_their_constant_steps() {
    check("1 + 2", &[]);
    check("var.x", &["var.x"]);
    check("host.a[\"k\"].b[0]", &["host.a[\"k\"].b[0]"]);
    check("a.0.b", &["a[0].b"]);
    check("a[b.c].d", &["a", "b.c"]);
    check("a[-1].d", &["a"]);
    check("(a.b).c", &["a.b"]);
    check("f(a, b.c...)", &["a", "b.c"]);
    check("c ? x.y : -z", &["c", "x.y", "z"]);
    check("{ a = b, (c) = d, \"${e}\" = f }", &["b", "c", "d", "e", "f"]);
    check("a.b[*].c", &["a.b"]);
    check("a.*.c[x]", &["a", "x"]);
}

#[test]
fn names_bound_by_for_are_not_free() {
    check("[for x in x : x.a + y if z]", &["x", "y", "z"]);
    check("{for k, v in m : k => v[w]...}", &["m", "w"]);
    check("[for x in a : [for y in x : y]]", &["a"]);
    check("[for x in a : x] == x", &["a", "x"]);
    check("\"%{ for k, v in var.m }${k}${v}${w}%{ endfor }\"", &["var.m", "w"]);
    check("\"%{ if var.c }${a}%{ else }${b}%{ endif }\"", &["var.c", "a", "b"]);
    check("<<EOT\n%{ for x in var.l ~}\n${x} ${u}\n%{ endfor ~}\nEOT", &["var.l", "u"]);
}

#[test]
fn the_span_covers_root_and_steps() {
    let text = "1 + host.a[0].b[x].c";
    let expr = parse_expression(FileId(0), text).expect("is good");
    let spans: Vec<&str> =
        references(&expr).iter().map(|r| &text[r.span.start as usize..r.span.end as usize]).collect();
    assert_eq!(spans, ["host.a[0].b", "x"]);
}

#[test]
fn functions_and_constants() {
    let parsed = |text: &str| parse_expression(FileId(0), text).expect(text);
    let names: Vec<_> =
        functions_called(&parsed("f(g(1), \"${h()}\")")).into_iter().map(|(n, _)| n.to_string()).collect();
    assert_eq!(names, ["f", "g", "h"]);
    assert!(is_constant(&parsed("[for x in [1, 2] : x * 2]")));
    assert!(is_constant(&parsed("{ a = \"b\" }")));
    assert!(!is_constant(&parsed("a")));
    assert!(!is_constant(&parsed("file(\"x\")")));
    let template = parse_template(FileId(0), "${a}%{ if b }c%{ endif }").expect("is good");
    assert_eq!(references(&template).len(), 2);
}

#[test]
fn pure_traversals() {
    let traversal =
        |text: &str| parse_expression(FileId(0), text).expect(text).as_traversal().map(|r| shown(&r));
    assert_eq!(traversal("module.x"), Some("module.x".into()));
    assert_eq!(traversal("file.a[\"k\"]"), Some("file.a[\"k\"]".into()));
    assert_eq!(traversal("file.a[k]"), None);
    assert_eq!(traversal("(a)"), None);
    assert_eq!(traversal("a[*]"), None);
}
