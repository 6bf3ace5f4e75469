//! What holds for every text.

use std::path::PathBuf;

use coxswain_model::{FileId, Span};
use proptest::prelude::*;

use super::sexpr;
use crate::ast::{Body, Expr, ExprKind, ObjectKey, Part};
use crate::syntax::recover::recover;
use crate::syntax::scanner::{TokenKind, scan};
use crate::syntax::{parse, parse_expression, parse_template};

/// Every expression of a tree.
fn all<'a>(expr: &'a Expr, out: &mut Vec<&'a Expr>) {
    out.push(expr);
    match &expr.kind {
        ExprKind::Error
        | ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Num(_)
        | ExprKind::Str(_)
        | ExprKind::Variable(_)
        | ExprKind::SplatItem => {}
        ExprKind::Template(parts) => all_parts(parts, out),
        ExprKind::Tuple(items) => items.iter().for_each(|i| all(i, out)),
        ExprKind::Object(items) => {
            for item in items {
                if let ObjectKey::Expr(key) = &item.key {
                    all(key, out);
                }
                all(&item.value, out);
            }
        }
        ExprKind::Attr(a, _) | ExprKind::Neg(a) | ExprKind::Not(a) | ExprKind::Paren(a) => all(a, out),
        ExprKind::Index(a, b) | ExprKind::Binary(_, a, b) => {
            all(a, out);
            all(b, out);
        }
        ExprKind::Splat { source, each, .. } => {
            all(source, out);
            all(each, out);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|a| all(a, out)),
        ExprKind::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|x| all(x, out)),
        ExprKind::For(f) => {
            all(&f.collection, out);
            f.key.iter().chain([&f.value]).chain(&f.condition).for_each(|x| all(x, out));
        }
    }
}

fn all_parts<'a>(parts: &'a [Part], out: &mut Vec<&'a Expr>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Interpolation(e) => all(e, out),
            Part::If { condition, then, otherwise } => {
                all(condition, out);
                all_parts(then, out);
                all_parts(otherwise, out);
            }
            Part::For { collection, body, .. } => {
                all(collection, out);
                all_parts(body, out);
            }
        }
    }
}

fn spans(body: &Body, out: &mut Vec<Span>) {
    for attribute in &body.attributes {
        out.push(attribute.name_span);
        let mut exprs = Vec::new();
        all(&attribute.expr, &mut exprs);
        out.extend(exprs.iter().map(|e| e.span));
    }
    for block in &body.blocks {
        out.extend([block.ident_span, block.span]);
        out.extend(block.labels.iter().map(|l| l.1));
        spans(&block.body, out);
    }
}

fn cut(text: &str, span: Span) -> Option<&str> {
    text.get(span.start as usize..span.end as usize)
}

fn check_any(text: &str) {
    check_both_ways(text);
    let (body, diagnostics) = parse(FileId(0), text.as_bytes());
    let mut places = Vec::new();
    spans(&body, &mut places);
    places.extend(diagnostics.iter().flat_map(|d| &d.labels).map(|l| l.span));
    for span in places {
        assert!(cut(text, span).is_some(), "{span:?} in {text:?}");
    }
    for result in [parse_expression(FileId(0), text), parse_template(FileId(0), text)] {
        match result {
            Ok(expr) => assert!(cut(text, expr.span).is_some(), "{text:?}"),
            Err(problems) => {
                assert!(!problems.is_empty());
                for label in problems.iter().flat_map(|d| &d.labels) {
                    assert!(cut(text, label.span).is_some(), "{text:?}");
                }
            }
        }
    }
}

/// Pieces of the language, so that random texts come close to it.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b.c",
        "x ",
        "1",
        "2.5",
        "\"",
        "\"s\"",
        "${",
        "%{",
        "}",
        "~}",
        "{",
        "(",
        ")",
        "[",
        "]",
        "=",
        " = ",
        "\n",
        "\n",
        " ",
        ",",
        ".",
        "...",
        ":",
        "?",
        "*",
        "[*]",
        ".*",
        "-",
        "!",
        "&&",
        "==",
        "<<EOT\n",
        "\nEOT\n",
        "<<-E\n",
        "\nE",
        "# c\n",
        "/* c */",
        "/*",
        "for ",
        " in ",
        "if ",
        "else",
        "endif",
        "endfor",
        "=>",
        "\\",
        "\\n",
        "é",
        "e\u{301}",
        "\u{feff}",
        "host \"n\" {\n",
        "}\n",
        "f(",
        "$${",
        "'",
        ";",
        "\r\n",
        "\t",
        "0",
        "\u{201c}",
        "null",
        "true",
    ])
}

