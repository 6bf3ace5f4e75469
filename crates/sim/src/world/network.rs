//! The network: who hears whom, and when.

use std::sync::Arc;

use coxswain_dv_core::{Channel, Event, Ticket};
use coxswain_dv_qbft::message::Kind;
use coxswain_dv_wire::message;
use coxswain_dv_wire::protocol::QBFT;
use coxswain_dv_wire::qbft::QbftConsensusMsg;

use super::World;
use crate::dice::mixed;

/// Milliseconds that a message takes at most when all is well.
const CALM_DELAY_MS: u64 = 60;

impl World {
    fn is_connected(&self, one: usize, other: usize) -> bool {
        let splits = |side: u64| (side >> one) & 1 != (side >> other) & 1;
        !self.partitions.iter().any(|cut| (cut.from..cut.until).contains(&self.now) && splits(cut.side))
    }

    /// Whether this half of a liar is the one that speaks, to all; none in epochs in which both do.
    fn speaks_alone(&self, node: usize, half: usize) -> Option<bool> {
        let clock = self.beacon.clock();
        let epoch = clock.epoch_of(clock.slot_at(self.now).unwrap_or(0));
        let drawn = usize::try_from(mixed(&[self.seed, 17, node as u64, epoch]) % 4).unwrap_or(0);
        (drawn < 2).then_some(drawn == half)
    }

    /// Whether a message of consensus is lost so that one node alone decides in the first round, and nobody learns it from
    /// that one: what was decided must come again in later rounds.
    fn is_starved(&self, from: usize, to: usize, bytes: &[u8]) -> bool {
        if self.is_calm() || self.setting.trouble.starved == 0 {
            return false;
        }
        let Ok(whole) = message::decode::<QbftConsensusMsg>(bytes, QBFT.max_bytes) else { return false };
        let vote = whole.msg.unwrap_or_default();
        let duty = vote.duty.unwrap_or_default();
        let number = mixed(&[self.seed, 18, duty.slot, u64::from(duty.r#type.unsigned_abs())]);
        let chosen = usize::try_from(number / 128).unwrap_or(0) % self.setting.nodes;
        let is_lost = match Kind::of(vote.r#type) {
            Some(Kind::Commit) => vote.round == 1 && to != chosen,
            Some(Kind::Decided) => from == chosen,
            Some(Kind::PrePrepare | Kind::Prepare | Kind::RoundChange) | None => false,
        };
        is_lost && number % 100 < self.setting.trouble.starved
    }

    /// Machines that hear what one says to a node: each half of a liar talks to half of the nodes, and now and then to
    /// the others, or one half talks to all; and now and then it says nothing.
    fn receivers(&mut self, from: usize, to: usize) -> Vec<usize> {
        let (node, half) = (self.machines[from].node, self.machines[from].half);
        if !self.is_connected(node, to) {
            return Vec::new();
        }
        match half.map(|half| (half, self.speaks_alone(node, half))) {
            Some((_, Some(false))) => return Vec::new(),
            Some((half, None)) if to % 2 != half && self.dice.happens(70) => return Vec::new(),
            Some(_) | None => {}
        }
        if half.is_some() && self.dice.happens(8) {
            return Vec::new();
        }
        let all = 0..self.machines.len();
        all.filter(|machine| self.machines[*machine].node == to).collect()
    }

    pub(super) fn send(&mut self, from: usize, to: usize, channel: Channel, bytes: &Arc<Vec<u8>>) {
        let (node, is_honest) = (self.machines[from].node, self.machines[from].is_honest());
        let untrue = (!is_honest && channel == Channel::Qbft).then(|| self.untrue(from, bytes)).flatten();
        let bytes = untrue.as_ref().unwrap_or(bytes);
        if channel == Channel::Qbft && self.is_starved(node, to, bytes) {
            self.counts.add("votes that one node alone heard", 1);
            return;
        }
        for receiver in self.receivers(from, to) {
            if !is_honest {
                for (channel, bytes) in self.mischief(from, to, channel, bytes) {
                    self.counts.add("lies of peers", 1);
                    self.deliver(receiver, Event::Received { from: node, channel, bytes });
                }
            }
            if !self.machines[receiver].is_honest() {
                self.overhear(channel, bytes);
            }
            if self.happens(self.setting.trouble.doubled) {
                let bytes = bytes.to_vec();
                self.deliver(receiver, Event::Received { from: node, channel, bytes });
            }
            self.deliver(receiver, Event::Received { from: node, channel, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn request(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let node = self.machines[from].node;
        for receiver in self.receivers(from, to) {
            let ticket = self.ticket();
            self.exchanges.insert(ticket, from);
            self.deliver(receiver, Event::Requested { ticket, from: node, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn respond(&mut self, machine: usize, ticket: Ticket, bytes: Option<&Vec<u8>>) {
        let Some(asker) = self.exchanges.remove(&ticket) else {
            return self.fail(format!("machine {machine} answers twice, or what nobody asked"));
        };
        let node = self.machines[machine].node;
        if let Some(bytes) = bytes
            && self.is_connected(node, self.machines[asker].node)
        {
            self.deliver(asker, Event::Responded { from: node, bytes: bytes.clone() });
        }
    }

    fn deliver(&mut self, receiver: usize, event: Event) {
        if self.happens(self.setting.trouble.lost) {
            self.counts.add("messages lost", 1);
            return;
        }
        self.counts.add("messages", 1);
        let most = if self.is_calm() { CALM_DELAY_MS } else { self.setting.trouble.delay_ms };
        self.later(most, receiver, event);
    }
}
