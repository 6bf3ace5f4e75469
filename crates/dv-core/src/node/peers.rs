//! What peers say: consensus and partial signatures.

use super::Node;
use crate::event::{Channel, Note};
use crate::exchange;

impl Node {
    pub(super) fn receive(&mut self, from: usize, channel: Channel, bytes: Vec<u8>) {
        match channel {
            Channel::Qbft => self.receive_consensus(from, bytes),
            Channel::Parsigex => match exchange::read(&bytes, &self.cluster, &self.chain, self.now) {
                Ok((duty, items)) => {
                    if self.touch(duty) {
                        self.take_peer_partials(from, items);
                    }
                }
                Err(refusal) => {
                    self.note(Note::Refused { from, channel, why: refusal.to_string() });
                }
            },
        }
    }
}
