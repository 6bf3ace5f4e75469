//! Attestations and their aggregates.

use coxswain_dv_crypto::bls::Signature;
use coxswain_dv_eth::attestation::{Attestation, AttestationData};
use coxswain_dv_eth::bytes::Bytes96;
use coxswain_dv_eth::domain::{AGGREGATE_AND_PROOF, ATTESTER, SELECTION, Signable};
use coxswain_dv_eth::selection::is_aggregator;
use coxswain_dv_eth::signed::SignedAggregate;
use tree_hash::TreeHash as _;

use super::{Claim, Item, Vote};
use crate::chain::ledger::{Duty, Voted};
use crate::chain::pool::NewVote;
use crate::chain::report::Kind;
use crate::chain::{Asked, Chain};

/// An attestation with its attester.
struct Cast {
    data: AttestationData,
    committee: u64,
    validator: u64,
    signature: Bytes96,
}

/// An aggregate, whatever its form.
struct Aggregate {
    data: AttestationData,
    committee: u64,
    aggregator: u64,
    attesters: Vec<u64>,
    selection_proof: Bytes96,
}

impl Chain {
    fn members(&self, slot: u64, committee: u64) -> Result<&[u64], String> {
        let duties = self.duties_at(slot);
        let committees = duties.ok_or("its epoch is too far away")?.committees(slot);
        let members = usize::try_from(committee).ok().and_then(|index| committees.get(index));
        Ok(members.ok_or_else(|| format!("there is no committee {committee} at slot {slot}"))?)
    }

    fn cast(&self, vote: &Vote) -> Result<Cast, String> {
        match vote {
            Vote::Single(one) => {
                let (committee, validator) = (one.committee_index, one.attester_index);
                Ok(Cast { data: one.data, committee, validator, signature: one.signature })
            }
            Vote::Phase0(one) => {
                let members = self.members(one.data.slot, one.data.index)?;
                let mut set = one.aggregation_bits.iter().enumerate().filter(|(_, bit)| *bit);
                let (Some((place, _)), None) = (set.next(), set.next()) else {
                    return Err("not exactly one bit is set".to_owned());
                };
                let validator = *members.get(place).ok_or("its bit is outside the committee")?;
                Ok(Cast { data: one.data, committee: one.data.index, validator, signature: one.signature })
            }
        }
    }

    pub(super) fn examine_vote(&self, vote: &Vote) -> Item<Vec<Claim>> {
        let slot = match vote {
            Vote::Single(one) => one.data.slot,
            Vote::Phase0(one) => one.data.slot,
        };
        let cast = self.cast(vote);
        let validator =
            cast.as_ref().ok().map(|cast| cast.validator).filter(|v| self.public_key(*v).is_some());
        let outcome = cast.and_then(|cast| {
            if self.pool.has_vote(&cast.data, cast.committee, cast.validator, &cast.signature) {
                return Ok(Vec::new());
            }
            let signable = of_data(&cast.data);
            Ok(vec![self.claim("the signature", cast.validator, &signable, &cast.signature)?])
        });
        Item { kind: Kind::Attester, slot, validator, outcome }
    }

    pub(super) fn settle_vote(&mut self, asked: Asked, vote: &Vote) -> Result<(), String> {
        let cast = self.cast(vote)?;
        if let Some(slashable) = self.watch.vote(cast.validator, &cast.data) {
            return Err(self.fatal(asked, &slashable));
        }
        let data = cast.data;
        let is_electra = self.spec.forks.at(self.spec.clock.epoch_of(data.slot)).has_electra_attestations();
        if is_electra != matches!(vote, Vote::Single(_)) {
            return Err("it has the form of another fork".to_owned());
        }
        self.check_data(asked, &data)?;
        let place = self.duties_at(data.slot).and_then(|duties| duties.place(cast.validator));
        let place = place.ok_or_else(|| format!("validator {} has no duty in its epoch", cast.validator))?;
        if (place.slot, place.committee) != (data.slot, cast.committee) {
            return Err(format!(
                "validator {} attests at slot {} in committee {}, not at slot {} in committee {}",
                cast.validator, place.slot, place.committee, data.slot, cast.committee
            ));
        }
        let signature = Signature::from_bytes(&cast.signature.0).map_err(|e| e.to_string())?;
        let duty = Duty::new(data.slot, Kind::Attester, cast.validator);
        self.receive(asked, duty);
        self.ledger.voted(duty, Voted { head: data.beacon_block_root.0, target: Some(data.target) });
        let (committee, position, validator) = (place.committee, place.position, cast.validator);
        self.pool.add_vote(NewVote { data, committee, position, validator, signature });
        Ok(())
    }

    /// What has to hold of any attestation.
    fn check_data(&self, asked: Asked, data: &AttestationData) -> Result<(), String> {
        let epoch = self.spec.clock.epoch_of(data.slot);
        let now = self.slot_of(asked);
        if !self.has_begun(asked, data.slot) {
            return Err(format!("it is of the future: it is slot {now}"));
        }
        if epoch.saturating_add(1) < self.spec.clock.epoch_of(now) {
            return Err(format!("it is too late: it is slot {now}"));
        }
        if data.target.epoch != epoch {
            return Err(format!(
                "its target is epoch {}, and its slot is in epoch {epoch}",
                data.target.epoch
            ));
        }
        if self.spec.forks.at(epoch).has_electra_attestations() && data.index != 0 {
            return Err(format!("its index is {}, and from Electra on it is 0", data.index));
        }
        let source = self.finality_at(epoch).justified;
        if data.source != source {
            let (is, has) = (source.epoch, data.source.epoch);
            return Err(format!(
                "its source is epoch {has} ({}), and epoch {is} ({}) is justified",
                data.source.root, source.root
            ));
        }
        let head = self.tree.get(&data.beacon_block_root.0);
        let head = head.ok_or_else(|| format!("its head {} is not known", data.beacon_block_root))?;
        if head.slot > data.slot {
            return Err(format!("its head is of slot {}, which is after its own", head.slot));
        }
        if self.tree.get(&data.target.root.0).is_none() {
            return Err(format!("its target {} is not known", data.target.root));
        }
        Ok(())
    }

