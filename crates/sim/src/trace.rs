//! Events as lines for people.

use coxswain_dv_core::Event;

/// A line is cut there.
const LONGEST: usize = 160;

/// An event in short.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Received { from, channel, bytes } => {
            format!("{channel:?} of node {from}, {} bytes", bytes.len())
        }
        Event::Requested { from, bytes, .. } => format!("question of node {from}, {} bytes", bytes.len()),
        Event::Responded { from, bytes } => format!("answer of node {from}, {} bytes", bytes.len()),
        Event::Computed { ticket, .. } => format!("computed {}", ticket.0),
        other => cut(format!("{other:?}")),
    }
}

/// A text that is not longer than a line.
pub(crate) fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(at);
    }
    text
}
