//! What a cluster agrees on for one validator.

use crate::api::AttesterDuty;
use crate::attestation::{Attestation, AttestationData};
use crate::fork::Fork;
use crate::proposal::Proposal;
use crate::sync::SyncCommitteeContribution;

/// A value that consensus decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Unsigned {
    /// What is attested, and by whom.
    Attester {
        /// What.
        data: AttestationData,
        /// By whom; the key is the group's.
        duty: AttesterDuty,
    },
    /// A block.
    Proposer(Box<Proposal>),
    /// An aggregate.
    Aggregator {
        /// Its fork.
        fork: Fork,
        /// The aggregate.
        attestation: Box<Attestation>,
    },
    /// Contributions of the subcommittees that selected the validator, ascending; at least one.
    SyncContribution(Vec<SyncCommitteeContribution>),
}
