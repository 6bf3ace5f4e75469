//! Types of duties: what is agreed on, what may be slashed, what goes to the chain. One file each; [`KINDS`] is the
//! list.

mod aggregator;
mod attester;
mod exit;
mod proposer;
mod randao;
mod selections;
mod sync_contribution;
mod sync_message;

use coxswain_dv_eth::Root;
use coxswain_dv_eth::beacon::Call;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::protect::What;
use coxswain_dv_eth::signed::SignedData;

use crate::fetch::{Facts, Fetched};
use crate::scheduler::Scheduler;

/// A type of duty. What it does not say, it does not have.
pub(crate) trait Kind: Sync {
    /// Which.
    fn duty_type(&self) -> DutyType;

    /// Whether nodes enter consensus when the duty begins, before they have a value.
    fn joins_early(&self) -> bool {
        false
    }

    /// What is known of the value that the cluster is to agree on. Only of types that are scheduled.
    fn fetch(&self, _facts: &Facts) -> Fetched {
        Fetched::Nothing
    }

    /// What a validator could be slashed for, with the signing root.
    fn slashable(&self, _data: &SignedData, _root: Root) -> Option<What> {
        None
    }

    /// How signatures of groups go to the chain.
    fn submit(&self, _scheduler: &Scheduler, _set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        Vec::new()
    }
}

/// All types that nodes do.
const KINDS: [&dyn Kind; 9] = [
    &proposer::Proposer,
    &attester::Attester,
    &exit::Exit,
    &randao::Randao,
    &selections::PrepareAggregator,
    &aggregator::Aggregator,
    &sync_message::SyncMessage,
    &selections::PrepareSyncContribution,
    &sync_contribution::SyncContribution,
];

/// The kind of a type; none for those that only messages have.
pub(crate) fn kind(duty: DutyType) -> Option<&'static dyn Kind> {
    KINDS.into_iter().find(|kind| kind.duty_type() == duty)
}

/// Types whose values the cluster agrees on, in the order in which they begin.
pub(crate) const SCHEDULED: [DutyType; 4] =
    [DutyType::Proposer, DutyType::Attester, DutyType::Aggregator, DutyType::SyncContribution];
