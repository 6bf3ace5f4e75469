//! Blocks that are made up: they are told from others wherever it matters, whether this node makes any or not.

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::Node;
use crate::event::Step;

impl Node {
    /// Whether a leader would put a made-up block in the place of a real one. Nobody submits it: the slot would be lost.
    pub(crate) fn replaces_a_block(&self, duty: Duty, key: &Bytes48, value: &Unsigned) -> bool {
        let Unsigned::Proposer(block) = value else { return false };
        block.is_made_up() && !self.scheduler.is_made_up(key, duty.slot)
    }

    /// What of this goes to the chain. A made-up block has come to its end once its signature is whole.
    pub(crate) fn without_made_up(
        &mut self,
        duty: Duty,
        set: Vec<(Bytes48, SignedData)>,
    ) -> Vec<(Bytes48, SignedData)> {
        let is_made_up =
            |data: &SignedData| matches!(data, SignedData::Proposer(block) if block.is_made_up());
        let (made_up, real): (Vec<_>, Vec<_>) = set.into_iter().partition(|(_, data)| is_made_up(data));
        for (key, _) in made_up {
            self.note_step(duty, Step::Bcast, Some(key), None);
        }
        real
    }
}
