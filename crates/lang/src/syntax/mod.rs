//! Text to tree. Only this module knows hcl-edit.
//!
//! ```text
//! bytes ─checks (size, UTF-8, nesting)→ hcl-edit ─ok→ lower → Body
//!                                          └─error→ recover: items alone, one diagnostic each
//! ```
//!
//! Invariants: no input makes it panic or overflow the stack; every span lies inside the file, on character
//! boundaries; what could be read is in the body whatever else is wrong.

mod diagnose;
mod lower;
mod recover;
pub mod references;
pub mod scanner;
mod template;
#[cfg(test)]
mod tests;

use coxswain_model::{Diagnostic, Diagnostics, FileId, Span};

use self::diagnose::Diagnose;
use self::lower::Lower;
use self::scanner::{Scan, Token, TokenKind};
use crate::ast::{Body, Expr};

/// The largest file that is read; larger ones are no configuration, and spans count in 32 bits.
pub const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;
/// Levels of brackets, templates and conditionals; the parser's own limit.
pub const MAX_NESTING: usize = 64;
/// Operators chained in one expression; the parser's own limit.
pub const MAX_OPERATORS: usize = 128;

/// Items of one object constructor: the parser compares each new key with all before it.
pub const MAX_OBJECT_ITEMS: usize = 10_000;
/// Problems reported of one file; a person mends the first few and looks again.
pub const MAX_REPORTED: usize = 50;

/// A file of the configuration.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its number.
    pub id: FileId,
    /// Its name, relative to the root directory.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Parses and lowers a file. What could be read is in the body, every problem in the diagnostics.
pub fn parse(file: FileId, bytes: &[u8]) -> (Body, Diagnostics) {
    let text = match decode(file, bytes) {
        Ok(text) => text,
        Err(diagnostic) => return (Body::default(), vec![*diagnostic]),
    };
    let (inner, base) = without_bom(text);
    let scan = scanner::scan(file, text);
    if is_plain(file, text, &scan)
        && let Ok(body) = hcl_edit::parser::parse_body(inner)
    {
        let mut lower = Lower::new(file, inner, base);
        let body = lower.body(&body);
        return (body, capped(lower.diagnostics));
    }
    let (body, diagnostics) = recover::recover(file, text, &scan);
    (body, with_rest(diagnostics, &scan))
}

/// Parses one expression (`--var`, `console`, tests).
///
/// # Errors
/// Every problem in it.
pub fn parse_expression(file: FileId, text: &str) -> Result<Expr, Diagnostics> {
    check_size(file, text.len()).map_err(|d| vec![*d])?;
    let scan = scanner::scan(file, text);
    check_tokens(file, text, &scan)?;
    // The parser takes neither space nor comments around an expression.
    let is_code = |t: &&Token| !matches!(t.kind, TokenKind::Newline | TokenKind::Comment);
    let ends = (scan.tokens.iter().find(is_code), scan.tokens.iter().rfind(is_code));
    let (Some(first), Some(last)) = ends else {
        return Err(vec![
            Diagnostic::error("missing-value", "Missing value")
                .detail("An expression was expected; there is none.")
                .at(Span::new(file, 0, 0), ""),
        ]);
    };
    let (start, end) = (first.start as usize, last.end as usize);
    let inner = text.get(start..end).unwrap_or_default();
    match hcl_edit::parser::parse_expr(inner) {
        Ok(expr) => {
            let mut lower = Lower::new(file, inner, start);
            let expr = lower.expr(&expr);
            if lower.diagnostics.is_empty() { Ok(expr) } else { Err(capped(lower.diagnostics)) }
        }
        Err(error) => {
            let before = Token { kind: TokenKind::Newline, start: first.start, end: first.start };
            let tokens: Vec<Token> =
                scan.tokens.iter().filter(|t| (start..end).contains(&(t.start as usize))).copied().collect();
            let found = Diagnose { file, text, tokens: &tokens }.expression(before);
            Err(vec![found.unwrap_or_else(|| recover::refused(file, start, inner.len(), &error))])
        }
    }
}

