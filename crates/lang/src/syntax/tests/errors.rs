//! Broken text: what is reported, where, and what is kept.

use coxswain_model::{Diagnostics, FileId};

use super::sexpr;
use crate::syntax::{MAX_FILE_BYTES, MAX_REPORTED, parse, parse_expression, parse_template};

fn rendered(text: &str, diagnostics: &Diagnostics) -> String {
    let lines = diagnostics.iter().map(|d| {
        let at = d.labels[0].span.start as usize;
        let line = text[..at].matches('\n').count() + 1;
        let column = at - text[..at].rfind('\n').map_or(0, |n| n + 1) + 1;
        format!("{} {line}:{column} {}", d.code, d.summary)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let (_, diagnostics) = parse(FileId(0), text.as_bytes());
    assert_eq!(rendered(text, &diagnostics), expected, "\n{text}\n{diagnostics:#?}");
}

#[track_caller]
fn check_kept(text: &str, body: &str, expected: &str) {
    let (read, diagnostics) = parse(FileId(0), text.as_bytes());
    assert_eq!(rendered(text, &diagnostics), expected, "\n{text}");
    assert_eq!(sexpr::body(&read), body, "\n{text}");
}

#[track_caller]
fn check_expression(text: &str, expected: &str) {
    let diagnostics = parse_expression(FileId(0), text).expect_err(text);
    assert_eq!(rendered(text, &diagnostics), expected, "{text}");
}

#[test]
fn strings_and_heredocs_without_end() {
    check("a = \"foo\nb = 2\n", "unterminated-string 1:5 String without an end");
    check("a = \"foo ${x(\n", "unterminated-string 1:5 String without an end");
    check("a = <<EOT\nx\ny\n", "unterminated-heredoc 1:5 Heredoc without an end");
    check(
        "a = <<EOT x\ny\nEOT\n",
        "invalid-heredoc 1:5 Heredoc marker inside a line\nsyntax-error 2:1 `y` alone says nothing\nsyntax-error 3:1 `EOT` alone says nothing",
    );
    check("a = 1 /* c\nb = 2\n", "unterminated-comment 1:7 Comment without an end");
    check("a = \"x\\qy\"\n", "invalid-escape 1:7 Invalid escape in a string");
    check("a = \"\\u12g4\"\n", "invalid-escape 1:6 Invalid escape in a string");
}

#[test]
fn characters_that_stand_nowhere() {
    check("a = 'x'\n", "unexpected-character 1:5 Unexpected character `'`");
    check("a = 1;\n", "unexpected-character 1:6 Unexpected character `;`");
    check("a = \u{201c}x\u{201d}\n", "unexpected-character 1:5 Unexpected character `\u{201c}`");
    check("a =\u{a0}1\n", "unexpected-character 1:4 Unexpected character U+00A0");
    check("a = x & y\n", "unexpected-character 1:7 Unexpected character `&`");
    check("a = ${x}\n", "unexpected-character 1:5 Unexpected character `$`");
}

#[test]
fn values_and_names_that_are_missing() {
    check("a = foo.\n", "missing-name 1:8 Missing name after `.`");
    check("a =\n", "missing-value 1:4 Missing value");
    check("a = 1 +\nb = 2\n", "missing-value 1:8 Missing value");
    check("a = x ? 1\n", "syntax-error 1:9 `?` without `:`");
    check("a = x ? : 1\n", "missing-value 1:9 Missing value before `:`");
    check("a = f(1, , 2)\n", "missing-value 1:10 Missing value before `,`");
    check("a = { b\n}\n", "missing-value 1:7 Missing value of a key");
    check("a = { b = }\n", "missing-value 1:10 Missing value");
    check("a = \"${}\"\n", "missing-value 1:8 Missing value");
    check("a = * 2\n", "syntax-error 1:5 Unexpected `*`");
}

#[test]
fn separators_that_are_missing() {
    check("a = [1 2]\n", "missing-separator 1:8 Missing `,` between two items");
    check("a = { b = 1 c = 2 }\n", "missing-separator 1:13 Missing `,` or line break between two items");
    check("a = 1 b = 2\n", "syntax-error 1:7 Unexpected `b`");
    check("a = 1, b = 2\n", "syntax-error 1:6 Unexpected `,`");
    check("a = f(1 \"x\")\n", "missing-separator 1:9 Missing `,` between two items");
    check("b { a = 1, c = 2 }\n", "syntax-error 1:3 A block on one line holds at most one attribute");
    check("b { c {} }\n", "syntax-error 1:3 A block on one line holds at most one attribute");
    check("b { a = [1 2] }\n", "missing-separator 1:12 Missing `,` between two items");
    check("b {\n  a = 1\n} c = 2\n", "syntax-error 3:3 Unexpected `c` after a block");
    check("b { a = 1\n}\n", "syntax-error 1:5 The body of a block starts on a new line");
}

#[test]
fn brackets_that_do_not_match() {
    check("a = [1, 2\n", "unclosed-bracket 1:5 `[` is not closed");
    check("a = f(1, 2\nb = 3\n", "unclosed-bracket 1:6 `(` is not closed");
    check("a = [1, (2]\n", "unclosed-bracket 1:9 `(` is not closed");
    check("a = 1)\n", "unexpected-bracket 1:6 `)` closes nothing");
    check("}\n", "unexpected-bracket 1:1 `}` closes nothing");
    check("b \"x\" {\n  a = 1\n", "unclosed-block 1:7 The block `b` is not closed");
    check("a = \"${x\"\n", "unterminated-string 1:5 String without an end");
}

#[test]
fn what_is_no_item() {
    check("a\n", "syntax-error 1:1 `a` alone says nothing");
    check("a: 1\n", "syntax-error 1:2 Expected `=` or a block after `a`");
    check("\"a\" = 1\n", "syntax-error 1:1 Unexpected a string");
    check("a == 1\n", "syntax-error 1:3 Expected `=` or a block after `a`");
    check("a = b = c\n", "syntax-error 1:7 Unexpected `=`");
    check("a = 1\na = 2\n", "duplicate-attribute 2:1 `a` is set twice");
    check("b {\n  a = 1\n  a = 2\n}\n", "duplicate-attribute 3:3 `a` is set twice");
    check("a = { b = 1, b = 2 }\n", "duplicate-key 1:14 The same key twice in an object");
    check("a = { b.c = 1 }\n", "ambiguous-key 1:7 Ambiguous key");
    check("a = b.*.c.*.d\n", "nested-splat 1:10 A second `.*` in one traversal");
}

#[test]
fn for_and_directives() {
    check("a = [for x : y]\n", "syntax-error 1:6 Invalid `for`");
    check("a = {for x in y : x}\n", "syntax-error 1:5 `for` without `=>`");
    check("a = [for x in y : x...]\n", "syntax-error 1:20 Unexpected `...`");
    check("a = [for x in y : x => x]\n", "syntax-error 1:21 Unexpected `=>`");
    check("a = [for x in y]\n", "syntax-error 1:5 `for` without `:`");
    check("a = \"%{ if x }y\"\n", "syntax-error 1:5 `%{` without an end in this text");
    check("a = \"%{ endif }\"\n", "syntax-error 1:6 `%{ endif }` ends nothing");
    check("a = \"%{ while x }\"\n", "syntax-error 1:6 Unknown directive");
}

#[test]
fn every_broken_item_is_reported_and_the_rest_is_kept() {
    check_kept(
        "a = 1\nb = [1 2]\nhost \"x\" {\n  c = \"open\n  d = 4\n  inner {\n    e = 1 +\n    f = 6\n  }\n}\ng = )\nh = 8\n",
        "a=1; b=ERROR; g=ERROR; h=8; host \"x\" {c=ERROR; d=4; inner {e=ERROR; f=6}}",
        "missing-separator 2:8 Missing `,` between two items\n\
         unterminated-string 4:7 String without an end\n\
         missing-value 7:12 Missing value\n\
         unexpected-bracket 11:5 `)` closes nothing",
    );
}

#[test]
fn an_unclosed_block_ends_before_the_next() {
    check_kept(
        "host \"a\" {\n  x = 1\n\nhost \"b\" {\n  y = 2\n}\n",
        "host \"a\" {x=1}; host \"b\" {y=2}",
        "unclosed-block 1:10 The block `host` is not closed",
    );
    check_kept("a = [1,\n\nb = 2\n", "a=ERROR; b=2", "unclosed-bracket 1:5 `[` is not closed");
}

#[test]
fn a_string_without_end_inside_a_heredoc_costs_one_line() {
    check_kept(
        "a = <<EOT\n ${ \"x }\n text\nEOT\nb = 2\n",
        "a=ERROR; b=2",
        "unterminated-string 2:5 String without an end",
    );
}

#[test]
fn empty_heredocs_end_at_once() {
    check_kept("a = <<EOT\nEOT\nb = <<EOT\nEOT\n", "a=\"\"; b=\"\"", "");
    check("a = [<<EOT\nEOT\n, <<EOT\nEOT\n]\n", "empty-heredoc 1:6 Heredoc without lines");
}

#[test]
fn files_that_are_no_text() {
    let (_, bad) = parse(FileId(0), b"a = \"\xff\"\n");
    assert_eq!((bad[0].code.as_ref(), bad[0].labels[0].span.start, bad.len()), ("invalid-utf8", 5, 1));
    let (_, large) = parse(FileId(0), &vec![b' '; MAX_FILE_BYTES + 1]);
    assert_eq!(large[0].code, "file-too-large");
}

#[test]
fn expressions_alone() {
    check_expression("1 +", "missing-value 1:4 Missing value");
    check_expression("", "missing-value 1:1 Missing value");
    check_expression("1\n+ 2", "syntax-error 2:1 The expression has ended on the line before");
    check_expression("[1, 2", "unclosed-bracket 1:1 `[` is not closed");
    check_expression("x y", "syntax-error 1:3 Unexpected `y`");
    assert!(parse_expression(FileId(0), " # why\n 1 + 2 # because\n").is_ok());
    let broken = parse_template(FileId(0), "a\n%{ if x }\nb").expect_err("has no end");
    assert_eq!(broken[0].summary, "`%{` without an end in this text");
}

#[track_caller]
fn check_deep(text: &str) {
    let (_, diagnostics) = parse(FileId(0), text.as_bytes());
    assert_eq!(diagnostics.first().map(|d| d.code.as_ref()), Some("nesting-too-deep"), "{}", &text[..40]);
}

#[test]
fn nesting_has_a_limit_and_no_bomb_goes_off() {
    for depth in [65, 1000, 200_000] {
        check_deep(&format!("a = {}1{}\n", "[".repeat(depth), "]".repeat(depth)));
        check_deep(&format!("a = {}1{}\n", "(".repeat(depth), ")".repeat(depth)));
        check_deep(&format!("a = {}x{}\n", "\"${".repeat(depth), "}\"".repeat(depth)));
        check_deep(&format!("a = {}true\n", "!".repeat(depth)));
        check_deep(&format!("a = {}0\n", "x ? 1 : ".repeat(depth)));
        check_deep(&format!("{}{}\n", "b {\n".repeat(depth), "}\n".repeat(depth)));
    }
    check_deep(&format!("a = 1{}\n", " + 1".repeat(200)));
    check_deep(&format!("a = x{}\n", ".y".repeat(100_000)));
    check_deep(&format!("a = x{}\n", "[*]".repeat(100_000)));
}

#[test]
fn the_deepest_allowed_tree_is_handled() {
    for text in [
        format!("a = {}1{}\n", "[".repeat(63), "]".repeat(63)),
        format!("a = {}x{}\n", "f(".repeat(63), ")".repeat(63)),
        format!("a = {}x{}\n", "\"${".repeat(31), "}\"".repeat(31)),
        format!("a = {}1{}\n", "{ k = ".repeat(63), "}".repeat(63)),
        format!("a = \"{}x{}\"\n", "%{ if c }".repeat(60), "%{ endif }".repeat(60)),
        format!("a = {}x{}\n", "\"${f([{ k = (".repeat(10), ")}])}\"".repeat(10)),
        format!("{}a = 1\n{}", "b {\n".repeat(63), "}\n".repeat(63)),
        format!("a = 1{}\n", " + 1".repeat(128)),
        format!("a = x{}\n", ".y".repeat(200)),
    ] {
        let (body, diagnostics) = parse(FileId(0), text.as_bytes());
        assert_eq!(diagnostics, vec![], "{text}");
        assert!(!sexpr::body(&body).contains("ERROR"));
    }
}

#[test]
fn garbage_is_cut_off_soon() {
    let n = 20_000;
    for line in [
        "@ @ @\n",
        "a = \"\n",
        "\"${(\n",
        "a = [\n",
        "b {\n",
        "a = <<X\n",
        "}\n",
        "/*\n",
        "a = 'x\n",
        "((((]\n",
        "%{ ${ \"\n",
    ] {
        let text = line.repeat(n);
        let (_, diagnostics) = parse(FileId(0), text.as_bytes());
        assert!(
            !diagnostics.is_empty() && diagnostics.len() <= MAX_REPORTED + 1,
            "{line}: {}",
            diagnostics.len()
        );
    }
    let text = "a = [1 2]\n".repeat(n);
    let (_, diagnostics) = parse(FileId(0), text.as_bytes());
    assert_eq!(diagnostics.last().expect("some").code, "too-many-errors");
}