    fn aggregate_of(&self, signed: &SignedAggregate) -> Result<Aggregate, String> {
        let (message, committee) = match signed {
            SignedAggregate::Phase0 { signed, .. } => {
                let one = &signed.message;
                let bits: Vec<bool> = one.aggregate.aggregation_bits.iter().collect();
                let proof = one.selection_proof;
                ((one.aggregator_index, one.aggregate.data, bits, proof), one.aggregate.data.index)
            }
            SignedAggregate::Electra { signed, .. } => {
                let one = &signed.message;
                let bits: Vec<bool> = one.aggregate.aggregation_bits.iter().collect();
                let committee = one.aggregate.committee_bits.iter().enumerate().filter(|(_, bit)| *bit);
                let committees: Vec<u64> = committee.map(|(index, _)| index as u64).collect();
                let [committee] = committees[..] else {
                    return Err("not exactly one committee is set".to_owned());
                };
                ((one.aggregator_index, one.aggregate.data, bits, one.selection_proof), committee)
            }
        };
        let (aggregator, data, bits, selection_proof) = message;
        let members = self.members(data.slot, committee)?;
        if bits.len() != members.len() {
            return Err(format!("it has {} bits, and the committee {} members", bits.len(), members.len()));
        }
        let attesters: Vec<u64> = members.iter().zip(bits).filter(|(_, bit)| *bit).map(|(v, _)| *v).collect();
        if attesters.is_empty() {
            return Err("nobody attests".to_owned());
        }
        Ok(Aggregate { data, committee, aggregator, attesters, selection_proof })
    }

    pub(super) fn examine_aggregate(&self, signed: &SignedAggregate) -> Item<Vec<Claim>> {
        let (aggregator, attestation, root, signature) = parts(signed);
        let outcome = self.aggregate_of(signed).and_then(|aggregate| {
            let data = &aggregate.data;
            let epoch = self.spec.clock.epoch_of(data.slot);
            let selection = Signable { root: data.slot.tree_hash_root().0, domain: SELECTION, epoch };
            let outer = Signable { root, domain: AGGREGATE_AND_PROOF, epoch };
            let keys = aggregate.attesters.iter().filter_map(|v| self.public_key(*v)).collect();
            Ok(vec![
                self.claim("the selection proof", aggregator, &selection, &aggregate.selection_proof)?,
                self.claim("the signature", aggregator, &outer, &signature)?,
                Claim {
                    what: "the aggregate's signature",
                    keys,
                    message: self.spec.signing_root(&of_data(data)),
                    signature: *attestation.signature(),
                },
            ])
        });
        let validator = self.public_key(aggregator).map(|_| aggregator);
        Item { kind: Kind::Aggregator, slot: attestation.data().slot, validator, outcome }
    }

    pub(super) fn settle_aggregate(&mut self, asked: Asked, signed: &SignedAggregate) -> Result<(), String> {
        let aggregate = self.aggregate_of(signed)?;
        let data = aggregate.data;
        let attesters = aggregate.attesters.iter();
        let slashable: Vec<_> =
            attesters.filter_map(|validator| self.watch.vote(*validator, &data)).collect();
        for one in &slashable {
            self.fatal(asked, one);
        }
        if let Some(one) = slashable.first() {
            return Err(one.to_string());
        }
        let is_electra = self.spec.forks.at(self.spec.clock.epoch_of(data.slot)).has_electra_attestations();
        if is_electra != matches!(signed, SignedAggregate::Electra { .. }) {
            return Err("it has the form of another fork".to_owned());
        }
        self.check_data(asked, &data)?;
        let members = self.members(data.slot, aggregate.committee)?;
        if !members.contains(&aggregate.aggregator) {
            return Err(format!(
                "validator {} is not in committee {}",
                aggregate.aggregator, aggregate.committee
            ));
        }
        if !is_aggregator(members.len() as u64, &aggregate.selection_proof) {
            return Err(format!("validator {} is not selected by its proof", aggregate.aggregator));
        }
        self.receive(asked, Duty::new(data.slot, Kind::Aggregator, aggregate.aggregator));
        Ok(())
    }
}

/// What attesters sign.
fn of_data(data: &AttestationData) -> Signable {
    Signable { root: data.root(), domain: ATTESTER, epoch: data.target.epoch }
}

/// Aggregator, aggregate, root of what the aggregator signs, signature.
fn parts(signed: &SignedAggregate) -> (u64, Attestation, coxswain_dv_eth::Root, Bytes96) {
    match signed {
        SignedAggregate::Phase0 { signed, .. } => {
            let root = signed.message.tree_hash_root().0;
            let attestation = Attestation::Phase0(signed.message.aggregate.clone());
            (signed.message.aggregator_index, attestation, root, signed.signature)
        }
        SignedAggregate::Electra { signed, .. } => {
            let root = signed.message.tree_hash_root().0;
            let attestation = Attestation::Electra(signed.message.aggregate.clone());
            (signed.message.aggregator_index, attestation, root, signed.signature)
        }
    }
}