/// Lines, mostly good.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a = 1\n",
        "b = [1,\n  2]\n",
        "c = x.y[0].*.z\n",
        "d = <<EOT\n text ${x} \nEOT\n",
        "e = <<-E\n  a\n  b\n  E\r\n",
        "host \"n\" {\n",
        "f = 2 // why\n",
        "}\n",
        "}\n",
        "}\n",
        "k \"l\" m { g = 1 }\n",
        "k {}\n",
        "h = { i = \"${j}\", \"k\" = (l) }\n",
        "# c\n",
        "/* c */\n",
        "m = [for n in o : n if p]\n",
        "q = [1 2]\n",
        "r = \"open\n",
        "s = -1 + 2 * t ? u : v\r\n",
        "  w = f(1, x...)\n",
        "y = \"%{ if z }a%{ else }b%{ endif }\"\n",
        "k {\n",
        "k { # c\n",
        "\n",
        "é = \"e\u{301}\"\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_all_spans_lie_inside(pieces in prop::collection::vec(piece(), 0..40)) {
        check_any(&pieces.concat());
    }

    #[test]
    fn bodies_read_the_same_both_ways(lines in prop::collection::vec(line(), 0..12)) {
        let text = lines.concat();
        check_any(&text);
        check_pieces(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_, _) = parse(FileId(0), &bytes);
        check_any(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn tokens_are_in_order_and_apart(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let mut end = 0;
        for token in scan(FileId(0), &text).tokens {
            prop_assert!(token.start >= end && token.end > token.start, "{:?} in {:?}", token, text);
            prop_assert!(text.get(token.start as usize..token.end as usize).is_some());
            end = token.end;
        }
    }

    #[test]
    fn what_the_parser_takes_the_scanner_takes(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = format!("a = {}\n", pieces.concat());
        if hcl_edit::parser::parse_body(&text).is_ok() {
            let scanned = scan(FileId(0), &text);
            // A string or heredoc without an end ends with its line here; what is after it is read as another thing.
            let first = scanned.problems.iter().min_by_key(|d| d.labels.iter().map(|l| l.span.start).min());
            let is_line = first.is_none_or(|d| d.code == "unterminated-string" || d.code == "unterminated-heredoc");
            prop_assert!(is_line, "{:?}: {:?}", text, scanned.problems);
        }
    }
}

/// Reading item by item gives what reading at once gives, spans and all.
fn check_both_ways(text: &str) {
    let (whole, problems) = parse(FileId(0), text.as_bytes());
    if problems.is_empty() {
        let (items, none) = recover(FileId(0), text, &scan(FileId(0), text));
        assert_eq!(none, vec![], "{text:?}");
        assert_eq!(format!("{items:?}"), format!("{whole:?}"), "{text:?}");
    }
}

/// The text of each expression, in parentheses, is the same expression again.
fn check_pieces(text: &str) {
    let (body, _) = parse(FileId(0), text.as_bytes());
    let mut queue = vec![&body];
    while let Some(body) = queue.pop() {
        queue.extend(body.blocks.iter().map(|b| &b.body));
        for attribute in &body.attributes {
            let mut exprs = Vec::new();
            all(&attribute.expr, &mut exprs);
            // A path inside a splat has no text of its own, and what could not be read none that reads.
            for expr in exprs
                .into_iter()
                .filter(|e| !sexpr::expr(e).contains('_') && !sexpr::expr(e).contains("ERROR"))
            {
                let own = cut(text, expr.span).expect("inside");
                // A key word of a directive or a flush heredoc depends on what is around it.
                if own.contains("<<") {
                    continue;
                }
                let again = parse_expression(FileId(0), &format!("({own})"))
                    .unwrap_or_else(|e| panic!("{own:?}: {e:#?}"));
                assert_eq!(sexpr::expr(&again), format!("(paren {})", sexpr::expr(expr)), "{own:?}");
            }
        }
    }
}

#[test]
fn each_expression_reads_again_from_its_span() {
    check_pieces(
        "a = [for x in f(1, y...) : \"${x.z}-%{ if c }${d}%{ endif }\" if !e && -g > 3]\n\
         b {\n  c = { k = v, (w) = 1 + 2 * 3, \"s\" = a ? b : c }\n  d = (1\n  + 2)\n  e = a[b.c].d[0].0\n  f = a::b::c(1)[\"k\"]\n}\n",
    );
}

#[expect(clippy::disallowed_methods, reason = "vectors are files")]
fn files(directory: &std::path::Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "hcl") {
            out.push(path);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "vectors are files")]
fn vectors() -> PathBuf {
    std::env::var("COXSWAIN_VECTORS").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    )
}

fn skipped() {
    std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no vectors\n").expect("stderr is there");
}

#[expect(clippy::disallowed_methods, reason = "vectors are files")]
#[test]
fn the_files_of_the_specification_suite() {
    let root = vectors();
    let mut found = Vec::new();
    files(&root.join("hcl/specsuite/tests"), &mut found);
    if found.is_empty() {
        return skipped();
    }
    for path in found {
        let text = std::fs::read_to_string(&path).expect("is readable");
        let (_, diagnostics) = parse(FileId(0), text.as_bytes());
        let name = path.to_string_lossy();
        let is_wrong = ["_bad", "_unclosed", "_invalid"].iter().any(|part| name.contains(part));
        assert_eq!(!diagnostics.is_empty(), is_wrong, "{}: {diagnostics:#?}", path.display());
        let bad_token = scan(FileId(0), &text).tokens.iter().any(|t| t.kind == TokenKind::Bad);
        assert!(is_wrong || !bad_token, "{}", path.display());
        check_pieces(&text);
        check_both_ways(&text);
    }
}

#[expect(clippy::disallowed_methods, reason = "vectors are files")]
#[test]
fn the_oracle_agrees_on_what_is_syntax() {
    let root = vectors();
    let Ok(lines) = std::fs::read_to_string(root.join("hcl/oracle/expressions.jsonl")) else {
        return skipped();
    };
    let syntax =
        ["Syntax error", "Missing item separator", "Invalid escape sequence", "Invalid 'for' expression"];
    let mut differ = Vec::new();
    for line in lines.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("is JSON");
        let text = case["expr"].as_str().expect("has one");
        let ours = parse_expression(FileId(0), text).err().map(|d| d[0].summary.clone());
        let is_syntax = case["error"].as_str().is_some_and(|summary| syntax.contains(&summary));
        // The oracle put each expression into a call, where `...` may stand.
        if ours.is_some() != is_syntax && !text.ends_with("...") {
            differ.push(format!("{text}: {ours:?}, there {}", case["error"]));
        }
    }
    assert_eq!(differ.join("\n"), "");
}
