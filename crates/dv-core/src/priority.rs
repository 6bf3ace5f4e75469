//! What the cluster agrees on about itself: each node tells its preferences, and consensus decides what they come to.
//!
//! ```text
//! begin ─→ ask every peer, telling ours ─→ answers, or those who ask ─→ all, or time is over ─→ propose the result
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::unsigned::ContributionForm;
use coxswain_dv_qbft::timer::Profile;
use coxswain_dv_wire::message::{self, WireError};
use coxswain_dv_wire::peer::PeerId;
use coxswain_dv_wire::priority::{PriorityMsg, PriorityResult};
use coxswain_dv_wire::priority_result::{self, Agreed, Preferences};
use coxswain_dv_wire::protocol::PRIORITY;
use coxswain_dv_wire::well_known::Any;

use crate::event::Ticket;

/// Questions of one peer that wait until this node begins the same duty: a peer asks once, and once more where a stream
/// broke.
const WAITING_PER_PEER: usize = 2;
/// Duties that peers may ask about before this node begins them: the next one, and one of a clock that is wrong.
const MAX_DUTIES: usize = 4;
/// Results that are kept: duties of earlier slots still look theirs up.
const KEPT_RESULTS: usize = 8;

/// Why a peer's preferences are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PriorityError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Message(#[from] priority_result::PriorityError),
    #[error("there is no such node")]
    Node,
    #[error("it is of no duty of this type")]
    Duty,
    #[error("the duty {0} is not near")]
    Far(Duty),
    #[error("too many of its questions wait")]
    Waiting,
}

#[derive(Debug, Default)]
struct Exchange {
    own: Option<Arc<Vec<u8>>>,
    /// The first message of each node.
    messages: BTreeMap<usize, PriorityMsg>,
    /// Questions that came before this node began.
    waiting: Vec<(usize, Ticket)>,
    is_over: bool,
}

/// Exchanges of preferences.
pub(crate) struct Priority {
    me: usize,
    key: IdentityKey,
    peers: Vec<PeerId>,
    threshold: usize,
    preferences: Preferences,
    exchanges: BTreeMap<Duty, Exchange>,
}

/// What a message of a peer leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The answer, where there is one already.
    pub(crate) answer: Option<Arc<Vec<u8>>>,
    /// A duty of which all messages are in.
    pub(crate) complete: Option<Duty>,
    /// Which duty it was of, to be ended with the others.
    pub(crate) duty: Option<Duty>,
}

impl Priority {
    pub(crate) fn new(
        (me, threshold): (usize, usize),
        key: IdentityKey,
        peers: Vec<IdentityPublic>,
        preferences: Preferences,
    ) -> Priority {
        let peers = peers.iter().map(PeerId::of).collect();
        Priority { me, key, peers, threshold, preferences, exchanges: BTreeMap::new() }
    }

    /// Begins: what goes to every peer, and the questions that can be answered now.
    pub(crate) fn begin(&mut self, duty: Duty) -> (Arc<Vec<u8>>, Vec<Ticket>) {
        let own = self.preferences.message(duty.slot, &self.key);
        let bytes = Arc::new(message::encode(&own));
        let exchange = self.exchanges.entry(duty).or_default();
        exchange.messages.insert(self.me, own);
        exchange.own = Some(bytes.clone());
        (bytes, exchange.waiting.drain(..).map(|(_, ticket)| ticket).collect())
    }

    /// Takes a peer's preferences: an answer, or a question with a ticket.
    pub(crate) fn take(
        &mut self,
        from: usize,
        bytes: &[u8],
        question: Option<Ticket>,
        is_near: impl Fn(Duty) -> bool,
    ) -> Result<Taken, PriorityError> {
        let message: PriorityMsg = message::decode(bytes, PRIORITY.max_bytes)?;
        let peer = self.peers.get(from).ok_or(PriorityError::Node)?;
        priority_result::check(&message, peer)?;
        let wire = message.duty.unwrap_or_default();
        let duty = match DutyType::of(wire.r#type) {
            Some(DutyType::InfoSync) => Duty::new(wire.slot, DutyType::InfoSync),
            _ => return Err(PriorityError::Duty),
        };
        let is_known = self.exchanges.contains_key(&duty);
        let has_room = self.exchanges.values().filter(|other| other.own.is_none()).count() < MAX_DUTIES;
        let may_begin = question.is_some() && has_room && is_near(duty);
        if !is_known && !may_begin {
            return Err(PriorityError::Far(duty));
        }
        let nodes = self.peers.len();
        let exchange = self.exchanges.entry(duty).or_default();
        exchange.messages.entry(from).or_insert(message);
        let answer = exchange.own.clone();
        if let (None, Some(ticket)) = (&answer, question) {
            if exchange.waiting.iter().filter(|(peer, _)| *peer == from).count() >= WAITING_PER_PEER {
                return Err(PriorityError::Waiting);
            }
            exchange.waiting.push((from, ticket));
        }
        let is_whole = exchange.messages.len() == nodes && exchange.own.is_some() && !exchange.is_over;
        Ok(Taken { answer, complete: is_whole.then_some(duty), duty: Some(duty) })
    }

    /// The value to propose, once.
    pub(crate) fn result(&mut self, duty: Duty) -> Option<Result<Any, String>> {
        let exchange = self.exchanges.get_mut(&duty).filter(|exchange| !exchange.is_over)?;
        exchange.is_over = true;
        let messages: Vec<PriorityMsg> = exchange.messages.values().cloned().collect();
        let result = priority_result::result_of(&messages, self.threshold);
        Some(result.map(|result| Any::pack(&result)).map_err(|error| error.to_string()))
    }

    /// How many duties have an exchange.
    pub(crate) fn held(&self) -> usize {
        self.exchanges.len()
    }

    /// Forgets a duty; questions that still wait get no answer.
    pub(crate) fn end(&mut self, duty: Duty) -> Vec<Ticket> {
        let exchange = self.exchanges.remove(&duty).unwrap_or_default();
        exchange.waiting.into_iter().map(|(_, ticket)| ticket).collect()
    }
}

/// What was agreed on, by the slot from which on it holds.
#[derive(Debug, Default)]
pub(crate) struct Agreements {
    by_slot: BTreeMap<u64, Agreed>,
}

impl Agreements {
    /// Keeps what was decided; what it says.
    pub(crate) fn take(&mut self, slot: u64, value: &Any) -> Result<&Agreed, WireError> {
        let result: PriorityResult = value.unpack(PRIORITY.max_bytes)?;
        while self.by_slot.len() >= KEPT_RESULTS {
            self.by_slot.pop_first();
        }
        Ok(self.by_slot.entry(slot).insert_entry(Agreed::read(&result)).into_mut())
    }

    fn at(&self, slot: u64) -> Option<&Agreed> {
        self.by_slot.range(..=slot).next_back().map(|(_, agreed)| agreed)
    }

    /// The form of contributions at a slot: one each where nothing is agreed on.
    pub(crate) fn contribution_form(&self, slot: u64) -> ContributionForm {
        match self.at(slot).is_some_and(Agreed::lists_contributions) {
            true => ContributionForm::List,
            false => ContributionForm::Single,
        }
    }

    /// The times of proposers at a slot; none where nothing is agreed on.
    pub(crate) fn profile(&self, slot: u64) -> Option<Profile> {
        // They changed with the version that has lists of contributions.
        self.at(slot).map(|agreed| match agreed.lists_contributions() {
            true => Profile::EveryRound,
            false => Profile::FirstRound,
        })
    }
}
