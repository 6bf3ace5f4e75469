//! Reads a body item by item: what the parser takes is kept, of the rest each item gives one problem.
//!
//! ```text
//! tokens ─cut at line breaks outside of brackets→ items ─attribute→ parser, alone → tree, or diagnose
//!                                                       └block→ header → parser; body → the same again
//! ```
//!
//! Every byte goes to the parser at most once, so the time is linear in the text; an item without an end is searched
//! for to the end of the text, at most [`super::MAX_REPORTED`] times.

use coxswain_model::{Diagnostic, Diagnostics, FileId, Span};

use super::diagnose::{Diagnose, closes, shown};
use super::lower::{Lower, drop_duplicates, nfc, too_deep};
use super::scanner::{Scan, Token, TokenKind};
use super::{MAX_NESTING, MAX_OBJECT_ITEMS, MAX_REPORTED};
use crate::ast::{Attribute, Block, Body, Expr, ExprKind};

/// Reads all items of a scanned file. Items after the [`MAX_REPORTED`]th problem are not looked at.
pub(super) fn recover(file: FileId, text: &str, scan: &Scan) -> (Body, Diagnostics) {
    let mut recover =
        Recover { file, text, tokens: &scan.tokens, problems: &scan.problems, out: Vec::new(), blocks: 0 };
    let body = recover.body(0, scan.tokens.len());
    let mut out = recover.out;
    // Comments belong to no item.
    let in_comments = scan.problems.iter().filter(|d| d.code == "unterminated-comment");
    let missed: Diagnostics = in_comments.filter(|d| !out.contains(d)).cloned().collect();
    out.extend(missed);
    out.sort_by_key(|d| d.labels.first().map_or(0, |l| l.span.start));
    (body, out)
}

struct Recover<'t> {
    file: FileId,
    text: &'t str,
    tokens: &'t [Token],
    problems: &'t [Diagnostic],
    out: Diagnostics,
    /// Blocks around the place.
    blocks: usize,
}

/// The brackets open at a place of a token list.
#[derive(Default)]
pub(super) struct Brackets {
    open: Vec<usize>,
    /// How many of each kind are open, so that a stray closer costs nothing.
    counts: [usize; 6],
}

fn class(kind: TokenKind) -> Option<usize> {
    match kind {
        TokenKind::Open(b'(') | TokenKind::Close(b')') => Some(0),
        TokenKind::Open(b'[') | TokenKind::Close(b']') => Some(1),
        TokenKind::Open(_) | TokenKind::Close(_) => Some(2),
        TokenKind::Quote | TokenKind::QuoteEnd => Some(3),
        TokenKind::Heredoc | TokenKind::HeredocEnd => Some(4),
        TokenKind::Interpolation | TokenKind::Directive | TokenKind::TemplateEnd => Some(5),
        TokenKind::Ident
        | TokenKind::Number
        | TokenKind::Text
        | TokenKind::Punct
        | TokenKind::Newline
        | TokenKind::Comment
        | TokenKind::Bad => None,
    }
}

impl Brackets {
    /// Takes the token at index `at`. A closer closes everything up to its opener; a stray one is passed over.
    fn take(&mut self, tokens: &[Token], at: usize) {
        let kind = tokens[at].kind;
        let Some(class_of) = class(kind) else { return };
        let opens = matches!(
            kind,
            TokenKind::Open(_)
                | TokenKind::Quote
                | TokenKind::Heredoc
                | TokenKind::Interpolation
                | TokenKind::Directive
        );
        if opens {
            self.open.push(at);
            self.counts[class_of] += 1;
            return;
        }
        if self.counts[class_of] == 0 {
            return;
        }
        while let Some(opener) = self.open.pop() {
            if let Some(class_of) = class(tokens[opener].kind) {
                self.counts[class_of] -= 1;
            }
            if closes(tokens[opener].kind, kind) {
                return;
            }
        }
    }
}

