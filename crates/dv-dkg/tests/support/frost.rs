//! FROST among nodes in memory: every order of delivery that a seed gives, and a hand on every message.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::{SecretKey, recover_secret};
use coxswain_dv_dkg::frost::{Cast, Effect, Event, Frost, FrostError, Job, Round2Cast, Share};
use coxswain_dv_dkg::{KeyShare, Parameters};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Casts(Vec<Cast>),
    Shares(Vec<Share>),
    Round2(Vec<Round2Cast>),
}

/// What still has to happen.
enum Pending {
    Deliver { from: u64, to: u64, message: Message },
    Compute { on: u64, job: Job },
}

/// How a node ended.
#[derive(Debug)]
pub(crate) enum End {
    Keys(Vec<KeyShare>),
    Failed(FrostError),
    /// It was told that time is over.
    Late(FrostError),
}

/// Each message before it is sent: from, to (0 for all), and the message.
pub(crate) type Hand<'h> = &'h mut dyn FnMut(u64, u64, &mut Message);

pub(crate) struct Network {
    machines: BTreeMap<u64, Frost>,
    pending: Vec<Pending>,
    ends: BTreeMap<u64, End>,
    rng: StdRng,
}

impl Network {
    pub(crate) fn new(nodes: u64, threshold: u64, validators: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut network = Self {
            machines: BTreeMap::new(),
            pending: Vec::new(),
            ends: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed ^ 1),
        };
        let mut first = Vec::new();
        for index in 1..=nodes {
            let parameters = Parameters::new(nodes, threshold, index, validators).expect("parameters");
            let (machine, round1) = Frost::new(parameters, &mut rng).expect("a machine");
            network.machines.insert(index, machine);
            first.push((index, round1));
        }
        for (from, round1) in first {
            network.queue(from, 0, Message::Casts(round1.casts));
            for (to, shares) in round1.shares {
                network.queue(from, to, Message::Shares(shares));
            }
        }
        network
    }

    fn queue(&mut self, from: u64, to: u64, message: Message) {
        self.pending.push(Pending::Deliver { from, to, message });
    }

    /// Lets everything happen in a random order; then time is over for who is not done.
    pub(crate) fn run(mut self, hand: Hand<'_>) -> BTreeMap<u64, End> {
        // Broadcasts become one message to each only after the hand saw them: all nodes see the same.
        self.spread(hand);
        while !self.pending.is_empty() {
            let at = self.rng.random_range(0..self.pending.len());
            let (on, event) = match self.pending.swap_remove(at) {
                Pending::Deliver { from, to, message } => {
                    let event = match message {
                        Message::Casts(casts) => Event::Casts { from, casts },
                        Message::Shares(shares) => Event::Shares { from, shares },
                        Message::Round2(casts) => Event::Round2 { from, casts },
                    };
                    (to, event)
                }
                Pending::Compute { on, job } => (on, Event::Computed(job.compute(&mut self.rng))),
            };
            let result = self.machines.get_mut(&on).expect("a node").step(event);
            self.take(on, result);
            self.spread(hand);
        }
        for (index, machine) in &mut self.machines {
            if !self.ends.contains_key(index) {
                let error = machine.step(Event::PhaseOver).expect_err("time is over");
                self.ends.insert(*index, End::Late(error));
            }
        }
        self.ends
    }

    fn take(&mut self, on: u64, result: Result<Vec<Effect>, FrostError>) {
        match result {
            Err(error) => {
                if let Some(End::Failed(before)) = self.ends.insert(on, End::Failed(error.clone())) {
                    assert_eq!(before, error, "a machine that failed says so again");
                }
            }
            Ok(effects) => {
                for effect in effects {
                    match effect {
                        Effect::Compute(job) => self.pending.push(Pending::Compute { on, job }),
                        Effect::BroadcastRound2(casts) => self.queue(on, 0, Message::Round2(casts)),
                        Effect::Done(keys) => {
                            assert!(self.ends.insert(on, End::Keys(keys)).is_none(), "one end each");
                        }
                    }
                }
            }
        }
    }

    fn spread(&mut self, hand: Hand<'_>) {
        let mut out = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Deliver { from, to: 0, mut message } => {
                    hand(from, 0, &mut message);
                    for to in self.machines.keys().filter(|to| **to != from) {
                        out.push(Pending::Deliver { from, to: *to, message: message.clone() });
                    }
                }
                other => out.push(other),
            }
        }
        self.pending = out;
    }

    /// The hand on the shares of the first round, which go to one node each.
    pub(crate) fn touch_shares(&mut self, hand: Hand<'_>) {
        for pending in &mut self.pending {
            if let Pending::Deliver { from, to, message } = pending
                && *to != 0
            {
                hand(*from, *to, message);
            }
        }
    }
}

/// Whether all nodes have the same keys, and any of the last `threshold` shares give the secret.
#[track_caller]
pub(crate) fn check_keys(nodes: &BTreeMap<u64, Vec<KeyShare>>, threshold: usize) {
    let first = nodes.values().next().expect("a node");
    for place in 0..first.len() {
        let mut shares: Vec<(u64, SecretKey)> = Vec::new();
        for (index, keys) in nodes {
            let key = &keys[place];
            assert_eq!(key.public, first[place].public);
            assert_eq!(key.public_shares, first[place].public_shares);
            let own = usize::try_from(*index).expect("small") - 1;
            assert_eq!(key.secret.public(), key.public_shares[own]);
            shares.push((*index, key.secret.clone()));
        }
        for window in shares.windows(threshold) {
            assert_eq!(recover_secret(window).expect("a secret").public(), first[place].public);
        }
        for window in shares.windows(threshold - 1) {
            assert_ne!(recover_secret(window).expect("a number").public(), first[place].public);
        }
    }
}
