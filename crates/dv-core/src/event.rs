//! What happens to a node, and what it has to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_eth::beacon::{self, CallError};
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_eth::client::{self, Problem};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::proposal::Form;
use coxswain_dv_eth::protect::{Request, Signer, Verdict};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::time::Time;
use coxswain_dv_qbft::debugger::Record;
use coxswain_dv_qbft::machine::{RoundReason, Stall};
use coxswain_dv_wire::priority_result::Agreed;

use crate::combine::{Job, Output};
use crate::inclusion::Fate;

/// Which effect an event answers, or which request an effect. Numbers of effects are the node's own; those of requests
/// are whoever asks'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// Time went by.
    Wake,
    /// Beacon nodes answered [`Effect::Call`].
    Answered {
        /// Which call.
        ticket: Ticket,
        /// What they say.
        result: Result<beacon::Answer, CallError>,
    },
    /// A validator client asks.
    Asked {
        /// Of the request.
        ticket: Ticket,
        /// What it asks.
        request: client::Request,
    },
    /// It does not wait any more.
    GaveUp {
        /// Of the request.
        ticket: Ticket,
    },
    /// A peer sent a message.
    Received {
        /// The node, from 0.
        from: usize,
        /// Over which protocol.
        channel: Channel,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// A peer asks for this node's preferences, and tells its own.
    Requested {
        /// Of the request.
        ticket: Ticket,
        /// The node, from 0.
        from: usize,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// A peer answered [`Effect::Request`]; one that does not answer is no event.
    Responded {
        /// The node, from 0.
        from: usize,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// The store answered [`Effect::Judge`]; an error says that nothing was kept.
    Judged {
        /// Which question.
        ticket: Ticket,
        /// One for each request.
        verdicts: Result<Vec<Verdict>, String>,
    },
    /// [`Effect::Compute`] is done.
    Computed {
        /// Which job.
        ticket: Ticket,
        /// What came out.
        output: Output,
    },
    /// A beacon node tells of its chain.
    Chain(beacon::ChainEvent),
    /// Whom blocks pay and which registrations builders get, from now on.
    Registered {
        /// By validator.
        fee_recipients: BTreeMap<Bytes48, Bytes20>,
        /// Signed by groups.
        registrations: Vec<SignedRegistration>,
    },
    /// The clock of the machine was set: what began before cannot be told from what comes.
    ClockSet {
        /// By how much, either way.
        by: Duration,
    },
}

/// The protocols between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Consensus.
    Qbft,
    /// Partial signatures.
    Parsigex,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Ask the beacon nodes.
    Call {
        /// To be given back with the answer.
        ticket: Ticket,
        /// What.
        call: beacon::Call,
    },
    /// Answer a validator client.
    Reply {
        /// Of its request.
        ticket: Ticket,
        /// What.
        answer: Box<Result<client::Answer, Problem>>,
    },
    /// Send a message to a peer.
    Send {
        /// The node, from 0.
        to: usize,
        /// Over which protocol.
        channel: Channel,
        /// For which duty.
        duty: Duty,
        /// As it goes out.
        bytes: Arc<Vec<u8>>,
    },
    /// Ask a peer for its preferences, and tell ours.
    Request {
        /// The node, from 0.
        to: usize,
        /// For which duty.
        duty: Duty,
        /// As it goes out.
        bytes: Arc<Vec<u8>>,
    },
    /// Answer a peer's question, or close without an answer.
    Respond {
        /// Of the request.
        ticket: Ticket,
        /// As it goes out.
        bytes: Option<Arc<Vec<u8>>>,
    },
    /// Ask the store of what was signed, which keeps what it allows.
    Judge {
        /// To be given back with the verdicts.
        ticket: Ticket,
        /// Whose signature it will be.
        signer: Signer,
        /// What.
        requests: Vec<Request>,
        /// The slot of the clock.
        slot: u64,
        /// The epoch of the clock.
        epoch: u64,
    },
    /// Compute something that takes long.
    Compute {
        /// To be given back with what came out.
        ticket: Ticket,
        /// Whose work goes first.
        urgency: Urgency,
        /// What.
        job: Job,
    },
    /// Keep what an instance of consensus has seen, for those who look for faults.
    Record(Box<Record>),
    /// Something that operators want to know.
    Note(Note),
}

/// Whose work goes first, where there is more than can be done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// What this node's client has signed, and what is whole: nobody else can bring it about.
    Own,
    /// What peers send: they may send more than can be checked.
    Peers,
}

/// A step of a duty, for those who watch. Order and names are those of the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Values were gathered from the beacon nodes.
    Fetcher,
    /// The cluster agreed.
    Consensus,
    /// What it agreed on is kept.
    DutyDb,
    /// The validator client signed.
    ValidatorApi,
    /// Its partial signature is kept.
    ParSigDbLocal,
    /// And sent to the peers.
    ParSigEx,
    /// A peer's partial signature is kept.
    ParSigDbExternal,
    /// Enough of them were put together.
    SigAgg,
    /// The group's signature is kept.
    AggSigDb,
    /// It was submitted.
    Bcast,
    /// It is on the chain.
    ChainInclusion,
}

