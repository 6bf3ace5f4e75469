//! The whole ceremony: from nodes that look for each other to files that every node keeps.
//!
//! ```text
//! connecting ─all there→ 1 ─FROST→ 2 ─deposits→ 3 ─registrations→ 4 ─lock→ 5 ─node signatures→ 6 ─stored→ 7 → 8 ─parted→ done
//!                        └ barriers: nobody goes on before everybody has come ┘
//! ```
//!
//! `step(now, event)` gives effects. Everything that a node waits for has a limit, and where it ends the nodes that are
//! missing are named. A node that fails tells the others why in its answers to their reports.
//!
//! # What must never happen
//!
//! - Keys are put in their place before everybody has signed the same lock, checked it, and written everything beside its
//!   place. What is left after that is a rename on each node: a node that is cut off or dies in between may have only
//!   prepared what another one has; what is prepared is kept then, and its operator is told.
//! - A failure leaves anything to store.

mod flow;
mod job;
mod keygen;
mod lock;
mod messages;
mod trouble;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_cluster::DepositFile;
use coxswain_dv_crypto::bls::{SecretKey, Signature};
use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, SIGNATURE_LEN};
use coxswain_dv_types::Root;
use coxswain_dv_types::cluster::{Definition, Lock};
use coxswain_dv_types::network::{Network, Networks};
use coxswain_dv_wire::bounds::CeremonySize;
use coxswain_dv_wire::broadcast::{
    BroadcastVersion, FROST_ROUND1, FROST_ROUND2, NODE_SIGNATURE, PEDERSEN_KEYS,
};
use coxswain_dv_wire::frost::{FrostRound1Casts, FrostRound2Casts};
use coxswain_dv_wire::message::WireMessage as _;
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::pedersen::NodePubKeyMessage;
use coxswain_dv_wire::protocol::Protocol;
use coxswain_dv_wire::sync::{MsgSync, MsgSyncResponse};
use coxswain_dv_wire::version::Minor;
use zeroize::Zeroizing;

pub use job::{Job, Output, WorkError};
pub use trouble::Failure;

use crate::KeyShare;
use crate::broadcast::{Broadcasts, Names};
use crate::exchange::{Exchange, Kind};
use crate::{ParameterError, Parameters};

use crate::sync::Sync;
use flow::PREPARED;
use keygen::Keygen;
use waiting::Waiting;

/// What is broadcast in a ceremony.
const NAMES: Names = &[
    (FROST_ROUND1, FrostRound1Casts::NAME),
    (FROST_ROUND2, FrostRound2Casts::NAME),
    (NODE_SIGNATURE, MsgNodeSig::NAME),
    (PEDERSEN_KEYS, NodePubKeyMessage::NAME),
];
/// How a definition names Pedersen.
const PEDERSEN: &str = "pedersen";
/// What each validator adds to a limit, on each node: what a slow machine needs for its signatures.
const PER_VALIDATOR: Duration = Duration::from_millis(20);
/// How long better evidence is waited for, when all that is known is that a peer is silent or has given up: it may have
/// done so because of somebody else. Shorter than the time in which a node that failed still says why.
const DOUBT: Duration = Duration::from_secs(1);

/// How long a node waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For all nodes to be connected: as long as people need to start them.
    pub connect: Duration,
    /// For one step.
    pub step: Duration,
}

/// What a ceremony is about, and who takes part. The definition was verified.
pub struct Settings {
    /// What is to be made.
    pub definition: Definition,
    /// Its network.
    pub network: Network,
    /// All networks there are.
    pub networks: Networks,
    /// Who we are.
    pub key: IdentityKey,
    /// Our place among the operators, from 0.
    pub me: usize,
    /// All operators, in order.
    pub nodes: Vec<IdentityPublic>,
    /// The version that all nodes report.
    pub version: Minor,
    /// Which broadcast that version speaks.
    pub broadcast: BroadcastVersion,
    /// How long to wait.
    pub limits: Limits,
    /// Whether the new lock is verified.
    pub verify: bool,
}

/// A ceremony's end: what is to be stored.
#[derive(Debug)]
pub struct Outcome {
    /// The lock.
    pub lock: Lock,
    /// Its text.
    pub lock_text: String,
    /// Deposits, the least amount first.
    pub deposits: Vec<DepositFile>,
    /// This node's key shares, in the order of validators.
    pub keys: Vec<SecretKey>,
}

/// Stands for something that waits for an answer.
pub type Token = u64;

