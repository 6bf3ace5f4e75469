//! Partial signatures of all nodes over what the new keys sign.
//!
//! Every node sends its partial signatures of one kind to all others. They are only collected here: what they sign is
//! known when the own ones are made, and then all are checked at once.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_crypto::bls::PUBLIC_LEN;
use coxswain_dv_wire::parsigex::{
    DUTY_SIGNATURE, ParSigExMsg, ParSignedData, ParSignedDataSet, SIGNATURE_BYTES,
};
use coxswain_dv_wire::priority::Duty;

/// The public key of a validator.
pub type Validator = [u8; PUBLIC_LEN];
/// One node's partial signatures.
pub type Partials = BTreeMap<Validator, [u8; SIGNATURE_BYTES]>;

/// Slots that stand for what is signed.
const LOCK: u64 = 101;
const REGISTRATION: u64 = 102;
const FIRST_DEPOSIT: u64 = 200;

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The hash of the lock.
    Lock,
    /// The registration with builders.
    Registration,
    /// The deposit of the amount at this place of the list.
    Deposit(usize),
}

impl Kind {
    fn slot(self) -> u64 {
        match self {
            Kind::Lock => LOCK,
            Kind::Registration => REGISTRATION,
            Kind::Deposit(place) => FIRST_DEPOSIT + place as u64,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Lock => f.write_str("the lock"),
            Kind::Registration => f.write_str("registrations"),
            Kind::Deposit(place) => write!(f, "deposits of amount {}", place + 1),
        }
    }
}

