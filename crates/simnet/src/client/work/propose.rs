//! Blocks.

use coxswain_dv_eth::api::ProposerDuty;
use coxswain_dv_eth::bytes::Bytes96;
use coxswain_dv_eth::proposal::{Proposal, SignedProposal};
use coxswain_dv_eth::protect::What;

use super::super::habits::Randao;
use super::super::http::HttpError;
use super::super::report::Tally;
use super::super::sign;
use super::{Outcome, WorkError, Worker};

impl Worker {
    /// Proposes at a slot: randomness, a block, its signature.
    pub(super) async fn propose(&self, duty: &ProposerDuty) -> Outcome {
        let mut tally = Tally::of("proposer");
        let epoch = self.chain.clock.epoch_of(duty.slot);
        let result = match self.sign(&duty.pubkey, &sign::randao(epoch)) {
            Ok(randao) => self.propose_with(duty, &randao).await,
            Err(error) => Err(error),
        };
        tally.count(1, result);
        Outcome { event: None, tally }
    }

    async fn propose_with(&self, duty: &ProposerDuty, randao: &Bytes96) -> Result<(), WorkError> {
        let until = self.end_of(duty.slot);
        let terms = &self.terms;
        let ask = || self.node.block(duty.slot, randao, &terms.graffiti, terms.builder_boost);
        let proposal = self.persist(until, HttpError::may_come, ask).await?;
        self.check_block(duty, randao, &proposal)?;
        let what = sign::block(&self.chain, duty.slot, proposal.root());
        let root = self.chain.signing_root(&what);
        let request = (duty.pubkey, What::Block { slot: duty.slot, root });
        let signature = self.sign_guarded(&[request]).pop().unwrap_or(Err(WorkError::NoKey(duty.pubkey)))?;
        let signed: SignedProposal = proposal.signed(signature);
        self.persist(until, HttpError::is_passing, || self.node.submit_block(&signed)).await?;
        Ok(())
    }

    fn check_block(&self, duty: &ProposerDuty, randao: &Bytes96, block: &Proposal) -> Result<(), WorkError> {
        let insists = self.node.habits().randao == Randao::OwnUnlessCluster && !self.is_cluster;
        let why = if block.slot() != duty.slot {
            format!("a block of slot {} was asked for slot {}", block.slot(), duty.slot)
        } else if block.proposer_index() != duty.validator_index {
            format!("its proposer is {}, and {} asked", block.proposer_index(), duty.validator_index)
        } else if insists && block.randao() != *randao {
            "it has other randomness than was sent, and the node is none of a cluster".to_owned()
        } else {
            return Ok(());
        };
        Err(WorkError::Unfit(why))
    }
}
