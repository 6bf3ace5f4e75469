//! Voluntary exits.

use coxswain_dv_eth::beacon::Call;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::signed::SignedData;

use super::Kind;
use crate::scheduler::Scheduler;

pub(crate) struct Exit;

impl Kind for Exit {
    fn duty_type(&self) -> DutyType {
        DutyType::Exit
    }

    fn submit(&self, _scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let exits = set.into_iter().filter_map(|(_, data)| match data {
            SignedData::Exit(exit) => Some(Call::SubmitExit(exit)),
            _ => None,
        });
        exits.collect()
    }
}
