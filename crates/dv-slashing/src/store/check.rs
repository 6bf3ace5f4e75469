//! Asking and recording, in one transaction.

use coxswain_dv_eth::protect::{Refusal, Request, Signer, Verdict, Wall, What};

use super::tables::Ledger;
use super::{Store, StoreError};
use crate::verdict::{SignedAttestation, SignedBlock, Vote, block};

/// Most requests in one call: more than the validators of any cluster, and a transaction of a few megabytes.
pub const MAX_REQUESTS: usize = 1 << 16;

impl Store {
    /// Which of these may be signed, each by the request at its position. What may be is on the disk when this returns.
    /// Requests of one call are compared with each other, too: the first of two that contradict is allowed.
    ///
    /// # Errors
    /// [`StoreError`]: nothing may leave, not even for those that were signed before. A store that failed once to write
    /// fails until it is opened anew.
    pub fn check_and_record(
        &self,
        signer: Signer,
        requests: &[Request],
        wall: Wall,
    ) -> Result<Vec<Verdict>, StoreError> {
        if requests.len() > MAX_REQUESTS {
            return Err(StoreError::TooMany { requests: requests.len(), most: MAX_REQUESTS });
        }
        let doing = "recording in";
        let transaction = self.writing(doing)?;
        let mut verdicts = Vec::with_capacity(requests.len());
        {
            let mut ledger = Ledger::open(&transaction, signer).map_err(self.failed(doing))?;
            for request in requests {
                verdicts.push(self.decide(&mut ledger, request, wall).map_err(self.failed(doing))?);
            }
        }
        match verdicts.contains(&Verdict::Recorded) {
            true => self.commit(doing, transaction)?,
            false => transaction.abort().map_err(|error| self.failed(doing)(error.into()))?,
        }
        Ok(verdicts)
    }

    fn decide(&self, ledger: &mut Ledger<'_>, request: &Request, wall: Wall) -> Result<Verdict, redb::Error> {
        let Some(group) = self.groups.get(&request.key).copied() else {
            return Ok(Verdict::Refused(Refusal::UnknownKey));
        };
        let Some(floor) = ledger.floor(group)? else {
            return Ok(Verdict::Refused(Refusal::NotStarted));
        };
        match request.what {
            What::Block { slot, root } => {
                let verdict = block(&floor, ledger.block(group, slot)?.as_ref(), slot, &root, wall);
                if verdict == Verdict::Recorded {
                    ledger.put_block(group, &SignedBlock { slot, root: Some(root) })?;
                }
                Ok(verdict)
            }
            What::Attestation { source, target, root } => {
                let vote = Vote { source, target, root };
                let stored = ledger.attestation(group, target)?;
                let verdict = match vote.alone(&floor, stored.as_ref(), wall) {
                    Some(verdict) => verdict,
                    None => ledger.among(group, &vote, &floor)?,
                };
                if verdict == Verdict::Recorded {
                    ledger.put_attestation(group, &SignedAttestation { source, target, root: Some(root) })?;
                }
                Ok(verdict)
            }
        }
    }
}
