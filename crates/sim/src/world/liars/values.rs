//! What liars propose that no honest leader does, and what they say was prepared and decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_core::Channel;
use coxswain_dv_eth::attestation::{Attestation, AttestationData};
use coxswain_dv_eth::block::Contents;
use coxswain_dv_eth::bytes::{Bytes, Bytes32, Bytes48};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::proposal::Proposal;
use coxswain_dv_eth::unsigned::{ContributionForm, Unsigned};
use coxswain_dv_qbft::consensus::offset;
use coxswain_dv_qbft::message::{Kind, Nodes};
use coxswain_dv_qbft::value::Value;
use coxswain_dv_wire::message;
use coxswain_dv_wire::protocol::QBFT;
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::UnsignedDataSet;
use coxswain_dv_wire::well_known::Any;

use super::World;
use crate::dice::mixed;

/// A root that nobody sees.
const OTHER: Bytes32 = Bytes([0xdd; 32]);

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Data of the next slot.
    Slot,
    /// A vote for a target that the slot cannot have, or a block of another proposer.
    Target,
    /// A vote whose source is its target.
    Source,
    /// It is under a key that is none of the cluster's.
    Stranger,
    /// It is under the key of another validator.
    Key,
    /// It is there twice, under two keys.
    Twice,
    /// Nothing, but it is another one.
    Head,
}

const WRONGS: [Wrong; 6] =
    [Wrong::Slot, Wrong::Target, Wrong::Source, Wrong::Stranger, Wrong::Key, Wrong::Twice];

