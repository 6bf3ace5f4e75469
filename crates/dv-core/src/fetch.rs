//! Values that a cluster can agree on, gathered from what is known. Each type of duty looks at the facts and says what
//! it still needs, until it needs nothing more; it keeps nothing.

use std::collections::BTreeMap;

use coxswain_dv_eth::attestation::AttestationData;
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use crate::aggregated::{Aggregated, Place};
use crate::decided::Decided;
use crate::features::Committees;
use crate::scheduler::Definitions;

/// What a duty is still waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Awaited {
    /// A signature of a group.
    Aggregated(Place),
    /// Attestation data that consensus decides, by slot and committee.
    Attestation(u64, u64),
    /// A block that consensus decides, by slot.
    Proposal(u64),
    /// An aggregate that consensus decides, by slot, root of the data and committee.
    Aggregate(u64, Bytes32, u64),
    /// A contribution that consensus decides, by slot, subcommittee and head.
    Contribution(u64, u64, Bytes32),
}

impl Awaited {
    /// The duty that it comes of; when that is over, it does not come any more.
    pub(crate) fn duty(&self) -> Duty {
        match *self {
            Awaited::Aggregated((duty, ..)) => duty,
            Awaited::Attestation(slot, _) => Duty::new(slot, DutyType::Attester),
            Awaited::Proposal(slot) => Duty::new(slot, DutyType::Proposer),
            Awaited::Aggregate(slot, ..) => Duty::new(slot, DutyType::Aggregator),
            Awaited::Contribution(slot, ..) => Duty::new(slot, DutyType::SyncContribution),
        }
    }
}

/// What a look at the facts says.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// More has to be asked; all of it at once.
    Ask(Vec<Call>),
    /// Something has to come first.
    Wait(Awaited),
    /// There is a value for each of these validators.
    Ready(BTreeMap<Bytes48, Unsigned>),
    /// No validator has anything to do.
    Nothing,
}

/// Whether it is worth waiting for all validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Yes.
    All,
    /// No: what is there must do, as long as it is anything.
    WhatIsThere,
}

/// What is known.
pub(crate) struct Facts<'a> {
    pub(crate) duty: Duty,
    pub(crate) chain: &'a Chain,
    pub(crate) choice: &'a Choice,
    pub(crate) definitions: &'a Definitions,
    pub(crate) answers: &'a [(Call, Answer)],
    pub(crate) aggregated: &'a Aggregated,
    pub(crate) decided: &'a Decided,
    pub(crate) patience: Patience,
}

/// What operators and the cluster have chosen about values.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// `builder_boost_factor`.
    pub(crate) builder_boost: u64,
    /// Of each validator.
    pub(crate) graffiti: BTreeMap<Bytes48, Bytes32>,
    /// Whom blocks pay, by validator.
    pub(crate) fee_recipients: BTreeMap<Bytes48, Bytes20>,
    /// For which ones attestation data are asked.
    pub(crate) committees: Committees,
}

impl Facts<'_> {
    /// The answer to a call that was asked.
    pub(crate) fn answer(&self, call: &Call) -> Option<&Answer> {
        self.answers.iter().find(|(asked, _)| asked == call).map(|(_, answer)| answer)
    }

    /// A signature of a group.
    pub(crate) fn aggregated(&self, place: &Place) -> Option<&SignedData> {
        self.aggregated.get(place)
    }

    /// Attestation data that were decided.
    pub(crate) fn attestation(&self, slot: u64, committee: u64) -> Option<&AttestationData> {
        self.decided.attestation(slot, committee)
    }
}
