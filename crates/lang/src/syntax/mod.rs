//! Text to tree. Only this module knows hcl-edit.
//!
//! ```text
//! bytes ─checks (size, UTF-8, nesting)→ hcl-edit ─ok→ lower → Body
//!                                          └─error→ recover: items alone, one diagnostic each
//! ```
//!
//! Invariants: no input makes it panic or overflow the stack; every span lies inside the file, on character
//! boundaries; what could be read is in the body whatever else is wrong.

mod lower;
mod template;
#[cfg(test)]
mod tests;

use coxswain_model::{Diagnostic, Diagnostics, FileId, Span};

use self::lower::Lower;
use crate::ast::{Body, Expr};

/// The largest file that is read; larger ones are no configuration, and spans count in 32 bits.
pub const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;
/// Levels of brackets, templates and conditionals; the parser's own limit.
pub const MAX_NESTING: usize = 64;
/// Operators chained in one expression; the parser's own limit.
pub const MAX_OPERATORS: usize = 128;

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
    let (text, base) = without_bom(text);
    match hcl_edit::parser::parse_body(text) {
        Ok(body) => {
            let mut lower = Lower::new(file, text, base);
            let body = lower.body(&body);
            (body, lower.diagnostics)
        }
        Err(error) => {
            (
                Body::default(),
                vec![Diagnostic::error("syntax-error", error.message().to_owned()).at(
                    Span::new(file, base + error.location().offset(), base + error.location().offset()),
                    "",
                )],
            )
        }
    }
}

/// Parses one expression (`--var`, `console`, tests).
///
/// # Errors
/// Every problem in it.
pub fn parse_expression(file: FileId, text: &str) -> Result<Expr, Diagnostics> {
    // The parser takes no space around an expression.
    let start = text.len() - text.trim_start().len();
    let inner = text.trim();
    match hcl_edit::parser::parse_expr(inner) {
        Ok(expr) => {
            let mut lower = Lower::new(file, inner, start);
            let expr = lower.expr(&expr);
            if lower.diagnostics.is_empty() { Ok(expr) } else { Err(lower.diagnostics) }
        }
        Err(error) => {
            let at = start + error.location().offset();
            Err(vec![
                Diagnostic::error("syntax-error", error.message().to_owned()).at(Span::new(file, at, at), ""),
            ])
        }
    }
}

/// Parses the text of a template file (`templatefile`).
///
/// # Errors
/// Every problem in it.
pub fn parse_template(file: FileId, text: &str) -> Result<Expr, Diagnostics> {
    match hcl_edit::parser::parse_template(text) {
        Ok(template) => {
            let mut lower = Lower::new(file, text, 0);
            let kind = lower.file_template(&template);
            let span = Span::new(file, 0, text.len());
            if lower.diagnostics.is_empty() { Ok(Expr { kind, span }) } else { Err(lower.diagnostics) }
        }
        Err(error) => {
            let at = error.location().offset();
            Err(vec![
                Diagnostic::error("syntax-error", error.message().to_owned()).at(Span::new(file, at, at), ""),
            ])
        }
    }
}

/// Checks size and encoding.
fn decode(file: FileId, bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    if bytes.len() > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES / (1024 * 1024);
        return Err(Box::new(
            Diagnostic::error("file-too-large", "The file is too large")
                .detail(format!("It has {} bytes; a configuration file may have {limit} MiB. Put data in a file of its own and read it with `file`.", bytes.len()))
                .at(Span::new(file, 0, 0), ""),
        ));
    }
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
