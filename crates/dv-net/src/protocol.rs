//! What is spoken on a stream.

use std::time::Duration;

/// How the two sides of a stream take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message, and perhaps one back.
    Message,
    /// A stream that lasts, with turns of its own.
    Long,
}

/// A protocol of streams, and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Its id.
    pub id: &'static str,
    /// How sides take turns.
    pub kind: Kind,
    /// Longest message.
    pub max_bytes: usize,
    /// How long reading a message and handling it may take.
    pub receive: Duration,
    /// How long writing a message and reading the answer may take.
    pub send: Duration,
}
