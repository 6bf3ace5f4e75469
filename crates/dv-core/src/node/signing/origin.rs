//! Where partial signatures come from, and what is told of those that are kept.

use crate::aggregated::Place;
use crate::event::{Note, Step, Ticket};
use crate::node::Node;
use crate::partials::Added;

/// Where partial signatures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A validator client, which waits for an answer.
    Client(Ticket),
    /// A peer, from 0.
    Peer(usize),
    /// A peer, from 0, a while ago: they were kept, and taken out to be checked.
    Kept(usize),
}

impl Node {
    /// Tells that a signature came, once: what goes back to where it was is nothing new.
    pub(super) fn note_added(&mut self, origin: Origin, place: &Place, share: u32, added: &Added) {
        let (duty, key, _) = *place;
        let step = match origin {
            Origin::Client(_) => Step::ParSigDbLocal,
            Origin::Kept(_) if *added != Added::Conflict => return,
            Origin::Peer(_) | Origin::Kept(_) => Step::ParSigDbExternal,
        };
        if *added != Added::Conflict && self.scheduler.has(&key, duty) == Some(false) {
            self.note(Note::Unexpected { duty, key, share });
        }
        let error = (*added == Added::Conflict).then(|| "another signature of the share is known".to_owned());
        self.note(Note::Duty { duty, step, key: Some(key), share: Some(share), error });
    }
}
