//! What liars say beside what their two halves say: garbage, what was said before and by others, and messages that they
//! make up and sign with their own keys.

mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_core::Channel;
use coxswain_dv_eth::bytes::{Bytes32, Bytes96};
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::protocol::{PARSIGEX, QBFT};
use coxswain_dv_wire::qbft::QbftConsensusMsg;

use super::World;

/// Messages that liars remember.
const REMEMBERED: usize = 64;
/// The longest garbage.
const GARBAGE: usize = 300;

impl World {
    /// A liar hears something, and may say it again, much later.
    pub(super) fn overhear(&mut self, channel: Channel, bytes: &Arc<Vec<u8>>) {
        if !self.dice.happens(20) {
            return;
        }
        if self.heard.len() >= REMEMBERED {
            let place = self.dice.index(REMEMBERED);
            self.heard.swap_remove_back(place);
        }
        self.heard.push_back((channel, Arc::clone(bytes)));
    }

    /// What a liar sends to a node beside a message.
    pub(super) fn mischief(
        &mut self,
        from: usize,
        to: usize,
        channel: Channel,
        bytes: &Arc<Vec<u8>>,
    ) -> Vec<(Channel, Vec<u8>)> {
        match self.dice.below(12) {
            0 => vec![(channel, self.damaged(bytes))],
            1 => {
                let length = self.dice.index(GARBAGE);
                vec![(channel, (0..length).map(|_| self.dice.number() as u8).collect())]
            }
            2 | 3 if !self.heard.is_empty() => {
                let (channel, bytes) = &self.heard[self.dice.index(self.heard.len())];
                vec![(*channel, bytes.to_vec())]
            }
            4 | 5 => match channel {
                Channel::Qbft => self.forged_vote(from, bytes),
                Channel::Parsigex => self.forged_partial(from, to, bytes),
            },
            _ => Vec::new(),
        }
    }

    fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.dice.below(3) {
            let at = self.dice.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = self.dice.number() as u8;
            }
        }
        if self.dice.happens(20) {
            bytes.truncate(self.dice.index(bytes.len()));
        }
        bytes
    }

    /// A message of consensus that the algorithm would not have sent, well signed; or one in another node's name.
    fn forged_vote(&mut self, from: usize, bytes: &[u8]) -> Vec<(Channel, Vec<u8>)> {
        let Ok(mut whole) = message::decode::<QbftConsensusMsg>(bytes, QBFT.max_bytes) else {
            return Vec::new();
        };
        let Some(mut vote) = whole.msg.take() else { return Vec::new() };
        match self.dice.below(8) {
            0 => vote.r#type = i64::try_from(self.dice.below(6)).unwrap_or(0),
            1 => vote.round = i64::try_from(self.dice.below(4)).unwrap_or(0),
            2 => vote.peer_idx = i64::try_from(self.dice.index(self.setting.nodes)).unwrap_or(0),
            3 => {
                if let Some(duty) = &mut vote.duty {
                    duty.slot = duty.slot.wrapping_add(self.dice.below(3)).wrapping_sub(1);
                }
            }
            4 | 5 => return self.unjustified(from, &vote, &whole),
            _ => {
                // A commit to a value that nobody prepared, or a proposal out of turn.
                vote.r#type = if self.dice.happens(50) { 1 } else { 3 };
                vote.round = 1;
            }
        }
        let seals = self.keys.seals(self.machines[from].node);
        vote.signature = seals.sign(&vote.signing_root()).to_vec();
        whole.msg = Some(vote);
        vec![(Channel::Qbft, message::encode(&whole))]
    }

    /// Partial signatures for another slot or validator, under another share, over something else, or none at all.
    fn forged_partial(&mut self, from: usize, to: usize, bytes: &[u8]) -> Vec<(Channel, Vec<u8>)> {
        let Ok(mut whole) = message::decode::<ParSigExMsg>(bytes, PARSIGEX.max_bytes) else {
            return Vec::new();
        };
        let Some(duty) = whole.duty.as_mut() else { return Vec::new() };
        let kind = DutyType::of(duty.r#type);
        let choice = self.dice.below(6);
        if choice == 0 {
            duty.slot = duty.slot.wrapping_add(self.dice.below(3)).wrapping_sub(1);
        }
        let set: BTreeMap<String, ParSignedData> = whole.data_set.take().unwrap_or_default().into();
        let mut forged = BTreeMap::new();
        for (key, mut one) in set {
            match (choice, kind) {
                (1, _) => one.share_idx = i32::try_from(to).unwrap_or(0) + 1,
                (2, _) => one.share_idx = i32::try_from(self.dice.index(self.setting.nodes + 2)).unwrap_or(0),
                (4, Some(kind)) => {
                    if let Ok(mut other) = SignedData::decode(kind, &one.data) {
                        other.set_signature(Bytes96::from([0xc5; 96]));
                        one.signature = other.signature().0.to_vec();
                        one.data = other.encode();
                    }
                }
                (3, Some(kind)) => {
                    if let Some(other) = self.contradiction(from, kind, &key, &one.data) {
                        one.signature = other.signature().0.to_vec();
                        one.data = other.encode();
                    }
                }
                _ => {}
            }
            let key = if choice == 5 { self.other_key(&key) } else { key };
            forged.insert(key, one);
        }
        whole.data_set = Some(forged.into());
        vec![(Channel::Parsigex, message::encode(&whole))]
    }

    /// Something else that the liar's share signs for the same duty.
    fn contradiction(&mut self, from: usize, kind: DutyType, key: &str, data: &[u8]) -> Option<SignedData> {
        let key = key.parse().ok()?;
        let validator = self.beacon.keys.iter().position(|known| *known == key)?;
        let mut data = SignedData::decode(kind, data).ok()?;
        let wrong = Bytes32::from([0xdd; 32]);
        match &mut data {
            SignedData::Attester(signed) => match &mut signed.attestation {
                coxswain_dv_eth::attestation::Attestation::Phase0(one) => one.data.beacon_block_root = wrong,
                coxswain_dv_eth::attestation::Attestation::Electra(one) => one.data.beacon_block_root = wrong,
            },
            SignedData::SyncMessage(vote) => vote.beacon_block_root = wrong,
            SignedData::SyncContribution(one) => one.message.contribution.beacon_block_root = wrong,
            _ => return None,
        }
        let root = self.beacon.chain.signing_root(&data.signable(&self.beacon.clock())?);
        let signature = self.keys.sign(validator, self.machines[from].node, root);
        data.set_signature(signature);
        Some(data)
    }
}
