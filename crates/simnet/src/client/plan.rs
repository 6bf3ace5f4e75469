//! What a validator client does when: a function of moments and of what it was told.
//!
//! ```text
//! slot start   propose · selections of the slot · selections of its sync committee · preparations
//! a third      attest, vote for the sync committee (or as soon as the head of the slot is seen)
//! half         in the last slot of an epoch: duties of the next one
//! two thirds   aggregate, contribute
//! ```
//!
//! [`Plan::step`] takes an [`Event`] and gives [`Effect`]s. Who carries out a [`Job`] answers with the event that
//! belongs to it, or with [`Event::Failed`]; both may come late, twice or never. Nothing here signs, asks or waits.
//!
//! # What must never happen
//!
//! - A duty is begun twice.
//! - What a node answers fills memory: only duties of one's own validators, for epochs around now, are kept.

mod slot;
mod state;

use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::beacon::{Duties, Validator};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};

pub use self::state::Plan;

/// How often something is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// Each slot.
    Slot,
    /// Each epoch.
    Epoch,
}

/// When the validators of a slot attest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestAt {
    /// With the block of the slot, a third after its start at the latest.
    Head,
    /// A third after its start.
    Third,
}

/// Whether builders are told of the validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builders {
    /// No.
    Unused,
    /// Each epoch.
    Registered,
}

/// What does not change while a client runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The chain's clock.
    pub clock: Clock,
    /// The validators' keys: of shares behind a node of a cluster.
    pub keys: Vec<Bytes48>,
    /// For which slots selections are asked together.
    pub selections: Rhythm,
    /// How often fee recipients are told.
    pub preparations: Rhythm,
    /// When to attest.
    pub attest_at: AttestAt,
    /// Whether builders are used.
    pub builders: Builders,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time went on.
    Wake,
    /// Of [`Chore::Validators`].
    Validators(Vec<Validator>),
    /// Of [`Chore::Attesters`].
    Attesters {
        /// The epoch.
        epoch: u64,
        /// Its duties.
        duties: Duties<AttesterDuty>,
    },
    /// Of [`Chore::Proposers`].
    Proposers {
        /// The epoch.
        epoch: u64,
        /// Its duties, of all validators of the chain.
        duties: Duties<ProposerDuty>,
    },
    /// Of [`Chore::Members`].
    Members {
        /// The epoch.
        epoch: u64,
        /// Who is in the sync committee.
        duties: Vec<SyncDuty>,
    },
    /// Of [`Job::Select`]: whole proofs.
    Selected {
        /// What was asked.
        chore: Chore,
        /// The proofs.
        proofs: Vec<BeaconCommitteeSelection>,
    },
    /// Of [`Job::SelectMembers`]: whole proofs.
    MembersSelected {
        /// The slot.
        slot: u64,
        /// The proofs.
        proofs: Vec<SyncCommitteeSelection>,
    },
    /// Of [`Job::Attest`]: what was attested, as far as it was.
    Attested {
        /// The slot.
        slot: u64,
        /// Committees and the roots of their data.
        roots: Vec<(u64, Bytes32)>,
    },
    /// Of [`Job::Vote`].
    Voted {
        /// The slot.
        slot: u64,
        /// The head.
        head: Bytes32,
    },
    /// A job that only reads, or only selects, came to nothing.
    Failed(Chore),
    /// A block became the head.
    Head {
        /// Its slot.
        slot: u64,
    },
    /// The chain took another branch: duties may be others.
    Reorg,
    /// A validator shall leave.
    Exit {
        /// Its key.
        key: Bytes48,
        /// Not before this epoch.
        epoch: u64,
    },
}

/// What is asked until there is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// Indices and states of the validators.
    Validators,
    /// Who attests in an epoch.
    Attesters(u64),
    /// Who proposes in an epoch.
    Proposers(u64),
    /// Who is in the sync committee in an epoch.
    Members(u64),
    /// Selections of the slots of an epoch.
    SelectEpoch(u64),
    /// Selections of a slot.
    SelectSlot(u64),
    /// Selections of the sync committee of a slot.
    SelectMembers(u64),
}

/// A member of a subcommittee that is its aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contributor {
    /// Its key.
    pub key: Bytes48,
    /// Its index.
    pub validator: u64,
    /// Its subcommittee.
    pub subcommittee: u64,
    /// Why it may.
    pub proof: Bytes96,
}