/// What a message of ours is, so that what became of it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Asks for a signature of a broadcast.
    Ask(&'static str),
    /// A broadcast.
    Tell(&'static str),
    /// Shares.
    Shares,
    /// Partial signatures.
    Partials(Kind),
    /// Anything of Pedersen, by its number.
    Pedersen(u64),
}

/// What happened. Nodes are named by their place among the operators.
#[derive(Debug)]
pub enum Event {
    /// A peer reports.
    Report {
        /// Who.
        from: usize,
        /// What.
        report: MsgSync,
        /// Of the answer.
        token: Token,
    },
    /// A peer has answered a report of ours.
    ReportAnswered {
        /// Who.
        from: usize,
        /// Whether the report said that we leave.
        leaving: bool,
        /// What the peer does not like about us.
        error: String,
    },
    /// The stream of our reports has ended.
    LostReports(usize),
    /// The stream of a peer's reports has ended.
    LostPeer(usize),
    /// A peer has sent a message.
    Message {
        /// Who.
        from: usize,
        /// The id of its protocol.
        protocol: &'static str,
        /// As it came.
        bytes: Zeroizing<Vec<u8>>,
        /// Of the answer.
        token: Token,
    },
    /// A message of ours has arrived.
    Delivered {
        /// To whom.
        to: usize,
        /// Which.
        tag: Tag,
        /// What came back.
        answer: Vec<u8>,
    },
    /// A message of ours has not arrived.
    NotDelivered {
        /// To whom.
        to: usize,
        /// Which.
        tag: Tag,
        /// Why not.
        why: String,
    },
    /// A job was done.
    Computed(Output),
    /// The outcome is on the disk, beside its place, or cannot be.
    Prepared(Result<(), String>),
    /// The outcome is in its place, or is not.
    Stored(Result<(), String>),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// From now on, report this to everybody.
    Report {
        /// How far we are.
        step: i64,
        /// Whether we leave: the last report.
        leaving: bool,
    },
    /// Answer a report.
    AnswerReport {
        /// Which.
        token: Token,
        /// With what.
        answer: MsgSyncResponse,
    },
    /// Send a message.
    Send {
        /// To whom.
        to: usize,
        /// Over what.
        protocol: &'static Protocol,
        /// The message; it may hold secrets.
        bytes: Zeroizing<Vec<u8>>,
        /// Which it is.
        tag: Tag,
    },
    /// Answer a message.
    Answer {
        /// Which.
        token: Token,
        /// With what.
        bytes: Vec<u8>,
    },
    /// Do the work, and tell what came of it.
    Compute(Job),
    /// Write the outcome beside its place, so that nothing is left that can fail but to put it there.
    Prepare(Box<Outcome>),
    /// Put the outcome in its place: everybody has it prepared.
    Commit,
    /// Tell people how far it is.
    Progress(Progress),
    /// Everything is done, and everybody knows.
    Done,
    /// It is over. Answers to reports are still to be given, so that others learn of it.
    Failed(Failure),
}

/// How far a ceremony is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// These nodes are not connected yet.
    Connecting(Vec<usize>),
    /// Something begins.
    Step(&'static str),
    /// These nodes have not come to a barrier yet.
    Waiting(Vec<usize>),
    /// A node sends more than may wait here; said again where the number has doubled.
    Refused {
        /// Who.
        place: usize,
        /// Messages of its that were passed over so far.
        messages: u64,
    },
}

/// Where a ceremony is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// Waiting for all at a barrier.
    Barrier(i64),
    /// Between barriers.
    Keys,
    Deposits(usize),
    Registrations,
    Lock,
    NodeSignatures,
    /// Checking the lock, and writing everything beside its place.
    Preparing,
    Storing,
    Parting,
    Over,
}

/// See the module.
pub struct Ceremony {
    definition: Definition,
    network: Network,
    networks: Networks,
    nodes: Vec<IdentityPublic>,
    key: IdentityKey,
    me: usize,
    limits: Limits,
    verify: bool,
    amounts: Vec<u64>,

    sync: Sync,
    broadcasts: Broadcasts,
    exchange: Exchange,
    parameters: Parameters,
    keygen: Keygen,
    /// Room for what comes before the making of keys can take it.
    waiting: Waiting,
    keys: Option<Arc<[KeyShare]>>,
    /// What validators of the new cluster have signed.
    signatures: BTreeMap<Kind, Vec<Signature>>,
    /// What is being signed.
    roots: Vec<Root>,
    lock: Option<Lock>,
    node_signatures: BTreeMap<usize, [u8; SIGNATURE_LEN]>,

    stage: Stage,
    /// When the stage ends at the latest.
    deadline: Duration,
    now: Duration,
    /// Messages of ours that nobody has taken yet.
    on_the_way: BTreeSet<(usize, Tag)>,
    told: Option<Progress>,
    failure: Option<String>,
    /// What went wrong while everything was put in its place: it is too late to give up, and not too late to tell.
    parting: Option<Failure>,
    /// It will fail, and until then looks for the culprit.
    doubt: Option<(Failure, Duration)>,
    effects: Vec<Effect>,
}