/// What operators want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A duty took a step, or failed to.
    Duty {
        /// Which duty.
        duty: Duty,
        /// Which step.
        step: Step,
        /// For which validator; none where it is for all of them.
        key: Option<Bytes48>,
        /// Whose share it was, from 1, where it is one node's.
        share: Option<u32>,
        /// Why it failed.
        error: Option<String>,
    },
    /// A slot began.
    Slot {
        /// Which.
        slot: u64,
        /// Slots that were missed since the last one.
        skipped: u64,
    },
    /// Duties of an epoch are known.
    Resolved {
        /// The epoch.
        epoch: u64,
        /// Validators that are active.
        active: usize,
    },
    /// A duty that the cluster agrees on begins.
    Scheduled {
        /// Which.
        duty: Duty,
        /// Validators that have it, or may have it.
        validators: usize,
    },
    /// A beacon node made a block.
    Proposal {
        /// For which duty.
        duty: Duty,
        /// Of which validator.
        key: Bytes48,
        /// Whether a builder has its payload.
        form: Form,
        /// Whom it pays.
        payee: Payee,
    },
    /// Consensus decided.
    Decided {
        /// Which duty.
        duty: Duty,
        /// In which round.
        round: u64,
        /// Who led it, from 0.
        leader: usize,
        /// Since it began.
        took: Duration,
    },
    /// A round of consensus ran out.
    Stalled {
        /// Which duty.
        duty: Duty,
        /// Which round.
        round: u64,
        /// What it lacked.
        why: Stall,
    },
    /// Another round of consensus began.
    Round {
        /// Which duty.
        duty: Duty,
        /// Which round.
        round: u64,
        /// Why.
        why: RoundReason,
    },
    /// Consensus did not decide in time.
    Undecided {
        /// Which duty.
        duty: Duty,
    },
    /// A peer's message was refused.
    Refused {
        /// The node, from 0.
        from: usize,
        /// Over which protocol.
        channel: Channel,
        /// Why.
        why: String,
    },
    /// A peer's preferences were refused, in a question of its or in an answer.
    RefusedPreferences {
        /// The node, from 0.
        from: usize,
        /// Why.
        why: String,
    },
    /// A message with partial signatures of a peer was checked.
    Verified {
        /// Which duty.
        duty: Duty,
        /// Since it came.
        took: Duration,
    },
    /// What a peer signs is checked first from now on: one of its signatures was bad.
    Distrusted {
        /// The node, from 0.
        from: usize,
        /// The slot from which on it is trusted again, if no more of them are bad.
        until: u64,
    },
    /// A peer was distrusted for long enough.
    TrustedAgain {
        /// The node, from 0.
        from: usize,
    },
    /// A partial signature of a peer is bad, or could not be checked, and none of its share is kept: what was said of its
    /// coming, if anything, does not count.
    Withdrawn {
        /// Which duty.
        duty: Duty,
        /// The validator.
        key: Bytes48,
        /// Whose share it was, from 1.
        share: u32,
    },
    /// Partial signatures were put together, those of all validators whose time had come.
    Combined {
        /// Which duty.
        duty: Duty,
        /// Since there were enough.
        took: Duration,
    },
    /// A partial signature of a validator that does not have the duty, as far as this node knows.
    Unexpected {
        /// Which duty.
        duty: Duty,
        /// The validator.
        key: Bytes48,
        /// Whose share it was, from 1.
        share: u32,
    },
    /// Shares that voted for the same head, when a duty of a sync committee is over.
    Cohorts {
        /// Which duty.
        duty: Duty,
        /// Shares from 1, the largest group first; never empty.
        cohorts: Vec<BTreeSet<u32>>,
    },
    /// What became of something that was submitted, on the chain. It is said again where a reorganisation changes it.
    Inclusion {
        /// Which duty: one of blocks, attestations or aggregates.
        duty: Duty,
        /// The validator.
        key: Bytes48,
        /// What became of it.
        fate: Fate,
    },
    /// Something that must not be signed was asked for.
    Slashable {
        /// The validator.
        key: Bytes48,
        /// Which duty.
        duty: Duty,
        /// Whose signature it would have been.
        signer: Signer,
        /// Why not.
        why: String,
    },
    /// Something was not signed because the store knows nothing of its time: this node started later, or has forgotten.
    TooEarly {
        /// The validator.
        key: Bytes48,
        /// Which duty.
        duty: Duty,
        /// Why not.
        why: String,
    },
    /// The cluster agreed on how it works.
    Agreed {
        /// From which slot on.
        slot: u64,
        /// What.
        agreed: Agreed,
    },
    /// The clock of the machine was set: consensus is only watched for an epoch.
    ClockSet {
        /// By how much, either way.
        by: Duration,
        /// Duties that begin before this are only watched.
        until: Time,
    },
    /// At the start, what was signed before is ahead of the clock: either the clock that it was signed under was ahead, or
    /// this one is behind. Up to there consensus is only watched.
    SignedAhead {
        /// By how much.
        by: Duration,
        /// Duties that begin before this are only watched.
        until: Time,
    },
    /// What else went wrong.
    Trouble {
        /// What was tried, and why it failed.
        what: String,
    },
}

/// Whom a block pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payee {
    /// Nobody, as far as it says: a builder has its payload, it is older than payloads, or nobody is wanted.
    Nobody,
    /// Who is wanted.
    Wanted,
    /// Somebody else: the beacon node was not told whom, or does not listen.
    Other {
        /// Who is wanted.
        wanted: Bytes20,
        /// Who it is.
        found: Bytes20,
    },
}
