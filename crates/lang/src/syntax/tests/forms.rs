//! Every form of the language and the tree it gives.

use coxswain_model::FileId;

use super::sexpr;
use crate::syntax::{parse, parse_expression, parse_template};

#[track_caller]
fn check(text: &str, expected: &str) {
    let expr = parse_expression(FileId(0), text).expect(text);
    assert_eq!(sexpr::expr(&expr), expected, "{text}");
}

#[track_caller]
fn check_body(text: &str, expected: &str) {
    let (body, diagnostics) = parse(FileId(0), text.as_bytes());
    assert_eq!(diagnostics, vec![], "{text}");
    assert_eq!(sexpr::body(&body), expected, "{text}");
}

#[track_caller]
fn check_template(text: &str, expected: &str) {
    let expr = parse_template(FileId(0), text).expect(text);
    assert_eq!(sexpr::expr(&expr), expected, "{text}");
}

#[test]
fn literals() {
    check("null", "null");
    check("true", "true");
    check("12", "12");
    check("1.50", "1.5");
    check("32000000000000000000", "32000000000000000000");
    check(
        "123456789012345678901234567890123456789012345678901234567890.5",
        "123456789012345678901234567890123456789012345678901234567890.5",
    );
    check("1e3", "1000");
    check("-5", "-5");
    check("- /* 7 */ 5", "-5");
    check("\"a\\nb\\u00e9\\\"\"", "\"a\\nbé\\\"\"");
}

#[test]
fn strings_are_in_normal_form_c() {
    check("\"e\u{301}\"", "\"é\"");
    check("\"e\u{301}${x}e\u{301}\"", "(template \"é\" ${x} \"é\")");
    check_body("block \"e\u{301}\" {\n}\n", "block \"é\" {}");
}

#[test]
fn operators_bind_as_usual() {
    check("1 + 2 * 3", "(+ 1 (* 2 3))");
    check("1 - 2 - 3", "(- (- 1 2) 3)");
    check("!a && b || c", "(|| (&& (! a) b) c)");
    check("a == 1 ? x : y", "(? (== a 1) x y)");
    check("-a % 2 >= 1", "(>= (% (neg a) 2) 1)");
    check("a < b != c > d", "(!= (< a b) (> c d))");
    check("(1 + 2) / 3", "(/ (paren (+ 1 2)) 3)");
    check("a <= 1", "(<= a 1)");
}

#[test]
fn collections() {
    check("[]", "[]");
    check("[1, \"a\",\n]", "[1 \"a\"]");
    check("{}", "{}");
    check("{ a = 1, \"b\" : 2, (c) = 3\n d = 4 }", "{a: 1 \"b\": 2 (paren c): 3 d: 4}");
    check("{ \"${x}\" = 1 }", "{(template ${x}): 1}");
    check("{ 1 = true }", "{1: true}");
}

#[test]
fn traversals() {
    check("var.x", "(. var x)");
    check("a.b[0].c[\"k\"]", "(at (. (at (. a b) 0) c) \"k\")");
    check("a.0.b", "(. (at a 0) b)");
    check("a[b.c]", "(at a (. b c))");
    check("f(x).y", "(. (f() x) y)");
    check("\"${a}\".b", "(. (template ${a}) b)");
}

#[test]
fn splats() {
    check("a.*", "(.* a _)");
    check("a.*.b.c", "(.* a (. (. _ b) c))");
    check("a.*.b[0]", "(at (.* a (. _ b)) 0)");
    check("a.*.b[*].c", "([*] (.* a (. _ b)) (. _ c))");
    check("a[*]", "([*] a _)");
    check("a[*].b[0]", "([*] a (at (. _ b) 0))");
    check("a[*].b[*].c", "([*] a ([*] (. _ b) (. _ c)))");
    check("(a[*].b)[0]", "(at (paren ([*] a (. _ b))) 0)");
}

#[test]
fn calls() {
    check("f()", "(f() )");
    check("f(1, g(x)...)", "(f() 1 (g() x)...)");
    check("provider::x::f(1)", "(provider::x::f() 1)");
}

#[test]
fn for_expressions() {
    check("[for x in xs : x.a]", "(for x in xs : (. x a))");
    check("[for i, x in xs : x if i > 0]", "(for i,x in xs : x if (> i 0))");
    check("{for k, v in m : k => v...}", "(for k,v in m : k => v...)");
    check("{for k, v in m : k => v... if v != 1}", "(for k,v in m : k => v... if (!= v 1))");
}