/// An aggregator of a committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregator {
    /// Its duty.
    pub duty: AttesterDuty,
    /// Why it may.
    pub proof: Bytes96,
    /// The root of the data that its committee attested.
    pub data_root: Bytes32,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Asks for the validators.
    Validators,
    /// Asks who attests.
    Attesters {
        /// The epoch.
        epoch: u64,
        /// Of these.
        validators: Vec<u64>,
    },
    /// Asks who proposes.
    Proposers {
        /// The epoch.
        epoch: u64,
    },
    /// Asks who is in the sync committee.
    Members {
        /// The epoch.
        epoch: u64,
        /// Of these.
        validators: Vec<u64>,
    },
    /// Signs selections, and has them made whole where keys are those of shares.
    Select {
        /// What this answers.
        chore: Chore,
        /// For these.
        duties: Vec<AttesterDuty>,
    },
    /// The same for the sync committee of a slot.
    SelectMembers {
        /// The slot.
        slot: u64,
        /// For these.
        duties: Vec<SyncDuty>,
    },
    /// Tells the node which committees it should listen to.
    Subscribe {
        /// The duties, and whether each aggregates.
        duties: Vec<(AttesterDuty, bool)>,
    },
    /// The same for the sync committee.
    SubscribeMembers {
        /// The epoch.
        epoch: u64,
        /// The members.
        duties: Vec<SyncDuty>,
    },
    /// Tells whom blocks pay.
    Prepare {
        /// Of these.
        validators: Vec<u64>,
    },
    /// Registers with builders.
    Register {
        /// These.
        keys: Vec<Bytes48>,
    },
    /// Proposes a block.
    Propose(ProposerDuty),
    /// Attests.
    Attest {
        /// The slot.
        slot: u64,
        /// By whom.
        duties: Vec<AttesterDuty>,
    },
    /// Votes for the head in the sync committee.
    Vote {
        /// The slot.
        slot: u64,
        /// By whom.
        duties: Vec<SyncDuty>,
    },
    /// Sends aggregates.
    Aggregate {
        /// The slot.
        slot: u64,
        /// By whom.
        by: Vec<Aggregator>,
    },
    /// Sends contributions.
    Contribute {
        /// The slot.
        slot: u64,
        /// The head that was voted for.
        head: Bytes32,
        /// By whom.
        by: Vec<Contributor>,
    },
    /// Leaves.
    Exit {
        /// The validator's key.
        key: Bytes48,
        /// Its index.
        validator: u64,
        /// Not before this epoch.
        epoch: u64,
    },
}

/// Why a duty was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its slot was over before it could be.
    Late,
    /// There was no selection.
    NotSelected,
    /// Nothing was attested or voted that could be put together.
    NothingToAggregate,
}

impl Why {
    /// In reports.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Why::Late => "its slot was over before it was begun",
            Why::NotSelected => "no selection came in time",
            Why::NothingToAggregate => "nothing of the slot was signed that could be aggregated",
        }
    }
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A job begins.
    Do(Job),
    /// A duty is given up.
    Skip {
        /// Which.
        duty: Duty,
        /// Of how many validators (of subcommittees, for contributions).
        count: u64,
        /// Why.
        why: Why,
    },
    /// Nothing happens by itself before this moment. The last one counts.
    Wake(Time),
}

impl Job {
    /// The duty that it fulfils; none of what is only asked or told.
    #[must_use]
    pub fn duty(&self, clock: &Clock) -> Option<Duty> {
        let (slot, kind) = match self {
            Job::Validators
            | Job::Attesters { .. }
            | Job::Proposers { .. }
            | Job::Members { .. }
            | Job::Subscribe { .. }
            | Job::SubscribeMembers { .. }
            | Job::Prepare { .. } => return None,
            Job::Select { chore, duties } => {
                let first = duties.first().map_or(0, |duty| duty.slot);
                let slot = if let Chore::SelectSlot(slot) = chore { *slot } else { first };
                (slot, DutyType::PrepareAggregator)
            }
            Job::SelectMembers { slot, .. } => (*slot, DutyType::PrepareSyncContribution),
            Job::Register { .. } => (0, DutyType::BuilderRegistration),
            Job::Propose(duty) => (duty.slot, DutyType::Proposer),
            Job::Attest { slot, .. } => (*slot, DutyType::Attester),
            Job::Vote { slot, .. } => (*slot, DutyType::SyncMessage),
            Job::Aggregate { slot, .. } => (*slot, DutyType::Aggregator),
            Job::Contribute { slot, .. } => (*slot, DutyType::SyncContribution),
            Job::Exit { epoch, .. } => (clock.first_of(*epoch), DutyType::Exit),
        };
        Some(Duty::new(slot, kind))
    }

    /// The chore that it answers: one is under way at a time, and asked again where it failed.
    #[must_use]
    pub fn chore(&self) -> Option<Chore> {
        match self {
            Job::Validators => Some(Chore::Validators),
            Job::Attesters { epoch, .. } => Some(Chore::Attesters(*epoch)),
            Job::Proposers { epoch } => Some(Chore::Proposers(*epoch)),
            Job::Members { epoch, .. } => Some(Chore::Members(*epoch)),
            Job::Select { chore, .. } => Some(*chore),
            Job::SelectMembers { slot, .. } => Some(Chore::SelectMembers(*slot)),
            Job::Subscribe { .. }
            | Job::SubscribeMembers { .. }
            | Job::Prepare { .. }
            | Job::Register { .. }
            | Job::Propose(_)
            | Job::Attest { .. }
            | Job::Vote { .. }
            | Job::Aggregate { .. }
            | Job::Contribute { .. }
            | Job::Exit { .. } => None,
        }
    }
}
