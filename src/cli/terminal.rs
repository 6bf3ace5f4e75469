//! Where text goes. The one place that writes to standard output and standard error.
//!
//! A reader that goes away (`coxswain plan | head`) is no error: the rest is dropped, and what runs goes on to
//! its end. No write ever panics.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use super::render::Colour;

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: usize = 100;

/// Narrower than this, a drawing of source text is of no use.
const MIN_WIDTH: usize = 40;

/// Whether colours may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Where a terminal is that shows them.
    Detect,
    /// Not at all.
    Plain,
}

/// Standard input, output and error, as they were found at the start.
#[derive(Debug)]
pub struct Terminal {
    /// Colours of standard output.
    pub out_colour: Colour,
    /// Colours of standard error.
    pub err_colour: Colour,
    /// Whether standard error is a terminal.
    pub err_is_terminal: bool,
    /// Whether somebody can be asked: standard input and standard error are a terminal.
    pub can_ask: bool,
    /// Columns.
    pub width: usize,
    /// The first failed write of standard output. Shared by the threads that report progress.
    failed: Mutex<Option<io::Error>>,
    /// Where what is written is kept instead, and what is answered.
    kept: Option<Mutex<Kept>>,
}

/// What was written where nobody looks on, and the answers that are still to be given.
#[derive(Debug, Default)]
pub struct Kept {
    /// Both outputs, in order.
    pub text: String,
    /// Answers, the next one first.
    pub answers: std::collections::VecDeque<String>,
}

impl Terminal {
    /// A terminal that keeps what is written; with answers, somebody is there to be asked.
    pub fn kept(answers: &[&str]) -> Terminal {
        Terminal {
            can_ask: !answers.is_empty(),
            err_is_terminal: false,
            kept: Some(Mutex::new(Kept {
                text: String::new(),
                answers: answers.iter().map(|a| (*a).to_owned()).collect(),
            })),
            out_colour: Colour::Off,
            err_colour: Colour::Off,
            width: DEFAULT_WIDTH,
            failed: Mutex::new(None),
        }
    }

    /// What was written.
    pub fn text(&self) -> String {
        self.kept
            .as_ref()
            .map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).text.clone())
            .unwrap_or_default()
    }

    fn keep(&self, text: &str) -> bool {
        let Some(kept) = &self.kept else { return false };
        kept.lock().unwrap_or_else(PoisonError::into_inner).text += text;
        true
    }
}

impl Terminal {
    /// Looks at the standard streams.
    pub fn detect(wanted: Wanted) -> Terminal {
        let (out, err) = (io::stdout(), io::stderr());
        let colour = |choice: anstream::ColorChoice| match (wanted, choice) {
            (Wanted::Plain, _) | (_, anstream::ColorChoice::Never) => Colour::Off,
            (Wanted::Detect, _) => Colour::On,
        };
        Terminal {
            out_colour: colour(anstream::AutoStream::choice(&out)),
            err_colour: colour(anstream::AutoStream::choice(&err)),
            err_is_terminal: err.is_terminal(),
            can_ask: io::stdin().is_terminal() && err.is_terminal(),
            width: match rustix::termios::tcgetwinsize(&err) {
                Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).max(MIN_WIDTH),
                Ok(_) | Err(_) => DEFAULT_WIDTH,
            },
            failed: Mutex::new(None),
            kept: None,
        }
    }

    /// Writes to standard output.
    pub fn out(&self, text: &str) {
        if self.keep(text) {
            return;
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            *failed = Some(error);
        }
    }

    /// Writes to standard error; if that fails, nobody is left to be told.
    pub fn err(&self, text: &str) {
        if self.keep(text) {
            return;
        }
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Why standard output could not be written; a closed pipe does not count.
    pub fn failure(&self) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|e| e.kind() != io::ErrorKind::BrokenPipe).map(ToString::to_string)
    }

    /// Asks a question and reads a line; blocks. Empty at the end of the input.
    pub fn ask(&self, question: &str) -> String {
        self.err(question);
        if let Some(kept) = &self.kept {
            let answer = kept.lock().unwrap_or_else(PoisonError::into_inner).answers.pop_front();
            self.keep("\n");
            return answer.unwrap_or_default();
        }
        let mut line = String::new();
        // An unreadable answer is no answer.
        let _ = io::stdin().read_line(&mut line);
        line.trim().to_owned()
    }
}