#[test]
fn templates() {
    check("\"\"", "\"\"");
    check("\"${x}\"", "(template ${x})");
    check("\"a ${x} b\"", "(template \"a \" ${x} \" b\")");
    check("\"$${x} %%{y} $x\"", "\"${x} %{y} $x\"");
    check("\"%{ if a }x%{ else }y%{ endif }\"", "(template (if a <\"x\"> <\"y\">))");
    check("\"%{ for k, v in m }${k}%{ endfor }\"", "(template (for k,v in m <${k}>))");
    check("\"${\"${x}\"}\"", "(template ${(template ${x})})");
}

#[test]
fn strip_markers_of_quoted_strings_take_all_space() {
    check("\" ${~ x ~} \"", "(template ${x} \"\")");
    check("\"a ${~ x} b\"", "(template \"a\" ${x} \" b\")");
    check("\"a %{ if true ~} b %{~ endif } c\"", "(template \"a \" (if true <\"b\"> <>) \" c\")");
    check("\"%{ if a ~} 1 %{~ else ~} 2 %{~ endif ~} 3\"", "(template (if a <\"1\"> <\"2\">) \"3\")");
}

#[test]
fn heredocs() {
    check("<<EOT\n  a\n b\nEOT", "\"  a\\n b\\n\"");
    check("<<-EOT\n    a\n      b\n\n    c\n    EOT", "\"a\\n  b\\n\\nc\\n\"");
    check("<<-EOT\n    a\n  ${x}\n    b\n  EOT", "(template \"  a\\n\" ${x} \"\\n  b\\n\")");
    check("<<-EOT\n    a\n${x}\n  EOT", "(template \"    a\\n\" ${x} \"\\n\")");
    check("<<EOT\nEOT", "\"\"");
    check("<<EOT\n$${x} \\n\nEOT", "\"${x} \\\\n\\n\"");
}

#[test]
fn indentation_goes_inside_directives_too() {
    check(
        "<<-EOT\n    %{ for x in xs ~}\n    - ${x}\n      more\n    %{ endfor ~}\n    end\n  EOT",
        "(template (for x in xs <\"- \" ${x} \"\\n  more\\n\">) \"end\\n\")",
    );
}

#[test]
fn strip_markers_of_lines_keep_the_next_indentation() {
    check_template(
        "%{ for x in xs ~}\n  - ${x}\n%{ endfor ~}\nend\n",
        "(template (for x in xs <\"  - \" ${x} \"\\n\">) \"end\\n\")",
    );
    check_template("a\n  ${~ x }\n", "(template \"a\\n\" ${x} \"\\n\")");
    check_template("plain \"quotes\" \\n", "\"plain \\\"quotes\\\" \\\\n\"");
}

#[test]
fn bodies() {
    check_body("a = 1\nb = 2\n", "a=1; b=2");
    check_body("# c\nhost \"a\" b {\n  x = 1 // c\n  nested {}\n}\n", "host \"a\" \"b\" {x=1; nested {}}");
    check_body("b { a = 1 }\n", "b {a=1}");
    check_body("\u{feff}a = 1\r\nb = [1,\r\n2]\r\n", "a=1; b=[1 2]");
    check_body("", "");
}

#[test]
fn spans_are_bytes_of_the_file() {
    let text = "\u{feff}# é\nhost \"a\" {\n  x = [for h in host.all : h.n[0] if 1 < 2]\n}\n";
    let (body, _) = parse(FileId(7), text.as_bytes());
    let cut = |span: coxswain_model::Span| &text[span.start as usize..span.end as usize];
    let block = &body.blocks[0];
    assert_eq!(cut(block.ident_span), "host");
    assert_eq!(cut(block.labels[0].1), "a");
    assert!(cut(block.span).starts_with("host \"a\" {") && cut(block.span).ends_with('}'));
    let attribute = &block.body.attributes[0];
    assert_eq!(cut(attribute.name_span), "x");
    let crate::ast::ExprKind::For(f) = &attribute.expr.kind else { panic!("a for expression") };
    assert_eq!(cut(f.collection.span), "host.all");
    assert_eq!(cut(f.value.span), "h.n[0]");
    assert_eq!(cut(f.condition.as_ref().expect("has one").span), "1 < 2");
    let crate::ast::ExprKind::Index(source, index) = &f.value.kind else { panic!("an index") };
    assert_eq!((cut(source.span), cut(index.span)), ("h.n", "0"));
}