/// Parses the text of a template file (`templatefile`).
///
/// # Errors
/// Every problem in it.
pub fn parse_template(file: FileId, text: &str) -> Result<Expr, Diagnostics> {
    check_size(file, text.len()).map_err(|d| vec![*d])?;
    let scan = scanner::scan_template(file, text);
    check_tokens(file, text, &scan)?;
    match hcl_edit::parser::parse_template(text) {
        Ok(template) => {
            let mut lower = Lower::new(file, text, 0);
            let kind = lower.file_template(&template);
            let span = Span::new(file, 0, text.len());
            if lower.diagnostics.is_empty() {
                Ok(Expr { kind, span })
            } else {
                Err(capped(lower.diagnostics))
            }
        }
        Err(error) => {
            let found = Diagnose { file, text, tokens: &scan.tokens }.template();
            Err(vec![found.unwrap_or_else(|| recover::refused(file, 0, text.len(), &error))])
        }
    }
}

/// Whether the whole text may go to the parser at once.
fn is_plain(file: FileId, text: &str, scan: &Scan) -> bool {
    // The parser reads over the end of a heredoc without lines, so such items go to it alone.
    let is_empty_heredoc =
        |pair: &[Token]| pair[0].kind == TokenKind::Heredoc && pair[1].kind == TokenKind::HeredocEnd;
    scan.problems.is_empty()
        && recover::check_limits(file, &scan.tokens, text).is_none()
        && !scan.tokens.windows(2).any(is_empty_heredoc)
}

fn check_tokens(file: FileId, text: &str, scan: &Scan) -> Result<(), Diagnostics> {
    if !scan.problems.is_empty() {
        return Err(with_rest(scan.problems.clone(), scan));
    }
    recover::check_limits(file, &scan.tokens, text).map_or(Ok(()), |problem| Err(vec![problem]))
}

/// Cuts the list at [`MAX_REPORTED`]; the last diagnostic says how many more there are.
fn capped(mut diagnostics: Diagnostics) -> Diagnostics {
    let more = diagnostics.len().saturating_sub(MAX_REPORTED);
    if more > 0 {
        diagnostics.truncate(MAX_REPORTED);
        let detail = format!("At least {more} more were found. Mend these and look again.");
        let place = diagnostics.last().and_then(|d| d.labels.first()).cloned();
        let last = Diagnostic::error("too-many-errors", "Too many errors in this file").detail(detail);
        diagnostics.push(Diagnostic { labels: place.into_iter().collect(), ..last });
    }
    diagnostics
}

/// The same for a scan, which may have stopped before the end of the file.
fn with_rest(diagnostics: Diagnostics, scan: &Scan) -> Diagnostics {
    let mut out = capped(diagnostics);
    if scan.stopped && out.len() <= MAX_REPORTED {
        let place = out.last().and_then(|d| d.labels.first()).cloned();
        let last = Diagnostic::error("too-many-errors", "Too many errors in this file")
            .detail("The rest of the file was not read. Mend these and look again.");
        out.push(Diagnostic { labels: place.into_iter().collect(), ..last });
    }
    out
}

fn check_size(file: FileId, len: usize) -> Result<(), Box<Diagnostic>> {
    if len <= MAX_FILE_BYTES {
        return Ok(());
    }
    let limit = MAX_FILE_BYTES / (1024 * 1024);
    Err(Box::new(
        Diagnostic::error("file-too-large", "The file is too large")
            .detail(format!("It has {len} bytes; {limit} MiB are the limit. Put data in a file of its own and read it with `file`."))
            .at(Span::new(file, 0, 0), ""),
    ))
}

/// Checks size and encoding.
fn decode(file: FileId, bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    check_size(file, bytes.len())?;
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Box::new(
            Diagnostic::error("invalid-utf8", "The file is not UTF-8")
                .detail(format!(
                    "Byte {at} (0x{:02x}) does not belong to a UTF-8 text. Save the file as UTF-8.",
                    bytes[at]
                ))
                .at(Span::new(file, at, at), ""),
        )
    })
}

fn without_bom(text: &str) -> (&str, usize) {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, '\u{feff}'.len_utf8()),
        None => (text, 0),
    }
}
