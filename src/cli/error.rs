//! What went wrong, for the person at the keyboard: text, hint and exit code.

use std::fmt::Display;

use super::render::{Colour, Tone, clean, diagnostics};
use super::{Cx, Exit, Format};
use crate::session::{Failure, Sources};

/// A failure with the sources its spans point into.
#[derive(Debug)]
pub struct CliError {
    /// What failed.
    pub failure: Failure,
    /// The files that were read.
    pub sources: Sources,
}

impl CliError {
    /// A failure of the command line's own.
    pub fn other(what: impl Into<String>, why: impl Display, next: impl Into<String>) -> CliError {
        let failure = Failure::Other { what: what.into(), why: why.to_string(), next: next.into() };
        CliError { failure, sources: Sources::default() }
    }

    /// In one line, where it is no more than a warning.
    pub fn summary(&self) -> String {
        match &self.failure {
            Failure::Other { what, why, .. } => format!("{what}: {why}"),
            Failure::Busy(_) | Failure::Diagnostics(_) => {
                text(&self.failure, Colour::Off).trim_end().to_owned()
            }
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self.failure {
            Failure::Busy(_) => Exit::Busy,
            Failure::Diagnostics(_) | Failure::Other { .. } => Exit::Error,
        }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> CliError {
        CliError { failure, sources: Sources::default() }
    }
}

impl From<(Failure, &Sources)> for CliError {
    fn from((failure, sources): (Failure, &Sources)) -> CliError {
        CliError { failure, sources: sources.clone() }
    }
}

/// Reports it and says how to exit.
pub fn report(cx: &Cx, error: &CliError) -> Exit {
    match cx.format {
        Format::Json => cx.terminal.out(&json(error)),
        Format::Text => {
            if let Failure::Diagnostics(all) = &error.failure {
                diagnostics::show(cx, all, &error.sources);
            } else {
                cx.terminal.err(&text(&error.failure, cx.terminal.err_colour));
            }
        }
    }
    error.exit()
}

/// The text of a failure without spans.
pub fn text(failure: &Failure, colour: Colour) -> String {
    let head = colour.paint(Tone::Remove, "error:");
    match failure {
        Failure::Diagnostics(all) => all.iter().map(|d| format!("{head} {}\n", clean(&d.summary))).collect(),
        Failure::Busy(message) => format!("{head} {}\n", clean(message.trim_end())),
        Failure::Other { what, why, next } => {
            let mut text = format!("{head} {}", clean(what));
            if !why.is_empty() {
                text += &format!(": {}", clean(why));
            }
            text += "\n";
            if !next.is_empty() {
                text += &format!("  {}\n", clean(next));
            }
            text
        }
    }
}

/// The same as JSON lines.
pub fn json(error: &CliError) -> String {
    let line = match &error.failure {
        Failure::Diagnostics(all) => return diagnostics::json_lines(all, &error.sources),
        Failure::Busy(message) => serde_json::json!({
            "event": "error", "severity": "error", "code": "lock-busy", "summary": message,
        }),
        Failure::Other { what, why, next } => serde_json::json!({
            "event": "error", "severity": "error", "summary": what, "detail": why, "next": next,
        }),
    };
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_next() {
        let error = CliError::other("reading main.hcl", "permission denied", "check the file's mode");
        assert_eq!(
            text(&error.failure, Colour::Off),
            "error: reading main.hcl: permission denied\n  check the file's mode\n"
        );
        assert_eq!(error.exit(), Exit::Error);
    }

    #[test]
    fn a_busy_lock_has_its_own_code() {
        let error = CliError::from(Failure::Busy("the state is locked by ann".into()));
        assert_eq!(error.exit(), Exit::Busy);
        assert_eq!(text(&error.failure, Colour::Off), "error: the state is locked by ann\n");
        assert!(json(&error).contains("lock-busy"));
    }
}
