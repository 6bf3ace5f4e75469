//! One run of Pedersen among nodes in memory: every order of delivery that a seed gives, and liars.

use std::collections::BTreeMap;

use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_dkg::pedersen::bundle::{Deals, Justifications, Responses, Signed};
use coxswain_dv_dkg::pedersen::run::{Dealt, Phase, Run, RunEffect, RunError, RunParameters};
use coxswain_dv_dkg::pedersen::{AnyBundle, Node, nonce};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What a liar makes of a bundle before it is sent to one node: nothing, another, or several. It gets its own key.
pub(crate) type Lie<'l> = &'l dyn Fn(u32, &SecretKey, AnyBundle) -> Vec<AnyBundle>;

pub(crate) struct Network<'l> {
    keys: Vec<SecretKey>,
    machines: Vec<Run>,
    pending: Vec<(usize, AnyBundle)>,
    ends: BTreeMap<u32, Result<Dealt, RunError>>,
    liars: BTreeMap<u32, Lie<'l>>,
    rng: StdRng,
}

impl<'l> Network<'l> {
    pub(crate) fn new(count: u32, threshold: usize, seed: u64, liars: BTreeMap<u32, Lie<'l>>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let keys: Vec<SecretKey> = (0..count).map(|_| SecretKey::generate(&mut rng)).collect();
        let nodes: Vec<Node> =
            (0..).zip(&keys).map(|(index, key)| Node { index, key: key.public() }).collect();
        let session = nonce(3, &nodes);
        let mut network = Self {
            keys,
            machines: Vec::new(),
            pending: Vec::new(),
            ends: BTreeMap::new(),
            liars,
            rng: StdRng::seed_from_u64(seed ^ 1),
        };
        for (own, key) in (0..).zip(network.keys.clone()) {
            let parameters = RunParameters { nodes: nodes.clone(), own, threshold, session };
            let (machine, deals) = Run::new(parameters, &key, &mut rng).expect("a machine");
            network.machines.push(machine);
            network.send(own, AnyBundle::Deals(deals));
        }
        network
    }

    fn send(&mut self, from: u32, bundle: AnyBundle) {
        for (to, place) in (0..).zip(0..self.keys.len()).filter(|(to, _)| *to != from) {
            let bundles = match self.liars.get(&from) {
                Some(lie) => lie(to, &self.keys[usize::try_from(from).expect("small")], bundle.clone()),
                None => vec![bundle.clone()],
            };
            self.pending.extend(bundles.into_iter().map(|bundle| (place, bundle)));
        }
    }

    fn take(&mut self, on: usize, result: Result<Vec<RunEffect>, RunError>) {
        let index = u32::try_from(on).expect("small");
        match result {
            Err(error) => assert!(self.ends.insert(index, Err(error)).is_none(), "one end each"),
            Ok(effects) => {
                for effect in effects {
                    match effect {
                        RunEffect::SendResponses(signed) => self.send(index, AnyBundle::Responses(signed)),
                        RunEffect::SendJustifications(signed) => {
                            self.send(index, AnyBundle::Justifications(signed));
                        }
                        RunEffect::Done(dealt) => {
                            assert!(self.ends.insert(index, Ok(dealt)).is_none(), "one end each");
                        }
                    }
                }
            }
        }
    }

    fn deliver_all(&mut self) {
        while !self.pending.is_empty() {
            let at = self.rng.random_range(0..self.pending.len());
            let (to, bundle) = self.pending.swap_remove(at);
            let machine = &mut self.machines[to];
            let result = match bundle {
                AnyBundle::Deals(signed) => machine.take_deals(signed),
                AnyBundle::Responses(signed) => machine.take_responses(signed),
                AnyBundle::Justifications(signed) => machine.take_justifications(signed),
            };
            self.take(to, result);
        }
    }

    /// Each phase ends when all that was sent in it has come.
    pub(crate) fn run(mut self) -> BTreeMap<u32, Result<Dealt, RunError>> {
        for phase in [Phase::Deals, Phase::Responses, Phase::Justifications] {
            self.deliver_all();
            for place in 0..self.machines.len() {
                let result = self.machines[place].phase_over(phase);
                self.take(place, result);
            }
        }
        self.deliver_all();
        assert!(self.machines.iter().all(|machine| machine.phase() == Phase::Over));
        self.ends
    }
}

// ---------------------------------------------------------------------------------------------------------- bundles

/// The deals after a change, signed again; other bundles as they are.
pub(crate) fn deals(key: &SecretKey, bundle: AnyBundle, change: impl Fn(&mut Deals)) -> AnyBundle {
    let AnyBundle::Deals(mut signed) = bundle else { return bundle };
    change(&mut signed.bundle);
    AnyBundle::Deals(Signed::new(signed.bundle, key))
}

/// The same for responses.
pub(crate) fn responses(key: &SecretKey, bundle: AnyBundle, change: impl Fn(&mut Responses)) -> AnyBundle {
    let AnyBundle::Responses(mut signed) = bundle else { return bundle };
    change(&mut signed.bundle);
    AnyBundle::Responses(Signed::new(signed.bundle, key))
}

/// The same for justifications.
pub(crate) fn justifications(
    key: &SecretKey,
    bundle: AnyBundle,
    change: impl Fn(&mut Justifications),
) -> AnyBundle {
    let AnyBundle::Justifications(mut signed) = bundle else { return bundle };
    change(&mut signed.bundle);
    AnyBundle::Justifications(Signed::new(signed.bundle, key))
}
