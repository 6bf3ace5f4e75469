//! Votes of sync committees. There is nothing to agree on: each validator client votes for the head that it sees, and
//! enough of them must see the same.

use coxswain_dv_eth::beacon::Call;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::signed::SignedData;

use super::Kind;
use crate::scheduler::Scheduler;

pub(crate) struct SyncMessage;

impl Kind for SyncMessage {
    fn duty_type(&self) -> DutyType {
        DutyType::SyncMessage
    }

    fn submit(&self, _scheduler: &Scheduler, set: Vec<(Bytes48, SignedData)>) -> Vec<Call> {
        let votes: Vec<_> = set
            .into_iter()
            .filter_map(|(_, data)| match data {
                SignedData::SyncMessage(vote) => Some(vote),
                _ => None,
            })
            .collect();
        if votes.is_empty() { Vec::new() } else { vec![Call::SubmitSyncMessages(votes)] }
    }
}
