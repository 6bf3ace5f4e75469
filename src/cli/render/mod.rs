//! Data to text. Pure: no file, clock or terminal; the same data gives the same bytes.
//!
//! What comes from hosts and files is never written raw: control characters would let a file speak to the
//! reader's terminal ([`clean`]).

pub mod adopt;
pub mod diagnostics;
pub mod drift;
pub mod graph;
pub mod json;
pub mod layout;
pub mod markdown;
pub mod plan;
pub mod state;
pub mod summary;
pub mod value;

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Whether colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// With escape codes.
    On,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Comes.
    Add,
    /// Changes.
    Change,
    /// Goes, or failed.
    Remove,
    /// Deserves attention.
    Warn,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
}

impl Colour {
    /// The text in this tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if self == Colour::Off || text.is_empty() {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Add => AnsiColor::Green.on_default(),
            Tone::Change | Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Remove => AnsiColor::Red.on_default(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// The text without control characters but line ends and tabs.
pub fn clean(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.chars().any(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if bad(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text on one line, without control characters.
pub fn one_line(text: &str) -> String {
    clean(text.trim()).replace('\n', " ")
}

/// `1 step`, `2 steps`.
pub fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The names in a row: `a, b and 3 more`.
pub fn row_of(names: &[String], limit: usize) -> String {
    if names.len() <= limit {
        names.join(", ")
    } else {
        format!("{} and {} more", names[..limit].join(", "), names.len() - limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\n");
        assert_eq!(one_line(" a\nb\r "), "a b");
    }

    #[test]
    fn colour_is_only_written_when_asked_for() {
        assert_eq!(Colour::Off.paint(Tone::Add, "+"), "+");
        assert_eq!(Colour::On.paint(Tone::Add, "+"), "\u{1b}[32m+\u{1b}[0m");
    }

    #[test]
    fn long_rows_are_cut() {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!(row_of(&names, 3), "a, b, c");
        assert_eq!(row_of(&names, 1), "a and 2 more");
    }
}
