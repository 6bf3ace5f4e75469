//! Proofs that select aggregators: they go back to validator clients, not to the chain.

use coxswain_dv_eth::duty::DutyType;

use super::Kind;

pub(crate) struct PrepareAggregator;

impl Kind for PrepareAggregator {
    fn duty_type(&self) -> DutyType {
        DutyType::PrepareAggregator
    }
}

pub(crate) struct PrepareSyncContribution;

impl Kind for PrepareSyncContribution {
    fn duty_type(&self) -> DutyType {
        DutyType::PrepareSyncContribution
    }
}