/// The first token at which brackets are nested too deeply or an object has too many items, with the problem.
pub(super) fn check_limits(file: FileId, tokens: &[Token], text: &str) -> Option<Diagnostic> {
    let mut brackets = Brackets::default();
    let mut items: Vec<usize> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        brackets.take(tokens, at);
        items.resize(brackets.open.len(), 0);
        let span = Span { file, start: token.start, end: token.end };
        if brackets.open.len() > MAX_NESTING {
            return Some(too_deep(span));
        }
        let Some(count) = items.last_mut() else { continue };
        if token.kind == TokenKind::Punct && matches!(token.text(text), "=" | ":") {
            *count += 1;
            if *count > MAX_OBJECT_ITEMS {
                return Some(
                    Diagnostic::error("too-many-items", "Too many items between two braces")
                        .detail(format!("An object or a block may have {MAX_OBJECT_ITEMS} items in the configuration. Read larger data with `yamldecode(file(…))`."))
                        .at(span, ""),
                );
            }
        }
    }
    None
}

impl Recover<'_> {
    fn is_full(&self) -> bool {
        self.out.len() > MAX_REPORTED
    }

    fn span(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }

    fn report(&mut self, token: Token, words: (&'static str, String, &str)) {
        let span = self.span(token);
        self.out.push(Diagnostic::error(words.0, words.1).detail(words.2).at(span, ""));
    }

    fn body(&mut self, from: usize, to: usize) -> Body {
        let mut out = Body::default();
        let mut at = from;
        while at < to && !self.is_full() {
            if matches!(self.tokens[at].kind, TokenKind::Newline | TokenKind::Comment) {
                at += 1;
                continue;
            }
            let end = self.item_end(at, to);
            self.item(at, end, &mut out);
            at = end;
        }
        drop_duplicates(&mut out, &mut self.out);
        out
    }

    /// One past the last token of the item at `from`: the line break outside of brackets. Where brackets stay open
    /// to the end, the item is taken to end before the next line that looks like an item beside it.
    fn item_end(&self, from: usize, to: usize) -> usize {
        let mut brackets = Brackets::default();
        let mut next_item = None;
        let column = self.column(from);
        for at in from..to {
            if self.tokens[at].kind == TokenKind::Newline {
                if brackets.open.is_empty() {
                    return at;
                }
                if next_item.is_none() && self.looks_like_item(at + 1, to, column) {
                    next_item = Some(at);
                }
            }
            brackets.take(self.tokens, at);
        }
        if brackets.open.is_empty() { to } else { next_item.unwrap_or(to) }
    }

    /// Bytes of indentation of a token that begins a line.
    fn column(&self, at: usize) -> usize {
        let line = match at.checked_sub(1).map(|before| self.tokens[before]) {
            Some(before) if before.kind == TokenKind::Newline => before.end as usize,
            Some(_) => return usize::MAX,
            None => 0,
        };
        self.tokens[at].start as usize - line
    }

    fn looks_like_item(&self, at: usize, to: usize, column: usize) -> bool {
        let [first, second] = [at, at + 1].map(|n| self.tokens.get(n).filter(|_| n < to));
        let (Some(first), Some(second)) = (first, second) else { return false };
        let starts = matches!(second.kind, TokenKind::Open(b'{') | TokenKind::Quote | TokenKind::Ident)
            || (second.kind == TokenKind::Punct && second.text(self.text) == "=");
        first.kind == TokenKind::Ident && starts && self.column(at) <= column
    }

    fn item(&mut self, from: usize, to: usize, out: &mut Body) {
        let first = self.tokens[from];
        if first.kind != TokenKind::Ident {
            if !self.report_scanned(from, to) {
                let (code, summary) = match first.kind {
                    TokenKind::Close(_) => {
                        ("unexpected-bracket", format!("{} closes nothing", shown(first, self.text)))
                    }
                    _ => ("syntax-error", format!("Unexpected {}", shown(first, self.text))),
                };
                self.report(
                    first,
                    (
                        code,
                        summary,
                        "An attribute, `name = value`, or a block, `type \"label\" {`, must stand here.",
                    ),
                );
            }
            return;
        }
        match self.block_brace(from, to) {
            Some(brace) => self.block(from, brace, to, out),
            None => self.attribute(from, to, out),
        }
    }

    /// The problem that the scanner found in these tokens.
    fn report_scanned(&mut self, from: usize, to: usize) -> bool {
        let (start, end) = (self.tokens[from].start, self.tokens[to - 1].end);
        let place = |d: &Diagnostic| d.labels.first().map_or(0, |l| l.span.start);
        let first = self.problems.partition_point(|d| place(d) < start);
        match self.problems.get(first).filter(|d| place(d) < end) {
            Some(problem) => {
                self.out.push(problem.clone());
                true
            }
            None => false,
        }
    }

    /// The brace that opens the body, if these tokens begin as a block does.
    fn block_brace(&self, from: usize, to: usize) -> Option<usize> {
        (from + 1..to)
            .find(|at| {
                !matches!(
                    self.tokens[*at].kind,
                    TokenKind::Ident | TokenKind::Quote | TokenKind::Text | TokenKind::QuoteEnd
                )
            })
            .filter(|at| self.tokens[*at].kind == TokenKind::Open(b'{'))
    }

    fn attribute(&mut self, from: usize, to: usize, out: &mut Body) {
        let before = self.out.len();
        match self.parse_alone(from, to) {
            Some(body) => {
                out.attributes.extend(body.attributes);
                out.blocks.extend(body.blocks);
            }
            None => {
                self.out.truncate(before + 1);
                let is_attribute = self.tokens.get(from + 1).is_some_and(|t| t.text(self.text) == "=");
                if is_attribute {
                    let name = self.tokens[from];
                    let span = Span {
                        file: self.file,
                        start: self.tokens[from + 1].end,
                        end: self.tokens[to - 1].end,
                    };
                    out.attributes.push(Attribute {
                        name: nfc(name.text(self.text)),
                        name_span: self.span(name),
                        expr: Expr { kind: ExprKind::Error, span },
                    });
                }
            }
        }
    }

    /// Parses these tokens as a body of their own; reports what is wrong.
    fn parse_alone(&mut self, from: usize, to: usize) -> Option<Body> {
        if self.report_scanned(from, to) {
            return None;
        }
        let tokens = &self.tokens[from..to];
        if let Some(problem) = check_limits(self.file, tokens, self.text) {
            self.out.push(problem);
            return None;
        }
        let start = self.tokens[from].start as usize;
        let text = self.text.get(start..self.tokens[to - 1].end as usize).unwrap_or_default();
        match hcl_edit::parser::parse_body(text) {
            Ok(body) => {
                let mut lower = Lower::new(self.file, text, start);
                let body = lower.body(&body);
                self.out.append(&mut lower.diagnostics);
                Some(body)
            }
            Err(error) => {
                let found =
                    self.explain(from, to).unwrap_or_else(|| refused(self.file, start, text.len(), &error));
                self.out.push(found);
                None
            }
        }
    }

    /// What is wrong with an attribute, by its tokens.
    fn explain(&self, from: usize, to: usize) -> Option<Diagnostic> {
        let name = self.tokens[from];
        match self.tokens.get(from + 1).filter(|_| from + 1 < to).copied() {
            Some(equals) if equals.text(self.text) == "=" => {
                Diagnose { file: self.file, text: self.text, tokens: &self.tokens[from + 2..to] }
                    .expression(equals)
            }
            // A one-line block: its brace is known to be there.
            Some(_) if self.block_brace(from, to).is_some() => None,
            Some(other) => Some(
                Diagnostic::error(
                    "syntax-error",
                    format!("Expected `=` or a block after `{}`", name.text(self.text)),
                )
                .detail(format!(
                    "Found {}. An attribute is `name = value`, a block `type \"label\" {{`.",
                    shown(other, self.text)
                ))
                .at(self.span(other), ""),
            ),
            None => Some(
                Diagnostic::error("syntax-error", format!("`{}` alone says nothing", name.text(self.text)))
                    .detail("An attribute is `name = value`, a block `type \"label\" {`.")
                    .at(self.span(name), ""),
            ),
        }
    }

    fn block(&mut self, from: usize, brace: usize, to: usize, out: &mut Body) {
        let close = self.closing(brace, to);
        let end = close.unwrap_or(to);
        let on_one_line =
            close.is_some() && !self.tokens[brace..end].iter().any(|t| t.kind == TokenKind::Newline);
        if on_one_line {
            self.one_line_block(from, brace, to, out);
            return;
        }
        if self.blocks >= MAX_NESTING {
            let span = self.span(self.tokens[brace]);
            self.out.push(too_deep(span));
            return;
        }
        let header = self.header(from, brace);
        let opener = self.tokens[brace];
        if close.is_none() {
            let name = self.tokens[from].text(self.text);
            self.report(
                opener,
                (
                    "unclosed-block",
                    format!("The block `{name}` is not closed"),
                    "Its `}` is missing before the next block or the end of the file.",
                ),
            );
        }
        if let Some(next) = self.tokens[brace + 1..end].first().copied()
            && !matches!(next.kind, TokenKind::Newline | TokenKind::Comment)
        {
            self.report(
                next,
                (
                    "syntax-error",
                    "The body of a block starts on a new line".into(),
                    "Break the line after `{`.",
                ),
            );
        }
        self.blocks += 1;
        let body = self.body(brace + 1, end);
        self.blocks -= 1;
        if let Some(more) =
            self.tokens[end..to].iter().skip(1).find(|t| t.kind != TokenKind::Comment).copied()
        {
            let found = shown(more, self.text);
            self.report(
                more,
                (
                    "syntax-error",
                    format!("Unexpected {found} after a block"),
                    "A block ends with its line; put this on a line of its own.",
                ),
            );
        }
        if let Some(header) = header {
            let last = self.tokens[close.unwrap_or(to - 1)];
            let span = Span { file: self.file, start: self.tokens[from].start, end: last.end };
            out.blocks.push(Block { body, span, ..header });
        }
    }

    /// The `}` of the block opened at `brace`.
    fn closing(&self, brace: usize, to: usize) -> Option<usize> {
        let mut brackets = Brackets::default();
        (brace..to).find(|at| {
            brackets.take(self.tokens, *at);
            brackets.open.is_empty()
        })
    }

    /// The type and the labels of a block, as a block without body.
    fn header(&mut self, from: usize, brace: usize) -> Option<Block> {
        if self.report_scanned(from, brace) {
            return None;
        }
        let (start, end) = (self.tokens[from].start as usize, self.tokens[brace].start as usize);
        let text = format!("{}{{}}", self.text.get(start..end).unwrap_or_default());
        match hcl_edit::parser::parse_body(&text) {
            Ok(body) => Lower::new(self.file, &text, start).body(&body).blocks.pop(),
            Err(error) => {
                self.out.push(refused(self.file, start, end - start, &error));
                None
            }
        }
    }

    fn one_line_block(&mut self, from: usize, brace: usize, to: usize, out: &mut Body) {
        let before = self.out.len();
        if let Some(body) = self.parse_alone(from, to) {
            out.blocks.extend(body.blocks);
            return;
        }
        // A fault inside is closer to the cause than what the parser says of the block.
        let close = self.closing(brace, to).unwrap_or(to - 1);
        let inner = (brace + 1, close);
        let is_own = self.out[before..].iter().any(|d| d.code == "syntax-error");
        if is_own && inner.0 < inner.1 {
            let is_single = self.tokens[inner.0 + 1].text(self.text) == "=";
            let fault = if is_single { self.explain(inner.0, inner.1) } else { None };
            self.out.truncate(before);
            self.out.push(fault.filter(|d| d.code != "syntax-error").unwrap_or_else(|| {
                Diagnostic::error("syntax-error", "A block on one line holds at most one attribute")
                    .detail("Break the line after `{`, and put each item on a line of its own.")
                    .at(self.span(self.tokens[brace]), "")
            }));
        }
        if let Some(header) = self.header(from, brace) {
            let span = Span { file: self.file, start: self.tokens[from].start, end: self.tokens[close].end };
            out.blocks.push(Block { span, ..header });
        }
    }
}

/// The parser's own words, where nothing better is known. `start` and `len` say what it was given.
pub(super) fn refused(file: FileId, start: usize, len: usize, error: &hcl_edit::parser::Error) -> Diagnostic {
    let at = start + error.location().offset().min(len);
    let span = Span::new(file, at, at);
    let message = error.message();
    if message.contains("nested levels") || message.contains("chained binary operators") {
        return too_deep(span);
    }
    if message.contains("redefined object key") {
        return Diagnostic::error("duplicate-key", "The same key twice in an object")
            .detail("Remove one of the two items.")
            .at(span, "");
    }
    let words: String = message.chars().filter(|c| !c.is_control()).collect();
    Diagnostic::error("syntax-error", "Invalid syntax")
        .detail(format!("The parser says: {words}."))
        .at(span, "")
}
