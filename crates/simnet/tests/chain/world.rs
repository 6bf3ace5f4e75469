//! A chain and the keys of its validators.

use std::time::Duration;

use coxswain_dv_crypto::bls::{SecretKey, Signature};
use coxswain_dv_eth::Root;
use coxswain_dv_eth::attestation::{
    AggregateAndProof, Attestation, AttestationPhase0, SignedAggregateAndProof, SingleAttestation,
};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::domain::{
    AGGREGATE_AND_PROOF, ATTESTER, CONTRIBUTION, PROPOSER, RANDAO, SELECTION, SYNC_COMMITTEE, SYNC_SELECTION,
    Signable,
};
use coxswain_dv_eth::proposal::SignedProposal;
use coxswain_dv_eth::signed::SignedAggregate;
use coxswain_dv_eth::sync::{
    ContributionAndProof, SignedContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeMessage,
};
use coxswain_dv_eth::time::Time;
use coxswain_simnet::chain::{
    Asked, BlockId, Chain, Produced, ProposalRequest, Receipt, Settings, Submission, Vote,
};
use ssz_types::BitList;
use tree_hash::TreeHash as _;

/// When chains of tests begin.
pub(crate) const GENESIS: Time = Time::from_secs(1_800_000_000);
/// How long their slots are.
pub(crate) const SLOT: Duration = Duration::from_secs(12);