impl Ceremony {
    /// Begins: the machine, and what to do first.
    ///
    /// # Errors
    /// There can be no ceremony with such numbers.
    pub fn new(settings: Settings) -> Result<(Self, Vec<Effect>), ParameterError> {
        let Settings { definition, network, networks, key, me, nodes, version, broadcast, limits, verify } =
            settings;
        let (count, validators) = (nodes.len(), definition.validators.len());
        let share_index = me as u64 + 1;
        let is_pedersen = definition.dkg_algorithm == PEDERSEN;
        let parameters = Parameters::new(count as u64, definition.threshold, share_index, validators)?;
        let amounts = flow::amounts(&definition);
        let threshold = parameters.threshold.into();
        let size = CeremonySize { nodes: count, validators, threshold };
        let hash = definition.definition_hash.to_vec();
        let more = PER_VALIDATOR * u32::try_from(count * validators).unwrap_or(u32::MAX);
        let ceremony = Self {
            sync: Sync::new(me, &hash, version, &nodes),
            broadcasts: Broadcasts::new((me, key.clone()), nodes.clone(), (broadcast, &hash), NAMES),
            exchange: Exchange::new(me, count, validators, amounts.len()),
            parameters,
            keygen: if is_pedersen { Keygen::pedersen() } else { Keygen::frost() },
            waiting: Waiting::new(size.max_waiting_bytes()),
            keys: None,
            signatures: BTreeMap::new(),
            roots: Vec::new(),
            lock: None,
            node_signatures: BTreeMap::new(),
            stage: Stage::Connecting,
            deadline: limits.connect,
            now: Duration::ZERO,
            on_the_way: BTreeSet::new(),
            told: None,
            failure: None,
            parting: None,
            doubt: None,
            effects: Vec::new(),
            limits: Limits { step: limits.step.saturating_add(more), ..limits },
            definition,
            network,
            networks,
            nodes,
            key,
            me,
            verify,
            amounts,
        };
        let mut first = vec![Effect::Report { step: 0, leaving: false }];
        if !is_pedersen {
            // Dealing needs nobody else, and a while.
            first.push(Effect::Compute(Job(job::Work::Deal(parameters))));
        }
        Ok((ceremony, first))
    }

    /// Takes what happened at `now`, since the beginning, on a clock that never goes back.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        self.now = now;
        // Who is in doubt only listens: a ceremony that will fail must not come to keys.
        let proceeded =
            self.take(event).and_then(|()| if self.doubt.is_none() { self.proceed() } else { Ok(()) });
        if let Err(failure) = proceeded {
            self.blame(failure);
        }
        if let Some((failure, _)) = self.doubt.take_if(|(_, until)| *until <= now) {
            self.fail(failure);
        }
        std::mem::take(&mut self.effects)
    }

    /// Fails at once where the culprit is known.
    fn blame(&mut self, failure: Failure) {
        if self.stage == Stage::Storing && !matches!(failure, Failure::Store(_)) {
            self.parting.get_or_insert(failure);
            self.deadline = self.now.saturating_add(self.limits.step);
            return;
        }
        let doubtful = failure.doubtful();
        match &mut self.doubt {
            _ if doubtful == 0 || self.stage == Stage::Over => self.fail(failure),
            Some((known, _)) if known.doubtful() > doubtful => *known = failure,
            Some(_) => {}
            None => self.doubt = Some((failure, self.now + DOUBT)),
        }
    }

    /// When to come back with [`Event::Tick`] at the latest.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        if let Some((_, until)) = &self.doubt {
            return Some(*until);
        }
        let deadline = (self.stage != Stage::Over).then_some(self.deadline);
        deadline.into_iter().chain(self.keygen.due()).min()
    }

    /// Whether others may have put in place what all have prepared: this node has told them that it is ready. What they say
    /// does not count, because one that lies to this node alone could make it throw away what the others keep.
    #[must_use]
    pub fn may_be_in_place_elsewhere(&self) -> bool {
        self.sync.step() >= PREPARED
    }

    fn fail(&mut self, failure: Failure) {
        if self.failure.is_none() && self.stage != Stage::Over {
            self.failure = Some(failure.to_string());
            self.effects.push(Effect::Failed(failure));
        }
        self.stage = Stage::Over;
        self.doubt = None;
        // No key stays behind in a machine that will not use it.
        self.keygen = Keygen::Over;
        self.keys = None;
    }
}

#[cfg(test)]
mod tests;