/// Why partial signatures are refused. Places count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// They are of nothing that this ceremony signs.
    #[error("node {place} sends signatures of something that is not signed here (type {kind}, {slot})")]
    Kind {
        /// Who.
        place: usize,
        /// The type of the duty.
        kind: i32,
        /// Its slot.
        slot: u64,
    },
    /// Another's.
    #[error("node {place} sends signatures of share {found}, which is not its own")]
    Share {
        /// Who.
        place: usize,
        /// What it says.
        found: i32,
    },
    /// What should be a key or a signature is none.
    #[error("node {place} sends something that is no signature of a validator: {why}")]
    Content {
        /// Who.
        place: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Two for one.
    #[error("node {place} sends two different signatures of {kind} for one validator")]
    Twofold {
        /// Who.
        place: usize,
        /// Of what.
        kind: Kind,
    },
    /// More validators than there are.
    #[error("node {place} sends signatures of {found} validators, and there are {validators}")]
    TooMany {
        /// Who.
        place: usize,
        /// How many it sends.
        found: usize,
        /// How many there are.
        validators: usize,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Exchange {
    me: usize,
    nodes: usize,
    validators: usize,
    kinds: BTreeSet<Kind>,
    collected: BTreeMap<(Kind, usize), Partials>,
}

impl Exchange {
    /// A node at place `me`, with so many validators and amounts of deposits.
    #[must_use]
    pub fn new(me: usize, nodes: usize, validators: usize, amounts: usize) -> Self {
        let kinds = (0..amounts).map(Kind::Deposit).chain([Kind::Lock, Kind::Registration]).collect();
        Self { me, nodes, validators, kinds, collected: BTreeMap::new() }
    }

    fn share_index(place: usize) -> i32 {
        i32::try_from(place + 1).unwrap_or(i32::MAX)
    }

    /// Our own ones: what goes to all others.
    pub fn begin(&mut self, kind: Kind, partials: Partials) -> ParSigExMsg {
        let index = Self::share_index(self.me);
        let entry = |(validator, signature): (&Validator, &[u8; SIGNATURE_BYTES])| {
            (format!("0x{}", hex::encode(validator)), ParSignedData::of_signature(signature, index))
        };
        let set: BTreeMap<String, ParSignedData> = partials.iter().map(entry).collect();
        self.collected.insert((kind, self.me), partials);
        let duty = Duty { slot: kind.slot(), r#type: DUTY_SIGNATURE };
        ParSigExMsg { duty: Some(duty), data_set: Some(ParSignedDataSet::from(set)) }
    }

    /// Takes those of a peer.
    ///
    /// # Errors
    /// [`ExchangeError`]; nothing of the message is kept.
    pub fn take(&mut self, from: usize, message: ParSigExMsg) -> Result<Kind, ExchangeError> {
        let duty = message.duty.unwrap_or_default();
        let known = self.kinds.iter().find(|kind| duty.r#type == DUTY_SIGNATURE && kind.slot() == duty.slot);
        let Some(kind) = known.copied() else {
            return Err(ExchangeError::Kind { place: from, kind: duty.r#type, slot: duty.slot });
        };
        let set: BTreeMap<String, ParSignedData> = message.data_set.unwrap_or_default().into();
        let mut all = self.collected.get(&(kind, from)).cloned().unwrap_or_default();
        for (key, data) in set {
            if data.share_idx != Self::share_index(from) {
                return Err(ExchangeError::Share { place: from, found: data.share_idx });
            }
            let wrong = |why: String| ExchangeError::Content { place: from, why };
            let mut validator: Validator = [0; PUBLIC_LEN];
            let digits =
                key.strip_prefix("0x").ok_or_else(|| wrong("a key does not begin with 0x".into()))?;
            hex::decode_to_slice(digits, &mut validator).map_err(|e| wrong(format!("a key: {e}")))?;
            let signature = data.bare_signature().map_err(|e| wrong(e.to_string()))?;
            if all.insert(validator, signature).is_some_and(|before| before != signature) {
                return Err(ExchangeError::Twofold { place: from, kind });
            }
        }
        if all.len() > self.validators {
            let (found, validators) = (all.len(), self.validators);
            return Err(ExchangeError::TooMany { place: from, found, validators });
        }
        self.collected.insert((kind, from), all);
        Ok(kind)
    }

    /// The nodes whose signatures are not all there.
    #[must_use]
    pub fn missing(&self, kind: Kind) -> Vec<usize> {
        let is_whole = |place: &usize| {
            self.collected.get(&(kind, *place)).is_some_and(|partials| partials.len() == self.validators)
        };
        (0..self.nodes).filter(|place| !is_whole(place)).collect()
    }

    /// All of them, in the order of nodes; to be called when none is missing.
    pub fn finish(&mut self, kind: Kind) -> Vec<Partials> {
        (0..self.nodes).map(|place| self.collected.remove(&(kind, place)).unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(me: usize) -> Exchange {
        Exchange::new(me, 3, 2, 1)
    }

    fn partials(byte: u8) -> Partials {
        (0..2).map(|validator| ([validator; PUBLIC_LEN], [byte; SIGNATURE_BYTES])).collect()
    }

    #[test]
    fn everybody_gets_everything() {
        let mut us = exchange(0);
        let kind = Kind::Deposit(0);
        us.begin(kind, partials(0));
        assert_eq!(us.missing(kind), [1, 2]);
        for place in [1, 2] {
            let message = exchange(place).begin(kind, partials(place as u8));
            assert_eq!(us.take(place, message.clone()), Ok(kind));
            assert_eq!(us.take(place, message), Ok(kind), "the same again is nothing new");
        }
        assert!(us.missing(kind).is_empty());
        assert_eq!(us.finish(kind), [partials(0), partials(1), partials(2)]);
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut ParSigExMsg), expected: &str) {
        let mut us = exchange(0);
        let mut message = exchange(1).begin(Kind::Lock, partials(1));
        change(&mut message);
        let error = us.take(1, message).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(us.missing(Kind::Lock), [0, 1, 2], "nothing is kept");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let first = |message: &mut ParSigExMsg, change: &dyn Fn(&mut ParSignedData)| {
            let set = message.data_set.as_mut().expect("a set");
            change(set.set[0].value.as_mut().expect("a value"));
        };
        check_refused(|message| message.duty.as_mut().expect("a duty").slot = 201, "not signed here");
        check_refused(|message| message.duty.as_mut().expect("a duty").r#type = 1, "not signed here");
        check_refused(|message| first(message, &|data| data.share_idx = 1), "share 1, which is not its own");
        check_refused(|message| first(message, &|data| data.share_idx = i32::MIN), "not its own");
        check_refused(|message| first(message, &|data| data.signature[0] ^= 1), "no signature");
        check_refused(|message| first(message, &|data| data.data.clear()), "no signature");
        let key = |message: &mut ParSigExMsg, key: &str| {
            message.data_set.as_mut().expect("a set").set[0].key = Some(key.into());
        };
        check_refused(|message| key(message, "00"), "does not begin with 0x");
        check_refused(|message| key(message, "0x00"), "a key");
    }

    #[test]
    fn a_peer_cannot_say_two_things_or_fill_the_memory() {
        let mut us = exchange(0);
        us.take(1, exchange(1).begin(Kind::Lock, partials(1))).expect("taken");
        let twofold = us.take(1, exchange(1).begin(Kind::Lock, partials(9))).expect_err("twofold");
        assert_eq!(twofold, ExchangeError::Twofold { place: 1, kind: Kind::Lock });
        let other: Partials = [([7; PUBLIC_LEN], [1; SIGNATURE_BYTES])].into();
        let many = us.take(1, exchange(1).begin(Kind::Lock, other)).expect_err("too many");
        assert_eq!(many, ExchangeError::TooMany { place: 1, found: 3, validators: 2 });
    }
}
