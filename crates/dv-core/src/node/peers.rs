//! What peers say: consensus and partial signatures.

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};

use super::Node;
use crate::event::{Channel, Note};
use crate::exchange;

/// Slots that the clock of a peer may be ahead.
const SLOTS_AHEAD: u64 = 1;

impl Node {
    /// Whether a validator can have a duty. Blocks carry megabytes: those of others, or of the future, are not kept.
    fn may_have(&self, duty: Duty, key: &Bytes48) -> bool {
        duty.kind != DutyType::Proposer
            || (duty.slot <= self.current_slot().saturating_add(SLOTS_AHEAD)
                && self.scheduler.proposes(key, duty.slot).unwrap_or(true))
    }

    pub(super) fn receive(&mut self, from: usize, channel: Channel, bytes: Vec<u8>) {
        match channel {
            Channel::Qbft => self.receive_consensus(from, bytes),
            Channel::Parsigex => match exchange::read(&bytes, &self.cluster, &self.chain, self.now) {
                Ok((duty, mut items)) => {
                    items.retain(|item| self.may_have(duty, &item.key));
                    if !items.is_empty() && self.touch(duty) {
                        self.take_peer_partials(from, bytes.len(), items);
                    }
                }
                Err(refusal) => {
                    self.note(Note::Refused { from, channel, why: refusal.to_string() });
                }
            },
        }
    }
}