/// The secret key of a validator of tests.
pub(crate) fn secret(index: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(index + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("a small number is a key")
}

/// Public keys of the first validators.
pub(crate) fn publics(n: u64) -> Vec<Bytes48> {
    (0..n).map(|index| Bytes48::from(secret(index).public().to_bytes())).collect()
}

pub(crate) struct World {
    pub(crate) chain: Chain,
    secrets: Vec<SecretKey>,
    /// The moment.
    pub(crate) now: Time,
}

impl World {
    /// A chain of so many validators.
    pub(crate) fn new(n: u64) -> World {
        World::with(n, |_| {})
    }

    /// A chain with other settings.
    pub(crate) fn with(n: u64, change: impl FnOnce(&mut Settings)) -> World {
        let mut settings = Settings::new(GENESIS, SLOT, publics(n));
        change(&mut settings);
        let chain = Chain::new(settings).expect("settings of tests");
        World { chain, secrets: (0..n).map(secret).collect(), now: GENESIS - SLOT }
    }

    /// Goes to the start of a slot.
    pub(crate) fn go(&mut self, slot: u64) {
        self.go_into(slot, Duration::ZERO);
    }

    /// Goes some time into a slot.
    pub(crate) fn go_into(&mut self, slot: u64, after: Duration) {
        self.now = self.chain.spec().clock.start_of(slot) + after;
        self.chain.tick(self.now);
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked { node: 0, now: self.now }
    }

    pub(crate) fn n(&self) -> u64 {
        self.secrets.len() as u64
    }

    pub(crate) fn epoch(&self, slot: u64) -> u64 {
        self.chain.spec().clock.epoch_of(slot)
    }

    pub(crate) fn submit(&mut self, submission: Submission) -> Receipt {
        self.chain.submit(self.asked(), submission)
    }

    /// Hands in what must be taken.
    #[track_caller]
    pub(crate) fn accept(&mut self, submission: Submission) {
        let receipt = self.submit(submission);
        assert_eq!(receipt, Receipt::default());
    }

    /// Hands in what must be refused, and why.
    #[track_caller]
    pub(crate) fn refuse(&mut self, submission: Submission, why: &str) {
        let receipt = self.submit(submission);
        let [(0, found)] = &receipt.refused[..] else { panic!("not one thing was refused: {receipt:?}") };
        assert!(found.contains(why), "{found}");
    }

    /// A validator's signature.
    pub(crate) fn sign(&self, validator: u64, root: Root, domain: [u8; 4], epoch: u64) -> Bytes96 {
        let message = self.chain.spec().signing_root(&Signable { root, domain, epoch });
        self.sign_raw(validator, &message)
    }

    pub(crate) fn sign_raw(&self, validator: u64, message: &Root) -> Bytes96 {
        let signature: Signature = self.secrets[usize::try_from(validator).expect("an index")].sign(message);
        signature.to_bytes().into()
    }

    pub(crate) fn proposer(&self, slot: u64) -> u64 {
        let duties =
            self.chain.proposer_duties(self.asked(), self.epoch(slot)).expect("a known epoch").duties;
        duties.iter().find(|duty| duty.slot == slot).expect("a proposer").validator_index
    }

    /// Validators that attest at a slot, and their committees.
    pub(crate) fn attesters(&self, slot: u64) -> Vec<(u64, u64)> {
        let all: Vec<u64> = (0..self.n()).collect();
        let duties =
            self.chain.attester_duties(self.asked(), self.epoch(slot), &all).expect("a known epoch").duties;
        let of_slot = duties.iter().filter(|duty| duty.slot == slot);
        of_slot.map(|duty| (duty.validator_index, duty.committee_index)).collect()
    }

    pub(crate) fn randao(&self, slot: u64) -> Bytes96 {
        let epoch = self.epoch(slot);
        self.sign(self.proposer(slot), epoch.tree_hash_root().0, RANDAO, epoch)
    }

    pub(crate) fn ask_proposal(&mut self, slot: u64) -> Produced {
        let request = ProposalRequest {
            slot,
            randao: self.randao(slot),
            graffiti: Bytes32::from([7; 32]),
            builder_boost: u64::MAX,
        };
        self.chain.propose(self.asked(), &request).expect("a block")
    }

    pub(crate) fn signed_block(&mut self, slot: u64) -> SignedProposal {
        let proposal = self.ask_proposal(slot).proposal;
        let signature = self.sign(proposal.proposer_index(), proposal.root(), PROPOSER, self.epoch(slot));
        proposal.signed(signature)
    }

    /// Proposes at a slot; the root of the block.
    #[track_caller]
    pub(crate) fn propose(&mut self, slot: u64) -> Root {
        let block = self.signed_block(slot);
        let root = block.root();
        self.accept(Submission::Proposal(Box::new(block)));
        root
    }

    /// The attestation of a validator at a slot, in the form of its fork.
    pub(crate) fn vote(&self, validator: u64, committee: u64, slot: u64) -> Vote {
        let data = self.chain.attestation_data(self.asked(), slot, committee).expect("data");
        self.vote_of(validator, committee, data)
    }

    pub(crate) fn vote_of(
        &self,
        validator: u64,
        committee: u64,
        data: coxswain_dv_eth::attestation::AttestationData,
    ) -> Vote {
        let signature = self.sign(validator, data.root(), ATTESTER, data.target.epoch);
        if self.chain.fork_at(data.slot).has_electra_attestations() {
            return Vote::Single(SingleAttestation {
                committee_index: committee,
                attester_index: validator,
                data,
                signature,
            });
        }
        let all: Vec<u64> = (0..self.n()).collect();
        let duties =
            self.chain.attester_duties(self.asked(), self.epoch(data.slot), &all).expect("known").duties;
        let duty = duties.iter().find(|duty| duty.validator_index == validator).expect("a duty");
        let length = usize::try_from(duty.committee_length).expect("small");
        let mut aggregation_bits = BitList::with_capacity(length).expect("a committee fits");
        let place = usize::try_from(duty.validator_committee_index).expect("small");
        aggregation_bits.set(place, true).expect("a place in the committee");
        Vote::Phase0(AttestationPhase0 { aggregation_bits, data, signature })
    }

    /// Lets all attest at a slot.
    #[track_caller]
    pub(crate) fn attest(&mut self, slot: u64) {
        let attesters = self.attesters(slot);
        let votes =
            attesters.iter().map(|(validator, committee)| self.vote(*validator, *committee, slot)).collect();
        self.accept(Submission::Attestations(votes));
    }

    pub(crate) fn aggregate(&self, validator: u64, committee: u64, slot: u64) -> SignedAggregate {
        let epoch = self.epoch(slot);
        let data = self.chain.attestation_data(self.asked(), slot, committee).expect("data");
        let found = self.chain.aggregate(self.asked(), slot, &data.root(), committee).expect("votes");
        let proof = self.sign(validator, slot.tree_hash_root().0, SELECTION, epoch);
        let fork = self.chain.fork_at(slot);
        let (aggregator_index, selection_proof) = (validator, proof);
        match found {
            Attestation::Electra(aggregate) => {
                let message = AggregateAndProof { aggregator_index, aggregate, selection_proof };
                let signature = self.sign(validator, message.tree_hash_root().0, AGGREGATE_AND_PROOF, epoch);
                SignedAggregate::Electra { fork, signed: SignedAggregateAndProof { message, signature } }
            }
            Attestation::Phase0(aggregate) => {
                let message = AggregateAndProof { aggregator_index, aggregate, selection_proof };
                let signature = self.sign(validator, message.tree_hash_root().0, AGGREGATE_AND_PROOF, epoch);
                SignedAggregate::Phase0 { fork, signed: SignedAggregateAndProof { message, signature } }
            }
        }
    }

    pub(crate) fn head(&self) -> Root {
        self.chain.block(BlockId::Head).expect("a head").root
    }

    pub(crate) fn sync_message(&self, validator: u64, slot: u64) -> SyncCommitteeMessage {
        let root = self.head();
        let signature = self.sign(validator, root, SYNC_COMMITTEE, self.epoch(slot));
        SyncCommitteeMessage { slot, beacon_block_root: root.into(), validator_index: validator, signature }
    }

    /// Lets all members of the sync committee vote at a slot.
    #[track_caller]
    pub(crate) fn vote_for_head(&mut self, slot: u64) {
        let all: Vec<u64> = (0..self.n()).collect();
        let duties = self.chain.sync_duties(self.asked(), self.epoch(slot), &all).expect("a known epoch");
        let messages = duties.iter().map(|duty| self.sync_message(duty.validator_index, slot)).collect();
        self.accept(Submission::SyncMessages(messages));
    }

    /// A contribution, and whether its aggregator is selected.
    pub(crate) fn contribution(
        &self,
        validator: u64,
        subcommittee_index: u64,
        slot: u64,
    ) -> (SignedContributionAndProof, bool) {
        let epoch = self.epoch(slot);
        let contribution = self
            .chain
            .contribution(self.asked(), slot, &self.head(), subcommittee_index)
            .expect("votes of the subcommittee");
        let selection = SyncAggregatorSelectionData { slot, subcommittee_index }.root();
        let selection_proof = self.sign(validator, selection, SYNC_SELECTION, epoch);
        let message = ContributionAndProof { aggregator_index: validator, contribution, selection_proof };
        let signature = self.sign(validator, message.tree_hash_root().0, CONTRIBUTION, epoch);
        let is_selected = coxswain_dv_eth::selection::is_sync_aggregator(&selection_proof);
        (SignedContributionAndProof { message, signature }, is_selected)
    }

    /// One slot as it should be.
    #[track_caller]
    pub(crate) fn live(&mut self, slot: u64) {
        self.go(slot);
        if slot > 0 {
            self.propose(slot);
        }
        self.go_into(slot, SLOT / 3);
        self.attest(slot);
        self.vote_for_head(slot);
        self.go_into(slot, SLOT * 2 / 3);
        for (validator, committee) in self.attesters(slot) {
            let aggregate = self.aggregate(validator, committee, slot);
            self.accept(Submission::Aggregates(vec![aggregate]));
        }
    }
}