impl World {
    /// Instead of what a liar proposes something that cannot be, to all the same, so that it would be decided if nobody
    /// looked.
    pub(in crate::world) fn untrue(&mut self, from: usize, bytes: &[u8]) -> Option<Arc<Vec<u8>>> {
        let mut whole = message::decode::<QbftConsensusMsg>(bytes, QBFT.max_bytes).ok()?;
        let mut vote = whole.msg.take().filter(|vote| Kind::of(vote.r#type) == Some(Kind::PrePrepare))?;
        let duty = vote.duty?;
        let node = self.machines[from].node;
        let kind = u64::from(duty.r#type.unsigned_abs());
        let number = mixed(&[self.seed, 19, node as u64, duty.slot, kind]);
        let wrong = *WRONGS.get(usize::try_from(number % 12).unwrap_or(usize::MAX))?;
        let value = self.falsified(DutyType::of(duty.r#type)?, wrong, &whole.values, &vote.value_hash)?;
        vote.value_hash = value.root().to_vec();
        whole.values.push(value.any().clone());
        vote.signature = self.keys.seals(node).sign(&vote.signing_root()).to_vec();
        whole.msg = Some(vote);
        self.counts.add("proposals that cannot be", 1);
        Some(Arc::new(message::encode(&whole)))
    }

    fn falsified(&self, kind: DutyType, wrong: Wrong, values: &[Any], root: &[u8]) -> Option<Value> {
        let known = values
            .iter()
            .find_map(|any| Value::new(any.clone()).ok().filter(|value| value.root().as_slice() == root))?;
        let set: UnsignedDataSet = known.any().unpack(QBFT.max_bytes).ok()?;
        let mut entries: BTreeMap<String, Vec<u8>> = set.into();
        let (key, bytes) = entries.pop_first()?;
        let form = ContributionForm::List;
        match wrong {
            Wrong::Stranger => {
                entries.insert(Bytes48::from([9; 48]).to_string(), bytes);
            }
            Wrong::Key => {
                entries.insert(self.other_key(&key), bytes);
            }
            Wrong::Twice => {
                entries.insert(self.other_key(&key), bytes.clone());
                entries.insert(key, bytes);
            }
            Wrong::Slot | Wrong::Target | Wrong::Source | Wrong::Head => {
                let mut data = Unsigned::decode(kind, &bytes).ok()?;
                falsify(&mut data, wrong);
                entries.insert(key, data.encode(form));
            }
        }
        Value::new(UnsignedDataSet::pack(&entries)).ok().filter(|value| value.root().as_slice() != root)
    }

    /// The key of the next validator.
    pub(super) fn other_key(&self, key: &str) -> String {
        let keys = &self.beacon.keys;
        let at = keys.iter().position(|known| known.to_string() == key).unwrap_or(0);
        keys[(at + 1) % keys.len()].to_string()
    }

    /// Another value than that of a message: said to be decided, or proposed and voted for, with nothing to show for it;
    /// or said to be prepared.
    pub(super) fn unjustified(
        &mut self,
        from: usize,
        vote: &QbftMsg,
        whole: &QbftConsensusMsg,
    ) -> Vec<(Channel, Vec<u8>)> {
        let node = self.machines[from].node;
        let said = vote.duty.and_then(|duty| {
            let kind = DutyType::of(duty.r#type)?;
            let value = self.falsified(kind, Wrong::Head, &whole.values, &vote.value_hash)?;
            Some((Duty::new(duty.slot, kind), value))
        });
        let Some((duty, value)) = said else { return Vec::new() };
        let nodes = Nodes { count: self.setting.nodes };
        let led = (1..=self.setting.nodes as u64)
            .map(|ahead| vote.round.unsigned_abs() + ahead)
            .find(|round| nodes.leader(offset(&duty), *round) == node)
            .unwrap_or(1);
        let round = vote.round.unsigned_abs();
        let kinds: &[(Kind, u64)] = match self.dice.below(3) {
            0 => &[(Kind::Decided, round)],
            1 => &[(Kind::RoundChange, round + 1)],
            _ => &[(Kind::PrePrepare, led), (Kind::Prepare, led), (Kind::Commit, led)],
        };
        let seals = self.keys.seals(node);
        let made = kinds.iter().map(|(kind, round)| {
            let mut vote = QbftMsg { value_hash: value.root().to_vec(), ..vote.clone() };
            (vote.r#type, vote.round) = (kind.number(), i64::try_from(*round).unwrap_or(1));
            (vote.prepared_round, vote.prepared_value_hash) = (0, Vec::new());
            if *kind == Kind::RoundChange {
                vote.prepared_round = vote.round - 1;
                vote.prepared_value_hash = std::mem::take(&mut vote.value_hash);
            }
            vote.signature = seals.sign(&vote.signing_root()).to_vec();
            let values = vec![value.any().clone()];
            let whole = QbftConsensusMsg { msg: Some(vote), justification: Vec::new(), values };
            (Channel::Qbft, message::encode(&whole))
        });
        made.collect()
    }
}

/// Makes data another slot's, another target's, or just other data.
fn falsify(data: &mut Unsigned, wrong: Wrong) {
    match data {
        Unsigned::Attester { data, .. } => falsify_vote(data, wrong),
        Unsigned::Aggregator { attestation, .. } => match &mut **attestation {
            Attestation::Phase0(one) => falsify_vote(&mut one.data, wrong),
            Attestation::Electra(one) => falsify_vote(&mut one.data, wrong),
        },
        Unsigned::Proposer(block) => {
            let (slot, proposer, state) = match &mut **block {
                Proposal::Bellatrix(one) => (&mut one.slot, &mut one.proposer_index, &mut one.state_root),
                Proposal::BlindedBellatrix(one) => {
                    (&mut one.slot, &mut one.proposer_index, &mut one.state_root)
                }
                Proposal::Fulu(Contents { block: one, .. }) => {
                    (&mut one.slot, &mut one.proposer_index, &mut one.state_root)
                }
                Proposal::BlindedFulu(one) => (&mut one.slot, &mut one.proposer_index, &mut one.state_root),
                _ => return,
            };
            match wrong {
                Wrong::Head => *state = OTHER,
                Wrong::Slot => *slot += 1,
                _ => *proposer += 1,
            }
        }
        Unsigned::SyncContribution(all) => {
            for one in all {
                match wrong {
                    Wrong::Head => one.beacon_block_root = OTHER,
                    _ => one.slot += 1,
                }
            }
        }
    }
}

fn falsify_vote(data: &mut AttestationData, wrong: Wrong) {
    match wrong {
        Wrong::Head => data.beacon_block_root = OTHER,
        Wrong::Slot => data.slot += 1,
        Wrong::Target => data.target.epoch += 1,
        _ => data.source.epoch = data.target.epoch,
    }
}
