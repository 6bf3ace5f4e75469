//! Diagnostics: everything that is wrong with what a person gave us.
//!
//! A diagnostic says what is wrong (`summary`), why and what to do (`detail`), where (`labels`), and what the
//! references in that place were worth (`notes`). Sensitive values never come into one.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::span::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing goes on.
    Error,
    /// It goes on; somebody should look.
    Warning,
}

/// A marked place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to see there; may be empty.
    pub text: String,
}

/// A replacement that would mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// A stable name, documented in `docs/diagnostics.md`: `unknown-reference`.
    pub code: std::borrow::Cow<'static, str>,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub summary: String,
    /// Why, and what to do next; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The places, the chief one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Lines such as `var.port is "ssh"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Edits that would mend it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
    /// The resource concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// Several problems, in the order they were found.
pub type Diagnostics = Vec<Diagnostic>;

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, summary: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code: code.into(),
            severity: Severity::Error,
            summary: summary.into(),
            detail: String::new(),
            labels: Vec::new(),
            notes: Vec::new(),
            fixes: Vec::new(),
            address: None,
        }
    }
    /// A warning.
    pub fn warning(code: &'static str, summary: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, summary) }
    }
    /// Adds why and what to do.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Diagnostic {
        self.detail = text.into();
        self
    }
    /// Marks a place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }
    /// Adds a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }
    /// Offers an edit.
    #[must_use]
    pub fn fix(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.fixes.push(Fix { span, text: text.into() });
        self
    }
    /// Names the resource.
    #[must_use]
    pub fn of(mut self, address: &Address) -> Diagnostic {
        self.address = Some(address.clone());
        self
    }
    /// Whether it stops everything.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Largest edit distance, in thirds of the word's length, at which a suggestion still helps.
const SUGGESTION_THIRD: usize = 3;

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / SUGGESTION_THIRD).max(1);
    candidates
        .into_iter()
        .map(|c| (distance(word, c), c))
        .filter(|(d, c)| *d <= limit && *c != word)
        .min()
        .map(|(_, c)| c)
}

/// The number of single-character edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 16 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near() {
        assert_eq!(suggest("hots", ["host", "file"]), Some("host"));
        assert_eq!(suggest("lenght", ["length", "lower"]), Some("length"));
        assert_eq!(suggest("zebra", ["host", "file"]), None);
    }
}
